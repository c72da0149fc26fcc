/**
 * A segment arrives: the checks of RFC 9293 §3.10.7.3 and §3.10.7.4, in the RFC's order, with the
 * defences of RFC 5961 and the timestamps of RFC 7323. Each step is one function; it answers whether
 * the segment goes on to the next.
 */
import { type Seq, seqAdd, seqGe, seqGt, seqLe, seqLt } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { TcpFlag } from '../wire/tcp.js';
import { noteMark, takeEcnFeedback } from './arrival-ecn.js';
import { takeSackBlocks } from './arrival-sack.js';
import { synSentArrived } from './arrival-syn-sent.js';
import { checkUrgent, takeText } from './arrival-text.js';
import { farewellBegins } from './closing.js';
import type { TcpConnection } from './connection.js';
import { answerAcknowledged, answerCrossed, answerSeenAgain, synAgain } from './handshake-ecn.js';
import { judgeMtuProbe } from './mtu-discovery.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import { TcpState } from './state.js';
import { hearUserTimeout } from './user-timeout.js';

export function segmentArrived(c: TcpConnection, segment: TcpSegment): void {
  if (c.state === TcpState.SYN_SENT) {
    synSentArrived(c, segment);
    return;
  }
  const receiver = c.receiver as Receiver;
  if (!checkTimestamp(c, receiver, segment)) return;
  if (!checkSequence(c, receiver, segment)) return;
  if (!checkReset(c, receiver, segment)) return;
  if (!checkSyn(c, segment)) return;
  if (!checkAck(c, receiver, segment)) return;
  noteMark(c, segment);
  checkUrgent(c, receiver, segment);
  takeText(c, receiver, segment);
}

// ---- the other states (RFC 9293 §3.10.7.4) -----------------------------------------------------

/** PAWS, before anything else but for resets (RFC 7323 §5.3). */
function checkTimestamp(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  if (!receiver.timestamps || segment.has(TcpFlag.RST)) return true;
  if (!segment.options.hasTimestamps) {
    if (!c.options.strictTimestamps) return true;
    c.drop(DropReason.TcpTimestampMissing);
    return false;
  }
  if (!receiver.failsPaws(segment.options.tsVal, segment.nowUs)) return true;
  c.stats.tcp.pawsEstab++;
  c.drop(DropReason.TcpPaws);
  if (isReorderedAck(c, receiver, segment)) return false;
  noteDuplicateText(c, receiver, segment);
  c.challenge(segment.nowUs, segment.textBytes === 0);
  return false;
}

/** A pure ACK overtaken by a later one proves nothing and needs no answer (Linux `tcp_disordered_ack`). */
function isReorderedAck(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  const behindMs = (receiver.tsRecent - segment.options.tsVal) | 0;
  return (
    segment.length === 0 &&
    segment.has(TcpFlag.ACK) &&
    segment.sequence === receiver.rcvNxt &&
    segment.ack === c.sender.sndUna &&
    segment.window << c.sender.windowShift === c.sender.sndWnd &&
    behindMs * 1000 <= c.sender.recovery.rtoUs
  );
}

/** First: the sequence number. Only what lies in the window goes on. */
function checkSequence(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  // A SYN gets its challenge wherever it lies (RFC 5961 §4.2).
  if (segment.has(TcpFlag.SYN) && !segment.has(TcpFlag.RST)) return true;
  if (receiver.isAcceptable(segment.sequence, segment.length)) return true;
  if (isZeroWindowAck(receiver, segment)) return true;
  c.drop(DropReason.TcpOutOfWindow);
  if (segment.has(TcpFlag.RST)) {
    if (isResetBehindFin(c, receiver, segment)) c.end(resetError(c));
    return false;
  }
  noteDuplicateText(c, receiver, segment);
  // Probes and repeated FINs lie just before the window; their ACK counts (RFC 9293 appendix A.2).
  if (segment.has(TcpFlag.ACK) && seqLt(segment.sequence, receiver.rcvNxt)) takeOldAck(c, segment);
  if (c.state === TcpState.CLOSED) return false;
  c.challenge(segment.nowUs, segment.textBytes === 0 && !segment.has(TcpFlag.FIN));
  return false;
}

/** Some peers send a FIN and then an RST with the number of the FIN (Linux `tcp_reset_check`). */
function isResetBehindFin(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  if (!receiver.finReceived || segment.sequence !== seqAdd(receiver.rcvNxt, -1)) return false;
  return c.state === TcpState.CLOSE_WAIT || c.state === TcpState.LAST_ACK || c.state === TcpState.CLOSING;
}

/** With a closed window the text is refused, but ACK, URG and RST at RCV.NXT count (RFC 9293 §3.10.7.4). */
function isZeroWindowAck(receiver: Receiver, segment: TcpSegment): boolean {
  if (receiver.rcvWnd > 0 || segment.sequence !== receiver.rcvNxt || receiver.finReceived) return false;
  return segment.has(TcpFlag.ACK) || segment.has(TcpFlag.RST);
}

