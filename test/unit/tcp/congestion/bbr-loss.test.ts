import { expect } from 'chai';
import { Phase } from '../../../../lib/tcp/congestion/bbr/state.js';
import { BbrPath } from './support/bbr-path.js';
import { Feeder, MSS, makeBbr } from './support/bbr-samples.js';

const PATH = { rateBps: 12.5e6, rttUs: 20_000 };
const INFINITY = Number.POSITIVE_INFINITY;

/** Puts a BBR with a known path into a phase: 1 MB/s, 50 ms, so 50,000 bytes. */
function inPhase(phase: Phase, given: Parameters<typeof makeBbr>[0] = {}): Feeder {
  const feeder = new Feeder(makeBbr(given));
  feeder.fillPipe(1e6);
  for (let i = 0; i < 10; i++)
    feeder.ack({ rateBps: 1e6, bytes: 10 * MSS, round: false, nowUs: feeder.nowUs });
  const { state } = feeder.bbr;
  expect(state.phase).to.equal(Phase.CRUISE);
  expect(feeder.bbr.cwndBytes).to.be.at.least(100 * MSS);
  state.phase = phase;
  state.fullBwNow = false;
  state.isBwProbeSample = phase === Phase.UP;
  return feeder;
}

describe('BBR: losses while it probes for bandwidth', () => {
  it('bound the volume in flight when they are more than 2 %, and end UP (A.21)', () => {
    const feeder = inPhase(Phase.UP);
    const { state } = feeder.bbr;
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 2 * MSS });
    expect(state.phase).to.equal(Phase.UP);
    expect(state.inflightLongtermBytes).to.equal(INFINITY);
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 3 * MSS });
    expect(state.phase).to.equal(Phase.DOWN);
    // 99,000 were in flight before it, 2,000 of them lost: the threshold was crossed at once.
    expect(state.inflightLongtermBytes).to.equal(99 * MSS);
    expect(state.prevProbeTooHigh).to.equal(true);
  });

  it('are placed within a burst that was lost as a whole', () => {
    const feeder = inPhase(Phase.UP);
    feeder.lose({ bytes: 40 * MSS, txInFlightBytes: 100 * MSS, lostSinceSentBytes: 40 * MSS });
    // 60,000 before it, nothing lost: 2 % are crossed after 1,200 / 0.98 bytes more.
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(Math.floor(60_000 + 1200 / 0.98));
  });

  it('do not take more than 30 % of the target at once', () => {
    const feeder = inPhase(Phase.UP);
    feeder.lose({ txInFlightBytes: 10 * MSS, lostSinceSentBytes: 5 * MSS });
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(35_000);
  });

  it('do not lower the short-term bounds as well', () => {
    const feeder = inPhase(Phase.UP);
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 10 * MSS });
    expect(feeder.bbr.state.phase).to.equal(Phase.DOWN);
    for (let i = 0; i < 3; i++) feeder.ack({ rateBps: 0.5e6, rateBytes: 25_000, inFlightBytes: 100 * MSS });
    expect(feeder.bbr.state.bwShorttermBps).to.equal(INFINITY);
  });

  it('begin a round after the ACK that shows them', () => {
    const feeder = inPhase(Phase.UP);
    const { state } = feeder.bbr;
    // An earlier loss of the round, which was no reason to end the probe.
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: MSS });
    feeder.ack({ rateBps: 1e6, round: false });
    expect(state.phase).to.equal(Phase.UP);
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 10 * MSS });
    const { roundCount } = state;
    // The data that this ACK delivers was sent when as much had been delivered as until now.
    feeder.ack({ rateBps: 1e6, priorBytes: feeder.delivered, inFlightBytes: 100 * MSS });
    expect(state.roundCount).to.equal(roundCount);
    feeder.ack({ rateBps: 1e6, priorBytes: feeder.delivered, inFlightBytes: 100 * MSS });
    expect(state.roundCount).to.equal(roundCount + 1);
  });

  it('are answered once for each probe', () => {
    const feeder = inPhase(Phase.UP);
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 10 * MSS });
    const bound = feeder.bbr.state.inflightLongtermBytes;
    for (let i = 0; i < 5; i++) feeder.lose({ txInFlightBytes: 50 * MSS, lostSinceSentBytes: 10 * MSS });
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(bound);
  });

  it('set no bound when the application held the sender back, but end UP (A.6)', () => {
    const feeder = inPhase(Phase.UP);
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 10 * MSS, isAppLimited: true });
    expect(feeder.bbr.state.phase).to.equal(Phase.DOWN);
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(INFINITY);
  });

  it('make the next probe a cautious one, which ends at the bound; if that is safe, a real one follows', () => {
    const path = new BbrPath({ ...PATH, queueBytes: 60_000 });
    path.runUntil(() => path.state.prevProbeTooHigh, 8000);
    expect(path.state.prevProbeTooHigh).to.equal(true);
    const bound = path.state.inflightLongtermBytes;
    expect(bound).to.be.within(path.bdpBytes, path.bdpBytes + 60_000 + 10 * 1448);
    path.runUntil(() => path.phase === 'UP', 8000);
    path.runUntil(() => path.phase !== 'UP', 1000);
    expect(path.state.prevProbePrecautionary).to.equal(true);
    expect(path.phase).to.equal('DOWN');
    path.runUntil(() => path.phase !== 'DOWN', 1000);
    expect(path.phase).to.equal('REFILL');
  });

  it('leave headroom in CRUISE below the bound, and DOWN waits for it', () => {
    const path = new BbrPath({ ...PATH, queueBytes: 60_000 });
    path.runUntil(() => path.state.inflightLongtermBytes < INFINITY && path.phase === 'CRUISE', 8000);
    const bound = path.state.inflightLongtermBytes;
    expect(path.inFlight).to.be.at.most(0.85 * bound);
    path.onStep = () => {
      if (path.phase !== 'CRUISE') return;
      expect(path.bbr.cwndBytes).to.be.at.most(0.85 * path.state.inflightLongtermBytes);
    };
    path.runMs(3000);
  });

  it('do not keep it from raising the bound by 1, 2, 4, ... segments a round when it proves safe', () => {
    const path = new BbrPath({ rateBps: 1.25e6, rttUs: 20_000, queueBytes: 5000 });
    path.runUntil(() => path.state.inflightLongtermBytes < INFINITY && path.phase === 'CRUISE', 8000);
    path.options = { rateBps: 12.5e6, rttUs: 20_000, queueBytes: 500_000 };
    const bounds: number[] = [];
    let last = path.state.roundCount;
    path.onStep = () => {
      if (path.state.roundCount !== last && path.phase === 'UP')
        bounds.push(path.state.inflightLongtermBytes);
      last = path.state.roundCount;
    };
    path.runUntil(() => path.state.maxBwFilter.maxBps > 10e6, 8000);
    const steps = bounds.slice(1).map((bound, i) => Math.round((bound - bounds[i]) / 1448));
    const first = steps.slice(1, 5);
    for (let i = 1; i < 4; i++) expect(first[i] / first[i - 1], first.join(' ')).to.be.within(1.2, 2.5);
  });
});

