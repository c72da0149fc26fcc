/** What RFC 1122 §4.2 asks for that RFC 9293 does not label: tcp.md §2. The handshake has a file of its own. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer } from '../../support/peer.js';

describe('TIME-WAIT remembers', () => {
  forEachFamily((family, name) => {
    it(`where both streams ended, and acknowledges data with it, over ${name} (RFC 1122 §4.2.2.13) [1122-4]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 })
        .wrote(1500)
        .ackAll();
      peer.sendText(700).expectRead(700).drain();
      peer.shutdown().expect('> F. 1501:1501(0) ack 701');
      peer.send('< F. 701:701(0) ack 1502').expect('> . 1502:1502(0) ack 702').expectState('TIME-WAIT');
      // Old data, data beyond the end, an old FIN: each is told where the connection ended.
      for (const line of ['P. 601:701(100) ack 1502', '. 702:802(100) ack 1502', 'F. 701:701(0) ack 1502']) {
        peer.advanceMs(500).send(`< ${line}`).expect('> . 1502:1502(0) ack 702').expectNothing();
      }
      expect(peer.endpoint.readableBytes).to.equal(0);
      // Another four-tuple is none of its business.
      const other = peer.another();
      other.send('< P. 601:701(100) ack 1502').expect('> R 1502:1502(0)');
      peer.expectNothing();
    });

    it(`the last timestamp, and echoes it, over ${name} (RFC 1122 §4.2.2.13) [1122-4]`, () => {
      const peer = Peer.established({ ...family, timestamps: true });
      peer.advanceMs(5).shutdown().drain();
      peer.send('< F. 1:1(0) ack 2 <TS val 4000 ecr 25>').drain();
      peer.expectState('TIME-WAIT').advanceMs(1000);
      peer.send('< F. 1:1(0) ack 2 <TS val 4000 ecr 25>');
      peer.expect('> . 2:2(0) ack 2 <nop,nop,TS val 1025 ecr 4000>', { strict: true });
      // A newer one takes its place; an older one does not, and what brings it is old.
      peer.advanceMs(1000).send('< . 2:2(0) ack 2 <TS val 4500 ecr 25>').expectNothing();
      peer.send('< P. 2:12(10) ack 2 <TS val 4499 ecr 25>');
      peer.expect('> . 2:2(0) ack 2 <nop,nop,TS val 2025 ecr 4500>', { strict: true });
    });
  });
});

describe('a window update', () => {
  for (const sack of [true, false]) {
    const how = sack ? 'with SACK' : 'without SACK';
    it(`is no duplicate ACK, ${how} (RFC 5681 §2) [1122-5]`, () => {
      const peer = Peer.established({ mss: 1000, sack }).wrote(4000);
      for (const window of [65_000, 64_000, 65_535, 60_000, 61_000, 62_000]) {
        peer.send(`< . 1:1(0) ack 1 win ${window}`).expectNothing();
      }
      expect(peer.stats.tcp).to.include({ fastRetrans: 0, retransSegs: 0, sackRecovery: 0, renoRecovery: 0 });
      expect(peer.endpoint.connection.sender.sndWnd).to.equal(62_000);
      peer.ackAll();
    });
  }

  it('does not interrupt the count of those that are (RFC 5681 §2) [1122-5]', () => {
    const peer = Peer.established({ mss: 1000, sack: false }).wrote(4000);
    peer.send('< . 1:1(0) ack 1').send('< . 1:1(0) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 1 win 65000').expectNothing();
    // The third that changes nothing at all: now a segment is lost.
    peer.send('< . 1:1(0) ack 1 win 65000').expect('> . 1:1001(1000) ack 1').expectNothing();
    peer.ackAll();
  });

  it('that comes with data is none either (RFC 5681 §2) [1122-5]', () => {
    const peer = Peer.established({ mss: 1000, sack: false }).wrote(4000);
    for (let i = 0; i < 6; i++) {
      peer.send(`< P. ${1 + 10 * i}:${11 + 10 * i}(10) ack 1`).drain();
    }
    expect(peer.stats.tcp.retransSegs).to.equal(0);
    peer.expectRead(60).ackAll();
  });
});

describe('a listener on any address', () => {
  it('answers from the one the SYN was sent to, also when two of one subnet are its own [1122-6]', () => {
    const first = Peer.listening({ addresses: ['10.0.0.9/24', 'fd00::9/64'] });
    const second = first.another({ stackAddress: '10.0.0.9' });
    second.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    first.expectNothing().send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1');
    second.send('< . 1:1(0) ack 1').expectState('ESTABLISHED').write(5).expect('> P. 1:6(5) ack 1');
    expect(String(second.endpoint.localAddress)).to.equal('10.0.0.9');
  });
});

describe('a SYN from an address that is nobody’s', () => {
  const IMPOSSIBLE: Readonly<Record<string, readonly string[]>> = {
    IPv4: ['255.255.255.255', '10.0.0.255', '224.0.0.1', '239.1.2.3', '240.0.0.1', '0.0.0.0', '127.0.0.1'],
    IPv6: ['::', 'ff02::1', 'ff0e::1:2', '::1'],
  };
  forEachFamily((family, name) => {
    it(`is ignored, over ${name} (RFC 1122 §4.2.3.10) [1122-7]`, () => {
      const peer = Peer.listening(family);
      for (const source of IMPOSSIBLE[name]) {
        peer.send('< S 0:0(0) <mss 1000>', { source }).expectNothing();
        expect(peer.host.unclaimed, `answers to ${source}`).to.have.length(0);
        expect(peer.stats.drops.count(DropReason.IpMartianSource), source).to.be.at.least(1);
      }
      peer.expectState('LISTEN').expectNothing(2000);
      expect(peer.host.unclaimed).to.have.length(0);
      expect(peer.stats.drops.count(DropReason.IpMartianSource)).to.equal(IMPOSSIBLE[name].length);
    });

    it(`to a group or to everybody is ignored too, over ${name} (RFC 9293 §3.9.2.3) [1122-7]`, () => {
      const peer = Peer.listening(family);
      const groups = family.ipv6 ? ['ff02::1', 'ff05::2'] : ['255.255.255.255', '10.0.0.255', '224.0.0.1'];
      for (const destination of groups) peer.send('< S 0:0(0)', { destination }).expectNothing();
      peer.expectNothing(2000);
      expect(peer.host.unclaimed).to.have.length(0);
    });
  });
});

describe('acknowledgments are few', () => {
  it('one for every two segments of a bulk transfer (RFC 1122 §4.2.3.2) [1122-8]', () => {
    const peer = Peer.established({ mss: 1000 });
    // The first 16 segments, in slow start, are acknowledged one by one.
    for (let i = 0; i < 20; i++) peer.advanceMs(1).sendText(1000).expectRead(1000);
    peer.drain();
    for (let i = 0; i < 1000; i++) peer.advanceMs(1).sendText(1000, 1000, '.').expectRead(1000);
    const acks = peer.drain();
    expect(acks.length).to.be.within(450, 550);
    for (const { line } of acks) expect(line.textBytes).to.equal(0);
  });

  it('one for a batch, whose segments arrived together', () => {
    const peer = Peer.established({ mss: 1000 });
    const burst = Array.from({ length: 10 }, (_, i) => `< . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`);
    peer
      .sendBatch(...burst)
      .expect('> . 1:1(0) ack 10001')
      .expectNothing()
      .expectRead(10_000)
      .drain();
  });

  it('none of their own where the application answers, as in a remote echo (RFC 1122 §4.2.3.2) [1122-8]', () => {
    const peer = Peer.established();
    peer.onEvent = (event) => {
      if (event !== 'readable') return;
      const bytes = new Uint8Array(100);
      const count = peer.endpoint.read(bytes);
      const echo = bytes.subarray(0, count);
      peer.incoming.choose(peer.rcvNxt - 1, echo);
      peer.endpoint.write(echo);
    };
    for (let i = 0; i < 50; i++) {
      peer.advanceMs(100).send(`< P. ${1 + i}:${2 + i}(1) ack ${1 + i}`);
      // Each keystroke costs one segment: its echo, which acknowledges it.
      const sent = peer.drain();
      expect(
        sent.map(({ line }) => line.textBytes),
        `keystroke ${i + 1}`,
      ).to.deep.equal([1]);
      expect(sent[0].line.ack).to.equal(2 + i);
    }
    peer.ackAll().expectNothing(1000);
    expect(peer.stats.tcp.pureAcks).to.equal(0);
  });

  it('none of their own also where the answer takes a while, but less than the delay [1122-8]', () => {
    const peer = Peer.established();
    let pure = 0;
    for (let i = 0; i < 60; i++) {
      peer.advanceMs(100).send(`< P. ${1 + i}:${2 + i}(1) ack ${1 + i}`);
      peer.advanceMs(10).read(100);
      peer.write(new Uint8Array([i]));
      for (const { line } of peer.drain()) if (line.textBytes === 0 && i >= 20) pure++;
    }
    expect(pure).to.equal(0);
    peer.ackAll();
  });
});

describe('the limits on retransmission', () => {
  forEachFamily((family, name) => {
    it(`begin anew when new data is acknowledged, over ${name} (RFC 1122 §4.2.3.5) [1122-9]`, () => {
      const options = { retries1: 2, retries2: 5 };
      const alone = Peer.established({ ...family, mss: 1000, options }).wrote(1000);
      const limitMs = msUntilClosed(alone);
      const peer = Peer.established({ ...family, mss: 1000, options }).wrote(1000);
      // Nearly as long as the limit, then it gets through, and so does what follows.
      peer.advanceMs(limitMs - 1000).drain();
      expect(peer.takeEvents()).to.deep.equal(['soft ETIMEDOUT']);
      peer.ackAll().wrote(100).advanceMs(20).ackAll();
      peer.takeEvents();
      expect(msUntilClosed(peer.wrote(1000))).to.be.closeTo(limitMs, 700);
      // R1 was reached again, and told again, before R2.
      expect(peer.takeEvents()).to.deep.equal(['soft ETIMEDOUT', 'close ETIMEDOUT']);
    });
  });

  it('do not begin anew with an ACK that acknowledges nothing new (RFC 1122 §4.2.3.5) [1122-9]', () => {
    const options = { retries2: 5 };
    const alone = Peer.established({ mss: 1000, options }).wrote(1000);
    const limitMs = msUntilClosed(alone);
    const peer = Peer.established({ mss: 1000, options }).wrote(1000);
    peer
      .advanceMs(limitMs - 1000)
      .send('< . 1:1(0) ack 1')
      .drain();
    expect(msUntilClosed(peer)).to.be.below(2000);
  });
});

/** Lets time pass until the stack gives up. */
function msUntilClosed(peer: Peer): number {
  const start = peer.nowMs;
  while (peer.state !== 'CLOSED') {
    if (peer.nowMs - start > 3_600_000) throw new Error('it never gave up');
    peer.advanceMs(100);
  }
  return peer.nowMs - start;
}
