/**
 * What somebody on a neighbouring network, who sees none of our packets, can learn or do: rows A14, A17 and
 * A19 of robustness.md.
 */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { IpOptions } from '../../../lib/ip/options.js';
import { PathMtuCache } from '../../../lib/ip/path-mtu.js';
import type { Route } from '../../../lib/ip/route.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { icmp4, icmp6, tcp, udp, v4, v6 } from '../../support/ip-wire.js';
import type { SentPacket } from '../../support/packet-check.js';
import { type FamilyChoice, forEachFamily, Peer } from '../../support/peer.js';
import { finishLater } from '../../support/scenario-hooks.js';
import { WireLink } from '../../support/wire-link.js';

/** As of a host with a tunnel, which leads everywhere, and a wireless network where the attacker is. */
class TwoLinks {
  readonly peer: Peer;
  /** Index 2; the tunnel is the link of the peer, with the default route. */
  readonly wireless = new WireLink({ name: 'wireless' });
  readonly sent: SentPacket[] = [];
  readonly #six: boolean;

  constructor(family: FamilyChoice, ip: Partial<IpOptions>) {
    this.#six = family.ipv6 === true;
    this.peer = Peer.established({ ...family, ip, mss: 1000 });
    this.wireless.onSent = (packet) => this.sent.push(packet);
    this.peer.stack.addLink(this.wireless, { addresses: ['192.168.1.5/24', 'fd01::5/64'] });
  }

  get virtual(): string {
    return this.#six ? 'fd00::1' : '10.0.0.1';
  }

  get local(): string {
    return this.#six ? 'fd01::5' : '192.168.1.5';
  }

  get attacker(): string {
    return this.#six ? 'fd01::66' : '192.168.1.66';
  }

  get server(): string {
    return this.#six ? 'fd00::2' : '10.0.0.2';
  }

  /** The lines of the peer, as if they came by the wireless network. */
  spoof(...lines: readonly string[]): void {
    for (const line of lines) {
      this.wireless.inject([this.peer.packet(line)]);
      this.peer.host.settle();
    }
  }

  /** One packet of each kind that may have an answer, to an address, by the wireless network. */
  probe(from: string, to: string): void {
    const ping = new Uint8Array(16);
    const kinds: readonly [number, Uint8Array][] = [
      [6, tcp(from, to, [], [4000, 80])],
      [6, tcp(from, to, [], [4000, 81])],
      [17, udp(from, to)],
      [99, ping],
      this.#six ? [58, icmp6([from, to], 128, 0, 7, ping)] : [1, icmp4(8, 0, 7, ping)],
    ];
    const packets = kinds.map(([protocol, payload]) =>
      this.#six ? v6({ from, to, next: protocol, payload }) : v4({ from, to, protocol, payload }),
    );
    this.wireless.inject(packets);
    this.peer.host.settle();
  }

  /** How many packets left, by the wireless network and by the tunnel; all are taken. */
  answers(): [wireless: number, tunnel: number] {
    const { peer } = this;
    return [this.sent.splice(0).length, peer.drain().length + peer.host.unclaimed.splice(0).length];
  }

  /** All that probing might change. */
  get known(): unknown {
    const { info, connection } = this.peer.endpoint;
    const { rcvNxt } = connection.receiver ?? {};
    return [info.state, info.cwndBytes, rcvNxt, connection.sender.sndUna, this.peer.stats.tcp.challengeAcks];
  }
}

/** Segments of the connection itself: those that end it, those that get an answer, and text. */
const GUESSES = [
  '< R 1:1(0)',
  '< R 2:2(0)',
  '< S 1:1(0)',
  '< . 1:1(0) ack 900000',
  '< . 70000:70000(0) ack 1',
  '< . 1:101(100) ack 1',
  '< . 501:601(100) ack 1',
  '< F. 1:1(0) ack 1',
] as const;

