/** How connections begin, and what is said where there is none (RFC 9293 §3.5, §3.10.7.1 to §3.10.7.4). */
import { expect } from 'chai';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';

/** Largest text of a segment on an Ethernet link. */
const fullMss = (ipv6: boolean): number => (ipv6 ? 1440 : 1460);

describe('a segment for no connection', () => {
  forEachFamily((family, name) => {
    it(`is discarded in silence when it is an RST, over ${name} [FSM-1]`, () => {
      const peer = Peer.closed(family);
      for (const line of [
        'R 7:7(0)',
        'R. 7:7(0) ack 9',
        'RS 7:7(0)',
        'RF. 7:8(1) ack 1',
        'RPU. 7:7(0) ack 1 urg 1',
      ]) {
        peer.send(`< ${line}`).expectNothing();
      }
      expect(peer.stats.tcp.outRsts).to.equal(0);
    });

    it(`is answered with an RST that acknowledges all it occupies when it has no ACK, over ${name} [FSM-2]`, () => {
      const peer = Peer.closed({ ...family, irs: 1000 });
      peer.send('< S 0:0(0)').expect('> R. 0:0(0) ack 1 win 0 <>');
      peer.send('< S 0:100(100)').expect('> R. 0:0(0) ack 101 win 0 <>');
      peer.send('< F 5:5(0)').expect('> R. 0:0(0) ack 6');
      peer.send('< - 5:5(0)').expect('> R. 0:0(0) ack 5');
      peer.send('< P 5:8(3)').expect('> R. 0:0(0) ack 8');
      peer.send('< SF 0:10(10)').expect('> R. 0:0(0) ack 12');
    });

    it(`is answered with an RST at its own ACK, and without one, over ${name} [FSM-3]`, () => {
      const peer = Peer.closed(family);
      peer.send('< . 1:1(0) ack 77').expect('> R 77:77(0) win 0 <>');
      peer.send('< S. 0:0(0) ack 5').expect('> R 5:5(0)');
      peer.send('< FP. 1:11(10) ack 4294967295').expect('> R 4294967295:4294967295(0)');
    });
  });

  it('is answered with the default TTL, whatever its own was [1122-10]', () => {
    const peer = Peer.closed();
    peer.send('< S 0:0(0)', { hopLimit: 3 }).expect('> R. 0:0(0) ack 1');
    expect(peer.last?.hopLimit).to.equal(64);
    peer.send('< . 1:1(0) ack 1', { hopLimit: 255 }).expect('> R 1:1(0)');
    expect(peer.last?.hopLimit).to.equal(64);
    const timeWait = Peer.in('TIME-WAIT', { options: { hopLimit: 9 } });
    timeWait.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
  });

  it('is never read beyond a data offset that lies, and never answered then [FSM-42, E6]', () => {
    for (const peer of [Peer.closed(), Peer.listening(), Peer.established()]) {
      const before = peer.state as 'CLOSED' | 'LISTEN' | 'ESTABLISHED';
      peer.takeEvents();
      for (const dataOffset of [0, 1, 2, 3, 4, 6, 8, 15]) {
        peer.send('< S 0:0(0)', { dataOffset }).send('< . 1:1(0) ack 99', { dataOffset }).expectNothing();
      }
      peer.expectState(before).expectEvents();
      expect(peer.stats.tcp.inErrs).to.equal(16);
    }
  });
});

