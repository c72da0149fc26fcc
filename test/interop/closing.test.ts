/** Connections opened and closed by either side, in every order, between the stack and the kernel. */
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { dial } from '../support/interop-endpoint.js';
import { endPair, OPENERS, type Pair } from '../support/interop-pair.js';
import { errorOf } from '../support/interop-wait.js';

for (const family of FAMILIES) {
  for (const [opener, open] of Object.entries(OPENERS)) {
    describe(`closing a connection that ${opener} opened, IPv${family}`, function () {
      this.timeout(20_000);
      let bed: InteropBed;
      let pair: Pair;
      before(async function () {
        bed = await InteropBed.createOrSkip(this);
      });
      after(() => bed?.close());
      beforeEach(async () => {
        pair = await open(bed, family);
      });
      afterEach(() => endPair(bed, pair));

      const kernelFirst = (): Promise<unknown> => bed.kernelReaches(pair.port, 'TIME-WAIT');

      it('the kernel first, and then the stack [FSM-28]', async () => {
        const { ours, theirs, port } = pair;
        await theirs.send('last words');
        await theirs.shutdown();
        expect(await ours.receiveToEnd()).to.deep.include({ bytes: 10 });
        expect(ours.state).to.equal('CLOSE-WAIT');
        await bed.kernelReaches(port, 'FIN-WAIT-2');
        await ours.send('an answer');
        ours.endpoint.shutdown();
        expect(await ours.closed()).to.equal('');
        expect(await theirs.receive(100)).to.equal('an answer');
        await theirs.close();
        await kernelFirst();
        expect(bed.stack.stats.tcp.twCount, 'TIME-WAIT of a passive closer').to.equal(0);
      });

      it('the stack first, and then the kernel', async () => {
        const { ours, theirs, port } = pair;
        const { tw } = bed.stack.stats.tcp;
        await ours.send('last words');
        ours.endpoint.shutdown();
        expect(await theirs.receive(100)).to.equal('last words');
        await bed.kernelReaches(port, 'CLOSE-WAIT');
        await bed.reaches(ours, 'FIN-WAIT-2');
        await theirs.send('an answer');
        await theirs.close();
        expect(await ours.receive(100)).to.equal('an answer');
        expect(await ours.closed()).to.equal('');
        await bed.kernelReaches(port);
        expect(bed.stack.stats.tcp.tw - tw).to.equal(1);
      });

      it('the kernel at once after opening', async () => {
        const { ours, theirs } = pair;
        await theirs.close();
        expect(await ours.receiveToEnd()).to.deep.include({ bytes: 0 });
        ours.endpoint.shutdown();
        expect(await ours.closed()).to.equal('');
        await kernelFirst();
      });

      it('the stack at once after opening, giving it up', async () => {
        const { ours, theirs, port } = pair;
        ours.endpoint.close();
        expect(await theirs.receive(1)).to.equal('');
        await theirs.close();
        await bed.kernelReaches(port);
        await bed.isIdle();
      });

      it('both in either direction at once, with data on the way', async () => {
        const { ours, theirs } = pair;
        const sent = [ours.sendBulk(300_000), theirs.sendBulk(300_000)];
        const received = [theirs.receiveToEnd(), ours.receiveToEnd()];
        void sent[0].then(() => ours.endpoint.shutdown());
        void sent[1].then(() => theirs.shutdown());
        for (const i of [0, 1]) {
          expect(await received[i]).to.deep.equal({ bytes: 300_000, sha256: await sent[i] });
        }
        expect(await ours.closed()).to.equal('');
      });

      it('the kernel half, and the stack goes on sending', async () => {
        const { ours, theirs } = pair;
        await theirs.shutdown();
        await ours.until('the end', () => ours.hasEnded);
        const received = theirs.receiveToEnd();
        const sha256 = await ours.sendBulk(5_000_000);
        ours.endpoint.shutdown();
        expect(await received).to.deep.equal({ bytes: 5_000_000, sha256 });
        expect(await ours.closed()).to.equal('');
      });

      it('the stack half, and the kernel goes on sending [FSM-38]', async () => {
        const { ours, theirs, port } = pair;
        ours.endpoint.shutdown();
        await bed.kernelReaches(port, 'CLOSE-WAIT');
        const received = ours.receiveToEnd();
        const sha256 = await theirs.sendBulk(5_000_000);
        await theirs.shutdown();
        expect(await received).to.deep.equal({ bytes: 5_000_000, sha256 });
        expect(await ours.closed()).to.equal('');
      });

      it('the kernel with an RST', async () => {
        const { ours, theirs, port } = pair;
        await theirs.reset();
        expect(await ours.closed()).to.equal('ECONNRESET');
        await bed.kernelReaches(port);
      });

      it('the stack with an RST', async () => {
        const { ours, theirs, port } = pair;
        ours.endpoint.abort();
        expect(await errorOf(theirs.receive(1))).to.equal('ECONNRESET');
        await bed.kernelReaches(port);
      });

      it('the stack with a linger time of 0', async () => {
        const { ours, theirs, port } = pair;
        await ours.send('never mind');
        ours.endpoint.setLinger(0);
        ours.endpoint.close();
        // What came before the RST can be read or not; then the connection is gone.
        expect(await errorOf(theirs.receiveToEnd())).to.equal('ECONNRESET');
        await bed.kernelReaches(port);
      });

      it('the kernel with data it has not read', async () => {
        const { ours, theirs, port } = pair;
        await ours.send('unread');
        await ours.until('the ACK', () => ours.endpoint.unackedBytes === 0);
        await theirs.close();
        expect(await ours.closed()).to.equal('ECONNRESET');
        await bed.kernelReaches(port);
      });

      it('the stack with data it has not read [F10]', async () => {
        const { ours, theirs, port } = pair;
        await theirs.send('unread');
        await ours.until('data', () => ours.endpoint.readableBytes === 6);
        ours.endpoint.close();
        expect(await errorOf(theirs.receive(1))).to.equal('ECONNRESET');
        await bed.kernelReaches(port);
      });

      it('the kernel altogether, and the stack still writes', async () => {
        const { ours, theirs, port } = pair;
        await theirs.close();
        await ours.until('the end', () => ours.hasEnded);
        await ours.send('who is there?');
        // As on Linux, a reset after the peer's FIN is a broken pipe.
        expect(await ours.closed()).to.equal('EPIPE');
        await bed.kernelReaches(port);
      });

      it('the stack altogether, and the kernel still writes [FW2-2]', async () => {
        const { ours, theirs, port } = pair;
        ours.endpoint.close();
        await bed.kernelReaches(port, 'CLOSE-WAIT');
        await theirs.send('who is there?');
        await bed.kernelReaches(port);
        expect(await errorOf(theirs.send('still nobody?'))).to.be.oneOf(['ECONNRESET', 'EPIPE']);
        await bed.isIdle();
      });
    });
  }
}

