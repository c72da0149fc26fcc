/** How many segments were marked, by a counter of three bits and by counters of bytes: row AECN-12 of tcp.md. */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seq, seqAdd } from '../../../../lib/base/seq.js';
import { Feedback, MarkFeedback } from '../../../../lib/tcp/ecn/mark-feedback.js';

const MSS = 1000;

/** A peer that counts rightly, and a sender that hears some of its ACKs. */
class Link {
  /** Nothing is marked of its own accord, so that nothing is made of everything being marked. */
  readonly sender = new MarkFeedback(false);
  readonly #feedback = new Feedback();
  /** What the peer has counted; what was acknowledged since the sender last heard of it. */
  segments = 5;
  ceBytes = 0;
  ect0Bytes = 1;
  unheardSegments = 0;
  unheardBytes = 0;
  #ack = 0 as Seq;

  /** Segments arrive at the peer, so many of them marked, the last of them the smaller ones. */
  arrive(segments: number, marked: number, bytes = MSS): void {
    this.segments += marked;
    this.ceBytes += marked * bytes;
    this.ect0Bytes += (segments - marked) * bytes;
    this.unheardSegments += segments;
    this.unheardBytes += segments * bytes;
  }

  /** An ACK for all of it arrives. @returns how many segments it is taken to report as marked */
  hear(withOption: boolean): number {
    const feedback = this.#feedback;
    this.#ack = seqAdd(this.#ack, this.unheardBytes);
    feedback.ace = this.segments & 7;
    feedback.segments = this.unheardSegments;
    feedback.bytes = this.unheardBytes;
    feedback.mssBytes = MSS;
    feedback.ack = this.#ack;
    feedback.sndNxt = this.#ack;
    feedback.counters = withOption
      ? { ect0Bytes: this.ect0Bytes & 0xff_ffff, ceBytes: this.ceBytes & 0xff_ffff, ect1Bytes: 1 }
      : undefined;
    this.unheardSegments = 0;
    this.unheardBytes = 0;
    return this.sender.take(feedback);
  }
}

const arrival = fc.record({
  segments: fc.integer({ min: 1, max: 60 }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('segments reported as marked', () => {
  it('are the fewest that fit the counter, where no more than seven were acknowledged (RFC 9768 §3.2.2.2) [AECN-12]', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 7 }))),
        (acks) => {
          const link = new Link();
          for (const [segments, marks] of acks) {
            const marked = Math.min(segments, marks);
            link.arrive(segments, marked);
            expect(link.hear(false)).to.equal(marked);
            expect(link.sender.segments).to.equal(link.segments);
            expect(link.sender.newBytes).to.equal(marked * MSS);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are as many as are likely where the counter may have come round, and never fewer (RFC 9768 §3.2.2.5.2) [AECN-12]', () => {
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 30 }), (acks) => {
        const link = new Link();
        for (const { segments, share } of acks) {
          const marked = Math.floor(segments * share);
          link.arrive(segments, marked);
          const taken = link.hear(false);
          expect(taken).to.be.at.least(marked);
          expect(taken).to.be.at.most(segments);
          // It stays in step with the peer, by as many rounds as it thought too many.
          expect((link.sender.segments - link.segments) & 7).to.equal(0);
          expect(taken % 8).to.equal(marked % 8);
          // And it is the most that can be: eight more would be more than were acknowledged.
          if (segments >= 8) expect(taken + 8).to.be.above(segments);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('are exact where full segments are counted in bytes (RFC 9768 §3.2.2.5.2) [AECN-12]', () => {
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 30 }), (acks) => {
        const link = new Link();
        for (const { segments, share } of acks) {
          const marked = Math.floor(segments * share);
          link.arrive(segments, marked);
          expect(link.hear(true)).to.equal(marked);
          expect(link.sender.newBytes).to.equal(marked * MSS);
          expect(link.sender.ceBytes).to.equal(link.ceBytes);
          expect(link.sender.ect0Bytes).to.equal(link.ect0Bytes);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('are no fewer than bytes ask for where segments are small, and no more than were acknowledged [AECN-12]', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(arrival, fc.integer({ min: 1, max: MSS })), { maxLength: 30 }),
        (acks) => {
          const link = new Link();
          for (const [{ segments, share }, bytes] of acks) {
            const marked = Math.floor(segments * share);
            link.arrive(segments, marked, bytes);
            const taken = link.hear(true);
            expect(taken).to.be.within(Math.ceil((marked * bytes) / MSS), segments);
            expect(taken % 8).to.equal(marked % 8);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are caught up with after any number of lost ACKs [AECN-12]', () => {
    const step = fc.record({ arrival, isHeard: fc.boolean(), withOption: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const link = new Link();
        let marks = 0;
        let taken = 0;
        for (const {
          arrival: { segments, share },
          isHeard,
          withOption,
        } of steps) {
          const marked = Math.floor(segments * share);
          marks += marked;
          link.arrive(segments, marked);
          if (isHeard) taken += link.hear(withOption);
          if (isHeard) expect(taken).to.be.at.least(marks);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('may be more than were acknowledged: then bare ACKs were marked (RFC 9768 §3.2.2.5.2) [AECN-12]', () => {
    const link = new Link();
    link.arrive(2, 2);
    link.segments += 3;
    expect(link.hear(false)).to.equal(5);
    expect(link.sender.newBytes).to.equal(2 * MSS);
  });
});

describe('counters of 24 bits', () => {
  it('come round any number of times', () => {
    const link = new Link();
    for (let i = 0; i < 40; i++) {
      link.arrive(1, 1, 1_000_000);
      link.hear(true);
      expect(link.sender.ceBytes).to.equal(link.ceBytes);
    }
    expect(link.ceBytes).to.be.above(2 ** 25);
  });
});

describe('the watch for a path that marks everything', () => {
  const feedback = (segments: number, ace: number, round: number): Feedback =>
    Object.assign(new Feedback(), {
      ace,
      segments,
      bytes: segments * MSS,
      mssBytes: MSS,
      ack: seq(round * 10_000),
      sndNxt: seq((round + 1) * 10_000),
    });

  it('ends with the first segment that is not marked, and else takes rounds, not ACKs', () => {
    const sender = new MarkFeedback(true);
    let marks = 5;
    // Many ACKs of one round.
    for (let i = 0; i < 50; i++) sender.take(feedback(1, ++marks & 7, 1));
    expect(sender.isTrusted).to.equal(true);
    for (let round = 2; round <= 4; round++) sender.take(feedback(2, (marks += 2) & 7, round));
    expect(sender.isTrusted).to.equal(true);
    sender.take(feedback(2, (marks += 2) & 7, 5));
    expect(sender).to.include({ isTrusted: false, sendsEct: false });
    const honest = new MarkFeedback(true);
    marks = 5;
    for (let round = 1; round <= 20; round++)
      honest.take(feedback(2, (marks += round === 3 ? 1 : 2) & 7, round));
    expect(honest).to.include({ isTrusted: true, sendsEct: true });
  });
});
