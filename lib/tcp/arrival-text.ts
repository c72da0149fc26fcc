/**
 * What a segment brings once it has passed all checks: urgent pointer, text and FIN (RFC 9293 §3.10.7.4,
 * sixth to eighth), and what is owed for it.
 */
import { seqAdd, seqDiff, seqGt } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { TcpFlag } from '../wire/tcp.js';
import type { TcpConnection } from './connection.js';
import { ConnectionEvent } from './connection-parameters.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import { mayReceive } from './state.js';
import { TextOutcome } from './text-outcome.js';

/** Sixth: URG (RFC 9293 §3.8.5). */
export function checkUrgent(c: TcpConnection, receiver: Receiver, segment: TcpSegment): void {
  if (!segment.has(TcpFlag.URG) || !mayReceive(c.state)) return;
  if (!receiver.urgent.arrived(segment, receiver.rcvNxt)) return;
  c.stats.tcp.urgent++;
  c.signal(ConnectionEvent.Urgent);
}

/** Seventh and eighth: the text, and the FIN behind it. */
export function takeText(c: TcpConnection, receiver: Receiver, segment: TcpSegment): void {
  if (segment.length === 0) return;
  if (!mayReceive(c.state)) {
    // The peer's FIN was received: what it sends beyond it is ignored (RFC 9293 §3.10.7.4).
    c.acks.now();
    return;
  }
  if (
    c.isOrphan &&
    segment.textBytes > 0 &&
    seqGt(seqAdd(segment.sequence, segment.textBytes), receiver.rcvNxt)
  ) {
    abortOnData(c);
    return;
  }
  const before = receiver.rcvNxt;
  const isCut = seqGt(segment.end, receiver.rcvAdv);
  const outcome = receiver.text(segment);
  scheduleAck(c, segment, outcome, seqDiff(receiver.rcvNxt, before));
  if (receiver.sink !== undefined && receiver.rcvNxt !== before) textRead(c, receiver);
  // What lay beyond the window is told at once (RFC 9293 §3.10.7.4).
  if (isCut) c.acks.now();
  if (receiver.rcvNxt !== before) c.signal(ConnectionEvent.Readable);
  if (outcome === TextOutcome.Refused) c.drop(DropReason.TcpOutOfOrderLimit);
  else if (outcome === TextOutcome.NoMemory) c.drop(DropReason.TcpMemory);
  else if (outcome === TextOutcome.Nothing) c.drop(DropReason.TcpZeroWindow);
  if (receiver.finReceived) finReceived(c);
}

/** The application has read: what opens the window, or brings what the peer may wait for, leaves at once. */
export function textRead(c: TcpConnection, receiver: Receiver): void {
  if (receiver.mustUpdateWindow) c.acks.now();
  c.acks.read(receiver.peerMssBytes, receiver.readableBytes === 0);
}

/** Lets the window grow with what arrives in order, unless memory is scarce (Linux `tcp_rcv_space_adjust`). */
function tuneWindow(c: TcpConnection, receiver: Receiver, segment: TcpSegment): void {
  const { tuner } = receiver;
  const { options, nowUs } = segment;
  if (receiver.timestamps && options.hasTimestamps) {
    const isNew = tuner.isNewEcho(options.tsEcr);
    if (isNew) tuner.echoed(options.tsEcr, c.writer.echoedRttUs(segment, c.timers.synSentAtUs));
  } else {
    tuner.timeWindow(receiver.rcvNxt, receiver.rcvWnd, nowUs);
  }
  if (!c.parameters.memory.isUnderPressure) tuner.arrived(segment.textBytes, nowUs);
}

/** Nobody will read this, and the peer must know (RFC 9293 §3.6.1, RFC 2525 §2.17). */
function abortOnData(c: TcpConnection): void {
  c.stats.tcp.abortOnData++;
  c.drop(DropReason.TcpAfterClose);
  c.abort();
  // At what the peer has acknowledged: it expects nothing else, and would challenge any other (RFC 5961 §3.2).
  c.reset(c.sender.sndUna, false);
}

/** A small segment ends what the peer had to send for now, a full one that says so too (Linux `tcp_measure_rcv_mss`). */
function endsWrite(segment: TcpSegment, mssBytes: number): boolean {
  const { segmentSize, textBytes } = segment;
  return segmentSize < mssBytes || (segmentSize === textBytes && segment.has(TcpFlag.PSH));
}

function scheduleAck(c: TcpConnection, segment: TcpSegment, outcome: TextOutcome, takenBytes: number): void {
  const { acks, sender } = c;
  const receiver = c.receiver as Receiver;
  receiver.noteSegmentSize(segment.segmentSize);
  if (endsWrite(segment, receiver.peerMssBytes)) acks.endOfWrite();
  // As it was offered, before this text took its part of it.
  acks.limitQuickAcks(receiver.rcvWnd + takenBytes, receiver.peerMssBytes);
  if (outcome === TextOutcome.InOrder || outcome === TextOutcome.FilledGap) tuneWindow(c, receiver, segment);
  if (outcome === TextOutcome.InOrder) {
    const windowMoves = receiver.tuner.limitBytes - receiver.readableBytes >= receiver.rcvWnd;
    acks.received(takenBytes, receiver.peerMssBytes, windowMoves);
    acks.schedule(segment.nowUs, sender.recovery.rtoUs, sender.recovery.rtt.srttUs);
    if (receiver.finReceived) acks.now();
    return;
  }
  // Gaps, fills and duplicates are told at once (RFC 5681 §4.2).
  if (outcome !== TextOutcome.Nothing) acks.beQuick();
  if (outcome === TextOutcome.Prolonged || outcome === TextOutcome.OutOfOrder) {
    receiver.outOfOrderSegments++;
    if (!c.parameters.memory.isUnderPressure) receiver.tuner.arrivedBehindGap(receiver.spannedBytes);
    const prolongs = outcome === TextOutcome.Prolonged;
    acks.behindGap(receiver.rcvNxt, prolongs, segment.nowUs, sender.recovery.rtt.srttUs);
  } else {
    acks.now();
  }
}

function finReceived(c: TcpConnection): void {
  c.acks.now();
  c.move('rcvFin');
  c.signal(ConnectionEvent.PeerClosed | ConnectionEvent.Readable);
}
