/**
 * The sending half of a connection: SND.* of RFC 9293 §3.3.1, what has been written and not yet
 * acknowledged, and the decision what to send next. `Recovery` tells it what was lost, the congestion
 * control how much may be in flight; neither knows of it.
 */
import { NEVER } from '../base/clock.js';
import { type Seq, seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt, seqMax } from '../base/seq.js';
import { SendBuffer } from '../buffer/send-buffer.js';
import { TcpFlag } from '../wire/tcp.js';
import type { CongestionControl } from './congestion/congestion-control.js';
import type { TcpOptions } from './options.js';
import type { AckFacts } from './recovery/ack-facts.js';
import { Recovery } from './recovery/recovery.js';
import { RowFlag } from './recovery/sent-log.js';
import { SmallSegments } from './small-segments.js';

/** The next segment to send. One object, filled anew for each. */
export class SegmentPlan {
  sequence = 0 as Seq;
  textBytes = 0;
  /** PSH, FIN and URG as they apply. */
  flags = 0;
  /** Text bytes per segment when the plan is a super-packet; 0 for a plain one. */
  segmentSize = 0;
  /** Row of the log that is sent again, or -1 for new data. */
  row = -1;
  urgentPointer = 0;
}

/** Persist time-outs are bounded as RTOs are; 120 s in Linux. */
const MAX_PROBE_BACKOFF = 16;

export interface SenderParameters {
  readonly iss: Seq;
  readonly options: TcpOptions;
  readonly sack: boolean;
  readonly congestion: CongestionControl;
  /** Text bytes of a full segment. */
  readonly mssBytes: number;
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
  mssBytes: number;
  /** Bytes of options the next segments carry beyond those that `mssBytes` allows for: SACK blocks. */
  optionBytes = 0;
  readonly buffer: SendBuffer;
  /** Size of the buffer where the application has fixed it, bytes; else 0. */
  fixedBufferBytes = 0;
  readonly recovery: Recovery;
  congestion: CongestionControl;
  readonly plan = new SegmentPlan();
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
  /** Bytes and segments retransmitted. */
  retransmittedBytes = 0;
  retransmissions = 0;
  /** The window was reduced for a congestion mark, which the next new text says (RFC 3168 §6.1.2). */
  cwrDue = false;
  /** When anything that takes sequence numbers was last sent, µs. */
  lastSentUs = 0;
  /** Replaced as a whole where the application changes something. */
  options: TcpOptions;
  /** Whether the congestion window kept something back since the last ACK. */
  #cwndLimited = false;

  constructor(parameters: SenderParameters) {
    const { iss, options } = parameters;
    this.iss = iss;
    this.sndUna = iss;
    this.sndNxt = iss;
    this.sndUp = iss;
    this.mssBytes = parameters.mssBytes;
    this.congestion = parameters.congestion;
    this.buffer = new SendBuffer(seqAdd(iss, 1));
    this.recovery = new Recovery(iss, {
      maxRows: options.maxSentRecords,
      sack: parameters.sack,
      rtoMinUs: options.rtoMinMs * 1000,
      rtoMaxUs: options.rtoMaxMs * 1000,
      initialRtoUs: options.initialRtoMs * 1000,
    });
    this.small = new SmallSegments({ noDelay: options.noDelay, cork: options.cork, iss });
    this.options = options;
  }

  /** Bytes written and not yet sent. */
  get unsentBytes(): number {
    return this.finSent ? 0 : seqDiff(this.buffer.end, this.sndNxt);
  }

