/**
 * Bytes received and not yet read: a contiguous part that the application may read, and behind it
 * ranges that arrived out of order, with gaps between them.
 *
 * Where segments overlap with different content, bytes already contiguous never change, and a segment
 * that arrives in order wins over bytes that wait out of order, as in Linux. Of two segments that both
 * wait, the one that arrived later wins where they overlap.
 */
import { type Seq, seqAdd, seqDiff, seqLe } from '../base/seq.js';
import type { Tape } from '../base/tape.js';
import { ByteRing } from './byte-ring.js';
import { RangeSet } from './range-set.js';

/** An empty buffer keeps memory for the next arrival, until it is trimmed, but for little and for more than this. */
const KEEP_BYTES = 1 << 20;

export class ReceiveBuffer {
  readonly #ring = new ByteRing();
  /** Sequence number of the next byte to be read. */
  #start: Seq;
  /** Bytes from `#start` on that may be read. */
  #readable = 0;
  /** What waits out of order; made when first needed. */
  #waiting: RangeSet | undefined;

  readonly #maxGaps: number;

  /**
   * @param start sequence number of the first byte expected
   * @param maxGaps most ranges that may wait; beyond it text out of order is refused (CVE-2018-5390)
   */
  constructor(start: Seq, maxGaps = 1024) {
    this.#start = start;
    this.#maxGaps = maxGaps;
  }

  /** Empty as it is; usually the next byte to be read is at `rcvNxt`. */
  fold(tape: Tape, rcvNxt: Seq): void {
    this.#start = tape.number(this.#start, rcvNxt) as Seq;
  }

  /** Bytes the application may read. */
  get readableBytes(): number {
    return this.#readable;
  }

  /** Sequence number of the next byte the application will read. */
  get readSequence(): Seq {
    return this.#start;
  }

  /** The first byte that is missing: RCV.NXT as far as text goes. */
  get end(): Seq {
    return seqAdd(this.#start, this.#readable);
  }

  /** Ranges waiting behind a gap; undefined or empty when there are none. */
  get waiting(): RangeSet | undefined {
    return this.#waiting;
  }

  get hasGaps(): boolean {
    return this.#waiting !== undefined && this.#waiting.count > 0;
  }

  /** Bytes of memory in use. */
  get memoryBytes(): number {
    return this.#ring.capacity;
  }

  /** Bytes of memory that `length` bytes more take, beginning `gap` bytes behind those that may be read. */
  growth(gap: number, length: number): number {
    return this.#ring.growth(Math.max(this.#readable + gap + length, this.#extent()));
  }

  /** Moves past `length` bytes in order that were delivered without being stored; nothing may wait to be read. */
  skip(length: number): void {
    this.#start = seqAdd(this.#start, length);
  }

  /** Appends `length` bytes that continue the contiguous part, then whatever waited right behind them. */
  append(source: DataView, at: number, length: number): void {
    const ahead = this.#waiting === undefined ? 0 : this.#extent();
    this.#ring.ensure(this.#start, Math.max(this.#readable, ahead), Math.max(this.#readable + length, ahead));
    this.#ring.put(this.end, source, at, length);
    this.#readable += length;
    if (this.hasGaps) this.absorb();
  }

  /** Joins ranges that have become contiguous. @returns whether any did */
  absorb(): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.count === 0) return false;
    let joined = false;
    while (waiting.count > 0 && seqLe(waiting.start(0), this.end)) {
      const gain = seqDiff(waiting.end(0), this.end);
      if (gain > 0) this.#readable += gain;
      waiting.removeBefore(seqAdd(waiting.end(0), 0));
      joined = true;
    }
    return joined;
  }

  /**
   * Keeps `length` bytes that begin at `sequence`, beyond a gap.
   * @returns the index in `waiting` of the range that holds them, or -1 when there are too many gaps
   */
  insert(sequence: Seq, source: DataView, at: number, length: number): number {
    this.#waiting ??= new RangeSet(this.#maxGaps);
    const index = this.#waiting.add(sequence, seqAdd(sequence, length));
    if (index < 0) return -1;
    const used = Math.max(this.#readable, this.#extent());
    this.#ring.ensure(this.#start, used, used);
    this.#ring.put(sequence, source, at, length);
    return index;
  }

  /** Gives up the highest waiting range. */
  dropHighest(): void {
    this.#waiting?.removeLast();
  }

  /**
   * Halves the memory at least, where what may be read allows it: ranges that wait out of order are given
   * up for it, the highest first, and no more of them than that takes (RFC 2018 §8 permits it; Linux
   * `tcp_prune_ofo_queue`). @returns how many ranges were given up
   */
  prune(): number {
    const ring = this.#ring;
    const waiting = this.#waiting;
    const target = ring.isSmallest ? 0 : ring.capacity / 2;
    let given = 0;
    if (waiting !== undefined && this.#readable <= target) {
      for (; waiting.count > 0 && this.#extent() > target; given++) this.dropHighest();
    }
    ring.shrink(this.#start, Math.max(this.#readable, this.#extent()));
    return given;
  }

  /** Moves up to `length` bytes into `target`. @returns how many */
  read(target: Uint8Array, at: number, length: number): number {
    const bytes = Math.min(length, this.#readable);
    if (bytes === 0) return 0;
    this.#ring.read(this.#start, target, at, bytes);
    this.consume(bytes);
    return bytes;
  }

  /** Copies up to `length` bytes without taking them. */
  peek(target: Uint8Array, at: number, length: number): number {
    const bytes = Math.min(length, this.#readable);
    if (bytes > 0) this.#ring.read(this.#start, target, at, bytes);
    return bytes;
  }

  /** Takes `bytes` readable bytes away unread. */
  consume(bytes: number): void {
    this.#start = seqAdd(this.#start, bytes);
    this.#readable -= bytes;
    if (this.#readable > 0 || this.hasGaps) return;
    if (this.#ring.capacity > KEEP_BYTES) this.#ring.free();
    else this.#ring.freeSmall();
  }

  /** Gives back the memory of an empty buffer. */
  trim(): void {
    if (this.#readable === 0 && !this.hasGaps) this.#ring.free();
  }

  clear(): void {
    this.#start = this.end;
    this.#readable = 0;
    this.#waiting = undefined;
    this.#ring.free();
  }

  /** Bytes from the read position to the end of the highest waiting range. */
  #extent(): number {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.count === 0) return 0;
    return seqDiff(waiting.end(waiting.count - 1), this.#start);
  }
}
