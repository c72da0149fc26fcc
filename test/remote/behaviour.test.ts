/** What `net` does over a stack in another thread: the same as `node:net`, scenario by scenario. */
import { expect } from 'chai';
import { Child } from '../support/child.js';

const FILES = ['closing', 'connecting', 'corners', 'data', 'happy-eyeballs', 'listening', 'node-manners'];
/** What comes of these depends on how far another thread has got in a few turns of this one's loop. */
const RACES = 'received text that nobody read makes|arguments that Node has normalized';
const LIMIT_MS = 120_000;

interface Report {
  readonly stats: { readonly passes: number };
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message: string } }[];
}

describe('net over a stack in a thread', function () {
  this.timeout(LIMIT_MS + 5000);
  this.slow(30_000);

  it("does what node:net does, in net's own scenarios", async () => {
    const files = FILES.map((name) => `test/net/${name}.test.ts`);
    const args = ['node_modules/mocha/bin/mocha.js', '--reporter', 'json', '--import=tsx'];
    args.push('--grep', RACES, '--invert', ...files);
    const options = { env: { TEST_STACKS_IN: 'thread' }, limitMs: LIMIT_MS };
    const { stdout } = await new Child(process.execPath, args, options).ended;
    const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Report;
    expect(report.failures.map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`)).to.deep.equal([]);
    expect(report.stats.passes).to.be.greaterThan(100);
  });
});
