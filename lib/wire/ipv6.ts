/**
 * The IPv6 header (RFC 8200 §3): reading it into an `IpPacket`, and writing it; numbers of extension
 * headers.
 */
import { DropReason } from '../base/stats.js';
import type { IpAddress } from './ip-address.js';
import type { IpPacket } from './ip-packet.js';

export const IPV6_HEADER_BYTES = 40;
/** Largest payload without the jumbo option. */
export const IPV6_MAX_PAYLOAD_BYTES = 65_535;
/** Every link that carries IPv6 carries so much in one piece (RFC 8200 §5). */
export const IPV6_MIN_MTU = 1280;
export const IPV6_FRAGMENT_HEADER_BYTES = 8;

export const Protocol = {
  HopByHop: 0,
  Icmp: 1,
  IpInIp: 4,
  Tcp: 6,
  Udp: 17,
  Ipv6InIp: 41,
  Routing: 43,
  Fragment: 44,
  Esp: 50,
  Authentication: 51,
  Icmpv6: 58,
  NoNextHeader: 59,
  DestinationOptions: 60,
  Raw: 255,
} as const;

/**
 * Checks the fixed header and copies its fields into the packet; `protocol` and `payloadAt` stand at
 * the first header behind it. Bytes behind the payload length are cut off. A payload length of zero
 * is just that: jumbograms (RFC 2675) are not supported.
 * @returns why the packet must be dropped, or `None`
 */
export function readIpv6(packet: IpPacket): DropReason {
  const { view, at, length } = packet;
  if (length < IPV6_HEADER_BYTES) return DropReason.IpLength;
  const second = view.getUint32(at + 4);
  const payloadBytes = second >>> 16;
  if (payloadBytes > length - IPV6_HEADER_BYTES) return DropReason.IpLength;
  packet.length = IPV6_HEADER_BYTES + payloadBytes;
  packet.version = 6;
  packet.trafficClass = (view.getUint16(at) >>> 4) & 0xff;
  packet.protocol = (second >>> 8) & 0xff;
  packet.hopLimit = second & 0xff;
  packet.s0 = view.getInt32(at + 8);
  packet.s1 = view.getInt32(at + 12);
  packet.s2 = view.getInt32(at + 16);
  packet.s3 = view.getInt32(at + 20);
  packet.d0 = view.getInt32(at + 24);
  packet.d1 = view.getInt32(at + 28);
  packet.d2 = view.getInt32(at + 32);
  packet.d3 = view.getInt32(at + 36);
  packet.payloadAt = at + IPV6_HEADER_BYTES;
  packet.payloadBytes = payloadBytes;
  return DropReason.None;
}

/** Fields of a header to write; one object, filled anew for each. */
export class Ipv6Header {
  trafficClass = 0;
  flowLabel = 0;
  payloadBytes = 0;
  nextHeader = 0;
  hopLimit = 64;

  write(view: DataView, at: number, source: IpAddress, destination: IpAddress): void {
    view.setInt32(at, (6 << 28) | (this.trafficClass << 20) | this.flowLabel);
    view.setInt32(at + 4, (this.payloadBytes << 16) | (this.nextHeader << 8) | this.hopLimit);
    view.setInt32(at + 8, source.w0);
    view.setInt32(at + 12, source.w1);
    view.setInt32(at + 16, source.w2);
    view.setInt32(at + 20, source.w3);
    view.setInt32(at + 24, destination.w0);
    view.setInt32(at + 28, destination.w1);
    view.setInt32(at + 32, destination.w2);
    view.setInt32(at + 36, destination.w3);
  }
}

/** A Fragment header (RFC 8200 §4.5). `offsetBytes` is a multiple of 8. */
export function writeFragmentHeader(
  view: DataView,
  at: number,
  fields: { nextHeader: number; offsetBytes: number; more: boolean; identification: number },
): void {
  view.setInt32(at, (fields.nextHeader << 24) | fields.offsetBytes | (fields.more ? 1 : 0));
  view.setInt32(at + 4, fields.identification | 0);
}
