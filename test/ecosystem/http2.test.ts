/** `http2` over a stack, in the clear and over TLS, server and client, and undici's HTTP/2. */
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { request } from 'undici';
import { digestOf, pattern, sha1 } from '../net/support/content.js';
import { NOBODYS_PORT } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { later } from './support/later.js';
import { everywhere, outcomeOf, type Place, sameAsOnHost } from './support/places.js';

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: Socket | undefined) => void;

async function serve(place: Place, isSecure: boolean, handler: Handler): Promise<string> {
  const server = isSecure ? http2.createSecureServer(certificates().server) : http2.createServer();
  let raw: Socket | undefined;
  server.on('connection', (socket: Socket) => {
    raw = socket;
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    handler(stream, headers, raw);
  });
  server.on('session', (session) => {
    session.on('error', () => {});
    place.later(() => session.destroy());
  });
  const port = await place.serve(server);
  return `${isSecure ? 'https' : 'http'}://${place.host}:${port}`;
}

function connect(
  place: Place,
  base: string,
  options: http2.SecureClientSessionOptions = {},
): ClientHttp2Session {
  const { ca, servername } = certificates();
  const session = place.connectHttp2(base, { ca, servername, ...options });
  place.later(() => session.destroy());
  return session;
}

async function ask(session: ClientHttp2Session, path: string, body: Buffer): Promise<unknown> {
  const stream = session.request({ ':method': 'POST', ':path': path });
  stream.end(body);
  const [[headers], digest] = await Promise.all([
    once(stream, 'response') as Promise<[IncomingHttpHeaders]>,
    digestOf(stream),
  ]);
  return [headers[':status'], digest];
}

const echo: Handler = (stream) => {
  stream.respond({ ':status': 200 });
  stream.pipe(stream);
};

/** Events of a session, in order, until it is closed. */
function record(session: ClientHttp2Session, place: Place): { log: unknown[]; closed: Promise<unknown> } {
  const log: unknown[] = [];
  for (const event of ['connect', 'remoteSettings', 'localSettings', 'goaway']) {
    session.on(event, () => log.push(event));
  }
  session.on('error', (error) => log.push(['error', outcomeOf(error, place)]));
  return { log, closed: new Promise((resolve) => session.on('close', resolve)) };
}

