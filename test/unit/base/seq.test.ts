import { expect } from 'chai';
import fc from 'fast-check';
import {
  seq,
  seqAdd,
  seqDiff,
  seqGe,
  seqGt,
  seqInWindow,
  seqLe,
  seqLt,
  seqMax,
  seqMin,
} from '../../../lib/base/seq.js';

const MOD = 1n << 32n;
/** A point on the circle, 0 .. 2^32-1. */
const point = (value: bigint): bigint => ((value % MOD) + MOD) % MOD;
/** The way from `b` to `a`, -2^31 .. 2^31-1. */
const way = (a: bigint, b: bigint): bigint => ((point(a - b) + MOD / 2n) % MOD) - MOD / 2n;
const unsigned = (value: number): bigint => BigInt(value >>> 0);

const EDGES = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff];
const number32 = fc.oneof(fc.constantFrom(...EDGES), fc.integer({ min: 0, max: 0xffff_ffff }));

describe('sequence numbers', () => {
  it('are signed 32-bit integers, whatever they are made of [G14]', () => {
    fc.assert(
      fc.property(fc.oneof(number32, fc.maxSafeInteger()), (value) => {
        const made = seq(value);
        expect(Object.is(made, made | 0)).to.equal(true);
        expect(unsigned(made)).to.equal(point(BigInt(value)));
      }),
    );
  });

  it('add and subtract as points on a circle of 2^32 [G14, F3]', () => {
    fc.assert(
      fc.property(number32, fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), (a, bytes) => {
        const sum = seqAdd(seq(a), bytes);
        expect(Object.is(sum, sum | 0)).to.equal(true);
        expect(unsigned(sum)).to.equal(point(BigInt(a) + BigInt(bytes)));
      }),
    );
    fc.assert(
      fc.property(number32, number32, (a, b) => {
        expect(BigInt(seqDiff(seq(a), seq(b)))).to.equal(way(BigInt(a), BigInt(b)));
      }),
    );
  });

  it('compare by the shorter way round, also across 2^31 and 2^32 [G14, F3]', () => {
    fc.assert(
      fc.property(number32, fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }), (start, distance) => {
        const b = seq(start);
        const a = seqAdd(b, distance);
        expect(seqLt(a, b)).to.equal(distance < 0);
        expect(seqLe(a, b)).to.equal(distance <= 0);
        expect(seqGt(a, b)).to.equal(distance > 0);
        expect(seqGe(a, b)).to.equal(distance >= 0);
        expect(seqMax(a, b)).to.equal(distance >= 0 ? a : b);
        expect(seqMin(a, b)).to.equal(distance <= 0 ? a : b);
      }),
    );
  });

  it('lie in a window or not, wherever it begins and however large it is [G14]', () => {
    fc.assert(
      fc.property(
        number32,
        number32,
        fc.oneof(fc.constantFrom(0, 1, 2 ** 30), fc.nat(2 ** 30)),
        (a, start, size) => {
          const inside = point(BigInt(a) - BigInt(start)) < BigInt(size);
          expect(seqInWindow(seq(a), seq(start), size)).to.equal(inside);
        },
      ),
    );
    expect(seqInWindow(seq(5), seq(5), 0)).to.equal(false);
    expect(seqInWindow(seq(3), seq(0xffff_fffe), 6)).to.equal(true);
    expect(seqInWindow(seq(4), seq(0xffff_fffe), 6)).to.equal(false);
  });
});
