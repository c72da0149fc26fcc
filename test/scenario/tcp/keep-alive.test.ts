/** Keep-alive: tcp.md section 18, KA-*. */
import { expect } from 'chai';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';

/** Idle for 10 s, then three probes one second apart. */
const QUICK = { keepAlive: true, keepAliveIdleMs: 10_000, keepAliveIntervalMs: 1000, keepAliveProbes: 3 };

describe('keep-alive', () => {
  it('waits 7200 s, then sends nine probes 75 s apart, by default (Linux) [KA-1 KA-4]', () => {
    const peer = Peer.established();
    peer.takeEvents();
    peer.endpoint.setKeepAlive(true);
    peer.expectAfterMs(7_200_000, '> . 0:0(0) ack 1');
    for (let i = 1; i < 9; i++) peer.expectAfterMs(75_000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(75_000, '> R. 1:1(0) ack 1').expectEvents('close ETIMEDOUT').expectState('CLOSED');
  });

  it('has its three settings on each connection, whatever its listener said [KA-1]', () => {
    const peer = Peer.established({ options: QUICK });
    const other = peer.another({ port: 41_000 }).handshake();
    other.drain();
    other.endpoint.setKeepAlive(true, { idleMs: 3000, intervalMs: 500, probes: 2 });
    other.expectAfterMs(3000, '> . 0:0(0) ack 1').expectAfterMs(500, '> . 0:0(0) ack 1');
    other.expectAfterMs(500, '> R. 1:1(0) ack 1');
    // The first began 20 ms earlier, and has the settings of the listener.
    peer.expectAfterMs(10_000 - 4020, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> . 0:0(0) ack 1').expectAfterMs(1000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> R. 1:1(0) ack 1');
  });

  it('may be asked for before the connection is made, and then begins with it [KA-1 KA-7]', () => {
    const peer = Peer.connecting();
    peer.endpoint.setKeepAlive(true, 5000);
    peer.handshake().drain();
    peer.expectAfterMs(5000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    const listening = Peer.listening({ options: QUICK });
    listening.expectNothing(100_000);
    listening.handshake().drain();
    listening.expectAfterMs(10_000, '> . 0:0(0) ack 1');
  });

  it('changes as it goes: a new idle time counts from now [KA-1]', () => {
    const peer = Peer.established({ options: QUICK });
    peer.advanceMs(9000);
    peer.endpoint.setKeepAlive(true, 2000);
    // Idle for 9 s already, which is more than two.
    peer.expectAfterMs(2000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    peer.expectAfterMs(2000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    peer.endpoint.setKeepAlive(false);
    peer.expectNothing(100_000);
  });
});

describe('a keep-alive probe', () => {
  it('is empty, one below SND.NXT, with ACK, wherever that is (Linux) [KA-2]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, options: QUICK });
      peer.expectAfterMs(10_000, '> . 0:0(0) ack 1 <>').send('< . 1:1(0) ack 1');
      peer.wrote(700).sendText(50).advanceMs(20).ackAll().drain();
      peer.expectRead(50).advanceMs(0).drain();
      peer.expectAfterMs(10_000, '> . 700:700(0) ack 51 <>').send('< . 51:51(0) ack 701');
    });
  });

  it('carries a timestamp where they were agreed on [KA-2]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, timestamps: true, options: QUICK });
      peer.expectAfterMs(10_000, '> . 0:0(0) ack 1 <nop,nop,TS val 10020 ecr 1020>', { strict: true });
      peer.send('< . 1:1(0) ack 1');
    });
  });

  it('goes also where one side has finished: in CLOSE-WAIT and FIN-WAIT-2 [KA-2]', () => {
    const waiting = Peer.in('CLOSE-WAIT', { options: QUICK });
    waiting.expectAfterMs(10_000, '> . 0:0(0) ack 2').send('< . 2:2(0) ack 1');
    const finished = Peer.in('FIN-WAIT-2', { options: QUICK });
    finished.expectAfterMs(10_000, '> . 1:1(0) ack 1').send('< . 1:1(0) ack 2');
  });

  it('of ours that is answered begins the idle time and the count anew [KA-3]', () => {
    const peer = Peer.established({ options: QUICK });
    for (let round = 0; round < 5; round++) {
      peer.expectAfterMs(10_000, '> . 0:0(0) ack 1').expectAfterMs(1000, '> . 0:0(0) ack 1');
      peer.advanceMs(300).send('< . 1:1(0) ack 1');
    }
    peer.expectNothing(9999).expectState('ESTABLISHED');
  });

  it('of a peer, or any other acceptable segment, counts as an answer [KA-3]', () => {
    const peer = Peer.established({ options: QUICK });
    let next = 1;
    for (const answer of ['probe', 'text', 'gap', 'duplicate', 'window'] as const) {
      peer.expectAfterMs(10_000, `> . 0:0(0) ack ${next}`).expectAfterMs(1000, `> . 0:0(0) ack ${next}`);
      if (answer === 'probe') peer.send(`< . ${next - 1}:${next - 1}(0) ack 1`);
      if (answer === 'text') peer.send(`< P. ${next}:${next + 10}(10) ack 1`);
      if (answer === 'gap') peer.send(`< P. ${next + 10}:${next + 20}(10) ack 1`);
      if (answer === 'duplicate') peer.send(`< P. ${next - 5}:${next}(5) ack 1`);
      if (answer === 'window') peer.send(`< . ${next}:${next}(0) ack 1 win 1000`);
      if (answer === 'text') next += 10;
      const at = peer.nowMs;
      peer.advanceMs(500).drain();
      peer.expectNothing(at + 9999 - peer.nowMs);
      // Time stands just before the next first probe: let it be answered, so that all begins anew.
      peer.send(`< . ${next}:${next}(0) ack 1`);
    }
    peer.expectRead(10);
  });

  it('is not answered by what a stranger can guess: neither clock nor count begins anew [KA-3]', () => {
    const peer = Peer.established({ options: QUICK });
    peer.advanceMs(5000);
    const guesses = [
      '< . 500000:500010(10) ack 1',
      '< . 1:1(0) ack 500000',
      '< R 100:100(0) win 0',
      '< S 100:100(0) win 0',
      '< P 1:11(10) win 100',
    ];
    for (const guess of guesses) peer.send(guess).drain();
    peer.expectAfterMs(5000, '> . 0:0(0) ack 1');
    for (const guess of guesses) peer.send(guess).advanceMs(100).drain();
    peer.expectAfterMs(500, '> . 0:0(0) ack 1').expectAfterMs(1000, '> . 0:0(0) ack 1');
    for (const guess of guesses) peer.send(guess).drain();
    peer.expectAfterMs(1000, '> R. 1:1(0) ack 1').expectState('CLOSED');
  });

  it('of a peer is answered at once with a pure ACK, however idle we are [KA-6]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, timestamps: true });
      for (const idleMs of [1000, 100_000, 3_600_000, 30 * 86_400_000]) {
        peer.advanceMs(idleMs).send('< . 0:0(0) ack 1').expect('> . 1:1(0) ack 1').expectNothing();
        // As some stacks send it, with a byte of garbage.
        peer.advanceMs(1000).send('< . 0:1(1) ack 1').expect('> . 1:1(0) ack 1').expectNothing();
      }
      expect(peer.endpoint.readableBytes).to.equal(0);
    });
  });

  it('of a peer is answered in every state in which the connection lives [KA-6]', () => {
    for (const [state, probe, answer] of [
      ['FIN-WAIT-1', '< . 0:0(0) ack 1', '> . 2:2(0) ack 1'],
      ['FIN-WAIT-2', '< . 0:0(0) ack 2', '> . 2:2(0) ack 1'],
      ['CLOSE-WAIT', '< . 1:1(0) ack 1', '> . 1:1(0) ack 2'],
      ['CLOSING', '< . 1:1(0) ack 1', '> . 2:2(0) ack 2'],
      ['LAST-ACK', '< . 1:1(0) ack 1', '> . 2:2(0) ack 2'],
    ] as const) {
      Peer.in(state).send(probe).expect(answer).expectNothing();
    }
  });
});

