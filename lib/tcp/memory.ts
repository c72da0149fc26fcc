/**
 * Memory of all connections of a stack, in three zones as Linux `tcp_mem` has them: free, pressure (no
 * window grows, nothing more is kept out of order), and full (no buffer grows).
 */
import type { TcpStats } from '../base/stats.js';

/** So much must be given back before those who were refused are asked to try once more, bytes; or a 16th of all. */
const ROOM_AGAIN_BYTES = 262_144;

export class MemoryAccount {
  readonly #stats: TcpStats;
  readonly #pressureBytes: number;
  readonly #maxBytes: number;
  #wasUnderPressure = false;
  /** Bytes in use when room was last refused to somebody who waits for it; -1 when nobody does. */
  #awaitedAt = -1;

  constructor(stats: TcpStats, pressureBytes: number, maxBytes: number) {
    this.#stats = stats;
    this.#pressureBytes = pressureBytes;
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#stats.memoryBytes;
  }

  /** Bytes by which buffers may still grow, all together. */
  get roomBytes(): number {
    return Math.max(0, this.#maxBytes - this.#stats.memoryBytes);
  }

  get isUnderPressure(): boolean {
    return this.#stats.memoryBytes >= this.#pressureBytes;
  }

  get isFull(): boolean {
    return this.#stats.memoryBytes >= this.#maxBytes;
  }

  /** Whether there is room worth having. */
  get hasRoomAgain(): boolean {
    return this.roomBytes >= this.#worthwhileBytes;
  }

  get #worthwhileBytes(): number {
    return Math.min(ROOM_AGAIN_BYTES, this.#maxBytes / 16);
  }

  /** Somebody was refused room, and waits for it. */
  awaitRoom(): void {
    this.#awaitedAt = Math.max(this.#awaitedAt, this.#stats.memoryBytes);
  }

  get isAwaited(): boolean {
    return this.#awaitedAt >= 0;
  }

  /** Whether so much was given back since the last refusal that it is worth while to try again. @returns once */
  takeRoomAgain(): boolean {
    const given = this.#awaitedAt - this.#stats.memoryBytes;
    if (given < this.#worthwhileBytes) return false;
    this.#awaitedAt = -1;
    return true;
  }

  /** Somebody's buffers grew or shrank by `bytes`. */
  changed(bytes: number): void {
    this.#stats.memoryBytes += bytes;
    const isUnderPressure = this.isUnderPressure;
    if (isUnderPressure && !this.#wasUnderPressure) this.#stats.memoryPressures++;
    this.#wasUnderPressure = isUnderPressure;
  }
}

/** What one connection holds of the account; kept true at every growth, so that the limit is never passed. */
export class MemoryShare {
  readonly account: MemoryAccount;
  #bytes = 0;
  #hasLeft = false;

  constructor(account: MemoryAccount) {
    this.account = account;
  }

  /** Its buffers use `bytes` now. */
  set(bytes: number): void {
    if (bytes === this.#bytes || this.#hasLeft) return;
    this.account.changed(bytes - this.#bytes);
    this.#bytes = bytes;
  }

  /** The connection is over; what its owner has not read yet counts no more. */
  leave(): void {
    this.set(0);
    this.#hasLeft = true;
  }
}
