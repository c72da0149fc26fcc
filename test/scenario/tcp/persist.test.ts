/** Probing a closed window: tcp.md section 17, PERS-*. */
import { expect } from 'chai';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';

/** A connection whose peer has closed its window, with `queued` bytes that wait for it. */
function stuck(queued: number, options: Parameters<typeof Peer.established>[0] = {}): Peer {
  const peer = Peer.established({ mss: 1000, ...options });
  return peer.send('< . 1:1(0) ack 1 win 0').write(queued).expectNothing();
}

describe('the persist timer', () => {
  forEachFamily((family, name) => {
    it(`starts at one RTO and doubles up to 120 s, over ${name} (RFC 9293 §3.8.6.1) [PERS-1 D15]`, () => {
      // A handshake of 100 ms makes SRTT 100 ms, RTTVAR 50 ms and the RTO 300 ms.
      const peer = stuck(500, { ...family, rttMs: 100 });
      for (let i = 0; i < 14; i++) {
        peer.expectAfterMs(Math.min(300 * 2 ** i, 120_000), '> . 0:0(0) ack 1');
        peer.send('< . 1:1(0) ack 1 win 0').expectNothing();
      }
      expect(peer.stats.tcp.zeroWindowProbes).to.equal(14);
      peer.send('< . 1:1(0) ack 1 win 500').expect('> P. 1:501(500) ack 1').ackAll();
    });
  });

  it('has the upper bound that the RTO has, where that is set (RFC 9293 §3.8.6.1) [PERS-1]', () => {
    const peer = stuck(500, { options: { rtoMaxMs: 1000 } });
    for (const ms of [220, 440, 880, 1000, 1000, 1000]) {
      peer.expectAfterMs(ms, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1 win 0');
    }
    peer.abort().drain();
  });

  it('is not set where nothing waits to be sent [PERS-1]', () => {
    const peer = Peer.established();
    peer.send('< . 1:1(0) ack 1 win 0').expectNothing(24 * 3_600_000);
    expect(peer.stats.tcp.zeroWindowProbes).to.equal(0);
  });

  it('goes on unmoved when a SYN or an RST arrives that is not exact (RFC 5961) [PERS-5]', () => {
    const peer = stuck(500);
    peer.advanceMs(50).send('< R 1000:1000(0) win 0').expect('> . 1:1(0) ack 1');
    peer.advanceMs(100).send('< S 5000:5000(0) win 65535 <mss 1460>').drain();
    peer.advanceMs(50).send('< R 70000:70000(0) win 0').expectNothing();
    peer.expectAfterMs(20, '> . 0:0(0) ack 1');
    peer.advanceMs(100).send('< S 1:1(0) win 65535').drain();
    peer.expectAfterMs(340, '> . 0:0(0) ack 1');
    peer.send('< . 1:1(0) ack 1 win 500').expect('> P. 1:501(500) ack 1').ackAll();
  });

  it('takes the place of the retransmission timer once all in flight is acknowledged [PERS-5]', () => {
    const peer = Peer.established({ mss: 1000, window: 3000 }).wrote(3000).write(500);
    peer.advanceMs(20).send('< . 1:1(0) ack 3001 win 0').expectNothing();
    expect(peer.endpoint.connection.sender.recovery.deadlineUs).to.equal(Number.POSITIVE_INFINITY);
    peer.expectAfterMs(220, '> . 3000:3000(0) ack 1').expectAfterMs(440, '> . 3000:3000(0) ack 1');
    expect(peer.stats.tcp.retransSegs).to.equal(0);
    peer.send('< . 1:1(0) ack 3001 win 500').expect('> P. 3001:3501(500) ack 1').ackAll();
  });

  it('is not needed where nothing waits behind what was acknowledged [PERS-5]', () => {
    const peer = Peer.established({ mss: 1000, window: 3000 }).wrote(3000);
    peer.advanceMs(20).send('< . 1:1(0) ack 3001 win 0').expectNothing(3_600_000);
    expect(peer.stats.tcp.retransSegs + peer.stats.tcp.zeroWindowProbes).to.equal(0);
  });
});

describe('a window probe', () => {
  it('has no text and lies one below SND.UNA, wherever that is (Linux tcp_xmit_probe_skb) [PERS-2]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, mss: 1000 }).wrote(700);
      peer.advanceMs(20).send('< . 1:1(0) ack 701 win 0').write(500);
      peer.expectAfterMs(220, '> . 700:700(0) ack 1 <>').send('< . 1:1(0) ack 701 win 0');
      peer.expectAfterMs(440, '> . 700:700(0) ack 1 <>').send('< . 1:1(0) ack 701 win 500');
      peer.expect('> P. 701:1201(500) ack 1').ackAll();
    });
  });

  it('carries a timestamp where they were agreed on, and what was received meanwhile [PERS-2]', () => {
    const peer = Peer.established({ mss: 1012, timestamps: true });
    peer.send('< . 1:1(0) ack 1 win 0').write(500);
    peer.send('< P. 1:101(100) ack 1 win 0').drain();
    peer.expectAfterMs(220, '> . 0:0(0) ack 101 <TS val * ecr *>').expectRead(100);
    peer.send('< . 101:101(0) ack 1 win 500').drain();
    peer.ackAll();
  });

  it('of one byte is refused with an ACK while our window is closed [PERS-2]', () => {
    forEachFamily((family) => {
      const options = { receiveBufferBytes: 2000, receiveBufferMaxBytes: 2000 };
      const peer = Peer.established({ ...family, options }).sendText(2000);
      peer.advanceMs(200).drain();
      for (let i = 0; i < 5; i++) {
        peer.send('< . 2001:2002(1) ack 1').expect('> . 1:1(0) ack 2001 win 0').advanceMs(1000);
      }
      // One in front of the window, as some stacks send them.
      peer.send('< . 2000:2001(1) ack 1').expect('> . 1:1(0) ack 2001 win 0');
      expect(peer.endpoint.readableBytes).to.equal(2000);
      peer.expectRead(2000).expect('> . 1:1(0) ack 2001 win 2000');
    });
  });

  it('of one byte is taken where our window is open [PERS-2]', () => {
    const peer = Peer.established();
    peer.send('< . 1:2(1) ack 1').expect('> . 1:1(0) ack 2').expectRead(1);
    peer.send('< . 2:3(1) ack 1').expect('> . 1:1(0) ack 3').expectRead(1);
  });

  it('finds open a window whose update was lost (RFC 9293 §3.8.6.1) [PERS-3 D15]', () => {
    forEachFamily((family) => {
      const peer = Peer.established({ ...family, mss: 1000, window: 2000 })
        .wrote(2000)
        .write(1500);
      peer.advanceMs(20).send('< . 1:1(0) ack 2001 win 0').expectNothing();
      // The peer's "ack 2001 win 4000" is lost here. Only the answer to the probe tells.
      peer.expectAfterMs(220, '> . 2000:2000(0) ack 1').send('< . 1:1(0) ack 2001 win 4000');
      peer.expect('> . 2001:3001(1000) ack 1').expect('> P. 3001:3501(500) ack 1').ackAll();
      expect(peer.endpoint.unackedBytes).to.equal(0);
    });
  });

  it('is sent again when it, or its answer, is lost (RFC 9293 §3.8.6.1) [PERS-3]', () => {
    const peer = stuck(500);
    for (let i = 0; i < 5; i++) peer.expectAfterMs(220 * 2 ** i, '> . 0:0(0) ack 1');
    peer.send('< . 1:1(0) ack 1 win 500').expect('> P. 1:501(500) ack 1').ackAll();
  });
});

