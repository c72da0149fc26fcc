/** Runs `tunstack`, and tells what it leaves behind. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { Child, type ChildOptions, type Outcome } from '../../support/child.js';
import { newMark, processesWith } from '../../support/leftovers.js';
import type { TestNamespace } from '../../support/netns.js';

export interface CliOptions extends ChildOptions {
  /** Where it runs; this process's own network by default. */
  readonly namespace?: TestNamespace;
}

/** A command takes no longer, on the busiest machine. */
export const LIMIT_MS = 40_000;

/** Time of the latest change below a directory, ms. */
const latestChange = (directory: string): number =>
  Math.max(
    ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(
      (path) => statSync(join(directory, path)).mtimeMs,
    ),
  );

/** As built where that is up to date, which starts faster; else from the sources. */
function commandLine(): readonly string[] {
  const built = resolve('dist/cli/main.js');
  if (existsSync(built) && statSync(built).mtimeMs > latestChange('lib')) return [built];
  const loader = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
  return ['--import', loader, resolve('lib/cli/main.ts')];
}

/** Arguments of Node that start it. */
export const NODE = commandLine();

/** A running command. */
export interface Cli {
  readonly child: Child;
  /** The outcome; fails where a process of it is left. */
  ended(): Promise<Outcome>;
}

export function start(args: readonly string[], options: CliOptions = {}): Cli {
  const { namespace, ...rest } = options;
  const mark = newMark();
  const own = { limitMs: LIMIT_MS, ...rest, env: { NO_COLOR: '1', ...rest.env, [mark.name]: mark.value } };
  const line = [...NODE, ...args];
  const child =
    namespace === undefined
      ? new Child(process.execPath, line, own)
      : namespace.spawn(process.execPath, line, own);
  return {
    child,
    ended: async () => {
      const outcome = await child.ended;
      expect(processesWith(mark), 'processes left behind').to.deep.equal([]);
      return outcome;
    },
  };
}

/** Runs a command to its end, whatever that is. */
export const cli = (args: readonly string[], options?: CliOptions): Promise<Outcome> =>
  start(args, options).ended();

/** Runs a command that must print one JSON document and nothing else. */
export async function cliJson<T>(args: readonly string[], options?: CliOptions): Promise<T> {
  const { stdout, stderr, status } = await cli([...args, '--json'], options);
  expect([stderr, status]).to.deep.equal(['', 0]);
  return JSON.parse(stdout) as T;
}

/** The documents of JSON lines. */
export const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
