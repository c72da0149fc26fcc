/**
 * Requests for any address, decided in all ways and at all times, over bad paths: every request has one end, every
 * byte is right, and nothing is left.
 */
import { expect } from 'chai';
import { AnyWorld } from '../support/any-world.js';

const seed = Number(process.env.SIM_SEED ?? 7);
const GROUPS = 4;
const WORLDS = 15;
/** Far more than a group takes on a machine with nothing else to do. */
const LIMIT_MS = 60_000;

describe('requests for any address in a world drawn by chance', function () {
  this.timeout(LIMIT_MS);
  this.slow(10_000);

  for (let group = 0; group < GROUPS; group++) {
    const first = seed + group * WORLDS;
    it(`each have one end, and leave nothing: ${WORLDS} worlds from SIM_SEED=${first}`, () => {
      let accepted = 0;
      for (let i = first; i < first + WORLDS; i++) {
        const world = new AnyWorld(i);
        expect(world.run().join('; '), `world SIM_SEED=${i}`).to.equal('');
        accepted += world.counts.accepted;
      }
      expect(accepted, 'accepted in all of them').to.be.above(WORLDS);
    });
  }

  it('leave nothing after 10,000 flows with resets at any time [I19]', () => {
    const world = new AnyWorld(seed, {
      clients: 10_000,
      spreadMs: 120_000,
      sizes: [0, 100, 1000],
      maxPending: [4000, 8000],
      closes: 0,
    });
    expect(world.run().join('; ')).to.equal('');
    expect(world.counts.accepted).to.be.above(1000);
  });
});
