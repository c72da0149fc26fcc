/**
 * Own addresses: which port has which, the routes they make, and the quick answer to "is this us?".
 */
import { ArgumentRangeError, StackError } from '../base/errors.js';
import { IpAddress, type IpFamily, IpPrefix } from '../wire/ip-address.js';
import { IPV6_MIN_MTU } from '../wire/ipv6.js';
import { AddressSet } from './address-set.js';
import { type GroupTable, REPORTED, SILENT, solicitedNode } from './groups.js';
import type { OutputPort } from './interfaces.js';
import type { SourceFilter } from './multicast/source-filter.js';
import type { IpOptions } from './options.js';
import type { PortTable } from './ports.js';
import { type Route, RouteScope, type RouteScopeName, type RouteSpec } from './route.js';
import type { Routing } from './routing.js';

/** What may be said of an address that is added. */
export interface AddressOptions {
  /** How far it is valid; by default what the address itself says: host, link or global. */
  readonly scope?: RouteScopeName;
  /** Still accepted, but no longer chosen for new flows while there is another. */
  readonly deprecated?: boolean;
  /** A privacy address (RFC 8981). */
  readonly temporary?: boolean;
  /** The router that advertised its prefix (RFC 6724 §5 rule 5.5). */
  readonly advertisedBy?: string | IpAddress;
  /** Make no route to its prefix. */
  readonly noPrefixRoute?: boolean;
  /**
   * Whether to find out first if somebody on the link has it (RFC 4862 §5.4, RFC 5227 §2.1), and not to use it before;
   * only on links that can. By default as the link is set.
   */
  readonly probe?: boolean;
}

/** One address of one port. */
export interface AddressEntry {
  readonly address: IpAddress;
  /** Prefix length. */
  readonly length: number;
  readonly port: number;
  /** A `RouteScope`. */
  readonly scope: number;
  deprecated: boolean;
  readonly temporary: boolean;
  readonly advertisedBy: IpAddress | undefined;
  readonly noPrefixRoute: boolean;
  /** Not used until the link knows that nobody else has it. */
  tentative: boolean;
  /** Not the first of its IPv4 subnet on its port: chosen only when asked for. */
  secondary: boolean;
  /** What it put into the tables. */
  readonly routes: Route[];
}

/** Kind of an address in the quick table; the port index lies above. */
const UNICAST = 0;
const BROADCAST = 1;

/** Metric of the routes to prefixes of own IPv6 addresses, as Linux has it. */
const PREFIX_METRIC_6 = 256;

export class AddressBook {
  readonly #routing: Routing;
  readonly #ports: PortTable;
  readonly #groups: GroupTable;
  readonly #options: IpOptions;
  readonly #quick = new AddressSet();
  #entries: AddressEntry[] = [];
  #usable: readonly AddressEntry[] = [];

  constructor(env: { routing: Routing; ports: PortTable; groups: GroupTable; options: IpOptions }) {
    this.#routing = env.routing;
    this.#ports = env.ports;
    this.#groups = env.groups;
    this.#options = env.options;
  }

  list(): readonly AddressEntry[] {
    return this.#entries;
  }

  /** Those that may be the source of packets. */
  usable(): readonly AddressEntry[] {
    return this.#usable;
  }

  /** The port that has a unicast address, or -1. */
  portOf(w0: number, w1: number, w2: number, w3: number): number {
    const value = this.#quick.get(w0, w1, w2, w3);
    return value >= 0 && (value & 1) === UNICAST ? value >> 1 : -1;
  }

  /** Whether it is an address of ours, unicast or broadcast. */
  owns(w0: number, w1: number, w2: number, w3: number): boolean {
    return this.#quick.get(w0, w1, w2, w3) >= 0;
  }

  /** Whether it is the broadcast or network address of an own subnet. */
  isBroadcast(w0: number, w1: number, w2: number, w3: number): boolean {
    const value = this.#quick.get(w0, w1, w2, w3);
    return value >= 0 && (value & 1) === BROADCAST;
  }

  /** Whether this very port has the address. */
  has(port: number, address: IpAddress): boolean {
    return this.#entries.some((entry) => entry.port === port && entry.address.equals(address));
  }

  /** Whether this very port has the address, and uses it. */
  uses(port: number, address: IpAddress): boolean {
    return this.#usable.some((entry) => entry.port === port && entry.address.equals(address));
  }

