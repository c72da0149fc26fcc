/** `pg` over a stack, with PostgreSQL on the other side. */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL } from '../support/interop.js';
import { halfClosed, lostServer, postgresOptions, socketOf } from './clients/postgres.js';
import { plain } from './clients/scene.js';
import { identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { initPostgres, type PostgresFiles, startPostgres } from './support/postgres.js';
import { bedWith, dataDirectory, giveAway, postgresPrograms } from './support/server.js';
import { toldAlike } from './support/story.js';

describe('pg and PostgreSQL', function () {
  this.timeout(40_000);
  this.slow(5000);
  let bed: InteropBed;
  let server: Child;
  let files: PostgresFiles;
  before(async function () {
    const programs = postgresPrograms(this);
    bed = await bedWith(this, {});
    const directory = dataDirectory(bed);
    const data = join(directory, 'data');
    mkdirSync(data, { mode: 0o700 });
    giveAway(data);
    files = { programs, data, tls: await identity(directory) };
    await initPostgres(bed, files);
    server = await startPostgres(bed, files);
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  const connected = async (options: pg.ClientConfig): Promise<pg.Client> => {
    const client = new pg.Client(options);
    await client.connect();
    return client;
  };

  for (const family of FAMILIES) {
    for (const secured of [false, true]) {
      it(`carries data both ways, IPv${family}${secured ? ', TLS' : ''}`, async () => {
        const { ca, servername } = files.tls;
        const ssl = secured ? { ca, servername } : false;
        const client = await connected({ ...postgresOptions(bed.net, KERNEL[family]), ssl });
        const { rows: sessions } = await client.query(
          'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
        );
        expect(sessions).to.deep.equal([{ ssl: secured }]);
        for (const bytes of [0, 1, 65_536, 8_000_000]) {
          const value = content(bytes);
          const { rows } = await client.query(
            "SELECT $1::bytea AS value, encode(sha256($1::bytea), 'hex') AS hash",
            [value],
          );
          const { value: back, hash } = rows[0] as { value: Buffer; hash: string };
          expect(hash, `${bytes} bytes there`).to.equal(sha256(value));
          expect(sha256(back), `${bytes} bytes back`).to.equal(hash);
        }
        await client.end();
      });
    }
  }

  it('reads two hundred thousand rows', async () => {
    const client = await connected(postgresOptions(bed.net, KERNEL[4]));
    const { rows } = await client.query('SELECT i, md5(i::text) AS text FROM generate_series(1, 200000) i');
    expect(rows.length).to.equal(200_000);
    const { rows: sums } = await client.query(
      "SELECT md5(string_agg(md5(i::text), '')) AS sum FROM generate_series(1, 200000) i",
    );
    const hash = createHash('md5');
    for (const { text } of rows as { text: string }[]) hash.update(text);
    expect(hash.digest('hex')).to.equal((sums[0] as { sum: string }).sum);
    await client.end();
  });

  it('shares the connections of a pool, and hears of notifications', async () => {
    const pool = new pg.Pool({ ...postgresOptions(bed.net, KERNEL[4]), max: 5 });
    const listener = await pool.connect();
    const heard = new Promise((resolve) => listener.once('notification', resolve));
    await listener.query('LISTEN news');
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => pool.query('SELECT $1::int AS i, pg_backend_pid() AS pid', [i])),
    );
    const rows = answers.map(({ rows: [row] }) => row as { i: number; pid: number });
    expect(rows.map(({ i }) => i)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i));
    expect(new Set(rows.map(({ pid }) => pid)).size).to.be.within(1, 4);
    await pool.query("NOTIFY news, 'read all about it'");
    expect(await heard).to.include({ channel: 'news', payload: 'read all about it' });
    listener.release();
    await pool.end();
  });

  it('reports what the server says, and goes on', async () => {
    const client = await connected(postgresOptions(bed.net, KERNEL[4]));
    const error = await client.query('SELECT 1/0').catch(plain);
    expect(error).to.include({ code: '22012', message: 'division by zero' });
    expect((await client.query('SELECT 2 AS two')).rows).to.deep.equal([{ two: 2 }]);
    await client.end();
    const wrong = { ...postgresOptions(bed.net, KERNEL[4]), password: 'no' };
    expect(await new pg.Client(wrong).connect().catch(plain)).to.include({ code: '28P01' });
  });

  it('reports a connection that the server ends, and one that was reset', async () => {
    const [client, other, third] = await Promise.all(
      [1, 2, 3].map(() => connected(postgresOptions(bed.net, KERNEL[4]))),
    );
    // More than one error may follow: of the message, and of the connection that ends.
    const firstErrorOf = (failing: pg.Client): Promise<object> =>
      new Promise((resolve) => failing.on('error', (error) => resolve(plain(error))));
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    const ended = new Promise((resolve) => client.once('end', resolve));
    const failed = firstErrorOf(client);
    await other.query('SELECT pg_terminate_backend($1)', [(rows[0] as { pid: number }).pid]);
    expect(await failed).to.include({ code: '57P01' });
    await ended;
    const sleeping = third.query('SELECT pg_sleep(60)').catch(plain);
    const lost = firstErrorOf(third);
    const { localPort } = socketOf(third);
    await bed.exec('ss', '-K', 'dport', '=', String(localPort), 'and', 'sport', '=', '5432');
    expect(await sleeping).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
    expect(await lost).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
    await other.end();
  });

  describe('as over node:net', () => {
    before(() => server.kill());
    const module = new URL('./clients/postgres.ts', import.meta.url).href;

    it('a lost server and a refused connection', async () => {
      const tale = { story: lostServer, module, name: 'lostServer' };
      const told = await toldAlike(bed, tale, () => startPostgres(bed, files));
      expect(JSON.stringify(told)).to.include('connect ECONNREFUSED 10.9.0.1:5432');
    });

    it('a connection closed in one direction', async () => {
      const tale = { story: halfClosed, module, name: 'halfClosed' };
      const told = await toldAlike(bed, tale, () => startPostgres(bed, files));
      expect((told as unknown[])[0]).to.equal(true);
    });
  });
});
