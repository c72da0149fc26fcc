import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { absorb, pour } from '../../lib/cli/demo/bulk.js';

describe('demo: bulk data', () => {
  it('arrives intact when nothing happens to it', async () => {
    const wire = new PassThrough();
    const bytes = 2_345_678;
    const [sent, received] = await Promise.all([pour(wire, { bytes, limitMs: 10_000 }), absorb(wire)]);
    expect(sent).to.equal(bytes);
    expect(received).to.deep.equal({ bytes, intact: true });
  });

  for (const [what, spoil] of [
    ['a byte changes', (data: Buffer) => data.fill(data[1_500_000] ^ 1, 1_500_000, 1_500_001)],
    ['a piece is missing', (data: Buffer) => Buffer.concat([data.subarray(0, 1000), data.subarray(2448)])],
    [
      'a piece comes twice',
      (data: Buffer) => Buffer.concat([data.subarray(0, 1448), data.subarray(0, 1448), data.subarray(2896)]),
    ],
  ] as const) {
    it(`is seen to be broken when ${what}`, async () => {
      const wire = new PassThrough();
      const pieces: Buffer[] = [];
      wire.on('data', (piece: Buffer) => pieces.push(piece));
      const ended = once(wire, 'end');
      await pour(wire, { bytes: 2_000_000, limitMs: 10_000 });
      await ended;
      const spoilt = new PassThrough();
      spoilt.end(spoil(Buffer.concat(pieces)));
      expect((await absorb(spoilt)).intact).to.equal(false);
    });
  }

  it('ends when its time is up', async () => {
    const wire = new PassThrough();
    wire.resume();
    expect(await pour(wire, { bytes: Number.MAX_SAFE_INTEGER, limitMs: 20 })).to.be.within(1, 1e11);
  });
});