describe('a listener', () => {
  forEachFamily((family, name) => {
    it(`ignores an RST, over ${name} [FSM-4]`, () => {
      const peer = Peer.listening(family);
      peer
        .send('< R 1:1(0)')
        .send('< R. 1:1(0) ack 1')
        .send('< SR 1:1(0)')
        .expectNothing()
        .expectState('LISTEN');
    });

    it(`answers an ACK, with or without SYN, with an RST at that ACK, over ${name} [FSM-5]`, () => {
      const peer = Peer.listening(family);
      peer.send('< . 1:1(0) ack 500').expect('> R 500:500(0) win 0 <>');
      peer.send('< S. 0:0(0) ack 600').expect('> R 600:600(0)');
      peer.send('< FP. 1:6(5) ack 700').expect('> R 700:700(0)');
      peer.expectState('LISTEN');
    });

    it(`answers a SYN with a SYN-ACK of the SYN alone, whatever text it brings, over ${name} [FSM-6, E16]`, () => {
      const peer = Peer.listening(family);
      peer.send('< S 0:500(500) win 1000 <mss 1000>').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
      // The text was not kept: it counts when it comes again.
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED').expectNothing();
      expect(peer.endpoint.readableBytes).to.equal(0);
      peer.send('< P. 1:501(500) ack 1').expect('> . 1:1(0) ack 501').expectRead(500);
    });

    it(`drops what has none of RST, ACK and SYN, over ${name} [FSM-7]`, () => {
      const peer = Peer.listening(family);
      peer.send('< - 1:1(0)').send('< F 1:1(0)').send('< P 1:100(99)').send('< U 1:2(1) urg 1');
      peer.expectNothing().expectState('LISTEN');
    });

    it(`drops a SYN with a FIN, over ${name} [FSM-8, E15]`, () => {
      const peer = Peer.listening(family);
      peer.send('< SF 0:0(0)').send('< SFPU 0:10(10) urg 3').expectNothing().expectState('LISTEN');
      peer.handshake().expectState('ESTABLISHED');
    });
  });

  it('takes a SYN with URG for a SYN [E16]', () => {
    const peer = Peer.listening();
    peer.send('< SU 0:0(0) urg 65535 <mss 1000>').expect('> S. 0:0(0) ack 1');
    peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED').send('< P. 1:11(10) ack 1').expectRead(10);
  });

  it('answers from the address the SYN was sent to [1122-6]', () => {
    for (const stackAddress of ['10.0.0.7', 'fd00::7']) {
      const ipv6 = stackAddress.includes(':');
      const prefix = ipv6 ? 64 : 24;
      const peer = Peer.listening({ ipv6, stackAddress, addresses: [`${stackAddress}/${prefix}`] });
      peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED').write(10).expect('> P. 1:11(10) ack 1');
      expect(String(peer.endpoint.localAddress)).to.equal(stackAddress);
    }
  });

  it('lets an old duplicate SYN come to nothing when the peer resets it [1122-3]', () => {
    const peer = Peer.listening();
    peer.send('< S 0:0(0)').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.send('< R 1:1(0)').expectNothing().expectState('LISTEN');
    expect(peer.stats.tcp.attemptFails).to.equal(1);
    // The SYN it meant to send finds the listener as it was.
    peer.send('< S 5000:5000(0)').expect('> S. 0:0(0) ack 5001');
    peer.send('< . 5001:5001(0) ack 1').expectState('ESTABLISHED');
  });

  it('completes with the ACK alone, with text, and with a FIN', () => {
    const plain = Peer.in('SYN-RECEIVED').send('< . 1:1(0) ack 1').expectNothing();
    plain.expectState('ESTABLISHED').expectEvents('connect', 'writable');
    const text = Peer.in('SYN-RECEIVED').send('< P. 1:11(10) ack 1').expect('> . 1:1(0) ack 11');
    text.expectState('ESTABLISHED').expectRead(10);
    const fin = Peer.in('SYN-RECEIVED').send('< F. 1:11(10) ack 1').expect('> . 1:1(0) ack 12');
    fin.expectState('CLOSE-WAIT').expectRead(10);
    expect(fin.takeEvents()).to.include('end');
  });

  it('delivers text at once, whether or not it is pushed [1122-1]', () => {
    const peer = Peer.established();
    peer.send('< . 1:11(10) ack 1').expectEvents('readable').expectRead(10);
    peer.send('< P. 11:21(10) ack 1').expectEvents('readable').expectRead(10);
  });
});

