/** What a translator can be told, the defaults and their reasons. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpAddress, type IpFamily, IpPrefix } from '../wire/ip-address.js';

/** Whose packets from the outside a mapping lets in (RFC 4787 §5). */
export type NatFiltering = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

/** What is done about a SYN from the outside that nobody has asked for, and for whose port nobody listens. */
export type UnsolicitedSyn = 'unreachable' | 'drop' | 'accept';

/** How a network is hidden behind addresses of another. */
export interface NatOptions {
  /**
   * Addresses that packets leave with; those of the outside link by default, as they are at the time. Of a host
   * inside, all flows use the same (RFC 4787 §4.1 REQ-2).
   */
  readonly addresses?: readonly string[];
  /** Prefixes whose packets are translated; by default everything that is forwarded to the outside link. */
  readonly inside?: readonly string[];
  /** Versions of IP of which all that leaves is translated; `[4]` by default. Port forwards work for both. */
  readonly families?: readonly IpFamily[];
  /**
   * Whom a mapping lets in: everybody, whom the inside has sent to at that address, or at that port.
   * `'endpoint-independent'` by default, which RFC 4787 §5 REQ-8 recommends where applications matter most.
   */
  readonly filtering?: NatFiltering;
  /** First and last port used outside; `[1024, 65535]` by default. A port below 1024 stays below 1024. */
  readonly ports?: readonly [number, number];
  /** How long a UDP session lives that nothing passes, ms; 300,000 by default. RFC 4787 §4.3 REQ-5: not below 120,000. */
  readonly udpMs?: number;
  /** An established TCP connection, ms; 7,440,000 by default. RFC 5382 §5 REQ-5: not below that. */
  readonly tcpEstablishedMs?: number;
  /** A TCP connection that opens, or has ended, ms; 240,000 by default. RFC 5382 §5 REQ-5: not below that. */
  readonly tcpTransitoryMs?: number;
  /** An ICMP query, ms; 60,000 by default. RFC 5508 §3.2 REQ-2: not below that. */
  readonly icmpMs?: number;
  /** Whether what comes in keeps a session alive, as what leaves always does; true by default (RFC 4787 §4.3 REQ-6). */
  readonly inboundRefresh?: boolean;
  /**
   * Most mappings of endpoints inside; 32,768 by default. No address inside has more than are left for all others:
   * one alone may have half of them, each of two a third.
   */
  readonly maxMappings?: number;
  /** Most mappings, and so outside ports, of one address inside; 16,384 by default (RFC 6888 §3 REQ-4). */
  readonly maxMappingsPerSource?: number;
  /** Most sessions; 65,536 by default, shared as mappings are. */
  readonly maxSessions?: number;
  /** Most sessions of one address inside; 16,384 by default. */
  readonly maxSessionsPerSource?: number;
  /** Most port forwards; 1,024 by default. */
  readonly maxForwards?: number;
  /**
   * `'unreachable'`, the default: answered by Port Unreachable after `unsolicitedSynMs`, unless the inside connects
   * to its sender meanwhile (RFC 5382 §4.3 REQ-4); `'drop'`: not answered; `'accept'`: given to this stack, which
   * answers with RST.
   */
  readonly unsolicitedSyn?: UnsolicitedSyn;
  /** How long a SYN is held that nobody has asked for, ms; 6,000 by default, and not below that. */
  readonly unsolicitedSynMs?: number;
  /** Most SYNs held; more are dropped. 256 by default. */
  readonly maxHeldSyns?: number;
}

/** All options with their defaults. */
export interface ResolvedNatOptions {
  readonly addresses: readonly IpAddress[];
  readonly inside: readonly IpPrefix[];
  readonly families: readonly IpFamily[];
  readonly filtering: NatFiltering;
  readonly ports: readonly [number, number];
  readonly udpMs: number;
  readonly tcpEstablishedMs: number;
  readonly tcpTransitoryMs: number;
  readonly icmpMs: number;
  readonly inboundRefresh: boolean;
  readonly maxMappings: number;
  readonly maxMappingsPerSource: number;
  readonly maxSessions: number;
  readonly maxSessionsPerSource: number;
  readonly maxForwards: number;
  readonly unsolicitedSyn: UnsolicitedSyn;
  readonly unsolicitedSynMs: number;
  readonly maxHeldSyns: number;
}

