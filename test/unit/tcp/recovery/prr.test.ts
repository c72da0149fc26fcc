/** Proportional rate reduction by itself (RFC 9937), against the text of the RFC in exact integers. */
import { expect } from 'chai';
import fc from 'fast-check';
import { ProportionalReduction } from '../../../../lib/tcp/recovery/prr.js';

const MSS = 1000;

/** RFC 9937 §6, with integers that cannot overflow. */
class Reference {
  delivered = 0n;
  out = 0n;
  readonly ssthresh: bigint;
  readonly recoverFs: bigint;

  constructor(ssthresh: bigint, recoverFs: bigint) {
    this.ssthresh = ssthresh;
    this.recoverFs = recoverFs;
  }

  /** @returns cwnd, or undefined where there is no step */
  ack(data: bigint, inFlight: bigint, isSafe: boolean): bigint | undefined {
    if (data === 0n && this.out > 0n) return undefined;
    this.delivered += data;
    let sndcnt: bigint;
    if (inFlight > this.ssthresh) {
      const product = this.delivered * this.ssthresh;
      sndcnt = (product + this.recoverFs - 1n) / this.recoverFs - this.out;
    } else {
      const base = this.delivered - this.out;
      sndcnt = (base > data ? base : data) + (isSafe ? BigInt(MSS) : 0n);
      const room = this.ssthresh - inFlight;
      if (sndcnt > room) sndcnt = room;
    }
    if (this.out === 0n && sndcnt < BigInt(MSS)) sndcnt = BigInt(MSS);
    return inFlight + (sndcnt > 0n ? sndcnt : 0n);
  }
}

const started = (ssthresh: number, recoverFs: number): ProportionalReduction => {
  const prr = new ProportionalReduction();
  prr.start(ssthresh, recoverFs);
  return prr;
};

describe('proportional rate reduction', () => {
  it('sends ssthresh / RecoverFS of what is delivered while more than ssthresh is in flight (RFC 9937 §6.2) [PRR-4 PRR-8]', () => {
    const prr = started(10 * MSS, 20 * MSS);
    prr.delivered(MSS, 19 * MSS, false, MSS);
    expect(prr.cwndBytes).to.equal(20 * MSS);
    prr.sent(MSS);
    const left: number[] = [];
    for (let i = 0; i < 6; i++) {
      prr.delivered(MSS, 18 * MSS, true, MSS);
      left.push(prr.cwndBytes - 18 * MSS);
      prr.sent(prr.cwndBytes - 18 * MSS);
    }
    // Two are acknowledged for each one sent.
    expect(left).to.deep.equal([0, 500, 500, 500, 500, 500]);
  });

  it('conserves packets below ssthresh, and grows back by a segment with a safe ACK (RFC 9937 §6.2) [PRR-5 PRR-6]', () => {
    const grown = (isSafe: boolean): number => {
      const prr = started(10 * MSS, 20 * MSS);
      prr.delivered(MSS, 4 * MSS, false, MSS);
      prr.sent(MSS);
      prr.delivered(2 * MSS, 3 * MSS, isSafe, MSS);
      return prr.cwndBytes - 3 * MSS;
    };
    expect([grown(false), grown(true)]).to.deep.equal([2 * MSS, 3 * MSS]);
    const nearly = started(10 * MSS, 20 * MSS);
    nearly.delivered(MSS, 9 * MSS, false, MSS);
    nearly.sent(MSS);
    nearly.delivered(5 * MSS, 9500, true, MSS);
    expect(nearly.cwndBytes, 'no further than ssthresh').to.equal(10 * MSS);
  });

  it('lets the first retransmission go whatever the proportion says (RFC 9937 §6.2) [PRR-7]', () => {
    const prr = started(2 * MSS, 100 * MSS);
    prr.delivered(MSS, 90 * MSS, false, MSS);
    expect(prr.cwndBytes).to.equal(91 * MSS);
    const without = started(2 * MSS, 100 * MSS);
    without.delivered(0, 90 * MSS, false, MSS);
    expect(without.cwndBytes, 'also where no ACK began it').to.equal(91 * MSS);
  });

  it('takes no step on an ACK that delivers nothing (RFC 9937 §6.2) [PRR-2]', () => {
    const prr = started(10 * MSS, 20 * MSS);
    prr.delivered(MSS, 15 * MSS, false, MSS);
    prr.sent(MSS);
    const before = prr.cwndBytes;
    prr.delivered(0, 12 * MSS, true, MSS);
    expect([prr.cwndBytes, prr.deliveredBytes]).to.deep.equal([before, MSS]);
  });

  it('counts every byte that leaves, new or again [PRR-9]', () => {
    const prr = started(10 * MSS, 20 * MSS);
    prr.sent(700);
    prr.sent(300);
    expect(prr.outBytes).to.equal(1000);
    prr.start(5 * MSS, 8 * MSS);
    expect([prr.outBytes, prr.deliveredBytes], 'each recovery anew').to.deep.equal([0, 0]);
  });

  it('is exact for any history, also of windows whose products exceed 2^32, and with nothing in flight [PRR-4 PRR-5 PRR-11]', () => {
    const bytes = fc.integer({ min: 0, max: 2 ** 30 });
    const ack = fc.record({ delivered: bytes, inFlight: bytes, isSafe: fc.boolean(), sent: bytes });
    fc.assert(
      fc.property(
        fc.integer({ min: 2 * MSS, max: 2 ** 30 }),
        bytes,
        fc.array(ack, { maxLength: 30 }),
        (ssthresh, recoverFs, acks) => {
          const prr = started(ssthresh, recoverFs);
          const reference = new Reference(BigInt(ssthresh), BigInt(Math.max(1, recoverFs)));
          for (const { delivered, inFlight, isSafe, sent } of acks) {
            prr.delivered(delivered, inFlight, isSafe, MSS);
            const expected = reference.ack(BigInt(delivered), BigInt(inFlight), isSafe);
            if (expected !== undefined) {
              // Doubles are exact up to 2^53; beyond, a ratio of 10^-15 is.
              expect(Math.abs(prr.cwndBytes - Number(expected))).to.be.below(2 + Number(expected) * 1e-12);
            }
            prr.sent(sent);
            reference.out += BigInt(sent);
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});
