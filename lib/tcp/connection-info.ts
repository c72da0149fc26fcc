/** What a connection knows of itself, for tools: the counterpart of Linux's `TCP_INFO` (RFC 4898). */
import type { TcpConnection } from './connection.js';
import { EcnMode } from './ecn/negotiation.js';
import { Phase } from './recovery/recovery.js';
import { SendState } from './send-times.js';
import { stateName } from './state.js';

/** Bytes, microseconds and counts; a snapshot that changes no more. */
export interface ConnectionInfo {
  /** As RFC 9293 writes it. */
  readonly state: string;
  /** What the sender does about losses. */
  readonly phase: 'open' | 'cwr' | 'recovery' | 'loss';
  readonly congestionControl: string;
  readonly timestamps: boolean;
  /** Text of a SYN was taken, ours by the peer or the peer's by us (RFC 7413). */
  readonly fastOpen: boolean;
  readonly sack: boolean;
  /** Feedback of congestion marks that was agreed on (RFC 3168, RFC 9768), and whether new text can be marked. */
  readonly ecn: 'none' | 'classic' | 'accurate';
  readonly ecnCapable: boolean;
  /** Segments of ours that were reported as marked, and segments of the peer that arrived so. */
  readonly deliveredMarks: number;
  readonly receivedMarks: number;
  /** With accurate feedback, bytes of text with each ECN field: as the peer counts ours, and as we count its. */
  readonly deliveredEcn: EcnByteCounts;
  readonly receivedEcn: EcnByteCounts;
  /** Shifts of the windows received and sent. */
  readonly sendWindowShift: number;
  readonly receiveWindowShift: number;
  /** Retransmission time-out now, its doublings, and time-outs since data was last acknowledged. */
  readonly rtoUs: number;
  readonly backoff: number;
  readonly retries: number;
  /** Unanswered window probes and keep-alive probes. */
  readonly probes: number;
  /** Delay of ACKs now. */
  readonly atoUs: number;
  /** Text of a full segment sent, and of the largest seen to arrive. */
  readonly mssBytes: number;
  readonly receiveMssBytes: number;
  /** The MSS we announced; the bound the application has set on the window offered, 0 for none. */
  readonly announcedMssBytes: number;
  readonly windowClampBytes: number;
  readonly pathMtuBytes: number;
  /** Sent and not acknowledged; of that, selectively acknowledged, believed lost, sent again and in flight. */
  readonly unackedBytes: number;
  readonly sackedBytes: number;
  readonly lostBytes: number;
  readonly inFlightBytes: number;
  /** Written and not yet sent. */
  readonly unsentBytes: number;
  /** Of what is in flight, sent again. */
  readonly retransmittedInFlightBytes: number;
  /** Segments sent again, and their text, in the life of the connection; and segments the peer got twice (RFC 2883). */
  readonly retransmissions: number;
  readonly retransmittedBytes: number;
  readonly duplicatesReported: number;
  /** Retransmission time-outs ever, the times one led to the next counted once; and how long it took to get over them. */
  readonly timeouts: number;
  readonly timeoutRecoveries: number;
  readonly timeoutRecoveryUs: number;
  /** Whether the path was seen to reorder, and how long RACK waits for what is late now (RFC 8985 §6.2 step 4). */
  readonly reorderingSeen: boolean;
  readonly reorderingWindowUs: number;
  /** Smoothed round-trip time, its variation, and the smallest; 0 before the first sample. */
  readonly rttUs: number;
  readonly rttVarUs: number;
  readonly minRttUs: number;
  readonly cwndBytes: number;
  readonly ssthreshBytes: number;
  /** Bytes per second at which segments are spread, and by the option at most; Infinity where they are not. */
  readonly pacingRateBps: number;
  readonly maxPacingRateBps: number;
  /** Bytes per second that the path last delivered, 0 before it was measured; whether the application limited that. */
  readonly deliveryRateBps: number;
  readonly isDeliveryRateAppLimited: boolean;
  /** Windows: the peer's, and ours. */
  readonly sendWindowBytes: number;
  readonly receiveWindowBytes: number;
  /** Limits of the buffers now. */
  readonly sendBufferBytes: number;
  readonly receiveBufferBytes: number;
  /** Round-trip time as the receiver sees it; 0 before it has seen one. */
  readonly receiverRttUs: number;
  /** Segments in and out from the end of a passive handshake, or from our SYN on; those of them with text. */
  readonly segmentsReceived: number;
  readonly segmentsSent: number;
  readonly textSegmentsReceived: number;
  readonly textSegmentsSent: number;
  /** Segments that arrived beyond a gap. */
  readonly outOfOrderSegments: number;
  /** Bytes of text sent, what was sent again included. */
  readonly sentBytes: number;
  /** Acknowledged in any way; acknowledged cumulatively; received in order. */
  readonly deliveredBytes: number;
  readonly ackedBytes: number;
  readonly receivedBytes: number;
  /** Time with anything to send or in flight; of that, held up by the peer's window, and by a full buffer. */
  readonly busyUs: number;
  readonly windowLimitedUs: number;
  readonly bufferLimitedUs: number;
  /** Since the peer was last heard, and since anything was last sent. */
  readonly sinceHeardUs: number;
  readonly sinceSentUs: number;
}

/** Bytes of text by the ECN field they arrived with. */
export interface EcnByteCounts {
  readonly ceBytes: number;
  readonly ect0Bytes: number;
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
