/** What the SYNs of both sides agree on: segment size, window scale, timestamps, SACK. */
import type { Seq } from '../base/seq.js';
import type { IpFamily } from '../wire/ip-address.js';
import {
  MAX_WINDOW_SCALE,
  type SynOptions,
  type TcpOptionReader,
  TIMESTAMPS_BYTES,
} from '../wire/tcp-options.js';
import { MIN_SEND_MSS, type TcpOptions } from './options.js';

/** What of a SYN or SYN-ACK the handshake depends on: the segment itself, or what was kept of it. */
export interface SynFacts {
  readonly sequence: Seq;
  /** `TcpFlag` bits. */
  readonly flags: number;
  /** ECN field of the IP header. */
  readonly ecn: number;
  /** When it came, µs. */
  readonly nowUs: number;
  readonly options: Pick<
    TcpOptionReader,
    'mss' | 'windowScale' | 'sackPermitted' | 'hasTimestamps' | 'tsVal'
  >;
}

/** What a connection knows once both SYNs have been seen. */
export interface Negotiated {
  readonly irs: Seq;
  /** Largest text the peer takes, TCP options not yet subtracted. */
  readonly peerMssBytes: number;
  /** Shift of the windows we receive and of those we send; both 0 without scaling. */
  readonly sendWindowShift: number;
  readonly receiveWindowShift: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
  /** TS.Recent after the peer's SYN, and when it arrived, µs. */
  readonly tsRecent: number;
  readonly tsRecentAtUs: number;
}

/** RFC 9293 §3.7.1: the segment size to assume of a peer that announces none. */
export const defaultMss = (family: IpFamily): number => (family === 4 ? 536 : 1220);

/** The smallest shift with which the window field can express `bytes` (RFC 7323 §2.3). */
export function windowShiftFor(bytes: number): number {
  let shift = 0;
  for (let most = 0xffff; shift < MAX_WINDOW_SCALE && most < bytes; most *= 2) shift++;
  return shift;
}

/** The window of a SYN or SYN-ACK, bytes: no more than the buffer will hold, and unscaled (RFC 7323 §2.2). */
export function firstWindow(options: TcpOptions): number {
  const { receiveBufferBytes, receiveBufferMaxBytes, windowClampBytes } = options;
  const buffer = Math.min(receiveBufferBytes, receiveBufferMaxBytes);
  return Math.min(0xffff, windowClampBytes > 0 ? Math.min(buffer, windowClampBytes) : buffer);
}

/** Most text in one segment on a path that takes `transportBytes` bytes of TCP (RFC 9293 §3.7.1). */
export function announcedMss(transportBytes: number, options: TcpOptions): number {
  const mss = Math.min(transportBytes - 20, 0xffff);
  return options.maxSegmentBytes > 0 ? Math.min(mss, options.maxSegmentBytes) : mss;
}

/** What our SYN offers. */
export function offer(options: TcpOptions, mssBytes: number): SynOptions {
  return {
    mss: mssBytes,
    windowScale: options.windowScaling ? windowShiftFor(options.receiveBufferMaxBytes) : -1,
    sackPermitted: options.sack,
    timestamps: options.timestamps,
    tsVal: 0,
    tsEcr: 0,
    ecnFlags: 0,
    ecnCounters: false,
  };
}

/** What a SYN-ACK offers: nothing the SYN did not (RFC 7323 §2.2, §3.2, RFC 2018 §2). */
export function answer(ours: SynOptions, syn: SynFacts): SynOptions {
  const { mss, tsVal, tsEcr, ecnFlags, ecnCounters } = ours;
  return {
    mss,
    windowScale: syn.options.windowScale < 0 ? -1 : ours.windowScale,
    sackPermitted: ours.sackPermitted && syn.options.sackPermitted,
    timestamps: ours.timestamps && syn.options.hasTimestamps,
    tsVal,
    tsEcr,
    ecnFlags,
    ecnCounters,
  };
}

/** What both SYNs together agree on. `syn` is the peer's SYN or SYN-ACK. */
export function negotiate(ours: SynOptions, syn: SynFacts, family: IpFamily): Negotiated {
  const { options } = syn;
  const scaling = ours.windowScale >= 0 && options.windowScale >= 0;
  const timestamps = ours.timestamps && options.hasTimestamps;
  return {
    irs: syn.sequence,
    peerMssBytes: acceptedMss(options.mss, family),
    sendWindowShift: scaling ? Math.min(options.windowScale, MAX_WINDOW_SCALE) : 0,
    receiveWindowShift: scaling ? ours.windowScale : 0,
    sack: ours.sackPermitted && options.sackPermitted,
    timestamps,
    tsRecent: timestamps ? options.tsVal : 0,
    tsRecentAtUs: syn.nowUs,
  };
}

/** A peer's MSS option as it counts: absent is the default, and tiny ones are a floor (CVE-2019-11479). */
export const acceptedMss = (mss: number, family: IpFamily): number =>
  mss === 0 ? defaultMss(family) : Math.max(mss, MIN_SEND_MSS + TIMESTAMPS_BYTES);

/**
 * Text bytes of a full segment (RFC 9293 §3.7.1, RFC 6691): what the peer, the path and the application's
 * option (Linux `TCP_MAXSEG`) allow, less the options every segment carries.
 */
export function effectiveMss(
  peer: Pick<Negotiated, 'peerMssBytes' | 'timestamps'>,
  transportBytes: number,
  options: Pick<TcpOptions, 'maxSegmentBytes'>,
): number {
  const wanted = options.maxSegmentBytes > 0 ? options.maxSegmentBytes : peer.peerMssBytes;
  const most = Math.min(peer.peerMssBytes, transportBytes - 20, wanted);
  const limit = most - (peer.timestamps ? TIMESTAMPS_BYTES : 0);
  return Math.max(limit, MIN_SEND_MSS);
}
