/** `stack.listenAny`: whatever begins to any address and port is put before a handler, protocol by protocol. */
import { AsyncResource } from 'node:async_hooks';
import type { AnyEchoOptions, PingRequest } from '../stack/any-echo.js';
import type { AnyTcpListener, AnyTcpOptions } from '../stack/any-tcp.js';
import type { Stack } from '../stack/stack.js';
import { checkFunction, checkObject } from './arguments.js';
import type { NetContext } from './context.js';
import { listenAnyTcp, type NetTcpRequest, runSafely } from './listen-any-tcp.js';
import { argumentValueError } from './node-errors.js';

type AnyUdpOptions = Parameters<Stack['listenAnyUdp']>[0];
type UdpFlowRequest = Parameters<Parameters<Stack['listenAnyUdp']>[1]>[0];
type AnyUdpListener = ReturnType<Stack['listenAnyUdp']>;
type AnyEchoListener = ReturnType<Stack['listenAnyEcho']>;

/** Connections to any address. */
export interface ListenAnyTcpOptions extends AnyTcpOptions {
  /** Connections. */
  readonly protocol: 'tcp';
}

/** UDP flows to any address. */
export interface ListenAnyUdpOptions extends AnyUdpOptions {
  /** Flows of datagrams. */
  readonly protocol: 'udp';
}

/** Echo requests (ping) to any address. */
export interface ListenAnyEchoOptions extends AnyEchoOptions {
  /** Pings. */
  readonly protocol: 'icmp';
}

/** What is listened to, and what came of it. */
export interface AnyListener<Counts extends object> {
  /** Requests that wait to be decided. */
  readonly pending: number;
  /** What came of the requests so far; a copy. */
  readonly counts: Readonly<Counts>;
  /** Whether it was closed. */
  readonly isClosed: boolean;
  /** Takes no more requests. What waits to be decided is refused. May be called twice. */
  close(): void;
  /** Keeps the process alive while it listens, as it does from the beginning. */
  ref(): this;
  /** Lets the process end though it listens. */
  unref(): this;
}

/** See `stack.listenAny`. */
export interface ListenAny {
  (
    options: ListenAnyTcpOptions,
    handler: (request: NetTcpRequest) => void,
  ): AnyListener<AnyTcpListener['counts']>;
  (
    options: ListenAnyUdpOptions,
    handler: (request: UdpFlowRequest) => void,
  ): AnyListener<AnyUdpListener['counts']>;
  (
    options: ListenAnyEchoOptions,
    handler?: (request: PingRequest) => void,
  ): AnyListener<AnyEchoListener['counts']>;
}

/** A listener of the core, whatever it listens to. */
interface CoreListener {
  readonly pending: number;
  readonly counts: object;
  readonly isClosed: boolean;
  close(): void;
}

/** Keeps the process alive for as long as it listens. */
class HeldListener implements AnyListener<object> {
  readonly #stack: Pick<Stack, 'hold' | 'release'>;
  readonly #core: CoreListener;
  #isRef = true;
  #holds = false;

  constructor(stack: Pick<Stack, 'hold' | 'release'>, core: CoreListener) {
    this.#stack = stack;
    this.#core = core;
    this.#updateHold();
  }

  get pending(): number {
    return this.#core.pending;
  }

  get counts(): object {
    return this.#core.counts;
  }

  get isClosed(): boolean {
    return this.#core.isClosed;
  }

  close(): void {
    this.#core.close();
    this.#updateHold();
  }

  ref(): this {
    this.#isRef = true;
    this.#updateHold();
    return this;
  }

  unref(): this {
    this.#isRef = false;
    this.#updateHold();
    return this;
  }

  #updateHold(): void {
    const holds = this.#isRef && !this.isClosed;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#stack.hold();
    else this.#stack.release();
  }
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`; and as `listenAnyTcp` and the like of `Stack` */
export function listenAny(
  context: NetContext,
  stack: Stack,
  options: ListenAnyTcpOptions | ListenAnyUdpOptions | ListenAnyEchoOptions,
  handler: unknown,
): AnyListener<object> {
  checkObject(options, 'options');
  const { protocol, ...rest } = options;
  if (protocol !== 'icmp' || handler !== undefined) checkFunction(handler, 'handler');
  return new HeldListener(stack, open(context, stack, { protocol, options: rest, handler }));
}

interface Wish {
  readonly protocol: unknown;
  readonly options: object;
  readonly handler: unknown;
}

function open(context: NetContext, stack: Stack, { protocol, options, handler }: Wish): CoreListener {
  if (protocol === 'tcp') {
    return listenAnyTcp(context, stack, options, handler as (request: NetTcpRequest) => void);
  }
  const scope = new AsyncResource('TUNSTACK_ANY');
  if (protocol === 'udp') {
    const onFlow = handler as (request: UdpFlowRequest) => void;
    return stack.listenAnyUdp(options, (request) => runSafely(scope, () => onFlow(request)));
  }
  if (protocol === 'icmp') {
    if (handler === undefined) return stack.listenAnyEcho(options);
    const onPing = handler as (request: PingRequest) => void;
    return stack.listenAnyEcho(options, (request) => runSafely(scope, () => onPing(request)));
  }
  throw argumentValueError('options.protocol', protocol, "must be 'tcp', 'udp' or 'icmp'");
}
