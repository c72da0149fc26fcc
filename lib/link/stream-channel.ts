/**
 * Streams of any kind as a channel for links: WHATWG streams, streams of Node and async iterables, each of them
 * pushed from and written to in one way, and made to wait in one way.
 */
import type { Clock } from '../base/clock.js';
import { ArgumentTypeError } from '../base/errors.js';
import { type Source, sourceOf } from './stream-source.js';
import { type Target, targetOf } from './stream-target.js';

/** What is used of a WHATWG `ReadableStream`. */
export interface WebReadable {
  /** Locks it to one reader. */
  getReader(): {
    read(): Promise<{ done: boolean; value?: unknown }>;
    cancel(reason?: unknown): Promise<unknown>;
  };
}

/** What is used of a WHATWG `WritableStream`. */
export interface WebWritable {
  /** Locks it to one writer. */
  getWriter(): {
    readonly desiredSize: number | null;
    readonly ready: Promise<unknown>;
    readonly closed: Promise<unknown>;
    write(chunk: Uint8Array): Promise<unknown>;
    close(): Promise<unknown>;
    abort(reason?: unknown): Promise<unknown>;
  };
}

/** What is used of a stream of Node, whichever its direction. */
export interface NodeStream {
  /** Whether it was ended at once. */
  readonly destroyed?: boolean;
  /** Adds a listener. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Removes a listener. */
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Ends it at once. */
  destroy(error?: Error): unknown;
  /** It keeps the process alive; sockets and pipes have it. */
  ref?(): unknown;
  /** It does not. */
  unref?(): unknown;
}

/** What is used of Node's `Readable`. */
export interface NodeReadable extends NodeStream {
  /** Whether all of it was read. */
  readonly readableEnded?: boolean;
  /** Stops the flow. */
  pause(): unknown;
  /** Starts the flow. */
  resume(): unknown;
}

/** What is used of Node's `Writable`. */
export interface NodeWritable extends NodeStream {
  /** Takes a chunk; false asks to wait for `drain`. */
  write(chunk: Uint8Array): boolean;
  /** Nothing follows what was written. */
  end(done?: () => void): unknown;
}

/** Where packets or bytes can be read from: a `ReadableStream`, a `Readable` of Node or an async iterable. */
export type StreamSource = WebReadable | NodeReadable | AsyncIterable<unknown>;
/** Where they can be written to: a `WritableStream`, or a `Writable` of Node. */
export type StreamTarget = WebWritable | NodeWritable;

/** Both directions of a channel, of one kind or of two. */
export interface StreamPair {
  /** Where what comes in is read from. */
  readonly readable: StreamSource;
  /** Where what goes out is written to. */
  readonly writable: StreamTarget;
}

/** Both directions as they are given: a pair, or one duplex stream of Node. */
export type LinkStreams = StreamPair | (NodeReadable & NodeWritable);

export interface ChannelEvents {
  /** A chunk came. After `pause` no more come until `resume`. */
  chunk(chunk: unknown): void;
  /** What was full takes chunks again. */
  ready(): void;
  /** The other side ended it. */
  ended(): void;
  /** It broke. */
  failed(error: Error): void;
}

/** A stream that may keep the process alive. */
interface Referable {
  ref?(): unknown;
  unref?(): unknown;
}

export class StreamChannel {
  readonly #source: Source;
  readonly #target: Target;
  readonly #end: () => void;
  readonly #streams: ReadonlySet<Referable>;
  #isOver = false;
  #isPaused = false;
  /** Whether the other side ended it behind a chunk that still waits for `resume`. */
  #hasEnded = false;

  /** @throws ArgumentTypeError for what are no streams */
  constructor(streams: LinkStreams, clock: Clock, events: ChannelEvents) {
    const over = (tell: () => void): void => {
      if (this.#isOver) return;
      this.close();
      tell();
    };
    const guarded: ChannelEvents = {
      chunk: (chunk) => {
        if (!this.#isOver) events.chunk(chunk);
      },
      ready: () => {
        if (!this.#isOver) events.ready();
      },
      ended: () => {
        this.#hasEnded = true;
        if (!this.#isPaused) this.#end();
      },
      failed: (error) => over(() => events.failed(error)),
    };
    const { readable, writable } = pairOf(streams);
    this.#streams = new Set<Referable>([readable as Referable, writable as Referable]);
    this.#end = () => over(() => events.ended());
    const isShared = (readable as object) === writable;
    this.#source = sourceOf(readable, guarded, isShared);
    this.#target = targetOf(writable, guarded, { clock, isShared });
  }

  /** Begins to read. */
  begin(): void {
    // What is over already will not say so again.
    if (this.#source.isOver || this.#target.isOver) this.#end();
    else this.#source.begin();
  }

  pause(): void {
    this.#isPaused = true;
    this.#source.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#hasEnded) this.#end();
    else if (!this.#isOver) this.#source.resume();
  }

  /** Streams that can keep the process alive do. */
  ref(): void {
    for (const stream of this.#streams) stream.ref?.();
  }

  /** They do not. */
  unref(): void {
    for (const stream of this.#streams) stream.unref?.();
  }

  /** @returns whether it takes more at once; `ready` follows where not */
  write(chunk: Uint8Array): boolean {
    return this.#isOver || this.#target.write(chunk);
  }

  /** Reads no more, and ends what is written behind all that was. No event follows. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#source.cancel();
    this.#target.close();
  }
}

function pairOf(streams: LinkStreams): StreamPair {
  if (streams === null || typeof streams !== 'object') {
    throw new ArgumentTypeError('streams must be a pair { readable, writable }, or a duplex stream');
  }
  // A duplex of Node's has properties `readable` and `writable` too, which are booleans.
  const isPair = 'readable' in streams && typeof streams.readable === 'object';
  return isPair ? streams : ({ readable: streams, writable: streams } as StreamPair);
}
