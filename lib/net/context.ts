/** What the sockets of one stack share, and what they ask of the stack. */
import type { Stack } from '../stack/stack.js';
import type { TcpBinding } from '../stack/tcp-binding.js';
import type { TcpEndpoint } from '../stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../stack/tcp-listener-endpoint.js';
import type { ReceiveSlab } from './receive-slab.js';
import type { StackSocket } from './socket.js';
import type { SocketOptions } from './socket-state.js';
import type { TickCount } from './tick-count.js';
import type { Links } from './zones.js';

/** The connection below a socket. Public methods only, so that a test may play it. */
export type Endpoint = Pick<TcpEndpoint, keyof TcpEndpoint>;
export type ListenerEndpoint = Pick<
  TcpListenerEndpoint,
  'onConnection' | 'onClosed' | 'localAddress' | 'localPort' | 'close'
> & {
  accept(): Endpoint | undefined;
};

/** A port that is taken, for a listener or a connection to come. */
export interface BoundPort extends Pick<TcpBinding, 'localAddress' | 'localPort' | 'close'> {
  listen(options?: Parameters<TcpBinding['listen']>[0]): ListenerEndpoint;
  connect(options: Parameters<TcpBinding['connect']>[0]): Endpoint;
}

export type TextSink = NonNullable<Parameters<Endpoint['setSink']>[0]>;

/** What `net` needs of a `Stack`. */
export interface SocketStack extends Pick<Stack, 'hold' | 'release'> {
  listenTcp(options: Parameters<Stack['listenTcp']>[0]): ListenerEndpoint;
  connectTcp(options: Parameters<Stack['connectTcp']>[0]): Endpoint;
  bindTcp(options: Parameters<Stack['bindTcp']>[0]): BoundPort;
  readonly ip: Links;
}

export interface NetContext {
  readonly stack: SocketStack;
  /** The class of this stack's sockets. */
  readonly Socket: new (
    options?: SocketOptions,
  ) => StackSocket;
  readonly slab: ReceiveSlab;
  readonly ticks: TickCount;
  /** Where strings are encoded before they are copied into a send buffer. */
  readonly scratch: Buffer;
  /** Try the addresses of both families in turn when a name has both (RFC 8305). */
  autoSelectFamily: boolean;
  /** How long one attempt may take before the next begins, ms. */
  autoSelectFamilyAttemptTimeoutMs: number;
}

/** Where a class of sockets finds its context: on its prototype. */
export const kContext = Symbol('tunstack.context');
