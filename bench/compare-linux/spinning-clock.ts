/**
 * The host's clock with alarms that ring within a tenth of a millisecond, where timers of the event loop have
 * a grain of one: it looks again and again, and naps between.
 */
import { type Alarm, type Clock, NEVER } from '../../lib/base/clock.js';

/** The longest nap, µs: what comes in meanwhile waits. */
const NAP_US = 100;
/** Below this a nap is not worth it. */
const MIN_NAP_US = 30;
/**
 * Never longer than this without a nap, µs. In real time, Linux would otherwise take the processor away for 50 ms of
 * each second, lest others starve.
 */
const AWAKE_US = 700;

const pillow = new Int32Array(new SharedArrayBuffer(4));

export class SpinningClock implements Clock {
  readonly #alarms: SpinningAlarm[] = [];
  #sleptAtUs = 0;

  constructor() {
    const turn = (): void => {
      const nowUs = this.nowUs();
      for (const alarm of this.#alarms) alarm.look(nowUs);
      this.#nap();
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  #nap(): void {
    const nowUs = this.nowUs();
    const dueUs = Math.min(...this.#alarms.map(({ deadlineUs }) => deadlineUs)) - nowUs;
    const isTired = nowUs - this.#sleptAtUs > AWAKE_US;
    if (dueUs < MIN_NAP_US && !isTired) return;
    Atomics.wait(pillow, 0, 0, Math.max(MIN_NAP_US, Math.min(NAP_US, dueUs)) / 1000);
    this.#sleptAtUs = this.nowUs();
  }

  nowUs(): number {
    return performance.now() * 1000;
  }

  createAlarm(ring: () => void): Alarm {
    const alarm = new SpinningAlarm(ring);
    this.#alarms.push(alarm);
    return alarm;
  }
}

class SpinningAlarm implements Alarm {
  readonly #ring: () => void;
  /** `NEVER` while it is not set. */
  deadlineUs = NEVER;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  setAt(deadlineUs: number): void {
    this.deadlineUs = deadlineUs;
  }

  clear(): void {
    this.deadlineUs = NEVER;
  }

  look(nowUs: number): void {
    if (this.deadlineUs > nowUs) return;
    this.deadlineUs = NEVER;
    this.#ring();
  }
}
