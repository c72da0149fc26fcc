/**
 * Whose packet is it? Source and destination of everything that comes in are judged here: addresses that
 * cannot be, that are ours and come from outside, that are not routed back, that are not for us.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import type { AddressBook } from './addresses.js';
import type { ForeignPackets } from './foreign-packets.js';
import type { GroupTable } from './groups.js';
import type { LinkSettings } from './link-options.js';
import { IGMP_PROTOCOL } from './multicast/igmp.js';
import type { IpOptions } from './options.js';
import { LOOPBACK_PORT, RouteQuery, RouteResult } from './route-query.js';
import type { Routing } from './routing.js';

interface FilterParts {
  readonly stats: StackStats;
  readonly options: IpOptions;
  readonly routing: Routing;
  readonly addresses: AddressBook;
  readonly groups: GroupTable;
  readonly foreign: ForeignPackets;
  readonly settings: LinkSettings;
}

const MAPPED_WORD = 0xffff;
const LIMITED_BROADCAST = -1;

export class PacketFilter {
  readonly #options: IpOptions;
  readonly #routing: Routing;
  readonly #addresses: AddressBook;
  readonly #groups: GroupTable;
  readonly #foreign: ForeignPackets;
  readonly #stats: StackStats;
  readonly #settings: LinkSettings;
  readonly #query = new RouteQuery();
  readonly #back = new RouteResult();
  /** What the tables said of the packet admitted last, where they were asked. */
  readonly way = new RouteResult();
  /** Whether the packet judged last was for a group or for all. */
  toMany = false;
  /** Whether the packet admitted last is for somebody else, and to be passed on by `way`. */
  isTransit = false;
  /** Whether it is for everybody on another link, and so for us and to be passed on. */
  isDirected = false;

  constructor(parts: FilterParts) {
    this.#options = parts.options;
    this.#routing = parts.routing;
    this.#addresses = parts.addresses;
    this.#groups = parts.groups;
    this.#foreign = parts.foreign;
    this.#settings = parts.settings;
    this.#stats = parts.stats;
  }

  /** Why an IPv4 packet is refused for its addresses alone, or `None`. */
  vet4(packet: IpPacket): DropReason {
    const source = packet.s3;
    const destination = packet.d3;
    const inside = packet.link === LOOPBACK_PORT;
    const top = source >>> 24;
    this.toMany = false;
    // RFC 1122 §3.2.1.3: no host has these. 0.0.0.0 is one that does not know its address yet.
    if (top >= 224 || (top === 0 && (source !== 0 || !isForNameless(packet)))) {
      return DropReason.IpMartianSource;
    }
    if (top === 127 && !inside && !this.#options.routeLocalnet) return DropReason.IpMartianSource;
    if (destination >>> 24 === 0) return DropReason.IpMartianDestination;
    if (destination >>> 24 === 127 && !inside && !this.#options.routeLocalnet) {
      return DropReason.IpMartianDestination;
    }
    const isOurs = !inside && this.#isOurSource(0, 0, MAPPED_WORD, source);
    return isOurs ? DropReason.IpMartianSource : DropReason.None;
  }

  /** As `vet4`, for IPv6. */
  vet6(packet: IpPacket): DropReason {
    const { s0, s1, s2, s3, d0, d1, d2, d3 } = packet;
    const inside = packet.link === LOOPBACK_PORT;
    this.toMany = false;
    if (s0 >>> 24 === 0xff) return DropReason.IpMartianSource;
    if ((s0 | s1) === 0 && (s2 === MAPPED_WORD || (s2 === 0 && !this.#isLowSource(packet, inside)))) {
      return DropReason.IpMartianSource;
    }
    if ((d0 | d1) === 0) {
      // IPv4-mapped addresses are for APIs (RFC 4942 §2.2), :: is nobody, ::1 stays inside.
      if (d2 === MAPPED_WORD || (d2 === 0 && (d3 === 0 || (d3 === 1 && !inside)))) {
        return DropReason.IpMartianDestination;
      }
    }
    if (d0 >>> 24 === 0xff) {
      const scope = (d0 >>> 16) & 15;
      // RFC 4291 §2.7: scope 0 and F are reserved, 1 never leaves its interface.
      if (scope === 0 || scope === 15 || (scope === 1 && !inside)) return DropReason.IpMartianDestination;
    }
    const isOurs = !inside && this.#isOurSource(s0, s1, s2, s3);
    return isOurs ? DropReason.IpMartianSource : DropReason.None;
  }

  /**
   * Finds out whose a packet is whose addresses can be: ours, somebody's who takes it, or one to pass on.
   * @returns why it is refused, or `None`; then `packet.cast` is set
   */
  admit(packet: IpPacket): DropReason {
    const reason = this.#aim(packet);
    if (reason !== DropReason.None || !this.#settings.checksReversePath) return reason;
    if (packet.link === LOOPBACK_PORT || isPlaceless(packet)) return DropReason.None;
    return this.#comesBack(packet) ? DropReason.None : DropReason.IpReversePath;
  }

  /** Sources in ::/96: ::1 inside, and :: of hosts that ask the group of all for an address (RFC 4291 §2.5.2). */
  #isLowSource(packet: IpPacket, inside: boolean): boolean {
    if (packet.s3 === 0) return packet.d0 >>> 24 === 0xff && isIcmpv6(packet);
    return packet.s3 !== 1 || inside;
  }

  /** Own addresses, and own broadcast addresses, as source of what comes from outside. */
  #isOurSource(w0: number, w1: number, w2: number, w3: number): boolean {
    if (this.#options.acceptLocal) return this.#addresses.isBroadcast(w0, w1, w2, w3);
    return this.#addresses.owns(w0, w1, w2, w3);
  }

  /** Finds out to how many a packet goes, and whether we are among them. */
  #aim(packet: IpPacket): DropReason {
    const { d0, d1, d2, d3 } = packet;
    packet.cast = Cast.Unicast;
    packet.isForeign = false;
    packet.isDeclined = false;
    this.isTransit = false;
    this.isDirected = false;
    if (this.#routing.rules.localFirst) {
      const port = this.#addresses.portOf(d0, d1, d2, d3);
      if (port >= 0) return this.#isReachable(packet, port) ? DropReason.None : DropReason.IpNotForUs;
    }
    const group = packet.version === 4 ? d3 >>> 28 === 14 : d0 >>> 24 === 0xff;
    if (group) {
      this.toMany = true;
      packet.cast = Cast.Multicast;
      this.#stats.ip.inMcastPkts++;
      return this.#groups.hears(packet) ? DropReason.None : DropReason.IpNotForUs;
    }
    if (packet.version === 4 && d3 === LIMITED_BROADCAST) return this.#broadcast(packet);
    return this.#askTables(packet);
  }

  #broadcast(packet: IpPacket): DropReason {
    this.toMany = true;
    packet.cast = Cast.Broadcast;
    this.#stats.ip.inBcastPkts++;
    return DropReason.None;
  }

  /** What no quick table knows: broadcast addresses, local prefixes, rules that come before the local table. */
  #askTables(packet: IpPacket): DropReason {
    this.#query.setIncoming(packet);
    if (!this.#routing.lookup(this.#query, this.way)) return this.#notOurs(packet);
    const type = this.way.route?.type;
    const port = this.way.nexthop?.portIndex ?? -1;
    if (type === 'broadcast') {
      const { forwarding, directedBroadcast } = this.#settings.of(packet.link);
      this.isDirected = forwarding && directedBroadcast && port !== packet.link;
      const strange = this.#options.strongHost && port !== packet.link;
      return strange ? DropReason.IpNotForUs : this.#broadcast(packet);
    }
    if (type !== 'local') return this.#notOurs(packet);
    return this.#isReachable(packet, port) ? DropReason.None : DropReason.IpNotForUs;
  }

  /** A packet to one who is not us: somebody takes its protocol for any address, or it is passed on. */
  #notOurs(packet: IpPacket): DropReason {
    if (this.#foreign.admits(packet)) packet.isForeign = true;
    else if (this.#settings.of(packet.link).forwarding) this.isTransit = true;
    else return DropReason.IpNotForUs;
    return DropReason.None;
  }

  /** The weak host takes its addresses on any port, the strong one only on their own (RFC 1122 §3.3.4.2). */
  #isReachable(packet: IpPacket, port: number): boolean {
    if (!this.#options.strongHost || port === packet.link || packet.link === LOOPBACK_PORT) return true;
    // Local prefixes belong to the loopback, and so to no port in particular.
    return port === LOOPBACK_PORT || this.#addresses.has(packet.link, packet.destination());
  }

  /** Whether an answer would go out where the packet came in, or at all (RFC 3704 §2). */
  #comesBack(packet: IpPacket): boolean {
    const mode = this.#settings.of(packet.link).reversePathFilter;
    if (mode === 'off') return true;
    this.#query.setReverse(packet);
    this.#query.iif = LOOPBACK_PORT;
    if (!this.#routing.lookup(this.#query, this.#back)) return false;
    const { route } = this.#back;
    if (route === undefined || route.type !== 'unicast') return false;
    return mode === 'loose' || route.nexthops.some((hop) => hop.portIndex === packet.link);
  }
}

/** Whether a source says nothing of where it is: 0.0.0.0, ::, and link-local addresses of IPv6. */
const isPlaceless = ({ version, s0, s1, s2, s3 }: IpPacket): boolean =>
  version === 4 ? s3 === 0 : (s0 | s1 | s2 | s3) === 0 || s0 >>> 22 === 0x3fa;

/** Whether a packet may come from 0.0.0.0: to all, or about groups (RFC 3376 §4.2.13). */
const isForNameless = (packet: IpPacket): boolean =>
  packet.d3 === LIMITED_BROADCAST || (packet.protocol === IGMP_PROTOCOL && packet.d3 >>> 28 === 14);

/** Whether the first header is ICMPv6, or options before it (MLD has a Router Alert). */
const isIcmpv6 = (packet: IpPacket): boolean =>
  packet.protocol === Protocol.Icmpv6 || packet.protocol === Protocol.HopByHop;
