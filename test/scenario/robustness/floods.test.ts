/** Floods at ports, and segments so small that they cost more than they carry: rows C2, C3, C17, C18 and A12. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

describe('a flood at a closed port', () => {
  forEachFamily((family, name) => {
    it(`of SYNs is answered with so many RSTs a second and no state, over ${name} [C2]`, () => {
      const peer = Peer.closed({ ...family, tcp: { resetsPerSecond: 1000 } });
      const syn = peer.packet('< S 0:0(0) <mss 1460>');
      let rsts = 0;
      for (let second = 0; second < 4; second++) {
        for (let i = 0; i < 40; i++) {
          peer.host.inject(new Array<Uint8Array>(64).fill(syn));
          peer.advanceMs(25);
        }
        rsts += peer.drain().length;
      }
      // A bucket to begin with, and what four seconds add to it.
      expect(rsts).to.be.within(4500, 5500);
      expect(peer.stats.tcp).to.include({ outRsts: rsts, outRstsLimited: 4 * 2560 - rsts });
      expect(peer.gauges).to.deep.equal(Peer.closed(family).gauges);
    });

    it(`of anything is answered segment by segment at most, and RSTs never, over ${name} [C3]`, () => {
      const peer = Peer.closed({ ...family, tcp: { resetsPerSecond: 200 } });
      for (const line of ['. 1:1(0) ack 5', 'F. 1:1(0) ack 5', 'FPU. 1:9(8) ack 5 urg 3', '- 1:1(0)']) {
        const { outRsts } = peer.stats.tcp;
        peer.advanceMs(2000).send(`< ${line}`);
        expect(peer.stats.tcp.outRsts, line).to.equal(outRsts + 1);
      }
      peer.drain();
      for (let i = 0; i < 500; i++) peer.send('< R 1:1(0)').send('< R. 1:1(0) ack 9');
      peer.expectNothing();
      for (let i = 0; i < 2000; i++) peer.send('< . 1:1(0) ack 5');
      expect(peer.drain().length).to.be.within(120, 280);
      expect(peer.stats.drops.count(DropReason.TcpNoConnection)).to.equal(4 + 1000 + 2000);
      expect(peer.gauges).to.deep.equal(Peer.closed(family).gauges);
    });
  });
});

describe('a peer with a tiny segment size', () => {
  it('gets no smaller ones than 48 bytes with their options, so that data costs a bounded number of them [C17]', () => {
    for (const timestamps of [false, true]) {
      for (const mss of [1, 8, 47, 48, 59, 60]) {
        const peer = Peer.established({ mss, timestamps });
        peer.write(10_000);
        let segments = 0;
        for (let i = 0; i < 400 && peer.endpoint.unackedBytes > 0; i++) {
          segments += peer.drain().filter(({ line }) => line.textBytes > 0).length;
          peer.ackAll();
        }
        expect(peer.endpoint.unackedBytes, `MSS ${mss}`).to.equal(0);
        expect(segments, `MSS ${mss}`).to.be.at.most(10_000 / 48 + 10);
        finishAll();
      }
    }
  });

  it('of zero gets what one without the option gets [C17]', () => {
    const peer = Peer.listening().send('< S 0:0(0) <mss 0>').expect('> S. 0:0(0) ack 1');
    peer
      .send('< . 1:1(0) ack 1')
      .write(1000)
      .expect('> . 1:537(536) ack 1')
      .expect('> P. 537:1001(464) ack 1');
  });
});

describe('text in segments of one byte', () => {
  it('takes no more memory than the window allows, read or not [C18]', () => {
    const options = { receiveBufferBytes: 65_536, receiveBufferMaxBytes: 65_536 };
    const peer = Peer.established({ options });
    let most = 0;
    for (let next = 1; next < 30_000; next += 64) {
      peer.sendBatch(...Array.from({ length: 64 }, (_, i) => `< . ${next + i}:${next + i + 1}(1) ack 1`));
      most = Math.max(most, peer.gauges.memoryBytes);
      if (peer.waiting > 500) peer.drain();
    }
    peer.drain();
    expect(most).to.be.at.most(2 * 65_536);
    const { readableBytes } = peer.endpoint;
    expect(readableBytes).to.be.above(29_000);
    // The bytes lie side by side: reading them is as if they had come at once.
    peer.expectRead(readableBytes).drain();
    peer.advanceMs(5000);
    expect(peer.gauges.memoryBytes).to.be.at.most(65_536);
  });
});

describe('a segment with a timestamp far ahead', () => {
  it('moves TS.Recent only if it is acceptable, and in order (RFC 7323 §4.3) [A12]', () => {
    const peer = Peer.established({ timestamps: true, mss: 1012 }).wrote(1000);
    const { receiver } = peer.endpoint.connection;
    const recent = receiver?.tsRecent;
    const far = 1020 + 0x7000_0000;
    for (const line of [
      // Out of the window, out of order, with an ACK of what was not sent, without one, and as an RST.
      `. 900000:900010(10) ack 1 <nop,nop,TS val ${far} ecr 20>`,
      `. -5000:-4990(10) ack 1 <nop,nop,TS val ${far} ecr 20>`,
      `. 101:111(10) ack 1 <nop,nop,TS val ${far} ecr 20>`,
      `. 1:11(10) ack 5000 <nop,nop,TS val ${far} ecr 20>`,
      `- 1:11(10) <nop,nop,TS val ${far} ecr 20>`,
      `R 50:50(0) <nop,nop,TS val ${far} ecr 20>`,
      `S 1:1(0) <nop,nop,TS val ${far} ecr 20>`,
    ]) {
      peer.send(`< ${line}`);
      expect(receiver?.tsRecent, line).to.equal(recent);
    }
    peer.drain();
    // So the peer's own segments are still newer.
    peer.send('< P. 1:11(10) ack 1001').drain();
    expect(peer.endpoint.readableBytes).to.equal(10);
    peer.send(`< P. 11:21(10) ack 1001 <nop,nop,TS val ${far} ecr 20>`);
    expect(receiver?.tsRecent).to.equal(far);
  });
});
