/**
 * `npm run goodput`: what one flow carries over every path of the tables, and how several share one, in
 * virtual time. Writes `docs/results/goodput.md` and `.json`; a test compares some cells with the latter.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { CONTROLS } from '../support/controls.js';
import { inProcesses } from '../support/parallel.js';
import { provenance, spell } from '../support/provenance.js';
import { REST_AFTER_HELP, setRestAfter } from '../support/rest-after.js';
import { type CellResult, cellName, cellsOf } from './cell.js';
import { type FairnessResult, fairnessCases } from './fairness.js';
import {
  fairnessTable,
  readSnapshot,
  roundedCell,
  roundedFairness,
  SNAPSHOT,
  type Snapshot,
  snapshotText,
  TABLES,
  tables,
} from './snapshot.js';
import type { GoodputJob, GoodputResult } from './worker.js';

interface Options {
  readonly controls?: readonly string[];
  readonly only?: string;
  readonly processes?: string;
  /** False with `--no-write`. */
  readonly write: boolean;
  readonly restAfter?: string;
}

const HEAD = `# Goodput

{made} \`npm run goodput\`, {took}.

What one flow carries, Mbit/s of text, in virtual time: the second and later quarters of a run of
10 s + 500 RTT at 10 Mbit/s and 1 s + 100 RTT at 1 Gbit/s, there four times as long for Reno and CUBIC with
losses of 0.01 and 0.1 %. The queue before the wire holds one bandwidth-delay product, at least 64 packets, and
drops what does not fit. *reorder*: one packet in 100 is late by an eighth of the round trip. *burst*: besides,
bursts of 5 packets on average are lost, one packet in 5000 beginning one. *ecn*: both ends use ECN, and the
queue marks from half its length on. At 1 Gbit/s the sender makes super-packets, which are split for the wire.

The *formula* beside it: for Reno M. Mathis et al. (1997), for CUBIC RFC 9438 §5.1, each no more than the
link; for BBR the link less what is lost. The formulas are of a mean over very many losses: at 1 Gbit/s a run
sees few of 0.01 %, and what slow start won or an early loss cost still shows. They also leave out the queue,
which lengthens the round trip, and time-outs, which matter at 5 %.

Two kinds of cells lie far below the link. Where packets come late, a retransmission, whose timestamp is newer,
makes the receiver refuse what is still to come from before it (PAWS, RFC 7323 §5.3, in Linux too): that has to be
sent again in turn, so that on a fast path one loss becomes many. And BBR leaves Startup when six losses are more
than 2 % of a round, which at 1 % happens by chance while the rounds are small; from then on it probes for more
once in two to three seconds, and the run of a fast path is over before it has found the rest.
`;

async function measure(options: Options, jobs: readonly GoodputJob[]): Promise<Snapshot> {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} cells, about {eta_formatted} left',
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 30_000,
    etaBuffer: 50,
  });
  const cells: Record<string, CellResult> = {};
  const fairness: Record<string, FairnessResult> = {};
  bar.start(jobs.length, 0);
  await inProcesses<GoodputJob, GoodputResult>({
    worker: 'bench/goodput/worker.ts',
    jobs,
    ...(options.processes === undefined ? {} : { processes: Number(options.processes) }),
    onResult: (result, job) => {
      if ('cell' in job) cells[cellName(job.cell)] = roundedCell(result as CellResult);
      else fairness[job.fairness.name] = roundedFairness(result as FairnessResult);
      bar.increment();
    },
  });
  bar.stop();
  return { made: `${provenance()}.`, cells, fairness };
}

/** What was measured over what is kept, in the order of the tables. */
function merged(jobs: readonly GoodputJob[], fresh: Snapshot, kept: Snapshot | undefined): Snapshot {
  const cells: Record<string, CellResult> = {};
  const fairness: Record<string, FairnessResult> = {};
  for (const job of jobs) {
    const name = 'cell' in job ? cellName(job.cell) : job.fairness.name;
    const cell = fresh.cells[name] ?? kept?.cells[name];
    const shares = fresh.fairness[name] ?? kept?.fairness[name];
    if (cell !== undefined) cells[name] = cell;
    if (shares !== undefined) fairness[name] = shares;
  }
  return { made: fresh.made, cells, fairness };
}

function keptSnapshot(): Snapshot | undefined {
  try {
    return readSnapshot();
  } catch {
    return undefined;
  }
}

async function main(options: Options): Promise<void> {
  const startedAt = Date.now();
  const every: GoodputJob[] = CONTROLS.flatMap((control) => [...cellsOf(control)].map((cell) => ({ cell })));
  every.push(...fairnessCases(CONTROLS).map((fairness) => ({ fairness })));
  const pattern = new RegExp(options.only ?? '');
  const chosen = every.filter((job) => {
    const name = 'cell' in job ? cellName(job.cell) : job.fairness.name;
    const asked = options.controls?.some((control) => name.split(' ').includes(control)) ?? true;
    return asked && pattern.test(name);
  });
  const fresh = await measure(options, chosen);
  const whole = chosen.length === every.length;
  const snapshot = merged(every, fresh, whole ? undefined : keptSnapshot());
  const took = whole
    ? spell(Date.now() - startedAt)
    : `${chosen.length} of ${every.length} cells measured anew, the others before`;
  const text = [
    HEAD.replace('{made}', snapshot.made).replace('{took}', took),
    ...tables(snapshot, CONTROLS),
    ...fairnessTable(snapshot, fairnessCases(CONTROLS)),
  ].join('\n');
  if (options.write) {
    mkdirSync('docs/results', { recursive: true });
    writeFileSync(SNAPSHOT, snapshotText(snapshot));
    writeFileSync(TABLES, `${text}\n`);
  }
  for (const [name, result] of Object.entries({ ...fresh.cells, ...fresh.fairness })) {
    console.log(name, JSON.stringify(result));
  }
  console.log(`\n${chosen.length} cells, ${spell(Date.now() - startedAt)}`);
}

await new Command('npm run goodput --')
  .option('--controls <name...>', 'only these congestion controls')
  .option('--only <pattern>', "only cells whose name matches: 'cubic 10 Mbit/s 20 ms'")
  .option('--processes <n>', 'worker processes; one for each processor by default')
  .option('--rest-after <ms>', REST_AFTER_HELP)
  .option('--no-write', 'leave the snapshot as it is')
  .action((options: Options) => {
    setRestAfter(options.restAfter);
    return main(options);
  })
  .parseAsync();
