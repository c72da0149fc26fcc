/** Which addresses a mapping has sent to: whom address-dependent filtering lets in (RFC 4787 §5). */

import { EndpointIndex, KeyWord, putAddress } from '../base/endpoint-index.js';
import { RowNumbers } from '../base/hash-slots.js';
import type { Random } from '../base/random.js';
import type { Mapping } from './mappings.js';
import type { Endpoint } from './rewrite.js';

export class Contacts {
  readonly #index: EndpointIndex;
  readonly #numbers = new RowNumbers();
  /** Sessions with that address, by row. */
  readonly #counts: number[] = [];

  constructor(random: Random) {
    this.#index = new EndpointIndex(random);
  }

  /** Addresses known, of all mappings. */
  get size(): number {
    return this.#index.size;
  }

  has(mapping: Mapping, remote: Endpoint): boolean {
    return this.#find(mapping, remote) >= 0;
  }

  /** The mapping has one more session with an address. */
  add(mapping: Mapping, remote: Endpoint): void {
    let row = this.#find(mapping, remote);
    if (row < 0) {
      row = this.#numbers.take();
      this.#counts[row] = 0;
      this.#index.insert(row);
    }
    this.#counts[row]++;
  }

  /** It has one less. */
  remove(mapping: Mapping, remote: Endpoint): void {
    const row = this.#find(mapping, remote);
    if (--this.#counts[row] > 0) return;
    this.#index.remove(row);
    this.#numbers.give(row);
  }

  #find(mapping: Mapping, remote: Endpoint): number {
    const { probe } = this.#index;
    probe.fill(0);
    probe[KeyWord.PORTS] = mapping.row;
    putAddress(probe, KeyWord.FAR, remote);
    return this.#index.find();
  }
}
