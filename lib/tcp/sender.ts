/**
 * The sending half of a connection: SND.* of RFC 9293 §3.3.1, what has been written and not yet
 * acknowledged, and the decision what to send next. `Recovery` tells it what was lost, the congestion
 * control how much may be in flight; neither knows of it.
 */
import { NEVER } from '../base/clock.js';
import { type Seq, seqAdd, seqDiff, seqGt, seqLe, seqLt, seqMax } from '../base/seq.js';
import type { TcpStats } from '../base/stats.js';
import { SendBuffer } from '../buffer/send-buffer.js';
import { TcpFlag } from '../wire/tcp.js';
import {
  bufferBytesFor,
  type CongestionControl,
  FIRST_BUFFER_BYTES,
} from './congestion/congestion-control.js';
import type { TcpOptions } from './options.js';
import { isPaced, Pacer, pacingRate } from './pacer.js';
import type { AckFacts } from './recovery/ack-facts.js';
import { Recovery } from './recovery/recovery.js';
import { type SegmentPlan, SegmentPlanner } from './segment-planner.js';
import { SmallSegments } from './small-segments.js';
import { WindowUsage } from './window-usage.js';

/** Persist time-outs are bounded as RTOs are; 120 s in Linux. */
const MAX_PROBE_BACKOFF = 16;

export interface SenderParameters {
  readonly iss: Seq;
  readonly options: TcpOptions;
  readonly sack: boolean;
  readonly congestion: CongestionControl;
  /** Text bytes of a full segment. */
  readonly mssBytes: number;
  readonly stats: TcpStats;
}

export class Sender {
  readonly iss: Seq;
  sndUna: Seq;
  sndNxt: Seq;
  /** Window the peer offers, bytes, and its largest ever. */
  sndWnd = 0;
  maxSndWnd = 0;
  sndWl1 = 0 as Seq;
  sndWl2 = 0 as Seq;
  /** Sequence number after the last urgent byte; meaningful while it lies beyond SND.UNA. */
  sndUp: Seq;
  /** Shift of the window field of what we receive. */
  windowShift = 0;
  /** Bytes of options the next segments carry beyond those that `mssBytes` allows for: SACK blocks. */
  optionBytes = 0;
  readonly buffer: SendBuffer;
  /** Size of the buffer where the application has fixed it, bytes; else 0. */
  fixedBufferBytes = 0;
  readonly recovery: Recovery;
  readonly planner: SegmentPlanner;
  readonly pacer = new Pacer();
  /** The application has closed: a FIN follows the last byte. */
  finQueued = false;
  finSent = false;
  readonly small: SmallSegments;
  /** When the next window probe is due, µs; probes since the window closed, and since the peer was last heard. */
  persistDeadlineUs = NEVER;
  probes = 0;
  unansweredProbes = 0;
  /** Bytes acknowledged in the life of the connection (RFC 5961 §5.2 as Linux narrows it), and in any way. */
  bytesAcked = 0;
  deliveredBytes = 0;
  retransmittedBytes = 0;
  /** The window was reduced for a congestion mark, which the next new text says (RFC 3168 §6.1.2). */
  cwrDue = false;
  /** When anything that takes sequence numbers was last sent, µs. */
  lastSentUs = 0;
  /** Replaced as a whole where the application changes something. */
  options: TcpOptions;
  /** What the send buffer may hold: as in Linux never less again, since a hole holds it up for round trips. */
  grownBufferBytes = FIRST_BUFFER_BYTES;
  readonly usage: WindowUsage;
  #congestion: CongestionControl;

  constructor(parameters: SenderParameters) {
    const { iss, options } = parameters;
    this.iss = iss;
    this.sndUna = iss;
    this.sndNxt = iss;
    this.sndUp = iss;
    this.buffer = new SendBuffer(seqAdd(iss, 1));
    this.recovery = new Recovery(iss, {
      maxRows: options.maxSentRecords,
      sack: parameters.sack,
      rtoMinUs: options.rtoMinMs * 1000,
      rtoMaxUs: options.rtoMaxMs * 1000,
      initialRtoUs: options.initialRtoMs * 1000,
      rack: options.rack,
      tailLossProbe: options.tailLossProbe,
      forwardRto: options.forwardRto,
      stats: parameters.stats,
    });
    this.mssBytes = parameters.mssBytes;
    this.#congestion = parameters.congestion;
    this.congestion = parameters.congestion;
    this.planner = new SegmentPlanner(this);
    this.usage = new WindowUsage(iss);
    this.small = new SmallSegments({ noDelay: options.noDelay, cork: options.cork, iss });
    this.options = options;
  }

