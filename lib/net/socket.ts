/** `net.Socket` over a connection of a private stack. */
import { channel } from 'node:diagnostics_channel';
import { type BlockList, Socket } from 'node:net';
import { addAbortSignal, Duplex } from 'node:stream';
import type { ConnectionInfo, LiveOption, TcpOptions } from '../stack/tcp-endpoint.js';
import { checkDuration, checkFunction, normalizeArguments } from './arguments.js';
import { adoptPort } from './bound-socket.js';
import { type ConnectOptions, connectSocket } from './connecting.js';
import { kContext, type NetContext } from './context.js';
import { applyKeepAlive, readKeepAlive } from './keep-alive.js';
import { missingArgumentError, plainError } from './node-errors.js';
import { NODE_MAJOR } from './node-version.js';
import { showAsNode } from './show-as-node.js';
import {
  byteLength,
  type Chunk,
  checkSocketOptions,
  isBare,
  kState,
  localEndOf,
  NO_SOCKET,
  newSocketState,
  remoteEndOf,
  type SocketOptions,
  type SocketState,
  streamOptions,
} from './socket-state.js';
import { setTcpOption, setTypeOfService, type TcpSocket, typeOfService } from './socket-tcp.js';
import { handleToWrite, peerEnded, writeOnceConnected } from './socket-writing.js';
import type { Address, WriteDone } from './tcp-handle.js';

/** Whether a socket that was never connected waits for that before it finishes; since Node 22 it does not. */
const ENDS_WHEN_CONNECTED = NODE_MAJOR < 22;

/** Says which sockets connect. */
const clientSockets = channel('net.client.socket');

/** The server a socket came from, as far as the socket tells it when it is gone. */
interface Origin {
  _connections: number;
  _emitCloseIfDrained?(): void;
}

/**
 * A socket after the pattern of `node:net`: the same events, order and errors. `_handle` is null, for
 * there is no handle of the operating system. `createNet` makes one class of it per stack.
 */
export class StackSocket extends Duplex implements TcpSocket {
  declare readonly [kContext]: NetContext;
  declare [kState]: SocketState;
  /** Always null; a plain property, as some put one of their own in its place. */
  declare _handle: unknown;
  declare connecting: boolean;
  declare server: unknown;
  declare _server: Origin | null;
  declare _parent: null;
  declare _host: string | null;
  declare _hadError: boolean;
  declare resetAndClosing: boolean | undefined;
  declare timeout: number | undefined;
  declare autoSelectFamilyAttemptedAddresses: string[];
  /** Addresses it does not connect to; only where one was given. */
  declare blockList: BlockList | undefined;

  /** @param options as for `Socket` of `node:net`; null counts as none */
  constructor(options?: SocketOptions | null) {
    const given = options ?? {};
    checkSocketOptions(given);
    super(streamOptions(given));
    initializeSocket(this, given);
  }

  // ---- what it is ----------------------------------------------------------------------------------

  get _connecting(): boolean {
    return this.connecting;
  }

