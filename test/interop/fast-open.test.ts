/** TCP Fast Open between the stack and the kernel, each as client and as server (RFC 7413). */
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { dial, listen } from '../support/interop-endpoint.js';

const FAST = { fastOpen: true };
const REQUEST = 'GET / HTTP/1.0\r\n\r\n'.padEnd(900, '.');
const ANSWER = 'HTTP/1.0 200 OK\r\n\r\n'.padEnd(5000, '!');

describe('Fast Open', function () {
  this.timeout(20_000);
  let bed: InteropBed;
  before(async function () {
    bed = await InteropBed.createOrSkip(this, { setUp: 'sysctl -qw net.ipv4.tcp_fastopen=3' });
  });
  after(() => bed?.close());

  for (const family of FAMILIES) {
    it(`lets the kernel ask with its SYN, IPv${family} (RFC 7413 §4.2) [TFO-4 TFO-5]`, async () => {
      const kernel = await bed.kernel();
      const { tcp } = bed.stack.stats;
      const before = { passive: tcp.fastOpenPassive, active: await bed.counter('TcpExtTCPFastOpenActive') };
      const listener = listen(bed.stack, { port: 0, address: STACK[family], options: FAST });
      try {
        for (const isKnown of [false, true]) {
          const accepting = listener.accept();
          const request = { address: STACK[family], port: listener.port, data: REQUEST };
          const theirs = await kernel.connect(request);
          const ours = await accepting;
          expect(await ours.receive(REQUEST.length)).to.equal(REQUEST);
          await ours.send(ANSWER);
          expect(await theirs.receive(ANSWER.length)).to.equal(ANSWER);
          expect((await theirs.info()).synData, 'the kernel says so').to.equal(isKnown);
          expect(ours.endpoint.info.fastOpen).to.equal(isKnown);
          await theirs.close();
          await ours.until('the end', () => ours.hasEnded);
          ours.endpoint.close();
        }
      } finally {
        listener.close();
      }
      expect(tcp.fastOpenPassive - before.passive).to.equal(1);
      expect((await bed.counter('TcpExtTCPFastOpenActive')) - before.active).to.equal(1);
    });

    it(`asks the kernel with its SYN, IPv${family} (RFC 7413 §4.2) [TFO-9 TFO-13]`, async () => {
      const kernel = await bed.kernel();
      const { tcp } = bed.stack.stats;
      const before = { active: tcp.fastOpenActive, passive: await bed.counter('TcpExtTCPFastOpenPassive') };
      const options = [['IPPROTO_TCP', 'TCP_FASTOPEN', 16]] as const;
      const listener = await kernel.listen({ address: KERNEL[family], options });
      for (const isKnown of [false, true]) {
        const data = Buffer.from(REQUEST);
        const target = { address: KERNEL[family], port: listener.local.port, data, options: FAST };
        const ours = dial(bed.stack, target);
        const theirs = await listener.accept();
        expect(await theirs.receive(REQUEST.length)).to.equal(REQUEST);
        await theirs.send(ANSWER);
        expect(await ours.receive(ANSWER.length)).to.equal(ANSWER);
        expect((await theirs.info()).synData, 'the kernel says so').to.equal(isKnown);
        expect(ours.endpoint.info).to.include({ fastOpen: isKnown, ackedBytes: REQUEST.length });
        ours.endpoint.close();
        await theirs.close();
      }
      await listener.close();
      expect(tcp.fastOpenActive - before.active).to.equal(1);
      expect((await bed.counter('TcpExtTCPFastOpenPassive')) - before.passive).to.equal(1);
    });
  }

  it('sends again what a kernel no longer takes with a SYN (RFC 7413 §4.2.1) [TFO-8]', async () => {
    const kernel = await bed.kernel();
    const listener = await kernel.listen({
      address: KERNEL[4],
      options: [['IPPROTO_TCP', 'TCP_FASTOPEN', 16]],
    });
    const ask = async (): Promise<boolean> => {
      const target = {
        address: KERNEL[4],
        port: listener.local.port,
        data: Buffer.from(REQUEST),
        options: FAST,
      };
      const ours = dial(bed.stack, target);
      const theirs = await listener.accept();
      expect(await theirs.receive(REQUEST.length)).to.equal(REQUEST);
      const { fastOpen } = ours.endpoint.info;
      ours.endpoint.close();
      await theirs.close();
      return fastOpen;
    };
    await ask();
    // Other keys: the cookie we have is wrong, and the SYN-ACK brings another.
    await bed.exec('sysctl', '-qw', 'net.ipv4.tcp_fastopen_key=00000001-00000002-00000003-00000004');
    expect(await ask()).to.equal(false);
    expect(await ask()).to.equal(true);
    await listener.close();
  });
});
