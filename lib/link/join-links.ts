/** Two links joined to one path, without a stack between them: a cable from one to the other. */
import { ArgumentRangeError, ArgumentValueError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import type { QueueLimits } from './batch-queue.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { OffloadLink } from './offload-link.js';
import { PacketBatch, SLOT_ALIGN } from './packet-batch.js';

/** Two links that were joined. */
export interface JoinedLinks {
  /** What went from the first to the second: `in` what came, `out` what was handed on. */
  readonly forth: LinkCounters;
  /** What went from the second to the first. */
  readonly back: LinkCounters;
  /** Called once when one of them has failed; both are closed then. */
  onDown: (error: Error, link: LinkDevice) => void;
  /** Closes both. May be called twice. */
  close(): void;
  /** They keep the host process alive, which is so at first. */
  ref(): void;
  /** They do not. */
  unref(): void;
}

const DEFAULT_QUEUE_PACKETS = 1000;
const DEFAULT_QUEUE_BYTES = 4 << 20;

/**
 * Joins two links: what comes in on one goes out on the other, as by a cable. So the kernel, behind a TUN, reaches
 * over a WebSocket or a stream a stack that has no TUN:
 *
 *     const joined = joinLinks(await TunDevice.create({ address: '10.0.0.1/24' }), webSocketLink(socket, options));
 *
 * Links should have the same MTU: nothing is fragmented, and nobody is told of what is dropped as too large.
 * Super-packets of one are split, and checksums it left open completed, where the other does not take them. While
 * one is full, packets for it wait, within `queuePackets` and `queueBytes` for each direction; beyond that they are
 * dropped as `LinkQueueFull`. Neither may be a link of a stack.
 * @throws ArgumentValueError for one link twice, or one of Ethernet frames; ArgumentRangeError for limits that are no
 *   positive integers
 */
export function joinLinks(a: LinkDevice, b: LinkDevice, limits: QueueLimits = {}): JoinedLinks {
  const settings = checkLimits(limits);
  if (a === b) throw new ArgumentValueError('a link cannot be joined to itself');
  for (const { name, framing, resolves } of [a, b]) {
    // What divides super-packets looks for their headers where frames have others.
    if (framing === 'ethernet' || resolves === true) {
      throw new ArgumentValueError(
        `${name} is a link of Ethernet frames: only those of IP packets are joined`,
      );
    }
  }
  return new Cable(a, b, settings);
}

/** Links that take whatever there is are used as they are. */
const withOffloads = (link: LinkDevice): LinkDevice =>
  link.checksumOffload && link.maxPacketBytes > link.mtu && link.udpSegmentation === true
    ? link
    : new OffloadLink(link);

function checkLimits(limits: QueueLimits): Required<QueueLimits> {
  const { queuePackets = DEFAULT_QUEUE_PACKETS, queueBytes = DEFAULT_QUEUE_BYTES } = limits;
  for (const [name, value] of Object.entries({ queuePackets, queueBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentRangeError(`${name} must be a positive integer, not ${value}`);
    }
  }
  return { queuePackets, queueBytes };
}

class Cable implements JoinedLinks {
  readonly forth: LinkCounters;
  readonly back: LinkCounters;
  onDown: (error: Error, link: LinkDevice) => void = () => {};
  readonly #a: LinkDevice;
  readonly #b: LinkDevice;
  #isClosed = false;

  constructor(first: LinkDevice, second: LinkDevice, limits: Required<QueueLimits>) {
    const a = withOffloads(first);
    const b = withOffloads(second);
    this.#a = a;
    this.#b = b;
    const forth = new Direction(b, limits);
    const back = new Direction(a, limits);
    this.forth = forth.counters;
    this.back = back.counters;
    a.onDown = (error) => this.#down(error, first);
    b.onDown = (error) => this.#down(error, second);
    a.open((batch) => forth.pass(batch));
    b.open((batch) => back.pass(batch));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#a.close();
    this.#b.close();
  }

  ref(): void {
    this.#a.ref?.();
    this.#b.ref?.();
  }

  unref(): void {
    this.#a.unref?.();
    this.#b.unref?.();
  }

  #down(error: Error, link: LinkDevice): void {
    if (this.#isClosed) return;
    this.close();
    this.onDown(error, link);
  }
}

/** What goes to one of the two, and what waits for it. */
class Direction {
  readonly counters = new LinkCounters();
  readonly #to: LinkDevice;
  readonly #limits: Required<QueueLimits>;
  /** Oldest first, with the place of the first packet that is left of the first of them. */
  readonly #waiting: PacketBatch[] = [];
  /** Batches that waited, to be filled again; as many as ever waited at once, which the limits bound. */
  readonly #free: PacketBatch[] = [];
  #next = 0;
  #packets = 0;
  #bytes = 0;

  constructor(to: LinkDevice, limits: Required<QueueLimits>) {
    this.#to = to;
    this.#limits = limits;
    to.onWritable = () => this.#drain();
  }

  pass(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) this.counters.countIn(batch.length(i));
    // Nothing overtakes what waits.
    const sent = this.#waiting.length === 0 ? this.#send(batch, 0) : 0;
    for (let i = sent; i < batch.count; i++) this.#keep(batch, i);
  }

  /** Hands on packets from slot `first` on. @returns the first that the link has no room for */
  #send(batch: PacketBatch, first: number): number {
    const to = this.#to;
    let target = to.borrow();
    let next = first;
    for (; next < batch.count && target !== undefined; next++) {
      const length = batch.length(next);
      if (length > to.maxPacketBytes) {
        this.counters.dropOut(DropReason.LinkTooBig);
        continue;
      }
      if (target.room < length) {
        to.send(target);
        target = to.borrow();
        if (target === undefined) break;
      }
      target.appendCopy(batch, next);
      this.counters.countOut(length);
    }
    if (target !== undefined && target.count > 0) to.send(target);
    return next;
  }

  #keep(batch: PacketBatch, i: number): void {
    const slotBytes = (batch.length(i) + SLOT_ALIGN - 1) & -SLOT_ALIGN;
    const { queuePackets, queueBytes } = this.#limits;
    if (this.#packets === queuePackets || this.#bytes + slotBytes > queueBytes) {
      this.counters.dropOut(DropReason.LinkQueueFull);
      return;
    }
    let last = this.#waiting.at(-1);
    if (last === undefined || last.room < slotBytes) {
      last = this.#free.pop() ?? new PacketBatch();
      this.#waiting.push(last);
    }
    last.appendCopy(batch, i);
    this.#packets++;
    this.#bytes += slotBytes;
  }

  #drain(): void {
    for (let batch = this.#waiting[0]; batch !== undefined; batch = this.#waiting[0]) {
      const from = this.#next;
      const next = this.#send(batch, from);
      for (let i = from; i < next; i++) {
        this.#packets--;
        this.#bytes -= (batch.length(i) + SLOT_ALIGN - 1) & -SLOT_ALIGN;
      }
      this.#next = next;
      if (next < batch.count) return;
      this.#next = 0;
      this.#waiting.shift();
      batch.clear();
      this.#free.push(batch);
    }
  }
}
