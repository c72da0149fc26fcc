/** `net.Server` over a listener of a private stack. */
import { EventEmitter } from 'node:events';
import { getDefaultHighWaterMark } from 'node:stream';
import { checkAbortSignal, checkNumber, checkPort, normalizeArguments, toNumber } from './arguments.js';
import { kContext, type NetContext } from './context.js';
import { type ConnectionServer, ListenerHandle } from './listener-handle.js';
import { argumentTypeError, argumentValueError, codeOf, describedError, plainError } from './node-errors.js';
import { lookupOne } from './resolve.js';
import type { StackSocket } from './socket.js';
import { wholeSeconds } from './socket-state.js';
import type { Address } from './tcp-handle.js';

export interface ServerOptions {
  /** Sockets go on writing after the peer has finished; false by default. */
  allowHalfOpen?: boolean | undefined;
  /** Sockets begin paused; false by default. */
  pauseOnConnect?: boolean | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  /** ms of idleness before the first keep-alive probe; 0 leaves the stack's default. */
  keepAliveInitialDelay?: number | undefined;
  highWaterMark?: number | undefined;
}

export interface ListenOptions {
  /** 0, any free one, by default. */
  port?: number | string | null | undefined;
  /** `::` by default, which takes IPv4 too. */
  host?: string | undefined;
  /** Most connections waiting to be accepted; 511 by default. */
  backlog?: number | undefined;
  /** With `::`, do not take IPv4; false by default. */
  ipv6Only?: boolean | undefined;
  /** No stack but the host's has these: listening fails with `EAFNOSUPPORT`. */
  path?: string | undefined;
  signal?: AbortSignal | undefined;
}

type ConnectionListener = (socket: StackSocket) => void;

/** What Node asks the kernel for when nobody says. */
const DEFAULT_BACKLOG = 511;

/** A server after the pattern of `node:net`. `createNet` makes one class of it per stack. */
export class StackServer extends EventEmitter implements ConnectionServer {
  declare readonly [kContext]: NetContext;
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  /** Seconds, as in Node. */
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number;
  /** Connections beyond this many are turned away with `drop`. */
  declare maxConnections: number | undefined;
  declare _connections: number;
  declare _handle: ListenerHandle | null;
  declare _unref: boolean;
  declare _listeningId: number;

  constructor(options?: ServerOptions | ConnectionListener, listener?: ConnectionListener) {
    super();
    initializeServer(this, options, listener);
  }

  get listening(): boolean {
    return this._handle !== null;
  }

  address(): Address | null {
    return this._handle?.address() ?? null;
  }

  /**
   * Listens: `([port[, host[, backlog]]][, callback])` or `(options[, callback])`. Without a host the port
   * is bound at once; `listening` or `error` come in a later tick.
   * @throws `ERR_SERVER_ALREADY_LISTEN`, `ERR_SOCKET_BAD_PORT`, `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`
   */
  listen(...args: unknown[]): this {
    const [options, callback] = normalizeArguments<ListenOptions>(args);
    if (this._handle !== null) throw plainError('ERR_SERVER_ALREADY_LISTEN');
    if (callback !== null) this.once('listening', callback);
    // A name that is still being looked up for an earlier call comes too late now.
    this._listeningId++;
    obeySignal(this, options.signal);
    const backlog = options.backlog || toNumber(args[1]) || toNumber(args[2]) || DEFAULT_BACKLOG;
    const { path } = options;
    const port = portOf(args, options);
    if (port === undefined) {
      if (typeof path !== 'string') throw badListenOptions(options);
      failLater(this, describedError('EAFNOSUPPORT', 'listen', { address: path }));
      return this;
    }
    const wish = { port, backlog, ipv6Only: options.ipv6Only === true };
    if (options.host) lookUpAndListen(this, options.host, wish);
    else bind(this, { ...wish, address: '::' });
    return this;
  }

