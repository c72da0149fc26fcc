/**
 * Routing: rules choose tables, tables choose routes, routes choose next hops.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpOptions } from './options.js';
import type { PortTable } from './ports.js';
import { type NextHop, type Route, RouteTableId, type RouteType } from './route.js';
import { ANY_PORT, RouteQuery, RouteResult } from './route-query.js';
import type { RouteTable } from './route-table.js';
import { RouteSet } from './routes.js';
import { RuleList } from './rules.js';

/** How the search in one table ended. */
const Outcome = { None: 0, Found: 1, Throw: 2 } as const;

/** The errors of route types and rule actions that are no way (`fib_props` of Linux). */
const ERRORS: Readonly<Record<string, string>> = {
  blackhole: 'EINVAL',
  unreachable: 'EHOSTUNREACH',
  prohibit: 'EACCES',
};

/**
 * Routing: rules choose tables, tables choose routes, routes choose next hops.
 * @hideconstructor
 */
export class Routing {
  /** The rules, as `ip rule` has them. */
  readonly rules: RuleList;
  /** The routes of all tables, as `ip route` has them. */
  readonly routes: RouteSet;
  /** Grows with every change of rules, routes, addresses, ports or path MTUs. @hidden */
  generation = 1;
  /** Hears of each route that left its table. @hidden */
  onRouteGone: (route: Route) => void = () => {};
  readonly #ports: PortTable;
  readonly #hash: TableHash;
  readonly #hashPorts: boolean;
  readonly #flow = new Int32Array(10);
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();

  constructor(env: { random: Random; ports: PortTable; options: IpOptions }) {
    this.#ports = env.ports;
    this.#hash = new TableHash(env.random);
    this.#hashPorts = env.options.multipathHash === 'l4';
    this.routes = new RouteSet({
      ports: env.ports,
      limit: env.options.routes,
      lookup: (query, result) => this.lookup(query, result),
      lookupIn: (table, query, result) => this.lookupIn(table, query, result),
      isLocal: (address) => this.isLocal(address),
      changed: () => this.changed(),
      gone: (route) => this.onRouteGone(route),
    });
    this.rules = new RuleList({
      portIndex: (port) => env.ports.indexOf(port),
      changed: () => this.changed(),
      limit: env.options.rules,
    });
  }

  /** Every path resolved before this is looked at again before its next packet. @hidden */
  changed(): void {
    this.generation++;
  }

  /**
   * Answers `query` into `result`. @returns whether there is a way; otherwise `result.error` says why not
   * @hidden
   */
  lookup(query: RouteQuery, result: RouteResult): boolean {
    result.clear();
    const rules = this.rules.list();
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i];
      if ((rule.family !== 0 && rule.family !== query.family) || !rule.matches(query)) continue;
      if (rule.action === 'nop') continue;
      if (rule.action === 'goto') {
        const place = this.rules.placeOf(rule.goto, query.family);
        if (place > i) i = place - 1;
        continue;
      }
      result.rule = rule;
      if (rule.action !== 'lookup') {
        result.error = ERRORS[rule.action];
        return false;
      }
      const table = this.routes.table(query.family, rule.table);
      if (table === undefined || this.#search(table, query, result) !== Outcome.Found) continue;
      if (result.route !== undefined && result.route.prefix.length <= rule.suppressPrefixLength) {
        result.clear();
        continue;
      }
      return result.error === '';
    }
    result.clear();
    return false;
  }

  /** As `lookup`, in one table, whatever the rules say. @hidden */
  lookupIn(id: number, query: RouteQuery, result: RouteResult): boolean {
    result.clear();
    const table = this.routes.table(query.family, id);
    return table !== undefined && this.#search(table, query, result) === Outcome.Found && result.error === '';
  }

  /**
   * What kind of destination the local table says an address is; `unicast` when it does not know it.
   * @hidden
   */
  localType(address: IpAddress): RouteType {
    const query = this.#query;
    query.setAddresses(address, undefined);
    const found = this.lookupIn(RouteTableId.local, query, this.#result);
    return (found ? this.#result.route?.type : undefined) ?? 'unicast';
  }

  /** Whether an address is one of ours, as the local table says. */
  isLocal(address: IpAddress): boolean {
    return this.localType(address) === 'local';
  }

  #search(table: RouteTable, query: RouteQuery, result: RouteResult): number {
    let node = table.deepest(query.d0, query.d1, query.d2, query.d3);
    for (; node !== null; node = node.parent) {
      const routes = node.routes;
      for (let i = 0; i < routes.length; i++) {
        const route = routes[i];
        if ((route.tos !== 0 && route.tos !== query.tos) || route.scope < query.scope) continue;
        if (route.type === 'throw') return Outcome.Throw;
        const error = ERRORS[route.type];
        const hop = error === undefined ? this.#chooseHop(route, query) : undefined;
        if (error === undefined && hop === undefined) continue;
        result.error = error ?? '';
        result.table = table.id;
        result.route = route;
        result.nexthop = hop;
        return Outcome.Found;
      }
    }
    return Outcome.None;
  }

  /** A next hop that is up and leaves through the wanted port; undefined when there is none. */
  #chooseHop(route: Route, query: RouteQuery): NextHop | undefined {
    const hops = route.nexthops;
    // A packet to ourselves loops back whatever port a socket is bound to (RFC 1122 §3.3.1.1).
    const oif = route.type === 'local' ? ANY_PORT : query.oif;
    if (hops.length === 1) return this.#usable(hops[0], oif) ? hops[0] : undefined;
    let weights = 0;
    for (let i = 0; i < hops.length; i++) if (this.#usable(hops[i], oif)) weights += hops[i].weight;
    if (query.flowHash < 0) query.flowHash = this.#flowHash(query);
    let share = Math.floor((query.flowHash / 0x8000_0000) * weights);
    for (let i = 0; i < hops.length; i++) {
      if (!this.#usable(hops[i], oif)) continue;
      share -= hops[i].weight;
      if (share < 0) return hops[i];
    }
    return undefined;
  }

  #usable(hop: NextHop, oif: number): boolean {
    return (oif === ANY_PORT || hop.portIndex === oif) && this.#ports.isUp(hop.portIndex);
  }

  /** 31 bits that are the same for every packet of a flow (`fib_multipath_hash_policy`). */
  #flowHash(query: RouteQuery): number {
    const flow = this.#flow;
    flow[0] = query.d0;
    flow[1] = query.d1;
    flow[2] = query.d2;
    flow[3] = query.d3;
    flow[4] = query.s0;
    flow[5] = query.s1;
    flow[6] = query.s2;
    flow[7] = query.s3;
    if (!this.#hashPorts) return this.#hash.hashWords(flow, 8) >>> 1;
    flow[8] = query.protocol;
    flow[9] = (query.sourcePort << 16) | query.destinationPort;
    return this.#hash.hashWords(flow, 10) >>> 1;
  }
}
