/**
 * The door for links of one's own: a WireGuard tunnel, a WebSocket, a virtual machine; whatever takes
 * and yields IP packets one at a time.
 *
 *     const link = new PacketLink({ clock, mtu: 1420, send: (packet) => tunnel.encrypt(packet) });
 *     tunnel.on('packet', (packet) => link.receive(packet));
 */
import type { Alarm, Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, invariant } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { BatchQueue, type QueueLimits } from './batch-queue.js';
import { Coalescer } from './coalescer.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, PacketBatch } from './packet-batch.js';
import { moveSlot, truncate } from './slots.js';

/** What every link has that is made over a channel of the application's. */
export interface ChannelLinkOptions extends QueueLimits {
  /** The clock of the stack it is for. */
  clock: Clock;
  /** `link` by default. */
  name?: string;
  /** Largest packet to send, bytes, 68 .. 65535. */
  mtu: number;
  /** Joins received TCP packets of one flow before the stack sees them; true by default. */
  coalesce?: boolean;
}

/** What the link tells its channel. */
export interface ChannelHooks {
  /** Called once: when the stack closes the link, or when it has failed. */
  close?(): void;
  /** Called after `fits` said no, when there is room for packets that came in. */
  onRoom?(): void;
  /** The link is to keep the host process alive, as it does at first. */
  ref?(): void;
  /** The link is not to keep it alive. */
  unref?(): void;
}

/** What a link of one's own is made with, where packets go out one by one. */
export interface PacketLinkOptions extends ChannelLinkOptions, ChannelHooks {
  /**
   * Takes one IP packet, a copy that is its to keep. Returning false takes the packet all the same, but
   * no more come until `ready()` is called, as with `write` of a stream. Throwing fails the link.
   */
  send(packet: Uint8Array): void | boolean;
}

/** What a link of one's own is made with, where packets go out many at a time. */
export interface BatchLinkOptions extends ChannelLinkOptions, ChannelHooks {
  /**
   * Takes packets of `batch`, which is lent until this returns, from slot `first` on. Returns the first slot it did
   * not take, `batch.count` when it took all: what is left is given again after `ready()`. Throwing fails the link.
   */
  sendBatch(batch: PacketBatch, first: number): number;
}

const KEYS: ReadonlySet<string> = new Set(
  'clock name mtu coalesce queuePackets queueBytes send sendBatch close onRoom ref unref'.split(' '),
);

function checkKeys(options: object): void {
  if (options === null || typeof options !== 'object')
    throw new ArgumentTypeError('options must be an object');
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new ArgumentValueError(`unknown link option "${key}"`);
  }
}

/** Packets of a batch to send. */
const SEND_PACKETS = 64;

/**
 * A link of one's own, for whatever takes and yields IP packets one at a time: a WireGuard tunnel, a
 * WebSocket, a virtual machine.
 */
