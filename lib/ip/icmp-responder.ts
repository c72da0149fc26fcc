/**
 * What this host says by ICMP: echo replies, and errors about packets it cannot use, within limits and
 * never where RFC 1122 §3.2.2 and RFC 4443 §2.4 (e) forbid it.
 */
import type { Random } from '../base/random.js';
import { DropReason, type StackStats } from '../base/stats.js';
import { finishChecksum, sumBytes } from '../wire/checksum.js';
import {
  ICMP_HEADER_BYTES,
  Icmp4Type,
  Icmp4Unreachable,
  Icmp6Parameter,
  Icmp6Type,
  Icmp6Unreachable,
} from '../wire/icmp.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { IPV6_HEADER_BYTES, IPV6_MIN_MTU, Protocol } from '../wire/ipv6.js';
import { isFragmentationNeeded, quotedProtocol6 } from './icmp-quote.js';
import { IcmpErrorKind } from './interfaces.js';
import { Begin, type IpOutput } from './ip-output.js';
import { replyOptions } from './ipv4-options.js';
import type { IpOptions } from './options.js';
import type { IpPath } from './path.js';
import { IcmpRateLimit } from './rate-limit.js';

/** Most bytes an error quotes: it has at most 576 bytes in IPv4, 1280 in IPv6, all headers included. */
const QUOTE_BYTES_4 = 576 - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES;
const QUOTE_BYTES_6 = IPV6_MIN_MTU - IPV6_HEADER_BYTES - ICMP_HEADER_BYTES;
const CHECKSUM_OFFSET = 2;
/** Precedence 6 in the traffic class, of what keeps the network going (RFC 1812 §5.3.2). */
const INTERNETWORK_CONTROL = 0xc0;
/** What errors have of the packet they are about (RFC 1812 §4.3.2.5), without the ECN field. */
const TYPE_OF_SERVICE = 0x1c;

interface ResponderParts {
  readonly random: Random;
  readonly stats: StackStats;
  readonly options: IpOptions;
  readonly output: IpOutput;
  /** The path back to where a packet came from, its destination as source. */
  replyPath(packet: IpPacket, protocol: number): IpPath;
  /** The same from an address of this host. */
  routerPath(packet: IpPacket, protocol: number): IpPath;
}

/** Type and code of each kind of error, IPv4 and IPv6. */
const WIRE: Readonly<Record<IcmpErrorKind, readonly [number, number, number, number]>> = {
  [IcmpErrorKind.NetUnreachable]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.Net,
    Icmp6Type.Unreachable,
    Icmp6Unreachable.NoRoute,
  ],
  [IcmpErrorKind.HostUnreachable]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.Host,
    Icmp6Type.Unreachable,
    Icmp6Unreachable.Address,
  ],
  [IcmpErrorKind.ProtocolUnreachable]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.Protocol,
    Icmp6Type.ParameterProblem,
    Icmp6Parameter.NextHeader,
  ],
  [IcmpErrorKind.PortUnreachable]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.Port,
    Icmp6Type.Unreachable,
    Icmp6Unreachable.Port,
  ],
  [IcmpErrorKind.PacketTooBig]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.FragmentationNeeded,
    Icmp6Type.PacketTooBig,
    0,
  ],
  [IcmpErrorKind.SourceRouteFailed]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.SourceRoute,
    Icmp6Type.Unreachable,
    Icmp6Unreachable.SourcePolicy,
  ],
  [IcmpErrorKind.Prohibited]: [
    Icmp4Type.Unreachable,
    Icmp4Unreachable.Prohibited,
    Icmp6Type.Unreachable,
    Icmp6Unreachable.Prohibited,
  ],
  [IcmpErrorKind.TimeExceeded]: [Icmp4Type.TimeExceeded, 0, Icmp6Type.TimeExceeded, 0],
  [IcmpErrorKind.ParameterProblem]: [Icmp4Type.ParameterProblem, 0, Icmp6Type.ParameterProblem, 0],
  [IcmpErrorKind.Unknown]: [Icmp4Type.ParameterProblem, 0, Icmp6Type.ParameterProblem, 0],
};

export class IcmpResponder {
  readonly #parts: ResponderParts;
  readonly #stats: StackStats;
  readonly #limit: IcmpRateLimit;

  constructor(parts: ResponderParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
    this.#limit = new IcmpRateLimit(parts.random, parts.options);
  }

  /**
   * Answers a packet with an error, unless a rule or the rate forbids it.
   * @param info next-hop MTU of PacketTooBig, octet of ParameterProblem (and of ProtocolUnreachable for IPv6)
   */
  error(packet: IpPacket, kind: IcmpErrorKind, info = 0): void {
    const wire = WIRE[kind];
    if (packet.version === 4) this.send(packet, { type: wire[0], code: wire[1], info });
    else this.send(packet, { type: wire[2], code: wire[3], info });
  }

