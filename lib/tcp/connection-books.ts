/**
 * The books of the TCP layer: who is in the table, whose deadline is when, who is to be visited by the
 * next flush, and what counts as memory, orphan or TIME-WAIT.
 */
import { DeadlineHeap } from '../base/deadline-heap.js';
import { WorkList } from '../base/work-list.js';
import type { AnyOpenHost } from './any-open.js';
import { pathTransportBytes } from './carrier.js';
import { ConnectionTable } from './connection-table.js';
import { ConnectionEntry, type Occupant } from './entry.js';
import type { HalfOpen } from './half-open.js';
import type { TcpContext } from './layer-context.js';
import { countsAsEstablished } from './options.js';
import type { PassiveOpenHost } from './passive-open.js';
import { Resting } from './resting.js';
import { TcpState } from './state.js';
import { TimeWait } from './time-wait.js';
import { TURN_BYTES } from './transmission.js';
import type { UndecidedSyn } from './undecided.js';

/** Rounds of events and transmission in one flush; owners that answer each other go on in the next. */
const MAX_ROUNDS = 16;

export class ConnectionBooks implements PassiveOpenHost, AnyOpenHost {
  readonly table: ConnectionTable<Occupant>;
  readonly deadlines = new DeadlineHeap();
  readonly resting: Resting;
  /** Connections, TIME-WAIT not counted. */
  connections = 0;
  /** Records of handshakes under way, and of requests; and connections that were accepted before their handshake. */
  halfOpen = 0;
  handshaking = 0;
  /** Connections without an owner that still have something to deliver. */
  unfinished = 0;
  readonly #context: TcpContext;
  /** Entries to be visited by the next flush, and the list that is empty meanwhile. */
  #touched = new WorkList<ConnectionEntry>();
  #spare = new WorkList<ConnectionEntry>();
  /** Those a full link kept from sending, and those that may not write for want of memory. */
  #blocked: ConnectionEntry[] = [];
  #starved = new Set<ConnectionEntry>();
  /** Those that have used up their turn, and go on in the next flush. */
  #waiting: ConnectionEntry[] = [];

  constructor(context: TcpContext) {
    this.#context = context;
    this.table = new ConnectionTable(context.random);
    this.resting = new Resting(context.stats.tcp, context.options.restAfterMs);
  }

  get hasTouched(): boolean {
    return this.#touched.count > 0 || this.#waiting.length > 0;
  }

  /** The connection has something to do: the next flush visits it. */
  touch(entry: ConnectionEntry): void {
    if (!entry.isRemoved) this.#touchAnyway(entry);
  }

  /** As `touch`, also for one that has left and whose owner is yet to hear of it. */
  touchOwner(entry: ConnectionEntry): void {
    this.#touchAnyway(entry);
  }

