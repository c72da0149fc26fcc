/** When the stack acknowledges: tcp.md MUST-40, MUST-58, MUST-59, SHLD-18, SHLD-19, SHLD-31. */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

/** A connection past the quick ACKs of its start: what arrives is acknowledged with delay. */
function patient(options: PeerOptions = {}): Peer {
  const peer = Peer.established({ mss: 1000, ...options });
  for (let i = 0; i < 30; i++) peer.advanceMs(10).sendText(1000).expectRead(1000).drain();
  peer.advanceMs(100).drain();
  return peer;
}

describe('a delayed ACK', () => {
  forEachFamily((family, name) => {
    it(`leaves well below 500 ms, over ${name} (RFC 9293 §3.8.6.3) [MUST-40 SHLD-18]`, () => {
      const peer = patient(family);
      peer.sendText(10).expectNothing();
      const next = peer.sndNxt;
      const since = peer.nowMs;
      peer.advanceMs(499);
      const ack = peer.take();
      expect(ack?.text).to.include(`ack ${next} `);
      expect((ack?.atMs ?? 0) - since).to.be.within(20, 250);
      peer.expectNothing(1000).expectRead(10).drain();
    });
  });

  it('is below 500 ms at any pace of arrivals (RFC 9293 §3.8.6.3) [MUST-40]', () => {
    for (const gapMs of [1, 7, 30, 45, 90, 150, 199, 230, 350, 490, 700, 3000]) {
      const peer = Peer.established({ mss: 1000, rttMs: 300 });
      for (let i = 0; i < 30; i++) {
        const since = peer.nowMs;
        peer.sendText(10);
        const next = peer.sndNxt;
        peer.advanceMs(gapMs < 499 ? gapMs : 499);
        const late = peer.drain().filter(({ line }) => (line.ack ?? 0) >= next && peer.nowMs - since > 499);
        expect(late).to.have.lengthOf(0);
        if (gapMs >= 499) {
          expect(peer.endpoint.connection.receiver?.lastAckSent).to.equal(
            peer.endpoint.connection.receiver?.rcvNxt,
          );
          peer.advanceMs(gapMs - 499);
        }
      }
      peer.advanceMs(499);
      const { receiver } = peer.endpoint.connection;
      expect(receiver?.lastAckSent, `${gapMs} ms`).to.equal(receiver?.rcvNxt);
      peer.read(1000);
    }
  });

  it('rides on data that answers (RFC 9293 §3.8.6.3) [SHLD-18]', () => {
    const peer = patient();
    for (let i = 0; i < 5; i++) {
      peer.sendText(100).expectRead(100).drain();
      peer.advanceMs(5).write(100);
      expect(peer.take()?.line).to.include({ textBytes: 100, ack: peer.sndNxt });
      peer.advanceMs(20).ackAll().advanceMs(30).drain();
    }
    peer.sendText(100).expectRead(100).expectNothing();
    peer.advanceMs(5).write(100).expect(`> P. 501:601(100) ack ${peer.sndNxt}`).expectNothing(100);
    peer.ackAll();
  });

  it('is the only one for a lone segment (RFC 9293 §3.8.6.3) [SHLD-18]', () => {
    const peer = patient();
    peer.sendText(10).drain();
    peer.advanceMs(499).drain();
    peer.expectNothing(60_000).expectRead(10);
  });
});

describe('ACKs of a stream', () => {
  forEachFamily((family, name) => {
    it(`come for every second full segment at least, over ${name} (RFC 9293 §3.8.6.3) [SHLD-19]`, () => {
      const peer = patient(family);
      let unacked = 0;
      let acks = 0;
      for (let i = 0; i < 100; i++) {
        peer.advanceMs(1).sendText(1000, 1000, '.');
        unacked++;
        for (const { line } of peer.drain()) {
          acks++;
          expect(line.ack).to.equal(peer.sndNxt);
          unacked = 0;
        }
        expect(unacked, 'full segments without an ACK').to.be.below(2);
        peer.expectRead(1000).drain();
      }
      expect(acks, 'ACKs for 100 segments').to.be.within(50, 60);
    });
  });

  it('come for every two segments also where they hold less than the MSS announced (RFC 9293 §3.8.6.3) [SHLD-19]', () => {
    const peer = Peer.established({ mss: 600 });
    for (let i = 0; i < 60; i++) {
      peer.advanceMs(10).sendText(600, 600).expectRead(600);
      if (i % 2 === 1)
        expect(peer.endpoint.connection.receiver?.lastAckSent).to.equal(
          peer.endpoint.connection.receiver?.rcvNxt,
        );
    }
    peer.drain();
  });

  it('are aggregated: one for all that came in together (RFC 9293 §3.10.7.4) [MUST-58]', () => {
    const peer = Peer.established({ mss: 1000 });
    const burst = Array.from({ length: 10 }, (_, i) => `< . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`);
    peer
      .sendBatch(...burst)
      .expect('> . 1:1(0) ack 10001')
      .expectNothing(1000)
      .expectRead(10_000)
      .drain();
  });

  it('are aggregated also where segments came in disorder and twice (RFC 9293 §3.10.7.4) [MUST-58]', () => {
    const peer = Peer.established({ mss: 1000 });
    const segment = (i: number): string => `< . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`;
    peer.sendBatch(...[3, 1, 1, 0, 2, 3, 5, 4].map(segment));
    peer.expect('> . 1:1(0) ack 6001').expectNothing(1000).expectRead(6000).drain();
  });

  it('are one per super-packet (RFC 9293 §3.10.7.4) [MUST-58]', () => {
    const peer = Peer.established({ mss: 1000, offload: true });
    peer.send('< P. 1:20001(20000) ack 1', { segmentSize: 1000 });
    peer.expect('> . 1:1(0) ack 20001').expectNothing(1000).expectRead(20_000).drain();
  });
});

describe('text out of order', () => {
  it('is kept, and acknowledged as a whole when the hole is filled (RFC 9293 §3.10.7.4) [MUST-59 SHLD-31]', () => {
    const peer = Peer.established({ mss: 1000 });
    for (let i = 1; i <= 5; i++) {
      // Each is acknowledged; from the fourth on the ACK may wait a millisecond for more of the same.
      peer
        .send(`< . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`)
        .advanceMs(1)
        .expect('> . 1:1(0) ack 1');
    }
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 6001 <!sack>').expectNothing(1000);
    peer.expectRead(6000).drain();
    expect(peer.stats.tcp.outOfOrderQueued).to.equal(5);
    expect(peer.stats.tcp.outOfOrderDropped).to.equal(0);
  });

  it('and a FIN behind it are acknowledged together when the hole is filled (RFC 9293 §3.10.7.4) [MUST-59]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.send('< F. 1001:2001(1000) ack 1').expect('> . 1:1(0) ack 1');
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 2002').expectNothing().expectRead(2000);
  });

  it('is kept with many holes, filled from either end (RFC 9293 §3.10.7.4) [SHLD-31]', () => {
    for (const order of ['up', 'down'] as const) {
      const peer = Peer.established({ mss: 100 });
      const evens = Array.from({ length: 50 }, (_, i) => 2 * i);
      const send = (i: number): unknown => peer.send(`< . ${1 + 100 * i}:${101 + 100 * i}(100) ack 1`);
      for (const i of evens) send(i + 1);
      for (const i of order === 'up' ? evens : evens.toReversed()) send(i);
      expect(peer.drain().at(-1)?.text).to.include('ack 10001');
      expect(peer.stats.tcp.outOfOrderDropped).to.equal(0);
      peer.expectRead(10_000).drain();
    }
  });
});
