/** Paths and peers that spoil accurate ECN (RFC 9768 §3.2.2.3, §3.2.2.4, §3.2.3.2): rows AECN-18 of tcp.md and D11 of robustness.md. */
import { expect } from 'chai';
import { accuratePeer, ace, asksAccurate, listensAccurate } from '../../support/ecn-peer.js';
import type { Peer } from '../../support/peer.js';

/** It still counts what arrives, and tells of it; `una` and `at` are where both sides are. */
function expectFeedback(peer: Peer, at: number, una: number): void {
  const marks = peer.endpoint.info.receivedMarks;
  peer.advanceMs(1000).drain();
  peer.send(`< [ce] P.${ace(5)} ${at}:${at + 100}(100) ack ${una}`);
  expect(peer.endpoint.info.receivedMarks).to.equal(marks + 1);
  expect(peer.drain().some(({ line }) => line.ack === at + 100)).to.equal(true);
}

describe('a path that changes the ECN field', () => {
  it('of a SYN lets nothing be marked, and marks still count (RFC 9768 §3.2.2.3) [AECN-18, D11]', () => {
    for (const field of [3, 4, 6]) {
      const peer = asksAccurate({ options: { congestionControl: 'reno' } })
        .expect('> [noecn] SEWA 0:0(0)')
        .advanceMs(20);
      peer
        .send(`< S.${ace(field)} 0:0(0) ack 1 <mss 1000>`)
        .expect(`> .${ace(2)} 1:1(0) ack 1`)
        .write(20_000);
      expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: false });
      for (const { line } of peer.drain()) expect(line.ecn ?? 0).to.equal(0);
      const before = peer.endpoint.info.cwndBytes;
      peer.send(`< .${ace(6)} 1:1(0) ack 989`);
      expect(peer.endpoint.info.ssthreshBytes).to.be.at.most(Math.max(2000, before / 2));
      expectFeedback(peer, 1, 989);
    }
  });

  it('of a SYN-ACK lets nothing be marked, and marks still count (RFC 9768 §3.2.2.3) [AECN-18, D11]', () => {
    for (const field of [3, 4, 6]) {
      const peer = listensAccurate()
        .send('< SEWA 0:0(0) <mss 1000>')
        .expect(`> [noecn] S.${ace(2)} 0:0(0) ack 1`);
      peer
        .advanceMs(20)
        .send(`< .${ace(field)} 1:1(0) ack 1`)
        .write(3000);
      expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: false });
      for (const { line } of peer.drain()) expect(line.ecn ?? 0).to.equal(0);
      expectFeedback(peer, 1, 1);
    }
  });
});

describe('flags that somebody clears', () => {
  it('in the first segment behind the handshake end marking and the belief in marks (RFC 9768 §3.2.2.4) [AECN-18, D11]', () => {
    for (const role of ['server', 'client'] as const) {
      const peer = accuratePeer({ role, mss: 1000, options: { congestionControl: 'reno' } });
      peer.send('< P. 1:101(100) ack 1').drain();
      expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: false });
      peer.write(10_000);
      for (const { line } of peer.drain()) expect(line.ecn ?? 0).to.equal(0);
      const before = peer.endpoint.info.cwndBytes;
      peer.send(`< .${ace(3)} 101:101(0) ack 5001`);
      expect(peer.endpoint.info.cwndBytes).to.be.at.least(before);
      expectFeedback(peer, 101, 5001);
    }
  });

  it('later, to zero like anything else, are a counter that came round [AECN-18]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(3000);
    peer.send(`< .${ace(5)} 1:1(0) ack 1001`).send(`< .${ace(0)} 1:1(0) ack 3001`);
    expect(peer.endpoint.info).to.include({ ecnCapable: true, deliveredMarks: 3 });
  });

  it('as they are by those who know no such counter are not believed [AECN-18]', () => {
    const peer = accuratePeer({ mss: 1000, options: { congestionControl: 'reno' } }).wrote(10_000);
    // ACKs come without flags for ever; only the first says anything.
    for (let ack = 1001; ack <= 10_001; ack += 1000) peer.send(`< . 1:1(0) ack ${ack}`);
    expect(peer.endpoint.info).to.include({ ecnCapable: false, retransmissions: 0 });
    expect(peer.endpoint.info.cwndBytes).to.be.above(10_000);
  });
});

