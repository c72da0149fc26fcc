/** Sockets that connect to a path: they stand on the host's, and behave as those of `node:net`. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import nodeNet, { type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pattern, sha1 } from './support/content.js';
import { hostWorld, loopbackWorld, type World } from './support/worlds.js';

for (const make of [hostWorld, loopbackWorld]) {
  describe(`net: paths, of ${make === hostWorld ? 'node:net' : 'a stack'}`, () => {
    let world: World;
    let directory = '';
    let path = '';
    let server: Server;
    let accepted: Socket[] = [];
    beforeEach(async () => {
      world = make();
      directory = mkdtempSync(join(tmpdir(), 'tunstack-paths-'));
      path = join(directory, 'socket');
      server = nodeNet.createServer({ allowHalfOpen: true }, (socket) => {
        accepted.push(socket);
        socket.pipe(socket).on('error', () => {});
      });
      server.listen(path);
      await once(server, 'listening');
    });
    afterEach(() => {
      server.close();
      for (const socket of accepted) socket.destroy();
      accepted = [];
      world.close();
      rmSync(directory, { recursive: true, force: true });
    });

    /** What the socket tells while it sends `text` and gets it back. */
    async function exchange(socket: Socket, text: Buffer): Promise<string[]> {
      const log: string[] = [];
      const chunks: Buffer[] = [];
      for (const event of ['connect', 'ready', 'end', 'finish', 'close'])
        socket.on(event, () => log.push(event));
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.end(text);
      await once(socket, 'close');
      log.push(sha1(Buffer.concat(chunks)), `${socket.bytesRead} ${socket.bytesWritten}`);
      return log;
    }

    const outcome = (text: Buffer): string[] => {
      const { length } = text;
      return ['connect', 'ready', 'finish', 'end', 'close', sha1(text), `${length} ${length}`];
    };

    it('connects by the constructor, by connect and by options, and moves text both ways', async () => {
      const { Socket: AnySocket, connect, createConnection } = world.client;
      const small = pattern(1000);
      for (const open of [
        () => new AnySocket().connect(path),
        () => new AnySocket().connect({ path }),
        () => connect(path),
        () => createConnection({ path }),
      ]) {
        const socket = open();
        expect([socket.connecting, socket.pending, socket.readyState]).to.deep.equal([true, true, 'opening']);
        expect(await exchange(socket, small)).to.deep.equal(outcome(small));
      }
      const large = pattern(3_000_000);
      expect(await exchange(new AnySocket().connect(path), large)).to.deep.equal(outcome(large));
    });

    it('is used again: for a path after a port, and for a port after a path', async () => {
      const text = pattern(5000);
      const tcp = world.server.createServer({ allowHalfOpen: true }, (peer) => void peer.pipe(peer));
      tcp.listen(0, world.host);
      await once(tcp, 'listening');
      const { port } = tcp.address() as { port: number };
      const socket = new world.client.Socket();
      for (const turn of ['port', 'path', 'port', 'path']) {
        if (turn === 'port') socket.connect(port, world.host);
        else socket.connect(path);
        let remotePort: number | undefined;
        socket.once('connect', () => {
          ({ remotePort } = socket);
        });
        const log = await exchange(socket, text);
        expect(log.slice(-2), turn).to.deep.equal([sha1(text), '5000 5000']);
        expect(remotePort === port, turn).to.equal(turn === 'port');
        socket.removeAllListeners('data');
      }
      tcp.close();
    });

    it('says that nobody listens, and that there is no such path', async () => {
      const missing = join(directory, 'missing');
      const socket = new world.client.Socket().connect(missing);
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException & { address?: string }];
      const { code, syscall, address, message } = error;
      expect([code, syscall, address]).to.deep.equal(['ENOENT', 'connect', missing]);
      expect(message).to.equal(`connect ENOENT ${missing}`);
      const [hadError] = (await once(socket, 'close')) as [boolean];
      expect(hadError).to.equal(true);
    });

    it('has no addresses, reads into memory it was given, and waits where it is paused', async () => {
      const buffer = Buffer.alloc(100);
      const got: Buffer[] = [];
      const callback = (bytes: number): boolean => {
        got.push(Buffer.from(buffer.subarray(0, bytes)));
        return true;
      };
      const text = pattern(1000);
      const reader = new world.client.Socket({ onread: { buffer, callback } } as object);
      reader.connect(path);
      reader.end(text);
      await once(reader, 'close');
      expect(sha1(Buffer.concat(got))).to.equal(sha1(text));
      const socket = new world.client.Socket();
      socket.connect(path);
      await once(socket.pause(), 'connect');
      expect([socket.address(), socket.remoteAddress, socket.localPort]).to.deep.equal([
        {},
        undefined,
        undefined,
      ]);
      socket.setNoDelay(true).setKeepAlive(true);
      socket.write('hello');
      const [chunk] = (await once(socket.resume(), 'data')) as [Buffer];
      expect(String(chunk)).to.equal('hello');
      socket.destroy();
      await once(socket, 'close');
    });
  });
}
