/** Content whose place in a stream shows in every word of it. */
import { createHash } from 'node:crypto';

export function pattern(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) content.writeUInt32LE(Math.imul(at, 0x9e37_79b1) >>> 0, at);
  return content;
}

export const sha1 = (content: Uint8Array): string => createHash('sha1').update(content).digest('hex');

export const inverted = (content: Buffer): Buffer => Buffer.from(content.map((byte) => byte ^ 0xff));

/** Reads a stream to its end. Unlike `for await` it leaves it open for writing. */
export async function digestOf(stream: NodeJS.ReadableStream): Promise<string> {
  const hash = createHash('sha1');
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  await new Promise((resolve, reject) => stream.once('end', resolve).once('error', reject));
  return hash.digest('hex');
}
