/** What the stack is meant to reach, each goal as a ratio to a row measured in the same rounds. */
import { type BenchResult, ratiosOf, valuesOf } from './results.js';
import { type Summary, summarise } from './statistics.js';

export interface Goal {
  readonly target: string;
  readonly measure: string;
  /** The row it is compared with; without one the goal is a figure in the measure's unit. */
  readonly reference?: string;
  readonly limit: number;
  /** `least`: the limit or more. `most`: the limit or less. */
  readonly side: 'least' | 'most';
}

const least = (target: string, measure: string, limit: number, reference?: string): Goal => ({
  target,
  measure,
  limit,
  side: 'least',
  ...(reference === undefined ? {} : { reference }),
});

const most = (target: string, measure: string, limit: number, reference?: string): Goal => ({
  ...least(target, measure, limit, reference),
  side: 'most',
});

/** The rows of other stacks: the first row is meant to be ahead of the best of them. */
export const NEIGHBOURS: readonly string[] = ['lwip', 'gvisor', 'gvisor-plain'];

/** Packets first, as in the table. */
export const GOALS: readonly Goal[] = [
  least('raw', 'udp', 0.8, 'swap'),
  least('raw', 'msg', 1.35, 'c'),
  least('raw', 'conn', 1.5, 'c'),
  least('raw', 'in1', 0.95, 'relay'),
  least('raw', 'in8', 1.05, 'relay'),
  least('raw', 'out1', 1.05, 'relay'),
  least('raw', 'out8', 1.05, 'relay'),
  most('raw', 'rtt', 1, 'lwip'),
  most('raw', 'memory', 1.5),
  least('net', 'udp', 2.1, 'node'),
  least('net', 'msg', 1.3, 'node'),
  least('net', 'conn', 1.3, 'node'),
  least('net', 'in1', 0.8, 'relay'),
  least('net', 'in8', 0.9, 'relay'),
  least('net', 'out1', 0.9, 'relay'),
  least('net', 'out8', 0.9, 'relay'),
  most('net', 'memory', 4),
  least('plain', 'in1', 6),
  least('plain', 'out1', 3),
];

/**
 * `close` is met or missed by less than the rounds differ among themselves; `unknown` where one of the two
 * rows was not measured.
 */
export type Verdict = 'met' | 'met, close' | 'missed, close' | 'missed' | 'unknown';

export interface GoalOutcome {
  readonly goal: Goal;
  /** Of the ratios, or of the figures where the goal has no reference. */
  readonly reached: Summary;
  readonly verdict: Verdict;
}

export function judge(result: BenchResult, goal: Goal): GoalOutcome {
  const { target, measure, reference, limit, side } = goal;
  const values =
    reference === undefined
      ? valuesOf(result, target, measure)
      : ratiosOf(result, measure, { of: target, to: reference });
  const reached = summarise(values);
  if (reached.count === 0) return { goal, reached, verdict: 'unknown' };
  const isMet = side === 'least' ? reached.median >= limit : reached.median <= limit;
  const isClose = reached.min < limit && limit < reached.max;
  return { goal, reached, verdict: `${isMet ? 'met' : 'missed'}${isClose ? ', close' : ''}` };
}

/** The outcome of every goal whose row and column were asked for. */
export function judgeAll(result: BenchResult): GoalOutcome[] {
  const hasTarget = (name: string): boolean => result.targets.some((target) => target.name === name);
  const hasMeasure = (name: string): boolean => result.measures.some((measure) => measure.name === name);
  return GOALS.filter(({ target, measure }) => hasTarget(target) && hasMeasure(measure)).map((goal) =>
    judge(result, goal),
  );
}

export const isMissed = ({ verdict }: GoalOutcome): boolean => verdict.startsWith('missed');
