/** What a gateway is opened with. */
import { getServers } from 'node:dns';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { HOST_TIMERS, type RelayTimers } from '../relay/relay-timers.js';
import { Stack } from '../stack/stack.js';
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import { type Place, type PortForward, parseForward, parseServer } from './places.js';

/** Name service for those inside. */
export interface GatewayDns {
  /** Addresses of the stack that answer on port 53. */
  readonly addresses: readonly string[];
  /** Who is asked, with a port where it is not 53: `192.0.2.1`, `[2001:db8::1]:5353`. The host's own by default. */
  readonly servers?: readonly string[];
}

/** What a gateway is opened with. All but the stack may be left out; an unknown option is refused. */
export interface GatewayOptions {
  /** The stack whose links those inside are on. */
  readonly stack: Stack;
  /** Index of the link they are on; any by default. */
  readonly link?: number;
  /**
   * Addresses, one of each family at most, that stand for the host's loopback: what is sent there goes to
   * 127.0.0.1 or ::1. None by default, since what listens only there is not meant for others.
   */
  readonly hostLoopback?: readonly string[];
  /** Prefixes that nobody inside reaches: `10.0.0.0/8`. They hear "administratively prohibited". None by default. */
  readonly deny?: readonly string[];
  /** Name service; none by default. */
  readonly dns?: GatewayDns;
  /**
   * Ports of the host that lead inside: `8080:80`, `0.0.0.0:5353:53/udp`, `[::1]:8080:[fd00::100]:80`. Without an
   * address they listen on 127.0.0.1, and lead to the first of `inside` of the same family.
   */
  readonly publish?: readonly string[];
  /** Ports of the stack's own addresses that lead to the host: `10.0.2.2:5432:127.0.0.1:5432`; to 127.0.0.1 by default. */
  readonly reach?: readonly string[];
  /** Addresses of those inside, for `publish`. */
  readonly inside?: readonly string[];
  /**
   * What becomes of echo requests for other hosts: `answer`, by the gateway itself, which says nothing of the
   * host asked for; or `drop`, the default. Requests for the stack's own addresses are always answered.
   */
  readonly icmp?: 'answer' | 'drop';
  /** Most TCP connections at once, those being dialled included; one more is reset. 8192 by default. */
  readonly maxTcp?: number;
  /** Most UDP flows at once, by inside address and port; 4096 by default. */
  readonly maxUdp?: number;
  /** How long the host may take to connect, ms; 30,000 by default. */
  readonly dialMs?: number;
  /** A TCP connection is reset after so long without a byte, ms; 7,440,000 by default (RFC 5382 §5). 0 for never. */
  readonly tcpIdleMs?: number;
  /** The same once one side has finished; 240,000 by default (RFC 5382 §5). */
  readonly tcpHalfCloseIdleMs?: number;
  /** A UDP flow is forgotten after so long without a datagram, ms; 120,000 by default (RFC 4787 §4.3). */
  readonly udpIdleMs?: number;
  /** Where time comes from; Node's by default. */
  readonly timers?: RelayTimers;
}

/** Options with their defaults, read. */
export interface GatewaySettings {
  readonly stack: Stack;
  readonly link: number | undefined;
  readonly hostLoopback: readonly string[];
  readonly deny: readonly IpPrefix[];
  readonly dnsAddresses: readonly string[];
  readonly dnsServers: readonly Place[];
  readonly publish: readonly PortForward[];
  readonly reach: readonly PortForward[];
  readonly icmp: 'answer' | 'drop';
  readonly maxTcp: number;
  readonly maxUdp: number;
  readonly dialMs: number;
  readonly tcpIdleMs: number;
  readonly tcpHalfCloseIdleMs: number;
  readonly udpIdleMs: number;
  readonly timers: RelayTimers;
}

/**
 * Settings of connections that are passed on: both ends decide themselves how much they send at once, and no byte is
 * left out, be it urgent (RFC 6093 §3.1). An ACK may wait for an answer of the host's to ride on, but only as long as
 * answers from nearby take: whoever waits for it inside is not to notice.
 */
export const PASSED_ON = { noDelay: true, urgentInline: true, delayedAckMinMs: 2 } as const;

const NAMES: ReadonlySet<string> = new Set<keyof GatewayOptions>([
  'stack',
  'link',
  'hostLoopback',
  'deny',
  'dns',
  'publish',
  'reach',
  'inside',
  'icmp',
  'maxTcp',
  'maxUdp',
  'dialMs',
  'tcpIdleMs',
  'tcpHalfCloseIdleMs',
  'udpIdleMs',
  'timers',
]);

