/** Runs what was asked for, round by round, and gathers it. */
import { cpus } from 'node:os';
import type { Measure } from './measures.js';
import { costSince } from './process-cost.js';
import { provenance } from './provenance.js';
import { type BenchResult, FORMAT, type MeasureInfo, type Sample, type TargetInfo } from './results.js';
import type { RunningTarget, Target } from './target.js';

export interface Plan {
  readonly targets: readonly Target[];
  readonly measures: readonly Measure[];
  readonly rounds: number;
  readonly seconds: number;
  /** How long each load runs before it counts: until then a compiler at run time is still at work, s. */
  readonly warmUpSeconds: number;
}

export interface Progress {
  /** The next step begins. */
  begin(what: string): void;
  /** So many steps are over. */
  done(steps: number): void;
}

const appliesTo = (measure: Measure, target: Target): boolean =>
  target.measures === undefined || target.measures.includes(measure.name);

/** Memory first: a server that has freed much grows by less than it takes. */
export const measuresOf = (plan: Plan, target: Target): Measure[] =>
  plan.measures
    .filter((measure) => appliesTo(measure, target))
    .sort((a, b) => Number(a.warmsUp) - Number(b.warmsUp));

/** How many measurements a plan is. */
export const stepsOf = (plan: Plan): number =>
  plan.rounds * plan.targets.reduce((sum, target) => sum + measuresOf(plan, target).length, 0);

/** What is kept of an error. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().slice(0, 500);

async function takeSample(running: RunningTarget, measure: Measure, plan: Plan): Promise<Partial<Sample>> {
  try {
    if (measure.warmsUp && plan.warmUpSeconds > 0) await measure.measure(running, plan.warmUpSeconds);
    const before = running.counters();
    const reading = await measure.measure(running, plan.seconds);
    const cost = costSince(before, running.counters());
    return { ...reading, cost: { ...cost, residentBytes: running.residentBytes() } };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** One round of one row. A server that fails takes its row's figures with it, not the run. */
async function roundOf(plan: Plan, target: Target, progress: Progress): Promise<Partial<Sample>[]> {
  const measures = measuresOf(plan, target);
  const samples: Partial<Sample>[] = [];
  try {
    progress.begin(`${target.title}: start`);
    const running = await target.start();
    try {
      for (const measure of measures) {
        progress.begin(`${target.title}: ${measure.title}`);
        samples.push({ measure: measure.name, ...(await takeSample(running, measure, plan)) });
        progress.done(1);
      }
    } finally {
      await running.close();
    }
  } catch (error) {
    for (const measure of measures.slice(samples.length)) {
      samples.push({ measure: measure.name, error: messageOf(error) });
      progress.done(1);
    }
  }
  return samples;
}

/**
 * All samples, round by round, so that whatever changes on this machine meanwhile meets every row alike.
 * The order of the rows turns by one each round: no row always follows the same other.
 */
export async function measureAll(plan: Plan, progress: Progress): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    const { length } = plan.targets;
    for (let i = 0; i < length; i++) {
      const target = plan.targets[(i + round) % length];
      const taken = await roundOf(plan, target, progress);
      samples.push(...taken.map((sample) => ({ target: target.name, round, ...sample }) as Sample));
    }
  }
  return samples;
}

/** Which rows can be measured here, and why the others cannot. */
export function inspectTargets(targets: readonly Target[]): Promise<TargetInfo[]> {
  return Promise.all(
    targets.map(async ({ name, title, obstacle }) => {
      const missing = await obstacle?.();
      return { name, title, ...(missing === undefined ? {} : { missing }) };
    }),
  );
}

/** What of a measure is kept. */
export const infoOf = ({ name, title, short, unit, digits, smallerIsBetter }: Measure): MeasureInfo => ({
  name,
  title,
  short,
  unit,
  digits,
  smallerIsBetter,
});

/** A result with nothing measured yet. */
export const emptyResult = (plan: Plan, targets: readonly TargetInfo[]): BenchResult => ({
  format: FORMAT,
  made: provenance(),
  processors: cpus().map((cpu) => cpu.model.trim()),
  rounds: plan.rounds,
  seconds: plan.seconds,
  warmUpSeconds: plan.warmUpSeconds,
  targets,
  measures: plan.measures.map(infoOf),
  samples: [],
  idle: [],
  curves: [],
  micro: [],
});
