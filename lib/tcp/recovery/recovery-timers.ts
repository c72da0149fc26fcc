/**
 * When recovery wants to be called: for what is late (RFC 8985 §6.2 step 5), to probe for a lost tail
 * (RFC 8985 §7), to send everything again (RFC 6298 §5). Of the three the earliest counts; each is bounded by
 * the next, as only one is ever armed (RFC 8985 §8).
 */
import { NEVER } from '../../base/clock.js';
import type { LossDetector } from './loss-detector.js';
import type { TailLossProbe } from './tail-loss-probe.js';

/** Which timer has expired. */
export const RecoveryTimer = { None: 0, Reordering: 1, Probe: 2, Retransmission: 3 } as const;
export type RecoveryTimer = (typeof RecoveryTimer)[keyof typeof RecoveryTimer];

export class RecoveryTimers {
  readonly #detector: LossDetector;
  readonly #probe: TailLossProbe;
  /** When the retransmission timer expires, µs. */
  retransmissionUs = NEVER;

  constructor(detector: LossDetector, probe: TailLossProbe) {
    this.#detector = detector;
    this.#probe = probe;
  }

  /** When the first of them is due, µs. */
  get deadlineUs(): number {
    return Math.min(this.#detector.deadlineUs, this.#probe.deadlineUs, this.retransmissionUs);
  }

  /** Which has expired by now. A probe takes the place of a time-out at the same moment (RFC 8985 §7.2). */
  expired(nowUs: number): RecoveryTimer {
    if (this.#detector.deadlineUs <= nowUs) return RecoveryTimer.Reordering;
    if (this.#probe.deadlineUs <= nowUs) return RecoveryTimer.Probe;
    return this.retransmissionUs <= nowUs ? RecoveryTimer.Retransmission : RecoveryTimer.None;
  }

  /** Whether the retransmission timer runs. */
  get isRunning(): boolean {
    return this.retransmissionUs !== NEVER;
  }

  /** The retransmission timer is `afterUs` from now. */
  restart(nowUs: number, afterUs: number): void {
    this.retransmissionUs = nowUs + afterUs;
  }

  /** A probe is due, before the retransmission time-out at the latest. */
  probeAt(dueUs: number): void {
    this.#probe.deadlineUs = Math.min(dueUs, this.retransmissionUs);
  }

  noProbe(): void {
    this.#probe.deadlineUs = NEVER;
  }

  stop(): void {
    this.retransmissionUs = NEVER;
    this.#probe.deadlineUs = NEVER;
    this.#detector.deadlineUs = NEVER;
  }
}
