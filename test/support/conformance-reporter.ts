/**
 * The spec reporter, which also writes what happened to a file: one entry per test with its titles,
 * state, source file, duration and, if skipped, the reason. `npm run conformance` reads the result and
 * nothing else, so a row of `docs/conformance/` is covered only by a test that ran and passed.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import Mocha from 'mocha';
import { skipReason } from './skip.js';

export interface TestResult {
  /** Titles of the suites around the test, outermost first. */
  readonly suites: string[];
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Relative to the project. */
  readonly file: string;
  readonly durationMs: number;
  /** Message of the failure, or the reason of the skip. */
  readonly reason?: string;
}

/** Where to write; without it nothing is written, so that runs of single files leave the last results. */
const RESULTS_VARIABLE = 'TEST_RESULTS';

export class ConformanceReporter extends Mocha.reporters.Spec {
  readonly #results: TestResult[] = [];

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Mocha.Runner.constants;
    runner.on(EVENT_TEST_PASS, (test) => this.#add(test, 'passed'));
    // A failing hook arrives here too, in the place of the tests it kept from running.
    runner.on(EVENT_TEST_FAIL, (test, error: unknown) => this.#add(test, 'failed', messageOf(error)));
    runner.on(EVENT_TEST_PENDING, (test) => this.#add(test, 'skipped', skipReason(test)));
    const path = process.env[RESULTS_VARIABLE];
    if (path !== undefined) runner.once(EVENT_RUN_END, () => writeResults(path, this.#results));
  }

  #add(test: Mocha.Test, state: TestResult['state'], reason?: string): void {
    this.#results.push({
      suites: test.parent === undefined ? [] : test.parent.titlePath(),
      title: test.title,
      state,
      file: test.file === undefined ? '' : relative(process.cwd(), test.file),
      durationMs: test.duration ?? 0,
      ...(reason === undefined ? {} : { reason }),
    });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Replaces the file in one step, so that a run that is killed leaves no half of it. */
function writeResults(path: string, results: readonly TestResult[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, JSON.stringify(results, null, 1));
  renameSync(`${path}.part`, path);
}

// Mocha loads a reporter with `require`, which gives an ES module's exports the name it asks for here.
export { ConformanceReporter as 'module.exports' };
