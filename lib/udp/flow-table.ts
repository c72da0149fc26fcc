/** Which flow a datagram belongs to. Nothing is allocated to look. */
import { HashSlots, RowNumbers } from '../base/hash-slots.js';
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
  /** Where it is in the table, which sets it. */
  row: number;
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

export class FlowTable<Row extends FlowRow> {
  readonly #hash: TableHash;
  readonly #slots = new HashSlots();
  readonly #numbers = new RowNumbers();
  readonly #rows: (Row | undefined)[] = [];
  /** Whether the destination is part of what makes a flow. */
  readonly #byPair: boolean;

  constructor(random: Random, byPair: boolean) {
    this.#hash = new TableHash(random);
    this.#byPair = byPair;
  }

  get size(): number {
    return this.#slots.size;
  }

  find(ends: Readonly<FlowEnds>): Row | undefined {
    const slots = this.#slots;
    for (let i = slots.first(this.#hashOf(ends)); i >= 0; i = slots.next(i)) {
      const row = this.#rows[i];
      if (row !== undefined && this.#isSame(row, ends)) return row;
    }
    return undefined;
  }

  /** Adds a flow that is not there. */
  add(flow: Row): void {
    flow.row = this.#numbers.take();
    this.#slots.add(flow.row, this.#hashOf(flow));
    this.#rows[flow.row] = flow;
  }

  /** Removes a flow that may be there. */
  remove(flow: Row): void {
    const { row } = flow;
    if (this.#rows[row] !== flow) return;
    this.#slots.remove(row);
    this.#rows[row] = undefined;
    this.#numbers.give(row);
  }

  /** All flows, in no order; a copy, which may be gone through while they are removed. */
  rows(): Row[] {
    return this.#rows.filter((flow) => flow !== undefined);
  }

  /** The link is not hashed: few hosts have the same address behind several. */
  #hashOf(ends: Readonly<FlowEnds>): number {
    const byPair = this.#byPair;
    const ports = (ends.sourcePort << 16) | (byPair ? ends.destinationPort : 0);
    let digest = this.#hash.hash3(ends.s3, byPair ? ends.d3 : 0, ports);
    if (ends.version === 4) return digest;
    digest = this.#hash.hash3(digest, ends.s0, ends.s1);
    if (!byPair) return this.#hash.hash3(digest, ends.s2, 0);
    return this.#hash.hash3(this.#hash.hash3(digest, ends.s2, ends.d0), ends.d1, ends.d2);
  }

  #isSame(row: Row, ends: Readonly<FlowEnds>): boolean {
    if (row.sourcePort !== ends.sourcePort || row.s3 !== ends.s3 || row.link !== ends.link) return false;
    if (row.s2 !== ends.s2 || row.s1 !== ends.s1 || row.s0 !== ends.s0) return false;
    if (row.version !== ends.version) return false;
    return !this.#byPair || (row.destinationPort === ends.destinationPort && isSameDestination(row, ends));
  }
}

/** Whether two are for the same address. */
export const isSameDestination = (a: Readonly<FlowEnds>, b: Readonly<FlowEnds>): boolean =>
  a.d3 === b.d3 && a.d2 === b.d2 && a.d1 === b.d1 && a.d0 === b.d0;
