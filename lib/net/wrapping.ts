/**
 * Sockets under TLS and HTTP/2. Node puts a stream of its own between its C++ and any socket that has no
 * handle of the operating system. That stream knows neither addresses nor `unref`, and ends the socket
 * itself. Here the two are made to get along; in a version of Node that looks different inside nothing
 * is lost but what is added here.
 */
import { PassThrough } from 'node:stream';
import tls from 'node:tls';
import type { StackSocket } from './socket.js';
import { kState, remoteEndOf } from './socket-state.js';
import { type Outcome, type StreamHandle, takeWriting } from './wrapped-writing.js';

/**
 * Whether Node's wrapper reads this socket: its listener is the only one to hand text to `readBuffer`.
 * TLS answers the peer's end with an alert, so such a socket must stay open for writing until told.
 */
export function isWrapped(socket: StackSocket): boolean {
  return socket.listeners('data').some((listener) => String(listener).includes('readBuffer('));
}

/** What Node's C++ side of a wrapped stream lacks, of the methods of a handle. */
interface HandleMethods {
  getsockname(out: object): number;
  getpeername(out: object): number;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  setNoDelay(on: boolean): number;
  /** Times are in seconds; not all versions of Node name all. */
  setKeepAlive(on: boolean, delay: number, interval?: number, count?: number): number;
}

/** Node's wrapper around `stream`, as far as it is used here. */
interface Wrapper {
  readonly stream?: unknown;
  readonly _handle?: (Partial<HandleMethods> & { readBuffer?: (chunk: Uint8Array) => void }) | null;
  connecting?: boolean;
  emit?(event: string): boolean;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  removeAllListeners?(event: 'error'): unknown;
}

interface WrappedTls {
  readonly _handle?: { readonly _parentWrap?: Wrapper | null } | null;
}

/** Gives a TLS socket what it asks of the socket below: addresses, `ref`, `unref` and settings. */
export function lendToTls(tlsSocket: object): void {
  const wrapper = (tlsSocket as WrappedTls)._handle?._parentWrap;
  const handle = wrapper?._handle;
  if (!lend(wrapper, 'next turn') || !handle?.readBuffer) return;
  const { readBuffer } = handle;
  // TLS gives up at once and closes in a microtask: what comes between, in the same turn, is not for it any more.
  handle.readBuffer = (chunk) => {
    if (!(tlsSocket as tls.TLSSocket).destroyed) Reflect.apply(readBuffer, handle, [chunk]);
  };
}

/** As `lendToTls`, for one over a socket that somebody else has made, with whose end it ends. */
export function lendWithEnd(tlsSocket: tls.TLSSocket): void {
  const socket = (tlsSocket as WrappedTls)._handle?._parentWrap?.stream;
  lendToTls(tlsSocket);
  // Before those who ask the one what became of the other; by itself the wrapper comes a turn later.
  if (isStackSocket(socket)) socket.prependOnceListener('close', () => tlsSocket.destroy());
}

/** As `lendToTls`, for the session of an HTTP/2 server or client. */
export function lendToSession(session: object): void {
  lend((session as { socket?: Wrapper }).socket, 'at once');
}

/** What a socket tells of its attempts to connect before it is connected. */
const ATTEMPT_EVENTS = [
  'lookup',
  'connectionAttempt',
  'connectionAttemptFailed',
  'connectionAttemptTimeout',
] as const;

/**
 * Has a TLS socket tell what one that Node connects itself does: `connecting`, the attempts, `connect` and
 * `ready`. Over a stream Node believes it to be connected from the beginning. What breaks the socket below
 * breaks it too; Node would only pass the error on, and close without one.
 */
export function followConnection(tlsSocket: tls.TLSSocket, socket: StackSocket): void {
  const follower = tlsSocket as tls.TLSSocket & { connecting: boolean };
  follower.connecting = socket.connecting;
  for (const event of ATTEMPT_EVENTS) socket.on(event, (...args) => follower.emit(event, ...args));
  Object.defineProperty(follower, 'autoSelectFamilyAttemptedAddresses', {
    get: () => socket.autoSelectFamilyAttemptedAddresses,
    configurable: true,
    enumerable: true,
  });
  socket.once('connect', () => {
    if (follower.destroyed) return;
    follower.connecting = false;
    follower.emit('connect');
    follower.emit('ready');
  });
  const wrapper = (tlsSocket as WrappedTls)._handle?._parentWrap;
  wrapper?.removeAllListeners?.('error');
  wrapper?.on?.('error', (error) => follower.destroy(error));
}

/**
 * A socket for the session of an HTTP/2 client. The session would take a wrapper of its own making for
 * connected at once, and emit `connect` before there is a connection or none; this one tells when.
 */
export function wrapForSession(socket: object): object {
  const Wrapping = wrapperClass();
  if (Wrapping === undefined || !isStackSocket(socket)) return socket;
  const wrapper = new Wrapping(socket);
  lend(wrapper, 'at once');
  wrapper.connecting = socket.connecting;
  socket.once('connect', () => {
    wrapper.connecting = false;
    wrapper.emit?.('connect');
  });
  return wrapper;
}

type WrapperClass = new (stream: object) => Wrapper;

/** The class of Node's wrappers, which it does not export but uses for any stream under TLS. */
function wrapperClass(): WrapperClass | undefined {
  const probe = new tls.TLSSocket(new PassThrough());
  const wrapper = (probe as WrappedTls)._handle?._parentWrap;
  probe.destroy();
  return wrapper?.constructor as WrapperClass | undefined;
}

const UV_ENOTCONN = -107;

/** @returns false where there is no socket of a stack below, or it was done before */
function lend(wrapper: Wrapper | null | undefined, outcome: Outcome): boolean {
  const handle = wrapper?._handle;
  const socket = wrapper?.stream;
  if (!handle || !isStackSocket(socket) || handle.getpeername !== undefined) return false;
  const methods: HandleMethods = {
    getsockname(out) {
      Object.assign(out, socket.address());
      return 0;
    },
    getpeername(out) {
      const remoteEnd = remoteEndOf(socket[kState]);
      Object.assign(out, remoteEnd);
      return remoteEnd === undefined ? UV_ENOTCONN : 0;
    },
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    hasRef: () => socket[kState].isRef,
    setNoDelay(on) {
      socket.setNoDelay(on);
      return 0;
    },
    setKeepAlive(on, delay, interval, count) {
      socket.setKeepAlive(on, delay * 1000, interval === undefined ? undefined : interval * 1000, count);
      return 0;
    },
  };
  Object.assign(handle, methods);
  if (isStreamHandle(handle)) takeWriting(handle, socket, outcome);
  return true;
}

const isStreamHandle = (handle: object): handle is StreamHandle =>
  ['onwrite', 'onshutdown', 'finishWrite', 'finishShutdown', 'close'].every(
    (name) => typeof (handle as Record<string, unknown>)[name] === 'function',
  );

const isStackSocket = (value: unknown): value is StackSocket =>
  typeof value === 'object' && value !== null && kState in value;
