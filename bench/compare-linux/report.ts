/** What the comparison gave, in words. */
import { median } from '../support/statistics.js';
import { type CellRuns, type CoexistenceRun, cellName, type Run } from './cells.js';

export interface Results {
  /** Date, commit and machine of each part. */
  readonly made: { readonly cells?: string; readonly receivers?: string; readonly coexistence?: string };
  readonly cells: readonly CellRuns[];
  /** The same with the kernel's sender and both receivers. */
  readonly receivers?: readonly CellRuns[];
  readonly coexistence: Readonly<Record<string, readonly CoexistenceRun[]>>;
}

export interface CellSummary {
  /** Median over the runs of our goodput divided by the kernel's in the run of the same seed. */
  readonly ratio: number;
  /** Ratio of the medians of the 99th percentiles of the round-trip time. */
  readonly rttRatio: number;
}

const medianOf = (runs: readonly Run[], value: (run: Run) => number): number => median(runs.map(value));

export function summarize({ kernel, ours }: CellRuns): CellSummary {
  return {
    ratio: median(ours.map((run, i) => run.goodputMbps / kernel[i].goodputMbps)),
    rttRatio: medianOf(ours, (run) => run.p99RttMs) / medianOf(kernel, (run) => run.p99RttMs),
  };
}

const HEAD = `# Next to Linux

The kernel's sender and this stack's, each alone, to the same kernel receiver through the same emulated link
with the same seeds, in real time (\`npm run compare-linux\`, as root). Both senders' packets enter the link
from one TUN: the kernel's own, and the stack's from a TUN of its own, forwarded. The queue holds one
bandwidth-delay product, at least 100 packets. The kernel's algorithm is set per socket (\`TCP_CONGESTION\`) and
read back; its \`bbr\` is version 1, the stack's is version 3. Goodput is what the receiver read from the
connection's beginning on, and ratios are medians over runs of equal seeds. Both send buffers may grow to
32 MiB, which is the stack's default; with the kernel's 4 MiB its sender would be held by that and not by its
congestion control. The stack has sent before in virtual time, so that V8 has compiled what sends, and the path's
main thread has a processor of its own. The round-trip time is the
sender's own smoothed one, looked at every 10 ms; *wire* is that of data on the emulated link alone. *Late* is
how much later than planned the relay let the 99th percentile of data go: where it is not far below the
round-trip time the machine was too busy.
`;

const RECEIVERS = `
## Receivers

The same paths with the kernel's sender, its \`bbr\` version 1, and both receivers in turn; ours on a TUN behind the
path. Everything but the receiver is the same, and so is what is measured.
`;

function cellRow(runs: CellRuns): string {
  const { ratio, rttRatio } = summarize(runs);
  const both = (value: (run: Run) => number, digits: number): string[] =>
    [runs.kernel, runs.ours].map((part) => medianOf(part, value).toFixed(digits));
  const late = Math.max(...[...runs.kernel, ...runs.ours].map((run) => run.lateP99Ms));
  return `| ${[
    cellName(runs.cell),
    ...both((run) => run.goodputMbps, 2),
    ratio.toFixed(2),
    ...both((run) => run.p99RttMs, 1),
    rttRatio.toFixed(2),
    ...both((run) => run.wireP99Ms, 1),
    ...both((run) => run.retransmissions, 0),
    late.toFixed(2),
  ].join(' | ')} |`;
}

function* cellsText(made: string | undefined, cells: readonly CellRuns[]): Generator<string> {
  const summaries = cells.map(summarize);
  const runs = Math.max(...cells.map(({ ours }) => ours.length));
  yield `${made ?? ''} Medians of ${runs} interleaved runs; Mbit/s and ms.\n`;
  yield '| path | kernel | ours | ratio | p99 RTT kernel | ours | ratio | wire kernel | ours | sent again kernel | ours | late, at most |';
  yield `|---|${'---:|'.repeat(11)}`;
  for (const cell of cells) yield cellRow(cell);
  const goodput = summaries.map(({ ratio }) => ratio);
  yield `\nGoodput: median ratio over all cells ${median(goodput).toFixed(3)} (target 0.95), ` +
    `worst cell ${Math.min(...goodput).toFixed(3)} (target 0.9). ` +
    `99th percentile of the round-trip time: worst ratio ${Math.max(...summaries.map(({ rttRatio }) => rttRatio)).toFixed(2)} (target 1.1).`;
}

function* coexistenceText({ made, coexistence }: Results): Generator<string> {
  yield '\n## Side by side\n';
  yield `${made.coexistence ?? ''} One flow of the stack beside one of the kernel's, 50 Mbit/s, 20 ms, through one queue of one ` +
    'bandwidth-delay product (100 packets); who begins alternates. Target: a share of 40 to 60 %.\n';
  yield '| congestion control of both | median share of ours | of each run | Mbit/s ours | kernel |';
  yield '|---|---:|---|---:|---:|';
  for (const [control, runs] of Object.entries(coexistence)) {
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    yield `| ${[
      control,
      percent(median(runs.map(({ share }) => share))),
      runs.map(({ share }) => percent(share)).join(', '),
      median(runs.map(({ oursMbps }) => oursMbps)).toFixed(1),
      median(runs.map(({ kernelMbps }) => kernelMbps)).toFixed(1),
    ].join(' | ')} |`;
  }
}

export function reportText(results: Results): string {
  const parts = [HEAD];
  const { cells, receivers = [], made } = results;
  if (cells.length > 0) parts.push('\n## Senders\n', ...cellsText(made.cells, cells));
  if (receivers.length > 0) parts.push(RECEIVERS, ...cellsText(made.receivers, receivers));
  if (Object.keys(results.coexistence).length > 0) parts.push(...coexistenceText(results));
  return `${parts.join('\n')}\n`;
}
