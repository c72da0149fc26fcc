/** A port that accepts: its options and its two queues, of handshakes under way and of connections to accept. */
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import type { ConnectionEntry } from './entry.js';
import { FastOpenQueue } from './fast-open.js';
import type { TcpOptions } from './options.js';
import type { PortClaim } from './ports.js';

/** However full the queue, a SYN-ACK is repeated this often. */
const MIN_PRUNED_RETRIES = 2;

export interface ListenerParameters {
  readonly claim: PortClaim;
  readonly options: TcpOptions;
  /** Most connections that wait to be accepted. */
  readonly backlog: number;
  /** Most handshakes under way. */
  readonly synBacklog: number;
  /** Called in the flush after a connection became ready to be accepted. */
  readonly onConnection: () => void;
  /** Called when the stack has been closed, and the listener with it. */
  readonly onClosed: () => void;
}

export class TcpListener {
  readonly claim: PortClaim;
  /** Settings of what it accepts; replaced as a whole where one changes. */
  options: TcpOptions;
  readonly backlog: number;
  readonly synBacklog: number;
  readonly onConnection: () => void;
  readonly onClosed: () => void;
  /** Handshakes under way, and those among them whose SYN-ACK was sent only once. */
  halfOpen = 0;
  young = 0;
  /** When the SYN queue last was full, µs: only then may an ACK bring a cookie (RFC 4987 §3.6). */
  lastOverflowUs = Number.NEGATIVE_INFINITY;
  isClosed = false;
  #fastOpenQueue: FastOpenQueue | undefined;
  #ready: ConnectionEntry[] = [];
  #readyHead = 0;

  constructor(parameters: ListenerParameters) {
    this.claim = parameters.claim;
    this.options = parameters.options;
    this.backlog = parameters.backlog;
    this.synBacklog = parameters.synBacklog;
    this.onConnection = parameters.onConnection;
    this.onClosed = parameters.onClosed;
  }

  get port(): number {
    return this.claim.port;
  }

  get address(): IpAddress {
    return this.claim.address;
  }

  /** Connections opened by Fast Open whose handshake is not complete. */
  get fastOpenQueue(): FastOpenQueue {
    this.#fastOpenQueue ??= new FastOpenQueue();
    return this.#fastOpenQueue;
  }

  /** Connections waiting to be accepted. */
  get ready(): number {
    return this.#ready.length - this.#readyHead;
  }

  /** As Linux counts: full when more than `backlog` wait. */
  get isAcceptQueueFull(): boolean {
    return this.ready > this.backlog;
  }

  get isSynQueueFull(): boolean {
    return this.halfOpen >= this.synBacklog;
  }

  /**
   * How often to repeat a SYN-ACK, `limit` at most. Less when more than half of the queue is taken, and
   * that mostly by peers that do not answer: half the room is kept for the young (Linux `reqsk_timer_handler`).
   */
  synAckRetries(limit: number): number {
    if (2 * this.halfOpen <= this.synBacklog) return limit;
    let retries = limit;
    for (let share = 2 * this.young; retries > MIN_PRUNED_RETRIES && this.halfOpen >= share; share *= 2)
      retries--;
    return retries;
  }

  /**
   * How well it matches a destination and the link of arrival: 0 not at all; an exact address counts more
   * than a link of its own, and that more than the family.
   */
  score(address: IpAddress, family: IpFamily, link: number): number {
    const { address: own, link: ownLink, dualStack } = this.claim;
    if (ownLink >= 0 && ownLink !== link) return 0;
    const bound = ownLink >= 0 ? 4 : 0;
    if (!own.isUnspecified) return own.equals(address) ? 8 + bound : 0;
    if (own.family === family) return 2 + bound;
    return dualStack ? 1 + bound : 0;
  }

  push(entry: ConnectionEntry): void {
    this.#ready.push(entry);
  }

  /** The connection that has waited longest; those that ended meanwhile are passed over. */
  shift(): ConnectionEntry | undefined {
    while (this.#readyHead < this.#ready.length) {
      const entry = this.#ready[this.#readyHead];
      this.#readyHead++;
      if (this.#readyHead > 64 && 2 * this.#readyHead > this.#ready.length) {
        this.#ready = this.#ready.slice(this.#readyHead);
        this.#readyHead = 0;
      }
      if (!entry.isRemoved || entry.connection.hasUnreadText) return entry;
    }
    return undefined;
  }
}
