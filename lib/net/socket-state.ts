/** What a socket remembers between calls, and how it begins. */
import { Buffer } from 'node:buffer';
import type { BlockList } from 'node:net';
import type { Duplex, DuplexOptions } from 'node:stream';
import { checkBlockList, checkInteger, checkNumber } from './arguments.js';
import { addressOf } from './bound-socket.js';
import type { BoundPort, NetContext } from './context.js';
import { BufferInlet, type Inlet, type OnReadOptions, SlabInlet } from './inlet.js';
import { applyKeepAlive, KEEP_ALIVE_DEFAULTS, wholeSeconds } from './keep-alive.js';
import { argumentValueError, typeError } from './node-errors.js';
import type { SocketHandle } from './path-handle.js';
import type { Address } from './tcp-handle.js';

export interface SocketOptions {
  /** Go on writing after the peer has finished; false by default, which ends the socket then. */
  allowHalfOpen?: boolean | undefined;
  readable?: boolean | undefined;
  writable?: boolean | undefined;
  /** Receive into memory of one's own instead of by `data` events. */
  onread?: OnReadOptions | null | undefined;
  signal?: AbortSignal | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  /** ms of idleness before the first keep-alive probe; 0 leaves the stack's default. */
  keepAliveInitialDelay?: number | undefined;
  /** IPv4 TOS or IPv6 traffic class, 0 .. 255, from the SYN on; the two ECN bits are the stack's. 0 by default. */
  typeOfService?: number | undefined;
  readableHighWaterMark?: number | undefined;
  writableHighWaterMark?: number | undefined;
  highWaterMark?: number | undefined;
  /** Addresses not to connect to: `ERR_IP_BLOCKED`. */
  blockList?: BlockList | undefined;
  /** A `BoundSocket` of the same stack, to connect from; other handles are the host's, and ignored. */
  handle?: unknown;
}

/** One write, as a stream hands it down. */
export interface Chunk {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

export interface SocketState {
  handle: SocketHandle | undefined;
  /** The port to connect from, where it was taken beforehand. */
  bound: BoundPort | undefined;
  /** Whether `connect` was called since the last end. */
  wasStarted: boolean;
  /** The peer, once somebody has asked: see `remoteEndOf`. */
  remoteEnd: Address | undefined;
  readonly onread: OnReadOptions | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Bytes that waited for room when the timer was last looked at. */
  waitingBytes: number;
  noDelay: boolean;
  keepAlive: boolean;
  keepAliveDelayMs: number;
  keepAliveIntervalMs: number;
  keepAliveCount: number;
  /** As it was asked for, ECN bits included. */
  typeOfService: number | undefined;
  /** What `ref` and `unref` asked for before there was a connection. */
  isRef: boolean;
  /** Counts kept when the connection is gone. */
  bytesRead: number;
  bytesWritten: number;
  /** What was written before the connection was made. */
  pending: readonly Chunk[];
}

const NOTHING_WRITTEN: readonly Chunk[] = Object.freeze([]);

/** Where a socket keeps its state; a symbol, not a private field, so that `Socket.call(this)` works. */
export const kState = Symbol('tunstack.socket');

/** @throws `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_FD_TYPE` */
export function checkSocketOptions(options: SocketOptions & DuplexOptions): void {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name]) throw argumentValueError(`options.${name}`, options[name], 'is not supported');
  }
  const descriptor = typeof options === 'number' ? options : (options as { fd?: unknown }).fd;
  if (descriptor !== undefined) {
    checkInteger(descriptor, 'fd', 0);
    // They are the host's, and so is what they stand for.
    throw typeError('ERR_INVALID_FD_TYPE', 'Unsupported fd type: UNKNOWN');
  }
  if (options.keepAliveInitialDelay !== undefined) {
    checkNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
  }
  checkBlockList(options.blockList, 'options.blockList');
  if (options.typeOfService !== undefined) {
    checkInteger(options.typeOfService, 'options.typeOfService', 0, 255);
  }
}

