/** Several addresses of one name, tried in turn (RFC 8305), compared with `node:net`. */
import { once } from 'node:events';
import type { LookupFunction, Socket } from 'node:net';
import { anonymous, describeError, listen } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';
import { NOBODYS_PORT, type World } from './support/worlds.js';

interface Found {
  readonly address: string;
  readonly family: number;
}

/** A `lookup` that knows these addresses, and what it was asked with. */
function finds(...addresses: Found[]): { lookup: LookupFunction; asked: unknown[] } {
  const asked: unknown[] = [];
  const lookup: LookupFunction = (_name, options, callback) => {
    asked.push({ ...options });
    const [first] = addresses;
    if (options.all) setImmediate(() => callback(null, addresses));
    else setImmediate(() => callback(null, first.address, first.family));
  };
  return { lookup, asked };
}

async function freePort({ server: net, host }: World): Promise<number> {
  const server = net.createServer();
  const port = await listen(server, host);
  server.close();
  await once(server, 'close');
  return port;
}

const v4 = (world: World): Found => ({ address: world.host, family: 4 });
const v6 = (world: World): Found => ({ address: world.host6, family: 6 });

/** Everything a socket tells, with how many addresses count as tried by then. */
function told(socket: Socket, world: World): Promise<unknown[]> {
  const log: unknown[] = [];
  const hide = (value: unknown): unknown => {
    if (value instanceof Error) return describeError(value, world);
    if (typeof value === 'string') return anonymous(value, world);
    return typeof value === 'number' && value > 9 ? '<port>' : value;
  };
  const events = [
    'lookup',
    'connectionAttempt',
    'connectionAttemptFailed',
    'connectionAttemptTimeout',
    'connect',
    'close',
  ];
  for (const event of events) {
    socket.on(event, (...args: unknown[]) => {
      log.push([event, ...args.map(hide), socket.autoSelectFamilyAttemptedAddresses?.length ?? null]);
    });
  }
  socket.on('connect', () => socket.destroy());
  socket.on('error', (error: AggregateError) => {
    log.push([
      'error',
      error.constructor.name,
      hide(error),
      (error.errors ?? []).map(hide),
      Object.keys(error).sort(),
    ]);
  });
  const closed = new Promise((resolve) => void socket.once('close', resolve));
  return closed.then(() => {
    const attempted = socket.autoSelectFamilyAttemptedAddresses ?? [];
    return [...log, attempted.map((place) => anonymous(place, world))];
  });
}

describe('net: several addresses', () => {
  const cases: Readonly<Record<string, (world: World, port: number) => object>> = {
    'all refuse': () => ({}),
    'all refuse, from a port of one’s own': (_world, port) => ({ localPort: port }),
    'one family only': () => ({ family: 4 }),
    'one family by name': () => ({ family: 'IPv6' }),
    'not to be tried in turn': () => ({ autoSelectFamily: false }),
    'from an address of one’s own': (world) => ({ localAddress: world.clientHost, family: 4 }),
    'with hints': () => ({ hints: 8 }),
  };
  for (const [what, options] of Object.entries(cases)) {
    for (const order of ['IPv6 first', 'IPv4 first']) {
      sameAsNode(`${what}, ${order}`, async (world) => {
        const port = NOBODYS_PORT;
        const localPort = await freePort(world);
        const given = options(world, localPort) as { family?: number | string };
        const both = order === 'IPv6 first' ? [v6(world), v4(world)] : [v4(world), v6(world)];
        const fits = ({ family }: Found): boolean =>
          given.family === undefined || given.family === family || given.family === `IPv${family}`;
        const isAll = given.family === undefined && !('autoSelectFamily' in given);
        const { lookup, asked } = finds(...(isAll ? both : both.filter(fits)));
        const socket = world.client.connect({ port, host: 'server.example', lookup, ...given } as never);
        return { log: await told(socket, world), asked };
      });
    }
  }

  sameAsNode('the first refuses, the second answers, the third is not tried', async (world) => {
    const server = world.server.createServer((socket) => socket.resume().on('error', () => {}));
    const port = await listen(server, world.host);
    const { lookup } = finds(v6(world), v6(world), v4(world), { address: '127.0.0.9', family: 4 });
    const log = await told(world.client.connect({ port, host: 'server.example', lookup }), world);
    server.close();
    return log;
  });

  sameAsNode('given up while it is looked up, and when a first attempt has failed', async (world) => {
    const port = NOBODYS_PORT;
    const outcomes: unknown[] = [];
    for (const event of ['lookup', 'connectionAttemptFailed']) {
      const { lookup } = finds(v6(world), v4(world));
      const socket = world.client.connect({ port, host: 'server.example', lookup });
      const log = told(socket, world);
      socket.once(event, () => socket.destroy());
      outcomes.push(await log);
    }
    return outcomes;
  });
});