describe('BBR: losses while it does not probe', () => {
  it('lower the rate towards what a round still delivered, not below 0.7 of it', () => {
    const feeder = inPhase(Phase.CRUISE);
    const { state } = feeder.bbr;
    const before = feeder.bbr.cwndBytes;
    feeder.ack({ rateBps: 0.9e6, rateBytes: 45_000 });
    feeder.lose();
    feeder.ack({ rateBps: 0.9e6, rateBytes: 45_000 });
    feeder.ack({ rateBps: 0.9e6, rateBytes: 45_000 });
    // Paced at 1, less the margin of 1 %, which is given back.
    expect(state.bwShorttermBps).to.be.closeTo(0.9e6 / 0.99, 1);
    expect(state.bwBps).to.equal(state.bwShorttermBps);
    expect(state.inflightShorttermBytes).to.be.within(0.69 * before, before);
    feeder.lose();
    for (let i = 0; i < 2; i++) feeder.ack({ rateBps: 0.1e6, rateBytes: 5000 });
    feeder.lose();
    for (let i = 0; i < 2; i++) feeder.ack({ rateBps: 0.1e6, rateBytes: 5000 });
    expect(state.bwShorttermBps).to.be.closeTo(0.7 * (0.9e6 / 0.99), 1);
  });

  it('do not lower it for what DOWN holds back, also when its ACKs come later', () => {
    const feeder = inPhase(Phase.DOWN);
    const { state } = feeder.bbr;
    const round = (rateBps: number): void => {
      feeder.lose();
      feeder.ack({ rateBps, rateBytes: 40_000, inFlightBytes: 1e6 });
    };
    state.pacingGain = 0.9;
    for (let i = 0; i < 4; i++) round(0.891e6);
    expect(state.bwShorttermBps).to.be.closeTo(1e6, 1);
    state.phase = Phase.CRUISE;
    state.pacingGain = 1;
    round(0.891e6);
    round(0.891e6);
    expect(state.bwShorttermBps).to.be.closeTo(1e6, 1);
    for (let i = 0; i < 4; i++) round(0.891e6);
    expect(state.bwShorttermBps).to.be.closeTo(0.9e6, 1);
  });

  it('count for the round that begins after the ACK that shows them', () => {
    const feeder = inPhase(Phase.CRUISE);
    const { state } = feeder.bbr;
    feeder.lose();
    feeder.ack({ rateBps: 0.9e6, rateBytes: 45_000, priorBytes: feeder.delivered });
    expect(state.bwShorttermBps).to.equal(INFINITY);
    feeder.ack({ rateBps: 0.9e6, rateBytes: 45_000, priorBytes: feeder.delivered });
    expect(state.bwShorttermBps).to.be.lessThan(INFINITY);
  });

  it('lower it once for each round', () => {
    const feeder = inPhase(Phase.CRUISE);
    const { state } = feeder.bbr;
    for (let i = 0; i < 30; i++) {
      feeder.lose();
      feeder.ack({ rateBps: 0.1e6, rateBytes: 5000, round: false });
    }
    expect(state.bwShorttermBps).to.equal(INFINITY);
    feeder.ack({ rateBps: 0.1e6, rateBytes: 5000 });
    // Before this round 1 MB/s were delivered: that still counts, less what pacing held back.
    expect(state.bwShorttermBps).to.be.at.least(0.7e6);
  });

  it('do not lower the long-term model', () => {
    const feeder = inPhase(Phase.CRUISE);
    for (let i = 0; i < 6; i++) {
      feeder.lose({ lostSinceSentBytes: 50 * MSS });
      feeder.ack({ rateBps: 0.1e6, rateBytes: 5000 });
    }
    expect(feeder.bbr.state.maxBwFilter.maxBps).to.equal(1e6);
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(INFINITY);
  });

  it('are forgotten when the next probe fills the pipe', () => {
    const path = new BbrPath({ ...PATH, loss: 0.01 });
    path.runUntil(() => path.phase === 'CRUISE' && path.state.bwShorttermBps < INFINITY, 5000);
    path.runUntil(() => path.phase === 'REFILL', 5000);
    expect(path.state.bwShorttermBps).to.equal(INFINITY);
    expect(path.state.inflightShorttermBytes).to.equal(INFINITY);
  });

  it('cost little when they are random: four fifths of the rate at 1 %, whatever the seed', function () {
    this.timeout(20_000);
    for (let seed = 1; seed <= 8; seed++) {
      const path = new BbrPath({ ...PATH, loss: 0.01, queueBytes: 250_000, seed });
      path.runMs(2000);
      expect(path.goodput(8000) / PATH.rateBps, `seed ${seed}`).to.be.greaterThan(0.75);
    }
  });

  it('cost less than 8 % of the rate at 0.1 %', () => {
    const path = new BbrPath({ ...PATH, loss: 0.001, queueBytes: 250_000 });
    path.runMs(2000);
    expect(path.goodput(8000)).to.be.greaterThan(0.92 * PATH.rateBps);
  });

  it('find the rate of a policer, with few losses after a while (A.17)', () => {
    const path = new BbrPath({ rateBps: 1.25e6, rttUs: 40_000, queueBytes: 3000 });
    path.runMs(5000);
    const lost = path.lost;
    const delivered = path.delivered;
    path.runMs(10_000);
    expect((path.lost - lost) / (path.delivered - delivered)).to.be.lessThan(0.02);
    expect((path.delivered - delivered) / 10).to.be.greaterThan(0.75 * 1.25e6);
  });
});

