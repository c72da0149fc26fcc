/**
 * Round-trip time and retransmission time-out (RFC 6298), made for several samples in a round trip,
 * which must not flush the history (RFC 7323 §4.2). The smoothed time takes each sample with the weight
 * of one among so many (RFC 7323 appendix G). The deviation follows every sample in full, lest a rise be
 * noticed too late; as in Linux the largest of a round trip counts, and it decays once per round trip.
 */
import { type Seq, seqGt } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import { WindowedMin } from './windowed-min.js';

/** How long the smallest round-trip time counts, µs (Linux `tcp_min_rtt_wlen`). */
const MIN_RTT_WINDOW_US = 300_000_000;

export interface RttLimits {
  /** Lower bound on 4·RTTVAR, µs. RFC 6298 §2.4 has 1 s for the whole RTO; Linux and we go lower. */
  readonly rtoMinUs: number;
  /** Upper bound on the RTO, µs (RFC 6298 §2.5). */
  readonly rtoMaxUs: number;
  /** RTO before the first sample, µs (RFC 6298 §2.1). */
  readonly initialRtoUs: number;
}

export class RttEstimator {
  readonly #limits: RttLimits;
  /** Smoothed round-trip time, µs; 0 before the first sample. */
  srttUs = 0;
  /** RTTVAR of RFC 6298 §2.3, µs. */
  rttVarUs = 0;
  /** Smallest sample of the last minutes, of what was sent once. */
  readonly minimum = new WindowedMin(MIN_RTT_WINDOW_US);
  /** Latest sample, µs; 0 before the first. */
  latestUs = 0;
  /** What 4·RTTVAR counts as in the RTO, µs: floored, and the largest of the last round trips. */
  #deviationUs = 0;
  /** Largest 4·RTTVAR of the round trip under way, which ends when SND.UNA passes `#roundEnd`. */
  #roundDeviationUs = 0;
  #roundEnd = 0 as Seq;
  /** Samples of the round trip under way, and how many to expect in one, going by the last. */
  #roundSamples = 0;
  #expectedSamples = 1;
  /** RTO without backoff, µs. */
  baseRtoUs: number;

  constructor(limits: RttLimits) {
    this.#limits = limits;
    this.baseRtoUs = limits.initialRtoUs;
  }

  get hasMinimum(): boolean {
    return this.minimum.value !== Number.POSITIVE_INFINITY;
  }

  get hasSample(): boolean {
    return this.srttUs > 0;
  }

  /** Smallest sample of the last minutes, µs; Infinity before the first. */
  get minRttUs(): number {
    return this.minimum.value;
  }

  /** Takes a sample. `sndUna` and `sndNxt` tell when a round trip has ended. */
  sample(rttUs: number, sndUna: Seq, sndNxt: Seq): void {
    const rtt = Math.max(1, rttUs);
    this.latestUs = rtt;
    if (this.srttUs === 0) this.#first(rtt, sndNxt);
    else this.#next(rtt, sndUna, sndNxt);
    this.#compute();
  }

  /** RFC 6298 §5.7: a SYN had to be repeated, so data begins with an RTO of at least 3 s. */
  distrustHandshake(): void {
    if (!this.hasSample) this.baseRtoUs = Math.max(this.baseRtoUs, 3_000_000);
  }

  /** The RTO after `backoff` doublings, µs (RFC 6298 §5.5). */
  rtoUs(backoff: number): number {
    const rtoUs = backoff === 0 ? this.baseRtoUs : this.baseRtoUs * 2 ** backoff;
    return Math.min(this.#limits.rtoMaxUs, rtoUs);
  }

  fold(tape: Tape, sndUna: Seq): void {
    this.srttUs = tape.number(this.srttUs, 0);
    this.rttVarUs = tape.number(this.rttVarUs, 0);
    this.latestUs = tape.number(this.latestUs, 0);
    this.#deviationUs = tape.number(this.#deviationUs, this.#limits.rtoMinUs);
    this.#roundDeviationUs = tape.number(this.#roundDeviationUs, this.#limits.rtoMinUs);
    this.#roundEnd = tape.number(this.#roundEnd, sndUna) as Seq;
    this.#roundSamples = tape.number(this.#roundSamples, 0);
    this.#expectedSamples = tape.number(this.#expectedSamples, 1);
    this.baseRtoUs = tape.number(this.baseRtoUs, this.#limits.initialRtoUs);
    this.minimum.fold(tape);
  }

  #first(rtt: number, sndNxt: Seq): void {
    this.srttUs = rtt;
    this.rttVarUs = rtt / 2;
    this.#deviationUs = Math.max(4 * this.rttVarUs, this.#limits.rtoMinUs);
    this.#roundDeviationUs = this.#deviationUs;
    this.#roundEnd = sndNxt;
  }

  #next(rtt: number, sndUna: Seq, sndNxt: Seq): void {
    // RFC 6298 §2.3: first RTTVAR, then SRTT.
    this.rttVarUs += (Math.abs(this.srttUs - rtt) - this.rttVarUs) / 4;
    this.#roundSamples++;
    this.srttUs += (rtt - this.srttUs) / (8 * Math.max(this.#roundSamples, this.#expectedSamples));
    const deviation = 4 * this.rttVarUs;
    if (deviation > this.#roundDeviationUs) {
      this.#roundDeviationUs = deviation;
      if (deviation > this.#deviationUs) this.#deviationUs = deviation;
    }
    if (seqGt(sndUna, this.#roundEnd)) {
      if (this.#roundDeviationUs < this.#deviationUs) {
        this.#deviationUs -= (this.#deviationUs - this.#roundDeviationUs) / 4;
      }
      this.#roundEnd = sndNxt;
      this.#roundDeviationUs = this.#limits.rtoMinUs;
      this.#expectedSamples = this.#roundSamples;
      this.#roundSamples = 0;
    }
  }

  #compute(): void {
    const rto = this.srttUs + Math.max(this.#deviationUs, this.#limits.rtoMinUs);
    this.baseRtoUs = Math.min(rto, this.#limits.rtoMaxUs);
  }
}
