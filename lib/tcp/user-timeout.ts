/**
 * The user timeout as both ends agree on it (RFC 5482): each tells the other how long it would wait for
 * acknowledgments, and may wait longer, or less long, for what it hears. Nothing of this happens unless the option
 * `userTimeoutOption` is set.
 */
import type { TcpConnection } from './connection.js';
import type { TcpOptions } from './options.js';

/** User timeout to tell of where the application has set none, ms (RFC 9293 §3.9.1.1: five minutes). */
const DEFAULT_ADVERTISED_MS = 300_000;

/** The largest the option can say: 32,767 minutes. */
const MAX_FIELD_VALUE = 0x7fff;
const MINUTES = 0x8000;

/**
 * The field of the option for a time (RFC 5482 §3), in seconds where they suffice, else in minutes; rounded up, so
 * that it is never the reserved value zero.
 */
export function userTimeoutField(ms: number): number {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds <= MAX_FIELD_VALUE) return seconds;
  return MINUTES | Math.min(MAX_FIELD_VALUE, Math.ceil(seconds / 60));
}

export class UserTimeout {
  /** ADV_UTO: what we tell the peer, ms. */
  advertisedMs = 0;
  /** REMOTE_UTO: what the peer told us, ms; 0 before it has. */
  remoteMs = 0;
  /** Whether what the peer says may change our user timeout: not once the application has set it (RFC 5482 §3.1). */
  isChangeable = true;
  /** The option is to go with the next segment. */
  isDue = true;
  readonly #lowerMs: number;
  readonly #upperMs: number;

  constructor(options: TcpOptions) {
    this.#lowerMs = options.userTimeoutLowerMs;
    this.#upperMs = options.userTimeoutUpperMs;
    this.chosen(options.userTimeoutMs);
  }

  /** The application has set the user timeout, ms; with 0 it leaves it to both ends. The peer is told. */
  chosen(ms: number): void {
    this.isChangeable = ms === 0;
    this.advertisedMs = ms === 0 ? DEFAULT_ADVERTISED_MS : ms;
    this.isDue = true;
  }

  /** The peer tells of its user timeout, in seconds. @returns ours from now on, ms; -1 where it stays as it is */
  heard(seconds: number): number {
    this.remoteMs = seconds * 1000;
    return this.isChangeable ? this.#adoptedMs : -1;
  }

  /** USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)) (RFC 5482 §3.1). */
  get #adoptedMs(): number {
    return Math.min(this.#upperMs, Math.max(this.advertisedMs, this.remoteMs, this.#lowerMs));
  }
}

/** The peer tells how long it would wait for acknowledgments (RFC 5482 §3.1). */
export function hearUserTimeout(c: TcpConnection, seconds: number): void {
  const ms = c.writer.userTimeout?.heard(seconds) ?? -1;
  if (ms >= 0) c.timers.userTimeoutUs = ms * 1000;
}
