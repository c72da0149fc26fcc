import { expect } from 'chai';
import { LIMIT_MS, runDemo } from '../demo/support/demo-run.js';
import { needsTun } from '../support/needs-tun.js';

describe('demo of an ordinary user', function () {
  before(needsTun);

  this.timeout(LIMIT_MS);
  this.slow(20_000);

  it('talks to the kernel in a user namespace of its own, and leaves nothing but a capture', async () => {
    const run = await runDemo({ args: ['--json'] });
    expect(run.stderr).to.equal('');
    expect(run.status).to.equal(0);
    const { mode, bulk } = JSON.parse(run.stdout) as { mode: string; bulk: { in: { intact: boolean } } };
    expect(mode).to.equal('user');
    expect(bulk.in.intact).to.equal(true);
    expect(run.files).to.deep.equal(['demo.pcapng']);
    expect(run.processes).to.deep.equal([]);
  });
});
