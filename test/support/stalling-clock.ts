/**
 * Virtual time in which the process can stall: time passes and no alarm rings, as when the host sleeps or
 * an event loop is blocked. Afterwards everything overdue rings, late.
 */
import { type Alarm, type Clock, NEVER } from '../../lib/base/clock.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';

export class StallingClock implements Clock {
  readonly #clock: VirtualClock;
  /** Time that passed in stalls, µs. */
  #stalledUs = 0;
  readonly #alarms: StallingAlarm[] = [];

  constructor(startUs: number) {
    this.#clock = new VirtualClock(startUs);
  }

  nowUs(): number {
    return this.#clock.nowUs() + this.#stalledUs;
  }

  createAlarm(ring: () => void): Alarm {
    const alarm = new StallingAlarm(this, (wrapped) => this.#clock.createAlarm(wrapped), ring);
    this.#alarms.push(alarm);
    return alarm;
  }

  /** How many alarms are set. */
  get pending(): number {
    return this.#clock.pending;
  }

  /** Deadline of the earliest alarm, µs. */
  get nextUs(): number {
    return this.#clock.nextUs + this.#stalledUs;
  }

  /** Moves time on, ringing every alarm when it is due. */
  advanceBy(us: number): void {
    this.#clock.advanceBy(us);
  }

  /** Time passes, and nobody notices until the next `advanceBy`. */
  stallBy(us: number): void {
    this.#stalledUs += us;
    for (const alarm of this.#alarms) alarm.moveTo(this.#stalledUs);
  }

  /** @internal */
  get stalledUs(): number {
    return this.#stalledUs;
  }
}

class StallingAlarm implements Alarm {
  readonly #owner: StallingClock;
  readonly #alarm: Alarm;
  #deadlineUs = NEVER;

  constructor(owner: StallingClock, create: (ring: () => void) => Alarm, ring: () => void) {
    this.#owner = owner;
    this.#alarm = create(() => {
      this.#deadlineUs = NEVER;
      ring();
    });
  }

  setAt(deadlineUs: number): void {
    this.#deadlineUs = deadlineUs;
    this.#alarm.setAt(deadlineUs - this.#owner.stalledUs);
  }

  clear(): void {
    this.#deadlineUs = NEVER;
    this.#alarm.clear();
  }

  /** The stall has grown: what is set comes due sooner in the time of the clock below. */
  moveTo(stalledUs: number): void {
    if (this.#deadlineUs !== NEVER) this.#alarm.setAt(this.#deadlineUs - stalledUs);
  }
}
