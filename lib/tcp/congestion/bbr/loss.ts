/**
 * Losses and marks: what a probe for bandwidth learns from them, how recovery modulates the window, and how a
 * false alarm is undone (draft-ietf-ccwg-bbr-06 §5.5.10, §5.5.11, §5.6.4.4; marks §3.7).
 */
import type { LostData } from '../congestion-control.js';
import { boundCwnd, restoreCwnd, saveCwnd } from './control.js';
import { resetFullBw } from './full-pipe.js';
import { targetInflightBytes } from './inflight.js';
import { startDown, startRefill } from './probe-bw.js';
import { isInflightTooHigh, LOSS_THRESH, noteTime, usable } from './signals.js';
import { enterStartup, pipeIsFull } from './startup.js';
import { type BbrState, BETA, Episode, isProbingBw, minPipeBytes, NO_PHASE, Phase } from './state.js';

/** HandleLostPacket. */
export function handleLostData(bbr: BbrState, lost: LostData): void {
  noteTime(bbr, lost.nowUs);
  noteLoss(bbr);
  if (!bbr.isBwProbeSample) return;
  const sizeBytes = usable(lost.bytes);
  bbr.txInFlightBytes = usable(lost.txInFlightBytes);
  bbr.sampleLostBytes = usable(lost.lostSinceSentBytes);
  bbr.isAppLimited = lost.isAppLimited;
  if (!isInflightTooHigh(bbr)) return;
  bbr.txInFlightBytes = inflightAtLoss(bbr, sizeBytes);
  handleInflightTooHigh(bbr);
}

function noteLoss(bbr: BbrState): void {
  bbr.lossNoted = true;
  if (!bbr.isUndoSaved) saveStateUponLoss(bbr);
  if (bbr.isLossInRound) return;
  bbr.isLossInRound = true;
  bbr.lossRoundDeliveredBytes = bbr.deliveredBytes;
  bbr.roundBeganWithLoss = true;
}

/** InflightAtLoss: at which volume within the lost data the loss rate crossed the threshold. */
function inflightAtLoss(bbr: BbrState, sizeBytes: number): number {
  const inflightBefore = bbr.txInFlightBytes - sizeBytes;
  const lostBefore = bbr.sampleLostBytes - sizeBytes;
  const lostPrefix = (LOSS_THRESH * inflightBefore - lostBefore) / (1 - LOSS_THRESH);
  return inflightBefore + Math.max(0, lostPrefix);
}

/** A probe went too far: that much in flight, and by Beta at most, is the bound until a probe proves more. */
function handleInflightTooHigh(bbr: BbrState): void {
  bbr.prevProbeTooHigh = true;
  bbr.isBwProbeSample = false;
  if (!bbr.isAppLimited) {
    const bound = Math.max(bbr.txInFlightBytes, targetInflightBytes(bbr) * BETA);
    bbr.inflightLongtermBytes = Math.floor(bound);
  }
  if (bbr.phase !== Phase.UP) return;
  bbr.undoPhase = Phase.UP;
  startDown(bbr);
  bbr.roundBeganWithLoss = true;
}

/** What a false alarm would have to give back, saved once for each recovery. */
function saveStateUponLoss(bbr: BbrState): void {
  saveCwnd(bbr);
  bbr.isUndoSaved = true;
  bbr.undoSavedAtUs = bbr.nowUs;
  bbr.undoPhase = NO_PHASE;
  bbr.undoBwShorttermBps = bbr.bwShorttermBps;
  bbr.undoInflightShorttermBytes = bbr.inflightShorttermBytes;
  bbr.undoInflightLongtermBytes = bbr.inflightLongtermBytes;
}

/** Undoing again gives nothing more. */
function forgetUndo(bbr: BbrState): void {
  bbr.undoPhase = NO_PHASE;
  bbr.undoBwShorttermBps = 0;
  bbr.undoInflightShorttermBytes = 0;
  bbr.undoInflightLongtermBytes = 0;
}

/** OnEnterFastRecovery, OnEnterRTO. Losses may have been told just before, or will be. */
export function enterRecovery(bbr: BbrState, isTimeout: boolean, nowUs: number): void {
  noteTime(bbr, nowUs);
  const isNew = bbr.episode !== Episode.LOSS || isTimeout;
  const isSaved = bbr.isUndoSaved && bbr.undoSavedAtUs === bbr.nowUs;
  if (isNew && !isSaved) saveStateUponLoss(bbr);
  bbr.episode = Episode.LOSS;
  if (!isTimeout) return;
  if (!isProbingBw(bbr) && bbr.inflightShorttermBytes === Number.POSITIVE_INFINITY) {
    // As Linux does: the bound begins at what cwnd was before the time-out, not at the segment it becomes.
    bbr.inflightShorttermBytes = Math.max(bbr.cwndBytes, bbr.priorCwndBytes);
  }
  // Everything in flight is taken for lost; one segment finds out.
  bbr.cwndBytes = bbr.mssBytes;
}

/** The window of before comes back, within what the model now allows. */
export function exitRecovery(bbr: BbrState): void {
  const wasLoss = bbr.episode === Episode.LOSS;
  bbr.episode = Episode.NONE;
  bbr.isUndoSaved = false;
  if (!wasLoss) return;
  restoreCwnd(bbr);
  boundCwnd(bbr);
}

/** HandleSpuriousLossDetection. */
export function undoRecovery(bbr: BbrState, nowUs: number): void {
  noteTime(bbr, nowUs);
  bbr.episode = Episode.NONE;
  bbr.isUndoSaved = false;
  restoreCwnd(bbr);
  bbr.isLossInRound = false;
  resetFullBw(bbr);
  bbr.bwShorttermBps = Math.max(bbr.bwShorttermBps, bbr.undoBwShorttermBps);
  bbr.inflightShorttermBytes = Math.max(bbr.inflightShorttermBytes, bbr.undoInflightShorttermBytes);
  bbr.inflightLongtermBytes = Math.max(bbr.inflightLongtermBytes, bbr.undoInflightLongtermBytes);
  const { undoPhase } = bbr;
  forgetUndo(bbr);
  if (undoPhase === Phase.STARTUP && bbr.phase !== Phase.STARTUP) {
    bbr.fullBwReached = false;
    if (bbr.phase !== Phase.PROBE_RTT) enterStartup(bbr);
  } else if (undoPhase === Phase.UP && bbr.phase !== Phase.UP && bbr.phase !== Phase.PROBE_RTT) {
    startRefill(bbr);
  }
  boundCwnd(bbr);
}

/**
 * A congestion mark, once for each window. The draft asks that it be treated as congestion and leaves open how
 * (§3.7). Unlike a loss it is never noise, so one ends Startup, and one says that a probe went too far. In
 * every other state it takes a part of what was in flight, until the next probe.
 */
export function handleMark(bbr: BbrState, inFlightBytes: number, nowUs: number): void {
  noteTime(bbr, nowUs);
  if (bbr.episode === Episode.NONE) bbr.episode = Episode.MARK;
  const seenBytes = usable(inFlightBytes);
  if (bbr.phase === Phase.STARTUP) {
    pipeIsFull(bbr);
  } else if (bbr.isBwProbeSample || isProbingBw(bbr)) {
    bbr.txInFlightBytes = seenBytes;
    handleInflightTooHigh(bbr);
  } else {
    const boundBytes = Math.min(bbr.inflightShorttermBytes, bbr.cwndBytes, seenBytes);
    bbr.inflightShorttermBytes = Math.max(Math.floor(boundBytes * bbr.markBeta), minPipeBytes(bbr));
  }
  boundCwnd(bbr);
}
