/** Urgent data beyond the MUSTs: tcp.md section 18, URG-*. */
import { expect } from 'chai';
import fc from 'fast-check';
import { forEachFamily, forEachIsn, PEER_STATES, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const URG = 0x20;

describe('the urgent pointer of what is sent', () => {
  it('stands at the end of the urgent bytes, in every segment before it (RFC 6093 §2.1) [URG-1]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, mss: 1000 });
      peer.endpoint.write(peer.incoming.bytes(0, 2500));
      peer.endpoint.writeUrgent(peer.incoming.bytes(2500, 100));
      peer.endpoint.write(peer.incoming.bytes(2600, 1400));
      peer.advanceMs(0);
      peer.expect('> .U 1:1001(1000) urg 2600').expect('> .U 1001:2001(1000) urg 1600');
      peer.expect('> .U 2001:3001(1000) urg 600').expect('> P. 3001:4001(1000)').ackAll();
    });
  });

  it('stands in a segment that is 65,535 bytes before the mark [URG-1]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7, options: { initialWindow: 70 } });
    peer.endpoint.setSendBuffer(100_000);
    peer.endpoint.write(peer.incoming.bytes(0, 65_534));
    peer.endpoint.writeUrgent(peer.incoming.bytes(65_534, 1));
    peer.advanceMs(0);
    for (let at = 1; at < 65_001; at += 1000) {
      peer.expect(`> .U ${at}:${at + 1000}(1000) urg ${65_536 - at}`);
    }
    peer.expect('> P.U 65001:65536(535) urg 535').ackAll();
  });

  it('further away says 65,535 where nothing so far was sent, else nothing, lest it name a byte (Linux) [URG-1]', () => {
    const options = { initialWindow: 80, sendBufferBytes: 200_000, forwardRto: false };
    const peer = Peer.established({ tailLossProbe: false, mss: 1000, windowScale: 7, options });
    peer.endpoint.setSendBuffer(200_000);
    peer.endpoint.write(peer.incoming.bytes(0, 99_999));
    peer.endpoint.writeUrgent(peer.incoming.bytes(99_999, 1));
    peer.advanceMs(0);
    const sent = peer.drain();
    expect(sent.length).to.equal(80);
    for (const { line } of sent) expect(line.urgentPointer).to.equal(Math.min(65_535, 100_001 - line.start));
    // 80,000 are out: the byte 65,535 behind the first is among them, and is not urgent.
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 34001').expect('> .U 34001:35001(1000) urg 65535');
    peer.abort().drain();
  });

  it('stands in no ACK, FIN or text behind the mark [URG-1]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10, { urgent: true }).expect('> P.U 1:11(10) ack 1 urg 10').ackAll();
    peer.sendText(1).advanceMs(50).expect('> . 11:11(0) ack 2').expectRead(1);
    peer.write(5).expect('> P. 11:16(5) ack 2').shutdown().expect('> F. 16:16(0) ack 2').ackAll();
  });
});

/** What RFC 9293 §3.10.7.4 makes of urgent pointers, in numbers that do not wrap. */
class MarkModel {
  up = 0;
  isPending = false;

  arrived(start: number, pointer: number, rcvNxt: number): void {
    const up = start + pointer;
    if (pointer === 0 || up <= rcvNxt || (this.isPending && up <= this.up)) return;
    this.up = up;
    this.isPending = true;
  }

  readTo(position: number): void {
    if (this.isPending && position >= this.up) this.isPending = false;
  }

  remaining(position: number): number {
    return this.isPending ? Math.max(0, this.up - position) : 0;
  }
}

