/** Clients of HTTP and HTTPS over a stack: what they get and what they suffer is what they do on the host. */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { pattern, sha1 } from '../net/support/content.js';
import { NOBODYS_PORT } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { type Ask, CLIENTS } from './support/clients.js';
import { later } from './support/later.js';
import { outcomeOf, type Place, sameAsOnHost } from './support/places.js';

const PART = pattern(100_000);

/** What a server does, by path. */
interface Behaviour {
  answer(request: IncomingMessage, response: ServerResponse, raw: Socket): void;
}

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  '/echo': { answer: (request, response) => void request.pipe(response) },
  '/by-length': {
    answer(request, response) {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        response.setHeader('content-length', body.length).end(body);
      });
    },
  },
  '/missing': { answer: (_, response) => void response.writeHead(404).end('nothing here') },
  // The connection is reset in the middle of a body whose length was told.
  '/reset': {
    answer(_, response, raw) {
      response.writeHead(200, { 'content-length': 10 * PART.length });
      response.write(PART, () => later(() => raw.resetAndDestroy()));
    },
  },
  // The same in a body without a length, whose end would have been told.
  '/chunked-reset': {
    answer(_, response, raw) {
      response.write(PART, () => later(() => raw.resetAndDestroy()));
    },
  },
  // It ends in order, but before the body does.
  '/short': {
    answer(_, response, raw) {
      response.writeHead(200, { 'content-length': 10 * PART.length });
      response.write(PART, () => later(() => raw.end()));
    },
  },
  '/reset-at-once': { answer: (_, __, raw) => void raw.resetAndDestroy() },
  '/end-at-once': { answer: (_, __, raw) => void raw.destroy() },
};

/** `raw` is the connection below TLS. */
async function serve(place: Place, isSecure: boolean, hung: () => void): Promise<string> {
  const below = new WeakMap<object, Socket>();
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const raw = below.get(socket) ?? socket;
    const path = request.url ?? '';
    if (path === '/hang') hung();
    else BEHAVIOURS[path]?.answer(request, response, raw);
  };
  const server = isSecure ? https.createServer(certificates().server, handler) : http.createServer(handler);
  // The connections come in the order in which their handshakes end only where there is one at a time.
  let last: Socket | undefined;
  server.on('connection', (raw: Socket) => {
    last = raw.on('error', () => {});
  });
  server.on('secureConnection', (socket: Socket) => {
    socket.on('error', () => {});
    if (last !== undefined) below.set(socket, last);
  });
  const port = await place.serve(server);
  return `${isSecure ? 'https' : 'http'}://${place.host}:${port}`;
}

const failureOf = async (place: Place, asking: ReturnType<Ask>): Promise<unknown> => {
  try {
    return await asking;
  } catch (error) {
    return outcomeOf(error, place);
  }
};

for (const [name, make] of Object.entries(CLIENTS)) {
  describe(`ecosystem: ${name}`, () => {
    for (const isSecure of [false, true]) {
      const scheme = isSecure ? 'https' : 'http';

      sameAsOnHost(`gets and sends megabytes, ${scheme}`, async (place) => {
        const ask = make(place);
        const base = await serve(place, isSecure, () => {});
        const body = pattern(3_000_000);
        const answers = [
          await ask({ url: `${base}/echo`, method: 'POST', body }),
          await ask({ url: `${base}/by-length`, method: 'POST', body }),
          await ask({ url: `${base}/missing` }),
        ];
        expect(answers[0]).to.deep.equal({ status: 200, digest: sha1(body), bytes: body.length });
        return answers;
      });

      sameAsOnHost(`asks fifty times at once, ${scheme}`, async (place) => {
        const ask = make(place);
        const base = await serve(place, isSecure, () => {});
        const bodies = Array.from({ length: 50 }, (_, i) => pattern(1 + i * 1000));
        return Promise.all(bodies.map((body) => ask({ url: `${base}/echo`, method: 'POST', body })));
      });

      sameAsOnHost(`suffers resets and early ends, ${scheme}`, async (place) => {
        const ask = make(place);
        const base = await serve(place, isSecure, () => {});
        const outcomes: unknown[] = [];
        for (const path of ['/reset', '/chunked-reset', '/short', '/reset-at-once', '/end-at-once']) {
          outcomes.push([path, await failureOf(place, ask({ url: `${base}${path}` }))]);
        }
        // It goes on working.
        outcomes.push(await ask({ url: `${base}/echo`, method: 'POST', body: PART }));
        return outcomes;
      });

      sameAsOnHost(`is refused, and gives up when told to, ${scheme}`, async (place) => {
        const ask = make(place);
        const controller = new AbortController();
        const base = await serve(place, isSecure, () => controller.abort());
        const { signal } = controller;
        const refused = base.replace(/\d+$/, String(NOBODYS_PORT));
        return [
          await failureOf(place, ask({ url: `${refused}/` })),
          await failureOf(place, ask({ url: `${base}/hang`, signal })),
          await failureOf(place, ask({ url: `${base}/echo`, signal })),
        ];
      });
    }
  });
}
