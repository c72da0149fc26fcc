/**
 * Echo requests to addresses that are not ours (ping): answered, dropped, or handed to somebody who decides, at once
 * or later. The stack answers those to its own addresses itself, unless it was told not to (`ip.echoReplies`).
 */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import type { IpLayer } from '../ip/ip-layer.js';
import { type AnyFilter, PacketMatcher } from '../wire/any-filter.js';
import { ICMP_HEADER_BYTES } from '../wire/icmp.js';
import { type IcmpRejection, rejectionKind } from '../wire/icmp-rejection.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import { keepPacket } from '../wire/kept-packet.js';

/** Which echo requests are taken, and what becomes of those that nobody decides on. */
export interface AnyEchoOptions extends AnyFilter {
  /** What is done with requests where no handler was given: `answer`, the default, or `drop`. */
  readonly respond?: 'answer' | 'drop';
  /** Most requests that wait to be decided; more are dropped and counted. 1024 by default, 65,536 at most. */
  readonly maxPending?: number;
  /** How long a request may wait, ms; 10,000 by default, 3,600,000 at most. */
  readonly pendingMs?: number;
}

/** What became of the requests of a listener. */
export interface AnyEchoCounts {
  /** Requests that came in. */
  requested: number;
  /** Those answered. */
  answered: number;
  /** Those refused by an ICMP error. */
  rejected: number;
  /** Those dropped on purpose. */
  ignored: number;
  /** Those dropped beyond `maxPending`, or 4 MiB. */
  overflows: number;
  /** Those nobody decided on in time. */
  expired: number;
}

const OPTION_NAMES: ReadonlySet<string> = new Set(
  'destinations sources ports link respond maxPending pendingMs'.split(' '),
);
/** Listeners at once, and bytes of requests that wait for one of them. */
const MAX_LISTENERS = 64;
const MAX_PENDING_BYTES = 4 << 20;
const MOST_PENDING = 65_536;
const MOST_PENDING_MS = 3_600_000;
const DEFAULT_MAX_PENDING = 1024;
const DEFAULT_PENDING_MS = 10_000;

/** What this needs of a stack. */
interface EchoHost {
  readonly clock: Clock;
  readonly ip: IpLayer;
}

/**
 * An echo request to an address that is nobody's here.
 * @hideconstructor
 */
export class PingRequest {
  /** Told when it is over without having been decided: too old, or its listener or the stack was closed. */
  onCancel: ((reason: 'expired' | 'closed') => void) | undefined;
  readonly #packet: IpPacket;
  readonly #listener: AnyEchoListener;

  constructor(packet: IpPacket, listener: AnyEchoListener) {
    this.#packet = packet;
    this.#listener = listener;
  }

  /** Who asks. */
  get sourceAddress(): string {
    return this.#packet.source().toString();
  }

  /** Whom it asks. */
  get destinationAddress(): string {
    return this.#packet.destination().toString();
  }

  /** IPv4 or IPv6. */
  get family(): 4 | 6 {
    return this.#packet.version;
  }

  /** Index of the link it came by. */
  get link(): number {
    return this.#packet.link;
  }

  /** Tells the programs apart that ask. */
  get identifier(): number {
    return this.#packet.view.getUint16(this.#packet.payloadAt + 4);
  }

  /** Tells their questions apart. */
  get sequence(): number {
    return this.#packet.view.getUint16(this.#packet.payloadAt + 6);
  }

  /** What it carries, and its answer will; a copy. */
  get data(): Uint8Array {
    const { bytes, payloadAt, payloadBytes } = this.#packet;
    return bytes.slice(payloadAt + ICMP_HEADER_BYTES, payloadAt + payloadBytes);
  }

  /** TTL or hop limit with which it came. */
  get hopLimit(): number {
    return this.#packet.hopLimit;
  }

  /** Whether it may still be answered. */
  get isPending(): boolean {
    return this.#listener.has(this);
  }

  /** Answers it, from the address it was sent to. Without effect when it is over. */
  reply(): void {
    this.#listener.answer(this, this.#packet);
  }

