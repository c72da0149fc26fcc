/** Tail loss probes (RFC 8985 §7). The handshake takes 20 ms: PTO 42 ms, RTO 220 ms. */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer => Peer.established({ mss: 1000, ...options });

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;

/** What congestion control knows. */
const windowOf = (peer: Peer): number[] => {
  const { congestion } = senderOf(peer);
  return [congestion.cwndBytes, congestion.ssthreshBytes];
};

describe('a tail loss probe', () => {
  it('is due after 2·SRTT and two ticks, or with one segment in flight 200 ms more (RFC 8985 §7.2) [TLP-2]', () => {
    forEachFamily((family) => {
      established(family).wrote(3000).expectAfterMs(42, '> P. 2001:3001(1000) ack 1').abort();
      // 2·20 + 200 ms is later than the RTO of 220 ms, but not where a round trip takes longer.
      established({ ...family, options: { rtoMinMs: 1000 } })
        .wrote(1000)
        .expectAfterMs(240, '> P. 1:1001(1000) ack 1')
        .abort();
    });
  });

  it('is due after 1 s where no round trip was measured (RFC 8985 §7.2) [TLP-2]', () => {
    const peer = Peer.connecting({ mss: 1000 }).expect('> S 0:0(0)');
    peer
      .expectAfterMs(1000, '> S 0:0(0)')
      .advanceMs(20)
      .send('< S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK>');
    peer.expect('> . 1:1(0) ack 1').wrote(2000);
    peer.expectAfterMs(1000, '> P. 1001:2001(1000) ack 1').abort();
  });

  it('is never later than the time-out, whose place it takes, and which follows a full RTO later (RFC 8985 §7.2, §7.3) [TLP-3 TLP-7 TLP-12]', () => {
    const peer = established().wrote(500);
    peer.expectAfterMs(220, '> P. 1:501(500) ack 1');
    expect(peer.stats.tcp).to.include({ tlpProbes: 1, timeouts: 0 });
    // No second probe: the next to expire is the time-out, and it backs off from there.
    peer.expectAfterMs(220, '> P. 1:501(500) ack 1').expectAfterMs(440, '> P. 1:501(500) ack 1');
    expect(peer.stats.tcp).to.include({ tlpProbes: 1, timeouts: 2 });
    peer.abort().drain();
  });

  it('is due anew after each transmission of new data, and after each ACK that leaves some in flight (RFC 8985 §7.2) [TLP-1]', () => {
    const peer = established().wrote(3000).advanceMs(30).wrote(1000);
    peer.expectNothing(41).expectAfterMs(1, '> P. 3001:4001(1000) ack 1');
    const other = established().wrote(4000).advanceMs(30).send('< . 1:1(0) ack 1001');
    // The round trip of 30 ms counts into SRTT: the next probe is due 2·SRTT and two ticks from the ACK.
    const dueMs = Math.ceil((2 * senderOf(other).recovery.rtt.srttUs) / 1000 + 2);
    other
      .expectNothing(dueMs - 1)
      .advanceMs(1)
      .expect('> P. 3001:4001(1000) ack 1');
    peer.abort().drain();
    other.abort().drain();
  });

  it('is not put off by what the peer sends meanwhile, nor by ACKs of nothing new [TLP-1]', () => {
    const peer = established().wrote(3000);
    peer.advanceMs(20).send('< P. 1:101(100) ack 1').expect('> . 3001:3001(0) ack 101');
    peer.advanceMs(10).send('< . 101:101(0) ack 1');
    peer.expectAfterMs(12, '> P. 2001:3001(1000) ack 101').expectRead(100).abort().drain();
  });

  it('is not sent without SACK, in recovery, or with anything selectively acknowledged (RFC 8985 §7.2) [TLP-1]', () => {
    established({ sack: false }).wrote(3000).expectAfterMs(220, '> . 1:1001(1000) ack 1').abort().drain();
    const sacked = established().wrote(4000).advanceMs(20);
    sacked.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>');
    // What is missing is lost by the clock of RACK (a quarter of the round trip), not by a probe.
    sacked.expectAfterMs(5, '> . 1:1001(1000) ack 1');
    expect(sacked.stats.tcp.tlpProbes).to.equal(0);
    sacked.advanceMs(100);
    expect(sacked.stats.tcp.tlpProbes, 'in recovery').to.equal(0);
    sacked.abort().drain();
  });

  it('is new data where there is some that the window admits, beyond the congestion window by one segment (RFC 8985 §7.3) [TLP-4 TLP-6]', () => {
    const peer = established({ options: { initialWindow: 9 } }).wrote(9000);
    peer.write(2000).expectNothing();
    peer.expectAfterMs(42, '> . 9001:10001(1000) ack 1').expectNothing(100);
    expect(senderOf(peer).recovery.inFlightBytes).to.equal(10_000);
    peer.abort().drain();
  });

  it('is the last segment again where the window admits nothing new (RFC 8985 §7.3) [TLP-4 TLP-6]', () => {
    const peer = established({ window: 3000 }).wrote(3000).write(2000).expectNothing();
    peer.expectAfterMs(42, '> P. 2001:3001(1000) ack 1');
    peer.abort().drain();
    const even = established().wrote(2500).expectAfterMs(42, '> P. 2001:2501(500) ack 1');
    even.abort().drain();
  });

  it('is alone until it is answered (RFC 8985 §7.3, Linux) [TLP-5 TLP-12]', () => {
    const peer = established().wrote(3000).expectAfterMs(42, '> P. 2001:3001(1000) ack 1');
    // A partial ACK does not end the episode, so nothing is probed for again.
    peer.send('< . 1:1(0) ack 1001').expectNothing(150);
    expect(peer.stats.tcp.tlpProbes).to.equal(1);
    peer.abort().drain();
  });

  it('of new data just ends with its ACK (RFC 8985 §7.4) [TLP-8]', () => {
    const peer = established({ window: 4000 }).wrote(3000).advanceMs(10);
    // The rest was held by Nagle: a partial segment behind full ones.
    peer.endpoint.setCork(true);
    peer.write(500).expectNothing();
    peer.expectAfterMs(32, '> P. 3001:3501(500) ack 1');
    const before = windowOf(peer);
    peer.advanceMs(5).ackAll();
    expect(senderOf(peer).recovery.probe.isOut).to.equal(false);
    expect(windowOf(peer)[1]).to.equal(before[1]);
    expect(peer.stats.tcp.tlpRecoveries).to.equal(0);
  });

  it('that proves to have been superfluous changes no window: by D-SACK, or by a plain duplicate ACK (RFC 8985 §7.4.2) [TLP-9]', () => {
    for (const answer of ['< . 1:1(0) ack 3001 <nop,nop,sack 2001:3001>', '< . 1:1(0) ack 3001']) {
      const peer = established().wrote(3000).expectAfterMs(42, '> P. 2001:3001(1000) ack 1');
      peer.send('< . 1:1(0) ack 3001');
      const before = windowOf(peer);
      expect(senderOf(peer).recovery.probe.isOut, 'not yet known').to.equal(true);
      peer.wrote(1000).send(answer);
      expect(senderOf(peer).recovery.probe.isOut).to.equal(false);
      peer.advanceMs(20).ackAll();
      expect(windowOf(peer)[1]).to.equal(before[1]);
      expect(peer.stats.tcp.tlpRecoveries).to.equal(0);
    }
  });

  it('that has repaired a loss is answered by one reduction (RFC 8985 §7.4.2) [TLP-10]', () => {
    const peer = established({ options: { congestionControl: 'reno' } }).wrote(3000);
    peer.expectAfterMs(42, '> P. 2001:3001(1000) ack 1').send('< . 1:1(0) ack 3001');
    // Nothing tells yet: were it superfluous, a D-SACK would come. An ACK beyond it without one tells.
    peer.wrote(2000).advanceMs(20).ackAll();
    expect(peer.stats.tcp.tlpRecoveries).to.equal(1);
    expect(windowOf(peer)).to.deep.equal([2000, 2000]);
    expect(senderOf(peer).recovery.phase).to.equal(0);
  });

  it('makes the loss of a whole tail known, which then is recovered without a time-out (RFC 8985 §7) [TLP-11 RACK-17]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(5000).advanceMs(20).send('< . 1:1(0) ack 2001');
      const dueMs = (2 * senderOf(peer).recovery.rtt.srttUs) / 1000 + 2;
      peer.expectAfterMs(dueMs, '> P. 4001:5001(1000) ack 1').advanceMs(20);
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:5001>');
      peer
        .expect('> . 2001:3001(1000) ack 1')
        .advanceMs(20)
        .send('< . 1:1(0) ack 3001 <nop,nop,sack 4001:5001>');
      peer.expect('> . 3001:4001(1000) ack 1').advanceMs(20).ackAll();
      expect(peer.stats.tcp).to.include({ timeouts: 0, sackRecovery: 1 });
    });
  });

  it('goes for a FIN as for text, and not while a closed window is probed (RFC 8985 §7, Linux) [TLP-13]', () => {
    const peer = established().shutdown().expect('> F. 1:1(0) ack 1');
    peer.expectAfterMs(220, '> F. 1:1(0) ack 1');
    expect(peer.stats.tcp).to.include({ tlpProbes: 1, timeouts: 0 });
    peer.ackAll();
    const tail = established().wrote(2000).shutdown().expect('> F. 2001:2001(0) ack 1');
    tail.expectAfterMs(42, '> F. 2001:2001(0) ack 1').ackAll();
    const closed = established().wrote(1000).send('< . 1:1(0) ack 1001 win 0').write(1000);
    closed.expectNothing(200).advanceMs(100);
    expect(closed.stats.tcp.tlpProbes).to.equal(0);
    closed.abort().drain();
  });
});
