/**
 * The receiving half of a connection: RCV.* of RFC 9293 §3.3.1, the text that arrived, in order or
 * not, and what the ACKs we send say of it: window, SACK blocks, echoed timestamp.
 */
import { type Seq, seqAdd, seqDiff, seqGe, seqGt, seqInWindow, seqLt, seqMax, seqMin } from '../base/seq.js';
import type { TcpStats } from '../base/stats.js';
import type { Tape } from '../base/tape.js';
import { ReceiveBuffer } from '../buffer/receive-buffer.js';
import { TcpFlag } from '../wire/tcp.js';
import type { MemoryAccount } from './memory.js';
import { SackReport } from './sack-report.js';
import type { TcpSegment } from './segment.js';
import { TextOutcome } from './text-outcome.js';
import { UrgentMark } from './urgent-mark.js';
import { WindowTuner } from './window-tuner.js';

/**
 * Where text goes that arrives in order while nothing waits to be read: straight into the memory the
 * application will be given. It takes all that is offered, or nothing.
 */
export interface TextSink {
  /**
   * Takes `length` bytes at `at`. @returns whether it did
   * @param view the same memory as `bytes`
   */
  take(bytes: Uint8Array, at: number, length: number, view: DataView): boolean;
}

/** PAWS forgets a timestamp after this without news of the peer, µs: 24 days (RFC 7323 §5.5). */
const TS_RECENT_VALID_US = 24 * 86_400 * 1e6;

/** Smaller segments than this say nothing of how large a full one is. */
const SMALLEST_FULL_BYTES = 536;

/** Full segments for which a window is opened under memory pressure. */
const PRESSED_SEGMENTS = 4;

export interface ReceiverParameters {
  /** The MSS we announced, bytes. */
  readonly mssBytes?: number;
  readonly irs: Seq;
  /** Window to offer at first, what it grows to as segments arrive, and most bytes ever held, bytes. */
  readonly windowBytes: number;
  readonly bufferBytes: number;
  readonly maxBufferBytes: number;
  /** 0: no clamp. */
  readonly clampBytes: number;
  /** Shift of the window field of what we send. */
  readonly windowShift: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
  readonly maxGaps?: number;
  readonly stats: TcpStats;
  readonly memory: MemoryAccount;
}

export class Receiver {
  readonly irs: Seq;
  rcvNxt: Seq;
  /** Right edge of the largest window ever offered; never moves left (RFC 9293 §3.8.6). */
  rcvAdv: Seq;
  /** Last.ACK.sent of RFC 7323 §4.3. */
  lastAckSent: Seq;
  readonly windowShift: number;
  readonly buffer: ReceiveBuffer;
  readonly tuner: WindowTuner;
  readonly sack: SackReport | undefined;
  readonly timestamps: boolean;
  /** TS.Recent and when it was taken, µs. */
  tsRecent = 0;
  tsRecentAtUs = 0;
  readonly urgent: UrgentMark;
  /** The peer's FIN has been reached in order. */
  finReceived = false;
  /** Bytes taken in order in the life of the connection. */
  bytesReceived = 0;
  /** Segments that arrived beyond a gap. */
  outOfOrderSegments = 0;
  sink: TextSink | undefined;
  /** The application will read no more: text is acknowledged and thrown away. */
  discards = false;
  /** Largest segment seen, which tells how the peer counts (`rcv_mss` of Linux). */
  peerMssBytes = SMALLEST_FULL_BYTES;
  #lastSegmentBytes = 0;
  /** The window field last sent; -1 before the first. */
  #windowField = -1;
  /** Bytes of the widest window that the last segment had a field for: that of a SYN is not scaled. */
  #widestBytes = 0xffff;
  readonly #stats: TcpStats;
  readonly #memory: MemoryAccount;
  /** Where an out-of-order FIN lies. */
  #finAt: Seq | undefined;

  constructor(parameters: ReceiverParameters) {
    this.irs = parameters.irs;
    this.rcvNxt = seqAdd(parameters.irs, 1);
    this.lastAckSent = this.rcvNxt;
    this.urgent = new UrgentMark(this.rcvNxt);
    this.windowShift = parameters.windowShift;
    this.timestamps = parameters.timestamps;
    this.buffer = new ReceiveBuffer(this.rcvNxt, parameters.maxGaps);
    this.tuner = new WindowTuner(parameters);
    this.rcvAdv = seqAdd(this.rcvNxt, parameters.windowBytes);
    this.sack = parameters.sack ? new SackReport() : undefined;
    this.#stats = parameters.stats;
    this.#memory = parameters.memory;
  }

