/**
 * All connections of a stack: finds whom a segment is for, and visits in one flush those that have
 * something to say, to their owners and to the network.
 */
import { DeadlineHeap } from '../base/deadline-heap.js';
import { ArgumentRangeError, StackError } from '../base/errors.js';
import { type Seq, seq, seqInWindow } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { packetChecksumHolds } from '../wire/checksum.js';
import { ANY_V4, ANY_V6, type IpAddress } from '../wire/ip-address.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { interfaceTransportBytes, pathTransportBytes, type SegmentPath } from './carrier.js';
import { ConnectionEvent, TcpConnection } from './connection.js';
import { ConnectionTable } from './connection-table.js';
import { ConnectionEntry, isHalfOpen, isTimeWait, type Occupant } from './entry.js';
import type { HalfOpen } from './half-open.js';
import { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import { TcpListener } from './listener.js';
import { countsAsEstablished, resolveTcpOptions, type TcpOptions } from './options.js';
import { PassiveOpen } from './passive-open.js';
import { type PortClaim, TcpPorts } from './ports.js';
import { applyIpOptions, routeOptions } from './route-options.js';
import { TcpSegment } from './segment.js';
import { TcpState } from './state.js';
import { StatelessReplies } from './stateless.js';
import { TimeWait, TimeWaitAnswer } from './time-wait.js';
import type { Tuple } from './tuple.js';

/** Rounds of events and transmission in one flush; owners that answer each other end here for now. */
const MAX_ROUNDS = 16;

export interface ListenRequest {
  readonly address: IpAddress;
  readonly port: number;
  /** With ::, also take IPv4. */
  readonly dualStack: boolean;
  readonly reusePort: boolean;
  readonly backlog: number;
  readonly options: Partial<TcpOptions>;
  readonly onConnection: () => void;
}

export interface ConnectRequest {
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly local?: IpAddress;
  /** 0: an ephemeral one. */
  readonly localPort: number;
  readonly options: Partial<TcpOptions>;
}

export class TcpLayer {
  readonly #context: TcpContext;
  readonly #table: ConnectionTable<Occupant>;
  readonly #deadlines = new DeadlineHeap();
  readonly #sequences: InitialSequence;
  readonly #replies: StatelessReplies;
  readonly #passive: PassiveOpen;
  readonly #segment = new TcpSegment();
  readonly #listeners = new Map<number, TcpListener[]>();
  readonly ports: TcpPorts;
  /** Entries to be visited by the next flush; of these, those before `#visited` have been. */
  #touched: ConnectionEntry[] = [];
  #spare: ConnectionEntry[] = [];
  /** Those a full link kept from sending. */
  #blocked: ConnectionEntry[] = [];
  /** Listeners with something to accept. */
  readonly #accepting = new Set<TcpListener>();
  /** Connections, TIME-WAIT not counted. */
  connections = 0;

  constructor(context: TcpContext) {
    this.#context = context;
    this.#table = new ConnectionTable(context.random);
    this.#sequences = new InitialSequence(context.random);
    this.#replies = new StatelessReplies(context);
    this.#passive = new PassiveOpen(context, this, { sequences: this.#sequences, replies: this.#replies });
    const { ephemeralPorts, reservedPorts } = context.options;
    this.ports = new TcpPorts(context.random, ephemeralPorts, reservedPorts);
  }

  // ---- what owners ask ------------------------------------------------------------------------

  /**
   * Passive OPEN.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL
   */
  listen(request: ListenRequest): TcpListener {
    const { address } = request;
    if (!address.isUnspecified && !this.#context.carrier.isLocal(address)) {
      throw new StackError('EADDRNOTAVAIL', 'listen', String(address), request.port);
    }
    const port = request.port === 0 ? this.ports.ephemeral(() => true) : request.port;
    if (port === 0) throw new StackError('EADDRINUSE', 'listen', String(address));
    const claim: PortClaim = { port, address, dualStack: request.dualStack, reusePort: request.reusePort };
    const options = resolveTcpOptions(request.options, this.#context.options.connection);
    this.ports.claim(claim, 'listen');
    const listener = new TcpListener({
      claim,
      options,
      backlog: request.backlog,
      synBacklog: Math.max(8, Math.min(request.backlog, this.#context.options.maxSynBacklog)),
      onConnection: request.onConnection,
    });
    const listeners = this.#listeners.get(port) ?? [];
    listeners.push(listener);
    this.#listeners.set(port, listeners);
    return listener;
  }

  /** Ends a listener; handshakes under way and connections nobody accepted are reset (RFC 9293 §3.10.4). */
  closeListener(listener: TcpListener): void {
    if (listener.isClosed) return;
    listener.isClosed = true;
    this.ports.release(listener.claim);
    const listeners = (this.#listeners.get(listener.port) ?? []).filter((other) => other !== listener);
    if (listeners.length === 0) this.#listeners.delete(listener.port);
    else this.#listeners.set(listener.port, listeners);
    for (const occupant of this.#table) {
      if (isHalfOpen(occupant) && occupant.listener === listener) this.#passive.remove(occupant);
    }
    for (let entry = listener.shift(); entry !== undefined; entry = listener.shift()) this.abort(entry);
  }

  /** The next connection a listener has ready, for an owner to be set. */
  accept(listener: TcpListener): ConnectionEntry | undefined {
    const entry = listener.shift();
    if (entry === undefined) return undefined;
    entry.listener = undefined;
    // What happened before there was an owner is told to it in the next flush.
    this.#retouch(entry);
    return entry;
  }

  /**
   * Active OPEN.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH, ENOBUFS
   */
  connect(request: ConnectRequest, nowUs: number): ConnectionEntry {
    const { carrier, options, stats } = this.#context;
    const remoteText = String(request.remote);
    if (request.remotePort < 1 || request.remotePort > 65_535) {
      throw new ArgumentRangeError(`a remote port is 1 to 65535, not ${request.remotePort}`);
    }
    if (request.remote.isMulticast || request.remote.isLimitedBroadcast) {
      throw new StackError('ENETUNREACH', 'connect', remoteText, request.remotePort);
    }
    if (this.connections >= options.maxConnections) {
      throw new StackError('ENOBUFS', 'connect', remoteText, request.remotePort);
    }
    const path = carrier.resolve({
      destination: request.remote,
      ...(request.local === undefined ? {} : { source: request.local }),
      sourcePort: request.localPort,
      destinationPort: request.remotePort,
    });
    if (path.unusable !== '') throw new StackError(path.unusable, 'connect', remoteText, request.remotePort);
    const localPort = this.#choosePort(path, request);
    const tuple: Tuple = {
      local: path.source,
      remote: path.destination,
      localPort,
      remotePort: request.remotePort,
    };
    const recycled = this.#table.find(tuple);
    let iss = this.#sequences.next(tuple, nowUs);
    if (recycled >= 0) {
      iss = (this.#table.at(recycled) as TimeWait).reopenSequence;
      this.#removeTimeWait(recycled);
    }
    const connection = new TcpConnection(this.#parameters(tuple, path, request.options, iss));
    const entry = new ConnectionEntry(connection, tuple, path);
    this.addConnection(entry, undefined);
    stats.tcp.activeOpens++;
    connection.open(nowUs);
    this.touch(entry);
    return entry;
  }

  /** Gives up a connection: the owner hears no more of it. */
  release(entry: ConnectionEntry, nowUs: number): void {
    const { stats, options } = this.#context;
    entry.owner = undefined;
    if (entry.isRemoved) return;
    if (stats.tcp.orphans >= options.maxOrphans) {
      stats.tcp.orphanLimit++;
      entry.connection.isOrphan = true;
      stats.tcp.orphans++;
      entry.connection.abort();
    } else {
      stats.tcp.orphans++;
      entry.connection.close(nowUs);
    }
    this.touch(entry);
  }

  abort(entry: ConnectionEntry): void {
    if (entry.isRemoved) return;
    entry.connection.abort();
    this.touch(entry);
  }

  /** The connection has something to do: the next flush visits it. */
  touch(entry: ConnectionEntry): void {
    if (entry.isTouched || entry.isRemoved) return;
    entry.isTouched = true;
    this.#touched.push(entry);
  }

  get hasWork(): boolean {
    return this.#touched.length > 0 || this.#accepting.size > 0;
  }

  // ---- what the network brings ----------------------------------------------------------------

  /** A packet whose payload is a segment (`Transport` of the IP layer). */
  input(packet: IpPacket): void {
    const { stats } = this.#context;
    const segment = this.#segment;
    stats.tcp.inSegs++;
    if (packet.cast !== Cast.Unicast) {
      // RFC 9293 §3.9.2.3: nothing is ever said to a group.
      stats.drop(DropReason.TcpSource);
      return;
    }
    if (!this.#checksumIsRight(packet)) {
      stats.tcp.inErrs++;
      stats.tcp.inCsumErrors++;
      stats.drop(DropReason.TcpChecksum);
      return;
    }
    if (!segment.parse(packet)) {
      stats.tcp.inErrs++;
      stats.drop(DropReason.TcpHeader);
      return;
    }
    if (segment.options.malformed) stats.tcp.malformedOptions++;
    const slot = this.#table.findPacket(packet, segment.destinationPort, segment.sourcePort);
    if (slot >= 0) this.#occupantArrived(slot, packet, segment);
    else this.#strangerArrived(packet, segment, undefined);
  }

  #occupantArrived(slot: number, packet: IpPacket, segment: TcpSegment): void {
    const occupant = this.#table.at(slot) as Occupant;
    if (occupant instanceof ConnectionEntry) {
      occupant.connection.segmentArrived(segment);
      this.touch(occupant);
    } else if (isTimeWait(occupant)) {
      this.#timeWaitArrived(occupant, packet, segment);
    } else {
      this.#passive.halfOpenArrived(occupant, packet, segment);
    }
  }

  #strangerArrived(packet: IpPacket, segment: TcpSegment, iss: Seq | undefined): void {
    const listener = this.#listenerFor(packet, segment.destinationPort);
    if (listener !== undefined) {
      this.#passive.listenArrived(listener, packet, segment, iss);
      return;
    }
    this.#context.stats.drop(DropReason.TcpNoConnection);
    this.#replies.reset(packet, segment);
  }

  #timeWaitArrived(record: TimeWait, packet: IpPacket, segment: TcpSegment): void {
    const { stats, options } = this.#context;
    switch (record.arrived(segment, options.rfc1337)) {
      case TimeWaitAnswer.Remove:
        this.#removeTimeWait(record.slot);
        break;
      case TimeWaitAnswer.Reopen:
        if (this.#listenerFor(packet, segment.destinationPort) === undefined) {
          this.#replies.timeWaitAck(record, segment.nowUs);
          break;
        }
        stats.tcp.twRecycled++;
        this.#removeTimeWait(record.slot);
        this.#strangerArrived(packet, segment, record.reopenSequence);
        break;
      case TimeWaitAnswer.AckAndRestart:
        this.#deadlines.set(record.slot, segment.nowUs + options.timeWaitMs * 1000);
        this.#replies.timeWaitAck(record, segment.nowUs);
        break;
      case TimeWaitAnswer.Ack:
        this.#replies.timeWaitAck(record, segment.nowUs);
        break;
      default:
        break;
    }
  }

  /** Exact address before any address (RFC 9293 §3.9.1.1); a group shares by the hash of the flow. */
  #listenerFor(packet: IpPacket, port: number): TcpListener | undefined {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined) return undefined;
    const destination = packet.destination();
    let best: TcpListener | undefined;
    let bestScore = 0;
    let equals = 0;
    for (const listener of listeners) {
      const score = listener.score(destination, packet.version);
      if (score === 0 || score < bestScore) continue;
      equals = score > bestScore ? 1 : equals + 1;
      bestScore = score;
      // The n-th of equals takes its turn by the flow, so that a flow always finds the same one.
      const share = (Math.imul(this.#segment.sourcePort ^ packet.s3, 0x9e37_79b1) >>> 8) % equals;
      if (equals === 1 || share === 0) best = listener;
    }
    return best;
  }

  #checksumIsRight(packet: IpPacket): boolean {
    if (packet.checksum === ChecksumState.Unknown) {
      return packetChecksumHolds(packet, packet.payloadBytes);
    }
    return packet.checksum !== ChecksumState.Bad;
  }

  /** Whether `[una, nxt)` of the connection an ICMP error quotes holds the quoted number; and whose it is. */
  quoted(quote: IpPacket): Quoted | undefined {
    if (quote.payloadBytes < 8) return undefined;
    const { view, payloadAt } = quote;
    const tuple: Tuple = {
      local: quote.source(),
      remote: quote.destination(),
      localPort: view.getUint16(payloadAt),
      remotePort: view.getUint16(payloadAt + 2),
    };
    const slot = this.#table.find(tuple);
    const occupant = slot < 0 ? undefined : this.#table.at(slot);
    if (occupant === undefined || isTimeWait(occupant)) return undefined;
    const sequence = seq(view.getInt32(payloadAt + 4));
    if (isHalfOpen(occupant)) return { occupant, sequence };
    const { sender, state } = occupant.connection;
    const first = state === TcpState.SYN_SENT ? sender.iss : sender.sndUna;
    const size = Math.max(1, (sender.sndNxt - first) | 0);
    return seqInWindow(sequence, first, size) ? { occupant, sequence } : undefined;
  }

  /** An ICMP error about a connection, validated by `quoted`: hard ones end attempts, others are told. */
  unreachable(found: Quoted, code: string, isHard: boolean): void {
    const { occupant } = found;
    if (isHalfOpen(occupant)) {
      if (isHard) this.#passive.halfOpenUnreachable(occupant, found.sequence);
      return;
    }
    const { connection } = occupant;
    if (isHard && connection.state === TcpState.SYN_SENT) {
      this.#context.stats.tcp.attemptFails++;
      connection.end(code);
    } else {
      connection.softError = code;
      connection.signal(ConnectionEvent.SoftError);
    }
    this.touch(occupant);
  }

  /** A packet of a connection was too big for its path, whose MTU is known now: visit it. */
  tooBig(found: Quoted): void {
    if (!isHalfOpen(found.occupant)) this.touch(found.occupant);
  }

  // ---- the flush ------------------------------------------------------------------------------

  /** Tells owners what happened, then sends what is due, until nobody has anything left. */
  flush(nowUs: number): void {
    for (let round = 0; round < MAX_ROUNDS && this.hasWork; round++) {
      this.#tellListeners();
      const touched = this.#touched;
      // Owners may touch more while they are told: the list grows under the loop.
      for (let i = 0; i < touched.length; i++) this.#tell(touched[i]);
      this.#touched = this.#spare;
      this.#spare = touched;
      for (const entry of touched) {
        entry.isTouched = false;
        if (entry.isRemoved) continue;
        this.#transmit(entry, nowUs);
        this.#settle(entry, nowUs);
      }
      touched.length = 0;
    }
  }

  /** The link takes packets again. */
  unblock(): void {
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const entry of blocked) this.touch(entry);
  }

  #tellListeners(): void {
    for (const listener of this.#accepting) {
      this.#accepting.delete(listener);
      if (!listener.isClosed) listener.onConnection();
    }
  }

  #tell(entry: ConnectionEntry): void {
    if (entry.owner === undefined) {
      if (entry.listener !== undefined && entry.listener.ready > 0) this.#accepting.add(entry.listener);
      return;
    }
    const { connection } = entry;
    if (connection.hasEvents) entry.owner.connectionEvents(connection.takeEvents());
  }

  #transmit(entry: ConnectionEntry, nowUs: number): void {
    const { connection, path } = entry;
    if (connection.takeDoubt()) this.#context.carrier.reconsider(path);
    const output = this.#context.carrier.aim(path);
    if (path.mtu !== entry.knownMtu) {
      entry.knownMtu = path.mtu;
      connection.pathChanged(pathTransportBytes(path));
    }
    if (!connection.transmit(output, nowUs)) this.#blocked.push(entry);
  }

  /** Puts the books in order after a visit: deadline, gauges, and who has left. */
  #settle(entry: ConnectionEntry, nowUs: number): void {
    const { connection } = entry;
    const { tcp } = this.#context.stats;
    const counts = countsAsEstablished(connection.state);
    if (counts !== entry.isCounted) {
      entry.isCounted = counts;
      tcp.currEstab += counts ? 1 : -1;
    }
    const memoryBytes = connection.memoryBytes;
    if (memoryBytes !== entry.memoryBytes) this.#context.memory.changed(memoryBytes - entry.memoryBytes);
    entry.memoryBytes = memoryBytes;
    if (connection.state === TcpState.TIME_WAIT) this.#enterTimeWait(entry, nowUs);
    else if (connection.state === TcpState.CLOSED && !connection.hasPendingReset) this.#remove(entry);
    else this.#deadlines.set(entry.slot, connection.nextDeadlineUs);
    if (connection.hasEvents && entry.owner !== undefined) this.#retouch(entry);
  }

  /** Events that arose while sending are told in the next round, also of an entry that has left. */
  #retouch(entry: ConnectionEntry): void {
    if (entry.isTouched) return;
    entry.isTouched = true;
    this.#touched.push(entry);
  }

  #enterTimeWait(entry: ConnectionEntry, nowUs: number): void {
    const { stats, options } = this.#context;
    const { connection, slot } = entry;
    stats.tcp.tw++;
    if (stats.tcp.twCount >= options.maxTimeWait) {
      stats.tcp.twOverflow++;
      connection.end('');
      this.#remove(entry);
      return;
    }
    const record = new TimeWait(connection, entry.tuple, entry.path, nowUs);
    connection.end('');
    this.#forget(entry);
    record.slot = slot;
    stats.tcp.twCount++;
    this.#table.replace(slot, record);
    this.#deadlines.set(slot, nowUs + options.timeWaitMs * 1000);
  }

  #remove(entry: ConnectionEntry): void {
    if (entry.isRemoved) return;
    this.#deadlines.clear(entry.slot);
    this.#table.remove(entry.slot);
    this.#forget(entry);
  }

  #forget(entry: ConnectionEntry): void {
    const { tcp } = this.#context.stats;
    entry.isRemoved = true;
    this.connections--;
    if (entry.connection.isOrphan) tcp.orphans--;
    if (entry.isCounted) {
      entry.isCounted = false;
      tcp.currEstab--;
    }
    this.#context.memory.changed(-entry.memoryBytes);
    entry.memoryBytes = 0;
  }

  #removeTimeWait(slot: number): void {
    this.#context.stats.tcp.twCount--;
    this.#deadlines.clear(slot);
    this.#table.remove(slot);
  }

  // ---- time -----------------------------------------------------------------------------------

  get nextDeadlineUs(): number {
    return this.#deadlines.earliestUs;
  }

  /** Does what is due at `nowUs`; the flush that follows sends it. */
  deadlineReached(nowUs: number): void {
    while (this.#deadlines.earliestUs <= nowUs) {
      const slot = this.#deadlines.earliestId;
      this.#deadlines.clear(slot);
      const occupant = this.#table.at(slot) as Occupant;
      if (occupant instanceof ConnectionEntry) {
        occupant.connection.deadlineReached(this.#context.carrier.aim(occupant.path), nowUs);
        this.touch(occupant);
      } else if (isTimeWait(occupant)) {
        this.#removeTimeWait(slot);
      } else {
        this.#passive.halfOpenExpired(occupant, nowUs);
      }
    }
  }

  // ---- the books (`PassiveOpenHost`) ------------------------------------------------------------

  addHalfOpen(record: HalfOpen, deadlineUs: number): void {
    record.slot = this.#table.insert(record.tuple, record);
    this.#deadlines.set(record.slot, deadlineUs);
  }

  rearmHalfOpen(record: HalfOpen, deadlineUs: number): void {
    this.#deadlines.set(record.slot, deadlineUs);
  }

  removeHalfOpen(record: HalfOpen): void {
    this.#deadlines.clear(record.slot);
    this.#table.remove(record.slot);
  }

  addConnection(entry: ConnectionEntry, record: HalfOpen | undefined): void {
    if (record === undefined) {
      entry.slot = this.#table.insert(entry.tuple, entry);
    } else {
      entry.slot = record.slot;
      this.#table.replace(entry.slot, entry);
      this.#deadlines.clear(entry.slot);
    }
    this.connections++;
  }

  /** Every connection, for tools; not for every packet. */
  *entries(): Iterable<ConnectionEntry> {
    for (const occupant of this.#table) if (occupant instanceof ConnectionEntry) yield occupant;
  }

  #choosePort(path: SegmentPath, request: ConnectRequest): number {
    const isFree = (localPort: number): boolean => {
      const tuple = {
        local: path.source,
        remote: path.destination,
        localPort,
        remotePort: request.remotePort,
      };
      const slot = this.#table.find(tuple);
      return slot < 0 || this.#mayRecycle(slot);
    };
    const remoteText = String(request.remote);
    if (request.localPort === 0) {
      const port = this.ports.ephemeral(isFree);
      if (port === 0) throw new StackError('EADDRNOTAVAIL', 'connect', remoteText, request.remotePort);
      return port;
    }
    if (this.ports.isClaimed(request.localPort) || !isFree(request.localPort)) {
      const address = String(request.local ?? (path.source.family === 4 ? ANY_V4 : ANY_V6));
      throw new StackError('EADDRINUSE', 'bind', address, request.localPort);
    }
    return request.localPort;
  }

  /** A tuple in TIME-WAIT is free again on the loopback, where timestamps protect it (RFC 6191). */
  #mayRecycle(slot: number): boolean {
    const occupant = this.#table.at(slot) as Occupant;
    return isTimeWait(occupant) && occupant.timestamps && occupant.path.port.isLoopback;
  }

  #parameters(tuple: Tuple, path: SegmentPath, given: Partial<TcpOptions>, iss: Seq): ConnectionParametersOf {
    const { options, stats } = this.#context;
    const resolved = routeOptions(resolveTcpOptions(given, options.connection), path);
    applyIpOptions(resolved, path);
    return {
      options: resolved,
      stats,
      family: tuple.local.family,
      localPort: tuple.localPort,
      remotePort: tuple.remotePort,
      iss,
      timestampOffset: this.#sequences.timestampOffset(tuple),
      transportBytes: pathTransportBytes(path),
      interfaceTransportBytes: interfaceTransportBytes(path),
      congestion: this.#context.congestion(resolved.congestionControl),
      memory: this.#context.memory,
      invalidAckIntervalUs: options.invalidAckIntervalMs * 1000,
      orphanRetries: options.orphanRetries,
    };
  }
}

type ConnectionParametersOf = ConstructorParameters<typeof TcpConnection>[0];

/** The connection or handshake an ICMP error is about, and the sequence number it quotes. */
export interface Quoted {
  readonly occupant: ConnectionEntry | HalfOpen;
  readonly sequence: Seq;
}