describe('BBR: recovery', () => {
  it('leaves the window alone while it lasts, except for what the model says', () => {
    const feeder = inPhase(Phase.CRUISE);
    const before = feeder.bbr.cwndBytes;
    feeder.bbr.onCongestion('loss', 90 * MSS, feeder.nowUs);
    expect(feeder.bbr.cwndBytes).to.equal(before);
    feeder.bbr.onRecovered(feeder.nowUs);
    expect(feeder.bbr.cwndBytes).to.equal(before);
  });

  it('sends one segment after a time-out, then grows with what is delivered, then has the window back', () => {
    const feeder = inPhase(Phase.CRUISE);
    const before = feeder.bbr.cwndBytes;
    feeder.bbr.onCongestion('timeout', 90 * MSS, feeder.nowUs);
    feeder.lose({ bytes: 90 * MSS, lostSinceSentBytes: 90 * MSS });
    expect(feeder.bbr.cwndBytes).to.equal(MSS);
    expect(feeder.bbr.state.inflightShorttermBytes).to.equal(before);
    feeder.ack({ rateBps: 1e6, isRecovering: true, rateBytes: 50_000 });
    expect(feeder.bbr.cwndBytes).to.equal(4 * MSS);
    feeder.ack({ rateBps: 1e6, bytes: 4 * MSS, isRecovering: true, rateBytes: 50_000 });
    expect(feeder.bbr.cwndBytes).to.equal(8 * MSS);
    feeder.bbr.onRecovered(feeder.nowUs);
    // The bound of the round that lost everything is no lower: it began at the window of before.
    expect(feeder.bbr.cwndBytes).to.equal(before);
  });

  it('keeps the first window of several time-outs', () => {
    const feeder = inPhase(Phase.CRUISE);
    const before = feeder.bbr.cwndBytes;
    for (let i = 0; i < 4; i++) {
      feeder.nowUs += 1e6;
      feeder.bbr.onCongestion('timeout', MSS, feeder.nowUs);
    }
    expect(feeder.bbr.cwndBytes).to.equal(MSS);
    feeder.bbr.onSpurious(feeder.nowUs);
    expect(feeder.bbr.cwndBytes).to.equal(before);
  });
});

