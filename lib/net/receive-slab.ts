/**
 * Memory for received text. One copy takes text from the link's memory into a slab that all sockets of
 * a stack share; large pieces of it are handed to the application as they are. Small ones are copied
 * out, so that an application that keeps a few bytes never keeps a whole slab alive.
 */

import { copyBytes } from '../base/copy.js';

/** Size of a slab, and the largest piece, bytes: a super-packet fits. */
export const SLAB_BYTES = 65_536;
/** Pieces shorter than this are handed out as copies: what is kept pins at most eight times its size. */
const COPY_BELOW_BYTES = SLAB_BYTES / 8;
/** Only shorter copies come from Node's pool, which from Node 24 on is as large as a slab. */
const POOL_BELOW_BYTES = 4096;

/** Text being gathered for one connection: `buffer` from `start` to `end`. */
export interface Piece {
  readonly buffer: Buffer;
  /** The same memory as `buffer`. */
  readonly view: DataView;
  readonly start: number;
  end: number;
}

/** The memory of an array of bytes. */
export const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);

/**
 * glibc gives freed memory back to the kernel above a threshold, and learns that threshold from the
 * largest block it has freed. Slabs are freed by the hundred: with what it believes at first each would
 * be faulted in again page by page, at several times the price of the copy. One block of this size, never
 * touched and forgotten at once, teaches it better; other allocators do not mind. It keeps twice as much.
 */
const LESSON_BYTES = 16 << 20;
let isTaught = false;

function newSlab(): Buffer<ArrayBuffer> {
  if (!isTaught) Buffer.allocUnsafeSlow(LESSON_BYTES);
  isTaught = true;
  return Buffer.allocUnsafeSlow(SLAB_BYTES);
}

export class ReceiveSlab {
  #slab = Buffer.alloc(0);
  #view = viewOf(this.#slab);
  /** Where free memory begins in the slab. */
  #at = 0;
  /** Pieces of this slab that are still being gathered. */
  #open = 0;
  /** Whether the application may hold parts of this slab. */
  #isShared = false;

  /** Adds text to the last of `pieces` where that is possible, else as a new one. */
  append(pieces: Piece[], source: DataView, at: number, length: number): void {
    let piece = pieces.length > 0 ? pieces[pieces.length - 1] : undefined;
    if (piece !== undefined && this.#isTail(piece) && this.#slab.length - this.#at >= length) {
      this.#at += length;
      piece.end = this.#at;
    } else {
      piece = this.reserve(length);
      pieces.push(piece);
    }
    copyBytes(source, at, piece.view, piece.end - length, length);
  }

  /** A piece with room for `length` bytes, to be filled and then given to `take` or `drop`. */
  reserve(length: number): Piece {
    if (this.#slab.length - this.#at < length) {
      // What would waste the better part of a slab gets memory of its own.
      if (length >= SLAB_BYTES / 2) return pieceOfItsOwn(length);
      this.#slab = newSlab();
      this.#view = viewOf(this.#slab);
      this.#at = 0;
      this.#open = 0;
      this.#isShared = false;
    }
    const start = this.#at;
    this.#at += length;
    this.#open++;
    return { buffer: this.#slab, view: this.#view, start, end: this.#at };
  }

  /** Gives back the end of a piece that was reserved too large. */
  trim(piece: Piece, length: number): void {
    const end = piece.start + length;
    if (this.#isTail(piece)) this.#at = end;
    piece.end = end;
  }

  /** The piece as a Buffer for the application. The piece itself is used up. */
  take(piece: Piece): Buffer {
    const { buffer, start, end } = piece;
    if (end - start >= COPY_BELOW_BYTES) {
      if (buffer === this.#slab) this.#isShared = true;
      this.#close(piece);
      return buffer.subarray(start, end);
    }
    const bytes = end - start;
    const copy = bytes < POOL_BELOW_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
    buffer.copy(copy, 0, start, end);
    this.drop(piece);
    return copy;
  }

  /** Forgets a piece that nobody wants any more. */
  drop(piece: Piece): void {
    if (this.#isTail(piece)) this.#at = piece.start;
    this.#close(piece);
  }

  #isTail(piece: Piece): boolean {
    return piece.buffer === this.#slab && piece.end === this.#at;
  }

  #close(piece: Piece): void {
    if (piece.buffer !== this.#slab) return;
    this.#open--;
    // Nobody has any of it: the whole slab serves again.
    if (this.#open === 0 && !this.#isShared) this.#at = 0;
  }
}

function pieceOfItsOwn(length: number): Piece {
  const buffer = Buffer.allocUnsafeSlow(length);
  return { buffer, view: viewOf(buffer), start: 0, end: length };
}
