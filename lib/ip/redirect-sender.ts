/**
 * Telling a host of a better first hop: its packet leaves by the link it came in on, towards a neighbour of its own
 * (RFC 1812 §5.2.7.2, RFC 4861 §8.2). The packet is passed on all the same.
 */
import type { StackStats } from '../base/stats.js';
import { ICMP_HEADER_BYTES, Icmp4Type, Icmp6Type } from '../wire/icmp.js';
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV6_HEADER_BYTES, IPV6_MIN_MTU, Protocol } from '../wire/ipv6.js';
import type { AddressBook } from './addresses.js';
import type { IcmpResponder } from './icmp-responder.js';
import { Begin, type IpOutput } from './ip-output.js';
import type { LinkSettings } from './link-options.js';
import type { PathResolver } from './resolver.js';
import type { RouteResult } from './route-query.js';

/** A redirect for one host, and not for its whole network (RFC 1812 §5.2.7.2). */
const FOR_HOST = 1;
/** Of neighbour discovery: nothing with another hop limit comes from the link (RFC 4861 §8.2). */
const NEIGHBOUR_HOP_LIMIT = 255;
/** Target and destination of an ICMPv6 redirect, and the head of the option that quotes. */
const TARGETS_BYTES = 32;
const OPTION_BYTES = 8;
const REDIRECTED_HEADER = 4;
const CHECKSUM_OFFSET = 2;

interface RedirectSenderParts {
  readonly stats: StackStats;
  readonly settings: LinkSettings;
  readonly addresses: AddressBook;
  readonly responder: IcmpResponder;
  readonly resolver: PathResolver;
  readonly output: IpOutput;
}

const isLinkLocal6 = (address: IpAddress): boolean => address.family === 6 && address.isLinkLocal;

export class RedirectSender {
  readonly #parts: RedirectSenderParts;

  constructor(parts: RedirectSenderParts) {
    this.#parts = parts;
  }

  /** A packet goes back into the link it came from: its sender may hear of it, within the rate of errors. */
  consider(packet: IpPacket, way: RouteResult): void {
    if (!this.#parts.settings.of(packet.link).sendRedirects) return;
    const next = way.nexthop?.gateway ?? packet.destination();
    if (packet.version === 6) {
      if (this.#isUseful6(packet, next)) this.#send6(packet, next);
    } else if (this.#shareSubnet(packet.link, packet.source(), next)) {
      this.#parts.responder.sendAsRouter(packet, { type: Icmp4Type.Redirect, code: FOR_HOST, info: next.w3 });
    }
  }

  /** A host believes only in gateways of its own subnet (RFC 1122 §3.2.2.2). */
  #shareSubnet(link: number, source: IpAddress, next: IpAddress): boolean {
    return this.#parts.addresses.usable().some(({ port, address, length }) => {
      if (port !== link || address.family !== source.family) return false;
      const subnet = new IpPrefix(address, length);
      return subnet.contains(source) && subnet.contains(next);
    });
  }

  /** A router is known by its link-local address, and by no other; a destination by its own (RFC 4861 §8.2). */
  #isUseful6(packet: IpPacket, next: IpAddress): boolean {
    if (!this.#parts.addresses.isOnLink(packet.link, packet.source())) return false;
    return next.isLinkLocal || next.equals(packet.destination());
  }

  #send6(packet: IpPacket, target: IpAddress): void {
    const { addresses, resolver, responder, output, stats } = this.#parts;
    const own = addresses.usable().find(({ port, address }) => port === packet.link && isLinkLocal6(address));
    if (own === undefined) return;
    const destination = packet.source();
    const protocol = Protocol.Icmpv6;
    const path = resolver.resolve({ destination, source: own.address, protocol, oif: packet.link });
    if (path.unusable !== '' || !responder.mayRedirect(packet)) return;
    path.hopLimit = NEIGHBOUR_HOP_LIMIT;
    path.flowLabel = 0;
    const fixedBytes = ICMP_HEADER_BYTES + TARGETS_BYTES + OPTION_BYTES;
    const most = (IPV6_MIN_MTU - IPV6_HEADER_BYTES - fixedBytes) & ~7;
    // The option counts in units of eight bytes, and quotes no less.
    const quoteBytes = Math.min(packet.length & ~7, most);
    const length = fixedBytes + quoteBytes;
    if (output.begin(path, length) !== Begin.Ok) return;
    const { view, bytes, at } = output.out;
    view.setInt32(at, Icmp6Type.Redirect << 24);
    view.setInt32(at + 4, 0);
    target.write(view, at + ICMP_HEADER_BYTES);
    IpAddress.v6(packet.d0, packet.d1, packet.d2, packet.d3).write(view, at + ICMP_HEADER_BYTES + 16);
    const option = at + ICMP_HEADER_BYTES + TARGETS_BYTES;
    view.setInt32(option, (REDIRECTED_HEADER << 24) | (((OPTION_BYTES + quoteBytes) >> 3) << 16));
    view.setInt32(option + 4, 0);
    bytes.set(packet.bytes.subarray(packet.at, packet.at + quoteBytes), option + OPTION_BYTES);
    output.commit(path, length, CHECKSUM_OFFSET);
    stats.icmp.outMsgs++;
    stats.icmp.outRedirects++;
  }
}
