/** Joins the two streams of a connection to its endpoint. */
import { StackError } from '../base/errors.js';
import { ByteSink } from './byte-sink.js';
import { ByteSource } from './byte-source.js';
import type { StreamsStack, TcpEndpoint, TcpEndpointHandler } from './streams-stack.js';

/** Both ends of a connection, IPv4 as it is. */
export interface ConnectionEnds {
  /** Address of this side. */
  readonly localAddress: string;
  /** Port of this side. */
  readonly localPort: number;
  /** Address of the peer. */
  readonly remoteAddress: string;
  /** Port of the peer. */
  readonly remotePort: number;
}

/** Where a connection comes from: made already, or to be made. */
export interface ConnectionOrigin {
  readonly endpoint?: TcpEndpoint;
  /** Its handshake is not complete yet; false by default. */
  readonly isConnecting?: boolean;
  /** Makes the next attempt; undefined when there is none left. May throw what made it impossible. */
  readonly attempt?: () => TcpEndpoint | undefined;
  /** Breaks the connection as `abort` does. */
  readonly signal?: AbortSignal | undefined;
}

/** A promise and what settles it. That it fails need not be noticed by anybody. */
class Settled<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}

export class Wire implements TcpEndpointHandler {
  readonly opened = new Settled<ConnectionEnds>();
  readonly closed = new Settled<void>();
  readonly source: ByteSource;
  readonly sink: ByteSink;
  endpoint: TcpEndpoint | undefined;
  readonly #stack: StreamsStack;
  readonly #origin: ConnectionOrigin;
  readonly #obeySignal = (): void => this.break(this.#origin.signal?.reason);
  #isOpening = true;
  #isOver = false;
  /** A FIN was asked for, and not everything is acknowledged. */
  #isEnding = false;
  #holds = false;

  constructor(stack: StreamsStack, origin: ConnectionOrigin) {
    this.#stack = stack;
    this.#origin = origin;
    const onChange = (): void => this.#update();
    const opened = this.opened.promise;
    this.source = new ByteSource(opened, { onChange, onCancel: () => this.#cancelled() });
    this.sink = new ByteSink(opened, {
      onChange,
      onClosed: () => this.#ending(),
      onAborted: (reason) => this.break(reason),
    });
    if (origin.endpoint !== undefined) this.#join(origin.endpoint);
    const { signal } = origin;
    if (signal?.aborted) this.break(signal.reason);
    else signal?.addEventListener('abort', this.#obeySignal, { once: true });
    if (origin.endpoint !== undefined && origin.isConnecting !== true) this.onConnect();
    this.#update();
  }

  /** Makes the first attempt. @param error what to fail with where there is none to make */
  begin(error: Error): void {
    if (!this.#isOver) this.#attemptFailed(error);
  }

  #join(endpoint: TcpEndpoint): void {
    this.endpoint = endpoint;
    endpoint.handler = this;
  }

  // ---- what the endpoint tells -----------------------------------------------------------------------

  onConnect(): void {
    const { endpoint } = this;
    if (endpoint === undefined || this.#isOver || !this.#isOpening) return;
    this.#isOpening = false;
    this.source.open(endpoint);
    this.sink.open(endpoint);
    if (this.source.isDone) endpoint.shutdownRead();
    const { localAddress, localPort, remoteAddress, remotePort } = endpoint;
    this.opened.resolve({
      localAddress: localAddress.toString(),
      localPort,
      remoteAddress: remoteAddress.toString(),
      remotePort,
    });
    this.#update();
  }

  onReadable(): void {
    this.source.arrived();
  }

  onEnd(): void {
    this.source.arrived();
  }

  onWritable(): void {
    this.sink.hasRoom();
  }

  onDrain(): void {
    this.#isEnding = false;
    this.#update();
  }

  onClose(errorCode: string): void {
    if (this.#isOpening) {
      const { endpoint } = this;
      const { remoteAddress, remotePort } = endpoint as TcpEndpoint;
      const code = errorCode === '' ? 'ECONNABORTED' : errorCode;
      const syscall = this.#origin.attempt === undefined ? 'accept' : 'connect';
      this.#attemptFailed(new StackError(code, syscall, remoteAddress.toString(), remotePort));
    } else if (errorCode === '' && this.endpoint?.isPeerClosed === true) {
      this.source.arrived();
      this.#over(undefined);
    } else {
      // Without a code it was this side that broke it: the endpoint was aborted, or the stack closed.
      this.#over(new StackError(errorCode === '' ? 'ECONNABORTED' : errorCode, 'read'));
    }
  }

  // ---- how it ends -------------------------------------------------------------------------------------

  /** Goes on with the next address, while there is one. */
  #attemptFailed(error: unknown): void {
    this.endpoint?.close();
    try {
      const next = this.#origin.attempt?.();
      if (next === undefined) this.#over(error);
      else this.#join(next);
    } catch (nextError) {
      this.#attemptFailed(nextError);
    }
  }

  /** RST. */
  break(reason: unknown): void {
    if (this.#isOver) return;
    this.endpoint?.abort();
    this.source.fail(reason);
    this.#over(reason);
  }

  async close(): Promise<void> {
    // A stream that was broken has told so.
    await this.sink.close().catch(() => {});
    if (!this.#isOver && !this.source.isDone) this.#giveUp();
    return this.closed.promise;
  }

  /** A FIN was asked for. */
  #ending(): void {
    const { endpoint } = this;
    if (endpoint === undefined || this.#isOver) return;
    this.#isEnding = endpoint.unackedBytes > 0;
    if (this.source.isDone && !endpoint.isPeerClosed) this.#giveUp();
    this.#update();
  }

  #cancelled(): void {
    if (this.#isOver || this.#isOpening) return;
    if (this.sink.isDone) this.#giveUp();
    else this.endpoint?.shutdownRead();
  }

  /** Nobody wants anything of it any more: the stack ends it alone. */
  #giveUp(): void {
    this.endpoint?.close();
    this.source.end();
    this.#over(undefined);
  }

  /** @param error what broke it; undefined where it ended in order */
  #over(error: unknown): void {
    const wasOpening = this.#isOpening;
    this.#isOver = true;
    this.#isOpening = false;
    this.#origin.signal?.removeEventListener('abort', this.#obeySignal);
    if (this.endpoint !== undefined) this.endpoint.handler = undefined;
    if (error === undefined) {
      this.closed.resolve();
      if (wasOpening) this.opened.reject(new StackError('ECONNABORTED', 'connect'));
    } else {
      this.opened.reject(error);
      this.source.failed(error);
      this.sink.failed(error);
      this.closed.reject(error);
    }
    this.#update();
  }

  /** Lets the endpoint go once nobody can read from it any more, and the process where nothing is waited for. */
  #update(): void {
    if (this.#isOver && this.source.isDone) this.endpoint?.close();
    const isWaiting = this.#isOpening || this.source.isAwaited || this.sink.isAwaited || this.#isEnding;
    const holds = isWaiting && !this.#isOver;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#stack.hold();
    else this.#stack.release();
  }
}
