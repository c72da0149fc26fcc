/**
 * Whether the congestion window is in use. A window that nothing fills says nothing of the path, so it must not
 * grow, and one that stays half empty for minutes is forgotten bit by bit (RFC 7661).
 *
 * Growth follows Linux' `tcp_is_cwnd_limited`: it is allowed for a round after the window held the sender back,
 * and in slow start while more than half of it is in use, since doubling what was in use is all slow start
 * wants to do. Between round trips the window is kept, as RFC 7661 §4.3 says, not halved at every RTO as by
 * RFC 2861 and Linux, which RFC 7661 found to gain little and to hurt applications that send in bursts.
 */
import { type Seq, seqGt } from '../../base/seq.js';
import type { AckSample } from './congestion-control.js';

/** The Nonvalidated Period of RFC 7661 §4.4: how long a window is kept that is not in use, µs. */
const NONVALIDATED_PERIOD_US = 300_000_000;

/** What is asked of an ACK. */
type Usage = Pick<AckSample, 'nowUs' | 'cwndLimited' | 'priorInFlightBytes' | 'sndUna' | 'sndNxt'>;

export class WindowValidation {
  /** Whether the window held the sender back in this round, and the most that was in flight in it, bytes. */
  #isLimited = false;
  #maxInFlightBytes = 0;
  /** SND.NXT when that was noticed; the round is over once something later is acknowledged. */
  #roundEnd = 0 as Seq;
  /** When half of the window or more was last in use, µs. */
  #validatedAtUs: number;

  constructor(nowUs: number) {
    this.#validatedAtUs = nowUs;
  }

  /** Takes an ACK, before the window `cwndBytes` grows by it. */
  acknowledged(ack: Usage, cwndBytes: number, mssBytes: number): void {
    const inFlight = ack.priorInFlightBytes;
    // A window that has no room for another segment limits, even where nobody wanted to send one.
    const isLimited = ack.cwndLimited || inFlight > cwndBytes - mssBytes;
    const isOver = seqGt(ack.sndUna, this.#roundEnd);
    if (isLimited || isOver || (!this.#isLimited && inFlight > this.#maxInFlightBytes)) {
      this.#isLimited = isLimited;
      this.#maxInFlightBytes = inFlight;
      this.#roundEnd = ack.sndNxt;
    }
    if (isLimited || 2 * this.#maxInFlightBytes >= cwndBytes) this.#validatedAtUs = ack.nowUs;
  }

  /** Whether a window of `cwndBytes` may grow. */
  allowsGrowth(cwndBytes: number, isSlowStart: boolean): boolean {
    return this.#isLimited || (isSlowStart && cwndBytes < 2 * this.#maxInFlightBytes);
  }

  /** Whether the window has not been in use for so long that half of it should go; then the period begins anew. */
  hasExpired(nowUs: number): boolean {
    if (nowUs - this.#validatedAtUs < NONVALIDATED_PERIOD_US) return false;
    this.#validatedAtUs = nowUs;
    return true;
  }
}
