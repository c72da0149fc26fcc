/** Window scaling beyond the handshake: RFC 7323 §2.4. What the SYNs agree on is in `handshake.test.ts`. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

/** The shift the stack offers by default: 6 MiB need seven. */
const UNIT = 128;

describe('a peer whose scaled window seems to shrink', () => {
  it('gets data again that lies inside the old right edge and beyond the new one (RFC 7323 §2.4) [WS-9]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({
        tailLossProbe: false,
        ...family,
        mss: 1000,
        windowScale: 7,
        window: 64,
      }).write(8000);
      for (let at = 1; at < 7001; at += 1000) peer.expect(`> . ${at}:${at + 1000}(1000)`);
      peer.expect('> P. 7001:8001(1000)').advanceMs(20);
      // The old edge is 8193, the new one 1001: all that is in flight lies beyond it.
      peer.send('< . 1:1(0) ack 1001 win 0').expectNothing();
      peer.expectAfterMs(220, '> . 1001:2001(1000) ack 1');
      // What was sent inside the old edge is acknowledged all the same.
      peer.send('< . 1:1(0) ack 8001 win 0').expectNothing(100);
      expect(peer.endpoint.unackedBytes).to.equal(0);
      // A window of 8 units opens: exactly 1024 bytes.
      peer.write(3000);
      peer.send('< . 1:1(0) ack 8001 win 8').expect('> . 8001:9001(1000) ack 1').expectNothing();
    });
  });

  it('gets nothing new beyond the edge it shows now, rounded as it is [WS-9]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7, window: 64 }).wrote(8000);
    // 47 units after 1000 bytes: by rounding and by shrinking the edge is 7017, not 8193.
    peer.send('< . 1:1(0) ack 1001 win 47').write(1000).expectNothing();
    // 55 units from 2001: the edge is 9041.
    peer.send('< . 1:1(0) ack 2001 win 55').expect('> P. 8001:9001(1000) ack 1');
  });

  it('gets only the first segment again of what lies beyond its edge, however much was lost [WS-9]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7, window: 64 }).wrote(8000).advanceMs(20);
    peer.send('< . 1:1(0) ack 1001 win 0 <nop,nop,sack 4001:8001>').expect('> . 1001:2001(1000) ack 1');
    peer.expectNothing(150);
    // What its edge covers is sent at once, up to it: 2001 + 7·128.
    peer.send('< . 1:1(0) ack 2001 win 7 <nop,nop,sack 4001:8001>').expect('> . 2001:2897(896) ack 1');
    peer.expectNothing();
  });

  it('may send up to the largest edge ever offered, whatever is offered since [WS-9]', () => {
    const peer = Peer.established({ windowScale: 7, mss: 1000, options: { receiveBufferBytes: 65_535 } });
    peer.sendText(1000);
    const { line } = peer.take() ?? expect.fail('an ACK');
    const edge = 1001 + (line.window ?? 0) * UNIT;
    // The application reads nothing, so every later window is smaller.
    peer.sendText(30_000).drain();
    expect(peer.last?.line.window ?? 0).to.be.lessThan(line.window ?? 0);
    // The last bytes below the edge first: they count as inside the window.
    peer.send(`< . ${edge - 500}:${edge}(500) ack 1`);
    peer.expect(`> . 1:1(0) ack 31001 <sack ${edge - 500}:${edge}>`);
    peer.sendText(edge - 500 - peer.sndNxt, 1000);
    for (let at = 31_001; at < edge - 500; at += 1000) {
      const end = Math.min(at + 1000, edge - 500);
      peer.send(`< . ${at}:${end}(${end - at}) ack 1`);
    }
    peer.drain();
    expect(peer.endpoint.readableBytes).to.equal(edge - 1);
    peer.expectRead(edge - 1);
  });
});

describe('a small scaled window', () => {
  it('is told as at least one unit while it is open, and as 0 when it is closed (RFC 7323 §2.4) [WS-12]', () => {
    forEachFamily((family) => {
      const options = { quickAck: true, receiveBufferBytes: 65_535 };
      const peer = Peer.established({ ...family, windowScale: 7, mss: 1000, options });
      // Segments of whole units leave nothing to be rounded: the edge stays at 1 + 65,536.
      peer
        .sendText(508 * UNIT, 10 * UNIT)
        .advanceMs(200)
        .drain();
      expect(peer.last?.line.window).to.equal(4);
      // 12 bytes are left of those 512: a window of 0 would be a lie, one unit is not.
      peer.send('< P. 65025:65525(500) ack 1').expect('> . 1:1(0) ack 65525 win 1');
      // All 128 are taken, and now it is shut.
      peer.send('< P. 65525:65653(128) ack 1').expect('> . 1:1(0) ack 65653 win 0');
      expect(peer.endpoint.readableBytes).to.equal(65_652);
      peer.send('< P. 65653:65654(1) ack 1').expect('> . 1:1(0) ack 65653 win 0');
      // Reading opens it by far more than a unit, and the peer hears of it at once.
      peer.expectRead(65_652).expect('> . 1:1(0) ack 65653 win 512');
    });
  });

  it('is never rounded up so often that more is promised than there is room for (RFC 7323 §2.4)', () => {
    for (const receiveBufferMaxBytes of [65_535, 1 << 20, 64 << 20, 1 << 30]) {
      const options = { receiveBufferBytes: 65_535, receiveBufferMaxBytes, quickAck: true };
      const peer = Peer.established({ windowScale: 7, mss: 1000, options });
      const unit = 1 << (peer.endpoint.connection.receiver?.windowShift ?? 0);
      // Segments smaller than a unit, each acknowledged, and nobody reads.
      let edge = 0;
      for (let sent = 0; sent < 400 && peer.last?.line.window !== 0; sent++) {
        peer.sendText(500);
        for (const { line } of peer.drain()) {
          const offered = (line.ack ?? 0) + (line.window ?? 0) * unit;
          expect(offered, `an edge in units of ${unit}`).to.be.greaterThan(edge - unit);
          edge = Math.max(edge, offered);
        }
        // What is offered is taken, all of it.
        const { sndNxt } = peer;
        expect(peer.last?.line.ack).to.equal(Math.min(sndNxt, edge));
      }
      expect(peer.last?.line.window, `the window in units of ${unit}`).to.equal(0);
      expect(peer.endpoint.readableBytes).to.be.below(1.1 * 65_536 + 2 * unit);
    }
  });
});
