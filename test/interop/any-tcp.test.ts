/** Connections of the kernel and of its programs to addresses that nobody has: the stack answers for all of them. */
import { once } from 'node:events';
import http from 'node:http';
import nodeNet from 'node:net';
import { expect } from 'chai';
import type { NetTcpRequest, RejectReason } from '../../lib/net/listen-any-tcp.js';
import { Child, installed } from '../support/child.js';
import { FAMILIES, InteropBed, inUrl, KERNEL } from '../support/interop.js';
import { freePort } from '../support/interop-programs.js';
import { errorOf, eventually } from '../support/interop-wait.js';
import { join } from '../support/relay.js';
import { skip } from '../support/skip.js';

const ROUTES = 'ip route add default dev tun0; ip -6 route add default dev tun0';
const FOREIGN = { 4: '198.51.100.7', 6: '2001:db8:f::7' } as const;
const MANY = 1000;
const BYTES = 5000;

for (const family of FAMILIES) {
  const address = FOREIGN[family];

  describe(`connections to any address, IPv${family}`, function () {
    this.timeout(40_000);
    this.slow(10_000);
    let bed: InteropBed;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, { setUp: ROUTES });
    });
    after(() => bed?.close());
    afterEach(async () => {
      await bed?.isIdle();
      expect(bed?.stack.stats.tcp.anyPending, 'requests left').to.equal(0);
    });

    /** The next request; asked only once, and the rest is left alone. */
    function nextRequest(): Promise<NetTcpRequest> {
      return new Promise((resolve) => {
        const listener = bed.stack.listenAny({ protocol: 'tcp' }, resolve);
        closers.push(() => listener.close());
      });
    }
    const closers: (() => void)[] = [];
    afterEach(() => {
      for (const close of closers.splice(0)) close();
    });

    it('are seen before the SYN-ACK, and accepted when the proxy has dialled', async () => {
      const kernel = await bed.kernel();
      const asked = nextRequest();
      const connecting = kernel.connect({ address, port: 8443 });
      const request = await asked;
      expect([request.sourceAddress, request.destinationAddress]).to.deep.equal([KERNEL[family], address]);
      expect([request.destinationPort, request.family]).to.deep.equal([8443, family]);
      expect(request.syn).to.deep.include({ sackPermitted: true, timestamps: true });
      expect(request.syn.windowScale).to.be.above(0);
      // Long enough for the kernel to send its SYN again: no second request comes of it.
      await eventually(
        'a repeated SYN',
        () => bed.stack.stats.tcp.anyRepeated,
        (count) => count > 0,
      );
      expect(bed.stack.stats.tcp.anyRequests).to.equal(1);
      const socket = request.accept({ allowHalfOpen: true });
      const theirs = await connecting;
      socket.on('data', (text: Buffer) => socket.write(text));
      socket.on('end', () => socket.end());
      const closed = once(socket, 'close');
      await theirs.send('hello');
      await theirs.shutdown();
      expect(await theirs.receive(100)).to.equal('hello');
      await closed;
      await theirs.close();
    });

    const outcomes: readonly [RejectReason, string][] = [
      ['reset', 'ECONNREFUSED'],
      ['port-unreachable', 'ECONNREFUSED'],
      ['host-unreachable', 'EHOSTUNREACH'],
      ['net-unreachable', 'ENETUNREACH'],
      ['prohibited', family === 4 ? 'EHOSTUNREACH' : 'EACCES'],
    ];
    for (const [reason, code] of outcomes) {
      it(`are refused with ${reason}: the kernel says ${code}`, async () => {
        const kernel = await bed.kernel();
        const asked = nextRequest();
        const failing = errorOf(kernel.connect({ address, port: 99 }));
        (await asked).reject(reason);
        expect(await failing).to.include(code);
      });
    }

    it('are closed and reset by either side as any other', async () => {
      const kernel = await bed.kernel();
      const asked = nextRequest();
      const connecting = kernel.connect({ address, port: 7 });
      const socket = (await asked).accept({ allowHalfOpen: true });
      const theirs = await connecting;
      socket.resetAndDestroy();
      await eventually(
        'the reset',
        () => theirs.takeError(),
        (code) => code === 'ECONNRESET',
      );
      await theirs.close();
    });

    it('of curl are answered by a server of Node, whatever the address', async function () {
      if (!(await installed('curl'))) skip(this, 'curl is not installed');
      const server = http.createServer((request, response) => {
        response.end(`${request.headers.host} at ${request.socket.localAddress}\n`);
      });
      const listener = bed.stack.listenAny({ protocol: 'tcp', ports: [80, 8080] }, (request) => {
        server.emit('connection', request.accept({ allowHalfOpen: true }));
      });
      const hosts = family === 4 ? ['192.0.2.1', '203.0.113.250', '8.8.8.8'] : ['2001:db8::1', '2620:fe::fe'];
      for (const host of hosts) {
        const at = inUrl(host);
        const text = await bed.exec('curl', '-sS', '-m', '10', `http://${at}/`, `http://${at}:8080/`);
        expect(text).to.equal(`${at} at ${host}\n${at}:8080 at ${host}\n`);
      }
      server.closeAllConnections();
      listener.close();
    });

    it('of iperf3 carry bulk both ways, through a proxy that dials first', async function () {
      if (!(await installed('iperf3'))) skip(this, 'iperf3 is not installed');
      const port = await freePort();
      const server = new Child('iperf3', ['-s', '-1', '--forceflush', '-p', String(port)], {
        limitMs: 30_000,
      });
      await server.output(/listening/);
      const listener = bed.stack.listenAny({ protocol: 'tcp', ports: [5201] }, (request) => {
        const dialled = nodeNet.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
        dialled.once('error', () => request.reject());
        dialled.once('connect', () => {
          const accepted = request.accept({ allowHalfOpen: true });
          // iperf3 may reset what is under way when it has what it wants.
          join(accepted, dialled, () => {});
        });
      });
      const args = ['-c', address, '-n', '100M', '--bidir', '-J'];
      const { stdout } = await bed.namespace.exec('iperf3', args, { limitMs: 30_000 });
      const report = JSON.parse(stdout) as { error?: string; end: { sum_sent: { bytes: number } } };
      expect(report.error).to.equal(undefined);
      expect(report.end.sum_sent.bytes).to.be.at.least(100e6);
      expect(listener.counts.accepted).to.be.at.least(3);
      listener.close();
      await server.kill();
    });

    it(`carry ${MANY} at once, each to an address of its own`, async () => {
      const seen = new Set<string>();
      const listener = bed.stack.listenAny({ protocol: 'tcp', ports: [[1000, 1006]] }, (request) => {
        seen.add(request.destinationAddress);
        const socket = request.accept({ allowHalfOpen: true });
        socket.pipe(socket);
      });
      const prefix = family === 4 ? '198.51.' : '2001:db8:f::';
      const program = 'test/interop/support/any-clients.mjs';
      const args = [program, prefix, String(MANY), String(BYTES)];
      const { stdout } = await bed.namespace.exec(process.execPath, args, { limitMs: 35_000 });
      expect(JSON.parse(stdout)).to.deep.equal({ opened: MANY, same: MANY, failures: [] });
      expect(seen.size).to.equal(MANY);
      expect(listener.counts).to.deep.include({ requests: MANY, accepted: MANY, pending: 0 });
      await bed.isIdle();
      listener.close();
    });

    it('come to the stack when the kernel is told to bring them, and to nobody once nobody asks', async () => {
      const kernel = await bed.kernel();
      const asked = nextRequest();
      const first = kernel.connect({ address, port: 1 });
      (await asked).accept().destroy();
      await (await first).close();
      for (const close of closers.splice(0)) close();
      await bed.isIdle();
      const before = bed.stack.stats.ip.inAddrErrors;
      const socket = errorOf(
        kernel.connect({ address, port: 2, options: [['IPPROTO_TCP', 'TCP_SYNCNT', 1]] }),
      );
      await eventually(
        'a SYN that is dropped',
        () => bed.stack.stats.ip.inAddrErrors,
        (count) => count > before,
      );
      expect(await socket).to.include('ETIMEDOUT');
    });
  });
}
