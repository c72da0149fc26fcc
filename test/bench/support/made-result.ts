/** Results of runs that never were, for tests of what is made of them. */
import { MEASURES } from '../../../bench/support/measures.js';
import type { BenchResult, MeasureInfo, Sample, TargetInfo } from '../../../bench/support/results.js';
import { FORMAT } from '../../../bench/support/results.js';
import { infoOf } from '../../../bench/support/session.js';

/** Values of each cell by round: `{ raw: { udp: [1, 2, 3] } }`. */
export type Cells = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;

const measureInfo = (name: string): MeasureInfo => {
  const measure = MEASURES.find((one) => one.name === name);
  if (measure === undefined) throw new Error(`no measure ${name}`);
  return infoOf(measure);
};

export function madeResult(cells: Cells, more: Partial<BenchResult> = {}): BenchResult {
  const samples: Sample[] = [];
  const measures = new Set<string>();
  const targets: TargetInfo[] = [];
  for (const [target, byMeasure] of Object.entries(cells)) {
    targets.push({ name: target, title: target });
    for (const [measure, values] of Object.entries(byMeasure)) {
      measures.add(measure);
      values.forEach((value, round) => {
        samples.push({ target, measure, round, value });
      });
    }
  }
  return {
    format: FORMAT,
    made: 'today, on this machine',
    processors: ['a processor'],
    rounds: Math.max(0, ...samples.map(({ round }) => round + 1)),
    seconds: 1,
    warmUpSeconds: 0.5,
    targets,
    measures: [...measures].map(measureInfo),
    samples,
    idle: [],
    curves: [],
    micro: [],
    ...more,
  };
}
