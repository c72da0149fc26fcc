/**
 * The urgent mark of what is received (RFC 9293 §3.8.5, RFC 6093): where it lies, and the byte before it,
 * which is also kept apart from the stream, as on Linux. Nothing is ever indexed by a pointer that came in.
 */
import { type Seq, seqAdd, seqDiff, seqGe, seqLe } from '../base/seq.js';
import type { Tape } from '../base/tape.js';
import type { ReceiveBuffer } from '../buffer/receive-buffer.js';
import type { TcpSegment } from './segment.js';

/** Where the byte is peeked at. */
const ONE = new Uint8Array(1);

export class UrgentMark {
  /** RCV.UP: sequence number after the last urgent byte; meaningful while `isPending`. */
  rcvUp: Seq;
  isPending = false;
  /** The urgent byte; -1 when none was received or it was taken. */
  byte = -1;
  /** The byte was seen as it arrived. */
  #isSeen = false;

  constructor(rcvNxt: Seq) {
    this.rcvUp = rcvNxt;
  }

  /** With nothing urgent pending; the last urgent byte may still be taken. @param rcvUp what `rcvUp` was at first */
  fold(tape: Tape, rcvUp: Seq): void {
    this.rcvUp = tape.number(this.rcvUp, rcvUp) as Seq;
    this.byte = tape.number(this.byte, -1);
    this.#isSeen = tape.flag(this.#isSeen);
  }

  /** Takes an urgent pointer (RFC 9293 §3.10.7.4). @returns whether the mark moved */
  arrived(segment: TcpSegment, rcvNxt: Seq): boolean {
    if (segment.urgentPointer === 0) return false;
    const up = seqAdd(segment.sequence, segment.urgentPointer);
    if (seqLe(up, rcvNxt) || (this.isPending && seqLe(up, this.rcvUp))) return false;
    this.rcvUp = up;
    this.isPending = true;
    this.byte = -1;
    this.#isSeen = false;
    return true;
  }

  /** Keeps the urgent byte as it passes; only the last one, where the mark moves on (RFC 6093 §3). */
  note(segment: TcpSegment): void {
    if (!this.isPending) return;
    const index = seqDiff(this.#last, segment.sequence);
    if (index < 0 || index >= segment.textBytes) return;
    this.byte = segment.bytes[segment.textAt + index];
    this.#isSeen = true;
  }

  /** Whether the next byte to be read is the urgent one. */
  isAt(readSequence: Seq): boolean {
    return this.isPending && readSequence === this.#last;
  }

  /** Bytes from the read position up to and including the urgent one; 0 when none is pending. */
  bytesFrom(readSequence: Seq): number {
    return this.isPending ? Math.max(0, seqDiff(this.rcvUp, readSequence)) : 0;
  }

  /** How much of `length` bytes one read may take: not across the mark. */
  readable(length: number, readSequence: Seq): number {
    if (!this.isPending) return length;
    const toMark = seqDiff(this.#last, readSequence);
    return toMark > 0 ? Math.min(length, toMark) : length;
  }

  /** The application has read up to there. */
  passed(readSequence: Seq): void {
    if (this.isPending && seqGe(readSequence, this.rcvUp)) this.isPending = false;
  }

  /** At the mark, leaves out the urgent byte, which the application takes apart from the stream. */
  skip(buffer: ReceiveBuffer): void {
    if (!this.isAt(buffer.readSequence) || buffer.readableBytes === 0) return;
    // One that had arrived before the pointer did was not noticed then.
    if (!this.#isSeen && buffer.peek(ONE, 0, 1) === 1) this.byte = ONE[0];
    buffer.consume(1);
    this.isPending = false;
  }

  get #last(): Seq {
    return seqAdd(this.rcvUp, -1);
  }
}
