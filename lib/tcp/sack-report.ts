/**
 * Which SACK blocks our ACKs carry and in which order (RFC 2018 §4, RFC 2883 §4): a duplicate just
 * received first, then the block that holds the newest arrival, then those reported before.
 */
import { type Seq, seqAdd, seqGe, seqGt, seqLe, seqLt, seqMax } from '../base/seq.js';
import type { RangeSet } from '../buffer/range-set.js';

/** Points remembered: more than blocks, as several come to lie in one block when blocks join. */
const MAX_RECENT = 8;

/** Edges of the ACK in hand, for all connections: they are written to the wire at once. */
const EDGES = new Int32Array(8);
const NO_POINTS = new Int32Array(0);

export class SackReport {
  /** A point inside each block reported lately, newest first. */
  #recent = NO_POINTS;
  #recentCount = 0;
  #duplicateStart = 0 as Seq;
  #duplicateEnd = 0 as Seq;
  #hasDuplicate = false;
  /** Where a FIN lies that is out of order: it takes a number, which a block holds too. */
  #finAt: Seq | undefined;
  #finIsNewest = false;
  /** Left and right edges, as written to the wire by the last `compose`. */
  readonly edges = EDGES;

  get hasDuplicate(): boolean {
    return this.#hasDuplicate;
  }

  /** Whether there is nothing to report. */
  get isEmpty(): boolean {
    return this.#recentCount === 0 && !this.#hasDuplicate && this.#finAt === undefined;
  }

  /** Whether range `i` is the one that the next ACK would report first, and no duplicate comes before it. */
  isNewest(waiting: RangeSet, i: number): boolean {
    if (this.#hasDuplicate || this.#recentCount === 0) return false;
    const point = this.#recent[0] as Seq;
    return seqLe(waiting.start(i), point) && seqLt(point, waiting.end(i));
  }

  /** How many blocks there are to be told of. */
  blockCount(waiting: RangeSet | undefined): number {
    return (waiting?.count ?? 0) + (this.#hasDuplicate ? 1 : 0) + (this.#isFinAlone(waiting) ? 1 : 0);
  }

  /** A FIN at `sequence` was remembered. */
  noteFin(sequence: Seq): void {
    this.#finAt = sequence;
    this.#finIsNewest = true;
  }

  /** Whether the FIN lies behind no text that waits; nothing waits beyond it. */
  #isFinAlone(waiting: RangeSet | undefined): boolean {
    if (this.#finAt === undefined) return false;
    return waiting === undefined || waiting.count === 0 || waiting.end(waiting.count - 1) !== this.#finAt;
  }

  /** Text at `sequence` was kept out of order. */
  noteArrival(sequence: Seq): void {
    this.#finIsNewest = false;
    if (this.#recent === NO_POINTS) this.#recent = new Int32Array(MAX_RECENT);
    const count = Math.min(this.#recentCount, MAX_RECENT - 1);
    this.#recent.copyWithin(1, 0, count);
    this.#recent[0] = sequence;
    this.#recentCount = count + 1;
  }

  /** `[start, end)` was received before; the next ACK says so, once. */
  noteDuplicate(start: Seq, end: Seq): boolean {
    if (this.#hasDuplicate) return false;
    this.#hasDuplicate = true;
    this.#duplicateStart = start;
    this.#duplicateEnd = end;
    return true;
  }

  /** Everything before `rcvNxt` is acknowledged cumulatively now. */
  forget(rcvNxt: Seq): void {
    if (this.#finAt !== undefined && seqLt(this.#finAt, rcvNxt)) this.#finAt = undefined;
    let kept = 0;
    for (let i = 0; i < this.#recentCount; i++) {
      if (seqGe(this.#recent[i] as Seq, rcvNxt)) this.#recent[kept++] = this.#recent[i];
    }
    this.#recentCount = kept;
  }

  /**
   * Fills `edges` with at most `limit` blocks for an ACK of `rcvNxt`.
   * @returns how many
   */
  compose(waiting: RangeSet | undefined, rcvNxt: Seq, limit: number): number {
    let count = 0;
    if (this.#hasDuplicate && limit > 0) {
      this.#hasDuplicate = false;
      this.edges[0] = this.#duplicateStart;
      this.edges[1] = this.#duplicateEnd;
      count = 1;
    }
    const finIsAlone = this.#isFinAlone(waiting);
    const nothingWaits = waiting === undefined || waiting.count === 0;
    if (finIsAlone && (this.#finIsNewest || nothingWaits) && count < limit) {
      count = this.#put(count, this.#finAt as Seq, this.#finAt as Seq);
    }
    if (nothingWaits) return count;
    const firstBlock = count;
    let kept = 0;
    for (let i = 0; i < this.#recentCount; i++) {
      const point = this.#recent[i] as Seq;
      const range = waiting.search(point);
      if (range >= waiting.count || seqLt(point, waiting.start(range))) continue;
      if (this.#holds(firstBlock, count, waiting.start(range))) continue;
      this.#recent[kept++] = point;
      if (count < limit) count = this.#put(count, seqMax(waiting.start(range), rcvNxt), waiting.end(range));
    }
    this.#recentCount = kept;
    for (let range = 0; range < waiting.count && count < limit; range++) {
      if (this.#holds(firstBlock, count, waiting.start(range))) continue;
      count = this.#put(count, waiting.start(range), waiting.end(range));
      if (this.#recentCount < MAX_RECENT) this.#recent[this.#recentCount++] = waiting.start(range);
    }
    if (finIsAlone && !this.#finIsNewest && count < limit) {
      count = this.#put(count, this.#finAt as Seq, this.#finAt as Seq);
    }
    return count;
  }

  #put(count: number, start: Seq, end: Seq): number {
    this.edges[2 * count] = start;
    this.edges[2 * count + 1] = end === this.#finAt ? seqAdd(end, 1) : end;
    return count + 1;
  }

  /** Whether one of the blocks `from .. count` holds `point`. */
  #holds(from: number, count: number, point: Seq): boolean {
    for (let i = from; i < count; i++) {
      if (seqLe(this.edges[2 * i] as Seq, point) && seqGt(this.edges[2 * i + 1] as Seq, point)) return true;
    }
    return false;
  }
}
