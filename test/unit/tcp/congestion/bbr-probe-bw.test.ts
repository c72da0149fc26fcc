import { expect } from 'chai';
import { Phase } from '../../../../lib/tcp/congestion/bbr/state.js';
import { BbrPath } from './support/bbr-path.js';
import { Feeder, MSS, makeBbr } from './support/bbr-samples.js';

const PATH = { rateBps: 12.5e6, rttUs: 20_000 };

/** A path in ProbeBW, whatever phase of it. */
function cruising(options: ConstructorParameters<typeof BbrPath>[0] = PATH): BbrPath {
  const path = new BbrPath(options);
  path.runUntil(() => path.phase === 'CRUISE', 30_000);
  expect(path.phase).to.equal('CRUISE');
  return path;
}

describe('BBR: ProbeBW', () => {
  it('goes round through CRUISE, REFILL, UP and DOWN', () => {
    const path = cruising();
    path.runMs(4000);
    const cycle = path.phases.slice(path.phases.indexOf('CRUISE'));
    const next: Record<string, string[]> = {
      CRUISE: ['REFILL', 'PROBE_RTT'],
      REFILL: ['UP'],
      UP: ['DOWN'],
      DOWN: ['CRUISE', 'REFILL'],
    };
    expect(cycle.length).to.be.greaterThan(8);
    for (let i = 0; i + 1 < cycle.length; i++) {
      expect(next[cycle[i]], `after ${cycle[i]}`).to.include(cycle[i + 1]);
    }
  });

  it('paces at 0.9, 1, 1 and 1.25 of the bandwidth, less 1 %', () => {
    const path = cruising();
    const gains: Record<string, number> = { DOWN: 0.9, CRUISE: 1, REFILL: 1, UP: 1.25 };
    const seen = new Set<string>();
    path.onStep = () => {
      if (!(path.phase in gains)) return;
      seen.add(path.phase);
      const gain = path.bbr.pacingRateBps / (0.99 * path.state.bwBps);
      expect(gain, path.phase).to.be.closeTo(gains[path.phase], 1e-6);
      expect(path.state.cwndGain).to.equal(path.phase === 'UP' ? 2.25 : 2);
    };
    path.runMs(3000);
    expect([...seen].sort()).to.deep.equal(['CRUISE', 'DOWN', 'REFILL', 'UP']);
  });

  it('delivers at least 95 % of the rate, and queues less than the product of both', () => {
    const path = cruising();
    path.maxQueueBytes = 0;
    path.maxInFlight = 0;
    expect(path.goodput(10_000)).to.be.greaterThan(0.95 * PATH.rateBps);
    expect(path.maxQueueBytes).to.be.lessThan(1.1 * path.bdpBytes);
    expect(path.maxInFlight).to.be.lessThan(2.3 * path.bdpBytes + 40 * 1448);
  });

  it('cruises with hardly any queue', () => {
    const path = cruising();
    path.runMs(100);
    path.maxQueueBytes = 0;
    path.runUntil(() => path.phase !== 'CRUISE', 1000);
    expect(path.maxQueueBytes).to.be.lessThan(0.05 * path.bdpBytes);
  });

  it('probes after 62 or 63 rounds, or after 2 to 3 s, whatever comes first', () => {
    const near = cruising();
    near.runUntil(() => near.phase === 'REFILL', 4000);
    expect(near.state.roundsSinceProbeUp).to.equal(63);
    const far = cruising({ rateBps: 12.5e6, rttUs: 100_000 });
    const { cycleStampUs } = far.state;
    far.runUntil(() => far.phase === 'REFILL', 4000);
    expect(far.nowUs - cycleStampUs, 'µs').to.be.within(2e6, 3.1e6);
  });

  it('probes sooner where Reno would have grown by as much: on small products', () => {
    const path = cruising({ rateBps: 1.25e6, rttUs: 12_000 });
    path.runUntil(() => path.phase === 'REFILL', 4000);
    expect(path.state.roundsSinceProbeUp).to.be.within(9, 13);
  });

  it('fills the pipe for one round before it accelerates', () => {
    const path = cruising();
    path.runUntil(() => path.phase === 'REFILL', 4000);
    path.runUntil(() => path.phase === 'UP', 200);
    expect(path.nowUs - path.phaseSinceUs).to.equal(0);
    expect(path.state.bwShorttermBps).to.equal(Number.POSITIVE_INFINITY);
    expect(path.state.inflightShorttermBytes).to.equal(Number.POSITIVE_INFINITY);
  });

  it('accelerates until three rounds bring no more (A.5)', () => {
    const path = cruising();
    path.runUntil(() => path.phase === 'UP', 4000);
    const { roundCount } = path.state;
    path.runUntil(() => path.phase !== 'UP', 1000);
    expect(path.phase).to.equal('DOWN');
    expect(path.state.fullBwCount).to.equal(3);
    expect(path.state.roundCount - roundCount).to.be.within(3, 5);
  });

  it('is held back by a window only if it was full', () => {
    for (const inFlightBytes of [10 * MSS, 99 * MSS]) {
      const feeder = new Feeder(makeBbr());
      const { state } = feeder.bbr;
      feeder.fillPipe(1e6);
      state.phase = Phase.UP;
      state.inflightLongtermBytes = 100 * MSS;
      state.cwndBytes = 100 * MSS;
      const ack = { rateBps: 1e6, cwndLimited: true, inFlightBytes, txInFlightBytes: inFlightBytes };
      for (let i = 0; i < 6 && state.phase === Phase.UP; i++) {
        feeder.ack(ack);
        state.cwndBytes = state.inflightLongtermBytes;
      }
      // What fills the window may need a larger one; what does not has found its rate.
      expect(state.phase === Phase.UP, `${inFlightBytes} in flight`).to.equal(inFlightBytes > 50 * MSS);
    }
  });

  it('does not stop accelerating while the application holds it back (A.7)', () => {
    const path = cruising();
    path.runUntil(() => path.phase === 'UP', 4000);
    path.options = { ...PATH, applicationBps: 1e6 };
    path.runMs(1500);
    expect(path.phase).to.equal('UP');
  });

  it('drains in DOWN until no more than the product is in flight (A.8)', () => {
    const path = cruising();
    path.runUntil(() => path.phase === 'DOWN', 4000);
    expect(path.inFlight).to.be.greaterThan(1.2 * path.bdpBytes);
    path.runUntil(() => path.phase !== 'DOWN', 4000);
    expect(path.phase).to.equal('CRUISE');
    expect(path.inFlight).to.be.at.most(1.02 * path.bdpBytes);
  });

  it('goes from DOWN to REFILL when draining takes too long (A.9)', () => {
    const feeder = new Feeder(makeBbr());
    feeder.fillPipe(50e6);
    const { state } = feeder.bbr;
    feeder.ack({ rateBps: 50e6 });
    expect(state.phase).to.equal(Phase.CRUISE);
    state.phase = Phase.DOWN;
    feeder.ack({ inFlightBytes: 1e8, nowUs: state.cycleStampUs + state.bwProbeWaitUs });
    expect(state.phase).to.equal(Phase.DOWN);
    feeder.ack({ inFlightBytes: 1e8, nowUs: state.cycleStampUs + state.bwProbeWaitUs + 1, round: false });
    expect(state.phase).to.equal(Phase.REFILL);
  });

  it('finds ten times the bandwidth within some cycles (A.15)', () => {
    const path = cruising({ rateBps: 1.25e6, rttUs: 20_000, queueBytes: 50_000 });
    path.runMs(1000);
    path.options = { rateBps: 12.5e6, rttUs: 20_000, queueBytes: 500_000 };
    path.runMs(4000);
    expect(path.state.maxBwFilter.maxBps).to.be.greaterThan(0.9 * 12.5e6);
    expect(path.goodput(2000)).to.be.greaterThan(0.9 * 12.5e6);
  });

  it('comes down to a tenth of the bandwidth within two cycles (A.16)', () => {
    const path = cruising({ rateBps: 12.5e6, rttUs: 20_000, queueBytes: 250_000 });
    path.options = { rateBps: 1.25e6, rttUs: 20_000, queueBytes: 250_000 };
    path.runMs(15_000);
    expect(path.state.maxBwFilter.maxBps).to.be.lessThan(1.2 * 1.25e6);
    expect(path.goodput(3000)).to.be.greaterThan(0.9 * 1.25e6);
  });

  it('keeps at least four segments in flight where the product is smaller (A.14)', () => {
    const path = cruising({ rateBps: 12_000, rttUs: 20_000 });
    let least = Number.POSITIVE_INFINITY;
    path.onStep = () => {
      least = Math.min(least, path.bbr.cwndBytes);
    };
    expect(path.goodput(60_000)).to.be.greaterThan(0.9 * 12_000);
    expect(least).to.be.at.least(4 * 1448);
    expect(path.state.maxBwFilter.maxBps).to.be.closeTo(12_000, 1200);
  });

  it('lets three bursts of a millisecond be in flight, where the product is smaller than they are', () => {
    const feeder = new Feeder(makeBbr({ rttUs: 100 }));
    const { state } = feeder.bbr;
    const more = { rttUs: 100, rateBps: 20e6, bytes: 10 * MSS };
    for (let i = 0; i < 30 || state.phase !== Phase.DOWN; i++) feeder.ack(more);
    // 0.9 of 20 MB/s for a millisecond, while the product is 2,000 bytes.
    expect(feeder.bbr.cwndBytes).to.equal(3 * Math.floor(0.9 * 0.99 * 20_000));
    for (let i = 0; i < 30; i++) feeder.ack({ rttUs: 100, rateBps: 2e9, bytes: 100 * MSS });
    expect(feeder.bbr.cwndBytes).to.be.at.least(3 * 65_536);
  });

  it('remembers aggregation for ten rounds, in Startup for one', () => {
    for (const [rounds, isFull] of [
      [10, true],
      [1, false],
    ] as const) {
      const feeder = new Feeder(makeBbr());
      if (isFull) feeder.fillPipe(1e6);
      else feeder.ack({ rateBps: 1e6 });
      const { extraAckedFilter, fullBwReached } = feeder.bbr.state;
      expect(fullBwReached).to.equal(isFull);
      for (let i = 0; i < 20; i++) feeder.ack({ rateBps: 1e6, isAppLimited: true });
      // At 1 MB/s 9,000 bytes take 9 ms; here they come at once, and all but the first are extra.
      for (let i = 0; i < 9; i++) feeder.ack({ nowUs: feeder.nowUs, rateBps: 1e6, round: false });
      const peak = extraAckedFilter.max;
      expect(peak).to.be.at.least(9 * MSS);
      for (let i = 0; i < rounds; i++) feeder.ack({ rateBps: 1e6, isAppLimited: true });
      expect(extraAckedFilter.max, `after ${rounds} rounds`).to.equal(peak);
      feeder.ack({ rateBps: 1e6, isAppLimited: true });
      expect(extraAckedFilter.max, `after ${rounds + 1} rounds`).to.be.lessThan(peak);
    }
  });

  it('paces a segment a second at least', () => {
    const feeder = new Feeder(makeBbr());
    for (let i = 0; i < 6; i++) feeder.ack({ rateBps: 2, bytes: 10 * MSS });
    expect(feeder.bbr.state.fullBwReached).to.equal(true);
    expect(feeder.bbr.pacingRateBps).to.equal(MSS);
  });

  it('adds what comes aggregated to the window, and keeps the rate (A.13)', () => {
    const path = cruising({ ...PATH, aggregationUs: 20_000 });
    path.runMs(1000);
    expect(path.goodput(8000)).to.be.greaterThan(0.9 * PATH.rateBps);
    expect(path.bbr.cwndBytes).to.be.greaterThan(2 * path.state.bwBps * (path.state.minRttUs / 1e6));
  });
});

