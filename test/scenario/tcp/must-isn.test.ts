/** Initial sequence numbers: tcp.md MUST-8, MUST-9, SHLD-1 (RFC 9293 §3.4.1, RFC 6528). */
import { randomFillSync } from 'node:crypto';
import { expect } from 'chai';
import type { Random } from '../../../lib/base/random.js';
import { SipHash } from '../../../lib/base/siphash.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { SystemRandom } from '../../../lib/stack/system-random.js';
import { InitialSequence } from '../../../lib/tcp/initial-sequence.js';
import { TUPLE_WORDS, type Tuple, tupleWords } from '../../../lib/tcp/tuple.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { forEachFamily, Peer } from '../../support/peer.js';

const WRAP = 0x1_0000_0000;

const tupleOf = (remotePort: number, remote = '10.0.0.2', local = '10.0.0.1', localPort = 80): Tuple => ({
  local: IpAddress.parse(local),
  remote: IpAddress.parse(remote),
  localPort,
  remotePort,
});

/** The absolute ISS in a SYN or SYN-ACK. */
const issOf = (packet: Uint8Array): number => {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  return view.getUint32((packet[0] >> 4 === 6 ? 40 : (packet[0] & 15) * 4) + 4);
};

describe('an initial sequence number', () => {
  forEachFamily((family, name) => {
    it(`moves on by one every 4 µs between incarnations of one connection, over ${name} (RFC 9293 §3.4.1) [MUST-8]`, () => {
      const peer = Peer.listening(family);
      let last: { iss: number; atMs: number } | undefined;
      for (const waitMs of [0, 1, 20, 333, 1000, 60_000, 3_600_000, 17_000_000, 1_000_000_000]) {
        peer.advanceMs(waitMs);
        const atMs = peer.nowMs;
        peer.send('< S 0:0(0)');
        const iss = issOf(peer.drain()[0].bytes);
        if (last !== undefined) {
          const ticks = ((atMs - last.atMs) * 250) % WRAP;
          expect((iss - last.iss + WRAP) % WRAP, `after ${waitMs} ms`).to.equal(Math.floor(ticks));
        }
        last = { iss, atMs };
        peer.send('< R 1:1(0)').drain();
        peer.expectState('LISTEN');
      }
    });
  });

  it('moves on in connects as in accepted connections (RFC 9293 §3.4.1) [MUST-8]', () => {
    const peer = Peer.closed({ role: 'client', stackPort: 5000 });
    const numbers: number[] = [];
    for (let i = 0; i < 5; i++) {
      peer.connect();
      numbers.push(issOf(peer.drain()[0].bytes));
      peer.abort().advanceMs(1000);
    }
    for (let i = 1; i < 5; i++) expect((numbers[i] - numbers[i - 1] + WRAP) % WRAP).to.equal(250_000);
  });

  it('is a clock of 4 µs plus a keyed hash of the four names (RFC 9293 §3.4.1, RFC 6528 §3) [SHLD-1]', () => {
    const tuples = [
      tupleOf(40_000),
      tupleOf(40_001),
      tupleOf(40_000, '10.0.0.3'),
      tupleOf(40_000, '10.0.0.2', '10.0.0.4'),
      tupleOf(40_000, '10.0.0.2', '10.0.0.1', 81),
      tupleOf(40_000, 'fd00::2', 'fd00::1'),
    ];
    const sequences = new InitialSequence(new SeededRandom(7));
    const hash = new SipHash(new SeededRandom(7));
    const words = new Int32Array(TUPLE_WORDS);
    const seen = new Set<number>();
    for (const tuple of tuples) {
      tupleWords(tuple, words);
      const offset = hash.hash(words, TUPLE_WORDS);
      for (const nowUs of [0, 3, 4, 4_000_000, 5e12 + 8]) {
        const expected = (Math.floor(nowUs / 4) + offset) | 0;
        expect(sequences.next(tuple, nowUs)).to.equal(expected);
      }
      seen.add(offset);
    }
    expect(seen.size).to.equal(tuples.length);
  });

  it('of another connection tells nothing: over many peers they are uniform and uncorrelated (RFC 9293 §3.4.1) [MUST-9]', () => {
    const sequences = new InitialSequence(new SeededRandom(9));
    const count = 20_000;
    const numbers = Array.from({ length: count }, (_, i) => sequences.next(tupleOf(1024 + i), 0) >>> 0);
    // Each byte takes its 256 values evenly: chi-square with 255 degrees of freedom, far within 5 sigma.
    for (const shift of [0, 8, 16, 24])
      expect(chiSquare(numbers.map((n) => (n >>> shift) & 0xff))).to.be.below(370);
    // Neither do the distances from one port to the next show a pattern.
    const steps = numbers.slice(1).map((n, i) => (n - numbers[i]) >>> 24);
    expect(chiSquare(steps)).to.be.below(370);
    expect(Math.abs(correlation(numbers.slice(1), numbers.slice(0, -1)))).to.be.below(0.03);
  });

  it('changes in half of its bits with any bit of the names (RFC 9293 §3.4.1) [MUST-9]', () => {
    const sequences = new InitialSequence(new SeededRandom(10));
    const base = sequences.next(tupleOf(40_000), 0);
    let flipped = 0;
    let trials = 0;
    for (let bit = 0; bit < 16; bit++) {
      for (const tuple of [
        tupleOf(40_000 ^ (1 << bit)),
        tupleOf(40_000, `10.0.${(2 ^ (1 << bit)) >> 8}.${(2 ^ (1 << bit)) & 0xff}`),
      ]) {
        flipped += ones(sequences.next(tuple, 0) ^ base);
        trials += 32;
      }
    }
    expect(flipped / trials).to.be.within(0.43, 0.57);
  });

  it('depends on every bit of a key of 128, and keys on nothing but the CSPRNG (RFC 6528 §3) [MUST-9]', () => {
    const tuple = tupleOf(40_000);
    const words = Array.from({ length: 8 }, (_, i) => (0x0123_4567 * (i + 1)) >>> 0);
    const drawn = (changes: readonly number[]): Random => {
      let next = 0;
      return { uint32: () => changes[next++ % changes.length] };
    };
    const base = new InitialSequence(drawn(words)).next(tuple, 0);
    const seen = new Set([base]);
    for (let bit = 0; bit < 128; bit++) {
      const changed = [...words];
      changed[bit >> 5] = (changed[bit >> 5] ^ (1 << (bit & 31))) >>> 0;
      seen.add(new InitialSequence(drawn(changed)).next(tuple, 0));
    }
    expect(seen.size).to.equal(129);
    // The random numbers of a stack in service are the system's, and each stack draws a key of its own.
    let asked = 0;
    const system = new SystemRandom((pool) => {
      asked++;
      return randomFillSync(pool);
    });
    const first = new InitialSequence(system).next(tuple, 0);
    expect(asked).to.equal(1);
    expect(new InitialSequence(system).next(tuple, 0)).not.to.equal(first);
    expect(new InitialSequence(new SystemRandom()).next(tuple, 0)).not.to.equal(first);
  });
});

function chiSquare(bytes: readonly number[]): number {
  const counts = new Array<number>(256).fill(0);
  for (const byte of bytes) counts[byte]++;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [top, va, vb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    top += (a[i] - ma) * (b[i] - mb);
    va += (a[i] - ma) ** 2;
    vb += (b[i] - mb) ** 2;
  }
  return top / Math.sqrt(va * vb);
}

const ones = (word: number): number => {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest >>>= 1) count += rest & 1;
  return count;
};
