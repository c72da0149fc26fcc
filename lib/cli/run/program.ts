/** A program in a private namespace, with our terminal, and its status as ours. */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { PrivateTun } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, ExitStatus, Interrupted } from '../frame/errors.js';

/** As shells have it. */
const NOT_FOUND = 127;
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = { 129: 'SIGHUP', 130: 'SIGINT', 143: 'SIGTERM' };

export interface ProgramOptions {
  readonly tun: Pick<PrivateTun, 'run'>;
  readonly line: readonly string[];
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** All three are ours by default. */
  readonly stdio?: readonly ['inherit', number, number];
}

/** Runs it to its end, and hands on the signals that end us. @returns its status, 128 + n after signal n */
export function runProgram(context: CommandContext, options: ProgramOptions): Promise<number> {
  const { tun, line, env, stdio } = options;
  const [command, ...args] = line;
  const child = tun.run(command, args, {
    stdio: stdio === undefined ? 'inherit' : [...stdio],
    env: { ...process.env, ...env },
  });
  context.signal.addEventListener('abort', () => handOn(child, context.signal.reason));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new CliError(`${command}: ${error.message}`, NOT_FOUND)));
    child.once('exit', (status, signal) => {
      resolve(status ?? ExitStatus.Signal + constants.signals[signal ?? 'SIGKILL']);
    });
  });
}

function handOn(child: ChildProcess, reason: unknown): void {
  if (!(reason instanceof Interrupted)) return;
  const signal = SIGNALS[reason.status] ?? 'SIGTERM';
  // What is typed at a terminal goes to all who run there.
  if (signal === 'SIGINT' && process.stdin.isTTY) return;
  child.kill(signal);
}
