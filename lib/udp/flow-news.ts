/**
 * What the owners of flows are to hear at the end of the turn: datagrams that came in, those that waited for somebody
 * to read them, and errors.
 */
import { DropReason } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { UdpContext } from './context.js';
import type { Datagram } from './datagram.js';
import { UDP_HEADER_BYTES } from './datagram-sender.js';
import { type FlowEntry, FlowState, type HeldDatagram } from './flow-entry.js';
import { FlowInbox } from './flow-inbox.js';

/** Bytes of one turn for all flows; a batch has 1 MiB at most. */
const INBOX_BYTES = 4 << 20;
/** What waits for one flow until somebody reads it. */
const HELD_DATAGRAMS = 32;
const HELD_BYTES = 65_536;
/** What a waiting datagram costs besides its bytes. */
const HELD_OVERHEAD = 128;

export class FlowNews {
  readonly #context: UdpContext;
  readonly #inbox: FlowInbox;
  /** Asks about a flow nobody was asked about yet. */
  readonly #ask: (entry: FlowEntry) => void;
  readonly #ready: FlowEntry[] = [];

  constructor(context: UdpContext, ask: (entry: FlowEntry) => void) {
    this.#context = context;
    this.#ask = ask;
    this.#inbox = new FlowInbox(INBOX_BYTES, context.addresses);
  }

  /** Whether `tell` has something to do. */
  get isWaiting(): boolean {
    return this.#ready.length > 0 || !this.#inbox.isEmpty;
  }

  /** Queues a datagram, or each datagram of a super-packet. */
  add(entry: FlowEntry, packet: IpPacket): void {
    const at = packet.payloadAt + UDP_HEADER_BYTES;
    const bytes = packet.payloadBytes - UDP_HEADER_BYTES;
    const { segmentSize } = packet;
    if (segmentSize <= 0 || bytes <= segmentSize) {
      this.#addPiece(entry, packet, at, bytes);
      return;
    }
    for (let done = 0; done < bytes; done += segmentSize) {
      this.#addPiece(entry, packet, at + done, Math.min(segmentSize, bytes - done));
    }
  }

  #addPiece(entry: FlowEntry, packet: IpPacket, at: number, bytes: number): void {
    const { stats } = this.#context;
    if (this.#inbox.push(entry, packet, at, bytes)) {
      stats.udp.inDatagrams++;
      return;
    }
    stats.udp.rcvbufErrors++;
    stats.udp.inErrors++;
    stats.drop(DropReason.UdpQueueFull);
  }

  /** A flow has an error to tell, or a reader for what waited. */
  ready(entry: FlowEntry): void {
    if (entry.isReady) return;
    entry.isReady = true;
    this.#ready.push(entry);
  }

  /** Hands over what came in since the last call. An owner may throw: what is left is told the next time. */
  tell(): void {
    for (let left = this.#ready.length; left > 0; left--) {
      const entry = this.#ready.shift();
      if (entry !== undefined) this.#tellOne(entry);
    }
    const inbox = this.#inbox;
    for (let entry = inbox.shift(); entry !== undefined; entry = inbox.shift()) {
      if (entry.state === FlowState.New) this.#ask(entry);
      this.#hand(entry, inbox.datagram);
    }
  }

  /** Drops what waits for a flow. */
  forget(entry: FlowEntry): void {
    for (let left = entry.held.length; left > 0; left--) this.drop(entry);
    entry.held.length = 0;
    this.#gaveUp(entry, entry.heldBytes);
  }

  /** Counts a datagram that nobody reads. */
  drop(entry: FlowEntry): void {
    entry.listener.books.dropped++;
    this.#context.stats.drop(DropReason.UdpFlowRefused);
  }

  #tellOne(entry: FlowEntry): void {
    entry.isReady = false;
    this.#handHeld(entry);
    const { error, flow } = entry;
    entry.error = undefined;
    if (error !== undefined && entry.state === FlowState.Open) flow?.onError?.(error);
  }

  /** A datagram to who reads the flow, or into the queue of what waits for somebody to. */
  #hand(entry: FlowEntry, datagram: Datagram): void {
    this.#handHeld(entry);
    const { flow, state } = entry;
    if (state === FlowState.Open && flow?.onDatagram !== undefined) {
      flow.received++;
      flow.onDatagram(datagram.payload, datagram.destination.toString(), datagram.destinationPort);
    } else if (state === FlowState.Pending || state === FlowState.Open) {
      this.#hold(entry, datagram);
    } else {
      this.drop(entry);
    }
  }

  /** What waited goes first. */
  #handHeld(entry: FlowEntry): void {
    const { held, flow } = entry;
    if (held.length === 0) return;
    try {
      while (held.length > 0 && flow?.onDatagram !== undefined) {
        const { data, address, port } = held.shift() as HeldDatagram;
        this.#gaveUp(entry, data.length + HELD_OVERHEAD);
        flow.received++;
        flow.onDatagram(data, address, port);
      }
    } finally {
      if (held.length > 0 && flow?.onDatagram !== undefined) this.ready(entry);
    }
  }

  #hold(entry: FlowEntry, datagram: Datagram): void {
    const bytes = datagram.length + HELD_OVERHEAD;
    const context = this.#context;
    const isFull =
      entry.held.length >= HELD_DATAGRAMS || (entry.heldBytes > 0 && entry.heldBytes + bytes > HELD_BYTES);
    if (isFull || context.memoryBytes + bytes > context.options.memoryBytes) return this.drop(entry);
    const { payload, destination, destinationPort } = datagram;
    entry.held.push({ data: payload.slice(), address: destination.toString(), port: destinationPort });
    entry.heldBytes += bytes;
    context.memoryBytes += bytes;
  }

  #gaveUp(entry: FlowEntry, bytes: number): void {
    entry.heldBytes -= bytes;
    this.#context.memoryBytes -= bytes;
  }
}
