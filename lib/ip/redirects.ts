/**
 * ICMP redirects (RFC 1122 §3.2.2.2, RFC 4861 §8): ignored unless the options say otherwise; then believed
 * only from the gateway in use, and only when they name another neighbour of the same link.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import type { IcmpMessage } from '../wire/icmp.js';
import { IpAddress } from '../wire/ip-address.js';
import { IpPacket } from '../wire/ip-packet.js';
import type { AddressBook } from './addresses.js';
import { readQuote } from './icmp-quote.js';
import type { IpOptions } from './options.js';
import type { PathMtuCache } from './path-mtu.js';
import type { Route } from './route.js';
import { RouteQuery, RouteResult } from './route-query.js';
import type { Routing } from './routing.js';

interface RedirectParts {
  readonly stats: StackStats;
  readonly options: IpOptions;
  readonly routing: Routing;
  readonly addresses: AddressBook;
  readonly pathMtu: PathMtuCache;
}

/** Bytes of an ICMPv6 redirect before its options. */
const REDIRECT6_BYTES = 40;

export class Redirects {
  readonly #parts: RedirectParts;
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();
  readonly #quote = new IpPacket();

  constructor(parts: RedirectParts) {
    this.#parts = parts;
  }

  /** ICMPv4 type 5, its checksum right. Codes for networks are taken for the host alone. */
  input4(packet: IpPacket, message: IcmpMessage): void {
    const gateway = IpAddress.v4(message.word);
    const quote = this.#quote;
    const usable =
      this.#parts.options.acceptRedirects &&
      message.code <= 3 &&
      readQuote(quote, packet, message.dataAt, message.dataBytes) &&
      isHost4(gateway) &&
      !this.#parts.routing.isLocal(gateway) &&
      this.#parts.addresses.isOnLink(packet.link, gateway);
    if (!usable) return this.#refuse();
    this.#apply(packet, IpAddress.v4(quote.d3), IpAddress.v4(quote.s3), gateway);
  }

  /** ICMPv6 type 137, found valid as a message. */
  input6(packet: IpPacket): void {
    const { view, payloadAt } = packet;
    const target = IpAddress.read(view, payloadAt + 8, 6);
    const destination = IpAddress.read(view, payloadAt + 24, 6);
    const usable =
      this.#parts.options.acceptRedirects &&
      packet.payloadBytes >= REDIRECT6_BYTES &&
      packet.source().isLinkLocal &&
      !destination.isMulticast &&
      // The better first hop is a router, known by its link-local address, or the destination itself.
      (target.isLinkLocal || target.equals(destination));
    if (!usable) return this.#refuse();
    this.#apply(packet, destination, undefined, target);
  }

  #apply(packet: IpPacket, destination: IpAddress, source: IpAddress | undefined, gateway: IpAddress): void {
    const query = this.#query;
    const result = this.#result;
    query.setAddresses(destination, source);
    query.oif = packet.link;
    const found = this.#parts.routing.lookup(query, result);
    const { route } = result;
    const current = route === undefined ? undefined : this.#currentGateway(destination, route);
    if (
      !found ||
      route === undefined ||
      current?.equals(packet.source()) !== true ||
      current.equals(gateway)
    ) {
      return this.#refuse();
    }
    this.#parts.pathMtu.redirect(destination, route, gateway, packet.nowUs);
    this.#parts.routing.changed();
  }

  /** The gateway in use for a destination: by an earlier redirect or by route. */
  #currentGateway(destination: IpAddress, route: Route): IpAddress | undefined {
    return this.#parts.pathMtu.find(destination, route)?.gateway ?? this.#result.nexthop?.gateway;
  }

  #refuse(): void {
    this.#parts.stats.drop(DropReason.IcmpRedirect);
  }
}

/** Whether an address can be that of a gateway: no network 0, loopback, multicast or class E. */
const isHost4 = (address: IpAddress): boolean => {
  const top = address.w3 >>> 24;
  return top !== 0 && top !== 127 && top < 224;
};
