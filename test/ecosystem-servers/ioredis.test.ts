/** ioredis over a stack, with redis-server on the other side. */
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { AbstractConnector, Redis } from 'ioredis';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL } from '../support/interop.js';
import { ioredis, lostServer, REDIS_PORT } from './clients/redis.js';
import { type Identity, identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { REDIS_TLS_PORT, startRedis } from './support/redis.js';
import { bedWith, dataDirectory } from './support/server.js';
import { toldAlike } from './support/story.js';

describe('ioredis and redis-server', function () {
  this.timeout(30_000);
  this.slow(5000);
  let bed: InteropBed;
  let server: Child;
  let authority: Identity;
  let directory: string;
  before(async function () {
    bed = await bedWith(this, { 'redis-server': 'redis-server' });
    directory = dataDirectory(bed);
    authority = await identity(directory);
    server = await startRedis(bed, directory, authority);
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  for (const family of FAMILIES) {
    it(`stores and fetches values of all sizes, IPv${family}`, async () => {
      const client = ioredis(bed.net, { host: KERNEL[family], port: REDIS_PORT });
      for (const bytes of [0, 1, 1460, 65_536, 1_000_000, 20_000_000]) {
        const value = content(bytes);
        expect(await client.set('value', value)).to.equal('OK');
        const back = await client.getBuffer('value');
        expect(sha256(back ?? 'nothing'), `${bytes} bytes`).to.equal(sha256(value));
      }
      expect(await client.quit()).to.equal('OK');
    });
  }

  it('answers ten thousand commands of a pipeline in order', async () => {
    const client = ioredis(bed.net, { host: KERNEL[4], port: REDIS_PORT });
    await client.del('counter');
    const pipeline = client.pipeline();
    for (let i = 0; i < 10_000; i++) pipeline.incr('counter');
    const answers = (await pipeline.exec()) ?? [];
    expect(answers.map(([, count]) => count)).to.deep.equal(Array.from({ length: 10_000 }, (_, i) => i + 1));
    await client.quit();
  });

  it('hands published messages to a subscriber and releases a blocked reader', async () => {
    const place = { host: KERNEL[4], port: REDIS_PORT };
    const [publisher, subscriber, reader] = [1, 2, 3].map(() => ioredis(bed.net, place));
    const heard: string[] = [];
    const complete = new Promise<void>((resolve) => {
      subscriber.on('message', (channel, message) => {
        if (heard.push(`${channel} ${message}`) === 100) resolve();
      });
    });
    await subscriber.subscribe('news');
    const popped = reader.blpop('queue', 0);
    for (let i = 0; i < 100; i++) expect(await publisher.publish('news', String(i))).to.equal(1);
    await publisher.rpush('queue', 'item');
    expect(await popped).to.deep.equal(['queue', 'item']);
    await complete;
    expect(heard).to.deep.equal(Array.from({ length: 100 }, (_, i) => `news ${i}`));
    for (const client of [publisher, subscriber, reader]) await client.quit();
  });

  it('connects again when the server drops it, and sends what had no answer once more', async () => {
    const place = { host: KERNEL[4], port: REDIS_PORT };
    const client = ioredis(bed.net, place, { retryStrategy: () => 1 });
    const killer = ioredis(bed.net, place);
    const blocked = client.blpop('later', 0);
    const id = await killer.client('ID').then(async (own) => {
      const list = String(await killer.client('LIST'));
      const ids = [...list.matchAll(/^id=(\d+)/gm)].map(([, found]) => Number(found));
      return ids.find((found) => found !== own);
    });
    const reconnecting = new Promise((resolve) => client.once('reconnecting', resolve));
    const ready = new Promise((resolve) => client.once('connect', () => client.once('ready', resolve)));
    expect(await killer.client('KILL', 'ID', id ?? 0)).to.equal(1);
    await reconnecting;
    await ready;
    await killer.rpush('later', 'after all');
    expect(await blocked).to.deep.equal(['later', 'after all']);
    await client.quit();
    await killer.quit();
  });

  it('ends in order when it disconnects, and reports a connection that was reset', async () => {
    const place = { host: KERNEL[4], port: REDIS_PORT };
    const leaving = ioredis(bed.net, place);
    await leaving.ping();
    const ended = new Promise((resolve) => leaving.once('end', resolve));
    leaving.disconnect();
    await ended;
    const client = ioredis(bed.net, place, { retryStrategy: () => null });
    await client.ping();
    const failed = new Promise((resolve) => client.once('error', resolve));
    await bed.exec('ss', '-K', 'sport', '=', String(REDIS_PORT));
    expect(await failed).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
  });

  it('speaks TLS', async () => {
    class Connector extends AbstractConnector {
      constructor() {
        super(2000);
      }
      connect(): Promise<TLSSocket> {
        this.connecting = true;
        const secure = bed.stack.tls.connect({ host: KERNEL[4], port: REDIS_TLS_PORT, ca: authority.ca });
        this.stream = secure;
        return Promise.resolve(secure);
      }
    }
    const client = new Redis({ Connector, tls: {} });
    const value = content(5_000_000, 2);
    await client.set('secret', value);
    expect(sha256((await client.getBuffer('secret')) ?? 'nothing')).to.equal(sha256(value));
    await client.quit();
  });

  it('reports a lost server and a refused connection as over node:net', async () => {
    await server.kill();
    const tale = {
      story: lostServer,
      module: new URL('./clients/redis.ts', import.meta.url).href,
      name: 'lostServer',
    };
    const told = await toldAlike(bed, tale, () => startRedis(bed, directory));
    expect(JSON.stringify(told)).to.include('connect ECONNREFUSED 10.9.0.1:6379');
  });
});
