/**
 * The sender against a naive twin: whatever is written, lost, acknowledged in part, and whatever windows
 * come and go, every byte leaves once in its order and is identical each time, and none goes beyond what
 * either window allows.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { Peer } from '../support/peer.js';
import type { SentSegment } from '../support/peer-wire.js';
import { finishAll } from '../support/scenario-hooks.js';

const FIN = 1;

type Step =
  | { readonly kind: 'write'; readonly bytes: number }
  /** The peer says what it has, or a part of it, and its window in units. */
  | { readonly kind: 'ack'; readonly share: number; readonly window: number; readonly sack: boolean }
  /** The same once more, as duplicate ACKs. */
  | { readonly kind: 'repeat'; readonly times: number }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Of what is sent from now on every `every`-th segment is lost; none with 0. */
  | { readonly kind: 'lose'; readonly every: number }
  /** A router says that the path is narrower. */
  | { readonly kind: 'narrow'; readonly mtu: number }
  | { readonly kind: 'noDelay'; readonly on: boolean }
  | { readonly kind: 'finish' };

const windowField = fc.oneof(
  fc.constantFrom(0, 1, 5, 0xffff, 0xffff, 0xffff),
  fc.integer({ min: 0, max: 3000 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('write'), bytes: fc.integer({ min: 1, max: 9000 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('ack'),
      share: fc.constantFrom(1, 1, 1, 0.3, 0.77),
      window: windowField,
      sack: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat'), times: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(1, 20, 250, 1000, 5000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('lose'), every: fc.constantFrom(0, 0, 1, 2, 3, 7) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('narrow'), mtu: fc.constantFrom(1400, 1000, 576) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('noDelay'), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish') }) },
);

/** What a sender must do, kept as plainly as can be: numbers count from 1 and do not wrap. */
class Twin {
  /** Everything ever admitted. */
  readonly stream: number[] = [];
  /** Beyond the last byte, or FIN, that ever left. */
  next = 1;
  /** Where the FIN is, once it was asked for. */
  finAt = 0;
  /** What the peer has, by position. */
  readonly #has = new Set<number>();
  received = 1;
  acked = 1;
  /** Right edge of the window as the sender must see it. */
  edge = 0;

  /** A segment left. @returns whether it brought anything new */
  sent({ line, text, bytes }: SentSegment): boolean {
    const isFin = (line.flags & FIN) !== 0;
    const end = line.start + line.textBytes + (isFin ? 1 : 0);
    const content = bytes.subarray(bytes.length - line.textBytes);
    for (let i = 0; i < line.textBytes; i++) {
      if (content[i] !== this.stream[line.start - 1 + i]) expect.fail(`byte ${line.start + i} in ${text}`);
    }
    if (isFin) expect(end - 1, `the FIN stands behind the last byte: ${text}`).to.equal(this.finAt);
    if (end <= this.next) return false;
    expect(line.start, `new text follows the old: ${text}`).to.be.at.most(this.next);
    if (line.textBytes > 0 && line.start < this.next) {
      expect.fail(`old and new text in one segment: ${text}`);
    }
    expect(end, `within the window: ${text}`).to.be.at.most(this.edge);
    this.next = end;
    return true;
  }

