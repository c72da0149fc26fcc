/** What every segment must be, and what one that is not must not do: tcp.md MUST-1 to MUST-3, MUST-65, MUST-66, REC-1. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer } from '../../support/peer.js';
import { plainChecksum, pseudoSum } from '../../support/plain-checksum.js';

describe('the window field', () => {
  it('is unsigned: all of 65,535 bytes are used (RFC 9293 §3.1) [MUST-1 REC-1]', () => {
    const peer = Peer.established({ mss: 1000, window: 0xffff, options: { initialWindow: 100 } });
    peer.write(100_000);
    let end = 0;
    for (const { line } of peer.drain()) end = line.start + line.textBytes;
    expect(end).to.equal(1 + 65_000);
    for (const window of [0x7fff, 0x8000, 0x8001, 0xffff]) {
      peer.send(`< . 1:1(0) ack 1 win ${window}`);
      expect(peer.endpoint.connection.sender.sndWnd).to.equal(window);
    }
    peer.abort();
  });

  it('times its scale is held in 32 bits, up to 2^30 (RFC 9293 §3.1, RFC 7323 §2.3) [REC-1]', () => {
    const peer = Peer.connecting({ mss: 1000, windowScale: 14 });
    peer.expect('> S 0:0(0)').send('< S. 0:0(0) ack 1 win 65535 <mss 1000,nop,wscale 14>').drain();
    peer.send('< . 1:1(0) ack 1 win 65535');
    const { sender } = peer.endpoint.connection;
    expect(sender.sndWnd).to.equal(65_535 * 16_384);
    peer.write(3000).drain();
    expect(peer.endpoint.unsentBytes).to.equal(0);
    peer.send('< . 1:1(0) ack 3001 win 1');
    expect(sender.sndWnd).to.equal(16_384);
  });

  it('is received in full where it is offered scaled (RFC 9293 §3.1) [REC-1]', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7 });
    for (let i = 0; i < 20; i++) peer.advanceMs(20).sendText(60_000).expectRead(60_000).drain();
    const window = peer.endpoint.connection.receiver?.rcvWnd ?? 0;
    expect(window).to.be.above(100_000);
    peer.sendText(window).expectRead(window).drain();
  });
});

describe('checksums', () => {
  forEachFamily((family, name) => {
    it(`are right on everything the stack sends, over ${name} (RFC 9293 §3.1) [MUST-2]`, () => {
      const peer = Peer.listening({ ...family, mss: 1000, timestamps: true });
      const checked = { segments: 0, odd: 0 };
      const check = (): void => {
        for (const { bytes } of peer.drain()) {
          checked.segments++;
          checked.odd += bytes.length & 1;
          expect(recomputed(bytes)).to.equal(0);
        }
      };
      peer.handshake();
      check();
      for (let length = 1; length <= 64; length++) {
        peer.write(length).ackAll();
        check();
      }
      peer.send('< P. 2:13(11) ack 1').advanceMs(500);
      check();
      peer.write(12_345);
      for (let i = 0; i < 20; i++) peer.ackAll();
      check();
      peer.abort();
      check();
      peer.send('< S 0:0(0)', { destinationPort: 9 }).send('< P. 1:2(1) ack 1', { destinationPort: 80 });
      check();
      expect(checked.segments).to.be.at.least(80);
      expect(checked.odd).to.be.above(30);
    });

    it(`are never left out, also over ${name}: a zero field that is wrong is refused (RFC 9293 §3.1) [MUST-3]`, () => {
      const peer = Peer.established(family);
      peer.send('< P. 1:101(100) ack 1', { tcpChecksum: 0 }).expectNothing();
      expect(peer.endpoint.readableBytes).to.equal(0);
    });

    it(`that are wrong drop a segment in silence, whichever byte of it was hit, over ${name} (RFC 9293 §3.1) [MUST-3]`, () => {
      const peer = Peer.established({ ...family, timestamps: true }).wrote(100);
      const good = peer.packet('< P. 1:41(40) ack 101 win 77');
      const from = family.ipv6 ? 40 : 20;
      const before = JSON.stringify(stateOf(peer));
      for (let i = from; i < good.length; i++) {
        for (const flip of [0x01, 0x80, 0xff]) {
          const spoilt = good.slice();
          spoilt[i] ^= flip;
          peer.sendRaw(spoilt).expectNothing();
          expect(JSON.stringify(stateOf(peer)), `byte ${i}`).to.equal(before);
        }
      }
      expect(peer.stats.tcp.inCsumErrors).to.equal(3 * (good.length - from));
      expect(peer.stats.drops.count(DropReason.TcpChecksum)).to.equal(3 * (good.length - from));
      peer.sendRaw(good).expect('> . 101:101(0) ack 41').expectRead(40);
    });
  });

  it('that are wrong open nothing and reset nothing (RFC 9293 §3.1) [MUST-3]', () => {
    const peer = Peer.listening();
    peer.send('< S 0:0(0)', { tcpChecksum: 'bad' }).expectNothing().expectState('LISTEN');
    peer.send('< . 5:5(0) ack 5', { tcpChecksum: 'bad' }).expectNothing();
    const open = Peer.established();
    open.send('< R 1:1(0)', { tcpChecksum: 'bad' }).expectNothing().expectState('ESTABLISHED');
    expect(open.host.unclaimed).to.have.lengthOf(0);
  });
});

/** What the sum over a segment and its pseudo-header leaves: 0 when the checksum is right. */
function recomputed(packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const at = packet[0] >> 4 === 6 ? 40 : (packet[0] & 15) * 4;
  const length = packet.length - at;
  return plainChecksum(view, at, length, pseudoSum(view, 6, length));
}