  /** With all text read, and none behind a gap. */
  fold(tape: Tape): void {
    const first = seqAdd(this.irs, 1);
    this.rcvNxt = tape.number(this.rcvNxt, first) as Seq;
    this.rcvAdv = tape.number(this.rcvAdv, this.rcvNxt) as Seq;
    this.lastAckSent = tape.number(this.lastAckSent, this.rcvNxt) as Seq;
    this.tsRecent = tape.number(this.tsRecent, 0);
    this.tsRecentAtUs = tape.number(this.tsRecentAtUs, 0);
    this.bytesReceived = tape.number(this.bytesReceived, seqDiff(this.rcvNxt, first));
    this.outOfOrderSegments = tape.number(this.outOfOrderSegments, 0);
    this.discards = tape.flag(this.discards);
    this.peerMssBytes = tape.number(this.peerMssBytes, SMALLEST_FULL_BYTES);
    this.#lastSegmentBytes = tape.number(this.#lastSegmentBytes, 0);
    this.#windowField = tape.number(this.#windowField, -1);
    this.#widestBytes = tape.number(this.#widestBytes, 0xffff * 2 ** this.windowShift);
    this.buffer.fold(tape, this.rcvNxt);
    this.tuner.fold(tape);
    this.urgent.fold(tape, first);
  }

