/**
 * Packets under way: each in a slot of a slab, in a heap by time of arrival. Packets of one time keep
 * the order in which they were added.
 */
import { NEVER } from '../base/clock.js';

/** Slots of one slab. */
const SLAB_PACKETS = 64;

export class PacketStore {
  readonly #slotBytes: number;
  readonly #slabs: Uint8Array[] = [];
  readonly #views: DataView[] = [];
  // By slot.
  #lengths = new Int32Array(0);
  #arrivals = new Float64Array(0);
  #orders = new Float64Array(0);
  // The heap of slots in use, followed by those that are free.
  #heap = new Int32Array(0);
  #size = 0;
  #added = 0;

  /** @param packetBytes the largest packet */
  constructor(packetBytes: number) {
    this.#slotBytes = (packetBytes + 7) & -8;
  }

  get size(): number {
    return this.#size;
  }

  /** When the first packet arrives, µs; `NEVER` when there is none. */
  get earliestUs(): number {
    return this.#size === 0 ? NEVER : this.#arrivals[this.#heap[0]];
  }

  /** The slot of the packet that arrives first; -1 when there is none. */
  get first(): number {
    return this.#size === 0 ? -1 : this.#heap[0];
  }

  bytesOf(slot: number): Uint8Array {
    return this.#slabs[Math.floor(slot / SLAB_PACKETS)];
  }

  viewOf(slot: number): DataView {
    return this.#views[Math.floor(slot / SLAB_PACKETS)];
  }

  /** Where in `bytesOf(slot)` it begins. */
  offsetOf(slot: number): number {
    return (slot % SLAB_PACKETS) * this.#slotBytes;
  }

  lengthOf(slot: number): number {
    return this.#lengths[slot];
  }

  /** Stores a copy of `length` bytes, to arrive at `arrivalUs`. @returns its slot */
  add(bytes: Uint8Array, at: number, length: number, arrivalUs: number): number {
    if (this.#size === this.#heap.length) this.#grow();
    const place = this.#size++;
    const slot = this.#heap[place];
    this.bytesOf(slot).set(bytes.subarray(at, at + length), this.offsetOf(slot));
    this.#lengths[slot] = length;
    this.#arrivals[slot] = arrivalUs;
    this.#orders[slot] = this.#added++;
    this.#siftUp(place, slot);
    return slot;
  }

  /** Frees the slot of the packet that arrives first. */
  removeFirst(): void {
    const slot = this.#heap[0];
    const last = this.#heap[--this.#size];
    this.#heap[this.#size] = slot;
    if (this.#size > 0) this.#siftDown(0, last);
  }

  clear(): void {
    this.#size = 0;
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.#arrivals[a] - this.#arrivals[b];
    return difference < 0 || (difference === 0 && this.#orders[a] < this.#orders[b]);
  }

  #siftUp(start: number, slot: number): void {
    const heap = this.#heap;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isBefore(slot, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = slot;
  }

  #siftDown(start: number, slot: number): void {
    const heap = this.#heap;
    let place = start;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(heap[child + 1], heap[child])) child++;
      if (!this.#isBefore(heap[child], slot)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = slot;
  }

  #grow(): void {
    const before = this.#heap.length;
    const length = before === 0 ? SLAB_PACKETS : before * 2;
    for (let i = before; i < length; i += SLAB_PACKETS) {
      const slab = new Uint8Array(SLAB_PACKETS * this.#slotBytes);
      this.#slabs.push(slab);
      this.#views.push(new DataView(slab.buffer));
    }
    const lengths = new Int32Array(length);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
    const arrivals = new Float64Array(length);
    arrivals.set(this.#arrivals);
    this.#arrivals = arrivals;
    const orders = new Float64Array(length);
    orders.set(this.#orders);
    this.#orders = orders;
    const heap = Int32Array.from({ length }, (_, i) => i);
    heap.set(this.#heap);
    this.#heap = heap;
  }
}
