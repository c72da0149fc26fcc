/** What the model comes to: the pacing rate and the congestion window (draft-ietf-ccwg-bbr-06 §5.6). */
import { inflightWithHeadroomBytes, maxInflightBytes, probeRttCwndBytes } from './inflight.js';
import { PACING_MARGIN } from './signals.js';
import { STARTUP_PACING_GAIN } from './startup.js';
import { type BbrState, Episode, isInProbeBw, minPipeBytes, Phase } from './state.js';

/** Round-trip time to begin with where the handshake measured none, µs. */
const NOMINAL_RTT_US = 1000;

/** InitPacingRate: at construction, and again with the first round-trip time if there was none. */
export function initPacingRate(bbr: BbrState, rttUs: number): void {
  const nominal = (bbr.cwndBytes / (rttUs > 0 ? rttUs : NOMINAL_RTT_US)) * 1e6;
  bbr.pacingRateBps = STARTUP_PACING_GAIN * nominal;
}

/** SetPacingRateWithGain: until the pipe has been full, the rate only rises. */
export function setPacingRate(bbr: BbrState, gain: number): void {
  const rate = gain * bbr.bwBps * PACING_MARGIN;
  if (rate > 0 && (bbr.fullBwReached || rate > bbr.pacingRateBps)) {
    // Slower than a segment a second is no path but a pause; it must not outlive itself.
    bbr.pacingRateBps = Math.max(rate, bbr.mssBytes);
  }
}

/** SetCwnd. */
export function setCwnd(bbr: BbrState): void {
  const maxInflight = maxInflightBytes(bbr);
  const grown = bbr.cwndBytes + bbr.newlyDeliveredBytes;
  if (bbr.fullBwReached) bbr.cwndBytes = Math.min(grown, maxInflight);
  else if (bbr.cwndBytes < maxInflight || bbr.deliveredBytes < bbr.initialWindowBytes) bbr.cwndBytes = grown;
  boundCwnd(bbr);
}

/** The floor, and then the caps of ProbeRTT, of the model and of the connection. */
export function boundCwnd(bbr: BbrState): void {
  const floor = minPipeBytes(bbr);
  let cap = bbr.inflightShorttermBytes;
  if (bbr.phase === Phase.PROBE_RTT || bbr.phase === Phase.CRUISE) {
    cap = Math.min(cap, inflightWithHeadroomBytes(bbr));
  } else if (isInProbeBw(bbr)) {
    cap = Math.min(cap, bbr.inflightLongtermBytes);
  }
  if (bbr.phase === Phase.PROBE_RTT) cap = Math.min(cap, probeRttCwndBytes(bbr));
  cap = Math.min(Math.max(cap, floor), Math.max(bbr.maxWindowBytes, bbr.mssBytes));
  bbr.cwndBytes = Math.floor(Math.min(Math.max(bbr.cwndBytes, floor), cap));
}

/** SaveCwnd: remembers the last window that neither recovery nor ProbeRTT had lowered (§5.6.4.4). */
export function saveCwnd(bbr: BbrState): void {
  const isModulated = bbr.episode === Episode.LOSS || bbr.phase === Phase.PROBE_RTT;
  bbr.priorCwndBytes = isModulated ? Math.max(bbr.priorCwndBytes, bbr.cwndBytes) : bbr.cwndBytes;
}

export function restoreCwnd(bbr: BbrState): void {
  bbr.cwndBytes = Math.max(bbr.cwndBytes, bbr.priorCwndBytes);
}