  /** As `error`, with type and code as they go on the wire. */
  send(packet: IpPacket, message: { type: number; code: number; info?: number }): void {
    const { type, code } = message;
    if (!this.#mayAnswer(packet, type, code)) return;
    const path = this.#parts.replyPath(packet, packet.version === 4 ? Protocol.Icmp : Protocol.Icmpv6);
    if (path.unusable !== '') return;
    // Nothing is limited on the loopback, as in Linux.
    if (!path.port.isLoopback && !this.#allows(packet, type, code)) return;
    path.trafficClass = 0;
    path.hopLimit = this.#parts.options.hopLimit;
    this.#sendQuote(path, packet, { type, code, word: wordOf(packet.version, message) });
    this.#count(packet.version, type);
  }

  /** As `error`, about a packet that passes through this router, or was to. See `sendAsRouter`. */
  errorAsRouter(packet: IpPacket, kind: IcmpErrorKind, info = 0): void {
    const wire = WIRE[kind];
    if (packet.version === 4) this.sendAsRouter(packet, { type: wire[0], code: wire[1], info });
    else this.sendAsRouter(packet, { type: wire[2], code: wire[3], info });
  }

  /**
   * As `send`, by a router: from an address of its own, that of the port by which it leaves where there is one, and
   * with the precedence of internetwork control (RFC 1812 §4.3.2.4, §4.3.2.5, RFC 4443 §2.2).
   */
  sendAsRouter(packet: IpPacket, message: { type: number; code: number; info?: number }): void {
    const { type, code } = message;
    if (!this.#mayAnswer(packet, type, code) || !this.#allows(packet, type, code)) return;
    const four = packet.version === 4;
    const path = this.#parts.routerPath(packet, four ? Protocol.Icmp : Protocol.Icmpv6);
    if (path.unusable !== '') return;
    path.trafficClass = four ? INTERNETWORK_CONTROL | (packet.trafficClass & TYPE_OF_SERVICE) : 0;
    path.hopLimit = this.#parts.options.hopLimit;
    this.#sendQuote(path, packet, { type, code, word: wordOf(packet.version, message) });
    this.#count(packet.version, type);
  }

  /** Whether the rules and the rate allow an ICMPv6 redirect about a packet. */
  mayRedirect(packet: IpPacket): boolean {
    return this.#mayAnswer(packet, Icmp6Type.Redirect, 0) && this.#allows(packet, Icmp6Type.Redirect, 0);
  }

  /** Answers the echo request in `packet`, whose message has `length` bytes (RFC 1122 §3.2.2.6, RFC 4443 §4.2). */
  echo(packet: IpPacket, length: number): void {
    const four = packet.version === 4;
    const path = this.#parts.replyPath(packet, four ? Protocol.Icmp : Protocol.Icmpv6);
    if (path.unusable !== '') return;
    const { output } = this.#parts;
    path.trafficClass = packet.trafficClass & 0xfc;
    path.hopLimit = this.#parts.options.hopLimit;
    if (four) this.#copyOptions(path, packet);
    const began = output.begin(path, length);
    if (began !== Begin.Ok) {
      this.#stats.drop(began === Begin.Full ? DropReason.LinkQueueFull : DropReason.IpTooBig);
    } else {
      const { bytes, view, at } = output.out;
      bytes.set(packet.bytes.subarray(packet.payloadAt, packet.payloadAt + length), at);
      view.setUint8(at, four ? Icmp4Type.EchoReply : Icmp6Type.EchoReply);
      this.#finish(path, at, length);
      this.#stats.icmp.outMsgs++;
      this.#stats.icmp.outEchoReps++;
    }
    if (path.options.length > 0) path.options = NO_OPTIONS;
  }

  /** Completes the checksum of the message at `at` and sends it. */
  #finish(path: IpPath, at: number, length: number): void {
    const { output } = this.#parts;
    if (path.destination.family === 6) {
      output.commit(path, length, CHECKSUM_OFFSET);
      return;
    }
    const { view } = output.out;
    view.setUint16(at + CHECKSUM_OFFSET, 0);
    view.setUint16(at + CHECKSUM_OFFSET, finishChecksum(sumBytes(view, at, length)));
    output.commit(path, length, -1);
  }

  #copyOptions(path: IpPath, packet: IpPacket): void {
    if (packet.payloadAt === packet.at + IPV4_HEADER_BYTES) return;
    const stamp = { address: path.source.w3, timeMs: Math.floor(packet.nowUs / 1000) };
    path.options = replyOptions(packet, stamp);
  }

  #mayAnswer(packet: IpPacket, type: number, code: number): boolean {
    return packet.version === 4 ? this.#mayAnswer4(packet) : this.#mayAnswer6(packet, type, code);
  }

