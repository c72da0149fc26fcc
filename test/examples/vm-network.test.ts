/** The network of a virtual machine: a namespace with a TAP plays the machine, with Debian's programs inside. */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { Child, installed } from '../support/child.js';
import { skip } from '../support/skip.js';

const LIMIT_MS = 40_000;

/** Takes what DHCP tells, as a machine does at its start. */
const SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace $ip/24 dev eth0
ip route replace default via $router
echo "address $ip, name server $dns"
`;

describe('examples/vm-network', function () {
  this.timeout(LIMIT_MS + 10_000);
  this.slow(10_000);
  let folder: string;
  let network: Child | undefined;
  let outside: Server | undefined;

  before(async function () {
    for (const program of ['udhcpc', 'curl']) {
      if (!(await installed(program))) skip(this, `no ${program}`);
    }
    try {
      await (await openPrivateTun({ mode: 'tap' })).close();
    } catch (error) {
      skip(this, `no TAP: ${(error as Error).message}`);
    }
    folder = mkdtempSync(join(tmpdir(), 'tunstack-vm-'));
  });

  after(async () => {
    outside?.close();
    await network?.kill();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('gives a machine addresses of both families, a web page, and a way out', async () => {
    outside = createServer((_request, response) => response.end('the world outside\n'));
    outside.listen(0, '127.0.0.1');
    await once(outside, 'listening');
    const { port } = outside.address() as AddressInfo;
    const path = join(folder, 'vm.sock');
    const script = join(folder, 'udhcpc.sh');
    writeFileSync(script, SCRIPT, { mode: 0o755 });
    const node = (file: string, ...args: string[]): Child =>
      new Child(process.execPath, ['--import', 'tsx', `examples/vm-network/${file}`, ...args], {
        limitMs: LIMIT_MS,
      });
    network = node('network.ts', path);
    await network.output(/waiting for a machine/);
    const inside = [
      `udhcpc -f -q -n -i eth0 -s ${script} -x hostname:box 2>/dev/null`,
      'curl -sS http://10.0.2.2/',
      `curl -sS http://10.0.2.1:${port}/`,
      // The address it makes itself from the router's advertisement is tentative for a second.
      'for i in $(seq 50); do ip -6 addr show dev eth0 scope global -tentative | grep -q fd00:2: && break; sleep 0.2; done',
      "curl -sS 'http://[fd00:2::2]/'",
    ].join(' && ');
    const machine = node('machine.ts', path, 'sh', '-c', inside);
    const { stdout, stderr, status } = await machine.ended;
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    const [address, web, world, six] = stdout.trimEnd().split('\n');
    expect(address).to.equal('address 10.0.2.100, name server 10.0.2.2');
    expect(web).to.equal('hello ::ffff:10.0.2.100');
    expect(world).to.equal('the world outside');
    expect(six).to.match(/^hello fd00:2:/);
    await network.output(/box \([\da-f:]+\) has 10\.0\.2\.100 for 3600 s[\s\S]*the machine is gone/);
  });
});
