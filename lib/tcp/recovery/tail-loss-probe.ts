/**
 * Tail loss probe (RFC 8985 §7): when the last segments of a flight, or their ACKs, are lost, no later ACK
 * tells. After about two round trips of silence one segment is sent that will be answered, long before the
 * retransmission time-out.
 */
import { NEVER } from '../../base/clock.js';
import { type Seq, seqGe, seqGt } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import type { AckFacts } from './ack-facts.js';

/** Without a round-trip sample, µs (RFC 8985 §7.2). */
const PTO_WITHOUT_RTT_US = 1_000_000;
/** One segment in flight may wait for a delayed ACK, µs: as long as the smallest RTO in Linux. */
const MAX_ACK_DELAY_US = 200_000;
/** Two ticks of Linux's timer, µs, for the grain of timers at both ends. */
const TICKS_US = 2_000;

/** What an ACK says of a probe that is out. */
export const ProbeVerdict = {
  /** Nothing yet, or there is no probe. */
  Pending: 0,
  /** It was answered, and nothing had been lost. */
  Answered: 1,
  /** It was a retransmission, and repaired a loss. */
  Repaired: 2,
} as const;
export type ProbeVerdict = (typeof ProbeVerdict)[keyof typeof ProbeVerdict];

export class TailLossProbe {
  /** When the probe is due, µs. */
  deadlineUs = NEVER;
  /** Whether a probe is out, and not answered. */
  isOut = false;
  /** SND.NXT after the probe (RFC 8985 TLP.end_seq). */
  endSeq = 0 as Seq;
  /** Whether the probe was a retransmission. */
  isRetransmission = false;

  /** What of it outlives a flight. */
  fold(tape: Tape): void {
    this.isOut = tape.flag(this.isOut);
    this.endSeq = tape.number(this.endSeq, 0) as Seq;
    this.isRetransmission = tape.flag(this.isRetransmission);
  }

  /** RFC 8985 §7.2: how long to wait, µs. @param isSingle one segment is in flight */
  static timeoutUs(srttUs: number, isSingle: boolean): number {
    if (srttUs === 0) return PTO_WITHOUT_RTT_US;
    return 2 * srttUs + (isSingle ? MAX_ACK_DELAY_US : TICKS_US);
  }

  sent(endSeq: Seq, isRetransmission: boolean): void {
    this.isOut = true;
    this.endSeq = endSeq;
    this.isRetransmission = isRetransmission;
    this.deadlineUs = NEVER;
  }

  /** RFC 8985 §7.4. @param isPlainDuplicate the ACK acknowledged nothing in any way, and carried nothing */
  acknowledged(facts: AckFacts, isPlainDuplicate: boolean): ProbeVerdict {
    if (!this.isOut || !seqGe(facts.ack, this.endSeq)) return ProbeVerdict.Pending;
    if (!this.isRetransmission || this.isMatchedBy(facts) || isPlainDuplicate) {
      this.isOut = false;
      return ProbeVerdict.Answered;
    }
    if (!seqGt(facts.ack, this.endSeq)) return ProbeVerdict.Pending;
    this.isOut = false;
    return ProbeVerdict.Repaired;
  }

  /** Whether an ACK reports the probe to have arrived twice, so that its original was not lost. */
  isMatchedBy(facts: AckFacts): boolean {
    return this.isOut && this.isRetransmission && facts.hasDsack && facts.dsackEnd === this.endSeq;
  }

  /** Another recovery has begun: the probe has no say any more. */
  cancel(): void {
    this.isOut = false;
    this.deadlineUs = NEVER;
  }
}
