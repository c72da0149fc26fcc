/** Two runs of the benchmark next to each other: which differences are more than noise. */
import { GOALS } from './goals.js';
import { type BenchResult, type MeasureInfo, ratiosOf, valuesOf } from './results.js';
import { leastProbability, rankSumProbability, type Summary, summarise } from './statistics.js';

/** Chance, at most, that a difference is called one although both runs saw the same. */
export const ALPHA = 0.01;
/** Smaller differences of the medians are never reported: nobody would act on them. */
export const LEAST_CHANGE = 0.02;

export interface Difference {
  readonly target: string;
  readonly measure: string;
  /** Row both were divided by, round by round; absent for the figures themselves. */
  readonly reference?: string;
  readonly before: Summary;
  readonly after: Summary;
  /** Median now, of the median then, less one. */
  readonly change: number;
  readonly probability: number;
  /** `undecided`: no difference between so few rounds could be told from noise. */
  readonly verdict: 'better' | 'worse' | 'same' | 'undecided';
}

interface Cell {
  readonly target: string;
  readonly measure: MeasureInfo;
  readonly reference?: string;
}

const valuesIn = (result: BenchResult, { target, measure, reference }: Cell): number[] =>
  (reference === undefined
    ? valuesOf(result, target, measure.name)
    : ratiosOf(result, measure.name, { of: target, to: reference })
  ).filter((value) => !Number.isNaN(value));

function verdictOf(
  { smallerIsBetter }: MeasureInfo,
  { before, after, change, probability }: Omit<Difference, 'verdict'>,
): Difference['verdict'] {
  if (leastProbability(before.count, after.count) > ALPHA) return 'undecided';
  if (Math.abs(change) < LEAST_CHANGE || probability > ALPHA) return 'same';
  return change < 0 === smallerIsBetter ? 'better' : 'worse';
}

function compareCell(
  { target, measure, reference }: Cell,
  before: readonly number[],
  after: readonly number[],
): Difference {
  const earlier = summarise(before);
  const later = summarise(after);
  const difference = {
    target,
    measure: measure.name,
    ...(reference === undefined ? {} : { reference }),
    before: earlier,
    after: later,
    change: later.median / earlier.median - 1,
    probability: rankSumProbability(before, after),
  };
  return { ...difference, verdict: verdictOf(measure, difference) };
}

/**
 * Every cell both runs measured: the ratios the goals speak of first, since they forgive a machine that
 * has become faster or slower as a whole, then the figures.
 */
export function compareResults(before: BenchResult, after: BenchResult): Difference[] {
  const cells: Cell[] = [];
  const measures = new Map(after.measures.map((measure) => [measure.name, measure]));
  for (const { target, measure: name, reference } of GOALS) {
    const measure = measures.get(name);
    if (measure !== undefined && reference !== undefined) cells.push({ target, measure, reference });
  }
  for (const { name: target } of after.targets) {
    for (const measure of after.measures) cells.push({ target, measure });
  }
  return cells.flatMap((cell) => {
    const earlier = valuesIn(before, cell);
    const later = valuesIn(after, cell);
    return earlier.length === 0 || later.length === 0 ? [] : [compareCell(cell, earlier, later)];
  });
}

/** Whether a goal's ratio, or a figure of the stack's own rows where no goal speaks of it, has got worse. */
export function hasGotWorse(differences: readonly Difference[]): boolean {
  const own = new Set(GOALS.map((goal) => goal.target));
  const judged = new Set(
    GOALS.filter((goal) => goal.reference !== undefined).map((goal) => `${goal.target} ${goal.measure}`),
  );
  return differences.some(
    ({ target, measure, reference, verdict }) =>
      verdict === 'worse' &&
      own.has(target) &&
      (reference !== undefined || !judged.has(`${target} ${measure}`)),
  );
}
