/**
 * What each ACK says: rounds, the bandwidth maximum, and the short-term bounds that follow what a round with
 * losses still delivered (draft-ietf-ccwg-bbr-06 §5.5.1 to §5.5.6, §5.5.10.3).
 */
import type { AckSample } from '../congestion-control.js';
import { type BbrState, BETA, isProbingBw, startRound } from './state.js';

/** LossThresh: more of a round than this lost is too much. */
export const LOSS_THRESH = 0.02;
/** PacingMarginPercent: 1 % less than measured, so that queues drain rather than grow (§5.6.2). */
export const PACING_MARGIN = 0.99;
/** No path is faster, bytes per second: a sample beyond it is a mistake of the clock. */
const MAX_RATE_BPS = 1e12;

/** A number that may be used: what is NaN, negative or infinite becomes 0. */
export const usable = (value: number): number => (value > 0 && value < 9e15 ? value : 0);

/** Something happened at `nowUs`. Time never goes back, whatever is said. */
export function noteTime(bbr: BbrState, nowUs: number): void {
  bbr.nowUs = Math.max(bbr.nowUs, usable(nowUs));
}

/** Takes over what this ACK says, as far as it makes sense. */
export function takeSample(bbr: BbrState, sample: AckSample): void {
  const { rate } = sample;
  const totalBytes = Math.max(bbr.deliveredBytes, usable(sample.totalDeliveredBytes));
  if (bbr.roundBeganWithLoss) {
    // A loss is noted before the ACK that showed it is counted; the round begins after that ACK.
    if (bbr.lossRoundDeliveredBytes === bbr.deliveredBytes) bbr.lossRoundDeliveredBytes = totalBytes;
    if (bbr.nextRoundDeliveredBytes === bbr.deliveredBytes) bbr.nextRoundDeliveredBytes = totalBytes;
    bbr.roundBeganWithLoss = false;
  }
  noteTime(bbr, sample.nowUs);
  bbr.deliveredBytes = totalBytes;
  bbr.newlyDeliveredBytes = usable(sample.deliveredBytes);
  bbr.priorInFlightBytes = usable(sample.priorInFlightBytes);
  bbr.inFlightBytes = usable(sample.inFlightBytes);
  // Zero is a round trip within one tick of the clock.
  bbr.rttUs = sample.rttUs >= 0 ? Math.max(1, usable(sample.rttUs)) : -1;
  bbr.sampleRateBps =
    rate.deliveryRateBps > 0 && rate.deliveryRateBps < MAX_RATE_BPS ? rate.deliveryRateBps : 0;
  bbr.sampleDeliveredBytes = usable(rate.deliveredBytes);
  bbr.priorDeliveredBytes = rate.priorDeliveredBytes >= 0 ? usable(rate.priorDeliveredBytes) : -1;
  bbr.txInFlightBytes = usable(rate.txInFlightBytes);
  bbr.sampleLostBytes = usable(rate.lostBytes);
  bbr.isAppLimited = rate.isAppLimited || bbr.priorDeliveredBytes < bbr.slowedUntilDeliveredBytes;
  // Half a window used may be enough for growth; here only a full one counts, to within a segment.
  const isFull = bbr.priorInFlightBytes + bbr.mssBytes > bbr.cwndBytes;
  if (sample.cwndLimited && isFull) bbr.cwndLimitedInRound = true;
}

/** IsInflightTooHigh: the loss rate of the round that this ACK ends for its data. */
export const isInflightTooHigh = (bbr: BbrState): boolean =>
  bbr.sampleLostBytes > bbr.txInFlightBytes * LOSS_THRESH;

export function updateLatestDeliverySignals(bbr: BbrState): void {
  bbr.lossRoundStart = false;
  bbr.bwLatestBps = Math.max(bbr.bwLatestBps, bbr.sampleRateBps);
  bbr.inflightLatestBytes = Math.max(bbr.inflightLatestBytes, bbr.sampleDeliveredBytes);
  if (bbr.priorDeliveredBytes >= bbr.lossRoundDeliveredBytes) {
    bbr.lossRoundDeliveredBytes = bbr.deliveredBytes;
    bbr.lossRoundStart = true;
  }
}

export function advanceLatestDeliverySignals(bbr: BbrState): void {
  if (!bbr.lossRoundStart) return;
  bbr.bwLatestBps = bbr.sampleRateBps;
  bbr.inflightLatestBytes = bbr.sampleDeliveredBytes;
}

export function resetCongestionSignals(bbr: BbrState): void {
  bbr.isLossInRound = false;
  bbr.bwLatestBps = 0;
  bbr.inflightLatestBytes = 0;
}

export function updateCongestionSignals(bbr: BbrState): void {
  updateMaxBw(bbr);
  bbr.leastGain = Math.min(bbr.leastGain, bbr.pacingGain);
  if (!bbr.lossRoundStart) return;
  if (bbr.isLossInRound && !isProbingBw(bbr)) lowerBounds(bbr);
  bbr.isLossInRound = false;
  bbr.leastGainBefore = bbr.leastGain;
  bbr.leastGain = bbr.pacingGain;
}

/** Samples that the application limited are lower bounds: they count only when they raise the maximum. */
function updateMaxBw(bbr: BbrState): void {
  updateRound(bbr);
  const rate = bbr.sampleRateBps;
  if (rate > 0 && (!bbr.isAppLimited || rate >= bbr.maxBwFilter.maxBps)) bbr.maxBwFilter.add(rate);
}

function updateRound(bbr: BbrState): void {
  bbr.roundStart = bbr.priorDeliveredBytes >= bbr.nextRoundDeliveredBytes;
  if (!bbr.roundStart) return;
  startRound(bbr);
  bbr.roundCount++;
  bbr.roundsSinceProbeUp++;
  bbr.cwndLimitedInLastRound = bbr.cwndLimitedInRound;
  bbr.cwndLimitedInRound = false;
}

/** AdaptLowerBoundsFromCongestion: the first losses of a cycle make the short-term bounds, further ones lower them. */
function lowerBounds(bbr: BbrState): void {
  if (bbr.bwShorttermBps === Number.POSITIVE_INFINITY) bbr.bwShorttermBps = bbr.maxBwFilter.maxBps;
  if (bbr.inflightShorttermBytes === Number.POSITIVE_INFINITY) bbr.inflightShorttermBytes = bbr.cwndBytes;
  // What a round delivers was sent in the one before it.
  const share = Math.min(bbr.leastGainBefore, 1) * PACING_MARGIN;
  bbr.bwShorttermBps = lowered(bbr.bwShorttermBps, bbr.bwLatestBps, share);
  bbr.inflightShorttermBytes = Math.floor(
    lowered(bbr.inflightShorttermBytes, bbr.inflightLatestBytes, share),
  );
}

/**
 * A bound after a round with losses, Beta of it at least. What was paced at a share of the bound is measured
 * below it without any loss: that share is given back, or 1 % lost would cost 2 % in CRUISE and 11 % in DOWN.
 */
const lowered = (bound: number, latest: number, share: number): number =>
  Math.max(latest, Math.min(bound, latest / share), BETA * bound);

/** BoundBWForModel, and the product that follows. */
export function boundBwForModel(bbr: BbrState): void {
  bbr.bwBps = Math.min(bbr.maxBwFilter.maxBps, bbr.bwShorttermBps);
  bbr.bdpBytes = bbr.minRttUs === Number.POSITIVE_INFINITY ? 0 : (bbr.bwBps * bbr.minRttUs) / 1e6;
}
