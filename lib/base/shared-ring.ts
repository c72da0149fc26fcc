/**
 * Records on their way from one thread to one other, in shared memory: where they lie in it. One side appends, the
 * other reads, each moving only its own end; how far either is counts bytes, modulo 2^32. What a record holds, and who
 * wakes whom, is for those who use it.
 */
/** Words before the records, a cache line each: how far was written, and how far read. What is behind is free. */
const WRITTEN = 0;
const READ = 16;
const CONTROL_BYTES = 256;

/** Before each record: four words, of which the first is never `SKIP`. */
export const RECORD_BYTES = 16;
/** In place of that word where the rest of the ring is skipped. */
const SKIP = -1;

/** What a record takes up: each begins where its four words are in one piece. */
export const recordSpace = (payloadBytes: number): number =>
  (RECORD_BYTES + payloadBytes + RECORD_BYTES - 1) & -RECORD_BYTES;

/** Where a ring lies. */
export interface RingPlace {
  readonly memory: SharedArrayBuffer;
  readonly at: number;
  /** What it holds; a power of two. */
  readonly ringBytes: number;
}

export class SharedRing {
  /** Its control words; those from `FREE_WORDS` on are its user's. */
  readonly control: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly size: number;
  readonly #mask: number;

  static readonly FREE_WORDS = 32;

  /** Bytes of memory a ring takes up that holds `ringBytes`. */
  static memoryBytes(ringBytes: number): number {
    return CONTROL_BYTES + ringBytes;
  }

  constructor({ memory, at, ringBytes }: RingPlace) {
    this.control = new Int32Array(memory, at, CONTROL_BYTES / 4);
    this.bytes = new Uint8Array(memory, at + CONTROL_BYTES, ringBytes);
    this.view = new DataView(memory, at + CONTROL_BYTES, ringBytes);
    this.size = ringBytes;
    this.#mask = ringBytes - 1;
  }

  /** How far was written; to be set by the side that appends. */
  get written(): number {
    return Atomics.load(this.control, WRITTEN);
  }

  set written(position: number) {
    Atomics.store(this.control, WRITTEN, position);
  }

  /** How far was read; to be set by the side that reads. */
  get read(): number {
    return Atomics.load(this.control, READ);
  }

  set read(position: number) {
    Atomics.store(this.control, READ, position);
  }

  /** Where a position lies in `bytes`. */
  offset(position: number): number {
    return position & this.#mask;
  }

  /** Whether a record of `space` bytes has room behind what was written, in one piece. */
  fits(space: number, written: number, read: number): boolean {
    const rest = this.size - this.offset(written);
    return this.size - ((written - read) | 0) >= (rest < space ? rest + space : space);
  }

  /** Where a record of `space` bytes begins that fits: behind what was written, or at the beginning of the ring. */
  place(space: number, written: number): number {
    const at = this.offset(written);
    if (this.size - at >= space) return written;
    this.view.setInt32(at, SKIP);
    return (written + this.size - at) | 0;
  }

  /** Where the record begins that comes next, something being written at `read`. */
  find(read: number): number {
    const at = this.offset(read);
    return this.view.getInt32(at) === SKIP ? (read + this.size - at) | 0 : read;
  }
}
