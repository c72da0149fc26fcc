/**
 * Neighbour unreachability detection (RFC 4861 §7.3), the same for ARP: what to do with a packet for a neighbour, and
 * what an answer, a claim or silence means. It is told things, and asks for requests to be sent through `Solicitor`.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { DeadlineHeap } from '../base/deadline-heap.js';
import { type Random, randomFraction } from '../base/random.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { EthernetCounters } from './counters.js';
import type { MacAddress } from './mac-address.js';
import type { NeighborOptions } from './neighbor-options.js';
import {
  type Neighbor,
  type NeighborDescription,
  NeighborTable,
  NeighborState as S,
} from './neighbor-table.js';

/** What the machine asks of the link. */
export interface Solicitor {
  /** Asks all (or, `isUnicast`, the neighbour itself) for a neighbour's address. */
  solicit(neighbor: Neighbor, isUnicast: boolean): void;
  /** Sends a packet that waited; the neighbour's address is known now. */
  release(neighbor: Neighbor, packet: Uint8Array): void;
  /** Nobody answered: a packet that waited is given up. */
  unreachable(packet: Uint8Array): void;
  /** A neighbour does not answer, or (`isGone` false) does. */
  changed(neighbor: Neighbor, isGone: boolean): void;
  /** A neighbour says that it is no router any more. */
  routerLeft(neighbor: Neighbor): void;
}

/** What a message said of a neighbour's address. */
export interface NeighborClaim {
  readonly mac: MacAddress;
  /** It answers a request of ours: the neighbour is there, and hears us. */
  readonly isSolicited: boolean;
  /** It may replace another address (the O flag of RFC 4861 §4.4). */
  readonly isOverride: boolean;
  /** What it says of being a router; absent where it says nothing. */
  readonly isRouter?: boolean;
  /** It is an announcement (RFC 5227 §3), as of who takes over from another: believed also soon after a claim. */
  readonly isAnnouncement?: boolean;
}

/** A claim that comes so soon after another is not believed over it, µs; Linux `locktime`, for IPv4 only. */
const LOCK_US = 1_000_000;

export class Neighbors {
  /** What routers may change, of IPv6 alone: BaseReachableTime and RetransTimer, ms. */
  reachableMs6: number;
  retransMs6: number;
  readonly #options: NeighborOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #counters: EthernetCounters;
  readonly #solicitor: Solicitor;
  readonly #table: NeighborTable;
  readonly #deadlines = new DeadlineHeap();
  readonly #alarm: Alarm;
  #queuedBytes = 0;
  /** The time of the turn, µs. */
  #nowUs = 0.5;

  constructor(
    options: NeighborOptions,
    env: { clock: Clock; random: Random; counters: EthernetCounters },
    solicitor: Solicitor,
  ) {
    this.#options = options;
    this.#clock = env.clock;
    this.#random = env.random;
    this.#counters = env.counters;
    this.#solicitor = solicitor;
    this.reachableMs6 = options.reachableMs;
    this.retransMs6 = options.retransMs;
    this.#table = new NeighborTable(options, env, (neighbor) => this.#forgotten(neighbor));
    this.#alarm = env.clock.createAlarm(() => this.#ring());
  }

  /** By the words of an address; undefined for one nobody asked for. */
  find(w0: number, w1: number, w2: number, w3: number): Neighbor | undefined {
    return this.#table.find(w0, w1, w2, w3);
  }

  get(address: IpAddress): Neighbor | undefined {
    return this.#table.get(address);
  }

  /** A neighbour not yet known, to be asked for by `hold`; undefined where there is no room. */
  add(address: IpAddress): Neighbor | undefined {
    return this.#table.add(address, this.#clock.nowUs(), S.Incomplete);
  }

  describe(): NeighborDescription[] {
    return this.#table.describe(this.#clock.nowUs());
  }

  /** Reads the clock, for all `use`s of this turn. */
  tick(): void {
    this.#nowUs = this.#clock.nowUs();
  }

  /** Whether a packet can be sent to the neighbour now, at the last `tick`; notes that it is (RFC 4861 §7.3.3). */
  use(neighbor: Neighbor): boolean {
    const nowUs = this.#nowUs;
    neighbor.usedUs = nowUs;
    switch (neighbor.state) {
      case S.Reachable:
        if (nowUs < neighbor.reachableUntilUs) return true;
        break;
      case S.Stale:
        break;
      case S.Incomplete:
        return false;
      default:
        return true;
    }
    neighbor.state = S.Delay;
    this.#setDeadline(neighbor, nowUs + this.#options.delayMs * 1000);
    return true;
  }

