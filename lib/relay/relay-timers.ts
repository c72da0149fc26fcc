/** The time a relay lives by. */

/** Where a relay has its time from; tests give one that they move themselves. */
export interface RelayTimers {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls `ring` once, `ms` from now. @returns what `clearTimeout` takes */
  setTimeout(ring: () => void, ms: number): unknown;
  /** Forgets a time-out that has not rung. */
  clearTimeout(timeout: unknown): void;
}

/** Node's. They do not keep the process alive: the streams do. */
export const HOST_TIMERS: RelayTimers = {
  now: () => performance.now(),
  setTimeout: (ring, ms) => setTimeout(ring, ms).unref(),
  clearTimeout: (timeout) => clearTimeout(timeout as NodeJS.Timeout),
};

/** Rings when nothing has happened for so long. Asks for the time once per event, and sets a timer once per pause. */
export class IdleWatch {
  readonly #timers: RelayTimers;
  readonly #ring: () => void;
  #limitMs = 0;
  #lastMs = 0;
  #timeout: unknown;

  /** @param ring called once; a new limit starts it again */
  constructor(timers: RelayTimers, ring: () => void) {
    this.#timers = timers;
    this.#ring = ring;
  }

  /** Begins anew with another limit, ms; 0 for none. */
  start(limitMs: number): void {
    this.stop();
    this.#limitMs = limitMs;
    if (limitMs === 0) return;
    this.#lastMs = this.#timers.now();
    this.#wait(limitMs);
  }

  /** Something happened. */
  touch(): void {
    if (this.#limitMs !== 0) this.#lastMs = this.#timers.now();
  }

  /** Ends it; nothing rings any more. */
  stop(): void {
    if (this.#timeout !== undefined) this.#timers.clearTimeout(this.#timeout);
    this.#timeout = undefined;
    this.#limitMs = 0;
  }

  #wait(ms: number): void {
    this.#timeout = this.#timers.setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    this.#timeout = undefined;
    const restMs = this.#lastMs + this.#limitMs - this.#timers.now();
    // A host's timer may ring a little early.
    if (restMs > 0) this.#wait(Math.max(1, Math.ceil(restMs)));
    else this.#ring();
  }
}
