/**
 * The receive queue of a socket: one ring of bytes and one of rows, both in typed arrays and growing
 * with need, so that a datagram costs its copy and nothing else.
 */

import { copyBytes } from '../base/copy.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { IpAddressCache } from './address-cache.js';
import type { Datagram } from './datagram.js';

/** Words of a row. */
const Row = {
  OFFSET: 0,
  LENGTH: 1,
  SOURCE: 2,
  DESTINATION: 6,
  /** Source port in the upper half, destination port in the lower. */
  PORTS: 10,
  /** Traffic class, hop limit, cast and version, a byte each from below. */
  HEADER: 11,
  LINK: 12,
  WORDS: 16,
} as const;

/** Bytes a datagram counts besides its payload: what it takes here. */
export const DATAGRAM_OVERHEAD = 4 * Row.WORDS + 8;

const FIRST_BYTES = 2048;
const FIRST_ROWS = 16;
/** Up to here the copy makes no view of its source. */
const VIEWLESS_BYTES = 2048;

const NO_BYTES = new Uint8Array(0);

export class DatagramQueue {
  /** Most bytes, overhead included; but one datagram always has room. */
  limitBytes: number;
  /** Bytes in use, those of the datagram lent last included. */
  bytes = 0;
  /** Datagrams that wait. */
  count = 0;
  readonly #addresses: IpAddressCache;
  #ring: Uint8Array = NO_BYTES;
  #view = new DataView(NO_BYTES.buffer);
  /** Where the next payload goes, and where the oldest one still in use lies. */
  #writeAt = 0;
  #readAt = 0;
  #rows = new Int32Array(0);
  #times = new Float64Array(0);
  #firstRow = 0;
  /** Rows in use: those that wait, and the one lent. */
  #usedRows = 0;
  #hasLent = false;

  constructor(limitBytes: number, addresses: IpAddressCache) {
    this.limitBytes = limitBytes;
    this.#addresses = addresses;
  }

  /** Memory held, bytes. */
  get capacity(): number {
    return this.#ring.length + this.#rows.byteLength + this.#times.byteLength;
  }

  /** Whether a datagram of so many bytes would be taken. */
  hasRoom(payloadBytes: number): boolean {
    return this.count === 0 || this.bytes + payloadBytes + DATAGRAM_OVERHEAD <= this.limitBytes;
  }

