/** What a link reads from: WHATWG streams, streams of Node and async iterables, in one way. */
import { ArgumentTypeError } from '../base/errors.js';
import { LinkError, toError } from './link-error.js';
import type { ChannelEvents, NodeReadable, StreamSource, WebReadable } from './stream-channel.js';

export interface Source {
  /** Whether nothing will ever come from it, which it has said to others. */
  readonly isOver: boolean;
  begin(): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

/** What those hear who still write to a stream that nobody reads any more. */
const CLOSED = new LinkError('ENETDOWN', 'link', 'the other end was closed');

export const hasMethod = (value: unknown, method: string): boolean =>
  typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function';

/** @param isShared whether it is written to as well, and so must not be destroyed before all that is out */
export function sourceOf(readable: StreamSource, events: ChannelEvents, isShared: boolean): Source {
  if (hasMethod(readable, 'getReader')) {
    const reader = (readable as WebReadable).getReader();
    return new PullSource(
      () => reader.read(),
      () => reader.cancel(CLOSED),
      events,
    );
  }
  if (hasMethod(readable, 'on') && hasMethod(readable, 'pause')) {
    return new NodeSource(readable as NodeReadable, events, isShared);
  }
  if (readable !== null && typeof readable === 'object' && Symbol.asyncIterator in readable) {
    const iterator = readable[Symbol.asyncIterator]();
    const next = (): Promise<{ done?: boolean; value?: unknown }> => iterator.next();
    return new PullSource(next, () => iterator.return?.(), events);
  }
  throw new ArgumentTypeError('readable must be a ReadableStream, a Readable or an async iterable');
}

/** What has to be asked for each chunk. */
class PullSource implements Source {
  isOver = false;
  readonly #next: () => Promise<{ done?: boolean; value?: unknown }>;
  readonly #cancel: () => unknown;
  readonly #events: ChannelEvents;
  #isPaused = false;
  #resumed: (() => void) | undefined;

  constructor(
    next: () => Promise<{ done?: boolean; value?: unknown }>,
    cancel: () => unknown,
    events: ChannelEvents,
  ) {
    this.#next = next;
    this.#cancel = cancel;
    this.#events = events;
  }

  begin(): void {
    this.#run().catch((error: unknown) => {
      if (!this.isOver) this.#events.failed(toError(error));
    });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#resumed?.();
    this.#resumed = undefined;
  }

  cancel(): void {
    this.isOver = true;
    this.resume();
    const end = async (): Promise<unknown> => this.#cancel();
    // Whatever it says to that, or throws, comes too late to matter.
    end().catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.isOver) {
      const result = await this.#next();
      if (this.isOver) return;
      // As `for await` does: who answers this at once would be asked for ever.
      if (result === null || typeof result !== 'object') throw new TypeError('an iterator answers an object');
      if (result.done === true) {
        this.#events.ended();
        return;
      }
      this.#events.chunk(result.value);
      if (!this.#isPaused) continue;
      await new Promise<void>((resumed) => {
        this.#resumed = resumed;
      });
    }
  }
}

/** What flows until it is paused. */
class NodeSource implements Source {
  readonly #stream: NodeReadable;
  readonly #events: ChannelEvents;
  readonly #isShared: boolean;
  readonly #onData = (chunk: unknown): void => this.#events.chunk(chunk);

  constructor(stream: NodeReadable, events: ChannelEvents, isShared: boolean) {
    this.#stream = stream;
    this.#isShared = isShared;
    this.#events = events;
    // Errors are listened to for ever: a stream may fail after it was ended, and nobody else would hear it.
    stream.on('error', (error: unknown) => events.failed(toError(error)));
    stream.on('end', () => events.ended());
    stream.on('close', () => events.ended());
  }

  get isOver(): boolean {
    return this.#stream.destroyed === true || this.#stream.readableEnded === true;
  }

  begin(): void {
    this.#stream.on('data', this.#onData);
    // A stream that somebody paused does not flow by itself.
    this.#stream.resume();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  cancel(): void {
    this.#stream.off('data', this.#onData);
    if (!this.#isShared) this.#stream.destroy();
    // What nobody reads any more is thrown away, so that its end can come.
    else this.#stream.resume();
  }
}
