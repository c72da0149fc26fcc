/**
 * Retransmission, what is done about a peer that does not answer, and how fast a connection may send:
 * tcp.md MUST-18 to MUST-23, SHLD-9 to SHLD-11.
 */
import { expect } from 'chai';
import { Peer } from '../../support/peer.js';
import { WireLink } from '../../support/wire-link.js';

/** Times between segments, ms, rounded. */
function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, i) => Math.round(time - times[i]));
}

describe('the retransmission time-out', () => {
  it('follows SRTT and RTTVAR (RFC 6298 §2) [MUST-18]', () => {
    const peer = Peer.established({ mss: 1000, rttMs: 100 });
    // First sample R=100: RTTVAR=50, RTO = 100 + max(200, 4·50).
    peer.write(100).expect('> P. 1:101(100) ack 1').expectAfterMs(300, '> P. 1:101(100) ack 1');
    peer.ackAll().advanceMs(1000);
    // Second sample 500: RTTVAR = 0.75·50 + 0.25·400 = 137.5, SRTT = 0.875·100 + 0.125·500 = 150.
    peer.wrote(100).advanceMs(100);
    peer.send('< . 1:1(0) ack 201').wrote(100).advanceMs(250);
    peer.send('< . 1:1(0) ack 301');
    const { rtt } = peer.endpoint.connection.sender.recovery;
    // 100, then 100, then 250.
    expect(rtt.srttUs / 1000).to.be.closeTo(0.875 * 100 + 0.125 * 250, 0.01);
    expect(rtt.rttVarUs / 1000).to.be.closeTo(0.75 * 37.5 + 0.25 * 150, 0.01);
  });

  it('takes no sample from a segment sent twice (RFC 6298 §3, Karn) [MUST-18]', () => {
    const peer = Peer.established({ mss: 1000, rttMs: 100 });
    const { rtt } = peer.endpoint.connection.sender.recovery;
    const { srttUs, rttVarUs } = rtt;
    peer.write(100).expect('> P. 1:101(100) ack 1').expectAfterMs(300, '> P. 1:101(100) ack 1');
    peer.advanceMs(5).send('< . 1:1(0) ack 101');
    expect(rtt).to.include({ srttUs, rttVarUs });
    peer.wrote(100).advanceMs(100).ackAll();
    expect(rtt.rttVarUs).to.be.below(rttVarUs);
  });

  it('doubles with every time-out of a segment, up to its bound (RFC 6298 §5.5) [MUST-18 MUST-19]', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 });
    const times = [peer.nowMs];
    peer.write(100).expect('> P. 1:101(100) ack 1');
    for (let i = 0; i < 13; i++) {
      while (peer.waiting === 0) peer.advanceMs(10);
      times.push(peer.take()?.atMs ?? 0);
    }
    const expected = Array.from({ length: 13 }, (_, i) => Math.min(220 * 2 ** i, 120_000));
    expect(gapsOf(times)).to.deep.equal(expected);
    peer.ackAll();
  });

  it('starts from 1 s before anything was measured (RFC 6298 §2.1) [MUST-18]', () => {
    const peer = Peer.connecting();
    peer.expect('> S 0:0(0)').expectAfterMs(1000, '> S 0:0(0)').expectAfterMs(2000, '> S 0:0(0)');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1');
    // The handshake measured nothing; what follows distrusts the path (RFC 6298 §5.7).
    peer.write(100).expect('> P. 1:101(100) ack 1').expectAfterMs(3000, '> P. 1:101(100) ack 1').ackAll();
  });
});

