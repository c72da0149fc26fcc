/**
 * Which socket a datagram is for: the most specific binding wins, connected before bound to the address
 * before bound to the port. Keys are numbers; each chain is compared exactly.
 */
import { type Random, randomBelow } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { UdpNeighbours } from './neighbours.js';

/** What the table looks at in a socket. */
export interface TableEntry {
  /** Unspecified until bound to an address. */
  readonly localAddress: IpAddress;
  /** 0 until bound. */
  readonly localPort: number;
  /** Undefined while not connected. */
  readonly remoteAddress: IpAddress | undefined;
  /** 0 while not connected. */
  readonly remotePort: number;
  /** Whether the wildcard of IPv6 takes IPv4 too. */
  readonly isDual: boolean;
  /** Index of the only link it uses; 0: any. */
  readonly boundLink: number;
  /** Whether `reusePort` is set. */
  readonly sharesPort: boolean;
  /** Whether `reuseAddress` is set. */
  readonly sharesAddress: boolean;
}

/** The two ends of a packet, seen from here, as words. */
export class EndWords {
  readonly local = new Int32Array(4);
  readonly remote = new Int32Array(4);
  localPort = 0;
  remotePort = 0;
  version: 4 | 6 = 4;
  /** -1: not known. */
  link = -1;

  /** The ends of a packet that came in. */
  setFrom(packet: IpPacket, sourcePort: number, destinationPort: number): void {
    const { local, remote } = this;
    local[0] = packet.d0;
    local[1] = packet.d1;
    local[2] = packet.d2;
    local[3] = packet.d3;
    remote[0] = packet.s0;
    remote[1] = packet.s1;
    remote[2] = packet.s2;
    remote[3] = packet.s3;
    this.localPort = destinationPort;
    this.remotePort = sourcePort;
    this.version = packet.version;
    this.link = packet.link;
  }

  /** The ends of a packet we sent, quoted by an ICMP error. */
  setFromQuote(quote: IpPacket, sourcePort: number, destinationPort: number): void {
    const { local, remote } = this;
    local[0] = quote.s0;
    local[1] = quote.s1;
    local[2] = quote.s2;
    local[3] = quote.s3;
    remote[0] = quote.d0;
    remote[1] = quote.d1;
    remote[2] = quote.d2;
    remote[3] = quote.d3;
    this.localPort = sourcePort;
    this.remotePort = destinationPort;
    this.version = quote.version;
    this.link = -1;
  }
}

