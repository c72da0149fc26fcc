/** A link over a MessagePort: packets travel in transferred buffers, which come back to be filled again. */
import { copyBytes } from '../base/copy.js';
import { ArgumentTypeError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { LinkError } from './link-error.js';
import { MAX_PACKET_BYTES, type PacketBatch } from './packet-batch.js';
import { type ChannelLinkOptions, PacketLink } from './packet-link.js';

/** What is used of a `MessagePort`: of browsers or of `node:worker_threads`. */
export interface PacketPort {
  /** Sends a message, and gives away the memories listed. */
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  /** Adds a listener. */
  addEventListener(type: 'message' | 'messageerror' | 'close', listener: (event: unknown) => void): void;
  /** Removes a listener. */
  removeEventListener(type: 'message' | 'messageerror' | 'close', listener: (event: unknown) => void): void;
  /** Lets messages arrive. */
  start?(): void;
  /** Ends it. */
  close?(): void;
  /** It keeps the process alive. */
  ref?(): void;
  /** It does not. */
  unref?(): void;
}

/** Buffers of one direction: as many may be on their way, and with none left the stack waits. */
const BUFFERS = 8;
/** Bytes of each, which is as much as a stack sends in a turn over an Ethernet, and more than the largest packet. */
const BUFFER_BYTES = 131_072;
/** A packet stands behind its length in so many bytes. */
const PREFIX_BYTES = 4;
/** Buffers of the other side that wait for room in our queue. It has fewer, unless it is another program. */
const MAX_HELD = 64;

/** What the two sides say to each other. */
type PortMessage =
  | { readonly tunstack: 'packets'; readonly buffer: ArrayBuffer; readonly bytes: number }
  | { readonly tunstack: 'buffer'; readonly buffer: ArrayBuffer }
  | { readonly tunstack: 'end' };

/**
 * A link over a `MessagePort`, whose other end is a link over the other port of its `MessageChannel`: in another
 * thread, worker, frame or window. Packets of one turn travel in one buffer, which is transferred and comes back
 * empty: with eight of them on their way the stack waits, and a receiver that is behind gives none back, so nothing is
 * dropped on either side. The link takes the port over, and closes it when it is closed; then, and when the other thread
 * ends, the link at the other end is down.
 *
 *     const { port1, port2 } = new MessageChannel();
 *     const link = messagePortLink(port1, { clock, mtu: 1500 });
 *     worker.postMessage({ port: port2 }, [port2]);
 *
 * Browsers do not tell that a worker was terminated or a page left. Messages that are none of a link's are dropped
 * as `LinkFraming`.
 * @throws ArgumentTypeError, ArgumentRangeError for what is no port, or options that are wrong
 */
export function messagePortLink(port: PacketPort, options: ChannelLinkOptions): PacketLink {
  if (typeof port?.postMessage !== 'function' || typeof port.addEventListener !== 'function') {
    throw new ArgumentTypeError('port must be a MessagePort');
  }
  return new MessagePortEnd(port, options).link;
}

/** A buffer of the other side's, read up to `at`. */
interface Held {
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  at: number;
}

class MessagePortEnd {
  readonly link: PacketLink;
  readonly #port: PacketPort;
  /** Buffers of ours that are here. */
  readonly #free: ArrayBuffer[] = [];
  #made = 0;
  readonly #held: Held[] = [];
  /** Why nothing comes behind what is held; '' while something may. */
  #end = '';
  readonly #onMessage = (event: unknown): void => this.#arrived((event as { data: unknown }).data);
  readonly #onBad = (): void => this.link.counters.dropIn(DropReason.LinkFraming);
  readonly #onClose = (): void => this.#ended('the port was closed');

  constructor(port: PacketPort, options: ChannelLinkOptions) {
    this.#port = port;
    this.link = new PacketLink({
      ...options,
      sendBatch: (batch, first) => this.#send(batch, first),
      onRoom: () => this.#takeHeld(),
      close: () => this.#close(),
      ref: () => port.ref?.(),
      unref: () => port.unref?.(),
    });
    port.addEventListener('message', this.#onMessage);
    port.addEventListener('messageerror', this.#onBad);
    port.addEventListener('close', this.#onClose);
    port.start?.();
  }

  #send(batch: PacketBatch, first: number): number {
    let next = first;
    while (next < batch.count) {
      const buffer = this.#free.pop() ?? this.#make();
      if (buffer === undefined) return next;
      next = this.#fill(buffer, batch, next);
    }
    return next;
  }

  #make(): ArrayBuffer | undefined {
    if (this.#made === BUFFERS) return undefined;
    this.#made++;
    return new ArrayBuffer(BUFFER_BYTES);
  }

  /** Sends as many packets as the buffer has room for, which is one at least. @returns the first it had none for */
  #fill(buffer: ArrayBuffer, batch: PacketBatch, first: number): number {
    const view = new DataView(buffer);
    let bytes = 0;
    let i = first;
    for (; i < batch.count; i++) {
      const length = batch.length(i);
      if (bytes + PREFIX_BYTES + length > buffer.byteLength) break;
      view.setUint32(bytes, length);
      copyBytes(batch.view, batch.offset(i), view, bytes + PREFIX_BYTES, length);
      bytes += PREFIX_BYTES + length;
    }
    this.#post({ tunstack: 'packets', buffer, bytes }, [buffer]);
    return i;
  }

  #post(message: PortMessage, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #arrived(data: unknown): void {
    const message = readMessage(data);
    if (message === undefined) this.#onBad();
    else if (message.tunstack === 'packets') this.#hold(message.buffer, message.bytes);
    else if (message.tunstack === 'buffer') this.#takeBack(message.buffer);
    else this.#ended('the other side closed the port');
  }

  #hold(buffer: ArrayBuffer, bytes: number): void {
    if (this.#held.length === MAX_HELD) {
      this.link.counters.dropIn(DropReason.LinkQueueFull);
      this.#post({ tunstack: 'buffer', buffer }, [buffer]);
      return;
    }
    this.#held.push({ buffer, bytes, at: 0 });
    if (this.#held.length === 1) this.#takeHeld();
  }

  /** A buffer of ours comes back; what is none of ours is left to the collector. */
  #takeBack(buffer: ArrayBuffer): void {
    if (buffer.byteLength !== BUFFER_BYTES || this.#free.length === this.#made) return;
    this.#free.push(buffer);
    this.link.ready();
  }

  /** Takes packets out of the buffers that wait, and gives back those that are empty. */
  #takeHeld(): void {
    for (let held = this.#held[0]; held !== undefined; held = this.#held[0]) {
      if (!this.#takeFrom(held)) return;
      this.#held.shift();
      this.#post({ tunstack: 'buffer', buffer: held.buffer }, [held.buffer]);
    }
    if (this.#end !== '') this.#fail();
  }

  /** @returns false when the queue of the link is full before the buffer is empty */
  #takeFrom(held: Held): boolean {
    const { link } = this;
    const view = new DataView(held.buffer);
    while (held.at + PREFIX_BYTES <= held.bytes) {
      const at = held.at + PREFIX_BYTES;
      const length = view.getUint32(held.at);
      if (length > MAX_PACKET_BYTES || at + length > held.bytes) {
        this.#onBad();
        return true;
      }
      if (!link.fits(length)) return false;
      link.receive(new Uint8Array(held.buffer, at, length));
      held.at = at + length;
    }
    return true;
  }

  #ended(what: string): void {
    this.#end = what;
    // What came before goes before.
    if (this.#held.length === 0) this.#fail();
  }

  #fail(): void {
    this.link.fail(new LinkError('ENETDOWN', this.link.name, this.#end));
  }

  #close(): void {
    const port = this.#port;
    port.removeEventListener('message', this.#onMessage);
    port.removeEventListener('messageerror', this.#onBad);
    port.removeEventListener('close', this.#onClose);
    this.#held.length = 0;
    this.#free.length = 0;
    // Browsers tell nobody that a port was closed.
    this.#post({ tunstack: 'end' });
    port.close?.();
  }
}

/** What the other side says; undefined for what no link says. */
function readMessage(data: unknown): PortMessage | undefined {
  if (data === null || typeof data !== 'object') return undefined;
  const { tunstack, buffer, bytes } = data as { tunstack?: unknown; buffer?: unknown; bytes?: unknown };
  if (tunstack === 'end') return { tunstack };
  // No link makes larger ones, of which other programs could leave as many here as it has room to hold.
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength > BUFFER_BYTES) return undefined;
  if (tunstack === 'buffer') return { tunstack, buffer };
  const isCount = Number.isInteger(bytes) && (bytes as number) >= 0 && (bytes as number) <= buffer.byteLength;
  return tunstack === 'packets' && isCount ? { tunstack, buffer, bytes: bytes as number } : undefined;
}
