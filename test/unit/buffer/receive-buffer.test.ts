import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seqAdd, seqDiff } from '../../../lib/base/seq.js';
import { ReceiveBuffer } from '../../../lib/buffer/receive-buffer.js';
import { starts, viewOf } from './starts.js';

/** The same as a sparse array of bytes by their place in the stream. */
class NaiveStream {
  readonly bytes = new Map<number, number>();
  /** Place of the next byte to be read, and of the first that is missing. */
  read = 0;
  end = 0;

  put(at: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.bytes.set(at + i, bytes[i]);
  }

  advance(): void {
    while (this.bytes.has(this.end)) this.end++;
  }

  take(length: number): number[] {
    const taken: number[] = [];
    for (; taken.length < length && this.read < this.end; this.read++)
      taken.push(this.bytes.get(this.read) ?? -1);
    return taken;
  }

  /** Ranges beyond the first gap. */
  waiting(): [number, number][] {
    const ranges: [number, number][] = [];
    for (const place of [...this.bytes.keys()].filter((at) => at > this.end).sort((a, b) => a - b)) {
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === place) last[1]++;
      else ranges.push([place, place + 1]);
    }
    return ranges;
  }
}

const size = fc.integer({ min: 1, max: 3000 });
const action = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('append' as const), size, fc.constant(0)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('insert' as const), size, fc.integer({ min: 1, max: 9000 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('read' as const), size, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('peek' as const), size, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('dropHighest' as const), fc.constant(0), fc.constant(0)) },
);

type Action = readonly ['append' | 'insert' | 'read' | 'peek' | 'dropHighest', number, number];

/** Does the same to both. Each arrival has bytes of its own, so that overlaps differ. */
function act(buffer: ReceiveBuffer, twin: NaiveStream, [what, length, gap]: Action, salt: number): void {
  const arrival = Uint8Array.from({ length: length + 5 }, (_, i) => (salt * 41 + i) & 0xff);
  const text = arrival.subarray(5);
  if (what === 'append') {
    buffer.append(viewOf(arrival), 5, length);
    twin.put(twin.end, text);
    twin.advance();
  } else if (what === 'insert') {
    expect(buffer.insert(seqAdd(buffer.end, gap), viewOf(arrival), 5, length)).to.be.at.least(0);
    twin.put(twin.end + gap, text);
  } else if (what === 'dropHighest') {
    buffer.dropHighest();
    const last = twin.waiting().at(-1);
    for (let at = last?.[0] ?? 0; at < (last?.[1] ?? 0); at++) twin.bytes.delete(at);
  } else {
    const out = new Uint8Array(length + 3);
    const read = what === 'read' ? buffer.read(out, 3, length) : buffer.peek(out, 3, length);
    const before = twin.read;
    expect(Array.from(out.subarray(3, 3 + read))).to.deep.equal(twin.take(length));
    if (what === 'peek') twin.read = before;
  }
}

function compare(buffer: ReceiveBuffer, twin: NaiveStream, start: Seq): void {
  expect(seqDiff(buffer.readSequence, start)).to.equal(twin.read);
  expect(seqDiff(buffer.end, start)).to.equal(twin.end);
  expect(buffer.readableBytes).to.equal(twin.end - twin.read);
  const { waiting } = buffer;
  const ranges = Array.from({ length: waiting?.count ?? 0 }, (_, i) => [
    seqDiff(waiting?.start(i) ?? start, start),
    seqDiff(waiting?.end(i) ?? start, start),
  ]);
  expect(ranges).to.deep.equal(twin.waiting());
  expect(buffer.hasGaps).to.equal(ranges.length > 0);
}

describe('the receive buffer', () => {
  it('agrees with a sparse array about any arrivals and reads, overlaps included, across every wrap', () => {
    fc.assert(
      fc.property(starts, fc.array(action, { maxLength: 30 }), (start, actions) => {
        const buffer = new ReceiveBuffer(start);
        const twin = new NaiveStream();
        actions.forEach((one, i) => {
          act(buffer, twin, one, i + 1);
          compare(buffer, twin, start);
        });
        // What is left comes out whole.
        const out = new Uint8Array(buffer.readableBytes);
        buffer.read(out, 0, out.length);
        expect(Array.from(out)).to.deep.equal(twin.take(out.length));
      }),
      { numRuns: 300 },
    );
  });

  it('never changes bytes in order, and lets text in order win over text that waits [F1]', () => {
    const buffer = new ReceiveBuffer(100 as Seq);
    const of = (byte: number, length: number): number[] => new Array<number>(length).fill(byte);
    const packet = (byte: number, length: number): DataView => viewOf(Uint8Array.from(of(byte, length)));
    buffer.append(packet(1, 10), 0, 10);
    buffer.insert(115 as Seq, packet(2, 10), 0, 10);
    // Fills the gap and overlaps what waits: its own bytes stand.
    buffer.append(packet(3, 8), 0, 8);
    const out = new Uint8Array(25);
    expect(buffer.read(out, 0, 25)).to.equal(25);
    expect(Array.from(out)).to.deep.equal([...of(1, 10), ...of(3, 8), ...of(2, 7)]);
  });

  it('refuses more gaps than it may have', () => {
    const buffer = new ReceiveBuffer(0 as Seq);
    const one = viewOf(Uint8Array.of(1));
    for (let i = 0; i < 1024; i++) expect(buffer.insert((2 * i + 1) as Seq, one, 0, 1)).to.equal(i);
    expect(buffer.insert(5000 as Seq, one, 0, 1)).to.equal(-1);
    expect(buffer.waiting?.count).to.equal(1024);
    // The refused byte did not get in: filling the first gap joins only the first range.
    buffer.append(one, 0, 1);
    expect(buffer.readableBytes).to.equal(2);
    expect(buffer.insert(5000 as Seq, one, 0, 1)).to.equal(1023);
  });

  it('skips what was delivered without being stored', () => {
    const buffer = new ReceiveBuffer(0xffff_fff0 as Seq);
    buffer.skip(0x20);
    expect(buffer.readSequence >>> 0).to.equal(0x10);
    buffer.append(viewOf(Uint8Array.of(7)), 0, 1);
    const out = new Uint8Array(1);
    expect(buffer.read(out, 0, 1)).to.equal(1);
    expect(out[0]).to.equal(7);
  });

  it('gives large memory back once it is empty, and the rest when trimmed or cleared', () => {
    const packet = (length: number): DataView => new DataView(new ArrayBuffer(length));
    const buffer = new ReceiveBuffer(0 as Seq);
    buffer.append(packet(1_500_000), 0, 1_500_000);
    expect(buffer.memoryBytes).to.equal(2 << 20);
    buffer.consume(1_500_000);
    expect(buffer.memoryBytes).to.equal(0);
    buffer.insert(seqAdd(buffer.end, 10_000), packet(100), 0, 100);
    buffer.trim();
    expect(buffer.memoryBytes, 'bytes wait').to.equal(16_384);
    buffer.dropHighest();
    buffer.trim();
    expect(buffer.memoryBytes).to.equal(0);
    buffer.append(packet(100), 0, 100);
    buffer.trim();
    expect(buffer.memoryBytes, 'bytes can be read').to.equal(4096);
    buffer.clear();
    expect(buffer.memoryBytes).to.equal(0);
    expect(buffer.hasGaps).to.equal(false);
    expect(buffer.readableBytes).to.equal(0);
  });
});
