/**
 * The wire's side of a scripted peer (`peer.ts`): lines become packets, what the stack sends becomes lines,
 * and time moves.
 */
import { expect } from 'chai';
import { NEVER } from '../../lib/base/clock.js';
import { seq, seqDiff } from '../../lib/base/seq.js';
import type { StackStats } from '../../lib/base/stats.js';
import type { Stack } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { ConnectionOrigin, relativeNumber } from '../../lib/wire/segment-origin.js';
import {
  formatSegmentLine,
  parseSegmentLine,
  readSegmentLine,
  type SegmentLine,
} from '../../lib/wire/segment-text.js';
import { TcpFlag } from '../../lib/wire/tcp.js';
import { TcpOptionReader } from '../../lib/wire/tcp-options.js';
import { type IcmpFields, type IcmpKind, icmpErrorPacket } from './icmp-packet.js';
import { IPV6_HEADER_BYTES } from './packet-bytes.js';
import type { SentPacket } from './packet-check.js';
import { DEFAULT_IRS, PEER_TS_BASE, type PeerOptions, type SendFields } from './peer-options.js';
import {
  PEER_V4,
  PEER_V6,
  ROUTER_V4,
  ROUTER_V6,
  type ScenarioHost,
  STACK_V4,
  STACK_V6,
  type WireListener,
} from './scenario-host.js';
import { type Direction, lineEnd, segmentPacket } from './segment-bytes.js';
import { segmentDifference } from './segment-match.js';
import { StreamContent } from './stream-content.js';
import type { InjectedMetadata } from './wire-link.js';

/** A segment the stack sent. */
export interface SentSegment {
  readonly line: SegmentLine;
  /** The line as text, with `>`. */
  readonly text: string;
  /** The IP packet. */
  readonly bytes: Uint8Array;
  /** Virtual time since the beginning, ms. */
  readonly atMs: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** IPv4: whether DF is set. IPv6: true. */
  readonly dontFragment: boolean;
  readonly packet: SentPacket;
}

/** How far from its time a segment may leave in `expectAfterMs`, ms. */
const TOLERANCE_MS = 1;

export abstract class WirePeer implements WireListener {
  readonly host: ScenarioHost;
  readonly options: PeerOptions;
  readonly stack: Stack;
  readonly stats: StackStats;
  /** Addresses and ports of what the peer sends. */
  readonly direction: Direction;
  readonly origin = new ConnectionOrigin();
  /** The next number the peer would send, and the end of what the stack has sent, both relative. */
  sndNxt = 0;
  rcvNxt = 0;
  /** The newest segment the stack sent, whether taken or not. */
  last: SentSegment | undefined;
  /** What the peer sends, and what the application writes. */
  readonly outgoing = new StreamContent(11);
  readonly incoming = new StreamContent(170);
  #sent: SentSegment[] = [];
  /** The newest TSval of the stack. */
  #lastTsVal = 0;
  /** Whether the newest SYN of the peer, and that of the stack, had timestamps. */
  #offersStamps = false;
  #takesStamps = false;
  readonly #reader = new TcpOptionReader();

  protected constructor(options: PeerOptions, host: ScenarioHost) {
    const ipv6 = options.ipv6 === true;
    const isClient = options.role === 'client';
    this.options = options;
    this.host = host;
    this.stack = host.stack;
    this.stats = host.stack.stats;
    this.direction = {
      source: options.address ?? (ipv6 ? PEER_V6 : PEER_V4),
      destination: options.stackAddress ?? (ipv6 ? STACK_V6 : STACK_V4),
      sourcePort: options.port ?? (isClient ? 80 : 40_000),
      destinationPort: options.stackPort ?? (isClient ? 0 : 80),
    };
    this.origin.remoteSequence = seq(options.irs ?? DEFAULT_IRS);
    this.origin.remoteTimestamp = ((options.timestampBase ?? PEER_TS_BASE) - PEER_TS_BASE) | 0;
    if (options.options?.ecn?.endsWith('accurate') === true) host.wire.accurateEcn = true;
    host.listeners.push(this);
  }

