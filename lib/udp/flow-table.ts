/**
 * Which flow a datagram belongs to: open addressing by a keyed hash, so that nobody can choose addresses and ports
 * that meet in one place, and nothing is allocated to look.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';

/** Who sends, and where to: words of addresses as an `IpAddress` has them. */
export interface FlowEnds {
  version: IpFamily;
  s0: number;
  s1: number;
  s2: number;
  s3: number;
  sourcePort: number;
  d0: number;
  d1: number;
  d2: number;
  d3: number;
  destinationPort: number;
  /** Index of the link it came in on: the same address means another host behind another link. */
  link: number;
}

/** What the table asks of a flow. */
export interface FlowRow extends Readonly<FlowEnds> {
  /** The hash it was added under; the table's own. */
  hash: number;
}

/** The ends of a packet in hand. One object, filled anew for each. */
export class FlowKey implements FlowEnds {
  version: IpFamily = 4;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  sourcePort = 0;
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  destinationPort = 0;
  link = 0;

  /** The ends of a datagram from inside. */
  setFrom(packet: IpPacket, sourcePort: number, destinationPort: number): void {
    this.version = packet.version;
    this.s0 = packet.s0;
    this.s1 = packet.s1;
    this.s2 = packet.s2;
    this.s3 = packet.s3;
    this.sourcePort = sourcePort;
    this.d0 = packet.d0;
    this.d1 = packet.d1;
    this.d2 = packet.d2;
    this.d3 = packet.d3;
    this.destinationPort = destinationPort;
    this.link = packet.link;
  }

  /** The ends of the flow an answer of ours belongs to, which an ICMP error quotes. */
  setFromQuote(quote: IpPacket, sourcePort: number, destinationPort: number): void {
    this.version = quote.version;
    this.s0 = quote.d0;
    this.s1 = quote.d1;
    this.s2 = quote.d2;
    this.s3 = quote.d3;
    this.sourcePort = destinationPort;
    this.d0 = quote.s0;
    this.d1 = quote.s1;
    this.d2 = quote.s2;
    this.d3 = quote.s3;
    this.destinationPort = sourcePort;
    this.link = quote.link;
  }
}

const FIRST_PLACES = 64;

export class FlowTable<Row extends FlowRow> {
  readonly #hash: TableHash;
  /** Whether the destination is part of what makes a flow. */
  readonly #byPair: boolean;
  #places: (Row | undefined)[] = new Array<Row | undefined>(FIRST_PLACES).fill(undefined);
  #size = 0;

  constructor(random: Random, byPair: boolean) {
    this.#hash = new TableHash(random);
    this.#byPair = byPair;
  }

  get size(): number {
    return this.#size;
  }

  find(ends: FlowEnds): Row | undefined {
    const places = this.#places;
    const mask = places.length - 1;
    for (let i = this.#hashOf(ends) & mask; ; i = (i + 1) & mask) {
      const row = places[i];
      if (row === undefined || this.#isSame(row, ends)) return row;
    }
  }

  /** Adds a flow that is not there. */
  add(row: Row): void {
    // A quarter is always free, so that a search for what is not there ends soon.
    if (this.#size * 4 >= this.#places.length * 3) this.#grow();
    row.hash = this.#hashOf(row);
    this.#place(row);
    this.#size++;
  }

  remove(row: Row): void {
    const places = this.#places;
    const mask = places.length - 1;
    let gap = row.hash & mask;
    while (places[gap] !== row) {
      if (places[gap] === undefined) return;
      gap = (gap + 1) & mask;
    }
    this.#size--;
    // Those behind move up to where a search would look for them, so that no marks of the removed are needed.
    for (let i = (gap + 1) & mask; ; i = (i + 1) & mask) {
      const next = places[i];
      if (next === undefined) break;
      if (((i - next.hash) & mask) < ((i - gap) & mask)) continue;
      places[gap] = next;
      gap = i;
    }
    places[gap] = undefined;
  }

  /** All flows, in no order; a copy, which may be gone through while they are removed. */
  rows(): Row[] {
    return this.#places.filter((row) => row !== undefined);
  }

  #place(row: Row): void {
    const places = this.#places;
    const mask = places.length - 1;
    let i = row.hash & mask;
    while (places[i] !== undefined) i = (i + 1) & mask;
    places[i] = row;
  }

  #grow(): void {
    const rows = this.rows();
    this.#places = new Array<Row | undefined>(this.#places.length * 2).fill(undefined);
    for (const row of rows) this.#place(row);
  }

  #hashOf(ends: FlowEnds): number {
    const byPair = this.#byPair;
    const ports = (ends.sourcePort << 16) | (byPair ? ends.destinationPort : 0);
    let digest = this.#hash.hash3(ends.s3, byPair ? ends.d3 : 0, ports);
    if (ends.version === 4) return digest;
    digest = this.#hash.hash3(digest, ends.s0, ends.s1);
    if (!byPair) return this.#hash.hash3(digest, ends.s2, 0);
    return this.#hash.hash3(this.#hash.hash3(digest, ends.s2, ends.d0), ends.d1, ends.d2);
  }

  #isSame(row: Row, ends: FlowEnds): boolean {
    if (row.sourcePort !== ends.sourcePort || row.s3 !== ends.s3 || row.link !== ends.link) return false;
    if (row.s2 !== ends.s2 || row.s1 !== ends.s1 || row.s0 !== ends.s0) return false;
    if (row.version !== ends.version) return false;
    return !this.#byPair || (row.destinationPort === ends.destinationPort && isSameDestination(row, ends));
  }
}

/** Whether two are for the same address. */
export const isSameDestination = (a: Readonly<FlowEnds>, b: Readonly<FlowEnds>): boolean =>
  a.d3 === b.d3 && a.d2 === b.d2 && a.d1 === b.d1 && a.d0 === b.d0;
