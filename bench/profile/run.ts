/**
 * `npm run profile`: where the time of one row and column of the benchmark goes, kernel included, as a flame
 * graph. As root, with Linux's `perf` (`apt-get install linux-perf`).
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { run } from '../../test/support/child.js';
import { MEASURES } from '../support/measures.js';
import { pick } from '../support/pick.js';
import { TARGETS } from '../support/targets.js';
import { flameGraph, sharesByKind } from './flame-graph.js';
import { readStacks } from './stacks.js';

interface Options {
  readonly target: string;
  readonly only: string;
  readonly seconds: number;
  readonly svg: string;
}

/** Names in files `perf` can read, and a frame for each call of interpreted code too. */
const NAMED = '--perf-basic-prof --interpreted-frames-native-stack';
const SAMPLES_PER_SECOND = 1999;
/** Where a program's own work begins: what calls it is the same in all of them. */
const OUTERMOST = /^(?:uv__io_poll|uv__run_|uv__work_done|uv__async_io)/;

/** What V8 has written of a process: the names of its code, and a log it cannot be kept from. */
function removeNames(pid: number): void {
  rmSync(`/tmp/perf-${pid}.map`, { force: true });
  for (const name of readdirSync('.')) if (name.endsWith(`-${pid}-v8.log`)) rmSync(name);
}

async function main({ target, only, seconds, svg }: Options): Promise<void> {
  const [row] = pick(TARGETS, [target]);
  const [column] = pick(MEASURES, [only]);
  const samples = `build-bench/profile.${process.pid}`;
  mkdirSync('build-bench', { recursive: true });
  mkdirSync(dirname(svg), { recursive: true });
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} ${NAMED}`;
  const running = await row.start();
  const pids = running.pids.join(',');
  try {
    await column.measure(running, 1.5);
    const record = ['record', '-q', '-g', '-e', 'cpu-clock', '-F', String(SAMPLES_PER_SECOND)];
    const whole = column.measure(running, seconds);
    await run('perf', [...record, '-p', pids, '-o', samples, '--', 'sleep', String(seconds * 0.9)], {
      limitMs: seconds * 1000 + 30_000,
    });
    const { value } = await whole;
    const { stdout } = await run('perf', ['script', '-i', samples], { limitMs: 120_000 });
    const root = readStacks(stdout, OUTERMOST);
    const title = `${row.title}: ${column.title}, ${value.toFixed(column.digits)} ${column.unit}`;
    writeFileSync(svg, flameGraph(root, title));
    console.log(title);
    for (const [kind, share] of sharesByKind(root)) {
      console.log(`${((100 * share) / root.samples).toFixed(1).padStart(6)} %  ${kind}`);
    }
    console.log(`written to ${svg}`);
  } finally {
    await running.close();
    rmSync(samples, { force: true });
    for (const pid of running.pids) removeNames(pid);
  }
}

await new Command('npm run profile --')
  .option('--target <row>', `one of ${TARGETS.map(({ name }) => name).join(', ')}`, 'raw')
  .option('--only <column>', `one of ${MEASURES.map(({ name }) => name).join(', ')}`, 'msg')
  .option('--seconds <n>', 'how long', Number, 4)
  .option('--svg <file>', 'where the picture goes', 'build-bench/profile.svg')
  .action(main)
  .parseAsync();
