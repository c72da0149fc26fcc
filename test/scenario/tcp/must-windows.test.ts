/** Windows that close, open, shrink and stay silly: tcp.md MUST-34 to MUST-39, SHLD-14 to SHLD-17, SHLD-29, SHLD-30. */
import { expect } from 'chai';
import fc from 'fast-check';
import { forEachFamily, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const HOUR_MS = 3_600_000;

describe('a window that the peer shrinks', () => {
  /** Window 10000, of which 8000 are in flight, and then only 1000. */
  const shrunk = (initialWindow = 10): Peer => {
    const peer = Peer.established({
      tailLossProbe: false,
      mss: 1000,
      window: 10_000,
      options: { initialWindow },
    }).wrote(8000);
    peer.write(12_000);
    expect(peer.drain().length).to.equal(2);
    return peer.send('< . 1:1(0) ack 1 win 1000');
  };

  it('leaves a negative one, and the connection goes on (RFC 9293 §3.8.6) [MUST-34]', () => {
    const peer = shrunk().expectNothing();
    peer.send('< . 1:1(0) ack 2001 win 1000').expectNothing();
    peer.send('< . 1:1(0) ack 10001 win 1000').expect('> . 10001:11001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 11001 win 20000');
    expect(peer.drain().at(-1)?.line.start).to.equal(19_001);
    peer.ackAll();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('is never sent beyond with new data (RFC 9293 §3.8.6) [SHLD-15]', () => {
    const peer = shrunk(30);
    for (let edge = 1001; edge <= 10_001; edge += 500) {
      peer.send(`< . 1:1(0) ack 1 win ${edge - 1}`).expectNothing();
    }
    peer.send('< . 1:1(0) ack 1 win 11000').expect('> . 10001:11001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 11001 win 20000').drain();
    peer.ackAll();
  });

  it('does not keep old data inside the new one from being sent again (RFC 9293 §3.8.6) [SHLD-16]', () => {
    const peer = shrunk();
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1').expectAfterMs(440, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1001 win 2000');
    peer.expect('> . 1001:2001(1000) ack 1').expect('> . 2001:3001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 3001 win 500').expect('> . 3001:3501(500) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 3501 win 65535').drain();
    for (let i = 0; i < 10; i++) peer.ackAll().drain();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('does not end the connection because of what lies beyond it (RFC 9293 §3.8.6) [SHLD-17]', () => {
    const peer = shrunk();
    peer.send('< . 1:1(0) ack 1 win 0');
    const end = peer.nowMs + 3 * HOUR_MS;
    let answered = 0;
    while (peer.nowMs < end) {
      peer.advanceMs(1000);
      for (const { line } of peer.drain()) {
        // Only the first segment is tried again, and the peer refuses it.
        expect(line.start).to.equal(1);
        answered++;
        peer.send('< . 1:1(0) ack 1 win 0').drain();
      }
    }
    expect(answered).to.be.above(60);
    peer.expectState('ESTABLISHED');
    peer.send('< . 1:1(0) ack 1 win 65535');
    for (let i = 0; i < 50; i++) peer.advanceMs(120_000).ackAll();
    peer.drain();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('to nothing with all acknowledged is probed (RFC 9293 §3.8.6) [MUST-35]', () => {
    const peer = Peer.established({ mss: 1000, window: 3000 }).wrote(3000);
    peer.advanceMs(20).send('< . 1:1(0) ack 3001 win 0').write(1000).expectNothing();
    peer.expectAfterMs(220, '> . 3000:3000(0) ack 1').expectAfterMs(440, '> . 3000:3000(0) ack 1');
    peer.send('< . 1:1(0) ack 3001 win 1000').expect('> P. 3001:4001(1000) ack 1').ackAll();
  });

  it('to nothing with data in flight is probed by that data (RFC 9293 §3.8.6) [MUST-35]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000, window: 3000 }).wrote(3000).write(1000);
    peer.advanceMs(20).send('< . 1:1(0) ack 1001 win 0').expectNothing();
    peer.expectAfterMs(220, '> . 1001:2001(1000) ack 1').expectAfterMs(440, '> . 1001:2001(1000) ack 1');
    peer.send('< . 1:1(0) ack 3001 win 0');
    while (peer.waiting === 0) peer.advanceMs(10);
    peer.expect('> . 3000:3000(0) ack 1').send('< . 1:1(0) ack 3001 win 1000').expect('> P. 3001:4001(1000)');
    peer.ackAll();
  });
});

describe('a closed window', () => {
  forEachFamily((family, name) => {
    it(`is probed after one RTO, and then ever more rarely, up to every 120 s, over ${name} (RFC 9293 §3.8.6.1) [MUST-36 SHLD-29 SHLD-30]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.send('< . 1:1(0) ack 1 win 0').write(500).expectNothing();
      for (let i = 0; i < 13; i++) {
        peer.expectAfterMs(Math.min(220 * 2 ** i, 120_000), '> . 0:0(0) ack 1');
        peer.send('< . 1:1(0) ack 1 win 0').expectNothing();
      }
      peer.send('< . 1:1(0) ack 1 win 500').expect('> P. 1:501(500) ack 1').ackAll();
    });
  });

  it('whose opening was lost is found open by the probe (RFC 9293 §3.8.6.1) [MUST-36]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.send('< . 1:1(0) ack 1 win 0').write(2500);
    peer.expectAfterMs(220, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1 win 65535');
    peer
      .expect('> . 1:1001(1000) ack 1')
      .expect('> . 1001:2001(1000)')
      .expect('> P. 2001:2501(500)')
      .ackAll();
  });

  it('is probed for a FIN too (RFC 9293 §3.8.6.1) [MUST-36]', () => {
    const peer = Peer.established();
    peer.send('< . 1:1(0) ack 1 win 0').shutdown().expectNothing();
    peer.expectAfterMs(220, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1 win 10').expect('> F. 1:1(0) ack 1');
    peer.send('< . 1:1(0) ack 2');
  });

  it('is no reason to give up a peer that answers probes, for thousands of probes and hours (RFC 9293 §3.8.6.1) [MUST-37]', () => {
    for (const [rtoMaxMs, hours] of [
      [120_000, 100],
      [1_800_000, 1500],
    ]) {
      const peer = Peer.established({ mss: 1000, options: { rtoMaxMs } });
      peer.send('< . 1:1(0) ack 1 win 0').write(500);
      let probes = 0;
      while (peer.nowMs < hours * HOUR_MS) {
        const next = (peer.host.clock.nextUs - peer.host.startUs) / 1000;
        peer.advanceMs(Math.max(1, next - peer.nowMs));
        for (const { line } of peer.drain()) {
          expect(line.start).to.equal(0);
          probes++;
          peer.send('< . 1:1(0) ack 1 win 0');
        }
      }
      expect(probes).to.be.above(2900);
      peer
        .expectState('ESTABLISHED')
        .send('< . 1:1(0) ack 1 win 500')
        .expect('> P. 1:501(500) ack 1')
        .ackAll();
    }
  });

  it('ends a connection whose peer answers no probe (RFC 9293 §3.8.6.1) [MUST-37]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.takeEvents();
    peer.send('< . 1:1(0) ack 1 win 0').write(500);
    peer.advanceMs(400_000).expectState('ESTABLISHED');
    peer.advanceMs(2 * HOUR_MS).expectState('CLOSED');
    expect(peer.takeEvents()).to.include('close ETIMEDOUT');
    peer.drain();
  });

  it('may be given up earlier by the user timeout, answered or not (RFC 9293 §3.8.6.1) [MUST-37]', () => {
    const peer = Peer.established({ mss: 1000, options: { userTimeoutMs: 60_000 } });
    peer.send('< . 1:1(0) ack 1 win 0').write(500);
    peer.advanceMs(130_000).expectState('CLOSED').drain();
  });
});

describe('sending into small windows', () => {
  /** How much leaves at once, in a window of which `room` bytes are left, with `text` bytes to send. */
  const sentAtOnce = (options: { max: number; room: number; text: number; noDelay?: boolean }): number[] => {
    const peer = Peer.established({
      mss: 1000,
      window: options.max,
      options: { noDelay: options.noDelay === true },
    });
    peer.send(`< . 1:1(0) ack 1 win ${options.room}`).write(options.text);
    const lengths = peer.drain().map(({ line }) => line.textBytes);
    peer.abort();
    finishAll();
    return lengths;
  };

  it('waits for a full segment, half the largest window, or all there is (RFC 9293 §3.8.6.2.1) [MUST-38]', () => {
    // Full segments leave, what the window cuts off does not.
    expect(sentAtOnce({ max: 8000, room: 2500, text: 5000 })).to.deep.equal([1000, 1000]);
    expect(sentAtOnce({ max: 8000, room: 999, text: 5000 })).to.deep.equal([]);
    expect(sentAtOnce({ max: 8000, room: 1, text: 5000 })).to.deep.equal([]);
    // All there is to send fits.
    expect(sentAtOnce({ max: 8000, room: 600, text: 600 })).to.deep.equal([600]);
    expect(sentAtOnce({ max: 8000, room: 600, text: 601 })).to.deep.equal([]);
    // Half of the largest window ever offered.
    expect(sentAtOnce({ max: 1200, room: 600, text: 5000 })).to.deep.equal([600]);
    expect(sentAtOnce({ max: 1202, room: 600, text: 5000 })).to.deep.equal([]);
    // Nagle's algorithm is another matter.
    expect(sentAtOnce({ max: 8000, room: 600, text: 5000, noDelay: true })).to.deep.equal([]);
  });

  it('overrides that after a while, lest it wait for ever (RFC 9293 §3.8.6.2.1) [MUST-38]', () => {
    const peer = Peer.established({ mss: 1000, window: 8000 });
    peer.send('< . 1:1(0) ack 1 win 600').write(5000).expectNothing();
    peer.expectAfterMs(220, '> . 1:601(600) ack 1').send('< . 1:1(0) ack 601 win 8000').drain();
    peer.ackAll();
  });
});

describe('offering windows', () => {
  /** A connection whose buffer of 4000 bytes is full. */
  const full = (mss: number): Peer => {
    const peer = Peer.established({
      mss,
      options: { receiveBufferBytes: 4000, receiveBufferMaxBytes: 4000 },
    });
    for (let i = 0; i < 20; i++) peer.sendText(4000, mss).expectRead(4000).advanceMs(50).drain();
    peer.sendText(4000, mss).drain();
    return peer;
  };

  it('moves the right edge by a segment or half the buffer at least (RFC 9293 §3.8.6.2.2) [MUST-39]', () => {
    const peer = full(1000);
    for (let read = 1; read <= 999; read++) {
      peer.read(1);
      if (peer.waiting > 0)
        expect.fail(`a window of ${peer.take()?.line.window} after reading ${read} bytes`);
    }
    peer.read(1);
    expect(peer.take()?.line.window, 'after 1000 bytes').to.equal(1000);
    peer.read(3000);
    peer.drain();
  });

  it('moves the right edge by half a buffer that holds less than two segments (RFC 9293 §3.8.6.2.2) [MUST-39]', () => {
    const options = { receiveBufferBytes: 1000, receiveBufferMaxBytes: 1000 };
    const peer = Peer.established({ mss: 1000, options });
    peer.sendText(1000).drain();
    peer.read(499);
    peer.expectNothing();
    peer.read(1);
    expect(peer.take()?.line.window).to.equal(500);
    peer.read(500);
    peer.drain();
  });

  it('tells probes the same window until then (RFC 9293 §3.8.6.2.2) [MUST-39]', () => {
    const peer = full(1000);
    for (let i = 0; i < 9; i++) {
      peer.read(100);
      peer.advanceMs(1000).send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
      expect(peer.take()?.line.window).to.equal(0);
    }
    peer.read(4000);
    peer.drain();
  });

  it('tells the same right edge while it could move by less, also where some window is open (RFC 9293 §3.8.6.2.2) [MUST-39]', () => {
    const peer = full(1000);
    peer.read(2000);
    expect(peer.take()?.line.window).to.equal(2000);
    for (let i = 0; i < 9; i++) {
      peer.read(100);
      peer.advanceMs(1000).send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
      expect(peer.take()?.line.window).to.equal(2000);
    }
    peer.read(100);
    peer.advanceMs(1000).send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
    expect(peer.take()?.line.window).to.equal(3000);
    peer.read(4000);
    peer.drain();
  });

  it('never moves the right edge left, whatever arrives and whoever reads (RFC 9293 §3.8.6) [SHLD-14]', () => {
    const step = fc.record({
      gap: fc.constantFrom(0, 0, 0, 500, 3000),
      text: fc.integer({ min: 0, max: 1460 }),
      read: fc.constantFrom(0, 0, 100, 2000, 100_000),
      waitMs: fc.constantFrom(0, 0, 1, 50, 300),
    });
    const input = fc.record({
      buffer: fc.integer({ min: 500, max: 200_000 }),
      most: fc.constantFrom(1, 4, 40),
      clamp: fc.constantFrom(0, 3000),
      windowScale: fc.constantFrom(-1, 0, 7),
      pressure: fc.constantFrom(1e9, 20_000),
      steps: fc.array(step, { minLength: 5, maxLength: 60 }),
    });
    const property = fc.property(input, ({ buffer, most, clamp, windowScale, pressure, steps }) => {
      const peer = Peer.listening({
        windowScale,
        tcp: { memoryPressureBytes: pressure },
        options: {
          receiveBufferBytes: buffer,
          receiveBufferMaxBytes: buffer * most,
          windowClampBytes: clamp,
        },
      }).sendSyn();
      monotone(peer, steps);
      finishAll();
    });
    fc.assert(property, { numRuns: 120, seed: 386 });
  });
});

interface Step {
  readonly gap: number;
  readonly text: number;
  readonly read: number;
  readonly waitMs: number;
}

/** Plays steps, and holds ACK number plus window of everything sent to never go back. */
function monotone(peer: Peer, steps: readonly Step[]): void {
  let edge = 0;
  let shift = 0;
  const check = (): void => {
    for (const { line, text } of peer.drain()) {
      if (line.options?.some((option) => option.startsWith('wscale')) === true) {
        shift = Number(line.options.find((option) => option.startsWith('wscale'))?.slice(7));
        edge = (line.ack ?? 0) + (line.window ?? 0);
        continue;
      }
      const next = (line.ack ?? 0) + (line.window ?? 0) * 2 ** shift;
      expect(next, text).to.be.at.least(edge);
      edge = next;
    }
  };
  check();
  peer.advanceMs(20).send('< . 1:1(0) ack 1');
  check();
  let at = 1;
  for (const { gap, text, read, waitMs } of steps) {
    const start = at + gap;
    peer.send(`< . ${start}:${start + text}(${text}) ack 1`);
    check();
    at = ((peer.endpoint.connection.receiver?.rcvNxt ?? 0) - (peer.origin.remoteSequence ?? 0)) >>> 0;
    peer.read(read);
    check();
    peer.advanceMs(waitMs);
    check();
  }
}
