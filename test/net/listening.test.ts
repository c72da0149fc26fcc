/** Servers, compared with `node:net`. */
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import {
  accept,
  anonymous,
  describeError,
  listen,
  portOf,
  record,
  textOf,
  thrown,
  turns,
} from './support/recording.js';
import { sameAsNode } from './support/scenario.js';
import type { World } from './support/worlds.js';

function recordServer(server: Server, world: World): unknown[] {
  const log: unknown[] = [];
  for (const event of ['listening', 'close', 'connection']) server.on(event, () => log.push(event));
  server.on('error', (error) => log.push(['error', describeError(error, world)]));
  return log;
}

const shutDown = async (server: Server): Promise<void> => {
  server.close();
  await once(server, 'close');
};

/** Connects, reads everything there is, and closes. */
const visit = async (world: World, port: number, host = world.host): Promise<string> => {
  const socket = world.client.connect(port, host);
  await once(socket, 'connect');
  return textOf(socket);
};

describe('net: servers', () => {
  sameAsNode('bound at once without a host, later with one', async (world) => {
    const server = world.server.createServer();
    const log = recordServer(server, world);
    const states: unknown[] = [server.listening, server.address()];
    server.listen(0);
    const { address, family, port } = server.address() as AddressInfo;
    states.push(server.listening, address, family, port > 0);
    await once(server, 'listening');
    await shutDown(server);
    states.push(server.listening, server.address());
    server.listen(0, world.host);
    states.push(server.listening);
    await once(server, 'listening');
    const again = server.address() as AddressInfo;
    states.push(server.listening, anonymous(again.address, world), again.family);
    await shutDown(server);
    return [states, log];
  });

  sameAsNode('both families without a host', async (world) => {
    const seen: unknown[] = [];
    const server = world.server.createServer((socket) => {
      seen.push(anonymous(String(socket.remoteAddress), world), socket.remoteFamily, socket.localFamily);
      socket.end('hello');
    });
    const port = await listen(server);
    const received = [await visit(world, port), await visit(world, port, world.host6)];
    await shutDown(server);
    return [received, seen];
  });

  sameAsNode('every way to call `listen`', async (world) => {
    const results: unknown[] = [];
    const ways: ((server: Server, done: () => void) => unknown)[] = [
      (server, done) => server.listen(done),
      (server, done) => server.listen(0, done),
      (server, done) => server.listen(undefined, done),
      (server, done) => server.listen(null as never, done),
      (server, done) => server.listen(0, world.host, done),
      (server, done) => server.listen(0, world.host, 5, done),
      (server, done) => server.listen(0, 5, done),
      (server, done) => server.listen('0' as never, done),
      (server, done) => server.listen({ port: 0 }, done),
      (server, done) => server.listen({ port: undefined }, done),
      (server, done) => server.listen({ port: 0, host: world.host, backlog: 3 }, done),
      (server, done) => server.listen({ port: 0, host: 'localhost' }, done),
      (server, done) => server.listen({ port: 0, host: '::', ipv6Only: true }, done),
      (server, done) => server.listen({ port: 0, exclusive: true }, done),
    ];
    for (const way of ways) {
      const server = world.server.createServer();
      let returned: unknown;
      await new Promise<void>((resolve) => {
        returned = way(server, resolve);
      });
      const { address, family } = server.address() as AddressInfo;
      // The host's table says what localhost is.
      const isNamed = ways.indexOf(way) === 11;
      results.push(isNamed ? 'localhost' : [anonymous(address, world), family], returned === server);
      await shutDown(server);
    }
    return results;
  });

  sameAsNode('a port that is taken', async (world) => {
    const first = world.server.createServer();
    const port = await listen(first, world.host);
    const second = world.server.createServer();
    const log = recordServer(second, world);
    second.listen(port, world.host);
    await once(second, 'error');
    const state = [second.listening, second.address()];
    await shutDown(first);
    // It can be tried again.
    second.listen(port, world.host);
    await once(second, 'listening');
    await shutDown(second);
    return [log, state];
  });

  sameAsNode('a port that is taken, by all addresses', async (world) => {
    const first = world.server.createServer();
    const port = await listen(first);
    const second = world.server.createServer();
    const log = recordServer(second, world);
    second.listen(port);
    await once(second, 'error');
    await shutDown(first);
    return log;
  });

  sameAsNode('an address of somebody else', async (world) => {
    const server = world.server.createServer();
    const log = recordServer(server, world);
    server.listen(0, '203.0.113.77');
    await once(server, 'error');
    server.listen(8080, '2001:db8::77');
    await once(server, 'error');
    return log;
  });

  sameAsNode('arguments that can never be right', async (world) => {
    const { createServer, Server: ServerClass } = world.server;
    const calls: (() => unknown)[] = [
      () => createServer(1 as never),
      () => new ServerClass('x' as never),
      () => createServer({ keepAliveInitialDelay: 'x' as never }),
      () => createServer({ highWaterMark: 'x' as never }),
      () => createServer().listen(65_536),
      () => createServer().listen(-1),
      () => createServer().listen({}),
      () => createServer().listen({ port: true as never }),
      () => createServer().listen({ port: {} as never }),
      () => createServer().listen({ host: 'x' }),
      () => createServer().listen({ port: 0, signal: 'x' as never }),
    ];
    const results = calls.map((call) => thrown(call));
    const server = createServer();
    await listen(server);
    results.push(thrown(() => server.listen(0)));
    await shutDown(server);
    return results;
  });

  sameAsNode('closing', async (world) => {
    const server = world.server.createServer((socket) => socket.resume());
    const log = recordServer(server, world);
    const notRunning = await new Promise((resolve) => void server.close(resolve));
    const port = await listen(server, world.host);
    const accepting = accept(server);
    const client = world.client.connect(port, world.host);
    const accepted = await accepting;
    const count = new Promise((resolve) => server.getConnections((_, number) => resolve(number)));
    let isClosed = false;
    const closing = new Promise((resolve) => {
      server.close((error) => {
        isClosed = true;
        resolve(error);
      });
    });
    await turns(3);
    const states: unknown[] = [isClosed, server.listening, await count];
    log.push('client ends');
    accepted.on('close', () => log.push('socket close'));
    client.end();
    states.push(await closing);
    await turns(3);
    return [describeError(notRunning, world), states, log];
  });

  sameAsNode('nobody listens any more', async (world) => {
    const server = world.server.createServer((socket) => socket.end('in time'));
    const port = await listen(server, world.host);
    const first = await visit(world, port);
    await shutDown(server);
    const log = await record(world.client.connect(port, world.host), world).closed;
    server.listen(port, world.host);
    await once(server, 'listening');
    const second = await visit(world, port);
    await shutDown(server);
    return [first, log, second];
  });

  sameAsNode('as many connections as are allowed', async (world) => {
    const server = world.server.createServer((socket) => socket.on('error', () => {}).write('welcome'));
    server.maxConnections = 2;
    const port = await listen(server, world.host);
    const dropped: unknown[] = [];
    server.on('drop', (info) => dropped.push(Object.keys(info ?? {}).sort(), typeof info?.remotePort));
    const clients: Socket[] = [];
    for (let i = 0; i < 2; i++) {
      const client = world.client.connect(port, world.host);
      clients.push(client);
      await once(client, 'data');
    }
    const third = world.client.connect(port, world.host);
    third.on('error', () => {});
    third.resume();
    await once(third, 'close');
    for (const client of clients) client.destroy();
    await shutDown(server);
    return [dropped, third.bytesRead];
  });

  sameAsNode('a signal', async (world) => {
    const controller = new AbortController();
    const server = world.server.createServer();
    const log = recordServer(server, world);
    server.listen({ port: 0, signal: controller.signal });
    await once(server, 'listening');
    controller.abort();
    await once(server, 'close');
    const early = world.server.createServer();
    const second = recordServer(early, world);
    early.listen({ port: 0, signal: AbortSignal.abort() });
    await once(early, 'close');
    return [log, second];
  });

  sameAsNode('disposal', async (world) => {
    const server = world.server.createServer();
    await listen(server);
    await server[Symbol.asyncDispose]();
    const listening = server.listening;
    await server[Symbol.asyncDispose]();
    return [listening, typeof server[Symbol.asyncDispose]];
  });

  sameAsNode('sockets that begin paused', async (world) => {
    const server = world.server.createServer({ pauseOnConnect: true });
    const port = await listen(server, world.host);
    const accepting = accept(server);
    const client = world.client.connect(port, world.host);
    client.end('waiting');
    const accepted = await accepting;
    const states: unknown[] = [accepted.isPaused(), accepted.readableFlowing];
    await turns(5);
    states.push(accepted.readableLength, accepted.bytesRead);
    accepted.resume();
    states.push(await textOf(accepted));
    client.resume();
    await shutDown(server);
    return states;
  });

  sameAsNode('options handed to sockets', async (world) => {
    const server = world.server.createServer({
      allowHalfOpen: true,
      highWaterMark: 1234,
      noDelay: true,
      keepAlive: true,
    });
    const port = await listen(server, world.host);
    const accepting = accept(server);
    const client = world.client.connect(port, world.host);
    const accepted = await accepting;
    const { readableHighWaterMark, writableHighWaterMark, allowHalfOpen } = accepted;
    const { server: origin } = accepted as unknown as { server: unknown };
    client.resume().end();
    accepted.resume().end();
    await shutDown(server);
    return [readableHighWaterMark, writableHighWaterMark, allowHalfOpen, origin === server];
  });

  sameAsNode('`new` left out, and inheritance of the old kind', async (world) => {
    const { Server: ServerClass } = world.server as unknown as { Server: (...args: unknown[]) => Server };
    const made = ServerClass(() => {});
    function Old(this: Server): void {
      Reflect.apply(ServerClass, this, [{}, (socket: Socket) => socket.end('old')]);
    }
    Object.setPrototypeOf(Old.prototype, ServerClass.prototype as object);
    const server = new (Old as unknown as new () => Server)();
    const port = await listen(server, world.host);
    const received = await visit(world, port);
    await shutDown(server);
    return [
      made instanceof ServerClass,
      made.listenerCount('connection'),
      server instanceof ServerClass,
      received,
    ];
  });

  sameAsNode('many connections at once', async (world) => {
    const server = world.server.createServer((socket) => socket.end('x'.repeat(100)));
    const port = await listen(server, world.host);
    const received = await Promise.all(Array.from({ length: 100 }, () => visit(world, port)));
    await shutDown(server);
    return [received.length, new Set(received).size, portOf.name];
  });
});
