/** The relay with streams and time of the test's own: every outcome, and nothing left afterwards. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { type RelayOptions, type RelayResult, relay } from '../../lib/relay/relay.js';
import { ManualTimers } from './support/manual-timers.js';
import { allOf, listenersOf, type WireEnd, wire } from './support/wire.js';

interface Bed {
  /** The applications at both ends. */
  readonly left: WireEnd;
  readonly right: WireEnd;
  /** What the relay was given. */
  readonly a: WireEnd;
  readonly b: WireEnd;
  readonly timers: ManualTimers;
  readonly result: Promise<RelayResult>;
}

function bed(options: RelayOptions = {}): Bed {
  const [left, a] = wire();
  const [b, right] = wire();
  const timers = new ManualTimers();
  for (const end of [left, right]) end.on('error', () => {});
  return { left, right, a, b, timers, result: relay(a, b, { timers, ...options }) };
}

/** As Node leaves them once both are gone. */
async function isClean({ a, b, timers }: Bed): Promise<void> {
  await nextTurn();
  await nextTurn();
  expect([a.destroyed, b.destroyed]).to.deep.equal([true, true]);
  expect([listenersOf(a), listenersOf(b)]).to.deep.equal([0, 0]);
  expect(timers.count).to.equal(0);
}

describe('relay', () => {
  it('passes text both ways, and ends when both have finished', async () => {
    const world = bed();
    const [up, down] = [randomBytes(300_000), randomBytes(500_000)];
    world.left.end(up);
    world.right.end(down);
    const [atRight, atLeft, result] = await Promise.all([
      allOf(world.right),
      allOf(world.left),
      world.result,
    ]);
    expect(atRight.equals(up) && atLeft.equals(down)).to.equal(true);
    expect(result).to.deep.equal({ bytesAB: up.length, bytesBA: down.length, endedBy: 'both' });
    expect([world.a.resets, world.b.resets]).to.deep.equal([0, 0]);
    await isClean(world);
  });

  it('passes the same bytes on from a stream with an encoding', async () => {
    for (const encoding of ['hex', 'latin1', 'base64'] as const) {
      const world = bed();
      world.a.setEncoding(encoding);
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      world.left.end(bytes);
      expect((await allOf(world.right)).equals(bytes), encoding).to.equal(true);
      world.right.end();
      world.left.resume();
      expect((await world.result).bytesAB).to.equal(256);
    }
  });

  it('passes an end on, and leaves the other direction open', async () => {
    const world = bed();
    world.left.end('question');
    expect(String(await allOf(world.right))).to.equal('question');
    for (let i = 0; i < 10; i++) {
      world.right.write('answer ');
      await nextTurn();
    }
    world.right.end();
    expect(String(await allOf(world.left))).to.equal('answer '.repeat(10));
    expect((await world.result).endedBy).to.equal('both');
    await isClean(world);
  });

  it('allows half-open also where the streams did not', async () => {
    const [left, a] = wire({ allowHalfOpen: false });
    const [b, right] = wire({ allowHalfOpen: false });
    left.allowHalfOpen = true;
    right.allowHalfOpen = true;
    const result = relay(a, b, { timers: new ManualTimers() });
    left.end('question');
    expect(String(await allOf(right))).to.equal('question');
    await nextTurn();
    right.end('answer');
    expect(String(await allOf(left))).to.equal('answer');
    expect((await result).endedBy).to.equal('both');
  });

  it('reads no more than the other side takes', async () => {
    const world = bed();
    let written = 0;
    const piece = Buffer.alloc(16_384);
    // Nobody reads at the right: only what the buffers of the streams hold may be taken.
    const write = async (): Promise<void> => {
      while (written < 100) {
        written++;
        if (!world.left.write(piece)) await once(world.left, 'drain');
      }
    };
    const done = write();
    for (let i = 0; i < 200; i++) await nextTurn();
    expect(written).to.be.lessThan(30);
    world.right.resume();
    await done;
    world.left.end();
    world.right.end();
    world.left.resume();
    expect((await world.result).bytesAB).to.equal(100 * piece.length);
    await isClean(world);
  });

  for (const who of ['a', 'b'] as const) {
    it(`resets the other side when ${who} fails`, async () => {
      const world = bed();
      world.left.write('text');
      await nextTurn();
      const error = new Error('of its own');
      world[who].destroy(error);
      const result = await world.result;
      expect(result.endedBy).to.equal(who);
      expect(result.error).to.equal(error);
      expect(world[who === 'a' ? 'b' : 'a'].resets).to.equal(1);
      await isClean(world);
    });

    it(`resets the other side when ${who} is destroyed before its end, without an error`, async () => {
      const world = bed();
      world[who].destroy();
      const result = await world.result;
      expect(result).to.deep.equal({ bytesAB: 0, bytesBA: 0, endedBy: who });
      expect(world[who === 'a' ? 'b' : 'a'].resets).to.equal(1);
      await isClean(world);
    });

    it(`takes ${who} as it is when it was over before`, async () => {
      const [left, a] = wire();
      const [b, right] = wire();
      for (const end of [left, right]) end.on('error', () => {});
      const timers = new ManualTimers();
      (who === 'a' ? a : b).destroy();
      const result = relay(a, b, { timers });
      expect((await result).endedBy).to.equal(who);
      await isClean({ left, right, a, b, timers, result });
    });
  }

  it('goes on with a stream that has ended before', async () => {
    const [left, a] = wire();
    const [b, right] = wire();
    left.end();
    a.resume();
    await once(a, 'end');
    const result = relay(a, b, { timers: new ManualTimers() });
    right.end('late');
    right.resume();
    expect(String(await allOf(left))).to.equal('late');
    expect((await result).endedBy).to.equal('both');
  });

  it('resets both when nothing happens for too long', async () => {
    const world = bed({ idleMs: 1000 });
    world.timers.advance(900);
    world.left.write('still here');
    world.right.resume();
    await nextTurn();
    world.timers.advance(900);
    expect(world.a.destroyed).to.equal(false);
    world.timers.advance(100);
    expect((await world.result).endedBy).to.equal('idle');
    expect([world.a.resets, world.b.resets]).to.deep.equal([1, 1]);
    await isClean(world);
  });

  it('has less patience once one side has finished', async () => {
    const world = bed({ idleMs: 100_000, halfCloseIdleMs: 500 });
    world.left.end();
    world.right.resume();
    await once(world.right, 'end');
    world.timers.advance(499);
    expect(world.a.destroyed).to.equal(false);
    world.timers.advance(1);
    expect((await world.result).endedBy).to.equal('idle');
    await isClean(world);
  });

  it('waits for ever where it is told to', async () => {
    const world = bed({ idleMs: 0, halfCloseIdleMs: 0 });
    world.left.end();
    world.right.resume();
    await once(world.right, 'end');
    expect(world.timers.count).to.equal(0);
    world.right.end();
    world.left.resume();
    expect((await world.result).endedBy).to.equal('both');
    await isClean(world);
  });

  it('ends with its signal, and leaves none of its listeners', async () => {
    const controller = new AbortController();
    const world = bed({ signal: controller.signal });
    controller.abort();
    expect((await world.result).endedBy).to.equal('abort');
    expect([world.a.resets, world.b.resets]).to.deep.equal([1, 1]);
    await isClean(world);
    const late = bed({ signal: controller.signal });
    expect((await late.result).endedBy).to.equal('abort');
    await isClean(late);
  });

  it('ends the other side only when that has taken all, and resets it where that is too late', async () => {
    const world = bed({ halfCloseIdleMs: 1000 });
    // Nobody reads at the right: the second piece waits, and is too small to hold the left up.
    world.left.write(Buffer.alloc(16_000));
    await nextTurn();
    world.left.end(Buffer.alloc(16_000));
    await once(world.a, 'end');
    expect([world.b.writableLength, world.b.writableEnded]).to.deep.equal([16_000, false]);
    world.timers.advance(1000);
    expect((await world.result).endedBy).to.equal('idle');
    expect(world.b.resets).to.equal(1);
    await isClean(world);
  });

  it('refuses what are no streams and no options', () => {
    const [a, b] = wire();
    const wrong =
      (...args: unknown[]) =>
      () =>
        relay(...(args as [Duplex, Duplex, RelayOptions]));
    expect(wrong(undefined, b)).to.throw().with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(wrong(a, {})).to.throw().with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(wrong(a, a)).to.throw().with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(wrong(a, b, null))
      .to.throw()
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(wrong(a, b, { idleMs: -1 }))
      .to.throw()
      .with.property('code', 'ERR_OUT_OF_RANGE');
    expect(wrong(a, b, { idleMs: 2 ** 31 }))
      .to.throw()
      .with.property('code', 'ERR_OUT_OF_RANGE');
    expect(wrong(a, b, { halfCloseIdleMs: '1' }))
      .to.throw()
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(wrong(a, b, { signal: {} }))
      .to.throw()
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect([listenersOf(a), listenersOf(b)]).to.deep.equal([0, 0]);
  });

  it('leaves nothing of 10,000 flows that end in every way [I]', async function () {
    this.timeout(60_000);
    const timers = new ManualTimers();
    const controller = new AbortController();
    const { signal } = controller;
    const ends: Record<string, number> = {};
    const streams: Duplex[] = [];
    for (let i = 0; i < 10_000; i++) {
      const [left, a] = wire();
      const [b, right] = wire();
      for (const end of [left, right]) end.on('error', () => {}).resume();
      const result = relay(a, b, { timers, signal, idleMs: 1000, halfCloseIdleMs: 1000 });
      left.write('question');
      if (i % 7 === 1) left.end();
      if (i % 3 === 0) await nextTurn();
      const way = i % 5;
      if (way === 0) left.end() && right.end();
      else if (way === 1) a.destroy(new Error('a'));
      else if (way === 2) b.destroy();
      else if (way === 3) left.resetAndDestroy();
      else timers.advance(1000);
      const { endedBy } = await result;
      ends[endedBy] = (ends[endedBy] ?? 0) + 1;
      streams.push(a, b);
    }
    await nextTurn();
    await nextTurn();
    expect(Object.keys(ends).sort()).to.deep.equal(['a', 'b', 'both', 'idle']);
    expect(timers.count).to.equal(0);
    expect(streams.every((stream) => stream.destroyed)).to.equal(true);
    expect(streams.reduce((sum, stream) => sum + listenersOf(stream), 0)).to.equal(0);
    controller.abort();
  });
});