/** Long enough for either side to do its part before it hears of the other's, on a busy machine too. */
const DELAY_MS = 300;

describe('closing and opening at the same time, on a link with delay', function () {
  this.timeout(20_000);
  let bed: InteropBed;
  before(async function () {
    bed = await InteropBed.createOrSkip(this, { outgoing: { delayMs: 0 }, incoming: { delayMs: 0 } });
  });
  afterEach(() => bed.delay(0));
  after(() => bed?.close());

  for (const family of FAMILIES) {
    it(`FINs that cross end in TIME-WAIT on both sides, IPv${family} [FSM-27 F11]`, async () => {
      const { ours, theirs, port } = await OPENERS['the kernel'](bed, family);
      const { tw } = bed.stack.stats.tcp;
      bed.delay(DELAY_MS);
      await theirs.shutdown();
      expect(ours.hasEnded).to.equal(false);
      ours.endpoint.shutdown();
      await bed.reaches(ours, 'CLOSING');
      expect(await ours.closed()).to.equal('');
      await bed.kernelReaches(port, 'TIME-WAIT');
      expect(bed.stack.stats.tcp.tw - tw).to.equal(1);
    });

    it(`RSTs that cross end it for both, and none answers the other, IPv${family}`, async () => {
      const { ours, theirs, port } = await OPENERS['the stack'](bed, family);
      const { outRsts } = bed.stack.stats.tcp;
      const resets = await bed.counter('TcpOutRsts');
      bed.delay(DELAY_MS);
      await theirs.reset();
      expect(ours.closeCode).to.equal(undefined);
      ours.endpoint.abort();
      expect(await ours.closed()).to.equal('');
      await bed.kernelReaches(port);
      await bed.isIdle();
      expect(bed.stack.stats.tcp.outRsts - outRsts).to.equal(1);
      expect((await bed.counter('TcpOutRsts')) - resets).to.equal(1);
    });

    it(`SYNs that cross make one connection, IPv${family}`, async () => {
      const kernel = await bed.kernel();
      const ports = { kernel: 7100 + family, stack: 7200 + family };
      bed.delay(DELAY_MS);
      const connecting = kernel.connect({
        address: STACK[family],
        port: ports.stack,
        localAddress: KERNEL[family],
        localPort: ports.kernel,
      });
      const ours = dial(bed.stack, {
        address: KERNEL[family],
        port: ports.kernel,
        localAddress: STACK[family],
        localPort: ports.stack,
      });
      await ours.connected();
      const theirs = await connecting;
      bed.delay(0);
      await ours.send('to the kernel');
      expect(await theirs.receive(13)).to.equal('to the kernel');
      await theirs.send('to the stack');
      expect(await ours.receive(12)).to.equal('to the stack');
      expect(await bed.kernelStates(ports.stack)).to.deep.equal(['ESTAB']);
      expect([...bed.stack.tcp.entries()]).to.have.lengthOf(1);
      await theirs.close();
      ours.endpoint.close();
      await bed.isIdle();
    });
  }
});
