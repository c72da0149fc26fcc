/**
 * How long a congestion window is believed that is hardly used. It does not grow meanwhile, which the sender sees
 * to (`AckSample.cwndLimited`); it is kept for five minutes, as RFC 7661 §4.3 says, and then given up by halves.
 * It is not halved at every RTO as by RFC 2861 and Linux, which RFC 7661 found to gain little and to hurt
 * applications that send in bursts. After an idle RTO sending starts anew in any case (RFC 5681 §4.1).
 */
import type { Tape } from '../../base/tape.js';
import type { AckSample } from './congestion-control.js';

/** The Nonvalidated Period of RFC 7661 §4.4: how long a window is kept that is not in use, µs. */
const NONVALIDATED_PERIOD_US = 300_000_000;

/** What is asked of an ACK. */
type Usage = Pick<AckSample, 'nowUs' | 'cwndLimited' | 'priorInFlightBytes'>;

export class WindowValidation {
  /** When half of the window or more was last in use, µs. */
  #validatedAtUs: number;

  constructor(nowUs: number) {
    this.#validatedAtUs = nowUs;
  }

  fold(tape: Tape): void {
    this.#validatedAtUs = tape.number(this.#validatedAtUs, 0);
  }

  /** Takes an ACK. @returns whether half of a window of `cwndBytes` should go; then the period begins anew */
  hasExpired(ack: Usage, cwndBytes: number): boolean {
    const isInUse = ack.cwndLimited || 2 * ack.priorInFlightBytes >= cwndBytes;
    const hasExpired = !isInUse && ack.nowUs - this.#validatedAtUs >= NONVALIDATED_PERIOD_US;
    if (isInUse || hasExpired) this.#validatedAtUs = ack.nowUs;
    return hasExpired;
  }
}
