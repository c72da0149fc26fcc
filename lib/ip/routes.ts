/**
 * The routes of all tables: adding, replacing, deleting and listing them, as `ip route` does.
 */
import { ArgumentTypeError, ArgumentValueError, invariant, StackError } from '../base/errors.js';
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import { IPV6_MIN_MTU } from '../wire/ipv6.js';
import type { PortTable } from './ports.js';
import {
  addressOf,
  destinationOf,
  type NextHop,
  type NextHopSpec,
  type ParsedRoute,
  parseRoute,
  type Route,
  RouteScope,
  type RouteSpec,
  RouteTableId,
  type RouteTableName,
  scopeName,
  tableName,
  tableNumber,
} from './route.js';
import type { RouteAnswer, RouteQuestion } from './route-answer.js';
import type { RouteGetter } from './route-getter.js';
import { ANY_PORT, LOOPBACK_PORT, RouteQuery, RouteResult } from './route-query.js';
import { RouteTable } from './route-table.js';

/** What the routes need of their surroundings. */
export interface RouteSurroundings {
  readonly ports: PortTable;
  /** Most routes in all tables. */
  readonly limit: number;
  lookup(query: RouteQuery, result: RouteResult): boolean;
  lookupIn(table: number, query: RouteQuery, result: RouteResult): boolean;
  isLocal(address: IpAddress): boolean;
  changed(): void;
  /** A route is no longer in any table. */
  gone(route: Route): void;
}

/** A route for readers. */
export interface RouteDescription {
  /** Its prefix: `10.0.0.0/8`. */
  readonly destination: string;
  /** Name or number of its table. */
  readonly table: string;
  /** `unicast`, `local`, `blackhole` … */
  readonly type: string;
  /** `global`, `link` … */
  readonly scope: string;
  /** Who made it. */
  readonly protocol: string;
  /** DSCP << 2 that a packet must have; 0 for any. */
  readonly tos: number;
  /** Less is better. */
  readonly metric: number;
  /** Source address it prefers. */
  readonly source: string | undefined;
  /** Its next hops, each with the name of its link. */
  readonly nexthops: readonly {
    /** Name of the link. */
    readonly port: string;
    /** Undefined where the destination is on the link. */
    readonly gateway: string | undefined;
    /** Share of the flows. */
    readonly weight: number;
    /** The port is down: the next hop does not count. */
    readonly dead: boolean;
  }[];
  /** Bytes; 0: that of the link. */
  readonly mtu: number;
}

/** Which routes; what is absent matches any. */
export interface RouteFilter {
  /** Name or number of a table. */
  readonly table?: number | RouteTableName;
  /** Version of IP. */
  readonly family?: IpFamily;
  /** Who made it. */
  readonly protocol?: string;
  /** Name or index of a link that a next hop is on. */
  readonly port?: number | string;
}

type AddMode = 'add' | 'append' | 'prepend' | 'replace' | 'change';

/**
 * The routes of all tables. Links are called ports here.
 * @hideconstructor
 */
export class RouteSet {
  readonly #surroundings: RouteSurroundings;
  readonly #tables = { 4: new Map<number, RouteTable>(), 6: new Map<number, RouteTable>() };
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();
  #getter: RouteGetter | undefined;
  #count = 0;

