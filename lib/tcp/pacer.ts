/**
 * Pacing: when the next bytes may leave, at a rate. There is no timer for each packet: a deadline among
 * those of the connection, and as much at once as the rate gives in a millisecond, the grain of timers.
 */
import { NEVER } from '../base/clock.js';
import type { Tape } from '../base/tape.js';
import type { CongestionControl } from './congestion/congestion-control.js';
import type { TcpOptions } from './options.js';

/** A rate that nobody limits. */
const UNLIMITED = Number.POSITIVE_INFINITY;

/** Largest interval that goes out as one burst, µs. */
const BURST_US = 1_000;
/**
 * How late an alarm may be without costing anything, µs. A busy host rings some milliseconds late, again and
 * again; were that time lost, a rate measured from what was sent would fall from round trip to round trip.
 */
const LATE_US = 20_000;
/** Segments that may always leave together: an ACK is asked for at every second. */
const BURST_SEGMENTS = 2;
const MAX_BURST_BYTES = 65_536;

export class Pacer {
  /** Whether something waited for the rate since it was last asked; then `deadlineUs` counts. */
  isBlocked = false;
  /** Whether what leaves next has waited for the rate, not the rate for it. */
  #hasWaited = false;
  /** Until when nothing leaves at all, µs; 0 for no such time. */
  #heldUntilUs = 0;
  /** When the next burst may leave, µs. */
  #nextUs = 0;

  fold(tape: Tape): void {
    this.isBlocked = tape.flag(this.isBlocked);
    this.#hasWaited = tape.flag(this.#hasWaited);
    this.#heldUntilUs = tape.number(this.#heldUntilUs, 0);
    this.#nextUs = tape.number(this.#nextUs, 0);
  }

  /** When to try again, µs. */
  get deadlineUs(): number {
    if (this.#heldUntilUs > 0) return this.#heldUntilUs;
    return this.isBlocked ? this.#nextUs : NEVER;
  }

  /** Nothing may leave before. */
  hold(untilUs: number): void {
    this.#heldUntilUs = untilUs;
  }

  /** Whether nothing may leave now. */
  isHeld(nowUs: number): boolean {
    if (nowUs >= this.#heldUntilUs) this.#heldUntilUs = 0;
    return this.#heldUntilUs > 0;
  }

  /** Whether a burst may leave now. */
  mayLeave(nowUs: number): boolean {
    this.isBlocked = this.#nextUs > nowUs;
    if (this.isBlocked) this.#hasWaited = true;
    return !this.isBlocked;
  }

  /** There is nothing that may leave, whatever the rate: time that passes now is nobody's. */
  idle(): void {
    this.#hasWaited = false;
  }

  /** Bytes of one burst. @param rateBps bytes per second */
  burstBytes(rateBps: number, mssBytes: number): number {
    const wanted = (rateBps * BURST_US) / 1e6;
    return Math.min(MAX_BURST_BYTES, Math.max(BURST_SEGMENTS * mssBytes, wanted));
  }

  /** `bytes` left. A link that was late by no more than a burst, or an alarm, loses nothing. */
  sent(bytes: number, rateBps: number, nowUs: number): void {
    const earnedUs = this.#hasWaited ? LATE_US : BURST_US;
    this.#nextUs = Math.max(this.#nextUs, nowUs - earnedUs) + (bytes * 1e6) / rateBps;
  }
}

/** Whether what leaves is paced: the algorithm, or an option, wants it. */
export const isPaced = (congestion: CongestionControl, options: TcpOptions): boolean =>
  options.pacing || congestion.pacingRateBps !== UNLIMITED || options.maxPacingRateBps !== UNLIMITED;

/** Bytes per second that may leave; Infinity where nobody paces. */
export function pacingRate(congestion: CongestionControl, options: TcpOptions, srttUs: number): number {
  const asked = congestion.pacingRateBps;
  if (asked !== UNLIMITED || !options.pacing || srttUs === 0)
    return Math.min(asked, options.maxPacingRateBps);
  // Twice the window in a round trip lets slow start double it; a little more than it lets the rest grow.
  const gain = congestion.cwndBytes < congestion.ssthreshBytes / 2 ? 2 : 1.2;
  return Math.min((gain * congestion.cwndBytes * 1e6) / srttUs, options.maxPacingRateBps);
}
