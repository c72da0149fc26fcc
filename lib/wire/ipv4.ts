/**
 * The IPv4 header (RFC 791 §3.1): reading it into an `IpPacket`, and writing it.
 */
import { DropReason } from '../base/stats.js';
import { addWord, finishChecksum, foldSum, sumBytes } from './checksum.js';
import type { IpPacket } from './ip-packet.js';

export const IPV4_HEADER_BYTES = 20;
export const IPV4_MAX_HEADER_BYTES = 60;
export const IPV4_MAX_BYTES = 65_535;

/** Don't fragment, and more fragments, in the word of flags and offset. */
export const IPV4_DF = 0x4000;
export const IPV4_MF = 0x2000;
export const IPV4_OFFSET_MASK = 0x1fff;

/** Second word of an address in its mapped form. */
const MAPPED_WORD = 0xffff;

/**
 * Checks the header of a packet of which only the place is known, and copies its fields into the
 * packet. Bytes behind the total length are cut off (RFC 1812 §5.2.2).
 * @returns why the packet must be dropped, or `None`
 */
export function readIpv4(packet: IpPacket): DropReason {
  const { view, at, length } = packet;
  if (length < IPV4_HEADER_BYTES) return DropReason.IpLength;
  const first = view.getUint32(at);
  const headerBytes = (first >>> 22) & 0x3c;
  const totalBytes = first & 0xffff;
  if (headerBytes < IPV4_HEADER_BYTES || headerBytes > totalBytes) return DropReason.IpHeader;
  if (totalBytes > length) return DropReason.IpLength;
  if (foldSum(sumBytes(view, at, headerBytes)) !== 0xffff) return DropReason.IpChecksum;
  const hop = view.getUint16(at + 8);
  packet.length = totalBytes;
  packet.version = 4;
  packet.s0 = 0;
  packet.s1 = 0;
  packet.s2 = MAPPED_WORD;
  packet.s3 = view.getInt32(at + 12);
  packet.d0 = 0;
  packet.d1 = 0;
  packet.d2 = MAPPED_WORD;
  packet.d3 = view.getInt32(at + 16);
  packet.trafficClass = (first >>> 16) & 0xff;
  packet.hopLimit = hop >>> 8;
  packet.protocol = hop & 0xff;
  packet.payloadAt = at + headerBytes;
  packet.payloadBytes = totalBytes - headerBytes;
  return DropReason.None;
}

/** Fields of a header to write; one object, filled anew for each. */
export class Ipv4Header {
  trafficClass = 0;
  totalBytes = 0;
  identification = 0;
  /** DF, MF and the offset in units of 8 bytes. */
  fragment = 0;
  hopLimit = 64;
  protocol = 0;
  source = 0;
  destination = 0;
  /** The sum of both addresses (`addressSum`). */
  addressSum = 0;

  /** Writes the 20 bytes of a header without options. */
  write(view: DataView, at: number): void {
    const first = 0x4500 | this.trafficClass;
    const hop = (this.hopLimit << 8) | this.protocol;
    const sum = this.addressSum + first + this.totalBytes + this.identification + this.fragment + hop;
    view.setInt32(at, (first << 16) | this.totalBytes);
    view.setInt32(at + 4, (this.identification << 16) | this.fragment);
    view.setInt32(at + 8, (hop << 16) | finishChecksum(sum));
    view.setInt32(at + 12, this.source);
    view.setInt32(at + 16, this.destination);
  }

  /** Writes a header with `options`, whose length is a multiple of four. */
  writeWithOptions(view: DataView, at: number, options: Uint8Array): void {
    this.write(view, at);
    const headerBytes = IPV4_HEADER_BYTES + options.length;
    for (let i = 0; i < options.length; i++) view.setUint8(at + IPV4_HEADER_BYTES + i, options[i]);
    view.setUint8(at, 0x40 | (headerBytes >> 2));
    writeIpv4Checksum(view, at, headerBytes);
  }
}

/** Writes the checksum of a header that is complete but for it. */
export function writeIpv4Checksum(view: DataView, at: number, headerBytes: number): void {
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, finishChecksum(sumBytes(view, at, headerBytes)));
}

/** The sum of two IPv4 addresses, as `addressSum` gives it. */
export const ipv4AddressSum = (source: number, destination: number): number =>
  addWord(addWord(0, source), destination);
