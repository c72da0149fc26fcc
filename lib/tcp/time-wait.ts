/**
 * What is left of a connection in TIME-WAIT (RFC 9293 §3.6.1): enough to acknowledge a repeated FIN, to
 * turn away old segments, and to let the peer begin anew (RFC 6191).
 */
import { type Seq, seqAdd, seqGt, seqInWindow } from '../base/seq.js';
import { TcpFlag } from '../wire/tcp.js';
import type { SegmentPath } from './carrier.js';
import type { TcpConnection } from './connection.js';
import { EcnMode } from './ecn/negotiation.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import type { Tuple } from './tuple.js';

/** What is to be done about a segment for a TIME-WAIT record. */
export const TimeWaitAnswer = {
  Nothing: 0,
  /** Acknowledge, and begin the wait anew. */
  AckAndRestart: 1,
  /** Acknowledge only. */
  Ack: 2,
  /** The record is over. */
  Remove: 3,
  /** A new incarnation begins: treat the segment as a SYN to the listener. */
  Reopen: 4,
} as const;
export type TimeWaitAnswer = (typeof TimeWaitAnswer)[keyof typeof TimeWaitAnswer];

/** Beyond the last sequence number used, so that no old segment fits the new connection (as Linux). */
const REOPEN_STEP = 65_535 + 2;

export class TimeWait {
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  readonly sndNxt: Seq;
  readonly rcvNxt: Seq;
  readonly rcvWnd: number;
  /** The window field of its ACKs. */
  readonly windowField: number;
  /** The counter of marks in the flags of its ACKs, where the connection fed marks back accurately. */
  readonly ecnFlags: number;
  readonly timestamps: boolean;
  readonly timestampOffset: number;
  tsRecent: number;
  tsRecentAtUs: number;
  readonly enteredAtUs: number;
  lastAckUs = Number.NEGATIVE_INFINITY;
  slot = -1;

  constructor(connection: TcpConnection, tuple: Tuple, path: SegmentPath, nowUs: number) {
    const receiver = connection.receiver as Receiver;
    this.tuple = tuple;
    this.path = path;
    this.sndNxt = connection.sender.sndNxt;
    this.rcvNxt = receiver.rcvNxt;
    this.rcvWnd = receiver.rcvWnd;
    this.windowField = Math.min(0xffff, receiver.rcvWnd >> receiver.windowShift);
    const { ecn } = connection.writer;
    this.ecnFlags = ecn?.mode === EcnMode.Accurate ? ecn.flags : 0;
    this.timestamps = receiver.timestamps;
    this.timestampOffset = connection.parameters.timestampOffset;
    this.tsRecent = receiver.tsRecent;
    this.tsRecentAtUs = receiver.tsRecentAtUs;
    this.enteredAtUs = nowUs;
  }

  /** ISS of a connection that takes the place of this one. */
  get reopenSequence(): Seq {
    return seqAdd(this.sndNxt, REOPEN_STEP);
  }

  /** Linux `tcp_timewait_state_process`. @param rfc1337 whether an RST is ignored (RFC 1337 §3) */
  arrived(segment: TcpSegment, rfc1337: boolean): TimeWaitAnswer {
    const { options } = segment;
    const stamped = this.timestamps && options.hasTimestamps;
    const isOld = this.failsPaws(segment);
    const isReset = segment.has(TcpFlag.RST);
    if (!isOld && this.#isBareAtEdge(segment, isReset)) {
      if (isReset) {
        if (!rfc1337 && segment.sequence === this.rcvNxt) return TimeWaitAnswer.Remove;
        return TimeWaitAnswer.Nothing;
      }
      if (stamped) {
        this.tsRecent = options.tsVal;
        this.tsRecentAtUs = segment.nowUs;
      }
      return TimeWaitAnswer.Nothing;
    }
    if (this.#mayReopen(segment, stamped, isOld)) return TimeWaitAnswer.Reopen;
    if (isReset) return TimeWaitAnswer.Nothing;
    // A bare old SYN does not begin the wait anew.
    return isOld || segment.has(TcpFlag.ACK) ? TimeWaitAnswer.AckAndRestart : TimeWaitAnswer.Ack;
  }

  /** RFC 7323 §5.3: whether its timestamp shows a segment to be old. */
  failsPaws(segment: TcpSegment): boolean {
    const { hasTimestamps, tsVal } = segment.options;
    return this.timestamps && hasTimestamps && ((tsVal - this.tsRecent) | 0) < 0;
  }

  /** In the window may lie only an RST or a bare ACK: everything else came with the FIN. */
  #isBareAtEdge(segment: TcpSegment, isReset: boolean): boolean {
    if (segment.has(TcpFlag.SYN)) return false;
    if (isReset) return seqInWindow(segment.sequence, this.rcvNxt, Math.max(1, this.rcvWnd));
    return segment.sequence === this.rcvNxt && segment.length === 0;
  }

  /** RFC 6191 §2, RFC 1122 §4.2.2.13: a SYN that is surely newer than anything of this connection. */
  #mayReopen(segment: TcpSegment, stamped: boolean, isOld: boolean): boolean {
    // With a FIN it would begin nothing, but end this.
    const control = segment.flags & (TcpFlag.SYN | TcpFlag.RST | TcpFlag.ACK | TcpFlag.FIN);
    if (control !== TcpFlag.SYN || isOld) return false;
    if (seqGt(segment.sequence, this.rcvNxt)) return true;
    return stamped && ((segment.options.tsVal - this.tsRecent) | 0) > 0;
  }
}
