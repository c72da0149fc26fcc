/** A connection between the SYN and the last ACK of its handshake: a small record, not a connection. */
import { type Seq, seqAdd, seqInWindow } from '../base/seq.js';
import {
  flagsAndWindow,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeTcpPorts,
} from '../wire/tcp.js';
import { type SynOptions, synOptionsBytes, writeSynOptions } from '../wire/tcp-options.js';
import type { SegmentPath } from './carrier.js';
import type { Ecn } from './ecn/ecn.js';
import { firstWindow, type Negotiated } from './handshake.js';
import type { TcpListener } from './listener.js';
import type { TcpSegment } from './segment.js';
import type { SegmentOutput } from './segment-output.js';
import type { Tuple } from './tuple.js';

export class HalfOpen {
  readonly listener: TcpListener;
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  readonly iss: Seq;
  readonly negotiated: Negotiated;
  /** What our SYN-ACK offers. */
  readonly offered: SynOptions;
  /** What the SYN led to about congestion marks. */
  readonly ecn: Ecn | undefined;
  readonly timestampOffset: number;
  slot = -1;
  /** SYN-ACKs sent, and when the first was, µs. */
  transmissions = 0;
  readonly arrivedAtUs: number;
  lastReplyUs = Number.NEGATIVE_INFINITY;

  constructor(parameters: HalfOpenParameters) {
    this.listener = parameters.listener;
    this.tuple = parameters.tuple;
    this.path = parameters.path;
    this.iss = parameters.iss;
    this.negotiated = parameters.negotiated;
    this.offered = parameters.offered;
    this.ecn = parameters.ecn;
    this.timestampOffset = parameters.timestampOffset;
    this.arrivedAtUs = parameters.nowUs;
  }

  get irs(): Seq {
    return this.negotiated.irs;
  }

  get rcvNxt(): Seq {
    return seqAdd(this.negotiated.irs, 1);
  }

  /** Window offered in the SYN-ACK, bytes. */
  get windowBytes(): number {
    return firstWindow(this.listener.options);
  }

  /** Whether a segment is its SYN once more (RFC 1122 §4.2.2.10). */
  isRepeatedSyn(segment: TcpSegment): boolean {
    const control = segment.flags & (TcpFlag.SYN | TcpFlag.RST | TcpFlag.ACK);
    return control === TcpFlag.SYN && segment.sequence === this.irs;
  }

  isInWindow(segment: TcpSegment): boolean {
    const window = this.windowBytes;
    if (seqInWindow(segment.sequence, this.rcvNxt, window)) return true;
    return segment.length > 0 && seqInWindow(seqAdd(segment.end, -1), this.rcvNxt, window);
  }
}

export interface HalfOpenParameters {
  readonly listener: TcpListener;
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  readonly iss: Seq;
  readonly negotiated: Negotiated;
  readonly offered: SynOptions;
  readonly ecn: Ecn | undefined;
  readonly timestampOffset: number;
  readonly nowUs: number;
}

/** What a SYN-ACK says. */
export interface SynAck {
  readonly tuple: Tuple;
  readonly iss: Seq;
  readonly rcvNxt: Seq;
  readonly windowBytes: number;
  readonly offered: SynOptions;
}

/** Writes a SYN-ACK; its window is never scaled (RFC 7323 §2.2). False while the link is full. */
export function writeSynAck(output: SegmentOutput, synAck: SynAck): boolean {
  const { tuple, offered } = synAck;
  if (!output.begin(TcpHeader.MIN_BYTES + synOptionsBytes(offered))) return false;
  const { view, at } = output;
  const headerBytes = TcpHeader.MIN_BYTES + writeSynOptions(view, at + TcpHeader.MIN_BYTES, offered);
  writeTcpPorts(view, at, tuple.localPort, tuple.remotePort);
  writeTcpNumbers(view, at, synAck.iss, synAck.rcvNxt);
  const flags = TcpFlag.SYN | TcpFlag.ACK | offered.ecnFlags;
  writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, synAck.windowBytes));
  output.setEcn(0);
  output.commit(headerBytes, 0);
  return true;
}
