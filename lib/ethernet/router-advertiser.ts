/** A router's side of router discovery (RFC 4861 §6.2): advertisements at times and when asked, and a farewell. */
import type { Alarm } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { randomFraction } from '../base/random.js';
import { ANY_V6, IpAddress, IpPrefix } from '../wire/ip-address.js';
import { ALL_NODES } from './nd-message.js';
import {
  type RouterAdvertisement,
  type RouterPreference,
  writeAdvertisement,
} from './router-advertisement.js';
import type { EthernetWire } from './wire.js';

/** A prefix to advertise. */
export interface PrefixToAdvertise {
  /** `2001:db8::/64`. */
  readonly prefix: string;
  /** Whether its addresses are neighbours; true by default. */
  readonly onLink?: boolean;
  /** Whether hosts make themselves addresses in it; true by default. */
  readonly autonomous?: boolean;
  /** Seconds its addresses are valid; 2,592,000 by default, 30 days. */
  readonly validSeconds?: number;
  /** Seconds they are preferred; 604,800 by default, 7 days, or `validSeconds` where that is less. */
  readonly preferredSeconds?: number;
}

/** What a router says of itself and its link. Defaults are those of RFC 4861 §6.2.1. */
export interface RouterAdvertiserOptions {
  /** Prefixes of the link, at most 16; none by default. */
  readonly prefixes?: readonly PrefixToAdvertise[];
  /** Networks it leads to (RFC 4191 §2.3), at most 16; none by default. */
  readonly routes?: readonly { readonly prefix: string; readonly preference?: RouterPreference }[];
  /** Name servers (RFC 8106 §5.1), at most 8; none by default. */
  readonly dnsServers?: readonly string[];
  /** Domains to look for short names in (RFC 8106 §5.2), at most 8; none by default. */
  readonly searchDomains?: readonly string[];
  /**
   * How long it is a default router after each advertisement, s: 0, which is not at all, or `maxSeconds` .. 9000;
   * three times `maxSeconds` by default.
   */
  readonly lifetimeSeconds?: number;
  /** Its preference among default routers; `medium` by default. */
  readonly preference?: RouterPreference;
  /** Longest time between two advertisements, s, 4 .. 1800; 600 by default. */
  readonly maxSeconds?: number;
  /** Shortest time between them, s, 3 .. three quarters of `maxSeconds`; a third of it by default. */
  readonly minSeconds?: number;
  /** MTU of the link, bytes, at least 1280; that of the link by default, 0 to say nothing. */
  readonly mtu?: number;
  /** Hop limit for hosts to send with, 0 .. 255; 64 by default, 0 to say nothing. */
  readonly hopLimit?: number;
  /** Whether hosts shall ask DHCPv6 for addresses; false by default. */
  readonly managed?: boolean;
  /** Whether hosts shall ask DHCPv6 for other settings; false by default. */
  readonly other?: boolean;
}

/** RFC 4861 §10. */
const MAX_INITIAL_INTERVAL_US = 16_000_000;
const INITIAL_ADVERTISEMENTS = 3;
const MIN_DELAY_US = 3_000_000;
const MAX_RESPONSE_DELAY_US = 500_000;
const MOST = 16;
const MOST_DNS = 8;
const MAX_LIFETIME_SECONDS = 9000;
/** What the option of search domains has room for, each with a byte at either end: 255 units of eight bytes. */
const MAX_DOMAIN_BYTES = 255 * 8 - 8;
const KEYS: ReadonlySet<string> = new Set(
  'prefixes routes dnsServers searchDomains lifetimeSeconds preference maxSeconds minSeconds mtu hopLimit managed other'.split(
    ' ',
  ),
);
const PREFIX_KEYS: ReadonlySet<string> = new Set(
  'prefix onLink autonomous validSeconds preferredSeconds'.split(' '),
);

/** Sends router advertisements over one link; made by `EthernetLink.advertise`. */
export class RouterAdvertiser {
  /** Advertisements sent. */
  sent = 0;
  /** Solicitations heard. */
  solicited = 0;
  readonly #wire: EthernetWire;
  readonly #said: RouterAdvertisement;
  readonly #minUs: number;
  readonly #maxUs: number;
  readonly #alarm: Alarm;
  readonly #onClose: () => void;
  #lastUs = Number.NEGATIVE_INFINITY;
  #dueUs: number;
  #closed = false;

