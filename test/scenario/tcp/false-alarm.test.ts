/** Recoveries and time-outs that were not needed, and what is taken back (RFC 5682, 3522, 4015, 3708). */
import { expect } from 'chai';
import { Phase } from '../../../lib/tcp/recovery/recovery.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer =>
  Peer.established({
    tailLossProbe: false,
    mss: 1000,
    ...options,
    options: { congestionControl: 'reno', ...options.options },
  });

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const phaseOf = (peer: Peer): Phase => senderOf(peer).recovery.phase;

/** Window and threshold. */
function windowOf(peer: Peer): [number, number] {
  const { congestion } = senderOf(peer);
  return [congestion.cwndBytes, congestion.ssthreshBytes];
}

describe('a time-out', () => {
  it('is followed by new data after the first ACK, and proves spurious when what was sent once is acknowledged (RFC 5682 §3.1) [CC-16]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(8000).write(6000);
      peer.expect('> . 8001:9001(1000) ack 1').expect('> P. 9001:10001(1000) ack 1');
      const before = windowOf(peer);
      peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
      expect(phaseOf(peer)).to.equal(Phase.Loss);
      expect(windowOf(peer)).to.deep.equal([1000, 5000]);
      // Step 2.b: two new segments, although the rest of the flight is believed lost.
      peer.send('< . 1:1(0) ack 1001').expect('> . 10001:11001(1000)').expect('> P. 11001:12001(1000)');
      peer.expectNothing();
      // Step 3.b: the flight was late, not lost.
      peer.send('< . 1:1(0) ack 3001');
      expect(phaseOf(peer)).to.equal(Phase.Open);
      expect(windowOf(peer)[0]).to.be.at.least(before[0]);
      expect(windowOf(peer)[1]).to.equal(before[1]);
      expect(peer.stats.tcp).to.include({ spuriousRtos: 1, undone: 1, retransSegs: 1 });
      peer.drain();
      peer.ackAll().drain();
    });
  });

  it('proves spurious by a selective acknowledgment of what was sent once (RFC 5682 §3.1, SACK-enhanced) [CC-16]', () => {
    const peer = established().wrote(8000);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>');
    expect(phaseOf(peer)).to.equal(Phase.Open);
    expect(peer.stats.tcp.spuriousRtos).to.equal(1);
    peer.advanceMs(1).ackAll().drain();
  });

  it('was needed where the new data arrives and the hole stays (RFC 5682 §3.1 step 3.a) [CC-16]', () => {
    const peer = established().wrote(5000).write(2000);
    peer.drain();
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1').write(4000).expectNothing();
    peer
      .send('< . 1:1(0) ack 1001')
      .expect('> . 7001:8001(1000)')
      .expect('> P. 8001:9001(1000)')
      .expectNothing();
    peer.send('< . 1:1(0) ack 1001 <nop,nop,sack 7001:8001>').expect('> . 1001:2001(1000)');
    expect(phaseOf(peer)).to.equal(Phase.Loss);
    expect(peer.stats.tcp).to.include({ spuriousRtos: 0, undone: 0 });
    for (let i = 0; i < 6; i++) peer.advanceMs(20).ackAll().drain();
  });

  it('without new data is recovered from as ever; and F-RTO may be turned off (RFC 5682 §3.1 step 2.a) [CC-16]', () => {
    const peer = established().wrote(4000);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1').send('< . 1:1(0) ack 1001');
    peer.expect('> . 1001:2001(1000) ack 1').expect('> . 2001:3001(1000) ack 1').ackAll();
    const off = established({ options: { forwardRto: false } })
      .wrote(4000)
      .write(4000)
      .drain();
    expect(off.length).to.equal(4);
    const plain = established({ options: { forwardRto: false } }).wrote(4000);
    plain.expectAfterMs(220, '> . 1:1001(1000) ack 1').write(4000).send('< . 1:1(0) ack 1001');
    plain.expect('> . 1001:2001(1000) ack 1').ackAll().drain();
  });

  it('works without SACK too: the second ACK that advances over what was sent once proves it spurious (RFC 5682 §2.1) [CC-16]', () => {
    const peer = established({ sack: false }).wrote(8000).write(4000);
    peer.drain();
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1').write(4000).expectNothing();
    peer.send('< . 1:1(0) ack 1001').expect('> . 10001:11001(1000)').expect('> P. 11001:12001(1000)');
    peer.send('< . 1:1(0) ack 2001');
    expect(phaseOf(peer)).to.equal(Phase.Open);
    expect(peer.stats.tcp.spuriousRtos).to.equal(1);
    peer.drain();
    peer.ackAll().drain();
  });

  it('proves spurious at once where the ACK echoes a timestamp from before it (RFC 3522 §3.2) [CC-17]', () => {
    const peer = established({ timestamps: true });
    peer.wrote(3 * 988);
    const before = windowOf(peer);
    peer.expectAfterMs(220, '> . 1:989(988) ack 1');
    expect(windowOf(peer)[0]).to.equal(988);
    // The original's own timestamp, 20 ms.
    peer.send('< . 1:1(0) ack 989 <nop,nop,TS val 1241 ecr 20>');
    expect(phaseOf(peer)).to.equal(Phase.Open);
    expect(windowOf(peer)[0]).to.be.at.least(before[0]);
    expect(windowOf(peer)[1]).to.equal(before[1]);
    expect(peer.stats.tcp.undone).to.equal(1);
    peer.advanceMs(1).ackAll();
    // The echo of the retransmission proves nothing.
    const needed = established({ timestamps: true }).wrote(3 * 988);
    needed
      .expectAfterMs(220, '> . 1:989(988) ack 1')
      .send('< . 1:1(0) ack 989 <nop,nop,TS val 1241 ecr 240>');
    expect(phaseOf(needed)).to.equal(Phase.Loss);
    needed.drain();
    needed.advanceMs(1).ackAll().drain();
  });
});

