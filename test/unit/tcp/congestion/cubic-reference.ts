/**
 * CUBIC as RFC 9438 writes it down: segments and seconds, in the order of its text, without regard to cost. It
 * is held against the one that ships.
 */
const C = 0.4;
const BETA = 0.7;
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

export class CubicReference {
  cwnd: number;
  ssthresh = Number.POSITIVE_INFINITY;
  wMax: number | undefined;
  k = 0;
  tEpoch: number | undefined;
  wEst = 0;
  cwndPrior: number | undefined;
  flat = false;

  constructor(initialWindow: number) {
    this.cwnd = initialWindow;
  }

  wCubic(t: number): number {
    return C * (t - this.k) ** 3 + (this.wMax ?? 0);
  }

  /** An ACK at time `now` for `segments`, the window being in use. */
  ack(segments: number, now: number, rtt: number): void {
    let acked = segments;
    if (this.cwnd < this.ssthresh) {
      const growth = Math.min(acked, this.ssthresh - this.cwnd);
      this.cwnd += growth;
      acked -= growth;
      if (this.cwnd < this.ssthresh) return;
    }
    if (this.tEpoch === undefined) this.#enterCongestionAvoidance(now);
    if (acked > 0) this.#avoid(acked, now - (this.tEpoch as number), rtt);
  }

  #enterCongestionAvoidance(now: number): void {
    this.tEpoch = now;
    if (this.flat || this.wMax === undefined || this.wMax <= this.cwnd) {
      this.wMax = this.cwnd;
      this.k = 0;
    } else {
      this.k = ((this.wMax - this.cwnd) / C) ** (1 / 3);
    }
    this.cwndPrior ??= this.cwnd;
    this.wEst = this.cwnd;
    this.flat = false;
  }

  #avoid(acked: number, t: number, rtt: number): void {
    const alpha = this.wEst >= (this.cwndPrior as number) ? 1 : ALPHA;
    this.wEst += alpha * (acked / this.cwnd);
    if (this.wCubic(t) < this.wEst) {
      this.cwnd = Math.max(this.cwnd, this.wEst);
      return;
    }
    let target = this.wCubic(t + rtt);
    if (target < this.cwnd) target = this.cwnd;
    if (target > 1.5 * this.cwnd) target = 1.5 * this.cwnd;
    this.cwnd += ((target - this.cwnd) / this.cwnd) * Math.min(acked, this.cwnd);
  }

  congestion(signal: 'loss' | 'ecn' | 'timeout', flightSize: number): void {
    this.wMax = this.wMax !== undefined && this.cwnd < this.wMax ? (this.cwnd * (1 + BETA)) / 2 : this.cwnd;
    this.cwndPrior = this.cwnd;
    const ssthresh = flightSize * BETA;
    this.cwnd = Math.max(ssthresh, signal === 'loss' ? 2 : 1);
    this.ssthresh = Math.max(ssthresh, 2);
    if (signal === 'timeout') this.cwnd = 1;
    this.flat = signal === 'timeout';
    this.tEpoch = undefined;
  }

  idle(seconds: number): void {
    if (this.tEpoch !== undefined) this.tEpoch += seconds;
  }
}
