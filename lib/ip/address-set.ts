/**
 * A small table from addresses to numbers, asked for every packet: open addressing over words, so that
 * asking allocates nothing. It is filled by our own configuration only, so its hash needs no key.
 */
import type { IpAddress } from '../wire/ip-address.js';

const mix = (w0: number, w1: number, w2: number, w3: number): number => {
  let h = Math.imul(w3 ^ Math.imul(w0, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15) ^ w1, 0xc2b2ae35) ^ w2;
  return h ^ (h >>> 13);
};

export class AddressSet {
  #words = new Int32Array(4 * 16);
  #values = new Int32Array(16).fill(-1);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** The number an address has, or -1. IPv4 addresses are asked for in their mapped form. */
  get(w0: number, w1: number, w2: number, w3: number): number {
    return this.#values[this.#slot(w0, w1, w2, w3)];
  }

  /** Gives `address` a number of 0 or more, in place of any it has. */
  set(address: IpAddress, value: number): void {
    if (2 * this.#count >= this.#values.length) this.#grow();
    const slot = this.#slot(address.w0, address.w1, address.w2, address.w3);
    if (this.#values[slot] < 0) this.#count++;
    const at = slot * 4;
    this.#words[at] = address.w0;
    this.#words[at + 1] = address.w1;
    this.#words[at + 2] = address.w2;
    this.#words[at + 3] = address.w3;
    this.#values[slot] = value;
  }

  clear(): void {
    this.#values.fill(-1);
    this.#count = 0;
  }

  /** Where an address is or would be. */
  #slot(w0: number, w1: number, w2: number, w3: number): number {
    const mask = this.#values.length - 1;
    const words = this.#words;
    let slot = mix(w0, w1, w2, w3) & mask;
    while (this.#values[slot] >= 0) {
      const at = slot * 4;
      if (words[at + 3] === w3 && words[at + 2] === w2 && words[at + 1] === w1 && words[at] === w0) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const words = this.#words;
    const values = this.#values;
    this.#words = new Int32Array(words.length * 2);
    this.#values = new Int32Array(values.length * 2).fill(-1);
    for (let i = 0; i < values.length; i++) {
      if (values[i] < 0) continue;
      const at = i * 4;
      const slot = this.#slot(words[at], words[at + 1], words[at + 2], words[at + 3]);
      this.#words.set(words.subarray(at, at + 4), slot * 4);
      this.#values[slot] = values[i];
    }
  }
}
