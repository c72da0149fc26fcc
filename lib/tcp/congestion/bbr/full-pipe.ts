/** Has acceleration filled the pipe? A plateau of the delivery rate says so (draft-ietf-ccwg-bbr-06 §5.3.1.2). */
import type { BbrState } from './state.js';

/** Rounds that grow by less than this are counted; so many of them make a plateau. */
const GROWTH = 1.25;
const PLATEAU_ROUNDS = 3;

/** Begins to look for a plateau, above `fullBwBps` when a rate is known to begin with. */
export function resetFullBw(bbr: BbrState, fullBwBps = 0): void {
  bbr.fullBwBps = fullBwBps;
  bbr.fullBwCount = 0;
  bbr.fullBwNow = false;
}

export function checkFullBwReached(bbr: BbrState): void {
  if (bbr.fullBwNow || !bbr.roundStart || bbr.isAppLimited || bbr.sampleRateBps === 0) return;
  if (bbr.sampleRateBps >= bbr.fullBwBps * GROWTH) {
    resetFullBw(bbr, bbr.sampleRateBps);
    return;
  }
  bbr.fullBwCount++;
  bbr.fullBwNow = bbr.fullBwCount >= PLATEAU_ROUNDS;
  if (bbr.fullBwNow) bbr.fullBwReached = true;
}
