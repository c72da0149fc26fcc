/**
 * `npm run bench:gateway`: our gateway next to slirp4netns and pasta, with the same client, server and host, in the
 * same rounds. `docs/performance.md` says what each row and column is.
 *
 * Exit status: 0 all was measured; 1 something failed; 2 the arguments make no sense.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { type Summary, summarise } from '../support/statistics.js';
import { type GatewayMeasure, MEASURES } from './measures.js';
import { forget, obstacleOf, openWorld, ROWS, type Row, type Way, type World } from './places.js';

const DIRECTORY = 'build-bench/gateway';
const LAST_RUN = 'build-bench/gateway.json';

interface Options {
  readonly json?: boolean;
  readonly only?: readonly string[];
  readonly rows?: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
}

/** One row and column, all rounds. */
interface Cell {
  readonly values: number[];
  /** Processor time of the gateway while it was measured, s. */
  readonly cpuSeconds: number[];
  readonly failures: string[];
}

type Cells = Map<string, Map<string, Cell>>;

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('It is no number above 0.');
  return number;
}

const newCells = (rows: readonly Row[], measures: readonly GatewayMeasure[]): Cells =>
  new Map(
    rows.map(({ name }) => [
      name,
      new Map(measures.map((measure) => [measure.name, { values: [], cpuSeconds: [], failures: [] }])),
    ]),
  );

async function measureRow(way: Way, row: Map<string, Cell>, options: Options): Promise<void> {
  for (const measure of MEASURES) {
    const cell = row.get(measure.name);
    if (cell === undefined) continue;
    try {
      await measure.measure(way, measure.warmUpSeconds);
      const before = way.cpuSeconds();
      cell.values.push(await measure.measure(way, options.seconds));
      cell.cpuSeconds.push(way.cpuSeconds() - before);
    } catch (error) {
      cell.failures.push((error as Error).message);
    }
  }
}

/** One round: each row in turn, the first of the last round last. */
async function measureRound(
  world: World,
  rows: readonly Row[],
  cells: Cells,
  options: Options,
): Promise<void> {
  for (const row of rows) {
    process.stderr.write(`${row.name} `);
    const columns = cells.get(row.name) ?? new Map<string, Cell>();
    let way: Way | undefined;
    try {
      way = await row.open(world);
      await measureRow(way, columns, options);
    } catch (error) {
      for (const cell of columns.values()) cell.failures.push((error as Error).message);
    } finally {
      await way?.close();
    }
  }
  process.stderr.write('\n');
}

interface CellResult extends Summary {
  readonly cpuSeconds: number;
  readonly failures: readonly string[];
}

interface GatewayResult {
  readonly machine: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: Record<string, Record<string, CellResult>>;
  readonly missing: Record<string, string>;
}

const summary = ({ values, cpuSeconds, failures }: Cell): CellResult => ({
  ...summarise(values),
  cpuSeconds: summarise(cpuSeconds).median,
  failures,
});

/** A table in Markdown: median, and from least to most. */
function table({ rows, missing }: GatewayResult, measures: readonly GatewayMeasure[]): string {
  const names = Object.keys(rows);
  const lines = [`| | ${names.join(' | ')} |`, `|---|${names.map(() => '---:|').join('')}`];
  for (const { name, title, unit, digits } of measures) {
    const cells = names.map((row) => {
      const { median, min, max, cpuSeconds, count } = rows[row][name];
      if (count === 0) return 'failed';
      const cpu = cpuSeconds > 0 ? `, ${cpuSeconds.toFixed(2)} s` : '';
      return `**${median.toFixed(digits)}** (${min.toFixed(digits)}–${max.toFixed(digits)}${cpu})`;
    });
    lines.push(`| ${title}, ${unit} | ${cells.join(' | ')} |`);
  }
  const notes = Object.entries(missing).map(([row, reason]) => `${row} was not measured: ${reason}`);
  return [...lines, ...notes].join('\n');
}

async function main(options: Options): Promise<number> {
  const measures = MEASURES.filter(({ name }) => options.only?.includes(name) ?? true);
  const wanted = ROWS.filter(({ name }) => options.rows?.includes(name) ?? true);
  if (measures.length === 0 || wanted.length === 0) {
    process.stderr.write('nothing of that name is measured\n');
    return 2;
  }
  const missing: Record<string, string> = {};
  const rows: Row[] = [];
  for (const row of wanted) {
    const obstacle = await obstacleOf(row);
    if (obstacle === undefined) rows.push(row);
    else missing[row.name] = obstacle;
  }
  const cells = newCells(rows, measures);
  const world = await openWorld(DIRECTORY);
  try {
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % rows.length;
      process.stderr.write(`round ${round + 1} of ${options.rounds}: `);
      await measureRound(world, [...rows.slice(turn), ...rows.slice(0, turn)], cells, options);
    }
  } finally {
    await world.close();
    forget(DIRECTORY);
  }
  const result: GatewayResult = {
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
    rounds: options.rounds,
    seconds: options.seconds,
    rows: Object.fromEntries(
      [...cells].map(([row, columns]) => [
        row,
        Object.fromEntries([...columns].map(([column, cell]) => [column, summary(cell)])),
      ]),
    ),
    missing,
  };
  mkdirSync('build-bench', { recursive: true });
  writeFileSync(LAST_RUN, `${JSON.stringify(result, undefined, 2)}\n`);
  const text = `${result.machine}\n\n${table(result, measures)}\n`;
  process.stdout.write(options.json === true ? `${JSON.stringify(result, undefined, 2)}\n` : text);
  const failures = [...cells].flatMap(([row, columns]) =>
    [...columns].flatMap(([column, { failures: all }]) => all.map((one) => `${row}, ${column}: ${one}`)),
  );
  for (const failure of failures) process.stderr.write(`${failure}\n`);
  return failures.length > 0 ? 1 : 0;
}

// What was started ends with us in order.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const names = (text: string): string[] => text.split(',');

await new Command('bench:gateway')
  .description('our gateway next to slirp4netns and pasta; as root')
  .option('--json', 'the figures instead of the table')
  .option('--only <columns>', MEASURES.map(({ name }) => name).join(','), names)
  .option('--rows <rows>', ROWS.map(({ name }) => name).join(','), names)
  .option('--rounds <n>', 'how often', positive, 5)
  .option('--seconds <s>', 'how long', positive, 2)
  .action(async (options: Options) => {
    process.exitCode = await main(options);
  })
  .parseAsync();
