/**
 * A real virtual machine on the network that `examples/vm-network` makes: QEMU, a kernel and busybox. Neither side
 * needs a right, so it runs as an ordinary user.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createWebServer, type Server as WebServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import {
  DhcpServer,
  EthernetLink,
  Stack,
  SystemClock,
  SystemRandom,
  udpSocketLink,
} from '../../lib/index.js';
import { Child } from '../support/child.js';
import { freePort } from '../support/interop-programs.js';
import { skipOn } from '../support/skip.js';
import { VirtualMachine } from '../support/virtual-machine.js';

const LIMIT_MS = 240_000;
const MAC = '52:54:00:12:34:56';
const OWN_IPV6 = 'fd00:2::5054:ff:fe12:3456';
const CONTENT = randomBytes(5_000_000);

const LEASE = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
[ -z "$router" ] || ip route add default via $router
echo "$ip/$mask router $router dns $dns domain $domain for $lease"
`;

/** What the machine does once its cards are up. */
const script = (web: number, digest: number): string => `
say leased $(udhcpc -f -q -n -i eth0 -s /lease.sh -x hostname:box 2>/dev/null)
say pinged $(ping -c 3 -i 0.2 10.0.2.2 | grep -c seq=)
say welcomed $(wget -q -O - http://10.0.2.2/)
say fetched $(wget -q -O - http://10.0.2.1:${web}/ | sha256sum)

for i in $(seq 50); do
  own=$(ip -6 address show dev eth0 scope global | grep -v tentative | grep -o 'fd00:2:[^/]*') && break
  sleep 0.1
done
say configured $own
say routed $(ip -6 route show default | grep -o 'via fe80:')
say pinged6 $(ping -6 -c 3 -i 0.2 fd00:2::2 | grep -c seq=)
say welcomed6 $(wget -q -O - 'http://[fd00:2::2]/')

wget -q -O /content http://10.0.2.1:${web}/
say sent $(nc 10.0.2.1 ${digest} < /content)

nc -l -p 7000 -e sha256sum &
until grep -q :1B58 /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done
say listening
wait

say leased2 $(udhcpc -f -q -n -i eth1 -s /lease.sh 2>/dev/null)
say fetched2 $(wget -q -O - http://10.0.3.2/ | sha256sum)
say ended
`;

/** An Ethernet over UDP, with a stack in this process. */
class SecondNetwork {
  readonly #stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });

  /** @returns what QEMU is to be told */
  async open(): Promise<string> {
    const [ours, theirs] = [createSocket('udp4'), createSocket('udp4')];
    const ports: number[] = [];
    for (const socket of [ours, theirs]) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      ports.push(socket.address().port);
    }
    theirs.close(); // QEMU takes it
    const { clock, random } = this.#stack;
    const peer = { address: '127.0.0.1', port: ports[1] };
    const frames = udpSocketLink(ours, peer, { clock, mtu: 1514, coalesce: false });
    const link = new EthernetLink({ frames, clock, random });
    this.#stack.addLink(link, { addresses: ['10.0.3.2/24'] });
    new DhcpServer({ link, clock, address: '10.0.3.2/24', pool: ['10.0.3.100', '10.0.3.100'] });
    this.#stack.serve(
      createWebServer((_request, response) => response.end(CONTENT)),
      80,
    );
    const place = (side: string, port: number): string =>
      `${side}.type=inet,${side}.host=127.0.0.1,${side}.port=${port}`;
    return `dgram,${place('local', ports[1])},${place('remote', ports[0])}`;
  }

  close(): void {
    this.#stack.close();
  }
}

describe('a virtual machine', function () {
  this.timeout(LIMIT_MS);
  this.slow(20_000);
  let folder: string;
  let network: Child | undefined;
  let machine: VirtualMachine;
  let web: WebServer;
  let digests: Server;
  let published: number;
  const second = new SecondNetwork();

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'tunstack-machine-'));
    web = createWebServer((_request, response) => response.end(CONTENT)).listen(0, '127.0.0.1');
    // Answers with the digest of what it was sent.
    digests = createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash('sha256');
      socket.on('data', (piece) => hash.update(piece)).on('end', () => socket.end(hash.digest('hex')));
    }).listen(0, '127.0.0.1');
    published = await freePort();
    const socket = join(folder, 'vm.sock');
    const args = ['--import', 'tsx', 'examples/vm-network/network.ts', socket, `${published}:7000`];
    network = new Child(process.execPath, args, { limitMs: LIMIT_MS });
    await network.output(/waiting for a machine/);
    await Promise.all(
      [web, digests].filter((server) => !server.listening).map((server) => once(server, 'listening')),
    );
    const ports = [web, digests].map((server) => (server.address() as AddressInfo).port);
    const datagrams = await second.open();
    machine = await skipOn(this, () =>
      VirtualMachine.boot({
        networks: [`stream,server=off,addr.type=unix,addr.path=${socket}`, datagrams],
        folder,
        script: script(ports[0], ports[1]),
        files: { 'lease.sh': LEASE },
        limitMs: LIMIT_MS,
      }),
    );
  });

  after(async () => {
    await machine?.kill();
    await network?.kill();
    web?.close();
    digests?.close();
    second.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gets an address by DHCP, with all that belongs to it', async () => {
    expect(await machine.says('leased')).to.equal(
      '10.0.2.100/24 router 10.0.2.2 dns 10.0.2.2 domain vm.internal for 3600',
    );
    await network?.output(new RegExp(`box \\(${MAC}\\) has 10\\.0\\.2\\.100 for 3600 s`));
  });

  it('pings the router', async () => {
    expect(await machine.says('pinged')).to.equal('3');
  });

  it('fetches a page of the stack, and megabytes of the host', async () => {
    expect(await machine.says('welcomed')).to.equal('hello ::ffff:10.0.2.100');
    expect(await machine.says('fetched')).to.equal(`${sha256(CONTENT)} -`);
  });

  it('makes itself an IPv6 address from what the router advertises, and is reached by it', async () => {
    expect(await machine.says('configured')).to.equal(OWN_IPV6);
    expect(await machine.says('routed')).to.equal('via fe80:');
    expect(await machine.says('pinged6')).to.equal('3');
    expect(await machine.says('welcomed6')).to.equal(`hello ${OWN_IPV6}`);
  });

  it('sends megabytes, ends its half, and hears the answer', async () => {
    expect(await machine.says('sent')).to.equal(sha256(CONTENT));
  });

  it('is sent megabytes at a published port, and answers once they have ended', async () => {
    await machine.says('listening');
    const socket = connect({ port: published, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(CONTENT);
    expect(await text(socket)).to.equal(`${sha256(CONTENT)}  -\n`);
  });

  it('has a second card, whose frames are datagrams', async () => {
    expect(await machine.says('leased2')).to.match(/^10\.0\.3\.100\/24 /);
    expect(await machine.says('fetched2')).to.equal(`${sha256(CONTENT)} -`);
  });

  it('turns itself off, and the network waits for the next', async () => {
    await machine.says('ended');
    expect((await machine.ended).status).to.equal(0);
    await network?.output(/the machine is gone/);
  });
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
