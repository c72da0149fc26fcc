/**
 * `npm run bench`: the stack next to the kernel's own sockets and to other stacks, measured in the same
 * rounds by the same load generator. `docs/performance.md` says what each row and column is.
 *
 * Exit status: 0 all was measured; 1 something failed; 2 the arguments make no sense; 3 with `--compare`,
 * something of the stack's own is worse than it was; 4 with `--check`, a goal was missed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SingleBar } from 'cli-progress';
import { Command, CommanderError } from 'commander';
import { installed } from '../test/support/child.js';
import type { MicroResult } from './micro/harness.js';
import { compareResults, hasGotWorse } from './support/compare.js';
import { CURVES, type CurveContext, type CurvePlan, type CurveResults } from './support/curves.js';
import { isMissed, judgeAll } from './support/goals.js';
import { htmlPage } from './support/html.js';
import { MEASURES } from './support/measures.js';
import { pick, UsageError } from './support/pick.js';
import { type BenchResult, failuresOf, readResult, resultText, writeResult } from './support/results.js';
import {
  emptyResult,
  inspectTargets,
  measureAll,
  type Plan,
  type Progress,
  stepsOf,
} from './support/session.js';
import { comparisonText, report } from './support/table.js';
import { TARGETS } from './support/targets.js';

/** Where the page and the figures of the last run are. */
const LAST_PAGE = 'build-bench/benchmark.html';
const LAST_RUN = 'build-bench/benchmark.json';
const EXIT = { failed: 1, usage: 2, worse: 3, missed: 4 } as const;

interface Options {
  readonly json?: boolean | string;
  /** False with `--no-html`. */
  readonly html: string | false;
  readonly only?: readonly string[];
  readonly targets?: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly compare?: string;
  readonly check?: boolean;
  /** Names, all with `--curves` alone, none with `--no-curves`. */
  readonly curves?: boolean | readonly string[];
  readonly idle: number;
  /** False with `--no-micro`. */
  readonly micro: boolean;
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new UsageError(`"${text}" is not a number above 0`);
  return number;
}

function notNegative(text: string): number {
  return Number(text) === 0 ? 0 : positive(text);
}

function positiveWhole(text: string): number {
  const number = positive(text);
  if (!Number.isInteger(number)) throw new UsageError(`"${text}" is not a whole number`);
  return number;
}

/** A bar on standard error, so that standard output holds nothing but the results. */
function progressBar(steps: number): Progress & { stop(): void } {
  const bar = new SingleBar({
    format: '{bar} {value}/{total}, about {eta_formatted} left  {what}',
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
    stream: process.stderr,
  });
  bar.start(steps, 0, { what: '' });
  return {
    begin: (what) => bar.update({ what }),
    done: (count) => bar.increment(count),
    stop: () => bar.stop(),
  };
}

/** The micro-benchmarks, in a process of their own: what ran before would change what they see. */
const measureMicro = (): MicroResult[] =>
  JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', '--import=tsx', 'bench/micro/run.ts', '--json'], {
      encoding: 'utf8',
    }),
  ) as MicroResult[];

const isWhole = (options: Options): boolean => options.only === undefined && options.targets === undefined;

/** The curves asked for; where only a part of the table is, none unless asked for. */
function curvesOf(options: Options): CurvePlan[] {
  const { curves = isWhole(options) } = options;
  if (curves === false) return [];
  return pick(CURVES, curves === true ? undefined : curves);
}

async function measureCurves(plans: readonly CurvePlan[], context: CurveContext): Promise<CurveResults> {
  const results: CurveResults = { curves: [], idle: [], failures: [] };
  for (const plan of plans) {
    const { curves, idle, failures } = await plan.run(context);
    results.curves.push(...curves);
    results.idle.push(...idle);
    results.failures.push(...failures);
  }
  return results;
}

