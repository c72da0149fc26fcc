/** A short run of `npm run bench:gateway`. */
import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { MEASURES } from '../../bench/gateway/measures.js';
import { ROWS } from '../../bench/gateway/places.js';
import { Child, installed } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { skip } from '../support/skip.js';

interface Figures {
  readonly rows: Record<string, Record<string, { median: number; cpuSeconds: number; failures: string[] }>>;
}

const benchmark = (...args: string[]): Child =>
  new Child(process.execPath, ['--import=tsx', 'bench/gateway/run.ts', ...args], { limitMs: 100_000 });

describe('a run of the benchmark of gateways', function () {
  this.timeout(120_000);
  before(needsTun);
  before(async function (this: Mocha.Context) {
    if (process.getuid?.() !== 0) skip(this, 'only root can enter a namespace from outside');
    if (!(await installed('cc'))) skip(this, 'no C compiler');
    if (!existsSync('dist/cli/commands/gateway.js')) skip(this, 'nothing is built');
  });

  it('measures every column of the floor and of our gateway', async () => {
    const rows = ['direct', 'tunstack'];
    const args = ['--json', '--rows', rows.join(','), '--rounds', '1', '--seconds', '0.2'];
    const { stdout } = await benchmark(...args).succeeded();
    const figures = JSON.parse(stdout) as Figures;
    expect(Object.keys(figures.rows)).to.deep.equal(rows);
    for (const row of rows) {
      for (const { name } of MEASURES) {
        const { median, failures } = figures.rows[row][name];
        expect(failures, `${row} ${name}`).to.deep.equal([]);
        expect(median, `${row} ${name}`).to.be.greaterThan(0);
      }
    }
    expect(figures.rows.tunstack.up1.cpuSeconds).to.be.greaterThan(0);
  });

  it('refuses rows and columns it does not have', async () => {
    const { status } = await benchmark('--only', 'nothing').ended;
    expect(status).to.equal(2);
    expect(ROWS.map(({ name }) => name)).to.deep.equal(['direct', 'tunstack', 'slirp4netns', 'pasta']);
  });
});
