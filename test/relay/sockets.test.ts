/** The relay between sockets: the kernel's, a stack's, and TLS over either; ended in every state. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import nodeNet, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import nodeTls from 'node:tls';
import { expect } from 'chai';
import { SeededRandom, Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { hiddenError } from '../../lib/relay/host-socket.js';
import { type RelayResult, relay } from '../../lib/relay/relay.js';
import { certificate } from '../net/support/certificate.js';
import { ManualTimers } from './support/manual-timers.js';
import { allOf, listenersOf } from './support/wire.js';

type Socket = Duplex & { resetAndDestroy?(): unknown };
interface Server {
  listen(port: number, host: string): unknown;
  address(): unknown;
  close(): unknown;
  on(event: string, listener: (socket: Socket) => void): unknown;
}

/** What makes connections of one kind. */
interface Kind {
  readonly name: string;
  readonly hasRst: boolean;
  serve(): Server;
  connect(port: number): Socket;
}

const HOST = '127.0.0.1';

/** Ends of both kinds of a connection that a relay joins: what is far is on the other side of a network. */
interface Ends {
  readonly left: Socket;
  readonly right: Socket;
  readonly a: Socket;
  readonly b: Socket;
  readonly timers: ManualTimers;
  readonly result: Promise<RelayResult>;
}

const closed = (stream: Duplex): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', () => resolve());
  });

/** Writes until it hears that nobody takes it any more: who has read to the end hears of a reset in no other way. */
async function writeUntilClosed(stream: Duplex): Promise<void> {
  const writing = setInterval(() => stream.write('more'), 5);
  stream.resume();
  await closed(stream);
  clearInterval(writing);
}

