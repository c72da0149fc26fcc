import { expect } from 'chai';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { routerSolicitation } from '../../lib/ethernet/nd-message.js';
import { type RouterAdvertisement, writeAdvertisement } from '../../lib/ethernet/router-advertisement.js';
import type { AdvertisedDns, RouterDiscoveryOptions } from '../../lib/ethernet/router-discovery-options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { IpAddress, IpPrefix } from '../../lib/wire/ip-address.js';
import { frameOf, hex, Lan, type LanHost, Pinger } from './lan.js';
import { IPV6, OTHER, prefixOf, ROUTER, SILENT } from './routers.js';

describe('Router discovery', () => {
  let lan: Lan;
  let host: LanHost;
  const dns: AdvertisedDns[] = [];

  const start = (options: RouterDiscoveryOptions = {}): void => {
    lan = new Lan();
    dns.length = 0;
    host = lan.host('host', {
      ethernet: {
        mac: '52:54:00:00:00:0a',
        routerDiscovery: { onDns: (said) => void dns.push(said), ...options },
      },
    });
    lan.advanceMs(10);
  };

  const say = (said: Partial<RouterAdvertisement>, from = ROUTER, source = from.ip): void => {
    const ends = { source: IpAddress.parse(source), destination: IpAddress.parse('ff02::1') };
    const packet = writeAdvertisement(ends, { ...SILENT, ...said }, MacAddress.parse(from.mac));
    lan.inject(frameOf({ from: from.mac, to: '33:33:00:00:00:01', type: IPV6 }, packet));
    lan.advanceMs(1);
  };

  const addresses = (): string[] =>
    host.stack.ip
      .addresses(host.index)
      .map(({ address }) => address)
      .filter((address) => !address.startsWith('fe80'));
  const isDeprecated = (): boolean[] =>
    host.stack.ip
      .addresses(host.index)
      .filter(({ address }) => !address.startsWith('fe80'))
      .map((entry) => entry.deprecated);
  const wayTo = (address: string): string => JSON.stringify(host.stack.routing.routes.get(address));

  it('asks for routers, ever more rarely, until one answers (RFC 7559)', () => {
    start();
    const times: number[] = [];
    lan.listen((frame) => {
      if (frame[54] === 133) times.push(lan.clock.nowUs() / 1e6);
    });
    lan.advanceMs(70_000);
    expect(times.length).to.be.within(4, 6);
    expect(times[0]).to.be.below(1.1);
    expect(times[2] - times[1]).to.be.greaterThan(1.7 * (times[1] - times[0]));
    say({ lifetimeSeconds: 1800 });
    const before = times.length;
    lan.advanceMs(100_000);
    expect(times).to.have.length(before);
  });

  it('makes itself an address and routes, and gives them up when their time is over [IC6-15]', () => {
    start();
    say({
      lifetimeSeconds: 1800,
      prefixes: [prefixOf('2001:db8::/64', 7200, 3600)],
      mtu: 1400,
      hopLimit: 33,
    });
    expect(addresses()).to.deep.equal(['2001:db8::5054:ff:fe00:a/64']);
    expect(wayTo('2001:db8:9::1')).to.include('fe80::99');
    expect(wayTo('2001:db8::77')).to.not.include('fe80');
    const ping = new Pinger(host.stack);
    expect(ping.send('2001:db8:9::1')).to.equal('');
    lan.advanceMs(5);
    const echo = lan.framesOf(IPV6).find((frame) => frame[54] === 128);
    expect(hex(echo?.subarray(0, 6) ?? new Uint8Array(0))).to.equal('525400000099');
    expect(echo?.[21], 'hop limit').to.equal(33);
    const path = host.stack.ip.resolve({ destination: IpAddress.parse('2001:db8:9::1'), protocol: 6 });
    expect(path.mtu).to.equal(1400);
    lan.advanceMs(1_800_000);
    expect(wayTo('2001:db8:9::1')).to.not.include('fe80::99');
    lan.advanceMs(1_900_000);
    expect(isDeprecated()).to.deep.equal([true]);
    lan.advanceMs(3_600_000);
    expect(addresses()).to.deep.equal([]);
    expect(host.stack.routing.routes.list({ protocol: 'ra' })).to.deep.equal([]);
  });

  it('lets nobody shorten the life of an address below two hours (RFC 4862 §5.5.3 (e)) [IC6-15]', () => {
    start();
    say({ prefixes: [prefixOf('2001:db8::/64', 100_000)] });
    say({ prefixes: [prefixOf('2001:db8::/64', 1)] });
    lan.advanceMs(7_100_000);
    expect(addresses()).to.have.length(1);
    lan.advanceMs(200_000);
    expect(addresses()).to.have.length(0);
  });

  it('takes from no advertisement what it must not [IC6-15]', () => {
    start();
    say({
      prefixes: [
        prefixOf('fe80::/64', 100),
        prefixOf('ff00::/64', 100),
        prefixOf('2001:db8:1::/63', 100),
        prefixOf('2001:db8:2::/64', 100, 200),
        prefixOf('2001:db8:3::/64', 0),
      ],
      mtu: 1279,
    });
    expect(addresses()).to.deep.equal([]);
    say({ lifetimeSeconds: 1800 }, ROUTER, '2001:db8::99');
    expect(host.link.counters.ndErrors).to.equal(1);
    expect(host.link.routers()).to.deep.equal([]);
  });

  it('keeps a bounded number of everything [IC6-15]', () => {
    start();
    for (let i = 0; i < 40; i++) {
      const from = { ip: `fe80::1:${i.toString(16)}`, mac: ROUTER.mac };
      const each = `2001:db8:${i.toString(16)}::`;
      say(
        {
          lifetimeSeconds: 1800,
          prefixes: [prefixOf(`${each}/64`, 3600)],
          routes: [{ prefix: IpPrefix.parse(`${each}/48`), preference: 'low', lifetimeSeconds: 3600 }],
          dnsServers: [{ address: IpAddress.parse(`${each}1`), lifetimeSeconds: 3600 }],
        },
        from,
      );
    }
    expect(host.link.routers()).to.have.length(8);
    expect(addresses()).to.have.length(16);
    expect(dns.at(-1)?.servers).to.have.length(8);
    expect(host.stack.routing.routes.list({ protocol: 'ra' })).to.have.length(1 + 16 + 16);
  });

  it('does not listen without the option, nor while it advertises itself [IC6-15]', () => {
    start();
    const advertiser = host.link.advertise();
    say({ lifetimeSeconds: 1800, prefixes: [prefixOf('2001:db8::/64', 3600)] });
    expect(addresses()).to.deep.equal([]);
    expect(host.link.routers()).to.deep.equal([]);
    advertiser.close();
    const deaf = lan.host('deaf');
    lan.advanceMs(100);
    say({ lifetimeSeconds: 1800, prefixes: [prefixOf('2001:db8::/64', 3600)] });
    expect(addresses()).to.have.length(1);
    expect(deaf.stack.ip.addresses(deaf.index)).to.have.length(1);
  });

  it('prefers routers as they ask, and any that answers to one that does not [IC6-18]', () => {
    start();
    say({ lifetimeSeconds: 1800, preference: 'low' });
    say({ lifetimeSeconds: 1800, preference: 'high' }, OTHER);
    expect(wayTo('2001:db8::1')).to.include(OTHER.ip);
    say({ lifetimeSeconds: 1800, preference: 'low', prefixes: [prefixOf('2001:db8:5::/64', 3600)] });
    // The preferred one falls silent: after it was asked three times the other has its turn.
    new Pinger(host.stack).send('2001:db8::1');
    lan.advanceMs(20_000);
    expect(wayTo('2001:db8::1')).to.include(ROUTER.ip);
    expect(host.link.routers().map(({ isDefault, hasFailed }) => [isDefault, hasFailed])).to.deep.equal([
      [true, false],
      [false, true],
    ]);
    say({ lifetimeSeconds: 1800, preference: 'low' });
    expect(wayTo('2001:db8::1'), 'preferred, but silent').to.include(ROUTER.ip);
    say({ lifetimeSeconds: 1800, preference: 'high' }, OTHER);
    expect(wayTo('2001:db8::1')).to.include(OTHER.ip);
    say({ lifetimeSeconds: 0 }, OTHER);
    expect(wayTo('2001:db8::1')).to.include(ROUTER.ip);
  });

  it('takes routes to networks, and name servers, for their time (RFC 4191, RFC 8106)', () => {
    start();
    say({
      routes: [{ prefix: IpPrefix.parse('2001:db8:7::/48'), preference: 'medium', lifetimeSeconds: 60 }],
      dnsServers: [{ address: IpAddress.parse('2001:db8::53'), lifetimeSeconds: 60 }],
      searchDomains: [{ domain: 'lan.test', lifetimeSeconds: 60 }],
    });
    expect(wayTo('2001:db8:7::1')).to.include(ROUTER.ip);
    expect(dns).to.deep.equal([{ servers: ['2001:db8::53'], domains: ['lan.test'] }]);
    lan.advanceMs(61_000);
    expect(wayTo('2001:db8:7::1')).to.not.include(ROUTER.ip);
    expect(dns.at(-1)).to.deep.equal({ servers: [], domains: [] });
  });

  it('makes other addresses in other networks from a secret, always the same in one (RFC 7217)', () => {
    const made = (prefix: string): string[] => {
      lan = new Lan();
      const secret = Uint8Array.from({ length: 16 }, (_, i) => i);
      host = lan.host('host', { ethernet: { mac: '52:54:00:00:00:0a', secret, routerDiscovery: true } });
      lan.advanceMs(10);
      say({ prefixes: [prefixOf(prefix, 3600)] });
      return addresses();
    };
    const [one] = made('2001:db8:1::/64');
    expect(made('2001:db8:1::/64')).to.deep.equal([one]);
    const [other] = made('2001:db8:2::/64');
    expect(other.split(':').slice(3)).to.not.deep.equal(one.split(':').slice(3));
  });

  it('lives through random changes to an advertisement', () => {
    start();
    const random = new SeededRandom(3);
    const ends = { source: IpAddress.parse(ROUTER.ip), destination: IpAddress.parse('ff02::1') };
    const seed = writeAdvertisement(
      ends,
      {
        ...SILENT,
        lifetimeSeconds: 1800,
        mtu: 1500,
        prefixes: [prefixOf('2001:db8::/64', 3600)],
        routes: [{ prefix: IpPrefix.parse('2001:db8:7::/48'), preference: 'medium', lifetimeSeconds: 60 }],
        dnsServers: [{ address: IpAddress.parse('2001:db8::53'), lifetimeSeconds: 60 }],
        searchDomains: [{ domain: 'lan.test', lifetimeSeconds: 60 }],
      },
      MacAddress.parse(ROUTER.mac),
    );
    for (let run = 0; run < 10_000; run++) {
      const packet = seed.slice();
      for (let i = 0; i < 3; i++)
        packet[40 + (random.uint32() % (packet.length - 40))] = random.uint32() & 0xff;
      packet[40] = 134;
      fixChecksum(packet);
      lan.inject(frameOf({ from: ROUTER.mac, to: '33:33:00:00:00:01', type: IPV6 }, packet));
      if (run % 20 === 0) lan.advanceMs(100);
      lan.seen.length = 0;
    }
    expect(host.link.counters.ndErrors).to.be.greaterThan(100);
    expect(host.link.counters.ndIn - host.link.counters.ndErrors).to.be.greaterThan(1000);
    expect(addresses().length).to.be.at.most(16);
  });
});

