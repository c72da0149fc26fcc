/** A run as one page that needs nothing else: its styles, its plotting library and its data are inside. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type GoalOutcome, judgeAll } from './goals.js';
import { type BenchResult, type CurveLine, type MeasureInfo, samplesOf, valuesOf } from './results.js';
import { median, summarise } from './statistics.js';
import {
  costTable,
  curveTables,
  fixed,
  goalLine,
  idleTable,
  latencyTable,
  microTable,
  ratioTable,
} from './table.js';

interface BarChart {
  readonly kind: 'bars';
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly {
    readonly title: string;
    readonly median: number;
    readonly values: readonly number[];
  }[];
}

interface LineChart {
  readonly kind: 'lines';
  readonly title: string;
  readonly note: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly logX: boolean;
  readonly points: boolean;
  readonly x: readonly number[];
  readonly lines: readonly CurveLine[];
}

/** One chart of the page, as `bench/page/page.js` draws it. */
type Chart = BarChart | LineChart;

const PAGE = 'bench/page';

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** JSON that may stand inside a script element. */
const embedded = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

/** Files of uPlot as its package ships them. */
function plottingLibrary(): { script: string; style: string } {
  const directory = dirname(createRequire(import.meta.url).resolve('uplot'));
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') };
}

function barChart(result: BenchResult, measure: MeasureInfo): BarChart {
  const rows = result.targets.flatMap(({ name, title }) => {
    const values = valuesOf(result, name, measure.name).filter((value) => !Number.isNaN(value));
    return values.length === 0 ? [] : [{ title, median: median(values), values }];
  });
  const better = measure.smallerIsBetter ? ', less is better' : '';
  return { kind: 'bars', title: measure.title, unit: `${measure.unit}${better}`, rows };
}

/** How the round trips of each row are distributed, all rounds together, in shares of all. */
function latencyChart(result: BenchResult): LineChart[] {
  const lines = result.targets.flatMap(({ name, title }) => {
    const sums: number[] = [];
    for (const { latency } of samplesOf(result, name, 'rtt')) {
      latency?.histogram.forEach((count, us) => {
        sums[us] = (sums[us] ?? 0) + count;
      });
    }
    const all = sums.reduce((sum, count) => sum + count, 0);
    return all === 0 ? [] : [{ name: title, y: Array.from(sums, (count) => (100 * (count ?? 0)) / all) }];
  });
  if (lines.length === 0) return [];
  // The last entry of a full histogram stands for all that took longer.
  const x = Array.from({ length: Math.min(100, Math.max(...lines.map(({ y }) => y.length))) }, (_, i) => i);
  return [
    {
      kind: 'lines',
      title: 'One round trip at a time',
      note: 'share of round trips by time; longer ones are not shown',
      xTitle: 'µs',
      yTitle: '% of round trips',
      logX: false,
      points: false,
      x,
      lines: lines.map(({ name, y }) => ({ name, y: x.map((i) => y[i] ?? 0) })),
    },
  ];
}

const curveCharts = (result: BenchResult): LineChart[] =>
  result.curves.map(({ title, source, xTitle, yTitle, logX, x, lines }) => ({
    kind: 'lines',
    title,
    note: source,
    xTitle,
    yTitle,
    logX,
    points: true,
    x,
    lines,
  }));

function figureRows(result: BenchResult): string {
  const heads = result.measures.map(
    ({ short, unit }) => `<th>${escaped(short)}<br><small>${escaped(unit)}</small></th>`,
  );
  const rows = result.targets.map(({ name, title, missing }) => {
    if (missing !== undefined) {
      return `<tr><td>${escaped(title)}</td><td colspan="${heads.length}">${escaped(missing)}</td></tr>`;
    }
    const cells = result.measures.map((measure) => {
      const { median: middle, min, max, count } = summarise(valuesOf(result, name, measure.name));
      const spread =
        count > 1 ? `<small>${fixed(min, measure.digits)}…${fixed(max, measure.digits)}</small>` : '';
      return `<td>${fixed(middle, measure.digits)}${spread}</td>`;
    });
    return `<tr><td>${escaped(title)}</td>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><tr><th></th>${heads.join('')}</tr>${rows.join('\n')}</table></div>`;
}

const goalItem = (result: BenchResult, outcome: GoalOutcome): string =>
  `<li class="${outcome.verdict.split(',')[0]}">${escaped(goalLine(result, outcome))}</li>`;

const preformatted = (title: string, text: string): string =>
  text === '' ? '' : `<h2>${escaped(title)}</h2><div class="scroll"><pre>${escaped(text)}</pre></div>`;

/** Places for charts, numbered from `first` on. */
function figures(charts: readonly Chart[], first: number, kind: string): string {
  const items = charts.map((chart, i) => {
    const note = chart.kind === 'lines' ? ` <span>${escaped(chart.note)}</span>` : '';
    return `<figure><figcaption>${escaped(chart.title)}${note}</figcaption><div data-chart="${first + i}"></div></figure>`;
  });
  return `<div class="charts ${kind}">${items.join('\n')}</div>`;
}

export function htmlPage(result: BenchResult): string {
  const { script, style } = plottingLibrary();
  const bars = result.measures
    .map((measure) => barChart(result, measure))
    .filter(({ rows }) => rows.length > 0);
  const lines = [...latencyChart(result), ...curveCharts(result)];
  const own = (name: string): string => readFileSync(`${PAGE}/${name}`, 'utf8');
  const goals = judgeAll(result).map((outcome) => goalItem(result, outcome));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tunstack benchmark</title>
<meta name="viewport" content="width=device-width">
<style>${style}${own('page.css')}</style>
<h1>tunstack benchmark</h1>
<p>${escaped(result.made)}. ${escaped(result.processors[0] ?? '')}. Medians of ${result.rounds} rounds of ${result.seconds} s
after ${result.warmUpSeconds} s to warm up; below each, the least and the largest. Rounds are interleaved: every row is measured once in
each.</p>
${figureRows(result)}
<h2>Goals</h2>
<ul>${goals.join('\n')}</ul>
<h2>Figures</h2>
<p>Bars are medians, dots are rounds.</p>
${figures(bars, 0, '')}
${lines.length > 0 ? `<h2>Distribution and scaling</h2>${figures(lines, bars.length, 'wide')}` : ''}
${preformatted('How many times as good as each row the first one is', ratioTable(result))}
${preformatted("Processor time and memory of the server's process", costTable(result))}
${preformatted('One round trip at a time, µs', latencyTable(result))}
${preformatted('Idle connections, and one busy beside them', idleTable(result))}
${preformatted('Scaling', curveTables(result))}
${preformatted('Single operations, without any link', microTable(result.micro))}
<footer>Charts: uPlot, MIT licence, included in this page.</footer>
<script type="application/json" id="charts">${embedded([...bars, ...lines])}</script>
<script>${script}</script>
<script>${own('page.js')}</script>
</html>
`;
}
