/**
 * The network of a virtual machine, in user space and without root: an Ethernet with a router that lends addresses by
 * DHCP, advertises an IPv6 network, answers names, has a web page, and passes everything else on by the host's sockets.
 * Ports of the host lead inside where they are given: `2222:22` is the machine's port 22.
 *
 *     npx tsx examples/vm-network/network.ts /tmp/vm.sock [port:port …]
 *     qemu-system-x86_64 … -device virtio-net-pci,netdev=n0 \
 *       -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/vm.sock
 *
 * The machine then finds a page at http://10.0.2.2/, and what listens on this host's 127.0.0.1 at 10.0.2.1. QEMU has had
 * `stream` since 7.2. Without QEMU, `machine.ts` plays the machine. Machines come one after the other; each has an
 * Ethernet for itself, and is 10.0.2.100 there.
 */
import { existsSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as listenOn, type Socket } from 'node:net';
import {
  byteStreamLink,
  DhcpServer,
  EthernetLink,
  openGateway,
  Stack,
  SystemClock,
  SystemRandom,
} from 'tunstack';

const [path = '/tmp/vm.sock', ...publish] = process.argv.slice(2);
const clock = new SystemClock();
const random = new SystemRandom();

/** Is the network of one machine until that goes. */
async function serve(socket: Socket): Promise<void> {
  // QEMU puts the length of each frame before it, in four bytes.
  const frames = byteStreamLink(socket, { clock, mtu: 1514, framing: 'length32', coalesce: false });
  // Nobody else is on this Ethernet yet: our own addresses need not be asked for.
  // 10.0.2.1 is nobody's: packets for it come here, and go on to the host's loopback.
  const link = new EthernetLink({
    frames,
    clock,
    random,
    name: 'vm0',
    detection: { ipv6Probes: 0 },
    proxy: ['10.0.2.1'],
  });
  const stack = new Stack({ clock, random });
  const gone = new Promise<void>((resolve) => {
    stack.onLinkDown = () => resolve();
  });
  try {
    const index = stack.addLink(link, { addresses: ['10.0.2.2/24', 'fd00:2::2/64'] });
    new DhcpServer({
      link,
      clock,
      address: '10.0.2.2/24',
      pool: ['10.0.2.100', '10.0.2.200'],
      dnsServers: ['10.0.2.2'],
      domain: 'vm.internal',
      onLease: ({ address, mac, hostname = 'a machine', secondsLeft }) => {
        console.log(`${hostname} (${mac}) has ${address} for ${secondsLeft} s`);
      },
    });
    link.advertise({ prefixes: [{ prefix: 'fd00:2::/64' }], dnsServers: ['fd00:2::2'], maxSeconds: 60 });
    const web = createServer((request, response) => {
      response.end(`hello ${request.socket.remoteAddress}\n`);
    });
    stack.serve(web, 80);
    const gateway = await openGateway({
      stack,
      link: index,
      dns: { addresses: ['10.0.2.2', 'fd00:2::2'] },
      hostLoopback: ['10.0.2.1'],
      publish,
      inside: ['10.0.2.100'],
    });
    console.log('a machine is plugged in');
    await gone;
    gateway.close();
    console.log('the machine is gone');
  } finally {
    stack.close();
  }
}

// One that was left behind is in the way.
if (existsSync(path) && statSync(path).isSocket()) rmSync(path);
const server = listenOn((socket) => {
  serve(socket).catch((error: Error) => {
    console.error(error.message);
    socket.destroy();
  });
});
server.listen(path, () => console.log(`waiting for a machine at ${path}`));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close(); // takes the path away
    process.exit();
  });
}
