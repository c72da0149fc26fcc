/**
 * Whether a recovery was a false alarm, so that its reduction of the window can be taken back: every
 * retransmission turned out to be a duplicate (RFC 3708, RFC 2883), or an ACK echoes a timestamp from before
 * the first of them (RFC 3522). The response is that of RFC 4015.
 */
import { type Seq, seqGe, seqGt, seqLe } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import type { AckFacts } from './ack-facts.js';
import { isEchoOlder } from './rack.js';

export class FalseAlarm {
  /** Whether there is a reduction that may be taken back. */
  isOpen = false;
  /** SND.UNA and SND.NXT when it was made: only duplicates of what lies between prove anything. */
  #start = 0 as Seq;
  #end = 0 as Seq;
  /** Once the episode is over: SND.NXT at its end. */
  #until = 0 as Seq;
  /** Segments sent again and not reported as duplicates; -1 while none has been. */
  #unproven = -1;
  /** When the first retransmission was sent, µs; -1 while none has been. */
  #firstRetransmissionUs = -1;

  fold(tape: Tape): void {
    this.isOpen = tape.flag(this.isOpen);
    this.#start = tape.number(this.#start, 0) as Seq;
    this.#end = tape.number(this.#end, 0) as Seq;
    this.#until = tape.number(this.#until, 0) as Seq;
    this.#unproven = tape.number(this.#unproven, -1);
    this.#firstRetransmissionUs = tape.number(this.#firstRetransmissionUs, -1);
  }

  /** A reduction is made. @param alreadyResent segments of an earlier episode whose retransmissions are in flight */
  begin(sndUna: Seq, sndNxt: Seq, alreadyResent: number): void {
    this.isOpen = true;
    this.#start = sndUna;
    this.#end = sndNxt;
    this.#unproven = alreadyResent > 0 ? alreadyResent : -1;
    this.#firstRetransmissionUs = -1;
  }

  /** Segments were sent again. */
  resent(segments: number, nowUs: number): void {
    this.#unproven = Math.max(0, this.#unproven) + segments;
    if (this.#firstRetransmissionUs < 0) this.#firstRetransmissionUs = nowUs;
  }

  /** The peer has received `[start, end)` twice. */
  duplicateSeen(start: Seq, end: Seq, segments: number): void {
    if (!this.isOpen || this.#unproven <= 0) return;
    if (seqGe(start, this.#start) && seqLe(end, this.#end)) {
      this.#unproven = Math.max(0, this.#unproven - segments);
    }
  }

  /** Whether all that was sent again has arrived twice. */
  get isProvenByDuplicates(): boolean {
    return this.isOpen && this.#unproven === 0;
  }

  /** RFC 3522: whether this ACK answers something sent before the first retransmission. */
  isProvenByEcho(facts: AckFacts): boolean {
    return (
      this.isOpen &&
      this.#firstRetransmissionUs >= 0 &&
      isEchoOlder(facts.echoedAtUs, this.#firstRetransmissionUs)
    );
  }

  /** The episode is over; proof may still come until what has been sent by now is acknowledged. */
  keepUntil(sndNxt: Seq): void {
    this.#until = sndNxt;
  }

  /** SND.UNA is `ack`: what has not been proven in a round trip never will be. */
  outlived(ack: Seq): void {
    if (this.isOpen && seqGt(ack, this.#until)) this.isOpen = false;
  }

  /** It is taken back, or was no false alarm. */
  close(): void {
    this.isOpen = false;
  }
}
