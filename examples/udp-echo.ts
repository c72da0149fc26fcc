/**
 * `dgram` on a private network: the kernel sends datagrams across a TUN, and a stack sends them back, over
 * IPv4 and IPv6.
 *
 *     npx tsx examples/udp-echo.ts
 *
 * It makes a network namespace of its own with a TUN between the kernel and a stack, as root or as an
 * ordinary user where the system lets one.
 */
import { once } from 'node:events';
import { openPrivateTun, Stack, SystemClock, SystemRandom } from 'tunstack';

const tun = await openPrivateTun({ address: ['10.9.0.1/24', 'fd09::1/64'] });
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
stack.addLink(tun.device, { addresses: ['10.9.0.2/24', 'fd09::2/64'] });

// A socket for both families: IPv4 peers show as ::ffff:a.b.c.d.
const socket = stack.dgram.createSocket('udp6');
socket.on('message', (message, { address, port, size }) => {
  console.log(`stack:   ${size} bytes from ${address}`);
  socket.send(message, port, address);
});
socket.bind(7);
await once(socket, 'listening');

/** What runs on the kernel's side, with Node's own sockets. */
const KERNEL_PROGRAM = `
const { createSocket } = require('node:dgram');
const ask = (type, host, bytes) => new Promise((resolve) => {
  const socket = createSocket(type, (message) => {
    console.log('kernel:  ' + message.length + ' bytes back from ' + host);
    socket.close(resolve);
  });
  socket.send(Buffer.alloc(bytes, 1), 7, host);
});
(async () => {
  await ask('udp4', '10.9.0.2', 64);
  await ask('udp6', 'fd09::2', 64);
  // Larger than a packet: it goes in fragments, and comes back so.
  await ask('udp4', '10.9.0.2', 5000);
  await ask('udp6', 'fd09::2', 5000);
})();
`;
const kernel = tun.run(process.execPath, ['-e', KERNEL_PROGRAM], { stdio: ['ignore', 'inherit', 'inherit'] });
await once(kernel, 'exit');

const { inDatagrams, outDatagrams } = stack.stats.udp;
console.log(`stack:   ${inDatagrams} datagrams in, ${outDatagrams} out`);
socket.close();
stack.close();
await tun.close();