  /** How many bytes the buffer may hold now: twice the congestion window, within the option, or as fixed. */
  get bufferLimit(): number {
    if (this.fixedBufferBytes > 0) return this.fixedBufferBytes;
    const wanted = Math.max(65_536, 2 * this.congestion.cwndBytes);
    return Math.min(wanted, this.options.sendBufferBytes);
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
    return this.unsentBytes > 0 && this.#windowRoom() < Math.min(this.unsentBytes, this.segmentBytes);
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
    this.recovery.recoveryPoint = ack;
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
    const sample = recovery.acknowledge(facts, this.sndUna);
    sample.cwndLimited = this.#cwndLimited;
    this.deliveredBytes += sample.deliveredBytes;
    if (sample.ackedBytes > 0) this.#release(facts.ack, sample.ackedBytes);
    if (recovery.mustEnter) {
      congestion.onCongestion('loss', Math.min(recovery.outstandingBytes, congestion.cwndBytes), facts.nowUs);
      recovery.enter(this.sndNxt);
    } else if (recovery.isDone(this.sndUna)) {
      recovery.leave();
      congestion.onRecovered(facts.nowUs);
    }
    if (!recovery.isRecovering) congestion.onAck(sample);
    if (sample.ackedBytes > 0) this.#cwndLimited = false;
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
    return this.#nextLost(maxTextBytes) || this.#nextNew(maxTextBytes, nowUs);
  }

  /** The planned segment has left. */
  sent(nowUs: number): void {
    const plan = this.plan;
    const isFin = (plan.flags & TcpFlag.FIN) !== 0;
    const end = seqAdd(plan.sequence, plan.textBytes + (isFin ? 1 : 0));
    this.lastSentUs = nowUs;
    if (plan.row >= 0) {
      this.recovery.resent(plan.row, end, nowUs);
      this.retransmissions += plan.segmentSize > 0 ? Math.ceil(plan.textBytes / plan.segmentSize) : 1;
      this.retransmittedBytes += plan.textBytes;
      return;
    }
    this.recovery.sent(plan.sequence, end, nowUs, isFin);
    this.sndNxt = end;
    if (isFin) this.finSent = true;
    this.small.sent(end, plan.textBytes > 0 && plan.textBytes % this.segmentBytes !== 0);
    this.persistDeadlineUs = NEVER;
    if (this.unsentBytes === 0) this.small.emptied();
  }

  /** RFC 5681 §4.1: after an idle time of more than an RTO the window is not what it was. */
  restartAfterIdle(nowUs: number): void {
    if (this.recovery.log.count > 0 || this.lastSentUs === 0) return;
    if (nowUs - this.lastSentUs > this.recovery.rtoUs) {
      this.congestion.onIdle(nowUs);
      this.lastSentUs = nowUs;
    }
  }

  /** The retransmission timer expired (RFC 6298 §5.4 to §5.6). */
  retransmissionTimeout(nowUs: number): void {
    const { recovery, congestion } = this;
    // RFC 5681 §3.1: ssthresh falls once for each window of data, not at every backoff.
    if (recovery.retries === 0) {
      congestion.onCongestion('timeout', Math.min(recovery.outstandingBytes, congestion.cwndBytes), nowUs);
    }
    recovery.timedOut(this.sndNxt, nowUs);
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

  /**
   * The persist timer expired. Fills `plan` with what little the window admits, overriding silly-window
   * avoidance (RFC 9293 §3.8.6.2.1); false when it admits nothing and a probe must be sent.
   */
  nextForced(): boolean {
    const room = this.#windowRoom();
    if (room <= 0) return false;
    return this.#planNew(Math.min(room, this.unsentBytes, this.segmentBytes), room);
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
    if (shrinks) this.recovery.lostToSize(mssBytes);
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
  #windowRoom(): number {
    return seqDiff(seqAdd(this.sndUna, this.sndWnd), this.sndNxt);
  }

  #nextLost(maxTextBytes: number): boolean {
    const { recovery, congestion, plan } = this;
    const row = recovery.nextLost();
    if (row < 0) return false;
    const room = congestion.cwndBytes - recovery.inFlightBytes;
    // The first segment goes at once, whatever is in flight (RFC 5681 §3.2, RFC 6675 §5, RFC 6582 §3.2).
    if (row > 0 && room < Math.min(this.mssBytes, congestion.cwndBytes) && recovery.inFlightBytes > 0) {
      this.#cwndLimited = true;
      return false;
    }
    const log = recovery.log;
    const at = log.row(row);
    const start = log.start[at] as Seq;
    // RFC 9293 §3.8.6: beyond a window that has shrunk only the first segment is sent again.
    const inWindow = seqDiff(seqAdd(this.sndUna, this.sndWnd), start);
    if (inWindow <= 0 && start !== this.sndUna) return false;
    const isFin = (log.flags[at] & RowFlag.FIN) !== 0;
    const rowText = log.bytes(row) - (isFin ? 1 : 0);
    const limit = Math.min(maxTextBytes, wholeSegments(room, this.segmentBytes));
    const textBytes = Math.min(rowText, limit, inWindow > 0 ? inWindow : this.segmentBytes);
    this.#fillPlan(start, textBytes, isFin && textBytes === rowText);
    plan.row = row;
    return true;
  }

