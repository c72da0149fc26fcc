/**
 * The neighbours of a link, IPv4's and IPv6's in one bounded table: found by hash, forgotten when they are too many.
 * Thresholds are those of Linux.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { EthernetCounters } from './counters.js';
import { MacAddress } from './mac-address.js';
import type { NeighborOptions } from './neighbor-options.js';

/** States of a neighbour (RFC 4861 §7.3.2); one that failed has no entry. */
export const NeighborState = {
  /** Asked for; its address is not known, and packets wait. */
  Incomplete: 0,
  /** Confirmed lately. */
  Reachable: 1,
  /** Known, and not confirmed lately. */
  Stale: 2,
  /** Being sent to, and soon to be asked whether it is still there. */
  Delay: 3,
  /** Being asked whether it is still there. */
  Probe: 4,
} as const;
export type NeighborState = (typeof NeighborState)[keyof typeof NeighborState];

/** States of a neighbour (RFC 4861 §7.3.2). */
export type NeighborStateName = 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe';
const STATE_NAMES: readonly NeighborStateName[] = ['incomplete', 'reachable', 'stale', 'delay', 'probe'];

/** Above the soft limit, entries in use during the last five seconds stay, as in Linux. */
const RECENT_US = 5_000_000;
/** All are looked at no more often than this, however many come. */
const COLLECT_INTERVAL_US = 1_000_000;

export class Neighbor {
  readonly address: IpAddress;
  /** Place in the table, and in the heap of deadlines. */
  readonly id: number;
  state: NeighborState;
  macHigh = 0;
  macLow = 0;
  isRouter = false;
  /** Requests sent in this state. */
  probes = 0;
  /** While Reachable: until when, µs. */
  reachableUntilUs = 0;
  /** When a packet was last sent to it, µs. */
  usedUs: number;
  /** When its Ethernet address was last set, µs. */
  updatedUs = 0;
  /** Packets that wait for its address, oldest first. */
  queue: Uint8Array[] = [];
  queueBytes = 0;
  next: Neighbor | undefined = undefined;

  constructor(address: IpAddress, id: number, known: { state: NeighborState; nowUs: number }) {
    this.address = address;
    this.id = id;
    this.state = known.state;
    this.usedUs = known.nowUs;
  }

  get mac(): MacAddress {
    return new MacAddress(this.macHigh, this.macLow);
  }

  isAt(w0: number, w1: number, w2: number, w3: number): boolean {
    const { address } = this;
    return address.w3 === w3 && address.w2 === w2 && address.w1 === w1 && address.w0 === w0;
  }

  hasMac(mac: MacAddress): boolean {
    return this.macHigh === mac.high && this.macLow === mac.low;
  }
}

/** A neighbour, for readers. */
export interface NeighborDescription {
  /** IP address. */
  readonly address: string;
  /** Ethernet address; absent while it is not known. */
  readonly mac?: string;
  /** Its state (RFC 4861 §7.3.2). */
  readonly state: NeighborStateName;
  /** Whether it says that it is a router. */
  readonly isRouter: boolean;
  /** Packets that wait for its address. */
  readonly queued: number;
}

export class NeighborTable {
  count = 0;
  /** How many of them are `Incomplete`. */
  #unresolved = 0;
  /** When all were looked at last for those nobody needs, µs. */
  #collectedUs = Number.NEGATIVE_INFINITY;
  readonly #options: NeighborOptions;
  readonly #counters: EthernetCounters;
  readonly #hash: TableHash;
  readonly #buckets: (Neighbor | undefined)[];
  readonly #byId: (Neighbor | undefined)[] = [];
  readonly #freeIds: number[] = [];
  #last: Neighbor | undefined;
  readonly #onRemoved: (neighbor: Neighbor) => void;

  /** @param onRemoved hears of every neighbour that is forgotten */
  constructor(
    options: NeighborOptions,
    env: { random: Random; counters: EthernetCounters },
    onRemoved: (neighbor: Neighbor) => void,
  ) {
    this.#options = options;
    this.#counters = env.counters;
    this.#hash = new TableHash(env.random);
    this.#buckets = new Array<undefined>(1 << Math.ceil(Math.log2(Math.max(16, options.maxEntries))));
    this.#buckets.fill(undefined);
    this.#onRemoved = onRemoved;
  }

  byId(id: number): Neighbor | undefined {
    return this.#byId[id];
  }

  /** By the words of an address. */
  find(w0: number, w1: number, w2: number, w3: number): Neighbor | undefined {
    const last = this.#last;
    if (last !== undefined && last.isAt(w0, w1, w2, w3)) return last;
    let entry = this.#buckets[this.#bucketOf(w0, w1, w2, w3)];
    while (entry !== undefined && !entry.isAt(w0, w1, w2, w3)) entry = entry.next;
    if (entry !== undefined) this.#last = entry;
    return entry;
  }

