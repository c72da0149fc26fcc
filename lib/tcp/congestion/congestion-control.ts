/**
 * How much may be in flight, and how fast it may leave. An algorithm is told facts and answers numbers; it
 * knows no sender.
 */
import type { Random } from '../../base/random.js';
import type { Seq } from '../../base/seq.js';
import type { Tape } from '../../base/tape.js';

/** What one ACK said. One object, filled anew for each. */
export interface AckSample {
  /** When it came, µs. */
  readonly nowUs: number;
  /** Bytes acknowledged cumulatively by this ACK. */
  readonly ackedBytes: number;
  /** Bytes newly delivered, by its number or its SACK blocks. */
  readonly deliveredBytes: number;
  /** Bytes this ACK showed to be lost. */
  readonly lostBytes: number;
  /** Bytes of those delivered that carried a congestion mark, as far as the peer tells (RFC 9768); else 0. */
  readonly markedBytes: number;
  /** Bytes in flight before this ACK. */
  readonly priorInFlightBytes: number;
  /** Bytes in flight after it. */
  readonly inFlightBytes: number;
  /** Round-trip time measured by this ACK, µs; -1 when it measured none. */
  readonly rttUs: number;
  /** Smoothed round-trip time, µs; 0 before the first sample. */
  readonly srttUs: number;
  /** Smallest round-trip time of the last minutes, µs; Infinity before the first sample. */
  readonly minRttUs: number;
  /** Whether the congestion window held the sender back since the last ACK; growth asks for it (RFC 7661). */
  readonly cwndLimited: boolean;
  /** Whether a loss or a mark is being recovered from: between `onCongestion` and `onRecovered`. */
  readonly isRecovering: boolean;
  /** SND.UNA after this ACK. */
  readonly sndUna: Seq;
  /** SND.NXT: a round ends when SND.UNA passes what this was at its start. */
  readonly sndNxt: Seq;
  /** Bytes delivered in the life of the connection, this ACK included. */
  readonly totalDeliveredBytes: number;
  /** Bytes marked lost in the life of the connection, this ACK included. */
  readonly totalLostBytes: number;
  /** How fast the path delivered, and over which time (draft-ietf-ccwg-bbr, "Delivery Rate Samples"). */
  readonly rate: RateSample;
}

/** A delivery-rate sample, of the most recently sent data that an ACK newly delivered. */
export interface RateSample {
  /** Bytes per second; 0 where the ACK gave no sample. */
  readonly deliveryRateBps: number;
  /** Bytes delivered over the interval; 0 without a sample. */
  readonly deliveredBytes: number;
  /** The interval, µs; -1 without a sample. */
  readonly intervalUs: number;
  /** `totalDeliveredBytes` when that data was sent: tells rounds. -1 without newly delivered data. */
  readonly priorDeliveredBytes: number;
  /** Bytes in flight just after it was sent. */
  readonly txInFlightBytes: number;
  /** Bytes marked lost between then and now. */
  readonly lostBytes: number;
  /** Whether the application, not the network, limited the sender when it was sent. */
  readonly isAppLimited: boolean;
}

/** What was sent and is now believed lost. One object, filled anew for each. */
export interface LostData {
  /** When it was found lost, µs. */
  readonly nowUs: number;
  /** How much it is. */
  readonly bytes: number;
  /** Bytes in flight just after it was sent. */
  readonly txInFlightBytes: number;
  /** Bytes marked lost since then, itself included. */
  readonly lostSinceSentBytes: number;
  /** Whether the application, not the network, limited the sender when it was sent. */
  readonly isAppLimited: boolean;
}

/** What tells of congestion: a loss, a mark (RFC 3168), or an expired retransmission timer. */
export type CongestionSignal = 'loss' | 'ecn' | 'timeout';

/**
 * An algorithm that decides how much may be in flight, of one connection. It is told facts and asked for
 * numbers, before each segment.
 */
