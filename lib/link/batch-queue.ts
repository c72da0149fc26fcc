/**
 * A bounded queue of batches inside this process: the sender fills a lent batch, an alarm at the
 * current time hands it to the receiver. Whole batches change hands; only where a batch is nearly
 * empty are its packets copied to the one before, so that memory stays in proportion to the packets.
 */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentRangeError } from '../base/errors.js';
import { MAX_SLOT_BYTES, PacketBatch, SLOT_ALIGN } from './packet-batch.js';

/** How much a link in memory may keep waiting. */
export interface QueueLimits {
  /** Most packets waiting; 1000 by default, the usual length of a network card's queue. */
  queuePackets?: number;
  /** Most bytes waiting; 4 MiB by default. */
  queueBytes?: number;
}

const DEFAULT_QUEUE_PACKETS = 1000;
const DEFAULT_QUEUE_BYTES = 4 << 20;
/** Packets of one batch. */
const BATCH_PACKETS = 64;
/** Largest packets of one batch, where packets are large. */
const BATCH_LARGEST = 16;

export class BatchQueue {
  /** Packets that wait. */
  packets = 0;
  /** Their bytes, as slots take them up. */
  bytes = 0;
  /** Size of every batch. */
  readonly batchPackets: number;
  readonly batchBytes: number;
  readonly #limitPackets: number;
  readonly #limitBytes: number;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #deliver: (batch: PacketBatch) => void;
  readonly #onRoom: () => void;
  #waiting: PacketBatch[] = [];
  #spareList: PacketBatch[] = [];
  readonly #free: PacketBatch[] = [];
  #lent: PacketBatch | undefined;
  /** Whether someone was turned away and waits for `onRoom`. */
  #wanted = false;
  #held = true;
  #delivering = false;
  #closed = false;

  /**
   * @param maxPacketBytes the largest packet
   * @param deliver takes a batch, which is lent until it returns
   * @param onRoom called after a `borrow` in vain, once there is room
   * @throws ArgumentRangeError for limits that are no positive integers or below one packet
   */
  constructor(
    clock: Clock,
    limits: QueueLimits & { readonly maxPacketBytes: number },
    deliver: (batch: PacketBatch) => void,
    onRoom: () => void = () => {},
  ) {
    const { maxPacketBytes, queuePackets = DEFAULT_QUEUE_PACKETS, queueBytes = DEFAULT_QUEUE_BYTES } = limits;
    const largest = (maxPacketBytes + SLOT_ALIGN - 1) & -SLOT_ALIGN;
    if (!Number.isSafeInteger(queuePackets) || queuePackets < 1) {
      throw new ArgumentRangeError(`queuePackets must be a positive integer, not ${queuePackets}`);
    }
    if (!Number.isSafeInteger(queueBytes) || queueBytes < largest) {
      throw new ArgumentRangeError(`queueBytes must be an integer of at least ${largest}, not ${queueBytes}`);
    }
    this.#clock = clock;
    this.#limitPackets = queuePackets;
    this.#limitBytes = queueBytes;
    this.batchPackets = Math.min(BATCH_PACKETS, queuePackets);
    const usual = Math.max(BATCH_PACKETS * Math.min(largest, 2048), BATCH_LARGEST * largest);
    this.batchBytes = Math.max(largest, Math.min(usual, BATCH_LARGEST * MAX_SLOT_BYTES, queueBytes));
    this.#deliver = deliver;
    this.#onRoom = onRoom;
    this.#alarm = clock.createAlarm(() => this.#deliverAll());
  }

