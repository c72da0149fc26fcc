/**
 * The chain of IPv6 extension headers (RFC 8200 §4): walked once, bounded, up to the transport header,
 * to a Fragment header, or to the reason why the packet goes no further.
 */
import { DropReason } from '../base/stats.js';
import { Icmp6Parameter } from '../wire/icmp.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import { IPV6_FRAGMENT_HEADER_BYTES, IPV6_HEADER_BYTES, Protocol } from '../wire/ipv6.js';

/** Where a walk ended. */
export const ChainEnd = {
  /** At the transport header: `protocol`, `payloadAt`, `nextHeaderAt`. */
  Upper: 0,
  /** At a Fragment header that needs reassembly: `fragmentAt`, `nextHeaderAt`. */
  Fragment: 1,
  /** The packet is dropped without a word: `reason`. */
  Drop: 2,
  /** It is dropped, and a Parameter Problem may say why: `code`, `pointer`. */
  Problem: 3,
} as const;
export type ChainEnd = (typeof ChainEnd)[keyof typeof ChainEnd];

const PAD1 = 0;
const PADN = 1;
const ROUTER_ALERT = 5;

/** What the upper two bits of an unknown option's type ask for (RFC 8200 §4.2). */
const Unknown = { Skip: 0, Discard: 1, Report: 2, ReportUnicast: 3 } as const;

/** Bytes a first fragment must hold of transport headers (RFC 7112 §5). */
const leastBytes = (protocol: number): number =>
  protocol === Protocol.Tcp ? 20 : protocol === Protocol.Udp || protocol === Protocol.Icmpv6 ? 8 : 1;

export class HeaderChain {
  protocol = 0;
  payloadAt = 0;
  /** Where the Next Header field lies that named `protocol`, or the Fragment header. */
  nextHeaderAt = 0;
  fragmentAt = 0;
  /** Whether there was a Fragment header, be it one that needs no reassembly (RFC 6946). */
  sawFragment = false;
  reason: DropReason = DropReason.None;
  code = 0;
  pointer = 0;
  readonly #maxHeaders: number;
  readonly #maxOptions: number;

  constructor(limits: { readonly extensionHeaders: number; readonly optionsPerHeader: number }) {
    this.#maxHeaders = limits.extensionHeaders;
    this.#maxOptions = limits.optionsPerHeader;
  }

  /**
   * Walks the chain of a packet that has been read.
   * @param reassembled the packet was put together from fragments: another Fragment header is one too many
   */
  walk(packet: IpPacket, reassembled: boolean): ChainEnd {
    const { view, at: start } = packet;
    const end = start + packet.length;
    let next = packet.protocol;
    let at = packet.payloadAt;
    this.nextHeaderAt = start + 6;
    this.sawFragment = reassembled;
    for (let count = 0; isExtension(next); count++) {
      if (count >= this.#maxHeaders || end - at < 8) return this.#drop(DropReason.IpExtensionHeader);
      let bytes = (view.getUint8(at + 1) + 1) * 8;
      if (next === Protocol.Fragment) {
        bytes = IPV6_FRAGMENT_HEADER_BYTES;
        if (this.sawFragment) return this.#drop(DropReason.IpNested);
        this.sawFragment = true;
        // Offset 0 and nothing more to come: an atomic fragment is a packet like any other (RFC 6946 §4).
        this.fragmentAt = at;
        if ((view.getUint16(at + 2) & 0xfff9) !== 0) return ChainEnd.Fragment;
      } else {
        if (bytes > end - at) return this.#drop(DropReason.IpExtensionHeader);
        const outcome = this.#examine(packet, next, at, bytes);
        if (outcome !== ChainEnd.Upper) return outcome;
      }
      next = view.getUint8(at);
      this.nextHeaderAt = at;
      at += bytes;
    }
    this.protocol = next;
    this.payloadAt = at;
    if (next === Protocol.NoNextHeader) return this.#drop(DropReason.IpNoNextHeader);
    return ChainEnd.Upper;
  }

  /** Whether a first fragment holds every header up to and with the transport's. */
  isWhole(packet: IpPacket): boolean {
    const { view } = packet;
    const end = packet.at + packet.length;
    let next = view.getUint8(this.fragmentAt);
    let at = this.fragmentAt + IPV6_FRAGMENT_HEADER_BYTES;
    for (let count = 0; isExtension(next) && next !== Protocol.Fragment; count++) {
      if (count >= this.#maxHeaders || end - at < 8) return false;
      const bytes = (view.getUint8(at + 1) + 1) * 8;
      if (bytes > end - at) return false;
      next = view.getUint8(at);
      at += bytes;
    }
    return next === Protocol.NoNextHeader || end - at >= leastBytes(next);
  }

  #examine(packet: IpPacket, header: number, at: number, bytes: number): ChainEnd {
    const { view, at: start } = packet;
    if (header === Protocol.Routing) {
      // Segments left: this host is no way station, neither for type 0 (RFC 5095) nor for any other.
      return view.getUint8(at + 3) === 0
        ? ChainEnd.Upper
        : this.#problem(Icmp6Parameter.Header, at + 2 - start);
    }
    if (header === Protocol.HopByHop && at !== start + IPV6_HEADER_BYTES) {
      return this.#problem(Icmp6Parameter.NextHeader, this.nextHeaderAt - start);
    }
    return this.#options(packet, at + 2, at + bytes);
  }

  #options(packet: IpPacket, from: number, end: number): ChainEnd {
    const { view } = packet;
    let count = 0;
    for (let i = from; i < end; ) {
      const type = view.getUint8(i);
      if (type === PAD1) {
        i++;
        continue;
      }
      const next = i + 1 < end ? i + 2 + view.getUint8(i + 1) : end + 1;
      if (next > end) return this.#drop(DropReason.IpExtensionHeader);
      if (type !== PADN) {
        if (++count > this.#maxOptions) return this.#drop(DropReason.IpExtensionHeader);
        const action = type === ROUTER_ALERT ? Unknown.Skip : type >> 6;
        if (action === Unknown.Discard) return this.#drop(DropReason.IpExtensionHeader);
        if (action === Unknown.Report || (action === Unknown.ReportUnicast && packet.cast === Cast.Unicast)) {
          return this.#problem(Icmp6Parameter.Option, i - packet.at);
        }
        if (action === Unknown.ReportUnicast) return this.#drop(DropReason.IpExtensionHeader);
      }
      i = next;
    }
    return ChainEnd.Upper;
  }

  #drop(reason: DropReason): ChainEnd {
    this.reason = reason;
    return ChainEnd.Drop;
  }

  #problem(code: number, pointer: number): ChainEnd {
    this.reason = DropReason.IpExtensionHeader;
    this.code = code;
    this.pointer = pointer;
    return ChainEnd.Problem;
  }
}

/** Whether a Next Header value names a header that this walk goes through. */
export const isExtension = (next: number): boolean =>
  next === Protocol.HopByHop ||
  next === Protocol.Routing ||
  next === Protocol.Fragment ||
  next === Protocol.DestinationOptions;
