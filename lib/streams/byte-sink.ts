/** The sending half of a connection, as a writable stream of bytes. */
import { ArgumentTypeError, StackError } from '../base/errors.js';
import type { TcpEndpoint } from './streams-stack.js';

/** Bytes that may wait in the stream before `writer.ready` asks for patience; the send buffer comes on top. */
const HIGH_WATER_MARK_BYTES = 65_536;

/** What may be written. It must not be changed before the write is done. */
export type BytesToWrite = ArrayBuffer | ArrayBufferView;

interface SinkEvents {
  /** Somebody begins or ceases to wait. */
  onChange(): void;
  /** The stream was closed: everything written is in the send buffer, and a FIN follows it. */
  onClosed(): void;
  /** The stream was aborted, or cannot go on. */
  onAborted(reason: unknown): void;
}

/** What the types of Node 20 leave out. */
interface Abortable extends WritableStreamDefaultController {
  readonly signal: AbortSignal;
}

/** A write that waits for room in the send buffer. */
interface WaitingWrite {
  readonly bytes: Uint8Array;
  readonly length: number;
  at: number;
  readonly done: () => void;
  readonly failed: (reason: unknown) => void;
}

export class ByteSink {
  readonly stream: WritableStream<BytesToWrite>;
  /** Whether nothing will be written any more. */
  isDone = false;
  readonly #events: SinkEvents;
  // Set by `start`, which the stream's constructor calls.
  #controller!: WritableStreamDefaultController;
  #endpoint: TcpEndpoint | undefined;
  #waiting: WaitingWrite | undefined;
  /** Chunks in the stream that are not in the send buffer. */
  #queued = 0;
  /** Settles a `close` that waits for them. */
  #closing: (() => void) | undefined;

  /** @param opened when there will be something to write to */
  constructor(opened: Promise<unknown>, events: SinkEvents) {
    this.#events = events;
    this.stream = new WritableStream(
      {
        start: (controller) => {
          this.#controller = controller;
          // Tells at once, where `abort` of the sink would wait for the write under way.
          const { signal } = controller as Abortable;
          signal.addEventListener('abort', () => {
            if (this.isDone) return;
            this.#stop(signal.reason);
            events.onAborted(signal.reason);
          });
          return opened;
        },
        write: (chunk: BytesToWrite) => this.#write(chunk),
        close: () => this.#shutdown(),
      },
      {
        highWaterMark: HIGH_WATER_MARK_BYTES,
        size: (chunk: BytesToWrite) => {
          this.#queued++;
          // What is no bytes gets its error from the write, as with every other sink.
          return bytesOf(chunk)?.length ?? 1;
        },
      },
    );
  }

  /** Whether a write waits for room. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined;
  }

  open(endpoint: TcpEndpoint): void {
    this.#endpoint = endpoint;
  }

  /** There is room in the send buffer. */
  hasRoom(): void {
    const waiting = this.#waiting;
    const endpoint = this.#endpoint;
    if (waiting === undefined || endpoint === undefined) return;
    if (waiting.bytes.length !== waiting.length) {
      // What is left of it is gone, and what follows must not pass for it.
      this.#events.onAborted(
        new ArgumentTypeError('a chunk was transferred or resized while it was written'),
      );
      return;
    }
    waiting.at += endpoint.write(waiting.bytes, waiting.at);
    if (waiting.at < waiting.length) return;
    this.#waiting = undefined;
    waiting.done();
    this.#written();
    this.#events.onChange();
  }

  /** Closes the stream behind everything written so far, also while a writer holds it. */
  close(): Promise<void> {
    if (this.isDone) return Promise.resolve();
    if (!this.stream.locked) return this.stream.close();
    return new Promise((resolve) => {
      this.#closing = resolve;
      if (this.#queued === 0) this.#closeNow();
    });
  }

  failed(error: unknown): void {
    if (this.isDone) return;
    this.#stop(error);
    this.#controller.error(error);
  }

  #stop(error: unknown): void {
    this.isDone = true;
    this.#waiting?.failed(error);
    this.#waiting = undefined;
    this.#closing?.();
    this.#events.onChange();
  }

  #shutdown(): void {
    this.isDone = true;
    this.#endpoint?.shutdown();
    this.#events.onClosed();
  }

  /** The writer that holds the stream learns it from its next write. */
  #closeNow(): void {
    this.#shutdown();
    this.#controller.error(new StackError('EPIPE', 'write'));
    this.#closing?.();
  }

  #written(): void {
    this.#queued--;
    if (this.#queued === 0 && this.#closing !== undefined && !this.isDone) this.#closeNow();
  }

  #write(chunk: BytesToWrite): Promise<void> | undefined {
    const bytes = bytesOf(chunk);
    if (bytes === undefined) {
      const error = new ArgumentTypeError('a chunk must be an ArrayBuffer or a view of one');
      this.#events.onAborted(error);
      throw error;
    }
    const endpoint = this.#endpoint;
    const at = bytes.length === 0 ? 0 : (endpoint?.write(bytes) ?? 0);
    if (at === bytes.length) {
      this.#written();
      return undefined;
    }
    return new Promise((done, failed) => {
      this.#waiting = { bytes, length: bytes.length, at, done, failed };
      this.#events.onChange();
    });
  }
}

function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  return chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : undefined;
}
