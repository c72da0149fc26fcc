/** What a connection knows of itself, for tools: the counterpart of Linux's `TCP_INFO` (RFC 4898). */
import type { TcpConnection } from './connection.js';
import { EcnMode } from './ecn/negotiation.js';
import { Phase } from './recovery/recovery.js';
import { SendState } from './send-times.js';
import { stateName } from './state.js';

/** Bytes, microseconds and counts; a snapshot that changes no more. */
export interface ConnectionInfo {
  /** As RFC 9293 writes it: `SYN-SENT`, `ESTABLISHED` … */
  readonly state: string;
  /**
   * What the sender does about losses: nothing, a reduction for a mark, fast recovery, or what follows a
   * time-out.
   */
  readonly phase: 'open' | 'cwr' | 'recovery' | 'loss';
  /** Name of the congestion control. */
  readonly congestionControl: string;
  /** Whether timestamps were agreed on (RFC 7323 §3). */
  readonly timestamps: boolean;
  /** Text of a SYN was taken, ours by the peer or the peer's by us (RFC 7413). */
  readonly fastOpen: boolean;
  /** Whether selective acknowledgment was agreed on (RFC 2018). */
  readonly sack: boolean;
  /** Feedback of congestion marks that was agreed on (RFC 3168, RFC 9768). */
  readonly ecn: 'none' | 'classic' | 'accurate';
  /** Whether new text can be marked. */
  readonly ecnCapable: boolean;
  /** Segments of ours that were reported as marked. */
  readonly deliveredMarks: number;
  /** Segments of the peer that arrived marked. */
  readonly receivedMarks: number;
  /** With accurate feedback, bytes of our text with each ECN field, as the peer counts them. */
  readonly deliveredEcn: EcnByteCounts;
  /** The same of the peer's text, as we count it. */
  readonly receivedEcn: EcnByteCounts;
  /** Shift of the windows received (RFC 7323 §2). */
  readonly sendWindowShift: number;
  /** Shift of the windows sent. */
  readonly receiveWindowShift: number;
  /** Retransmission time-out now, doublings included. */
  readonly rtoUs: number;
  /** Doublings in it. */
  readonly backoff: number;
  /** Time-outs since data was last acknowledged. */
  readonly retries: number;
  /** Unanswered window probes and keep-alive probes. */
  readonly probes: number;
  /** Delay of ACKs now. */
  readonly atoUs: number;
  /** Text of a full segment sent. */
  readonly mssBytes: number;
  /** Text of the largest segment seen to arrive. */
  readonly receiveMssBytes: number;
  /** The MSS we announced. */
  readonly announcedMssBytes: number;
  /** The bound the application has set on the window offered; 0 for none. */
  readonly windowClampBytes: number;
  /** Largest IP packet the path takes, as far as known. */
  readonly pathMtuBytes: number;
  /** Sent and not acknowledged. */
  readonly unackedBytes: number;
  /** Of that, selectively acknowledged. */
  readonly sackedBytes: number;
  /** Of that, believed lost. */
  readonly lostBytes: number;
  /** Of that, believed to be in the network. */
  readonly inFlightBytes: number;
  /** Written and not yet sent. */
  readonly unsentBytes: number;
  /** Of what is in flight, sent again. */
  readonly retransmittedInFlightBytes: number;
  /** Segments sent again, in the life of the connection. */
  readonly retransmissions: number;
  /** Their text. */
  readonly retransmittedBytes: number;
  /** Segments the peer reported to have got twice (RFC 2883). */
  readonly duplicatesReported: number;
  /** Retransmission time-outs ever. */
  readonly timeouts: number;
  /** The same, those that followed one another counted once. */
  readonly timeoutRecoveries: number;
  /** How long it took to get over them, all together. */
  readonly timeoutRecoveryUs: number;
  /** Whether the path was seen to reorder. */
  readonly reorderingSeen: boolean;
  /** How long RACK waits for what is late now (RFC 8985 §6.2 step 4). */
  readonly reorderingWindowUs: number;
  /** Smoothed round-trip time (RFC 6298 §2); 0 before the first sample. */
  readonly rttUs: number;
  /** Its variation; 0 before the first sample. */
  readonly rttVarUs: number;
  /** Smallest round-trip time of the last minutes; 0 before the first sample. */
  readonly minRttUs: number;
  /** Congestion window. */
  readonly cwndBytes: number;
  /** Slow-start threshold; 2^30 before the first reduction. */
  readonly ssthreshBytes: number;
  /** Bytes per second at which segments are spread; Infinity where they are not. */
  readonly pacingRateBps: number;
  /** Bytes per second at which segments leave at most, by the option; Infinity for no limit. */
  readonly maxPacingRateBps: number;
  /** Bytes per second that the path last delivered; 0 before it was measured. */
  readonly deliveryRateBps: number;
  /** Whether the application, not the network, limited that. */
  readonly isDeliveryRateAppLimited: boolean;
  /** Window of the peer. */
  readonly sendWindowBytes: number;
  /** Window offered to the peer. */
  readonly receiveWindowBytes: number;
  /** Limit of the send buffer now. */
  readonly sendBufferBytes: number;
  /** Limit of the receive buffer now. */
  readonly receiveBufferBytes: number;
  /** Round-trip time as the receiver sees it; 0 before it has seen one. */
  readonly receiverRttUs: number;
  /** Segments that came in, from the end of a passive handshake or from our SYN on. */
  readonly segmentsReceived: number;
  /** Segments sent, from the same moment on. */
  readonly segmentsSent: number;
  /** Those of the segments received that had text. */
  readonly textSegmentsReceived: number;
  /** Those of the segments sent that had text. */
  readonly textSegmentsSent: number;
  /** Segments that arrived beyond a gap. */
  readonly outOfOrderSegments: number;
  /** Bytes of text sent, what was sent again included. */
  readonly sentBytes: number;
  /** Bytes acknowledged, cumulatively or selectively. */
  readonly deliveredBytes: number;
  /** Bytes acknowledged cumulatively. */
  readonly ackedBytes: number;
  /** Bytes received in order. */
  readonly receivedBytes: number;
  /** Time with anything to send or in flight. */
  readonly busyUs: number;
  /** Of that, held up by the window of the peer. */
  readonly windowLimitedUs: number;
  /** Of that, held up by a send buffer that was full. */
  readonly bufferLimitedUs: number;
  /** Since the peer was last heard. */
  readonly sinceHeardUs: number;
  /** Since anything was last sent. */
  readonly sinceSentUs: number;
}

