/** Small promises of `node:net` that programs and Node's own tests rely on, compared with it. */
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import nodeNet, { type Server } from 'node:net';
import { expect } from 'chai';
import { anonymous, listen, pair, portOf, thrown } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';
import { loopbackWorld } from './support/worlds.js';

describe("net: manners of Node's", () => {
  sameAsNode('callbacks of listen and connect are called on the server and the socket', async (world) => {
    const seen: unknown[] = [];
    const server = world.server.createServer((socket) => socket.end());
    server.listen(0, function (this: Server) {
      seen.push(this === server);
    });
    await once(server, 'listening');
    const socket = new world.client.Socket();
    socket.connect(portOf(server), world.host, function (this: unknown) {
      seen.push(this === socket);
    });
    socket.resume();
    await once(socket, 'close');
    server.close();
    await once(server, 'close');
    return seen;
  });

  sameAsNode('the callback of onread is called on the socket, which it may pause', async (world) => {
    const server = world.server.createServer((socket) => socket.end('0123456789'));
    const port = await listen(server, world.host);
    let isPaused = false;
    let received = '';
    const seen: boolean[] = [];
    const socket = world.client.connect({
      host: world.host,
      port,
      onread: {
        buffer: Buffer.alloc(4),
        callback(this: unknown, bytes: number, buffer: Uint8Array): boolean {
          seen.push(this === socket, isPaused);
          received += Buffer.from(buffer.subarray(0, bytes)).toString();
          isPaused = true;
          socket.pause();
          setImmediate(() => {
            isPaused = false;
            socket.resume();
          });
          return true;
        },
      },
    });
    await once(socket, 'end');
    server.close();
    return [received, seen];
  });

  sameAsNode(
    'bufferSize counts what waits, also while connecting, and is undefined without a connection',
    async (world) => {
      const fresh = new world.client.Socket();
      const sizes: unknown[] = [fresh.bufferSize];
      const { client, accepted } = await pair(world, {
        onClient(socket) {
          sizes.push(socket.bufferSize);
          for (const text of ['a', 'bb', 'ccc']) {
            socket.write(text);
            sizes.push(socket.bufferSize);
          }
        },
      });
      accepted.resume();
      client.end();
      await once(client, 'finish');
      sizes.push(client.bufferSize);
      accepted.end();
      client.resume();
      await once(client, 'close');
      sizes.push(client.bufferSize);
      return sizes;
    },
  );

  sameAsNode('a class may be looked at: its getters answer on the prototype', (world) => {
    const prototype = world.client.Socket.prototype as unknown as Record<string, unknown>;
    const names = ['bytesRead', 'bytesWritten', 'bufferSize', 'connecting', 'pending', 'localAddress'];
    return Promise.resolve(names.map((name) => [name, prototype[name]]));
  });

  sameAsNode(
    'arguments that Node has normalized are taken as they are, other arrays are none',
    async (world) => {
      const server = world.server.createServer((socket) => socket.end());
      const port = await listen(server, world.host);
      const { _normalizeArgs: normalize } = nodeNet as unknown as {
        _normalizeArgs(args: unknown[]): unknown[];
      };
      const { _normalizeArgs: own } = world.client as unknown as { _normalizeArgs: typeof normalize };
      const seen: unknown[] = [Object.getOwnPropertySymbols(own([])).map(String), own(['/path', 1])];
      const connect = (args: unknown[]): unknown =>
        (new world.client.Socket() as unknown as { connect(args: unknown[]): unknown }).connect(args);
      seen.push(thrown(() => connect([{ port }]))?.code);
      for (const mark of [normalize, own]) {
        const connected = new Promise<void>((resolve) => {
          const socket = connect(mark([port, world.host, resolve])) as { resume(): void };
          socket.resume();
        });
        await connected;
      }
      server.close();
      return seen;
    },
  );

  sameAsNode('a server says by _connectionKey what it listens on', async (world) => {
    const keys: string[] = [];
    const server = world.server.createServer();
    for (const host of [undefined, world.host, world.host6]) {
      await listen(server, host);
      keys.push(anonymous((server as unknown as { _connectionKey: string })._connectionKey, world));
      server.close();
      await once(server, 'close');
    }
    return keys;
  });

  sameAsNode('wrong hints are thrown at once, for localhost too', (world) => {
    const problem = thrown(() =>
      new world.client.Socket().connect({ port: 42, host: 'localhost', hints: 0xfff }),
    );
    return Promise.resolve(problem);
  });

  sameAsNode('the channel net.server.listen tells the beginning and the outcome', async (world) => {
    const told: unknown[] = [];
    const servers = new Set<unknown>();
    const listens = tracingChannel('net.server.listen');
    const hear = (name: string) => (message: unknown) => {
      const { server, options, error } = message as Record<string, unknown>;
      if (!servers.has(server)) return;
      const { code } = (error ?? {}) as { code?: string };
      told.push([name, Object.keys((options as object | undefined) ?? {}), code]);
    };
    const handlers = { asyncStart: hear('asyncStart'), asyncEnd: hear('asyncEnd'), error: hear('error') };
    listens.subscribe(handlers as never);
    try {
      const [first, second] = [world.server.createServer(), world.server.createServer()];
      servers.add(first).add(second);
      const port = await listen(first, world.host);
      second.listen({ port, host: world.host });
      await once(second, 'error');
      first.close();
    } finally {
      listens.unsubscribe(handlers as never);
    }
    return told;
  });

  it('tells the channels of sockets of both ends', async () => {
    const world = loopbackWorld();
    const told: unknown[] = [];
    const names = ['net.client.socket', 'net.server.socket'] as const;
    const hear = (message: unknown, name: string | symbol): void => {
      told.push([name, (message as { socket: unknown }).socket instanceof world.client.Socket]);
    };
    for (const name of names) channel(name).subscribe(hear);
    try {
      const { client, accepted } = await pair(world);
      client.destroy();
      accepted.destroy();
    } finally {
      for (const name of names) channel(name).unsubscribe(hear);
      world.close();
    }
    expect(told).to.deep.equal(names.map((name) => [name, true]));
  });
});
