/**
 * Memory of all connections of a stack, in three zones as Linux `tcp_mem` has them: free, pressure (no
 * window grows, nothing more is kept out of order), and full (nothing more is admitted).
 */
import type { TcpStats } from '../base/stats.js';

export class MemoryAccount {
  readonly #stats: TcpStats;
  readonly #pressureBytes: number;
  readonly #maxBytes: number;
  #wasUnderPressure = false;

  constructor(stats: TcpStats, pressureBytes: number, maxBytes: number) {
    this.#stats = stats;
    this.#pressureBytes = pressureBytes;
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#stats.memoryBytes;
  }

  get isUnderPressure(): boolean {
    return this.#stats.memoryBytes >= this.#pressureBytes;
  }

  get isFull(): boolean {
    return this.#stats.memoryBytes >= this.#maxBytes;
  }

  /** A connection's buffers grew or shrank by `bytes`. */
  changed(bytes: number): void {
    this.#stats.memoryBytes += bytes;
    const isUnderPressure = this.isUnderPressure;
    if (isUnderPressure && !this.#wasUnderPressure) this.#stats.memoryPressures++;
    this.#wasUnderPressure = isUnderPressure;
  }
}
