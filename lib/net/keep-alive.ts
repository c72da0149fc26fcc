/** Keep-alive as Node's sockets have it: in whole seconds, and with the values libuv fills in. */
import type { Endpoint } from './context.js';

/** What was asked for, and where it is to be done. */
export interface KeepAlive {
  readonly handle: { readonly endpoint: Pick<Endpoint, 'setKeepAlive'> } | undefined;
  keepAlive: boolean;
  /** Idleness before the first probe; 0 leaves it, and what follows, as it is. */
  keepAliveDelayMs: number;
  keepAliveIntervalMs: number;
  keepAliveCount: number;
}

/** What libuv sets where nobody says. */
export const KEEP_ALIVE_DEFAULTS = { keepAliveIntervalMs: 1000, keepAliveCount: 10 } as const;

/** The most that Linux takes, `MAX_TCP_KEEPIDLE` and the like. */
const MAX_SECONDS = 32_767;
const MAX_COUNT = 127;

/** Keep-alive has seconds in Node, and here for the same outcome: less than one is none. */
export const wholeSeconds = (ms: unknown): number =>
  Math.max(0, Math.trunc(Number(ms ?? 0) / 1000) || 0) * 1000;

interface KeepAliveOptions {
  readonly enable?: unknown;
  readonly initialDelay?: unknown;
  readonly interval?: unknown;
  readonly count?: unknown;
}

/** Arguments of `setKeepAlive`: `([enable[, initialDelay[, interval[, count]]]])` or one object with these. */
export function readKeepAlive(into: KeepAlive, args: readonly unknown[]): void {
  const [first, ...rest] = args;
  const options = typeof first === 'object' && first !== null ? (first as KeepAliveOptions) : undefined;
  const { enable, initialDelay, interval, count } = options ?? {
    enable: first,
    initialDelay: rest[0],
    interval: rest[1],
    count: rest[2],
  };
  const { keepAliveIntervalMs, keepAliveCount } = KEEP_ALIVE_DEFAULTS;
  into.keepAlive = Boolean(enable);
  into.keepAliveDelayMs = wholeSeconds(initialDelay);
  into.keepAliveIntervalMs = interval === undefined ? keepAliveIntervalMs : wholeSeconds(interval);
  into.keepAliveCount = count === undefined ? keepAliveCount : Math.trunc(Number(count)) || 0;
}

/** Sets what there is a value for. As with Linux, one that it refuses leaves those that come after it. */
export function applyKeepAlive(wish: KeepAlive): void {
  const {
    handle,
    keepAlive,
    keepAliveDelayMs: idleMs,
    keepAliveIntervalMs: intervalMs,
    keepAliveCount,
  } = wish;
  const isComplete = idleMs > 0 && intervalMs > 0 && keepAliveCount > 0;
  const maxMs = MAX_SECONDS * 1000;
  if (!keepAlive || !isComplete || idleMs > maxMs) handle?.endpoint.setKeepAlive(keepAlive);
  else if (intervalMs > maxMs) handle?.endpoint.setKeepAlive(true, { idleMs });
  else if (keepAliveCount > MAX_COUNT) handle?.endpoint.setKeepAlive(true, { idleMs, intervalMs });
  else handle?.endpoint.setKeepAlive(true, { idleMs, intervalMs, probes: keepAliveCount });
}