  /** Whether it has nothing but numbers to remember: all text was read, and none waits behind a gap. */
  get isQuiet(): boolean {
    const { buffer, urgent, sack } = this;
    if (buffer.readableBytes > 0 || buffer.hasGaps || this.finReceived || this.#finAt !== undefined)
      return false;
    return !urgent.isPending && (sack === undefined || sack.isEmpty);
  }

  /** RCV.WND: bytes from RCV.NXT to the right edge offered. */
  get rcvWnd(): number {
    return Math.max(0, seqDiff(this.rcvAdv, this.rcvNxt));
  }

  /** The four cases of RFC 9293 §3.10.7.4: whether any of the segment lies in the window. */
  isAcceptable(sequence: Seq, length: number): boolean {
    const window = this.rcvWnd;
    if (window === 0) return length === 0 && sequence === this.rcvNxt;
    if (length === 0) return seqInWindow(sequence, this.rcvNxt, window);
    return (
      seqInWindow(sequence, this.rcvNxt, window) ||
      seqInWindow(seqAdd(sequence, length - 1), this.rcvNxt, window)
    );
  }

  /** RFC 7323 §5.3 R1: whether its timestamp shows a segment to be old. */
  failsPaws(tsVal: number, nowUs: number): boolean {
    if (((tsVal - this.tsRecent) | 0) >= 0) return false;
    return nowUs - this.tsRecentAtUs <= TS_RECENT_VALID_US;
  }

  /** RFC 7323 §4.3 (2): TS.Recent moves on only with a segment at or before what was last acknowledged. */
  recordTimestamp(sequence: Seq, tsVal: number, nowUs: number): void {
    if (seqGt(sequence, this.lastAckSent)) return;
    const isNewer = ((tsVal - this.tsRecent) | 0) >= 0;
    if (!isNewer && nowUs - this.tsRecentAtUs <= TS_RECENT_VALID_US) return;
    this.tsRecent = tsVal;
    this.tsRecentAtUs = nowUs;
  }

  /** Takes the text and FIN of an acceptable segment. `segment` is trimmed on the way. */
  text(segment: TcpSegment): TextOutcome {
    const hadGaps = this.buffer.hasGaps;
    if (!this.#trim(segment)) return TextOutcome.Nothing;
    if (segment.has(TcpFlag.FIN)) this.#noteFin(seqAdd(segment.sequence, segment.textBytes));
    if (segment.sequence !== this.rcvNxt) return this.#keepOutOfOrder(segment);
    if (segment.textBytes > 0 && !this.#takeInOrder(segment)) return TextOutcome.NoMemory;
    this.#reachFin();
    return hadGaps && segment.textBytes > 0 ? TextOutcome.FilledGap : TextOutcome.InOrder;
  }

  /** Learns how large the peer's segments are; a smaller size only when two in a row have it (Linux `tcp_measure_rcv_mss`). */
  noteSegmentSize(textBytes: number): void {
    const previous = this.#lastSegmentBytes;
    this.#lastSegmentBytes = textBytes >= SMALLEST_FULL_BYTES ? textBytes : 0;
    if (textBytes >= this.peerMssBytes || (textBytes >= SMALLEST_FULL_BYTES && textBytes === previous)) {
      this.peerMssBytes = Math.min(textBytes, 65_535);
    }
  }

  /** Moves up to `length` bytes to the application. */
  read(target: Uint8Array, at: number, length: number): number {
    const { buffer, urgent } = this;
    const bytes = buffer.read(target, at, urgent.readable(length, buffer.readSequence));
    this.tuner.consumed(bytes);
    urgent.passed(buffer.readSequence);
    return bytes;
  }

  /** Bytes that can be read now. */
  get readableBytes(): number {
    return this.buffer.readableBytes;
  }

  /**
   * The window field for the next segment, and the right edge it stands for. The edge never moves
   * left, so what scaling cuts off is rounded up (RFC 7323 §2.4); but rounding again and again must not
   * promise more than there is room for. Where it would, it goes down by less than one unit, and text up
   * to the largest edge is still taken.
   * @param isSyn windows of SYN segments are not scaled
   */
  advertise(isSyn: boolean): number {
    const occupied = this.buffer.readableBytes;
    const offered = this.#offered;
    const unit = isSyn ? 1 : 1 << this.windowShift;
    let field = Math.ceil(Math.max(offered, this.rcvWnd) / unit);
    if (occupied + field * unit > this.tuner.hardLimitBytes) field = Math.floor(this.rcvWnd / unit);
    field = Math.min(0xffff, field);
    if (field === 0 && this.#windowField !== 0) this.#stats.toZeroWindowAdv++;
    if (field > 0 && this.#windowField === 0) this.#stats.fromZeroWindowAdv++;
    this.#windowField = field;
    this.#widestBytes = 0xffff * unit;
    this.rcvAdv = seqMax(this.rcvAdv, seqAdd(this.rcvNxt, field * unit));
    this.lastAckSent = this.rcvNxt;
    return field;
  }

  /** Whether reading has opened the window enough to tell the peer at once (RFC 9293 §3.8.6.2.2). */
  get mustUpdateWindow(): boolean {
    if (this.finReceived) return false;
    const current = this.rcvWnd;
    // Of what could be told last: what only a field without scale kept back is not worth a segment.
    if (2 * current > Math.min(this.tuner.limitBytes, this.#widestBytes)) return false;
    const offered = this.#offered;
    return offered > 0 && offered >= 2 * current && offered > current;
  }

  /** Bytes from RCV.NXT to the end of what waits behind gaps; 0 where nothing does. */
  get spannedBytes(): number {
    const { waiting } = this.buffer;
    return waiting === undefined || waiting.count === 0
      ? 0
      : seqDiff(waiting.end(waiting.count - 1), this.rcvNxt);
  }

  /** Memory in use, bytes. */
  get memoryBytes(): number {
    return this.buffer.memoryBytes;
  }

  /** The application will read no more: what waits, and what arrives from now on, is thrown away. */
  discard(): void {
    this.discards = true;
    this.urgent.isPending = false;
    this.buffer.consume(this.buffer.readableBytes);
  }

  /** Memory is short: gives back what can be spared of it. */
  prune(): void {
    this.#stats.outOfOrderPruned += this.buffer.prune();
  }

  clear(): void {
    this.buffer.clear();
    this.sink = undefined;
  }

  /** The window to offer, bytes; little is promised where memory is scarce (Linux `__tcp_select_window`). */
  get #offered(): number {
    const current = this.rcvWnd;
    const offered = this.tuner.offer(current, this.buffer.readableBytes, this.peerMssBytes);
    if (offered <= current || !this.#memory.isUnderPressure) return offered;
    return Math.max(current, Math.min(offered, PRESSED_SEGMENTS * this.peerMssBytes));
  }

  /**
   * Cuts what lies before RCV.NXT and beyond the window. False when nothing is left; duplicates are
   * noted for a D-SACK (RFC 2883 §4).
   */
  #trim(segment: TcpSegment): boolean {
    const old = seqDiff(this.rcvNxt, segment.sequence);
    if (old > 0) {
      const duplicate = Math.min(old, segment.textBytes);
      if (duplicate > 0) this.noteDuplicate(segment.sequence, seqAdd(segment.sequence, duplicate));
      const finIsOld = old > segment.textBytes;
      if (finIsOld) return false;
      segment.trimFront(old);
    }
    const room = seqDiff(this.rcvAdv, segment.sequence);
    if (room < 0) return false;
    if (segment.length > room) segment.trimBack(room);
    if (this.#finAt !== undefined && !this.#trimToFin(segment, this.#finAt)) return false;
    return segment.textBytes > 0 || segment.has(TcpFlag.FIN);
  }

  /** The stream ends where a FIN has said so: what lies beyond is none of it (RFC 9293 §3.10.7.4). */
  #trimToFin(segment: TcpSegment, finAt: Seq): boolean {
    const room = seqDiff(finAt, segment.sequence);
    if (room < 0) return false;
    if (segment.textBytes > room) segment.trimBack(room);
    return true;
  }

  /** `[start, end)` was received before. */
  noteDuplicate(start: Seq, end: Seq): void {
    this.#stats.duplicates++;
    if (this.sack?.noteDuplicate(start, end)) this.#stats.dsackSent++;
  }

  #takeInOrder(segment: TcpSegment): boolean {
    const { view, textAt, textBytes } = segment;
    if (this.finReceived) return true;
    this.urgent.note(segment);
    if (this.discards) {
      this.buffer.append(view, textAt, textBytes);
      this.buffer.consume(this.buffer.readableBytes);
    } else if (!this.#sinkTakes(segment)) {
      if (!this.#hasRoom(textBytes)) return false;
      this.buffer.append(view, textAt, textBytes);
    }
    const before = this.rcvNxt;
    this.rcvNxt = this.buffer.end;
    this.bytesReceived += seqDiff(this.rcvNxt, before);
    if (this.sack !== undefined) this.sack.forget(this.rcvNxt);
    if (seqGt(this.rcvNxt, seqAdd(before, textBytes))) this.#stats.outOfOrderMerged++;
    return true;
  }

  #hasRoom(textBytes: number): boolean {
    if (this.buffer.readableBytes + textBytes > this.tuner.hardLimitBytes) return false;
    return this.buffer.growth(0, textBytes) <= this.#memory.roomBytes;
  }

  #sinkTakes(segment: TcpSegment): boolean {
    const sink = this.sink;
    if (sink === undefined || this.buffer.readableBytes > 0 || this.buffer.hasGaps || this.urgent.isPending) {
      return false;
    }
    if (!sink.take(segment.bytes, segment.textAt, segment.textBytes, segment.view)) return false;
    this.buffer.skip(segment.textBytes);
    this.tuner.consumed(segment.textBytes);
    return true;
  }

  #keepOutOfOrder(segment: TcpSegment): TextOutcome {
    if (segment.textBytes === 0) return TextOutcome.OutOfOrder;
    if (this.finReceived) return TextOutcome.Nothing;
    // Out of order is a courtesy, which ends before memory does (Linux `tcp_prune_ofo_queue`).
    if (this.#memory.isUnderPressure || this.#lacksMemory(segment)) {
      this.#stats.outOfOrderDropped++;
      return TextOutcome.NoMemory;
    }
    this.#noteWaitingDuplicate(segment.sequence, seqAdd(segment.sequence, segment.textBytes));
    this.urgent.note(segment);
    const ranges = this.buffer.waiting?.count ?? 0;
    const range = this.buffer.insert(segment.sequence, segment.view, segment.textAt, segment.textBytes);
    if (range < 0) {
      this.#stats.outOfOrderDropped++;
      return TextOutcome.Refused;
    }
    this.#stats.outOfOrderQueued++;
    const { sack, buffer } = this;
    if (sack === undefined || buffer.waiting === undefined) return TextOutcome.OutOfOrder;
    const prolongs = buffer.waiting.count === ranges && sack.isNewest(buffer.waiting, range);
    sack.noteArrival(segment.sequence);
    return prolongs ? TextOutcome.Prolonged : TextOutcome.OutOfOrder;
  }

  /** Of `[start, end)`, reports the first part that waits already (RFC 2883 §4.2.3). */
  #noteWaitingDuplicate(start: Seq, end: Seq): void {
    const { waiting } = this.buffer;
    if (waiting === undefined) return;
    const first = waiting.search(start);
    if (first >= waiting.count || seqGe(waiting.start(first), end)) return;
    this.noteDuplicate(seqMax(start, waiting.start(first)), seqMin(end, waiting.end(first)));
  }

  #lacksMemory(segment: TcpSegment): boolean {
    const gap = seqDiff(segment.sequence, this.rcvNxt);
    return this.buffer.growth(gap, segment.textBytes) > this.#memory.roomBytes;
  }

  /** Remembers where the peer's stream ends; what waits beyond is no part of it (RFC 9293 §3.10.7.4). */
  #noteFin(at: Seq): void {
    this.#finAt = at;
    this.sack?.noteFin(at);
    this.buffer.waiting?.removeAfter(at);
  }

  #reachFin(): void {
    if (this.finReceived || this.#finAt === undefined || seqLt(this.rcvNxt, this.#finAt)) return;
    this.finReceived = true;
    // The FIN takes one number; nothing after it is ever delivered.
    this.rcvNxt = seqAdd(this.#finAt, 1);
    this.rcvAdv = seqMax(this.rcvAdv, this.rcvNxt);
    if (this.sack !== undefined) this.sack.forget(this.rcvNxt);
  }
}
