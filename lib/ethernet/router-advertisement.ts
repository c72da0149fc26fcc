/** What a router advertisement says (RFC 4861 §4.2, RFC 4191, RFC 8106), read from one and written as one. */
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { MacAddress } from './mac-address.js';
import { type NdEnds, type NdMessage, NdOption, NdType, writeLinkAddress, writeNd } from './nd-message.js';

/** A lifetime without end, s. */
export const INFINITE_SECONDS = 0xffff_ffff;

/** Of routers, and of routes (RFC 4191 §2.1). */
export type RouterPreference = 'low' | 'medium' | 'high';

/** A prefix of the link (RFC 4861 §4.6.2). */
export interface AdvertisedPrefix {
  readonly prefix: IpPrefix;
  /** Whether its addresses are neighbours. */
  readonly onLink: boolean;
  /** Whether hosts make themselves addresses in it. */
  readonly autonomous: boolean;
  /** Seconds its addresses are valid; `INFINITE_SECONDS` for ever. */
  readonly validSeconds: number;
  /** Seconds they are preferred. */
  readonly preferredSeconds: number;
}

/** A network that the router leads to (RFC 4191 §2.3). */
export interface AdvertisedRoute {
  readonly prefix: IpPrefix;
  readonly preference: RouterPreference;
  readonly lifetimeSeconds: number;
}

export interface RouterAdvertisement {
  /** Hop limit to send with; 0 where it says none. */
  readonly hopLimit: number;
  /** Addresses, and other settings, are to be had by DHCPv6. */
  readonly managed: boolean;
  readonly other: boolean;
  readonly preference: RouterPreference;
  /** How long it is a default router; 0: it is none. */
  readonly lifetimeSeconds: number;
  /** 0 where it says none. */
  readonly reachableMs: number;
  readonly retransMs: number;
  readonly mtu: number | undefined;
  readonly prefixes: readonly AdvertisedPrefix[];
  readonly routes: readonly AdvertisedRoute[];
  readonly dnsServers: readonly { readonly address: IpAddress; readonly lifetimeSeconds: number }[];
  readonly searchDomains: readonly { readonly domain: string; readonly lifetimeSeconds: number }[];
}

/** More of a kind than these are not read from one message. */
const MAX_PREFIXES = 16;
const MAX_DNS = 8;
const PREFIX_BYTES = 32;
const MAX_NAME_BYTES = 255;

const PREFERENCES: readonly (RouterPreference | undefined)[] = ['medium', 'high', undefined, 'low'];
const PREFERENCE_BITS: Readonly<Record<RouterPreference, number>> = { medium: 0, high: 1, low: 3 };

/** Reads an advertisement that is one; options it cannot use are left out. */
export function readAdvertisement(message: NdMessage): RouterAdvertisement {
  const { view, at } = message;
  const flags = view.getUint8(at + 5);
  return {
    hopLimit: view.getUint8(at + 4),
    managed: (flags & 0x80) !== 0,
    other: (flags & 0x40) !== 0,
    // RFC 4191 §2.2: the reserved value is taken as medium.
    preference: PREFERENCES[(flags >> 3) & 3] ?? 'medium',
    lifetimeSeconds: view.getUint16(at + 6),
    reachableMs: view.getUint32(at + 8),
    retransMs: view.getUint32(at + 12),
    mtu: readMtu(message),
    prefixes: readPrefixes(message),
    routes: readRoutes(message),
    ...readDns(message),
  };
}

function readMtu(message: NdMessage): number | undefined {
  const at = message.option(NdOption.Mtu, 8);
  return at < 0 ? undefined : message.view.getUint32(at + 4);
}

/** The places of all options of a type, at most `most`. */
function placesOf(message: NdMessage, type: number, bytes: number, most: number): number[] {
  const places: number[] = [];
  for (let at = message.option(type, bytes); at >= 0; at = message.option(type, bytes, at)) {
    if (places.push(at) === most) break;
  }
  return places;
}

