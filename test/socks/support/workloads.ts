/** Programs that ask much of a tunnel: iperf3, git, a browser, and a thousand connections at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Child } from '../../support/child.js';
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

  // sshd parts its rights, which only root can.
  if (process.getuid?.() === 0) {
    it('git clones over SSH', async function () {
      await needs(this, 'ssh', 'git');
      await cloneOverSsh(bed);
    });
  }

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

async function cloneOverSsh(bed: Bed): Promise<void> {
  const { directory } = bed;
  const at = (name: string): string => join(directory, name);
  const lines = [
    `ListenAddress ${SERVER[4]}:2222`,
    `HostKey ${at('host-key')}`,
    `AuthorizedKeysFile ${at('user-key')}.pub`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
  ];
  writeFileSync(at('sshd_config'), `${lines.join('\n')}\n`);
  await bed.world.shell(`
    for key in host user; do ssh-keygen -q -t ed25519 -N '' -f '${directory}'/$key-key; done
    git init -q --bare '${directory}/ssh.git'; git clone -q '${directory}/ssh.git' '${directory}/seed' 2>&1
    cd '${directory}/seed'; git config user.name T; git config user.email t@test
    head -c 3000000 /dev/urandom > big; git add big; git commit -q -m one; git push -q origin HEAD:main`);
  const run = `mount -t tmpfs -o mode=0755 tests /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f '${at('sshd_config')}'`;
  const sshd = bed.world.spawn('unshare', ['--mount', '--', 'sh', '-c', run], { limitMs: LIMIT_MS });
  await sshd.output(/Server listening/);
  const stdout = await bed.shell(
    'microsocks',
    `set -e
    export GIT_SSH_COMMAND="ssh -p 2222 -i '${at('user-key')}' -F none -o IdentitiesOnly=yes \
      -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    git clone -q -b main 'root@${SERVER[4]}:${directory}/ssh.git' '${directory}/work-ssh'
    cd '${directory}/work-ssh'; git fsck --full 2>&1; wc -c < big`,
  );
  expect(stdout.trim()).to.match(/3000000$/);
  await sshd.kill();
}
