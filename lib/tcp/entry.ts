/** Who may stand in the connection table: a connection, a handshake under way, a request, or a TIME-WAIT record. */
import type { SegmentPath } from './carrier.js';
import type { TcpConnection } from './connection.js';
import { HalfOpen } from './half-open.js';
import type { TcpListener } from './listener.js';
import { awaken, putToRest, type RestingConnection } from './rest.js';
import { TcpState } from './state.js';
import { TimeWait } from './time-wait.js';
import type { Tuple } from './tuple.js';
import { UndecidedSyn } from './undecided.js';

/** Hears what happens to a connection, in the flush that follows. */
export interface ConnectionOwner {
  /** @param events bits of `ConnectionEvent` */
  connectionEvents(events: number): void;
}

/** Hears of a connection that rests no more. */
export interface Bed {
  awoke(entry: ConnectionEntry): void;
}

/** A connection in the layer's books. */
export class ConnectionEntry {
  /** One of both is there. */
  #awake: TcpConnection | undefined;
  #resting: RestingConnection | undefined;
  /** Where it rests, and is told of when it awakes. */
  #bed: Bed | undefined;
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  slot = -1;
  owner: ConnectionOwner | undefined;
  /** Its place among those that may rest soon; -1 for none. */
  restPlace = -1;
  /** Who will accept it, until then. */
  listener: TcpListener | undefined;
  /** It is on the list of those to be visited by the next flush. */
  isTouched = false;
  isRemoved = false;
  /** Whether it counts in tcpCurrEstab. */
  isCounted = false;
  /** Nobody owns it, and what was written has not all been acknowledged. */
  isUnfinished = false;
  /** MTU of the path when the connection last heard of it. */
  knownMtu: number;

  constructor(connection: TcpConnection, tuple: Tuple, path: SegmentPath) {
    this.#awake = connection;
    this.tuple = tuple;
    this.path = path;
    this.knownMtu = path.mtu;
  }

  /** The connection, which awakes if it rests: something happens to it. */
  get connection(): TcpConnection {
    return this.#awake ?? this.#awaken();
  }

  /** The connection, to look at: if it rests it goes on resting, and this is a likeness of it. */
  get likeness(): TcpConnection {
    return this.#awake ?? awaken(this.#resting as RestingConnection);
  }

  get isResting(): boolean {
    return this.#awake === undefined;
  }

  get state(): TcpState {
    return this.#awake === undefined ? TcpState.ESTABLISHED : this.#awake.state;
  }

  /** Puts the connection to rest; `mayRest` has been asked. */
  rest(bed: Bed): void {
    this.#bed = bed;
    this.#resting = putToRest(this.connection);
    this.#awake = undefined;
  }

  #awaken(): TcpConnection {
    const connection = awaken(this.#resting as RestingConnection);
    this.#awake = connection;
    this.#resting = undefined;
    this.#bed?.awoke(this);
    return connection;
  }
}

export type Occupant = ConnectionEntry | HalfOpen | TimeWait | UndecidedSyn;

export const isHalfOpen = (occupant: Occupant): occupant is HalfOpen => occupant instanceof HalfOpen;
export const isTimeWait = (occupant: Occupant): occupant is TimeWait => occupant instanceof TimeWait;
export const isUndecided = (occupant: Occupant): occupant is UndecidedSyn => occupant instanceof UndecidedSyn;
