/**
 * Writing below TLS and HTTP/2. Node's wrapper around a stream breaks the process where its C++ writes after it has
 * ended the stream, which a peer can bring about: by asking for a renegotiation, for instance. Here such a write is
 * answered as libuv answers it.
 */
import { constants } from 'node:os';
import { errnoOf } from './node-errors.js';
import type { StackSocket } from './socket.js';

/** Node's C++ side of a stream: it calls `on…`, and is told the outcome by `finish…`. A status is 0 or `-errno`. */
export interface StreamHandle {
  onwrite(request: object, chunks: readonly Uint8Array[]): number;
  onshutdown(request: object): number;
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
  close: (closed: () => void) => void;
}

const { ECANCELED, ENOTCONN, EPIPE } = constants.errno;

/**
 * When C++ hears of a write that the connection took at once: HTTP/2 before its call returns, as with the kernel, so
 * that what it sends next is not kept back; TLS, which takes that amiss, a turn of the event loop later.
 */
export type Outcome = 'at once' | 'next turn';

/** From now on what C++ writes by `handle` is written to `socket` here. */
export function takeWriting(handle: StreamHandle, socket: StackSocket, outcome: Outcome): void {
  new WrappedWriting(handle, socket, outcome).begin();
}

class WrappedWriting {
  readonly #handle: StreamHandle;
  readonly #socket: StackSocket;
  readonly #outcome: Outcome;
  /** Writes that C++ waits for. */
  readonly #writes = new Set<object>();
  #shutdown: object | undefined;
  #isEnding = false;
  /** From the call of `close` until what C++ waits for is cancelled. */
  #isClosing = false;

  constructor(handle: StreamHandle, socket: StackSocket, outcome: Outcome) {
    this.#handle = handle;
    this.#socket = socket;
    this.#outcome = outcome;
  }

  begin(): void {
    const handle = this.#handle;
    const { close } = handle;
    handle.onwrite = (request, chunks) => this.#write(request, chunks);
    handle.onshutdown = (request) => this.#end(request);
    handle.close = (closed) => {
      this.#isClosing = true;
      Reflect.apply(close, handle, [
        () => {
          this.#isClosing = false;
          this.#cancel();
          closed();
        },
      ]);
    };
  }

  #write(request: object, chunks: readonly Uint8Array[]): number {
    const socket = this.#socket;
    if (this.#isClosing) {
      // Cancelled with the others, after it was told why: TLS that is given up speaks once more in the same call.
      this.#writes.add(request);
      return 0;
    }
    if (this.#isEnding || !socket.writable) return -EPIPE;
    this.#writes.add(request);
    let left = chunks.length;
    const written = (error?: Error | null): void => {
      left--;
      if (error || left === 0) setImmediate(() => this.#written(request, statusOf(error)));
    };
    socket.cork();
    for (const chunk of chunks) socket.write(chunk, written);
    socket.uncork();
    if (this.#outcome === 'at once' && socket.writableLength === 0 && !socket.destroyed) {
      this.#written(request, 0);
    }
    return 0;
  }

  #written(request: object, status: number): void {
    if (!this.#writes.delete(request)) return;
    this.#handle.finishWrite(request, status);
    this.#endWhenWritten();
  }

  #end(request: object): number {
    if (this.#shutdown !== undefined || this.#isEnding) return -ENOTCONN;
    this.#shutdown = request;
    this.#endWhenWritten();
    return 0;
  }

  /** TLS asks for the end while its last words, the alert that closes, still wait for those before. */
  #endWhenWritten(): void {
    if (this.#shutdown === undefined || this.#isEnding || this.#writes.size > 0) return;
    this.#isEnding = true;
    process.nextTick(() => this.#socket.end(() => this.#ended(0)));
  }

  #ended(status: number): void {
    const request = this.#shutdown;
    this.#shutdown = undefined;
    if (request !== undefined) this.#handle.finishShutdown(request, status);
  }

  /** The handle is closed: nothing more will come of what it waits for. */
  #cancel(): void {
    this.#isEnding = true;
    for (const request of this.#writes) this.#written(request, -ECANCELED);
    this.#ended(-ECANCELED);
  }
}

function statusOf(error: Error | null | undefined): number {
  if (!error) return 0;
  const { code = '' } = error as NodeJS.ErrnoException;
  return errnoOf(code) || -EPIPE;
}