/** Everything about a connection that a bad segment might change. */
function stateOf(peer: Peer): object {
  const { sender, receiver, timers } = peer.endpoint.connection;
  return {
    state: peer.state,
    una: sender.sndUna,
    next: sender.sndNxt,
    window: sender.sndWnd,
    rcvNxt: receiver?.rcvNxt,
    rcvAdv: receiver?.rcvAdv,
    tsRecent: receiver?.tsRecent,
    readable: peer.endpoint.readableBytes,
    heard: timers.heardAtUs,
    events: peer.takeEvents().length,
  };
}

describe('an MSS option', () => {
  forEachFamily((family, name) => {
    it(`without SYN is never sent and changes nothing, over ${name} (RFC 9293 §3.2) [MUST-65]`, () => {
      const peer = Peer.established({ ...family, mss: 1000 });
      peer.send('< P. 1:11(10) ack 1 <mss 100>').expectRead(10).drain();
      peer.send('< . 11:11(0) ack 1 <mss 1400>');
      peer.write(2500);
      peer.expect('> . 1:1001(1000) ack 11 <!mss>').expect('> . 1001:2001(1000) ack 11 <!mss>');
      peer.expect('> P. 2001:2501(500) ack 11 <!mss>').expectNothing();
      peer.send('< . 11:11(0) ack 2501 <mss 64>').shutdown().expect('> F. 2501:2501(0) ack 11 <!mss>');
      peer.send('< F. 11:11(0) ack 2502 <mss 64>').expect('> . 2502:2502(0) ack 12 <!mss>');
    });
  });
});

describe('with a closed receive window', () => {
  const closed = (): Peer => {
    const peer = Peer.established({ options: { receiveBufferBytes: 1000, receiveBufferMaxBytes: 1000 } });
    peer.sendText(1000).drain();
    peer.takeEvents();
    return peer;
  };

  it('an RST with the exact number resets (RFC 9293 §3.4) [MUST-66]', () => {
    const peer = closed();
    peer
      .send('< R. 1001:1001(0) ack 1')
      .expectNothing()
      .expectState('CLOSED')
      .expectEvents('close ECONNRESET');
    peer.expectRead(1000);
  });

  it('an urgent pointer is heard (RFC 9293 §3.10.7.4) [MUST-66]', () => {
    const peer = closed();
    peer.send('< .U 1001:1001(0) ack 1 urg 10').expectEvents('urgent');
    expect(peer.endpoint.urgentBytes).to.equal(1010);
    peer.send('< PU. 1001:1101(100) ack 1 urg 20').drain();
    peer.expectEvents('urgent');
    expect(peer.endpoint.urgentBytes).to.equal(1020);
    peer.expectRead(1000).drain();
  });
});
