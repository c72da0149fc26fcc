/** A link over streams of bytes, in which packets have to be found. */
import { copyBytes } from '../base/copy.js';
import { ArgumentValueError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { LinkError } from './link-error.js';
import type { PacketBatch } from './packet-batch.js';
import { type Framing, isFraming, PacketFramer, prefixBytes, writePrefix } from './packet-framer.js';
import { type ChannelLinkOptions, PacketLink } from './packet-link.js';
import { bytesOf } from './packet-stream-link.js';
import { type LinkStreams, StreamChannel } from './stream-channel.js';

/** What a link over a stream of bytes is made with. */
export interface ByteStreamLinkOptions extends ChannelLinkOptions {
  /**
   * Where a packet ends: `ip`, the default, as the length in its header says; `length16` and `length32`, it stands
   * behind its length in so many bits, the most significant byte first, as QEMU's stream sockets have it (32).
   */
  framing?: Framing;
}

/**
 * A link over a stream of bytes: a TCP or TLS connection, the standard input and output of a program, a serial line
 * without escapes. Packets are found by their lengths, wherever the pieces of the stream end. What is sent in one
 * turn is one piece. Both sides can make the other wait, and nothing is dropped.
 *
 *     const link = byteStreamLink(socket, { clock, mtu: 1500 });
 *
 * Where a length is impossible, no later packet can be found: the link fails with a `LinkError` `EPROTO` that says
 * where, and counts a `LinkFraming`.
 * @throws ArgumentTypeError for what are no streams, ArgumentValueError for a framing that is none; ArgumentTypeError,
 *   ArgumentRangeError for options that are wrong
 */
export function byteStreamLink(streams: LinkStreams, options: ByteStreamLinkOptions): PacketLink {
  const { framing = 'ip', ...rest } = options;
  if (!isFraming(framing))
    throw new ArgumentValueError(`framing must be ip, length16 or length32, not ${String(framing)}`);
  return new ByteStreamEnd(streams, framing, rest).link;
}

class ByteStreamEnd {
  readonly link: PacketLink;
  readonly #channel: StreamChannel;
  readonly #framing: Framing;
  readonly #framer: PacketFramer;
  /** Whether the stream asked to wait. */
  #isFull = false;
  /** Whether a packet was found for which there was no room. */
  #isWaiting = false;

  constructor(streams: LinkStreams, framing: Framing, options: ChannelLinkOptions) {
    this.#framing = framing;
    this.#framer = new PacketFramer(framing);
    this.link = new PacketLink({
      ...options,
      sendBatch: (batch, first) => this.#send(batch, first),
      onRoom: () => this.#onRoom(),
      close: () => this.#channel.close(),
      ref: () => this.#channel.ref(),
      unref: () => this.#channel.unref(),
    });
    this.#channel = new StreamChannel(streams, options.clock, {
      chunk: (chunk) => this.#arrived(chunk),
      ready: () => this.#ready(),
      ended: () => this.#ended(),
      failed: (error) => this.link.fail(error),
    });
    this.#channel.begin();
  }

  #arrived(chunk: unknown): void {
    const bytes = bytesOf(chunk);
    if (bytes === undefined || this.#isWaiting) {
      this.#refuse(bytes === undefined ? 'a chunk that is no bytes' : 'a chunk though it was paused');
      return;
    }
    this.#framer.push(bytes);
    this.#takeAll();
  }

  /** Takes the packets that are complete, as many as there is room for. */
  #takeAll(): void {
    const { link } = this;
    const framer = this.#framer;
    while (framer.next()) {
      if (!link.fits(framer.length)) {
        this.#isWaiting = true;
        this.#channel.pause();
        return;
      }
      this.#take();
    }
    if (framer.problem !== '') this.#refuse(framer.problem);
  }

  #take(): void {
    const { bytes, at, length } = this.#framer;
    this.link.receive(bytes.subarray(at, at + length));
  }

  #onRoom(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#take();
    this.#takeAll();
    if (!this.#isWaiting) this.#channel.resume();
  }

  #refuse(what: string): void {
    this.link.counters.dropIn(DropReason.LinkFraming);
    this.link.fail(new LinkError('EPROTO', this.link.name, `the stream is not one of packets: ${what}`));
  }

  #ended(): void {
    const { link } = this;
    const isWithin = this.#framer.isWithinPacket;
    if (isWithin) link.counters.dropIn(DropReason.LinkFraming);
    const what = isWithin ? 'the stream has ended within a packet' : 'the stream has ended';
    link.fail(new LinkError('ENETDOWN', link.name, what));
  }

  /** Sends all of a batch as one piece, unless the stream asked to wait after the last. */
  #send(batch: PacketBatch, first: number): number {
    if (this.#isFull) return first;
    const prefix = prefixBytes(this.#framing);
    let total = 0;
    for (let i = first; i < batch.count; i++) total += prefix + batch.length(i);
    const piece = new Uint8Array(total);
    const view = new DataView(piece.buffer);
    let at = 0;
    for (let i = first; i < batch.count; i++) {
      const length = batch.length(i);
      writePrefix(this.#framing, view, at, length);
      copyBytes(batch.view, batch.offset(i), view, at + prefix, length);
      at += prefix + length;
    }
    this.#isFull = !this.#channel.write(piece);
    return batch.count;
  }

  #ready(): void {
    this.#isFull = false;
    this.link.ready();
  }
}
