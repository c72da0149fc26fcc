/** Many connections at once, more than fit a queue, and the cookies that help then. */
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { type AwaitedEndpoint, dial, listen } from '../support/interop-endpoint.js';
import { endPair } from '../support/interop-pair.js';
import { eventually } from '../support/interop-wait.js';

const COUNT = 1000;
const BYTES = 5000;

/** Sends back what comes, until the end. */
async function echo(ours: AwaitedEndpoint): Promise<void> {
  const piece = new Uint8Array(16_384);
  for (;;) {
    const count = ours.endpoint.read(piece);
    if (count > 0) await ours.send(piece.subarray(0, count));
    else if (ours.hasEnded) break;
    else await ours.until('more', () => ours.endpoint.readableBytes > 0 || ours.hasEnded, 30_000);
  }
  ours.endpoint.shutdown();
}

for (const family of FAMILIES) {
  describe(`${COUNT} connections at once, IPv${family}`, function () {
    this.timeout(40_000);
    this.slow(10_000);
    let bed: InteropBed;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, { setUp: 'sysctl -qw net.core.somaxconn=4096' });
    });
    after(() => bed?.close());
    afterEach(() => bed?.isIdle());

    it('opened by the kernel', async () => {
      const listener = listen(bed.stack, { port: 0, backlog: COUNT });
      let peak = 0;
      const serve = async (): Promise<void> => {
        const echoes: Promise<void>[] = [];
        while (echoes.length < COUNT) {
          echoes.push(echo(await listener.accept()));
          peak = Math.max(peak, bed.stack.stats.tcp.currEstab);
        }
        await Promise.all(echoes);
      };
      const serving = serve();
      const args = [STACK[family], String(listener.port), String(COUNT), String(BYTES)];
      const program = 'test/interop/support/many-clients.mjs';
      const { stdout } = await bed.namespace.exec(process.execPath, [program, ...args], { limitMs: 30_000 });
      expect(JSON.parse(stdout)).to.deep.equal({ opened: COUNT, peak: COUNT, same: COUNT, failures: [] });
      await serving;
      expect(peak).to.equal(COUNT);
      expect(bed.stack.stats.tcp.listenOverflows).to.equal(0);
      listener.close();
    });

    it('opened by the stack', async () => {
      const server = bed.namespace.spawn(
        process.execPath,
        ['test/interop/support/echo-server.mjs', KERNEL[family]],
        { limitMs: 40_000 },
      );
      const port = Number((await server.output(/port (\d+)/))[1]);
      const all = Array.from({ length: COUNT }, () => dial(bed.stack, { address: KERNEL[family], port }));
      await Promise.all(all.map((ours) => ours.connected()));
      expect(bed.stack.stats.tcp.currEstab).to.equal(COUNT);
      const talk = async (ours: AwaitedEndpoint): Promise<void> => {
        const received = ours.receiveToEnd(30_000);
        const sha256 = await ours.sendBulk(BYTES, 30_000);
        ours.endpoint.shutdown();
        expect(await received).to.deep.equal({ bytes: BYTES, sha256 });
        expect(await ours.closed(30_000)).to.equal('');
      };
      await Promise.all(all.map(talk));
      await server.kill();
    });
  });

  describe(`more than fits a queue, IPv${family}`, function () {
    this.timeout(30_000);
    /** As few as a listener allows. */
    const HALF_OPEN = 8;
    let bed: InteropBed;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, { tcp: { maxSynBacklog: HALF_OPEN } });
    });
    after(() => bed?.close());

    /** Fills the queue of SYNs with connections whose SYN-ACK the kernel never sees. */
    async function fill(port: number): Promise<void> {
      const kernel = await bed.kernel();
      await bed.shell(`
        nft add table inet t
        nft add chain inet t in '{ type filter hook input priority 0; }'
        nft flush chain inet t in
        nft add rule inet t in tcp sport ${port} tcp dport 20000-20100 drop`);
      for (let i = 0; i < HALF_OPEN + 2; i++) {
        void kernel.connect({ address: STACK[family], port, localPort: 20_000 + i }).catch(() => {});
      }
      const before = bed.stack.stats.tcp.synCookiesSent;
      await eventually(
        'cookies',
        () => bed.stack.stats.tcp.synCookiesSent,
        (sent) => sent > before,
      );
    }

    for (const timestamps of [true, false]) {
      const what = timestamps
        ? 'with timestamps, which carry the options'
        : 'without timestamps, and options';
      it(`lets the kernel in by a cookie ${what} [WS-11]`, async () => {
        await bed.exec('sysctl', '-qw', `net.ipv4.tcp_timestamps=${timestamps ? 1 : 0}`);
        const listener = listen(bed.stack, { port: 0 });
        await fill(listener.port);
        const before = bed.stack.stats.tcp.synCookiesRecv;
        const kernel = await bed.kernel();
        for (let round = 1; round <= 3; round++) {
          const accepting = listener.accept();
          const theirs = await kernel.connect({ address: STACK[family], port: listener.port });
          const ours = await accepting;
          expect(bed.stack.stats.tcp.synCookiesRecv - before).to.equal(round);
          const agreed = { timestamps, sack: timestamps, windowScaling: timestamps };
          const info = await theirs.info();
          expect(info).to.include(agreed);
          const { receiver, sender } = ours.endpoint.connection;
          expect(info.sendScale > 0 && info.receiveScale > 0).to.equal(timestamps);
          expect([receiver?.windowShift, sender.windowShift]).to.deep.equal([
            info.sendScale,
            info.receiveScale,
          ]);
          const received = [theirs.receiveToEnd(), ours.receiveToEnd()];
          const [ourHash, theirHash] = await Promise.all([ours.sendBulk(500_000), theirs.sendBulk(500_000)]);
          ours.endpoint.shutdown();
          await theirs.shutdown();
          expect(await received[0]).to.deep.equal({ bytes: 500_000, sha256: ourHash });
          expect(await received[1]).to.deep.equal({ bytes: 500_000, sha256: theirHash });
          await endPair(bed, { ours, theirs, port: listener.port });
        }
        listener.close();
        await bed.isIdle();
      });
    }

    it('makes connections wait that nobody accepts, and loses none', async function () {
      this.slow(10_000);
      const kernel = await bed.kernel();
      const listener = listen(bed.stack, { port: 0, backlog: 2 });
      const clients = await Promise.all(
        Array.from({ length: 3 }, () => kernel.connect({ address: STACK[family], port: listener.port })),
      );
      // Beyond the queue, SYNs go unanswered for now.
      const late = [1, 2].map(() => kernel.connect({ address: STACK[family], port: listener.port }));
      for (const [i, theirs] of clients.entries()) await theirs.send(`client ${i}`);
      await eventually(
        'overflow',
        () => bed.stack.stats.tcp.listenOverflows,
        (count) => count > 0,
      );
      const heard: string[] = [];
      const accept = async (): Promise<void> => {
        const ours = await listener.accept();
        heard.push(await ours.receive(8));
        ours.endpoint.shutdown();
        ours.endpoint.close();
      };
      for (let i = 0; i < clients.length; i++) await accept();
      for (const [i, connecting] of late.entries()) await (await connecting).send(`late  ${i} `);
      for (let i = 0; i < late.length; i++) await accept();
      expect(heard.sort()).to.deep.equal(['client 0', 'client 1', 'client 2', 'late  0 ', 'late  1 ']);
      for (const theirs of [...clients, ...(await Promise.all(late))]) await theirs.close();
      listener.close();
      await bed.isIdle();
    });
  });
}
