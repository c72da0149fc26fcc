/** What a connection does in each of its states: tcp.md §1.4, FSM-18 to FSM-43. The handshake has a file of its own. */
import { expect } from 'chai';
import { seq, seqDiff } from '../../../lib/base/seq.js';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer, type PeerState } from '../../support/peer.js';

/** A state, and the number at which the peer goes on there. */
const NEXT: Readonly<Record<string, number>> = {
  ESTABLISHED: 1,
  'FIN-WAIT-1': 1,
  'FIN-WAIT-2': 1,
  'CLOSE-WAIT': 2,
  CLOSING: 2,
  'LAST-ACK': 2,
  'TIME-WAIT': 2,
};
const SYNCHRONIZED = Object.keys(NEXT) as PeerState[];

describe('a segment that is not acceptable', () => {
  for (const state of SYNCHRONIZED.filter((name) => name !== 'TIME-WAIT')) {
    it(`is answered with one ACK in ${state}, and an RST with silence (RFC 9293 §3.10.7.4) [FSM-18]`, () => {
      const peer = Peer.in(state);
      const next = NEXT[state];
      const acked = state === 'ESTABLISHED' || state === 'CLOSE-WAIT' ? 1 : 2;
      const beyond = next + 200_000;
      peer.send(`< . ${beyond}:${beyond + 10}(10) ack 1`);
      peer.expect(`> . ${acked}:${acked}(0) ack ${next}`).expectNothing();
      peer.advanceMs(1000).drain();
      peer.send(`< R ${beyond}:${beyond}(0)`).expectNothing();
      peer.send(`< R. ${beyond}:${beyond}(0) ack 1`).expectNothing().expectState(state);
    });
  }

  it('is not answered without end when it has no text (RFC 9293 §3.10.7.4) [FSM-18]', () => {
    const peer = Peer.established();
    for (let i = 0; i < 100; i++) peer.send('< . 200000:200000(0) ack 1');
    peer.expect('> . 1:1(0) ack 1').expectNothing();
    peer.advanceMs(500).send('< . 200000:200000(0) ack 1').expect('> . 1:1(0) ack 1').expectNothing();
    expect(peer.stats.tcp.challengeAcksSkipped).to.equal(99);
  });

  it('changes nothing beyond the window of the peer (RFC 9293 §3.10.7.4) [FSM-18]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(2000);
    peer.send('< . 200000:200100(100) ack 2001 win 7').drain();
    expect(peer.endpoint.unackedBytes).to.equal(2000);
    expect(peer.endpoint.connection.sender.sndWnd).to.equal(65_535);
    expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(1);
    peer.ackAll();
  });
});

describe('a closed receive window', () => {
  /** A window of 1000 bytes, filled. */
  const full = (): Peer => {
    const peer = Peer.established({
      mss: 1000,
      options: { receiveBufferBytes: 2000, receiveBufferMaxBytes: 2000 },
    });
    peer.sendText(2000).drain();
    expect(peer.endpoint.connection.receiver?.rcvWnd).to.equal(0);
    return peer;
  };

  it('lets the ACK of a segment at RCV.NXT through, and refuses its text [FSM-20]', () => {
    const peer = full().wrote(500);
    peer.send('< . 2001:2101(100) ack 501').expect('> . 501:501(0) ack 2001 win 0');
    expect(peer.endpoint.unackedBytes).to.equal(0);
    expect(peer.endpoint.readableBytes).to.equal(2000);
    peer.expectRead(2000).drain();
  });

  it('lets the window and urgent pointer of a segment at RCV.NXT through [FSM-20]', () => {
    const peer = full();
    peer.takeEvents();
    peer.send('< .U 2001:2101(100) ack 1 win 3000 urg 100').drain();
    expect(peer.endpoint.connection.sender.sndWnd).to.equal(3000);
    expect(peer.takeEvents()).to.deep.equal(['urgent']);
    peer.expectRead(2000).drain();
  });

  it('lets an RST at RCV.NXT through, with text or without [FSM-20]', () => {
    for (const reset of ['< R 2001:2001(0)', '< R 2001:2101(100)']) {
      const peer = full();
      peer.takeEvents();
      peer.send(reset).expectState('CLOSED').expectEvents('close ECONNRESET').expectNothing();
    }
  });

  it('turns away what lies beyond RCV.NXT [FSM-20]', () => {
    const peer = full().wrote(500);
    peer.send('< . 2002:2102(100) ack 501').expect('> . 501:501(0) ack 2001 win 0');
    expect(peer.endpoint.unackedBytes).to.equal(500);
    peer.send('< R 2002:2002(0)').expectNothing().expectState('ESTABLISHED');
  });
});