describe('a peer that is gone', () => {
  it('is given up with a time-out and an RST one interval after the last probe (Linux) [KA-4]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, options: QUICK });
      peer.takeEvents();
      peer.sendText(10).advanceMs(500).drain();
      peer.expectAfterMs(9500, '> . 0:0(0) ack 11');
      peer.expectAfterMs(1000, '> . 0:0(0) ack 11').expectAfterMs(1000, '> . 0:0(0) ack 11');
      peer.expectAfterMs(1000, '> R. 1:1(0) ack 11').expectState('CLOSED');
      peer.expectEvents('readable', 'close ETIMEDOUT');
      expect(peer.endpoint.errorCode).to.equal('ETIMEDOUT');
      expect(peer.stats.tcp).to.include({ keepAliveProbes: 3, keepAliveTimeouts: 1 });
      expect(peer.gauges).to.include({ connections: 0, currEstab: 0, memoryBytes: 0 });
      // What had arrived before can still be read.
      peer.expectRead(10);
    });
  });

  it('and came back answers a probe with an RST, which resets us [KA-5]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, options: QUICK });
      peer.wrote(100).sendText(10).advanceMs(20).ackAll().drain();
      peer.expectRead(10).takeEvents();
      peer.expectAfterMs(10_000, '> . 100:100(0) ack 11', { toleranceMs: 200 });
      // It knows nothing of the connection: its number is our ACK (RFC 9293 §3.10.7.1).
      peer.send('< R 11:11(0) win 0').expectEvents('close ECONNRESET').expectState('CLOSED').expectNothing();
    });
  });

  it('is given up after the user timeout instead, where there is one (Linux) [KA-8]', () => {
    const patient = { ...QUICK, userTimeoutMs: 15_500 };
    const peer = Peer.established({ options: patient });
    peer.takeEvents();
    peer.expectAfterMs(10_000, '> . 0:0(0) ack 1');
    // More probes than there are by count: the last at 15 s.
    for (let i = 0; i < 5; i++) peer.expectAfterMs(1000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> R. 1:1(0) ack 1').expectEvents('close ETIMEDOUT');
    // Fewer probes than there are by count, as the time is over before.
    const hasty = Peer.established({ options: { ...QUICK, keepAliveProbes: 9, userTimeoutMs: 11_500 } });
    hasty.expectAfterMs(10_000, '> . 0:0(0) ack 1').expectAfterMs(1000, '> . 0:0(0) ack 1');
    hasty.expectAfterMs(1000, '> R. 1:1(0) ack 1').expectState('CLOSED');
  });

  it('is given up after a user timeout set as it goes, too [KA-8]', () => {
    const peer = Peer.established({ options: QUICK });
    peer.expectAfterMs(10_000, '> . 0:0(0) ack 1');
    peer.endpoint.setUserTimeout(20_000);
    for (let i = 0; i < 9; i++) peer.expectAfterMs(1000, '> . 0:0(0) ack 1');
    peer.expectAfterMs(1000, '> R. 1:1(0) ack 1');
  });
});

