/**
 * How much may be in flight. An algorithm is told facts and answers numbers; it knows no sender.
 */

/** What one ACK said. One object, filled anew for each. */
export interface AckSample {
  readonly nowUs: number;
  /** Bytes acknowledged cumulatively by this ACK, and bytes newly delivered in any way. */
  readonly ackedBytes: number;
  readonly deliveredBytes: number;
  /** Bytes this ACK showed to be lost. */
  readonly lostBytes: number;
  /** Bytes in flight before and after this ACK. */
  readonly priorInFlightBytes: number;
  readonly inFlightBytes: number;
  /** Round-trip time measured by this ACK, µs; -1 when it measured none. */
  readonly rttUs: number;
  /** Whether the congestion window held the sender back since the last ACK; growth asks for it (RFC 7661). */
  readonly cwndLimited: boolean;
}

export type CongestionSignal = 'loss' | 'ecn' | 'timeout';

export interface CongestionControl {
  readonly name: string;
  /** The congestion window and the slow-start threshold, bytes. */
  readonly cwndBytes: number;
  readonly ssthreshBytes: number;
  /** Bytes per second; Infinity when this algorithm does not pace. */
  readonly pacingRateBps: number;
  /** Whether recovery paces the reduction (RFC 9937). */
  readonly usesPrr: boolean;
  /** Data was acknowledged outside of recovery. */
  onAck(sample: AckSample): void;
  onCongestion(signal: CongestionSignal, inFlightBytes: number, nowUs: number): void;
  /** Recovery from the last signal is over. */
  onRecovered(nowUs: number): void;
  /** The last signal was false: undo it. */
  onSpurious(): void;
  /** Sending resumes after an idle time longer than the RTO (RFC 5681 §4.1). */
  onIdle(nowUs: number): void;
  /** The segment size changed. */
  setMss(mssBytes: number): void;
}

/** What an algorithm is made from. */
export interface CongestionParameters {
  readonly mssBytes: number;
  /** Initial window, bytes (RFC 6928 §2). */
  readonly initialWindowBytes: number;
}

export type CongestionFactory = (parameters: CongestionParameters) => CongestionControl;

/** IW of RFC 6928 §2 for `segments` = 10, and what 10 stands for when the option asks for another. */
export function initialWindowBytes(mssBytes: number, segments: number): number {
  return Math.min(segments * mssBytes, Math.max(2 * mssBytes, segments * 1460));
}
