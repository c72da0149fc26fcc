/**
 * The host's clock with alarms that ring within microseconds: it never sleeps. It takes a whole processor core,
 * and in exchange the relay keeps its times whatever the senders do.
 */
import { type Alarm, type Clock, NEVER } from '../../lib/base/clock.js';

export class SpinningClock implements Clock {
  readonly #alarms: SpinningAlarm[] = [];

  constructor() {
    const turn = (): void => {
      const nowUs = this.nowUs();
      for (const alarm of this.#alarms) alarm.look(nowUs);
      setImmediate(turn);
    };
    setImmediate(turn);
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
  #deadlineUs = NEVER;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  setAt(deadlineUs: number): void {
    this.#deadlineUs = deadlineUs;
  }

  clear(): void {
    this.#deadlineUs = NEVER;
  }

  look(nowUs: number): void {
    if (this.#deadlineUs > nowUs) return;
    this.#deadlineUs = NEVER;
    this.#ring();
  }
}
