/** Urgent data: tcp.md MUST-30 to MUST-33, MUST-62. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

describe('urgent data that is sent', () => {
  forEachFamily((family, name) => {
    it(`is marked by URG and a pointer to the byte behind it, over ${name} (RFC 6093 §2.1) [MUST-30 MUST-62]`, () => {
      const peer = Peer.established(family);
      peer.wrote(4).write(1, { urgent: true });
      // One urgent byte at 5: SEG.SEQ + SEG.UP = 6.
      peer.expect('> P.U 5:6(1) ack 1 urg 1').ackAll();
      peer.write(3).expect('> P. 6:9(3) ack 1').ackAll();
    });
  });

  it('is announced by every segment up to the mark, and by none beyond (RFC 9293 §3.8.5) [MUST-30 MUST-62]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.endpoint.write(peer.incoming.bytes(0, 1500));
    peer.endpoint.writeUrgent(peer.incoming.bytes(1500, 10));
    peer.endpoint.write(peer.incoming.bytes(1510, 1490));
    peer.advanceMs(0);
    peer.expect('> .U 1:1001(1000) ack 1 urg 1510').expect('> .U 1001:2001(1000) ack 1 urg 510');
    peer.expect('> P. 2001:3001(1000) ack 1').ackAll();
  });

  it('is announced while it waits for a window, and in what is sent again (RFC 9293 §3.8.5) [MUST-30]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000, window: 2000 });
    peer.write(2000).write(1500, { urgent: true });
    peer.expect('> . 1:1001(1000) ack 1').expect('> P. 1001:2001(1000) ack 1').expectNothing();
    peer.expectAfterMs(220, '> .U 1:1001(1000) ack 1 urg 3500');
    peer.send('< . 1:1(0) ack 2001 win 2000').expect('> .U 2001:3001(1000) ack 1 urg 1500');
    peer.expect('> P.U 3001:3501(500) ack 1 urg 500').ackAll();
  });

  it('may be of any length: a mark too far away is announced as far as the field goes (RFC 9293 §3.8.5) [MUST-31]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7, options: { initialWindow: 100 } });
    const length = 100_000;
    for (let done = 0; done < length; ) {
      const bytes = Math.min(length - done, peer.endpoint.writableBytes);
      peer.endpoint.write(peer.incoming.bytes(done, bytes - (done + bytes === length ? 1 : 0)));
      done += bytes;
    }
    peer.endpoint.writeUrgent(peer.incoming.bytes(length - 1, 1));
    peer.advanceMs(0);
    let end = 1;
    for (let i = 0; i < 20 && end <= length; i++) {
      for (const { line, text } of peer.drain()) {
        expect(line.urgentPointer, text).to.equal(Math.min(0xffff, length + 1 - line.start));
        end = line.start + line.textBytes;
      }
      peer.advanceMs(20).ackAll();
    }
    expect(end).to.equal(length + 1);
  });

  it('is sent in single segments over links that take super-packets, for each has its own pointer [MUST-62]', () => {
    const peer = Peer.established({ mss: 1000, offload: true });
    peer.write(2500, { urgent: true });
    peer.expect('> .U 1:1001(1000) ack 1 urg 2500').expect('> .U 1001:2001(1000) ack 1 urg 1500');
    peer.expect('> P.U 2001:2501(500) ack 1 urg 500').ackAll();
    peer.write(2500).expect('> P. 2501:5001(2500) ack 1').ackAll();
  });

  it('moves the mark when more follows (RFC 9293 §3.8.5) [MUST-30]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10, { urgent: true }).expect('> P.U 1:11(10) ack 1 urg 10');
    peer.write(10, { urgent: true }).expect('> P.U 11:21(10) ack 1 urg 10').ackAll();
  });
});

describe('urgent data that is received', () => {
  it('is told at once, also before it arrives (RFC 9293 §3.8.5) [MUST-30 MUST-32]', () => {
    const peer = Peer.established();
    peer.takeEvents();
    peer.send('< .U 1:1(0) ack 1 urg 100').expectEvents('urgent');
    expect(peer.endpoint.urgentBytes).to.equal(100);
    peer.send('< P. 1:101(100) ack 1').expectEvents('readable').drain();
    expect(peer.read(99)).to.have.lengthOf(99);
    expect(peer.endpoint.isAtMark).to.equal(true);
    peer.read(100);
  });

  it('may be of any length, far ahead of the segment that tells (RFC 9293 §3.8.5) [MUST-31]', () => {
    for (const pointer of [60_000, 65_535]) {
      const peer = Peer.established({ options: { receiveBufferBytes: 200_000 } });
      peer.takeEvents();
      peer.send(`< P.U 1:2(1) ack 1 urg ${pointer}`).expectEvents('urgent', 'readable');
      expect(peer.endpoint.urgentBytes).to.equal(pointer);
      let read = 0;
      read += peer.read(10).length;
      for (let at = 2; at < 70_002; at += 1000) {
        peer.send(`< . ${at}:${at + 1000}(1000) ack 1`).drain();
        expect(peer.endpoint.urgentBytes, `at ${at}`).to.equal(Math.max(0, pointer - read));
        if (!peer.endpoint.isAtMark) read += peer.read(1000).length;
        if (peer.endpoint.isAtMark) break;
      }
      expect(read).to.equal(pointer - 1);
      expect(peer.endpoint.readUrgent()).to.equal(peer.outgoing.bytes(pointer - 1, 1)[0]);
      while (peer.read(5000).length > 0) peer.drain();
    }
  });

  it('is told once for each advance of the mark (RFC 9293 §3.8.5) [MUST-32]', () => {
    const peer = Peer.established();
    peer.takeEvents();
    peer.send('< P.U 1:11(10) ack 1 urg 100').expectEvents('urgent', 'readable');
    peer.send('< P.U 11:21(10) ack 1 urg 90').expectEvents('readable');
    peer.send('< P.U 21:31(10) ack 1 urg 10').expectEvents('readable');
    peer.send('< P.U 31:41(10) ack 1 urg 71').expectEvents('urgent', 'readable');
    peer.send('< P.U 31:41(10) ack 1 urg 71').expectEvents();
    expect(peer.endpoint.urgentBytes).to.equal(101);
    expect(peer.stats.tcp.urgent).to.equal(2);
    peer.read(100);
    peer.drain();
  });

  it('is told again for a new mark after the old one was passed (RFC 9293 §3.8.5) [MUST-32]', () => {
    const peer = Peer.established();
    peer.takeEvents();
    for (let i = 0; i < 3; i++) {
      const at = 1 + 10 * i;
      peer.send(`< P.U ${at}:${at + 10}(10) ack 1 urg 10`).expectEvents('urgent', 'readable');
      expect(peer.read(100)).to.have.lengthOf(9);
      expect(peer.endpoint.readUrgent()).to.equal(peer.outgoing.bytes(at + 8, 1)[0]);
      expect(peer.read(100)).to.have.lengthOf(0);
      expect(peer.endpoint.urgentBytes).to.equal(0);
      peer.drain();
    }
  });

  it('can be asked for: how much is left, and whether the mark is reached (RFC 9293 §3.8.5) [MUST-33]', () => {
    const peer = Peer.established({ options: { urgentInline: true } });
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([0, false]);
    peer.send('< P.U 1:101(100) ack 1 urg 60').drain();
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([60, false]);
    peer.read(20);
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([40, false]);
    // A read never crosses the mark.
    expect(peer.read(1000)).to.have.lengthOf(39);
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([1, true]);
    expect(peer.read(1000)).to.have.lengthOf(41);
    expect([peer.endpoint.urgentBytes, peer.endpoint.isAtMark]).to.deep.equal([0, false]);
    peer.drain();
  });

  it('stands beside the stream unless asked for in line, with the last byte only as on Linux (RFC 6093 §3) [MUST-30]', () => {
    for (const urgentInline of [false, true]) {
      const peer = Peer.established({ options: { urgentInline } });
      peer.send('< P.U 1:11(10) ack 1 urg 5').drain();
      const bytes = [...peer.read(100), ...peer.read(100)];
      const sent = [...peer.outgoing.bytes(0, 10)];
      expect(peer.endpoint.readUrgent()).to.equal(sent[4]);
      expect(bytes).to.deep.equal(urgentInline ? sent : sent.filter((_, i) => i !== 4));
    }
  });
});
