/**
 * `npm run compare-linux`: our sender next to the kernel's in the same conditions, and beside it. Needs root.
 * Writes `docs/results/compare-linux.md` and `.json`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { CONTROLS } from '../support/controls.js';
import { provenance, spell } from '../support/provenance.js';
import {
  type CellRuns,
  type CoexistenceRun,
  cellName,
  cellsWith,
  type End,
  type Ends,
  type Run,
  runCell,
  runCoexistence,
} from './cells.js';
import { type Results, reportText, summarize } from './report.js';

const JSON_FILE = 'docs/results/compare-linux.json';
const REPORT = 'docs/results/compare-linux.md';

const KERNEL_ENDS: Ends = { sender: 'kernel', receiver: 'kernel' };

interface Options {
  readonly controls?: readonly string[];
  readonly only?: string;
  readonly runs: string;
  readonly seconds: string;
  /** Only these parts; all by default. */
  readonly coexistence?: boolean;
  readonly alone?: boolean;
  readonly receivers?: boolean;
  /** False with `--no-write`. */
  readonly write: boolean;
}

function kept(): Results {
  try {
    return JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Results;
  } catch {
    return { made: {}, cells: [], receivers: [], coexistence: {} };
  }
}

const describe = ({ control, goodputMbps, p99RttMs, retransmissions, lateP99Ms }: Run): string =>
  `${goodputMbps.toFixed(2)} Mbit/s, p99 RTT ${p99RttMs.toFixed(1)} ms, ${retransmissions} sent again, ` +
  `${control}, late ${lateP99Ms.toFixed(2)} ms`;

/** Run by run, kernel and stack in turn, so that what changes meanwhile meets both. */
async function compare(options: Options, controls: readonly string[], end: End): Promise<CellRuns[]> {
  const pattern = new RegExp(options.only ?? '');
  const cells = controls.flatMap(cellsWith).filter((cell) => pattern.test(cellName(cell)));
  const all: CellRuns[] = [];
  for (const cell of cells) {
    const kernel: Run[] = [];
    const ours: Run[] = [];
    for (let seed = 1; seed <= Number(options.runs); seed++) {
      kernel.push(await runCell(cell, KERNEL_ENDS, seed, Number(options.seconds)));
      console.log(`${cellName(cell)}, run ${seed}, kernel's ${end}: ${describe(kernel[seed - 1])}`);
      ours.push(await runCell(cell, { ...KERNEL_ENDS, [end]: 'ours' }, seed, Number(options.seconds)));
      console.log(`${cellName(cell)}, run ${seed}, our ${end}:      ${describe(ours[seed - 1])}`);
    }
    all.push({ cell, kernel, ours });
    const { ratio, rttRatio } = summarize({ cell, kernel, ours });
    console.log(`${cellName(cell)}: goodput × ${ratio.toFixed(3)}, p99 RTT × ${rttRatio.toFixed(2)}\n`);
  }
  return all;
}

async function coexist(options: Options, controls: readonly string[]) {
  const all: Record<string, CoexistenceRun[]> = {};
  for (const control of controls) {
    const runs: CoexistenceRun[] = [];
    for (let seed = 1; seed <= Number(options.runs); seed++) {
      const run = await runCoexistence(control, seed, 2.5 * Number(options.seconds));
      runs.push(run);
      console.log(
        `${control} beside ${control}, run ${seed}: ours ${run.oursMbps.toFixed(2)} Mbit/s, ` +
          `kernel ${run.kernelMbps.toFixed(2)} Mbit/s, late ${run.lateP99Ms.toFixed(2)} ms`,
      );
    }
    all[control] = runs;
  }
  return all;
}

/** What was measured now, and of what was not what was measured before. */
function mergedCells(before: readonly CellRuns[], now: readonly CellRuns[]): CellRuns[] {
  const fresh = new Map(now.map((runs) => [cellName(runs.cell), runs]));
  const old = new Map(before.map((runs) => [cellName(runs.cell), runs]));
  return CONTROLS.flatMap(cellsWith).flatMap((cell) => {
    const runs = fresh.get(cellName(cell)) ?? old.get(cellName(cell));
    return runs === undefined ? [] : [runs];
  });
}

async function main(options: Options): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('the comparison makes network namespaces and TUNs: run it as root');
  const startedAt = Date.now();
  const controls = options.controls ?? CONTROLS.filter((control) => control !== 'reno');
  const wantsAll = !options.coexistence && !options.alone && !options.receivers;
  let results = kept();
  if (wantsAll || options.alone) {
    const cells = mergedCells(results.cells, await compare(options, controls, 'sender'));
    results = { ...results, cells, made: { ...results.made, cells: `${provenance()}.` } };
  }
  if (wantsAll || options.receivers) {
    const receivers = mergedCells(results.receivers ?? [], await compare(options, controls, 'receiver'));
    results = { ...results, receivers, made: { ...results.made, receivers: `${provenance()}.` } };
  }
  if (wantsAll || options.coexistence) {
    const coexistence = { ...results.coexistence, ...(await coexist(options, controls)) };
    results = { ...results, coexistence, made: { ...results.made, coexistence: `${provenance()}.` } };
  }
  const text = reportText(results);
  if (options.write) {
    mkdirSync('docs/results', { recursive: true });
    writeFileSync(JSON_FILE, `${JSON.stringify(results, (_, value: unknown) => rounded(value), 1)}\n`);
    writeFileSync(REPORT, text);
  }
  console.log(`\n${text}\n${spell(Date.now() - startedAt)}`);
}

const rounded = (value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value;

await new Command('npm run compare-linux --')
  .option('--controls <name...>', 'congestion controls, the same at both; cubic and bbr by default')
  .option('--only <pattern>', "only cells whose name matches: 'cubic 100 Mbit/s 10 ms'")
  .option('--runs <n>', 'runs of each cell and sender', '5')
  .option('--seconds <n>', 'length of a run; two and a half times as long side by side', '8')
  .option('--coexistence', 'only side by side')
  .option('--alone', 'only each sender by itself')
  .option('--receivers', "only the receivers, each with the kernel's sender")
  .option('--no-write', 'leave the results as they are')
  .action(main)
  .parseAsync();