  /** A new connection between the same ports may begin: the stack's next SYN says anew where it counts from. */
  reborn(): this {
    this.origin.localSequence = undefined;
    this.sndNxt = 0;
    this.rcvNxt = 0;
    return this;
  }

  /** A sequence number of the stack as on the wire, as text shows it. */
  relativeOf(sequence: number): number {
    return relativeNumber(seqDiff(seq(sequence), this.origin.localSequence ?? seq(0)));
  }

  // ---- what the peer does -----------------------------------------------------------------------

  /** The window field of lines without one. */
  get window(): number {
    return this.options.window ?? 0xffff;
  }

  /** Sends the segment a line describes. */
  send(text: string, fields: SendFields = {}): this {
    this.host.inject([this.packet(text, fields)], fields);
    return this;
  }

  /** Sends several segments in one batch, as a link hands over what came in together. */
  sendBatch(...texts: readonly string[]): this {
    this.host.inject(texts.map((text) => this.packet(text)));
    return this;
  }

  /** Sends an IP packet as it is. */
  sendRaw(bytes: Uint8Array, metadata: InjectedMetadata = {}): this {
    this.host.note(`< ${bytes.length} raw bytes`);
    this.host.inject([bytes], metadata);
    return this;
  }

  /** Acknowledges everything the stack has sent. */
  ackAll(window = this.window): this {
    return this.send(`< . ${this.sndNxt}:${this.sndNxt}(0) ack ${this.rcvNxt} win ${window}`);
  }

  /** Sends the next `bytes` of the stream, in segments of at most `mss` bytes, one batch each. */
  sendText(bytes: number, mss = 1000, flags = 'P.'): this {
    for (let left = bytes; left > 0; left -= mss) {
      const text = Math.min(left, mss);
      this.send(`< ${flags} ${this.sndNxt}:${this.sndNxt + text}(${text}) ack ${this.rcvNxt}`);
    }
    return this;
  }

  /** The IP packet `send` would send, to be spoilt and sent by `sendRaw`. It counts as sent. */
  packet(text: string, fields: SendFields = {}): Uint8Array {
    if (text.trim().startsWith('>')) throw new Error(`a peer sends "<", not "${text}"`);
    const line = this.#complete(parseSegmentLine(text.trim().replace(/^<(?![^ ]*>) ?/, '')), text);
    const content = this.#textOf(line, fields);
    if (line.flags & TcpFlag.SYN) this.#offersStamps = hasOption(line, 'TS');
    const place = { direction: this.direction, origin: this.origin.of(false) };
    const packet = segmentPacket(line, content, place, fields);
    const end = lineEnd(line);
    if (seqDiff(seq(end), seq(this.sndNxt)) > 0) this.sndNxt = end;
    this.host.note(`< ${formatSegmentLine(line)}${fields.tcpChecksum === undefined ? '' : ' (checksum)'}`);
    return packet;
  }

  /** Sends an ICMP error about the last segment the stack sent, or about another packet. */
  icmp(kind: IcmpKind, fields: IcmpFields = {}): this {
    const about = fields.about ?? this.last?.bytes;
    if (about === undefined) throw new Error('the stack has sent nothing an ICMP error could be about');
    const { destination } = this.direction;
    const source = fields.from ?? (destination.includes(':') ? ROUTER_V6 : ROUTER_V4);
    this.host.note(`< ICMP ${kind}${fields.mtu === undefined ? '' : ` mtu ${fields.mtu}`}`);
    this.host.inject([icmpErrorPacket(kind, { source, destination }, { ...fields, about })]);
    return this;
  }

  /** A timestamp of the stack as on the wire, as text shows it. */
  relativeStamp(timestamp: number): number {
    return relativeNumber((timestamp - (this.origin.localTimestamp ?? 0)) | 0);
  }

  /** The peer's TSval now, and the TSecr it would send, as text shows them. */
  get tsVal(): number {
    return PEER_TS_BASE + Math.floor(this.nowMs);
  }

