/** Peers that play with acknowledgments to get more than their share, or to do harm (robustness.md, section D). */
import { expect } from 'chai';
import { Phase } from '../../../lib/tcp/recovery/recovery.js';
import { forEachIsn, Peer, type PeerOptions } from '../../support/peer.js';

const MSS = 1000;

const established = (options: PeerOptions = {}): Peer =>
  Peer.established({ mss: MSS, windowScale: 7, ...options });

const reno = (options: PeerOptions = {}): Peer =>
  established({ ...options, options: { congestionControl: 'reno', ...options.options } });

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const cwndOf = (peer: Peer): number => senderOf(peer).congestion.cwndBytes;
const phaseOf = (peer: Peer): Phase => senderOf(peer).recovery.phase;

/** Everything a peer could gain or break: what is in flight, the windows, the phase, what was sent again. */
function stateOf(peer: Peer): unknown[] {
  const { congestion, recovery, sndUna, sndNxt } = senderOf(peer);
  const { cwndBytes, ssthreshBytes } = congestion;
  return [cwndBytes, ssthreshBytes, recovery.inFlightBytes, recovery.phase, sndUna, sndNxt, recovery.rtoUs];
}

describe('duplicate ACKs', () => {
  it('are those without text, SYN, FIN or another window, of the highest ACK number, with data out (RFC 5681 §2) [CC-7]', () => {
    const dup = '< . 1:1(0) ack 1 win 65535';
    const variants: Record<string, string[]> = {
      'with text': ['< . 1:11(10) ack 1 win 65535', '< . 11:21(10) ack 1 win 65535'],
      'with another window': ['< . 1:1(0) ack 1 win 65000', '< . 1:1(0) ack 1 win 64000'],
      // Behind the FIN comes a true one: the second, not the third.
      'with FIN': ['< F. 1:1(0) ack 1 win 65535', '< . 2:2(0) ack 1 win 65535'],
      'two of them': [dup],
    };
    for (const [name, lines] of Object.entries(variants)) {
      const peer = reno({ sack: false }).wrote(8 * MSS);
      peer.advanceMs(20).send(dup).drain();
      // One true duplicate has come; those that are none add nothing to it.
      for (const line of lines) peer.send(line).drain();
      expect(phaseOf(peer), name).to.equal(Phase.Open);
      peer.abort().drain();
    }
    const idle = reno({ sack: false });
    for (let i = 0; i < 5; i++) idle.send(dup);
    expect(stateOf(idle.expectNothing())[3]).to.equal(Phase.Open);
  });

  it('that are forged do not begin recovery where SACK was agreed on and they bring no news (Savage et al., 1999) [D2]', () => {
    const peer = reno()
      .wrote(10 * MSS)
      .write(50 * MSS)
      .advanceMs(20);
    const before = stateOf(peer);
    for (let i = 0; i < 500; i++) peer.send('< . 1:1(0) ack 1 win 65535');
    expect(stateOf(peer)).to.deep.equal(before);
    peer.expectNothing(10).abort().drain();
  });

  it('without SACK stand for no more than what is out (Savage et al., 1999) [D2]', () => {
    const peer = reno({ sack: false })
      .wrote(10 * MSS)
      .write(50_000)
      .advanceMs(20);
    for (let i = 0; i < 500; i++) peer.send('< . 1:1(0) ack 1 win 65535');
    const sender = senderOf(peer);
    // Ten were out; each forged ACK may free what one true one would, and no more than there was.
    expect(peer.endpoint.unackedBytes - peer.endpoint.unsentBytes).to.be.at.most(21 * MSS);
    expect(sender.recovery.inFlightBytes).to.be.at.least(0);
    expect(sender.congestion.ssthreshBytes).to.equal(5 * MSS);
    peer.abort().drain();
  });

  it('of what was sent before a time-out do not begin a recovery (RFC 6582 §3.2, §4) [CC-11]', () => {
    const peer = reno({ sack: false, options: { forwardRto: false } }).wrote(6 * MSS);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    const threshold = senderOf(peer).congestion.ssthreshBytes;
    peer.send('< . 1:1(0) ack 1001').drain();
    for (let i = 0; i < 6; i++) peer.send('< . 1:1(0) ack 1001').drain();
    expect(phaseOf(peer)).to.equal(Phase.Loss);
    expect(senderOf(peer).congestion.ssthreshBytes).to.equal(threshold);
    // Nor when the ACK reaches just what had been sent then, and more is out: that may still be an echo of those.
    peer
      .write(5 * MSS)
      .send('< . 1:1(0) ack 6001')
      .drain();
    for (let i = 0; i < 3; i++) peer.send('< . 1:1(0) ack 6001');
    expect(peer.endpoint.unackedBytes).to.equal(5 * MSS);
    expect(peer.stats.tcp.renoRecovery).to.equal(0);
    peer.ackAll().drain();
    peer.ackAll();
  });

  it('of the ACK that ended a time-out begin no recovery either, those of the next do (RFC 6582 §3.2 step 1) [CC-11]', () => {
    const peer = reno({ sack: false, options: { forwardRto: false } }).wrote(8 * MSS);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    // Two partial ACKs open the window again, so that enough is out for three duplicates to mean something.
    peer.send('< . 1:1(0) ack 3001').drain();
    peer.send('< . 1:1(0) ack 5001').drain();
    peer.send('< . 1:1(0) ack 8001').drain();
    expect(phaseOf(peer)).to.equal(Phase.Open);
    peer.write(8 * MSS).drain();
    expect(senderOf(peer).recovery.inFlightBytes).to.be.at.least(3 * MSS);
    for (let i = 0; i < 4; i++) peer.send('< . 1:1(0) ack 8001').drain();
    expect(peer.stats.tcp.renoRecovery).to.equal(0);
    peer.send('< . 1:1(0) ack 9001').drain();
    for (let i = 0; i < 3; i++) peer.send('< . 1:1(0) ack 9001').drain();
    expect(peer.stats.tcp.renoRecovery).to.equal(1);
    expect(phaseOf(peer)).to.equal(Phase.Recovery);
    peer.abort().drain();
  });

  it('count only where three are of the same ACK (RFC 5681 §3.2) [CC-9]', () => {
    const peer = reno({ sack: false })
      .wrote(8 * MSS)
      .advanceMs(20);
    for (const [ack, times] of [
      [1, 2],
      [1001, 3],
      [2001, 3],
    ]) {
      // The first of each moves on.
      for (let i = 0; i < times; i++) peer.send(`< . 1:1(0) ack ${ack}`).drain();
      expect(peer.stats.tcp.renoRecovery).to.equal(0);
    }
    peer.send('< . 1:1(0) ack 2001').drain();
    expect(peer.stats.tcp.renoRecovery).to.equal(1);
    peer.abort().drain();
  });
});

