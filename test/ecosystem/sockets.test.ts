/** `ws` and socket.io over a stack, as servers and clients. */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { Server as IoServer } from 'socket.io';
import { type Socket as IoSocket, io, type ManagerOptions, type SocketOptions } from 'socket.io-client';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { digestOf, pattern, sha1 } from '../net/support/content.js';
import { until } from '../net/support/recording.js';
import { NOBODYS_PORT } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { outcomeOf, type Place, sameAsOnHost } from './support/places.js';

const serverOf = (isSecure: boolean): http.Server =>
  isSecure ? https.createServer(certificates().server) : http.createServer();

function agentOf(place: Place, isSecure: boolean): http.Agent {
  const { ca, servername } = certificates();
  const agent = isSecure ? place.httpsAgent({ ca, servername }) : place.agent();
  place.later(() => agent.destroy());
  return agent;
}

for (const isSecure of [false, true]) {
  const how = isSecure ? ', over TLS' : '';

  describe(`ecosystem: ws${how}`, () => {
    async function serve(
      place: Place,
      accept: (socket: WebSocket, raw: Socket) => void,
    ): Promise<() => WebSocket> {
      const server = serverOf(isSecure);
      let raw: Socket | undefined;
      server.on('connection', (socket: Socket) => {
        raw = socket.on('error', () => {});
      });
      const sockets = new WebSocketServer({ server });
      sockets.on('connection', (socket) =>
        accept(
          socket.on('error', () => {}),
          raw as Socket,
        ),
      );
      place.later(() => sockets.close());
      const port = await place.serve(server);
      const agent = agentOf(place, isSecure);
      const url = `${isSecure ? 'wss' : 'ws'}://${place.host}:${port}/`;
      return () => new WebSocket(url, { agent });
    }

    sameAsOnHost('echoes messages of all sizes, in order', async (place) => {
      const connect = await serve(place, (socket) => {
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      });
      const socket = connect();
      await once(socket, 'open');
      const sizes = [0, 1, 125, 126, 65_535, 65_536, 3_000_000];
      const digests: string[] = [];
      socket.on('message', (data: Buffer) => digests.push(sha1(data)));
      for (const size of sizes) socket.send(pattern(size));
      await until(() => digests.length === sizes.length);
      expect(digests).to.deep.equal(sizes.map((size) => sha1(pattern(size))));
      socket.close(4000, 'enough');
      const [code, reason] = await once(socket, 'close');
      return [digests, code, String(reason)];
    });

    sameAsOnHost('streams, and half-closes', async (place) => {
      const content = pattern(4_000_000);
      const connect = await serve(place, (socket) => {
        const stream = createWebSocketStream(socket);
        stream.on('error', () => {}).pipe(stream);
      });
      const socket = connect();
      const stream = createWebSocketStream(socket);
      stream.end(content);
      let left = content.length;
      const hash = digestOf(stream);
      stream.on('data', (chunk: Buffer) => {
        left -= chunk.length;
      });
      await until(() => left === 0 || socket.readyState === WebSocket.CLOSED);
      await hash;
      return [left, await hash];
    });

    sameAsOnHost('tells refusals, resets and strangers', async (place) => {
      const connect = await serve(place, (socket, raw) => {
        socket.send('one');
        socket.on('message', () => raw.resetAndDestroy());
      });
      const outcomes: unknown[] = [];
      const reset = connect();
      reset.on('message', (data: Buffer) => {
        outcomes.push(data.toString());
        reset.send('seen');
      });
      reset.on('error', (error) => outcomes.push(outcomeOf(error, place)));
      outcomes.push(await new Promise((resolve) => reset.on('close', resolve)));
      const plain = http.createServer((_, response) => response.writeHead(403).end());
      const port = await place.serve(plain);
      const forbidden = new WebSocket(`ws://${place.host}:${port}/`, { agent: agentOf(place, false) });
      outcomes.push(outcomeOf((await once(forbidden, 'error'))[0], place));
      const refused = new WebSocket(`ws://${place.host}:${NOBODYS_PORT}/`, { agent: agentOf(place, false) });
      outcomes.push(outcomeOf((await once(refused, 'error'))[0], place));
      const left = connect();
      left.on('error', (error) => outcomes.push(outcomeOf(error, place)));
      left.terminate();
      await new Promise((resolve) => left.on('close', resolve));
      return outcomes;
    });
  });

  describe(`ecosystem: socket.io${how}`, () => {
    interface Served {
      readonly server: IoServer;
      connect(options?: Partial<ManagerOptions & SocketOptions>): IoSocket;
    }

    async function serve(place: Place): Promise<Served> {
      const httpServer = serverOf(isSecure);
      const server = new IoServer(httpServer, { maxHttpBufferSize: 1e8 });
      place.later(() => server.close());
      const port = await place.serve(httpServer);
      const agent = agentOf(place, isSecure);
      return {
        server,
        connect(options) {
          const url = `${isSecure ? 'https' : 'http'}://${place.host}:${port}`;
          // The types know of agents for browsers only.
          const socket = io(url, { forceNew: true, agent: agent as never, ...options });
          place.later(() => socket.disconnect());
          return socket;
        },
      };
    }

    for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
      sameAsOnHost(`carries events and megabytes by ${transports.join(' and then ')}`, async (place) => {
        const { server, connect } = await serve(place);
        server.on('connection', (socket) => {
          socket.on('echo', (content: Buffer, answer: (content: Buffer) => void) => answer(content));
          socket.on('join', (room: string, done: () => void) => {
            void Promise.resolve(socket.join(room)).then(done);
          });
        });
        const clients = [connect({ transports }), connect({ transports })];
        const content = pattern(2_000_000);
        const answers = await Promise.all(
          clients.map(async (client) => {
            const answer = (await client.emitWithAck('echo', content)) as Buffer;
            await client.emitWithAck('join', 'room');
            return sha1(answer);
          }),
        );
        expect(answers).to.deep.equal([sha1(content), sha1(content)]);
        const heard = clients.map((client) => new Promise((resolve) => client.once('news', resolve)));
        server.to('room').emit('news', { to: 'all' });
        const reasons = clients.map((client) => new Promise((resolve) => client.once('disconnect', resolve)));
        const news = await Promise.all(heard);
        server.disconnectSockets(true);
        return [answers, news, await Promise.all(reasons)];
      });
    }

    sameAsOnHost('comes back after its connection was reset', async (place) => {
      const { server, connect } = await serve(place);
      const raws: Socket[] = [];
      (server.httpServer as http.Server).on('connection', (raw: Socket) =>
        raws.push(raw.on('error', () => {})),
      );
      const client = connect({ transports: ['websocket'], reconnectionDelay: 1, randomizationFactor: 0 });
      const log: unknown[] = [];
      client.on('connect', () => log.push('connect'));
      client.on('disconnect', (reason) => log.push(reason));
      await until(() => client.connected);
      for (const raw of raws.splice(0)) raw.resetAndDestroy();
      await until(() => log.length === 3);
      return log;
    });
  });
}
