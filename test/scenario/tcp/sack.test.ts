/** Selective acknowledgment: RFC 2018. Duplicates are in `dsack.test.ts`, the options' bytes in `tcp-options.test.ts`. */
import { expect } from 'chai';
import fc from 'fast-check';
import { seq, seqAdd } from '../../../lib/base/seq.js';
import { AckFacts } from '../../../lib/tcp/recovery/ack-facts.js';
import { SentLog } from '../../../lib/tcp/recovery/sent-log.js';
import { forEachFamily, Peer, type PeerOptions, type SentSegment } from '../../support/peer.js';
import { recoveryAt } from '../../support/recovery.js';

const established = (options: PeerOptions = {}): Peer => Peer.established({ mss: 1000, ...options });

/** One segment of the peer's stream beyond a gap: its `n`-th thousand. */
const thousand = (n: number): string => `< . ${1000 * n + 1}:${1000 * n + 1001}(1000) ack 1`;

/** The blocks of a SACK option, `[]` without one. */
function blocksOf(segment: SentSegment): [number, number][] {
  const option = segment.line.options?.find((text) => text.startsWith('sack '));
  const words = option?.split(' ').slice(1) ?? [];
  return words.map((word) => word.split(':').map(Number) as [number, number]);
}

describe('SACK of what arrived', () => {
  it('is not sent to a peer that has not permitted it, and not heeded from one (RFC 2018 §3) [SACK-2]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, sack: false });
      peer.send(thousand(2)).expect('> . 1:1(0) ack 1 <!sack>');
      peer.wrote(5000);
      // With SACK this would be three segments acknowledged above the first: a loss.
      peer.send('< . 3001:3001(0) ack 1 <nop,nop,sack 1001:4001>').expectNothing(100);
      expect(peer.endpoint.connection.sender.recovery.sackedBytes).to.equal(0);
      // The same where it was the stack that did not want it.
      const own = established({ ...family, options: { sack: false } });
      own.send(thousand(2)).expect('> . 1:1(0) ack 1 <!sack>').wrote(5000);
      own.send('< . 3001:3001(0) ack 1 <nop,nop,sack 1001:4001>').expectNothing(100);
      expect(own.endpoint.connection.sender.recovery.sackedBytes).to.equal(0);
    });
  });

  it('stands in every ACK while something waits, also in those that ride on text (RFC 2018 §4) [SACK-4]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      peer.send(thousand(1)).expect('> . 1:1(0) ack 1 <sack 1001:2001>');
      peer.write(100).expect('> P. 1:101(100) ack 1 <sack 1001:2001>');
      // In what is sent again, in a probe answer, in the answer to something refused, and in a FIN.
      peer.expectAfterMs(220, '> P. 1:101(100) ack 1 <sack 1001:2001>').ackAll();
      peer.send('< . 0:0(0) ack 101').expect('> . 101:101(0) ack 1 <sack 1001:2001>');
      peer
        .advanceMs(600)
        .send('< . 900001:900001(0) ack 101')
        .expect('> . 101:101(0) ack 1 <sack 1001:2001>');
      peer.shutdown().expect('> F. 101:101(0) ack 1 <sack 1001:2001>');
      // When the gap is filled there is nothing left to say.
      peer.send('< . 1:1001(1000) ack 102').expect('> . 102:102(0) ack 2001 <!sack>');
    });
  });

  it('leaves room for itself in a full segment [SACK-4]', () => {
    const full = established();
    full.send(thousand(1)).send(thousand(3)).drain();
    full.write(1500).expect('> . 1:981(980) ack 1 <sack 3001:4001 1001:2001>');
    full.expect('> P. 981:1501(520) ack 1 <sack 3001:4001 1001:2001>');
  });

  it('begins with the block of the segment that made it, joined with its neighbours (RFC 2018 §4) [SACK-5]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      peer.send(thousand(2)).expect('> . 1:1(0) ack 1 <sack 2001:3001>');
      peer.send(thousand(6)).expect('> . 1:1(0) ack 1 <sack 6001:7001 2001:3001>');
      peer.send(thousand(3)).expect('> . 1:1(0) ack 1 <sack 2001:4001 6001:7001>');
      peer.send(thousand(5)).expect('> . 1:1(0) ack 1 <sack 5001:7001 2001:4001>');
      peer.send(thousand(4)).expect('> . 1:1(0) ack 1 <sack 2001:7001>');
      // A segment that moves RCV.NXT makes no block of its own.
      peer.send(thousand(8)).expect('> . 1:1(0) ack 1 <sack 8001:9001 2001:7001>');
      peer.send(thousand(0)).expect('> . 1:1(0) ack 1001 <sack 8001:9001 2001:7001>');
      peer.send(thousand(1)).expect('> . 1:1(0) ack 7001 <sack 8001:9001>');
      peer.send(thousand(7)).expect('> . 1:1(0) ack 9001 <!sack>').expectRead(9000);
    });
  });

  it('goes on with the blocks reported last, newest first, each in three ACKs at least [SACK-6]', () => {
    for (const timestamps of [false, true]) {
      const limit = timestamps ? 3 : 4;
      const peer = established({ timestamps });
      // Every second segment, in an order of no order.
      const order = [12, 2, 16, 6, 20, 10, 4, 18, 8, 14];
      order.forEach((n, i) => {
        peer.send(thousand(n));
        const [ack] = peer.drain();
        const newest = order.slice(Math.max(0, i + 1 - limit), i + 1).reverse();
        expect(blocksOf(ack), ack.text).to.deep.equal(newest.map((m) => [1000 * m + 1, 1000 * m + 1001]));
      });
    }
  });

  it('goes on in the order of recency also where blocks join [SACK-6]', () => {
    const peer = established();
    for (const n of [2, 4, 6, 8]) peer.send(thousand(n));
    peer.drain();
    peer.send(thousand(5)).expect('> . 1:1(0) ack 1 <sack 4001:7001 8001:9001 2001:3001>');
    peer.send(thousand(10)).expect('> . 1:1(0) ack 1 <sack 10001:11001 4001:7001 8001:9001 2001:3001>');
    peer.send(thousand(12)).expect('> . 1:1(0) ack 1 <sack 12001:13001 10001:11001 4001:7001 8001:9001>');
    // What was crowded out comes back when there is room.
    peer.send(thousand(11)).expect('> . 1:1(0) ack 1 <sack 10001:13001 4001:7001 8001:9001 2001:3001>');
  });

  it('has as many blocks as fit: four, and three beside timestamps (RFC 2018 §3) [SACK-7]', () => {
    forEachFamily((family) => {
      for (const timestamps of [false, true]) {
        const peer = established({ ...family, timestamps });
        for (let n = 1; n <= 19; n += 2) {
          peer.send(thousand(n));
          const [ack] = peer.drain();
          expect(blocksOf(ack)).to.have.length(Math.min((n + 1) / 2, timestamps ? 3 : 4));
        }
      }
    });
  });

  it('reports only what waits, above the ACK number and without overlaps, whatever arrives [SACK-8]', () => {
    const segments = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 60 })), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(segments, fc.boolean(), (list, timestamps) => {
        const peer = established({ timestamps, irs: 0xffff_ff80 });
        const there = new Set<number>();
        for (const [at, length] of list) {
          peer.send(`< . ${at + 1}:${at + 1 + length}(${length}) ack 1`);
          for (let i = at + 1; i < at + 1 + length; i++) there.add(i);
          let next = 1;
          while (there.has(next)) next++;
          for (const segment of peer.drain()) {
            const { ack } = segment.line;
            expect(ack).to.equal(next);
            const blocks = blocksOf(segment);
            const above = blocks.filter(([start]) => start >= next);
            // One that is not above is a D-SACK, and then the first.
            expect(above.length).to.be.at.least(blocks.length - 1);
            const isDuplicate =
              blocks.length > 1 && blocks[0][0] >= blocks[1][0] && blocks[0][1] <= blocks[1][1];
            const plain = above.length < blocks.length || isDuplicate ? blocks.slice(1) : blocks;
            for (const [start, end] of plain) {
              expect(start).to.be.within(next + 1, end - 1);
              for (let i = start; i < end; i++)
                expect(there.has(i), `${i} of ${segment.text}`).to.equal(true);
              expect(there.has(start - 1) || there.has(end), `${segment.text} is not whole`).to.equal(false);
            }
            const sorted = plain.map(([start]) => start).sort((a, b) => a - b);
            expect(new Set(sorted).size, segment.text).to.equal(plain.length);
          }
        }
        peer.host.finish();
      }),
      { numRuns: 60, seed: 8 },
    );
  });

  it('is taken back only when memory is short, the highest block first, and not said again [SACK-9]', () => {
    forEachFamily((family) => {
      const tcp = { memoryPressureBytes: 100_000, memoryMaxBytes: 200_000 };
      const peer = established({ ...family, tcp });
      const { tcp: stats } = peer.stats;
      // 100 bytes to read, and four blocks behind gaps, up to 62,000: a ring of 64 KiB.
      peer.send('< P. 1:101(100) ack 1');
      for (const n of [5, 20, 40, 61]) peer.send(thousand(n));
      const receiver = peer.endpoint.connection.receiver ?? expect.fail('a receiver');
      const held = (): number => receiver.buffer.waiting?.count ?? 0;
      expect(receiver.memoryBytes).to.equal(65_536);
      // However long nothing happens, nothing is given up while there is memory.
      peer.advanceMs(100_000).drain();
      expect([held(), stats.outOfOrderPruned]).to.deep.equal([4, 0]);
      // Others need it: little by little the highest blocks go, and the memory with them.
      const hogs = [1, 2].map(() => peer.another().sendSyn().send('< . 1:1(0) ack 1').sendText(50_000));
      expect(peer.gauges.memoryBytes).to.be.greaterThan(100_000);
      const counts = [held()];
      for (let second = 0; second < 300; second++) {
        peer.advanceMs(1000);
        if (held() !== counts[counts.length - 1]) counts.push(held());
        if (peer.gauges.memoryBytes < 100_000) for (const hog of hogs) hog.sendText(1000);
      }
      expect(counts.length).to.be.greaterThan(2);
      expect(stats.outOfOrderPruned).to.equal(4 - held());
      expect(receiver.memoryBytes).to.be.at.most(16_384);
      for (const hog of hogs) hog.abort();
      // Only what is left of the lowest is reported, if anything, and all the rest can be sent again.
      peer.drain();
      peer.send('< . 90001:90001(0) ack 1');
      const [ack] = peer.drain();
      expect(blocksOf(ack)).to.deep.equal([[5001, 6001]].slice(0, held()));
      peer.send('< . 101:1001(900) ack 1');
      for (let n = 1; n < 62; n++) peer.send(thousand(n));
      peer.expectRead(62_000);
    });
  });

  it('goes on being sent and heeded while the connection closes (RFC 2018 §4) [SACK-17]', () => {
    forEachFamily((family) => {
      // FIN-WAIT-1: our text and FIN are in flight, and the peer's text comes with a gap.
      const closing = established(family).wrote(5000);
      closing.shutdown().expect('> F. 5001:5001(0) ack 1').expectState('FIN-WAIT-1');
      closing.send(thousand(1)).expect('> . 5002:5002(0) ack 1 <sack 1001:2001>');
      closing.send('< . 2001:2001(0) ack 1 <nop,nop,sack 1001:4001>');
      // Three segments beyond a gap: at once, and shorter by what our own SACK takes.
      closing.expect('> . 1:989(988) ack 1').expect('> . 989:1001(12) ack 1');
      closing.send('< . 2001:2001(0) ack 5002').expectState('FIN-WAIT-2');
      closing.send(thousand(3)).expect('> . 5002:5002(0) ack 1 <sack 3001:4001 1001:2001>');
      // CLOSING: the peer's FIN has come, and a loss among our last segments is still repaired by SACK.
      const last = established(family).wrote(5000);
      last.shutdown().expect('> F. 5001:5001(0) ack 1');
      last.send('< F. 1:1(0) ack 1').expectState('CLOSING').expect('> . 5002:5002(0) ack 2');
      last.send('< . 2:2(0) ack 1 <nop,nop,sack 2001:5002>').expect('> . 1:1001(1000) ack 2');
      last.expect('> . 1001:2001(1000) ack 2').expectNothing();
      last.send('< . 2:2(0) ack 5002').expectState('TIME-WAIT');
    });
  });
});

