/**
 * Many deadlines, one alarm: a binary heap of (deadline, id) in typed arrays. Setting, moving and
 * clearing cost O(log n), reading the earliest costs nothing, and idle entries are not visited.
 */
import { NEVER } from './clock.js';

export class DeadlineHeap {
  /** Deadline of each heap place, µs. */
  #deadlines = new Float64Array(64);
  /** Id in each heap place. */
  #ids = new Int32Array(64);
  /** Heap place of each id, or -1. */
  #places = new Int32Array(64).fill(-1);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The earliest deadline, µs; `NEVER` when there is none. */
  get earliestUs(): number {
    return this.#size === 0 ? NEVER : this.#deadlines[0];
  }

  /** The id whose deadline is earliest, or -1. */
  get earliestId(): number {
    return this.#size === 0 ? -1 : this.#ids[0];
  }

  deadlineOf(id: number): number {
    const place = id < this.#places.length ? this.#places[id] : -1;
    return place < 0 ? NEVER : this.#deadlines[place];
  }

  /** Sets or moves the deadline of `id`, a small non-negative integer; `NEVER` clears it. */
  set(id: number, deadlineUs: number): void {
    if (deadlineUs === NEVER) {
      this.clear(id);
      return;
    }
    if (id >= this.#places.length) this.#growPlaces(id + 1);
    let place = this.#places[id];
    if (place < 0) {
      if (this.#size === this.#ids.length) this.#growHeap();
      place = this.#size++;
    } else if (this.#deadlines[place] === deadlineUs) {
      return;
    }
    const rises = place < this.#size - 1 ? deadlineUs < this.#deadlines[place] : true;
    if (rises) this.#siftUp(place, id, deadlineUs);
    else this.#siftDown(place, id, deadlineUs);
  }

  clear(id: number): void {
    const place = id < this.#places.length ? this.#places[id] : -1;
    if (place < 0) return;
    this.#places[id] = -1;
    const last = --this.#size;
    if (place === last) return;
    const movedId = this.#ids[last];
    const movedDeadline = this.#deadlines[last];
    const removed = this.#deadlines[place];
    if (movedDeadline < removed) this.#siftUp(place, movedId, movedDeadline);
    else this.#siftDown(place, movedId, movedDeadline);
  }

  #put(place: number, id: number, deadlineUs: number): void {
    this.#ids[place] = id;
    this.#deadlines[place] = deadlineUs;
    this.#places[id] = place;
  }

  #siftUp(start: number, id: number, deadlineUs: number): void {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#deadlines[parent] <= deadlineUs) break;
      this.#put(place, this.#ids[parent], this.#deadlines[parent]);
      place = parent;
    }
    this.#put(place, id, deadlineUs);
  }

  #siftDown(start: number, id: number, deadlineUs: number): void {
    let place = start;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#deadlines[child + 1] < this.#deadlines[child]) child++;
      if (this.#deadlines[child] >= deadlineUs) break;
      this.#put(place, this.#ids[child], this.#deadlines[child]);
      place = child;
    }
    this.#put(place, id, deadlineUs);
  }

  #growHeap(): void {
    const deadlines = new Float64Array(this.#deadlines.length * 2);
    deadlines.set(this.#deadlines);
    this.#deadlines = deadlines;
    const ids = new Int32Array(this.#ids.length * 2);
    ids.set(this.#ids);
    this.#ids = ids;
  }

  #growPlaces(atLeast: number): void {
    let length = this.#places.length;
    while (length < atLeast) length *= 2;
    const places = new Int32Array(length).fill(-1);
    places.set(this.#places);
    this.#places = places;
  }
}
