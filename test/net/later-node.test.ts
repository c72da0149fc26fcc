/** What `node:net` has learned since version 20, which sockets and servers of stacks have on every version. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { BlockList, isIPv6, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { createPipe, Stack, SystemClock, SystemRandom, type TcpSocket } from '../../lib/index.js';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { anonymous, describeError, listen, pair, portOf, textOf, thrown } from './support/recording.js';
import { asLaterNode } from './support/scenario.js';
import { loopbackWorld, NOBODYS_PORT, pipeWorld } from './support/worlds.js';

describe('net: later versions of Node', () => {
  describe('setKeepAlive', () => {
    type Settings = [on: unknown, idleMs: unknown, intervalMs: unknown, probes: unknown];
    const settings = (socket: Socket): Settings => {
      const tcp = socket as unknown as TcpSocket;
      return [
        tcp.getTcpOption('keepAlive'),
        tcp.getTcpOption('keepAliveIdleMs'),
        tcp.getTcpOption('keepAliveIntervalMs'),
        tcp.getTcpOption('keepAliveProbes'),
      ];
    };
    // What Node 24 sets on Linux, call by call, as `strace` shows it.
    const calls: readonly [args: unknown[], after: Settings][] = [
      [[], [false, 7_200_000, 75_000, 9]],
      [[true], [true, 7_200_000, 75_000, 9]],
      [
        [true, 0],
        [true, 7_200_000, 75_000, 9],
      ],
      [
        [true, 5999],
        [true, 5000, 1000, 10],
      ],
      [
        [true, 5000, 3000, 4],
        [true, 5000, 3000, 4],
      ],
      [
        [true, 5000, 3000],
        [true, 5000, 3000, 10],
      ],
      [
        [true, 5000, undefined, 7],
        [true, 5000, 1000, 7],
      ],
      [[{ enable: true, initialDelay: 6000, interval: 2000, count: 3 }], [true, 6000, 2000, 3]],
      [[{ initialDelay: 8000 }], [false, 6000, 2000, 3]],
      [
        [true, 0, 4000, 5],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 0, 0],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 500, 5],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 5000, 300],
        [true, 7000, 5000, 3],
      ],
      [
        [true, -1],
        [true, 7000, 5000, 3],
      ],
      [
        [true, 40_000_000],
        [true, 7000, 5000, 3],
      ],
      [[null], [false, 7000, 5000, 3]],
    ];

    it('takes interval and count, and keeps what cannot be', async () => {
      const world = pipeWorld();
      const { client, accepted } = await pair(world);
      for (const [args, after] of calls) {
        const call = client as unknown as { setKeepAlive(...args: unknown[]): Socket };
        expect(call.setKeepAlive(...args)).to.equal(client);
        expect(settings(client), JSON.stringify(args)).to.deep.equal(after);
      }
      client.destroy();
      accepted.destroy();
      world.close();
    });

    it('is done once there is a connection', async () => {
      const world = pipeWorld();
      const { client, accepted } = await pair(world, {
        server: { keepAlive: true, keepAliveInitialDelay: 4500 },
        onClient(socket) {
          const options = { enable: true, initialDelay: 6000, interval: 2000, count: 3 };
          socket.setKeepAlive(options as never);
        },
      });
      expect(settings(client)).to.deep.equal([true, 6000, 2000, 3]);
      expect(settings(accepted)).to.deep.equal([true, 4000, 1000, 10]);
      client.destroy();
      accepted.destroy();
      world.close();
    });
  });

  describe('block lists', () => {
    const listOf = (...addresses: string[]): BlockList => {
      const list = new BlockList();
      for (const address of addresses) list.addAddress(address, isIPv6(address) ? 'ipv6' : 'ipv4');
      return list;
    };

    asLaterNode(
      'are obeyed by servers, which close what comes from there at once',
      { since: 22, expected: ['ended', '', 'let in', 'hello', 1] },
      async (world) => {
        const seen: unknown[] = [];
        let connections = 0;
        const blockList = listOf(world.clientHost);
        const server = world.server.createServer({ blockList } as object, (socket) => {
          connections++;
          socket.end('hello');
        });
        const port = await listen(server);
        const socket = world.client.connect(port, world.host);
        seen.push('ended', await textOf(socket));
        const other = world.client.connect(port, world.host6);
        seen.push('let in', await textOf(other), connections);
        server.close();
        return seen;
      },
    );

    asLaterNode(
      'are obeyed by sockets, which do not connect there',
      {
        since: 22,
        expected: [
          'connectionAttempt',
          ['error', 'ERR_IP_BLOCKED', 'IP(<address>) is blocked by net.BlockList'],
          ['close', true],
          'connectionAttempt',
          ['error', 'ERR_IP_BLOCKED', 'IP(<address>) is blocked by net.BlockList'],
          ['close', true],
        ],
      },
      async (world) => {
        const seen: unknown[] = [];
        const options = { blockList: listOf(world.host) } as object;
        const ways = [
          () => world.client.connect({ host: world.host, port: 9, ...options }),
          () => new world.client.Socket(options).connect(9, world.host),
        ];
        for (const way of ways) {
          const socket = way();
          for (const event of ['connectionAttempt', 'connect']) socket.on(event, () => seen.push(event));
          socket.on('error', (error) => {
            const { code, message } = describeError(error, world);
            seen.push(['error', code, message]);
          });
          const closed = new Promise((resolve) => socket.on('close', resolve));
          seen.push(['close', await closed]);
        }
        return seen;
      },
    );

    asLaterNode(
      'are obeyed for each address of a name',
      {
        since: 22,
        expected: [
          ['attempt', '<address6>'],
          ['failed', '<address6>', 'ECONNREFUSED'],
          ['failed', '<address>', 'ERR_IP_BLOCKED'],
          ['', ['ECONNREFUSED', 'ERR_IP_BLOCKED'], 1],
        ],
      },
      async (world) => {
        const seen: unknown[] = [];
        const port = NOBODYS_PORT;
        const addresses = [
          { address: world.host6, family: 6 },
          { address: world.host, family: 4 },
        ];
        const socket = world.client.connect({
          host: 'both.example',
          port,
          autoSelectFamily: true,
          lookup: (_host: string, _options: object, callback: (...args: unknown[]) => void) =>
            process.nextTick(callback, null, addresses),
          blockList: listOf(world.host),
        } as never);
        socket.on('connectionAttempt', (address) => seen.push(['attempt', anonymous(address, world)]));
        socket.on('connectionAttemptFailed', (address, _port, _family, error) => {
          seen.push(['failed', anonymous(address, world), (error as NodeJS.ErrnoException).code]);
        });
        const [error] = (await once(socket, 'error')) as [AggregateError & NodeJS.ErrnoException];
        const codes = error.errors.map(({ code }) => code as string);
        seen.push([error.message, codes, socket.autoSelectFamilyAttemptedAddresses?.length]);
        return seen;
      },
    );

    it('must be block lists', () => {
      const world = loopbackWorld();
      const { createServer, connect, Socket } = world.client;
      const options = { port: 9, blockList: {} } as never;
      for (const call of [() => createServer(options), () => connect(options), () => new Socket(options)]) {
        expect(thrown(call)).to.include({
          code: 'ERR_INVALID_ARG_TYPE',
          message:
            'The "options.blockList" property must be an instance of net.BlockList. Received an instance of Object',
        });
      }
      expect(createServer({ blockList: null } as never)).to.not.have.property('blockList');
      world.close();
    });
  });

  asLaterNode(
    'servers share a port, and the connections to it, where all want that',
    { since: 22, expected: ['EADDRINUSE', 32] },
    async (world) => {
      const counts = [0, 0];
      const servers: Server[] = [];
      let port = 0;
      for (const index of [0, 1]) {
        const server = world.server.createServer((socket) => {
          counts[index]++;
          socket.end();
        });
        const options = { port, host: world.host, reusePort: true } as object;
        server.listen(options);
        await once(server, 'listening');
        port = portOf(server);
        servers.push(server);
      }
      const alone = world.server.createServer();
      alone.listen(port, world.host);
      const [error] = (await once(alone, 'error')) as [NodeJS.ErrnoException];
      for (let i = 0; i < 32; i++) await textOf(world.client.connect(port, world.host));
      for (const server of servers) server.close();
      // Of 32 at random not one for either of them is a chance of 2 to the power of -31.
      return [error.code, Math.min(...counts) > 0 ? counts[0] + counts[1] : counts];
    },
  );

  asLaterNode(
    'names with NUL are refused',
    { since: 22, expected: Array(2).fill('ERR_INVALID_ARG_VALUE') },
    (world) => {
      const server = world.server.createServer();
      const codes = [
        thrown(() => world.client.connect(9, 'a\0b', () => {}))?.code,
        thrown(() => server.listen(0, 'a\0b'))?.code,
      ];
      return Promise.resolve(codes);
    },
  );

  asLaterNode('no limit is one of null', { since: 22, expected: 'hello' }, async (world) => {
    const server = world.server.createServer((socket) => socket.end('hello'));
    (server as { maxConnections: unknown }).maxConnections = null;
    const port = await listen(server, world.host);
    const text = await textOf(world.client.connect(port, world.host));
    server.close();
    return text;
  });

  asLaterNode(
    'whoever watches learns of every socket that connects',
    { since: 22, expected: [true, true] },
    async (world) => {
      const seen: unknown[] = [];
      const hear = (message: unknown): void => void seen.push((message as { socket: Socket }).socket);
      subscribe('net.client.socket', hear);
      const server = world.server.createServer((socket) => socket.end());
      const port = await listen(server, world.host);
      const made = new world.client.Socket();
      await textOf(made.connect(port, world.host));
      const connected = world.client.connect(port, world.host);
      await textOf(connected);
      unsubscribe('net.client.socket', hear);
      server.close();
      return [seen[0] === made, seen[1] === connected && seen.length === 2];
    },
  );

  it('a name is listened on at its first address that needs no link, since Node 22', async () => {
    const stack = new Stack({
      clock: new SystemClock(),
      random: new SystemRandom(),
      dns: { hosts: { 'here.example': ['fe80::1', 'fd09::9', '10.9.0.9'] } },
    });
    const [link] = createPipe({ clock: new SystemClock() });
    stack.addLink(link, { addresses: ['10.9.0.9/24', 'fd09::9/64'] });
    const server = stack.net.createServer();
    server.listen(0, 'here.example');
    const event = await new Promise((resolve) => {
      server.once('listening', () => resolve('listening'));
      server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    const { address } = (server.address() ?? {}) as { address?: string };
    expect([event, address]).to.deep.equal(
      NODE_MAJOR >= 22 ? ['listening', 'fd09::9'] : ['EINVAL', undefined],
    );
    server.close();
    stack.close();
  });
});
