/**
 * The minimum of the round-trip time, and ProbeRTT, which drains the queue for 200 ms so that all flows of a
 * bottleneck may see it (draft-ietf-ccwg-bbr-06 §5.3.4, §5.5.7).
 */
import { restoreCwnd, saveCwnd } from './control.js';
import { PROBE_RTT_CWND_GAIN, probeRttCwndBytes } from './inflight.js';
import { startCruise, startDown } from './probe-bw.js';
import { enterStartup } from './startup.js';
import { AckPhase, type BbrState, enterPhase, Phase, resetShortTermModel, startRound } from './state.js';

/** ProbeRTTInterval, MinRTTFilterLen and ProbeRTTDuration, µs. */
const PROBE_RTT_INTERVAL_US = 5e6;
const MIN_RTT_FILTER_US = 10e6;
const PROBE_RTT_DURATION_US = 200_000;

export function updateMinRtt(bbr: BbrState): void {
  const { nowUs, rttUs } = bbr;
  bbr.probeRttExpired = nowUs > bbr.probeRttMinStampUs + PROBE_RTT_INTERVAL_US;
  if (rttUs >= 0 && (rttUs < bbr.probeRttMinDelayUs || bbr.probeRttExpired)) {
    bbr.probeRttMinDelayUs = rttUs;
    bbr.probeRttMinStampUs = nowUs;
  }
  const isExpired = nowUs > bbr.minRttStampUs + MIN_RTT_FILTER_US;
  if (bbr.probeRttMinDelayUs < bbr.minRttUs || isExpired) {
    bbr.minRttUs = bbr.probeRttMinDelayUs;
    bbr.minRttStampUs = bbr.probeRttMinStampUs;
  }
}

/** CheckProbeRTT. */
export function checkProbeRtt(bbr: BbrState): void {
  if (bbr.phase !== Phase.PROBE_RTT && bbr.probeRttExpired && !bbr.idleRestart) {
    // Saved before the state changes: after it, only a larger window than the last one saved would count.
    saveCwnd(bbr);
    enterPhase(bbr, Phase.PROBE_RTT, 1, PROBE_RTT_CWND_GAIN);
    bbr.probeRttDoneStampUs = 0;
    bbr.ackPhase = AckPhase.STOPPING;
    startRound(bbr);
  }
  if (bbr.phase === Phase.PROBE_RTT) handleProbeRtt(bbr);
  if (bbr.sampleDeliveredBytes > 0) bbr.idleRestart = false;
}

function handleProbeRtt(bbr: BbrState): void {
  // What is sent now says nothing about the bandwidth of the path.
  bbr.slowedUntilDeliveredBytes = bbr.deliveredBytes + bbr.inFlightBytes;
  if (bbr.probeRttDoneStampUs === 0) {
    if (bbr.inFlightBytes > probeRttCwndBytes(bbr)) return;
    bbr.probeRttDoneStampUs = bbr.nowUs + PROBE_RTT_DURATION_US;
    bbr.probeRttRoundDone = false;
    startRound(bbr);
    return;
  }
  if (bbr.roundStart) bbr.probeRttRoundDone = true;
  if (bbr.probeRttRoundDone) checkProbeRttDone(bbr);
}

export function checkProbeRttDone(bbr: BbrState): void {
  if (bbr.probeRttDoneStampUs === 0 || bbr.nowUs <= bbr.probeRttDoneStampUs) return;
  bbr.probeRttMinStampUs = bbr.nowUs;
  restoreCwnd(bbr);
  exitProbeRtt(bbr);
}

/** Nothing is queued now: on to CRUISE at once, with the clock of the next probe for bandwidth set anew. */
function exitProbeRtt(bbr: BbrState): void {
  resetShortTermModel(bbr);
  if (bbr.fullBwReached) {
    startDown(bbr);
    startCruise(bbr);
  } else {
    enterStartup(bbr);
  }
}
