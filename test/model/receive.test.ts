/**
 * The receiving half of a connection against a naive twin: an array of bytes and a flag for each. Segments
 * come in any order, overlap with other content, repeat, reach out of the window on either side and carry
 * FINs; the application reads now and then, or has what arrives delivered at once.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { seqDiff } from '../../lib/base/seq.js';
import { TcpFlag } from '../../lib/wire/tcp.js';
import { Peer, type PeerOptions } from '../support/peer.js';

const STREAM_BYTES = 60_000;

/** The receiver as one would write it who has never heard of memory, rings or ranges. Positions begin at 1. */
class Twin {
  readonly bytes = new Uint8Array(STREAM_BYTES);
  readonly present = new Uint8Array(STREAM_BYTES);
  /** The first byte that is missing, the next to be read, and where the stream ends. */
  next = 1;
  read = 1;
  end = Number.POSITIVE_INFINITY;
  /** The largest right edge offered. */
  edge: number;

  constructor(edge: number) {
    this.edge = edge;
  }

  get isEnded(): boolean {
    return this.next >= this.end;
  }

  /** RCV.NXT: the FIN takes a number. */
  get ack(): number {
    return this.isEnded ? this.end + 1 : this.next;
  }

  arrive(start: number, text: Uint8Array, fin: boolean): void {
    if (this.isEnded) return;
    const finAt = start + text.length;
    // Where the stream ends is known from the earliest FIN inside the window; what lay beyond was none of it.
    if (fin && finAt >= this.next && finAt < this.edge && finAt < this.end) {
      this.end = finAt;
      this.present.fill(0, finAt);
    }
    for (let i = 0; i < text.length; i++) {
      const at = start + i;
      // Contiguous bytes never change; of what waits the latest arrival counts.
      if (at < this.next || at >= this.edge || at >= this.end) continue;
      this.bytes[at] = text[i];
      this.present[at] = 1;
    }
    while (this.next < this.end && this.present[this.next] === 1) this.next++;
  }

  /** The bytes the application must get when it asks for so many. */
  take(length: number): Uint8Array {
    const bytes = this.bytes.slice(this.read, Math.min(this.next, this.read + length));
    this.read += bytes.length;
    return bytes;
  }
}

type Step =
  | {
      readonly kind: 'segment';
      readonly at: number;
      readonly length: number;
      readonly fin: boolean;
      readonly seed: number;
    }
  | {
      readonly kind: 'edge';
      readonly over: number;
      readonly length: number;
      readonly fin: boolean;
      readonly seed: number;
    }
  | { readonly kind: 'read'; readonly length: number }
  | { readonly kind: 'time'; readonly ms: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('segment' as const),
        // Mostly around RCV.NXT, where things happen.
        at: fc.oneof(
          fc.constant(0),
          fc.integer({ min: -300, max: 900 }),
          fc.integer({ min: -3000, max: 6000 }),
        ),
        length: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 1400 })),
        fin: fc.integer({ min: 0, max: 24 }).map((n) => n === 0),
        seed: fc.integer({ min: 0, max: 255 }),
      }),
    },
    {
      // Around the right edge of the window.
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('edge' as const),
        over: fc.oneof(fc.constant(0), fc.integer({ min: -40, max: 40 })),
        length: fc.integer({ min: 0, max: 400 }),
        fin: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
        seed: fc.integer({ min: 0, max: 255 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('read' as const), length: fc.integer({ min: 1, max: 3000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 50, 1500) }),
    },
  ),
  { minLength: 1, maxLength: 70 },
);

const settings = fc.record({
  ipv6: fc.boolean(),
  sack: fc.boolean(),
  timestamps: fc.boolean(),
  windowScale: fc.constantFrom(-1, 0, 7),
  irs: fc.constantFrom(0x1000_0000, 0xffff_fff0, 0x7fff_fff0, 0xffff_f000),
  receiveBufferBytes: fc.constantFrom(1500, 4000, 20_000, 131_072),
  receiveBufferMaxBytes: fc.constantFrom(20_000, 6 << 20, 64 << 20),
  sink: fc.boolean(),
});
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;

const textOf = (seed: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >> 8)) & 0xff);

/** One run: the stack, the twin, and the comparison after every step. */
class Run {
  readonly peer: Peer;
  readonly twin: Twin;
  readonly #unit: number;
  readonly #delivered: number[] = [];

  constructor(choice: Settings) {
    const { receiveBufferBytes, receiveBufferMaxBytes, sink, ...peerOptions } = choice;
    const options: PeerOptions = { ...peerOptions, options: { receiveBufferBytes, receiveBufferMaxBytes } };
    this.peer = Peer.established(options);
    const receiver = this.peer.endpoint.connection.receiver ?? expect.fail('a receiver');
    this.#unit = 2 ** receiver.windowShift;
    this.twin = new Twin(1 + seqDiff(receiver.rcvAdv, receiver.rcvNxt));
    if (sink) {
      this.peer.endpoint.setSink({
        take: (bytes, at, length) => {
          for (let i = 0; i < length; i++) this.#delivered.push(bytes[at + i]);
          return true;
        },
      });
    }
  }

