/** Settings of the neighbour table. */
import { ArgumentRangeError } from '../base/errors.js';

/** How neighbours are found, watched and forgotten. Defaults are those of RFC 4861 §10 and of Linux. */
export interface NeighborOptions {
  /** Up to so many neighbours none is forgotten; 128 by default (Linux `gc_thresh1`). */
  readonly lowEntries: number;
  /** Above so many, those nobody used for five seconds are forgotten; 512 by default (`gc_thresh2`). */
  readonly softEntries: number;
  /** The most there are, of whom half may be neighbours still asked for; 1024 by default (`gc_thresh3`). */
  readonly maxEntries: number;
  /** Neighbours nobody has used for so long may be forgotten, ms; 60,000 by default (`gc_stale_time`). */
  readonly staleMs: number;
  /** Packets that wait for one neighbour's address; the oldest makes room. 64 by default. */
  readonly queuePackets: number;
  /** Bytes that wait for one neighbour; 128 KiB by default. */
  readonly queueBytes: number;
  /** Bytes that wait for all neighbours together; 4 MiB by default. */
  readonly totalQueueBytes: number;
  /** Between two requests, ms; 1000 by default (RFC 4861 RetransTimer). */
  readonly retransMs: number;
  /** Requests to all before a neighbour counts as absent; 3 by default (MAX_MULTICAST_SOLICIT). */
  readonly multicastProbes: number;
  /** Requests to a known neighbour before it counts as gone; 3 by default (MAX_UNICAST_SOLICIT). */
  readonly unicastProbes: number;
  /** How long a confirmed neighbour is believed, ms, times a random 0.5 .. 1.5; 30,000 by default (BaseReachableTime). */
  readonly reachableMs: number;
  /** From the first packet to a neighbour not confirmed lately to the first request, ms; 5000 by default. */
  readonly delayMs: number;
}

export const DEFAULT_NEIGHBOR_OPTIONS: NeighborOptions = Object.freeze({
  lowEntries: 128,
  softEntries: 512,
  maxEntries: 1024,
  staleMs: 60_000,
  queuePackets: 64,
  queueBytes: 128 << 10,
  totalQueueBytes: 4 << 20,
  retransMs: 1000,
  multicastProbes: 3,
  unicastProbes: 3,
  reachableMs: 30_000,
  delayMs: 5000,
});

/** @throws TypeError for an unknown name, ArgumentRangeError for a wrong value */
export function resolveNeighborOptions(given: Partial<NeighborOptions> = {}): NeighborOptions {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_NEIGHBOR_OPTIONS, key)) {
      throw new TypeError(`unknown neighbour option "${key}"`);
    }
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentRangeError(`${key} must be a positive integer, not ${String(value)}`);
    }
  }
  return Object.freeze({ ...DEFAULT_NEIGHBOR_OPTIONS, ...given });
}
