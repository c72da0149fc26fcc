/** `mysql2` over any `net`. */
import type { Socket } from 'node:net';
import mysql from 'mysql2/promise';
import type { NetModule } from '../../../lib/net/net.js';
import { plain, type Story } from './scene.js';

export const MARIADB_PORT = 3306;
export const LOGIN = { user: 'tester', password: 'pass word', database: 'tests' };

/** Options of a client over a `net`: the hook is a function that makes a socket. */
export const mysqlOptions = (net: NetModule, host: string): mysql.ConnectionOptions => ({
  ...LOGIN,
  host,
  port: MARIADB_PORT,
  stream: () => net.connect(MARIADB_PORT, host),
});

interface Inside {
  readonly connection: { readonly stream: Socket };
}

/** The socket of a client. */
export const socketOf = (client: mysql.Connection): Socket => (client as unknown as Inside).connection.stream;

/** The server is lost with a query under way; then connections are refused. */
export const lostServer: Story = async ({ net, host, stopServer }) => {
  const told: unknown[] = [];
  const client = await mysql.createConnection(mysqlOptions(net, host));
  const other = await mysql.createConnection(mysqlOptions(net, host));
  for (const one of [client, other]) {
    // `promise()` hides no event of the connection below.
    (one as unknown as NodeJS.EventEmitter).on('error', (error) => told.push(plain(error)));
  }
  told.push((await client.query('SELECT 1 AS one'))[0]);
  const asleep = client.query('SELECT SLEEP(60)').catch(plain);
  const isRunning = async (): Promise<boolean> => {
    const [rows] = await other.query(
      "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SL%'",
    );
    return (rows as unknown[]).length > 0;
  };
  while (!(await isRunning()));
  await other.end();
  await stopServer();
  told.push(await asleep);
  told.push(await client.query('SELECT 1').catch(plain));
  told.push(await mysql.createConnection(mysqlOptions(net, host)).catch(plain));
  return told;
};