const anyIsn = fc.oneof(
  fc.constantFrom(0, 1, 0x7fff_ff00, 0x7fff_ffff, 0x8000_0000, 0xffff_ff00, 0xffff_ffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);
const anyPointer = fc.oneof(
  fc.constantFrom(0, 1, 2, 10, 0x7fff, 0x8000, 0xffff),
  fc.integer({ min: 0, max: 300 }),
);

describe('an urgent pointer that arrives', () => {
  it('moves the mark up and never down, wherever it comes from and points (RFC 9293 §3.10.7.4) [URG-2]', () => {
    const step = fc.record({
      offset: fc.oneof(
        fc.constant(0),
        fc.integer({ min: -300, max: 1200 }),
        fc.constantFrom(-60_000, 90_000),
      ),
      length: fc.constantFrom(0, 1, 50, 200),
      pointer: anyPointer,
      urgent: fc.boolean(),
    });
    const input = fc.record({ irs: anyIsn, steps: fc.array(step, { minLength: 1, maxLength: 40 }) });
    const property = fc.property(input, ({ irs, steps }) => {
      const window = 60_000;
      const options = { receiveBufferBytes: window, receiveBufferMaxBytes: window, urgentInline: true };
      const peer = Peer.established({ irs, options });
      const { receiver } = peer.endpoint.connection;
      if (receiver === undefined) expect.fail('a receiver');
      const model = new MarkModel();
      for (const { offset, length, pointer, urgent } of steps) {
        const rcvNxt = (receiver.rcvNxt - irs) >>> 0;
        const start = Math.max(1, rcvNxt + offset);
        const edge = rcvNxt + receiver.rcvWnd;
        const isInWindow = start < edge && start + Math.max(length, 1) > rcvNxt;
        if (urgent && isInWindow && !(length === 0 && start < rcvNxt)) model.arrived(start, pointer, rcvNxt);
        const flags = urgent ? 'PU.' : 'P.';
        peer.send(`< ${flags} ${start}:${start + length}(${length}) ack 1${urgent ? ` urg ${pointer}` : ''}`);
        peer.drain();
        expect(peer.endpoint.urgentBytes).to.equal(model.remaining(1));
      }
      // In line nothing is taken out of the stream, whatever the pointers said.
      readAll(peer);
      finishAll();
    });
    fc.assert(property, { numRuns: 60, seed: 11 });
  });

  it('does no harm in any state, on any segment, with any value (CVE-2019-12255 and its kin) [URG-2 URG-3]', () => {
    const segment = fc.record({
      flags: fc.constantFrom('U', 'U.', 'PU.', 'SU', 'SU.', 'FU.', 'RU', 'SFUP.'),
      start: fc.constantFrom(0, 1, 2, 100, 65_000),
      length: fc.constantFrom(0, 1, 30),
      pointer: anyPointer,
    });
    const input = fc.record({
      state: fc.constantFrom(...PEER_STATES),
      inline: fc.boolean(),
      segments: fc.array(segment, { minLength: 1, maxLength: 12 }),
    });
    const property = fc.property(input, ({ state, inline, segments }) => {
      const peer = Peer.in(state, { options: { urgentInline: inline } });
      for (const { flags, start, length, pointer } of segments) {
        const ack = flags.includes('.') ? ` ack ${peer.rcvNxt}` : '';
        peer.send(`< ${flags} ${start}:${start + length}(${length})${ack} win 1000 urg ${pointer}`).drain();
        if (!peer.hasEndpoint) continue;
        peer.read(10);
        expect(peer.endpoint.urgentBytes).to.be.within(0, 2 * 65_536);
        expect(peer.endpoint.readUrgent()).to.be.within(-1, 255);
      }
      peer.advanceMs(1000).drain();
      finishAll();
    });
    fc.assert(property, { numRuns: 150, seed: 12_255 });
  });

  it('of 0, or without the flag, means nothing [URG-3]', () => {
    const peer = Peer.established();
    peer.takeEvents();
    peer.send('< P.U 1:11(10) ack 1 urg 0').expectEvents('readable');
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([0, false]);
    peer.send('< P. 11:21(10) ack 1 urg 5').expectEvents('readable').expectRead(20).drain();
  });

  it('on a SYN, or on a segment without text, opens nothing and is heard where there is a connection [URG-3]', () => {
    const peer = Peer.listening();
    peer.send('< SU 0:0(0) win 65535 urg 500 <mss 1460>').expect('> S. 0:0(0) ack 1');
    peer.advanceMs(20).send('< . 1:1(0) ack 1').takeEvents();
    expect(peer.endpoint.urgentBytes).to.equal(0);
    peer.send('< .U 1:1(0) ack 1 urg 500').expectEvents('urgent');
    expect(peer.endpoint.urgentBytes).to.equal(500);
  });

  it('is ignored where the peer has finished sending [URG-3]', () => {
    for (const state of ['CLOSE-WAIT', 'LAST-ACK', 'CLOSING'] as const) {
      const peer = Peer.in(state);
      peer.send(`< .U 2:2(0) ack ${peer.rcvNxt} urg 5`).drain();
      expect(peer.takeEvents(), state).to.not.include('urgent');
    }
  });

  it('that points behind the FIN leaves the stream as it is [URG-3]', () => {
    const peer = Peer.established();
    peer.send('< FP.U 1:11(10) ack 1 urg 100').drain();
    expect(peer.takeEvents()).to.include.members(['urgent', 'end']);
    expect(peer.read(100)).to.have.lengthOf(10);
    expect(peer.read(100)).to.have.lengthOf(0);
    expect(peer.endpoint.readUrgent()).to.equal(-1);
  });
});

/** Reads to the end; every byte must be where the peer put it. */
function readAll(peer: Peer): void {
  let position = 0;
  for (let bytes = peer.read(777); bytes.length > 0; bytes = peer.read(777)) {
    expect(peer.outgoing.difference(position, bytes)).to.equal(-1);
    position += bytes.length;
  }
  peer.drain();
}

describe('the urgent byte', () => {
  it('is taken out of the stream, and read apart, unless it is asked for in line (Linux) [URG-4]', () => {
    forEachFamily((family) => {
      const peer = Peer.established(family);
      peer.send('< P.U 1:11(10) ack 1 urg 5').drain();
      const sent = peer.outgoing.bytes(0, 10);
      expect(peer.read(100)).to.deep.equal(sent.slice(0, 4));
      expect(peer.endpoint.isAtMark).to.equal(true);
      expect(peer.endpoint.readUrgent()).to.equal(sent[4]);
      expect(peer.endpoint.readUrgent(), 'once').to.equal(-1);
      expect(peer.read(100)).to.deep.equal(sent.slice(5));
      const inline = Peer.established({ ...family, options: { urgentInline: true } });
      inline.send('< P.U 1:11(10) ack 1 urg 5').drain();
      expect(inline.read(100)).to.deep.equal(sent.slice(0, 4));
      expect(inline.endpoint.isAtMark).to.equal(true);
      expect(inline.read(100)).to.deep.equal(sent.slice(4));
    });
  });

  it('is the last one only: those before it are in the stream, as the mark has moved on (RFC 6093 §3) [URG-4]', () => {
    const peer = Peer.established();
    peer.send('< P.U 1:6(5) ack 1 urg 5').send('< P.U 6:11(5) ack 1 urg 5').drain();
    const sent = peer.outgoing.bytes(0, 10);
    expect(peer.endpoint.readUrgent()).to.equal(sent[9]);
    expect(peer.read(100)).to.deep.equal(sent.slice(0, 9));
    expect(peer.read(100)).to.have.lengthOf(0);
    expect(peer.endpoint.urgentBytes).to.equal(0);
  });

  it('is found also where it came before its pointer, out of order [URG-4]', () => {
    const peer = Peer.established();
    const sent = peer.outgoing.bytes(0, 20);
    peer.send('< P. 11:21(10) ack 1').drain();
    peer.send('< P.U 1:11(10) ack 1 urg 15').drain();
    expect(peer.read(100)).to.deep.equal(sent.slice(0, 14));
    expect(peer.read(100)).to.deep.equal(sent.slice(15));
    expect(peer.endpoint.readUrgent()).to.equal(sent[14]);
  });

  it('announced but not yet here is -1, and readers wait only for what is missing [URG-4]', () => {
    const peer = Peer.established();
    peer.send('< P.U 1:6(5) ack 1 urg 10').drain();
    expect(peer.endpoint.readUrgent()).to.equal(-1);
    expect(peer.endpoint.urgentBytes).to.equal(10);
    expect(peer.read(100)).to.have.lengthOf(5);
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([5, false]);
    peer.send('< P. 6:21(15) ack 1').drain();
    expect(peer.read(100)).to.have.lengthOf(4);
    expect(peer.endpoint.isAtMark).to.equal(true);
  });
});

describe('urgency', () => {
  it('brings nothing forward: text leaves and arrives in the order it was written (RFC 6093) [URG-5]', () => {
    const writes = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 1500 }), urgent: fc.boolean() }), {
      minLength: 1,
      maxLength: 30,
    });
    const property = fc.property(writes, (pieces) => {
      const peer = Peer.established({ mss: 1000 });
      let next = 1;
      // The harness compares every byte with what was written; here also that nothing is out of turn.
      const take = (): void => {
        for (const { line } of peer.drain()) {
          expect(line.start, 'in order').to.equal(next);
          next += line.textBytes;
        }
      };
      let total = 0;
      for (const { bytes, urgent } of pieces) {
        peer.write(bytes, { urgent });
        total += bytes;
        take();
        peer.advanceMs(20).ackAll();
        take();
      }
      while (next <= total) {
        peer.advanceMs(20).ackAll();
        take();
      }
      finishAll();
    });
    fc.assert(property, { numRuns: 40, seed: 6093 });
  });

  it('delivers nothing before what precedes it (RFC 6093) [URG-5]', () => {
    const peer = Peer.established({ options: { urgentInline: true } });
    peer.send('< P.U 11:21(10) ack 1 urg 10').drain();
    expect(peer.read(100), 'nothing is in order yet').to.have.lengthOf(0);
    peer.send('< P. 1:11(10) ack 1').drain();
    readAll(peer);
  });
});

