/**
 * The packet in hand: where it lies, what its link said of it, and what its IP header said. One
 * object per stack, aimed anew at each packet, so that nothing is allocated on the way up.
 */
import { IpAddress, type IpFamily } from './ip-address.js';

/** What is known of a packet's transport checksum. The numbers are shared with the native addon. */
export const ChecksumState = {
  /** Nobody looked: verify it. */
  Unknown: 0,
  /** In: verified right, or none required. Out: the field is complete. */
  Valid: 1,
  /** In: verified wrong. */
  Bad: 2,
  /**
   * The field holds the folded sum of the pseudo-header only. In: the sender was this machine, trust
   * it. Out: whoever sends it completes the field.
   */
  Partial: 3,
} as const;
export type ChecksumState = (typeof ChecksumState)[keyof typeof ChecksumState];

/** To how many a packet was addressed. */
export const Cast = { Unicast: 0, Broadcast: 1, Multicast: 2 } as const;
export type Cast = (typeof Cast)[keyof typeof Cast];

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

export class IpPacket {
  // Where it lies. The same memory, twice: `view` for fields, `bytes` for copies.
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  /** First byte of the IP header. */
  at = 0;
  /** Bytes from `at` that belong to the packet: first what the link said, then what IP says. */
  length = 0;

  // What the link said.
  /** Index of the link it came in on. */
  link = 0;
  checksum: ChecksumState = ChecksumState.Unknown;
  /** Payload bytes of each segment of a super-packet; 0 for a plain packet. */
  segmentSize = 0;
  /** Routing mark. */
  mark = 0;
  /** When the batch it came in was received, µs. */
  nowUs = 0;

  // What its IP header said; valid once IP has accepted it.
  version: IpFamily = 4;
  /** Source, as the words of an `IpAddress`. */
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  /** Destination. */
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  cast: Cast = Cast.Unicast;
  /** It is for none of our addresses, and came in because somebody takes its protocol for any. */
  isForeign = false;
  /** Set by whoever was given a foreign packet and does not want it: it goes on as if nobody took its protocol. */
  isDeclined = false;
  /** DSCP in the upper six bits, ECN in the lower two. */
  trafficClass = 0;
  /** TTL or hop limit. */
  hopLimit = 0;
  /** Protocol of the payload: the last Next Header of IPv6. */
  protocol = 0;
  /** First byte after the IP header, its options and extension headers. */
  payloadAt = 0;
  payloadBytes = 0;

  /** Aims at a packet of which nothing but its place is known. */
  aim(bytes: Uint8Array, view: DataView, at: number, length: number): void {
    this.bytes = bytes;
    this.view = view;
    this.at = at;
    this.length = length;
  }

  /** The ECN field (RFC 3168 §5): 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
  get ecn(): number {
    return this.trafficClass & 3;
  }

  /** A new object; not for every packet. */
  source(): IpAddress {
    return this.version === 4 ? IpAddress.v4(this.s3) : IpAddress.v6(this.s0, this.s1, this.s2, this.s3);
  }

  /** A new object; not for every packet. */
  destination(): IpAddress {
    return this.version === 4 ? IpAddress.v4(this.d3) : IpAddress.v6(this.d0, this.d1, this.d2, this.d3);
  }
}