  /** Stops accepting; `close` comes when the last connection is gone. */
  close(callback?: (error?: Error) => void): this {
    this._listeningId++;
    if (typeof callback === 'function') {
      if (this._handle === null) this.once('close', () => callback(plainError('ERR_SERVER_NOT_RUNNING')));
      else this.once('close', callback);
    }
    this._handle?.close();
    this._handle = null;
    this._emitCloseIfDrained();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections);
    return this;
  }

  ref(): this {
    this._unref = false;
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._unref = true;
    this._handle?.unref();
    return this;
  }

  _emitCloseIfDrained(): void {
    if (this._handle !== null || this._connections > 0) return;
    process.nextTick(() => this.emit('close'));
  }

  /** A listener's promise was rejected, with `captureRejections` on. */
  override [EventEmitter.captureRejectionSymbol](error: Error, event: string, ...args: unknown[]): void {
    if (event === 'connection') (args[0] as StackSocket).destroy(error);
    else this.emit('error', error);
  }
}

/** The rest of the constructor, apart so that it serves `Server.call(this, options)` too. */
export function initializeServer(
  server: StackServer,
  options?: ServerOptions | ConnectionListener | null,
  listener?: ConnectionListener,
): void {
  if (typeof options === 'function') {
    server.on('connection', options);
    initializeServer(server, {});
    return;
  }
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw argumentTypeError('options', 'Object', options);
  }
  if (typeof listener === 'function') server.on('connection', listener);
  const given = options ?? {};
  if (given.keepAliveInitialDelay !== undefined) {
    checkNumber(given.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
  }
  if (given.highWaterMark !== undefined) checkNumber(given.highWaterMark, 'options.highWaterMark');
  const { highWaterMark = -1 } = given;
  server.allowHalfOpen = given.allowHalfOpen || false;
  server.pauseOnConnect = Boolean(given.pauseOnConnect);
  server.noDelay = Boolean(given.noDelay);
  server.keepAlive = Boolean(given.keepAlive);
  server.keepAliveInitialDelay = wholeSeconds(given.keepAliveInitialDelay) / 1000;
  server.highWaterMark = highWaterMark < 0 ? getDefaultHighWaterMark(false) : highWaterMark;
  server._connections = 0;
  server._handle = null;
  server._unref = false;
  server._listeningId = 1;
}

/** The port asked for; 0 where none was named, undefined where something else was. */
function portOf(args: readonly unknown[], options: ListenOptions): number | undefined {
  const { port } = options;
  const isOmitted = args.length === 0 || typeof args[0] === 'function';
  if (isOmitted || port === null || (port === undefined && 'port' in options)) return 0;
  if (typeof port === 'number' || typeof port === 'string') return checkPort(port, 'options.port');
  return undefined;
}

function badListenOptions(options: object): Error {
  const isEmpty = !('port' in options || 'path' in options);
  const reason = isEmpty ? 'must have the property "port" or "path"' : undefined;
  return argumentValueError('options', options, reason);
}

function obeySignal(server: StackServer, signal: unknown): void {
  if (signal === undefined) return;
  checkAbortSignal(signal, 'options.signal');
  const close = (): void => void server.close();
  if (signal.aborted) {
    process.nextTick(close);
    return;
  }
  signal.addEventListener('abort', close, { once: true });
  server.once('close', () => signal.removeEventListener('abort', close));
}

interface Wish {
  readonly port: number;
  readonly backlog: number;
  readonly ipv6Only: boolean;
}

function lookUpAndListen(server: StackServer, host: string, wish: Wish): void {
  const id = server._listeningId;
  lookupOne(host, 0, (error, address) => {
    if (id !== server._listeningId) return;
    if (error) server.emit('error', error);
    else bind(server, { ...wish, address });
  });
}

function bind(server: StackServer, wish: Wish & { readonly address: string }): void {
  try {
    server._handle = new ListenerHandle(server[kContext], server, wish);
  } catch (error) {
    failLater(server, describedError(codeOf(error), 'listen', wish));
    return;
  }
  if (server._unref) server.unref();
  process.nextTick(() => {
    if (server._handle !== null) server.emit('listening');
  });
}

function failLater(server: StackServer, error: Error): void {
  process.nextTick(() => server.emit('error', error));
}
