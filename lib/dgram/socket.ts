/**
 * `dgram.Socket` over a UDP endpoint of a private stack. Its state and its steps are those of Node's own, so
 * that events and errors come in the same order and the same tick.
 */
import { Socket } from 'node:dgram';
import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { promisify } from 'node:util';
import { checkAbortSignal, checkNumber, checkPort, checkString } from '../net/arguments.js';
import { plainError, typeError } from '../net/node-errors.js';
import { NODE_MAJOR } from '../net/node-version.js';
import { showAsNode } from '../net/show-as-node.js';
import { type BindAtOnceOptions, bindAtOnce, connectAtOnce, type SyncUdpSocket } from './at-once.js';
import { flagsOf, refusalOf, startReceiving } from './binding.js';
import type { DgramStack } from './dgram-stack.js';
import { errnoException, placeException } from './errno.js';
import { UdpHandle } from './handle.js';
import { addLegacyNames } from './legacy.js';
import { makeLookup } from './lookups.js';
import type { SendRequest } from './outbox.js';
import type { SocketPlace, SocketType } from './places.js';
import { type Message, readSendArguments, type SendCallback } from './send-arguments.js';
import { readBindArguments, readSocketOptions, type SocketOptions } from './socket-options.js';
import { DgramSettings } from './socket-settings.js';
import { bareHandle, handleOf, kState, SocketState, Step, stopReceiving } from './state.js';

/** As Node's: told of every socket that is made. */
const created = diagnostics.channel('udp.socket');

/** A UDP socket after the pattern of `node:dgram`. `createDgram` makes one class of it per stack. */
export class StackDgramSocket extends DgramSettings implements SyncUdpSocket {
  constructor(stack: DgramStack, given: SocketType | SocketOptions, listener?: (...args: unknown[]) => void) {
    super();
    initialize(this, stack, [given, listener]);
  }

  // ---- where it is ---------------------------------------------------------------------------------

  /**
   * Binds: `([port][, address][, callback])` or `(options[, callback])`. `listening` or `error` follow.
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_SOCKET_DGRAM_NOT_RUNNING`; `ERR_INVALID_FD_TYPE` for a
   * descriptor, which is the host's
   */
  bind(...args: unknown[]): this {
    handleOf(this);
    const state = this[kState];
    if (state.bindState !== Step.None) throw plainError('ERR_SOCKET_ALREADY_BOUND');
    state.bindState = Step.Underway;
    const callback = args[args.length - 1];
    if (typeof callback === 'function') onceListening(this, callback as () => void);
    if (args[0] instanceof UdpHandle) {
      replaceHandle(this, args[0]);
      startListening(this);
      return this;
    }
    const { address, port, fd } = readBindArguments(args);
    if (Number.isInteger(fd) && (fd as number) > 0) {
      throw typeError('ERR_INVALID_FD_TYPE', 'Unsupported fd type: UNKNOWN');
    }
    const name = address || (this.type === 'udp4' ? '0.0.0.0' : '::');
    handleOf(this).lookup(name, (error, ip) => {
      const { handle } = state;
      if (handle === null || handle.isCut) return;
      if (error) {
        state.bindState = Step.None;
        this.emit('error', error);
        return;
      }
      const errno = handle.bind(ip, port || 0, flagsOf(this));
      if (errno !== 0) {
        const place = { address: ip, port: port as number | undefined };
        state.bindState = Step.None;
        this.emit('error', placeException(errno, 'bind', place));
        return;
      }
      startListening(this);
    });
    return this;
  }

  bindSync(options: BindAtOnceOptions = {}): SocketPlace {
    bindAtOnce(this, options);
    return this.address();
  }

  /**
   * Sends to and receives from one peer only: `(port[, address][, callback])`.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_SOCKET_DGRAM_IS_CONNECTED`, `ERR_INVALID_ARG_TYPE`
   */
  connect(port: number, address?: string | (() => void), callback?: () => void): void {
    const target = checkPort(port, 'Port', false);
    const done = typeof address === 'function' ? address : callback;
    const name = typeof address === 'function' || address === undefined ? '' : address;
    checkString(name, 'address');
    const state = this[kState];
    if (state.connectState !== Step.None) throw plainError('ERR_SOCKET_DGRAM_IS_CONNECTED');
    state.connectState = Step.Underway;
    whenBound(this, () => connectTo(this, { port: target, address: name }, done));
  }

