/**
 * Receiving: every packet that a link brings passes here, is checked from its first byte on, and goes up,
 * into reassembly, on to another link, or nowhere.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import { Icmp6Parameter, Icmp6Type } from '../wire/icmp.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_MF, IPV4_OFFSET_MASK, readIpv4 } from '../wire/ipv4.js';
import { IPV6_FRAGMENT_HEADER_BYTES, IPV6_MIN_MTU, Protocol, readIpv6 } from '../wire/ipv6.js';
import { FragmentInfo } from './datagram.js';
import type { Delivery } from './delivery.js';
import { ChainEnd, HeaderChain } from './extension-headers.js';
import { type PacketTranslator, Verdict } from './forward-hook.js';
import type { Forwarder } from './forwarder.js';
import type { IcmpResponder } from './icmp-responder.js';
import { IcmpErrorKind } from './interfaces.js';
import { checkOptions, OptionFault } from './ipv4-options.js';
import type { MartianLog } from './martian-log.js';
import type { IpOptions } from './options.js';
import type { PacketFilter } from './packet-filter.js';
import type { PortTable } from './ports.js';
import type { Reassembly } from './reassembly.js';

interface InputParts {
  readonly stats: StackStats;
  readonly options: IpOptions;
  readonly ports: PortTable;
  readonly filter: PacketFilter;
  readonly reassembly: Reassembly;
  readonly responder: IcmpResponder;
  readonly delivery: Delivery;
  readonly forwarder: Forwarder;
  readonly martians: MartianLog;
}

/** Octets at which Parameter Problems about fragments point: Payload Length, and within the Fragment header. */
const PAYLOAD_LENGTH_AT = 4;
const FRAGMENT_OFFSET_AT = 2;
const MAX_PAYLOAD = 65_535;
/** Bytes of transport header a first fragment must hold (RFC 1858 §3, RFC 3128). */
const leastBytes = (protocol: number): number =>
  protocol === Protocol.Tcp ? 20 : protocol === Protocol.Udp || protocol === Protocol.Icmp ? 8 : 1;

export class IpInput {
  readonly #parts: InputParts;
  readonly #stats: StackStats;
  readonly #chain: HeaderChain;
  readonly #fragment = new FragmentInfo();
  readonly #fault = new OptionFault();

  constructor(parts: InputParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
    this.#chain = new HeaderChain(parts.options);
  }

  /** A packet of which the place is known, and what its link said. It is lent for the call. */
  input(packet: IpPacket): void {
    this.#stats.ip.inReceives++;
    if (packet.length === 0) return this.#dropHeader(DropReason.IpEmpty);
    const version = packet.view.getUint8(packet.at) >> 4;
    if (version === 4) this.#input4(packet);
    else if (version === 6) this.#input6(packet);
    else this.#dropHeader(DropReason.IpVersion);
  }

