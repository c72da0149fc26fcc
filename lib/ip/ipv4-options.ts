/**
 * IPv4 options (RFC 791 §3.1): checking those that come in, choosing those a fragment repeats, and
 * filling Record Route and Timestamp, for an echo reply and in passing.
 */
import { DropReason } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES } from '../wire/ipv4.js';

export const Ipv4Option = {
  End: 0,
  NoOperation: 1,
  RecordRoute: 7,
  Timestamp: 68,
  LooseSourceRoute: 131,
  StrictSourceRoute: 137,
  RouterAlert: 148,
} as const;

/** Bit of an option's type that makes every fragment carry it. */
const COPY_BIT = 0x80;

/** What is wrong with the options of a packet; one object, filled anew. */
export class OptionFault {
  reason: DropReason = DropReason.None;
  /** Octet of the packet at which a Parameter Problem points. */
  pointer = 0;
}

/**
 * Walks the options of a packet once. Unknown ones are skipped; source routes are refused (RFC 7126
 * §4.3); a length that is impossible is a fault. Never reads beyond the header.
 */
export function checkOptions(packet: IpPacket, fault: OptionFault): boolean {
  const { view, at, payloadAt: end } = packet;
  let i = at + IPV4_HEADER_BYTES;
  while (i < end) {
    const type = view.getUint8(i);
    if (type === Ipv4Option.End) return true;
    if (type === Ipv4Option.NoOperation) {
      i++;
      continue;
    }
    const length = i + 1 < end ? view.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) {
      fault.reason = DropReason.IpOptions;
      fault.pointer = i - at;
      return false;
    }
    if (type === Ipv4Option.LooseSourceRoute || type === Ipv4Option.StrictSourceRoute) {
      fault.reason = DropReason.IpSourceRoute;
      return false;
    }
    i += length;
  }
  return true;
}

/** The options, out of well-formed ones, that fragments after the first carry; padded to words. */
export function copiedOptions(options: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let i = 0; i < options.length; ) {
    const type = options[i];
    if (type === Ipv4Option.End) break;
    const length = type === Ipv4Option.NoOperation ? 1 : Math.max(options[i + 1] ?? 1, 1);
    if ((type & COPY_BIT) !== 0) kept.push(...options.subarray(i, i + length));
    i += length;
  }
  while (kept.length % 4 !== 0) kept.push(Ipv4Option.End);
  return Uint8Array.from(kept);
}

/** What an echo reply writes into the options it sends back. */
export interface OptionStamp {
  /** Own address, as a word. */
  readonly address: number;
  /** Milliseconds of our clock; it is not universal time, which its high bit says (RFC 791 §3.1). */
  readonly timeMs: number;
}

/**
 * The options of an echo reply: Record Route and Timestamp of the request with this host added (RFC 1122
 * §3.2.2.6), all others left out; empty when there are none. The packet's options have been checked.
 */
export function replyOptions(packet: IpPacket, stamp: OptionStamp): Uint8Array {
  const { view, at, payloadAt: end } = packet;
  const reply: number[] = [];
  for (let i = at + IPV4_HEADER_BYTES; i < end; ) {
    const type = view.getUint8(i);
    if (type === Ipv4Option.End) break;
    const length = type === Ipv4Option.NoOperation ? 1 : view.getUint8(i + 1);
    if (type === Ipv4Option.RecordRoute || type === Ipv4Option.Timestamp) {
      const option = packet.bytes.slice(i, i + length);
      if (type === Ipv4Option.RecordRoute) recordRoute(option, stamp);
      else recordTime(option, stamp);
      reply.push(...option);
    }
    i += length;
  }
  while (reply.length % 4 !== 0) reply.push(Ipv4Option.End);
  return Uint8Array.from(reply);
}

/**
 * Fills Record Route and Timestamp of a packet in passing, in place (RFC 1812 §5.3.13). Its options have been
 * checked.
 * @returns whether anything changed, and the header checksum with it
 */
export function stampOptions(packet: IpPacket, stamp: OptionStamp): boolean {
  const { view, at, payloadAt: end } = packet;
  let changed = false;
  for (let i = at + IPV4_HEADER_BYTES; i < end; ) {
    const type = view.getUint8(i);
    if (type === Ipv4Option.End) break;
    const length = type === Ipv4Option.NoOperation ? 1 : view.getUint8(i + 1);
    if (type === Ipv4Option.RecordRoute || type === Ipv4Option.Timestamp) {
      const option = packet.bytes.subarray(i, i + length);
      if (type === Ipv4Option.RecordRoute) recordRoute(option, stamp);
      else recordTime(option, stamp);
      changed = true;
    }
    i += length;
  }
  return changed;
}

/** Adds our address where the pointer stands, if four bytes are free there. */
function recordRoute(option: Uint8Array, stamp: OptionStamp): void {
  if (option.length < 3) return;
  const place = option[2] - 1;
  if (place < 3 || place + 4 > option.length) return;
  putWord(option, place, stamp.address);
  option[2] += 4;
}

/** Adds our time, and our address where the option wants it; counts up the overflow when it is full. */
function recordTime(option: Uint8Array, stamp: OptionStamp): void {
  if (option.length < 4) return;
  const place = option[2] - 1;
  const flag = option[3] & 15;
  const bytes = flag === 0 ? 4 : 8;
  if (place < 4 || (flag !== 0 && flag !== 1 && flag !== 3)) return;
  if (place + bytes > option.length) {
    const overflow = option[3] >> 4;
    if (overflow < 15) option[3] = ((overflow + 1) << 4) | flag;
    return;
  }
  // Flag 3 asks only those whose address stands there already.
  if (flag === 3 && getWord(option, place) !== stamp.address) return;
  if (flag === 1) putWord(option, place, stamp.address);
  putWord(option, place + bytes - 4, stamp.timeMs | 0x8000_0000);
  option[2] += bytes;
}

const getWord = (bytes: Uint8Array, at: number): number =>
  (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];

function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}
