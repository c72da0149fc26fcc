/**
 * What is known of each byte in flight (RFC 2018, RFC 6675 §4): delivered, lost, sent again. It keeps the
 * marks and the sums of bytes under each, and tells a witness of what is newly delivered; it draws no
 * conclusions of its own.
 */
import { type Seq, seqDiff, seqGe, seqGt, seqLe, seqLt } from '../../base/seq.js';
import type { AckFacts } from './ack-facts.js';
import { RowFlag, SentLog } from './sent-log.js';

export interface ScoreboardWitness {
  /** `bytes` at the front of a record were newly delivered, in any way. */
  delivered(slot: number, bytes: number): void;
  /** SND.UNA passes something of a record, delivered now or before. */
  passed(slot: number): void;
  /** A record, or its retransmission, is believed lost. */
  lost(slot: number, wasResent: boolean): void;
}

export class Scoreboard {
  readonly log: SentLog;
  /** Whether the peer acknowledges selectively. */
  isSelective = false;
  /** Bytes in the log (FlightSize of RFC 5681 §2), and of those that are SACKED, LOST, RETRANSMITTED. */
  outstandingBytes = 0;
  sackedBytes = 0;
  lostBytes = 0;
  retransmittedBytes = 0;
  /** Whether a probe of the path MTU was lost, which the witness does not hear; its owner sets it back. */
  mtuProbeLost = false;
  readonly #witness: ScoreboardWitness;
  /** The blocks last taken: what they cover need not be looked at again (CVE-2019-11478). */
  #taken: Int32Array | undefined;
  #takenCount = 0;
  /** Nothing that starts before this waits to be sent again. */
  #lostFrom = 0 as Seq;

  constructor(maxRows: number | undefined, witness: ScoreboardWitness) {
    this.log = new SentLog(maxRows);
    this.#witness = witness;
  }

  /** Bytes believed to be in the network (`pipe` of RFC 6675 §4). */
  get pipeBytes(): number {
    return this.outstandingBytes - this.sackedBytes - this.lostBytes + this.retransmittedBytes;
  }

  /** Whether something lost waits to be sent again. */
  get hasLost(): boolean {
    return this.lostBytes > this.retransmittedBytes;
  }

  /** New data `[start, end)` left. @returns its slot */
  sent(start: Seq, end: Seq, nowUs: number, isFin: boolean): number {
    if (this.log.count === 0) this.#lostFrom = start;
    this.outstandingBytes += seqDiff(end, start);
    return this.log.append(start, end, nowUs, isFin ? RowFlag.FIN : 0);
  }

  /**
   * Record `i` was sent again, up to `end`, which may lie inside it. Then it is split, also in a full log: only
   * the peer makes small pieces, what we send again are whole segments. @returns its slot
   */
  resent(i: number, end: Seq, nowUs: number): number {
    const { log } = this;
    if (log.straddles(i, end)) log.split(i, end);
    const slot = log.slot(i);
    const flags = log.flags(slot);
    // A probe of what is not lost leaves as much in flight as before.
    const isCounted = (flags & (RowFlag.LOST | RowFlag.RETRANSMITTED)) === RowFlag.LOST;
    if (isCounted) this.retransmittedBytes += log.bytes(slot);
    const retransmitted = isCounted ? RowFlag.RETRANSMITTED : 0;
    log.setFlags(slot, flags | retransmitted | RowFlag.EVER_RETRANSMITTED);
    log.resent(slot, nowUs);
    return slot;
  }