export class EndpointTable<E extends TableEntry> {
  readonly #random: Random;
  readonly #hash: TableHash;
  /** Spreads senders over the members of a group. */
  readonly #groupHash: TableHash;
  readonly #connected = new Map<number, E[]>();
  readonly #bound = new Map<number, E[]>();
  readonly #wildcard = new Map<number, E[]>();
  /** All sockets of a port, for conflicts and for packets to many. */
  readonly #byPort = new Map<number, E[]>();
  /** Who else is to know which ports are taken. */
  neighbours: UdpNeighbours | undefined;
  #size = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#hash = new TableHash(random);
    this.#groupHash = new TableHash(random);
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a socket that has a port. The newest of a chain is found first, as on Linux. */
  add(entry: E): void {
    this.#size++;
    if (!this.#byPort.has(entry.localPort)) this.neighbours?.portTaken(entry.localPort);
    prepend(this.#byPort, entry.localPort, entry);
    prepend(this.#mapOf(entry), this.#keyOf(entry), entry);
  }

  /** Removes it; its fields are as when it was added. */
  remove(entry: E): void {
    if (!take(this.#byPort, entry.localPort, entry)) return;
    take(this.#mapOf(entry), this.#keyOf(entry), entry);
    if (!this.#byPort.has(entry.localPort)) this.neighbours?.portFreed(entry.localPort);
    this.#size--;
  }

  /** The sockets of a port, to choose all that match from. */
  onPort(port: number): readonly E[] {
    return this.#byPort.get(port) ?? NONE;
  }

  /** The socket that unicast between these ends is for. */
  find(ends: EndWords): E | undefined {
    const { local, remote, localPort, remotePort } = ends;
    if (this.#connected.size > 0) {
      const chain = this.#connected.get(this.#pairKey(local, localPort, remote, remotePort));
      const entry = chain === undefined ? undefined : this.#choose(chain, ends);
      if (entry !== undefined) return entry;
    }
    if (this.#bound.size > 0) {
      const chain = this.#bound.get(this.#localKey(local, localPort));
      const entry = chain === undefined ? undefined : this.#choose(chain, ends);
      if (entry !== undefined) return entry;
    }
    const chain = this.#wildcard.get(localPort);
    return chain === undefined ? undefined : this.#choose(chain, ends);
  }

  /** Whether a socket is addressed by a packet with these ends, its remote end included. */
  matches(entry: E, ends: EndWords): boolean {
    if (entry.boundLink !== 0 && ends.link >= 0 && entry.boundLink !== ends.link) return false;
    const { localAddress, remoteAddress } = entry;
    if (remoteAddress !== undefined) {
      if (entry.remotePort !== ends.remotePort || !isWords(remoteAddress, ends.remote)) return false;
    }
    if (!localAddress.isUnspecified) return isWords(localAddress, ends.local);
    return localAddress.family === ends.version || entry.isDual;
  }

  /** Whether a socket may take this address and port beside those that are there. */
  isFree(entry: E, address: IpAddress, port: number, shares = true): boolean {
    for (const other of this.onPort(port)) {
      if (other === entry || !overlap(entry, address, other)) continue;
      if (shares && entry.sharesPort && other.sharesPort) continue;
      if (shares && entry.sharesAddress && other.sharesAddress) continue;
      return false;
    }
    return true;
  }

  /**
   * A free port of a range: a random one, then its successors (RFC 6056 §3.3.1), one turn at most.
   * @returns 0 when all are taken
   */
  freePort(
    entry: E,
    address: IpAddress,
    range: readonly [number, number],
    reserved: ReadonlySet<number>,
  ): number {
    const count = range[1] - range[0] + 1;
    const start = randomBelow(this.#random, count);
    for (let i = 0; i < count; i++) {
      const port = range[0] + ((start + i) % count);
      if (!reserved.has(port) && this.isFree(entry, address, port, false)) return port;
    }
    return 0;
  }

  /** The first match of a chain; of a group that shares a port, the member that the ends' hash picks. */
  #choose(chain: readonly E[], ends: EndWords): E | undefined {
    let first: E | undefined;
    let score = -1;
    let members = 0;
    for (let i = 0; i < chain.length; i++) {
      const entry = chain[i];
      if (!this.matches(entry, ends)) continue;
      const own = scoreOf(entry, ends);
      if (own > score) {
        first = entry;
        score = own;
        members = 1;
      } else if (own === score && entry.sharesPort && first?.sharesPort === true) {
        members++;
      }
    }
    return members > 1 ? this.#member(chain, ends, score, members) : first;
  }

  #member(chain: readonly E[], ends: EndWords, score: number, members: number): E | undefined {
    const { local, remote, localPort, remotePort } = ends;
    const hash = this.#groupHash.hash3(fold(remote), fold(local), (remotePort << 16) | localPort);
    let place = (hash >>> 0) % members;
    for (let i = chain.length - 1; i >= 0; i--) {
      const entry = chain[i];
      if (!entry.sharesPort || !this.matches(entry, ends) || scoreOf(entry, ends) !== score) continue;
      if (place-- === 0) return entry;
    }
    return undefined;
  }

  #mapOf(entry: E): Map<number, E[]> {
    if (entry.remoteAddress !== undefined) return this.#connected;
    return entry.localAddress.isUnspecified ? this.#wildcard : this.#bound;
  }

  #keyOf(entry: E): number {
    const { localAddress, localPort, remoteAddress, remotePort } = entry;
    if (remoteAddress !== undefined) {
      return this.#pairKey(wordsOf(localAddress), localPort, wordsOf(remoteAddress), remotePort);
    }
    return localAddress.isUnspecified ? localPort : this.#localKey(wordsOf(localAddress), localPort);
  }

  #localKey(local: Int32Array, port: number): number {
    return this.#hash.hash3(fold(local), port, 0);
  }

  #pairKey(local: Int32Array, localPort: number, remote: Int32Array, remotePort: number): number {
    return this.#hash.hash3(fold(remote), fold(local), (remotePort << 16) | localPort);
  }
}

const NONE: readonly never[] = [];

/** Among matches of one kind: bound to a link before any, of the packet's own family before the other. */
const scoreOf = (entry: TableEntry, ends: EndWords): number =>
  (entry.boundLink !== 0 ? 2 : 0) + (entry.localAddress.family === ends.version ? 1 : 0);

/** Folds without letting an attacker cancel words: each is turned differently. */
const fold = (words: Int32Array): number =>
  Math.imul(words[0], 0x9e37_79b1) ^
  Math.imul(words[1], 0x85eb_ca6b) ^
  Math.imul(words[2], 0xc2b2_ae35) ^
  words[3];

const isWords = (address: IpAddress, words: Int32Array): boolean =>
  address.w3 === words[3] && address.w2 === words[2] && address.w1 === words[1] && address.w0 === words[0];

const wordsOf = (address: IpAddress): Int32Array =>
  Int32Array.of(address.w0, address.w1, address.w2, address.w3);

/** Whether one packet could be for both. */
function overlap(entry: TableEntry, address: IpAddress, other: TableEntry): boolean {
  if (entry.boundLink !== 0 && other.boundLink !== 0 && entry.boundLink !== other.boundLink) return false;
  const theirs = other.localAddress;
  if (!address.isUnspecified && !theirs.isUnspecified) return address.equals(theirs);
  if (address.family === theirs.family) return true;
  // A wildcard of IPv6 meets IPv4 only while it is for both.
  const dual = address.family === 6 ? entry.isDual : other.isDual;
  const wildcard6 = address.family === 6 ? address : theirs;
  return dual && wildcard6.isUnspecified;
}

function prepend<E>(map: Map<number, E[]>, key: number, entry: E): void {
  const chain = map.get(key);
  if (chain === undefined) map.set(key, [entry]);
  else chain.unshift(entry);
}

function take<E>(map: Map<number, E[]>, key: number, entry: E): boolean {
  const chain = map.get(key);
  const place = chain === undefined ? -1 : chain.indexOf(entry);
  if (chain === undefined || place < 0) return false;
  // Taken out also of a chain that is left: tables the map has outgrown still have it (see `Roster`).
  chain.splice(place, 1);
  if (chain.length === 0) map.delete(key);
  return true;
}
