/**
 * What IP asks of the layers it does not know: below it ports to write packets to, above it the
 * transports. `stack/` joins them.
 */
import type { IpAddress } from '../wire/ip-address.js';
import type { ChecksumState, IpPacket } from '../wire/ip-packet.js';

/** Where packets leave: one per link. */
export interface OutputPort {
  /** Position in the stack's list of links; 0 is always the loopback. */
  readonly index: number;
  readonly name: string;
  /** Largest IP packet on the wire, bytes. */
  readonly mtu: number;
  /** Largest packet the link takes: above `mtu` when it accepts super-packets. */
  readonly maxPacketBytes: number;
  /** Whether the link completes transport checksums. */
  readonly checksumOffload: boolean;
  /** Whether it takes UDP super-packets. */
  readonly udpSegmentation: boolean;
  /** Whether it takes texts that lie elsewhere. */
  readonly gathers: boolean;
  readonly isLoopback: boolean;
  /** Whether the link must be told of first hops (`via`); false when absent. */
  readonly resolves?: boolean;
  /** Whether it is up: a port that is down loses its routes. */
  readonly isUp: boolean;

  /** The lent room, valid from `reserve()` to `commit()`. */
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly at: number;

  /** Lends room for one packet of `maxPacketBytes`; false while the link is full. */
  reserve(): boolean;
  /** Queues the `length` bytes written at `at`. */
  commit(length: number, checksum: ChecksumState, segmentSize: number, headerBytes: number): void;
  /** The last `length` bytes of what was just queued lie in `memory`; on a port that gathers. */
  lendText(memory: Uint8Array, at: number, length: number): void;
  /** What was just queued goes by this router; on a port that resolves. */
  via?(router: IpAddress): void;
  /** It has an address more. @returns whether that is tentative: the link says when it is not */
  addressAdded?(address: IpAddress, probe: boolean | undefined): boolean;
  /** It has an address less. */
  addressRemoved?(address: IpAddress): void;
}

/** Divides super-packets in passing, for links that take none. */
export interface PacketSegmenter {
  /** How many packets the super-packet aimed at stands for. */
  readonly count: number;
  /** Aims at a super-packet, which must stay as it is while it is written. @returns false where it can be none */
  aimAt(packet: IpPacket): boolean;
  /** Bytes of packet `k`. */
  lengthOf(k: number): number;
  /** Writes packet `k`, complete with checksums. @returns its length, bytes */
  write(k: number, bytes: Uint8Array, view: DataView, at: number): number;
}

/** A protocol above IP. */
export interface Transport {
  /** A packet for this protocol, whole, its IP header accepted. The packet is lent for the call. */
  input(packet: IpPacket): void;
  /** A received ICMP error about a packet this protocol sent. Lent for the call. */
  icmpError(error: IcmpError): void;
}

/** What kind of trouble an ICMP error reports, the same for both families. */
export const IcmpErrorKind = {
  NetUnreachable: 1,
  HostUnreachable: 2,
  ProtocolUnreachable: 3,
  PortUnreachable: 4,
  /** ICMPv4 3/4 or ICMPv6 2; `mtu` says how large a packet may be (0: not said). */
  PacketTooBig: 5,
  /** ICMPv4 3/5. */
  SourceRouteFailed: 6,
  /** Administratively prohibited, ICMPv4 3/9, 3/10, 3/13, ICMPv6 1/1, 1/5, 1/6. */
  Prohibited: 7,
  TimeExceeded: 8,
  ParameterProblem: 9,
  /** An ICMPv6 error of a type or code we do not know (RFC 4443 §2.4 (a)). */
  Unknown: 10,
} as const;
export type IcmpErrorKind = (typeof IcmpErrorKind)[keyof typeof IcmpErrorKind];

/** A received ICMP error. One object, aimed anew at each. */
export interface IcmpError {
  readonly kind: IcmpErrorKind;
  /** Type and code as on the wire. */
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU, for PacketTooBig. */
  readonly mtu: number;
  /**
   * The quoted packet: its source is ours, its destination the peer. `payloadBytes` counts the
   * transport bytes that were quoted, at least 8 of them.
   */
  readonly quote: IpPacket;
  /** Who reported it, as it came in. */
  readonly reporter: IpPacket;
}
