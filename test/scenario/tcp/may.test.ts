/** What RFC 9293 leaves to the implementation, and what this one does: tcp.md §1.3, MAY-*. */
import { expect } from 'chai';
import { seqDiff } from '../../../lib/base/seq.js';
import { Simulation } from '../../../lib/sim/simulation.js';
import { Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

describe('closing one direction, or both (RFC 9293 §3.6.1)', () => {
  it('leaves the other open with shutdown, and gives up both with close [MAY-1]', () => {
    const half = Peer.established();
    half.shutdown().expect('> F. 1:1(0) ack 1');
    half.ackAll().sendText(100).advanceMs(300).drain();
    half.expectRead(100).expectState('FIN-WAIT-2');
    finishAll();
    const both = Peer.established();
    both.close().expect('> F. 1:1(0) ack 1').ackAll();
    both.send('< P. 1:101(100) ack 2').expect('> R 2:2(0)').expectState('CLOSED');
  });
});

describe('a SYN for a connection in TIME-WAIT (RFC 9293 §3.6.1)', () => {
  it('is answered with a sequence number beyond all that the old connection used [MAY-2]', () => {
    for (const offset of [3, 1_000_000, 0x7000_0000]) {
      const peer = Peer.established();
      peer.wrote(5000).ackAll();
      const before = peer.origin.localSequence;
      if (before === undefined) expect.fail('a SYN-ACK was sent');
      peer.shutdown().drain();
      peer.ackAll().send('< F. 1:1(0) ack 5002').drain();
      peer.expectState('TIME-WAIT').reborn();
      peer.send(`< S ${offset}:${offset}(0) win 65535 <mss 1460>`);
      expect(peer.take()?.line.flags).to.equal(0x12);
      const after = peer.origin.localSequence;
      if (after === undefined) expect.fail('a SYN-ACK was sent');
      expect(seqDiff(after, before)).to.be.above(5002);
      finishAll();
    }
  });
});

describe('keep-alive (RFC 9293 §3.8.4)', () => {
  const timing = { keepAliveIdleMs: 1000, keepAliveIntervalMs: 500 };

  it('is there for connections that ask for it, and for no others [MAY-5]', () => {
    const peer = Peer.established({ options: timing });
    peer.advanceMs(10_000).expectNothing();
    peer.endpoint.setKeepAlive(true);
    peer.advanceMs(1000).expect('> . 0:0(0) ack 1').send('< . 1:1(0) ack 1');
    peer.endpoint.setKeepAlive(false);
    peer.advanceMs(10_000).expectNothing();
  });

  it('of a peer may have an octet of garbage: it is acknowledged, and delivered to nobody [MAY-6]', () => {
    const peer = Peer.established().sendText(10).advanceMs(300).expectRead(10);
    peer.drain();
    for (let i = 0; i < 3; i++) {
      peer.send('< . 10:11(1) ack 1', { payload: new Uint8Array([0xee]) }).expect('> . 1:1(0) ack 11');
      peer.advanceMs(1000);
      expect(peer.endpoint.readableBytes).to.equal(0);
    }
    peer.sendText(5).advanceMs(300).expectRead(5).drain();
  });
});

describe('windows (RFC 9293 §3.8.6)', () => {
  it('that shrink let only the first segment be sent again beyond them [MAY-7]', () => {
    const peer = Peer.established({ mss: 1000, options: { tailLossProbe: false } }).wrote(4000);
    peer.send('< . 1:1(0) ack 1 win 0').advanceMs(220).expect('> . 1:1001(1000) ack 1').expectNothing();
    peer.send('< . 1:1(0) ack 1001 win 1000').drain();
    peer.advanceMs(2000);
    // What lies inside the new window is sent again, and nothing beyond it.
    expect(peer.drain().map(({ line }) => line.start)).to.deep.equal([1001, 1001]);
    peer.send('< . 1:1(0) ack 4001 win 65535').drain();
  });

  it('may stay closed for as long as the application reads nothing, and each probe is answered [MAY-8]', () => {
    const options = { receiveBufferBytes: 4000, receiveBufferMaxBytes: 4000 };
    const peer = Peer.established({ options }).sendText(4000).advanceMs(500);
    peer.drain();
    for (let hour = 0; hour < 24 * 7; hour++) {
      peer.advanceMs(3_600_000).send('< . 4000:4000(0) ack 1').expect('> . 1:1(0) ack 4001 win 0');
    }
    peer.expectState('ESTABLISHED').expectRead(4000).expect('> . 1:1(0) ack 4001 win 4000');
  });
});

describe('what arrives (RFC 9293 §3.10.7.4)', () => {
  it('with an ACK older than any window may be injected: it is challenged, and its text dropped [MAY-12]', () => {
    const peer = Peer.established({ mss: 1000, window: 2000 });
    for (let i = 0; i < 4; i++) {
      peer.wrote(2000).ackAll(2000);
      peer.drain();
    }
    // The window was never larger than 2000, and 8001 is next.
    peer.send('< P. 1:11(10) ack 6001 win 2000').advanceMs(300).drain();
    peer.expectRead(10);
    peer.send('< P. 11:21(10) ack 6000 win 2000').expect('> . 8001:8001(0) ack 11');
    expect(peer.endpoint.readableBytes).to.equal(0);
  });

  it('in the window and not at its left edge is acknowledged at once [MAY-13]', () => {
    const peer = Peer.established();
    // Answering makes it patient with what comes in order.
    peer.sendText(10).write(10).drain();
    peer.ackAll().expectRead(10);
    peer.sendText(10).expectNothing().advanceMs(300).expect('> . 11:11(0) ack 21');
    peer.send('< P. 101:111(10) ack 11').expect('> . 11:11(0) ack 21');
    peer.send('< P. 21:101(80) ack 11').drain();
    peer.expectRead(100);
  });

  it('is delivered the same with and without PSH, which nobody is told of [MAY-17]', () => {
    const events = ['.', 'P.'].map((flags) => {
      const peer = Peer.established().send(`< ${flags} 1:101(100) ack 1`);
      const heard = peer.takeEvents();
      peer.expectRead(100).drain();
      finishAll();
      return heard;
    });
    expect(events[0]).to.deep.equal(events[1]);
    expect(events[0]).to.deep.equal(['readable']);
  });
});

describe('writing (RFC 9293 §3.9.1.2)', () => {
  it('pushes each time, unless it is said that more follows: that is put together [MAY-15 MAY-16]', () => {
    const peer = Peer.established({ mss: 1000 });
    const { endpoint } = peer;
    const text = peer.incoming.bytes(0, 300);
    endpoint.writeMore(text, 0, 100);
    peer.advanceMs(0).expectNothing();
    endpoint.writeMore(text, 100, 100);
    peer.advanceMs(10).expectNothing();
    endpoint.write(text, 200, 100);
    peer.advanceMs(0).expect('> P. 1:301(300) ack 1');
    peer.ackAll();
    peer.write(50).expect('> P. 301:351(50) ack 1').ackAll();
    // What nothing follows is not held for ever.
    endpoint.writeMore(peer.incoming.bytes(350, 10));
    peer.advanceMs(199).expectNothing().advanceMs(1).expect('> P. 351:361(10) ack 1').ackAll();
  });
});

describe('congestion control (RFC 9293 §3.8.2)', () => {
  it('may be another than that of RFC 5681: CUBIC carries a transfer over a path that loses [MAY-18]', () => {
    const tcp = { connection: { congestionControl: 'cubic' } };
    const net = new Simulation({
      seed: 9,
      upstream: { rateBps: 2e7, delayMs: 10, loss: 0.01 },
      downstream: { delayMs: 10 },
      client: { tcp },
    });
    const transfer = net.start({ bytes: 1_000_000 });
    expect(transfer.clientEndpoint.info.congestionControl).to.equal('cubic');
    net.clock.runUntil(() => transfer.isOver, 60e6);
    expect(transfer.receivedBytes).to.equal(1_000_000);
    expect(transfer.isIntact).to.equal(true);
    expect(net.client.stats.tcp.retransSegs).to.be.above(0);
    net.rest();
    net.close();
  });
});
