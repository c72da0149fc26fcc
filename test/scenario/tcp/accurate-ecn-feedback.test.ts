/** How congestion marks are counted and told of (RFC 9768 §3.2): rows AECN-8 to AECN-17 of tcp.md, and ACKT-2. */
import { expect } from 'chai';
import { accuratePeer, ace, asksAccurate, listensAccurate, REFLECTED } from '../../support/ecn-peer.js';
import type { Peer, PeerOptions } from '../../support/peer.js';

describe('the counters of accurate ECN', () => {
  it('begin at 5 segments, and at 1, 1 and 0 bytes, on both sides (RFC 9768 §3.2.1) [AECN-8]', () => {
    for (const role of ['server', 'client'] as const) {
      const peer = accuratePeer({ role, mss: 1000 });
      const { report, feedback } = peer.endpoint.connection.writer.ecn as never as Record<string, object>;
      for (const half of [report, feedback]) {
        expect(half).to.include({ segments: 5, ceBytes: 0, ect0Bytes: 1, ect1Bytes: 1 });
      }
      expect(peer.endpoint.info.receivedEcn).to.deep.equal({ ceBytes: 0, ect0Bytes: 0, ect1Bytes: 0 });
    }
  });

  it('stand in every segment but SYNs, the low bits of the first (RFC 9768 §3.2.2) [AECN-8]', () => {
    const peer = accuratePeer({ mss: 1000 });
    for (let marks = 1; marks <= 20; marks++) {
      const at = 1 + 100 * (marks - 1);
      peer.send(`< [ce] P.${ace(5)} ${at}:${at + 100}(100) ack 1`).advanceMs(50);
      peer.expect(`> .${ace(5 + marks)} 1:1(0) ack ${at + 100}`);
    }
    peer.write(1000).expect(`> [ect0] P.${ace(1)} 1:1001(1000) ack 2001`);
    peer
      .advanceMs(400)
      .expect(`> [noecn] P.${ace(1)} 1:1001(1000) ack 2001`)
      .drain();
    peer
      .send(`< .${ace(6)} 2001:2001(0) ack 1001 win 0`)
      .write(100)
      .expectNothing();
    peer
      .advanceMs(500)
      .expect(`> [noecn] .${ace(1)} 1000:1000(0) ack 2001`)
      .drain();
    expect(peer.endpoint.info).to.include({ receivedMarks: 20 });
    peer.abort().expect(`> [noecn] R.${ace(1)} 1001:1001(0) ack 2001`);
  });

  it('count every acceptable segment that is marked, also bare ACKs, and bytes of text by field [AECN-8]', () => {
    const peer = accuratePeer({ mss: 1000 });
    peer.send(`< [ce] .${ace(5)} 1:1(0) ack 1`).send(`< [ect1] P.${ace(5)} 1:101(100) ack 1`);
    peer.send(`< [ect0] P.${ace(5)} 101:301(200) ack 1`).send(`< [ce] P.${ace(5)} 301:601(300) ack 1`);
    peer.send(`< [noecn] P.${ace(5)} 601:1001(400) ack 1`);
    // Neither a duplicate nor what lies beyond the window (RFC 9768 §1.3).
    peer.send(`< [ce] P.${ace(5)} 1:101(100) ack 1`).send(`< [ce] P.${ace(5)} 900001:900101(100) ack 1`);
    expect(peer.endpoint.info).to.deep.include({
      receivedMarks: 2,
      receivedEcn: { ceBytes: 300, ect0Bytes: 200, ect1Bytes: 100 },
    });
  });

  it('count each segment of a super-packet [AECN-8]', () => {
    const peer = accuratePeer({ mss: 1000, offload: true });
    peer.send(`< [ce] P.${ace(5)} 1:4501(4500) ack 1`, { segmentSize: 1000 });
    peer.expect(`> .${ace(10)} 1:1(0) ack 4501 <ECN e0b 1 ceb 4500>`);
  });

  it('are not touched by marks on a SYN, nor read from one (RFC 9768 §3.2.2) [AECN-11]', () => {
    const server = listensAccurate()
      .send('< [ce] SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(6)} 0:0(0) ack 1`);
    server.send(`< [ce] .${ace(2)} 1:1(0) ack 1`);
    // The ACK was marked, the SYN does not count.
    expect(server.endpoint.info).to.include({ receivedMarks: 1, deliveredMarks: 0 });
    server.write(100).expect(`> P.${ace(6)} 1:101(100) ack 1`);
    const client = asksAccurate()
      .expect('> SEWA 0:0(0)')
      .send(`< S.${ace(6)} 0:0(0) ack 1 <mss 1000>`);
    // It told that our SYN arrived marked: no segment counts as such, but the path is congested.
    expect(client.endpoint.info).to.include({ deliveredMarks: 0, cwndBytes: 1000 });
    client.drain();
    client
      .advanceMs(600)
      .send(`< S.${ace(1)} 0:0(0) ack 1 <mss 1000>`)
      .drain();
    expect(client.endpoint.info.deliveredMarks).to.equal(0);
  });
});

describe('the ACK of a SYN-ACK', () => {
  it('tells how that arrived, a mark once in the counter (RFC 9768 Table 3) [AECN-9]', () => {
    for (const [field, flags] of REFLECTED) {
      const peer = asksAccurate()
        .expect('> SEWA 0:0(0)')
        .send(`< [${field}] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`);
      peer.expect(`> .${flags} 1:1(0) ack 1`);
      const marks = field === 'ce' ? 1 : 0;
      peer.write(100).expect(`> P.${ace(5 + marks)} 1:101(100) ack 1`);
      peer.send(`< .${ace(5)} 1:1(0) ack 101`);
      // The SYN-ACK once more, marked or not, has its own answer, and counts no more than once.
      peer
        .advanceMs(600)
        .send(`< [ce] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`)
        .expect(`> .${ace(6)} 101:101(0) ack 1`);
      peer
        .advanceMs(600)
        .send(`< [ce] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`)
        .expect(`> .${ace(6)} 101:101(0) ack 1`);
      expect(peer.endpoint.info.receivedMarks).to.equal(1);
      peer.send(`< P.${ace(5)} 1:101(100) ack 101`).expect(`> .${ace(6)} 101:101(0) ack 101`);
    }
  });

  it('of a SYN-ACK that came again too soon to be answered leaves the flags to the counter [AECN-9]', () => {
    const peer = asksAccurate()
      .expect('> SEWA 0:0(0)')
      .send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000>`);
    peer.expect(`> .${ace(2)} 1:1(0) ack 1`).advanceMs(600);
    peer.send(`< [ect0] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`).expect(`> .${ace(4)} 1:1(0) ack 1`);
    peer.send(`< [ect0] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`).expectNothing();
    peer.send(`< P.${ace(5)} 1:101(100) ack 1`).expect(`> .${ace(5)} 1:1(0) ack 101`);
  });

  it('goes before text that waits (RFC 9768 §3.2.2.1) [AECN-9]', () => {
    const peer = asksAccurate().expect('> SEWA 0:0(0)').write(1000);
    peer.send(`< [ect0] S.${ace(2)} 0:0(0) ack 1 <mss 1000>`).expect(`> [noecn] .${ace(4)} 1:1(0) ack 1`);
    peer.expect(`> [ect0] .${ace(5)} 1:989(988) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    peer.expect(`> [ect0] P.${ace(5)} 989:1001(12) ack 1 <!ECN>`);
  });

  it('is read as such by a server, where it is bare (RFC 9768 Table 4) [AECN-10]', () => {
    for (let flags = 0; flags < 8; flags++) {
      const peer = listensAccurate()
        .send('< SEWA 0:0(0) <mss 1000>')
        .expect(`> S.${ace(2)} 0:0(0) ack 1`);
      peer.advanceMs(20).send(`< .${ace(flags)} 1:1(0) ack 1`);
      const { info } = peer.endpoint;
      expect(info.deliveredMarks, `${flags}`).to.equal(flags === 6 ? 1 : 0);
      // A SYN-ACK is never ECN-capable: that it arrived so was done to it on the way.
      expect(info.ecnCapable, `${flags}`).to.equal([1, 2, 5, 7].includes(flags));
      // A marked one is a mark like any other.
      expect(info.cwndBytes, `${flags}`).to.equal(flags === 6 ? 1000 : 10_000);
    }
  });

  it('of zero means for a server never to mark and never to answer marks, but to count on (RFC 9768 §3.2.2.1) [AECN-10]', () => {
    const peer = listensAccurate()
      .send('< SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(2)} 0:0(0) ack 1`);
    peer.advanceMs(20).send('< . 1:1(0) ack 1').write(10_000);
    for (const { line } of peer.drain()) expect(line.ecn ?? 0).to.equal(0);
    const before = peer.endpoint.info;
    peer.send(`< .${ace(7)} 1:1(0) ack 10001`);
    expect(peer.endpoint.info.cwndBytes).to.be.at.least(before.cwndBytes);
    peer.send(`< [ce] P.${ace(7)} 1:101(100) ack 10001`).expect(`> .${ace(6)} 10001:10001(0) ack 101`);
  });

  it('with text, or with SACK blocks, is the counter (RFC 9768 §3.2.2.1) [AECN-10]', () => {
    for (const line of [`< P.${ace(6)} 1:101(100) ack 1`, `< .${ace(6)} 1:1(0) ack 1 <nop,nop,sack 1:2>`]) {
      const peer = listensAccurate()
        .send('< SEWA 0:0(0) <mss 1000,sackOK>')
        .expect(`> S.${ace(2)} 0:0(0) ack 1`);
      peer.send(line);
      expect(peer.endpoint.info, line).to.include({ deliveredMarks: 0, ecnCapable: true });
    }
  });
});

describe('an ACK for marks', () => {
  /** Beyond the quick ACKs of the start, everything acknowledged. */
  function patient(options: PeerOptions = {}): Peer {
    const peer = accuratePeer({ mss: 1000, ...options });
    for (let at = 1; at < 20_001; at += 1000) {
      peer.send(`< [ect0] .${ace(5)} ${at}:${at + 1000}(1000) ack 1`).advanceMs(1);
    }
    peer.advanceMs(100).drain();
    return peer;
  }

  it('leaves at once when the marks of text change (RFC 9768 §3.2.2.5.1) [AECN-13, ACKT-2]', () => {
    const peer = patient();
    peer.send(`< [ect0] .${ace(5)} 20001:20101(100) ack 1`).expectNothing();
    peer.send(`< [ce] .${ace(5)} 20101:20201(100) ack 1`).expect(`> .${ace(6)} 1:1(0) ack 20201`);
    peer.send(`< [ce] .${ace(5)} 20201:20301(100) ack 1`).expectNothing();
    peer.send(`< [ect0] .${ace(5)} 20301:20401(100) ack 1`).expect(`> .${ace(7)} 1:1(0) ack 20401`);
    peer.send(`< [ect0] .${ace(5)} 20401:20501(100) ack 1`).expectNothing();
    peer.send(`< [ect1] .${ace(5)} 20501:20601(100) ack 1`).expect(`> .${ace(7)} 1:1(0) ack 20601`);
    // Also where a bare ACK, never marked, lies between two marks.
    peer.send(`< [ce] .${ace(5)} 20601:20701(100) ack 1`).expect(`> .${ace(0)} 1:1(0) ack 20701`);
    peer.send(`< .${ace(5)} 20701:20701(0) ack 1`);
    peer.send(`< [ce] .${ace(5)} 20701:20801(100) ack 1`).expect(`> .${ace(1)} 1:1(0) ack 20801`);
  });

  it('leaves at every second mark with text (RFC 9768 §3.2.2.5.1) [AECN-13]', () => {
    const peer = patient()
      .send(`< [ce] .${ace(5)} 20001:20101(100) ack 1`)
      .expect(`> .${ace(6)} 1:1(0) ack 20101`);
    for (let pair = 0; pair < 5; pair++) {
      const at = 20_101 + 200 * pair;
      peer.send(`< [ce] .${ace(5)} ${at}:${at + 100}(100) ack 1`).expectNothing();
      peer.send(`< [ce] .${ace(5)} ${at + 100}:${at + 200}(100) ack 1`);
      peer.expect(`> .${ace(8 + 2 * pair)} 1:1(0) ack ${at + 200}`);
    }
  });

  it('leaves at every third mark on bare ACKs, and at the second where one is owed (RFC 9768 §3.2.2.5.1) [AECN-13]', () => {
    const peer = patient();
    for (let triple = 1; triple <= 4; triple++) {
      const bare = `< [ce] .${ace(5)} 20001:20001(0) ack 1`;
      peer
        .send(bare)
        .send(bare)
        .expectNothing()
        .send(bare)
        .expect(`> .${ace(5 + 3 * triple)} 1:1(0) ack 20001`);
    }
    peer.send(`< [noecn] .${ace(5)} 20001:20101(100) ack 1`).drain();
    peer.send(`< [noecn] .${ace(5)} 20101:20201(100) ack 1`).expectNothing();
    peer.send(`< [ce] .${ace(5)} 20201:20201(0) ack 1`).expectNothing();
    peer.send(`< [ce] .${ace(5)} 20201:20201(0) ack 1`).expect(`> .${ace(3)} 1:1(0) ack 20201`);
  });
});

describe('CWR', () => {
  it('is a bit of the counter and never stops an echo (RFC 9768 §3.1.5) [AECN-17]', () => {
    const peer = accuratePeer({ mss: 1000, options: { congestionControl: 'reno' } }).wrote(20_000);
    // A mark of ours is answered by a smaller window, and the flags go on to say what arrived.
    peer.send(`< .${ace(6)} 1:1(0) ack 1001`);
    for (let ack = 2001; ack <= 10_001; ack += 1000) peer.send(`< .${ace(6)} 1:1(0) ack ${ack}`);
    for (const { text } of peer.drain()) expect(text).to.include(`.${ace(5)} `);
    expect(peer.endpoint.info.cwndBytes).to.equal(5000);
    // Nor does the peer's CWR: two marks stay two.
    peer.send(`< [ce] .${ace(6)} 1:101(100) ack 10001`).drain();
    peer.send(`< [ce] P.${ace(2)} 101:201(100) ack 10001`).drain();
    peer.send(`< [ect0] P.W 201:301(100) ack 10001`).drain();
    expect(peer.endpoint.info.receivedMarks).to.equal(2);
    peer.advanceMs(300).drain();
    peer.ackAll().write(10).drain();
    expect(peer.last?.text).to.include(`.${ace(7)} `);
  });

  it('as part of the counter keeps text out of super-packets, whose segments would lose it (RFC 9768 §3.3.4) [AECN-17]', () => {
    const peer = accuratePeer({ mss: 1000, offload: true }).send(`< [ce] P.${ace(5)} 1:101(100) ack 1`);
    peer.expect(`> .${ace(6)} 1:1(0) ack 101`).write(2000);
    peer
      .expect(`> [ect0] .${ace(6)} 1:1001(1000) ack 101`)
      .expect(`> [ect0] P.${ace(6)} 1001:2001(1000) ack 101`);
    peer
      .send(`< [ce] P.${ace(5)} 101:201(100) ack 2001`)
      .send(`< [ce] P.${ace(5)} 201:301(100) ack 2001`)
      .drain();
    peer.advanceMs(300).drain();
    peer.write(2000).expect(`> [ect0] P.${ace(0)} 2001:4001(2000) ack 301`);
  });
});

describe('SACK beside accurate ECN', () => {
  it('reports duplicates (RFC 9768 §3.1.1, RFC 2883) [AECN-16]', () => {
    const peer = accuratePeer({ mss: 1000 })
      .send(`< [ect0] .${ace(5)} 1:1001(1000) ack 1`)
      .expect(`> .${ace(5)} 1:1(0) ack 1001`);
    peer.send(`< .${ace(5)} 1:1001(1000) ack 1`).expect(`> .${ace(5)} 1:1(0) ack 1001 <sack 1:1001>`);
  });
});
