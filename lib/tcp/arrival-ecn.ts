/** The congestion marks of what arrives, and what ACKs say of the marks of what was sent. */
import { type Seq, seqDiff, seqLt } from '../base/seq.js';
import { TcpFlag } from '../wire/tcp.js';
import type { TcpConnection } from './connection.js';
import type { AccurateEcn } from './ecn/accurate-ecn.js';
import { AckDuty } from './ecn/ack-duty.js';
import { Feedback } from './ecn/mark-feedback.js';
import { aceOf, EcnMode } from './ecn/negotiation.js';
import type { AckFacts } from './recovery/ack-facts.js';
import { RowFlag, type SentLog } from './recovery/sent-log.js';
import type { TcpSegment } from './segment.js';

/** ACKs that leave at once for a mark, or for the lack of one (Linux `tcp_data_ecn_check`). */
const QUICK_ACKS = 2;

/** One for all: it is filled and read within one call. */
const feedback = new Feedback();

/** An acceptable segment arrived (RFC 9768 §1.3): its mark is noted, and what is owed for it. */
export function noteMark(c: TcpConnection, segment: TcpSegment): void {
  const { ecn } = c.writer;
  if (ecn === undefined) return;
  let duty: number = AckDuty.None;
  if (ecn.mode === EcnMode.Accurate) {
    duty = ecn.report.arrived(segment.ecn, segment.textBytes, segment.count, c.acks.isOwed);
  } else if (segment.textBytes > 0) {
    duty = ecn.arrived(segment.ecn, segment.flags, segment.count);
  }
  if (duty & AckDuty.Now) c.acks.now();
  if (duty & AckDuty.Quick) c.acks.beQuick(QUICK_ACKS);
}

/** Notes in the facts of an ACK what it says of marks. After its SACK blocks, before the sender hears of it. */
export function takeEcnFeedback(c: TcpConnection, segment: TcpSegment): void {
  const { facts, sender, writer } = c;
  const { ecn } = writer;
  facts.ecnEcho = false;
  facts.markedBytes = 0;
  if (ecn === undefined) return;
  if (ecn.mode === EcnMode.Accurate) {
    takeCounters(c, ecn, segment);
  } else if (segment.has(TcpFlag.ECE)) {
    const segments = newlyAcknowledged(sender.recovery.log, facts);
    facts.ecnEcho = true;
    ecn.deliveredMarks += segments;
    c.stats.tcp.deliveredCe += segments;
  }
}

function takeCounters(c: TcpConnection, ecn: AccurateEcn, segment: TcpSegment): void {
  const { facts, sender } = c;
  const { options } = segment;
  feedback.ace = aceOf(segment.flags);
  if (!ecn.feedback.passesFirst(feedback.ace)) return;
  const segments = newlyAcknowledged(sender.recovery.log, facts);
  // What acknowledges nothing may have been overtaken, and its counters with it (RFC 9768 §3.2.2.2).
  if (segments === 0) return;
  feedback.segments = segments;
  feedback.bytes = Math.max(seqDiff(facts.ack, sender.sndUna), segments * facts.mssBytes);
  feedback.mssBytes = facts.mssBytes;
  feedback.ack = facts.ack;
  feedback.sndNxt = facts.sndNxt;
  feedback.counters = options.hasEcnCounters ? options : undefined;
  const marked = ecn.feedback.take(feedback);
  facts.ecnEcho = marked > 0;
  facts.markedBytes = ecn.feedback.newBytes;
  c.stats.tcp.deliveredCe += marked;
}

/** Segments that an ACK acknowledges, by its number or its SACK blocks, and no ACK did before. */
function newlyAcknowledged(log: SentLog, facts: AckFacts): number {
  let segments = 0;
  for (let i = 0; i < log.count && seqLt(startOf(log, i), facts.ack); i++) {
    if (!isSacked(log, i)) segments += segmentsOf(log, i, facts);
  }
  for (let block = 0; block < facts.sackCount; block++) segments += newlySacked(log, facts, block);
  return segments;
}

/**
 * Segments of a SACK block that were not sacked before, at either of its ends: what lies between was, or is
 * text sent again, which is never marked.
 */
function newlySacked(log: SentLog, facts: AckFacts, block: number): number {
  const end = firstFrom(log, facts.sackEdges[2 * block + 1] as Seq);
  let segments = 0;
  let i = firstFrom(log, facts.sackEdges[2 * block] as Seq);
  for (; i < end && !isSacked(log, i); i++) segments += segmentsOf(log, i, facts);
  for (let j = end - 1; j > i && !isSacked(log, j); j--) segments += segmentsOf(log, j, facts);
  return segments;
}

/** The first record that begins at `sequence` or behind. */
function firstFrom(log: SentLog, sequence: Seq): number {
  const i = log.find(sequence);
  return i < log.count && log.straddles(i, sequence) ? i + 1 : i;
}

/** Segments of a record, as far as the ACK number reaches into it. */
function segmentsOf(log: SentLog, i: number, facts: AckFacts): number {
  const start = startOf(log, i);
  const end = endOf(log, i);
  const acked = seqLt(start, facts.ack) && seqLt(facts.ack, end) ? facts.ack : end;
  return Math.max(1, Math.ceil(seqDiff(acked, start) / facts.mssBytes));
}

const startOf = (log: SentLog, i: number): Seq => log.start(log.slot(i));
const endOf = (log: SentLog, i: number): Seq => log.end(log.slot(i));
const isSacked = (log: SentLog, i: number): boolean => log.has(log.slot(i), RowFlag.SACKED);