const DEFAULTS: Required<NatOptions> = Object.freeze<Required<NatOptions>>({
  addresses: [],
  inside: [],
  families: [4],
  filtering: 'endpoint-independent',
  ports: [1024, 65_535],
  udpMs: 300_000,
  tcpEstablishedMs: 7_440_000,
  tcpTransitoryMs: 240_000,
  icmpMs: 60_000,
  inboundRefresh: true,
  maxMappings: 32_768,
  maxMappingsPerSource: 16_384,
  maxSessions: 65_536,
  maxSessionsPerSource: 16_384,
  maxForwards: 1024,
  unsolicitedSyn: 'unreachable',
  unsolicitedSynMs: 6000,
  maxHeldSyns: 256,
});

/** Bounds of the numbers. Times may be set below what the RFCs ask for, by those who know their network. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  udpMs: [1000, 0x7fff_ffff],
  tcpEstablishedMs: [1000, 0x7fff_ffff],
  tcpTransitoryMs: [1000, 0x7fff_ffff],
  icmpMs: [1000, 0x7fff_ffff],
  maxMappings: [1, 1 << 22],
  maxMappingsPerSource: [1, 1 << 22],
  maxSessions: [1, 1 << 22],
  maxSessionsPerSource: [1, 1 << 22],
  maxForwards: [0, 65_536],
  unsolicitedSynMs: [6000, 600_000],
  maxHeldSyns: [0, 65_536],
};

const WORDS: Readonly<Record<string, readonly string[]>> = {
  filtering: ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'],
  unsolicitedSyn: ['unreachable', 'drop', 'accept'],
};

/**
 * The defaults with `given` in place of some of them.
 * @throws TypeError for an unknown name; ArgumentTypeError, ArgumentRangeError, ArgumentValueError for a value
 * that can never be right
 */
export function resolveNatOptions(given: NatOptions = {}): ResolvedNatOptions {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULTS, key)) throw new TypeError(`unknown NAT option "${key}"`);
    check(key, value, (DEFAULTS as unknown as Record<string, unknown>)[key]);
  }
  const merged = { ...DEFAULTS, ...given };
  return Object.freeze({
    ...merged,
    addresses: merged.addresses.map((text) => outsideAddress(text)),
    inside: merged.inside.map((text) => IpPrefix.parse(text)),
    families: checkFamilies(merged.families),
    ports: checkPorts(merged.ports),
  });
}

function check(key: string, value: unknown, model: unknown): void {
  if (typeof value !== typeof model || Array.isArray(value) !== Array.isArray(model)) {
    throw new ArgumentTypeError(
      `NAT option "${key}" must be ${Array.isArray(model) ? 'a list' : `a ${typeof model}`}`,
    );
  }
  const words = WORDS[key];
  if (words !== undefined && !words.includes(value as string)) {
    throw new ArgumentValueError(`NAT option "${key}" must be one of ${words.join(', ')}`);
  }
  const range = RANGES[key];
  if (range === undefined) return;
  if (!Number.isInteger(value) || (value as number) < range[0] || (value as number) > range[1]) {
    throw new ArgumentRangeError(`NAT option "${key}" must be ${range[0]} .. ${range[1]}`);
  }
}

function outsideAddress(text: string): IpAddress {
  const address = IpAddress.parse(text);
  if (address.isUnspecified || address.isMulticast || address.isLoopback || address.isLimitedBroadcast) {
    throw new ArgumentValueError(`no host can have the address ${text}`);
  }
  return address;
}

function checkFamilies(families: readonly IpFamily[]): readonly IpFamily[] {
  if (families.some((family) => family !== 4 && family !== 6)) {
    throw new ArgumentValueError('NAT option "families" may have 4 and 6');
  }
  return families;
}

function checkPorts(ports: readonly [number, number]): readonly [number, number] {
  const [first, last] = ports;
  const fine = [first, last].every((port) => Number.isInteger(port) && port >= 1024 && port <= 65_535);
  if (ports.length !== 2 || !fine || first > last) {
    throw new ArgumentRangeError('NAT option "ports" must be two ports, 1024 .. 65535');
  }
  return ports;
}
