/**
 * What the tables say about a destination and why, for people: `ip route get`.
 */
import type { IpAddress } from '../wire/ip-address.js';
import { tableName } from './route.js';
import type { RouteResult } from './route-query.js';
import type { RouteDescription, RouteSet } from './routes.js';

/** What the question says besides the destination. */
export interface RouteQuestion {
  /** Source address of the packet. */
  readonly from?: string | IpAddress;
  /** Name or index of the port a packet came in through; without it the packet is one of ours. */
  readonly iif?: string | number;
  /** Name or index of the port it must leave through. */
  readonly oif?: string | number;
  /** Routing mark. */
  readonly mark?: number;
  /** DSCP << 2. */
  readonly tos?: number;
  /** Protocol number. */
  readonly protocol?: number;
  /** Source port. */
  readonly sourcePort?: number;
  /** Destination port. */
  readonly destinationPort?: number;
  /** User of the socket. */
  readonly uid?: number;
}

/** Where packets go and why, as `ip route get` says it. */
export interface RouteAnswer {
  /** What was asked for. */
  readonly destination: string;
  /** '' or the error's code: `ENETUNREACH`, `EHOSTUNREACH`, `EACCES`, `EINVAL`, `EADDRNOTAVAIL`. */
  readonly error: string;
  /** The rule that decided; undefined when none did. */
  readonly rule: { readonly priority: number; readonly action: string } | undefined;
  /** Name of the table; '' when a rule decided by itself, or nothing did. */
  readonly table: string;
  /** The route that was found. */
  readonly route: RouteDescription | undefined;
  /** Of the route: `unicast`, `local`, `broadcast` …; '' without one. */
  readonly type: string;
  /** Name of the link packets leave by. */
  readonly port: string;
  /** The router they go to; undefined where the destination is on the link. */
  readonly gateway: string | undefined;
  /** What packets of ours would have as source. */
  readonly source: string | undefined;
  /** Largest packet the path takes, as far as known, bytes. */
  readonly mtu: number;
}

/** What came out of a lookup, and of resolving a path where the packet is ours. */
export interface Findings {
  readonly result: RouteResult;
  readonly error: string;
  readonly port: string;
  readonly gateway: IpAddress | undefined;
  readonly source: IpAddress | undefined;
  readonly mtu: number;
}

export function answer(destination: IpAddress, findings: Findings, routes: RouteSet): RouteAnswer {
  const { result } = findings;
  const { rule, route } = result;
  return {
    destination: destination.toString(),
    error: findings.error,
    rule: rule === undefined ? undefined : { priority: rule.priority, action: rule.action },
    table: result.table === 0 ? '' : tableName(result.table),
    route: route === undefined ? undefined : routes.describe(route),
    type: route?.type ?? '',
    port: findings.port,
    gateway: findings.gateway?.toString(),
    source: findings.source?.toString(),
    mtu: findings.mtu,
  };
}
