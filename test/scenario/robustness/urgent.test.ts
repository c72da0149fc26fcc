/** Urgent pointers that point anywhere: row E13 of robustness.md (URGENT/11 and its like). */
import { expect } from 'chai';
import fc from 'fast-check';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const INLINE = { options: { urgentInline: true } };
/** Pointers at and around every edge of a segment of 100 bytes and of the field. */
const POINTERS = [0, 1, 2, 99, 100, 101, 102, 1000, 0x7fff, 0x8000, 0xfffe, 0xffff];

describe('an urgent pointer', () => {
  forEachFamily((family, name) => {
    it(`of any value leaves the stream as it is, over ${name} (RFC 9293 §3.8.5) [E13]`, () => {
      for (const pointer of POINTERS) {
        const peer = Peer.established({ ...family, ...INLINE });
        peer.send(`< PU. 1:101(100) ack 1 urg ${pointer}`).send('< P. 101:201(100) ack 1').drain();
        // A read stops at the mark, and goes on behind it.
        readAll(peer, 200);
        peer.send('< P. 201:301(100) ack 1').drain();
        readAll(peer, 100);
        peer.expectState('ESTABLISHED');
      }
    });

    it(`without text, with a FIN, and on every segment of a handshake harms nothing, over ${name} [E13]`, () => {
      for (const pointer of POINTERS) {
        const bare = Peer.established({ ...family, ...INLINE });
        bare.send(`< U. 1:1(0) ack 1 urg ${pointer}`).send(`< U 1:1(0) urg ${pointer}`).drain();
        bare.sendText(100).drain();
        readAll(bare, 100);
        const fin = Peer.established({ ...family, ...INLINE });
        fin.send(`< FU. 1:1(0) ack 1 urg ${pointer}`).expect('> . 1:1(0) ack 2').expectState('CLOSE-WAIT');
        fin.send(`< U. 2:2(0) ack 1 urg ${pointer}`).drain();
        expect(fin.endpoint.urgentBytes).to.be.within(0, pointer);
        const finText = Peer.established({ ...family, ...INLINE });
        finText.send(`< FPU. 1:11(10) ack 1 urg ${pointer}`).expect('> . 1:1(0) ack 12');
        readAll(finText, 10);
        const syn = Peer.listening({ ...family, ...INLINE }).send(`< SU 0:0(0) urg ${pointer} <mss 1000>`);
        syn.expect('> S. 0:0(0) ack 1').send(`< U. 1:1(0) ack 1 urg ${pointer}`).expectState('ESTABLISHED');
        syn.sendText(10).drain();
        readAll(syn, 10);
        const synAck = Peer.connecting({ ...family, ...INLINE });
        synAck.expect('> S 0:0(0)').send(`< SU. 0:0(0) ack 1 urg ${pointer} <mss 1000>`);
        synAck.expectState('ESTABLISHED').sendText(10).drain();
        readAll(synAck, 10);
        finishAll();
      }
    });
  });

  it('that changes with a retransmission, or goes back, moves the mark at most forward [E13]', () => {
    const peer = Peer.established(INLINE);
    peer.send('< PU. 11:21(10) ack 1 urg 5').send('< PU. 11:21(10) ack 1 urg 3').drain();
    peer.send('< PU. 11:21(10) ack 1 urg 60000').send('< PU. 11:21(10) ack 1 urg 1').drain();
    expect(peer.endpoint.urgentBytes).to.equal(60_010);
    peer.send('< P. 1:11(10) ack 1').send('< PU. 1:11(10) ack 1 urg 2').drain();
    readAll(peer, 20);
    expect(peer.endpoint.urgentBytes).to.equal(59_990);
    peer.expectState('ESTABLISHED');
  });

  it('of zero, or to what is already there, marks nothing [E13]', () => {
    const peer = Peer.established(INLINE);
    peer.send('< PU. 11:21(10) ack 1 urg 0').drain();
    expect(peer.endpoint.urgentBytes).to.equal(0);
    peer.send('< P. 1:11(10) ack 1').send('< PU. 5:31(26) ack 1 urg 3').drain();
    expect(peer.endpoint.urgentBytes).to.equal(0);
    expect(peer.takeEvents()).not.to.include('urgent');
    readAll(peer, 30);
  });

  it('that wraps the sequence space, or stands beyond the window, is no smaller or larger for it [E13]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, ...INLINE });
      peer.send('< PU. 1:11(10) ack 1 urg 65535').drain();
      expect(peer.endpoint.urgentBytes).to.equal(65_535);
      // Out of the window it says nothing.
      peer
        .send('< PU. 200001:200011(10) ack 1 urg 65535')
        .send('< PU. -70000:-69990(10) ack 1 urg 1')
        .drain();
      expect(peer.endpoint.urgentBytes).to.equal(65_535);
      readAll(peer, 10);
      peer.send('< P. 11:1011(1000) ack 1').drain();
      readAll(peer, 1000);
    });
  });

  it('apart from the stream takes out one byte for each mark that was reached, and no other [E13]', () => {
    const peer = Peer.established();
    peer.send('< PU. 1:11(10) ack 1 urg 5').send('< P. 11:21(10) ack 1').drain();
    const before = peer.read(100);
    const after = peer.read(100);
    const stream = peer.outgoing.bytes(0, 20);
    expect([...before]).to.deep.equal([...stream.subarray(0, 4)]);
    expect([...after]).to.deep.equal([...stream.subarray(5)]);
    expect(peer.endpoint.readUrgent()).to.equal(stream[4]);
    expect(peer.endpoint.readUrgent()).to.equal(-1);
  });

  it('in any segments, in any order, again and again, keeps every byte of the stream (property) [E13]', () => {
    const piece = fc.record({
      start: fc.integer({ min: 0, max: 900 }),
      length: fc.integer({ min: 0, max: 120 }),
      pointer: fc.oneof(fc.constantFrom(...POINTERS), fc.integer({ min: 0, max: 65_535 })),
      isUrgent: fc.boolean(),
      read: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.boolean(), (pieces, urgentInline) => {
        const peer = Peer.established({ options: { urgentInline } });
        const got: number[] = [];
        let skipped = 0;
        const read = (length: number): void => {
          const before = peer.endpoint.readableBytes;
          const bytes = peer.read(length);
          got.push(...bytes);
          skipped += before - peer.endpoint.readableBytes - bytes.length;
        };
        for (const { start, length, pointer, isUrgent, read: wanted } of pieces) {
          const first = start + 1;
          const flags = isUrgent ? 'PU.' : 'P.';
          peer.send(
            `< ${flags} ${first}:${first + length}(${length}) ack 1${isUrgent ? ` urg ${pointer}` : ''}`,
          );
          read(wanted);
        }
        peer.send('< P. 1:1101(1100) ack 1');
        for (let i = 0; i < 200 && peer.endpoint.readableBytes > 0; i++) read(100);
        peer.drain();
        expect(got.length + skipped).to.equal(1100);
        const stream = [...peer.outgoing.bytes(0, 1100)];
        if (urgentInline) expect(got).to.deep.equal(stream);
        else expect(isSubsequence(got, stream)).to.equal(true);
        expect(skipped).to.be.at.most(urgentInline ? 0 : pieces.filter(({ isUrgent }) => isUrgent).length);
        peer.expectState('ESTABLISHED');
        finishAll();
      }),
      { numRuns: 60, seed: 13 },
    );
  });
});

describe('urgent data of our own', () => {
  it('is marked within the 16 bits of the field, however far the mark lies [E13]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7, options: { initialWindow: 200 } });
    peer.write(120_000, { urgent: true });
    for (const { line } of peer.drain()) {
      const expected = Math.min(0xffff, 120_001 - line.start);
      expect(line.urgentPointer, `at ${line.start}`).to.equal(expected);
    }
    peer.ackAll();
  });
});

/** Reads until all is there, however often a mark stops it; it must be what the peer sent next. */
function readAll(peer: Peer, length: number): void {
  for (let left = length; left > 0; ) {
    const before = peer.endpoint.readableBytes;
    const toMark = peer.endpoint.urgentBytes - 1;
    const once = toMark > 0 && toMark < left ? toMark : left;
    expect(before).to.be.at.least(once);
    peer.expectRead(once);
    left -= once;
  }
  peer.drain();
}

function isSubsequence(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const value of whole) if (at < part.length && part[at] === value) at++;
  return at === part.length;
}
