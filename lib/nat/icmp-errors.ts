/**
 * ICMP errors on their way through: they are about a packet that was translated, so what they quote is
 * translated back, and they are addressed to who sent it (RFC 5508 §4). They end no mapping and keep none alive
 * (RFC 4787 §9 REQ-12, RFC 5382 §7.3 REQ-10, RFC 5508 §4.3 REQ-6).
 */
import { DropReason } from '../base/drop-reason.js';
import { quotationBytes, readQuote } from '../ip/icmp-quote.js';
import { finishChecksum, foldSum, packetPseudoSum, sumBytes } from '../wire/checksum.js';
import { ICMP_HEADER_BYTES } from '../wire/icmp.js';
import { ChecksumState, IpPacket } from '../wire/ip-packet.js';
import type { Forwards } from './forwards.js';
import type { NatHost } from './host.js';
import type { MappingTable } from './mappings.js';
import type { NatStats } from './nat-stats.js';
import type { NatPaths } from './paths.js';
import { Endpoint, rewriteDestination, rewriteSource } from './rewrite.js';
import type { SessionTable } from './sessions.js';
import { Kind, TransportView } from './transport-view.js';

interface ErrorParts {
  readonly host: NatHost;
  readonly stats: NatStats;
  readonly sessions: SessionTable;
  readonly mappings: MappingTable;
  readonly forwards: Forwards;
  readonly paths: NatPaths;
}

/** What became of an error. */
export const ErrorOutcome = {
  /** It is translated. */
  Translated: 0,
  /** It is about nothing that was translated. */
  Foreign: 1,
  /** It is damaged: counted and dropped. */
  Dropped: 2,
} as const;
export type ErrorOutcome = (typeof ErrorOutcome)[keyof typeof ErrorOutcome];

export class IcmpErrors {
  readonly #parts: ErrorParts;
  readonly #quote = new IpPacket();
  readonly #quoteView = new TransportView();
  readonly #near = new Endpoint();
  readonly #far = new Endpoint();
  /** Who seems to send the error translated last, where whoever does is hidden. */
  readonly sender = new Endpoint();

  constructor(parts: ErrorParts) {
    this.#parts = parts;
  }