  get pending(): boolean {
    return isBare(this[kState]) || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  get bufferSize(): number {
    // Undefined once the connection is gone, whatever the types of Node say.
    return this.pending && !this.connecting ? (undefined as unknown as number) : this.writableLength;
  }

  get bytesRead(): number {
    const { handle, bytesRead } = this[kState];
    return handle === undefined ? bytesRead : handle.bytesRead;
  }

  get _bytesDispatched(): number {
    const { handle, bytesWritten } = this[kState];
    return handle === undefined ? bytesWritten : handle.bytesWritten;
  }

  /** Bytes handed over so far, also those that still wait in the stream or for the connection. */
  get bytesWritten(): number {
    let bytes = this._bytesDispatched;
    const { writableBuffer } = this as unknown as { writableBuffer?: readonly Chunk[] };
    for (const chunk of writableBuffer ?? []) bytes += byteLength(chunk);
    for (const chunk of this[kState].pending) bytes += byteLength(chunk);
    return bytes;
  }

  get localAddress(): string | undefined {
    return localEndOf(this[kState])?.address;
  }

  get localPort(): number | undefined {
    return localEndOf(this[kState])?.port;
  }

  get localFamily(): string | undefined {
    return localEndOf(this[kState])?.family;
  }

  get remoteAddress(): string | undefined {
    return remoteEndOf(this[kState])?.address;
  }

  get remotePort(): number | undefined {
    return remoteEndOf(this[kState])?.port;
  }

  get remoteFamily(): string | undefined {
    return remoteEndOf(this[kState])?.family;
  }

  address(): Address | Record<string, never> {
    return this._getsockname();
  }

  _getsockname(): Address | Record<string, never> {
    return localEndOf(this[kState]) ?? {};
  }

  _getpeername(): Address | Record<string, never> {
    return remoteEndOf(this[kState]) ?? {};
  }

  // ---- connecting ----------------------------------------------------------------------------------

  /**
   * Connects: `(port[, host][, callback])` or `(options[, callback])`, in Node's words.
   * @throws `ERR_MISSING_ARGS`, `ERR_SOCKET_BAD_PORT`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_IP_ADDRESS`
   */
  connect(...args: unknown[]): this {
    const [options, callback] = normalizeArguments<ConnectOptions>(args);
    if (callback !== null) this.once('connect', callback);
    if (options.port === undefined && (options.path === undefined || options.path === null)) {
      throw missingArgumentError('options', 'port', 'path');
    }
    if (clientSockets.hasSubscribers) clientSockets.publish({ socket: this });
    // After an end by the peer `write` had become the one that explains it.
    delete (this as { write?: unknown }).write;
    const state = this[kState];
    if (isBare(state)) {
      state.remoteEnd = undefined;
      (this as unknown as { _undestroy(): void })._undestroy();
    }
    this._unrefTimer();
    this.connecting = true;
    state.wasStarted = true;
    connectSocket(this, options);
    return this;
  }

  // ---- settings ------------------------------------------------------------------------------------

  /** `timeout` after this many ms without reading or writing; 0 ends it. */
  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = msecs;
    const duration = checkDuration(msecs, 'msecs');
    const state = this[kState];
    clearTimeout(state.timer);
    state.timer = undefined;
    if (callback !== undefined) checkFunction(callback, 'callback');
    if (duration > 0) {
      state.timer = setTimeout(() => this._onTimeout(), duration).unref();
      if (callback !== undefined) this.once('timeout', callback);
    } else if (callback !== undefined) this.removeListener('timeout', callback);
    return this;
  }

  _unrefTimer(): void {
    this[kState].timer?.refresh();
  }

  _onTimeout(): void {
    const state = this[kState];
    const waiting = state.handle?.waitingBytes ?? 0;
    if (state.waitingBytes > 0 && state.waitingBytes !== waiting) {
      // A long write is under way, and moves.
      state.waitingBytes = waiting;
      this._unrefTimer();
      return;
    }
    this.emit('timeout');
  }

  setNoDelay(enable = true): this {
    const state = this[kState];
    const on = Boolean(enable);
    if (on !== state.noDelay && !this.pending) state.handle?.endpoint.setNoDelay(on);
    state.noDelay = on;
    return this;
  }

  /** `([enable[, initialDelay[, interval[, count]]]])` or an object with these, as Node 24 has it; times in ms. */
  setKeepAlive(...args: unknown[]): this {
    readKeepAlive(this[kState], args);
    if (!this.pending) applyKeepAlive(this[kState]);
    return this;
  }

  setTypeOfService(tos: number): this {
    setTypeOfService(this[kState], tos);
    return this;
  }

  getTypeOfService(): number {
    return typeOfService(this[kState]);
  }

  tcpInfo(): ConnectionInfo | undefined {
    return this[kState].handle?.endpoint.info;
  }

  getTcpOption<K extends keyof TcpOptions>(name: K): TcpOptions[K] | undefined {
    return this[kState].handle?.endpoint.getOption(name);
  }

  setTcpOption<K extends LiveOption>(name: K, value: TcpOptions[K]): this {
    setTcpOption(this, this[kState], name, value);
    return this;
  }

  ref(): this {
    const { handle } = this[kState];
    if (handle === undefined && !this.connecting) return this.once('connect', () => this.ref());
    this[kState].isRef = true;
    handle?.ref();
    return this;
  }

