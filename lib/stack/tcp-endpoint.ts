/**
 * Connections and listeners for those who do not want Node's streams: bytes in, bytes out, and calls
 * when something happens. `net/` is built on these.
 */
import type { Probe } from '../base/probe.js';
import type { TcpConnection } from '../tcp/connection.js';
import { type ConnectionInfo, connectionInfo } from '../tcp/connection-info.js';
import { ConnectionEvent } from '../tcp/connection-parameters.js';
import type { KeepAliveTiming } from '../tcp/connection-timers.js';
import type { ConnectionEntry, ConnectionOwner } from '../tcp/entry.js';
import { changeOption, type LiveOption, readOption } from '../tcp/live-options.js';
import { Observer } from '../tcp/observer.js';
import type { TcpOptions } from '../tcp/options.js';
import type { TextSink } from '../tcp/receiver.js';
import type { TcpState } from '../tcp/state.js';
import type { TcpLayer } from '../tcp/tcp-layer.js';
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import { checkBufferBytes, checkSpan } from './arguments.js';

export type { ConnectionInfo, LiveOption, TcpOptions };

/**
 * Hears what happens to an endpoint, within the stack's turn and never from inside a call to the
 * endpoint. Everything may be called from here.
 */
export interface TcpEndpointHandler {
  /** The handshake is complete. */
  onConnect(): void;
  /** There are bytes to read. */
  onReadable(): void;
  /** `write` admits bytes again, after it had admitted fewer than offered; also once when connected. */
  onWritable(): void;
  /** The peer has finished sending; bytes received before may still wait to be read. */
  onEnd(): void;
  /** It is over: '' when both sides closed, else a code such as `ECONNRESET`. Bytes received stay readable. */
  onClose(errorCode: string): void;
  /** Urgent data is pending (RFC 9293 §3.8.5). */
  onUrgent?(): void;
  /** The path has trouble, and the connection goes on: `EHOSTUNREACH` and the like. */
  onSoftError?(code: string): void;
  /** Everything written has been acknowledged. */
  onDrain?(): void;
}

/** What an endpoint needs of its stack. */
export interface EndpointHost {
  readonly tcp: TcpLayer;
  nowUs(): number;
  /** Something waits to be sent or told: flush at the end of this turn, or soon. */
  schedule(): void;
}

/**
 * A TCP connection, for those who do not want Node's streams: made by `Stack.connectTcp`, or given by
 * `TcpListenerEndpoint.accept`. Calls tell it something and return at once; its handler hears what happens. A
 * connection that nobody wants any more must be given up with `close` or `abort`.
 * @hideconstructor
 */
export class TcpEndpoint implements ConnectionOwner {
  /** Hears what happens; set it before the turn in which the endpoint was made ends. */
  handler: TcpEndpointHandler | undefined;
  readonly #host: EndpointHost;
  readonly #entry: ConnectionEntry;
  #released = false;
  /** Released, and waiting for `Lingered`. */
  #lingers = false;

  /** @param entry a connection of the layer without an owner; this becomes it */
  constructor(host: EndpointHost, entry: ConnectionEntry) {
    this.#host = host;
    this.#entry = entry;
    entry.owner = this;
  }

  /** Address of this side. */
  get localAddress(): IpAddress {
    return this.#entry.tuple.local;
  }

  /** Port of this side. */
  get localPort(): number {
    return this.#entry.tuple.localPort;
  }

  /** Address of the peer. */
  get remoteAddress(): IpAddress {
    return this.#entry.tuple.remote;
  }

  /** Port of the peer. */
  get remotePort(): number {
    return this.#entry.tuple.remotePort;
  }

  /** Version of IP. */
  get family(): IpFamily {
    return this.#entry.tuple.local.family;
  }

  /** Index of the link its packets leave by. */
  get link(): number {
    return this.#entry.path.port.index;
  }

  /** Its state, as a number of `TcpState`. */
  get state(): TcpState {
    return this.#entry.state;
  }

  /** Why it ended: `ECONNRESET` and the like; '' while it lives or when it ended well. */
  get errorCode(): string {
    return this.#entry.likeness.errorCode;
  }

  /** Whether the peer has finished sending. */
  get isPeerClosed(): boolean {
    return this.#entry.likeness.receiver?.finReceived === true;
  }

  /** The connection itself, for tools that look at its parts. @hidden */
  get connection(): TcpConnection {
    return this.#entry.connection;
  }

  /** Bytes that can be read now. */
  get readableBytes(): number {
    return this.#entry.likeness.receiver?.readableBytes ?? 0;
  }

  /** Bytes `write` would admit now. */
  get writableBytes(): number {
    return this.#entry.likeness.sender.freeBytes;
  }

  /** Bytes written and not yet sent. */
  get unsentBytes(): number {
    return this.#entry.likeness.sender.unsentBytes;
  }

  /** Bytes written and not yet acknowledged. */
  get unackedBytes(): number {
    return this.#entry.likeness.sender.buffer.length;
  }

