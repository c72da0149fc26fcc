/** What a stack and a connection tell of themselves: tcp.md RM-13, RM-14. */
import { expect } from 'chai';
import { DropReason, type TcpStats } from '../../../lib/base/stats.js';
import { Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

describe('the counters of TCP', () => {
  /** What grows by how much, and what makes it grow (the names are those of RFC 4022 and Linux). */
  const EVENTS: Readonly<Record<string, readonly [counts: Partial<TcpStats>, what: () => Peer]>> = {
    'connections made and ended': [
      { passiveOpens: 1, estabResets: 1, currEstab: 0 },
      () => Peer.established().send('< R. 1:1(0) ack 1'),
    ],
    'attempts that fail': [
      { activeOpens: 1, attemptFails: 1, estabResets: 0 },
      () => Peer.connecting().send('< R. 0:0(0) ack 1'),
    ],
    'segments in and out': [{ inSegs: 3, outSegs: 2 }, () => Peer.established().sendText(10)],
    'wrong checksums': [
      { inErrs: 1, inCsumErrors: 1 },
      () => Peer.established().send('< P. 1:11(10) ack 1', { tcpChecksum: 'bad' }),
    ],
    'segments sent again, time-outs': [
      { retransSegs: 2, timeouts: 2, slowStartRetrans: 2, fastRetrans: 0 },
      () => Peer.established({ tailLossProbe: false }).wrote(10).advanceMs(700),
    ],
    'fast retransmission by SACK': [
      { retransSegs: 1, fastRetrans: 1, sackRecovery: 1, timeouts: 0 },
      () =>
        Peer.established({ mss: 1000 })
          .wrote(6000)
          .send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>')
          .send('< . 1:1(0) ack 1 <nop,nop,sack 1001:3001>')
          .send('< . 1:1(0) ack 1 <nop,nop,sack 1001:4001>'),
    ],
    'fast retransmission without SACK': [
      { retransSegs: 1, fastRetrans: 1, renoRecovery: 1, sackRecovery: 0 },
      () => {
        const peer = Peer.established({ mss: 1000, sack: false }).wrote(6000);
        for (let i = 0; i < 3; i++) peer.send('< . 1:1(0) ack 1');
        return peer;
      },
    ],
    'SYNs sent again': [{ synRetrans: 2, retransSegs: 2 }, () => Peer.connecting().advanceMs(3500)],
    'text out of order: queued, and merged': [
      { outOfOrderQueued: 2, outOfOrderMerged: 1 },
      () =>
        Peer.established()
          .send('< P. 11:21(10) ack 1')
          .send('< P. 21:31(10) ack 1')
          .send('< P. 1:11(10) ack 1')
          .expectRead(30),
    ],
    'text out of order, behind more text out of order: not dropped': [
      { outOfOrderQueued: 2, outOfOrderDropped: 0 },
      () => {
        const peer = Peer.established().send('< P. 11:21(10) ack 1').send('< P. 21:31(10) ack 1');
        expect(peer.stats.drops.toJSON()).to.deep.equal({});
        return peer;
      },
    ],
    'text out of order: dropped': [
      { outOfOrderDropped: 1 },
      () =>
        Peer.established({ options: { maxGaps: 1 } })
          .send('< P. 11:21(10) ack 1')
          .send('< P. 31:41(10) ack 1'),
    ],
    duplicates: [{ duplicates: 1 }, () => Peer.established().sendText(10).send('< P. 1:11(10) ack 1')],
    'old timestamps (PAWS)': [
      { pawsEstab: 1 },
      () => Peer.established({ timestamps: true }).send('< P. 1:11(10) ack 1 <TS val 5 ecr 0>'),
    ],
    'challenge ACKs, sent and left out': [
      { challengeAcks: 1, challengeAcksSkipped: 1 },
      () => Peer.established().send('< R 50:50(0) win 0').send('< R 51:51(0) win 0'),
    ],
    'SACK blocks that cannot be true': [
      { sackInvalid: 1 },
      () => Peer.established().wrote(10).send('< . 1:1(0) ack 1 <nop,nop,sack 500:600>'),
    ],
    'SACK reneging': [
      { sackReneging: 1 },
      () =>
        Peer.established({ mss: 1000 })
          .wrote(3000)
          .send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>')
          .send('< . 1:1(0) ack 1001')
          .advanceMs(500),
    ],
    'D-SACKs sent': [{ dsackSent: 1 }, () => Peer.established().sendText(10).send('< P. 1:11(10) ack 1')],
    'tail loss probes, and losses they repaired': [
      { tlpProbes: 1, tlpRecoveries: 1, timeouts: 0 },
      () =>
        Peer.established({ options: { noDelay: true } })
          .wrote(10)
          .advanceMs(300)
          .write(10)
          .ackAll(),
    ],
    'TIME-WAIT, and tuples used again': [
      { tw: 1, twRecycled: 1, twCount: 0 },
      () => Peer.in('TIME-WAIT').reborn().send('< S 70000:70000(0) win 65535 <mss 1460>'),
    ],
    'full accept queues': [
      { listenOverflows: 1, listenDrops: 1 },
      () => {
        const peer = Peer.listening({ accept: false, backlog: 0 }).handshake();
        peer.another({ port: 41_000 }).sendSyn().drain();
        return peer;
      },
    ],
    'handshakes that are reset': [
      { embryonicRsts: 1, attemptFails: 1 },
      () => Peer.in('SYN-RECEIVED').send('< R 1:1(0) win 0'),
    ],
    'cookies, sent and returned': [
      { synCookiesSent: 1, synCookiesRecv: 1 },
      () => Peer.listening({ tcp: { synCookies: 'always' } }).handshake(),
    ],
    'window probes': [
      { zeroWindowProbes: 2 },
      () => Peer.established().send('< . 1:1(0) ack 1 win 0').write(10).advanceMs(700),
    ],
    'windows that were closed, and opened': [
      { toZeroWindowAdv: 1, fromZeroWindowAdv: 1 },
      () => {
        const options = { receiveBufferBytes: 2000, receiveBufferMaxBytes: 2000 };
        return Peer.established({ options }).sendText(2000).advanceMs(500).expectRead(2000);
      },
    ],
    'keep-alive': [
      { keepAliveProbes: 2, keepAliveTimeouts: 1 },
      () => {
        const timing = { keepAliveIdleMs: 100, keepAliveIntervalMs: 100, keepAliveProbes: 2 };
        return Peer.established({ options: { keepAlive: true, ...timing } }).advanceMs(500);
      },
    ],
    'delayed and pure ACKs': [
      { delayedAcks: 1, pureAcks: 2 },
      () => {
        // Answering makes it patient: what comes next is acknowledged late.
        const peer = Peer.established().sendText(10).write(10).ackAll();
        return peer.expectRead(10).sendText(10).advanceMs(300).expectRead(10);
      },
    ],
    'resets sent': [{ outRsts: 1 }, () => Peer.established().abort()],
    'answers to our SYN with a timestamp we did not send (Linux)': [
      { pawsActive: 1, outRsts: 1, attemptFails: 0 },
      () =>
        Peer.connecting({ timestamps: true })
          .advanceMs(5)
          .send('< S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 6>')
          .send('< S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 5>'),
    ],
    'FIN-WAIT-2 that is not waited for, whose end is an RST (Linux TCP_LINGER2)': [
      { abortOnLinger: 1, abortOnData: 0, outRsts: 1 },
      () => Peer.in('FIN-WAIT-2', { options: { finTimeoutMs: -1 } }).close(),
    ],
    'FIN-WAIT-2 that would begin when nobody owns it, and does not (Linux TCP_LINGER2)': [
      { abortOnLinger: 0, abortOnData: 1, outRsts: 0, orphans: 0 },
      () => Peer.in('FIN-WAIT-1', { options: { finTimeoutMs: -1 }, orphan: true }).ackAll(),
    ],
    'resets that no path takes': [
      { abortFailed: 1, outRsts: 1 },
      () => {
        const peer = Peer.established();
        peer.stack.routing.routes.flush();
        return peer.abort();
      },
    ],
    'ends for other reasons': [{ abortOnClose: 1 }, () => Peer.established().sendText(10).close()],
    'orphans that are reset for new text': [
      { abortOnData: 1 },
      () => Peer.established().close().send('< P. 1:11(10) ack 1'),
    ],
    'urgent marks': [{ urgent: 1 }, () => Peer.established().send('< .U 1:1(0) ack 1 urg 5')],
  };

  for (const [name, [counts, what]] of Object.entries(EVENTS)) {
    it(`tell of ${name} (RFC 4022, Linux) [RM-13]`, () => {
      const peer = what();
      expect(peer.stats.tcp).to.include(counts);
      peer.drain();
      peer.takeEvents();
      finishAll();
    });
  }

  it('tell why each segment was dropped [RM-13]', () => {
    const peer = Peer.established();
    peer.send('< P. 70000:70010(10) ack 1').send('< P. 1:11(10) ack 1', { tcpChecksum: 'bad' }).drain();
    peer.another({ port: 999, stackPort: 7 }).send('< . 1:1(0) ack 1').drain();
    expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(1);
    expect(peer.stats.drops.toJSON()).to.deep.equal({
      TcpOutOfWindow: 1,
      TcpChecksum: 1,
      TcpNoConnection: 1,
    });
  });
});

describe('what a connection tells of itself', () => {
  it('is its state and what was agreed (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: 1000, timestamps: true, windowScale: 4, window: 1000 });
    expect(peer.endpoint.info).to.include({
      state: 'ESTABLISHED',
      phase: 'open',
      congestionControl: 'cubic',
      timestamps: true,
      sack: true,
      sendWindowShift: 4,
      receiveWindowShift: 7,
      mssBytes: 988,
      pathMtuBytes: 1500,
      sendWindowBytes: 16_000,
      rttUs: 20_000,
      rttVarUs: 10_000,
      minRttUs: 20_000,
      rtoUs: 220_000,
      backoff: 0,
      unackedBytes: 0,
      retransmissions: 0,
    });
    expect(peer.endpoint.info.cwndBytes).to.equal(9880);
    expect(peer.endpoint.info.ssthreshBytes).to.be.above(1e6);
    const { info } = peer.endpoint;
    peer.close().drain();
    expect(peer.endpoint.info.state).to.equal('FIN-WAIT-1');
    expect(info.state, 'a snapshot').to.equal('ESTABLISHED');
    peer.ackAll();
  });

  it('is what is in flight, acknowledged, lost and sent again (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: 1000, window: 6000 });
    peer.write(8000);
    expect(peer.endpoint.info).to.include({ unackedBytes: 6000, unsentBytes: 2000, inFlightBytes: 6000 });
    peer.drain();
    peer.advanceMs(20).send('< . 1:1(0) ack 1001 win 5000 <nop,nop,sack 2001:3001>');
    expect(peer.endpoint.info).to.include({ unackedBytes: 5000, sackedBytes: 1000, lostBytes: 0 });
    expect(peer.endpoint.info).to.include({ deliveredBytes: 2000, ackedBytes: 1000 });
    peer.send('< . 1:1(0) ack 1001 win 5000 <nop,nop,sack 2001:5001>');
    peer.expect('> . 1001:2001(1000) ack 1');
    expect(peer.endpoint.info).to.include({
      phase: 'recovery',
      lostBytes: 1000,
      sackedBytes: 3000,
      deliveredBytes: 4000,
      retransmissions: 1,
      retransmittedBytes: 1000,
      inFlightBytes: 2000,
    });
    peer.drain();
    peer.send('< . 1:1(0) ack 6001 win 6000').drain();
    peer.ackAll();
    expect(peer.endpoint.info).to.include({
      phase: 'open',
      unackedBytes: 0,
      deliveredBytes: 8000,
      ackedBytes: 8000,
    });
  });

  it('has nothing that waits once all was given up [RM-14]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(3000).write(40_000);
    peer.drain();
    peer.send('< R 1:1(0) win 0').expectState('CLOSED');
    expect(peer.endpoint.unsentBytes).to.equal(0);
    expect(peer.endpoint.info).to.include({ unsentBytes: 0, unackedBytes: 0, inFlightBytes: 0 });
  });

  it('is its timers and its tries (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 }).wrote(10).advanceMs(700);
    expect(peer.endpoint.info).to.include({
      phase: 'loss',
      backoff: 2,
      retries: 2,
      rtoUs: 880_000,
      cwndBytes: 1000,
    });
    expect(peer.endpoint.info.sinceSentUs).to.equal(40_000);
    expect(peer.endpoint.info.sinceHeardUs).to.equal(700_000);
    peer.ackAll().drain();
    peer.send('< . 1:1(0) ack 11 win 0').write(5).advanceMs(2000).drain();
    expect(peer.endpoint.info.probes).to.equal(3);
    peer.send('< . 1:1(0) ack 11 win 100').drain();
    peer.ackAll();
  });

  it('is what it receives, and how late it acknowledges (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established();
    peer.sendText(3000, 1200).advanceMs(300).drain();
    expect(peer.endpoint.info).to.include({
      receivedBytes: 3000,
      receiveMssBytes: 1200,
      receiveWindowBytes: 62_535,
      receiveBufferBytes: 65_535,
      atoUs: 40_000,
    });
    peer.expectRead(3000);
  });

  it('is how many segments and bytes went each way, again or beyond a gap (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: 1000, offload: true });
    peer.write(2500).advanceMs(0).drain();
    expect(peer.endpoint.info).to.include({ segmentsSent: 3, textSegmentsSent: 3, sentBytes: 2500 });
    peer.advanceMs(230).ackAll().drain();
    // The probe for a lost tail was text, too.
    expect(peer.endpoint.info).to.include({ sentBytes: 3000, retransmittedBytes: 500 });
    const { segmentsSent, segmentsReceived } = peer.endpoint.info;
    peer.send('< P. 1001:1101(100) ack 2501').send('< P. 1:1001(1000) ack 2501').drain();
    expect(peer.endpoint.info).to.include({
      segmentsSent: segmentsSent + 2,
      segmentsReceived: segmentsReceived + 2,
      textSegmentsReceived: 2,
      outOfOrderSegments: 1,
    });
    expect(peer.endpoint.info.receivedBytes).to.equal(1100);
    // One super-packet of three segments.
    peer.send('< P. 1101:3601(2500) ack 2501', { segmentSize: 1000 });
    expect(peer.endpoint.info).to.include({
      textSegmentsReceived: 5,
      segmentsReceived: segmentsReceived + 5,
    });
    peer.expectRead(3600).drain();
  });

  it('is what was announced, asked for, and seen of the path by the receiver [RM-14]', () => {
    const options = { maxSegmentBytes: 1200, windowClampBytes: 50_000, maxPacingRateBps: 1e6 };
    const peer = Peer.established({ mss: 1000, options });
    expect(peer.endpoint.info).to.include({
      announcedMssBytes: 1200,
      windowClampBytes: 50_000,
      maxPacingRateBps: 1e6,
      receiverRttUs: 20_000,
    });
  });

  it('is how long it was busy, and what held it up meanwhile (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: 1000, window: 3000, options: { sendBufferBytes: 6000 } });
    peer.advanceMs(1000);
    const times = (): number[] => {
      const { busyUs, windowLimitedUs, bufferLimitedUs } = peer.endpoint.info;
      return [busyUs / 1000, windowLimitedUs / 1000, bufferLimitedUs / 1000];
    };
    expect(times(), 'idle').to.deep.equal([0, 0, 0]);
    peer.write(1000).advanceMs(20);
    expect(times(), 'busy').to.deep.equal([20, 0, 0]);
    peer.ackAll(3000).drain();
    peer.advanceMs(100);
    expect(times(), 'idle again').to.deep.equal([20, 0, 0]);
    // 3000 fit into the window, 2000 wait for it.
    peer.write(5000).advanceMs(30);
    expect(times(), 'held up by the window').to.deep.equal([50, 30, 0]);
    peer.send('< . 1:1(0) ack 4001 win 65535').drain();
    peer.advanceMs(10);
    expect(times(), 'busy').to.deep.equal([60, 30, 0]);
    // All is sent, and the application would write more than there is room for.
    expect(peer.offer(6000)).to.equal(4000);
    peer.advanceMs(40).drain();
    expect(times(), 'held up by the buffer').to.deep.equal([100, 30, 40]);
    peer.ackAll(65_535).drain();
    peer.advanceMs(100);
    expect(times(), 'idle').to.deep.equal([100, 30, 40]);
  });
});
