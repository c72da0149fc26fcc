import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seqAdd, seqDiff } from '../../../lib/base/seq.js';
import { SendBuffer } from '../../../lib/buffer/send-buffer.js';
import { starts, viewOf } from './starts.js';

const numbered = (length: number, first: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i * 3) & 0xff);

const action = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('write' as const), fc.integer({ min: 1, max: 6000 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('release' as const), fc.integer({ min: -100, max: 6000 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('copy' as const), fc.integer({ min: 0, max: 100_000 })) },
);

describe('the send buffer', () => {
  it('agrees with an array of bytes about any writes, copies and releases, across every wrap', () => {
    fc.assert(
      fc.property(starts, fc.array(action, { maxLength: 40 }), (start, actions) => {
        const buffer = new SendBuffer(start);
        let twin: number[] = [];
        let first: Seq = start;
        let lent: { readonly bytes: Uint8Array; readonly expected: readonly number[] }[] = [];
        for (const [what, amount] of actions) {
          if (what === 'write') {
            const bytes = numbered(amount + 7, amount);
            buffer.write(bytes, 7, amount);
            twin = twin.concat(Array.from(bytes.subarray(7)));
          } else if (what === 'release') {
            const upTo = Math.min(amount, twin.length);
            buffer.release(seqAdd(first, upTo));
            lent = [];
            if (upTo > 0) {
              twin = twin.slice(upTo);
              first = seqAdd(first, upTo);
            }
          } else if (twin.length > 0) {
            const from = amount % twin.length;
            const length = Math.min(1460, twin.length - from);
            const out = new Uint8Array(length + 2);
            buffer.copyTo(seqAdd(first, from), viewOf(out), 2, length);
            const expected = twin.slice(from, from + length);
            expect(Array.from(out.subarray(2))).to.deep.equal(expected);
            const lend = (memory: Uint8Array, at: number): boolean => {
              lent.push({ bytes: memory.subarray(at, at + length), expected });
              return true;
            };
            const isLent = buffer.lendTo({ lend }, seqAdd(first, from), length);
            if (length < 1024 || buffer.memoryBytes <= 4096) expect(isLent).to.equal(false);
          }
          for (const { bytes, expected } of lent) expect(Array.from(bytes)).to.deep.equal(expected);
          expect(buffer.length).to.equal(twin.length);
          expect(seqDiff(buffer.start, first)).to.equal(0);
          expect(seqDiff(buffer.end, buffer.start)).to.equal(twin.length);
          expect(buffer.memoryBytes).to.be.at.least(twin.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('lends what lies in one piece, and no memory that another buffer may have next', () => {
    const taken: { memory: Uint8Array; at: number; length: number }[] = [];
    const taker = {
      lend(memory: Uint8Array, at: number, length: number): boolean {
        taken.push({ memory, at, length });
        return true;
      },
    };
    const buffer = new SendBuffer(0 as Seq);
    buffer.write(numbered(4096, 1), 0, 4096);
    // The smallest memories serve one buffer after another.
    expect(buffer.lendTo(taker, 0 as Seq, 4096)).to.equal(false);
    buffer.write(numbered(4096, 2), 0, 4096);
    expect(buffer.lendTo(taker, 0 as Seq, 1023), 'little').to.equal(false);
    expect(buffer.lendTo(taker, 1000 as Seq, 7192)).to.equal(true);
    buffer.release(4096 as Seq);
    buffer.write(numbered(1000, 3), 0, 1000);
    expect(buffer.lendTo(taker, 5000 as Seq, 4000), 'around the end').to.equal(false);
    const [{ memory, at, length }] = taken;
    expect(taken).to.have.length(1);
    expect([at, length]).to.deep.equal([1000, 7192]);
    expect(memory.slice(4096, 8192)).to.deep.equal(numbered(4096, 2));
    expect(buffer.lendTo({ lend: () => false }, 5000 as Seq, 2000), 'refused').to.equal(false);
  });

  it('keeps what was written although the writer uses its memory again', () => {
    const buffer = new SendBuffer(0 as Seq);
    const memory = numbered(3000, 1);
    const written = memory.slice();
    buffer.write(memory, 0, 3000);
    memory.fill(0xee);
    const out = new Uint8Array(3000);
    buffer.copyTo(0 as Seq, viewOf(out), 0, 3000);
    expect(out).to.deep.equal(written);
  });

  it('gives large memory back when asked to after everything is released, and the rest when trimmed', () => {
    const buffer = new SendBuffer(9 as Seq);
    buffer.write(new Uint8Array(1_500_000), 0, 1_500_000);
    expect(buffer.memoryBytes).to.equal(2 << 20);
    buffer.trimLarge();
    expect(buffer.memoryBytes, 'bytes are held').to.equal(2 << 20);
    buffer.release(buffer.end);
    buffer.trimLarge();
    expect(buffer.memoryBytes).to.equal(0);
    buffer.write(new Uint8Array(5000), 0, 5000);
    buffer.trimLarge();
    buffer.trim();
    expect(buffer.memoryBytes, 'bytes are held').to.equal(8192);
    buffer.release(buffer.end);
    expect(buffer.memoryBytes, 'kept for the next write').to.equal(8192);
    buffer.trim();
    expect(buffer.memoryBytes).to.equal(0);
    buffer.write(new Uint8Array(100), 0, 100);
    buffer.clear();
    expect(buffer.memoryBytes).to.equal(0);
    expect(buffer.length).to.equal(0);
  });

  it('gives the least memory back at once, for whoever writes next', () => {
    const [buffer, other] = [new SendBuffer(9 as Seq), new SendBuffer(9 as Seq)];
    for (let i = 1; i < 100; i++) {
      buffer.write(new Uint8Array(10).fill(i), 0, 10);
      expect(buffer.memoryBytes, 'bytes are held').to.equal(4096);
      other.write(new Uint8Array(10).fill(-i), 0, 10);
      const read = new Uint8Array(10);
      buffer.copyTo(buffer.start, new DataView(read.buffer), 0, 10);
      expect(read).to.deep.equal(new Uint8Array(10).fill(i));
      buffer.release(buffer.end);
      other.release(other.end);
      expect(buffer.memoryBytes + other.memoryBytes).to.equal(0);
    }
  });

  it('may be released one beyond its end, as by the ACK of a FIN', () => {
    const buffer = new SendBuffer(0 as Seq);
    buffer.write(new Uint8Array(10), 0, 10);
    buffer.release(11 as Seq);
    expect(buffer.length).to.equal(0);
  });
});