  /** Whether a whole batch more would be within the limits, so that they hold exactly. */
  get #hasRoom(): boolean {
    return (
      this.packets + this.batchPackets <= this.#limitPackets &&
      this.bytes + this.batchBytes <= this.#limitBytes
    );
  }

  /** A batch to fill, the same until it is sent; undefined while full, and `onRoom` follows. */
  borrow(): PacketBatch | undefined {
    if (this.#closed) return undefined;
    if (this.#lent !== undefined) return this.#lent;
    if (!this.#hasRoom) {
      this.#wanted = true;
      return undefined;
    }
    this.#lent = this.#take();
    return this.#lent;
  }

  /** Queues what is in the borrowed batch. */
  send(batch: PacketBatch): void {
    if (this.#closed || batch !== this.#lent) return;
    if (batch.count === 0) {
      batch.clear();
      return;
    }
    this.packets += batch.count;
    this.bytes += batch.tail;
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.count + batch.count <= last.limit && last.room >= batch.tail) {
      for (let i = 0; i < batch.count; i++) last.appendCopy(batch, i);
      batch.clear();
    } else {
      this.#waiting.push(batch);
      this.#lent = undefined;
    }
    this.#schedule();
  }

  /** Whether `append` would take so many packets of so many bytes together; where not, `onRoom` follows. */
  fits(bytes: number, packets: number): boolean {
    const slotBytes = (bytes + SLOT_ALIGN * packets - 1) & -SLOT_ALIGN;
    const fits = this.packets + packets <= this.#limitPackets && this.bytes + slotBytes <= this.#limitBytes;
    if (!fits && !this.#closed) this.#wanted = true;
    return fits && !this.#closed;
  }

  /** Queues a copy of one packet. @returns false, and nothing queued, when there is no room for it */
  append(packet: Uint8Array): boolean {
    const slotBytes = (packet.length + SLOT_ALIGN - 1) & -SLOT_ALIGN;
    if (this.#closed || this.packets >= this.#limitPackets || this.bytes + slotBytes > this.#limitBytes) {
      return false;
    }
    let last = this.#waiting.at(-1);
    if (last === undefined || last.count === last.limit || last.room < slotBytes) {
      last = this.#take();
      this.#waiting.push(last);
    }
    last.appendPacket(packet);
    this.packets++;
    this.bytes += slotBytes;
    this.#schedule();
    return true;
  }

  /** From now on batches are delivered; what was sent before waits until then. */
  start(): void {
    this.#held = false;
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Drops everything, for good. @returns how many packets waited */
  close(): number {
    const dropped = this.packets;
    this.#closed = true;
    this.#alarm.clear();
    this.#waiting.length = 0;
    this.#free.length = 0;
    this.#lent = undefined;
    this.packets = 0;
    this.bytes = 0;
    return dropped;
  }

  ref(): void {
    this.#alarm.ref?.();
  }

  unref(): void {
    this.#alarm.unref?.();
  }

  #take(): PacketBatch {
    return this.#free.pop() ?? new PacketBatch(this.batchPackets, this.batchBytes);
  }

  #schedule(): void {
    if (!this.#held && !this.#delivering) this.#alarm.setAt(this.#clock.nowUs());
  }

  #deliverAll(): void {
    if (this.#delivering || this.#closed) return;
    const list = this.#waiting;
    this.#waiting = this.#spareList;
    this.#delivering = true;
    let next = 0;
    let hasThrown = true;
    try {
      while (next < list.length && !this.#closed) {
        const batch = list[next++];
        this.packets -= batch.count;
        this.bytes -= batch.tail;
        this.#deliver(batch);
        batch.clear();
        this.#free.push(batch);
      }
      hasThrown = false;
    } finally {
      // Only an exception of the receiver's leaves batches over: they keep their turn, and whoever waits for room too.
      this.#delivering = false;
      if (next < list.length && !this.#closed) this.#waiting = list.slice(next).concat(this.#waiting);
      list.length = 0;
      this.#spareList = list;
      if (this.#waiting.length > 0 || (hasThrown && this.#wanted)) this.#schedule();
    }
    if (this.#wanted && this.#hasRoom && !this.#closed) {
      this.#wanted = false;
      this.#onRoom();
    }
  }
}
