/** Bulk data that both sides can check: one block of noise, over and over. */
import type { Duplex, Readable } from 'node:stream';
import { SeededRandom } from '../../sim/seeded-random.js';

const BLOCK_BYTES = 1 << 20;
/** Bytes of one write. */
const PIECE_BYTES = 1 << 17;

let noise: Buffer | undefined;

/** The same on both sides, and of no period that a shifted or repeated piece could hide in. */
function block(): Buffer {
  if (noise !== undefined) return noise;
  const random = new SeededRandom(1);
  noise = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 4) noise.writeUInt32LE(random.uint32(), at);
  return noise;
}

export interface PourOptions {
  readonly bytes: number;
  /** It ends early when this has passed, ms. */
  readonly limitMs: number;
  readonly onProgress?: (bytes: number) => void;
}

/** Writes to a socket as fast as it takes, then ends it. @returns the bytes written */
export function pour(socket: Duplex, options: PourOptions): Promise<number> {
  const data = block();
  const endMs = performance.now() + options.limitMs;
  let sent = 0;
  return new Promise((resolve, reject) => {
    const more = (): void => {
      while (sent < options.bytes && performance.now() < endMs) {
        const at = sent % BLOCK_BYTES;
        const piece = Math.min(PIECE_BYTES, options.bytes - sent, BLOCK_BYTES - at);
        sent += piece;
        const hasRoom = socket.write(data.subarray(at, at + piece));
        options.onProgress?.(sent);
        if (!hasRoom) return;
      }
      socket.removeListener('drain', more);
      socket.end();
      resolve(sent);
    };
    socket.on('drain', more).once('error', reject);
    more();
  });
}

export interface Absorbed {
  readonly bytes: number;
  /** Whether every byte was the one it had to be. */
  readonly intact: boolean;
}

/** Reads a socket to its end. */
export function absorb(socket: Readable, onProgress?: (bytes: number) => void): Promise<Absorbed> {
  const data = block();
  let bytes = 0;
  let intact = true;
  return new Promise((resolve, reject) => {
    socket.on('data', (piece: Buffer) => {
      for (let done = 0; done < piece.length; ) {
        const at = bytes % BLOCK_BYTES;
        const length = Math.min(piece.length - done, BLOCK_BYTES - at);
        if (piece.compare(data, at, at + length, done, done + length) !== 0) intact = false;
        done += length;
        bytes += length;
      }
      onProgress?.(bytes);
    });
    socket.once('end', () => resolve({ bytes, intact })).once('error', reject);
    socket.resume();
  });
}
