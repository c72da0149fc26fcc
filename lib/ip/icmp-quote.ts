/**
 * The packet that an ICMP error quotes, and what the error means. Nothing in it is believed before it
 * lies within the bytes that came: neither header lengths nor the length it claims.
 */
import { Icmp4Type, Icmp4Unreachable, Icmp6Parameter, Icmp6Type, Icmp6Unreachable } from '../wire/icmp.js';
import { IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { IPV6_FRAGMENT_HEADER_BYTES, IPV6_HEADER_BYTES, Protocol } from '../wire/ipv6.js';
import { isExtension } from './extension-headers.js';
import { type IcmpError, IcmpErrorKind } from './interfaces.js';

/** Transport bytes a quotation must have: ports, and the sequence number of TCP (RFC 792). */
const LEAST_BYTES = 8;
/** Extension headers followed in a quotation. */
const MAX_HEADERS = 8;

/** The one error object, filled anew for each error that comes in. */
export class ReceivedError implements IcmpError {
  kind: IcmpErrorKind = IcmpErrorKind.Unknown;
  type = 0;
  code = 0;
  mtu = 0;
  readonly quote = new IpPacket();
  reporter: IpPacket = this.quote;
}

/** What each code of ICMPv4 Destination Unreachable amounts to (RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
const UNREACHABLE_4: readonly IcmpErrorKind[] = [
  IcmpErrorKind.NetUnreachable,
  IcmpErrorKind.HostUnreachable,
  IcmpErrorKind.ProtocolUnreachable,
  IcmpErrorKind.PortUnreachable,
  IcmpErrorKind.PacketTooBig,
  IcmpErrorKind.SourceRouteFailed,
  IcmpErrorKind.NetUnreachable,
  IcmpErrorKind.HostUnreachable,
  IcmpErrorKind.HostUnreachable,
  IcmpErrorKind.Prohibited,
  IcmpErrorKind.Prohibited,
  IcmpErrorKind.NetUnreachable,
  IcmpErrorKind.HostUnreachable,
  IcmpErrorKind.Prohibited,
  IcmpErrorKind.HostUnreachable,
  IcmpErrorKind.HostUnreachable,
];

/** The same for ICMPv6 (RFC 4443 §3.1). */
const UNREACHABLE_6: readonly IcmpErrorKind[] = [];
const into6 = UNREACHABLE_6 as IcmpErrorKind[];
into6[Icmp6Unreachable.NoRoute] = IcmpErrorKind.NetUnreachable;
into6[Icmp6Unreachable.Prohibited] = IcmpErrorKind.Prohibited;
into6[Icmp6Unreachable.BeyondScope] = IcmpErrorKind.HostUnreachable;
into6[Icmp6Unreachable.Address] = IcmpErrorKind.HostUnreachable;
into6[Icmp6Unreachable.Port] = IcmpErrorKind.PortUnreachable;
into6[Icmp6Unreachable.SourcePolicy] = IcmpErrorKind.Prohibited;
into6[Icmp6Unreachable.RejectRoute] = IcmpErrorKind.Prohibited;

/** What an ICMPv4 error reports; 0 for what is none, or none we know. */
export function errorKind4(type: number, code: number): IcmpErrorKind | 0 {
  if (type === Icmp4Type.Unreachable) return UNREACHABLE_4[code] ?? 0;
  if (type === Icmp4Type.TimeExceeded) return code <= 1 ? IcmpErrorKind.TimeExceeded : 0;
  return type === Icmp4Type.ParameterProblem && code <= 2 ? IcmpErrorKind.ParameterProblem : 0;
}

/** What an ICMPv6 error (a type below 128) reports; those we do not know go up all the same (RFC 4443 §2.4 (a)). */
export function errorKind6(type: number, code: number): IcmpErrorKind {
  if (type === Icmp6Type.Unreachable) return UNREACHABLE_6[code] ?? IcmpErrorKind.Unknown;
  if (type === Icmp6Type.PacketTooBig) return IcmpErrorKind.PacketTooBig;
  if (type === Icmp6Type.TimeExceeded) return IcmpErrorKind.TimeExceeded;
  if (type !== Icmp6Type.ParameterProblem) return IcmpErrorKind.Unknown;
  return code === Icmp6Parameter.NextHeader
    ? IcmpErrorKind.ProtocolUnreachable
    : IcmpErrorKind.ParameterProblem;
}

/** Next-hop MTU of an error of kind PacketTooBig; 0 when it names none (RFC 1191 §4). */
export const errorMtu = (version: number, word: number): number =>
  version === 4 ? word & 0xffff : word >>> 0;

/**
 * Bytes of the quotation: all there are, or what the length field of RFC 4884 §5 says, behind which
 * extensions lie. A length that is impossible is ignored.
 */
export function quotationBytes(version: number, type: number, word: number, available: number): number {
  const extends4 =
    type === Icmp4Type.Unreachable || type === Icmp4Type.TimeExceeded || type === Icmp4Type.ParameterProblem;
  const extends6 = type === Icmp6Type.Unreachable || type === Icmp6Type.TimeExceeded;
  let said = 0;
  if (version === 4 && extends4) said = ((word >>> 16) & 0xff) * 4;
  if (version === 6 && extends6) said = (word >>> 24) * 8;
  return said > 0 && said <= available ? said : available;
}

/**
 * Reads the quoted packet at `at`, of which `available` bytes are there.
 * @returns false when it is no packet, too short, or a fragment behind the first
 */
export function readQuote(quote: IpPacket, from: IpPacket, at: number, available: number): boolean {
  quote.aim(from.bytes, from.view, at, available);
  quote.link = from.link;
  quote.nowUs = from.nowUs;
  quote.version = from.version;
  return from.version === 4 ? readQuote4(quote) : readQuote6(quote);
}

function readQuote4(quote: IpPacket): boolean {
  const { view, at, length } = quote;
  if (length < IPV4_HEADER_BYTES + LEAST_BYTES) return false;
  const headerBytes = (view.getUint8(at) & 15) * 4;
  if (view.getUint8(at) >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return false;
  const available = Math.min(length, view.getUint16(at + 2)) - headerBytes;
  if (available < LEAST_BYTES || (view.getUint16(at + 6) & IPV4_OFFSET_MASK) !== 0) return false;
  quote.s0 = 0;
  quote.s1 = 0;
  quote.s2 = 0xffff;
  quote.s3 = view.getInt32(at + 12);
  quote.d0 = 0;
  quote.d1 = 0;
  quote.d2 = 0xffff;
  quote.d3 = view.getInt32(at + 16);
  quote.trafficClass = view.getUint8(at + 1);
  quote.hopLimit = view.getUint8(at + 8);
  quote.protocol = view.getUint8(at + 9);
  quote.payloadAt = at + headerBytes;
  quote.payloadBytes = available;
  return true;
}

function readQuote6(quote: IpPacket): boolean {
  const { view, at, length } = quote;
  if (length < IPV6_HEADER_BYTES + LEAST_BYTES || view.getUint8(at) >> 4 !== 6) return false;
  quote.s0 = view.getInt32(at + 8);
  quote.s1 = view.getInt32(at + 12);
  quote.s2 = view.getInt32(at + 16);
  quote.s3 = view.getInt32(at + 20);
  quote.d0 = view.getInt32(at + 24);
  quote.d1 = view.getInt32(at + 28);
  quote.d2 = view.getInt32(at + 32);
  quote.d3 = view.getInt32(at + 36);
  quote.trafficClass = (view.getUint16(at) >>> 4) & 0xff;
  quote.hopLimit = view.getUint8(at + 7);
  quote.protocol = view.getUint8(at + 6);
  quote.payloadAt = at + IPV6_HEADER_BYTES;
  const end = at + Math.min(length, IPV6_HEADER_BYTES + view.getUint16(at + 4));
  if (!skipHeaders(quote, end)) return false;
  quote.payloadBytes = end - quote.payloadAt;
  return quote.payloadBytes >= LEAST_BYTES;
}

/** Moves a packet's `protocol` and `payloadAt` behind its extension headers; false at a later fragment or the end. */
function skipHeaders(packet: IpPacket, end: number): boolean {
  const { view } = packet;
  for (let count = 0; isExtension(packet.protocol); count++) {
    const at = packet.payloadAt;
    if (count >= MAX_HEADERS || end - at < 8) return false;
    const fragment = packet.protocol === Protocol.Fragment;
    if (fragment && (view.getUint16(at + 2) & 0xfff8) !== 0) return false;
    packet.protocol = view.getUint8(at);
    packet.payloadAt += fragment ? IPV6_FRAGMENT_HEADER_BYTES : (view.getUint8(at + 1) + 1) * 8;
  }
  return packet.payloadAt <= end;
}

const probe = new IpPacket();

/**
 * Type of the ICMPv6 message a packet carries, as far as its headers can be followed; -1 when it carries
 * something else.
 */
export function quotedProtocol6(packet: IpPacket): number {
  probe.aim(packet.bytes, packet.view, packet.at, packet.length);
  probe.protocol = packet.view.getUint8(packet.at + 6);
  probe.payloadAt = packet.at + IPV6_HEADER_BYTES;
  const end = packet.at + packet.length;
  if (!skipHeaders(probe, end) || probe.protocol !== Protocol.Icmpv6 || probe.payloadAt >= end) return -1;
  return packet.view.getUint8(probe.payloadAt);
}

/** Code of Destination Unreachable that carries a next-hop MTU. */
export const isFragmentationNeeded = (type: number, code: number): boolean =>
  type === Icmp4Type.Unreachable && code === Icmp4Unreachable.FragmentationNeeded;