describe('counters in options that somebody changes', () => {
  it('are ignored where they begin at zero (RFC 9768 §3.2.3.2.4) [D11]', () => {
    const server = listensAccurate({ mss: 1000 }).send('< SEWA 0:0(0) <mss 1000>');
    server.drain();
    server
      .send(`< .${ace(2)} 1:1(0) ack 1 <ECN e0b 0 ceb 0 e1b 0>`)
      .write(10_000)
      .drain();
    const client = asksAccurate().expect('> SEWA 0:0(0)').advanceMs(20);
    client.send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000,ECN e0b 1 ceb 0 e1b 0>`).drain();
    client.write(10_000).drain();
    for (const peer of [server, client]) {
      peer.send(`< .${ace(6)} 1:1(0) ack 2001 <ECN e0b 901 ceb 77777>`);
      expect(peer.endpoint.info).to.deep.include({
        deliveredMarks: 1,
        deliveredEcn: { ceBytes: 0, ect0Bytes: 0, ect1Bytes: 0 },
      });
    }
  });

  it('and say that bytes were marked where no segment was end marking (RFC 9768 §3.2.3.2.5) [D11]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(10_000);
    peer.send(`< .${ace(5)} 1:1(0) ack 1001 <ECN e0b 1001>`);
    expect(peer.endpoint.info.ecnCapable).to.equal(true);
    peer.send(`< .${ace(5)} 1:1(0) ack 2001 <ECN e0b 1001 ceb 1000>`);
    expect(peer.endpoint.info).to.include({ ecnCapable: false, deliveredMarks: 0 });
    peer.write(1000).expect(`> [noecn] P.${ace(5)} 10001:11001(1000) ack 1`);
  });

  it('and run backwards say nothing [D11]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(10_000);
    peer.send(`< .${ace(6)} 1:1(0) ack 2001 <ECN e0b 1001 ceb 1000>`);
    peer.send(`< .${ace(6)} 1:1(0) ack 3001 <ECN e0b 900 ceb 500>`);
    expect(peer.endpoint.info).to.deep.include({
      deliveredMarks: 1,
      deliveredEcn: { ceBytes: 1000, ect0Bytes: 1000, ect1Bytes: 0 },
    });
  });

  it('come round, and count on [D11]', () => {
    const peer = accuratePeer({ mss: 1000 });
    const { feedback } = peer.endpoint.connection.writer.ecn as never as {
      feedback: { ceBytes: number; ect0Bytes: number };
    };
    feedback.ceBytes = 0xff_ff00;
    feedback.ect0Bytes = 0xff_fff0;
    peer.wrote(10_000).send(`< .${ace(6)} 1:1(0) ack 2001 <ECN e0b 16 ceb 744>`);
    expect(feedback).to.include({ ceBytes: 0x100_0000 + 744, ect0Bytes: 0x100_0000 + 16 });
    expect(peer.endpoint.info.deliveredMarks).to.equal(1);
  });

  it('appear only in the middle of a connection, and count from there on [D11]', () => {
    const peer = accuratePeer({ mss: 1000, counters: false }).wrote(10_000);
    peer.send(`< .${ace(5)} 1:1(0) ack 1001`).send(`< .${ace(6)} 1:1(0) ack 3001 <ECN e0b 2001 ceb 1000>`);
    expect(peer.endpoint.info.deliveredEcn.ceBytes).to.equal(1000);
  });
});

describe('ACKs that say too little', () => {
  it('are taken for the worst that is likely (RFC 9768 §3.2.2.5.2) [D11]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(10_000);
    // Ten segments, and a counter that has moved by two: or by ten.
    peer.send(`< .${ace(7)} 1:1(0) ack 10001`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(10);
    const told = accuratePeer({ mss: 1000 }).wrote(10_000);
    told.send(`< .${ace(7)} 1:1(0) ack 10001 <ECN e0b 8001 ceb 2000>`);
    expect(told.endpoint.info.deliveredMarks).to.equal(2);
  });

  it('count what was acknowledged selectively before no second time [D11]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(10_000);
    peer.send(`< .${ace(5)} 1:1(0) ack 1 <nop,nop,sack 2001:6001>`);
    peer.send(`< .${ace(5)} 1:1(0) ack 1 <nop,nop,sack 2001:10001>`);
    // Two segments are new, so that the counter has moved by one and not by nine.
    peer.send(`< .${ace(6)} 1:1(0) ack 10001`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(1);
  });

  it('and were overtaken say nothing (RFC 9768 §3.2.2.2) [D11]', () => {
    const peer = accuratePeer({ mss: 1000 }).wrote(10_000);
    peer.send(`< .${ace(7)} 1:1(0) ack 4001`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(2);
    peer.send(`< .${ace(6)} 1:1(0) ack 2001`).send(`< .${ace(6)} 1:1(0) ack 4001`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(2);
    // What is acknowledged selectively is news as well; the same once more is not.
    peer.send(`< .${ace(0)} 1:1(0) ack 4001 <nop,nop,sack 5001:6001>`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(3);
    peer.send(`< .${ace(7)} 1:1(0) ack 4001 <nop,nop,sack 5001:6001>`);
    expect(peer.endpoint.info.deliveredMarks).to.equal(3);
  });
});

describe('a path that marks everything', () => {
  /** One round trip: what has left arrives, and is acknowledged with so many marks and what else is said. */
  function round(peer: Peer, told: (segments: number, end: number) => string): void {
    // A window of one segment waits for as long as the timer would.
    for (let i = 0; i < 30 && peer.waiting === 0; i++) peer.advanceMs(20);
    const segments = peer.drain().length;
    expect(segments).to.be.above(0);
    peer.advanceMs(20).send(told(segments, peer.rcvNxt));
  }

  it('is not believed after some rounds, and gets nothing to mark (RFC 9768 §3.2.2.3) [D11]', () => {
    const peer = accuratePeer({ mss: 1000, options: { congestionControl: 'reno' } }).write(60_000);
    let marks = 5;
    let rounds = 0;
    const marked = (segments: number, end: number): string => {
      marks += segments;
      return `< .${ace(marks)} 1:1(0) ack ${end} <ECN e0b 1 ceb ${end - 1}>`;
    };
    for (; peer.endpoint.info.ecnCapable; rounds++) round(peer, marked);
    expect(rounds).to.be.within(4, 6);
    expect(peer.endpoint.info.retransmissions).to.equal(0);
    const { cwndBytes } = peer.endpoint.info;
    expect(peer.waiting).to.be.above(0);
    for (let i = 0; i < 3; i++) {
      expect(peer.last?.line.ecn).to.equal(0);
      round(peer, marked);
    }
    expect(peer.endpoint.info.cwndBytes).to.be.above(cwndBytes);
  });

  it('is believed where one segment came through unmarked [D11]', () => {
    const peer = accuratePeer({ mss: 1000, options: { congestionControl: 'reno' } }).write(60_000);
    let marks = 5;
    for (let i = 0; i < 12; i++) {
      round(peer, (segments, end) => {
        marks += segments - (i === 2 ? 1 : 0);
        const unmarkedBytes = i < 2 ? 0 : 1000;
        return `< .${ace(marks)} 1:1(0) ack ${end} <ECN e0b ${1 + unmarkedBytes} ceb ${end - 1 - unmarkedBytes}>`;
      });
    }
    expect(peer.endpoint.info.ecnCapable).to.equal(true);
    expect(peer.endpoint.info.cwndBytes).to.be.at.most(2000);
  });
});

describe('the option of accurate ECN on a path that swallows it', () => {
  it('is left out once the first text that had it must be sent again (RFC 9768 §3.2.3.2.2) [AECN-18]', () => {
    const peer = accuratePeer({ role: 'client', mss: 1000 }).write(500);
    peer.expect(`> [ect0] P.${ace(5)} 1:501(500) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    peer
      .advanceMs(1000)
      .expect(`> [noecn] P.${ace(5)} 1:501(500) ack 1 <!ECN>`)
      .drain();
    peer.send(`< [ect0] P.${ace(5)} 1:101(100) ack 501`).expect(`> .${ace(5)} 501:501(0) ack 101 <!ECN>`);
    // What the peer tells is still read.
    peer.write(500).drain();
    peer.send(`< .${ace(5)} 101:101(0) ack 1001 <ECN e0b 501>`);
    expect(peer.endpoint.info.deliveredEcn.ect0Bytes).to.equal(500);
  });
});
