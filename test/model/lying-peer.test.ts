/**
 * The sender and a peer that says anything a segment can say: blocks in any order, of anything that was sent,
 * taken back again; duplicates, marks, old timestamps, any window. The sender's books stay right
 * (`sender-invariants.ts`), and once the peer acknowledges everything, everything leaves.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { classicPeer } from '../support/ecn-peer.js';
import { Peer } from '../support/peer.js';
import { finishAll } from '../support/scenario-hooks.js';
import { checkSender, watchSender } from '../support/sender-invariants.js';

type Block = readonly [from: number, to: number];
type Step =
  | { readonly kind: 'write'; readonly bytes: number }
  | {
      readonly kind: 'ack';
      /** What is acknowledged, and what the blocks cover, as shares of what is in flight. */
      readonly share: number;
      readonly blocks: readonly Block[];
      readonly duplicate: Block | undefined;
      readonly window: number;
      readonly marked: boolean;
      readonly echoBackMs: number;
      readonly times: number;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'narrow'; readonly bytes: number }
  | { readonly kind: 'finish' };

const share = fc.integer({ min: 0, max: 40 }).map((n) => n / 40);
const block = fc.tuple(share, share);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('write'), bytes: fc.integer({ min: 1, max: 20_000 }) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('ack'),
      share: fc.oneof(fc.constant(0), fc.constant(0), share),
      blocks: fc.array(block, { maxLength: 3 }),
      duplicate: fc.option(block, { nil: undefined, freq: 6 }),
      window: fc.constantFrom(0, 1, 700, 5000, 0xffff, 0xffff, 0xffff),
      marked: fc.boolean(),
      echoBackMs: fc.constantFrom(0, 0, 20, 300, 2000),
      times: fc.constantFrom(1, 1, 1, 3),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(1, 5, 20, 43, 250, 2000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('narrow'), bytes: fc.constantFrom(300, 576, 1000, 1480) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish') }) },
);

const setting = fc.record({
  iss: fc.constantFrom(1, 0x7fff_f000, 0xffff_f000),
  offload: fc.boolean(),
  sack: fc.boolean(),
  timestamps: fc.boolean(),
  /** Marks mean something only to those who agreed on them. */
  ecn: fc.boolean(),
  rack: fc.boolean(),
  tailLossProbe: fc.boolean(),
  forwardRto: fc.boolean(),
  pacing: fc.boolean(),
  congestionControl: fc.constantFrom('reno', 'cubic', 'bbr'),
  maxSentRecords: fc.constantFrom(1, 4, 16_384, 16_384, 16_384),
});
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly #peer: Peer;
  readonly #stamps: boolean;

  constructor({ iss, offload, sack, timestamps, ecn, ...options }: Setting) {
    this.#stamps = timestamps;
    const given = { iss, offload, sack, timestamps, options };
    this.#peer = ecn ? classicPeer(given) : Peer.established(given);
    watchSender(this.#peer.endpoint.connection);
  }

  play(steps: readonly Step[]): void {
    const peer = this.#peer;
    for (const one of steps) {
      this.#step(one);
      peer.drain();
    }
    if (peer.endpoint.connection.sender.finQueued === false) peer.shutdown();
    for (let i = 0; i < 300 && !peer.endpoint.connection.sender.isDrained; i++) {
      this.#ack(1, '', 0xffff);
      peer.advanceMs(i % 10 === 9 ? 3000 : 40).drain();
    }
    expect(peer.endpoint.unackedBytes, 'everything was acknowledged').to.equal(0);
    peer.expectState('FIN-WAIT-2');
  }

  #step(one: Step): void {
    const peer = this.#peer;
    const { sender } = peer.endpoint.connection;
    switch (one.kind) {
      case 'write':
        if (!sender.finQueued) peer.offer(one.bytes);
        break;
      case 'wait':
        peer.advanceMs(one.ms);
        break;
      case 'narrow':
        peer.endpoint.connection.pathChanged(one.bytes);
        checkSender(peer.endpoint.connection);
        peer.advanceMs(0);
        break;
      case 'finish':
        if (!sender.finQueued) peer.shutdown();
        break;
      default:
        for (let i = 0; i < one.times; i++) this.#lie(one);
    }
  }

  #lie({ share: acked, blocks, duplicate, window, marked, echoBackMs }: Step & { kind: 'ack' }): void {
    const { sender } = this.#peer.endpoint.connection;
    const una = this.#peer.relativeOf(sender.sndUna);
    const out = this.#peer.relativeOf(sender.sndNxt) - una;
    const at = (part: number): number => una + Math.round(part * out);
    const texts: string[] = [];
    if (duplicate !== undefined)
      texts.push(this.#span(duplicate, (part) => una - Math.round((1 - part) * 3000)));
    for (const one of blocks) texts.push(this.#span(one, at));
    const sack = texts.filter((text) => text !== '').slice(0, 3);
    this.#ack(acked, sack.length === 0 ? '' : `sack ${sack.join(' ')}`, window, { marked, echoBackMs });
  }

  #span([from, to]: Block, at: (part: number) => number): string {
    const start = Math.max(1, Math.min(at(from), at(to)));
    const end = Math.max(at(from), at(to));
    return start < end ? `${start}:${end}` : '';
  }

  #ack(part: number, sack: string, window: number, more = { marked: false, echoBackMs: 0 }): void {
    const peer = this.#peer;
    const { sender } = peer.endpoint.connection;
    const una = peer.relativeOf(sender.sndUna);
    const ack = una + Math.round(part * (peer.relativeOf(sender.sndNxt) - una));
    const options = [];
    const nowMs = Math.floor(peer.nowMs);
    if (this.#stamps) options.push(`TS val ${1000 + nowMs} ecr ${Math.max(1, nowMs - more.echoBackMs)}`);
    if (sack !== '' && sender.recovery.sack) options.push(sack);
    const list = options.length === 0 ? '' : ` <${options.join(',')}>`;
    peer.send(`< ${more.marked ? 'E' : ''}. 1:1(0) ack ${ack} win ${window}${list}`);
  }
}

describe('the sender and a peer that lies', () => {
  it('keeps its books whatever is acknowledged, marked, taken back or narrowed, and ends well', function () {
    this.timeout(60_000);
    fc.assert(
      fc.property(setting, fc.array(step, { maxLength: 40 }), (one, steps) => {
        new Run(one).play(steps);
        finishAll();
      }),
      { numRuns: Number(process.env.MODEL_RUNS ?? 400) },
    );
  });
});
