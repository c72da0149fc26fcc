/** What recovery is told of an ACK, and what it answers. */
import type { Seq } from '../../base/seq.js';

/** What an ACK brings, apart from its window. One object, filled anew for each. */
export class AckFacts {
  ack = 0 as Seq;
  nowUs = 0;
  /** SND.NXT, and the size of a full segment. */
  sndNxt = 0 as Seq;
  mssBytes = 0;
  /** A duplicate ACK by RFC 5681 §2; only asked where SACK is not in use. */
  isDuplicate = false;
  /** Blocks of the SACK option, already known to be within what was sent. */
  sackCount = 0;
  sackEdges = new Int32Array(8);
  /** Round-trip time by the echoed timestamp, µs; -1 without one. Coarse, and safe after retransmission. */
  timestampRttUs = -1;
}

/** Answers to an ACK; the shape of an `AckSample`. One object, filled anew for each. */
export class AckResult {
  nowUs = 0;
  ackedBytes = 0;
  deliveredBytes = 0;
  lostBytes = 0;
  priorInFlightBytes = 0;
  inFlightBytes = 0;
  rttUs = -1;
  cwndLimited = false;
}
