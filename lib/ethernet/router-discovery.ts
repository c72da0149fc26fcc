/**
 * A host's side of router discovery: default routers and their preference (RFC 4861 §6.3, RFC 4191), prefixes, addresses
 * of its own in them (RFC 4862 §5.5), routes, and name servers (RFC 8106). Everything bounded, and gone when its time is
 * up.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { randomFraction } from '../base/random.js';
import type { LinkHost } from '../link/link-host.js';
import { ANY_V6, type IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { InterfaceIdentifiers } from './interface-identifier.js';
import { ALL_ROUTERS, type NdMessage, routerSolicitation } from './nd-message.js';
import type { Neighbors } from './neighbors.js';
import { OwnAddresses } from './own-addresses.js';
import {
  type AdvertisedPrefix,
  INFINITE_SECONDS,
  type RouterAdvertisement,
  type RouterPreference,
  readAdvertisement,
} from './router-advertisement.js';
import type { EthernetWire } from './wire.js';

/** What routers said of names. */
export interface AdvertisedDns {
  /** Name servers, as text. */
  readonly servers: readonly string[];
  /** Domains to look for short names in. */
  readonly domains: readonly string[];
}

/** What is done with the advertisements of routers. */
export interface RouterDiscoveryOptions {
  /** Whether to make addresses in autonomous prefixes; true by default. */
  readonly addresses?: boolean;
  /** Whether to route through default routers; true by default. */
  readonly defaultRoute?: boolean;
  /** Whether to take routes to more specific networks (RFC 4191 type C host); true by default. */
  readonly routes?: boolean;
  /** Hears of name servers and domains whenever they change: `({ servers }) => stack.dns.setServers(servers)`. */
  readonly onDns?: (dns: AdvertisedDns) => void;
}

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

interface Router {
  readonly address: IpAddress;
  preference: RouterPreference;
  untilUs: number;
  failed: boolean;
  mtu: number;
  hopLimit: number;
}

interface OnLink {
  readonly prefix: IpPrefix;
  untilUs: number;
  remove: () => void;
}

