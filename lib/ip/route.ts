/**
 * What a route is: its record, its description by a caller, and the words both use.
 */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpAddress, type IpFamily, IpPrefix } from '../wire/ip-address.js';

export const ROUTE_TYPES = [
  'unicast',
  'local',
  'broadcast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
] as const;
/** What happens to packets along a route. */
export type RouteType = (typeof ROUTE_TYPES)[number];

/** How far away a destination is; a larger number is nearer (rtnetlink(7), `rtm_scope`). */
export const RouteScope = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
/** Names of the scopes of `RouteSpec.scope`. */
export type RouteScopeName = keyof typeof RouteScope;

/** Numbers of the tables that have names. */
export const RouteTableId = { default: 253, main: 254, local: 255 } as const;
/** Tables that have names. */
export type RouteTableName = keyof typeof RouteTableId;

/** Preference among IPv6 routes of one metric (RFC 4191 §2.1). */
export type RoutePreference = 'low' | 'medium' | 'high';
const PREFERENCES: Readonly<Record<RoutePreference, number>> = { low: -1, medium: 0, high: 1 };

/** Metric of a route that names none (`ip route`). */
const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const;
const MAX_METRIC = 0xffff_ffff;
/** Next hops of one route. */
const MAX_NEXT_HOPS = 256;

/** A next hop as a caller describes it. */
export interface NextHopSpec {
  /** Address of the next router; none where the destination is on the link. */
  readonly gateway?: string | IpAddress;
  /** Index or name of the link. */
  readonly port?: number | string;
  /** Share of the flows, 1 .. 256; 1 by default. */
  readonly weight?: number;
  /** The gateway is reached through `port` though no route says so. */
  readonly onlink?: boolean;
}

/** A route as a caller describes it; names and defaults are those of `ip route`. */
export interface RouteSpec extends NextHopSpec {
  /** `10.0.0.0/8`, an address, or `default` with the family of the gateway (IPv4 without one). */
  readonly destination: string | IpPrefix;
  /** 1 .. 2^32-1 or a name; `main`, or `local` for local and broadcast routes, by default. */
  readonly table?: number | RouteTableName;
  /** `unicast` by default. */
  readonly type?: RouteType;
  /** DSCP << 2 that a packet must have; 0 for any. */
  readonly tos?: number;
  /** Less is better. 0 for IPv4 and 1024 for IPv6 by default. */
  readonly metric?: number;
  /** How far its destination is; by default what type and gateway say. */
  readonly scope?: RouteScopeName;
  /** Who made it; a note for readers, and something to delete by. */
  readonly protocol?: string;
  /** Source address it prefers; must be ours. */
  readonly source?: string | IpAddress;
  /** Several next hops to share flows among, in place of `gateway` and `port`. */
  readonly nexthops?: readonly NextHopSpec[];
  /** Preference among IPv6 routes of one metric (RFC 4191 §2.1). */
  readonly preference?: RoutePreference;
  /** Largest IP packet along it, bytes; that of the link by default. */
  readonly mtu?: number;
  /** Whether ICMP cannot lower `mtu`; false by default. */
  readonly mtuLock?: boolean;
  /** MSS to announce, bytes. */
  readonly advmss?: number;
  /** Largest window to advertise, bytes. */
  readonly window?: number;
  /** Initial congestion window, segments. */
  readonly initcwnd?: number;
  /** Initial receive window, segments. */
  readonly initrwnd?: number;
  /** Least retransmission timeout, µs. */
  readonly rtoMinUs?: number;
  /** TTL, 1 .. 255. */
  readonly hopLimit?: number;
  /** Congestion control by name. */
  readonly congestionControl?: string;
  /** 1 acknowledges at once. */
  readonly quickAck?: number;
}

export interface NextHop {
  readonly portIndex: number;
  readonly gateway: IpAddress | undefined;
  readonly weight: number;
  readonly onlink: boolean;
}

export interface RouteAttributes {
  readonly mtu: number;
  readonly mtuLock: boolean;
  readonly advmss: number;
  readonly window: number;
  readonly initcwnd: number;
  readonly initrwnd: number;
  readonly rtoMinUs: number;
  readonly hopLimit: number;
  readonly congestionControl: string;
  readonly quickAck: number;
}

/** A route in a table. Never changes: a change is a new route in its place. */
export interface Route extends RouteAttributes {
  readonly prefix: IpPrefix;
  readonly table: number;
  readonly type: RouteType;
  readonly tos: number;
  readonly metric: number;
  /** A `RouteScope`. */
  readonly scope: number;
  readonly protocol: string;
  readonly source: IpAddress | undefined;
  readonly nexthops: readonly NextHop[];
  /** -1 low, 0 medium, 1 high. */
  readonly preference: number;
}

/** A description with everything read and checked that needs no table; ports are still as given. */
export interface ParsedRoute extends Omit<Route, 'nexthops'> {
  readonly hops: readonly NextHopSpec[];
}

