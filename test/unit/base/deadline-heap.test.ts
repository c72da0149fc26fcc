import { expect } from 'chai';
import fc from 'fast-check';
import { NEVER } from '../../../lib/base/clock.js';
import { DeadlineHeap } from '../../../lib/base/deadline-heap.js';

describe('DeadlineHeap', () => {
  it('is empty at first', () => {
    const heap = new DeadlineHeap();
    expect(heap).to.include({ size: 0, earliestUs: NEVER, earliestId: -1 });
    expect(heap.deadlineOf(5)).to.equal(NEVER);
    expect(heap.deadlineOf(5_000)).to.equal(NEVER);
    heap.clear(5);
    heap.clear(5_000);
    heap.set(3, NEVER);
    expect(heap.size).to.equal(0);
  });

  it('agrees with a map searched from end to end under random use', () => {
    const operation = fc.record({
      id: fc.oneof(fc.nat(15), fc.nat(300)),
      us: fc.oneof(fc.nat(20), fc.double({ min: 0, max: 1e15, noNaN: true })),
      kind: fc.constantFrom('set', 'set', 'set', 'clear', 'never', 'pop'),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
        const heap = new DeadlineHeap();
        const model = new Map<number, number>();
        for (const { id, us, kind } of operations) {
          if (kind === 'set') {
            heap.set(id, us);
            model.set(id, us);
          } else if (kind === 'clear' || kind === 'never') {
            if (kind === 'clear') heap.clear(id);
            else heap.set(id, NEVER);
            model.delete(id);
          } else if (heap.size > 0) {
            const first = heap.earliestId;
            expect(model.get(first)).to.equal(heap.earliestUs);
            heap.clear(first);
            model.delete(first);
          }
          expect(heap.size).to.equal(model.size);
          expect(heap.earliestUs).to.equal(Math.min(NEVER, ...model.values()));
          expect(heap.deadlineOf(id)).to.equal(model.get(id) ?? NEVER);
        }
        const order: number[] = [];
        while (heap.size > 0) {
          order.push(heap.earliestUs);
          heap.clear(heap.earliestId);
        }
        expect(order).to.deep.equal([...model.values()].sort((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  it('costs O(log n): a hundred thousand deadlines move within the time of a few', () => {
    const heap = new DeadlineHeap();
    const count = 100_000;
    const time = (work: () => void): number => {
      const start = process.hrtime.bigint();
      work();
      return Number(process.hrtime.bigint() - start) / 1e6;
    };
    for (let id = 0; id < count; id++) heap.set(id, (id * 7919) % count);
    const ms = time(() => {
      for (let i = 0; i < count; i++) heap.set(heap.earliestId, heap.earliestUs + count);
    });
    expect(ms).to.be.lessThan(1_000);
    expect(heap.size).to.equal(count);
  });
});
