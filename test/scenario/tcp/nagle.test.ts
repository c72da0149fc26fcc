/** Small segments: Nagle, Minshall, cork and no-delay: tcp.md section 17, NAG-*. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

describe("Nagle's algorithm", () => {
  forEachFamily((family, name) => {
    it(`holds small writes while a small segment is unacknowledged, over ${name} (RFC 9293 §3.7.4) [NAG-1]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.write(1).expect('> P. 1:2(1) ack 1');
      for (let i = 0; i < 30; i++) peer.write(10).expectNothing(1);
      peer.send('< . 1:1(0) ack 2').expect('> P. 2:302(300) ack 1').expectNothing();
      // What fills a segment does not wait.
      peer.write(990).expectNothing().write(20).expect('> . 302:1302(1000) ack 1').expectNothing();
      peer.send('< . 1:1(0) ack 302').expect('> P. 1302:1312(10) ack 1').ackAll();
    });
  });

  it('lets the first small write of an idle connection leave at once (RFC 9293 §3.7.4) [NAG-1]', () => {
    const peer = Peer.established({ mss: 1000 });
    for (let i = 0; i < 5; i++) {
      const at = 1 + 10 * i;
      peer
        .write(10)
        .expect(`> P. ${at}:${at + 10}(10) ack 1`)
        .advanceMs(20)
        .ackAll();
    }
  });

  it('lets a small tail follow full segments that are unacknowledged (Minshall) [NAG-2]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(3000).expect('> . 1:1001(1000)').expect('> . 1001:2001(1000)').expect('> P. 2001:3001(1000)');
    peer.write(10).expect('> P. 3001:3011(10) ack 1');
    // But only one: the next waits for the small one before it.
    peer.write(10).expectNothing();
    peer.send('< . 1:1(0) ack 3001').expectNothing();
    peer.send('< . 1:1(0) ack 3011').expect('> P. 3011:3021(10) ack 1').ackAll();
  });

  it('remembers the newest small segment, behind which others may be full (Minshall) [NAG-2]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1');
    peer.write(2000).expect('> . 11:1011(1000)').expect('> P. 1011:2011(1000)');
    peer.write(10).expectNothing();
    // The small one is acknowledged, the full ones are not: that is enough.
    peer.send('< . 1:1(0) ack 11').expect('> P. 2011:2021(10) ack 1').ackAll();
  });

  it('counts a small segment that was sent again as small still [NAG-2]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1').write(10).expectNothing();
    peer.expectAfterMs(220, '> P. 1:11(10) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 11').expect('> P. 11:21(10) ack 1').ackAll();
  });

  it('does not hold a FIN, nor the text it follows (Linux tcp_nagle_test) [NAG-3]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1').write(10).expectNothing();
    peer.shutdown().expect('> FP. 11:21(10) ack 1').send('< . 1:1(0) ack 22').expectState('FIN-WAIT-2');
  });

  it('does not hold a FIN that goes alone [NAG-3]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1');
    peer.shutdown().expect('> F. 11:11(0) ack 1').send('< . 1:1(0) ack 12').expectState('FIN-WAIT-2');
  });

  it('does not hold urgent data, nor what is written before it (Linux tcp_nagle_test) [NAG-3]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.write(10).expect('> P. 1:11(10) ack 1').write(10).expectNothing();
    peer.write(1, { urgent: true }).expect('> PU. 11:22(11) ack 1 urg 11').expectNothing();
    peer.ackAll();
  });
});

describe('a cork', () => {
  it('holds what does not fill a segment for 200 ms (Linux) [NAG-4]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.endpoint.setCork(true);
    peer.write(10).expectNothing(100).write(10).expectNothing(99);
    peer.expectAfterMs(1, '> P. 1:21(20) ack 1').ackAll();
    // The next is held as long again.
    peer.write(10).expectAfterMs(200, '> P. 21:31(10) ack 1').ackAll();
  });

  it('lets full segments leave and holds the tail (Linux) [NAG-4]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.endpoint.setCork(true);
    peer.write(2500).expect('> . 1:1001(1000)').expect('> . 1001:2001(1000)').expectNothing();
    peer.write(600).expect('> . 2001:3001(1000)').expectNothing();
    peer.ackAll().expectNothing(150);
    peer.endpoint.setCork(false);
    peer.advanceMs(0).expect('> P. 3001:3101(100) ack 1').ackAll();
  });

  it('holds also where Nagle is off, and lets go at once when it is pulled (Linux) [NAG-4]', () => {
    const peer = Peer.established({ mss: 1000, options: { noDelay: true } });
    peer.endpoint.setCork(true);
    peer.write(10).write(10).write(10).expectNothing(50);
    peer.endpoint.setCork(false);
    peer.advanceMs(0).expect('> P. 1:31(30) ack 1').write(10).expect('> P. 31:41(10) ack 1').ackAll();
  });

  it('holds neither FIN nor urgent data (Linux tcp_nagle_test) [NAG-3 NAG-4]', () => {
    const peer = Peer.established({ mss: 1000, options: { cork: true } });
    peer.write(10).expectNothing().write(1, { urgent: true }).expect('> PU. 1:12(11) ack 1 urg 11');
    peer.write(10).expectNothing().shutdown().expect('> FP. 12:22(10) ack 1');
    peer.send('< . 1:1(0) ack 23');
  });

  it('may be put on one write, for more to follow (Linux MSG_MORE) [NAG-4]', () => {
    const peer = Peer.established({ mss: 1000 });
    const more = (bytes: number): void => {
      const at = peer.endpoint.connection.sender.buffer.end - peer.endpoint.connection.sender.iss - 1;
      expect(peer.endpoint.writeMore(peer.incoming.bytes(at, bytes))).to.equal(bytes);
      peer.advanceMs(0);
    };
    more(10);
    peer.expectNothing(100);
    more(15);
    peer.expectNothing(50).write(5).expect('> P. 1:31(30) ack 1').ackAll();
    // Without more it leaves after 200 ms, and what fills a segment at once.
    more(1010);
    peer.expect('> . 31:1031(1000) ack 1').ackAll().expectAfterMs(200, '> P. 1031:1041(10) ack 1').ackAll();
    // The flag was of those writes, not of the connection.
    peer.write(10).expect('> P. 1041:1051(10) ack 1').ackAll();
  });
});

describe('no-delay', () => {
  it('lets what waits leave when it is turned on (Linux) [NAG-5]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.write(10).expect('> P. 1:11(10) ack 1').write(10).write(10).expectNothing();
      peer.endpoint.setNoDelay(true);
      peer.advanceMs(0).expect('> P. 11:31(20) ack 1').ackAll();
    });
  });

  it('lets what a cork holds leave once, and leaves the cork in place (Linux) [NAG-5]', () => {
    const peer = Peer.established({ mss: 1000, options: { cork: true } });
    peer.write(10).expectNothing();
    peer.endpoint.setNoDelay(true);
    peer.advanceMs(0).expect('> P. 1:11(10) ack 1').ackAll();
    peer.write(10).expectNothing(199).expectAfterMs(1, '> P. 11:21(10) ack 1').ackAll();
  });

  it('turned off holds small writes again, and sends nothing by itself [NAG-5]', () => {
    const peer = Peer.established({ mss: 1000, options: { noDelay: true } });
    peer.write(10).expect('> P. 1:11(10) ack 1').write(10).expect('> P. 11:21(10) ack 1');
    peer.endpoint.setNoDelay(false);
    peer.write(10).expectNothing().send('< . 1:1(0) ack 21').expect('> P. 21:31(10) ack 1').ackAll();
    peer.endpoint.setNoDelay(true);
    peer.endpoint.setNoDelay(false);
    peer.expectNothing(1000);
  });
});
