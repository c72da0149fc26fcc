import { once } from 'node:events';
import net from 'node:net';
import { expect } from 'chai';
import { Child, installed, run } from '../../support/child.js';
import { TestNamespace } from '../../support/netns.js';
import { relay } from '../../support/relay.js';

describe('child processes of tests', () => {
  it('give their output, and fail loudly', async () => {
    expect((await run('cat', [], { input: 'hello' })).stdout).to.equal('hello');
    const failure = await run('sh', ['-c', 'echo why >&2; exit 3']).catch((error: Error) => error.message);
    expect(failure).to.match(/status 3\s+why/);
    const absent = await run('/no/such/program', []).catch((error: NodeJS.ErrnoException) => error.code);
    expect(absent).to.equal('ENOENT');
    expect([await installed('sh'), await installed('no-such-program')]).to.deep.equal([true, false]);
  });

  it('are killed when they take too long', async () => {
    const child = new Child('sleep', ['60'], { limitMs: 50 });
    expect((await child.ended).status).to.equal(-1);
    expect(child.stderr).to.match(/killed after 50 ms/);
  });

  it('can be waited for by what they print', async () => {
    const child = new Child('sh', ['-c', 'echo one; echo port 4711; exec sleep 60']);
    expect((await child.output(/port (\d+)/))[1]).to.equal('4711');
    await child.kill();
    const early = await new Child('echo', ['x']).output(/y/).catch((error: Error) => error.message);
    expect(early).to.match(/ended without printing/);
  });
});

describe('TestNamespace', () => {
  let namespace: TestNamespace;
  before(async function () {
    namespace = await TestNamespace.createOrSkip(this);
  });
  after(() => namespace?.close());

  it('has its own links and nothing else', async () => {
    const { stdout } = await namespace.exec('ip', ['-br', 'link']);
    expect(stdout.trim().split('\n')).to.have.length(1);
    expect(stdout).to.match(/^lo +UNKNOWN/);
  });

  it('runs shell lines up to the first that fails', async () => {
    expect(await namespace.shell('ip addr add 192.0.2.1/24 dev lo\nip -br addr')).to.match(/192\.0\.2\.1/);
    const failure = await namespace.shell('false\necho reached').catch((error: Error) => error.message);
    expect(failure)
      .to.match(/status 1/)
      .and.not.match(/reached$/);
  });

  it('takes everything in it along when closed', async () => {
    const other = await TestNamespace.create();
    const child = other.spawn('sleep', ['60']);
    const { pid } = other;
    await other.close();
    expect((await child.ended).status).to.equal(-1);
    expect(() => process.kill(pid, 0)).to.throw('ESRCH');
  });
});

describe('relay', () => {
  const listen = async (server: net.Server): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as net.AddressInfo).port;
  };

  it('joins two connections, half-close and all', async () => {
    // Answers only after the end of what it is sent, so the end must cross while the way back is open.
    const behind = net.createServer({ allowHalfOpen: true }, (socket) => {
      let bytes = 0;
      socket.on('data', (piece) => {
        bytes += piece.length;
      });
      socket.on('end', () => socket.end(`got ${bytes}`));
    });
    const front = net.createServer({ allowHalfOpen: true });
    const behindPort = await listen(behind);
    const counts = relay(front, () => net.connect({ port: behindPort, allowHalfOpen: true }));
    const client = net.connect({ port: await listen(front), allowHalfOpen: true });
    client.end(Buffer.alloc(300_000));
    let answer = '';
    for await (const piece of client) answer += String(piece);
    expect(answer).to.equal('got 300000');
    expect(counts.connections).to.equal(1);
    expect(counts.forwardBytes).to.equal(300_000);
    front.close();
    behind.close();
  });

  it('turns an error on one side into a reset on the other', async () => {
    const behind = net.createServer((socket) => socket.resetAndDestroy());
    const front = net.createServer({ allowHalfOpen: true });
    const behindPort = await listen(behind);
    const counts = relay(front, () => net.connect({ port: behindPort, allowHalfOpen: true }));
    const client = net.connect(await listen(front));
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
    expect(counts.errors).to.have.length(1);
    front.close();
    behind.close();
  });
});