  /** Text bytes of a full segment without options beyond those that all have. */
  get mssBytes(): number {
    return this.recovery.mssBytes;
  }

  set mssBytes(mssBytes: number) {
    this.recovery.mssBytes = mssBytes;
  }

  get congestion(): CongestionControl {
    return this.#congestion;
  }

  set congestion(congestion: CongestionControl) {
    this.#congestion = congestion;
    this.recovery.lossListener = congestion.onLost === undefined ? undefined : congestion;
    this.grownBufferBytes = Math.max(this.grownBufferBytes, bufferBytesFor(congestion));
  }

  /** How much may be in flight now: while the window is being reduced, as RFC 9937 says. */
  get cwndBytes(): number {
    const { congestion, recovery } = this;
    return recovery.episode.isReducing && congestion.usesPrr ? recovery.prr.cwndBytes : congestion.cwndBytes;
  }

  /** Bytes per second that may leave; Infinity where nobody paces. */
  get pacingRateBps(): number {
    return pacingRate(this.congestion, this.options, this.recovery.rtt.srttUs);
  }

  get plan(): SegmentPlan {
    return this.planner.plan;
  }

  /** Bytes written and not yet sent. */
  get unsentBytes(): number {
    // Once everything was given up, nothing waits any more.
    return this.finSent ? 0 : Math.max(0, seqDiff(this.buffer.end, this.sndNxt));
  }

  /** How many bytes the buffer may hold now: as the window has asked for, within the option, or as fixed. */
  get bufferLimit(): number {
    if (this.fixedBufferBytes > 0) return this.fixedBufferBytes;
    return Math.min(this.grownBufferBytes, this.options.sendBufferBytes);
  }

  get freeBytes(): number {
    return Math.max(0, this.bufferLimit - this.buffer.length);
  }

  /** Whether one who was refused room should write again (Linux `sk_stream_is_writeable`, `TCP_NOTSENT_LOWAT`). */
  get isWritable(): boolean {
    const { notSentLowWaterBytes } = this.options;
    if (notSentLowWaterBytes < 0) return 3 * this.freeBytes >= this.bufferLimit;
    return this.freeBytes > 0 && this.unsentBytes <= notSentLowWaterBytes;
  }

  /** Whether the peer's window keeps back what could be sent. */
  get isWindowLimited(): boolean {
    return this.unsentBytes > 0 && this.windowRoom < Math.min(this.unsentBytes, this.segmentBytes);
  }

  get finAcknowledged(): boolean {
    return this.finSent && this.sndUna === this.sndNxt;
  }

  /** Everything written, and the FIN if asked for, has been acknowledged. */
  get isDrained(): boolean {
    return this.buffer.length === 0 && (!this.finQueued || this.finAcknowledged);
  }

  /** The SYN was acknowledged, and the text it may have carried before `ack`: sending may begin there. */
  synAcknowledged(ack = seqAdd(this.iss, 1)): void {
    this.#release(ack, seqDiff(ack, this.iss) - 1);
    this.sndNxt = seqMax(this.sndNxt, ack);
    this.recovery.episode.recoveryPoint = ack;
  }

  /**
   * Whether an ACK number may be taken: not beyond SND.NXT, and not further below SND.UNA than the
   * peer's window ever reached, nor than what has been acknowledged at all (RFC 5961 §5.2).
   */
  ackIsAcceptable(ack: Seq): boolean {
    if (seqGt(ack, this.sndNxt)) return false;
    const below = seqDiff(this.sndUna, ack);
    return below <= Math.min(this.maxSndWnd, this.bytesAcked);
  }

  /** Takes an ACK in [SND.UNA, SND.NXT] and what came with it. */
  acknowledged(facts: AckFacts): void {
    const { recovery, congestion } = this;
    const { episode } = recovery;
    facts.canSendNew = this.unsentBytes > 0 && seqGt(seqAdd(facts.ack, this.sndWnd), this.sndNxt);
    const sample = recovery.acknowledge(facts, this.sndUna);
    sample.cwndLimited = this.usage.isLimited(congestion.cwndBytes, congestion.ssthreshBytes);
    this.deliveredBytes += sample.deliveredBytes;
    if (sample.ackedBytes > 0) this.#release(facts.ack, sample.ackedBytes);
    if (episode.wasSpurious) this.#undo(facts.nowUs);
    if (episode.hasEnded) congestion.onRecovered(facts.nowUs);
    if (recovery.repairedTail && episode.signal === '') this.#reduceAtOnce(facts.nowUs);
    if (episode.signal !== '') this.#reduce(facts.nowUs);
    else if (episode.isReducing) recovery.reduce();
    if (!episode.isReducing || !congestion.usesPrr) congestion.onAck(sample);
    this.grownBufferBytes = Math.max(this.grownBufferBytes, bufferBytesFor(congestion, sample));
  }

