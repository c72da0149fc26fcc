/**
 * IP over a WebSocket: the side that listens. It has a stack with the address 10.8.0.1 and a web server on it, which
 * exist nowhere else: no TUN, no root, and of the host's network nothing but one port for WebSockets, which may lie
 * behind whatever passes HTTP.
 *
 *     npx tsx examples/ip-over-websocket/server.ts [port]
 *
 * Then, in other terminals, `client.ts`; or its address in a browser, whose page has a stack too, once `npm run build:js`
 * was run. All clients are 10.8.0.2: each has a stack for itself here, and none sees another.
 */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Stack, SystemClock, SystemRandom, webSocketLink } from 'tunstack';
import { WebSocketServer } from 'ws';

const clock = new SystemClock();
const random = new SystemRandom();

const web = createServer((request, response) => {
  response.end(`${request.url} for ${request.socket.remoteAddress}, over a WebSocket\n`);
});

/** The page, and the part of the built package that is for pages. */
function fileOf(url: string): URL | undefined {
  if (url === '/') return new URL('page.html', import.meta.url);
  if (url === '/worker.js') return new URL('worker.js', import.meta.url);
  const built = /^\/tunstack\/([\w/-]+\.js)$/.exec(url)?.[1];
  return built === undefined ? undefined : new URL(`../../dist/${built}`, import.meta.url);
}

// On the host's network: the page, and the WebSocket.
const host = createServer((request, response) => {
  const file = fileOf(request.url ?? '');
  if (file === undefined || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const type = file.pathname.endsWith('.html') ? 'text/html' : 'text/javascript';
  response.writeHead(200, { 'Content-Type': type }).end(readFileSync(file));
}).listen(Number(process.argv[2] ?? 0), '127.0.0.1');
await once(host, 'listening');
// Nothing is larger than a packet. WebSockets come from pages of other sites too: a real server looks at `origin`.
const sockets = new WebSocketServer({ server: host, maxPayload: 65_535, perMessageDeflate: false });
console.log(`listening on ws://127.0.0.1:${(host.address() as AddressInfo).port}`);

sockets.on('connection', (socket) => {
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
});