  /** Index of the first record to send again; -1 when there is none. */
  nextLost(): number {
    if (!this.hasLost) return -1;
    const { log } = this;
    for (let i = log.find(this.#lostFrom); i < log.count; i++) {
      const slot = log.slot(i);
      if ((log.flags(slot) & (RowFlag.LOST | RowFlag.RETRANSMITTED | RowFlag.SACKED)) === RowFlag.LOST) {
        this.#lostFrom = log.start(slot);
        return i;
      }
    }
    return -1;
  }

  /** Index of the first record below what was selectively acknowledged that was never sent again; -1 for none. */
  nextDoubtful(): number {
    const { log } = this;
    if (this.sackedBytes === 0) return -1;
    let found = -1;
    for (let i = log.count - 1, isBelow = false; i >= 0; i--) {
      const flags = log.flags(log.slot(i));
      if ((flags & RowFlag.SACKED) !== 0) isBelow = true;
      else if (isBelow && (flags & (RowFlag.LOST | RowFlag.EVER_RETRANSMITTED)) === 0) found = i;
    }
    return found;
  }

  /** SND.UNA moves up to `ack`: records it passes leave the log. */
  advance(ack: Seq): void {
    const { log } = this;
    while (log.count > 0) {
      const slot = log.slot(0);
      if (seqLe(log.end(slot), ack)) {
        this.#leave(slot, log.bytes(slot));
        log.shift();
      } else if (seqLt(log.start(slot), ack)) {
        this.#leave(slot, seqDiff(ack, log.start(slot)));
        log.setStart(slot, ack);
        break;
      } else {
        break;
      }
    }
    if (seqLt(this.#lostFrom, ack)) this.#lostFrom = ack;
    if (log.count > 0) return;
    log.clear();
    this.#takenCount = 0;
  }

  /** Marks what the blocks of an ACK, in ascending order, cover. @returns bytes newly marked */
  sacked(facts: AckFacts): number {
    if (facts.sackCount === 0) return 0;
    const before = this.sackedBytes;
    for (let i = 0; i < facts.sackCount; i++) {
      this.#sackBlock(facts.sackEdges[2 * i] as Seq, facts.sackEdges[2 * i + 1] as Seq);
    }
    this.#taken ??= new Int32Array(8);
    this.#taken.set(facts.sackEdges);
    // In a full log nothing could be split: what is covered in part must be looked at again.
    this.#takenCount = this.log.isFull ? 0 : facts.sackCount;
    return this.sackedBytes - before;
  }

  /** Believes a record lost, or its retransmission. */
  markLost(slot: number): void {
    const { log } = this;
    const flags = log.flags(slot);
    const bytes = log.bytes(slot);
    if ((flags & RowFlag.SACKED) !== 0) return;
    if ((flags & RowFlag.LOST) !== 0) {
      if ((flags & RowFlag.RETRANSMITTED) === 0) return;
      this.retransmittedBytes -= bytes;
      log.setFlags(slot, flags & ~RowFlag.RETRANSMITTED);
    } else {
      this.lostBytes += bytes;
      log.setFlags(slot, flags | RowFlag.LOST);
    }
    log.unlist(slot);
    if (seqLt(log.start(slot), this.#lostFrom)) this.#lostFrom = log.start(slot);
    if ((flags & RowFlag.MTU_PROBE) === 0) {
      this.#witness.lost(slot, (flags & RowFlag.LOST) !== 0);
      return;
    }
    // It was too large, as far as is known: what is sent in its place is text like any other.
    log.setFlags(slot, log.flags(slot) & ~RowFlag.MTU_PROBE);
    this.mtuProbeLost = true;
  }

  /** What was sent last is a probe of the path MTU. */
  mtuProbeSent(): void {
    const { log } = this;
    log.setFlags(log.newest, log.flags(log.newest) | RowFlag.MTU_PROBE);
  }

  /** The path has refused the probe: no part of it arrives. */
  dropMtuProbe(): void {
    const { log } = this;
    for (let i = 0; i < log.count; i++) {
      const slot = log.slot(i);
      if (log.has(slot, RowFlag.MTU_PROBE)) this.markLost(slot);
    }
    this.mtuProbeLost = false;
  }

  /** Records larger than `bytes` are lost: the path takes nothing so large any more (RFC 1191 §6.4). */
  markLarger(bytes: number): void {
    const { log } = this;
    for (let i = 0; i < log.count; i++) {
      const slot = log.slot(i);
      if (log.bytes(slot) > bytes) this.markLost(slot);
    }
  }

  /** What was believed lost is in flight after all. */
  unmarkLost(): void {
    const { log } = this;
    for (let i = log.count - 1; i >= 0; i--) {
      const slot = log.slot(i);
      if (!log.has(slot, RowFlag.LOST)) continue;
      log.setFlags(slot, log.flags(slot) & ~(RowFlag.LOST | RowFlag.RETRANSMITTED));
      log.relist(slot);
    }
    this.lostBytes = 0;
    this.retransmittedBytes = 0;
  }

  /** Whether at least `segments` have been selectively acknowledged. */
  hasSacked(segments: number, mssBytes: number): boolean {
    const { log } = this;
    if (this.sackedBytes === 0) return false;
    let seen = 0;
    for (let i = log.count - 1; i >= 0 && seen < segments; i--) {
      const slot = log.slot(i);
      if (log.has(slot, RowFlag.SACKED)) seen += Math.ceil(log.bytes(slot) / mssBytes);
    }
    return seen >= segments;
  }

  /** Whether the peer took back what it had acknowledged selectively (RFC 2018 §8). */
  get hasReneged(): boolean {
    return this.log.count > 0 && this.log.has(this.log.slot(0), RowFlag.SACKED);
  }

  /** Believes no selective acknowledgment any more. */
  forgetSacked(): void {
    const { log } = this;
    for (let i = 0; i < log.count; i++) {
      const slot = log.slot(i);
      log.setFlags(slot, log.flags(slot) & ~RowFlag.SACKED);
    }
    this.sackedBytes = 0;
    this.#takenCount = 0;
  }

  clear(): void {
    this.log.clear();
    this.outstandingBytes = 0;
    this.sackedBytes = 0;
    this.lostBytes = 0;
    this.retransmittedBytes = 0;
    this.#takenCount = 0;
  }

  /** `bytes` at the front of a record leave the books. */
  #leave(slot: number, bytes: number): void {
    const flags = this.log.flags(slot);
    this.outstandingBytes -= bytes;
    if (flags & RowFlag.SACKED) this.sackedBytes -= bytes;
    else this.#witness.delivered(slot, bytes);
    this.#witness.passed(slot);
    if (flags & RowFlag.LOST) this.lostBytes -= bytes;
    if (flags & RowFlag.RETRANSMITTED) this.retransmittedBytes -= bytes;
  }

  /** Marks `[start, end)`, but for what a block of the last ACK covers at either end of it. */
  #sackBlock(start: Seq, end: Seq): void {
    let from = start;
    let to = end;
    const taken = this.#taken;
    for (let i = 0; taken !== undefined && i < this.#takenCount; i++) {
      const takenStart = taken[2 * i] as Seq;
      const takenEnd = taken[2 * i + 1] as Seq;
      if (seqLe(takenStart, from) && seqGt(takenEnd, from)) from = takenEnd;
      if (seqGe(takenEnd, to) && seqLt(takenStart, to)) to = takenStart;
    }
    if (seqLt(from, to)) this.#mark(from, to);
  }

  #mark(start: Seq, end: Seq): void {
    const { log } = this;
    let i = log.find(start);
    if (i < log.count && !log.isFull && log.straddles(i, start)) {
      log.split(i, start);
      i++;
    }
    for (; i < log.count; i++) {
      const slot = log.slot(i);
      if (seqGe(log.start(slot), end)) return;
      if (!log.isFull && log.straddles(i, end)) log.split(i, end);
      if (log.within(slot, start, end)) this.#sackRecord(slot);
    }
  }

  #sackRecord(slot: number): void {
    const { log } = this;
    const flags = log.flags(slot);
    if (flags & RowFlag.SACKED) return;
    const bytes = log.bytes(slot);
    if (flags & RowFlag.LOST) this.lostBytes -= bytes;
    if (flags & RowFlag.RETRANSMITTED) this.retransmittedBytes -= bytes;
    this.sackedBytes += bytes;
    log.unlist(slot);
    log.setFlags(slot, (flags & ~(RowFlag.LOST | RowFlag.RETRANSMITTED)) | RowFlag.SACKED);
    this.#witness.delivered(slot, bytes);
  }
}
