/**
 * A question to the routing tables and its answer: two objects, filled anew for each lookup.
 */
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV4_MF, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import type { NextHop, Route } from './route.js';
import type { Rule } from './rules.js';

/** The port that packets of this host come from, in rules and lookups. */
export const LOOPBACK_PORT = 0;
export const ANY_PORT = -1;

export class RouteQuery {
  family: IpFamily = 4;
  /** Destination and source, as the words of an `IpAddress`; the source may be unspecified. */
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  tos = 0;
  mark = 0;
  /** Port it came in through; the loopback for what this host sends. */
  iif: number = LOOPBACK_PORT;
  /** Port it must leave through, or `ANY_PORT`. */
  oif: number = ANY_PORT;
  protocol = 0;
  sourcePort = 0;
  destinationPort = 0;
  uid = -1;
  /** Least scope of a route that will do. */
  scope = 0;
  /** Chooses a next hop among several; -1 until computed. */
  flowHash = -1;

  /** As if newly made, for packets that this host sends. */
  reset(family: IpFamily): void {
    this.family = family;
    this.setDestination(0, 0, family === 4 ? 0xffff : 0, 0);
    this.setSource(0, 0, family === 4 ? 0xffff : 0, 0);
    this.tos = 0;
    this.mark = 0;
    this.iif = LOOPBACK_PORT;
    this.oif = ANY_PORT;
    this.protocol = 0;
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.uid = -1;
    this.scope = 0;
    this.flowHash = -1;
  }

  setDestination(w0: number, w1: number, w2: number, w3: number): void {
    this.d0 = w0;
    this.d1 = w1;
    this.d2 = w2;
    this.d3 = w3;
  }

  setSource(w0: number, w1: number, w2: number, w3: number): void {
    this.s0 = w0;
    this.s1 = w1;
    this.s2 = w2;
    this.s3 = w3;
  }

  setAddresses(destination: IpAddress, source: IpAddress | undefined): void {
    this.reset(destination.family);
    this.setDestination(destination.w0, destination.w1, destination.w2, destination.w3);
    if (source !== undefined) this.setSource(source.w0, source.w1, source.w2, source.w3);
  }

  /** The question of where a packet that came in belongs. */
  setIncoming(packet: IpPacket): void {
    this.reset(packet.version);
    this.setDestination(packet.d0, packet.d1, packet.d2, packet.d3);
    this.setSource(packet.s0, packet.s1, packet.s2, packet.s3);
    this.#setReceived(packet);
  }

  /** The question of where its answer would go. */
  setReverse(packet: IpPacket): void {
    this.reset(packet.version);
    this.setDestination(packet.s0, packet.s1, packet.s2, packet.s3);
    this.setSource(packet.d0, packet.d1, packet.d2, packet.d3);
    this.#setReceived(packet);
  }

  #setReceived(packet: IpPacket): void {
    this.tos = packet.trafficClass & 0xfc;
    this.mark = packet.mark;
    this.iif = packet.link;
    this.protocol = packet.protocol;
    const hasPorts = (packet.protocol === 6 || packet.protocol === 17) && packet.payloadBytes >= 4;
    if (!hasPorts || isFragment(packet)) return;
    const ports = packet.view.getUint32(packet.payloadAt);
    this.sourcePort = ports >>> 16;
    this.destinationPort = ports & 0xffff;
  }
}

export class RouteResult {
  /** '' when a route was found, else the error: `ENETUNREACH`, `EHOSTUNREACH`, `EACCES`, `EINVAL`. */
  error = 'ENETUNREACH';
  /** The rule that decided; undefined when none did. */
  rule: Rule | undefined = undefined;
  /** The table it was found in; 0 when a rule decided by itself. */
  table = 0;
  route: Route | undefined = undefined;
  nexthop: NextHop | undefined = undefined;

  clear(): void {
    this.error = 'ENETUNREACH';
    this.rule = undefined;
    this.table = 0;
    this.route = undefined;
    this.nexthop = undefined;
  }
}

/** Fragments but the first have no ports, and all of them are to go the same way. IPv6 names no transport there. */
const isFragment = ({ version, view, at }: IpPacket): boolean =>
  version === 4 && (view.getUint16(at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0;
