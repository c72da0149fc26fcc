/**
 * `npm run conformance`: which rows of `docs/conformance/` the last test run covered. Reads the lists and
 * the results of that run, never the sources: a row is covered only if a test whose title names it ran
 * and passed, and none that names it failed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { TestResult } from '../test/support/conformance-reporter.js';
import {
  type ConformanceRow,
  parseExceptions,
  parseList,
  rowsNamedBy,
} from '../test/support/conformance-rows.js';

const LISTS = ['tcp', 'ip', 'nat', 'robustness'];
const DIRECTORY = 'docs/conformance';
const RESULTS = '.test-results/results.json';
const MAX_ROWS_PER_TEST = 5;

interface Run {
  /** False when the run was narrowed to some tests. */
  readonly whole: boolean;
  readonly startedAt: number;
  readonly results: readonly TestResult[];
}

interface RowState extends ConformanceRow {
  covered: boolean;
  /** Titles of the tests that name the row, by outcome. */
  passed: string[];
  failed: string[];
  skipped: string[];
  exception?: string;
}

interface Report {
  readonly rows: ReadonlyMap<string, RowState>;
  readonly errors: readonly string[];
}

function readRows(): Map<string, RowState> {
  const rows = new Map<string, RowState>();
  for (const list of LISTS) {
    for (const row of parseList(list, readFileSync(`${DIRECTORY}/${list}.md`, 'utf8'))) {
      if (rows.has(row.id)) throw new Error(`${DIRECTORY}/${list}.md: ${row.id} stands twice`);
      rows.set(row.id, { ...row, covered: false, passed: [], failed: [], skipped: [] });
    }
  }
  const exceptions = `${DIRECTORY}/exceptions.md`;
  if (existsSync(exceptions)) {
    for (const [id, reason] of parseExceptions(readFileSync(exceptions, 'utf8'))) {
      const row = rows.get(id);
      if (row === undefined) throw new Error(`${exceptions}: no row ${id}`);
      row.exception = reason;
    }
  }
  return rows;
}

function judge(run: Run): Report {
  const rows = readRows();
  const errors: string[] = [];
  for (const result of run.results) {
    const name = [...result.suites, result.title].join(' › ');
    for (const suite of result.suites) {
      if (rowsNamedBy(suite).some((id) => rows.has(id))) {
        errors.push(`a suite names rows, which only tests can: ${suite}`);
      }
    }
    const ids = rowsNamedBy(result.title);
    if (ids.length > MAX_ROWS_PER_TEST) errors.push(`names more than ${MAX_ROWS_PER_TEST} rows: ${name}`);
    for (const id of ids) {
      const row = rows.get(id);
      if (row === undefined) errors.push(`no row ${id}, named by: ${name} (${result.file})`);
      else row[result.state].push(name);
    }
  }
  for (const row of rows.values()) row.covered = row.passed.length > 0 && row.failed.length === 0;
  return { rows, errors: [...new Set(errors)] };
}

interface Total {
  readonly list: string;
  readonly section: string;
  covered: number;
  total: number;
}

function totals(rows: Iterable<RowState>): Total[] {
  const bySection = new Map<string, Total>();
  for (const row of rows) {
    const key = `${row.list}\n${row.section}`;
    const total = bySection.get(key) ?? { list: row.list, section: row.section, covered: 0, total: 0 };
    bySection.set(key, total);
    total.total++;
    if (row.covered) total.covered++;
  }
  return [...bySection.values()];
}

const percent = (covered: number, total: number): string =>
  `${Math.floor((100 * covered) / total)} %`.padStart(5);

const SHOWN_COLUMNS = 64;
const short = (section: string): string =>
  section.length > SHOWN_COLUMNS ? `${section.slice(0, SHOWN_COLUMNS - 1)}…` : section;

function printTable(rows: readonly RowState[]): void {
  const sections = totals(rows);
  const width = Math.max(...sections.map((section) => short(section.section).length));
  const line = (name: string, covered: number, total: number): void =>
    console.log(
      `  ${name.padEnd(width)} ${String(covered).padStart(4)} of ${String(total).padStart(4)} ${percent(covered, total)}`,
    );
  for (const list of LISTS) {
    const mine = sections.filter((section) => section.list === list);
    console.log(list);
    for (const section of mine) line(short(section.section), section.covered, section.total);
    const covered = mine.reduce((sum, section) => sum + section.covered, 0);
    const total = mine.reduce((sum, section) => sum + section.total, 0);
    line('all', covered, total);
    console.log();
  }
  line('all lists', rows.filter((row) => row.covered).length, rows.length);
}

function printMissing(rows: readonly RowState[]): void {
  let section = '';
  for (const row of rows) {
    if (row.covered) continue;
    if (section !== `${row.list}: ${row.section}`) {
      section = `${row.list}: ${row.section}`;
      console.log(`\n${section}`);
    }
    const why =
      row.failed.length > 0
        ? ' [failed]'
        : row.skipped.length > 0
          ? ' [skipped]'
          : row.exception
            ? ' [exception]'
            : '';
    console.log(`  ${row.id.padEnd(9)}${why} ${row.behaviour}${row.exception ? ` (${row.exception})` : ''}`);
  }
  console.log();
}

interface Options {
  readonly json?: boolean;
  readonly missing?: boolean;
  readonly list?: string;
}

function main(options: Options): void {
  if (!existsSync(RESULTS)) {
    console.error(`${RESULTS} is missing: run \`npm test\` first.`);
    process.exitCode = 1;
    return;
  }
  const run = JSON.parse(readFileSync(RESULTS, 'utf8')) as Run;
  const { rows, errors } = judge(run);
  const shown = [...rows.values()].filter((row) => options.list === undefined || row.list === options.list);
  if (options.json) {
    console.log(JSON.stringify({ whole: run.whole, errors, sections: totals(shown), rows: shown }, null, 1));
  } else {
    if (options.missing) printMissing(shown);
    printTable(shown);
    const when = new Date(run.startedAt).toISOString().slice(0, 19);
    console.log(`\nFrom the ${run.whole ? 'test run' : 'PARTIAL test run'} of ${when} UTC.`);
  }
  for (const error of errors) console.error(`error: ${error}`);
  if (errors.length > 0) process.exitCode = 1;
}

new Command('npm run conformance --')
  .option('--json', 'every row with the tests that name it')
  .option('--missing', 'list the rows that are not covered')
  .option('--list <name>', `only one of ${LISTS.join(', ')}`)
  .action(main)
  .parse();
