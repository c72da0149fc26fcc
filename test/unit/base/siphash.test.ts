import { expect } from 'chai';
import fc from 'fast-check';
import type { Random } from '../../../lib/base/random.js';
import { SipHash, TableHash } from '../../../lib/base/siphash.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';

/** The key 00 01 02 .. 0f as little-endian words, as the reference vectors have it. */
function vectorKey(): Random {
  let next = 0;
  return {
    uint32: () => {
      const word = (next | ((next + 1) << 8) | ((next + 2) << 16) | ((next + 3) << 24)) >>> 0;
      next += 4;
      return word;
    },
  };
}

/** The first `count` words of the message 00 01 02 … */
const message = (count: number): Int32Array =>
  Int32Array.from(
    { length: count },
    (_, i) => (4 * i) | ((4 * i + 1) << 8) | ((4 * i + 2) << 16) | ((4 * i + 3) << 24),
  );

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

/** SipHash-2-4 of 0, 4, 8, 12 and 16 bytes: every fourth of the reference implementation's `vectors_sip64`. */
const SIPHASH_2_4 = [
  '310e0edd47db6f72',
  'b7877127e09427cf',
  '6224939a79f5f593',
  'fbe50e86bc8f1e75',
  'db9bc2577fcc2a3f',
];

/** HalfSipHash-1-3 of 12 bytes, from Linux's `test_siphash.c` (32-bit). */
const HALF_SIPHASH_1_3 = 0x6b28_096c;

const M64 = (1n << 64n) - 1n;
const M32 = (1n << 32n) - 1n;

/** SipHash-c-d in BigInt, after the paper. */
function sipModel(
  key: readonly bigint[],
  bytes: Uint8Array,
  width: 64 | 32,
  [c, d]: readonly [number, number],
): bigint {
  const mask = width === 64 ? M64 : M32;
  const rotl = (x: bigint, n: bigint) => ((x << n) | (x >> (BigInt(width) - n))) & mask;
  const v =
    width === 64
      ? [
          key[0] ^ 0x736f6d6570736575n,
          key[1] ^ 0x646f72616e646f6dn,
          key[0] ^ 0x6c7967656e657261n,
          key[1] ^ 0x7465646279746573n,
        ]
      : [key[0], key[1], key[0] ^ 0x6c796765n, key[1] ^ 0x74656462n];
  const [r1, r2, r3, r4, half] = width === 64 ? [13n, 16n, 17n, 21n, 32n] : [5n, 8n, 13n, 7n, 16n];
  const round = () => {
    v[0] = (v[0] + v[1]) & mask;
    v[1] = rotl(v[1], r1) ^ v[0];
    v[0] = rotl(v[0], half);
    v[2] = (v[2] + v[3]) & mask;
    v[3] = rotl(v[3], r2) ^ v[2];
    v[0] = (v[0] + v[3]) & mask;
    v[3] = rotl(v[3], r4) ^ v[0];
    v[2] = (v[2] + v[1]) & mask;
    v[1] = rotl(v[1], r3) ^ v[2];
    v[2] = rotl(v[2], half);
  };
  const block = width / 8;
  const whole = Math.floor(bytes.length / block);
  for (let i = 0; i <= whole; i++) {
    let m = 0n;
    for (let j = 0; j < block; j++) m |= BigInt(bytes[i * block + j] ?? 0) << BigInt(8 * j);
    if (i === whole) m |= BigInt(bytes.length & 255) << BigInt(width - 8);
    v[3] ^= m;
    for (let k = 0; k < c; k++) round();
    v[0] ^= m;
  }
  v[2] ^= 0xffn;
  for (let k = 0; k < d; k++) round();
  return width === 64 ? v[0] ^ v[1] ^ v[2] ^ v[3] : v[1] ^ v[3];
}

