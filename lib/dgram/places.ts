/** Addresses as `node:dgram` writes them, and as the stack has them. */
import { isIP } from 'node:net';
import { errnoError } from '../net/node-errors.js';
import { IpAddress } from '../wire/ip-address.js';

export type SocketType = 'udp4' | 'udp6';

/** Where to or where from: an address and, for those of one link only, the link. */
export interface Place {
  readonly address: IpAddress;
  /** Index of the link a zone names (`fe80::1%2`); 0 for none. */
  readonly link: number;
}

export interface SocketPlace {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

/**
 * Reads an address of the family of a socket: one of IPv4 knows no other, one of IPv6 takes IPv4 in its
 * mapped form. A zone is the index of a link, as `addLink` gave it. `undefined` for what is none.
 */
export function readPlace(text: string, type: SocketType): Place | undefined {
  if (isIP(text) !== (type === 'udp4' ? 4 : 6)) return undefined;
  const percent = text.indexOf('%');
  if (percent < 0) return { address: IpAddress.parse(text), link: 0 };
  const link = Number(text.slice(percent + 1));
  if (!Number.isInteger(link) || link < 0) return undefined;
  return { address: IpAddress.parse(text.slice(0, percent)), link };
}

/** As `readPlace`. @throws `EINVAL`, as the kernel would say of such an argument */
export function mustReadPlace(text: string, type: SocketType, syscall: string): Place {
  const place = readPlace(text, type);
  if (place === undefined) throw errnoError('EINVAL', syscall);
  return place;
}

/** An address as a socket of `type` shows it: IPv4 in mapped form on one of IPv6. */
export function showAddress(address: IpAddress, type: SocketType, link = 0): string {
  if (type === 'udp6' && address.family === 4) return `::ffff:${address}`;
  if (address.family === 6 && address.isLinkLocal && link > 0) return `${address}%${link}`;
  return address.toString();
}