describe('a segment just below the window', () => {
  it('has its ACK taken, as crossing FINs need (RFC 9293 appendix A.2) [FSM-21 D14]', () => {
    const peer = Peer.established();
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    peer.send('< F. 1:1(0) ack 1').expect('> . 2:2(0) ack 2').expectState('CLOSING');
    // The peer has not heard our ACK: its FIN again, now with the ACK of ours.
    peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectNothing().expectState('TIME-WAIT');
  });

  it('has its ACK taken also where the FIN comes back with text (RFC 9293 appendix A.2) [FSM-21]', () => {
    const peer = Peer.established();
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    peer.send('< FP. 1:101(100) ack 1').expect('> . 2:2(0) ack 102').expectState('CLOSING');
    peer.expectRead(100);
    peer.send('< FP. 1:101(100) ack 2').drain();
    peer.expectState('TIME-WAIT');
  });

  it('is answered so that crossing probes come to rest (RFC 9293 appendix A.2) [FSM-21 D14]', () => {
    const peer = Peer.established({
      mss: 1000,
      options: { receiveBufferBytes: 1000, receiveBufferMaxBytes: 1000 },
    });
    peer.sendText(1000).send('< . 1001:1001(0) ack 1 win 0').drain();
    peer.wrote(500);
    peer.expectAfterMs(220, '> . 0:0(0) ack 1001 win 0');
    // The peer's probe crosses ours, and then both are answered.
    peer.send('< . 1000:1000(0) ack 1 win 0').expect('> . 1:1(0) ack 1001 win 0');
    peer.send('< . 1001:1001(0) ack 1 win 0').expectNothing();
    for (let i = 0; i < 20; i++) peer.send('< . 1000:1000(0) ack 1 win 0');
    peer.expectNothing();
    peer.send('< . 1001:1001(0) ack 1 win 1000').expect('> P. 1:501(500) ack 1001');
    peer.ackAll().expectRead(1000).drain();
  });

  it('does not end the connection as an RST, but behind a FIN (RFC 9293 appendix A.2) [FSM-21]', () => {
    Peer.established().send('< R 0:0(0)').expectNothing().expectState('ESTABLISHED');
    Peer.in('CLOSE-WAIT').send('< R 1:1(0)').expectNothing().expectState('CLOSED');
  });
});

describe('the ACK field', () => {
  for (const state of SYNCHRONIZED.filter((name) => name !== 'TIME-WAIT')) {
    it(`must be there in ${state}: without it a segment is dropped in silence (RFC 9293 §3.10.7.4) [FSM-22]`, () => {
      const peer = Peer.in(state);
      const next = NEXT[state];
      const unacked = peer.endpoint.unackedBytes;
      const drops = peer.stats.drops.count(DropReason.TcpNoAckFlag);
      peer.send(`< - ${next}:${next + 10}(10) win 9`).send(`< F ${next}:${next}(0) win 9`);
      peer.expectNothing().expectState(state);
      expect(peer.endpoint.readableBytes).to.equal(0);
      expect(peer.endpoint.unackedBytes).to.equal(unacked);
      expect(peer.stats.drops.count(DropReason.TcpNoAckFlag) - drops).to.equal(2);
    });
  }

  it('beyond SND.NXT brings an ACK, and nothing of the segment counts (RFC 9293 §3.10.7.4) [FSM-23]', () => {
    const peer = Peer.established({ mss: 1000, timestamps: true }).wrote(1000);
    const { receiver, sender } = peer.endpoint.connection;
    const { tsRecent } = receiver ?? { tsRecent: 0 };
    peer.advanceMs(5);
    peer.send('< P. 1:101(100) ack 1002 win 5').expect('> . 1001:1001(0) ack 1').expectNothing();
    expect(sender.sndWnd).to.equal(65_535);
    expect(receiver?.tsRecent).to.equal(tsRecent);
    expect(peer.endpoint.readableBytes).to.equal(0);
    expect(peer.endpoint.unackedBytes).to.equal(1000);
    peer.send('< F. 1:1(0) ack 4000000000').drain();
    peer.expectState('ESTABLISHED').ackAll();
  });
});

