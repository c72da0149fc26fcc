/** The corners of the API of dgram, compared with `node:dgram`: order and ticks, old names, inheritance. */

import type { Socket } from 'node:dgram';
import diagnostics from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { BlockList } from 'node:net';
import { inherits, inspect } from 'node:util';
import { expect } from 'chai';
import { bound, describeError, loopbackWorld, next, pipeWorld, sameAsNode, thrown } from './world.js';

/** The private parts, which Node has deprecated and still has. */
interface Legacy extends Socket {
  _handle: { getsockname(out: object): number; fd: number; hasRef(): boolean } | null;
  _receiving: boolean;
  _bindState: number;
  _queue: unknown;
  _reuseAddr: unknown;
  _healthCheck(): void;
  _stopReceiving(): void;
}

/** Which the types do not know. */
const typeOf = (socket: Socket): unknown => (socket as Socket & { type: unknown }).type;

describe('dgram: the corners', () => {
  sameAsNode('ticks and microtasks run between two datagrams', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const client = world.client.createSocket('udp4');
    await bound(client);
    const log: string[] = [];
    const done = new Promise<void>((resolve) => {
      server.on('message', (message) => {
        log.push(String(message));
        process.nextTick(() => {
          log.push('tick');
          void Promise.resolve().then(() => log.push('microtask of tick'));
        });
        void Promise.resolve()
          .then(() => log.push('microtask'))
          .then(() => log.push('second microtask'));
        if (String(message) === '5') setImmediate(resolve);
      });
    });
    for (let i = 1; i <= 5; i++) client.send(String(i), port, world.host);
    await done;
    client.close();
    server.close();
    return log;
  });

  sameAsNode('a listener that a promise adds hears the next datagram', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const client = world.client.createSocket('udp4');
    await bound(client);
    for (let i = 1; i <= 4; i++) client.send(String(i), port, world.host);
    const heard: string[] = [];
    while (heard.length < 4) heard.push(String((await once(server, 'message'))[0]));
    client.close();
    server.close();
    return heard;
  });

  sameAsNode('what is sent and then closed is not sent, and nobody is told', async (world) => {
    const log: string[] = [];
    const socket = world.client.createSocket('udp4');
    await bound(socket);
    socket.send('x', 9, world.host, () => log.push('sent'));
    socket.close(() => log.push('closed'));
    await once(socket, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    return log;
  });

  sameAsNode('calls on a closed socket', async (world) => {
    const socket = world.client.createSocket('udp4');
    await bound(socket);
    socket.close();
    return [
      () => socket.setTTL(1),
      () => socket.setBroadcast(true),
      () => socket.setMulticastLoopback(true),
      () => socket.addMembership('224.0.0.1'),
      () => socket.getSendQueueSize(),
      () => socket.getSendQueueCount(),
      () => socket.getSendBufferSize(),
      () => socket.disconnect(),
      () => socket.connect(1),
      () => socket.remoteAddress(),
      () => socket.send(1 as never),
      () => socket.ref() === socket && socket.unref() === socket,
    ].map(thrown);
  });

  sameAsNode('the errors of buffer sizes, as they are printed', async (world) => {
    const socket = world.client.createSocket('udp4');
    const shown: string[] = [];
    const show = (call: () => unknown): void => {
      try {
        call();
      } catch (error) {
        shown.push(inspect(error).replace(/^ +at .*\n/gm, ''), String(error));
      }
    };
    show(() => socket.setSendBufferSize(8192));
    show(() => socket.getRecvBufferSize());
    await bound(socket);
    show(() => socket.setRecvBufferSize(2 ** 31));
    socket.setRecvBufferSize(1);
    socket.setSendBufferSize(1);
    shown.push(String([socket.getRecvBufferSize(), socket.getSendBufferSize()]));
    socket.close();
    return shown;
  });

  sameAsNode('the old names of private parts', async (world) => {
    const socket = world.client.createSocket({ type: 'udp4', reuseAddr: true }) as Legacy;
    const state = (): unknown[] => [socket._receiving, socket._bindState, socket._queue, socket._reuseAddr];
    const log: unknown[] = [state(), typeof socket._handle?.fd, socket._handle?.hasRef()];
    socket.send('x', 9, world.host);
    log.push(Array.isArray(socket._queue), socket._bindState);
    await once(socket, 'listening');
    log.push(
      state(),
      socket._handle?.getsockname({}),
      thrown(() => socket._healthCheck()),
    );
    socket.unref();
    log.push(socket._handle?.hasRef());
    socket._stopReceiving();
    log.push(socket._receiving);
    socket.close();
    log.push(
      socket._handle,
      thrown(() => socket._healthCheck()),
    );
    log.push(Object.keys(Object.getOwnPropertyDescriptors(socket)).includes('type'));
    return log;
  });

  sameAsNode('inheriting in the old way', async (world) => {
    const { Socket } = world.client;
    interface Own extends Socket {
      own: number;
    }
    const Own = function (this: Own): void {
      (Socket as unknown as (this: Socket, type: string) => void).call(this, 'udp4');
      this.own = 1;
    } as unknown as new () => Own;
    inherits(Own, Socket);
    const socket = new Own();
    await bound(socket);
    const log = [socket.own, socket instanceof Socket, socket instanceof EventEmitter, typeOf(socket)];
    class Modern extends Socket {}
    const modern = new (Modern as unknown as new (type: string) => Socket)('udp6');
    log.push(typeOf(modern), modern instanceof Socket, modern.constructor.name);
    socket.close();
    modern.close();
    return log;
  });

  sameAsNode('binding while it is bound, failed and closed', async (world) => {
    const log: unknown[] = [];
    const socket = world.client.createSocket('udp4');
    socket.bind(0, '203.0.113.9', () => log.push('never'));
    log.push(thrown(() => socket.bind()));
    log.push(describeError((await once(socket, 'error'))[0], world));
    socket.bind(0, () => log.push('now'));
    await once(socket, 'listening');
    log.push(socket.listenerCount('error'), socket.listenerCount('listening'));
    socket.close();
    const early = world.client.createSocket('udp4');
    early.bind(0, () => log.push('never'));
    early.close();
    await once(early, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    const queued = world.client.createSocket('udp4');
    queued.send('x', 9, world.host, () => log.push('not sent'));
    queued.close(() => log.push('closed after binding'));
    await once(queued, 'close');
    return log;
  });

  it('tells the channel of diagnostics of every socket', () => {
    const world = loopbackWorld();
    const seen: unknown[] = [];
    const hear = (message: unknown): void => void seen.push(message);
    diagnostics.subscribe('udp.socket', hear);
    const socket = world.client.createSocket('udp4');
    diagnostics.unsubscribe('udp.socket', hear);
    expect(seen).to.deep.equal([{ socket }]);
    socket.close();
    world.close();
  });

  // Of Node 24; this may be an older one.
  it('obeys block lists, both ways', async () => {
    const world = pipeWorld();
    const list = new BlockList();
    list.addAddress(world.host);
    const options = { type: 'udp4', sendBlockList: list } as never;
    const blocked = world.client.createSocket(options);
    const tell = (resolve: (error: Error | null) => void): void => blocked.send('x', 9, world.host, resolve);
    const error = await new Promise(tell);
    expect(error).to.include({
      code: 'ERR_IP_BLOCKED',
      message: `IP(${world.host}) is blocked by net.BlockList`,
    });
    const refused = new Promise((resolve) => blocked.connect(9, world.host, resolve as () => void));
    expect(await refused).to.include({ code: 'ERR_IP_BLOCKED' });
    const deaf = world.client.createSocket({ type: 'udp4', receiveBlockList: list } as never);
    const port = await bound(deaf);
    const sender = world.server.createSocket('udp4');
    sender.send('not heard', port, world.clientHost);
    await once(sender, 'listening');
    const friend = world.client.createSocket('udp4');
    sender.send('marker', await bound(friend), world.clientHost, () =>
      friend.send('heard', port, world.clientHost),
    );
    expect((await next(deaf))[0]).to.equal('heard');
    expect(() => world.client.createSocket({ type: 'udp4', sendBlockList: {} } as never)).to.throw(
      'The "options.sendBlockList" property must be an instance of net.BlockList.',
    );
    for (const socket of [blocked, deaf, sender, friend]) socket.close();
    world.close();
  });

  it('has no descriptors: they are the host’s', async () => {
    const world = loopbackWorld();
    const socket = world.client.createSocket('udp4');
    expect(() => socket.bind({ fd: 1 } as never)).to.throw('Unsupported fd type: UNKNOWN');
    socket.close();
    world.close();
  });

  it('takes a handle made beforehand, as clusters do', async () => {
    const world = loopbackWorld();
    const make = (world.client as unknown as { _createSocketHandle(...args: unknown[]): unknown })
      ._createSocketHandle;
    expect(make('203.0.113.9', 0, 'udp4')).to.equal(-99);
    const socket = world.client.createSocket('udp4');
    socket.bind(make('127.0.0.1', 0, 'udp4') as never);
    expect(socket.address().port).to.be.above(0);
    socket.send('by handle', socket.address().port);
    expect((await next(socket))[0]).to.equal('by handle');
    socket.close();
    world.close();
  });

  sameAsNode(
    'a hop limit that is no number, groups that cannot be left, the address of all',
    async (world) => {
      const seen: unknown[] = [];
      const socket = world.client.createSocket('udp4');
      await bound(socket);
      seen.push(
        socket.setMulticastTTL(Number.NaN),
        socket.setMulticastTTL(1.5),
        thrown(() => socket.setTTL(Number.NaN)),
      );
      for (const args of [
        ['127.0.0.1'],
        ['1.2.3.4', '127.0.0.1'],
        ['224.1.1.9', '10.200.1.1'],
        ['224.1.1.9', '127.0.0.1'],
      ]) {
        seen.push(thrown(() => socket.dropMembership(...(args as [string]))));
      }
      socket.close();
      const everyone = world.client.createSocket('udp4');
      seen.push(
        await bound(everyone, '255.255.255.255').then((port) => port > 0),
        everyone.address().address,
      );
      everyone.close();
      return seen;
    },
  );

  sameAsNode('link-local addresses without a link', async (world) => {
    const seen: unknown[] = [];
    for (const address of ['fe80::9', 'ff02::9', 'fe80::9%nowhere']) {
      const socket = world.client.createSocket('udp6');
      socket.bind(0, address);
      const [error] = await once(socket, 'error');
      seen.push(describeError(error, world));
      socket.close();
    }
    return seen;
  });
});
