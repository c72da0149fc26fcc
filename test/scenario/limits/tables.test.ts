/** How many there may be of everything that is kept: robustness.md I4 to I10. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const LIMIT = 12;
/** How many are tried, each time on a stack of its own. */
const COUNTS = [LIMIT - 1, LIMIT, LIMIT + 1];

/** A listening stack, and `count` peers that do what `each` says, one after the other. */
function visitors(count: number, options: PeerOptions, each: (peer: Peer, number: number) => void): Peer[] {
  const first = Peer.listening(options);
  const peers: Peer[] = [];
  for (let i = 1; i <= count; i++) {
    const peer = first.another({ port: 20_000 + i });
    peers.push(peer);
    each(peer, i);
  }
  return peers;
}

const isOver = (number: number): boolean => number > LIMIT;

describe('connections', () => {
  it('that come in are refused in silence beyond the limit, and counted [I4]', () => {
    for (const count of COUNTS) {
      const peers = visitors(count, { tcp: { maxConnections: LIMIT } }, (peer, number) => {
        peer.reborn().sendSyn();
        if (isOver(number)) peer.expectNothing(1000);
        else
          peer.expect('> S. 0:0(0) ack 1').advanceMs(1).send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
      });
      const { stats, stack } = peers[0];
      expect(stack.tcp.connections).to.equal(Math.min(count, LIMIT));
      expect(stats.drops.count(DropReason.TcpConnectionLimit)).to.equal(count > LIMIT ? 1 : 0);
      expect(stats.tcp.listenDrops).to.equal(count > LIMIT ? 1 : 0);
      // There is room again when one has gone.
      peers[0].abort().drain();
      const late = peers[0].another({ port: 30_000 }).handshake();
      late.expectState('ESTABLISHED').drain();
      finishAll();
    }
  });

  it('that go out fail at once with ENOBUFS beyond the limit [I4]', () => {
    for (const count of COUNTS) {
      const peer = Peer.closed({ tcp: { maxConnections: LIMIT } });
      const connect = (port: number): (() => void) => {
        const endpoint = peer.stack.connectTcp({ address: '10.0.0.2', port });
        return () => endpoint.abort();
      };
      const ends: (() => void)[] = [];
      for (let i = 1; i <= count; i++) {
        if (isOver(i))
          expect(() => connect(i))
            .to.throw(Error)
            .with.property('code', 'ENOBUFS');
        else ends.push(connect(i));
      }
      expect(peer.stack.tcp.connections).to.equal(Math.min(count, LIMIT));
      ends[0]();
      peer.advanceMs(0);
      ends.push(connect(1000));
      for (const end of ends) end();
      peer.advanceMs(0);
      finishAll();
    }
  });
});

describe('handshakes under way', () => {
  it('of one listener are limited, and beyond it answered with cookies, or not at all [I5]', () => {
    for (const synCookies of ['never', 'overflow'] as const) {
      for (const count of COUNTS) {
        const peers = visitors(count, { backlog: LIMIT, tcp: { synCookies } }, (peer, number) => {
          peer.sendSyn();
          if (isOver(number) && synCookies === 'never') peer.expectNothing();
          else peer.expect('> S. 0:0(0) ack 1');
        });
        const { stats } = peers[0];
        const over = count > LIMIT ? 1 : 0;
        expect(stats.tcp.synCookiesSent).to.equal(synCookies === 'overflow' ? over : 0);
        expect(stats.drops.count(DropReason.TcpSynQueueFull)).to.equal(synCookies === 'never' ? over : 0);
        // A cookie keeps nothing: after the SYN-ACK nothing is repeated.
        for (const peer of peers) peer.drain();
        peers[0].advanceMs(1000);
        expect(peers.filter((peer) => peer.waiting > 0).length).to.equal(Math.min(count, LIMIT));
        finishAll();
      }
    }
  });

  it('of all listeners together are limited too [I5]', () => {
    for (const count of COUNTS) {
      const peers = visitors(count, { tcp: { maxHalfOpen: LIMIT, synCookies: 'never' } }, (peer, number) => {
        if (number === 5) peer.stack.listenTcp({ port: 81 });
        const target = number >= 5 ? peer.another({ port: 20_000 + number, stackPort: 81 }) : peer;
        target.sendSyn();
        expect(target.waiting, `SYN ${number}`).to.equal(isOver(number) ? 0 : 1);
        target.drain();
      });
      expect(peers[0].stats.drops.count(DropReason.TcpSynQueueFull)).to.equal(count > LIMIT ? 1 : 0);
      peers[0].advanceMs(200_000);
      for (const peer of peers) peer.drain();
    }
  });
});

describe('connections nobody accepts', () => {
  it('wait up to the backlog and one more, as Linux counts; then SYNs are dropped, and counted [I6]', () => {
    // Linux's `sk_acceptq_is_full` is true when more than the backlog wait.
    const backlog = LIMIT - 1;
    for (const count of COUNTS) {
      const peers = visitors(count, { accept: false, backlog }, (peer, number) => {
        peer.reborn().sendSyn();
        if (isOver(number)) peer.expectNothing();
        else peer.expect('> S. 0:0(0) ack 1').advanceMs(1).send('< . 1:1(0) ack 1').expectNothing();
      });
      const { stats } = peers[0];
      const { listener } = peers[0];
      expect(listener?.ready).to.equal(Math.min(count, LIMIT));
      expect(stats.tcp.listenOverflows).to.equal(count > LIMIT ? 1 : 0);
      expect(stats.drops.count(DropReason.TcpAcceptQueueFull)).to.equal(count > LIMIT ? 1 : 0);
      // One accepted makes room for one.
      listener?.accept()?.abort();
      peers[0].advanceMs(0);
      const late = peers[0].another({ port: 30_000 }).sendSyn();
      late.expect('> S. 0:0(0) ack 1');
      for (const peer of peers) peer.drain();
      finishAll();
    }
  });
});

