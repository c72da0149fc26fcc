/** Counters of bytes in an option (RFC 9768 §3.2.3): rows AECN-14 and AECN-15 of tcp.md. */
import { expect } from 'chai';
import { accuratePeer, ace, asksAccurate, listensAccurate } from '../../support/ecn-peer.js';
import type { Peer, PeerOptions } from '../../support/peer.js';

/** The TCP options of a segment, as bytes. */
function optionBytes({ bytes }: { readonly bytes: Uint8Array }): number[] {
  const at = (bytes[0] & 15) * 4;
  return Array.from(bytes.subarray(at + 20, at + (bytes[at + 12] >> 4) * 4));
}

describe('the option of accurate ECN', () => {
  it('has kind 172 or 174, whole counters of 24 bits, and stands behind NOPs (RFC 9768 §3.2.3) [AECN-14]', () => {
    const peer = accuratePeer({ mss: 1000, sack: false }).send(`< [ect0] P.${ace(5)} 1:301(300) ack 1`);
    expect(optionBytes(peer.drain()[0])).to.deep.equal([1, 1, 1, 172, 5, 0, 1, 45]);
    peer.send(`< [ce] P.${ace(5)} 301:601(300) ack 1`);
    expect(optionBytes(peer.drain()[0])).to.deep.equal([172, 8, 0, 1, 45, 0, 1, 44]);
    peer.send(`< [ect1] P.${ace(5)} 601:602(1) ack 1`);
    expect(optionBytes(peer.drain()[0])).to.deep.equal([1, 172, 11, 0, 1, 45, 0, 1, 44, 0, 0, 2]);
    const other = accuratePeer({ mss: 1000, sack: false }).send(`< [ect1] P.${ace(5)} 1:301(300) ack 1`);
    expect(optionBytes(other.drain()[0])).to.deep.equal([1, 1, 1, 174, 5, 0, 1, 45]);
    other.send(`< [ce] P.${ace(5)} 301:601(300) ack 1`);
    expect(optionBytes(other.drain()[0])).to.deep.equal([174, 8, 0, 1, 45, 0, 1, 44]);
  });

  it('wraps with the low bits of its counters (RFC 9768 §3.2.3.1) [AECN-14]', () => {
    const peer = accuratePeer({ mss: 1000 });
    const { report } = peer.endpoint.connection.writer.ecn as unknown as { report: { ect0Bytes: number } };
    report.ect0Bytes = 2 ** 24 - 100;
    peer.send(`< [ect0] P.${ace(5)} 1:301(300) ack 1`).expect(`> .${ace(5)} 1:1(0) ack 301 <ECN e0b 200>`);
  });

  it('stands on no SYN, and on one is ignored (RFC 9768 §3.2.3.2.1) [AECN-14]', () => {
    asksAccurate().expect('> SEWA 0:0(0) <!ECN>').expectAfterMs(1000, '> SEWA 0:0(0) <!ECN>');
    const peer = listensAccurate().send('< SEWA 0:0(0) <mss 1000,ECN e0b 0 ceb 5000 e1b 0>');
    peer.expect(`> S.${ace(2)} 0:0(0) ack 1`).send(`< .${ace(2)} 1:1(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    expect(peer.endpoint.info.deliveredEcn).to.deep.equal({ ceBytes: 0, ect0Bytes: 0, ect1Bytes: 0 });
  });

  it('stands on the SYN-ACK, on the first ACK and on the first text of a client (RFC 9768 §3.2.3.2.1) [AECN-14]', () => {
    for (const timestamps of [true, false]) {
      const server = listensAccurate({ timestamps }).send(
        '< SEWA 0:0(0) <mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 3>',
      );
      server.expect(
        `> S.${ace(2)} 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr *,wscale 7,ECN e0b 1 ceb 0 e1b 1>`,
      );
      const client = asksAccurate({ timestamps }).expect('> SEWA 0:0(0)').advanceMs(20);
      client.send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000,ECN e0b 1 ceb 0 e1b 1>`);
      client
        .expect(`> .${ace(2)} 1:1(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`)
        .advanceMs(500)
        .write(2000);
      client.expect(`> .${ace(5)} 1:989(988) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
      client.expect(`> .${ace(5)} 989:1989(1000) ack 1 <!ECN>`);
      client.send(`< .${ace(5)} 1:1(0) ack 1989`).expect(`> P.${ace(5)} 1989:2001(12) ack 1 <!ECN>`);
    }
  });

  it('tells of a counter when it has changed, with all that ever did (RFC 9768 §3.2.3.3) [AECN-14]', () => {
    const peer = accuratePeer({ mss: 1000 });
    peer.send(`< [ect0] P.${ace(5)} 1:101(100) ack 1`).expect(`> .${ace(5)} 1:1(0) ack 101 <ECN e0b 101>`);
    peer.send(`< [noecn] P.${ace(5)} 101:201(100) ack 1`).expect(`> .${ace(5)} 1:1(0) ack 201 <!ECN>`);
    peer
      .send(`< [ce] P.${ace(5)} 201:301(100) ack 1`)
      .expect(`> .${ace(6)} 1:1(0) ack 301 <ECN e0b 101 ceb 100>`);
    peer
      .send(`< [ect0] P.${ace(5)} 301:401(100) ack 1`)
      .expect(`> .${ace(6)} 1:1(0) ack 401 <ECN e0b 201 ceb 100>`);
    // Text tells of it as well, which is then so much shorter.
    peer.send(`< [ect0] P.${ace(5)} 401:501(100) ack 1`).drain();
    peer.send(`< [ect0] P.${ace(5)} 501:601(100) ack 1`).drain();
    peer.write(3000).drain();
    peer
      .send(`< [ect0] P.${ace(5)} 601:701(100) ack 3001`)
      .expectNothing()
      .write(2000);
    peer.expect(`> .${ace(6)} 3001:3993(992) ack 701 <ECN e0b 501 ceb 100>`);
    peer.expect(`> .${ace(6)} 3993:4993(1000) ack 701 <!ECN>`);
  });

  it('is read whatever its length, in either order (RFC 9768 §3.2.3) [AECN-14]', () => {
    for (const [option, expected] of [
      ['kind 172', [0, 0, 0]],
      ['ECN e0b 1001', [1000, 0, 0]],
      ['ECN e0b 801 ceb 200', [800, 200, 0]],
      ['ECN e0b 501 ceb 200 e1b 301', [500, 200, 300]],
      ['ECN e1b 1001', [0, 0, 1000]],
      ['ECN e1b 801 ceb 200', [0, 200, 800]],
      ['ECN e1b 501 ceb 200 e0b 301', [300, 200, 500]],
      // Lengths that nobody sends yet: whole counters count.
      ['kind 172 00', [0, 0, 0]],
      ['kind 172 0003e9ffff', [1000, 0, 0]],
      ['kind 174 0003210000c800012dff', [300, 200, 800]],
      ['kind 172 0001f50000c800012dffffffffff', [500, 200, 300]],
    ] as const) {
      const peer = accuratePeer({ mss: 1000 }).wrote(1000);
      const marks = expected[1] > 0 ? 1 : 0;
      peer.send(`< .${ace(5 + marks)} 1:1(0) ack 1001 <${option}>`);
      const { deliveredEcn } = peer.endpoint.info;
      expect([deliveredEcn.ect0Bytes, deliveredEcn.ceBytes, deliveredEcn.ect1Bytes], option).to.deep.equal(
        expected,
      );
    }
  });
});

describe('room for options', () => {
  /** A connection with so many gaps in what arrived, and counters that must be told. */
  function withGaps(gaps: number, options: PeerOptions, fields: readonly string[]): Peer {
    const peer = accuratePeer({ mss: 100, ...options });
    let at = 1;
    for (const field of fields) {
      peer.send(`< [${field}] .${ace(5)} ${at}:${at + 100}(100) ack 1`);
      at += 100;
    }
    for (let i = 0; i < gaps; i++) {
      at += 100;
      peer.send(`< [${fields[0]}] .${ace(5)} ${at}:${at + 100}(100) ack 1`);
      at += 100;
    }
    return peer;
  }
  const optionsOf = (peer: Peer): readonly string[] =>
    (peer.last?.line.options ?? []).filter((option) => /^(sack|ECN)/.test(option));

  it('goes to two SACK blocks before the counters, which then go to more blocks (RFC 9768 §3.2.3.3) [AECN-15]', () => {
    const blocks = (text: string | undefined): number => (text?.split(' ').length ?? 1) - 1;
    for (const [timestamps, gaps, sackBlocks, counters] of [
      [true, 1, 1, 'ECN e0b'],
      [true, 2, 2, 'ECN e0b'],
      // With timestamps there is room for three blocks, or for two and the counter.
      [true, 3, 2, 'ECN e0b'],
      [true, 4, 2, 'ECN e0b'],
      [false, 3, 3, 'ECN e0b'],
      [false, 5, 3, 'ECN e0b'],
    ] as const) {
      const peer = withGaps(gaps, { timestamps }, ['ect0']);
      const [first = '', second = ''] = optionsOf(peer);
      expect(first.startsWith(counters), `${gaps} gaps: ${first}`).to.equal(true);
      expect(blocks(second), `${gaps} gaps: ${second}`).to.equal(sackBlocks);
    }
  });

  it('too little for all counters goes to those that changed, if these can be told (RFC 9768 §3.2.3.3) [AECN-15]', () => {
    // Three counters have moved, the first moves again: beside two blocks and timestamps there is room for it.
    const first = withGaps(2, { timestamps: true }, ['ect0', 'ce', 'ect1']);
    expect(optionsOf(first)).to.deep.equal(['ECN e0b 301', 'sack 601:701 401:501']);
    // All three at once do not fit, and then none is told until there is room.
    const peer = accuratePeer({ mss: 100, timestamps: true });
    peer
      .send(`< [ect0] .${ace(5)} 101:201(100) ack 1`)
      .send(`< [ect0] .${ace(5)} 301:401(100) ack 1`)
      .drain();
    peer.sendBatch(
      `< [ect1] .${ace(5)} 501:601(100) ack 1`,
      `< [ce] .${ace(5)} 601:701(100) ack 1`,
      `< [ect0] .${ace(5)} 701:801(100) ack 1`,
    );
    expect(optionsOf(peer)).to.deep.equal(['sack 501:801 301:401 101:201']);
    peer.sendBatch(
      `< .${ace(5)} 1:101(100) ack 1`,
      `< .${ace(5)} 201:301(100) ack 1`,
      `< .${ace(5)} 401:501(100) ack 1`,
    );
    expect(optionsOf(peer)).to.deep.equal(['ECN e0b 301 ceb 100 e1b 101']);
  });

  it('on a SYN-ACK is for Fast Open before the counters, which are cut (RFC 9768 §3.2.3.2.1) [AECN-15]', () => {
    const peer = listensAccurate({ options: { fastOpen: true } });
    peer.send('< SEWA 0:0(0) <mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 3,FO>');
    // 32 bytes are taken, a cookie of eight among them.
    peer.expect(`> S.${ace(2)} 0:0(0) ack 1 <mss *,sackOK,TS val * ecr *,wscale *,FO *,ECN e0b 1 ceb 0>`);
    expect(optionBytes(peer.last ?? { bytes: new Uint8Array(20) })).to.have.length(40);
  });
});
