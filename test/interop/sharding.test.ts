/** A stack in several threads behind the kernel's own TUN with several queues. */

import { once } from 'node:events';
import { expect } from 'chai';
import { createShardedStack, type ShardDeath, type ShardedStack } from '../../lib/shard/sharded-stack.js';
import type { ShardStackOptions } from '../../lib/shard/worker-messages.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';

const MODULE = new URL('./support/sharded-server.ts', import.meta.url);

/** Runs in the kernel's network: what it prints is the answer, as JSON. */
const CLIENT = `
const net = require('node:net'); const dgram = require('node:dgram'); const crypto = require('node:crypto');
const HOST = '10.9.0.2';
const read = (port, host = HOST) => new Promise((done, fail) => {
  let text = ''; const s = net.connect(port, host);
  s.setEncoding('utf8').on('data', (d) => text += d).on('end', () => done(text)).on('error', fail);
});
const echo = (bytes, port = 7, first = '') => new Promise((done, fail) => {
  const data = crypto.randomBytes(bytes); const hash = crypto.createHash('sha1'); let got = 0;
  const s = net.connect({ port, host: HOST, allowHalfOpen: true }, () => first === '' ? s.end(data) : s.write(first));
  s.on('data', (d) => {
    // The relay says that it is connected.
    if (first !== '') { first = ''; d = d.subarray(1); s.end(data); }
    got += d.length; hash.update(d);
  })
    .on('end', () => done(got === bytes && hash.digest('hex') === crypto.createHash('sha1').update(data).digest('hex')))
    .on('error', fail);
});
const udp = (text, port = 7) => new Promise((done) => {
  const s = dgram.createSocket('udp4', (m) => { done(m.toString()); s.close(); });
  s.send(text, port, HOST);
});
const times = (n, f) => Promise.all(Array.from({ length: n }, f));
`;

describe('a stack on several cores', function () {
  this.timeout(60_000);
  this.slow(10_000);
  let ns: TestNamespace;
  let stack: ShardedStack | undefined;

  before(needsTun);
  beforeEach(async function () {
    ns = await TestNamespace.createOrSkip(this);
  });
  afterEach(async () => {
    await stack?.close({ timeoutMs: 100 });
    stack = undefined;
    await ns?.close();
  });

  async function start(
    options: Partial<Parameters<typeof createShardedStack>[0]> = {},
  ): Promise<ShardedStack> {
    stack = await createShardedStack({
      module: MODULE,
      shards: 2,
      tun: { netns: ns.path, address: '10.9.0.1/24' },
      addresses: ['10.9.0.2/24'],
      defaultRoute: true,
      ...options,
    });
    return stack;
  }

  async function client(program: string): Promise<unknown> {
    const source = `${CLIENT}(async () => { ${program} })().then((answer) => { console.log(JSON.stringify(answer)); process.exit(); },
      (error) => { console.error(error); process.exit(1); })`;
    const { stdout } = await ns.exec(process.execPath, ['-e', source], { limitMs: 40_000 });
    return JSON.parse(stdout);
  }

  it('listens as one, echoes whole, adds up what it counts, and closes gracefully', async () => {
    const sharded = await start();
    const shards = (await client('return times(60, () => read(8));')) as string[];
    expect([...new Set(shards)].sort()).to.deep.equal(['0', '1']);
    expect(await client('return times(6, () => echo(2e6));')).to.deep.equal(Array(6).fill(true));
    expect(await client(`return times(20, () => udp('x'));`)).to.satisfy((all: string[]) =>
      all.every((text) => text === '0' || text === '1'),
    );
    const { stack: all, shard, tun, shards: each } = await sharded.stats();
    const tcp = all.tcp as Record<string, number>;
    expect(tcp.passiveOpens).to.equal(66);
    expect(tcp.outRsts).to.equal(0);
    expect(each).to.have.length(2);
    expect(tun.rxPackets).to.equal(each[0].tun.rxPackets + each[1].tun.rxPackets);
    expect(shard.ringFull).to.equal(0);
    await sharded.close();
    // The interface went with its last queue.
    expect(await ns.shell('ip -o link | wc -l')).to.equal('1\n');
  });

  it('connects to outside from every shard, and its answers come home', async () => {
    await start();
    const answer = await client(`
      const server = net.createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(9000, '10.9.0.1');
      await new Promise((r) => server.once('listening', r));
      return times(20, () => echo(100_000, 9, '9000'));`);
    expect(answer).to.deep.equal(Array(20).fill(true));
    const { stack: all } = await (stack as ShardedStack).stats();
    expect((all.tcp as Record<string, number>).outRsts).to.equal(0);
  });

  it('finds the one shard that listens', async () => {
    const sharded = await start({ workerData: { onlyOn: 1 } });
    expect(await client('return times(30, () => read(10));')).to.deep.equal(Array(30).fill('1'));
    const { shard } = await sharded.stats();
    expect(shard.handedOver).to.be.greaterThan(5);
    expect(shard.takenOver).to.equal(shard.handedOver);
  });

  it('says that a shard has died, and goes on with another in its place', async () => {
    const sharded = await start();
    const death = once(sharded, 'death') as Promise<[ShardDeath]>;
    const restart = once(sharded, 'restart') as Promise<[number]>;
    await client(
      `const s = dgram.createSocket('udp4'); await new Promise((r) => s.send('die', 7, HOST, r)); return 1;`,
    );
    const [{ shard, error }] = await death;
    expect(error?.message).to.equal(`shard ${shard} was told to die`);
    expect((await restart)[0]).to.equal(shard);
    const shards = (await client('return times(60, () => read(8));')) as string[];
    expect([...new Set(shards)].sort()).to.deep.equal(['0', '1']);
    expect(await client('return times(4, () => echo(100_000));')).to.deep.equal(Array(4).fill(true));
  });

  it('ends with its first shard where it shall', async () => {
    const sharded = await start({ onDeath: 'close' });
    const closed = once(sharded, 'close');
    await client(
      `const s = dgram.createSocket('udp4'); await new Promise((r) => s.send('die', 7, HOST, r)); return 1;`,
    );
    await closed;
    expect(await ns.shell('ip -o link | wc -l')).to.equal('1\n');
  });

  it('rejects with what kept a thread from serving', async () => {
    const fail = async (options: Parameters<typeof start>[0]): Promise<Error> => {
      const outcome = await start(options).catch((error: Error) => error);
      expect(outcome).to.be.instanceOf(Error);
      return outcome as Error;
    };
    expect((await fail({ module: new URL('./nothing.ts', import.meta.url) })).message).to.match(/nothing/);
    expect((await fail({ module: new URL('../support/skip.ts', import.meta.url) })).message).to.match(
      /exports no function "serve"/,
    );
    expect((await fail({ addresses: ['here'] })).message).to.match(/here/);
    expect((await fail({ ip: { mssClamp: 'sideways' as never } })).message).to.match(/mssClamp/);
    expect((await fail({ shards: 32 })).message).to.match(/1 \.\. 31/);
    expect((await fail({ sharks: 2 } as object)).message).to.match(/unknown option "sharks"/);
    for (const ephemeralPorts of [[0, 100], [1, 70_000], ['a', 'b'], []]) {
      const wrong = { tcp: { ephemeralPorts } } as unknown as ShardStackOptions;
      expect((await fail({ stack: wrong })).message).to.match(/ephemeral ports must be/);
    }
  });
});
