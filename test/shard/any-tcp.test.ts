/** Connections to any address where several stacks share an interface: each is one request, of one shard. */
import { expect } from 'chai';
import { Asker, Echo } from './echo.js';
import { INSIDE, ShardWorld } from './world.js';

/** Every shard takes any address, and echoes, after a while. @returns requests of each */
function takeAny(world: ShardWorld, delayMs = 0): number[] {
  const requests = world.stacks.map(() => 0);
  for (const [index, stack] of world.stacks.entries()) {
    stack.listenAnyTcp({}, (request) => {
      requests[index]++;
      const accept = (): void => void new Echo(request.accept());
      if (delayMs === 0) accept();
      else world.clock.createAlarm(accept).setAt(world.clock.nowUs() + delayMs * 1000);
    });
  }
  return requests;
}

const addressOf = (i: number): string =>
  i % 2 === 0 ? `198.51.100.${1 + (i % 250)}` : `2001:db8:f::${(1 + i).toString(16)}`;

const askAll = (world: ShardWorld, count: number, bytes: number): Asker[] =>
  Array.from(
    { length: count },
    (_, i) => new Asker(world.outside.connectTcp({ address: addressOf(i), port: 80 }), bytes, bytes),
  );

const complete = (askers: readonly Asker[]): boolean => askers.every((asker) => asker.code !== undefined);

/** Packets come to every shard but their own more often than not. */
const scattered = (): ((queue: number) => number) => {
  let next = 0;
  return () => (next = (next * 5 + 3) % 97) % 4;
};

describe('shards: connections to any address', () => {
  it('reach the shards by the steering of the kernel', () => {
    const world = new ShardWorld({ shards: 4 });
    const requests = takeAny(world);
    const askers = askAll(world, 100, 3000);
    world.clock.runUntil(() => complete(askers), 60e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(requests.reduce((sum, count) => sum + count)).to.equal(100);
    expect(Math.min(...requests)).to.be.above(5);
    expect(world.resets).to.equal(0);
    world.close();
  });

  it('are one request though each packet comes to another shard, and SYNs are sent again', () => {
    const world = new ShardWorld({ shards: 4, seed: 3, direction: { delayMs: 5 }, misdirect: scattered() });
    const requests = takeAny(world, 3500);
    const askers = askAll(world, 40, 20_000);
    world.clock.runUntil(() => complete(askers), 300e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(requests.reduce((sum, count) => sum + count)).to.equal(40);
    const repeated = world.stacks.reduce((sum, { stats }) => sum + stats.tcp.anyRepeated, 0);
    expect(repeated).to.be.at.least(40);
    expect(world.resets).to.equal(0);
    world.close();
  });

  it('leave own addresses to the one shard that listens there', () => {
    const world = new ShardWorld({ shards: 4 });
    const requests = takeAny(world);
    const listener = world.stacks[2].listenTcp({ port: 8080 });
    let accepted = 0;
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        accepted++;
        new Echo(next);
      }
    };
    const askers = Array.from(
      { length: 30 },
      () => new Asker(world.outside.connectTcp({ address: INSIDE[4], port: 8080 }), 2000, 2000),
    );
    world.clock.runUntil(() => complete(askers), 60e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(accepted).to.equal(30);
    expect(requests).to.deep.equal([0, 0, 0, 0]);
    world.close();
  });
});
