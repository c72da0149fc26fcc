/**
 * What leaves an Ethernet link: packets of the stack, each with its header, and the link's own messages. Both wait here,
 * within limits, while the device below is full.
 */
import { copyBytes } from '../base/copy.js';
import type { LinkDevice } from '../link/link-device.js';
import { PacketBatch } from '../link/packet-batch.js';
import type { EthernetCounters } from './counters.js';
import { EtherType, FrameHeader } from './frame.js';
import type { MacAddress } from './mac-address.js';

/** Messages of the link's own, and packets that waited for an address, that wait for the device; more are dropped. */
const MAX_OWN = 512;
/** Packets of a batch the stack fills. */
const BATCH_PACKETS = 64;

/** Where a packet goes: `header` has its destination set. */
export const Route = { Send: 0, Skip: 1 } as const;
export type Route = (typeof Route)[keyof typeof Route];

/** Finds out where packet `i` goes, and sets the destination of `header`; or takes care of it otherwise. */
export type Router = (batch: PacketBatch, i: number, header: FrameHeader) => Route;

export class FrameOutput {
  readonly #frames: LinkDevice;
  readonly #counters: EthernetCounters;
  readonly #route: Router;
  readonly #tick: () => void;
  readonly #header = new FrameHeader();
  /** What the stack fills; until all of it is gone, nothing is lent. */
  readonly #lent: PacketBatch;
  readonly #mtu: number;
  readonly #maxPacketBytes: number;
  #slot = 0;
  #isPending = false;
  #isWanted = false;
  #isDraining = false;
  #own: Uint8Array[] = [];
  onWritable: () => void = () => {};

  constructor(
    frames: LinkDevice,
    parts: {
      counters: EthernetCounters;
      mac: MacAddress;
      vlan: number;
      mtu: number;
      maxPacketBytes: number;
      tick: () => void;
      route: Router;
    },
  ) {
    this.#frames = frames;
    this.#counters = parts.counters;
    this.#route = parts.route;
    this.#tick = parts.tick;
    this.#mtu = parts.mtu;
    this.#maxPacketBytes = parts.maxPacketBytes;
    this.#header.sourceHigh = parts.mac.high;
    this.#header.sourceLow = parts.mac.low;
    this.#header.vlan = parts.vlan;
    const isPlain = parts.maxPacketBytes === parts.mtu;
    this.#lent = isPlain
      ? new PacketBatch(BATCH_PACKETS, BATCH_PACKETS * ((parts.mtu + 7) & -8))
      : new PacketBatch();
  }

  /** A batch for the stack to fill; undefined while the device is full. */
  borrow(): PacketBatch | undefined {
    if (!this.#isPending && this.#lent.room < this.#maxPacketBytes) this.send(this.#lent);
    this.#isWanted = this.#isPending;
    return this.#isPending ? undefined : this.#lent;
  }

  /** Sends what the stack filled, as far as the device takes it; the rest follows. */
  send(batch: PacketBatch): void {
    if (batch !== this.#lent || this.#isPending) return;
    this.#isPending = true;
    this.#drain();
  }

  /** Sends one frame of the link's own; `payload` is copied. */
  sendOwn(destination: MacAddress, etherType: number, payload: Uint8Array): void {
    if (this.#own.length >= MAX_OWN) {
      this.#counters.outQueueFull++;
      return;
    }
    const header = this.#header;
    const frame = new Uint8Array(header.bytes + payload.length);
    header.destinationHigh = destination.high;
    header.destinationLow = destination.low;
    header.write(new DataView(frame.buffer), 0, etherType);
    frame.set(payload, header.bytes);
    this.#own.push(frame);
    if (!this.#isDraining) this.#sendWaiting();
  }

  /** The device takes frames again. */
  writable(): void {
    if (this.#isDraining) return;
    this.#sendWaiting();
    if (this.#isPending) this.#drain();
    if (this.#isPending || !this.#isWanted) return;
    this.#isWanted = false;
    this.onWritable();
  }

  /** Drops what waits. */
  close(): void {
    this.#own.length = 0;
    this.#lent.clear();
    this.#isPending = false;
    this.#isWanted = false;
  }

  #drain(): void {
    const batch = this.#lent;
    this.#isDraining = true;
    this.#tick();
    let target: PacketBatch | undefined;
    try {
      for (; this.#slot < batch.count; this.#slot++) {
        target = this.#roomFor(target, batch.length(this.#slot));
        if (target === undefined) return;
        this.#put(batch, target);
      }
      batch.clear();
      this.#slot = 0;
      this.#isPending = false;
    } finally {
      if (target !== undefined && target.count > 0) this.#frames.send(target);
      this.#isDraining = false;
    }
    if (this.#own.length > 0) this.#sendWaiting();
  }

  /** A batch of the device's with room for a packet; undefined while it has none. */
  #roomFor(target: PacketBatch | undefined, length: number): PacketBatch | undefined {
    const bytes = this.#header.bytes + length;
    if (target !== undefined) {
      if (target.room >= bytes) return target;
      this.#frames.send(target);
    }
    return this.#frames.borrow();
  }

  #put(batch: PacketBatch, target: PacketBatch): void {
    const offset = batch.offset(this.#slot);
    const length = batch.length(this.#slot);
    if (length > (batch.segmentSize(this.#slot) === 0 ? this.#mtu : this.#maxPacketBytes)) {
      this.#counters.outTooBig++;
      return;
    }
    const header = this.#header;
    if (this.#route(batch, this.#slot, header) === Route.Skip) return;
    const at = target.tail;
    const isV4 = batch.bytes[offset] >> 4 === 4;
    header.write(target.view, at, isV4 ? EtherType.Ipv4 : EtherType.Ipv6);
    copyBytes(batch.view, offset, target.view, at + header.bytes, length);
    const slot = this.#slot;
    target.append(
      header.bytes + length,
      batch.checksum(slot),
      batch.segmentSize(slot),
      batch.headerBytes(slot),
    );
    this.#counters.outFrames++;
  }

  /** Sends the link's own frames, oldest first, as far as the device takes them. */
  #sendWaiting(): void {
    this.#isDraining = true;
    let sent = 0;
    let target: PacketBatch | undefined;
    for (; sent < this.#own.length; sent++) {
      const frame = this.#own[sent];
      if (target !== undefined && target.room < frame.length) {
        this.#frames.send(target);
        target = undefined;
      }
      target ??= this.#frames.borrow();
      if (target === undefined) break;
      target.appendPacket(frame);
      this.#counters.outFrames++;
    }
    if (target !== undefined && target.count > 0) this.#frames.send(target);
    this.#own = sent === this.#own.length ? [] : this.#own.slice(sent);
    this.#isDraining = false;
  }
}
