/** The last words of connections that nobody holds any more. */
import type { Stack } from '../../index.js';

/** Longer than a few retransmissions over a bad path, ms. */
const LIMIT_MS = 5000;

/**
 * Settles when the peers have acknowledged everything, the FINs included, or after a while: a stack that is
 * closed resets what it has not delivered.
 */
export async function delivered(stack: Stack, limitMs = LIMIT_MS): Promise<void> {
  if (stack.tcp.unfinished === 0) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
    stack.onUnfinished = (isUnfinished) => {
      if (!isUnfinished) resolve();
    };
  });
  clearTimeout(timer);
  stack.onUnfinished = undefined;
}
