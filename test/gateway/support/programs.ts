/**
 * Programs no one here wrote, inside a namespace behind `tunstack gateway`. What plays the host is another namespace
 * of the test, whose loopback has the servers.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NODE } from '../../cli/support/cli.js';
import { type Child, type ChildOptions, installed, type Outcome } from '../../support/child.js';
import { BIG_BYTES, cloneOverSsh, SSHD, serveGitOverSsh } from '../../support/git-over-ssh.js';
import { iperf3Client } from '../../support/iperf3.js';
import { needsTun } from '../../support/needs-tun.js';
import { TestNamespace } from '../../support/netns.js';
import { skip } from '../../support/skip.js';

export interface HostPorts {
  readonly http: number;
  readonly echo: number;
  readonly dns: number;
  readonly echoUdp: number;
  readonly digest: string;
}

const CLI = [...NODE, 'gateway'];
const GATEWAY = '10.0.2.2';
/** Processes of Node that compile on the way, on a busy machine. */
const LIMIT_MS = 120_000;

/** Raw packets: ports of 0, lengths that lie, random bytes behind an IP header, to anybody. */
const NONSENSE = `
import random, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def send(protocol, payload, to):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
        socket.inet_aton('10.0.2.100'), socket.inet_aton(to))
    s.sendto(head + payload, (to, 0))
random.seed(1)
places = ('198.51.100.9', '10.0.2.2', '10.0.2.3')
for to in places:
    for ports in ((1000, 0), (0, 9), (0, 0), (1000, 53), (0, 53)):
        for length in (8, 0, 7, 9, 65535):
            send(17, struct.pack('!HHHH', *ports, length, 0), to)
for _ in range(3000):
    payload = bytes(random.randrange(256) for _ in range(random.randrange(0, 60)))
    send(random.choice((1, 2, 6, 17, 47)), payload, random.choice(places))
`;

export class ProgramBed {
  readonly host: TestNamespace;
  readonly directory: string;
  readonly ports: HostPorts;
  readonly #server: Child;

  private constructor(host: TestNamespace, directory: string, server: Child, ports: HostPorts) {
    this.host = host;
    this.directory = directory;
    this.ports = ports;
    this.#server = server;
  }

  static async open(): Promise<ProgramBed> {
    const host = await TestNamespace.create();
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-programs-'));
    const args = ['--import=tsx', 'test/gateway/support/host-server.ts', directory];
    const server = host.spawn(process.execPath, args, { openStdin: true, limitMs: 15 * 60_000 });
    const [line] = await server.output(/\{.*\}/);
    return new ProgramBed(host, directory, server, JSON.parse(line) as HostPorts);
  }

  /** Starts a program behind a gateway. */
  start(options: readonly string[], line: readonly string[], child: ChildOptions = {}): Child {
    const dns = ['--dns', `127.0.0.1:${this.ports.dns}`, '--host-loopback'];
    const args = [...CLI, ...dns, ...options, ...(line.length > 0 ? ['--', ...line] : [])];
    return this.host.spawn(process.execPath, args, { limitMs: LIMIT_MS, ...child });
  }

  /** Runs one to its end. */
  inside(line: readonly string[], child: ChildOptions = {}): Promise<Outcome> {
    return this.start([], line, child).succeeded();
  }

  shell(script: string): Promise<Outcome> {
    return this.inside(['sh', '-ec', script], { cwd: process.cwd() });
  }

