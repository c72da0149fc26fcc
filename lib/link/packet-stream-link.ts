/** A link over streams whose chunks are packets. */
import { DropReason } from '../base/stats.js';
import { LinkError } from './link-error.js';
import { MAX_PACKET_BYTES } from './packet-batch.js';
import { type ChannelLinkOptions, PacketLink } from './packet-link.js';
import { type LinkStreams, StreamChannel } from './stream-channel.js';

/**
 * A link over streams each of whose chunks is one IP packet: WHATWG streams, streams of Node in object mode, or an
 * async iterable to read from. Where the stream asks to wait, the stack waits; where the stack is behind, the stream
 * is not read, so that nothing is dropped on either side. The link is down (`onDown`) when a stream fails or ends,
 * and closing it ends both streams.
 *
 *     const link = packetStreamLink({ readable, writable }, { clock, mtu: 1420 });
 *
 * A chunk that is no `Uint8Array`, ArrayBuffer or view of one is dropped as `LinkFraming`.
 * @throws ArgumentTypeError for what are no streams; ArgumentTypeError, ArgumentRangeError for options that are wrong
 */
export function packetStreamLink(streams: LinkStreams, options: ChannelLinkOptions): PacketLink {
  let waiting: Uint8Array | undefined;
  const link = new PacketLink({
    ...options,
    send: (packet) => channel.write(packet),
    onRoom() {
      const packet = waiting;
      waiting = undefined;
      if (packet !== undefined) link.receive(packet);
      channel.resume();
    },
    close: () => channel.close(),
    ref: () => channel.ref(),
    unref: () => channel.unref(),
  });
  const channel = new StreamChannel(streams, options.clock, {
    chunk(chunk) {
      const packet = bytesOf(chunk);
      if (packet === undefined) {
        link.counters.dropIn(DropReason.LinkFraming);
      } else if (waiting !== undefined) {
        // A stream that was paused, and goes on all the same.
        link.counters.dropIn(DropReason.LinkQueueFull);
      } else if (packet.length > MAX_PACKET_BYTES || link.fits(packet.length)) {
        // Room for what is too large would never come: it is dropped and counted.
        link.receive(packet);
      } else {
        waiting = packet;
        channel.pause();
      }
    },
    ready: () => link.ready(),
    ended: () => link.fail(new LinkError('ENETDOWN', link.name, 'the stream has ended')),
    failed: (error) => link.fail(error),
  });
  channel.begin();
  return link;
}

/** The bytes of a chunk, whatever holds them; undefined for what is none. */
export function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  return chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : undefined;
}
