/** Servers that listen on what only the host has: paths, descriptors, handles. */
import type nodeNet from 'node:net';
import { normalizeArguments } from '../net/arguments.js';
import { StackBoundSocket } from '../net/bound-socket.js';

type Call = (...args: unknown[]) => unknown;

/** Fields a server of either kind has. */
interface ServerFields {
  _handle: unknown;
  _connections: number;
  _unref: boolean;
  maxConnections?: number;
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
  emit(event: string, ...args: unknown[]): boolean;
  once(event: string, listener: () => void): unknown;
}

export interface HostListening {
  readonly server: nodeNet.Server;
  /** As `server.listen` was called. */
  readonly args: readonly unknown[];
  /** Node's own class, and its own `listen`. */
  readonly Server: typeof nodeNet.Server;
  readonly listen: Call;
}

interface HostWish {
  readonly path?: unknown;
  readonly port?: unknown;
  readonly fd?: unknown;
  readonly handle?: unknown;
  readonly _handle?: unknown;
}

function wishOf(args: readonly unknown[]): HostWish {
  const [first] = args;
  const [options] = Array.isArray(first) ? (first as unknown[]) : normalizeArguments(args);
  return typeof options === 'object' && options !== null ? options : {};
}

/** Whether a call of `connect` names a path, which then counts more than a port. */
export const connectsToHost = (args: readonly unknown[]): boolean => Boolean(wishOf(args).path);

/** Whether a port is taken on the host: by a `BoundSocket` of Node's own, as those with a path are. */
const isBoundOnHost = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (value as { isPipe?: unknown }).isPipe === true;

/** Whether a call of `listen` names a handle, a descriptor, or a path and no port. */
export function listensOnHost(args: readonly unknown[]): boolean {
  const wish = wishOf(args);
  const { path, port, fd, handle, _handle } = wish;
  if (isBoundOnHost(wish)) return true;
  if (handle instanceof StackBoundSocket) return false;
  if (handle || _handle || (typeof fd === 'number' && fd >= 0)) return true;
  return typeof path === 'string' && path !== '' && port === undefined;
}

/** `server.listen(…)` by means of a server of the host, whose connections become those of `server`. */
export function hostListen({ server, args, Server, listen }: HostListening): void {
  const outer = server as unknown as ServerFields;
  if (outer._handle) {
    // Node's own words for it: they come before anything is opened.
    throw Object.assign(new Error('Listen method has been called more than once without closing.'), {
      code: 'ERR_SERVER_ALREADY_LISTEN',
    });
  }
  const { allowHalfOpen, pauseOnConnect } = outer;
  const inner = new Server({ allowHalfOpen, pauseOnConnect });
  const callback = args[args.length - 1];
  if (typeof callback === 'function') outer.once('listening', () => (callback as Call).call(server));
  outer._handle = {
    address: () => inner.address(),
    getsockname: (out: object) => void Object.assign(out, inner.address()),
    ref: () => inner.ref(),
    unref: () => inner.unref(),
    close: () => inner.close(),
  };
  inner.on('listening', () => outer.emit('listening'));
  inner.on('error', (error) => {
    outer._handle = null;
    outer.emit('error', error);
  });
  inner.on('connection', (socket) => accept(outer, inner, socket));
  listen.apply(inner, typeof callback === 'function' ? args.slice(0, -1) : [...args]);
  if (outer._unref) inner.unref();
}

function accept(outer: ServerFields, inner: nodeNet.Server, socket: nodeNet.Socket): void {
  const { maxConnections } = outer;
  if (maxConnections && outer._connections >= maxConnections) {
    outer.emit('drop', {});
    socket.destroy();
    return;
  }
  (inner as unknown as ServerFields)._connections--;
  outer._connections++;
  Object.assign(socket, { server: outer, _server: outer });
  outer.emit('connection', socket);
}
