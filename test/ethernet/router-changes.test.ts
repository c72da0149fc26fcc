/** What routers say changes, is wrong, or finds no room; and what a router refuses to say. */
import { expect } from 'chai';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { NaFlag, NdOption, neighborAdvertisement } from '../../lib/ethernet/nd-message.js';
import {
  INFINITE_SECONDS,
  type RouterAdvertisement,
  writeAdvertisement,
} from '../../lib/ethernet/router-advertisement.js';
import type { RouterAdvertiserOptions } from '../../lib/ethernet/router-advertiser.js';
import type { RouterDiscoveryOptions } from '../../lib/ethernet/router-discovery-options.js';
import type { StackOptions } from '../../lib/stack/stack.js';
import { IpAddress, IpPrefix } from '../../lib/wire/ip-address.js';
import { frameOf, Lan, type LanHost, Pinger, viewOf } from './lan.js';
import { IPV6, OTHER, prefixOf, ROUTER, SILENT } from './routers.js';

const ARP = 0x0806;
const address = (text: string): IpAddress => IpAddress.parse(text);

describe('Routers that change', () => {
  let lan: Lan;
  let host: LanHost;

  const start = (routerDiscovery: RouterDiscoveryOptions = {}, stack: Partial<StackOptions> = {}): void => {
    lan = new Lan();
    host = lan.host('host', {
      addresses: ['10.0.0.1/24'],
      ethernet: { mac: '52:54:00:00:00:0a', routerDiscovery },
      stack,
    });
    lan.advanceMs(10);
  };

  const receive = (packet: Uint8Array, from = ROUTER): void => {
    lan.inject(frameOf({ from: from.mac, to: '33:33:00:00:00:01', type: IPV6 }, packet));
    lan.advanceMs(1);
  };
  const advertisement = (said: Partial<RouterAdvertisement>, from = ROUTER): Uint8Array => {
    const ends = { source: address(from.ip), destination: address('ff02::1') };
    return writeAdvertisement(ends, { ...SILENT, ...said }, MacAddress.parse(from.mac));
  };
  const say = (said: Partial<RouterAdvertisement>, from = ROUTER): void =>
    receive(advertisement(said, from), from);

  const own = (): { address: string; deprecated: boolean }[] =>
    host.stack.ip
      .addresses(host.index)
      .filter((entry) => entry.family === 6 && !entry.address.startsWith('fe80'));
  const wayTo = (to: string): string => JSON.stringify(host.stack.routing.routes.get(to));
  const mtuTo = (to: string): number => host.stack.ip.resolve({ destination: address(to), protocol: 6 }).mtu;

  const solicitations = (): number[] => {
    const times: number[] = [];
    lan.listen((frame) => {
      if (viewOf(frame).getUint16(12) === IPV6 && frame[54] === 133) times.push(lan.clock.nowUs() / 1e6);
    });
    return times;
  };

  it('go on being asked for while none of them can be the default one (RFC 7559 §2.1)', () => {
    start();
    const times = solicitations();
    lan.advanceMs(2000);
    say({ lifetimeSeconds: 0, prefixes: [prefixOf('2001:db8::/64', 3600)] });
    const before = times.length;
    lan.advanceMs(60_000);
    expect(times.length).to.be.greaterThan(before + 2);
    say({ lifetimeSeconds: 1800 });
    const after = times.length;
    lan.advanceMs(600_000);
    expect(times).to.have.length(after);
  });

  it('are asked for half as often each time, up to once an hour (RFC 7559 §2, RFC 8415 §15)', () => {
    start();
    const times = solicitations();
    lan.advanceMs(40_000_000);
    const gaps = times.slice(1).map((time, i) => time - times[i]);
    expect(gaps[0]).to.be.within(3.6, 4.4);
    for (const [i, gap] of gaps.slice(1).entries()) {
      if (gaps[i] * 1.9 < 3240) expect(gap / gaps[i], `gap ${i + 1}`).to.be.within(1.89, 2.11);
      expect(gap).to.be.at.most(3961);
    }
    expect(Math.max(...gaps)).to.be.greaterThan(3239);
  });

  it('are left for good when they say that they are none any more (RFC 4861 §7.2.5)', () => {
    start();
    const routes = [
      { prefix: IpPrefix.parse('2001:db8:7::/48'), preference: 'medium' as const, lifetimeSeconds: 600 },
    ];
    say({ lifetimeSeconds: 1800, routes });
    expect(wayTo('2001:db8:9::1')).to.include(ROUTER.ip);
    const answer = (flags: number): void => {
      const ends = { source: address(ROUTER.ip), destination: address('fe80::5054:ff:fe00:a') };
      const target = address(ROUTER.ip);
      const packet = neighborAdvertisement(ends, target, flags, MacAddress.parse(ROUTER.mac));
      lan.inject(frameOf({ from: ROUTER.mac, to: '52:54:00:00:00:0a', type: IPV6 }, packet));
      lan.advanceMs(1);
    };
    answer(NaFlag.Solicited | NaFlag.Router | NaFlag.Override);
    expect(host.link.routers()).to.have.length(1);
    answer(NaFlag.Solicited | NaFlag.Override);
    answer(NaFlag.Solicited | NaFlag.Override);
    expect(host.link.routers()).to.deep.equal([]);
    expect(wayTo('2001:db8:9::1')).to.not.include(ROUTER.ip);
    expect(wayTo('2001:db8:7::1')).to.not.include(ROUTER.ip);
  });

  it('are routers, whether or not they name their Ethernet address (RFC 4861 §6.3.4)', () => {
    start();
    say({ lifetimeSeconds: 1800 });
    const nameless = advertisement({ lifetimeSeconds: 1800 }, OTHER);
    // The option becomes one that nobody knows.
    expect(nameless[56]).to.equal(NdOption.SourceLinkAddress);
    const view = viewOf(nameless);
    view.setUint16(42, sumAfter(view.getUint16(42), 0x0101, 0xfd01));
    nameless[56] = 0xfd;
    new Pinger(host.stack).send(OTHER.ip, { oif: host.index });
    lan.advanceMs(10);
    const isRouter = (): boolean | undefined =>
      host.link.neighbors().find((neighbor) => neighbor.address === OTHER.ip)?.isRouter;
    expect(isRouter()).to.equal(false);
    receive(nameless, OTHER);
    expect(host.link.counters.ndErrors).to.equal(0);
    expect(isRouter()).to.equal(true);
  });

  it('set the times of neighbour discovery, and not those of ARP', () => {
    start();
    say({ lifetimeSeconds: 1800, retransMs: 60_000, reachableMs: 3_600_000 });
    lan.seen.length = 0;
    const ping = new Pinger(host.stack);
    ping.send('10.0.0.9');
    ping.send('fe80::55', { oif: host.index });
    lan.advanceMs(4000);
    expect(lan.framesOf(ARP), 'three in three seconds').to.have.length(3);
    expect(host.link.neighbors().map((neighbor) => neighbor.address)).to.include('fe80::55');
    say({ lifetimeSeconds: 1800, retransMs: 1 });
    lan.seen.length = 0;
    ping.send('fe80::56', { oif: host.index });
    lan.advanceMs(9);
    expect(
      lan.framesOf(IPV6).filter((frame) => frame[54] === 135),
      'not sooner than on Linux',
    ).to.have.length(1);
  });

  it('tell another MTU, or another preference, of what is known already (RFC 4861 §6.3.4, RFC 4191 §3.1)', () => {
    start();
    const route = { prefix: IpPrefix.parse('2001:db8:7::/48'), lifetimeSeconds: 600 };
    const prefixes = [prefixOf('2001:db8::/64', 3600)];
    say({ lifetimeSeconds: 1800, mtu: 1400, prefixes, routes: [{ ...route, preference: 'low' }] });
    say({ lifetimeSeconds: 1800, routes: [{ ...route, preference: 'medium' }] }, OTHER);
    expect([mtuTo('2001:db8::5'), mtuTo('2001:db8:9::5')]).to.deep.equal([1400, 1400]);
    expect(wayTo('2001:db8:7::1')).to.include(OTHER.ip);
    say({ lifetimeSeconds: 1800, mtu: 1300, prefixes, routes: [{ ...route, preference: 'high' }] });
    expect([mtuTo('2001:db8::5'), mtuTo('2001:db8:9::5')]).to.deep.equal([1300, 1300]);
    expect(wayTo('2001:db8:7::1')).to.include(ROUTER.ip);
    say({ lifetimeSeconds: 1800, prefixes, routes: [{ ...route, preference: 'high' }] });
    expect(mtuTo('2001:db8::5'), 'nothing said').to.equal(1300);
    expect(host.stack.routing.routes.list({ protocol: 'ra' })).to.have.length(4);
  });

  it('may say by a route to everywhere how long they are a default one (RFC 4191 §3.1)', () => {
    start();
    const everywhere = { prefix: IpPrefix.parse('::/0'), preference: 'high' as const };
    say({ lifetimeSeconds: 1800 }, OTHER);
    say({ lifetimeSeconds: 10, routes: [{ ...everywhere, lifetimeSeconds: INFINITE_SECONDS }] });
    expect(wayTo('2001:db8::1')).to.include(ROUTER.ip);
    lan.advanceMs(1_000_000);
    expect(wayTo('2001:db8::1')).to.include(ROUTER.ip);
    say({ lifetimeSeconds: 10, routes: [{ ...everywhere, lifetimeSeconds: 0 }] });
    expect(wayTo('2001:db8::1')).to.include(OTHER.ip);
  });

  it('speak of a prefix by its length too: a longer or shorter one is another (RFC 4862 §5.5.3 (d))', () => {
    start();
    say({ prefixes: [prefixOf('2001:db8::/64', 100_000)] });
    for (const length of [48, 65]) say({ prefixes: [prefixOf(`2001:db8::/${length}`, 7200, 0)] });
    lan.advanceMs(7_300_000);
    expect(own().map(({ deprecated }) => deprecated)).to.deep.equal([false]);
  });

  it('never make the stack throw, however full its table of routes is', () => {
    start({}, { ip: { routes: 12 } });
    const before = host.stack.routing.routes.list({}).length;
    for (let i = 0; i < 20; i++) {
      const each = `2001:db8:${i.toString(16)}::`;
      const routes = [
        { prefix: IpPrefix.parse(`${each}/48`), preference: 'low' as const, lifetimeSeconds: 3600 },
      ];
      say({ lifetimeSeconds: 1800, prefixes: [prefixOf(`${each}/64`, 3600)], routes });
    }
    expect(before).to.be.lessThan(12);
    expect(host.stack.routing.routes.list({})).to.have.length(12);
  });

  it('leave everything in order where the application throws on what they say', () => {
    start({
      onDns: () => {
        throw new Error('mine');
      },
    });
    const dnsServers = [{ address: address('2001:db8::53'), lifetimeSeconds: 30 }];
    expect(() => say({ dnsServers, prefixes: [prefixOf('2001:db8::/64', 60)] })).to.throw('mine');
    expect(() => lan.advanceMs(31_000), 'it is over').to.throw('mine');
    expect(own()).to.have.length(1);
    lan.advanceMs(31_000);
    expect(own()).to.deep.equal([]);
  });

  it('name servers that can be asked wherever one is, and no others', () => {
    const said: (readonly string[])[] = [];
    start({ onDns: ({ servers }) => void said.push(servers) });
    const texts = ['fe80::1', 'ff02::fb', '::', '2001:db8::53'];
    say({ dnsServers: texts.map((text) => ({ address: address(text), lifetimeSeconds: 60 })) });
    expect(said).to.deep.equal([['2001:db8::53']]);
  });

  it('leave no half of an address where there is no room for its routes', () => {
    start({}, { ip: { routes: 11 } });
    const { routes } = host.stack.routing;
    for (let i = routes.list().length; i < 11; i++)
      routes.add({ destination: `10.${i}.0.0/16`, port: host.index });
    say({ prefixes: [prefixOf('2001:db8::/64', 3600)] });
    expect(own()).to.deep.equal([]);
    routes.delete({ destination: '10.10.0.0/16' });
    say({ prefixes: [{ ...prefixOf('2001:db8::/64', 3600), onLink: false }] });
    expect(own()).to.have.length(1);
  });

  it('are listened to with options that are known', () => {
    const make = (routerDiscovery: unknown) => () =>
      new Lan().host('x', { ethernet: { routerDiscovery: routerDiscovery as RouterDiscoveryOptions } });
    expect(make({ ondns: () => {} })).to.throw(TypeError, 'unknown router discovery option "ondns"');
    expect(make('yes')).to.throw(TypeError).with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(make(null)).to.throw(TypeError).with.property('code', 'ERR_INVALID_ARG_TYPE');
  });
});

