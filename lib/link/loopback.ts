/** The loopback link, `lo`: what one stack sends to itself. */
import type { Clock } from '../base/clock.js';
import { DropReason } from '../base/stats.js';
import { BatchQueue, type QueueLimits } from './batch-queue.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, type PacketBatch } from './packet-batch.js';
import { moveSlot, truncate } from './slots.js';

/** What a loopback is made with. */
export interface LoopbackOptions extends QueueLimits {
  /** When packets come back in. */
  clock: Clock;
  /** `lo` by default. */
  name?: string;
}

/**
 * Packets come back in from an alarm at the current time, so that a stack never nests in itself.
 * Checksums stay unfinished and super-packets whole: nothing leaves this memory.
 */
export class LoopbackDevice implements LinkDevice {
  readonly name: string;
  readonly mtu = MAX_PACKET_BYTES;
  readonly maxPacketBytes = MAX_PACKET_BYTES;
  readonly checksumOffload = true;
  readonly udpSegmentation = true;
  /** What passed, and what did not. */
  readonly counters = new LinkCounters();
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #queue: BatchQueue;
  #onBatch: ((batch: PacketBatch) => void) | undefined;

  /** @throws ArgumentRangeError for limits out of range */
  constructor(options: LoopbackOptions) {
    this.name = options.name ?? 'lo';
    this.#queue = new BatchQueue(
      options.clock,
      { ...options, maxPacketBytes: MAX_PACKET_BYTES },
      (batch) => this.#receive(batch),
      () => this.onWritable(),
    );
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
    this.#queue.start();
  }

  borrow(): PacketBatch | undefined {
    return this.#queue.borrow();
  }

  send(batch: PacketBatch): void {
    let kept = 0;
    for (let i = 0; i < batch.count; i++) {
      const length = batch.length(i);
      if (length > MAX_PACKET_BYTES) {
        this.counters.dropOut(DropReason.LinkTooBig);
        continue;
      }
      this.counters.countOut(length);
      if (kept !== i) moveSlot(batch, i, kept);
      kept++;
    }
    truncate(batch, kept);
    this.#queue.send(batch);
  }

  close(): void {
    this.#queue.close();
    this.#onBatch = undefined;
  }

  ref(): void {
    this.#queue.ref();
  }

  unref(): void {
    this.#queue.unref();
  }

  #receive(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) this.counters.countIn(batch.length(i));
    this.#onBatch?.(batch);
  }
}
