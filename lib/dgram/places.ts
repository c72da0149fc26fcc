/** Addresses as `node:dgram` writes them, and as the stack has them. */
import { isIP } from 'node:net';
import { IpAddress } from '../wire/ip-address.js';
import type { DgramStack } from './dgram-stack.js';

export type SocketType = 'udp4' | 'udp6';

/** The names of links. */
export type Links = DgramStack['ip'];

/** Where to or where from: an address and, for those of one link only, the link. */
export interface Place {
  readonly address: IpAddress;
  /** Index of the link a zone names (`fe80::1%tun0`, `fe80::1%2`); 0 for none. */
  readonly link: number;
}

export interface SocketPlace {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/** A zone that names no link is none, as libuv has it. */
function linkOf(zone: string, links: Links): number {
  const named = links.portIndex(zone);
  return Math.max(named >= 0 ? named : links.portIndex(Number(zone)), 0);
}

/** Reads an address of `family`. `undefined` for what is none. */
export function readFamily(text: string, family: 4 | 6, links: Links): Place | undefined {
  if (isIP(text) !== family) return undefined;
  const percent = text.indexOf('%');
  if (percent < 0) return { address: IpAddress.parse(text), link: 0 };
  const link = linkOf(text.slice(percent + 1), links);
  return { address: IpAddress.parse(text.slice(0, percent)), link };
}

/** Whether an address means nothing without the link that is missing (RFC 4007 §11). */
export const lacksLink = ({ address, link }: Place): boolean =>
  link === 0 && address.family === 6 && (address.isLinkLocal || ((address.w0 >>> 16) & 0xff0f) === 0xff02);

/**
 * Reads an address of the family of a socket: one of IPv4 knows no other, one of IPv6 takes IPv4 in its
 * mapped form. A zone is the name of a link, or its index as `addLink` gave it.
 */
export const readPlace = (text: string, type: SocketType, links: Links): Place | undefined =>
  readFamily(text, type === 'udp4' ? 4 : 6, links);

/** An address as a socket of `type` shows it: IPv4 in mapped form on one of IPv6. */
export function showAddress(
  address: IpAddress,
  type: SocketType,
  zone: { link: number; links: Links },
): string {
  if (type === 'udp6' && address.family === 4) return `::ffff:${address}`;
  if (address.family !== 6 || !address.isLinkLocal || zone.link <= 0) return address.toString();
  const name = zone.links.portName(zone.link);
  // Two links may have one name: then their numbers tell them apart.
  return `${address}%${zone.links.portIndex(name) === zone.link ? name : zone.link}`;
}
