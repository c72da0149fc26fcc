/**
 * One record per transmission in flight. Records stand in two orders at once: that of their sequence
 * numbers, in which ACKs pass them, and that of their last transmission, in which RACK looks at them
 * (RFC 8985 §5). A record may stand for a super-packet of many segments; it is split where only a part
 * of it was acknowledged, is lost or is sent again.
 *
 * A record keeps its slot, a place in typed arrays, for as long as it lives; its index `i`, counted from
 * the oldest, changes as others come and go.
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
  /** Sent when the application had no more to send: says nothing of what the path can carry. */
  APP_LIMITED: 32,
  /** Larger than others, to find out whether the path takes it: its loss tells nothing else (RFC 4821 §7.6.2). */
  MTU_PROBE: 128,
  /** Its last segment has PSH. */
  PUSHED: 64,
} as const;

const FIRST_ROWS = 8;
/** An empty log keeps at most this many rows for what is sent next. */
const KEEP_ROWS = 1024;

/** Integers of a slot; ORDER alone belongs to a position of the ring, and holds the slot that stands there. */
const INTS = 6;
const START = 0;
const END = 1;
const FLAGS = 2;
const NEXT = 3;
const PREVIOUS = 4;
const ORDER = 5;

/** Doubles of a slot. */
const DOUBLES = 6;
const SENT_AT = 0;
const DELIVERED = 1;
const DELIVERED_AT = 2;
const FIRST_SENT_AT = 3;
const IN_FLIGHT = 4;
const TOTAL_LOST = 5;

/** In `PREVIOUS`: not listed by transmission, as it is not in flight. */
const UNLISTED = -2;
/** The end of a list. */
export const NO_SLOT = -1;

/** What the delivery rate is computed from, as it was when a record was sent. */
export interface SendSnapshot {
  readonly deliveredBytes: number;
  readonly deliveredAtUs: number;
  readonly firstSentAtUs: number;
  readonly txInFlightBytes: number;
  readonly totalLostBytes: number;
  readonly isAppLimited: boolean;
}

/** First rows that nobody needs now, of all logs of the process: what is in flight for a moment gets them in turn. */
const MOST_SPARE = 256;
const SPARE_INTS: Int32Array[] = [];
const SPARE_DOUBLES: Float64Array[] = [];

/** What an idle connection holds. */
const NO_INTS = new Int32Array(0);
const NO_DOUBLES = new Float64Array(0);

export class SentLog {
  /** The slot in flight whose last transmission is the oldest, and the newest; `NO_SLOT` when there is none. */
  oldest = NO_SLOT;
  newest = NO_SLOT;
  readonly #limit: number;
  #ints: Int32Array = NO_INTS;
  #doubles: Float64Array = NO_DOUBLES;
  #head = 0;
  #count = 0;
  #mask = -1;
  /** Slots that were given back, chained by `NEXT`; slots from `#used` on were never taken. */
  #free = NO_SLOT;
  #used = 0;

