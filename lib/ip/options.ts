/**
 * The options of IP: one frozen object. Defaults are Linux's unless said otherwise.
 */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';

/** Settings of IP, of one stack. Defaults are Linux's unless said otherwise. */
export interface IpOptions {
  /** TTL and hop limit of what is sent, 1 .. 255 (RFC 1122 §3.2.1.7). */
  readonly hopLimit: number;
  /** The same for multicast, 1 .. 255. */
  readonly multicastHopLimit: number;
  /** Accept a packet only on the port that owns its destination address (RFC 1122 §3.3.4.2 (A)). */
  readonly strongHost: boolean;
  /** Drop packets whose source is not routed back: through the same port (`strict`) or at all (`loose`). */
  readonly reversePathFilter: 'off' | 'strict' | 'loose';
  /** Accept 127.0.0.0/8 from, and send it to, ports that are no loopback. */
  readonly routeLocalnet: boolean;
  /** Accept own addresses as source of packets that come from outside. */
  readonly acceptLocal: boolean;
  /**
   * Pass on what is for others, by routes and rules (RFC 1812). Off, such packets are dropped, as RFC 1122 §3.1 wants
   * of a host.
   */
  readonly forwarding: boolean;
  /** Pass on packets to the broadcast address of another link too (RFC 2644 §2 wants that off). */
  readonly directedBroadcast: boolean;
  /** Tell neighbours of a better first hop, on links that have neighbours (RFC 1812 §5.2.7.2, RFC 4861 §8.2). */
  readonly sendRedirects: boolean;
  /**
   * Lower the MSS in SYNs that pass: to what the narrower of both links takes (`path`), and to so many bytes
   * besides, 64 .. 65495 (a number); or not at all (`off`). A link with such a setting has it both ways.
   */
  readonly mssClamp: 'off' | 'path' | number;
  /** Obey ICMP redirects from the gateway in use (RFC 1122 §3.2.2.2). */
  readonly acceptRedirects: boolean;
  /** How long a redirect holds, ms. */
  readonly redirectMs: number;
  /** Answer echo requests. */
  readonly echoReplies: boolean;
  /** Answer IPv4 echo requests to broadcast and multicast addresses. */
  readonly echoBroadcast: boolean;
  /** Answer IPv6 echo requests to multicast groups. */
  readonly echoMulticast6: boolean;
  /** ICMP errors sent to all together, per second (RFC 1812 §4.3.2.8). */
  readonly icmpErrorsPerSecond: number;
  /** How many of them may go at once. */
  readonly icmpErrorBurst: number;
  /** One ICMP error to one destination in so many ms; 0 for no limit. */
  readonly icmpDestinationMs: number;
  /** How many of them may go at once. */
  readonly icmpDestinationBurst: number;
  /** Memory for incomplete datagrams, bytes: above it the oldest go. */
  readonly reassemblyHighBytes: number;
  /** How far it is freed then, bytes. */
  readonly reassemblyLowBytes: number;
  /** Incomplete datagrams at once. */
  readonly reassemblyDatagrams: number;
  /** Fragments of other datagrams of one source that may come between two of one datagram; 0 for any. */
  readonly reassemblyDistance: number;
  /** How long an IPv4 datagram may stay incomplete, ms. */
  readonly reassemblyMs4: number;
  /** How long an IPv6 datagram may stay incomplete, ms. */
  readonly reassemblyMs6: number;
  /** How long a learnt path MTU holds, ms (RFC 8201 §4). */
  readonly pathMtuMs: number;
  /** Least IPv4 path MTU believed, bytes; a smaller one is answered by fragmenting. */
  readonly pathMtuFloor4: number;
  /** Destinations with a learnt path MTU or redirect. */
  readonly pathExceptions: number;
  /** When a primary IPv4 address goes, its first secondary takes its place instead of going too. */
  readonly promoteSecondaries: boolean;
  /** Prefer temporary IPv6 addresses as source (RFC 6724 §5 rule 7). */
  readonly preferTemporary: boolean;
  /** What chooses among the next hops of a multipath route: addresses, or addresses and ports. */
  readonly multipathHash: 'l3' | 'l4';
  /** Give every IPv6 flow a label (RFC 6437). */
  readonly flowLabels: boolean;
  /** IPv6 extension headers of one packet (RFC 8504 §5.3). */
  readonly extensionHeaders: number;
  /** Options of one extension header (RFC 8504 §5.3). */
  readonly optionsPerHeader: number;
  /** Most routes in all tables. */
  readonly routes: number;
  /** Most rules. */
  readonly rules: number;
  /** Most addresses. */
  readonly addresses: number;
  /** Most multicast groups joined. */
  readonly groups: number;
}

