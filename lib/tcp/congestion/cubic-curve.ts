/**
 * The curve that CUBIC follows in one stage of congestion avoidance (RFC 9438 §4.2), and beside it the window
 * that Reno would have (§4.3). Sizes are bytes, times of the curve seconds; both are doubles, which hold
 * the cube of 10^4 s of jumbo segments to the byte.
 */
import { NEVER } from '../../base/clock.js';
import type { Tape } from '../../base/tape.js';

/** How steep the curve is, segments per second cubed (RFC 9438 §5.1). */
export const CUBIC_C = 0.4;
/** The window after a congestion event, as a fraction of that before (RFC 9438 §4.6). */
export const CUBIC_BETA = 0.7;
/** Segments a round trip by which Reno would grow, were it to halve no more than CUBIC (RFC 9438 §4.3). */
export const CUBIC_ALPHA = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA);

export class CubicCurve {
  /** W_max: where the curve is flat; 0 while there has been no congestion event. */
  wMaxBytes = 0;
  /** K: when it is reached, s from the beginning of the stage. */
  kSeconds = 0;
  /** Time of the beginning, µs, later by what must not count; NEVER between stages. */
  epochUs = NEVER;
  /** Up to when time has been counted, µs. */
  countedUs = 0;
  /** W_est: the window Reno would have. */
  wEstBytes = 0;
  /** cwnd_prior: the window before the last event; 0 while there was none, and Reno's grows at full pace (§4.10). */
  cwndPriorBytes = 0;
  /** The stage to come is the first after a time-out (RFC 9438 §4.8). */
  afterTimeout = false;

  fold(tape: Tape): void {
    this.wMaxBytes = tape.number(this.wMaxBytes, 0);
    this.kSeconds = tape.number(this.kSeconds, 0);
    this.epochUs = tape.number(this.epochUs, NEVER);
    this.countedUs = tape.number(this.countedUs, 0);
    this.wEstBytes = tape.number(this.wEstBytes, 0);
    this.cwndPriorBytes = tape.number(this.cwndPriorBytes, 0);
    this.afterTimeout = tape.flag(this.afterTimeout);
  }

  get isRunning(): boolean {
    return this.epochUs !== NEVER;
  }

  /** A stage begins with a window of `cwndBytes`. */
  begin(cwndBytes: number, mssBytes: number, nowUs: number): void {
    // RFC 9438 §4.8, §4.10: the first stage after a time-out, or before any loss, begins where the curve is flat.
    if (this.afterTimeout || cwndBytes >= this.wMaxBytes) this.wMaxBytes = cwndBytes;
    this.kSeconds = Math.cbrt((this.wMaxBytes - cwndBytes) / (CUBIC_C * mssBytes));
    this.wEstBytes = cwndBytes;
    this.epochUs = nowUs;
    this.countedUs = nowUs;
    this.afterTimeout = false;
  }

  /** W_cubic(t) of RFC 9438 §4.2, equation 1. */
  windowAt(seconds: number, mssBytes: number): number {
    const fromFlat = seconds - this.kSeconds;
    return CUBIC_C * mssBytes * fromFlat * fromFlat * fromFlat + this.wMaxBytes;
  }

  /** Time up to `nowUs` counts. @returns t of RFC 9438 §4.2, s */
  count(nowUs: number): number {
    this.countedUs = nowUs;
    return (nowUs - this.epochUs) / 1e6;
  }

  /** Time since it was last counted does not count, as the window was not in use (RFC 9438 §4.2, §5.8). */
  skip(nowUs: number): void {
    this.epochUs += nowUs - this.countedUs;
    this.countedUs = nowUs;
  }

  /** Reno's window grows for `bytes` acknowledged (RFC 9438 §4.3, equation 4). */
  growReno(bytes: number, cwndBytes: number, mssBytes: number): void {
    const alpha = this.wEstBytes >= this.cwndPriorBytes ? 1 : CUBIC_ALPHA;
    this.wEstBytes += (alpha * mssBytes * bytes) / cwndBytes;
  }

  /**
   * A congestion event takes a window of `cwndBytes` down to `factor` of it. One that came before the last
   * W_max was reached means that there is less room than then, so the next is set lower still (fast
   * convergence, RFC 9438 §4.7).
   */
  end(cwndBytes: number, factor: number): void {
    this.cwndPriorBytes = cwndBytes;
    this.wMaxBytes = cwndBytes < this.wMaxBytes ? (cwndBytes * (1 + factor)) / 2 : cwndBytes;
    this.afterTimeout = false;
    this.pause();
  }

  /** Congestion avoidance is left; when it returns, a new stage begins. */
  pause(): void {
    this.epochUs = NEVER;
  }

  copy(other: CubicCurve): void {
    this.wMaxBytes = other.wMaxBytes;
    this.kSeconds = other.kSeconds;
    this.epochUs = other.epochUs;
    this.countedUs = other.countedUs;
    this.wEstBytes = other.wEstBytes;
    this.cwndPriorBytes = other.cwndPriorBytes;
    this.afterTimeout = other.afterTimeout;
  }
}
