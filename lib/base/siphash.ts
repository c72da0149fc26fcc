/**
 * Keyed hashes: SipHash-2-4 for everything an attacker must not predict (ISNs, ports, cookies, time
 * stamp offsets, fragment identifications) and HalfSipHash-1-3, as Linux uses it, for hash tables.
 * J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012. Every purpose has a key
 * of its own.
 */
import type { Random } from './random.js';

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

/** SipHash-2-4 over 32-bit words. 64-bit lanes are pairs of int32 (low, high). */
export class SipHash {
  /** The last digest. */
  low = 0;
  high = 0;
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  #a = 0;
  #ah = 0;
  #b = 0;
  #bh = 0;
  #c = 0;
  #ch = 0;
  #d = 0;
  #dh = 0;

  /** @param random where the 128-bit key comes from; a CSPRNG in service (RFC 6528 §4). */
  constructor(random: Random) {
    this.#k0 = random.uint32() | 0;
    this.#k1 = random.uint32() | 0;
    this.#k2 = random.uint32() | 0;
    this.#k3 = random.uint32() | 0;
  }

  /** Hashes the first `count` words; the digest is in `low` and `high`, and `low` is returned. */
  hash(words: Int32Array, count: number): number {
    this.#a = this.#k0 ^ 0x70736575;
    this.#ah = this.#k1 ^ 0x736f6d65;
    this.#b = this.#k2 ^ 0x6e646f6d;
    this.#bh = this.#k3 ^ 0x646f7261;
    this.#c = this.#k0 ^ 0x6e657261;
    this.#ch = this.#k1 ^ 0x6c796765;
    this.#d = this.#k2 ^ 0x79746573;
    this.#dh = this.#k3 ^ 0x74656462;
    let i = 0;
    for (; i + 1 < count; i += 2) this.#absorb(words[i], words[i + 1]);
    const lengthByte = (count * 4) << 24;
    if (i < count) this.#absorb(words[i], lengthByte);
    else this.#absorb(0, lengthByte);
    this.#c ^= 0xff;
    for (let round = 0; round < 4; round++) this.#round();
    this.low = this.#a ^ this.#b ^ this.#c ^ this.#d;
    this.high = this.#ah ^ this.#bh ^ this.#ch ^ this.#dh;
    return this.low;
  }

  #absorb(low: number, high: number): void {
    this.#d ^= low;
    this.#dh ^= high;
    this.#round();
    this.#round();
    this.#a ^= low;
    this.#ah ^= high;
  }

  #round(): void {
    let a = this.#a;
    let ah = this.#ah;
    let b = this.#b;
    let bh = this.#bh;
    let c = this.#c;
    let ch = this.#ch;
    let d = this.#d;
    let dh = this.#dh;
    let low = (a >>> 0) + (b >>> 0);
    ah = (ah + bh + (low > 0xffff_ffff ? 1 : 0)) | 0;
    a = low | 0;
    let t = (b << 13) | (bh >>> 19);
    bh = ((bh << 13) | (b >>> 19)) ^ ah;
    b = t ^ a;
    t = a;
    a = ah;
    ah = t;
    low = (c >>> 0) + (d >>> 0);
    ch = (ch + dh + (low > 0xffff_ffff ? 1 : 0)) | 0;
    c = low | 0;
    t = (d << 16) | (dh >>> 16);
    dh = ((dh << 16) | (d >>> 16)) ^ ch;
    d = t ^ c;
    low = (a >>> 0) + (d >>> 0);
    ah = (ah + dh + (low > 0xffff_ffff ? 1 : 0)) | 0;
    a = low | 0;
    t = (d << 21) | (dh >>> 11);
    dh = ((dh << 21) | (d >>> 11)) ^ ah;
    d = t ^ a;
    low = (c >>> 0) + (b >>> 0);
    ch = (ch + bh + (low > 0xffff_ffff ? 1 : 0)) | 0;
    c = low | 0;
    t = (b << 17) | (bh >>> 15);
    bh = ((bh << 17) | (b >>> 15)) ^ ch;
    b = t ^ c;
    t = c;
    c = ch;
    ch = t;
    this.#a = a;
    this.#ah = ah;
    this.#b = b;
    this.#bh = bh;
    this.#c = c;
    this.#ch = ch;
    this.#d = d;
    this.#dh = dh;
  }
}

/** HalfSipHash-1-3: a keyed 32-bit hash for tables, fast enough for every packet. */
export class TableHash {
  readonly #k0: number;
  readonly #k1: number;

  constructor(random: Random) {
    this.#k0 = random.uint32() | 0;
    this.#k1 = random.uint32() | 0;
  }

  /** Hash of three words: for a connection the two addresses (each folded to one word) and the ports. */
  hash3(x: number, y: number, z: number): number {
    let v0 = this.#k0;
    let v1 = this.#k1;
    let v2 = 0x6c796765 ^ this.#k0;
    let v3 = 0x74656462 ^ this.#k1;
    for (let i = 0; i < 7; i++) {
      const m = i === 0 ? x : i === 1 ? y : i === 2 ? z : i === 3 ? 12 << 24 : 0;
      v3 ^= m;
      v0 = (v0 + v1) | 0;
      v1 = rotl(v1, 5) ^ v0;
      v0 = rotl(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotl(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotl(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotl(v1, 13) ^ v2;
      v2 = rotl(v2, 16);
      v0 ^= m;
      if (i === 3) v2 ^= 0xff;
    }
    return v1 ^ v3;
  }

  /** Hash of a list of words, folded three at a time. */
  hashWords(words: Int32Array, count: number): number {
    let digest = count;
    for (let i = 0; i < count; i += 2) {
      digest = this.hash3(digest, words[i], i + 1 < count ? words[i + 1] : 0);
    }
    return digest;
  }
}
