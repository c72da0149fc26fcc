/** What is not there: closed ports, unreachable hosts, and ICMP errors in both directions. */
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { dial, listen } from '../support/interop-endpoint.js';
import { errorOf, eventually } from '../support/interop-wait.js';

const CLOSED_PORT = 9;

for (const family of FAMILIES) {
  describe(`refusals, IPv${family}`, function () {
    this.timeout(20_000);
    let bed: InteropBed;
    before(async function () {
      bed = await InteropBed.createOrSkip(this, {
        setUp: `
          nft add table inet t
          nft add chain inet t in '{ type filter hook input priority 0; }'`,
      });
    });
    afterEach(() => bed.shell('nft flush chain inet t in'));
    after(() => bed?.close());

    /** Lets the kernel answer SYNs to a port with an ICMP error. */
    const reject = (port: number, what: string): Promise<string> =>
      bed.shell(`nft add rule inet t in tcp dport ${port} reject with ${what}`);
    const connect = (port: number, options = {}) =>
      dial(bed.stack, { address: KERNEL[family], port, options }).connected();

    it('refuses the kernel a TCP port where nobody listens', async () => {
      const kernel = await bed.kernel();
      const { outRsts } = bed.stack.stats.tcp;
      expect(await errorOf(kernel.connect({ address: STACK[family], port: CLOSED_PORT }))).to.equal(
        'ECONNREFUSED',
      );
      expect(bed.stack.stats.tcp.outRsts - outRsts).to.equal(1);
    });

    it('is refused a TCP port where nobody listens', async () => {
      expect(await errorOf(connect(CLOSED_PORT))).to.equal('ECONNREFUSED');
      await bed.isIdle();
    });

    it('is refused by an ICMP error about its SYN', async () => {
      await reject(7001, 'icmpx type port-unreachable');
      expect(await errorOf(connect(7001))).to.equal('ECONNREFUSED');
      await bed.isIdle();
    });

    it('goes on after an error that may pass, and connects when it has', async () => {
      const kernel = await bed.kernel();
      const listener = await kernel.listen({ address: KERNEL[family] });
      await reject(listener.local.port, 'icmpx type host-unreachable');
      const ours = dial(bed.stack, {
        address: KERNEL[family],
        port: listener.local.port,
        options: { initialRtoMs: 100 },
      });
      await ours.until('a soft error', () => ours.softErrors.length > 0);
      expect(ours.softErrors[0]).to.equal('EHOSTUNREACH');
      expect(ours.closeCode).to.equal(undefined);
      await bed.shell('nft flush chain inet t in');
      await ours.connected();
      ours.endpoint.abort();
      await (await listener.accept()).close();
      await listener.close();
    });

    it('gives up a connection nobody answers', async () => {
      await bed.shell('nft add rule inet t in tcp dport 7002 drop');
      const options = { initialRtoMs: 20, synRetries: 3 };
      expect(await errorOf(connect(7002, options))).to.equal('ETIMEDOUT');
      await bed.isIdle();
    });

    it('keeps an established connection through ICMP errors about it', async () => {
      const kernel = await bed.kernel();
      const listener = listen(bed.stack, { port: 0 });
      const accepting = listener.accept();
      const theirs = await kernel.connect({ address: STACK[family], port: listener.port });
      const ours = await accepting;
      listener.close();
      for (const what of ['port-unreachable', 'host-unreachable', 'no-route', 'admin-prohibited']) {
        await reject(theirs.local.port, `icmpx type ${what}`);
        const before = bed.stack.stats.icmp.inDestUnreachs;
        await ours.send('x');
        await eventually(
          what,
          () => bed.stack.stats.icmp.inDestUnreachs,
          (count) => count > before,
        );
        await bed.shell('nft flush chain inet t in');
        expect(await theirs.receive(1)).to.equal('x');
      }
      expect(ours.closeCode).to.equal(undefined);
      expect(ours.softErrors).to.not.deep.equal([]);
      await theirs.close();
      ours.endpoint.close();
      await bed.isIdle();
    });

    it('has no route where there is none', () => {
      const { routes } = bed.stack.routing;
      const everything = { destination: family === 4 ? '0.0.0.0/0' : '::/0', port: 1 };
      const far = { address: family === 4 ? '203.0.113.1' : '2001:db8::1', port: 1 };
      routes.delete(everything);
      try {
        expect(() => dial(bed.stack, far)).to.throw(/ENETUNREACH/);
      } finally {
        routes.add(everything);
      }
    });
  });
}
