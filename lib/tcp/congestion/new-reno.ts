/** NewReno: slow start, congestion avoidance and halving (RFC 5681, RFC 6582), counted in bytes (RFC 3465). */
import type { Tape } from '../../base/tape.js';
import type {
  AckSample,
  CongestionControl,
  CongestionParameters,
  CongestionSignal,
} from './congestion-control.js';
import { CongestionWindow } from './window.js';

/** RFC 5681 §3.1, equation 4: what a congestion event leaves. */
const BETA = 0.5;
/** RFC 8511 §3.1: what a mark leaves of the window, when asked to distinguish it from a loss. */
const ABE_BETA = 0.8;

export class NewReno implements CongestionControl {
  readonly name = 'reno';
  readonly usesPrr = true;
  readonly #window: CongestionWindow;
  /** What is left of the window after a mark. */
  readonly #ecnBeta: number;
  /** Bytes acknowledged in congestion avoidance towards the next increment. */
  #creditBytes = 0;

  constructor(parameters: CongestionParameters) {
    this.#window = new CongestionWindow(parameters);
    this.#ecnBeta = parameters.abe ? ABE_BETA : BETA;
  }

  fold(tape: Tape, mssBytes: number): void {
    this.#window.fold(tape, mssBytes);
    this.#creditBytes = tape.number(this.#creditBytes, 0);
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
    this.#creditBytes += this.#window.acknowledged(sample);
    this.#avoidCongestion();
  }

  /** One SMSS per window of bytes acknowledged (RFC 5681 §3.1, equation 3 counted in bytes). */
  #avoidCongestion(): void {
    const window = this.#window;
    while (this.#creditBytes >= window.cwndBytes) {
      this.#creditBytes -= window.cwndBytes;
      window.grow(window.mssBytes);
    }
  }

  onCongestion(signal: CongestionSignal, inFlightBytes: number, _nowUs: number): void {
    this.#creditBytes = 0;
    this.#window.reduce(signal, signal === 'ecn' ? this.#ecnBeta : BETA, inFlightBytes);
  }

  onRecovered(_nowUs: number): void {
    // The window is what the signal made of it.
  }

  onSpurious(_nowUs: number): void {
    this.#window.undo();
  }

  onIdle(_nowUs: number): void {
    this.#creditBytes = 0;
    this.#window.restart();
  }

  setMss(mssBytes: number): void {
    this.#window.setMss(mssBytes);
  }
}
