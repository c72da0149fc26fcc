/**
 * `npm run test:node -- 22 [arguments of npm test]`: the tests under another version of Node, which comes as
 * the npm package `node-linux-<arch>` into `build/` and is a dependency of nothing. The addon is the one that
 * is built: Node-API promises that it works there too.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';

const USAGE = 'npm run test:node -- <version of Node: 22, 24.1.0, …> [arguments of npm test]';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function run(command: string, args: readonly string[], env = process.env): number {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env });
  if (error !== undefined) fail(`${command}: ${error.message}`);
  return status ?? 1;
}

/** The npm that runs us, or the one on the path. */
function npm(...args: string[]): number {
  const self = process.env.npm_execpath;
  return self?.endsWith('.js') ? run(process.execPath, [self, ...args]) : run('npm', args);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Path of a Node of that version, fetched if it is not there yet. */
function nodeOf(version: string): string {
  const name = `node-linux-${process.arch}`;
  const folder = resolve('build', `node-${version}`);
  const node = join(folder, 'node_modules', name, 'bin/node');
  if (isProgram(node)) return node;
  mkdirSync('build', { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    const quiet = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
    // A hundred megabytes that npm need not keep for anybody else.
    const cache = join(fresh, 'cache');
    if (npm('install', ...quiet, '--prefix', fresh, '--cache', cache, `${name}@${version}`) !== 0) {
      fail(`there is no ${name}@${version} to be had`);
    }
    rmSync(cache, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return node;
}

const [version, ...args] = process.argv.slice(2);
if (version === undefined || !/^\d+(\.\d+){0,2}$/.test(version)) fail(USAGE);
const node = nodeOf(version);
const env = {
  ...process.env,
  // Also what tests start by name is this Node; npm is the one we were started with.
  PATH: [dirname(node), process.env.PATH].join(delimiter),
  // The results of `npm test` remain those of the Node that is used here.
  TEST_RESULTS_DIRECTORY: resolve('.test-results', `node-${version}`),
};
run(node, ['--version'], env);
process.exitCode = run(node, ['--import=tsx', 'scripts/test.ts', ...args], env);
