/** Zones: the link that an address is an address of, as Node writes it (`fe80::1%tun0`, RFC 4007 §11). */

import type { Stack } from '../stack/stack.js';
import { IpAddress } from '../wire/ip-address.js';

/** The names of links, and the addresses on them. */
export type Links = Pick<Stack['ip'], 'addresses' | 'portIndex' | 'portName'>;

/** Where to or where from: an address and, for those of one link only, the link. */
export interface Place {
  readonly address: IpAddress;
  /** Index of the link a zone names (`fe80::1%tun0`, `fe80::1%2`); 0 for none. */
  readonly link: number;
}

/** Reads an address that `isIP` has found to be one. A zone that names no link is none, as libuv has it. */
export function readZoned(text: string, links: Links): Place {
  const percent = text.indexOf('%');
  if (percent < 0) return { address: IpAddress.parse(text), link: 0 };
  const zone = text.slice(percent + 1);
  const named = links.portIndex(zone);
  const link = Math.max(named >= 0 ? named : links.portIndex(Number(zone)), 0);
  return { address: IpAddress.parse(text.slice(0, percent)), link };
}

/** As Linux has it for TCP: the zone of an address that means the same on every link is none. */
export function readTcpPlace(text: string, links: Links): Place {
  const { address, link } = readZoned(text, links);
  return { address, link: address.family === 6 && address.isLinkLocal ? link : 0 };
}

/** An address as a socket of TCP shows it; IPv4 in mapped form on a socket of IPv6. */
export function showTcpAddress(address: IpAddress, isMapped: boolean, { link, links }: LinkOf): string {
  return isMapped && address.family === 4 ? `::ffff:${address}` : showZoned(address, link, links);
}

/** A link, and the names of all. */
export interface LinkOf {
  readonly link: number;
  readonly links: Links;
}

/** Index of the first link with an fe80:: address of its own; 0 for none. */
export function firstLinkLocal(links: Links): number {
  const found = links.addresses().find(({ address, port }) => port > 0 && /^fe[89ab]/.test(address));
  return found?.port ?? 0;
}

/** Whether an address means nothing without the link that is missing: fe80:: and ff02::. */
export const lacksLink = ({ address, link }: Place): boolean =>
  link === 0 && address.family === 6 && (address.isLinkLocal || ((address.w0 >>> 16) & 0xff0f) === 0xff02);

/** `address`, with its zone where it has one: the name of the link, or its index where two links have one name. */
export function showZoned(address: IpAddress, link: number, links: Links): string {
  if (address.family !== 6 || !address.isLinkLocal || link <= 0) return address.toString();
  const name = links.portName(link);
  return `${address}%${links.portIndex(name) === link ? name : link}`;
}
