import { expect } from 'chai';
import fc from 'fast-check';
import { SeededRandom } from '../../../../lib/sim/seeded-random.js';
import { Bbr } from '../../../../lib/tcp/congestion/bbr/bbr.js';
import { congestionMaker } from '../../../../lib/tcp/congestion/registry.js';
import { AckResult } from '../../../../lib/tcp/recovery/ack-facts.js';
import { BbrPath } from './support/bbr-path.js';
import { Feeder, MSS, makeBbr } from './support/bbr-samples.js';

const MAX_WINDOW = 500 * MSS;

/** Anything that arithmetic can come to. */
const insane = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.MAX_VALUE,
  ),
  fc.double(),
  fc.integer(),
);
const mostlySane = (sane: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc.oneof({ weight: 9, arbitrary: sane }, { weight: 1, arbitrary: insane });
const bytes = mostlySane(fc.integer({ min: 0, max: 2_000_000 }));

const ack = fc.record({
  kind: fc.constant('ack' as const),
  stepUs: mostlySane(fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 20_000_000 }))),
  bytes,
  inFlight: bytes,
  rttUs: mostlySane(fc.integer({ min: -1, max: 3_000_000 })),
  rateBps: mostlySane(fc.double({ min: 0, max: 1e9, noNaN: true })),
  rateBytes: bytes,
  priorOffset: mostlySane(fc.integer({ min: -1, max: 100_000 })),
  rateLost: bytes,
  flags: fc.integer({ min: 0, max: 7 }),
});
const loss = fc.record({ kind: fc.constant('loss' as const), bytes, inFlight: bytes, lost: bytes });
const event = fc.record({
  kind: fc.constantFrom(
    'loss-signal' as const,
    'timeout' as const,
    'ecn' as const,
    'recovered' as const,
    'spurious' as const,
    'idle' as const,
    'transmit' as const,
    'mss' as const,
  ),
  inFlight: bytes,
});
const story = fc.array(
  fc.oneof({ weight: 8, arbitrary: ack }, { weight: 2, arbitrary: loss }, { weight: 2, arbitrary: event }),
  { minLength: 1, maxLength: 120 },
);
type Steps = typeof story extends fc.Arbitrary<infer Story> ? Story : never;
type Step = Steps[number];

function play(steps: readonly Step[], check: (bbr: Bbr, step: Step) => void): string {
  const bbr = new Bbr({
    mssBytes: MSS,
    initialWindowBytes: 10 * MSS,
    maxWindowBytes: MAX_WINDOW,
    rttUs: 0,
    nowUs: 1e6,
    random: new SeededRandom(5),
  });
  const sample = new AckResult();
  let nowUs = 1e6;
  let delivered = 0;
  const trace: string[] = [];
  for (const step of steps) {
    if (step.kind === 'ack') {
      if (step.stepUs >= 0 && step.stepUs < 1e9) nowUs += step.stepUs;
      if (step.bytes >= 0 && step.bytes < 1e9) delivered += step.bytes;
      sample.nowUs = nowUs;
      sample.ackedBytes = sample.deliveredBytes = step.bytes;
      sample.totalDeliveredBytes = delivered;
      sample.priorInFlightBytes = step.inFlight + step.bytes;
      sample.inFlightBytes = step.inFlight;
      sample.rttUs = step.rttUs;
      sample.rate.deliveryRateBps = step.rateBps;
      sample.rate.deliveredBytes = step.rateBytes;
      sample.rate.priorDeliveredBytes = delivered - step.priorOffset;
      sample.rate.txInFlightBytes = step.inFlight;
      sample.rate.lostBytes = step.rateLost;
      sample.rate.isAppLimited = (step.flags & 1) !== 0;
      sample.isRecovering = (step.flags & 2) !== 0;
      sample.cwndLimited = (step.flags & 4) !== 0;
      bbr.onAck(sample);
    } else if (step.kind === 'loss') {
      const { inFlight, lost } = step;
      bbr.onLost({
        nowUs,
        bytes: step.bytes,
        txInFlightBytes: inFlight,
        lostSinceSentBytes: lost,
        isAppLimited: false,
      });
    } else if (step.kind === 'recovered') bbr.onRecovered(nowUs);
    else if (step.kind === 'spurious') bbr.onSpurious(nowUs);
    else if (step.kind === 'idle') bbr.onIdle(nowUs);
    else if (step.kind === 'transmit') bbr.onTransmit(step.inFlight, true, nowUs);
    else if (step.kind === 'mss')
      bbr.setMss(step.inFlight > 1000 && step.inFlight < 60_000 ? step.inFlight : MSS);
    else bbr.onCongestion(step.kind === 'loss-signal' ? 'loss' : step.kind, step.inFlight, nowUs);
    check(bbr, step);
    trace.push(`${bbr.cwndBytes} ${bbr.pacingRateBps}`);
  }
  return trace.join('\n');
}

