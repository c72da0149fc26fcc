/** The SACK option of a segment: which of its blocks can be true, and whether the first is a D-SACK. */
import { type Seq, seqDiff, seqGe, seqGt, seqLe, seqLt } from '../base/seq.js';
import type { TcpOptionReader } from '../wire/tcp-options.js';
import type { TcpConnection } from './connection.js';
import type { AckFacts } from './recovery/ack-facts.js';
import type { TcpSegment } from './segment.js';

/**
 * Passes on only blocks that can be true: beyond what the segment acknowledges, and of what was sent
 * (RFC 2018 §5, Linux `tcp_is_sackblock_valid`). A first block of bytes that are acknowledged already,
 * by the ACK number or by the second block, reports a duplicate (RFC 2883 §4).
 */
export function takeSackBlocks(c: TcpConnection, segment: TcpSegment): void {
  const { sender, facts } = c;
  const { options } = segment;
  facts.sackCount = 0;
  facts.hasDsack = false;
  if (!sender.recovery.sack) return;
  for (let i = 0; i < options.sackCount; i++) {
    const start = options.sackEdges[2 * i] as Seq;
    const end = options.sackEdges[2 * i + 1] as Seq;
    if (seqGe(start, end) || seqGt(end, sender.sndNxt)) {
      c.stats.tcp.sackInvalid++;
    } else if (i === 0 && reportsDuplicate(options, segment.ack)) {
      if (wasSent(c, start, segment.ack)) noteDuplicate(c, start, end);
      else c.stats.tcp.sackInvalid++;
    } else if (seqLe(start, segment.ack)) {
      // What begins at the ACK number would have been acknowledged by it.
      c.stats.tcp.sackInvalid++;
    } else {
      insertBlock(facts, start, end);
    }
  }
}

function noteDuplicate(c: TcpConnection, start: Seq, end: Seq): void {
  c.stats.tcp.dsackRecv++;
  c.facts.hasDsack = true;
  c.facts.dsackStart = start;
  c.facts.dsackEnd = end;
}

/** Keeps the blocks in ascending order: what is acknowledged out of order is then seen to be. */
function insertBlock(facts: AckFacts, start: Seq, end: Seq): void {
  const edges = facts.sackEdges;
  let at = 2 * facts.sackCount;
  while (at > 0 && seqGt(edges[at - 2] as Seq, start)) {
    edges[at] = edges[at - 2];
    edges[at + 1] = edges[at - 1];
    at -= 2;
  }
  edges[at] = start;
  edges[at + 1] = end;
  facts.sackCount++;
}

function reportsDuplicate(options: TcpOptionReader, ack: Seq): boolean {
  const start = options.sackEdges[0] as Seq;
  const end = options.sackEdges[1] as Seq;
  if (seqLe(end, ack)) return true;
  if (options.sackCount < 2) return false;
  return seqGe(start, options.sackEdges[2] as Seq) && seqLe(end, options.sackEdges[3] as Seq);
}

/** Whether `start` was ever sent: nothing before the first byte was, and nothing older than a window counts. */
function wasSent(c: TcpConnection, start: Seq, ack: Seq): boolean {
  const { sender } = c;
  if (!seqLt(start, ack)) return true;
  const ackedBytes = sender.bytesAcked + seqDiff(ack, sender.sndUna);
  return seqDiff(ack, start) <= Math.min(ackedBytes, Math.max(sender.maxSndWnd, 1));
}
