/**
 * What may rewrite packets on their way through: network address translation.
 */
import type { IpPacket } from '../wire/ip-packet.js';

/** What becomes of a packet that a translator was shown. */
export const Verdict = {
  /** It goes on, rewritten or not. */
  Accept: 0,
  /** It is dropped; the translator has counted it. */
  Drop: 1,
  /** The translator has taken it, and has copied what it still needs. */
  Handled: 2,
  /**
   * It is a fragment of which too little can be seen: it waits for the others, and the whole datagram is shown
   * again. Only `inbound` may say so, and only of fragments.
   */
  Reassemble: 3,
} as const;
/** What becomes of a packet that a translator was shown. */
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/**
 * Rewrites packets in place. It is shown what comes in for others and for addresses of ours, and not what this
 * stack sends itself. Packets are lent for the call.
 *
 * Who rewrites a packet keeps its checksums right, and the words of `packet` (`s0` … `d3`) the same as its header.
 * A checksum that is `Partial` holds only the sum of the pseudo-header, which contains the addresses but not the
 * ports. The length of a packet stays what it is. A super-packet (`segmentSize` above 0) has one header for many
 * segments. Of IPv6 only the first header has been read: `protocol` may be an extension header.
 */
export interface PacketTranslator {
  /**
   * Before it is decided whose a packet is, once its addresses have been found possible: may rewrite the
   * destination.
   */
  inbound(packet: IpPacket, nowUs: number): Verdict;
  /**
   * A packet is about to leave through `portIndex`, and will not be refused any more but for a queue that is full:
   * may rewrite the source. Its TTL is still what it was when it came.
   */
  outbound(packet: IpPacket, portIndex: number, nowUs: number): Verdict;
  /**
   * An error is about to quote a packet that `inbound` may have rewritten: puts back what it was when it came, or
   * else its sender would not know it. Not called behind `outbound`.
   */
  restore(packet: IpPacket): void;
  /**
   * A packet that left found nobody at its next hop, and an error is about to quote it: puts back all that was
   * rewritten.
   * @param wayBack the link that leads to its source, as it is now; 0 where that is an address of ours
   * @returns whether anything was
   */
  revert(packet: IpPacket, wayBack: number): boolean;
}
