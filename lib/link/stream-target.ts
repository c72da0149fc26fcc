/** What a link writes to: WHATWG streams and streams of Node, in one way. */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentTypeError } from '../base/errors.js';
import { toError } from './link-error.js';
import type { ChannelEvents, NodeWritable, StreamTarget, WebWritable } from './stream-channel.js';
import { hasMethod } from './stream-source.js';

export interface Target {
  /** Whether nothing can be written to it any more, which it has said to others. */
  readonly isOver: boolean;
  /** @returns whether it takes more at once; `ready` follows where not */
  write(chunk: Uint8Array): boolean;
  /** Ends it behind all that was written, within the time of `LINGER_US`. */
  close(): void;
}

/**
 * How long what was written may take to leave, and the other side to end a duplex of which this side has ended its
 * half, µs: a socket that is destroyed while something comes in is reset, and what was sent last may be lost with that.
 * Whoever reads nothing more would keep the stream open for ever.
 */
const LINGER_US = 1e6;

/** What a target needs beside its stream. */
interface Surroundings {
  readonly clock: Clock;
  /** Whether the stream is read from as well. */
  readonly isShared: boolean;
}

export function targetOf(writable: StreamTarget, events: ChannelEvents, surroundings: Surroundings): Target {
  if (hasMethod(writable, 'getWriter')) {
    return new WebTarget((writable as WebWritable).getWriter(), events, surroundings.clock);
  }
  if (hasMethod(writable, 'write') && hasMethod(writable, 'end')) {
    return new NodeTarget(writable as NodeWritable, events, surroundings);
  }
  throw new ArgumentTypeError('writable must be a WritableStream or a Writable');
}

/** Ends a stream that does not end by itself. */
class Linger {
  readonly #clock: Clock;
  readonly #alarm: Alarm;

  constructor(clock: Clock, end: () => void) {
    this.#clock = clock;
    this.#alarm = clock.createAlarm(end);
    this.#alarm.unref?.();
  }

  begin(): void {
    this.#alarm.setAt(this.#clock.nowUs() + LINGER_US);
  }

  /** The stream has ended. */
  over(): void {
    this.#alarm.clear();
  }
}

class WebTarget implements Target {
  // A writer that is over rejects `closed`.
  readonly isOver = false;
  readonly #writer: ReturnType<WebWritable['getWriter']>;
  readonly #events: ChannelEvents;
  readonly #linger: Linger;

  constructor(writer: ReturnType<WebWritable['getWriter']>, events: ChannelEvents, clock: Clock) {
    this.#writer = writer;
    this.#events = events;
    this.#linger = new Linger(clock, () => {
      writer.abort(new Error('the link was closed')).catch(() => {});
    });
    writer.closed.then(
      () => {
        this.#linger.over();
        events.ended();
      },
      (error: unknown) => {
        this.#linger.over();
        events.failed(toError(error));
      },
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
    // Where it has failed, there is nothing to wait for.
    this.#writer.close().catch(() => this.#linger.over());
    this.#linger.begin();
  }
}

class NodeTarget implements Target {
  readonly #stream: NodeWritable;
  readonly #isShared: boolean;
  readonly #linger: Linger;

  constructor(stream: NodeWritable, events: ChannelEvents, { clock, isShared }: Surroundings) {
    this.#stream = stream;
    this.#isShared = isShared;
    this.#linger = new Linger(clock, () => stream.destroy());
    stream.on('error', (error: unknown) => events.failed(toError(error)));
    stream.on('close', () => {
      this.#linger.over();
      events.ended();
    });
    stream.on('drain', () => events.ready());
  }

  get isOver(): boolean {
    return this.#stream.destroyed === true;
  }

  write(chunk: Uint8Array): boolean {
    return this.#stream.write(chunk);
  }

  close(): void {
    const stream = this.#stream;
    if (stream.destroyed === true) return;
    // One that is read as well closes by itself once its other half has ended too.
    if (this.#isShared) stream.end();
    else stream.end(() => stream.destroy());
    this.#linger.begin();
  }
}
