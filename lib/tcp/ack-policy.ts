/**
 * When to acknowledge: at once, with the next data, or after a delay (RFC 9293 §3.8.6.3, RFC 5681
 * §4.2), with the habits of Linux: quick at the start, patient with a peer that answers, and not one
 * ACK for each segment behind a gap.
 */
import { NEVER } from '../base/clock.js';
import type { Seq } from '../base/seq.js';
import type { Tape } from '../base/tape.js';

/** Most segments acknowledged one by one at the start of a connection (Linux `TCP_MAX_QUICKACKS`). */
const MAX_QUICK_ACKS = 16;

/** ACKs with SACK blocks that always leave at once: the sender takes a loss from three (RFC 5681 §3.2). */
const PROMPT_DUP_ACKS = 3;

/** Most ACKs held back in a row, and for how long, µs, 5 % of a round trip at most (Linux `tcp_comp_sack_nr`). */
const MAX_COMPRESSED_ACKS = 44;
const MAX_COMPRESSION_US = 1000;

export interface AckPolicyParameters {
  readonly minDelayUs: number;
  readonly maxDelayUs: number;
  /** Acknowledge every segment at once. */
  readonly quickAck: boolean;
}

export class AckPolicy {
  /** An ACK leaves with the next flush. */
  isDue = false;
  /** When a delayed ACK leaves, µs. */
  deadlineUs = NEVER;
  quickAck: boolean;
  readonly #minDelayUs: number;
  readonly #maxDelayUs: number;
  /** Text bytes received since the last ACK left. */
  #unackedBytes = 0;
  /** ACKs that may still leave at once, and how many it may be (Linux `tcp_incr_quickack`). */
  #quickAcks = 0;
  #quickLimit = MAX_QUICK_ACKS;
  /** The application answers what it receives: delay, so that the ACK rides on the answer. */
  #interactive = false;
  /** Estimate of the time between segments, µs (`ato` of Linux); 0 before the first. */
  #ackTimeoutUs = 0;
  #lastReceivedUs = 0;
  /** Segments behind the gap that begins at `#gapAt`, up to `PROMPT_DUP_ACKS`. */
  #dupAcks = 0;
  #gapAt = 0 as Seq;
  /** ACKs held back since one left. */
  #compressed = 0;
  /** Segments since the last ACK that look like the end of what the peer had to say, 2 at most. */
  #ends = 0;

  constructor(parameters: AckPolicyParameters) {
    this.#minDelayUs = parameters.minDelayUs;
    this.#maxDelayUs = parameters.maxDelayUs;
    this.quickAck = parameters.quickAck;
  }

  /** Whether an ACK is owed, at once or later. */
  get isOwed(): boolean {
    return this.isDue || this.deadlineUs !== NEVER;
  }

  /** With no ACK owed. @param quickAck as the options have it */
  fold(tape: Tape, quickAck: boolean): void {
    this.quickAck = tape.flag(this.quickAck !== quickAck) ? !quickAck : quickAck;
    this.#unackedBytes = tape.number(this.#unackedBytes, 0);
    this.#quickAcks = tape.number(this.#quickAcks, 0);
    this.#quickLimit = tape.number(this.#quickLimit, MAX_QUICK_ACKS);
    this.#interactive = tape.flag(this.#interactive);
    this.#ackTimeoutUs = tape.number(this.#ackTimeoutUs, 0);
    this.#lastReceivedUs = tape.number(this.#lastReceivedUs, 0);
    this.#dupAcks = tape.number(this.#dupAcks, 0);
    this.#gapAt = tape.number(this.#gapAt, 0) as Seq;
    this.#compressed = tape.number(this.#compressed, 0);
    this.#ends = tape.number(this.#ends, 0);
  }

  get ackTimeoutUs(): number {
    return this.#ackTimeoutUs;
  }

  now(): void {
    this.isDue = true;
  }

  /** The next segments are acknowledged at once, whatever the application does (Linux `tcp_enter_quickack_mode`). */
  beQuick(most = MAX_QUICK_ACKS): void {
    this.#interactive = false;
    this.#grantQuickAcks(most);
    this.#ackTimeoutUs = Math.max(this.#ackTimeoutUs, this.#minDelayUs);
  }

  /** The application is going to answer what comes, from the first: ACKs ride on that (Linux `TCP_QUICKACK` 0). */
  bePatient(): void {
    this.quickAck = false;
    this.#interactive = true;
  }

