/** Where the relative numbers of a connection begin, for text that people read. */
import { type Seq, seq, seqAdd } from '../base/seq.js';
import { TcpFlag, TcpHeader } from './tcp.js';
import { TcpOptionReader } from './tcp-options.js';

/** What 0 stands for in the text of a segment. */
export interface SegmentOrigin {
  /** ISN of whoever sent the segment, and of whoever it goes to. */
  readonly sequence: Seq;
  readonly acknowledgment: Seq;
  /** A timestamp of whoever sent the segment, and of whoever it goes to. */
  readonly tsVal: number;
  readonly tsEcr: number;
}

/** Numbers as on the wire. */
export const ABSOLUTE: SegmentOrigin = { sequence: seq(0), acknowledgment: seq(0), tsVal: 0, tsEcr: 0 };

/** How far below zero a number is still taken to lie before its origin, rather than far behind it. */
const BEFORE_ORIGIN = 0x1_0000;

/** A difference of two 32-bit numbers as people write it: a little below zero, or unsigned. */
export const relativeNumber = (difference: number): number =>
  difference < 0 && difference >= -BEFORE_ORIGIN ? difference : difference >>> 0;

/**
 * The origins of both directions of one connection, learnt from its segments: from the SYNs where they
 * are seen, else from the first segments that are, so that their text begins at 1 as behind a SYN.
 */
export class ConnectionOrigin {
  /** ISN and a timestamp of this side; undefined until learnt or set. */
  localSequence: Seq | undefined;
  localTimestamp: number | undefined;
  /** As above, of the other side. */
  remoteSequence: Seq | undefined;
  remoteTimestamp: number | undefined;
  readonly #header = new TcpHeader();
  readonly #options = new TcpOptionReader();

  /** Looks at the segment of `length` bytes at `at`, which this side sent if `outgoing`. */
  learn(view: DataView, at: number, length: number, outgoing: boolean): void {
    const header = this.#header;
    if (!header.parse(view, at, length)) return;
    const isSyn = (header.flags & TcpFlag.SYN) !== 0;
    const isReset = (header.flags & TcpFlag.RST) !== 0;
    const first = isSyn ? header.sequence : seqAdd(header.sequence, -1);
    if (outgoing && (isSyn || (this.localSequence === undefined && !isReset))) this.localSequence = first;
    if (!outgoing && (isSyn || (this.remoteSequence === undefined && !isReset))) this.remoteSequence = first;
    const options = this.#options;
    options.parse(view, header.optionsAt, header.optionsBytes);
    if (!options.hasTimestamps) return;
    if (outgoing && (isSyn || this.localTimestamp === undefined)) this.localTimestamp = options.tsVal;
    if (!outgoing && (isSyn || this.remoteTimestamp === undefined)) this.remoteTimestamp = options.tsVal;
  }

  /** For a segment of one direction. What is not known yet begins at zero. */
  of(outgoing: boolean): SegmentOrigin {
    const local = { sequence: this.localSequence ?? seq(0), timestamp: this.localTimestamp ?? 0 };
    const remote = { sequence: this.remoteSequence ?? seq(0), timestamp: this.remoteTimestamp ?? 0 };
    const [from, to] = outgoing ? [local, remote] : [remote, local];
    return {
      sequence: from.sequence,
      acknowledgment: to.sequence,
      tsVal: from.timestamp,
      tsEcr: to.timestamp,
    };
  }
}
