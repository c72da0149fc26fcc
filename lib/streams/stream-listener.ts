/** A listening port that gives connections as streams, one by one. */
import { StreamConnection } from './stream-connection.js';
import type { ListenerEndpoint, StreamsStack, TcpEndpoint } from './streams-stack.js';

type Taker = (connection: StreamConnection | undefined) => void;

/**
 * `for await (const connection of listener)` gives every connection, until `close`; leaving the loop closes
 * the listener. Connections nobody has asked for wait in the backlog. A listener keeps the process alive
 * while somebody waits for a connection. It is closed with its stack, too.
 */
export class StreamListener implements AsyncIterable<StreamConnection>, AsyncDisposable {
  readonly #stack: StreamsStack;
  readonly #endpoint: ListenerEndpoint;
  readonly #signal: AbortSignal | undefined;
  readonly #obeySignal = (): void => this.close();
  /** Those who wait for a connection, first come first. */
  readonly #takers: Taker[] = [];
  #isClosed = false;

  /** @internal Made by `listen`. */
  constructor(stack: StreamsStack, endpoint: ListenerEndpoint, signal?: AbortSignal) {
    this.#stack = stack;
    this.#endpoint = endpoint;
    this.#signal = signal;
    endpoint.onConnection = () => this.#give();
    endpoint.onClosed = () => this.close();
    if (signal?.aborted) this.close();
    else signal?.addEventListener('abort', this.#obeySignal, { once: true });
  }

  /** The address it listens on; `::` or `0.0.0.0` for all. */
  get address(): string {
    return this.#endpoint.localAddress.toString();
  }

  /** The port. */
  get port(): number {
    return this.#endpoint.localPort;
  }

  /** The port itself, for settings of the connections to come. */
  get endpoint(): ListenerEndpoint {
    return this.#endpoint;
  }

  /** The next connection; undefined once the listener is closed. */
  accept(): Promise<StreamConnection | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    const endpoint = this.#takers.length === 0 ? this.#endpoint.accept() : undefined;
    if (endpoint !== undefined) return Promise.resolve(this.#connectionOf(endpoint));
    return new Promise((taker) => {
      if (this.#takers.push(taker) === 1) this.#stack.hold();
    });
  }

  /** Stops listening: loops end, connections nobody has taken are reset, those taken live on. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener('abort', this.#obeySignal);
    this.#endpoint.onConnection = () => {};
    this.#endpoint.onClosed = () => {};
    this.#endpoint.close();
    if (this.#takers.length > 0) this.#stack.release();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  /** As `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Connections one by one, until the listener is closed. */
  [Symbol.asyncIterator](): AsyncIterator<StreamConnection, undefined> {
    return {
      next: async () => {
        const value = await this.accept();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
  }

  #give(): void {
    while (this.#takers.length > 0) {
      const endpoint = this.#endpoint.accept();
      if (endpoint === undefined) return;
      const taker = this.#takers.shift();
      taker?.(this.#connectionOf(endpoint));
      if (this.#takers.length === 0) this.#stack.release();
    }
  }

  #connectionOf(endpoint: TcpEndpoint): StreamConnection {
    return new StreamConnection(this.#stack, { endpoint });
  }
}