function readPrefixes(message: NdMessage): AdvertisedPrefix[] {
  const { view } = message;
  const found: AdvertisedPrefix[] = [];
  for (const at of placesOf(message, NdOption.Prefix, PREFIX_BYTES, MAX_PREFIXES)) {
    const length = view.getUint8(at + 2);
    const flags = view.getUint8(at + 3);
    const validSeconds = view.getUint32(at + 4);
    const preferredSeconds = view.getUint32(at + 8);
    const address = IpAddress.read(view, at + 16, 6);
    // RFC 4862 §5.5.3 (b), (c); RFC 4861 §6.3.4.
    if (length > 128 || address.isLinkLocal || address.isMulticast || preferredSeconds > validSeconds)
      continue;
    const { network } = new IpPrefix(address, length);
    const onLink = (flags & 0x80) !== 0;
    found.push({ prefix: network, onLink, autonomous: (flags & 0x40) !== 0, validSeconds, preferredSeconds });
  }
  return found;
}

function readRoutes(message: NdMessage): AdvertisedRoute[] {
  const { view } = message;
  const found: AdvertisedRoute[] = [];
  for (const at of placesOf(message, NdOption.Route, 8, MAX_PREFIXES)) {
    const bytes = view.getUint8(at + 1) * 8;
    const length = view.getUint8(at + 2);
    const preference = PREFERENCES[(view.getUint8(at + 3) >> 3) & 3];
    // RFC 4191 §2.3: the reserved preference, and too few bytes for the length, spoil the option.
    if (length > 128 || bytes > 24 || bytes < 8 + Math.ceil(length / 64) * 8 || preference === undefined)
      continue;
    const whole = new Uint8Array(16);
    whole.set(new Uint8Array(view.buffer, view.byteOffset + at + 8, bytes - 8));
    const address = IpAddress.read(new DataView(whole.buffer), 0, 6);
    if (address.isLinkLocal || address.isMulticast) continue;
    const { network } = new IpPrefix(address, length);
    found.push({ prefix: network, preference, lifetimeSeconds: view.getUint32(at + 4) });
  }
  return found;
}

function readDns(message: NdMessage): Pick<RouterAdvertisement, 'dnsServers' | 'searchDomains'> {
  const { view } = message;
  const dnsServers: { address: IpAddress; lifetimeSeconds: number }[] = [];
  const searchDomains: { domain: string; lifetimeSeconds: number }[] = [];
  for (const at of placesOf(message, NdOption.Rdnss, 24, MAX_DNS)) {
    const end = at + view.getUint8(at + 1) * 8;
    const lifetimeSeconds = view.getUint32(at + 4);
    for (let i = at + 8; i + 16 <= end && dnsServers.length < MAX_DNS; i += 16) {
      const address = IpAddress.read(view, i, 6);
      const isUsable = !address.isMulticast && !address.isUnspecified && !address.isLinkLocal;
      if (isUsable) dnsServers.push({ address, lifetimeSeconds });
    }
  }
  for (const at of placesOf(message, NdOption.Dnssl, 16, MAX_DNS)) {
    const end = at + view.getUint8(at + 1) * 8;
    const lifetimeSeconds = view.getUint32(at + 4);
    for (const domain of readNames(view, at + 8, end)) {
      if (searchDomains.length < MAX_DNS) searchDomains.push({ domain, lifetimeSeconds });
    }
  }
  return { dnsServers, searchDomains };
}

/** Names as DNS writes them, without compression, padded with zeros (RFC 8106 §5.2); what is broken ends the list. */
function readNames(view: DataView, start: number, end: number): string[] {
  const names: string[] = [];
  let labels: string[] = [];
  let at = start;
  while (at < end) {
    const length = view.getUint8(at++);
    if (length === 0) {
      if (labels.length === 0) break;
      names.push(labels.join('.'));
      labels = [];
      continue;
    }
    if (length > 63 || at + length > end) break;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length);
    const label = String.fromCharCode(...bytes);
    if (!/^[\w-]+$/.test(label)) break;
    labels.push(label);
    at += length;
    if (labels.join('.').length > MAX_NAME_BYTES) break;
  }
  return names;
}