describe('ACKs ahead of what arrived', () => {
  it('beyond SND.NXT are dropped and answered, and change nothing (RFC 9293 §3.10.7.4) [D4 CC-25]', () => {
    forEachIsn((isn) => {
      const peer = reno(isn)
        .wrote(3 * MSS)
        .advanceMs(20);
      const before = stateOf(peer);
      peer.send('< . 1:1(0) ack 3002').expect('> . 3001:3001(0) ack 1');
      for (let i = 2; i < 20; i++) peer.send(`< . 1:1(0) ack ${3001 + i * 7919}`);
      expect(stateOf(peer)).to.deep.equal(before);
      peer.drain();
      peer.ackAll();
    });
  });

  it('within SND.NXT grow the window by what is acknowledged, up to its bound, and make no round trip of nothing (Savage et al., 1999) [D3 CC-25]', () => {
    const peer = reno({ options: { maxCongestionWindowBytes: 100 * MSS, sendBufferBytes: 1 << 20 } });
    peer.endpoint.setSendBuffer(1 << 20);
    peer.write(600 * MSS);
    let acked = 0;
    for (let i = 0; i < 40; i++) {
      const before = cwndOf(peer);
      // All that has left is acknowledged at once, as if it had arrived.
      const newly = peer.rcvNxt - 1 - acked;
      acked += newly;
      peer.advanceMs(1).ackAll().drain();
      expect(cwndOf(peer)).to.be.at.most(Math.min(100 * MSS, before + Math.max(newly, MSS)));
    }
    expect(senderOf(peer).recovery.rtt.srttUs).to.be.above(0);
    expect(cwndOf(peer)).to.be.at.most(100 * MSS);
    peer.abort().drain();
  });
});

