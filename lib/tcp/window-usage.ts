/**
 * Whether the congestion window is what holds the sender back. It grows only then, as a window that was
 * never filled says nothing of the path (RFC 7661 §4.2; Linux `tcp_is_cwnd_limited`).
 */
import { type Seq, seqGe } from '../base/seq.js';
import type { Tape } from '../base/tape.js';

export class WindowUsage {
  /** Most bytes in flight at once in the window under way, and whether the window held something back in it. */
  #mostBytes = 0;
  #wasLimited = false;
  /** SND.NXT when that window began: it ends when this is acknowledged. */
  #end: Seq;

  constructor(iss: Seq) {
    this.#end = iss;
  }

  fold(tape: Tape, sndUna: Seq): void {
    this.#mostBytes = tape.number(this.#mostBytes, 0);
    this.#wasLimited = tape.flag(this.#wasLimited);
    this.#end = tape.number(this.#end, sndUna) as Seq;
  }

  /** The sender has paused. @param isLimited the congestion window kept something back */
  paused(inFlightBytes: number, isLimited: boolean, sndUna: Seq, sndNxt: Seq): void {
    const isOver = seqGe(sndUna, this.#end);
    if (!isOver && !isLimited && (this.#wasLimited || inFlightBytes <= this.#mostBytes)) return;
    this.#mostBytes = inFlightBytes;
    this.#wasLimited = isLimited;
    this.#end = sndNxt;
  }

  /** Whether the window may grow. In slow start half of it used is enough, as it doubles. */
  isLimited(cwndBytes: number, ssthreshBytes: number): boolean {
    if (this.#wasLimited) return true;
    return cwndBytes < ssthreshBytes && cwndBytes < 2 * this.#mostBytes;
  }
}
