/** A connection as a pair of WHATWG streams, which need nothing of Node's. */
import { StackError } from '../base/errors.js';
import type { BytesToWrite } from './byte-sink.js';
import type { StreamsStack, TcpEndpoint } from './streams-stack.js';
import { type ConnectionEnds, type ConnectionOrigin, Wire } from './wire.js';

/**
 * A TCP connection: bytes in by `readable`, bytes out by `writable`, each of which ends by itself.
 *
 * | | on the wire |
 * |---|---|
 * | nobody reads | the receive buffer fills, and the window closes: at most that much is held |
 * | nobody acknowledges | the send buffer fills, writes wait, `writer.ready` and `desiredSize` say so |
 * | the peer's FIN | `readable` ends once everything was read; `writable` goes on |
 * | `writable.close()` | a FIN behind everything written; `readable` goes on |
 * | `readable.cancel()` | what arrives from now on is acknowledged and thrown away; `writable` goes on |
 * | both of these | the connection is given up: the stack delivers the rest, and answers later text with RST |
 * | `writable.abort(reason)`, `abort(reason)`, the signal | RST at once; both streams and `closed` fail with `reason` |
 * | the peer's RST, a time-out | what was received can be read; then all fail with `ECONNRESET`, `ETIMEDOUT` … |
 *
 * A connection keeps the process alive while it is being made, while a read or a write waits, and from its
 * FIN until the peer has acknowledged everything.
 */
export class StreamConnection implements AsyncDisposable {
  /** A byte stream that reads nothing ahead; `getReader({ mode: 'byob' })` fills memory of one's own. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes an ArrayBuffer or any view of one; what else is written breaks the connection. */
  readonly writable: WritableStream<BytesToWrite>;
  /** When the connection is made; rejects with the error of the last attempt. */
  readonly opened: Promise<ConnectionEnds>;
  /**
   * When it is over: both sides have sent a FIN and everything is acknowledged, or it was given up. Rejects
   * with what broke it.
   */
  readonly closed: Promise<void>;
  readonly #wire: Wire;

  /** @internal Made by `connect` and by listeners. */
  constructor(stack: StreamsStack, origin: ConnectionOrigin) {
    this.#wire = new Wire(stack, origin);
    this.readable = this.#wire.source.stream;
    this.writable = this.#wire.sink.stream;
    this.opened = this.#wire.opened.promise;
    this.closed = this.#wire.closed.promise;
  }

  /** The connection itself, for its settings and what it knows; undefined before the first attempt. */
  get endpoint(): TcpEndpoint | undefined {
    return this.#wire.endpoint;
  }

  /**
   * Ends it in order, also while the streams are locked: a FIN behind everything written so far, and nothing
   * is read any more. Bytes that arrived and were not read make it an RST (RFC 2525 §2.17).
   * @returns `closed`
   */
  close(): Promise<void> {
    return this.#wire.close();
  }

  /** Breaks it: an RST at once. Both streams fail with `reason`, as does `closed`. */
  abort(reason: unknown = new StackError('ECONNABORTED', 'abort')): void {
    this.#wire.break(reason);
  }

  /** As `close`, for `await using`; the error of a broken connection is not told again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => {});
  }

  /** @internal Makes the first attempt. */
  begin(error: Error): void {
    this.#wire.begin(error);
  }
}
