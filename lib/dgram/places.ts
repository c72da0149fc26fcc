/** Addresses as `node:dgram` writes them, and as the stack has them. */
import { isIP } from 'node:net';
import { type Place, readZoned, showZoned } from '../net/zones.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { DgramStack } from './dgram-stack.js';

export type SocketType = 'udp4' | 'udp6';

/** The names of links, and the addresses on them. */
export type Links = DgramStack['ip'];

export interface SocketPlace {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/** Reads an address of `family`. `undefined` for what is none. */
export const readFamily = (text: string, family: 4 | 6, links: Links): Place | undefined =>
  isIP(text) === family ? readZoned(text, links) : undefined;

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
  return showZoned(address, zone.link, zone.links);
}
