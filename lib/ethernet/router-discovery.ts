/**
 * A host's side of router discovery: default routers and their preference (RFC 4861 §6.3, RFC 4191), prefixes, addresses
 * of its own in them (RFC 4862 §5.5), routes, and name servers (RFC 8106). Everything bounded, and gone when its time is
 * up.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import { randomFraction } from '../base/random.js';
import type { LinkHost, LinkRoute } from '../link/link-host.js';
import { ANY_V6, type IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { InterfaceIdentifiers } from './interface-identifier.js';
import { ALL_ROUTERS, type NdMessage, routerSolicitation } from './nd-message.js';
import type { Neighbors } from './neighbors.js';
import { OwnAddresses } from './own-addresses.js';
import {
  INFINITE_SECONDS,
  type RouterAdvertisement,
  type RouterPreference,
  readAdvertisement,
} from './router-advertisement.js';
import type { RouterDiscoveryOptions } from './router-discovery-options.js';
import type { EthernetWire } from './wire.js';

/** A router, for readers. */
export interface RouterDescription {
  /** Its link-local address. */
  readonly address: string;
  /** Its preference among default routers (RFC 4191 §2.1). */
  readonly preference: RouterPreference;
  /** Whether packets go through it now. */
  readonly isDefault: boolean;
  /** Whether it did not answer when it was asked last. */
  readonly hasFailed: boolean;
  /** Seconds for which it is a default router. */
  readonly lifetimeSeconds: number;
}

/** What routes have of the link; 0 where nothing is said. */
interface RouteAttributes {
  readonly mtu: number;
  readonly hopLimit: number;
}

interface Router {
  readonly address: IpAddress;
  preference: RouterPreference;
  attributes: RouteAttributes;
  untilUs: number;
  failed: boolean;
}

/** A route that an advertisement told of: to a prefix of the link, or to a network by way of the router. */
interface LearntRoute {
  readonly prefix: IpPrefix;
  readonly router: IpAddress | undefined;
  readonly preference: RouterPreference;
  readonly attributes: RouteAttributes;
  untilUs: number;
  remove: () => void;
}

/** Most of each kind that is kept. */
const MAX_ROUTERS = 8;
const MAX_PREFIXES = 16;
const MAX_DNS = 8;
/** RFC 7559 §2: the first solicitation after 4 s, then ever more rarely, up to an hour. */
const FIRST_INTERVAL_US = 4_000_000;
const MAX_INTERVAL_US = 3_600_000_000;
const MAX_DELAY_US = 1_000_000;
/** Settings of neighbour discovery beyond an hour are none; requests are not repeated sooner than on Linux, ms. */
const MAX_SETTING_MS = 3_600_000;
const MIN_RETRANS_MS = 10;
/** As Linux has them. */
const DEFAULT_METRIC = 1024;
const PREFIX_METRIC = 256;
const IPV6_MIN_MTU = 1280;
const RANK: Readonly<Record<RouterPreference, number>> = { low: -1, medium: 0, high: 1 };

interface DiscoveryParts {
  readonly neighbors: Neighbors;
  readonly identifiers: InterfaceIdentifiers;
  /** Largest MTU that may be believed, bytes. */
  readonly linkMtu: number;
}

export class RouterDiscovery {
  /** Advertisements heard. */
  heard = 0;
  readonly #wire: EthernetWire;
  readonly #options: RouterDiscoveryOptions;
  readonly #parts: DiscoveryParts;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #routers: Router[] = [];
  #prefixes: LearntRoute[] = [];
  readonly #addresses: OwnAddresses;
  #routes: LearntRoute[] = [];
  #servers: { readonly address: IpAddress; untilUs: number }[] = [];
  #domains: { readonly domain: string; untilUs: number }[] = [];
  #said = '';
  #default: Router | undefined;
  #removeDefault: () => void = () => {};
  #solicitUs: number;
  #intervalUs = 0;

  constructor(wire: EthernetWire, options: RouterDiscoveryOptions, parts: DiscoveryParts) {
    this.#wire = wire;
    this.#options = options;
    this.#parts = parts;
    this.#clock = wire.clock;
    this.#addresses = new OwnAddresses(wire, parts.identifiers);
    this.#alarm = wire.clock.createAlarm(() => this.#ring());
    this.#solicitUs = wire.clock.nowUs() + randomFraction(wire.random) * MAX_DELAY_US;
    this.#setAlarm();
  }

