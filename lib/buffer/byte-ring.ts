/**
 * Memory for a ring of bytes that grows by doubling and costs nothing while empty. Both stream
 * buffers address it by a running position, of which only the low bits choose the place.
 */
import { copyBytes } from '../base/copy.js';

const SMALLEST_BYTES = 4096;
const NOTHING = new Uint8Array(0);
const NO_VIEW = new DataView(NOTHING.buffer);

/**
 * Memory of smallest rings that nobody needs now, of all rings of the process: most connections hold something for
 * a moment only, and so a few rings serve them all, where each would else make its own.
 */
const MOST_SPARE = 256;
const SPARE_BYTES: Uint8Array[] = [];
const SPARE_VIEWS: DataView[] = [];

/** Who may take bytes where they lie. */
export interface TextTaker {
  /** @returns false where the bytes must be copied */
  lend(memory: Uint8Array, at: number, length: number): boolean;
}

export class ByteRing {
  #bytes: Uint8Array = NOTHING;
  #view: DataView = NO_VIEW;
  #mask = -1;

  /** Bytes of memory held now. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Whether it holds as little memory as it can without being empty. */
  get isSmallest(): boolean {
    return this.#bytes.length <= SMALLEST_BYTES;
  }

  /** Bytes of memory that holding `length` bytes takes beyond what is held now. */
  growth(length: number): number {
    if (length <= this.#bytes.length) return 0;
    let capacity = Math.max(SMALLEST_BYTES, this.#bytes.length);
    while (capacity < length) capacity *= 2;
    return capacity - this.#bytes.length;
  }

  /** Bytes it can hold if its memory may grow by `moreBytes` at most. */
  reach(moreBytes: number): number {
    const most = this.#bytes.length + moreBytes;
    let capacity = this.#bytes.length;
    for (let next = Math.max(SMALLEST_BYTES, 2 * capacity); next <= most; next *= 2) capacity = next;
    return capacity;
  }

  /** Makes room for positions `from .. from + length`, of which those up to `used` bytes are kept. */
  ensure(from: number, used: number, length: number): void {
    const more = this.growth(length);
    if (more > 0) this.#resize(from, used, this.#bytes.length + more);
  }

  /** Gives back what is not needed to hold positions `from .. from + used`, which are kept. */
  shrink(from: number, used: number): void {
    if (used === 0) {
      this.free();
      return;
    }
    let capacity = SMALLEST_BYTES;
    while (capacity < used) capacity *= 2;
    if (capacity < this.#bytes.length) this.#resize(from, used, capacity);
  }

  #resize(from: number, used: number, capacity: number): void {
    const isSpare = capacity === SMALLEST_BYTES && SPARE_BYTES.length > 0;
    const resized = isSpare ? (SPARE_BYTES.pop() as Uint8Array) : new Uint8Array(capacity);
    const view = isSpare ? (SPARE_VIEWS.pop() as DataView) : new DataView(resized.buffer);
    const old = this.#bytes;
    const kept = Math.min(used, old.length);
    if (kept > 0) {
      const oldMask = this.#mask;
      let done = 0;
      while (done < kept) {
        const source = (from + done) & oldMask;
        const target = (from + done) & (capacity - 1);
        const run = Math.min(kept - done, old.length - source, capacity - target);
        resized.set(old.subarray(source, source + run), target);
        done += run;
      }
    }
    this.free();
    this.#bytes = resized;
    this.#view = view;
    this.#mask = capacity - 1;
  }

  /** Gives the memory back where it is little, which costs nothing to get again; the content is gone. */
  freeSmall(): void {
    if (this.#bytes.length === SMALLEST_BYTES) this.free();
  }

  /** Gives the memory back; the content is gone. */
  free(): void {
    if (this.#bytes.length === SMALLEST_BYTES && SPARE_BYTES.length < MOST_SPARE) {
      SPARE_BYTES.push(this.#bytes);
      SPARE_VIEWS.push(this.#view);
    }
    this.#bytes = NOTHING;
    this.#view = NO_VIEW;
    this.#mask = -1;
  }

  /** Copies `length` bytes of a packet to position `to`. */
  put(to: number, source: DataView, at: number, length: number): void {
    if (length === 0) return;
    const place = to & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    copyBytes(source, at, this.#view, place, run);
    if (run < length) copyBytes(source, at + run, this.#view, 0, length - run);
  }

  /** Copies `length` bytes from position `from` into a packet. */
  get(from: number, target: DataView, at: number, length: number): void {
    if (length === 0) return;
    const place = from & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    copyBytes(this.#view, place, target, at, run);
    if (run < length) copyBytes(this.#view, 0, target, at + run, length - run);
  }

  /** Lends what lies in one piece, and in memory that no other ring will ever have. */
  lendTo(taker: TextTaker, from: number, length: number): boolean {
    const place = from & this.#mask;
    if (this.isSmallest || place + length > this.#bytes.length) return false;
    return taker.lend(this.#bytes, place, length);
  }

  /** As `put`, from an application's memory. */
  write(to: number, source: Uint8Array, at: number, length: number): void {
    // A ring without memory has no place, not even for nothing.
    if (length === 0) return;
    const place = to & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    // A view costs more than a short copy.
    this.#bytes.set(run === source.length ? source : source.subarray(at, at + run), place);
    if (run < length) this.#bytes.set(source.subarray(at + run, at + length), 0);
  }

  /** As `get`, to an application's memory. */
  read(from: number, target: Uint8Array, at: number, length: number): void {
    if (length === 0) return;
    const place = from & this.#mask;
    const run = Math.min(length, this.#bytes.length - place);
    target.set(this.#bytes.subarray(place, place + run), at);
    if (run < length) target.set(this.#bytes.subarray(0, length - run), at + run);
  }
}
