/**
 * A link of your own: anything that carries IP packets one at a time. Here a tunnel of UDP datagrams
 * between two sockets of the host, with a stack at each end; a WireGuard tunnel, a WebSocket, a WebRTC
 * channel or the network card of a virtual machine is connected the same way.
 *
 *     npx tsx examples/own-link.ts
 *
 * Nothing here needs root, a TUN or the addon.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { PacketLink, Stack, SystemClock, SystemRandom } from 'tunstack';

/** Outer IPv4 and UDP headers take 28 bytes of each packet's way. */
const MTU = 1500 - 28;

interface TunnelEnd {
  readonly stack: Stack;
  readonly link: PacketLink;
}

/** A stack with one address, at one end of a tunnel over `socket`, which must be connected. */
function tunnelEnd(socket: Socket, address: string): TunnelEnd {
  const clock = new SystemClock();
  const stack = new Stack({ clock, random: new SystemRandom() });
  const link = new PacketLink({
    clock,
    name: 'tunnel0',
    mtu: MTU,
    // One IP packet for the other side, in memory of its own. A tunnel would encrypt it here. Return false
    // to be given no more until `link.ready()`, as with `write` of a stream; throw, and the link is down.
    send: (packet) => socket.send(packet),
    close: () => socket.close(),
  });
  // One IP packet from the other side; it is copied. The stack validates it: whatever it holds, nothing
  // worse happens than a counted drop. True when it was taken, false when the queue is full.
  socket.on('message', (packet) => link.receive(packet));
  socket.on('error', (error) => link.fail(error));
  stack.addLink(link, { addresses: [address], defaultRoute: true });
  return { stack, link };
}

/** Two sockets of the host, connected to each other. */
async function socketPair(): Promise<[Socket, Socket]> {
  const pair = [createSocket('udp4'), createSocket('udp4')] as const;
  for (const socket of pair) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  const [a, b] = pair;
  a.connect(b.address().port, '127.0.0.1');
  b.connect(a.address().port, '127.0.0.1');
  await Promise.all([once(a, 'connect'), once(b, 'connect')]);
  return [a, b];
}

const [here, there] = await socketPair();
const client = tunnelEnd(here, '192.168.7.1/24');
const server = tunnelEnd(there, '192.168.7.2/24');

const http = createServer((request, response) => {
  response.end(`You are ${request.socket.remoteAddress}, at the other end of a tunnel.\n`);
});
server.stack.serve(http, 80, '192.168.7.2');
await once(http, 'listening');

const request = get({ host: '192.168.7.2', agent: client.stack.agent() });
const [response] = await once(request, 'response');
for await (const text of response.setEncoding('utf8')) process.stdout.write(text);

const { outPackets, inPackets } = client.link.counters;
console.log(`${outPackets} packets went through the tunnel, ${inPackets} came back.`);
client.stack.close();
server.stack.close();
