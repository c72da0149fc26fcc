/**
 * IP addresses and prefixes. IPv4 and IPv6 are one type: four 32-bit words, an IPv4 address as its
 * IPv4-mapped IPv6 form (RFC 4291 §2.5.5.2). On the wire and in every text the two families stay
 * apart: `family` tells, and an IPv4-mapped address never appears in a packet.
 */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';

/** Version of IP. */
export type IpFamily = 4 | 6;

const MAPPED_WORD = 0xffff;

/**
 * An IPv4 or IPv6 address; it never changes. IPv4 is held as its IPv4-mapped form (RFC 4291 §2.5.5.2), but
 * stays apart in `family` and in every text.
 */
export class IpAddress {
  /** 4, also for what was written IPv4-mapped, or 6. */
  readonly family: IpFamily;
  /** The most significant word, as a signed 32-bit integer; 0 for IPv4. */
  readonly w0: number;
  /** The second word; 0 for IPv4. */
  readonly w1: number;
  /** The third word; 0xffff for IPv4. */
  readonly w2: number;
  /** The least significant word: all of an IPv4 address. */
  readonly w3: number;
  #text: string | undefined;

  private constructor(family: IpFamily, w0: number, w1: number, w2: number, w3: number) {
    this.family = family;
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  /** An IPv4 address from its 32 bits. */
  static v4(word: number): IpAddress {
    return new IpAddress(4, 0, 0, MAPPED_WORD, word | 0);
  }

  /** An IPv6 address from four 32-bit words, most significant first. */
  static v6(w0: number, w1: number, w2: number, w3: number): IpAddress {
    return new IpAddress(6, w0 | 0, w1 | 0, w2 | 0, w3 | 0);
  }

  /**
   * Reads `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1` (which is taken as IPv4). A zone (`%eth0`)
   * is not part of an address and is refused.
   * @throws ArgumentTypeError when not a string, ArgumentValueError when not an address.
   */
  static parse(text: string): IpAddress {
    if (typeof text !== 'string') throw new ArgumentTypeError('an IP address must be a string');
    const address = IpAddress.tryParse(text);
    if (address === undefined) throw new ArgumentValueError(`not an IP address: "${text}"`);
    return address;
  }

  /** As `parse`, but `undefined` for text that is no address. */
  static tryParse(text: string): IpAddress | undefined {
    if (!text.includes(':')) {
      const word = parseV4(text);
      return word === undefined ? undefined : IpAddress.v4(word);
    }
    const words = parseV6(text);
    if (words === undefined) return undefined;
    const [w0, w1, w2, w3] = words;
    if (w0 === 0 && w1 === 0 && w2 === MAPPED_WORD) return IpAddress.v4(w3);
    return IpAddress.v6(w0, w1, w2, w3);
  }

  /** The address at `at`: 4 bytes for family 4, 16 for family 6. */
  static read(view: DataView, at: number, family: IpFamily): IpAddress {
    if (family === 4) return IpAddress.v4(view.getInt32(at));
    return IpAddress.v6(
      view.getInt32(at),
      view.getInt32(at + 4),
      view.getInt32(at + 8),
      view.getInt32(at + 12),
    );
  }

  /** Writes 4 or 16 bytes at `at`. */
  write(view: DataView, at: number): void {
    if (this.family === 4) {
      view.setInt32(at, this.w3);
      return;
    }
    view.setInt32(at, this.w0);
    view.setInt32(at + 4, this.w1);
    view.setInt32(at + 8, this.w2);
    view.setInt32(at + 12, this.w3);
  }

  /** Whether it is the same address of the same family. */
  equals(other: IpAddress): boolean {
    return (
      this.w3 === other.w3 &&
      this.w2 === other.w2 &&
      this.w1 === other.w1 &&
      this.w0 === other.w0 &&
      this.family === other.family
    );
  }

  /** Word `i` (0 is most significant) as a signed 32-bit integer. */
  word(i: number): number {
    return i === 0 ? this.w0 : i === 1 ? this.w1 : i === 2 ? this.w2 : this.w3;
  }

  /** Bits in an address of this family: 32 or 128. */
  get bits(): 32 | 128 {
    return this.family === 4 ? 32 : 128;
  }

  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.family === 4 ? this.w3 === 0 : (this.w0 | this.w1 | this.w2 | this.w3) === 0;
  }

  /** 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    return this.family === 4 ? this.w3 >>> 24 === 127 : (this.w0 | this.w1 | this.w2) === 0 && this.w3 === 1;
  }

  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.family === 4 ? this.w3 >>> 28 === 0xe : this.w0 >>> 24 === 0xff;
  }

  /** 169.254.0.0/16 or fe80::/10. */
  get isLinkLocal(): boolean {
    return this.family === 4 ? this.w3 >>> 16 === 0xa9fe : this.w0 >>> 22 === 0x3fa;
  }

