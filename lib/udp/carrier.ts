/** What UDP asks of IP, through the stack that joins them. */
import type { IpAddress } from '../wire/ip-address.js';
import type { Cast, IpPacket } from '../wire/ip-packet.js';

/** The way from one of our addresses to a destination. What it says changes when routes do. */
export interface DatagramPath {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Largest IP packet that may go, bytes, what ICMP taught included; and bytes of it that are IP header. */
  mtu: number;
  readonly headerBytes: number;
  /** Where packets leave. */
  readonly port: {
    readonly index: number;
    readonly mtu: number;
    readonly maxPacketBytes: number;
    readonly udpSegmentation: boolean;
  };
  readonly cast: Cast;
  /** '' while it leads anywhere, else the code of the error. */
  readonly unusable: string;
  /** The state of the routing tables it was resolved in. */
  readonly generation: number;
  hopLimit: number;
  /** DSCP in the upper six bits. */
  trafficClass: number;
  ecn: number;
  /** Whether a packet above `mtu` is refused instead of fragmented. */
  dontFragment: boolean;
}

export interface DatagramWish {
  readonly destination: IpAddress;
  readonly source?: IpAddress;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly mark: number;
  /** Index of the link it must leave by; 0 for any. */
  readonly oif: number;
  /** For groups: whether it must stay on the loopback. */
  readonly onLoopback: boolean;
  readonly trafficClass: number;
  readonly allowBroadcast: boolean;
  /** Whether the source may be an address that is not ours. */
  readonly transparent?: boolean;
}

/** A received ICMP error about a datagram we sent, as IP hands it over. Lent for the call. */
export interface DatagramIcmpError {
  /** One of `IcmpKind`. */
  readonly kind: number;
  /** As on the wire. */
  readonly type: number;
  readonly code: number;
  /** For `PacketTooBig`, bytes; 0 if not said. */
  readonly mtu: number;
  /** What was sent, as far as it was quoted: its source is ours. */
  readonly quote: IpPacket;
  readonly reporter: IpPacket;
}

/** What ICMP errors report, numbered as IP does. */
export const IcmpKind = {
  NetUnreachable: 1,
  HostUnreachable: 2,
  ProtocolUnreachable: 3,
  PortUnreachable: 4,
  PacketTooBig: 5,
  SourceRouteFailed: 6,
  Prohibited: 7,
  TimeExceeded: 8,
  ParameterProblem: 9,
  /** Of a type or code not known here. */
  Unknown: 10,
} as const;

/** From whom a member of a group wants to hear; the object stands for the member. */
export interface GroupFilter {
  /** Whether `sources` are the only ones wanted, or those not wanted. */
  readonly includes: boolean;
  readonly sources: readonly IpAddress[];
}

/** How `begin` ended. */
export const Begun = {
  /** Room is lent. */
  Ok: 0,
  /** The link is full. */
  Full: 1,
  /** No packet of that size can go this way. */
  TooBig: 2,
  /** The path leads nowhere: see `unusable`. */
  Unusable: 3,
} as const;
export type Begun = (typeof Begun)[keyof typeof Begun];

export interface DatagramCarrier {
  /** Where to write the UDP header, between `begin` and `commit`. */
  readonly out: { readonly view: DataView; readonly bytes: Uint8Array; readonly at: number };
  /** The state of the routing tables: paths of another one are resolved anew. */
  generation(): number;
  /** Never throws: a path that leads nowhere says so in `unusable`. */
  resolve(wish: DatagramWish): DatagramPath;
  /** Lends room for a packet with `transportBytes` bytes behind its IP header. */
  begin(path: DatagramPath, transportBytes: number): Begun;
  /** Queues it, its checksum filled; `checksumOffset` -1 for none, `segmentSize` 0 for one datagram. */
  commit(path: DatagramPath, transportBytes: number, checksumOffset: number, segmentSize: number): void;
  /** Answers a packet that has no receiver with port unreachable, within the limits of ICMP. */
  portUnreachable(packet: IpPacket): void;
  /** Answers a packet with an ICMP error of a kind, one of `IcmpKind`, within the same limits. */
  reject(packet: IpPacket, kind: number): void;
  /** Begins, or once for each time ends, taking datagrams for any address. */
  takeForeign(take: boolean): void;
  /** Remembers what an ICMP error says about the MTU of a path, once a socket has vouched for it. */
  tooBig(path: DatagramPath, error: DatagramIcmpError): void;
  /** Whether an address is one of ours, and whether it is a broadcast address of one of our networks. */
  isLocal(address: IpAddress): boolean;
  isBroadcast(address: IpAddress): boolean;
  /** The link to join a group on when none is named; -1 for none. */
  linkTo(group: IpAddress): number;
  /** @throws StackError ENODEV for a link that is not there, ENOBUFS for a group too many */
  joinGroup(link: number, group: IpAddress, filter: GroupFilter): void;
  leaveGroup(link: number, group: IpAddress, filter: GroupFilter): void;
  /** A filter given to `joinGroup` says something else now. */
  groupFilterChanged(link: number, group: IpAddress): void;
  /** Whether this host is in a group on a link. */
  isMember(link: number, group: IpAddress): boolean;
}
