/** Writes the segments of a connection: header, options, text, straight into the lent room. */
import { invariant } from '../base/errors.js';
import { type Seq, seqAdd } from '../base/seq.js';
import { writeEcnCounters } from '../wire/ecn-counters.js';
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
  MAX_OPTION_BYTES,
  type SynOptions,
  sackBlocksThatFit,
  sackOptionBytes,
  synOptionsBytes,
  TIMESTAMPS_BYTES,
  USER_TIMEOUT_BYTES,
  writeSack,
  writeSynOptions,
  writeTimestamps,
  writeUserTimeout,
} from '../wire/tcp-options.js';
import type { PendingReset } from './connection-parameters.js';
import type { Ecn } from './ecn/ecn.js';
import { EcnField, EcnMode } from './ecn/negotiation.js';
import type { TcpOptions } from './options.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import type { SegmentOutput } from './segment-output.js';
import type { Sender } from './sender.js';
import { UserTimeout, userTimeoutField } from './user-timeout.js';

export interface SegmentWriterParameters {
  readonly localPort: number;
  readonly remotePort: number;
  /** Added to the millisecond clock, so that uptime is not told (RFC 7323 §7.1). */
  readonly timestampOffset: number;
  readonly options: TcpOptions;
}

export class SegmentWriter {
  readonly #localPort: number;
  readonly #remotePort: number;
  readonly #timestampOffset: number;
  readonly #sender: Sender;
  /** What is told of user timeouts, and heard; only where the option is on. */
  userTimeout: UserTimeout | undefined;
  /** Segments written, those among them with text, and the bytes of that, what was sent again included. */
  segmentsSent = 0;
  textSegmentsSent = 0;
  textBytesSent = 0;
  /** Known once the peer's SYN was seen. */
  receiver: Receiver | undefined;
  timestamps = false;
  /** What was agreed about congestion marks; undefined for nothing. */
  ecn: Ecn | undefined;
  /** What the options of the next segment are laid out to: SACK blocks, and bytes of ECN's counters. */
  #sackBlocks = 0;
  #countersBytes = 0;