  connectSync(port: number, address?: string | null): void {
    connectAtOnce(this, port, address);
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED` */
  disconnect(): void {
    const state = this[kState];
    if (state.connectState !== Step.Done) throw plainError('ERR_SOCKET_DGRAM_NOT_CONNECTED');
    const errno = state.handle?.disconnect() ?? 0;
    if (errno !== 0) throw errnoException(errno, 'connect');
    state.connectState = Step.None;
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`; `EBADF` before it is bound */
  address(): SocketPlace {
    const out: Partial<SocketPlace> = {};
    const errno = handleOf(this).getsockname(out);
    if (errno !== 0) throw errnoException(errno, 'getsockname');
    return out as SocketPlace;
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED`, `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  remoteAddress(): SocketPlace {
    const handle = handleOf(this);
    if (this[kState].connectState !== Step.Done) throw plainError('ERR_SOCKET_DGRAM_NOT_CONNECTED');
    const out: Partial<SocketPlace> = {};
    const errno = handle.getpeername(out);
    if (errno !== 0) throw errnoException(errno, 'getpeername');
    return out as SocketPlace;
  }

  // ---- sending -------------------------------------------------------------------------------------

  /** Sends a datagram; see `readSendArguments` for the ways to call it, and for what it throws. */
  send(...args: unknown[]): void {
    const state = this[kState];
    const message = readSendArguments(args, state.connectState === Step.Done);
    handleOf(this);
    if (state.bindState === Step.None) this.bind({ port: 0, exclusive: true }, null);
    if (state.bindState !== Step.Done) {
      // By then it may be connected, and these arguments wrong.
      const { data, port, address, callback } = message;
      enqueue(this, () => this.send(data, port, address, callback));
      return;
    }
    if (state.connectState === Step.Done) sendTo(this, message, null);
    else handleOf(this).lookup(message.address, (error, ip) => found(this, message, error, ip));
  }

  /** The old name of `send` in its longest form. */
  sendto(buffer: unknown, ...[offset, length, port, address, callback]: unknown[]): void {
    checkNumber(offset, 'offset');
    checkNumber(length, 'length');
    checkNumber(port, 'port');
    checkString(address, 'address');
    this.send(buffer, offset, length, port, address, callback);
  }

  // ---- its life ------------------------------------------------------------------------------------

  /** @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  close(callback?: () => void): this {
    const state = this[kState];
    if (typeof callback === 'function') this.on('close', callback);
    if (state.queue !== undefined) {
      state.queue.push(() => this.close());
      return this;
    }
    closeNow(this, handleOf(this));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this[kState].handle === null) return;
    await promisify((done: () => void) => this.close(done))();
  }

  /** A bound socket keeps the process alive, unless `unref` was called. */
  ref(): this {
    this[kState].handle?.ref();
    return this;
  }

  unref(): this {
    this[kState].handle?.unref();
    return this;
  }
}

addLegacyNames(StackDgramSocket.prototype);
for (const { prototype } of [DgramSettings, StackDgramSocket]) showAsNode(prototype, Socket.prototype);

/** Makes a socket of an object: a new one, or that of a constructor which inherits by `Socket.call(this, …)`. */
export function initialize(socket: StackDgramSocket, stack: DgramStack, args: readonly unknown[]): void {
  const [given, listener] = args;
  const options = readSocketOptions(given);
  const { type, signal } = options;
  const handle = new UdpHandle(stack, type, makeLookup(stack, type, options.lookup));
  handle.oncut = () => process.nextTick(cut, socket);
  handle.onmessage = (nread, _handle, data, info) => {
    if (nread < 0) {
      socket.emit('error', errnoException(nread, 'recvmsg'));
      return;
    }
    if (data === undefined || info === undefined) return;
    const family = info.family === 'IPv4' ? 'ipv4' : 'ipv6';
    if (socket[kState].receiveBlockList?.check(info.address, family)) return;
    info.size = data.length;
    socket.emit('message', data, info);
  };
  Object.defineProperty(socket, 'type', {
    value: type,
    writable: true,
    enumerable: true,
    configurable: true,
  });
  if (typeof listener === 'function') socket.on('message', listener as (...args: unknown[]) => void);
  socket[kState] = new SocketState(handle, options);
  if (signal !== undefined) obeySignal(socket, signal);
  if (created.hasSubscribers) created.publish({ socket });
}

function closeNow(socket: StackDgramSocket, handle: UdpHandle): void {
  stopReceiving(socket);
  handle.close();
  socket[kState].handle = null;
  process.nextTick(() => socket.emit('close'));
}

/** The stack was closed: what waits until the socket is bound waits in vain, its own end included. */
function cut(socket: StackDgramSocket): void {
  const { handle } = socket[kState];
  if (handle !== null) closeNow(socket, handle);
}

function obeySignal(socket: StackDgramSocket, signal: AbortSignal): void {
  checkAbortSignal(signal, 'options.signal');
  const close = (): void => {
    if (socket[kState].handle !== null) socket.close();
  };
  if (signal.aborted) {
    close();
    return;
  }
  signal.addEventListener('abort', close, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', close));
}

// ---- binding -----------------------------------------------------------------------------------------

/** By what a callback of `bind` hears that it is not to come; since Node 24 an error that nobody hears is one too. */
const FAILURE = NODE_MAJOR >= 24 ? EventEmitter.errorMonitor : 'error';

function onceListening(socket: StackDgramSocket, callback: () => void): void {
  const remove = (): void => {
    socket.off(FAILURE, remove);
    socket.off('listening', listening);
  };
  const listening = (): void => {
    remove();
    callback.call(socket);
  };
  socket.on(FAILURE, remove);
  socket.on('listening', listening);
}

function startListening(socket: StackDgramSocket): void {
  startReceiving(socket);
  socket.emit('listening');
}

/** The socket takes over a handle that `_createSocketHandle` has made. */
function replaceHandle(socket: StackDgramSocket, handle: UdpHandle): void {
  const old = handleOf(socket);
  if (!old.hasRef()) handle.unref();
  handle.lookup = old.lookup;
  handle.onmessage = old.onmessage;
  handle.oncut = old.oncut;
  old.close();
  socket[kState].handle = handle;
}

/** Binds if nobody has, and acts when that is done. */
function whenBound(socket: StackDgramSocket, act: () => void): void {
  const state = socket[kState];
  if (state.bindState === Step.None) socket.bind({ port: 0, exclusive: true }, null);
  if (state.bindState === Step.Done) act();
  else enqueue(socket, act);
}

function enqueue(socket: StackDgramSocket, act: () => void): void {
  const state = socket[kState];
  if (state.queue === undefined) {
    state.queue = [];
    const failed = (): void => {
      socket.off('listening', bound);
      state.queue = undefined;
    };
    const bound = (): void => {
      socket.off(EventEmitter.errorMonitor, failed);
      const queue = state.queue ?? [];
      state.queue = undefined;
      for (const step of queue) step();
    };
    socket.once(EventEmitter.errorMonitor, failed);
    socket.once('listening', bound);
  }
  state.queue.push(act);
}

// ---- connecting and sending --------------------------------------------------------------------------

interface Target {
  readonly port: number;
  readonly address: string;
}

function connectTo(socket: StackDgramSocket, target: Target, callback?: (error?: Error) => void): void {
  const state = socket[kState];
  if (callback !== undefined) socket.once('connect', callback);
  bareHandle(socket).lookup(target.address, (error, ip) => {
    const { handle } = state;
    if (handle === null) return;
    let trouble: Error | undefined = error ?? refusalOf(socket, ip);
    if (trouble === undefined) {
      const errno = handle.connect(ip, target.port);
      if (errno !== 0) trouble = placeException(errno, 'connect', target);
    }
    state.connectState = trouble === undefined ? Step.Done : Step.None;
    process.nextTick(() => {
      if (trouble === undefined) socket.emit('connect');
      else if (callback === undefined) socket.emit('error', trouble);
      else {
        socket.off('connect', callback);
        callback(trouble);
      }
    });
  });
}

function found(socket: StackDgramSocket, message: Message, error: Error | null, ip: string): void {
  const { callback } = message;
  if (error) {
    if (callback !== undefined) process.nextTick(callback, error);
    else process.nextTick(() => socket.emit('error', error));
    return;
  }
  if (socket[kState].handle === null) return;
  const refusal = refusalOf(socket, ip);
  if (refusal === undefined) sendTo(socket, message, ip);
  else if (callback !== undefined) process.nextTick(callback, refusal);
}

/** Without a callback nobody hears of an error, as in Node. */
function sendTo(socket: StackDgramSocket, message: Message, ip: string | null): void {
  const { data, port, callback } = message;
  const request: SendRequest = callback === undefined ? {} : requestOf(message, callback);
  const handle = handleOf(socket);
  const isHeard = callback !== undefined;
  const outcome =
    port === undefined
      ? handle.send(request, data, data.length, isHeard)
      : handle.send(request, data, data.length, port, ip, isHeard);
  if (callback === undefined || outcome === 0) return;
  if (outcome >= 1) process.nextTick(callback, null, outcome - 1);
  else process.nextTick(callback, placeException(outcome, 'send', message));
}

function requestOf(message: Message, callback: SendCallback): SendRequest {
  return {
    oncomplete: (errno, bytes) => {
      if (errno === 0) callback(null, bytes);
      else callback(placeException(errno, 'send', message));
    },
  };
}
