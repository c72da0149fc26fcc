/** TCP Fast Open as a client (RFC 7413 §4.2.1): tcp.md §12, TFO-2, TFO-8 to TFO-14; FSM-11, PMTU-15. */
import { expect } from 'chai';
import { connectAgain, cookieOf, knowingClient, SERVER_COOKIE } from '../../support/fast-open.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const FAST: PeerOptions = { options: { fastOpen: true } };
const HOUR_MS = 3_600_000;

describe('a client with Fast Open', () => {
  forEachFamily((family, name) => {
    it(`asks for a cookie, and uses it the next time, over ${name} (RFC 7413 §4.1.3) [TFO-9 TFO-2]`, () => {
      const first = Peer.connecting({ ...family, ...FAST, data: 100 });
      // Without a cookie its text has to wait.
      first.expect('> S 0:0(0) <mss *,sackOK,TS * * * *,wscale *,FO>', { strict: false });
      first.advanceMs(20).send(`< S. 0:0(0) ack 1 win 65535 <mss 1400,sackOK,FO ${SERVER_COOKIE}>`);
      first.expect('> P. 1:101(100) ack 1 <!FO>').send('< . 1:1(0) ack 101').abort().drain();
      const second = connectAgain(first, { data: 100 });
      second.expect(`> S 0:100(100) <mss *,FO ${SERVER_COOKIE}>`).expectState('SYN-SENT');
      second.advanceMs(20).send('< S. 0:0(0) ack 101 win 65535 <mss 1400,sackOK>');
      second.expect('> . 101:101(0) ack 1').expectState('ESTABLISHED');
      second.expectEvents('connect', 'writable', 'drain').expectNothing(5000);
      expect(second.endpoint.info).to.include({ fastOpen: true, ackedBytes: 100, rttUs: 20_000 });
      expect(second.stats.tcp).to.include({ fastOpenActive: 1, fastOpenActiveFail: 0, retransSegs: 0 });
      second.write(50).expect('> P. 101:151(50) ack 1');
    });

    it(`sends text again that the SYN-ACK does not acknowledge, over ${name} (RFC 7413 §4.2.1) [TFO-8 TFO-11 FSM-11]`, () => {
      const client = knowingClient(family);
      const whole = connectAgain(client, { data: 1000, port: 81 }).expect('> S 0:1000(1000)');
      whole.advanceMs(20).send('< S. 0:0(0) ack 1 win 65535 <mss 1460>');
      whole.expectState('ESTABLISHED').expect('> P. 1:1001(1000) ack 1').expectNothing();
      whole.send('< . 1:1(0) ack 1001').expectEvents('connect', 'writable', 'drain');
      const part = connectAgain(client, { data: 1000 }).expect('> S 0:1000(1000)');
      part.advanceMs(20).send('< S. 0:0(0) ack 401 win 65535 <mss 1460>');
      part.expectState('ESTABLISHED').expect('> P. 401:1001(600) ack 1').expectNothing();
      part.send('< . 1:1(0) ack 1001').expectEvents('connect', 'writable', 'drain').expectNothing(5000);
      expect(part.stats.tcp).to.include({ fastOpenActive: 0, fastOpenActiveFail: 2 });
    });

    it(`repeats a SYN without option and text, over ${name} (RFC 7413 §4.2.1) [TFO-8 TFO-14]`, () => {
      const peer = connectAgain(knowingClient(family), { data: 1000 });
      peer.expect(`> S 0:1000(1000) <mss *,FO ${SERVER_COOKIE}>`);
      peer.expectAfterMs(1000, '> S 0:0(0) <mss *,sackOK,TS * * * *,wscale *,!FO>');
      peer.expectAfterMs(2000, '> S 0:0(0) <mss *,!FO>');
      peer.advanceMs(20).send('< S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>');
      peer.expect('> P. 1:1001(1000) ack 1');
      // Which of the SYNs was answered is not known (RFC 6298 §3).
      expect(peer.endpoint.info.rttUs).to.equal(0);
      peer.send('< . 1:1(0) ack 1001').expectNothing(5000);
    });

    it(`takes an acknowledgment of text in a SYN it has repeated without, over ${name} (RFC 7413 §4.2.2) [TFO-8]`, () => {
      const peer = connectAgain(knowingClient(family), { data: 1000 }).expect('> S 0:1000(1000)');
      peer.expectAfterMs(1000, '> S 0:0(0) <mss *,!FO>');
      peer.send('< S. 0:0(0) ack 1001 win 65535 <mss 1460>').expect('> . 1001:1001(0) ack 1');
      peer.expectState('ESTABLISHED').expectNothing(5000).expectEvents('connect', 'writable', 'drain');
    });

    it(`shrinks and resends a SYN that was too big for the path, over ${name} (RFC 1191 §6.4) [PMTU-15]`, () => {
      const peer = connectAgain(knowingClient(family), { data: 3000 });
      const header = family.ipv6 ? 40 : 20;
      const most = 1500 - header - 20 - 40;
      peer.expect(`> S 0:${most}(${most}) <mss *,FO ${SERVER_COOKIE}>`).advanceMs(10);
      peer.icmp('too-big', { mtu: 1300 });
      const less = 1300 - header - 20 - 40;
      peer.expect(`> S 0:${less}(${less}) <mss *,FO ${SERVER_COOKIE}>`).expectState('SYN-SENT');
      // Another such message says nothing new.
      peer.icmp('too-big', { mtu: 1300 }).expectNothing();
      peer
        .advanceMs(20)
        .send(`< S. 0:0(0) ack ${1 + less} win 65535 <mss 1460>`)
        .expectState('ESTABLISHED');
      const [next] = peer.drain();
      expect(next.line.start).to.equal(1 + less);
      expect(peer.endpoint.info.rttUs, 'either SYN may have been answered').to.equal(0);
      peer.ackAll().expectNothing(5000);
      expect(peer.endpoint.unackedBytes).to.equal(0);
    });
  });

  it('still repeats a SYN that shrank when it should (RFC 6298 §5) [PMTU-15 TFO-8]', () => {
    const peer = connectAgain(knowingClient(), { data: 1400 }).expect('> S 0:1400(1400)');
    peer.advanceMs(10).icmp('too-big', { mtu: 1300 }).expect('> S 0:1220(1220)');
    peer.advanceMs(10).icmp('too-big', { mtu: 1000 }).expect('> S 0:920(920)');
    peer.expectAfterMs(980, '> S 0:0(0) <mss *,!FO>');
    peer.icmp('too-big', { mtu: 800 }).expectNothing();
    // Any of the four may be what is answered.
    peer
      .send('< S. 0:0(0) ack 1401 win 65535 <mss 1460>')
      .expect('> . 1401:1401(0) ack 1')
      .expectState('ESTABLISHED');
  });

  it('fills its SYN with what the MSS of the server leaves beside options (RFC 7413 §4.1.3.1) [TFO-13]', () => {
    for (const mss of [1460, 1000, 500]) {
      const peer = connectAgain(knowingClient({ mss }), { data: 5000 });
      const most = mss - 40;
      peer.expect(`> S 0:${most}(${most})`).send(`< S. 0:0(0) ack ${most + 1} win 65535 <mss ${mss}>`);
      expect(peer.take()?.line.start).to.equal(most + 1);
    }
    // A server that announces none takes 536 bytes (RFC 9293 §3.7.1).
    const silent = Peer.connecting(FAST);
    silent.send(`< S. 0:0(0) ack 1 win 65535 <FO ${SERVER_COOKIE}>`).abort();
    connectAgain(silent, { data: 5000 }).expect('> S 0:496(496)');
    const path = connectAgain(knowingClient({ mtu: 1300 }), { data: 5000 });
    path.expect('> S 0:1220(1220)');
    const own = knowingClient({ options: { maxSegmentBytes: 700 } });
    connectAgain(own, { data: 5000 }).expect('> S 0:660(660)');
  });

  it('sends its cookie also without text, and what is written before the SYN leaves with it (RFC 7413 §4.2) [TFO-4]', () => {
    const client = knowingClient();
    const bare = connectAgain(client, { port: 81 }).expect(`> S 0:0(0) <mss *,FO ${SERVER_COOKIE}>`);
    bare
      .write(10)
      .expectNothing()
      .send('< S. 0:0(0) ack 1 win 65535 <mss 1460>')
      .expect('> P. 1:11(10) ack 1');
    expect(bare.stats.tcp).to.include({ fastOpenActive: 0, fastOpenActiveFail: 0 });
  });

  it('takes text that comes with the SYN-ACK (RFC 7413 §4.2.2) [TFO-6]', () => {
    const peer = connectAgain(knowingClient(), { data: 100 }).expect('> S 0:100(100)');
    peer.send('< S. 0:50(50) ack 101 win 65535 <mss 1460>').expect('> . 101:101(0) ack 51').expectRead(50);
  });

  it('answers an acknowledgment of more than its SYN carried with a reset (RFC 9293 §3.10.7.3) [TFO-11]', () => {
    const peer = connectAgain(knowingClient(), { data: 100 }).expect('> S 0:100(100)');
    peer.send('< S. 0:0(0) ack 102 win 65535 <mss 1460>').expect('> R 102:102(0)').expectState('SYN-SENT');
    peer.send('< S. 0:0(0) ack 101 win 65535 <mss 1460>').expect('> . 101:101(0) ack 1');
  });

  it('takes a cookie from a SYN-ACK it has asked, and from nothing else (RFC 7413 §4.1.1) [TFO-2]', () => {
    const client = Peer.connecting(FAST);
    client.expect('> S 0:0(0) <FO>').send('< S. 0:0(0) ack 1 win 65535 <mss 1460>');
    client.send(`< . 1:1(0) ack 1 <FO ${SERVER_COOKIE}>`).abort().drain();
    const asking = connectAgain(client).expect('> S 0:0(0) <FO>');
    asking.send('< S. 0:0(0) ack 1 win 65535 <mss 1460,raw 2205012345000000>').abort();
    // A plain connect learns nothing either.
    const plain = client.another({ options: {} });
    plain.connect().expect('> S 0:0(0) <!FO>');
    plain.send(`< S. 0:0(0) ack 1 win 65535 <mss 1460,FO ${SERVER_COOKIE}>`).abort();
    connectAgain(client).expect('> S 0:0(0) <FO>');
  });
});

