/**
 * Memory for a ring of bytes that grows by doubling and costs nothing while empty. Both stream
 * buffers address it by a running position, of which only the low bits choose the place.
 */
const SMALLEST_BYTES = 4096;
const NOTHING = new Uint8Array(0);

export class ByteRing {
  #bytes: Uint8Array = NOTHING;
  #mask = -1;

  /** Bytes of memory held now. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Makes room for positions `from .. from + length`, of which those up to `used` bytes are kept. */
  ensure(from: number, used: number, length: number): void {
    if (length <= this.#bytes.length) return;
    let capacity = Math.max(SMALLEST_BYTES, this.#bytes.length);
    while (capacity < length) capacity *= 2;
    const grown = new Uint8Array(capacity);
    const old = this.#bytes;
    const kept = Math.min(used, old.length);
    if (kept > 0) {
      const oldMask = this.#mask;
      let done = 0;
      while (done < kept) {
        const source = (from + done) & oldMask;
        const target = (from + done) & (capacity - 1);
        const run = Math.min(kept - done, old.length - source, capacity - target);
        grown.set(old.subarray(source, source + run), target);
        done += run;
      }
    }
    this.#bytes = grown;
    this.#mask = capacity - 1;
  }

  /** Gives the memory back; the content is gone. */
  free(): void {
    this.#bytes = NOTHING;
    this.#mask = -1;
  }

  /** Copies `length` bytes of `source` to position `to`. */
  put(to: number, source: Uint8Array, at: number, length: number): void {
    const place = to & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    copy(source, at, this.#bytes, place, run);
    if (run < length) copy(source, at + run, this.#bytes, 0, length - run);
  }

  /** Copies `length` bytes from position `from` into `target`. */
  get(from: number, target: Uint8Array, at: number, length: number): void {
    const place = from & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    copy(this.#bytes, place, target, at, run);
    if (run < length) copy(this.#bytes, 0, target, at + run, length - run);
  }
}

/** Below this a loop is faster than making a subarray for `set`. */
const LOOP_BYTES = 48;

/** Copies between arrays that do not overlap. */
// biome-ignore lint/complexity/useMaxParams: a copy has five operands, and an object each would cost more than the copy
export function copy(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i++) target[to + i] = source[from + i];
    return;
  }
  target.set(source.subarray(from, from + length), to);
}
