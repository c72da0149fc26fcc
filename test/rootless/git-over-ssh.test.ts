/** Git over SSH as an ordinary user: behind a gateway, and through a tunnel. */
import { expect } from 'chai';
import { ProgramBed } from '../gateway/support/programs.js';
import { Bed, needs, SERVER } from '../socks/support/bed.js';
import { BIG_BYTES, cloneOverSsh, serveGitOverSsh } from '../support/git-over-ssh.js';
import { needsTun } from '../support/needs-tun.js';
import { skipOn } from '../support/skip.js';

const GATEWAY = '10.0.2.2';

describe('Git over SSH of an ordinary user', function () {
  this.timeout(180_000);
  this.slow(20_000);

  before(needsTun);
  before(async function () {
    await needs(this, 'git', 'ssh', '/usr/sbin/sshd', 'microsocks', 'dnsmasq', 'python3');
  });

  it('clones behind a gateway', async function () {
    const bed = await skipOn(this, () => ProgramBed.open());
    try {
      await serveGitOverSsh(bed.host, bed.directory, '127.0.0.1');
      const { stdout } = await bed.shell(cloneOverSsh(bed.directory, GATEWAY));
      expect(stdout.trim()).to.equal(String(BIG_BYTES));
    } finally {
      await bed.close();
    }
  });

  it('clones through a SOCKS proxy', async function () {
    const bed = await skipOn(this, () => Bed.open());
    try {
      await serveGitOverSsh(bed.world, bed.directory, SERVER[4]);
      const stdout = await bed.shell('microsocks', `set -e; ${cloneOverSsh(bed.directory, SERVER[4])}`);
      expect(stdout.trim()).to.equal(String(BIG_BYTES));
    } finally {
      await bed.close();
    }
  });
});
