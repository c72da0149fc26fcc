/** Bytes on their way from the application to an endpoint's send buffer, and those that wait for room in it. */
import type { Endpoint } from './context.js';

/** Longest string that is encoded without an allocation of its own, in UTF-16 units. */
const SCRATCH_CHARACTERS = 16_384;
/** Memory for one such string: a unit takes at most three bytes. */
export const SCRATCH_BYTES = 3 * SCRATCH_CHARACTERS;

export class Outlet {
  /** Bytes accepted from the application so far, those that wait included. */
  bytesAccepted = 0;
  readonly #endpoint: Endpoint;
  readonly #scratch: Buffer;
  #waiting: Uint8Array[] = [];
  /** How much of the first that waits was admitted. */
  #offset = 0;
  #waitingBytes = 0;

  constructor(endpoint: Endpoint, scratch: Buffer) {
    this.#endpoint = endpoint;
    this.#scratch = scratch;
  }

  /** Bytes that wait for room. They belong to the application, which must not change them yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Hands over one chunk: copied into the send buffer as far as there is room. */
  put(data: Uint8Array | string, encoding: BufferEncoding): void {
    if (typeof data !== 'string') {
      this.#put(data, data.length, false);
    } else if (data.length <= SCRATCH_CHARACTERS) {
      this.#put(this.#scratch, this.#scratch.write(data, encoding), true);
    } else {
      const bytes = Buffer.from(data, encoding);
      this.#put(bytes, bytes.length, false);
    }
  }

  /** Goes on where there was no room before. */
  flush(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0];
      const length = first.length - this.#offset;
      const admitted = this.#endpoint.write(first, this.#offset, length);
      this.#waitingBytes -= admitted;
      this.#offset += admitted;
      if (admitted < length) return;
      this.#waiting.shift();
      this.#offset = 0;
    }
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#offset = 0;
  }

  /** @param isLent whether the bytes will change when this returns */
  #put(bytes: Uint8Array, length: number, isLent: boolean): void {
    this.bytesAccepted += length;
    const admitted = this.#waiting.length > 0 ? 0 : this.#endpoint.write(bytes, 0, length);
    if (admitted === length) return;
    const rest = bytes.subarray(admitted, length);
    this.#waiting.push(isLent ? Buffer.from(rest) : rest);
    this.#waitingBytes += length - admitted;
  }
}