  constructor(surroundings: RouteSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Routes in all tables. */
  get count(): number {
    return this.#count;
  }

  /** The table of a family, if it has ever held a route. @hidden */
  table(family: IpFamily, id: number): RouteTable | undefined {
    return family === 4 ? this.#tables[4].get(id) : this.#tables[6].get(id);
  }

  /**
   * Adds a route that must be new: no other may have its destination, table, TOS and metric.
   * @throws StackError EEXIST; ENETUNREACH (EHOSTUNREACH for IPv6) for a gateway that no direct route
   * reaches; EINVAL for one that is an own address or no host, or for a scope that does not fit; ENODEV,
   * ENETDOWN for the port; ENOBUFS for one too many
   */
  add(spec: RouteSpec): void {
    this.#change(spec, 'add');
  }

  /** Adds a route behind those of its destination, TOS and metric. @throws as `add` */
  append(spec: RouteSpec): void {
    this.#change(spec, 'append');
  }

  /** Adds a route before those of its destination, TOS and metric. @throws as `add` */
  prepend(spec: RouteSpec): void {
    this.#change(spec, 'prepend');
  }

  /** Puts a route in the place of the first of its destination, TOS and metric, or adds it. @throws as `add` */
  replace(spec: RouteSpec): void {
    this.#change(spec, 'replace');
  }

  /** As `replace`. @throws StackError ENOENT when there is none to replace */
  change(spec: RouteSpec): void {
    this.#change(spec, 'change');
  }

  /**
   * Deletes the first route to a destination that has everything `spec` names.
   * @throws StackError ESRCH when there is none
   */
  delete(spec: RouteSpec): void {
    const family = spec.gateway === undefined ? 4 : addressOf(spec.gateway).family;
    const prefix = destinationOf(spec.destination, family);
    const local = spec.type === 'local' || spec.type === 'broadcast';
    const table = this.table(prefix.family, tableNumber(spec.table ?? (local ? 'local' : 'main')));
    const route = table?.at(prefix).find((candidate) => this.#has(candidate, spec));
    if (route === undefined) throw new StackError('ESRCH', 'route', prefix.toString());
    this.remove(route);
  }

  /** Deletes all routes that the filter selects; those of the local table only when it is named. */
  flush(filter: RouteFilter = {}): void {
    for (const route of this.#select(filter)) {
      if (route.table !== RouteTableId.local || filter.table !== undefined) this.remove(route);
    }
  }

  /** Who answers `get`; it needs the whole of IP. @hidden */
  setGetter(getter: RouteGetter): void {
    this.#getter = getter;
  }

  /**
   * Where packets to an address go, by which rule, table and route. @throws StackError ENODEV for a port
   * that does not exist
   */
  get(destination: string | IpAddress, question?: RouteQuestion): RouteAnswer {
    invariant(this.#getter !== undefined, 'routes are asked once IP is complete');
    return this.#getter.get(destination, question);
  }

  /** The routes the filter selects. */
  list(filter: RouteFilter = {}): RouteDescription[] {
    return this.#select(filter).map((route) => this.describe(route));
  }

  /** @hidden */
  describe(route: Route): RouteDescription {
    const ports = this.#surroundings.ports;
    return {
      destination: route.prefix.toString(),
      table: tableName(route.table),
      type: route.type,
      scope: scopeName(route.scope),
      protocol: route.protocol,
      tos: route.tos,
      metric: route.metric,
      source: route.source?.toString(),
      nexthops: route.nexthops.map((hop) => ({
        port: ports.nameOf(hop.portIndex),
        gateway: hop.gateway?.toString(),
        weight: hop.weight,
        dead: !ports.isUp(hop.portIndex),
      })),
      mtu: route.mtu,
    };
  }

  /** Adds a route that the stack makes itself, unchecked, behind its equals. @hidden */
  install(spec: RouteSpec): Route {
    const route = this.#withHops(parseRoute(spec), false);
    this.#insert(route, false);
    return route;
  }

  /** Removes this very route, if it is still there. @hidden */
  remove(route: Route): void {
    if (this.table(route.prefix.family, route.table)?.remove(route) !== true) return;
    this.#count--;
    this.#surroundings.gone(route);
    this.#surroundings.changed();
  }

  /** Forgets a port: routes that have no other next hop go, the others lose this one. @hidden */
  portRemoved(index: number): void {
    for (const route of this.#select({})) {
      const others = route.nexthops.filter((hop) => hop.portIndex !== index);
      if (others.length === route.nexthops.length) continue;
      if (others.length === 0) this.remove(route);
      else {
        this.table(route.prefix.family, route.table)?.replace(route, { ...route, nexthops: others });
        this.#surroundings.gone(route);
      }
    }
    this.#surroundings.changed();
  }

  /** Forgets an address: routes that prefer it as source go. @hidden */
  sourceRemoved(address: IpAddress): void {
    for (const route of this.#select({ family: address.family })) {
      if (route.source?.equals(address) === true) this.remove(route);
    }
  }

  #change(spec: RouteSpec, mode: AddMode): void {
    const route = this.#withHops(parseRoute(spec), true);
    const { prefix } = route;
    if (route.source !== undefined && !this.#surroundings.isLocal(route.source)) {
      throw new StackError('EINVAL', 'route', route.source.toString());
    }
    const equals = (this.table(prefix.family, route.table)?.at(prefix) ?? []).filter(
      (other) => other.tos === route.tos && other.metric === route.metric,
    );
    if (mode === 'add' && equals.length > 0) throw new StackError('EEXIST', 'route', prefix.toString());
    if (mode === 'change' && equals.length === 0) throw new StackError('ENOENT', 'route', prefix.toString());
    if ((mode === 'append' || mode === 'prepend') && equals.some((other) => same(other, route))) {
      throw new StackError('EEXIST', 'route', prefix.toString());
    }
    if ((mode === 'replace' || mode === 'change') && equals.length > 0) {
      this.table(prefix.family, route.table)?.replace(equals[0], route);
      this.#surroundings.gone(equals[0]);
      this.#surroundings.changed();
      return;
    }
    this.#insert(route, mode === 'prepend');
  }

  #insert(route: Route, beforeEquals: boolean): void {
    if (this.#count >= this.#surroundings.limit)
      throw new StackError('ENOBUFS', 'route', route.prefix.toString());
    const tables = this.#tables[route.prefix.family];
    let table = tables.get(route.table);
    if (table === undefined) {
      table = new RouteTable(route.table);
      tables.set(route.table, table);
    }
    table.insert(route, beforeEquals);
    this.#count++;
    this.#surroundings.changed();
  }

  #withHops(parsed: ParsedRoute, check: boolean): Route {
    const { hops, ...route } = parsed;
    return { ...route, nexthops: hops.map((hop) => this.#nextHop(hop, parsed, check)) };
  }

  #nextHop(hop: NextHopSpec, route: ParsedRoute, check: boolean): NextHop {
    const { ports } = this.#surroundings;
    const weight = hop.weight ?? 1;
    if (!Number.isInteger(weight) || weight < 1 || weight > 256) {
      throw new ArgumentValueError('the weight of a next hop must be 1 .. 256');
    }
    const gateway = hop.gateway === undefined ? undefined : addressOf(hop.gateway);
    let portIndex = hop.port === undefined ? ANY_PORT : ports.indexOf(hop.port);
    if (hop.port === undefined && route.type === 'local') portIndex = LOOPBACK_PORT;
    const place = route.prefix.toString();
    if (portIndex < 0 && (hop.port !== undefined || gateway === undefined)) {
      throw new StackError('ENODEV', 'route', place);
    }
    if (check && gateway !== undefined) {
      portIndex = this.#checkGateway(gateway, portIndex, hop.onlink ?? false, route);
    }
    if (check && !ports.isUp(portIndex)) throw new StackError('ENETDOWN', 'route', place);
    if (route.prefix.family === 6 && (ports.get(portIndex)?.mtu ?? 0) < IPV6_MIN_MTU) {
      throw new StackError('EINVAL', 'route', place);
    }
    return { portIndex, gateway, weight, onlink: hop.onlink ?? false };
  }

  /**
   * The port through which a gateway is reached directly: by a route of link scope, unless the caller
   * vouches for it (`onlink`).
   */
  #checkGateway(gateway: IpAddress, port: number, onlink: boolean, route: ParsedRoute): number {
    const fail = (code: string): StackError => new StackError(code, 'route', gateway.toString());
    if (route.scope >= RouteScope.link || route.type !== 'unicast') throw fail('EINVAL');
    if (gateway.isMulticast || gateway.isUnspecified || gateway.isLimitedBroadcast || gateway.isLoopback) {
      throw fail('EINVAL');
    }
    if (this.#surroundings.isLocal(gateway)) throw fail('EINVAL');
    if (onlink || (gateway.family === 6 && gateway.isLinkLocal)) {
      if (port < 0) throw fail('EINVAL');
      return port;
    }
    const query = this.#query;
    const result = this.#result;
    query.setAddresses(gateway, undefined);
    query.oif = port;
    if (gateway.family === 4) query.scope = Math.max(route.scope + 1, RouteScope.link);
    const own = route.table !== RouteTableId.main && route.table !== RouteTableId.local;
    const found =
      (own && this.#surroundings.lookupIn(route.table, query, result)) ||
      this.#surroundings.lookup(query, result);
    const hop = result.nexthop;
    if (!found || hop === undefined) throw fail(gateway.family === 4 ? 'ENETUNREACH' : 'EHOSTUNREACH');
    if (result.route?.type !== 'unicast') throw fail('EINVAL');
    if (hop.gateway !== undefined) throw fail(gateway.family === 4 ? 'ENETUNREACH' : 'EHOSTUNREACH');
    return hop.portIndex;
  }

  /** Whether a route has everything a description names. */
  #has(route: Route, spec: RouteSpec): boolean {
    if (typeof spec !== 'object' || spec === null) throw new ArgumentTypeError('a route must be an object');
    const { ports } = this.#surroundings;
    const hopFits = (hop: NextHop): boolean =>
      (spec.gateway === undefined || hop.gateway?.equals(addressOf(spec.gateway)) === true) &&
      (spec.port === undefined || hop.portIndex === ports.indexOf(spec.port));
    const namesHop = spec.gateway !== undefined || spec.port !== undefined;
    return (
      (spec.type === undefined || spec.type === route.type) &&
      (spec.tos === undefined || spec.tos === route.tos) &&
      (spec.metric === undefined || spec.metric === route.metric) &&
      (spec.protocol === undefined || spec.protocol === route.protocol) &&
      (spec.scope === undefined || RouteScope[spec.scope] === route.scope) &&
      (spec.source === undefined || route.source?.equals(addressOf(spec.source)) === true) &&
      (!namesHop || route.nexthops.some(hopFits))
    );
  }

  #select(filter: RouteFilter): Route[] {
    const id = filter.table === undefined ? undefined : tableNumber(filter.table);
    const port = filter.port === undefined ? undefined : this.#surroundings.ports.indexOf(filter.port);
    const found: Route[] = [];
    for (const family of [4, 6] as const) {
      if (filter.family !== undefined && filter.family !== family) continue;
      for (const table of this.#tables[family].values()) {
        if (id !== undefined && table.id !== id) continue;
        for (const route of table) {
          if (filter.protocol !== undefined && route.protocol !== filter.protocol) continue;
          if (port !== undefined && !route.nexthops.some((hop) => hop.portIndex === port)) continue;
          found.push(route);
        }
      }
    }
    return found;
  }
}

/** Whether two routes of one destination, TOS and metric are the same in everything. */
const same = (a: Route, b: Route): boolean =>
  JSON.stringify({ ...a, prefix: undefined }) === JSON.stringify({ ...b, prefix: undefined });
