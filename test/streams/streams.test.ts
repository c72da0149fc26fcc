/** Connections and listeners as WHATWG streams: in one stack, and between two. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { expect } from 'chai';
import type { Stack } from '../../lib/stack/stack.js';
import type { StreamConnection } from '../../lib/streams/stream-connection.js';
import type { StreamListener } from '../../lib/streams/stream-listener.js';
import { createStreams } from '../../lib/streams/streams.js';
import '../../lib/streams/stack-streams.js';
import { certificate } from '../net/support/certificate.js';
import { pattern, sha1 } from '../net/support/content.js';
import { turns, until } from '../net/support/recording.js';
import { inStacks, loopbackWorld } from '../net/support/worlds.js';

const codeOf = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
    return 'fulfilled';
  } catch (error) {
    return (error as NodeJS.ErrnoException)?.code ?? error;
  }
};

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes one thing and closes. */
async function send(stream: WritableStream<Uint8Array>, content: Uint8Array): Promise<void> {
  const writer = stream.getWriter();
  await writer.write(content);
  await writer.close();
}

const connections = (stack: Stack): number => [...stack.tcp.entries()].length;

describe('streams', () => {
  inStacks((world) => {
    const listen = (options: object = {}): StreamListener =>
      world().serverStack.streams.listen({ address: world().host, ...options });
    const connect = (port: number, options: object = {}): StreamConnection =>
      world().clientStack.streams.connect({ host: world().host, port, ...options });

    /** Both ends of a connection, and no listener left. */
    async function pair(options: object = {}): Promise<[client: StreamConnection, server: StreamConnection]> {
      const listener = listen();
      const client = connect(listener.port, options);
      const server = await listener.accept();
      await client.opened;
      listener.close();
      return [client, server as StreamConnection];
    }

    it('carries megabytes both ways through pipes', async () => {
      const content = pattern(5_000_000);
      const listener = listen();
      const serving = (async () => {
        for await (const connection of listener) await connection.readable.pipeTo(connection.writable);
      })();
      for (let round = 0; round < 2; round++) {
        const connection = connect(listener.port);
        const [received] = await Promise.all([
          bytesOf(connection.readable),
          new Blob([content]).stream().pipeTo(connection.writable),
        ]);
        expect(sha1(received)).to.equal(sha1(content));
        await connection.closed;
      }
      listener.close();
      await serving;
    });

    it('knows both ends', async () => {
      const listener = listen();
      const client = connect(listener.port);
      const server = (await listener.accept()) as StreamConnection;
      const ends = await client.opened;
      const { host, clientHost } = world();
      expect(ends).to.include({ localAddress: clientHost, remoteAddress: host, remotePort: listener.port });
      expect(await server.opened).to.deep.equal({
        localAddress: host,
        localPort: listener.port,
        remoteAddress: clientHost,
        remotePort: ends.localPort,
      });
      expect(client.endpoint?.info.state).to.not.equal(undefined);
      await Promise.all([client.close(), server.close()]);
      listener.close();
    });

    it('fills the memory a reader brings, and gives it back at the end', async () => {
      const [client, server] = await pair();
      const content = pattern(100_000);
      const sending = send(client.writable, content);
      const reader = server.readable.getReader({ mode: 'byob' });
      const received: Buffer[] = [];
      let memory = new ArrayBuffer(1000);
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(memory));
        expect(value?.buffer.byteLength).to.equal(1000);
        if (done) break;
        received.push(Buffer.from(value));
        memory = value.buffer;
      }
      expect(sha1(Buffer.concat(received))).to.equal(sha1(content));
      await sending;
      await Promise.all([client.close(), server.close()]);
    });

    it('takes buffers and views of all kinds, and words only of whole size', async () => {
      const [client, server] = await pair();
      const writer = client.writable.getWriter();
      await writer.write(Uint8Array.of(1, 2, 3).buffer);
      await writer.write(new Uint8Array(0));
      await writer.write(new DataView(Uint8Array.of(0, 4, 5, 0).buffer, 1, 2));
      await writer.write(Uint16Array.of(0x0706));
      void writer.close();
      const reader = server.readable.getReader({ mode: 'byob' });
      const words: number[] = [];
      while (words.length < 3) {
        const { value } = await reader.read(new Uint16Array(3));
        words.push(...(value ?? []));
      }
      expect(words).to.deep.equal([0x0201, 0x0403, 0x0605]);
      // Half a word is left over.
      expect(await reader.read(new Uint16Array(1)).catch((error: Error) => error.name)).to.equal('TypeError');
      client.abort();
      server.abort();
    });

    it('holds no more than its buffers where nobody reads', async () => {
      const [client, server] = await pair();
      const writer = client.writable.getWriter();
      const chunk = pattern(65_536);
      let written = 0;
      const writing = (async () => {
        for (let i = 0; i < 1000; i++) {
          await writer.ready;
          await writer.write(chunk);
          written += chunk.length;
        }
        await writer.close();
      })();
      let before = -1;
      while (written !== before || (writer.desiredSize ?? 1) > 0) {
        before = written;
        await turns(200);
      }
      expect(written).to.be.below(40_000_000);
      expect(writer.desiredSize).to.be.at.most(0);
      let received = 0;
      for await (const piece of server.readable) received += piece.length;
      await writing;
      expect(received).to.equal(1000 * chunk.length);
      await Promise.all([server.close(), client.closed]);
    });

    it('half-closes either way', async () => {
      const [client, server] = await pair();
      await client.writable.close();
      expect(await bytesOf(server.readable)).to.have.length(0);
      await turns(5);
      await send(server.writable, Buffer.from('still here'));
      expect(String(await bytesOf(client.readable))).to.equal('still here');
      await Promise.all([client.closed, server.closed]);
    });

    it('throws away what comes after a cancel, while it goes on writing', async () => {
      const [client, server] = await pair();
      await client.readable.cancel('enough');
      await send(server.writable, pattern(3_000_000));
      // What is closed and cancelled before everything has come is given up with an RST.
      await until(() => client.endpoint?.isPeerClosed === true);
      await send(client.writable, Buffer.from('all of it was taken'));
      expect(String(await bytesOf(server.readable))).to.equal('all of it was taken');
      await Promise.all([client.closed, server.closed]);
    });

    it('gives up what is closed and cancelled, and answers later text with RST', async () => {
      const [client, server] = await pair();
      await client.writable.close();
      await client.readable.cancel();
      await client.closed;
      expect(await bytesOf(server.readable)).to.have.length(0);
      const writer = server.writable.getWriter();
      let failure: unknown = 'fulfilled';
      while (failure === 'fulfilled') {
        failure = await codeOf(writer.write(Buffer.from('too late')));
        await turns(1);
      }
      // As on Linux, where the peer had finished before.
      expect(failure).to.equal('EPIPE');
      expect(await codeOf(server.closed)).to.equal('EPIPE');
    });

    for (const [what, abort] of [
      ['writable.abort', (client: StreamConnection) => void client.writable.abort(new Error('mine'))],
      ['abort', (client: StreamConnection) => client.abort(new Error('mine'))],
    ] as const) {
      it(`breaks with an RST by ${what}, also in the middle of a write`, async () => {
        const [client, server] = await pair();
        const content = pattern(50_000_000);
        const sending = client.writable.getWriter();
        const writing = sending.write(content).catch((error: Error) => error.message);
        const reading = client.readable.getReader().read();
        await until(() => (server.endpoint?.readableBytes ?? 0) > 0);
        sending.releaseLock();
        abort(client);
        expect(await writing).to.equal('mine');
        expect(await reading.catch((error: Error) => error.message)).to.equal('mine');
        expect(await client.closed.catch((error: Error) => error.message)).to.equal('mine');
        expect(await codeOf(server.closed)).to.equal('ECONNRESET');
        expect(await codeOf(server.writable.getWriter().closed)).to.equal('ECONNRESET');
        // What had arrived can be read; then comes the error.
        const reader = server.readable.getReader();
        let received = 0;
        let failure: unknown;
        while (failure === undefined) {
          const step = await reader.read().catch((error: NodeJS.ErrnoException) => error.code);
          if (typeof step === 'object') received += step.value?.length ?? 0;
          else failure = step;
        }
        expect(failure).to.equal('ECONNRESET');
        expect(received).to.be.above(0);
      });
    }

    it('obeys a signal, before and while it is connected', async () => {
      const early = connect(9, { signal: AbortSignal.abort(new Error('early')) });
      expect(await early.opened.catch((error: Error) => error.message)).to.equal('early');
      const controller = new AbortController();
      const [client, server] = await pair({ signal: controller.signal });
      controller.abort(new Error('late'));
      expect(await client.closed.catch((error: Error) => error.message)).to.equal('late');
      expect(await codeOf(server.closed)).to.equal('ECONNRESET');
    });

    it('resets a connection that is closed with text unread, and not one without', async () => {
      const [client, server] = await pair();
      await server.writable.getWriter().write(Buffer.from('nobody reads this'));
      await until(() => client.endpoint?.readableBytes !== 0);
      await client.close();
      expect(await codeOf(server.closed)).to.equal('ECONNRESET');
      const [one, other] = await pair();
      const closing = one.close();
      expect(await bytesOf(other.readable)).to.have.length(0);
      await other.close();
      await closing;
      await other.closed;
    });

    it('closes behind everything written while its streams are locked', async () => {
      const [client, server] = await pair();
      const content = pattern(10_000_000);
      const writer = client.writable.getWriter();
      const reading = client.readable.getReader().read();
      const writes = [writer.write(content), writer.write(content)];
      const closing = client.close();
      expect(await bytesOf(server.readable)).to.have.length(2 * content.length);
      await Promise.all([...writes, closing]);
      expect((await reading).done).to.equal(true);
      expect(await codeOf(writer.write(content))).to.equal('EPIPE');
      await server.close();
      await server.closed;
    });

    it('breaks on what is no bytes', async () => {
      const [client, server] = await pair();
      const writer = client.writable.getWriter();
      expect(await codeOf(writer.write('text' as unknown as Uint8Array))).to.equal('ERR_INVALID_ARG_TYPE');
      expect(await codeOf(client.closed)).to.equal('ERR_INVALID_ARG_TYPE');
      expect(await codeOf(server.closed)).to.equal('ECONNRESET');
    });

    it('breaks where a chunk is taken away while it is written', async () => {
      const [client, server] = await pair();
      const chunk = new Uint8Array(20_000_000);
      const writing = client.writable.getWriter().write(chunk);
      await turns(10);
      structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
      const received = codeOf(bytesOf(server.readable));
      expect(await codeOf(writing)).to.equal('ERR_INVALID_ARG_TYPE');
      expect(await codeOf(client.closed)).to.equal('ERR_INVALID_ARG_TYPE');
      expect(await received, 'not taken for the whole').to.equal('ECONNRESET');
    });

    it('says why there is no connection', async () => {
      const refused = connect(9);
      const error = await refused.opened.catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'ECONNREFUSED', syscall: 'connect', address: world().host, port: 9 });
      expect(await codeOf(refused.closed)).to.equal('ECONNREFUSED');
      expect(await codeOf(refused.readable.getReader().read())).to.equal('ECONNREFUSED');
      expect(await codeOf(refused.writable.getWriter().closed)).to.equal('ECONNREFUSED');
      const { streams } = world().clientStack;
      expect(
        await codeOf(streams.connect({ host: world().host, port: 9, localAddress: '192.0.2.1' }).opened),
      ).to.equal('EADDRNOTAVAIL');
      expect(() => connect(65_536))
        .to.throw(RangeError)
        .with.property('code', 'ERR_OUT_OF_RANGE');
      const listener = listen();
      expect(() => listen({ port: listener.port }))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      listener.close();
    });

    it('ends the loops of listeners of a stack that is closed, and who waits', async () => {
      const [looped, waited] = [listen(), listen()];
      const loop = (async () => {
        for await (const { endpoint } of looped) expect.fail(`nobody connects: ${endpoint?.remotePort}`);
      })();
      const waiting = [waited.accept(), waited.accept()];
      world().serverStack.close();
      expect(await Promise.all([loop, ...waiting, waited.accept()])).to.deep.equal(Array(4).fill(undefined));
    });

    it('ends the loop of a listener that is closed, and closes one whose loop is left', async () => {
      const listener = listen();
      const waiting = listener.accept();
      listener.close();
      listener.close();
      expect(await waiting).to.equal(undefined);
      expect(await listener.accept()).to.equal(undefined);
      for await (const nobody of listener) expect(nobody).to.equal(undefined);
      const controller = new AbortController();
      const left = listen({ signal: controller.signal });
      const [one, two] = [connect(left.port), connect(left.port)];
      await Promise.all([one.opened, two.opened]);
      for await (const connection of left) {
        connection.abort();
        break;
      }
      // The second was never taken.
      expect(await codeOf(one.closed)).to.equal('ECONNRESET');
      expect(await codeOf(two.closed)).to.equal('ECONNRESET');
      expect(await codeOf(connect(left.port).opened)).to.equal('ECONNREFUSED');
      const other = listen({ signal: controller.signal });
      controller.abort();
      expect(await other.accept()).to.equal(undefined);
    });

    it('gives connections in the order in which they were asked for', async () => {
      const listener = listen();
      const taken = [listener.accept(), listener.accept()];
      const clients = [];
      for (let i = 0; i < 2; i++) {
        const client = connect(listener.port);
        await client.opened;
        clients.push(client);
      }
      const ports = await Promise.all(taken.map(async (one) => (await (await one)?.opened)?.remotePort));
      expect(ports).to.deep.equal(
        await Promise.all(clients.map(async ({ opened }) => (await opened).localPort)),
      );
      for (const client of clients) client.abort();
      listener.close();
    });

    it('is disposed of with `await using`', async () => {
      const [client, server] = await pair();
      const reading = bytesOf(server.readable);
      await client[Symbol.asyncDispose]();
      expect(await reading).to.have.length(0);
      server.abort();
      await server[Symbol.asyncDispose]();
    });

    it('meets sockets of `stack.net`, and carries TLS', async () => {
      const { cert, key, servername } = certificate();
      const server = tls.createServer({ cert, key }, (socket) => socket.pipe(socket));
      world().serverStack.serve(server, 0, world().host);
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const connection = connect(port);
      const { readable, writable } = connection;
      const socket = Duplex.fromWeb({ readable, writable });
      const secured = tls.connect({ socket, ca: cert, servername });
      secured.end('over streams');
      expect(await text(secured)).to.equal('over streams');
      server.close();
      await once(server, 'close');
    });

    it('gives up at once what is closed before it is connected, while its streams are locked', async () => {
      const listener = world().serverStack.listenAnyTcp({ ports: [4711] }, (request) => request.ignore());
      const connection = connect(4711);
      const writer = connection.writable.getWriter();
      const reading = connection.readable.getReader().read();
      await connection.close();
      expect(await codeOf(connection.opened)).to.equal('ECONNABORTED');
      expect((await reading).done).to.equal(true);
      expect(await codeOf(writer.closed)).to.not.equal('fulfilled');
      await until(() => connections(world().clientStack) === 0);
      listener.close();
    });

    it('tells its reader and its writer where the endpoint below is aborted', async () => {
      const [client, server] = await pair();
      const reading = client.readable.getReader().read();
      const writer = client.writable.getWriter();
      client.endpoint?.abort();
      expect(await codeOf(reading)).to.equal('ECONNABORTED');
      expect(await codeOf(writer.write(Uint8Array.of(1)))).to.equal('ECONNABORTED');
      expect(await codeOf(client.closed)).to.equal('ECONNABORTED');
      expect(await codeOf(server.closed)).to.equal('ECONNRESET');
    });

    it('accepts requests for any address, with all that was written before the handshake is complete', async () => {
      const accepted: StreamConnection[] = [];
      const listener = world().serverStack.listenAnyTcp({ ports: [4711] }, (request) => {
        const connection = world().serverStack.streams.accept(request, { options: { noDelay: false } });
        void send(connection.writable, pattern(10_000));
        accepted.push(connection);
      });
      const client = connect(4711);
      expect(sha1(await bytesOf(client.readable))).to.equal(sha1(pattern(10_000)));
      const [server] = accepted;
      expect(await server.opened).to.include({ localAddress: world().host, localPort: 4711 });
      expect(server.endpoint?.getOption('noDelay')).to.equal(false);
      await Promise.all([client.close(), server.close()]);
      listener.close();
    });

    for (const [how, end] of [
      ['aborted', (connection: StreamConnection) => connection.abort(new Error('no'))],
      ['closed', (connection: StreamConnection) => void connection.close().catch(() => {})],
    ] as const) {
      it(`is ${how} before the handshake is complete`, async () => {
        const { serverStack } = world();
        const listener = serverStack.listenAnyTcp({ ports: [4711] }, (request) =>
          end(serverStack.streams.accept(request)),
        );
        const client = connect(4711);
        const outcome = await codeOf(bytesOf(client.readable));
        expect(outcome).to.equal(how === 'closed' ? 'fulfilled' : 'ECONNREFUSED');
        if (how === 'closed') await client.close();
        await until(() => connections(serverStack) === 0);
        listener.close();
      });
    }

    it('obeys a signal while it is accepted, and refuses what cannot be', async () => {
      const { serverStack } = world();
      const outcomes: unknown[] = [];
      const listener = serverStack.listenAnyTcp({ ports: [4711] }, (request) => {
        const { streams } = serverStack;
        const wrong = { sgnal: undefined } as object;
        expect(() => streams.accept(request, wrong)).to.throw('unknown option "sgnal"');
        const connection = streams.accept(request, { signal: AbortSignal.abort('enough') });
        expect(() => streams.accept(request)).to.throw('ECONNABORTED');
        outcomes.push(connection.opened, connection.closed);
      });
      expect(await codeOf(connect(4711).opened)).to.equal('ECONNREFUSED');
      for (const outcome of outcomes) expect(await codeOf(outcome as Promise<void>)).to.equal('enough');
      expect(connections(serverStack)).to.equal(0);
      listener.close();
    });

    it('leaves no connection behind', async () => {
      const { serverStack, clientStack } = world();
      for (let i = 0; i < 20; i++) {
        const [client, server] = await pair();
        await Promise.all([client.writable.close(), server.writable.close()]);
        await Promise.all([bytesOf(client.readable), bytesOf(server.readable)]);
        await Promise.all([client.closed, server.closed]);
      }
      await until(() => connections(serverStack) + connections(clientStack) === 0);
    });
  });

  it('finds names, and tries their addresses in turn', async () => {
    const { serverStack: stack, close } = loopbackWorld();
    const listener = stack.streams.listen({ address: '127.0.0.3' });
    const { port } = listener;
    const streams = createStreams(stack, async (host) => {
      if (host !== 'many.example') throw Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
      return ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    });
    const found = await streams.connect({ host: 'many.example', port }).opened;
    expect(found.remoteAddress).to.equal('127.0.0.3');
    expect(await codeOf(streams.connect({ host: 'many.example', port: port ^ 1 }).opened)).to.equal(
      'ECONNREFUSED',
    );
    expect(await codeOf(streams.connect({ host: 'none.example', port }).opened)).to.equal('ENOTFOUND');
    const local = stack.streams.listen();
    const own = stack.streams.connect({ port: local.port });
    expect((await own.opened).remotePort).to.equal(local.port);
    local.close();
    listener.close();
    close();
  });

  it('keeps the process alive for what is waited for, and for nothing else', async () => {
    const { serverStack: stack, close } = loopbackWorld();
    let holds = 0;
    const counting = {
      listenTcp: stack.listenTcp.bind(stack),
      connectTcp: stack.connectTcp.bind(stack),
      hold: () => void holds++,
      release: () => void holds--,
    };
    const streams = createStreams(counting, async (host) => [host]);
    const listener = streams.listen();
    expect(holds).to.equal(0);
    const accepting = listener.accept();
    expect(holds).to.equal(1);
    const client = streams.connect({ host: '127.0.0.1', port: listener.port });
    expect(holds).to.equal(2);
    const server = (await accepting) as StreamConnection;
    await client.opened;
    expect(holds).to.equal(0);
    const reading = server.readable.getReader().read();
    await turns(2);
    expect(holds).to.equal(1);
    await client.writable.getWriter().write(Buffer.from('x'));
    await reading;
    expect(holds).to.equal(0);
    server.abort();
    await client.closed.catch(() => {});
    listener.close();
    expect(holds).to.equal(0);
    close();
  });

  it('refuse options that nobody knows', () => {
    const { serverStack, close } = loopbackWorld();
    const { streams } = serverStack;
    const wrong = { port: 0, host: '127.0.0.1' };
    expect(() => streams.listen(wrong)).to.throw(TypeError, 'unknown option "host"');
    const misspelt = { port: 7, adress: '127.0.0.1' };
    expect(() => streams.connect(misspelt))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    close();
  });
});
