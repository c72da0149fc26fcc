/** The options of UDP: those of a stack and those of a socket. */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';

/** Settings of UDP as a whole, of one stack. */
export interface UdpOptions {
  /** Ports given to sockets that ask for none, both included (Linux ip_local_port_range). */
  readonly ephemeralPorts: readonly [number, number];
  /** Ports of that range never given out. */
  readonly reservedPorts: readonly number[];
  /** Receive queue of a socket, bytes with overhead (Linux rmem_default). */
  readonly receiveBufferBytes: number;
  /** The most a socket may ask for. */
  readonly maxReceiveBufferBytes: number;
  /** The receive queues of all sockets together, bytes. */
  readonly memoryBytes: number;
  /** Most sockets at once; one more is `ENOBUFS`. */
  readonly maxSockets: number;
  /** ICMP errors kept for a socket that asked for them. */
  readonly errorQueue: number;
  /** Multicast memberships of one socket (Linux igmp_max_memberships). */
  readonly maxMemberships: number;
  /** Sources of one membership (Linux igmp_max_msf). */
  readonly maxSources: number;
}

export const DEFAULT_UDP_OPTIONS: UdpOptions = Object.freeze({
  ephemeralPorts: [32_768, 60_999] as const,
  reservedPorts: [],
  receiveBufferBytes: 212_992,
  maxReceiveBufferBytes: 16 << 20,
  memoryBytes: 64 << 20,
  maxSockets: 65_536,
  errorQueue: 64,
  maxMemberships: 20,
  maxSources: 10,
});

/**
 * The defaults with `given` in place of some of them.
 * @throws TypeError for an unknown name, ArgumentTypeError or ArgumentRangeError for a wrong value
 */
export function resolveUdpOptions(given: Partial<UdpOptions> = {}): UdpOptions {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_UDP_OPTIONS, key)) throw new TypeError(`unknown UDP option "${key}"`);
    if (key === 'ephemeralPorts' || key === 'reservedPorts') checkPorts(key, value);
    else if (!(Number.isSafeInteger(value) && (value as number) >= 0)) {
      throw new ArgumentRangeError(`UDP option "${key}" must be an integer from 0, not ${String(value)}`);
    }
  }
  const options = { ...DEFAULT_UDP_OPTIONS, ...given };
  const [first, last] = options.ephemeralPorts;
  if (options.ephemeralPorts.length !== 2 || first > last) {
    throw new ArgumentRangeError('ephemeralPorts must be the first and the last port');
  }
  return Object.freeze(options);
}

function checkPorts(key: string, value: unknown): void {
  if (!Array.isArray(value)) throw new ArgumentTypeError(`UDP option "${key}" must be an array of ports`);
  for (const port of value) {
    if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
      throw new ArgumentRangeError(`UDP option "${key}" has no port ${String(port)}`);
    }
  }
}

/**
 * What is done about the path MTU (RFC 8085 §3.2; Linux IP_MTU_DISCOVER).
 * `want`: DF where the datagram fits, fragments where not. `do`: DF always, `EMSGSIZE` where it does not
 * fit. `probe`: DF always, up to the MTU of the link, whatever ICMP says. `dont`: never DF.
 */
export type MtuDiscovery = 'want' | 'do' | 'probe' | 'dont';

/** What can be set on a socket, at any time. */
export interface UdpSocketOptions {
  /** Share the port with sockets that allow it too; the last one bound receives. */
  reuseAddress?: boolean;
  /** Share the port; senders are spread over the group by hash. */
  reusePort?: boolean;
  /** An IPv6 socket that is not for IPv4. */
  v6Only?: boolean;
  /** Whether it may send to broadcast addresses; without, that is `EACCES`. */
  broadcast?: boolean;
  /** TTL or hop limit of unicast datagrams, 1 .. 255; 0: that of the route. */
  hopLimit?: number;
  /** DSCP and ECN of datagrams sent, 0 .. 255. */
  trafficClass?: number;
  /** Routing mark of datagrams sent. */
  mark?: number;
  /** Index of the only link used; 0: any. */
  boundLink?: number;
  /** Receive queue, bytes with overhead, up to `maxReceiveBufferBytes`; 0: as the stack has it. */
  receiveBufferBytes?: number;
  /** What is done about the path MTU; `want` by default. */
  mtuDiscovery?: MtuDiscovery;
  /** Keep ICMP errors in the error queue, soft ones too, and report them also while unconnected. */
  receiveErrors?: boolean;
  /** Send without checksum over IPv4 (Linux SO_NO_CHECK). Not for use across the Internet (RFC 8085 §3.4). */
  noChecksum?: boolean;
  /** Send without checksum over IPv6: only for tunnels that meet RFC 6936 §4. */
  noChecksum6Send?: boolean;
  /** Accept datagrams without checksum over IPv6 (RFC 6935 §5). */
  noChecksum6Receive?: boolean;
  /** Link of multicast sent, by index, 0 for the loopback; -1: by route. */
  multicastLink?: number;
  /** TTL or hop limit of multicast sent, 0 .. 255; 1 by default. 0 stays on this host. */
  multicastHopLimit?: number;
  /** Whether members on this host receive what is sent; true by default. */
  multicastLoop?: boolean;
  /** Whether groups that others on this host have joined are received too; true by default, as on Linux. */
  multicastAll?: boolean;
}

export const DEFAULT_SOCKET_OPTIONS: Readonly<Required<UdpSocketOptions>> = Object.freeze({
  reuseAddress: false,
  reusePort: false,
  v6Only: false,
  broadcast: false,
  hopLimit: 0,
  trafficClass: 0,
  mark: 0,
  boundLink: 0,
  receiveBufferBytes: 0,
  mtuDiscovery: 'want',
  receiveErrors: false,
  noChecksum: false,
  noChecksum6Send: false,
  noChecksum6Receive: false,
  multicastLink: -1,
  multicastHopLimit: 1,
  multicastLoop: true,
  multicastAll: true,
});

const MODES: ReadonlySet<unknown> = new Set<MtuDiscovery>(['want', 'do', 'probe', 'dont']);
const MOST: Readonly<Record<string, number>> = { hopLimit: 255, trafficClass: 255, multicastHopLimit: 255 };

/** @throws ArgumentTypeError for what is no port */
export function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ArgumentTypeError(`a port is an integer within 0 .. 65535, not ${port}`);
  }
}

/** @throws TypeError for an unknown name, ArgumentTypeError or ArgumentRangeError for a wrong value */
export function checkSocketOptions(given: UdpSocketOptions): void {
  for (const [key, value] of Object.entries(given)) {
    const model: unknown = (DEFAULT_SOCKET_OPTIONS as unknown as Record<string, unknown>)[key];
    if (model === undefined) throw new TypeError(`unknown socket option "${key}"`);
    if (typeof value !== typeof model) throw new ArgumentTypeError(`${key} must be a ${typeof model}`);
    if (key === 'mtuDiscovery' && !MODES.has(value)) {
      throw new ArgumentTypeError(`mtuDiscovery must be want, do, probe or dont, not ${String(value)}`);
    }
    if (typeof value !== 'number') continue;
    const most = MOST[key] ?? 0xffff_ffff;
    const least = key === 'multicastLink' ? -1 : 0;
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new ArgumentRangeError(`${key} must be an integer within ${least} .. ${most}, not ${value}`);
    }
  }
}