  #touchAnyway(entry: ConnectionEntry): void {
    if (entry.isTouched) return;
    entry.isTouched = true;
    this.#touched.push(entry);
  }

  /**
   * Visits everyone touched: first `tell` for each, then what is due is sent, until nobody is touched
   * any more.
   */
  flush(nowUs: number, tell: (entry: ConnectionEntry) => void, before: () => void): void {
    if (this.#waiting.length > 0) this.#beginTurn();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      before();
      if (this.#starved.size > 0) this.#feed();
      if (this.#touched.count === 0) return;
      const touched = this.#touched;
      // Owners may touch more while they are told: the list grows under the loop.
      for (let i = 0; i < touched.count; i++) tell(touched.at(i));
      this.#touched = this.#spare;
      this.#spare = touched;
      for (let i = 0; i < touched.count; i++) {
        const entry = touched.at(i);
        entry.isTouched = false;
        if (entry.isRemoved) continue;
        this.#transmit(entry, nowUs);
        this.#settle(entry, nowUs);
      }
      touched.clear();
    }
  }

  #beginTurn(): void {
    for (const entry of this.#waiting) {
      entry.connection.turnBytes = TURN_BYTES;
      this.touch(entry);
    }
    this.#waiting.length = 0;
  }

  /** The link takes packets again: those it kept waiting are visited. */
  unblock(): void {
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const entry of blocked) this.touch(entry);
  }

  #await(entry: ConnectionEntry): void {
    if (this.#starved.has(entry)) return;
    this.#starved.add(entry);
    this.#context.memory.awaitRoom();
  }

  /** Where memory is free again, those who wait for it may write. */
  #feed(): void {
    if (!this.#context.memory.takeRoomAgain()) return;
    for (const entry of this.#starved) {
      entry.connection.noLongerStarved();
      this.touch(entry);
    }
    this.#starved.clear();
  }

  #transmit(entry: ConnectionEntry, nowUs: number): void {
    const { connection, path } = entry;
    if (connection.takeDoubt()) this.#context.carrier.reconsider(path);
    const output = this.#context.carrier.aim(path);
    if (path.mtu !== entry.knownMtu) {
      entry.knownMtu = path.mtu;
      connection.pathChanged(pathTransportBytes(path));
    }
    const hadTurn = connection.turnBytes > 0;
    if (!connection.transmit(output, nowUs)) this.#blocked.push(entry);
    if (hadTurn && connection.turnBytes <= 0) this.#waiting.push(entry);
  }

  /** Counts connections that nobody owns any more and that have promises to keep. */
  countUnfinished(entry: ConnectionEntry): void {
    const { isOrphan, state, sender, pendingReset } = entry.connection;
    const delivers = isOrphan && state !== TcpState.CLOSED && !sender.isDrained;
    const isUnfinished = delivers || pendingReset !== undefined;
    if (isUnfinished === entry.isUnfinished) return;
    entry.isUnfinished = isUnfinished;
    this.unfinished += isUnfinished ? 1 : -1;
  }

  /** Puts the books in order after a visit: deadline, gauges, and who has left. */
  #settle(entry: ConnectionEntry, nowUs: number): void {
    const { connection } = entry;
    const { tcp } = this.#context.stats;
    const counts = countsAsEstablished(connection.state);
    if (counts !== entry.isCounted) {
      entry.isCounted = counts;
      tcp.currEstab += counts ? 1 : -1;
    }
    this.countUnfinished(entry);
    connection.sender.buffer.trimLarge();
    const { memoryBytes } = connection;
    connection.memory.set(memoryBytes);
    if (memoryBytes > 0) connection.timers.watchMemory(nowUs);
    if (connection.isStarved) this.#await(entry);
    if (connection.state === TcpState.TIME_WAIT) this.#enterTimeWait(entry, nowUs);
    else if (connection.state === TcpState.CLOSED && connection.pendingReset === undefined)
      this.remove(entry);
    else this.deadlines.set(entry.slot, connection.nextDeadlineUs);
    // Events that arose while sending are told in the next round.
    if (connection.hasEvents && entry.owner !== undefined) this.touchOwner(entry);
    if (!entry.isRemoved) this.resting.visited(entry, nowUs);
  }

  #enterTimeWait(entry: ConnectionEntry, nowUs: number): void {
    const { stats, options } = this.#context;
    const { connection, slot } = entry;
    stats.tcp.tw++;
    if (stats.tcp.twCount >= options.maxTimeWait) {
      stats.tcp.twOverflow++;
      connection.end('');
      this.remove(entry);
      return;
    }
    const record = new TimeWait(connection, entry.tuple, entry.path, nowUs);
    connection.end('');
    this.#forget(entry);
    record.slot = slot;
    stats.tcp.twCount++;
    this.table.replace(slot, record);
    this.deadlines.set(slot, nowUs + options.timeWaitMs * 1000);
  }

  remove(entry: ConnectionEntry): void {
    if (entry.isRemoved) return;
    this.#vacate(entry.slot);
    this.#forget(entry);
  }

  #forget(entry: ConnectionEntry): void {
    const { tcp } = this.#context.stats;
    entry.isRemoved = true;
    this.resting.forget(entry);
    this.#starved.delete(entry);
    this.connections--;
    if (entry.connection.isOrphan) tcp.orphans--;
    if (entry.isUnfinished) {
      entry.isUnfinished = false;
      this.unfinished--;
    }
    if (entry.isCounted) {
      entry.isCounted = false;
      tcp.currEstab--;
    }
    entry.connection.memory.leave();
  }

  removeTimeWait(slot: number): void {
    this.#context.stats.tcp.twCount--;
    this.#vacate(slot);
  }

  /** Whoever stands at an address of others has IP take its segments, for as long as it does. */
  #occupy(occupant: Occupant): number {
    if (occupant.tuple.isForeign === true) this.#context.carrier.takeForeign(true);
    return this.table.insert(occupant.tuple, occupant);
  }

  #vacate(slot: number): void {
    if (this.table.at(slot)?.tuple.isForeign === true) this.#context.carrier.takeForeign(false);
    this.deadlines.clear(slot);
    this.table.remove(slot);
  }

  // ---- `PassiveOpenHost` ------------------------------------------------------------------------

  addHalfOpen(record: HalfOpen, deadlineUs: number): void {
    record.slot = this.#occupy(record);
    this.deadlines.set(record.slot, deadlineUs);
  }

  rearmHalfOpen(record: HalfOpen, deadlineUs: number): void {
    this.deadlines.set(record.slot, deadlineUs);
  }

  removeHalfOpen(record: HalfOpen): void {
    this.#vacate(record.slot);
  }

  addConnection(entry: ConnectionEntry, record: { readonly slot: number } | undefined): void {
    if (record === undefined) {
      entry.slot = this.#occupy(entry);
    } else {
      entry.slot = record.slot;
      this.table.replace(entry.slot, entry);
      this.deadlines.clear(entry.slot);
    }
    this.connections++;
  }

  // ---- `AnyOpenHost` ----------------------------------------------------------------------------

  addUndecided(record: UndecidedSyn, deadlineUs: number): void {
    record.slot = this.#occupy(record);
    this.deadlines.set(record.slot, deadlineUs);
  }

  removeUndecided(record: UndecidedSyn): void {
    this.#vacate(record.slot);
  }

  /** Everyone in the table; not for every packet. */
  occupants(): Iterable<Occupant> {
    return this.table;
  }

  /** Every connection; not for every packet. */
  *entries(): Iterable<ConnectionEntry> {
    for (const occupant of this.table) if (occupant instanceof ConnectionEntry) yield occupant;
  }
}
