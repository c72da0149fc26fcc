/**
 * Whether a neighbour discovery message is one at all (RFC 4861 §6.1, §7.1, §8.1). On links of plain packets none is
 * answered or believed, redirects apart, and links of Ethernet frames keep theirs to themselves; this tells the forged
 * and broken ones, which are counted as such, from those that are merely of no use here.
 */
import { Icmp6Type } from '../wire/icmp.js';
import type { IpPacket } from '../wire/ip-packet.js';

/** Bytes before the options of each message, by type from 133 on. */
const FIXED_BYTES = [8, 16, 24, 24, 40];
/** What no router forwards. */
const HOP_LIMIT = 255;

export const isNeighborDiscovery = (type: number): boolean =>
  type >= Icmp6Type.RouterSolicitation && type <= Icmp6Type.Redirect;

/**
 * @param length bytes of the message
 * @param fragmented whether the packet had a Fragment header: then it is refused (RFC 6980 §5)
 */
export function isValidNeighborDiscovery(packet: IpPacket, length: number, fragmented: boolean): boolean {
  const { view, payloadAt: at } = packet;
  const type = view.getUint8(at);
  const fixed = FIXED_BYTES[type - Icmp6Type.RouterSolicitation];
  if (fragmented || packet.hopLimit !== HOP_LIMIT || view.getUint8(at + 1) !== 0 || length < fixed)
    return false;
  // Options: each a type, a length in units of eight bytes that is not zero, and that much room.
  for (let i = fixed; i < length; ) {
    const bytes = i + 1 < length ? view.getUint8(at + i + 1) * 8 : 0;
    if (bytes === 0 || i + bytes > length) return false;
    i += bytes;
  }
  return true;
}
