import { expect } from 'chai';
import { nativeAddon } from '../../lib/link/tun-addon.js';
import { foldSum, sumBytes } from '../../lib/wire/checksum.js';

describe('native checksums', function () {
  this.timeout(20_000);
  const bytes = new Uint8Array(70_000);
  const view = new DataView(bytes.buffer);
  before(() => {
    let state = 12345;
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) | 0;
      bytes[i] = state >>> 16;
    }
  });

  it('come plain, and in what this processor has', () => {
    const names = Object.keys(nativeAddon().checksums);
    expect(names[0]).to.equal('plain');
    expect(names.slice(1).every((name) => ['sse2', 'avx2', 'neon'].includes(name))).to.equal(true);
    if (process.arch === 'x64') expect(names).to.include('sse2');
    if (process.arch === 'arm64') expect(names).to.include('neon');
  });

  it('are the same in all variants and in TypeScript, for every length to 2000 and every alignment [E12]', () => {
    const { checksums } = nativeAddon();
    const variants = Object.values(checksums);
    for (let length = 0; length <= 2000; length++) {
      const offset = length % 67;
      const expected = foldSum(sumBytes(view, offset, length));
      for (const checksum of variants) {
        if (checksum(bytes, offset, length) !== expected) expect.fail(`${length} bytes at ${offset}`);
      }
    }
    for (let offset = 0; offset < 64; offset++) {
      for (const length of [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 1460]) {
        const expected = foldSum(sumBytes(view, offset, length));
        for (const checksum of variants) {
          if (checksum(bytes, offset, length) !== expected) expect.fail(`${length} bytes at ${offset}`);
        }
      }
    }
  });

  it('are right at the corners: all zeros, all ones, 65,535 bytes, an initial sum [E12]', () => {
    const ones = new Uint8Array(65_535).fill(0xff);
    const zeros = new Uint8Array(65_535);
    for (const [name, checksum] of Object.entries(nativeAddon().checksums)) {
      expect(checksum(zeros, 0, 65_535), name).to.equal(0);
      expect(checksum(ones, 0, 65_534), name).to.equal(0xffff);
      expect(checksum(ones, 0, 65_535), name).to.equal(0xff00);
      expect(checksum(zeros, 0, 10, 0xffff), name).to.equal(0xffff);
      expect(checksum(zeros, 0, 0, 0x1fffe), name).to.equal(0xffff);
      expect(checksum(ones, 0, 2, 1), name).to.equal(1);
      const expected = foldSum(sumBytes(view, 0, 65_535, 4711));
      expect(checksum(bytes, 0, 65_535, 4711), name).to.equal(expected);
    }
  });

  it('refuse to read outside', () => {
    const { checksum } = nativeAddon();
    for (const [offset, length] of [
      [0, 70_001],
      [70_000, 1],
      [-1, 1],
      [0, -1],
      [2 ** 40, 1],
      [Number.NaN, 70_001],
    ]) {
      expect(() => checksum(bytes, offset, length), `${offset} ${length}`).to.throw(RangeError);
    }
    expect(() => checksum('text' as unknown as Uint8Array, 0, 1)).to.throw(RangeError);
    expect(() => checksum(new Uint16Array(9) as unknown as Uint8Array, 0, 1)).to.throw(RangeError);
    expect(checksum(bytes, 70_000, 0)).to.equal(0);
  });
});
