/** Content to be carried, and what is compared of it. */
import { createCipheriv, createHash } from 'node:crypto';

/** Bytes in which no part looks like another; the same for the same seed. */
export function content(bytes: number, seed = 1): Buffer {
  const key = Buffer.alloc(16, seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
