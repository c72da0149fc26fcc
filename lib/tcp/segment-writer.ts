/** Writes the segments of a connection: header, options, text, straight into the lent room. */
import { type Seq, seqAdd } from '../base/seq.js';
import {
  flagsAndWindow,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeTcpPorts,
  writeUrgentPointer,
} from '../wire/tcp.js';
import {
  type SynOptions,
  sackBlocksThatFit,
  synOptionsBytes,
  TIMESTAMPS_BYTES,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from '../wire/tcp-options.js';
import type { PendingReset } from './connection-parameters.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import type { SegmentOutput } from './segment-output.js';
import type { Sender } from './sender.js';

export interface SegmentWriterParameters {
  readonly localPort: number;
  readonly remotePort: number;
  /** Added to the millisecond clock, so that uptime is not told (RFC 7323 §7.1). */
  readonly timestampOffset: number;
}

export class SegmentWriter {
  readonly #localPort: number;
  readonly #remotePort: number;
  readonly #timestampOffset: number;
  readonly #sender: Sender;
  /** Known once the peer's SYN was seen. */
  receiver: Receiver | undefined;
  timestamps = false;

  constructor(parameters: SegmentWriterParameters, sender: Sender) {
    this.#localPort = parameters.localPort;
    this.#remotePort = parameters.remotePort;
    this.#timestampOffset = parameters.timestampOffset;
    this.#sender = sender;
  }

  /** TSval at a time: a clock of 1 ms (RFC 7323 §5.4). */
  timestamp(nowUs: number): number {
    return (Math.floor(nowUs / 1000) + this.#timestampOffset) | 0;
  }

  /**
   * Round-trip time by the timestamp a segment echoes, µs; -1 when there is none that we can have sent
   * (RFC 7323 §4.1). `sinceUs` is when the connection began.
   */
  echoedRttUs(segment: TcpSegment, sinceUs: number): number {
    const { options, nowUs } = segment;
    if (!this.timestamps || !options.hasTimestamps || options.tsEcr === 0) return -1;
    const ticks = (this.timestamp(nowUs) - options.tsEcr) | 0;
    const elapsedMs = (nowUs - sinceUs) / 1000 + 1;
    return ticks < 0 || ticks > elapsedMs ? -1 : Math.max(1, ticks) * 1000;
  }

  /** Bytes of header and options of a segment sent now, SYNs apart. */
  get headerBytes(): number {
    const stamps = this.timestamps ? TIMESTAMPS_BYTES : 0;
    return TcpHeader.MIN_BYTES + stamps + this.sackBytes;
  }

  /** Bytes the SACK option of a segment sent now takes. */
  get sackBytes(): number {
    const receiver = this.receiver;
    if (receiver?.sack === undefined) return 0;
    const wanted = (receiver.buffer.waiting?.count ?? 0) + (receiver.sack.hasDuplicate ? 1 : 0);
    if (wanted === 0) return 0;
    const blocks = Math.min(wanted, sackBlocksThatFit(this.timestamps ? TIMESTAMPS_BYTES : 0));
    return 4 + 8 * blocks;
  }

  /** Writes the SYN (`ack` undefined) or SYN-ACK. False while the link is full. */
  syn(output: SegmentOutput, options: SynOptions, nowUs: number): boolean {
    if (!output.begin(TcpHeader.MIN_BYTES + synOptionsBytes(options))) return false;
    const { view, at } = output;
    const receiver = this.receiver;
    options.tsVal = this.timestamp(nowUs);
    options.tsEcr = receiver === undefined ? 0 : receiver.tsRecent;
    const headerBytes = TcpHeader.MIN_BYTES + writeSynOptions(view, at + TcpHeader.MIN_BYTES, options);
    const flags = receiver === undefined ? TcpFlag.SYN : TcpFlag.SYN | TcpFlag.ACK;
    const window = receiver === undefined ? this.initialWindow : receiver.advertise(true);
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, this.#sender.iss, receiver === undefined ? (0 as Seq) : receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, window));
    output.commit(headerBytes, 0);
    return true;
  }

  /** Window field of a first SYN. */
  initialWindow = 0xffff;

  /** Writes what the sender has planned. */
  planned(output: SegmentOutput, nowUs: number): boolean {
    const { plan, buffer } = this.#sender;
    const headerBytes = this.headerBytes;
    if (!output.begin(headerBytes + plan.textBytes)) return false;
    this.#header(output, plan.sequence, plan.flags | TcpFlag.ACK, nowUs);
    if (plan.urgentPointer > 0) writeUrgentPointer(output.view, output.at, plan.urgentPointer);
    if (plan.textBytes > 0) {
      buffer.copyTo(plan.sequence, output.view, output.at + headerBytes, plan.textBytes);
    }
    output.commit(headerBytes + plan.textBytes, plan.segmentSize);
    return true;
  }

  /** Writes an ACK without text, at `sequence`: SND.NXT, or one below SND.UNA for probes. */
  ack(output: SegmentOutput, sequence: Seq, nowUs: number): boolean {
    const headerBytes = this.headerBytes;
    if (!output.begin(headerBytes)) return false;
    this.#header(output, sequence, TcpFlag.ACK, nowUs);
    output.commit(headerBytes, 0);
    return true;
  }

  /**
   * Writes an RST; with an ACK where we know what to acknowledge and are not answering one, and then
   * with timestamps too (RFC 7323 §3.2).
   */
  reset(output: SegmentOutput, reset: PendingReset, nowUs: number): boolean {
    const receiver = reset.withAck ? this.receiver : undefined;
    const stamped = this.timestamps && receiver !== undefined;
    const headerBytes = TcpHeader.MIN_BYTES + (stamped ? TIMESTAMPS_BYTES : 0);
    if (!output.begin(headerBytes)) return false;
    const { view, at } = output;
    const flags = receiver === undefined ? TcpFlag.RST : TcpFlag.RST | TcpFlag.ACK;
    if (stamped) writeTimestamps(view, at + TcpHeader.MIN_BYTES, this.timestamp(nowUs), receiver.tsRecent);
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, reset.sequence, receiver === undefined ? (0 as Seq) : receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, 0));
    output.commit(headerBytes, 0);
    return true;
  }

  /** Header and options of a segment of a synchronized connection. */
  #header(output: SegmentOutput, sequence: Seq, flags: number, nowUs: number): void {
    const { view, at } = output;
    const receiver = this.receiver as Receiver;
    const headerBytes = this.headerBytes;
    let next = at + TcpHeader.MIN_BYTES;
    if (this.timestamps) next += writeTimestamps(view, next, this.timestamp(nowUs), receiver.tsRecent);
    const sackBytes = at + headerBytes - next;
    if (sackBytes > 0 && receiver.sack !== undefined) {
      const blocks = receiver.sack.compose(receiver.buffer.waiting, receiver.rcvNxt, (sackBytes - 4) >> 3);
      writeSack(view, next, receiver.sack.edges, blocks);
    }
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, sequence, receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, receiver.advertise(false)));
  }

  /** The number before the first one not acknowledged: what probes are sent at (RFC 9293 §3.8.4). */
  get probeSequence(): Seq {
    return seqAdd(this.#sender.sndUna, -1);
  }
}