describe('ecosystem: http2', () => {
  for (const isSecure of [false, true]) {
    const how = isSecure ? 'over TLS' : 'in the clear';

    sameAsOnHost(`carries 100 streams at once, without server push, ${how}`, async (place) => {
      let pushes = 0;
      const base = await serve(place, isSecure, (stream, headers, raw) => {
        if (stream.pushAllowed) pushes++;
        echo(stream, headers, raw);
      });
      const session = connect(place, base, { settings: { enablePush: false } });
      const bodies = Array.from({ length: 100 }, (_, i) => pattern(1000 * i));
      const answers = await Promise.all(bodies.map((body, i) => ask(session, `/${i}`, body)));
      expect(answers).to.deep.equal(bodies.map((body) => [200, sha1(body)]));
      session.close();
      await once(session, 'close');
      return [answers, pushes, session.remoteSettings.enablePush];
    });

    sameAsOnHost(`carries megabytes, ${how}`, async (place) => {
      const base = await serve(place, isSecure, echo);
      const session = connect(place, base);
      return ask(session, '/', pattern(5_000_000));
    });

    sameAsOnHost(`pushes where it may, ${how}`, async (place) => {
      const base = await serve(place, isSecure, (stream) => {
        stream.pushStream({ ':path': '/pushed' }, (_, pushed) => {
          pushed.respond({ ':status': 200 });
          pushed.end('nobody asked');
        });
        stream.respond({ ':status': 200 });
        stream.end('asked');
      });
      const session = connect(place, base);
      const pushing = once(session, 'stream');
      const answer = await ask(session, '/', Buffer.alloc(0));
      const [pushed, headers] = await pushing;
      return [answer, headers[':path'], await digestOf(pushed)];
    });

    sameAsOnHost(`is connected when it says so, and ends in order, ${how}`, async (place) => {
      const base = await serve(place, isSecure, echo);
      const session = connect(place, base);
      const states = [session.connecting, session.closed];
      const { log, closed } = record(session, place);
      const [, socket] = (await once(session, 'connect')) as [unknown, Socket];
      const ends = [
        socket.remoteAddress === place.host,
        typeof socket.remotePort,
        socket.localAddress === place.clientHost,
      ];
      expect(ends).to.deep.equal([true, 'number', true]);
      await ask(session, '/', Buffer.from('x'));
      session.close();
      await closed;
      return [states, log, session.encrypted, session.alpnProtocol, session.originSet?.length];
    });

    sameAsOnHost(`is not connected where nobody listens, ${how}`, async (place) => {
      const base = await serve(place, isSecure, echo);
      const session = connect(place, base.replace(/\d+$/, String(NOBODYS_PORT)));
      const { log, closed } = record(session, place);
      const stream = session.request({ ':path': '/' });
      stream.on('error', (error) => log.push(['stream', outcomeOf(error, place)]));
      await closed;
      return log;
    });

    sameAsOnHost(`suffers a reset in the middle of a stream, ${how}`, async (place) => {
      const base = await serve(place, isSecure, (stream, _, raw) => {
        stream.respond({ ':status': 200 });
        stream.write(pattern(10_000), () => later(() => raw?.resetAndDestroy()));
      });
      const session = connect(place, base);
      const { log, closed } = record(session, place);
      const stream = session.request({ ':path': '/' });
      stream.resume();
      stream.on('error', (error) => log.push(['stream', outcomeOf(error, place)]));
      stream.on('close', () => log.push(['stream closed', stream.rstCode]));
      await closed;
      return log.map((entry) => JSON.stringify(entry)).sort();
    });

    sameAsOnHost(`closes and resets streams of their own, ${how}`, async (place) => {
      const codes: number[] = [];
      const base = await serve(place, isSecure, (stream, headers) => {
        if (headers[':path'] === '/refuse') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        else stream.on('close', () => codes.push(stream.rstCode)).respond({ ':status': 200 });
      });
      const session = connect(place, base);
      const refused = session.request({ ':path': '/refuse' });
      const [error] = await once(refused, 'error');
      const left = session.request({ ':path': '/' });
      await once(left, 'response');
      left.close(http2.constants.NGHTTP2_CANCEL);
      await once(left, 'close');
      const pinged = await new Promise<boolean>((resolve) => {
        session.ping((failure) => resolve(failure === null));
      });
      return [outcomeOf(error, place), codes, pinged];
    });

    everywhere(`answers pings and leaves with GOAWAY, ${how}`, async (place) => {
      const base = await serve(place, isSecure, (stream) => {
        stream.respond({ ':status': 200 });
        stream.end();
        stream.session?.goaway();
      });
      const session = connect(place, base);
      await ask(session, '/', Buffer.alloc(0));
      if (!session.closed) await once(session, 'goaway');
    });
  }

  everywhere('is promised by promisify', async (place) => {
    const base = await serve(place, false, echo);
    const connecting = promisify(place.connectHttp2) as unknown as (
      url: string,
    ) => Promise<ClientHttp2Session>;
    const session = await connecting(base);
    expect(await ask(session, '/', Buffer.from('yes'))).to.deep.equal([200, sha1(Buffer.from('yes'))]);
    session.destroy();
    const failure = await connecting(base.replace(/\d+$/, '9')).catch((error: unknown) => error);
    expect(failure).to.include({ code: 'ECONNREFUSED' });
  });

  sameAsOnHost('is spoken by undici when the server offers it', async (place) => {
    const server = http2.createSecureServer(
      { ...certificates().server, allowHTTP1: true },
      (incoming, response) => {
        response.setHeader('x-version', incoming.httpVersion);
        incoming.pipe(response);
      },
    );
    server.on('session', (session) => place.later(() => session.destroy()));
    const port = await place.serve(server);
    const { ca, servername } = certificates();
    const versions: unknown[] = [];
    for (const allowH2 of [true, false]) {
      const dispatcher = place.dispatcher({ allowH2, connect: { ca, servername } });
      place.later(() => dispatcher.destroy());
      const body = pattern(500_000);
      for (let i = 0; i < 3; i++) {
        const url = `https://${place.host}:${port}/`;
        const answer = await request(url, { dispatcher, method: 'POST', body });
        versions.push(answer.headers['x-version']);
        expect(sha1(Buffer.from(await answer.body.arrayBuffer()))).to.equal(sha1(body));
      }
    }
    return versions;
  });
});
