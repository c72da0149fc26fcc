/**
 * Packets for tests of IP: built field by field, right or wrong, and read back without any code of the
 * stack, so that a mistake there is not made twice.
 */
import { IpAddress } from '../../lib/wire/ip-address.js';

/** RFC 1071, slowly. */
export function checksumOf(...pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i += 2) sum += piece[i] * 256 + (piece[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  return 0xffff - sum;
}

export const bytesOf = (...pieces: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  Uint8Array.from(pieces.flatMap((piece) => [...piece]));

export const u16 = (value: number): number[] => [(value >>> 8) & 255, value & 255];
export const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];

/** Bytes that differ from their neighbours. */
export const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

export function addressBytes(text: string): Uint8Array {
  const address = IpAddress.parse(text);
  const bytes = new Uint8Array(address.family === 4 ? 4 : 16);
  address.write(new DataView(bytes.buffer), 0);
  return bytes;
}

/** ::ffff:a.b.c.d as 16 bytes, which `IpAddress` takes for IPv4. */
export const mappedBytes = (text: string): Uint8Array =>
  bytesOf(new Array<number>(10).fill(0), [255, 255], addressBytes(text));

export interface V4Fields {
  from?: string;
  to?: string;
  protocol?: number;
  payload?: Uint8Array | readonly number[];
  options?: readonly number[];
  tos?: number;
  ttl?: number;
  id?: number;
  df?: boolean;
  more?: boolean;
  evil?: boolean;
  /** Bytes; a multiple of eight. */
  offset?: number;
  version?: number;
  /** Words. */
  ihl?: number;
  totalLength?: number;
  checksum?: number;
}

/** An IPv4 packet; whatever is not said is right. */
export function v4(fields: V4Fields = {}): Uint8Array {
  const payload = Uint8Array.from(fields.payload ?? []);
  const options = [...(fields.options ?? [])];
  while (options.length % 4 !== 0) options.push(0);
  const ihl = fields.ihl ?? 5 + options.length / 4;
  const flags = (fields.evil ? 0x8000 : 0) | (fields.df ? 0x4000 : 0) | (fields.more ? 0x2000 : 0);
  const header = bytesOf(
    [((fields.version ?? 4) << 4) | ihl, fields.tos ?? 0],
    u16(fields.totalLength ?? 20 + options.length + payload.length),
    u16(fields.id ?? 0),
    u16(flags | ((fields.offset ?? 0) >> 3)),
    [fields.ttl ?? 64, fields.protocol ?? 17],
    [0, 0],
    addressBytes(fields.from ?? '10.0.0.2'),
    addressBytes(fields.to ?? '10.0.0.1'),
    options,
  );
  header.set(u16(fields.checksum ?? checksumOf(header.subarray(0, Math.min(header.length, ihl * 4)))), 10);
  return bytesOf(header, payload);
}

export interface V6Fields {
  from?: string;
  to?: string;
  /** As 16 bytes, for addresses that have no text of their own. */
  fromBytes?: Uint8Array;
  toBytes?: Uint8Array;
  next?: number;
  payload?: Uint8Array | readonly number[];
  trafficClass?: number;
  flowLabel?: number;
  hopLimit?: number;
  payloadLength?: number;
}

/** An IPv6 packet; extension headers are part of the payload. */
export function v6(fields: V6Fields = {}): Uint8Array {
  const payload = Uint8Array.from(fields.payload ?? []);
  return bytesOf(
    u32(0x6000_0000 + (fields.trafficClass ?? 0) * 0x10_0000 + (fields.flowLabel ?? 0)),
    u16(fields.payloadLength ?? payload.length),
    [fields.next ?? 17, fields.hopLimit ?? 64],
    fields.fromBytes ?? addressBytes(fields.from ?? '2001:db8::2'),
    fields.toBytes ?? addressBytes(fields.to ?? '2001:db8::1'),
    payload,
  );
}

/** An extension header of options: Hop-by-Hop or Destination, padded to eight bytes. */
export function optionsHeader(next: number, options: readonly number[]): number[] {
  const header = [next, 0, ...options];
  const pad = (8 - (header.length % 8)) % 8;
  if (pad === 1) header.push(0);
  else if (pad > 1) header.push(1, pad - 2, ...new Array<number>(pad - 2).fill(0));
  header[1] = header.length / 8 - 1;
  return header;
}

export const fragmentHeader = (next: number, offset: number, more: boolean, id: number): number[] => [
  next,
  0,
  ...u16(offset | (more ? 1 : 0)),
  ...u32(id),
];

export const routingHeader = (
  next: number,
  type: number,
  segmentsLeft: number,
  data: readonly number[] = [],
): number[] => [next, Math.ceil(data.length / 8), type, segmentsLeft, 0, 0, 0, 0, ...data];

/** The pseudo-header of either family. */
export function pseudoHeader(from: string, to: string, protocol: number, length: number): Uint8Array {
  const addresses = [addressBytes(from), addressBytes(to)];
  return addresses[0].length === 4
    ? bytesOf(...addresses, [0, protocol], u16(length))
    : bytesOf(...addresses, u32(length), [0, 0, 0, protocol]);
}

/** A UDP datagram with its checksum right. */
export function udp(
  from: string,
  to: string,
  data: Uint8Array | readonly number[] = [],
  ports = [4000, 7],
): Uint8Array {
  const datagram = bytesOf(u16(ports[0]), u16(ports[1]), u16(8 + data.length), [0, 0], data);
  const sum = checksumOf(pseudoHeader(from, to, 17, datagram.length), datagram);
  datagram.set(u16(sum === 0 ? 0xffff : sum), 6);
  return datagram;
}

/** A TCP segment with its checksum right. */
export function tcp(
  from: string,
  to: string,
  data: Uint8Array | readonly number[] = [],
  ports = [4000, 80],
): Uint8Array {
  const segment = bytesOf(
    u16(ports[0]),
    u16(ports[1]),
    u32(1),
    u32(0),
    [0x50, 2],
    u16(65_535),
    [0, 0, 0, 0],
    data,
  );
  segment.set(u16(checksumOf(pseudoHeader(from, to, 6, segment.length), segment)), 16);
  return segment;
}

/** An ICMPv4 message: type, code, the word behind the checksum, and data. */
export function icmp4(
  type: number,
  code: number,
  word: number,
  data: Uint8Array | readonly number[] = [],
): Uint8Array {
  const message = bytesOf([type, code, 0, 0], u32(word), data);
  message.set(u16(checksumOf(message)), 2);
  return message;
}

/** An ICMPv6 message between two addresses. */
export function icmp6(
  addresses: readonly [string, string],
  type: number,
  code: number,
  word: number,
  data: Uint8Array | readonly number[] = [],
): Uint8Array {
  const message = bytesOf([type, code, 0, 0], u32(word), data);
  message.set(u16(checksumOf(pseudoHeader(addresses[0], addresses[1], 58, message.length), message)), 2);
  return message;
}

/** A packet as a reader sees it. */
export interface Seen {
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  readonly df: boolean;
  readonly more: boolean;
  readonly offset: number;
  readonly flowLabel: number;
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Reads a packet, throwing at whatever is wrong with its header. IPv6 extension headers but Fragment are not read. */
export function read(bytes: Uint8Array): Seen {
  return bytes[0] >> 4 === 4 ? read4(bytes) : read6(bytes);
}

const word16 = (bytes: Uint8Array, at: number): number => bytes[at] * 256 + bytes[at + 1];
const word32 = (bytes: Uint8Array, at: number): number => word16(bytes, at) * 65_536 + word16(bytes, at + 2);

function read4(bytes: Uint8Array): Seen {
  const headerBytes = (bytes[0] & 15) * 4;
  if (headerBytes < 20) throw new Error(`header of ${headerBytes} bytes`);
  if (word16(bytes, 2) !== bytes.length)
    throw new Error(`total length ${word16(bytes, 2)} of ${bytes.length}`);
  if (checksumOf(bytes.subarray(0, headerBytes)) !== 0) throw new Error('header checksum');
  const flags = word16(bytes, 6);
  if ((flags & 0x8000) !== 0) throw new Error('reserved flag');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    version: 4,
    from: IpAddress.read(view, 12, 4).toString(),
    to: IpAddress.read(view, 16, 4).toString(),
    protocol: bytes[9],
    ttl: bytes[8],
    tos: bytes[1],
    id: word16(bytes, 4),
    df: (flags & 0x4000) !== 0,
    more: (flags & 0x2000) !== 0,
    offset: (flags & 0x1fff) * 8,
    flowLabel: 0,
    options: bytes.subarray(20, headerBytes),
    payload: bytes.subarray(headerBytes),
    bytes,
  };
}

function read6(bytes: Uint8Array): Seen {
  if (bytes[0] >> 4 !== 6) throw new Error(`version ${bytes[0] >> 4}`);
  if (word16(bytes, 4) !== bytes.length - 40)
    throw new Error(`payload length ${word16(bytes, 4)} of ${bytes.length - 40}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const fragment = bytes[6] === 44;
  const field = fragment ? word16(bytes, 42) : 0;
  return {
    version: 6,
    from: IpAddress.read(view, 8, 6).toString(),
    to: IpAddress.read(view, 24, 6).toString(),
    protocol: fragment ? bytes[40] : bytes[6],
    ttl: bytes[7],
    tos: (word16(bytes, 0) >> 4) & 255,
    id: fragment ? word32(bytes, 44) : 0,
    df: !fragment,
    more: (field & 1) !== 0,
    offset: field & 0xfff8,
    flowLabel: word32(bytes, 0) & 0xf_ffff,
    options: new Uint8Array(0),
    payload: bytes.subarray(fragment ? 48 : 40),
    bytes,
  };
}

/** An ICMP message in a packet, its checksum proved. */
export interface SeenIcmp {
  readonly type: number;
  readonly code: number;
  readonly word: number;
  readonly data: Uint8Array;
  readonly packet: Seen;
}

export function readIcmp(bytes: Uint8Array): SeenIcmp {
  const packet = read(bytes);
  const message = packet.payload;
  if (packet.protocol !== (packet.version === 4 ? 1 : 58)) throw new Error(`protocol ${packet.protocol}`);
  const pseudo =
    packet.version === 4 ? new Uint8Array(0) : pseudoHeader(packet.from, packet.to, 58, message.length);
  if (checksumOf(pseudo, message) !== 0) throw new Error('ICMP checksum');
  return { type: message[0], code: message[1], word: word32(message, 4), data: message.subarray(8), packet };
}
