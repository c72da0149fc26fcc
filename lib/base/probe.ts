/**
 * A look inside connections as they run: states, windows, round-trip times, losses. Give a `Probe` to a stack
 * (`new Stack({ probe })`) or to one endpoint (`setProbe`).
 *
 * A connection that nobody observes pays one comparison with `undefined` where something could be told. An
 * observed one has one more object, made once; telling allocates nothing, and its getters look things up when
 * they are asked. Calls come from inside the protocol, while segments are being processed: a probe must not
 * throw, and must not call the stack or its endpoints. What it does takes the time of packets.
 */

/** A connection as a probe sees it: always the same object for the same connection, showing how things are now. */
export interface ProbedConnection {
  /** Unique in its stack, from 1 on in the order in which connections were made. */
  readonly id: number;
  /** Address of this side, as text. */
  readonly localAddress: string;
  /** Port of this side. */
  readonly localPort: number;
  /** Address of the peer, as text. */
  readonly remoteAddress: string;
  /** Port of the peer. */
  readonly remotePort: number;
  /** The time of the stack's clock, µs. */
  readonly nowUs: number;
  /** As RFC 9293 writes it: `SYN-SENT`, `ESTABLISHED` … */
  readonly state: string;
  /** What the sender does about losses: `open`, `cwr`, `recovery` or `loss`. */
  readonly phase: string;
  /** Name of the congestion control. */
  readonly congestionControl: string;
  /** Congestion window, bytes. */
  readonly cwndBytes: number;
  /** Slow-start threshold, bytes; 2^30 before the first reduction. */
  readonly ssthreshBytes: number;
  /** Bytes per second at which segments are spread; Infinity where they are not. */
  readonly pacingRateBps: number;
  /** Round-trip time that the last ACK measured, µs; -1 when it measured none. */
  readonly rttUs: number;
  /** Smoothed round-trip time (RFC 6298 §2), µs; 0 before the first sample. */
  readonly srttUs: number;
  /** Smallest round-trip time of the last minutes, µs; 0 before the first sample. */
  readonly minRttUs: number;
  /** Retransmission time-out now, doublings included, µs. */
  readonly rtoUs: number;
  /** Bytes believed to be in the network. */
  readonly inFlightBytes: number;
  /** Bytes sent and not acknowledged. */
  readonly unackedBytes: number;
  /** Bytes written and not sent. */
  readonly unsentBytes: number;
  /** First byte not acknowledged, counted from 1 as in traces; modulo 2^32. */
  readonly sndUna: number;
  /** First byte not sent, counted as `sndUna`. */
  readonly sndNxt: number;
  /** Window of the peer, bytes. */
  readonly sendWindowBytes: number;
  /** Window offered to the peer, bytes. */
  readonly receiveWindowBytes: number;
  /** Bytes received in order, in the life of the connection. */
  readonly receivedBytes: number;
  /** Bytes acknowledged, cumulatively or selectively, in the life of the connection. */
  readonly deliveredBytes: number;
  /** Bytes sent again, in the life of the connection. */
  readonly retransmittedBytes: number;
}

/** Why something was sent again. */
export type RetransmissionReason =
  /** It was found lost by what was acknowledged. */
  | 'recovery'
  /** The retransmission timer expired. */
  | 'time-out'
  /** To learn whether the last of a flight were lost (RFC 8985 §7). */
  | 'tail-loss-probe'
  /** It was too large for the path. */
  | 'size';

/** Hears of connections; only the methods that are there are called. */
export interface Probe {
  /** It moved from one state to another, named as RFC 9293 writes them. */
  onState?(connection: ProbedConnection, from: string, to: string): void;
  /** An ACK that could say something about what was sent was processed, and the windows follow from it. */
  onAck?(connection: ProbedConnection): void;
  /** So many bytes in flight are now believed lost. */
  onLost?(connection: ProbedConnection, bytes: number): void;
  /** Text that was never sent before left; `start` as `sndUna` counts. */
  onSent?(connection: ProbedConnection, start: number, bytes: number): void;
  /** Text left again. */
  onRetransmitted?(
    connection: ProbedConnection,
    start: number,
    bytes: number,
    reason: RetransmissionReason,
  ): void;
  /** The retransmission timer expired. */
  onTimeout?(connection: ProbedConnection): void;
  /** The sender's phase changed. */
  onPhase?(connection: ProbedConnection, from: string, to: string): void;
  /** It is over, or goes to TIME-WAIT: '' when it ended well, else the code of the error. The last call for it. */
  onClosed?(connection: ProbedConnection, errorCode: string): void;
}
