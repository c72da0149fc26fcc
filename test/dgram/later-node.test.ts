/** What `node:dgram` has learned since version 20, which sockets of stacks have on every version. */
import type { Socket } from 'node:dgram';
import dns from 'node:dns';
import { once } from 'node:events';
import { BlockList } from 'node:net';
import { expect } from 'chai';
import type { SyncUdpSocket } from '../../lib/index.js';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { asLaterNode, bound, describeError, loopbackWorld, next, thrown, type World } from './world.js';

const open = (world: World, options: object | string = 'udp4'): Socket & SyncUdpSocket =>
  world.client.createSocket(options as 'udp4') as Socket & SyncUdpSocket;

/** What a call throws, without addresses. */
function refused(call: () => unknown, world: World): unknown {
  try {
    call();
    return 'nothing';
  } catch (error) {
    const { code, message, syscall } = describeError(error, world) as Record<string, unknown>;
    return [code, message, ...(syscall === undefined ? [] : [syscall])];
  }
}

describe('dgram: later versions of Node', () => {
  asLaterNode(
    'binds at once, and says so in the next tick',
    { since: 24, expected: [true, ['0.0.0.0', 'IPv4'], 'bound', 'tick', 'listening', '::', true, 'IPv4'] },
    async (world) => {
      const seen: unknown[] = [];
      const socket = open(world);
      socket.on('listening', () => seen.push('listening'));
      process.nextTick(() => seen.push('tick'));
      const { address, family, port } = socket.bindSync();
      seen.push(port > 0, [address, family], 'bound');
      await once(socket, 'listening');
      const other = open(world, 'udp6');
      seen.push(other.bindSync({ port: 0 }).address);
      const named = open(world, { type: 'udp4' });
      const place = named.bindSync({ address: world.clientHost });
      seen.push(place.address === world.clientHost, place.family);
      for (const one of [socket, other, named]) one.close();
      return seen;
    },
  );

  asLaterNode(
    'says at once why it cannot be bound, and can be bound afterwards',
    {
      since: 24,
      expected: [
        ['EADDRINUSE', 'bind EADDRINUSE <address>:<port>', 'bind'],
        ['EADDRNOTAVAIL', 'bind EADDRNOTAVAIL 203.0.113.9', 'bind'],
        ['ERR_SOCKET_BAD_PORT', 'options.port should be >= 0 and < 65536. Received type number (65536).'],
        [
          'ERR_INVALID_ARG_VALUE',
          "The property 'options.address' must be a numeric IP address; bindSync does not perform DNS resolution. " +
            "Received 'localhost'",
        ],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options.address" property must be of type string. Received type number (5)',
        ],
        ['ERR_INVALID_ARG_TYPE', 'The "options" argument must be of type object. Received type number (5)'],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options" argument must be of type object. Received an instance of Array',
        ],
        true,
        ['ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound'],
        ['ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running'],
      ],
    },
    async (world) => {
      const first = open(world);
      const port = await bound(first, world.clientHost);
      const socket = open(world);
      const attempt = (options: unknown): unknown => refused(() => socket.bindSync(options as never), world);
      const seen = [
        attempt({ port, address: world.clientHost }),
        attempt({ address: '203.0.113.9' }),
        attempt({ port: 65_536 }),
        attempt({ address: 'localhost' }),
        attempt({ address: 5 }),
        attempt(5),
        attempt([]),
        socket.bindSync().port > 0,
        attempt({}),
      ];
      socket.close();
      seen.push(attempt({}));
      first.close();
      return seen;
    },
  );

  asLaterNode(
    'says nothing of a binding that was closed in the same tick',
    { since: 24, expected: ['close'] },
    async (world) => {
      const seen: unknown[] = [];
      const socket = open(world);
      for (const event of ['listening', 'connect', 'close']) socket.on(event, () => seen.push(event));
      socket.bindSync();
      socket.connectSync(9, world.host);
      socket.close();
      await once(socket, 'close');
      return seen;
    },
  );

  asLaterNode(
    'connects at once, and carries datagrams both ways',
    { since: 24, expected: [true, 'listening', 'connect', 'hello', 'you too'] },
    async (world) => {
      const server = world.server.createSocket('udp4');
      const port = await bound(server, world.host);
      const seen: unknown[] = [];
      const socket = open(world);
      for (const event of ['listening', 'connect']) socket.on(event, () => seen.push(event));
      socket.connectSync(port, world.host);
      const peer = socket.remoteAddress();
      seen.push(peer.address === world.host && peer.port === port);
      socket.send('hello');
      const [text, from] = await next(server);
      seen.push(text);
      server.send('you too', from.port, from.address);
      seen.push((await next(socket))[0]);
      for (const one of [socket, server]) one.close();
      return seen;
    },
  );

  asLaterNode(
    'says at once why it cannot be connected',
    {
      since: 24,
      expected: [
        ['ERR_SOCKET_BAD_PORT', 'Port should be > 0 and < 65536. Received type number (0).'],
        [
          'ERR_INVALID_ARG_VALUE',
          "The argument 'address' must be a numeric IP address; connectSync does not perform DNS resolution. " +
            "Received 'localhost'",
        ],
        ['ERR_IP_BLOCKED', 'IP(203.0.113.9) is blocked by net.BlockList'],
        '127.0.0.1',
        ['ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected'],
        ['ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound'],
        ['ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running'],
      ],
    },
    (world) => {
      const sendBlockList = new BlockList();
      sendBlockList.addAddress('203.0.113.9');
      const socket = open(world, { type: 'udp4', sendBlockList });
      const attempt = (...args: unknown[]): unknown =>
        refused(() => socket.connectSync(...(args as [number])), world);
      const seen = [attempt(0), attempt(9, 'localhost'), attempt(9, '203.0.113.9')];
      socket.connectSync(9);
      seen.push(socket.remoteAddress().address, attempt(9));
      socket.close();
      // On its way to a port, by the call that waits.
      const waiting = open(world);
      waiting.bind(0, world.clientHost);
      seen.push(refused(() => waiting.connectSync(9), world));
      waiting.close();
      seen.push(refused(() => waiting.connectSync(9), world));
      return Promise.resolve(seen);
    },
  );

  asLaterNode(
    'keeps from addresses of both families what a block list has',
    { since: 22, expected: ['ERR_IP_BLOCKED', 'ERR_IP_BLOCKED'] },
    async (world) => {
      const sendBlockList = new BlockList();
      sendBlockList.addAddress('203.0.113.9');
      sendBlockList.addAddress('2001:db8::1', 'ipv6');
      const seen: unknown[] = [];
      for (const [type, address] of [
        ['udp4', '203.0.113.9'],
        ['udp6', '2001:db8::1'],
      ]) {
        const socket = open(world, { type, sendBlockList });
        const error = await new Promise((resolve) => socket.send('x', 9, address, resolve));
        seen.push((error as NodeJS.ErrnoException).code);
        socket.close();
      }
      return seen;
    },
  );

  it('asks a lookup put in the place of Node’s for addresses as this Node does', async () => {
    const original = dns.lookup;
    const world = loopbackWorld();
    const asked: string[] = [];
    dns.lookup = ((name: string, family: number, found: (error: null, address: string) => void) => {
      asked.push(name);
      process.nextTick(found, null, '127.0.0.1', family);
    }) as never;
    try {
      const socket = world.client.createSocket('udp4');
      await bound(socket, '127.0.0.1');
      await new Promise((resolve) => socket.send('x', 9, 'some.name', resolve));
      socket.close();
    } finally {
      dns.lookup = original;
    }
    expect(asked).to.deep.equal(NODE_MAJOR >= 24 ? ['some.name'] : ['127.0.0.1', 'some.name']);
    world.close();
  });

  it('refuses a name with NUL', () => {
    const world = loopbackWorld();
    const socket = world.client.createSocket('udp4');
    const message = "The argument 'hostname' must be a string without null bytes. Received 'a\\x00b'";
    expect(thrown(() => socket.bind(0, 'a\0b'))).to.include({ code: 'ERR_INVALID_ARG_VALUE', message });
    socket.close();
    world.close();
  });
});
