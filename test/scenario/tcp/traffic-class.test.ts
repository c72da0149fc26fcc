/** IPv4 TOS and IPv6 traffic class of a connection, and of answers without one: beyond what must-ip.test.ts has. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

const classesOf = (peer: Peer): number[] => peer.drain().map(({ trafficClass }) => trafficClass);

describe('the traffic class', () => {
  forEachFamily((family, name) => {
    it(`is read back as it is sent, over ${name}`, () => {
      const peer = Peer.established({ ...family, options: { trafficClass: 0xbb } });
      expect(peer.endpoint.trafficClass).to.equal(0xb8);
      for (const [asked, kept] of [
        [0x2b, 0x28],
        [0x03, 0],
        [255, 0xfc],
        [0, 0],
      ]) {
        peer.endpoint.setTrafficClass(asked);
        expect(peer.endpoint.trafficClass).to.equal(kept);
      }
      for (const wrong of [-1, 256, Number.NaN]) {
        expect(() => peer.endpoint.setTrafficClass(wrong))
          .to.throw(RangeError)
          .with.property('code', 'ERR_OUT_OF_RANGE');
      }
      expect(() => peer.endpoint.setTrafficClass('8' as unknown as number))
        .to.throw(TypeError)
        .with.property('code', 'ERR_INVALID_ARG_TYPE');
      expect(peer.endpoint.trafficClass).to.equal(0);
    });

    it(`counts from the SYN on, and from then on where it changes while the SYN is under way, over ${name}`, () => {
      const peer = Peer.closed({ ...family, role: 'client', options: { trafficClass: 0x48 } }).connect();
      expect(classesOf(peer)).to.deep.equal([0x48]);
      peer.endpoint.setTrafficClass(0x28);
      peer.advanceMs(1000);
      expect(classesOf(peer)).to.deep.equal([0x28]);
      peer.send('< S. 0:0(0) ack 1 <mss 1000>').write(10);
      expect(classesOf(peer)).to.deep.equal([0x28, 0x28]);
    });

    it(`leaves the two bits of ECN as they were agreed on, over ${name}`, () => {
      const peer = Peer.listening({ ...family, options: { trafficClass: 0xbb } });
      peer.send('< SEW 0:0(0) win 65535 <mss 1000>');
      expect(classesOf(peer)).to.deep.equal([0xb8]);
      peer.advanceMs(20).send('< . 1:1(0) ack 1').write(1000);
      expect(classesOf(peer)).to.deep.equal([0xba]);
      peer.ackAll();
      for (const asked of [0x2b, 0x29, 0x28]) {
        peer.endpoint.setTrafficClass(asked);
        expect(peer.endpoint.trafficClass).to.equal(0x28);
        peer.write(1000);
        expect(classesOf(peer)).to.deep.equal([0x2a]);
        peer.ackAll();
      }
      // An ACK by itself is not ECN-capable (RFC 3168 §6.1.4).
      peer.send('< P. 1:2001(2000) ack 4001');
      expect(classesOf(peer)).to.deep.equal([0x28]);
    });

    it(`is the listener's, also one given to it later, never that of the peer's SYN, over ${name}`, () => {
      const peer = Peer.listening(family).send('< S 0:0(0) win 65535 <mss 1000>', { trafficClass: 0xe0 });
      expect(classesOf(peer)).to.deep.equal([0]);
      peer.listener?.setOption('trafficClass', 0xb8);
      const later = peer.another().send('< S 0:0(0) win 65535 <mss 1000>', { trafficClass: 0xe0 });
      expect(classesOf(later)).to.deep.equal([0xb8]);
      later.send('< . 1:1(0) ack 1', { trafficClass: 0xe0 }).write(10);
      expect(classesOf(later)).to.deep.equal([0xb8]);
      expect(later.endpoint.trafficClass).to.equal(0xb8);
    });

    it(`of an RST without a connection is that of what it answers, without the bits of ECN, as Linux has it, over ${name}`, () => {
      const closed = Peer.closed(family);
      for (const trafficClass of [0xbb, 0x49, 0x02, 0]) {
        closed.send('< S 0:0(0) win 65535 <mss 1000>', { trafficClass });
        expect(classesOf(closed)).to.deep.equal([trafficClass & 0xfc]);
      }
      // An answer of another kind to the same peer has none of it, before and after.
      const peer = Peer.listening(family).send('< S 0:0(0) win 65535 <mss 1000>');
      expect(classesOf(peer)).to.deep.equal([0]);
      const stray = peer.another().send('< . 1:1(0) ack 1', { trafficClass: 0xbb });
      expect(classesOf(stray)).to.deep.equal([0xb8]);
      peer.advanceMs(1000);
      expect(classesOf(peer)).to.deep.equal([0]);
    });
  });
});
