/** What an Ethernet link is made with. */
import type { Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import type { LinkDevice } from '../link/link-device.js';
import { IpPrefix } from '../wire/ip-address.js';
import { DEFAULT_DETECTION, type DetectionOptions } from './address-detection.js';
import { headerBytesOf, MAX_VLAN } from './frame.js';
import { MacAddress } from './mac-address.js';
import { type NeighborOptions, resolveNeighborOptions } from './neighbor-options.js';
import { checkDiscoveryOptions, type RouterDiscoveryOptions } from './router-discovery-options.js';

/** What an Ethernet link is made with. */
export interface EthernetLinkOptions {
  /**
   * What carries its frames: a TAP (`TunDevice.create({ mode: 'tap' })`), a `PacketLink` with `coalesce: false`, an end
   * of a pipe: any link, whose packets are then frames and whose MTU is that of a frame with its header.
   */
  readonly frames: LinkDevice;
  /** The clock of the stack it is for. */
  readonly clock: Clock;
  /** The randomness of the stack. */
  readonly random: Random;
  /** Its Ethernet address, `52:54:00:12:34:56`; a random, locally administered one by default. */
  readonly mac?: string | MacAddress;
  /** Its name; that of `frames` by default. */
  readonly name?: string;
  /** Largest IP packet, bytes; what a frame of `frames` has room for by default. */
  readonly mtu?: number;
  /** Number of the VLAN it is in, 1 .. 4094: frames are tagged (IEEE 802.1Q). By default none, and tagged ones are dropped. */
  readonly vlan?: number;
  /** Joins received TCP packets of one flow before the stack sees them; true by default. */
  readonly coalesce?: boolean;
  /** Settings of the neighbour table. */
  readonly neighbors?: Partial<NeighborOptions>;
  /** How own addresses are asked for, announced and defended. */
  readonly detection?: Partial<DetectionOptions>;
  /** Whether it gives itself an IPv6 link-local address (RFC 4862 §5.3); true by default. */
  readonly linkLocal?: boolean;
  /**
   * Addresses or networks of others that it answers for, by ARP and neighbour advertisements (RFC 1027, RFC 4861 §7.2.8):
   * packets for them come to the stack, which forwards them or accepts any address. None by default; at most 64.
   */
  readonly proxy?: readonly string[];
  /**
   * 16 secret bytes, from which the addresses it makes for itself come (RFC 7217): others in each network, always the
   * same in one. By default they come from the Ethernet address.
   */
  readonly secret?: Uint8Array;
  /** Whether it listens to routers, and how: addresses, default routes, name servers; false by default. */
  readonly routerDiscovery?: boolean | RouterDiscoveryOptions;
}

/** The options with their defaults. */
export interface EthernetSettings extends EthernetLinkOptions {
  readonly mac: MacAddress;
  readonly name: string;
  readonly mtu: number;
  readonly vlan: number;
  readonly coalesce: boolean;
  readonly neighborSettings: NeighborOptions;
  readonly detectionSettings: DetectionOptions;
  readonly proxied: readonly IpPrefix[];
}

const KEYS = new Set(
  'frames clock random mac name mtu vlan coalesce neighbors detection linkLocal proxy secret routerDiscovery'.split(
    ' ',
  ),
);
const MIN_MTU = 68;
const MAX_PROXIED = 64;

/** @throws TypeError for an unknown option, ArgumentTypeError, ArgumentRangeError, ArgumentValueError */
export function resolveEthernetOptions(options: EthernetLinkOptions): EthernetSettings {
  if (options === null || typeof options !== 'object')
    throw new ArgumentTypeError('options must be an object');
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new TypeError(`unknown Ethernet option "${key}"`);
  }
  checkDiscoveryOptions(options.routerDiscovery);
  const { frames, clock, random, vlan = 0 } = options;
  if (frames === null || typeof frames !== 'object') throw new ArgumentTypeError('frames must be a link');
  if (typeof clock?.createAlarm !== 'function') throw new ArgumentTypeError('clock must be a Clock');
  if (typeof random?.uint32 !== 'function') throw new ArgumentTypeError('random must be a Random');
  if (!Number.isInteger(vlan) || (vlan !== 0 && (vlan < 1 || vlan > MAX_VLAN))) {
    throw new ArgumentRangeError(`vlan must be an integer within 1 .. ${MAX_VLAN}, not ${vlan}`);
  }
  const most = frames.mtu - headerBytesOf(vlan);
  const mtu = options.mtu ?? most;
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > most) {
    throw new ArgumentRangeError(`mtu must be an integer within ${MIN_MTU} .. ${most}, not ${mtu}`);
  }
  return {
    ...options,
    mac: readMac(options),
    name: options.name ?? frames.name,
    mtu,
    vlan,
    coalesce: options.coalesce ?? true,
    neighborSettings: resolveNeighborOptions(options.neighbors),
    detectionSettings: resolveDetection(options.detection),
    proxied: readProxied(options),
  };
}

function readProxied({ proxy = [] }: EthernetLinkOptions): readonly IpPrefix[] {
  if (!Array.isArray(proxy)) throw new ArgumentTypeError('proxy must be a list of networks');
  if (proxy.length > MAX_PROXIED)
    throw new ArgumentRangeError(`proxy must have at most ${MAX_PROXIED} entries`);
  return proxy.map((text) => IpPrefix.parse(text));
}

function readMac({ mac, random }: EthernetLinkOptions): MacAddress {
  if (mac === undefined) return MacAddress.random(random);
  const parsed = mac instanceof MacAddress ? mac : MacAddress.parse(mac);
  if (parsed.isGroup || parsed.isZero)
    throw new ArgumentRangeError(`${parsed.toString()} is no address of one host`);
  return parsed;
}

function resolveDetection(given: Partial<DetectionOptions> = {}): DetectionOptions {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_DETECTION, key)) throw new TypeError(`unknown detection option "${key}"`);
    if (
      key === 'ipv4' ? typeof value !== 'boolean' : key === 'ipv4ProbeMs' ? !isRange(value) : !isCount(value)
    ) {
      throw new ArgumentRangeError(`${key} cannot be ${String(value)}`);
    }
  }
  return Object.freeze({ ...DEFAULT_DETECTION, ...given });
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
const isRange = (value: unknown): boolean => {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(isCount)) return false;
  return value[0] <= value[1];
};