describe('closing', () => {
  forEachFamily((family, name) => {
    it(`moves to FIN-WAIT-2 on the ACK of the FIN, not on that of data, over ${name} [FSM-25]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.write(1500).shutdown();
      peer
        .expect('> . 1:1001(1000) ack 1')
        .expect('> P. 1001:1501(500) ack 1')
        .expect('> F. 1501:1501(0) ack 1');
      peer.expectState('FIN-WAIT-1');
      peer.send('< . 1:1(0) ack 1001').expectState('FIN-WAIT-1');
      peer.send('< . 1:1(0) ack 1501').expectState('FIN-WAIT-1');
      peer.send('< . 1:1(0) ack 1502').expectState('FIN-WAIT-2').expectNothing();
    });
  });

  it('goes straight to TIME-WAIT on a FIN that acknowledges ours (RFC 9293 §3.10.7.4) [FSM-26]', () => {
    const peer = Peer.in('FIN-WAIT-1');
    peer
      .send('< F. 1:1(0) ack 2')
      .expect('> . 2:2(0) ack 2')
      .expectState('TIME-WAIT')
      .expectEvents('readable', 'end', 'drain', 'close');
  });

  it('goes through CLOSING on a FIN that does not acknowledge ours (RFC 9293 §3.10.7.4) [FSM-27]', () => {
    const peer = Peer.in('FIN-WAIT-1');
    peer.send('< F. 1:1(0) ack 1').expect('> . 2:2(0) ack 2').expectState('CLOSING');
    peer.send('< . 2:2(0) ack 2').expectNothing().expectState('TIME-WAIT');
    peer.advanceMs(59_999).expectState('TIME-WAIT');
    peer.advanceMs(1).expectState('CLOSED');
  });

  it('takes the passive side through LAST-ACK to CLOSED, without TIME-WAIT (RFC 9293 §3.10.7.4) [FSM-28]', () => {
    const peer = Peer.established();
    peer
      .send('< F. 1:1(0) ack 1')
      .expect('> . 1:1(0) ack 2')
      .expectState('CLOSE-WAIT')
      .expectEvents('readable', 'end');
    peer.shutdown().expect('> F. 1:1(0) ack 2').expectState('LAST-ACK');
    peer.send('< . 2:2(0) ack 1').expectState('LAST-ACK');
    peer.send('< . 2:2(0) ack 2').expectNothing().expectState('CLOSED').expectEvents('drain', 'close');
    expect(peer.stats.tcp.twCount).to.equal(0);
  });

  it('acknowledges a FIN that comes again in TIME-WAIT, and waits anew (RFC 9293 §3.10.7.4) [FSM-29]', () => {
    const peer = Peer.in('TIME-WAIT');
    peer.advanceMs(50_000).expectState('TIME-WAIT');
    peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectNothing();
    peer.advanceMs(59_999).expectState('TIME-WAIT');
    peer.advanceMs(1).expectState('CLOSED');
  });
});

describe('a FIN', () => {
  it('that comes out of order waits for what is missing (RFC 9293 §3.10.7.4) [FSM-30 F7]', () => {
    const peer = Peer.established();
    peer.send('< F. 1001:1001(0) ack 1').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    expect(peer.takeEvents()).not.to.include('end');
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1002').expectState('CLOSE-WAIT');
    peer.expectRead(1000);
    expect(peer.takeEvents()).to.include('end');
  });

  it('that comes with text out of order waits with it (RFC 9293 §3.10.7.4) [FSM-30 F7]', () => {
    const peer = Peer.established();
    peer
      .send('< FP. 1001:1501(500) ack 1')
      .expect('> . 1:1(0) ack 1 <sack 1001:1502>')
      .expectState('ESTABLISHED');
    peer
      .send('< . 1:501(500) ack 1')
      .expect('> . 1:1(0) ack 501 <sack 1001:1502>')
      .expectState('ESTABLISHED');
    peer.send('< . 501:1001(500) ack 1').expect('> . 1:1(0) ack 1502').expectState('CLOSE-WAIT');
    peer.expectRead(1500);
  });

  it('that comes out of order in FIN-WAIT-2 leads to TIME-WAIT once it is reached (RFC 9293 §3.10.7.4) [FSM-30]', () => {
    const peer = Peer.in('FIN-WAIT-2');
    peer.send('< F. 101:101(0) ack 2').expect('> . 2:2(0) ack 1').expectState('FIN-WAIT-2');
    peer.send('< . 1:101(100) ack 2').expect('> . 2:2(0) ack 102').expectState('TIME-WAIT');
    peer.expectRead(100);
  });

  for (const state of ['CLOSE-WAIT', 'CLOSING', 'LAST-ACK'] as const) {
    it(`ends the stream: what comes beyond it is ignored in ${state} (RFC 9293 §3.10.7.4) [FSM-31 F8]`, () => {
      const peer = Peer.in(state);
      const acked = state === 'CLOSE-WAIT' ? 1 : 2;
      peer.send('< PU. 2:102(100) ack 1 urg 50').expect(`> . ${acked}:${acked}(0) ack 2`);
      peer.send('< F. 102:102(0) ack 1').drain();
      peer.expectState(state).expectEvents();
      expect(peer.endpoint.readableBytes).to.equal(0);
      expect(peer.endpoint.urgentBytes).to.equal(0);
      const { receiver } = peer.endpoint.connection;
      expect(seqDiff(receiver?.rcvNxt ?? seq(0), receiver?.irs ?? seq(0))).to.equal(2);
    });
  }

  it('cuts off text beyond it that had come before it (RFC 9293 §3.10.7.4) [FSM-31]', () => {
    const peer = Peer.established();
    peer.send('< . 201:401(200) ack 1').send('< . 501:1001(500) ack 1').drain();
    peer.send('< F. 301:301(0) ack 1').expect('> . 1:1(0) ack 1 <sack 201:302>');
    peer.send('< . 1:301(300) ack 1').expect('> . 1:1(0) ack 302').expectState('CLOSE-WAIT');
    peer.expectRead(300);
    expect(peer.endpoint.readableBytes).to.equal(0);
  });

  it('cuts off text beyond it that comes while it waits (RFC 9293 §3.10.7.4) [FSM-31]', () => {
    const peer = Peer.established();
    peer.send('< F. 301:301(0) ack 1').drain();
    peer.send('< . 201:501(300) ack 1').drain();
    peer.send('< . 401:601(200) ack 1').drain();
    peer.send('< . 1:201(200) ack 1').expect('> . 1:1(0) ack 302').expectState('CLOSE-WAIT');
    peer.expectRead(300);
  });

  it('takes one number and is sent until it is acknowledged, the same every time (RFC 9293 §3.10.4) [FSM-32 F7]', () => {
    const peer = Peer.established({ tailLossProbe: false });
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    for (let rtoMs = 220, i = 0; i < 5; i++, rtoMs *= 2) peer.expectAfterMs(rtoMs, '> F. 1:1(0) ack 1');
    peer.shutdown().expectNothing();
    peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2').shutdown().expectNothing(10_000);
    expect(peer.endpoint.write(new Uint8Array(10))).to.equal(0);
  });

  it('is sent once for every way of asking (RFC 9293 §3.10.4) [FSM-32]', () => {
    const peer = Peer.established();
    peer.write(100).shutdown().shutdown().close();
    peer.expect('> P. 1:101(100) ack 1').expect('> F. 101:101(0) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 102').expectNothing(1000);
  });
});

describe('CLOSE', () => {
  it('in SYN-SENT forgets the connection without a word (RFC 9293 §3.10.4) [FSM-33]', () => {
    for (const end of ['close', 'shutdown', 'abort'] as const) {
      const peer = Peer.in('SYN-SENT');
      peer.write(100)[end]().expectNothing(200_000).expectState('CLOSED');
    }
  });

  it('in SYN-RECEIVED with nothing queued sends a FIN (RFC 9293 §3.10.4) [FSM-34]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.shutdown().expect('> F. 1:1(0) ack 1').expectState('FIN-WAIT-1').expectNothing();
    peer.send('< . 1:1(0) ack 1').expectState('FIN-WAIT-1');
    peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2').expectNothing();
    peer.send('< P. 1:101(100) ack 2').expect('> . 2:2(0) ack 101').expectRead(100);
    peer.send('< F. 101:101(0) ack 2').expect('> . 2:2(0) ack 102').expectState('TIME-WAIT');
  });

  it('in SYN-RECEIVED sends SYN-ACK and FIN until they are acknowledged, both at once (RFC 9293 §3.10.4) [FSM-34]', () => {
    const peer = Peer.in('SYN-RECEIVED', { tailLossProbe: false, role: 'client' });
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    peer.expectAfterMs(1000, '> S. 0:0(0) ack 1').expect('> F. 1:1(0) ack 1');
    peer.send('< S. 0:0(0) ack 2').expect('> . 2:2(0) ack 1').expectState('FIN-WAIT-2').expectNothing(5000);
  });

  it('in SYN-RECEIVED with data queued sends the FIN behind it, once established (RFC 9293 §3.10.4) [FSM-34 FSM-36]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.write(100).shutdown().expectNothing().expectState('SYN-RECEIVED');
    expect(peer.endpoint.write(new Uint8Array(10))).to.equal(0);
    peer.send('< . 1:1(0) ack 1').expect('> FP. 1:101(100) ack 1').expectState('FIN-WAIT-1');
    peer.send('< . 1:1(0) ack 102').expectState('FIN-WAIT-2');
  });

  it('half-closes: the stack goes on to take and acknowledge data (RFC 9293 §3.6.1) [FSM-38]', () => {
    const peer = Peer.in('FIN-WAIT-1', { mss: 1000 });
    peer.send('< P. 1:1001(1000) ack 1').expect('> . 2:2(0) ack 1001').expectRead(1000);
    peer.send('< . 1001:1001(0) ack 2').expectState('FIN-WAIT-2');
    for (let i = 0; i < 50; i++) peer.sendText(2000).expectRead(2000);
    peer.advanceMs(3_600_000).drain();
    peer.expectState('FIN-WAIT-2').sendText(500).expect('> . 2:2(0) ack 101501').expectRead(500);
  });
});

describe('data queued before the handshake is done', () => {
  it('leaves with the ACK of the SYN-ACK, from SYN-SENT (RFC 9293 §3.10.2) [FSM-36]', () => {
    const peer = Peer.connecting({ mss: 1000 });
    peer.expect('> S 0:0(0)').write(1500).expectNothing();
    peer.send('< S. 0:0(0) ack 1 <mss 1000>');
    peer.expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1501(500) ack 1').expectNothing();
    peer.ackAll();
  });

  it('leaves when the handshake ends, from SYN-RECEIVED (RFC 9293 §3.10.2) [FSM-36]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client', mss: 1000 });
    peer.write(1500).expectNothing();
    peer.send('< . 1:1(0) ack 1');
    peer.expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1501(500) ack 1').expectNothing();
    peer.ackAll();
  });
});

describe('reading after the FIN', () => {
  it('drains what was received, then tells the end (RFC 9293 §3.10.3) [FSM-37]', () => {
    const peer = Peer.established();
    peer.sendText(3000).send('< F. 3001:3001(0) ack 1').drain();
    expect(peer.endpoint.isPeerClosed).to.equal(true);
    expect([peer.read(1000), peer.read(1000)].map((bytes) => bytes.length)).to.deep.equal([1000, 1000]);
    peer.expectRead(1000);
    expect(peer.read(10)).to.have.lengthOf(0);
    expect(peer.takeEvents().filter((event) => event === 'end')).to.have.lengthOf(1);
    peer.expectState('CLOSE-WAIT');
  });

  it('works also when the connection is over in every other respect (RFC 9293 §3.10.3) [FSM-37]', () => {
    const peer = Peer.established();
    peer.sendText(100).send('< F. 101:101(0) ack 1').drain();
    peer.shutdown().drain();
    peer.send('< . 102:102(0) ack 2').expectState('CLOSED').expectRead(100);
  });
});

describe('ABORT', () => {
  const RESETS = ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT'] as const;
  for (const state of RESETS) {
    it(`in ${state} sends an RST at SND.NXT and drops the queues (RFC 9293 §3.10.5) [FSM-35]`, () => {
      const peer = Peer.in(state);
      const acked = state === 'ESTABLISHED' || state === 'CLOSE-WAIT' ? 1 : 2;
      peer.abort().expect(`> R. ${acked}:${acked}(0) ack ${NEXT[state]}`).expectNothing(10_000);
      peer.expectState('CLOSED').expectEvents('close');
      expect(peer.gauges.memoryBytes).to.equal(0);
    });
  }

  it('in SYN-RECEIVED sends an RST (RFC 9293 §3.10.5) [FSM-35]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.abort().expect('> R. 1:1(0) ack 1').expectNothing(10_000).expectState('CLOSED');
  });

  it('drops what was not sent and what was not acknowledged (RFC 9293 §3.10.5) [FSM-35]', () => {
    const peer = Peer.established({ mss: 1000, window: 2000 });
    peer.wrote(5000);
    peer.abort().expect('> R. 2001:2001(0) ack 1').expectNothing(100_000);
    expect(peer.gauges.memoryBytes).to.equal(0);
  });

  for (const state of ['CLOSING', 'LAST-ACK', 'TIME-WAIT'] as const) {
    it(`in ${state} sends nothing (RFC 9293 §3.10.5) [FSM-35]`, () => {
      const peer = Peer.in(state);
      peer.abort().expectNothing(1000);
      if (state !== 'TIME-WAIT') peer.expectState('CLOSED');
    });
  }
});

describe('an RST', () => {
  for (const state of ['CLOSING', 'LAST-ACK', 'TIME-WAIT'] as const) {
    it(`in ${state} ends the connection without an error (RFC 9293 §3.10.7.4) [FSM-39]`, () => {
      const peer = Peer.in(state);
      peer.send('< R 2:2(0)').expectNothing().expectState('CLOSED');
      if (state !== 'TIME-WAIT') peer.expectEvents('close');
      else peer.expectEvents();
    });
  }

  it('does not end TIME-WAIT where RFC 1337 is followed (RFC 1337 §3) [FSM-39]', () => {
    const peer = Peer.in('TIME-WAIT', { tcp: { rfc1337: true } });
    peer.send('< R 2:2(0)').expectNothing().expectState('TIME-WAIT');
    peer.advanceMs(60_000).expectState('CLOSED');
  });
});

describe('a header that cannot be one', () => {
  forEachFamily((family, name) => {
    it(`is dropped in silence: a data offset below 5 or beyond the segment, over ${name} [FSM-42]`, () => {
      for (const dataOffset of [0, 1, 2, 3, 4, 9, 15]) {
        const peer = Peer.established(family);
        peer.send('< P. 1:5(4) ack 1', { dataOffset }).expectNothing();
        expect(peer.stats.drops.count(DropReason.TcpHeader), `offset ${dataOffset}`).to.equal(1);
        expect(peer.endpoint.readableBytes).to.equal(0);
        peer.send('< S 0:0(0) win 9', { dataOffset: 6, sourcePort: 9 }).expectNothing();
        expect(peer.host.unclaimed).to.have.lengthOf(0);
      }
    });

    it(`is not one whose reserved bits are set: those are ignored, and sent as zero, over ${name} [FSM-41]`, () => {
      const peer = Peer.closed(family).listen();
      peer.send('< S 0:0(0) win 65535 <mss 1000>', { reserved: 6 }).expect('> S. 0:0(0) ack 1');
      peer.send('< . 1:1(0) ack 1', { reserved: 7 }).expectState('ESTABLISHED');
      peer.send('< P. 1:101(100) ack 1', { reserved: 4 }).expectRead(100).drain();
      peer.wrote(10);
      // Every segment the stack sends is held to zero bits there by `packet-check.ts`.
      expect((peer.last?.bytes.at(-10 - 20 + 12) ?? 255) & 0x0f).to.equal(0);
    });
  });
});
