/**
 * When a segment smaller than a full one may leave although nothing but its size speaks against it:
 * Nagle's algorithm in Minshall's variant (RFC 9293 §3.7.4 and appendix A.3), and the cork.
 */
import { NEVER } from '../base/clock.js';
import { type Seq, seqGt, seqLt } from '../base/seq.js';
import type { Tape } from '../base/tape.js';

/** Linux's cork holds a partial segment no longer than this, µs. */
const CORK_US = 200_000;

export interface SmallSegmentParameters {
  readonly noDelay: boolean;
  readonly cork: boolean;
  readonly iss: Seq;
}

export class SmallSegments {
  noDelay: boolean;
  corked: boolean;
  /** The writer has said that more follows at once (Linux `MSG_MORE`): a cork until the next write. */
  moreComing = false;
  /** When a partial segment has been held by a cork for long enough, µs. */
  deadlineUs = NEVER;
  /** What waits now may leave although it is corked. */
  #isPushed = false;
  /** End of the newest segment smaller than a full one. */
  #smallEnd: Seq;

  constructor(parameters: SmallSegmentParameters) {
    this.noDelay = parameters.noDelay;
    this.corked = parameters.cork;
    this.#smallEnd = parameters.iss;
  }

  /** With nothing that waits. @param sndUna SND.UNA */
  fold(tape: Tape, sndUna: Seq): void {
    this.noDelay = tape.flag(this.noDelay);
    this.corked = tape.flag(this.corked);
    this.moreComing = tape.flag(this.moreComing);
    this.#isPushed = tape.flag(this.#isPushed);
    this.#smallEnd = tape.number(this.#smallEnd, sndUna) as Seq;
  }

  /** Whether the partial segment at the end of what was written may leave. @param una SND.UNA */
  mayLeave(una: Seq, inFlight: boolean, nowUs: number): boolean {
    if (this.#isPushed) return true;
    if (this.corked || this.moreComing) {
      if (this.deadlineUs === NEVER) this.deadlineUs = nowUs + CORK_US;
      return false;
    }
    return this.noDelay || !(inFlight && seqGt(this.#smallEnd, una));
  }

  /** New text up to `end` left. */
  sent(end: Seq, isSmall: boolean): void {
    if (isSmall) this.#smallEnd = end;
  }

  /** Nothing is left that could wait. */
  emptied(): void {
    this.deadlineUs = NEVER;
    this.#isPushed = false;
  }

  /** SND.UNA moved to `una`; the memory stays close to it, so that comparisons stay meaningful. */
  acknowledged(una: Seq): void {
    if (seqLt(this.#smallEnd, una)) this.#smallEnd = una;
  }

  /** What waits now leaves, corked or not (Linux `TCP_NAGLE_PUSH`). */
  push(): void {
    this.#isPushed = true;
    this.deadlineUs = NEVER;
  }
}
