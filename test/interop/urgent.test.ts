/** Urgent data between stack and kernel, both ways (RFC 9293 §3.8.5, RFC 6093). */
import { expect } from 'chai';
import { FAMILIES, InteropBed } from '../support/interop.js';
import { endPair, OPENERS, type Pair } from '../support/interop-pair.js';
import { errorOf, eventually } from '../support/interop-wait.js';

for (const family of FAMILIES) {
  describe(`urgent data, IPv${family}`, function () {
    this.timeout(20_000);
    let bed: InteropBed;
    let pair: Pair;
    before(async function () {
      bed = await InteropBed.createOrSkip(this);
    });
    after(() => bed?.close());
    afterEach(() => endPair(bed, pair));

    it('of the kernel is announced, and kept apart from the stream', async () => {
      pair = await OPENERS['the kernel'](bed, family);
      const { ours, theirs } = pair;
      await theirs.send('before');
      await theirs.sendUrgent('!');
      await theirs.send('behind');
      await ours.until('urgent data', () => ours.urgentEvents === 1);
      expect(await ours.receive(6)).to.equal('before');
      expect(ours.endpoint.isAtMark).to.equal(true);
      expect(String.fromCharCode(ours.endpoint.readUrgent())).to.equal('!');
      expect(await ours.receive(6)).to.equal('behind');
      expect(ours.endpoint.isAtMark).to.equal(false);
      expect(ours.endpoint.readUrgent()).to.equal(-1);
    });

    it('of the kernel stays in line where that is wanted', async () => {
      pair = await OPENERS['the stack'](bed, family, { tcp: { urgentInline: true } });
      const { ours, theirs } = pair;
      await theirs.send('before');
      await theirs.sendUrgent('123!');
      await theirs.send('behind');
      await ours.until('urgent data', () => ours.urgentEvents > 0);
      expect(await ours.receive(16)).to.equal('before123!behind');
    });

    it('of the kernel is told of again when more follows', async () => {
      pair = await OPENERS['the kernel'](bed, family);
      const { ours, theirs } = pair;
      for (const [i, byte] of ['a', 'b', 'c'].entries()) {
        await theirs.sendUrgent(byte);
        await ours.until(`urgent byte ${byte}`, () => ours.urgentEvents === i + 1);
        expect(String.fromCharCode(ours.endpoint.readUrgent())).to.equal(byte);
      }
    });

    it('of the stack is what the kernel takes out of the stream', async () => {
      pair = await OPENERS['the stack'](bed, family);
      const { ours, theirs } = pair;
      await ours.send('before');
      ours.endpoint.writeUrgent(Buffer.from('!'));
      await ours.send('behind');
      ours.endpoint.shutdown();
      await eventually(
        'urgent data',
        () => errorOf(theirs.receiveUrgent()),
        (found) => found.includes('!'),
      );
      // A read stops at the mark.
      expect(await theirs.receive(100)).to.equal('beforebehind');
    });

    it('of the stack stays in line where the kernel wants that', async () => {
      const options = [['SOL_SOCKET', 'SO_OOBINLINE', 1]] as const;
      pair = await OPENERS['the kernel'](bed, family, { options });
      const { ours, theirs } = pair;
      await ours.send('before');
      ours.endpoint.writeUrgent(Buffer.from('123!'));
      await ours.send('behind');
      expect(await theirs.receive(16)).to.equal('before123!behind');
    });
  });
}
