/** The network of a virtual machine: a namespace with a TAP plays the machine, with Debian's programs inside. */

import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { Child, installed } from '../support/child.js';
import { freePort } from '../support/interop-programs.js';
import { skip } from '../support/skip.js';

const LIMIT_MS = 40_000;

/** Takes what DHCP tells, as a machine does at its start. */
const SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace $ip/24 dev eth0
ip route replace default via $router
echo "address $ip, name server $dns"
`;

const node = (file: string, ...args: string[]): Child =>
  new Child(process.execPath, ['--import', 'tsx', `examples/${file}`, ...args], { limitMs: LIMIT_MS });

describe('examples/vm-network', function () {
  this.timeout(LIMIT_MS + 10_000);
  this.slow(10_000);
  let folder: string;
  let network: Child | undefined;
  let outside: Server | undefined;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tunstack-vm-'));
  });

  async function needsTap(this: Mocha.Context): Promise<void> {
    for (const program of ['udhcpc', 'curl']) {
      if (!(await installed(program))) skip(this, `no ${program}`);
    }
    try {
      await (await openPrivateTun({ mode: 'tap' })).close();
    } catch (error) {
      skip(this, `no TAP: ${(error as Error).message}`);
    }
  }

  afterEach(async () => {
    outside?.close();
    await network?.kill();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('gives a machine addresses of both families, a web page, and a way out', async function () {
    await needsTap.call(this);
    outside = createServer((_request, response) => response.end('the world outside\n'));
    outside.listen(0, '127.0.0.1');
    await once(outside, 'listening');
    const { port } = outside.address() as AddressInfo;
    const path = join(folder, 'vm.sock');
    const script = join(folder, 'udhcpc.sh');
    writeFileSync(script, SCRIPT, { mode: 0o755 });
    network = node('vm-network/network.ts', path);
    await network.output(/waiting for a machine/);
    const lease = `udhcpc -f -q -n -i eth0 -s ${script} -x hostname:box 2>/dev/null`;
    const inside = [
      lease,
      'curl -sS http://10.0.2.2/',
      `curl -sS http://10.0.2.1:${port}/`,
      // The address it makes itself from the router's advertisement is tentative for a second.
      'for i in $(seq 50); do ip -6 addr show dev eth0 scope global -tentative | grep -q fd00:2: && break; sleep 0.2; done',
      "curl -sS 'http://[fd00:2::2]/'",
    ].join(' && ');
    const machine = node('vm-network/machine.ts', path, 'sh', '-c', inside);
    const { stdout, stderr, status } = await machine.ended;
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    const [address, web, world, six] = stdout.trimEnd().split('\n');
    expect(address).to.equal('address 10.0.2.100, name server 10.0.2.2');
    expect(web).to.equal('hello ::ffff:10.0.2.100');
    expect(world).to.equal('the world outside');
    expect(six).to.match(/^hello fd00:2:/);
    await network.output(/box \([\da-f:]+\) has 10\.0\.2\.100 for 3600 s[\s\S]*the machine is gone/);
    // The next has another card, and an Ethernet for itself.
    const next = await node('vm-network/machine.ts', path, 'sh', '-c', lease).succeeded();
    expect(next.stdout).to.equal('address 10.0.2.100, name server 10.0.2.2\n');
  });

  it('outlives what is no machine, and leaves nothing', async () => {
    const path = join(folder, 'other.sock');
    const port = await freePort();
    network = node('vm-network/network.ts', path, `${port}:7000`);
    await network.output(/waiting for a machine/);
    const plugIn = async (...bytes: number[]): Promise<void> => {
      const socket = connect(path).resume();
      socket.end(Uint8Array.from(bytes));
      await once(socket, 'close');
    };
    // One that goes at once, one that sends no frames, one that breaks off within a frame.
    const visits = [[], [255, 255, 255, 255], [0, 0, 5, 220, 1]];
    for (const [i, bytes] of visits.entries()) {
      await plugIn(...bytes);
      await network.output(new RegExp(`(the machine is gone[^]*){${i + 1}}`));
    }
    const taken = createTcpServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    await plugIn();
    await network.output(/EADDRINUSE/);
    taken.close();
    await network.kill('SIGTERM');
    expect((await network.ended).status).to.equal(0);
    expect(existsSync(path)).to.equal(false);
  });

  it('takes no file away that is not its own', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'precious');
    network = node('vm-network/network.ts', path);
    expect((await network.ended).stderr).to.include('EADDRINUSE');
    expect(readFileSync(path, 'utf8')).to.equal('precious');
  });
});