describe('SYN-RECEIVED', () => {
  forEachFamily((family, name) => {
    it(`answers an ACK of what was not sent with an RST and stays, over ${name} [FSM-14, E27]`, () => {
      const peer = Peer.in('SYN-RECEIVED', family);
      for (const ack of [0, 2, 1000, 0x8000_0001]) {
        peer
          .send(`< . 1:1(0) ack ${ack}`)
          .expect(`> R ${ack}:${ack}(0) win 0 <>`)
          .expectState('SYN-RECEIVED');
      }
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    });

    it(`does the same in a simultaneous open, over ${name} [FSM-14]`, () => {
      const peer = Peer.in('SYN-RECEIVED', { ...family, role: 'client' });
      for (const ack of [0, 2, 1000]) {
        peer
          .send(`< . 1:1(0) ack ${ack}`)
          .expect(`> R ${ack}:${ack}(0) win 0 <>`)
          .expectState('SYN-RECEIVED');
      }
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    });

    it(`answers the same SYN again with the same SYN-ACK, not too often, over ${name} [FSM-15, 1122-2]`, () => {
      const peer = Peer.in('SYN-RECEIVED', family);
      const { text } = peer.last ?? { text: '' };
      peer.sendSyn().expect(text, { strict: true }).expectState('SYN-RECEIVED');
      for (let i = 0; i < 10; i++) peer.advanceMs(10).sendSyn().expectNothing();
      peer.advanceMs(500).sendSyn().expect(text, { strict: true });
      // There is one connection, and it began where the first SYN said.
      expect(peer.stats.tcp.passiveOpens).to.equal(0);
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED').expectNothing();
      expect(peer.stats.tcp.passiveOpens).to.equal(1);
      expect(peer.gauges.connections).to.equal(1);
      peer.send('< P. 1:11(10) ack 1').expectRead(10);
    });

    it(`gives up at a SYN with another number in the window, over ${name} [FSM-16]`, () => {
      const peer = Peer.in('SYN-RECEIVED', family);
      const zero = peer.relativeOf(0);
      peer.send('< S 100:100(0)').expect(`> R. ${zero}:${zero}(0) ack 101`);
      peer.expectState('LISTEN').expectNothing(2000);
      expect(peer.stats.tcp.embryonicRsts).to.equal(1);
    });

    it(`remembers who began when an RST comes, over ${name} [MUST-11]`, () => {
      const passive = Peer.in('SYN-RECEIVED', family);
      passive.send('< R 1:1(0)').expectNothing(5000).expectState('LISTEN').expectEvents();
      expect(passive.stats.tcp.attemptFails).to.equal(1);
      passive.handshake().expectState('ESTABLISHED');
      const active = Peer.in('SYN-RECEIVED', { ...family, role: 'client' });
      active.send('< R. 1:1(0) ack 1').expectNothing(5000).expectState('CLOSED');
      active.expectEvents('close ECONNREFUSED');
    });
  });

  it('repeats its SYN-ACK after 1, 2, 4, 8 and 16 s and forgets the peer after 63 s [RTO-15]', () => {
    const peer = Peer.in('SYN-RECEIVED');
    for (const seconds of [1, 2, 4, 8, 16]) peer.expectAfterMs(1000 * seconds, '> S. 0:0(0) ack 1');
    peer.expectState('SYN-RECEIVED').expectNothing(31_999).expectState('SYN-RECEIVED');
    peer.expectNothing(2).expectState('LISTEN');
    expect(peer.nowMs).to.be.closeTo(63_000, 2);
    expect(peer.stats.tcp.synRetrans).to.equal(5);
  });

  it('keeps the record of an ACK out of its window, and tells where it stands', () => {
    const peer = Peer.in('SYN-RECEIVED');
    peer.send('< . 100000:100000(0) ack 1').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.send('< R 100000:100000(0)').expectNothing().expectState('SYN-RECEIVED');
    peer.advanceMs(600).send('< R 2:2(0)').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
  });
});

