/** The table of endpoints beside a naive twin, and under keys chosen to meet in few places. */
import { expect } from 'chai';
import { EndpointIndex, KeyWord } from '../../lib/base/endpoint-index.js';
import { RowNumbers } from '../../lib/base/hash-slots.js';
import { randomBelow } from '../../lib/base/random.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';

const WORDS = 10;
const SEEDS = process.env.SIM_SEED === undefined ? [1, 2, 3, 4, 5] : [Number(process.env.SIM_SEED)];

/** Few values of each word, so that keys come again and differ in one word only. */
function anyKey(random: SeededRandom): number[] {
  const isFour = randomBelow(random, 2) === 0;
  return Array.from({ length: WORDS }, (_, i) => {
    const isHigh = i < KeyWord.PORTS && (i & 3) < 3;
    if (isFour && isHigh) return (i & 3) === 2 ? 0xffff : 0;
    return randomBelow(random, isHigh ? 2 : 3) - 1;
  });
}

describe('a table of endpoints', () => {
  for (const seed of SEEDS) {
    it(`finds what its twin finds, SIM_SEED=${seed}`, () => {
      const random = new SeededRandom(seed);
      const index = new EndpointIndex(random);
      const numbers = new RowNumbers();
      const twin = new Map<string, number>();
      for (let step = 0; step < 20_000; step++) {
        const key = anyKey(random);
        const name = key.join(' ');
        index.probe.set(key);
        const row = index.find();
        expect(row, `step ${step}`).to.equal(twin.get(name) ?? -1);
        // More come than go, then more go than come.
        const isAdding = randomBelow(random, 10) < (step < 10_000 ? 8 : 2);
        if (row < 0 && isAdding) {
          const taken = numbers.take();
          index.insert(taken);
          twin.set(name, taken);
        } else if (row >= 0 && !isAdding) {
          index.probe.fill(7);
          index.recall(row);
          expect([...index.probe], 'the key of a row').to.deep.equal(key);
          index.remove(row);
          numbers.give(row);
          twin.delete(name);
        }
        expect(index.size).to.equal(twin.size);
      }
      expect(twin.size).to.be.above(100);
      expect(Math.max(...twin.values()), 'rows are used again').to.be.below(12_000);
    });
  }

  it('takes a key once', () => {
    const index = new EndpointIndex(new SeededRandom(1));
    index.insert(0);
    expect(() => index.insert(1)).to.throw('a key has one row');
    expect(index.size).to.equal(1);
  });

  // What a fold of words by addition or exclusive or would make equal, for every two words that are hashed.
  for (let first = 0; first < KeyWord.EXTRA; first++) {
    for (let second = first + 1; second < KeyWord.EXTRA; second++) {
      it(`spreads keys whose words ${first} and ${second} are the same, or opposite`, () => {
        for (const sign of [1, -1]) {
          const index = new EndpointIndex(new SeededRandom(2));
          for (let row = 0; row < 2000; row++) {
            index.probe[first] = row << 16;
            index.probe[second] = sign * (row << 16);
            index.insert(row);
          }
          expect(index.longestRun).to.be.below(200);
        }
      });
    }
  }
});
