/**
 * Which packets for addresses that are not ours come in all the same: those of protocols that somebody takes for
 * any address, and ICMP errors, which may be about what was sent from such an address. Without takers there are none.
 */
import { invariant } from '../base/errors.js';
import { Icmp4Type } from '../wire/icmp.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV4_MF, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { IPV6_FRAGMENT_HEADER_BYTES, Protocol } from '../wire/ipv6.js';
import { isExtension } from './extension-headers.js';

/** Extension headers looked behind; a packet with more is let in, and judged by the chain walk. */
const MAX_HEADERS = 8;

export class ForeignPackets {
  readonly #users = new Uint32Array(256);
  #total = 0;
  /** What `#findUpper` has found: a protocol, -1 for none that could be told, and where its header is. */
  #protocol = -1;
  #at = 0;

  /** One more, or one less, takes a protocol of both families for any address. */
  take(protocol: number, take: boolean): void {
    invariant(take || this.#users[protocol] > 0, 'who ends taking a protocol has begun it');
    this.#users[protocol] += take ? 1 : -1;
    this.#total += take ? 1 : -1;
  }

  /** Whether somebody takes a protocol for any address. */
  has(protocol: number): boolean {
    return this.#users[protocol] > 0;
  }

  /** Whether a packet for somebody else is let in, of which only the IP header has been read. */
  admits(packet: IpPacket): boolean {
    if (this.#total === 0) return false;
    if (packet.version === 4) {
      if (packet.s3 === 0) return false;
      return this.has(packet.protocol) || (packet.protocol === Protocol.Icmp && isError4(packet));
    }
    if ((packet.s0 | packet.s1 | packet.s2 | packet.s3) === 0) return false;
    this.#findUpper(packet);
    const protocol = this.#protocol;
    return protocol < 0 || this.has(protocol) || (protocol === Protocol.Icmpv6 && this.#isError6(packet));
  }

  /** Follows the chain of extension headers, as far as it can without believing more than it must. */
  #findUpper(packet: IpPacket): void {
    const { view } = packet;
    const end = packet.at + packet.length;
    let next = packet.protocol;
    let at = packet.payloadAt;
    this.#protocol = -1;
    for (let count = 0; isExtension(next); count++) {
      if (count >= MAX_HEADERS || end - at < 8) return;
      const isFragment = next === Protocol.Fragment;
      const isLater = isFragment && (view.getUint16(at + 2) & 0xfff8) !== 0;
      next = view.getUint8(at);
      at += isFragment ? IPV6_FRAGMENT_HEADER_BYTES : (view.getUint8(at + 1) + 1) * 8;
      // Behind the first fragment lies no header: what the first one begins with is all there is to know.
      if (isLater && isExtension(next)) return;
    }
    this.#protocol = next;
    this.#at = at;
  }

  #isError6(packet: IpPacket): boolean {
    return this.#at < packet.at + packet.length && packet.view.getUint8(this.#at) < 128;
  }
}

/** Errors are never fragmented: they quote no more than fits everywhere (RFC 1812 §4.3.2.3). */
function isError4({ view, at, payloadAt, payloadBytes }: IpPacket): boolean {
  if (payloadBytes === 0 || (view.getUint16(at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0) return false;
  const type = view.getUint8(payloadAt);
  return (
    type === Icmp4Type.Unreachable || type === Icmp4Type.TimeExceeded || type === Icmp4Type.ParameterProblem
  );
}
