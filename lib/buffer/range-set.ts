/**
 * Which bytes of a window are there: a bounded, sorted set of disjoint half-open ranges of sequence
 * numbers, in two typed arrays. Adjacent ranges are merged.
 */
import { type Seq, seqGe, seqGt, seqLe, seqLt, seqMax, seqMin } from '../base/seq.js';

export class RangeSet {
  readonly limit: number;
  #starts: Int32Array;
  #ends: Int32Array;
  #count = 0;

  /** @param limit most ranges it will hold */
  constructor(limit = 1024) {
    this.limit = limit;
    const initial = Math.min(limit, 8);
    this.#starts = new Int32Array(initial);
    this.#ends = new Int32Array(initial);
  }

  get count(): number {
    return this.#count;
  }

  start(i: number): Seq {
    return this.#starts[i] as Seq;
  }

  end(i: number): Seq {
    return this.#ends[i] as Seq;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Index of the first range that ends after `point`, by bisection; `count` when none does. */
  search(point: Seq): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seqGt(this.#ends[middle] as Seq, point)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Whether all of `[start, end)` is there. */
  covers(start: Seq, end: Seq): boolean {
    const i = this.search(start);
    return i < this.#count && seqLe(this.#starts[i] as Seq, start) && seqGe(this.#ends[i] as Seq, end);
  }

  /**
   * Adds `[start, end)`, merging what it touches.
   * @returns the index of the range that now holds it, or -1 when that would exceed the limit
   */
  add(start: Seq, end: Seq): number {
    // The first range that ends at or after `start` is the first it can touch.
    let first = this.search((start - 1) as Seq);
    let last = first;
    while (last < this.#count && seqLe(this.#starts[last] as Seq, end)) last++;
    if (first === last) return this.#insert(first, start, end);
    this.#starts[first] = seqMin(start, this.#starts[first] as Seq);
    this.#ends[first] = seqMax(end, this.#ends[last - 1] as Seq);
    const removed = last - first - 1;
    if (removed > 0) {
      first++;
      this.#starts.copyWithin(first, last, this.#count);
      this.#ends.copyWithin(first, last, this.#count);
      this.#count -= removed;
      return first - 1;
    }
    return first;
  }

  /** Takes away everything before `point`. */
  removeBefore(point: Seq): void {
    const kept = this.search(point);
    if (kept > 0) {
      this.#starts.copyWithin(0, kept, this.#count);
      this.#ends.copyWithin(0, kept, this.#count);
      this.#count -= kept;
    }
    if (this.#count > 0 && seqLt(this.#starts[0] as Seq, point)) this.#starts[0] = point;
  }

  /** Takes away everything from `point` on. */
  removeAfter(point: Seq): void {
    while (this.#count > 0 && seqGe(this.#starts[this.#count - 1] as Seq, point)) this.#count--;
    if (this.#count > 0) this.#ends[this.#count - 1] = seqMin(this.#ends[this.#count - 1] as Seq, point);
  }

  /** Takes away the last range. */
  removeLast(): void {
    if (this.#count > 0) this.#count--;
  }

  #insert(at: number, start: Seq, end: Seq): number {
    if (this.#count === this.limit) return -1;
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts.copyWithin(at + 1, at, this.#count);
    this.#ends.copyWithin(at + 1, at, this.#count);
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.#count++;
    return at;
  }

  #grow(): void {
    const length = Math.min(this.limit, this.#starts.length * 2);
    const starts = new Int32Array(length);
    starts.set(this.#starts);
    this.#starts = starts;
    const ends = new Int32Array(length);
    ends.set(this.#ends);
    this.#ends = ends;
  }
}
