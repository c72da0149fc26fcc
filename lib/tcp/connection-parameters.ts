/** What a connection is made from, and what it tells its owner. */
import type { Seq } from '../base/seq.js';
import type { StackStats } from '../base/stats.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { SynOptions } from '../wire/tcp-options.js';
import { interfaceTransportBytes, pathTransportBytes, type SegmentPath } from './carrier.js';
import type { CongestionMaker } from './congestion/congestion-control.js';
import type { Ecn } from './ecn/ecn.js';
import type { Negotiated } from './handshake.js';
import type { TcpContext } from './layer-context.js';
import type { MemoryAccount } from './memory.js';
import type { TcpOptions } from './options.js';
import type { Tuple } from './tuple.js';

/** What an owner may want to know; bits of `takeEvents()`. */
export const ConnectionEvent = {
  /** The handshake is complete. */
  Connected: 1,
  /** There is text to read. */
  Readable: 2,
  /** There is room to write, after there was none; or everything written was acknowledged. */
  Writable: 4,
  /** The peer has closed its direction: end of stream once everything is read. */
  PeerClosed: 8,
  /** The connection is over: `errorCode` tells how. */
  Closed: 16,
  /** Urgent data is pending, or the mark moved (RFC 9293 §3.8.5). */
  Urgent: 32,
  /** Something is wrong with the path, and the connection goes on: `softError` tells what. */
  SoftError: 64,
  /** Everything written, and the FIN if one was asked for, has been acknowledged. */
  Drained: 128,
  /** `close` need not wait any longer: the peer has our FIN, or the time to linger is over. */
  Lingered: 256,
} as const;

export interface ConnectionParameters {
  readonly options: TcpOptions;
  readonly stats: StackStats;
  readonly family: IpFamily;
  readonly localPort: number;
  readonly remotePort: number;
  readonly iss: Seq;
  readonly timestampOffset: number;
  /** Largest TCP segment, header included, that the path takes: its MTU less the IP header. */
  readonly transportBytes: number;
  /** Limit on what our MSS option says: the MTU of the interface less the IP header. */
  readonly interfaceTransportBytes: number;
  /** The congestion control of a name. */
  readonly congestion: (name: string) => CongestionMaker;
  readonly memory: MemoryAccount;
  /** At most one reply to an unacceptable segment in this time, µs. */
  readonly invalidAckIntervalUs: number;
  /** Retransmissions granted once nobody owns the connection. */
  readonly orphanRetries: number;
}

/** What all connections of a stack are made from alike. */
type SharedParameters = Pick<TcpContext, 'stats' | 'memory' | 'congestion' | 'options'>;

/** What one connection is made from, without what it shares with all others. */
export class FlowParameters implements ConnectionParameters {
  readonly #shared: SharedParameters;
  readonly #tuple: Tuple;
  readonly options: TcpOptions;
  readonly iss: Seq;
  readonly timestampOffset: number;
  readonly transportBytes: number;
  readonly interfaceTransportBytes: number;

  constructor(shared: SharedParameters, tuple: Tuple, path: SegmentPath, own: OwnParameters) {
    this.#shared = shared;
    this.#tuple = tuple;
    this.options = own.options;
    this.iss = own.iss;
    this.timestampOffset = own.timestampOffset;
    this.transportBytes = pathTransportBytes(path);
    this.interfaceTransportBytes = interfaceTransportBytes(path);
  }

  get stats(): StackStats {
    return this.#shared.stats;
  }

  get memory(): MemoryAccount {
    return this.#shared.memory;
  }

  get congestion(): (name: string) => CongestionMaker {
    return this.#shared.congestion;
  }

  get invalidAckIntervalUs(): number {
    return this.#shared.options.invalidAckIntervalMs * 1000;
  }

  get orphanRetries(): number {
    return this.#shared.options.orphanRetries;
  }

  get family(): IpFamily {
    return this.#tuple.local.family;
  }

  get localPort(): number {
    return this.#tuple.localPort;
  }

  get remotePort(): number {
    return this.#tuple.remotePort;
  }
}

/** What is chosen for one connection. */
type OwnParameters = Pick<ConnectionParameters, 'options' | 'iss' | 'timestampOffset'>;

/** How a listener's handshake went. */
export interface PassiveHandshake {
  readonly negotiated: Negotiated;
  /** What our SYN-ACK offered. */
  readonly offered: SynOptions;
  /** What it led to about congestion marks. */
  readonly ecn: Ecn | undefined;
  readonly synTransmissions: number;
  /** When the first SYN-ACK was sent, µs; for a SYN cookie, when its ACK came. */
  readonly synSentAtUs: number;
  /** 0 when nothing was measured. */
  readonly rttUs: number;
  readonly nowUs: number;
}

/** An RST to send; `withAck` for one of our own accord, not in answer to an ACK. */
export interface PendingReset {
  readonly sequence: Seq;
  readonly withAck: boolean;
}
