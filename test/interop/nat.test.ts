/** A kernel behind our translator, and one in front of it that knows no way to the first: real programs, both families. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Nat } from '../../lib/nat/nat.js';
import { installed } from '../support/child.js';
import { FAMILIES, inUrl } from '../support/interop.js';
import { HOSTS, ROUTER, RouterBed } from '../support/interop-router.js';
import { eventually } from '../support/interop-wait.js';
import type { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';

const PROGRAMS = ['ping', 'traceroute', 'tracepath', 'curl', 'iperf3', 'python3', 'dig', 'dnsmasq'];
const BYTES = 8_000_000;
const FLOWS = 1000;

/** An echo server for many connections at once. */
const MANY_SERVER = `
import asyncio, sys
async def serve(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, sys.argv[1], 7007, backlog=2000)
    print('ready', flush=True)
    await server.serve_forever()
asyncio.run(main())`;

/** Many connections, all open before the first says anything. */
const MANY_CLIENTS = `
import asyncio, sys
async def open_one():
    while True:
        try:
            return await asyncio.open_connection(sys.argv[1], 7007)
        except OSError:
            await asyncio.sleep(0.1)
async def talk(i, reader, writer):
    text = b'%d ' % i * 50
    writer.write(text)
    await writer.drain()
    back = await reader.readexactly(len(text))
    writer.close()
    return back == text
async def main():
    opened = await asyncio.gather(*[open_one() for _ in range(int(sys.argv[2]))])
    print('open', flush=True)
    sys.stdin.readline()
    done = await asyncio.gather(*[talk(i, *pair) for i, pair in enumerate(opened)])
    print('good', sum(done), flush=True)
asyncio.run(main())`;

async function attempt(inside: TestNamespace, command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await inside.spawn(command, args).ended;
  return `${stdout}${stderr}`;
}

interface IperfReport {
  readonly end: {
    readonly sum_received?: { readonly bytes: number; readonly bits_per_second: number };
    readonly sum?: { readonly lost_packets: number; readonly packets: number };
  };
}

