/**
 * What the host of a test serves, as a program of its own: HTTP with Git's repositories, echo over TCP and UDP, and
 * names that end in `.test`, which all are the gateway. Prints where, as a line of JSON.
 * usage: host-server DIRECTORY [ADDRESS], where TCP listens; on 127.0.0.1 by default
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import dnsPacket from 'dns-packet';

const [directory, listens = '127.0.0.1'] = process.argv.slice(2);
const NAMES = { A: '10.0.2.2', AAAA: 'fd00::2' } as const;

const content = randomBytes(20_000_000);
const digest = createHash('sha256').update(content).digest('hex');
const PAGE = `<!doctype html><title>page</title><body><script>
fetch('/content').then((r) => r.arrayBuffer()).then((bytes) => { document.title = 'got ' + bytes.byteLength; });
</script>`;

/** As web servers run it (CGI, RFC 3875). */
function git(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://host/');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'http.receivepack',
      GIT_CONFIG_VALUE_0: 'true',
      GIT_CONFIG_KEY_1: 'safe.directory',
      GIT_CONFIG_VALUE_1: '*',
      PATH_INFO: url.pathname.slice('/git'.length),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: (request.headers['git-protocol'] as string | undefined) ?? '',
      REMOTE_USER: 'test',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  request.pipe(child.stdin);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  child.once('close', () => {
    const answer = Buffer.concat(pieces);
    const end = answer.indexOf('\r\n\r\n');
    for (const line of answer.subarray(0, end).toString().split('\r\n')) {
      const [name, value] = line.split(': ');
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(answer.subarray(end + 4));
  });
}

const http = createHttpServer((request, response) => {
  const path = request.url ?? '/';
  if (path.startsWith('/git/')) git(request, response);
  else if (path === '/content') response.end(content);
  else if (path === '/page') response.setHeader('Content-Type', 'text/html').end(PAGE);
  else response.writeHead(404).end();
});

const echo = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});

/** Answers a question; undefined for what is none. */
function answerTo(bytes: Buffer): Buffer | undefined {
  const { id = 0, questions = [] } = dnsPacket.decode(bytes);
  const [question] = questions;
  if (question === undefined) return undefined;
  const { name, type } = question as { name: string; type: string };
  const isKnown = name.endsWith('.test') && (type === 'A' || type === 'AAAA');
  const answers = isKnown ? [{ type, name, ttl: 1, data: NAMES[type] } as dnsPacket.StringAnswer] : [];
  const flags = dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE;
  return dnsPacket.encode({ type: 'response', id, flags, questions, answers });
}

const names = createSocket('udp4').on('message', (bytes, { address, port }) => {
  const answer = answerTo(bytes);
  if (answer !== undefined) names.send(answer, port, address);
});
/** Questions of one segment each, which those of tests are. */
const namesTcp = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    const answer = answerTo(bytes.subarray(2));
    if (answer === undefined) return;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    socket.write(Buffer.concat([length, answer]));
  });
});
const echoUdp = createSocket('udp4').on('message', (bytes, { address, port }) => {
  echoUdp.send(bytes, port, address);
});

async function listening(server: Server, port = 0): Promise<number> {
  server.listen(port, listens);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

names.bind(0, '127.0.0.1');
echoUdp.bind(0, '127.0.0.1');
await Promise.all([once(names, 'listening'), once(echoUdp, 'listening')]);
await listening(namesTcp, names.address().port);
const ports = { http: await listening(http), echo: await listening(echo) };
console.log(JSON.stringify({ ...ports, dns: names.address().port, echoUdp: echoUdp.address().port, digest }));
// It ends with whoever holds its standard input.
process.stdin.resume().once('close', () => process.exit());
