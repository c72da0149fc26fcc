/**
 * One row per transmission in flight, in sequence order: a ring of typed arrays. A row may stand for
 * a super-packet of many segments; it is split where only a part of it was acknowledged or is lost.
 */
import { type Seq, seqDiff, seqGt, seqLe, seqLt } from '../../base/seq.js';

export const RowFlag = {
  /** Acknowledged selectively (RFC 2018). */
  SACKED: 1,
  /** Believed lost; not in flight unless retransmitted since. */
  LOST: 2,
  /** Retransmitted, and that transmission is in flight. */
  RETRANSMITTED: 4,
  /** Retransmitted at least once: no round-trip sample (Karn). */
  EVER_RETRANSMITTED: 8,
  /** Ends in a FIN, which takes one sequence number. */
  FIN: 16,
} as const;

const FIRST_ROWS = 8;
/** An empty log keeps at most this many rows for what is sent next. */
const KEEP_ROWS = 1024;

export class SentLog {
  start = new Int32Array(0);
  end = new Int32Array(0);
  sentAtUs = new Float64Array(0);
  flags = new Uint8Array(0);
  readonly #limit: number;
  #head = 0;
  #count = 0;
  #mask = -1;

  /** @param limit most rows; with as many nothing new is sent until some are acknowledged */
  constructor(limit = 16_384) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#limit;
  }

  /** The place of the `i`-th oldest row in the arrays. */
  row(i: number): number {
    return (this.#head + i) & this.#mask;
  }

  append(start: Seq, end: Seq, nowUs: number, flags: number): void {
    if (this.#count > this.#mask) this.#grow();
    const row = this.row(this.#count++);
    this.start[row] = start;
    this.end[row] = end;
    this.sentAtUs[row] = nowUs;
    this.flags[row] = flags;
  }

  /** Forgets the oldest row. */
  shift(): void {
    this.#head = (this.#head + 1) & this.#mask;
    this.#count--;
  }

  /** Makes the `i`-th row two, the second beginning at `at`, which lies strictly inside it. */
  split(i: number, at: Seq): void {
    if (this.#count > this.#mask) this.#grow();
    for (let j = this.#count; j > i; j--) {
      const to = this.row(j);
      const from = this.row(j - 1);
      this.start[to] = this.start[from];
      this.end[to] = this.end[from];
      this.sentAtUs[to] = this.sentAtUs[from];
      this.flags[to] = this.flags[from];
    }
    this.#count++;
    const first = this.row(i);
    this.end[first] = at;
    this.flags[first] = this.flags[first] & ~RowFlag.FIN;
    this.start[this.row(i + 1)] = at;
  }

  /** Index of the row that holds `point`, or of the first behind it; `count` when all end before. */
  find(point: Seq): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seqGt(this.end[this.row(middle)] as Seq, point)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  bytes(i: number): number {
    const row = this.row(i);
    return seqDiff(this.end[row] as Seq, this.start[row] as Seq);
  }

  /** Whether a split is possible and wanted at `point` in row `i`. */
  straddles(i: number, point: Seq): boolean {
    const row = this.row(i);
    return (
      this.#count < this.#limit && seqLt(this.start[row] as Seq, point) && seqLt(point, this.end[row] as Seq)
    );
  }

  /** Whether row `i` lies wholly within `[start, end)`. */
  within(i: number, start: Seq, end: Seq): boolean {
    const row = this.row(i);
    return seqLe(start, this.start[row] as Seq) && seqLe(this.end[row] as Seq, end);
  }

  clear(): void {
    this.#head = 0;
    this.#count = 0;
    if (this.#mask >= KEEP_ROWS) {
      this.start = new Int32Array(0);
      this.end = new Int32Array(0);
      this.sentAtUs = new Float64Array(0);
      this.flags = new Uint8Array(0);
      this.#mask = -1;
    }
  }

  #grow(): void {
    const length = Math.max(FIRST_ROWS, (this.#mask + 1) * 2);
    const start = new Int32Array(length);
    const end = new Int32Array(length);
    const sentAtUs = new Float64Array(length);
    const flags = new Uint8Array(length);
    for (let i = 0; i < this.#count; i++) {
      const row = this.row(i);
      start[i] = this.start[row];
      end[i] = this.end[row];
      sentAtUs[i] = this.sentAtUs[row];
      flags[i] = this.flags[row];
    }
    this.start = start;
    this.end = end;
    this.sentAtUs = sentAtUs;
    this.flags = flags;
    this.#head = 0;
    this.#mask = length - 1;
  }
}
