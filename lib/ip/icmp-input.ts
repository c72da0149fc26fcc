/**
 * ICMP that comes in: echo requests are answered, replies and errors brought to whoever sent what they
 * are about, everything obsolete ignored.
 *
 * Ignored on purpose: source quench (RFC 6633), timestamp, information, address mask, router discovery and
 * traceroute messages (RFC 6918), neighbour discovery (links that have neighbours keep it to themselves). A timestamp
 * request would tell our clock to strangers for no use.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import { foldSum, packetChecksumHolds, sumBytes } from '../wire/checksum.js';
import { Icmp4Type, Icmp6Type, IcmpMessage } from '../wire/icmp.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import type { EchoListeners } from './echo.js';
import type { ForeignPackets } from './foreign-packets.js';
import { errorKind4, errorKind6, errorMtu, quotationBytes, ReceivedError, readQuote } from './icmp-quote.js';
import type { IcmpResponder } from './icmp-responder.js';
import { IcmpErrorKind, type Transport } from './interfaces.js';
import { isMld } from './multicast/mld.js';
import { isNeighborDiscovery, isValidNeighborDiscovery } from './ndp-check.js';
import type { IpOptions } from './options.js';
import { plateauBelow } from './path-mtu.js';
import type { Redirects } from './redirects.js';

interface IcmpParts {
  readonly stats: StackStats;
  readonly options: IpOptions;
  readonly responder: IcmpResponder;
  readonly echo: EchoListeners;
  readonly foreign: ForeignPackets;
  readonly redirects: Redirects;
  /** The transport of a protocol. */
  transport(protocol: number): Transport | undefined;
  /** Whether an address, as words of its family, is ours. */
  isOurs(w0: number, w1: number, w2: number, w3: number): boolean;
  /** Whether the packet being handled had a Fragment header. */
  wasFragmented(): boolean;
  /** Believes what an error about an own packet says of the path MTU. */
  learnPathMtu(quote: IpPacket, mtu: number): void;
  /** Hears an MLD message. */
  listenerMessage(packet: IpPacket): void;
}

export class IcmpInput {
  readonly #parts: IcmpParts;
  readonly #stats: StackStats;
  readonly #message = new IcmpMessage();
  readonly #error = new ReceivedError();

  constructor(parts: IcmpParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
  }

  /**
   * Whether a message to an address that is not ours may be about what was sent from it: an error that quotes a
   * packet from just there, of a protocol that is taken for any address.
   */
  concernsForeign(packet: IpPacket): boolean {
    const message = this.#message;
    if (!message.parse(packet.view, packet.payloadAt, packet.payloadBytes)) return false;
    const { type, code, word, dataAt, dataBytes } = message;
    if (!isForeignKind(packet.version, type) || isEcho(packet.version, type)) return false;
    if (packet.version === 4 && errorKind4(type, code) === 0) return false;
    const { quote } = this.#error;
    const bytes = quotationBytes(packet.version, type, word, dataBytes);
    return readQuote(quote, packet, dataAt, bytes) && this.#isOfForeign(packet, quote);
  }

  /** An ICMPv4 message to us. */
  input4(packet: IpPacket): void {
    const { view, payloadAt, payloadBytes } = packet;
    this.#stats.icmp.inMsgs++;
    const message = this.#message;
    if (!message.parse(view, payloadAt, payloadBytes)) return this.#bad(DropReason.IcmpHeader);
    if (
      packet.checksum !== ChecksumState.Valid &&
      foldSum(sumBytes(view, payloadAt, payloadBytes)) !== 0xffff
    ) {
      this.#stats.icmp.inCsumErrors++;
      return this.#bad(DropReason.IcmpChecksum);
    }
    const { type } = message;
    if (packet.isForeign && !isForeignKind(4, type)) return decline(packet);
    if (type === Icmp4Type.Echo) return this.#echo(packet, this.#parts.options.echoBroadcast);
    if (type === Icmp4Type.EchoReply) return this.#echoReply(packet);
    if (type === Icmp4Type.Redirect) {
      this.#stats.icmp.inRedirects++;
      return this.#parts.redirects.input4(packet, message);
    }
    const kind = errorKind4(type, message.code);
    if (kind === 0) return this.#stats.drop(DropReason.IcmpIgnored);
    this.#errorAbout(packet, kind);
  }

  /** An ICMPv6 message to us. */
  input6(packet: IpPacket): void {
    const { view, payloadAt, payloadBytes } = packet;
    this.#stats.icmp.inMsgs++;
    const message = this.#message;
    if (!message.parse(view, payloadAt, payloadBytes)) return this.#bad(DropReason.IcmpHeader);
    if (packet.checksum !== ChecksumState.Valid && !packetChecksumHolds(packet, payloadBytes)) {
      this.#stats.icmp.inCsumErrors++;
      return this.#bad(DropReason.IcmpChecksum);
    }
    const { type } = message;
    if (packet.isForeign && !isForeignKind(6, type)) return decline(packet);
    if (type === Icmp6Type.Echo) return this.#echo(packet, this.#parts.options.echoMulticast6);
    if (type === Icmp6Type.EchoReply) return this.#echoReply(packet);
    if (isNeighborDiscovery(type)) return this.#neighborDiscovery(packet, type);
    if (isMld(type)) return this.#parts.listenerMessage(packet);
    if (type >= 128) return this.#stats.drop(DropReason.IcmpIgnored);
    this.#errorAbout(packet, errorKind6(type, message.code));
  }

