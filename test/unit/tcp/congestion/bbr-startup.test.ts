import { expect } from 'chai';
import { STARTUP_PACING_GAIN } from '../../../../lib/tcp/congestion/bbr/startup.js';
import { Phase } from '../../../../lib/tcp/congestion/bbr/state.js';
import { BbrPath } from './support/bbr-path.js';
import { Feeder, MSS, makeBbr } from './support/bbr-samples.js';

const PATH = { rateBps: 12.5e6, rttUs: 20_000 };

describe('BBR: Startup', () => {
  it('begins at 2.77 initial windows a round-trip time, or a millisecond where that is unknown', () => {
    expect(makeBbr().pacingRateBps).to.be.closeTo((2.77 * 10 * MSS) / 0.05, 1);
    expect(makeBbr({ rttUs: 0 }).pacingRateBps).to.be.closeTo((2.77 * 10 * MSS) / 0.001, 1);
    expect(makeBbr().cwndBytes).to.equal(10 * MSS);
    expect(STARTUP_PACING_GAIN).to.be.closeTo(4 * Math.log(2), 0.01);
  });

  it('sets the rate anew with the first round-trip time, if there was none', () => {
    const feeder = new Feeder(makeBbr({ rttUs: 0 }));
    feeder.ack({ rttUs: 100_000, rateBps: 1000 });
    expect(feeder.bbr.pacingRateBps).to.be.closeTo((2.77 * 10 * MSS) / 0.1, 1);
  });

  it('takes over the window of another algorithm', () => {
    const inherited = { cwndBytes: 77 * MSS, ssthreshBytes: 50 * MSS };
    const bbr = makeBbr({ inherited });
    expect(bbr.cwndBytes).to.equal(77 * MSS);
    expect(bbr.pacingRateBps).to.be.closeTo((2.77 * 77 * MSS) / 0.05, 1);
  });

  it('doubles what it sends in each round', () => {
    const path = new BbrPath({ rateBps: 125e6, rttUs: 50_000 });
    const perRound: number[] = [];
    for (let round = 0; round < 7; round++) perRound.push(path.goodput(50));
    // The first round trip delivers nothing, the next the initial window.
    for (let i = 2; i < 6; i++) {
      expect(perRound[i + 1] / perRound[i], `round ${i}`).to.be.within(1.7, 2.6);
    }
    expect(path.phase).to.equal('STARTUP');
  });

  it('ends after three rounds that grow by less than a quarter, with the bandwidth known to 2 % (A.1)', () => {
    const path = new BbrPath(PATH);
    expect(path.runUntil(() => path.phase !== 'STARTUP', 2000)).to.equal(true);
    expect(path.state.fullBwCount).to.equal(3);
    expect(path.state.fullBwReached).to.equal(true);
    expect(path.phases).to.deep.equal(['STARTUP', 'DRAIN']);
    expect(path.state.maxBwFilter.maxBps).to.be.closeTo(PATH.rateBps, 0.02 * PATH.rateBps);
    expect(path.state.inflightLongtermBytes).to.equal(Number.POSITIVE_INFINITY);
  });

  it('counts rounds without growth, not ACKs', () => {
    const feeder = new Feeder(makeBbr());
    const { state } = feeder.bbr;
    feeder.ack({ rateBps: 1e6 });
    for (let i = 0; i < 20; i++) feeder.ack({ rateBps: 1e6, round: false });
    expect(state.fullBwCount).to.equal(0);
    feeder.ack({ rateBps: 1.2e6 });
    feeder.ack({ rateBps: 1.2e6 });
    expect(state.fullBwCount).to.equal(2);
    feeder.ack({ rateBps: 1.25e6 });
    expect(state.fullBwCount).to.equal(0);
    for (let i = 0; i < 2; i++) feeder.ack({ rateBps: 1.25e6 });
    expect(state.phase).to.equal(Phase.STARTUP);
    feeder.ack({ rateBps: 1.25e6, inFlightBytes: 1e9 });
    expect(state.phase).to.equal(Phase.DRAIN);
  });

  it('goes on for as long as the application holds it back and nothing is lost (A.7)', () => {
    const path = new BbrPath({ ...PATH, applicationBps: 1e6 });
    path.runMs(4000);
    expect(path.phases).to.deep.equal(['STARTUP']);
  });

  it('never paces more slowly while it has not filled the pipe', () => {
    const path = new BbrPath({ ...PATH, applicationBps: 0.2e6 });
    let last = path.bbr.pacingRateBps;
    path.onStep = () => {
      expect(path.bbr.pacingRateBps).to.be.at.least(last);
      last = path.bbr.pacingRateBps;
    };
    path.runMs(2000);
  });

  it('ends when a round loses more than 2 % in six places or more (A.2)', () => {
    const path = new BbrPath({ ...PATH, applicationBps: 3e6 });
    path.runMs(500);
    expect(path.phase).to.equal('STARTUP');
    path.dropIf = (number) => number % 8 === 0;
    expect(path.runUntil(() => path.phase !== 'STARTUP', 1000)).to.equal(true);
    expect(path.state.fullBwReached).to.equal(true);
    expect(path.state.fullBwNow).to.equal(true);
    expect(path.state.inflightLongtermBytes).to.be.lessThan(2 * path.bdpBytes);
  });

  it('does not end for losses in fewer places, or fewer than 2 %', () => {
    const few = new BbrPath({ ...PATH, applicationBps: 3e6 });
    few.runMs(500);
    few.dropIf = (number) => number % 60 < 2;
    few.runMs(1000);
    expect(few.lost).to.be.greaterThan(0);
    expect(few.phase).to.equal('STARTUP');
  });

  it('keeps the rate it found when a shallow queue drops much of what Startup sends', () => {
    const path = new BbrPath({ ...PATH, queueBytes: 15_000 });
    path.runMs(1500);
    expect(path.state.fullBwReached).to.equal(true);
    expect(path.state.maxBwFilter.maxBps).to.be.closeTo(PATH.rateBps, 0.05 * PATH.rateBps);
    expect(path.timeouts).to.equal(0);
  });

  it('finds the bandwidth where ACKs come in batches (A.12)', () => {
    const path = new BbrPath({ ...PATH, aggregationUs: 10_000 });
    path.runMs(1500);
    expect(path.state.maxBwFilter.maxBps).to.be.closeTo(PATH.rateBps, 0.05 * PATH.rateBps);
    expect(path.state.extraAckedFilter.max).to.be.greaterThan(0.2 * path.bdpBytes);
  });
});

