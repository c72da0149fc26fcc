/**
 * `npm run sweep`: each single packet of a transfer of 100 segments, and each pair, is lost, damaged,
 * duplicated, made late by little and by much, in every configuration; `fault-run.ts` says what must hold.
 * Writes `docs/results/sweep.md`, and prints the command that repeats a failure.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { CONTROLS } from '../support/controls.js';
import { inProcesses } from '../support/parallel.js';
import { REST_AFTER_HELP, setRestAfter } from '../support/rest-after.js';
import { allConfigs, commandFor, parseCase, type SweepConfig } from './fault-case.js';
import { runCase } from './fault-run.js';
import { type Range, rangesOf, sizeOf } from './plan.js';
import { reportText, SweepTally } from './report.js';
import type { RangeResult } from './worker.js';

const RANGE_CASES = 400;
const REPORT = 'docs/results/sweep.md';

interface Options {
  readonly case?: string;
  readonly controls?: readonly string[];
  /** False with `--no-pairs`. */
  readonly pairs: boolean;
  readonly every: string;
  readonly processes?: string;
  readonly restAfter?: string;
  /** False with `--no-write`. */
  readonly write: boolean;
}

/** Runs one case again and says what happened. */
function repeat(text: string): void {
  const faulty = parseCase(text);
  const outcome = runCase(faulty);
  console.log(JSON.stringify({ case: text, ...outcome }, null, 2));
  if (outcome.troubles.length > 0) process.exitCode = 1;
}

function plan(configs: readonly SweepConfig[], pairStep: number): Range[] {
  const size = RANGE_CASES;
  const singles = configs.flatMap((config) => [...rangesOf(config, { pairs: false, size, step: 1 })]);
  if (pairStep === 0) return singles;
  return [
    ...singles,
    ...configs.flatMap((config) => [...rangesOf(config, { pairs: true, size, step: pairStep })]),
  ];
}

async function sweep(options: Options): Promise<void> {
  const startedAt = Date.now();
  const controls = options.controls ?? CONTROLS;
  const configs = allConfigs(controls);
  const pairStep = options.pairs ? Number(options.every) : 0;
  const ranges = plan(configs, pairStep);
  const cases = ranges.reduce((sum, range) => sum + sizeOf(range), 0);
  const tally = new SweepTally();
  const bar = new SingleBar({
    format: '{bar} {value}/{total} runs, {failures} failed, about {eta_formatted} left',
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 30_000,
    etaBuffer: 200,
  });
  console.log(`${configs.length} configurations, ${cases} runs`);
  bar.start(cases, 0, { failures: 0 });
  await inProcesses<Range, RangeResult>({
    worker: 'bench/sweep/worker.ts',
    jobs: ranges,
    ...(options.processes === undefined ? {} : { processes: Number(options.processes) }),
    onResult: (result, range) => {
      tally.add(range, result);
      bar.increment(result.runs, { failures: tally.failures });
    },
  });
  bar.stop();
  for (const failure of tally.told) {
    console.log(`${failure.troubles.join('; ')}\n    ${commandFor(parseCase(failure.case))}`);
  }
  const text = reportText(tally, { milliseconds: Date.now() - startedAt, controls, pairStep });
  if (options.write) {
    mkdirSync('docs/results', { recursive: true });
    writeFileSync(REPORT, text);
  }
  console.log(`\n${text}`);
  if (tally.failures > 0) process.exitCode = 1;
}

await new Command('npm run sweep --')
  .option('--case <case>', "run one case again: 'down.6.cubic.super data:17:drop ack:3:delay'")
  .option('--controls <name...>', 'only these congestion controls')
  .option('--no-pairs', 'single faults only')
  .option('--every <n>', 'only every so many-th pair', '1')
  .option('--processes <n>', 'worker processes; one for each processor by default')
  .option('--rest-after <ms>', REST_AFTER_HELP)
  .option('--no-write', `leave ${REPORT} as it is`)
  .action((options: Options) => {
    setRestAfter(options.restAfter);
    return options.case === undefined ? sweep(options) : repeat(options.case);
  })
  .parseAsync();