  /** @hidden */
  constructor(
    wire: EthernetWire,
    options: RouterAdvertiserOptions,
    link: { mtu: number; onClose: () => void },
  ) {
    checkKeys(options, KEYS, 'router advertiser');
    const { maxSeconds = 600, minSeconds = Math.max(3, maxSeconds / 3) } = options;
    checkRange('maxSeconds', maxSeconds, 4, 1800);
    checkRange('minSeconds', minSeconds, 3, Math.max(3, 0.75 * maxSeconds));
    this.#wire = wire;
    this.#said = readOptions(options, { mtu: link.mtu, maxSeconds });
    // One that had to be fragmented would be dropped by every host (RFC 6980 §5).
    const { length } = writeAdvertisement(NOWHERE, this.#said, wire.mac);
    const most = this.#said.mtu ?? link.mtu;
    if (length > most) {
      throw new ArgumentRangeError(`an advertisement of all that has ${length} bytes, more than ${most}`);
    }
    this.#minUs = minSeconds * 1e6;
    this.#maxUs = maxSeconds * 1e6;
    this.#onClose = link.onClose;
    this.#alarm = wire.clock.createAlarm(() => this.#ring());
    this.#dueUs = wire.clock.nowUs();
    this.#alarm.setAt(this.#dueUs);
  }

  /** Stops, and tells hosts that it is no router any more (RFC 4861 §6.2.5). May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.clear();
    if (this.sent > 0) this.#send(withdrawn(this.#said));
    this.#onClose();
  }

  /** A host asks. @hidden */
  hearSolicitation(): void {
    this.solicited++;
    // RFC 4861 §6.2.6: after a random wait, to all, and no sooner than three seconds after the last.
    const nowUs = this.#wire.clock.nowUs();
    const delayUs = randomFraction(this.#wire.random) * MAX_RESPONSE_DELAY_US;
    const atUs = Math.max(nowUs + delayUs, this.#lastUs + MIN_DELAY_US + delayUs);
    if (this.#closed || atUs >= this.#dueUs) return;
    this.#dueUs = atUs;
    this.#alarm.setAt(atUs);
  }

  /** @hidden */
  ref(): void {
    this.#alarm.ref?.();
  }

  /** @hidden */
  unref(): void {
    this.#alarm.unref?.();
  }

  #ring(): void {
    if (this.#closed) return;
    this.#send(this.#said);
    let intervalUs = this.#minUs + randomFraction(this.#wire.random) * (this.#maxUs - this.#minUs);
    // The first few follow sooner, so that hosts hear of a new router (RFC 4861 §6.2.4); the first waits for an address.
    if (this.sent === 0) intervalUs = MIN_DELAY_US / 6;
    else if (this.sent < INITIAL_ADVERTISEMENTS) intervalUs = Math.min(intervalUs, MAX_INITIAL_INTERVAL_US);
    this.#dueUs = this.#wire.clock.nowUs() + intervalUs;
    this.#alarm.setAt(this.#dueUs);
  }

  #send(said: RouterAdvertisement): void {
    const own = this.#wire.host?.addresses() ?? [];
    const source = own.find(({ address, isTentative }) => !isTentative && isLinkLocal6(address))?.address;
    // RFC 4861 §4.2: only a link-local address names a router.
    if (source === undefined) return;
    const packet = writeAdvertisement({ source, destination: ALL_NODES }, said, this.#wire.mac);
    this.#wire.sendNd(packet, ALL_NODES);
    this.sent++;
    this.#lastUs = this.#wire.clock.nowUs();
  }
}

const NOWHERE = { source: ANY_V6, destination: ALL_NODES };

/** The same, with nothing that leads through this router any more; addresses made by it remain (RFC 4861 §6.2.5). */
function withdrawn(said: RouterAdvertisement): RouterAdvertisement {
  const lifetimeSeconds = 0;
  return {
    ...said,
    lifetimeSeconds,
    routes: said.routes.map((route) => ({ ...route, lifetimeSeconds })),
    dnsServers: said.dnsServers.map((server) => ({ ...server, lifetimeSeconds })),
    searchDomains: said.searchDomains.map((entry) => ({ ...entry, lifetimeSeconds })),
  };
}

const isLinkLocal6 = (address: IpAddress): boolean => address.family === 6 && address.isLinkLocal;

function readOptions(
  options: RouterAdvertiserOptions,
  link: { mtu: number; maxSeconds: number },
): RouterAdvertisement {
  const { preference = 'medium', hopLimit = 64, managed = false, other = false } = options;
  const lifetimeSeconds = Math.round(options.lifetimeSeconds ?? 3 * link.maxSeconds);
  const mtu = options.mtu ?? link.mtu;
  // RFC 4861 §6.2.1.
  if (lifetimeSeconds !== 0)
    checkRange('lifetimeSeconds', lifetimeSeconds, Math.ceil(link.maxSeconds), MAX_LIFETIME_SECONDS);
  checkInteger('hopLimit', hopLimit, 0, 255);
  if (mtu !== 0) checkInteger('mtu', mtu, 1280, link.mtu);
  checkPreference(preference);
  // RFC 8106 §5.1: at least as long as until the next advertisement, so that one may be lost.
  const dnsSeconds = Math.round(3 * link.maxSeconds);
  return {
    hopLimit,
    managed,
    other,
    preference,
    lifetimeSeconds,
    reachableMs: 0,
    retransMs: 0,
    mtu: mtu === 0 ? undefined : mtu,
    prefixes: listOf(options.prefixes, 'prefixes', MOST).map(readPrefix),
    routes: listOf(options.routes, 'routes', MOST).map((route) => {
      checkPreference(route.preference ?? 'medium');
      const prefix = parse6(route.prefix);
      return { prefix, preference: route.preference ?? 'medium', lifetimeSeconds: dnsSeconds };
    }),
    dnsServers: listOf(options.dnsServers, 'dnsServers', MOST_DNS).map((text) => {
      const address = IpAddress.parse(text);
      if (address.family !== 6) throw new ArgumentValueError(`not an IPv6 address: "${text}"`);
      return { address, lifetimeSeconds: dnsSeconds };
    }),
    searchDomains: readDomains(options.searchDomains).map((domain) => ({
      domain,
      lifetimeSeconds: dnsSeconds,
    })),
  };
}

function readPrefix(entry: PrefixToAdvertise): RouterAdvertisement['prefixes'][number] {
  checkKeys(entry, PREFIX_KEYS, 'prefix');
  const { onLink = true, autonomous = true, validSeconds = 2_592_000 } = entry;
  const { preferredSeconds = Math.min(604_800, validSeconds) } = entry;
  const prefix = parse6(entry.prefix);
  if (prefix.address.isLinkLocal) throw new ArgumentValueError('the link-local prefix is not advertised');
  checkInteger('validSeconds', validSeconds, 0, 0xffff_ffff);
  checkInteger('preferredSeconds', preferredSeconds, 0, validSeconds);
  return { prefix: prefix.network, onLink, autonomous, validSeconds, preferredSeconds };
}

function parse6(text: string): IpPrefix {
  const prefix = IpPrefix.parse(text);
  if (prefix.family !== 6 || prefix.address.isMulticast) {
    throw new ArgumentValueError(`not an IPv6 prefix: "${text}"`);
  }
  return prefix;
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (typeof value !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (!(value >= least && value <= most)) {
    throw new ArgumentRangeError(`${name} must be within ${least} .. ${most}, not ${value}`);
  }
}

function checkInteger(name: string, value: number, least: number, most: number): void {
  checkRange(name, value, least, most);
  if (!Number.isInteger(value)) throw new ArgumentRangeError(`${name} must be an integer, not ${value}`);
}

function checkKeys(given: object, keys: ReadonlySet<string>, what: string): void {
  if (given === null || typeof given !== 'object')
    throw new ArgumentTypeError(`${what} options must be an object`);
  for (const key of Object.keys(given)) {
    if (!keys.has(key)) throw new TypeError(`unknown ${what} option "${key}"`);
  }
}

function checkPreference(value: unknown): void {
  if (value !== 'low' && value !== 'medium' && value !== 'high') {
    throw new ArgumentValueError(`preference must be low, medium or high, not ${String(value)}`);
  }
}

function readDomains(given: readonly string[] | undefined): readonly string[] {
  const domains = listOf(given, 'searchDomains', MOST_DNS).map(checkDomain);
  const bytes = domains.reduce((sum, { length }) => sum + length + 2, 0);
  if (bytes > MAX_DOMAIN_BYTES) {
    throw new ArgumentRangeError(`searchDomains take ${bytes} bytes, more than ${MAX_DOMAIN_BYTES}`);
  }
  return domains;
}

function checkDomain(domain: string): string {
  if (typeof domain !== 'string' || domain.length > 253 || !/^([\w-]{1,63}\.)*[\w-]{1,63}$/.test(domain)) {
    throw new ArgumentValueError(`not a domain: "${String(domain)}"`);
  }
  return domain;
}

function listOf<Item>(given: readonly Item[] | undefined, name: string, most: number): readonly Item[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw new ArgumentTypeError(`${name} must be a list`);
  if (given.length > most) throw new ArgumentRangeError(`${name} must have at most ${most} entries`);
  return given;
}
