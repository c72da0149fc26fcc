/**
 * `npm run bench`: the stack next to the kernel's own sockets, measured in the same run by the same load
 * generator. Every figure is a median over rounds; behind each reference stands the ratio to it.
 */
import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import type { MicroResult } from './micro/harness.js';
import { MEASURES, type Measure } from './support/measures.js';
import { type Figures, formatTable, median } from './support/table.js';
import {
  joinedTuns,
  kernelC,
  kernelNode,
  stackNet,
  stackPlain,
  stackRaw,
  type Target,
  udpSwap,
} from './support/target.js';

/** The subject first: the ratios are its. */
const TARGETS: readonly Target[] = [stackNet, stackRaw, stackPlain, kernelNode, kernelC, joinedTuns, udpSwap];

interface Options {
  readonly json?: boolean;
  readonly only?: readonly string[];
  readonly targets?: readonly string[];
  /** False with `--no-micro`. */
  readonly micro: boolean;
  readonly rounds: string;
  readonly seconds: string;
}

/** The named ones of a list, all without names. @throws Error on a name that is not there. */
function pick<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[] | undefined,
): T[] {
  for (const name of names ?? []) {
    if (!all.some((item) => item.name === name)) {
      throw new Error(`no "${name}"; there are ${all.map((item) => item.name).join(', ')}`);
    }
  }
  return all.filter((item) => names === undefined || names.includes(item.name));
}

const appliesTo = (measure: Measure, target: Target): boolean =>
  target.measures === undefined || target.measures.includes(measure.name);

async function measureAll(
  targets: readonly Target[],
  measures: readonly Measure[],
  options: Options,
): Promise<Figures> {
  const rounds = Number(options.rounds);
  const figures = new Map(measures.map((measure) => [measure, new Map<Target, number[]>()]));
  const perRound = targets.flatMap((target) =>
    measures.filter((measure) => appliesTo(measure, target)),
  ).length;
  const bar = new SingleBar({
    format: '{bar} {value}/{total}  {what}',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(rounds * perRound, 0, { what: '' });
  try {
    // Round by round, so that whatever changes on this machine meanwhile meets every target alike.
    for (let round = 0; round < rounds; round++) {
      for (const target of targets) {
        const running = await target.start();
        try {
          for (const measure of measures) {
            if (!appliesTo(measure, target)) continue;
            bar.update({ what: `${target.title}: ${measure.title}` });
            const value = await measure.measure(running, Number(options.seconds));
            const byTarget = figures.get(measure);
            byTarget?.set(target, [...(byTarget.get(target) ?? []), value]);
            bar.increment();
          }
        } finally {
          await running.close();
        }
      }
    }
  } finally {
    bar.stop();
  }
  return figures;
}

function toJson(figures: Figures, targets: readonly Target[]): object {
  return {
    node: process.version,
    kernel: release(),
    processors: cpus().map((cpu) => cpu.model),
    measures: [...figures].map(([measure, byTarget]) => ({
      name: measure.name,
      title: measure.title,
      unit: measure.unit,
      smallerIsBetter: measure.smallerIsBetter ?? false,
      targets: targets.map((target) => {
        const rounds = byTarget.get(target) ?? [];
        return { name: target.name, median: median(rounds), rounds };
      }),
    })),
  };
}

/** The micro-benchmarks, in a process of their own: what ran before would change what they see. */
const measureMicro = (...args: string[]): string =>
  execFileSync(process.execPath, ['--expose-gc', '--import=tsx', 'bench/micro/run.ts', ...args], {
    encoding: 'utf8',
  });

async function main(options: Options): Promise<void> {
  const targets = pick(TARGETS, options.targets);
  const figures = await measureAll(targets, pick(MEASURES, options.only), options);
  const micro = options.micro && options.only === undefined;
  if (options.json) {
    const small = micro ? { micro: JSON.parse(measureMicro('--json')) as MicroResult[] } : {};
    console.log(JSON.stringify({ ...toJson(figures, targets), ...small }, null, 2));
    return;
  }
  console.log(formatTable(figures, targets));
  console.log(
    `\nMedians of ${options.rounds} rounds of ${options.seconds} s; in brackets the stack's ratio to each.`,
  );
  console.log(
    `Node ${process.version}, Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model.trim()}, CUBIC.`,
  );
  console.log(
    "The memory of the kernel's own connections is not in its column: it counts Node's share alone.",
  );
}

await new Command('npm run bench --')
  .option('--json', 'print every figure as JSON')
  .option('--only <measure...>', `only ${MEASURES.map((measure) => measure.name).join(', ')}`)
  .option('--targets <target...>', `only ${TARGETS.map((target) => target.name).join(', ')}`)
  .option('--no-micro', 'leave out codecs, checksums and buffers')
  .option('--rounds <n>', 'how often everything is measured', '3')
  .option('--seconds <n>', 'length of one measurement', '2')
  .action(main)
  .parseAsync();
