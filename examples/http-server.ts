/**
 * Node's own `http` on a private network: an ordinary server answers the kernel across a TUN, and an
 * ordinary client asks a server of the kernel.
 *
 *     npx tsx examples/http-server.ts
 *
 * It makes a network namespace of its own with a TUN between the kernel (10.9.0.1) and a stack (10.9.0.2),
 * as root or as an ordinary user where the system lets one.
 */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { openPrivateTun, Stack, SystemClock, SystemRandom } from 'tunstack';

const KERNEL = '10.9.0.1';
const STACK = '10.9.0.2';

const tun = await openPrivateTun({ address: `${KERNEL}/24` });
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
stack.addLink(tun.device, { addresses: [`${STACK}/24`], defaultRoute: true });

// A server like any other. `serve` is called as `listen` would be.
const server = http.createServer((request, response) => {
  console.log(`stack:   ${request.method} ${request.url} from ${request.socket.remoteAddress}`);
  response.setHeader('content-type', 'text/plain');
  request.on('end', () => response.end(`Hello from ${STACK}, port ${request.socket.localPort}.\n`)).resume();
});
stack.serve(server, 80);
await once(server, 'listening');

/** What runs on the kernel's side, with Node's own sockets: a client, then a server for one request. */
const KERNEL_PROGRAM = `
const server = require('node:http').createServer((request, response) => {
  console.log('kernel:  ' + request.method + ' ' + request.url + ' from ' + request.socket.remoteAddress);
  response.end('Hello from the kernel.\\n');
});
fetch('http://${STACK}/greeting').then(async (response) => {
  console.log('kernel:  was told "' + (await response.text()).trim() + '"');
  server.listen(8080, '${KERNEL}', () => console.log('ready'));
});
`;
const kernel = tun.run(process.execPath, ['-e', KERNEL_PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
const ready = new Promise<void>((resolve) => {
  kernel.stdout?.on('data', (output) => {
    const lines = String(output).trimEnd().split('\n');
    for (const line of lines) if (line !== 'ready') console.log(line);
    if (lines.includes('ready')) resolve();
  });
});
await ready;

// A client like any other, but for its agent.
const agent = stack.agent({ keepAlive: true });
const request = http.get({ host: KERNEL, port: 8080, path: '/answer', agent });
const [response] = (await once(request, 'response')) as [IncomingMessage];
console.log(`stack:   was told "${(await text(response)).trim()}"`);

agent.destroy();
server.close();
await once(server, 'close');
stack.close();
await tun.close();