function noteDuplicateText(c: TcpConnection, receiver: Receiver, segment: TcpSegment): void {
  if (segment.textBytes === 0 || !seqLt(segment.sequence, receiver.rcvNxt)) return;
  const end = seqAdd(segment.sequence, segment.textBytes);
  const duplicateEnd = seqLt(end, receiver.rcvNxt) ? end : receiver.rcvNxt;
  receiver.noteDuplicate(segment.sequence, duplicateEnd);
  c.acks.beQuick();
}

function takeOldAck(c: TcpConnection, segment: TcpSegment): void {
  if (c.timers.isHandshaking) return;
  if (segment.has(TcpFlag.SYN) || !c.sender.ackIsAcceptable(segment.ack)) return;
  c.timers.heard(segment.nowUs);
  if (seqGe(segment.ack, c.sender.sndUna)) processAck(c, segment, false);
}

/** Second: RST (RFC 5961 §3.2). Only the exact number resets; others in the window are challenged. */
function checkReset(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  if (!segment.has(TcpFlag.RST)) return true;
  c.drop(DropReason.TcpReset);
  if (segment.sequence !== receiver.rcvNxt && !isResetAtReportedEdge(receiver, segment.sequence)) {
    c.challenge(segment.nowUs, true);
    return false;
  }
  c.stats.tcp.estabResets++;
  c.fastOpenPlace?.reset(segment.nowUs);
  c.end(resetError(c));
  return false;
}

/** A peer that has heard our SACK may reset behind its highest block (Linux `tcp_validate_incoming`). */
function isResetAtReportedEdge(receiver: Receiver, sequence: Seq): boolean {
  const { waiting } = receiver.buffer;
  if (receiver.sack === undefined || waiting === undefined || waiting.count === 0) return false;
  return waiting.end(waiting.count - 1) === sequence;
}

function resetError(c: TcpConnection): string {
  switch (c.state) {
    case TcpState.SYN_RECEIVED:
      return c.isActiveOpen ? 'ECONNREFUSED' : 'ECONNRESET';
    case TcpState.CLOSE_WAIT:
      // Everything the peer had to say was said: what fails is our writing (as in Linux).
      return 'EPIPE';
    case TcpState.CLOSING:
    case TcpState.LAST_ACK:
    case TcpState.TIME_WAIT:
      return '';
    default:
      return 'ECONNRESET';
  }
}

/**
 * Fourth: SYN. In a synchronized state it is answered with a challenge, whatever its number (RFC 5961
 * §4.2). In a simultaneous open the peer's SYN, again, asks for our SYN-ACK again.
 */
function checkSyn(c: TcpConnection, segment: TcpSegment): boolean {
  if (!segment.has(TcpFlag.SYN)) return true;
  if (c.timers.isHandshaking && segment.has(TcpFlag.ACK) && segment.sequence === c.receiver?.irs) {
    synAckInSynReceived(c, c.receiver, segment);
    return false;
  }
  c.drop(DropReason.TcpSynInWindow);
  if (c.timers.isHandshaking && segment.sequence === c.receiver?.irs) {
    synRepeated(c, segment);
  } else {
    c.challenge(segment.nowUs, true);
    answerSeenAgain(c, segment);
  }
  return false;
}

/** Before the handshake is complete the peer's SYN, again, asks for our SYN-ACK again. */
function synRepeated(c: TcpConnection, segment: TcpSegment): void {
  if (synAgain(c.synOptions, c.writer.ecn, c.options.ecn, segment)) {
    c.sendSyn();
    return;
  }
  c.reset(c.sender.sndNxt, true);
  c.end('ECONNRESET');
}

/** Simultaneous open: the peer's SYN-ACK completes it. */
function synAckInSynReceived(c: TcpConnection, receiver: Receiver, segment: TcpSegment): void {
  const windowBytes = segment.window;
  answerCrossed(c, segment);
  segment.dropSyn();
  if (!completeHandshake(c, segment)) return;
  noteTimestamp(receiver, segment);
  processAck(c, segment, false);
  // The window of a SYN-ACK is never scaled (RFC 7323 §2.2).
  c.sender.updateWindow(segment.sequence, segment.ack, windowBytes);
  c.acks.now();
  takeText(c, receiver, segment);
}

