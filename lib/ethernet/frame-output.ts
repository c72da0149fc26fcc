/**
 * What leaves an Ethernet link: packets of the stack, whose headers are written before them where they lie, and the
 * link's own messages, which wait here, within limits, while the device below is full.
 */
import type { LinkDevice } from '../link/link-device.js';
import type { PacketBatch } from '../link/packet-batch.js';
import { moveSlot, prepend, truncate } from '../link/slots.js';
import type { EthernetCounters } from './counters.js';
import { EtherType, FrameHeader } from './frame.js';
import type { MacAddress } from './mac-address.js';

/** Messages of the link's own, and packets that waited for an address, that wait for the device; more are dropped. */
const MAX_OWN = 512;

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
  readonly #mtu: number;
  readonly #maxPacketBytes: number;
  /** What the stack fills: a batch of the device's, with room for a header before each packet. */
  #lent: PacketBatch | undefined;
  /** Frames of the link's own that wait, oldest first. */
  #own: Uint8Array[] = [];
  /** Whether frames are on their way to the device: what comes meanwhile waits. */
  #isBusy = false;
  /** Whether the stack was turned away and waits for `onWritable`. */
  #isWanted = false;
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
  }

  /** A batch for the stack to fill; undefined while the device is full. */
  borrow(): PacketBatch | undefined {
    const lent = this.#lent;
    if (lent !== undefined && lent.count > 0) {
      if (lent.room >= this.#maxPacketBytes) return lent;
      this.send(lent);
    }
    const batch = this.#frames.borrow();
    if (batch !== undefined) batch.headroom = this.#header.bytes;
    this.#lent = batch;
    this.#isWanted = batch === undefined;
    return batch;
  }

  /** Sends what the stack filled. */
  send(batch: PacketBatch): void {
    if (batch !== this.#lent) return;
    this.#lent = undefined;
    this.#isBusy = true;
    try {
      this.#frame(batch);
      this.#appendOwn(batch);
      if (batch.count > 0) this.#frames.send(batch);
    } finally {
      this.#isBusy = false;
    }
    if (this.#own.length > 0) this.#sendWaiting();
  }

  /** Sends one frame of the link's own; `payload` is copied. */
  sendOwn(destination: MacAddress, etherType: number, payload: Uint8Array): void {
    const header = this.#header;
    if (payload.length > this.#mtu) {
      this.#counters.outTooBig++;
      return;
    }
    if (this.#own.length >= MAX_OWN) {
      this.#counters.outQueueFull++;
      return;
    }
    const frame = new Uint8Array(header.bytes + payload.length);
    header.destinationHigh = destination.high;
    header.destinationLow = destination.low;
    header.write(new DataView(frame.buffer), 0, etherType);
    frame.set(payload, header.bytes);
    this.#own.push(frame);
    if (!this.#isBusy) this.#sendWaiting();
  }

  /** The device takes frames again. */
  writable(): void {
    if (this.#isBusy) return;
    this.#sendWaiting();
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.onWritable();
  }

  /** Drops what waits. */
  close(): void {
    this.#own.length = 0;
    this.#lent = undefined;
    this.#isWanted = false;
  }

  /** Writes a header before each packet; those that cannot leave now are taken out. */
  #frame(batch: PacketBatch): void {
    this.#tick();
    const { count } = batch;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (!this.#writeHeader(batch, i)) continue;
      if (kept !== i) moveSlot(batch, i, kept);
      kept++;
    }
    batch.headroom = 0;
    if (kept === 0) return batch.clear();
    if (batch.nextHops.length > 0) batch.nextHops.fill(undefined, 0, count);
    truncate(batch, kept);
    this.#counters.outFrames += kept;
  }

  /** @returns whether the packet leaves now */
  #writeHeader(batch: PacketBatch, i: number): boolean {
    const offset = batch.offset(i);
    if (batch.length(i) > (batch.segmentSize(i) === 0 ? this.#mtu : this.#maxPacketBytes)) {
      this.#counters.outTooBig++;
      return false;
    }
    const header = this.#header;
    if (this.#route(batch, i, header) === Route.Skip) return false;
    const isV4 = batch.bytes[offset] >> 4 === 4;
    header.write(batch.view, offset - header.bytes, isV4 ? EtherType.Ipv4 : EtherType.Ipv6);
    prepend(batch, i, header.bytes);
    return true;
  }

  /** Sends the link's own frames, oldest first, as far as the device takes them. */
  #sendWaiting(): void {
    // Behind what the stack has filled, which it is about to send.
    if (this.#lent !== undefined && this.#lent.count > 0) return;
    this.#lent = undefined;
    this.#isBusy = true;
    while (this.#own.length > 0) {
      const batch = this.#frames.borrow();
      if (batch === undefined) break;
      batch.headroom = 0;
      this.#appendOwn(batch);
      this.#frames.send(batch);
    }
    this.#isBusy = false;
  }

  #appendOwn(batch: PacketBatch): void {
    const own = this.#own;
    let sent = 0;
    while (sent < own.length && own[sent].length <= batch.room) batch.appendPacket(own[sent++]);
    if (sent === 0) return;
    this.#counters.outFrames += sent;
    this.#own = own.slice(sent);
  }
}
