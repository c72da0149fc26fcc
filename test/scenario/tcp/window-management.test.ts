/** What bounds windows and buffers, at both ends: tcp.md section 17, WIN-*, SND-2, SND-3. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const buffers = (bytes: number): { receiveBufferBytes: number; receiveBufferMaxBytes: number } => ({
  receiveBufferBytes: bytes,
  receiveBufferMaxBytes: bytes,
});

describe('memory for what is received', () => {
  it('is the same for many small segments as for a few large ones [WIN-1]', () => {
    const used = [1, 10, 100, 1000].map((size) => {
      const peer = Peer.established({ options: buffers(16_000) });
      peer.sendText(8000, size).advanceMs(500).drain();
      expect(peer.endpoint.readableBytes).to.equal(8000);
      const { memoryBytes } = peer.stats.tcp;
      expect(peer.last?.line.window).to.equal(8000);
      peer.expectRead(8000);
      return memoryBytes;
    });
    expect(new Set(used)).to.deep.equal(new Set([8192]));
  });

  it('is bounded by the window when every other byte is missing [WIN-1]', () => {
    const peer = Peer.established({ options: buffers(4096) });
    for (let at = 2; at < 6000; at += 2) peer.send(`< . ${at}:${at + 1}(1) ack 1`);
    peer.drain();
    expect(peer.stats.tcp.memoryBytes).to.equal(4096);
    expect(peer.endpoint.connection.receiver?.buffer.waiting?.count).to.equal(1024);
    expect(peer.stats.drops.count(DropReason.TcpOutOfOrderLimit)).to.be.above(900);
    expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.be.above(900);
  });

  it('of the whole stack bounds the window too: under pressure it opens for four segments only [WIN-1]', () => {
    const pressed = Peer.established({
      mss: 1000,
      tcp: { memoryPressureBytes: 8192 },
      options: buffers(60_000),
    });
    pressed.sendText(60_000).advanceMs(500).drain();
    expect(pressed.last?.line.window).to.equal(0);
    pressed.read(59_000);
    pressed.expect('> . 1:1(0) ack 60001 win 4000').expectRead(1000).drain();
    const free = Peer.established({ mss: 1000, options: buffers(60_000) });
    free.sendText(60_000).advanceMs(500).drain();
    free.read(59_000);
    free.expect('> . 1:1(0) ack 60001 win 59000').expectRead(1000).drain();
  });

  it('of the whole stack is never exceeded: what needs more is refused with an ACK, and counted [WIN-1]', () => {
    const peer = Peer.established({ tcp: { memoryMaxBytes: 8192 }, options: buffers(60_000) });
    peer.sendText(20_000).advanceMs(500).drain();
    expect(peer.stats.tcp.memoryBytes).to.equal(8192);
    expect(peer.endpoint.readableBytes).to.equal(8000);
    expect(peer.stats.drops.count(DropReason.TcpMemory)).to.equal(12);
    peer
      .send('< . 8001:9001(1000) ack 1')
      .advanceMs(5)
      .expect('> . 1:1(0) ack 8001')
      .expectRead(8000)
      .drain();
    peer.send('< . 8001:9001(1000) ack 1').drain();
    peer.expectRead(1000);
  });
});

describe('the right edge of the window offered', () => {
  it('never moves left, and what lies before it is taken, unless memory forbids it, which is counted [WIN-2]', () => {
    const step = fc.record({
      text: fc.integer({ min: 1, max: 1460 }),
      gap: fc.constantFrom(0, 0, 0, 0, 1, 700),
      read: fc.constantFrom(0, 0, 1, 500, 5000, 1e6),
      waitMs: fc.constantFrom(0, 0, 1, 60, 1500),
      hog: fc.constantFrom(0, 0, 0, 0, 1, -1),
    });
    const input = fc.record({
      buffer: fc.integer({ min: 300, max: 100_000 }),
      most: fc.constantFrom(1, 8, 80),
      windowScale: fc.constantFrom(-1, 0, 7),
      pressure: fc.constantFrom(1e9, 12_000),
      max: fc.constantFrom(1e9, 40_000),
      steps: fc.array(step, { minLength: 5, maxLength: 50 }),
    });
    const property = fc.property(input, ({ buffer, most, windowScale, pressure, max, steps }) => {
      const peer = Peer.established({
        windowScale,
        tcp: { memoryPressureBytes: pressure, memoryMaxBytes: max },
        options: { receiveBufferBytes: buffer, receiveBufferMaxBytes: buffer * most },
      });
      promises(peer, steps);
      finishAll();
    });
    fc.assert(property, { numRuns: 100, seed: 1717 });
  });
});

interface Step {
  readonly text: number;
  readonly gap: number;
  readonly read: number;
  readonly waitMs: number;
  /** Another connection takes memory, or gives it back. */
  readonly hog: number;
}

