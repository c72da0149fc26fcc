/** The kernel, our router, and the kernel: what real programs make of it, in both families. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { installed } from '../support/child.js';
import { FAMILIES, inUrl } from '../support/interop.js';
import { HOSTS, ROUTER, RouterBed } from '../support/interop-router.js';
import type { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';

const PROGRAMS = ['ping', 'traceroute', 'tracepath', 'curl', 'iperf3', 'python3'];
const BYTES = 8_000_000;

/** Runs a command to its end, which need not be a good one. */
async function attempt(inside: TestNamespace, command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await inside.spawn(command, args).ended;
  return `${stdout}${stderr}`;
}

interface IperfReport {
  readonly end: {
    readonly sum_received?: { readonly bytes: number };
    readonly sum?: { readonly bytes: number; readonly lost_packets: number; readonly packets: number };
  };
}

/** What a run of iperf3 from near to far reports. */
async function iperf(bed: RouterBed, address: string, ...args: string[]): Promise<IperfReport> {
  const server = bed.far.spawn('iperf3', ['--server', '--one-off', '--forceflush']);
  try {
    await server.output(/listening/i);
    const { stdout } = await bed.near.exec('iperf3', ['--client', address, '--json', ...args]);
    return JSON.parse(stdout) as IperfReport;
  } finally {
    await server.kill();
  }
}

for (const [near, far] of [
  [true, true],
  [true, false],
  [false, true],
]) {
  const kinds = [near, far].map((offload) => (offload ? 'offloads' : 'none')).join(' to ');

  describe(`a router between two kernels, links with ${kinds}`, function () {
    this.timeout(60_000);
    this.slow(10_000);
    let bed: RouterBed;

    before(async function () {
      for (const program of PROGRAMS) {
        if (!(await installed(program))) skip(this, `${program} is not installed`);
      }
      bed = await RouterBed.createOrSkip(this, { near: { offload: near }, far: { offload: far } });
    });
    after(() => bed?.close());

    for (const family of FAMILIES) {
      const host = HOSTS.far[family];
      const own = ROUTER.near[family];

      it(`answers go both ways, large ones in fragments, IPv${family}`, async () => {
        for (const bytes of [56, 4000]) {
          const said = await attempt(
            bed.near,
            'ping',
            '-n',
            '-c',
            '3',
            '-i',
            '0.2',
            '-s',
            String(bytes),
            host,
          );
          expect(said).to.match(/3 received, 0% packet loss/);
        }
        expect(await attempt(bed.far, 'ping', '-n', '-c', '1', HOSTS.near[family])).to.match(/ ttl=63 /);
      });

      it(`the router is seen on the way, IPv${family}`, async () => {
        for (const kind of ['-I', '-U', '-T']) {
          // TCP probes need a raw socket, and so more than an ordinary user has in some places.
          const args = [kind, '-n', '-q', '1', '-w', '5', '-m', '4', host];
          const hops = (await attempt(bed.near, 'traceroute', ...args)).split('\n').slice(1, 3);
          expect(
            hops.map((hop) => hop.trim().split(/\s+/).slice(0, 2)),
            kind,
          ).to.deep.equal([
            ['1', own],
            ['2', host],
          ]);
        }
      });

      it(`it says why there is no way, IPv${family}`, async () => {
        const { routes } = bed.stack.routing;
        const nowhere = family === 4 ? '203.0.113.' : '2001:db8:99::';
        const length = family === 4 ? 32 : 128;
        routes.add({ destination: `${nowhere}2/${length}`, type: 'unreachable' });
        routes.add({ destination: `${nowhere}3/${length}`, type: 'prohibit' });
        const answers =
          family === 4
            ? [/Net Unreachable/, /Host Unreachable/, /Packet filtered/]
            : [/No route/, /Address unreachable/, /Administratively prohibited/];
        for (const [i, answer] of answers.entries()) {
          const said = await attempt(bed.near, 'ping', '-n', '-c', '1', '-W', '2', `${nowhere}${i + 1}`);
          expect(said).to.match(answer);
          expect(said).to.include(own);
        }
      });

      it(`a file arrives as it was, IPv${family}`, async () => {
        const directory = mkdtempSync(join(tmpdir(), 'tunstack-router-'));
        const content = randomBytes(BYTES);
        try {
          writeFileSync(join(directory, 'file'), content, { mode: 0o644 });
          const args = ['-u', '-m', 'http.server', '--bind', host, '--directory', directory, '8000'];
          const server = bed.far.spawn('python3', args);
          await server.output(/Serving HTTP/);
          const url = `http://${inUrl(host)}:8000/file`;
          const digest = await bed.near.shell(`curl -sS --retry-connrefused --retry 5 '${url}' | sha256sum`);
          expect(digest.split(' ')[0]).to.equal(createHash('sha256').update(content).digest('hex'));
          await server.kill();
        } finally {
          rmSync(directory, { recursive: true, force: true });
        }
      });

      it(`iperf3 finds every byte, to and fro, IPv${family}`, async () => {
        const bytes = ['--bytes', '40M'];
        for (const direction of [[], ['--reverse']]) {
          const { end } = await iperf(bed, host, ...bytes, ...direction);
          // It counts what has arrived when the sender says that it is done.
          expect(end.sum_received?.bytes).to.be.at.least(20_000_000);
        }
        const udp = await iperf(bed, host, '--udp', '--bitrate', '20M', '--time', '1');
        expect(udp.end.sum?.packets).to.be.greaterThan(500);
        expect(udp.end.sum?.lost_packets).to.be.at.most((udp.end.sum?.packets ?? 0) / 10);
      });
    }

    it('nothing was dropped that was not answered', () => {
      const seen = Object.keys(bed.stack.stats.drops.toJSON());
      // What kernels say to all routers and groups of their link is not for us.
      expect(seen).to.include.members(['IpHopLimit', 'IpNoRoute']);
      const allowed = ['IpHopLimit', 'IpNoRoute', 'IpNotForUs', 'IcmpIgnored', 'IcmpRateLimited'];
      expect(seen.filter((name) => !allowed.includes(name))).to.deep.equal([]);
    });
  });
}

