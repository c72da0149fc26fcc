import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BothWays, FetchFigures } from '../../lib/cli/demo/scenes.js';
import type { TraceRow } from '../../lib/cli/demo/segment-trace.js';
import { skip } from '../support/skip.js';
import { type DemoRun, LIMIT_MS, runDemo } from './support/demo-run.js';

interface Figures {
  readonly mode: 'root' | 'user' | 'memory';
  readonly seconds: number;
  readonly served: readonly FetchFigures[];
  readonly fetched: readonly FetchFigures[];
  readonly trace: readonly TraceRow[];
  readonly bulk: BothWays;
  readonly lossy: BothWays;
  readonly capture: { readonly file: string; readonly packets: number; readonly bytes: number };
}

const ESCAPE = '\u001b';
/** In an environment where no addon can be found. */
const WITHOUT_ADDON = { TUNSTACK_ADDON: '/nonexistent/tunstack.node' };

function expectNothingLeft(run: DemoRun): void {
  expect(run.files).to.deep.equal(['demo.pcapng']);
  expect(run.processes).to.deep.equal([]);
}

describe('demo', function () {
  this.timeout(LIMIT_MS);
  this.slow(20_000);

  it('shows the stack against the kernel, prints its figures and leaves a capture', async function () {
    const run = await runDemo({ args: ['--json'] });
    expect(run.stderr).to.equal('');
    expect(run.status).to.equal(0);
    expectNothingLeft(run);
    const figures = JSON.parse(run.stdout) as Figures;
    if (figures.mode === 'memory') skip(this, 'no TUN can be opened here');
    expect(figures.mode).to.equal(process.getuid?.() === 0 ? 'root' : 'user');
    expect(figures.seconds).to.be.below(50);
    expect([...figures.served, ...figures.fetched].map(({ status, url }) => [url, status])).to.deep.equal([
      ['http://10.77.0.2/', 200],
      ['http://[fd77::2]/', 200],
      ['http://10.77.0.1/', 200],
      ['http://[fd77::1]/', 200],
    ]);
    for (const { bytes, intact, bitsPerSecond, rttUs } of [figures.bulk.in, figures.bulk.out]) {
      expect(bytes).to.be.above(10_000_000);
      expect(intact).to.equal(true);
      expect(bitsPerSecond).to.be.above(1e6);
      expect(rttUs).to.be.within(1, 1e6);
    }
    for (const { bytes, intact, retransmissions, minRttUs } of [figures.lossy.in, figures.lossy.out]) {
      // All of it, unless the time was up: chance decides which packets are lost.
      expect(bytes).to.be.within(200_000, 1_000_000);
      expect(intact).to.equal(true);
      expect(retransmissions).to.be.above(0);
      expect(minRttUs).to.be.within(40_000, 80_000);
    }
    expectHandshakes(figures.trace);
    expect(figures.capture.file).to.equal('demo.pcapng');
    expect(figures.capture.bytes).to.equal(run.capture.length);
    expectReadByTshark(run.capture, figures.capture.packets);
  });

  it('says why there is no TUN, goes on in memory, and prints plain lines off a terminal', async () => {
    const run = await runDemo({ env: WITHOUT_ADDON });
    expect(run.status).to.equal(0);
    expect(run.stderr).to.equal('');
    expect(run.stdout).to.match(/No TUN can be opened here: The addon .* does not load: .*\. The other side/);
    expect(run.stdout).to.match(/to the second stack .*bit\/s .* intact, \d+ retransmitted, RTT/);
    expect(run.stdout).to.match(
      /SYN-SENT +──▶ S 0:0\(0\) win \d+ +SYN-RECEIVED\n +mss 1460, sackOK, TS val 0 ecr 0/,
    );
    expect(run.stdout).to.match(/TIME-WAIT +◀── F\. 7:7\(0\) ack 8 win \d+ +LAST-ACK\n/);
    expect(run.stdout).to.not.include(ESCAPE);
    expect(run.stdout.split('\n').filter((line) => line.length > 200)).to.deep.equal([]);
    expectNothingLeft(run);
  });

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`cleans up on ${signal}`, async () => {
      const run = await runDemo({ interrupt: { signal, at: /Bulk data/ } });
      expect(run.status).to.equal(status);
      expect(run.stderr).to.equal('');
      expectNothingLeft(run);
    });
  }

  it('says in one sentence that its capture cannot be written', async () => {
    const run = await runDemo({ args: ['--capture', '/nonexistent/demo.pcapng'] });
    expect(run.status).to.equal(1);
    expect(run.stdout).to.equal('');
    expect(run.stderr).to.match(/^tunstack demo: the capture cannot be written: ENOENT.*\.\n$/);
    expect(run.files).to.deep.equal([]);
    expect(run.processes).to.deep.equal([]);
  });

  it('uses colours and moving bars on a terminal, and no colours under NO_COLOR', async function () {
    if (spawnSync('script', ['--version']).status !== 0) skip(this, 'the program script is not installed');
    const until = { interrupt: { signal: 'SIGTERM', at: /\[\?25l/ }, terminal: true } as const;
    const args = ['--memory'];
    const colourful = await runDemo({ ...until, args, env: { TERM: 'xterm' } });
    const plain = await runDemo({ ...until, args, env: { NO_COLOR: '1', TERM: 'xterm' } });
    expect(colourful.stdout).to.include(`${ESCAPE}[36m●`);
    expect(plain.stdout).to.include('● A network').and.not.include(`${ESCAPE}[3`);
    expect([...colourful.processes, ...plain.processes]).to.deep.equal([]);
  });
});

/** Three segments open the connection, and four close it. */
function expectHandshakes(trace: readonly TraceRow[]): void {
  const texts = trace.map(
    ({ outgoing, segment, ours, theirs }) =>
      `${outgoing ? '>' : '<'} ${segment.replace(/ win \d+/, '')} ${ours} ${theirs}`,
  );
  expect(texts.slice(0, 3)).to.deep.equal([
    '> S 0:0(0) SYN-SENT SYN-RECEIVED',
    '< S. 0:0(0) ack 1 ESTABLISHED SYN-RECEIVED',
    '> . 1:1(0) ack 1 ESTABLISHED ESTABLISHED',
  ]);
  expect(texts.slice(-4)).to.deep.equal([
    '> F. 7:7(0) ack 7 FIN-WAIT-1 CLOSE-WAIT',
    '< . 7:7(0) ack 8 FIN-WAIT-2 CLOSE-WAIT',
    '< F. 7:7(0) ack 8 TIME-WAIT LAST-ACK',
    '> . 8:8(0) ack 8 TIME-WAIT CLOSED',
  ]);
  expect(trace[0].options).to.include('mss 1460');
}

/** Where tshark is installed it must find as many packets, each of them whole. */
function expectReadByTshark(capture: Uint8Array, packets: number): void {
  if (spawnSync('tshark', ['--version']).status !== 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'tunstack-capture-'));
  try {
    const file = join(folder, 'demo.pcapng');
    writeFileSync(file, capture);
    const args = ['-r', file, '-T', 'fields', '-e', 'frame.number', '-e', '_ws.malformed'];
    const { status, stdout, stderr } = spawnSync('tshark', args, { encoding: 'utf8', maxBuffer: 64 << 20 });
    expect(status, stderr).to.equal(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).to.have.length(packets);
    expect(lines.filter((line) => /\t./.test(line))).to.deep.equal([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
