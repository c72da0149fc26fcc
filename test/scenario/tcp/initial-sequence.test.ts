/** Initial sequence numbers (RFC 6528): tcp.md §14, ISN-1 to ISN-3, and rows A6 and A8 of robustness.md. */
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { Random } from '../../../lib/base/random.js';
import { type Seq, seqDiff } from '../../../lib/base/seq.js';
import { SipHash } from '../../../lib/base/siphash.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import { SystemRandom } from '../../../lib/stack/system-random.js';
import { InitialSequence } from '../../../lib/tcp/initial-sequence.js';
import { TUPLE_WORDS, type Tuple, tupleWords } from '../../../lib/tcp/tuple.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { forEachFamily, Peer } from '../../support/peer.js';
import { WireLink } from '../../support/wire-link.js';

const LOCAL = IpAddress.parse('10.0.0.1');
const REMOTE = IpAddress.parse('10.0.0.2');
const tupleOf = (remotePort: number, localPort = 80, remote = REMOTE): Tuple => ({
  local: LOCAL,
  remote,
  localPort,
  remotePort,
});

describe('an initial sequence number', () => {
  it('is a 4 µs clock plus SipHash-2-4 of the four-tuple under a key of 128 bits (RFC 6528 §3) [ISN-1]', () => {
    const sequences = new InitialSequence(new SeededRandom(5));
    // The same randomness gives the same key.
    const reference = new SipHash(new SeededRandom(5));
    const words = new Int32Array(TUPLE_WORDS);
    for (let i = 0; i < 500; i++) {
      const tuple = tupleOf(1024 + i, 80 + (i % 7));
      const nowUs = i * 12_345_678_901;
      tupleWords(tuple, words);
      const ticks = Math.floor(nowUs / 4) % 2 ** 32;
      expect(sequences.next(tuple, nowUs)).to.equal((ticks + reference.hash(words, TUPLE_WORDS)) | 0);
    }
    let drawn = 0;
    new InitialSequence({ uint32: () => ++drawn });
    // Two keys: the other one is of the timestamps.
    expect(drawn).to.equal(8);
  });

  forEachFamily((family, name) => {
    it(`moves on by one for every 4 µs when a four-tuple is used again, over ${name} (RFC 6528 §3) [ISN-1, ISN-3]`, () => {
      for (const role of ['server', 'client'] as const) {
        const peer = role === 'client' ? Peer.connecting({ ...family, role }) : Peer.listening({ ...family });
        const next = (): number => {
          if (role === 'server') peer.send('< S 0:0(0) <mss 1000>');
          return peer.drain()[0].line.start;
        };
        const giveUp = (): void => {
          if (role === 'server') peer.send('< R 1:1(0)');
          else peer.send(`< R. 0:0(0) ack ${peer.rcvNxt}`);
        };
        let last = next();
        expect(last).to.equal(0);
        for (const ms of [0.004, 1, 250, 1000, 3_600_000, 17_179_869.184 / 2 - 1]) {
          giveUp();
          peer.expectState(role === 'client' ? 'CLOSED' : 'LISTEN');
          peer.advanceMs(ms);
          if (role === 'client') peer.connect();
          const iss = next();
          expect((iss - last) >>> 0, `${role}, ${ms} ms`).to.equal(Math.round(ms * 250));
          expect(seqDiff(iss as Seq, last as Seq)).to.be.above(0);
          last = iss;
        }
      }
    });
  });

  it('tells nothing of that of another four-tuple at the same time (statistics) [ISN-3, A6]', () => {
    const sequences = new InitialSequence(new SeededRandom(12));
    const ports = 16_384;
    const at = 5e12;
    const numbers = Array.from({ length: ports }, (_, i) => sequences.next(tupleOf(1024 + i), at));
    expect(new Set(numbers).size).to.be.at.least(ports - 2);
    // Neighbouring ports and addresses: no bit of the difference is more likely one than zero.
    for (const other of [
      (i: number) => numbers[(i + 1) % ports],
      (i: number) => sequences.next(tupleOf(1024 + i, 81), at),
      (i: number) => sequences.next(tupleOf(1024 + i, 80, IpAddress.parse('10.0.0.3')), at),
      // The two directions of one pair of ports.
      (i: number) => sequences.next(tupleOf(80, 1024 + i), at),
    ]) {
      const ones = new Array<number>(32).fill(0);
      for (let i = 0; i < ports; i++) {
        const difference = numbers[i] ^ other(i);
        for (let bit = 0; bit < 32; bit++) ones[bit] += (difference >>> bit) & 1;
      }
      for (const [bit, count] of ones.entries()) {
        expect(Math.abs(count - ports / 2), `bit ${bit}`).to.be.below(6 * Math.sqrt(ports / 4));
      }
    }
  });

  it('cannot be told from random over a million connections: values, steps, and steps of steps [A6]', () => {
    const sequences = new InitialSequence(new SeededRandom(13));
    const count = 1_000_000;
    const bins = [new Float64Array(256), new Float64Array(256), new Float64Array(256)];
    const words = { remotePort: 1024, localPort: 80, local: LOCAL, remote: REMOTE };
    let last = 0;
    let lastStep = 0;
    for (let i = 0; i < count; i++) {
      words.remotePort = 1024 + (i % 64_000);
      words.localPort = 80 + Math.floor(i / 64_000);
      // A connection every 100 µs, as an attacker would sample them.
      const number = sequences.next(words, 1e9 + i * 100);
      const step = (number - last) | 0;
      bins[0][number >>> 24]++;
      bins[1][step >>> 24]++;
      bins[2][((step - lastStep) | 0) >>> 24]++;
      last = number;
      lastStep = step;
    }
    for (const [order, counts] of bins.entries()) {
      const expected = count / 256;
      let chiSquare = 0;
      for (const seen of counts) chiSquare += (seen - expected) ** 2 / expected;
      // 255 degrees of freedom: mean 255, standard deviation 22.6.
      expect(chiSquare, `order ${order}`).to.be.within(255 - 6 * 22.6, 255 + 6 * 22.6);
    }
  });
});

