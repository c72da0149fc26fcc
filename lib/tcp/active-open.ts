/** Active OPEN (RFC 9293 §3.10.1): a path, a local port, a sequence number, and a connection in SYN-SENT. */
import { ArgumentRangeError, StackError } from '../base/errors.js';
import type { Seq } from '../base/seq.js';
import { ANY_V4, ANY_V6, type IpAddress } from '../wire/ip-address.js';
import type { SegmentPath } from './carrier.js';
import { TcpConnection } from './connection.js';
import type { ConnectionBooks } from './connection-books.js';
import { type ConnectionParameters, FlowParameters } from './connection-parameters.js';
import { ConnectionEntry, isTimeWait } from './entry.js';
import { FastOpenAttempt } from './fast-open-attempt.js';
import { FastOpenCache } from './fast-open-cache.js';
import { askInSyn } from './handshake-ecn.js';
import type { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import { resolveTcpOptions, type TcpOptions } from './options.js';
import type { TcpPorts } from './ports.js';
import { applyIpOptions, routeOptions } from './route-options.js';
import type { TimeWait } from './time-wait.js';
import type { Tuple } from './tuple.js';

/** Linux waits so long since the peer's last timestamp before a tuple in TIME-WAIT is used again, µs. */
const REUSE_AFTER_US = 1_000_000;

export interface ConnectRequest {
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly local?: IpAddress;
  /** 0: an ephemeral one. */
  readonly localPort: number;
  /** Index of the link to leave by; the routes choose where it is absent. */
  readonly link?: number;
  readonly options: Partial<TcpOptions>;
}

export class ActiveOpen {
  readonly #context: TcpContext;
  readonly #books: ConnectionBooks;
  readonly #sequences: InitialSequence;
  readonly #ports: TcpPorts;
  /** Made for the first connection that asks for Fast Open. */
  #fastOpenCache: FastOpenCache | undefined;

  constructor(context: TcpContext, books: ConnectionBooks, sequences: InitialSequence, ports: TcpPorts) {
    this.#context = context;
    this.#books = books;
    this.#sequences = sequences;
    this.#ports = ports;
  }

  /**
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH, ENOBUFS; ArgumentRangeError
   */
  connect(request: ConnectRequest, nowUs: number): ConnectionEntry {
    this.#check(request);
    const path = this.#resolve(request);
    const tuple: Tuple = {
      local: path.source,
      remote: path.destination,
      localPort: this.#choosePort(path, request, nowUs),
      remotePort: request.remotePort,
    };
    const options = resolveTcpOptions(request.options, this.#context.options.connection);
    const iss = this.#recycled(tuple) ?? this.#sequences.next(tuple, nowUs);
    const connection = new TcpConnection(this.#parameters(tuple, path, options, iss));
    if (options.fastOpen) connection.fastOpenAttempt = this.#fastOpen(tuple, nowUs);
    const entry = new ConnectionEntry(connection, tuple, path);
    this.#books.addConnection(entry, undefined);
    this.#context.stats.tcp.activeOpens++;
    this.#context.observers?.attach(entry);
    askInSyn(connection);
    connection.open(nowUs);
    this.#books.touch(entry);
    return entry;
  }

  /** What Fast Open may do for a connection; undefined where it has failed too often. */
  #fastOpen(tuple: Tuple, nowUs: number): FastOpenAttempt | undefined {
    this.#fastOpenCache ??= new FastOpenCache(this.#context.options.fastOpenServers);
    const memory = this.#fastOpenCache.of(tuple, nowUs);
    return memory.isPaused(nowUs) ? undefined : new FastOpenAttempt(memory);
  }

  #check(request: ConnectRequest): void {
    const { remote, remotePort } = request;
    if (remotePort < 1 || remotePort > 65_535) {
      throw new ArgumentRangeError(`a remote port is 1 to 65535, not ${remotePort}`);
    }
    // Groups, and class E, from which no answer would be taken (RFC 9293 §3.9.2.3, RFC 1122 §3.2.1.3).
    if (remote.isMulticast || (remote.family === 4 && remote.w3 >>> 28 === 15)) {
      throw new StackError('ENETUNREACH', 'connect', String(remote), remotePort);
    }
    if (this.#books.connections >= this.#context.options.maxConnections) {
      throw new StackError('ENOBUFS', 'connect', String(remote), remotePort);
    }
  }

  #resolve(request: ConnectRequest): SegmentPath {
    const path = this.#context.carrier.resolve({
      destination: request.remote,
      ...(request.local === undefined ? {} : { source: request.local }),
      sourcePort: request.localPort,
      destinationPort: request.remotePort,
      ...(request.link === undefined ? {} : { oif: request.link }),
    });
    if (path.unusable !== '') {
      throw new StackError(path.unusable, 'connect', String(request.remote), request.remotePort);
    }
    return path;
  }

  /** The sequence number beyond that of a connection in TIME-WAIT, whose tuple becomes free (RFC 6191). */
  #recycled(tuple: Tuple): Seq | undefined {
    const slot = this.#books.table.find(tuple);
    if (slot < 0) return undefined;
    const record = this.#books.table.at(slot) as TimeWait;
    this.#books.removeTimeWait(slot);
    this.#context.stats.tcp.twRecycled++;
    return record.reopenSequence;
  }

  #choosePort(path: SegmentPath, request: ConnectRequest, nowUs: number): number {
    const isFree = (localPort: number): boolean => {
      const slot = this.#books.table.find({
        local: path.source,
        remote: path.destination,
        localPort,
        remotePort: request.remotePort,
      });
      return slot < 0 || this.#mayRecycle(slot, nowUs);
    };
    if (request.localPort === 0) {
      const port = this.#ports.ephemeral(isFree);
      if (port > 0) return port;
      throw new StackError('EADDRNOTAVAIL', 'connect', String(request.remote), request.remotePort);
    }
    if (this.#ports.isClaimed(request.localPort) || !isFree(request.localPort)) {
      const address = request.local ?? (path.source.family === 4 ? ANY_V4 : ANY_V6);
      throw new StackError('EADDRINUSE', 'bind', String(address), request.localPort);
    }
    return request.localPort;
  }

  /** A tuple in TIME-WAIT is free again where timestamps protect it, once their clock has moved on (RFC 6191). */
  #mayRecycle(slot: number, nowUs: number): boolean {
    const occupant = this.#books.table.at(slot);
    if (occupant === undefined || !isTimeWait(occupant) || !occupant.timestamps) return false;
    const { timeWaitReuse } = this.#context.options;
    const mayHere =
      timeWaitReuse === 'always' || (timeWaitReuse === 'loopback' && occupant.path.port.isLoopback);
    return mayHere && nowUs - occupant.tsRecentAtUs >= REUSE_AFTER_US;
  }

  #parameters(tuple: Tuple, path: SegmentPath, given: TcpOptions, iss: Seq): ConnectionParameters {
    const options = routeOptions(given, path);
    applyIpOptions(options, path);
    const timestampOffset = this.#sequences.timestampOffset(tuple);
    return new FlowParameters(this.#context, tuple, path, { options, iss, timestampOffset });
  }
}
