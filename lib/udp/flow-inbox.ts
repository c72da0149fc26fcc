/** Datagrams of flows that came in since they were last handed over: one queue for all flows, empty between turns. */
import { WorkList } from '../base/work-list.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { IpAddressCache } from './address-cache.js';
import { Datagram } from './datagram.js';
import { DatagramQueue } from './datagram-queue.js';
import type { FlowEntry } from './flow-entry.js';

export class FlowInbox {
  /** The datagram taken last, lent until the next is. */
  readonly datagram = new Datagram();
  readonly #queue: DatagramQueue;
  /** Whose each datagram is, from `#first` on. */
  readonly #entries = new WorkList<FlowEntry>();
  #first = 0;

  constructor(limitBytes: number, addresses: IpAddressCache) {
    this.#queue = new DatagramQueue(limitBytes, addresses);
  }

  get isEmpty(): boolean {
    return this.#queue.count === 0;
  }

  /** Copies `length` bytes at `at` of a packet. @returns false when there is no room */
  push(entry: FlowEntry, packet: IpPacket, at: number, length: number): boolean {
    if (!this.#queue.hasRoom(length)) return false;
    // The header begins with both ports, as the queue keeps them.
    this.#queue.push(packet, at, length, packet.view.getInt32(packet.payloadAt));
    this.#entries.push(entry);
    return true;
  }

  /** Takes the oldest: `datagram` is aimed at it. */
  shift(): FlowEntry | undefined {
    if (!this.#queue.shift(this.datagram)) {
      this.#entries.clear();
      this.#first = 0;
      return undefined;
    }
    return this.#entries.at(this.#first++);
  }
}