/** Plays steps; every ACK must promise what was promised before, less than a unit lost by scaling. */
function promises(peer: Peer, steps: readonly Step[]): void {
  const receiver = () => peer.endpoint.connection.receiver ?? expect.fail('a receiver');
  const unit = 1 << receiver().windowShift;
  const hog = peer.another({ port: 50_000, window: 0xffff }).handshake();
  hog.drain();
  const irs = peer.origin.remoteSequence ?? 0;
  const position = (): number => (receiver().rcvNxt - irs) >>> 0;
  let edge = ((receiver().rcvAdv - irs) >>> 0) - unit;
  const check = (): void => {
    for (const { line, text } of peer.drain()) {
      const promised = (line.ack ?? 0) + (line.window ?? 0) * unit;
      expect(promised, text).to.be.above(edge - unit);
      edge = Math.max(edge, promised);
    }
  };
  for (const { text, gap, read, waitMs, hog: hogs } of steps) {
    if (hogs > 0) hog.offer(30_000);
    else if (hogs < 0) hog.advanceMs(0).ackAll().advanceMs(3000);
    hog.drain();
    const before = position();
    const start = before + gap;
    const end = Math.min(start + text, edge);
    const forbidden = peer.stats.drops.count(DropReason.TcpMemory);
    if (end > start) {
      peer.send(`< . ${start}:${end}(${end - start}) ack 1`);
      const isRefused = peer.stats.drops.count(DropReason.TcpMemory) > forbidden;
      if (gap === 0 && !isRefused) expect(position(), 'text before the edge is taken').to.be.at.least(end);
      if (isRefused) expect(position(), 'refused text changes nothing').to.equal(before);
    }
    check();
    peer.read(read);
    check();
    peer.advanceMs(waitMs);
    check();
  }
}

describe('text beyond the right edge', () => {
  it('is dropped, with an ACK at once, in order or not (RFC 9293 §3.10.7.4) [WIN-3]', () => {
    const peer = Peer.established({ options: buffers(4000) })
      .sendText(3000)
      .advanceMs(500);
    peer.drain();
    // Wholly beyond, right behind the edge and far from it.
    for (const at of [4001, 4002, 5000, 60_000]) {
      peer
        .advanceMs(600)
        .send(`< . ${at}:${at + 10}(10) ack 1`)
        .expect('> . 1:1(0) ack 3001 win 1000');
    }
    expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(4);
    // Half of it beyond: what lies before the edge is taken.
    peer.send('< . 3501:4501(1000) ack 1').expect('> . 1:1(0) ack 3001 <sack 3501:4001>');
    peer.send('< . 3001:3501(500) ack 1').expect('> . 1:1(0) ack 4001 win 0');
    expect(peer.endpoint.readableBytes).to.equal(4000);
    peer.expectRead(4000).drain();
  });

  it('is cut off a segment in order, and the rest acknowledged at once (RFC 9293 §3.10.7.4) [WIN-3]', () => {
    const peer = Peer.established({ options: buffers(4000) });
    // A pace at which a lone segment is acknowledged late.
    for (let i = 0; i < 60; i++) peer.sendText(1000).advanceMs(5).read(1000);
    peer.sendText(3000).advanceMs(100).drain();
    expect(peer.last?.line).to.include({ ack: 63_001, window: 1000 });
    peer.send('< P. 63001:64301(1300) ack 1').expect('> . 1:1(0) ack 64001 win 0');
    peer.expectRead(4000).drain();
  });

  it('takes a FIN with it, which counts once it is sent again inside (RFC 9293 §3.10.7.4) [WIN-3]', () => {
    const peer = Peer.established({ options: buffers(4000) })
      .sendText(3000)
      .advanceMs(500);
    peer.drain();
    peer.send('< F. 3001:4001(1000) ack 1').expect('> . 1:1(0) ack 4001 win 0').expectState('ESTABLISHED');
    peer.expectRead(4000).expect('> . 1:1(0) ack 4001 win 4000');
    peer.send('< F. 4001:4001(0) ack 1').expect('> . 1:1(0) ack 4002').expectState('CLOSE-WAIT');
  });

  it('is refused whole where the window is closed, while the ACK it brings counts [WIN-3]', () => {
    const peer = Peer.established({ options: buffers(4000) })
      .wrote(100)
      .sendText(4000)
      .advanceMs(500);
    peer.drain();
    peer.send('< P. 4001:4501(500) ack 101').expect('> . 101:101(0) ack 4001 win 0');
    expect(peer.endpoint.unackedBytes).to.equal(0);
    peer.expectRead(4000).drain();
  });
});