/** The number of a table. @throws ArgumentRangeError for none */
export function tableNumber(table: number | RouteTableName): number {
  const number = typeof table === 'string' ? RouteTableId[table] : table;
  if (!Number.isInteger(number) || number < 1 || number > 0xffff_ffff) {
    throw new ArgumentRangeError(`not a routing table: ${table}`);
  }
  return number;
}

/** `main` for 254, or the number as text. */
export function tableName(table: number): string {
  for (const [name, number] of Object.entries(RouteTableId)) if (number === table) return name;
  return String(table);
}

export const scopeName = (scope: number): string =>
  Object.entries(RouteScope).find(([, number]) => number === scope)?.[0] ?? String(scope);

export function addressOf(value: string | IpAddress): IpAddress {
  return value instanceof IpAddress ? value : IpAddress.parse(value);
}

/** The prefix of a destination with its host bits cut off; `default` stands for the one of length 0. */
export function destinationOf(value: string | IpPrefix, family: IpFamily = 4): IpPrefix {
  if (value instanceof IpPrefix) return value.network;
  if (value === 'default') return IpPrefix.parse(family === 4 ? '0.0.0.0/0' : '::/0');
  return IpPrefix.parse(value).network;
}

const isUnicastLike = (type: RouteType): boolean =>
  type === 'unicast' || type === 'local' || type === 'broadcast' || type === 'multicast';

/** What the scope of a route is when its maker names none, as in `ip route`. */
function defaultScope(type: RouteType, hops: readonly NextHopSpec[]): number {
  if (type === 'local') return RouteScope.host;
  if (type === 'broadcast' || type === 'multicast') return RouteScope.link;
  const direct = type === 'unicast' && !hops.some((hop) => hop.gateway !== undefined);
  return direct ? RouteScope.link : RouteScope.global;
}

/**
 * Reads a description.
 * @throws ArgumentTypeError, ArgumentValueError or ArgumentRangeError for what can never be right
 */
export function parseRoute(spec: RouteSpec): ParsedRoute {
  if (typeof spec !== 'object' || spec === null) throw new ArgumentTypeError('a route must be an object');
  const type = spec.type ?? 'unicast';
  if (!ROUTE_TYPES.includes(type)) throw new ArgumentValueError(`not a route type: ${type}`);
  const hops = spec.nexthops ?? [spec];
  const gateways = hops.flatMap((hop) => (hop.gateway === undefined ? [] : [addressOf(hop.gateway)]));
  const prefix = destinationOf(spec.destination, gateways[0]?.family);
  const source = spec.source === undefined ? undefined : addressOf(spec.source);
  for (const address of source === undefined ? gateways : [...gateways, source]) {
    if (address.family !== prefix.family) {
      throw new ArgumentValueError(`${address} is of another family than ${prefix}`);
    }
  }
  if (hops.length === 0 || hops.length > MAX_NEXT_HOPS) throw new ArgumentRangeError('1 .. 256 next hops');
  const local = type === 'local' || type === 'broadcast';
  return {
    prefix,
    table: tableNumber(spec.table ?? (local ? 'local' : 'main')),
    type,
    tos: integer('tos', spec.tos, 0xfc) & 0xfc,
    metric:
      spec.metric === undefined ? DEFAULT_METRIC[prefix.family] : integer('metric', spec.metric, MAX_METRIC),
    scope: spec.scope === undefined ? defaultScope(type, hops) : scopeNumber(spec.scope),
    protocol: spec.protocol ?? 'static',
    source,
    hops: isUnicastLike(type) ? hops : [],
    preference: PREFERENCES[spec.preference ?? 'medium'] ?? 0,
    ...attributesOf(spec),
  };
}

function scopeNumber(scope: RouteScopeName): number {
  const number = RouteScope[scope];
  if (number === undefined) throw new ArgumentValueError(`not a scope: ${scope}`);
  return number;
}

function attributesOf(spec: RouteSpec): RouteAttributes {
  return {
    mtu: integer('mtu', spec.mtu, 65_535),
    mtuLock: spec.mtuLock ?? false,
    advmss: integer('advmss', spec.advmss, 65_535),
    window: integer('window', spec.window, 0x7fff_ffff),
    initcwnd: integer('initcwnd', spec.initcwnd, 65_535),
    initrwnd: integer('initrwnd', spec.initrwnd, 65_535),
    rtoMinUs: integer('rtoMinUs', spec.rtoMinUs, 0xffff_ffff),
    hopLimit: integer('hopLimit', spec.hopLimit, 255),
    congestionControl: spec.congestionControl ?? '',
    quickAck: integer('quickAck', spec.quickAck, 1),
  };
}

function integer(name: string, value: number | undefined, most: number): number {
  if (value === undefined) return 0;
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new ArgumentRangeError(`${name} of a route must be 0 .. ${most}, not ${value}`);
  }
  return value;
}
