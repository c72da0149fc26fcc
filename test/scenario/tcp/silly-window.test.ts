/** Silly-window avoidance at both ends: tcp.md section 17, SWS-*. */
import { expect } from 'chai';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

describe('sending into a small window', () => {
  interface Case extends PeerOptions {
    /** Largest window offered before, and the one offered now. */
    readonly max: number;
    readonly window: number;
    readonly text: number;
    readonly noDelay?: boolean;
    /** Lengths of what leaves at once. */
    readonly leaves: readonly number[];
  }

  /** RFC 9293 §3.8.6.2.1 with an MSS of 1000: D is `text`, U is `window`, Max(SND.WND) is `max`. */
  const CASES: readonly Case[] = [
    // (1) min(D,U) >= Eff.snd.MSS: full segments, and no more than those.
    { max: 60_000, window: 1000, text: 1000, leaves: [1000] },
    { max: 60_000, window: 1000, text: 5000, leaves: [1000] },
    { max: 60_000, window: 1999, text: 5000, leaves: [1000] },
    { max: 60_000, window: 2000, text: 5000, leaves: [1000, 1000] },
    { max: 60_000, window: 5000, text: 2500, leaves: [1000, 1000, 500] },
    // (2) all that is queued can be sent, and nothing is in flight.
    { max: 60_000, window: 999, text: 999, leaves: [999] },
    { max: 60_000, window: 1, text: 1, leaves: [1] },
    { max: 60_000, window: 999, text: 1000, leaves: [] },
    { max: 60_000, window: 1, text: 2, leaves: [] },
    // (3) at least half of the largest window.
    { max: 1500, window: 750, text: 5000, leaves: [750] },
    { max: 1500, window: 749, text: 5000, leaves: [] },
    { max: 3, window: 2, text: 5000, leaves: [2] },
    { max: 3, window: 1, text: 5000, leaves: [] },
    { max: 1800, window: 1800, text: 5000, leaves: [1000] },
    // Nagle's algorithm is no part of it.
    { max: 60_000, window: 999, text: 1000, noDelay: true, leaves: [] },
    { max: 60_000, window: 999, text: 999, noDelay: true, leaves: [999] },
  ];

  for (const offload of [false, true]) {
    const link = offload ? 'a link that takes super-packets' : 'a plain link';
    it(`waits for what is worth while, over ${link} (RFC 9293 §3.8.6.2.1) [SWS-1]`, () => {
      for (const { max, window, text, noDelay = false, leaves } of CASES) {
        const peer = Peer.established({ mss: 1000, window: max, offload, options: { noDelay } });
        peer.send(`< . 1:1(0) ack 1 win ${window}`).write(text);
        const sent = peer.drain().map(({ line }) => line.textBytes);
        const total = (lengths: readonly number[]): number => lengths.reduce((sum, bytes) => sum + bytes, 0);
        const which = `${text} bytes for a window of ${window}, at most ${max} before`;
        if (offload) expect(total(sent), which).to.equal(total(leaves));
        else expect(sent, which).to.deep.equal(leaves);
        peer.abort();
        finishAll();
      }
    });
  }

  it('holds a tail while a small segment is unacknowledged, unless told not to (RFC 9293 §3.8.6.2.1) [SWS-1]', () => {
    const patient = Peer.established({ mss: 1000 }).wrote(1);
    patient.write(999).expectNothing();
    patient.send('< . 1:1(0) ack 2').expect('> P. 2:1001(999) ack 1').ackAll();
    const eager = Peer.established({ mss: 1000, options: { noDelay: true } }).wrote(1);
    eager.write(999).expect('> P. 2:1001(999) ack 1').ackAll();
  });

  it('waits no longer than a time-out (RFC 9293 §3.8.6.2.1) [SWS-1]', () => {
    for (const window of [1, 400, 999]) {
      const peer = Peer.established({ mss: 1000, window: 60_000 });
      peer.send(`< . 1:1(0) ack 1 win ${window}`).write(5000).expectNothing(219);
      peer.expectAfterMs(1, `> . 1:${1 + window}(${window}) ack 1`).expectNothing();
      peer.abort().drain();
    }
  });
});

/** A connection with `buffer` bytes of room, whose peer sends segments of `mss`. */
function receiving(buffer: number, mss: number, options: PeerOptions = {}): Peer {
  const peer = Peer.established({
    mss,
    ...options,
    options: { receiveBufferBytes: buffer, receiveBufferMaxBytes: buffer },
  });
  // The stack learns the size of the peer's segments, and is past its quick ACKs.
  for (let i = 0; i < 20; i++) peer.sendText(mss, mss).expectRead(mss).advanceMs(100).drain();
  return peer;
}

/** Fills what is open, and waits until all of it is acknowledged. */
function fill(peer: Peer, bytes: number, mss: number): Peer {
  peer.sendText(bytes, mss).advanceMs(500).drain();
  return peer;
}

