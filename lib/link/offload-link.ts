/**
 * Offloads in software around a link without any: what the stack sends as super-packets is split for the
 * wire, and what arrives in one batch is joined again, as a network card's TSO and GRO do.
 */
import { DropReason } from '../base/stats.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { Coalescer } from './coalescer.js';
import { Segmenter } from './gso.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, PacketBatch } from './packet-batch.js';
import { PacketLayout } from './packet-layout.js';

export class OffloadLink implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes = MAX_PACKET_BYTES;
  readonly checksumOffload = true;
  readonly counters = new LinkCounters();
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #inner: LinkDevice;
  readonly #segmenter = new Segmenter();
  readonly #coalescer = new Coalescer();
  readonly #layout = new PacketLayout();
  /** What the stack fills; until the inner link has taken all of it, nothing is lent. */
  readonly #lent = new PacketBatch();
  /** The packet and its segment that the inner link takes next. */
  #slot = 0;
  #segment = 0;
  #pending = false;
  #wanted = false;
  #joined: PacketBatch | undefined;

  /** @param inner a link that takes plain packets */
  constructor(inner: LinkDevice) {
    this.#inner = inner;
    this.name = inner.name;
    this.mtu = inner.mtu;
    inner.onWritable = () => this.#innerWritable();
    inner.onDown = (error) => this.onDown(error);
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#inner.open((batch) => {
      if (this.#joined === undefined || this.#joined.bytes.length < batch.bytes.length) {
        this.#joined = new PacketBatch(batch.limit, batch.bytes.length);
      }
      const joined = this.#coalescer.coalesce(batch, this.#joined) ? this.#joined : batch;
      for (let i = 0; i < joined.count; i++) this.counters.countIn(joined.length(i));
      onBatch(joined);
    });
  }

  borrow(): PacketBatch | undefined {
    if (!this.#pending && this.#lent.room < MAX_PACKET_BYTES) this.send(this.#lent);
    this.#wanted = this.#pending;
    return this.#pending ? undefined : this.#lent;
  }

  send(batch: PacketBatch): void {
    if (batch !== this.#lent || this.#pending) return;
    for (let i = 0; i < batch.count; i++) this.counters.countOut(batch.length(i));
    this.#pending = true;
    this.#drain();
  }

  close(): void {
    this.#inner.close();
  }

  ref(): void {
    this.#inner.ref?.();
  }

  unref(): void {
    this.#inner.unref?.();
  }

  #innerWritable(): void {
    if (this.#pending) this.#drain();
    if (this.#pending || !this.#wanted) return;
    this.#wanted = false;
    this.onWritable();
  }

  /** Hands on what was sent, as far as the inner link takes it. */
  #drain(): void {
    const batch = this.#lent;
    while (this.#slot < batch.count) {
      const target = this.#inner.borrow();
      if (target === undefined) return;
      const fitting = Math.floor(target.room / ((this.mtu + 7) & -8));
      // A link lends room for one packet at least.
      this.#fill(batch, target, Math.max(1, Math.min(target.limit - target.count, fitting)));
      this.#inner.send(target);
    }
    batch.clear();
    this.#slot = 0;
    this.#pending = false;
  }

  /** Writes up to `room` packets of the wire. */
  #fill(batch: PacketBatch, target: PacketBatch, room: number): void {
    let left = room;
    while (left > 0 && this.#slot < batch.count) {
      if (batch.segmentSize(this.#slot) === 0) this.#complete(batch, target);
      else if (this.#segment === 0 && !this.#segmenter.aim(batch, this.#slot)) this.#refuse();
      else this.#split(target);
      left--;
    }
  }

  #complete(batch: PacketBatch, target: PacketBatch): void {
    const offset = batch.offset(this.#slot);
    const length = batch.length(this.#slot);
    if (length > this.mtu) {
      this.counters.dropOut(DropReason.LinkTooBig);
      this.#slot++;
      return;
    }
    const at = target.tail;
    target.bytes.set(batch.bytes.subarray(offset, offset + length), at);
    const begun = batch.checksum(this.#slot) === ChecksumState.Partial;
    if (begun && !(this.#layout.parse(target.view, at, length) && this.#layout.completeChecksum())) {
      this.#refuse();
      return;
    }
    target.append(length, ChecksumState.Unknown, 0, 0);
    this.#slot++;
  }

  /** Writes the next packet of a super-packet. */
  #split(target: PacketBatch): void {
    if (this.#segmenter.lengthOf(this.#segment) > this.mtu) {
      this.#refuse();
      return;
    }
    const length = this.#segmenter.write(this.#segment, target.bytes, target.view, target.tail);
    target.append(length, ChecksumState.Unknown, 0, 0);
    this.#segment++;
    if (this.#segment < this.#segmenter.count) return;
    this.#segment = 0;
    this.#slot++;
  }

  #refuse(): void {
    this.counters.dropOut(DropReason.LinkMetadata);
    this.#segment = 0;
    this.#slot++;
  }
}