describe('congestion control', () => {
  /** Full segments sent in this round trip; all are then acknowledged one by one. */
  const round = (peer: Peer): number => {
    const sent = peer.drain().filter(({ line }) => line.textBytes > 0);
    peer.advanceMs(20);
    for (const { line } of sent) peer.send(`< . 1:1(0) ack ${line.start + line.textBytes}`);
    return sent.length;
  };
  const busy = (): Peer => {
    const peer = Peer.established({
      tailLossProbe: false,
      mss: 1000,
      windowScale: 7,
      options: { timestamps: false, forwardRto: false, congestionControl: 'reno' },
    });
    peer.onEvent = (event) => {
      if (event === 'writable' || event === 'drain') fill(peer);
    };
    fill(peer);
    peer.advanceMs(0);
    return peer;
  };
  const fill = (peer: Peer): void => {
    const { endpoint } = peer;
    const { sender } = endpoint.connection;
    const at = sender.buffer.end - sender.iss - 1;
    endpoint.write(peer.incoming.bytes(at >>> 0, endpoint.writableBytes + 1));
  };

  it('begins with ten segments and doubles each round trip in slow start (RFC 5681 §3.1, RFC 6928) [MUST-19]', () => {
    const peer = busy();
    expect([round(peer), round(peer), round(peer), round(peer)]).to.deep.equal([10, 20, 40, 80]);
    peer.abort();
  });

  it('grows by one segment a round trip beyond ssthresh (RFC 5681 §3.1) [MUST-19]', () => {
    const peer = busy();
    round(peer);
    const { congestion } = peer.endpoint.connection.sender;
    // A loss, as three SACKs show it, halves the window.
    const lost = peer.drain();
    const [first] = lost;
    for (const { line } of lost.slice(1, 4)) {
      const end = line.start + 1000;
      peer.send(`< . 1:1(0) ack ${first.line.start} <sack ${first.line.start + 1000}:${end}>`);
    }
    expect(congestion.ssthreshBytes).to.equal(10_000);
    expect(peer.drain().map(({ line }) => line.start)).to.include(first.line.start);
    peer.advanceMs(20).ackAll();
    const rounds = [0, 1, 2, 3, 4, 5, 6].map(() => round(peer));
    expect(rounds[1], rounds.join()).to.be.within(10, 13);
    for (let i = 2; i < rounds.length; i++)
      expect(rounds[i] - rounds[i - 1], rounds.join()).to.be.within(0, 2);
    expect(rounds[6] - rounds[1], rounds.join()).to.be.within(4, 6);
    peer.abort();
  });

  it('begins anew from one segment after a time-out, up to half of what was in flight (RFC 5681 §3.1) [MUST-19]', () => {
    const peer = busy();
    round(peer);
    const { congestion } = peer.endpoint.connection.sender;
    const inFlight = peer.drain().length;
    expect(inFlight).to.equal(20);
    while (peer.waiting === 0) peer.advanceMs(1);
    expect(congestion.cwndBytes).to.equal(1000);
    expect(congestion.ssthreshBytes).to.equal(10_000);
    expect([round(peer), round(peer), round(peer)]).to.deep.equal([1, 2, 4]);
    peer.abort();
  });
});

