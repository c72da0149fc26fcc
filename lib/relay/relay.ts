/**
 * Joins two byte streams as a proxy has to: what comes in at one goes out at the other, an end becomes an
 * end, and trouble on one side is no orderly end on the other.
 */
import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import { hiddenError, isTcp } from './host-socket.js';
import { HOST_TIMERS, IdleWatch, type RelayTimers } from './relay-timers.js';

export type { RelayTimers };

/** How two streams are joined. */
export interface RelayOptions {
  /**
   * Both are reset when no byte has passed in either direction for so long, ms; 0 for never. 7,440,000 by
   * default, 2 hours and 4 minutes (RFC 5382 §5).
   */
  readonly idleMs?: number;
  /** The same once one side has finished sending; 240,000 by default, 4 minutes (RFC 5382 §5). */
  readonly halfCloseIdleMs?: number;
  /** Ends the relay: both streams are reset. */
  readonly signal?: AbortSignal;
  /** Where time comes from; Node's by default. */
  readonly timers?: RelayTimers;
}

/**
 * What ended a relay. `both`: both sides finished. `a`, `b`: that one failed, or was destroyed before its end.
 * `idle`: nothing happened for too long. `abort`: the signal.
 */
export type RelayEnd = 'both' | 'a' | 'b' | 'idle' | 'abort';

/** What a relay has done. */
export interface RelayResult {
  /** Bytes that `b` was given from `a`. */
  readonly bytesAB: number;
  /** Bytes that `a` was given from `b`. */
  readonly bytesBA: number;
  /** What ended it. */
  readonly endedBy: RelayEnd;
  /** The error of the stream that failed; absent where it was destroyed without one. */
  readonly error?: Error;
}

/** What a stream may have beside the methods of all streams. */
interface MaybeSocket extends Duplex {
  resetAndDestroy?(): unknown;
  readonly connecting?: boolean;
}

const DEFAULT_IDLE_MS = 7_440_000;
const DEFAULT_HALF_CLOSE_IDLE_MS = 240_000;
/** The longest a timer of Node's takes. */
const MAX_MS = 2 ** 31 - 1;

/**
 * Joins two streams until both have finished in both directions, or one has failed. Each may go on sending when
 * the other has finished (both get `allowHalfOpen`). While one does not take what it is given, the other is not
 * read. A failure, a destroyed stream, a time-out and an abort end both with `resetAndDestroy` where a stream has
 * it, so that a peer never takes half a text for the whole, else with `destroy`. Both streams belong to the relay
 * from now on, and are destroyed when the promise is fulfilled. It is never rejected.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export function relay(a: Duplex, b: Duplex, options: RelayOptions = {}): Promise<RelayResult> {
  checkStream(a, 'a');
  checkStream(b, 'b');
  if (a === b) throw new ArgumentValueError('a relay joins two streams, not one to itself');
  const settings = resolve(options);
  return new Promise((settle) => new Relay([a, b], settings, settle).begin());
}

type Settings = Required<Omit<RelayOptions, 'signal'>> & Pick<RelayOptions, 'signal'>;

function resolve(options: RelayOptions): Settings {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a relay are an object');
  }
  const { idleMs = DEFAULT_IDLE_MS, halfCloseIdleMs = DEFAULT_HALF_CLOSE_IDLE_MS } = options;
  const { signal, timers = HOST_TIMERS } = options;
  checkMs(idleMs, 'idleMs');
  checkMs(halfCloseIdleMs, 'halfCloseIdleMs');
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ArgumentTypeError('the signal of a relay is an AbortSignal');
  }
  return { idleMs, halfCloseIdleMs, timers, ...(signal === undefined ? {} : { signal }) };
}

function checkMs(ms: number, name: string): void {
  if (typeof ms !== 'number') throw new ArgumentTypeError(`${name} is a number of milliseconds`);
  if (!(ms >= 0 && ms <= MAX_MS)) throw new ArgumentRangeError(`${name} is 0 to ${MAX_MS} ms, not ${ms}`);
}

function checkStream(stream: Duplex, name: string): void {
  const isStream =
    typeof stream === 'object' &&
    stream !== null &&
    typeof stream.write === 'function' &&
    typeof stream.pause === 'function';
  if (!isStream) throw new ArgumentTypeError(`the stream ${name} of a relay is a Duplex`);
}

/** One of the two streams, and the direction that begins at it. */
class Side {
  readonly stream: MaybeSocket;
  readonly name: 'a' | 'b';
  other: Side = this;
  /** Bytes the other was given. */
  bytes = 0;
  /** Whether it was paused because the other had enough. */
  isHeld = false;
  /** Whether it is to be ended once it has taken all that it was given. */
  owesEnd = false;
  /** Called when it has taken what it was given. */
  took: () => void = ignore;
  /** Whether it has said all. */
  hasEnded = false;
  /** Whether all it was given has left it. */
  hasFinished = false;

  constructor(stream: Duplex, name: 'a' | 'b') {
    this.stream = stream;
    this.name = name;
  }
}

class Relay {
  readonly #a: Side;
  readonly #b: Side;
  readonly #settings: Settings;
  readonly #settle: (result: RelayResult) => void;
  readonly #idle: IdleWatch;
  readonly #undo: (() => void)[] = [];
  #isOver = false;

  constructor([a, b]: readonly [Duplex, Duplex], settings: Settings, settle: (result: RelayResult) => void) {
    this.#a = new Side(a, 'a');
    this.#b = new Side(b, 'b');
    this.#a.other = this.#b;
    this.#b.other = this.#a;
    this.#settings = settings;
    this.#settle = settle;
    this.#idle = new IdleWatch(settings.timers, () => this.#end('idle'));
  }

