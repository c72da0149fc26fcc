/**
 * Time, as the protocol sees it: a monotonic clock and alarms, both injected. Protocol code never
 * reads a host clock, so whole stacks run in virtual time.
 */
export interface Clock {
  /** Microseconds since an arbitrary start; never goes backwards. A double with fractions allowed. */
  nowUs(): number;
  /** An alarm, not yet set, that calls `ring` once for each time it is set and not cleared. */
  createAlarm(ring: () => void): Alarm;
}

export interface Alarm {
  /**
   * Rings at `deadlineUs` or soon after, replacing any earlier setting. A deadline in the past rings
   * as soon as the current call stack has ended, never inside `setAt`.
   */
  setAt(deadlineUs: number): void;
  clear(): void;
  /** Whether a set alarm keeps the host process alive. Clocks without a host ignore it. */
  ref?(): void;
  unref?(): void;
}

/** The deadline of something that waits for nothing. */
export const NEVER = Number.POSITIVE_INFINITY;