describe('BBR: Drain', () => {
  it('paces at half the rate until no more than the bandwidth-delay product is in flight (A.3)', () => {
    const path = new BbrPath(PATH);
    path.runUntil(() => path.phase === 'DRAIN', 2000);
    expect(path.state.pacingGain).to.equal(0.5);
    expect(path.bbr.pacingRateBps).to.be.closeTo(0.5 * 0.99 * path.state.bwBps, 1);
    expect(path.inFlight).to.be.greaterThan(1.4 * path.bdpBytes);
    const began = path.nowUs;
    path.runUntil(() => path.phase !== 'DRAIN', 2000);
    expect(path.inFlight).to.be.at.most(1.02 * path.bdpBytes);
    expect(path.nowUs - began, 'µs').to.be.lessThan(3 * PATH.rttUs);
    expect(path.phase).to.be.oneOf(['DOWN', 'CRUISE']);
  });

  it('gives up after three rounds, when the bandwidth was overestimated (A.4)', () => {
    const feeder = new Feeder(makeBbr());
    for (let i = 0; i < 4; i++) feeder.ack({ rateBps: 1e6, inFlightBytes: 1e9 });
    const { state } = feeder.bbr;
    expect(state.phase).to.equal(Phase.DRAIN);
    for (let i = 0; i < 3; i++) feeder.ack({ rateBps: 1e6, inFlightBytes: 1e9 });
    expect(state.phase).to.equal(Phase.DRAIN);
    feeder.ack({ rateBps: 1e6, inFlightBytes: 1e9 });
    expect(state.phase).to.equal(Phase.DOWN);
  });
});
