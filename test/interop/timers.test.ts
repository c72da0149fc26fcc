/** What happens when nothing happens: keep-alive, zero windows, and what is left of a connection. */
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { dial, listen } from '../support/interop-endpoint.js';
import { endPair, OPENERS, type Pair } from '../support/interop-pair.js';
import { eventually } from '../support/interop-wait.js';

const FILTER = `
  nft add table inet t
  nft add chain inet t in '{ type filter hook input priority 0; }'`;

for (const family of FAMILIES) {
  describe(`keep-alive and windows, IPv${family}`, function () {
    this.timeout(20_000);
    let bed: InteropBed;
    let pair: Pair;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, { setUp: FILTER });
    });
    after(() => bed?.close());
    afterEach(async () => {
      await bed.shell('nft flush chain inet t in');
      await endPair(bed, pair);
    });

    it('answers the kernel’s keep-alive probes', async function () {
      this.slow(5000);
      pair = await OPENERS['the kernel'](bed, family, {
        options: [
          ['SOL_SOCKET', 'SO_KEEPALIVE', 1],
          // Seconds, and the least there are.
          ['IPPROTO_TCP', 'TCP_KEEPIDLE', 1],
          ['IPPROTO_TCP', 'TCP_KEEPINTVL', 1],
          ['IPPROTO_TCP', 'TCP_KEEPCNT', 1],
        ],
      });
      const { ours, theirs } = pair;
      const before = await bed.counter('TcpExtTCPKeepAlive');
      // With one probe allowed, a second is sent only if the first was answered.
      await eventually(
        'two probes',
        () => bed.counter('TcpExtTCPKeepAlive'),
        (sent) => sent >= before + 2,
      );
      expect(await theirs.info()).to.include({ state: 'ESTABLISHED' });
      await ours.send('alive');
      expect(await theirs.receive(5)).to.equal('alive');
    });

    it('probes the kernel, and lives as long as it answers', async () => {
      // The kernel answers no more than one in 500 ms unless it is told to.
      await bed.exec('sysctl', '-qw', 'net.ipv4.tcp_invalid_ratelimit=0');
      const tcp = { keepAlive: true, keepAliveIdleMs: 50, keepAliveIntervalMs: 250, keepAliveProbes: 1 };
      pair = await OPENERS['the stack'](bed, family, { tcp });
      const { keepAliveProbes } = bed.stack.stats.tcp;
      const sent = (): number => bed.stack.stats.tcp.keepAliveProbes - keepAliveProbes;
      await eventually('five probes', sent, (count) => count >= 5);
      expect(pair.ours.closeCode).to.equal(undefined);
      await pair.theirs.send('alive');
      expect(await pair.ours.receive(5)).to.equal('alive');
    });

    it('gives up a kernel that no longer answers', async () => {
      const tcp = { keepAlive: true, keepAliveIdleMs: 50, keepAliveIntervalMs: 50, keepAliveProbes: 3 };
      pair = await OPENERS['the stack'](bed, family, { tcp });
      await bed.shell(`nft add rule inet t in tcp sport ${pair.port} drop`);
      expect(await pair.ours.closed()).to.equal('ETIMEDOUT');
    });

    it('waits while the kernel does not read, and goes on when it does', async () => {
      pair = await OPENERS['the kernel'](bed, family, { options: [['SOL_SOCKET', 'SO_RCVBUF', 20_000]] });
      const { ours, theirs } = pair;
      const { zeroWindowProbes } = bed.stack.stats.tcp;
      const hash = ours.sendBulk(1_000_000);
      const probes = (): number => bed.stack.stats.tcp.zeroWindowProbes - zeroWindowProbes;
      await eventually('a probe of the closed window', probes, (count) => count >= 1);
      const received = theirs.receiveToEnd();
      const sha256 = await hash;
      ours.endpoint.shutdown();
      expect(await received).to.deep.equal({ bytes: 1_000_000, sha256 });
    });

    it('lets the kernel wait while it does not read itself', async () => {
      const tcp = { receiveBufferBytes: 20_000, receiveBufferMaxBytes: 20_000 };
      pair = await OPENERS['the stack'](bed, family, { tcp });
      const { ours, theirs } = pair;
      const before = await bed.counter('TcpExtTCPWinProbe');
      const hash = theirs.sendBulk(1_000_000).then(async (sha256) => {
        await theirs.shutdown();
        return sha256;
      });
      await eventually(
        'a probe',
        () => bed.counter('TcpExtTCPWinProbe'),
        (count) => count > before,
      );
      expect(ours.endpoint.readableBytes).to.be.within(1, 20_000);
      expect(await ours.receiveToEnd()).to.deep.equal({ bytes: 1_000_000, sha256: await hash });
    });
  });

  describe(`the same two ports again, IPv${family}`, function () {
    this.timeout(20_000);
    const ports = { localAddress: KERNEL[family], localPort: 7301, port: 7302 };
    let bed: InteropBed;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, { setUp: 'sysctl -qw net.ipv4.tcp_tw_reuse=1' });
    });
    after(() => bed?.close());

    it('reopens for the kernel what is in TIME-WAIT here', async () => {
      const kernel = await bed.kernel();
      const listener = listen(bed.stack, { port: ports.port });
      for (let round = 0; round < 5; round++) {
        const accepting = listener.accept();
        const theirs = await kernel.connect({ ...ports, address: STACK[family] });
        const ours = await accepting;
        await ours.send(`round ${round}`);
        expect(await theirs.receive(7)).to.equal(`round ${round}`);
        ours.endpoint.shutdown();
        expect(await theirs.receive(1)).to.equal('');
        await theirs.close();
        expect(await ours.closed()).to.equal('');
        expect(bed.stack.stats.tcp.twCount).to.equal(1);
      }
      expect(bed.stack.stats.tcp.twRecycled).to.equal(4);
      listener.close();
    });

    it('takes the kernel back that was in TIME-WAIT itself', async function () {
      this.slow(5000);
      const kernel = await bed.kernel();
      const listener = listen(bed.stack, { port: ports.port });
      for (let round = 0; round < 2; round++) {
        const accepting = listener.accept();
        // The kernel wants its last time stamp to be a second old.
        const theirs = await eventually(
          'the ports to be free again',
          () => kernel.connect({ ...ports, address: STACK[family], localPort: 7303 }).catch(() => undefined),
          (connected) => connected !== undefined,
        );
        const ours = await accepting;
        await theirs?.close();
        await ours.until('the end', () => ours.hasEnded);
        ours.endpoint.shutdown();
        expect(await ours.closed()).to.equal('');
        await bed.kernelReaches(7303, 'TIME-WAIT');
      }
      listener.close();
    });

    it('makes way for a kernel that has forgotten the connection [5961-5 F6]', async () => {
      const kernel = await bed.kernel();
      const listener = listen(bed.stack, { port: ports.port });
      const tuple = { ...ports, address: STACK[family], localPort: 7306 };
      const accepting = listener.accept();
      const first = await kernel.connect(tuple);
      const stale = await accepting;
      await bed.shell(`${FILTER}
        nft add chain inet t out '{ type filter hook output priority 0; }'
        nft add rule inet t out tcp sport 7306 drop`);
      await first.reset();
      await bed.shell('nft flush chain inet t out');
      expect(stale.state).to.equal('ESTABLISHED');
      const { challengeAcks } = bed.stack.stats.tcp;
      const again = listener.accept();
      const second = await kernel.connect(tuple);
      const fresh = await again;
      expect(bed.stack.stats.tcp.challengeAcks - challengeAcks).to.equal(1);
      expect(await stale.closed()).to.equal('ECONNRESET');
      await second.send('new');
      expect(await fresh.receive(3)).to.equal('new');
      await endPair(bed, { ours: fresh, theirs: second, port: 7306 });
      listener.close();
    });

    it('does not take for a new connection what the kernel still has from an old one', async () => {
      // The stack forgets the connection without a word, as after a crash; the kernel's end lives on.
      const kernel = await bed.kernel();
      const listener = await kernel.listen({ address: KERNEL[family], port: 7304 });
      const tuple = { address: KERNEL[family], port: 7304, localPort: 7305 };
      const first = dial(bed.stack, tuple);
      await first.connected();
      const stale = await listener.accept();
      await bed.shell(`${FILTER}\nnft add rule inet t in tcp sport 7305 counter drop`);
      first.endpoint.abort();
      await bed.reaches(first, 'CLOSED');
      await eventually(
        'the RST to be dropped',
        () => bed.shell('nft list chain inet t in'),
        (text) => /packets [1-9]/.test(text),
      );
      await bed.shell('nft flush chain inet t in');
      expect(await stale.info()).to.include({ state: 'ESTABLISHED' });
      // A SYN in the window of the old one, a challenge ACK, an RST, and the SYN once more (RFC 5961 §4).
      const second = dial(bed.stack, { ...tuple, options: { initialRtoMs: 100 } });
      await second.connected();
      const fresh = await listener.accept();
      await second.send('new');
      expect(await fresh.receive(3)).to.equal('new');
      await endPair(bed, { ours: second, theirs: fresh, port: 7305 });
      await listener.close();
    });
  });
}
