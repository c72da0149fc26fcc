/** The retransmission time-out: RFC 6298, and Linux's constants. That of SYN and SYN-ACK is in `handshake.test.ts`. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Seq } from '../../../lib/base/seq.js';
import { Simulation } from '../../../lib/sim/simulation.js';
import { RttEstimator } from '../../../lib/tcp/recovery/rtt-estimator.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

/** Without probes for lost tails: the retransmission timer speaks alone. */
const established = (options: PeerOptions = {}): Peer =>
  Peer.established({ tailLossProbe: false, mss: 1000, ...options });

const LIMITS = { rtoMinUs: 200_000, rtoMaxUs: 120e6, initialRtoUs: 1e6 };

const rttOf = (peer: Peer): RttEstimator => peer.endpoint.connection.sender.recovery.rtt;

/** Times between the segments that leave until `until` ms have passed. */
function intervalsMs(peer: Peer, until: number): number[] {
  const start = peer.nowMs;
  peer.advanceMs(until);
  const times = [start, ...peer.drain().map(({ atMs }) => atMs)];
  return times.slice(1).map((time, i) => time - times[i]);
}

/** Feeds samples to an estimator, each in a round trip of its own. */
function sampleRounds(
  rtt: RttEstimator,
  samplesUs: readonly number[],
  perSample: () => void = () => {},
): void {
  let end = 1;
  for (const sample of samplesUs) {
    rtt.sample(sample, (end + 10) as Seq, (end + 20) as Seq);
    end += 20;
    perSample();
  }
}

