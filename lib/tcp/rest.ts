/**
 * A connection at rest. Where nothing is in flight, unread, unsent or owed, what it knows is a few dozen numbers;
 * the objects that send, receive, recover and count are only there to work with them. Then they are folded into
 * one recording, and made again from it when something happens. The connection goes on as if it had never rested:
 * nobody who sees its segments can tell.
 */
import { NEVER } from '../base/clock.js';
import { type Seq, seqAdd, seqDiff } from '../base/seq.js';
import { type Recording, Tape } from '../base/tape.js';
import { type CongestionControl, FIRST_BUFFER_BYTES } from './congestion/congestion-control.js';
import { TcpConnection } from './connection.js';
import type { ConnectionParameters } from './connection-parameters.js';
import { congestionFor } from './establishing.js';
import { announcedMss, type Negotiated } from './handshake.js';
import type { TcpOptions } from './options.js';
import type { Receiver, TextSink } from './receiver.js';
import { Phase, type Recovery } from './recovery/recovery.js';
import type { Sender } from './sender.js';
import { TcpState } from './state.js';

/** What is left of a connection at rest. */
export interface RestingConnection extends Recording {
  readonly parameters: ConnectionParameters;
  /** Where text goes that arrives. */
  readonly sink: TextSink | undefined;
}

/** One for all: a connection is folded, or unfolded, within one call. */
const TAPE = new Tape();

/** What a congestion control is made for, before it is told what it was. */
const ANY_PATH = { mssBytes: 536, segments: 10, rttUs: 0, nowUs: 0 };

/** What is passed where a recording answers. */
const NOTHING_AGREED: Negotiated = {
  irs: 0 as Seq,
  peerMssBytes: 0,
  sendWindowShift: 0,
  receiveWindowShift: 0,
  sack: false,
  timestamps: false,
  tsRecent: 0,
  tsRecentAtUs: 0,
};

/** Whether `c` has nothing to do, and nothing but numbers to remember. */
export function mayRest(c: TcpConnection): boolean {
  if (c.state !== TcpState.ESTABLISHED || c.isOrphan || c.observer !== undefined) return false;
  if (c.hasEvents || c.pendingReset !== undefined || c.synDue || c.softError !== '') return false;
  if (c.isStarved || c.isWriteBlocked || c.doubtsRoute) return false;
  if (c.fastOpenAttempt !== undefined || c.fastOpenPlace !== undefined) return false;
  const { acks, timers, receiver } = c;
  if (acks.isOwed || timers.isHandshaking) return false;
  return receiver?.isQuiet === true && isQuiet(c.sender);
}

/** Whether everything written was sent and acknowledged, and whatever went wrong on the way is over. */
function isQuiet(sender: Sender): boolean {
  const { recovery, buffer, small, pacer } = sender;
  if (buffer.length > 0 || sender.sndUna !== sender.sndNxt || sender.finQueued) return false;
  if (recovery.log.count > 0 || recovery.phase !== Phase.Open || recovery.hasSent) return false;
  if (recovery.firstRetryUs > 0) return false;
  const { persistDeadlineUs } = sender;
  return Math.min(persistDeadlineUs, small.deadlineUs, pacer.deadlineUs, recovery.deadlineUs) === NEVER;
}

/** Folds a connection that may rest. It must not be used again. */
export function putToRest(c: TcpConnection): RestingConnection {
  const { parameters, sender, negotiated } = c;
  sender.buffer.trim();
  c.receiver?.buffer.trim();
  c.memory.leave();
  TAPE.record();
  foldOptions(parameters, c.options);
  // One that cannot be folded is kept.
  TAPE.object(sender.congestion.fold === undefined ? sender.congestion : undefined);
  foldNegotiated(parameters, negotiated as Negotiated);
  TAPE.number(c.transportBytes, parameters.transportBytes);
  foldRest(c, c.receiver as Receiver);
  const { numbers, objects } = TAPE.taken();
  return { parameters, sink: c.receiver?.sink, numbers, objects };
}

/** Makes the connection that was put to rest. */
export function awaken(resting: RestingConnection): TcpConnection {
  const { parameters } = resting;
  TAPE.play(resting);
  const options = foldOptions(parameters, undefined);
  const kept = TAPE.object<CongestionControl>(undefined);
  const c = new TcpConnection(parameters, kept ?? congestionFor(parameters, options, ANY_PATH));
  c.synSeen(foldNegotiated(parameters, NOTHING_AGREED));
  c.awake(TAPE.number(0, parameters.transportBytes));
  c.options = options;
  c.sender.options = options;
  c.setSink(resting.sink);
  foldRest(c, c.receiver as Receiver);
  return c;
}

// ---- both ways ---------------------------------------------------------------------------------

/** Options that have changed since the connection began. */
const foldOptions = (parameters: ConnectionParameters, options: TcpOptions | undefined): TcpOptions =>
  TAPE.object(options === parameters.options ? undefined : options) ?? parameters.options;

