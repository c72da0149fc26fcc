/** A segment arrives in SYN-SENT: the steps of RFC 9293 §3.10.7.3. */
import { seqGt, seqLe } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { TcpFlag } from '../wire/tcp.js';
import { takeText } from './arrival-text.js';
import type { TcpConnection } from './connection.js';
import { negotiate } from './handshake.js';
import { answerSeen, answerSyn, askWithoutEcn } from './handshake-ecn.js';
import type { Receiver } from './receiver.js';
import type { TcpSegment } from './segment.js';
import { hearUserTimeout } from './user-timeout.js';

export function synSentArrived(c: TcpConnection, segment: TcpSegment): void {
  const { sender } = c;
  const hasAck = segment.has(TcpFlag.ACK);
  if (hasAck && (seqLe(segment.ack, sender.iss) || seqGt(segment.ack, sender.sndNxt))) {
    // An old duplicate: the peer has half a connection that we have not.
    c.drop(DropReason.TcpAckUnacceptable);
    if (!segment.has(TcpFlag.RST)) c.reset(segment.ack, false);
    return;
  }
  if (hasAck && !echoIsOurs(c, segment)) {
    c.stats.tcp.pawsActive++;
    c.drop(DropReason.TcpPaws);
    if (!segment.has(TcpFlag.RST)) c.reset(segment.ack, false);
    return;
  }
  if (segment.has(TcpFlag.RST)) {
    c.drop(DropReason.TcpReset);
    if (!hasAck || askWithoutEcn(c, segment.nowUs)) return;
    c.stats.tcp.attemptFails++;
    c.end('ECONNREFUSED');
    return;
  }
  if (!segment.has(TcpFlag.SYN)) {
    c.drop(DropReason.TcpNoConnection);
    return;
  }
  c.timers.heard(segment.nowUs);
  c.synSeen(negotiate(c.synOptions, segment, c.family));
  if (segment.options.userTimeoutS > 0) hearUserTimeout(c, segment.options.userTimeoutS);
  if (hasAck) synAckArrived(c, segment);
  else simultaneousOpen(c, segment);
}

/** Whether the timestamp echoed, if one is, stood in a SYN of ours: else the segment is of another life (Linux). */
function echoIsOurs(c: TcpConnection, segment: TcpSegment): boolean {
  const { options, nowUs } = segment;
  if (!c.synOptions.timestamps || !options.hasTimestamps || options.tsEcr === 0) return true;
  const sinceFirst = (options.tsEcr - c.writer.timestamp(c.timers.synSentAtUs)) | 0;
  return sinceFirst >= 0 && ((c.writer.timestamp(nowUs) - options.tsEcr) | 0) >= 0;
}

function synAckArrived(c: TcpConnection, segment: TcpSegment): void {
  const { timers, sender, fastOpenAttempt } = c;
  answerSeen(c, segment);
  const isMeasured = timers.synTransmissions === 1 && fastOpenAttempt?.hasResent !== true;
  c.established(timers.synTransmissions, isMeasured ? segment.nowUs - timers.synSentAtUs : 0);
  fastOpenAttempt?.answered(c, segment, true);
  // The window of a SYN is never scaled (RFC 7323 §2.2).
  sender.sndWl1 = segment.sequence;
  sender.sndWl2 = segment.ack;
  sender.updateWindow(segment.sequence, segment.ack, segment.window);
  c.acks.now();
  segment.dropSyn();
  if (segment.length > 0) takeText(c, c.receiver as Receiver, segment);
}

/** Both sides have sent a SYN: the answer is a SYN-ACK with the same ISS (RFC 9293 §3.5, Figure 8). */
function simultaneousOpen(c: TcpConnection, segment: TcpSegment): void {
  c.move('rcvSyn');
  const negotiated = c.negotiated;
  c.synOptions = {
    ...c.synOptions,
    windowScale: segment.options.windowScale < 0 ? -1 : c.synOptions.windowScale,
    sackPermitted: negotiated !== undefined && negotiated.sack,
    timestamps: negotiated !== undefined && negotiated.timestamps,
  };
  c.sender.sndWl1 = segment.sequence;
  c.sender.updateWindow(segment.sequence, c.sender.sndWl2, segment.window);
  c.sendSyn();
  c.writer.ecn = answerSyn(c.synOptions, c.options.ecn, segment);
}
