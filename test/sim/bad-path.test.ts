import { expect } from 'chai';
import { CONTROLS } from '../../bench/support/controls.js';
import { Simulation, type SimulationOptions } from '../../lib/sim/simulation.js';

const BYTES = 40_000;
const PATH = { delayMs: 10, rateBps: 20e6 };

/** One transfer both ways; says what went wrong, '' for nothing. */
function run(options: SimulationOptions): string {
  const net = new Simulation(options);
  const transfer = net.start({ bytes: BYTES, direction: 'both' });
  net.clock.runUntil(() => transfer.isOver, 120e6);
  let trouble = '';
  if (!transfer.isIntact) trouble = 'wrong bytes';
  else if (transfer.receivedBytes !== 2 * BYTES) trouble = `${transfer.receivedBytes} bytes`;
  else if (transfer.closeCodes.some((code) => code !== '')) trouble = `ended ${transfer.closeCodes.join()}`;
  else if (!net.rest()) trouble = 'no rest';
  else if (net.client.tcp.connections + net.server.tcp.connections > 0) trouble = 'connections left';
  net.close();
  return trouble;
}

describe('a bad path', function () {
  this.timeout(60_000);

  for (const congestionControl of CONTROLS) {
    it(`delivers every byte for any seed: ${congestionControl}`, () => {
      const bad = {
        ...PATH,
        loss: 0.05,
        duplicate: 0.05,
        corrupt: 0.02,
        jitterMs: 5,
        reorder: { probability: 0.05, delayMs: 15 },
      };
      const stack = { tcp: { connection: { congestionControl } } };
      for (let seed = 1; seed <= 30; seed++) {
        const superPackets = seed % 2 === 0;
        const options = { seed, superPackets, upstream: bad, downstream: bad, client: stack, server: stack };
        expect(run(options), `seed ${seed}`).to.equal('');
      }
    });
  }

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
