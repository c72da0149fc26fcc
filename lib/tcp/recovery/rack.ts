/**
 * RACK: what was sent before something that has been delivered, and long enough before it, is lost
 * (RFC 8985 §6). Time takes the place of counting, so that lost retransmissions are seen, and the wait for
 * what is merely late adapts to the reordering of the path.
 */
import { type Seq, seqDiff, seqGe, seqGt, seqLt } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import type { AckFacts } from './ack-facts.js';
import { RowFlag, type SentLog } from './sent-log.js';

/** Recoveries for which a widened reordering window is kept without another D-SACK (RFC 8985 §6.2 step 4). */
const KEEP_FOR_RECOVERIES = 16;
/** Linux bounds the multiplier of the reordering window, lest a liar widen it without end. */
const MAX_MULTIPLIER = 255;

/** What the reordering window depends on besides RACK's own memory. */
export interface ReorderingFacts {
  /** In fast recovery or after a time-out. */
  readonly isRecovering: boolean;
  /** Three segments have been selectively acknowledged. */
  readonly hasDupThresh: boolean;
  readonly minRttUs: number;
  readonly srttUs: number;
}

export class Rack {
  /** Last transmission of what was delivered and sent last, µs; -1 before anything was. And its end, and round trip. */
  xmitUs = -1;
  endSeq = 0 as Seq;
  rttUs = 0;
  /** Highest sequence number delivered in any way. */
  fack: Seq;
  /** By step 3, and where a recovery was a false alarm: step 3 does not look at what was sent again. */
  reorderingSeen = false;
  /** Reordering window in quarters of the smallest round trip. */
  multiplier = 1;
  #persist = KEEP_FOR_RECOVERIES;
  /** SND.NXT when the last D-SACK was counted; meaningful while `#isInDsackRound`. */
  #dsackRoundEnd = 0 as Seq;
  #isInDsackRound = false;

  constructor(iss: Seq) {
    this.fack = iss;
  }

  fold(tape: Tape, sndUna: Seq): void {
    this.xmitUs = tape.number(this.xmitUs, -1);
    this.endSeq = tape.number(this.endSeq, sndUna) as Seq;
    this.rttUs = tape.number(this.rttUs, 0);
    this.fack = tape.number(this.fack, sndUna) as Seq;
    this.reorderingSeen = tape.flag(this.reorderingSeen);
    this.multiplier = tape.number(this.multiplier, 1);
    this.#persist = tape.number(this.#persist, KEEP_FOR_RECOVERIES);
    this.#dsackRoundEnd = tape.number(this.#dsackRoundEnd, 0) as Seq;
    this.#isInDsackRound = tape.flag(this.#isInDsackRound);
  }

  /** Steps 2 and 3: something was newly delivered. @param minRttUs smallest round-trip time seen */
  delivered(log: SentLog, slot: number, facts: AckFacts, minRttUs: number): void {
    // Of what is acknowledged in part the rest is still out.
    const isPart = seqLt(log.start(slot), facts.ack) && seqLt(facts.ack, log.end(slot));
    const end = isPart ? facts.ack : log.end(slot);
    const wasResent = log.has(slot, RowFlag.EVER_RETRANSMITTED);
    if (seqGt(end, this.fack)) this.fack = end;
    else if (!wasResent && seqLt(end, this.fack)) this.reorderingSeen = true;
    const sentAtUs = log.sentAtUs(slot);
    const rttUs = facts.nowUs - sentAtUs;
    // The ACK may be for the original: then it says nothing of the time of the retransmission. Only what is
    // acknowledged cumulatively has its own timestamp echoed (RFC 7323 §4.3).
    if (wasResent && rttUs < minRttUs) return;
    if (wasResent && seqGe(facts.ack, end) && isEchoOlder(facts.echoedAtUs, sentAtUs)) return;
    if (!isSentAfter(sentAtUs, end, this.xmitUs, this.endSeq)) return;
    this.xmitUs = sentAtUs;
    this.endSeq = end;
    this.rttUs = rttUs;
  }

  /** Step 4: a duplicate was reported; once in a round trip this widens the window. */
  duplicateSeen(sndUna: Seq, sndNxt: Seq): void {
    if (this.#isInDsackRound && seqLt(sndUna, this.#dsackRoundEnd)) return;
    this.#isInDsackRound = true;
    this.#dsackRoundEnd = sndNxt;
    this.multiplier = Math.min(this.multiplier + 1, MAX_MULTIPLIER);
    this.#persist = KEEP_FOR_RECOVERIES;
  }

  /** SND.UNA moved on: a round trip that began with a D-SACK may have ended. */
  advanced(sndUna: Seq): void {
    if (this.#isInDsackRound && seqGe(sndUna, this.#dsackRoundEnd)) this.#isInDsackRound = false;
    // Numbers are compared within half the circle: what lies behind SND.UNA says no more than that.
    if (seqLt(this.fack, sndUna)) this.fack = sndUna;
  }

  /** A recovery is over: a wide window is not kept for ever. */
  recoveryEnded(): void {
    if (--this.#persist > 0) return;
    this.#persist = 0;
    this.multiplier = 1;
  }

  /** Step 4: how long to wait for what is late, µs. */
  windowUs(facts: ReorderingFacts): number {
    if (!this.reorderingSeen && (facts.isRecovering || facts.hasDupThresh)) return 0;
    if (!Number.isFinite(facts.minRttUs)) return 0;
    return Math.min((this.multiplier * facts.minRttUs) / 4, facts.srttUs);
  }

  /** Step 5: whether `slot` was sent before what has been delivered. */
  isPassed(log: SentLog, slot: number): boolean {
    return this.xmitUs >= 0 && isSentAfter(this.xmitUs, this.endSeq, log.sentAtUs(slot), log.end(slot));
  }

  /** Step 5: how long until `slot` counts as lost, µs; 0 or less now. */
  remainingUs(log: SentLog, slot: number, windowUs: number, nowUs: number): number {
    return log.sentAtUs(slot) + this.rttUs + windowUs - nowUs;
  }
}

/** The order of transmissions; several of one instant are ordered by sequence number (RFC 8985 §6.2 step 2). */
const isSentAfter = (aUs: number, aEnd: Seq, bUs: number, bEnd: Seq): boolean =>
  aUs > bUs || (aUs === bUs && seqDiff(aEnd, bEnd) > 0);

/** Whether a timestamp was echoed that is older than the tick of a transmission. */
export const isEchoOlder = (echoedAtUs: number, sentAtUs: number): boolean =>
  echoedAtUs >= 0 && Math.floor(sentAtUs / 1000) * 1000 > echoedAtUs;