  #nextNew(maxTextBytes: number, nowUs: number): boolean {
    const unsent = this.unsentBytes;
    if ((unsent === 0 && !(this.finQueued && !this.finSent)) || this.recovery.log.isFull) return false;
    const windowRoom = this.#windowRoom();
    if (windowRoom <= 0) return false;
    const inFlight = this.recovery.inFlightBytes;
    const cwndRoom = this.congestion.cwndBytes - inFlight;
    // A link may carry even less than the smallest segment size that is believed.
    const segmentBytes = Math.max(1, Math.min(this.segmentBytes, maxTextBytes));
    if (cwndRoom < Math.min(unsent, segmentBytes) || cwndRoom <= 0) {
      this.#cwndLimited = true;
      return false;
    }
    if (unsent > cwndRoom) this.#cwndLimited = true;
    const limit = Math.max(0, Math.min(unsent, windowRoom, cwndRoom, maxTextBytes));
    const whole = limit - (limit % segmentBytes);
    const tail = limit - whole;
    const mayBePartial = tail > 0 && this.#mayLeavePartial(limit < unsent ? tail : 0, limit, nowUs);
    if (whole === 0 && tail > 0 && !mayBePartial) return false;
    // A FIN rides on the last text, or goes alone, where the window has room for it.
    return this.#planNew(mayBePartial ? limit : whole, windowRoom);
  }

  /**
   * Whether a segment smaller than a full one may leave (RFC 9293 §3.8.6.2.1): not while the congestion
   * window alone cuts it; if the peer's window does, only from half its largest; else as Nagle and
   * Minshall say (RFC 9293 §3.7.4). `cutBytes` is its size where something cuts it, else 0.
   */
  #mayLeavePartial(cutBytes: number, limit: number, nowUs: number): boolean {
    if (cutBytes > 0) return this.#windowRoom() === limit && cutBytes >= this.maxSndWnd / 2;
    if (this.finQueued || seqGt(this.sndUp, this.sndNxt)) return true;
    return this.small.mayLeave(this.sndUna, this.recovery.log.count > 0, nowUs);
  }

  #planNew(textBytes: number, windowRoom: number): boolean {
    const withFin = this.finQueued && !this.finSent && textBytes === this.unsentBytes;
    const carriesFin = withFin && windowRoom > textBytes;
    if (textBytes === 0 && !carriesFin) return false;
    this.#fillPlan(this.sndNxt, textBytes, carriesFin);
    this.plan.row = -1;
    return true;
  }

  #fillPlan(sequence: Seq, textBytes: number, isFin: boolean): void {
    const plan = this.plan;
    plan.sequence = sequence;
    plan.textBytes = textBytes;
    plan.segmentSize = textBytes > this.segmentBytes ? this.segmentBytes : 0;
    plan.flags = isFin ? TcpFlag.FIN : 0;
    const end = seqAdd(sequence, textBytes);
    // RFC 9293 §3.9.1.2: without a PUSH call, PSH marks the segment that empties the queue.
    if (textBytes > 0 && seqGe(end, this.buffer.end)) plan.flags |= TcpFlag.PSH;
    plan.urgentPointer = 0;
    const urgent = seqDiff(this.sndUp, sequence);
    // A mark too far to be told is told of only where it lies beyond everything sent (Linux).
    if (urgent > 0 && (urgent <= 0xffff || seqGt(seqAdd(sequence, 0xffff), this.sndNxt))) {
      plan.flags |= TcpFlag.URG;
      plan.urgentPointer = Math.min(urgent, 0xffff);
    }
  }
}

/** `bytes` rounded down to whole segments, one at least. */
const wholeSegments = (bytes: number, mssBytes: number): number =>
  Math.max(mssBytes, bytes - (bytes % mssBytes));