describe('Router advertiser', () => {
  const times = (lan: Lan): number[] => {
    const heard: number[] = [];
    lan.listen((frame) => {
      if (frame[54] === 134) heard.push(lan.clock.nowUs() / 1e6);
    });
    return heard;
  };

  it('gives the hosts of a link addresses, routes and name servers', () => {
    const lan = new Lan();
    const said: AdvertisedDns[] = [];
    const router = lan.host('router', { addresses: ['2001:db8::1/64'] });
    const host = lan.host('host', {
      ethernet: { routerDiscovery: { onDns: (dns) => void said.push(dns) }, detection: {} },
    });
    router.link.advertise({
      prefixes: [{ prefix: '2001:db8::/64' }],
      dnsServers: ['2001:db8::53'],
      searchDomains: ['lan.test', 'test'],
    });
    lan.advanceMs(10_000);
    const own = host.stack.ip.addresses(host.index).map(({ address }) => address);
    expect(own.filter((address) => address.startsWith('2001:db8:'))).to.have.length(1);
    expect(said).to.deep.equal([{ servers: ['2001:db8::53'], domains: ['lan.test', 'test'] }]);
    const ping = new Pinger(host.stack);
    expect(ping.send('2001:db8::1')).to.equal('');
    lan.advanceMs(100);
    expect(ping.replies).to.deep.equal([1]);
  });

  it('speaks three times soon, then within its interval, and when it is asked (RFC 4861 §6.2.4, §6.2.6)', () => {
    const lan = new Lan();
    const heard = times(lan);
    const router = lan.host('router');
    const advertiser = router.link.advertise({ maxSeconds: 600, minSeconds: 200 });
    lan.advanceMs(40_000);
    expect(heard).to.have.length(3);
    lan.advanceMs(2_000_000);
    const gaps = heard.slice(1).map((time, i) => time - heard[i]);
    expect(Math.max(...gaps.slice(0, 2))).to.be.at.most(16);
    for (const gap of gaps.slice(2)) expect(gap).to.be.within(200, 600);
    const before = heard.length;
    lan.host('host', { ethernet: { routerDiscovery: true } });
    lan.advanceMs(5_000);
    expect(heard).to.have.length(before + 1);
    expect(advertiser.solicited).to.equal(1);
  });

  it('answers many questions with one advertisement in three seconds (RFC 4861 §6.2.6)', () => {
    const lan = new Lan();
    const heard = times(lan);
    const router = lan.host('router');
    router.link.advertise();
    lan.advanceMs(100_000);
    heard.length = 0;
    const question = routerSolicitation(IpAddress.parse('fe80::5'), MacAddress.parse(OTHER.mac));
    for (let i = 0; i < 30; i++) {
      lan.inject(frameOf({ from: OTHER.mac, to: '33:33:00:00:00:02', type: IPV6 }, question));
      lan.advanceMs(100);
    }
    expect(heard).to.have.length(1);
    lan.advanceMs(1_000);
    expect(heard).to.have.length(2);
  });

  it('says farewell when it is closed, and hosts leave it (RFC 4861 §6.2.5)', () => {
    const lan = new Lan();
    const router = lan.host('router');
    const host = lan.host('host', { ethernet: { routerDiscovery: true } });
    const advertiser = router.link.advertise();
    lan.advanceMs(5000);
    expect(host.link.routers()).to.have.length(1);
    advertiser.close();
    lan.advanceMs(10);
    expect(host.link.routers()).to.deep.equal([]);
    expect(() => router.link.advertise({ maxSeconds: 1 })).to.throw(RangeError);
    expect(() => router.link.advertise({ prefixes: [{ prefix: '10.0.0.0/8' }] })).to.throw(TypeError);
    expect(() => router.link.advertise({ mtu: 1000 })).to.throw(RangeError);
    router.link.advertise().close();
  });

  it('calls itself a router in its advertisements as a neighbour (RFC 4861 §7.2.4)', () => {
    const lan = new Lan();
    const router = lan.host('router', { addresses: ['2001:db8::1/64'] });
    const host = lan.host('host', { addresses: ['2001:db8::2/64'] });
    router.link.advertise();
    lan.advanceMs(2000);
    new Pinger(host.stack).send('2001:db8::1');
    lan.advanceMs(10);
    const known = host.link.neighbors().find(({ address }) => address === '2001:db8::1');
    expect(known?.isRouter).to.equal(true);
  });
});

/** Makes the ICMPv6 checksum right again, so that what was changed is looked at. */
function fixChecksum(packet: Uint8Array): void {
  const view = new DataView(packet.buffer);
  view.setUint16(42, 0);
  let sum = 58 + packet.length - 40;
  for (let at = 8; at < packet.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(42, ~sum & 0xffff);
}
