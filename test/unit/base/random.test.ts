import { expect } from 'chai';
import fc from 'fast-check';
import { randomBelow, randomFraction } from '../../../lib/base/random.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';

describe('randomBelow', () => {
  it('stays below its bound, up to the largest', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.oneof(fc.constantFrom(1, 2, 2 ** 31, 2 ** 32 - 1, 2 ** 32), fc.integer({ min: 1, max: 2 ** 32 })),
        (seed, bound) => {
          expect(randomBelow(new SeededRandom(seed), bound)).to.be.within(0, bound - 1);
        },
      ),
    );
  });

  it('draws again where the remainder would favour small numbers', () => {
    const draws = [0xffff_ffff, 0xffff_fffe, 7];
    expect(randomBelow({ uint32: () => draws.shift() ?? 0 }, 3 * 2 ** 30)).to.equal(7);
    expect(draws).to.have.length(0);
  });

  it('is even over a bound that is no power of two', () => {
    const random = new SeededRandom(5);
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) counts[randomBelow(random, 3)]++;
    for (const count of counts) expect(count).to.be.within(9_700, 10_300);
  });

  it('makes fractions from 0 up to but not 1', () => {
    expect(randomFraction({ uint32: () => 0 })).to.equal(0);
    expect(randomFraction({ uint32: () => 0xffff_ffff })).to.be.lessThan(1);
    expect(randomFraction({ uint32: () => 0x8000_0000 })).to.equal(0.5);
  });
});