describe('SACK blocks', () => {
  it('of what was never sent, reversed, or of all numbers there are, are ignored and counted (CVE-2020-11912) [D5]', () => {
    forEachIsn((isn) => {
      const peer = reno(isn)
        .wrote(5 * MSS)
        .advanceMs(20);
      const before = stateOf(peer);
      for (const block of ['5001:6001', '6001:9001', '3001:2001', '2001:2001', '2001:2147483600', '1:5001']) {
        peer.send(`< . 1:1(0) ack 1 <nop,nop,sack ${block}>`);
      }
      expect(stateOf(peer)).to.deep.equal(before);
      expect(peer.stats.tcp.sackInvalid).to.be.at.least(6);
      peer.expectNothing().ackAll();
    });
  });

  it('that are taken back again and again cost one restart each time, and never a standstill (RFC 2018 §8) [D6]', () => {
    const peer = reno({ tailLossProbe: false })
      .wrote(10 * MSS)
      .advanceMs(20);
    for (let at = 0; at < 9; at++) {
      const ack = MSS * at + 1;
      peer.send(`< . 1:1(0) ack ${ack} <nop,nop,sack ${ack + MSS}:10001>`).drain();
      // Acknowledged up to the block, and not the block.
      peer.send(`< . 1:1(0) ack ${ack + MSS}`);
      peer.advanceMs(400).drain();
    }
    expect(peer.stats.tcp.sackReneging).to.equal(9);
    peer.ackAll();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('as forged D-SACKs undo nothing that was not sent again, and never more than was taken (RFC 3708 §3) [D7]', () => {
    const peer = reno()
      .wrote(10 * MSS)
      .advanceMs(20);
    const [cwnd, ssthresh] = stateOf(peer);
    const forge = (): void => {
      for (let n = 0; n < 10; n++) {
        peer.send(`< . 1:1(0) ack 10001 <nop,nop,sack ${n * MSS + 1}:${(n + 1) * MSS + 1}>`);
      }
    };
    peer
      .send('< . 1:1(0) ack 1 <nop,nop,sack 1001:5001>')
      .expect('> . 1:1001(1000) ack 1')
      .advanceMs(20)
      .ackAll();
    const reduced = stateOf(peer).slice(0, 2);
    expect(reduced[1]).to.be.below(ssthresh as number);
    forge();
    // The one of the ten that was sent again is believed: it gives back what was taken, no more, and once.
    expect(stateOf(peer).slice(0, 2)).to.deep.equal([cwnd, ssthresh]);
    forge();
    forge();
    expect(peer.stats.tcp.undone).to.equal(1);
    expect(stateOf(peer).slice(0, 2)).to.deep.equal([cwnd, ssthresh]);
  });
});

describe('windows', () => {
  it('that grow, shrink and close are never overrun, and wrap nothing (RFC 9293 §3.8.6) [D8 D9]', () => {
    forEachIsn((isn) => {
      const peer = reno({ ...isn, windowScale: 0 });
      peer.write(40 * MSS).drain();
      for (const window of [0, 1, 0, 1, 3000, 2, 65_535, 0, 500, 1, 10_000, 0]) {
        peer.advanceMs(250).drain();
        const highest = peer.rcvNxt;
        peer.send(`< . 1:1(0) ack ${highest} win ${window}`);
        for (const { line } of peer.drain()) {
          const end = line.start + line.textBytes;
          // A window that is all there is may be filled by a segment of its size, when time has passed.
          if (end > highest) expect(end - highest, `window ${window}`).to.be.at.most(window);
        }
      }
      peer.abort().drain();
    });
  });
});

describe('echoed timestamps', () => {
  it('from the future, or from before the connection, measure nothing (RFC 7323 §4) [D17]', () => {
    const peer = reno({ timestamps: true }).advanceMs(1000).wrote(988).advanceMs(30);
    const { rtt } = senderOf(peer).recovery;
    const before = [rtt.srttUs, rtt.rttVarUs, rtt.minRttUs];
    for (const ecr of [5000, 2147483000, -5000, -60_000, 0]) {
      peer.send(`< . 1:1(0) ack 1 <nop,nop,TS val 2100 ecr ${ecr >>> 0}>`);
    }
    expect([rtt.srttUs, rtt.rttVarUs, rtt.minRttUs]).to.deep.equal(before);
    // With the ACK that advances, the clock of what was sent counts, whatever the echo says.
    peer.send('< . 1:1(0) ack 989 <nop,nop,TS val 2101 ecr 4000000000>');
    expect(rtt.minRttUs).to.equal(20_000);
    expect(rtt.srttUs).to.be.within(20_000, 30_000);
  });

  it('that never change, or run backwards, make no time of nothing and divide by nothing [D18]', () => {
    for (const congestionControl of ['reno', 'cubic', 'bbr']) {
      const peer = established({ timestamps: true, options: { congestionControl } });
      peer.endpoint.setSendBuffer(1 << 20);
      peer.write(300_000);
      for (let i = 0; i < 60; i++) {
        const echo = i % 2 === 0 ? 20 : 1;
        peer.send(`< . 1:1(0) ack ${peer.rcvNxt} <nop,nop,TS val 1000 ecr ${echo}>`).drain();
        peer.advanceMs(i % 3);
      }
      const { congestion, recovery } = senderOf(peer);
      for (const value of [
        congestion.cwndBytes,
        congestion.ssthreshBytes,
        recovery.rtoUs,
        recovery.rtt.srttUs,
      ]) {
        expect(value, congestionControl).to.be.above(0);
      }
      expect(recovery.rtoUs).to.be.within(200_000, 120e6);
      expect(recovery.rtt.srttUs + congestion.cwndBytes, congestionControl).to.be.finite;
      peer.abort().drain();
    }
  });
});

describe('an ACK long delayed, to force a time-out', () => {
  it('finds recovery right, and the reduction taken back (low-rate attack) [D16]', () => {
    const peer = reno({ tailLossProbe: false })
      .wrote(8 * MSS)
      .write(8 * MSS);
    peer.drain();
    const before = cwndOf(peer);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    peer.advanceMs(1).send('< . 1:1(0) ack 1001').drain();
    peer.advanceMs(1).send('< . 1:1(0) ack 8001').drain();
    expect(peer.stats.tcp.spuriousRtos).to.equal(1);
    expect(phaseOf(peer)).to.equal(Phase.Open);
    expect(cwndOf(peer)).to.be.at.least(before);
    for (let i = 0; i < 5; i++) peer.advanceMs(1).ackAll().drain();
    expect(peer.stats.tcp.retransSegs).to.equal(1);
  });
});

describe('a lost retransmission', () => {
  it('after a time-out is one more indication of congestion: the threshold falls again (RFC 5681 §4.3, Linux) [CC-15]', () => {
    const peer = reno({ tailLossProbe: false, options: { forwardRto: false, initialWindow: 20 } });
    peer
      .wrote(20 * MSS)
      .write(10 * MSS)
      .advanceMs(20)
      .send('< . 1:1(0) ack 2001')
      .drain();
    peer.advanceMs(300).drain();
    const threshold = senderOf(peer).congestion.ssthreshBytes;
    expect(phaseOf(peer)).to.equal(Phase.Loss);
    // Slow start sends again 2001, then 3001 and 4001; the second of those arrives, the first is lost again.
    peer.advanceMs(20).send('< . 1:1(0) ack 3001').drain();
    peer.advanceMs(20).send('< . 1:1(0) ack 3001 <nop,nop,sack 4001:5001>').drain();
    peer.advanceMs(30).drain();
    expect(peer.stats.tcp.lostRetransmit).to.equal(1);
    expect(senderOf(peer).congestion.ssthreshBytes).to.be.below(threshold);
    for (let i = 0; i < 8; i++) peer.advanceMs(20).ackAll().drain();
  });
});
