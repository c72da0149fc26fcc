/** Connections closed by their owner whose peer does not close: tcp.md §14, FW2-1 and FW2-2, and row C8. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

describe('FIN-WAIT-2 without an owner', () => {
  forEachFamily((family, name) => {
    it(`ends after 60 s, in silence, over ${name} (Linux tcp_fin_timeout) [FW2-1 C8]`, () => {
      const peer = Peer.in('FIN-WAIT-2', { ...family, orphan: true });
      expect(peer.gauges).to.include({ connections: 1, orphans: 1 });
      peer.expectNothing(59_999).expectState('FIN-WAIT-2');
      peer.expectNothing(1).expectState('CLOSED');
      expect(peer.gauges).to.include({ connections: 0, orphans: 0, memoryBytes: 0 });
      // A peer that wakes up later learns that nobody is there.
      peer.send('< P. 1:11(10) ack 2').expect('> R 2:2(0)');
    });
  });

  it('ends as long after it began as is configured, whatever ACKs come meanwhile [FW2-1]', () => {
    const peer = Peer.in('FIN-WAIT-2', { orphan: true, options: { finTimeoutMs: 5000 } });
    for (let i = 0; i < 4; i++) peer.advanceMs(1000).send('< . 1:1(0) ack 2').expectNothing();
    peer.expectNothing(999).expectState('FIN-WAIT-2').expectNothing(1).expectState('CLOSED');
  });

  it('counts from when the FIN was acknowledged, not from when it was sent [FW2-1]', () => {
    const peer = Peer.in('FIN-WAIT-1', { orphan: true });
    peer.advanceMs(10_000).drain();
    peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2');
    peer.expectNothing(59_999).expectState('FIN-WAIT-2').expectNothing(1).expectState('CLOSED');
  });

  it('counts from when the owner left, where that came later [FW2-1]', () => {
    const peer = Peer.in('FIN-WAIT-2').expectNothing(7_200_000).expectState('FIN-WAIT-2');
    peer.close().expectNothing(59_999).expectState('FIN-WAIT-2').expectNothing(1).expectState('CLOSED');
  });

  it('becomes TIME-WAIT in time when the FIN does come [FW2-1]', () => {
    const peer = Peer.in('FIN-WAIT-2', { orphan: true }).advanceMs(59_000);
    peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
    expect(peer.gauges).to.include({ orphans: 0, twCount: 1 });
    peer.expectNothing(59_999).expectState('TIME-WAIT').expectNothing(1).expectState('CLOSED');
  });

  it('does not pile up: hundreds of peers that never close are gone after a minute [FW2-1 C8]', () => {
    const first = Peer.listening();
    for (let i = 0; i < 300; i++) {
      const peer = first.another({ port: 2000 + i });
      peer.handshake().close().drain();
      peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2');
    }
    expect(first.gauges).to.include({ connections: 300, orphans: 300 });
    first.advanceMs(60_000);
    expect(first.gauges).to.include({ connections: 0, orphans: 0, memoryBytes: 0 });
  });
});

describe('FIN-WAIT-2 with an owner', () => {
  it('lasts as long as the owner wants to read (Linux) [FW2-1]', () => {
    const peer = Peer.in('FIN-WAIT-2').expectNothing(86_400_000).expectState('FIN-WAIT-2');
    peer.send('< P. 1:101(100) ack 2').expect('> . 2:2(0) ack 101').expectRead(100);
    peer.send('< F. 101:101(0) ack 2').expect('> . 2:2(0) ack 102').expectState('TIME-WAIT');
  });
});

describe('new data for an owner that is gone', () => {
  for (const state of ['FIN-WAIT-1', 'FIN-WAIT-2'] as const) {
    it(`is answered with an RST in ${state} (RFC 9293 §3.6.1, RFC 2525 §2.17) [FW2-2]`, () => {
      for (const [line, acked] of [
        ['P. 1:2(1) ack 2', 2],
        ['FP. 1:101(100) ack 2', 2],
        ['. 1:101(100) ack 1', 1],
        ['. 50:60(10) ack 2', 2],
      ] as const) {
        const peer = Peer.in(state, { orphan: true });
        // What the peer has not acknowledged yet it would not take a reset for.
        const reset = state === 'FIN-WAIT-2' ? 2 : acked;
        peer.send(`< ${line}`).expect(`> R ${reset}:${reset}(0)`).expectNothing(60_000).expectState('CLOSED');
        expect(peer.stats.tcp).to.include({ abortOnData: 1, orphans: 0, currEstab: 0 });
        expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0 });
      }
    });
  }

  it('is acknowledged when it is old, and harms nobody [FW2-2]', () => {
    const closing = Peer.established();
    closing.sendText(100).expectRead(100).drain();
    closing.close().expect('> F. 1:1(0) ack 101');
    closing.send('< . 101:101(0) ack 2').expectState('FIN-WAIT-2');
    closing.send('< P. 1:101(100) ack 2').expect('> . 2:2(0) ack 101').expectState('FIN-WAIT-2');
    expect(closing.stats.tcp.abortOnData).to.equal(0);
  });

  it('that was read by nobody when the owner left is a reset at once (RFC 2525 §2.17) [FW2-2]', () => {
    const peer = Peer.established().sendText(100);
    peer.drain();
    peer.close().expect('> R. 1:1(0) ack 101').expectNothing(60_000).expectState('CLOSED');
    expect(peer.stats.tcp.abortOnClose).to.equal(1);
  });

  it('is still taken while the owner is there and has only finished writing [FW2-2]', () => {
    const peer = Peer.in('FIN-WAIT-2');
    peer.send('< P. 1:101(100) ack 2').expect('> . 2:2(0) ack 101').expectState('FIN-WAIT-2').expectRead(100);
    expect(peer.stats.tcp.abortOnData).to.equal(0);
  });
});