describe('reading past the mark', () => {
  it('clears it, wherever numbers wrap, and the next mark counts anew (RFC 9293 §3.8.5) [URG-6]', () => {
    const round = fc.record({
      length: fc.integer({ min: 1, max: 900 }),
      at: fc.integer({ min: 1, max: 900 }),
      reads: fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 6 }),
    });
    const input = fc.record({
      irs: anyIsn,
      inline: fc.boolean(),
      rounds: fc.array(round, { minLength: 1, maxLength: 12 }),
    });
    const property = fc.property(input, ({ irs, inline, rounds }) => {
      const peer = Peer.established({ irs, options: { urgentInline: inline } });
      const model = new MarkModel();
      let next = 1;
      let position = 1;
      const expected: number[] = [];
      const got: number[] = [];
      const read = (length: number): boolean => {
        const bytes = peer.read(length);
        got.push(...bytes);
        const { receiver } = peer.endpoint.connection;
        position = ((receiver?.buffer.readSequence ?? 0) - irs) >>> 0;
        model.readTo(position);
        expect(peer.endpoint.urgentBytes).to.equal(model.remaining(position));
        expect(peer.endpoint.isAtMark).to.equal(model.isPending && position === model.up - 1);
        return bytes.length > 0;
      };
      for (const { length, at, reads } of rounds) {
        const pointer = Math.min(at, length);
        model.arrived(next, pointer, next);
        peer.send(`< P.U ${next}:${next + length}(${length}) ack 1 urg ${pointer}`);
        next += length;
        for (const bytes of reads) read(bytes);
      }
      while (read(10_000));
      expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([0, false]);
      expect(position, 'everything was read').to.equal(next);
      expected.push(...peer.outgoing.bytes(0, next - 1));
      if (inline) expect(got).to.deep.equal(expected);
      else expect(got.length).to.be.within(next - 1 - rounds.length, next - 2);
      peer.drain();
      finishAll();
    });
    fc.assert(property, { numRuns: 80, seed: 66 });
  });
});

describe('marks of both directions', () => {
  it('have nothing to do with each other [URG-1 URG-6]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(3, { urgent: true }).expect('> P.U 1:4(3) ack 1 urg 3');
    peer.send('< P.U 1:11(10) ack 1 urg 4').drain();
    peer.advanceMs(300);
    for (const { line } of peer.drain()) expect(line.flags & URG).to.equal(line.textBytes > 0 ? URG : 0);
    peer.send('< . 11:11(0) ack 4').drain();
    expect(peer.endpoint.urgentBytes).to.equal(4);
    peer.read(100);
    peer.read(100);
    expect(peer.endpoint.urgentBytes).to.equal(0);
  });
});
