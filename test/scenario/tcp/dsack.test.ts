/** Duplicate SACK: RFC 2883. */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer => Peer.established({ mss: 1000, ...options });

describe('a duplicate that arrives', () => {
  it('below RCV.NXT is reported at once, in the first block (RFC 2883 §4.1) [DSACK-1]', () => {
    forEachFamily((family) => {
      for (const timestamps of [false, true]) {
        const peer = established({ ...family, timestamps });
        peer.sendText(3000).drain();
        peer
          .send('< . 1001:2001(1000) ack 1')
          .expect('> . 1:1(0) ack 3001 <sack 1001:2001>')
          .expectNothing(500);
        // The last segment, and all of them in one.
        peer.send('< P. 2001:3001(1000) ack 1').expect('> . 1:1(0) ack 3001 <sack 2001:3001>');
        peer.send('< P. 1:3001(3000) ack 1').expect('> . 1:1(0) ack 3001 <sack 1:3001>');
        // Also one that a newer stamp shows to be old, and text with a FIN that is not new either.
        peer.send('< F. 3001:3001(0) ack 1').expect('> . 1:1(0) ack 3002 <!sack>');
        peer
          .send('< F. 2501:3001(500) ack 1')
          .expect('> . 1:1(0) ack 3002 <sack 2501:3001>')
          .expectRead(3000);
      }
      // With something waiting: the duplicate first, then what waits (RFC 2883 §4.1.2).
      const peer = established(family);
      peer.send('< . 1:1001(1000) ack 1').send('< . 2001:3001(1000) ack 1').drain();
      peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1001 <sack 1:1001 2001:3001>');
    });
  });

  it('of what waits is reported with the block that holds it as the second (RFC 2883 §4.2) [DSACK-2]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      for (const n of [2, 3, 4, 6]) peer.send(`< . ${n * 1000 + 1}:${n * 1000 + 1001}(1000) ack 1`);
      peer.drain();
      peer.send('< . 3001:4001(1000) ack 1').expect('> . 1:1(0) ack 1 <sack 3001:4001 2001:5001 6001:7001>');
      peer.send('< . 6001:7001(1000) ack 1').expect('> . 1:1(0) ack 1 <sack 6001:7001 6001:7001 2001:5001>');
      peer.send('< . 2501:2601(100) ack 1').expect('> . 1:1(0) ack 1 <sack 2501:2601 2001:5001 6001:7001>');
    });
  });

  it('in part is reported in just that part (RFC 2883 §4.2.3) [DSACK-3]', () => {
    forEachFamily((family) => {
      const peer = established(family).sendText(1000);
      peer.drain();
      // The first half is old, the second continues the stream.
      peer.send('< P. 501:1501(1000) ack 1').expect('> . 1:1(0) ack 1501 <sack 501:1001>');
      // The front of it waits, then the end, then a part in the middle.
      peer.send('< . 3001:4001(1000) ack 1').expect('> . 1:1(0) ack 1501 <sack 3001:4001>');
      peer.send('< . 3501:4501(1000) ack 1').expect('> . 1:1(0) ack 1501 <sack 3501:4001 3001:4501>');
      peer.send('< . 2601:3201(600) ack 1').expect('> . 1:1(0) ack 1501 <sack 3001:3201 2601:4501>');
      peer.send('< . 6001:6101(100) ack 1').expect('> . 1:1(0) ack 1501 <sack 6001:6101 2601:4501>');
      peer
        .send('< . 5501:6501(1000) ack 1')
        .expect('> . 1:1(0) ack 1501 <sack 6001:6101 5501:6501 2601:4501>');
      // Of two parts the first (RFC 2883 §4.2.3): a segment over both blocks.
      peer.send('< . 4001:6001(2000) ack 1').expect('> . 1:1(0) ack 1501 <sack 4001:4501 2601:6501>');
      // In order, over what waits: nothing of it was acknowledged twice, and all of it is in the ACK.
      peer.send('< . 1501:2601(1100) ack 1').expect('> . 1:1(0) ack 6501 <!sack>').expectRead(6500);
    });
  });

  it('is reported in one ACK only (RFC 2883 §4) [DSACK-4]', () => {
    forEachFamily((family) => {
      const peer = established(family).sendText(2000);
      peer.drain();
      peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 2001 <sack 1:1001>');
      peer.send('< P. 2001:2011(10) ack 1').expect('> . 1:1(0) ack 2011 <!sack>');
      peer.send('< . 4001:5001(1000) ack 1').expect('> . 1:1(0) ack 2011 <sack 4001:5001>');
      peer.send('< . 4001:4501(500) ack 1').expect('> . 1:1(0) ack 2011 <sack 4001:4501 4001:5001>');
      peer.send('< . 6001:7001(1000) ack 1').expect('> . 1:1(0) ack 2011 <sack 6001:7001 4001:5001>');
      // Also where the ACK rides on text: the next has it no more.
      peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 2011 <sack 1:1001 6001:7001 4001:5001>');
      peer.write(10).expect('> P. 1:11(10) ack 2011 <sack 6001:7001 4001:5001>');
      // Seen twice, said twice.
      for (let i = 0; i < 3; i++) {
        peer
          .send('< . 1001:2001(1000) ack 11')
          .expect('> . 11:11(0) ack 2011 <sack 1001:2001 6001:7001 4001:5001>');
      }
    });
  });

  it('as a probe of one old byte is answered so, and harms nothing (RFC 2883 §4) [DSACK-9]', () => {
    forEachFamily((family) => {
      // A keep-alive with a byte that was acknowledged long ago.
      const peer = established(family).sendText(1000);
      peer.drain();
      for (let i = 0; i < 3; i++) {
        peer.advanceMs(10_000).send('< . 1000:1001(1) ack 1').expect('> . 1:1(0) ack 1001 <sack 1000:1001>');
      }
      peer.sendText(10).expect('> . 1:1(0) ack 1011 <!sack>').expectRead(1010);
      // A probe of a window that is closed, with the byte before it.
      const closed = established({ ...family, options: { receiveBufferBytes: 4000, windowScaling: false } });
      closed.sendText(4000).advanceMs(300).drain();
      expect(closed.last?.line.window).to.equal(0);
      for (let i = 0; i < 3; i++) {
        closed.send('< . 4000:4001(1) ack 1').expect('> . 1:1(0) ack 4001 win 0 <sack 4000:4001>');
      }
      closed.expectRead(4000).expect('> . 1:1(0) ack 4001 win 4000 <!sack>');
    });
  });

  it('is not reported to a peer that has not permitted SACK', () => {
    const peer = established({ sack: false }).sendText(1000);
    peer.drain();
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1001 <!sack>');
  });
});

