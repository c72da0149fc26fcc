/**
 * What ICMP has taught about single destinations: a smaller path MTU (RFC 1191, RFC 8201), or another
 * first hop (redirects). Linux calls these next-hop exceptions.
 *
 * The table is bounded. A newcomer that finds it full takes the place of a random entry, so that nobody
 * learns from what disappears whom else we talk to; its hash is keyed for the same reason
 * (CVE-2021-20322). An entry belongs to the route it was learnt on and dies with it.
 */
import { NEVER } from '../base/clock.js';
import { type Random, randomBelow } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import { IPV6_MIN_MTU } from '../wire/ipv6.js';
import type { IpOptions } from './options.js';
import type { Route } from './route.js';

/** The MTUs of RFC 1191 §7, for routers that name none. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/** The plateau below the size of a packet that did not fit. */
export const plateauBelow = (bytes: number): number => PLATEAUS.find((plateau) => plateau < bytes) ?? 68;

/** What is known of one destination. */
export interface PathException {
  readonly destination: IpAddress;
  readonly route: Route;
  /** Bytes; 0 for not learnt. */
  mtu: number;
  /** The path is narrower than what we believe: do not set DF. */
  locked: boolean;
  mtuUntilUs: number;
  gateway: IpAddress | undefined;
  gatewayUntilUs: number;
  /** Where it stands among all entries, so that any can leave at once. */
  place: number;
}

type PathMtuLimits = Pick<IpOptions, 'pathExceptions' | 'pathMtuMs' | 'redirectMs' | 'pathMtuFloor4'>;

/** The path something was learnt about. */
export interface LearningPath {
  readonly destination: IpAddress;
  readonly route: Route | undefined;
  /** What it took so far, bytes. */
  readonly mtu: number;
}

export class PathMtuCache {
  readonly #random: Random;
  readonly #hash: TableHash;
  readonly #limits: PathMtuLimits;
  /** Chains by hash of the destination. */
  readonly #buckets = new Map<number, PathException[]>();
  /** All entries, for ageing and random eviction. */
  #all: PathException[] = [];
  /** Entries of each route. */
  readonly #routes = new Map<Route, number>();
  #nextUs = NEVER;
  /** Entries that had to make room. */
  evictions = 0;

  constructor(random: Random, limits: PathMtuLimits) {
    this.#random = random;
    this.#hash = new TableHash(random);
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.length;
  }

  /** When the first entry ends, µs. */
  get nextDeadlineUs(): number {
    return this.#nextUs;
  }

  /** What is known of a destination on this route. */
  find(destination: IpAddress, route: Route | undefined): PathException | undefined {
    if (this.#all.length === 0 || route === undefined) return undefined;
    const chain = this.#buckets.get(this.#key(destination));
    return chain?.find((entry) => entry.route === route && entry.destination.equals(destination));
  }

  /**
   * Believes that `mtu` bytes are what reaches a destination that so far took `path.mtu`. Never raises it
   * (RFC 8201 §4), and never goes below 1280 for IPv6 or the floor for IPv4: below that, DF is given up.
   * @returns whether anything changed
   */
  learn(path: LearningPath, mtu: number, nowUs: number): boolean {
    const { destination, route, mtu: current } = path;
    if (route === undefined) return false;
    // A PTB below the minimum is discarded (RFC 8201 §4); it causes no atomic fragments (RFC 8021).
    if (destination.family === 6 && mtu < IPV6_MIN_MTU) return false;
    const locked = destination.family === 4 && mtu < this.#limits.pathMtuFloor4;
    const believed = locked ? Math.min(this.#limits.pathMtuFloor4, current) : mtu;
    if (believed > current || (believed === current && !locked)) return false;
    const entry = this.#entry(destination, route);
    entry.mtu = believed;
    entry.locked = locked;
    entry.mtuUntilUs = nowUs + this.#limits.pathMtuMs * 1000;
    this.#nextUs = Math.min(this.#nextUs, entry.mtuUntilUs);
    return true;
  }

  /** Sends packets to a destination through another gateway for a while. */
  redirect(destination: IpAddress, route: Route, gateway: IpAddress, nowUs: number): void {
    const entry = this.#entry(destination, route);
    entry.gateway = gateway;
    entry.gatewayUntilUs = nowUs + this.#limits.redirectMs * 1000;
    this.#nextUs = Math.min(this.#nextUs, entry.gatewayUntilUs);
  }

  /** Forgets what has ended. @returns whether anything did */
  expire(nowUs: number): boolean {
    if (nowUs < this.#nextUs) return false;
    this.#nextUs = NEVER;
    let changed = false;
    for (const entry of this.#all) {
      if (entry.mtuUntilUs <= nowUs) {
        entry.mtu = 0;
        entry.locked = false;
        entry.mtuUntilUs = NEVER;
        changed = true;
      }
      if (entry.gatewayUntilUs <= nowUs) {
        entry.gateway = undefined;
        entry.gatewayUntilUs = NEVER;
        changed = true;
      }
      this.#nextUs = Math.min(this.#nextUs, entry.mtuUntilUs, entry.gatewayUntilUs);
    }
    for (const entry of this.#all.filter((e) => e.mtu === 0 && e.gateway === undefined)) this.#remove(entry);
    return changed;
  }

  /** Forgets what was learnt on a route, which is gone. */
  forget(route: Route): void {
    if (!this.#routes.has(route)) return;
    for (const entry of this.#all.filter((other) => other.route === route)) this.#remove(entry);
  }

  list(family?: IpFamily): readonly PathException[] {
    return this.#all.filter((entry) => family === undefined || entry.destination.family === family);
  }

  #key(a: IpAddress): number {
    return this.#hash.hash3(a.w0 ^ a.w1, a.w2, a.w3) & 0xfff;
  }

  #entry(destination: IpAddress, route: Route): PathException {
    const known = this.find(destination, route);
    if (known !== undefined) return known;
    if (this.#all.length >= this.#limits.pathExceptions) {
      this.evictions++;
      this.#remove(this.#all[randomBelow(this.#random, this.#all.length)]);
    }
    const entry: PathException = {
      destination,
      route,
      mtu: 0,
      locked: false,
      mtuUntilUs: NEVER,
      gateway: undefined,
      gatewayUntilUs: NEVER,
      place: this.#all.length,
    };
    const key = this.#key(destination);
    const chain = this.#buckets.get(key);
    if (chain === undefined) this.#buckets.set(key, [entry]);
    else chain.push(entry);
    this.#all.push(entry);
    this.#routes.set(route, (this.#routes.get(route) ?? 0) + 1);
    return entry;
  }

  #remove(entry: PathException): void {
    const last = this.#all.pop();
    if (last !== undefined && last !== entry) {
      this.#all[entry.place] = last;
      last.place = entry.place;
    }
    const others = (this.#routes.get(entry.route) ?? 1) - 1;
    if (others === 0) this.#routes.delete(entry.route);
    else this.#routes.set(entry.route, others);
    const key = this.#key(entry.destination);
    const chain = (this.#buckets.get(key) ?? []).filter((other) => other !== entry);
    if (chain.length === 0) this.#buckets.delete(key);
    else this.#buckets.set(key, chain);
  }
}
