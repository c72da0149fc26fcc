/** A stack in a real thread: bulk, an application that is busy, the end of the thread, and that of the process. */
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { expect } from 'chai';
import { createWorkerStack, type WorkerStack } from '../../lib/remote/worker-stack.js';
import { Child } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';

const PIECE = randomFillSync(Buffer.alloc(1 << 20));

/** Sends so many MiB, minding `drain`, and ends. */
async function send(socket: Socket, mebibytes: number): Promise<void> {
  for (let i = 0; i < mebibytes; i++) {
    if (!socket.write(PIECE)) await once(socket, 'drain');
  }
  socket.end();
}

async function digest(socket: Socket): Promise<[bytes: number, hash: string]> {
  const hash = createHash('sha1');
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  await once(socket, 'end');
  return [bytes, hash.digest('hex')];
}

async function listening(server: Server): Promise<number> {
  if (!server.listening) await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function expected(mebibytes: number): [bytes: number, hash: string] {
  const hash = createHash('sha1');
  for (let i = 0; i < mebibytes; i++) hash.update(PIECE);
  return [mebibytes << 20, hash.digest('hex')];
}

const tcpOf = (stack: WorkerStack): Record<string, number> =>
  (stack.stats().stack as { tcp: Record<string, number> }).tcp;

describe('a stack in a thread', function () {
  this.timeout(60_000);
  this.slow(15_000);
  let stack: WorkerStack;

  before(async () => {
    stack = await createWorkerStack();
  });
  after(() => stack.close());

  it('carries 100 MB each way at once, every byte right', async () => {
    const server = stack.net.createServer({ allowHalfOpen: true });
    const accepting = once(server.listen(0), 'connection') as Promise<[Socket]>;
    const port = await listening(server);
    const client = stack.net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [accepted] = await accepting;
    const results = await Promise.all([
      digest(client),
      digest(accepted),
      send(client, 100),
      send(accepted, 100),
    ]);
    expect(results.slice(0, 2)).to.deep.equal([expected(100), expected(100)]);
    expect([client.bytesRead, client.bytesWritten]).to.deep.equal([100 << 20, 100 << 20]);
    server.close();
  });

  it('serves http, and is asked by it', async () => {
    const server = http.createServer((request, response) => {
      response.end(`you asked for ${request.url}`);
    });
    stack.serve(server, 8080);
    await once(server, 'listening');
    const agent = stack.agent({ keepAlive: true });
    for (const path of ['/a', '/b']) {
      const request = http.get({ host: '127.0.0.1', port: 8080, path, agent });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
      expect(text).to.equal(`you asked for ${path}`);
    }
    agent.destroy();
    server.close();
  });

  it('fails its connections when its thread ends, and says why', async () => {
    const module = new URL('./support/dying.ts', import.meta.url);
    const mortal = await createWorkerStack({ module, workerData: 'as it was told' });
    const server = mortal.net.createServer().listen(0);
    const port = await listening(server);
    const client = mortal.net.connect(port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const down = once(mortal, 'down') as Promise<[Error]>;
    const serverClosed = once(server, 'close');
    const errors = Promise.all([once(client, 'error'), once(accepted, 'error')]);
    // A listener of its own makes the thread throw.
    mortal.net.connect(666, '127.0.0.1').on('error', () => {});
    const [[first], [second]] = (await errors) as [[NodeJS.ErrnoException], [NodeJS.ErrnoException]];
    expect([first.code, second.code]).to.deep.equal(['ENETDOWN', 'ENETDOWN']);
    expect((await down)[0].message).to.equal('as it was told');
    await serverClosed;
    expect(() => mortal.stats())
      .to.throw()
      .that.includes({ code: 'ENETDOWN' });
    const late = mortal.net.connect(port, '127.0.0.1');
    expect(((await once(late, 'error')) as [NodeJS.ErrnoException])[0].code).to.equal('ENETDOWN');
    await mortal.close();
  });

  it('leaves nothing open when it is closed', async () => {
    // Timers are the test runner's too.
    const kinds = (): string[] =>
      process
        .getActiveResourcesInfo()
        .filter((kind) => !/Timeout|Immediate/.test(kind))
        .sort();
    const before = kinds();
    const short = await createWorkerStack();
    const codes: unknown[] = [];
    const note = (error: NodeJS.ErrnoException): void => void codes.push(error.code);
    const server = short.net.createServer((socket) => void socket.on('error', note)).listen(0);
    const client = short.net.connect(await listening(server), '127.0.0.1').on('error', note);
    await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    const closed = Promise.all([once(server, 'close'), once(client, 'close')]);
    await short.close();
    await closed;
    expect(codes, 'as when a stack of this thread is closed').to.deep.equal([]);
    expect(kinds()).to.deep.equal(before);
  });

  it('rejects with what kept the thread from starting', async () => {
    const problem = async (options: Parameters<typeof createWorkerStack>[0]): Promise<unknown> =>
      createWorkerStack(options).catch((error: Error & { code?: string }) => error.code ?? error.message);
    expect(await problem({ windowBytes: 1 })).to.equal('ERR_OUT_OF_RANGE');
    expect(await problem({ ringBytes: 3e6 })).to.equal('ERR_OUT_OF_RANGE');
    expect(await problem({ module: new URL('./nothing.ts', import.meta.url) })).to.match(/MODULE_NOT_FOUND/);
    expect(await problem({ tun: { netns: '/nowhere' } })).to.match(/ENOENT|EPERM|ERR|addon/);
  });
});

describe('a process with a stack in a thread', function () {
  this.timeout(30_000);
  this.slow(5000);

  async function run(program: string): Promise<string> {
    const source = `import { createWorkerStack } from './lib/remote/worker-stack.ts';
      import { once } from 'node:events';
      const stack = await createWorkerStack();
      ${program}`;
    const node = ['--import=tsx', '--input-type=module', '-e', source];
    return (await new Child(process.execPath, node).succeeded()).stdout;
  }

  it('ends by itself when nobody uses it', async () => {
    expect(await run("console.log('up');")).to.equal('up\n');
  });

  it('lives as long as a server listens that is not unreferenced', async () => {
    const program = `const server = stack.net.createServer().listen(7);
      await once(server, 'listening');
      setTimeout(() => { console.log('still here'); server.unref(); }, 300).unref();`;
    expect(await run(program)).to.equal('still here\n');
  });

  it('delivers what was written before it ends', async () => {
    const program = `const server = stack.net.createServer((socket) => {
        let bytes = 0;
        socket.on('data', (chunk) => bytes += chunk.length).on('end', () => console.log(bytes));
        server.close();
      }).listen(7);
      await once(server, 'listening');
      stack.net.connect(7).end(Buffer.alloc(3_000_000)).unref();`;
    expect(await run(program)).to.equal('3000000\n');
  });
});

describe('a stack in a thread, and an application that is busy', function () {
  this.timeout(30_000);
  this.slow(5000);
  let ns: TestNamespace;

  before(needsTun);
  before(async function () {
    ns = await TestNamespace.createOrSkip(this);
  });
  after(() => ns?.close());

  it('is acknowledged meanwhile', async () => {
    const stack = await createWorkerStack({
      tun: { netns: ns.path, address: '10.9.0.1/24' },
      addresses: ['10.9.0.2/24'],
      defaultRoute: true,
    });
    const server = stack.net.createServer().listen(7, '10.9.0.2');
    await listening(server);
    const program = `const net = require('node:net');
      const socket = net.connect(7, '10.9.0.2', () => process.stdin.once('data', () => socket.write(Buffer.alloc(400_000))));
      socket.on('end', () => socket.end()); console.log('up');`;
    const sender = ns.spawn(process.execPath, ['-e', program], { openStdin: true });
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const before = tcpOf(stack);
    sender.stdin.write('go\n');
    // This thread does nothing else until the other has received something, 20 s at most.
    const until = performance.now() + 20_000;
    let now = before;
    while (now.inSegs < before.inSegs + 5 && performance.now() < until) now = tcpOf(stack);
    expect(now.inSegs - before.inSegs, 'segments that came while this thread was busy').to.be.at.least(5);
    expect(now.outSegs - before.outSegs, 'and their acknowledgments').to.be.at.least(1);
    expect(accepted.bytesRead, 'of which this thread has heard nothing').to.equal(0);
    let bytes = 0;
    for await (const chunk of accepted) {
      bytes += (chunk as Buffer).length;
      if (bytes === 400_000) break;
    }
    expect(bytes).to.equal(400_000);
    await sender.kill();
    server.close();
    await stack.close();
  });
});
