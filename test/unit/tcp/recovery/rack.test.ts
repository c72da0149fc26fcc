/**
 * RACK by itself: random transmissions, acknowledgments and waits, against a twin that follows RFC 8985 §6.2
 * word for word over a plain list of segments.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seq, seqAdd } from '../../../../lib/base/seq.js';
import { AckFacts } from '../../../../lib/tcp/recovery/ack-facts.js';
import type { Recovery } from '../../../../lib/tcp/recovery/recovery.js';
import { RowFlag } from '../../../../lib/tcp/recovery/sent-log.js';
import { recoveryAt } from '../../../support/recovery.js';

const MSS = 100;

function rackAt(iss: Seq): Recovery {
  const recovery = recoveryAt(iss, { tailLossProbe: false, forwardRto: false });
  recovery.sack = true;
  recovery.mssBytes = MSS;
  return recovery;
}

interface Segment {
  readonly number: number;
  sentAtUs: number;
  resent: boolean;
  delivered: boolean;
  lost: boolean;
}

/** RFC 8985 §6.2, without D-SACK, over segments of one MSS that are numbered from 0. */
class Twin {
  readonly segments: Segment[] = [];
  una = 0;
  fack = -1;
  reorderingSeen = false;
  recovering = false;
  recoveryPoint = 0;
  xmitUs = -1;
  endSegment = -1;
  rttUs = 0;
  minRttUs = Number.POSITIVE_INFINITY;
  srttUs = 0;
  timeoutUs = 0;

  send(nowUs: number): void {
    const number = this.segments.length;
    this.segments.push({ number, sentAtUs: nowUs, resent: false, delivered: false, lost: false });
  }

  /** Step 1 is the caller's: the estimators are not what is tested here. */
  ack(newUna: number, sacked: readonly number[], nowUs: number): void {
    const minBefore = this.minRttUs;
    for (const segment of this.segments) {
      if (segment.delivered || !(segment.number < newUna || sacked.includes(segment.number))) continue;
      segment.delivered = true;
      segment.lost = false;
      // Step 3.
      if (segment.number > this.fack) this.fack = segment.number;
      else if (segment.number < this.fack && !segment.resent) this.reorderingSeen = true;
      // Step 2.
      const rttUs = nowUs - segment.sentAtUs;
      if (segment.resent && rttUs < minBefore) continue;
      const later =
        segment.sentAtUs > this.xmitUs ||
        (segment.sentAtUs === this.xmitUs && segment.number > this.endSegment);
      if (!later) continue;
      this.xmitUs = segment.sentAtUs;
      this.endSegment = segment.number;
      this.rttUs = rttUs;
    }
    if (newUna > this.una) this.una = newUna;
    this.fack = Math.max(this.fack, this.una - 1);
  }

  /** Steps 4 and 5. */
  detect(nowUs: number): void {
    this.timeoutUs = 0;
    const inFlight = this.segments.filter((one) => !one.delivered && one.number >= this.una);
    const sacked = this.segments.filter((one) => one.delivered && one.number >= this.una).length;
    const anyMissing = sacked > 0 || inFlight.some((one) => one.lost) || this.recovering;
    if (!anyMissing) return;
    let windowUs = 0;
    if (this.reorderingSeen || !(this.recovering || sacked >= 3)) {
      windowUs = Number.isFinite(this.minRttUs) ? Math.min(this.minRttUs / 4, this.srttUs) : 0;
    }
    for (const segment of inFlight) {
      if (segment.lost) continue;
      const before =
        segment.sentAtUs < this.xmitUs ||
        (segment.sentAtUs === this.xmitUs && segment.number < this.endSegment);
      if (!before) continue;
      const remainingUs = segment.sentAtUs + this.rttUs + windowUs - nowUs;
      if (remainingUs <= 0) segment.lost = true;
      else this.timeoutUs = Math.max(this.timeoutUs, remainingUs);
    }
  }
}

type Step =
  | { kind: 'send'; count: number }
  | { kind: 'wait'; us: number }
  | { kind: 'ack'; advance: number; sacked: number[] }
  | { kind: 'resend' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      kind: fc.constant('wait' as const),
      us: fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 10_000, max: 30_000 })),
    }),
    fc.record({
      kind: fc.constant('ack' as const),
      advance: fc.integer({ min: 0, max: 3 }),
      sacked: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant('resend' as const) }),
  ),
  { maxLength: 60 },
);