  /** Whether `address` lies in the subnet of an address of the port. */
  isOnLink(port: number, address: IpAddress): boolean {
    return this.#entries.some(
      (entry) => entry.port === port && new IpPrefix(entry.address, entry.length).contains(address),
    );
  }

  /**
   * Gives a port an address: `10.0.0.1/24`, `2001:db8::1/64`; without a length it stands alone.
   * @throws StackError ENODEV for no such port; EEXIST when the port has it; EINVAL for what is no host
   * address, or IPv6 on a link below 1280 bytes (RFC 8200 §5); ENOBUFS for one too many
   */
  add(port: number, prefix: IpPrefix, options: AddressOptions = {}): void {
    const { address, length } = prefix;
    const fail = (code: string): StackError => new StackError(code, 'address', prefix.toString());
    const output = this.#ports.get(port);
    if (output === undefined) throw fail('ENODEV');
    const host = !address.isMulticast && !address.isUnspecified && !address.isLimitedBroadcast;
    if (!host || (address.family === 4 && address.w3 >>> 28 === 15)) throw fail('EINVAL');
    if (address.isLoopback && !output.isLoopback) throw fail('EINVAL');
    if (address.family === 6 && output.mtu < IPV6_MIN_MTU) throw fail('EINVAL');
    if (this.has(port, address)) throw fail('EEXIST');
    if (this.#entries.length >= this.#options.addresses) throw fail('ENOBUFS');
    const entry: AddressEntry = {
      address,
      length,
      port,
      scope: options.scope === undefined ? naturalScope(address) : scopeOf(options.scope),
      deprecated: options.deprecated ?? false,
      temporary: options.temporary ?? false,
      advertisedBy:
        typeof options.advertisedBy === 'string'
          ? IpAddress.parse(options.advertisedBy)
          : options.advertisedBy,
      noPrefixRoute: options.noPrefixRoute ?? false,
      tentative: false,
      secondary: address.family === 4 && this.#primaryOf(port, prefix) !== undefined,
      routes: [],
    };
    this.#entries = [...this.#entries, entry];
    if (address.family === 6 && !address.isLoopback) {
      this.#groups.join(port, solicitedNode(address), listenerOf(output));
    }
    entry.tentative = output.addressAdded?.(address, options.probe) ?? false;
    if (!entry.tentative) this.#makeRoutes(entry, output);
    this.refresh();
  }

  /** A tentative address is used from now on. */
  settle(port: number, address: IpAddress): void {
    const entry = this.#entries.find((other) => other.port === port && other.address.equals(address));
    const output = this.#ports.get(port);
    if (entry?.tentative !== true || output === undefined) return;
    entry.tentative = false;
    this.#makeRoutes(entry, output);
    this.refresh();
  }

  /** Whether an address is chosen for new flows while there is another. */
  deprecate(port: number, address: IpAddress, isDeprecated: boolean): void {
    const entry = this.#entries.find((other) => other.port === port && other.address.equals(address));
    if (entry === undefined || entry.deprecated === isDeprecated) return;
    entry.deprecated = isDeprecated;
    this.#routing.changed();
  }

  /**
   * Takes an address from a port, with the routes it made and those that prefer it as source. The
   * secondaries of an IPv4 primary go with it, unless `promoteSecondaries`.
   * @throws StackError EADDRNOTAVAIL when the port does not have it
   */
  remove(port: number, address: IpAddress): void {
    const entry = this.#entries.find((other) => other.port === port && other.address.equals(address));
    if (entry === undefined) throw new StackError('EADDRNOTAVAIL', 'address', address.toString());
    this.#drop(entry);
    if (address.family === 4 && !entry.secondary) this.#replacePrimary(entry);
    this.refresh();
  }

  /** Forgets a port and its addresses. */
  portRemoved(port: number): void {
    for (const entry of this.#entries) if (entry.port === port) this.#drop(entry);
    this.refresh();
  }

  /** Fills the quick table anew: after a change of addresses, or a port came up or went down. */
  refresh(): void {
    this.#quick.clear();
    const usable = this.#entries.filter((entry) => !entry.tentative);
    const up = usable.filter((entry) => this.#ports.isUp(entry.port));
    this.#usable = usable;
    for (const { address, length, port } of up) {
      const prefix = new IpPrefix(address, length);
      const broadcast = prefix.broadcast;
      if (broadcast === undefined || this.#ports.get(port)?.isLoopback === true) continue;
      this.#quick.set(broadcast, (port << 1) | BROADCAST);
      this.#quick.set(prefix.network.address, (port << 1) | BROADCAST);
    }
    // Unicast after broadcast: an address that is both is ours. The first port that has it keeps it.
    for (const { address, port } of up.toReversed()) this.#quick.set(address, (port << 1) | UNICAST);
    this.#routing.changed();
  }

  #drop(entry: AddressEntry): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
    for (const route of entry.routes) this.#routing.routes.remove(route);
    entry.routes.length = 0;
    if (entry.address.family === 6 && !entry.address.isLoopback) {
      const output = this.#ports.get(entry.port);
      this.#groups.leave(entry.port, solicitedNode(entry.address), listenerOf(output));
    }
    this.#ports.get(entry.port)?.addressRemoved?.(entry.address);
    if (!this.#entries.some((other) => other.address.equals(entry.address))) {
      this.#routing.routes.sourceRemoved(entry.address);
    }
  }

  /** The primary address of a subnet on a port. */
  #primaryOf(port: number, prefix: IpPrefix): AddressEntry | undefined {
    return this.#entries.find(
      (entry) =>
        entry.port === port &&
        !entry.secondary &&
        entry.length === prefix.length &&
        prefix.contains(entry.address),
    );
  }

  #replacePrimary(gone: AddressEntry): void {
    const subnet = new IpPrefix(gone.address, gone.length);
    const secondaries = this.#entries.filter(
      (entry) =>
        entry.port === gone.port &&
        entry.secondary &&
        entry.length === gone.length &&
        subnet.contains(entry.address),
    );
    if (!this.#options.promoteSecondaries) {
      for (const entry of secondaries) this.#drop(entry);
      return;
    }
    const [first] = secondaries;
    const output = this.#ports.get(gone.port);
    if (first === undefined || output === undefined) return;
    for (const route of first.routes) this.#routing.routes.remove(route);
    first.routes.length = 0;
    first.secondary = false;
    this.#makeRoutes(first, output);
  }

  /** The routes an address makes: to itself, to its broadcast addresses, to its subnet. */
  #makeRoutes(entry: AddressEntry, port: OutputPort): void {
    const { address, length } = entry;
    const prefix = new IpPrefix(address, length);
    const install = (spec: RouteSpec): void => {
      entry.routes.push(
        this.#routing.routes.install({ protocol: 'kernel', port: port.index, source: address, ...spec }),
      );
    };
    install({ destination: new IpPrefix(address, address.bits), type: 'local', metric: 0 });
    if (entry.secondary) return;
    if (port.isLoopback) {
      if (address.family === 4 && length < 32) install({ destination: prefix.network, type: 'local' });
      return;
    }
    if (length < address.bits && !entry.noPrefixRoute) {
      const metric = address.family === 6 ? PREFIX_METRIC_6 : 0;
      // A source of its own is for IPv4 only: IPv6 chooses by RFC 6724.
      const source = address.family === 6 ? {} : { source: address };
      entry.routes.push(
        this.#routing.routes.install({
          protocol: 'kernel',
          port: port.index,
          destination: prefix.network,
          scope: 'link',
          metric,
          ...source,
        }),
      );
    }
    const broadcast = prefix.broadcast;
    if (broadcast === undefined) return;
    install({ destination: new IpPrefix(broadcast, 32), type: 'broadcast' });
    install({ destination: new IpPrefix(prefix.network.address, 32), type: 'broadcast' });
  }
}