  #input4(packet: IpPacket): void {
    const reason = readIpv4(packet);
    if (reason !== DropReason.None) return this.#dropHeader(reason);
    this.#stats.ip.countEcn(packet.ecn);
    const refusal = this.#parts.filter.vet4(packet);
    if (refusal !== DropReason.None) return this.#dropAddress(packet, refusal);
    const { translator } = this.#parts.forwarder;
    if (translator === undefined) this.#take4(packet);
    else this.#translate4(packet, translator);
  }

  /** Shows a packet to the translator, fragments once they are put together if it wants that. */
  #translate4(packet: IpPacket, translator: PacketTranslator): void {
    // Errors about it may be sent before anybody has found out whose it is.
    packet.cast = castOf4(packet);
    const verdict = translator.inbound(packet, packet.nowUs);
    if (verdict === Verdict.Accept) return this.#take4(packet);
    if (verdict !== Verdict.Reassemble) return;
    const whole = this.#reassemble4(packet);
    if (whole !== undefined && this.#passesWhole(whole, translator)) this.#take4(whole);
  }

  /** Shows the translator what it wanted to see whole. */
  #passesWhole(whole: IpPacket, translator: PacketTranslator): boolean {
    const verdict = translator.inbound(whole, whole.nowUs);
    // What it takes for a fragment still can only be one within another.
    if (verdict === Verdict.Reassemble) this.#dropHeader(DropReason.IpNested);
    return verdict === Verdict.Accept;
  }

  /** Brings a packet whose addresses can be to where it belongs. */
  #take4(packet: IpPacket): void {
    const { filter, forwarder } = this.#parts;
    const refusal = filter.admit(packet);
    if (refusal !== DropReason.None) return this.#dropAddress(packet, refusal);
    if (packet.payloadAt - packet.at > IPV4_HEADER_BYTES && !checkOptions(packet, this.#fault)) {
      return this.#badOptions(packet);
    }
    if (!filter.isTransit) this.#deliver4(packet);
    if (filter.isTransit || filter.isDirected) forwarder.forward(packet, filter.way);
  }

  #deliver4(packet: IpPacket): void {
    const { delivery, reassembly } = this.#parts;
    if (!isFragment4(packet)) {
      delivery.fragmented = reassembly.isOurs(packet);
      delivery.deliver(packet, packet.at + 9);
      return;
    }
    const whole = this.#reassemble4(packet);
    if (whole === undefined) return;
    delivery.fragmented = true;
    delivery.deliver(whole, 9);
  }

  #badOptions(packet: IpPacket): void {
    this.#dropHeader(this.#fault.reason);
    if (this.#fault.reason !== DropReason.IpOptions) return;
    const { filter, responder, forwarder } = this.#parts;
    const { pointer } = this.#fault;
    if (!filter.isTransit) return responder.error(packet, IcmpErrorKind.ParameterProblem, pointer);
    forwarder.translator?.restore(packet);
    responder.errorAsRouter(packet, IcmpErrorKind.ParameterProblem, pointer);
  }

  #reassemble4(packet: IpPacket): IpPacket | undefined {
    const fragment = packet.view.getUint16(packet.at + 6);
    const info = this.#fragment;
    info.identification = packet.view.getUint16(packet.at + 4);
    info.offset = (fragment & IPV4_OFFSET_MASK) * 8;
    info.more = (fragment & IPV4_MF) !== 0;
    info.dataAt = packet.payloadAt;
    info.dataBytes = packet.payloadBytes;
    info.headerBytes = packet.payloadAt - packet.at;
    info.nextHeaderOffset = 0;
    info.nextHeader = packet.protocol;
    const tiny =
      info.offset === 0 ? info.dataBytes < leastBytes(packet.protocol) : this.#overwritesFlags(packet, info);
    if (tiny && info.dataBytes > 0) {
      this.#stats.ip.reasmReqds++;
      this.#stats.ip.reasmFails++;
      this.#stats.drop(DropReason.FragmentTiny);
      return undefined;
    }
    return this.#parts.reassembly.accept(packet, info);
  }

  /** A second fragment that begins within the TCP header is an attack (RFC 1858 §4). */
  #overwritesFlags(packet: IpPacket, info: FragmentInfo): boolean {
    return packet.protocol === Protocol.Tcp && info.offset === 8;
  }

  #input6(packet: IpPacket): void {
    const reason = readIpv6(packet);
    if (reason !== DropReason.None) return this.#dropHeader(reason);
    this.#stats.ip.countEcn(packet.ecn);
    if ((this.#parts.ports.get(packet.link)?.mtu ?? 0) < IPV6_MIN_MTU) {
      return this.#dropAddress(packet, DropReason.IpDisabled);
    }
    const refusal = this.#parts.filter.vet6(packet);
    if (refusal !== DropReason.None) return this.#dropAddress(packet, refusal);
    const { translator } = this.#parts.forwarder;
    if (translator === undefined) this.#take6(packet);
    else this.#translate6(packet, translator);
  }

  #translate6(packet: IpPacket, translator: PacketTranslator): void {
    packet.cast = packet.d0 >>> 24 === 0xff ? Cast.Multicast : Cast.Unicast;
    const verdict = translator.inbound(packet, packet.nowUs);
    if (verdict === Verdict.Accept) return this.#take6(packet);
    if (verdict !== Verdict.Reassemble) return;
    // Headers that lead to no fragment are found wanting where the packet goes.
    if (this.#chain.walk(packet, false) !== ChainEnd.Fragment) return this.#take6(packet);
    const whole = this.#reassemble6(packet);
    if (whole !== undefined && this.#passesWhole(whole, translator)) this.#take6(whole);
  }

  #take6(packet: IpPacket): void {
    const { filter, delivery, reassembly } = this.#parts;
    const refusal = filter.admit(packet);
    if (refusal !== DropReason.None) return this.#dropAddress(packet, refusal);
    if (filter.isTransit) return this.#forward6(packet);
    const { protocol } = packet;
    const isAssembled = reassembly.isOurs(packet);
    if (!isAssembled && (protocol === Protocol.Tcp || protocol === Protocol.Udp)) {
      delivery.deliver(packet, packet.at + 6);
      return;
    }
    this.#followChain(packet, isAssembled);
  }

  /** Of those in passing, options and extension headers are not looked at (RFC 8200 §4). */
  #forward6(packet: IpPacket): void {
    const { filter, forwarder, reassembly } = this.#parts;
    // Its length would stand in an option (RFC 2675 §3), and what lies behind the header has been cut off.
    const isJumbo = packet.payloadBytes === 0 && packet.protocol === Protocol.HopByHop;
    if (isJumbo) this.#dropHeader(DropReason.IpLength);
    else forwarder.forward(packet, filter.way, reassembly.isOurs(packet));
  }

  /** Goes through the extension headers, of a packet as it came or as it was put together. */
  #followChain(packet: IpPacket, reassembled: boolean): void {
    const chain = this.#chain;
    const { delivery } = this.#parts;
    switch (chain.walk(packet, reassembled)) {
      case ChainEnd.Upper:
        packet.protocol = chain.protocol;
        packet.payloadAt = chain.payloadAt;
        packet.payloadBytes = packet.at + packet.length - chain.payloadAt;
        delivery.fragmented = chain.sawFragment;
        delivery.deliver(packet, chain.nextHeaderAt);
        return;
      case ChainEnd.Fragment: {
        const whole = this.#reassemble6(packet);
        if (whole !== undefined) this.#followChain(whole, true);
        return;
      }
      case ChainEnd.Problem:
        this.#dropHeader(chain.reason);
        this.#parameterProblem(packet, chain.code, chain.pointer);
        return;
      default:
        this.#dropHeader(chain.reason);
    }
  }

  #reassemble6(packet: IpPacket): IpPacket | undefined {
    const info = this.#fragment;
    const chain = this.#chain;
    const { view, at } = packet;
    const start = chain.fragmentAt;
    const field = view.getUint16(start + 2);
    info.identification = view.getInt32(start + 4);
    info.offset = field & 0xfff8;
    info.more = (field & 1) !== 0;
    info.dataAt = start + IPV6_FRAGMENT_HEADER_BYTES;
    info.dataBytes = at + packet.length - info.dataAt;
    info.headerBytes = start - at;
    info.nextHeaderOffset = chain.nextHeaderAt - at;
    info.nextHeader = view.getUint8(start);
    const { pointer, code, reason } = this.#fragmentProblem(packet, info);
    if (reason !== DropReason.None) {
      this.#stats.ip.reasmReqds++;
      this.#stats.ip.reasmFails++;
      this.#stats.drop(reason);
      this.#parameterProblem(packet, code, pointer);
      return undefined;
    }
    return this.#parts.reassembly.accept(packet, info);
  }

  /** What RFC 8200 §4.5 and RFC 7112 §5 say must be reported about a fragment. */
  #fragmentProblem(
    packet: IpPacket,
    info: FragmentInfo,
  ): { reason: DropReason; code: number; pointer: number } {
    if (info.more && (info.dataBytes & 7) !== 0) {
      return { reason: DropReason.FragmentSize, code: Icmp6Parameter.Header, pointer: PAYLOAD_LENGTH_AT };
    }
    // The header before the Fragment header counts in the payload of the whole, but for its first 40 bytes.
    if (info.headerBytes - 40 + info.offset + info.dataBytes > MAX_PAYLOAD) {
      const pointer = info.headerBytes + FRAGMENT_OFFSET_AT;
      return { reason: DropReason.FragmentSize, code: Icmp6Parameter.Header, pointer };
    }
    if (info.offset === 0 && !this.#chain.isWhole(packet)) {
      return { reason: DropReason.FragmentHeaderChain, code: Icmp6Parameter.FirstFragment, pointer: 0 };
    }
    return NO_PROBLEM;
  }

  #parameterProblem(packet: IpPacket, code: number, pointer: number): void {
    this.#parts.responder.send(packet, { type: Icmp6Type.ParameterProblem, code, info: pointer });
  }

  #dropHeader(reason: DropReason): void {
    if (reason === DropReason.IpLength) this.#stats.ip.inTruncatedPkts++;
    else this.#stats.ip.inHdrErrors++;
    this.#stats.drop(reason);
  }

  #dropAddress(packet: IpPacket, reason: DropReason): void {
    this.#parts.martians.note(packet, reason);
    if (reason === DropReason.IpNotForUs && this.#parts.filter.toMany) this.#stats.ip.inDiscards++;
    else this.#stats.ip.inAddrErrors++;
    this.#stats.drop(reason);
  }
}

/** To how many an IPv4 packet goes, as far as its address alone says it. */
function castOf4({ d3 }: IpPacket): Cast {
  if (d3 === -1) return Cast.Broadcast;
  return d3 >>> 28 === 14 ? Cast.Multicast : Cast.Unicast;
}

const isFragment4 = ({ view, at }: IpPacket): boolean =>
  (view.getUint16(at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0;

const NO_PROBLEM = { reason: DropReason.None, code: 0, pointer: 0 };
