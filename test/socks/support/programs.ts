/** Programs no one here wrote, inside a namespace behind `tunstack tun2socks`, and proxies no one here wrote. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { NODE } from '../../cli/support/cli.js';
import { needsTun } from '../../support/needs-tun.js';
import { skip, Unavailable } from '../../support/skip.js';
import { Bed, FORBIDDEN, LIMIT_MS, needs, SERVER, statsOf } from './bed.js';
import { workloadsBehindProxy } from './workloads.js';

/** Sends datagrams of several sizes, and says what came back. */
const ASK = `
import socket, sys
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(20)
    try:
        s.connect((address, 7))
        for size in (0, 1, 1400, 8000):
            s.send(b'x' * size)
            print('udp', len(s.recv(65536)), flush=True)
    except OSError as error:
        print('udp', error.strerror, flush=True)
`;

export function programsBehindProxies(): void {
  let bed: Bed;

  before(needsTun);
  before(async function () {
    this.timeout(LIMIT_MS);
    await needs(this, 'microsocks', 'dnsmasq', 'python3', 'curl', 'dig');
    try {
      bed = await Bed.open();
    } catch (error) {
      if (error instanceof Unavailable) skip(this, error.message);
      throw error;
    }
  });
  after(() => bed?.close());

  for (const proxy of ['microsocks', 'danted', 'guarded'] as const) {
    describe(proxy === 'guarded' ? 'microsocks with a password' : proxy, () => {
      before(async function () {
        if (proxy === 'danted') await needs(this, 'danted');
      });

      it('curl fetches by address of both families, and by name', async () => {
        const get = (host: string): string => `curl -sS --max-time 60 http://${host}/`;
        const stdout = await bed.shell(
          proxy,
          `set -e; ${get(SERVER[4])}; ${get(`[${SERVER[6]}]`)}; ${get('site.test')}`,
        );
        expect(stdout).to.equal('it works\n'.repeat(3));
      });

      it('names resolve over UDP and TCP', async () => {
        const stdout = await bed.shell(
          proxy,
          `set -e; getent ahosts site.test; dig +short site.test; dig +short +tcp +time=30 AAAA site.test; dig nowhere.test`,
        );
        expect(stdout).to.match(/192\.0\.2\.7 +STREAM/);
        expect(stdout).to.match(/^192\.0\.2\.7$/m);
        expect(stdout).to.match(/^2001:db8:7::7$/m);
        // dnsmasq refuses what it does not know, and that is passed on.
        expect(stdout).to.match(/status: REFUSED/);
      });

      it('curl is refused where nobody listens, at once', async () => {
        const outcome = await bed.start(proxy, `curl -sS --max-time 20 http://${SERVER[4]}:9/`).ended;
        expect(outcome.status).to.equal(7);
      });
    });
  }

  workloadsBehindProxy(() => bed);

  it('hears of what the proxy does not allow', async function () {
    await needs(this, 'danted');
    const script = `curl -sS --max-time 20 http://${FORBIDDEN}/`;
    const { status, stderr } = await bed.start('danted', script, ['--stats']).ended;
    expect(status).to.equal(7);
    expect(statsOf(stderr)).to.include({ tcpRefused: 1, tcpConnected: 0 });
  });

  it('carries UDP where the proxy has it', async function () {
    await needs(this, 'danted');
    writeFileSync(join(bed.directory, 'ask.py'), ASK);
    // Dante passes no datagrams between the families, and is itself asked over IPv4.
    const { stdout, stderr } = await bed
      .start('danted', `python3 '${bed.directory}/ask.py' ${SERVER[4]}`, ['--stats'])
      .succeeded();
    expect(stdout).to.equal('udp 0\nudp 1\nudp 1400\nudp 8000\n');
    expect(statsOf(stderr)).to.include({ udpAssociated: 1, udpOut: 4, udpIn: 4, udpDropped: 0 });
  });

  it('refuses UDP where the proxy has none', async () => {
    writeFileSync(join(bed.directory, 'ask.py'), ASK);
    const ask = `python3 '${bed.directory}/ask.py' ${SERVER[4]} ${SERVER[6]}`;
    const stdout = await bed.shell('microsocks', ask);
    expect(stdout).to.equal('udp Connection refused\n'.repeat(2));
  });

  it('carries bulk unharmed, and many at once', async () => {
    const script = `
      curl -sS --max-time 60 http://${SERVER[4]}/big | sha256sum
      curl -sS --max-time 100 --parallel --parallel-max 100 -o /dev/null -w '%{http_code}\\n' \
        "http://${SERVER[4]}/?[1-300]" | sort | uniq -c`;
    const { stdout, stderr } = await bed.start('microsocks', script, ['--stats']).succeeded();
    const { stdout: sum } = await bed.world.exec('sha256sum', [join(bed.directory, 'www/big')]);
    expect(stdout).to.include(sum.slice(0, 64));
    expect(stdout).to.match(/^ +300 200$/m);
    const stats = statsOf(stderr);
    expect(stats.tcpConnected).to.be.at.least(2);
    expect(stats.bytesIn).to.be.above(20_000_000);
  });

  it('holds the namespace open, says how to enter it, and ends in order when it is interrupted', async () => {
    const child = bed.start('microsocks', '');
    const [, pid] = await child.output(/process: +(\d+)\n/);
    const [, enter] = await child.output(/enter: +(.+)\n/);
    const { stdout } = await bed.world.exec('sh', [
      '-c',
      `${enter} -c 'curl -sS --max-time 60 http://site.test/'`,
    ]);
    expect(stdout).to.equal('it works\n');
    await child.kill('SIGINT');
    const { status } = await child.ended;
    expect(status).to.equal(0);
    await bed.world.shell(`! test -e /proc/${pid}`);
  });

  it('serves a TUN that is there already, and leaves it there', async () => {
    const place = await bed.world.neighbour();
    await bed.world.shell(`
      ip link add socks0 type veth peer name socks1 netns ${place.pid}
      ip address add 10.8.0.1/24 dev socks0; ip link set socks0 up`);
    await place.shell(`
      ip address add 10.8.0.2/24 dev socks1; ip link set socks1 up
      ip tuntap add dev tun7 mode tun
      ip address add 10.9.0.2/24 dev tun7; ip link set tun7 up; ip route add default dev tun7`);
    const proxy = bed.world.spawn('microsocks', ['-i', '10.8.0.1', '-p', '1080'], { limitMs: LIMIT_MS });
    const args = [...NODE, 'tun2socks', '--tun', 'tun7', '--dns', SERVER[4]];
    const tunnel = place.spawn(process.execPath, [...args, '--proxy', 'socks5://10.8.0.1:1080'], {
      limitMs: LIMIT_MS,
    });
    await tunnel.output(/serving tun7/);
    const { stdout } = await place.exec('sh', [
      '-ec',
      `curl -sS --max-time 60 http://${SERVER[4]}/; dig +short @198.51.100.53 site.test`,
    ]);
    expect(stdout).to.equal('it works\n192.0.2.7\n');
    await tunnel.kill('SIGINT');
    expect((await tunnel.ended).status).to.equal(0);
    await place.shell('ip link show dev tun7');
    await proxy.kill();
    await place.close();
  });

  it('says what is wrong with what was typed', async () => {
    const wrong: [options: string[], words: RegExp][] = [
      [['--proxy', 'http://127.0.0.1:1080'], /socks5:\/\//],
      [['--proxy', 'socks5://'], /proxy/],
      [['--udp', 'maybe'], /associate, reject, drop/],
      [['--dns', 'site.test'], /address of a name server/],
      [['--netns', '1', '--tun', 'tun0'], /cannot be used/],
    ];
    for (const [options, words] of wrong) {
      const { status, stderr } = await bed.start('microsocks', '', options).ended;
      expect(status, stderr).to.equal(2);
      expect(stderr).to.match(words);
    }
  });
}