  /** Adds `length` bytes at `at` of a packet as a datagram. There is room. */
  push(packet: IpPacket, at: number, length: number, ports: number): void {
    if (this.#usedRows === this.#times.length) this.#growRows();
    const offset = this.#place(length);
    this.#copyIn(packet, at, length, offset);
    const row = (this.#firstRow + this.#usedRows) & (this.#times.length - 1);
    const rows = this.#rows;
    const word = row * Row.WORDS;
    rows[word + Row.OFFSET] = offset;
    rows[word + Row.LENGTH] = length;
    rows[word + Row.SOURCE] = packet.s0;
    rows[word + Row.SOURCE + 1] = packet.s1;
    rows[word + Row.SOURCE + 2] = packet.s2;
    rows[word + Row.SOURCE + 3] = packet.s3;
    rows[word + Row.DESTINATION] = packet.d0;
    rows[word + Row.DESTINATION + 1] = packet.d1;
    rows[word + Row.DESTINATION + 2] = packet.d2;
    rows[word + Row.DESTINATION + 3] = packet.d3;
    rows[word + Row.PORTS] = ports;
    rows[word + Row.HEADER] =
      packet.trafficClass | (packet.hopLimit << 8) | (packet.cast << 16) | (packet.version << 24);
    rows[word + Row.LINK] = packet.link;
    this.#times[row] = packet.nowUs;
    this.#writeAt = offset + length;
    this.#usedRows++;
    this.count++;
    this.bytes += length + DATAGRAM_OVERHEAD;
  }

  /**
   * Aims `datagram` at the oldest one, which is lent until the next `shift`, `release` or `clear`.
   * @returns false when none waits
   */
  shift(datagram: Datagram): boolean {
    this.release();
    if (this.count === 0) return false;
    const rows = this.#rows;
    const word = this.#firstRow * Row.WORDS;
    const header = rows[word + Row.HEADER];
    const ports = rows[word + Row.PORTS];
    const addresses = this.#addresses;
    const version = header >>> 24 === 4 ? 4 : 6;
    datagram.bytes = this.#ring;
    datagram.at = rows[word + Row.OFFSET];
    datagram.length = rows[word + Row.LENGTH];
    datagram.datagramBytes = datagram.length;
    datagram.truncated = false;
    datagram.source = addresses.at(rows, word + Row.SOURCE, version);
    datagram.sourcePort = ports >>> 16;
    datagram.destination = addresses.at(rows, word + Row.DESTINATION, version);
    datagram.destinationPort = ports & 0xffff;
    datagram.trafficClass = header & 0xff;
    datagram.hopLimit = (header >>> 8) & 0xff;
    datagram.link = rows[word + Row.LINK];
    datagram.nowUs = this.#times[this.#firstRow];
    this.#hasLent = true;
    this.count--;
    return true;
  }

  /** Payload bytes of the oldest datagram; 0 when none waits. */
  get nextBytes(): number {
    if (this.count === 0) return 0;
    const row = (this.#firstRow + (this.#hasLent ? 1 : 0)) & (this.#times.length - 1);
    return this.#rows[row * Row.WORDS + Row.LENGTH];
  }

  /** Takes back the datagram lent last. @returns bytes set free */
  release(): number {
    if (!this.#hasLent) return 0;
    this.#hasLent = false;
    const freed = this.#rows[this.#firstRow * Row.WORDS + Row.LENGTH] + DATAGRAM_OVERHEAD;
    this.bytes -= freed;
    this.#firstRow = (this.#firstRow + 1) & (this.#times.length - 1);
    this.#usedRows--;
    if (this.#usedRows === 0) {
      this.#readAt = 0;
      this.#writeAt = 0;
    } else {
      this.#readAt = this.#rows[this.#firstRow * Row.WORDS + Row.OFFSET];
    }
    return freed;
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    this.#ring = NO_BYTES;
    this.#view = new DataView(NO_BYTES.buffer);
    this.#rows = new Int32Array(0);
    this.#times = new Float64Array(0);
    this.#firstRow = 0;
    this.#usedRows = 0;
    this.#readAt = 0;
    this.#writeAt = 0;
    this.#hasLent = false;
    this.count = 0;
    this.bytes = 0;
  }

  /** Room for `length` bytes in one piece; the ring grows where there is none. */
  #place(length: number): number {
    for (;;) {
      const capacity = this.#ring.length;
      if (this.#usedRows === 0) {
        if (length <= capacity) return 0;
      } else if (this.#writeAt >= this.#readAt) {
        if (this.#writeAt + length <= capacity) return this.#writeAt;
        // Behind the oldest only up to it: that the two are equal means that the ring has not wrapped.
        if (length < this.#readAt) return 0;
      } else if (this.#writeAt + length < this.#readAt) {
        return this.#writeAt;
      }
      this.#growRing(length);
    }
  }

  /** Moves to a larger ring, payloads one behind the other. What is lent stays where it was. */
  #growRing(length: number): void {
    const old = this.#ring;
    const rows = this.#rows;
    const mask = this.#times.length - 1;
    let used = 0;
    for (let i = 0; i < this.#usedRows; i++) {
      used += rows[((this.#firstRow + i) & mask) * Row.WORDS + Row.LENGTH];
    }
    let capacity = Math.max(FIRST_BYTES, old.length * 2);
    while (capacity < used + length) capacity *= 2;
    const ring = new Uint8Array(capacity);
    let at = 0;
    for (let i = 0; i < this.#usedRows; i++) {
      const word = ((this.#firstRow + i) & mask) * Row.WORDS;
      const from = rows[word + Row.OFFSET];
      ring.set(old.subarray(from, from + rows[word + Row.LENGTH]), at);
      rows[word + Row.OFFSET] = at;
      at += rows[word + Row.LENGTH];
    }
    this.#ring = ring;
    this.#view = new DataView(ring.buffer);
    this.#readAt = 0;
    this.#writeAt = at;
  }

  #growRows(): void {
    const before = this.#times.length;
    const length = before === 0 ? FIRST_ROWS : before * 2;
    const rows = new Int32Array(length * Row.WORDS);
    const times = new Float64Array(length);
    for (let i = 0; i < this.#usedRows; i++) {
      const from = (this.#firstRow + i) & (before - 1);
      rows.set(this.#rows.subarray(from * Row.WORDS, (from + 1) * Row.WORDS), i * Row.WORDS);
      times[i] = this.#times[from];
    }
    this.#rows = rows;
    this.#times = times;
    this.#firstRow = 0;
  }

  #copyIn(packet: IpPacket, from: number, length: number, to: number): void {
    if (length <= VIEWLESS_BYTES) copyBytes(packet.view, from, this.#view, to, length);
    else this.#ring.set(packet.bytes.subarray(from, from + length), to);
  }
}