describe('a window that opens by less than what waits', () => {
  it('gets a partial segment when the probe timer runs out, and the rest later (RFC 9293 §3.8.6.2.1) [PERS-4]', () => {
    const peer = stuck(2500);
    peer.send('< . 1:1(0) ack 1 win 300').expectNothing(219);
    peer.expectAfterMs(1, '> . 1:301(300) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 301 win 0').expectNothing();
    peer.expectAfterMs(440, '> . 300:300(0) ack 1', { toleranceMs: 220 });
    peer.send('< . 1:1(0) ack 301 win 10000');
    peer.expect('> . 301:1301(1000)').expect('> . 1301:2301(1000)').expect('> P. 2301:2501(200)').ackAll();
  });

  it('loses neither text nor FIN, however little it opens each time (RFC 9293 §3.8.6.2.1) [PERS-4]', () => {
    for (const step of [1, 7, 499, 501, 999]) {
      const peer = Peer.established({ mss: 1000 });
      peer.send('< . 1:1(0) ack 1 win 0').write(1200).shutdown().expectNothing();
      let received = 1;
      let isFinished = false;
      for (let i = 0; i < 3000 && !isFinished; i++) {
        peer.send(`< . 1:1(0) ack ${received} win ${step}`).advanceMs(500);
        for (const { line } of peer.drain()) {
          expect(line.start + line.textBytes, 'beyond the window').to.be.at.most(received + step);
          const isFin = (line.flags & 1) !== 0;
          // Probes, and what is sent again before it is acknowledged.
          if (line.start + line.textBytes + (isFin ? 1 : 0) <= received) continue;
          expect(line.start, 'what follows').to.equal(received);
          received += line.textBytes;
          if (!isFin) continue;
          isFinished = true;
          received++;
        }
      }
      expect(isFinished, `a FIN through windows of ${step}`).to.equal(true);
      expect(received).to.equal(1202);
      peer.send('< F. 1:1(0) ack 1202').drain();
    }
  });

  it('by nothing but room for the FIN lets the FIN go [PERS-4]', () => {
    const peer = Peer.established({ mss: 1000, window: 1000 });
    peer.write(1000).shutdown().expect('> P. 1:1001(1000) ack 1').expectNothing();
    peer.advanceMs(20).send('< . 1:1(0) ack 1001 win 0').expectAfterMs(220, '> . 1000:1000(0) ack 1');
    peer.send('< . 1:1(0) ack 1001 win 1').expect('> F. 1001:1001(0) ack 1').send('< . 1:1(0) ack 1002');
    peer.expectState('FIN-WAIT-2');
  });
});

