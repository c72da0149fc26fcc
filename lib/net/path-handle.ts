/** What a socket stands on that connects to a path: a socket of the host, for a stack has no paths. */
import nodeNet from 'node:net';
import type { Endpoint } from './context.js';
import type { Inlet, TextSource } from './inlet.js';
import type { HandleOwner, TcpHandle, WriteDone } from './tcp-handle.js';

/** What a socket asks of what it stands on. */
export interface SocketHandle
  extends Pick<
    TcpHandle,
    | 'isConnecting'
    | 'bytesRead'
    | 'bytesWritten'
    | 'waitingBytes'
    | 'readStart'
    | 'readStop'
    | 'write'
    | 'writev'
    | 'put'
    | 'shutdown'
    | 'close'
    | 'reset'
    | 'ref'
    | 'unref'
  > {
  readonly endpoint: Pick<
    Endpoint,
    'info' | 'getOption' | 'setOption' | 'setNoDelay' | 'setKeepAlive' | 'setTrafficClass' | 'trafficClass'
  >;
  /** Neither end of a path has an address. */
  localEnd(): ReturnType<TcpHandle['localEnd']> | undefined;
  remoteEnd(): ReturnType<TcpHandle['remoteEnd']> | undefined;
}

/** Kept, as the module may be given another class while the process runs. */
const { Socket } = nodeNet;

/** Settings of TCP mean nothing to a path. */
const NO_TCP = {
  info: undefined as never,
  trafficClass: 0,
  getOption: () => undefined as never,
  setOption: () => {},
  setNoDelay: () => {},
  setKeepAlive: () => {},
  setTrafficClass: () => {},
} satisfies SocketHandle['endpoint'];

export interface PathOptions {
  readonly path: string;
  readonly inlet: Inlet;
  readonly owner: Pick<HandleOwner, 'onConnect' | 'onActivity' | 'onEnd'>;
  /** Hears what ended the attempt or the connection, in the host's words. */
  readonly failed: (error: Error) => void;
}

export class PathHandle implements SocketHandle, TextSource {
  readonly endpoint = NO_TCP;
  readonly #host = new Socket({ allowHalfOpen: true });
  readonly #inlet: Inlet;
  readonly #owner: PathOptions['owner'];
  #isReading = false;
  #isEndDue = false;
  /** The last text of the host's socket, and how much of it was delivered. */
  #text: Uint8Array = new Uint8Array(0);
  #delivered = 0;

  /** Connects in a later tick. */
  constructor({ path, inlet, owner, failed }: PathOptions) {
    this.#inlet = inlet;
    this.#owner = owner;
    this.#host.on('connect', () => owner.onConnect());
    this.#host.on('error', failed);
    this.#host.on('data', (text) => {
      this.#text = text;
      this.#delivered = 0;
      this.#deliver();
    });
    this.#host.on('end', () => {
      this.#isEndDue = true;
      this.#deliver();
    });
    this.#host.pause().connect(path);
  }

  get isConnecting(): boolean {
    return this.#host.connecting;
  }

  get bytesRead(): number {
    return this.#inlet.bytesDelivered;
  }

  get bytesWritten(): number {
    return this.#host.bytesWritten;
  }

  get waitingBytes(): number {
    return this.#host.writableLength;
  }

  get readableBytes(): number {
    return this.#text.length - this.#delivered;
  }

  localEnd(): undefined {
    return undefined;
  }

  remoteEnd(): undefined {
    return undefined;
  }

  read(into: Uint8Array, at: number, length: number): number {
    const bytes = Math.min(length, this.readableBytes);
    into.set(this.#text.subarray(this.#delivered, this.#delivered + bytes), at);
    this.#delivered += bytes;
    return bytes;
  }

  readStart(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    process.nextTick(() => this.#deliver());
  }

  readStop(): void {
    this.#isReading = false;
    this.#host.pause();
  }

  #deliver(): void {
    while (this.#isReading && this.readableBytes > 0) {
      const wantsMore = this.#inlet.deliver(this);
      this.#owner.onActivity();
      if (!wantsMore) this.readStop();
    }
    if (!this.#isReading) return;
    if (!this.#isEndDue) this.#host.resume();
    else {
      this.#isReading = false;
      this.#isEndDue = false;
      this.#owner.onEnd();
    }
  }

  write(data: Uint8Array | string, encoding: BufferEncoding, done: WriteDone): void {
    // What a socket of the host says of a write that failed comes as its `error`, too.
    this.#host.write(data, encoding, done);
  }

  writev(chunks: readonly { chunk: Uint8Array | string; encoding: BufferEncoding }[], done: WriteDone): void {
    this.#host.cork();
    chunks.forEach(({ chunk, encoding }, i) => {
      this.#host.write(chunk, encoding, i === chunks.length - 1 ? done : undefined);
    });
    this.#host.uncork();
  }

  put(chunks: readonly { chunk: Uint8Array | string; encoding: BufferEncoding }[]): void {
    this.writev(chunks, () => {});
  }

  shutdown(done: WriteDone): void {
    this.#host.end(() => done());
  }

  close(done: () => void): void {
    this.#isReading = false;
    this.#isEndDue = false;
    if (this.#host.closed) setImmediate(done);
    else this.#host.once('close', () => done());
    this.#host.destroy();
  }

  /** There is no RST on a path. */
  reset(done: () => void): void {
    this.close(done);
  }

  ref(): void {
    this.#host.ref();
  }

  unref(): void {
    this.#host.unref();
  }
}
