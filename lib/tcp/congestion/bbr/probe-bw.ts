/**
 * ProbeBW, where a flow lives: DOWN leaves room to others, CRUISE matches the path, REFILL fills the pipe
 * again, UP looks for more (draft-ietf-ccwg-bbr-06 §5.3.3).
 */
import { randomBelow, randomFraction } from '../../../base/random.js';
import { resetFullBw } from './full-pipe.js';
import { inflightBytes, inflightWithHeadroomBytes, targetInflightBytes } from './inflight.js';
import { isInflightTooHigh, resetCongestionSignals } from './signals.js';
import {
  AckPhase,
  type BbrState,
  DEFAULT_CWND_GAIN,
  Episode,
  enterPhase,
  isInProbeBw,
  Phase,
  resetShortTermModel,
  startRound,
} from './state.js';

const DOWN_PACING_GAIN = 0.9;
const UP_PACING_GAIN = 1.25;
const UP_CWND_GAIN = 2.25;
/** T_bbr: a probe follows the last one after this and up to a second more, µs (§5.3.3.8). */
const MIN_WAIT_US = 2e6;
const WAIT_SPREAD_US = 1e6;
/** T_reno: or after as many rounds as Reno would need to grow by the same, at most these. */
const MAX_RENO_ROUNDS = 63;
/** The increments of the long-term bound stop doubling here; 2^30 segments are beyond every path. */
const MAX_UP_ROUNDS = 30;

export function startDown(bbr: BbrState): void {
  resetCongestionSignals(bbr);
  bbr.probeUpAckedPerIncBytes = Number.POSITIVE_INFINITY;
  // PickProbeWait: at random, so that flows do not probe together.
  bbr.roundsSinceProbeUp = randomBelow(bbr.random, 2);
  bbr.bwProbeWaitUs = MIN_WAIT_US + randomFraction(bbr.random) * WAIT_SPREAD_US;
  bbr.cycleStampUs = bbr.nowUs;
  bbr.ackPhase = AckPhase.STOPPING;
  startRound(bbr);
  enterPhase(bbr, Phase.DOWN, DOWN_PACING_GAIN, DEFAULT_CWND_GAIN);
}

export function startCruise(bbr: BbrState): void {
  enterPhase(bbr, Phase.CRUISE, 1, DEFAULT_CWND_GAIN);
}

export function startRefill(bbr: BbrState): void {
  resetShortTermModel(bbr);
  bbr.bwProbeUpRounds = 0;
  bbr.bwProbeUpAckedBytes = 0;
  bbr.prevProbePrecautionary = false;
  bbr.ackPhase = AckPhase.REFILLING;
  startRound(bbr);
  enterPhase(bbr, Phase.REFILL, 1, DEFAULT_CWND_GAIN);
}

function startUp(bbr: BbrState): void {
  bbr.ackPhase = AckPhase.STARTING;
  startRound(bbr);
  resetFullBw(bbr, bbr.sampleRateBps);
  enterPhase(bbr, Phase.UP, UP_PACING_GAIN, UP_CWND_GAIN);
  raiseLongtermSlope(bbr);
}

/** UpdateProbeBWCyclePhase. */
export function updateProbeBwCycle(bbr: BbrState): void {
  if (!bbr.fullBwReached) return;
  if (adaptLongTermModel(bbr)) return;
  switch (bbr.phase) {
    case Phase.DOWN:
      if (isTimeToProbe(bbr)) startRefill(bbr);
      else if (isTimeToCruise(bbr)) startCruise(bbr);
      break;
    case Phase.CRUISE:
      if (isTimeToProbe(bbr)) startRefill(bbr);
      break;
    case Phase.REFILL:
      if (!bbr.roundStart) break;
      bbr.isBwProbeSample = true;
      startUp(bbr);
      break;
    case Phase.UP:
      if (!isTimeToGoDown(bbr)) break;
      bbr.prevProbeTooHigh = false;
      startDown(bbr);
      break;
    default:
  }
}

