/**
 * The utility process: it owns the stack, so that neither the window nor the main process waits for
 * packets. It fetches for the window, over HTTP on sockets of the stack.
 *
 * The link here is a pipe to a second stack, which plays the private network. Put your own in its place: a
 * `PacketLink` around a tunnel needs neither root nor the addon, on every system Electron runs on.
 */
import { type ClientRequest, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { ParentPort } from 'electron';
import { createPipe, Stack, SystemClock, SystemRandom } from 'tunstack';
import type { FetchCancel, FetchReply, FetchRequest } from './messages.js';

const PAGE = `<!doctype html><title>tunstack</title>
<h1>A page from a private network</h1><p id="time">…</p>
<script>
  setInterval(async () => {
    document.querySelector('#time').textContent = await (await fetch('/time')).text();
  }, 1000);
</script>`;

const clock = new SystemClock();
const stack = new Stack({ clock, random: new SystemRandom() });
const agent = stack.agent({ keepAlive: true });

/** The private network: a second stack that serves a page, and the time. */
function serveNetwork(): void {
  const [ours, theirs] = createPipe({ clock });
  stack.addLink(ours, { addresses: ['10.0.0.1/24'], defaultRoute: true });
  const network = new Stack({ clock, random: new SystemRandom() });
  network.addLink(theirs, { addresses: ['10.0.0.2/24'] });
  const http = createServer((request, response) => {
    const isTime = request.url === '/time';
    response.setHeader('Content-Type', isTime ? 'text/plain' : 'text/html; charset=utf-8');
    response.end(isTime ? new Date().toLocaleTimeString() : PAGE);
  });
  network.serve(http, 80);
}

/** Electron sets it in a utility process. */
const { parentPort } = process as unknown as { parentPort: ParentPort };
const reply = (message: FetchReply): void => parentPort.postMessage(message);

/** The head at once, the body as it comes. */
function relay(id: number, response: IncomingMessage): void {
  const headers: [string, string][] = [];
  for (let i = 0; i < response.rawHeaders.length; i += 2) {
    headers.push([response.rawHeaders[i], response.rawHeaders[i + 1]]);
  }
  reply({ id, kind: 'head', status: response.statusCode ?? 502, headers });
  // A copy: the memory of a chunk may be larger than the chunk.
  response.on('data', (chunk: Buffer) => reply({ id, kind: 'chunk', bytes: Uint8Array.from(chunk) }));
  response.once('end', () => reply({ id, kind: 'end' }));
  response.once('error', ({ message }) => reply({ id, kind: 'error', message }));
}

/** Requests that are under way. */
const requests = new Map<number, ClientRequest>();

function fetchOverStack({ id, url, method, headers, body }: FetchRequest): void {
  const { hostname, port, pathname, search } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const path = pathname + search;
  const request = httpRequest({ host, port: port === '' ? 80 : Number(port), path, method, headers, agent });
  requests.set(id, request);
  request.once('close', () => requests.delete(id));
  request.once('response', (response) => relay(id, response));
  request.once('error', ({ message }) => reply({ id, kind: 'error', message }));
  request.end(body);
}

/** What the main process says. A request that is none is answered, and ends nothing else. */
function hear(message: FetchRequest | FetchCancel): void {
  if ('isCancelled' in message) {
    requests.get(message.id)?.destroy();
    return;
  }
  try {
    fetchOverStack(message);
  } catch (error) {
    reply({ id: message.id, kind: 'error', message: (error as Error).message });
  }
}

serveNetwork();
parentPort.on('message', ({ data }) => hear(data as FetchRequest | FetchCancel));
