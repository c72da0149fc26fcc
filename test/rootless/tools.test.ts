/** The commands that are for setting up, as an ordinary user. */
import '../cli/build-addon.test.js';
import { expect } from 'chai';
import { cli, LIMIT_MS } from '../cli/support/cli.js';

it('completions of an ordinary user are those of all', async function () {
  this.timeout(LIMIT_MS).slow(5000);
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, stderr, status } = await cli(['completions', shell]);
    expect([stderr, status]).to.deep.equal(['', 0]);
    expect(stdout).to.include('tun2socks');
  }
});
