/** The man page: made from the descriptions of the commands, and right by those who read man pages. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { COMMAND_NAMES } from '../../lib/cli/registry.js';
import { MAN_PAGE, manPage } from '../../scripts/man-page.js';
import { installed, run } from '../support/child.js';
import { skip } from '../support/skip.js';

describe('man page', function () {
  this.timeout(30_000);
  this.slow(5000);

  it('is as the descriptions make it (npm run docs:man)', async () => {
    expect(readFileSync(MAN_PAGE, 'utf8')).to.equal(await manPage());
  });

  it('has every command', () => {
    const page = readFileSync(MAN_PAGE, 'utf8');
    for (const name of COMMAND_NAMES) {
      expect(page).to.include(`.SS tunstack ${name.replaceAll('-', '\\-')}\n`);
    }
  });

  it('is right by mandoc', async function () {
    if (!(await installed('mandoc'))) skip(this, 'mandoc is not installed');
    const { stdout, stderr } = await run('mandoc', ['-T', 'lint', '-W', 'style', MAN_PAGE]);
    expect([stdout, stderr]).to.deep.equal(['', '']);
  });

  it('is right by groff', async function () {
    if (!(await installed('groff'))) skip(this, 'groff is not installed');
    const { stderr } = await run('groff', ['-man', '-ww', '-Tutf8', '-z', MAN_PAGE]);
    expect(stderr).to.equal('');
  });
});
