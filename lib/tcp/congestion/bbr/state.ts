/**
 * The variables of BBR version 3, draft-ietf-ccwg-bbr-06 §2. The parts of the algorithm, one file each, read
 * and write them. Names are those of the draft, with units: bytes, bytes per second, µs. Infinity stands for
 * "not set", as in the draft.
 */
import type { Random } from '../../../base/random.js';
import type { CongestionParameters } from '../congestion-control.js';
import { MaxBandwidthFilter, WindowedMax } from './filters.js';

/** The states of the draft's §5.1; DOWN, CRUISE, REFILL and UP are ProbeBW. */
export const Phase = {
  STARTUP: 0,
  DRAIN: 1,
  DOWN: 2,
  CRUISE: 3,
  REFILL: 4,
  UP: 5,
  PROBE_RTT: 6,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** What the ACKs that arrive now say about the last probe for bandwidth. */
export const AckPhase = { INIT: 0, REFILLING: 1, STARTING: 2, FEEDBACK: 3, STOPPING: 4 } as const;
export type AckPhase = (typeof AckPhase)[keyof typeof AckPhase];

/** Why cwnd may have to be given back: nothing, losses, or a congestion mark, which takes nothing that returns. */
export const Episode = { NONE: 0, LOSS: 1, MARK: 2 } as const;
export type Episode = (typeof Episode)[keyof typeof Episode];

/** No phase to return to. */
export const NO_PHASE = -1;

const INFINITY = Number.POSITIVE_INFINITY;
/** MinPipeCwnd: lets a receiver that acknowledges every other segment keep two coming (§5.6.4.3). */
const MIN_PIPE_SEGMENTS = 4;

/** Beta: the most by which a round with losses lowers a bound, as CUBIC's multiplicative decrease. */
export const BETA = 0.7;
/** The milder response to a mark that RFC 8511 §3.1 allows, when asked for. */
const ABE_BETA = 0.8;

export class BbrState {
  readonly random: Random;
  readonly initialWindowBytes: number;
  readonly maxWindowBytes: number;
  /** What a congestion mark leaves of what was in flight. */
  readonly markBeta: number;
  mssBytes: number;

  // What is controlled.
  cwndBytes: number;
  pacingRateBps = 0;
  pacingGain = 1;
  cwndGain = 1;

  // This ACK, as far as it makes sense: what is NaN, negative or infinite counts as nothing. Times begin as
  // numbers, never undefined, or V8 would box each that is stored.
  nowUs = 0;
  /** C.delivered: bytes delivered in the life of the connection. */
  deliveredBytes = 0;
  newlyDeliveredBytes = 0;
  priorInFlightBytes = 0;
  inFlightBytes = 0;
  /** -1 when this ACK measured none. */
  rttUs = -1;
  /** The rate sample RS: 0 without one, and `priorDeliveredBytes` is -1 when nothing was delivered. */
  sampleRateBps = 0;
  sampleDeliveredBytes = 0;
  priorDeliveredBytes = -1;
  txInFlightBytes = 0;
  sampleLostBytes = 0;
  isAppLimited = false;
  /** Samples of what was sent before so much was delivered count as limited by the application: ProbeRTT's. */
  slowedUntilDeliveredBytes = -1;

  // The state machine.
  phase: Phase = Phase.STARTUP;
  idleRestart = false;

  // Rounds (§5.5.1).
  roundCount = 0;
  roundStart = false;
  nextRoundDeliveredBytes = 0;
  /** Whether cwnd held the sender back in this round, and in the one before. */
  cwndLimitedInRound = false;
  cwndLimitedInLastRound = false;

  // Bandwidth (§2.9.1): the long-term estimate, its short-term bound, and the smaller of both.
  readonly maxBwFilter = new MaxBandwidthFilter();
  bwShorttermBps = INFINITY;
  bwBps = 0;

  // Volume (§2.9.2). The bandwidth-delay product is that of the last ACK, 0 while either is unknown.
  bdpBytes = 0;
  minRttUs = 0;
  minRttStampUs = 0;
  readonly extraAckedFilter = new WindowedMax();
  extraAckedStartUs = 0;
  extraAckedDeliveredBytes = 0;
  inflightLongtermBytes = INFINITY;
  inflightShorttermBytes = INFINITY;

  // What the last round delivered, and whether it lost something (§2.10).
  bwLatestBps = 0;
  inflightLatestBytes = 0;
  isLossInRound = false;
  lossRoundStart = false;
  lossRoundDeliveredBytes = 0;
  /** The least pacing gain in this round of losses, and in the one before. */
  leastGain = 1;
  leastGainBefore = 1;
  /** A loss was noted since the last ACK; and it began a round, before the ACK that showed it was counted. */
  lossNoted = false;
  roundBeganWithLoss = false;
  /** In how many ACKs of this round losses were seen, for Startup. */
  lossEventsInRound = 0;
  /** Whether the last ACK came in recovery. */
  wasRecovering = false;

  // Full pipe (§2.13).
  fullBwReached = false;
  fullBwNow = false;
  fullBwBps = 0;
  fullBwCount = 0;
  drainStartRound = 0;

  // Probing for bandwidth (§2.14).
  ackPhase: AckPhase = AckPhase.INIT;
  isBwProbeSample = false;
  bwProbeUpAckedBytes = 0;
  probeUpAckedPerIncBytes = INFINITY;
  bwProbeUpRounds = 0;
  roundsSinceProbeUp = 0;
  bwProbeWaitUs = 0;
  cycleStampUs = 0;
  prevProbeTooHigh = false;
  prevProbePrecautionary = false;

  // Probing for the round-trip time (§2.16). A done stamp of 0 means that the 200 ms have not begun.
  probeRttMinDelayUs = 0;
  probeRttMinStampUs = 0;
  probeRttExpired = false;
  probeRttDoneStampUs = 0;
  probeRttRoundDone = false;

  // Recovery, and how to undo it (§2.15).
  episode: Episode = Episode.NONE;
  priorCwndBytes = 0;
  undoPhase: Phase | typeof NO_PHASE = NO_PHASE;
  isUndoSaved = false;
  undoSavedAtUs = -1;
  undoBwShorttermBps = 0;
  undoInflightShorttermBytes = 0;
  undoInflightLongtermBytes = 0;

  constructor(parameters: CongestionParameters) {
    const { nowUs, rttUs } = parameters;
    this.random = parameters.random;
    this.initialWindowBytes = parameters.initialWindowBytes;
    this.maxWindowBytes = parameters.maxWindowBytes;
    this.mssBytes = parameters.mssBytes;
    this.cwndBytes = parameters.inherited?.cwndBytes ?? parameters.initialWindowBytes;
    this.markBeta = parameters.abe ? ABE_BETA : BETA;
    this.nowUs = nowUs;
    this.minRttUs = rttUs > 0 ? rttUs : INFINITY;
    this.minRttStampUs = nowUs;
    this.probeRttMinDelayUs = this.minRttUs;
    this.probeRttMinStampUs = nowUs;
    this.extraAckedStartUs = nowUs;
    this.cycleStampUs = nowUs;
  }
}

/** MinPipeCwnd, bytes. */
export const minPipeBytes = (bbr: BbrState): number => MIN_PIPE_SEGMENTS * bbr.mssBytes;

export const isInProbeBw = (bbr: BbrState): boolean => bbr.phase >= Phase.DOWN && bbr.phase <= Phase.UP;

/** Accelerating: losses now say where the limit is, not that it has changed (§5.5.10.3). */
export const isProbingBw = (bbr: BbrState): boolean =>
  bbr.phase === Phase.STARTUP || bbr.phase === Phase.REFILL || bbr.phase === Phase.UP;

/** A round trip begins with what is sent next, and ends with its acknowledgment (§5.5.1). */
export function startRound(bbr: BbrState): void {
  bbr.nextRoundDeliveredBytes = bbr.deliveredBytes;
}

/** Forgets what has been learned about short-lived congestion (§5.5.10.3). */
export function resetShortTermModel(bbr: BbrState): void {
  bbr.bwShorttermBps = INFINITY;
  bbr.inflightShorttermBytes = INFINITY;
}

/** Enters a state with the gains of the table in §5.6.1. */
export function enterPhase(bbr: BbrState, phase: Phase, pacingGain: number, cwndGain: number): void {
  bbr.phase = phase;
  bbr.pacingGain = pacingGain;
  bbr.cwndGain = cwndGain;
}

/** DefaultCwndGain: the least that lets the sending rate double in each round. */
export const DEFAULT_CWND_GAIN = 2;
