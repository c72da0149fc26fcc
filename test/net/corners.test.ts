/** Corners of sockets and servers that few programs come to, beside `node:net`. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { anonymous, listen, portOf, record, recordText, thrown, turns } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';

describe('net: corners', () => {
  sameAsNode('the properties of errors come in the order in which they are printed', async (world) => {
    const server = world.server.createServer();
    const port = await listen(server, world.host);
    const second = world.server.createServer();
    second.listen(port, world.host);
    const [taken] = (await once(second, 'error')) as [Error];
    server.close();
    await once(server, 'close');
    const socket = world.client.connect(port, world.host);
    const [refused] = (await once(socket, 'error')) as [Error];
    return [Object.keys(taken), Object.keys(refused)];
  });

  sameAsNode('addresses, before, during and after: of the peer only what was asked for', async (world) => {
    const ends = (socket: Socket): unknown[] => [
      socket.localAddress,
      typeof socket.localPort,
      socket.localFamily,
      socket.remoteAddress,
      typeof socket.remotePort,
      socket.remoteFamily,
      ...Object.keys(socket.address()),
    ];
    const seen: unknown[] = [];
    for (const isAsked of [true, false]) {
      const server = world.server.createServer((socket) => socket.end());
      const port = await listen(server, world.host);
      const socket = new world.client.Socket();
      seen.push(ends(socket));
      socket.connect(port, world.host);
      seen.push(ends(socket));
      await once(socket, 'connect');
      if (isAsked) seen.push(ends(socket));
      socket.resume();
      await once(socket, 'close');
      seen.push(ends(socket));
      server.close();
    }
    return JSON.parse(anonymous(JSON.stringify(seen), world));
  });

  sameAsNode('ended before it is told to connect', async (world) => {
    const server = world.server.createServer((socket) => socket.end());
    const port = await listen(server, world.host);
    const socket = new world.client.Socket();
    const { log } = recordText(socket, world);
    socket.on('prefinish', () => log.push('prefinish'));
    socket.end('text', () => log.push('ended'));
    await turns(3);
    log.push(socket.readyState, socket.writableFinished, socket.destroyed);
    if (NODE_MAJOR < 22) {
      socket.connect(port, world.host);
      await once(socket, 'close');
    }
    socket.destroy();
    server.close();
    return log;
  });

  sameAsNode('options that are none, and descriptors', (world) => {
    const { Socket } = world.client as unknown as { Socket: new (options: unknown) => Socket };
    const seen: unknown[] = [
      new Socket(null).readyState,
      Object.keys(new Socket({})).includes('resetAndClosing'),
    ];
    for (const options of [{ fd: -1 }, { fd: 'x' }, { fd: 1.5 }, { fd: null }, { fd: 4242 }, 4242, -1]) {
      seen.push(thrown(() => new Socket(options)));
    }
    return Promise.resolve(seen);
  });

  sameAsNode('a mapped address to listen on, and connections to it', async (world) => {
    const seen: unknown[] = [];
    const server = world.server.createServer((socket) => {
      seen.push(socket.localAddress, socket.localFamily, socket.remoteAddress, socket.remoteFamily);
      socket.end();
    });
    const port = await listen(server, `::ffff:${world.host}`);
    const { address, family } = server.address() as AddressInfo;
    const client = world.client.connect(port, world.host).resume();
    await once(client, 'close');
    server.close();
    return [address, family, ...seen].map((text) => anonymous(String(text), world));
  });

  sameAsNode('what is told of a connection that is turned away', async (world) => {
    const server = world.server.createServer();
    server.maxConnections = 1;
    const port = await listen(server);
    const accepting = once(server, 'connection');
    const first = world.client.connect(port, world.host);
    const [accepted] = (await accepting) as [Socket];
    const second = world.client.connect(port, world.host).on('error', () => {});
    const [place] = (await once(server, 'drop')) as [Record<string, unknown>];
    const entries = Object.entries(place).map(([key, value]) => [
      key,
      typeof value === 'string' ? anonymous(value, world) : typeof value,
    ]);
    for (const socket of [first, accepted, second]) socket.destroy();
    server.close();
    return [Object.getPrototypeOf(place), ...entries];
  });

  sameAsNode('addresses to listen on that only one link has, or nobody', async (world) => {
    const seen: unknown[] = [];
    for (const host of [
      'fe80::9',
      'ff02::9',
      'ff0e::9',
      'fe80::9%nowhere',
      '::1%nowhere',
      '::%nowhere',
      '2001:db8::9',
    ]) {
      const server = world.server.createServer();
      server.listen(0, host);
      const outcome = await Promise.race([once(server, 'listening'), once(server, 'error')]).catch((e) => [
        e,
      ]);
      const [error] = outcome as [NodeJS.ErrnoException?];
      seen.push([host, error?.message, error?.errno, (server.address() as AddressInfo | null)?.address]);
      server.close();
    }
    return seen;
  });

  sameAsNode('a zone that says nothing new', async (world) => {
    const server = world.server.createServer((socket) => socket.end());
    const port = await listen(server);
    const socket = world.client.connect(port, `${world.host6}%nowhere`).resume();
    const { log, closed } = record(socket, world);
    await closed;
    server.close();
    return log;
  });

  sameAsNode('families that are none, port 0, and local ports that are none', async (world) => {
    const seen: unknown[] = [];
    for (const family of [7, 'x', -4]) {
      seen.push(thrown(() => world.client.connect({ port: 1, host: 'localhost', family: family as number })));
    }
    const { host } = world;
    const server = world.server.createServer();
    const port = await listen(server, host);
    for (const options of [
      { port: 0 },
      { port: 1, localPort: 70_000 },
      { port: 1, localPort: 1.5 },
      { port, localPort: -9 },
    ]) {
      const socket = world.client.connect({ host, ...options });
      const { log, closed } = record(socket, world);
      socket.on('connectionAttempt', (address, to) =>
        log.push(['attempt', anonymous(address, world), to === port || to]),
      );
      socket.on('connect', () => socket.destroy());
      await closed;
      seen.push(log);
    }
    server.close();
    return seen;
  });

  sameAsNode('connecting twice', async (world) => {
    const server = world.server.createServer();
    const port = await listen(server, world.host);
    const socket = world.client.connect(port, world.host);
    const { log, closed } = record(socket, world);
    socket.on('connectionAttempt', () => log.push('attempt'));
    socket.connect(port, world.host);
    await closed;
    server.close();
    return log;
  });

  sameAsNode('`ipv6Only` without a host, and descriptors to listen on', async (world) => {
    const server = world.server.createServer((socket) => socket.end());
    server.listen({ port: 0, ipv6Only: true });
    await once(server, 'listening');
    const socket = world.client.connect(portOf(server), world.host);
    const { log, closed } = record(socket.resume(), world);
    await closed;
    server.close();
    const other = world.server.createServer();
    other.listen({ fd: 4242 });
    const [error] = (await once(other, 'error')) as [Error];
    return [log, Object.assign({}, error), error.message, other.listening];
  });

  sameAsNode('attempts at a path', async (world) => {
    const socket = new world.client.Socket();
    const { log, closed } = record(socket, world);
    const told = (event: string) => socket.on(event, (...args) => log.push([event, ...args.map(String)]));
    told('connectionAttempt');
    told('connectionAttemptFailed');
    socket.connect('/nowhere/at/all');
    log.push('connecting');
    await closed;
    return log;
  });
});
