/**
 * Time that moves only when told to. Alarms ring in the order of their deadlines, ties in the order in
 * which they were set, so that a run repeats exactly.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { ArgumentRangeError, invariant } from '../base/errors.js';

/** Alarms that may ring without time moving; more are taken for an endless loop. */
const MAX_RINGS_AT_ONE_TIME = 10_000_000;

/**
 * Time that moves only when told to. Alarms ring in the order of their deadlines, ties in the order in which
 * they were set, so that a run repeats exactly.
 */
export class VirtualClock implements Clock {
  #nowUs: number;
  /** A binary heap of the alarms that are set: earliest first, then first set. */
  readonly #heap: VirtualAlarm[] = [];
  /** How many times an alarm was set: breaks ties. */
  #settings = 0;
  #ringsNow = 0;

  /** @param startUs the time at first, µs; 0 by default */
  constructor(startUs = 0) {
    if (!Number.isFinite(startUs)) throw new ArgumentRangeError(`not a time: ${startUs}`);
    this.#nowUs = startUs;
  }

  nowUs(): number {
    return this.#nowUs;
  }

  createAlarm(ring: () => void): Alarm {
    return new VirtualAlarm(this, ring);
  }

  /** When the next alarm rings, µs; `NEVER` when none is set. */
  get nextUs(): number {
    const first = this.#heap[0];
    return first === undefined ? NEVER : first.deadlineUs;
  }

  /** How many alarms are set. */
  get pending(): number {
    return this.#heap.length;
  }

  /**
   * Moves time to `timeUs`, ringing every alarm on the way, those due exactly then included.
   * @throws ArgumentRangeError for a time that has passed
   */
  advanceTo(timeUs: number): void {
    if (!(timeUs >= this.#nowUs) || timeUs === NEVER) {
      throw new ArgumentRangeError(`cannot advance from ${this.#nowUs} to ${timeUs} µs`);
    }
    while (this.nextUs <= timeUs) this.#ringNext();
    this.#moveTo(timeUs);
  }

  /** Moves time on by `us` µs; 0 rings what is due now. */
  advanceBy(us: number): void {
    this.advanceTo(this.#nowUs + us);
  }

  /** Moves time to the next alarm and rings that one. @returns false when none is set */
  step(): boolean {
    if (this.#heap.length === 0) return false;
    this.#ringNext();
    return true;
  }

  /**
   * Rings alarm after alarm until none is set, for at most `limitUs` µs of virtual time.
   * @returns whether all is idle; if not, exactly `limitUs` have passed
   */
  runUntilIdle(limitUs = NEVER): boolean {
    return this.runUntil(() => this.#heap.length === 0, limitUs);
  }

  /**
   * Rings alarm after alarm until `done` says so or none is set, for at most `limitUs` µs.
   * @returns what `done` says in the end; if it is false and alarms are left, `limitUs` have passed
   */
  runUntil(done: () => boolean, limitUs = NEVER): boolean {
    const endUs = this.#nowUs + limitUs;
    while (!done()) {
      if (this.#heap.length === 0) return false;
      if (this.nextUs > endUs) {
        this.#moveTo(endUs);
        return false;
      }
      this.#ringNext();
    }
    return true;
  }

  /** @internal For `VirtualAlarm`. */
  insert(alarm: VirtualAlarm, deadlineUs: number): void {
    if (alarm.place >= 0) this.remove(alarm);
    alarm.deadlineUs = Math.max(deadlineUs, this.#nowUs);
    alarm.order = this.#settings++;
    this.#heap.push(alarm);
    this.#siftUp(this.#heap.length - 1, alarm);
  }

  /** @internal For `VirtualAlarm`. */
  remove(alarm: VirtualAlarm): void {
    const place = alarm.place;
    alarm.place = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === alarm) return;
    this.#siftUp(place, last);
    if (last.place === place) this.#siftDown(place, last);
  }

  #ringNext(): void {
    const alarm = this.#heap[0];
    if (alarm === undefined) return;
    this.#moveTo(alarm.deadlineUs);
    invariant(++this.#ringsNow <= MAX_RINGS_AT_ONE_TIME, 'alarms do not ring for ever at one time');
    this.remove(alarm);
    alarm.ring();
  }

  #moveTo(timeUs: number): void {
    if (timeUs > this.#nowUs) this.#ringsNow = 0;
    this.#nowUs = timeUs;
  }

  #siftUp(start: number, alarm: VirtualAlarm): void {
    const heap = this.#heap;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!alarm.isBefore(heap[parent])) break;
      this.#put(place, heap[parent]);
      place = parent;
    }
    this.#put(place, alarm);
  }

  #siftDown(start: number, alarm: VirtualAlarm): void {
    const heap = this.#heap;
    let place = start;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].isBefore(heap[child])) child++;
      if (!heap[child].isBefore(alarm)) break;
      this.#put(place, heap[child]);
      place = child;
    }
    this.#put(place, alarm);
  }

  #put(place: number, alarm: VirtualAlarm): void {
    this.#heap[place] = alarm;
    alarm.place = place;
  }
}

class VirtualAlarm implements Alarm {
  readonly #clock: VirtualClock;
  readonly ring: () => void;
  deadlineUs = NEVER;
  order = 0;
  /** Place in the heap; -1 while not set. */
  place = -1;

  constructor(clock: VirtualClock, ring: () => void) {
    this.#clock = clock;
    this.ring = ring;
  }

  setAt(deadlineUs: number): void {
    invariant(!Number.isNaN(deadlineUs), 'a deadline is a number');
    if (deadlineUs === NEVER) this.clear();
    else this.#clock.insert(this, deadlineUs);
  }

  clear(): void {
    if (this.place >= 0) this.#clock.remove(this);
  }

  isBefore(other: VirtualAlarm): boolean {
    return (
      this.deadlineUs < other.deadlineUs || (this.deadlineUs === other.deadlineUs && this.order < other.order)
    );
  }
}