describe('a neighbour who probes an address of a tunnel', () => {
  const drops = ({ peer }: TwoLinks, reason: DropReason): number => peer.stats.drops.count(reason);

  forEachFamily((family, name) => {
    it(`hears nothing, whichever address and connection there is, when strict, over ${name} (CVE-2019-14899) [A14]`, () => {
      const links = new TwoLinks(family, { strongHost: true, reversePathFilter: 'strict' });
      const { peer, virtual, local, attacker, server } = links;
      const before = links.known;
      // Which address of the tunnel is it? One of these is.
      const other = family.ipv6 ? 'fd00::77' : '10.0.0.77';
      for (const to of [virtual, other]) links.probe(attacker, to);
      // Is there a connection to that server?
      for (const to of [virtual, other]) links.probe(server, to);
      links.spoof(...GUESSES);
      expect(drops(links, DropReason.IpNotForUs)).to.equal(20 + GUESSES.length);
      // Answers to a source that lives elsewhere would go out by the tunnel.
      links.probe(server, local);
      links.probe(family.ipv6 ? '2001:db8::9' : '203.0.113.9', local);
      expect(drops(links, DropReason.IpReversePath)).to.equal(10);
      peer.advanceMs(5000);
      expect(links.answers()).to.deep.equal([0, 0]);
      expect(links.known).to.deep.equal(before);
      peer.expectEvents();
      // Neighbours are still served at the address they may know, and the tunnel works.
      links.probe(attacker, local);
      expect(links.answers()).to.deep.equal([5, 0]);
      peer.send('< . 1:101(100) ack 1').expectRead(100).wrote(500).ackAll();
    });

    it(`is stopped by either switch as far as it goes, and answered without, over ${name} (RFC 1122 §3.3.4.2, RFC 3704 §2) [A14]`, () => {
      const heard = (ip: Partial<IpOptions>): number[][] => {
        const links = new TwoLinks(family, ip);
        links.probe(links.attacker, links.virtual);
        const direct = links.answers();
        links.probe(links.server, links.local);
        const spoofed = links.answers();
        links.spoof('< R 2:2(0)');
        return [direct, spoofed, links.answers()];
      };
      const [nothing, byWireless, byTunnel, challenge] = [
        [0, 0],
        [5, 0],
        [0, 5],
        [0, 1],
      ];
      expect(heard({})).to.deep.equal([byWireless, byTunnel, challenge]);
      expect(heard({ strongHost: true })).to.deep.equal([nothing, byTunnel, nothing]);
      expect(heard({ reversePathFilter: 'strict' })).to.deep.equal([byWireless, nothing, nothing]);
    });

    it(`cannot touch a connection whose packets come by another link, when strict, over ${name} [A19]`, () => {
      for (const guess of GUESSES) {
        // The address is ours on either link, so that only the way back tells them apart.
        const strict = new TwoLinks(family, { reversePathFilter: 'strict' });
        const before = strict.known;
        strict.spoof(guess);
        expect(drops(strict, DropReason.IpReversePath), guess).to.equal(1);
        expect([strict.known, strict.answers()], guess).to.deep.equal([before, [0, 0]]);
        strict.peer.expectEvents().send('< . 1:101(100) ack 1').expectRead(100);
      }
    });

    it(`is the same peer where nothing is strict: links do not name connections, routes send answers, over ${name} (RFC 1122 §3.3.4.2) [A19]`, () => {
      const links = new TwoLinks(family, {});
      links.spoof('< . 1:101(100) ack 1');
      links.peer.expectRead(100);
      links.peer.wrote(500);
      expect(links.sent, 'all goes by the tunnel').to.have.length(0);
      expect(links.peer.stack.tcp.connections).to.equal(1);
    });

    it(`shares nothing with another stack that has the same addresses and ports, over ${name} [A19]`, () => {
      const one = Peer.established({ ...family, mss: 1000 });
      const two = Peer.established({ ...family, mss: 1000, seed: 2 });
      one.send('< . 1:101(100) ack 1').drain();
      two.send('< . 1:51(50) ack 1').drain();
      expect([one.endpoint.readableBytes, two.endpoint.readableBytes]).to.deep.equal([100, 50]);
      one.send('< R 101:101(0)').expectState('CLOSED');
      two.expectState('ESTABLISHED').expectRead(50);
      two.wrote(700).ackAll();
    });
  });
});

