/**
 * The host's monotonic clock. With `system-random.ts` the only place where the core meets host time
 * and randomness.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';

/** The monotonic clock of the host, which no one sets. */
export class SystemClock implements Clock {
  /** Microseconds since the process or worker started, from a clock that no one sets. */
  nowUs(): number {
    return performance.now() * 1000;
  }

  createAlarm(ring: () => void): Alarm {
    return new SystemAlarm(this, ring);
  }
}

/** Host timers have a grain of 1 ms; what is due sooner is waited for by turns of the event loop. */
const HOST_GRAIN_US = 1000;
/**
 * A deadline this far away may ring up to one grain late, which costs nothing but a tenth of it. Nearer
 * ones are paced sends: the timer is set short of them and the rest waited for by turns.
 */
const COARSE_FROM_US = 10_000;
/** The longest `setTimeout`, ms; what is further off is armed again when this has passed. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * One alarm over one host timer. A stack sets its alarm anew after every batch, nearly always to a
 * later time: then the host timer stays as it is, fires early, finds that nothing is due and is armed
 * for the rest.
 */
class SystemAlarm implements Alarm {
  readonly #clock: SystemClock;
  readonly #ring: () => void;
  readonly #fired = (): void => this.#onHost();
  #deadlineUs = NEVER;
  /** When the host calls next, µs; `NEVER` while nothing is armed. */
  #hostUs = NEVER;
  #timeout: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** Whether the owner wants the process kept alive. */
  #wantsRef = true;
  /** Whether the armed host timer keeps it alive: only while also a deadline is set. */
  #isRef = true;

  constructor(clock: SystemClock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  setAt(deadlineUs: number): void {
    this.#deadlineUs = deadlineUs;
    if (deadlineUs >= this.#hostUs) {
      if (this.#isRef !== this.#wantsRef) this.#updateRef();
      return;
    }
    if (deadlineUs !== NEVER) this.#arm(this.#clock.nowUs());
  }

  clear(): void {
    this.#deadlineUs = NEVER;
    // The host timer stays armed for the next setting, but must not hold up the end of the process.
    if (this.#isRef) this.#updateRef();
  }

  ref(): void {
    this.#wantsRef = true;
    this.#updateRef();
  }

  unref(): void {
    this.#wantsRef = false;
    this.#updateRef();
  }

  #arm(nowUs: number): void {
    this.#disarm();
    const delayUs = this.#deadlineUs - nowUs;
    if (delayUs < HOST_GRAIN_US) {
      this.#hostUs = nowUs;
      this.#immediate = setImmediate(this.#fired);
      // A loop that only an unreferenced immediate waits for blocks in poll: a timer wakes it.
      if (!this.#wantsRef) this.#timeout = setTimeout(this.#fired, 1);
    } else {
      const delayMs = delayUs / 1000;
      const timeoutMs = delayUs >= COARSE_FROM_US ? Math.ceil(delayMs) : Math.floor(delayMs);
      this.#hostUs = timeoutMs > MAX_TIMEOUT_MS ? nowUs + MAX_TIMEOUT_MS * 1000 : this.#deadlineUs;
      this.#timeout = setTimeout(this.#fired, Math.min(timeoutMs, MAX_TIMEOUT_MS));
    }
    this.#isRef = true;
    if (!this.#wantsRef) this.#updateRef();
  }

  #disarm(): void {
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#timeout = undefined;
    this.#immediate = undefined;
    this.#hostUs = NEVER;
  }

  #onHost(): void {
    this.#disarm();
    if (this.#deadlineUs === NEVER) return;
    const nowUs = this.#clock.nowUs();
    if (this.#deadlineUs > nowUs) {
      this.#arm(nowUs);
      return;
    }
    this.#deadlineUs = NEVER;
    this.#ring();
  }

  #updateRef(): void {
    const isRef = this.#wantsRef && this.#deadlineUs !== NEVER;
    if (this.#hostUs === NEVER || isRef === this.#isRef) return;
    this.#isRef = isRef;
    if (isRef) {
      this.#timeout?.ref();
      this.#immediate?.ref();
      return;
    }
    this.#timeout?.unref();
    this.#immediate?.unref();
    // Armed while referenced, so without the timer that wakes the loop.
    if (this.#immediate !== undefined && this.#timeout === undefined) {
      this.#timeout = setTimeout(this.#fired, 1).unref();
    }
  }
}
