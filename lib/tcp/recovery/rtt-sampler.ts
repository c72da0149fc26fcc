/**
 * Which round-trip time an ACK measures, if any: Karn's rule (RFC 6298 §3), and timestamps where it forbids
 * a sample (RFC 7323 §4.1).
 */
import type { AckFacts } from './ack-facts.js';
import type { RttEstimator } from './rtt-estimator.js';
import { RowFlag, type SentLog } from './sent-log.js';

export class RttSampler {
  /** When the newest record an ACK covers was sent, if a sample may be taken of it; -1 otherwise. */
  #sentAtUs = -1;
  /** `EVER_RETRANSMITTED` of the records SND.UNA passes: whether all have it, and whether any has. */
  #passedAll = 0;
  #passedAny = 0;

  begin(): void {
    this.#sentAtUs = -1;
    this.#passedAll = RowFlag.EVER_RETRANSMITTED;
    this.#passedAny = 0;
  }

  /** A record that was sent once was newly delivered. */
  delivered(log: SentLog, slot: number): void {
    this.#sentAtUs = log.sentAtUs(slot);
  }

  /** SND.UNA passes something of a record with these flags. */
  passed(flags: number): void {
    this.#passedAll &= flags;
    this.#passedAny |= flags & RowFlag.EVER_RETRANSMITTED;
  }

  /** SND.UNA has moved. Where something sent twice was passed, that may be what the ACK waited for. */
  advanced(): void {
    if (this.#passedAny !== 0) this.#sentAtUs = -1;
  }

  /** Whether SND.UNA passed anything that was sent again. */
  get passedResent(): boolean {
    return this.#passedAny !== 0;
  }

  /** Whether everything that was passed had been sent again; also when nothing was passed. */
  get passedOnlyResent(): boolean {
    return this.#passedAll !== 0;
  }

  /** Takes the sample, if there is one. @returns it, µs; -1 for none */
  measure(facts: AckFacts, ackedBytes: number, rtt: RttEstimator): number {
    const isExact = this.#sentAtUs >= 0;
    // What answers a duplicate echoes what came before that (RFC 7323 §4.3), maybe long before.
    const hasEcho = ackedBytes > 0 && !facts.hasDsack;
    const rttUs = isExact ? facts.nowUs - this.#sentAtUs : hasEcho ? facts.timestampRttUs : -1;
    if (rttUs < 0) return -1;
    rtt.sample(rttUs, facts.ack, facts.sndNxt);
    // The tick of a timestamp is too coarse to be a smallest time (RFC 8985 §6.2 step 1).
    if (isExact) rtt.minimum.update(Math.max(1, rttUs), facts.nowUs);
    return rttUs;
  }
}
