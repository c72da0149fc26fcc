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

/** Something that rings once at a time of its clock. */
export interface Alarm {
  /**
   * Rings at `deadlineUs` or soon after, replacing any earlier setting. A deadline in the past rings
   * as soon as the current call stack has ended, never inside `setAt`.
   */
  setAt(deadlineUs: number): void;
  /** Does not ring any more; nothing happens where it was not set. */
  clear(): void;
  /** A set alarm keeps the host process alive, which is so at first. Clocks without a host have neither. */
  ref?(): void;
  /** A set alarm does not keep it alive. */
  unref?(): void;
}

/** The deadline of something that waits for nothing. */
export const NEVER = Number.POSITIVE_INFINITY;