describe('BBR: a false alarm', () => {
  it('gives back the bounds and the window (A.18)', () => {
    const feeder = inPhase(Phase.CRUISE);
    const { state } = feeder.bbr;
    const before = feeder.bbr.cwndBytes;
    feeder.lose();
    feeder.bbr.onCongestion('loss', 90 * MSS, feeder.nowUs);
    for (let i = 0; i < 4; i++) {
      feeder.ack({ rateBps: 0.2e6, rateBytes: 10_000, isRecovering: true });
      feeder.lose();
    }
    expect(state.bwShorttermBps).to.be.lessThan(1e6);
    expect(feeder.bbr.cwndBytes).to.be.lessThan(before);
    feeder.bbr.onSpurious(feeder.nowUs);
    expect(state.bwShorttermBps).to.equal(INFINITY);
    expect(state.inflightShorttermBytes).to.equal(INFINITY);
    expect(feeder.bbr.cwndBytes).to.equal(before);
    expect(state.isLossInRound).to.equal(false);
  });

  it('gives back the window of a time-out (A.19)', () => {
    const feeder = inPhase(Phase.CRUISE);
    const before = feeder.bbr.cwndBytes;
    feeder.bbr.onCongestion('timeout', 90 * MSS, feeder.nowUs);
    feeder.ack({ rateBps: 1e6, isRecovering: true });
    feeder.bbr.onSpurious(feeder.nowUs);
    expect(feeder.bbr.cwndBytes).to.equal(before);
    expect(feeder.bbr.state.inflightShorttermBytes).to.equal(INFINITY);
  });

  it('that ended UP is followed by a new probe, and the bound is as before', () => {
    for (const isToldFirst of [true, false]) {
      const feeder = inPhase(Phase.UP);
      const { state } = feeder.bbr;
      state.inflightLongtermBytes = 200 * MSS;
      if (!isToldFirst) feeder.bbr.onCongestion('loss', 90 * MSS, feeder.nowUs);
      feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 5 * MSS });
      if (isToldFirst) feeder.bbr.onCongestion('loss', 90 * MSS, feeder.nowUs);
      expect(state.phase).to.equal(Phase.DOWN);
      expect(state.inflightLongtermBytes).to.be.lessThan(100 * MSS);
      feeder.bbr.onSpurious(feeder.nowUs);
      expect(state.phase).to.equal(Phase.REFILL);
      expect(state.inflightLongtermBytes).to.equal(200 * MSS);
    }
  });

  it('that ended Startup is followed by Startup', () => {
    const path = new BbrPath({ ...PATH, applicationBps: 3e6 });
    path.runMs(500);
    path.dropIf = (number) => number % 8 === 0;
    path.runUntil(() => path.phase !== 'STARTUP', 1000);
    path.bbr.onSpurious(path.nowUs);
    expect(path.phase).to.equal('STARTUP');
    expect(path.state.fullBwReached).to.equal(false);
    expect(path.state.inflightLongtermBytes).to.equal(INFINITY);
  });

  it('is undone once: a second word of it changes nothing', () => {
    const feeder = inPhase(Phase.UP);
    const { state } = feeder.bbr;
    feeder.lose({ txInFlightBytes: 100 * MSS, lostSinceSentBytes: 5 * MSS });
    feeder.bbr.onCongestion('loss', 90 * MSS, feeder.nowUs);
    feeder.bbr.onSpurious(feeder.nowUs);
    state.phase = Phase.CRUISE;
    state.inflightLongtermBytes = 60 * MSS;
    state.bwShorttermBps = 5e5;
    feeder.bbr.onSpurious(feeder.nowUs);
    expect(state.phase).to.equal(Phase.CRUISE);
    expect(state.inflightLongtermBytes).to.equal(60 * MSS);
    expect(state.bwShorttermBps).to.equal(5e5);
  });

  it('without anything to undo changes nothing', () => {
    const feeder = inPhase(Phase.CRUISE);
    const { state } = feeder.bbr;
    state.inflightShorttermBytes = 70 * MSS;
    feeder.ack({ rateBps: 1e6 });
    const before = feeder.bbr.cwndBytes;
    feeder.bbr.onSpurious(feeder.nowUs);
    expect(state.inflightShorttermBytes).to.equal(70 * MSS);
    expect(feeder.bbr.cwndBytes).to.equal(before);
  });
});

