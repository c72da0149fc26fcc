import { expect } from 'chai';
import fc from 'fast-check';
import { NewReno } from '../../../../lib/tcp/congestion/new-reno.js';
import { Flow, IW, MSS } from './flow.js';

const begun = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
  new Flow((parameters) => new NewReno(parameters), options);

describe('NewReno', () => {
  it('grows by one segment a round trip in congestion avoidance (RFC 5681 §3.1) [CC-4]', () => {
    for (const perAck of [1, 2, 5, 50]) {
      const flow = begun({ initialWindowBytes: 100 * MSS }).loss();
      for (let round = 1; round <= 100; round++) {
        flow.round({ perAck: perAck * MSS });
        expect(flow.segments, `${perAck} an ACK`).to.be.within(50 + round - 1, 50 + round);
      }
    }
  });

  it('counts every byte once, whatever the ACKs are, and none from before a loss (RFC 3465) [CC-4]', () => {
    const flow = begun({ initialWindowBytes: 100 * MSS }).loss();
    let [expected, credit] = [50, 0];
    for (let ack = 0; ack < 1000; ack++) {
      flow.ack(3 * MSS);
      credit += 3;
      if (credit >= expected) credit -= expected++;
      expect(flow.segments).to.equal(expected);
    }
    const lost = begun({ initialWindowBytes: 100 * MSS }).loss();
    lost.ack(49 * MSS).loss();
    expect(lost.ack(24 * MSS).segments).to.equal(25);
    expect(lost.ack(MSS).segments).to.equal(26);
  });

  it('halves what was outstanding, not the window, two segments at least (RFC 5681 §3.1) [CC-5]', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 30 * MSS }),
        fc.constantFrom('loss', 'timeout'),
        (inFlight, signal) => {
          const flow = begun({ initialWindowBytes: 20 * MSS });
          flow.control.onCongestion(signal, inFlight, flow.nowUs);
          const half = Math.round(Math.min(inFlight, 20 * MSS) / 2);
          expect(flow.ssthresh).to.equal(Math.max(half, 2 * MSS));
          expect(flow.cwnd).to.equal(signal === 'timeout' ? MSS : flow.ssthresh);
        },
      ),
    );
  });

  it('goes on with one segment after a time-out, in slow start up to half (RFC 5681 §3.1) [CC-6]', () => {
    const flow = begun().rounds(2).timeout();
    expect([flow.cwnd, flow.ssthresh]).to.deep.equal([MSS, 2 * IW]);
    for (const segments of [2, 4, 8, 16]) expect(flow.round().cwnd).to.equal(segments * MSS);
    flow.recovered();
    expect(flow.cwnd, 'and keeps what it has').to.equal(16 * MSS);
    expect(flow.round().segments).to.be.within(20, 21);
    expect(flow.rounds(10).segments).to.be.within(29, 31);
  });

  it('halves for a mark, down to one segment; 0.8 with ABE (RFC 3168 §6.1.2, RFC 8511) [ECN-14]', () => {
    const after = (abe: boolean | undefined, signal: 'loss' | 'mark'): number =>
      begun({ initialWindowBytes: 100 * MSS, abe })[signal]().segments;
    expect(after(undefined, 'mark')).to.equal(50);
    expect(after(true, 'mark')).to.equal(80);
    expect(after(true, 'loss')).to.equal(50);
    const flow = begun();
    for (let i = 0; i < 6; i++) flow.mark();
    expect([flow.cwnd, flow.ssthresh]).to.deep.equal([MSS, 2 * MSS]);
  });

  it('is as before when the signal was false (RFC 4015 §3)', () => {
    for (const signal of ['loss', 'ecn', 'timeout'] as const) {
      const flow = begun().rounds(3).loss().rounds(3);
      const before = [flow.cwnd, flow.ssthresh];
      flow.control.onCongestion(signal, flow.cwnd, flow.nowUs);
      flow.round();
      flow.control.onSpurious(flow.nowUs);
      expect([flow.cwnd, flow.ssthresh]).to.deep.equal(before);
    }
  });

  it('asks for no pacing, and leaves the reduction to PRR', () => {
    const expected = { name: 'reno', usesPrr: true, pacingRateBps: Number.POSITIVE_INFINITY };
    expect(begun().control).to.include(expected);
  });
});
