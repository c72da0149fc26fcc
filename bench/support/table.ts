/** The figures of a run as text, for a terminal. */
import type { MicroResult } from '../micro/harness.js';
import { ALPHA, type Difference, LEAST_CHANGE } from './compare.js';
import { type GoalOutcome, judgeAll, NEIGHBOURS } from './goals.js';
import {
  type BenchResult,
  failuresOf,
  type IdleResult,
  type MeasureInfo,
  ratiosOf,
  samplesOf,
  type TargetInfo,
  valuesOf,
} from './results.js';
import { median, summarise } from './statistics.js';

const NOTHING = '–';

/** Lines of cells, the first column flush left and the others flush right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const fixed = (value: number, digits: number): string =>
  Number.isNaN(value) ? NOTHING : value.toFixed(digits);

const measured = (result: BenchResult): TargetInfo[] =>
  result.targets.filter((target) => target.missing === undefined);

const heads = (result: BenchResult): string[][] => [
  ['', ...result.measures.map((measure) => measure.short)],
  ['', ...result.measures.map((measure) => measure.unit)],
];

/** Medians, and under each the least and the largest of its rounds. */
export function figureTable(result: BenchResult): string {
  const rows = heads(result);
  for (const target of measured(result)) {
    const cells = result.measures.map((measure) => ({
      digits: measure.digits,
      ...summarise(valuesOf(result, target.name, measure.name)),
    }));
    rows.push([target.title, ...cells.map((cell) => fixed(cell.median, cell.digits))]);
    if (cells.every(({ count }) => count < 2)) continue;
    rows.push([
      '',
      ...cells.map(({ min, max, digits, count }) =>
        count < 2 ? '' : `${fixed(min, digits)}…${fixed(max, digits)}`,
      ),
    ]);
  }
  return columns(rows);
}

/** How many times as good the first row is as each other one; above 1 it is ahead. */
export function ratioTable(result: BenchResult): string {
  const [subject, ...others] = measured(result);
  if (subject === undefined || others.length === 0) return '';
  const rows = heads(result).slice(0, 1);
  const ahead = (measure: MeasureInfo, to: TargetInfo): number => {
    const ratio = median(ratiosOf(result, measure.name, { of: subject.name, to: to.name }));
    return measure.smallerIsBetter ? 1 / ratio : ratio;
  };
  for (const other of others) {
    rows.push([other.title, ...result.measures.map((measure) => fixed(ahead(measure, other), 2))]);
  }
  const neighbours = others.filter(({ name }) => NEIGHBOURS.includes(name));
  if (neighbours.length > 0) {
    const best = (measure: MeasureInfo): number =>
      summarise(neighbours.map((neighbour) => ahead(measure, neighbour))).min;
    rows.push(['the best neighbour', ...result.measures.map((measure) => fixed(best(measure), 2))]);
  }
  return columns(rows);
}

const titleOf = (list: readonly { readonly name: string; readonly title: string }[], name: string): string =>
  list.find((item) => item.name === name)?.title ?? name;

/** `raw in1: 0.97 × relay (0.95…1.02), goal ≥ 0.95: met`. */
export function goalLine(result: BenchResult, { goal, reached, verdict }: GoalOutcome): string {
  const measure = result.measures.find(({ name }) => name === goal.measure);
  const digits = goal.reference === undefined ? (measure?.digits ?? 2) : 2;
  const of = goal.reference === undefined ? ` ${measure?.unit ?? ''}` : ` × ${goal.reference}`;
  const limit = `goal ${goal.side === 'least' ? '≥' : '≤'} ${goal.limit}`;
  const head = `${goal.target} ${measure?.title ?? goal.measure}:`;
  if (verdict === 'unknown') return `${head} not measured${goal.reference === undefined ? '' : of}, ${limit}`;
  const spread = reached.count > 1 ? ` (${fixed(reached.min, digits)}…${fixed(reached.max, digits)})` : '';
  return `${head} ${fixed(reached.median, digits)}${of}${spread}, ${limit}: ${verdict}`;
}

/** What the server's process spent: s per gigabyte for bulk, else µs per packet; and its memory. */
export function costTable(result: BenchResult): string {
  const rows = [['', ...result.measures.map((measure) => measure.short), 'memory'], ['']];
  rows[1].push(...result.measures.map((measure) => costUnit(measure)), 'MiB');
  for (const target of measured(result)) {
    const cells = result.measures.map((measure) => fixed(costOf(result, target.name, measure), 2));
    const resident = result.samples
      .filter((sample) => sample.target === target.name)
      .map((sample) => (sample.cost?.residentBytes ?? Number.NaN) / 2 ** 20);
    if (cells.every((cell) => cell === NOTHING)) continue;
    rows.push([target.title, ...cells, fixed(summarise(resident).max, 0)]);
  }
  return rows.length === 2 ? '' : columns(rows);
}

const isBulk = (measure: MeasureInfo): boolean => measure.unit === 'Gbit/s';
const costUnit = (measure: MeasureInfo): string =>
  isBulk(measure) ? 's/GB' : measure.unit === 'KiB' ? '' : 'µs/packet';

/** Median over rounds: processor seconds per 10^9 bytes, or µs per packet. */
export function costOf(result: BenchResult, target: string, measure: MeasureInfo): number {
  if (costUnit(measure) === '') return Number.NaN;
  const costs = samplesOf(result, target, measure.name).flatMap(({ cost }) =>
    cost === undefined || cost.packets === 0 ? [] : [cost],
  );
  return median(
    costs.map(({ cpuSeconds, bytes, packets }) =>
      isBulk(measure) ? (cpuSeconds * 1e9) / bytes : (cpuSeconds * 1e6) / packets,
    ),
  );
}