describe('a listener with a link of its own', () => {
  forEachFamily((family, name) => {
    it(`has connections of its own there: the same addresses and ports on two links are two, over ${name} [A19]`, () => {
      const peer = Peer.closed(family);
      const { host } = peer;
      const other = new WireLink({ name: 'other' });
      const sent: SentPacket[] = [];
      other.onSent = (packet) => sent.push(packet);
      const second = host.stack.addLink(other, {
        addresses: [family.ipv6 ? 'fd02::1/64' : '10.2.0.1/24'],
      });
      const accepted: TcpEndpoint[][] = [[], []];
      [1, second].forEach((link, i) => {
        const listener = host.stack.listenTcp({ port: 80, link });
        listener.onConnection = () => {
          const endpoint = listener.accept();
          if (endpoint !== undefined) accepted[i].push(host.adopt(endpoint));
        };
        finishLater({ finish: () => listener.close() });
      });
      const routes = host.stack.routing.routes;
      routes.add({ destination: family.ipv6 ? '::/0' : '0.0.0.0/0', port: second, metric: 5000 });
      const byOther = (line: string): void => {
        other.inject([peer.packet(line)]);
        host.settle();
      };
      peer.send('< S 0:0(0) win 65535 <mss 1000>').expect('> S. 0:0(0) ack 1');
      peer.advanceMs(20).send('< . 1:1(0) ack 1');
      expect(accepted.map(({ length }) => length)).to.deep.equal([1, 0]);
      byOther('< S 700:700(0) win 65535 <mss 1000>');
      expect(sent, 'a SYN-ACK of its own').to.have.length(1);
      // Its numbers, 20 ms later, are 5,000 above those of the other.
      byOther('< . 701:711(10) ack 5001');
      peer.send('< . 1:101(100) ack 1').drain();
      expect(accepted.map(({ length }) => length)).to.deep.equal([1, 1]);
      const [[one], [two]] = accepted;
      expect([one.readableBytes, two.readableBytes]).to.deep.equal([100, 10]);
      expect(host.stack.tcp.connections).to.equal(2);
      // What would end one, or be challenged, is nothing to the other.
      for (const line of ['< R 101:101(0)', '< . 101:201(100) ack 1']) byOther(line);
      expect([one.info.state, two.info.state]).to.deep.equal(['ESTABLISHED', 'ESTABLISHED']);
      byOther('< R 711:711(0)');
      expect([one.info.state, two.info.state]).to.deep.equal(['ESTABLISHED', 'CLOSED']);
      peer.send('< . 101:201(100) ack 1').drain();
      expect(one.readableBytes).to.equal(200);
      one.abort();
      host.settle();
      peer.drain();
      expect(host.stack.tcp.connections).to.equal(0);
      expect(other.faults).to.deep.equal([]);
    });

    it(`takes no segment of its connections by another link, whatever it is, over ${name} [A19]`, () => {
      const peer = Peer.closed(family);
      const { host } = peer;
      const other = new WireLink({ name: 'other' });
      host.stack.addLink(other);
      const listener = host.stack.listenTcp({ port: 80, link: 1 });
      finishLater({ finish: () => listener.close() });
      let endpoint: TcpEndpoint | undefined;
      listener.onConnection = () => {
        endpoint = listener.accept();
        if (endpoint !== undefined) host.adopt(endpoint);
      };
      peer.sendSyn().drain();
      // Neither while it is half open, nor when it is whole: to another link this is nobody.
      for (const line of ['< R 1:1(0)', '< . 1:1(0) ack 1']) other.inject([peer.packet(line)]);
      peer.send('< . 1:1(0) ack 1');
      expect(endpoint?.info.state).to.equal('ESTABLISHED');
      const before = host.stack.stats.drops.count(DropReason.TcpNoConnection);
      other.inject(GUESSES.map((line) => peer.packet(line)));
      host.settle();
      expect(host.stack.stats.drops.count(DropReason.TcpNoConnection)).to.equal(before + GUESSES.length);
      expect([endpoint?.info.state, endpoint?.readableBytes]).to.deep.equal(['ESTABLISHED', 0]);
      expect(host.stack.stats.tcp.challengeAcks).to.equal(0);
      peer.send('< . 1:101(100) ack 1').drain();
      expect(endpoint?.readableBytes).to.equal(100);
      // So it is with ICMP errors: they are about the connection of the link they come by.
      endpoint?.write(new Uint8Array(50));
      host.settle();
      peer.drain();
      const about = peer.last?.bytes ?? expect.fail('a segment');
      const error = family.ipv6
        ? v6({
            from: 'fd00::fe',
            to: 'fd00::1',
            next: 58,
            payload: icmp6(['fd00::fe', 'fd00::1'], 1, 0, 0, about),
          })
        : v4({ from: '10.0.0.254', protocol: 1, payload: icmp4(3, 1, 0, about) });
      const { icmp } = host.stack.stats;
      for (const [link, unmatched] of [
        [other, 1],
        [host.wire, 1],
      ] as const) {
        link.inject([error]);
        host.settle();
        expect(icmp.inUnmatched).to.equal(unmatched);
      }
      expect(icmp.inMsgs).to.equal(2);
    });
  });
});

