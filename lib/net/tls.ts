/** `node:tls` for a private stack: the same calls and classes, over the stack's own connections. */
import type { Socket } from 'node:net';
import tls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { normalizeArguments } from './arguments.js';
import { callable } from './callable.js';
import type { NetOfStack } from './net.js';
import { serve } from './serve.js';
import type { StackSocket } from './socket.js';
import { followConnection, lendToTls } from './wrapping.js';

/** What `node:tls` offers, in its own types: only `connect`, `createServer` and `Server` are others. */
export type TlsModule = typeof tls;

/** Kept, as the module may be given another while the process runs. */
const { connect: connectOverStream } = tls;

export interface TlsConnectOptions extends ConnectionOptions {
  allowHalfOpen?: boolean | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelay?: number | undefined;
  noDelay?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Makes the `tls` of a stack. Every call makes a new class: keep what it returns. */
export function createTls(owner: NetOfStack): TlsModule {
  class Server extends tls.Server {
    override listen(...args: unknown[]): this {
      serve(owner.context, this, args);
      return this;
    }
  }
  const inherited = tls.Server as unknown as (...args: unknown[]) => void;
  const own = {
    connect: (...args: unknown[]) => connectTls(owner, args),
    createServer: (options: TlsOptions, listener?: (socket: TLSSocket) => void) =>
      new Server(options, listener),
    Server: callable(Server, (server, args) => Reflect.apply(inherited, server, args)),
  };
  const module = Object.create(null, Object.getOwnPropertyDescriptors(tls)) as TlsModule;
  for (const [name, value] of Object.entries(own)) {
    Object.defineProperty(module, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return module;
}

/** `tls.connect(…args)`. @throws as `tls.connect` */
export function connectTls(owner: NetOfStack, args: readonly unknown[]): TLSSocket {
  const [place, callback] = normalizeArguments<TlsConnectOptions>(args);
  const more = [args[1], args[2]].find((value) => value !== null && typeof value === 'object');
  const options: TlsConnectOptions = { ...place, ...more };
  const listener = callback ?? undefined;
  if (options.socket) {
    const secured = connectOverStream(options, listener);
    lendToTls(secured);
    return secured;
  }
  return secureNewSocket(owner, options, (wish) => connectOverStream(wish, listener));
}

/**
 * A TLS socket over a new socket of the stack, with the events of one that Node connects itself.
 * @param secure makes it over `socket`, which stands in the options it is given
 * @throws what `secure` and `net.connect` throw
 */
export function secureNewSocket(
  { context }: NetOfStack,
  options: TlsConnectOptions & { timeout?: number | undefined },
  secure: (options: TlsConnectOptions & { socket: Socket }) => TLSSocket,
): TLSSocket {
  const { allowHalfOpen, keepAlive, keepAliveInitialDelay, noDelay } = options;
  const socket = new context.Socket({ allowHalfOpen, keepAlive, keepAliveInitialDelay, noDelay });
  // TLS begins to speak at once; it is heard when `connect` was called.
  socket.cork();
  const secured = secureOver(socket, options, secure);
  try {
    socket.connect(options);
  } catch (error) {
    secured.on('error', () => {}).destroy();
    throw error;
  }
  socket.uncork();
  lendToTls(secured);
  followConnection(secured, socket);
  // Node sets it only on sockets it connects itself.
  if (options.timeout) secured.setTimeout(options.timeout);
  return secured;
}

function secureOver(
  socket: StackSocket,
  options: TlsConnectOptions,
  secure: (options: TlsConnectOptions & { socket: Socket }) => TLSSocket,
): TLSSocket {
  try {
    return secure({ ...options, socket: socket as unknown as Socket });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