async function measure(options: Options): Promise<BenchResult> {
  const infos = await inspectTargets(pick(TARGETS, options.targets));
  const possible = infos.filter(({ missing }) => missing === undefined).map(({ name }) => name);
  const plan: Plan = {
    targets: pick(TARGETS, possible),
    measures: pick(MEASURES, options.only),
    rounds: options.rounds,
    seconds: options.seconds,
    warmUpSeconds: options.warmUp,
  };
  const curvePlans = curvesOf(options);
  const scope = { ...plan, idleConnections: options.idle };
  const progress = progressBar(
    stepsOf(plan) + curvePlans.reduce((steps, one) => steps + one.steps(scope), 0),
  );
  try {
    const samples = await measureAll(plan, progress);
    const { curves, idle, failures } = await measureCurves(curvePlans, { ...scope, progress });
    const micro = isWhole(options) && options.micro ? measureMicro() : [];
    return { ...emptyResult(plan, infos), samples: [...samples, ...failures], idle, curves, micro };
  } finally {
    progress.stop();
  }
}

/** Writes what outlasts the terminal: the page, and the figures for a later `--compare`. */
function keep(result: BenchResult, options: Options): void {
  const { html, json } = options;
  if (html !== false) {
    mkdirSync(dirname(html), { recursive: true });
    writeFileSync(html, htmlPage(result));
    console.error(`The page: ${html}`);
  }
  // A run of a part is no reason to lose a whole one.
  const figures = typeof json === 'string' ? json : isWhole(options) ? LAST_RUN : undefined;
  if (figures === undefined) return;
  mkdirSync(dirname(figures), { recursive: true });
  writeResult(figures, result);
  console.error(`The figures: ${figures}`);
}

function finish(result: BenchResult, options: Options, before: BenchResult | undefined): number {
  const differences = before === undefined ? [] : compareResults(before, result);
  keep(result, options);
  if (options.json === true) process.stdout.write(resultText(result));
  else console.log(report(result));
  if (before !== undefined) {
    const text = `\nAgainst ${options.compare ?? ''} (${before.made})\n\n${comparisonText(differences)}`;
    (options.json === true ? console.error : console.log)(text);
  }
  if (failuresOf(result).length > 0) return EXIT.failed;
  if (hasGotWorse(differences)) return EXIT.worse;
  return options.check && judgeAll(result).some(isMissed) ? EXIT.missed : 0;
}

/** @throws UsageError when it cannot be read or is something else */
function earlierRun(path: string): BenchResult {
  try {
    return readResult(path);
  } catch (error) {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
}

async function main(options: Options): Promise<void> {
  // What cannot be read is better known before half an hour of measurements.
  const before = options.compare === undefined ? undefined : earlierRun(options.compare);
  if (process.getuid?.() !== 0) throw new Error('needs root, to make network namespaces and enter them');
  if (!(await installed('cc'))) throw new Error('needs a C compiler: apt-get install gcc');
  process.exitCode = finish(await measure(options), options, before);
}

// With us end our children and, with these, their namespaces.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const program = new Command('npm run bench --')
  .option('--only <measure...>', `only ${MEASURES.map((item) => item.name).join(', ')}`)
  .option('--targets <target...>', `only ${TARGETS.map((item) => item.name).join(', ')}`)
  .option('--rounds <n>', 'how often everything is measured', positiveWhole, 5)
  .option('--seconds <n>', 'length of one measurement', positive, 1)
  .option('--warm-up <n>', 'seconds each load runs before it counts', notNegative, 1)
  .option('--json [file]', 'print every figure as JSON instead of the table, or write it into a file')
  .option('--html <file>', 'where the page with the charts goes', LAST_PAGE)
  .option('--no-html', 'write no page')
  .option('--compare <file>', 'say which differences from an earlier --json are outside the noise')
  .option('--check', 'exit with status 4 when a goal is missed')
  .option('--curves [name...]', `scaling curves: ${CURVES.map((item) => item.name).join(', ')}`)
  .option('--no-curves', 'leave them out')
  .option('--idle <n>', 'most idle connections of their curve', positiveWhole, 100_000)
  .option('--no-micro', 'leave out codecs, checksums and buffers')
  .exitOverride()
  .action(main);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
  } else {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}
