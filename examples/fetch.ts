/**
 * `fetch` over a private network, by Node's own `fetch` and by undici: each is given a dispatcher. A stack
 * talks to itself here, which needs neither root nor a TUN; with a link it would talk to others.
 *
 *     npx tsx examples/fetch.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Stack, SystemClock, SystemRandom } from 'tunstack';
import * as undici from 'undici';

const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });

const server = createServer((request, response) => {
  if (request.url === '/slow') return;
  response.setHeader('content-type', 'application/json');
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => response.end(JSON.stringify({ method: request.method, url: request.url, body })));
});
stack.serve(server, 80);
await once(server, 'listening');

// The fetch of Node: nothing need be installed.
const dispatcher = stack.dispatcher();
const response = await fetch('http://localhost/by-fetch', { dispatcher });
console.log('fetch:  ', await response.json());

// Streams of the web go both ways.
const body = new Blob(['a body, ', 'in pieces']).stream();
const sent = await fetch('http://localhost/stream', { dispatcher, method: 'POST', body, duplex: 'half' });
console.log('stream: ', ((await sent.json()) as { body: string }).body);

// What goes wrong is what goes wrong elsewhere.
const refused = await fetch('http://127.0.0.1:8/', { dispatcher }).catch(({ cause }) => cause);
console.log('refused:', refused.message);
const late = await fetch('http://localhost/slow', { dispatcher, signal: AbortSignal.timeout(50) }).catch(
  (error) => error,
);
console.log('late:   ', late.name);

// undici as it is installed: the stack makes an Agent of it, with its options.
const agent = stack.dispatcher(undici, { pipelining: 4, connections: 1 });
const answers = await Promise.all(
  ['/1', '/2', '/3'].map(async (path) => {
    const answer = await undici.request(`http://localhost${path}`, { dispatcher: agent });
    return ((await answer.body.json()) as { url: string }).url;
  }),
);
console.log('undici: ', answers.join(' '));

await Promise.all([dispatcher.close(), agent.close()]);
server.closeAllConnections();
server.close();
await once(server, 'close');
stack.close();