describe('the memory of a client with Fast Open', () => {
  it('holds each server of its own, the cookie that came last, for a day (RFC 7413 §4.1.3) [TFO-9]', () => {
    const client = knowingClient();
    const other = connectAgain(client, { address: '10.0.0.77' }).expect('> S 0:0(0) <FO>');
    other.send('< S. 0:0(0) ack 1 win 65535 <mss 1460,FO aabbccdd>').abort().drain();
    const again = connectAgain(client, { data: 10, port: 81 }).expect(`> S 0:10(10) <FO ${SERVER_COOKIE}>`);
    again.send('< S. 0:0(0) ack 1 win 65535 <mss 1200,FO 00112233445566778899aabbccddeeff>').abort().drain();
    const third = connectAgain(client, { data: 5000, port: 82 });
    // With 16 bytes the options fill the header: MSS, timestamps, scale and cookie take all 40.
    third.expect('> S 0:1160(1160) <mss *,TS * * * *,wscale *,FO 00112233445566778899aabbccddeeff>').abort();
    connectAgain(client, { address: '10.0.0.77', port: 83 }).expect('> S 0:0(0) <FO aabbccdd>').abort();
    client.advanceMs(23 * HOUR_MS);
    expect(cookieOf(connectAgain(client, { port: 84 }).last)).to.have.length(32);
    client.advanceMs(2 * HOUR_MS);
    connectAgain(client, { port: 85, data: 10 }).expect('> S 0:0(0) <FO>');
  });

  it('forgets the servers used longest ago first, when there are too many (RFC 7413 §4.1.3) [TFO-9]', () => {
    const client = knowingClient({ tcp: { fastOpenServers: 3 } });
    const visit = (i: number): string => {
      const peer = connectAgain(client, { address: `10.0.0.${50 + i}` });
      const cookie = cookieOf(peer.take());
      if (cookie === '') peer.send(`< S. 0:0(0) ack 1 win 65535 <mss 1460,FO ${SERVER_COOKIE}>`);
      peer.abort();
      return cookie;
    };
    expect([1, 2, 3].map(visit)).to.deep.equal(['', '', '']);
    expect(visit(1)).to.equal(SERVER_COOKIE);
    expect(visit(4)).to.equal('');
    expect(visit(1)).to.equal(SERVER_COOKIE);
    expect(visit(3)).to.equal(SERVER_COOKIE);
    expect(visit(2)).to.equal('');
  });

  it('pauses after the second SYN in a row that was answered only without option, ever longer (Linux tcp_fastopen) [TFO-9]', () => {
    const client = knowingClient();
    let port = 1000;
    const lose = (): void => {
      const peer = connectAgain(client, { data: 10, port: port++ }).expect('> S 0:10(10) <FO *>');
      peer
        .expectAfterMs(1000, '> S 0:0(0) <!FO>')
        .send('< S. 0:0(0) ack 1 win 65535 <mss 1460>')
        .abort()
        .drain();
    };
    const isPlain = (): boolean => {
      const peer = connectAgain(client, { data: 10, port: port++ });
      const { options } = peer.take()?.line ?? {};
      peer.abort();
      return options?.some((text) => text.startsWith('FO')) === false;
    };
    lose();
    expect(isPlain()).to.equal(false);
    lose();
    expect(isPlain()).to.equal(true);
    client.advanceMs(4 * 60_000 - 2000);
    expect(isPlain()).to.equal(true);
    client.advanceMs(2000);
    lose();
    client.advanceMs(8 * 60_000 - 2000);
    expect(isPlain()).to.equal(true);
    client.advanceMs(2000);
    const good = connectAgain(client, { data: 10, port: port++ }).expect('> S 0:10(10)');
    good.send('< S. 0:0(0) ack 11 win 65535 <mss 1460>').abort().drain();
    lose();
    expect(isPlain(), 'success has wiped the slate').to.equal(false);
  });

  it('avoids for an hour, then two, a path on which nothing passes after the SYN (Linux tcp_fastopen) [TFO-9]', () => {
    const client = knowingClient();
    let port = 1000;
    const vanish = (): void => {
      const peer = connectAgain(client, { data: 10, port: port++ }).expect('> S 0:10(10) <FO *>');
      peer.send('< S. 0:0(0) ack 11 win 65535 <mss 1460,sackOK>').write(100).drain();
      peer.advanceMs(10_000).abort().drain();
    };
    const isPlain = (): boolean => {
      const peer = connectAgain(client, { data: 10, port: port++ });
      const isIt = cookieOf(peer.take()) === '';
      peer.abort();
      return isIt;
    };
    vanish();
    expect(client.stats.tcp.fastOpenBlackhole).to.equal(1);
    expect(isPlain()).to.equal(true);
    client.advanceMs(HOUR_MS - 15_000);
    expect(isPlain()).to.equal(true);
    client.advanceMs(15_000);
    expect(isPlain()).to.equal(false);
    // The SYN-ACK alone is no proof that the hole is gone.
    vanish();
    client.advanceMs(HOUR_MS);
    expect(client.stats.tcp.fastOpenBlackhole).to.equal(2);
  });
});