  unref(): this {
    const { handle } = this[kState];
    if (handle === undefined && !this.connecting) return this.once('connect', () => this.unref());
    this[kState].isRef = false;
    handle?.unref();
    return this;
  }

  // ---- reading -------------------------------------------------------------------------------------

  override _read(size: number): void {
    const { handle } = this[kState];
    if (this.connecting || handle === undefined) this.once('connect', () => this._read(size));
    else handle.readStart();
  }

  override pause(): this {
    // Without a stream between, the application itself is who must not be called.
    if (this[kState].onread !== undefined && !this.connecting) this[kState].handle?.readStop();
    return super.pause();
  }

  override resume(): this {
    this._startOnread();
    return super.resume();
  }

  override read(size?: number): unknown {
    this._startOnread();
    return super.read(size);
  }

  _startOnread(): void {
    if (this[kState].onread !== undefined && !this.connecting) this[kState].handle?.readStart();
  }

  // ---- writing -------------------------------------------------------------------------------------

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: WriteDone): void {
    if (this.connecting) {
      writeOnceConnected(this, [{ chunk, encoding }], done);
      return;
    }
    const handle = handleToWrite(this, done);
    if (handle === undefined) return;
    handle.write(chunk, encoding, done);
    this[kState].waitingBytes = handle.waitingBytes;
  }

  override _writev(chunks: Chunk[], done: WriteDone): void {
    if (this.connecting) {
      writeOnceConnected(this, chunks, done);
      return;
    }
    const handle = handleToWrite(this, done);
    if (handle === undefined) return;
    handle.writev(chunks, done);
    this[kState].waitingBytes = handle.waitingBytes;
  }

  override _final(done: WriteDone): void {
    if (ENDS_WHEN_CONNECTED ? this.pending : this.connecting) {
      this.once('connect', () => this._final(done));
      return;
    }
    const { handle } = this[kState];
    if (handle === undefined) done();
    else handle.shutdown(done);
  }

  // ---- the end -------------------------------------------------------------------------------------

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Ends the connection with an RST; once connected, where it is not yet. */
  resetAndDestroy(): this {
    if (isBare(this[kState]) && !this.connecting) this.destroy(plainError('ERR_SOCKET_CLOSED'));
    else if (this.connecting) this.once('connect', () => this._reset());
    else this._reset();
    return this;
  }

  _reset(): this {
    this.resetAndClosing = true;
    return this.destroy();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const state = this[kState];
    this.connecting = false;
    clearTimeout(state.timer);
    state.timer = undefined;
    const closed = (): void => void this.emit('close', Boolean(error));
    const { handle, bound } = state;
    state.bound = undefined;
    bound?.close();
    if (handle !== undefined) {
      state.bytesRead = handle.bytesRead;
      state.bytesWritten = handle.bytesWritten;
      state.handle = undefined;
      if (this.resetAndClosing) handle.reset(closed);
      else handle.close(closed);
      this.resetAndClosing = false;
      done(error);
    } else {
      done(error);
      if (state.wasStarted || bound !== undefined) setImmediate(closed);
      else process.nextTick(() => this.emit('close'));
    }
    state.wasStarted = false;
    const { _server: server } = this;
    if (server) {
      server._connections--;
      server._emitCloseIfDrained?.();
    }
  }
}

showAsNode(StackSocket.prototype, Socket.prototype);
Object.defineProperty(StackSocket.prototype, kState, { value: NO_SOCKET, writable: true });

/** The rest of the constructor, apart so that it serves `Socket.call(this, options)` too. */
export function initializeSocket(socket: StackSocket, options: SocketOptions): void {
  const state = newSocketState(options);
  socket[kState] = state;
  socket._handle = null;
  socket.connecting = false;
  socket.server = null;
  socket._server = null;
  socket._parent = null;
  socket._host = null;
  socket._hadError = false;
  state.bound = adoptPort(options.handle, socket[kContext].stack, 'options.handle');
  socket.on('end', peerEnded);
  if (options.signal) addAbortSignal(options.signal, socket);
  if (options.blockList) socket.blockList = options.blockList;
}