describe('a fast recovery', () => {
  it('is undone when every retransmission is reported as a duplicate (RFC 3708, RFC 2883 §4) [DSACK-7 CC-18]', () => {
    const peer = established().wrote(8000).advanceMs(20);
    const before = windowOf(peer);
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 2001:8001>');
    peer.expect('> . 1:1001(1000) ack 1').expect('> . 1001:2001(1000) ack 1').expectNothing();
    expect(windowOf(peer)).to.deep.equal([4000, 4000]);
    peer.advanceMs(1).send('< . 1:1(0) ack 8001');
    expect(windowOf(peer)[1], 'not yet known').to.equal(4000);
    peer.advanceMs(1).send('< . 1:1(0) ack 8001 <nop,nop,sack 1:1001>');
    expect(windowOf(peer)[1], 'one of two').to.equal(4000);
    peer.advanceMs(1).send('< . 1:1(0) ack 8001 <nop,nop,sack 1001:2001>');
    expect(windowOf(peer)).to.deep.equal(before);
    expect(peer.stats.tcp.undone).to.equal(1);
  });

  it('is undone in its midst where the hole is filled by the original (RFC 3522) [CC-17 CC-18]', () => {
    const peer = established({ timestamps: true })
      .wrote(8 * 988)
      .advanceMs(20);
    const before = windowOf(peer);
    peer.send('< . 1:1(0) ack 1 <sack 989:4941>').expect('> . 1:989(988) ack 1 <TS val 40 ecr *>');
    expect(phaseOf(peer)).to.equal(Phase.Recovery);
    peer.advanceMs(2).send('< . 1:1(0) ack 4941 <nop,nop,TS val 1042 ecr 20>');
    expect(phaseOf(peer)).to.equal(Phase.Open);
    expect(windowOf(peer)[0]).to.be.at.least(before[0]);
    peer.drain();
    peer.ackAll();
  });

  it('that was undone leaves nothing marked lost, and the window no larger than it was (RFC 4015 §3, Linux) [CC-18 PRR-12]', () => {
    const peer = established({ timestamps: true, options: { initialWindow: 20 } })
      .wrote(20 * 988)
      .advanceMs(20);
    const before = windowOf(peer);
    peer.send('< . 1:1(0) ack 1 <sack 9881:19761>').drain();
    const { board, prr } = senderOf(peer).recovery;
    expect(board.lostBytes).to.equal(10 * 988);
    expect(prr.outBytes).to.be.above(0);
    // Only as much is sent again as the reduction allows; what is not in flight again cannot be proven.
    peer.advanceMs(1).send('< . 1:1(0) ack 9881 <nop,nop,TS val 1041 ecr 20,nop,nop,sack 9881:19761>');
    expect(board.lostBytes).to.equal(0);
    expect(phaseOf(peer)).to.equal(Phase.Open);
    // An undone reduction gives back what it took, and no more.
    expect(windowOf(peer)).to.deep.equal(before);
    peer.ackAll().drain();
  });

  it('is not undone by D-SACKs of what was not sent again, or before it began (RFC 3708 §3) [DSACK-7 DSACK-6]', () => {
    const peer = established().wrote(4000).advanceMs(20).ackAll();
    peer.wrote(8000).advanceMs(20).send('< . 1:1(0) ack 4001 <nop,nop,sack 5001:12001>');
    peer.expect('> . 4001:5001(1000) ack 1').advanceMs(20);
    peer
      .send('< . 1:1(0) ack 12001 <nop,nop,sack 1:1001>')
      .send('< . 1:1(0) ack 12001 <nop,nop,sack 1001:2001>');
    expect(peer.stats.tcp.undone).to.equal(0);
    expect(windowOf(peer)[1]).to.be.below(10_000);
  });

  it('is not undone for ever: a round trip after its end no proof is taken any more', () => {
    const peer = established().wrote(8000).advanceMs(20);
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:8001>').expect('> . 1:1001(1000) ack 1');
    peer.advanceMs(20).send('< . 1:1(0) ack 8001').wrote(2000).advanceMs(20).ackAll();
    peer.wrote(1000).advanceMs(20).ackAll();
    peer.send('< . 1:1(0) ack 11001 <nop,nop,sack 1:1001>');
    expect(peer.stats.tcp.undone).to.equal(0);
  });
});