/** Groups of own addresses are reported where neighbours ask for them (RFC 4861 §7.2.1), and silent elsewhere. */
const listenerOf = (output: OutputPort | undefined): SourceFilter =>
  output?.resolves === true ? REPORTED : SILENT;

function naturalScope(address: IpAddress): number {
  if (address.isLoopback) return RouteScope.host;
  return address.family === 6 && address.isLinkLocal ? RouteScope.link : RouteScope.global;
}

function scopeOf(scope: RouteScopeName): number {
  const number = RouteScope[scope];
  if (number === undefined) throw new ArgumentRangeError(`not a scope: ${scope}`);
  return number;
}

/** An address of the stack, for readers. */
export interface AddressDescription {
  /** With its prefix length: `10.0.0.1/24`. */
  readonly address: string;
  /** Index of the link that has it. */
  readonly port: number;
  /** Version of IP. */
  readonly family: IpFamily;
  /** How far it is valid: 0 everywhere, 253 the link, 254 this host. */
  readonly scope: number;
  /** Not the first of its IPv4 subnet on its link: chosen as source only when asked for. */
  readonly secondary: boolean;
  /** Still accepted, but no longer chosen for new flows while there is another. */
  readonly deprecated: boolean;
  /** A privacy address (RFC 8981). */
  readonly temporary: boolean;
  /** Not used yet: the link finds out whether somebody else has it. */
  readonly tentative: boolean;
}

export const describeAddress = (entry: AddressEntry): AddressDescription => ({
  address: `${entry.address}/${entry.length}`,
  port: entry.port,
  family: entry.address.family,
  scope: entry.scope,
  secondary: entry.secondary,
  deprecated: entry.deprecated,
  temporary: entry.temporary,
  tentative: entry.tentative,
});
