/** What a translator looks at behind the IP header of a whole packet: ports or an identifier, and the checksum. */
import { isExtension } from '../ip/extension-headers.js';
import { Icmp4Type, Icmp6Type } from '../wire/icmp.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV4_MF, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { Protocol } from '../wire/ipv6.js';

/** What a packet is to a translator. */
export const Kind = {
  /** TCP or UDP: it has two ports. */
  Flow: 0,
  /** An ICMP query, known by its identifier. */
  Query: 1,
  /** The answer to one. */
  Reply: 2,
  /** An ICMP error, known by what it quotes. */
  Error: 3,
  /** Something without ports. */
  Other: 4,
  /** A header that is cut short, or a fragment. */
  Bad: 5,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Extension headers looked behind, as IP itself does (RFC 8504 §5.3). */
const MAX_HEADERS = 8;
const ICMP_MIN_BYTES = 8;
const UDP_MIN_BYTES = 8;
const TCP_MIN_BYTES = 20;
const TIMESTAMP_REPLY = 14;

export class TransportView {
  kind: Kind = Kind.Bad;
  /** TCP, UDP, ICMP or ICMPv6. */
  protocol = 0;
  /** First byte behind the IP headers, and how many there are. */
  at = 0;
  bytes = 0;
  /** Where the port, or identifier, of the source lies, and that of the destination; 0 for none. */
  sourcePortAt = 0;
  destinationPortAt = 0;
  /** Where the checksum lies; 0 where it is beyond the bytes that are there. */
  checksumAt = 0;
  /** Whether it covers the addresses. */
  coversAddresses = false;

  /** Aims at a packet that came in. */
  aim(packet: IpPacket): Kind {
    this.#clear(packet.protocol, packet.payloadAt);
    const end = packet.at + packet.length;
    if (packet.version === 6) {
      if (!this.#skipHeaders(packet, end)) return this.kind;
    } else if ((packet.view.getUint16(packet.at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0) {
      return this.kind;
    }
    this.bytes = end - this.at;
    const least = this.protocol === Protocol.Tcp ? TCP_MIN_BYTES : UDP_MIN_BYTES;
    return this.#read(packet, least);
  }

  /** Aims at a packet that an error quotes, of which eight bytes behind the headers are there at least. */
  aimQuote(quote: IpPacket): Kind {
    this.#clear(quote.protocol, quote.payloadAt);
    this.bytes = quote.payloadBytes;
    return this.#read(quote, UDP_MIN_BYTES);
  }

  sourcePort(packet: IpPacket): number {
    return packet.view.getUint16(this.sourcePortAt);
  }

  /** 0 for what has an identifier only. */
  destinationPort(packet: IpPacket): number {
    return this.destinationPortAt === 0 ? 0 : packet.view.getUint16(this.destinationPortAt);
  }

  /** Flags of a TCP segment as `TcpFlag` numbers them; 0 for anything else. */
  tcpFlags(packet: IpPacket): number {
    return this.protocol === Protocol.Tcp ? packet.view.getUint8(this.at + 13) : 0;
  }

  #clear(protocol: number, at: number): void {
    this.kind = Kind.Bad;
    this.protocol = protocol;
    this.at = at;
    this.bytes = 0;
    this.sourcePortAt = 0;
    this.destinationPortAt = 0;
    this.checksumAt = 0;
    this.coversAddresses = false;
  }

  #read(packet: IpPacket, least: number): Kind {
    const { protocol } = this;
    if (protocol === Protocol.Tcp || protocol === Protocol.Udp) return this.#readFlow(protocol, least);
    const icmp = packet.version === 4 ? Protocol.Icmp : Protocol.Icmpv6;
    this.kind = Kind.Other;
    if (protocol === icmp) this.#readIcmp(packet);
    return this.kind;
  }

  #readFlow(protocol: number, least: number): Kind {
    const { at, bytes } = this;
    if (bytes < least) return this.kind;
    const checksumAt = at + (protocol === Protocol.Tcp ? 16 : 6);
    this.sourcePortAt = at;
    this.destinationPortAt = at + 2;
    this.checksumAt = checksumAt + 2 <= at + bytes ? checksumAt : 0;
    this.coversAddresses = true;
    this.kind = Kind.Flow;
    return this.kind;
  }

  #readIcmp(packet: IpPacket): void {
    this.kind = Kind.Bad;
    if (this.bytes < ICMP_MIN_BYTES) return;
    const type = packet.view.getUint8(this.at);
    this.kind = packet.version === 4 ? kindOf4(type) : kindOf6(type);
    this.checksumAt = this.at + 2;
    this.coversAddresses = packet.version === 6;
    // One identifier, which is that of the side that asks.
    if (this.kind === Kind.Query) this.sourcePortAt = this.at + 4;
    if (this.kind === Kind.Reply) this.destinationPortAt = this.at + 4;
  }

  /** Finds the transport behind IPv6 extension headers; false at a fragment or the end. */
  #skipHeaders(packet: IpPacket, end: number): boolean {
    const { view } = packet;
    for (let count = 0; isExtension(this.protocol); count++) {
      if (count >= MAX_HEADERS || end - this.at < 8) return false;
      const isFragment = this.protocol === Protocol.Fragment;
      // A Fragment header around a whole packet does no harm (RFC 6946).
      if (isFragment && (view.getUint16(this.at + 2) & 0xfff9) !== 0) return false;
      this.protocol = view.getUint8(this.at);
      this.at += isFragment ? 8 : (view.getUint8(this.at + 1) + 1) * 8;
    }
    return this.at <= end;
  }
}

function kindOf4(type: number): Kind {
  if (type === Icmp4Type.Echo || type === Icmp4Type.Timestamp) return Kind.Query;
  if (type === Icmp4Type.EchoReply || type === TIMESTAMP_REPLY) return Kind.Reply;
  const error =
    type === Icmp4Type.Unreachable || type === Icmp4Type.TimeExceeded || type === Icmp4Type.ParameterProblem;
  return error ? Kind.Error : Kind.Other;
}

function kindOf6(type: number): Kind {
  if (type === Icmp6Type.Echo) return Kind.Query;
  if (type === Icmp6Type.EchoReply) return Kind.Reply;
  return type < 128 ? Kind.Error : Kind.Other;
}

/** Whether a packet that came in is a fragment, which `TransportView` cannot read. */
export function isFragment(packet: IpPacket): boolean {
  const { view } = packet;
  if (packet.version === 4) {
    return (view.getUint16(packet.at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0;
  }
  const end = packet.at + packet.length;
  let at = packet.payloadAt;
  let next = packet.protocol;
  for (let count = 0; isExtension(next) && count < MAX_HEADERS && end - at >= 8; count++) {
    if (next === Protocol.Fragment) return (view.getUint16(at + 2) & 0xfff9) !== 0;
    next = view.getUint8(at);
    at += (view.getUint8(at + 1) + 1) * 8;
  }
  return false;
}
