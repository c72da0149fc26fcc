/**
 * What every scenario owes when its test ends, done without the test asking for it: the hosts it opened are
 * finished, which checks that nothing is left of them. A fault found then fails the test itself.
 */

export interface Finishable {
  /** Ends everything. @throws AssertionError when something is left over or was wrong */
  finish(): void;
}

/** Opened by the test that runs, and not yet finished. */
let open: Finishable[] = [];

/** To be finished when the test ends. */
export function finishLater(host: Finishable): void {
  open.push(host);
}

/** Finishes all now: a sweep does so after each of its runs. */
export function finishAll(): void {
  const hosts = open;
  open = [];
  for (const host of hosts) host.finish();
}

/** Forgets all: their test has failed, and what they would say is noise. */
export function forgetAll(): void {
  open = [];
}

type TestFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Appends `finishAll` to a test, which may be asynchronous; one that takes a callback is left alone. */
function withFinish(original: TestFunction): TestFunction {
  return function finishing(this: unknown, ...args: unknown[]): unknown {
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.then(finishAll);
    finishAll();
    return result;
  };
}

// Root hooks: they reach every test of the run, and cost those without a host nothing.
if (typeof globalThis.beforeEach === 'function') {
  beforeEach(function () {
    const test = this.currentTest as { fn?: TestFunction } | undefined;
    if (test?.fn !== undefined && test.fn.length === 0) test.fn = withFinish(test.fn);
  });
  afterEach(() => forgetAll());
}
