/** TCP Fast Open by sockets and servers, which `node:net` has not (RFC 7413). */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { StackSocket } from '../../lib/net/socket.js';
import { inStacks, type StackWorld } from './support/worlds.js';

type Connect = (options: object) => StackSocket;

/** Sends before the connection is made; the whole answer. */
async function ask(world: StackWorld, options: object, ...pieces: readonly string[]): Promise<string> {
  const socket = (world.client.connect as unknown as Connect)({ host: world.host, ...options });
  const written: string[] = [];
  for (const piece of pieces) socket.write(piece, () => written.push(socket.connecting ? 'early' : piece));
  const bytes = pieces.join('').length;
  expect(socket.bytesWritten).to.equal(bytes);
  socket.end();
  let answer = '';
  socket.on('data', (data: Buffer) => {
    answer += String(data);
  });
  await once(socket, 'close');
  expect(written).to.deep.equal(pieces);
  expect(socket.bytesWritten).to.equal(bytes);
  return answer;
}

describe('net: Fast Open', () => {
  inStacks((world) => {
    const echo = async (options: object): Promise<number> => {
      const server = world().server.createServer((socket) => socket.pipe(socket));
      server.listen({ port: 0, host: world().host, ...options });
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    };

    it('sends with the SYN what was written before, the second time [TFO-10]', async () => {
      const port = await echo({ fastOpen: true });
      const { tcp } = world().clientStack.stats;
      for (const used of [0, 1, 2]) {
        expect(await ask(world(), { port, fastOpen: true }, 'a question, ', 'and ', 'more')).to.equal(
          'a question, and more',
        );
        expect(tcp.fastOpenActive).to.equal(used);
      }
      expect(world().serverStack.stats.tcp.fastOpenPassive).to.equal(2);
      const long = 'x'.repeat(300_000);
      expect(await ask(world(), { port, fastOpen: true }, long)).to.equal(long);
      expect(tcp).to.include({ fastOpenActive: 3, fastOpenActiveFail: 0 });
    });

    it('is for those who ask for it, and works with those who do not [TFO-10]', async () => {
      const plain = await echo({});
      const open = await echo({ fastOpen: true });
      for (let i = 0; i < 2; i++) {
        expect(await ask(world(), { port: plain, fastOpen: true }, 'one')).to.equal('one');
        expect(await ask(world(), { port: open }, 'two')).to.equal('two');
      }
      expect(world().clientStack.stats.tcp).to.include({ fastOpenActive: 0, fastOpenActiveFail: 0 });
      expect(world().serverStack.stats.tcp).to.include({ fastOpenPassive: 0 });
    });

    it('tells of the failure of an attempt that had sent something', async () => {
      const port = await echo({ fastOpen: true });
      await ask(world(), { port, fastOpen: true }, 'now the cookie is known');
      const socket = (world().client.connect as unknown as Connect)({
        host: world().host,
        port: 1,
        fastOpen: true,
      });
      const outcome = new Promise((resolve) => socket.write('lost', resolve));
      socket.on('error', () => {});
      expect(await outcome).to.include({ code: 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION' });
      expect(() => world().client.connect({ host: world().host, port, fastOpen: 1 } as never))
        .to.throw(TypeError)
        .with.property('code', 'ERR_INVALID_ARG_TYPE');
    });

    it('serves http, requests and all, before the handshake ends', async () => {
      const server = http.createServer((request, response) => response.end(request.url));
      world().serverStack.serve(server, { port: 0, host: world().host, fastOpen: true });
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const request = 'GET /fast HTTP/1.0\r\n\r\n';
      for (let i = 0; i < 2; i++) {
        expect(await ask(world(), { port, fastOpen: true }, request)).to.match(/^HTTP\/1\.1 200[^]*\/fast$/);
      }
      expect(world().serverStack.stats.tcp.fastOpenPassive).to.equal(1);
      server.close();
    });
  });
});