describe('probes', () => {
  it('that nobody answers end the connection like retransmissions (Linux tcp_probe_timer) [PERS-7]', () => {
    const peer = stuck(500, { options: { retries2: 5 } });
    peer.takeEvents();
    for (let i = 0; i < 5; i++) peer.expectAfterMs(220 * 2 ** i, '> . 0:0(0) ack 1');
    peer.advanceMs(220 * 2 ** 5 - 2).expectState('ESTABLISHED');
    peer.advanceMs(4).expectState('CLOSED').expectEvents('close ETIMEDOUT');
    expect(peer.stats.tcp.abortOnTimeout).to.equal(1);
  });

  it('begin to be counted anew when one is answered, and go on to come ever more rarely [PERS-7]', () => {
    const peer = stuck(500, { options: { retries2: 5 } });
    for (let i = 0; i < 4; i++) peer.expectAfterMs(220 * 2 ** i, '> . 0:0(0) ack 1');
    peer.send('< . 1:1(0) ack 1 win 0');
    for (let i = 4; i < 9; i++) peer.expectAfterMs(220 * 2 ** i, '> . 0:0(0) ack 1', { toleranceMs: 5 });
    peer.advanceMs(220 * 2 ** 9 - 20).expectState('ESTABLISHED');
    peer.advanceMs(40).expectState('CLOSED');
  });

  it('begin anew, counted and timed, when the window opens or text is acknowledged [PERS-7]', () => {
    const peer = stuck(500, { options: { retries2: 5 } });
    for (let round = 0; round < 6; round++) {
      const at = 1 + 500 * round;
      for (let i = 0; i < 4; i++) peer.expectAfterMs(220 * 2 ** i, `> . ${at - 1}:${at - 1}(0) ack 1`);
      peer.send(`< . 1:1(0) ack ${at} win 500`).expect(`> P. ${at}:${at + 500}(500) ack 1`);
      peer
        .advanceMs(20)
        .send(`< . 1:1(0) ack ${at + 500} win 0`)
        .write(500)
        .expectNothing();
    }
    peer.expectState('ESTABLISHED').abort().drain();
  });

  it('are not answered by what is no acceptable segment [PERS-7]', () => {
    const peer = stuck(500, { options: { retries2: 4 } });
    for (let i = 0; i < 4; i++) {
      peer.expectAfterMs(220 * 2 ** i, '> . 0:0(0) ack 1');
      // Blind guesses: an ACK of what was never sent, and text far beyond the window.
      peer.send('< . 1:1(0) ack 900000 win 0').send('< . 900000:900010(10) ack 1 win 0').drain();
    }
    peer
      .advanceMs(220 * 2 ** 4 + 2)
      .expectState('CLOSED')
      .drain();
  });
});

