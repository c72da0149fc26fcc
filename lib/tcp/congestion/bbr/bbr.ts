/**
 * BBR version 3, as in draft-ietf-ccwg-bbr-06: models the path by its bandwidth, its round-trip time and the
 * volume it carries without loss, and sends at the rate and with the window that the model allows. Each part
 * of the algorithm is a file of this directory; `docs/bbr.md` says what differs from the draft and from Linux.
 */
import type {
  AckSample,
  CongestionControl,
  CongestionParameters,
  CongestionSignal,
  LostData,
} from '../congestion-control.js';
import { UNKNOWN_SSTHRESH_BYTES } from '../window.js';
import { updateAckAggregation } from './aggregation.js';
import { initPacingRate, setCwnd, setPacingRate } from './control.js';
import { checkDrainDone } from './drain.js';
import { checkFullBwReached } from './full-pipe.js';
import { enterRecovery, exitRecovery, handleLostData, handleMark, undoRecovery } from './loss.js';
import { updateProbeBwCycle } from './probe-bw.js';
import { checkProbeRtt, checkProbeRttDone, updateMinRtt } from './probe-rtt.js';
import {
  advanceLatestDeliverySignals,
  boundBwForModel,
  noteTime,
  takeSample,
  updateCongestionSignals,
  updateLatestDeliverySignals,
} from './signals.js';
import { checkStartupDone, enterStartup } from './startup.js';
import { BbrState, isInProbeBw, Phase } from './state.js';

export class Bbr implements CongestionControl {
  readonly name = 'bbr';
  /** BBR answers losses by its model; it has no threshold. */
  readonly ssthreshBytes = UNKNOWN_SSTHRESH_BYTES;
  readonly usesPrr = false;
  /** What it believes of the path; to look at. */
  readonly state: BbrState;
  /** No round-trip time is known yet: the initial pacing rate is a guess. */
  #rateIsGuess: boolean;

  constructor(parameters: CongestionParameters) {
    this.state = new BbrState(parameters);
    this.#rateIsGuess = !(parameters.rttUs > 0);
    enterStartup(this.state);
    initPacingRate(this.state, parameters.rttUs);
  }

  get cwndBytes(): number {
    return this.state.cwndBytes;
  }

  get pacingRateBps(): number {
    return this.state.pacingRateBps;
  }

  /** UpdateOnACK, in the order of §5.2.3. */
  onAck(sample: AckSample): void {
    const bbr = this.state;
    takeSample(bbr, sample);
    updateLatestDeliverySignals(bbr);
    updateCongestionSignals(bbr);
    updateAckAggregation(bbr);
    checkFullBwReached(bbr);
    checkStartupDone(bbr, sample.isRecovering);
    checkDrainDone(bbr);
    updateProbeBwCycle(bbr);
    updateMinRtt(bbr);
    checkProbeRtt(bbr);
    advanceLatestDeliverySignals(bbr);
    boundBwForModel(bbr);
    if (this.#rateIsGuess && bbr.rttUs >= 0) this.#firstRtt(bbr.rttUs);
    setPacingRate(bbr, bbr.pacingGain);
    setCwnd(bbr);
  }

  #firstRtt(rttUs: number): void {
    this.#rateIsGuess = false;
    initPacingRate(this.state, rttUs);
  }

  onLost(lost: LostData): void {
    handleLostData(this.state, lost);
  }

  onCongestion(signal: CongestionSignal, inFlightBytes: number, nowUs: number): void {
    if (signal === 'ecn') handleMark(this.state, inFlightBytes, nowUs);
    else enterRecovery(this.state, signal === 'timeout', nowUs);
  }

  onRecovered(_nowUs: number): void {
    exitRecovery(this.state);
  }

  onSpurious(nowUs: number): void {
    undoRecovery(this.state, nowUs);
  }

  /** HandleRestartFromIdle (§5.4.1): paced at the bandwidth of before, the pipe is full again after a round. */
  onTransmit(inFlightBytes: number, isAppLimited: boolean, nowUs: number): void {
    if (inFlightBytes > 0 || !isAppLimited) return;
    const bbr = this.state;
    noteTime(bbr, nowUs);
    bbr.idleRestart = true;
    bbr.extraAckedStartUs = bbr.nowUs;
    if (isInProbeBw(bbr)) setPacingRate(bbr, 1);
    else if (bbr.phase === Phase.PROBE_RTT) checkProbeRttDone(bbr);
  }

  /** The window stays as it is after an idle time: pacing keeps it from leaving as one burst (§5.4.2). */
  onIdle(_nowUs: number): void {}

  setMss(mssBytes: number): void {
    this.state.mssBytes = mssBytes;
    this.state.cwndBytes = Math.max(this.state.cwndBytes, mssBytes);
  }
}
