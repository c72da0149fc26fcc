/**
 * The listening side of the handshake (RFC 9293 §3.10.7.2): SYNs become half-open records, or cookies
 * when there are too many, and the last ACK makes either a connection.
 */
import { type Seq, seqAdd } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import type { SynOptions } from '../wire/tcp-options.js';
import { Acceptance, type AcceptanceHost } from './acceptance.js';
import { interfaceTransportBytes, ownPath, type SegmentPath } from './carrier.js';
import type { PassiveHandshake } from './connection-parameters.js';
import { COOKIES_AFTER_OVERFLOW_US, CookieHandshake } from './cookie-handshake.js';
import { FastOpenServer, withCookie } from './fast-open-passive.js';
import { HalfOpen, type SynAck, writeSynAck } from './half-open.js';
import { announcedMss, answer, negotiate, offer } from './handshake.js';
import { answerAcknowledged, answerAgain, answerSyn, synAgain } from './handshake-ecn.js';
import type { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import type { TcpListener } from './listener.js';
import { applyIpOptions, routeOptions } from './route-options.js';
import type { TcpSegment } from './segment.js';
import type { StatelessReplies } from './stateless.js';
import type { Tuple } from './tuple.js';

/** The layer's books, as far as handshakes change them. */
export interface PassiveOpenHost extends AcceptanceHost {
  readonly connections: number;
  /** Half-open records of all listeners; and connections that take the place of one. */
  halfOpen: number;
  readonly handshaking: number;
  addHalfOpen(record: HalfOpen, deadlineUs: number): void;
  rearmHalfOpen(record: HalfOpen, deadlineUs: number): void;
  removeHalfOpen(record: HalfOpen): void;
}

export class PassiveOpen {
  readonly #context: TcpContext;
  readonly #host: PassiveOpenHost;
  readonly #sequences: InitialSequence;
  readonly #replies: StatelessReplies;
  readonly #cookies: CookieHandshake;
  readonly #acceptance: Acceptance;
  readonly #fastOpen: FastOpenServer;

  constructor(context: TcpContext, host: PassiveOpenHost, parts: PassiveOpenParts) {
    this.#context = context;
    this.#host = host;
    this.#sequences = parts.sequences;
    this.#replies = parts.replies;
    this.#cookies = new CookieHandshake(context, parts.sequences);
    this.#acceptance = new Acceptance(context, host, parts.sequences);
    this.#fastOpen = new FastOpenServer(context);
  }

  /**
   * A segment for a listener.
   * @param iss sequence number to begin with, where a TIME-WAIT record demands one
   */
  listenArrived(listener: TcpListener, packet: IpPacket, segment: TcpSegment, iss?: Seq): void {
    const { stats } = this.#context;
    if (segment.has(TcpFlag.RST)) {
      stats.drop(DropReason.TcpReset);
      return;
    }
    if (segment.has(TcpFlag.ACK)) {
      if (!segment.has(TcpFlag.SYN) && this.#cookieArrived(listener, packet, segment)) return;
      stats.drop(DropReason.TcpNoConnection);
      this.#replies.reset(packet, segment);
      return;
    }
    // A SYN with a FIN asks for nothing sensible, and other segments for nothing at all.
    if (!segment.has(TcpFlag.SYN) || segment.has(TcpFlag.FIN)) {
      stats.drop(DropReason.TcpSynFlags);
      return;
    }
    this.#synArrived(listener, packet, segment, iss);
  }

  #synArrived(listener: TcpListener, packet: IpPacket, segment: TcpSegment, iss: Seq | undefined): void {
    const { stats, options } = this.#context;
    if (listener.isAcceptQueueFull) {
      stats.tcp.listenOverflows++;
      stats.tcp.listenDrops++;
      stats.drop(DropReason.TcpAcceptQueueFull);
      return;
    }
    const { connections, halfOpen, handshaking } = this.#host;
    if (connections + halfOpen >= options.maxConnections) {
      stats.tcp.listenDrops++;
      stats.drop(DropReason.TcpConnectionLimit);
      return;
    }
    const hasRoom = halfOpen + handshaking < options.maxHalfOpen;
    const isFull = listener.isSynQueueFull || !hasRoom;
    if (isFull) listener.lastOverflowUs = segment.nowUs;
    if (iss !== undefined && hasRoom) {
      // The number must lie beyond that of the old connection, which a cookie cannot promise; and each such
      // peer has proven that it is real (as in Linux).
      this.#begin(listener, packet, segment, iss);
    } else if (options.synCookies === 'always' || (isFull && options.synCookies === 'overflow')) {
      listener.lastOverflowUs = segment.nowUs;
      this.#sendCookie(listener, packet, segment);
    } else if (isFull) {
      stats.tcp.listenDrops++;
      stats.drop(DropReason.TcpSynQueueFull);
    } else {
      this.#begin(listener, packet, segment, iss);
    }
  }

  #begin(listener: TcpListener, packet: IpPacket, segment: TcpSegment, iss: Seq | undefined): void {
    const path = this.#synAckPath(listener, packet, segment);
    if (path.unusable !== '') return;
    const tuple = tupleOf(listener, path, segment);
    const ours = this.#offer(listener, path);
    const fastOpen = this.#fastOpen.examine(listener, tuple, segment);
    const offered = withCookie(answer(ours, segment), fastOpen?.cookie);
    const record = new HalfOpen({
      listener,
      tuple,
      path,
      iss: iss ?? this.#sequences.next(tuple, segment.nowUs),
      negotiated: negotiate(ours, segment, tuple.local.family),
      offered,
      ecn: answerSyn(offered, listener.options.ecn, segment),
      timestampOffset: this.#sequences.timestampOffset(tuple),
      nowUs: segment.nowUs,
    });
    if (fastOpen?.place !== undefined) {
      const place = { listener, tuple, path, iss: record.iss, record: undefined };
      this.#acceptance.openEarly(place, handshakeOf(record, 0, segment.nowUs), fastOpen.place, segment);
      return;
    }
    listener.halfOpen++;
    listener.young++;
    this.#host.halfOpen++;
    this.#host.addHalfOpen(record, segment.nowUs + listener.options.initialRtoMs * 1000);
    record.transmissions = 1;
    this.#sendSynAck(record, segment.nowUs);
  }

  /** A half-open record's timer: the SYN-ACK again, or the end (Linux `tcp_synack_retries`). */
  halfOpenExpired(record: HalfOpen, nowUs: number): void {
    const { stats, options } = this.#context;
    const { listener } = record;
    if (record.transmissions > listener.synAckRetries(options.synAckRetries)) {
      stats.tcp.attemptFails++;
      this.remove(record);
      return;
    }
    const rtoUs = listener.options.initialRtoMs * 1000 * 2 ** record.transmissions;
    if (record.transmissions === 1) listener.young--;
    record.transmissions++;
    stats.tcp.retransSegs++;
    stats.tcp.synRetrans++;
    answerAgain(record.offered, record.ecn, record.transmissions);
    this.#host.rearmHalfOpen(record, nowUs + Math.min(rtoUs, listener.options.rtoMaxMs * 1000));
    this.#sendSynAck(record, nowUs);
  }

  /** The listener is gone: the peer hears of it (RFC 9293 §3.10.4). */
  reset(record: HalfOpen): void {
    this.#replies.resetHalfOpen(record);
    this.remove(record);
  }

  remove(record: HalfOpen): void {
    this.#leave(record);
    this.#host.removeHalfOpen(record);
  }

  #leave(record: HalfOpen): void {
    const { listener } = record;
    listener.halfOpen--;
    if (record.transmissions === 1) listener.young--;
    this.#host.halfOpen--;
  }

  /** A segment for a half-open record (RFC 9293 §3.10.7.4 as far as it applies, Linux `tcp_check_req`). */
  halfOpenArrived(record: HalfOpen, packet: IpPacket, segment: TcpSegment): void {
    const { stats } = this.#context;
    if (this.#isOldTimestamp(record, segment)) {
      stats.tcp.pawsEstab++;
      stats.drop(DropReason.TcpPaws);
      this.#replyLimited(record, segment);
      return;
    }
    if (record.isRepeatedSyn(segment)) {
      if (synAgain(record.offered, record.ecn, record.listener.options.ecn, segment)) {
        this.#replyLimited(record, segment);
      } else {
        this.#resetArrived(record, packet, segment);
      }
      return;
    }
    if (!record.isInWindow(segment)) {
      stats.drop(DropReason.TcpOutOfWindow);
      if (!segment.has(TcpFlag.RST)) this.#replyLimited(record, segment);
      return;
    }
    if (segment.has(TcpFlag.RST) || segment.has(TcpFlag.SYN)) {
      this.#resetArrived(record, packet, segment);
      return;
    }
    if (!segment.has(TcpFlag.ACK)) {
      stats.drop(DropReason.TcpNoAckFlag);
      return;
    }
    if (segment.ack !== seqAdd(record.iss, 1)) {
      stats.drop(DropReason.TcpAckUnacceptable);
      this.#replies.reset(packet, segment);
      return;
    }
    this.#complete(record, packet, segment);
  }

  /** An exact RST ends it quietly; another in the window, or another SYN, is no friend's (RFC 5961 §3.2). */
  #resetArrived(record: HalfOpen, packet: IpPacket, segment: TcpSegment): void {
    const { stats } = this.#context;
    if (segment.has(TcpFlag.RST)) {
      stats.drop(DropReason.TcpReset);
      if (segment.sequence !== record.rcvNxt) {
        this.#replyLimited(record, segment);
        return;
      }
    } else {
      stats.drop(DropReason.TcpSynInWindow);
      this.#replies.reset(packet, segment);
    }
    stats.tcp.embryonicRsts++;
    stats.tcp.attemptFails++;
    this.remove(record);
  }

  /** An ICMP error quoted our SYN-ACK (RFC 5927): hard ones end the attempt. */
  halfOpenUnreachable(record: HalfOpen, quotedSequence: Seq): boolean {
    if (quotedSequence !== record.iss) return false;
    this.#context.stats.tcp.attemptFails++;
    this.remove(record);
    return true;
  }

  #complete(record: HalfOpen, packet: IpPacket, segment: TcpSegment): void {
    const { stats, options } = this.#context;
    const { listener } = record;
    if (listener.isAcceptQueueFull) {
      stats.tcp.listenOverflows++;
      stats.drop(DropReason.TcpAcceptQueueFull);
      if (options.abortOnOverflow) {
        this.#replies.reset(packet, segment);
        this.remove(record);
      }
      return;
    }
    const rttUs = record.transmissions === 1 ? Math.max(1, segment.nowUs - record.arrivedAtUs) : 0;
    this.#leave(record);
    answerAcknowledged(record.ecn, segment);
    const handshake = handshakeOf(record, rttUs, segment.nowUs);
    const { tuple, path, iss } = record;
    this.#acceptance.complete({ listener, tuple, path, iss, record }, handshake, segment);
  }

  /** The way of a SYN-ACK: a shared one, unless the options ask for an IP header of its own. */
  #synAckPath(listener: TcpListener, packet: IpPacket, segment: TcpSegment): SegmentPath {
    const { options } = listener;
    const reply = this.#context.carrier.resolveReply(packet);
    const { link } = listener.claim;
    const isPlain = options.hopLimit === 0 && options.trafficClass === 0 && link <= 0;
    if (reply.unusable !== '' || isPlain) return reply;
    const path = ownPath(this.#context.carrier, tupleOf(listener, reply, segment), reply, link);
    applyIpOptions(options, path);
    return path;
  }

  // ---- cookies --------------------------------------------------------------------------------

  #sendCookie(listener: TcpListener, packet: IpPacket, segment: TcpSegment): void {
    const path = this.#synAckPath(listener, packet, segment);
    if (path.unusable !== '') return;
    this.#context.stats.tcp.synCookiesSent++;
    const ours = this.#offer(listener, path);
    this.#write(path, this.#cookies.synAck(listener, tupleOf(listener, path, segment), ours, segment));
  }

  /** An ACK without a record may bring back a cookie. @returns whether it did */
  #cookieArrived(listener: TcpListener, packet: IpPacket, segment: TcpSegment): boolean {
    const { stats, options } = this.#context;
    const sinceOverflow = segment.nowUs - listener.lastOverflowUs;
    if (options.synCookies === 'never' || sinceOverflow > COOKIES_AFTER_OVERFLOW_US) return false;
    const path = this.#context.carrier.resolveReply(packet);
    if (path.unusable !== '') return false;
    const tuple = tupleOf(listener, path, segment);
    const found = this.#cookies.recall(listener, tuple, this.#offer(listener, path), segment);
    if (found === undefined) {
      stats.tcp.synCookiesFailed++;
      stats.drop(DropReason.TcpCookieFailed);
      return false;
    }
    if (listener.isAcceptQueueFull || this.#host.connections >= options.maxConnections) {
      stats.tcp.listenOverflows++;
      stats.drop(DropReason.TcpAcceptQueueFull);
      return true;
    }
    stats.tcp.synCookiesRecv++;
    this.#acceptance.complete(
      { listener, tuple, path, iss: found.iss, record: undefined },
      found.handshake,
      segment,
    );
    return true;
  }

  // ---- replies --------------------------------------------------------------------------------

  #offer(listener: TcpListener, path: SegmentPath): SynOptions {
    const options = routeOptions(listener.options, path);
    return offer(options, announcedMss(interfaceTransportBytes(path), options));
  }

  /** The SYN-ACK again, in answer to something that should not have come; not more often than allowed. */
  #replyLimited(record: HalfOpen, segment: TcpSegment): void {
    const intervalUs = this.#context.options.invalidAckIntervalMs * 1000;
    if (segment.nowUs - record.lastReplyUs < intervalUs) {
      this.#context.stats.tcp.challengeAcksSkipped++;
      return;
    }
    record.lastReplyUs = segment.nowUs;
    this.#sendSynAck(record, segment.nowUs);
  }

  #sendSynAck(record: HalfOpen, nowUs: number): void {
    const { offered, negotiated } = record;
    offered.tsVal = (Math.floor(nowUs / 1000) + record.timestampOffset) | 0;
    offered.tsEcr = negotiated.tsRecent;
    this.#write(record.path, record);
    // Repeated, a SYN-ACK does without a Fast Open option (RFC 7413 §4.2.2).
    if (offered.fastOpenCookie !== undefined) offered.fastOpenCookie = undefined;
  }

  #write(path: SegmentPath, synAck: SynAck): void {
    const output = this.#context.carrier.aim(path);
    if (writeSynAck(output, synAck)) this.#context.stats.tcp.outSegs++;
  }

  #isOldTimestamp(record: HalfOpen, segment: TcpSegment): boolean {
    const { negotiated } = record;
    // RFC 7323 §5.2: an RST is believed whatever its timestamp.
    if (!negotiated.timestamps || !segment.options.hasTimestamps || segment.has(TcpFlag.RST)) return false;
    return ((segment.options.tsVal - negotiated.tsRecent) | 0) < 0;
  }
}

export interface PassiveOpenParts {
  readonly sequences: InitialSequence;
  readonly replies: StatelessReplies;
}

const handshakeOf = (record: HalfOpen, rttUs: number, nowUs: number): PassiveHandshake => ({
  negotiated: record.negotiated,
  offered: record.offered,
  ecn: record.ecn,
  synTransmissions: record.transmissions,
  synSentAtUs: record.arrivedAtUs,
  rttUs,
  nowUs,
});

const tupleOf = (listener: TcpListener, path: SegmentPath, segment: TcpSegment): Tuple => ({
  local: path.source,
  remote: path.destination,
  localPort: segment.destinationPort,
  remotePort: segment.sourcePort,
  link: listener.claim.link,
});