for (const offload of [true, false]) {
  describe(`a router to a narrower link, ${offload ? 'with' : 'without'} offloads`, function () {
    this.timeout(60_000);
    this.slow(10_000);
    let bed: RouterBed;
    const MTU = 1320;

    before(async function () {
      for (const program of PROGRAMS) {
        if (!(await installed(program))) skip(this, `${program} is not installed`);
      }
      bed = await RouterBed.createOrSkip(this, { near: { offload }, far: { offload, mtu: MTU } });
      // The far kernel announces what only a wider link would take, as one further behind would.
      await bed.far.shell(`
        ip route replace default via ${ROUTER.far[4]} dev tun0 advmss 1460
        ip -6 route replace default via ${ROUTER.far[6]} dev tun0 advmss 1440`);
    });
    after(() => bed?.close());

    for (const family of FAMILIES) {
      const host = HOSTS.far[family];

      it(`a host is told how large packets may be, IPv${family}`, async () => {
        const size = String(1400);
        const said = await attempt(
          bed.near,
          'ping',
          '-n',
          '-c',
          '1',
          '-M',
          'do',
          '-W',
          '2',
          '-s',
          size,
          host,
        );
        expect(said).to.match(family === 4 ? /Frag needed .*mtu = 1320/ : /Packet too big: mtu=1320/);
      });

      it(`tracepath finds the narrow part, IPv${family}`, async () => {
        await bed.near.shell('ip route flush cache; ip -6 route flush cache');
        expect(await attempt(bed.near, 'tracepath', '-n', '-m', '4', host)).to.match(/pmtu 1320/);
      });

      it(`connections find it, IPv${family}`, async () => {
        await bed.near.shell('ip route flush cache; ip -6 route flush cache');
        const { inTooBigErrors } = bed.stack.stats.ip;
        const { end } = await iperf(bed, host, '--bytes', '20M');
        expect(end.sum_received?.bytes).to.be.at.least(10_000_000);
        expect(bed.stack.stats.ip.inTooBigErrors).to.be.greaterThan(inTooBigErrors);
      });

      it(`connections need not where the MSS is held down, IPv${family}`, async () => {
        await bed.near.shell('ip route flush cache; ip -6 route flush cache');
        bed.stack.ip.setLinkOptions(2, { mssClamp: 'path' });
        try {
          const { inTooBigErrors, mssClamped } = bed.stack.stats.ip;
          const { end } = await iperf(bed, host, '--bytes', '20M');
          expect(end.sum_received?.bytes).to.be.at.least(10_000_000);
          expect(bed.stack.stats.ip.inTooBigErrors).to.equal(inTooBigErrors);
          expect(bed.stack.stats.ip.mssClamped).to.be.greaterThan(mssClamped);
        } finally {
          bed.stack.ip.setLinkOptions(2, { mssClamp: 'off' });
        }
      });
    }

    it('what may be divided is divided', async () => {
      const { outFragOKs } = bed.stack.stats.ip;
      const args = ['-4', '-n', '-c', '2', '-i', '0.2', '-M', 'dont', '-s', '1452', HOSTS.far[4]];
      const said = await attempt(bed.near, 'ping', ...args);
      expect(said).to.match(/2 received, 0% packet loss/);
      expect(bed.stack.stats.ip.outFragOKs).to.be.at.least(outFragOKs + 2);
    });
  });
}
