/** What a socket does when its connection tells it something. */
import type { Endpoint } from './context.js';
import { kContext } from './context.js';
import { errnoError } from './node-errors.js';
import { PathHandle } from './path-handle.js';
import type { StackSocket } from './socket.js';
import { applySettings, kState, newInlet } from './socket-state.js';
import { type HandleOwner, TcpHandle } from './tcp-handle.js';

export interface Attachment {
  readonly endpoint: Endpoint;
  /** Whether an IPv4 connection belongs to an IPv6 socket and shows mapped addresses. */
  readonly isMapped: boolean;
  /** Given while the handshake is still to come: called with the code of what ended the attempt. */
  readonly connectFailed?: (code: string) => void;
}

/** Joins a socket to its connection. */
export function attach(socket: StackSocket, attachment: Attachment): TcpHandle {
  const { endpoint, isMapped, connectFailed } = attachment;
  const state = socket[kState];
  const handle = new TcpHandle(socket[kContext], {
    endpoint,
    isMapped,
    isConnecting: connectFailed !== undefined,
    inlet: newInlet(socket[kContext], state, socket),
  });
  handle.owner = new SocketOwner(socket, connectFailed);
  if (!state.isRef) handle.unref();
  state.handle = handle;
  if (connectFailed === undefined) applySettings(state);
  return handle;
}

/** Joins a socket to the host's path, to which it connects. */
export function attachPath(socket: StackSocket, path: string): void {
  const state = socket[kState];
  const handle = new PathHandle({
    path,
    inlet: newInlet(socket[kContext], state, socket),
    owner: new SocketOwner(socket),
    failed: (error) => {
      socket.connecting = false;
      socket.emit('connectionAttemptFailed', path, undefined, undefined, error);
      socket.destroy(error);
    },
  });
  if (!state.isRef) handle.unref();
  state.handle = handle;
  socket.emit('connectionAttempt', path, undefined, undefined);
}

class SocketOwner implements HandleOwner {
  readonly #socket: StackSocket;
  readonly #connectFailed: ((code: string) => void) | undefined;

  constructor(socket: StackSocket, connectFailed?: (code: string) => void) {
    this.#socket = socket;
    this.#connectFailed = connectFailed;
  }

  onConnect(): void {
    const socket = this.#socket;
    socket.connecting = false;
    applySettings(socket[kState]);
    socket._unrefTimer();
    socket.emit('connect');
    socket.emit('ready');
    // Begin to read, or learn of an immediate end. Nothing is taken from the stream.
    if (!socket.isPaused()) socket.read(0);
  }

  onConnectError(code: string): void {
    this.#connectFailed?.(code);
  }

  onActivity(): void {
    this.#socket._unrefTimer();
  }

  onWritten(): void {
    this.#socket[kState].waitingBytes = 0;
    this.#socket._unrefTimer();
  }

  onEnd(): void {
    const socket = this.#socket;
    socket.push(null);
    // Without text nobody would look: this makes `end` come also where nobody reads.
    socket.read(0);
  }

  onReadError(code: string): void {
    this.#socket.destroy(errnoError(code, 'read'));
  }

  onCut(): void {
    this.#socket.destroy();
  }
}
