/**
 * What a link that finds its neighbours by address asks of the stack it belongs to. Links of plain IP packets ask
 * nothing.
 */
import type { IpAddress, IpPrefix } from '../wire/ip-address.js';

/** An address of the stack on a link. */
export interface LinkAddress {
  /** The address alone. */
  readonly address: IpAddress;
  /** Prefix length. */
  readonly length: number;
  /** Not yet known to be nobody else's: it is not used. */
  readonly isTentative: boolean;
}

/** What a link may say of an address it adds. */
export interface LinkAddressOptions {
  /** Still accepted, but no longer chosen for new flows while there is another. */
  readonly deprecated?: boolean;
  /** Make no route to its prefix. */
  readonly noPrefixRoute?: boolean;
  /** The router that advertised its prefix. */
  readonly advertisedBy?: IpAddress;
  /** Whether to find out first if somebody has it; as the link does by itself where absent. */
  readonly probe?: boolean;
}

/** A route a link adds, through itself. */
export interface LinkRoute {
  /** Where it leads. */
  readonly destination: IpPrefix;
  /** The router; none where the destination is on the link. */
  readonly gateway?: IpAddress;
  /** Less is better; as `RouteSpec` has it by default. */
  readonly metric?: number;
  /** Who said so, for readers: `ra`, `dhcp`. */
  readonly protocol: string;
  /** Preference among routes of one metric (RFC 4191 §2.1). */
  readonly preference?: 'low' | 'medium' | 'high';
  /** Largest IP packet along it, bytes. */
  readonly mtu?: number;
  /** Hop limit of packets that take it. */
  readonly hopLimit?: number;
}

/** The stack as a link sees it. */
export interface LinkHost {
  /** Index of the link in the stack. */
  readonly index: number;
  /** Whether an address is one of this link, and in use. */
  owns(address: IpAddress): boolean;
  /** Whether packets to an IPv4 address through this link go to everybody. */
  isBroadcast(address: IpAddress): boolean;
  /** The source of packets to an address through this link, if need be an address of another link; undefined for none. */
  sourceTo(address: IpAddress): IpAddress | undefined;
  /** The addresses of this link, tentative ones too. */
  addresses(): readonly LinkAddress[];
  /** @throws StackError EEXIST, EINVAL, ENOBUFS */
  addAddress(prefix: IpPrefix, options?: LinkAddressOptions): void;
  /** Takes an address away; nothing happens where the link does not have it. */
  removeAddress(address: IpAddress): void;
  /** Whether an address is chosen for new flows. */
  deprecate(address: IpAddress, isDeprecated: boolean): void;
  /** A tentative address turned out to be free, and is used from now on. */
  settle(address: IpAddress): void;
  /** Adds a route. @returns what takes it away again */
  addRoute(route: LinkRoute): () => void;
  /**
   * An IP packet, ours or one on its way through, found nobody at its next hop: whoever sent it is told by ICMP.
   * The bytes are lent for the call.
   */
  unreachable(packet: Uint8Array): void;
}