/** Bytes of text by the ECN field they arrived with. */
export interface EcnByteCounts {
  /** With CE: marked by a router that was congested. */
  readonly ceBytes: number;
  /** With ECT(0): not marked. */
  readonly ect0Bytes: number;
  /** With ECT(1): not marked, of a sender that asks for more (RFC 9331). */
  readonly ect1Bytes: number;
}

const ECN_MODES = {
  [EcnMode.None]: 'none',
  [EcnMode.Classic]: 'classic',
  [EcnMode.Accurate]: 'accurate',
} as const;
const NO_BYTES: EcnByteCounts = Object.freeze({ ceBytes: 0, ect0Bytes: 0, ect1Bytes: 0 });

const PHASES = {
  [Phase.Open]: 'open',
  [Phase.Cwr]: 'cwr',
  [Phase.Recovery]: 'recovery',
  [Phase.Loss]: 'loss',
} as const;

export const phaseName = (phase: Phase): ConnectionInfo['phase'] => PHASES[phase];

/** @param pathMtuBytes largest IP packet the path takes now */
export function connectionInfo(c: TcpConnection, pathMtuBytes: number, nowUs: number): ConnectionInfo {
  return {
    state: stateName(c.state),
    fastOpen: c.isFastOpened,
    timestamps: c.negotiated?.timestamps === true,
    sendWindowShift: c.negotiated?.sendWindowShift ?? 0,
    receiveWindowShift: c.negotiated?.receiveWindowShift ?? 0,
    atoUs: c.acks.ackTimeoutUs,
    pathMtuBytes,
    announcedMssBytes: c.synOptions.mss,
    windowClampBytes: c.options.windowClampBytes,
    maxPacingRateBps: c.options.maxPacingRateBps,
    segmentsReceived: c.segmentsReceived,
    segmentsSent: c.writer.segmentsSent,
    textSegmentsReceived: c.textSegmentsReceived,
    textSegmentsSent: c.writer.textSegmentsSent,
    sentBytes: c.writer.textBytesSent,
    sinceHeardUs: nowUs - c.timers.heardAtUs,
    sinceSentUs: nowUs - c.sender.lastSentUs,
    ...ecnInfo(c),
    ...senderInfo(c),
    ...recoveryInfo(c),
    ...receiverInfo(c),
    ...timesInfo(c, nowUs),
  };
}