describe('no keep-alive probe is sent', () => {
  it('while text is in flight, or waits to be sent (Linux) [KA-7]', () => {
    const peer = Peer.established({
      tailLossProbe: false,
      mss: 1000,
      options: { ...QUICK, keepAliveIdleMs: 50 },
    });
    peer.wrote(10);
    for (let i = 0; i < 5; i++) peer.expectAfterMs(220 * 2 ** i, '> P. 1:11(10) ack 1');
    peer.send('< . 1:1(0) ack 11 win 0').write(10);
    peer.advanceMs(10_000);
    // What leaves asks for the window.
    expect(peer.drain().map(({ line }) => line.start)).to.deep.equal([10, 10, 10, 10, 10]);
    expect(peer.stats.tcp.keepAliveProbes).to.equal(0);
    peer.send('< . 1:1(0) ack 11 win 10').drain();
    peer.ackAll();
  });

  it('while a FIN waits for the window to open [KA-7]', () => {
    const peer = Peer.established({ mss: 1000, options: { ...QUICK, keepAliveIdleMs: 50 } });
    peer.send('< . 1:1(0) ack 1 win 0').shutdown().advanceMs(3000).drain();
    expect(peer.stats.tcp.keepAliveProbes).to.equal(0);
    expect(peer.stats.tcp.zeroWindowProbes).to.be.above(2);
    peer.send('< . 1:1(0) ack 1 win 1').drain();
    peer.ackAll();
  });

  it('before the handshake is done, nor after the end [KA-7]', () => {
    const options = { ...QUICK, keepAliveIdleMs: 50, keepAliveIntervalMs: 50 };
    for (const state of ['SYN-SENT', 'SYN-RECEIVED', 'LISTEN', 'CLOSED', 'TIME-WAIT'] as const) {
      const peer = Peer.in(state, { options });
      peer.advanceMs(20_000);
      for (const { line } of peer.drain()) expect(line.flags & 2, state).to.equal(2);
      expect(peer.stats.tcp.keepAliveProbes, state).to.equal(0);
    }
  });
});
