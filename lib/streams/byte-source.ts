/** The receiving half of a connection, as a readable byte stream that pulls. */
import type { TcpEndpoint } from './streams-stack.js';

/** Largest chunk made for a reader that brings no memory of its own, bytes. */
const MAX_CHUNK_BYTES = 65_536;

/**
 * Nothing is read ahead: text waits in the receive buffer, where it closes the window, until somebody asks
 * for it. A reader with memory of its own (`mode: 'byob'`) has it filled straight from there.
 */
export class ByteSource {
  readonly stream: ReadableStream<Uint8Array>;
  /** Whether the end, an error or the reader's lack of interest was told: nothing will be read any more. */
  isDone = false;
  readonly #onChange: () => void;
  // Set by `start`, which the stream's constructor calls.
  #controller!: ReadableByteStreamController;
  #endpoint: TcpEndpoint | undefined;
  /** Settles the pull that waits for text. */
  #awaited: (() => void) | undefined;
  /** What broke the connection, told when all that came before was read. */
  #failure: { readonly reason: unknown } | undefined;

  /**
   * @param opened when there will be something to read from
   * @param events called when somebody begins or ceases to wait, and when the reader wants no more
   */
  constructor(opened: Promise<unknown>, events: { onChange(): void; onCancel(): void }) {
    this.#onChange = () => events.onChange();
    this.stream = new ReadableStream(
      {
        type: 'bytes',
        start: (controller) => {
          this.#controller = controller;
          return opened as Promise<void>;
        },
        pull: () => this.#pull(),
        cancel: () => {
          this.#finish();
          events.onCancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Whether a reader waits for text. */
  get isAwaited(): boolean {
    return this.#awaited !== undefined;
  }

  open(endpoint: TcpEndpoint): void {
    this.#endpoint = endpoint;
  }

  /** Text has come, or its end. */
  arrived(): void {
    const awaited = this.#awaited;
    if (awaited !== undefined) {
      if (!this.#give()) return;
      this.#awaited = undefined;
      awaited();
      this.#onChange();
    } else if (this.#endpoint?.readableBytes === 0 && this.#endpoint.isPeerClosed) this.end();
  }

  /** The connection has failed. What was received before can still be read. */
  failed(reason: unknown): void {
    this.#failure = { reason };
    if ((this.#endpoint?.readableBytes ?? 0) === 0) this.fail(reason);
  }

  /** Fails at once, whatever was received. */
  fail(reason: unknown): void {
    if (this.isDone) return;
    this.#controller.error(reason);
    this.#finish();
  }

  /** Ends at once, whatever was received, also while a reader holds the stream. */
  end(): void {
    if (this.isDone) return;
    this.#controller.close();
    // A reader with memory of its own gets it back, empty.
    this.#controller.byobRequest?.respond(0);
    this.#finish();
  }

  #pull(): Promise<void> | undefined {
    if (this.#give()) return undefined;
    return new Promise((resolve) => {
      this.#awaited = resolve;
      this.#onChange();
    });
  }

  /** Gives the reader what there is. @returns false when there is nothing yet */
  #give(): boolean {
    if (this.isDone) return true;
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return false;
    const available = endpoint.readableBytes;
    if (available > 0) {
      this.#deliver(endpoint, available);
      return true;
    }
    if (this.#failure !== undefined) this.fail(this.#failure.reason);
    else if (endpoint.isPeerClosed) this.end();
    return this.isDone;
  }

  #deliver(endpoint: TcpEndpoint, available: number): void {
    const request = this.#controller.byobRequest;
    const view = request?.view;
    if (request && view) {
      request.respond(endpoint.read(new Uint8Array(view.buffer, view.byteOffset, view.byteLength)));
      return;
    }
    const chunk = new Uint8Array(Math.min(available, MAX_CHUNK_BYTES));
    endpoint.read(chunk);
    this.#controller.enqueue(chunk);
  }

  #finish(): void {
    this.isDone = true;
    this.#awaited?.();
    this.#awaited = undefined;
    this.#onChange();
  }
}
