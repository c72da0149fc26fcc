import { expect } from 'chai';
import fc from 'fast-check';
import { Cubic } from '../../../../lib/tcp/congestion/cubic.js';
import { CUBIC_ALPHA, CUBIC_BETA, CUBIC_C, CubicCurve } from '../../../../lib/tcp/congestion/cubic-curve.js';
import { CubicReference } from './cubic-reference.js';
import { Flow, IW, MSS } from './flow.js';

const begun = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
  new Flow((parameters) => new Cubic(parameters), options);

/** In congestion avoidance from `segments` down to seven tenths of it. */
const reduced = (segments: number, options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
  begun({ initialWindowBytes: segments * MSS, ...options }).loss();

/** Drives the flow for `seconds` of full windows. */
function drive(flow: Flow, seconds: number, perAck = 2 * MSS): Flow {
  const endUs = flow.nowUs + seconds * 1e6;
  while (flow.nowUs < endUs) flow.round({ perAck });
  return flow;
}

describe('the curve of CUBIC', () => {
  it('is C(t-K)^3 + W_max with C = 0.4, K = cbrt((W_max - cwnd)/C) (RFC 9438 §4.2) [CUB-1]', () => {
    expect([CUBIC_C, CUBIC_BETA]).to.deep.equal([0.4, 0.7]);
    const windows = fc.integer({ min: 10, max: 100_000 });
    fc.assert(
      fc.property(
        windows,
        fc.double({ min: 0, max: 200, noNaN: true }),
        fc.constantFrom(536, 1460, 8960),
        (w, t, mss) => {
          const curve = new CubicCurve();
          curve.end(w * mss, CUBIC_BETA);
          curve.begin(0.7 * w * mss, mss, 5e9);
          const k = ((0.3 * w) / 0.4) ** (1 / 3);
          expect(curve.kSeconds).to.be.closeTo(k, 1e-9 * k);
          const reference = 0.4 * (t - k) ** 3 + w;
          expect(curve.windowAt(t, mss) / mss).to.be.closeTo(reference, 1e-6 * Math.abs(reference) + 1e-6);
          expect(curve.windowAt(0, mss) / mss, 'begins where the window is').to.be.closeTo(0.7 * w, 1e-6 * w);
          expect(curve.windowAt(k, mss) / mss, 'is flat at W_max').to.be.closeTo(w, 1e-6 * w);
        },
      ),
    );
  });

  it('is right to a segment for hours and for the largest windows (RFC 9438 §4.2) [CUB-12]', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000_000 }),
        fc.integer({ min: 2, max: 700_000 }),
        fc.constantFrom(536, 1460, 8960),
        (milliseconds, segments, mss) => {
          const curve = new CubicCurve();
          curve.end(segments * mss, CUBIC_BETA);
          curve.begin(Math.floor(0.7 * segments * mss), mss, 1e15);
          const seconds = curve.count(1e15 + milliseconds * 1000);
          // K in nanoseconds as an exact integer, and the cube in integers from there.
          const kNs = BigInt(Math.round(curve.kSeconds * 1e9));
          const fromFlat = BigInt(milliseconds) * 1_000_000n - kNs;
          const exact = Number((4n * fromFlat ** 3n) / 10n ** 22n) / 1e6 + segments;
          expect(curve.windowAt(seconds, mss) / mss).to.be.closeTo(exact, 1);
          const grown = (0.3 * segments) / 0.4;
          expect(curve.kSeconds ** 3).to.be.closeTo(grown, 1e-9 * grown + 3 / mss);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('CUBIC', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('rounds'), value: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('pause'), value: fc.integer({ min: 1, max: 20_000 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('loss', 'ecn', 'timeout'),
        value: fc.integer({ min: 1, max: 100 }),
      }),
    },
  );

  it('is what RFC 9438 says, to a segment, whatever happens [CUB-1 CUB-2 CUB-5]', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 3, maxLength: 25 }),
        fc.constantFrom(2, 10, 40, 100, 300),
        fc.integer({ min: 1, max: 8 }),
        (steps, rttMs, perAck) => {
          // Not more than some thousand segments, for the sake of the time this takes.
          const flow = begun({ rttMs, initialWindowBytes: 20 * MSS });
          const reference = new CubicReference(20);
          const compare = (what: string): void => {
            const tolerance = 0.5 + 0.002 * reference.cwnd;
            if (Math.abs(flow.segments - reference.cwnd) <= tolerance) return;
            expect(flow.segments, what).to.be.closeTo(reference.cwnd, tolerance);
          };
          for (const [i, { kind, value }] of [{ kind: 'loss', value: 100 }, ...steps].entries()) {
            if (kind === 'rounds') {
              for (let n = 0; n < value * 4 && reference.cwnd < 3000; n++) {
                const acked = Math.min(perAck, Math.floor(flow.segments));
                flow.wait(rttMs / 4).ack(acked * MSS);
                reference.ack(acked, flow.nowUs / 1e6, rttMs / 1000);
                compare(`step ${i}, ACK ${n}`);
              }
            } else if (kind === 'pause') {
              // Nothing is in flight for a while, from the last ACK on.
              flow.wait(value);
              flow.control.onTransmit?.(0, false, flow.nowUs);
              reference.idle(value / 1000);
            } else {
              const inFlight = Math.floor((flow.cwnd * value) / 100);
              // Whether the window has come back to W_max is a question of less than a byte.
              reference.cwnd = flow.segments;
              reference.congestion(kind as 'loss', inFlight / MSS);
              flow.control.onCongestion(kind as 'loss', inFlight, flow.nowUs);
              flow.recovered();
            }
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('goes for W(t+RTT), within [cwnd, 1.5 cwnd], in proportion to what is acknowledged (§4.2) [CUB-2]', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 5000 }),
        fc.integer({ min: 0, max: 40_000 }),
        fc.integer({ min: 10, max: 300 }),
        fc.integer({ min: 1, max: 60 }),
        (segments, waitMs, rttMs, acked) => {
          const flow = reduced(segments, { rttMs });
          const cwnd = flow.segments;
          flow.ack({ acked: 0 });
          const t = waitMs / 1000;
          flow.wait(waitMs).ack(acked * MSS);
          const k = Math.cbrt((segments - cwnd) / 0.4);
          const wAt = (seconds: number): number => 0.4 * (seconds - k) ** 3 + segments;
          const wEst = cwnd + (CUBIC_ALPHA * acked) / cwnd;
          const target = Math.min(Math.max(wAt(t + rttMs / 1000), cwnd), 1.5 * cwnd);
          const expected = wAt(t) < wEst ? wEst : cwnd + ((target - cwnd) * acked) / cwnd;
          expect(flow.segments).to.be.closeTo(expected, 2 / MSS);
        },
      ),
    );
  });

  it('follows the curve: fast, flat at W_max, fast again (§4.4, §4.5) [CUB-1 CUB-2]', () => {
    const flow = reduced(1000);
    const k = Math.cbrt(300 / 0.4);
    const startUs = flow.nowUs;
    const at: number[] = [];
    for (let second = 1; second <= 14; second++) {
      drive(flow, startUs / 1e6 + second - flow.nowUs / 1e6);
      at.push(flow.segments);
      const t = (flow.nowUs - startUs) / 1e6;
      // The window is that of one round trip ahead.
      expect(flow.segments).to.be.closeTo(0.4 * (t - k) ** 3 + 1000, 20);
    }
    expect(at[1] - at[0]).to.be.above(60);
    expect(at[9] - at[8], 'at W_max').to.be.below(4);
    expect(at[13] - at[12]).to.be.above(20);
  });

  it('grows like Reno would where that is more, from cwnd_epoch on (§4.3) [CUB-3 CUB-5]', () => {
    expect(CUBIC_ALPHA).to.be.closeTo(0.5294, 1e-4);
    // 10 ms round trips: the cube needs 4.2 s to what AIMD reaches in half a second.
    const flow = reduced(100, { rttMs: 10 });
    const epoch = flow.segments;
    for (let round = 1; round <= 40; round++) {
      flow.round();
      expect(flow.segments).to.be.closeTo(epoch + CUBIC_ALPHA * round, 0.02 * round + 0.01);
    }
  });

  it('begins that at the window of each stage, not where the last one ended (§4.3) [CUB-5]', () => {
    const flow = reduced(100, { rttMs: 10 }).rounds(30).loss();
    const epoch = flow.segments;
    flow.rounds(10);
    expect(flow.segments).to.be.closeTo(epoch + 10 * CUBIC_ALPHA, 0.3);
  });

  it('grows by a segment a round trip once it is where it was before (§4.3) [CUB-3 CUB-4]', () => {
    const flow = reduced(40, { rttMs: 5 });
    while (flow.segments < 40) flow.round();
    let before = flow.segments;
    for (let round = 0; round < 30; round++) {
      flow.round();
      expect(flow.segments - before).to.be.closeTo(1, 0.06);
      before = flow.segments;
    }
    // With fast convergence W_max is lower than what the window was; it is the latter that counts.
    const again = reduced(40, { rttMs: 5 }).rounds(10).loss();
    const prior = 28 + 10 * CUBIC_ALPHA;
    while (again.segments < prior - 1) {
      before = again.segments;
      again.round();
      expect(again.segments - before, `at ${before}`).to.be.closeTo(CUBIC_ALPHA, 0.05);
    }
  });

  it('reduces to 0.7 of what was outstanding, never from an inflated window (§4.6) [CUB-6 CC-5]', () => {
    const flow = begun({ initialWindowBytes: 100 * MSS });
    flow.control.onCongestion('loss', 60 * MSS, flow.nowUs);
    expect([flow.cwnd, flow.ssthresh]).to.deep.equal([42 * MSS, 42 * MSS]);
    flow.control.onCongestion('loss', 500 * MSS, flow.nowUs);
    expect(flow.ssthresh, 'no more than the window').to.equal(29_400);
    for (const [inFlight, lost, marked] of [
      [2, 2, 1.4],
      [1, 2, 1],
      [0, 2, 1],
      [3, 2.1, 2.1],
    ]) {
      const loss = begun();
      loss.control.onCongestion('loss', inFlight * MSS, loss.nowUs);
      expect([loss.segments, loss.ssthresh / MSS]).to.deep.equal([lost, lost]);
      const mark = begun();
      mark.control.onCongestion('ecn', inFlight * MSS, mark.nowUs);
      expect([mark.segments, mark.ssthresh / MSS]).to.deep.equal([marked, Math.max(2, marked)]);
    }
  });

  it('comes down to one segment under persistent marks (§4.6) [CUB-6]', () => {
    const flow = begun();
    for (let i = 0; i < 10; i++) flow.mark();
    expect(flow.cwnd).to.equal(MSS);
    expect(flow.ssthresh).to.equal(2 * MSS);
  });

  it('aims lower when it did not get back to where it was (fast convergence, §4.7) [CUB-7]', () => {
    // Time until the flat part, which shows W_max.
    const plateau = (flow: Flow): number => {
      let last = 0;
      for (let i = 0; i < 400; i++) {
        const before = flow.segments;
        flow.round({ perAck: 4 * MSS });
        if (flow.segments - before < 0.3) return flow.segments;
        last = flow.segments;
      }
      return last;
    };
    expect(plateau(reduced(400)), 'the first time: W_max = cwnd').to.be.closeTo(400, 5);
    // Lost at 280 again, below 400: (1 + 0.7)/2 of 280.
    expect(plateau(reduced(400).loss())).to.be.closeTo(238, 4);
    const beyond = reduced(400);
    while (beyond.segments < 420) beyond.round({ perAck: 4 * MSS });
    const lostAt = beyond.segments;
    expect(plateau(beyond.loss()), 'above W_max: W_max = cwnd').to.be.closeTo(lostAt, 5);
  });

  it('begins flat after a time-out, where slow start ends, with Reno beside it (§4.8) [CUB-8]', () => {
    const flow = begun({ initialWindowBytes: 200 * MSS, rttMs: 200 }).timeout();
    expect([flow.cwnd, flow.ssthresh]).to.deep.equal([MSS, 140 * MSS]);
    while (flow.isSlowStart) flow.round();
    flow.recovered();
    const start = flow.segments;
    expect(start).to.be.closeTo(140, 2);
    const startUs = flow.nowUs;
    let est = start;
    for (let round = 1; round <= 20; round++) {
      flow.round();
      est += CUBIC_ALPHA;
      const t = (flow.nowUs - startUs) / 1e6;
      const cube = start + 0.4 * t ** 3;
      // With the K that loss would have had, 20 more segments came in the first second alone.
      expect(flow.segments).to.be.closeTo(Math.max(est, cube), 3 + 0.03 * start * (cube > est ? 1 : 0));
    }
    // What comes after the next loss is an ordinary stage again.
    flow.loss();
    const before = flow.segments;
    drive(flow, 1);
    expect(flow.segments - before).to.be.above(15);
  });

  for (const signal of ['loss', 'timeout'] as const) {
    it(`is as if nothing had been when a ${signal} turns out to be none (§4.9) [CUB-9]`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3 }), (rounds, after) => {
          const make = (): Flow =>
            reduced(100)
              .rounds(3)
              .loss()
              .rounds(rounds, { perAck: 3 * MSS });
          const twin = make();
          const flow = make();
          const before = [flow.cwnd, flow.ssthresh];
          flow.control.onCongestion(signal, flow.cwnd, flow.nowUs);
          expect(flow.cwnd).to.be.below(before[0]);
          // The alarm is found to be false at once, or some round trips into the next stage.
          if (signal === 'loss') flow.recovered();
          for (let i = 0; i < after; i++) flow.round();
          flow.control.onSpurious(flow.nowUs);
          expect([flow.cwnd, flow.ssthresh]).to.deep.equal(before);
          twin.nowUs = flow.nowUs;
          for (let i = 0; i < 40; i++) {
            flow.round({ perAck: 3 * MSS });
            twin.round({ perAck: 3 * MSS });
            expect(flow.cwnd).to.be.closeTo(twin.cwnd, 2);
          }
          flow.loss();
          twin.loss();
          drive(flow, 5);
          drive(twin, 5);
          expect(flow.cwnd, 'W_max and cwnd_prior, too').to.be.closeTo(twin.cwnd, 20);
        }),
        { numRuns: 25 },
      );
    });
  }

  it('takes nothing back that has been regained, and nothing twice (§4.9.2) [CUB-9]', () => {
    const flow = reduced(20, { rttMs: 20 });
    while (flow.segments < 21) flow.round();
    const { cwnd, ssthresh } = flow;
    flow.control.onSpurious(flow.nowUs);
    expect([flow.cwnd, flow.ssthresh]).to.deep.equal([cwnd, ssthresh]);
    flow.loss();
    flow.control.onSpurious(flow.nowUs);
    flow.timeout();
    flow.control.onSpurious(flow.nowUs);
    flow.loss();
    const again = flow.cwnd;
    flow.control.onSpurious(flow.nowUs);
    flow.control.onSpurious(flow.nowUs);
    expect(flow.cwnd).to.equal(cwnd).and.to.be.above(again);
  });

  it('leaves slow start by HyStart++ onto the flat part (§4.10) [CUB-11]', () => {
    const flow = begun({ rttMs: 100 }).rounds(3);
    while (flow.isSlowStart) flow.ack({ acked: MSS, rttMs: 130 });
    const start = flow.segments;
    expect(flow.ssthresh).to.equal(flow.cwnd);
    const startUs = flow.nowUs;
    for (let round = 1; round <= 30; round++) {
      flow.round();
      const t = (flow.nowUs - startUs) / 1e6;
      const cube = start + 0.4 * (t + 0.1) ** 3;
      // cwnd_prior = cwnd, so Reno's window grows by one a round trip from the start.
      expect(flow.segments).to.be.closeTo(Math.max(start + round, cube), 1.5);
    }
  });

  it('does not jump after a pause: time without sending does not count (§4.2, §5.8) [CUB-2]', () => {
    const steady = drive(reduced(1000), 5);
    const paused = drive(reduced(1000), 5);
    const before = paused.cwnd;
    paused.wait(30_000);
    paused.control.onTransmit?.(0, false, paused.nowUs);
    for (let round = 0; round < 50; round++) {
      steady.round();
      paused.round();
      expect(paused.cwnd).to.be.closeTo(steady.cwnd, 2);
    }
    expect(paused.cwnd).to.be.above(before);
    // Nor does time in which the window was not full.
    const limited = drive(reduced(1000), 5).drain();
    for (let round = 0; round < 300; round++) limited.round({ bytes: 10 * MSS, limited: false });
    const { cwnd } = limited;
    limited.round({ perAck: 10 * MSS });
    expect(limited.cwnd - cwnd).to.be.below(30 * MSS);
  });

  it('does not mind how many segments an ACK covers (§4.2) [CUB-13]', () => {
    const grown = (perAck: number, rttMs: number, seconds: number): number =>
      drive(reduced(300, { rttMs }), seconds, perAck * MSS).segments;
    for (const [rttMs, seconds] of [
      [10, 1],
      [50, 4],
      [100, 8],
    ]) {
      const each = grown(1, rttMs, seconds);
      for (const perAck of [2, 4, 16, 64]) {
        expect(grown(perAck, rttMs, seconds), `${perAck} an ACK, ${rttMs} ms`).to.be.closeTo(
          each,
          0.03 * each,
        );
      }
    }
  });

  it('takes as much for a mark as for a loss, unless asked for ABE: then 0.85 (RFC 8511) [ECN-14 CUB-6]', () => {
    const after = (abe: boolean | undefined, signal: 'loss' | 'mark'): number =>
      begun({ initialWindowBytes: 100 * MSS, abe })[signal]().segments;
    expect(after(undefined, 'mark')).to.equal(70);
    expect(after(false, 'mark')).to.equal(70);
    expect(after(true, 'mark')).to.equal(85);
    expect(after(true, 'loss')).to.equal(70);
  });

  it('waits for the curve where it is ahead of it, and loses nothing by that (§4.2) [CUB-2]', () => {
    // Half a second ahead; then round trips are short, and the curve at t + RTT lies below the window.
    const flow = drive(reduced(1000, { rttMs: 500 }), 3);
    const startUs = flow.nowUs - 3e6;
    flow.rttMs = 20;
    let before = flow.cwnd;
    const k = Math.cbrt(300 / 0.4);
    for (let round = 0; round < 100; round++) {
      flow.round({ perAck: 8 * MSS });
      expect(flow.cwnd).to.be.at.least(before);
      before = flow.cwnd;
    }
    expect(flow.segments).to.be.closeTo(0.4 * ((flow.nowUs - startUs) / 1e6 - k) ** 3 + 1000, 8);
  });

  it('begins another stage where the window is, after idleness and with another segment size', () => {
    // Small enough that idleness takes nothing from it.
    const idle = reduced(12, { initialWindowBytes: IW })
      .loss(8 * MSS)
      .rounds(2);
    const { cwnd } = idle;
    expect(idle.isSlowStart).to.equal(false);
    idle.wait(60_000);
    idle.control.onIdle(idle.nowUs);
    idle.round();
    expect(idle.cwnd).to.be.within(cwnd, cwnd + MSS);
    // Halving the segments halves how far the curve is below W_max, were it gone on with.
    const flow = drive(begun().rounds(6).loss(), 1);
    const before = flow.cwnd;
    const missing = 640 * MSS - before;
    flow.control.setMss(500);
    flow.round({ perAck: MSS });
    expect(flow.cwnd - before).to.be.within(0, 0.2 * missing);
  });

  it('begins another stage when half of a window that was hardly used is gone', () => {
    const flow = drive(begun().rounds(7).loss(), 12).drain();
    const kept = flow.cwnd;
    for (let i = 0; i < 3001; i++) flow.wait(100).ack({ acked: MSS, inFlight: MSS, limited: false });
    expect(flow.isSlowStart).to.equal(true);
    while (flow.isSlowStart) flow.round({ perAck: 10 * MSS });
    flow.round({ perAck: 10 * MSS });
    expect(flow.cwnd).to.be.within(0.75 * kept, 0.85 * kept);
  });

  it('asks for no pacing, and leaves the reduction to PRR', () => {
    const { control } = begun();
    expect(control).to.include({ name: 'cubic', usesPrr: true, pacingRateBps: Number.POSITIVE_INFINITY });
    expect(control.cwndBytes).to.equal(IW);
  });
});