describe('a peer that does not answer', () => {
  it('makes the stack look at the route again and tell its user at R1, and give up at R2 (RFC 9293 §3.8.3) [MUST-20 SHLD-9 SHLD-10 SHLD-11]', () => {
    const peer = Peer.established({ tailLossProbe: false });
    peer.takeEvents();
    const sentAt = peer.nowMs;
    peer.write(100).drain();
    const retransmissions: number[] = [];
    while (peer.state === 'ESTABLISHED') {
      peer.advanceMs(100);
      for (const { atMs } of peer.drain()) {
        retransmissions.push(atMs);
        if (retransmissions.length < 3) peer.expectEvents();
        if (retransmissions.length === 3) peer.expectEvents('soft ETIMEDOUT');
      }
    }
    peer.expectEvents('close ETIMEDOUT');
    // 15 retransmissions; R2 counts from the first as many doublings of 200 ms as 15 take: 924.6 s.
    expect(retransmissions).to.have.lengthOf(15);
    expect((peer.nowMs - sentAt) / 1000).to.be.within(924.6, 1000);
    peer.expectNothing(1e6);
  });

  it('makes the route be looked at again: of several next hops another is tried at R1 (RFC 9293 §3.8.3) [MUST-20]', () => {
    const peer = Peer.closed({ role: 'client', address: '10.9.0.2' });
    const { stack } = peer;
    const other = new WireLink({ name: 'wire1' });
    const second = stack.addLink(other, { addresses: ['10.8.0.1/24'] });
    stack.routing.routes.add({
      destination: '10.9.0.0/16',
      nexthops: [{ port: second - 1 }, { port: second }],
    });
    const ways: string[] = [];
    for (const wire of [peer.host.wire, other]) {
      const hear = (packet: Parameters<typeof wire.onSent>[0]): void => {
        if (peer.sent(packet)) ways.push(wire.name);
      };
      wire.onSent = hear;
    }
    peer.connect().handshake().drain();
    ways.length = 0;
    peer.write(100);
    const first = ways[0];
    peer.advanceMs(220 + 440 + 880 + 1760 + 10).drain();
    expect(ways).to.have.lengthOf(5);
    expect(ways.slice(0, 3)).to.deep.equal([first, first, first]);
    expect(ways[4]).not.to.equal(first);
    expect(ways[4]).to.match(/^wire[01]$/);
    peer.ackAll();
  });

  it('begins to be counted anew when it answers (RFC 9293 §3.8.3) [MUST-20]', () => {
    const peer = Peer.established();
    for (let i = 0; i < 20; i++) {
      peer.wrote(100);
      peer.advanceMs(220 + 440 + 10).drain();
      peer.ackAll();
    }
    expect(peer.takeEvents()).not.to.include('soft ETIMEDOUT');
    peer.expectState('ESTABLISHED');
  });

  it('is given up after as long as the application says (RFC 9293 §3.8.3) [MUST-21]', () => {
    for (const seconds of [3, 30, 600]) {
      const peer = Peer.established({ options: { userTimeoutMs: seconds * 1000 } });
      peer.takeEvents();
      peer.wrote(100).advanceMs(220);
      peer
        .advanceMs(seconds * 1000 - 1)
        .expectState('ESTABLISHED')
        .drain();
      peer.advanceMs(2).expectState('CLOSED');
      expect(peer.takeEvents().at(-1)).to.equal('close ETIMEDOUT');
    }
  });

  it('may be waited for without end (RFC 9293 §3.8.3) [MUST-21]', () => {
    const peer = Peer.established();
    peer.endpoint.setUserTimeout(20 * 86_400_000);
    peer
      .wrote(100)
      .advanceMs(2 * 86_400_000)
      .expectState('ESTABLISHED');
    peer.ackAll();
    const many = Peer.established({ options: { retries2: 1_000_000 } });
    many
      .wrote(100)
      .advanceMs(2 * 86_400_000)
      .expectState('ESTABLISHED');
    many.ackAll().expectState('ESTABLISHED');
  });

  it('may be given up after another number of retransmissions (RFC 9293 §3.8.3) [MUST-21]', () => {
    const peer = Peer.established({ options: { retries2: 5 } });
    peer.wrote(100);
    peer.advanceMs(60_000).expectState('CLOSED');
    expect(peer.drain().length).to.be.within(4, 6);
  });

  it('makes a connect fail with a time-out, told of at R1 (RFC 9293 §3.8.3) [MUST-22 SHLD-9]', () => {
    const peer = Peer.connecting();
    peer.expect('> S 0:0(0)');
    peer.advanceMs(6_999).expectEvents();
    peer.advanceMs(1).expectEvents('soft ETIMEDOUT').expectState('SYN-SENT');
    peer.advanceMs(120_000).expectEvents('close ETIMEDOUT').expectState('CLOSED');
  });

  it('is sent six more SYNs, for 127 s; three minutes and more are a setting away (RFC 9293 §3.8.3) [MUST-23]', () => {
    const peer = Peer.connecting();
    const times = [0];
    peer.expect('> S 0:0(0)');
    while (peer.state === 'SYN-SENT') {
      peer.advanceMs(100);
      for (const { atMs, text } of peer.drain()) {
        times.push(atMs);
        expect(text).to.match(/^> S 0:0\(0\) win/);
      }
    }
    expect(gapsOf(times)).to.deep.equal([1000, 2000, 4000, 8000, 16_000, 32_000]);
    expect(peer.nowMs).to.be.closeTo(127_000, 100);
    const patient = Peer.connecting({ options: { synRetries: 7 } });
    patient.advanceMs(180_000).expectState('SYN-SENT');
    patient.advanceMs(80_000).expectState('CLOSED');
  });
});
