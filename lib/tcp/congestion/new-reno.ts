/** NewReno: slow start, congestion avoidance and halving (RFC 5681, RFC 6582), counted in bytes (RFC 3465). */
import type {
  AckSample,
  CongestionControl,
  CongestionParameters,
  CongestionSignal,
} from './congestion-control.js';

/** RFC 5681 §3.1: at first as high as any window may be. */
const UNKNOWN_SSTHRESH_BYTES = 0x4000_0000;

export class NewReno implements CongestionControl {
  readonly name = 'reno';
  readonly pacingRateBps = Number.POSITIVE_INFINITY;
  readonly usesPrr = false;
  cwndBytes: number;
  ssthreshBytes: number;
  #mssBytes: number;
  readonly #initialWindowBytes: number;
  /** Bytes acknowledged in congestion avoidance towards the next increment. */
  #creditBytes = 0;
  /** What the last signal took away. */
  #priorCwndBytes = 0;
  #priorSsthreshBytes = 0;

  constructor(parameters: CongestionParameters) {
    this.#mssBytes = parameters.mssBytes;
    this.#initialWindowBytes = parameters.initialWindowBytes;
    const { inherited } = parameters;
    this.cwndBytes = inherited?.cwndBytes ?? parameters.initialWindowBytes;
    this.ssthreshBytes = inherited?.ssthreshBytes ?? UNKNOWN_SSTHRESH_BYTES;
  }

  onAck(sample: AckSample): void {
    if (!sample.cwndLimited || sample.ackedBytes === 0) return;
    let acked = sample.ackedBytes;
    if (this.cwndBytes < this.ssthreshBytes) {
      // RFC 5681 §3.1: slow start ends at ssthresh; what is left over counts for congestion avoidance.
      const growth = Math.min(acked, this.ssthreshBytes - this.cwndBytes);
      this.cwndBytes += growth;
      acked -= growth;
    }
    if (acked > 0) this.#avoidCongestion(acked);
  }

  /** One SMSS per window of bytes acknowledged (RFC 5681 §3.1, equation 3 counted in bytes). */
  #avoidCongestion(ackedBytes: number): void {
    this.#creditBytes += ackedBytes;
    while (this.#creditBytes >= this.cwndBytes) {
      this.#creditBytes -= this.cwndBytes;
      this.cwndBytes += this.#mssBytes;
    }
  }

  onCongestion(signal: CongestionSignal, inFlightBytes: number, _nowUs: number): void {
    this.#priorCwndBytes = this.cwndBytes;
    this.#priorSsthreshBytes = this.ssthreshBytes;
    this.#creditBytes = 0;
    // RFC 5681 equation 4: from what is in flight, not from cwnd.
    this.ssthreshBytes = Math.max(Math.floor(inFlightBytes / 2), 2 * this.#mssBytes);
    this.cwndBytes = signal === 'timeout' ? this.#mssBytes : this.ssthreshBytes;
  }

  onRecovered(_nowUs: number): void {
    this.cwndBytes = Math.max(Math.min(this.cwndBytes, this.ssthreshBytes), this.#mssBytes);
  }

  onSpurious(_nowUs: number): void {
    this.cwndBytes = Math.max(this.cwndBytes, this.#priorCwndBytes);
    this.ssthreshBytes = Math.max(this.ssthreshBytes, this.#priorSsthreshBytes);
  }

  onIdle(_nowUs: number): void {
    this.cwndBytes = Math.min(this.cwndBytes, this.#initialWindowBytes);
  }

  setMss(mssBytes: number): void {
    this.#mssBytes = mssBytes;
    this.cwndBytes = Math.max(this.cwndBytes, mssBytes);
  }
}