/** What the SYNs agreed on. The timestamp in it has long been replaced by later ones. */
function foldNegotiated({ family }: ConnectionParameters, negotiated: Negotiated): Negotiated {
  return {
    irs: TAPE.number(negotiated.irs, 0) as Seq,
    peerMssBytes: TAPE.number(negotiated.peerMssBytes, family === 4 ? 1460 : 1440),
    sendWindowShift: TAPE.number(negotiated.sendWindowShift, 0),
    receiveWindowShift: TAPE.number(negotiated.receiveWindowShift, 0),
    sack: TAPE.flag(negotiated.sack),
    timestamps: TAPE.flag(negotiated.timestamps),
    tsRecent: 0,
    tsRecentAtUs: 0,
  };
}

/** Everything else, once there is a connection. */
function foldRest(c: TcpConnection, receiver: Receiver): void {
  const { parameters, writer, synOptions } = c;
  synOptions.mss = TAPE.number(
    synOptions.mss,
    announcedMss(parameters.interfaceTransportBytes, parameters.options),
  );
  c.isActiveOpen = TAPE.flag(c.isActiveOpen);
  c.isFastOpened = TAPE.flag(c.isFastOpened);
  c.lingerMs = TAPE.number(c.lingerMs, parameters.options.lingerMs);
  c.segmentsReceived = TAPE.number(c.segmentsReceived, 0);
  c.textSegmentsReceived = TAPE.number(c.textSegmentsReceived, 0);
  c.lastInvalidAckUs = TAPE.number(c.lastInvalidAckUs, Number.NEGATIVE_INFINITY);
  writer.segmentsSent = TAPE.number(writer.segmentsSent, 0);
  writer.textSegmentsSent = TAPE.number(writer.textSegmentsSent, 0);
  writer.textBytesSent = TAPE.number(writer.textBytesSent, 0);
  writer.ecn = TAPE.object(writer.ecn);
  writer.userTimeout = TAPE.object(writer.userTimeout);
  c.times.fold(TAPE);
  c.timers.fold(TAPE);
  receiver.fold(TAPE);
  foldSender(c.sender, receiver.rcvNxt);
  c.acks.fold(TAPE, parameters.options.quickAck);
}

function foldSender(sender: Sender, rcvNxt: Seq): void {
  const first = seqAdd(sender.iss, 1);
  sender.sndUna = TAPE.number(sender.sndUna, first) as Seq;
  sender.sndNxt = sender.sndUna;
  sender.sndWnd = TAPE.number(sender.sndWnd, 0);
  sender.maxSndWnd = TAPE.number(sender.maxSndWnd, sender.sndWnd);
  sender.sndWl1 = TAPE.number(sender.sndWl1, rcvNxt) as Seq;
  sender.sndWl2 = TAPE.number(sender.sndWl2, sender.sndUna) as Seq;
  sender.sndUp = TAPE.number(sender.sndUp, sender.sndUna) as Seq;
  sender.optionBytes = TAPE.number(sender.optionBytes, 0);
  sender.fixedBufferBytes = TAPE.number(sender.fixedBufferBytes, 0);
  sender.probes = TAPE.number(sender.probes, 0);
  sender.unansweredProbes = TAPE.number(sender.unansweredProbes, 0);
  sender.bytesAcked = TAPE.number(sender.bytesAcked, seqDiff(sender.sndUna, first));
  sender.deliveredBytes = TAPE.number(sender.deliveredBytes, sender.bytesAcked);
  sender.retransmittedBytes = TAPE.number(sender.retransmittedBytes, 0);
  sender.cwrDue = TAPE.flag(sender.cwrDue);
  sender.lastSentUs = TAPE.number(sender.lastSentUs, 0);
  const { planner } = sender;
  planner.cwndLimited = TAPE.flag(planner.cwndLimited);
  planner.burstSegments = TAPE.number(planner.burstSegments, 0);
  planner.prober = TAPE.object(planner.prober);
  sender.buffer.fold(TAPE, sender.sndUna);
  sender.small.fold(TAPE, sender.sndUna);
  sender.usage.fold(TAPE, sender.sndUna);
  sender.pacer.fold(TAPE);
  foldRecovery(sender.recovery, sender);
  sender.congestion.fold?.(TAPE, sender.mssBytes);
  sender.grownBufferBytes = TAPE.number(sender.grownBufferBytes, FIRST_BUFFER_BYTES);
}

/** Proportional rate reduction and the log of what was sent begin anew each time: nothing of them is kept. */
function foldRecovery(recovery: Recovery, { sndUna, deliveredBytes }: Sender): void {
  recovery.mssBytes = TAPE.number(recovery.mssBytes, 1448);
  recovery.backoff = TAPE.number(recovery.backoff, 0);
  recovery.retries = TAPE.number(recovery.retries, 0);
  recovery.resentSegments = TAPE.number(recovery.resentSegments, 0);
  recovery.duplicateSegments = TAPE.number(recovery.duplicateSegments, 0);
  recovery.timeouts = TAPE.number(recovery.timeouts, 0);
  recovery.repairedTail = TAPE.flag(recovery.repairedTail);
  recovery.board.mtuProbeLost = TAPE.flag(recovery.board.mtuProbeLost);
  recovery.rtt.fold(TAPE, sndUna);
  recovery.rate.fold(TAPE, deliveredBytes);
  recovery.duplicates.fold(TAPE);
  recovery.probe.fold(TAPE);
  recovery.rack.fold(TAPE, sndUna);
  recovery.episode.fold(TAPE, sndUna);
}
