/** Ethernet addresses, as two numbers: on the packet path they are written without an object. */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import type { IpAddress } from '../wire/ip-address.js';

const BROADCAST_HIGH = 0xffff;
/** First two bytes of the addresses of IPv6 groups (RFC 2464 §7). */
const GROUP6_HIGH = 0x3333;
/** The first 25 bits of the addresses of IPv4 groups: 01:00:5e (RFC 1112 §6.4). */
const GROUP4_HIGH = 0x0100;
const GROUP4_LOW = 0x5e00_0000;

/** An Ethernet address (IEEE 802). It never changes. */
export class MacAddress {
  /** The first two bytes. */
  readonly high: number;
  /** The last four, as a signed 32-bit integer. */
  readonly low: number;

  /** @param high the first two bytes @param low the last four */
  constructor(high: number, low: number) {
    this.high = high & 0xffff;
    this.low = low | 0;
  }

  /**
   * Reads `52:54:00:12:34:56`, or the same with hyphens.
   * @throws ArgumentTypeError when not a string, ArgumentValueError when no Ethernet address
   */
  static parse(text: string): MacAddress {
    if (typeof text !== 'string') throw new ArgumentTypeError('an Ethernet address must be a string');
    const bytes = /^([\da-f]{2})([:-][\da-f]{2}){5}$/i.test(text) ? text.split(/[:-]/) : [];
    if (bytes.length !== 6) throw new ArgumentValueError(`not an Ethernet address: "${text}"`);
    const values = bytes.map((byte) => Number.parseInt(byte, 16));
    return new MacAddress(
      (values[0] << 8) | values[1],
      (values[2] << 24) | (values[3] << 16) | (values[4] << 8) | values[5],
    );
  }

  /** A random one, locally administered and of one host (RFC 7042 §2.1). */
  static random(random: Random): MacAddress {
    return new MacAddress((random.uint32() & 0xfcff) | 0x0200, random.uint32());
  }

  /** The six bytes at `at`. */
  static read(view: DataView, at: number): MacAddress {
    return new MacAddress(view.getUint16(at), view.getInt32(at + 2));
  }

  /** Where packets to a group go (RFC 1112 §6.4, RFC 2464 §7). */
  static ofGroup(group: IpAddress): MacAddress {
    return new MacAddress(groupHigh(group.family), groupLow(group.family, group.w3));
  }

  /** Writes six bytes at `at`. */
  write(view: DataView, at: number): void {
    view.setUint16(at, this.high);
    view.setInt32(at + 2, this.low);
  }

  /** The six bytes. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(6);
    this.write(new DataView(bytes.buffer), 0);
    return bytes;
  }

  /** Whether it is the same address. */
  equals(other: MacAddress): boolean {
    return this.high === other.high && this.low === other.low;
  }

  /** Whether it is of many: a group's, or everybody's. */
  get isGroup(): boolean {
    return (this.high & 0x0100) !== 0;
  }

  /** ff:ff:ff:ff:ff:ff. */
  get isBroadcast(): boolean {
    return this.high === BROADCAST_HIGH && this.low === -1;
  }

  /** 00:00:00:00:00:00. */
  get isZero(): boolean {
    return this.high === 0 && this.low === 0;
  }

  /** `52:54:00:12:34:56`. */
  toString(): string {
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    const { high, low } = this;
    return [high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low]
      .map((value) => hex(value & 0xff))
      .join(':');
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString();
  }
}

export const BROADCAST_MAC = new MacAddress(BROADCAST_HIGH, -1);

/** The two numbers of a group's address, from the last word of its IP address. */
export const groupHigh = (family: 4 | 6): number => (family === 4 ? GROUP4_HIGH : GROUP6_HIGH);
export const groupLow = (family: 4 | 6, word: number): number =>
  family === 4 ? GROUP4_LOW | (word & 0x007f_ffff) : word;
