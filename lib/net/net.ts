/** `node:net` for a private stack: the same calls, classes and events, over the stack's own connections. */

import { EventEmitter } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { checkBoolean, checkInteger, normalizeArguments } from './arguments.js';
import { type BoundSocket, type BoundSocketOptions, StackBoundSocket } from './bound-socket.js';
import { callable } from './callable.js';
import type { ConnectOptions } from './connecting.js';
import { kContext, type NetContext, type SocketStack } from './context.js';
import { SCRATCH_BYTES } from './outlet.js';
import { ReceiveSlab } from './receive-slab.js';
import { initializeServer, StackServer } from './server.js';
import { showAsNode } from './show-as-node.js';
import { initializeSocket, StackSocket } from './socket.js';
import { checkSocketOptions, type SocketOptions, streamOptions } from './socket-state.js';
import { TickCount } from './tick-count.js';

type NodeNet = typeof net;

/**
 * What `node:net` offers, in its own types, so that code written for one takes the other. Sockets and
 * servers are no instances of Node's classes, and have no handle of the operating system.
 */
export interface NetModule
  extends Pick<
    NodeNet,
    | 'BlockList'
    | 'connect'
    | 'createConnection'
    | 'createServer'
    | 'getDefaultAutoSelectFamily'
    | 'getDefaultAutoSelectFamilyAttemptTimeout'
    | 'isIP'
    | 'isIPv4'
    | 'isIPv6'
    | 'Server'
    | 'setDefaultAutoSelectFamily'
    | 'setDefaultAutoSelectFamilyAttemptTimeout'
    | 'Socket'
    | 'SocketAddress'
  > {
  /** The old name of `Socket`. */
  readonly Stream: NodeNet['Socket'];
  /**
   * A local address and port, taken at once: for `server.listen(bound)` or `new Socket({ handle: bound })`, as in
   * Node 24.
   */
  readonly BoundSocket: new (
    options?: BoundSocketOptions,
  ) => BoundSocket;
}

/** A `net` and what it shares with its helpers. */
export interface NetOfStack {
  readonly module: NetModule;
  readonly context: NetContext;
}

/** Makes the `net` of a stack. Every call makes new classes: keep what it returns. */
export const createNet = (stack: SocketStack): NetModule => openNet(stack).module;

/** As `createNet`, with the context. */
export function openNet(stack: SocketStack): NetOfStack {
  class Socket extends StackSocket {}
  class Server extends StackServer {}
  class BoundSocket extends StackBoundSocket {
    constructor(options: BoundSocketOptions = {}) {
      super(stack, options);
    }
  }
  const context: NetContext = {
    stack,
    Socket,
    slab: new ReceiveSlab(),
    ticks: new TickCount(),
    scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
    autoSelectFamily: net.getDefaultAutoSelectFamily(),
    autoSelectFamilyAttemptTimeoutMs: net.getDefaultAutoSelectFamilyAttemptTimeout(),
  };
  for (const { prototype } of [Socket, Server])
    Object.defineProperty(prototype, kContext, { value: context });
  const connect = (...args: unknown[]): StackSocket => connectNew(context, args);
  const callableSocket = callable(Socket, initializeInherited);
  const module = {
    BlockList: net.BlockList,
    BoundSocket,
    SocketAddress: net.SocketAddress,
    _normalizeArgs: normalizeArguments,
    ...simultaneousAccepts(),
    isIP: net.isIP,
    isIPv4: net.isIPv4,
    isIPv6: net.isIPv6,
    Server: callable(Server, (server: Server, [options, listener]) => {
      EventEmitter.call(server);
      initializeServer(server, options as undefined, listener as undefined);
    }),
    Socket: callableSocket,
    Stream: callableSocket,
    createServer: (options?: object, listener?: (socket: StackSocket) => void) =>
      new Server(options, listener),
    connect,
    createConnection: connect,
    ...familySelection(context),
  };
  showAsNode(module, net);
  // The classes keep Node's promises, which the types of its many overloads cannot be told.
  return { module: module as unknown as NetModule, context };
}

/** A call of Node before 24, for Windows: it does nothing but warn. */
function simultaneousAccepts(): object {
  const name = '_setSimultaneousAccepts';
  return name in net ? { [name]: net[name] } : {};
}

function connectNew(context: NetContext, args: unknown[]): StackSocket {
  const normalized = normalizeArguments<ConnectOptions & SocketOptions & { timeout?: number }>(args);
  const [options] = normalized;
  const socket = new context.Socket(options);
  if (options.timeout) socket.setTimeout(options.timeout);
  return socket.connect(normalized);
}

/** `Socket.call(this, options)`. */
function initializeInherited(socket: StackSocket, [given]: unknown[]): void {
  const options = (given ?? {}) as SocketOptions;
  checkSocketOptions(options);
  Duplex.call(socket, streamOptions(options));
  initializeSocket(socket, options);
}

/** The defaults of RFC 8305 for this stack; at first those of the process. */
function familySelection(context: NetContext): object {
  return {
    getDefaultAutoSelectFamily: () => context.autoSelectFamily,
    setDefaultAutoSelectFamily(value: unknown) {
      checkBoolean(value, 'value');
      context.autoSelectFamily = value;
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => context.autoSelectFamilyAttemptTimeoutMs,
    setDefaultAutoSelectFamilyAttemptTimeout(value: unknown) {
      checkInteger(value, 'value', 1);
      context.autoSelectFamilyAttemptTimeoutMs = Math.max(10, value);
    },
  };
}
