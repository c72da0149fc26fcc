/** Drain: sends slowly until the queue that Startup made is gone (draft-ietf-ccwg-bbr-06 §5.3.2). */
import { inflightBytes } from './inflight.js';
import { startDown } from './probe-bw.js';
import { type BbrState, DEFAULT_CWND_GAIN, enterPhase, Phase } from './state.js';

/** DrainPacingGain: 1 / the cwnd gain of Startup drains its queue within a round. */
const DRAIN_PACING_GAIN = 0.5;
/** After so many rounds the bandwidth was overestimated, and probing finds out more than waiting. */
const MAX_ROUNDS = 3;

export function enterDrain(bbr: BbrState): void {
  enterPhase(bbr, Phase.DRAIN, DRAIN_PACING_GAIN, DEFAULT_CWND_GAIN);
  bbr.drainStartRound = bbr.roundCount;
}

export function checkDrainDone(bbr: BbrState): void {
  if (bbr.phase !== Phase.DRAIN) return;
  if (bbr.inFlightBytes <= inflightBytes(bbr, 1) || bbr.roundCount > bbr.drainStartRound + MAX_ROUNDS) {
    startDown(bbr);
  }
}
