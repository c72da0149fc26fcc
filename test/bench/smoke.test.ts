import { expect } from 'chai';
import { idleCounts } from '../../bench/support/curves.js';
import { measureIdle, sharesOf } from '../../bench/support/hold.js';
import { MEASURES } from '../../bench/support/measures.js';
import { pick } from '../../bench/support/pick.js';
import { valuesOf } from '../../bench/support/results.js';
import { emptyResult, inspectTargets, measureAll, type Plan, stepsOf } from '../../bench/support/session.js';
import { report } from '../../bench/support/table.js';
import { TARGETS } from '../../bench/support/targets.js';
import { Child, installed } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { skip } from '../support/skip.js';

const benchmark = (...args: string[]): Child =>
  new Child(process.execPath, ['--import=tsx', 'bench/run.ts', ...args], { limitMs: 30_000 });

describe('a run of the benchmark', () => {
  before(needsTun);
  before(async function (this: Mocha.Context) {
    if (process.getuid?.() !== 0) skip(this, 'only root can enter a namespace from outside');
    if (!(await installed('cc'))) skip(this, 'no C compiler');
  });

  it('measures each row in each round, and what it cost', async function (this: Mocha.Context) {
    this.timeout(60_000);
    const plan: Plan = {
      targets: pick(TARGETS, ['raw', 'swap']),
      measures: pick(MEASURES, ['udp', 'in1']),
      rounds: 2,
      seconds: 0.1,
      warmUpSeconds: 0,
    };
    let steps = 0;
    const samples = await measureAll(plan, {
      begin: () => {},
      done: (count) => {
        steps += count;
      },
    });
    // The swap answers datagrams alone.
    expect(steps).to.equal(6).and.to.equal(stepsOf(plan));
    expect(samples.filter(({ error }) => error !== undefined)).to.deep.equal([]);
    const result = { ...emptyResult(plan, await inspectTargets(plan.targets)), samples };
    for (const [target, measure] of [
      ['raw', 'udp'],
      ['raw', 'in1'],
      ['swap', 'udp'],
    ]) {
      const values = valuesOf(result, target, measure);
      expect(values).to.have.length(2);
      expect(Math.min(...values), `${target} ${measure}`).to.be.greaterThan(0);
    }
    for (const { cost } of samples) {
      expect(cost?.cpuSeconds).to.be.greaterThan(0);
      expect(cost?.packets).to.be.greaterThan(0);
      expect(cost?.residentBytes).to.be.greaterThan(0);
    }
    expect(report(result)).to.match(/raw UDP 64 B echo, 64 in flight: \d+\.\d\d × swap/);
  });

  it('holds idle connections that answer, beside a busy one', async function (this: Mocha.Context) {
    this.timeout(60_000);
    const [raw] = pick(TARGETS, ['raw']);
    const running = await raw.start();
    try {
      const idle = await measureIdle(running, 'raw', { count: 50, seconds: 0.1, warmUpSeconds: 0 });
      expect(idle.answered).to.equal(50);
      expect(idle.heapBytesEach).to.be.greaterThan(0);
      expect(idle.busyPerSecond).to.be.greaterThan(0);
      // Its addresses come and go with its namespace.
      expect(await running.addClientAddresses(2)).to.deep.equal(['10.83.0.100', '10.83.0.101']);
    } finally {
      await running.close();
    }
  });

  it('refuses arguments that make no sense with status 2', async function (this: Mocha.Context) {
    this.timeout(60_000);
    const outcomes = await Promise.all([
      benchmark('--only', 'nothing').ended,
      benchmark('--rounds', '0').ended,
      benchmark('--compare', 'package.json').ended,
      benchmark('--fast').ended,
    ]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal([2, 2, 2, 2]);
    expect(outcomes[0].stderr).to.match(/no "nothing"; there are udp, msg/);
  });
});

describe('connections held by several processes', () => {
  it('are shared evenly, each process below its limit of descriptors', () => {
    expect(sharesOf(1)).to.deep.equal([1]);
    expect(sharesOf(16_000)).to.deep.equal([16_000]);
    const shares = sharesOf(100_000);
    expect(shares.reduce((sum, share) => sum + share, 0)).to.equal(100_000);
    expect(Math.max(...shares) - Math.min(...shares)).to.be.at.most(1);
    expect(Math.max(...shares)).to.be.at.most(16_000);
  });

  it('grow tenfold up to the most', () => {
    expect(idleCounts(100_000)).to.deep.equal([1, 1000, 10_000, 100_000]);
    expect(idleCounts(500)).to.deep.equal([1, 500]);
  });
});