  /** As many as fill half of the window, 16 at most; not while the application answers what it receives. */
  #grantQuickAcks(most = MAX_QUICK_ACKS): void {
    this.#quickAcks = Math.max(this.#quickAcks, Math.min(most, this.#quickLimit));
  }

  /** The window is such, and the peer's segments are so large: that bounds quick ACKs. */
  limitQuickAcks(windowBytes: number, mssBytes: number): void {
    this.#quickLimit = Math.min(Math.floor(windowBytes / (2 * mssBytes)) || 2, MAX_QUICK_ACKS);
  }

  /**
   * Text arrived behind the gap at `rcvNxt`. Where it only prolongs the block reported last, the ACK may
   * wait a little for more of it (Linux `__tcp_ack_snd_check`).
   */
  behindGap(rcvNxt: Seq, prolongs: boolean, nowUs: number, srttUs: number): void {
    if (rcvNxt !== this.#gapAt) {
      this.#gapAt = rcvNxt;
      this.#dupAcks = 0;
    }
    const mustLeave = this.#dupAcks < PROMPT_DUP_ACKS || this.#compressed >= MAX_COMPRESSED_ACKS;
    if (this.#dupAcks < PROMPT_DUP_ACKS) this.#dupAcks++;
    if (mustLeave || !prolongs || this.quickAck) {
      this.isDue = true;
      return;
    }
    if (this.#compressed++ > 0) return;
    this.deadlineUs = Math.min(this.deadlineUs, nowUs + Math.min(MAX_COMPRESSION_US, srttUs / 20));
  }

  /**
   * Text arrived in order.
   * @param windowMoves whether an ACK would move the right edge of the window; without that a second
   *   full segment is no reason to send one early
   */
  received(textBytes: number, mssBytes: number, windowMoves: boolean): void {
    this.#unackedBytes += textBytes;
    // RFC 9293 §3.8.6.3: at least every second full-sized segment.
    const second = this.#unackedBytes > mssBytes && (windowMoves || this.#unackedBytes >= 2 * mssBytes);
    if (second || this.quickAck || (this.#quickAcks > 0 && !this.#interactive)) this.isDue = true;
  }

  /** A segment came that looks like the end of what the peer has to say. */
  endOfWrite(): void {
    if (this.#ends < 2) this.#ends++;
  }

  /**
   * The application has read. Once it has read all, no more comes to wait for: the peer may need the ACK to go
   * on (Linux `tcp_cleanup_rbuf`). Where the application answers, the ACK rides on the answer.
   * @param isDrained nothing is left to read
   */
  read(mssBytes: number, isDrained: boolean): void {
    if (this.deadlineUs === NEVER) return;
    const isEnd = this.#ends > 1 || (this.#ends > 0 && !this.#interactive);
    if (this.#unackedBytes > mssBytes || (isDrained && isEnd)) this.isDue = true;
  }

  /** Notes the pace of arrivals and starts the delay when no ACK is due. After `received`. */
  schedule(nowUs: number, rtoUs: number, srttUs: number): void {
    this.#notePace(nowUs, rtoUs);
    if (this.isDue) return;
    // A round trip is long enough to wait (Linux `tcp_send_delayed_ack`).
    const cap = Math.min(
      this.#maxDelayUs,
      Math.max(srttUs > 0 ? srttUs : this.#maxDelayUs, this.#minDelayUs),
    );
    // Segments that come faster than was thought bring it forward.
    this.deadlineUs = Math.min(this.deadlineUs, nowUs + Math.min(this.#ackTimeoutUs, cap));
  }

  /** A segment of ours carried the ACK. */
  sent(): void {
    this.isDue = false;
    this.deadlineUs = NEVER;
    this.#unackedBytes = 0;
    this.#compressed = 0;
    this.#ends = 0;
    if (this.#quickAcks > 0) this.#quickAcks--;
  }

  /** Data of ours left soon after data arrived: the application answers. */
  answered(nowUs: number): void {
    if (this.#ackTimeoutUs > 0 && nowUs - this.#lastReceivedUs < this.#ackTimeoutUs) this.#interactive = true;
  }

  /** The delay is over. @returns whether it was that of a delayed ACK, and not of one that was held back */
  expired(rtoUs: number): boolean {
    this.isDue = true;
    this.deadlineUs = NEVER;
    if (this.#compressed > 0) return false;
    if (this.#interactive) {
      this.#interactive = false;
      this.#ackTimeoutUs = this.#minDelayUs;
    } else {
      this.#ackTimeoutUs = Math.min(2 * this.#ackTimeoutUs, rtoUs);
    }
    return true;
  }

  /** Linux `tcp_event_data_recv`. */
  #notePace(nowUs: number, rtoUs: number): void {
    const gapUs = nowUs - this.#lastReceivedUs;
    this.#lastReceivedUs = nowUs;
    if (this.#ackTimeoutUs === 0) {
      this.#grantQuickAcks();
      this.#ackTimeoutUs = this.#minDelayUs;
      if (!this.#interactive) this.isDue = true;
    } else if (gapUs <= this.#minDelayUs / 2) {
      this.#ackTimeoutUs = this.#ackTimeoutUs / 2 + this.#minDelayUs / 2;
    } else if (gapUs < this.#ackTimeoutUs) {
      this.#ackTimeoutUs = Math.min(this.#ackTimeoutUs / 2 + gapUs, rtoUs);
    } else if (gapUs > rtoUs) {
      this.#grantQuickAcks();
      if (!this.#interactive) this.isDue = true;
    }
  }
}
