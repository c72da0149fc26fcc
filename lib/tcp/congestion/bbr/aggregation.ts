/**
 * ExtraAcked: how much more than expected the path acknowledges at once, as Wi-Fi, cellular links and receive
 * offload do; the window leaves room for it (draft-ietf-ccwg-bbr-06 §5.5.9).
 */
import type { BbrState } from './state.js';

/** ExtraAckedFilterLen, and its value in Startup, where only the last round resembles this one; rounds. */
const FILTER_ROUNDS = 10;
const STARTUP_FILTER_ROUNDS = 1;

export function updateAckAggregation(bbr: BbrState): void {
  let expectedBytes = (bbr.bwBps * (bbr.nowUs - bbr.extraAckedStartUs)) / 1e6;
  if (bbr.extraAckedDeliveredBytes <= expectedBytes) {
    // ACKs come no faster than expected: the burst is over.
    bbr.extraAckedDeliveredBytes = 0;
    bbr.extraAckedStartUs = bbr.nowUs;
    expectedBytes = 0;
  }
  bbr.extraAckedDeliveredBytes += bbr.newlyDeliveredBytes;
  const extraBytes = Math.min(Math.floor(bbr.extraAckedDeliveredBytes - expectedBytes), bbr.cwndBytes);
  const window = bbr.fullBwReached ? FILTER_ROUNDS : STARTUP_FILTER_ROUNDS;
  bbr.extraAckedFilter.add(extraBytes, bbr.roundCount, window);
}