  #bad(reason: DropReason): void {
    this.#stats.icmp.inErrors++;
    this.#stats.drop(reason);
  }

  #echo(packet: IpPacket, toMany: boolean): void {
    this.#stats.icmp.inEchos++;
    const { options, responder, echo } = this.#parts;
    const isToOne = packet.cast === Cast.Unicast;
    if (options.echoReplies && !packet.isForeign && (isToOne || toMany)) {
      responder.echo(packet, packet.payloadBytes);
      return;
    }
    if (isToOne && echo.onStranger?.(packet) === true) return;
    if (packet.isForeign) decline(packet);
    else this.#stats.drop(DropReason.IcmpIgnored);
  }

  #echoReply(packet: IpPacket): void {
    this.#stats.icmp.inEchoReps++;
    const message = this.#message;
    const listener = this.#parts.echo.get(message.identifier);
    if (listener === undefined) {
      this.#stats.drop(DropReason.IcmpNoSocket);
      return;
    }
    const { sequence, dataAt, dataBytes } = message;
    listener.reply(packet, { sequence, dataAt, dataBytes });
  }

  #neighborDiscovery(packet: IpPacket, type: number): void {
    if (!isValidNeighborDiscovery(packet, packet.payloadBytes, this.#parts.wasFragmented())) {
      this.#bad(DropReason.IcmpHeader);
    } else if (type === Icmp6Type.Redirect) {
      this.#stats.icmp.inRedirects++;
      this.#parts.redirects.input6(packet);
    } else {
      this.#stats.drop(DropReason.IcmpIgnored);
    }
  }

  /** Brings an error to the transport whose packet it quotes. */
  #errorAbout(packet: IpPacket, kind: IcmpErrorKind): void {
    const message = this.#message;
    const error = this.#error;
    this.#countError(kind);
    const { type, code, word, dataAt } = message;
    const bytes = quotationBytes(packet.version, type, word, message.dataBytes);
    const { quote } = error;
    if (!readQuote(quote, packet, dataAt, bytes)) return this.#unmatched(packet);
    // What we never sent is nobody's business: the quoted source must be ours (RFC 5927 §4).
    if (!this.#isOurs(packet, quote)) return this.#unmatched(packet);
    error.kind = kind;
    error.type = type;
    error.code = code;
    error.mtu = kind === IcmpErrorKind.PacketTooBig ? errorMtu(packet.version, word) : 0;
    if (kind === IcmpErrorKind.PacketTooBig && packet.version === 4 && error.mtu === 0) {
      // A router that names no MTU: the next of RFC 1191's plateaus below what did not fit.
      error.mtu = plateauBelow(packet.view.getUint16(quote.at + 2));
    }
    error.reporter = packet;
    const icmp = packet.version === 4 ? Protocol.Icmp : Protocol.Icmpv6;
    if (quote.protocol === icmp) {
      this.#echoError(error);
      return;
    }
    const transport = this.#parts.transport(quote.protocol);
    if (transport === undefined) return this.#unmatched(packet);
    transport.icmpError(error);
  }

  /** Whether what `packet` quotes has a source of ours, or one that we take packets for. */
  #isOurs(packet: IpPacket, quote: IpPacket): boolean {
    if (packet.isForeign) return this.#isOfForeign(packet, quote);
    return this.#parts.isOurs(quote.s0, quote.s1, quote.s2, quote.s3);
  }

  /** Who sent the quoted packet is who the error goes to (RFC 792): another is none of a flow of ours. */
  #isOfForeign(packet: IpPacket, quote: IpPacket): boolean {
    const isSent =
      quote.s3 === packet.d3 && quote.s2 === packet.d2 && quote.s1 === packet.d1 && quote.s0 === packet.d0;
    return isSent && this.#parts.foreign.has(quote.protocol);
  }

  /** An error about an echo request of ours. */
  #echoError(error: ReceivedError): void {
    const { quote } = error;
    const request = quote.version === 4 ? Icmp4Type.Echo : Icmp6Type.Echo;
    const listener =
      quote.view.getUint8(quote.payloadAt) === request
        ? this.#parts.echo.get(quote.view.getUint16(quote.payloadAt + 4))
        : undefined;
    if (listener === undefined) return this.#unmatched(error.reporter);
    if (error.kind === IcmpErrorKind.PacketTooBig) this.#parts.learnPathMtu(quote, error.mtu);
    listener.error(error, quote.view.getUint16(quote.payloadAt + 6));
  }

  #unmatched(packet: IpPacket): void {
    if (packet.isForeign) return decline(packet);
    this.#stats.icmp.inUnmatched++;
    this.#stats.drop(DropReason.IcmpQuote);
  }

  #countError(kind: IcmpErrorKind): void {
    const icmp = this.#stats.icmp;
    if (kind === IcmpErrorKind.PacketTooBig) icmp.inPktTooBigs++;
    else if (kind === IcmpErrorKind.TimeExceeded) icmp.inTimeExcds++;
    else if (kind === IcmpErrorKind.ParameterProblem) icmp.inParmProbs++;
    else icmp.inDestUnreachs++;
  }
}

const isEcho = (version: number, type: number): boolean =>
  type === (version === 4 ? Icmp4Type.Echo : Icmp6Type.Echo);

/** What of ICMP may be taken for somebody else: echo requests and errors. */
function isForeignKind(version: number, type: number): boolean {
  if (version === 6) return type <= Icmp6Type.Echo;
  return type === Icmp4Type.Echo || errorKind4(type, 0) !== 0;
}

function decline(packet: IpPacket): void {
  packet.isDeclined = true;
}