export interface CongestionControl {
  /** By which the option `congestionControl` asks for it. */
  readonly name: string;
  /** The congestion window, bytes. */
  readonly cwndBytes: number;
  /** The slow-start threshold, bytes; 2^30 before the first reduction. */
  readonly ssthreshBytes: number;
  /** Bytes per second; Infinity when this algorithm does not pace. */
  readonly pacingRateBps: number;
  /** Whether recovery paces the reduction (RFC 9937). `onAck` then hears nothing between signal and `onRecovered`. */
  readonly usesPrr: boolean;
  /** An ACK came; every one where `usesPrr` is false, else those outside of a reduction. */
  onAck(sample: AckSample): void;
  /** A congestion signal, once for each window of data. `inFlightBytes` is what was outstanding before it. */
  onCongestion(signal: CongestionSignal, inFlightBytes: number, nowUs: number): void;
  /** Recovery from the last signal is over. */
  onRecovered(nowUs: number): void;
  /** The last signal was false: undo it. */
  onSpurious(nowUs: number): void;
  /** Sending resumes after an idle time longer than the RTO (RFC 5681 §4.1). */
  onIdle(nowUs: number): void;
  /** The segment size changed. */
  setMss(mssBytes: number): void;
  /** Something was marked lost; asked for only where given. */
  onLost?(lost: LostData): void;
  /** Data is about to leave, with `inFlightBytes` before it; asked for only where given. */
  onTransmit?(inFlightBytes: number, isAppLimited: boolean, nowUs: number): void;
  /**
   * Passes all it remembers to a tape, while its connection rests; without this it is kept as it is.
   * @param mssBytes text of a full segment, which is known elsewhere
   * @hidden
   */
  fold?(tape: Tape, mssBytes: number): void;
}

/** Window and threshold of an algorithm that gives way to another, bytes. */
export interface InheritedWindow {
  /** The window it had. */
  readonly cwndBytes: number;
  /** The threshold it had. */
  readonly ssthreshBytes: number;
}

/** What an algorithm is made from. */
export interface CongestionParameters {
  /** Text of a full segment, bytes. */
  readonly mssBytes: number;
  /** Initial window, bytes (RFC 6928 §2). */
  readonly initialWindowBytes: number;
  /** Largest window ever, bytes. */
  readonly maxWindowBytes: number;
  /** Round-trip time of the handshake, µs; 0 when it measured none. */
  readonly rttUs: number;
  /** When the connection was established, µs; or when this algorithm takes over from another. */
  readonly nowUs: number;
  /** What another algorithm has left, which this one takes over from in mid-connection. */
  readonly inherited?: InheritedWindow | undefined;
  /** Whether a congestion mark takes less from the window than a loss (ABE, RFC 8511); false by default. */
  readonly abe?: boolean | undefined;
  /**
   * Whether something else than slow start keeps bursts short: pacing, or a limit on them. Otherwise one ACK adds
   * at most 8 segments to the window (RFC 9406 §4.3). True by default: like Linux we count all that an ACK covers,
   * or slow start would take a hundred round trips where one ACK answers a whole batch.
   */
  readonly paced?: boolean | undefined;
  /** Randomness of the stack. */
  readonly random: Random;
}

/** Makes a congestion control for a connection. */
export type CongestionFactory = (parameters: CongestionParameters) => CongestionControl;

/** A factory that has its randomness already. */
export type CongestionMaker = (parameters: Omit<CongestionParameters, 'random'>) => CongestionControl;

/** IW of RFC 6928 §2 for `segments` = 10, and what 10 stands for when the option asks for another. */
export function initialWindowBytes(mssBytes: number, segments: number): number {
  return Math.min(segments * mssBytes, Math.max(2 * mssBytes, segments * 1460));
}

/** Bytes the send buffer may hold whatever the window. */
export const FIRST_BUFFER_BYTES = 65_536;

/** Round trips shorter than this are those between programs of one machine, or of its neighbours. */
const NEAR_RTT_US = 1000;
/** What the buffer of so short a path may hold: so many bytes, or so many times what the path holds without a queue. */
const NEAR_BUFFER_BYTES = 512 << 10;
const NEAR_BUFFER_PATHS = 4;

/**
 * Bytes the send buffer should hold: twice the window, and thrice where it may grow in recovery
 * (Linux `tcp_sndbuf_expand`, `bbr_sndbuf_expand`). On near paths nothing is lost and the window grows without end:
 * beyond a few times what was delivered in the shortest round trip, all it adds is a queue that no cache holds.
 * @param sample what the last ACK said
 */
export function bufferBytesFor({ usesPrr, cwndBytes }: CongestionControl, sample?: AckSample): number {
  const bytes = (usesPrr ? 2 : 3) * cwndBytes;
  if (bytes <= NEAR_BUFFER_BYTES || sample === undefined || sample.minRttUs >= NEAR_RTT_US) return bytes;
  const pathBytes = (sample.rate.deliveryRateBps * sample.minRttUs) / 1e6;
  return Math.min(bytes, Math.max(NEAR_BUFFER_BYTES, Math.round(NEAR_BUFFER_PATHS * pathBytes)));
}