/** Runs the steps through both, and compares after each ACK. */
function run(iss: Seq, history: readonly Step[]): void {
  const recovery = rackAt(iss);
  const twin = new Twin();
  const facts = new AckFacts();
  const at = (number: number): Seq => seqAdd(iss, number * MSS);
  let nowUs = 1_000_000;
  for (const step of history) {
    if (step.kind === 'send') {
      for (let i = 0; i < step.count; i++) {
        recovery.sent(at(twin.segments.length), at(twin.segments.length + 1), nowUs, false);
        twin.send(nowUs);
      }
    } else if (step.kind === 'wait') {
      nowUs += step.us;
    } else if (step.kind === 'resend') {
      resend(recovery, twin, iss, nowUs);
    } else {
      acknowledge({ recovery, twin, facts, iss }, step, nowUs);
    }
  }
}

function resend(recovery: Recovery, twin: Twin, iss: Seq, nowUs: number): void {
  const i = recovery.board.nextLost();
  if (i < 0) return;
  const slot = recovery.log.slot(i);
  const number = ((recovery.log.start(slot) - iss) | 0) / MSS;
  recovery.resent(i, recovery.log.end(slot), 1, nowUs);
  const segment = twin.segments[number];
  segment.sentAtUs = nowUs;
  segment.resent = true;
  segment.lost = false;
}

interface Pair {
  recovery: Recovery;
  twin: Twin;
  facts: AckFacts;
  iss: Seq;
}

function acknowledge(
  { recovery, twin, facts, iss }: Pair,
  step: Step & { kind: 'ack' },
  nowUs: number,
): void {
  const at = (number: number): Seq => seqAdd(iss, number * MSS);
  const highest = twin.segments.length;
  let una = Math.min(highest, twin.una + step.advance);
  while (una < highest && twin.segments[una].delivered) una++;
  const sacked = [...new Set(step.sacked.map((n) => una + 1 + n))].filter((n) => n < highest);
  sacked.sort((a, b) => a - b);
  facts.ack = at(una);
  facts.nowUs = nowUs;
  facts.sndNxt = at(highest);
  facts.mssBytes = MSS;
  facts.isDuplicate = una === twin.una;
  facts.sackCount = sacked.length;
  sacked.forEach((n, i) => {
    facts.sackEdges[2 * i] = at(n);
    facts.sackEdges[2 * i + 1] = at(n + 1);
  });
  const before = at(twin.una);
  twin.ack(una, sacked, nowUs);
  recovery.acknowledge(facts, before);
  // RACK.rtt and the smallest round trip are step 1, which both take from the estimator.
  twin.minRttUs = recovery.rtt.minRttUs;
  twin.srttUs = recovery.rtt.srttUs;
  if (twin.recovering && una >= twin.recoveryPoint) twin.recovering = false;
  twin.detect(nowUs);
  compare(recovery, twin, iss);
  if (recovery.episode.signal !== '') {
    recovery.enter(at(una), at(highest), 5 * MSS);
    twin.recovering = true;
    twin.recoveryPoint = highest;
  }
}

function compare(recovery: Recovery, twin: Twin, iss: Seq): void {
  const { log, board } = recovery;
  const lost: number[] = [];
  for (let i = 0; i < log.count; i++) {
    const slot = log.slot(i);
    const flags = log.flags(slot);
    const isLost = (flags & (RowFlag.LOST | RowFlag.RETRANSMITTED)) === RowFlag.LOST;
    for (let n = 0; isLost && n < log.bytes(slot) / MSS; n++) {
      lost.push(((log.start(slot) - iss) | 0) / MSS + n);
    }
  }
  const expected = twin.segments.filter((one) => one.lost && one.number >= twin.una).map((one) => one.number);
  expect(lost, 'lost').to.deep.equal(expected);
  const pipe = twin.segments.filter((one) => !one.delivered && !one.lost && one.number >= twin.una).length;
  expect(board.pipeBytes, 'in flight').to.equal(pipe * MSS);
  const waitUs = recovery.detector.deadlineUs - recovery.result.nowUs;
  if (twin.timeoutUs > 0) expect(waitUs, 'reordering timer').to.be.closeTo(twin.timeoutUs, 1e-6);
  else expect(waitUs, 'no reordering timer').to.equal(Number.POSITIVE_INFINITY);
}

describe('RACK (RFC 8985 §6.2)', () => {
  for (const iss of [0, 0x7fff_ff00, 0xffff_fe00]) {
    it(`agrees with the RFC over random histories, from ISS ${iss} [RACK-1 RACK-3 RACK-5 RACK-10 RACK-13]`, () => {
      fc.assert(
        fc.property(steps, (history) => run(seq(iss), history)),
        { seed: iss + 1, numRuns: 400 },
      );
    });
  }
});
