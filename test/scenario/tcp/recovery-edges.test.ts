/** Where two parts of recovery meet: probes and undoing, F-RTO and Nagle, pacing that is turned off, numbers that wrap. */
import { expect } from 'chai';
import { Phase } from '../../../lib/tcp/recovery/recovery.js';
import { Peer, type PeerOptions } from '../../support/peer.js';

const MSS = 1000;

const established = (options: PeerOptions = {}): Peer =>
  Peer.established({ mss: MSS, ...options, options: { congestionControl: 'reno', ...options.options } });
const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const phaseOf = (peer: Peer): Phase => senderOf(peer).recovery.phase;

describe('a tail loss probe and what is taken back', () => {
  it('a recovery is not undone by the D-SACK of a probe that left before it (Linux tcp_init_undo)', () => {
    const peer = established().wrote(5 * MSS);
    peer.expectAfterMs(42, '> P. 4001:5001(1000) ack 1');
    // The flight was late, and its first segment lost.
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:5001>').expect('> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 4001:5001 1001:5001>');
    expect(phaseOf(peer)).to.equal(Phase.Recovery);
    expect(peer.stats.tcp.undone).to.equal(0);
    peer.ackAll();
    expect(peer.stats.tcp.undone).to.equal(0);
  });

  it('nor is a time-out', () => {
    const peer = established({ options: { forwardRto: false } }).wrote(5 * MSS);
    peer.expectAfterMs(42, '> P. 4001:5001(1000) ack 1');
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 4001:5001>');
    expect(peer.stats.tcp.undone).to.equal(0);
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 4001:5001 4001:5001>');
    expect(phaseOf(peer)).to.equal(Phase.Loss);
    expect(peer.stats.tcp.undone).to.equal(0);
    peer.ackAll().drain();
  });

  it('a probe that was the last part of a super-packet has its PSH again', () => {
    const peer = established({ offload: true, window: 3000 }).wrote(3 * MSS);
    peer.write(100);
    peer.expectAfterMs(42, '> P. 2001:3001(1000) ack 1');
    peer.abort().drain();
  });
});

describe('F-RTO', () => {
  it('goes on as after any time-out where Nagle holds what is new back (RFC 5682 §3.1 step 2.b)', () => {
    const peer = established({ tailLossProbe: false }).wrote(1500);
    peer.write(300).expectNothing();
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1001').expect('> P. 1001:1501(500) ack 1');
    peer.ackAll().expect('> P. 1501:1801(300) ack 1').ackAll();
  });

  it('sends what the window admits once the ACK has moved it (RFC 5682 §3.1 step 2.b)', () => {
    const peer = established({ tailLossProbe: false, window: 4000 }).wrote(4000);
    peer.write(4000).expectNothing();
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1001 win 4000').expect('> . 4001:5001(1000) ack 1');
    peer.abort().drain();
  });
});

describe('a retransmission time-out', () => {
  it('learns nothing of the round trip from the answer to a duplicate: that echoes what came before it (RFC 7323 §4.3)', () => {
    const peer = established({
      tailLossProbe: false,
      timestamps: true,
      options: { forwardRto: false },
    }).wrote(988);
    const { rtt } = senderOf(peer).recovery;
    const before = rtt.srttUs;
    peer.advanceMs(220).drain();
    // The text had arrived, and its ACK was lost.
    peer.advanceMs(20).send('< . 1:1(0) ack 989 <nop,nop,TS val 1040 ecr 20,nop,nop,sack 1:989>');
    expect(rtt.srttUs).to.equal(before);
  });
});

describe('pacing', () => {
  it('that is turned off while something waits leaves no deadline behind', () => {
    const options = { maxPacingRateBps: 10_000 };
    const peer = established({ options });
    peer.write(8000).drain();
    peer.endpoint.setMaxPacingRate(Number.POSITIVE_INFINITY);
    peer.advanceMs(0).drain();
    expect(senderOf(peer).unsentBytes).to.equal(0);
    expect(senderOf(peer).pacer.deadlineUs).to.equal(Number.POSITIVE_INFINITY);
    peer.ackAll();
  });
});

describe('super-packets and RACK', () => {
  it('what is acknowledged in part has not been delivered to its end: nothing was reordered', () => {
    const peer = established({ offload: true, tailLossProbe: false })
      .wrote(8 * MSS)
      .advanceMs(20);
    peer.send('< . 1:1(0) ack 2001');
    peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 3001:4001>');
    expect(senderOf(peer).recovery.rack.reorderingSeen).to.equal(false);
    peer.ackAll().drain();
  });
});
