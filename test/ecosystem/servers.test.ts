/** Express and Fastify over a stack, served by `stack.serve`, and found as they are on the host. */
import { once } from 'node:events';
import http, { type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import express from 'express';
import Fastify, { type FastifyInstance } from 'fastify';
import { digestOf, pattern, sha1 } from '../net/support/content.js';
import { inStacks } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { outcomeOf, type Place, sameAsOnHost } from './support/places.js';

interface Answer {
  status: number | undefined;
  headers: unknown[];
  body: string;
}

async function ask(
  place: Place,
  port: number,
  options: http.RequestOptions,
  body?: Buffer | string,
): Promise<Answer> {
  const agent = place.agent({ keepAlive: false });
  const request = http.request({ host: place.host, port, agent, ...options }).end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { 'content-type': type, location, etag, connection } = response.headers;
  return {
    status: response.statusCode,
    headers: [type, location, etag, connection],
    body: await text(response),
  };
}

const CONTENT = pattern(2_000_000);

function expressApp(clientHost: () => string): express.Express {
  const app = express();
  app.get('/hello/:name', (request, response) => {
    response.json({ name: request.params.name, ip: request.ip?.replace('::ffff:', '') === clientHost() });
  });
  app.post('/json', express.json({ limit: '5mb' }), (request, response) => void response.send(request.body));
  app.post('/digest', (request, response) => {
    void digestOf(request).then((digest) => response.type('text').send(digest));
  });
  app.get('/large', (_, response) => void response.type('bin').send(CONTENT));
  app.get('/away', (_, response) => response.redirect('/hello/you'));
  app.get('/fails', () => {
    throw new Error('a mistake');
  });
  app.use((error: Error, _: unknown, response: express.Response, __: unknown) => {
    response.status(500).send(error.message);
  });
  return app;
}

function fastifyApp(): FastifyInstance {
  const app = Fastify({ forceCloseConnections: true });
  app.addContentTypeParser('application/octet-stream', (_, payload, done) => done(null, payload));
  app.get('/hello/:name', async (request) => ({ name: (request.params as { name: string }).name }));
  app.post('/json', async (request) => request.body);
  app.post('/digest', async (request) => digestOf(request.body as NodeJS.ReadableStream));
  app.get('/large', async (_, reply) => reply.type('application/octet-stream').send(CONTENT));
  app.get('/away', async (_, reply) => reply.redirect('/hello/you'));
  app.get('/fails', async () => {
    throw new Error('a mistake');
  });
  return app;
}

async function questions(place: Place, port: number): Promise<Answer[]> {
  const json = { 'content-type': 'application/json' };
  const binary = { 'content-type': 'application/octet-stream' };
  const answers = [
    await ask(place, port, { path: '/hello/world' }),
    await ask(
      place,
      port,
      { path: '/json', method: 'POST', headers: json },
      JSON.stringify({ a: 'x'.repeat(500_000) }),
    ),
    await ask(place, port, { path: '/digest', method: 'POST', headers: binary }, CONTENT),
    await ask(place, port, { path: '/away' }),
    await ask(place, port, { path: '/fails' }),
    await ask(place, port, { path: '/nowhere' }),
    await ask(place, port, { path: '/json', method: 'POST', headers: json }, 'no json'),
  ];
  expect(answers[2].body).to.equal(sha1(CONTENT));
  return answers.map((answer) => ({ ...answer, body: sha1(Buffer.from(answer.body)) }));
}

/** Leaves in the middle of an answer, and of a question. */
async function leaveEarly(place: Place, port: number): Promise<void> {
  const agent = place.agent({ keepAlive: false });
  const request = http.get({ host: place.host, port, path: '/large', agent }).on('error', () => {});
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.once('data', () => response.destroy());
  await new Promise((resolve) => response.on('close', resolve).on('error', () => {}));
  const headers = { 'content-length': CONTENT.length, 'content-type': 'application/octet-stream' };
  const sending = http.request({ host: place.host, port, path: '/digest', method: 'POST', agent, headers });
  sending.on('error', () => {});
  sending.write(CONTENT.subarray(0, 1000), () => sending.destroy());
  await new Promise((resolve) => sending.on('close', resolve));
}

describe('ecosystem: express', () => {
  sameAsOnHost('answers', async (place) => {
    const server = http.createServer(expressApp(() => place.clientHost));
    const port = await place.serve(server);
    const answers = await questions(place, port);
    await leaveEarly(place, port);
    return [answers, await ask(place, port, { path: '/hello/again' })];
  });
});

describe('ecosystem: fastify', () => {
  sameAsOnHost('answers', async (place) => {
    const app = fastifyApp();
    place.later(() => app.close());
    await app.ready();
    const port = await place.serve(app.server);
    const answers = await questions(place, port);
    await leaveEarly(place, port);
    return [answers, await ask(place, port, { path: '/hello/again' })];
  });
});

describe('ecosystem: serve', () => {
  inStacks((world) => {
    const get = async (server: Server, options: http.RequestOptions = {}): Promise<string> => {
      const { port } = server.address() as AddressInfo;
      const agent = world().clientStack.agent();
      const [response] = (await once(
        http.get({ host: world().host, port, agent, path: '/hello/you', ...options }),
        'response',
      )) as [IncomingMessage];
      return text(response);
    };

    it('gives an application of Express, or any handler, a server', async () => {
      const { serverStack, host, clientHost } = world();
      const server = serverStack.serve(
        expressApp(() => clientHost),
        0,
        host,
      );
      expect(server).to.be.instanceOf(http.Server);
      await once(server, 'listening');
      expect(JSON.parse(await get(server))).to.deep.equal({ name: 'you', ip: true });
      server.close();
      await once(server, 'close');
      const other = serverStack.serve(
        (_: unknown, response: http.ServerResponse) => response.end('handled'),
        { port: 0, host },
      );
      await once(other, 'listening');
      expect(await get(other)).to.equal('handled');
      other.close();
      await once(other, 'close');
    });

    it('lets an application of Fastify listen when it is ready, and be closed by itself', async () => {
      const { serverStack, host } = world();
      const app = fastifyApp();
      const order: string[] = [];
      app.register(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        order.push('registered');
      });
      const server = serverStack.serve(app, { port: 0, host }, () => order.push('listening'));
      expect(server).to.equal(app.server);
      await once(server, 'listening');
      expect(order).to.deep.equal(['registered', 'listening']);
      expect(JSON.parse(await get(server))).to.deep.equal({ name: 'you' });
      expect(app.addresses()).to.have.length(1);
      await app.close();
      expect(server.listening).to.equal(false);
    });

    it('speaks HTTPS with Fastify', async () => {
      const { serverStack, clientStack, host } = world();
      const { server: identity, ca, servername } = certificates();
      const app = Fastify({ https: identity });
      app.get('/', async ({ protocol }) => protocol);
      const server = serverStack.serve(app, 0, host);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const dispatcher = clientStack.dispatcher({ connect: { ca, servername } });
      expect(await (await fetch(`https://${host}:${port}/`, { dispatcher })).text()).to.equal('https');
      await dispatcher.close();
      await app.close();
    });

    it('tells what keeps an application from listening', async () => {
      const { serverStack, host } = world();
      const broken = Fastify();
      broken.register(async () => {
        throw new Error('not ready');
      });
      const [error] = await once(serverStack.serve(broken, 0, host), 'error');
      expect(error).to.have.property('message', 'not ready');
      const first = serverStack.serve(() => {}, 0, host);
      await once(first, 'listening');
      const { port } = first.address() as AddressInfo;
      const [taken] = await once(serverStack.serve(Fastify(), port, host), 'error');
      expect(outcomeOf(taken, { host } as Place)).to.deep.include({ code: 'EADDRINUSE' });
      const [wrong] = await once(serverStack.serve(Fastify(), 70_000, host), 'error');
      expect(wrong).to.have.property('code', 'ERR_SOCKET_BAD_PORT');
      expect(() => serverStack.serve(() => {}, 70_000))
        .to.throw()
        .with.property('code', 'ERR_SOCKET_BAD_PORT');
      first.close();
      await once(first, 'close');
    });
  });
});