describe('What a router advertises', () => {
  const advertise = (options: RouterAdvertiserOptions) => () => {
    new Lan().host('router').link.advertise(options);
  };
  const prefix = '2001:db8::/64';

  it('is checked when it is given, unknown options too', () => {
    expect(advertise({ prefix } as RouterAdvertiserOptions)).to.throw(
      TypeError,
      'unknown router advertiser option',
    );
    const misspelt = { prefix, valid: 5 };
    expect(advertise({ prefixes: [misspelt] })).to.throw(TypeError, 'unknown prefix option "valid"');
    // RFC 4861 §6.2.1.
    expect(advertise({ lifetimeSeconds: 599 })).to.throw(RangeError);
    expect(advertise({ lifetimeSeconds: 9001 })).to.throw(RangeError);
    for (const lifetimeSeconds of [0, 600, 9000]) advertise({ lifetimeSeconds })();
    expect(advertise({ hopLimit: 1.5 })).to.throw(RangeError);
    expect(advertise({ mtu: 1400.5 })).to.throw(RangeError);
    expect(advertise({ prefixes: [{ prefix, validSeconds: 0.5 }] })).to.throw(RangeError);
  });

  it('prefers an address no longer than it is valid, where only that was said', () => {
    advertise({ prefixes: [{ prefix, validSeconds: 3600 }] })();
    expect(advertise({ prefixes: [{ prefix, validSeconds: 60, preferredSeconds: 61 }] })).to.throw(
      RangeError,
    );
  });

  it('fits one packet, as hosts drop fragments of it (RFC 6980 §5), and one option', () => {
    const long = Array.from({ length: 8 }, (_, i) => `${i}${'x'.repeat(60)}.`.repeat(4) + 'test');
    expect(advertise({ searchDomains: long })).to.throw(RangeError);
    advertise({ searchDomains: long.slice(0, 4) })();
    const prefixes = Array.from({ length: 16 }, (_, i) => ({ prefix: `2001:db8:${i}::/64` }));
    const routes = Array.from({ length: 16 }, (_, i) => ({ prefix: `2001:db8:1${i}::/64` }));
    advertise({ prefixes, routes })();
    expect(advertise({ prefixes, routes, searchDomains: long.slice(0, 2), mtu: 1280 })).to.throw(RangeError);
  });

  it('is taken back in the farewell, routes and name servers too', () => {
    const lan = new Lan();
    const said: string[][] = [];
    const router = lan.host('router');
    const onDns = ({ servers }: { servers: readonly string[] }): void => void said.push([...servers]);
    const host = lan.host('host', { ethernet: { routerDiscovery: { onDns } } });
    const advertiser = router.link.advertise({
      routes: [{ prefix: '2001:db8:7::/48' }],
      dnsServers: ['2001:db8::53'],
    });
    lan.advanceMs(5000);
    const learnt = (): number => host.stack.routing.routes.list({ protocol: 'ra' }).length;
    expect([learnt(), said.at(-1)]).to.deep.equal([2, ['2001:db8::53']]);
    advertiser.close();
    lan.advanceMs(10);
    expect([learnt(), said.at(-1)]).to.deep.equal([0, []]);
  });

  it('ends with the device: nothing is left to be done', () => {
    const lan = new Lan();
    const router = lan.host('router');
    const advertiser = router.link.advertise();
    lan.advanceMs(1000);
    router.device.fail(new Error('unplugged'));
    lan.advanceMs(1000);
    const { sent } = advertiser;
    lan.advanceMs(2_000_000);
    expect(advertiser.sent).to.equal(sent);
    router.stack.close();
    lan.advanceMs(1);
    expect(lan.clock.pending).to.equal(0);
  });
});

/** A checksum after a word changed (RFC 1624 §3). */
function sumAfter(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
