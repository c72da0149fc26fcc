/**
 * HyStart++ (RFC 9406): leaves slow start when round-trip times rise, before the queue of the path overflows.
 * Of a rise it first makes conservative slow start (CSS), which goes on at a quarter of the pace; if the round
 * trips get shorter again the alarm was false. Five rounds of it without such a sign end slow start.
 *
 * Linux' classic HyStart differs: it also watches the spacing of ACKs, begins at 16 segments, and leaves slow
 * start at once. ACK trains mislead it where ACKs are thinned out or sent in batches, and a false alarm costs
 * it the whole of slow start; so the standard was chosen, whose alarm can be taken back.
 */
import { type Seq, seqGe } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import type { AckSample } from './congestion-control.js';

/** RFC 9406 §4.3. Bounds on the rise that counts, µs, between which it is a fraction of the round-trip time. */
const MIN_RTT_THRESH_US = 4_000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
/** Samples before the shortest round trip of a round is believed. */
const N_RTT_SAMPLE = 8;
/** CSS grows by one byte where slow start grows by this many. */
export const CSS_GROWTH_DIVISOR = 4;
/** Rounds of CSS after which slow start is over. */
const CSS_ROUNDS = 5;

/** What is asked of an ACK. */
type RoundTrip = Pick<AckSample, 'rttUs' | 'sndUna' | 'sndNxt'>;

export class HyStart {
  /** SND.NXT when the round began; the round ends when all before it is acknowledged. */
  #windowEnd = 0 as Seq;
  #hasRound = false;
  /** Shortest round trips, µs; Infinity without one. */
  #lastRoundMinRttUs = Number.POSITIVE_INFINITY;
  #currentRoundMinRttUs = Number.POSITIVE_INFINITY;
  #rttSampleCount = 0;
  /** Shortest round trip of the round in which CSS began, µs; Infinity in slow start proper. */
  #cssBaselineMinRttUs = Number.POSITIVE_INFINITY;
  /** Rounds that ended in CSS, the one in which it began included. */
  #cssRounds = 0;

  fold(tape: Tape): void {
    this.#windowEnd = tape.number(this.#windowEnd, 0) as Seq;
    this.#hasRound = tape.flag(this.#hasRound);
    this.#lastRoundMinRttUs = tape.number(this.#lastRoundMinRttUs, Number.POSITIVE_INFINITY);
    this.#currentRoundMinRttUs = tape.number(this.#currentRoundMinRttUs, Number.POSITIVE_INFINITY);
    this.#rttSampleCount = tape.number(this.#rttSampleCount, 0);
    this.#cssBaselineMinRttUs = tape.number(this.#cssBaselineMinRttUs, Number.POSITIVE_INFINITY);
    this.#cssRounds = tape.number(this.#cssRounds, 0);
  }

  /** Whether growth is divided by `CSS_GROWTH_DIVISOR`. */
  get isConservative(): boolean {
    return this.#cssBaselineMinRttUs !== Number.POSITIVE_INFINITY;
  }

  /** Whether slow start should end here. */
  get isOver(): boolean {
    return this.#cssRounds >= CSS_ROUNDS;
  }

  /** Takes an ACK that came in slow start (RFC 9406 §4.2). */
  acknowledged(ack: RoundTrip): void {
    if (!this.#hasRound) {
      this.#hasRound = true;
      this.#windowEnd = ack.sndNxt;
    }
    if (ack.rttUs >= 0) {
      this.#rttSampleCount++;
      if (ack.rttUs < this.#currentRoundMinRttUs) this.#currentRoundMinRttUs = ack.rttUs;
    }
    if (this.#rttSampleCount >= N_RTT_SAMPLE) this.#judge();
    if (seqGe(ack.sndUna, this.#windowEnd)) this.#endRound(ack.sndNxt);
  }

  /** Compares the round under way with the last, or with the one in which CSS began. */
  #judge(): void {
    const current = this.#currentRoundMinRttUs;
    if (this.isConservative) {
      if (current >= this.#cssBaselineMinRttUs) return;
      this.#cssBaselineMinRttUs = Number.POSITIVE_INFINITY;
      this.#cssRounds = 0;
      return;
    }
    const last = this.#lastRoundMinRttUs;
    if (last === Number.POSITIVE_INFINITY) return;
    const threshold = Math.max(MIN_RTT_THRESH_US, Math.min(last / MIN_RTT_DIVISOR, MAX_RTT_THRESH_US));
    if (current >= last + threshold) this.#cssBaselineMinRttUs = current;
  }

  #endRound(sndNxt: Seq): void {
    this.#windowEnd = sndNxt;
    this.#lastRoundMinRttUs = this.#currentRoundMinRttUs;
    this.#currentRoundMinRttUs = Number.POSITIVE_INFINITY;
    this.#rttSampleCount = 0;
    if (this.isConservative) this.#cssRounds++;
  }
}
