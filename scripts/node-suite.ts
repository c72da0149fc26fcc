/**
 * `npm run test:node-suite`: runs Node's own tests of `net`, of what stands on it and of `dgram`, each in a process of
 * its own, over the loopback of a private stack, by `tunstack/register` or with its `dgram` in the place of Node's, and
 * prints what became of them. What does not pass is run over the host too: a test that fails with Node's own modules
 * on this Node says nothing and is not counted.
 *
 *     npm run test:node-suite -- [--set net dgram tls https http http2] [--filter <regular expression>]
 *                                [--from <sources of Node>] [--release <of Debian>]
 *
 * Without `--set` it is all of them.
 * Without `--from` the sources are Debian's, fetched into a temporary directory: those of the release whose Node is
 * closest to the oldest one supported, version 20.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, Option } from 'commander';
import { KNOWN_DIFFERENCES } from './node-suite/known-differences.js';
import { NOT_APPLICABLE } from './node-suite/not-applicable.js';
import { runTest, type TestRun } from './node-suite/one-test.js';
import { SETS, setOf } from './node-suite/sets.js';
import { fetchSources, sourcesFrom } from './node-suite/sources.js';

interface Options {
  readonly set: readonly string[];
  readonly from?: string;
  readonly release: string;
  readonly filter: string;
  readonly all: boolean;
  readonly verbose: boolean;
  readonly dist: string;
  readonly limit: string;
}

type Verdict = 'passed' | 'failed' | 'differs' | 'not applicable' | 'not counted';

interface Result {
  readonly name: string;
  readonly verdict: Verdict;
  /** Why, where it did not pass. */
  readonly words: string;
  /** How long it took over the stack; 0 where it did not run. */
  readonly ms: number;
}

/** As many at once as leave each its time. */
const CONCURRENCY = 2;
const RESULTS = '.test-results';

const program = new Command('node-suite')
  .option('--from <directory>', "a source tree of Node; Debian's by default")
  .option('--release <name>', 'the release of Debian whose sources are fetched', 'trixie')
  .addOption(new Option('--set <names...>', 'tests of which modules').choices(SETS).default(SETS))
  .option('--filter <pattern>', 'of these, tests whose names match', '')
  .option('--all', 'run also what is listed as not applicable or as a difference', false)
  .option('--verbose', 'print the whole output of what fails', false)
  .option('--dist <directory>', 'the compiled package', 'dist')
  .option('--limit <seconds>', 'how long a test may take', '60')
  .parse();
const options = program.opts<Options>();
const register = pathToFileURL(resolve(options.dist, 'register/register.js')).href;
const replaceDgram = pathToFileURL('scripts/node-suite/replace-dgram.mjs');
replaceDgram.searchParams.set('dist', pathToFileURL(resolve(options.dist, 'index.js')).href);
/** What is loaded before a test to put the stack in Node's place. */
const preloadFor = (file: string): string => (setOf(file) === 'dgram' ? replaceDgram.href : register);

const sources = options.from === undefined ? fetchSources(options.release) : sourcesFrom(options.from);
const scratch = mkdtempSync(join(tmpdir(), 'node-suite-run-'));
let results: Result[] = [];
try {
  results = await runAll(findTests());
} finally {
  rmSync(scratch, { recursive: true, force: true });
  sources.dispose();
}
report(results);

/** Names of tests with their folder: `parallel/test-net-pingpong`. */
function findTests(): string[] {
  const pattern = new RegExp(options.filter);
  const isWanted = (file: string): boolean => options.set.includes(setOf(file) ?? '') && pattern.test(file);
  return ['parallel', 'sequential'].flatMap((folder) =>
    readdirSync(join(sources.directory, folder))
      .filter((file) => /\.m?js$/.test(file) && isWanted(file))
      .sort()
      .map((file) => `${folder}/${file}`),
  );
}

async function runAll(files: readonly string[]): Promise<Result[]> {
  const waiting = [...files];
  const done: Result[] = [];
  const work = async (slot: number): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await judge(file, slot);
      done.push(result);
      const first = result.words.split('\n')[0];
      process.stdout.write(
        `${result.verdict.padEnd(15)} ${result.name}${first === '' ? '' : `: ${first}`}\n`,
      );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, slot) => work(slot)));
  return done.sort((a, b) => a.name.localeCompare(b.name));
}

async function judge(file: string, slot: number): Promise<Result> {
  const name = file.replace(/\.m?js$/, '');
  const listed = listedAs(name.replace(/^\w+\//, ''));
  if (listed !== undefined && !options.all) return { name, ...listed, ms: 0 };
  const ours = await run(file, slot, preloadFor(file));
  const { ms } = ours;
  if (ours.outcome === 'passed') return { name, verdict: 'passed', words: '', ms };
  const host = await run(file, slot, undefined);
  if (host.outcome !== 'passed') {
    const words =
      host.outcome === 'skipped' ? `skips itself: ${host.words}` : `fails over the host: ${gist(host)}`;
    return { name, verdict: 'not counted', words, ms: 0 };
  }
  const words = ours.outcome === 'skipped' ? `skips itself: ${ours.words}` : `${gist(ours)}\n${ours.words}`;
  return { name, verdict: 'failed', words, ms };
}

function listedAs(test: string): Pick<Result, 'verdict' | 'words'> | undefined {
  if (NOT_APPLICABLE[test] !== undefined) return { verdict: 'not applicable', words: NOT_APPLICABLE[test] };
  if (KNOWN_DIFFERENCES[test] !== undefined) return { verdict: 'differs', words: KNOWN_DIFFERENCES[test] };
  return undefined;
}

function run(file: string, slot: number, preloaded: string | undefined): Promise<TestRun> {
  const directory = join(scratch, String(slot));
  mkdirSync(directory, { recursive: true });
  return runTest({
    file: join(sources.directory, file),
    preload: preloaded,
    slot,
    scratch: directory,
    limitMs: Number(options.limit) * 1000,
  });
}

/** The line of an output that says most. */
function gist({ words }: TestRun): string {
  const lines = words.split('\n');
  const telling = lines.find((line) => /Error|Mismatched|assert|not done/.test(line));
  return (telling ?? lines[0]).trim();
}

function report(all: readonly Result[]): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, 'node-suite.json'), `${JSON.stringify(all, undefined, 1)}\n`);
  const failed = all.filter(({ verdict }) => verdict === 'failed');
  for (const { name, words } of failed) {
    const shown = options.verbose ? words : words.split('\n').slice(0, 12).join('\n');
    process.stdout.write(`\n--- ${name}\n${shown}\n`);
  }
  const count = (verdict: Verdict): number => all.filter((result) => result.verdict === verdict).length;
  const rows: [Verdict, string][] = [
    ['passed', 'over the stack'],
    ['failed', 'over the stack, but not over the host'],
    ['differs', 'as listed in scripts/node-suite/known-differences.ts'],
    ['not applicable', 'for the reasons listed in scripts/node-suite/not-applicable.ts'],
    ['not counted', 'as they fail, or skip themselves, over the host too'],
  ];
  const sets = SETS.filter((set) => all.some(({ name }) => setOf(name) === set));
  process.stdout.write(`\nNode ${process.version}, ${all.length} tests of ${sets.join(', ')}\n`);
  for (const [verdict, meaning] of rows) {
    process.stdout.write(`${String(count(verdict)).padStart(5)} ${verdict.padEnd(14)} ${meaning}\n`);
  }
  if (failed.length > 0) process.exitCode = 1;
}
