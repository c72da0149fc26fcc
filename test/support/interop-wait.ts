/** Waiting with an end: for a promise, and for what can only be asked for again and again. */

const LIMIT_MS = 15_000;

/** The value of a promise. @throws Error naming what did not happen within `limitMs`, 15,000 by default */
export async function within<T>(promise: Promise<T>, what: () => string, limitMs = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms for ${what()}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer satisfies. @returns that answer @throws Error after `limitMs`, 15,000 by default */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  isEnough: (answer: T) => boolean,
  limitMs = LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (isEnough(answer)) return answer;
    if (performance.now() > end) {
      throw new Error(`waited ${limitMs} ms for ${what}; last seen: ${JSON.stringify(answer)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The code of the error with which a promise must fail; if it does not, what it gave instead. */
export const errorOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `no error, but ${JSON.stringify(value)}`,
    ({ code }: { code: string }) => code,
  );
