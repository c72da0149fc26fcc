/**
 * A congestion window, and what the algorithms that are built on one have in common: slow start, its validation,
 * reductions and their undoing, restart after idleness. Everything is counted in bytes.
 */
import type { Tape } from '../../base/tape.js';
import type { AckSample, CongestionParameters, CongestionSignal } from './congestion-control.js';
import { SlowStart } from './slow-start.js';
import { WindowValidation } from './window-validation.js';

/** RFC 5681 §3.1: the threshold is at first as high as any window can be (RFC 7323 §2.3). */
export const UNKNOWN_SSTHRESH_BYTES = 2 ** 30;

/** RFC 5681 §3.1, equation 4: the threshold is two segments at least. */
const MIN_SSTHRESH_SEGMENTS = 2;

export class CongestionWindow {
  cwndBytes: number;
  ssthreshBytes: number;
  mssBytes: number;
  #initialWindowBytes: number;
  readonly #maxWindowBytes: number;
  readonly #slowStart: SlowStart;
  readonly #validation: WindowValidation;
  /** Less than a byte by which the window should be larger: it grows by whole bytes. */
  #fraction = 0;
  /** Bytes delivered out of order since SND.UNA advanced: they count once it does. */
  #selectiveBytes = 0;
  /** What the last signal took away, bytes; 0 when there is nothing to undo. */
  #priorCwndBytes = 0;
  #priorSsthreshBytes = 0;

  constructor(parameters: CongestionParameters) {
    const { mssBytes, initialWindowBytes, inherited } = parameters;
    this.mssBytes = mssBytes;
    this.#initialWindowBytes = initialWindowBytes;
    this.#maxWindowBytes = Math.min(parameters.maxWindowBytes, UNKNOWN_SSTHRESH_BYTES);
    this.#slowStart = new SlowStart(parameters.paced ?? true);
    this.#validation = new WindowValidation(parameters.nowUs);
    this.cwndBytes = this.#bounded(Math.floor(inherited?.cwndBytes ?? initialWindowBytes));
    const ssthreshBytes = Math.floor(inherited?.ssthreshBytes ?? UNKNOWN_SSTHRESH_BYTES);
    this.ssthreshBytes = Math.min(ssthreshBytes, UNKNOWN_SSTHRESH_BYTES);
  }

