/** A run of the benchmark as data: what `--json` prints, `--compare` reads and every report is made of. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { MicroResult } from '../micro/harness.js';
import type { Counters } from './process-cost.js';

export const FORMAT = 'tunstack-bench-1';

/** One row of the table. */
export interface TargetInfo {
  readonly name: string;
  readonly title: string;
  /** Why it was not measured. */
  readonly missing?: string;
}

/** One column of the table. */
export interface MeasureInfo {
  readonly name: string;
  readonly title: string;
  /** Head of a narrow column. */
  readonly short: string;
  readonly unit: string;
  readonly digits: number;
  readonly smallerIsBetter: boolean;
}

/** What a measurement cost the server under test. */
export interface Cost extends Counters {
  /** Memory it holds afterwards (its resident set), bytes. */
  readonly residentBytes: number;
}

/** How long single round trips took. */
export interface Latency {
  readonly p10Us: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  /** Samples by time: entry `i` counts those from `i` up to `i + 1` µs; the last holds all longer ones. */
  readonly histogram: readonly number[];
}

export interface Sample {
  readonly target: string;
  readonly measure: string;
  readonly round: number;
  /** In the unit of the measure. Absent where it failed. */
  readonly value?: number;
  readonly cost?: Cost;
  readonly latency?: Latency;
  readonly error?: string;
}

/** Many idle connections, and one that is busy beside them. */
export interface IdleResult {
  readonly target: string;
  readonly connections: number;
  /** Connections that answered one byte after all were open. */
  readonly answered: number;
  readonly openSeconds: number;
  readonly answerSeconds: number;
  /** Heap and what hangs from it, beyond what it was before. Absent where the server cannot tell. */
  readonly heapBytesEach?: number;
  /** Growth of the resident set. */
  readonly residentBytesEach: number;
  /** Processor time in a second without packets, s. */
  readonly idleCpuSeconds: number;
  /** Round trips on one more connection: per second, and processor time of each packet. */
  readonly busyPerSecond: number;
  readonly busyCpuNsPerPacket: number;
}

/** One line of a chart: `y[i]` at `x[i]`. */
export interface CurveLine {
  readonly name: string;
  readonly y: readonly (number | null)[];
}

export interface Curve {
  readonly name: string;
  readonly title: string;
  /** Where the figures come from: real packets through a TUN, or virtual time. */
  readonly source: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly logX: boolean;
  readonly x: readonly number[];
  readonly lines: readonly CurveLine[];
}

export interface BenchResult {
  readonly format: typeof FORMAT;
  /** Date, commit and machine in words. */
  readonly made: string;
  readonly processors: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  /** How long each load ran before it counted, s. */
  readonly warmUpSeconds: number;
  readonly targets: readonly TargetInfo[];
  readonly measures: readonly MeasureInfo[];
  readonly samples: readonly Sample[];
  readonly idle: readonly IdleResult[];
  readonly curves: readonly Curve[];
  readonly micro: readonly MicroResult[];
}

/** The values of one cell, by round; NaN where a round failed. */
export const valuesOf = (result: BenchResult, target: string, measure: string): number[] =>
  samplesOf(result, target, measure).map((sample) => sample.value ?? Number.NaN);

/** The samples of one cell in the order of rounds. */
export const samplesOf = (result: BenchResult, target: string, measure: string): Sample[] =>
  result.samples
    .filter((sample) => sample.target === target && sample.measure === measure)
    .sort((a, b) => a.round - b.round);

/**
 * One row's figure divided by another's, round by round. Both were measured within the same round, so
 * what changed on the machine between rounds does not show. Rounds where either failed are left out.
 */
export function ratiosOf(
  result: BenchResult,
  measure: string,
  rows: { readonly of: string; readonly to: string },
): number[] {
  const byRound = new Map(samplesOf(result, rows.to, measure).map(({ round, value }) => [round, value]));
  return samplesOf(result, rows.of, measure).flatMap(({ round, value }) => {
    const other = byRound.get(round);
    return value === undefined || other === undefined || other === 0 ? [] : [value / other];
  });
}

export const failuresOf = (result: BenchResult): Sample[] =>
  result.samples.filter((sample) => sample.error !== undefined);

/** Text of a result. Each sample stands on its line, so that files can be read and compared. */
export function resultText(result: BenchResult): string {
  const parts = Object.entries(result).map(([key, value]) => {
    const many = Array.isArray(value) && value.some((item) => typeof item === 'object');
    const text = many
      ? `[\n${(value as unknown[]).map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`
      : JSON.stringify(value);
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${parts.join(',\n')}\n}\n`;
}

/** @throws Error when the text is not of a run of this benchmark */
export function parseResult(text: string): BenchResult {
  const result = JSON.parse(text) as Partial<BenchResult>;
  if (result === null || typeof result !== 'object' || result.format !== FORMAT) {
    throw new Error(`not a result of the benchmark: its "format" is not "${FORMAT}"`);
  }
  for (const list of ['targets', 'measures', 'samples', 'idle', 'curves', 'micro'] as const) {
    if (!Array.isArray(result[list])) throw new Error(`not a result of the benchmark: no "${list}"`);
  }
  return result as BenchResult;
}

export const readResult = (path: string): BenchResult => parseResult(readFileSync(path, 'utf8'));

export const writeResult = (path: string, result: BenchResult): void =>
  writeFileSync(path, resultText(result));
