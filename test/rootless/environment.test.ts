/** The ground the other tests here stand on: an ordinary user who can make namespaces and open a TUN. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { skip } from '../support/skip.js';

describe('an ordinary user', () => {
  it('is not root, and cannot configure the network outside', () => {
    expect(process.getuid?.()).to.not.equal(0);
    expect(() => execFileSync('ip', ['link', 'add', 'type', 'dummy'], { stdio: 'pipe' })).to.throw(
      /not permitted/,
    );
  });

  it('can open the TUN control device', function () {
    try {
      closeSync(openSync('/dev/net/tun', 'r+'));
    } catch (error) {
      skip(this, `no TUN for this user: ${(error as Error).message}`);
    }
  });

  it('can make a network namespace of its own and configure it', () => {
    const links = execFileSync('unshare', ['-Urn', 'sh', '-c', 'ip link set lo up && ip -br link'], {
      encoding: 'utf8',
    });
    expect(links).to.match(/^lo .*UP/m);
  });
});