describe('connections whose peers keep their windows closed', () => {
  const COUNT = 50;

  /** Many peers of one stack, all with 1000 bytes that wait. */
  function stuckPeers(tcp: Parameters<typeof Peer.established>[0] = {}): Peer[] {
    const first = stuck(1000, tcp);
    const peers = [first];
    while (peers.length < COUNT) {
      const peer = first.another({ port: 41_000 + peers.length }).handshake();
      peer.drain();
      peers.push(peer.send('< . 1:1(0) ack 1 win 0').write(1000));
    }
    return peers;
  }

  it('are counted with their memory, and cost a probe each now and then (RFC 6429 §3) [PERS-6]', () => {
    const peers = stuckPeers();
    const { tcp } = peers[0].stats;
    expect(tcp.memoryBytes).to.equal(COUNT * 4096);
    for (let i = 0; i < 60; i++) {
      peers[0].advanceMs(60_000);
      for (const peer of peers) if (peer.drain().length > 0) peer.send('< . 1:1(0) ack 1 win 0');
    }
    expect(tcp.currEstab).to.equal(COUNT);
    expect(tcp.memoryBytes).to.equal(COUNT * 4096);
    // 10 on the way to 120 s, then one each 120 s: about 40 in an hour.
    expect(tcp.zeroWindowProbes / COUNT).to.be.within(30, 45);
    for (const peer of peers) peer.abort().drain();
    expect(tcp.memoryBytes).to.equal(0);
  });

  it('may be aborted by their application at any time (RFC 6429 §4) [PERS-6]', () => {
    const peers = stuckPeers();
    peers[0].advanceMs(100_000);
    for (const peer of peers) {
      peer.drain();
      peer.abort().expect('> R. 1:1(0) ack 1').expectState('CLOSED');
    }
    expect(peers[0].gauges).to.include({ connections: 0, memoryBytes: 0 });
  });

  it('are ended by the stack once nobody owns them, answers or not (RFC 6429 §4) [PERS-6]', () => {
    const peers = stuckPeers({ tcp: { orphanRetries: 6 } });
    for (const peer of peers) peer.close();
    const { tcp } = peers[0].stats;
    expect(tcp.orphans).to.equal(COUNT);
    for (let i = 0; i < 60 && tcp.orphans > 0; i++) {
      peers[0].advanceMs(1000);
      for (const peer of peers) {
        const sent = peer.drain();
        if (sent.some(({ line }) => (line.flags & 4) === 0)) peer.send('< . 1:1(0) ack 1 win 0');
        else if (sent.length > 0) expect(peer.state).to.equal('CLOSED');
      }
    }
    expect(peers[0].gauges).to.include({ connections: 0, memoryBytes: 0, orphans: 0 });
    expect(tcp.abortOnTimeout).to.equal(COUNT);
    expect(tcp.zeroWindowProbes / COUNT).to.equal(6);
  });
});
