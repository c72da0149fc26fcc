/**
 * Puts the `net` of a stack in place of Node's, in the whole process. The modules of Node that inherit from its
 * sockets are imported here, so that they are loaded before anything is replaced.
 *
 * Node's modules find `net` in three ways, and each is met where it looks:
 * - `require('net')`, `import 'node:net'`, and Node's own modules when they work (`net.connect(…)` in http,
 *   http2 and the built-in fetch): the exports of `net` are replaced in place, and those of ES modules follow.
 * - Classes that inherited from Node's when they were loaded: the servers of http, https, http2 and tls
 *   listen here because `listen` of Node's `net.Server` leads here; TLS sockets, terminals and pipes remain
 *   Node's own sockets, made by the constructor they inherited from.
 * - References kept from loading: the agent's `createConnection` is set anew. `tls.connect` and
 *   `http2.connect`, which look behind a socket, become those of the stack.
 *
 * What is no TCP of one's own stays the host's: paths (Unix sockets), descriptors and handles, hence
 * standard streams and pipes of child processes.
 *
 * What cannot be replaced: sockets made by native code; `process.binding('tcp_wrap')`; handles shared with
 * child processes (`cluster`, `subprocess.send(socket)`): each process and each thread has a stack of its own;
 * references somebody took before this was loaded: it is to be the first that is loaded. UDP (`dgram`) remains the
 * host's; for names see `replaceDns`.
 */
import http from 'node:http';
import http2 from 'node:http2';
import 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import nodeNet from 'node:net';
import tls from 'node:tls';
import 'node:tty';
import { StackBoundSocket } from '../net/bound-socket.js';
import { ListenerHandle } from '../net/listener-handle.js';
import { http2Of } from '../net/stack-net.js';
import type { Stack } from '../stack/stack.js';
import { connectsToHost, hostListen, listensOnHost } from './host-listening.js';
import { refuseHandles } from './refuse-handles.js';
import { replaceDns } from './replace-dns.js';
import { hideFromTls, isHiddenFromTls, tlsConnect } from './steer-tls.js';

type Call = (...args: unknown[]) => unknown;
type Class = new (...args: unknown[]) => object;

/** Node's own, as they were. */
const original = { ...nodeNet, tlsConnect: tls.connect as unknown as Call };

let replaced: Stack | undefined;

/**
 * From now on, `node:net` and all that stands on it use `stack`, and `node:dns` where the stack can answer. For good:
 * what was made since could not be taken back.
 * @throws Error when another stack has taken its place already
 */
export function replaceNet(stack: Stack): void {
  if (replaced === stack) return;
  if (replaced !== undefined) throw new Error('tunstack/register: another stack is in place of net already');
  replaced = stack;
  const { net } = stack;
  const Socket = socketClass(net.Socket as unknown as Class);
  const Server = serverClass(net.Server as unknown as Class);
  const { BoundSocket: nodeBound } = original as { BoundSocket?: Class };
  const connect = (...args: unknown[]): unknown =>
    (connectsToHost(args) ? (original.connect as Call) : (net.connect as Call))(...args);
  const http1 = http.Agent.prototype as unknown as { createConnection: unknown };
  if (http1.createConnection === original.createConnection) http1.createConnection = connect;
  // What else `net` has concerns no connection, and remains Node's.
  Object.assign(nodeNet, {
    getDefaultAutoSelectFamily: net.getDefaultAutoSelectFamily,
    setDefaultAutoSelectFamily: net.setDefaultAutoSelectFamily,
    getDefaultAutoSelectFamilyAttemptTimeout: net.getDefaultAutoSelectFamilyAttemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout: net.setDefaultAutoSelectFamilyAttemptTimeout,
    Socket,
    Stream: Socket,
    Server,
    connect,
    createConnection: connect,
    createServer: (...args: unknown[]) => Reflect.construct(Server, args),
    // Of Node 24.
    ...(nodeBound && { BoundSocket: boundSocketClass(net.BoundSocket as unknown as Class, nodeBound) }),
  });
  Object.assign(tls, { connect: tlsConnect(stack, original.tlsConnect) });
  // By whatever `net.connect` is then: there are those who put one of their own in its place.
  Object.assign(http2, { connect: http2Of(stack, (options) => nodeNet.connect(options)).connect });
  replaceDns(stack);
  hideFromTls(net.Socket);
  steerHostClasses(stack);
  refuseHandles((value) => {
    if (value instanceof net.Socket) return true;
    return (value as { _handle?: unknown } | undefined)?._handle instanceof ListenerHandle;
  });
  syncBuiltinESMExports();
}

/** Whether a socket is to stand on a descriptor or a handle. */
const standsOnHost = (options: unknown): boolean =>
  typeof options === 'number' ||
  (typeof options === 'object' &&
    options !== null &&
    !('handle' in options && options.handle instanceof StackBoundSocket) &&
    (('handle' in options && Boolean(options.handle)) || ('fd' in options && options.fd !== undefined)));

