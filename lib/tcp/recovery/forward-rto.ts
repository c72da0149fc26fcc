/**
 * F-RTO: whether a retransmission time-out came too early (RFC 5682). After the first retransmission new
 * data is sent instead of the rest; if then something is acknowledged that was never sent again, the
 * original flight was only late.
 */
import { type Seq, seqGt } from '../../base/seq.js';

export const ForwardVerdict = {
  /** Nothing can be said; go on as after any time-out. */
  Unknown: 0,
  /** The time-out was spurious. */
  Spurious: 1,
  /** Send new data, nothing again, and see. */
  SendNew: 2,
} as const;
export type ForwardVerdict = (typeof ForwardVerdict)[keyof typeof ForwardVerdict];

/** What an ACK after a time-out says. */
export interface ForwardFacts {
  /** SND.UNA moved, but not past everything sent before the time-out. */
  readonly isPartialAdvance: boolean;
  /** Data sent before the time-out, and never again, was acknowledged in any way. */
  readonly hasOriginal: boolean;
  /** New selective acknowledgments came, or a duplicate ACK. */
  readonly hasDuplicate: boolean;
  /** There is new data that the peer's window admits. */
  readonly canSendNew: boolean;
}

export class ForwardRto {
  /** Whether the question is still open. */
  isActive = false;

  /** @param isFirst this time-out is not a repetition of one whose losses were shown to be real */
  begin(isFirst: boolean): void {
    this.isActive = isFirst;
  }

  /**
   * RFC 5682 §3.1, enhanced by selective acknowledgments.
   * @param recoveryPoint SND.NXT at the time-out, or after step 2.b; moved by the caller on `SendNew`
   */
  acknowledged(facts: ForwardFacts, sndNxt: Seq, recoveryPoint: Seq): ForwardVerdict {
    if (!this.isActive) return ForwardVerdict.Unknown;
    // Step 3.b: not all of the flight was lost.
    if (facts.hasOriginal) return this.#end(ForwardVerdict.Spurious);
    if (seqGt(sndNxt, recoveryPoint)) {
      // Step 3.a: new data arrived, and the hole is still there.
      if (facts.hasDuplicate) this.isActive = false;
      return ForwardVerdict.Unknown;
    }
    if (!facts.isPartialAdvance) return ForwardVerdict.Unknown;
    // Step 2.b, or without new data the conventional recovery.
    return facts.canSendNew ? ForwardVerdict.SendNew : this.#end(ForwardVerdict.Unknown);
  }

  #end(verdict: ForwardVerdict): ForwardVerdict {
    this.isActive = false;
    return verdict;
  }
}
