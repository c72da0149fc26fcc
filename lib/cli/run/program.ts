/** A program in a private namespace, with our terminal, and its status as ours. */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { CommandContext } from '../frame/context.js';
import { CliError, ExitStatus, Interrupted } from '../frame/errors.js';
import type { Space } from './inside.js';

/** As shells have it. */
const NOT_FOUND = 127;
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = { 129: 'SIGHUP', 130: 'SIGINT', 143: 'SIGTERM' };

export interface ProgramOptions {
  readonly space: Pick<Space, 'run'>;
  readonly line: readonly string[];
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** All three are ours by default. */
  readonly stdio?: readonly ['inherit', number, number];
}

/**
 * Runs it to its end, and hands on the signals that end us. What is typed at a terminal goes to all who run there, and
 * whoever runs there decides what it means: a shell does not end by it, so neither do we.
 * @returns its status, 128 + n after signal n
 */
export async function runProgram(context: CommandContext, options: ProgramOptions): Promise<number> {
  const { signal } = context;
  const { space, line, env, stdio } = options;
  const [command, ...args] = line;
  signal.throwIfAborted();
  const child = space.run(command, args, {
    stdio: stdio === undefined ? 'inherit' : [...stdio],
    env: { ...process.env, ...env },
  });
  const takeBack = process.stdin.isTTY ? context.lendTerminal() : (): void => {};
  const onAbort = (): void => handOn(child, signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    return await ended(child, command);
  } finally {
    signal.removeEventListener('abort', onAbort);
    takeBack();
  }
}

function ended(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new CliError(`${command}: ${error.message}`, NOT_FOUND)));
    child.once('exit', (status, signal) => {
      resolve(status ?? ExitStatus.Signal + constants.signals[signal ?? 'SIGKILL']);
    });
  });
}

function handOn(child: ChildProcess, reason: unknown): void {
  if (reason instanceof Interrupted) child.kill(SIGNALS[reason.status] ?? 'SIGTERM');
}