const bytesOf = (words: Int32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

describe('SipHash', () => {
  it('is SipHash-2-4, by the published vectors [A11]', () => {
    const hash = new SipHash(vectorKey());
    SIPHASH_2_4.forEach((expected, count) => {
      hash.hash(message(16), count);
      const digest = new Uint8Array(Int32Array.of(hash.low, hash.high).buffer);
      expect(Buffer.from(digest).toString('hex'), `${count * 4} bytes`).to.equal(expected);
    });
  });

  it('agrees with the paper for any key and message, and its model with the paper', () => {
    const paper = sipModel(
      [0x0706_0504_0302_0100n, 0x0f0e_0d0c_0b0a_0908n],
      Uint8Array.from({ length: 15 }, (_, i) => i),
      64,
      [2, 4],
    );
    expect(paper).to.equal(0xa129_ca61_49be_45e5n);
    const words32 = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), {
      minLength: 0,
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.integer(), words32, (seed, list) => {
        const hash = new SipHash(new SeededRandom(seed));
        const key = new SeededRandom(seed);
        const k = [1, 2].map(() => BigInt(key.uint32()) | (BigInt(key.uint32()) << 32n));
        const words = Int32Array.from(list);
        expect(hash.hash(words, words.length)).to.equal(hash.low);
        const digest = (BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0);
        expect(digest).to.equal(sipModel(k, bytesOf(words), 64, [2, 4]));
      }),
    );
  });

  it('has a key of 128 bits, all of which count [A11]', () => {
    const words = Int32Array.of(1, 2, 3);
    const digests = new Set<string>();
    for (let bit = -1; bit < 128; bit++) {
      let next = 0;
      const hash = new SipHash({ uint32: () => (bit >> 5 === next++ ? (1 << (bit & 31)) >>> 0 : 0) });
      hash.hash(words, 3);
      digests.add(hex(hash.low) + hex(hash.high));
    }
    expect(digests.size).to.equal(129);
  });
});

describe('TableHash', () => {
  it('is HalfSipHash-1-3, by the published vector [C21]', () => {
    const [x, y, z] = message(3);
    expect(new TableHash(vectorKey()).hash3(x, y, z) >>> 0).to.equal(HALF_SIPHASH_1_3);
  });

  it('agrees with the paper for any key and message', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(fc.integer(), word, word, word, (seed, x, y, z) => {
        const key = new SeededRandom(seed);
        const k = [BigInt(key.uint32()), BigInt(key.uint32())];
        const expected = sipModel(k, bytesOf(Int32Array.of(x, y, z)), 32, [1, 3]);
        expect(BigInt(new TableHash(new SeededRandom(seed)).hash3(x, y, z) >>> 0)).to.equal(expected);
      }),
    );
  });

  it('hashes lists of any length, each differently', () => {
    const hash = new TableHash(new SeededRandom(1));
    const words = message(12);
    const digests = new Set(Array.from({ length: 13 }, (_, count) => hash.hashWords(words, count)));
    expect(digests.size).to.equal(13);
    for (let i = 0; i < 12; i++) {
      const changed = words.slice();
      changed[i] ^= 1 << 31;
      expect(hash.hashWords(changed, 12)).to.not.equal(hash.hashWords(words, 12));
    }
  });

  it('spreads keys that an attacker would choose, differently in every instance [C21]', () => {
    for (const seed of [1, 2, 3]) {
      const hash = new TableHash(new SeededRandom(seed));
      const buckets = new Array<number>(256).fill(0);
      for (let i = 0; i < 25_600; i++) buckets[hash.hash3(0x0a00_0001, 0x0a00_0002, i << 8) & 255]++;
      expect(Math.max(...buckets)).to.be.lessThan(160);
      expect(Math.min(...buckets)).to.be.greaterThan(50);
    }
    const digests = [1, 2].map((seed) => new TableHash(new SeededRandom(seed)).hash3(1, 2, 3));
    expect(digests[0]).to.not.equal(digests[1]);
  });
});
