/** What an action is given: what was typed, where to print, when to stop, and what to undo. */
import type { Output } from './output.js';

/** Undoes one thing. */
export type CleanUp = () => void | Promise<void>;

export interface ContextParts<Options> {
  readonly options: Options;
  readonly args: readonly string[];
  readonly version: string;
  readonly packageRoot: string;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly lendTerminal: () => () => void;
}

/** A clean-up that takes longer is stuck, ms. What is still being opened then may take 15 s until it can be closed. */
const CLEAN_UP_LIMIT_MS = 20_000;

/** @typeParam Options the options once parsed, by their attribute names */
export class CommandContext<Options = unknown> {
  /** The options by their attribute names, `--http-root` as `httpRoot`, with their defaults. */
  readonly options: Options;
  /** The arguments; of a variadic one, each. */
  readonly args: readonly string[];
  /** Version of the package. */
  readonly version: string;
  /** The package's own directory, with a slash at its end. */
  readonly packageRoot: string;
  readonly output: Output;
  /** Aborted by SIGINT, SIGTERM, SIGHUP and when nobody reads standard output; the reason is an `Interrupted`. */
  readonly signal: AbortSignal;
  /** Leaves SIGINT alone, which is typed for a program that has our terminal, until what it returns is called. */
  readonly lendTerminal: () => () => void;
  readonly #cleanUps: CleanUp[] = [];
  #isOver = false;

  constructor(parts: ContextParts<Options>) {
    this.options = parts.options;
    this.args = parts.args;
    this.version = parts.version;
    this.packageRoot = parts.packageRoot;
    this.output = parts.output;
    this.signal = parts.signal;
    this.lendTerminal = parts.lendTerminal;
  }

  /** Has `cleanUp` called when the command ends, however it does: the last one given first. */
  defer(cleanUp: CleanUp): void {
    if (!this.#isOver) this.#cleanUps.push(cleanUp);
    // An action that was left has gone on meanwhile.
    else limited(cleanUp).catch(() => {});
  }

  /**
   * Waits for what is being opened, and has it undone when the command ends, also if that is before it is open.
   * @throws Interrupted where the command is to end meanwhile, so that nothing more is begun
   */
  async acquire<T>(opening: Promise<T>, cleanUp: (opened: T) => void | Promise<void>): Promise<T> {
    this.defer(async () => {
      const result = await Promise.allSettled([opening]);
      if (result[0].status === 'fulfilled') await cleanUp(result[0].value);
    });
    const opened = await opening;
    this.signal.throwIfAborted();
    return opened;
  }

  /** Settles when the command is asked to end. */
  interrupted(): Promise<void> {
    return new Promise((resolve) => {
      if (this.signal.aborted) resolve();
      else this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Undoes everything. @returns what went wrong on the way; each failure leaves the rest to be done */
  async cleanUp(): Promise<Error[]> {
    const failures: Error[] = [];
    for (let next = this.#cleanUps.pop(); next !== undefined; next = this.#cleanUps.pop()) {
      try {
        await limited(next);
      } catch (error) {
        failures.push(error as Error);
      }
    }
    this.#isOver = true;
    return failures;
  }
}

async function limited(cleanUp: CleanUp): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('a clean-up did not end')), CLEAN_UP_LIMIT_MS);
  });
  try {
    await Promise.race([Promise.resolve(cleanUp()), late]);
  } finally {
    clearTimeout(timer);
  }
}
