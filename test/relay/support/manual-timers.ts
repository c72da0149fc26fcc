/** Time that only the test moves. */
import type { RelayTimers } from '../../../lib/relay/relay-timers.js';

interface Timeout {
  readonly at: number;
  readonly ring: () => void;
}

export class ManualTimers implements RelayTimers {
  #nowMs = 0;
  readonly #waiting = new Set<Timeout>();

  /** Time-outs that have neither rung nor been cleared. */
  get count(): number {
    return this.#waiting.size;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimeout(ring: () => void, ms: number): Timeout {
    const timeout = { at: this.#nowMs + ms, ring };
    this.#waiting.add(timeout);
    return timeout;
  }

  clearTimeout(timeout: unknown): void {
    this.#waiting.delete(timeout as Timeout);
  }

  /** Lets time pass, and rings what is due on the way. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#waiting].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#waiting.delete(next);
      this.#nowMs = next.at;
      next.ring();
    }
    this.#nowMs = end;
  }
}
