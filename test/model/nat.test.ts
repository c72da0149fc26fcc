/** The translator next to a naive twin that keeps lists and looks through all of them; and under packets of noise. */
import { expect } from 'chai';
import type { NatFiltering } from '../../lib/nat/options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { icmp4, v4 } from '../support/ip-wire.js';
import { flowOf, NatWorld, OUTSIDE, type Place, place, tcpPacket, udpPacket } from '../support/nat-world.js';

const SEEDS = process.env.SIM_SEED === undefined ? [1, 2, 3, 4] : [Number(process.env.SIM_SEED)];
const OPERATIONS = 800;
const UDP_MS = 120_000;
const HOSTS = ['192.168.0.2', '192.168.0.3', '192.168.0.4'];
const PEERS = ['203.0.113.5', '203.0.113.6'];

interface TwinSession {
  readonly inside: Place;
  readonly outside: Place;
  readonly remote: Place;
  lastMs: number;
}

const same = (a: Place, b: Place): boolean => a.address === b.address && a.port === b.port;

/** What RFC 4787 says, in as few words as can be. */
class Twin {
  nowMs = 0;
  sessions: TwinSession[] = [];
  readonly #filtering: NatFiltering;

  constructor(filtering: NatFiltering) {
    this.#filtering = filtering;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.sessions = this.sessions.filter(({ lastMs }) => this.nowMs - lastMs < UDP_MS);
  }

  /** As what something leaves; 'new' for any port nobody has. */
  out(inside: Place, remote: Place): Place | 'new' {
    const session = this.sessions.find((one) => same(one.inside, inside) && same(one.remote, remote));
    if (session !== undefined) {
      session.lastMs = this.nowMs;
      return session.outside;
    }
    return this.sessions.find((one) => same(one.inside, inside))?.outside ?? 'new';
  }

  add(inside: Place, outside: Place, remote: Place): void {
    this.sessions.push({ inside, outside, remote, lastMs: this.nowMs });
  }

  in(remote: Place, outside: Place): Place | undefined {
    const exact = this.sessions.find((one) => same(one.outside, outside) && same(one.remote, remote));
    if (exact !== undefined) {
      exact.lastMs = this.nowMs;
      return exact.inside;
    }
    const others = this.sessions.filter((one) => same(one.outside, outside));
    if (this.#filtering === 'endpoint-independent') return others[0]?.inside;
    if (this.#filtering === 'address-and-port-dependent') return undefined;
    return others.find((one) => one.remote.address === remote.address)?.inside;
  }
}

for (const filtering of [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
] as const) {
  describe(`NAT next to its twin, filtering ${filtering}`, function () {
    this.timeout(30_000);
    this.slow(3000);

    for (const seed of SEEDS) {
      it(`says the same for ${OPERATIONS} random packets, SIM_SEED=${seed} [NU-1 NU-3 NU-8]`, () => {
        const random = new SeededRandom(seed);
        const below = (bound: number): number => random.uint32() % bound;
        const world = new NatWorld({ filtering, udpMs: UDP_MS, seed });
        const twin = new Twin(filtering);
        const host = (): Place => place(HOSTS[below(3)], [500, 4000, 4001, 4002, 5000][below(5)]);
        const peer = (): Place => place(PEERS[below(2)], 53 + below(4));
        const known = (): Place =>
          below(4) > 0 && twin.sessions.length > 0
            ? twin.sessions[below(twin.sessions.length)].outside
            : place(OUTSIDE, 4000 + below(3));
        for (let i = 0; i < OPERATIONS; i++) {
          const step = `operation ${i}`;
          const kind = below(10);
          if (kind === 0) {
            const ms = below(40_000);
            world.pass(ms);
            twin.pass(ms);
          } else if (kind < 6) {
            const inside = host();
            const remote = peer();
            const expected = twin.out(inside, remote);
            const seen = world.out(udpPacket(inside, remote)).map(flowOf);
            world.takeInside();
            expect(seen, step).to.have.length(1);
            const { from } = seen[0];
            if (expected === 'new') {
              expect(
                twin.sessions.some(({ outside }) => same(outside, from)),
                step,
              ).to.equal(false);
            } else {
              expect(from, step).to.deep.equal(expected);
            }
            if (!twin.sessions.some((one) => same(one.inside, inside) && same(one.remote, remote))) {
              twin.add(inside, from, remote);
            }
          } else {
            const remote = peer();
            const outside = known();
            const [seen] = world.in(udpPacket(remote, outside)).map(flowOf);
            expect(seen?.to, step).to.deep.equal(twin.in(remote, outside));
            world.takeOutside();
          }
          expect(world.nat.stats.sessions, step).to.equal(twin.sessions.length);
          const mappings = new Set(twin.sessions.map(({ outside }) => outside.port));
          expect(world.nat.stats.mappings, step).to.equal(mappings.size);
        }
        world.pass(UDP_MS);
        expect(world.nat.stats).to.include({ sessions: 0, mappings: 0 });
        world.close();
        expect(world.clock.pending).to.equal(0);
      });
    }
  });
}

describe('NAT under noise', function () {
  this.timeout(30_000);
  this.slow(3000);

  for (const seed of SEEDS) {
    it(`throws at nothing, sends nothing wrong, and lets go of all, SIM_SEED=${seed} [NL-8]`, () => {
      const random = new SeededRandom(seed + 100);
      const below = (bound: number): number => random.uint32() % bound;
      const world = new NatWorld({ families: [4, 6], maxSessions: 200, seed, ports: [1024, 1200] });
      world.nat.forward({ protocol: 'tcp', outsidePort: 80, insideAddress: HOSTS[0] });
      const flags = ['S', 'S.', '.', 'F.', 'R', 'R.', 'P.', 'SF', ''];
      const inside = (): Place => place(HOSTS[below(3)], below(3) === 0 ? 80 : 1000 + below(300));
      const peer = (): Place => place(PEERS[below(2)], 50 + below(50));
      const outside = (): Place => place(OUTSIDE, below(3) === 0 ? 80 : 1000 + below(300));
      const packet = (from: Place, to: Place): Uint8Array => {
        const kind = below(6);
        if (kind < 2) return udpPacket(from, to);
        if (kind < 4) return tcpPacket(from, to, flags[below(flags.length)], [1, 2]);
        const quoted = below(2) === 0 ? udpPacket(to, from) : tcpPacket(to, from, '.');
        const message =
          kind === 4 ? icmp4(below(2) * 8, 0, below(1000) << 16) : icmp4([3, 11, 12][below(3)], 0, 0, quoted);
        return v4({ from: from.address, to: to.address, protocol: 1, payload: message });
      };
      for (let i = 0; i < 6000; i++) {
        const out = below(2) === 0;
        const made = out ? packet(inside(), below(4) === 0 ? outside() : peer()) : packet(peer(), outside());
        // Behind the checksum of its IP header, so that it comes as far as the translator.
        if (below(3) === 0) made[20 + below(made.length - 20)] ^= 1 << below(8);
        if (below(50) === 0) world.pass(below(100_000));
        (out ? world.inside : world.outside).inject([made]);
        world.takeInside();
        world.takeOutside();
      }
      const { sessions, mappings } = world.nat.stats;
      expect([...world.nat.sessions()].length).to.equal(sessions);
      expect(sessions).to.be.within(mappings, 200);
      world.pass(7_500_000);
      expect(world.nat.stats).to.include({ sessions: 0, mappings: 0 });
      world.close();
      expect(world.clock.pending).to.equal(0);
    });
  }
});
