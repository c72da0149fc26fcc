/**
 * How large a window to offer: silly-window avoidance (RFC 9293 §3.8.6.2.2), and a buffer that grows
 * with what the application reads in a round trip (dynamic right-sizing; Fisk and Feng, 2001).
 */

import { type Seq, seqAdd, seqLt } from '../base/seq.js';
import type { Tape } from '../base/tape.js';

export interface WindowLimits {
  /** The MSS we announced, bytes. */
  readonly mssBytes?: number;
  /** Window to offer at first, bytes. */
  readonly windowBytes: number;
  /** What it grows to as segments arrive, before the reader's pace is known. */
  readonly bufferBytes: number;
  readonly maxBufferBytes: number;
  readonly clampBytes: number;
  readonly windowShift: number;
}

/** An initial window (RFC 6928 §2). */
const INITIAL_SEGMENTS = 10;

/** Smaller segments open no window: their like may never fill it. */
const WORTHWHILE_BYTES = 128;

/** What the buffer gets beyond twice the bytes read in a round trip. */
const MARGIN_BYTES = 65_536;

export class WindowTuner {
  /** Bytes the buffer may hold now. */
  limitBytes: number;
  /** What neither options nor the window field let it exceed, and what a clamp leaves of that. */
  readonly #largestBytes: number;
  #maxBytes: number;
  #bufferBytes: number;
  readonly #unit: number;
  /** What the application read in the round trip under way, and in the best one before. */
  #consumedBytes = 0;
  #bestBytes: number;
  #roundStartUs = 0;
  #rttUs = 0;
  /** The echoed timestamp last taken for a sample. */
  #lastEcho = 0;
  /** Where the window ended when the time it takes began to be measured, and when that was, µs; -1 not yet. */
  #windowEnd = 0 as Seq;
  #windowStartUs = -1;
  #isFixed = false;

