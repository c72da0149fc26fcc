/** Startup: doubles the rate each round until the pipe is full or loses too much (draft-ietf-ccwg-bbr-06 §5.3.1). */
import { enterDrain } from './drain.js';
import { isInflightTooHigh } from './signals.js';
import { type BbrState, DEFAULT_CWND_GAIN, enterPhase, minPipeBytes, Phase } from './state.js';

/** StartupPacingGain, 4·ln 2: the least that lets the rate double in each round. */
export const STARTUP_PACING_GAIN = 2.77;
/** StartupFullLossCnt: a burst of losses is not yet a full pipe; losses in so many places of a round are. */
const FULL_LOSS_EVENTS = 6;

export function enterStartup(bbr: BbrState): void {
  enterPhase(bbr, Phase.STARTUP, STARTUP_PACING_GAIN, DEFAULT_CWND_GAIN);
}

/**
 * CheckStartupDone. Losses count when fast recovery has lasted for the whole round, though this ACK may end it.
 * Places of loss are counted as ACKs that showed losses, since the losses of one burst are seen at once.
 */
export function checkStartupDone(bbr: BbrState, isRecovering: boolean): void {
  if (bbr.lossNoted) {
    bbr.lossEventsInRound++;
    bbr.lossNoted = false;
  }
  if (bbr.lossRoundStart) {
    const isTooHigh = bbr.lossEventsInRound >= FULL_LOSS_EVENTS && isInflightTooHigh(bbr);
    if (bbr.phase === Phase.STARTUP && isTooHigh && (isRecovering || bbr.wasRecovering)) {
      bbr.undoPhase = Phase.STARTUP;
      pipeIsFull(bbr);
    }
    bbr.lossEventsInRound = 0;
  }
  bbr.wasRecovering = isRecovering;
  if (bbr.phase === Phase.STARTUP && bbr.fullBwReached) enterDrain(bbr);
}

/** Congestion says that the pipe is full; what it held in the last round was safe. */
export function pipeIsFull(bbr: BbrState): void {
  bbr.fullBwNow = true;
  bbr.fullBwReached = true;
  const safe = Math.max(bbr.bdpBytes, bbr.inflightLatestBytes, minPipeBytes(bbr));
  bbr.inflightLongtermBytes = Math.floor(safe);
}
