/**
 * Connections to any address and port, for those who do not want Node's streams: every SYN is a request, which is
 * seen before it is answered. Transparent proxies, sandboxes and gateways are built on these.
 */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { AnyCounts, AnyListener } from '../tcp/any-listener.js';
import type { TcpOptions } from '../tcp/options.js';
import type { CancelReason, UndecidedSyn } from '../tcp/undecided.js';
import { type AnyFilter, PacketMatcher } from '../wire/any-filter.js';
import { type IcmpRejection, rejectionKind } from '../wire/icmp-rejection.js';
import { TcpFlag } from '../wire/tcp.js';
import { type EndpointHost, TcpEndpoint } from './tcp-endpoint.js';

export type { CancelReason };

/** What requests a listener for any address takes, and what becomes of them. */
export interface AnyTcpOptions extends AnyFilter {
  /**
   * Whether requests to the stack's own addresses are taken too, where nobody listens on the port; true by default.
   * Where somebody listens, that listener always goes first.
   */
  readonly ownAddresses?: boolean;
  /**
   * Most requests that wait to be decided, 1 .. 65,536; 1024 by default. SYNs beyond are dropped and counted
   * (`overflows`): their peers send again. So many ignored ones are remembered, too.
   */
  readonly maxPending?: number;
  /**
   * How long a request is remembered, ms; 30,000 by default. One that is not decided by then is forgotten
   * silently; one that is ignored is until then not asked about again, however often its SYN comes.
   */
  readonly pendingMs?: number;
  /** Settings of the connections, in place of the stack's. */
  readonly options?: Partial<TcpOptions>;
}

/** What the SYN of a request said. */
export interface SynInfo {
  /** Largest segment the peer takes, bytes; 0 when it did not say (then 536 over IPv4, 1220 over IPv6). */
  readonly mss: number;
  /** Shift of its windows (RFC 7323 §2); -1 when it does not scale them. */
  readonly windowScale: number;
  /** It takes selective acknowledgments (RFC 2018). */
  readonly sackPermitted: boolean;
  /** It sent a timestamp (RFC 7323 §3). */
  readonly timestamps: boolean;
  /** It asks for explicit congestion notification (RFC 3168 §6.1.1, RFC 9768 §3.1.1). */
  readonly ecn: boolean;
  /** Its first window, bytes. */
  readonly window: number;
  /** TTL or hop limit with which it came. */
  readonly hopLimit: number;
  /** Traffic class with which it came: DSCP in the upper six bits, ECN in the lower two. */
  readonly trafficClass: number;
}

/** What a listener asks of its stack. @hidden */
export interface AnyHost extends EndpointHost {
  /** The time of the turn, or now, µs. */
  turnUs(): number;
}

const DEFAULT_MAX_PENDING = 1024;
const MOST_PENDING = 65_536;
const DEFAULT_PENDING_MS = 30_000;
const MOST_PENDING_MS = 3_600_000;
const ECN_FLAGS = TcpFlag.ECE | TcpFlag.CWR;

/**
 * A SYN that has not been answered: made by `Stack.listenAnyTcp`. It is over when it is accepted, rejected or
 * ignored, when the peer resets it, and when its time is up (`pendingMs`). A SYN that is sent again makes no
 * second request.
 * @hideconstructor
 */
export class TcpRequest {
  /** Told when it is over without having been decided: reset by the peer, too old, or its listener was closed. */
  onCancel: ((reason: CancelReason) => void) | undefined;
  readonly #host: AnyHost;
  readonly #record: UndecidedSyn;

  constructor(host: AnyHost, record: UndecidedSyn) {
    this.#host = host;
    this.#record = record;
    record.owner = this;
  }

