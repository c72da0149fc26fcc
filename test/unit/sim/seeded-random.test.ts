import { expect } from 'chai';
import { randomBelow, randomFraction } from '../../../lib/base/random.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';

const draw = (random: SeededRandom, count: number): number[] =>
  Array.from({ length: count }, () => random.uint32());

/** The reference xoshiro128** with the SplitMix32 seeding of the documentation, in BigInt. */
function* reference(seed: bigint): Generator<number> {
  const M = 0xffff_ffffn;
  const rotl = (x: bigint, n: bigint) => ((x << n) | (x >> (32n - n))) & M;
  let mixed = (seed & M) ^ (((seed >> 32n) * 0x85eb_ca6bn) & M);
  const next = (): bigint => {
    mixed = (mixed + 0x9e37_79b9n) & M;
    let z = ((mixed ^ (mixed >> 16n)) * 0x21f0_aaadn) & M;
    z = ((z ^ (z >> 15n)) * 0x735a_2d97n) & M;
    return z ^ (z >> 15n);
  };
  const s = [next(), next(), next(), next()];
  for (;;) {
    yield Number((rotl((s[1] * 5n) & M, 7n) * 9n) & M);
    const t = (s[1] << 9n) & M;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
  }
}

describe('SeededRandom', () => {
  it('is xoshiro128**, for every kind of seed', () => {
    for (const seed of [0, 1, -1, 42, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER, -(2 ** 35)]) {
      const model = reference(BigInt(seed));
      const expected = Array.from({ length: 200 }, () => model.next().value as number);
      expect(draw(new SeededRandom(seed), 200), `seed ${seed}`).to.deep.equal(expected);
    }
  });

  it('forks into a sequence of its own that repeats', () => {
    const a = new SeededRandom(7);
    const b = new SeededRandom(7);
    const forkA = a.fork();
    const forkB = b.fork();
    expect(draw(forkA, 50)).to.deep.equal(draw(forkB, 50));
    expect(draw(a, 50)).to.deep.equal(draw(b, 50));
    const all = new Set([...draw(a, 500), ...draw(forkA, 500), ...draw(a.fork(), 500)]);
    expect(all.size).to.equal(1500);
  });

  it('spreads evenly', () => {
    const random = new SeededRandom(3);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) buckets[randomBelow(random, 10)]++;
    for (const count of buckets) expect(count).to.be.within(9_600, 10_400);
    for (let i = 0; i < 1000; i++) expect(randomFraction(random)).to.be.within(0, 0.999_999_999_999);
  });

  it('refuses what is no seed', () => {
    expect(() => new SeededRandom(0.5)).to.throw(RangeError);
    expect(() => new SeededRandom(Number.NaN)).to.throw(RangeError);
  });
});