  constructor(limits: WindowLimits) {
    this.#largestBytes = Math.min(limits.maxBufferBytes, 0xffff * 2 ** limits.windowShift);
    this.#maxBytes = clamped(this.#largestBytes, limits.clampBytes);
    this.#bufferBytes = Math.min(limits.bufferBytes, this.#maxBytes);
    // Jumbo segments too get room for an initial window of ten, though a SYN cannot say so.
    const initial = Math.min(this.#bufferBytes, INITIAL_SEGMENTS * (limits.mssBytes ?? 0));
    this.limitBytes = Math.min(Math.max(limits.windowBytes, initial), this.#maxBytes);
    this.#bestBytes = this.limitBytes / 2;
    this.#unit = 1 << limits.windowShift;
  }

  fold(tape: Tape): void {
    this.limitBytes = tape.number(this.limitBytes, 0);
    this.#maxBytes = tape.number(this.#maxBytes, this.#largestBytes);
    this.#bufferBytes = tape.number(this.#bufferBytes, this.limitBytes);
    this.#consumedBytes = tape.number(this.#consumedBytes, 0);
    this.#bestBytes = tape.number(this.#bestBytes, this.limitBytes / 2);
    this.#roundStartUs = tape.number(this.#roundStartUs, 0);
    this.#rttUs = tape.number(this.#rttUs, 0);
    this.#lastEcho = tape.number(this.#lastEcho, 0);
    this.#windowEnd = tape.number(this.#windowEnd, 0) as Seq;
    this.#windowStartUs = tape.number(this.#windowStartUs, -1);
    this.#isFixed = tape.flag(this.#isFixed);
  }

  /**
   * Bytes that are never exceeded: the limit, and beyond it what rounding the window up to its unit may
   * offer, once for the limit itself and a little with each ACK while the window fills.
   */
  get hardLimitBytes(): number {
    return this.limitBytes + this.limitBytes / 16 + 2 * this.#unit;
  }

  /** Round-trip time as the receiver sees it, µs; 0 before it has seen one. */
  get rttUs(): number {
    return this.#rttUs;
  }

  /** Fixes the size: the application chose it. What has been offered stays offered. */
  fix(bytes: number): void {
    this.limitBytes = Math.min(bytes, this.#maxBytes);
    this.#isFixed = true;
  }

  /** Bounds the window from now on, 0 for no more than before; what has been offered stays offered (Linux `TCP_WINDOW_CLAMP`). */
  clamp(bytes: number): void {
    this.#maxBytes = clamped(this.#largestBytes, bytes);
    this.limitBytes = Math.min(this.limitBytes, this.#maxBytes);
  }

  /** The application took `bytes`. */
  consumed(bytes: number): void {
    this.#consumedBytes += bytes;
  }

  /** A round-trip time seen by the receiver, µs; smoothed, as data carries echoes of one tick's grain. */
  measured(rttUs: number): void {
    this.#rttUs = this.#rttUs === 0 ? rttUs : this.#rttUs + (rttUs - this.#rttUs) / 8;
  }

  /** Whether a timestamp is echoed for the first time: each echo counts once, as later ones have waited. */
  isNewEcho(tsEcr: number): boolean {
    return tsEcr !== this.#lastEcho;
  }

  /** The round-trip time by a timestamp that is a new echo, µs. */
  echoed(tsEcr: number, rttUs: number): void {
    if (rttUs <= 0) return;
    this.#lastEcho = tsEcr;
    this.measured(rttUs);
  }

  /** Without timestamps: to fill a window takes a round trip, or longer where the peer sends less. */
  timeWindow(rcvNxt: Seq, windowBytes: number, nowUs: number): void {
    if (this.#windowStartUs >= 0) {
      if (seqLt(rcvNxt, this.#windowEnd)) return;
      const takenUs = Math.max(1, nowUs - this.#windowStartUs);
      if (this.#rttUs === 0 || takenUs < this.#rttUs) this.#rttUs = takenUs;
    }
    this.#windowEnd = seqAdd(rcvNxt, windowBytes);
    this.#windowStartUs = nowUs;
  }

  /**
   * Called as something arrives behind a gap, which keeps the reader from showing its pace: what waits there,
   * from RCV.NXT to its end `spannedBytes`, takes no room from what the reader would have (Linux `tcp_rcvbuf_grow`).
   */
  arrivedBehindGap(spannedBytes: number): void {
    if (!this.#isFixed) this.#growTo(2 * this.#bestBytes + MARGIN_BYTES + spannedBytes);
  }

  /**
   * Called as `textBytes` arrive in order. At first the window opens by twice as much (Linux `tcp_grow_window`); from
   * then on the buffer grows once in a round trip, where the reader keeps up.
   */
  arrived(textBytes: number, nowUs: number): void {
    if (this.#isFixed) return;
    const bufferBytes = Math.min(this.#bufferBytes, this.#maxBytes);
    if (this.limitBytes < bufferBytes && textBytes >= WORTHWHILE_BYTES) {
      this.limitBytes = Math.min(bufferBytes, this.limitBytes + 2 * textBytes);
    }
    if (this.#roundStartUs === 0) this.#roundStartUs = nowUs;
    if (this.#rttUs === 0 || nowUs - this.#roundStartUs < this.#rttUs) return;
    if (this.#consumedBytes > this.#bestBytes) {
      this.#bestBytes = this.#consumedBytes;
      // Twice what was read in a round trip lets the sender double its window in the next.
      this.#growTo(2 * this.#consumedBytes + MARGIN_BYTES);
    }
    this.#consumedBytes = 0;
    this.#roundStartUs = nowUs;
  }

  #growTo(bytes: number): void {
    const wanted = Math.min(this.#maxBytes, bytes);
    if (wanted > this.limitBytes) this.limitBytes = wanted;
  }

  /**
   * The window to offer, bytes, where `current` is still open and `occupied` bytes wait to be read.
   * It stays closed until a segment or half the buffer can be offered, then opens in whole segments.
   */
  offer(current: number, occupied: number, mssBytes: number): number {
    const free = Math.max(0, this.limitBytes - occupied);
    const mss = Math.min(mssBytes, this.limitBytes);
    if (free < Math.max(this.limitBytes / 16, Math.min(mss, this.limitBytes / 2))) return 0;
    // The right edge moves by a full segment or half the buffer at least (RFC 9293 §3.8.6.2.2).
    if (free < current + Math.min(this.limitBytes / 2, mss)) return current;
    // Scaled windows are coarse: rounding up to the unit keeps a small one from vanishing.
    return Math.ceil(free / this.#unit) * this.#unit;
  }
}

const clamped = (bytes: number, clampBytes: number): number =>
  clampBytes > 0 ? Math.min(bytes, clampBytes) : bytes;
