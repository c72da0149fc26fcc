/**
 * A prefix made ready to be compared with addresses given as words.
 */
import type { IpFamily, IpPrefix } from '../wire/ip-address.js';

/** The first `bits` bits of word `index` set. */
export const maskWord = (index: number, bits: number): number => {
  const n = bits - index * 32;
  return n <= 0 ? 0 : n >= 32 ? -1 : -1 << (32 - n);
};

export class PrefixMask {
  readonly prefix: IpPrefix;
  readonly #m0: number;
  readonly #m1: number;
  readonly #m2: number;
  readonly #m3: number;

  constructor(prefix: IpPrefix) {
    this.prefix = prefix.network;
    // An IPv4 prefix stands at the end of the mapped form.
    const bits = prefix.family === 4 ? prefix.length + 96 : prefix.length;
    this.#m0 = maskWord(0, bits);
    this.#m1 = maskWord(1, bits);
    this.#m2 = maskWord(2, bits);
    this.#m3 = maskWord(3, bits);
  }

  get family(): IpFamily {
    return this.prefix.family;
  }

  covers(w0: number, w1: number, w2: number, w3: number): boolean {
    const a = this.prefix.address;
    return (
      ((a.w3 ^ w3) & this.#m3) === 0 &&
      ((a.w2 ^ w2) & this.#m2) === 0 &&
      ((a.w1 ^ w1) & this.#m1) === 0 &&
      ((a.w0 ^ w0) & this.#m0) === 0
    );
  }

  toString(): string {
    return this.prefix.toString();
  }
}
