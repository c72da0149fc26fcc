/**
 * What the tables say about a destination and why, for people: `ip route get`.
 */
import type { IpAddress } from '../wire/ip-address.js';
import { tableName } from './route.js';
import type { RouteResult } from './route-query.js';
import type { RouteDescription, RouteSet } from './routes.js';

/** What the question says besides the destination. */
export interface RouteQuestion {
  readonly from?: string | IpAddress;
  /** Name or index of the port a packet came in through; without it the packet is one of ours. */
  readonly iif?: string | number;
  /** Name or index of the port it must leave through. */
  readonly oif?: string | number;
  readonly mark?: number;
  readonly tos?: number;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly uid?: number;
}

export interface RouteAnswer {
  readonly destination: string;
  /** '' or the error's code: `ENETUNREACH`, `EHOSTUNREACH`, `EACCES`, `EINVAL`, `EADDRNOTAVAIL`. */
  readonly error: string;
  /** The rule that decided; undefined when none did. */
  readonly rule: { readonly priority: number; readonly action: string } | undefined;
  /** Name of the table; '' when a rule decided by itself, or nothing did. */
  readonly table: string;
  readonly route: RouteDescription | undefined;
  /** Of the route: `unicast`, `local`, `broadcast` …; '' without one. */
  readonly type: string;
  /** Where packets go. */
  readonly port: string;
  readonly gateway: string | undefined;
  /** What packets of ours would have as source. */
  readonly source: string | undefined;
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
