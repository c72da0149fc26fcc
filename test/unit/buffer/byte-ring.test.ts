import { expect } from 'chai';
import { ByteRing } from '../../../lib/buffer/byte-ring.js';
import { viewOf } from './starts.js';

const numbered = (length: number, first = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

describe('a ring of bytes', () => {
  it('costs nothing until it is used, then a power of two of at least 4096', () => {
    const ring = new ByteRing();
    expect(ring.capacity).to.equal(0);
    ring.ensure(0, 0, 1);
    expect(ring.capacity).to.equal(4096);
    ring.ensure(0, 0, 4097);
    expect(ring.capacity).to.equal(8192);
    ring.free();
    expect(ring.capacity).to.equal(0);
  });

  for (const from of [0, 4095, -1, 0x7fff_ffff, -0x8000_0000, 123_456_789]) {
    it(`keeps its content where it grows, from position ${from}`, () => {
      const ring = new ByteRing();
      const content = numbered(4096, 5);
      ring.ensure(from, 0, 4096);
      ring.put(from, viewOf(content), 0, 4096);
      for (const length of [4097, 9000, 70_000]) {
        ring.ensure(from, 4096, length);
        const out = new Uint8Array(4096);
        ring.get(from, viewOf(out), 0, 4096);
        expect(out).to.deep.equal(content);
        out.fill(0);
        ring.read(from, out, 0, 4096);
        expect(out).to.deep.equal(content);
      }
    });
  }

  it('takes and gives the same bytes through views and through arrays, around its end', () => {
    const source = numbered(300, 7);
    for (const length of [0, 1, 3, 4, 31, 32, 33, 47, 64, 200]) {
      for (const from of [0, 4090, 4095, -100]) {
        const ring = new ByteRing();
        ring.ensure(from, 0, 4096);
        if (from < 0) ring.write(from, source, 11, length);
        else ring.put(from, viewOf(source), 11, length);
        for (const asPacket of [true, false]) {
          const target = new Uint8Array(400);
          if (asPacket) ring.get(from, viewOf(target), 20, length);
          else ring.read(from, target, 20, length);
          expect(target.subarray(20, 20 + length)).to.deep.equal(source.subarray(11, 11 + length));
          expect(target.subarray(0, 20).every((byte) => byte === 0)).to.equal(true);
          expect(target.subarray(20 + length).every((byte) => byte === 0)).to.equal(true);
        }
      }
    }
  });

  it('takes and gives nothing also while it has no memory, wherever it stands', () => {
    const ring = new ByteRing();
    const bytes = numbered(10);
    for (const position of [0, 1, 5000, -1, -0x8000_0000]) {
      ring.write(position, bytes, 3, 0);
      ring.read(position, bytes, 3, 0);
      ring.put(position, viewOf(bytes), 3, 0);
      ring.get(position, viewOf(bytes), 3, 0);
    }
    expect(bytes).to.deep.equal(numbered(10));
    expect(ring.capacity).to.equal(0);
  });
});