describe('connections on their way out', () => {
  it('leave so many records in TIME-WAIT, and beyond that none, which is counted [I7]', () => {
    for (const count of COUNTS) {
      const peers = visitors(count, { tcp: { maxTimeWait: LIMIT } }, (peer, number) => {
        peer.handshake().drain();
        peer.close().expect('> F. 1:1(0) ack 1').send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
        peer.expectState(isOver(number) ? 'CLOSED' : 'TIME-WAIT');
      });
      const { tcp } = peers[0].stats;
      expect(tcp).to.include({
        twCount: Math.min(count, LIMIT),
        twOverflow: count > LIMIT ? 1 : 0,
        tw: count,
      });
      peers[0].advanceMs(60_001);
      expect(tcp.twCount).to.equal(0);
      finishAll();
    }
  });

  it('are so many without an owner, and beyond that reset, which is counted [I8]', () => {
    for (const count of COUNTS) {
      const peers = visitors(count, { tcp: { maxOrphans: LIMIT } }, (peer, number) => {
        peer.handshake().drain();
        peer.write(10).expect('> P. 1:11(10) ack 1').close();
        peer.expect(isOver(number) ? '> R. 11:11(0) ack 1' : '> F. 11:11(0) ack 1');
      });
      const { tcp } = peers[0].stats;
      expect(tcp).to.include({ orphans: Math.min(count, LIMIT), orphanLimit: count > LIMIT ? 1 : 0 });
      // One finishes: there is room for another.
      peers[0].send('< F. 1:1(0) ack 12').drain();
      const late = peers[0].another({ port: 30_000 }).handshake();
      late.drain();
      late.close().expect('> F. 1:1(0) ack 1');
      peers[0].advanceMs(200_000);
      for (const peer of [...peers, late]) peer.drain();
      expect(tcp.orphans).to.equal(0);
      finishAll();
    }
  });
});

describe('pieces of what is received', () => {
  it('that wait behind gaps are so many: more is dropped, but not what joins them [I9]', () => {
    for (const count of COUNTS) {
      const peer = Peer.established({ options: { maxGaps: LIMIT } });
      for (let i = 1; i <= count; i++) peer.send(`< P. ${20 * i}:${20 * i + 5}(5) ack 1`);
      peer.drain();
      const { waiting } = peer.endpoint.connection.receiver?.buffer ?? expect.fail('a receiver');
      expect(waiting?.count).to.equal(Math.min(count, LIMIT));
      expect(peer.stats.drops.count(DropReason.TcpOutOfOrderLimit)).to.equal(count > LIMIT ? 1 : 0);
      // What touches a piece makes it larger and none more.
      peer.send(`< P. 25:30(5) ack 1`).send(`< P. 30:40(10) ack 1`).drain();
      expect(waiting?.count).to.equal(Math.min(count, LIMIT) - 1);
      // In order is never refused.
      peer.send('< P. 1:20(19) ack 1').drain();
      expect(peer.endpoint.readableBytes).to.equal(44);
      peer.read(100);
      finishAll();
    }
  });

  it('are no more than fit into the window, however small they are [I9]', () => {
    const options = { receiveBufferBytes: 100, receiveBufferMaxBytes: 100 };
    const peer = Peer.established({ options });
    for (let at = 2; at < 400; at += 2) peer.send(`< P. ${at}:${at + 1}(1) ack 1`).drain();
    expect(peer.endpoint.connection.receiver?.buffer.waiting?.count).to.equal(50);
  });
});

describe('records of what is in flight', () => {
  it('are so many: beyond that nothing new is sent until some are acknowledged [I10]', () => {
    for (const count of COUNTS) {
      const peer = Peer.established({ mss: 1000, options: { noDelay: true, maxSentRecords: LIMIT } });
      for (let i = 1; i <= count; i++) {
        peer.write(1);
        if (isOver(i)) peer.expectNothing();
        else peer.expect(`> P. ${i}:${i + 1}(1) ack 1`);
      }
      const { log } = peer.endpoint.connection.sender.recovery;
      expect(log.count).to.equal(Math.min(count, LIMIT));
      peer.send('< . 1:1(0) ack 2');
      if (count > LIMIT) peer.expect(`> P. ${count}:${count + 1}(1) ack 1`);
      peer.ackAll().expectNothing();
      expect(log.count).to.equal(0);
      finishAll();
    }
  });

  it('are not split without end by acknowledgments of a few bytes each (CVE-2019-11478) [I10]', () => {
    for (const offload of [false, true]) {
      const options = { maxSentRecords: LIMIT, initialWindow: 50 };
      const peer = Peer.established({ mss: 1000, offload, options }).wrote(30_000);
      const { recovery } = peer.endpoint.connection.sender;
      for (let at = 3; at < 30_000; at += 7) {
        peer.send(`< . 1:1(0) ack 1 <nop,nop,sack ${at}:${at + 1}>`).drain();
        expect(recovery.log.count).to.be.at.most(LIMIT);
        expect(recovery.inFlightBytes).to.be.within(0, 40_000);
      }
      // Everything arrives all the same.
      for (let i = 0; i < 200 && peer.endpoint.unackedBytes > 0; i++) peer.advanceMs(300).ackAll().drain();
      expect(peer.endpoint.unackedBytes).to.equal(0);
      finishAll();
    }
  });
});
