/** How feedback of every congestion mark is agreed on (RFC 9768 §3.1): rows AECN-1 to AECN-7, AECN-19, AECN-20 of tcp.md. */
import { expect } from 'chai';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { accuratePeer, ace, asksAccurate, listensAccurate, REFLECTED } from '../../support/ecn-peer.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const modeOf = (peer: Peer): string => peer.endpoint.info.ecn;

describe('accurate ECN is asked for', () => {
  forEachFamily((family, name) => {
    it(`by all three flags on a SYN that cannot be marked, over ${name} (RFC 9768 §3.1.1) [AECN-1]`, () => {
      asksAccurate(family).expect('> [noecn] SEWA 0:0(0) <!ECN>');
    });

    it(`and agreed to by flags that say how the SYN arrived, over ${name} (RFC 9768 Table 2) [AECN-2]`, () => {
      for (const [field, flags] of REFLECTED) {
        const peer = listensAccurate(family).send(`< [${field}] SEWA 0:0(0) <mss 1000>`);
        peer.expect(`> [noecn] S.${flags} 0:0(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
        peer.advanceMs(20).send(`< .${ace(2)} 1:1(0) ack 1`);
        expect(modeOf(peer)).to.equal('accurate');
      }
    });
  });

  it('only where the setting says so: else what asks for all gets the classic one (RFC 9768 Table 2) [AECN-1]', () => {
    Peer.connecting({ options: { ecn: 'request' } }).expect('> SEW 0:0(0)');
    Peer.connecting({ options: { ecn: 'accept-accurate' } }).expect('> S 0:0(0)');
    Peer.listening({ options: { ecn: 'accept' } })
      .send('< SEWA 0:0(0) <mss 1000>')
      .expect('> S.E 0:0(0) ack 1');
  });

  it('and the answer decides (RFC 9768 §3.1.2, §3.1.3) [AECN-3]', () => {
    const modes = ['none', 'classic', 'accurate', 'accurate', 'accurate', 'accurate', 'accurate', 'none'];
    for (const [flags, mode] of modes.entries()) {
      const peer = asksAccurate().expect('> SEWA 0:0(0)').advanceMs(20);
      peer.send(`< S.${ace(flags)} 0:0(0) ack 1 <mss 1000>`).take();
      expect(modeOf(peer), `${flags}`).to.equal(mode);
      // 1 0 1 tells nothing of the SYN, which therefore counts as unchanged.
      const { ecnCapable } = peer.endpoint.info;
      expect(ecnCapable, `${flags}`).to.equal([0b001, 0b010, 0b101].includes(flags));
    }
  });

  it('by any combination that is not known otherwise (RFC 9768 §3.1.3) [AECN-4]', () => {
    for (let flags = 0; flags < 8; flags++) {
      const peer = listensAccurate().send(`< S${ace(flags)} 0:0(0) <mss 1000>`);
      const answer = flags === 0b000 ? '' : flags === 0b011 ? 'E' : ace(0b010);
      peer
        .expect(`> S.${answer} 0:0(0) ack 1`)
        .advanceMs(20)
        .send(`< .${ace(2)} 1:1(0) ack 1`);
      const mode = flags === 0b000 ? 'none' : flags === 0b011 ? 'classic' : 'accurate';
      expect(modeOf(peer), `${flags}`).to.equal(mode);
    }
  });

  it('once more when nobody answers, and then no more, with the same ISN (RFC 9768 §3.1.4.1) [AECN-5]', () => {
    const peer = asksAccurate().expect('> SEWA 0:0(0)').expectAfterMs(1000, '> SEWA 0:0(0)');
    peer.expectAfterMs(2000, '> S 0:0(0)').expectAfterMs(4000, '> S 0:0(0)');
    // An answer to an earlier one may still come, and then a client may be marked (RFC 9768 §3.1.5).
    peer.send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000>`).expect(`> .${ace(2)} 1:1(0) ack 1`);
    expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: true });
  });

  it('no more once it was refused [AECN-5]', () => {
    const peer = asksAccurate().expect('> SEWA 0:0(0)').send('< R. 0:0(0) ack 1').expect('> S 0:0(0)');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1');
    expect(modeOf(peer)).to.equal('none');
  });

  it('by two that open to each other at once [AECN-2]', () => {
    const peer = asksAccurate().expect('> SEWA 0:0(0)').advanceMs(20);
    peer.send('< [ect1] SEWA 0:0(0) <mss 1000>').expect(`> S.${ace(3)} 0:0(0) ack 1`);
    // Neither side waits for an ACK that tells of a SYN-ACK: the counter it is.
    peer
      .advanceMs(20)
      .send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000>`)
      .expect(`> .${ace(5)} 1:1(0) ack 1`);
    expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: true, deliveredMarks: 0 });
  });
});

describe('the mode of a connection', () => {
  it('is that of the first SYN, and later ones change only what is fed back (RFC 9768 §3.1.5) [AECN-6]', () => {
    const peer = listensAccurate()
      .send('< SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(2)} 0:0(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    // The option may be why nobody answered.
    peer
      .advanceMs(600)
      .send('< [ce] SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(6)} 0:0(0) ack 1 <!ECN>`);
    peer.send(`< .${ace(2)} 1:1(0) ack 1`);
    expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: true });
    const plain = listensAccurate().send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    plain.advanceMs(600).send('< SEWA 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    plain.send('< . 1:1(0) ack 1');
    expect(modeOf(plain)).to.equal('none');
  });

  it('is that of the first SYN-ACK at who asked [AECN-6]', () => {
    const peer = asksAccurate()
      .expect('> SEWA 0:0(0)')
      .send(`< S.${ace(2)} 0:0(0) ack 1 <mss 1000>`);
    peer.expect(`> .${ace(2)} 1:1(0) ack 1`);
    for (const flags of ['S.', 'S.E', `S.${ace(7)}`]) {
      peer.advanceMs(600).send(`< ${flags} 0:0(0) ack 1 <mss 1000>`).drain();
      expect(peer.endpoint.info, flags).to.include({ state: 'ESTABLISHED', ecn: 'accurate' });
    }
  });

  it('ends the handshake where SYNs ask for both (RFC 9768 §3.1.5) [AECN-6]', () => {
    for (const [first, second] of [
      ['SEWA', 'SEW'],
      ['SEW', 'SEWA'],
    ]) {
      const peer = listensAccurate().send(`< ${first} 0:0(0) <mss 1000>`);
      peer.drain();
      peer.advanceMs(600).send(`< ${second} 0:0(0) <mss 1000>`);
      // As it answers a SYN, it has no sequence number of ours (RFC 9293 §3.10.7.1).
      expect(peer.take()?.line).to.include({ flags: TcpFlag.RST | TcpFlag.ACK, ack: 1 });
      peer.expectState('LISTEN');
      const crossed = asksAccurate().expect('> SEWA 0:0(0)').send(`< ${first} 0:0(0) <mss 1000>`);
      crossed.drain();
      crossed.send(`< ${second} 0:0(0) <mss 1000>`).expectState('CLOSED');
      expect(crossed.take()?.text).to.match(/^> R\.(EA)? 1:1\(0\) ack 1/);
      crossed.expectEvents('close ECONNRESET');
    }
    // Whoever knows only the classic one cannot tell them apart.
    const classic = Peer.listening().send('< SEW 0:0(0) <mss 1000>').expect('> S.E 0:0(0) ack 1');
    classic.advanceMs(600).send('< SEWA 0:0(0) <mss 1000>').expect('> S.E 0:0(0) ack 1');
  });

  it('at a server with one plain SYN or SYN-ACK forbids that its text is marked, and nothing else (RFC 9768 §3.1.5) [AECN-7]', () => {
    const received = listensAccurate()
      .send('< SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(2)} 0:0(0) ack 1`);
    received
      .advanceMs(600)
      .send('< S 0:0(0) <mss 1000>')
      .expect(`> S.${ace(2)} 0:0(0) ack 1`);
    const sent = listensAccurate()
      .send('< SEWA 0:0(0) <mss 1000>')
      .expect(`> S.${ace(2)} 0:0(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    sent
      .expectAfterMs(1000, `> S.${ace(2)} 0:0(0) ack 1 <!ECN>`)
      .expectAfterMs(2000, '> S. 0:0(0) ack 1 <!ECN>');
    for (const peer of [received, sent]) {
      peer
        .send(`< .${ace(2)} 1:1(0) ack 1`)
        .write(1000)
        .expect(`> [noecn] P.${ace(5)} 1:1001(1000) ack 1`);
      expect(peer.endpoint.info).to.include({ ecn: 'accurate', ecnCapable: false });
      // It still counts, and still answers marks of packets that somebody else made markable.
      peer.send(`< [ce] P.${ace(5)} 1:101(100) ack 1001`).expect(`> .${ace(6)} 1001:1001(0) ack 101`);
      const before = peer.endpoint.info.cwndBytes;
      peer.write(1000).drain();
      peer.send(`< .${ace(6)} 101:101(0) ack 2001`);
      expect(peer.endpoint.info.cwndBytes).to.be.below(before);
    }
  });
});

describe('a handshake without state', () => {
  const always = (options: PeerOptions = {}): Peer =>
    listensAccurate({ ...options, tcp: { synCookies: 'always' } });

  it('knows accurate ECN by the flags of its last ACK, 0 and 1 apart (RFC 9768 §5.1) [AECN-19]', () => {
    for (const timestamps of [false, true]) {
      for (let flags = 0; flags < 8; flags++) {
        const peer = always({ timestamps });
        const stamps = timestamps ? `,TS val ${peer.tsVal} ecr 0` : '';
        peer.send(`< SEWA 0:0(0) <mss 1000${stamps}>`).expect(`> S.${ace(2)} 0:0(0) ack 1`);
        peer.advanceMs(20).send(`< .${ace(flags)} 1:1(0) ack 1`);
        expect(modeOf(peer), `${flags}`).to.equal(flags > 1 ? 'accurate' : 'none');
        peer.write(100);
        // As after any handshake the flags also tell how the SYN-ACK arrived.
        const capable = [2, 5, 7].includes(flags);
        peer.expect(`> [${capable ? 'ect0' : 'noecn'}] P.${flags > 1 ? ace(5) : ''} 1:101(100) ack 1`);
      }
    }
  });

  it('tells of the SYN like any other, and leaves the classic one to the timestamp [AECN-19]', () => {
    for (const [field, flags] of REFLECTED) {
      const peer = always().send(`< [${field}] SEWA 0:0(0) <mss 1000>`);
      peer.expect(`> S.${flags} 0:0(0) ack 1 <ECN e0b 1 ceb 0 e1b 1>`);
    }
    const classic = always({ timestamps: true });
    classic.send(`< SEW 0:0(0) <mss 1000,TS val ${classic.tsVal} ecr 0>`).expect('> S.E 0:0(0) ack 1');
    classic.advanceMs(20).send('< . 1:1(0) ack 1');
    expect(modeOf(classic)).to.equal('classic');
    const off = Peer.listening({ options: { ecn: 'accept' }, tcp: { synCookies: 'always' } });
    off.send('< S 0:0(0) <mss 1000>').drain();
    off.advanceMs(20).send(`< .${ace(5)} 1:1(0) ack 1`);
    expect(modeOf(off)).to.equal('none');
  });
});

describe('a connection that follows another in TIME-WAIT', () => {
  it('agrees anew, on whatever is asked for then (RFC 9768 §3.1.2) [AECN-20]', () => {
    for (const [flags, answer, mode] of [
      ['S', 'S.', 'none'],
      ['SEW', 'S.E', 'classic'],
      ['SEWA', `S.${ace(2)}`, 'accurate'],
    ] as const) {
      const peer = accuratePeer({ mss: 1000 }).send(`< [ce] P.${ace(5)} 1:101(100) ack 1`);
      peer
        .expect(`> .${ace(6)} 1:1(0) ack 101`)
        .shutdown()
        .expect(`> F.${ace(6)} 1:1(0) ack 101`);
      peer
        .send(`< F.${ace(5)} 101:101(0) ack 2`)
        .expect(`> .${ace(6)} 2:2(0) ack 102`)
        .expectState('TIME-WAIT');
      // Until then what is left of the old one goes on counting.
      peer
        .advanceMs(1000)
        .send(`< F.${ace(5)} 101:101(0) ack 2`)
        .expect(`> .${ace(6)} 2:2(0) ack 102`);
      peer.advanceMs(1000).reborn().send(`< ${flags} 100000:100000(0) <mss 1000>`);
      peer.expect(`> [noecn] ${answer} 0:0(0) ack 100001`).advanceMs(20);
      peer.send(`< .${mode === 'accurate' ? ace(2) : ''} 100001:100001(0) ack 1`);
      expect(peer.endpoint.info).to.include({ ecn: mode, receivedMarks: 0 });
      peer.write(100).expect(`> P.${mode === 'accurate' ? ace(5) : ''} 1:101(100) ack 100001`);
    }
  });
});