/** What a sender makes of SACK blocks. */
const sackedBytes = (peer: Peer): number => peer.endpoint.connection.sender.recovery.sackedBytes;

describe('SACK of what was sent', () => {
  it('frees nothing: all of it can be sent again until the ACK number passes it (RFC 2018 §8) [SACK-10]', () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 5 }));
    fc.assert(
      fc.property(
        fc.array(range, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 9 }),
        (list, acked) => {
          const peer = established().wrote(10_000);
          const una = 1 + 1000 * acked;
          for (const [at, count] of list) {
            const start = Math.max(una + 1000, 1 + 1000 * at);
            const end = Math.min(10_001, start + 1000 * count);
            if (start < end) peer.send(`< . 1:1(0) ack ${una} <nop,nop,sack ${start}:${end}>`);
          }
          peer.send(`< . 1:1(0) ack ${una}`);
          expect(peer.endpoint.unackedBytes).to.equal(10_001 - una);
          // The peer forgets all that it said. What is sent again is compared with what was written.
          peer.drain();
          for (let next = una; next < 10_001; ) {
            peer.advanceMs(1);
            const sent = peer.drain().filter(({ line }) => line.start === next && line.textBytes > 0);
            if (sent.length > 0) next += sent[0].line.textBytes;
            else peer.advanceMs(30_000);
            peer.send(`< . 1:1(0) ack ${next}`);
          }
          expect(peer.endpoint.unackedBytes).to.equal(0);
          peer.host.finish();
        },
      ),
      { numRuns: 40, seed: 10 },
    );
  });

  it('that is taken back is noticed, and everything is sent again soon (RFC 2018 §8) [SACK-11]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, tailLossProbe: false, rttMs: 100 })
        .wrote(5000)
        .advanceMs(100);
      peer.send('< . 1:1(0) ack 1 <nop,nop,sack 2001:5001>').expect('> . 1:1001(1000) ack 1');
      peer.expect('> . 1001:2001(1000) ack 1').expectNothing(100);
      expect(sackedBytes(peer)).to.equal(3000);
      // What was acknowledged selectively begins right at the ACK number, and yet is not acknowledged.
      peer.send('< . 1:1(0) ack 2001').expectNothing();
      peer.expectAfterMs(50, '> . 2001:3001(1000) ack 1');
      expect(sackedBytes(peer)).to.equal(0);
      expect(peer.stats.tcp.sackReneging).to.equal(1);
      peer
        .send('< . 1:1(0) ack 3001')
        .expect('> . 3001:4001(1000) ack 1')
        .expect('> P. 4001:5001(1000) ack 1');
      peer.ackAll();
      // On a fast path it waits for 10 ms, in which an ACK may come that was only late.
      const late = established({ ...family, tailLossProbe: false, rttMs: 2 })
        .wrote(5000)
        .advanceMs(2);
      late.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>').send('< . 1:1(0) ack 1001').expectNothing(9);
      late.send('< . 1:1(0) ack 2001').expectNothing(100);
      expect(late.stats.tcp.sackReneging).to.equal(0);
      const early = established({ ...family, tailLossProbe: false, rttMs: 2 })
        .wrote(5000)
        .advanceMs(2);
      early.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:2001>').send('< . 1:1(0) ack 1001');
      early.expectAfterMs(10, '> . 1001:2001(1000) ack 1');
    });
  });

  it('survives a time-out: what is marked is not sent again (RFC 6675 §5.1) [SACK-12]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, options: { rack: false } })
        .wrote(5000)
        .advanceMs(20);
      peer.send('< . 1:1(0) ack 1 <nop,nop,sack 2001:3001>').expectNothing();
      peer.expectAfterMs(200, '> . 1:1001(1000) ack 1').expectNothing(100);
      peer.send('< . 1:1(0) ack 1001').expect('> . 1001:2001(1000) ack 1');
      peer.expect('> . 3001:4001(1000) ack 1').expectNothing(20);
      peer.send('< . 1:1(0) ack 3001').expect('> P. 4001:5001(1000) ack 1').expectNothing(20).ackAll();
    });
  });

  it('is ignored where it cannot be true (RFC 2018 §5) [SACK-13]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(9000);
      peer.send('< . 1:1(0) ack 2001').drain();
      const before = peer.rcvNxt;
      for (const block of [
        '5001:4001', // the wrong way round
        '5001:5001', // nothing
        `4001:${before + 1}`, // more than was sent
        `${before}:${before + 1000}`,
        '1001:4001', // across what is acknowledged
        '2001:3001', // what the ACK number itself denies
        '-500000:-400000', // of no time at all
        '2000004001:2000005001',
      ]) {
        const { sackInvalid } = peer.stats.tcp;
        peer.send(`< . 1:1(0) ack 2001 <nop,nop,sack ${block}>`);
        expect(sackedBytes(peer), block).to.equal(0);
        expect(peer.stats.tcp.sackInvalid, block).to.equal(sackInvalid + 1);
      }
      // Good ones beside them count.
      peer.send('< . 1:1(0) ack 2001 <nop,nop,sack 4001:5001 9001:8001>');
      expect(sackedBytes(peer)).to.equal(1000);
    });
  });

  it('of any numbers whatever counts just what of it can be true [SACK-13, SACK-14]', () => {
    const edge = fc.oneof(
      fc.integer({ min: -2000, max: 12_000 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    );
    const near = fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 1, max: 3000 }));
    const block = fc.oneof(
      fc.tuple(edge, edge),
      near.map(([start, n]) => [start, start + n] as [number, number]),
    );
    const step = fc.record({
      ack: fc.integer({ min: 0, max: 400 }),
      blocks: fc.array(block, { minLength: 0, maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), fc.integer(), (steps, iss) => {
        const peer = established({ iss: iss >>> 0, timestamps: false }).wrote(10_000);
        const end = 10_001;
        let una = 1;
        const sacked = new Set<number>();
        for (const { ack, blocks } of steps) {
          una = Math.min(end, una + ack);
          const option = blocks.map(([start, stop]) => `${start}:${stop}`).join(' ');
          peer.send(`< . 1:1(0) ack ${una} <${option === '' ? '' : `nop,nop,sack ${option}`}>`);
          blocks.forEach(([start, stop], i) => {
            const second = blocks[1];
            const inside = i === 0 && blocks.length > 1 && within(start, stop, second);
            if (start >= stop || stop > end || start <= una || stop - start > 2 ** 30 || inside) return;
            for (let byte = start; byte < stop; byte++) sacked.add(byte);
          });
          for (const byte of sacked) if (byte < una) sacked.delete(byte);
          expect(sackedBytes(peer), `after ack ${una} <${option}>`).to.equal(sacked.size);
          peer.drain();
        }
        // Whatever was marked: with all acknowledged, all is well.
        for (let i = 0; i < 12; i++) peer.ackAll().drain();
        expect(peer.endpoint.unackedBytes).to.equal(0);
        expect(peer.endpoint.connection.sender.recovery.inFlightBytes).to.equal(0);
        peer.host.finish();
      }),
      { numRuns: 150, seed: 13 },
    );
  });

  it('need not follow the borders of what was sent [SACK-14]', () => {
    forEachFamily((family) => {
      const peer = established(family).wrote(6000).advanceMs(20);
      peer.send('< . 1:1(0) ack 1 <nop,nop,sack 501:1201>').expectNothing();
      expect(sackedBytes(peer)).to.equal(700);
      peer.send('< . 1:1(0) ack 1 <nop,nop,sack 501:1201 2401:6001>');
      // Only what is not marked is sent again, however the segments lay.
      peer
        .expect('> . 1:501(500) ack 1')
        .expect('> . 1201:2001(800) ack 1')
        .expect('> . 2001:2401(400) ack 1');
      peer.expectNothing().send('< . 1:1(0) ack 777 <nop,nop,sack 2401:6001>').expectNothing();
      expect(peer.endpoint.unackedBytes).to.equal(6001 - 777);
      peer.send('< . 1:1(0) ack 6001');
      expect(peer.endpoint.unackedBytes).to.equal(0);
    });
  });

  it('costs work in proportion to what is in flight, however the blocks are chosen (CVE-2019-11478) [SACK-16]', () => {
    // The work is counted in rows looked at.
    class CountingLog extends SentLog {
      static looks = 0;
      override slot(i: number): number {
        CountingLog.looks++;
        return super.slot(i);
      }
    }
    const cost = (rows: number): number => {
      const iss = seq(0xffff_f000);
      const recovery = recoveryAt(iss);
      (recovery.board as { log: SentLog }).log = new CountingLog();
      for (let i = 0; i < rows; i++)
        recovery.sent(seqAdd(iss, 100 * i), seqAdd(iss, 100 * i + 100), 0, false);
      const facts = new AckFacts();
      facts.ack = iss;
      facts.sndNxt = seqAdd(iss, 100 * rows);
      facts.mssBytes = 100;
      CountingLog.looks = 0;
      const acks = 200;
      for (let i = 0; i < acks; i++) {
        facts.nowUs += 1000;
        facts.sackCount = 4;
        // Slivers that split rows at ever new places, from the end to the beginning.
        for (let block = 0; block < 4; block++) {
          const at = 100 * (((i * 4 + block) * 7919) % rows) + (i % 90) + 1;
          facts.sackEdges[2 * block] = seqAdd(iss, at);
          facts.sackEdges[2 * block + 1] = seqAdd(iss, at + 5);
        }
        recovery.acknowledge(facts, iss);
        recovery.board.nextLost();
      }
      expect(recovery.log.count).to.be.at.most(16_384);
      return CountingLog.looks / acks;
    };
    const small = cost(1000);
    const large = cost(8000);
    expect(large, 'rows looked at for one ACK').to.be.below(12 * 8000 * 4);
    // Eight times as much in flight is eight times the work, not 64 times.
    expect(large / small).to.be.below(12);
  });
});

describe('a FIN that waits alone', () => {
  it('is still reported when the text before it that waited too has joined the rest (RFC 2018 §3)', () => {
    const peer = Peer.established();
    peer.send('< F. 2001:2001(0) ack 1').expect('> . 1:1(0) ack 1 <nop,nop,sack 2001:2002>');
    peer.send('< . 1001:1501(500) ack 1').expect('> . 1:1(0) ack 1 <nop,nop,sack 1001:1501 2001:2002>');
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1501 <nop,nop,sack 2001:2002>');
    peer.send('< . 1501:2001(500) ack 1').expect('> . 1:1(0) ack 2002 <!sack>');
    peer.abort().drain();
  });
});

/** Whether a block lies in another, as a D-SACK does. */
function within(start: number, end: number, other: readonly number[]): boolean {
  return start >= other[0] && end <= other[1];
}