  step(step: Step): void {
    const { peer, twin } = this;
    if (step.kind === 'read') this.#read(step.length);
    else if (step.kind === 'time') peer.advanceMs(step.ms);
    else {
      const start = Math.max(
        -5000,
        step.kind === 'edge' ? twin.edge + step.over - step.length : twin.next + step.at,
      );
      if (start + step.length < STREAM_BYTES) this.#segment(start, step);
    }
    this.compare();
  }

  #segment(start: number, step: { length: number; fin: boolean; seed: number }): void {
    const payload = textOf(step.seed, step.length);
    const flags = step.fin ? 'F.' : '.';
    this.peer.send(`< ${flags} ${start}:${start + step.length}(${step.length}) ack 1`, { payload });
    this.twin.arrive(start, payload, step.fin);
    this.#takeDelivered();
  }

  /** What went past the buffer counts as read. */
  #takeDelivered(): void {
    const expected = this.twin.take(this.#delivered.length);
    expect(Uint8Array.from(this.#delivered), 'bytes delivered').to.deep.equal(expected);
    this.#delivered.length = 0;
  }

  #read(length: number): void {
    expect(this.peer.read(length), 'bytes read').to.deep.equal(this.twin.take(length));
  }

  /** The stack says what the twin says. */
  compare(): void {
    const { peer, twin } = this;
    const receiver = peer.endpoint.connection.receiver ?? expect.fail('a receiver');
    expect(1 + ((seqDiff(receiver.rcvNxt, receiver.irs) - 1) >>> 0), 'RCV.NXT').to.equal(twin.ack);
    expect(peer.endpoint.readableBytes, 'bytes to read').to.equal(twin.next - twin.read);
    expect(receiver.finReceived, 'end of the stream').to.equal(twin.isEnded);
    for (const { line, text } of peer.drain()) {
      expect(line.flags & (TcpFlag.RST | TcpFlag.SYN), text).to.equal(0);
      expect(line.ack, text).to.be.at.most(twin.ack);
      twin.edge = Math.max(twin.edge, (line.ack ?? 0) + (line.window ?? 0) * this.#unit);
      this.#checkBlocks(line.options ?? [], line.ack ?? 0, text);
    }
  }

  /** SACK blocks speak only of bytes that are there, and of the FIN, which stands behind the last. */
  #checkBlocks(options: readonly string[], ack: number, text: string): void {
    const sack = options.find((option) => option.startsWith('sack '));
    for (const block of sack?.split(' ').slice(1) ?? []) {
      const [start, end] = block.split(':').map(Number);
      if (end <= ack) continue;
      for (let at = start; at < end; at++) {
        const isThere = this.twin.present[at] === 1 || at === this.twin.end;
        if (!isThere && at >= this.twin.next) expect.fail(`${at} is not there: ${text}`);
      }
    }
  }

  /** Everything missing is sent; then all of the stream must have been read, byte for byte. */
  finish(): void {
    const { peer, twin } = this;
    for (let round = 0; round < 200 && !twin.isEnded && twin.next < 30_000; round++) {
      const end = Math.min(twin.next + 1000, twin.end, Math.max(twin.edge, twin.next + 1));
      this.#segment(twin.next, { length: end - twin.next, fin: false, seed: round });
      this.compare();
      this.#read(100_000);
      peer.advanceMs(250);
      this.compare();
    }
    this.#read(100_000);
    expect(peer.endpoint.readableBytes).to.equal(0);
    peer.advanceMs(300);
    this.compare();
    expect(peer.last?.line.ack, 'the last ACK').to.equal(twin.ack);
    peer.host.finish();
  }
}

describe('a receiver and its naive twin', () => {
  it('agree on every byte, ACK, block and end, whatever segments come in whatever order [SHLD-31, SACK-8, F7]', () => {
    fc.assert(
      fc.property(settings, steps, (choice, list) => {
        const run = new Run(choice);
        for (const step of list) run.step(step);
        run.finish();
      }),
      { numRuns: 100, seed: 1234 },
    );
  });

  it('agree where a stream is cut into pieces, shuffled and repeated', () => {
    const plan = fc.record({
      cuts: fc.array(fc.integer({ min: 1, max: 11_999 }), { minLength: 5, maxLength: 60 }),
      order: fc.array(fc.nat(10_000), { minLength: 60, maxLength: 120 }),
      choice: settings,
    });
    fc.assert(
      fc.property(plan, ({ cuts, order, choice }) => {
        const run = new Run({ ...choice, receiveBufferBytes: 20_000 });
        const borders = [...new Set([0, ...cuts, 12_000])].sort((a, b) => a - b);
        for (const pick of order) {
          const first = pick % (borders.length - 1);
          const last = Math.min(borders.length - 1, first + 1 + (pick % 3));
          const start = borders[first];
          for (let at = start; at < borders[last]; at += 1400) {
            const length = Math.min(1400, borders[last] - at);
            // The same stream each time: content follows from the place.
            const payload = Uint8Array.from({ length }, (_, i) => (at + i) % 251);
            run.peer.send(`< . ${1 + at}:${1 + at + length}(${length}) ack 1`, { payload });
            run.twin.arrive(1 + at, payload, false);
            run.peer.drain();
          }
        }
        run.finish();
      }),
      { numRuns: 30, seed: 99 },
    );
  });
});