  constructor(parameters: SegmentWriterParameters, sender: Sender) {
    this.#localPort = parameters.localPort;
    this.#remotePort = parameters.remotePort;
    this.#timestampOffset = parameters.timestampOffset;
    this.#sender = sender;
    if (parameters.options.userTimeoutOption) this.userTimeout = new UserTimeout(parameters.options);
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

  /** Bytes of options that the next segment has beyond those that all have: SACK blocks, ECN's counters, user timeout. */
  extraBytes(hasText: boolean): number {
    const { receiver, ecn } = this;
    const blocks = receiver?.sack === undefined ? 0 : receiver.sack.blockCount(receiver.buffer.waiting);
    if (blocks === 0 && ecn === undefined && this.userTimeout === undefined) {
      this.#countersBytes = 0;
      this.#sackBlocks = 0;
      return 0;
    }
    const timeoutBytes = this.userTimeout?.isDue === true ? USER_TIMEOUT_BYTES : 0;
    const stampBytes = (this.timestamps ? TIMESTAMPS_BYTES : 0) + timeoutBytes;
    this.#countersBytes = 0;
    if (ecn?.mode === EcnMode.Accurate) {
      // Two blocks go before anything else (RFC 9768 §3.2.3.3).
      const roomBytes = MAX_OPTION_BYTES - stampBytes - sackOptionBytes(Math.min(blocks, 2));
      this.#countersBytes = ecn.report.layOut(roomBytes, hasText);
    }
    this.#sackBlocks = Math.min(blocks, sackBlocksThatFit(stampBytes + this.#countersBytes));
    return sackOptionBytes(this.#sackBlocks) + this.#countersBytes + timeoutBytes;
  }

  /** When the tick of the timestamp a segment echoes began, µs; for one that `echoedRttUs` accepts. */
  echoedAtUs(segment: TcpSegment): number {
    const ticks = (this.timestamp(segment.nowUs) - segment.options.tsEcr) | 0;
    return (Math.floor(segment.nowUs / 1000) - ticks) * 1000;
  }

  /** Bytes of header and options of the next segment, SYNs apart. */
  headerBytes(hasText: boolean): number {
    return this.commonHeaderBytes + this.extraBytes(hasText);
  }

  /** Bytes of header, and of the options that every segment has. */
  get commonHeaderBytes(): number {
    return TcpHeader.MIN_BYTES + (this.timestamps ? TIMESTAMPS_BYTES : 0);
  }

  /** Whether a bare ACK must leave before any text: the one that tells how a SYN-ACK arrived. */
  get owesBareAck(): boolean {
    return this.ecn?.mode === EcnMode.Accurate && this.ecn.owesHandshakeAck;
  }

  /**
   * Whether the next text must not leave in a super-packet: links that split those leave CWR in the first
   * segment only (RFC 3168 §6.1.2, RFC 9768 §3.3.4).
   */
  get mustSendPlain(): boolean {
    const { ecn } = this;
    return ecn !== undefined && (this.#owesCwr || (ecn.flags & TcpFlag.CWR) !== 0);
  }

  /**
   * Writes the SYN, with so much text (RFC 7413), or, once the peer's SYN was seen, the SYN-ACK. False while the
   * link is full.
   */
  syn(output: SegmentOutput, options: SynOptions, nowUs: number, textBytes = 0): boolean {
    const optionBytes = synOptionsBytes(options);
    const { userTimeout } = this;
    // Where there is room for it; the first segment that is no SYN says it too (RFC 5482 §3.3).
    const hasRoom = textBytes === 0 && optionBytes + USER_TIMEOUT_BYTES <= MAX_OPTION_BYTES;
    const tells = userTimeout !== undefined && hasRoom;
    const headerBytes = TcpHeader.MIN_BYTES + optionBytes + (tells ? USER_TIMEOUT_BYTES : 0);
    if (!output.begin(headerBytes + textBytes)) return false;
    const { view, at } = output;
    const receiver = this.receiver;
    options.tsVal = this.timestamp(nowUs);
    options.tsEcr = receiver === undefined ? 0 : receiver.tsRecent;
    const next = at + TcpHeader.MIN_BYTES;
    writeSynOptions(view, next, options);
    if (tells) writeUserTimeout(view, next + optionBytes, userTimeoutField(userTimeout.advertisedMs));
    const flags = options.ecnFlags | (receiver === undefined ? TcpFlag.SYN : TcpFlag.SYN | TcpFlag.ACK);
    const window = receiver === undefined ? this.initialWindow : receiver.advertise(true);
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, this.#sender.iss, receiver === undefined ? (0 as Seq) : receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, window));
    if (textBytes > 0)
      this.#sender.buffer.copyTo(this.#sender.buffer.start, view, at + headerBytes, textBytes);
    output.setEcn(EcnField.NotEct);
    output.commit(headerBytes + textBytes, 0);
    this.segmentsSent++;
    return true;
  }

  /** Window field of a first SYN. */
  initialWindow = 0xffff;

  /** Writes what the sender has planned, for which `extraBytes(true)` has laid out the options. */
  planned(output: SegmentOutput, nowUs: number): boolean {
    const { plan, buffer, optionBytes } = this.#sender;
    const isNewText = plan.row < 0 && plan.textBytes > 0;
    this.#noteResent();
    // What is resent, or has no text after all, may have other counters of ECN.
    const extraBytes = this.ecn === undefined ? optionBytes : this.extraBytes(plan.textBytes > 0);
    const headerBytes = this.commonHeaderBytes + extraBytes;
    if (!output.begin(headerBytes + plan.textBytes)) return false;
    const cwr = isNewText && this.#owesCwr ? TcpFlag.CWR : 0;
    const ecnFlags = this.ecn === undefined ? 0 : this.ecn.flags | cwr;
    const written = this.#header(output, plan.sequence, plan.flags | ecnFlags | TcpFlag.ACK, nowUs);
    invariant(written === headerBytes, 'options are written as they were laid out');
    if (plan.urgentPointer > 0) writeUrgentPointer(output.view, output.at, plan.urgentPointer);
    if (plan.textBytes > 0 && !buffer.lendTo(output, plan.sequence, plan.textBytes)) {
      buffer.copyTo(plan.sequence, output.view, output.at + headerBytes, plan.textBytes);
    }
    output.setEcn(isNewText && this.ecn?.sendsEct === true ? EcnField.Ect0 : EcnField.NotEct);
    output.commit(headerBytes + plan.textBytes, plan.segmentSize);
    if (cwr !== 0) this.#sender.cwrDue = false;
    this.#noteSent(plan.textBytes > 0);
    this.segmentsSent += plan.segments;
    if (plan.textBytes > 0) this.textSegmentsSent += plan.segments;
    this.textBytesSent += plan.textBytes;
    return true;
  }

  /** Writes an ACK without text, at `sequence`: SND.NXT, or one below SND.UNA for probes. */
  ack(output: SegmentOutput, sequence: Seq, nowUs: number): boolean {
    const headerBytes = this.headerBytes(false);
    if (!output.begin(headerBytes)) return false;
    const written = this.#header(output, sequence, this.#bareFlags | TcpFlag.ACK, nowUs);
    invariant(written === headerBytes, 'options are written as they were laid out');
    output.setEcn(EcnField.NotEct);
    output.commit(headerBytes, 0);
    this.#noteSent(false);
    this.segmentsSent++;
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
    const ecnFlags = this.ecn?.mode === EcnMode.Accurate ? this.ecn.flags : 0;
    const flags = receiver === undefined ? TcpFlag.RST : TcpFlag.RST | TcpFlag.ACK | ecnFlags;
    if (stamped) writeTimestamps(view, at + TcpHeader.MIN_BYTES, this.timestamp(nowUs), receiver.tsRecent);
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, reset.sequence, receiver === undefined ? (0 as Seq) : receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, 0));
    output.setEcn(EcnField.NotEct);
    output.commit(headerBytes, 0);
    this.segmentsSent++;
    return true;
  }

  /** Header and options of a segment of a synchronized connection. @returns how many bytes they are */
  #header(output: SegmentOutput, sequence: Seq, flags: number, nowUs: number): number {
    const { view, at } = output;
    const receiver = this.receiver as Receiver;
    let next = at + TcpHeader.MIN_BYTES;
    if (this.timestamps) next += writeTimestamps(view, next, this.timestamp(nowUs), receiver.tsRecent);
    if (this.userTimeout?.isDue === true) {
      next += writeUserTimeout(view, next, userTimeoutField(this.userTimeout.advertisedMs));
    }
    if (this.#countersBytes > 0 && this.ecn?.mode === EcnMode.Accurate) {
      next += writeEcnCounters(view, next, this.ecn.report);
    }
    if (this.#sackBlocks > 0 && receiver.sack !== undefined) {
      const { waiting } = receiver.buffer;
      const blocks = receiver.sack.compose(waiting, receiver.rcvNxt, this.#sackBlocks);
      next += writeSack(view, next, receiver.sack.edges, blocks);
    }
    const headerBytes = next - at;
    writeTcpPorts(view, at, this.#localPort, this.#remotePort);
    writeTcpNumbers(view, at, sequence, receiver.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(flags, receiver.advertise(false)));
    return headerBytes;
  }

  /** Whether the next new text must say that the window was reduced (RFC 3168 §6.1.2). */
  get #owesCwr(): boolean {
    return this.#sender.cwrDue && this.ecn?.mode === EcnMode.Classic;
  }

  /** ECN's flags of an ACK without text. */
  get #bareFlags(): number {
    const { ecn } = this;
    if (ecn === undefined) return 0;
    // With SACK blocks they are always the counter (RFC 9768 §3.2.2.1).
    return ecn.mode === EcnMode.Accurate && this.#sackBlocks === 0 ? ecn.bareFlags : ecn.flags;
  }

  #noteSent(hasText: boolean): void {
    if (this.userTimeout !== undefined) this.userTimeout.isDue = false;
    if (this.ecn?.mode === EcnMode.Accurate) this.ecn.sent(hasText, this.#countersBytes > 0);
  }

  /** Text that had ECN's counters is sent again: perhaps the path swallows that option (RFC 9768 §3.2.3.2.2). */
  #noteResent(): void {
    const { plan, iss } = this.#sender;
    if (plan.row < 0 || this.ecn?.mode !== EcnMode.Accurate) return;
    if (plan.sequence === seqAdd(iss, 1)) this.ecn.report.firstTextLost();
  }

  /** The number before the first one not acknowledged: what probes are sent at (RFC 9293 §3.8.4). */
  get probeSequence(): Seq {
    return seqAdd(this.#sender.sndUna, -1);
  }
}
