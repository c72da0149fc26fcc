/**
 * Choosing a source address: Linux's rule for IPv4 (`inet_select_addr`), RFC 6724 for IPv6; and ordering
 * destinations (RFC 6724 §6).
 */
import { type IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { AddressEntry } from './addresses.js';
import type { OutputPort } from './interfaces.js';
import type { PortTable } from './ports.js';
import { RouteScope } from './route.js';

/** Scopes of unicast and multicast addresses (RFC 6724 §3.1). */
const SCOPE_LINK = 2;
const SCOPE_SITE = 5;
const SCOPE_GLOBAL = 14;

interface Policy {
  readonly prefix: IpPrefix;
  readonly precedence: number;
  readonly label: number;
}

const policy = (prefix: string, precedence: number, label: number): Policy => ({
  prefix: IpPrefix.parse(prefix),
  precedence,
  label,
});

/** The default policy table (RFC 6724 §2.1), most specific first. `0.0.0.0/0` stands for ::ffff:0:0/96. */
const POLICIES: readonly Policy[] = [
  policy('::1/128', 50, 0),
  policy('0.0.0.0/0', 35, 4),
  policy('::/96', 1, 3),
  policy('2001::/32', 5, 5),
  policy('2002::/16', 30, 2),
  policy('3ffe::/16', 1, 12),
  policy('fec0::/10', 1, 11),
  policy('fc00::/7', 3, 13),
  policy('::/0', 40, 1),
];

/** Precedence and label of an address. */
export const policyOf = (address: IpAddress): Policy =>
  POLICIES.find(({ prefix }) => prefix.contains(address)) ?? POLICIES[POLICIES.length - 1];

/** The scope of an address as RFC 6724 §3 counts: link-local 2, site-local 5, global 14. */
export function scopeOf(address: IpAddress): number {
  if (address.family === 6 && address.isMulticast) return (address.w0 >>> 16) & 15;
  if (address.isLinkLocal || address.isLoopback) return SCOPE_LINK;
  if (address.family === 6 && address.w0 >>> 22 === 0x3fb) return SCOPE_SITE;
  return SCOPE_GLOBAL;
}

/** How many leading bits two addresses share, at most `limit`. */
export function commonPrefix(a: IpAddress, b: IpAddress, limit: number): number {
  let bits = 0;
  for (let i = a.family === 4 ? 3 : 0; i < 4; i++) {
    const shared = Math.clz32(a.word(i) ^ b.word(i));
    bits += shared;
    if (shared < 32) break;
  }
  return Math.min(bits, limit);
}

/** What a choice is about. */
export interface SourceQuestion {
  readonly destination: IpAddress;
  /** First hop, when it is not the destination. */
  readonly gateway: IpAddress | undefined;
  readonly port: OutputPort;
  /** Greatest scope number an IPv4 address may have (`fib_info` scope). */
  readonly scope: number;
  readonly preferTemporary: boolean;
}

/**
 * IPv4: the first primary address of the outgoing port whose subnet holds the next hop, else the first
 * whose scope will do, else such an address of another port.
 */
export function selectSource4(
  entries: readonly AddressEntry[],
  question: SourceQuestion,
  ports: PortTable,
): IpAddress | undefined {
  const nextHop = question.gateway ?? question.destination;
  const usable = entries.filter(
    (entry) =>
      entry.address.family === 4 &&
      !entry.secondary &&
      entry.scope <= question.scope &&
      ports.isUp(entry.port),
  );
  const own = usable.filter((entry) => entry.port === question.port.index);
  const near = own.find((entry) => new IpPrefix(entry.address, entry.length).contains(nextHop));
  const found = near ?? own[0] ?? usable.find((entry) => entry.scope !== RouteScope.link);
  return found?.address;
}

/** IPv6: the best of the candidates by the rules of RFC 6724 §5, in their order. */
export function selectSource6(
  entries: readonly AddressEntry[],
  question: SourceQuestion,
  ports: PortTable,
): IpAddress | undefined {
  const { destination, port } = question;
  // RFC 6724 §4: for multicast and link-local destinations only addresses of the outgoing port count.
  const bound = destination.isMulticast || destination.isLinkLocal;
  let best: AddressEntry | undefined;
  for (const entry of entries) {
    if (entry.address.family !== 6 || !ports.isUp(entry.port)) continue;
    if (bound && entry.port !== port.index) continue;
    // A link-local address means nothing on another link, ::1 nothing outside.
    if (entry.address.isLinkLocal && entry.port !== port.index) continue;
    if (entry.address.isLoopback && !port.isLoopback) continue;
    if (best === undefined || isBetter6(entry, best, question)) best = entry;
  }
  return best?.address;
}

/** Whether `a` is preferred to `b`, which came first. */
function isBetter6(a: AddressEntry, b: AddressEntry, question: SourceQuestion): boolean {
  for (const compare of SOURCE_RULES) {
    const difference = compare(a, b, question);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

type SourceRule = (a: AddressEntry, b: AddressEntry, question: SourceQuestion) => number;

/** 1 when only the first holds, -1 when only the second does. */
const prefer = (a: boolean, b: boolean): number => Number(a) - Number(b);

/** RFC 6724 §5, rules 1 to 8; there are no home addresses (rule 4). */
const SOURCE_RULES: readonly SourceRule[] = [
  (a, b, { destination }) => prefer(a.address.equals(destination), b.address.equals(destination)),
  (a, b, { destination }) => {
    const wanted = scopeOf(destination);
    const scopeA = scopeOf(a.address);
    const scopeB = scopeOf(b.address);
    if (scopeA === scopeB) return 0;
    return scopeA < scopeB ? (scopeA < wanted ? -1 : 1) : scopeB < wanted ? 1 : -1;
  },
  (a, b) => prefer(!a.deprecated, !b.deprecated),
  (a, b, { port }) => prefer(a.port === port.index, b.port === port.index),
  (a, b, { gateway }) =>
    gateway === undefined
      ? 0
      : prefer(a.advertisedBy?.equals(gateway) === true, b.advertisedBy?.equals(gateway) === true),
  (a, b, { destination }) => {
    const { label } = policyOf(destination);
    return prefer(policyOf(a.address).label === label, policyOf(b.address).label === label);
  },
  (a, b, { preferTemporary }) => prefer(a.temporary === preferTemporary, b.temporary === preferTemporary),
  (a, b, { destination }) =>
    commonPrefix(a.address, destination, a.length) - commonPrefix(b.address, destination, b.length),
];

/** A destination to be ordered, with the source a flow to it would have. */
export interface DestinationChoice {
  readonly destination: IpAddress;
  /** undefined when it cannot be reached. */
  readonly source: IpAddress | undefined;
  readonly deprecated: boolean;
  /** Bits of the source's prefix. */
  readonly sourceLength: number;
}

/** What is known of a destination to which `path` leads. */
export function choiceOf(
  destination: IpAddress,
  path: { readonly unusable: string; readonly source: IpAddress },
  entries: readonly AddressEntry[],
): DestinationChoice {
  const source = path.unusable === '' ? path.source : undefined;
  const entry = entries.find(({ address }) => source !== undefined && address.equals(source));
  return { destination, source, deprecated: entry?.deprecated ?? false, sourceLength: entry?.length ?? 0 };
}

/** Best first, equals in the order given (RFC 6724 §6). There are no home addresses and no tunnels (4, 7). */
export function orderDestinations(choices: readonly DestinationChoice[]): DestinationChoice[] {
  return choices.toSorted((a, b) => -compareDestinations(a, b));
}

/** Above 0 when `a` is better. */
function compareDestinations(a: DestinationChoice, b: DestinationChoice): number {
  if (a.source === undefined || b.source === undefined) {
    return prefer(a.source !== undefined, b.source !== undefined);
  }
  const policyA = policyOf(a.destination);
  const policyB = policyOf(b.destination);
  const scopeA = scopeOf(a.destination);
  const scopeB = scopeOf(b.destination);
  const longest =
    a.destination.family === b.destination.family
      ? commonPrefix(a.source, a.destination, a.sourceLength) -
        commonPrefix(b.source, b.destination, b.sourceLength)
      : 0;
  const steps = [
    prefer(scopeA === scopeOf(a.source), scopeB === scopeOf(b.source)),
    prefer(!a.deprecated, !b.deprecated),
    prefer(policyA.label === policyOf(a.source).label, policyB.label === policyOf(b.source).label),
    policyA.precedence - policyB.precedence,
    scopeB - scopeA,
    longest,
  ];
  return steps.find((step) => step !== 0) ?? 0;
}
