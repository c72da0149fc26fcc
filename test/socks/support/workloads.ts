/** Programs that ask much of a tunnel: iperf3, git, a browser, and a thousand connections at once. */
import { join } from 'node:path';
import { expect } from 'chai';
import type { Child } from '../../support/child.js';
import { BIG_BYTES, cloneOverSsh, SSHD, serveGitOverSsh } from '../../support/git-over-ssh.js';
import { iperf3Client } from '../../support/iperf3.js';
import { type Bed, LIMIT_MS, needs, SERVER, statsOf } from './bed.js';

interface HostPorts {
  readonly http: number;
  readonly echo: number;
}

/** @param bed asked for once the tests run */
export function workloadsBehindProxy(bedOf: () => Bed): void {
  let bed: Bed;
  let server: Child;
  let ports: HostPorts;

  before(async function () {
    this.timeout(LIMIT_MS);
    bed = bedOf();
    const args = ['--import=tsx', 'test/gateway/support/host-server.ts', bed.directory, SERVER[4]];
    server = bed.world.spawn(process.execPath, args, { openStdin: true, limitMs: 15 * 60_000 });
    const [line] = await server.output(/\{.*\}/);
    ports = JSON.parse(line) as HostPorts;
  });
  after(() => server?.stdin.end());

  it('iperf3 in both directions, over one connection and over eight', async function () {
    await needs(this, 'iperf3');
    const iperf = bed.world.spawn('iperf3', ['-s', '--forceflush', '-B', SERVER[4]], { limitMs: LIMIT_MS });
    await iperf.output(/listening/);
    const flags = ['', '-R', '-P 8', '-P 8 -R'];
    const line = (flag: string) => `${iperf3Client(`-t 1 ${flag} -c ${SERVER[4]}`)}; echo ----`;
    const script = flags.map(line).join('\n');
    const stdout = await bed.shell('microsocks', script);
    for (const [i, flag] of flags.entries()) {
      const { end, error } = JSON.parse(stdout.split('----')[i]) as {
        error?: string;
        end: { sum_received: { bytes: number } };
      };
      expect(error, flag).to.equal(undefined);
      expect(end.sum_received.bytes, flag).to.be.greaterThan(1_000_000);
    }
    await iperf.kill();
  });

  it('git clones and pushes over HTTP', async function () {
    await needs(this, 'git');
    await bed.world.shell(`git init -q --bare '${bed.directory}/project.git'`);
    const stdout = await bed.shell(
      'microsocks',
      `set -e; git clone -q http://site.test:${ports.http}/git/project.git '${bed.directory}/work' 2>&1
      cd '${bed.directory}/work'; git config user.name T; git config user.email t@test
      head -c 3000000 /dev/urandom > big; git add big; git commit -q -m one; git push -q origin HEAD:main
      git ls-remote origin main; git rev-parse HEAD`,
    );
    const [remote, local] = stdout.match(/[0-9a-f]{40}/g)?.slice(-2) ?? [];
    expect(remote).to.equal(local);
  });

  it('git clones over SSH', async function () {
    await needs(this, 'git', 'ssh', SSHD);
    const sshd = await serveGitOverSsh(bed.world, bed.directory, SERVER[4]);
    const stdout = await bed.shell('microsocks', `set -e; ${cloneOverSsh(bed.directory, SERVER[4])}`);
    expect(stdout.trim()).to.equal(String(BIG_BYTES));
    await sshd.kill();
  });

  it('a thousand connections at once', async () => {
    const script = `test/gateway/support/many-flows.ts ${SERVER[4]} ${ports.echo} 1000`;
    const { stdout, stderr } = await bed
      .start('microsocks', `'${process.execPath}' --import=tsx ${script}`, ['--stats'])
      .succeeded();
    expect(stdout).to.equal('1000 of 1000\n');
    expect(statsOf(stderr)).to.include({ tcpConnected: 1000, tcpFailed: 0, bytesOut: 10_000_000 });
  });

  it('a headless Chromium loads a page', async function () {
    await needs(this, 'chromium');
    const profile = join(bed.directory, 'chromium');
    const flags = '--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run';
    const quiet = '--disable-background-networking --disable-component-update';
    const stdout = await bed.shell(
      'microsocks',
      `HOME='${profile}' timeout 90 chromium ${flags} ${quiet} --user-data-dir='${profile}' \
        --virtual-time-budget=20000 --dump-dom 'http://site.test:${ports.http}/page' 2>'${profile}.log'`,
    );
    expect(stdout).to.include('<title>got 20000000</title>');
  });
}
