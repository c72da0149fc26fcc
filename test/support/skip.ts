/**
 * Skipping with a reason. `npm test` prints every reason, and counts a skipped test as failed where the
 * environment variable `CI` is set: there, everything a test may need has been installed.
 */
import type { Context } from 'mocha';

/**
 * The property of a test, hook or suite that holds the reason. Mocha may load this file twice, by
 * `require` for the reporter and by `import` for a test, so it is a symbol both know.
 */
const REASON = Symbol.for('tunstack.test.skipReason');

interface Skippable {
  [REASON]?: string;
}

/** Skips the test, or from a `before` hook the suite, that `context` is the `this` of. Never returns. */
export function skip(context: Context, reason: string): never {
  const runnable = context.runnable() as Mocha.Runnable & Skippable & { type?: string };
  if (runnable.type === 'hook' && runnable.parent !== undefined) {
    (runnable.parent as Mocha.Suite & Skippable)[REASON] = reason;
  } else {
    runnable[REASON] = reason;
  }
  return context.skip();
}

/** The reason given for a test, or for the nearest suite around it. */
export function skipReason(test: Mocha.Test): string | undefined {
  let node: ((Mocha.Test | Mocha.Suite) & Skippable) | undefined = test;
  while (node !== undefined && node[REASON] === undefined) node = node.parent;
  return node?.[REASON];
}

/** Thrown by test support where this machine lacks something; `skipOn` turns it into a skip. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Runs `setUp`; what it finds `Unavailable` skips the test or suite with that reason. */
export async function skipOn<T>(context: Context, setUp: () => T | Promise<T>): Promise<T> {
  try {
    return await setUp();
  } catch (error) {
    if (error instanceof Unavailable) skip(context, error.message);
    throw error;
  }
}
