/** `pg` over any `net`. */
import type { Socket } from 'node:net';
import pg from 'pg';
import type { NetModule } from '../../../lib/net/net.js';
import { plain, type Story } from './scene.js';

export const POSTGRES_PORT = 5432;
export const LOGIN = { user: 'tester', password: 'päss word', database: 'postgres' };

/** Options of a client over a `net`: the hook is a function that makes a socket, not yet connected. */
export const postgresOptions = (net: NetModule, host: string): pg.ClientConfig => ({
  ...LOGIN,
  host,
  port: POSTGRES_PORT,
  stream: () => new net.Socket(),
});

interface Inside {
  readonly connection: { readonly stream: Socket };
}

/** The socket of a client. */
export const socketOf = (client: pg.Client): Socket => (client as unknown as Inside).connection.stream;

/** The server is lost with a query under way; then connections are refused. */
export const lostServer: Story = async ({ net, host, stopServer }) => {
  const told: unknown[] = [];
  const client = new pg.Client(postgresOptions(net, host));
  client.on('error', (error) => told.push(plain(error)));
  const ended = new Promise<void>((resolve) => {
    client.once('end', () => {
      told.push('end');
      resolve();
    });
  });
  await client.connect();
  told.push((await client.query('SELECT 1 AS one')).rows);
  const begun = new Promise((resolve) => client.once('notice', resolve));
  const block = "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(60); END $$";
  const asleep = client.query(block).catch(plain);
  await begun;
  await stopServer();
  told.push(await asleep);
  await ended;
  told.push(await client.query('SELECT 1').catch(plain));
  told.push(await new pg.Client(postgresOptions(net, host)).connect().catch(plain));
  return told;
};

/** The client ends its side with a query under way: the answer must still come, whole, and then the end. */
export const halfClosed: Story = async ({ net, host }) => {
  const told: unknown[] = [];
  const client = new pg.Client(postgresOptions(net, host));
  client.on('error', (error) => told.push(plain(error)));
  const ended = new Promise((resolve) => client.once('end', resolve));
  await client.connect();
  const answer = client.query("SELECT repeat('half', 1000000) AS text, pg_sleep(0.1)");
  socketOf(client).end();
  const { text } = (await answer).rows[0] as { text: string };
  told.push(text === 'half'.repeat(1_000_000));
  await ended;
  return told;
};