interface LearntRoute {
  readonly prefix: IpPrefix;
  readonly router: IpAddress;
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
  #prefixes: OnLink[] = [];
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
    const host = this.#wire.host;
    if (host === undefined) return;
    this.heard++;
    // RFC 7559 §2.1: whoever has a router asks no more.
    this.#solicitUs = NEVER;
    const said = readAdvertisement(message);
    const { neighbors } = this.#parts;
    // RFC 4861 §6.3.4; values beyond an hour, or of no time at all, are no settings.
    if (said.reachableMs > 0 && said.reachableMs <= 3_600_000) neighbors.reachableMs = said.reachableMs;
    if (said.retransMs > 0 && said.retransMs <= 3_600_000) neighbors.retransMs = said.retransMs;
    this.#takeRouter(message.source, said);
    for (const prefix of said.prefixes) {
      if (prefix.onLink) this.#takeOnLink(host, prefix, said);
      if (prefix.autonomous && this.#options.addresses !== false)
        this.#addresses.take(prefix, message.source);
    }
    if (this.#options.routes !== false) this.#takeRoutes(host, message.source, said);
    this.#takeDns(said);
    this.#setAlarm();
  }

  /** A neighbour does not answer, or is no router any more; or it does answer. */
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

  #takeRouter(address: IpAddress, said: RouterAdvertisement): void {
    if (this.#options.defaultRoute === false) return;
    let router = this.#routers.find((other) => other.address.equals(address));
    if (said.lifetimeSeconds === 0) {
      if (router !== undefined) this.#routers.splice(this.#routers.indexOf(router), 1);
      this.#choose();
      return;
    }
    if (router === undefined) {
      if (this.#routers.length === MAX_ROUTERS) return;
      const { preference } = said;
      router = { address, preference, untilUs: 0, failed: false, mtu: 0, hopLimit: 0 };
      this.#routers.push(router);
    }
    const { mtu } = said;
    const isSound = mtu !== undefined && mtu >= IPV6_MIN_MTU && mtu <= this.#parts.linkMtu;
    const hasChanged =
      (isSound && mtu !== router.mtu) || (said.hopLimit !== 0 && said.hopLimit !== router.hopLimit);
    if (isSound) router.mtu = mtu;
    if (said.hopLimit !== 0) router.hopLimit = said.hopLimit;
    router.preference = said.preference;
    router.untilUs = this.#untilUs(said.lifetimeSeconds);
    router.failed = false;
    if (hasChanged && router === this.#default) this.#default = undefined;
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
    const host = this.#wire.host;
    if (best === undefined || host === undefined) return;
    this.#removeDefault = host.addRoute({
      destination: new IpPrefix(ANY_V6, 0),
      gateway: best.address,
      metric: DEFAULT_METRIC,
      protocol: 'ra',
      preference: best.preference,
      ...attributes(best),
    });
  }

  // ---- prefixes and addresses -------------------------------------------------------------------

  #takeOnLink(host: LinkHost, said: AdvertisedPrefix, { hopLimit, mtu }: RouterAdvertisement): void {
    const known = this.#prefixes.find(({ prefix }) => isSame(prefix, said.prefix));
    const untilUs = this.#untilUs(said.validSeconds);
    if (known !== undefined) {
      known.untilUs = untilUs;
      return;
    }
    if (said.validSeconds === 0 || this.#prefixes.length === MAX_PREFIXES) return;
    const believed = mtu !== undefined && mtu >= IPV6_MIN_MTU && mtu <= this.#parts.linkMtu ? mtu : 0;
    const remove = host.addRoute({
      destination: said.prefix,
      metric: PREFIX_METRIC,
      protocol: 'ra',
      ...attributes({ mtu: believed, hopLimit }),
    });
    this.#prefixes.push({ prefix: said.prefix, untilUs, remove });
  }

  // ---- routes and names -------------------------------------------------------------------------

  #takeRoutes(host: LinkHost, router: IpAddress, said: RouterAdvertisement): void {
    for (const { prefix, preference, lifetimeSeconds } of said.routes) {
      if (prefix.length === 0) continue;
      const known = this.#routes.find((route) => isSame(route.prefix, prefix) && route.router.equals(router));
      const untilUs = this.#untilUs(lifetimeSeconds);
      if (known !== undefined) known.untilUs = untilUs;
      else if (lifetimeSeconds > 0 && this.#routes.length < MAX_PREFIXES) {
        const spec = {
          destination: prefix,
          gateway: router,
          metric: DEFAULT_METRIC,
          protocol: 'ra',
          preference,
        };
        this.#routes.push({ prefix, router, untilUs, remove: host.addRoute(spec) });
      }
    }
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
    this.#tellDns();
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
  }

  /** Asks for routers until one answers (RFC 7559). */
  #solicit(host: LinkHost, nowUs: number): void {
    const own = host.addresses().find(({ address, isTentative }) => !isTentative && address.isLinkLocal);
    const source = own?.address.family === 6 ? own.address : ANY_V6;
    this.#wire.sendNd(routerSolicitation(source, this.#wire.mac), ALL_ROUTERS);
    const jitter = 0.9 + 0.2 * randomFraction(this.#wire.random);
    const nextUs =
      this.#intervalUs === 0 ? FIRST_INTERVAL_US : Math.min(2 * this.#intervalUs, MAX_INTERVAL_US);
    this.#intervalUs = nextUs * jitter;
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
    this.#tellDns();
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

/** What a route says beside where it leads; 0 says nothing. */
const attributes = ({
  mtu,
  hopLimit,
}: {
  mtu: number;
  hopLimit: number;
}): { mtu?: number; hopLimit?: number } => ({
  ...(mtu > 0 ? { mtu } : {}),
  ...(hopLimit > 0 ? { hopLimit } : {}),
});

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
