/** ioredis over any `net`. */
import type { Socket } from 'node:net';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import type { NetModule } from '../../../lib/net/net.js';
import { plain, type Story } from './scene.js';

export const REDIS_PORT = 6379;

/** ioredis over a `net`: its hook is a class that connects. */
export function ioredis(
  net: NetModule,
  place: { host: string; port: number },
  options: Pick<RedisOptions, 'retryStrategy'> = {},
): Redis {
  class Connector extends AbstractConnector {
    constructor() {
      // Longer than any test: a stream that is ended must close by itself.
      super(120_000);
    }
    connect(): Promise<Socket> {
      this.connecting = true;
      const socket = net.connect(place);
      this.stream = socket;
      socket.once('error', (error) => {
        this.firstError = error;
      });
      return Promise.resolve(socket);
    }
  }
  return new Redis({ Connector, lazyConnect: true, ...options });
}

/** The server is lost with a command under way and another waiting; a second connection is refused. */
export const lostServer: Story = async ({ net, host, stopServer }) => {
  const told: unknown[] = [];
  // A process that is killed closes its connections before its port: who comes back at once may still be let in, and
  // ioredis then forgets the command that waits.
  const options: Pick<RedisOptions, 'retryStrategy'> = { retryStrategy: (times) => (times < 3 ? 50 : null) };
  const client = ioredis(net, { host, port: REDIS_PORT }, options);
  for (const name of ['connect', 'ready', 'close', 'reconnecting', 'end']) {
    client.on(name, () => told.push(name));
  }
  client.on('error', (error) => told.push(plain(error)));
  const ended = new Promise((resolve) => client.once('end', resolve));
  await client.connect();
  told.push(await client.set('key', 'value'), await client.get('key'));
  const other = ioredis(net, { host, port: REDIS_PORT });
  await other.connect();
  const waiting = client.blpop('nothing', 0).catch(plain);
  // Its answer says that the server has read what came before: data it never reads would reset us.
  await other.ping();
  other.disconnect();
  await stopServer();
  told.push(await waiting);
  await ended;
  told.push(await client.get('key').catch(plain));
  return told;
};
