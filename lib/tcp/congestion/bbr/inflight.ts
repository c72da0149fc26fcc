/**
 * How much in flight the model asks for and allows (draft-ietf-ccwg-bbr-06 §5.5.8, §5.6.3, §5.6.4). All are whole
 * bytes, which V8 passes from function to function without allocating.
 */
import { type BbrState, minPipeBytes, Phase } from './state.js';

/** A quantum is what the pacing rate sends in this time, within two segments and the most below, µs and bytes. */
const QUANTUM_US = 1000;
const MAX_QUANTUM_BYTES = 65_536;
/** One quantum each in the sender's queue, being cut up, and being put together by the receiver (§5.5.8.1). */
const OFFLOAD_QUANTA = 3;
/** ProbeRTTCwndGain. */
export const PROBE_RTT_CWND_GAIN = 0.5;
/** Headroom: this part of the long-term bound is left to others. */
const HEADROOM = 0.15;

/** BDPMultiple: before any round-trip time is known, the initial window. */
const bdpMultiple = (bbr: BbrState, gain: number): number =>
  bbr.minRttUs === Number.POSITIVE_INFINITY ? bbr.initialWindowBytes : Math.floor(gain * bbr.bdpBytes);

/** QuantizationBudget: at least what whole bursts and delayed ACKs need to keep the pipe full. */
function quantized(bbr: BbrState, bytes: number): number {
  const sentBytes = Math.floor((bbr.pacingRateBps * QUANTUM_US) / 1e6);
  const quantum = Math.max(Math.min(sentBytes, MAX_QUANTUM_BYTES), 2 * bbr.mssBytes);
  const budget = Math.max(bytes, OFFLOAD_QUANTA * quantum, minPipeBytes(bbr));
  return bbr.phase === Phase.UP ? budget + 2 * bbr.mssBytes : budget;
}

/** Inflight(gain): what is in flight when the pipe is full `gain` times. */
export function inflightBytes(bbr: BbrState, gain: number): number {
  return quantized(bbr, bdpMultiple(bbr, gain));
}

/** MaxInflight: what full use of the path needs, aggregation of ACKs included. */
export function maxInflightBytes(bbr: BbrState): number {
  return quantized(bbr, bdpMultiple(bbr, bbr.cwndGain) + bbr.extraAckedFilter.max);
}

/** TargetInflight: the bandwidth-delay product, unless congestion has cut cwnd below it. */
export const targetInflightBytes = (bbr: BbrState): number => Math.min(bdpMultiple(bbr, 1), bbr.cwndBytes);

/** ProbeRTTCwnd. */
export const probeRttCwndBytes = (bbr: BbrState): number =>
  Math.max(bdpMultiple(bbr, PROBE_RTT_CWND_GAIN), minPipeBytes(bbr));

/** InflightWithHeadroom: the long-term bound less what is left to others; Infinity without a bound. */
export function inflightWithHeadroomBytes(bbr: BbrState): number {
  const bound = bbr.inflightLongtermBytes;
  if (bound === Number.POSITIVE_INFINITY) return bound;
  return Math.max(bound - Math.max(bbr.mssBytes, Math.ceil(HEADROOM * bound)), minPipeBytes(bbr));
}