describe('BBR: samples that the application limited', () => {
  it('never lower the bandwidth, and may raise it (A.22)', () => {
    const feeder = new Feeder(makeBbr());
    feeder.ack({ rateBps: 1e6 });
    feeder.ack({ rateBps: 2e5, isAppLimited: true });
    const { maxBwFilter } = feeder.bbr.state;
    expect(maxBwFilter.maxBps).to.equal(1e6);
    feeder.ack({ rateBps: 3e6, isAppLimited: true });
    expect(maxBwFilter.maxBps).to.equal(3e6);
    // Nor do they stand for a cycle.
    maxBwFilter.advance();
    feeder.ack({ rateBps: 2e5, isAppLimited: true });
    maxBwFilter.advance();
    expect(maxBwFilter.maxBps).to.equal(3e6);
  });

  it('keep the estimate for as long as there are only such samples', () => {
    const path = cruising();
    path.options = { ...PATH, applicationBps: 0.3e6 };
    path.runMs(20_000);
    expect(path.state.maxBwFilter.maxBps).to.be.closeTo(PATH.rateBps, 0.02 * PATH.rateBps);
    path.options = PATH;
    expect(path.goodput(1000)).to.be.greaterThan(0.8 * PATH.rateBps);
  });
});

describe('BBR: the restart after an idle time', () => {
  it('is paced at the bandwidth, with the window as it was', () => {
    const path = cruising();
    path.runUntil(() => path.phase === 'DOWN', 4000);
    path.pause(true);
    path.runMs(500);
    expect(path.inFlight).to.equal(0);
    const before = path.bbr.cwndBytes;
    path.bbr.onIdle(path.nowUs);
    expect(path.bbr.cwndBytes).to.equal(before);
    path.bbr.onTransmit(0, true, path.nowUs);
    expect(path.bbr.pacingRateBps).to.be.closeTo(0.99 * path.state.bwBps, 1);
    expect(path.state.idleRestart).to.equal(true);
    // What was not sent was not expected.
    expect(path.state.extraAckedStartUs).to.equal(path.nowUs);
    path.pause(false);
    path.maxQueueBytes = 0;
    const goodput = path.goodput(500);
    expect(goodput).to.be.greaterThan(0.85 * PATH.rateBps);
  });

  it('changes nothing while something is in flight, or when the application did not pause', () => {
    const path = cruising();
    const rate = path.bbr.pacingRateBps;
    path.bbr.onTransmit(MSS, true, path.nowUs);
    path.bbr.onTransmit(0, false, path.nowUs);
    expect(path.state.idleRestart).to.equal(false);
    expect(path.bbr.pacingRateBps).to.equal(rate);
  });

  it('makes ProbeRTT unnecessary: the queue was empty (A.11)', () => {
    const path = cruising();
    path.pause(true);
    path.runMs(6000);
    path.pause(false);
    path.runMs(300);
    expect(path.phases).to.not.include('PROBE_RTT');
  });
});