  /** 255.255.255.255. */
  get isLimitedBroadcast(): boolean {
    return this.family === 4 && this.w3 === -1;
  }

  /** Dotted decimal, or RFC 5952's canonical form. */
  toString(): string {
    this.#text ??= this.family === 4 ? formatV4(this.w3) : formatV6(this);
    return this.#text;
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString();
  }
}

/** The unspecified address of each family. */
export const ANY_V4 = IpAddress.v4(0);
export const ANY_V6 = IpAddress.v6(0, 0, 0, 0);
export const LOOPBACK_V4 = IpAddress.v4(0x7f00_0001);
export const LOOPBACK_V6 = IpAddress.v6(0, 0, 0, 1);
export const LIMITED_BROADCAST = IpAddress.v4(-1);

/** An address with a prefix length: a network, or an address within its network. */
export class IpPrefix {
  /** The address, its bits behind the prefix included. */
  readonly address: IpAddress;
  /** Bits of the prefix: 0 .. 32 or 0 .. 128. */
  readonly length: number;

  /** @throws ArgumentValueError when the length does not fit the family. */
  constructor(address: IpAddress, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > address.bits) {
      throw new ArgumentValueError(`not a prefix length for ${address}: ${length}`);
    }
    this.address = address;
    this.length = length;
  }

  /** Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone, which is a prefix of all its bits. */
  static parse(text: string): IpPrefix {
    if (typeof text !== 'string') throw new ArgumentTypeError('an IP prefix must be a string');
    const slash = text.indexOf('/');
    if (slash < 0) {
      const address = IpAddress.parse(text);
      return new IpPrefix(address, address.bits);
    }
    const length = text.slice(slash + 1);
    if (!/^\d{1,3}$/.test(length)) throw new ArgumentValueError(`not an IP prefix: "${text}"`);
    return new IpPrefix(IpAddress.parse(text.slice(0, slash)), Number(length));
  }

  /** Version of IP. */
  get family(): IpFamily {
    return this.address.family;
  }

  /** Whether an address of the same family lies in this network. */
  contains(address: IpAddress): boolean {
    if (address.family !== this.family) return false;
    if (this.family === 4) return sameBits(address.w3, this.address.w3, this.length);
    return (
      sameBits(address.w0, this.address.w0, this.length) &&
      sameBits(address.w1, this.address.w1, this.length - 32) &&
      sameBits(address.w2, this.address.w2, this.length - 64) &&
      sameBits(address.w3, this.address.w3, this.length - 96)
    );
  }

  /** The prefix with all bits below its length zero: 10.1.2.3/8 gives 10.0.0.0/8. */
  get network(): IpPrefix {
    const a = this.address;
    if (this.family === 4) return new IpPrefix(IpAddress.v4(a.w3 & mask(this.length)), this.length);
    const n = this.length;
    const network = IpAddress.v6(
      a.w0 & mask(n),
      a.w1 & mask(n - 32),
      a.w2 & mask(n - 64),
      a.w3 & mask(n - 96),
    );
    return new IpPrefix(network, n);
  }

  /** The directed broadcast address; none for IPv6, /31 and /32 (RFC 3021 §2). */
  get broadcast(): IpAddress | undefined {
    if (this.family === 6 || this.length >= 31) return undefined;
    return IpAddress.v4(this.address.w3 | ~mask(this.length));
  }

  /** `10.0.0.1/8`. */
  toString(): string {
    return `${this.address}/${this.length}`;
  }
}

/** A word whose upper `bits` bits are ones; `bits` may lie outside 0 .. 32. */
const mask = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits));

const sameBits = (a: number, b: number, bits: number): boolean => ((a ^ b) & mask(bits)) === 0;

function parseV4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    word = (word << 8) | value;
  }
  return word;
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map((i) => (groups[i] << 16) | groups[i + 1]);
}

/** 16-bit groups; `mayEndInV4` where the text may end in a dotted quad. */
function parseGroups(text: string, mayEndInV4: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (mayEndInV4 && i === parts.length - 1 && part.includes('.')) {
      const word = parseV4(part);
      if (word === undefined) return undefined;
      groups.push(word >>> 16, word & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

const formatV4 = (word: number): string =>
  `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;

function formatV6(address: IpAddress): string {
  const groups: number[] = [];
  for (const word of [address.w0, address.w1, address.w2, address.w3]) {
    groups.push(word >>> 16, word & 0xffff);
  }
  // The longest run of at least two zero groups, the first of equals (RFC 5952 §4.2).
  let bestAt = -1;
  let bestLength = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > bestLength) {
      bestAt = at;
      bestLength = end - at;
    }
    if (end > at) at = end;
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (bestAt < 0) return hex(groups);
  return `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`;
}
