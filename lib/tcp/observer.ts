/** Tells a probe of one connection. There is one only where somebody listens. */
import type { Probe, ProbedConnection, RetransmissionReason } from '../base/probe.js';
import { type Seq, seqDiff } from '../base/seq.js';
import type { TcpConnection } from './connection.js';
import { phaseName } from './connection-info.js';
import type { ConnectionEntry } from './entry.js';
import { Phase } from './recovery/episode.js';
import { stateName, TcpState } from './state.js';
import type { Tuple } from './tuple.js';

export interface ObserverParts {
  readonly probe: Probe;
  readonly id: number;
  /** The stack's clock, µs: a connection has none. */
  readonly nowUs: () => number;
}

export class Observer implements ProbedConnection {
  readonly id: number;
  readonly #probe: Probe;
  readonly #nowUs: () => number;
  readonly #connection: TcpConnection;
  readonly #tuple: Tuple;
  #phase: string;
  /** Bytes lost ever, as far as was told. */
  #lostBytes: number;

  constructor(entry: Pick<ConnectionEntry, 'connection' | 'tuple'>, parts: ObserverParts) {
    this.id = parts.id;
    this.#probe = parts.probe;
    this.#nowUs = parts.nowUs;
    this.#connection = entry.connection;
    this.#tuple = entry.tuple;
    this.#phase = this.phase;
    this.#lostBytes = entry.connection.sender.recovery.rate.totalLostBytes;
  }

  // ---- what happened ------------------------------------------------------------------------------

  moved(from: TcpState, to: TcpState): void {
    this.#probe.onState?.(this, stateName(from), stateName(to));
  }

  acknowledged(): void {
    this.lossesDetected();
    this.#probe.onAck?.(this);
  }

  /** Something may have been found lost, and be recovered from now. */
  lossesDetected(): void {
    const { totalLostBytes } = this.#connection.sender.recovery.rate;
    const lostBytes = totalLostBytes - this.#lostBytes;
    this.#lostBytes = totalLostBytes;
    if (lostBytes > 0) this.#probe.onLost?.(this, lostBytes);
    this.#notePhase();
  }

  timedOut(): void {
    this.#probe.onTimeout?.(this);
    this.lossesDetected();
  }

  /** What the sender has planned left. */
  sent(): void {
    const { sequence, textBytes, row } = this.#connection.sender.plan;
    const start = this.#relative(sequence);
    if (row < 0) this.#probe.onSent?.(this, start, textBytes);
    else this.#probe.onRetransmitted?.(this, start, textBytes, this.#reason);
  }

  get #reason(): RetransmissionReason {
    const { plan, recovery } = this.#connection.sender;
    if (plan.isProbe) return 'tail-loss-probe';
    if (recovery.phase === Phase.Recovery) return 'recovery';
    return recovery.phase === Phase.Loss ? 'time-out' : 'size';
  }

  ended(from: TcpState, errorCode: string): void {
    // TIME-WAIT goes on without the connection.
    if (from !== TcpState.TIME_WAIT) this.moved(from, TcpState.CLOSED);
    this.#probe.onClosed?.(this, errorCode);
  }

  #notePhase(): void {
    const before = this.#phase;
    const now = this.phase;
    if (now === before) return;
    this.#phase = now;
    this.#probe.onPhase?.(this, before, now);
  }

  // ---- how it is ----------------------------------------------------------------------------------

  get localAddress(): string {
    return this.#tuple.local.toString();
  }

  get localPort(): number {
    return this.#tuple.localPort;
  }

  get remoteAddress(): string {
    return this.#tuple.remote.toString();
  }

  get remotePort(): number {
    return this.#tuple.remotePort;
  }

  get nowUs(): number {
    return this.#nowUs();
  }

  get state(): string {
    return stateName(this.#connection.state);
  }

  get phase(): string {
    return phaseName(this.#connection.sender.recovery.phase);
  }

  get congestionControl(): string {
    return this.#connection.sender.congestion.name;
  }

  get cwndBytes(): number {
    return this.#connection.sender.cwndBytes;
  }

  get ssthreshBytes(): number {
    return this.#connection.sender.congestion.ssthreshBytes;
  }

  get pacingRateBps(): number {
    return this.#connection.sender.pacingRateBps;
  }

  get rttUs(): number {
    return this.#connection.sender.recovery.result.rttUs;
  }

  get srttUs(): number {
    return this.#connection.sender.recovery.rtt.srttUs;
  }

  get minRttUs(): number {
    const { rtt } = this.#connection.sender.recovery;
    return rtt.hasSample ? rtt.minRttUs : 0;
  }

  get rtoUs(): number {
    return this.#connection.sender.recovery.rtoUs;
  }

  get inFlightBytes(): number {
    return this.#connection.sender.recovery.inFlightBytes;
  }

  get unackedBytes(): number {
    return this.#connection.sender.recovery.outstandingBytes;
  }

  get unsentBytes(): number {
    return this.#connection.sender.unsentBytes;
  }

  get sndUna(): number {
    return this.#relative(this.#connection.sender.sndUna);
  }

  get sndNxt(): number {
    return this.#relative(this.#connection.sender.sndNxt);
  }

  get sendWindowBytes(): number {
    return this.#connection.sender.sndWnd;
  }

  get receiveWindowBytes(): number {
    return this.#connection.receiver?.rcvWnd ?? 0;
  }

  get receivedBytes(): number {
    return this.#connection.receiver?.bytesReceived ?? 0;
  }

  get deliveredBytes(): number {
    return this.#connection.sender.deliveredBytes;
  }

  get retransmittedBytes(): number {
    return this.#connection.sender.retransmittedBytes;
  }

  #relative(sequence: Seq): number {
    return seqDiff(sequence, this.#connection.sender.iss) >>> 0;
  }
}

/** Gives each new connection of a stack an observer. */
export class Observers {
  readonly #probe: Probe;
  readonly #nowUs: () => number;
  #count = 0;

  constructor(probe: Probe, nowUs: () => number) {
    this.#probe = probe;
    this.#nowUs = nowUs;
  }

  attach(entry: Pick<ConnectionEntry, 'connection' | 'tuple'>): void {
    const observer = new Observer(entry, { probe: this.#probe, id: ++this.#count, nowUs: this.#nowUs });
    entry.connection.observer = observer;
    // Of a connection that a listener accepts, the handshake is over.
    if (entry.connection.state !== TcpState.CLOSED) {
      observer.moved(TcpState.SYN_RECEIVED, entry.connection.state);
    }
  }
}