  /**
   * An error to an outside address, about a packet that left from there.
   * @param isHairpin whether it comes from the inside: then whom the packet was for is hidden too, and the error must
   *   leave from `sender`
   */
  inbound(packet: IpPacket, view: TransportView, isHairpin: boolean): ErrorOutcome {
    if (!this.#aim(packet, view)) return ErrorOutcome.Foreign;
    const quote = this.#quote;
    const near = this.#near;
    const isOurs =
      quote.s3 === packet.d3 && quote.s2 === packet.d2 && quote.s1 === packet.d1 && quote.s0 === packet.d0;
    if (!isOurs || this.#quoteView.kind === Kind.Reply) return ErrorOutcome.Foreign;
    near.set(quote.s0, quote.s1, quote.s2, quote.s3);
    near.port = this.#quoteView.sourcePort(quote);
    this.#far.set(quote.d0, quote.d1, quote.d2, quote.d3);
    this.#far.port = this.#quoteView.destinationPort(quote);
    const inside = this.#insideOf(near);
    if (inside === undefined) return ErrorOutcome.Foreign;
    if (!this.#isSound(packet, view)) return this.#drop();
    this.sender.set(near.w0, near.w1, near.w2, near.w3);
    const { protocol } = this.#quoteView;
    rewriteSource(quote, this.#quoteView, inside);
    if (isHairpin) {
      const { paths } = this.#parts;
      if (paths.outsideOf(protocol, this.#far)) rewriteDestination(quote, this.#quoteView, paths.outside);
    }
    view.checksumAt = 0;
    rewriteDestination(packet, view, inside);
    return this.#finish(packet, view);
  }

  /** An error that leaves, about a packet that came in from the outside. */
  outbound(packet: IpPacket, view: TransportView): ErrorOutcome {
    if (!this.#aim(packet, view) || this.#quoteView.kind === Kind.Query) return ErrorOutcome.Foreign;
    const quote = this.#quote;
    const near = this.#near;
    near.set(quote.d0, quote.d1, quote.d2, quote.d3);
    near.port = this.#quoteView.destinationPort(quote);
    this.#far.set(quote.s0, quote.s1, quote.s2, quote.s3);
    this.#far.port = this.#quoteView.sourcePort(quote);
    const outside = this.#outsideOf(near);
    if (outside === undefined) return ErrorOutcome.Foreign;
    if (!this.#isSound(packet, view)) return this.#drop();
    this.sender.set(outside.w0, outside.w1, outside.w2, outside.w3);
    rewriteDestination(quote, this.#quoteView, outside);
    this.#hideSender(packet, view);
    return this.#finish(packet, view);
  }

  /**
   * A packet that has left, and that this stack itself is about to report on: it is again as it came.
   * @param isFromOutside whether its source, as it is now, is outside, and not one that was never hidden
   * @returns whether it was translated
   */
  revert(packet: IpPacket, isFromOutside: boolean): boolean {
    const quote = this.#quote;
    const view = this.#quoteView;
    const near = this.#near;
    const far = this.#far;
    if (!readQuote(quote, packet, packet.at, packet.length)) return false;
    const kind = view.aimQuote(quote);
    if (kind !== Kind.Flow && kind !== Kind.Query && kind !== Kind.Reply) return false;
    near.set(quote.d0, quote.d1, quote.d2, quote.d3);
    near.port = view.destinationPort(quote);
    far.set(quote.s0, quote.s1, quote.s2, quote.s3);
    far.port = kind === Kind.Reply ? 0 : view.sourcePort(quote);
    const entered = isFromOutside && kind !== Kind.Query ? this.#outsideOf(near) : undefined;
    if (entered !== undefined) rewriteDestination(packet, view, entered);
    // Between two hosts inside, both ends are hidden.
    near.set(packet.s0, packet.s1, packet.s2, packet.s3);
    near.port = far.port;
    far.set(packet.d0, packet.d1, packet.d2, packet.d3);
    far.port = view.destinationPort(packet);
    const left = kind === Kind.Reply ? undefined : this.#parts.sessions.findOuter(view.protocol, near, far);
    if (left !== undefined) rewriteSource(packet, view, left.mapping.inside);
    return entered !== undefined || left !== undefined;
  }

  #aim(packet: IpPacket, view: TransportView): boolean {
    const { version } = packet;
    const type = packet.view.getUint8(view.at);
    const word = packet.view.getInt32(view.at + 4);
    const bytes = quotationBytes(version, type, word, view.bytes - ICMP_HEADER_BYTES);
    if (!readQuote(this.#quote, packet, view.at + ICMP_HEADER_BYTES, bytes)) return false;
    const kind = this.#quoteView.aimQuote(this.#quote);
    return kind === Kind.Flow || kind === Kind.Query || kind === Kind.Reply;
  }

  #insideOf(near: Endpoint): Endpoint | undefined {
    const { sessions, mappings, forwards, paths } = this.#parts;
    const { protocol } = this.#quoteView;
    const session = sessions.findOuter(protocol, near, this.#far);
    if (session !== undefined) return session.mapping.inside;
    const mapping = mappings.findOutside(protocol, near);
    if (mapping !== undefined) return mapping.inside;
    return forwards.lead(protocol, near, paths.inside) ? paths.inside : undefined;
  }

  #outsideOf(near: Endpoint): Endpoint | undefined {
    const { sessions, paths } = this.#parts;
    const { protocol } = this.#quoteView;
    const session = sessions.findInner(protocol, near, this.#far);
    if (session !== undefined) return session.mapping.outside;
    return paths.outsideOf(protocol, near) ? paths.outside : undefined;
  }

  /**
   * Whether the checksum of the message holds, and that of the IP header it quotes; that of the transport is not
   * looked at (RFC 5508 §4.1 REQ-3).
   */
  #isSound(packet: IpPacket, view: TransportView): boolean {
    if (packet.checksum !== ChecksumState.Valid && foldSum(messageSum(packet, view)) !== 0xffff) return false;
    const quote = this.#quote;
    return (
      quote.version === 6 || foldSum(sumBytes(quote.view, quote.at, quote.payloadAt - quote.at)) === 0xffff
    );
  }

  /** Whoever inside reports the error, it comes from the outside address the packet was for. */
  #hideSender(packet: IpPacket, view: TransportView): void {
    view.checksumAt = 0;
    rewriteSource(packet, view, this.sender);
  }

  #finish(packet: IpPacket, view: TransportView): ErrorOutcome {
    const at = view.at + 2;
    view.checksumAt = at;
    packet.view.setUint16(at, 0);
    packet.view.setUint16(at, finishChecksum(messageSum(packet, view)));
    this.#parts.stats.icmpErrors++;
    return ErrorOutcome.Translated;
  }

  #drop(): ErrorOutcome {
    this.#parts.stats.icmpDropped++;
    this.#parts.host.drop(DropReason.NatIcmpError);
    return ErrorOutcome.Dropped;
  }
}

function messageSum(packet: IpPacket, view: TransportView): number {
  const pseudo = packet.version === 4 ? 0 : packetPseudoSum(packet, view.protocol, view.bytes);
  return sumBytes(packet.view, view.at, view.bytes, pseudo);
}