for (const offload of [true, false]) {
  describe(`NAT between two kernels, links with ${offload ? 'offloads' : 'none'}`, function () {
    this.timeout(60_000);
    this.slow(10_000);
    let bed: RouterBed;
    let nat: Nat;
    let directory: string;
    const content = randomBytes(BYTES);
    const digest = createHash('sha256').update(content).digest('hex');

    before(async function () {
      for (const program of PROGRAMS) {
        if (!(await installed(program))) skip(this, `${program} is not installed`);
      }
      bed = await RouterBed.createOrSkip(this, { near: { offload }, far: { offload } });
      // Who is outside knows the router alone.
      await bed.far.shell('ip route del default; ip -6 route del default');
      nat = new Nat({ stack: bed.stack, outside: 2, families: [4, 6] });
      directory = mkdtempSync(join(tmpdir(), 'tunstack-nat-'));
      writeFileSync(join(directory, 'file'), content, { mode: 0o644 });
    });

    after(async () => {
      nat?.close();
      await bed?.close();
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    });

    const serveFiles = async (place: TestNamespace, address: string) => {
      const args = ['-u', '-m', 'http.server', '--bind', address, '--directory', directory, '8000'];
      const server = place.spawn('python3', args);
      await server.output(/Serving HTTP/);
      return server;
    };

    const fetchDigest = async (place: TestNamespace, url: string): Promise<string> =>
      (await place.shell(`curl -sS --retry-connrefused --retry 5 '${url}' | sha256sum`)).split(' ')[0];

    const iperf = async (address: string, ...args: string[]): Promise<IperfReport> => {
      const server = bed.far.spawn('iperf3', ['--server', '--one-off', '--forceflush']);
      try {
        await server.output(/listening/i);
        const { stdout } = await bed.near.exec('iperf3', ['--client', address, '--json', ...args]);
        return JSON.parse(stdout) as IperfReport;
      } finally {
        await server.kill();
      }
    };

    for (const family of FAMILIES) {
      const host = HOSTS.far[family];
      const own = ROUTER.far[family];

      it(`echoes come back, large ones in fragments, IPv${family} [NI-1 NU-14]`, async () => {
        for (const bytes of ['56', '4000']) {
          const said = await attempt(bed.near, 'ping', '-n', '-c', '3', '-i', '0.2', '-s', bytes, host);
          expect(said).to.match(/3 received, 0% packet loss/);
        }
      });

      it(`traceroute sees router and host, by errors about what was translated, IPv${family} [NI-4 NI-10]`, async () => {
        for (const kind of ['-I', '-U', '-T']) {
          const args = [kind, '-n', '-q', '1', '-w', '5', '-m', '4', host];
          const hops = (await attempt(bed.near, 'traceroute', ...args)).split('\n').slice(1, 3);
          const seen = hops.map((hop) => hop.trim().split(/\s+/).slice(0, 2));
          expect(seen, kind).to.deep.equal([
            ['1', ROUTER.near[family]],
            ['2', host],
          ]);
        }
      });

      it(`a file arrives as it was, fetched by an address outside, IPv${family}`, async () => {
        const server = await serveFiles(bed.far, host);
        try {
          expect(await fetchDigest(bed.near, `http://${inUrl(host)}:8000/file`)).to.equal(digest);
          await server.output(new RegExp(`^${own.replaceAll('.', '\\.')} .*GET /file`, 'm'));
        } finally {
          await server.kill();
        }
      });

      it(`iperf3 finds every byte, to and fro, IPv${family}`, async () => {
        for (const direction of [[], ['--reverse']]) {
          const { end } = await iperf(host, '--bytes', '40M', ...direction);
          expect(end.sum_received?.bytes).to.be.at.least(20_000_000);
        }
        const { end } = await iperf(host, '--udp', '--bitrate', '20M', '--time', '1');
        expect(end.sum?.packets).to.be.at.least(500);
        expect(end.sum?.lost_packets).to.be.at.most(100);
      });

      it(`UDP in fragments passes, IPv${family}`, async () => {
        const { end } = await iperf(host, '--udp', '--bitrate', '5M', '--length', '4000', '--time', '1');
        expect(end.sum?.packets).to.be.at.least(50);
        expect(end.sum?.lost_packets).to.be.at.most(20);
      });

      it(`names are found, over UDP and TCP, IPv${family}`, async () => {
        const args = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--port=5353'];
        const names = ['--user=root', '--address=/nat.test/192.0.2.7'];
        const server = bed.far.spawn('dnsmasq', [
          ...args,
          ...names,
          `--listen-address=${host}`,
          '--log-queries',
        ]);
        try {
          await server.output(/started/);
          for (const way of ['+notcp', '+tcp']) {
            const { stdout } = await bed.near.exec('dig', [
              `@${host}`,
              '-p',
              '5353',
              '+short',
              way,
              'nat.test',
            ]);
            expect(stdout.trim()).to.equal('192.0.2.7');
          }
        } finally {
          await server.kill();
        }
      });

      it(`hosts outside reach a server inside by a port forward, and itself by the same, IPv${family} [NT-8]`, async () => {
        const inside = HOSTS.near[family];
        const forward = nat.forward({
          protocol: 'tcp',
          outsidePort: 8080,
          insideAddress: inside,
          insidePort: 8000,
        });
        const server = await serveFiles(bed.near, inside);
        try {
          const url = `http://${inUrl(own)}:8080/file`;
          expect(await fetchDigest(bed.far, url)).to.equal(digest);
          expect(await fetchDigest(bed.near, url)).to.equal(digest);
        } finally {
          await server.kill();
          forward.close();
        }
        // One is enough: it takes six seconds to be told.
        if (!offload) return;
        const said = await attempt(bed.far, 'curl', '-sS', '-m', '20', `http://${inUrl(own)}:8080/file`);
        expect(said).to.match(/Failed to connect|Connection refused|Could not connect/i);
      });

      it(`nobody outside reaches an address inside, IPv${family}`, async () => {
        const inside = HOSTS.near[family];
        await bed.far.shell(`ip route add ${inside} via ${own}`);
        const before = nat.stats.uninvited;
        expect(await attempt(bed.far, 'ping', '-n', '-c', '1', '-W', '1', inside)).to.match(
          /100% packet loss/,
        );
        expect(nat.stats.uninvited).to.be.above(before);
        await bed.far.shell(`ip route del ${inside}`);
      });
    }

    it(`${FLOWS} connections are open at once, and all say what they should`, async () => {
      const server = bed.far.spawn('sh', [
        '-c',
        'ulimit -n 4000; exec python3 -c "$0" "$1"',
        MANY_SERVER,
        HOSTS.far[4],
      ]);
      const clients = ['ulimit -n 4000; exec python3 -c "$0" "$1" "$2"', MANY_CLIENTS, HOSTS.far[4]];
      try {
        await server.output(/ready/);
        const many = bed.near.spawn('sh', ['-c', ...clients, String(FLOWS)], { openStdin: true });
        await many.output(/open/);
        const open = [...nat.sessions()].filter(
          ({ remote, state }) => remote.endsWith(':7007') && state === 'open',
        );
        expect(open.length).to.equal(FLOWS);
        expect(new Set(open.map(({ outside }) => outside)).size).to.equal(FLOWS);
        many.stdin.end('go\n');
        const { stdout } = await many.ended;
        expect(stdout).to.include(`good ${FLOWS}`);
        await eventually(
          'closed sessions',
          () =>
            [...nat.sessions()].filter(({ remote, state }) => remote.endsWith(':7007') && state === 'open')
              .length,
          (count) => count === 0,
        );
      } finally {
        await server.kill();
      }
    });

    it('nothing is left once it is closed', () => {
      nat.close();
      expect([...nat.sessions()]).to.deep.equal([]);
      expect(nat.stats).to.include({ sessions: 0, mappings: 0, malformed: 0 });
    });
  });
}

