/** Timers, rates, and what is left behind: robustness.md I14, I15, I19. */
import { expect } from 'chai';
import { DeadlineHeap } from '../../../lib/base/deadline-heap.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { completeChecksum, ipPacket } from '../../support/packet-bytes.js';
import { Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';
import { NOTHING_LEFT } from '../../support/scenario-host.js';

describe('timers', () => {
  it('are one of the host for a whole stack, however many connections wait for something [I14]', () => {
    const counts = [1, 10, 200].map((connections) => {
      const first = Peer.listening({ options: { keepAlive: true } });
      const peers = [first];
      for (let i = 0; i < connections; i++) peers.push(first.another({ port: 20_000 + i }).handshake());
      // Retransmission, persist, delayed ACK and keep-alive, all at once.
      peers.forEach((peer, i) => {
        if (!peer.hasEndpoint) return;
        if (i % 3 === 0) peer.write(10);
        if (i % 3 === 1) peer.send('< . 1:1(0) ack 1 win 0').write(10);
        if (i % 3 === 2) peer.sendText(10);
      });
      const { pending } = first.host.clock;
      for (const peer of peers) peer.drain();
      finishAll();
      return pending;
    });
    expect(new Set(counts).size, `alarms: ${counts.join(', ')}`).to.equal(1);
    expect(counts[0]).to.be.at.most(2);
  });

  it('are one deadline for each connection: setting it again and again takes no more [I14]', () => {
    const heap = new DeadlineHeap();
    const random = new SeededRandom(14);
    for (let i = 0; i < 20_000; i++) {
      heap.set(random.uint32() % 100, random.uint32());
      expect(heap.size).to.be.at.most(100);
    }
    expect(heap.size).to.equal(100);
    for (let id = 0; id < 100; id++) heap.clear(id);
    expect(heap.size).to.equal(0);
  });

  it('of connections that are gone do not ring [I14]', () => {
    const first = Peer.listening({ options: { keepAlive: true } });
    for (let i = 0; i < 50; i++) {
      const peer = first.another({ port: 20_000 + i }).handshake();
      peer.write(10).drain();
      peer.abort().drain();
    }
    expect(first.host.clock.nextUs).to.equal(Number.POSITIVE_INFINITY);
  });
});

describe('replies to what should not have come', () => {
  it('are so many RSTs a second, on average, and no more than that at once [I15]', () => {
    const RATE = 40;
    const sentIn = (count: number, seed: number): number => {
      const peer = Peer.closed({ tcp: { resetsPerSecond: RATE }, seed });
      for (let i = 0; i < count; i++) peer.send(`< . ${i}:${i}(0) ack 1`);
      const sent = peer.drain().length;
      expect(sent + peer.stats.tcp.outRstsLimited).to.equal(count);
      return sent;
    };
    // Each takes 0, 1 or 2 of what there is, one on average, so that nobody can count those of others.
    let total = 0;
    const RUNS = 100;
    for (let seed = 1; seed <= RUNS; seed++) {
      expect(sentIn(RATE / 2 - 1, seed), 'far below the limit').to.equal(RATE / 2 - 1);
      total += sentIn(3 * RATE, seed);
      finishAll();
    }
    // The mean of a hundred sums of about forty draws: its deviation is about a half.
    expect(total / RUNS).to.be.within(RATE - 2, RATE + 3);
  });

  it('are as many again a second later [I15]', () => {
    const peer = Peer.closed({ tcp: { resetsPerSecond: 10 } });
    let total = 0;
    for (let second = 0; second < 100; second++) {
      for (let i = 0; i < 30; i++) peer.send('< . 5:5(0) ack 1');
      total += peer.drain().length;
      peer.advanceMs(1000);
    }
    expect(total / 100).to.be.within(9, 12);
  });

  it('are one challenge ACK in so much time, for each connection [I15]', () => {
    const peer = Peer.established({ tcp: { invalidAckIntervalMs: 700 } });
    const other = peer.another({ port: 41_000 }).handshake();
    other.drain();
    const provoke = (one: Peer): number => one.send('< R 500:500(0) win 0').drain().length;
    expect(provoke(peer)).to.equal(1);
    peer.advanceMs(699);
    expect(provoke(peer)).to.equal(0);
    expect(provoke(other), 'another connection has its own').to.equal(1);
    peer.advanceMs(1);
    expect(provoke(peer)).to.equal(1);
    expect(peer.stats.tcp).to.include({ challengeAcks: 3, challengeAcksSkipped: 1 });
  });

  it('are one SYN-ACK in so much time for a SYN that is repeated [I15]', () => {
    const peer = Peer.listening({ tcp: { invalidAckIntervalMs: 500 } }).sendSyn();
    peer.expect('> S. 0:0(0) ack 1').sendSyn().expect('> S. 0:0(0) ack 1');
    peer.advanceMs(499).sendSyn().expectNothing().advanceMs(1).sendSyn().expect('> S. 0:0(0) ack 1');
    for (let i = 0; i < 100; i++) peer.sendSyn();
    peer.expectNothing();
  });

  it('are one ACK in so much time in TIME-WAIT [I15]', () => {
    const peer = Peer.in('TIME-WAIT', { tcp: { invalidAckIntervalMs: 500 } });
    peer.advanceMs(500).send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
    for (let i = 0; i < 50; i++) peer.send('< F. 1:1(0) ack 2');
    peer.expectNothing().advanceMs(499).send('< F. 1:1(0) ack 2').expectNothing();
    peer.advanceMs(1).send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
    expect(peer.stats.tcp.ackSkipped).to.equal(51);
  });

  it('are one ICMP error to one destination in so much time, and so many at once [I15]', () => {
    const BURST = 6;
    const fields = { source: '10.0.0.2', destination: '10.0.0.1', protocol: 17 };
    const datagram = new Uint8Array(16);
    new DataView(datagram.buffer).setUint32(0, 0x3039_270f);
    new DataView(datagram.buffer).setUint16(4, datagram.length);
    completeChecksum(fields, datagram, 6);
    const packet = ipPacket(fields, datagram);
    for (const count of [BURST - 1, BURST, BURST + 1]) {
      const peer = Peer.closed({ ip: { icmpDestinationMs: 1000, icmpDestinationBurst: BURST } });
      peer.advanceMs(100_000);
      for (let i = 0; i < count; i++) peer.sendRaw(packet);
      expect(peer.host.unclaimed.length, `${count} at once`).to.equal(Math.min(count, BURST));
      expect(peer.stats.icmp.outRateLimited).to.equal(count > BURST ? 1 : 0);
      if (count > BURST) peer.advanceMs(999).sendRaw(packet);
      expect(peer.host.unclaimed.length).to.equal(Math.min(count, BURST));
      peer.advanceMs(1000).sendRaw(packet);
      expect(peer.host.unclaimed.length).to.equal(Math.min(count, BURST) + 1);
      finishAll();
    }
  });
});

describe('what is over', () => {
  it('leaves nothing: connections that end in every way, by the hundred (soak) [I19]', () => {
    const random = new SeededRandom(19);
    const first = Peer.listening({ mss: 1000, tcp: { timeWaitMs: 5000 } });
    const ends: ((peer: Peer) => void)[] = [
      (peer) => peer.abort(),
      (peer) => peer.close(),
      (peer) => peer.send(`< R. ${peer.sndNxt}:${peer.sndNxt}(0) ack 1`),
      (peer) => peer.send(`< F. ${peer.sndNxt}:${peer.sndNxt}(0) ack ${peer.rcvNxt}`).close().ackAll(),
      (peer) => peer.close().ackAll().send(`< F. ${peer.sndNxt}:${peer.sndNxt}(0) ack ${peer.rcvNxt}`),
      (peer) => peer.shutdown().ackAll().close(),
    ];
    for (let i = 0; i < 300; i++) {
      const peer = first.another({ port: 1024 + i });
      if (random.uint32() % 10 === 0) {
        peer.sendSyn();
        continue;
      }
      peer.handshake();
      if (random.uint32() % 2 === 0) peer.write(1 + (random.uint32() % 5000));
      if (random.uint32() % 2 === 0) peer.sendText(1 + (random.uint32() % 3000));
      if (random.uint32() % 3 === 0) peer.send(`< P. ${peer.sndNxt + 100}:${peer.sndNxt + 200}(100) ack 1`);
      if (random.uint32() % 2 === 0) peer.read(10_000);
      ends[i % ends.length](peer);
      peer.drain();
    }
    expect(Object.values(first.gauges).some((gauge) => gauge > 0)).to.equal(true);
    first.listener?.close();
    // Nobody answers any more: everything must come to an end by itself.
    first.advanceMs(2_000_000);
    expect(first.gauges).to.deep.equal(NOTHING_LEFT);
    expect(first.host.clock.nextUs, 'no timer').to.equal(Number.POSITIVE_INFINITY);
  });
});
