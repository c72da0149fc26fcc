/** One connection as a script sees it: its ends, and what the script's numbers are on the wire. */
import { type Seq, seq, seqAdd } from '../../base/seq.js';
import { Protocol } from '../../wire/ipv6.js';
import type { SegmentOrigin } from '../../wire/segment-origin.js';
import { readSegmentLine, type SegmentLine, writeSegmentLine } from '../../wire/segment-text.js';
import { TcpFlag, TcpHeader, writeTcpPorts } from '../../wire/tcp.js';
import { Unsupported } from './attempt.js';
import { packetdrillWords } from './option-words.js';
import { type Ends, icmpNumbers, icmpPacket, ipPacket } from './packets.js';
import type { IcmpSpec, TcpSpec } from './script.js';

/** A segment the stack sent, in the script's numbers. */
export interface LiveSegment {
  readonly line: SegmentLine;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly atUs: number;
}

/** Where the segment of a packet begins, and what its IP header says. */
export interface Located {
  readonly view: DataView;
  readonly at: number;
  readonly protocol: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
}

/** Finds the transport header of an IP packet of the stack. */
export function locate(bytes: Uint8Array): Located {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[0] >> 4 === 6) {
    const first = view.getUint32(0);
    const trafficClass = (first >>> 20) & 0xff;
    return { view, at: 40, protocol: bytes[6], trafficClass, flowLabel: first & 0xfffff, hopLimit: bytes[7] };
  }
  const at = (bytes[0] & 15) * 4;
  return { view, at, protocol: bytes[9], trafficClass: bytes[1], flowLabel: 0, hopLimit: bytes[8] };
}

const COOKIE = /^FO ([0-9a-f]+)$/i;
const TIMESTAMPS = /^TS val (\d+) ecr (\d+)$/;

export class Flow {
  /** From the other side to the stack. */
  readonly ends: Ends;
  /** What is to be added to the script's numbers of the stack's side; undefined until its SYN is seen. */
  #offset: Seq | undefined;
  /** As above, of the stack's timestamps. */
  #stampOffset: number | undefined;
  /** The stack's timestamps by what the script calls them. */
  readonly #stamps = new Map<number, number>();
  /** First number of the newest SYN of the other side. */
  #remoteIsn: number | undefined;
  /** A SYN with another number came in: if the stack answers it with a SYN, that begins anew. */
  #isReborn = false;
  /** The last packet the stack sent, for ICMP errors that do not say what they are about. */
  lastSent: Uint8Array | undefined;

  /** Cookies of the stack by what the script calls them, of all connections. */
  readonly #cookies: Map<string, string>;

  constructor(ends: Ends, cookies: Map<string, string>) {
    this.ends = ends;
    this.#cookies = cookies;
  }

  /** The packet a line stands for, from the other side. @throws Unsupported */
  compose(spec: TcpSpec): Uint8Array {
    if (spec.flags & TcpFlag.SYN && !(spec.flags & TcpFlag.ACK)) this.#synArrives(spec.start);
    const options = spec.options === 'any' ? [] : spec.options.map((option) => this.#translate(option));
    const segment = new Uint8Array(TcpHeader.MAX_BYTES + spec.textBytes);
    const view = new DataView(segment.buffer);
    const line: SegmentLine = { ...spec, options, ecn: undefined };
    const origin: SegmentOrigin = {
      sequence: seq(0),
      acknowledgment: this.#offset ?? seq(0),
      tsVal: 0,
      tsEcr: 0,
    };
    const headerBytes = writeSegmentLine(line, view, 0, origin);
    writeTcpPorts(view, 0, this.ends.sourcePort, this.ends.destinationPort);
    const payload = segment.subarray(0, headerBytes + spec.textBytes);
    return ipPacket(this.ends, spec.ip, Protocol.Tcp, { payload, checksumAt: TcpHeader.CHECKSUM_AT });
  }

  /** An ICMP error about a segment of the stack. @throws Unsupported */
  composeIcmp(spec: IcmpSpec): Uint8Array {
    const isV6 = this.ends.source.family === 6;
    const message = icmpNumbers(isV6, spec.type, spec.code);
    if (message === undefined) throw new Unsupported(`ICMP "${spec.type} ${spec.code}" is not supported`);
    const quote = spec.about === undefined ? this.lastSent : this.#quote(spec.about);
    if (quote === undefined)
      throw new Unsupported('the stack has sent nothing the ICMP error could be about');
    return icmpPacket(this.ends, spec.ip, message, { mtu: spec.mtu, quote });
  }

  /** The headers of a segment with that text. */
  #quote(about: NonNullable<IcmpSpec['about']>): Uint8Array {
    const { source, destination, sourcePort, destinationPort } = this.ends;
    const payload = new Uint8Array(TcpHeader.MIN_BYTES + about.textBytes);
    const view = new DataView(payload.buffer);
    writeTcpPorts(view, 0, destinationPort, sourcePort);
    view.setInt32(4, seqAdd(this.#offset ?? seq(0), about.start));
    view.setUint16(12, ((TcpHeader.MIN_BYTES >> 2) << 12) | TcpFlag.ACK);
    const back = { source: destination, destination: source };
    const whole = ipPacket(back, {}, Protocol.Tcp, { payload, checksumAt: TcpHeader.CHECKSUM_AT });
    return whole.subarray(0, whole.length - about.textBytes);
  }

  #synArrives(isn: number): void {
    this.#isReborn = this.#remoteIsn !== undefined && this.#remoteIsn !== isn;
    this.#remoteIsn = isn;
  }

  /** Numbers of the stack in the options of the other side. */
  #translate(option: string): string {
    const [, cookie] = COOKIE.exec(option) ?? [];
    if (cookie !== undefined) return `FO ${this.#cookies.get(cookie) ?? cookie}`;
    const [, value, echo] = TIMESTAMPS.exec(option) ?? [];
    if (value === undefined) return option;
    return `TS val ${value} ecr ${this.#liveStamp(Number(echo))}`;
  }

