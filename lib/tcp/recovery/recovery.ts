/**
 * What became of the data in flight: acknowledged, selectively acknowledged, lost, sent again. Told of
 * transmissions, ACKs and the passing of its deadline, it answers how much is in flight and what to
 * send again. It does not decide how much may be sent; that is the congestion control's business.
 *
 * Losses are inferred from three duplicate ACKs (RFC 5681 §3.2, RFC 6582) or their equivalent in
 * selective acknowledgments (RFC 6675 §4), and from the retransmission time-out (RFC 6298 §5).
 */
import { NEVER } from '../../base/clock.js';
import { type Seq, seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt, seqMin } from '../../base/seq.js';
import { type AckFacts, AckResult } from './ack-facts.js';
import { RttEstimator, type RttLimits } from './rtt-estimator.js';
import { RowFlag, SentLog } from './sent-log.js';

/** RFC 5681 §3.2: duplicate ACKs that indicate a loss. */
const DUP_THRESH = 3;

/** Shortest wait for a peer that has reneged to change its mind, µs (Linux `tcp_check_sack_reneging`). */
const RENEGING_DELAY_US = 10_000;

/** What the sender is doing about losses, after Linux's names. */
export const Phase = {
  /** Nothing is known to be missing. */
  Open: 0,
  /** Fast recovery: until all that was sent when it began is acknowledged. */
  Recovery: 1,
  /** After a time-out: everything is sent again in slow start. */
  Loss: 2,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export interface RecoveryOptions extends RttLimits {
  /** Most records of what is in flight. */
  readonly maxRows?: number;
  readonly sack: boolean;
}

export class Recovery {
  readonly log: SentLog;
  readonly rtt: RttEstimator;
  readonly result = new AckResult();
  phase: Phase = Phase.Open;
  /** RFC 6582 `recover`: SND.NXT when the last recovery began. */
  recoveryPoint: Seq;
  /** Duplicate ACKs since SND.UNA advanced; without SACK each stands for a segment that left the network. */
  dupAcks = 0;
  /** Doublings of the RTO, and time-outs since data was last acknowledged. */
  backoff = 0;
  retries = 0;
  /** When the first of those retransmissions was sent, µs; 0 when there is none. */
  firstRetryUs = 0;
  /** When the retransmission timer expires, µs. */
  deadlineUs = NEVER;
  /** Whether selective acknowledgment was negotiated. */
  sack: boolean;
  #mssBytes = 0;
  /** Bytes in the log, and in rows that are SACKED, LOST, RETRANSMITTED. */
  #loggedBytes = 0;
  #sackedBytes = 0;
  #lostBytes = 0;
  #retransmittedBytes = 0;
  /** When the newest of the rows an ACK covers was sent, if a sample may be taken of it; -1 otherwise. */
  #sampleSentAtUs = -1;
  /** `EVER_RETRANSMITTED` of the rows SND.UNA passes with an ACK: whether all have it, and whether any has. */
  #passedAll = 0;
  #passedAny = 0;

  constructor(iss: Seq, options: RecoveryOptions) {
    this.log = new SentLog(options.maxRows);
    this.recoveryPoint = iss;
    this.rtt = new RttEstimator(options);
    this.sack = options.sack;
  }

  get isRecovering(): boolean {
    return this.phase === Phase.Recovery;
  }

  get rtoUs(): number {
    return this.rtt.rtoUs(this.backoff);
  }

  /** Bytes sent and not acknowledged, in flight or not (FlightSize of RFC 5681 §2). */
  get outstandingBytes(): number {
    return this.#loggedBytes;
  }

  get sackedBytes(): number {
    return this.#sackedBytes;
  }

  get lostBytes(): number {
    return this.#lostBytes;
  }

  /** Bytes believed to be in the network (`pipe` of RFC 6675 §4). */
  get inFlightBytes(): number {
    const there = this.#loggedBytes - this.#sackedBytes - this.#lostBytes + this.#retransmittedBytes;
    if (this.sack || this.dupAcks === 0) return there;
    return Math.max(0, there - this.dupAcks * this.#mssBytes);
  }

  /** Whether something lost waits to be sent again. */
  get hasLost(): boolean {
    return this.#lostBytes > this.#retransmittedBytes;
  }

  /** New data `[start, end)` left. */
  sent(start: Seq, end: Seq, nowUs: number, isFin: boolean): void {
    this.log.append(start, end, nowUs, isFin ? RowFlag.FIN : 0);
    this.#loggedBytes += seqDiff(end, start);
    // RFC 6298 §5.1: start the timer if it is not running.
    if (this.deadlineUs === NEVER) this.deadlineUs = nowUs + this.rtoUs;
  }

  /** The index in the log of the first row to send again; -1 when there is none. */
  nextLost(): number {
    if (!this.hasLost) return -1;
    const log = this.log;
    for (let i = 0; i < log.count; i++) {
      const flags = log.flags[log.row(i)];
      if ((flags & (RowFlag.LOST | RowFlag.RETRANSMITTED | RowFlag.SACKED)) === RowFlag.LOST) return i;
    }
    return -1;
  }

  /** Row `i` was sent again, up to `end`, which may lie inside it. */
  resent(i: number, end: Seq, nowUs: number): void {
    const log = this.log;
    if (log.straddles(i, end)) log.split(i, end);
    const row = log.row(i);
    log.flags[row] |= RowFlag.RETRANSMITTED | RowFlag.EVER_RETRANSMITTED;
    log.sentAtUs[row] = nowUs;
    this.#retransmittedBytes += log.bytes(i);
    if (this.firstRetryUs === 0) this.firstRetryUs = nowUs;
    // RFC 6675 §6: the first retransmission of a recovery re-arms the timer.
    if (i === 0 || this.deadlineUs === NEVER) this.deadlineUs = nowUs + this.rtoUs;
  }

  /** Takes an ACK that lies in [SND.UNA, SND.NXT]. */
  acknowledge(facts: AckFacts, sndUna: Seq): AckResult {
    const result = this.result;
    this.#mssBytes = facts.mssBytes;
    result.nowUs = facts.nowUs;
    result.priorInFlightBytes = this.inFlightBytes;
    result.ackedBytes = seqDiff(facts.ack, sndUna);
    result.deliveredBytes = 0;
    result.lostBytes = 0;
    this.#sampleSentAtUs = -1;
    this.#passedAll = RowFlag.EVER_RETRANSMITTED;
    this.#passedAny = 0;
    if (result.ackedBytes > 0) this.#advance(facts);
    if (this.sack) for (let i = 0; i < facts.sackCount; i++) this.#markSacked(facts, i);
    else if (facts.isDuplicate) this.dupAcks++;
    this.#measure(facts);
    if (result.ackedBytes > 0) this.#rearm(facts.nowUs);
    this.#detectLosses(facts);
    result.inFlightBytes = this.inFlightBytes;
    return result;
  }

  /** Whether losses ask for fast recovery to begin (RFC 5681 §3.2, RFC 6582 §3.2 step 2). */
  get mustEnter(): boolean {
    return this.phase === Phase.Open && this.#lostBytes > 0;
  }

  enter(sndNxt: Seq): void {
    this.phase = Phase.Recovery;
    this.recoveryPoint = sndNxt;
  }

  /**
   * Whether recovery is over: everything sent before it began is acknowledged (RFC 6675 §5). Without
   * SACK one byte more must be, lest duplicate ACKs of old data begin another (RFC 6582 §4).
   */
  isDone(sndUna: Seq): boolean {
    if (this.phase === Phase.Open) return false;
    return this.sack || this.#loggedBytes === 0
      ? seqGe(sndUna, this.recoveryPoint)
      : seqGt(sndUna, this.recoveryPoint);
  }

  leave(): void {
    this.phase = Phase.Open;
    this.dupAcks = 0;
  }

  /** Whether the peer took back what it had acknowledged selectively (RFC 2018 §8). */
  get hasReneged(): boolean {
    const log = this.log;
    return log.count > 0 && (log.flags[log.row(0)] & RowFlag.SACKED) !== 0;
  }

  /** The retransmission timer expired: everything not selectively acknowledged counts as lost (RFC 6298 §5.4). */
  timedOut(sndNxt: Seq, nowUs: number): void {
    const log = this.log;
    const reneged = this.hasReneged;
    this.#sackedBytes = 0;
    this.#lostBytes = 0;
    this.#retransmittedBytes = 0;
    for (let i = 0; i < log.count; i++) {
      const row = log.row(i);
      if (!reneged && (log.flags[row] & RowFlag.SACKED) !== 0) {
        this.#sackedBytes += log.bytes(i);
        continue;
      }
      log.flags[row] = (log.flags[row] & ~(RowFlag.RETRANSMITTED | RowFlag.SACKED)) | RowFlag.LOST;
      this.#lostBytes += log.bytes(i);
    }
    this.dupAcks = 0;
    this.phase = Phase.Loss;
    this.recoveryPoint = sndNxt;
    this.retries++;
    this.backoff++;
    this.deadlineUs = nowUs + this.rtoUs;
  }

  /** The path now takes smaller packets only: what is in flight and larger will not arrive (RFC 1191 §6.4). */
  lostToSize(mssBytes: number): void {
    const log = this.log;
    for (let i = 0; i < log.count; i++) {
      if (log.bytes(i) > mssBytes) this.#markLost(i);
    }
  }

  clear(): void {
    this.log.clear();
    this.#loggedBytes = 0;
    this.#sackedBytes = 0;
    this.#lostBytes = 0;
    this.#retransmittedBytes = 0;
    this.deadlineUs = NEVER;
  }

  /** SND.UNA moves up: rows it passes leave the log. */
  #advance(facts: AckFacts): void {
    const log = this.log;
    while (log.count > 0) {
      const row = log.row(0);
      if (seqLe(log.end[row] as Seq, facts.ack)) {
        this.#delivered(0, log.bytes(0));
        log.shift();
      } else if (seqLt(log.start[row] as Seq, facts.ack)) {
        this.#delivered(0, seqDiff(facts.ack, log.start[row] as Seq));
        log.start[row] = facts.ack;
        break;
      } else {
        break;
      }
    }
    if (!this.sack && this.dupAcks > 0) {
      // Segments that left the network and are now acknowledged no longer count (as Linux does).
      const segments = Math.ceil(this.result.ackedBytes / facts.mssBytes);
      this.dupAcks = Math.max(0, this.dupAcks - Math.max(0, segments - 1));
    }
    // RFC 6298 §3: where something sent twice was passed, it may be that what waited for the ACK.
    if (this.#passedAny !== 0) this.#sampleSentAtUs = -1;
    if (this.#passedAll === 0) this.backoff = 0;
    this.retries = 0;
    this.firstRetryUs = 0;
    if (log.count === 0) log.clear();
  }

  /** SND.UNA has moved (RFC 6298 §5.2 and §5.3). */
  #rearm(nowUs: number): void {
    // After reneging the rest may yet be acknowledged; if not soon, all of it is sent again.
    const delayUs = this.hasReneged ? Math.max(this.rtt.srttUs / 2, RENEGING_DELAY_US) : this.rtoUs;
    this.deadlineUs = this.log.count === 0 ? NEVER : nowUs + delayUs;
  }

  /** `bytes` at the front of row `i` leave the books. */
  #delivered(i: number, bytes: number): void {
    const row = this.log.row(i);
    const flags = this.log.flags[row];
    this.#loggedBytes -= bytes;
    if (flags & RowFlag.SACKED) this.#sackedBytes -= bytes;
    else {
      this.result.deliveredBytes += bytes;
      if ((flags & RowFlag.EVER_RETRANSMITTED) === 0) this.#sampleSentAtUs = this.log.sentAtUs[row];
    }
    this.#passedAll &= flags;
    this.#passedAny |= flags & RowFlag.EVER_RETRANSMITTED;
    if (flags & RowFlag.LOST) this.#lostBytes -= bytes;
    if (flags & RowFlag.RETRANSMITTED) this.#retransmittedBytes -= bytes;
  }

  #markSacked(facts: AckFacts, block: number): void {
    const start = facts.sackEdges[2 * block] as Seq;
    const end = facts.sackEdges[2 * block + 1] as Seq;
    const log = this.log;
    let i = log.find(start);
    if (i < log.count && log.straddles(i, start)) {
      log.split(i, start);
      i++;
    }
    for (; i < log.count; i++) {
      const row = log.row(i);
      if (seqGe(log.start[row] as Seq, end)) return;
      if (log.straddles(i, end)) log.split(i, end);
      if (log.within(i, start, end)) this.#sackRow(i);
    }
  }

  #sackRow(i: number): void {
    const log = this.log;
    const row = log.row(i);
    const flags = log.flags[row];
    if (flags & RowFlag.SACKED) return;
    const bytes = log.bytes(i);
    if (flags & RowFlag.LOST) this.#lostBytes -= bytes;
    if (flags & RowFlag.RETRANSMITTED) this.#retransmittedBytes -= bytes;
    this.#sackedBytes += bytes;
    this.result.deliveredBytes += bytes;
    if ((flags & RowFlag.EVER_RETRANSMITTED) === 0) this.#sampleSentAtUs = log.sentAtUs[row];
    log.flags[row] = (flags & ~(RowFlag.LOST | RowFlag.RETRANSMITTED)) | RowFlag.SACKED;
  }

  /** RFC 6298 §3: Karn's rule, and timestamps where it forbids a sample (RFC 7323 §4.1). */
  #measure(facts: AckFacts): void {
    const result = this.result;
    result.rttUs = -1;
    if (this.#sampleSentAtUs >= 0) result.rttUs = facts.nowUs - this.#sampleSentAtUs;
    else if (result.ackedBytes > 0 && facts.timestampRttUs >= 0) result.rttUs = facts.timestampRttUs;
    if (result.rttUs < 0) return;
    this.rtt.sample(result.rttUs, facts.ack, facts.sndNxt);
    this.backoff = 0;
  }

  #detectLosses(facts: AckFacts): void {
    if (this.log.count === 0) return;
    if (this.sack) {
      if (this.#sackedBytes > 0) this.#detectBySack(facts.mssBytes);
      return;
    }
    // RFC 6582 §3.2: the third duplicate, and each partial acknowledgment, names the first segment.
    const isPartial =
      this.phase === Phase.Recovery && this.result.ackedBytes > 0 && seqLt(facts.ack, this.recoveryPoint);
    const isThird = this.phase === Phase.Open && this.dupAcks >= DUP_THRESH;
    // Duplicates below `recover` tell of data sent again already.
    if (isPartial || (isThird && seqGe(facts.ack, this.recoveryPoint))) this.#markHeadLost(facts.mssBytes);
  }

  /** RFC 6675 §4 IsLost: three segments, or more than two full ones in bytes, are acknowledged above it. */
  #detectBySack(mssBytes: number): void {
    const log = this.log;
    let bytesAbove = 0;
    let rowsAbove = 0;
    for (let i = log.count - 1; i >= 0; i--) {
      const flags = log.flags[log.row(i)];
      if (flags & RowFlag.SACKED) {
        bytesAbove += log.bytes(i);
        rowsAbove++;
      } else if (rowsAbove >= DUP_THRESH || bytesAbove > (DUP_THRESH - 1) * mssBytes) {
        this.#markLost(i);
      }
    }
  }

  #markHeadLost(mssBytes: number): void {
    const log = this.log;
    const row = log.row(0);
    const end = seqMin(seqAdd(log.start[row] as Seq, mssBytes), log.end[row] as Seq);
    if (log.straddles(0, end)) log.split(0, end);
    this.#markLost(0);
  }

  #markLost(i: number): void {
    const log = this.log;
    const row = log.row(i);
    if (log.flags[row] & (RowFlag.LOST | RowFlag.SACKED)) return;
    log.flags[row] |= RowFlag.LOST;
    this.#lostBytes += log.bytes(i);
    this.result.lostBytes += log.bytes(i);
  }
}
