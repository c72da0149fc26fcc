/**
 * A translator with room for almost nothing, whose outside addresses and port forwards come and go: whatever happens,
 * no two endpoints inside share one outside, the counters say what there is, and in the end nothing is left.
 */
import { expect } from 'chai';
import type { PortForward } from '../../lib/nat/nat.js';
import type { NatFiltering } from '../../lib/nat/options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { NatWorld, OUTSIDE, type Place, place, tcpPacket, udpPacket } from '../support/nat-world.js';

const SEEDS = process.env.SIM_SEED === undefined ? [1, 2, 3, 4, 5, 6] : [Number(process.env.SIM_SEED)];
const OPERATIONS = 600;
const OTHERS = ['198.51.101.9', '198.51.102.9'];
const OUTSIDE_LINK = 2;
const FILTERINGS: readonly NatFiltering[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

class Churn {
  readonly world: NatWorld;
  readonly #random: SeededRandom;
  readonly #added = new Set<string>();
  readonly #forwards: PortForward[] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.world = new NatWorld({
      seed,
      maxMappings: 3 + this.#below(8),
      maxMappingsPerSource: 1 + this.#below(5),
      maxSessions: 3 + this.#below(10),
      maxSessionsPerSource: 1 + this.#below(6),
      maxForwards: 5,
      maxHeldSyns: 3,
      ports: [2000, 2000 + this.#below(8)],
      filtering: this.#one(FILTERINGS),
    });
  }

  step(): void {
    const { world } = this;
    const inside = place(`192.168.0.${2 + this.#below(5)}`, this.#one([53, 80, 500, 2001, 4000, 4001]));
    const far = place(`203.0.113.${5 + this.#below(3)}`, 50 + this.#below(4));
    const outside = place(this.#one([OUTSIDE, ...OTHERS]), this.#one([2000, 2001, 2002, 80, 81, 53]));
    const flags = this.#one(['S', 'S.', '.', 'F.', 'R']);
    const steps: readonly (() => unknown)[] = [
      () => world.out(udpPacket(inside, far)),
      () => world.out(udpPacket(inside, far)),
      () => world.out(tcpPacket(inside, far, flags)),
      () => world.out(udpPacket(inside, outside)),
      () => world.out(tcpPacket(inside, outside, 'S')),
      () => world.in(udpPacket(far, outside)),
      () => world.in(tcpPacket(far, outside, flags)),
      () => world.pass(this.#below(8000)),
      () => this.#changeAddress(this.#one(OTHERS)),
      () => world.stack.ip.deprecateAddress(OUTSIDE_LINK, OUTSIDE, this.#below(2) === 0),
      () => this.#changeForwards(inside),
    ];
    this.#one(steps)();
    world.takeInside();
    world.takeOutside();
  }

  end(): void {
    for (const forward of this.#forwards) forward.close();
    this.world.pass(7_500_000);
  }

  #changeAddress(address: string): void {
    const { ip } = this.world.stack;
    if (!this.#added.delete(address)) {
      ip.addAddress(OUTSIDE_LINK, `${address}/24`);
      this.#added.add(address);
    } else if (this.#below(2) === 0) {
      ip.removeAddress(OUTSIDE_LINK, address);
    } else {
      ip.deprecateAddress(OUTSIDE_LINK, address, this.#below(2) === 0);
      this.#added.add(address);
    }
  }

  #changeForwards({ address }: Place): void {
    if (this.#below(2) === 0) {
      this.#forwards.pop()?.close();
      return;
    }
    const outsidePort = 80 + this.#below(3);
    const protocol = this.#one(['tcp', 'udp'] as const);
    try {
      this.#forwards.push(
        this.world.nat.forward({ protocol, outsidePort, insideAddress: address, insidePort: 80 }),
      );
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).to.be.oneOf(['EADDRINUSE', 'ENOBUFS']);
    }
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)];
  }

  #below(bound: number): number {
    return this.#random.uint32() % bound;
  }
}

describe('NAT with room for almost nothing', function () {
  this.timeout(30_000);
  this.slow(3000);

  for (const seed of SEEDS) {
    it(`keeps its books through ${OPERATIONS} changes, SIM_SEED=${seed} [NL-1 NL-6 NA-2 NU-3]`, () => {
      const churn = new Churn(seed);
      const { nat, clock } = churn.world;
      for (let i = 0; i < OPERATIONS; i++) {
        churn.step();
        const sessions = [...nat.sessions()];
        const insideOf = new Map<string, string>();
        for (const { protocol, inside, outside } of sessions) {
          const key = `${protocol} ${outside}`;
          expect(insideOf.get(key) ?? inside, `operation ${i}: ${key}`).to.equal(inside);
          insideOf.set(key, inside);
        }
        expect(nat.stats.sessions, `operation ${i}`).to.equal(sessions.length);
        expect(nat.stats.mappings, `operation ${i}`).to.equal(insideOf.size);
      }
      expect(nat.stats.sessionsEvicted + nat.stats.mappingsRefused).to.be.above(0);
      churn.end();
      expect(nat.stats).to.include({ sessions: 0, mappings: 0 });
      churn.world.close();
      expect(clock.pending).to.equal(0);
    });
  }
});