describe('NAT in front of a narrower way', function () {
  this.timeout(60_000);
  this.slow(10_000);
  let bed: RouterBed;
  let nat: Nat;

  before(async function () {
    for (const program of PROGRAMS) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    bed = await RouterBed.createOrSkip(this, { far: { mtu: 1300 } });
    await bed.far.shell('ip route del default; ip -6 route del default');
    nat = new Nat({ stack: bed.stack, outside: 2, families: [4, 6] });
  });
  after(async () => {
    nat?.close();
    await bed?.close();
  });

  for (const family of FAMILIES) {
    const host = HOSTS.far[family];

    it(`who sends is told how large packets may be, IPv${family} [NU-13]`, async () => {
      expect(await attempt(bed.near, 'tracepath', '-n', '-m', '3', host)).to.match(/pmtu 1300/);
    });

    it(`what is sent arrives, and what is asked for, IPv${family}`, async () => {
      for (const direction of [[], ['--reverse']]) {
        const server = bed.far.spawn('iperf3', ['--server', '--one-off', '--forceflush']);
        try {
          await server.output(/listening/i);
          const args = ['--client', host, '--json', '--bytes', '5M', ...direction];
          const { end } = JSON.parse((await bed.near.exec('iperf3', args)).stdout) as IperfReport;
          expect(end.sum_received?.bytes).to.be.at.least(2_000_000);
        } finally {
          await server.kill();
        }
      }
    });

    it(`a server inside may send large pieces to those outside, IPv${family}`, async () => {
      const inside = HOSTS.near[family];
      const forward = nat.forward({ protocol: 'tcp', outsidePort: 5201, insideAddress: inside });
      const server = bed.near.spawn('iperf3', ['--server', '--one-off', '--forceflush']);
      try {
        await server.output(/listening/i);
        const args = ['--client', ROUTER.far[family], '--json', '--bytes', '5M', '--reverse'];
        const { end } = JSON.parse((await bed.far.exec('iperf3', args)).stdout) as IperfReport;
        expect(end.sum_received?.bytes).to.be.at.least(2_000_000);
      } finally {
        await server.kill();
        forward.close();
      }
    });
  }
});