  /** The segment reached the peer. */
  arrived({ line }: SentSegment): void {
    const length = line.textBytes + ((line.flags & FIN) !== 0 ? 1 : 0);
    for (let i = 0; i < length; i++) this.#has.add(line.start + i);
    while (this.#has.has(this.received)) this.received++;
  }

  /** Blocks beyond what is in order, newest end first, at most three. */
  blocks(): string {
    const blocks: string[] = [];
    let start = 0;
    for (let at = this.received + 1; at <= this.next; at++) {
      if (this.#has.has(at) && start === 0) start = at;
      if (!this.#has.has(at) && start > 0) {
        blocks.unshift(`${start}:${at}`);
        start = 0;
      }
    }
    return blocks.length === 0 ? '' : ` <nop,nop,sack ${blocks.slice(0, 3).join(' ')}>`;
  }
}

class Run {
  readonly #peer: Peer;
  readonly #twin = new Twin();
  readonly #scale: number;
  readonly #sack: boolean;
  #every = 0;
  #count = 0;
  #lastAck = '';
  #fill: number;

  constructor(input: { iss: number; scale: number; sack: boolean; offload: boolean; seed: number }) {
    const { iss, scale, sack, offload } = input;
    this.#scale = Math.max(0, scale);
    this.#sack = sack;
    this.#fill = input.seed;
    this.#peer = Peer.established({ iss, windowScale: scale, sack, offload, mss: 1460 });
    this.#twin.edge = 1 + 0xffff * 2 ** this.#scale;
  }

  play(steps: readonly Step[]): void {
    for (const one of steps) {
      this.#step(one);
      this.#observe();
    }
    this.#heal();
  }

  #step(one: Step): void {
    const peer = this.#peer;
    switch (one.kind) {
      case 'write':
        this.#write(one.bytes);
        break;
      case 'ack':
        this.#ack(one);
        break;
      case 'repeat':
        for (let i = 0; i < one.times && this.#lastAck !== ''; i++) {
          peer.send(this.#lastAck);
          this.#observe();
        }
        break;
      case 'wait':
        peer.advanceMs(one.ms);
        break;
      case 'lose':
        this.#every = one.every;
        break;
      case 'narrow':
        if (peer.last !== undefined && peer.last.bytes.length > one.mtu)
          peer.icmp('too-big', { mtu: one.mtu });
        break;
      case 'noDelay':
        peer.endpoint.setNoDelay(one.on);
        peer.advanceMs(0);
        break;
      default:
        if (this.#twin.finAt === 0) {
          this.#twin.finAt = this.#twin.stream.length + 1;
          peer.shutdown();
        }
    }
  }

  #write(length: number): void {
    const peer = this.#peer;
    if (this.#twin.finAt > 0) return;
    const bytes = Uint8Array.from({ length }, () => {
      this.#fill = (Math.imul(this.#fill, 1_664_525) + 1_013_904_223) >>> 0;
      return this.#fill >>> 24;
    });
    peer.incoming.choose(this.#twin.stream.length, bytes);
    const admitted = peer.endpoint.write(bytes);
    for (let i = 0; i < admitted; i++) this.#twin.stream.push(bytes[i]);
    // The application uses its memory again at once: what was admitted must not change.
    bytes.fill(0xee);
    peer.advanceMs(0);
  }

  #ack({ share, window, sack }: { share: number; window: number; sack: boolean }): void {
    const twin = this.#twin;
    twin.acked = Math.floor(twin.acked + share * (twin.received - twin.acked));
    twin.edge = twin.acked + window * 2 ** this.#scale;
    const blocks = sack && this.#sack ? twin.blocks() : '';
    this.#lastAck = `< . 1:1(0) ack ${twin.acked} win ${window}${blocks}`;
    this.#peer.send(this.#lastAck);
  }

  /** Looks at all that was sent, and lets it arrive or be lost. */
  #observe(): void {
    const { recovery, congestion } = this.#peer.endpoint.connection.sender;
    let isNew = false;
    for (const segment of this.#peer.drain()) {
      const { line } = segment;
      if (line.textBytes === 0 && (line.flags & FIN) === 0) continue;
      isNew = this.#twin.sent(segment);
      this.#count++;
      if (this.#every === 0 || this.#count % this.#every !== 0) this.#twin.arrived(segment);
    }
    if (isNew) expect(recovery.inFlightBytes, 'cwnd').to.be.at.most(congestion.cwndBytes + 1);
  }

  /** The network and the peer behave: everything must arrive, and nothing be left. */
  #heal(): void {
    const twin = this.#twin;
    this.#every = 0;
    if (twin.finAt === 0) this.#step({ kind: 'finish' });
    this.#observe();
    for (let i = 0; i < 400 && twin.acked <= twin.finAt; i++) {
      this.#ack({ share: 1, window: 0xffff, sack: true });
      this.#observe();
      this.#peer.advanceMs(twin.received > twin.acked ? 1 : 1000);
      this.#observe();
    }
    expect(twin.received, 'all of it arrived').to.equal(twin.finAt + 1);
    expect(twin.next, 'and nothing beyond').to.equal(twin.finAt + 1);
    expect(this.#peer.endpoint.unackedBytes).to.equal(0);
    this.#peer.expectState('FIN-WAIT-2');
  }
}

describe('the sender', () => {
  for (const offload of [false, true]) {
    const link = offload ? 'super-packets' : 'plain packets';
    it(`sends every byte in its place, the same each time, and none beyond a window: ${link} [F2 F17 SND-4]`, function () {
      this.timeout(30_000);
      const input = fc.record({
        iss: fc.constantFrom(0, 0x7fff_f000, 0xffff_f000, 0xffff_fffe, 12_345),
        scale: fc.constantFrom(-1, 0, 2, 7, 14),
        sack: fc.boolean(),
        offload: fc.constant(offload),
        seed: fc.integer({ min: 0, max: 0xffff_ffff }),
        steps: fc.array(step, { minLength: 5, maxLength: 40 }),
      });
      const property = fc.property(input, ({ steps, ...settings }) => {
        new Run(settings).play(steps);
        finishAll();
      });
      fc.assert(property, { numRuns: 60, seed: 4 });
    });
  }

  it('keeps to windows of a thousand million bytes, and to none at all, in 32 bits [SND-4]', () => {
    for (const iss of [0, 0x7fff_ffff, 0xffff_ffff]) {
      const peer = Peer.established({
        tailLossProbe: false,
        iss,
        windowScale: 14,
        mss: 1000,
        options: { initialWindow: 20 },
      });
      const { sender } = peer.endpoint.connection;
      peer.send('< . 1:1(0) ack 1 win 65535');
      expect(sender.sndWnd).to.equal(65_535 * 2 ** 14);
      expect(sender.maxSndWnd).to.equal(65_535 * 2 ** 14);
      peer.write(40_000);
      expect(peer.drain().length, 'the congestion window limits').to.equal(20);
      // The window shrinks below what is in flight: the usable window is negative, and nothing new leaves.
      peer.send('< . 1:1(0) ack 1001 win 0').expectNothing(100);
      peer.send('< . 1:1(0) ack 10001 win 0').expectNothing(100);
      // One unit is 16,384 bytes, of which 10,000 are in flight.
      peer.send('< . 1:1(0) ack 10001 win 1').drain();
      expect(peer.rcvNxt).to.equal(26_001);
      peer.abort().drain();
      finishAll();
    }
  });
});