  /** A loss or a mark was seen: the window shrinks, and recovery begins. */
  #reduce(nowUs: number): void {
    const { recovery, congestion } = this;
    const { signal } = recovery.episode;
    if (signal === '') return;
    // RFC 3168 §6.1.2: a window of one segment cannot shrink, so the next waits as if this one were lost.
    if (signal === 'ecn' && this.cwndBytes <= this.mssBytes) this.pacer.hold(nowUs + recovery.rtoUs);
    // What this ACK acknowledges was outstanding when its marks were made.
    const ackedBytes = signal === 'ecn' ? recovery.result.ackedBytes : 0;
    const outstandingBytes = Math.min(recovery.outstandingBytes + ackedBytes, congestion.cwndBytes);
    congestion.onCongestion(signal, outstandingBytes, nowUs);
    recovery.enter(this.sndUna, this.sndNxt, congestion.ssthreshBytes);
    this.cwrDue = true;
  }

  /** A probe has repaired the loss it was sent for: nothing is left to recover. */
  #reduceAtOnce(nowUs: number): void {
    const { recovery, congestion } = this;
    congestion.onCongestion('loss', Math.min(recovery.outstandingBytes, congestion.cwndBytes), nowUs);
    congestion.onRecovered(nowUs);
    this.cwrDue = true;
  }

  /** The last reduction was a mistake (RFC 4015). */
  #undo(nowUs: number): void {
    this.congestion.onSpurious(nowUs);
    this.cwrDue = false;
  }

  #release(ack: Seq, ackedBytes: number): void {
    this.sndUna = ack;
    this.bytesAcked += ackedBytes;
    this.buffer.release(this.finSent && ack === this.sndNxt ? seqAdd(ack, -1) : ack);
    // Nothing urgent lies before SND.UNA; keeping it close keeps comparisons meaningful.
    if (seqLt(this.sndUp, ack)) this.sndUp = ack;
    this.small.acknowledged(ack);
  }

  /** RFC 9293 §3.10.7.4: a window is taken unless an older segment brings it. */
  updateWindow(sequence: Seq, ack: Seq, windowBytes: number): boolean {
    const isNewer = seqLt(this.sndWl1, sequence) || (this.sndWl1 === sequence && seqLe(this.sndWl2, ack));
    if (!isNewer) return false;
    this.sndWl1 = sequence;
    this.sndWl2 = ack;
    const changed = windowBytes !== this.sndWnd;
    this.sndWnd = windowBytes;
    this.maxSndWnd = Math.max(this.maxSndWnd, windowBytes);
    if (windowBytes > 0) {
      this.probes = 0;
      this.persistDeadlineUs = NEVER;
    }
    return changed;
  }

  /** Admits up to `length` bytes, its memory growing by `moreBytes` at most. @returns how many fitted */
  write(source: Uint8Array, at: number, length: number, moreBytes = Number.POSITIVE_INFINITY): number {
    const admitted = this.buffer.admissible(Math.min(length, this.freeBytes), moreBytes);
    if (admitted > 0) this.buffer.write(source, at, admitted);
    return admitted;
  }

  /** Fills `plan` with the next segment: first what was lost, then new data. False when none may leave. */
  next(maxTextBytes: number, nowUs: number): boolean {
    const { segmentBytes, pacer } = this;
    pacer.isBlocked = false;
    if (pacer.isHeld(nowUs)) return false;
    if (!isPaced(this.#congestion, this.options)) return this.planner.next(maxTextBytes, nowUs);
    const burst = pacer.burstBytes(this.pacingRateBps, segmentBytes);
    const isPlanned = this.planner.next(Math.min(maxTextBytes, burst - (burst % segmentBytes)), nowUs);
    if (!isPlanned) pacer.idle();
    return isPlanned && pacer.mayLeave(nowUs);
  }

  /** The planned segment has left. */
  sent(nowUs: number): void {
    const { plan, recovery } = this;
    const isFin = (plan.flags & TcpFlag.FIN) !== 0;
    const end = seqAdd(plan.sequence, plan.textBytes + (isFin ? 1 : 0));
    if (isPaced(this.#congestion, this.options)) this.pacer.sent(plan.textBytes, this.pacingRateBps, nowUs);
    this.congestion.onTransmit?.(recovery.inFlightBytes, recovery.rate.isAppLimited, nowUs);
    this.lastSentUs = nowUs;
    if (plan.row >= 0) this.#sentAgain(end, nowUs);
    else this.#sentNew(end, isFin, nowUs);
    if (plan.isProbe) recovery.probeSent(this.sndNxt, plan.row >= 0, nowUs);
  }

  #sentAgain(end: Seq, nowUs: number): void {
    const { plan } = this;
    this.recovery.resent(plan.row, end, plan.segments, nowUs);
    this.retransmittedBytes += plan.textBytes;
  }

  #sentNew(end: Seq, isFin: boolean, nowUs: number): void {
    const { plan } = this;
    this.recovery.sent(plan.sequence, end, nowUs, isFin);
    this.planner.burstSegments += plan.segments;
    if (plan.flags & TcpFlag.PSH) this.recovery.log.lastPushed();
    this.sndNxt = end;
    if (isFin) this.finSent = true;
    this.small.sent(end, plan.textBytes > 0 && plan.textBytes % this.segmentBytes !== 0);
    this.persistDeadlineUs = NEVER;
    if (this.unsentBytes === 0) this.small.emptied();
  }

  /** Nothing more may leave for now. */
  paused(nowUs: number): void {
    const { recovery, planner } = this;
    recovery.paused(nowUs);
    const { inFlightBytes } = recovery;
    this.usage.paused(inFlightBytes, planner.cwndLimited, this.sndUna, this.sndNxt);
    planner.cwndLimited = false;
    planner.burstSegments = 0;
    const hasMore = this.unsentBytes >= this.segmentBytes || recovery.board.hasLost;
    if (!hasMore && inFlightBytes < this.cwndBytes) recovery.rate.appLimited(inFlightBytes);
  }

  /** RFC 5681 §4.1: after an idle time of more than an RTO the window is not what it was. */
  restartAfterIdle(nowUs: number): void {
    if (this.recovery.log.count > 0 || this.lastSentUs === 0) return;
    if (nowUs - this.lastSentUs > this.recovery.rtoUs) {
      this.congestion.onIdle(nowUs);
      this.lastSentUs = nowUs;
    }
  }

  /** What was late is lost now (RFC 8985 §6.2 step 5). */
  reorderingTimeout(nowUs: number): void {
    this.recovery.reorderingTimeout(this.sndNxt, nowUs);
    this.#reduce(nowUs);
  }

  /** The retransmission timer expired (RFC 6298 §5.4 to §5.6). */
  retransmissionTimeout(nowUs: number): void {
    const { recovery, congestion } = this;
    // RFC 5681 §3.1: ssthresh falls once for each window of data, not at every backoff.
    if (recovery.retries === 0) {
      congestion.onCongestion('timeout', Math.min(recovery.outstandingBytes, congestion.cwndBytes), nowUs);
      this.cwrDue = true;
    }
    recovery.timedOut(this.sndUna, this.sndNxt, nowUs);
  }

  /** Whether something waits that the peer's window does not admit, with nothing in flight to bring an ACK. */
  get isStalled(): boolean {
    return this.recovery.log.count === 0 && (this.unsentBytes > 0 || (this.finQueued && !this.finSent));
  }

  /** Arms the persist timer where nothing else would ever move the connection (RFC 9293 §3.8.6.1). */
  armPersist(nowUs: number): void {
    if (this.persistDeadlineUs !== NEVER || !this.isStalled) return;
    const backoff = Math.min(this.probes, MAX_PROBE_BACKOFF);
    this.persistDeadlineUs = nowUs + this.recovery.rtt.rtoUs(backoff);
  }

  /** A probe was sent, or forced data. */
  probed(nowUs: number): void {
    this.probes++;
    this.unansweredProbes++;
    this.persistDeadlineUs = NEVER;
    this.armPersist(nowUs);
  }

  setMss(mssBytes: number): void {
    if (mssBytes === this.mssBytes) return;
    const shrinks = mssBytes < this.mssBytes;
    this.mssBytes = mssBytes;
    this.congestion.setMss(mssBytes);
    if (shrinks) this.recovery.board.markLarger(mssBytes);
  }

  clear(): void {
    this.buffer.clear();
    this.recovery.clear();
    this.persistDeadlineUs = NEVER;
    this.small.emptied();
  }

  /** Text bytes of a full segment sent now. */
  get segmentBytes(): number {
    return this.mssBytes - this.optionBytes;
  }

  /** Bytes beyond SND.NXT that the peer's window admits; negative after it shrank. */
  get windowRoom(): number {
    return seqDiff(seqAdd(this.sndUna, this.sndWnd), this.sndNxt);
  }
}