describe('a simultaneous open with Fast Open (RFC 9293 §3.5)', () => {
  it('acknowledges the SYN that crosses, not its text, and loses and doubles nothing (Linux packetdrill) [TFO-12]', () => {
    const peer = connectAgain(knowingClient(), { data: 500 }).expect(`> S 0:500(500) <FO ${SERVER_COOKIE}>`);
    peer.advanceMs(10).send('< S 0:300(300) win 65535 <mss 1040,sackOK,FO 87654321>');
    peer.expect('> S. 0:0(0) ack 1 <mss *,sackOK,!FO>').expectState('SYN-RECEIVED');
    // The other side, which takes our text, says so.
    peer.advanceMs(40).send('< S. 0:0(0) ack 501 win 65535 <mss 1040,sackOK>');
    peer.expect('> . 501:501(0) ack 1').expectState('ESTABLISHED');
    peer.send('< P. 1:301(300) ack 501').expect('> . 501:501(0) ack 301').expectRead(300);
    peer.expectNothing(5000);
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });

  it('sends its text again where the other side has not taken it (RFC 7413 §4.2.1) [TFO-12]', () => {
    const peer = connectAgain(knowingClient(), { data: 500 }).expect('> S 0:500(500)');
    peer
      .advanceMs(10)
      .send('< S 0:300(300) win 65535 <mss 1040,sackOK,FO 87654321>')
      .expect('> S. 0:0(0) ack 1');
    peer.advanceMs(10).send('< . 1:1(0) ack 1 <FO 00000000>').expect('> P. 1:501(500) ack 1');
    peer.expectState('ESTABLISHED');
    peer.send('< P. 1:301(300) ack 501').expect('> . 501:501(0) ack 301').expectRead(300);
    peer.abort();
    // And what is no SYN-ACK has brought no cookie.
    expect(cookieOf(connectAgain(peer, { port: 81 }).last)).to.equal(SERVER_COOKIE);
  });

  it('connects a client to itself (RFC 9293 §3.5) [TFO-12]', () => {
    const client = knowingClient({ role: 'client' });
    const { stack } = client;
    const connect = () =>
      stack.connectTcp({
        address: '127.0.0.1',
        port: 5555,
        localPort: 5555,
        data: new Uint8Array([1, 2, 3]),
        options: { fastOpen: true },
      });
    const endpoint = client.host.adopt(connect());
    client.advanceMs(10);
    const bytes = new Uint8Array(10);
    expect([endpoint.read(bytes), ...bytes.subarray(0, 4)]).to.deep.equal([3, 1, 2, 3, 0]);
  });
});
