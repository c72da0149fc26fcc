/** When written bytes leave, and in what segments: tcp.md MUST-17, MUST-60, MUST-61, SHLD-7, SHLD-27, SHLD-28. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

describe("Nagle's algorithm", () => {
  it('is on by default: a small segment waits for the ACK of the one before (RFC 9293 §3.7.4) [SHLD-7]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1');
    peer.write(10).write(10).expectNothing();
    peer.advanceMs(20).send('< . 1:1(0) ack 11').expect('> P. 11:31(20) ack 1').expectNothing();
    peer.ackAll();
  });

  it('holds back the tail only while a small segment is out (RFC 9293 §3.7.4) [SHLD-7]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1');
    peer.write(1500).expect('> . 11:1011(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 11').expect('> P. 1011:1511(500) ack 1');
    peer.ackAll();
  });

  it('can be turned off from the start (RFC 9293 §3.7.4) [MUST-17]', () => {
    const peer = Peer.established({ mss: 1000, options: { noDelay: true } });
    for (let i = 0; i < 5; i++) peer.write(10).expect(`> P. ${1 + 10 * i}:${11 + 10 * i}(10) ack 1`);
    peer.ackAll();
  });

  it('can be turned off and on again, and then what waits leaves at once (RFC 9293 §3.7.4) [MUST-17]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1').write(10).expectNothing();
    peer.endpoint.setNoDelay(true);
    peer.advanceMs(0).expect('> P. 11:21(10) ack 1');
    peer.write(10).expect('> P. 21:31(10) ack 1');
    peer.endpoint.setNoDelay(false);
    peer.write(10).expectNothing();
    peer.send('< . 1:1(0) ack 31').expect('> P. 31:41(10) ack 1').ackAll();
  });

  it('is a matter of each connection (RFC 9293 §3.7.4) [MUST-17]', () => {
    const patient = Peer.established({ mss: 1000 });
    const eager = patient.another().handshake();
    eager.drain();
    eager.endpoint.setNoDelay(true);
    patient.write(10).expect('> P. 1:11(10) ack 1').write(10).expectNothing();
    eager.write(10).expect('> P. 1:11(10) ack 1').write(10).expect('> P. 11:21(10) ack 1');
    patient.ackAll();
    eager.ackAll();
  });
});

describe('a partial segment', () => {
  it('leaves at once on an idle connection (RFC 9293 §3.9.1.2) [MUST-60]', () => {
    Peer.established({ mss: 1000 }).write(1).expect('> P. 1:2(1) ack 1').ackAll();
  });

  it('leaves behind full segments without waiting (RFC 9293 §3.9.1.2) [MUST-60]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(2001).expect('> . 1:1001(1000) ack 1').expect('> . 1001:2001(1000) ack 1');
    peer.expect('> P. 2001:2002(1) ack 1').ackAll();
  });

  it('leaves when what it waits for is acknowledged, or lost and acknowledged later (RFC 9293 §3.9.1.2) [MUST-60]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 });
    peer.wrote(10).write(10).expectNothing();
    peer.expectAfterMs(220, '> P. 1:11(10) ack 1');
    peer.send('< . 1:1(0) ack 11').expect('> P. 11:21(10) ack 1').ackAll();
  });

  it('leaves when the cork has held it long enough (RFC 9293 §3.9.1.2) [MUST-60]', () => {
    const peer = Peer.established({ mss: 1000, options: { cork: true } });
    peer.write(10).expectAfterMs(200, '> P. 1:11(10) ack 1').ackAll();
  });

  it('leaves in a window smaller than a segment, by the override timer (RFC 9293 §3.9.1.2) [MUST-60]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.send('< . 1:1(0) ack 1 win 100').write(500).expectNothing();
    peer.expectAfterMs(220, '> . 1:101(100) ack 1').send('< . 1:1(0) ack 101 win 1000').drain();
    peer.ackAll();
  });
});

describe('PSH', () => {
  forEachFamily((family, name) => {
    it(`is set on the segment that empties the queue, and on no other, over ${name} (RFC 9293 §3.9.1.2) [MUST-61]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.write(1000).expect('> P. 1:1001(1000) ack 1');
      peer.write(3000).expect('> . 1001:2001(1000)  ack 1').expect('> . 2001:3001(1000) ack 1');
      peer.expect('> P. 3001:4001(1000) ack 1').ackAll();
    });
  });

  it('is set at the end of a burst that a window cuts, and not on a segment alone (Linux) [MUST-61]', () => {
    const peer = Peer.established({ mss: 1000, window: 2000 });
    peer.write(4000).expect('> . 1:1001(1000) ack 1').expect('> P. 1001:2001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 1001 win 2000').expect('> . 2001:3001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 2001 win 2000').expect('> P. 3001:4001(1000) ack 1').ackAll();
  });

  it('is set on retransmission as at first (RFC 9293 §3.9.1.2) [MUST-61]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(500);
    peer.expectAfterMs(220, '> P. 1:501(500) ack 1').ackAll();
  });

  it('is set on the last segment of a super-packet, which is the packet (RFC 9293 §3.9.1.2) [MUST-61]', () => {
    const peer = Peer.established({ mss: 1000, offload: true });
    peer.write(5000).expect('> P. 1:5001(5000) ack 1').ackAll();
  });
});

describe('segments', () => {
  it('collapse small writes that wait into the largest possible (RFC 9293 §3.9.1.2) [SHLD-27]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(10);
    for (let i = 0; i < 25; i++) peer.write(100);
    peer.expect('> P. 11:1011(1000) ack 1').expect('> P. 1011:2011(1000) ack 1').expectNothing();
    peer.advanceMs(20).ackAll().expect('> P. 2011:2511(500) ack 1').ackAll();
  });

  it('collapse small writes of one turn into the largest possible (RFC 9293 §3.9.1.2) [SHLD-27]', () => {
    const peer = Peer.established({ mss: 1000, options: { noDelay: true } });
    for (let i = 0; i < 25; i++) peer.endpoint.write(peer.incoming.bytes(100 * i, 100));
    peer.advanceMs(0);
    peer.expect('> . 1:1001(1000) ack 1').expect('> . 1001:2001(1000) ack 1').expect('> P. 2001:2501(500)');
    peer.ackAll();
  });

  it('collapse what waited for a window into the largest possible (RFC 9293 §3.9.1.2) [SHLD-27]', () => {
    const peer = Peer.established({ mss: 1000, options: { noDelay: true } });
    peer.send('< . 1:1(0) ack 1 win 0');
    for (let i = 0; i < 30; i++) peer.write(100);
    peer.expectNothing().send('< . 1:1(0) ack 1 win 65535');
    peer.expect('> . 1:1001(1000) ack 1').expect('> . 1001:2001(1000) ack 1').expect('> P. 2001:3001(1000)');
    peer.ackAll();
  });

  it('are as large as the MSS whenever there is so much to send (RFC 9293 §3.9.1.2) [SHLD-28]', () => {
    const peer = Peer.established({ mss: 1000 });
    let bytes = 0;
    const check = (): void => {
      for (const { line, text } of peer.drain()) {
        expect(line.textBytes === 1000 || line.start + line.textBytes === 1 + bytes, text).to.equal(true);
      }
    };
    for (let i = 0; i < 50; i++) {
      bytes += peer.endpoint.writableBytes;
      peer.write(peer.endpoint.writableBytes);
      check();
      peer.advanceMs(20);
      // ACKs of odd sizes: the rest of the congestion window is no reason for small segments.
      peer.send(`< . 1:1(0) ack ${Math.max(1, peer.rcvNxt - 350)}`);
      check();
      peer.ackAll();
      check();
    }
    peer.abort();
  });

  it('are as large as the path takes where the peer takes more (RFC 9293 §3.9.1.2) [SHLD-28]', () => {
    const peer = Peer.established({ mss: 1460, mtu: 1300 }).write(3000);
    peer.expect('> . 1:1261(1260) ack 1').expect('> . 1261:2521(1260) ack 1').expect('> P. 2521:3001(480)');
    peer.ackAll();
  });
});