describe('a full table of path MTUs', () => {
  const SIZE = 64;
  const address = (i: number): IpAddress => IpAddress.parse(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  const limits = { pathExceptions: SIZE, pathMtuMs: 600_000, redirectMs: 1000, pathMtuFloor4: 552 };
  let route: Route | undefined;
  beforeEach(() => {
    route = Peer.closed().stack.ip.resolve({ destination: address(9), protocol: 6 }).route;
  });
  const learn = (cache: PathMtuCache, i: number): void => {
    cache.learn({ destination: address(i), route, mtu: 1500 }, 1400, 0);
  };
  const knows = (cache: PathMtuCache, i: number): boolean => cache.find(address(i), route)?.mtu === 1400;

  it('gives up any entry for a newcomer, each as likely as the others (CVE-2021-20322) [A17]', () => {
    const rounds = 6400;
    const victims = new Float64Array(SIZE);
    for (let seed = 1; seed <= rounds; seed++) {
      const cache = new PathMtuCache(new SeededRandom(seed), limits);
      for (let i = 0; i <= SIZE; i++) learn(cache, i);
      expect(knows(cache, SIZE), 'the newcomer itself').to.equal(true);
      const gone = Array.from({ length: SIZE }, (_, i) => i).filter((i) => !knows(cache, i));
      expect(gone).to.have.length(1);
      victims[gone[0]]++;
    }
    const expected = rounds / SIZE;
    let chiSquare = 0;
    for (const seen of victims) chiSquare += (seen - expected) ** 2 / expected;
    // 63 degrees of freedom: mean 63, standard deviation 11.2.
    expect(chiSquare).to.be.within(63 - 5 * 11.2, 63 + 5 * 11.2);
  });

  it('has a hash keyed by 64 bits of its own, and draws for each entry that leaves (CVE-2021-20322) [A17]', () => {
    const inner = new SeededRandom(3);
    let drawn = 0;
    const random = {
      uint32: (): number => {
        drawn++;
        return inner.uint32();
      },
    };
    const cache = new PathMtuCache(random, limits);
    expect(drawn).to.equal(2);
    for (let i = 0; i < SIZE; i++) learn(cache, i);
    expect(drawn).to.equal(2);
    for (let i = SIZE; i < 3 * SIZE; i++) learn(cache, i);
    expect(drawn).to.be.at.least(2 + 2 * SIZE);
  });

  it('is as large after a flood as before, and empty when all has ended (soak) [A17]', () => {
    const cache = new PathMtuCache(new SeededRandom(5), limits);
    for (let i = 0; i < 100_000; i++) {
      learn(cache, i);
      if (cache.size > SIZE) expect.fail(`${cache.size} entries`);
    }
    expect(cache.evictions).to.equal(100_000 - SIZE);
    expect(cache.list()).to.have.length(SIZE);
    for (const { destination } of cache.list()) expect(cache.find(destination, route)?.mtu).to.equal(1400);
    cache.expire(600_000_000);
    expect([cache.size, cache.list().length]).to.deep.equal([0, 0]);
  });
});
