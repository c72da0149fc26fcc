/** Packets on their way from one thread to one other. What is known of a packet beside its bytes goes with it. */
import { copyBytes } from '../base/copy.js';
import { RECORD_BYTES, recordSpace, type SharedRing } from '../base/shared-ring.js';
import type { PacketBatch } from '../link/packet-batch.js';
import type { ChecksumState, IpPacket } from '../wire/ip-packet.js';

/** Words before each packet. */
const LENGTH = 0;
const CHECKSUM = 4;
const SEGMENT_SIZE = 8;
const MARK = 12;
/** A ring takes any packet while it is half empty. */
export const MIN_RING_BYTES = 1 << 18;

export class PacketRing {
  readonly #ring: SharedRing;

  /** @param ring holds `MIN_RING_BYTES` at least */
  constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  get isEmpty(): boolean {
    return this.#ring.written === this.#ring.read;
  }

  /** The side that fills it: puts a copy of a packet in. @returns false when there is no room */
  put(packet: IpPacket, checksum: ChecksumState): boolean {
    const ring = this.#ring;
    const { view } = ring;
    const { length } = packet;
    const space = recordSpace(length);
    const { written } = ring;
    if (!ring.fits(space, written, ring.read)) return false;
    const begin = ring.place(space, written);
    const at = ring.offset(begin);
    view.setInt32(at + LENGTH, length);
    view.setInt32(at + CHECKSUM, checksum);
    view.setInt32(at + SEGMENT_SIZE, packet.segmentSize);
    view.setInt32(at + MARK, packet.mark);
    copyBytes(packet.view, packet.at, view, at + RECORD_BYTES, length);
    ring.written = (begin + space) | 0;
    return true;
  }

  /** The side that empties it: moves packets to a batch as far as that has room. @returns how many */
  moveTo(batch: PacketBatch): number {
    const ring = this.#ring;
    const { view, written } = ring;
    let { read } = ring;
    let moved = 0;
    while (read !== written) {
      const begin = ring.find(read);
      const at = ring.offset(begin);
      const length = view.getInt32(at + LENGTH);
      if (batch.room < length) break;
      copyBytes(view, at + RECORD_BYTES, batch.view, batch.tail, length);
      const checksum = view.getInt32(at + CHECKSUM) as ChecksumState;
      const slot = batch.append(length, checksum, view.getInt32(at + SEGMENT_SIZE), 0);
      batch.setMark(slot, view.getInt32(at + MARK));
      read = (begin + recordSpace(length)) | 0;
      moved++;
    }
    ring.read = read;
    return moved;
  }

  /** The side that empties it: forgets what is in it. */
  clear(): void {
    this.#ring.read = this.#ring.written;
  }
}