  get tsEcr(): number {
    return this.relativeStamp(this.#lastTsVal);
  }

  // ---- what the stack must do -------------------------------------------------------------------

  /** The oldest segment not yet taken must be this one. */
  expect(text: string, choice: { strict?: boolean } = {}): this {
    if (text.trim().startsWith('<')) throw new Error(`a stack sends ">", not "${text}"`);
    const expected = parseSegmentLine(text.trim().replace(/^> ?/, ''));
    const actual = this.#sent.shift();
    if (actual === undefined) return this.fail(text, 'nothing');
    const difference = segmentDifference(expected, actual.line, choice.strict === true);
    if (difference !== '') this.fail(text, actual.text, difference);
    return this;
  }

  /** Nothing is left to be taken, also not after `forMs` of time. */
  expectNothing(forMs = 0): this {
    this.#expectNone('nothing');
    if (forMs > 0) {
      this.advanceMs(forMs);
      this.#expectNone(`nothing for ${forMs} ms`);
    }
    return this;
  }

  /** Nothing leaves for `ms`, to the millisecond, and then this segment. Time stands at its departure. */
  expectAfterMs(ms: number, text: string, choice: { strict?: boolean; toleranceMs?: number } = {}): this {
    this.#expectNone(`nothing for ${ms} ms`);
    const tolerance = choice.toleranceMs ?? TOLERANCE_MS;
    const start = this.nowMs;
    while (this.#sent.length === 0 && this.nowMs - start <= ms + tolerance) {
      const next = (this.host.clock.nextUs - this.host.startUs) / 1000;
      if (next * 1000 === NEVER || next - start > ms + tolerance) {
        this.advanceMs(start + ms + tolerance - this.nowMs);
        return this.fail(text, `nothing within ${ms + tolerance} ms`);
      }
      this.advanceMs(Math.max(0, next - this.nowMs));
    }
    const waited = this.nowMs - start;
    if (Math.abs(waited - ms) > tolerance) {
      this.fail(`${text} after ${ms} ms`, `${this.#sent[0].text} after ${waited.toFixed(3)} ms`);
    }
    return this.expect(text, choice);
  }

  /** Takes the oldest segment; undefined when there is none. */
  take(): SentSegment | undefined {
    return this.#sent.shift();
  }

  /** Takes all segments. */
  drain(): readonly SentSegment[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** How many segments wait to be taken. */
  get waiting(): number {
    return this.#sent.length;
  }

  // ---- time -------------------------------------------------------------------------------------

  /** Virtual time since the beginning, ms. */
  get nowMs(): number {
    return this.host.nowMs;
  }

  advanceMs(ms: number): this {
    this.host.advanceUs(ms * 1000);
    return this;
  }

  /** The process sleeps for so long, then everything overdue happens. */
  stallMs(ms: number): this {
    this.host.clock.stallBy(ms * 1000);
    this.host.settle();
    return this;
  }

  // ---- within -----------------------------------------------------------------------------------

  /** Takes a packet of this connection (`WireListener`). */
  sent(packet: SentPacket): boolean {
    const { bytes } = packet;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const isV6 = bytes[0] >> 4 === 6;
    const at = isV6 ? IPV6_HEADER_BYTES : (bytes[0] & 15) * 4;
    if (!this.#isMine(view, at, isV6)) return false;
    const length = bytes.length - at;
    this.#learn(view, at, length);
    const line = readSegmentLine(view, at, length, this.origin.of(true));
    if (line === undefined) return false;
    const trafficClass = isV6 ? (view.getUint16(0) >> 4) & 0xff : bytes[1];
    const told = { ...line, ...(trafficClass & 3 ? { ecn: trafficClass & 3 } : {}) };
    const text = `> ${formatSegmentLine(told)}`;
    this.last = {
      line: { ...line, ecn: trafficClass & 3 },
      text,
      bytes,
      atMs: this.nowMs,
      hopLimit: bytes[isV6 ? 7 : 8],
      trafficClass,
      dontFragment: isV6 || (view.getUint16(6) & 0x4000) !== 0,
      packet,
    };
    this.#sent.push(this.last);
    this.host.note(text);
    this.#checkText(line, bytes.subarray(bytes.length - line.textBytes));
    const end = lineEnd(line);
    if (seqDiff(seq(end), seq(this.rcvNxt)) > 0 && !(line.flags & TcpFlag.RST)) this.rcvNxt = end;
    return true;
  }

  #isMine(view: DataView, at: number, isV6: boolean): boolean {
    const { source, destination, sourcePort, destinationPort } = this.direction;
    if (view.getUint8(isV6 ? 6 : 9) !== 6 || view.byteLength < at + 20) return false;
    const family = isV6 ? 6 : 4;
    return (
      String(IpAddress.read(view, isV6 ? 8 : 12, family)) === destination &&
      String(IpAddress.read(view, isV6 ? 24 : 16, family)) === source &&
      (view.getUint16(at) === destinationPort || destinationPort === 0) &&
      view.getUint16(at + 2) === sourcePort
    );
  }

  /** The ISS from the first SYN, and of timestamps the one that makes their text the virtual time. */
  #learn(view: DataView, at: number, length: number): void {
    const isSyn = (view.getUint8(at + 13) & TcpFlag.SYN) !== 0;
    if (isSyn) this.origin.localSequence ??= seq(view.getInt32(at + 4));
    const headerBytes = Math.min(length, (view.getUint8(at + 12) >> 4) * 4);
    this.#reader.parse(view, at + 20, headerBytes - 20);
    if (isSyn) this.#takesStamps = this.#reader.hasTimestamps;
    if (!this.#reader.hasTimestamps) return;
    this.#lastTsVal = this.#reader.tsVal;
    const { clock, startUs } = this.host;
    const ticks = Math.floor(clock.nowUs() / 1000) - Math.floor(startUs / 1000);
    this.origin.localTimestamp ??= (this.#lastTsVal - ticks) | 0;
  }

  /** Text must be what was written, as far as this peer knows. */
  #checkText(line: SegmentLine, text: Uint8Array): void {
    const position = line.start + (line.flags & TcpFlag.SYN ? 1 : 0) - 1;
    const known = this.writtenBytes;
    if (text.length === 0 || position < 0 || position + text.length > known) return;
    const place = this.incoming.difference(position, text);
    if (place >= 0) this.host.wire.faults.push(`byte ${place + 1} of the stream is not what was written`);
  }

  /** Bytes the application has written so far. */
  protected abstract get writtenBytes(): number;

  #complete(line: SegmentLine, text: string): SegmentLine {
    if (line.flags & TcpFlag.ACK && line.ack === undefined) throw new Error(`ack is missing in "${text}"`);
    const { options } = line;
    const wantsStamps =
      this.#offersStamps && this.#takesStamps && !(line.flags & TcpFlag.SYN) && options?.length !== 0;
    const hasStamps = hasOption(line, 'TS') || hasOption(line, 'raw');
    const stamps = ['nop', 'nop', `TS val ${this.tsVal} ecr ${line.flags & TcpFlag.ACK ? this.tsEcr : 0}`];
    return {
      ...line,
      window: line.window ?? this.window,
      ...(wantsStamps && !hasStamps ? { options: [...stamps, ...(options ?? [])] } : {}),
    };
  }

  #textOf(line: SegmentLine, fields: SendFields): Uint8Array {
    const position = line.start + (line.flags & TcpFlag.SYN ? 1 : 0) - 1;
    if (fields.payload === undefined) return this.outgoing.bytes(Math.max(0, position), line.textBytes);
    if (fields.payload.length !== line.textBytes)
      throw new Error('the payload is not as long as the line says');
    return fields.payload;
  }

  #expectNone(what: string): void {
    if (this.#sent.length > 0) this.fail(what, this.#sent.map(({ text }) => text).join('\n          '));
  }

  protected fail(expected: string, actual: string, difference = ''): never {
    const why = difference === '' ? '' : `\n          (${difference})`;
    return expect.fail(
      `\nexpected  ${expected.trim()}\nbut got   ${actual}${why}\ntrace:\n${this.host.trace}\n`,
    );
  }
}

const hasOption = (line: SegmentLine, name: string): boolean =>
  line.options?.some((option) => option.startsWith(name)) === true;