/** How round trips are distributed; each percentile the median of the rounds'. */
export function latencyTable(result: BenchResult): string {
  const rows = [['', 'p10', 'p50', 'p90', 'p99']];
  for (const target of measured(result)) {
    const latencies = result.samples
      .filter((sample) => sample.target === target.name)
      .flatMap((sample) => (sample.latency === undefined ? [] : [sample.latency]));
    if (latencies.length === 0) continue;
    const at = (which: 'p10Us' | 'p50Us' | 'p90Us' | 'p99Us'): string =>
      fixed(median(latencies.map((latency) => latency[which])), 1);
    rows.push([target.title, at('p10Us'), at('p50Us'), at('p90Us'), at('p99Us')]);
  }
  return rows.length === 1 ? '' : columns(rows);
}

export function idleTable(result: BenchResult): string {
  if (result.idle.length === 0) return '';
  const rows = [['', 'idle', 'answered', 'heap B', 'RSS B', 'CPU idle', 'busy k/s', 'ns/packet']];
  for (const one of result.idle) rows.push(idleRow(result, one));
  return columns(rows);
}

const idleRow = (result: BenchResult, one: IdleResult): string[] => [
  titleOf(result.targets, one.target),
  String(one.connections),
  one.answered === one.connections ? 'each' : String(one.answered),
  fixed(one.heapBytesEach ?? Number.NaN, 0),
  fixed(one.residentBytesEach, 0),
  `${(one.idleCpuSeconds * 100).toFixed(1)} %`,
  fixed(one.busyPerSecond / 1000, 1),
  fixed(one.busyCpuNsPerPacket, 0),
];

/** Every curve as a table of its points. */
export function curveTables(result: BenchResult): string {
  return result.curves
    .map((curve) => {
      const head = `${curve.title}, ${curve.yTitle} (${curve.source})`;
      const rows = [[curve.xTitle, ...curve.x.map(String)]];
      for (const line of curve.lines) {
        rows.push([
          line.name,
          ...line.y.map((y) => (y === null ? NOTHING : Number(y.toPrecision(3)).toString())),
        ]);
      }
      return `${head}\n${columns(rows)}`;
    })
    .join('\n\n');
}

/** Time of one operation, what it leaves to be collected, and how fast it works through bytes. */
export function microTable(micro: readonly MicroResult[]): string {
  if (micro.length === 0) return '';
  const rows = micro.map(({ name, nsPerOperation, bytesPerOperation, gigabytesPerSecond }) => [
    name,
    fixed(nsPerOperation, nsPerOperation < 100 ? 1 : 0),
    fixed(bytesPerOperation, bytesPerOperation < 10 ? 1 : 0),
    fixed(gigabytesPerSecond ?? Number.NaN, 1),
  ]);
  return columns([['', 'ns', 'B garbage', 'GB/s'], ...rows]);
}

const section = (title: string, body: string): string[] => (body === '' ? [] : [`\n${title}\n\n${body}`]);

/** The whole run. */
export function report(result: BenchResult): string {
  const goals = judgeAll(result).map((outcome) => goalLine(result, outcome));
  const missing = result.targets.filter((target) => target.missing !== undefined);
  const subject = measured(result)[0]?.title ?? '';
  return [
    figureTable(result),
    ...section(
      `How many times as good as each row ${subject} are (median over rounds; above 1 is ahead)`,
      ratioTable(result),
    ),
    ...section('Goals, as the median of the ratios of each round', goals.join('\n')),
    ...section("The server's process: processor time, and its memory at the most", costTable(result)),
    ...section('One round trip at a time, µs', latencyTable(result)),
    ...section('Idle connections, and one busy beside them', idleTable(result)),
    ...section('Scaling', curveTables(result)),
    ...section('Single operations, without any link', microTable(result.micro)),
    ...section('Not measured', missing.map(({ title, missing: why }) => `${title}: ${why}`).join('\n')),
    ...section(
      'Failed',
      failuresOf(result)
        .map(({ target, measure, round, error }) => `${target} ${measure}, round ${round + 1}: ${error}`)
        .join('\n'),
    ),
    `\nMedians of ${result.rounds} rounds of ${result.seconds} s after ${result.warmUpSeconds} s to warm up, and least…most. ${result.made}.`,
  ].join('\n');
}

/** The differences worth a look, or that there are none. */
export function comparisonText(differences: readonly Difference[]): string {
  const changed = differences.filter(({ verdict }) => verdict === 'better' || verdict === 'worse');
  const undecided = differences.filter(({ verdict }) => verdict === 'undecided').length;
  const rows = changed.map((one) => [
    `${one.target} ${one.measure}${one.reference === undefined ? '' : ` × ${one.reference}`}`,
    `${Number(one.before.median.toPrecision(3))}`,
    `${Number(one.after.median.toPrecision(3))}`,
    `${one.change > 0 ? '+' : ''}${(one.change * 100).toFixed(1)} %`,
    `p ${one.probability.toFixed(4)}`,
    one.verdict,
  ]);
  const test = `rank-sum test, p ≤ ${ALPHA}, and at least ${LEAST_CHANGE * 100} %`;
  const lines = [
    rows.length === 0
      ? `No difference outside the noise (${test}).`
      : `Outside the noise (${test}):\n\n${columns([['', 'before', 'now', 'change', '', ''], ...rows])}`,
  ];
  if (undecided > 0) {
    lines.push(`${undecided} cells have too few rounds on one side to tell: 5 on both sides are enough.`);
  }
  return lines.join('\n');
}
