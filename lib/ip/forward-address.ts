/**
 * Which addresses no router passes on: those of which the protocol itself says so (RFC 6890 §2.2, where
 * "Forwardable" is false and "Reserved-by-Protocol" is true), for each packet and so without the table.
 */
import type { IpPacket } from '../wire/ip-packet.js';

/** First 16 bits of 169.254.0.0/16 (RFC 3927 §2.7). */
const LINK_LOCAL_4 = 0xa9fe;
/** First 31 bits of 192.0.0.170/31, by which hosts look for NAT64 (RFC 8880 §7). */
const NAT64_DISCOVERY = 0xc000_00aa >>> 1;

/** Whether an IPv4 address, as a word, stays on its link. */
function isBound4(address: number): boolean {
  const top = address >>> 24;
  if (top === 0 || top === 127 || top >= 224) return true;
  return address >>> 16 === LINK_LOCAL_4 || address >>> 1 === NAT64_DISCOVERY;
}

/** fe80::/10. */
const isLinkLocal6 = (w0: number): boolean => w0 >>> 22 === 0x3fa;

/** ::, ::1, and groups. */
function isBound6(w0: number, w1: number, w2: number, w3: number): boolean {
  if (w0 >>> 24 === 0xff) return true;
  return (w0 | w1 | w2) === 0 && w3 >>> 1 === 0;
}

/** Whether a packet's source is one of another link, which its answers would never reach (RFC 4007 §9). */
export const hasLinkLocalSource = (packet: IpPacket): boolean =>
  packet.version === 6 && isLinkLocal6(packet.s0);

/** Whether a packet has addresses that no router passes on. */
export function isBound(packet: IpPacket): boolean {
  const { s0, s1, s2, s3, d0, d1, d2, d3 } = packet;
  if (packet.version === 4) return isBound4(s3) || isBound4(d3);
  return isLinkLocal6(s0) || isLinkLocal6(d0) || isBound6(s0, s1, s2, s3) || isBound6(d0, d1, d2, d3);
}