  /** @param limit most records: with as many nothing new is sent, and no acknowledgment splits any */
  constructor(limit = 16_384) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count >= this.#limit;
  }

  /** Bytes of memory it holds. */
  get memoryBytes(): number {
    return this.#ints.byteLength + this.#doubles.byteLength;
  }

  /** The slot of the `i`-th record by sequence number. */
  slot(i: number): number {
    return this.#ints[((this.#head + i) & this.#mask) * INTS + ORDER];
  }

  start(slot: number): Seq {
    return this.#ints[slot * INTS + START] as Seq;
  }

  end(slot: number): Seq {
    return this.#ints[slot * INTS + END] as Seq;
  }

  bytes(slot: number): number {
    return seqDiff(this.end(slot), this.start(slot));
  }

  flags(slot: number): number {
    return this.#ints[slot * INTS + FLAGS];
  }

  has(slot: number, flag: number): boolean {
    return (this.#ints[slot * INTS + FLAGS] & flag) !== 0;
  }

  setFlags(slot: number, flags: number): void {
    this.#ints[slot * INTS + FLAGS] = flags;
  }

  /** The last segment of the last record has PSH. */
  lastPushed(): void {
    if (this.#count > 0) this.#ints[this.slot(this.#count - 1) * INTS + FLAGS] |= RowFlag.PUSHED;
  }

  /** Moves the start of a record up: what lay before was acknowledged. */
  setStart(slot: number, start: Seq): void {
    this.#ints[slot * INTS + START] = start;
  }

  /** When it was last sent, µs. */
  sentAtUs(slot: number): number {
    return this.#doubles[slot * DOUBLES + SENT_AT];
  }

  deliveredBytes(slot: number): number {
    return this.#doubles[slot * DOUBLES + DELIVERED];
  }

  deliveredAtUs(slot: number): number {
    return this.#doubles[slot * DOUBLES + DELIVERED_AT];
  }

  firstSentAtUs(slot: number): number {
    return this.#doubles[slot * DOUBLES + FIRST_SENT_AT];
  }

  txInFlightBytes(slot: number): number {
    return this.#doubles[slot * DOUBLES + IN_FLIGHT];
  }

  totalLostBytes(slot: number): number {
    return this.#doubles[slot * DOUBLES + TOTAL_LOST];
  }

  /** The slot in flight that was last sent after `slot`. */
  nextSent(slot: number): number {
    return this.#ints[slot * INTS + NEXT];
  }

  /** Adds `[start, end)` as the last record, in flight. @returns its slot */
  append(start: Seq, end: Seq, nowUs: number, flags: number): number {
    const slot = this.#take();
    this.#ints[((this.#head + this.#count) & this.#mask) * INTS + ORDER] = slot;
    this.#count++;
    const at = slot * INTS;
    this.#ints[at + START] = start;
    this.#ints[at + END] = end;
    this.#ints[at + FLAGS] = flags;
    this.#doubles[slot * DOUBLES + SENT_AT] = nowUs;
    this.#linkLast(slot);
    return slot;
  }

  /** A record was sent again: it is the newest in flight. */
  resent(slot: number, nowUs: number): void {
    this.unlist(slot);
    this.#doubles[slot * DOUBLES + SENT_AT] = nowUs;
    this.#linkLast(slot);
  }

  /** Keeps what the delivery rate will be computed from. */
  setSnapshot(slot: number, snapshot: SendSnapshot): void {
    const at = slot * DOUBLES;
    this.#doubles[at + DELIVERED] = snapshot.deliveredBytes;
    this.#doubles[at + DELIVERED_AT] = snapshot.deliveredAtUs;
    this.#doubles[at + FIRST_SENT_AT] = snapshot.firstSentAtUs;
    this.#doubles[at + IN_FLIGHT] = snapshot.txInFlightBytes;
    this.#doubles[at + TOTAL_LOST] = snapshot.totalLostBytes;
    const flags = this.flags(slot) & ~RowFlag.APP_LIMITED;
    this.setFlags(slot, snapshot.isAppLimited ? flags | RowFlag.APP_LIMITED : flags);
  }

  /** Takes a record off the list of what is in flight; it may be off already. */
  unlist(slot: number): void {
    const ints = this.#ints;
    const previous = ints[slot * INTS + PREVIOUS];
    if (previous === UNLISTED) return;
    const next = ints[slot * INTS + NEXT];
    if (previous === NO_SLOT) this.oldest = next;
    else ints[previous * INTS + NEXT] = next;
    if (next === NO_SLOT) this.newest = previous;
    else ints[next * INTS + PREVIOUS] = previous;
    ints[slot * INTS + PREVIOUS] = UNLISTED;
  }

  /** Whether a record counts among those in flight. */
  isListed(slot: number): boolean {
    return this.#ints[slot * INTS + PREVIOUS] !== UNLISTED;
  }

  /** Puts a record that was off the list back where its last transmission belongs: it was in flight after all. */
  relist(slot: number): void {
    if (this.isListed(slot)) return;
    let before = NO_SLOT;
    let next = this.oldest;
    while (next !== NO_SLOT && this.#isSentAfter(slot, next)) {
      before = next;
      next = this.nextSent(next);
    }
    const ints = this.#ints;
    ints[slot * INTS + NEXT] = next;
    ints[slot * INTS + PREVIOUS] = before;
    if (before === NO_SLOT) this.oldest = slot;
    else ints[before * INTS + NEXT] = slot;
    if (next === NO_SLOT) this.newest = slot;
    else ints[next * INTS + PREVIOUS] = slot;
  }

  /** The order of transmissions; those of one instant are ordered by sequence number (RFC 8985 §6.2 step 2). */
  #isSentAfter(slot: number, other: number): boolean {
    const laterUs = this.sentAtUs(slot) - this.sentAtUs(other);
    return laterUs > 0 || (laterUs === 0 && seqGt(this.end(slot), this.end(other)));
  }

  /** Forgets the first record. */
  shift(): void {
    const slot = this.slot(0);
    this.unlist(slot);
    this.#ints[slot * INTS + NEXT] = this.#free;
    this.#free = slot;
    this.#head = (this.#head + 1) & this.#mask;
    this.#count--;
  }

  /** Makes the `i`-th record two, the second, `i + 1`, beginning at `at`, which lies strictly inside it. */
  split(i: number, at: Seq): void {
    const slot = this.#take();
    const first = this.slot(i);
    const ints = this.#ints;
    for (let j = this.#count; j > i + 1; j--) {
      ints[((this.#head + j) & this.#mask) * INTS + ORDER] = this.slot(j - 1);
    }
    ints[((this.#head + i + 1) & this.#mask) * INTS + ORDER] = slot;
    this.#count++;
    ints[slot * INTS + START] = at;
    ints[slot * INTS + END] = ints[first * INTS + END];
    ints[slot * INTS + FLAGS] = ints[first * INTS + FLAGS];
    ints[first * INTS + END] = at;
    ints[first * INTS + FLAGS] &= ~(RowFlag.FIN | RowFlag.PUSHED);
    this.#doubles.copyWithin(slot * DOUBLES, first * DOUBLES, (first + 1) * DOUBLES);
    ints[slot * INTS + PREVIOUS] = UNLISTED;
    if (this.isListed(first)) this.#linkAfter(first, slot);
  }

  /** Index of the record that holds `point`, or of the first behind it; `count` when all end before. */
  find(point: Seq): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seqGt(this.end(this.slot(middle)), point)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Whether `point` lies inside the `i`-th record, not at its edges. */
  straddles(i: number, point: Seq): boolean {
    const slot = this.slot(i);
    return seqLt(this.start(slot), point) && seqLt(point, this.end(slot));
  }

  /** Whether a record lies wholly within `[start, end)`. */
  within(slot: number, start: Seq, end: Seq): boolean {
    return seqLe(start, this.start(slot)) && seqLe(this.end(slot), end);
  }

  /** Forgets everything; large and least memory is given back, what is between is kept for what is sent next. */
  clear(): void {
    if (this.#mask >= KEEP_ROWS || this.#mask === FIRST_ROWS - 1) this.#drop();
    this.#head = 0;
    this.#count = 0;
    this.#free = NO_SLOT;
    this.#used = 0;
    this.oldest = NO_SLOT;
    this.newest = NO_SLOT;
  }

  /** Gives back the memory of an empty log: its connection is idle. */
  trim(): void {
    if (this.#count > 0) return;
    this.clear();
    this.#drop();
  }

  #drop(): void {
    if (this.#mask === FIRST_ROWS - 1 && SPARE_INTS.length < MOST_SPARE) {
      SPARE_INTS.push(this.#ints);
      SPARE_DOUBLES.push(this.#doubles);
    }
    this.#ints = NO_INTS;
    this.#doubles = NO_DOUBLES;
    this.#mask = -1;
  }

  /** A slot for one record more. */
  #take(): number {
    if (this.#count > this.#mask) this.#grow();
    const slot = this.#free;
    if (slot === NO_SLOT) return this.#used++;
    this.#free = this.#ints[slot * INTS + NEXT];
    return slot;
  }

  #linkLast(slot: number): void {
    const ints = this.#ints;
    ints[slot * INTS + NEXT] = NO_SLOT;
    ints[slot * INTS + PREVIOUS] = this.newest;
    if (this.newest === NO_SLOT) this.oldest = slot;
    else ints[this.newest * INTS + NEXT] = slot;
    this.newest = slot;
  }

  #linkAfter(before: number, slot: number): void {
    const ints = this.#ints;
    const next = ints[before * INTS + NEXT];
    ints[slot * INTS + NEXT] = next;
    ints[slot * INTS + PREVIOUS] = before;
    ints[before * INTS + NEXT] = slot;
    if (next === NO_SLOT) this.newest = slot;
    else ints[next * INTS + PREVIOUS] = slot;
  }

  #grow(): void {
    const length = Math.max(FIRST_ROWS, (this.#mask + 1) * 2);
    const isSpare = length === FIRST_ROWS && SPARE_INTS.length > 0;
    const ints = isSpare ? (SPARE_INTS.pop() as Int32Array) : new Int32Array(length * INTS);
    const doubles = isSpare ? (SPARE_DOUBLES.pop() as Float64Array) : new Float64Array(length * DOUBLES);
    if (this.#count > 0) {
      ints.set(this.#ints);
      doubles.set(this.#doubles);
      // The ring of positions begins anew at 0.
      for (let i = 0; i < this.#count; i++) ints[i * INTS + ORDER] = this.slot(i);
      this.#drop();
    }
    this.#ints = ints;
    this.#doubles = doubles;
    this.#head = 0;
    this.#mask = length - 1;
  }
}