describe('the RTO', () => {
  it('after the first sample R is R + max(200 ms, 4·R/2) (RFC 6298 §2.2) [RTO-2]', () => {
    for (const [rttMs, rtoMs] of [
      [1, 201],
      [20, 220],
      [100, 300],
      [150, 450],
      [400, 1200],
    ]) {
      const peer = established({ rttMs });
      expect(rttOf(peer).srttUs).to.be.closeTo(rttMs * 1000, 1);
      expect(rttOf(peer).rttVarUs).to.be.closeTo(rttMs * 500, 1);
      peer.write(100).expect('> P. 1:101(100) ack 1').expectAfterMs(rtoMs, '> P. 1:101(100) ack 1');
      // The stack that connected measures its SYN the same way.
      const client = established({ rttMs, role: 'client' });
      client.write(100).expect('> P. 1:101(100) ack 1').expectAfterMs(rtoMs, '> P. 1:101(100) ack 1');
    }
  });

  it('takes later samples by RTTVAR first and then SRTT (RFC 6298 §2.3) [RTO-3]', () => {
    const samples = fc.array(fc.double({ min: 50, max: 5e6, noNaN: true }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(samples, (list) => {
        const rtt = new RttEstimator(LIMITS);
        let srtt = list[0];
        let rttvar = list[0] / 2;
        let i = 0;
        sampleRounds(rtt, list, () => {
          if (i > 0) {
            rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - list[i]);
            srtt = 0.875 * srtt + 0.125 * list[i];
          }
          expect(rtt.srttUs).to.be.closeTo(srtt, 1e-6 * srtt);
          expect(rtt.rttVarUs).to.be.closeTo(rttvar, 1e-6 * rttvar + 1e-6);
          // The RTO is never below what RFC 6298 §2 makes of them with the same floor.
          expect(rtt.baseRtoUs).to.be.at.least(Math.min(120e6, srtt + Math.max(200_000, 4 * rttvar)) - 1);
          i++;
        });
      }),
      { numRuns: 200, seed: 3 },
    );
  });

  it('takes the samples of a connection so', () => {
    const peer = established({ rttMs: 100 });
    const sample = (ms: number): void => {
      peer.wrote(100).advanceMs(ms);
      peer.ackAll().drain();
    };
    sample(180);
    // RTTVAR = 3/4·50 + 1/4·80, SRTT = 7/8·100 + 1/8·180.
    expect(rttOf(peer).rttVarUs).to.be.closeTo(57_500, 1);
    expect(rttOf(peer).srttUs).to.be.closeTo(110_000, 1);
    expect(rttOf(peer).baseRtoUs).to.be.closeTo(110_000 + 230_000, 1);
    peer.write(100).expect('> P. 101:201(100) ack 1').expectAfterMs(340, '> P. 101:201(100) ack 1');
  });

  it('has a floor of 200 ms over the round trip, or the 1 s of the RFC where that is chosen [RTO-4]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, rttMs: 2 });
      peer.write(100).expect('> P. 1:101(100)').expectAfterMs(202, '> P. 1:101(100)');
      for (const role of ['server', 'client'] as const) {
        const slow = established({ ...family, role, rttMs: 2, options: { rtoMinMs: 1000 } });
        slow.write(100).expect('> P. 1:101(100)').expectNothing(999);
        slow.advanceMs(4).expect('> P. 1:101(100)');
      }
    });
  });

  it('has a ceiling of 120 s, or what is chosen [RTO-5]', () => {
    const black = established({ options: { retries2: 30 } }).wrote(100);
    const intervals = intervalsMs(black, 900_000).map((ms) => Math.round(ms));
    expect(intervals.slice(0, 10)).to.deep.equal([
      220, 440, 880, 1760, 3520, 7040, 14_080, 28_160, 56_320, 112_640,
    ]);
    expect(intervals.slice(10)).to.deep.equal([120_000, 120_000, 120_000, 120_000, 120_000]);
    const low = established({ options: { rtoMaxMs: 60_000 } }).wrote(100);
    const lower = intervalsMs(low, 400_000).map((ms) => Math.round(ms));
    expect(lower.slice(8)).to.deep.equal([56_320, 60_000, 60_000, 60_000, 60_000]);
  });

  it('is never next to nothing: samples below a tick keep their precision (RFC 6298 §4) [RTO-6]', () => {
    const sample = fc.double({ min: 0, max: 2000, noNaN: true });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 50 }), (list) => {
        const rtt = new RttEstimator(LIMITS);
        sampleRounds(rtt, list, () => {
          expect(rtt.srttUs).to.be.within(1, 2000);
          expect(rtt.baseRtoUs).to.be.within(200_000 + rtt.srttUs, 200_000 + 10_000);
        });
      }),
      { numRuns: 200, seed: 6 },
    );
    // A quarter of a millisecond is measured as that, where timestamps could only say 0 or 1.
    const peer = established({ rttMs: 0.25, timestamps: true });
    for (let i = 0; i < 100; i++) {
      peer.wrote(10).advanceMs(0.25);
      peer.ackAll();
    }
    expect(rttOf(peer).srttUs).to.be.closeTo(250, 1);
    peer.drain();
    peer
      .write(10)
      .expect('> P. 1001:1011(10)')
      .expectAfterMs(200.25, '> P. 1001:1011(10)', { toleranceMs: 0.1 });
  });

  it('keeps the largest deviation of a round trip, which fades by a quarter in each (Linux tcp_rtt_estimator) [RTO-7]', () => {
    const options = { initialWindow: 20 };
    const peer = established({ rttMs: 100, options });
    // Round trips with 20 samples each.
    const round = (ms: number): number => {
      const una = peer.rcvNxt;
      peer.wrote(20_000).advanceMs(ms);
      for (let i = 1; i <= 20; i++) peer.send(`< . 1:1(0) ack ${una + 1000 * i}`);
      peer.drain();
      const rtt = rttOf(peer);
      return (rtt.baseRtoUs - rtt.srttUs) / 1000;
    };
    for (let i = 0; i < 30; i++) round(100);
    // The floor: however steady the path, 200 ms are added.
    expect(round(100)).to.be.closeTo(200, 0.1);
    // Twenty samples of a slow round trip: the deviation follows at once.
    const peak = round(250);
    expect(peak).to.be.greaterThan(450);
    // Twenty fast ones would, each taken in full, leave nothing of it: (3/4)^20 is 0.3 %.
    let before = peak;
    for (let i = 0; i < 4; i++) {
      const after = round(100);
      expect(after, `round ${i + 1} after the peak`).to.be.at.least(0.74 * before);
      before = after;
    }
    for (let i = 0; i < 40; i++) round(100);
    expect(round(100)).to.be.closeTo(200, 1);
  });
});

