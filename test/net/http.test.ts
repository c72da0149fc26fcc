/** Node's `http` over a stack, as server and as client, unmodified. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { digestOf, pattern, sha1 } from './support/content.js';
import { inStacks } from './support/worlds.js';

async function request(
  options: http.RequestOptions,
  body?: Buffer | string,
): Promise<{ status: number | undefined; headers: http.IncomingHttpHeaders; body: string }> {
  const outgoing = http.request(options).end(body);
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

describe('net: http', () => {
  inStacks((world) => {
    async function serve(handler: http.RequestListener): Promise<{ server: http.Server; port: number }> {
      const server = http.createServer(handler);
      world().serverStack.serve(server, 0, world().host);
      await once(server, 'listening');
      return { server, port: (server.address() as AddressInfo).port };
    }

    const close = async (server: http.Server): Promise<void> => {
      server.close();
      await once(server, 'close');
    };

    it('serves a request, and knows both ends', async () => {
      const seen: unknown[] = [];
      const { server, port } = await serve((incoming, response) => {
        const { socket } = incoming;
        seen.push(incoming.url, socket.remoteAddress, socket.localPort === port);
        response.setHeader('x-answer', 'yes').end(`you asked for ${incoming.url}`);
      });
      const { host, clientHost, clientStack } = world();
      const agent = clientStack.agent();
      const answer = await request({ host, port, path: '/a', agent });
      expect(answer.status).to.equal(200);
      expect(answer.headers['x-answer']).to.equal('yes');
      expect(answer.body).to.equal('you asked for /a');
      expect(seen).to.deep.equal(['/a', clientHost, true]);
      await close(server);
    });

    it('works with `createConnection` and `server.emit` alone', async () => {
      const { host, server: serverNet, client } = world();
      const server = http.createServer((incoming, response) => incoming.pipe(response));
      const listener = serverNet.createServer((socket) => server.emit('connection', socket));
      listener.listen(0, host);
      await once(listener, 'listening');
      const { port } = listener.address() as AddressInfo;
      const createConnection = (): ReturnType<typeof client.connect> => client.connect(port, host);
      const answer = await request({ host, port, createConnection, method: 'POST' }, 'there and back');
      expect(answer.body).to.equal('there and back');
      listener.close();
      await once(listener, 'close');
    });

    it('uploads and downloads megabytes, in chunks and by length', async () => {
      const content = pattern(4_000_000);
      const { server, port } = await serve((incoming, response) => {
        void digestOf(incoming).then((digest) => {
          response.setHeader('x-digest', digest);
          if (incoming.url === '/length') response.setHeader('content-length', content.length);
          response.end(content);
        });
      });
      const { host, clientStack } = world();
      for (const path of ['/length', '/chunked']) {
        const outgoing = http.request({ host, port, path, method: 'PUT', agent: clientStack.agent() });
        outgoing.end(content);
        const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
        expect(response.headers['x-digest']).to.equal(sha1(content));
        expect(await digestOf(response)).to.equal(sha1(content));
      }
      await close(server);
    });

    it('keeps connections, and takes many requests at once', async () => {
      const ports = new Set<number | undefined>();
      const { server, port } = await serve((incoming, response) => {
        ports.add(incoming.socket.remotePort);
        response.end(incoming.url);
      });
      const { host, clientStack } = world();
      const agent = clientStack.agent({ keepAlive: true, maxSockets: 4 });
      const paths = Array.from({ length: 60 }, (_, i) => `/${i}`);
      const answers = await Promise.all(paths.map((path) => request({ host, port, path, agent })));
      expect(answers.map(({ body }) => body)).to.deep.equal(paths);
      expect(ports.size).to.equal(4);
      agent.destroy();
      await close(server);
    });

    it('streams through a slow reader', async () => {
      const content = pattern(1_000_000);
      const { server, port } = await serve((incoming, response) => {
        void pipeline(incoming, response);
      });
      const { host, clientStack } = world();
      const outgoing = http.request({ host, port, method: 'POST', agent: clientStack.agent() });
      outgoing.end(content);
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response) {
        chunks.push(chunk as Buffer);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(sha1(Buffer.concat(chunks))).to.equal(sha1(content));
      await close(server);
    });

    it('upgrades', async () => {
      const { server, port } = await serve(() => {});
      server.on('upgrade', (_incoming, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
        socket.pipe(socket);
      });
      const { host, clientStack } = world();
      const headers = { connection: 'upgrade', upgrade: 'echo' };
      const outgoing = http.request({ host, port, headers, agent: clientStack.agent() }).end();
      const [, socket] = (await once(outgoing, 'upgrade')) as [unknown, Socket];
      socket.write('echo');
      const [echo] = (await once(socket, 'data')) as [Buffer];
      expect(String(echo)).to.equal('echo');
      socket.end();
      await close(server);
    });

    it('says what went wrong', async () => {
      const { server, port } = await serve((incoming) => incoming.socket.destroy());
      const { host, clientStack } = world();
      const agent = clientStack.agent();
      const [hangUp] = await once(http.get({ host, port, agent }), 'error');
      expect(hangUp).to.include({ code: 'ECONNRESET', message: 'socket hang up' });
      await close(server);
      const [refused] = await once(http.get({ host, port, agent }), 'error');
      expect(refused).to.include({ code: 'ECONNREFUSED', syscall: 'connect', address: host, port });
      const controller = new AbortController();
      const stuck = await serve(() => controller.abort());
      const { signal } = controller;
      const [aborted] = await once(http.get({ host, port: stuck.port, agent, signal }), 'error');
      expect(aborted).to.include({ code: 'ABORT_ERR' });
      await close(stuck.server);
    });

    it('lets timeouts of both sides end a silence', async () => {
      const { server, port } = await serve(() => {});
      const { host, clientStack } = world();
      const outgoing = http.get({ host, port, agent: clientStack.agent(), timeout: 20 });
      await once(outgoing, 'timeout');
      outgoing.destroy();
      await once(outgoing, 'error');
      server.setTimeout(20);
      const silent = http.get({ host, port, agent: clientStack.agent() });
      const [error] = await once(silent, 'error');
      expect(error).to.include({ code: 'ECONNRESET' });
      await close(server);
    });

    it('closes idle connections with the server', async () => {
      const { server, port } = await serve((_, response) => response.end('x'));
      const { host, clientStack } = world();
      const agent = clientStack.agent({ keepAlive: true });
      await request({ host, port, agent });
      expect(Object.keys(agent.freeSockets)).to.have.length(1);
      const [socket] = Object.values(agent.freeSockets).flat();
      const gone = once(socket as NodeJS.EventEmitter, 'close');
      await close(server);
      await gone;
    });
  });
});
