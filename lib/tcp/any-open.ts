/**
 * Passive opens that are decided one by one, whatever address and port they are for: a SYN becomes a request, which
 * a handler accepts, refuses or ignores before anything is answered (RFC 9293 §3.10.7.2, with the application in
 * the place of the listener). There are no SYN cookies here: the handler must see the SYN, so its record is kept.
 */
import { StackError } from '../base/errors.js';
import { type Seq, seq } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { WorkList } from '../base/work-list.js';
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { PacketShelf } from '../wire/kept-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import { AnyListener, type AnyListenerParameters } from './any-listener.js';
import { interfaceTransportBytes, ownPath, type SegmentPath } from './carrier.js';
import { TcpConnection } from './connection.js';
import { FlowParameters } from './connection-parameters.js';
import { ConnectionEntry } from './entry.js';
import { announcedMss, answer, negotiate, offer } from './handshake.js';
import { answerSyn } from './handshake-ecn.js';
import { type HandshakeCount, HandshakePlace } from './handshake-place.js';
import type { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import { resolveTcpOptions, type TcpOptions } from './options.js';
import { applyIpOptions, routeOptions } from './route-options.js';
import type { TcpSegment } from './segment.js';
import type { StatelessReplies } from './stateless.js';
import type { Tuple } from './tuple.js';
import { type CancelReason, UndecidedSyn } from './undecided.js';

/** Bytes of a SYN's packet that are kept: as many as an ICMP error may quote (RFC 4443 §2.4 (c)). */
const KEPT_BYTES = 1232;

/** Listeners of a stack: each is asked about every SYN that those before it do not want. */
const MAX_LISTENERS = 64;

/** The layer's books, as far as requests change them. */
export interface AnyOpenHost extends HandshakeCount {
  readonly connections: number;
  /** Records of handshakes under way, and of requests. */
  halfOpen: number;
  addUndecided(record: UndecidedSyn, deadlineUs: number): void;
  removeUndecided(record: UndecidedSyn): void;
  addConnection(entry: ConnectionEntry, record: { readonly slot: number } | undefined): void;
  touch(entry: ConnectionEntry): void;
  occupants(): Iterable<unknown>;
}

/** What a listener is made with, its settings over those of the layer. */
export interface AnyListenRequest extends Omit<AnyListenerParameters, 'options'> {
  readonly options: Partial<TcpOptions> | undefined;
}

interface AnyOpenParts {
  readonly sequences: InitialSequence;
  readonly replies: StatelessReplies;
}

/** A request that its owner is to hear of: that it is there, or that it is over. */
interface News {
  readonly record: UndecidedSyn;
  readonly reason: CancelReason | undefined;
}

export class AnyOpen {
  readonly #context: TcpContext;
  readonly #host: AnyOpenHost;
  readonly #parts: AnyOpenParts;
  #listeners: readonly AnyListener[] = [];
  readonly #news = new WorkList<News>();
  readonly #shelf = new PacketShelf();
  #told = 0;

  constructor(context: TcpContext, host: AnyOpenHost, parts: AnyOpenParts) {
    this.#context = context;
    this.#host = host;
    this.#parts = parts;
  }

  /**
   * Begins to ask about SYNs. Where several listeners want one, the first of them is asked.
   * @throws StackError ENOBUFS for the 65th listener; argument errors for the options
   */
  listen(request: AnyListenRequest): AnyListener {
    if (this.#listeners.length >= MAX_LISTENERS) throw new StackError('ENOBUFS', 'listen');
    const options = resolveTcpOptions(request.options, this.#context.options.connection);
    const listener = new AnyListener({ ...request, options });
    this.#listeners = [...this.#listeners, listener];
    this.#context.carrier.takeForeign(true);
    return listener;
  }

  /** Asks no more; requests that nobody has decided are reset. Connections live on. */
  close(listener: AnyListener, nowUs: number): void {
    if (listener.isClosed) return;
    listener.isClosed = true;
    this.#listeners = this.#listeners.filter((other) => other !== listener);
    for (const occupant of this.#host.occupants()) {
      if (!(occupant instanceof UndecidedSyn) || occupant.listener !== listener) continue;
      if (occupant.isPending) {
        this.#reset(occupant, nowUs);
        this.#cancel(occupant, 'closed');
      } else {
        this.#remove(occupant);
      }
    }
    this.#context.carrier.takeForeign(false);
  }

  closeAll(nowUs: number): void {
    for (const listener of this.#listeners) this.close(listener, nowUs);
  }

  /** Who decides about a segment to `port` for which there is no connection and no listener. */
  find(packet: IpPacket, port: number): AnyListener | undefined {
    for (const listener of this.#listeners) if (listener.wants(packet, port)) return listener;
    return undefined;
  }

  // ---- what the network brings ------------------------------------------------------------------

  /** A segment that `find` has found `listener` for (RFC 9293 §3.10.7.2). */
  listenArrived(listener: AnyListener, packet: IpPacket, segment: TcpSegment, iss?: Seq): void {
    const { stats } = this.#context;
    if (segment.has(TcpFlag.RST)) {
      stats.drop(DropReason.TcpReset);
    } else if (segment.has(TcpFlag.ACK)) {
      stats.drop(DropReason.TcpNoConnection);
      this.#parts.replies.reset(packet, segment);
    } else if (!segment.has(TcpFlag.SYN) || segment.has(TcpFlag.FIN)) {
      stats.drop(DropReason.TcpSynFlags);
    } else {
      this.#synArrived(listener, packet, segment, iss);
    }
  }

  #synArrived(listener: AnyListener, packet: IpPacket, segment: TcpSegment, iss: Seq | undefined): void {
    const { stats, options } = this.#context;
    this.#forgetIgnored(listener);
    const { connections, halfOpen, handshaking } = this.#host;
    if (connections + halfOpen >= options.maxConnections) {
      stats.tcp.listenDrops++;
      stats.drop(DropReason.TcpConnectionLimit);
      return;
    }
    if (listener.isFull || halfOpen + handshaking >= options.maxHalfOpen) {
      listener.counts.overflows++;
      stats.tcp.anyOverflows++;
      stats.tcp.listenDrops++;
      stats.drop(DropReason.TcpSynQueueFull);
      return;
    }
    if (this.#context.carrier.resolveReply(packet).unusable !== '') {
      // Nobody could accept it.
      stats.drop(DropReason.IpReversePath);
      return;
    }
    const tuple = tupleOf(listener, packet, segment);
    const kept = this.#shelf.keep(packet, KEPT_BYTES);
    const record = new UndecidedSyn({ listener, tuple, packet: kept, iss }, segment);
    this.#host.halfOpen++;
    listener.counts.pending++;
    stats.tcp.anyPending++;
    this.#host.addUndecided(record, segment.nowUs + listener.parameters.pendingUs);
    this.#news.push({ record, reason: undefined });
  }

  /** What is only remembered to be silent about gives way, the first of it first, where places have run out. */
  #forgetIgnored({ ignored }: AnyListener): void {
    const { connections, halfOpen, handshaking } = this.#host;
    const { maxConnections, maxHalfOpen } = this.#context.options;
    if (connections + halfOpen < maxConnections && halfOpen + handshaking < maxHalfOpen) return;
    for (const first of ignored) {
      this.#remove(first);
      return;
    }
  }

  /** A segment at the place of a request. */
  undecidedArrived(record: UndecidedSyn, packet: IpPacket, segment: TcpSegment): void {
    const { stats } = this.#context;
    if (record.isRepeatedBy(segment)) {
      stats.tcp.anyRepeated++;
      record.heard(segment);
    } else if (segment.has(TcpFlag.RST)) {
      stats.drop(DropReason.TcpReset);
      // Whoever cannot see the SYN must not end what it asked for (RFC 5961 §3.2).
      if (segment.sequence === record.rcvNxt) this.#cancel(record, 'reset');
    } else if (segment.has(TcpFlag.SYN) && !segment.has(TcpFlag.ACK)) {
      // Another attempt, or a forgery: it comes again, and is asked about when this one is over.
      stats.drop(DropReason.TcpSynInWindow);
    } else {
      // As in LISTEN: nothing was sent that could be acknowledged.
      stats.drop(DropReason.TcpNoConnection);
      if (record.isPending) this.#parts.replies.reset(packet, segment);
    }
  }

  /** The time of a record is up: whoever sends its SYN again is asked about again. */
  expired(record: UndecidedSyn): void {
    this.#cancel(record, 'expired');
  }

  #cancel(record: UndecidedSyn, reason: CancelReason): void {
    const { isPending } = record;
    this.#remove(record);
    if (!isPending) return;
    const { counts } = record.listener;
    const { tcp } = this.#context.stats;
    if (reason === 'reset') {
      counts.cancelled++;
      tcp.anyCancelled++;
      tcp.attemptFails++;
    } else if (reason === 'expired') {
      counts.expired++;
      tcp.anyExpired++;
      tcp.attemptFails++;
    }
    this.#news.push({ record, reason });
  }

  #remove(record: UndecidedSyn): void {
    this.#decided(record);
    record.listener.ignored.delete(record);
    this.#host.halfOpen--;
    this.#host.removeUndecided(record);
  }

  /** It is no longer for anybody to decide. */
  #decided(record: UndecidedSyn): void {
    if (!record.isPending) return;
    record.isPending = false;
    record.listener.counts.pending--;
    this.#context.stats.tcp.anyPending--;
  }

  // ---- what the handler hears and says -------------------------------------------------------------

  get hasNews(): boolean {
    return this.#news.count > 0;
  }

  /** Puts requests before their handlers, and tells of those that are over. */
  tell(): void {
    const news = this.#news;
    // A handler may cause more, and may throw: what it was told of is never told again.
    while (this.#told < news.count) {
      const { record, reason } = news.at(this.#told++);
      if (this.#told === news.count) this.#clearNews();
      if (reason === undefined) this.#tellRequest(record);
      else record.owner?.cancelled(reason);
    }
  }

  #clearNews(): void {
    this.#news.clear();
    this.#told = 0;
  }

  #tellRequest(record: UndecidedSyn): void {
    // One that was cancelled in the same batch was never there.
    if (!record.isPending) return;
    record.listener.counts.requests++;
    this.#context.stats.tcp.anyRequests++;
    record.listener.parameters.onRequest(record);
  }

  /**
   * Accepts a request: a connection in SYN-RECEIVED, whose SYN-ACK the next flush sends. Room for it was found when
   * its SYN came, and is not looked for again.
   * @throws StackError ECONNABORTED when it is not to be decided any more; ENETUNREACH and the like when the way back
   *   has gone meanwhile, after which it still is; argument errors for the options
   */
  accept(record: UndecidedSyn, given: Partial<TcpOptions>, nowUs: number): ConnectionEntry {
    const { tuple, listener } = record;
    if (!record.isPending) throw failed('ECONNABORTED', tuple);
    const options = resolveTcpOptions(given, listener.parameters.options);
    const path = this.#pathOf(record);
    applyIpOptions(options, path);
    const connection = this.#connect(record, path, options, nowUs);
    const entry = new ConnectionEntry(connection, tuple, path);
    this.#decided(record);
    this.#host.halfOpen--;
    listener.counts.accepted++;
    this.#context.stats.tcp.anyAccepted++;
    this.#context.stats.tcp.passiveOpens++;
    this.#context.observers?.attach(entry);
    this.#host.addConnection(entry, record);
    connection.memory.set(connection.memoryBytes);
    this.#host.touch(entry);
    return entry;
  }

  #pathOf({ packet, tuple }: UndecidedSyn): SegmentPath {
    const { carrier } = this.#context;
    const reply = carrier.resolveReply(packet);
    if (reply.unusable !== '') throw failed(reply.unusable, tuple);
    const path = ownPath(carrier, tuple, reply, tuple.link);
    if (path.unusable !== '') throw failed(path.unusable, tuple);
    return path;
  }

  #connect(record: UndecidedSyn, path: SegmentPath, given: TcpOptions, nowUs: number): TcpConnection {
    const { tuple } = record;
    const { sequences } = this.#parts;
    const options = routeOptions(given, path);
    const ours = offer(options, announcedMss(interfaceTransportBytes(path), options));
    const offered = answer(ours, record);
    const iss = record.iss ?? sequences.next(tuple, nowUs);
    const own = { options, iss, timestampOffset: sequences.timestampOffset(tuple) };
    const connection = TcpConnection.passive(new FlowParameters(this.#context, tuple, path, own), {
      negotiated: negotiate(ours, record, tuple.local.family),
      offered,
      ecn: answerSyn(offered, options.ecn, record),
      synTransmissions: 1,
      synSentAtUs: nowUs,
      rttUs: 0,
      nowUs,
    });
    connection.sender.updateWindow(record.sequence, iss, record.window);
    connection.timers.handshakeStarted(nowUs);
    const { maxHalfOpen, synAckRetries } = this.#context.options;
    connection.handshakePlace = new HandshakePlace(this.#host, maxHalfOpen, synAckRetries);
    connection.sendSyn();
    return connection;
  }

  /** Refuses a request, with an RST or by ICMP; both are limited in rate. */
  reject(record: UndecidedSyn, reason: 'reset' | IcmpRejection, nowUs: number): void {
    if (!record.isPending) return;
    if (reason === 'reset') {
      this.#reset(record, nowUs);
    } else {
      record.packet.nowUs = nowUs;
      this.#context.carrier.refuse(record.packet, reason);
    }
    record.listener.counts.rejected++;
    this.#context.stats.tcp.anyRejected++;
    this.#context.stats.tcp.attemptFails++;
    this.#remove(record);
  }

  #reset({ packet, tuple, flags, sequence, length }: UndecidedSyn, nowUs: number): void {
    const { localPort: destinationPort, remotePort: sourcePort } = tuple;
    const syn = { flags, sequence, ack: seq(0), length, destinationPort, sourcePort, nowUs };
    this.#parts.replies.reset(packet, syn);
  }

  /** Says nothing, now or when the SYN comes again, until the time of the record is up. */
  ignore(record: UndecidedSyn): void {
    if (!record.isPending) return;
    const { counts, ignored, parameters } = record.listener;
    this.#decided(record);
    counts.ignored++;
    this.#context.stats.tcp.anyIgnored++;
    ignored.add(record);
    if (ignored.size <= parameters.maxPending) return;
    // Beyond the limit the first of them makes room: its peer, if it still tries, is asked about again.
    for (const first of ignored) {
      this.#remove(first);
      break;
    }
  }
}

const failed = (code: string, { remote, remotePort }: Tuple): StackError =>
  new StackError(code, 'accept', String(remote), remotePort);

const tupleOf = (listener: AnyListener, packet: IpPacket, segment: TcpSegment): Tuple => ({
  local: packet.destination(),
  remote: packet.source(),
  localPort: segment.destinationPort,
  remotePort: segment.sourcePort,
  link: listener.parameters.link,
  isForeign: packet.isForeign,
});