describe('SYN-SENT', () => {
  forEachFamily((family, name) => {
    it(`offers the most the link carries, scaling, timestamps and SACK, over ${name} [MUST-67, TS-1, SHLD-5]`, () => {
      const peer = Peer.connecting(family);
      const mss = fullMss(family.ipv6);
      peer.expect(`> S 0:0(0) win 65535 <mss ${mss},sackOK,TS val 0 ecr 0,nop,wscale 7>`, { strict: true });
      for (const mtu of [1280, 1492, 9000]) {
        const other = Peer.connecting({ ...family, mtu });
        other.expect(`> S 0:0(0) <mss ${mtu - (family.ipv6 ? 60 : 40)}>`);
        const server = Peer.in('SYN-RECEIVED', { ...family, mtu });
        expect(server.last?.line.options).to.include(`mss ${mtu - (family.ipv6 ? 60 : 40)}`);
      }
    });

    it(`answers an ACK of what was not sent with an RST and stays, over ${name} [FSM-9, E27]`, () => {
      const peer = Peer.in('SYN-SENT', family);
      for (const ack of [0, 2, -1, 0x7fff_0000]) {
        peer.send(`< . 5:5(0) ack ${ack}`).expect(`> R ${ack}:${ack}(0) win 0 <>`).expectState('SYN-SENT');
        peer.send(`< S. 0:0(0) ack ${ack}`).expect(`> R ${ack}:${ack}(0) win 0 <>`).expectState('SYN-SENT');
        peer.send(`< R. 5:5(0) ack ${ack}`).expectNothing().expectState('SYN-SENT');
      }
      peer.expectEvents();
      peer.handshake().expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    });

    it(`is refused by an RST that acknowledges its SYN, and by no other, over ${name} [FSM-10]`, () => {
      const peer = Peer.in('SYN-SENT', family);
      peer.send('< R 0:0(0)').send('< R 1:1(0)').expectNothing().expectState('SYN-SENT').expectEvents();
      peer.send('< R. 0:0(0) ack 1').expectNothing(10_000).expectState('CLOSED');
      peer.expectEvents('close ECONNREFUSED');
    });

    it(`is ESTABLISHED by a SYN-ACK, which it acknowledges at once, over ${name}`, () => {
      const peer = Peer.in('SYN-SENT', family);
      peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
      peer.expectEvents('connect', 'writable').expectNothing(60_000);
    });

    it(`takes the text and the FIN of a SYN-ACK, over ${name} [FSM-12, E16]`, () => {
      const text = Peer.in('SYN-SENT', family);
      text.send('< SP. 0:100(100) ack 1 <mss 1000>').expect('> . 1:1(0) ack 101').expectRead(100);
      text.expectState('ESTABLISHED');
      const fin = Peer.in('SYN-SENT', family);
      fin.send('< SF. 0:100(100) ack 1 <mss 1000>').expect('> . 1:1(0) ack 102').expectState('CLOSE-WAIT');
      fin.expectEvents('connect', 'readable', 'end', 'writable').expectRead(100);
      fin.write(10).expect('> P. 1:11(10) ack 102');
    });

    it(`drops what has neither SYN nor RST, over ${name} [FSM-13, E27]`, () => {
      const peer = Peer.in('SYN-SENT', family);
      peer.send('< . 1:1(0) ack 1').send('< F 1:1(0)').send('< F. 1:1(0) ack 1').send('< P. 1:11(10) ack 1');
      peer.send('< - 1:1(0)').expectNothing().expectState('SYN-SENT').expectEvents();
    });

    it(`is forgotten without a word when the application closes or aborts, over ${name} [FSM-33]`, () => {
      const closed = Peer.in('SYN-SENT', family).close().expectNothing(10_000).expectState('CLOSED');
      closed.send('< S. 0:0(0) ack 1').expect('> R 1:1(0)');
      const ended = Peer.in('SYN-SENT', family).shutdown().expectNothing(10_000).expectState('CLOSED');
      ended.expectEvents('close');
      const aborted = Peer.in('SYN-SENT', family).abort().expectNothing(10_000).expectState('CLOSED');
      aborted.expectEvents('close');
    });

    it(`keeps what is written until the handshake is done, over ${name} [FSM-36]`, () => {
      const peer = Peer.in('SYN-SENT', family).write(1500).expectNothing();
      peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1001(1000) ack 1');
      peer.send('< . 1:1(0) ack 1001').expect('> P. 1001:1501(500) ack 1').expectNothing();
      const crossing = Peer.in('SYN-RECEIVED', { ...family, role: 'client' })
        .write(10)
        .expectNothing();
      crossing.send('< . 1:1(0) ack 1').expect('> P. 1:11(10) ack 1');
    });
  });

  it('repeats its SYN after 1, 3, 7, 15, 31 and 63 s and times out after 127 s [RTO-1, MUST-22]', () => {
    const peer = Peer.connecting();
    const syn = 'win 65535 <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>';
    peer.expect(`> S 0:0(0) ${syn}`, { strict: true });
    for (const seconds of [1, 2, 4, 8, 16, 32]) {
      peer.expectAfterMs(1000 * seconds, `> S 0:0(0) ${syn}`, { strict: true });
    }
    peer.expectNothing(63_999).expectEvents('soft ETIMEDOUT').expectNothing(2);
    peer.expectEvents('close ETIMEDOUT').expectState('CLOSED');
    expect(peer.nowMs).to.be.closeTo(127_000, 2);
  });
});

describe('closing before the handshake is done', () => {
  forEachFamily((family, name) => {
    it(`sends a FIN at once where nothing is queued, over ${name} [FSM-34]`, () => {
      const peer = Peer.in('SYN-RECEIVED', { ...family, role: 'client' });
      peer.shutdown().expect('> F. 1:1(0) ack 1').expectState('FIN-WAIT-1');
      peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2').expectNothing();
      peer.send('< P. 1:11(10) ack 2').expect('> . 2:2(0) ack 11').expectRead(10);
      peer.send('< F. 11:11(0) ack 2').expect('> . 2:2(0) ack 12').expectState('TIME-WAIT');
    });

    it(`sends it behind what is queued otherwise, over ${name} [FSM-34]`, () => {
      const peer = Peer.in('SYN-RECEIVED', { ...family, role: 'client' });
      peer.write(10).shutdown().expectNothing();
      peer.send('< . 1:1(0) ack 1').expect('> FP. 1:11(10) ack 1').expectState('FIN-WAIT-1');
      peer.send('< . 1:1(0) ack 12').expectState('FIN-WAIT-2');
    });
  });

  it('takes an ACK of the SYN alone, and keeps sending the FIN [FSM-34]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    peer.send('< . 1:1(0) ack 1').expectState('FIN-WAIT-1').expectEvents('connect', 'writable');
    peer.expectAfterMs(1000, '> F. 1:1(0) ack 1', { toleranceMs: 1000 });
    peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2').expectNothing(60_000);
  });

  it('completes with the SYN-ACK of a peer that has not seen the FIN [FSM-34]', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.shutdown().expect('> F. 1:1(0) ack 1');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 2:2(0) ack 1').expectState('FIN-WAIT-1');
    peer.send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2');
  });

  it('resets a peer whose SYN it has answered, when it aborts', () => {
    const peer = Peer.in('SYN-RECEIVED', { role: 'client' });
    peer.abort().expect('> R. 1:1(0) ack 1').expectState('CLOSED').expectNothing(10_000);
  });
});

