/** What is believed of a segment before anything else is looked at (RFC 9293 §3.1). */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

describe('the checksum', () => {
  forEachFamily((family, name) => {
    it(`is right in every segment sent, of odd and even length, over ${name} [MUST-2]`, () => {
      // The link of the harness sums every segment anew, plainly, and has its faults checked at the end.
      const peer = Peer.established({ ...family, timestamps: true, options: { noDelay: true } });
      for (let length = 0; length < 70; length++) {
        if (length > 0) peer.write(length);
        peer.sendText(length + 1).ackAll();
      }
      const written = Uint8Array.from({ length: 999 }, (_, i) => (i % 2 === 0 ? 0xff : 0));
      peer.write(written).write(new Uint8Array(999)).ackAll();
      expect(peer.drain().length).to.be.at.least(70);
      expect(peer.host.wire.faults).to.deep.equal([]);
      peer.host.checkFaults();
    });

    it(`is verified before anything else, whichever byte is wrong, over ${name} [MUST-3]`, () => {
      const peer = Peer.established({ ...family, timestamps: true }).wrote(100);
      const packet = peer.packet('< FP. 1:12(11) ack 101');
      const transportAt = family.ipv6 ? 40 : 20;
      const { sender, receiver } = peer.endpoint.connection;
      const before = [sender.sndUna, sender.sndWnd, receiver?.rcvNxt, receiver?.tsRecent];
      for (let at = transportAt; at < packet.length; at++) {
        for (const flip of [0x01, 0x80, 0xff]) {
          const spoilt = packet.slice();
          spoilt[at] ^= flip;
          // Only a checksum of zero's two forms may be equal; no single flip turns one into the other here.
          peer.sendRaw(spoilt).expectNothing().expectState('ESTABLISHED').expectEvents();
        }
      }
      expect([sender.sndUna, sender.sndWnd, receiver?.rcvNxt, receiver?.tsRecent]).to.deep.equal(before);
      expect(peer.stats.tcp.inCsumErrors).to.equal(3 * (packet.length - transportAt));
      peer.sendRaw(packet).expectState('CLOSE-WAIT').expectRead(11);
    });

    it(`that is wrong makes a SYN, an RST and a segment for nobody go unseen, over ${name} [MUST-3, E11]`, () => {
      const listening = Peer.listening(family).send('< S 0:0(0)', { tcpChecksum: 'bad' });
      listening.expectNothing().expectState('LISTEN');
      const synReceived = Peer.in('SYN-RECEIVED', family).send('< R 1:1(0)', { tcpChecksum: 'bad' });
      synReceived.expectNothing().expectState('SYN-RECEIVED');
      const established = Peer.established(family).send('< R 1:1(0)', { tcpChecksum: 'bad' });
      established.expectNothing().expectState('ESTABLISHED');
      const timeWait = Peer.in('TIME-WAIT', family).send('< F. 1:1(0) ack 2', { tcpChecksum: 'bad' });
      timeWait.expectNothing();
      Peer.closed(family).send('< S 0:0(0)', { tcpChecksum: 'bad' }).expectNothing();
      Peer.closed(family).send('< S 0:0(0)', { tcpChecksum: 0 }).expectNothing();
    });
  });

  it('of IPv4 that is wrong hides the segment too [E11]', () => {
    const peer = Peer.established();
    const packet = peer.packet('< P. 1:11(10) ack 1');
    for (let at = 0; at < 20; at++) {
      const spoilt = packet.slice();
      spoilt[at] ^= 0x10;
      peer.sendRaw(spoilt).expectNothing().expectEvents();
    }
    peer.sendRaw(packet).expectRead(10);
  });

  it('is believed in both forms of zero', () => {
    forEachFamily((family) => {
      const at = (family.ipv6 ? 40 : 20) + 16;
      // Two bytes of text that make the field zero: the sum of all else, complemented.
      const zero = Peer.established(family);
      const plain = zero.packet('< P. 1:3(2) ack 1', { payload: Uint8Array.of(0, 0) });
      const payload = plain.slice(at, at + 2);
      const packet = zero.packet('< P. 1:3(2) ack 1', { payload });
      expect(Array.from(packet.subarray(at, at + 2))).to.deep.equal([0, 0]);
      zero.sendRaw(packet).expectRead(payload);
      const ones = Peer.established(family);
      packet.fill(0xff, at, at + 2);
      ones.sendRaw(packet).expectRead(payload);
    });
  });
});

describe('the window field', () => {
  it('is a large number from 0x8000 on, never a negative one [MUST-1]', () => {
    for (const window of [0x8000, 0xfffe, 0xffff]) {
      const peer = Peer.established({ mss: 1000, window, options: { initialWindow: 100 } });
      expect(peer.endpoint.connection.sender.sndWnd).to.equal(window);
      peer.wrote(65_535);
      const whole = window - (window % 1000);
      expect(peer.rcvNxt - 1).to.be.within(whole, window);
    }
  });
});

describe('malformed options', () => {
  forEachFamily((family, name) => {
    it(`never kill a connection, nor are they believed, over ${name} [MUST-7, E23]`, () => {
      const peer = Peer.established({ ...family, timestamps: true });
      let next = 1;
      const forms = [
        'raw 00ffffff',
        'raw 08',
        'raw 0800',
        'raw 0801',
        'raw 080a0000',
        'raw 05ff',
        'raw 0100',
        'raw fe00',
        'raw 0200',
        'raw 0303',
      ];
      for (const form of forms) {
        // In the window, out of it, with and without text, and as what would end the connection.
        peer.send(`< . ${next}:${next}(0) ack 1 <${form}>`);
        peer.send(`< P. ${next}:${next + 10}(10) ack 1 <${form}>`).expectRead(10);
        next += 10;
        peer.send(`< P. 900000:900010(10) ack 1 <${form}>`).send(`< R 900000:900000(0) <${form}>`);
        peer.expectState('ESTABLISHED').advanceMs(1000);
      }
      expect(peer.stats.tcp.malformedOptions).to.be.at.least(forms.length);
      peer.drain();
      peer.write(10).expect(`> P. 1:11(10) ack ${next}`);
    });

    it(`of a SYN leave what stands before them, over ${name} [MUST-7, E1]`, () => {
      const peer = Peer.listening(family).send('< S 0:0(0) <mss 700,raw 0300>');
      peer.expect('> S. 0:0(0) ack 1 <!wscale,!TS,!sackOK>').send('< . 1:1(0) ack 1').write(800);
      peer.expect('> . 1:701(700) ack 1');
    });
  });
});
