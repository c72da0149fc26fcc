/** Why packets are dropped, and how many were. */

/**
 * Why a packet was dropped. The numbers are positions in this list; append, never reorder. Those of links are
 * counted by the link (`LinkCounters`), all others, and `LinkQueueFull`, in `StackStats.drops`.
 */
export const DropReason = {
  /** It was not dropped. */
  None: 0,
  // IP
  /** A packet of no bytes. */
  IpEmpty: 1,
  /** Its version is neither 4 nor 6. */
  IpVersion: 2,
  /** The header length of IPv4 is below 20 or beyond the total length (RFC 1122 §3.2.1). */
  IpHeader: 3,
  /** It is shorter than its header, or than its header says it is. */
  IpLength: 4,
  /** The checksum of the IPv4 header does not hold (RFC 1122 §3.2.1.2). */
  IpChecksum: 5,
  /** An IPv4 option has a length that is impossible; answered with Parameter Problem. */
  IpOptions: 6,
  /** It has an IPv4 source route (RFC 7126 §4.3). */
  IpSourceRoute: 7,
  /** Its source can be nobody's: a group, a loopback from outside, or an address of ours (RFC 1122 §3.2.1.3). */
  IpMartianSource: 8,
  /** Its destination can be nobody's, or only a loopback's. */
  IpMartianDestination: 9,
  /** Its destination is not ours, or of a group that nobody here has joined. */
  IpNotForUs: 10,
  /** Its source is not routed back as `reversePathFilter` demands (RFC 3704 §2); of a SYN for any address: not at all. */
  IpReversePath: 11,
  /** Nobody handles its protocol; answered with Protocol Unreachable. */
  IpUnknownProtocol: 12,
  /** An extension header is cut short, asks for what must be refused, or there are too many (RFC 8200 §4, RFC 8504 §5.3). */
  IpExtensionHeader: 13,
  /** Nothing follows its IPv6 headers, as they say (RFC 8200 §4.7). */
  IpNoNextHeader: 14,
  /** A packet, of ours or in passing, that does not fit its path and must not be fragmented. */
  IpTooBig: 16,
  /** IPv6 over a link whose MTU is below 1280 bytes (RFC 8200 §5). */
  IpDisabled: 17,
  /** A Fragment header within a datagram that was put together. */
  IpNested: 18,
  // reassembly
  /** A fragment overlaps another, and its datagram goes with it; or comes for one that did (RFC 5722 §4). */
  FragmentOverlap: 20,
  /** A fragment without data, not of whole 8 bytes, beyond 65,535 bytes or beyond the end another gave. */
  FragmentSize: 21,
  /** A fragment that hides part of the transport header in the next (RFC 1858 §3). */
  FragmentTiny: 22,
  /** An incomplete datagram that made room: too many of them, or too much memory. */
  FragmentLimit: 23,
  /** An incomplete datagram whose time was up. */
  FragmentTimeout: 24,
  /** A datagram of fragments with and without ECN (RFC 3168 §5.3). */
  FragmentEcn: 25,
  /** A first fragment without all headers; answered with Parameter Problem (RFC 7112 §5). */
  FragmentHeaderChain: 26,
  /** A fragment that is there already. */
  FragmentDuplicate: 27,
  /** An incomplete datagram between whose fragments came too many of others (`reassemblyDistance`). */
  FragmentDistance: 28,
  // ICMP
  /** Its checksum does not hold. */
  IcmpChecksum: 30,
  /** A message that is cut short, or one of neighbour discovery that may not be believed (RFC 4861 §6.1, §7.1, §8.1). */
  IcmpHeader: 31,
  /** A message of a type that means nothing here, or an echo request that is not to be answered. */
  IcmpIgnored: 32,
  /** An error of ours that the rate limit kept back (RFC 1812 §4.3.2.8, RFC 4443 §2.4). */
  IcmpRateLimited: 33,
  /** An error whose quotation cannot be read, or is of nothing this host sends (RFC 5927 §4). */
  IcmpQuote: 34,
  /** An error about UDP that matches no socket, or an echo reply nobody waits for. */
  IcmpNoSocket: 35,
  /** A redirect that is refused: from another than the gateway in use, or switched off (RFC 1122 §3.2.2.2). */
  IcmpRedirect: 36,
  // IGMP and MLD
  /** An IGMP message that is cut short, or whose checksum does not hold (RFC 3376 §4). */
  IgmpHeader: 37,
  /** An MLD message that does not come from this link, or is about no group (RFC 3810 §5). */
  MldHeader: 38,
  /** A query that cannot be read, or a message only routers need. */
  GroupMessageIgnored: 39,
  // UDP
  /** It is shorter than its header, or than its header says it is. */
  UdpHeader: 40,
  /** The checksum does not hold; or there is none, over IPv6 (RFC 8200 §8.1). */
  UdpChecksum: 41,
  /** Nobody has the port; answered with Port Unreachable if it was sent to this host alone. */
  UdpNoSocket: 42,
  /** The receive buffer of the socket is full. */
  UdpQueueFull: 43,
  /** It comes from a group or from everybody (RFC 1122 §4.1.3.6). */
  UdpSource: 44,
  /** It would begin a flow to any address beyond `maxFlows` or `maxPending`. */
  UdpFlowLimit: 45,
  /** It is of a flow to any address that was refused, or that nobody reads. */
  UdpFlowRefused: 46,
  // TCP, before a connection is found
  /** It is shorter than its header. */
  TcpHeader: 50,
  /** The checksum does not hold. */
  TcpChecksum: 51,
  /** It was sent to a group or to everybody (RFC 9293 §3.9.2.3). */
  TcpSource: 52,
  /** It belongs to no connection and asks for none; answered with RST. Or no answer to our SYN, and ignored. */
  TcpNoConnection: 53,
  /** A SYN for a listener with too many half-open connections, when there are no cookies. */
  TcpSynQueueFull: 54,
  /** A SYN, or the ACK that would complete a handshake, for a listener with too many to accept. */
  TcpAcceptQueueFull: 55,
  /** An ACK that should bring back a SYN cookie, and does not. */
  TcpCookieFailed: 56,
  /** A segment for a listener with neither RST, ACK nor SYN, or with SYN and FIN. */
  TcpSynFlags: 57,
  /** A SYN beyond `maxConnections`. */
  TcpConnectionLimit: 58,
  // TCP, on a connection
  /** It lies outside the window: also every keep-alive probe, and what was sent again in vain (RFC 9293 §3.10.7.4). */
  TcpOutOfWindow: 60,
  /** Its timestamp is older than the last (RFC 7323 §5); or the answer to a SYN echoes none of ours. */
  TcpPaws: 61,
  /** It acknowledges what was never sent, or too old data (RFC 5961 §5.2). */
  TcpAckUnacceptable: 62,
  /** It has no ACK flag. */
  TcpNoAckFlag: 63,
  /** An RST, obeyed or not (RFC 5961 §3.2). */
  TcpReset: 64,
  /** A SYN on a connection: challenged, or the peer's own again (RFC 5961 §4.2). */
  TcpSynInWindow: 65,
  /** Text for a connection its owner has closed; answered with RST (RFC 9293 §3.6.1). */
  TcpAfterClose: 66,
  /** Text behind one gap more than `maxGaps`. */
  TcpOutOfOrderLimit: 67,
  /** Text for which the memory of the stack is too scarce. */
  TcpMemory: 68,
  /** No timestamp, though they were negotiated and `strictTimestamps` demands them (RFC 7323 §3.2). */
  TcpTimestampMissing: 69,
  /** Text of which nothing could be taken: the window is closed, or a FIN said that the stream ends before it. */
  TcpZeroWindow: 70,
  // links
  /** The queue of the link is full. In `StackStats.drops`: fragments, errors and answers of IP itself, for which nobody waits. */
  LinkQueueFull: 80,
  /** The link failed, or the program behind it did. */
  LinkError: 81,
  /** It is larger than the link takes. */
  LinkTooBig: 82,
  /** What comes with it, of checksum or segments, contradicts it; or it is no IP packet at a junction. */
  LinkMetadata: 84,
  /** What came over the channel of a link is no packet, or is followed by bytes in which none can be found. */
  LinkFraming: 85,
  // forwarding
  /** Its TTL or hop limit ran out on the way through; answered with Time Exceeded (RFC 1812 §5.3.1). */
  IpHopLimit: 86,
  /** No route leads to where it goes, or one that refuses; answered with Destination Unreachable. */
  IpNoRoute: 87,
  /** A route or rule says to drop it without a word. */
  IpBlackhole: 88,
  /** It has an address that no router passes on: link-local, reserved or unspecified (RFC 1812 §5.3.7). */
  IpNotForwardable: 89,
  // translation
  /** From the outside, for a mapping whose filtering does not let its sender in; or a SYN that nobody asked for. */
  NatFiltered: 90,
  /** From the outside, for an address that is hidden from there. */
  NatUninvited: 91,
  /** Of a flow there is no room for: sessions, mappings or ports are at their limit; answered with Prohibited. */
  NatLimit: 92,
  /** On its way out, of a protocol without ports; answered with Prohibited. */
  NatUnsupported: 93,
  /** To be translated, but its transport header is cut short or known to be damaged. */
  NatMalformed: 94,
  /** An ICMP error about nothing that was translated, or one that is damaged (RFC 5508 §4.1). */
  NatIcmpError: 95,
  /** It came from nobody the link knows, or is from or for an address that is none of its peers'. */
  LinkPeer: 96,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

const DROP_NAMES: string[] = [];
for (const [name, number] of Object.entries(DropReason)) DROP_NAMES[number] = name;

/** `TcpChecksum` and the like; for messages and captures. */
export const dropReasonName = (reason: number): string => DROP_NAMES[reason] ?? `Reason${reason}`;

/** How many packets were dropped for each reason. */
export class DropCounts {
  readonly #counts = new Float64Array(128);
  /** The reason of the last drop; whoever hands in packets clears it to learn each packet's fate. */
  last: number = DropReason.None;

  /** Counts one. */
  drop(reason: DropReason): void {
    this.#counts[reason] = this.#counts[reason] + 1;
    this.last = reason;
  }

  /** How many were dropped for `reason`. */
  count(reason: DropReason): number {
    return this.#counts[reason];
  }

  /** Only the reasons that occurred, by name. */
  toJSON(): Record<string, number> {
    const seen: Record<string, number> = {};
    for (let i = 1; i < this.#counts.length; i++) {
      if (this.#counts[i] > 0) seen[dropReasonName(i)] = this.#counts[i]!;
    }
    return seen;
  }
}
