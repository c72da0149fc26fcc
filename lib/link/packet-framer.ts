/** Finds the packets in a stream of bytes. */
import { MAX_PACKET_BYTES } from './packet-batch.js';

/**
 * How packets lie in a stream of bytes: one behind the other, as the lengths in their IP headers say (`ip`), or each
 * behind its length in 2 or 4 bytes, the most significant first.
 */
export type Framing = 'ip' | 'length16' | 'length32';

/** Bytes from which the length of a packet can be told. Every IP packet has as many. */
const HEAD_BYTES: Readonly<Record<Framing, number>> = { ip: 7, length16: 2, length32: 4 };
const PREFIX_BYTES: Readonly<Record<Framing, number>> = { ip: 0, length16: 2, length32: 4 };

/** First room for a packet that is not complete, bytes. */
const FIRST_STASH_BYTES = 2048;
const LONGEST_PREFIX_BYTES = 4;

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

export const isFraming = (value: unknown): value is Framing =>
  typeof value === 'string' && Object.hasOwn(HEAD_BYTES, value);

/** Bytes that stand before each packet. */
export const prefixBytes = (framing: Framing): number => PREFIX_BYTES[framing];

/** Writes what stands before a packet. */
export function writePrefix(framing: Framing, view: DataView, at: number, packetBytes: number): void {
  if (framing === 'length16') view.setUint16(at, packetBytes);
  else if (framing === 'length32') view.setUint32(at, packetBytes);
}

export class PacketFramer {
  /** Where the packet found last lies; valid until the next call. */
  bytes: Uint8Array = NO_BYTES;
  at = 0;
  length = 0;
  /** What cannot be a packet; '' while everything is well. Nothing is found behind it. */
  problem = '';
  readonly #framing: Framing;
  readonly #headBytes: number;
  readonly #prefixBytes: number;
  #chunk: Uint8Array = NO_BYTES;
  #view: DataView = NO_VIEW;
  #chunkAt = 0;
  /** The beginning of a packet whose end has not come. */
  #stash: Uint8Array = NO_BYTES;
  #stashView: DataView = NO_VIEW;
  #stashed = 0;
  /** Bytes of the stream before the chunk; for messages. */
  #passedBytes = 0;

  constructor(framing: Framing) {
    this.#framing = framing;
    this.#headBytes = HEAD_BYTES[framing];
    this.#prefixBytes = PREFIX_BYTES[framing];
  }

  /** Whether a packet has begun and not ended. */
  get isWithinPacket(): boolean {
    return this.#stashed > 0;
  }

  /** Goes on with `chunk`, which must not change until `next` has found nothing more in it. */
  push(chunk: Uint8Array): void {
    this.#passedBytes += this.#chunk.length;
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#chunkAt = 0;
  }

  /** Finds the next packet. @returns false when there is none until the next chunk, or for ever (`problem`) */
  next(): boolean {
    if (this.problem !== '') return false;
    return this.#stashed > 0 ? this.#completeStash() : this.#findWhole();
  }

  #findWhole(): boolean {
    const at = this.#chunkAt;
    const left = this.#chunk.length - at;
    if (left === 0) return false;
    const frameBytes = left < this.#headBytes ? 0 : this.#measure(this.#view, at);
    if (this.problem !== '') return false;
    if (frameBytes === 0 || left < frameBytes) {
      this.#stashUpTo(left);
      return false;
    }
    this.#chunkAt += frameBytes;
    this.#found(this.#chunk, at, frameBytes);
    return true;
  }

  #completeStash(): boolean {
    if (!this.#stashUpTo(this.#headBytes)) return false;
    const frameBytes = this.#measure(this.#stashView, 0);
    if (this.problem !== '' || !this.#stashUpTo(frameBytes)) return false;
    this.#stashed = 0;
    this.#found(this.#stash, 0, frameBytes);
    return true;
  }

  /** Moves bytes of the chunk to the stash until it has `bytes`. @returns whether it has */
  #stashUpTo(bytes: number): boolean {
    const missing = Math.min(bytes - this.#stashed, this.#chunk.length - this.#chunkAt);
    if (missing > 0) {
      const end = this.#stashed + missing;
      if (end > this.#stash.length) this.#growStash(end);
      this.#stash.set(this.#chunk.subarray(this.#chunkAt, this.#chunkAt + missing), this.#stashed);
      this.#stashed = end;
      this.#chunkAt += missing;
    }
    return this.#stashed >= bytes;
  }

  #growStash(bytes: number): void {
    const largest = MAX_PACKET_BYTES + LONGEST_PREFIX_BYTES;
    const stash = new Uint8Array(bytes <= FIRST_STASH_BYTES ? FIRST_STASH_BYTES : largest);
    stash.set(this.#stash.subarray(0, this.#stashed));
    this.#stash = stash;
    this.#stashView = new DataView(stash.buffer);
  }

  #found(bytes: Uint8Array, at: number, frameBytes: number): void {
    this.bytes = bytes;
    this.at = at + this.#prefixBytes;
    this.length = frameBytes - this.#prefixBytes;
  }

  /** Bytes of the packet at `at` with what stands before it; 0 and a `problem` where there can be none. */
  #measure(view: DataView, at: number): number {
    if (this.#framing === 'ip') return this.#measureIp(view, at);
    const bytes = this.#framing === 'length16' ? view.getUint16(at) : view.getUint32(at);
    if (bytes === 0 || bytes > MAX_PACKET_BYTES) return this.#refuse(`a packet of ${bytes} bytes`);
    return bytes + this.#prefixBytes;
  }

  #measureIp(view: DataView, at: number): number {
    const first = view.getUint8(at);
    if (first >> 4 === 4) {
      const bytes = view.getUint16(at + 2);
      const headerBytes = (first & 15) * 4;
      if (headerBytes < 20) return this.#refuse(`an IPv4 header of ${headerBytes} bytes`);
      if (bytes < headerBytes) return this.#refuse(`an IPv4 packet of ${bytes} bytes`);
      return bytes;
    }
    if (first >> 4 !== 6) return this.#refuse(`IP version ${first >> 4}`);
    const bytes = view.getUint16(at + 4);
    // A length of zero in front of hop-by-hop options is that of a jumbogram (RFC 2675 §3).
    if (bytes === 0 && view.getUint8(at + 6) === 0) return this.#refuse('an IPv6 jumbogram');
    if (bytes + 40 > MAX_PACKET_BYTES) return this.#refuse(`an IPv6 packet of ${bytes + 40} bytes`);
    return bytes + 40;
  }

  #refuse(what: string): number {
    const place = this.#passedBytes + this.#chunkAt - this.#stashed;
    this.problem = `${what} at byte ${place} of the stream`;
    return 0;
  }
}
