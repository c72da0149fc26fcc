/** Explicit congestion notification with one signal a round trip (RFC 3168): tcp.md §11, ECN-1 to ECN-13, and SHLD-8. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import type { TcpOptions } from '../../../lib/tcp/options.js';
import { classicPeer } from '../../support/ecn-peer.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const asks = (options: PeerOptions = {}): Peer =>
  Peer.connecting({ ...options, options: { ...options.options, ecn: 'request' } });

const modeOf = (peer: Peer): string => peer.endpoint.info.ecn;

describe('ECN is agreed on', () => {
  forEachFamily((family, name) => {
    it(`by ECE and CWR on a SYN and ECE alone on the SYN-ACK, over ${name} (RFC 3168 §6.1.1) [ECN-1, SHLD-8]`, () => {
      const client = asks(family).expect('> [noecn] SEW 0:0(0)');
      client.advanceMs(20).send('< S.E 0:0(0) ack 1 <mss 1000>').expect('> [noecn] . 1:1(0) ack 1');
      expect(modeOf(client)).to.equal('classic');
      const server = Peer.listening(family).send('< SEW 0:0(0) win 65535 <mss 1000>');
      server.expect('> [noecn] S.E 0:0(0) ack 1').advanceMs(20).send('< . 1:1(0) ack 1');
      expect(modeOf(server)).to.equal('classic');
      for (const peer of [client, server]) {
        peer.write(1000).expect('> [ect0] P. 1:1001(1000) ack 1');
        expect(peer.endpoint.info.ecnCapable).to.equal(true);
      }
    });
  });

  it('not where a SYN-ACK reflects both flags, nor where it has none (RFC 3168 §6.1.1.1) [ECN-2]', () => {
    for (const flags of ['S.EW', 'S.', 'S.W', 'S.EWA']) {
      const peer = asks().expect('> SEW 0:0(0)').advanceMs(20);
      peer.send(`< ${flags} 0:0(0) ack 1 <mss 1000>`).expect('> [noecn] . 1:1(0) ack 1');
      expect(modeOf(peer), flags).to.equal('none');
      peer.write(1000).expect('> [noecn] P. 1:1001(1000) ack 1');
      peer.send('< [ce] P. 1:101(100) ack 1001').expect('> [noecn] . 1001:1001(0) ack 101');
    }
  });

  it('when a SYN asks, and only then: half a question is none (RFC 3168 §6.1.1) [ECN-1]', () => {
    for (const flags of ['S', 'SE', 'SW', 'SA', 'SEA', 'SWA']) {
      const peer = Peer.listening()
        .send(`< ${flags} 0:0(0) win 65535 <mss 1000>`)
        .expect('> S. 0:0(0) ack 1');
      peer.advanceMs(20).send('< . 1:1(0) ack 1');
      expect(modeOf(peer), flags).to.equal('none');
    }
    // Who asks for accurate feedback can live with the classic one (RFC 9768 §3.1.2).
    Peer.listening().send('< SEWA 0:0(0) win 65535 <mss 1000>').expect('> S.E 0:0(0) ack 1');
  });

  it('by two that open to each other at once [ECN-1]', () => {
    const peer = asks().expect('> SEW 0:0(0)').advanceMs(20);
    peer.send('< SEW 0:0(0) win 65535 <mss 1000>').expect('> [noecn] S.E 0:0(0) ack 1');
    peer.advanceMs(20).send('< S.E 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1');
    expect(modeOf(peer)).to.equal('classic');
    // That the SYN-ACK had ECE means no mark.
    expect(peer.endpoint.info.deliveredMarks).to.equal(0);
    peer.write(100).expect('> [ect0] P. 1:101(100) ack 1');
  });

  it('also from cookies, which remember it in the timestamp alone (Linux) [ECN-1]', () => {
    const always = { tcp: { synCookies: 'always' } } as const;
    const stamped = Peer.listening({ ...always, timestamps: true });
    stamped.send(`< SEW 0:0(0) <mss 1000,sackOK,TS val ${stamped.tsVal} ecr 0>`).expect('> S.E 0:0(0) ack 1');
    stamped.advanceMs(20).send('< . 1:1(0) ack 1');
    expect(modeOf(stamped)).to.equal('classic');
    const plain = Peer.listening(always).send('< SEW 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    plain.advanceMs(20).send('< . 1:1(0) ack 1');
    expect(modeOf(plain)).to.equal('none');
    const unasked = Peer.listening({ ...always, timestamps: true }).handshake();
    expect(modeOf(unasked)).to.equal('none');
  });
});

describe('the setting of ECN', () => {
  const stackWith = (tcp: Partial<TcpOptions>): Stack =>
    new Stack({ clock: new VirtualClock(), random: new SeededRandom(1), tcp: { connection: tcp } });

  it('is to accept and not to ask, as in Linux, and one of five words [ECN-3]', () => {
    Peer.connecting().expect('> S 0:0(0)');
    Peer.listening().send('< SEW 0:0(0) <mss 1000>').expect('> S.E 0:0(0) ack 1');
    for (const ecn of ['off', 'accept', 'request', 'accept-accurate', 'request-accurate'] as const) {
      stackWith({ ecn }).close();
    }
    expect(() => stackWith({ ecn: 'on' as 'off' })).to.throw('unknown setting of ECN "on"');
    expect(() => stackWith({ ecn: 1 as unknown as 'off' })).to.throw('must be a string');
  });

  it('belongs to a stack, a listener or a connection [ECN-3]', () => {
    const off = Peer.listening({ options: { ecn: 'off' } });
    off.send('< SEW 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    asks().expect('> SEW 0:0(0)');
    Peer.listening({ options: { ecn: 'request' } })
      .send('< SEW 0:0(0) <mss 1000>')
      .expect('> S.E 0:0(0) ack 1');
    Peer.connecting({ options: { ecn: 'accept-accurate' } }).expect('> S 0:0(0)');
    const stack = stackWith({ ecn: 'request' });
    expect(stack.tcp).to.not.equal(undefined);
    stack.close();
  });

  it('leaves a peer that does not ask alone [ECN-3]', () => {
    for (const ecn of ['off', 'accept', 'request', 'accept-accurate', 'request-accurate'] as const) {
      const peer = Peer.established({ mss: 1000, options: { ecn } });
      expect(peer.endpoint.info).to.include({ ecn: 'none', ecnCapable: false, receivedMarks: 0 });
      peer.write(1000).expect('> [noecn] P. 1:1001(1000) ack 1');
    }
  });
});

describe('a SYN that asks for ECN', () => {
  it('is repeated without when nobody answers (Linux tcp_ecn_fallback) [ECN-4]', () => {
    const peer = asks().expect('> SEW 0:0(0)');
    peer.expectAfterMs(1000, '> S 0:0(0)').expectAfterMs(2000, '> S 0:0(0)');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1');
    expect(modeOf(peer)).to.equal('none');
  });

  it('is repeated at once without when it is refused, and then believes the refusal [ECN-4]', () => {
    const met = asks().expect('> SEW 0:0(0)').advanceMs(30).send('< R. 0:0(0) ack 1');
    met.expect('> S 0:0(0)').advanceMs(20).send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1');
    met.expectState('ESTABLISHED').expectEvents('connect', 'writable');
    expect(met.stats.tcp).to.include({ ecnFallbacks: 1, attemptFails: 0 });
    // The time the refusal took is no round trip.
    expect(met.endpoint.info.rttUs).to.equal(20_000);
    const refused = asks().expect('> SEW 0:0(0)').send('< R. 0:0(0) ack 1').expect('> S 0:0(0)');
    refused
      .send('< R. 0:0(0) ack 1')
      .expectState('CLOSED')
      .expectEvents('close ECONNREFUSED')
      .expectNothing();
    const plain = Peer.connecting().expect('> S 0:0(0)').send('< R. 0:0(0) ack 1').expectNothing();
    plain.expectEvents('close ECONNREFUSED');
  });

  it('and was followed by one that does not lets nothing be marked, whatever is answered (RFC 3168 §6.1.1) [ECN-4]', () => {
    const peer = asks().expect('> SEW 0:0(0)').expectAfterMs(1000, '> S 0:0(0)');
    peer.send('< S.E 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1').write(1000);
    peer.expect('> [noecn] P. 1:1001(1000) ack 1');
    // But the peer may think it is agreed on, and is heard.
    peer.send('< [ce] P. 1:101(100) ack 1001').expect('> .E 1001:1001(0) ack 101');
  });

  it('to us, and one without, lets nothing of ours be marked (RFC 3168 §6.1.1) [ECN-4]', () => {
    const peer = Peer.listening().send('< SEW 0:0(0) <mss 1000>').expect('> S.E 0:0(0) ack 1');
    peer.advanceMs(1000).drain();
    peer.send('< S 0:0(0) <mss 1000>').drain();
    peer.send('< . 1:1(0) ack 1').write(1000).expect('> [noecn] P. 1:1001(1000) ack 1');
  });
});

describe('a mark on what arrives', () => {
  it('is echoed in every ACK until the peer says that it has heard (RFC 3168 §6.1.3) [ECN-7]', () => {
    const peer = classicPeer({ mss: 1000 }).send('< [ect0] P. 1:101(100) ack 1').expect('> . 1:1(0) ack 101');
    peer.send('< [ce] P. 101:201(100) ack 1').expect('> [noecn] .E 1:1(0) ack 201');
    peer.send('< [ect0] P. 201:301(100) ack 1').expect('> .E 1:1(0) ack 301');
    peer.write(1000).expect('> [ect0] P.E 1:1001(1000) ack 301');
    peer.send('< [ect0] P.W 301:401(100) ack 1001').expect('> . 1001:1001(0) ack 401');
    peer.send('< [ect0] P. 401:501(100) ack 1001').expectAfterMs(40, '> . 1001:1001(0) ack 501');
    // Marked again in the very segment that says so.
    peer.send('< [ce] P.W 501:601(100) ack 1001').expect('> .E 1001:1001(0) ack 601');
    expect(peer.endpoint.info).to.include({ receivedMarks: 2, ecn: 'classic' });
  });

  it('is echoed for every segment of a super-packet together, and counted for each [ECN-7]', () => {
    const peer = classicPeer({ mss: 1000, offload: true });
    peer.send('< [ce] P. 1:3001(3000) ack 1', { segmentSize: 1000 }).expect('> .E 1:1(0) ack 3001');
    expect(peer.endpoint.info.receivedMarks).to.equal(3);
  });

  it('ends with the echo also when text with CWR was not marked, not when a bare ACK has CWR [ECN-7]', () => {
    const peer = classicPeer({ mss: 1000 }).send('< [ce] P. 1:101(100) ack 1').expect('> .E 1:1(0) ack 101');
    peer.send('< .W 101:101(0) ack 1').send('< [ect0] P. 101:201(100) ack 1').expect('> .E 1:1(0) ack 201');
    peer.send('< .W 201:1201(1000) ack 1').expect('> . 1:1(0) ack 1201');
  });

  it('is told at once, however late ACKs may be [ACKT-2]', () => {
    const peer = classicPeer({ mss: 1000 });
    // Long enough for ACKs to be delayed again.
    for (let at = 1; at < 20_001; at += 1000)
      peer.send(`< [ect0] . ${at}:${at + 1000}(1000) ack 1`).advanceMs(1);
    peer.advanceMs(100).drain();
    peer.send('< [ect0] . 20001:20501(500) ack 1').expectAfterMs(40, '> . 1:1(0) ack 20501').advanceMs(20);
    peer.send('< [ce] . 20501:21001(500) ack 1').expect('> .E 1:1(0) ack 21001');
    peer.send('< [ce] . 21001:21501(500) ack 1').expect('> .E 1:1(0) ack 21501');
    // A mark that is known is no news, but that the peer has heard of it is.
    peer
      .send('< [ce] . 21501:22001(500) ack 1')
      .expectNothing(20)
      .advanceMs(20)
      .expect('> .E 1:1(0) ack 22001');
    peer.send('< [ect0] .W 22001:22501(500) ack 1').expect('> . 1:1(0) ack 22501');
  });

  it('counts only in the window, and only where ECN was agreed on (RFC 3168 §6.1.5) [ECN-10]', () => {
    const peer = classicPeer({ mss: 1000 }).send('< [ect0] P. 1:101(100) ack 1').expect('> . 1:1(0) ack 101');
    peer.send('< [ce] P. 1:101(100) ack 1').expect('> . 1:1(0) ack 101');
    peer.advanceMs(1000).send('< [ce] P. 200001:200101(100) ack 1').expect('> . 1:1(0) ack 101');
    // Nothing that cannot be marked is: on a bare ACK it was put by mistake.
    peer
      .send('< [ce] . 101:101(0) ack 1')
      .send('< [ect0] P. 101:201(100) ack 1')
      .expect('> . 1:1(0) ack 201');
    expect(peer.endpoint.info.receivedMarks).to.equal(0);
    for (const ecn of ['off', 'accept', 'request'] as const) {
      const without = Peer.established({ options: { ecn } }).send('< [ce] P. 1:101(100) ack 1');
      without.expect('> [noecn] . 1:1(0) ack 101').write(100).expect('> [noecn] P. 1:101(100) ack 101');
    }
  });

  it('of the handshake is not echoed; on a SYN it shows that ECN is of no use there (Linux) [ECN-10]', () => {
    const client = asks().expect('> SEW 0:0(0)').advanceMs(20).send('< [ce] S.E 0:0(0) ack 1 <mss 1000>');
    client.expect('> [noecn] . 1:1(0) ack 1').write(100).expect('> [ect0] P. 1:101(100) ack 1');
    for (const field of ['ce', 'ect0', 'ect1']) {
      const server = Peer.listening().send(`< [${field}] SEW 0:0(0) <mss 1000>`).expect('> S. 0:0(0) ack 1');
      server.advanceMs(20).send('< . 1:1(0) ack 1').send('< [ce] P. 1:101(100) ack 1');
      server.expect('> . 1:1(0) ack 101');
      expect(modeOf(server)).to.equal('none');
    }
  });
});

describe('the ECN field of what arrives', () => {
  forEachFamily((family, name) => {
    it(`is counted, whatever becomes of it (Linux InECT0Pkts), over ${name}`, () => {
      const peer = Peer.established(family);
      const { inNoEctPkts } = peer.stats.ip;
      peer
        .send('< [ect1] . 1:11(10) ack 1')
        .send('< [ect0] . 11:21(10) ack 1')
        .send('< [ect0] . 11:21(10) ack 1');
      peer.send('< [ce] . 900001:900011(10) ack 1').send('< . 21:31(10) ack 1');
      expect(peer.stats.ip).to.include({
        inNoEctPkts: inNoEctPkts + 1,
        inEct1Pkts: 1,
        inEct0Pkts: 2,
        inCePkts: 1,
      });
    });
  });
});

describe('ECN-capable', () => {
  forEachFamily((family, name) => {
    it(`is new text, as ECT(0), and nothing else, over ${name} (RFC 3168 §6.1) [ECN-6]`, () => {
      for (const role of ['server', 'client'] as const) {
        const peer = classicPeer({ ...family, role, mss: 1000 }).write(3000);
        peer.expect('> [ect0] . 1:1001(1000) ack 1');
        peer.expect('> [ect0] . 1001:2001(1000) ack 1').expect('> [ect0] P. 2001:3001(1000) ack 1');
        peer.send('< [ect0] P. 1:101(100) ack 3001').expect('> [noecn] . 3001:3001(0) ack 101');
        peer.shutdown().expect('> [noecn] F. 3001:3001(0) ack 101');
      }
    });
  });

  it('is not what is sent again, nor a probe, nor an RST (RFC 3168 §6.1.5, §6.1.6) [ECN-6]', () => {
    const peer = classicPeer({ mss: 1000 }).write(1000).expect('> [ect0] P. 1:1001(1000) ack 1');
    peer.advanceMs(400).expect('> [noecn] P. 1:1001(1000) ack 1');
    peer.drain();
    peer.ackAll(0).write(1000).expectNothing().advanceMs(1000).expect('> [noecn] . 1000:1000(0) ack 1');
    peer.drain();
    peer.abort().expect('> [noecn] R. 1001:1001(0) ack 1');
  });

  it('is a whole super-packet of new text [ECN-6]', () => {
    classicPeer({ mss: 1000, offload: true }).write(5000).expect('> [ect0] P. 1:5001(5000) ack 1');
  });

  it('it stays whatever the application says of the DS field, and nothing else becomes it (RFC 3168 §23) [ECN-13]', () => {
    for (const trafficClass of [0xff, 0xfc, 0xb8, 0x03]) {
      const peer = classicPeer({ mss: 1000, options: { trafficClass } }).write(1000);
      peer.expect('> [ect0] P. 1:1001(1000) ack 1');
      expect(peer.last?.trafficClass).to.equal((trafficClass & 0xfc) | 2);
      peer.endpoint.setTrafficClass(0x2b);
      peer.send('< [ect0] P. 1:101(100) ack 1001').expect('> [noecn] . 1001:1001(0) ack 101');
      expect(peer.last?.trafficClass).to.equal(0x28);
      peer.write(100).expect('> [ect0] P. 1001:1101(100) ack 101');
      const without = Peer.established({ mss: 1000, options: { trafficClass } }).write(1000);
      without.expect('> [noecn] P. 1:1001(1000) ack 1');
      without.endpoint.setTrafficClass(0xff);
      without.ackAll().write(10).expect('> [noecn] P. 1001:1011(10) ack 1');
    }
  });
});
