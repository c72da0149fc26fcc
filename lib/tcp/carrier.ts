/** What TCP asks of IP, through the stack that joins them. */
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { RouteAttributes } from './route-options.js';
import type { SegmentOutput } from './segment-output.js';
import type { Tuple } from './tuple.js';

/** The way from one of our addresses to a peer. */
export interface SegmentPath extends RouteAttributes {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Largest IP packet the path takes now, and bytes of it that are IP header. */
  readonly mtu: number;
  /** The same without what ICMP has taught: the least of link and route. */
  readonly configuredMtu: number;
  readonly headerBytes: number;
  readonly port: { readonly index: number; readonly mtu: number; readonly isLoopback: boolean };
  /** '' while it leads anywhere, else the code of the error. */
  readonly unusable: string;
  hopLimit: number;
  trafficClass: number;
}

export interface PathWish {
  readonly destination: IpAddress;
  readonly source?: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The link to leave by, which a link-local destination needs (RFC 4007 §11); absent for any. */
  readonly oif?: number;
  /** Whether the source may be an address that is not ours. */
  readonly transparent?: boolean;
}

export interface SegmentCarrier {
  /** Never throws: a path that leads nowhere says so in `unusable`. */
  resolve(wish: PathWish): SegmentPath;
  /** The way back to who sent `packet`, from the address it was sent to. It may be shared: change nothing of it. */
  resolveReply(packet: IpPacket): SegmentPath;
  /** Asks the routes again, as a path that loses everything may have a better one (RFC 9293 §3.8.3). */
  reconsider(path: SegmentPath): void;
  /** Aims at a path: what is written next goes there. The same object each time. */
  aim(path: SegmentPath): SegmentOutput;
  /** Whether an address is one of ours. */
  isLocal(address: IpAddress): boolean;
  /** Begins, or once for each time ends, taking segments whatever address they are for. */
  takeForeign(take: boolean): void;
  /** Answers a packet with an ICMP error, within IP's limits. */
  refuse(packet: IpPacket, reason: IcmpRejection): void;
}

/** Bytes a path leaves to a TCP segment. */
export const pathTransportBytes = (path: SegmentPath): number => path.mtu - path.headerBytes;

/** Least MSS announced for the MTU of a route, bytes (Linux `ip_rt_min_advmss`); for IPv6 what 1280 bytes leave. */
const MIN_ROUTE_MSS = { 4: 256, 6: 1220 } as const;

/**
 * Bytes that link and route leave to one, or the route announces: what our MSS option says (RFC 9293
 * §3.7.1). The path MTU that ICMP teaches is that of the other direction, and never changes it (RFC 2923
 * §2.3).
 */
export function interfaceTransportBytes(path: SegmentPath): number {
  const most = Math.min(path.port.mtu - path.headerBytes, 0xffff);
  if (path.advmss > 0) return Math.min(most, path.advmss + 20);
  const least = MIN_ROUTE_MSS[path.destination.family] + 20;
  return Math.min(most, Math.max(path.configuredMtu - path.headerBytes, least));
}

/** A path for one flow alone, whose options may change it; `reply`, the way of an answer, may be shared. */
export function ownPath(carrier: SegmentCarrier, tuple: Tuple, reply: SegmentPath, link = 0): SegmentPath {
  const oif = link > 0 ? link : tuple.remote.isLinkLocal ? reply.port.index : 0;
  return carrier.resolve({
    destination: tuple.remote,
    source: tuple.local,
    sourcePort: tuple.localPort,
    destinationPort: tuple.remotePort,
    oif,
    transparent: tuple.isForeign === true,
  });
}
