/** The problems that RFC 2525 found in implementations of TCP, one by one: tcp.md RM-2. */
import { expect } from 'chai';
import { Peer, type PeerOptions } from '../../support/peer.js';

const MSS = 1000;

/** A connection that has been through `rounds` round trips of as much data as its window allows, and is idle. */
function grown(rounds: number, options: PeerOptions = {}): Peer {
  const peer = Peer.established({ mss: MSS, windowScale: 7, window: 4000, ...options });
  peer.endpoint.setSendBuffer(1_000_000);
  for (let i = 0; i < rounds; i++) {
    peer.offer(cwndOf(peer) + MSS);
    peer.drain();
    while (peer.endpoint.unackedBytes > 0) peer.advanceMs(20).ackAll().drain();
  }
  return peer;
}

const cwndOf = (peer: Peer): number => peer.endpoint.info.cwndBytes;

describe('a problem of RFC 2525 that this stack does not have', () => {
  it('no initial slow start (§2.1): the first flight is the initial window, whatever the peer offers [RM-2]', () => {
    const peer = Peer.established({ mss: MSS, windowScale: 7, window: 60_000 });
    peer.offer(500_000);
    expect(peer.drain().length).to.equal(10);
    peer.abort().drain();
  });

  it('no slow start after a time-out (§2.2): the next flight is one segment, then two [RM-2]', () => {
    const peer = grown(3, { tailLossProbe: false }).write(50_000);
    const highest = peer.rcvNxt;
    peer.drain();
    peer.advanceMs(500);
    expect(cwndOf(peer)).to.equal(MSS);
    const sent = peer.drain();
    expect(sent.length).to.equal(1);
    peer.send(`< . 1:1(0) ack ${sent[0].line.start + MSS}`);
    expect(peer.drain().length).to.equal(2);
    expect(highest, 'the first of many').to.be.above(sent[0].line.start + 9 * MSS);
    peer.abort().drain();
  });

  it('an uninitialized cwnd (§2.3): without an MSS option the first flight is of ten segments of 536 [RM-2]', () => {
    for (const role of ['server', 'client'] as const) {
      const peer = Peer.established({ role, mss: 0, windowScale: 7 });
      peer.offer(60_000);
      const sent = peer.drain();
      expect(sent.map(({ line }) => line.textBytes)).to.deep.equal(new Array(10).fill(536));
      peer.abort().drain();
    }
  });

  it('inconsistent retransmission (§2.4): the same bytes again, also in other segments [RM-2]', () => {
    const peer = Peer.established({ mss: MSS });
    const bytes = peer.incoming.bytes(0, 5000);
    peer.endpoint.write(bytes);
    // The application uses its memory again; the harness compares with what was written.
    bytes.fill(0);
    peer.advanceMs(0);
    expect(peer.drain().length).to.equal(5);
    peer.icmp('too-big', { mtu: 576 }).advanceMs(300);
    const again = peer.drain().map(({ line }) => line.textBytes);
    expect(again.slice(0, 10)).to.deep.equal(new Array(5).fill([536, 464]).flat());
    for (let i = 0; i < 10; i++) peer.advanceMs(500).ackAll().drain();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('failure to retain above-sequence data (§2.5): one hole filled acknowledges all behind it [RM-2]', () => {
    for (const sack of [true, false]) {
      const peer = Peer.established({ sack });
      for (let at = 1001; at < 20_001; at += 1000) peer.send(`< . ${at}:${at + 1000}(1000) ack 1`);
      peer.advanceMs(5).drain();
      peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 20001').expectRead(20_000).drain();
    }
  });

  it('an extra additive constant in congestion avoidance (§2.6): one segment a round trip [RM-2]', () => {
    const peer = grown(2, { options: { congestionControl: 'reno' } });
    const una = peer.rcvNxt;
    peer.offer(500_000);
    peer.drain();
    // Into congestion avoidance by a loss: the first segment is missing.
    peer
      .advanceMs(20)
      .send(`< . 1:1(0) ack ${una} <nop,nop,sack ${una + MSS}:${peer.rcvNxt}>`)
      .drain();
    peer.advanceMs(20).ackAll().drain();
    expect(peer.endpoint.info.phase).to.equal('open');
    expect(cwndOf(peer)).to.be.at.least(peer.endpoint.info.ssthreshBytes);
    for (let i = 0; i < 10; i++) {
      const before = cwndOf(peer);
      peer.offer(500_000);
      peer.drain();
      peer.advanceMs(20).ackAll().drain();
      expect(cwndOf(peer) - before, `round ${i}`).to.equal(MSS);
    }
    peer.abort().drain();
  });

  it('an initial RTO that is too low (§2.7): one second before anything was measured [RM-2]', () => {
    const peer = Peer.connecting();
    peer.expect('> S 0:0(0)').expectAfterMs(1000, '> S 0:0(0)').expectAfterMs(2000, '> S 0:0(0)');
    peer.abort();
  });

  it('failure of window deflation after loss recovery (§2.8): afterwards cwnd is ssthresh [RM-2]', () => {
    for (const sack of [true, false]) {
      const peer = grown(3, { sack }).write(60_000);
      const una = (peer.drain()[0]?.line.start ?? 0) | 0;
      peer.advanceMs(20);
      const highest = peer.rcvNxt;
      for (let at = una + MSS; at < highest; at += MSS) {
        const blocks = sack ? ` <nop,nop,sack ${una + MSS}:${at + MSS}>` : '';
        peer.send(`< . 1:1(0) ack ${una}${blocks}`);
      }
      const { ssthreshBytes } = peer.endpoint.info;
      expect(peer.endpoint.info.phase).to.equal('recovery');
      peer.advanceMs(20).ackAll().drain();
      expect(peer.endpoint.info.phase).to.equal('open');
      expect(cwndOf(peer), `with${sack ? '' : 'out'} SACK`).to.be.within(
        ssthreshBytes - MSS,
        ssthreshBytes + MSS,
      );
      peer.abort().drain();
    }
  });

  it('an excessively short keep-alive time-out (§2.9): hours of silence, and nine probes unanswered [RM-2]', () => {
    const peer = Peer.established({ options: { keepAlive: true } });
    peer.advanceMs(7_200_000 + 9 * 75_000 - 1).expectState('ESTABLISHED');
    expect(peer.drain().length).to.equal(9);
    peer.advanceMs(2).expectState('CLOSED').drain();
  });

  it('failure to back off the RTO (§2.10): each is twice the one before [RM-2]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: MSS }).wrote(10);
    for (let i = 0; i < 9; i++) peer.expectAfterMs(220 * 2 ** i, '> P. 1:11(10) ack 1');
    peer.ackAll();
  });

  it('insufficient interval between keep-alives (§2.11): 75 s [RM-2]', () => {
    const peer = Peer.established({ options: { keepAlive: true } });
    peer.expectAfterMs(7_200_000, '> . 0:0(0) ack 1').expectNothing(74_998);
    peer.expectAfterMs(2, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
  });

  it('window probe deadlock (§2.12): a byte of probe while a byte is free spoils nothing [RM-2]', () => {
    const options = { receiveBufferBytes: 4000, receiveBufferMaxBytes: 4000 };
    const peer = Peer.established({ mss: MSS, options }).sendText(4000).advanceMs(500);
    peer.drain();
    peer.read(1);
    for (let i = 0; i < 5; i++) peer.send('< P. 4001:4002(1) ack 1').expect('> . 1:1(0) ack 4001 win 0');
    peer.read(999);
    peer.expect('> . 1:1(0) ack 4001 win 1000');
    peer.send('< P. 4001:4002(1) ack 1').drain();
    peer.send('< P. 4002:5001(999) ack 1').drain();
    expect(peer.endpoint.readableBytes).to.equal(4000);
    peer.read(4000);
    peer.advanceMs(500).drain();
    peer.sendText(4000).drain();
    peer.expectRead(4000).drain();
  });

  it('stretch ACK violation (§2.13): two full segments are never left unacknowledged [RM-2]', () => {
    const peer = Peer.established({ mss: MSS });
    let acked = 1;
    for (let i = 0; i < 200; i++) {
      peer.sendText(MSS, MSS, '.').advanceMs(1);
      for (const { line } of peer.drain()) acked = line.ack ?? acked;
      expect(peer.sndNxt - acked).to.be.below(2 * MSS);
      peer.read(MSS);
      peer.drain();
    }
    peer.advanceMs(300).drain();
  });

  it('retransmission sends multiple packets (§2.14): a time-out sends one, and an ACK no more than left [RM-2]', () => {
    const options = { forwardRto: false };
    const peer = Peer.established({ tailLossProbe: false, mss: MSS, options }).wrote(8000);
    for (let i = 0; i < 4; i++) {
      peer.expectAfterMs(220 * 2 ** i, '> . 1:1001(1000) ack 1').expectNothing();
    }
    // What the ACK covers is not sent again, though it was in flight (no retransmission past the ACK).
    peer
      .send('< . 1:1(0) ack 6001')
      .expect('> . 6001:7001(1000)')
      .expect('> P. 7001:8001(1000)')
      .expectNothing();
    peer.ackAll().expectNothing(1000);
  });

  it('failure to send a FIN promptly (§2.15): it leaves with the close, and is told of and answered at once [RM-2]', () => {
    const peer = Peer.established({ mss: MSS });
    peer.takeEvents();
    peer.write(10).expect('> P. 1:11(10) ack 1').shutdown().expect('> F. 11:11(0) ack 1');
    peer.send('< F. 1:1(0) ack 12').expect('> . 12:12(0) ack 2');
    expect(peer.takeEvents()).to.include('end');
  });

  it('failure to reset after a half-duplex close (§2.16): text nobody will read is answered with an RST [RM-2]', () => {
    const peer = Peer.established().close();
    peer.expect('> F. 1:1(0) ack 1').send('< . 1:1(0) ack 2').send('< P. 1:101(100) ack 2');
    peer.expect('> R 2:2(0)').expectState('CLOSED');
    peer.send('< P. 101:201(100) ack 2').expect('> R 2:2(0)');
  });

  it('failure to reset on close with data pending (§2.17): what was not read is not acknowledged as read [RM-2]', () => {
    const peer = Peer.established().sendText(100).advanceMs(50);
    peer.drain();
    peer.close().expect('> R. 1:1(0) ack 101').expectState('CLOSED');
  });

  it('options missing from the MSS calculation (§2.18): with timestamps 12 bytes less, with SACK blocks less again [RM-2]', () => {
    const peer = Peer.established({ timestamps: true });
    peer.write(1448).expect('> P. 1:1449(1448) ack 1').ackAll();
    peer.send('< P. 101:201(100) ack 1449').drain();
    peer.write(1448);
    expect(peer.drain().map(({ bytes }) => bytes.length)).to.deep.equal([1500, 76]);
    peer.ackAll().drain();
    peer.ackAll();
  });

  it('a stale number in an RST: that of the newest byte sent, which a peer takes at once (§2.16, RFC 5961) [RM-2]', () => {
    const peer = grown(3).write(5000);
    peer.drain();
    const { rcvNxt } = peer;
    peer.abort().expect(`> R. ${rcvNxt}:${rcvNxt}(0) ack 1`);
  });

  it('ACKs counted instead of bytes: one for many segments opens the window by all of them (RFC 3465) [RM-2]', () => {
    const one = Peer.established({ mss: MSS, windowScale: 7, window: 4000 });
    const each = Peer.established({ mss: MSS, windowScale: 7, window: 4000 });
    one.offer(60_000);
    one.drain();
    one.advanceMs(20).send('< . 1:1(0) ack 10001');
    each.offer(60_000);
    each.drain();
    each.advanceMs(20);
    for (let at = 1001; at <= 10_001; at += 1000) each.send(`< . 1:1(0) ack ${at}`);
    expect(cwndOf(one)).to.equal(20 * MSS);
    expect(cwndOf(each)).to.equal(20 * MSS);
    for (const peer of [one, each]) peer.abort().drain();
  });

  it('text or a FIN beyond the FIN: nothing of it is delivered, and the end stands [RM-2]', () => {
    const peer = Peer.established().send('< FP. 1:11(10) ack 1');
    peer.drain();
    peer.send('< P. 12:22(10) ack 1').send('< F. 22:22(0) ack 1').drain();
    expect(peer.endpoint.readableBytes).to.equal(10);
    peer.expectState('CLOSE-WAIT').expectRead(10);
  });
});
