/** Every example runs, says what it promises, and ends by itself. */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import type { FetchCancel, FetchReply, FetchRequest } from '../../examples/electron/messages.js';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { Child } from '../support/child.js';
import { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';

const LIMIT_MS = 120_000;

/** What an example prints, line by line. */
async function linesOf(example: string, ...args: readonly string[]): Promise<string[]> {
  const node = ['--import', 'tsx', `examples/${example}`, ...args];
  const { stdout, stderr } = await new Child(process.execPath, node, { limitMs: LIMIT_MS }).succeeded();
  expect(stderr).to.equal('');
  return stdout.trimEnd().split('\n');
}

/** A module as its own address. */
const dataUrl = (program: string): string =>
  `data:text/javascript,${encodeURIComponent(program).replaceAll("'", '%27')}`;

/** Skips where this user can have no TUN. */
async function needsPrivateTun(context: Mocha.Context): Promise<void> {
  try {
    await (await openPrivateTun()).close();
  } catch (error) {
    skip(context, `no TUN: ${(error as Error).message}`);
  }
}

describe('examples', function () {
  this.timeout(LIMIT_MS + 5000);
  this.slow(5000);

  it('teaching-series: opens, talks and closes in every way, against the kernel', async function () {
    await needsPrivateTun(this);
    const lines = await linesOf('teaching-series.ts');
    const expected = [
      '── passive open, passive close',
      'stack:   bound to 10.9.0.2:7000, listening',
      'stack:   accepted 10.9.0.1:',
      'stack:   read "hello"; now ESTABLISHED',
      'kernel:  read "good day"',
      'stack:   heard "end"; now CLOSE-WAIT',
      'kernel:  read "one more thing"',
      'stack:   asked for a FIN; now LAST-ACK',
      'stack:   heard "closed"; now CLOSED',
      '── active open, active close, in four segments',
      'stack:   bound to port 7003, asked to connect; now SYN-SENT',
      'stack:   heard "connected"; now ESTABLISHED',
      'kernel:  read "hello"',
      'stack:   read "good day"; now ESTABLISHED',
      'stack:   asked for a FIN; now FIN-WAIT-1',
      'kernel:  heard the FIN',
      'stack:   waited for FIN-WAIT-2; now FIN-WAIT-2',
      'stack:   1 connection in TIME-WAIT',
      '── reset by the stack',
      'kernel:  heard ECONNRESET',
      '── reset by the kernel',
      'stack:   heard "ECONNRESET"; now CLOSED',
      '── refused: nobody listens there',
      'stack:   heard "ECONNREFUSED"; now CLOSED',
    ];
    // In this order, with others between them.
    let next = 0;
    for (const line of lines) if (line.startsWith(expected[next] ?? '-')) next++;
    expect(expected[next], lines.join('\n')).to.equal(undefined);
  });

  it('http-server: serves the kernel, and asks it', async function () {
    await needsPrivateTun(this);
    const lines = await linesOf('http-server.ts');
    // Who is served, and who is answered, are two processes.
    expect(lines).to.have.members([
      'stack:   GET /greeting from ::ffff:10.9.0.1',
      'kernel:  was told "Hello from 10.9.0.2, port 80."',
      'kernel:  GET /answer from 10.9.0.2',
      'stack:   was told "Hello from the kernel."',
    ]);
  });

  it('udp-echo: datagrams of both families come back, whole', async function () {
    await needsPrivateTun(this);
    const lines = await linesOf('udp-echo.ts');
    expect(lines.slice(0, -1)).to.deep.equal(
      [64, 5000].flatMap((bytes) => [
        `stack:   ${bytes} bytes from ::ffff:10.9.0.1`,
        `kernel:  ${bytes} bytes back from 10.9.0.2`,
        `stack:   ${bytes} bytes from fd09::1`,
        `kernel:  ${bytes} bytes back from fd09::2`,
      ]),
    );
    expect(lines.at(-1)).to.equal('stack:   4 datagrams in, 4 out');
  });

  it('gateway: a program reaches one port of the host, and is reached at another', async function () {
    await needsPrivateTun(this);
    expect(await linesOf('gateway.ts')).to.deep.equal([
      'inside:  10.0.2.2: a service of the host',
      'inside:  198.51.100.1: EHOSTUNREACH',
      'outside: a service of the sandbox',
      '2 connections passed on, 1 denied',
    ]);
  });

  it('many-cores: connections are served by all threads of one stack', async function () {
    const namespace = await TestNamespace.createOrSkip(this);
    try {
      const node = ['--import', 'tsx', 'examples/many-cores.ts', '2'];
      const { stdout } = await namespace.exec(process.execPath, node, { limitMs: LIMIT_MS });
      expect(stdout.trimEnd().split('\n')).to.deep.equal([
        '2 threads share one interface',
        'hello from thread 0',
        'hello from thread 1',
        '100 connections, 0 packets handed over',
      ]);
    } finally {
      await namespace.close();
    }
  });

  it('busy-application: a stack in a thread goes on while the application does not', async () => {
    expect(await linesOf('busy-application.ts')).to.deep.equal([
      'busy for 300 ms: segments and acknowledgments passed',
      'of which the application has read 0 bytes',
      'then it reads 300000',
    ]);
  });

  it('virtual-time: repeats a run byte for byte, and waits 127 s for nobody', async () => {
    const [first, again, other, nobody, ...session] = await linesOf('virtual-time.ts', '5');
    const run = first.replace(/^seed 5: +/, '');
    expect(run).to.match(/^500000 bytes in \d+\.\d+ s, \d+ retransmitted, packets [\da-f]{16}$/);
    expect(again.replace(/^the same: +/, '')).to.equal(run);
    expect(other.slice(-16)).to.not.equal(run.slice(-16));
    expect(nobody).to.match(/ETIMEDOUT after 127\.0 s and 6 SYNs more$/);
    expect(session.slice(0, -1).map((line) => line.trim())).to.deep.equal([
      '0 ms  bound and listening at 10.0.0.2:7; caller SYN-SENT',
      '60 ms  accepted; caller ESTABLISHED, round trip 40 ms',
      '80 ms  read "hello"',
      '80 ms  options: noDelay true, userTimeoutMs 30000',
      '100 ms  half-closed; caller FIN-WAIT-1, called CLOSE-WAIT',
      '120 ms  closed; 1 in TIME-WAIT',
      '60120 ms  at rest; 0 in TIME-WAIT',
    ]);
  });

  it('probe: prints the congestion window over time', async () => {
    const [head, ...lines] = await linesOf('probe.ts', 'reno', '3');
    expect(head).to.equal('ms,event,cwnd,ssthresh,in flight,srtt ms');
    const rows = lines.map((line) => line.split(','));
    expect(rows.every((row) => row.length === 6 && Number(row[2]) > 0)).to.equal(true);
    const windows = rows.map((row) => Number(row[2]));
    const events = new Set(rows.map((row) => row[1]));
    expect(Math.max(...windows)).to.be.above(5 * windows[0]);
    expect([...events]).to.include.members(['ack', 'open to recovery', 'recovery to open', 'closed']);
  });

  it('policy-routing: sends by destination, source, mark and port, and explains it', async () => {
    const answers = (await linesOf('policy-routing.ts')).map((line) => line.replaceAll(/ {2,}/g, ' | '));
    expect(answers).to.deep.equal([
      '198.51.100.77 | dev cable0 src 198.51.100.2 | (rule 32766, table main, unicast 198.51.100.0/24)',
      '8.8.8.8 | via 198.51.100.1 dev cable0 src 198.51.100.2 | (rule 32766, table main, unicast 0.0.0.0/0)',
      '8.8.8.8 from 203.0.113.2 | via 203.0.113.1 dev radio0 src 203.0.113.2 | (rule 1000, table 100, unicast 0.0.0.0/0)',
      '8.8.8.8 mark 7 | via 203.0.113.1 dev radio0 src 203.0.113.2 | (rule 1000, table 100, unicast 0.0.0.0/0)',
      '8.8.8.8 protocol 6 destinationPort 25 | EACCES | (rule 3000)',
      '192.0.2.1 | EHOSTUNREACH | (rule 32766, table main, unreachable 192.0.2.0/24)',
      '198.51.100.2 | dev lo src 198.51.100.2 | (rule 0, table local, local 198.51.100.2/32)',
      '2001:4860:4860::8888 | via 2001:db8:1::1 dev cable0 src 2001:db8:1::2 | (rule 32766, table main, unicast ::/0)',
      '2001:4860:4860::8888 mark 7 | via 2001:db8:2::1 dev radio0 src 2001:db8:2::2 | (rule 1000, table 100, unicast ::/0)',
    ]);
  });

  it('nat-router: hides a network, and lets one port in', async function () {
    await needsPrivateTun(this);
    expect(await linesOf('nat-router.ts')).to.deep.equal([
      'from inside:  ::ffff:198.51.100.1 asked for /page',
      'session:      tcp 198.51.100.1:port to 198.51.100.80:80',
      'from outside: hello ::ffff:198.51.100.80',
    ]);
  });

  it('router: joins two networks, and says what it does not pass on', async function () {
    await needsPrivateTun(this);
    const [allowed, closed, passed, refused] = await linesOf('router.ts');
    expect(allowed).to.equal('allowed:   ::ffff:10.9.0.1 asked for /page');
    expect(closed).to.equal('closed:    connect EHOSTUNREACH 10.20.0.200:80');
    expect(passed).to.match(/^passed on: \d+ packets, the MSS of [1-9]\d* of them lowered$/);
    expect(refused).to.match(/^refused: {3}[1-9]\d* with a word to the sender$/);
  });

  it('transparent-proxy: answers for any address, as it decides', async function () {
    await needsPrivateTun(this);
    expect(await linesOf('transparent-proxy.ts')).to.deep.equal([
      '198.51.100.7 says hello',
      '192.0.2.1 says hello',
      '[2001:db8::1] says hello',
      'port 81: ECONNREFUSED',
      'forbidden: EHOSTUNREACH',
      '5 requests: 3 accepted, 2 rejected',
    ]);
  });

  it('dns: finds names by a server on another stack', async () => {
    expect(await linesOf('dns.ts')).to.deep.equal([
      'web:       10.0.0.80, fd00::80',
      'intranet:  10.0.0.80',
      "A:         [ { address: '10.0.0.80', ttl: 60 } ]",
      'MX:        10 mail.example',
      "TXT:       [ [ 'v=spf1 -all' ] ]",
      'error:     queryA ENOTFOUND nowhere.example',
      'page:      This is www.example.',
      '7 queries, 7 answers, 1 from the cache',
    ]);
  });

  it('own-link: serves HTTP through a tunnel', async () => {
    const [page, packets] = await linesOf('own-link.ts');
    expect(page).to.equal('You are 192.168.7.1, at the other end of a tunnel.');
    expect(packets).to.match(/^\d+ packets went through the tunnel, \d+ came back\.$/);
  });

  it('capture: records what passes, and not what passes while it must not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tunstack-example-'));
    try {
      const file = join(folder, 'capture.pcapng');
      const [echo, refusal, recorded] = await linesOf('capture.ts', file);
      expect(echo).to.equal('echo: recorded');
      expect(refusal).to.equal('Error: connect ECONNREFUSED 10.0.0.2:8');
      const packets = Number(/^(\d+) packets in /.exec(recorded)?.[1]);
      if (spawnSync('tshark', ['--version']).status !== 0) return;
      const tshark = (filter: string): string[] =>
        spawnSync('tshark', ['-r', file, '-Y', filter], { encoding: 'utf8' }).stdout.split('\n').slice(0, -1);
      expect(tshark('ip or ipv6')).to.have.length(packets);
      expect(tshark('tcp.port == 8')).to.have.length(2);
      expect(tshark('tcp.port == 9')).to.have.length(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('web-streams: a loop serves, and half-close, memory and reset are what they say', async () => {
    const lines = (await linesOf('web-streams.ts')).map((line) => line.replace(/ {2,}/, ' '));
    expect(lines).to.have.members([
      'line: desserts (10.0.0.1)',
      'line: reward (10.0.0.1)',
      'memory: level (10.0.0.1) of 16 bytes',
      'closed: seen enough',
      'server: read ECONNRESET',
      'refused: connect ECONNREFUSED 10.0.0.2:8',
    ]);
  });

  it('fetch: Node’s and undici’s go over the stack', async () => {
    expect(await linesOf('fetch.ts')).to.deep.equal([
      "fetch:   { method: 'GET', url: '/by-fetch', body: '' }",
      'stream:  a body, in pieces',
      'refused: connect ECONNREFUSED 127.0.0.1:8',
      'late:    TimeoutError',
      'undici:  /1 /2 /3',
    ]);
  });

  it('https-and-http2: TLS goes over the stack in every way', async () => {
    expect(await linesOf('https-and-http2.ts')).to.deep.equal([
      'https:  HTTP/1.1 /by-https from ::ffff:127.0.0.1',
      'fetch:  HTTP/1.1 /by-fetch from ::ffff:127.0.0.1',
      'http2:  HTTP/2.0 /by-http2',
      'tls:    echo from 127.0.0.1',
    ]);
  });

  it('express: applications serve, and their clients find them', async () => {
    expect(await linesOf('express.ts')).to.deep.equal([
      'express:   Hello office, you are 10.0.0.1',
      'fastify:   { sum: 42 }',
      'socket.io: heard: good morning',
    ]);
  });

  it('electron: the process with the stack fetches for the window', async () => {
    // What Electron gives a utility process, over the channel that Node gives a forked one.
    const parentPort = `process.parentPort = {
      postMessage: (message) => process.send(message),
      on: (event, listener) => process.on(event, (data) => listener({ data })),
    };`;
    const child = fork('examples/electron/stack-process.ts', {
      execArgv: ['--import', 'tsx', '--import', dataUrl(parentPort)],
      serialization: 'advanced',
      timeout: LIMIT_MS,
    });
    try {
      const answer = await fetchFrom(child, 'stack://10.0.0.2/time');
      expect(answer).to.include({ status: 200, type: 'text/plain' });
      expect(answer.body).to.match(/\d+:\d+:\d+/);
      expect((await fetchFrom(child, 'stack://10.0.0.2/')).body).to.include('A page from a private network');
      expect((await fetchFrom(child, 'stack://10.0.0.2:81/')).error).to.include('ECONNREFUSED');
      expect((await fetchFrom(child, 'no address')).error).to.include('Invalid URL');
      // Nobody answers there, and nobody waits for it any more.
      const lost = fetchFrom(child, 'stack://10.0.0.99/');
      child.send({ id: lastId, isCancelled: true } satisfies FetchCancel);
      expect((await lost).error).to.include('socket hang up');
    } finally {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
  });

  it('electron: the main process carries requests of the window, and says what became of them', async () => {
    const fake = pathToFileURL(resolve('test/examples/support/electron.ts')).href;
    const hook = `export const resolve = (name, context, next) =>
      next(name === 'electron' ? '${fake}' : name, context);`;
    const register = `import { register } from 'node:module'; register('${dataUrl(hook)}');`;
    const node = ['--import', 'tsx', '--import', dataUrl(register), 'examples/electron/main.ts'];
    const { stdout } = await new Child(process.execPath, node, { limitMs: LIMIT_MS }).succeeded();
    expect(stdout.trimEnd().split('\n')).to.deep.equal([
      'page: 200 text/html; charset=utf-8',
      'body: A page from a private network',
      'refused: connect ECONNREFUSED 10.0.0.2:81',
      'left: nobody waits for it any more',
      'broken off: the process with the stack ended: null',
      'afterwards: the process with the stack ended: null',
    ]);
  });
});

interface Answer {
  status: number;
  type: string;
  body: string;
  error: string;
}

let lastId = 0;

/** Asks as the main process does. */
function fetchFrom(child: ReturnType<typeof fork>, url: string): Promise<Answer> {
  const id = ++lastId;
  const answer: Answer = { status: 0, type: '', body: '', error: '' };
  return new Promise((resolve, reject) => {
    const hear = (reply: FetchReply): void => {
      if (reply.id !== id) return;
      if (reply.kind === 'head') {
        answer.status = reply.status;
        answer.type = reply.headers.find(([name]) => name === 'Content-Type')?.[1] ?? '';
      } else if (reply.kind === 'chunk') {
        answer.body += new TextDecoder().decode(reply.bytes);
      } else {
        if (reply.kind === 'error') answer.error = reply.message;
        child.off('message', hear);
        resolve(answer);
      }
    };
    child.on('message', hear);
    child.once('exit', () => reject(new Error('the process with the stack has ended')));
    child.send({ id, url, method: 'GET', headers: {}, body: undefined } satisfies FetchRequest);
  });
}
