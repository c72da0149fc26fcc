/** Memory that text passes through on its way to the host: a few pieces, used again and again. */
import { Buffer } from 'node:buffer';

/** Size of a piece, bytes: several super-packets, and little enough to stay in the processor's cache. */
export const CHUNK_BYTES = 262_144;
/** Most pieces kept for later; what was needed beyond that is freed. */
const MAX_KEPT = 64;

/** A piece of memory, and how much of it is filled. */
export interface Chunk {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly view: DataView;
  filled: number;
}

/** Lends pieces of memory. */
export class ChunkPool {
  readonly #free: Chunk[] = [];

  /** An empty piece. */
  take(): Chunk {
    const kept = this.#free.pop();
    if (kept !== undefined) return kept;
    const bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), filled: 0 };
  }

  /** Gives a piece back. Nobody may look at it any more. */
  give(chunk: Chunk): void {
    chunk.filled = 0;
    if (this.#free.length < MAX_KEPT) this.#free.push(chunk);
  }
}