/** Follows the feedback of a probe, and raises the long-term bound that it proves safe. True when it moved on. */
function adaptLongTermModel(bbr: BbrState): boolean {
  if (bbr.ackPhase === AckPhase.STARTING && bbr.roundStart) bbr.ackPhase = AckPhase.FEEDBACK;
  if (bbr.ackPhase === AckPhase.STOPPING && bbr.roundStart && endFeedback(bbr)) return true;
  // A window that carried a mark proves nothing safe.
  if (isInflightTooHigh(bbr) || bbr.episode === Episode.MARK) return false;
  if (bbr.inflightLongtermBytes === Number.POSITIVE_INFINITY) return false;
  if (bbr.txInFlightBytes > bbr.inflightLongtermBytes) bbr.inflightLongtermBytes = bbr.txInFlightBytes;
  if (bbr.phase === Phase.UP) probeLongtermUpward(bbr);
  return false;
}

/** The last ACKs of a probe are in. A cautious one that did no harm is followed at once by a real one. */
function endFeedback(bbr: BbrState): boolean {
  bbr.isBwProbeSample = false;
  bbr.ackPhase = AckPhase.INIT;
  if (!isInProbeBw(bbr)) return false;
  if (!bbr.isAppLimited) bbr.maxBwFilter.advance();
  if (!bbr.prevProbePrecautionary || bbr.prevProbeTooHigh) return false;
  startRefill(bbr);
  return true;
}

function isTimeToProbe(bbr: BbrState): boolean {
  if (bbr.nowUs > bbr.cycleStampUs + bbr.bwProbeWaitUs) return true;
  const renoRounds = targetInflightBytes(bbr) / bbr.mssBytes;
  return bbr.roundsSinceProbeUp >= Math.min(renoRounds, MAX_RENO_ROUNDS);
}

const isTimeToCruise = (bbr: BbrState): boolean =>
  bbr.inFlightBytes <= inflightWithHeadroomBytes(bbr) && bbr.inFlightBytes <= inflightBytes(bbr, 1);

function isTimeToGoDown(bbr: BbrState): boolean {
  const bound = bbr.inflightLongtermBytes;
  // The ACK has just made room, and segments are whole: the bound is reached when one more had not fitted.
  if (bbr.prevProbeTooHigh && bbr.priorInFlightBytes + bbr.mssBytes > bound) {
    bbr.prevProbePrecautionary = true;
    return true;
  }
  if (isHeldByLongterm(bbr)) resetFullBw(bbr, bbr.sampleRateBps);
  else if (bbr.fullBwNow) return true;
  return false;
}

/** The long-term bound, not the path, limits what is in flight. */
const isHeldByLongterm = (bbr: BbrState): boolean =>
  (bbr.cwndLimitedInRound || bbr.cwndLimitedInLastRound) && bbr.cwndBytes >= bbr.inflightLongtermBytes;

/** The bound grows by 1, 2, 4, ... segments in each round that fills it, spread over the round. */
function raiseLongtermSlope(bbr: BbrState): void {
  const growthThisRound = 2 ** bbr.bwProbeUpRounds;
  bbr.bwProbeUpRounds = Math.min(bbr.bwProbeUpRounds + 1, MAX_UP_ROUNDS);
  bbr.probeUpAckedPerIncBytes = Math.max(bbr.cwndBytes / growthThisRound, bbr.mssBytes);
}

function probeLongtermUpward(bbr: BbrState): void {
  if (!isHeldByLongterm(bbr)) return;
  bbr.bwProbeUpAckedBytes += bbr.newlyDeliveredBytes;
  if (bbr.bwProbeUpAckedBytes >= bbr.probeUpAckedPerIncBytes) {
    const increments = Math.floor(bbr.bwProbeUpAckedBytes / bbr.probeUpAckedPerIncBytes);
    bbr.bwProbeUpAckedBytes -= increments * bbr.probeUpAckedPerIncBytes;
    bbr.inflightLongtermBytes += increments * bbr.mssBytes;
  }
  if (bbr.roundStart) raiseLongtermSlope(bbr);
}