  fold(tape: Tape, mssBytes: number): void {
    this.mssBytes = tape.number(this.mssBytes, mssBytes);
    this.#initialWindowBytes = tape.number(this.#initialWindowBytes, 10 * mssBytes);
    this.cwndBytes = tape.number(this.cwndBytes, this.#initialWindowBytes);
    this.ssthreshBytes = tape.number(this.ssthreshBytes, UNKNOWN_SSTHRESH_BYTES);
    this.#fraction = tape.number(this.#fraction, 0);
    this.#selectiveBytes = tape.number(this.#selectiveBytes, 0);
    this.#priorCwndBytes = tape.number(this.#priorCwndBytes, 0);
    this.#priorSsthreshBytes = tape.number(this.#priorSsthreshBytes, 0);
    this.#slowStart.fold(tape);
    this.#validation.fold(tape);
  }

  get isSlowStart(): boolean {
    return this.cwndBytes < this.ssthreshBytes;
  }

  /**
   * Takes an ACK, and grows by it in slow start.
   *
   * What counts is what the ACK newly delivered and was in flight before. So nothing is gained by splitting ACKs
   * (RFC 3465), nor after a time-out by an ACK for what had left the network long before it, for which
   * RFC 3465 §2.3 would have slow start take one segment an ACK, and be slow where ACKs are thinned out.
   * Bytes delivered out of order count once SND.UNA advances, or else duplicate ACKs would grow the window
   * (RFC 3042 §2); if they turn out to be followed by a loss, they do not count. Nor does anything while the
   * window is not what holds the sender back.
   * @returns how many bytes count for congestion avoidance
   */
  acknowledged(sample: AckSample): number {
    if (this.#validation.hasExpired(sample, this.cwndBytes)) this.#forget();
    let bytes = this.#selectiveBytes + Math.min(sample.deliveredBytes, sample.priorInFlightBytes);
    this.#selectiveBytes = 0;
    if (sample.ackedBytes === 0) {
      this.#selectiveBytes = bytes;
      bytes = 0;
    }
    if (!sample.cwndLimited) bytes = 0;
    return this.isSlowStart ? this.#growSlowly(sample, bytes) : bytes;
  }

  /** Slow start up to the threshold (RFC 5681 §3.1); what is left over counts for congestion avoidance. */
  #growSlowly(sample: AckSample, bytes: number): number {
    const isFirst = this.ssthreshBytes === UNKNOWN_SSTHRESH_BYTES;
    const growth = this.#slowStart.growth(bytes, this.mssBytes);
    const room = this.ssthreshBytes - this.cwndBytes;
    this.grow(Math.min(growth, room));
    // RFC 9406 §4.3: only at first, since later the threshold is known.
    if (isFirst && this.#slowStart.endsAt(sample)) this.ssthreshBytes = this.cwndBytes;
    return growth > room ? growth - room : 0;
  }

  /** Grows by `bytes`, a fraction of one included. */
  grow(bytes: number): void {
    const total = this.#fraction + bytes;
    const whole = Math.floor(total);
    this.#fraction = total - whole;
    if (whole > 0) this.cwndBytes = this.#bounded(this.cwndBytes + whole);
  }

  /**
   * Takes a congestion signal: the threshold becomes `factor` of what was outstanding, of the window at most
   * (RFC 5681 §3.1, RFC 9438 §4.6), which a window that was not in use does not inflate. The window follows,
   * down to two segments for a loss, to one for a mark (RFC 3168 §6.1.2), always to one for a time-out.
   */
  reduce(signal: CongestionSignal, factor: number, inFlightBytes: number): void {
    const { mssBytes } = this;
    this.#priorCwndBytes = this.cwndBytes;
    this.#priorSsthreshBytes = this.ssthreshBytes;
    this.#fraction = 0;
    this.#selectiveBytes = 0;
    this.#slowStart.interrupted();
    const reduced = Math.round(Math.min(inFlightBytes, this.cwndBytes) * factor);
    this.ssthreshBytes = Math.max(reduced, MIN_SSTHRESH_SEGMENTS * mssBytes);
    if (signal === 'timeout') this.cwndBytes = mssBytes;
    else this.cwndBytes = this.#bounded(signal === 'ecn' ? reduced : this.ssthreshBytes);
  }

  /**
   * Takes back the last reduction, once, unless the window has grown beyond what it took (RFC 9438 §4.9.2).
   * @returns whether it did
   */
  undo(): boolean {
    const prior = this.#priorCwndBytes;
    this.#priorCwndBytes = 0;
    if (prior === 0 || this.cwndBytes >= prior) return false;
    this.cwndBytes = this.#bounded(prior);
    this.ssthreshBytes = Math.max(this.#priorSsthreshBytes, MIN_SSTHRESH_SEGMENTS * this.mssBytes);
    return true;
  }

  /**
   * Sending resumes after an idle time: no more than the initial window goes out unasked (RFC 5681 §4.1). The
   * threshold is not lowered; like Linux we raise it to where slow start may safely return.
   */
  restart(): void {
    if (this.cwndBytes <= this.#initialWindowBytes) return;
    this.#remember();
    this.cwndBytes = this.#bounded(this.#initialWindowBytes);
  }

  /** Half of a window that has long not been in use goes (RFC 7661 §4.4.3). */
  #forget(): void {
    if (this.cwndBytes <= this.#initialWindowBytes) return;
    this.#remember();
    this.cwndBytes = Math.max(Math.floor(this.cwndBytes / 2), this.#initialWindowBytes);
  }

  #remember(): void {
    this.#fraction = 0;
    this.#priorCwndBytes = 0;
    this.ssthreshBytes = Math.max(this.ssthreshBytes, Math.floor((3 * this.cwndBytes) / 4));
  }

  /**
   * The segment size changed. The bytes that the path carried in one round trip remain; but a window no larger
   * than the initial one was chosen in segments, and shrinks with them.
   */
  setMss(mssBytes: number): void {
    if (mssBytes < this.mssBytes) {
      const share = mssBytes / this.mssBytes;
      if (this.cwndBytes <= this.#initialWindowBytes) this.cwndBytes = Math.floor(this.cwndBytes * share);
      this.#initialWindowBytes = Math.ceil(this.#initialWindowBytes * share);
    }
    this.mssBytes = mssBytes;
    this.cwndBytes = this.#bounded(this.cwndBytes);
    this.ssthreshBytes = Math.max(this.ssthreshBytes, MIN_SSTHRESH_SEGMENTS * mssBytes);
  }

  #bounded(bytes: number): number {
    return Math.max(this.mssBytes, Math.min(bytes, this.#maxWindowBytes));
  }
}
