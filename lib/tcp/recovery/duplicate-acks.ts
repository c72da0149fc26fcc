/**
 * Without selective acknowledgment a duplicate ACK is all the news there is: each stands for one segment
 * that has left the network (RFC 5681 §3.2), and the third names the first segment lost (RFC 6582 §3.2).
 */
import { type Seq, seqGe, seqLt } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';
import type { AckFacts, AckResult } from './ack-facts.js';
import { type Episode, Phase } from './episode.js';
import { DUP_THRESH } from './loss-by-count.js';

export class DuplicateAcks {
  /** Duplicates that stand for segments not acknowledged since. */
  count = 0;
  /** Bytes they were taken to have delivered, to be made good by later ACKs (RFC 9937). */
  #estimatedBytes = 0;
  #mostBytes = 0;

  fold(tape: Tape): void {
    this.count = tape.number(this.count, 0);
    this.#estimatedBytes = tape.number(this.#estimatedBytes, 0);
    this.#mostBytes = tape.number(this.#mostBytes, 0);
  }

  /** One more came, with `outstandingBytes` out. */
  counted(facts: AckFacts, result: AckResult, isRecovering: boolean, outstandingBytes: number): void {
    const { mssBytes } = facts;
    // What was out when they began is all they can stand for; a peer may send more (RFC 5681 §3.2).
    if (this.count === 0) this.#mostBytes = outstandingBytes;
    if (this.count * mssBytes < this.#mostBytes) this.count++;
    if (!isRecovering && this.count < DUP_THRESH) return;
    if (this.#estimatedBytes + mssBytes > this.#mostBytes) return;
    result.deliveredBytes += mssBytes;
    this.#estimatedBytes += mssBytes;
  }

  /** SND.UNA moved: what is acknowledged now has not been delivered now, as far as it was counted before. */
  advanced(result: AckResult, mssBytes: number, phase: Phase): void {
    // RFC 5681 §3.2: three duplicates of one ACK name a loss; those of an earlier one say nothing any more.
    if (phase <= Phase.Cwr) {
      this.clear();
      return;
    }
    const segments = Math.ceil(result.ackedBytes / mssBytes);
    this.count = Math.max(0, this.count - Math.max(0, segments - 1));
    const counted = Math.min(this.#estimatedBytes, result.deliveredBytes);
    result.deliveredBytes -= counted;
    this.#estimatedBytes -= counted;
  }

  clear(): void {
    this.count = 0;
    this.#estimatedBytes = 0;
  }

  /** Whether the first segment is lost: so say the third duplicate, and each partial acknowledgment. */
  nameHead(ack: Seq, ackedBytes: number, episode: Episode): boolean {
    if (episode.phase === Phase.Recovery) return ackedBytes > 0 && seqLt(ack, episode.recoveryPoint);
    // Duplicates at `recover` or below tell of data sent again already.
    const isPast = seqGe(ack, episode.recoveryPoint) && !episode.endedAtPoint;
    return isPast && episode.phase <= Phase.Cwr && this.count >= DUP_THRESH;
  }
}
