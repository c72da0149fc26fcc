/** What becomes of writes before there is a connection, and after its end. */
import { Duplex } from 'node:stream';
import { errnoError, plainError } from './node-errors.js';
import type { SocketHandle } from './path-handle.js';
import type { StackSocket } from './socket.js';
import { type Chunk, kState } from './socket-state.js';
import type { WriteDone } from './tcp-handle.js';
import { isWrapped } from './wrapping.js';

const { write: streamWrite } = Duplex.prototype as { write: (...args: unknown[]) => boolean };

/** Explains itself better than "write after end" would: it was not the caller who ended the socket. */
function writeAfterEnd(this: StackSocket, chunk: unknown, ...rest: unknown[]): boolean {
  const done = rest.find((argument) => typeof argument === 'function') as WriteDone | undefined;
  if (!this.writableEnded) return Reflect.apply(streamWrite, this, [chunk, ...rest]);
  const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' });
  if (done !== undefined) process.nextTick(done, error);
  this.destroy(error);
  return false;
}

/** The peer has finished, and so will this socket, unless it may go on writing. */
export function peerEnded(this: StackSocket): void {
  if (this.allowHalfOpen) return;
  // TLS has an answer to give, and ends the socket after it.
  if (isWrapped(this)) this.allowHalfOpen = true;
  else this.write = writeAfterEnd;
}

/** Writes when the connection is made; tells when it never will be. */
export function writeOnceConnected(socket: StackSocket, chunks: readonly Chunk[], done: WriteDone): void {
  const state = socket[kState];
  state.pending = chunks;
  const failed = (): void => done(plainError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'));
  socket.once('connect', () => {
    socket.off('close', failed);
    const rest = state.pending; // Less what Fast Open has handed over.
    state.pending = [];
    const handle = handleToWrite(socket, done);
    if (handle === undefined) return;
    handle.writev(rest, done);
    state.waitingBytes = handle.waitingBytes;
  });
  socket.once('close', failed);
}

export function handleToWrite(socket: StackSocket, done: WriteDone): SocketHandle | undefined {
  const { handle, bound } = socket[kState];
  if (bound !== undefined) done(errnoError('EPIPE', 'write'));
  else if (handle === undefined) done(plainError('ERR_SOCKET_CLOSED'));
  else socket._unrefTimer();
  return handle;
}
