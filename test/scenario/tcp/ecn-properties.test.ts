/** What holds of the ECN field of everything that is sent, whatever happens: row ECN-5 of tcp.md. */
import { expect } from 'chai';
import fc from 'fast-check';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { accuratePeer, ace, classicPeer } from '../../support/ecn-peer.js';
import type { Peer, PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const MSS = 1000;

type Step =
  | { readonly kind: 'write' | 'ack' | 'sack' | 'text' | 'window' | 'wait'; readonly amount: number }
  | { readonly kind: 'mark' | 'close' | 'abort' | 'again'; readonly amount: number };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('write', 'write', 'ack', 'ack', 'sack', 'text', 'window', 'wait', 'mark', 'again'),
  amount: fc.integer({ min: 1, max: 20 }),
});
const ending = fc.constantFrom<Step>({ kind: 'close', amount: 1 }, { kind: 'abort', amount: 1 });

/** Does to a connection what a step says; `una` is what the peer has acknowledged. */
class Script {
  readonly #peer: Peer;
  readonly #accurate: boolean;
  #una = 1;
  #marks = 5;

  constructor(peer: Peer, accurate: boolean) {
    this.#peer = peer;
    this.#accurate = accurate;
  }

  run({ kind, amount }: Step): void {
    const peer = this.#peer;
    const { sndNxt } = peer;
    switch (kind) {
      case 'write':
        peer.offer(amount * 700);
        break;
      case 'ack':
        this.#una = Math.min(peer.rcvNxt, this.#una + amount * 500);
        this.#ack('');
        break;
      case 'sack':
        if (this.#una + 2 * MSS < peer.rcvNxt) this.#ack(` <nop,nop,sack ${this.#una + MSS}:${peer.rcvNxt}>`);
        break;
      case 'text':
        peer.send(
          `< [${amount % 3 === 0 ? 'ce' : 'ect0'}] P.${this.#flags()} ${sndNxt}:${sndNxt + amount}(${amount}) ack ${this.#una}`,
        );
        break;
      case 'window':
        peer.send(
          `< .${this.#flags()} ${sndNxt}:${sndNxt}(0) ack ${this.#una} win ${amount < 5 ? 0 : 1500 * amount}`,
        );
        break;
      case 'mark':
        this.#una = peer.rcvNxt;
        this.#marks++;
        this.#ack('', this.#accurate ? '' : 'E');
        break;
      case 'again':
        peer.send(`< .${this.#flags()} ${sndNxt - 1}:${sndNxt}(1) ack ${this.#una}`);
        break;
      case 'wait':
        peer.advanceMs(amount * 30);
        break;
      case 'close':
        peer.shutdown();
        break;
      default:
        peer.abort();
    }
  }

  #ack(options: string, flags = ''): void {
    const { sndNxt } = this.#peer;
    this.#peer.send(`< .${flags || this.#flags()} ${sndNxt}:${sndNxt}(0) ack ${this.#una}${options}`);
  }

  #flags(): string {
    return this.#accurate ? ace(this.#marks) : '';
  }
}

/** Everything sent is ECN-capable exactly where it is text that was never sent before. */
function expectFields(peer: Peer, sentTo: number): number {
  let highest = sentTo;
  for (const { line, text } of peer.drain()) {
    const isNew = line.textBytes > 0 && line.start >= highest && !(line.flags & (TcpFlag.SYN | TcpFlag.RST));
    const { ecnCapable } = peer.endpoint.info;
    if (!isNew) expect(line.ecn ?? 0, text).to.equal(0);
    else if (ecnCapable) expect(line.ecn, text).to.equal(2);
    highest = Math.max(highest, line.start + line.textBytes);
  }
  return highest;
}

function holds(make: (options: PeerOptions) => Peer, accurate: boolean): void {
  const options = fc.record({
    role: fc.constantFrom<'server' | 'client'>('server', 'client'),
    offload: fc.boolean(),
    ipv6: fc.boolean(),
    timestamps: fc.boolean(),
  });
  const property = fc.property(options, fc.array(step, { maxLength: 40 }), ending, (chosen, steps, last) => {
    const peer = make({ ...chosen, mss: MSS });
    const script = new Script(peer, accurate);
    let highest = 1;
    for (const next of [...steps, last]) {
      script.run(next);
      highest = expectFields(peer, highest);
    }
    peer.advanceMs(3000);
    expectFields(peer, highest);
    finishAll();
  });
  fc.assert(property, { numRuns: 150, seed: 3168 });
}

describe('the ECN field', () => {
  it('is ECT(0) on new text alone: no ACK, probe, RST and nothing sent again, with classic ECN (RFC 3168 §6.1.4, §6.1.5, §6.1.6) [ECN-5]', () => {
    holds(classicPeer, false);
  });

  it('is ECT(0) on new text alone also with accurate ECN (RFC 9768 §4) [ECN-5]', () => {
    holds(accuratePeer, true);
  });

  it('is not set in handshakes, whoever begins, however often they are repeated (RFC 3168 §6.1.1) [ECN-5]', () => {
    for (const [make, ecn] of [
      [classicPeer, 'request'],
      [accuratePeer, 'request-accurate'],
    ] as const) {
      for (const role of ['server', 'client'] as const) {
        const fresh = make({ role, mss: MSS });
        for (const line of fresh.host.trace.split('\n')) {
          if (line.includes('> ')) expect(line).to.not.match(/\[(ect|ce)/);
        }
      }
      const silent = make({ role: 'client', mss: MSS, options: { ecn } }).another({ port: 99 });
      silent.connect().advanceMs(20_000);
      const sent = silent.drain();
      expect(sent.length).to.be.at.least(4);
      for (const { line } of sent) expect(line.ecn ?? 0).to.equal(0);
    }
  });
});
