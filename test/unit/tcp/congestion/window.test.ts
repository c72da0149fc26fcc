import { expect } from 'chai';
import fc from 'fast-check';
import { SeededRandom } from '../../../../lib/sim/seeded-random.js';
import { Cubic } from '../../../../lib/tcp/congestion/cubic.js';
import { NewReno } from '../../../../lib/tcp/congestion/new-reno.js';
import { congestionMaker, registerCongestionControl } from '../../../../lib/tcp/congestion/registry.js';
import { Flow, IW, MSS } from './flow.js';

const MINUTES = 60_000;

for (const Control of [NewReno, Cubic]) {
  const begun = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow((parameters) => new Control(parameters), options);

  describe(`the window of ${Control.name}: whether it is in use`, () => {
    it('does not grow while it is not what holds the sender back (RFC 7661, Linux) [CC-13]', () => {
      const flow = begun().rounds(3);
      expect(flow.round({ bytes: 10 * MSS, limited: false }).cwnd, 'in slow start').to.equal(8 * IW);
      flow.loss().rounds(2).drain();
      const { cwnd } = flow;
      for (let i = 0; i < 100; i++) flow.round({ bytes: 0.8 * cwnd, limited: false });
      expect(flow.cwnd, 'in congestion avoidance').to.equal(cwnd);
      flow.rounds(2, { bytes: 0.8 * cwnd });
      expect(flow.cwnd).to.be.above(cwnd);
    });

    it('starts anew after idleness with the initial window; ssthresh is kept (RFC 5681 §4.1) [CC-12]', () => {
      const fresh = begun().rounds(4);
      const { ssthresh } = fresh;
      fresh.control.onIdle(fresh.nowUs);
      expect(fresh.cwnd).to.equal(IW);
      expect(fresh.ssthresh).to.equal(ssthresh);
      const later = begun().rounds(4).loss();
      const reduced = later.ssthresh;
      later.control.onIdle(later.nowUs);
      expect(later.cwnd).to.equal(IW);
      expect(later.ssthresh).to.equal(reduced);
      expect(later.isSlowStart).to.equal(true);
      const small = begun().timeout().recovered();
      small.control.onIdle(small.nowUs);
      expect(small.cwnd, 'no more than before').to.equal(MSS);
    });

    it('remembers in ssthresh what it had grown to (RFC 2861 §3.2, Linux) [CC-12]', () => {
      const flow = begun({ rttMs: 1000 }).rounds(2).loss().rounds(40);
      const { cwnd, ssthresh } = flow;
      expect(cwnd).to.be.above(2 * ssthresh);
      flow.control.onIdle(flow.nowUs);
      expect(flow.cwnd).to.equal(IW);
      expect(flow.ssthresh).to.equal(Math.floor((3 * cwnd) / 4));
    });

    /** An ACK of one segment each 100 ms. */
    const trickle = (flow: Flow, ms: number, inFlight: number, limited = false): void => {
      const endUs = flow.nowUs + ms * 1000;
      while (flow.nowUs < endUs) flow.wait(100).ack({ acked: MSS, inFlight, limited });
    };

    it('keeps what it had for five minutes of little use, then half of it (RFC 7661 §4.4) [CC-13]', () => {
      const flow = begun({ rttMs: 1000 }).rounds(2).loss().rounds(40).drain();
      const { cwnd: kept, ssthresh } = flow;
      expect(kept).to.be.above(2 * ssthresh);
      trickle(flow, 5 * MINUTES - 300, MSS);
      expect(flow.cwnd).to.equal(kept);
      trickle(flow, 1000, MSS);
      expect(flow.cwnd).to.equal(Math.max(IW, Math.floor(kept / 2)));
      expect(flow.ssthresh).to.equal(Math.floor((3 * kept) / 4));
      trickle(flow, 60 * MINUTES, MSS);
      expect(flow.cwnd, 'not below the initial window').to.equal(IW);
    });

    it('keeps what it has while half of it is in use, or it holds the sender back (RFC 7661 §4.2) [CC-13]', () => {
      const half = begun().rounds(4).loss().drain();
      const { cwnd } = half;
      trickle(half, 12 * MINUTES, cwnd / 2);
      expect(half.cwnd).to.equal(cwnd);
      trickle(half, 6 * MINUTES, cwnd / 2 - 1);
      expect(half.cwnd).to.equal(cwnd / 2);
      // Held back although little is in flight, as where the end of a window waits for the next ACK.
      const held = begun({ maxWindowBytes: cwnd }).rounds(9);
      trickle(held, 5 * MINUTES + 200, MSS, true);
      expect(held.cwnd).to.equal(cwnd);
    });
  });

  describe(`the window of ${Control.name}: bounds`, () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          kind: fc.constant('ack'),
          value: fc.double({ min: 0, max: 1.2, noNaN: true }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('round'), value: fc.integer({ min: 1, max: 40 }) }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constantFrom('loss', 'mark', 'timeout'),
          value: fc.double({ min: 0, max: 3, noNaN: true }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constantFrom('spurious', 'idle', 'wait', 'send', 'mss'),
          value: fc.integer({ min: 48, max: 9000 }),
        }),
      },
    );

    const take = (flow: Flow, kind: string, value: number): void => {
      if (kind === 'ack') flow.ack({ acked: Math.floor(value * flow.cwnd), limited: value > 0.2 });
      else if (kind === 'round') flow.round({ perAck: Math.ceil(flow.cwnd / value) });
      else if (kind === 'loss') flow.loss(Math.floor(value * flow.cwnd));
      else if (kind === 'mark') flow.mark(Math.floor(value * flow.cwnd));
      else if (kind === 'timeout') flow.timeout(Math.floor(value * flow.cwnd));
      else if (kind === 'spurious') flow.control.onSpurious(flow.nowUs);
      else if (kind === 'idle') flow.control.onIdle(flow.nowUs);
      else if (kind === 'wait') flow.wait(value * 100);
      else if (kind === 'send') flow.control.onTransmit?.(0, false, flow.nowUs);
      else flow.control.setMss(value);
    };

    it('is whole bytes between one segment and the largest allowed, whatever happens [CC-20]', () => {
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 1, maxLength: 60 }),
          fc.constantFrom(20_000, 1e6, 2 ** 30, 2 ** 40),
          (steps, maxWindowBytes) => {
            const flow = begun({ maxWindowBytes, rttMs: 30 });
            let mss = MSS;
            for (const { kind, value } of steps) {
              take(flow, kind, value);
              if (kind === 'mss') mss = value;
              expect(Number.isInteger(flow.cwnd), `${kind} ${value}`).to.equal(true);
              expect(Number.isInteger(flow.ssthresh), `${kind} ${value}`).to.equal(true);
              expect(flow.cwnd, `${kind} ${value}`).to.be.within(
                mss,
                Math.max(mss, Math.min(maxWindowBytes, 2 ** 30)),
              );
              expect(flow.ssthresh, `${kind} ${value}`).to.be.within(2 * mss, 2 ** 30);
            }
          },
        ),
        { numRuns: 150 },
      );
    });

    it('stops growing at the largest allowed [CC-20]', () => {
      const flow = begun({ maxWindowBytes: 100_500 }).rounds(10);
      expect(flow.cwnd).to.equal(100_500);
      flow.loss();
      flow.rounds(200, { rttMs: 1000 });
      expect(flow.cwnd).to.equal(100_500);
    });

    it('follows the segment size: small ones by segments, large ones by bytes [CC-20]', () => {
      const fresh = begun();
      fresh.control.setMss(500);
      expect(fresh.cwnd).to.equal(5000);
      const lost = begun().timeout();
      lost.control.setMss(500);
      expect(lost.cwnd, 'one segment is one segment').to.equal(500);
      const large = begun().rounds(3);
      large.control.setMss(500);
      expect(large.cwnd).to.equal(80 * MSS);
      large.control.onIdle(large.nowUs);
      expect(large.cwnd).to.equal(5000);
      const grown = begun().timeout();
      grown.control.setMss(9000);
      expect(grown.cwnd).to.equal(9000);
      expect(grown.ssthresh).to.equal(18_000);
    });

    it('leaves two segments to ssthresh, of whatever size, also when a reduction is undone [CC-20]', () => {
      const flow = begun().loss(0);
      flow.control.onCongestion('ecn', 0, flow.nowUs);
      flow.control.setMss(1001);
      flow.control.onSpurious(flow.nowUs);
      expect([flow.cwnd, flow.ssthresh]).to.deep.equal([2000, 2002]);
    });

    it('takes over from another algorithm where that one was', () => {
      const flow = begun({ inherited: { cwndBytes: 55_555.5, ssthreshBytes: 44_444.4 } });
      expect([flow.cwnd, flow.ssthresh]).to.deep.equal([55_555, 44_444]);
      expect(flow.round().cwnd).to.be.within(55_555, 55_555 + 2 * MSS);
      const fresh = begun({ inherited: { cwndBytes: 20_000, ssthreshBytes: Number.POSITIVE_INFINITY } });
      expect(fresh.round().cwnd).to.equal(40_000);
      const huge = { cwndBytes: 2 ** 35, ssthreshBytes: 2 ** 35 };
      expect(begun({ inherited: huge, maxWindowBytes: 2 ** 40 }).cwnd).to.equal(2 ** 30);
    });
  });
}

describe('congestion controls by name', () => {
  const parameters = { mssBytes: MSS, initialWindowBytes: IW, maxWindowBytes: 1e6, rttUs: 0, nowUs: 0 };

  it('are cubic and reno, and what users add', () => {
    const random = new SeededRandom(1);
    expect(congestionMaker('cubic', random)(parameters)).to.be.instanceOf(Cubic);
    expect(congestionMaker('reno', random)(parameters)).to.be.instanceOf(NewReno);
    registerCongestionControl('mine', (given) => new NewReno(given));
    expect(congestionMaker('mine', random)(parameters).name).to.equal('reno');
    expect(() => registerCongestionControl('cubic', (given) => new Cubic(given))).to.throw(
      'registered already',
    );
    expect(() => congestionMaker('nobody', random)).to.throw('unknown congestion control');
  });
});
