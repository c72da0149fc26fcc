/** IP packets made by hand for tests, with every field open to mistreatment. */
import { IpAddress } from '../../lib/wire/ip-address.js';
import { plainChecksum, pseudoSum } from './plain-checksum.js';

export const IPV4_HEADER_BYTES = 20;
export const IPV6_HEADER_BYTES = 40;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMPV6 = 58;

/** Fields of the IP header around a payload. */
export interface IpFields {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** TTL or hop limit; 64 by default. */
  readonly hopLimit?: number;
  /** DSCP and ECN; 0 by default. */
  readonly trafficClass?: number;
  /** IPv4 only: identification, and the word of flags and fragment offset (DF by default). */
  readonly identification?: number;
  readonly fragment?: number;
  /** IPv4 options, a multiple of four bytes; or an IPv6 extension header with its own first byte zero. */
  readonly ipOptions?: Uint8Array;
  /** Number of the IPv6 extension header in `ipOptions`; 60, destination options, by default. */
  readonly extensionHeader?: number;
}

const PROTOCOL_DESTINATION_OPTIONS = 60;
const DF = 0x4000;

/** The packet; its transport checksum is as `payload` has it. */
export function ipPacket(fields: IpFields, payload: Uint8Array): Uint8Array {
  const source = IpAddress.parse(fields.source);
  const destination = IpAddress.parse(fields.destination);
  return source.family === 4
    ? ipv4Packet(fields, source, destination, payload)
    : ipv6Packet(fields, source, destination, payload);
}

function ipv4Packet(
  fields: IpFields,
  source: IpAddress,
  destination: IpAddress,
  payload: Uint8Array,
): Uint8Array {
  const options = fields.ipOptions ?? new Uint8Array(0);
  const headerBytes = IPV4_HEADER_BYTES + options.length;
  const bytes = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x40 | (headerBytes >> 2));
  view.setUint8(1, fields.trafficClass ?? 0);
  view.setUint16(2, bytes.length);
  view.setUint16(4, fields.identification ?? 0);
  view.setUint16(6, fields.fragment ?? DF);
  view.setUint8(8, fields.hopLimit ?? 64);
  view.setUint8(9, fields.protocol);
  source.write(view, 12);
  destination.write(view, 16);
  bytes.set(options, IPV4_HEADER_BYTES);
  view.setUint16(10, plainChecksum(view, 0, headerBytes));
  bytes.set(payload, headerBytes);
  return bytes;
}

function ipv6Packet(
  fields: IpFields,
  source: IpAddress,
  destination: IpAddress,
  payload: Uint8Array,
): Uint8Array {
  const extension = fields.ipOptions ?? new Uint8Array(0);
  const bytes = new Uint8Array(IPV6_HEADER_BYTES + extension.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ((6 << 28) | ((fields.trafficClass ?? 0) << 20)) >>> 0);
  view.setUint16(4, extension.length + payload.length);
  view.setUint8(6, fields.protocol);
  view.setUint8(7, fields.hopLimit ?? 64);
  source.write(view, 8);
  destination.write(view, 24);
  if (extension.length > 0) {
    view.setUint8(6, fields.extensionHeader ?? PROTOCOL_DESTINATION_OPTIONS);
    bytes.set(extension, IPV6_HEADER_BYTES);
    view.setUint8(IPV6_HEADER_BYTES, fields.protocol);
  }
  bytes.set(payload, IPV6_HEADER_BYTES + extension.length);
  return bytes;
}

/**
 * Fills in the checksum field at `checksumAt` of `message`, computed with the addresses of `fields`; ICMP
 * for IPv4 has no pseudo-header.
 */
export function completeChecksum(fields: IpFields, message: Uint8Array, checksumAt: number): void {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  view.setUint16(checksumAt, 0);
  const pseudo = fields.protocol === PROTOCOL_ICMP ? 0 : pseudoOf(fields, message.length);
  view.setUint16(checksumAt, plainChecksum(view, 0, message.length, pseudo));
}

function pseudoOf(fields: IpFields, length: number): number {
  const header = ipPacket({ ...fields, ipOptions: new Uint8Array(0) }, new Uint8Array(0));
  return pseudoSum(new DataView(header.buffer), fields.protocol, length);
}