describe('the retransmission timer', () => {
  it('starts with the first segment, stops when all is acknowledged, begins anew when something is (RFC 6298 §5.1-5.3) [RTO-8]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      // Sent while it runs, a second segment does not start it again.
      peer.wrote(1000).advanceMs(150).wrote(1000);
      peer.expectAfterMs(70, '> P. 1:1001(1000) ack 1');
      const other = established(family).wrote(3000).advanceMs(20);
      // An ACK of something new starts it again, from now.
      other.send('< . 1:1(0) ack 1001').advanceMs(0);
      other.expectNothing(150).send('< . 1:1(0) ack 2001').expectNothing();
      const rtoMs = rttOf(other).baseRtoUs / 1000;
      other.expectAfterMs(rtoMs, '> P. 2001:3001(1000) ack 1');
      // Acknowledged altogether: it stops.
      other.ackAll().expectNothing(60_000);
      // An ACK of nothing new starts nothing again.
      const same = established(family).wrote(1000).advanceMs(100);
      same.send('< P. 1:2(1) ack 1').expect('> . 1001:1001(0) ack 2').send('< . 2:2(0) ack 1 win 3000');
      same.expectAfterMs(120, '> P. 1:1001(1000) ack 2');
    });
  });

  it('sends the earliest segment again, doubles, and starts again (RFC 6298 §5.4-5.6) [RTO-10]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(5000);
      let rto = 220;
      for (let i = 0; i < 6; i++) {
        peer.expectAfterMs(rto, '> . 1:1001(1000) ack 1').expectNothing();
        rto *= 2;
      }
      // What is acknowledged then is followed by what comes next, in slow start.
      peer
        .send('< . 1:1(0) ack 1001')
        .expect('> . 1001:2001(1000) ack 1')
        .expect('> . 2001:3001(1000) ack 1');
      expect(peer.stats.tcp.timeouts).to.equal(6);
    });
  });

  it('is 3 s when data begins behind a SYN that had to be repeated, until there is a sample (RFC 6298 §5.7) [RTO-11]', () => {
    forEachFamily((family) => {
      for (const timestamps of [false, true]) {
        const size = timestamps ? 988 : 1000;
        const client = Peer.connecting({ tailLossProbe: false, ...family, mss: 1000, timestamps }).expect(
          '> S 0:0(0)',
        );
        client.expectAfterMs(1000, '> S 0:0(0)').advanceMs(20);
        const stamps = timestamps ? `,TS val ${client.tsVal} ecr ${client.tsEcr}` : '';
        client.send(`< S. 0:0(0) ack 1 <mss 1000,sackOK${stamps}>`).expect('> . 1:1(0) ack 1');
        client
          .write(size)
          .expect(`> P. 1:${size + 1}(${size})`)
          .expectAfterMs(3000, `> P. 1:${size + 1}(${size})`);
        const server = Peer.in('SYN-RECEIVED', { tailLossProbe: false, ...family, mss: 1000, timestamps });
        server.expectAfterMs(1000, '> S. 0:0(0) ack 1').advanceMs(20).send('< . 1:1(0) ack 1');
        server
          .write(size)
          .expect(`> P. 1:${size + 1}(${size})`)
          .expectAfterMs(3000, `> P. 1:${size + 1}(${size})`);
        server.ackAll().drain();
        // The first sample ends it.
        server
          .advanceMs(timestamps ? 0 : 0)
          .wrote(size)
          .advanceMs(30);
        server.ackAll().write(size).drain();
        expect(rttOf(server).baseRtoUs).to.be.at.most(timestamps ? 300_000 : 231_000);
      }
    });
  });

  it('takes no sample of what was sent twice, unless timestamps tell which was acknowledged (RFC 6298 §3) [RTO-12]', () => {
    forEachFamily((family) => {
      const again = established(family).wrote(1000);
      again.advanceMs(230).drain();
      again.send('< . 1:1(0) ack 1001');
      expect(rttOf(again).srttUs).to.be.closeTo(20_000, 1);
      // Nor of what lay behind it, and waited for it at the receiver.
      const behind = established({ ...family, sack: false }).wrote(3000);
      behind.advanceMs(230).drain();
      behind.send('< . 1:1(0) ack 3001');
      expect(rttOf(behind).srttUs).to.be.closeTo(20_000, 1);
      // With timestamps: the echo is that of the second transmission, 10 ms ago.
      const stamped = established({ ...family, timestamps: true }).wrote(988);
      stamped.advanceMs(230).drain();
      stamped.send(`< . 1:1(0) ack 989 <nop,nop,TS val ${stamped.tsVal} ecr 240>`);
      expect(rttOf(stamped).srttUs).to.be.closeTo(20_000 - 10_000 / 8, 130);
      // What is sent once afterwards counts again.
      again.wrote(1000).advanceMs(100);
      again.ackAll();
      expect(rttOf(again).srttUs).to.be.closeTo(30_000, 1);
    });
  });

  it('stays backed off until there is a sample or something sent once is acknowledged [RTO-13]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(1000);
      peer.expectAfterMs(220, '> P. 1:1001(1000)').expectAfterMs(440, '> P. 1:1001(1000)');
      // ACKs of nothing new change nothing.
      peer.advanceMs(100).send('< . 1:1(0) ack 1').send('< . 1:1(0) ack 1 win 9000');
      peer.expectAfterMs(780, '> P. 1:1001(1000)');
      // Which transmission this acknowledges is not known: a path of 900 ms looks just so. The RTO stays.
      peer.send('< . 1:1(0) ack 1001').write(1000).expect('> P. 1001:2001(1000)');
      peer.expectNothing(900).send('< . 1:1(0) ack 2001');
      // That was a sample: SRTT 130, RTTVAR 227.5.
      peer.write(1000).expect('> P. 2001:3001(1000)').expectAfterMs(1040, '> P. 2001:3001(1000)');
      // With timestamps every ACK that moves SND.UNA is a sample.
      const stamped = established({ ...family, timestamps: true }).wrote(988);
      stamped.expectAfterMs(220, '> P. 1:989(988)').expectAfterMs(440, '> P. 1:989(988)').advanceMs(20);
      stamped.ackAll().write(988).expect('> P. 989:1977(988)').expectAfterMs(220, '> P. 989:1977(988)');
      // Also where the ACK reaches beyond what was sent again.
      const mixed = established({ ...family, sack: false }).wrote(3000);
      mixed.expectAfterMs(220, '> . 1:1001(1000)').advanceMs(20).send('< . 1:1(0) ack 3001');
      mixed.write(1000).expect('> P. 3001:4001(1000)').expectAfterMs(220, '> P. 3001:4001(1000)');
    });
  });

  it('is fed at least once in a round trip (RFC 6298 §3) [RTO-14]', () => {
    for (const family of [4, 6] as const) {
      for (const timestamps of [false, true]) {
        const connection = { timestamps };
        const path = { delayMs: 25, rateBps: 40e6 };
        const stacks = { client: { tcp: { connection } }, server: { tcp: { connection } } };
        const net = new Simulation({ family, seed: 14, upstream: path, downstream: path, ...stacks });
        const transfer = net.start({ bytes: 3_000_000, direction: 'up' });
        net.clock.runUntil(
          () => [...net.client.tcp.entries()].some((entry) => entry.connection.sender.sndNxt !== 0),
          1e6,
        );
        const [{ connection: sending }] = net.client.tcp.entries();
        const times: number[] = [];
        const { rtt } = sending.sender.recovery;
        const original = rtt.sample.bind(rtt);
        rtt.sample = (rttUs, una, nxt) => {
          times.push(net.clock.nowUs());
          original(rttUs, una, nxt);
        };
        net.clock.runUntil(() => transfer.isOver, 60e6);
        expect(transfer.receivedBytes).to.equal(3_000_000);
        expect(times.length).to.be.greaterThan(10);
        // While data flows no round trip, queue and delayed ACK included, passes without one.
        for (let i = 1; i < times.length - 2; i++) {
          expect(times[i] - times[i - 1], `sample ${i}`).to.be.below(rtt.srttUs + 60_000);
        }
        net.close();
      }
    }
  });

  it('gives up sooner where nobody owns the connection any more, and sooner still when memory is short [RTO-16]', () => {
    for (const state of ['FIN-WAIT-1', 'LAST-ACK', 'CLOSING'] as const) {
      forEachFamily((family) => {
        const peer = Peer.in(state, { ...family, orphan: true });
        expect(peer.gauges).to.include({ orphans: 1, connections: 1 });
        // Eight retransmissions, then as long again: 102.2 s after the first.
        const start = peer.nowMs;
        let retransmissions = 0;
        while (peer.gauges.connections > 0 && peer.nowMs - start < 400_000) peer.advanceMs(100);
        for (const { line } of peer.drain()) if (line.flags & 1) retransmissions++;
        expect(retransmissions, state).to.be.within(8, 9);
        expect(peer.nowMs - start).to.be.within(56_000, 225_000);
        expect(peer.gauges).to.include({ orphans: 0, connections: 0 });
        expect(peer.stats.tcp.abortOnTimeout).to.equal(1);
        // With an owner it goes on for a quarter of an hour.
        const owned = Peer.in(state, family).advanceMs(600_000);
        expect(owned.gauges.connections).to.equal(1);
      });
    }
    const patience = (tcp: PeerOptions['tcp']): number => {
      const peer = established(tcp === undefined ? {} : { tcp })
        .wrote(3000)
        .close();
      // Another connection holds what memory there is.
      const hog = peer.another().sendSyn();
      hog.send('< . 1:1(0) ack 1').sendText(20_000);
      const start = peer.nowMs;
      while (peer.gauges.orphans > 0 && peer.nowMs - start < 400_000) {
        hog.ackAll();
        peer.advanceMs(50);
      }
      return peer.nowMs - start;
    };
    const usual = patience(undefined);
    expect(usual).to.be.greaterThan(56_000);
    expect(patience({ orphanRetries: 3 })).to.be.below(usual / 5);
    expect(patience({ memoryPressureBytes: 4096 })).to.be.below(usual / 5);
    expect(patience({ memoryPressureBytes: 4096, memoryMaxBytes: 8192 })).to.be.below(1000);
  });

  it('never ends a connection whose peer answers with a closed window, and sends only the first segment [RTO-18 F12]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(5000).advanceMs(20);
      peer.send('< . 1:1(0) ack 1001 win 0');
      let sent = 0;
      const end = peer.nowMs + 4 * 3_600_000;
      while (peer.nowMs < end) {
        peer.advanceMs(60_000);
        for (const { line, text } of peer.drain()) {
          sent++;
          expect(line.start, text).to.equal(1001);
          expect(line.textBytes, text).to.equal(1000);
          peer.send('< . 1:1(0) ack 1001 win 0');
        }
      }
      expect(sent).to.be.within(100, 140);
      peer.expectState('ESTABLISHED').send('< . 1:1(0) ack 1001 win 65535');
      peer.advanceMs(121_000);
      for (let i = 0; i < 5; i++) peer.ackAll();
      expect(peer.endpoint.unackedBytes).to.equal(0);
      // Without answers it is given up as any other.
      const silent = established(family).wrote(5000).advanceMs(20);
      silent.send('< . 1:1(0) ack 1001 win 0').advanceMs(1_200_000);
      silent.expectState('CLOSED').drain();
      expect(silent.endpoint.errorCode).to.equal('ETIMEDOUT');
    });
  });

  it('expires once after the process has slept, however long [RTO-19]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(5000).stallMs(600_000);
      peer.expect('> . 1:1001(1000) ack 1').expectNothing();
      expect(peer.stats.tcp.timeouts).to.equal(1);
      expect(peer.endpoint.connection.sender.recovery.backoff).to.equal(1);
      peer.expectAfterMs(440, '> . 1:1001(1000) ack 1');
      // Many connections: one each, and nobody is given up for it.
      const first = established(family).wrote(100);
      const others = Array.from({ length: 20 }, () => {
        const other = first.another().sendSyn();
        return other.advanceMs(0).send('< . 1:1(0) ack 1').wrote(100);
      });
      first.stallMs(600_000);
      for (const each of [first, ...others]) {
        expect(each.drain()).to.have.length(1);
        each.expectState('ESTABLISHED');
      }
    });
  });
});
