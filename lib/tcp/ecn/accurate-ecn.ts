/** Congestion marks fed back one by one (RFC 9768): what is kept of them on a connection that agreed on it. */
import { MarkFeedback } from './mark-feedback.js';
import { MarkReport } from './mark-report.js';
import { EcnField, EcnMode, flagsOfAce, reflecting } from './negotiation.js';

export class AccurateEcn {
  readonly mode = EcnMode.Accurate;
  /** What arrived, and what we must tell of it. */
  readonly report = new MarkReport();
  /** What we sent, and what the peer tells of it. */
  readonly feedback = new MarkFeedback(true);
  /**
   * The next segment that is a bare ACK tells how the peer's SYN-ACK arrived, and must leave before any
   * text (RFC 9768 §3.2.2.1).
   */
  owesHandshakeAck = false;
  /** The next ACK, if it is bare, tells how our SYN-ACK arrived. */
  awaitsHandshakeAck = false;
  #synAckField: number = EcnField.NotEct;

  get sendsEct(): boolean {
    return this.feedback.sendsEct;
  }

  /** Flags of what is sent next: the low bits of the counter of marks (RFC 9768 §3.2.2). */
  get flags(): number {
    return flagsOfAce(this.report.segments);
  }

  /** Flags of a bare ACK that is sent next. */
  get bareFlags(): number {
    return this.owesHandshakeAck ? reflecting(this.#synAckField) : this.flags;
  }

  get receivedMarks(): number {
    return this.report.segments - 5;
  }

  get deliveredMarks(): number {
    return this.feedback.segments - 5;
  }

  /** What is sent is not ECN-capable any more. */
  mute(): void {
    this.feedback.sendsEct = false;
  }

  /** The peer's SYN-ACK arrived, perhaps once more. */
  synAckArrived(field: number): void {
    this.#synAckField = field;
    if (field === EcnField.Ce) this.report.synAckMarked();
  }

  /** A segment left with these counters. */
  sent(hasText: boolean, told: boolean): void {
    this.report.sent(hasText, told);
    if (!hasText) this.owesHandshakeAck = false;
  }
}
