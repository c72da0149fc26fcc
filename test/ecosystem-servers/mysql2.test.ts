/** `mysql2` over a stack, with MariaDB on the other side. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { createConnection } from 'mysql2';
import mysql from 'mysql2/promise';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL } from '../support/interop.js';
import { compressed, lostServer, mysqlOptions, socketOf } from './clients/mysql.js';
import { plain } from './clients/scene.js';
import { identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { initMariadb, type MariadbFiles, startMariadb } from './support/mariadb.js';
import { bedWith, dataDirectory } from './support/server.js';
import { toldAlike } from './support/story.js';

/** Rows come in a shape that depends on the query. */
const rowsOf = ([rows]: [unknown, unknown]): Record<string, unknown>[] => rows as Record<string, unknown>[];

describe('mysql2 and MariaDB', function () {
  this.timeout(60_000);
  this.slow(5000);
  let bed: InteropBed;
  let server: Child;
  let files: MariadbFiles;
  before(async function () {
    const debianPackage = 'mariadb-server';
    bed = await bedWith(this, { mariadbd: debianPackage, 'mariadb-install-db': debianPackage });
    const directory = dataDirectory(bed);
    files = { directory, tls: await identity(directory) };
    await initMariadb(bed, files);
    server = await startMariadb(bed, files, true);
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  for (const family of FAMILIES) {
    for (const secured of [false, true]) {
      it(`carries data both ways, IPv${family}${secured ? ', TLS' : ''}`, async () => {
        const client = await mysql.createConnection({
          ...mysqlOptions(bed.net, KERNEL[family]),
          ...(secured ? { ssl: { ca: files.tls.ca.toString() } } : {}),
        });
        const [status] = rowsOf(await client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'"));
        expect(status.Value !== '').to.equal(secured);
        for (const bytes of [0, 1, 65_536, 8_000_000]) {
          const value = content(bytes);
          const [row] = rowsOf(await client.query('SELECT ? AS value, SHA2(?, 256) AS hash', [value, value]));
          expect(row.hash, `${bytes} bytes there`).to.equal(sha256(value));
          expect(sha256(row.value as Buffer), `${bytes} bytes back`).to.equal(row.hash);
        }
        const [prepared] = await client.execute('SELECT ? + ? AS sum', [19, 23]);
        expect(Number((prepared as { sum: number }[])[0].sum)).to.equal(42);
        await client.end();
      });
    }
  }

  it('streams two hundred thousand rows to a reader that is slow at times', async () => {
    const client = createConnection(mysqlOptions(bed.net, KERNEL[4]));
    const expected = createHash('md5');
    for (let i = 1; i <= 200_000; i++) expected.update(createHash('md5').update(String(i)).digest('hex'));
    const hash = createHash('md5');
    let count = 0;
    const rows = client.query('SELECT MD5(seq) AS text FROM seq_1_to_200000').stream({ highWaterMark: 5 });
    for await (const row of rows) {
      if (++count % 20_000 === 0) await new Promise((resolve) => setImmediate(resolve));
      hash.update((row as { text: string }).text);
    }
    expect(count).to.equal(200_000);
    expect(hash.digest('hex')).to.equal(expected.digest('hex'));
    await client.promise().end();
  });

  it('shares the connections of a pool', async () => {
    const pool = mysql.createPool({ ...mysqlOptions(bed.net, KERNEL[4]), connectionLimit: 4 });
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        return rowsOf(await pool.query('SELECT ? AS i, CONNECTION_ID() AS id', [i]))[0];
      }),
    );
    expect(answers.map(({ i }) => i)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i));
    expect(new Set(answers.map(({ id }) => id)).size).to.be.within(1, 4);
    await pool.end();
  });

  it('reports what the server says, and goes on', async () => {
    const client = await mysql.createConnection(mysqlOptions(bed.net, KERNEL[4]));
    expect(await client.query('SELECT nothing').catch(plain)).to.include({ code: 'ER_BAD_FIELD_ERROR' });
    expect(rowsOf(await client.query('SELECT 2 AS two'))).to.deep.equal([{ two: 2 }]);
    await client.end();
    const wrong = { ...mysqlOptions(bed.net, KERNEL[4]), password: 'no' };
    expect(await mysql.createConnection(wrong).catch(plain)).to.include({ code: 'ER_ACCESS_DENIED_ERROR' });
  });

  it('reports a connection that the server ends, and one that was reset', async () => {
    const [client, other, third] = await Promise.all(
      [1, 2, 3].map(() => mysql.createConnection(mysqlOptions(bed.net, KERNEL[4]))),
    );
    const [{ id }] = rowsOf(await client.query('SELECT CONNECTION_ID() AS id'));
    const sleeping = client.query('SELECT SLEEP(60)').catch(plain);
    await other.query(`KILL ${Number(id)}`);
    expect(await sleeping)
      .to.have.property('code')
      .that.is.oneOf(['PROTOCOL_CONNECTION_LOST', 'ER_CONNECTION_KILLED', 'ER_QUERY_INTERRUPTED']);
    const waiting = third.query('SELECT SLEEP(60)').catch(plain);
    const { localPort } = socketOf(third);
    await bed.exec('ss', '-K', 'dport', '=', String(localPort), 'and', 'sport', '=', '3306');
    expect(await waiting).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
    await other.end();
  });

  describe('as over node:net', () => {
    before(() => server.kill());
    const module = new URL('./clients/mysql.ts', import.meta.url).href;

    it('reports a lost server and a refused connection', async () => {
      const tale = { story: lostServer, module, name: 'lostServer' };
      const told = await toldAlike(bed, tale, () => startMariadb(bed, files));
      expect(JSON.stringify(told)).to.include('connect ECONNREFUSED 10.9.0.1:3306');
    });

    it('carries compressed packets', async () => {
      const tale = { story: compressed, module, name: 'compressed' };
      const told = (await toldAlike(bed, tale, () => startMariadb(bed, files))) as unknown[];
      expect(told[0]).to.equal('ON');
      expect(told.slice(1, 15)).to.deep.equal(Array.from({ length: 14 }, () => true));
    });
  });
});
