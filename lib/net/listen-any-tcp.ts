/** Requests for connections to any address, and the sockets they become. */
import { AsyncResource } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { AnyTcpListener, CancelReason, SynInfo, TcpRequest } from '../stack/any-tcp.js';
import type { Stack } from '../stack/stack.js';
import type { TcpOptions } from '../stack/tcp-endpoint.js';
import { checkFunction, checkObject } from './arguments.js';
import type { Endpoint, NetContext } from './context.js';
import { hostPortError } from './node-errors.js';
import type { StackSocket } from './socket.js';
import { attach } from './socket-owner.js';
import { kState, type SocketOptions } from './socket-state.js';
import type { TcpSocket } from './socket-tcp.js';

/** What `NetTcpRequest.accept` takes: what sockets do, and settings of TCP. */
export interface AcceptOptions extends Omit<SocketOptions, 'handle' | 'blockList'> {
  /** Settings of the connection, in place of those of the listener. */
  options?: Partial<TcpOptions> | undefined;
}

/** How a request is refused: an RST, or an ICMP error. */
export type RejectReason = NonNullable<Parameters<TcpRequest['reject']>[0]>;

/**
 * A connection that somebody begins to any address, before it is answered: given to the handler of
 * `stack.listenAny`. It is over when it is accepted, rejected or ignored, when the peer resets it, and when its time
 * is up; a SYN that is sent again makes no second request.
 * @hideconstructor
 */
export class NetTcpRequest {
  /** Told when it is over without having been decided: reset by the peer, too old, or its listener was closed. */
  onCancel: ((reason: CancelReason) => void) | undefined;
  /** What it is for. */
  readonly protocol = 'tcp';
  readonly #context: NetContext;
  readonly #request: TcpRequest;

  constructor(context: NetContext, request: TcpRequest, scope: AsyncResource) {
    this.#context = context;
    this.#request = request;
    request.onCancel = (reason) => runSafely(scope, () => this.onCancel?.(reason));
  }

  /** Address of the peer. */
  get sourceAddress(): string {
    return this.#request.sourceAddress;
  }

  /** Port of the peer. */
  get sourcePort(): number {
    return this.#request.sourcePort;
  }

  /** The address it wants to connect to. */
  get destinationAddress(): string {
    return this.#request.destinationAddress;
  }

  /** The port it wants to connect to. */
  get destinationPort(): number {
    return this.#request.destinationPort;
  }

  /** Version of IP. */
  get family(): 4 | 6 {
    return this.#request.family;
  }

  /** Index of the link it came by. */
  get link(): number {
    return this.#request.link;
  }

  /** What the SYN said; the newest of them where it came more than once. */
  get syn(): SynInfo {
    return this.#request.syn;
  }

  /** Whether it may still be accepted or rejected. */
  get isPending(): boolean {
    return this.#request.isPending;
  }

  /**
   * Accepts it. The SYN-ACK leaves at once. The socket is connecting: `connect` comes when the handshake is complete,
   * `error` and `close` where it fails (`ECONNRESET`, `ETIMEDOUT`, `ECONNREFUSED` and the like). Its local address is
   * the one that was asked for, its remote address that of the peer, from the beginning.
   * @throws `ECONNABORTED` when the request is over, of which `isPending` tells; `ENETUNREACH` and the like when the
   *   way back has gone since it came, after which it is still pending; argument errors
   */
  accept(options: AcceptOptions = {}): Socket & TcpSocket {
    checkObject(options, 'options');
    const { options: settings, ...rest } = options;
    const socket = new this.#context.Socket(rest);
    let endpoint: Endpoint;
    try {
      endpoint = this.#request.accept(settings);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    // By a signal that was aborted before: there is nobody to give the connection up later.
    if (socket.destroyed) endpoint.abort();
    else this.#connecting(socket, endpoint);
    // The class keeps Node's promises, which the types of its many overloads cannot be told.
    return socket as unknown as Socket & TcpSocket;
  }

  #connecting(socket: StackSocket, endpoint: Endpoint): void {
    const state = socket[kState];
    socket.connecting = true;
    state.wasStarted = true;
    const place = { address: this.sourceAddress, port: this.sourcePort };
    const handle = attach(socket, {
      endpoint,
      isMapped: false,
      connectFailed: (code) => {
        socket.connecting = false;
        socket.destroy(hostPortError(code, 'accept', place));
      },
    });
    // Unlike that of an attempt to connect, the peer is known.
    state.remoteEnd = handle.remoteEnd();
  }

  /**
   * Refuses it: by an RST, or with an ICMP error from the address it was for; either is limited in rate. Without
   * effect when it is over.
   * @throws ArgumentTypeError, ArgumentValueError for a reason that is none
   */
  reject(reason: RejectReason = 'reset'): void {
    this.#request.reject(reason);
  }

  /** Never answers it, as a filter that drops. Without effect when it is over. */
  ignore(): void {
    this.#request.ignore();
  }
}

/** Takes requests for connections to any address. */
export function listenAnyTcp(
  context: NetContext,
  stack: Stack,
  options: Parameters<Stack['listenAnyTcp']>[0],
  handler: (request: NetTcpRequest) => void,
): AnyTcpListener {
  checkFunction(handler, 'handler');
  const scope = new AsyncResource('TUNSTACK_ANY');
  return stack.listenAnyTcp(options, (request) => {
    runSafely(scope, () => handler(new NetTcpRequest(context, request, scope)));
  });
}

/** Calls the application's code in its context; its mistakes are the process's affair, not the stack's turn's. */
export function runSafely(scope: AsyncResource, step: () => void): void {
  try {
    scope.runInAsyncScope(step);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
