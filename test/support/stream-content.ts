/**
 * What the bytes of a test's streams are: each follows from its place in the stream, so that any segment
 * and any read can be checked, whatever order things came in. A test may also choose bytes of its own.
 */

/** The byte at `position` (0 is the first) of the stream called `salt`. */
const byteAt = (position: number, salt: number): number =>
  (position * 7 + (position >>> 8) * 13 + salt) & 0xff;

interface Chosen {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class StreamContent {
  readonly #salt: number;
  /** Pieces a test chose, newest last. */
  readonly #chosen: Chosen[] = [];

  constructor(salt: number) {
    this.#salt = salt;
  }

  /** `length` bytes from `position` on, as they stand in the stream. */
  bytes(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = byteAt(position + i, this.#salt);
    for (const { start, bytes: own } of this.#chosen) {
      const from = Math.max(start, position);
      const to = Math.min(start + own.length, position + length);
      if (from < to) bytes.set(own.subarray(from - start, to - start), from - position);
    }
    return bytes;
  }

  /** From now on the stream has these bytes at `position`. */
  choose(position: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#chosen.push({ start: position, bytes: bytes.slice() });
  }

  /** Where `bytes` first differ from the stream at `position`; -1 when they do not. */
  difference(position: number, bytes: Uint8Array): number {
    const expected = this.bytes(position, bytes.length);
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== expected[i]) return position + i;
    return -1;
  }
}
