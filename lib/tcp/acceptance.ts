/** From a listener's handshake to a connection that waits to be accepted. */
import type { Seq } from '../base/seq.js';
import { ownPath, type SegmentPath } from './carrier.js';
import { TcpConnection } from './connection.js';
import { type ConnectionParameters, FlowParameters, type PassiveHandshake } from './connection-parameters.js';
import { ConnectionEntry } from './entry.js';
import type { FastOpenPlace } from './fast-open.js';
import { openEarly } from './fast-open-passive.js';
import type { HalfOpen } from './half-open.js';
import type { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import type { TcpListener } from './listener.js';
import { applyIpOptions, routeOptions } from './route-options.js';
import type { TcpSegment } from './segment.js';
import type { Tuple } from './tuple.js';

/** Where a new connection belongs. */
export interface Place {
  readonly listener: TcpListener;
  readonly tuple: Tuple;
  readonly path: SegmentPath;
  readonly iss: Seq;
  readonly record: HalfOpen | undefined;
}

/** The layer's books, as far as new connections change them. */
export interface AcceptanceHost {
  /** Puts a connection in the books, in place of `record` where there is one. */
  addConnection(entry: ConnectionEntry, record: HalfOpen | undefined): void;
  touch(entry: ConnectionEntry): void;
}

export class Acceptance {
  readonly #context: TcpContext;
  readonly #host: AcceptanceHost;
  readonly #sequences: InitialSequence;

  constructor(context: TcpContext, host: AcceptanceHost, sequences: InitialSequence) {
    this.#context = context;
    this.#host = host;
    this.#sequences = sequences;
  }

  /** The handshake is complete: the connection takes its last ACK, `segment`, and what came with it. */
  complete(place: Place, handshake: PassiveHandshake, segment: TcpSegment): void {
    const path = this.#ownPath(place);
    const connection = TcpConnection.accepted(this.#parameters(place, path), handshake);
    const entry = this.#enter(place, path, connection);
    connection.segmentArrived(segment);
    this.#host.touch(entry);
  }

  /** A SYN with a good cookie opens a connection before its handshake is complete (RFC 7413 §4.2.2). */
  openEarly(place: Place, handshake: PassiveHandshake, fastOpen: FastOpenPlace, segment: TcpSegment): void {
    const path = this.#ownPath(place);
    const connection = TcpConnection.passive(this.#parameters(place, path), handshake);
    connection.fastOpenPlace = fastOpen;
    const entry = this.#enter(place, path, connection);
    openEarly(connection, segment);
    connection.memory.set(connection.memoryBytes);
    this.#host.touch(entry);
  }

  #enter(place: Place, path: SegmentPath, connection: TcpConnection): ConnectionEntry {
    const { listener, tuple, record } = place;
    this.#context.stats.tcp.passiveOpens++;
    const entry = new ConnectionEntry(connection, tuple, path);
    entry.listener = listener;
    this.#context.observers?.attach(entry);
    this.#host.addConnection(entry, record);
    listener.push(entry);
    return entry;
  }

  #ownPath({ listener, tuple, path }: Place): SegmentPath {
    return ownPath(this.#context.carrier, tuple, path, listener.claim.link);
  }

  #parameters(place: Place, path: SegmentPath): ConnectionParameters {
    const { listener, tuple, iss, record } = place;
    const options = routeOptions(listener.options, path);
    applyIpOptions(options, path);
    const timestampOffset = record?.timestampOffset ?? this.#sequences.timestampOffset(tuple);
    return new FlowParameters(this.#context, tuple, path, { options, iss, timestampOffset });
  }
}