describe('a D-SACK that arrives', () => {
  it('is known by lying below the ACK number, or in the second block (RFC 2883 §4) [DSACK-5]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(9000).advanceMs(20);
      const { tcp } = peer.stats;
      const { recovery } = peer.endpoint.connection.sender;
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 1:1001>');
      expect(tcp.dsackRecv).to.equal(1);
      expect(recovery.sackedBytes).to.equal(0);
      // With blocks behind it, which count as ever.
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 1001:2001 4001:5001>');
      expect(tcp.dsackRecv).to.equal(2);
      expect(recovery.sackedBytes).to.equal(1000);
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:4501 4001:5001>');
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:5001 4001:5001>');
      expect(tcp.dsackRecv).to.equal(4);
      expect(recovery.sackedBytes).to.equal(1000);
      // A first block that is only a neighbour, or holds the second, is none.
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 5001:5501 4001:5001>');
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:5501 4001:5001>');
      expect(tcp.dsackRecv).to.equal(4);
      expect(recovery.sackedBytes).to.equal(1500);
      // Nor does a later block become one.
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:5501 1:1001>');
      expect(tcp).to.include({ dsackRecv: 4, sackInvalid: 1 });
    });
  });

  it('tells of nothing new: no loss is inferred from it, and nothing is sent again', () => {
    const peer = established().wrote(3000).advanceMs(20);
    for (let i = 0; i < 5; i++) peer.send('< . 1:1(0) ack 1001 <nop,nop,sack 1:1001>').expectNothing();
    expect(peer.stats.tcp).to.include({ dsackRecv: 5, retransSegs: 0 });
  });

  it('is believed only of what was sent, and not longer than a window ago; others change nothing [DSACK-6]', () => {
    forEachFamily((family) => {
      // The peer's window was never larger than 4000 bytes.
      const peer = established({ ...family, window: 4000 }).write(3000);
      for (let i = 0; i < 4; i++) peer.advanceMs(20).ackAll().write(3000);
      peer.advanceMs(20).drain();
      const { tcp } = peer.stats;
      const { sender } = peer.endpoint.connection;
      const una = peer.rcvNxt - 3000;
      const { cwndBytes } = sender.congestion;
      const report = (start: number, end: number): readonly number[] => {
        peer.send(`< . 1:1(0) ack ${una} <nop,nop,sack ${start}:${end}>`);
        return [tcp.dsackRecv, tcp.sackInvalid];
      };
      // All of the last window, and the edges of it.
      expect(report(una - 4000, una)).to.deep.equal([1, 0]);
      expect(report(una - 1, una)).to.deep.equal([2, 0]);
      // Older, before the beginning, across the ACK number, the wrong way round, of the far future.
      expect(report(una - 4001, una - 3001)).to.deep.equal([2, 1]);
      expect(report(-999, 1)).to.deep.equal([2, 2]);
      expect(report(una - 500, una + 500)).to.deep.equal([2, 3]);
      expect(report(una, una - 500)).to.deep.equal([2, 4]);
      expect(report(una - 500, una + 500_000)).to.deep.equal([2, 5]);
      expect(sender.congestion.cwndBytes).to.equal(cwndBytes);
      expect(sender.recovery.sackedBytes + sender.recovery.board.lostBytes).to.equal(0);
      peer.expectNothing();
      // At the beginning of a connection not even a window has been sent.
      const young = established(family).wrote(3000).advanceMs(20);
      young.send('< . 1:1(0) ack 1001 <nop,nop,sack 0:1001>');
      young.send('< . 1:1(0) ack 1001 <nop,nop,sack 1:1001>');
      expect(young.stats.tcp).to.include({ dsackRecv: 1, sackInvalid: 1 });
    });
  });
});
