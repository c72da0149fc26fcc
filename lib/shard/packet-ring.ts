/**
 * Packets on their way from one thread to one other: a ring in shared memory that one side fills and the other
 * empties, each moving only its own end of it. What is known of a packet beside its bytes goes with it.
 */
import { copyBytes } from '../base/copy.js';
import type { PacketBatch } from '../link/packet-batch.js';
import type { ChecksumState, IpPacket } from '../wire/ip-packet.js';

/** Words before the packets: how far was written, and how far read, in bytes, modulo 2^32; a cache line each. */
const WRITTEN = 0;
const READ = 16;
const CONTROL_BYTES = 128;

/** Words before each packet. */
const RECORD_BYTES = 16;
const LENGTH = 0;
const CHECKSUM = 4;
const SEGMENT_SIZE = 8;
const MARK = 12;
/** Stands for the length where the rest of the ring is skipped. */
const SKIP = -1;
/** Records begin at multiples of it. */
const ALIGN = 16;
/** A ring takes any packet while it is half empty. */
export const MIN_RING_BYTES = 1 << 18;

export class PacketRing {
  readonly #control: Int32Array;
  readonly #view: DataView;
  readonly #bytes: number;
  readonly #mask: number;

  /** Bytes of memory a ring takes up that holds `ringBytes`. */
  static memoryBytes(ringBytes: number): number {
    return CONTROL_BYTES + ringBytes;
  }

  /** @param ringBytes a power of two, `MIN_RING_BYTES` at least */
  constructor(memory: SharedArrayBuffer, at: number, ringBytes: number) {
    this.#control = new Int32Array(memory, at, CONTROL_BYTES / 4);
    this.#view = new DataView(memory, at + CONTROL_BYTES, ringBytes);
    this.#bytes = ringBytes;
    this.#mask = ringBytes - 1;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#control, WRITTEN) === Atomics.load(this.#control, READ);
  }

  /** The side that fills it: puts a copy of a packet in. @returns false when there is no room */
  put(packet: IpPacket, checksum: ChecksumState): boolean {
    const { length } = packet;
    const need = (RECORD_BYTES + length + ALIGN - 1) & -ALIGN;
    const written = Atomics.load(this.#control, WRITTEN);
    const free = this.#bytes - ((written - Atomics.load(this.#control, READ)) | 0);
    let at = written & this.#mask;
    const rest = this.#bytes - at;
    const skipped = rest < need ? rest : 0;
    if (free < skipped + need) return false;
    const view = this.#view;
    if (skipped > 0) {
      view.setInt32(at + LENGTH, SKIP);
      at = 0;
    }
    view.setInt32(at + LENGTH, length);
    view.setInt32(at + CHECKSUM, checksum);
    view.setInt32(at + SEGMENT_SIZE, packet.segmentSize);
    view.setInt32(at + MARK, packet.mark);
    copyBytes(packet.view, packet.at, view, at + RECORD_BYTES, length);
    Atomics.store(this.#control, WRITTEN, (written + skipped + need) | 0);
    return true;
  }

  /** The side that empties it: moves packets to a batch as far as that has room. @returns how many */
  moveTo(batch: PacketBatch): number {
    const written = Atomics.load(this.#control, WRITTEN);
    let read = Atomics.load(this.#control, READ);
    const view = this.#view;
    let moved = 0;
    while (read !== written) {
      const at = read & this.#mask;
      const length = view.getInt32(at + LENGTH);
      if (length === SKIP) {
        read = (read + this.#bytes - at) | 0;
        continue;
      }
      if (batch.room < length) break;
      copyBytes(view, at + RECORD_BYTES, batch.view, batch.tail, length);
      const checksum = view.getInt32(at + CHECKSUM) as ChecksumState;
      const slot = batch.append(length, checksum, view.getInt32(at + SEGMENT_SIZE), 0);
      batch.setMark(slot, view.getInt32(at + MARK));
      read = (read + ((RECORD_BYTES + length + ALIGN - 1) & -ALIGN)) | 0;
      moved++;
    }
    Atomics.store(this.#control, READ, read);
    return moved;
  }

  /** The side that empties it: forgets what is in it. */
  clear(): void {
    Atomics.store(this.#control, READ, Atomics.load(this.#control, WRITTEN));
  }
}
