/** `ws` and `undici` over a stack, as servers and as clients. */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { expect } from 'chai';
import { Agent, Client, fetch, request, WebSocket as UndiciWebSocket } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { certificate } from './support/certificate.js';
import { pattern, sha1 } from './support/content.js';
import { inStacks } from './support/worlds.js';

const listening = async (server: Server): Promise<number> => {
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const close = async (server: http.Server | https.Server): Promise<void> => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
};

describe('net: ws', () => {
  inStacks((world) => {
    for (const isSecure of [false, true]) {
      it(`carries messages of all sizes${isSecure ? ' over TLS' : ''}`, async () => {
        const { serverStack, clientStack, host } = world();
        const server = isSecure ? https.createServer({ ...certificate() }) : http.createServer();
        const sockets = new WebSocketServer({ server });
        sockets.on('connection', (accepted) => {
          accepted.on('message', (data, isBinary) => accepted.send(data, { binary: isBinary }));
        });
        serverStack.serve(server, 0, host);
        const port = await listening(server);
        const { cert, servername } = certificate();
        const socket = new WebSocket(`${isSecure ? 'wss' : 'ws'}://${host}:${port}/`, {
          agent: isSecure ? clientStack.httpsAgent() : clientStack.agent(),
          perMessageDeflate: true,
          // Handed on to TLS.
          ...({ ca: cert, servername } as object),
        });
        await once(socket, 'open');
        for (const bytes of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
          const message = pattern(bytes);
          socket.send(message);
          const [echo] = (await once(socket, 'message')) as [Buffer];
          expect(sha1(echo), `${bytes} bytes`).to.equal(sha1(message));
        }
        socket.ping('still there?');
        const [pong] = await once(socket, 'pong');
        expect(String(pong)).to.equal('still there?');
        socket.close(4000, 'enough');
        expect((await once(socket, 'close'))[0]).to.equal(4000);
        sockets.close();
        await close(server);
      });
    }

    it('lets the server close and terminate', async () => {
      const { serverStack, clientStack, host } = world();
      const server = http.createServer();
      const sockets = new WebSocketServer({ server });
      sockets.on('connection', (accepted, incoming) => {
        if (incoming.url === '/close') accepted.close(4001, 'no');
        else accepted.terminate();
      });
      serverStack.serve(server, 0, host);
      const port = await listening(server);
      for (const [path, code] of [
        ['/close', 4001],
        ['/terminate', 1006],
      ] as const) {
        const socket = new WebSocket(`ws://${host}:${port}${path}`, { agent: clientStack.agent() });
        socket.on('error', () => {});
        expect((await once(socket, 'close'))[0]).to.equal(code);
      }
      sockets.close();
      await close(server);
    });
  });
});

describe('net: undici', () => {
  inStacks((world) => {
    const body = pattern(500_000);

    async function serve(isSecure: boolean): Promise<{ server: http.Server | https.Server; port: number }> {
      const echo: http.RequestListener = (incoming, response) => {
        response.setHeader('x-path', incoming.url ?? '');
        incoming.pipe(response);
      };
      const server = isSecure ? https.createServer({ ...certificate() }, echo) : http.createServer(echo);
      world().serverStack.serve(server, 0, world().host);
      return { server, port: await listening(server) };
    }

    for (const isSecure of [false, true]) {
      const scheme = isSecure ? 'https' : 'http';
      const tlsOptions = (): object => {
        const { cert, servername } = certificate();
        return isSecure ? { ca: cert, servername } : {};
      };

      it(`requests and fetches, ${scheme}`, async () => {
        const { server, port } = await serve(isSecure);
        const { clientStack, host } = world();
        const dispatcher = new Agent({ connect: clientStack.connector(tlsOptions()), pipelining: 1 });
        const url = `${scheme}://${host}:${port}/path`;
        const answer = await request(url, { dispatcher, method: 'POST', body });
        expect(answer.headers['x-path']).to.equal('/path');
        expect(sha1(Buffer.from(await answer.body.arrayBuffer()))).to.equal(sha1(body));
        const fetched = await Promise.all(
          Array.from({ length: 10 }, () => fetch(url, { dispatcher, method: 'PUT', body, duplex: 'half' })),
        );
        for (const response of fetched) {
          expect(sha1(new Uint8Array(await response.arrayBuffer()))).to.equal(sha1(body));
        }
        await dispatcher.close();
        await close(server);
      });

      it(`pipelines on one connection, ${scheme}`, async () => {
        const { server, port } = await serve(isSecure);
        const { clientStack, host } = world();
        const connect = clientStack.connector(tlsOptions());
        const client = new Client(`${scheme}://${host}:${port}`, { connect, pipelining: 8 });
        const answers = await Promise.all(
          Array.from({ length: 24 }, async (_, i) => {
            const answer = await client.request({ path: `/${i}`, method: 'GET' });
            await answer.body.dump();
            return answer.headers['x-path'];
          }),
        );
        expect(answers).to.deep.equal(Array.from({ length: 24 }, (_, i) => `/${i}`));
        await client.close();
        await close(server);
      });
    }

    it('says what went wrong', async () => {
      const { clientStack, host } = world();
      const dispatcher = new Agent({ connect: clientStack.connector() });
      const error = await request(`http://${host}:9/`, { dispatcher }).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'ECONNREFUSED' });
      await dispatcher.destroy();
    });

    it('gives up a connection that nobody answers', async () => {
      const { serverStack, clientStack, host } = world();
      // TLS waits for an answer that never comes.
      const silent = serverStack.net.createServer((socket) => socket.on('error', () => {}).resume());
      silent.listen(0, host);
      const port = await listening(silent);
      const dispatcher = new Agent({ connect: clientStack.connector({ timeout: 30 }) });
      const error = await request(`https://${host}:${port}/`, { dispatcher }).catch(
        (reason: unknown) => reason,
      );
      expect(error).to.include({ code: 'UND_ERR_CONNECT_TIMEOUT' });
      await dispatcher.destroy();
      silent.close();
    });

    it('opens a WebSocket', async () => {
      const { serverStack, clientStack, host } = world();
      const server = http.createServer();
      const sockets = new WebSocketServer({ server });
      sockets.on('connection', (accepted) => accepted.send('welcome'));
      serverStack.serve(server, 0, host);
      const port = await listening(server);
      const dispatcher = new Agent({ connect: clientStack.connector() });
      const socket = new UndiciWebSocket(`ws://${host}:${port}/`, { dispatcher });
      const greeting = await new Promise((resolve) => {
        socket.addEventListener('message', ({ data }) => resolve(data));
      });
      expect(greeting).to.equal('welcome');
      const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
      socket.close();
      await closed;
      sockets.close();
      await close(server);
      await dispatcher.close();
    });
  });
});
