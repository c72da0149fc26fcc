/** Where a capture is written: a file, or standard output for a program that reads it as it grows. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { CliError } from '../frame/errors.js';

/** Bytes kept before they are written, unless the turn ends first. */
const CHUNK_BYTES = 1 << 18;

export class CaptureFile {
  /** Bytes so far. */
  bytes = 0;
  readonly #fd: number;
  readonly #isOurs: boolean;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #soon: NodeJS.Immediate | undefined;
  #closed = false;

  /** @param path a file, or `-`. @throws CliError where it cannot be written */
  constructor(path: string) {
    this.#isOurs = path !== '-';
    try {
      this.#fd = this.#isOurs ? openSync(path, 'w') : 1;
    } catch (error) {
      throw new CliError(`the capture cannot be written: ${(error as Error).message}`);
    }
  }

  /** Keeps a piece, and writes it by the end of the turn. */
  write(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.bytes += chunk.length;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= CHUNK_BYTES) this.#flush();
    else this.#soon ??= setImmediate(() => this.#flush());
  }

  /** May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    if (this.#isOurs) closeSync(this.#fd);
  }

  #flush(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    // The process's own standard output waits where a reader is slow; a broken pipe is heard of there.
    if (!this.#isOurs) process.stdout.write(bytes);
    else for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}
