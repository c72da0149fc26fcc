/** Who may stand in the connection table: a connection, a handshake under way, or a TIME-WAIT record. */
import type { SegmentPath } from './carrier.js';
import type { TcpConnection } from './connection.js';
import { HalfOpen } from './half-open.js';
import type { TcpListener } from './listener.js';
import { TimeWait } from './time-wait.js';
import type { Tuple } from './tuple.js';

/** Hears what happens to a connection, in the flush that follows. */
export interface ConnectionOwner {
  /** @param events bits of `ConnectionEvent` */
  connectionEvents(events: number): void;
}

/** A connection in the layer's books. */
export class ConnectionEntry {
  readonly connection: TcpConnection;
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  slot = -1;
  owner: ConnectionOwner | undefined;
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
    this.connection = connection;
    this.tuple = tuple;
    this.path = path;
    this.knownMtu = path.mtu;
  }
}

export type Occupant = ConnectionEntry | HalfOpen | TimeWait;

export const isHalfOpen = (occupant: Occupant): occupant is HalfOpen => occupant instanceof HalfOpen;
export const isTimeWait = (occupant: Occupant): occupant is TimeWait => occupant instanceof TimeWait;
