/** The figures of a run as one table. */
import type { Measure } from './measures.js';
import type { Target } from './target.js';

/** Figures of each measure by target, one per round. */
export type Figures = ReadonlyMap<Measure, ReadonlyMap<Target, readonly number[]>>;

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A table with the medians, and behind each reference's figure the ratio of the first target's to it. */
export function formatTable(figures: Figures, targets: readonly Target[]): string {
  const rows = [['', '', ...targets.map((target) => target.title)]];
  for (const [measure, byTarget] of figures) {
    const subject = median(byTarget.get(targets[0]) ?? []);
    const cells = targets.map((target, column) => {
      const value = median(byTarget.get(target) ?? []);
      if (Number.isNaN(value)) return '–';
      const text = value.toFixed(measure.digits);
      return column === 0 || Number.isNaN(subject) ? text : `${text} (${(subject / value).toFixed(2)}×)`;
    });
    rows.push([measure.title, measure.unit, ...cells]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  '),
    )
    .join('\n');
}