  routers(): RouterDescription[] {
    const nowUs = this.#clock.nowUs();
    return this.#routers.map((router) => ({
      address: router.address.toString(),
      preference: router.preference,
      isDefault: router === this.#default,
      hasFailed: router.failed,
      lifetimeSeconds: Math.max(0, Math.round((router.untilUs - nowUs) / 1e6)),
    }));
  }

  /** An advertisement that passed its checks. */
  advertised(message: NdMessage): void {
    this.heard++;
    const said = this.#readAdvertisement(message);
    const { source } = message;
    // RFC 7559 §2.1: only a router that can be a default one ends the search.
    if (said.lifetimeSeconds > 0) this.#solicitUs = NEVER;
    const { neighbors } = this.#parts;
    // RFC 4861 §6.3.4.
    if (said.reachableMs > 0 && said.reachableMs <= MAX_SETTING_MS) neighbors.reachableMs6 = said.reachableMs;
    if (said.retransMs > 0 && said.retransMs <= MAX_SETTING_MS)
      neighbors.retransMs6 = Math.max(said.retransMs, MIN_RETRANS_MS);
    this.#takeRouter(source, said);
    for (const { prefix, validSeconds, onLink } of said.prefixes) {
      if (onLink) this.#learn(this.#prefixes, { prefix, lifetimeSeconds: validSeconds }, said);
    }
    for (const prefix of said.prefixes) {
      if (prefix.autonomous && this.#options.addresses !== false) this.#addresses.take(prefix, source);
    }
    for (const route of said.routes) this.#learn(this.#routes, { ...route, router: source }, said);
    this.#takeDns(said);
    this.#setAlarm();
    this.#tellDns();
  }

  /** A router says that it is none any more (RFC 4861 §7.2.5). */
  leave(address: IpAddress): void {
    for (const { router, remove } of this.#routes) if (router?.equals(address) === true) remove();
    this.#routes = this.#routes.filter(({ router }) => router?.equals(address) !== true);
    this.#forget(address);
    this.#setAlarm();
  }

  /** A neighbour does not answer, or it does. */
  neighborChanged(address: IpAddress, isGone: boolean): void {
    const router = this.#routers.find((other) => other.address.equals(address));
    if (router === undefined || router.failed === isGone) return;
    router.failed = isGone;
    this.#choose();
  }

  /** Somebody else has an address that was made here: another is tried, where there is one. */
  conflicted(address: IpAddress): void {
    this.#addresses.conflicted(address);
    this.#setAlarm();
  }

  close(): void {
    this.#alarm.clear();
  }

  ref(): void {
    this.#alarm.ref?.();
  }

  unref(): void {
    this.#alarm.unref?.();
  }

  #untilUs(seconds: number): number {
    return seconds === INFINITE_SECONDS ? NEVER : this.#clock.nowUs() + seconds * 1e6;
  }

  // ---- routers ----------------------------------------------------------------------------------

  /** What it says; a route to everywhere is another way to say how long it is a default router (RFC 4191 §3.1). */
  #readAdvertisement(message: NdMessage): RouterAdvertisement {
    const said = readAdvertisement(message);
    if (this.#options.routes === false) return { ...said, routes: [] };
    const { preference, lifetimeSeconds } = said.routes.find(({ prefix }) => prefix.length === 0) ?? said;
    const routes = said.routes.filter(({ prefix }) => prefix.length > 0);
    return { ...said, preference, lifetimeSeconds, routes };
  }

  #takeRouter(address: IpAddress, said: RouterAdvertisement): void {
    if (this.#options.defaultRoute === false) return;
    if (said.lifetimeSeconds === 0) return this.#forget(address);
    const { preference } = said;
    let router = this.#routers.find((other) => other.address.equals(address));
    if (router === undefined) {
      if (this.#routers.length === MAX_ROUTERS) return;
      router = { address, preference, attributes: UNSAID, untilUs: 0, failed: false };
      this.#routers.push(router);
    }
    const attributes = this.#attributesOf(said, router.attributes);
    const isAsBefore = isAlike(attributes, router.attributes) && preference === router.preference;
    router.attributes = attributes;
    router.preference = preference;
    router.untilUs = this.#untilUs(said.lifetimeSeconds);
    router.failed = false;
    if (!isAsBefore && router === this.#default) this.#default = undefined;
    this.#choose();
  }

  #forget(address: IpAddress): void {
    const at = this.#routers.findIndex((other) => other.address.equals(address));
    if (at >= 0) this.#routers.splice(at, 1);
    this.#choose();
  }

  /** RFC 4861 §6.3.6, RFC 4191 §3.2: one that answers before one that does not, then by preference, then the first. */
  #choose(): void {
    const worth = (router: Router): number => (router.failed ? -10 : 0) + RANK[router.preference];
    let best: Router | undefined;
    for (const router of this.#routers) if (best === undefined || worth(router) > worth(best)) best = router;
    // Where none answers they are tried in turn.
    if (best?.failed === true && best === this.#default && this.#routers.length > 1) {
      this.#routers.push(...this.#routers.splice(this.#routers.indexOf(best), 1));
      [best] = this.#routers;
    }
    if (best === this.#default) return;
    this.#removeDefault();
    this.#default = best;
    this.#removeDefault = () => {};
    if (best === undefined) return;
    const { address, preference, attributes } = best;
    const prefix = new IpPrefix(ANY_V6, 0);
    const remove = this.#install({ prefix, router: address, preference, attributes });
    if (remove === undefined) this.#default = undefined;
    else this.#removeDefault = remove;
  }

  // ---- routes and names -------------------------------------------------------------------------

  /** An advertisement tells of a route: a new one, one that is as it was, or other than it was. */
  #learn(
    list: LearntRoute[],
    told: { prefix: IpPrefix; router?: IpAddress; preference?: RouterPreference; lifetimeSeconds: number },
    said: RouterAdvertisement,
  ): void {
    const { prefix, router, preference = 'medium', lifetimeSeconds } = told;
    // A prefix of the link is the same whoever tells of it.
    const isOf = (other: LearntRoute): boolean =>
      router === undefined || other.router?.equals(router) === true;
    const known = list.find((other) => isSame(other.prefix, prefix) && isOf(other));
    const attributes = this.#attributesOf(said, known?.attributes ?? UNSAID);
    const untilUs = this.#untilUs(lifetimeSeconds);
    if (known?.preference === preference && isAlike(known.attributes, attributes)) {
      known.untilUs = untilUs;
      return;
    }
    if (known !== undefined) {
      known.remove();
      list.splice(list.indexOf(known), 1);
    } else if (lifetimeSeconds === 0 || list.length === MAX_PREFIXES) {
      return;
    }
    const route = { prefix, router, preference, attributes };
    const remove = this.#install(route);
    if (remove !== undefined) list.push({ ...route, untilUs, remove });
  }

  /** @returns what takes the route away again; undefined where the stack has no room for one more */
  #install(route: Omit<LearntRoute, 'untilUs' | 'remove'>): (() => void) | undefined {
    const { prefix, router, preference, attributes } = route;
    const { mtu, hopLimit } = attributes;
    const spec: LinkRoute = {
      destination: prefix,
      protocol: 'ra',
      ...(router === undefined
        ? { metric: PREFIX_METRIC }
        : { metric: DEFAULT_METRIC, gateway: router, preference }),
      ...(mtu > 0 ? { mtu } : {}),
      ...(hopLimit > 0 ? { hopLimit } : {}),
    };
    try {
      return this.#wire.host?.addRoute(spec);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      return undefined;
    }
  }

  /** What an advertisement says of the link, where that can be; else what was known before. */
  #attributesOf({ mtu = 0, hopLimit }: RouterAdvertisement, before: RouteAttributes): RouteAttributes {
    const isSound = mtu >= IPV6_MIN_MTU && mtu <= this.#parts.linkMtu;
    return { mtu: isSound ? mtu : before.mtu, hopLimit: hopLimit === 0 ? before.hopLimit : hopLimit };
  }

  #takeDns(said: RouterAdvertisement): void {
    for (const { address, lifetimeSeconds } of said.dnsServers) {
      this.#servers = this.#servers.filter((server) => !server.address.equals(address));
      if (lifetimeSeconds === 0 || this.#servers.length === MAX_DNS) continue;
      this.#servers.push({ address, untilUs: this.#untilUs(lifetimeSeconds) });
    }
    for (const { domain, lifetimeSeconds } of said.searchDomains) {
      this.#domains = this.#domains.filter((entry) => entry.domain !== domain);
      if (lifetimeSeconds === 0 || this.#domains.length === MAX_DNS) continue;
      this.#domains.push({ domain, untilUs: this.#untilUs(lifetimeSeconds) });
    }
  }

  #tellDns(): void {
    const servers = this.#servers.map(({ address }) => address.toString());
    const domains = this.#domains.map(({ domain }) => domain);
    const said = [...servers.toSorted(), '', ...domains.toSorted()].join(' ');
    if (said === this.#said || (this.#said === '' && servers.length + domains.length === 0)) return;
    this.#said = said;
    this.#options.onDns?.({ servers, domains });
  }

  // ---- time -------------------------------------------------------------------------------------

  #ring(): void {
    const nowUs = this.#clock.nowUs();
    const host = this.#wire.host;
    if (host === undefined) return;
    if (this.#solicitUs <= nowUs) this.#solicit(host, nowUs);
    this.#expire(nowUs);
    this.#setAlarm();
    this.#tellDns();
  }

  /** Asks for routers until one answers (RFC 7559). */
  #solicit(host: LinkHost, nowUs: number): void {
    const own = host
      .addresses()
      .find(({ address, isTentative }) => !isTentative && address.family === 6 && address.isLinkLocal);
    this.#wire.sendNd(routerSolicitation(own?.address ?? ANY_V6, this.#wire.mac), ALL_ROUTERS);
    // RFC 8415 §15: RAND is a tenth either way.
    const rand = 0.2 * randomFraction(this.#wire.random) - 0.1;
    const before = this.#intervalUs;
    const doubledUs = before === 0 ? FIRST_INTERVAL_US * (1 + rand) : before * (2 + rand);
    this.#intervalUs = doubledUs > MAX_INTERVAL_US ? MAX_INTERVAL_US * (1 + rand) : doubledUs;
    this.#solicitUs = nowUs + this.#intervalUs;
  }

  #expire(nowUs: number): void {
    for (const router of this.#routers.filter(({ untilUs }) => untilUs <= nowUs)) {
      this.#routers.splice(this.#routers.indexOf(router), 1);
    }
    this.#choose();
    this.#prefixes = expireAll(this.#prefixes, nowUs, ({ remove }) => remove());
    this.#routes = expireAll(this.#routes, nowUs, ({ remove }) => remove());
    this.#addresses.expire(nowUs);
    this.#servers = expireAll(this.#servers, nowUs, () => {});
    this.#domains = expireAll(this.#domains, nowUs, () => {});
  }

  #setAlarm(): void {
    let earliest = Math.min(this.#solicitUs, this.#addresses.nextDeadlineUs);
    const timed = [this.#routers, this.#prefixes, this.#routes, this.#servers, this.#domains];
    for (const list of timed) for (const { untilUs } of list) earliest = Math.min(earliest, untilUs);
    if (earliest === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(earliest);
  }
}

const isSame = (a: IpPrefix, b: IpPrefix): boolean => a.length === b.length && a.address.equals(b.address);

const UNSAID: RouteAttributes = { mtu: 0, hopLimit: 0 };
const isAlike = (a: RouteAttributes, b: RouteAttributes): boolean =>
  a.mtu === b.mtu && a.hopLimit === b.hopLimit;

/** Those whose time is not up; the others are told of. */
function expireAll<Item extends { readonly untilUs: number }>(
  items: Item[],
  nowUs: number,
  gone: (item: Item) => void,
): Item[] {
  if (!items.some(({ untilUs }) => untilUs <= nowUs)) return items;
  for (const item of items) if (item.untilUs <= nowUs) gone(item);
  return items.filter(({ untilUs }) => untilUs > nowUs);
}