  /**
   * Refuses it by an ICMP error from the address it was sent to, within the stack's limits for such. Without effect
   * when it is over.
   * @throws ArgumentTypeError, ArgumentValueError for a reason that is none
   */
  reject(reason: IcmpRejection = 'host-unreachable'): void {
    this.#listener.reject(this, this.#packet, rejectionKind(reason));
  }

  /** Says nothing. */
  ignore(): void {
    this.#listener.ignore(this);
  }

  /** Bytes it holds. @hidden */
  get bytes(): number {
    return this.#packet.length;
  }
}

/**
 * Takes echo requests to any address: made by `Stack.listenAnyEcho`.
 * @hideconstructor
 */
export class AnyEchoListener {
  readonly #counts: AnyEchoCounts = {
    requested: 0,
    answered: 0,
    rejected: 0,
    ignored: 0,
    overflows: 0,
    expired: 0,
  };
  readonly #host: EchoHost;
  readonly #matcher: PacketMatcher;
  readonly #respond: 'answer' | 'drop';
  readonly #maxPending: number;
  readonly #pendingUs: number;
  readonly #onRequest: ((request: PingRequest) => void) | undefined;
  readonly #onClose: (listener: AnyEchoListener) => void;
  /** When each request is forgotten, µs, the oldest first. */
  readonly #pending = new Map<PingRequest, number>();
  /** Requests its owner has not heard of yet. */
  #untold: PingRequest[] = [];
  #bytes = 0;
  readonly #alarm: Alarm;
  #isClosed = false;

  constructor(
    host: EchoHost,
    options: AnyEchoOptions,
    onRequest: ((request: PingRequest) => void) | undefined,
    onClose: (listener: AnyEchoListener) => void,
  ) {
    const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
    if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}"`);
    const { respond = 'answer' } = options;
    if (respond !== 'answer' && respond !== 'drop') {
      throw new ArgumentValueError(`respond must be answer or drop, not ${String(respond)}`);
    }
    if (options.ports !== undefined) throw new ArgumentValueError('echo requests have no ports');
    this.#host = host;
    this.#matcher = new PacketMatcher(options);
    this.#respond = respond;
    this.#maxPending = integerOf(options.maxPending, DEFAULT_MAX_PENDING, MOST_PENDING, 'maxPending');
    this.#pendingUs = 1000 * integerOf(options.pendingMs, DEFAULT_PENDING_MS, MOST_PENDING_MS, 'pendingMs');
    this.#onRequest = onRequest;
    this.#onClose = onClose;
    this.#alarm = host.clock.createAlarm(() => this.#ring());
    // What only waits for a decision keeps no process alive.
    this.#alarm.unref?.();
  }

  /** Requests that wait to be decided. */
  get pending(): number {
    return this.#pending.size;
  }

  /** What became of the requests so far; a copy. */
  get counts(): Readonly<AnyEchoCounts> {
    return { ...this.#counts };
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes no more requests, and forgets those that wait. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#alarm.clear();
    this.#untold = [];
    const waiting = [...this.#pending.keys()];
    for (const request of waiting) this.#forget(request);
    this.#onClose(this);
    for (const request of waiting) request.onCancel?.('closed');
  }

  /** A packet with an echo request. @returns false when it is not wanted @hidden */
  take(packet: IpPacket): boolean {
    if (!this.#matcher.matches(packet, 0)) return false;
    const counts = this.#counts;
    counts.requested++;
    if (this.#onRequest !== undefined) {
      this.#await(packet);
    } else if (this.#respond === 'answer') {
      counts.answered++;
      this.#host.ip.echo.answer(packet);
    } else {
      counts.ignored++;
    }
    return true;
  }

  /** @hidden */
  has(request: PingRequest): boolean {
    return this.#pending.has(request);
  }

  /** @hidden */
  answer(request: PingRequest, packet: IpPacket): void {
    if (!this.#forget(request)) return;
    this.#counts.answered++;
    packet.nowUs = this.#host.clock.nowUs();
    this.#host.ip.echo.answer(packet);
  }

  /** @hidden */
  reject(request: PingRequest, packet: IpPacket, kind: ReturnType<typeof rejectionKind>): void {
    if (!this.#forget(request)) return;
    this.#counts.rejected++;
    packet.nowUs = this.#host.clock.nowUs();
    this.#host.ip.icmpErrors.error(packet, kind);
  }

  /** @hidden */
  ignore(request: PingRequest): void {
    if (this.#forget(request)) this.#counts.ignored++;
  }

  /** Its owner hears of it once the packet's turn is over: nothing is called from within. */
  #await(packet: IpPacket): void {
    const isFull = this.#pending.size >= this.#maxPending || this.#bytes + packet.length > MAX_PENDING_BYTES;
    if (isFull) {
      this.#counts.overflows++;
      return;
    }
    const request = new PingRequest(keepPacket(packet, packet.length), this);
    this.#pending.set(request, packet.nowUs + this.#pendingUs);
    this.#bytes += request.bytes;
    this.#untold.push(request);
    if (this.#untold.length === 1) this.#alarm.setAt(packet.nowUs);
  }

  #forget(request: PingRequest): boolean {
    if (!this.#pending.delete(request)) return false;
    this.#bytes -= request.bytes;
    return true;
  }

  #ring(): void {
    // Its owner may throw: what is left is told, and forgotten, the next time.
    try {
      this.#tell();
      this.#expire(this.#host.clock.nowUs());
    } finally {
      this.#setAlarm();
    }
  }

  #tell(): void {
    for (let left = this.#untold.length; left > 0; left--) {
      const request = this.#untold.shift();
      if (request !== undefined && this.#pending.has(request)) this.#onRequest?.(request);
    }
  }

  #expire(nowUs: number): void {
    for (const [request, deadlineUs] of this.#pending) {
      if (deadlineUs > nowUs) return;
      this.#forget(request);
      this.#counts.expired++;
      request.onCancel?.('expired');
    }
  }

  #setAlarm(): void {
    if (this.#isClosed) return;
    if (this.#untold.length > 0) return this.#alarm.setAt(this.#host.clock.nowUs());
    const [deadlineUs] = this.#pending.values();
    if (deadlineUs !== undefined) this.#alarm.setAt(deadlineUs);
  }
}

/** The listeners of one stack. */
export class AnyEcho {
  readonly #host: EchoHost;
  #listeners: readonly AnyEchoListener[] = [];

  constructor(host: EchoHost) {
    this.#host = host;
    host.ip.echo.onStranger = (packet) => this.#take(packet);
  }

  /** @throws StackError ENOBUFS for one listener too many; argument errors */
  listen(options: AnyEchoOptions, onRequest?: (request: PingRequest) => void): AnyEchoListener {
    if (options === null || typeof options !== 'object')
      throw new ArgumentTypeError('options must be an object');
    if (onRequest !== undefined && typeof onRequest !== 'function') {
      throw new ArgumentTypeError('onRequest must be a function');
    }
    if (this.#listeners.length >= MAX_LISTENERS) throw new StackError('ENOBUFS', 'listen');
    const listener = new AnyEchoListener(this.#host, options, onRequest, (closed) => this.#closed(closed));
    this.#listeners = [...this.#listeners, listener];
    this.#takeForeign(true);
    return listener;
  }

  /** Closes all of them. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
  }

  #closed(listener: AnyEchoListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
    this.#takeForeign(false);
  }

  #takeForeign(take: boolean): void {
    this.#host.ip.takeForeign(Protocol.Icmp, take);
    this.#host.ip.takeForeign(Protocol.Icmpv6, take);
  }

  #take(packet: IpPacket): boolean {
    for (const listener of this.#listeners) if (listener.take(packet)) return true;
    return false;
  }
}

function integerOf(given: number | undefined, normal: number, most: number, name: string): number {
  if (given === undefined) return normal;
  if (typeof given !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (Number.isInteger(given) && given >= 1 && given <= most) return given;
  throw new ArgumentRangeError(`${name} must be an integer within 1 .. ${most}, not ${given}`);
}
