/** Corners of sockets and servers that few programs come to, beside `node:net`. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { anonymous, listen, recordText, thrown, turns } from './support/recording.js';
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
      ...[socket.localAddress, typeof socket.localPort, socket.localFamily],
      ...[socket.remoteAddress, typeof socket.remotePort, socket.remoteFamily],
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
});
