/** What a DHCP server is made with, and what it counts. */
import type { Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { MacAddress } from '../ethernet/mac-address.js';
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import { DhcpOption as O } from './message.js';
import { checkInteger, checkObjects } from './option-checks.js';
import {
  addressBytes,
  domainBytes,
  maskOf,
  routeBytes,
  textBytes,
  uint16Bytes,
  wordBytes,
} from './option-values.js';

/** An address kept for one client. */
export interface StaticLease {
  /** The address; it need not be in the pool. */
  readonly address: string;
  /** Whose it is, by Ethernet address. */
  readonly mac?: string;
  /** Whose it is, by client identifier, as hexadecimal digits. */
  readonly clientId?: string;
}

/** A lease, as a server keeps it. */
export interface ServedLease {
  /** The address. */
  readonly address: string;
  /** Who has it: the client identifier as hexadecimal digits, or the Ethernet address where it sent none. */
  readonly client: string;
  /** Its Ethernet address. */
  readonly mac: string;
  /** What it calls itself; absent where it says nothing. */
  readonly hostname?: string;
  /** How long the lease lasts yet, s. */
  readonly secondsLeft: number;
}

/** What a server is made with. */
export interface DhcpServerOptions {
  /** The link, after it was added to a stack. */
  readonly link: EthernetLink;
  /** The clock of the stack. */
  readonly clock: Clock;
  /** Its address on that link, with the prefix length of the network: `10.0.0.1/24`. The stack must have it. */
  readonly address: string;
  /** First and last address it lends, in that network, at most 65,536 of them. */
  readonly pool: readonly [first: string, last: string];
  /** How long it lends them, s, 60 .. 4,294,967,295; 3600 by default. */
  readonly leaseSeconds?: number;
  /** Addresses kept for certain clients; none by default. */
  readonly statics?: readonly StaticLease[];
  /** The default router it names; its own address by default, `undefined` given for none. */
  readonly router?: string | undefined;
  /** Name servers it names, at most 16; none by default. */
  readonly dnsServers?: readonly string[];
  /** The domain it names; none by default. */
  readonly domain?: string;
  /** Domains for short names (RFC 3397), at most 16; none by default. */
  readonly searchDomains?: readonly string[];
  /** Routes it names (RFC 3442), at most 64; none by default. The default route goes with them. */
  readonly routes?: readonly { readonly destination: string; readonly gateway: string }[];
  /** The MTU it names, bytes; none by default. */
  readonly mtu?: number;
  /** How long somebody may answer by ARP for an address before it is offered, ms; 500 by default, 0: nobody is asked. */
  readonly probeMs?: number;
  /** How long an address that a client declined, or that somebody has, is not lent, s; 600 by default. */
  readonly declineSeconds?: number;
  /**
   * Whether it refuses addresses it knows nothing of; true by default, for the only server of a network. Others leave
   * clients alone that they have not lent anything (RFC 2131 §4.3.2), unless those ask for the address of another network.
   */
  readonly authoritative?: boolean;
  /** Leases from before, as `leases()` gave them; those that do not fit are left out. */
  readonly leases?: readonly ServedLease[];
  /**
   * Hears of each lease that begins, is renewed, or is given back or declined (0 `secondsLeft`), to keep them somewhere;
   * not of those whose time is up.
   */
  readonly onLease?: (lease: ServedLease) => void;
}

/** What a server has seen. All only grow. */
export class DhcpServerStats {
  /** Packets that could not be read. */
  malformed = 0;
  /** Messages that were not answered: another server's, by a relay, of clients that were lent nothing here. */
  ignored = 0;
  /** Clients that looked for a server. */
  discovers = 0;
  /** Addresses offered. */
  offers = 0;
  /** Clients that asked for an address, or for more time. */
  requests = 0;
  /** Requests granted, and questions answered. */
  acks = 0;
  /** Requests refused. */
  naks = 0;
  /** Addresses clients found somebody else to have. */
  declines = 0;
  /** Addresses given back. */
  releases = 0;
  /** Hosts with addresses of their own that asked for the rest. */
  informs = 0;
  /** Clients for which there was no address. */
  poolExhausted = 0;
  /** Addresses somebody was found to have who had not asked for them. */
  conflicts = 0;
}

/** The options with everything read. */
export interface ServerSettings {
  readonly prefix: IpPrefix;
  readonly first: number;
  readonly last: number;
  readonly leaseSeconds: number;
  readonly probeMs: number;
  readonly declineSeconds: number;
  readonly authoritative: boolean;
  /** Kept addresses by client identifier or Ethernet address. */
  readonly statics: ReadonlyMap<string, IpAddress>;
  /** What is told to clients beside address and times, by option. */
  readonly told: ReadonlyMap<number, Uint8Array>;
}

const MAX_POOL = 65_536;
const MAX_LIST = 16;
const MAX_ROUTES = 64;

const KEYS: ReadonlySet<string> = new Set(
  (
    'link clock address pool leaseSeconds statics router dnsServers domain searchDomains routes mtu probeMs ' +
    'declineSeconds authoritative leases onLease'
  ).split(' '),
);

/** @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError */
export function resolveServerOptions(options: DhcpServerOptions): ServerSettings {
  checkObjects(options, KEYS);
  const { leaseSeconds = 3600, probeMs = 500, declineSeconds = 600, authoritative = true, pool } = options;
  const prefix = IpPrefix.parse(options.address);
  if (prefix.family !== 4 || prefix.length > 30) {
    throw new ArgumentValueError(`not an IPv4 address with the prefix of its network: "${options.address}"`);
  }
  if (!Array.isArray(pool) || pool.length !== 2) throw new ArgumentTypeError('pool must be two addresses');
  const [first, last] = pool.map((text) => inNetwork(text, prefix).w3 >>> 0);
  if (last < first || last - first >= MAX_POOL) {
    throw new ArgumentRangeError(`a pool has 1 .. ${MAX_POOL} addresses: ${pool.join(' .. ')}`);
  }
  checkInteger('leaseSeconds', leaseSeconds, [60, 0xffff_ffff]);
  checkInteger('probeMs', probeMs, [0, 10_000]);
  checkInteger('declineSeconds', declineSeconds, [1, 0xffff_ffff]);
  if (typeof authoritative !== 'boolean') throw new ArgumentTypeError('authoritative must be a boolean');
  return {
    prefix,
    first,
    last,
    leaseSeconds,
    probeMs,
    declineSeconds,
    authoritative,
    statics: readStatics(options, prefix),
    told: readTold(options, prefix),
  };
}

function readStatics({ statics = [] }: DhcpServerOptions, prefix: IpPrefix): Map<string, IpAddress> {
  const kept = new Map<string, IpAddress>();
  for (const { address, mac, clientId } of statics) {
    const whose =
      clientId?.toLowerCase() ?? (mac === undefined ? undefined : MacAddress.parse(mac).toString());
    if (whose === undefined) throw new ArgumentValueError(`a static lease needs mac or clientId: ${address}`);
    if (clientId !== undefined && !/^([\da-f]{2}){2,255}$/i.test(clientId)) {
      throw new ArgumentValueError(`not a client identifier: "${clientId}"`);
    }
    const parsed = inNetwork(address, prefix);
    if (parsed.equals(prefix.address) || [...kept.values()].some((other) => other.equals(parsed))) {
      throw new ArgumentValueError(
        `a static lease for ${address}, which is the server's or another client's`,
      );
    }
    kept.set(whose, parsed);
  }
  return kept;
}

function readTold(options: DhcpServerOptions, prefix: IpPrefix): Map<number, Uint8Array> {
  const { dnsServers = [], searchDomains = [], routes = [], domain, mtu } = options;
  const router = Object.hasOwn(options, 'router') ? options.router : prefix.address.toString();
  const told = new Map<number, Uint8Array>();
  told.set(O.SubnetMask, wordBytes(maskOf(prefix.length)));
  if (routes.length > 0) told.set(O.ClasslessRoutes, routeBytes(readRoutes(routes, router)));
  if (router !== undefined) told.set(O.Router, addressBytes([parse4(router)]));
  checkInteger('the number of dnsServers', dnsServers.length, [0, MAX_LIST]);
  if (dnsServers.length > 0) told.set(O.DnsServers, addressBytes(dnsServers.map(parse4)));
  if (domain !== undefined) told.set(O.Domain, textBytes(checkDomain(domain)));
  checkInteger('the number of searchDomains', searchDomains.length, [0, MAX_LIST]);
  if (searchDomains.length > 0) told.set(O.SearchDomains, domainBytes(searchDomains.map(checkDomain)));
  if (mtu !== undefined) {
    checkInteger('mtu', mtu, [68, 65_535]);
    told.set(O.Mtu, uint16Bytes(mtu));
  }
  if (prefix.broadcast !== undefined) told.set(O.Broadcast, addressBytes([prefix.broadcast]));
  return told;
}

/** RFC 3442: who reads the routes looks at no router, so the default route goes with them. */
function readRoutes(
  routes: readonly { readonly destination: string; readonly gateway: string }[],
  router: string | undefined,
): { destination: IpPrefix; gateway: IpAddress }[] {
  checkInteger('the number of routes', routes.length, [0, MAX_ROUTES]);
  const list = routes.map(({ destination, gateway }) => {
    const prefix = IpPrefix.parse(destination);
    if (prefix.family !== 4) throw new ArgumentValueError(`not an IPv4 prefix: "${destination}"`);
    return { destination: prefix, gateway: parse4(gateway) };
  });
  if (router === undefined || list.some(({ destination }) => destination.length === 0)) return list;
  return [...list, { destination: IpPrefix.parse('0.0.0.0/0'), gateway: parse4(router) }];
}

function parse4(text: string): IpAddress {
  const address = IpAddress.parse(text);
  if (address.family !== 4) throw new ArgumentValueError(`not an IPv4 address: "${text}"`);
  return address;
}

/** An address that a host may have: not the network's, nor that of everybody in it. */
function inNetwork(text: string, prefix: IpPrefix): IpAddress {
  const address = parse4(text);
  const isReserved = address.equals(prefix.network.address) || prefix.broadcast?.equals(address) === true;
  if (!prefix.contains(address) || isReserved) {
    throw new ArgumentRangeError(`${text} is no address for a host in ${prefix.network.toString()}`);
  }
  return address;
}

function checkDomain(domain: string): string {
  if (typeof domain !== 'string' || domain.length > 253 || !/^([\w-]{1,63}\.)*[\w-]{1,63}$/.test(domain)) {
    throw new ArgumentValueError(`not a domain: "${String(domain)}"`);
  }
  return domain;
}
