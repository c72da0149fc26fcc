/**
 * Explicit congestion notification in the handshake (RFC 3168 §6.1.1, RFC 9768 §3.1): what our SYNs and
 * SYN-ACKs say of it, and what those of the peer lead to.
 */
import { TcpFlag } from '../wire/tcp.js';
import type { SynOptions } from '../wire/tcp-options.js';
import type { TcpConnection } from './connection.js';
import { AccurateEcn } from './ecn/accurate-ecn.js';
import { ClassicEcn } from './ecn/classic-ecn.js';
import type { Ecn } from './ecn/ecn.js';
import {
  aceOf,
  answerFlags,
  contradicts,
  ECN_FLAGS,
  EcnField,
  EcnMode,
  type EcnSetting,
  isAccurate,
  modeOfSyn,
  modeOfSynAck,
  reflectedField,
  requestFlags,
} from './ecn/negotiation.js';
import type { SynFacts } from './handshake.js';
import type { TcpSegment } from './segment.js';

/** A SYN-ACK that is sent this often without an answer has no ECN any more (RFC 9768 §3.2.3.2.2). */
const PLAIN_SYN_ACK_AFTER = 2;

// ---- the side that asks --------------------------------------------------------------------------

/** Our first SYN asks as the option says. */
export function askInSyn(c: TcpConnection): void {
  c.synOptions.ecnFlags = requestFlags(c.options.ecn, 1);
}

/** Our SYN, or SYN-ACK, must be repeated: perhaps the path swallows what is new in it. */
export function askAgain(c: TcpConnection): void {
  const { synOptions, timers } = c;
  if (c.receiver === undefined) synOptions.ecnFlags &= requestFlags(c.options.ecn, timers.synTransmissions);
  else answerAgain(synOptions, c.writer.ecn, timers.synTransmissions);
}

/**
 * An RST answers our SYN. Where that asked for ECN, it may be ECN that was refused (RFC 3168 §6.1.1.1).
 * @returns whether a plain SYN goes out instead
 */
export function askWithoutEcn(c: TcpConnection, nowUs: number): boolean {
  if (c.synOptions.ecnFlags === 0) return false;
  c.synOptions.ecnFlags = 0;
  c.stats.tcp.ecnFallbacks++;
  c.timers.handshakeStarted(nowUs);
  c.sendSyn();
  return true;
}

/** The peer's SYN-ACK answers our SYN. */
export function answerSeen(c: TcpConnection, segment: TcpSegment): void {
  const mode = modeOfSynAck(c.options.ecn, segment.flags);
  // Where one of our SYNs did not ask, no text is ECN-capable (RFC 3168 §6.1.1); that we may still be asked to
  // echo is another matter. Accurate feedback leaves no such doubt.
  if (mode === EcnMode.Classic) c.writer.ecn = new ClassicEcn(c.synOptions.ecnFlags !== 0);
  if (mode !== EcnMode.Accurate) return;
  const ecn = new AccurateEcn();
  c.writer.ecn = ecn;
  synFedBack(ecn, segment);
  if (segment.options.hasEcnCounters) ecn.feedback.handshakeOption(segment.options);
  ecn.synAckArrived(segment.ecn);
  ecn.owesHandshakeAck = true;
  ecn.report.ackMustTell = true;
  ecn.report.textMustTell = true;
}

/** The peer's SYN-ACK came again: the ACK of it tells how it arrived (RFC 9768 §3.2.2.1). */
export function answerSeenAgain(c: TcpConnection, segment: TcpSegment): void {
  const { ecn } = c.writer;
  if (ecn?.mode !== EcnMode.Accurate || !c.isActiveOpen || !c.acks.isDue) return;
  if (!segment.has(TcpFlag.ACK) || segment.sequence !== c.receiver?.irs) return;
  ecn.synAckArrived(segment.ecn);
  ecn.owesHandshakeAck = true;
}

