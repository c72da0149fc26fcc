/** What recovery is told of an ACK, and what it answers. */
import type { Seq } from '../../base/seq.js';
import type { DeliveryRate } from './delivery-rate.js';
import type { RttEstimator } from './rtt-estimator.js';

/** What an ACK brings, apart from its window. One object, filled anew for each. */
export class AckFacts {
  ack = 0 as Seq;
  nowUs = 0;
  /** SND.NXT, and the size of a full segment. */
  sndNxt = 0 as Seq;
  mssBytes = 0;
  /** A duplicate ACK by RFC 5681 §2. */
  isDuplicate = false;
  /** Blocks of the SACK option, already known to be within what was sent, in ascending order. */
  sackCount = 0;
  sackEdges = new Int32Array(8);
  /** Whether the ACK reports a duplicate of something that was sent (RFC 2883), and which bytes. */
  hasDsack = false;
  dsackStart = 0 as Seq;
  dsackEnd = 0 as Seq;
  /** There is new data, and the peer's window admits some of it. */
  canSendNew = false;
  /** Round-trip time by the echoed timestamp, µs; -1 without one. Coarse, and safe after retransmission. */
  timestampRttUs = -1;
  /** When the tick of the echoed timestamp began, µs; -1 without one. What was sent later is not what is echoed. */
  echoedAtUs = -1;
  /** The peer reports congestion marks: ECE (RFC 3168 §6.1.2), or more of them than before (RFC 9768 §3.2). */
  ecnEcho = false;
  /** Bytes newly reported as marked, as far as is known (RFC 9768); else 0. */
  markedBytes = 0;
}

/**
 * The facts of the ACK in hand, for all connections: they are filled and read within one call, and an idle
 * connection holds none.
 */
export const ACK_FACTS = new AckFacts();

/** The rate sample of an ACK; the shape of a `RateSample`. */
export class RateResult {
  deliveryRateBps = 0;
  deliveredBytes = 0;
  intervalUs = -1;
  priorDeliveredBytes = -1;
  txInFlightBytes = 0;
  lostBytes = 0;
  isAppLimited = false;
}

/** Answers to an ACK; the shape of an `AckSample`. One object, filled anew for each. */
export class AckResult {
  nowUs = 0;
  ackedBytes = 0;
  deliveredBytes = 0;
  lostBytes = 0;
  markedBytes = 0;
  priorInFlightBytes = 0;
  inFlightBytes = 0;
  rttUs = -1;
  srttUs = 0;
  minRttUs = Number.POSITIVE_INFINITY;
  cwndLimited = false;
  isRecovering = false;
  sndUna = 0 as Seq;
  sndNxt = 0 as Seq;
  totalDeliveredBytes = 0;
  totalLostBytes = 0;
  readonly rate = new RateResult();

  /** An ACK came, and acknowledges `ackedBytes`; everything else is still to be seen. */
  begin(facts: AckFacts, ackedBytes: number, priorInFlightBytes: number): void {
    this.nowUs = facts.nowUs;
    this.ackedBytes = ackedBytes;
    this.priorInFlightBytes = priorInFlightBytes;
    this.deliveredBytes = 0;
    this.lostBytes = 0;
    this.markedBytes = facts.markedBytes;
  }

  /** It has been taken, and this is what the estimators know now. */
  finish(facts: AckFacts, rtt: RttEstimator, rate: DeliveryRate): void {
    this.srttUs = rtt.srttUs;
    this.minRttUs = rtt.minRttUs;
    this.sndUna = facts.ack;
    this.sndNxt = facts.sndNxt;
    this.totalDeliveredBytes = rate.deliveredBytes;
    this.totalLostBytes = rate.totalLostBytes;
  }
}

/** The answers to the ACK in hand, for all connections. */
export const ACK_RESULT = new AckResult();
