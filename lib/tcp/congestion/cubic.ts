/**
 * CUBIC (RFC 9438): after a congestion event the window returns fast to a little below where it was, stays there
 * for a while, and then searches ever faster for more; by time, not by round trips. Where Reno would be faster,
 * on short paths, it grows like Reno. Slow start is HyStart++ (RFC 9406).
 *
 * The threshold is set from what is outstanding (RFC 9438 §4.6), as the RFC has it, where Linux takes the
 * window; a window that is not in use does not grow either.
 */
import type { Tape } from '../../base/tape.js';
import type {
  AckSample,
  CongestionControl,
  CongestionParameters,
  CongestionSignal,
} from './congestion-control.js';
import { CUBIC_BETA, CubicCurve } from './cubic-curve.js';
import { CongestionWindow } from './window.js';

/** RFC 8511 §3.1: what a mark leaves of the window, when asked to distinguish it from a loss. */
const ABE_BETA = 0.85;

/** RFC 9438 §4.2: no faster than slow start by half. */
const MAX_TARGET = 1.5;

export class Cubic implements CongestionControl {
  readonly name = 'cubic';
  readonly usesPrr = true;
  readonly #window: CongestionWindow;
  /** What is left of the window after a mark. */
  readonly #ecnBeta: number;
  /** Made when slow start ends; and what it was before the last signal, once there was one. */
  #curve: CubicCurve | undefined;
  #undo: CubicCurve | undefined;

  constructor(parameters: CongestionParameters) {
    this.#window = new CongestionWindow(parameters);
    this.#ecnBeta = parameters.abe ? ABE_BETA : CUBIC_BETA;
  }

  fold(tape: Tape, mssBytes: number): void {
    this.#window.fold(tape, mssBytes);
    if (tape.flag(this.#curve !== undefined)) {
      this.#curve ??= new CubicCurve();
      this.#curve.fold(tape);
    }
    if (tape.flag(this.#undo !== undefined)) {
      this.#undo ??= new CubicCurve();
      this.#undo.fold(tape);
    }
  }

  get cwndBytes(): number {
    return this.#window.cwndBytes;
  }

  get ssthreshBytes(): number {
    return this.#window.ssthreshBytes;
  }

  get pacingRateBps(): number {
    return Number.POSITIVE_INFINITY;
  }

  onAck(sample: AckSample): void {
    const window = this.#window;
    const bytes = window.acknowledged(sample);
    if (window.isSlowStart) {
      this.#curve?.pause();
      return;
    }
    this.#curve ??= new CubicCurve();
    const curve = this.#curve;
    if (!curve.isRunning) curve.begin(window.cwndBytes, window.mssBytes, sample.nowUs);
    if (!sample.cwndLimited) curve.skip(sample.nowUs);
    else if (bytes > 0) this.#avoidCongestion(curve, bytes, sample);
  }

  /** Grows for `bytes` acknowledged in congestion avoidance (RFC 9438 §4.2 to §4.5). */
  #avoidCongestion(curve: CubicCurve, bytes: number, sample: AckSample): void {
    const window = this.#window;
    const { cwndBytes, mssBytes } = window;
    const seconds = curve.count(sample.nowUs);
    curve.growReno(bytes, cwndBytes, mssBytes);
    if (curve.windowAt(seconds, mssBytes) < curve.wEstBytes) {
      // The Reno-friendly region. What has been grown to before is not taken back.
      if (curve.wEstBytes > cwndBytes) window.grow(curve.wEstBytes - cwndBytes);
      return;
    }
    const ahead = curve.windowAt(seconds + sample.srttUs / 1e6, mssBytes);
    const target = Math.max(cwndBytes, Math.min(ahead, MAX_TARGET * cwndBytes));
    // In proportion to what was acknowledged, so that the target is reached in one round trip however few ACKs come.
    window.grow(((target - cwndBytes) * Math.min(bytes, cwndBytes)) / cwndBytes);
  }

  onCongestion(signal: CongestionSignal, inFlightBytes: number, _nowUs: number): void {
    const factor = signal === 'ecn' ? this.#ecnBeta : CUBIC_BETA;
    this.#curve ??= new CubicCurve();
    this.#undo ??= new CubicCurve();
    this.#undo.copy(this.#curve);
    this.#curve.end(this.#window.cwndBytes, factor);
    this.#curve.afterTimeout = signal === 'timeout';
    this.#window.reduce(signal, factor, inFlightBytes);
  }

  onRecovered(_nowUs: number): void {
    // The window is what the signal made of it; the next ACK begins a stage.
  }

  onSpurious(_nowUs: number): void {
    if (this.#window.undo() && this.#undo !== undefined) this.#curve?.copy(this.#undo);
  }

  onIdle(_nowUs: number): void {
    this.#window.restart();
    this.#curve?.pause();
  }

  /** After a pause in which nothing was in flight the curve goes on where it was (Linux `cubictcp_cwnd_event`). */
  onTransmit(inFlightBytes: number, _isAppLimited: boolean, nowUs: number): void {
    if (inFlightBytes === 0 && this.#curve?.isRunning) this.#curve.skip(nowUs);
  }

  setMss(mssBytes: number): void {
    this.#window.setMss(mssBytes);
    // The curve is drawn in segments: another begins.
    this.#curve?.pause();
  }
}
