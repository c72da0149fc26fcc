/** A link over a WebSocket: each binary message is one packet. */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { LinkError } from './link-error.js';
import type { PacketBatch } from './packet-batch.js';
import { type ChannelLinkOptions, PacketLink } from './packet-link.js';
import { bytesOf } from './packet-stream-link.js';

/** What is used of a WebSocket: that of browsers and of Node, or of the package `ws`. */
export interface WebSocketLike {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes given to `send` that have not left yet. */
  readonly bufferedAmount: number;
  /** What binary messages arrive as. `blob` is changed to `arraybuffer`. */
  binaryType: string;
  /** Sends one message. */
  send(data: Uint8Array<ArrayBuffer>): void;
  /** Begins to close. */
  close(code?: number, reason?: string): void;
  /** Lets no more messages come; only `ws` has it. */
  pause?(): void;
  /** Lets them come again. */
  resume?(): void;
  /** Adds a listener. */
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: unknown) => void): void;
}

/** What a link over a WebSocket is made with. */
export interface WebSocketLinkOptions extends ChannelLinkOptions {
  /** Bytes that may wait in the WebSocket, until it has sent half of which the stack waits; 262,144 by default. */
  maxBufferedBytes?: number;
}

const CONNECTING = 0;
const OPEN = 1;
const DEFAULT_MAX_BUFFERED_BYTES = 262_144;
/** How often a WebSocket that is full is asked whether it still is, µs: it has no event for that. */
const POLL_US = 2000;
/**
 * Room that is kept for what comes after a `pause`: of what was read from the network already, 64 KiB at a time,
 * messages are still made.
 */
const MARGIN_BYTES = 131_072;
const MARGIN_PACKETS = 256;
const NORMAL_CLOSURE = 1000;

/**
 * A link over a WebSocket, one binary message for each packet: from a browser, from Node, through whatever passes
 * HTTP. It may still be connecting: the stack's first packets wait. Frames of text are dropped as `LinkFraming`. That of
 * `ws` is paused while the stack is behind; others cannot be made to wait for a receiver, and what comes faster than
 * the stack takes is dropped as `LinkQueueFull`. When the WebSocket closes, the link is down with a `LinkError` that has its code and reason;
 * closing the link closes it with code 1000.
 *
 *     const link = webSocketLink(new WebSocket('wss://example.org/ip'), { clock, mtu: 1400 });
 *
 * A WebSocket has no `ref` and `unref`: until it is closed it keeps a Node process alive.
 * @throws ArgumentTypeError, ArgumentRangeError for what is no WebSocket, or options that are wrong
 */
export function webSocketLink(socket: WebSocketLike, options: WebSocketLinkOptions): PacketLink {
  if (typeof socket?.addEventListener !== 'function' || typeof socket.send !== 'function') {
    throw new ArgumentTypeError('socket must be a WebSocket');
  }
  const { maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES, ...rest } = options;
  if (!Number.isSafeInteger(maxBufferedBytes) || maxBufferedBytes < 1) {
    throw new ArgumentRangeError(`maxBufferedBytes must be a positive integer, not ${maxBufferedBytes}`);
  }
  return new WebSocketEnd(socket, maxBufferedBytes, rest).link;
}

class WebSocketEnd {
  readonly link: PacketLink;
  readonly #socket: WebSocketLike;
  readonly #clock: Clock;
  readonly #maxBufferedBytes: number;
  readonly #poll: Alarm;
  #isPaused = false;

  constructor(socket: WebSocketLike, maxBufferedBytes: number, options: ChannelLinkOptions) {
    this.#socket = socket;
    this.#clock = options.clock;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.link = new PacketLink({
      ...options,
      sendBatch: (batch, first) => this.#send(batch, first),
      onRoom: () => this.#resume(),
      close: () => this.#close(),
      ref: () => this.#poll.ref?.(),
      unref: () => this.#poll.unref?.(),
    });
    this.#poll = options.clock.createAlarm(() => this.#look());
    if (socket.binaryType === 'blob') socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.link.ready());
    socket.addEventListener('message', (event) => this.#arrived((event as { data: unknown }).data));
    // Its cause is told by `close`, which follows; where nobody listened, `ws` would throw it.
    socket.addEventListener('error', (event) => {
      const { error } = event as { error?: unknown };
      if (error instanceof Error) this.link.fail(error);
    });
    socket.addEventListener('close', (event) => {
      const { code, reason } = event as { code?: number; reason?: string };
      this.#closed(code, reason);
    });
    if (socket.readyState > OPEN) this.#closed();
  }

  #send(batch: PacketBatch, first: number): number {
    const socket = this.#socket;
    // While it connects, `open` follows; while it closes, `close`.
    if (socket.readyState !== OPEN) return first;
    for (let i = first; i < batch.count; i++) {
      if (socket.bufferedAmount >= this.#maxBufferedBytes) {
        this.#poll.setAt(this.#clock.nowUs() + POLL_US);
        return i;
      }
      const offset = batch.offset(i);
      // `ws` keeps what it is given until it has left.
      socket.send(batch.bytes.slice(offset, offset + batch.length(i)));
    }
    return batch.count;
  }

  #look(): void {
    if (!this.link.isUp) return;
    if (this.#socket.bufferedAmount * 2 <= this.#maxBufferedBytes) this.link.ready();
    else this.#poll.setAt(this.#clock.nowUs() + POLL_US);
  }

  #arrived(data: unknown): void {
    if (!this.link.isUp) return;
    const packet = bytesOf(data);
    if (packet === undefined) {
      this.link.counters.dropIn(DropReason.LinkFraming);
      return;
    }
    // What was not taken makes no room later, of which `onRoom` would tell.
    if (!this.link.receive(packet) || this.#socket.pause === undefined) return;
    if (this.link.fits(MARGIN_BYTES, MARGIN_PACKETS)) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #closed(code?: number, reason = ''): void {
    const why = [code === undefined ? '' : ` with code ${code}`, reason === '' ? '' : `: ${reason}`];
    this.link.fail(new LinkError('ENETDOWN', this.link.name, `the WebSocket was closed${why.join('')}`));
  }

  #close(): void {
    this.#poll.clear();
    if (this.#socket.readyState === OPEN || this.#socket.readyState === CONNECTING) {
      this.#socket.close(NORMAL_CLOSURE);
    }
    // One that is paused would not hear that the other side closes too.
    this.#resume();
  }

  /** Undoes a pause, and nothing else: that of `ws` throws where it was never open. */
  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume?.();
  }
}
