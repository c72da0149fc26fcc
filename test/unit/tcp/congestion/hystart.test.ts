import { expect } from 'chai';
import fc from 'fast-check';
import type { Seq } from '../../../../lib/base/seq.js';
import { Cubic } from '../../../../lib/tcp/congestion/cubic.js';
import { HyStart } from '../../../../lib/tcp/congestion/hystart.js';
import { NewReno } from '../../../../lib/tcp/congestion/new-reno.js';
import { Flow, IW, MSS } from './flow.js';

/** A HyStart whose rounds are of `perRound` ACKs. */
class Rounds {
  readonly hystart = new HyStart();
  #una = 0;
  #nxt = 0;

  /** A round with these round-trip times, ms; the last ACK ends it. Negative ones are of ACKs that measured none. */
  round(...rttsMs: number[]): this {
    this.#nxt = this.#una + rttsMs.length;
    for (const rttMs of rttsMs) this.ack(rttMs);
    return this;
  }

  /** The next round begins, of `length` ACKs to come. */
  begin(length: number): this {
    this.#nxt = this.#una + length;
    return this;
  }

  ack(rttMs: number): this {
    this.#una++;
    const isLast = this.#una === this.#nxt;
    this.hystart.acknowledged({
      rttUs: rttMs < 0 ? -1 : rttMs * 1000,
      sndUna: this.#una as Seq,
      // The first round is as long as the caller says, those that follow are of eight.
      sndNxt: (isLast ? this.#una + 8 : this.#nxt) as Seq,
    });
    return this;
  }
}

const eight = (rttMs: number): number[] => new Array<number>(8).fill(rttMs);

describe('HyStart++ (RFC 9406)', () => {
  /** The state after a round of `last` ms and one of `current` ms. */
  const conservativeAfter = (lastMs: number, currentMs: number, samples = 8): boolean => {
    const rounds = new Rounds().round(...eight(lastMs)).begin(8);
    for (let i = 0; i < samples; i++) rounds.ack(currentMs);
    return rounds.hystart.isConservative;
  };

  it('asks for an eighth of the last round trip, between 4 and 16 ms (§4.3) [HYS-1 HYS-3]', () => {
    for (const [last, threshold] of [
      [1, 4],
      [10, 4],
      [32, 4],
      [40, 5],
      [80, 10],
      [128, 16],
      [400, 16],
    ]) {
      expect(conservativeAfter(last, last + threshold), `${last} ms`).to.equal(true);
      expect(conservativeAfter(last, last + threshold - 0.001), `${last} ms`).to.equal(false);
    }
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.integer({ min: 0, max: 40_000 }),
        (last, rise) => {
          const asked = Math.max(4000, Math.min(last / 8, 16_000));
          expect(conservativeAfter(last / 1000, (last + rise) / 1000)).to.equal(rise >= asked);
        },
      ),
    );
  });

  it('believes the shortest of eight samples, not fewer (§4.2) [HYS-1 HYS-3]', () => {
    expect(conservativeAfter(50, 100, 7)).to.equal(false);
    expect(conservativeAfter(50, 100, 8)).to.equal(true);
    const rounds = new Rounds().round(...eight(50)).round(100, 100, 100, 51, 100, 100, 100, 100);
    expect(rounds.hystart.isConservative, 'one of the eight was short').to.equal(false);
    const unmeasured = new Rounds().round(...eight(50)).round(100, 100, 100, -1, 100, 100, 100, 100);
    expect(unmeasured.hystart.isConservative, 'ACKs without a sample do not count').to.equal(false);
  });

  it('compares with the shortest round trip of the round before, not of all (§4.2) [HYS-2]', () => {
    const slowlyRising = new Rounds().round(...eight(50));
    for (let ms = 53; ms < 200; ms += 3) slowlyRising.round(...eight(ms));
    expect(slowlyRising.hystart.isConservative, '3 ms a round').to.equal(false);
    const unmeasured = new Rounds()
      .round(...eight(50))
      .round(...eight(-1))
      .round(...eight(100));
    expect(unmeasured.hystart.isConservative, 'after a round without samples').to.equal(false);
  });

  it('ends a round when what SND.NXT was at its start is acknowledged, and not before (§4.2) [HYS-2]', () => {
    for (const start of [0, 0x7fff_fff9, 0xffff_fff9]) {
      const hystart = new HyStart();
      const ack = (una: number, nxt: number, rttMs: number): void =>
        hystart.acknowledged({
          rttUs: rttMs * 1000,
          sndUna: ((start + una) | 0) as Seq,
          sndNxt: ((start + nxt) | 0) as Seq,
        });
      // The first round is of ten; much more is sent while it lasts.
      for (let i = 1; i <= 9; i++) ack(i, i === 1 ? 10 : 10 + 2 * i, 20);
      // Still the first: these long ones do not count as a second.
      for (let i = 0; i < 8; i++) ack(9, 28, 40);
      expect(hystart.isConservative).to.equal(false);
      ack(10, 30, 40);
      for (let i = 11; i <= 17; i++) ack(i, 10 + 2 * i, 40);
      expect(hystart.isConservative, 'seven of the second').to.equal(false);
      ack(18, 46, 40);
      expect(hystart.isConservative).to.equal(true);
    }
  });

