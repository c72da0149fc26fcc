/** Congestion marks fed back as one signal a round trip (RFC 3168 §6.1). */
import { TcpFlag } from '../../wire/tcp.js';
import { AckDuty } from './ack-duty.js';
import { EcnField, EcnMode } from './negotiation.js';

export class ClassicEcn {
  readonly mode = EcnMode.Classic;
  /** New text is sent as ECN-capable. */
  sendsEct: boolean;
  /** Segments of the peer that arrived marked, and segments of ours acknowledged with ECE. */
  receivedMarks = 0;
  deliveredMarks = 0;
  /** A mark arrived, and the peer has not yet said that it heard of it. */
  #echoes = false;
  /** The peer sends text that is ECN-capable. */
  #sawEct = false;

  /** @param sendsEct not where a SYN or SYN-ACK of the handshake had no ECN (RFC 3168 §6.1.1) */
  constructor(sendsEct: boolean) {
    this.sendsEct = sendsEct;
  }

  /** What is sent is not ECN-capable any more. */
  mute(): void {
    this.sendsEct = false;
  }

  /** Flags of what is sent next; ECE until the peer has heard of the mark (RFC 3168 §6.1.3). */
  get flags(): number {
    return this.#echoes ? TcpFlag.ECE : 0;
  }

  /**
   * Text arrived in an acceptable segment, or in as many as a super-packet was made of. Segments without
   * text are never ECN-capable, so that what marks they bear was put there by mistake.
   * @returns bits of `AckDuty`
   */
  arrived(field: number, flags: number, segments: number): number {
    let duty: number = AckDuty.None;
    if (flags & TcpFlag.CWR) {
      this.#echoes = false;
      // The peer's window may be down to one segment, which must not wait (Linux `tcp_ecn_accept_cwr`).
      duty = AckDuty.Now;
    }
    if (field === EcnField.NotEct) {
      // Among ECN-capable text this is sent again: something was lost (Linux `tcp_data_ecn_check`).
      return this.#sawEct ? duty | AckDuty.Quick : duty;
    }
    this.#sawEct = true;
    if (field !== EcnField.Ce) return duty;
    this.receivedMarks += segments;
    if (!this.#echoes) duty |= AckDuty.Quick;
    this.#echoes = true;
    return duty;
  }
}