  /** A snapshot of what the connection knows of itself, as Linux's `TCP_INFO`. */
  get info(): ConnectionInfo {
    return connectionInfo(this.#entry.likeness, this.#entry.path.mtu, this.#host.nowUs());
  }

  /** Has this connection observed, instead of as the stack has it; `undefined` ends that. Its `id` is 0. */
  setProbe(probe: Probe | undefined): void {
    const parts = { id: 0, nowUs: () => this.#host.nowUs() };
    this.#entry.connection.observer = probe && new Observer(this.#entry, { probe, ...parts });
  }

  /** Moves received bytes into `target`. @returns how many; 0 when there are none. @throws as `write` */
  read(target: Uint8Array, at = 0, length = target.length - at): number {
    checkSpan(target, at, length);
    if (this.#entry.isResting) return 0;
    const { connection } = this.#entry;
    const bytes = connection.read(target, at, length);
    if (bytes > 0 && (connection.acks.isDue || connection.memory.account.isAwaited)) this.#touch();
    return bytes;
  }

  /**
   * Queues bytes, copying them. @returns how many were admitted; when fewer than offered, `onWritable` follows
   * @throws ArgumentTypeError for what is no Uint8Array, ArgumentRangeError for bytes that it does not have
   */
  write(source: Uint8Array, at = 0, length = source.length - at): number {
    return this.#write(source, at, length, false);
  }

  /** As `write`, where more follows at once: a partial segment waits for it, 200 ms at most (Linux `MSG_MORE`). */
  writeMore(source: Uint8Array, at = 0, length = source.length - at): number {
    return this.#write(source, at, length, true);
  }

  #write(source: Uint8Array, at: number, length: number, moreComing: boolean): number {
    checkSpan(source, at, length);
    const { connection } = this.#entry;
    connection.sender.small.moreComing = moreComing;
    const bytes = connection.write(source, at, length);
    if (bytes > 0 || connection.isStarved) this.#touch();
    return bytes;
  }

  /** As `write`, with the urgent mark behind the last byte admitted (RFC 6093). */
  writeUrgent(source: Uint8Array, at = 0, length = source.length - at): number {
    const bytes = this.#write(source, at, length, false);
    this.#entry.connection.markUrgent();
    this.#touch();
    return bytes;
  }

  /** Whether the next byte to be read is the urgent one. */
  get isAtMark(): boolean {
    const { receiver } = this.#entry.likeness;
    return receiver?.urgent.isAt(receiver.buffer.readSequence) === true;
  }

  /** Bytes up to the urgent one; 0 when none is pending. */
  get urgentBytes(): number {
    const { receiver } = this.#entry.likeness;
    return receiver?.urgent.bytesFrom(receiver.buffer.readSequence) ?? 0;
  }

  /** The urgent byte, taken apart from the stream; -1 when there is none. */
  readUrgent(): number {
    const { receiver } = this.#entry.connection;
    if (receiver === undefined) return -1;
    const { byte } = receiver.urgent;
    receiver.urgent.byte = -1;
    return byte;
  }

  /** In-order text goes to `sink` as it arrives, as long as nothing waits to be read. */
  setSink(sink: TextSink | undefined): void {
    this.#entry.connection.setSink(sink);
  }

  /** Half-close: a FIN follows what was written; the peer may go on sending. */
  shutdown(): void {
    this.#entry.connection.shutdownWrite();
    this.#touch();
  }

  /** What still arrives is thrown away. */
  shutdownRead(): void {
    this.#entry.connection.shutdownRead();
    this.#touch();
  }

  /**
   * Gives it up: FIN after what was written, or RST when received bytes were not read (RFC 2525 §2.17).
   * The stack finishes it alone, and the handler hears no more; but if it lingers, it hears `onClose` when the
   * peer has acknowledged everything, the FIN included, or when the time is over.
   */
  close(): void {
    if (this.#released) return;
    this.#released = true;
    this.#lingers = this.#entry.connection.lingerMs > 0;
    this.#host.tcp.release(this.#entry, this.#host.nowUs());
    this.#host.schedule();
  }

  /** Ends it at once with an RST. `onClose('')` follows unless it was given up. */
  abort(): void {
    this.#host.tcp.abort(this.#entry);
    this.#host.schedule();
  }

  // ---- settings ---------------------------------------------------------------------------------

  /**
   * Changes a setting from now on (`LiveOption` lists which may change; the others count only when a
   * connection begins).
   * @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError
   */
  setOption<K extends LiveOption>(name: K, value: TcpOptions[K]): void {
    changeOption(this.#entry, name, value, this.#host.nowUs());
    this.#touch();
  }

  /** A setting as it is now; for buffers their size now. @throws ArgumentValueError for an unknown one */
  getOption<K extends keyof TcpOptions>(name: K): TcpOptions[K] {
    const { likeness, path } = this.#entry;
    return readOption({ connection: likeness, path }, name);
  }

  /** Nagle's algorithm off or on (RFC 9293 §3.7.4). Turned off, it lets what waits leave, corked or not. */
  setNoDelay(on: boolean): void {
    this.setOption('noDelay', on);
  }

  /** Holds partial segments, 200 ms at most; what is held leaves when it is turned off. */
  setCork(on: boolean): void {
    this.setOption('cork', on);
  }

  /**
   * Fixes the size of the send buffer, which otherwise grows with the congestion window, 1 .. 2^30 bytes.
   * @throws ArgumentRangeError
   */
  setSendBuffer(bytes: number): void {
    this.setOption('sendBufferBytes', checkBufferBytes(bytes));
  }

  /**
   * Fixes the size of the receive buffer, which otherwise grows with what is read in a round trip, within
   * `receiveBufferMaxBytes`. The window follows as far as it has not been promised. Before the handshake the
   * options decide.
   * @throws ArgumentRangeError
   */
  setReceiveBuffer(bytes: number): void {
    this.setOption('receiveBufferBytes', checkBufferBytes(bytes));
  }

  /**
   * Probes an idle peer, or no longer (RFC 9293 §3.8.4).
   * @param timing what is to differ from the options, from now on; a number is `idleMs`
   */
  setKeepAlive(on: boolean, timing: number | Partial<KeepAliveTiming> = {}): void {
    const given = typeof timing === 'number' ? { idleMs: timing } : timing;
    this.#entry.connection.timers.setKeepAlive(on, this.#host.nowUs(), given);
    this.#touch();
  }

  /**
   * IPv4 TOS or IPv6 traffic class of what is sent from now on, 0 .. 255 (Linux `IP_TOS`, `IPV6_TCLASS`). The two
   * ECN bits are the stack's, and left out (RFC 9293 §3.9.1.9). @throws ArgumentTypeError, ArgumentRangeError
   */
  setTrafficClass(trafficClass: number): void {
    this.setOption('trafficClass', trafficClass);
  }

  /** As `setTrafficClass` or the options set it: DSCP << 2. */
  get trafficClass(): number {
    return this.getOption('trafficClass');
  }

  /** TTL or hop limit of what is sent from now on, 1 .. 255; 0 for the default. */
  setHopLimit(hopLimit: number): void {
    this.setOption('hopLimit', hopLimit);
  }

  /** How long sent data may stay unacknowledged, ms (RFC 5482); 0 leaves it to `retries2`. */
  setUserTimeout(ms: number): void {
    this.setOption('userTimeoutMs', ms);
  }

  /** How `close` behaves: -1 in the background, 0 with an RST; else the handler hears when it is done, or after so many ms. */
  setLinger(ms: number): void {
    this.setOption('lingerMs', ms);
  }

  /**
   * Acknowledge every segment at once; or, until the peer proves to wait for an ACK, with the answers of the application
   * (Linux `TCP_QUICKACK`).
   */
  setQuickAck(on: boolean): void {
    this.setOption('quickAck', on);
  }

  /**
   * Sends with another congestion control from now on. Window and threshold stay; what the old one knew of the
   * path is lost.
   * @throws ArgumentValueError when there is none of that name
   */
  setCongestionControl(name: string): void {
    this.setOption('congestionControl', name);
  }

  /** Bytes per second at which segments leave at most (Linux `SO_MAX_PACING_RATE`); Infinity for no limit. */
  setMaxPacingRate(bytesPerSecond: number): void {
    this.setOption('maxPacingRateBps', bytesPerSecond);
  }

  /** Largest segment sent from now on, timestamps included, bytes (Linux `TCP_MAXSEG`); 0: as peer and path allow. */
  setMaxSegment(bytes: number): void {
    this.setOption('maxSegmentBytes', bytes);
  }

  /** Upper bound on the window offered from now on, bytes; 0 for none. What has been offered stays offered. */
  setWindowClamp(bytes: number): void {
    this.setOption('windowClampBytes', bytes);
  }

  /** `onWritable` follows once so many bytes or fewer wait to be sent; -1: once a third of the buffer is free. */
  setNotSentLowWater(bytes: number): void {
    this.setOption('notSentLowWaterBytes', bytes);
  }

  /** Called by the layer in its flush. @hidden */
  connectionEvents(events: number): void {
    const { handler } = this;
    if (this.#lingers && events & (ConnectionEvent.Lingered | ConnectionEvent.Closed)) this.#lingered();
    if (handler === undefined || this.#released) return;
    if (events & ConnectionEvent.Connected) handler.onConnect();
    if (events & ConnectionEvent.SoftError) handler.onSoftError?.(this.#entry.connection.softError);
    if (events & ConnectionEvent.Urgent) handler.onUrgent?.();
    if (events & ConnectionEvent.Readable) handler.onReadable();
    if (events & ConnectionEvent.PeerClosed) handler.onEnd();
    if (events & ConnectionEvent.Writable) handler.onWritable();
    if (events & ConnectionEvent.Drained) handler.onDrain?.();
    if (events & ConnectionEvent.Closed) handler.onClose(this.#entry.connection.errorCode);
  }

  #lingered(): void {
    this.#lingers = false;
    this.#entry.owner = undefined;
    this.handler?.onClose(this.#entry.connection.errorCode);
  }

  #touch(): void {
    this.#host.tcp.touch(this.#entry);
    this.#host.schedule();
  }
}
