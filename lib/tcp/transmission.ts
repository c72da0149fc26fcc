/** Sending what a connection has due: an RST, its SYN, text, an ACK, or a probe. */
import { seqAdd, seqGt } from '../base/seq.js';
import type { TcpConnection } from './connection.js';
import { mtuProbeSent } from './mtu-discovery.js';
import { Phase } from './recovery/episode.js';
import type { SegmentOutput } from './segment-output.js';
import { SendState } from './send-times.js';
import { TcpState } from './state.js';

/**
 * Bytes of text a connection sends at most before others have their turn and what has arrived is heard: where a link
 * takes all at once, a window of megabytes would otherwise leave before its first ACK is read.
 */
export const TURN_BYTES = 1 << 20;

/** Sends everything due, in that order. False when the link is full and it must be called again. */
export function transmit(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  if (c.pendingReset !== undefined && !transmitReset(c, output, nowUs)) return false;
  if (c.synDue && !transmitSyn(c, output, nowUs)) return false;
  if (c.receiver === undefined || !maySpeak(c)) return true;
  if (c.writer.owesBareAck && !transmitAck(c, output, nowUs)) return false;
  return transmitText(c, output, nowUs) && transmitAck(c, output, nowUs);
}

/** Before the handshake is complete only Fast Open lets anything go, and only until the SYN-ACK must be repeated. */
const maySpeak = (c: TcpConnection): boolean =>
  c.fastOpenPlace === undefined ? c.state >= TcpState.ESTABLISHED : c.timers.synTransmissions === 1;

function transmitReset(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  if (c.pendingReset === undefined) return true;
  // The peer is to see a connection that was made and broken, not one that never was.
  if (owesHandshakeAck(c) && !transmitAck(c, output, nowUs)) return false;
  if (!c.writer.reset(output, c.pendingReset, nowUs)) return false;
  if (output.goesNowhere && c.pendingReset.withAck) c.stats.tcp.abortFailed++;
  c.pendingReset = undefined;
  c.stats.tcp.outRsts++;
  c.stats.tcp.outSegs++;
  return true;
}

/** Whether the last ACK of a handshake we began is still to be sent. */
const owesHandshakeAck = (c: TcpConnection): boolean =>
  c.isActiveOpen && c.acks.isDue && c.receiver !== undefined && c.sender.sndNxt === seqAdd(c.sender.iss, 1);

function transmitSyn(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  const { synOptions, fastOpenAttempt } = c;
  const textBytes = fastOpenAttempt === undefined ? 0 : fastOpenAttempt.textBytes(c);
  if (!c.writer.syn(output, synOptions, nowUs, textBytes)) return false;
  fastOpenAttempt?.synSent(c, textBytes);
  // A SYN or SYN-ACK that must be repeated does without (RFC 7413 §4.2.1, §4.2.2).
  if (synOptions.fastOpenCookie !== undefined) synOptions.fastOpenCookie = undefined;
  c.synDue = false;
  c.stats.tcp.outSegs++;
  c.sender.lastSentUs = nowUs;
  if (c.receiver !== undefined) c.acks.sent();
  return true;
}

/** What was lost, then what is new, as far as both windows go. */
function transmitText(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  const { sender, writer } = c;
  const before = sender.unsentBytes;
  sender.restartAfterIdle(nowUs);
  for (;;) {
    if (c.turnBytes <= 0) break;
    sender.optionBytes = writer.extraBytes(true);
    const room = roomForText(c, output);
    // An urgent pointer counts from its own segment, so those of a super-packet cannot share one.
    const single = !output.takesSuperPackets || writer.mustSendPlain || seqGt(sender.sndUp, sender.sndUna);
    const limit = single ? Math.min(room, sender.segmentBytes) : room;
    if (!sender.next(limit, nowUs)) break;
    if (!transmitPlanned(c, output, nowUs)) return false;
    c.turnBytes -= sender.plan.textBytes;
  }
  sender.paused(nowUs);
  sender.armPersist(nowUs);
  noteState(c, nowUs);
  // Who waits for what is unsent to become less waits for this.
  if (c.isWriteBlocked && c.options.notSentLowWaterBytes >= 0 && sender.unsentBytes < before) c.offerRoom();
  return true;
}

/** Bytes of text that fit into one packet of the link, behind the options that are laid out. */
const roomForText = ({ sender, writer }: TcpConnection, output: SegmentOutput): number =>
  output.maxTransportBytes - writer.commonHeaderBytes - sender.optionBytes;

/** Notes what sending waits for now that it has paused. */
function noteState(c: TcpConnection, nowUs: number): void {
  const { sender } = c;
  let state: SendState = SendState.Busy;
  if (sender.isDrained) state = SendState.Idle;
  else if (sender.isWindowLimited) state = SendState.WindowLimited;
  else if (c.isWriteBlocked && sender.unsentBytes === 0) state = SendState.BufferLimited;
  c.times.enter(state, nowUs);
}

function transmitPlanned(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  const { plan } = c.sender;
  if (!c.writer.planned(output, nowUs)) return false;
  const isRetransmission = plan.row >= 0;
  const { segments } = plan;
  c.stats.tcp.outSegs += segments;
  if (isRetransmission) countRetransmission(c, segments);
  else c.acks.answered(nowUs);
  c.sender.sent(nowUs);
  if (plan.isMtuProbe) mtuProbeSent(c);
  c.observer?.sent();
  c.acks.sent();
  return true;
}

function countRetransmission(c: TcpConnection, segments: number): void {
  const { tcp } = c.stats;
  const { phase } = c.sender.recovery;
  tcp.retransSegs += segments;
  if (phase === Phase.Recovery) tcp.fastRetrans += segments;
  else if (phase === Phase.Loss) tcp.slowStartRetrans += segments;
}

function transmitAck(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  if (!c.acks.isDue) return true;
  if (!c.writer.ack(output, c.sender.sndNxt, nowUs)) return false;
  c.stats.tcp.outSegs++;
  c.stats.tcp.pureAcks++;
  c.acks.sent();
  return true;
}

/** Sends what the persist or keep-alive timer asks for: forced text, or a probe below SND.UNA. */
export function transmitProbe(c: TcpConnection, output: SegmentOutput, nowUs: number): boolean {
  const { sender, writer } = c;
  sender.optionBytes = writer.extraBytes(true);
  if (sender.isStalled && sender.planner.nextForced()) return transmitPlanned(c, output, nowUs);
  if (!writer.ack(output, writer.probeSequence, nowUs)) return false;
  c.stats.tcp.outSegs++;
  return true;
}

/** Sends the probe for a lost tail (RFC 8985 §7.3). */
export function transmitTailProbe(c: TcpConnection, output: SegmentOutput, nowUs: number): void {
  const { sender, writer } = c;
  sender.optionBytes = writer.extraBytes(true);
  if (sender.planner.nextProbe(Math.max(1, roomForText(c, output)))) transmitPlanned(c, output, nowUs);
}
