/**
 * Which connections of a stack rest, and when they are put to rest: once nothing has happened to them for a
 * while. Those that may are looked at together, so that there is one deadline, and none where all rest.
 */
import { NEVER } from '../base/clock.js';
import type { TcpStats } from '../base/stats.js';
import type { ConnectionEntry } from './entry.js';
import { mayRest } from './rest.js';

/** Connections looked at in one turn, and the pause before the next, µs: nobody else is to wait for long. */
const AT_ONCE = 512;
const PAUSE_US = 1000;

export class Resting {
  readonly #stats: TcpStats;
  /** How long nothing happens before a connection rests, µs: 0 for the end of each visit, below it never. */
  readonly #afterUs: number;
  /** Those awake, in no order, as far as something happened to them; each knows its place. */
  readonly #awake: ConnectionEntry[] = [];
  /** The place to look at next, downwards. */
  #place = -1;
  /** The time, as far as it is known here, µs. */
  #nowUs = 0;
  /** When to look again, µs. */
  nextDeadlineUs = NEVER;

  constructor(stats: TcpStats, afterMs: number) {
    this.#stats = stats;
    this.#afterUs = afterMs * 1000;
  }

  /** A connection was visited, or awoke: it may rest, by and by. */
  visited(entry: ConnectionEntry, nowUs: number): void {
    if (entry.restPlace >= 0 || this.#afterUs < 0) return;
    if (this.#afterUs === 0) {
      if (mayRest(entry.connection)) this.#rest(entry);
      return;
    }
    this.#nowUs = nowUs;
    this.#watch(entry);
  }

  #watch(entry: ConnectionEntry): void {
    entry.restPlace = this.#awake.push(entry) - 1;
    if (this.nextDeadlineUs !== NEVER) return;
    this.#place = -1;
    this.nextDeadlineUs = this.#nowUs + this.#afterUs;
  }

  /** A connection that rested does so no more, also where it was only asked for something. */
  awoke(entry: ConnectionEntry): void {
    this.#stats.resting--;
    if (this.#afterUs > 0) this.#watch(entry);
  }

  /** It has left, which nobody does while resting. */
  forget(entry: ConnectionEntry): void {
    if (entry.restPlace < 0) return;
    this.#remove(entry);
    if (this.#awake.length === 0) this.nextDeadlineUs = NEVER;
  }

  /** Looks at those that are awake: who has been quiet for long enough rests now. */
  deadlineReached(nowUs: number): void {
    const awake = this.#awake;
    this.#nowUs = nowUs;
    if (this.#place < 0) this.#place = awake.length - 1;
    const last = Math.max(0, this.#place - AT_ONCE + 1);
    for (let place = Math.min(this.#place, awake.length - 1); place >= last; place--) {
      this.#consider(awake[place], nowUs);
    }
    this.#place = last - 1;
    if (last > 0) this.nextDeadlineUs = nowUs + PAUSE_US;
    else this.nextDeadlineUs = awake.length === 0 ? NEVER : nowUs + this.#afterUs;
  }

  #consider(entry: ConnectionEntry, nowUs: number): void {
    const { connection } = entry;
    const { timers, sender } = connection;
    // While buffers are watched, another visit follows.
    const isDone = timers.trimDeadlineUs === NEVER && mayRest(connection);
    if (isDone && nowUs - Math.max(timers.heardAtUs, sender.lastSentUs) < this.#afterUs) return;
    // What may not rest now is visited before it may.
    this.#remove(entry);
    if (isDone) this.#rest(entry);
  }

  #rest(entry: ConnectionEntry): void {
    entry.rest(this);
    this.#stats.resting++;
  }

  #remove(entry: ConnectionEntry): void {
    const moved = this.#awake.pop() as ConnectionEntry;
    if (moved !== entry) {
      this.#awake[entry.restPlace] = moved;
      moved.restPlace = entry.restPlace;
    }
    entry.restPlace = -1;
  }
}
