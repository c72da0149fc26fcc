/** `net.Server` over a listener of a private stack. */
import { EventEmitter } from 'node:events';
import { type BlockList, Server } from 'node:net';
import { getDefaultHighWaterMark } from 'node:stream';
import { checkBlockList, checkNumber } from './arguments.js';
import { kContext, type NetContext } from './context.js';
import { wholeSeconds } from './keep-alive.js';
import type { ListenerHandle } from './listener-handle.js';
import { type ListeningServer, listenOn } from './listening.js';
import { argumentTypeError, plainError } from './node-errors.js';
import { showAsNode } from './show-as-node.js';
import type { StackSocket } from './socket.js';
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
  /** Connections from these addresses are closed at once. */
  blockList?: BlockList | undefined;
}

type ConnectionListener = (socket: StackSocket) => void;

/** A server after the pattern of `node:net`. `createNet` makes one class of it per stack. */
export class StackServer extends EventEmitter implements ListeningServer {
  declare readonly [kContext]: NetContext;
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  /** Seconds, as in Node. */
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number;
  /** Connections beyond this many are turned away with `drop`. */
  declare maxConnections: number | null | undefined;
  /** Of Node 22, for workers of a cluster: with one process, what is over the limit is always turned away. */
  declare dropMaxConnection: boolean | undefined;
  /** Only where one was given. */
  declare blockList: BlockList | undefined;
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

  /** As `listenOn` says. */
  listen(...args: unknown[]): this {
    listenOn(this[kContext], this, args);
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

showAsNode(StackServer.prototype, Server.prototype);

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
  checkBlockList(given.blockList, 'options.blockList');
  if (given.blockList) server.blockList = given.blockList;
  server._connections = 0;
  server._handle = null;
  server._unref = false;
  server._listeningId = 1;
}
