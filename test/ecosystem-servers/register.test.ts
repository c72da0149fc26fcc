/** Packages that offer no hook, in a process that was started with `tunstack/register`. */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL } from '../support/interop.js';
import { EXPECTED } from './clients/grpc.js';
import { MONGO_PORT } from './clients/mongo.js';
import { REDIS_PORT } from './clients/redis.js';
import { startRedis } from './support/redis.js';
import { processOver, REGISTERED } from './support/registered.js';
import { bedWith, dataDirectory, needs } from './support/server.js';
import { registeredToldAlike } from './support/story.js';

const PROGRAM = fileURLToPath(new URL('./clients/program.ts', import.meta.url));
describe('tunstack/register', function () {
  this.timeout(100_000);
  this.slow(10_000);
  let bed: InteropBed;
  before(async function () {
    bed = await bedWith(this, {});
  });
  after(() => bed?.close());

  /** Starts a program in the namespace: over a stack of its own, or over the kernel. */
  const start = (over: 'stack' | 'kernel', ...args: string[]): Child => {
    const { flags, env } = processOver(over);
    return bed.namespace.spawn(process.execPath, [...flags, PROGRAM, ...args], { limitMs: 35_000, env });
  };

  const run = async (over: 'stack' | 'kernel', ...args: string[]): Promise<unknown> => {
    const { stdout } = await start(over, ...args).succeeded();
    return JSON.parse(stdout);
  };

  /** Runs a client against a server on the other side, and fails if either does. */
  async function against(
    server: [over: 'stack' | 'kernel', name: string, host: string],
    client: [over: 'stack' | 'kernel', name: string],
  ): Promise<unknown> {
    const [over, name, host] = server;
    const running = start(over, name, host);
    try {
      const [, port] = await running.output(/"port":(\d+)/);
      return await run(...client, host, port);
    } finally {
      await running.kill();
    }
  }

  for (const family of FAMILIES) {
    it(`carries a client of redis, IPv${family}`, async function () {
      await needs(this, { 'redis-server': 'redis-server' });
      const server = await startRedis(bed, dataDirectory(bed));
      const from = family === 4 ? REGISTERED[4] : `[${REGISTERED[6]}]`;
      try {
        const host = KERNEL[family];
        const outcome = await run('stack', 'redis', host, String(REDIS_PORT));
        const refusal = {
          name: 'Error',
          message: `connect ECONNREFUSED ${host}:9`,
          code: 'ECONNREFUSED',
          errno: -111,
          syscall: 'connect',
          address: host,
          port: 9,
        };
        expect(outcome).to.deep.equal({ same: true, count: 1000, from, errors: [], refusal });
      } finally {
        await server.kill();
      }
    });

    it(`carries a client of @grpc/grpc-js, IPv${family}`, async () => {
      const outcome = await against(['kernel', 'grpc-server', KERNEL[family]], ['stack', 'grpc']);
      expect(outcome).to.deep.equal(EXPECTED);
    });

    it(`carries a server of @grpc/grpc-js, IPv${family}`, async () => {
      const outcome = await against(['stack', 'grpc-server', REGISTERED[family]], ['kernel', 'grpc']);
      expect(outcome).to.deep.equal(EXPECTED);
    });
  }

  it('fails a call of @grpc/grpc-js as over node:net where nobody listens', async () => {
    const [ours, theirs] = [
      await run('stack', 'grpc-unavailable', KERNEL[4], '9'),
      await run('kernel', 'grpc-unavailable', KERNEL[4], '9'),
    ].map((text) => String(text).replace(/\(.*?\)/g, ''));
    expect(ours).to.equal(theirs);
    expect(ours).to.match(/^UNAVAILABLE: .*ECONNREFUSED/);
  });

  it('tells a call of @grpc/grpc-js that its connection was reset', async () => {
    const server = start('kernel', 'grpc-server', KERNEL[4]);
    try {
      const [, port] = await server.output(/"port":(\d+)/);
      const client = start('stack', 'grpc-broken', KERNEL[4], port);
      await client.output(/under way/);
      await bed.exec('ss', '-K', 'sport', '=', port);
      const { stdout } = await client.succeeded();
      expect(stdout).to.match(/UNAVAILABLE: .*ECONNRESET/);
    } finally {
      await server.kill();
    }
  });

  it('carries mongodb, as far as a server of a few messages goes', async () => {
    const outcome = await against(['kernel', 'mongo-server', KERNEL[4]], ['stack', 'mongodb']);
    expect(outcome).to.deep.equal({ same: true });
  });

  it('loses and refuses connections of mongodb as node:net does', async () => {
    const module = new URL('./clients/mongo.ts', import.meta.url).href;
    const told = await registeredToldAlike(bed, { module, name: 'lostServer' }, async () => {
      const server = start('kernel', 'mongo-server', KERNEL[4], String(MONGO_PORT));
      await server.output(/"port":/);
      return server;
    });
    expect(told).to.have.length(8);
    expect((told as unknown[]).filter((what) => what === true)).to.have.length(3);
    expect(JSON.stringify(told))
      .to.include('read ECONNRESET')
      .and.include('connect ECONNREFUSED 10.9.0.1:27017');
  });
});