describe('a simultaneous open', () => {
  forEachFamily((family, name) => {
    it(`goes through SYN-RECEIVED to one connection, SYN-ACK first, over ${name} [MUST-10]`, () => {
      const peer = Peer.in('SYN-SENT', family);
      peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
      // The peer has seen our SYN and answers it as we answered its own.
      peer.send('< S. 0:0(0) ack 1 <mss 1000>').expectState('ESTABLISHED').expect('> . 1:1(0) ack 1');
      peer.expectEvents('connect', 'writable').expectNothing(60_000);
      expect(peer.gauges.connections).to.equal(1);
      peer.write(1500).expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1501(500) ack 1');
      peer.ackAll().sendText(500).expectRead(500);
    });

    it(`goes there too when the peer's ACK arrives first, over ${name} [MUST-10]`, () => {
      const peer = Peer.in('SYN-SENT', family);
      peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
      peer
        .send('< . 1:1(0) ack 1')
        .expectState('ESTABLISHED')
        .expectNothing()
        .expectEvents('connect', 'writable');
      // Its SYN-ACK comes late and is an old one.
      peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
      peer.sendText(10).expectRead(10);
    });
  });

  it('answers the crossing SYN again when it comes again', () => {
    const peer = Peer.in('SYN-SENT');
    peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.expectAfterMs(1000, '> S. 0:0(0) ack 1', { toleranceMs: 1000 });
    peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
  });

  it('takes the window of a SYN-ACK as it stands, also a small one [WS-3]', () => {
    const peer = Peer.in('SYN-SENT');
    peer.send('< S 0:0(0) win 200 <mss 1000,nop,wscale 7>').expect('> S. 0:0(0) ack 1').write(1000);
    peer.send('< S. 0:0(0) ack 1 win 200 <mss 1000,nop,wscale 7>').expectState('ESTABLISHED');
    peer.expect('> . 1:201(200) ack 1');
    // Behind the handshake the same field means 128 times as much.
    peer.send('< . 1:1(0) ack 201 win 200').expect('> P. 201:1001(800) ack 1');
  });
});

