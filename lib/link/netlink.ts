/**
 * Netlink messages (RFC 3549): a header, a structure that depends on the type, and attributes. Numbers
 * are in the byte order of the machine, addresses in network order.
 */
import { IpAddress, type IpFamily } from '../wire/ip-address.js';

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export const NetlinkFlag = {
  REQUEST: 1,
  ACK: 4,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCLUSIVE: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

/** RTM_* */
export const RouteMessage = {
  NEW_LINK: 16,
  DELETE_LINK: 17,
  GET_LINK: 18,
  NEW_ADDRESS: 20,
  DELETE_ADDRESS: 21,
  GET_ADDRESS: 22,
  NEW_ROUTE: 24,
  DELETE_ROUTE: 25,
  GET_ROUTE: 26,
  NEW_RULE: 32,
  DELETE_RULE: 33,
  GET_RULE: 34,
} as const;

const HEADER_BYTES = 16;
const ALIGN = 4;
const aligned = (bytes: number): number => (bytes + ALIGN - 1) & -ALIGN;

/** Writes one request. */
export class NetlinkRequest {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = HEADER_BYTES;

  /** @param flags besides REQUEST */
  constructor(type: number, flags: number) {
    this.#view.setUint16(4, type, LITTLE_ENDIAN);
    this.#view.setUint16(6, NetlinkFlag.REQUEST | flags, LITTLE_ENDIAN);
  }

  u8(...values: readonly number[]): this {
    for (const value of values) this.#bytes[this.#take(1)] = value;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#take(2), value, LITTLE_ENDIAN);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#take(4), value, LITTLE_ENDIAN);
    return this;
  }

  attribute(type: number, payload: Uint8Array): this {
    const at = this.#take(4 + payload.length);
    this.#view.setUint16(at, 4 + payload.length, LITTLE_ENDIAN);
    this.#view.setUint16(at + 2, type, LITTLE_ENDIAN);
    this.#bytes.set(payload, at + 4);
    this.#take(aligned(this.#length) - this.#length);
    return this;
  }

  number(type: number, value: number): this {
    return this.attribute(type, u32Bytes(value));
  }

  /** A string with the zero byte that ends it. */
  text(type: number, value: string): this {
    return this.attribute(type, textBytes(value));
  }

  /** An attribute made of attributes. */
  nested(type: number, inner: ReadonlyArray<readonly [type: number, payload: Uint8Array]>): this {
    const body = new NetlinkRequest(0, 0);
    for (const [innerType, payload] of inner) body.attribute(innerType, payload);
    return this.attribute(type, body.finish().subarray(HEADER_BYTES));
  }

  finish(): Uint8Array {
    this.#view.setUint32(0, this.#length, LITTLE_ENDIAN);
    return this.#bytes.subarray(0, this.#length);
  }

  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

export function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

export const textBytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length + 1);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

/** Bytes of an answer: a message, or part of one. */
export class NetlinkBytes {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(at: number): number {
    return this.bytes[at];
  }

  u16(at: number): number {
    return this.#view.getUint16(at, LITTLE_ENDIAN);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  get view(): DataView {
    return this.#view;
  }

  get text(): string {
    const end = this.bytes.indexOf(0);
    return String.fromCharCode(...this.bytes.subarray(0, end < 0 ? this.bytes.length : end));
  }

  slice(from: number, to = this.bytes.length): NetlinkBytes {
    return new NetlinkBytes(this.bytes.subarray(from, to));
  }

  /** The attributes from `at` on. */
  attributes(at: number): Map<number, NetlinkBytes> {
    const found = new Map<number, NetlinkBytes>();
    for (let i = at; i + 4 <= this.bytes.length; ) {
      const length = this.u16(i);
      if (length < 4 || i + length > this.bytes.length) break;
      // The upper two bits say how the payload is encoded.
      found.set(this.u16(i + 2) & 0x3fff, this.slice(i + 4, i + length));
      i += aligned(length);
    }
    return found;
  }
}

/** The bodies of the messages of type `type` in an answer. */
export function messagesOf(answer: Uint8Array, type: number): NetlinkBytes[] {
  const all = new NetlinkBytes(answer);
  const bodies: NetlinkBytes[] = [];
  for (let at = 0; at + HEADER_BYTES <= answer.length; ) {
    const length = all.u32(at);
    if (length < HEADER_BYTES || at + length > answer.length) break;
    if (all.u16(at + 4) === type) bodies.push(all.slice(at + HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return bodies;
}

/** AF_INET, AF_INET6. */
export const familyNumber = (family: IpFamily): number => (family === 4 ? 2 : 10);

/** 4 or 6; undefined for the families that are not IP. */
export const familyOf = (number: number): IpFamily | undefined =>
  number === 2 ? 4 : number === 10 ? 6 : undefined;

export function addressBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(address.bits / 8);
  address.write(new DataView(bytes.buffer), 0);
  return bytes;
}

export function readAddress(from: NetlinkBytes | undefined): IpAddress | undefined {
  const length = from?.bytes.length;
  return from !== undefined && (length === 4 || length === 16)
    ? IpAddress.read(from.view, 0, length === 4 ? 4 : 6)
    : undefined;
}
