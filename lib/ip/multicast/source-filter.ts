/**
 * From whom a group is wanted (RFC 3376 §2, RFC 3810 §3): what one listener says, and what all on a link
 * say together.
 */
import type { IpAddress } from '../../wire/ip-address.js';

export interface SourceFilter {
  /** Whether `sources` are the only ones wanted (INCLUDE), or those not wanted (EXCLUDE). */
  readonly includes: boolean;
  readonly sources: readonly IpAddress[];
}

/** EXCLUDE nobody: a listener that does not choose. */
export const ANY_SOURCE: SourceFilter = Object.freeze({ includes: false, sources: [] });
/** INCLUDE nobody: no listener at all. */
export const NO_SOURCE: SourceFilter = Object.freeze({ includes: true, sources: [] });

export const hasAddress = (list: readonly IpAddress[], address: IpAddress): boolean =>
  list.some((other) => other.equals(address));

/** Those of `list` that `other` has, or has not. */
export const common = (list: readonly IpAddress[], other: readonly IpAddress[]): IpAddress[] =>
  list.filter((address) => hasAddress(other, address));
export const without = (list: readonly IpAddress[], other: readonly IpAddress[]): IpAddress[] =>
  list.filter((address) => !hasAddress(other, address));

export const isNobody = (filter: SourceFilter): boolean => filter.includes && filter.sources.length === 0;

export const sameFilter = (a: SourceFilter, b: SourceFilter): boolean =>
  a.includes === b.includes &&
  a.sources.length === b.sources.length &&
  without(a.sources, b.sources).length === 0;

/** Whether a filter lets the packets of a source through. */
export const passes = (filter: SourceFilter, source: IpAddress): boolean =>
  hasAddress(filter.sources, source) === filter.includes;

/**
 * What a link has to receive so that every listener gets what it wants (RFC 3376 §3.2, RFC 3810 §4.2): where
 * one excludes, all but what every one of those excludes and nobody includes; else what anybody includes.
 */
export function mergeFilters(listeners: readonly SourceFilter[]): SourceFilter {
  const included: IpAddress[] = [];
  let excluded: readonly IpAddress[] | undefined;
  for (const { includes, sources } of listeners) {
    if (includes) included.push(...without(sources, included));
    else excluded = excluded === undefined ? sources : common(excluded, sources);
  }
  if (excluded === undefined) return { includes: true, sources: included };
  return { includes: false, sources: without(excluded, included) };
}