export class PacketLink implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload = false;
  /** What passed, and what did not. */
  readonly counters = new LinkCounters();
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #options: ChannelHooks;
  readonly #send: ((packet: Uint8Array) => void | boolean) | undefined;
  readonly #sendBatch: ((batch: PacketBatch, first: number) => number) | undefined;
  readonly #clock: Clock;
  readonly #received: BatchQueue;
  readonly #coalescer = new Coalescer();
  readonly #joined: PacketBatch | undefined;
  readonly #outgoing: PacketBatch;
  /** First packet of `#outgoing` that has not gone yet. */
  #nextOut = 0;
  /** Whether `send` has asked to wait for `ready()`. */
  #full = false;
  #sending = false;
  /** Whether `ready()` was called while a packet was being handed out. */
  #readied = false;
  /** Whether the stack was turned away and waits for `onWritable`. */
  #wanted = false;
  #closed = false;
  #failure: Error | undefined;
  /** For what must not be said from within a call of the stack's or of the user's. */
  readonly #alarm: Alarm;
  #onBatch: ((batch: PacketBatch) => void) | undefined;

  /** @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError for options that are wrong or unknown */
  constructor(options: PacketLinkOptions | BatchLinkOptions) {
    checkKeys(options);
    const { mtu, clock, coalesce = true } = options;
    const isBatch = 'sendBatch' in options;
    if (isBatch ? typeof options.sendBatch !== 'function' : typeof options.send !== 'function') {
      throw new ArgumentTypeError(`${isBatch ? 'sendBatch' : 'send'} must be a function`);
    }
    if (typeof clock?.createAlarm !== 'function') throw new ArgumentTypeError('clock must be a Clock');
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > MAX_PACKET_BYTES) {
      throw new ArgumentRangeError(`mtu must be an integer within 68 .. 65535, not ${mtu}`);
    }
    this.#options = options;
    if ('sendBatch' in options) this.#sendBatch = (batch, first) => options.sendBatch(batch, first);
    else this.#send = (packet) => options.send(packet);
    this.#clock = clock;
    this.name = options.name ?? 'link';
    this.mtu = mtu;
    this.maxPacketBytes = mtu;
    this.#outgoing = new PacketBatch(SEND_PACKETS, SEND_PACKETS * ((mtu + 7) & -8));
    this.#received = new BatchQueue(
      clock,
      { ...options, maxPacketBytes: MAX_PACKET_BYTES },
      (batch) => this.#deliver(batch),
      () => this.#options.onRoom?.(),
    );
    this.#joined = coalesce
      ? new PacketBatch(this.#received.batchPackets, this.#received.batchBytes)
      : undefined;
    this.#alarm = clock.createAlarm(() => this.#report());
  }

  /**
   * Takes a packet that came in; it is copied. The stack hears of it, and of the others of this turn
   * together, from an alarm at the current time.
   * @returns false when it was dropped: queue full, too large, link closed
   * @throws ArgumentTypeError when it is no Uint8Array
   */
  receive(packet: Uint8Array): boolean {
    if (!(packet instanceof Uint8Array)) throw new ArgumentTypeError('a packet must be a Uint8Array');
    if (this.#closed || this.#failure !== undefined) return false;
    if (packet.length > MAX_PACKET_BYTES) {
      this.counters.dropIn(DropReason.LinkTooBig);
      return false;
    }
    if (!this.#received.append(packet)) {
      this.counters.dropIn(DropReason.LinkQueueFull);
      return false;
    }
    this.counters.countIn(packet.length);
    return true;
  }

  /**
   * Whether a packet of so many bytes, or several of so many together, would find room in the queue of those received,
   * for channels that can be made to wait. Where it says no, `onRoom` of the options is called once there is room.
   */
  fits(bytes: number, packets = 1): boolean {
    if (this.#closed || this.#failure !== undefined) return false;
    return this.#received.fits(bytes, packets);
  }

  /** Whether it carries packets: neither closed nor failed. */
  get isUp(): boolean {
    return !this.#closed && this.#failure === undefined;
  }

  /** Says that `send` takes packets again. */
  ready(): void {
    this.#readied = true;
    if (!this.#full) return;
    this.#full = false;
    if (!this.#sending) this.#drain();
  }

  /** Ends the link: the stack hears `error` soon, behind what came in before, and nothing passes any more. */
  fail(error: Error): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    for (let i = this.#nextOut; i < this.#outgoing.count; i++) this.counters.dropOut(DropReason.LinkError);
    this.#outgoing.clear();
    this.#nextOut = 0;
    this.#alarm.setAt(this.#clock.nowUs());
    this.#options.close?.();
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
    this.#received.start();
    // Of a failure before nobody was told.
    if (this.#failure !== undefined) this.#alarm.setAt(this.#clock.nowUs());
  }

  borrow(): PacketBatch | undefined {
    if (this.#closed || this.#failure !== undefined) return undefined;
    if (this.#full || this.#sending) {
      this.#wanted = true;
      return undefined;
    }
    return this.#outgoing;
  }

  send(batch: PacketBatch): void {
    if (batch !== this.#outgoing || this.#sending) return;
    if (this.#sendBatch !== undefined) this.#refuseTooBig(batch);
    this.#drain();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#received.close();
    this.#alarm.clear();
    this.#onBatch = undefined;
    if (this.#failure === undefined) this.#options.close?.();
  }

  ref(): void {
    this.#received.ref();
    this.#alarm.ref?.();
    this.#options.ref?.();
  }

  unref(): void {
    this.#received.unref();
    this.#alarm.unref?.();
    this.#options.unref?.();
  }

  #deliver(batch: PacketBatch): void {
    const joined = this.#joined;
    if (joined !== undefined && this.#coalescer.coalesce(batch, joined)) this.#onBatch?.(joined);
    else this.#onBatch?.(batch);
  }

  /** Hands out what waits, for as long as `send` wants more. */
  #drain(): void {
    const batch = this.#outgoing;
    this.#sending = true;
    try {
      while (!this.#full && !this.#closed && this.#nextOut < batch.count) {
        if (this.#sendBatch === undefined) this.#sendNext(batch, this.#nextOut++);
        else this.#sendMany(batch, this.#sendBatch);
      }
    } finally {
      this.#sending = false;
    }
    if (this.#full || this.#closed) return;
    batch.clear();
    this.#nextOut = 0;
    if (this.#wanted) this.#alarm.setAt(this.#clock.nowUs());
  }

  #report(): void {
    // Before it is opened nobody hears what came in, nor why no more will.
    if (this.#closed || this.#onBatch === undefined) return;
    if (this.#failure !== undefined) {
      this.#received.close();
      this.onDown(this.#failure);
    } else if (this.#wanted && !this.#full) {
      this.#wanted = false;
      this.onWritable();
    }
  }

  #sendNext(batch: PacketBatch, i: number): void {
    const offset = batch.offset(i);
    const length = batch.length(i);
    if (length > this.mtu) {
      this.counters.dropOut(DropReason.LinkTooBig);
      return;
    }
    this.counters.countOut(length);
    this.#readied = false;
    try {
      const more = this.#send?.(batch.bytes.slice(offset, offset + length));
      if (more === false && !this.#readied) this.#full = true;
    } catch (error) {
      this.counters.dropOut(DropReason.LinkError);
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #sendMany(batch: PacketBatch, sendBatch: (batch: PacketBatch, first: number) => number): void {
    const first = this.#nextOut;
    this.#readied = false;
    try {
      const next = sendBatch(batch, first);
      invariant(next >= first && next <= batch.count, 'sendBatch returns a slot of the batch, or its end');
      // The channel may have failed or closed the link meanwhile, which empties the batch.
      if (!this.isUp) return;
      for (let i = first; i < next; i++) this.counters.countOut(batch.length(i));
      this.#nextOut = next;
      if (next < batch.count && !this.#readied) this.#full = true;
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Takes out of the batch what is larger than the channel was said to carry. */
  #refuseTooBig(batch: PacketBatch): void {
    let kept = 0;
    for (let i = 0; i < batch.count; i++) {
      if (batch.length(i) > this.mtu) {
        this.counters.dropOut(DropReason.LinkTooBig);
        continue;
      }
      if (kept !== i) moveSlot(batch, i, kept);
      kept++;
    }
    truncate(batch, kept);
  }
}
