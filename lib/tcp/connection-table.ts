/**
 * From the two addresses and ports of a segment to who it is for: a hash table by open addressing with
 * linear probing over typed arrays. The hash is keyed, so that nobody outside can make tuples collide.
 *
 * Connections of a listener that has a link of its own live on that link alone, as those of sockets bound
 * to a device do on Linux: the same addresses and ports on another link are somebody else. All others take
 * their segments from any link that IP lets them come by (`strongHost`, `reversePathFilter`).
 */
import { invariant } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { TcpNeighbours } from './neighbours.js';
import { portsWord, TUPLE_WORDS, type Tuple, tupleWords } from './tuple.js';

const FIRST_SLOTS = 64;
const FIRST_PLACES = 256;
/** A tuple, and the link it is bound to, plus 1; 0 for none. */
const KEY_WORDS = TUPLE_WORDS + 1;

export class ConnectionTable<Occupant> {
  /** Who else is to know which tuples are taken. */
  neighbours: TcpNeighbours | undefined;
  readonly #hash: TableHash;
  /** Slot + 1 in each place of the hash table; 0 for none. */
  #places = new Int32Array(FIRST_PLACES);
  #mask = FIRST_PLACES - 1;
  /** The tuple and the hash of each slot. */
  #tuples = new Int32Array(FIRST_SLOTS * KEY_WORDS);
  #hashes = new Int32Array(FIRST_SLOTS);
  readonly #occupants: (Occupant | undefined)[] = [];
  readonly #free: number[] = [];
  #size = 0;
  /** Those bound to a link: mostly none, and then nobody looks for them. */
  #bound = 0;
  readonly #probe = new Int32Array(KEY_WORDS);

  constructor(random: Random) {
    this.#hash = new TableHash(random);
  }

  get size(): number {
    return this.#size;
  }

  at(slot: number): Occupant | undefined {
    return this.#occupants[slot];
  }

  /** Everyone in the table; not for every packet. */
  *[Symbol.iterator](): Iterator<Occupant> {
    for (const occupant of this.#occupants) if (occupant !== undefined) yield occupant;
  }

  /** The slot of the connection a packet belongs to, its destination being ours; -1 for none. */
  findPacket(packet: IpPacket, localPort: number, remotePort: number): number {
    const probe = this.#probe;
    probe[0] = packet.d0;
    probe[1] = packet.d1;
    probe[2] = packet.d2;
    probe[3] = packet.d3;
    probe[4] = packet.s0;
    probe[5] = packet.s1;
    probe[6] = packet.s2;
    probe[7] = packet.s3;
    probe[8] = portsWord(localPort, remotePort);
    return this.#findOn(packet.link);
  }

  /** As `findPacket`: who is at the tuple on its link, else who is there on all. */
  find(tuple: Tuple): number {
    tupleWords(tuple, this.#probe);
    return this.#findOn(tuple.link ?? -1);
  }

  /** Puts someone at a tuple that is free. @returns the slot */
  insert(tuple: Tuple, occupant: Occupant): number {
    tupleWords(tuple, this.#probe);
    this.#probe[TUPLE_WORDS] = (tuple.link ?? -1) + 1;
    invariant(this.#find() < 0, 'a tuple is taken once');
    if (2 * (this.#size + 1) > this.#places.length) this.#growPlaces();
    const slot = this.#free.pop() ?? this.#size;
    if (slot >= this.#hashes.length) this.#growSlots();
    this.#size++;
    if (this.#probe[TUPLE_WORDS] !== 0) this.#bound++;
    this.#tuples.set(this.#probe, slot * KEY_WORDS);
    const hash = this.#hashOf(this.#probe);
    this.#hashes[slot] = hash;
    this.#occupants[slot] = occupant;
    this.#place(slot, hash);
    this.neighbours?.occupied(this.#probe, 0);
    return slot;
  }

  /** Puts another in the place of the one at `slot`. */
  replace(slot: number, occupant: Occupant): void {
    this.#occupants[slot] = occupant;
  }

  remove(slot: number): void {
    let place = this.#hashes[slot] & this.#mask;
    while (this.#places[place] !== slot + 1) place = (place + 1) & this.#mask;
    this.#closeGap(place);
    if (this.#tuples[slot * KEY_WORDS + TUPLE_WORDS] !== 0) this.#bound--;
    this.neighbours?.vacated(this.#tuples, slot * KEY_WORDS);
    this.#occupants[slot] = undefined;
    this.#free.push(slot);
    this.#size--;
  }

  #findOn(link: number): number {
    const probe = this.#probe;
    if (this.#bound > 0 && link >= 0) {
      probe[TUPLE_WORDS] = link + 1;
      const slot = this.#find();
      if (slot >= 0) return slot;
    }
    probe[TUPLE_WORDS] = 0;
    return this.#find();
  }

  #find(): number {
    const probe = this.#probe;
    const hash = this.#hashOf(probe);
    let place = hash & this.#mask;
    for (;;) {
      const slot = this.#places[place] - 1;
      if (slot < 0) return -1;
      if (this.#hashes[slot] === hash && this.#equals(slot)) return slot;
      place = (place + 1) & this.#mask;
    }
  }

  #equals(slot: number): boolean {
    const tuples = this.#tuples;
    const probe = this.#probe;
    const at = slot * KEY_WORDS;
    for (let i = KEY_WORDS - 1; i >= 0; i--) if (tuples[at + i] !== probe[i]) return false;
    return true;
  }

  /**
   * The link is not hashed: both looks begin at one place. IPv4 needs three of the words; IPv6 takes them all,
   * so that no folding of ours can be exploited.
   */
  #hashOf(words: Int32Array): number {
    const hash = this.#hash;
    if ((words[0] | words[1] | words[4] | words[5]) === 0) return hash.hash3(words[3], words[7], words[8]);
    const front = hash.hash3(words[0], words[1], words[2]);
    const middle = hash.hash3(front, words[3] ^ words[4], words[5]);
    return hash.hash3(hash.hash3(middle, words[4], words[6]), words[7], words[8]);
  }

  #place(slot: number, hash: number): void {
    let place = hash & this.#mask;
    while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
    this.#places[place] = slot + 1;
  }

  /** Removes the entry at `gap` and moves up those behind it that probed past it. */
  #closeGap(start: number): void {
    const places = this.#places;
    let gap = start;
    let next = (gap + 1) & this.#mask;
    while (places[next] !== 0) {
      const home = this.#hashes[places[next] - 1] & this.#mask;
      const distanceFromHome = (next - home) & this.#mask;
      const distanceFromGap = (next - gap) & this.#mask;
      if (distanceFromHome >= distanceFromGap) {
        places[gap] = places[next];
        gap = next;
      }
      next = (next + 1) & this.#mask;
    }
    places[gap] = 0;
  }

  #growPlaces(): void {
    const old = this.#places;
    this.#places = new Int32Array(old.length * 2);
    this.#mask = this.#places.length - 1;
    for (const entry of old) if (entry !== 0) this.#place(entry - 1, this.#hashes[entry - 1]);
  }

  #growSlots(): void {
    const tuples = new Int32Array(this.#tuples.length * 2);
    tuples.set(this.#tuples);
    this.#tuples = tuples;
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
  }
}