describe('BBR: whatever it is told', () => {
  it('has a window of whole bytes, of a segment at least and of four after an ACK, within the limit', () => {
    fc.assert(
      fc.property(story, (steps) => {
        play(steps, (bbr, step) => {
          const { cwndBytes, state } = bbr;
          expect(Number.isInteger(cwndBytes), `${cwndBytes}`).to.equal(true);
          const segments = step.kind === 'ack' ? 4 : 1;
          expect(cwndBytes).to.be.at.least(segments * state.mssBytes);
          expect(cwndBytes).to.be.at.most(MAX_WINDOW);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('has a finite pacing rate above zero, and a model of numbers', () => {
    fc.assert(
      fc.property(story, (steps) => {
        play(steps, (bbr) => {
          expect(bbr.pacingRateBps > 0 && bbr.pacingRateBps < 1e14, `${bbr.pacingRateBps}`).to.equal(true);
          for (const [name, value] of Object.entries(bbr.state)) {
            if (Number.isNaN(value)) expect.fail(`${name} is NaN`);
          }
          expect(bbr.state.minRttUs).to.be.at.least(1);
          expect(bbr.state.bwBps).to.be.at.least(0);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('does the same again for the same seed', () => {
    fc.assert(
      fc.property(story, (steps) => {
        expect(play(steps, () => {})).to.equal(play(steps, () => {}));
      }),
      { numRuns: 50 },
    );
  });

  it('survives a clock that stands still, and samples of nothing but zeros', () => {
    const feeder = new Feeder(makeBbr({ rttUs: 0 }));
    for (let i = 0; i < 200; i++) {
      feeder.ack({ nowUs: 5e6, rttUs: 0, rateBps: 0, rateBytes: 0, txInFlightBytes: 0 });
      feeder.ack({ nowUs: 5e6, bytes: 0, rttUs: -1, rateBps: 0, rateBytes: 0, txInFlightBytes: 0 });
    }
    expect(feeder.bbr.cwndBytes).to.be.at.least(4 * MSS);
    expect(feeder.bbr.pacingRateBps).to.be.greaterThan(0);
  });

  it('has its rate again after the path nearly stood still for a minute', () => {
    const path = new BbrPath({ rateBps: 1.25e6, rttUs: 20_000 });
    path.runMs(2000);
    path.options = { rateBps: 1000, rttUs: 20_000, queueBytes: 10_000 };
    path.runMs(60_000);
    path.options = { rateBps: 1.25e6, rttUs: 20_000 };
    path.runMs(20_000);
    expect(path.goodput(3000)).to.be.greaterThan(0.9 * 1.25e6);
  });
});

describe('BBR: as one of the congestion controls', () => {
  it('is made by its name, paces, and answers losses itself', () => {
    const make = congestionMaker('bbr', new SeededRandom(1));
    const bbr = make({
      mssBytes: MSS,
      initialWindowBytes: 10 * MSS,
      maxWindowBytes: MAX_WINDOW,
      rttUs: 10_000,
      nowUs: 0,
    });
    expect(bbr).to.be.instanceOf(Bbr);
    expect(bbr.name).to.equal('bbr');
    expect(bbr.usesPrr).to.equal(false);
    expect(Number.isFinite(bbr.pacingRateBps)).to.equal(true);
    expect(bbr.ssthreshBytes).to.be.greaterThan(1e9);
  });

  it('follows the segment size', () => {
    const feeder = new Feeder(makeBbr());
    feeder.bbr.onCongestion('timeout', 0, feeder.nowUs);
    feeder.bbr.setMss(1400);
    expect(feeder.bbr.cwndBytes).to.equal(1400);
    feeder.ack({ bytes: 1400 });
    expect(feeder.bbr.cwndBytes).to.equal(4 * 1400);
  });
});
