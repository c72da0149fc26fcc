import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seqAdd, seqDiff } from '../../../lib/base/seq.js';
import { RangeSet } from '../../../lib/buffer/range-set.js';
import { starts } from './starts.js';

const SPACE = 200;

/** The same as a set of points. */
class NaiveRanges {
  readonly points: boolean[] = new Array<boolean>(SPACE + 1).fill(false);

  ranges(): [number, number][] {
    const list: [number, number][] = [];
    for (let at = 0; at < SPACE; at++) {
      if (!this.points[at]) continue;
      let end = at;
      while (this.points[end]) end++;
      list.push([at, end]);
      at = end;
    }
    return list;
  }

  /** How many ranges there would be after an addition. */
  countWith(start: number, end: number): number {
    const copy = new NaiveRanges();
    for (let i = 0; i < SPACE; i++) copy.points[i] = this.points[i] || (i >= start && i < end);
    return copy.ranges().length;
  }
}

function contentOf(set: RangeSet, base: Seq): [number, number][] {
  return Array.from({ length: set.count }, (_, i) => [
    seqDiff(set.start(i), base),
    seqDiff(set.end(i), base),
  ]);
}

const point = fc.integer({ min: 0, max: SPACE - 1 });
const action = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('add' as const), point, fc.integer({ min: 1, max: 20 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('removeBefore' as const), point, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('removeLast' as const), fc.constant(0), fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('look' as const), point, fc.integer({ min: 1, max: 20 })) },
);

type Action = readonly ['add' | 'removeBefore' | 'removeLast' | 'look', number, number];

/** Does the same to both and compares what they answer. */
function act(set: RangeSet, twin: NaiveRanges, base: Seq, [what, at, length]: Action): void {
  const end = Math.min(at + length, SPACE);
  const from = seqAdd(base, at);
  const to = seqAdd(base, end);
  if (what === 'add') {
    const fits = twin.countWith(at, end) <= set.limit;
    const index = set.add(from, to);
    expect(index >= 0, 'whether the range was taken').to.equal(fits);
    if (!fits) return;
    twin.points.fill(true, at, end);
    expect(seqDiff(set.start(index), base), 'the answered range holds it').to.be.at.most(at);
    expect(seqDiff(set.end(index), base)).to.be.at.least(end);
  } else if (what === 'removeBefore') {
    set.removeBefore(from);
    twin.points.fill(false, 0, at);
  } else if (what === 'removeLast') {
    set.removeLast();
    const last = twin.ranges().at(-1);
    if (last !== undefined) twin.points.fill(false, last[0], last[1]);
  } else {
    expect(set.covers(from, to)).to.equal(twin.points.slice(at, end).every(Boolean));
    const index = twin.ranges().findIndex((range) => range[1] > at);
    expect(set.search(from)).to.equal(index < 0 ? set.count : index);
  }
}

describe('a set of ranges', () => {
  it('agrees with a set of points about any sequence of changes, across every wrap', () => {
    const limits = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(starts, limits, fc.array(action, { maxLength: 60 }), (base, limit, actions) => {
        const set = new RangeSet(limit);
        const twin = new NaiveRanges();
        for (const one of actions) {
          act(set, twin, base, one);
          expect(contentOf(set, base)).to.deep.equal(twin.ranges());
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('merges what touches, and nothing else', () => {
    const set = new RangeSet();
    const at = (value: number): Seq => value as Seq;
    set.add(at(10), at(20));
    set.add(at(30), at(40));
    expect(set.count).to.equal(2);
    set.add(at(20), at(29));
    expect(contentOf(set, at(0))).to.deep.equal([
      [10, 29],
      [30, 40],
    ]);
    set.add(at(29), at(30));
    expect(contentOf(set, at(0))).to.deep.equal([[10, 40]]);
  });

  it('holds as many ranges as its limit and refuses one more, but not one that merges', () => {
    const set = new RangeSet(1024);
    for (let i = 0; i < 1024; i++) expect(set.add((2 * i) as Seq, (2 * i + 1) as Seq)).to.equal(i);
    expect(set.add(5000 as Seq, 5001 as Seq)).to.equal(-1);
    expect(set.count).to.equal(1024);
    expect(set.add(1 as Seq, 2 as Seq)).to.equal(0);
    expect(set.count).to.equal(1023);
    expect(set.add(5000 as Seq, 5001 as Seq)).to.equal(1023);
  });

  it('is empty after clear', () => {
    const set = new RangeSet();
    set.add(1 as Seq, 2 as Seq);
    set.clear();
    expect(set.count).to.equal(0);
    expect(set.covers(1 as Seq, 2 as Seq)).to.equal(false);
    set.removeLast();
    set.removeBefore(9 as Seq);
    expect(set.count).to.equal(0);
  });
});
