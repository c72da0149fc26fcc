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
        for (const [what, amount] of actions) {
          if (what === 'write') {
            const bytes = numbered(amount + 7, amount);
            buffer.write(bytes, 7, amount);
            twin = twin.concat(Array.from(bytes.subarray(7)));
          } else if (what === 'release') {
            const upTo = Math.min(amount, twin.length);
            buffer.release(seqAdd(first, upTo));
            if (upTo > 0) {
              twin = twin.slice(upTo);
              first = seqAdd(first, upTo);
            }
          } else if (twin.length > 0) {
            const from = amount % twin.length;
            const length = Math.min(1460, twin.length - from);
            const out = new Uint8Array(length + 2);
            buffer.copyTo(seqAdd(first, from), viewOf(out), 2, length);
            expect(Array.from(out.subarray(2))).to.deep.equal(twin.slice(from, from + length));
          }
          expect(buffer.length).to.equal(twin.length);
          expect(seqDiff(buffer.start, first)).to.equal(0);
          expect(seqDiff(buffer.end, buffer.start)).to.equal(twin.length);
          expect(buffer.memoryBytes).to.be.at.least(twin.length);
        }
      }),
      { numRuns: 300 },
    );
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
