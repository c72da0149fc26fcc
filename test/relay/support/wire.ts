/** Two streams with a wire between them: what is written to one is read from the other. */
import { once } from 'node:events';
import { Duplex, type DuplexOptions } from 'node:stream';

class End extends Duplex {
  other: End = this;
  /** The write that the other side has not taken yet. */
  #taken: (() => void) | undefined;
  resets = 0;

  constructor(options: DuplexOptions = {}) {
    super({ allowHalfOpen: true, ...options });
  }

  override _read(): void {
    const taken = this.other.#taken;
    this.other.#taken = undefined;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#taken = done;
    if (this.other.push(chunk)) this.other._read();
  }

  override _final(done: () => void): void {
    this.other.push(null);
    done();
  }

  /** As a socket's: the other side fails. */
  resetAndDestroy(): this {
    this.resets++;
    const { other } = this;
    this.destroy();
    if (!other.destroyed) other.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    return this;
  }
}

export type WireEnd = End;

export function wire(options?: DuplexOptions): [End, End] {
  const a = new End(options);
  const b = new End(options);
  a.other = b;
  b.other = a;
  return [a, b];
}

/** Listeners of all events of a stream. */
export const listenersOf = (stream: Duplex): number =>
  stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0);

/** What a stream says until its end; unlike an iterator it leaves the stream as it is. */
export async function allOf(stream: Duplex): Promise<Buffer> {
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  await once(stream, 'end');
  return Buffer.concat(pieces);
}
