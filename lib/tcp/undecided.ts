/**
 * A SYN of which nobody has decided yet whether it is answered: a small record of what it said, at the place of the
 * connection it may become. A SYN that is to be ignored stays there for a while, too.
 */
import { type Seq, seqAdd } from '../base/seq.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import type { AnyListener } from './any-listener.js';
import type { SynFacts } from './handshake.js';
import type { TcpSegment } from './segment.js';
import type { Tuple } from './tuple.js';

/** Why a request is no longer to be decided, though nobody has decided it. */
export type CancelReason = 'reset' | 'expired' | 'closed';

/** Hears that a request is over before it was decided. */
export interface RequestOwner {
  cancelled(reason: CancelReason): void;
}

export class UndecidedSyn implements SynFacts {
  readonly listener: AnyListener;
  readonly tuple: Tuple;
  /** The beginning of the first SYN's packet. */
  readonly packet: IpPacket;
  /** The sequence number to begin with, where a TIME-WAIT record demands one. */
  readonly iss: Seq | undefined;
  readonly sequence: Seq;
  /** Sequence numbers it takes: 1, and those of text that came with it. */
  readonly length: number;
  slot = -1;
  /** It waits to be decided. */
  isPending = true;
  /** Who decides it, once it was told. */
  owner: RequestOwner | undefined;
  // What the newest of its SYNs said: until the first answer nothing is agreed.
  flags = 0;
  ecn = 0;
  window = 0;
  nowUs = 0;
  options!: SynFacts['options'];

  constructor(parts: UndecidedParts, segment: TcpSegment) {
    this.listener = parts.listener;
    this.tuple = parts.tuple;
    this.packet = parts.packet;
    this.iss = parts.iss;
    this.sequence = segment.sequence;
    this.length = segment.length;
    this.heard(segment);
  }

  /** The only number an RST may have. */
  get rcvNxt(): Seq {
    return seqAdd(this.sequence, 1);
  }

  /** Whether a segment is its SYN once more. */
  isRepeatedBy(segment: TcpSegment): boolean {
    const control = segment.flags & (TcpFlag.SYN | TcpFlag.RST | TcpFlag.ACK | TcpFlag.FIN);
    return control === TcpFlag.SYN && segment.sequence === this.sequence;
  }

  /** The SYN came, for the first time or once more: perhaps with less, since it was not answered. */
  heard(segment: TcpSegment): void {
    this.flags = segment.flags;
    this.ecn = segment.ecn;
    this.window = segment.window;
    this.nowUs = segment.nowUs;
    this.options = optionsOf(segment);
  }
}

export interface UndecidedParts {
  readonly listener: AnyListener;
  readonly tuple: Tuple;
  /** A copy that may be kept. */
  readonly packet: IpPacket;
  readonly iss: Seq | undefined;
}

/** The reader of the segment is used for the next one, too. */
function optionsOf({ options }: TcpSegment): SynFacts['options'] {
  const { mss, windowScale, sackPermitted, hasTimestamps, tsVal } = options;
  return { mss, windowScale, sackPermitted, hasTimestamps, tsVal };
}