/** `net.Socket`: of the stack, or of the host for what only the host has. */
function socketClass(stackSocket: Class): Class {
  const nodeSocket = original.Socket as unknown as Class & Call;
  const hybrid: Class = new Proxy(stackSocket, {
    construct(target, args, newTarget) {
      const isPlain = newTarget === hybrid;
      if (standsOnHost(args[0])) return Reflect.construct(nodeSocket, args, isPlain ? nodeSocket : newTarget);
      return Reflect.construct(target, args, isPlain ? target : newTarget) as object;
    },
    apply(target, self: unknown, args: unknown[]) {
      // `net.Socket.call(this, …)` of what inherits from Node's own.
      if (self instanceof nodeSocket) return Reflect.apply(nodeSocket, self, args);
      if (isOf(target, self)) return Reflect.apply(target as unknown as Call, self, args);
      return Reflect.construct(hybrid, args);
    },
    get: (target, key, receiver) => memberOf({ target, key, receiver, hybrid, node: nodeSocket }),
  });
  return asConstructor(hybrid);
}

/** `net.BoundSocket`: of the stack, or of the host for paths. */
function boundSocketClass(stackBound: Class, nodeBound: Class): Class {
  const hybrid: Class = new Proxy(stackBound, {
    construct(target, args, newTarget) {
      const isPath = (args[0] as { path?: unknown } | undefined)?.path !== undefined;
      const base = isPath ? nodeBound : target;
      return Reflect.construct(base, args, newTarget === hybrid ? base : newTarget) as object;
    },
    get: (target, key, receiver) => memberOf({ target, key, receiver, hybrid, node: nodeBound }),
  });
  return asConstructor(hybrid);
}

function serverClass(stackServer: Class): Class {
  const nodeServer = original.Server as unknown as Class & Call;
  const hybrid: Class = new Proxy(stackServer, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args, newTarget === hybrid ? target : newTarget) as object,
    apply(target, self: unknown, args: unknown[]) {
      if (self instanceof nodeServer) return Reflect.apply(nodeServer, self, args);
      if (isOf(target, self)) return Reflect.apply(target as unknown as Call, self, args);
      return Reflect.construct(hybrid, args);
    },
    get: (target, key, receiver) => memberOf({ target, key, receiver, hybrid, node: nodeServer }),
  });
  return asConstructor(hybrid);
}

const isOf = (base: Class, value: unknown): boolean =>
  Function.prototype[Symbol.hasInstance].call(base, value);

interface Lookup {
  readonly target: Class;
  readonly key: string | symbol;
  readonly receiver: unknown;
  readonly hybrid: Class;
  readonly node: Class;
}

/** A static member; `instanceof` is true for sockets of both kinds, but not for those of a derived class. */
function memberOf({ target, key, receiver, hybrid, node }: Lookup): unknown {
  if (key !== Symbol.hasInstance) return Reflect.get(target, key, receiver);
  return function hasInstance(this: Class, value: unknown): boolean {
    if (this !== hybrid) return isOf(this, value);
    return isOf(node, value) || (!isHiddenFromTls() && isOf(target, value));
  };
}

function asConstructor(hybrid: Class): Class {
  const prototype = hybrid.prototype as object;
  Object.defineProperty(prototype, 'constructor', { value: hybrid, writable: true, configurable: true });
  return hybrid;
}

/** Leads what was made of Node's own classes to the stack, and what only the host has from the stack to it. */
function steerHostClasses(stack: Stack): void {
  const nodeServer = original.Server.prototype as unknown as { listen: Call };
  const nodeListen = nodeServer.listen;
  nodeServer.listen = function listen(this: nodeNet.Server, ...args: unknown[]): unknown {
    if (listensOnHost(args)) return nodeListen.apply(this, args);
    return (stack.serve as Call)(this, ...args);
  };
  const stackServer = stack.net.Server.prototype as unknown as { listen: Call };
  const stackListen = stackServer.listen;
  stackServer.listen = function listen(this: nodeNet.Server, ...args: unknown[]): unknown {
    if (!listensOnHost(args)) return stackListen.apply(this, args);
    hostListen({ server: this, args, Server: original.Server, listen: nodeListen });
    return this;
  };
  const nodeSocket = original.Socket.prototype as unknown as { connect: Call };
  const nodeConnect = nodeSocket.connect;
  nodeSocket.connect = function connect(this: nodeNet.Socket, ...args: unknown[]): unknown {
    if (connectsToHost(args)) return nodeConnect.apply(this, args);
    // What was made for a handle of the host must not leave through the host's network unnoticed.
    const error = Object.assign(new Error('connect EAFNOSUPPORT: a socket of the host, not of the stack'), {
      code: 'EAFNOSUPPORT',
      syscall: 'connect',
    });
    return this.destroy(error);
  };
}
