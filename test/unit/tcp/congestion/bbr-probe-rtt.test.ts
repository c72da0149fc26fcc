import { expect } from 'chai';
import { Phase } from '../../../../lib/tcp/congestion/bbr/state.js';
import { BbrPath } from './support/bbr-path.js';
import { Feeder, MSS, makeBbr, START_US } from './support/bbr-samples.js';

const PATH = { rateBps: 12.5e6, rttUs: 20_000 };

describe('BBR: ProbeRTT', () => {
  it('comes every 5 s, and takes half the product for 200 ms (A.10)', () => {
    const path = new BbrPath(PATH);
    const entered: number[] = [];
    for (let i = 0; i < 3; i++) {
      expect(path.runUntil(() => path.phase === 'PROBE_RTT', 8000)).to.equal(true);
      entered.push(path.nowUs);
      expect(path.state.cwndGain).to.equal(0.5);
      const half = 0.5 * path.state.bwBps * (path.state.minRttUs / 1e6);
      path.runUntil(() => path.state.probeRttDoneStampUs > 0, 100);
      path.maxInFlight = 0;
      path.runUntil(() => path.phase !== 'PROBE_RTT', 1000);
      expect(path.maxInFlight).to.be.at.most(half + 1448);
      expect(path.nowUs - entered[i], 'µs').to.be.within(200_000, 260_000);
      expect(path.phase).to.equal('CRUISE');
    }
    for (let i = 0; i < 2; i++) expect(entered[i + 1] - entered[i]).to.be.within(5e6, 5.4e6);
  });

  it('lasts for a round trip, where that is longer', () => {
    const feeder = new Feeder(makeBbr());
    feeder.fillPipe(1e6);
    const { state } = feeder.bbr;
    feeder.ack({ nowUs: START_US + 5.3e6, rateBps: 1e6, inFlightBytes: 3000 });
    expect(state.phase).to.equal(Phase.PROBE_RTT);
    feeder.ack({ nowUs: START_US + 5.9e6, rateBps: 1e6, inFlightBytes: 3000, round: false });
    expect(state.phase).to.equal(Phase.PROBE_RTT);
    feeder.ack({ nowUs: START_US + 6e6, rateBps: 1e6, inFlightBytes: 3000 });
    expect(state.phase).to.equal(Phase.CRUISE);
  });

  it('costs about 2 % of the bandwidth', () => {
    const path = new BbrPath(PATH);
    path.runUntil(() => path.phase === 'PROBE_RTT', 8000);
    expect(path.goodput(10_400)).to.be.greaterThan(0.95 * PATH.rateBps);
  });

  it('finds a longer round-trip time, and the window follows', () => {
    const path = new BbrPath(PATH);
    path.runMs(2000);
    path.options = { ...PATH, rttUs: 60_000 };
    path.runMs(16_000);
    expect(path.state.minRttUs).to.be.within(60_000, 63_000);
    expect(path.goodput(4000)).to.be.greaterThan(0.9 * PATH.rateBps);
  });

  it('gives the window back', () => {
    const path = new BbrPath(PATH);
    path.runUntil(() => path.phase === 'PROBE_RTT', 8000);
    const before = path.state.priorCwndBytes;
    expect(before).to.be.greaterThan(1.5 * path.bdpBytes);
    path.runUntil(() => path.phase !== 'PROBE_RTT', 1000);
    expect(path.bbr.cwndBytes).to.be.at.least(before);
  });

  it('returns to Startup when the pipe was never full (A.20)', () => {
    const path = new BbrPath({ ...PATH, applicationBps: 1e6 });
    path.runMs(6000);
    expect(path.phases).to.include('PROBE_RTT');
    expect(path.phases.at(-1)).to.equal('STARTUP');
    path.options = PATH;
    path.runMs(1000);
    expect(path.state.maxBwFilter.maxBps).to.be.greaterThan(0.95 * PATH.rateBps);
  });

  it('does not take its own slowness for a full pipe', () => {
    const feeder = new Feeder(makeBbr());
    feeder.ack({ rateBps: 1e6 });
    const { state } = feeder.bbr;
    feeder.ack({ nowUs: START_US + 5.1e6, rateBps: 1e6, inFlightBytes: 3000 });
    expect(state.phase).to.equal(Phase.PROBE_RTT);
    for (let i = 0; i < 5; i++) feeder.ack({ rateBps: 1e4, inFlightBytes: 3000 });
    expect(state.fullBwReached).to.equal(false);
  });

  it('may end while nothing is in flight: the next transmission finds the 200 ms over', () => {
    const path = new BbrPath(PATH);
    path.runUntil(() => path.state.probeRttDoneStampUs > 0, 8000);
    const before = path.state.priorCwndBytes;
    path.bbr.onTransmit(0, true, path.nowUs + 100_000);
    expect(path.phase).to.equal('PROBE_RTT');
    path.bbr.onTransmit(0, true, path.nowUs + 300_000);
    expect(path.phase).to.equal('CRUISE');
    expect(path.bbr.cwndBytes).to.equal(before);
  });
});

describe('BBR: the minimum of the round-trip time', () => {
  it('takes a smaller sample at once, and a larger one only after 10 s', () => {
    const feeder = new Feeder(makeBbr());
    const { state } = feeder.bbr;
    feeder.ack({ rttUs: 40_000 });
    expect(state.minRttUs).to.equal(40_000);
    feeder.ack({ rttUs: 60_000, nowUs: START_US + 4e6 });
    feeder.ack({ rttUs: 60_000, nowUs: START_US + 6e6 });
    expect(state.minRttUs).to.equal(40_000);
    // The window of ProbeRTT has moved on, that of the minimum has not.
    expect(state.probeRttMinDelayUs).to.equal(60_000);
    feeder.ack({ rttUs: 60_000, nowUs: START_US + 10e6 });
    expect(state.minRttUs).to.equal(40_000);
    feeder.ack({ rttUs: 61_000, nowUs: START_US + 10.2e6 });
    expect(state.minRttUs).to.equal(60_000);
  });

  it('ignores ACKs that measured none', () => {
    const feeder = new Feeder(makeBbr());
    feeder.ack({ rttUs: -1, nowUs: START_US + 20e6 });
    expect(feeder.bbr.state.minRttUs).to.equal(50_000);
  });

  it('is at least a microsecond', () => {
    const feeder = new Feeder(makeBbr());
    feeder.ack({ rttUs: 0, rateBps: 1e6 });
    expect(feeder.bbr.state.minRttUs).to.equal(1);
    expect(feeder.bbr.cwndBytes).to.be.at.least(4 * MSS);
  });
});
