/** Routes of the kernel as netlink messages. */
import { ArgumentValueError } from '../base/errors.js';
import { IpAddress, type IpFamily, IpPrefix } from '../wire/ip-address.js';
import {
  addressBytes,
  familyNumber,
  familyOf,
  type NetlinkBytes,
  NetlinkRequest,
  RouteMessage,
  readAddress,
  textBytes,
  u32Bytes,
} from './netlink.js';

/** What happens to packets along a route (`ip route`). */
export type HostRouteType = 'unicast' | 'local' | 'broadcast' | 'anycast' | 'multicast' | HostRouteRefusal;
/** The types that are no way. */
export type HostRouteRefusal = 'blackhole' | 'unreachable' | 'prohibit' | 'throw';

/** A route of the host. */
export interface HostRoute {
  /** `10.0.0.0/8`, `2001:db8::/32`, an address alone, or `default` with `family`. */
  readonly destination: string;
  /** Needed with `default` where no gateway tells; 4 by default. */
  readonly family?: IpFamily;
  /** Next hop; for IPv4 it may be an IPv6 address (RFC 5549). */
  readonly gateway?: string;
  /** Link it leaves by. */
  readonly link?: string;
  /** Number of its table; 254 (`main`) by default. */
  readonly table?: number;
  /** Less is better; the kernel's default where there is none. */
  readonly metric?: number;
  /** Source address the kernel prefers on it. */
  readonly source?: string;
  /** `unicast` by default. */
  readonly type?: HostRouteType;
  /** Largest IP packet along it, bytes; that of the link by default. */
  readonly mtu?: number;
  /** TCP congestion control of the kernel's connections along it. */
  readonly congestionControl?: string;
}

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15, VIA: 18 } as const;
const RTAX = { MTU: 2, CC_ALGO: 16 } as const;
const TYPES = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
const TYPE_NAMES = new Map<number, HostRouteType>(
  Object.entries(TYPES).map(([name, number]) => [number, name as HostRouteType]),
);
const MAIN_TABLE = 254;
const PROTOCOL_STATIC = 4;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_HOST = 254;
const SCOPE_ANY = 255;
const ROUTE_BYTES = 12;
const FLAG_CLONED = 0x200;

function destinationOf(route: HostRoute): IpPrefix {
  if (route.destination !== 'default') return IpPrefix.parse(route.destination).network;
  const family = route.family ?? (route.gateway === undefined ? 4 : IpAddress.parse(route.gateway).family);
  return IpPrefix.parse(family === 4 ? '0.0.0.0/0' : '::/0');
}

/** How far away the next hop is: a gateway's hosts anywhere, a link's own on that link. */
function scopeOf(route: HostRoute, deleting: boolean): number {
  if (deleting) return SCOPE_ANY;
  const { type = 'unicast', gateway } = route;
  if (type === 'local') return SCOPE_HOST;
  return type === 'unicast' && gateway === undefined ? SCOPE_LINK : SCOPE_UNIVERSE;
}

export function routeRequest(
  route: HostRoute,
  message: number,
  flags: number,
  indexOf: (link: string) => number,
): NetlinkRequest {
  const { table = MAIN_TABLE, type = 'unicast', gateway, link, metric, source } = route;
  const deleting = message === RouteMessage.DELETE_ROUTE;
  const { family, length, address } = destinationOf(route);
  if (TYPES[type] === undefined) throw new ArgumentValueError(`not a type of route: "${type}"`);
  const request = new NetlinkRequest(message, flags);
  request.u8(familyNumber(family), length, 0, 0, table < 256 ? table : 0, deleting ? 0 : PROTOCOL_STATIC);
  request.u8(scopeOf(route, deleting), deleting && route.type === undefined ? 0 : TYPES[type]).u32(0);
  request.number(RTA.TABLE, table);
  if (length > 0) request.attribute(RTA.DST, addressBytes(address));
  if (gateway !== undefined) addGateway(request, IpAddress.parse(gateway), family);
  if (link !== undefined) request.number(RTA.OIF, indexOf(link));
  if (metric !== undefined) request.number(RTA.PRIORITY, metric);
  if (source !== undefined) request.attribute(RTA.PREFSRC, addressBytes(IpAddress.parse(source)));
  const metrics: [number, Uint8Array][] = [];
  if (route.mtu !== undefined) metrics.push([RTAX.MTU, u32Bytes(route.mtu)]);
  if (route.congestionControl !== undefined) metrics.push([RTAX.CC_ALGO, textBytes(route.congestionControl)]);
  if (metrics.length > 0) request.nested(RTA.METRICS, metrics);
  return request;
}

function addGateway(request: NetlinkRequest, gateway: IpAddress, family: IpFamily): void {
  const bytes = addressBytes(gateway);
  if (gateway.family === family) {
    request.attribute(RTA.GATEWAY, bytes);
    return;
  }
  const via = new Uint8Array(2 + bytes.length);
  new Uint16Array(via.buffer, 0, 1)[0] = familyNumber(gateway.family);
  via.set(bytes, 2);
  request.attribute(RTA.VIA, via);
}

export function parseRoute(body: NetlinkBytes, names: ReadonlyMap<number, string>): HostRoute | undefined {
  const family = familyOf(body.u8(0));
  if (family === undefined || (body.u32(8) & FLAG_CLONED) !== 0) return undefined;
  const attributes = body.attributes(ROUTE_BYTES);
  const destination = readAddress(attributes.get(RTA.DST));
  const via = attributes.get(RTA.VIA);
  const gateway = readAddress(attributes.get(RTA.GATEWAY) ?? via?.slice(2));
  const link = attributes.get(RTA.OIF)?.u32(0);
  const metric = attributes.get(RTA.PRIORITY)?.u32(0);
  const source = readAddress(attributes.get(RTA.PREFSRC));
  const metrics = attributes.get(RTA.METRICS)?.attributes(0);
  const mtu = metrics?.get(RTAX.MTU)?.u32(0);
  const congestionControl = metrics?.get(RTAX.CC_ALGO)?.text;
  return {
    destination: destination === undefined ? 'default' : `${destination}/${body.u8(1)}`,
    family,
    table: attributes.get(RTA.TABLE)?.u32(0) ?? body.u8(4),
    type: TYPE_NAMES.get(body.u8(7)) ?? 'unicast',
    ...(gateway === undefined ? {} : { gateway: String(gateway) }),
    ...(link === undefined ? {} : { link: names.get(link) ?? String(link) }),
    ...(metric === undefined ? {} : { metric }),
    ...(source === undefined ? {} : { source: String(source) }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(congestionControl === undefined ? {} : { congestionControl }),
  };
}
