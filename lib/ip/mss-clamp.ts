/**
 * Lowering the MSS that hosts announce through this router, so that no segment is too large for a part of the
 * path, where ICMP that would tell them is filtered on the way (RFC 2923 §2.1, RFC 4821 §1).
 */
import { updateChecksum16 } from '../wire/checksum.js';
import { ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_MF, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { IPV6_HEADER_BYTES, Protocol } from '../wire/ipv6.js';
import { TcpFlag } from '../wire/tcp.js';
import type { UpperHeader } from './upper-header.js';

const TCP_BYTES = 20;
const CHECKSUM_AT = 16;
const END = 0;
const NO_OPERATION = 1;
const MSS = 2;
const MSS_BYTES = 4;

/** The MSS that fills a path of `mtu` bytes without IP or TCP options (RFC 9293 §3.7.1, RFC 8200 §8.3). */
export const mssOf = (version: number, mtu: number): number =>
  mtu - TCP_BYTES - (version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);

/**
 * Where the value of the MSS option lies in a SYN, or in the answer to one; -1 in what is neither, or has none: such
 * a SYN asks for 536 or 1220 bytes (RFC 9293 §3.7.1), and stays as it is.
 * @param upper takes the place of the TCP header
 */
export function findMss(packet: IpPacket, upper: UpperHeader): number {
  if (!mayBeTcp(packet) || !upper.find(packet) || upper.protocol !== Protocol.Tcp) return -1;
  const { view } = packet;
  const tcp = upper.at;
  if ((view.getUint8(tcp + 13) & (TcpFlag.SYN | TcpFlag.RST)) !== TcpFlag.SYN) return -1;
  return findOption(view, tcp + TCP_BYTES, tcp + upper.headerBytes);
}

/**
 * Lowers the MSS found at `at` to `most` bytes, and the checksum with it.
 * @param tcp first byte of the TCP header
 * @returns whether it was more
 */
export function lowerMss(packet: IpPacket, tcp: number, at: number, most: number): boolean {
  const { view } = packet;
  if (view.getUint16(at) <= most) return false;
  if (packet.checksum !== ChecksumState.Partial) {
    const sum = view.getUint16(tcp + CHECKSUM_AT);
    const before = view.getUint16(at);
    // An option may begin anywhere: its value then counts as two halves of other words (RFC 1071 §2 (B)).
    const isOdd = ((at - tcp) & 1) !== 0;
    const after = isOdd
      ? updateChecksum16(sum, swapped(before), swapped(most))
      : updateChecksum16(sum, before, most);
    view.setUint16(tcp + CHECKSUM_AT, after);
  }
  view.setUint16(at, most);
  return true;
}

/** For most packets, a look at one byte: whether it is worth to look for a TCP header. */
function mayBeTcp(packet: IpPacket): boolean {
  // In IPv6 anything may follow an extension header.
  if (packet.version === 6) return packet.protocol !== Protocol.Udp && packet.segmentSize === 0;
  if (packet.protocol !== Protocol.Tcp || packet.segmentSize > 0) return false;
  return (packet.view.getUint16(packet.at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) === 0;
}

/** -1 without the option, or where options cannot be read. */
function findOption(view: DataView, from: number, end: number): number {
  for (let i = from; i < end; ) {
    const kind = view.getUint8(i);
    if (kind === END) return -1;
    if (kind === NO_OPERATION) {
      i++;
      continue;
    }
    const length = i + 1 < end ? view.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) return -1;
    if (kind === MSS) return length === MSS_BYTES ? i + 2 : -1;
    i += length;
  }
  return -1;
}

const swapped = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
