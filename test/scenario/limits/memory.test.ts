/** Memory of connections, each and all together: robustness.md I1 to I3. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

/** The smallest buffer there is. */
const RING = 4096;

/** `count` connections of one stack. */
function peersOf(count: number, options: PeerOptions): Peer[] {
  const first = Peer.established(options);
  const peers = [first];
  while (peers.length < count) {
    const peer = first.another({ port: 41_000 + peers.length }).handshake();
    peer.drain();
    peers.push(peer);
  }
  return peers;
}

const memoryOf = (peer: Peer): number => peer.stats.tcp.memoryBytes;

describe('the memory of all connections', () => {
  it('is pressed at its first limit, not before: windows stop opening, nothing waits out of order [I1]', () => {
    for (const [others, isPressed] of [
      [2, false],
      [3, true],
      [4, true],
    ] as const) {
      // The connection under test holds one buffer itself.
      const [peer, ...hogs] = peersOf(6, {
        mss: 1000,
        tcp: { memoryPressureBytes: 4 * RING },
        options: { receiveBufferBytes: 60_000 },
      });
      peer.sendText(1000).drain();
      for (const hog of hogs.slice(0, others)) hog.wrote(1);
      const which = `${others + 1} buffers`;
      expect(memoryOf(peer), which).to.equal((others + 1) * RING);
      expect(peer.stats.tcp.memoryPressures, which).to.equal(isPressed ? 1 : 0);
      const { limitBytes } = peer.endpoint.connection.receiver?.tuner ?? expect.fail('a receiver');
      peer.expectRead(1000).sendText(1000).drain();
      peer.send('< P. 3001:3501(500) ack 1').drain();
      expect(peer.stats.tcp.outOfOrderQueued, which).to.equal(isPressed ? 0 : 1);
      expect(peer.stats.drops.count(DropReason.TcpMemory), which).to.equal(isPressed ? 1 : 0);
      // Without window scaling there is no larger window.
      const grown = isPressed ? limitBytes : 0xffff;
      expect(peer.endpoint.connection.receiver?.tuner.limitBytes, which).to.equal(grown);
      peer.expectRead(1000);
      for (const hog of hogs) hog.abort().drain();
      finishAll();
    }
  });

  it('is never more than its second limit: what is written beyond it is refused until there is room [I1]', () => {
    const COUNT = 10;
    for (const [limit, fit] of [
      [COUNT * RING - 1, COUNT - 1],
      [COUNT * RING, COUNT],
      [COUNT * RING + 1, COUNT],
    ]) {
      const peers = peersOf(COUNT + 1, { tcp: { memoryMaxBytes: limit } });
      peers.forEach((peer, i) => {
        expect(peer.offer(1), `connection ${i + 1} within ${limit} bytes`).to.equal(i < fit ? 1 : 0);
        expect(memoryOf(peer)).to.equal(Math.min(i + 1, fit) * RING);
      });
      // One gives up: one that was refused is told, and succeeds.
      const last = peers[fit];
      last.takeEvents();
      peers[0].abort().drain();
      expect(last.takeEvents()).to.deep.equal(['writable']);
      expect(last.offer(1)).to.equal(1);
      for (const peer of peers) peer.abort().drain();
      expect(memoryOf(last)).to.equal(0);
      finishAll();
    }
  });

  it('is never more than its second limit: what arrives beyond it is dropped, and comes again [I1]', () => {
    const LIMIT = 10;
    const peers = peersOf(LIMIT + 1, { tcp: { memoryMaxBytes: LIMIT * RING } });
    peers.forEach((peer, i) => {
      peer.sendText(1).drain();
      expect(peer.endpoint.readableBytes, `connection ${i + 1} of ${LIMIT}`).to.equal(i < LIMIT ? 1 : 0);
    });
    expect(peers[0].stats.drops.count(DropReason.TcpMemory)).to.equal(1);
    expect(memoryOf(peers[0])).to.equal(LIMIT * RING);
    peers[0].abort().drain();
    peers[LIMIT].send('< P. 1:2(1) ack 1').drain();
    expect(peers[LIMIT].endpoint.readableBytes).to.equal(1);
    for (const peer of peers) peer.abort().drain();
  });

  it('is never more than its second limit, whatever many connections do (soak) [I1]', () => {
    const random = new SeededRandom(101);
    const below = (limit: number): number => random.uint32() % limit;
    const max = 40 * RING;
    const peers = peersOf(20, {
      mss: 1000,
      windowScale: 7,
      tcp: { memoryPressureBytes: max / 2, memoryMaxBytes: max },
    });
    let most = 0;
    for (let i = 0; i < 4000; i++) {
      const peer = peers[below(peers.length)];
      const what = below(6);
      if (what === 0) peer.offer(1 + below(20_000));
      else if (what === 1) peer.ackAll();
      else if (what === 2) peer.read(below(20_000));
      else if (what === 3) peer.advanceMs(below(300));
      else if (what === 4) {
        const at = 1 + ((peer.endpoint.connection.receiver?.bytesReceived ?? 0) | 0) + below(3) * 500;
        peer.send(`< P. ${at}:${at + 900}(900) ack 1`);
      } else peer.sendText(1 + below(900));
      peer.drain();
      expect(memoryOf(peer)).to.be.at.most(max);
      most = Math.max(most, memoryOf(peer));
    }
    expect(most, 'the limit was reached').to.equal(max);
    expect(peers[0].stats.drops.count(DropReason.TcpMemory)).to.be.above(10);
    for (const peer of peers) peer.abort().drain();
    expect(memoryOf(peers[0])).to.equal(0);
  });
});