  /** Keeps a packet until the neighbour's address is known; the first one asks for it. The bytes are kept. */
  hold(neighbor: Neighbor, packet: Uint8Array): void {
    const { queuePackets, queueBytes, totalQueueBytes } = this.#options;
    const { queue } = neighbor;
    while (
      queue.length > 0 &&
      (queue.length >= queuePackets || neighbor.queueBytes + packet.length > queueBytes)
    ) {
      this.#dropFirst(neighbor);
    }
    if (this.#queuedBytes + packet.length > totalQueueBytes || packet.length > queueBytes) {
      this.#counters.neighborQueueFull++;
    } else {
      queue.push(packet);
      neighbor.queueBytes += packet.length;
      this.#queuedBytes += packet.length;
    }
    if (neighbor.probes === 0) this.#solicit(neighbor, false);
  }

  /**
   * A message that answers nobody told a neighbour's address: a request, an advertisement of a router (RFC 4861
   * §7.2.3, §6.3.4). It makes an entry where there is none; without an Ethernet address it only says whether this is a
   * router.
   */
  heard(address: IpAddress, mac: MacAddress | undefined, isRouter?: boolean): void {
    const nowUs = this.#clock.nowUs();
    const known = this.#table.get(address);
    const neighbor = known ?? (mac === undefined ? undefined : this.#table.add(address, nowUs, S.Stale));
    if (neighbor === undefined) return;
    if (isRouter !== undefined) this.#setRouter(neighbor, isRouter);
    if (mac === undefined) return;
    if (neighbor.state !== S.Incomplete && neighbor.hasMac(mac)) return;
    if (neighbor.state !== S.Incomplete && this.#isLocked(neighbor, nowUs)) return;
    this.#learn(neighbor, mac, nowUs);
    this.#rest(neighbor, S.Stale);
    this.#release(neighbor);
  }

  /** Takes what an advertisement or an ARP reply says (RFC 4861 §7.2.5). Nothing happens where nobody asked. */
  claimed(address: IpAddress, claim: NeighborClaim | Omit<NeighborClaim, 'mac'>): void {
    const neighbor = this.#table.get(address);
    if (neighbor === undefined) return;
    const nowUs = this.#clock.nowUs();
    const mac = 'mac' in claim ? claim.mac : undefined;
    const { isSolicited, isOverride, isRouter, isAnnouncement = false } = claim;
    if (neighbor.state === S.Incomplete) {
      if (mac === undefined) return;
      if (isRouter !== undefined) this.#setRouter(neighbor, isRouter);
      this.#learn(neighbor, mac, nowUs);
      if (isSolicited) this.#confirm(neighbor, nowUs);
      else this.#rest(neighbor, S.Stale);
      this.#release(neighbor);
      return;
    }
    const differs = mac !== undefined && !neighbor.hasMac(mac);
    if (differs && (!isOverride || (!isAnnouncement && this.#isLocked(neighbor, nowUs)))) {
      // Somebody else claims it, and may not: from now on it is in doubt.
      if (neighbor.state === S.Reachable && !isOverride) this.#rest(neighbor, S.Stale);
      return;
    }
    if (differs) this.#learn(neighbor, mac, nowUs);
    if (isSolicited) this.#confirm(neighbor, nowUs);
    else if (differs) this.#rest(neighbor, S.Stale);
    if (isRouter !== undefined) this.#setRouter(neighbor, isRouter);
  }

  /** Somebody who must know, such as TCP, has heard of the neighbour (RFC 4861 §7.3.1). */
  confirm(address: IpAddress): void {
    const neighbor = this.#table.get(address);
    if (neighbor !== undefined && neighbor.state !== S.Incomplete)
      this.#confirm(neighbor, this.#clock.nowUs());
  }

  /** Forgets one, and what waits for it. */
  forget(address: IpAddress): void {
    const neighbor = this.#table.get(address);
    if (neighbor !== undefined) this.#table.remove(neighbor);
  }

  /** Forgets all of them. */
  close(): void {
    for (const neighbor of this.#table.all()) this.#table.remove(neighbor);
    this.#alarm.clear();
  }

  ref(): void {
    this.#alarm.ref?.();
  }

  unref(): void {
    this.#alarm.unref?.();
  }

  #isLocked(neighbor: Neighbor, nowUs: number): boolean {
    return neighbor.address.family === 4 && neighbor.updatedUs > 0 && nowUs - neighbor.updatedUs < LOCK_US;
  }

  #learn(neighbor: Neighbor, mac: MacAddress, nowUs: number): void {
    neighbor.macHigh = mac.high;
    neighbor.macLow = mac.low;
    neighbor.updatedUs = nowUs;
  }

  #setRouter(neighbor: Neighbor, isRouter: boolean): void {
    const wasRouter = neighbor.isRouter;
    neighbor.isRouter = isRouter;
    // RFC 4861 §7.2.5: who is no router any more must not be used as one.
    if (wasRouter && !isRouter) this.#solicitor.routerLeft(neighbor);
  }

  /** It is there, and hears us. */
  #confirm(neighbor: Neighbor, nowUs: number): void {
    const baseMs = neighbor.address.family === 6 ? this.reachableMs6 : this.#options.reachableMs;
    neighbor.reachableUntilUs = nowUs + baseMs * 1000 * (0.5 + randomFraction(this.#random));
    this.#rest(neighbor, S.Reachable);
    this.#solicitor.changed(neighbor, false);
  }

  /** Into a state in which nothing is waited for. */
  #rest(neighbor: Neighbor, state: typeof S.Stale | typeof S.Reachable): void {
    this.#table.setState(neighbor, state);
    neighbor.probes = 0;
    this.#setDeadline(neighbor, NEVER);
  }

  #release(neighbor: Neighbor): void {
    const { queue } = neighbor;
    if (queue.length === 0) return;
    neighbor.queue = [];
    this.#queuedBytes -= neighbor.queueBytes;
    neighbor.queueBytes = 0;
    this.tick();
    for (const packet of queue) {
      this.use(neighbor);
      this.#solicitor.release(neighbor, packet);
    }
  }

  #solicit(neighbor: Neighbor, isUnicast: boolean): void {
    neighbor.probes++;
    const retransMs = neighbor.address.family === 6 ? this.retransMs6 : this.#options.retransMs;
    this.#setDeadline(neighbor, this.#clock.nowUs() + retransMs * 1000);
    this.#solicitor.solicit(neighbor, isUnicast);
  }

