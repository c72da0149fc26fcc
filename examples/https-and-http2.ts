/**
 * TLS over a stack: `https`, `http2` and `tls` servers, and an `https`, an `http2`, a `tls` client and
 * `fetch`, all unmodified. A stack talks to itself here, which needs neither root nor a TUN; with a link
 * they would talk to others.
 *
 *     npx tsx examples/https-and-http2.ts
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Stack, SystemClock, SystemRandom } from 'tunstack';

/** A certificate for `localhost`, signed by itself. */
function makeCertificate(): { key: Buffer; cert: Buffer } {
  const directory = mkdtempSync(join(tmpdir(), 'certificate-'));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost';
  const name = ['-addext', 'subjectAltName=DNS:localhost'];
  try {
    execFileSync('openssl', [...request.split(' '), ...name, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const certificate = makeCertificate();
const ca = certificate.cert;

// One server for HTTP/1.1, one for HTTP/2.
const secure = https.createServer(certificate, (request, response) => {
  response.end(`HTTP/${request.httpVersion} ${request.url} from ${request.socket.remoteAddress}`);
});
const modern = http2.createSecureServer(certificate, (request, response) => {
  response.end(`HTTP/${request.httpVersion} ${request.url}`);
});
stack.serve(secure, 443);
stack.serve(modern, 8443);
await Promise.all([once(secure, 'listening'), once(modern, 'listening')]);

// https: an agent is all it takes. `localhost` is the stack itself.
const agent = stack.httpsAgent({ keepAlive: true, ca });
const [response] = (await once(https.get('https://localhost/by-https', { agent }), 'response')) as [
  IncomingMessage,
];
console.log('https: ', await text(response));

// fetch: a dispatcher.
const dispatcher = stack.dispatcher({ connect: { ca } });
const fetched = await fetch('https://localhost/by-fetch', { dispatcher });
console.log('fetch: ', await fetched.text());

// http2: `connect` of the stack instead of Node's.
const session = stack.http2.connect('https://localhost:8443', { ca });
const stream = session.request({ ':path': '/by-http2' });
console.log('http2: ', await text(stream));

// tls: a server and a client, called as Node's are.
const echo = stack.tls.createServer(certificate, (socket) => socket.pipe(socket)).listen(7);
await once(echo, 'listening');
const socket = stack.tls.connect(7, '127.0.0.1', { ca, servername: 'localhost' }, () => socket.end('echo'));
await once(socket, 'secureConnect');
const { remoteAddress } = socket;
console.log('tls:   ', await text(socket), 'from', remoteAddress);

session.close();
agent.destroy();
await dispatcher.close();
for (const server of [secure, modern, echo]) {
  server.close();
  await once(server, 'close');
}
stack.close();
