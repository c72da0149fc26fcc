/** The raw endpoints of a stack as promises, with everything that happens to them on record. */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import type { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../lib/stack/tcp-listener-endpoint.js';
import { stateName } from '../../lib/tcp/state.js';
import { within } from './interop-wait.js';

const PIECE_BYTES = 1 << 16;

/** What `receiveToEnd` and `sendBulk` tell of a stream. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** A `TcpEndpoint` that can be awaited. */
export class AwaitedEndpoint implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  /** Why it closed: `''` for a good end; undefined while it lives. */
  closeCode: string | undefined;
  isConnected: boolean;
  hasEnded = false;
  isDrained = false;
  readonly softErrors: string[] = [];
  urgentEvents = 0;
  readonly #wakers = new Set<() => void>();

  constructor(endpoint: TcpEndpoint, isConnected: boolean) {
    this.endpoint = endpoint;
    this.isConnected = isConnected;
    endpoint.handler = this;
  }

  onConnect(): void {
    this.isConnected = true;
    this.#wake();
  }
  onReadable(): void {
    this.#wake();
  }
  onWritable(): void {
    this.#wake();
  }
  onEnd(): void {
    this.hasEnded = true;
    this.#wake();
  }
  onClose(code: string): void {
    this.closeCode = code;
    this.#wake();
  }
  onUrgent(): void {
    this.urgentEvents++;
    this.#wake();
  }
  onSoftError(code: string): void {
    this.softErrors.push(code);
    this.#wake();
  }
  onDrain(): void {
    this.isDrained = true;
    this.#wake();
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
  }

  get state(): string {
    return stateName(this.endpoint.state);
  }

  /** Waits until something that this endpoint is told of makes `isTrue` so. */
  until(what: string, isTrue: () => boolean, limitMs?: number): Promise<void> {
    let waker = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      waker = () => {
        if (isTrue()) resolve();
      };
      this.#wakers.add(waker);
      waker();
    });
    const describe = (): string => `${what} (${this.state}, close code ${JSON.stringify(this.closeCode)})`;
    return within(waiting, describe, limitMs).finally(() => this.#wakers.delete(waker));
  }

  /** @throws Error with the close code when it comes to nothing */
  async connected(): Promise<void> {
    await this.until('to be connected', () => this.isConnected || this.closeCode !== undefined);
    if (!this.isConnected)
      throw Object.assign(new Error(`not connected: ${this.closeCode}`), { code: this.closeCode });
  }

  /** The close code, once it is over. */
  async closed(limitMs?: number): Promise<string> {
    await this.until('to be closed', () => this.closeCode !== undefined, limitMs);
    return this.closeCode as string;
  }

  /** So many bytes as text, fewer only at the end. */
  async receive(bytes: number): Promise<string> {
    const target = Buffer.alloc(bytes);
    let at = 0;
    while (at < bytes) {
      const count = this.endpoint.read(target, at, bytes - at);
      at += count;
      if (count > 0) continue;
      if (this.#isOver) break;
      await this.until(`byte ${at} of ${bytes}`, () => this.endpoint.readableBytes > 0 || this.#isOver);
    }
    return target.toString('latin1', 0, at);
  }

  /** Reads all there is up to the end of the stream. */
  async receiveToEnd(limitMs?: number): Promise<Digest> {
    const hash = createHash('sha256');
    const piece = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const count = this.endpoint.read(piece);
      bytes += count;
      if (count > 0) hash.update(piece.subarray(0, count));
      else if (this.#isOver) return { bytes, sha256: hash.digest('hex') };
      else {
        const more = (): boolean => this.endpoint.readableBytes > 0 || this.#isOver;
        await this.until(`the end, after ${bytes} bytes`, more, limitMs);
      }
    }
  }

  /** No byte will follow what can be read now. */
  get #isOver(): boolean {
    return (this.hasEnded || this.closeCode !== undefined) && this.endpoint.readableBytes === 0;
  }

  async send(data: string | Uint8Array, limitMs?: number): Promise<void> {
    const bytes = Buffer.from(data as Uint8Array);
    let at = 0;
    while (at < bytes.length) {
      at += this.endpoint.write(bytes, at);
      if (at === bytes.length) return;
      const room = (): boolean => this.endpoint.writableBytes > 0 || this.closeCode !== undefined;
      await this.until(`room for byte ${at} of ${bytes.length}`, room, limitMs);
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode} after ${at} bytes`);
    }
  }

  /** Sends bytes nobody can foresee. @returns their hash */
  async sendBulk(bytes: number, limitMs?: number): Promise<string> {
    const hash: Hash = createHash('sha256');
    for (let left = bytes; left > 0; ) {
      const piece = randomBytes(Math.min(left, PIECE_BYTES));
      hash.update(piece);
      await this.send(piece, limitMs);
      left -= piece.length;
    }
    return hash.digest('hex');
  }
}

/** Waits for connections of a listener. */
export class AwaitedListener {
  readonly listener: TcpListenerEndpoint;
  #waker: () => void = () => {};

  constructor(listener: TcpListenerEndpoint) {
    this.listener = listener;
    listener.onConnection = () => this.#waker();
  }

  get port(): number {
    return this.listener.localPort;
  }

  async accept(): Promise<AwaitedEndpoint> {
    const accepted = new Promise<AwaitedEndpoint>((resolve) => {
      this.#waker = () => {
        const endpoint = this.listener.accept();
        if (endpoint !== undefined) resolve(new AwaitedEndpoint(endpoint, true));
      };
      this.#waker();
    });
    const endpoint = await within(accepted, () => 'a connection to accept');
    this.#waker = () => {};
    return endpoint;
  }

  close(): void {
    this.listener.close();
  }
}

export const listen = (stack: Stack, options: Parameters<Stack['listenTcp']>[0]): AwaitedListener =>
  new AwaitedListener(stack.listenTcp(options));

/** Begins a connection; `connected()` tells how it went. */
export const dial = (stack: Stack, options: Parameters<Stack['connectTcp']>[0]): AwaitedEndpoint =>
  new AwaitedEndpoint(stack.connectTcp(options), false);
