/** `mysql2` over any `net`. */
import type { Socket } from 'node:net';
import mysql from 'mysql2/promise';
import type { NetModule } from '../../../lib/net/net.js';
import { content, sha256 } from '../support/content.js';
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

/** Packets are compressed, and come back as they were. */
export const compressed: Story = async (scene) => {
  // MariaDB numbers compressed packets as mysql2 does not expect, over any sockets: it complains, and goes on.
  const { error } = console;
  console.error = () => {};
  try {
    return await compressedBothWays(scene);
  } finally {
    console.error = error;
  }
};

const compressedBothWays: Story = async ({ net, host }) => {
  const client = await mysql.createConnection({ ...mysqlOptions(net, host), compress: true });
  const [status] = (await client.query("SHOW SESSION STATUS LIKE 'Compression'"))[0] as { Value: string }[];
  const told: unknown[] = [status.Value];
  const plainText = Buffer.from('compressible '.repeat(100_000));
  for (const value of [0, 1, 50, 51, 70_000, 8_000_000].map((bytes) => content(bytes)).concat(plainText)) {
    const query = 'SELECT ? AS value, SHA2(?, 256) AS hash';
    const [[row]] = (await client.query(query, [value, value])) as unknown as [
      { value: Buffer; hash: string }[],
    ];
    told.push(row.hash === sha256(value), sha256(row.value) === row.hash);
  }
  const [rows] = (await client.query('SELECT MD5(seq) AS text FROM seq_1_to_20000')) as [
    { text: string }[],
    unknown,
  ];
  told.push(sha256(rows.map(({ text }) => text).join()));
  told.push(await client.query('SELECT nothing').catch(plain));
  await client.end();
  return told;
};