  /** RFC 1122 §3.2.2: not about errors, fragments behind the first, or what many got or nobody sent. */
  #mayAnswer4(packet: IpPacket): boolean {
    const { view, at, s3 } = packet;
    if (packet.cast !== Cast.Unicast) return false;
    if ((view.getUint16(at + 6) & IPV4_OFFSET_MASK) !== 0) return false;
    const top = s3 >>> 24;
    if (top === 0 || top >= 224 || (top === 127 && packet.link !== 0)) return false;
    if (packet.protocol !== Protocol.Icmp) return true;
    return packet.payloadBytes > 0 && isQuery4(view.getUint8(packet.payloadAt));
  }

  /** RFC 4443 §2.4 (e): as above; Packet Too Big and code 2 of Parameter Problem may answer multicast. */
  #mayAnswer6(packet: IpPacket, type: number, code: number): boolean {
    const toMany =
      type === Icmp6Type.PacketTooBig ||
      (type === Icmp6Type.ParameterProblem && code === Icmp6Parameter.Option);
    if (packet.cast !== Cast.Unicast && !toMany) return false;
    if (packet.s0 >>> 24 === 0xff || (packet.s0 | packet.s1 | packet.s2 | packet.s3) === 0) return false;
    const message = quotedProtocol6(packet);
    // Errors have types below 128; a redirect counts as one.
    return message < 0 || (message >= 128 && message !== Icmp6Type.Redirect);
  }

  /** Whether the rate allows an error. What tells a path MTU is not limited for each destination, as in Linux. */
  #allows(packet: IpPacket, type: number, code: number): boolean {
    const free = packet.version === 6 ? type === Icmp6Type.PacketTooBig : isFragmentationNeeded(type, code);
    const within = free ? this.#limit.allowsGlobally(packet.nowUs) : this.#limit.allows(packet);
    if (within) return true;
    this.#stats.icmp.outRateLimited++;
    this.#stats.drop(DropReason.IcmpRateLimited);
    return false;
  }

  /** The error with as much of the packet as fits (RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c)). */
  #sendQuote(path: IpPath, packet: IpPacket, head: { type: number; code: number; word: number }): void {
    const most = packet.version === 4 ? QUOTE_BYTES_4 : QUOTE_BYTES_6;
    const quoteBytes = Math.min(packet.length, most);
    const length = ICMP_HEADER_BYTES + quoteBytes;
    const { output } = this.#parts;
    if (output.begin(path, length) !== Begin.Ok) {
      this.#stats.drop(DropReason.LinkQueueFull);
      return;
    }
    const { bytes, view, at } = output.out;
    view.setInt32(at, (head.type << 24) | (head.code << 16));
    view.setInt32(at + 4, head.word);
    bytes.set(packet.bytes.subarray(packet.at, packet.at + quoteBytes), at + ICMP_HEADER_BYTES);
    this.#finish(path, at, length);
  }

  #count(version: number, type: number): void {
    const icmp = this.#stats.icmp;
    icmp.outMsgs++;
    if (version === 4) {
      if (type === Icmp4Type.Unreachable) icmp.outDestUnreachs++;
      else if (type === Icmp4Type.Redirect) icmp.outRedirects++;
      else if (type === Icmp4Type.TimeExceeded) icmp.outTimeExcds++;
      else if (type === Icmp4Type.ParameterProblem) icmp.outParmProbs++;
      return;
    }
    if (type === Icmp6Type.Unreachable) icmp.outDestUnreachs++;
    else if (type === Icmp6Type.PacketTooBig) icmp.outPktTooBigs++;
    else if (type === Icmp6Type.TimeExceeded) icmp.outTimeExcds++;
    else if (type === Icmp6Type.ParameterProblem) icmp.outParmProbs++;
  }
}

const NO_OPTIONS = new Uint8Array(0);

/** The word behind the checksum: in IPv4 the pointer is its first octet, an MTU its lower half. */
function wordOf(version: number, message: { type: number; code: number; info?: number }): number {
  const info = message.info ?? 0;
  if (version === 6) return message.type === Icmp6Type.Unreachable ? 0 : info;
  if (message.type === Icmp4Type.Redirect) return info;
  if (message.type === Icmp4Type.ParameterProblem) return info << 24;
  return isFragmentationNeeded(message.type, message.code) ? info & 0xffff : 0;
}

/** ICMPv4 messages that are no errors, and so may be answered by one. */
const isQuery4 = (type: number): boolean =>
  type === Icmp4Type.Echo || type === Icmp4Type.EchoReply || type === Icmp4Type.Timestamp || type === 14;