describe('BBR: a congestion mark', () => {
  it('ends Startup', () => {
    const feeder = new Feeder(makeBbr());
    feeder.ack({ rateBps: 1e6, bytes: 10 * MSS });
    feeder.bbr.onCongestion('ecn', 20 * MSS, feeder.nowUs);
    feeder.ack({ rateBps: 1e6, inFlightBytes: 1e6 });
    expect(feeder.bbr.state.phase).to.equal(Phase.DRAIN);
    expect(feeder.bbr.state.inflightLongtermBytes).to.be.within(20 * MSS, 60 * MSS);
  });

  it('takes 30 % of what is in flight, at once and until the next probe; 20 % when asked to be mild', () => {
    for (const abe of [false, true]) {
      const feeder = inPhase(Phase.CRUISE, { abe });
      feeder.bbr.onCongestion('ecn', 60 * MSS, feeder.nowUs);
      expect(feeder.bbr.cwndBytes).to.equal(abe ? 48 * MSS : 42 * MSS);
      feeder.bbr.onRecovered(feeder.nowUs);
      for (let i = 0; i < 3; i++) feeder.ack({ rateBps: 1e6, bytes: 20 * MSS, round: false });
      expect(feeder.bbr.cwndBytes).to.equal(abe ? 48 * MSS : 42 * MSS);
    }
  });

  it('takes no more than leaves four segments', () => {
    const feeder = inPhase(Phase.CRUISE);
    for (let i = 0; i < 20; i++) feeder.bbr.onCongestion('ecn', feeder.bbr.cwndBytes, feeder.nowUs);
    expect(feeder.bbr.cwndBytes).to.equal(4 * MSS);
  });

  it('says that a probe went too far', () => {
    const feeder = inPhase(Phase.UP);
    feeder.bbr.onCongestion('ecn', 80 * MSS, feeder.nowUs);
    expect(feeder.bbr.state.phase).to.equal(Phase.DOWN);
    expect(feeder.bbr.state.inflightLongtermBytes).to.equal(80 * MSS);
    expect(feeder.bbr.state.inflightShorttermBytes).to.equal(INFINITY);
  });

  it('bounds a probe that has only begun to fill the pipe', () => {
    const feeder = inPhase(Phase.REFILL);
    feeder.bbr.onCongestion('ecn', 80 * MSS, feeder.nowUs);
    expect(feeder.bbr.state.phase).to.equal(Phase.REFILL);
    expect(feeder.bbr.cwndBytes).to.equal(80 * MSS);
    expect(feeder.bbr.state.prevProbeTooHigh).to.equal(true);
  });

  it('keeps queues short on a path that marks, at nearly full rate', () => {
    const path = new BbrPath({ rateBps: 1.25e6, rttUs: 40_000, markBytes: 15_000 });
    path.runMs(5000);
    path.maxQueueBytes = 0;
    expect(path.goodput(10_000)).to.be.greaterThan(0.93 * 1.25e6);
    expect(path.maxQueueBytes).to.be.lessThan(35_000);
    expect(path.lost).to.equal(0);
  });
});
