import { expect } from 'chai';
import { DhcpClient } from '../../lib/dhcp/client.js';
import type { DhcpClientOptions } from '../../lib/dhcp/client-options.js';
import type { DhcpLease } from '../../lib/dhcp/lease.js';
import { DhcpType, readDhcp } from '../../lib/dhcp/message.js';
import { DhcpServer } from '../../lib/dhcp/server.js';
import type { DhcpServerOptions, ServedLease } from '../../lib/dhcp/server-options.js';
import { readUdp } from '../../lib/dhcp/udp-packet.js';
import { Lan, type LanHost, Pinger, viewOf } from '../ethernet/lan.js';

const IPV4 = 0x0800;

describe('DHCP', () => {
  let lan: Lan;
  let gateway: LanHost;
  let host: LanHost;
  let leases: DhcpLease[];
  let lost: string[];

  beforeEach(() => {
    lan = new Lan();
    gateway = lan.host('gateway', { addresses: ['10.0.0.1/24'] });
    host = lan.host('host', { ethernet: { mac: '52:54:00:00:00:0b' } });
    leases = [];
    lost = [];
    lan.advanceMs(10);
    lan.seen.length = 0;
  });

  const serve = (options: Partial<DhcpServerOptions> = {}): DhcpServer =>
    new DhcpServer({
      link: gateway.link,
      clock: lan.clock,
      address: '10.0.0.1/24',
      pool: ['10.0.0.100', '10.0.0.109'],
      ...options,
    });

  const ask = (options: Partial<DhcpClientOptions> = {}, of = host): DhcpClient =>
    new DhcpClient({
      link: of.link,
      clock: lan.clock,
      random: lan.random,
      onLease: (lease) => void leases.push(lease),
      onLost: (reason) => void lost.push(reason),
      ...options,
    });

  const messages = (): string[] =>
    lan.framesOf(IPV4).flatMap((frame) => {
      const udp = readUdp(frame.subarray(14));
      const message = udp === undefined ? undefined : readDhcp(udp.payload);
      const name = Object.entries(DhcpType).find(([, type]) => type === message?.type)?.[0];
      return name === undefined ? [] : [name];
    });

  it('gets an address, a router and name servers in four messages, and gives the address back (RFC 2131 §3.1)', () => {
    const server = serve({
      dnsServers: ['10.0.0.53'],
      domain: 'lan.test',
      searchDomains: ['a.test', 'b.a.test'],
      mtu: 1400,
    });
    const client = ask({ hostname: 'vm' });
    lan.advanceMs(5000);
    expect(messages()).to.deep.equal(['Discover', 'Offer', 'Request', 'Ack']);
    expect(client.state).to.equal('bound');
    expect(leases).to.deep.equal([
      {
        address: '10.0.0.100/24',
        server: '10.0.0.1',
        leaseSeconds: 3600,
        renewSeconds: 1800,
        rebindSeconds: 3150,
        routers: ['10.0.0.1'],
        routes: [],
        dnsServers: ['10.0.0.53'],
        domain: 'lan.test',
        searchDomains: ['a.test', 'b.a.test'],
        mtu: 1400,
      },
    ]);
    expect(host.stack.ip.addresses(host.index).map(({ address }) => address)).to.include('10.0.0.100/24');
    const ping = new Pinger(host.stack);
    expect(ping.send('10.0.0.1')).to.equal('');
    expect(ping.send('192.0.2.1'), 'there is a default route').to.equal('');
    lan.advanceMs(100);
    expect(ping.replies).to.deep.equal([1]);
    const [lease] = server.leases();
    expect(lease).to.include({ address: '10.0.0.100', mac: '52:54:00:00:00:0b', hostname: 'vm' });
    client.close();
    lan.advanceMs(10);
    expect(server.leases()).to.deep.equal([]);
    expect(server.stats.releases).to.equal(1);
    expect(host.stack.ip.addresses(host.index).map(({ address }) => address)).to.not.include('10.0.0.100/24');
    expect(ping.send('192.0.2.1')).to.equal('ENETUNREACH');
  });

  it('renews half-way with its server alone, and keeps the address', () => {
    const server = serve();
    const client = ask();
    lan.advanceMs(5000);
    lan.seen.length = 0;
    lan.advanceMs(1_800_000);
    expect(messages()).to.deep.equal(['Request', 'Ack']);
    const request = lan.framesOf(IPV4).find((frame) => viewOf(frame).getUint16(36) === 67);
    expect(request?.subarray(30, 34)).to.deep.equal(Uint8Array.of(10, 0, 0, 1));
    expect(client.state).to.equal('bound');
    expect(client.stats.renewals).to.equal(1);
    expect(server.stats.acks).to.equal(2);
    lan.advanceMs(100_000_000);
    expect(client.state).to.equal('bound');
    expect(lost).to.deep.equal([]);
  });

  it('asks any server from T2 on, and gives the address up when its time is over (RFC 2131 §4.4.5)', () => {
    const server = serve();
    const client = ask();
    lan.advanceMs(5000);
    server.close();
    lan.advanceMs(3_100_000);
    expect(client.state).to.equal('renewing');
    lan.seen.length = 0;
    lan.advanceMs(100_000);
    expect(client.state).to.equal('rebinding');
    expect(lan.framesOf(IPV4).at(-1)?.subarray(0, 6)).to.deep.equal(new Uint8Array(6).fill(255));
    lan.advanceMs(400_000);
    expect(lost).to.deep.equal(['expired']);
    expect(client.state).to.equal('selecting');
    expect(host.stack.ip.addresses(host.index).filter(({ family }) => family === 4)).to.deep.equal([]);
    serve();
    lan.advanceMs(100_000);
    expect(client.state).to.equal('bound');
  });

  it('waits 4, 8, 16, 32, 64 s, each a second more or less, while no server answers (RFC 2131 §4.1)', () => {
    const client = ask();
    const times: number[] = [];
    lan.listen(() => void times.push(lan.clock.nowUs() / 1e6));
    lan.advanceMs(200_000);
    client.close();
    const gaps = times.slice(1).map((time, i) => time - times[i]);
    expect(gaps).to.have.length.greaterThan(4);
    for (const [i, expected] of [4, 8, 16, 32, 64].entries()) {
      expect(gaps[i]).to.be.within(expected - 1, expected + 1);
    }
  });

  it('survives the loss of any one of the first eight frames', () => {
    for (let lostFrame = 0; lostFrame < 8; lostFrame++) {
      const net = new Lan();
      const from = net.host('gateway', { addresses: ['10.0.0.1/24'] });
      const to = net.host('host');
      net.advanceMs(10);
      let count = 0;
      net.passes = () => count++ !== lostFrame;
      const server = new DhcpServer({
        link: from.link,
        clock: net.clock,
        address: '10.0.0.1/24',
        pool: ['10.0.0.100', '10.0.0.109'],
      });
      const client = new DhcpClient({ link: to.link, clock: net.clock, random: net.random });
      net.advanceMs(60_000);
      expect(client.state, `frame ${lostFrame}`).to.equal('bound');
      expect(server.leases()).to.have.length(1);
    }
  });

  it('declines an address somebody has, waits, and gets another (RFC 2131 §3.1 (5))', () => {
    const server = serve({ probeMs: 0 });
    const squatter = lan.host('squatter', { addresses: ['10.0.0.100/24'] });
    const client = ask();
    lan.advanceMs(5000);
    expect(client.state).to.equal('waiting');
    expect(server.stats.declines).to.equal(1);
    lan.advanceMs(12_000);
    expect(client.lease?.address).to.equal('10.0.0.101/24');
    expect(squatter.link.counters.addressConflicts).to.equal(0);
  });

  it('offers nobody an address of the stack it runs on', () => {
    gateway.stack.ip.addAddress(gateway.index, '10.0.0.100/24');
    serve();
    const client = ask({ requestAddress: '10.0.0.100' });
    lan.advanceMs(5000);
    expect(client.lease?.address).to.equal('10.0.0.101/24');
  });

  it('offers nobody an address that somebody answers for by ARP', () => {
    const server = serve();
    lan.host('squatter', { addresses: ['10.0.0.100/24'] });
    const client = ask();
    lan.advanceMs(20_000);
    expect(server.stats.conflicts).to.equal(1);
    expect(client.stats.conflicts).to.equal(0);
    expect(client.lease?.address).to.equal('10.0.0.101/24');
  });

  it('gives a client the address it had, keeps some for certain clients, and the rest to the others', () => {
    const server = serve({ statics: [{ address: '10.0.0.50', mac: '52:54:00:00:00:0c' }] });
    const kept = lan.host('kept', { ethernet: { mac: '52:54:00:00:00:0c' } });
    const first = ask();
    const second = ask({}, kept);
    lan.advanceMs(5000);
    expect([first.lease?.address, second.lease?.address]).to.deep.equal(['10.0.0.100/24', '10.0.0.50/24']);
    first.close();
    lan.advanceMs(100);
    const other = lan.host('other');
    const third = ask({}, other);
    lan.advanceMs(5000);
    expect(third.lease?.address).to.equal('10.0.0.101/24');
    const again = ask();
    lan.advanceMs(5000);
    expect(again.lease?.address).to.equal('10.0.0.100/24');
    expect(server.leases()).to.have.length(3);
  });

  it('has as many leases as addresses, counts who goes without, and lends again what is over', () => {
    const server = serve({ pool: ['10.0.0.100', '10.0.0.101'], leaseSeconds: 60, probeMs: 0 });
    const hosts = [1, 2, 3].map((i) => lan.host(`h${i}`));
    const clients = hosts.map((one) => ask({ probeMs: 0 }, one));
    lan.advanceMs(30_000);
    expect(server.leases()).to.have.length(2);
    expect(server.stats.poolExhausted).to.be.greaterThan(0);
    const bound = clients.filter(({ state }) => state === 'bound');
    expect(bound).to.have.length(2);
    bound[0].close();
    lan.advanceMs(130_000);
    expect(server.leases()).to.have.length(2);
  });

  it('tells a client with an address of another network that it cannot have it, and starts it anew', () => {
    const server = serve();
    const client = ask();
    lan.advanceMs(5000);
    server.close();
    gateway.stack.ip.addAddress(gateway.index, '10.9.0.1/24');
    const next = new DhcpServer({
      link: gateway.link,
      clock: lan.clock,
      address: '10.9.0.1/24',
      pool: ['10.9.0.10', '10.9.0.20'],
    });
    client.renew();
    lan.advanceMs(4_000_000);
    expect(next.stats.naks).to.be.greaterThan(0);
    expect(lost).to.deep.equal(['refused']);
    expect(client.lease?.address).to.equal('10.9.0.10/24');
  });

  it('takes routes to networks in place of the router (RFC 3442)', () => {
    serve({ routes: [{ destination: '192.168.4.0/22', gateway: '10.0.0.7' }] });
    const client = ask();
    lan.advanceMs(5000);
    expect(client.lease?.routes).to.deep.equal([
      { destination: '192.168.4.0/22', gateway: '10.0.0.7' },
      { destination: '0.0.0.0/0', gateway: '10.0.0.1' },
    ]);
    const { routes } = host.stack.routing;
    expect(JSON.stringify(routes.get('192.168.5.1'))).to.include('10.0.0.7');
    expect(JSON.stringify(routes.get('8.8.8.8'))).to.include('10.0.0.1');
    client.close();
    expect(routes.list({ protocol: 'dhcp' })).to.deep.equal([]);
  });

  it('remembers leases it is given, and tells of each change', () => {
    const told: ServedLease[] = [];
    const before = serve({ onLease: (lease) => void told.push(lease) });
    const client = ask();
    lan.advanceMs(5000);
    const kept = before.leases();
    expect(told).to.have.length(1);
    before.close();
    const after = serve({ leases: kept });
    expect(after.leases()).to.deep.equal(kept);
    client.renew();
    lan.advanceMs(100);
    expect(client.stats.renewals).to.equal(1);
    expect(after.stats.naks).to.equal(0);
  });

  it('believes no answer to another question, though it comes from its server', () => {
    const server = serve();
    const client = ask();
    lan.advanceMs(5000);
    const old = lan.framesOf(IPV4).filter((frame) => viewOf(frame).getUint16(36) === 68);
    server.close();
    client.renew();
    lan.advanceMs(10);
    for (const frame of old) lan.inject(frame);
    lan.advanceMs(10);
    expect(client.state).to.equal('renewing');
    expect(client.stats.renewals).to.equal(0);
    expect(client.stats.ignored).to.equal(old.length);
  });

  it('refuses options that cannot be right', () => {
    expect(() => serve({ address: '10.0.0.1/31' })).to.throw(TypeError);
    expect(() => serve({ pool: ['10.0.0.9', '10.0.0.2'] })).to.throw(RangeError);
    expect(() => serve({ pool: ['10.0.1.2', '10.0.1.9'] })).to.throw(RangeError);
    expect(() => serve({ leaseSeconds: 1 })).to.throw(RangeError);
    expect(() => serve({ dnsServers: ['fd00::1'] })).to.throw(TypeError);
    expect(() => serve({ statics: [{ address: '10.0.0.9' }] })).to.throw(TypeError);
    expect(() => serve({ domain: 'a b' })).to.throw(TypeError);
    expect(() => ask({ clientId: new Uint8Array(1) })).to.throw(RangeError);
    expect(() => ask({ hostname: 'a b' })).to.throw(RangeError);
    serve();
    expect(() => serve()).to.throw('EADDRINUSE');
    const client = ask();
    expect(() => ask()).to.throw('EADDRINUSE');
    client.close();
  });

  it('lives through random changes to whatever clients and servers may say, and counts them [E31]', () => {
    const server = serve({
      probeMs: 0,
      dnsServers: ['10.0.0.53'],
      searchDomains: ['a.test'],
      routes: [{ destination: '10.7.0.0/16', gateway: '10.0.0.3' }],
    });
    const client = ask({ probeMs: 0 });
    lan.advanceMs(5000);
    const seeds = lan.framesOf(IPV4).map((frame) => frame.slice());
    const { random } = lan;
    for (let run = 0; run < 20_000; run++) {
      const seed = seeds[run % seeds.length];
      const frame = seed.slice(0, run % 7 === 0 ? 14 + (random.uint32() % (seed.length - 14)) : seed.length);
      const changes = 1 + (random.uint32() % 4);
      for (let i = 0; i < changes; i++)
        frame[14 + (random.uint32() % (frame.length - 14))] = random.uint32() & 0xff;
      fixUdp(frame);
      lan.inject(frame);
      if (run % 64 === 0) lan.advanceMs(20);
      lan.seen.length = 0;
    }
    lan.advanceMs(10_000);
    expect(server.stats.malformed).to.be.greaterThan(100);
    expect(client.stats.malformed + client.stats.ignored).to.be.greaterThan(100);
    expect(server.leases().length).to.be.at.most(10);
  });
});

/** Makes both checksums right again, so that what was changed is looked at. */
function fixUdp(frame: Uint8Array): void {
  const view = viewOf(frame);
  if (frame.length < 42) return;
  view.setUint16(24, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(24, ~sum & 0xffff);
  view.setUint16(40, 0);
}