/** An option that has been written, a multiple of eight bytes. */
type Option = Uint8Array;

function option(type: number, bytes: number, fill: (view: DataView) => void): Option {
  const padded = (bytes + 7) & ~7;
  const data = new Uint8Array(padded);
  const view = new DataView(data.buffer);
  view.setUint8(0, type);
  view.setUint8(1, padded / 8);
  fill(view);
  return data;
}

const prefixOption = (entry: AdvertisedPrefix): Option =>
  option(NdOption.Prefix, PREFIX_BYTES, (view) => {
    view.setUint8(2, entry.prefix.length);
    view.setUint8(3, (entry.onLink ? 0x80 : 0) | (entry.autonomous ? 0x40 : 0));
    view.setUint32(4, entry.validSeconds);
    view.setUint32(8, entry.preferredSeconds);
    entry.prefix.network.address.write(view, 16);
  });

const routeOption = (entry: AdvertisedRoute): Option =>
  option(NdOption.Route, 24, (view) => {
    view.setUint8(2, entry.prefix.length);
    view.setUint8(3, PREFERENCE_BITS[entry.preference] << 3);
    view.setUint32(4, entry.lifetimeSeconds);
    entry.prefix.network.address.write(view, 8);
  });

function dnsOptions({ dnsServers, searchDomains }: RouterAdvertisement): Option[] {
  const options: Option[] = [];
  const [server] = dnsServers;
  if (server !== undefined) {
    options.push(
      option(NdOption.Rdnss, 8 + 16 * dnsServers.length, (view) => {
        view.setUint32(4, server.lifetimeSeconds);
        for (const [i, { address }] of dnsServers.entries()) address.write(view, 8 + 16 * i);
      }),
    );
  }
  const [name] = searchDomains;
  if (name !== undefined) {
    const bytes = searchDomains.flatMap(({ domain }) => nameBytes(domain));
    options.push(
      option(NdOption.Dnssl, 8 + bytes.length, (view) => {
        view.setUint32(4, name.lifetimeSeconds);
        for (const [i, byte] of bytes.entries()) view.setUint8(8 + i, byte);
      }),
    );
  }
  return options;
}

const nameBytes = (domain: string): number[] => [
  ...domain.split('.').flatMap((label) => [label.length, ...Array.from(label, (char) => char.charCodeAt(0))]),
  0,
];

/** Writes an advertisement, with the router's Ethernet address. */
export function writeAdvertisement(ends: NdEnds, said: RouterAdvertisement, mac: MacAddress): Uint8Array {
  const mtu = said.mtu;
  const options: Option[] = [
    option(NdOption.SourceLinkAddress, 8, (view) => {
      writeLinkAddress(view, 0, NdOption.SourceLinkAddress, mac);
    }),
    ...(mtu === undefined ? [] : [option(NdOption.Mtu, 8, (view) => view.setUint32(4, mtu))]),
    ...said.prefixes.map(prefixOption),
    ...said.routes.map(routeOption),
    ...dnsOptions(said),
  ];
  const bytes = options.reduce((sum, { length }) => sum + length, 0);
  return writeNd(NdType.RouterAdvertisement, 16 + bytes, ends, (view, at) => {
    view.setUint8(at + 4, said.hopLimit);
    // RFC 4191 §2.2: who is no default router says nothing of its preference.
    const preference = said.lifetimeSeconds === 0 ? 0 : PREFERENCE_BITS[said.preference];
    view.setUint8(at + 5, (said.managed ? 0x80 : 0) | (said.other ? 0x40 : 0) | (preference << 3));
    view.setUint16(at + 6, said.lifetimeSeconds);
    view.setUint32(at + 8, said.reachableMs);
    view.setUint32(at + 12, said.retransMs);
    let to = at + 16;
    for (const one of options) {
      new Uint8Array(view.buffer).set(one, to);
      to += one.length;
    }
  });
}
