/** What the agents, connectors and dispatchers of a stack do beyond a request: keep, resume, prove, give up. */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import * as undici from 'undici';
import { until } from '../net/support/recording.js';
import { loopbackWorld } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { later } from './support/later.js';
import { everywhere, outcomeOf, type Place, sameAsOnHost } from './support/places.js';

const respond = async (request: http.ClientRequest): Promise<string> => {
  const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
  return text(response);
};

/** Says on which connection of the server a request came, and how. */
async function serve(place: Place, options?: https.ServerOptions): Promise<number> {
  const known: Socket[] = [];
  const handler: http.RequestListener = ({ socket }, response) => {
    if (!known.includes(socket)) known.push(socket);
    const secure = socket as TLSSocket;
    const peer = secure.encrypted ? secure.getPeerCertificate().subject?.CN : undefined;
    response.end(
      JSON.stringify({
        connection: known.indexOf(socket),
        resumed: secure.encrypted ? secure.isSessionReused() : undefined,
        servername: secure.servername,
        alpn: secure.alpnProtocol,
        peer,
      }),
    );
  };
  const { server } = certificates();
  return place.serve(
    options === undefined
      ? http.createServer(handler)
      : https.createServer({ ...server, ...options }, handler),
  );
}

describe('ecosystem: agents', () => {
  sameAsOnHost('keep connections, and queue what is too much', async (place) => {
    const port = await serve(place);
    const agent = place.agent({ maxSockets: 2, maxFreeSockets: 1 });
    place.later(() => agent.destroy());
    const get = (): Promise<string> => respond(http.request({ host: place.host, port, agent }));
    const first = await Promise.all(Array.from({ length: 7 }, get));
    await until(() => Object.values(agent.freeSockets).flat().length === 1);
    const second = [await get(), await get()];
    const free = Object.values(agent.freeSockets).flat();
    return [new Set(first).size, new Set(second).size, free.length, Object.keys(agent.sockets).length];
  });

  sameAsOnHost('let go of what the server has closed', async (place) => {
    const server = http.createServer((_, response) => response.end('x'));
    server.keepAliveTimeout = 1;
    const port = await place.serve(server);
    const agent = place.agent({ maxSockets: 1 });
    place.later(() => agent.destroy());
    const outcomes: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      outcomes.push(await respond(http.request({ host: place.host, port, agent })));
      await until(() => Object.values(agent.freeSockets).flat().length === 0);
    }
    return outcomes;
  });

  sameAsOnHost('take a socket from `createConnection(port, host)` too', async (place) => {
    const port = await serve(place);
    const agent = place.agent() as http.Agent & { createConnection(port: number, host: string): Socket };
    const socket = agent.createConnection(port, place.host);
    socket.end('GET / HTTP/1.0\r\n\r\n');
    return (await text(socket)).split('\r\n')[0];
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    sameAsOnHost(`resume sessions of ${version}, each of its own server`, async (place) => {
      const { ca, servername } = certificates();
      const port = await serve(place, {});
      const agent = place.httpsAgent({ ca, maxVersion: version, keepAlive: false });
      const outcomes: unknown[] = [];
      for (let i = 0; i < 3; i++) {
        outcomes.push(await respond(https.request({ host: place.host, port, agent, servername })));
      }
      const bad = https.request({ host: place.host, port, agent, servername: 'strange.example' });
      const [error] = await once(bad.end(), 'error');
      outcomes.push(outcomeOf(error, place));
      // Another server is another session.
      outcomes.push(
        await respond(https.request({ host: place.host, port, agent, servername: 'other.example' })),
      );
      return outcomes;
    });
  }

  sameAsOnHost('name the server by the host header, and prove who they are', async (place) => {
    const { ca, client } = certificates();
    const port = await serve(place, { requestCert: true, ca, rejectUnauthorized: true });
    const agent = place.httpsAgent({ ca, ...client });
    const anonymous = place.httpsAgent({ ca });
    place.later(() => agent.destroy());
    const wish = { host: place.host, port, headers: { host: 'server.example' } };
    const known = await respond(https.request({ ...wish, agent, servername: 'server.example' }));
    const byHeader = await respond(https.request({ ...wish, agent }));
    const failing = https.request({ ...wish, agent: anonymous, servername: 'server.example' });
    const [error] = await once(failing.end(), 'error');
    return [known, byHeader, error instanceof Error];
  });

  sameAsOnHost('speak ALPN', async (place) => {
    const { ca, servername } = certificates();
    const port = await serve(place, { ALPNProtocols: ['http/1.1'] });
    const agent = place.httpsAgent({ ca, servername, ALPNProtocols: ['h2', 'http/1.1'] });
    place.later(() => agent.destroy());
    return respond(https.request({ host: place.host, port, agent }));
  });

  sameAsOnHost('half-close behind a request', async (place) => {
    const server = http.createServer((request, response) => {
      request.resume().on('end', () => later(() => response.end('late')));
    });
    (server as unknown as { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    const port = await place.serve(server);
    const socket = place.net.connect({ port, host: place.host, allowHalfOpen: true });
    socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    return (await text(socket)).split('\r\n\r\n')[1];
  });
});

describe('ecosystem: dispatchers', () => {
  everywhere('resume sessions, unless told to keep none', async (place) => {
    const { ca, servername } = certificates();
    const port = await serve(place, {});
    const outcomes: unknown[] = [];
    for (const maxCachedSessions of [100, 0]) {
      const connect = { ca, servername, maxCachedSessions, maxVersion: 'TLSv1.2' as const };
      const dispatcher = place.dispatcher({ connect });
      for (let i = 0; i < 3; i++) {
        const answer = await undici.request(`https://${place.host}:${port}/`, { dispatcher, reset: true });
        outcomes.push(((await answer.body.json()) as { resumed: boolean }).resumed);
      }
      await dispatcher.destroy();
    }
    // Undici's own cache is at the mercy of the garbage collector.
    if (place.name !== 'on the host') {
      expect(outcomes).to.deep.equal([false, true, true, false, false, false]);
    }
  });

  sameAsOnHost('show their certificate', async (place) => {
    const { ca, servername, client } = certificates();
    const port = await serve(place, { requestCert: true, ca });
    const dispatcher = place.fetchDispatcher({ connect: { ca, servername, ...client } });
    place.later(() => dispatcher.destroy());
    return (await fetch(`https://${place.host}:${port}/`, { dispatcher })).json();
  });

  sameAsOnHost('give up with the error of undici', async (place) => {
    const silent = place.serverNet.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await place.serve(silent);
    const dispatcher = place.dispatcher({ connect: { timeout: 50, rejectUnauthorized: false } });
    place.later(() => dispatcher.destroy());
    const asking = undici.request(`https://${place.host}:${port}/`, { dispatcher });
    return outcomeOf(await asking.catch((error: unknown) => error), place);
  });

  everywhere('serve a WebSocket of undici and streams of events', async (place) => {
    const server = http.createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\ndata: two\n\n');
    });
    const port = await place.serve(server);
    const dispatcher = place.dispatcher();
    place.later(() => dispatcher.destroy());
    const source = new undici.EventSource(`http://${place.host}:${port}/`, { dispatcher });
    const heard: string[] = [];
    source.onmessage = ({ data }) => void heard.push(data);
    await until(() => heard.length === 2);
    source.close();
    expect(heard).to.deep.equal(['one', 'two']);
  });

  it('are agents of the undici that is given, with its options, or of the one within Node', async () => {
    const { serverStack: stack, close } = loopbackWorld();
    const own = stack.dispatcher(undici, { pipelining: 2 });
    expect(own).to.be.instanceOf(undici.Agent);
    const within = stack.dispatcher({ pipelining: 2 });
    expect(within).to.have.property('dispatch').that.is.a('function');
    expect(() => stack.dispatcher({ connect: { maxCachedSessions: -1 } })).to.throw(RangeError);
    await Promise.all([own.close(), within.close()]);
    close();
  });

  it('say so where Node’s own cannot be found', async () => {
    const { serverStack: stack, close } = loopbackWorld();
    const key = Symbol.for('undici.globalDispatcher.1');
    const holder = globalThis as unknown as Record<symbol, unknown>;
    void globalThis.Response;
    const kept = holder[key];
    holder[key] = { dispatch: () => false };
    try {
      expect(() => stack.dispatcher())
        .to.throw(/Pass undici itself/)
        .with.property('code', 'ERR_MODULE_NOT_FOUND');
    } finally {
      holder[key] = kept;
    }
    close();
  });

  sameAsOnHost('fail for a certificate that is wrong before anything was sent', async (place) => {
    const port = await serve(place, {});
    const logs: string[][] = [];
    for (const agent of [place.httpsAgent({ ca: [] }), place.httpsAgent({ ca: certificates().ca })]) {
      const log: string[] = [];
      const request = https.request({ host: place.host, port, agent, servername: 'strange.example' });
      for (const event of ['socket', 'finish', 'response', 'close']) request.on(event, () => log.push(event));
      request.on('error', (error: NodeJS.ErrnoException) => log.push(`error ${error.code}`));
      await once(request.end('text'), 'close').catch(() => once(request, 'close'));
      logs.push(log);
      agent.destroy();
    }
    return logs;
  });
});
