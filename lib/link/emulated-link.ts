/**
 * A link made worse: rate, delay, jitter, a queue, loss, bursts of loss, reordering, duplication,
 * corruption, congestion marks and MTU, each way, around any other link. The same seed gives the same
 * faults to the same packets.
 */
import type { Clock } from '../base/clock.js';
import { ArgumentRangeError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { DropReason } from '../base/stats.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { EmulatedDirection } from './emulated-direction.js';
import type { DirectionOptions } from './emulation-options.js';
import { Segmenter } from './gso.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, PacketBatch } from './packet-batch.js';
import { PacketLayout } from './packet-layout.js';

/** What a link is made worse with. */
export interface EmulatedLinkOptions {
  /** The clock of the stack it is for. */
  clock: Clock;
  /** Where chance comes from; seed it to repeat a run. */
  random: Random;
  /** What happens to packets the stack sends. */
  outgoing?: DirectionOptions;
  /** What happens to packets it receives. */
  incoming?: DirectionOptions;
  /** MTU shown to the stack, bytes; that of the inner link by default. */
  mtu?: number;
}

/** Packets of a batch. */
const BATCH_PACKETS = 64;

/**
 * Any link made worse: rate, delay, jitter, a queue, loss, bursts of loss, reordering, duplication,
 * corruption, congestion marks and MTU, each way. The same seed gives the same faults to the same packets.
 */
export class EmulatedLink implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes: number;
  /** None: each packet passes as on a wire, one by one and complete. */
  readonly checksumOffload = false;
  /** What happens to packets the stack sends, and what did; `update` changes it on the way. */
  readonly outgoing: EmulatedDirection;
  /** The same for packets it receives. */
  readonly incoming: EmulatedDirection;
  /** Counted next to the stack: before the outgoing and after the incoming direction. */
  readonly counters = new LinkCounters();
  /** Never called: what does not fit the queue is dropped, as on a real link. */
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #inner: LinkDevice;
  readonly #segmenter = new Segmenter();
  readonly #layout = new PacketLayout();
  readonly #scratch = new Uint8Array((MAX_PACKET_BYTES + 8) & -8);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  /** What the stack fills. */
  readonly #lent: PacketBatch;
  /** What the stack is given. */
  readonly #arrived: PacketBatch;
  /** What the inner link has lent. */
  #leaving: PacketBatch | undefined;
  #onBatch: ((batch: PacketBatch) => void) | undefined;
  /** Whether the batch in hand had no room for the next packet. */
  #batchIsFull = false;
  #delivering = false;
  #closed = false;

  /** @throws ArgumentRangeError, ArgumentTypeError, ArgumentValueError for options that cannot be */
  constructor(inner: LinkDevice, options: EmulatedLinkOptions) {
    const { clock, random, mtu = inner.mtu } = options;
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > inner.mtu) {
      throw new ArgumentRangeError(`mtu must be an integer within 68 .. ${inner.mtu}, not ${mtu}`);
    }
    this.#inner = inner;
    this.name = inner.name;
    this.mtu = mtu;
    this.maxPacketBytes = mtu;
    this.#lent = new PacketBatch(BATCH_PACKETS, BATCH_PACKETS * ((mtu + 7) & -8));
    // The other side may not know of a smaller MTU: what it sends still fits.
    this.#arrived = new PacketBatch(BATCH_PACKETS, BATCH_PACKETS * ((inner.mtu + 7) & -8));
    this.outgoing = new EmulatedDirection(
      { clock, random, packetBytes: mtu },
      options.outgoing ?? {},
      (bytes, at, length) => this.#leave(bytes, at, length),
      () => this.#deliverOutgoing(),
    );
    this.incoming = new EmulatedDirection(
      { clock, random, packetBytes: inner.mtu },
      options.incoming ?? {},
      (bytes, at, length) => this.#arrive(bytes, at, length),
      () => this.#deliverIncoming(),
    );
    inner.onWritable = () => this.#deliverOutgoing();
    inner.onDown = (error) => this.onDown(error);
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
    this.#inner.open((batch) => {
      for (let i = 0; i < batch.count; i++) this.#enter(batch, i, this.incoming);
      this.#deliverIncoming();
    });
  }

  borrow(): PacketBatch | undefined {
    return this.#closed ? undefined : this.#lent;
  }

  send(batch: PacketBatch): void {
    if (this.#closed) return;
    for (let i = 0; i < batch.count; i++) {
      this.counters.countOut(batch.length(i));
      this.#enter(batch, i, this.outgoing);
    }
    batch.clear();
    this.#deliverOutgoing();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.outgoing.close();
    this.incoming.close();
    this.#inner.close();
  }

  ref(): void {
    this.outgoing.ref();
    this.incoming.ref();
    this.#inner.ref?.();
  }

  unref(): void {
    this.outgoing.unref();
    this.incoming.unref();
    this.#inner.unref?.();
  }

  /** Lets the packets of slot `i` enter a direction: split, and with their checksums. */
  #enter(batch: PacketBatch, i: number, direction: EmulatedDirection): void {
    const length = batch.length(i);
    if (batch.segmentSize(i) > 0) {
      if (!this.#segmenter.aim(batch, i)) this.#drop(direction, DropReason.LinkMetadata);
      for (let k = 0; k < this.#segmenter.count; k++) {
        this.#enterOne(
          direction,
          this.#scratch,
          0,
          this.#segmenter.write(k, this.#scratch, this.#scratchView, 0),
        );
      }
    } else if (batch.checksum(i) === ChecksumState.Partial) {
      const offset = batch.offset(i);
      this.#scratch.set(batch.bytes.subarray(offset, offset + length));
      if (this.#layout.parse(this.#scratchView, 0, length) && this.#layout.completeChecksum()) {
        this.#enterOne(direction, this.#scratch, 0, length);
      } else {
        this.#drop(direction, DropReason.LinkMetadata);
      }
    } else {
      this.#enterOne(direction, batch.bytes, batch.offset(i), length);
    }
  }

  #enterOne(direction: EmulatedDirection, bytes: Uint8Array, at: number, length: number): void {
    const largest = direction === this.outgoing ? this.mtu : this.#inner.mtu;
    if (length > largest) this.#drop(direction, DropReason.LinkTooBig);
    else direction.enter(bytes, at, length);
  }

  #drop(direction: EmulatedDirection, reason: DropReason): void {
    if (direction === this.outgoing) this.counters.dropOut(reason);
    else this.counters.dropIn(reason);
  }

  /** Hands what is due to the inner link, as far as that takes it. */
  #deliverOutgoing(): void {
    if (this.#closed) return;
    do {
      const batch = this.#inner.borrow();
      if (batch === undefined) return;
      this.#leaving = batch;
      this.#batchIsFull = false;
      this.outgoing.deliverDue();
      const again = this.#batchIsFull;
      if (batch.count > 0) this.#inner.send(batch);
      this.#batchIsFull = again;
    } while (this.#batchIsFull);
  }

  #leave(bytes: Uint8Array, at: number, length: number): boolean {
    return this.#append(this.#leaving, bytes, at, length);
  }

  /** Hands what is due to the stack. */
  #deliverIncoming(): void {
    if (this.#delivering || this.#closed) return;
    const batch = this.#arrived;
    this.#delivering = true;
    try {
      let again = true;
      while (again && !this.#closed) {
        batch.clear();
        this.#batchIsFull = false;
        this.incoming.deliverDue();
        again = this.#batchIsFull;
        for (let i = 0; i < batch.count; i++) this.counters.countIn(batch.length(i));
        if (batch.count > 0) this.#onBatch?.(batch);
      }
    } finally {
      this.#delivering = false;
    }
  }

  #arrive(bytes: Uint8Array, at: number, length: number): boolean {
    return this.#append(this.#arrived, bytes, at, length);
  }

  /** What passed a wire is unverified, whatever it was before. */
  #append(batch: PacketBatch | undefined, bytes: Uint8Array, at: number, length: number): boolean {
    if (batch === undefined || batch.count === batch.limit || batch.room < length) {
      this.#batchIsFull = true;
      return false;
    }
    batch.bytes.set(bytes.subarray(at, at + length), batch.tail);
    batch.append(length, ChecksumState.Unknown, 0, 0);
    return true;
  }
}
