import { expect } from 'chai';
import fc from 'fast-check';
import { Cubic } from '../../../../lib/tcp/congestion/cubic.js';
import { NewReno } from '../../../../lib/tcp/congestion/new-reno.js';
import { Flow, IW, MSS } from './flow.js';

for (const Control of [NewReno, Cubic]) {
  const begun = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow((parameters) => new Control(parameters), options);

  /** Parts of `total`, in random places. */
  const parts = (total: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min: 0, max: total }), { maxLength: 40 }).map((cuts) => {
      const at = [0, ...cuts, total].sort((a, b) => a - b);
      return at.slice(1).map((end, i) => end - at[i]);
    });

  describe(`the window of ${Control.name}: growth`, () => {
    it('starts at the initial window and doubles every round trip (RFC 5681 §3.1) [CC-3]', () => {
      const flow = begun();
      for (let round = 0; round < 7; round++) {
        expect(flow.cwnd).to.equal(IW * 2 ** round);
        flow.round();
      }
    });

    it('is the same however an ACK is divided, in slow start (RFC 3465) [CC-3 CC-24 D1]', () => {
      fc.assert(
        fc.property(parts(IW), (acks) => {
          const flow = begun();
          for (const acked of acks) flow.ack({ acked, inFlight: IW });
          expect(flow.cwnd).to.equal(2 * IW);
        }),
      );
    });

    it('is no larger for dividing ACKs, in congestion avoidance (RFC 3465) [CC-24 D1]', () => {
      fc.assert(
        fc.property(parts(100 * MSS), (acks) => {
          // Down from 400 segments; Reno then grows by one a round trip, CUBIC by little more.
          const growth = (pieces: number[]): number => {
            const flow = begun({ initialWindowBytes: 400 * MSS, rttMs: 20 });
            flow
              .loss(200 * MSS)
              .ack(MSS)
              .wait(20);
            const before = flow.cwnd;
            for (const acked of pieces) flow.ack({ acked, inFlight: flow.cwnd });
            return flow.cwnd - before;
          };
          expect(growth(acks)).to.be.at.most(growth([100 * MSS]) + MSS);
        }),
      );
    });

    it('divides one segment into a thousand ACKs to no avail [CC-24 D1]', () => {
      const flow = begun();
      for (let i = 0; i < MSS; i++) flow.ack({ acked: 1, inFlight: IW });
      expect(flow.cwnd).to.equal(IW + MSS);
    });

    it('counts what was delivered out of order once, and only when SND.UNA passes it [CC-3 CC-24]', () => {
      const flow = begun();
      flow.ack({ acked: 0, delivered: MSS }).ack({ acked: 0, delivered: 2 * MSS, inFlight: 9 * MSS });
      expect(flow.cwnd, 'duplicate ACKs (RFC 3042 §2)').to.equal(IW);
      flow.ack({ acked: 4 * MSS, delivered: MSS, inFlight: 7 * MSS });
      expect(flow.cwnd).to.equal(IW + 4 * MSS);
      flow.ack({ acked: MSS });
      expect(flow.cwnd).to.equal(IW + 5 * MSS);
    });

    it('does not count what was delivered out of order before a loss', () => {
      const flow = begun();
      for (let i = 0; i < 3; i++) flow.ack({ acked: 0, delivered: MSS });
      flow.loss();
      const before = flow.cwnd;
      flow.ack({ acked: 10 * MSS, delivered: 0 });
      expect(flow.cwnd).to.equal(before);
    });

    it('counts after a time-out what was in flight, not what had long left the network (RFC 3465 §2.3) [CC-3]', () => {
      const flow = begun().rounds(3);
      flow.timeout();
      // All 80 segments had arrived, but the ACKs were lost; the one sent again brings an ACK for all.
      flow.ack({ acked: 80 * MSS, inFlight: MSS });
      expect(flow.cwnd).to.equal(2 * MSS);
      flow.ack({ acked: 2 * MSS });
      expect(flow.cwnd).to.equal(4 * MSS);
    });

    it('goes up to ssthresh and counts the rest for congestion avoidance (RFC 5681 §3.1)', () => {
      const flow = begun().rounds(2).timeout();
      const { ssthresh } = flow;
      flow.recovered();
      while (flow.cwnd < ssthresh) {
        const before = flow.cwnd;
        flow.ack({ acked: before });
        expect(flow.cwnd).to.be.at.most(Math.max(ssthresh, 2 * before));
        if (2 * before > ssthresh) expect(flow.cwnd).to.be.within(ssthresh, ssthresh + MSS);
      }
      expect(flow.isSlowStart).to.equal(false);
    });
  });
}
