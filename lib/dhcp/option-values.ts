/** Values of DHCP options, read within their bounds and written. */
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { DhcpMessage } from './message.js';

/** A route that a server tells (RFC 3442). */
export interface DhcpRoute {
  readonly destination: IpPrefix;
  /** Unspecified where the destination is on the link. */
  readonly gateway: IpAddress;
}

/** More of a kind are not read. */
const MAX_ADDRESSES = 16;
const MAX_ROUTES = 64;
const MAX_DOMAINS = 16;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The addresses of an option; none where it is absent or cut short. */
export function addressesIn(message: DhcpMessage, code: number): IpAddress[] {
  const bytes = message.options.get(code);
  if (bytes === undefined || bytes.length % 4 !== 0) return [];
  const count = Math.min(MAX_ADDRESSES, bytes.length / 4);
  const view = viewOf(bytes);
  return Array.from({ length: count }, (_, i) => IpAddress.read(view, 4 * i, 4));
}

export const addressIn = (message: DhcpMessage, code: number): IpAddress | undefined =>
  addressesIn(message, code)[0];

export function uint32In(message: DhcpMessage, code: number): number | undefined {
  const bytes = message.options.get(code);
  return bytes?.length === 4 ? viewOf(bytes).getUint32(0) : undefined;
}

export function uint16In(message: DhcpMessage, code: number): number | undefined {
  const bytes = message.options.get(code);
  return bytes?.length === 2 ? viewOf(bytes).getUint16(0) : undefined;
}

/** Printable ASCII, without the zeros some put behind it; undefined for anything else. */
export function textIn(message: DhcpMessage, code: number): string | undefined {
  const bytes = message.options.get(code);
  if (bytes === undefined) return undefined;
  const text = String.fromCharCode(...bytes).replace(/\0+$/, '');
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/** The length of a prefix as a mask says it; undefined for a mask with gaps. */
export function prefixLengthIn(message: DhcpMessage, code: number): number | undefined {
  const mask = addressIn(message, code)?.w3;
  if (mask === undefined) return undefined;
  const length = Math.clz32(~mask);
  return maskOf(length) === mask ? length : undefined;
}

export const maskOf = (length: number): number => (length === 0 ? 0 : (-1 << (32 - length)) | 0);

/** Routes of RFC 3442; those before the first that cannot be read. */
export function routesIn(message: DhcpMessage, code: number): DhcpRoute[] {
  const bytes = message.options.get(code) ?? new Uint8Array(0);
  const routes: DhcpRoute[] = [];
  for (let at = 0; at < bytes.length && routes.length < MAX_ROUTES; ) {
    const length = bytes[at++];
    const significant = Math.ceil(length / 8);
    if (length > 32 || at + significant + 4 > bytes.length) break;
    const word = new Uint8Array(4);
    word.set(bytes.subarray(at, at + significant));
    at += significant;
    const destination = new IpPrefix(IpAddress.read(viewOf(word), 0, 4), length).network;
    routes.push({ destination, gateway: IpAddress.read(viewOf(bytes), at, 4) });
    at += 4;
  }
  return routes;
}

/** Domains of RFC 3397, in DNS's form, with its compression within the option. */
export function domainsIn(message: DhcpMessage, code: number): string[] {
  const bytes = message.options.get(code) ?? new Uint8Array(0);
  const domains: string[] = [];
  for (let at = 0; at < bytes.length && domains.length < MAX_DOMAINS; ) {
    const labels: string[] = [];
    let place = at;
    let next = -1;
    // Every step goes on or back; so many are enough for the longest name.
    for (let steps = 0; ; steps++) {
      const length = place < bytes.length ? bytes[place] : 256;
      if (length > 255 || steps > 255) return domains;
      if (length === 0) {
        if (next < 0) next = place + 1;
        break;
      }
      if (length >= 0xc0) {
        if (next < 0) next = place + 2;
        place = ((length & 0x3f) << 8) | (bytes[place + 1] ?? 0);
        continue;
      }
      const label = String.fromCharCode(...bytes.subarray(place + 1, place + 1 + length));
      if (length > 63 || label.length < length || !/^[\w-]+$/.test(label)) return domains;
      labels.push(label);
      place += 1 + length;
    }
    const domain = labels.join('.');
    if (domain.length > 0 && domain.length <= 253) domains.push(domain);
    at = next;
  }
  return domains;
}

export function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

export const uint16Bytes = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);

export const wordBytes = (word: number): Uint8Array => uint32Bytes(word >>> 0);

export function addressBytes(addresses: readonly IpAddress[]): Uint8Array {
  const bytes = new Uint8Array(4 * addresses.length);
  for (const [i, address] of addresses.entries()) address.write(viewOf(bytes), 4 * i);
  return bytes;
}

export const textBytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

export function routeBytes(routes: readonly DhcpRoute[]): Uint8Array {
  const bytes = routes.flatMap(({ destination, gateway }) => {
    const significant = Math.ceil(destination.length / 8);
    const network = wordBytes(destination.network.address.w3).subarray(0, significant);
    return [destination.length, ...network, ...wordBytes(gateway.w3)];
  });
  return Uint8Array.from(bytes);
}

export function domainBytes(domains: readonly string[]): Uint8Array {
  const bytes = domains.flatMap((domain) => [
    ...domain.split('.').flatMap((label) => [label.length, ...textBytes(label)]),
    0,
  ]);
  return Uint8Array.from(bytes);
}
