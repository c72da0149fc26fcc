/**
 * The Internet checksum (RFC 1071): sums over bytes and pseudo-headers, their folding, and incremental
 * update (RFC 1624).
 *
 * A sum is a plain number in network order that has not been folded yet. Each function here adds at
 * most 2^20 to it, so that thousands of sums chain before 32 bits are exceeded.
 */
import type { IpAddress } from './ip-address.js';
import type { IpPacket } from './ip-packet.js';

/**
 * The sum of the `length` bytes at `at`, added to `sum`; an odd last byte counts as the upper half of
 * a word. At most 65,535 bytes, beginning at an even place of what is summed.
 *
 * Words are read four bytes at a time in the processor's likely order: a ones' complement sum is
 * the same in either byte order but for a swap at the end (RFC 1071 §2 (B)). Of each four bytes the
 * whole and the upper half are summed; modulo 2^32 the lower halves are what remains.
 */
export function sumBytes(view: DataView, at: number, length: number, sum = 0): number {
  const end = at + length;
  let whole = 0;
  let upper = 0;
  let i = at;
  for (; i + 32 <= end; i += 32) {
    const a = view.getInt32(i, true);
    const b = view.getInt32(i + 4, true);
    const c = view.getInt32(i + 8, true);
    const d = view.getInt32(i + 12, true);
    const e = view.getInt32(i + 16, true);
    const f = view.getInt32(i + 20, true);
    const g = view.getInt32(i + 24, true);
    const h = view.getInt32(i + 28, true);
    whole = (whole + a + b + c + d + e + f + g + h) | 0;
    upper =
      (upper +
        (a >>> 16) +
        (b >>> 16) +
        (c >>> 16) +
        (d >>> 16) +
        (e >>> 16) +
        (f >>> 16) +
        (g >>> 16) +
        (h >>> 16)) |
      0;
  }
  for (; i + 4 <= end; i += 4) {
    const a = view.getInt32(i, true);
    whole = (whole + a) | 0;
    upper = (upper + (a >>> 16)) | 0;
  }
  // 2^14 halves of at most 65,535 each stay below 2^31, so neither has wrapped.
  let little = ((whole - (upper << 16)) >>> 0) + (upper >>> 0);
  if (i + 2 <= end) {
    little += view.getUint16(i, true);
    i += 2;
  }
  if (i < end) little += view.getUint8(i);
  const folded = foldSum(little);
  return sum + (((folded & 0xff) << 8) | (folded >>> 8));
}

/** A sum folded to 16 bits, 0 .. 0xffff: what the field of a `Partial` checksum holds. */
export function foldSum(sum: number): number {
  let folded = sum >>> 0;
  folded = (folded & 0xffff) + (folded >>> 16);
  return ((folded & 0xffff) + (folded >>> 16)) & 0xffff;
}

/** The checksum a sum amounts to: its fold, complemented; 0 for a message whose checksum is right. */
export const finishChecksum = (sum: number): number => ~foldSum(sum) & 0xffff;

/** Both halves of a word, added to a sum. */
export const addWord = (sum: number, word: number): number => sum + (word >>> 16) + (word & 0xffff);

/**
 * The part of a pseudo-header sum that two addresses make, the same for every packet between them. In
 * IPv4 the mapped form's other words do not count.
 */
export function addressSum(source: IpAddress, destination: IpAddress): number {
  const sum = addWord(addWord(0, source.w3), destination.w3);
  if (source.family === 4) return sum;
  const upper = addWord(addWord(addWord(sum, source.w0), source.w1), source.w2);
  return addWord(addWord(addWord(upper, destination.w0), destination.w1), destination.w2);
}

/**
 * The pseudo-header sum of a message of `length` bytes, transport header included (RFC 9293 §3.1 for
 * IPv4, RFC 8200 §8.1 for IPv6: both give the same numbers).
 */
export const pseudoSum = (
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  length: number,
): number => addressSum(source, destination) + protocol + length;

/** The pseudo-header sum of a packet in hand, whose payload is taken to be `length` bytes long. */
export function packetPseudoSum(packet: IpPacket, protocol: number, length: number): number {
  const sum = addWord(addWord(protocol + length, packet.s3), packet.d3);
  if (packet.version === 4) return sum;
  const upper = addWord(addWord(addWord(sum, packet.s0), packet.s1), packet.s2);
  return addWord(addWord(addWord(upper, packet.d0), packet.d1), packet.d2);
}

/** Whether the checksum over pseudo-header and the first `length` bytes of payload is right. */
export const packetChecksumHolds = (packet: IpPacket, length: number): boolean =>
  foldSum(
    sumBytes(packet.view, packet.payloadAt, length, packetPseudoSum(packet, packet.protocol, length)),
  ) === 0xffff;

/**
 * A checksum after one of its 16-bit words changed: HC' = ~(~HC + ~m + m') (RFC 1624 §3), which also
 * holds where a sum becomes zero.
 */
export const updateChecksum16 = (checksum: number, before: number, after: number): number =>
  finishChecksum((~checksum & 0xffff) + (~before & 0xffff) + (after & 0xffff));

/** As `updateChecksum16`, for 32 bits at an even place. */
export const updateChecksum32 = (checksum: number, before: number, after: number): number =>
  finishChecksum(addWord(addWord(~checksum & 0xffff, ~before), after));
