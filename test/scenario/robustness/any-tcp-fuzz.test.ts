/**
 * Packets nobody sends on purpose, to a stack that takes any address: nothing is thrown, what is answered is right, and
 * in the end nothing is left. SIM_SEED repeats a failing run.
 */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import { AnyPeer, FOREIGN_V4, FOREIGN_V6 } from '../../support/any-peer.js';
import { checksumOf, pseudoHeader } from '../../support/ip-wire.js';
import { forEachFamily } from '../../support/peer.js';
import { gaugesOf, NOTHING_LEFT } from '../../support/scenario-host.js';

const SEED = Number(process.env.SIM_SEED ?? 7);
const PACKETS = 6000;
const FLAGS = ['S', 'S', 'S', '.', 'P.', 'F.', 'R', 'R.', 'S.', 'SF', 'SEW', 'FP', 'P'];

class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  below(bound: number): number {
    return this.#random.uint32() % bound;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

forEachFamily((family, name) => {
  const isV6 = family.ipv6 === true;
  const foreign = isV6 ? FOREIGN_V6 : FOREIGN_V4;
  const client = isV6 ? 'fd00::2' : '10.0.0.2';
  const headerBytes = isV6 ? 40 : 20;

  /** Puts the checksums right again, so that what is wrong is not found out by them. */
  function repair(packet: Uint8Array): void {
    if (packet.length < headerBytes + 20) return;
    if (!isV6) {
      packet.fill(0, 10, 12);
      const sum = checksumOf(packet.subarray(0, 20));
      packet.set([sum >> 8, sum & 255], 10);
    }
    const segment = packet.subarray(headerBytes);
    segment.fill(0, 16, 18);
    const sum = checksumOf(pseudoHeader(client, foreign, 6, segment.length), segment);
    segment.set([sum >> 8, sum & 255], 16);
  }

  /** Of the last segments that the stack has sent, ICMP errors of all kinds; some of them spoilt. */
  function complain(any: AnyPeer, dice: Dice): void {
    if (any.peer.last === undefined) return;
    const about = any.peer.last.bytes.slice(0, 28 + dice.below(60));
    if (dice.below(3) === 0) about[dice.below(about.length)] ^= 1 << dice.below(8);
    const kind = dice.of([
      'net',
      'host',
      'port',
      'protocol',
      'too-big',
      'time-exceeded',
      'prohibited',
    ] as const);
    any.peer.icmp(kind, { about, mtu: dice.below(3000), badChecksum: dice.below(10) === 0 });
  }

  function segment(any: AnyPeer, dice: Dice): Uint8Array {
    const sequence = dice.of([0, 0, 0, 1, 1, 2, 100, 70_000]);
    const flags = dice.of(FLAGS);
    const text = dice.of([0, 0, 10, 1000]);
    const ack = flags.includes('.') ? ` ack ${dice.of([0, 1, 1, 2, 500])}` : '';
    const options = dice.of([
      '',
      '',
      ' <mss 1460,sackOK>',
      ' <mss 1,TS val 1 ecr 0>',
      ' <wscale 255>',
      ' <mss 0>',
    ]);
    const line = `< ${flags} ${sequence}:${sequence + text}(${text})${ack} win ${dice.below(65_536)}${options}`;
    return any.peer.packet(line, {
      sourcePort: 40_000 + dice.below(200),
      destinationPort: dice.of([80, 80, 81]),
    });
  }

  describe(`any packet to any address, ${name}`, function () {
    this.timeout(30_000);

    it(`does no harm, with SIM_SEED=${SEED} [I19]`, () => {
      const dice = new Dice(SEED + (isV6 ? 1 : 0));
      const endpoints: TcpEndpoint[] = [];
      const any: AnyPeer = new AnyPeer({
        ...family,
        any: { ports: [80], maxPending: 6, pendingMs: 300 },
        onRequest: (request) => {
          const choice = dice.below(6);
          if (choice < 2) endpoints.push(any.peer.host.adopt(request.accept()));
          else if (choice === 2)
            request.reject(dice.of(['reset', 'port-unreachable', 'prohibited'] as const));
          else if (choice === 3) request.ignore();
        },
      });
      for (let i = 0; i < PACKETS; i++) {
        const packet = segment(any, dice);
        for (let flips = dice.of([0, 0, 0, 1, 3]); flips > 0; flips--) {
          packet[dice.below(packet.length)] ^= 1 << dice.below(8);
        }
        if (dice.below(2) === 0) repair(packet);
        const length = dice.below(12) === 0 ? dice.below(packet.length + 1) : packet.length;
        any.peer.sendRaw(packet.slice(0, length));
        if (dice.below(20) === 0) complain(any, dice);
        if (dice.below(50) === 0) any.peer.advanceMs(dice.of([1, 10, 400, 2000]));
        if (dice.below(30) === 0) endpoints.splice(dice.below(endpoints.length + 1), 1)[0]?.close();
        if (dice.below(30) === 0) endpoints.splice(dice.below(endpoints.length + 1), 1)[0]?.abort();
        any.peer.drain();
        any.peer.host.unclaimed.length = 0;
      }
      expect(any.listener.counts.accepted, 'accepted').to.be.above(20);
      expect(any.listener.counts.rejected, 'rejected').to.be.above(20);
      any.listener.close();
      for (const endpoint of endpoints) endpoint.abort();
      // What ICMP has taught of a path lasts ten minutes.
      any.peer.advanceMs(700_000);
      expect(gaugesOf(any.peer.stack)).to.deep.equal(NOTHING_LEFT);
      expect(any.peer.stats.tcp.anyPending).to.equal(0);
      expect(any.peer.host.clock.pending).to.equal(0);
    });
  });
});