function senderInfo({ sender, timers }: TcpConnection) {
  const { recovery, congestion } = sender;
  const { rtt } = recovery;
  return {
    phase: phaseName(recovery.phase),
    congestionControl: congestion.name,
    sack: recovery.sack,
    rtoUs: recovery.rtoUs,
    backoff: recovery.backoff,
    retries: recovery.retries,
    probes: sender.unansweredProbes + timers.keepAliveProbes,
    mssBytes: sender.mssBytes,
    unackedBytes: recovery.outstandingBytes,
    sackedBytes: recovery.sackedBytes,
    lostBytes: recovery.board.lostBytes,
    inFlightBytes: recovery.inFlightBytes,
    unsentBytes: sender.unsentBytes,
    retransmissions: recovery.resentSegments,
    retransmittedBytes: sender.retransmittedBytes,
    rttUs: rtt.srttUs,
    rttVarUs: rtt.rttVarUs,
    minRttUs: rtt.hasSample ? rtt.minRttUs : 0,
    cwndBytes: sender.cwndBytes,
    ssthreshBytes: congestion.ssthreshBytes,
    pacingRateBps: sender.pacingRateBps,
    sendWindowBytes: sender.sndWnd,
    sendBufferBytes: sender.bufferLimit,
    deliveredBytes: sender.deliveredBytes,
    ackedBytes: sender.bytesAcked,
  };
}

function recoveryInfo({ sender: { recovery }, timers }: TcpConnection) {
  const { rate, rack, rtt, board } = recovery;
  return {
    retransmittedInFlightBytes: board.retransmittedBytes,
    duplicatesReported: recovery.duplicateSegments,
    timeouts: recovery.timeouts,
    timeoutRecoveries: timers.timeoutRecoveries,
    timeoutRecoveryUs: timers.timeoutRecoveryUs,
    deliveryRateBps: rate.lastRateBps,
    isDeliveryRateAppLimited: rate.lastIsAppLimited,
    reorderingSeen: rack.reorderingSeen,
    reorderingWindowUs: rack.windowUs({
      isRecovering: recovery.phase >= Phase.Recovery,
      hasDupThresh: false,
      minRttUs: rtt.minRttUs,
      srttUs: rtt.srttUs,
    }),
  };
}

function ecnInfo({ writer: { ecn } }: TcpConnection) {
  return {
    ecn: ECN_MODES[ecn?.mode ?? EcnMode.None],
    ecnCapable: ecn?.sendsEct === true,
    deliveredMarks: ecn?.deliveredMarks ?? 0,
    receivedMarks: ecn?.receivedMarks ?? 0,
    deliveredEcn: ecn?.mode === EcnMode.Accurate ? byteCounts(ecn.feedback) : NO_BYTES,
    receivedEcn: ecn?.mode === EcnMode.Accurate ? byteCounts(ecn.report) : NO_BYTES,
  };
}

/** Two of the counters begin at 1. */
const byteCounts = ({ ceBytes, ect0Bytes, ect1Bytes }: EcnByteCounts): EcnByteCounts => ({
  ceBytes,
  ect0Bytes: ect0Bytes - 1,
  ect1Bytes: ect1Bytes - 1,
});

function receiverInfo({ receiver }: TcpConnection) {
  return {
    receiveMssBytes: receiver?.peerMssBytes ?? 0,
    receiveWindowBytes: receiver?.rcvWnd ?? 0,
    receiverRttUs: receiver?.tuner.rttUs ?? 0,
    receiveBufferBytes: receiver?.tuner.limitBytes ?? 0,
    receivedBytes: receiver?.bytesReceived ?? 0,
    outOfOrderSegments: receiver?.outOfOrderSegments ?? 0,
  };
}

function timesInfo({ times }: TcpConnection, nowUs: number) {
  const windowLimitedUs = times.totalUs(SendState.WindowLimited, nowUs);
  const bufferLimitedUs = times.totalUs(SendState.BufferLimited, nowUs);
  const busyUs = times.totalUs(SendState.Busy, nowUs) + windowLimitedUs + bufferLimitedUs;
  return { busyUs, windowLimitedUs, bufferLimitedUs };
}