  async close(): Promise<void> {
    this.#server.stdin.end();
    await this.host.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function needs(context: Mocha.Context, program: string): Promise<void> {
  if (!(await installed(program))) skip(context, `${program} is not installed`);
}

export function programsBehindGateway(): void {
  let bed: ProgramBed;

  before(needsTun);
  before(async function () {
    this.timeout(LIMIT_MS);
    try {
      bed = await ProgramBed.open();
    } catch (error) {
      skip(this, (error as Error).message);
    }
  });
  after(() => bed?.close());

  it('curl fetches by address and by name', async () => {
    const { http, digest } = bed.ports;
    const get = (host: string): string => `curl -sS --max-time 60 http://${host}:${http}/content | sha256sum`;
    const { stdout } = await bed.shell(`${get(GATEWAY)}; ${get('web.test')}`);
    expect(stdout.match(/[0-9a-f]{64}/g)).to.deep.equal([digest, digest]);
  });

  it('curl is refused where nobody listens, at once', async () => {
    const outcome = await bed.start([], ['curl', '-sS', '--max-time', '20', `http://${GATEWAY}:9/`]).ended;
    expect(outcome.status).to.equal(7);
  });

  it('names resolve over UDP and TCP', async function () {
    await needs(this, 'dig');
    const { stdout } = await bed.shell(
      'getent ahosts one.test; dig +short two.test; dig +short +tcp three.test; dig +short -6 AAAA four.test',
    );
    expect(stdout).to.match(/10\.0\.2\.2 +STREAM/);
    expect(stdout.match(/^10\.0\.2\.2$/gm)).to.have.length(2);
    expect(stdout).to.match(/^fd00::2$/m);
  });

  it('git clones and pushes over HTTP', async function () {
    await needs(this, 'git');
    await bed.host.shell(`git init -q --bare '${bed.directory}/project.git'`);
    const work = join(bed.directory, 'work-http');
    const { stdout } = await bed.shell(`
      git clone -q http://web.test:${bed.ports.http}/git/project.git '${work}' 2>&1
      cd '${work}'; git config user.name T; git config user.email t@test
      head -c 3000000 /dev/urandom > big; git add big; git commit -q -m one; git push -q origin HEAD:main
      git ls-remote origin main; git rev-parse HEAD`);
    const [remote, local] = stdout.match(/[0-9a-f]{40}/g)?.slice(-2) ?? [];
    expect(remote).to.equal(local);
  });

  it('git clones over SSH', async function () {
    for (const program of ['git', 'ssh', SSHD]) await needs(this, program);
    const server = await serveGitOverSsh(bed.host, bed.directory, '127.0.0.1');
    const { stdout } = await bed.shell(cloneOverSsh(bed.directory, GATEWAY));
    expect(stdout.trim()).to.equal(String(BIG_BYTES));
    await server.kill();
  });

  it('iperf3 in both directions, over one connection and over eight, and UDP', async function () {
    await needs(this, 'iperf3');
    const server = bed.host.spawn('iperf3', ['-s', '--forceflush', '-B', '127.0.0.1', '-p', '5201'], {
      limitMs: LIMIT_MS,
    });
    await server.output(/listening/);
    for (const flags of ['', '-R', '-P 8', '-P 8 -R', '-u -b 20M']) {
      const { stdout } = await bed.shell(iperf3Client(`-t 1 ${flags} -c ${GATEWAY} -p 5201`));
      const { end, error } = JSON.parse(stdout) as {
        error?: string;
        end: { sum_received?: { bytes: number }; sum?: { packets: number; lost_packets: number } };
      };
      expect(error, flags).to.equal(undefined);
      if (end.sum_received !== undefined) expect(end.sum_received.bytes, flags).to.be.greaterThan(1_000_000);
    }
    await server.kill();
  });

  it('a thousand connections at once', async () => {
    const script = 'test/gateway/support/many-flows.ts';
    const line = [process.execPath, '--import=tsx', script, GATEWAY, String(bed.ports.echo), '1000'];
    const { stdout, stderr } = await bed.start(['--stats'], line).succeeded();
    expect(stdout).to.equal('1000 of 1000\n');
    const stats = JSON.parse(/\{.*\}/.exec(stderr)?.[0] ?? '') as Record<string, number>;
    expect(stats.tcpJoined).to.equal(1000);
    expect(stats.bytesToHost).to.equal(10_000_000);
  });

  it('a headless Chromium loads a page', async function () {
    await needs(this, 'chromium');
    const profile = join(bed.directory, 'chromium');
    const flags = '--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run';
    const quiet = '--disable-background-networking --disable-component-update';
    const url = `http://web.test:${bed.ports.http}/page`;
    const { stdout } = await bed.shell(
      `HOME='${profile}' timeout 90 chromium ${flags} ${quiet} --user-data-dir='${profile}' ` +
        `--virtual-time-budget=20000 --dump-dom '${url}' 2>'${bed.directory}/chromium.log'`,
    );
    expect(stdout).to.include('<title>got 20000000</title>');
  });

  it('nonsense on the wire ends nothing', async function () {
    await needs(this, 'python3');
    const script = `python3 -c "$NONSENSE" && curl -sS --max-time 20 http://${GATEWAY}:${bed.ports.http}/page`;
    const { stdout } = await bed.inside(['sh', '-ec', script], { env: { NONSENSE } });
    expect(stdout).to.include('<title>page</title>');
  });

  it('a server inside is reached at a published port', async () => {
    const line = ['sh', '-ec', `cd '${bed.directory}'; echo inside > x; exec python3 -m http.server 8000`];
    const server = bed.start(['-p', '18000:8000', '-p', '[::1]:18001:[fd00::100]:8000'], line);
    try {
      const { stdout } = await bed.host.exec(
        'curl',
        ['-sS', '--retry', '60', '--retry-all-errors', '--retry-delay', '1', 'http://127.0.0.1:18000/x'],
        { limitMs: LIMIT_MS },
      );
      expect(stdout).to.equal('inside\n');
    } finally {
      await server.kill('SIGTERM');
    }
  });

  it('says when it is ready, and ends in order when it is interrupted', async () => {
    const child = bed.start(['--ready-fd', '1'], []);
    await child.output(/^1$/m);
    const [, pid] = await child.output(/process: +(\d+)\n/);
    const [, file] = await child.output(/(\/\S*tunstack-gateway\S*resolv\.conf)/);
    expect(existsSync(`/proc/${pid}`)).to.equal(true);
    await child.kill('SIGINT');
    expect((await child.ended).status).to.equal(0);
    expect(existsSync(`/proc/${pid}`)).to.equal(false);
    expect(existsSync(file)).to.equal(false);
  });

  it('serves a namespace that is there already', async () => {
    const other = await bed.host.neighbour();
    try {
      const child = bed.start(['--netns', String(other.pid), '--ready-fd', '1'], []);
      await child.output(/^1$/m);
      const url = `http://${GATEWAY}:${bed.ports.http}/page`;
      const { stdout } = await other.exec('curl', ['-sS', '--max-time', '20', url]);
      expect(stdout).to.include('<title>page</title>');
      await child.kill('SIGINT');
      const { stdout: links } = await other.exec('ip', ['-o', 'link']);
      expect(links).to.not.include('tun0');
    } finally {
      await other.close();
    }
  });
}