describe('the segment size', () => {
  forEachFamily((family, name) => {
    it(`is announced in SYN and SYN-ACK, and the peer's is kept to, over ${name} [MUST-14, MAY-3]`, () => {
      const mss = fullMss(family.ipv6);
      Peer.connecting(family).expect(`> S 0:0(0) <mss ${mss}>`);
      const peer = Peer.listening(family)
        .send('< S 0:0(0) <mss 700>')
        .expect(`> S. 0:0(0) ack 1 <mss ${mss}>`);
      peer.send('< . 1:1(0) ack 1').write(1500);
      peer
        .expect('> . 1:701(700) ack 1')
        .expect('> . 701:1401(700) ack 1')
        .expect('> P. 1401:1501(100) ack 1');
      const client = Peer.established({ ...family, role: 'client', mss: 700 }).write(800);
      client.expect('> . 1:701(700) ack 1').expect('> P. 701:801(100) ack 1');
    });

    it(`is 536 or 1220 where the peer announces none, over ${name} [MUST-15]`, () => {
      const assumed = family.ipv6 ? 1220 : 536;
      for (const role of ['server', 'client'] as const) {
        const peer = Peer.established({ ...family, role, mss: 0 }).write(3000);
        peer.expect(`> . 1:${1 + assumed}(${assumed}) ack 1`);
      }
    });

    it(`is what peer and path take, less options of TCP, over ${name} [MUST-16, TS-18]`, () => {
      const full = fullMss(family.ipv6);
      const large = Peer.established({ ...family, mss: 9000 }).write(3000);
      large.expect(`> . 1:${1 + full}(${full}) ack 1`);
      const stamped = Peer.established({ ...family, timestamps: true }).write(3000);
      stamped.expect(`> . 1:${full - 11}(${full - 12}) ack 1`);
      const small = Peer.established({ ...family, timestamps: true, mss: 1000 }).write(3000);
      small.expect('> . 1:989(988) ack 1');
      const narrow = Peer.established({ ...family, timestamps: true, mtu: 1280 }).write(3000);
      const text = 1280 - (family.ipv6 ? 60 : 40) - 12;
      narrow.expect(`> . 1:${1 + text}(${text}) ack 1`);
    });

    it(`is not changed by an MSS option without SYN, over ${name} [MUST-65]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.send('< P. 1:11(10) ack 1 <mss 300>').expect('> . 1:1(0) ack 11 <!mss>').expectRead(10);
      peer.send('< . 11:11(0) ack 1 <mss 2000>').write(1500);
      peer.expect('> . 1:1001(1000) ack 11 <!mss>').expect('> P. 1001:1501(500) ack 11 <!mss>');
      peer.shutdown().send('< . 11:11(0) ack 1501').expect('> F. 1501:1501(0) ack 11 <!mss>');
    });
  });

  it('of an interface counts, not of the path, in what is announced', () => {
    const peer = Peer.connecting({ mtu: 576 });
    peer.expect('> S 0:0(0) <mss 536>');
    expect(peer.last?.dontFragment).to.equal(true);
  });

  it('has a floor, however little a peer announces', () => {
    for (const mss of [1, 47, 60]) {
      const peer = Peer.established({ mss }).write(200);
      expect(peer.take()?.line.textBytes, `MSS ${mss}`).to.be.at.least(48);
    }
    const none = Peer.listening()
      .send('< S 0:0(0) <mss 0>')
      .expect('> S. 0:0(0) ack 1')
      .send('< . 1:1(0) ack 1');
    none.write(600).expect('> . 1:537(536) ack 1');
  });

  it('may be 65535 and overflow nothing [RM-5]', () => {
    const v4 = Peer.established({ mss: 65_535 }).write(2000);
    v4.expect('> . 1:1461(1460) ack 1').expect('> P. 1461:2001(540) ack 1');
    const v6 = Peer.established({ mss: 65_535, ipv6: true, mtu: 65_535 }).write(60_000);
    expect(v6.waiting).to.be.at.least(1);
    const wide = Peer.connecting({ ipv6: true, mtu: 65_535 });
    wide.expect('> S 0:0(0) <mss 65475>');
  });
});

describe('options', () => {
  forEachFamily((family, name) => {
    it(`are read on any segment: text, bare ACK, FIN and RST, over ${name} [MUST-5]`, () => {
      const peer = Peer.established({ ...family, timestamps: true, mss: 1012 }).wrote(4000);
      const odd = 'kind 30 0011,kind 253 f989,uto 60';
      peer
        .send(`< P. 1:11(10) ack 1 <${odd},TS val 5000 ecr 20>`)
        .expect('> . 4001:4001(0) ack 11 <TS val * ecr 5000>');
      peer.send(`< . 11:11(0) ack 1 <TS val 5001 ecr 20,sack 1001:3001>`).expectNothing();
      peer.send(`< . 11:11(0) ack 1 <TS val 5001 ecr 20,sack 1001:4001>`).expect('> . 1:1001(1000) ack 11');
      peer
        .send(`< F. 11:11(0) ack 4001 <${odd},TS val 5002 ecr 20>`)
        .expect('> . 4001:4001(0) ack 12 <TS val * ecr 5002>');
      peer.send(`< R 12:12(0) <${odd},TS val 5003 ecr 0>`).expectState('CLOSED').expectNothing();
    });
  });

  it('are negotiated only when both sides offer them [TS-1, SACK-1, WS-2]', () => {
    const bare = Peer.listening().send('< S 0:0(0) <mss 1000>');
    bare.expect('> S. 0:0(0) ack 1 <mss 1460>', { strict: true });
    const stamps = Peer.listening().send('< S 0:0(0) <mss 1000,TS val 7 ecr 0>');
    stamps.expect('> S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 0 ecr 7>', { strict: true });
    const sack = Peer.listening().send('< S 0:0(0) <mss 1000,sackOK>');
    sack.expect('> S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>', { strict: true });
    const scale = Peer.listening().send('< S 0:0(0) <mss 1000,wscale 2>');
    scale.expect('> S. 0:0(0) ack 1 <mss 1460,nop,wscale 7>', { strict: true });
    const all = Peer.listening().send('< S 0:0(0) <mss 1000,sackOK,TS val 9 ecr 0,nop,wscale 2>');
    all.expect('> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 9,nop,wscale 7>', { strict: true });
    const none = { windowScaling: false, sack: false, timestamps: false };
    const refused = Peer.listening({ options: none }).send(
      '< S 0:0(0) <mss 1000,sackOK,TS val 9 ecr 0,nop,wscale 2>',
    );
    refused.expect('> S. 0:0(0) ack 1 <mss 1460>', { strict: true });
    Peer.connecting({ options: none }).expect('> S 0:0(0) <mss 1460>', { strict: true });
  });

  it('that only a SYN may carry are ignored on others [WS-1, SACK-1]', () => {
    const peer = Peer.established({ sack: false, window: 500 });
    peer.send('< . 1:1(0) ack 1 <sackOK,wscale 7,mss 60>').write(2000);
    // The window is still 500 and not 64,000.
    peer.expect('> . 1:501(500) ack 1').expectNothing();
    peer.send('< P. 101:111(10) ack 501 win 500').expect('> . 501:1001(500) ack 1 <!sack>');
  });
});

describe('the window scale', () => {
  it('is not applied to the window of a SYN or a SYN-ACK, by either side [WS-3]', () => {
    const client = Peer.in('SYN-SENT').write(5000);
    client.send('< S. 0:0(0) ack 1 win 2000 <mss 1000,nop,wscale 7>');
    client.expect('> . 1:1001(1000) ack 1').expect('> P. 1001:2001(1000) ack 1').expectNothing();
    const server = Peer.listening().send('< S 0:0(0) win 3000 <mss 1000,nop,wscale 7>');
    // Ours stands unscaled too: 65,535 bytes.
    server.expect('> S. 0:0(0) ack 1 win 65535 <wscale 7>');
    Peer.connecting().expect('> S 0:0(0) win 65535 <wscale 7>');
    const small = { receiveBufferBytes: 20_000 };
    Peer.connecting({ options: small }).expect('> S 0:0(0) win 20000 <wscale 7>');
  });

  it('is applied to the first segment without SYN, by both sides [WS-6]', () => {
    const client = Peer.in('SYN-SENT').send('< S. 0:0(0) ack 1 win 2000 <mss 1000,nop,wscale 7>');
    client.expect('> . 1:1(0) ack 1 win 512');
    const server = Peer.listening()
      .send('< S 0:0(0) win 3000 <mss 1000,nop,wscale 7>')
      .expect('> S. 0:0(0) ack 1');
    server.send('< . 1:1(0) ack 1 win 10').write(1280);
    server.expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1281(280) ack 1');
  });

  it('counts only when both SYNs have it, also one of 0 [WS-2, WS-5]', () => {
    const without = Peer.listening().send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1 <!wscale>');
    without.send('< . 1:1(0) ack 1 win 500').write(2000).expect('> . 1:501(500) ack 1');
    without.send('< P. 1:11(10) ack 501 win 0').expect('> . 501:501(0) ack 11 win 65525');
    const zero = Peer.listening()
      .send('< S 0:0(0) <mss 1000,wscale 0>')
      .expect('> S. 0:0(0) ack 1 <wscale 7>');
    zero.send('< . 1:1(0) ack 1 win 500').write(2000).expect('> . 1:501(500) ack 1');
    zero.send('< P. 1:11(10) ack 501 win 0').expect('> . 501:501(0) ack 11 win 512');
    const client = Peer.in('SYN-SENT').send('< S. 0:0(0) ack 1 win 500 <mss 1000>').write(2000);
    client.expect('> . 1:1(0) ack 1 win 65535').expect('> . 1:501(500) ack 1 win 65535');
  });

  it('above 14 counts as 14 [WS-4]', () => {
    for (const shift of [14, 15, 255]) {
      const options = { initialWindow: 100 };
      const peer = Peer.listening({ options }).send(`< S 0:0(0) win 0 <mss 1000,wscale ${shift}>`);
      peer.expect('> S. 0:0(0) ack 1 <wscale 7>').send('< . 1:1(0) ack 1 win 2').wrote(60_000);
      expect(peer.rcvNxt - 1, `shift ${shift}`).to.equal(32_000);
    }
  });

  it('stands in every SYN that is sent again, and crossing SYNs agree on it [WS-7]', () => {
    const peer = Peer.connecting().expect('> S 0:0(0) <wscale 7>');
    peer.expectAfterMs(1000, '> S 0:0(0) <wscale 7>');
    peer.send('< S 0:0(0) win 1000 <mss 1000,nop,wscale 3>').expect('> S. 0:0(0) ack 1 win 65535 <wscale 7>');
    peer.expectAfterMs(2000, '> S. 0:0(0) ack 1 win 65535 <wscale 7>', { toleranceMs: 2000 });
    peer.send('< . 1:1(0) ack 1 win 100').write(5000).expect('> . 1:801(800) ack 1 win 512');
    const other = Peer.connecting().expect('> S 0:0(0) <wscale 7>');
    other.send('< S 0:0(0) win 1000 <mss 1000>').expect('> S. 0:0(0) ack 1 win 65535 <!wscale>');
    other.send('< . 1:1(0) ack 1 win 700').write(5000).expect('> . 1:701(700) ack 1 win 65535');
    const server = Peer.listening().send('< S 0:0(0) win 1000 <mss 1000,nop,wscale 3>');
    server.expect('> S. 0:0(0) ack 1 <wscale 7>').expectAfterMs(1000, '> S. 0:0(0) ack 1 <wscale 7>');
  });

  it('is at most 14, for the largest window of 1,073,725,440 bytes [WS-10]', () => {
    const options = { receiveBufferBytes: 2 ** 32, receiveBufferMaxBytes: 2 ** 40, initialWindow: 40 };
    const peer = Peer.listening({ options }).send('< S 0:0(0) win 65535 <mss 1000,nop,wscale 14>');
    peer.expect('> S. 0:0(0) ack 1 win 65535 <wscale 14>').send('< . 1:1(0) ack 1 win 65535');
    const { sender, receiver } = peer.endpoint.connection;
    expect(sender.sndWnd).to.equal(1_073_725_440);
    peer.wrote(30_000).ackAll().sendText(30_000).expectRead(30_000);
    expect(receiver?.rcvWnd).to.be.within(1, 1_073_725_440);
    expect(peer.last?.line.window).to.be.within(1, 65_535);
  });

  it('is kept by a SYN cookie only where timestamps can hold it [WS-11, SYN-7]', () => {
    const tcp = { synCookies: 'always' as const };
    const bare = Peer.listening({ tcp }).send('< S 0:0(0) <mss 1300,sackOK,nop,wscale 5>');
    bare.expect('> S. 0:0(0) ack 1 <mss 1460>', { strict: true });
    bare.send('< . 1:1(0) ack 1 win 100').expectState('ESTABLISHED').write(2000);
    bare.expect('> . 1:101(100) ack 1');
    const stamped = Peer.listening({ tcp }).send('< S 0:0(0) <mss 1300,sackOK,TS val 9 ecr 0,nop,wscale 5>');
    stamped.expect('> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 9,nop,wscale 7>', { strict: true });
    stamped.send('< . 1:1(0) ack 1 win 100').expectState('ESTABLISHED').write(5000);
    stamped.expect('> . 1:1289(1288) ack 1 win 512').expect('> P. 1289:2577(1288) ack 1');
    stamped.send('< P. 11:21(10) ack 2577').expect('> . 2577:3853(1276) ack 1 <sack 11:21>');
  });
});

describe('a handshake', () => {
  it('works wherever sequence numbers begin, in both roles and both families', () => {
    forEachIsn((isn) => {
      forEachFamily((family) => {
        for (const role of ['server', 'client'] as const) {
          const peer = Peer.established({ ...isn, ...family, role, mss: 1000 });
          peer.write(1500).expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1501(500) ack 1').ackAll();
          peer.sendText(1500).expectRead(1500);
        }
        const crossing = Peer.in('SYN-RECEIVED', { ...isn, ...family, role: 'client' });
        crossing.send('< S. 0:0(0) ack 1').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
        const refused = Peer.in('SYN-SENT', { ...isn, ...family });
        refused.send('< R. 0:0(0) ack 2').send('< R. 0:0(0) ack 0').expectState('SYN-SENT');
        refused.send('< R. 0:0(0) ack 1').expectState('CLOSED');
        const half = Peer.in('SYN-RECEIVED', { ...isn, ...family });
        half.send('< . 1:1(0) ack 2').expect('> R 2:2(0)').send('< R 1:1(0)').expectState('LISTEN');
      });
    });
  });

  it('leaves nothing behind when it is over [I19]', () => {
    const zero = Object.fromEntries(Object.keys(Peer.listening().gauges).map((name) => [name, 0]));
    const peer = Peer.established().wrote(60_000);
    expect(peer.gauges).to.include({ connections: 1, currEstab: 1 });
    expect(peer.gauges.memoryBytes).to.be.at.least(65_536);
    peer.ackAll().shutdown().ackAll();
    for (let i = 0; i < 20 && peer.state !== 'FIN-WAIT-2'; i++) peer.ackAll();
    peer.send(`< F. 1:1(0) ack ${peer.rcvNxt}`).expectState('TIME-WAIT');
    expect(peer.gauges).to.include({ connections: 0, currEstab: 0, memoryBytes: 0, twCount: 1 });
    peer.advanceMs(60_001);
    expect(peer.gauges).to.deep.equal(zero);
    // The harness asks the same of every scenario when its test ends, and that no alarm is left set.
    for (const state of ['SYN-SENT', 'SYN-RECEIVED', 'CLOSE-WAIT', 'LAST-ACK', 'CLOSING'] as const) {
      const other = Peer.in(state);
      other.host.finish();
      expect(other.gauges).to.deep.equal(zero);
      expect(other.host.clock.pending).to.equal(0);
    }
  });
});
