/** Memory for received text, and what a socket asks of its endpoint, against an endpoint that is played. */
import type nodeNet from 'node:net';
import { expect } from 'chai';
import type { Endpoint, SocketStack, TextSink } from '../../lib/net/context.js';
import { createNet } from '../../lib/net/net.js';
import { type Piece, ReceiveSlab, SLAB_BYTES, viewOf } from '../../lib/net/receive-slab.js';
import type { TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { pattern, sha1 } from './support/content.js';
import { newStack } from './support/worlds.js';

/** Bytes of memory that these keep alive. */
const pinnedBy = (chunks: readonly Buffer[]): number => {
  let bytes = 0;
  for (const memory of new Set(chunks.map(({ buffer }) => buffer))) bytes += memory.byteLength;
  return bytes;
};

describe('net: the receive slab', () => {
  /** One delivery of `length` bytes of `content` at `at`, gathered in parts. */
  function deliver(slab: ReceiveSlab, content: Buffer, at: number, lengths: readonly number[]): Buffer[] {
    const pieces: Piece[] = [];
    let from = at;
    for (const length of lengths) {
      slab.append(pieces, viewOf(content), from, length);
      from += length;
    }
    return pieces.map((piece) => slab.take(piece));
  }

  it('joins what comes in one batch, and keeps every byte', () => {
    const slab = new ReceiveSlab();
    const content = pattern(200_000);
    const chunks: Buffer[] = [];
    let at = 0;
    for (let i = 0; at < content.length; i++) {
      const parts = [1, 40, 48, 49, 1460, 30_000, 65_160].map((length) =>
        Math.min(length, content.length - at),
      );
      const lengths: number[] = [];
      for (const length of parts.slice(i % 7)) {
        if (at + length > content.length) break;
        lengths.push(length);
        at += length;
      }
      const sum = lengths.reduce((total, length) => total + length, 0);
      const delivered = deliver(slab, content, at - sum, lengths);
      if (sum <= 1460 * 2) expect(delivered.length).to.be.at.most(2);
      chunks.push(...delivered);
    }
    expect(sha1(Buffer.concat(chunks))).to.equal(sha1(content));
  });

  it('never lets a small piece keep a large memory alive [C19]', () => {
    for (const length of [1, 100, 1460, 4000, 8191, 8192, 20_000, 40_000, 65_160]) {
      const slab = new ReceiveSlab();
      const content = pattern(length);
      const kept: Buffer[] = [];
      // Of every delivery one is kept, and as many others are thrown away.
      for (let i = 0; i < 400; i++) {
        const [chunk] = deliver(slab, content, 0, [length]);
        if (i % 4 === 0) kept.push(chunk);
      }
      // Node's own pool, of 8 or 64 KiB, holds the smallest.
      const allowed = Math.max(
        8 * length * kept.length,
        length < 4096 ? 4 * (Buffer.poolSize + length * kept.length) : 0,
      );
      expect(pinnedBy(kept), `${length} bytes`).to.be.at.most(allowed);
    }
  });

  it('uses a slab again that nobody holds', () => {
    const slab = new ReceiveSlab();
    const memories = new Set<ArrayBufferLike>();
    for (let i = 0; i < 10_000; i++) {
      const piece = slab.reserve(1000);
      memories.add(piece.buffer.buffer);
      if (i % 2 === 0) slab.take(piece);
      else slab.drop(piece);
    }
    expect(memories.size).to.equal(1);
  });

  it('keeps pieces of many connections apart', () => {
    const slab = new ReceiveSlab();
    const content = pattern(3000);
    const lists: Piece[][] = Array.from({ length: 40 }, () => []);
    for (let round = 0; round < 30; round++) {
      for (const pieces of lists) slab.append(pieces, viewOf(content), round * 100, 100);
    }
    for (const pieces of lists) {
      expect(sha1(Buffer.concat(pieces.map((piece) => slab.take(piece))))).to.equal(sha1(content));
    }
  });

  it('gives large text memory of its own where the slab has no room', () => {
    const slab = new ReceiveSlab();
    slab.take(slab.reserve(SLAB_BYTES - 10));
    const chunk = slab.take(slab.reserve(SLAB_BYTES));
    expect(chunk.length).to.equal(SLAB_BYTES);
    expect(chunk.buffer.byteLength).to.equal(SLAB_BYTES);
  });
});

/** An endpoint that is told by the test what happens to it. */
class PlayedEndpoint {
  readonly link = 0;
  handler: TcpEndpointHandler | undefined;
  readonly localAddress = IpAddress.parse('10.0.0.1');
  readonly remoteAddress = IpAddress.parse('10.0.0.2');
  readonly localPort = 1000;
  readonly remotePort = 2000;
  readonly family = 4;
  isPeerClosed = false;
  errorCode = '';
  /** Room in the send buffer. */
  room = 1000;
  readonly written: Buffer[] = [];
  readonly calls: string[] = [];
  sink: TextSink | undefined;
  #waiting = Buffer.alloc(0);

  get readableBytes(): number {
    return this.#waiting.length;
  }

  setSink(sink: TextSink | undefined): void {
    this.sink = sink;
  }

  /** Text arrives: to the sink where it takes it, else into the buffer. */
  arrive(...texts: string[]): void {
    for (const text of texts) {
      const bytes = Buffer.from(`..${text}..`);
      if (this.#waiting.length > 0 || this.sink?.take(bytes, 2, text.length, viewOf(bytes)) !== true) {
        this.#waiting = Buffer.concat([this.#waiting, Buffer.from(text)]);
      }
    }
    this.handler?.onReadable();
  }

  read(target: Uint8Array, at: number, length: number): number {
    const bytes = this.#waiting.copy(target, at, 0, length);
    this.#waiting = this.#waiting.subarray(bytes);
    return bytes;
  }

  write(source: Uint8Array, at: number, length: number): number {
    const admitted = Math.min(length, this.room);
    this.room -= admitted;
    if (admitted > 0) this.written.push(Buffer.from(source.subarray(at, at + admitted)));
    return admitted;
  }

  drain(room: number): void {
    this.room = room;
    this.handler?.onWritable();
  }

  shutdown(): void {
    this.calls.push('shutdown');
  }

  close(): void {
    this.calls.push('close');
  }

  abort(): void {
    this.calls.push('abort');
  }
}

/** A `net` whose connections are played, and the count of what keeps the process alive. */
function played() {
  const endpoint = new PlayedEndpoint();
  const listener = {
    localAddress: IpAddress.parse('::'),
    localPort: 80,
    onConnection: () => {},
    onClosed: () => {},
    closed: false,
  };
  const count = { holds: 0 };
  let offered: PlayedEndpoint[] = [];
  const stack: SocketStack = {
    ip: { portIndex: () => -1, portName: () => '', addresses: () => [] },
    hold: () => void count.holds++,
    release: () => void count.holds--,
    connectTcp: () => endpoint as unknown as Endpoint,
    bindTcp: () => {
      throw new Error('not in this play');
    },
    listenTcp: () =>
      Object.assign(listener, {
        accept: () => offered.shift() as unknown as Endpoint,
        close: () => void (listener.closed = true),
      }),
  };
  const offer = (...endpoints: PlayedEndpoint[]): void => {
    offered = endpoints;
    listener.onConnection();
  };
  return { net: createNet(stack), endpoint, count, offer, listener };
}

const tick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

async function connected() {
  const play = played();
  const socket = play.net.connect(2000, '10.0.0.2');
  await tick();
  play.endpoint.handler?.onConnect();
  return { ...play, socket };
}

describe('net: a socket and its endpoint', () => {
  it('pushes what a batch brought at its end, joined', async () => {
    const { socket, endpoint } = await connected();
    const chunks: string[] = [];
    socket.on('data', (chunk) => chunks.push(String(chunk)));
    await tick();
    endpoint.arrive('one ', 'two ', 'three');
    expect(chunks).to.deep.equal(['one two three']);
    expect(socket.bytesRead).to.equal(13);
  });

  it('leaves text in the receive buffer while nobody reads [C24]', async () => {
    const { socket, endpoint } = await connected();
    const full = 'x'.repeat(socket.readableHighWaterMark);
    endpoint.arrive(full);
    expect(socket.readableLength).to.equal(full.length);
    for (let i = 0; i < 10; i++) endpoint.arrive(full);
    expect(socket.readableLength).to.equal(full.length);
    expect(endpoint.readableBytes).to.equal(10 * full.length);
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(bytes).to.equal(11 * full.length);
    expect(endpoint.readableBytes).to.equal(0);
  });

  it('delivers what came before an error, and the error after it [F9]', async () => {
    const { socket, endpoint } = await connected();
    const log: unknown[] = [];
    socket.on('data', (chunk) => log.push(String(chunk)));
    socket.on('error', ({ message }) => log.push(message));
    await tick();
    socket.pause();
    endpoint.arrive('y'.repeat(socket.readableHighWaterMark), 'and this');
    endpoint.handler?.onClose('ECONNRESET');
    expect(log).to.deep.equal([]);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    await closed;
    expect(log.join('')).to.match(/^y+and thisread ECONNRESET$/);
  });

  it('waits for room, one write after the other, with one copy', async () => {
    const { socket, endpoint } = await connected();
    const log: string[] = [];
    endpoint.room = 3;
    socket.write('first', () => log.push('first'));
    socket.write(Buffer.from('second'), () => log.push('second'));
    socket.write('third', () => log.push('third'));
    expect(Buffer.concat(endpoint.written).toString()).to.equal('fir');
    expect(socket.bytesWritten).to.equal(16);
    expect(log).to.deep.equal([]);
    endpoint.drain(1);
    expect(log).to.deep.equal([]);
    endpoint.drain(1000);
    await tick();
    expect(Buffer.concat(endpoint.written).toString()).to.equal('firstsecondthird');
    expect(log).to.deep.equal(['first', 'second', 'third']);
  });

  it('keeps strings that wait apart from those encoded after them', async () => {
    const { socket, endpoint } = await connected();
    endpoint.room = 3;
    socket.cork();
    for (const word of ['first ', 'second ', 'third']) socket.write(word);
    socket.uncork();
    endpoint.drain(1000);
    expect(Buffer.concat(endpoint.written).toString()).to.equal('first second third');
  });

  it('fails a write that waits when the connection breaks', async () => {
    const { socket, endpoint } = await connected();
    socket.on('error', () => {});
    endpoint.room = 0;
    socket.pause();
    const failed = new Promise<Error | null | undefined>((resolve) => void socket.write('x', resolve));
    socket.removeAllListeners('data');
    endpoint.handler?.onClose('ETIMEDOUT');
    expect(await failed).to.satisfy((error: unknown) => error === null || error instanceof Error);
    expect(socket.destroyed).to.equal(true);
  });

  it('resets when taken text was never delivered', async () => {
    const { socket, endpoint } = await connected();
    socket.on('data', () => socket.destroy());
    await tick();
    // The first piece is delivered, and its listener gives the socket up with the second in hand.
    endpoint.arrive('z'.repeat(40_000), 'z'.repeat(40_000));
    expect(endpoint.calls).to.deep.equal(['abort', 'close']);
  });

  it('closes without a reset when everything was delivered', async () => {
    const { socket, endpoint } = await connected();
    socket.resume();
    await tick();
    endpoint.arrive('all of it');
    socket.destroy();
    expect(endpoint.calls).to.deep.equal(['close']);
    expect(endpoint.handler).to.equal(undefined);
  });

  it('does not let a listener’s mistake into the stack’s turn', async () => {
    const { socket, endpoint } = await connected();
    const mistake = new Error('a mistake in a listener');
    const received: string[] = [];
    socket.on('data', (chunk) => {
      received.push(String(chunk));
      if (received.length === 1) throw mistake;
    });
    await tick();
    const handlers = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
    try {
      expect(() => endpoint.arrive('first')).not.to.throw();
      expect(await caught).to.equal(mistake);
    } finally {
      for (const handler of handlers) process.on('uncaughtException', handler);
    }
    endpoint.arrive('second');
    expect(received).to.deep.equal(['first', 'second']);
  });

  it('keeps the process alive while it is at work, and no longer', async () => {
    const { net, endpoint, count, offer, listener } = played();
    const server = net.createServer((socket) => socket.resume());
    server.listen(80);
    expect(count.holds, 'listening').to.equal(1);
    server.unref();
    expect(count.holds, 'listening, unref').to.equal(0);
    server.ref();
    const accepted = new PlayedEndpoint();
    offer(accepted);
    expect(count.holds, 'with a connection').to.equal(2);
    server.close();
    expect([count.holds, listener.closed], 'closed').to.deep.equal([1, true]);
    accepted.isPeerClosed = true;
    accepted.handler?.onEnd();
    expect(count.holds, 'the peer has finished').to.equal(0);

    const socket = net.connect(2000, '10.0.0.2');
    await tick();
    expect(count.holds, 'connecting').to.equal(1);
    endpoint.handler?.onConnect();
    expect(count.holds, 'reading').to.equal(1);
    socket.pause();
    endpoint.arrive('x'.repeat(socket.readableHighWaterMark));
    expect(count.holds, 'held up').to.equal(0);
    endpoint.room = 0;
    socket.write('waits');
    expect(count.holds, 'writing').to.equal(1);
    socket.unref();
    expect(count.holds, 'writing, unref').to.equal(0);
    socket.ref().destroy();
    expect(count.holds, 'destroyed').to.equal(0);
  });

  it('runs listeners in the context the socket was made in', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<string>();
    const { net, endpoint } = played();
    const seen: (string | undefined)[] = [];
    storage.run('inside', () => {
      const socket = net.connect(2000, '10.0.0.2');
      socket.on('connect', () => seen.push(storage.getStore()));
      socket.on('data', () => seen.push(storage.getStore()));
    });
    await tick();
    storage.run('elsewhere', () => endpoint.handler?.onConnect());
    await tick();
    storage.run('elsewhere', () => endpoint.arrive('text'));
    expect(seen).to.deep.equal(['inside', 'inside']);
  });
});

describe('net: types', () => {
  it('take the place of those of node:net', () => {
    const stack = newStack();
    const net: typeof nodeNet = stack.net;
    const socket: nodeNet.Socket = new net.Socket();
    const server: nodeNet.Server = net.createServer();
    expect([socket.constructor, server instanceof net.Server]).to.deep.equal([net.Socket, true]);
    expect((socket as { _handle?: unknown })._handle).to.equal(null);
    stack.close();
  });
});
