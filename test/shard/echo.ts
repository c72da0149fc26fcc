/** Ends that send a stream, echo it, and check what comes back. */
import { streamByte } from '../../lib/sim/transfer.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';

const CHUNK = new Uint8Array(4096);

/** Sends back what it reads, and ends when the peer has. */
export class Echo implements TcpEndpointHandler {
  readonly #endpoint: TcpEndpoint;
  #waiting: Uint8Array[] = [];
  #ended = false;
  code: string | undefined;

  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
    endpoint.handler = this;
  }

  onConnect(): void {}

  onReadable(): void {
    for (;;) {
      const bytes = this.#endpoint.read(CHUNK);
      if (bytes === 0) break;
      this.#waiting.push(CHUNK.slice(0, bytes));
    }
    this.onWritable();
  }

  onWritable(): void {
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      const written = this.#endpoint.write(first);
      if (written < first.length) {
        this.#waiting[0] = first.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#ended) this.#endpoint.shutdown();
  }

  onEnd(): void {
    this.#ended = true;
    this.onWritable();
  }

  onClose(code: string): void {
    this.code = code;
  }
}

/** Sends `bytes` in pieces, each when the one before has come back, and checks every byte. */
export class Asker implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  readonly #bytes: number;
  readonly #piece: number;
  #sent = 0;
  received = 0;
  isIntact = true;
  /** '' once it ended well. */
  code: string | undefined;

  constructor(endpoint: TcpEndpoint, bytes: number, piece = bytes) {
    this.endpoint = endpoint;
    this.#bytes = bytes;
    this.#piece = piece;
    endpoint.handler = this;
  }

  get isComplete(): boolean {
    return this.isIntact && this.received === this.#bytes && this.code === '';
  }

  onConnect(): void {
    this.onWritable();
  }

  onWritable(): void {
    const end = Math.min(this.#bytes, this.received - (this.received % this.#piece) + this.#piece);
    while (this.#sent < end) {
      const start = this.#sent;
      const data = Uint8Array.from({ length: Math.min(4096, end - start) }, (_, i) => streamByte(start + i));
      const written = this.endpoint.write(data);
      this.#sent += written;
      if (written < data.length) return;
    }
  }

  onReadable(): void {
    for (;;) {
      const bytes = this.endpoint.read(CHUNK);
      if (bytes === 0) break;
      for (let i = 0; i < bytes; i++) {
        if (CHUNK[i] !== streamByte(this.received + i)) this.isIntact = false;
      }
      this.received += bytes;
    }
    if (this.received === this.#bytes) this.endpoint.shutdown();
    else this.onWritable();
  }

  onEnd(): void {}

  onClose(code: string): void {
    this.code = code;
  }
}