describe('relay between sockets', () => {
  let stack: Stack;
  const servers: Server[] = [];

  const kinds: Kind[] = [
    {
      name: 'node:net',
      hasRst: true,
      serve: () => nodeNet.createServer({ allowHalfOpen: true }),
      connect: (port) => nodeNet.connect({ port, host: HOST, allowHalfOpen: true }),
    },
    {
      name: 'stack.net',
      hasRst: true,
      serve: () => stack.net.createServer({ allowHalfOpen: true }),
      connect: (port) => stack.net.connect({ port, host: HOST, allowHalfOpen: true }),
    },
    {
      name: 'node:tls',
      hasRst: false,
      serve: () => nodeTls.createServer({ ...certificate(), allowHalfOpen: true } as nodeTls.TlsOptions),
      connect: (port) =>
        nodeTls.connect({
          port,
          host: HOST,
          rejectUnauthorized: false,
          allowHalfOpen: true,
        } as nodeTls.ConnectionOptions),
    },
  ];

  before(() => {
    stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    stack.hold();
  });
  after(() => {
    stack.release();
    stack.close();
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** A connection of a kind: who has connected, and who has accepted. */
  async function connection(kind: Kind): Promise<[Socket, Socket]> {
    const server = kind.serve();
    servers.push(server);
    const event = kind.hasRst ? 'connection' : 'secureConnection';
    const accepted = new Promise<Socket>((resolve) => server.on(event, resolve));
    server.listen(0, HOST);
    await once(server as unknown as NodeJS.EventEmitter, 'listening');
    const near = kind.connect((server.address() as AddressInfo).port);
    near.on('error', () => {});
    const far = await accepted;
    far.on('error', () => {});
    return [near, far];
  }

  async function joined(from: Kind, to: Kind): Promise<Ends> {
    const [left, a] = await connection(from);
    const [b, right] = await connection(to);
    const timers = new ManualTimers();
    return { left, right, a, b, timers, result: relay(a, b, { timers }) };
  }

  async function isOver({ a, b, timers }: Ends): Promise<void> {
    await Promise.all([closed(a), closed(b)]);
    expect(timers.count).to.equal(0);
  }

  for (const from of kinds) {
    for (const to of kinds) {
      describe(`${from.name} and ${to.name}`, () => {
        it('passes much text both ways at once, and ends', async () => {
          const ends = await joined(from, to);
          const [up, down] = [Buffer.alloc(5_000_000, 'up'), Buffer.alloc(5_000_000, 'down')];
          ends.left.end(up);
          ends.right.end(down);
          const [atRight, atLeft] = await Promise.all([allOf(ends.right), allOf(ends.left)]);
          expect(atRight.equals(up) && atLeft.equals(down)).to.equal(true);
          expect(await ends.result).to.deep.equal({
            bytesAB: up.length,
            bytesBA: down.length,
            endedBy: 'both',
          });
          await isOver(ends);
        });

        it('leaves one direction open when the other has ended', async () => {
          const ends = await joined(from, to);
          ends.left.end('question');
          expect(String(await allOf(ends.right))).to.equal('question');
          ends.right.end('answer');
          expect(String(await allOf(ends.left))).to.equal('answer');
          expect((await ends.result).endedBy).to.equal('both');
          await isOver(ends);
        });

        for (const state of ['open', 'after text', 'ended by one side', 'ended by the other'] as const) {
          it(`ends both when one is destroyed, ${state}`, async () => {
            const ends = await joined(from, to);
            const { left, right } = ends;
            if (state === 'after text') {
              left.write('text');
              await once(right, 'data');
            } else if (state === 'ended by one side') {
              left.end('text');
              await allOf(right);
            } else if (state === 'ended by the other') {
              right.end('text');
              await allOf(left);
            }
            if (from.hasRst) left.resetAndDestroy?.();
            else left.destroy();
            await writeUntilClosed(right);
            // Under TLS whoever has read to the end and goes ends in order, with a close_notify.
            const ways = from.hasRst ? ['a', 'b'] : ['a', 'b', 'both'];
            expect((await ends.result).endedBy).to.be.oneOf(ways);
            await isOver(ends);
          });
        }
      });
    }
  }

  it('passes on all of a text before its end, so that a part is never taken for the whole', async () => {
    const ends = await joined(kinds[0], kinds[0]);
    const { left, right, a, b } = ends;
    right.pause();
    // Nobody reads: until the kernel's buffers are full, and a little waits in the stream.
    const piece = Buffer.alloc(8192);
    let written = 0;
    for (let turns = 0; turns < 200; turns = b.writableLength > 0 ? turns + 1 : 0) {
      if (b.writableLength === 0) {
        left.write(piece);
        written += piece.length;
        while ((a as nodeNet.Socket).bytesRead < written) await nextTurn();
      }
      await nextTurn();
    }
    left.end();
    await once(a, 'end');
    expect(b.writableLength).to.equal(piece.length);
    ends.timers.advance(240_000);
    expect((await ends.result).endedBy).to.equal('idle');
    const ended = once(right, 'end').then(
      () => hiddenError(right),
      (error: NodeJS.ErrnoException) => error.code,
    );
    right.resume();
    expect(await ended).to.equal('ECONNRESET');
    await isOver(ends);
  });

  it('ends sockets of the file system, which know no reset, in every way', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-relay-'));
    const server = nodeNet.createServer({ allowHalfOpen: true });
    servers.push(server);
    server.listen(join(directory, 'socket'));
    await once(server, 'listening');
    const pair = async (): Promise<[Socket, Socket]> => {
      const near = nodeNet.connect({ path: join(directory, 'socket'), allowHalfOpen: true });
      const [far] = (await once(server, 'connection')) as [Socket];
      return [near.on('error', () => {}), far.on('error', () => {})];
    };
    try {
      for (const way of ['idle', 'destroyed', 'both'] as const) {
        const [[left, a], [b, right]] = [await pair(), await pair()];
        const timers = new ManualTimers();
        const result = relay(a, b, { timers });
        if (way === 'idle') timers.advance(7_440_000);
        else if (way === 'destroyed') b.destroy();
        else {
          left.end('question');
          right.end('answer');
          const texts = await Promise.all([allOf(left), allOf(right)]);
          expect(texts.map(String)).to.deep.equal(['answer', 'question']);
        }
        expect((await result).endedBy).to.equal(way === 'destroyed' ? 'b' : way);
        for (const end of [left, right]) end.resume().end();
        await Promise.all([left, a, b, right].map(closed));
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('takes no reset for an end that comes with the last text', async () => {
    for (const hasEnded of [false, true]) {
      const ends = await joined(kinds[0], kinds[1]);
      const { left, right } = ends;
      if (hasEnded) {
        right.end();
        await allOf(left);
      }
      left.write('text');
      left.resetAndDestroy?.();
      const [error] = (await once(right.resume(), 'error')) as [NodeJS.ErrnoException];
      expect(error.code).to.equal('ECONNRESET');
      const { endedBy, error: reason } = await ends.result;
      expect([endedBy, (reason as NodeJS.ErrnoException).code]).to.deep.equal(['a', 'ECONNRESET']);
      await isOver(ends);
    }
  });

  it('leaves nothing of 1,000 flows between stack and kernel that are reset at random [I]', async function () {
    this.timeout(60_000);
    const random = new SeededRandom(7);
    const chance = (): number => random.uint32() / 2 ** 32;
    const timers = new ManualTimers();
    const server = kinds[0].serve();
    servers.push(server);
    let far = 0;
    server.on('connection', (socket) => {
      far++;
      socket.on('error', () => {}).on('close', () => far--);
      socket.on('data', (bytes: Buffer) => {
        if (chance() < 0.3) socket.resetAndDestroy?.();
        else socket.write(bytes);
      });
      socket.on('end', () => socket.end());
    });
    server.listen(0, HOST);
    await once(server as unknown as NodeJS.EventEmitter, 'listening');
    const { port } = server.address() as AddressInfo;
    const streams: Duplex[] = [];
    const ends: Record<string, number> = {};
    const proxy = stack.net.createServer({ allowHalfOpen: true }, (accepted) => {
      const dialled = nodeNet.connect({ port, host: HOST, allowHalfOpen: true });
      streams.push(accepted, dialled);
      void relay(accepted, dialled, { timers }).then(({ endedBy }) => {
        ends[endedBy] = (ends[endedBy] ?? 0) + 1;
      });
    });
    proxy.listen(0, HOST);
    await once(proxy, 'listening');
    const at = (proxy.address() as AddressInfo).port;
    const flow = async (): Promise<void> => {
      const client = stack.net.connect({ port: at, host: HOST });
      const over = closed(client);
      client.on('error', () => {});
      client.on('data', () => {
        if (chance() < 0.3) client.resetAndDestroy();
        else client.end();
      });
      client.write(Buffer.alloc(1 + Math.floor(chance() * 50_000)));
      await over;
    };
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 50; i++) await flow();
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    await Promise.all(streams.map(closed));
    proxy.close();
    expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).to.equal(1000);
    expect(timers.count).to.equal(0);
    // Those of the kinds' own, which are there before any relay.
    const bare = listenersOf(new nodeNet.Socket()) + 2;
    expect(Math.max(...streams.map(listenersOf))).to.be.at.most(bare);
    while (far > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});