/** Options of a socket that a server has accepted, those of its stream included: one shape for all of them. */
export class AcceptedOptions implements SocketOptions {
  readonly allowHalfOpen: boolean;
  readonly readableHighWaterMark: number;
  readonly writableHighWaterMark: number;
  readonly signal = undefined;
  /** `close` says whether there was an error, and comes when the connection is let go. */
  readonly emitClose = false;
  readonly autoDestroy = true;
  readonly decodeStrings = false;

  constructor(server: { readonly allowHalfOpen: boolean; readonly highWaterMark: number }) {
    this.allowHalfOpen = Boolean(server.allowHalfOpen);
    this.readableHighWaterMark = server.highWaterMark;
    this.writableHighWaterMark = server.highWaterMark;
  }
}

/** What the stream below a socket is told. A signal is obeyed once the socket is complete. */
export function streamOptions(options: SocketOptions): DuplexOptions {
  if (options instanceof AcceptedOptions) return options;
  const { allowHalfOpen } = options;
  return {
    ...(options as DuplexOptions),
    signal: undefined,
    allowHalfOpen: Boolean(allowHalfOpen),
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  };
}

export function newSocketState(options: SocketOptions): SocketState {
  const { onread } = options;
  const isUsable =
    onread !== null &&
    typeof onread === 'object' &&
    (onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function') &&
    typeof onread.callback === 'function';
  return {
    handle: undefined,
    bound: undefined,
    wasStarted: false,
    remoteEnd: undefined,
    onread: isUsable ? onread : undefined,
    timer: undefined,
    waitingBytes: 0,
    noDelay: Boolean(options.noDelay),
    keepAlive: Boolean(options.keepAlive),
    keepAliveDelayMs: wholeSeconds(options.keepAliveInitialDelay),
    keepAliveIntervalMs: KEEP_ALIVE_DEFAULTS.keepAliveIntervalMs,
    keepAliveCount: KEEP_ALIVE_DEFAULTS.keepAliveCount,
    typeOfService: options.typeOfService,
    isRef: true,
    bytesRead: 0,
    bytesWritten: 0,
    pending: NOTHING_WRITTEN,
  };
}

/** Where a connection's text goes: into the stream, or into memory the application has given. */
export const newInlet = (context: NetContext, state: SocketState, stream: Duplex): Inlet =>
  state.onread === undefined
    ? new SlabInlet(context.slab, (chunk) => stream.push(chunk))
    : new BufferInlet(state.onread, stream);

/**
 * What is known of a socket that was never made, such as the prototype of all of them: getters must answer there
 * too, as whoever prints the class asks them.
 */
export const NO_SOCKET: SocketState = Object.assign(newSocketState({}), {
  bytesRead: undefined as unknown as number,
  bytesWritten: undefined as unknown as number,
});

/** Applies the settings made while there was no connection. */
export function applySettings(state: SocketState): void {
  if (state.noDelay) state.handle?.endpoint.setNoDelay(true);
  if (state.keepAlive) applyKeepAlive(state);
}

/** This end, while there is a connection, an attempt at one, or a port for one. */
export const localEndOf = ({ handle, bound }: SocketState): Address | undefined =>
  handle?.localEnd() ?? (bound && addressOf(bound));

/** Neither a connection, nor a port for one. */
export const isBare = ({ handle, bound }: SocketState): boolean =>
  handle === undefined && bound === undefined;

/** The peer; when the connection is gone, as in Node, only to those who asked while it was there. */
export function remoteEndOf(state: SocketState): Address | undefined {
  const { handle } = state;
  if (handle !== undefined && !handle.isConnecting) state.remoteEnd ??= handle.remoteEnd();
  return state.remoteEnd;
}

export const byteLength = ({ chunk, encoding }: Chunk): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