/** Fifth: the ACK. */
function checkAck(c: TcpConnection, receiver: Receiver, segment: TcpSegment): boolean {
  if (!segment.has(TcpFlag.ACK)) {
    c.drop(DropReason.TcpNoAckFlag);
    return false;
  }
  const { sender } = c;
  if (c.timers.isHandshaking && !completeHandshake(c, segment)) return false;
  if (!sender.ackIsAcceptable(segment.ack)) {
    c.drop(DropReason.TcpAckUnacceptable);
    c.challenge(segment.nowUs, seqLt(segment.ack, sender.sndUna) || segment.textBytes === 0);
    return false;
  }
  c.timers.heard(segment.nowUs);
  noteTimestamp(receiver, segment);
  if (segment.options.userTimeoutS > 0) hearUserTimeout(c, segment.options.userTimeoutS);
  if (seqGe(segment.ack, sender.sndUna)) processAck(c, segment, true);
  return c.state !== TcpState.CLOSED;
}

function noteTimestamp(receiver: Receiver, segment: TcpSegment): void {
  if (!receiver.timestamps || !segment.options.hasTimestamps) return;
  receiver.recordTimestamp(segment.sequence, segment.options.tsVal, segment.nowUs);
}

function completeHandshake(c: TcpConnection, segment: TcpSegment): boolean {
  const { sender, timers } = c;
  if (seqLe(segment.ack, sender.iss) || seqGt(segment.ack, sender.sndNxt)) {
    c.drop(DropReason.TcpAckUnacceptable);
    c.reset(segment.ack, false);
    return false;
  }
  const rttUs = timers.synTransmissions === 1 ? segment.nowUs - timers.synSentAtUs : 0;
  timers.heard(segment.nowUs);
  answerAcknowledged(c.writer.ecn, segment);
  c.established(timers.synTransmissions, rttUs);
  c.fastOpenAttempt?.answered(c, segment, false);
  if (sender.finQueued && c.state === TcpState.ESTABLISHED) c.move('close');
  sender.sndWl1 = segment.sequence;
  sender.sndWl2 = segment.ack;
  return true;
}

/** The ACK number lies in [SND.UNA, SND.NXT]: the sender hears of it, and of the window. */
function processAck(c: TcpConnection, segment: TcpSegment, withWindow: boolean): void {
  const { sender, facts } = c;
  const windowBytes = segment.window << sender.windowShift;
  facts.ack = segment.ack;
  facts.nowUs = segment.nowUs;
  facts.sndNxt = sender.sndNxt;
  facts.mssBytes = sender.mssBytes;
  facts.isDuplicate = isDuplicateAck(c, segment, windowBytes);
  facts.timestampRttUs = c.writer.echoedRttUs(segment, c.timers.synSentAtUs);
  // Only of what was sent again does anybody ask.
  const asks = facts.timestampRttUs >= 0 && sender.recovery.resentSegments > 0;
  facts.echoedAtUs = asks ? c.writer.echoedAtUs(segment) : -1;
  takeSackBlocks(c, segment);
  takeEcnFeedback(c, segment);
  const advances = segment.ack !== sender.sndUna;
  // What was wrong with the path is over once it carries something again (Linux `tcp_ack`).
  if (advances) c.softError = '';
  if (advances && c.timers.timeoutSinceUs > 0) c.timers.timeoutOver(segment.nowUs);
  // A duplicate may be told of when nothing is left in flight (Linux `tcp_ack`).
  const concerns = advances || sender.recovery.outstandingBytes > 0 || facts.hasDsack;
  if (concerns) hearAck(c);
  if (withWindow) sender.updateWindow(segment.sequence, segment.ack, windowBytes);
  if (concerns && c.observer !== undefined) c.observer.acknowledged();
  if (advances) c.writeSpaceChanged();
  if (sender.finAcknowledged) finAcknowledged(c, segment.nowUs);
}

function hearAck(c: TcpConnection): void {
  const { recovery } = c.sender;
  const wasRecovering = recovery.isRecovering;
  c.sender.acknowledged(c.facts);
  judgeMtuProbe(c);
  if (wasRecovering || !recovery.isRecovering) return;
  if (recovery.sack) c.stats.tcp.sackRecovery++;
  else c.stats.tcp.renoRecovery++;
}

/** The five conditions of RFC 5681 §2. */
function isDuplicateAck(c: TcpConnection, segment: TcpSegment, windowBytes: number): boolean {
  const { sender } = c;
  return (
    sender.recovery.outstandingBytes > 0 &&
    segment.length === 0 &&
    segment.ack === sender.sndUna &&
    windowBytes === sender.sndWnd
  );
}

/** Our FIN was acknowledged. */
function finAcknowledged(c: TcpConnection, nowUs: number): void {
  switch (c.state) {
    case TcpState.FIN_WAIT_1:
      c.move('rcvAckOfFin');
      if (c.isOrphan) farewellBegins(c, nowUs);
      break;
    case TcpState.CLOSING:
      c.move('rcvAckOfFin');
      break;
    case TcpState.LAST_ACK:
      c.end('');
      break;
    default:
      break;
  }
}
