/** RACK on one connection (RFC 8985 §6). The round trip takes 20 ms, so a quarter of it is 5 ms. */
import { expect } from 'chai';
import { seqAdd } from '../../../lib/base/seq.js';
import type { CongestionControl } from '../../../lib/tcp/congestion/congestion-control.js';
import { Phase, RecoveryTimer } from '../../../lib/tcp/recovery/recovery.js';
import { RowFlag } from '../../../lib/tcp/recovery/sent-log.js';
import { Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer => Peer.established({ mss: 1000, ...options });

const recoveryOf = (peer: Peer) => peer.endpoint.connection.sender.recovery;

/** The peer has `[from, to)` in thousands beyond the ACK number, and says so. */
const sack = (ack: number, ...blocks: [number, number][]): string => {
  const edges = blocks.map(([from, to]) => `${1000 * from + 1}:${1000 * to + 1}`).join(' ');
  return `< . 1:1(0) ack ${ack === 0 ? 1 : 1000 * ack + 1} <nop,nop,sack ${edges}>`;
};

/** One reordering is seen: the second of two segments is acknowledged before the first. */
function reordered(peer: Peer): Peer {
  const base = (peer.rcvNxt - 1) / 1000;
  peer
    .wrote(2000)
    .advanceMs(20)
    .send(sack(base, [base + 1, base + 2]));
  peer.advanceMs(1).send(`< . 1:1(0) ack ${1000 * (base + 2) + 1}`);
  expect(recoveryOf(peer).rack.reorderingSeen).to.equal(true);
  return peer;
}

/** A congestion control that nothing moves. */
const fixedWindow = (bytes: number): CongestionControl => ({
  name: 'fixed',
  cwndBytes: bytes,
  ssthreshBytes: bytes,
  pacingRateBps: Number.POSITIVE_INFINITY,
  usesPrr: false,
  onAck: () => {},
  onCongestion: () => {},
  onRecovered: () => {},
  onSpurious: () => {},
  onIdle: () => {},
  setMss: () => {},
});

describe('RACK', () => {
  it('needs SACK: without it losses are told by counting duplicates (RFC 8985 §4) [RACK-0]', () => {
    const peer = established({ sack: false }).wrote(4000).advanceMs(20);
    const duplicate = '< . 1:1(0) ack 1';
    peer.send(duplicate).send(duplicate).expectNothing(50);
    peer.send(duplicate).expect('> . 1:1001(1000) ack 1');
    expect(recoveryOf(peer).detector.usesRack).to.equal(false);
    peer.abort().drain();
  });

  it('keeps for each segment when it was last sent, and whether it was sent again or is lost (RFC 8985 §5, §6.1) [RACK-0 RACK-1]', () => {
    const peer = established().wrote(5000).advanceMs(20);
    peer.send(sack(0, [1, 5])).expect('> . 1:1001(1000) ack 1');
    const { log } = recoveryOf(peer);
    const first = log.slot(0);
    const marks = RowFlag.LOST | RowFlag.RETRANSMITTED | RowFlag.EVER_RETRANSMITTED | RowFlag.SACKED;
    expect(log.flags(first) & marks).to.equal(marks & ~RowFlag.SACKED);
    expect(log.sentAtUs(first) - log.sentAtUs(log.slot(1))).to.equal(20_000);
    peer.advanceMs(20).ackAll();
  });

  it('takes its smallest round trip from what was sent once (RFC 8985 §6.2 step 1) [RACK-2]', () => {
    const peer = established().wrote(5000).advanceMs(30);
    peer.send(sack(0, [1, 5])).expect('> . 1:1001(1000) ack 1');
    // The ACK of what was sent again comes after 1 ms: that is the original's.
    peer.advanceMs(1).send('< . 1:1(0) ack 5001');
    expect(recoveryOf(peer).rtt.minRttUs).to.equal(20_000);
    peer.wrote(1000).advanceMs(12).ackAll();
    expect(recoveryOf(peer).rtt.minRttUs).to.equal(12_000);
    // A minimum does not count for ever: the path may have changed (Linux: 300 s).
    peer.advanceMs(301_000).wrote(1000).advanceMs(40).ackAll();
    expect(recoveryOf(peer).rtt.minRttUs).to.equal(40_000);
  });

  it('does not take the ACK of an original for that of its retransmission (RFC 8985 §6.2 step 2) [RACK-4]', () => {
    // By time: less than the smallest round trip has passed.
    const peer = established().wrote(5000).advanceMs(20);
    peer.send(sack(0, [1, 5])).expect('> . 1:1001(1000) ack 1');
    const sentAtUs = recoveryOf(peer).rack.xmitUs;
    peer.advanceMs(5).send('< . 1:1(0) ack 1001 <nop,nop,sack 1001:5001>');
    expect(recoveryOf(peer).rack.xmitUs).to.equal(sentAtUs);
    // By the timestamp it echoes.
    const stamped = established({ timestamps: true })
      .wrote(5 * 988)
      .advanceMs(20);
    stamped.send('< . 1:1(0) ack 1 <sack 989:4941>').expect('> . 1:989(988) ack 1');
    const before = recoveryOf(stamped).rack.xmitUs;
    stamped.advanceMs(25).send('< . 1:1(0) ack 989 <nop,nop,TS val 1060 ecr 20,nop,nop,sack 989:4941>');
    expect(recoveryOf(stamped).rack.xmitUs, 'an old echo').to.equal(before);
    stamped.ackAll();
    const fresh = established({ timestamps: true })
      .wrote(5 * 988)
      .advanceMs(20);
    fresh.send('< . 1:1(0) ack 1 <sack 989:4941>').expect('> . 1:989(988) ack 1');
    fresh.advanceMs(25).send('< . 1:1(0) ack 989 <nop,nop,TS val 1060 ecr 40,nop,nop,sack 989:4941>');
    expect(recoveryOf(fresh).rack.rttUs, 'its own echo').to.equal(25_000);
    fresh.ackAll();
    peer.ackAll();
  });

  it('sees reordering where something sent once is delivered below what was delivered before (RFC 8985 §6.2 step 3) [RACK-5]', () => {
    const peer = established()
      .wrote(4000)
      .advanceMs(20)
      .send(sack(0, [2, 3]));
    expect(recoveryOf(peer).rack.reorderingSeen).to.equal(false);
    peer.send(sack(0, [2, 3], [1, 2]));
    expect(recoveryOf(peer).rack.reorderingSeen).to.equal(true);
    peer.ackAll();
    // Not where the lower one was sent again.
    const other = established().wrote(5000).advanceMs(20);
    other
      .send(sack(0, [1, 5]))
      .expect('> . 1:1001(1000) ack 1')
      .advanceMs(20)
      .ackAll();
    expect(recoveryOf(other).rack.reorderingSeen).to.equal(false);
  });

  it('waits for nothing where no reordering was seen and three segments are acknowledged beyond, or in recovery (RFC 8985 §6.2 step 4) [RACK-6]', () => {
    const peer = established().wrote(8000).advanceMs(20);
    peer.send(sack(0, [1, 3])).expectNothing(2);
    peer.send(sack(0, [1, 4])).expect('> . 1:1001(1000) ack 1');
    // In recovery the next hole is lost as soon as anything sent after it has arrived.
    peer
      .send(sack(0, [5, 6], [1, 4]))
      .expect('> . 4001:5001(1000) ack 1')
      .advanceMs(20)
      .ackAll();
  });

  it('else waits a quarter of the smallest round trip, times its multiplier, at most SRTT (RFC 8985 §6.2 step 4) [RACK-7 RACK-11]', () => {
    const peer = established()
      .wrote(4000)
      .advanceMs(20)
      .send(sack(0, [1, 2]));
    peer.expectNothing(4).expectAfterMs(1, '> . 1:1001(1000) ack 1').advanceMs(20).ackAll();
    // With reordering known, also where three are beyond.
    const wary = reordered(established())
      .wrote(8000)
      .advanceMs(20)
      .send(sack(2, [3, 10]));
    expect(recoveryOf(wary).timers.expired(Number.MAX_VALUE)).to.equal(RecoveryTimer.Reordering);
    wary.expectNothing(4).expectAfterMs(1, '> . 2001:3001(1000) ack 1').advanceMs(20).ackAll();
    const { rack } = recoveryOf(wary);
    rack.multiplier = 100;
    const facts = { isRecovering: false, hasDupThresh: true, minRttUs: 20_000, srttUs: 21_000 };
    expect(rack.windowUs(facts)).to.equal(21_000);
  });

  it('widens its window once a round with D-SACK, and narrows it after sixteen recoveries (RFC 8985 §6.2 step 4) [RACK-8 RACK-9 DSACK-8]', () => {
    const peer = established();
    peer.endpoint.connection.sender.congestion = fixedWindow(100_000);
    const { rack } = recoveryOf(peer);
    let at = 0;
    /** A recovery of one segment; `spurious` where the original arrives as well. */
    const recover = (isSpurious: boolean): void => {
      peer
        .wrote(5000)
        .advanceMs(20)
        .send(sack(at, [at + 1, at + 5]));
      peer.advanceMs(60).drain();
      const first = `${1000 * at + 1}:${1000 * at + 1001}`;
      at += 5;
      const ack = `< . 1:1(0) ack ${1000 * at + 1}`;
      peer.send(isSpurious ? `${ack} <nop,nop,sack ${first}>` : ack);
      peer.advanceMs(100).drain();
    };
    recover(true);
    expect(rack.multiplier).to.equal(2);
    // More of them in one round count once.
    const { sndUna } = peer.endpoint.connection.sender;
    for (let i = 0; i < 3; i++) rack.duplicateSeen(sndUna, seqAdd(sndUna, 5000));
    expect(rack.multiplier).to.equal(3);
    rack.multiplier = 2;
    recover(true);
    expect(rack.multiplier).to.equal(3);
    for (let i = 0; i < 15; i++) recover(false);
    expect(rack.multiplier, 'after fifteen').to.equal(3);
    recover(false);
    expect(rack.multiplier, 'after sixteen').to.equal(1);
    peer.ackAll();
  });

  it('finds a lost retransmission by the same rule, without a time-out (RFC 8985 §3.3) [RACK-12 CC-22]', () => {
    const peer = established({ options: { congestionControl: 'reno' } })
      .wrote(10_000)
      .advanceMs(20);
    peer
      .send(sack(0, [1, 5]))
      .expect('> . 1:1001(1000) ack 1')
      .advanceMs(1);
    const { congestion } = peer.endpoint.connection.sender;
    const reduced = congestion.ssthreshBytes;
    peer
      .write(4000)
      .advanceMs(15)
      .send(sack(0, [1, 10]))
      .drain();
    // What was sent after the retransmission arrives, and the retransmission does not.
    peer
      .advanceMs(20)
      .send(sack(0, [1, 12]))
      .expect('> . 1:1001(1000) ack 1');
    expect(peer.stats.tcp).to.include({ lostRetransmit: 1, timeouts: 0 });
    expect(congestion.ssthreshBytes, 'one reduction').to.equal(reduced);
    peer.advanceMs(20).ackAll().drain();
    peer.ackAll();
  });

  it('takes only the first segment for lost at a time-out, and what is old enough (RFC 8985 §6.3) [RACK-14]', () => {
    const peer = established({ tailLossProbe: false }).wrote(1000).advanceMs(20).ackAll();
    peer.wrote(3000).advanceMs(210).wrote(2000).expectAfterMs(10, '> . 1001:2001(1000) ack 1');
    const { log, board, phase } = recoveryOf(peer);
    expect(phase).to.equal(Phase.Loss);
    expect(board.lostBytes).to.equal(3000);
    const young = [3, 4].map((i) => log.has(log.slot(i), RowFlag.LOST));
    expect(young).to.deep.equal([false, false]);
    peer.abort().drain();
  });

  it('has one timer at a time with the probe and the time-out: the earliest (RFC 8985 §8) [RACK-15]', () => {
    const peer = established().wrote(4000);
    const { timers } = recoveryOf(peer);
    const next = (): RecoveryTimer => timers.expired(timers.deadlineUs);
    expect(next()).to.equal(RecoveryTimer.Probe);
    peer.advanceMs(20).send(sack(0, [1, 2]));
    expect(next()).to.equal(RecoveryTimer.Reordering);
    peer.advanceMs(5).expect('> . 1:1001(1000) ack 1');
    expect(next()).to.equal(RecoveryTimer.Retransmission);
    peer.ackAll();
    expect(timers.deadlineUs, 'nothing in flight').to.equal(Number.POSITIVE_INFINITY);
  });

  it('says what is lost, and leaves it to the congestion window when it is sent (RFC 8985 §9) [RACK-16]', () => {
    const peer = established({ options: { congestionControl: 'reno', initialWindow: 20 } }).wrote(20_000);
    peer
      .advanceMs(20)
      .send(sack(0, [10, 13]))
      .drain();
    const { board } = recoveryOf(peer);
    expect(board.lostBytes).to.equal(10_000);
    // Ten are lost and three have arrived: seven are in flight, and ten may be.
    expect(board.retransmittedBytes).to.equal(3000);
    expect(recoveryOf(peer).inFlightBytes).to.equal(10_000);
    while (peer.endpoint.unackedBytes > 0) peer.advanceMs(20).ackAll().drain();
  });

  it('leaves the time-out where it was when its own timer has run out (Linux tcp_rearm_rto) [RTO-9]', () => {
    const peer = established()
      .wrote(4000)
      .advanceMs(20)
      .send(sack(0, [2, 3]));
    // 1:1001 and 1001:2001 are late, and lost 5 ms later; the first goes again and starts the timer anew.
    const { timers } = recoveryOf(peer);
    const dueUs = timers.retransmissionUs;
    peer.advanceMs(4).send(sack(0, [2, 4]));
    expect(timers.retransmissionUs, 'no news of the first').to.equal(dueUs);
    // Once it is sent again the time counts from there, in full.
    peer.advanceMs(5).expect('> . 1:1001(1000) ack 1');
    const { log, rtoUs } = recoveryOf(peer);
    expect(timers.retransmissionUs).to.equal(log.sentAtUs(log.slot(0)) + rtoUs);
    peer.drain();
    peer.ackAll();
  });
});
