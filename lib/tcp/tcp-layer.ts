/**
 * All connections of a stack: finds whom a segment is for, and visits in one flush those that have
 * something to say, to their owners and to the network.
 */
import type { Seq } from '../base/seq.js';
import { DropReason } from '../base/stats.js';
import { packetChecksumHolds } from '../wire/checksum.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import { ActiveOpen, type ConnectRequest } from './active-open.js';
import { AnyOpen } from './any-open.js';
import { ConnectionBooks } from './connection-books.js';
import { ConnectionEntry, isHalfOpen, isTimeWait, isUndecided, type Occupant } from './entry.js';
import { IcmpErrors } from './icmp-errors.js';
import { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import type { TcpListener } from './listener.js';
import { Listeners, type ListenRequest, type PortRequest } from './listeners.js';
import { StrangerKind, type TcpNeighbours } from './neighbours.js';
import { PassiveOpen } from './passive-open.js';
import { type PortClaim, TcpPorts } from './ports.js';
import { TcpSegment } from './segment.js';
import { TcpState } from './state.js';
import { StatelessReplies } from './stateless.js';
import { type TimeWait, TimeWaitAnswer } from './time-wait.js';
import type { Tuple } from './tuple.js';

export class TcpLayer {
  /** Requests for any address. */
  readonly any: AnyOpen;
  /** ICMP errors about what was sent. */
  readonly errors: IcmpErrors;
  readonly #context: TcpContext;
  readonly #books: ConnectionBooks;
  readonly #replies: StatelessReplies;
  readonly #passive: PassiveOpen;
  readonly #active: ActiveOpen;
  readonly #listeners: Listeners;
  readonly #ports: TcpPorts;
  readonly #segment = new TcpSegment();
  #neighbours: TcpNeighbours | undefined;
  /** Listeners with something to accept. */
  readonly #accepting = new Set<TcpListener>();
  readonly #tell = (entry: ConnectionEntry): void => this.#tellOwner(entry);
  readonly #tellAccepting = (): void => {
    this.#tellListeners();
    this.any.tell();
  };

  constructor(context: TcpContext) {
    const { ephemeralPorts, reservedPorts } = context.options;
    const sequences = new InitialSequence(context.random);
    const ports = new TcpPorts(context.random, ephemeralPorts, reservedPorts);
    this.#ports = ports;
    this.#context = context;
    this.#books = new ConnectionBooks(context);
    this.#replies = new StatelessReplies(context);
    this.#passive = new PassiveOpen(context, this.#books, { sequences, replies: this.#replies });
    this.any = new AnyOpen(context, this.#books, { sequences, replies: this.#replies });
    this.errors = new IcmpErrors(context, this.#books, this.#passive);
    this.#active = new ActiveOpen(context, this.#books, sequences, ports);
    this.#listeners = new Listeners(context, ports);
  }

  // ---- what owners ask ------------------------------------------------------------------------

  /** Connections, TIME-WAIT not counted. */
  get connections(): number {
    return this.#books.connections;
  }

  /** Connections that nobody owns any more and that still have something to deliver. */
  get unfinished(): number {
    return this.#books.unfinished;
  }

  /** Other stacks share our addresses from now on. Set before the first connection and listener. */
  setNeighbours(neighbours: TcpNeighbours): void {
    this.#neighbours = neighbours;
    this.#books.table.neighbours = neighbours;
    this.#ports.neighbours = neighbours;
  }

  /** Passive OPEN. See `Listeners.add`. */
  listen(request: ListenRequest): TcpListener {
    return this.#listeners.add(request);
  }

  /** Takes a port for a listener or a connection to come. See `Listeners.claim`. */
  bind(request: PortRequest): PortClaim {
    return this.#listeners.claim(request, 'bind');
  }

  /** Gives it back. */
  unbind(claim: PortClaim): void {
    this.#ports.release(claim);
  }

  /** Who claims ports, and which are kept from TCP. */
  get ports(): TcpPorts {
    return this.#ports;
  }

  /** Whether somebody has these ends, TIME-WAIT and handshakes under way included. */
  hasEnds(tuple: Tuple): boolean {
    return this.#books.table.find(tuple) >= 0;
  }

  /** Active OPEN. See `ActiveOpen.connect`. */
  connect(request: ConnectRequest, nowUs: number): ConnectionEntry {
    return this.#active.connect(request, nowUs);
  }

  /** Ends a listener; handshakes under way and connections nobody accepted are reset (RFC 9293 §3.10.4). */
  closeListener(listener: TcpListener): void {
    if (listener.isClosed) return;
    listener.isClosed = true;
    this.#listeners.remove(listener);
    for (const occupant of this.#books.table) {
      if (isHalfOpen(occupant) && occupant.listener === listener) this.#passive.reset(occupant);
    }
    for (let entry = listener.shift(); entry !== undefined; entry = listener.shift()) this.abort(entry);
  }

  /** The stack closes. @returns those whose listener it was, and who are to hear `onClosed` when it is done */
  closeListeners(): readonly TcpListener[] {
    const closed = this.#listeners.all();
    for (const listener of closed) this.closeListener(listener);
    return closed;
  }

  /** The next connection a listener has ready, for an owner to be set. */
  accept(listener: TcpListener): ConnectionEntry | undefined {
    const entry = listener.shift();
    if (entry === undefined) return undefined;
    entry.listener = undefined;
    // What happened before there was an owner is told to it in the next flush.
    this.#books.touchOwner(entry);
    return entry;
  }

  /** Gives up a connection: the owner hears no more of it, or only when it need not linger any longer. */
  release(entry: ConnectionEntry, nowUs: number): void {
    const { stats, options } = this.#context;
    if (entry.connection.lingerMs <= 0) entry.owner = undefined;
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
    this.#books.countUnfinished(entry);
    this.touch(entry);
  }

  abort(entry: ConnectionEntry): void {
    if (entry.isRemoved) return;
    entry.connection.abort();
    this.#books.countUnfinished(entry);
    this.touch(entry);
  }

  /** The connection has something to do: the next flush visits it. */
  touch(entry: ConnectionEntry): void {
    this.#books.touch(entry);
  }

  // ---- what the network brings ----------------------------------------------------------------

  /** A packet whose payload is a segment (`Transport` of the IP layer). */
  input(packet: IpPacket): void {
    const { stats } = this.#context;
    const segment = this.#segment;
    if (packet.isForeign && !this.#concerns(packet)) {
      packet.isDeclined = true;
      return;
    }
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
    const slot = this.#books.table.findPacket(packet, segment.destinationPort, segment.sourcePort);
    if (slot >= 0) this.#occupantArrived(slot, packet, segment);
    else this.#strangerArrived(packet, segment, undefined);
  }

  #occupantArrived(slot: number, packet: IpPacket, segment: TcpSegment): void {
    const occupant = this.#books.table.at(slot) as Occupant;
    if (occupant instanceof ConnectionEntry) {
      occupant.connection.segmentArrived(segment);
      this.touch(occupant);
    } else if (isTimeWait(occupant)) {
      this.#timeWaitArrived(occupant, packet, segment);
    } else if (isUndecided(occupant)) {
      this.any.undecidedArrived(occupant, packet, segment);
    } else {
      this.#passive.halfOpenArrived(occupant, packet, segment);
    }
  }

  #strangerArrived(packet: IpPacket, segment: TcpSegment, iss: Seq | undefined): void {
    const listener = this.#listenerFor(packet, segment);
    const any = listener === undefined ? this.any.find(packet, segment.destinationPort) : undefined;
    // Who listens on an address of ours goes before those who take any.
    const isHeard = listener !== undefined || (packet.isForeign && any !== undefined);
    if (this.#neighbours !== undefined && this.#isTheirs(packet, segment, isHeard)) return;
    if (listener !== undefined) {
      this.#passive.listenArrived(listener, packet, segment, iss);
    } else if (any !== undefined) {
      this.any.listenArrived(any, packet, segment, iss);
    } else if (packet.isForeign) {
      packet.isDeclined = true;
    } else {
      this.#context.stats.drop(DropReason.TcpNoConnection);
      this.#replies.reset(packet, segment);
    }
  }

  /** Nobody listens on addresses of others. */
  #listenerFor(packet: IpPacket, segment: TcpSegment): TcpListener | undefined {
    if (packet.isForeign) return undefined;
    return this.#listeners.find(packet, segment.destinationPort, segment.sourcePort);
  }

  /** Whether a segment for an address of others may be for somebody here, or for a neighbour. */
  #concerns(packet: IpPacket): boolean {
    const segment = this.#segment;
    if (!segment.parse(packet)) return false;
    const { destinationPort, sourcePort } = segment;
    if (this.#books.table.findPacket(packet, destinationPort, sourcePort) >= 0) return true;
    return this.#neighbours !== undefined || this.any.find(packet, destinationPort) !== undefined;
  }

  /** Whether the segment is for one of the stacks that share our addresses, which has it now. */
  #isTheirs(packet: IpPacket, segment: TcpSegment, isHeard: boolean): boolean {
    const isSyn = segment.has(TcpFlag.SYN) && !segment.has(TcpFlag.ACK);
    const kind = isSyn ? (isHeard ? StrangerKind.SynHeard : StrangerKind.SynUnheard) : StrangerKind.Segment;
    const { destinationPort, sourcePort } = segment;
    return this.#neighbours?.takeSegment(packet, destinationPort, sourcePort, kind) === true;
  }

  #timeWaitArrived(record: TimeWait, packet: IpPacket, segment: TcpSegment): void {
    const { stats, options } = this.#context;
    switch (record.arrived(segment, options.rfc1337)) {
      case TimeWaitAnswer.Remove:
        this.#books.removeTimeWait(record.slot);
        break;
      case TimeWaitAnswer.Reopen:
        if (
          this.#listenerFor(packet, segment) === undefined &&
          this.any.find(packet, segment.destinationPort) === undefined
        ) {
          this.#replies.timeWaitAck(record, segment.nowUs);
          break;
        }
        stats.tcp.twRecycled++;
        this.#books.removeTimeWait(record.slot);
        this.#strangerArrived(packet, segment, record.reopenSequence);
        break;
      case TimeWaitAnswer.AckAndRestart:
        if (record.failsPaws(segment)) {
          stats.tcp.pawsEstab++;
          stats.drop(DropReason.TcpPaws);
        }
        this.#books.deadlines.set(record.slot, segment.nowUs + options.timeWaitMs * 1000);
        this.#replies.timeWaitAck(record, segment.nowUs);
        break;
      case TimeWaitAnswer.Ack:
        this.#replies.timeWaitAck(record, segment.nowUs);
        break;
      default:
        break;
    }
  }

  #checksumIsRight(packet: IpPacket): boolean {
    if (packet.checksum === ChecksumState.Unknown) {
      return packetChecksumHolds(packet, packet.payloadBytes);
    }
    return packet.checksum !== ChecksumState.Bad;
  }

  // ---- the flush ------------------------------------------------------------------------------

  /** Whether somebody waits to be told or to send. */
  get hasWork(): boolean {
    return this.#books.hasTouched || this.#accepting.size > 0 || this.any.hasNews;
  }

  /** Tells owners what happened, then sends what is due, until nobody has anything left. */
  flush(nowUs: number): void {
    this.#books.flush(nowUs, this.#tell, this.#tellAccepting);
  }

  /** The link takes packets again. */
  unblock(): void {
    this.#books.unblock();
  }

  #tellListeners(): void {
    if (this.#accepting.size === 0) return;
    for (const listener of this.#accepting) {
      this.#accepting.delete(listener);
      if (!listener.isClosed) listener.onConnection();
    }
  }

  #tellOwner(entry: ConnectionEntry): void {
    const { owner, listener, connection } = entry;
    if (owner !== undefined) {
      if (connection.hasEvents) owner.connectionEvents(connection.takeEvents());
    } else if (listener !== undefined && listener.ready > 0) {
      this.#accepting.add(listener);
    }
  }

  get nextDeadlineUs(): number {
    return Math.min(this.#books.deadlines.earliestUs, this.#books.resting.nextDeadlineUs);
  }

  /** Does what is due at `nowUs`; the flush that follows sends it. */
  deadlineReached(nowUs: number): void {
    const { deadlines, table, resting } = this.#books;
    if (resting.nextDeadlineUs <= nowUs) resting.deadlineReached(nowUs);
    while (deadlines.earliestUs <= nowUs) {
      const slot = deadlines.earliestId;
      deadlines.clear(slot);
      const occupant = table.at(slot) as Occupant;
      if (occupant instanceof ConnectionEntry) {
        occupant.connection.deadlineReached(this.#context.carrier.aim(occupant.path), nowUs);
        this.#books.touch(occupant);
      } else if (isTimeWait(occupant)) {
        this.#books.removeTimeWait(slot);
      } else if (isUndecided(occupant)) {
        this.any.expired(occupant);
      } else {
        this.#passive.halfOpenExpired(occupant, nowUs);
      }
    }
  }

  /** The state of whoever stands at a tuple, for tools: CLOSED where nobody does. */
  stateOf(tuple: Tuple): TcpState {
    const slot = this.#books.table.find(tuple);
    const occupant = slot < 0 ? undefined : this.#books.table.at(slot);
    if (occupant === undefined) return TcpState.CLOSED;
    if (isTimeWait(occupant)) return TcpState.TIME_WAIT;
    if (isUndecided(occupant)) return TcpState.LISTEN;
    return isHalfOpen(occupant) ? TcpState.SYN_RECEIVED : occupant.state;
  }

  /** Nothing will be sent any more: counts the RSTs that never left. */
  abandon(): void {
    for (const entry of this.#books.entries()) {
      if (!entry.isResting && entry.connection.pendingReset !== undefined)
        this.#context.stats.tcp.abortFailed++;
    }
  }

  /** Every connection, for tools; not for every packet. */
  entries(): Iterable<ConnectionEntry> {
    return this.#books.entries();
  }
}