describe('the send buffer', () => {
  it('admits what fits, refuses the rest, and calls for more when a third is free (Linux) [SND-2]', () => {
    const peer = Peer.established({ mss: 1000, window: 60_000, options: { sendBufferBytes: 9000 } });
    peer.takeEvents();
    expect(peer.offer(10_000)).to.equal(9000);
    expect(peer.offer(1)).to.equal(0);
    peer.drain();
    peer.send('< . 1:1(0) ack 2001').expectEvents();
    expect(peer.endpoint.writableBytes).to.equal(2000);
    peer.send('< . 1:1(0) ack 3000').expectEvents();
    peer.send('< . 1:1(0) ack 3001').expectEvents('writable');
    expect(peer.offer(10_000)).to.equal(3000);
    peer.ackAll().expectEvents('writable', 'drain');
    peer.drain();
  });

  it('calls nobody who was not refused [SND-2]', () => {
    const peer = Peer.established({ mss: 1000, options: { sendBufferBytes: 9000 } });
    peer.takeEvents();
    peer.wrote(9000).ackAll().expectEvents('drain');
  });

  it('calls for more by what is unsent where that is asked for (Linux TCP_NOTSENT_LOWAT) [SND-2]', () => {
    const options = { sendBufferBytes: 60_000, notSentLowWaterBytes: 2000 };
    const peer = Peer.established({ mss: 1000, window: 10_000, options });
    peer.takeEvents();
    expect(peer.offer(61_000)).to.equal(60_000);
    peer.drain();
    let acked = 0;
    while (peer.endpoint.unsentBytes > 2000) {
      peer.expectEvents().advanceMs(20);
      acked += 1000;
      peer.send(`< . 1:1(0) ack ${acked + 1} win 10000`).drain();
    }
    peer.expectEvents('writable');
    expect(peer.endpoint.unackedBytes).to.equal(12_000);
    peer.abort().drain();
  });

  it('calls those who were refused for want of memory in the stack once there is some again [SND-2]', () => {
    const hog = Peer.established({ mss: 1000, tcp: { memoryMaxBytes: 65_536 } });
    const peer = hog.another({ port: 41_000 }).handshake();
    peer.drain();
    hog.wrote(60_000);
    peer.takeEvents();
    expect(peer.offer(5000)).to.equal(0);
    peer.advanceMs(500).expectEvents();
    while (hog.endpoint.unackedBytes > 0) hog.advanceMs(20).ackAll().drain();
    // An idle connection gives its memory back after a second.
    peer.advanceMs(2100).expectEvents('writable');
    expect(peer.offer(5000)).to.equal(5000);
    peer.drain();
    peer.ackAll();
  });

  it('holds what is unsent and what is unacknowledged, and both count as memory [SND-3]', () => {
    const peer = Peer.established({ mss: 1000, window: 5000, options: { sendBufferBytes: 40_000 } });
    peer.write(40_000).drain();
    expect(peer.endpoint.unackedBytes).to.equal(40_000);
    expect(peer.endpoint.unsentBytes).to.equal(35_000);
    expect(peer.endpoint.writableBytes).to.equal(0);
    expect(peer.stats.tcp.memoryBytes).to.equal(65_536);
    // Sending frees nothing, acknowledgment does.
    peer.send('< . 1:1(0) ack 1 win 20000').drain();
    expect(peer.endpoint.unsentBytes).to.equal(30_000);
    expect(peer.endpoint.writableBytes).to.equal(0);
    peer.send('< . 1:1(0) ack 10001 win 60000').drain();
    expect(peer.endpoint.writableBytes).to.equal(10_000);
    expect(peer.endpoint.unackedBytes).to.equal(30_000);
    peer.abort().drain();
  });

  it('gives its memory back when all is acknowledged: large at once, small when idle [SND-3]', () => {
    const peer = Peer.established({ mss: 1460, windowScale: 8, window: 65_535 });
    peer.endpoint.setSendBuffer(1_500_000);
    peer.write(1_500_000);
    expect(peer.stats.tcp.memoryBytes).to.equal(2 ** 21);
    while (peer.endpoint.unackedBytes > 0) peer.advanceMs(20).ackAll().drain();
    expect(peer.stats.tcp.memoryBytes).to.equal(0);
    peer.wrote(50_000);
    expect(peer.stats.tcp.memoryBytes).to.equal(65_536);
    while (peer.endpoint.unackedBytes > 0) peer.advanceMs(20).ackAll().drain();
    expect(peer.stats.tcp.memoryBytes).to.equal(65_536);
    peer.advanceMs(3000);
    expect(peer.stats.tcp.memoryBytes).to.equal(0);
  });

  it('gives its memory back when the connection is aborted, or reset by the peer [SND-3]', () => {
    for (const end of [(peer: Peer) => peer.abort(), (peer: Peer) => peer.send('< R. 1:1(0) ack 1')]) {
      const peer = Peer.established({ mss: 1000 }).wrote(30_000);
      expect(peer.stats.tcp.memoryBytes).to.equal(32_768);
      end(peer).drain();
      expect(peer.stats.tcp.memoryBytes).to.equal(0);
    }
  });
});
