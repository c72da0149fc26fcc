/** Runs the demo in an empty folder of its own, and tells what it leaves behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE } from '../../cli/support/cli.js';
import { Child, type Outcome } from '../../support/child.js';
import { newMark, processesWith } from '../../support/leftovers.js';

/** The demo must end by itself in less. */
export const LIMIT_MS = 58_000;

export interface DemoRunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Sent when its output first matches. */
  readonly interrupt?: { readonly signal: NodeJS.Signals; readonly at: RegExp };
  /** Under a terminal, by `script` of util-linux. */
  readonly terminal?: boolean;
}

export interface DemoRun extends Outcome {
  /** Names of the files it left in its folder. */
  readonly files: readonly string[];
  /** The capture; empty when there is none. */
  readonly capture: Uint8Array;
  /** Ids of processes it left. */
  readonly processes: readonly number[];
}

export async function runDemo(options: DemoRunOptions = {}): Promise<DemoRun> {
  const folder = mkdtempSync(join(tmpdir(), 'tunstack-demo-'));
  // Whatever it starts inherits the mark.
  const mark = newMark();
  const line = [process.execPath, ...NODE, 'demo', ...(options.args ?? [])];
  const [command, ...args] = options.terminal ? terminal(line, options.env ?? {}) : line;
  try {
    const child = new Child(command, args, {
      cwd: folder,
      env: { ...options.env, [mark.name]: mark.value },
      limitMs: LIMIT_MS,
    });
    if (options.interrupt !== undefined) {
      await child.output(options.interrupt.at);
      process.kill(child.pid, options.interrupt.signal);
    }
    const outcome = await child.ended;
    const files = readdirSync(folder);
    const capture = files.includes('demo.pcapng')
      ? readFileSync(join(folder, 'demo.pcapng'))
      : new Uint8Array();
    return { ...outcome, files, capture, processes: processesWith(mark) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A command line under a terminal, where `env` alone says what to do about colours. */
function terminal(line: readonly string[], env: Readonly<Record<string, string>>): string[] {
  const colours = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return ['script', '-qec', ['env', '-u', 'NO_COLOR', ...colours, ...line].join(' '), '/dev/null'];
}
