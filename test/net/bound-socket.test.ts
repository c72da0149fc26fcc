/** `BoundSocket`, which Node has since version 24: a port that is taken first, and used later. */
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { expect } from 'chai';
import type { BoundSocket } from '../../lib/index.js';
import { describeError, listen, textOf, thrown } from './support/recording.js';
import { asLaterNode } from './support/scenario.js';
import { loopbackWorld, pipeWorld, type World } from './support/worlds.js';

const SINCE = 24;
const ADOPTED = {
  name: 'Error',
  code: 'ERR_SOCKET_HANDLE_ADOPTED',
  message: 'The bound socket has already been adopted by a server or socket',
};

/** Calls that the types of Node before version 24 do not know. */
const listenOn = (server: Server, ...args: unknown[]): Server =>
  (server.listen as unknown as (...args: unknown[]) => Server).apply(server, args);
const socketOf = (net: World['client'], bound: BoundSocket): Socket =>
  new net.Socket({ handle: bound } as never);

function refused(call: () => unknown, world: World): unknown {
  try {
    call();
    return 'nothing';
  } catch (error) {
    const { code, message, syscall } = describeError(error, world);
    return syscall === undefined ? [code, message] : [code, message, syscall];
  }
}

describe('net: BoundSocket', () => {
  asLaterNode(
    'takes an address at once',
    { since: SINCE, expected: [['0.0.0.0', 'IPv4', true], ['::', 'IPv6', true], true, false, 'done'] },
    (world) => {
      const { BoundSocket } = world.client;
      const seen: unknown[] = [];
      for (const options of [undefined, { ipv6Only: true }]) {
        const bound = new BoundSocket(options);
        const { address, family, port } = bound.address();
        seen.push([address, family, port > 0]);
        bound.close();
      }
      const bound = new BoundSocket({ host: world.clientHost, port: 0 });
      seen.push(bound.address().address === world.clientHost, bound.isPipe);
      bound[Symbol.dispose]();
      bound[Symbol.dispose]();
      return Promise.resolve([...seen, 'done']);
    },
  );

  asLaterNode(
    'refuses what it cannot take',
    {
      since: SINCE,
      expected: [
        ['ERR_INVALID_ARG_TYPE', 'The "options" argument must be of type object. Received type number (5)'],
        ['ERR_INVALID_ARG_TYPE', 'The "options" argument must be of type object. Received null'],
        ['ERR_SOCKET_BAD_PORT', "options.port should be >= 0 and < 65536. Received type string ('x')."],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options.ipv6Only" property must be of type boolean. Received type number (1)',
        ],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options.reusePort" property must be of type boolean. Received type number (1)',
        ],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options.host" property must be of type string. Received type number (5)',
        ],
        [
          'ERR_INVALID_ARG_VALUE',
          "The property 'options.host' must be a numeric IP address; net.BoundSocket does not perform DNS " +
            "resolution. Received 'localhost'",
        ],
        [
          'ERR_INVALID_ARG_TYPE',
          'The "options.path" property must be of type string. Received type number (5)',
        ],
        [
          'ERR_INVALID_ARG_VALUE',
          "The argument 'options' path is mutually exclusive with host, port, ipv6Only, and reusePort. " +
            "Received { path: 'x', port: 5 }",
        ],
        ['EADDRNOTAVAIL', 'bind EADDRNOTAVAIL 203.0.113.9', 'bind'],
        ['EADDRINUSE', 'bind EADDRINUSE <address>:<port>', 'bind'],
      ],
    },
    async (world) => {
      const { BoundSocket } = world.client;
      const server = world.client.createServer();
      const port = await listen(server, world.clientHost);
      const wishes: unknown[] = [
        5,
        null,
        { port: 'x' },
        { ipv6Only: 1 },
        { reusePort: 1 },
        { host: 5 },
        { host: 'localhost' },
        { path: 5 },
        { path: 'x', port: 5 },
        { host: '203.0.113.9' },
        { host: world.clientHost, port },
      ];
      const seen = wishes.map((wish) => refused(() => new BoundSocket(wish as never), world));
      server.close();
      return seen;
    },
  );

  asLaterNode(
    'is adopted by a server, once',
    {
      since: SINCE,
      expected: [true, '-1:null:-1', 'listening', 'hello', ...Array(6).fill(ADOPTED), 'EADDRINUSE'],
    },
    async (world) => {
      const { BoundSocket } = world.server;
      const bound = new BoundSocket({ host: world.host });
      const { port } = bound.address();
      const seen: unknown[] = [];
      const server = listenOn(
        world.server.createServer((socket) => socket.end('hello')),
        bound,
        () => seen.push('listening'),
      );
      const address = server.address() as AddressInfo;
      seen.push(address.port === port && address.address === world.host);
      seen.push((server as unknown as { _connectionKey: string })._connectionKey);
      await once(server, 'listening');
      seen.push(await textOf(world.client.connect(port, world.host)));
      const other = world.server.createServer();
      seen.push(
        thrown(() => bound.address()),
        thrown(() => bound.close()),
        thrown(() => bound.fd()),
        thrown(() => listenOn(other, bound)),
        thrown(() => listenOn(other, { handle: bound })),
        thrown(() => socketOf(world.server, bound)),
      );
      bound[Symbol.dispose]();
      listenOn(other, { port, host: world.host });
      const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException];
      server.close();
      return [...seen, error.code];
    },
  );

  asLaterNode(
    'is adopted by a socket, which connects from it at once',
    {
      since: SINCE,
      expected: [
        ['pending', false, 'open', true, undefined, false],
        ['connectionAttempt'],
        ['after', true, true],
        ['connect'],
        ['from the bound port', true],
        ['end'],
        ['close', false],
      ],
    },
    async (world) => {
      const seen: unknown[][] = [];
      const server = world.server.createServer((socket) => {
        seen.push(['from the bound port', socket.remotePort === port]);
        socket.end();
      });
      const target = await listen(server, world.host);
      const bound = new world.client.BoundSocket({ host: world.clientHost });
      const { port } = bound.address();
      const socket = socketOf(world.client, bound);
      for (const event of ['connectionAttempt', 'connectionAttemptFailed', 'connect', 'end']) {
        socket.on(event, () => seen.push([event]));
      }
      const closed = once(socket, 'close');
      const isThere = (): boolean => socket.localPort === port && socket.localAddress === world.clientHost;
      const { pending, readyState, remoteAddress, connecting } = socket;
      seen.push(['pending', pending, readyState, isThere(), remoteAddress, connecting]);
      socket.resume().connect(target, world.host);
      seen.push(['after', socket.connecting, isThere()]);
      seen.push(['close', (await closed)[0]]);
      server.close();
      // Who is first depends on where they are.
      return seen.sort((a, b) => ORDER.indexOf(String(a[0])) - ORDER.indexOf(String(b[0])));
    },
  );
  const ORDER = ['pending', 'connectionAttempt', 'after', 'connect', 'from the bound port', 'end', 'close'];

  asLaterNode(
    'connects to a name, of which one address is tried',
    { since: SINCE, expected: ['127.0.0.1', 'hello'] },
    async (world) => {
      const server = world.client.createServer((socket) => socket.end('hello'));
      const port = await listen(server, '127.0.0.1');
      const socket = socketOf(world.client, new world.client.BoundSocket({ host: '127.0.0.1' }));
      const seen: unknown[] = [];
      socket.on('lookup', (_error, address) => seen.push(address));
      socket.connect({ port, host: 'localhost', family: 4 });
      seen.push(await textOf(socket));
      server.close();
      return seen;
    },
  );

  asLaterNode(
    'does not connect to the other family, or to nobody',
    {
      since: SINCE,
      expected: [
        ['EAFNOSUPPORT', 'connect EAFNOSUPPORT <address6>:<port> - Local (0.0.0.0:<port>)', false],
        ['EINVAL', 'connect EINVAL <address>:<port> - Local (:::<port>)', false],
        ['ECONNREFUSED', 'connect ECONNREFUSED <address>:<port>', true],
      ],
    },
    async (world) => {
      const seen: unknown[] = [];
      const server = world.server.createServer();
      const nobody = await listen(server, world.host);
      server.close();
      const cases: readonly [own: string, target: string][] = [
        ['0.0.0.0', world.host6],
        ['::', world.host],
        ['0.0.0.0', world.host],
      ];
      for (const [own, target] of cases) {
        const socket = socketOf(world.client, new world.client.BoundSocket({ host: own }));
        socket.connect(nobody, target);
        const { connecting } = socket;
        const [error] = (await once(socket, 'error')) as [Error];
        const { code, message } = describeError(error, world);
        seen.push([code, message, connecting]);
      }
      return seen;
    },
  );

  asLaterNode(
    'keeps its local end, and takes no writes before it is connected',
    {
      since: SINCE,
      expected: [
        'ERR_INVALID_ARG_VALUE',
        'ERR_INVALID_ARG_VALUE',
        ['close', false],
        ['EPIPE', 'write EPIPE'],
        'EPIPE',
        ['close', true],
      ],
    },
    async (world) => {
      const seen: unknown[] = [];
      const { BoundSocket } = world.client;
      const unused = socketOf(world.client, new BoundSocket());
      for (const local of [{ localPort: 5000 }, { localAddress: '127.0.0.1' }]) {
        seen.push(thrown(() => unused.connect({ port: 9, host: world.host, ...local }))?.code);
      }
      const closed = once(unused, 'close');
      unused.destroy();
      seen.push(['close', ...(await closed)]);
      const socket = socketOf(world.client, new BoundSocket());
      const failed = once(socket, 'error');
      socket.on('close', (hadError) => seen.push(['close', hadError]));
      socket.write('x', (error) => seen.push([(error as NodeJS.ErrnoException).code, error?.message]));
      seen.push(((await failed)[0] as NodeJS.ErrnoException).code);
      await new Promise((resolve) => setImmediate(resolve));
      if (!seen.some((one) => Array.isArray(one) && one[1] === true)) await once(socket, 'close');
      return seen;
    },
  );

  asLaterNode(
    'shares a port with others that want that too',
    { since: SINCE, expected: ['EADDRINUSE', 'shared'] },
    (world) => {
      const { BoundSocket } = world.client;
      const options = { host: world.clientHost, reusePort: true };
      const first = new BoundSocket(options);
      const { port } = first.address();
      const server = world.client.createServer();
      const seen: unknown[] = [];
      // Of two that listen one must be alone, unless both share.
      return new Promise((resolve) => {
        listenOn(server, first, () => {
          seen.push(thrown(() => new BoundSocket({ host: world.clientHost, port }))?.code);
          const second = new BoundSocket({ ...options, port });
          seen.push(second.address().port === port ? 'shared' : 'not shared');
          second.close();
          server.close(() => resolve(seen));
        });
      });
    },
  );

  it('gives its port back when it, or the socket that adopted it, is closed', () => {
    const world = loopbackWorld();
    const { BoundSocket } = world.client;
    const first = new BoundSocket();
    const { port } = first.address();
    expect(thrown(() => new BoundSocket({ port }))).to.include({ code: 'EADDRINUSE' });
    first.close();
    expect(thrown(() => first.close())).to.deep.equal(ADOPTED);
    const second = new BoundSocket({ port });
    const socket = socketOf(world.client, second);
    expect(thrown(() => new BoundSocket({ port }))).to.include({ code: 'EADDRINUSE' });
    socket.destroy();
    const third = new BoundSocket({ port });
    expect(third.fd()).to.equal(-1);
    third.close();
    world.close();
  });

  it('has no paths, and is for its own stack only', () => {
    const world = pipeWorld();
    const { BoundSocket } = world.client;
    expect(thrown(() => new BoundSocket({ path: '/tmp/x' }))).to.include({
      code: 'EAFNOSUPPORT',
      message: 'bind EAFNOSUPPORT',
    });
    const bound = new BoundSocket();
    const server = world.server.createServer();
    expect(thrown(() => listenOn(server, bound))).to.include({ code: 'ERR_INVALID_ARG_VALUE' });
    expect(thrown(() => socketOf(world.server, bound))).to.include({ code: 'ERR_INVALID_ARG_VALUE' });
    // It was not lost by that.
    expect(bound.address().port).to.be.above(0);
    bound.close();
    world.close();
  });
});