const DEFAULTS = {
  maxTcp: 8192,
  maxUdp: 4096,
  dialMs: 30_000,
  tcpIdleMs: 7_440_000,
  tcpHalfCloseIdleMs: 240_000,
  udpIdleMs: 120_000,
} as const;
/** An hour to connect is enough; the longest of other times is what a timer of Node's takes. */
const MOST: Readonly<Record<string, number>> = { maxTcp: 1 << 20, maxUdp: 1 << 20, dialMs: 3_590_000 };
const MOST_MS = 2 ** 31 - 1;
/** What may not be zero. */
const POSITIVE: ReadonlySet<string> = new Set(['maxTcp', 'maxUdp', 'dialMs', 'udpIdleMs']);

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` */
export function resolveOptions(options: GatewayOptions): GatewaySettings {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a gateway are an object');
  }
  for (const key of Object.keys(options)) {
    if (!NAMES.has(key)) throw new ArgumentValueError(`unknown gateway option "${key}"`);
  }
  const { stack, link, dns, hostLoopback = [], deny = [], publish = [], reach = [], inside = [] } = options;
  const { icmp = 'drop', timers = HOST_TIMERS } = options;
  if (!(stack instanceof Stack)) throw new ArgumentTypeError('a gateway needs a stack');
  if (icmp !== 'answer' && icmp !== 'drop') {
    throw new ArgumentValueError(`icmp is answer or drop, not ${String(icmp)}`);
  }
  for (const [name, value] of Object.entries({ hostLoopback, deny, publish, reach, inside })) {
    checkList(value, name);
  }
  checkLoopbacks(hostLoopback);
  const homes = inside.map((text) => IpAddress.parse(text).toString());
  return {
    stack,
    link,
    hostLoopback,
    deny: deny.map((text) => IpPrefix.parse(text)),
    icmp,
    timers,
    ...namesOf(dns),
    publish: publish.map((text) => toPublish(text, homes)),
    reach: reach.map(toReach),
    ...numbers(options),
  };
}

function namesOf(dns: GatewayDns | undefined): Pick<GatewaySettings, 'dnsAddresses' | 'dnsServers'> {
  if (dns === undefined) return { dnsAddresses: [], dnsServers: [] };
  if (dns === null || typeof dns !== 'object') throw new ArgumentTypeError('dns is an object');
  const { addresses, servers } = dns;
  checkList(addresses, 'dns.addresses');
  if (servers !== undefined) checkList(servers, 'dns.servers');
  if (servers?.length === 0) throw new ArgumentValueError('dns.servers names nobody to ask');
  return {
    dnsAddresses: addresses.map((text) => IpAddress.parse(text).toString()),
    dnsServers: servers?.map(parseServer) ?? hostServers(),
  };
}

function checkList(value: unknown, name: string): void {
  if (!Array.isArray(value)) throw new ArgumentTypeError(`${name} is a list of strings`);
}

/** The host's own name servers. One that only a link of the host has is no use here. */
const hostServers = (): Place[] =>
  getServers()
    .filter((text) => !text.includes('%'))
    .map(parseServer);

type Numbers = { -readonly [K in keyof typeof DEFAULTS]: number };

function numbers(options: GatewayOptions): Numbers {
  const result: Numbers = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Numbers)[]) {
    const value = options[name] ?? DEFAULTS[name];
    if (typeof value !== 'number') throw new ArgumentTypeError(`${name} is a number`);
    const least = POSITIVE.has(name) ? 1 : 0;
    const most = MOST[name] ?? MOST_MS;
    if (!(Number.isInteger(value) && value >= least && value <= most)) {
      throw new ArgumentRangeError(`${name} is ${least} to ${most}, not ${value}`);
    }
    result[name] = value;
  }
  return result;
}

function checkLoopbacks(addresses: readonly string[]): void {
  const families = addresses.map((text) => IpAddress.parse(text).family);
  if (new Set(families).size < families.length) {
    throw new ArgumentValueError("the host's loopback has one address of each family");
  }
}

const familyOf = (address: string): number => (address.includes(':') ? 6 : 4);

function toPublish(text: string, inside: readonly string[]): PortForward {
  const { protocol, from, to } = parseForward(text);
  const listens = from.address !== '' ? from.address : familyOf(to.address) === 6 ? '::1' : '127.0.0.1';
  const leads = to.address !== '' ? to.address : inside.find((own) => familyOf(own) === familyOf(listens));
  if (leads === undefined) throw new ArgumentValueError(`"${text}" does not say where it leads`);
  return {
    protocol,
    from: { ...from, address: listens },
    to: { ...to, address: leads },
  };
}

function toReach(text: string): PortForward {
  const { protocol, from, to } = parseForward(text);
  if (from.address === '') throw new ArgumentValueError(`"${text}" does not say where it listens`);
  return { protocol, from, to: { ...to, address: to.address === '' ? '127.0.0.1' : to.address } };
}
