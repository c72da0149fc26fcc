/** TCP Fast Open as a server (RFC 7413 §4.2.2): tcp.md §12, TFO-2 to TFO-6, TFO-10 and TFO-14. */
import { expect } from 'chai';
import { askCookie, cookieOf, openListener } from '../../support/fast-open.js';
import { forEachFamily, Peer } from '../../support/peer.js';

describe('a listener with Fast Open', () => {
  forEachFamily((family, name) => {
    it(`delivers the text of a SYN with a good cookie before the handshake ends, over ${name} (RFC 7413 §4.2.2) [TFO-4 API-4]`, () => {
      const peer = openListener(family);
      const cookie = askCookie(peer);
      peer.send(`< S 0:700(700) win 65535 <mss 1460,sackOK,FO ${cookie}>`);
      peer.expect('> S. 0:0(0) ack 701 <mss *,sackOK,!FO>').expectState('SYN-RECEIVED').expectNothing();
      peer.expectEvents('connect', 'readable', 'writable').expectRead(700);
      expect(peer.endpoint.info.fastOpen).to.equal(true);
      expect(peer.stats.tcp).to.include({ fastOpenPassive: 1, fastOpenPassiveFail: 0, passiveOpens: 1 });
      peer.advanceMs(20).send('< . 701:701(0) ack 1').expectState('ESTABLISHED').expectNothing();
      peer.send('< P. 701:801(100) ack 1').expect('> . 1:1(0) ack 801').expectRead(100);
      peer.expectEvents('readable');
    });

    it(`ignores text with a wrong cookie, or without one, over ${name} (RFC 7413 §4.2.2) [TFO-5]`, () => {
      const peer = openListener(family);
      const cookie = askCookie(peer);
      const wrong = `${cookie.startsWith('0') ? '1' : '0'}${cookie.slice(1)}`;
      peer.send(`< S 0:700(700) win 65535 <mss 1460,FO ${wrong}>`);
      // With a fresh cookie, as the client seems to lack it.
      peer.expect(`> S. 0:0(0) ack 1 <mss *,FO ${cookie}>`).expectState('SYN-RECEIVED');
      expect(peer.hasEndpoint).to.equal(false);
      peer
        .send('< . 1:1(0) ack 1')
        .send('< P. 1:701(700) ack 1')
        .expect('> . 1:1(0) ack 701')
        .expectRead(700);
      // Every digit of it counts.
      for (let i = 0; i < 16; i++) {
        const digit = cookie[i] === '7' ? '8' : '7';
        const forger = peer.another({ port: 50_000 + i });
        forger.send(`< S 0:9(9) win 65535 <FO ${cookie.slice(0, i)}${digit}${cookie.slice(i + 1)}>`);
        forger.expect('> S. 0:0(0) ack 1');
      }
      const without = peer.another({ port: 41_000 });
      without.send('< S 0:700(700) win 65535 <mss 1460>').expect('> S. 0:0(0) ack 1 <mss *,!FO>');
      const asking = peer.another({ port: 42_000 });
      asking.send('< S 0:700(700) win 65535 <mss 1460,FO>').expect(`> S. 0:0(0) ack 1 <mss *,FO ${cookie}>`);
      expect(peer.stats.tcp).to.include({
        fastOpenPassive: 0,
        fastOpenPassiveFail: 17,
        fastOpenCookieReqd: 2,
      });
    });

    it(`lets the server answer before the handshake ends, an initial window at most, over ${name} (RFC 7413 §4.2.2) [TFO-6]`, () => {
      const peer = openListener(family);
      const cookie = askCookie(peer);
      const act = (event: string): void => {
        if (event === 'readable' && peer.state === 'SYN-RECEIVED') {
          peer.endpoint.read(new Uint8Array(100));
          peer.endpoint.write(peer.incoming.bytes(0, 30_000));
        }
      };
      peer.onEvent = act;
      peer.send(`< S 0:100(100) win 65535 <mss 1000,sackOK,FO ${cookie}>`);
      peer.expect('> S. 0:0(0) ack 101');
      const starts = peer.drain().map(({ line }) => line.start);
      expect(starts).to.deep.equal(Array.from({ length: 10 }, (_, i) => 1 + 1000 * i));
      peer.expectNothing(900).expectState('SYN-RECEIVED');
      peer.onEvent = () => {};
      peer.send('< . 101:101(0) ack 1').expectState('ESTABLISHED').expectNothing();
      peer.send('< . 101:101(0) ack 10001');
      expect(peer.drain().length).to.equal(20);
      peer.send('< . 101:101(0) ack 30001').expectEvents('connect', 'readable', 'writable', 'drain');
    });
  });

  it('sends no more than the window of the SYN before the handshake ends [TFO-6]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.onEvent = (event) => void (event === 'connect' && peer.endpoint.write(peer.incoming.bytes(0, 5000)));
    peer.send(`< S 0:0(0) win 2500 <mss 1000,wscale 7,FO ${cookie}>`).expect('> S. 0:0(0) ack 1');
    expect(peer.drain().map(({ line }) => line.start)).to.deep.equal([1, 1001]);
    peer.expectNothing();
  });

  it('opens also where the SYN has a cookie and no text (RFC 7413 §4.2) [TFO-4]', () => {
    const peer = openListener();
    peer.send(`< S 0:0(0) win 65535 <mss 1460,FO ${askCookie(peer)}>`).expect('> S. 0:0(0) ack 1');
    peer.expectEvents('connect', 'writable').write(100).expect('> P. 1:101(100) ack 1');
    expect(peer.endpoint.info.fastOpen).to.equal(false);
    peer.send('< . 1:1(0) ack 101').expectState('ESTABLISHED').expectEvents('drain');
  });

  it('takes as much of the text as its window has room for (RFC 7413 §4.2.2) [TFO-11 TFO-4]', () => {
    const peer = openListener({ options: { receiveBufferBytes: 500, receiveBufferMaxBytes: 500 } });
    const cookie = askCookie(peer);
    peer.send(`< S 0:700(700) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 501');
    peer.expectRead(500).advanceMs(20).send('< . 501:501(0) ack 1').expectState('ESTABLISHED');
  });

  it('measures the round trip by its SYN-ACK only where that was sent once (RFC 6298 §3) [TFO-14]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    peer.advanceMs(30).send('< . 11:11(0) ack 1');
    expect(peer.endpoint.info.rttUs).to.equal(30_000);
    const other = peer.another({ port: 41_000 });
    other.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    other.expectAfterMs(1000, '> S. 0:0(0) ack 11').advanceMs(30).send('< . 11:11(0) ack 1');
    expect(other.endpoint.info.rttUs).to.equal(0);
    // RFC 6298 §5.7: a SYN that was lost lets the RTO begin at 3 s.
    expect(other.endpoint.info.rtoUs).to.equal(3_000_000);
  });

  it('knows the option on a SYN alone, and sends it on the first SYN-ACK alone (RFC 7413 §4.1.1) [TFO-2]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send('< S 0:0(0) win 65535 <mss 1460,FO>').expect(`> S. 0:0(0) ack 1 <mss *,FO ${cookie}>`);
    peer.expectAfterMs(1000, '> S. 0:0(0) ack 1 <mss *,!FO>');
    peer.send('< S 0:0(0) win 65535 <mss 1460,FO>').expect('> S. 0:0(0) ack 1 <mss *,!FO>');
    peer.send(`< . 1:1(0) ack 1 <FO ${cookie}>`).expectState('ESTABLISHED').expectNothing();
    peer.send(`< P. 1:11(10) ack 1 <FO>`).expect('> . 1:1(0) ack 11 <!FO>').expectRead(10);
    expect(peer.stats.tcp).to.include({ fastOpenCookieReqd: 2, fastOpenPassive: 0 });
  });

  it('repeats its SYN-ACK with what it acknowledged, and holds its text back until that arrives (RFC 7413 §4.2.2) [TFO-4]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,sackOK,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    peer.write(3000).expect('> . 1:1461(1460) ack 11').expect('> . 1461:2921(1460) ack 11');
    peer.expect('> P. 2921:3001(80) ack 11');
    peer.advanceMs(999).expectNothing();
    for (const ms of [1, 2000, 4000]) peer.expectAfterMs(ms, '> S. 0:0(0) ack 11');
    // The SYN, repeated without text as RFC 7413 §4.2.1 wants it, is answered alike.
    peer.send('< S 0:0(0) win 65535 <mss 1460,sackOK>').expect('> S. 0:0(0) ack 11').expectNothing();
    peer.advanceMs(20).send('< . 11:11(0) ack 1').expectState('ESTABLISHED');
    // What followed the lost SYN-ACK is lost too; slow start begins with one segment (RFC 5681 §3.1).
    peer.expect('> . 1:1461(1460) ack 11').expectNothing();
    peer
      .send('< . 11:11(0) ack 1461')
      .expect('> . 1461:2921(1460) ack 11')
      .expect('> P. 2921:3001(80) ack 11');
    peer.send('< . 11:11(0) ack 3001').expectRead(10);
  });

  it('goes on with one segment where its SYN-ACK was lost once (RFC 5681 §3.1) [TFO-6]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,sackOK,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    peer.write(5000).drain();
    peer.expectAfterMs(1000, '> S. 0:0(0) ack 11').advanceMs(20).send('< . 11:11(0) ack 1');
    peer.expect('> . 1:1461(1460) ack 11').expectNothing();
  });

  it('ends when nobody acknowledges its SYN-ACK, after one try more than others (Linux tcp_fastopen_synack_timer)', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11').takeEvents();
    for (const s of [1, 2, 4, 8, 16, 32]) peer.expectAfterMs(1000 * s, '> S. 0:0(0) ack 11');
    peer.advanceMs(63_990).expectNothing();
    peer
      .advanceMs(20)
      .expectState('CLOSED')
      .expectEvents('soft ETIMEDOUT', 'close ETIMEDOUT')
      .expectRead(10)
      .expectNothing();
  });

  it('may send and finish before the handshake ends, and is answered at last (RFC 9293 §3.10.4)', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.onEvent = (event) => {
      if (event !== 'readable') return;
      peer.endpoint.read(new Uint8Array(100));
      peer.endpoint.write(peer.incoming.bytes(0, 50));
      peer.endpoint.close();
    };
    peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    peer.expect('> FP. 1:51(50) ack 11').expectState('FIN-WAIT-1');
    peer.send('< . 11:11(0) ack 52').expectState('FIN-WAIT-2');
    peer.send('< F. 11:11(0) ack 52').expect('> . 52:52(0) ack 12').expectState('TIME-WAIT');
  });

  it('is told of a reset before the handshake ends; what was received stays readable (RFC 9293 §3.10.7.4)', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11').takeEvents();
    peer
      .send('< R 11:11(0)')
      .expectState('CLOSED')
      .expectEvents('close ECONNRESET')
      .expectRead(10)
      .expectNothing();
  });

  it('queues the connection to be accepted at once, and resets it when the listener goes (API) [API-4]', () => {
    const peer = openListener({ accept: false });
    const cookie = askCookie(peer);
    peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    expect(peer.listener?.ready).to.equal(1);
    peer.accept();
    peer.expectState('SYN-RECEIVED').expectRead(10);
    const other = peer.another({ port: 41_000 });
    other.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 11');
    peer.listener?.close();
    peer.advanceMs(0);
    other.expect('> R. 1:1(0) ack 11');
  });
});

describe('Fast Open', () => {
  it('is for those who ask for it: a SYN that arrives twice is two connections with the same text (RFC 7413 §6.1) [TFO-10]', () => {
    const plain = Peer.listening();
    plain.send('< S 0:0(0) win 65535 <mss 1460,FO>').expect('> S. 0:0(0) ack 1 <mss *,!FO>');
    const client = Peer.connecting({ data: 100 });
    client
      .expect('> S 0:0(0) <mss *,!FO>')
      .send('< S. 0:0(0) ack 1 win 65535 <mss 1460,FO 0123456789abcdef>');
    client.expect('> P. 1:101(100) ack 1');
    expect(client.another().connect().expect('> S 0:0(0) <mss *,!FO>').hasEndpoint).to.equal(true);

    const peer = openListener();
    const cookie = askCookie(peer);
    const syn = `< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`;
    peer.send(syn).expect('> S. 0:0(0) ack 11').expectRead(10);
    peer.send('< . 11:11(0) ack 1').abort().drain();
    // The copy that was long on its way comes when the connection is gone.
    peer.reborn().send(syn).expect('> S. 0:0(0) ack 11').expectRead(10);
    expect(peer.stats.tcp.fastOpenPassive).to.equal(2);
  });
});

describe('a cookie of Fast Open', () => {
  it('is for one client address, whatever its port (RFC 7413 §4.1.2) [TFO-3]', () => {
    const peer = openListener();
    const cookie = askCookie(peer);
    expect(askCookie(peer, 30_001)).to.equal(cookie);
    const other = peer.another({ port: 30_002, address: '10.0.0.77' });
    other.send('< S 0:0(0) win 65535 <mss 1460,FO>');
    expect(cookieOf(other.take()))
      .to.match(/^[0-9a-f]{16}$/)
      .and.not.equal(cookie);
    const thief = peer.another({ port: 30_003, address: '10.0.0.78' });
    thief.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`).expect('> S. 0:0(0) ack 1');
    for (const length of [4, 6, 16]) {
      const forger = peer.another({ port: 31_000 + length });
      const cut = cookie.repeat(2).slice(0, 2 * length);
      forger.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cut}>`).expect('> S. 0:0(0) ack 1');
    }
    expect(peer.stats.tcp.fastOpenPassiveFail).to.equal(4);
  });

  it('differs from stack to stack, as keys do (RFC 7413 §4.1.2) [TFO-3]', () => {
    const cookies = [1, 2, 3].map((seed) => askCookie(openListener({ seed })));
    expect(new Set(cookies).size).to.equal(3);
  });

  it('is taken for one more lifetime after its key has changed, and renewed (RFC 7413 §4.1.2) [TFO-3]', () => {
    const peer = openListener({ tcp: { fastOpenKeyMs: 60_000 } });
    const old = askCookie(peer);
    const use = (cookie: string, port: number): Peer =>
      peer.another({ port }).send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`);
    peer.advanceMs(59_000);
    expect(cookieOf(use(old, 1001).expect('> S. 0:0(0) ack 11').last)).to.equal('');
    peer.advanceMs(2000);
    const fresh = cookieOf(use(old, 1002).expect('> S. 0:0(0) ack 11').last);
    expect(fresh)
      .to.match(/^[0-9a-f]{16}$/)
      .and.not.equal(old);
    expect(peer.stats.tcp).to.include({ fastOpenPassive: 2, fastOpenPassiveAltKey: 1 });
    expect(cookieOf(use(fresh, 1003).expect('> S. 0:0(0) ack 11').last)).to.equal('');
    peer.advanceMs(60_000);
    use(old, 1004).expect('> S. 0:0(0) ack 1');
    use(fresh, 1005).expect('> S. 0:0(0) ack 11');
    // Where nobody asked for a while, the time of the last key is over all the same.
    const last = askCookie(peer, 1006);
    peer.advanceMs(121_000);
    use(last, 1007).expect('> S. 0:0(0) ack 1');
  });
});
