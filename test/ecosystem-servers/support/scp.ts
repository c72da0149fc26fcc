/**
 * The records of scp over any stream, for either side of it: who sends a file announces it, who takes it
 * answers each step with a byte, 0 where all is well.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What the other side says is wrong. */
export class ScpError extends Error {
  override readonly name = 'ScpError';
}

export interface ScpFile {
  readonly name: string;
  /** Rights, as in `0644`. */
  readonly mode: string;
  readonly bytes: number;
  readonly sha256: string;
}

const DONE = Buffer.from([0]);
const NEWLINE = 10;

/** Reads a stream by bytes and lines. @throws Error from each method when the stream ends before */
class RecordReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #left: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Hands over exactly so many bytes, in pieces. */
  async take(bytes: number, use: (piece: Buffer) => void): Promise<void> {
    for (let missing = bytes; missing > 0; ) {
      await this.#fill();
      const piece = this.#left.subarray(0, missing);
      this.#left = this.#left.subarray(piece.length);
      missing -= piece.length;
      use(piece);
    }
  }

  async line(): Promise<string> {
    let text: Buffer = Buffer.alloc(0);
    while (text.at(-1) !== NEWLINE) await this.take(1, (byte) => (text = Buffer.concat([text, byte])));
    return text.toString();
  }

  /** An answer. @throws ScpError when it is not that all is well */
  async answer(): Promise<void> {
    let status = 0;
    await this.take(1, (byte) => (status = byte[0]));
    if (status !== 0) throw new ScpError((await this.line()).trim());
  }

  async #fill(): Promise<void> {
    if (this.#left.length > 0) return;
    const { done, value } = await this.#chunks.next();
    if (done) throw new Error('the stream ended within a record');
    this.#left = value;
  }
}

/** Sends a file to who takes it: a client to `scp -t`, or a server that was asked for `scp -f`. */
export async function scpSend(stream: Duplex, path: string, bytes: number): Promise<void> {
  const reader = new RecordReader(stream);
  await reader.answer();
  stream.write(`C0644 ${bytes} ${basename(path)}\n`);
  await reader.answer();
  // An answer before the end is a complaint; a connection that breaks ends what is read, not what is written.
  const answered = reader.answer();
  const unwanted = new AbortController();
  answered.catch((error: unknown) => unwanted.abort(error));
  const options = { end: false, signal: unwanted.signal };
  await pipeline(createReadStream(path), stream, options).catch(() => answered);
  stream.write(DONE);
  await answered;
}

/** Takes a file from who sends it: a client from `scp -f`, or a server that was asked for `scp -t`. */
export async function scpTake(
  stream: Duplex,
  progress: (bytesSoFar: number) => void = () => {},
): Promise<ScpFile> {
  const reader = new RecordReader(stream);
  stream.write(DONE);
  const record = await reader.line();
  const [, mode, length, name] = /^C(\d{4}) (\d+) (.*)\n$/.exec(record) ?? [];
  if (name === undefined) throw new ScpError(record.slice(1).trim());
  stream.write(DONE);
  const hash = createHash('sha256');
  let taken = 0;
  await reader.take(Number(length), (piece) => {
    hash.update(piece);
    taken += piece.length;
    progress(taken);
  });
  await reader.answer();
  stream.write(DONE);
  return { name, mode, bytes: taken, sha256: hash.digest('hex') };
}

/** Tells the other side that there is no such file. */
export const scpRefuse = (stream: Duplex, path: string): boolean =>
  stream.write(`\u0001scp: ${path}: No such file or directory\n`);
