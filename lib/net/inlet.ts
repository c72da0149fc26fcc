/** Text on its way from an endpoint to the application: into Buffers of its own, or into the application's. */
import { copyBytes } from '../base/copy.js';
import type { Endpoint } from './context.js';
import { type Piece, type ReceiveSlab, SLAB_BYTES, viewOf } from './receive-slab.js';

/**
 * Most bytes gathered for one delivery: as many as a batch of a TUN may hold. Beyond it text waits in
 * the receive buffer, where it closes the window.
 */
const MAX_GATHERED_BYTES = 1 << 20;

/** Where an inlet finds what it has not taken yet. */
export type TextSource = Pick<Endpoint, 'read' | 'readableBytes'>;

export interface Inlet {
  /** Bytes the application was given so far. */
  readonly bytesDelivered: number;
  /** Whether text was taken that the application has not been given yet. */
  readonly hasText: boolean;
  /** Takes text from the link's memory, whole or not at all. */
  take(source: DataView, at: number, length: number): boolean;
  /**
   * Gives the application one piece: what was taken, else from the endpoint's buffer.
   * @returns false when it wants no more for now
   */
  deliver(source: TextSource): boolean;
  /** Forgets what was taken. */
  clear(): void;
}

/** Text becomes Buffers, pushed into a stream. */
export class SlabInlet implements Inlet {
  bytesDelivered = 0;
  readonly #slab: ReceiveSlab;
  readonly #push: (chunk: Buffer) => boolean;
  #pieces: Piece[] = [];
  /** How many of the pieces were delivered. */
  #delivered = 0;
  #gatheredBytes = 0;

  constructor(slab: ReceiveSlab, push: (chunk: Buffer) => boolean) {
    this.#slab = slab;
    this.#push = push;
  }

  get hasText(): boolean {
    return this.#delivered < this.#pieces.length;
  }

  take(source: DataView, at: number, length: number): boolean {
    if (this.#gatheredBytes + length > MAX_GATHERED_BYTES) return false;
    this.#gatheredBytes += length;
    this.#slab.append(this.#pieces, source, at, length);
    return true;
  }

  deliver(endpoint: TextSource): boolean {
    const piece = this.hasText ? this.#nextPiece() : this.#read(endpoint);
    if (piece === undefined) return true;
    this.bytesDelivered += piece.end - piece.start;
    return this.#push(this.#slab.take(piece));
  }

  clear(): void {
    while (this.hasText) this.#slab.drop(this.#nextPiece());
  }

  #nextPiece(): Piece {
    const piece = this.#pieces[this.#delivered++];
    this.#gatheredBytes -= piece.end - piece.start;
    if (this.#delivered === this.#pieces.length) {
      this.#pieces.length = 0;
      this.#delivered = 0;
    }
    return piece;
  }

  #read(endpoint: TextSource): Piece | undefined {
    const wanted = Math.min(endpoint.readableBytes, SLAB_BYTES);
    if (wanted === 0) return undefined;
    const piece = this.#slab.reserve(wanted);
    const bytes = endpoint.read(piece.buffer, piece.start, wanted);
    if (bytes < wanted) this.#slab.trim(piece, bytes);
    if (bytes > 0) return piece;
    this.#slab.drop(piece);
    return undefined;
  }
}

/** Where what arrives is read to, in place of events: Node's `onread` of `net.connect`. */
export interface OnReadOptions {
  /** Where text is put, again and again; or a function that gives the memory for each delivery. */
  buffer: Uint8Array | (() => Uint8Array);
  /** Called for each delivery; `false` pauses the socket. */
  callback: (this: unknown, bytes: number, buffer: Uint8Array) => boolean;
}

/** Text is put into memory of the application's, one callback each time (`onread`). */
export class BufferInlet implements Inlet {
  bytesDelivered = 0;
  readonly #callback: OnReadOptions['callback'];
  readonly #self: unknown;
  readonly #generate: (() => Uint8Array) | undefined;
  #buffer: Uint8Array;
  #view: DataView;
  #filled = 0;

  /** @param self `this` of the callback */
  constructor(options: OnReadOptions, self: unknown) {
    this.#callback = options.callback;
    this.#self = self;
    this.#generate = typeof options.buffer === 'function' ? options.buffer : undefined;
    this.#buffer = typeof options.buffer === 'function' ? options.buffer() : options.buffer;
    this.#view = viewOf(this.#buffer);
  }

  get hasText(): boolean {
    return this.#filled > 0;
  }

  take(source: DataView, at: number, length: number): boolean {
    if (this.#filled + length > this.#buffer.length) return false;
    copyBytes(source, at, this.#view, this.#filled, length);
    this.#filled += length;
    return true;
  }

  deliver(endpoint: TextSource): boolean {
    const room = this.#buffer.length - this.#filled;
    if (room > 0) this.#filled += endpoint.read(this.#buffer, this.#filled, room);
    const bytes = this.#filled;
    if (bytes === 0) return true;
    this.#filled = 0;
    this.bytesDelivered += bytes;
    // The callback decides with `false` only, as in Node; what else it returns means nothing.
    const wantsMore = this.#callback.call(this.#self, bytes, this.#buffer) !== false;
    const next = this.#generate?.();
    if (next instanceof Uint8Array) {
      this.#buffer = next;
      this.#view = viewOf(next);
    }
    return wantsMore;
  }

  clear(): void {
    this.#filled = 0;
  }
}