  begin(): void {
    const { signal, idleMs } = this.#settings;
    this.#watch(this.#a);
    this.#watch(this.#b);
    this.#idle.start(idleMs);
    if (signal !== undefined) {
      const abort = (): void => this.#end('abort');
      signal.addEventListener('abort', abort, { once: true });
      this.#undo.push(() => signal.removeEventListener('abort', abort));
      if (signal.aborted) this.#end('abort');
    }
    // What was over before it was joined tells nobody any more.
    for (const side of [this.#a, this.#b]) {
      const { stream } = side;
      if (this.#isOver) return;
      if (stream.destroyed) this.#end(side.name, stream.errored ?? undefined);
      else if (stream.readableEnded) this.#ended(side);
    }
    if (this.#isOver) return;
    this.#a.stream.resume();
    this.#b.stream.resume();
  }

  #watch(side: Side): void {
    const { stream } = side;
    stream.allowHalfOpen = true;
    side.took = () => this.#took(side);
    this.#on(side, 'data', (chunk: Uint8Array | string) => this.#pass(side, chunk));
    this.#on(side, 'end', () => this.#ended(side));
    this.#on(side, 'drain', () => this.#drained(side));
    this.#on(side, 'finish', () => this.#finished(side));
    this.#on(side, 'error', (error: Error) => this.#end(side.name, error));
    this.#on(side, 'close', () => this.#closed(side));
  }

  #on(side: Side, event: string, listener: (argument: never) => void): void {
    const { stream } = side;
    stream.on(event, listener as (argument: unknown) => void);
    this.#undo.push(() => stream.removeListener(event, listener as (argument: unknown) => void));
  }

  #pass(side: Side, chunk: Uint8Array | string): void {
    this.#idle.touch();
    // Somebody may have asked for text; what is passed on are the bytes it stands for.
    const encoding = side.stream.readableEncoding ?? 'utf8';
    side.bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    const { stream, took } = side.other;
    if (stream.write(chunk, encoding, took) || this.#isOver) return;
    side.isHeld = true;
    side.stream.pause();
  }

  #drained({ other }: Side): void {
    // What it took late is activity too: a slow reader is no idle one.
    this.#idle.touch();
    if (!other.isHeld) return;
    other.isHeld = false;
    other.stream.resume();
  }

  #ended(side: Side): void {
    if (side.hasEnded) return;
    const code = hiddenError(side.stream);
    if (code !== '') {
      this.#end(side.name, new StackError(code, 'read'));
      return;
    }
    side.hasEnded = true;
    const { other } = side;
    const { stream } = other;
    if (stream.writableFinished) other.hasFinished = true;
    // A socket that was told to end cannot be reset any more: it is not told before it has passed all on.
    else if (stream.writableLength > 0) other.owesEnd = true;
    else stream.end();
    this.#idle.start(this.#settings.halfCloseIdleMs);
    this.#look();
  }

  #took(side: Side): void {
    const { owesEnd, stream } = side;
    if (!owesEnd || stream.writableLength > 0 || this.#isOver) return;
    side.owesEnd = false;
    this.#idle.touch();
    stream.end();
  }

  #finished(side: Side): void {
    side.hasFinished = true;
    this.#look();
  }

  #look(): void {
    const { hasEnded, hasFinished } = this.#a;
    if (hasEnded && hasFinished && this.#b.hasEnded && this.#b.hasFinished) this.#end('both');
  }

  #closed(side: Side): void {
    // A `close` may be the first to tell that both halves are done.
    if (side.stream.readableEnded && side.stream.writableFinished) return;
    this.#end(side.name, side.stream.errored ?? undefined);
  }

  #end(endedBy: RelayEnd, error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#idle.stop();
    for (const undo of this.#undo) undo();
    this.#undo.length = 0;
    for (const { stream } of [this.#a, this.#b]) {
      guard(stream);
      if (endedBy === 'both') stream.destroy();
      else reset(stream);
    }
    const { bytes: bytesAB } = this.#a;
    const { bytes: bytesBA } = this.#b;
    this.#settle({ bytesAB, bytesBA, endedBy, ...(error === undefined ? {} : { error }) });
  }
}

const ignore = (): void => {};

/** What a stream says of its own end concerns nobody any more. */
function guard(stream: Duplex): void {
  if (stream.closed) return;
  stream.on('error', ignore);
  stream.once('close', () => stream.removeListener('error', ignore));
}

/**
 * Whether a stream can be reset now. Of Node's own sockets only those of TCP can; under TLS the missing close_notify
 * says the same (RFC 8446 §6.1). One that waits for its FIN to be sent is forgotten by Node 20 when it is reset, without
 * being closed, and the process then never ends. Closed instead it ends in order, which is true of what was sent: who
 * ends a socket only when it has passed all on makes nobody take a part for the whole.
 */
function canReset(stream: MaybeSocket): boolean {
  if (stream.resetAndDestroy === undefined || stream.connecting === true) return false;
  return !(stream instanceof Socket) || (isTcp(stream) && stream.writableEnded === stream.writableFinished);
}

/** Ends a stream so that its peer does not take what it got for the whole. */
export function reset(stream: MaybeSocket): void {
  if (stream.destroyed) return;
  if (canReset(stream)) stream.resetAndDestroy?.();
  else stream.destroy();
}