describe('a full buffer read byte by byte', () => {
  for (const [buffer, mss] of [
    [8000, 1000],
    [4000, 1000],
    [1500, 1000],
    [1000, 1000],
    [60_000, 1460],
    [20_000, 100],
  ] as const) {
    it(`moves the right edge by a segment or half the buffer: ${buffer} bytes, segments of ${mss} (RFC 9293 §3.8.6.2.2) [SWS-2]`, () => {
      const peer = receiving(buffer, mss);
      fill(peer, buffer, mss);
      expect(peer.last?.line.window).to.equal(0);
      let edge = (peer.last?.line.ack ?? 0) + (peer.last?.line.window ?? 0);
      const least = Math.min(mss, buffer / 2);
      let moves = 0;
      for (let read = 1; read <= buffer; read++) {
        peer.read(1);
        // A peer that probes learns no more than one that waits.
        if (read % 37 === 0) peer.advanceMs(600).send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
        for (const { line } of peer.drain()) {
          const now = (line.ack ?? 0) + (line.window ?? 0);
          if (now === edge) continue;
          expect(now - edge, `after ${read} bytes`).to.be.at.least(least);
          edge = now;
          moves++;
        }
      }
      expect(moves).to.be.at.least(2);
    });
  }
});

describe('a window update', () => {
  it('is sent at once when reading has doubled what is left of the window (Linux tcp_cleanup_rbuf) [SWS-3]', () => {
    const peer = receiving(20_000, 1000);
    fill(peer, 15_000, 1000);
    expect(peer.last?.line.window).to.equal(5000);
    peer.read(4999);
    peer.expectNothing(1000);
    peer.read(1);
    peer.expect('> . 1:1(0) ack 35001 win 10000');
    // Half the buffer is open: 20,000 are twice that.
    peer.read(9999);
    peer.expectNothing(1000);
    peer.read(1);
    peer.expect('> . 1:1(0) ack 35001 win 20000');
  });

  it('is not sent for less, which the next ACK tells [SWS-3]', () => {
    const peer = receiving(20_000, 1000);
    fill(peer, 12_000, 1000);
    expect(peer.last?.line.window).to.equal(8000);
    peer.read(7000);
    peer.expectNothing(10_000);
    peer.sendText(1000).advanceMs(500).expect('> . 1:1(0) ack 33001 win 14000').expectNothing();
    peer.read(6000);
    peer.drain();
  });

  it('is sent at once when a closed window opens [SWS-3]', () => {
    for (const read of [1000, 2500, 8000]) {
      const peer = receiving(8000, 1000);
      fill(peer, 8000, 1000);
      expect(peer.last?.line.window).to.equal(0);
      peer.read(read);
      peer.expect(`> . 1:1(0) ack 28001 win ${read}`).expectNothing();
      peer.read(8000);
      peer.drain();
    }
  });

  it('is sent too when what waits is thrown away (shutdown of reading) [SWS-3]', () => {
    const peer = receiving(8000, 1000);
    fill(peer, 8000, 1000);
    peer.endpoint.shutdownRead();
    peer.advanceMs(0).expect('> . 1:1(0) ack 28001 win 8000');
  });

  it('is not sent for a stream that has ended [SWS-3]', () => {
    const peer = receiving(8000, 1000);
    fill(peer, 7000, 1000);
    peer.send('< F. 27001:27001(0) ack 1').drain();
    peer.read(7000);
    peer.expectNothing(1000);
  });
});

describe('the window offered', () => {
  it('closes when less than a segment is free, and opens with room for one (Linux __tcp_select_window) [SWS-4]', () => {
    const peer = receiving(10_000, 1000);
    // 400 bytes are left inside the edge that was promised; nothing is added to them.
    fill(peer, 9600, 1000);
    expect(peer.last?.line.window).to.equal(400);
    fill(peer, 400, 1000);
    expect(peer.last?.line.window).to.equal(0);
    for (let read = 0; read < 999; read += 111) {
      peer.read(111);
      peer.advanceMs(600).send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
      expect(peer.take()?.line.window, `after ${read + 111} bytes`).to.equal(0);
    }
    peer.read(1);
    peer.expect('> . 1:1(0) ack 30001 win 1000');
    peer.read(9000);
    peer.drain();
  });

  it('closes below a sixteenth of the buffer where that is more than a segment [SWS-4]', () => {
    const peer = receiving(64_000, 1000);
    fill(peer, 64_000, 1000);
    expect(peer.last?.line.window).to.equal(0);
    peer.read(3999);
    peer.expectNothing(1000);
    peer.send(`< . ${peer.sndNxt - 1}:${peer.sndNxt - 1}(0) ack 1`);
    expect(peer.take()?.line.window).to.equal(0);
    peer.read(1);
    peer.expect('> . 1:1(0) ack 84001 win 4000');
    peer.read(60_000);
    peer.drain();
  });

  it('opens by half of a buffer that holds less than two segments [SWS-4]', () => {
    const peer = receiving(1200, 1000);
    fill(peer, 1200, 1000);
    expect(peer.last?.line.window).to.equal(0);
    peer.read(599);
    peer.expectNothing(1000);
    peer.read(1);
    peer.expect('> . 1:1(0) ack 21201 win 600');
    peer.read(600);
    peer.drain();
  });
});