describe('the memory of one connection', () => {
  it('for what it receives is its buffer: a byte more is not taken, in order or not [I2]', () => {
    const LIMIT = 2 * RING;
    for (const bytes of [LIMIT - 1, LIMIT, LIMIT + 1]) {
      const options = { receiveBufferBytes: LIMIT, receiveBufferMaxBytes: LIMIT };
      const inOrder = Peer.established({ options });
      for (let at = 1; at <= bytes; at += 1000) {
        const end = Math.min(at + 1000, bytes + 1);
        inOrder.send(`< P. ${at}:${end}(${end - at}) ack 1`).drain();
      }
      expect(inOrder.endpoint.readableBytes).to.equal(Math.min(bytes, LIMIT));
      expect(memoryOf(inOrder)).to.equal(LIMIT);
      inOrder.read(LIMIT);
      inOrder.drain();
      // The same from the other end: the last byte first.
      const backwards = Peer.established({ options });
      backwards.send(`< P. ${bytes}:${bytes + 1}(1) ack 1`).drain();
      const isTaken = backwards.endpoint.connection.receiver?.buffer.hasGaps;
      expect(isTaken, `byte ${bytes} of ${LIMIT}`).to.equal(bytes <= LIMIT);
      expect(memoryOf(backwards)).to.equal(bytes <= LIMIT ? LIMIT : 0);
      finishAll();
    }
  });

  it('for what it receives has little slack where windows are scaled (soak) [I2]', () => {
    const random = new SeededRandom(102);
    for (const limit of [10_000, 100_000, 1 << 20]) {
      const options = { receiveBufferBytes: limit, receiveBufferMaxBytes: limit };
      const peer = Peer.established({ windowScale: 7, options });
      const slack = limit / 16 + 2 * (1 << (peer.endpoint.connection.receiver?.windowShift ?? 0));
      for (let i = 0; i < 1500; i++) {
        const text = 1 + (random.uint32() % 1460);
        if (random.uint32() % 3 > 0) peer.sendText(text, text);
        else peer.send(`< P. ${peer.sndNxt}:${peer.sndNxt + text}(${text}) ack 1`);
        if (random.uint32() % 100 === 0) peer.read(random.uint32() % limit);
        peer.drain();
        expect(peer.endpoint.readableBytes).to.be.at.most(limit + slack);
        expect(memoryOf(peer)).to.be.at.most(2 * (limit + slack));
      }
      peer.abort().drain();
      finishAll();
    }
  });

  it('for what it sends is its buffer, unacknowledged bytes included: a byte more is refused [I3]', () => {
    const LIMIT = 2 * RING;
    for (const bytes of [LIMIT - 1, LIMIT, LIMIT + 1]) {
      const peer = Peer.established({ options: { sendBufferBytes: LIMIT } });
      expect(peer.offer(bytes)).to.equal(Math.min(bytes, LIMIT));
      expect(memoryOf(peer)).to.equal(LIMIT);
      // All of it is in flight, and takes room all the same.
      expect(peer.endpoint.unsentBytes).to.equal(0);
      expect(peer.endpoint.writableBytes).to.equal(Math.max(0, LIMIT - bytes));
      peer.advanceMs(300).drain();
      expect(memoryOf(peer), 'sent again').to.equal(LIMIT);
      peer.abort().drain();
      finishAll();
    }
  });
});
