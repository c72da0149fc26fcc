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
/** An action that ends itself but does not is left after so long, ms; not while it waits for a program. */
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
    lendTerminal: () => watch.lendTerminal(),
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
  for (const failure of await context.cleanUp()) {
    // Something is not as it was: that is news, also to whoever interrupted the command.
    complain(failure, { spec, output });
    status ||= ExitStatus.Failed;
  }
  // What could not be printed is heard of a turn later.
  await new Promise((resolve) => setImmediate(resolve));
  watch.close();
  // Whatever came of it, nobody has seen all of it.
  if (watch.isPipeBroken) return ExitStatus.Signal + SIGPIPE;
  return watch.unwritable === undefined ? status : status || fail(watch.unwritable);
}

/** The action's status; rejects when it fails, or is left because of a signal. */
async function runAction(spec: CommandSpec, context: CommandContext): Promise<number> {
  const { signal } = context;
  const work = Promise.resolve(spec.action(context)).then((status) => status ?? ExitStatus.Ok);
  // Whoever is left behind may still fail, because what it used is closed.
  work.catch(() => {});
  const hasProgram = spec.passThrough === true && context.args.length > 0;
  const left = new Promise<never>((_resolve, reject) => {
    const leave = (): void => reject(signal.reason as Error);
    const onAbort = (): void => {
      const { status } = signal.reason as Interrupted;
      // A program has heard of a signal too, and takes the time it needs.
      const waits = hasProgram && status !== ExitStatus.Signal + SIGPIPE;
      if (spec.endsItself !== true) leave();
      else if (!waits) setTimeout(leave, GRACE_MS).unref();
    };
    signal.addEventListener('abort', onAbort, { once: true });
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
  complain(error, { spec, output });
  const own = error instanceof CliError ? error.status : undefined;
  return own ?? spec.failureStatus ?? ExitStatus.Failed;
}

function complain(error: Error, { spec, output }: Omit<Place, 'signal'>): void {
  output.complain(`tunstack ${spec.name}: ${sentence(error)}`);
  if ((process.env.TUNSTACK_DEBUG ?? '') !== '') output.complain(error.stack ?? '');
}

/** Hears of all that ends a command from outside. */
class EndWatch {
  readonly #controller = new AbortController();
  /** Rejects with what nobody caught, and when somebody insists that it ends. */
  readonly failed: Promise<never>;
  readonly #fail: (error: Error) => void;
  readonly #listeners: ReadonlyArray<readonly [event: string, listener: (value: Error) => void]>;
  /** Nobody reads any more what is printed. */
  isPipeBroken = false;
  /** Why what was printed did not get where it should: a disk is full. */
  unwritable: Error | undefined;
  #signals = 0;
  #hasTerminal = true;
  readonly #onUnwritable = (error: Error & { code?: string }): void => {
    if (error.code === 'EPIPE') {
      // Nobody reads any more: `tunstack capture | head -3`.
      this.isPipeBroken = true;
      this.#controller.abort(new Interrupted(ExitStatus.Signal + SIGPIPE));
    } else {
      this.unwritable ??= error;
      this.#fail(error);
    }
  };

  constructor() {
    let reject: (error: Error) => void = () => {};
    this.failed = new Promise((_resolve, rejectIt) => {
      reject = rejectIt;
    });
    this.failed.catch(() => {});
    this.#fail = reject;
    // What is thrown need not be an Error.
    const fail = (thrown: unknown): void =>
      reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
    this.#listeners = [
      ...Object.entries(SIGNALS).map(([name, number]) => [name, () => this.#hear(number)] as const),
      ['uncaughtException', fail],
      ['unhandledRejection', fail],
    ];
    for (const [event, listener] of this.#listeners) process.on(event, listener);
    process.stdout.on('error', this.#onUnwritable);
    process.stderr.on('error', this.#onUnwritable);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** See `CommandContext.lendTerminal`. */
  lendTerminal(): () => void {
    this.#hasTerminal = false;
    return () => {
      this.#hasTerminal = true;
    };
  }

  close(): void {
    for (const [event, listener] of this.#listeners) process.removeListener(event, listener);
    process.stdout.removeListener('error', this.#onUnwritable);
    process.stderr.removeListener('error', this.#onUnwritable);
  }

  /** The first signal ends the command in order, the second does not wait for what it does, the third for nothing. */
  #hear(number: number): void {
    if (number === SIGNALS.SIGINT && !this.#hasTerminal) return;
    const interrupted = new Interrupted(ExitStatus.Signal + number);
    this.#signals++;
    if (this.#signals === 1) this.#controller.abort(interrupted);
    else if (this.#signals === 2) this.#fail(interrupted);
    else process.exit(interrupted.status);
  }
}
