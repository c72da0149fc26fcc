/** Whole connections through the translator, in virtual time. */
import { expect } from 'chai';
import { Nat } from '../../lib/nat/nat.js';
import { RoutedWorld } from '../support/routed-world.js';

const BYTES = 300_000;

describe('through a translator of ours', function () {
  this.timeout(30_000);
  this.slow(5000);

  for (const family of [4, 6] as const) {
    for (const offload of [false, true]) {
      it(`every byte arrives, both ways, offloads ${offload}, IPv${family}`, () => {
        const world = new RoutedWorld({ family, near: { offload }, far: { offload } });
        const nat = new Nat({ stack: world.router, outside: 2, families: [4, 6] });
        const peers = new Set<string>();
        const listened = world.server.stats;
        expect(world.transfer({ bytes: BYTES, direction: 'both' })).to.equal(2 * BYTES);
        for (const { outside } of nat.sessions()) peers.add(outside.replace(/:\d+$/, ''));
        expect([...peers]).to.deep.equal([family === 4 ? '10.2.0.1' : '[fd02::1]']);
        expect(world.router.stats.drops.toJSON()).to.deep.equal({});
        expect(listened.tcp.retransSegs).to.equal(0);
        world.clock.advanceBy(241e6);
        expect(nat.stats).to.include({ sessions: 0, mappings: 0, sessionsCreated: 1 });
        nat.close();
        world.close();
        world.clock.advanceBy(0);
        expect(world.clock.pending).to.equal(0);
      });
    }

    it(`a narrower way behind it is found out, by errors that are translated, IPv${family}`, () => {
      const world = new RoutedWorld({ family, routeMtu: 1300 });
      const nat = new Nat({ stack: world.router, outside: 2, families: [4, 6] });
      expect(world.transfer({ bytes: BYTES, direction: 'up' })).to.equal(BYTES);
      expect(world.client.stats.icmp.inPktTooBigs).to.be.greaterThan(0);
      expect(world.client.stats.tcp.timeouts).to.equal(0);
      nat.close();
      world.close();
    });

    it(`loss, reordering and delay on both sides are borne, IPv${family}`, () => {
      const bad = { loss: 0.02, delayMs: 10, reorder: { probability: 0.05, delayMs: 4 }, duplicate: 0.01 };
      for (let seed = 1; seed <= 10; seed++) {
        const side = { up: bad, down: bad };
        const world = new RoutedWorld({ seed, family, near: side, far: side });
        const nat = new Nat({ stack: world.router, outside: 2, families: [4, 6] });
        const done = world.transfer({ bytes: 100_000, direction: 'both', limitMs: 300_000 });
        expect(done, `seed ${seed}`).to.equal(200_000);
        expect(nat.stats).to.include({ malformed: 0, filtered: 0, sessionsCreated: 1 });
        nat.close();
        world.close();
      }
    });
  }

  it('many connections at once each keep to themselves', () => {
    const world = new RoutedWorld();
    const nat = new Nat({ stack: world.router, outside: 2 });
    const transfers = Array.from({ length: 200 }, () => world.start({ bytes: 3000, direction: 'both' }));
    world.clock.runUntil(() => transfers.every(({ isOver }) => isOver), 60e6);
    for (const transfer of transfers) {
      expect([transfer.isIntact, transfer.receivedBytes]).to.deep.equal([true, 6000]);
    }
    expect(nat.stats).to.include({ sessionsCreated: 200, sessionsEvicted: 0 });
    nat.close();
    world.close();
  });

  it('runs alike for the same seed', () => {
    const run = (): string => {
      const bad = { up: { loss: 0.05 }, down: { loss: 0.05 } };
      const world = new RoutedWorld({ seed: 9, near: bad });
      const nat = new Nat({ stack: world.router, outside: 2 });
      world.transfer({ bytes: 50_000, direction: 'both' });
      const seen = JSON.stringify([nat.stats, [...nat.sessions()], world.clock.nowUs()]);
      nat.close();
      world.close();
      return seen;
    };
    expect(run()).to.equal(run());
  });
});
