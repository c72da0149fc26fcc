import { expect } from 'chai';
import type { Fault } from '../../lib/link/emulation-options.js';
import { Simulation, type SimulationOptions } from '../../lib/sim/simulation.js';

const BYTES = 40_000;
const PATH = { delayMs: 10, rateBps: 20e6 };

type Kind = Fault['kind'];

const fault = (kind: Kind, packet: number): Fault =>
  kind === 'delay'
    ? { packet, kind, delayMs: 35 }
    : kind === 'duplicate'
      ? { packet, kind, delayMs: 7 }
      : { packet, kind };

/** One transfer with faults; says what went wrong, '' for nothing. */
function run(options: SimulationOptions, direction: 'up' | 'down' | 'both'): string {
  const net = new Simulation({ seed: 7, ...options });
  const transfer = net.start({ bytes: BYTES, direction });
  net.clock.runUntil(() => transfer.isOver, 120e6);
  const expected = direction === 'both' ? 2 * BYTES : BYTES;
  let trouble = '';
  if (!transfer.isIntact) trouble = 'wrong bytes';
  else if (transfer.receivedBytes !== expected) trouble = `${transfer.receivedBytes} of ${expected} bytes`;
  else if (transfer.closeCodes.some((code) => code !== '')) trouble = `ended ${transfer.closeCodes.join()}`;
  else if (!net.rest()) trouble = 'no rest';
  else if (net.client.tcp.connections + net.server.tcp.connections > 0) trouble = 'connections left';
  net.close();
  return trouble;
}

describe('a transfer with one fault', () => {
  for (const family of [4, 6] as const) {
    for (const kind of ['drop', 'delay', 'duplicate', 'corrupt'] as const) {
      for (const direction of ['up', 'down'] as const) {
        it(`is complete whatever packet suffers: ${kind}, sending ${direction}, IPv${family}`, () => {
          for (let packet = 1; packet <= 45; packet++) {
            const hit = { ...PATH, faults: [fault(kind, packet)] };
            const there = run({ family, upstream: hit, downstream: PATH }, direction);
            expect(there, `upstream packet ${packet}`).to.equal('');
            const back = run({ family, upstream: PATH, downstream: hit }, direction);
            expect(back, `downstream packet ${packet}`).to.equal('');
          }
        });
      }
    }
  }
});

describe('a transfer with two losses', () => {
  it('is complete for a sample of pairs', () => {
    for (let first = 1; first <= 40; first += 3) {
      for (let second = first + 1; second <= 40; second += 4) {
        const upstream = { ...PATH, drop: [first, second] };
        expect(run({ upstream, downstream: PATH }, 'both'), `packets ${first} and ${second}`).to.equal('');
      }
    }
  });
});

describe('a bad path', () => {
  it('delivers every byte for any seed', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const bad = {
        ...PATH,
        loss: 0.05,
        duplicate: 0.05,
        corrupt: 0.02,
        jitterMs: 5,
        reorder: { probability: 0.05, delayMs: 15 },
      };
      expect(run({ seed, upstream: bad, downstream: bad }, 'both'), `seed ${seed}`).to.equal('');
    }
  });

  it('makes the same packets for the same seed', () => {
    const trace = (): string => {
      const bad = { ...PATH, loss: 0.05, jitterMs: 5 };
      const net = new Simulation({ seed: 11, upstream: bad, downstream: bad });
      net.transfer({ bytes: BYTES, direction: 'both' });
      net.rest();
      return JSON.stringify([net.client.stats, net.server.stats, net.clock.nowUs()]);
    };
    expect(trace()).to.equal(trace());
  });
});