  #dropFirst(neighbor: Neighbor): void {
    const first = neighbor.queue.shift();
    const bytes = first?.length ?? 0;
    neighbor.queueBytes -= bytes;
    this.#queuedBytes -= bytes;
    this.#counters.neighborQueueFull++;
  }

  #setDeadline(neighbor: Neighbor, deadlineUs: number): void {
    this.#deadlines.set(neighbor.id, deadlineUs);
    this.#setAlarm();
  }

  #setAlarm(): void {
    const { earliestUs } = this.#deadlines;
    if (earliestUs === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(earliestUs);
  }

  #ring(): void {
    const nowUs = this.#clock.nowUs();
    while (this.#deadlines.earliestUs <= nowUs) {
      const id = this.#deadlines.earliestId;
      this.#deadlines.clear(id);
      const neighbor = this.#table.byId(id);
      if (neighbor !== undefined) this.#due(neighbor);
    }
    this.#setAlarm();
  }

  #due(neighbor: Neighbor): void {
    const { multicastProbes, unicastProbes } = this.#options;
    if (neighbor.state === S.Delay) {
      neighbor.state = S.Probe;
      neighbor.probes = 0;
      this.#solicit(neighbor, true);
    } else if (neighbor.state === S.Probe && neighbor.probes < unicastProbes) {
      this.#solicit(neighbor, true);
    } else if (neighbor.state === S.Incomplete && neighbor.probes < multicastProbes) {
      this.#solicit(neighbor, false);
    } else if (neighbor.state === S.Probe || neighbor.state === S.Incomplete) {
      this.#fail(neighbor);
    }
  }

  /** RFC 4861 §7.3.3, RFC 1122 §2.3.2.1: it is not there; the next packet asks anew. */
  #fail(neighbor: Neighbor): void {
    const { queue } = neighbor;
    neighbor.queue = [];
    this.#queuedBytes -= neighbor.queueBytes;
    neighbor.queueBytes = 0;
    this.#counters.neighborFailures++;
    this.#table.remove(neighbor);
    for (const packet of queue) {
      this.#counters.neighborUnreachable++;
      this.#solicitor.unreachable(packet);
    }
    this.#solicitor.changed(neighbor, true);
  }

  #forgotten(neighbor: Neighbor): void {
    this.#counters.neighborUnreachable += neighbor.queue.length;
    this.#queuedBytes -= neighbor.queueBytes;
    neighbor.queue = [];
    neighbor.queueBytes = 0;
    this.#setDeadline(neighbor, NEVER);
  }
}
