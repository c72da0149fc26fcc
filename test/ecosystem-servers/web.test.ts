/**
 * The web both ways across the TUN: curl of the kernel's side with servers on the stack, and every client on
 * the stack with nginx. What is said between two ends of ours is tried in `test/ecosystem`.
 */
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http, { type RequestListener, type Server } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import axios from 'axios';
import { expect } from 'chai';
import express from 'express';
import Fastify from 'fastify';
import { got } from 'got';
import * as undici from 'undici';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, inUrl, KERNEL, STACK } from '../support/interop.js';
import { eventually } from '../support/interop-wait.js';
import { type Identity, identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { nginxConfiguration, WEB_PORTS } from './support/nginx.js';
import { bedWith, dataDirectory, launch } from './support/server.js';

const BYTES = 5_000_000;

describe('the web', function () {
  this.timeout(60_000);
  this.slow(5000);
  let bed: InteropBed;
  let authority: Identity;
  let directory: string;
  let file: string;
  const whole = content(BYTES);
  before(async function () {
    bed = await bedWith(this, { curl: 'curl', nginx: 'nginx-light' });
    directory = dataDirectory(bed);
    authority = await identity(directory);
    file = join(directory, 'file');
    writeFileSync(file, whole, { mode: 0o644 });
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  describe('curl, and servers on the stack', () => {
    /** Answers with the file, with what was sent, with half and a reset, or with what came before the end. */
    const handler: RequestListener = (request, response) => {
      if (request.url === '/file') {
        response.setHeader('content-length', BYTES);
        response.end(whole);
      } else if (request.url === '/echo') request.pipe(response);
      else if (request.url === '/half') {
        response.setHeader('content-length', BYTES);
        const { stream } = response as unknown as { stream?: http2.ServerHttp2Stream };
        response.write(whole.subarray(0, 100_000), () => {
          setImmediate(() => (stream?.session ?? request.socket).destroy());
        });
      } else {
        response.statusCode = 404;
        response.end('nothing here');
      }
    };

    function expressApp(): RequestListener {
      const app = express();
      app.get('/file', (_, response) => void response.type('bin').send(whole));
      app.post('/echo', (request, response) => void request.pipe(response));
      app.get('/half', (request, response) => handler(request, response));
      return app;
    }

    async function fastifyServer(): Promise<Server> {
      const app = Fastify({ bodyLimit: 2 * BYTES });
      app.addContentTypeParser('*', (_, payload, done) => done(null, payload));
      app.get('/file', async (_, reply) => reply.type('application/octet-stream').send(whole));
      app.post('/echo', async (request, reply) => reply.send(request.body));
      app.get('/half', (request, reply) => {
        reply.hijack();
        handler(request.raw, reply.raw);
      });
      await app.ready();
      return app.server;
    }

    const identityOf = () => ({ key: authority.key, cert: authority.cert });
    const KINDS: Record<
      string,
      { make: () => Server | Promise<Server>; flags?: string[]; secure?: boolean }
    > = {
      http: { make: () => http.createServer(handler) },
      https: { make: () => https.createServer(identityOf(), handler), secure: true },
      'http2 in the clear': {
        make: () => http2.createServer(handler as never) as unknown as Server,
        flags: ['--http2-prior-knowledge'],
      },
      'http2 over TLS': {
        make: () => http2.createSecureServer(identityOf(), handler as never) as unknown as Server,
        flags: ['--http2'],
        secure: true,
      },
      express: { make: () => http.createServer(expressApp()) },
      fastify: { make: fastifyServer },
    };

    for (const [kind, { make, flags = [], secure = false }] of Object.entries(KINDS)) {
      for (const family of FAMILIES) {
        it(`${kind}: a file, an upload, what is missing and what breaks off, IPv${family}`, async () => {
          const server = await make();
          bed.stack.serve(server, 0);
          await once(server, 'listening');
          const { port } = server.address() as AddressInfo;
          const base = `http${secure ? 's' : ''}://${inUrl(STACK[family])}:${port}`;
          const trust = secure ? ['--cacert', authority.caFile] : [];
          const curl = (...args: string[]): Child =>
            bed.namespace.spawn('curl', ['-sS', '--max-time', '40', ...flags, ...trust, ...args], {
              limitMs: 45_000,
            });
          const taken = join(directory, 'taken');
          try {
            const { stdout } = await curl(
              '-o',
              taken,
              '-w',
              '%{http_code} %{http_version}',
              `${base}/file`,
            ).succeeded();
            expect(stdout).to.equal(kind.startsWith('http2') ? '200 2' : '200 1.1');
            expect(sha256(readFileSync(taken))).to.equal(sha256(whole));
            const upload = [
              '-H',
              'content-type: application/octet-stream',
              '-H',
              'expect:',
              '--data-binary',
              `@${file}`,
            ];
            await curl('-o', taken, ...upload, `${base}/echo`).succeeded();
            expect(sha256(readFileSync(taken))).to.equal(sha256(whole));
            expect((await curl('-f', `${base}/nothing`).ended).status).to.equal(22);
            const broken = await curl('-o', taken, `${base}/half`).ended;
            expect(broken.status, broken.stderr).to.be.oneOf([16, 18, 56, 92]);
            expect(statSync(taken).size).to.be.lessThan(BYTES);
            // A client that goes away in the middle leaves the server well.
            const leaving = curl('-o', `${taken}.part`, '--limit-rate', '1M', `${base}/file`);
            await eventually(
              'a beginning',
              () => existsSync(`${taken}.part`),
              (isThere) => isThere,
            );
            await leaving.kill();
            expect(
              (await curl('-o', '/dev/null', '-w', '%{size_download}', `${base}/file`).succeeded()).stdout,
            ).to.equal(String(BYTES));
          } finally {
            await new Promise((closed) => server.close(closed));
          }
        });
      }
    }
  });

  describe('nginx, and clients on the stack', () => {
    let server: Child;
    before(async () => {
      const configuration = nginxConfiguration(directory, authority);
      server = await launch(bed, {
        command: 'nginx',
        args: ['-c', configuration],
        ready: /start worker process \d+/,
      });
    });
    after(() => server?.kill());

    interface Asked {
      readonly status: number;
      readonly body: Uint8Array;
    }
    type Get = (url: string) => Promise<Asked>;

    /** Each with what ends it. */
    const CLIENTS: Record<string, () => { get: Get; end: () => unknown }> = {
      axios: () => {
        const { agent, httpsAgent } = agents();
        return {
          async get(url) {
            const options = {
              httpAgent: agent,
              httpsAgent,
              proxy: false,
              responseType: 'arraybuffer',
              validateStatus: () => true,
            } as const;
            const { status, data } = await axios.get<Buffer>(url, options);
            return { status, body: data };
          },
          end: () => [agent, httpsAgent].map((one) => one.destroy()),
        };
      },
      got: () => {
        const { agent, httpsAgent } = agents();
        return {
          async get(url) {
            const { ca } = authority;
            const options = {
              agent: { http: agent, https: httpsAgent },
              https: { certificateAuthority: ca },
              retry: { limit: 0 },
              throwHttpErrors: false,
            };
            const { statusCode, body } = await got(url, { ...options, responseType: 'buffer' });
            return { status: statusCode, body };
          },
          end: () => [agent, httpsAgent].map((one) => one.destroy()),
        };
      },
      'undici.request': () => {
        const dispatcher = bed.stack.dispatcher(undici, { connect: { ca: authority.ca } });
        return {
          async get(url) {
            const { statusCode, body } = await undici.request(url, { dispatcher });
            return { status: statusCode, body: new Uint8Array(await body.arrayBuffer()) };
          },
          end: () => dispatcher.close(),
        };
      },
      'fetch of Node': () => {
        const dispatcher = bed.stack.dispatcher({ connect: { ca: authority.ca } });
        return {
          async get(url) {
            const response = await fetch(url, { dispatcher });
            return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
          },
          end: () => dispatcher.close(),
        };
      },
      http2: () => {
        const sessions: http2.ClientHttp2Session[] = [];
        return {
          async get(url) {
            const { origin, pathname } = new URL(url);
            const session = bed.stack.http2.connect(origin, { ca: authority.ca });
            sessions.push(session);
            const stream = session.request({ ':path': pathname });
            const chunks: Buffer[] = [];
            stream.on('data', (chunk: Buffer) => chunks.push(chunk));
            // One that the server closes without an answer has neither an error nor an end.
            const broken = new Promise<never>((_, reject) => {
              session.on('error', reject);
              stream.on('error', reject).on('close', () => reject(new Error('closed')));
            });
            broken.catch(() => {});
            const answered = new Promise<http2.IncomingHttpHeaders>((resolve) =>
              stream.once('response', resolve),
            );
            const ended = new Promise((resolve) => stream.once('end', resolve));
            const headers = await Promise.race([answered, broken]);
            await Promise.race([ended, broken]);
            return { status: Number(headers[':status']), body: Buffer.concat(chunks) };
          },
          end: () => {
            for (const session of sessions) session.destroy();
          },
        };
      },
    };

    function agents(): { agent: http.Agent; httpsAgent: https.Agent } {
      return { agent: bed.stack.agent(), httpsAgent: bed.stack.httpsAgent({ ca: authority.ca }) };
    }

    for (const [name, make] of Object.entries(CLIENTS)) {
      for (const family of FAMILIES) {
        it(`${name}: a file, what is missing, what breaks off and who refuses, IPv${family}`, async () => {
          const { get, end } = make();
          const host = inUrl(KERNEL[family]);
          const schemes = name === 'http2' ? (['https'] as const) : (['http', 'https'] as const);
          try {
            for (const scheme of schemes) {
              const base = `${scheme}://${host}:${WEB_PORTS[scheme]}`;
              const answers = await Promise.all(Array.from({ length: 3 }, () => get(`${base}/file`)));
              for (const { status, body } of answers) {
                expect(status).to.equal(200);
                expect(sha256(body)).to.equal(sha256(whole));
              }
              expect((await get(`${base}/nothing`)).status).to.equal(404);
              expect(
                await get(`${base}/gone`).then(
                  () => 'answered',
                  () => 'failed',
                ),
              ).to.equal('failed');
            }
            const refused = await get(`https://${host}:8444/`).then(
              () => 'answered',
              (error: Error) => `${String(error)} ${String(error.cause)}`,
            );
            expect(refused).to.include('ECONNREFUSED');
          } finally {
            await end();
          }
        });
      }
    }
  });
});