  #liveStamp(stamp: number): number {
    if (stamp === 0) return 0;
    return this.#stamps.get(stamp) ?? (stamp + (this.#stampOffset ?? 0)) >>> 0;
  }

  /** What the stack sent, in the script's numbers as far as they are known. */
  read(bytes: Uint8Array, atUs: number): LiveSegment | undefined {
    const { view, at, trafficClass, flowLabel, hopLimit } = locate(bytes);
    const line = readSegmentLine(view, at, bytes.length - at, {
      sequence: this.#offset ?? seq(0),
      acknowledgment: seq(0),
      tsVal: this.#stampOffset ?? 0,
      tsEcr: 0,
    });
    if (line === undefined) return undefined;
    const { sourcePort, destinationPort } = this.ends;
    return {
      line: { ...line, options: line.options?.map((option) => this.#nameOf(packetdrillWords(option))) },
      trafficClass,
      flowLabel,
      hopLimit,
      sourcePort: destinationPort,
      destinationPort: sourcePort,
      atUs,
    };
  }

  #learnCookie(options: readonly string[], view: DataView, at: number): void {
    const name = cookieOf(options);
    const live = cookieOf(rawOptions(view, at));
    if (name !== undefined && live?.length === name.length) this.#cookies.set(name, live);
  }

  /** A cookie as the script calls it. */
  #nameOf(option: string): string {
    const [, cookie] = COOKIE.exec(option) ?? [];
    if (cookie === undefined) return option;
    for (const [name, live] of this.#cookies) if (live === cookie) return `FO ${name}`;
    return option;
  }

  /** Learns from the line that a packet of the stack is expected by, before both are compared. */
  learn(spec: TcpSpec, bytes: Uint8Array): void {
    const { view, at } = locate(bytes);
    const isSyn = (view.getUint8(at + 13) & TcpFlag.SYN) !== 0;
    if (isSyn && (this.#offset === undefined || this.#isReborn)) {
      this.#isReborn = false;
      this.#offset = seq(view.getInt32(at + 4) - spec.start);
    }
    if (spec.options === 'any') return;
    this.#learnCookie(spec.options, view, at);
    const expected = spec.options.map((option) => TIMESTAMPS.exec(option)).find((found) => found !== null);
    const live = rawTimestamp(view, at);
    if (expected === undefined || live === undefined) return;
    const stamp = Number(expected?.[1]);
    this.#stamps.set(stamp, live);
    this.#stampOffset ??= (live - stamp) | 0;
  }
}

/** The cookie among options. */
function cookieOf(options: readonly string[]): string | undefined {
  for (const option of options) {
    const [, cookie] = COOKIE.exec(option) ?? [];
    if (cookie !== undefined) return cookie;
  }
  return undefined;
}

/** The options of a segment as on the wire. */
function rawOptions(view: DataView, at: number): readonly string[] {
  const origin = { sequence: seq(0), acknowledgment: seq(0), tsVal: 0, tsEcr: 0 };
  return readSegmentLine(view, at, view.byteLength - at, origin)?.options ?? [];
}

/** TSval as on the wire. */
function rawTimestamp(view: DataView, at: number): number | undefined {
  for (const option of rawOptions(view, at)) {
    const [, value] = /^TS val (-?\d+) /.exec(option) ?? [];
    if (value !== undefined) return Number(value) >>> 0;
  }
  return undefined;
}
