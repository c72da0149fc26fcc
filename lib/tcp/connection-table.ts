/**
 * From the two addresses and ports of a segment to who it is for.
 *
 * Connections of a listener that has a link of its own live on that link alone, as those of sockets bound
 * to a device do on Linux: the same addresses and ports on another link are somebody else. All others take
 * their segments from any link that IP lets them come by (`strongHost`, `reversePathFilter`).
 */
import { EndpointIndex, KeyWord } from '../base/endpoint-index.js';
import { RowNumbers } from '../base/hash-slots.js';
import type { Random } from '../base/random.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { TcpNeighbours } from './neighbours.js';
import { portsWord, type Tuple, tupleWords } from './tuple.js';

export class ConnectionTable<Occupant> {
  /** Who else is to know which tuples are taken. */
  neighbours: TcpNeighbours | undefined;
  /** Tuples, each with the link it is bound to plus 1, or 0 for none, by slot. */
  readonly #index: EndpointIndex;
  readonly #slots = new RowNumbers();
  readonly #occupants: (Occupant | undefined)[] = [];
  /** Those bound to a link: mostly none, and then nobody looks for them. */
  #bound = 0;

  constructor(random: Random) {
    this.#index = new EndpointIndex(random);
  }

  get size(): number {
    return this.#index.size;
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
    const { probe } = this.#index;
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
    tupleWords(tuple, this.#index.probe);
    return this.#findOn(tuple.link ?? -1);
  }

  /** Puts someone at a tuple that is free. @returns the slot */
  insert(tuple: Tuple, occupant: Occupant): number {
    const { probe } = this.#index;
    tupleWords(tuple, probe);
    probe[KeyWord.EXTRA] = (tuple.link ?? -1) + 1;
    const slot = this.#slots.take();
    this.#index.insert(slot);
    if (probe[KeyWord.EXTRA] !== 0) this.#bound++;
    this.#occupants[slot] = occupant;
    this.neighbours?.occupied(probe, 0);
    return slot;
  }

  /** Puts another in the place of the one at `slot`. */
  replace(slot: number, occupant: Occupant): void {
    this.#occupants[slot] = occupant;
  }

  remove(slot: number): void {
    const index = this.#index;
    index.recall(slot);
    if (index.probe[KeyWord.EXTRA] !== 0) this.#bound--;
    index.remove(slot);
    this.neighbours?.vacated(index.probe, 0);
    this.#occupants[slot] = undefined;
    this.#slots.give(slot);
  }

  /** Whoever is at the probe's tuple on a link, else who is there on all. */
  #findOn(link: number): number {
    const index = this.#index;
    const { probe } = index;
    if (this.#bound > 0 && link >= 0) {
      probe[KeyWord.EXTRA] = link + 1;
      const slot = index.find();
      if (slot >= 0) return slot;
    }
    probe[KeyWord.EXTRA] = 0;
    return index.find();
  }
}
