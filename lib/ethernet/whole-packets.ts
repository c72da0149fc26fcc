/** Packets that must wait, in memory of their own: with all checksums, and no larger than the wire takes. */
import { Segmenter } from '../link/gso.js';
import type { PacketBatch } from '../link/packet-batch.js';
import { PacketLayout } from '../link/packet-layout.js';
import { ChecksumState } from '../wire/ip-packet.js';

export class WholePackets {
  readonly #segmenter = new Segmenter();
  readonly #layout = new PacketLayout();

  /** Copies packet `i`; a super-packet as what it is on the wire. None for one that contradicts itself. */
  copy(batch: PacketBatch, i: number): Uint8Array[] {
    batch.takeText(i);
    const at = batch.offset(i);
    const length = batch.length(i);
    if (batch.segmentSize(i) > 0) return this.#segments(batch, i);
    const packet = batch.bytes.slice(at, at + length);
    if (batch.checksum(i) !== ChecksumState.Partial) return [packet];
    const isWhole =
      this.#layout.parse(new DataView(packet.buffer), 0, length) && this.#layout.completeChecksum();
    return isWhole ? [packet] : [];
  }

  #segments(batch: PacketBatch, i: number): Uint8Array[] {
    const segmenter = this.#segmenter;
    if (!segmenter.aim(batch, i)) return [];
    return Array.from({ length: segmenter.count }, (_, segment) => {
      const packet = new Uint8Array(segmenter.lengthOf(segment));
      segmenter.write(segment, packet, new DataView(packet.buffer), 0);
      return packet;
    });
  }
}
