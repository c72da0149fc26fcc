/**
 * The registries of special-purpose addresses (RFC 6890 §2.2, as RFC 8190 changed them): what an address
 * may be used for. Prefixes for documentation are listed but not treated differently (RFC 5737 §4 leaves
 * that to operators).
 */
import { type IpAddress, IpPrefix } from '../wire/ip-address.js';

export interface SpecialPurpose {
  readonly prefix: IpPrefix;
  readonly name: string;
  /** Whether a packet may have such an address as source, and as destination. */
  readonly source: boolean;
  readonly destination: boolean;
  /** Whether routers may forward such packets, and whether across administrative borders. */
  readonly forwardable: boolean;
  readonly global: boolean;
  /** Whether the protocol itself says so, and not only a registry. */
  readonly reserved: boolean;
}

/** Columns in the order of RFC 6890: source, destination, forwardable, global, reserved by protocol. */
const REGISTRY: readonly SpecialPurpose[] = (
  [
    ['0.0.0.0/8', 'this host on this network', '+---+'],
    ['10.0.0.0/8', 'private use', '+++--'],
    ['100.64.0.0/10', 'shared address space', '+++--'],
    ['127.0.0.0/8', 'loopback', '----+'],
    ['169.254.0.0/16', 'link local', '++--+'],
    ['172.16.0.0/12', 'private use', '+++--'],
    ['192.0.0.0/24', 'IETF protocol assignments', '-----'],
    ['192.0.0.0/29', 'IPv4 service continuity', '+++--'],
    ['192.0.0.8/32', 'IPv4 dummy address', '+----'],
    ['192.0.0.9/32', 'port control protocol anycast', '++++-'],
    ['192.0.0.10/32', 'TURN anycast', '++++-'],
    ['192.0.0.170/31', 'NAT64 discovery', '----+'],
    ['192.0.2.0/24', 'documentation', '-----'],
    ['192.31.196.0/24', 'AS112', '++++-'],
    ['192.52.193.0/24', 'AMT', '++++-'],
    ['192.88.99.0/24', '6to4 relay anycast, deprecated', '++++-'],
    ['192.168.0.0/16', 'private use', '+++--'],
    ['192.175.48.0/24', 'AS112', '++++-'],
    ['198.18.0.0/15', 'benchmarking', '+++--'],
    ['198.51.100.0/24', 'documentation', '-----'],
    ['203.0.113.0/24', 'documentation', '-----'],
    ['240.0.0.0/4', 'reserved', '----+'],
    ['255.255.255.255/32', 'limited broadcast', '-+--+'],
    ['::1/128', 'loopback', '----+'],
    ['::/128', 'unspecified', '+---+'],
    ['64:ff9b::/96', 'IPv4-IPv6 translation', '++++-'],
    ['64:ff9b:1::/48', 'IPv4-IPv6 translation', '+++--'],
    ['100::/64', 'discard only', '+++--'],
    ['2001::/23', 'IETF protocol assignments', '-----'],
    ['2001::/32', 'Teredo', '+++--'],
    ['2001:2::/48', 'benchmarking', '+++--'],
    ['2001:10::/28', 'ORCHID, deprecated', '-----'],
    ['2001:20::/28', 'ORCHIDv2', '++++-'],
    ['2001:db8::/32', 'documentation', '-----'],
    ['2002::/16', '6to4', '+++--'],
    ['fc00::/7', 'unique local', '+++--'],
    ['fe80::/10', 'link-local unicast', '++--+'],
  ] as const
).map(([prefix, name, columns]) => ({
  prefix: IpPrefix.parse(prefix),
  name,
  source: columns[0] === '+',
  destination: columns[1] === '+',
  forwardable: columns[2] === '+',
  global: columns[3] === '+',
  reserved: columns[4] === '+',
}));

/**
 * What the registries say of an address: the most specific entry; undefined for one that is like any
 * other. IPv4-mapped addresses (::ffff:0:0/96) exist in APIs only and count as the IPv4 address they hold.
 */
export function specialPurpose(address: IpAddress): SpecialPurpose | undefined {
  let best: SpecialPurpose | undefined;
  for (const entry of REGISTRY) {
    if (entry.prefix.contains(address) && entry.prefix.length >= (best?.prefix.length ?? 0)) best = entry;
  }
  return best;
}

/** Whether an address means the same everywhere (RFC 6890, "Global"). */
export const isGlobal = (address: IpAddress): boolean =>
  !address.isMulticast && (specialPurpose(address)?.global ?? true);
