/**
 * Streams of any kind as a channel for links: WHATWG streams, streams of Node and async iterables, each of them
 * pushed from and written to in one way, and made to wait in one way.
 */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentTypeError } from '../base/errors.js';
import { LinkError, toError } from './link-error.js';

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

interface Source {
  begin(): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

interface Target {
  /** @returns whether it takes more at once; `ready` follows where not */
  write(chunk: Uint8Array): boolean;
  close(): void;
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
    this.#target = targetOf(writable, guarded, isShared ? clock : undefined);
  }

  /** Begins to read. */
  begin(): void {
    this.#source.begin();
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

/** What those hear who still write to a stream that nobody reads any more. */
const CLOSED = new LinkError('ENETDOWN', 'link', 'the other end was closed');

const has = (value: unknown, method: string): boolean =>
  typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function';

/** @param isShared whether it is written to as well, and so must not be destroyed before all that is out */
function sourceOf(readable: StreamSource, events: ChannelEvents, isShared: boolean): Source {
  if (has(readable, 'getReader')) {
    const reader = (readable as WebReadable).getReader();
    return new PullSource(
      () => reader.read(),
      () => reader.cancel(CLOSED),
      events,
    );
  }
  if (has(readable, 'on') && has(readable, 'pause')) {
    return new NodeSource(readable as NodeReadable, events, isShared);
  }
  if (readable !== null && typeof readable === 'object' && Symbol.asyncIterator in readable) {
    const iterator = readable[Symbol.asyncIterator]();
    const next = (): Promise<{ done?: boolean; value?: unknown }> => iterator.next();
    return new PullSource(next, () => iterator.return?.(), events);
  }
  throw new ArgumentTypeError('readable must be a ReadableStream, a Readable or an async iterable');
}

/** @param linger the clock, where the stream is read from as well */
function targetOf(writable: StreamTarget, events: ChannelEvents, linger: Clock | undefined): Target {
  if (has(writable, 'getWriter')) return new WebTarget((writable as WebWritable).getWriter(), events);
  if (has(writable, 'write') && has(writable, 'end')) {
    return new NodeTarget(writable as NodeWritable, events, linger);
  }
  throw new ArgumentTypeError('writable must be a WritableStream or a Writable');
}

/** What has to be asked for each chunk. */
class PullSource implements Source {
  readonly #next: () => Promise<{ done?: boolean; value?: unknown }>;
  readonly #cancel: () => Promise<unknown> | undefined;
  readonly #events: ChannelEvents;
  #isPaused = false;
  #isOver = false;
  #resumed: (() => void) | undefined;

  constructor(
    next: () => Promise<{ done?: boolean; value?: unknown }>,
    cancel: () => Promise<unknown> | undefined,
    events: ChannelEvents,
  ) {
    this.#next = next;
    this.#cancel = cancel;
    this.#events = events;
  }

  begin(): void {
    this.#run().catch((error: unknown) => {
      if (!this.#isOver) this.#events.failed(toError(error));
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
    this.#isOver = true;
    this.resume();
    this.#cancel()?.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { done, value } = await this.#next();
      if (this.#isOver) return;
      if (done === true) {
        this.#events.ended();
        return;
      }
      this.#events.chunk(value);
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

  begin(): void {
    // What has ended already will not say so again.
    if (this.#stream.destroyed === true) this.#events.ended();
    else this.#stream.on('data', this.#onData);
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

class WebTarget implements Target {
  readonly #writer: ReturnType<WebWritable['getWriter']>;
  readonly #events: ChannelEvents;

  constructor(writer: ReturnType<WebWritable['getWriter']>, events: ChannelEvents) {
    this.#writer = writer;
    this.#events = events;
    writer.closed.then(
      () => events.ended(),
      (error: unknown) => events.failed(toError(error)),
    );
  }

  write(chunk: Uint8Array): boolean {
    const writer = this.#writer;
    // What fails a write fails `closed` too.
    writer.write(chunk).catch(() => {});
    if ((writer.desiredSize ?? 1) > 0) return true;
    writer.ready.then(
      () => this.#events.ready(),
      () => {},
    );
    return false;
  }

  close(): void {
    this.#writer.close().catch(() => {});
  }
}

/**
 * How long the other side may take to end a duplex of which this side has ended its half, µs: a socket that is
 * destroyed while something comes in is reset, and what was sent last may be lost with that.
 */
const LINGER_US = 1e6;

class NodeTarget implements Target {
  readonly #stream: NodeWritable;
  /** Set where the stream is read from as well. */
  readonly #linger: { readonly alarm: Alarm; readonly clock: Clock } | undefined;

  constructor(stream: NodeWritable, events: ChannelEvents, clock: Clock | undefined) {
    this.#stream = stream;
    if (clock !== undefined) {
      const alarm = clock.createAlarm(() => stream.destroy());
      alarm.unref?.();
      this.#linger = { alarm, clock };
    }
    stream.on('error', (error: unknown) => events.failed(toError(error)));
    stream.on('close', () => {
      this.#linger?.alarm.clear();
      events.ended();
    });
    stream.on('drain', () => events.ready());
  }

  write(chunk: Uint8Array): boolean {
    return this.#stream.write(chunk);
  }

  close(): void {
    const stream = this.#stream;
    if (stream.destroyed === true) return;
    if (this.#linger === undefined) {
      stream.end(() => stream.destroy());
      return;
    }
    // It closes by itself once the other half has ended too.
    stream.end();
    this.#linger.alarm.setAt(this.#linger.clock.nowUs() + LINGER_US);
  }
}
