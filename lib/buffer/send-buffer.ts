/**
 * Bytes written by the application and not yet acknowledged, addressed by sequence number. They are
 * copied in once, so the caller may reuse its memory at once and a retransmission is always identical
 * to the first transmission.
 */
import { type Seq, seqAdd, seqDiff } from '../base/seq.js';
import type { Tape } from '../base/tape.js';
import { ByteRing, type TextTaker } from './byte-ring.js';

/** An empty buffer keeps memory for the next write, until it is trimmed, but for little and for more than this. */
const KEEP_BYTES = 1 << 20;

/** Less is copied sooner than it is lent. */
const LENT_BYTES = 1024;

export class SendBuffer {
  readonly #ring = new ByteRing();
  #start: Seq;
  #length = 0;

  /** @param start sequence number of the first byte */
  constructor(start: Seq) {
    this.#start = start;
  }

  /** Empty as it is; usually its next byte gets the number `sndUna`. */
  fold(tape: Tape, sndUna: Seq): void {
    this.#start = tape.number(this.#start, sndUna) as Seq;
  }

  /** Sequence number of the oldest byte held. */
  get start(): Seq {
    return this.#start;
  }

  /** Sequence number after the newest byte. */
  get end(): Seq {
    return seqAdd(this.#start, this.#length);
  }

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory in use. */
  get memoryBytes(): number {
    return this.#ring.capacity;
  }

  /** How many of `length` bytes can be appended if the memory may grow by `moreBytes` at most. */
  admissible(length: number, moreBytes: number): number {
    if (this.#ring.growth(this.#length + length) <= moreBytes) return length;
    return Math.max(0, this.#ring.reach(moreBytes) - this.#length);
  }

  /** Appends `length` bytes of `source` at `at`. The caller has checked its limit. */
  write(source: Uint8Array, at: number, length: number): void {
    this.#ring.ensure(this.#start, this.#length, this.#length + length);
    this.#ring.write(this.end, source, at, length);
    this.#length += length;
  }

  /** Copies `length` bytes that begin at `sequence` into `target`. */
  copyTo(sequence: Seq, target: DataView, at: number, length: number): void {
    this.#ring.get(sequence, target, at, length);
  }

  /**
   * Lends `length` bytes that begin at `sequence` to whoever takes them where they lie: there they stay until they are
   * acknowledged. @returns false where they must be copied
   */
  lendTo(taker: TextTaker, sequence: Seq, length: number): boolean {
    return length >= LENT_BYTES && this.#ring.lendTo(taker, sequence, length);
  }

  /** Forgets everything before `upTo`. */
  release(upTo: Seq): void {
    const released = seqDiff(upTo, this.#start);
    if (released <= 0) return;
    this.#start = upTo;
    this.#length = Math.max(0, this.#length - released);
    if (this.#length === 0) this.#ring.freeSmall();
  }

  /**
   * Gives back large memory of an empty buffer. Not done at the last ACK itself: a bulk sender writes again
   * in the same turn, and making megabytes anew each time would be what it mostly does.
   */
  trimLarge(): void {
    if (this.#length === 0 && this.#ring.capacity > KEEP_BYTES) this.#ring.free();
  }

  /** Gives back the memory of an empty buffer. */
  trim(): void {
    if (this.#length === 0) this.#ring.free();
  }

  clear(): void {
    this.#length = 0;
    this.#ring.free();
  }
}