export const DEFAULT_IP_OPTIONS: IpOptions = Object.freeze({
  hopLimit: 64,
  multicastHopLimit: 1,
  strongHost: false,
  reversePathFilter: 'off',
  routeLocalnet: false,
  acceptLocal: false,
  forwarding: false,
  directedBroadcast: false,
  sendRedirects: true,
  mssClamp: 'off',
  acceptRedirects: false,
  redirectMs: 300_000,
  echoReplies: true,
  echoBroadcast: false,
  echoMulticast6: true,
  icmpErrorsPerSecond: 1000,
  icmpErrorBurst: 50,
  icmpDestinationMs: 1000,
  icmpDestinationBurst: 6,
  reassemblyHighBytes: 4 << 20,
  reassemblyLowBytes: 3 << 20,
  reassemblyDatagrams: 2048,
  reassemblyDistance: 64,
  reassemblyMs4: 30_000,
  reassemblyMs6: 60_000,
  pathMtuMs: 600_000,
  pathMtuFloor4: 552,
  pathExceptions: 2048,
  promoteSecondaries: false,
  preferTemporary: false,
  multipathHash: 'l3',
  flowLabels: true,
  extensionHeaders: 8,
  optionsPerHeader: 8,
  routes: 1 << 20,
  rules: 4096,
  addresses: 65_536,
  groups: 4096,
});

/** Bounds of the numbers, where they are not 0 .. 2^32-1. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  hopLimit: [1, 255],
  multicastHopLimit: [1, 255],
  icmpErrorsPerSecond: [0, 1_000_000],
  icmpErrorBurst: [0, 1_000_000],
  pathMtuFloor4: [68, 65_535],
  pathExceptions: [1, 1 << 20],
  reassemblyDatagrams: [1, 1 << 20],
  mssClamp: [64, 65_495],
};

const WORDS: Readonly<Record<string, readonly string[]>> = {
  reversePathFilter: ['off', 'strict', 'loose'],
  multipathHash: ['l3', 'l4'],
  mssClamp: ['off', 'path'],
};

/** Those that take a number in place of a word. */
const NUMBER_TOO: ReadonlySet<string> = new Set(['mssClamp']);

/**
 * The defaults with `given` in place of some of them.
 * @throws TypeError for an unknown name, ArgumentTypeError or ArgumentRangeError for a value that can
 * never be right.
 */
export function resolveIpOptions(given: Partial<IpOptions> = {}): IpOptions {
  const defaults = DEFAULT_IP_OPTIONS as unknown as Record<string, unknown>;
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, key)) throw new TypeError(`unknown IP option "${key}"`);
    checkIpOption(key, value, defaults[key]);
  }
  return Object.freeze({ ...DEFAULT_IP_OPTIONS, ...given });
}

/** @throws ArgumentTypeError or ArgumentRangeError for a value of another kind than `model`, or out of range */
export function checkIpOption(key: string, value: unknown, model: unknown): void {
  const isOtherKind = NUMBER_TOO.has(key) && typeof value === 'number';
  if (typeof value !== typeof model && !isOtherKind)
    throw new ArgumentTypeError(`IP option "${key}" must be a ${typeof model}`);
  if (typeof value === 'string' && !WORDS[key]?.includes(value)) {
    throw new ArgumentTypeError(`IP option "${key}" must be one of ${WORDS[key]?.join(', ')}`);
  }
  if (typeof value !== 'number') return;
  const [least, most] = RANGES[key] ?? [0, 0xffff_ffff];
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new ArgumentRangeError(`IP option "${key}" must be ${least} .. ${most}`);
  }
}