  it('goes back to slow start when a round trip is shorter than the baseline (§4.2) [HYS-4]', () => {
    const rounds = new Rounds().round(...eight(50)).round(...eight(70));
    expect(rounds.hystart.isConservative).to.equal(true);
    rounds.round(...eight(75)).round(...eight(70));
    expect(rounds.hystart.isConservative, 'not shorter').to.equal(true);
    rounds.begin(8);
    for (let i = 0; i < 7; i++) rounds.ack(60);
    expect(rounds.hystart.isConservative, 'seven samples').to.equal(true);
    rounds.ack(69);
    expect(rounds.hystart.isConservative).to.equal(false);
    expect(rounds.hystart.isOver).to.equal(false);
    // It may be left again, and the five rounds are counted anew.
    rounds.round(...eight(90));
    expect(rounds.hystart.isConservative).to.equal(true);
    rounds
      .round(...eight(90))
      .round(...eight(90))
      .round(...eight(90));
    expect(rounds.hystart.isOver).to.equal(false);
    rounds.round(...eight(90));
    expect(rounds.hystart.isOver).to.equal(true);
  });

  it('is over after five rounds, the one in which the rise was noticed included (§4.2) [HYS-1 HYS-5]', () => {
    const rounds = new Rounds().round(...eight(50)).round(...eight(70));
    for (let round = 2; round <= 5; round++) {
      expect(rounds.hystart.isOver, `before round ${round}`).to.equal(false);
      rounds.round(...eight(70));
    }
    expect(rounds.hystart.isOver).to.equal(true);
  });
});

for (const Control of [NewReno, Cubic]) {
  describe(`slow start of ${Control.name}`, () => {
    const begun = (options = {}): Flow =>
      new Flow((parameters) => new Control(parameters), { rttMs: 50, ...options });

    /** Up to conservative slow start, in which it then is. */
    const conservative = (): Flow => begun().rounds(2).round({ rttMs: 70 });

    it('grows a quarter as fast once round trips rise, then ends with ssthresh = cwnd [HYS-4 HYS-5]', () => {
      const flow = conservative();
      // The eighth sample of the third round was the one; rounds are off by as many ACKs as went before them.
      expect(flow.cwnd).to.be.within(4 * IW + 8 * MSS + (4 * IW - 8 * MSS) / 4, 6 * IW);
      const began = flow.cwnd;
      for (let round = 0; round < 3; round++) {
        const before = flow.cwnd;
        flow.round({ rttMs: 70 });
        expect(flow.cwnd).to.be.closeTo(1.25 * before, 1);
      }
      while (flow.isSlowStart) flow.ack({ acked: MSS, rttMs: 70 });
      expect(flow.ssthresh).to.equal(flow.cwnd);
      expect(flow.cwnd).to.be.within(began * 1.25 ** 4, began * 1.25 ** 5);
      const before = flow.cwnd;
      flow.round({ rttMs: 70 });
      expect(flow.cwnd).to.be.within(before, before + 2 * MSS);
    });

    it('grows a quarter as fast, too, where ACKs are for single bytes [HYS-4]', () => {
      const flow = conservative();
      const before = flow.cwnd;
      for (let i = 0; i < 400; i++) flow.ack({ acked: 1, rttMs: 70 });
      expect(flow.cwnd).to.equal(before + 100);
    });

    it('doubles again when round trips get shorter again [HYS-4]', () => {
      const flow = conservative();
      flow.round({ rttMs: 50 });
      const before = flow.cwnd;
      flow.round({ rttMs: 50 });
      expect(flow.cwnd).to.equal(2 * before);
    });

    it('ends with a loss, a mark or a time-out, also a conservative one [HYS-5]', () => {
      for (const signal of ['loss', 'mark', 'timeout'] as const) {
        for (const flow of [begun().rounds(2), conservative()]) {
          const before = flow.cwnd;
          flow[signal]();
          expect(flow.ssthresh, signal).to.be.at.most(before);
          expect(flow.cwnd, signal).to.be.at.most(flow.ssthresh);
        }
      }
    });

    it('does not mind round trips after the first one has ended [HYS-6]', () => {
      const flow = begun().rounds(4).timeout().recovered();
      const { ssthresh } = flow;
      for (let ms = 50; flow.isSlowStart; ms += 100) {
        const before = flow.cwnd;
        flow.round({ rttMs: ms });
        expect(flow.cwnd, `${ms} ms`).to.be.at.least(Math.min(2 * before, ssthresh));
      }
      expect(flow.ssthresh).to.equal(ssthresh);
    });

    it('minds them again when the signal that ended it was false [HYS-6]', () => {
      const flow = begun().rounds(2);
      flow.control.onCongestion('loss', flow.cwnd, flow.nowUs);
      flow.control.onSpurious(flow.nowUs);
      const before = flow.cwnd;
      flow.round().round({ rttMs: 70 });
      expect(flow.cwnd).to.be.within(2 * before, 3 * before);
      // And what it thought of them before is no longer so.
      const other = conservative();
      other.control.onCongestion('loss', other.cwnd, other.nowUs);
      other.control.onSpurious(other.nowUs);
      const { cwnd } = other;
      expect(other.ack(MSS).cwnd).to.equal(cwnd + MSS);
    });

    it('takes no notice of ACKs in close succession, in which Linux sees the end [HYS-7]', () => {
      // Trains as long as half the round trip: Linux' classic HyStart leaves slow start at them.
      const flow = begun().rounds(8);
      expect(flow.cwnd).to.equal(256 * IW);
      expect(flow.isSlowStart).to.equal(true);
    });

    it('takes 8 segments an ACK where nothing else keeps bursts short, else all of it [HYS-1]', () => {
      const unpaced = begun({ paced: false });
      expect(unpaced.ack(10 * MSS).cwnd).to.equal(IW + 8 * MSS);
      const paced = begun({ paced: true, initialWindowBytes: 100 * MSS });
      expect(paced.ack(100 * MSS).cwnd).to.equal(200 * MSS);
      expect(begun().ack(IW).cwnd).to.equal(2 * IW);
    });
  });
}
