/** How connections begin, and fail to, compared with `node:net`. */
import { once } from 'node:events';
import type { LookupFunction, Socket } from 'node:net';
import { anonymous, describeError, listen, pair, record, textOf, thrown } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';
import { NOBODYS_PORT, type World } from './support/worlds.js';

/** A port that was free a moment ago. */
async function freePort(world: World, host = world.host): Promise<number> {
  const server = world.server.createServer();
  const port = await listen(server, host);
  server.close();
  await once(server, 'close');
  return port;
}

const stateOf = (socket: Socket): unknown[] => [
  socket.connecting,
  socket.pending,
  socket.readyState,
  socket.destroyed,
  socket.bytesWritten,
  typeof socket.localPort,
  typeof socket.remotePort,
];

/** A `lookup` that knows these addresses, whatever the name. */
const finds =
  (...addresses: { address: string; family: number }[]): LookupFunction =>
  (_name, options, callback) => {
    const [first] = addresses;
    if (options.all) setImmediate(() => callback(null, addresses));
    else setImmediate(() => callback(null, first.address, first.family));
  };

describe('net: the beginning of a connection', () => {
  sameAsNode('a socket, from new to closed', async (world) => {
    const server = world.server.createServer((socket) => socket.resume());
    const port = await listen(server, world.host);
    const socket = new world.client.Socket();
    const states: unknown[] = [stateOf(socket), socket.address()];
    socket.connect(port, world.host);
    states.push(stateOf(socket));
    socket.write('four');
    states.push(stateOf(socket));
    await once(socket, 'connect');
    states.push(stateOf(socket), socket.remoteFamily, socket.remoteAddress === world.host);
    states.push(socket.localFamily, socket.localAddress === world.clientHost);
    states.push(Object.keys(socket.address()).sort());
    socket.end('12345');
    states.push(stateOf(socket));
    await once(socket, 'close');
    states.push(stateOf(socket).slice(0, 5), socket.remoteAddress === world.host);
    server.close();
    return states;
  });

  for (const family of [4, 6]) {
    sameAsNode(`nobody listens, IPv${family}`, async (world) => {
      const host = family === 4 ? world.host : world.host6;
      const port = NOBODYS_PORT;
      const socket = world.client.connect(port, host);
      const attempts: unknown[] = [];
      socket.on('connectionAttempt', (address, _, number) =>
        attempts.push([anonymous(address, world), number]),
      );
      socket.on('connectionAttemptFailed', (address, _, number, error) =>
        attempts.push([anonymous(address, world), number, describeError(error, world)]),
      );
      const { closed } = record(socket, world);
      const log = await closed;
      return { log, attempts, state: stateOf(socket).slice(0, 4) };
    });
  }

  sameAsNode('nobody listens, from a local end of one’s own', async (world) => {
    const port = NOBODYS_PORT;
    const localPort = await freePort(world, world.clientHost === world.host ? world.host : undefined);
    const localAddress = world.clientHost;
    return record(world.client.connect({ port, host: world.host, localAddress, localPort }), world).closed;
  });

  sameAsNode('a local end of one’s own', async (world) => {
    const server = world.server.createServer((socket) => socket.end());
    const port = await listen(server, world.host);
    const localPort = 20_000 + Math.floor(Math.random() * 9_000);
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const client = world.client.connect({
      port,
      host: world.host,
      localAddress: world.clientHost,
      localPort,
    });
    const [accepted] = await accepting;
    const ends = [accepted.remotePort === localPort, accepted.remoteAddress === world.clientHost];
    client.resume();
    accepted.resume();
    await once(client, 'close');
    server.close();
    return ends;
  });

  sameAsNode('a local address that is another’s', async (world) => {
    const options = { port: 80, host: world.host, localAddress: '203.0.113.77' };
    return record(world.client.connect(options), world).closed;
  });

  sameAsNode('a local port that is taken', async (world) => {
    const holder = world.client.createServer();
    const localPort = await listen(holder, world.clientHost);
    const port = NOBODYS_PORT;
    const localAddress = world.clientHost;
    const log = await record(world.client.connect({ port, host: world.host, localAddress, localPort }), world)
      .closed;
    holder.close();
    // Who notices differs: the kernel where it binds, or where it connects.
    return log.map((entry) => (Array.isArray(entry) && entry[0] === 'error' ? entry[1].code : entry));
  });

  sameAsNode('destroyed in the tick of connect', async (world) => {
    const port = NOBODYS_PORT;
    const socket = world.client.connect(port, world.host);
    const { closed } = record(socket, world);
    const written = new Promise((resolve) => {
      socket.write('x', (error) => resolve((error as NodeJS.ErrnoException).code));
    });
    socket.destroy();
    return [await closed, await written];
  });

  sameAsNode('destroyed without ever connecting', async (world) => {
    const socket = new world.client.Socket();
    const { closed } = record(socket, world);
    socket.destroy();
    return closed;
  });

  sameAsNode('written to without ever connecting', async (world) => {
    const socket = new world.client.Socket();
    const { closed } = record(socket, world);
    socket.write('x');
    return closed;
  });

  sameAsNode('reset before it is connected', async (world) => {
    const never = new world.client.Socket();
    const first = record(never, world);
    never.resetAndDestroy();
    // Whether the server hears of a connection that was reset at once is left open.
    const server = world.server.createServer((socket) => socket.on('error', () => {}));
    const port = await listen(server, world.host);
    const socket = world.client.connect(port, world.host);
    const second = record(socket, world);
    socket.resetAndDestroy();
    const logs = [await first.closed, await second.closed];
    server.close();
    return logs;
  });

  sameAsNode('the same object again', async (world) => {
    const server = world.server.createServer((socket) => socket.end('hello'));
    const port = await listen(server, world.host);
    const socket = new world.client.Socket();
    const seen: unknown[] = [];
    for (let round = 0; round < 3; round++) {
      socket.connect(port, world.host);
      await once(socket, 'connect');
      seen.push(await textOf(socket), socket.readyState);
      if (!socket.closed) await once(socket, 'close');
      // The stream's own part of the end comes a moment later.
      await new Promise((resolve) => setImmediate(resolve));
    }
    server.close();
    return seen;
  });

  sameAsNode('after a failure, to another place', async (world) => {
    const port = NOBODYS_PORT;
    const socket = world.client.connect(port, world.host);
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    await once(socket, 'close');
    const server = world.server.createServer((accepted) => accepted.end('here'));
    const other = await listen(server, world.host);
    socket.connect(other, world.host);
    const received = await textOf(socket);
    server.close();
    return [error.code, received];
  });

  sameAsNode('`localhost`, and every way to call', async (world) => {
    // Between two stacks the name means another one each time: both ends belong to one.
    const net = world.client;
    const server = net.createServer((socket) => socket.end('x'));
    const port = await listen(server);
    const ways: ((done: () => void) => Socket)[] = [
      (done) => net.connect(port, done as never),
      (done) => net.connect(port, 'localhost', done),
      (done) => net.connect({ port }, done),
      (done) => net.createConnection({ port, host: '127.0.0.1' }, done),
      (done) => net.createConnection(port, '127.0.0.1', done),
      (done) => new net.Socket().connect(port, done),
      (done) => new net.Socket().connect({ port, host: '::1' }, done),
      (done) => new net.Stream().connect({ port: String(port) as unknown as number }, done),
    ];
    const results: unknown[] = [];
    for (const way of ways) {
      const events: string[] = [];
      const socket = way(() => events.push('callback'));
      socket.on(
        'lookup',
        (error, _, __, name) => events.includes('lookup') || events.push(`lookup ${name} ${String(error)}`),
      );
      const received = await textOf(socket);
      results.push([received, [...new Set(events)]]);
    }
    server.close();
    return results;
  });

  sameAsNode('a lookup of one’s own', async (world) => {
    const server = world.server.createServer((socket) => socket.end('found'));
    const port = await listen(server, world.host);
    const asked: unknown[] = [];
    const lookup: LookupFunction = (name, options, callback) => {
      asked.push(name, options);
      finds({ address: world.host, family: 4 })(name, options, callback);
    };
    const received: string[] = [];
    for (const extra of [
      {},
      { family: 4 },
      { autoSelectFamily: false },
      { localAddress: world.clientHost },
    ]) {
      received.push(await textOf(world.client.connect({ port, host: 'server.example', lookup, ...extra })));
    }
    server.close();
    return [received, asked];
  });

  for (const [what, found] of [
    ['no address', { address: 'nonsense', family: 4 }],
    ['no family', { address: '127.0.0.1', family: 5 }],
  ] as const) {
    for (const autoSelectFamily of [true, false]) {
      sameAsNode(
        `a lookup that gives ${what}${autoSelectFamily ? ', of all' : ''}`,
        (world) =>
          record(
            world.client.connect({
              port: 80,
              host: 'server.example',
              lookup: finds(found),
              autoSelectFamily,
            }),
            world,
          ).closed,
      );
    }
  }

  sameAsNode('a lookup that fails', async (world) => {
    const lookup: LookupFunction = (_name, _options, callback) => {
      process.nextTick(() => callback(Object.assign(new Error('not there'), { code: 'ENOTFOUND' }), ''));
    };
    const logs: unknown[] = [];
    for (const autoSelectFamily of [true, false]) {
      const socket = world.client.connect({ port: 80, host: 'server.example', lookup, autoSelectFamily });
      const lookups: unknown[] = [];
      socket.on('lookup', (error, ...rest) => lookups.push(String(error), rest));
      logs.push(await record(socket, world).closed, lookups);
    }
    return logs;
  });

  sameAsNode('addresses of both families, and nobody at any', async (world) => {
    const port = NOBODYS_PORT;
    const lookup = finds({ address: world.host6, family: 6 }, { address: world.host, family: 4 });
    const socket = world.client.connect({ port, host: 'server.example', lookup, autoSelectFamily: true });
    const events: unknown[] = [];
    for (const name of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']) {
      socket.on(name, (address: string, _port: number, family: number) => {
        events.push([name, anonymous(address, world), family]);
      });
    }
    const [error] = (await once(socket, 'error')) as [AggregateError & { code: string }];
    const attempted = socket.autoSelectFamilyAttemptedAddresses.map((place) => anonymous(place, world));
    const each = error.errors.map((one) => describeError(one, world));
    return [error.name, error.code, error.message, each, events, attempted];
  });

  sameAsNode('addresses of both families, and somebody at the second', async (world) => {
    const server = world.server.createServer((socket) => socket.end('second'));
    const port = await listen(server, world.host);
    const lookup = finds({ address: world.host6, family: 6 }, { address: world.host, family: 4 });
    const socket = world.client.connect({ port, host: 'server.example', lookup, autoSelectFamily: true });
    await once(socket, 'connect');
    const remote = anonymous(String(socket.remoteAddress), world);
    const received = await textOf(socket);
    server.close();
    return [received, remote];
  });

  sameAsNode('arguments that can never be right', async (world) => {
    const { connect, Socket } = world.client;
    const calls: (() => unknown)[] = [
      () => connect({} as never),
      () => new Socket().connect({ host: 'localhost' } as never),
      () => connect({ port: 65_536 }),
      () => connect({ port: -1 }),
      () => connect({ port: 'x' as never }),
      () => connect({ port: {} as never }),
      () => connect({ port: true as never }),
      () => connect({ port: Number.NaN }),
      () => connect({ port: 1, localAddress: 'nonsense' }),
      () => connect({ port: 1, localPort: 'x' as never }),
      () => connect({ port: 1, host: 'x.example', lookup: 'x' as never }),
      () => connect({ port: 1, autoSelectFamily: 'x' as never }),
      () => connect({ port: 1, autoSelectFamilyAttemptTimeout: 0 }),
      () => connect({ port: 1, autoSelectFamilyAttemptTimeout: 'x' as never }),
      () => connect({ path: 1 as never }),
      () => new Socket({ objectMode: true } as never),
      () => new Socket({ readableObjectMode: true } as never),
      () => new Socket({ keepAliveInitialDelay: 'x' } as never),
      () => new Socket().setTimeout('x' as never),
      () => new Socket().setTimeout(-1),
      () => new Socket().setTimeout(Number.POSITIVE_INFINITY),
      () => new Socket().setTimeout(1, 'x' as never),
      () => new Socket().write(1 as never),
      () => new Socket().write(null as never),
      () => new Socket().write({} as never),
    ];
    const sockets: Socket[] = [];
    return calls.map((call) =>
      thrown(() => {
        const made = call();
        if (made instanceof Object && 'destroy' in made)
          sockets.push((made as Socket).on('error', () => {}).destroy());
      }),
    );
  });

  sameAsNode('`new` left out, and inheritance of the old kind', async (world) => {
    const { accepted, client } = await pair(world);
    accepted.end('x');
    client.resume();
    const { Socket } = world.client as unknown as { Socket: (options?: object) => Socket };
    const made = Socket({ allowHalfOpen: true });
    function Old(this: Socket): void {
      Reflect.apply(Socket, this, [{}]);
    }
    Object.setPrototypeOf(Old.prototype, Socket.prototype as object);
    const old = new (Old as unknown as new () => Socket)();
    const server = world.server.createServer((socket) => socket.end('to the old one'));
    old.connect(await listen(server, world.host), world.host);
    const received = await textOf(old);
    server.close();
    return [
      made instanceof Socket,
      made.allowHalfOpen,
      old instanceof Socket,
      received,
      client instanceof Socket,
    ];
  });

  sameAsNode('an abort signal', async (world) => {
    const early = record(
      world.client.connect({ port: 1, host: world.host, signal: AbortSignal.abort() } as never),
      world,
    );
    const controller = new AbortController();
    const { client, accepted } = await pair(world, { client: { signal: controller.signal } });
    const seen = record(client, world);
    accepted.resume();
    controller.abort();
    return [await early.closed, await seen.closed];
  });
});
