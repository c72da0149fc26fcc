/** Runs the action of a command: with signals, clean-ups and an exit status, however it ends. */
import { CommandContext } from './context.js';
import { CliError, ExitStatus, Interrupted, sentence } from './errors.js';
import { Output } from './output.js';
import type { CommandSpec } from './spec.js';

/** The package a command belongs to. */
export interface PackageFacts {
  readonly version: string;
  /** Its directory, with a slash at its end. */
  readonly root: string;
}

/** What the parser made of a command line. */
export interface Given {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
const SIGPIPE = 13;
/** An action that ends itself but does not is left after so long, ms. */
const GRACE_MS = 5000;

/** @returns the exit status */
export async function perform(spec: CommandSpec, given: Given, facts: PackageFacts): Promise<number> {
  const { args, options } = given;
  const { stdout, stderr } = process;
  const output = new Output({
    stdout,
    stderr,
    isJson: options.json === true,
    color: options.color !== false,
  });
  const watch = new EndWatch();
  const { signal } = watch;
  const context = new CommandContext<unknown>({
    options,
    args,
    version: facts.version,
    packageRoot: facts.root,
    output,
    signal,
  });
  const fail = (error: unknown): number => report(error as Error, { spec, output, signal });
  let status: number;
  try {
    status = await Promise.race([runAction(spec, context), watch.failed]);
  } catch (error) {
    output.restore();
    status = fail(error);
  }
  output.restore();
  for (const failure of await context.cleanUp()) status = fail(failure) || status;
  watch.close();
  // Whatever came of it, nobody has seen all of it.
  return watch.isPipeBroken ? ExitStatus.Signal + SIGPIPE : status;
}

/** The action's status; rejects when it fails, or is left because of a signal. */
async function runAction(spec: CommandSpec, context: CommandContext): Promise<number> {
  const { signal } = context;
  const work = Promise.resolve(spec.action(context)).then((status) => status ?? ExitStatus.Ok);
  // Whoever is left behind may still fail, because what it used is closed.
  work.catch(() => {});
  const left = new Promise<never>((_resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        const leave = (): void => reject(signal.reason as Error);
        if (spec.endsItself === true) setTimeout(leave, GRACE_MS).unref();
        else leave();
      },
      { once: true },
    );
  });
  return Promise.race([work, left]);
}

interface Place {
  readonly spec: CommandSpec;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** Says what went wrong. @returns the exit status */
function report(error: Error, { spec, output, signal }: Place): number {
  if (error instanceof Interrupted) return error.status;
  // What broke because everything was being closed is no news.
  if (signal.aborted) return (signal.reason as Interrupted).status;
  output.complain(`tunstack ${spec.name}: ${sentence(error)}`);
  if ((process.env.TUNSTACK_DEBUG ?? '') !== '') output.complain(error.stack ?? '');
  const own = error instanceof CliError ? error.status : undefined;
  return own ?? spec.failureStatus ?? ExitStatus.Failed;
}

/** Hears of all that ends a command from outside. */
class EndWatch {
  readonly #controller = new AbortController();
  /** Rejects with what nobody caught. */
  readonly failed: Promise<never>;
  readonly #listeners: ReadonlyArray<readonly [event: string, listener: (value: Error) => void]>;
  /** Nobody reads any more what is printed. */
  isPipeBroken = false;
  readonly #onBrokenPipe = (): void => {
    this.isPipeBroken = true;
    this.#interrupt(SIGPIPE);
  };

  constructor() {
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((_resolve, reject) => {
      fail = reject;
    });
    this.failed.catch(() => {});
    this.#listeners = [
      ...Object.entries(SIGNALS).map(([name, number]) => [name, () => this.#interrupt(number)] as const),
      ['uncaughtException', fail],
      ['unhandledRejection', fail],
    ];
    for (const [event, listener] of this.#listeners) process.on(event, listener);
    // Nobody reads any more: `tunstack capture | head -3`.
    process.stdout.on('error', this.#onBrokenPipe);
    process.stderr.on('error', this.#onBrokenPipe);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  close(): void {
    for (const [event, listener] of this.#listeners) process.removeListener(event, listener);
  }

  /** The first signal ends the command in order, the second at once. */
  #interrupt(number: number): void {
    const status = ExitStatus.Signal + number;
    if (this.signal.aborted && number !== SIGPIPE) process.exit(status);
    this.#controller.abort(new Interrupted(status));
  }
}