describe('the key of initial sequence numbers', () => {
  /** Keeps what it gave out. */
  class RecordingRandom implements Random {
    readonly words: number[] = [];
    readonly #inner = new SeededRandom(77);

    uint32(): number {
      const word = this.#inner.uint32();
      this.words.push(word);
      return word;
    }
  }

  it('is in nothing that a stack shows of itself: properties, JSON, inspection, clones (RFC 6528 §4) [ISN-2, A10]', () => {
    const random = new RecordingRandom();
    const clock = new VirtualClock(1e9);
    const stack = new Stack({ clock, random });
    const wire = new WireLink();
    stack.addLink(wire, { addresses: ['10.0.0.1/24'], defaultRoute: true });
    const endpoint = stack.connectTcp({ address: '10.0.0.2', port: 80 });
    clock.advanceBy(5000);
    const shown = [
      inspect(stack, { depth: Infinity, showHidden: true, maxArrayLength: Infinity, getters: false }),
      inspect(endpoint.connection, { depth: Infinity, showHidden: true }),
      jsonOf(stack),
      jsonOf(stack.tcp),
      jsonOf(stack.stats),
    ].join('\n');
    expect(random.words.length).to.be.above(20);
    for (const word of random.words) {
      // Small words would be found by chance.
      if (word < 1e6) continue;
      for (const text of [String(word), String(word | 0), word.toString(16)])
        expect(shown).not.to.include(text);
    }
    expect(structuredCloneText(stack.tcp)).to.not.match(/\d{6}/);
    stack.close();
  });

  it('is drawn anew for each stack from the randomness of the system (RFC 6528 §4) [ISN-2, A6, A10]', () => {
    const firstSyn = (random: Random): number => {
      const clock = new VirtualClock(1e9);
      const stack = new Stack({ clock, random });
      const wire = new WireLink();
      let iss = 0;
      wire.onSent = ({ bytes }) => {
        iss = new DataView(bytes.buffer, bytes.byteOffset).getInt32(24);
      };
      stack.addLink(wire, { addresses: ['10.0.0.1/24'], defaultRoute: true });
      stack.connectTcp({ address: '10.0.0.2', port: 80, localPort: 5000 });
      clock.advanceBy(0);
      stack.close();
      return iss;
    };
    // As after starts of the machine at the same time: every one has numbers of its own.
    const starts = Array.from({ length: 50 }, () => firstSyn(new SystemRandom()));
    expect(new Set(starts).size).to.equal(50);
    const shared = new SystemRandom();
    expect(firstSyn(shared)).not.to.equal(firstSyn(shared));
    // Fixed randomness, as of a test, is the only way to the same number twice.
    expect(firstSyn(new SeededRandom(1))).to.equal(firstSyn(new SeededRandom(1)));
  });
});

describe('the identification in the IP header of segments', () => {
  it('is the same for all, and so no counter that others could read [A8]', () => {
    const first = Peer.listening();
    const seen = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const peer = first.another({ address: `10.0.0.${50 + i}`, port: 5000 + i });
      peer.sendSyn();
      for (const { bytes, dontFragment } of peer.drain()) {
        expect(dontFragment).to.equal(true);
        seen.add(new DataView(bytes.buffer, bytes.byteOffset).getUint16(4));
      }
      peer.send('< . 1:1(0) ack 1').write(5000);
      for (const { bytes } of peer.drain())
        seen.add(new DataView(bytes.buffer, bytes.byteOffset).getUint16(4));
      peer.send('< R 1:1(0)');
    }
    const closed = Peer.closed().send('< . 1:1(0) ack 5');
    seen.add(new DataView(closed.drain()[0].bytes.buffer).getUint16(4));
    expect([...seen]).to.deep.equal([0]);
  });
});

/** JSON of everything that can be reached, each object once. */
function jsonOf(value: unknown): string {
  const seen = new Set<unknown>();
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null) return inner;
    if (seen.has(inner)) return undefined;
    seen.add(inner);
    return inner;
  });
}

/** What a snapshot by structured clone would carry; its error where it cannot be made. */
function structuredCloneText(value: unknown): string {
  try {
    return jsonOf(structuredClone(value));
  } catch (error) {
    return (error as Error).name;
  }
}
