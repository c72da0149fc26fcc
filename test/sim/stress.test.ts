/**
 * Worlds drawn by chance (`stress-world.ts`): in each every byte arrives intact, both sides come to rest, and
 * after everything that happens to a sender its books are right (`sender-invariants.ts`).
 */
import { expect } from 'chai';
import { drawWorld, runWorld } from '../support/stress-world.js';

const seed = Number(process.env.SIM_SEED ?? Date.now() % 1e9);
const GROUPS = 5;
const WORLDS = 30;
/** Far more than a group takes on a machine with nothing else to do. */
const LIMIT_MS = 60_000;

describe('two stacks in a world drawn by chance', function () {
  this.timeout(LIMIT_MS);

  for (let group = 0; group < GROUPS; group++) {
    const first = seed + group * WORLDS;
    it(`have every byte arrive, and come to rest, their books in order: ${WORLDS} worlds from SIM_SEED=${first}`, () => {
      for (let i = first; i < first + WORLDS; i++) {
        expect(runWorld(drawWorld(i)).join('; '), `world SIM_SEED=${i}`).to.equal('');
      }
    });
  }
});