  /** Address of the peer. */
  get sourceAddress(): string {
    return String(this.#record.tuple.remote);
  }

  /** Port of the peer. */
  get sourcePort(): number {
    return this.#record.tuple.remotePort;
  }

  /** The address it wants to connect to. */
  get destinationAddress(): string {
    return String(this.#record.tuple.local);
  }

  /** The port it wants to connect to. */
  get destinationPort(): number {
    return this.#record.tuple.localPort;
  }

  /** Version of IP. */
  get family(): 4 | 6 {
    return this.#record.tuple.local.family;
  }

  /** Index of the link it came by. */
  get link(): number {
    return this.#record.packet.link;
  }

  /** What the SYN said; the newest of them where it came more than once. */
  get syn(): SynInfo {
    const { options, flags, window, packet } = this.#record;
    const { mss, windowScale, sackPermitted, hasTimestamps } = options;
    const { hopLimit, trafficClass } = packet;
    const ecn = (flags & ECN_FLAGS) === ECN_FLAGS;
    return {
      mss,
      windowScale,
      sackPermitted,
      timestamps: hasTimestamps,
      ecn,
      window,
      hopLimit,
      trafficClass,
    };
  }

  /** Whether it may still be accepted or rejected. */
  get isPending(): boolean {
    return this.#record.isPending;
  }

  /**
   * Accepts it. The SYN-ACK leaves in this turn, or soon; the endpoint is in SYN-RECEIVED and may be written to.
   * Its handler, to be set at once, hears `onConnect` when the handshake is complete, or `onClose` with the error
   * that ended it: `ECONNRESET`, `ETIMEDOUT`, `ECONNREFUSED` and the like.
   * @param options settings of the connection, in place of those of the listener
   * @throws StackError `ECONNABORTED` when it is over, of which `isPending` tells; `ENETUNREACH` and the like when the
   *   way back has gone since it came, after which it is still pending; argument errors for the options
   */
  accept(options: Partial<TcpOptions> = {}): TcpEndpoint {
    const { tcp } = this.#host;
    const entry = tcp.any.accept(this.#record, options, this.#host.turnUs());
    this.#host.schedule();
    return new TcpEndpoint(this.#host, entry);
  }

  /**
   * Refuses it: by an RST (RFC 9293 §3.10.7.1), or with an ICMP error from the address it was for. Either is limited
   * in rate (`resetsPerSecond`, RFC 4443 §2.4 (f)). Without effect when the request is over.
   * @throws ArgumentTypeError, ArgumentValueError for a reason that is none
   */
  reject(reason: 'reset' | IcmpRejection = 'reset'): void {
    if (reason !== 'reset') rejectionKind(reason);
    this.#host.tcp.any.reject(this.#record, reason, this.#host.turnUs());
    this.#host.schedule();
  }

  /** Never answers it, as a filter that drops. Without effect when the request is over. */
  ignore(): void {
    this.#host.tcp.any.ignore(this.#record);
  }

  /** Called by the layer in its flush. @hidden */
  cancelled(reason: CancelReason): void {
    this.onCancel?.(reason);
  }
}

/**
 * Takes requests for any address: made by `Stack.listenAnyTcp`.
 * @hideconstructor
 */
export class AnyTcpListener {
  readonly #host: AnyHost;
  readonly #listener: AnyListener;

  constructor(host: AnyHost, options: AnyTcpOptions, onRequest: (request: TcpRequest) => void) {
    this.#host = host;
    checkNames(options);
    if (typeof onRequest !== 'function') throw new ArgumentTypeError('onRequest must be a function');
    const { ownAddresses = true } = options;
    if (typeof ownAddresses !== 'boolean') throw new ArgumentTypeError('ownAddresses must be true or false');
    this.#listener = host.tcp.any.listen({
      matcher: new PacketMatcher(options),
      link: options.link ?? -1,
      ownAddresses,
      maxPending: integerOf(options.maxPending, DEFAULT_MAX_PENDING, MOST_PENDING, 'maxPending'),
      pendingUs: integerOf(options.pendingMs, DEFAULT_PENDING_MS, MOST_PENDING_MS, 'pendingMs') * 1000,
      options: options.options,
      onRequest: (record) => onRequest(new TcpRequest(host, record)),
    });
  }

  /** Requests that wait to be decided. */
  get pending(): number {
    return this.#listener.counts.pending;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#listener.isClosed;
  }

  /** What came of the requests so far; a copy. */
  get counts(): Readonly<AnyCounts> {
    return { ...this.#listener.counts };
  }

  /** Takes no more requests. Those that nobody has decided are reset; connections live on. May be called twice. */
  close(): void {
    this.#host.tcp.any.close(this.#listener, this.#host.turnUs());
    this.#host.schedule();
  }
}

/** @throws StackError, argument errors: see `Stack.listenAnyTcp` */
export function listenAnyTcp(
  host: AnyHost,
  options: AnyTcpOptions,
  onRequest: (request: TcpRequest) => void,
): AnyTcpListener {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('options must be an object');
  }
  return new AnyTcpListener(host, options, onRequest);
}

const OPTION_NAMES: ReadonlySet<string> = new Set(
  'destinations sources ports link ownAddresses maxPending pendingMs options'.split(' '),
);

function checkNames(options: object): void {
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
  if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}"`);
}

function integerOf(given: number | undefined, normal: number, most: number, name: string): number {
  if (given === undefined) return normal;
  if (typeof given !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (Number.isInteger(given) && given >= 1 && given <= most) return given;
  throw new ArgumentRangeError(`${name} must be an integer within 1 .. ${most}, not ${given}`);
}
