/** Time for many flows at once: a count that goes up now and then, by which they say when they were last used. */
import type { RelayTimers } from '../relay/relay-timers.js';

/** How often at least, and at most, idle flows are looked for, ms. */
const MIN_TICK_MS = 10;
const MAX_TICK_MS = 30_000;
/** A limit is kept to one part in so many. */
const GRAIN = 8;

/** Counts ticks while somebody needs them, and calls at each. */
export class Sweeper {
  /** Ticks so far. */
  tick = 0;
  readonly tickMs: number;
  readonly #timers: RelayTimers;
  readonly #sweep: () => boolean;
  #timeout: unknown;

  /**
   * @param limitsMs what flows may be idle for; 0 does not count
   * @param sweep called at each tick. @returns whether ticks are still needed
   */
  constructor(timers: RelayTimers, limitsMs: readonly number[], sweep: () => boolean) {
    const least = Math.min(...limitsMs.filter((ms) => ms > 0));
    this.tickMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, Math.floor(least / GRAIN)));
    this.#timers = timers;
    this.#sweep = sweep;
  }

  /** Ticks after which a limit is over for certain; Infinity for 0. */
  ticksOf(limitMs: number): number {
    return limitMs === 0 ? Number.POSITIVE_INFINITY : Math.ceil(limitMs / this.tickMs) + 1;
  }

  /** Ticks are needed. */
  start(): void {
    this.#timeout ??= this.#timers.setTimeout(this.#ring, this.tickMs);
  }

  stop(): void {
    if (this.#timeout !== undefined) this.#timers.clearTimeout(this.#timeout);
    this.#timeout = undefined;
  }

  readonly #ring = (): void => {
    this.#timeout = undefined;
    this.tick++;
    if (this.#sweep()) this.start();
  };
}