  get(address: IpAddress): Neighbor | undefined {
    return this.find(address.w0, address.w1, address.w2, address.w3);
  }

  /**
   * A new entry; undefined, and counted, where there is no room for one. Those being asked for have half of the places,
   * so that who sends to many who are not there drives out nobody who is (RFC 6583 §7.1).
   */
  add(address: IpAddress, nowUs: number, state: NeighborState): Neighbor | undefined {
    const { lowEntries, maxEntries } = this.#options;
    if (this.count >= lowEntries && nowUs - this.#collectedUs >= COLLECT_INTERVAL_US) this.#collect(nowUs);
    const isUnresolved = state === NeighborState.Incomplete;
    const isRefused = isUnresolved && this.#unresolved >= Math.ceil(maxEntries / 2);
    if (isRefused || (this.count >= maxEntries && !this.#evict())) {
      this.#counters.neighborTableFull++;
      return undefined;
    }
    if (isUnresolved) this.#unresolved++;
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const neighbor = new Neighbor(address, id, { state, nowUs });
    this.#byId[id] = neighbor;
    const bucket = this.#bucketOf(address.w0, address.w1, address.w2, address.w3);
    neighbor.next = this.#buckets[bucket];
    this.#buckets[bucket] = neighbor;
    this.count++;
    return neighbor;
  }

  /** Gives an entry another state. */
  setState(neighbor: Neighbor, state: NeighborState): void {
    if (neighbor.state === NeighborState.Incomplete) this.#unresolved--;
    if (state === NeighborState.Incomplete) this.#unresolved++;
    neighbor.state = state;
  }

  remove(neighbor: Neighbor): void {
    const { address, id } = neighbor;
    if (this.#byId[id] !== neighbor) return;
    if (neighbor.state === NeighborState.Incomplete) this.#unresolved--;
    this.#byId[id] = undefined;
    this.#freeIds.push(id);
    if (this.#last === neighbor) this.#last = undefined;
    const bucket = this.#bucketOf(address.w0, address.w1, address.w2, address.w3);
    let before = this.#buckets[bucket];
    if (before === neighbor) {
      this.#buckets[bucket] = neighbor.next;
    } else {
      while (before !== undefined && before.next !== neighbor) before = before.next;
      if (before !== undefined) before.next = neighbor.next;
    }
    this.count--;
    this.#onRemoved(neighbor);
  }

  /** All of them; a copy. */
  all(): Neighbor[] {
    return this.#byId.filter((neighbor) => neighbor !== undefined);
  }

  describe(nowUs: number): NeighborDescription[] {
    return this.all().map((neighbor) => {
      const { address, state, isRouter, queue, reachableUntilUs } = neighbor;
      const isOld = state === NeighborState.Reachable && nowUs >= reachableUntilUs;
      return {
        address: address.toString(),
        ...(state === NeighborState.Incomplete ? {} : { mac: neighbor.mac.toString() }),
        state: STATE_NAMES[isOld ? NeighborState.Stale : state],
        isRouter,
        queued: queue.length,
      };
    });
  }

  /** Forgets those nobody needs: after long, or, above the soft limit, after a little. */
  #collect(nowUs: number): void {
    this.#collectedUs = nowUs;
    const { softEntries, staleMs } = this.#options;
    const restUs = this.count >= softEntries ? RECENT_US : staleMs * 1000;
    for (const neighbor of this.#byId) {
      if (neighbor === undefined || !isIdle(neighbor) || nowUs - neighbor.usedUs < restUs) continue;
      this.#counters.neighborsCollected++;
      this.remove(neighbor);
    }
  }

  /** Forgets the one used longest ago, of those that nothing waits for. @returns whether there is one */
  #evict(): boolean {
    let oldest: Neighbor | undefined;
    for (const neighbor of this.#byId) {
      if (neighbor === undefined || !isIdle(neighbor)) continue;
      if (oldest === undefined || neighbor.usedUs < oldest.usedUs) oldest = neighbor;
    }
    if (oldest === undefined) return false;
    this.#counters.neighborsCollected++;
    this.remove(oldest);
    return true;
  }

  /** Who asks us chooses all four words of his address, so each of them is hashed. */
  #bucketOf(w0: number, w1: number, w2: number, w3: number): number {
    const hash = this.#hash;
    const upper = w0 === 0 ? w2 : hash.hash3(w0, w1, w2);
    return hash.hash3(upper, w1, w3) & (this.#buckets.length - 1);
  }
}

/** Whether nothing depends on it just now. */
const isIdle = ({ state }: Neighbor): boolean =>
  state === NeighborState.Stale || state === NeighborState.Reachable;
