/** An ordinary user's Ethernet: a TAP in a namespace of his, whose kernel gets its address from us by DHCP. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DhcpServer } from '../../lib/dhcp/server.js';
import { installed } from '../support/child.js';
import { skip } from '../support/skip.js';
import { TapBed } from '../support/tap.js';

describe('an Ethernet without root', function () {
  this.timeout(30_000);
  let bed: TapBed;
  let folder: string;

  before(async function () {
    if (!(await installed('udhcpc'))) skip(this, 'no udhcpc');
    bed = await TapBed.open(this, { addresses: ['10.9.0.1/24'], ethernet: { detection: { ipv6Probes: 0 } } });
    folder = mkdtempSync(join(tmpdir(), 'tunstack-tap-'));
  });

  after(async () => {
    await bed?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('lends an address to whoever is on it, and is reached then', async () => {
    const { link, clock } = bed;
    const server = new DhcpServer({
      link,
      clock,
      address: '10.9.0.1/24',
      pool: ['10.9.0.50', '10.9.0.50'],
      probeMs: 100,
    });
    const script = join(folder, 'script');
    writeFileSync(script, '#!/bin/sh\n[ "$1" != bound ] || ip addr replace $ip/24 dev tap0\n', {
      mode: 0o755,
    });
    await bed.namespace.exec('udhcpc', ['-f', '-q', '-n', '-i', 'tap0', '-s', script]);
    expect(server.leases()).to.have.length(1);
    const { stdout } = await bed.namespace.exec('ping', ['-nc', '2', '-i', '0.2', '10.9.0.1']);
    expect(stdout).to.match(/2 received/);
    server.close();
  });
});
