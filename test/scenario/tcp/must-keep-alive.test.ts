/** Keep-alive: tcp.md MUST-24 to MUST-29, SHLD-12. */
import { expect } from 'chai';
import { DEFAULT_TCP_OPTIONS } from '../../../lib/tcp/options.js';
import { forEachFamily, Peer } from '../../support/peer.js';

const DAY_MS = 86_400_000;

/** Probes after 10 s, every second, and three of them. */
const QUICK = { keepAlive: true, keepAliveIdleMs: 10_000, keepAliveIntervalMs: 1000, keepAliveProbes: 3 };

describe('keep-alive', () => {
  forEachFamily((family, name) => {
    it(`is off by default: an idle connection is silent for days, over ${name} (RFC 9293 §3.8.4) [MUST-25]`, () => {
      const peer = Peer.established(family);
      peer.expectNothing(3 * DAY_MS).expectState('ESTABLISHED');
      peer.write(10).expect('> P. 1:11(10) ack 1').ackAll();
      peer.sendText(10).drain();
      peer
        .expectNothing(3 * DAY_MS)
        .expectState('ESTABLISHED')
        .expectRead(10);
    });
  });

  it('is on or off for each connection, at any time (RFC 9293 §3.8.4) [MUST-24]', () => {
    const peer = Peer.established();
    const other = peer.another().handshake();
    other.drain();
    peer.endpoint.setKeepAlive(true, 5000);
    peer.expectAfterMs(5000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    peer.endpoint.setKeepAlive(false);
    peer.expectNothing(DAY_MS);
    other.expectNothing();
    peer.endpoint.setKeepAlive(true, 7000);
    peer.expectAfterMs(7000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    other.expectNothing(DAY_MS);
  });

  it('is also an option of listeners and connects (RFC 9293 §3.8.4) [MUST-24]', () => {
    for (const role of ['server', 'client'] as const) {
      const peer = Peer.established({ role, options: QUICK });
      peer.expectAfterMs(10_000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    }
  });

  it('waits two hours by default (RFC 9293 §3.8.4) [MUST-28]', () => {
    expect(DEFAULT_TCP_OPTIONS.keepAliveIdleMs).to.equal(7_200_000);
    const peer = Peer.established();
    peer.endpoint.setKeepAlive(true);
    peer.expectAfterMs(7_200_000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
  });

  it('has its idle time, interval and number of probes as settings (RFC 9293 §3.8.4) [MUST-27]', () => {
    for (const [keepAliveIdleMs, keepAliveIntervalMs, keepAliveProbes] of [
      [1000, 100, 1],
      [60_000, 5000, 4],
      [DAY_MS, 3_600_000, 2],
    ]) {
      const peer = Peer.established({
        options: { keepAlive: true, keepAliveIdleMs, keepAliveIntervalMs, keepAliveProbes },
      });
      peer.expectAfterMs(keepAliveIdleMs, '> . 0:0(0) ack 1');
      for (let i = 1; i < keepAliveProbes; i++) peer.expectAfterMs(keepAliveIntervalMs, '> . 0:0(0) ack 1');
      peer
        .advanceMs(keepAliveIntervalMs - 1)
        .expectState('ESTABLISHED')
        .advanceMs(2)
        .expectState('CLOSED');
      peer.drain();
    }
  });

  it('probes without text, one below SND.NXT (RFC 9293 §3.8.4) [SHLD-12]', () => {
    const peer = Peer.established({ timestamps: true, options: QUICK });
    peer.wrote(500).ackAll();
    const probeAt = 10_000;
    peer.expectAfterMs(probeAt, '> . 500:500(0) ack 1 <TS val * ecr *>');
    peer.expectAfterMs(1000, '> . 500:500(0) ack 1').send('< . 1:1(0) ack 501');
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('counts from the last segment received, whatever it was (RFC 9293 §3.8.4) [MUST-26]', () => {
    const peer = Peer.established({ options: QUICK });
    for (const line of [
      '< P. 1:11(10) ack 1',
      '< . 11:11(0) ack 1',
      '< . 10:10(0) ack 1',
      '< . 21:31(10) ack 1',
    ]) {
      peer.advanceMs(9000).expectNothing().send(line).drain();
    }
    peer.expectNothing(9999).advanceMs(1).expect('> . 0:0(0) ack 11').expectRead(10);
    peer.send('< . 11:11(0) ack 1').expectNothing(9999);
    peer.advanceMs(1).expect('> . 0:0(0) ack 11').send('< . 11:11(0) ack 1');
  });

  it('does not probe while text is unacknowledged or waits to be sent (RFC 9293 §3.8.4) [MUST-26]', () => {
    const peer = Peer.established({
      tailLossProbe: false,
      mss: 1000,
      options: { ...QUICK, keepAliveIdleMs: 100 },
    });
    peer.write(10).expect('> P. 1:11(10) ack 1');
    peer.expectAfterMs(220, '> P. 1:11(10) ack 1').expectAfterMs(440, '> P. 1:11(10) ack 1');
    peer.send('< . 1:1(0) ack 11 win 0').write(1000);
    // A closed window is probed by the persist timer alone.
    peer.expectAfterMs(220, '> . 10:10(0) ack 1').send('< . 1:1(0) ack 11 win 0');
    peer.expectAfterMs(440, '> . 10:10(0) ack 1').send('< . 1:1(0) ack 11 win 65535');
    peer.expect('> P. 11:1011(1000) ack 1').ackAll();
    peer.expectAfterMs(100, '> . 1010:1010(0) ack 1').send('< . 1:1(0) ack 1011');
    expect(peer.stats.tcp.keepAliveProbes).to.equal(1);
  });

  it('is not given up for a lost probe or a lost answer: all but the last may be lost (RFC 9293 §3.8.4) [MUST-29]', () => {
    const peer = Peer.established({ options: { keepAlive: true } });
    for (let round = 0; round < 3; round++) {
      peer.expectAfterMs(7_200_000, '> . 0:0(0) ack 1');
      for (let i = 1; i < 9; i++) peer.expectAfterMs(75_000, '> . 0:0(0) ack 1');
      peer.advanceMs(74_000).send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    }
    peer.write(10).expect('> P. 1:11(10) ack 1').ackAll();
  });

  it('ends a connection whose peer has answered none of them (RFC 9293 §3.8.4) [MUST-29]', () => {
    const peer = Peer.established({ options: QUICK });
    peer.takeEvents();
    peer.expectAfterMs(10_000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> . 0:0(0) ack 1').expectAfterMs(1000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> R. 1:1(0) ack 1').expectEvents('close ETIMEDOUT');
  });
});
