/**
 * What must hold of every packet a stack sends, checked without the stack's own code: lengths, checksums,
 * reserved bits, padding, and which options and fields may stand in which segments.
 */
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, PROTOCOL_ICMPV6, PROTOCOL_TCP } from './packet-bytes.js';
import { fold, onesSum, pseudoSum } from './plain-checksum.js';

/** A packet a stack sent. */
export interface SentPacket {
  readonly bytes: Uint8Array;
  readonly checksum: ChecksumState;
  /** Text bytes per segment of a super-packet; 0 for a plain one. */
  readonly segmentSize: number;
  readonly headerBytes: number;
}

interface Limits {
  readonly mtu: number;
  readonly checksumOffload: boolean;
  /** Connections may agree on accurate ECN. */
  readonly accurateEcn?: boolean;
}

const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const URG = 0x20;

/** What is wrong with a packet; '' when nothing is. */
export function faultOf(packet: SentPacket, limits: Limits): string {
  const { bytes } = packet;
  try {
    if (bytes.length === 0) return 'an empty packet';
    const version = bytes[0] >> 4;
    if (version !== 4 && version !== 6) return `IP version ${version}`;
    if (packet.segmentSize === 0 && bytes.length > limits.mtu)
      return `${bytes.length} bytes, MTU ${limits.mtu}`;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const fault = version === 4 ? ipv4Fault(view) : ipv6Fault(view);
    if (fault !== '') return fault;
    const protocol = view.getUint8(version === 4 ? 9 : 6);
    const headerBytes = version === 4 ? (bytes[0] & 15) * 4 : IPV6_HEADER_BYTES;
    if (version === 4 && view.getUint16(6) & 0x3fff) return '';
    if (protocol === PROTOCOL_TCP) return tcpFault(packet, view, headerBytes, limits);
    if (protocol === PROTOCOL_ICMPV6 || protocol === 1) return icmpFault(view, headerBytes, protocol);
    return '';
  } catch (error) {
    return `cut off: ${String(error)}`;
  }
}

function ipv4Fault(view: DataView): string {
  const headerBytes = (view.getUint8(0) & 15) * 4;
  if (headerBytes < IPV4_HEADER_BYTES) return `an IPv4 header of ${headerBytes} bytes`;
  if (view.getUint16(2) !== view.byteLength) return `total length ${view.getUint16(2)} of ${view.byteLength}`;
  if (view.getUint8(8) === 0) return 'TTL 0';
  if (view.getUint16(6) & 0x8000) return 'the reserved flag of IPv4 is set';
  if (onesSum(view, 0, headerBytes) !== 0xffff) return 'IPv4 header checksum';
  return '';
}

function ipv6Fault(view: DataView): string {
  const payload = view.getUint16(4);
  if (payload !== view.byteLength - IPV6_HEADER_BYTES)
    return `payload length ${payload} of ${view.byteLength}`;
  if (view.getUint8(7) === 0) return 'hop limit 0';
  return '';
}

function icmpFault(view: DataView, at: number, protocol: number): string {
  const length = view.byteLength - at;
  const pseudo = protocol === PROTOCOL_ICMPV6 ? pseudoSum(view, protocol, length) : 0;
  return onesSum(view, at, length, pseudo) === 0xffff ? '' : 'ICMP checksum';
}

function tcpFault(packet: SentPacket, view: DataView, at: number, limits: Limits): string {
  const length = view.byteLength - at;
  if (length < 20) return 'no whole TCP header';
  const headerBytes = (view.getUint8(at + 12) >> 4) * 4;
  if (headerBytes < 20 || headerBytes > length) return `data offset of ${headerBytes} bytes`;
  const flags = view.getUint8(at + 13);
  const text = length - headerBytes;
  // AE counts as reserved unless it may have been agreed on (RFC 9768).
  if (view.getUint8(at + 12) & (limits.accurateEcn === true ? 0x0e : 0x0f))
    return 'reserved bits of the TCP header are set';
  if (view.getUint16(at) === 0 || view.getUint16(at + 2) === 0) return 'port 0';
  if (!(flags & ACK) && view.getUint32(at + 8) !== 0) return 'an acknowledgment number without ACK';
  if (!(flags & URG) && view.getUint16(at + 18) !== 0) return 'an urgent pointer without URG';
  if (flags & RST && text > 0) return 'an RST with text';
  if (flags & SYN && flags & RST) return 'SYN and RST together';
  if (!(flags & (SYN | RST | ACK))) return 'a segment without SYN, RST or ACK';
  if (packet.segmentSize > 0) {
    if (text <= packet.segmentSize) return 'a super-packet of one segment';
    if (at + headerBytes + packet.segmentSize > limits.mtu) return 'segments larger than the MTU';
    if (packet.headerBytes !== at + headerBytes) return `${packet.headerBytes} header bytes`;
  }
  return (
    checksumFault(packet, view, at, limits) ||
    optionsFault(view, at + 20, at + headerBytes, flags) ||
    ecnFault(view, at, limits)
  );
}

/** ECN's counters stand in no SYN that asks, have whole fields, and are sent only where that may have been agreed on. */
function ecnFault(view: DataView, at: number, limits: Limits): string {
  const end = at + (view.getUint8(at + 12) >> 4) * 4;
  const flags = view.getUint8(at + 13);
  let option = at + 20;
  while (option < end && view.getUint8(option) !== 0) {
    const kind = view.getUint8(option);
    if (kind === 172 || kind === 174) {
      if (limits.accurateEcn !== true) return `option ${kind} without accurate ECN`;
      if ((flags & (SYN | ACK)) === SYN) return `option ${kind} on a SYN`;
      if (![2, 5, 8, 11].includes(view.getUint8(option + 1))) return `option ${kind} of a wrong length`;
    }
    option += kind === 1 ? 1 : view.getUint8(option + 1);
  }
  return '';
}

function checksumFault(packet: SentPacket, view: DataView, at: number, limits: Limits): string {
  const length = view.byteLength - at;
  const pseudo = pseudoSum(view, PROTOCOL_TCP, length);
  if (packet.checksum === ChecksumState.Partial) {
    if (!limits.checksumOffload) return 'an unfinished checksum for a link that does not finish it';
    return view.getUint16(at + 16) === fold(pseudo) ? '' : 'the pseudo-header sum of an unfinished checksum';
  }
  return onesSum(view, at, length, pseudo) === 0xffff ? '' : 'TCP checksum';
}

/** Options are well-formed, only zeros follow EOL, and what belongs to SYNs stands in no other segment. */
function optionsFault(view: DataView, from: number, end: number, flags: number): string {
  let at = from;
  const seen = new Set<number>();
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === 0) {
      for (let i = at; i < end; i++) if (view.getUint8(i) !== 0) return 'bytes behind the end of options';
      return '';
    }
    if (kind === 1) {
      at++;
      continue;
    }
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return `option ${kind} of ${length} bytes`;
    if (seen.has(kind)) return `option ${kind} twice`;
    seen.add(kind);
    if ((kind === 2 || kind === 3 || kind === 4) && !(flags & SYN)) return `option ${kind} without SYN`;
    if (kind === 5 && flags & SYN) return 'SACK on a SYN';
    at += length;
  }
  return '';
}
