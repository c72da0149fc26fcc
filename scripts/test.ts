/**
 * `npm test`: runs the tests in groups, one process each, because some need V8 flags and some another
 * user, and gathers what happened in `.test-results/results.json`. The last line it prints is
 * `N passed, N failed, N skipped`. Where `CI` is set, a skipped test counts as failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import type { TestResult } from '../test/support/conformance-reporter.js';
import { UNPRIVILEGED_UID, unprivileged, unprivilegedObstacle } from '../test/support/unprivileged.js';

interface Group {
  readonly name: string;
  /** Whether a test file, named relative to `test/`, belongs here. The first group that says yes has it. */
  has(file: string): boolean;
  readonly nodeFlags?: readonly string[];
  /** Runs as an ordinary user, also when the runner is root. */
  readonly rootless?: boolean;
  readonly limitMinutes: number;
}

const GROUPS: readonly Group[] = [
  {
    name: 'allocation',
    has: (file) => file.includes('allocation'),
    // Nothing is collected between two looks at the heap, so every byte allocated shows.
    nodeFlags: ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'],
    limitMinutes: 2,
  },
  {
    name: 'rootless-examples',
    has: (file) => /^rootless\/(examples|vm-network|virtual-machine|tools)\./.test(file),
    rootless: true,
    limitMinutes: 10,
  },
  { name: 'rootless', has: (file) => file.startsWith('rootless/'), rootless: true, limitMinutes: 10 },
  { name: 'kernel', has: (file) => /^(interop|net|dgram|remote)\//.test(file), limitMinutes: 10 },
  { name: 'native', has: (file) => /^(native|package|demo|bench)\//.test(file), limitMinutes: 10 },
  {
    name: 'embedding',
    has: (file) => /^(relay|gateway|socks|cli|links|browser)\//.test(file),
    limitMinutes: 10,
  },
  { name: 'ecosystem', has: (file) => file.startsWith('ecosystem'), limitMinutes: 10 },
  { name: 'simulation', has: (file) => /^(sim|model|examples)\//.test(file), limitMinutes: 10 },
  { name: 'protocol', has: () => true, limitMinutes: 6 },
];
/** What is fast and has no side effects comes first, then the longest. */
const ORDER = [
  'protocol',
  'simulation',
  'kernel',
  'embedding',
  'rootless',
  'ecosystem',
  'native',
  'rootless-examples',
  'allocation',
];
/** Groups side by side: they often wait, for programs to start, for timers of kernels. */
const LANES = 3;

const RESULTS = process.env.TEST_RESULTS_DIRECTORY ?? '.test-results';
const MOCHA = 'node_modules/mocha/bin/mocha.js';

interface Choice {
  readonly files: readonly string[];
  readonly mochaArgs: readonly string[];
  /** Something else prints meanwhile. */
  readonly isPrintedLater: boolean;
}

/** Children still running, to be ended with us. */
const running = new Set<ChildProcess>();

function endChild(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch {
    // It has just ended by itself.
  }
}

/** Runs a group's files. Its results are those of the tests that ran, plus one failure if it broke off. */
async function runGroup(group: Group, choice: Choice): Promise<TestResult[]> {
  const heading = `\n── ${group.name}: ${choice.files.length} files\n`;
  if (!choice.isPrintedLater) process.stdout.write(heading);
  const obstacle = group.rootless ? unprivilegedObstacle() : undefined;
  if (obstacle !== undefined)
    return [{ ...broken(group, 'cannot run here'), state: 'skipped', reason: obstacle }];
  // A directory the user of a rootless group can write to.
  const out = mkdtempSync(join(tmpdir(), 'tunstack-results-'));
  if (group.rootless && process.getuid?.() === 0) chownSync(out, UNPRIVILEGED_UID, UNPRIVILEGED_UID);
  // Mocha starts a Node of its own, and hands it these.
  const args = [MOCHA, ...(group.nodeFlags ?? []), ...choice.mochaArgs, ...choice.files];
  const command = group.rootless
    ? unprivileged({ command: process.execPath, args, shared: out })
    : { command: process.execPath, args, env: {}, shared: out, close: () => {} };
  try {
    const env = { ...process.env, ...command.env, TEST_RESULTS: join(command.shared, 'results.json') };
    const problem = await runToEnd(command.command, command.args, {
      env,
      limitMinutes: group.limitMinutes,
      printedLater: choice.isPrintedLater ? heading : undefined,
    });
    const results = readResults(join(out, 'results.json'));
    if (results === undefined) return [broken(group, problem ?? 'ended without results')];
    const complete = problem === undefined || results.some((result) => result.state === 'failed');
    return complete ? results : [...results, broken(group, problem)];
  } finally {
    command.close();
    rmSync(out, { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly limitMinutes: number;
  /** Where something else prints meanwhile: what stands above its output, which is printed when it has ended. */
  readonly printedLater: string | undefined;
}

/** Runs a command in a process group of its own. Resolves to what went wrong, if anything did. */
function runToEnd(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string | undefined> {
  const isLater = options.printedLater !== undefined;
  return new Promise((settle) => {
    const child = spawn(command, args, {
      stdio: ['ignore', ...(isLater ? (['pipe', 'pipe'] as const) : (['inherit', 'inherit'] as const))],
      env: options.env,
      detached: true,
    });
    running.add(child);
    const printed: Buffer[] = [];
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (piece: Buffer) => printed.push(piece));
    let overdue = false;
    const timer = setTimeout(() => {
      overdue = true;
      endChild(child, 'SIGKILL');
    }, options.limitMinutes * 60_000);
    const end = (problem?: string): void => {
      clearTimeout(timer);
      running.delete(child);
      if (isLater) process.stdout.write(Buffer.concat([Buffer.from(options.printedLater ?? ''), ...printed]));
      settle(overdue ? `took longer than ${options.limitMinutes} minutes` : problem);
    };
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) => end(code === 0 ? undefined : `exited with ${signal ?? code}`));
  });
}

const broken = (group: Group, problem: string): TestResult => ({
  suites: ['test runner'],
  title: `group "${group.name}" ${problem}`,
  state: 'failed',
  file: '',
  durationMs: 0,
  reason: problem,
});

function readResults(path: string): TestResult[] | undefined {
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, 'utf8')) as TestResult[];
}

const testFiles = (): string[] =>
  readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
    .sort();

/** Test files by group, narrowed to the paths given. */
function choose(paths: readonly string[]): Map<string, string[]> {
  const wanted = paths.map((path) => resolve(path));
  for (const path of wanted) {
    if (!existsSync(path)) throw new Error(`no such file or directory: ${relative('.', path)}`);
  }
  const chosen = new Map<string, string[]>();
  for (const file of testFiles()) {
    const full = resolve(file);
    const asked = wanted.some((path) => full === path || full.startsWith(`${path}/`));
    if (wanted.length > 0 && !asked) continue;
    const group = GROUPS.find((candidate) => candidate.has(file.slice('test/'.length)));
    if (group === undefined) continue;
    chosen.set(group.name, [...(chosen.get(group.name) ?? []), file]);
  }
  return chosen;
}

function printClosing(results: readonly TestResult[]): boolean {
  const strict = process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false';
  const name = (result: TestResult): string => [...result.suites, result.title].join(' › ');
  const skipped = results.filter((result) => result.state === 'skipped');
  const failed = results.filter((result) => result.state === 'failed');
  if (skipped.length > 0) process.stdout.write(`\nSkipped${strict ? ' (failures here: CI is set)' : ''}:\n`);
  for (const result of skipped)
    process.stdout.write(`  ${name(result)}: ${result.reason ?? 'no reason given'}\n`);
  if (failed.length > 0) process.stdout.write('\nFailed:\n');
  for (const result of failed) process.stdout.write(`  ${name(result)} (${result.file})\n`);
  const failures = failed.length + (strict ? skipped.length : 0);
  const passes = results.length - failed.length - skipped.length;
  process.stdout.write(`\n${passes} passed, ${failures} failed, ${strict ? 0 : skipped.length} skipped\n`);
  return failures === 0 && passes > 0;
}

interface Options {
  readonly grep?: string;
  readonly group?: readonly string[];
  readonly bail?: boolean;
}

async function main(paths: readonly string[], options: Options): Promise<void> {
  const mochaArgs: string[] = [];
  if (options.grep !== undefined) mochaArgs.push('--grep', options.grep);
  if (options.bail) mochaArgs.push('--bail');
  if (process.env.CI) mochaArgs.push('--forbid-only');
  const chosen = choose(paths);
  const results: TestResult[] = [];
  const startedAt = Date.now();
  const waiting = ORDER.filter((name) => chosen.has(name) && (options.group?.includes(name) ?? true));
  const runLane = async (_: unknown, at: number): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const group = GROUPS.find((candidate) => candidate.name === name) as Group;
      const files = chosen.get(name) ?? [];
      results.push(...(await runGroup(group, { files, mochaArgs, isPrintedLater: at > 0 })));
    }
  };
  await Promise.all(Array.from({ length: LANES }, runLane));
  const whole = paths.length === 0 && options.grep === undefined && options.group === undefined;
  mkdirSync(RESULTS, { recursive: true });
  // The owner of a clone can replace the results even where root ran the tests.
  const { uid, gid } = statSync('.');
  writeFileSync(
    join(RESULTS, 'results.json'),
    JSON.stringify({ whole, startedAt, node: process.version, results }, null, 1),
  );
  if (process.getuid?.() === 0) {
    chownSync(RESULTS, uid, gid);
    chownSync(join(RESULTS, 'results.json'), uid, gid);
  }
  process.exitCode = printClosing(results) ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) endChild(child, 'SIGKILL');
    process.exit(1);
  });
}

await new Command('npm test --')
  .argument('[paths...]', 'test files or directories; all of them by default')
  .option('-g, --grep <pattern>', 'only tests whose title matches')
  .option('--group <name...>', `only these groups: ${ORDER.join(', ')}`)
  .option('--bail', 'stop a group at its first failure')
  .action((paths: string[], options: Options) => main(paths, options))
  .parseAsync();