/** Both sides have asked, and the peer's SYN-ACK came. */
export function answerCrossed(c: TcpConnection, segment: TcpSegment): void {
  const { ecn } = c.writer;
  if (ecn?.mode !== EcnMode.Accurate) return;
  synFedBack(ecn, segment);
  if ((segment.flags & ECN_FLAGS) === 0) ecn.mute();
  ecn.synAckArrived(segment.ecn);
  ecn.awaitsHandshakeAck = false;
}

/** The flags of a SYN-ACK say how our SYN arrived; those that say nothing, as it was sent. */
function synFedBack(ecn: AccurateEcn, segment: TcpSegment): void {
  const field = reflectedField(segment.flags);
  ecn.feedback.handshakeField(Math.max(field, EcnField.NotEct), field === EcnField.Ce);
}

// ---- the side that answers -----------------------------------------------------------------------

/** A SYN arrived. @returns what it leads to; `offered`, what our SYN-ACK says, is completed */
export function answerSyn(offered: SynOptions, setting: EcnSetting, syn: SynFacts): Ecn | undefined {
  const mode = modeOfSyn(setting, syn.flags, syn.ecn);
  offered.ecnFlags = answerFlags(mode, syn.ecn);
  offered.ecnCounters = mode === EcnMode.Accurate;
  if (mode === EcnMode.None) return undefined;
  return mode === EcnMode.Classic ? new ClassicEcn(true) : awaitingAck();
}

function awaitingAck(): AccurateEcn {
  const ecn = new AccurateEcn();
  ecn.awaitsHandshakeAck = true;
  return ecn;
}

/** The SYN came again. @returns false when it asks for something else than before */
export function synAgain(
  offered: SynOptions,
  ecn: Ecn | undefined,
  setting: EcnSetting,
  syn: TcpSegment,
): boolean {
  const mode = ecn?.mode ?? EcnMode.None;
  if (contradicts(setting, mode, syn.flags)) return false;
  if (ecn === undefined) return true;
  if ((syn.flags & ECN_FLAGS) === 0) ecn.mute();
  // How the newest of them arrived is what counts; the option may be why none was heard (RFC 9768 §3.1.5).
  if (offered.ecnFlags !== 0) offered.ecnFlags = answerFlags(mode, syn.ecn);
  offered.ecnCounters = false;
  return true;
}

/** Our SYN-ACK goes out for the `transmission`-th time: first without the option, then without anything. */
export function answerAgain(offered: SynOptions, ecn: Ecn | undefined, transmission: number): void {
  offered.ecnCounters = false;
  if (transmission <= PLAIN_SYN_ACK_AFTER || ecn?.mode !== EcnMode.Accurate) return;
  offered.ecnFlags = 0;
  ecn.mute();
}

/** The first segment behind the handshake: as a bare ACK it tells how our SYN-ACK arrived (RFC 9768 §3.2.2.1). */
export function answerAcknowledged(ecn: Ecn | undefined, segment: TcpSegment): void {
  if (ecn?.mode !== EcnMode.Accurate || !ecn.awaitsHandshakeAck) return;
  ecn.awaitsHandshakeAck = false;
  if (segment.options.hasEcnCounters) ecn.feedback.handshakeOption(segment.options);
  if (segment.length > 0 || segment.options.sackCount > 0) return;
  ecn.feedback.handshakeAck(aceOf(segment.flags), Math.max(reflectedField(segment.flags), 0));
}

/**
 * What the ACK of a cookie leads to. Nobody remembers the SYN: classic feedback stands in the timestamp, if
 * it was agreed on; of accurate feedback the flags tell, which are then never 0 or 1 (RFC 9768 §5.1).
 */
export function recallEcn(setting: EcnSetting, wasClassic: boolean, segment: TcpSegment): Ecn | undefined {
  if (setting === 'off') return undefined;
  if (wasClassic) return new ClassicEcn(true);
  return isAccurate(setting) && aceOf(segment.flags) > 1 ? awaitingAck() : undefined;
}
