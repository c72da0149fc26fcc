/**
 * IP over a WebSocket: the side that listens. It has a stack with the address 10.8.0.1 and a web server on it, which
 * exist nowhere else: no TUN, no root, and of the host's network nothing but one port for WebSockets, which may lie
 * behind whatever passes HTTP.
 *
 *     npx tsx examples/ip-over-websocket/server.ts [port]
 *
 * Then, in other terminals, `client.ts`. Clients come one after the other: all of them are 10.8.0.2.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Stack, SystemClock, SystemRandom, webSocketLink } from 'tunstack';
import { WebSocketServer } from 'ws';

const clock = new SystemClock();
const random = new SystemRandom();

const web = createServer((request, response) => {
  response.end(`${request.url} for ${request.socket.remoteAddress}, over a WebSocket\n`);
});

const port = Number(process.argv[2] ?? 0);
// Nothing is larger than a packet. WebSockets come from pages of other sites too: a real server looks at `origin`.
const sockets = new WebSocketServer({
  port,
  host: '127.0.0.1',
  maxPayload: 65_535,
  perMessageDeflate: false,
});
await once(sockets, 'listening');
console.log(`listening on ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`);

for (;;) {
  const [socket] = await once(sockets, 'connection');
  // A stack for each client, so that nothing is left of one when it goes.
  const stack = new Stack({ clock, random });
  const link = webSocketLink(socket, { clock, name: 'ws0', mtu: 1400 });
  stack.addLink(link, { addresses: ['10.8.0.1/24'] });
  const server = stack.net.createServer((connection) => web.emit('connection', connection)).listen(80);
  stack.onLinkDown = (_link, { message }) => {
    console.log(`${message}; ${link.counters.inPackets} packets came, ${link.counters.outPackets} went`);
    server.close();
    stack.close();
  };
}
