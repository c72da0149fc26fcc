/**
 * The right edge of the window under random traffic: it never moves left, what it promises is kept, and it
 * is not promised without end.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { seqDiff } from '../../lib/base/seq.js';
import { Peer, type SentSegment } from '../support/peer.js';

const step = fc.oneof(
  // Text in order, beyond a gap, old text, and text up to the very edge.
  { weight: 6, arbitrary: fc.tuple(fc.constant('text' as const), fc.integer({ min: 1, max: 1460 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('small' as const), fc.integer({ min: 1, max: 40 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('gap' as const), fc.integer({ min: 1, max: 5000 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('old' as const), fc.integer({ min: 1, max: 1000 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('fill' as const), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('beyond' as const), fc.integer({ min: 1, max: 3000 })) },
  // The application reads and writes; time passes; others take memory and give it back.
  { weight: 3, arbitrary: fc.tuple(fc.constant('read' as const), fc.integer({ min: 1, max: 20_000 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('write' as const), fc.integer({ min: 1, max: 500 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('time' as const), fc.constantFrom(1, 30, 250, 2000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('others' as const), fc.constantFrom(-1, 1)) },
);

const settings = fc.record({
  ipv6: fc.boolean(),
  timestamps: fc.boolean(),
  sack: fc.boolean(),
  windowScale: fc.constantFrom(-1, 0, 7, 14),
  irs: fc.constantFrom(0x1000_0000, 0xffff_fff0, 0x7fff_f000),
  options: fc.record({
    receiveBufferBytes: fc.constantFrom(2000, 10_000, 65_535, 131_072),
    receiveBufferMaxBytes: fc.constantFrom(10_000, 1 << 20, 6 << 20, 1 << 30),
    windowClampBytes: fc.constantFrom(0, 0, 5000, 40_000),
    quickAck: fc.boolean(),
  }),
});

class Watch {
  readonly peer: Peer;
  readonly unit: number;
  /** The largest edge offered on the wire, by the window of the SYN-ACK first. */
  edge: number;
  /** The largest edge by the receiver's own account. */
  #account = 0;
  #others = 0;

  constructor(choice: Omit<Parameters<typeof Peer.established>[0] & object, 'tcp'>) {
    const tcp = { memoryPressureBytes: 300_000 };
    this.peer = Peer.listening({ mss: 1460, tcp, ...choice }).sendSyn();
    const [synAck] = this.peer.drain();
    // Never scaled (RFC 7323 §2.2).
    this.edge = 1 + (synAck.line.window ?? 0);
    this.peer.advanceMs(20).send('< . 1:1(0) ack 1');
    this.unit = 2 ** this.receiver.windowShift;
    this.look();
  }

  get receiver() {
    return this.peer.endpoint.connection.receiver ?? expect.fail('a receiver');
  }

  /** RCV.NXT as the peer counts. */
  get next(): number {
    return 1 + ((seqDiff(this.receiver.rcvNxt, this.receiver.irs) - 1) >>> 0);
  }

  step(kind: string, n: number): void {
    const { peer, next, edge } = this;
    const text = (start: number, end: number): void => {
      for (let at = start; at < end; at += 1460) {
        const stop = Math.min(at + 1460, end);
        peer.send(`< . ${at}:${stop}(${stop - at}) ack ${peer.rcvNxt}`);
        this.look();
      }
    };
    if (kind === 'text' || kind === 'small') text(next, Math.min(next + n, edge));
    else if (kind === 'gap') text(next + n, Math.min(next + n + 700, edge));
    else if (kind === 'old') text(Math.max(1, next - n), next);
    else if (kind === 'fill') text(Math.max(next, edge - 200_000), edge);
    else if (kind === 'beyond') text(edge, edge + n);
    else if (kind === 'read') peer.read(n);
    else if (kind === 'write') peer.write(n);
    else if (kind === 'time') peer.advanceMs(n);
    else this.others(n);
    peer.ackAll();
    this.look();
  }

  /** Memory that other connections hold: under pressure no window may grow, and none shrinks. */
  others(change: number): void {
    const { memory } = this.peer.endpoint.connection.parameters;
    if (change > 0 && this.#others === 0) this.#others = 400_000;
    else if (change < 0 && this.#others > 0) this.#others = -400_000;
    else return;
    memory.changed(this.#others);
    if (this.#others < 0) this.#others = 0;
  }

  look(): void {
    const account = this.next + this.receiver.rcvWnd;
    expect(account, 'RCV.NXT + RCV.WND').to.be.at.least(this.#account);
    this.#account = account;
    for (const segment of this.peer.drain()) this.#check(segment);
    expect(this.edge, 'what was offered is known').to.be.at.most(account);
  }

  #check({ line, text }: SentSegment): void {
    const edge = (line.ack ?? 0) + (line.window ?? 0) * this.unit;
    if (edge < this.edge) {
      // Only where rounding up would promise more than the buffer will hold, and by less than a unit.
      expect(edge, text).to.be.greaterThan(this.edge - this.unit);
      const remaining = Math.ceil((this.edge - (line.ack ?? 0)) / this.unit) * this.unit;
      const { tuner, readableBytes } = this.receiver;
      expect(readableBytes + remaining, text).to.be.greaterThan(tuner.hardLimitBytes);
    }
    this.edge = Math.max(this.edge, edge);
    // A promise is bounded: by the buffer, what rounding adds, and the largest window there is.
    expect((line.window ?? 0) * this.unit).to.be.at.most(1_073_725_440);
  }

  /** Everything up to the edge is taken, and nothing behind it. */
  finish(): void {
    const { peer } = this;
    this.others(-1);
    for (let round = 0; round < 4 && this.next < this.edge; round++) {
      const end = Math.min(this.edge, this.next + 200_000);
      for (let at = this.next; at < end; at += 1460) {
        const stop = Math.min(at + 1460, end);
        peer.send(`< . ${at}:${stop}(${stop - at}) ack ${peer.rcvNxt}`);
      }
      if (end < this.edge) peer.read(200_000);
      const { edge } = this;
      this.look();
      expect(this.next, 'text inside the window is taken').to.be.at.least(end);
      if (end === edge) break;
    }
    peer.host.finish();
  }
}

describe('the right edge of the window', () => {
  it('never moves left, and all up to it is taken (RFC 9293 §3.8.6, RFC 7323 §2.4) [SHLD-14, WIN-2, WS-8]', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { minLength: 5, maxLength: 60 }), (choice, steps) => {
        const watch = new Watch(choice);
        for (const [kind, n] of steps) watch.step(kind, n);
        watch.finish();
      }),
      { numRuns: 120, seed: 14 },
    );
  });

  it('never moves left on the wire where windows are not scaled, or what arrives is whole units [SHLD-14, WS-8]', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 20, maxLength: 80 });
    fc.assert(
      fc.property(sizes, fc.constantFrom(0, 1 << 20, 6 << 20), (list, receiveBufferMaxBytes) => {
        const scaled = receiveBufferMaxBytes > 0;
        const options = { receiveBufferBytes: 20_000, ...(scaled ? { receiveBufferMaxBytes } : {}) };
        const watch = new Watch({ windowScale: scaled ? 7 : -1, options });
        const unit = scaled ? watch.unit : 37;
        let edge = 0;
        for (const n of list) {
          const room = Math.floor((watch.edge - watch.next) / unit);
          const length = unit * Math.min(n, room, Math.floor(1460 / unit));
          const { sndNxt } = watch.peer;
          if (length > 0) watch.peer.send(`< . ${sndNxt}:${sndNxt + length}(${length}) ack 1`);
          if (n % 5 === 0) watch.peer.read(n * 300);
          watch.peer.advanceMs(n % 3 === 0 ? 250 : 0);
          for (const { line, text } of watch.peer.drain()) {
            const offered = (line.ack ?? 0) + (line.window ?? 0) * watch.unit;
            expect(offered, text).to.be.at.least(edge);
            edge = Math.max(edge, offered);
            watch.edge = Math.max(watch.edge, offered);
          }
        }
        watch.peer.host.finish();
      }),
      { numRuns: 40, seed: 8 },
    );
  });
});
