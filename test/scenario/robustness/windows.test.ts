/** Numbers at and beyond the edges of windows: rows E28, E29 and E30 of robustness.md. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, forEachIsn, Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

describe('a segment or ACK beyond a window', () => {
  it('is refused at the very edge, and taken one byte before it, wherever numbers begin [E28]', () => {
    forEachIsn((isn) => {
      const options = { receiveBufferBytes: 8000, receiveBufferMaxBytes: 8000 };
      const peer = Peer.established({ ...isn, mss: 1000, options });
      const edge = 1 + (peer.endpoint.connection.receiver?.rcvWnd ?? 0);
      peer.send(`< . ${edge}:${edge + 10}(10) ack 1`).expect('> . 1:1(0) ack 1 <>');
      expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(1);
      // What sticks out is cut off at the edge.
      peer
        .send(`< . ${edge - 1}:${edge + 99}(100) ack 1`)
        .expect(`> . 1:1(0) ack 1 <nop,nop,sack ${edge - 1}:${edge}>`);
      peer.send('< . -99:1(100) ack 1').send('< . -1000:-900(100) ack 1').drain();
      expect(peer.endpoint.readableBytes).to.equal(0);
      for (let start = 1; start < edge - 1; start += 1000) {
        const end = Math.min(start + 1000, edge - 1);
        peer.send(`< . ${start}:${end}(${end - start}) ack 1`);
      }
      peer.drain();
      peer.expectRead(edge - 1).drain();
    });
  });

  it('that acknowledges what was not sent moves nothing, wherever numbers begin [E28]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, mss: 1000 }).wrote(5000);
      for (const ack of [5002, 6000, 0x7fff_0000, -0x7fff_0000, -1, 0]) {
        peer.send(`< . 1:1(0) ack ${ack} win 0`);
        expect(peer.endpoint.unackedBytes).to.equal(5000);
        expect(peer.endpoint.connection.sender.sndWnd).to.equal(65_535);
      }
      peer.drain();
      peer.send('< . 1:1(0) ack 5001').expectNothing();
      expect(peer.endpoint.unackedBytes).to.equal(0);
    });
  });
});

describe('a window that shrinks under what is on its way', () => {
  forEachFamily((family, name) => {
    it(`stops what is new, and lets what is lost be sent again, over ${name} (RFC 9293 §3.8.6) [E28]`, () => {
      for (const window of [0, 1, 500, 1000, 4999]) {
        const peer = Peer.established({ ...family, mss: 1000, sack: false, window: 5000 });
        peer.write(20_000);
        expect(peer.drain()).to.have.length(5);
        peer.send(`< . 1:1(0) ack 1 win ${window}`).expectNothing();
        expect(peer.endpoint.unsentBytes).to.equal(15_000);
        // Only the first segment is sent again, as much of it as fits; whole, where nothing does (as Linux).
        const text = window === 0 ? 1000 : Math.min(1000, window);
        peer.expectAfterMs(220, `> . 1:${1 + text}(${text}) ack 1`, { toleranceMs: 5 }).expectNothing();
        // All arrived after all: the window is behind what was sent, which is no negative room.
        peer.send(`< . 1:1(0) ack 3001 win ${window}`);
        for (const { line } of peer.drain()) {
          expect(
            line.start === 3001 || line.start + line.textBytes <= 3001 + window,
            `at ${line.start}`,
          ).to.equal(true);
        }
        peer.send('< . 1:1(0) ack 5001 win 5000').drain();
        let acked = peer.rcvNxt;
        expect(acked).to.be.above(5001);
        for (let i = 0; i < 20 && acked < 20_001; i++) {
          peer.send(`< . 1:1(0) ack ${acked} win 5000`);
          for (const { line } of peer.drain()) acked = Math.max(acked, line.start + line.textBytes);
        }
        expect(acked).to.equal(20_001);
        peer.ackAll();
        finishAll();
      }
    });
  });

  it('to anything, again and again, never lets more go than its right edge allowed (property) [E28]', () => {
    const step = fc.record({
      ackShare: fc.double({ min: 0, max: 1, noNaN: true }),
      window: fc.oneof(fc.constantFrom(0, 1, 999, 1000, 1001, 65_535), fc.integer({ min: 0, max: 65_535 })),
      waitMs: fc.constantFrom(0, 0, 10, 400, 3000),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 25 }),
        fc.constantFrom(0, 0xffff_f000, 0x7fff_f000),
        (steps, iss) => {
          const peer = Peer.established({ mss: 1000, window: 10_000, iss });
          let edge = 10_001;
          let una = 1;
          peer.write(60_000);
          const check = (): void => {
            for (const { line } of peer.drain()) {
              if (line.textBytes === 0) continue;
              expect(line.start + line.textBytes, `edge ${edge}`).to.be.at.most(edge);
            }
          };
          check();
          for (const { ackShare, window, waitMs } of steps) {
            una += Math.floor((peer.rcvNxt - una) * ackShare);
            edge = Math.max(edge, una + window);
            peer.send(`< . 1:1(0) ack ${una} win ${window}`);
            check();
            peer.advanceMs(waitMs);
            check();
          }
          finishAll();
        },
      ),
      { numRuns: 60, seed: 28 },
    );
  });
});

describe('SACK near the wrap of sequence numbers', () => {
  /** What a stack sends in answer to a script, with its numbers relative: the same wherever they begin. */
  const outcome = (options: PeerOptions, lines: readonly string[]): string => {
    const peer = Peer.established({ mss: 1000, ...options }).write(20_000);
    const sent: string[] = [];
    const note = (): void => {
      for (const { text, atMs } of peer.drain()) sent.push(`${atMs.toFixed(0)} ${text}`);
    };
    note();
    for (const line of lines) {
      peer.send(line);
      note();
      peer.advanceMs(15);
      note();
    }
    peer.advanceMs(3000);
    note();
    const { sackInvalid, duplicates, outOfOrderQueued, sackRecovery } = peer.stats.tcp;
    peer.host.finish();
    return [...sent, JSON.stringify([sackInvalid, duplicates, outOfOrderQueued, sackRecovery])].join('\n');
  };

  /** Numbers at which something of the script below wraps, in either direction. */
  const ORIGINS = [0, 1, 0x7fff_e000, 0x7fff_ffff, 0x8000_0000, 0xffff_d000, 0xffff_f000, 0xffff_ffff];

  const block = fc.tuple(
    fc.oneof(
      fc.integer({ min: 0, max: 22 }).map((n) => n * 1000 + 1),
      fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff }),
    ),
    fc.oneof(
      fc.integer({ min: 0, max: 22 }).map((n) => n * 1000 + 1),
      fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff }),
    ),
  );
  const line = fc.record({
    ack: fc.integer({ min: 0, max: 10 }),
    blocks: fc.array(block, { minLength: 1, maxLength: 4 }),
    start: fc.integer({ min: 0, max: 9 }),
    text: fc.constantFrom(0, 0, 500, 1000),
  });

  it('means the same as anywhere else: recovery, reports and what is refused (model) [E29]', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), (script) => {
        const lines = script.map(({ ack, blocks, start, text }) => {
          const sack = blocks.map(([first, end]) => `${first}:${end}`).join(' ');
          const first = start * 1000 + 1;
          return `< . ${first}:${first + text}(${text}) ack ${ack * 1000 + 1} <sack ${sack}>`;
        });
        const expected = outcome({ iss: 1000, irs: 1000 }, lines);
        for (const iss of ORIGINS) {
          expect(outcome({ iss, irs: ORIGINS[(ORIGINS.indexOf(iss) + 3) % ORIGINS.length] }, lines)).to.equal(
            expected,
          );
        }
      }),
      { numRuns: 12, seed: 29 },
    );
  });

  it('is recovered from where every number wraps, block by block [E29]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established({ ...isn, mss: 1000 }).wrote(10_000);
      peer
        .send('< . 1:1(0) ack 1 <sack 1001:2001>')
        .send('< . 1:1(0) ack 1 <sack 3001:4001,1001:2001>'.replace(',', ' '));
      peer.send('< . 1:1(0) ack 1 <sack 5001:10001 3001:4001 1001:2001>');
      peer.expect('> . 1:1001(1000) ack 1');
      peer.advanceMs(1);
      const resent = new Set(peer.drain().map(({ line: { start } }) => start));
      peer.send('< . 1:1(0) ack 2001 <sack 5001:10001 3001:4001>');
      for (const {
        line: { start },
      } of peer.drain())
        resent.add(start);
      expect([...resent].sort((a, b) => a - b)).to.deep.equal([2001, 4001]);
      peer.send('< . 1:1(0) ack 10001').expectNothing(3000);
    });
  });
});

describe('segments of one byte with holes of one byte between them', () => {
  it('are kept as far as there is room, and refused beyond it; the rest goes on [E30]', () => {
    const peer = Peer.established();
    const count = 4000;
    for (let i = 0; i < count; i += 50) {
      peer.sendBatch(
        ...Array.from({ length: 50 }, (_, j) => `< . ${2 + 2 * (i + j)}:${3 + 2 * (i + j)}(1) ack 1`),
      );
    }
    const { waiting } = peer.endpoint.connection.receiver?.buffer ?? {};
    expect(waiting?.count).to.equal(1024);
    expect(peer.stats.tcp).to.include({ outOfOrderQueued: 1024, outOfOrderDropped: count - 1024 });
    expect(peer.stats.drops.count(DropReason.TcpOutOfOrderLimit)).to.equal(count - 1024);
    expect(peer.gauges.memoryBytes).to.be.at.most(2 * 131_072);
    peer.drain();
    // The holes fill, and nothing is lost or doubled: what was refused comes again, as from any peer.
    peer.send('< . 1:2001(2000) ack 1').expect('> . 1:1(0) ack 2001').expectRead(2000);
    expect(waiting?.count).to.equal(24);
    peer.send('< . 2001:8001(6000) ack 1').drain();
    peer.expectRead(6000);
    expect(waiting?.count).to.equal(0);
  });

  it('in any order cost the same: no search through all of them for each [E30]', () => {
    const work = (count: number): number => {
      const peer = Peer.established();
      const order = Array.from({ length: count }, (_, i) => (i * 389) % count);
      const packets = order.map((i) => peer.packet(`< . ${2 + 2 * i}:${3 + 2 * i}(1) ack 1`));
      const start = process.cpuUsage().user;
      for (let i = 0; i < count; i += 64) peer.host.inject(packets.slice(i, i + 64));
      const elapsed = process.cpuUsage().user - start;
      peer.drain();
      peer.host.finish();
      return elapsed / count;
    };
    work(1000);
    // A thousand at a time against eight thousand, which are mostly refused.
    const small = Math.min(work(1000), work(1000), work(1000));
    const large = Math.min(work(8000), work(8000));
    expect(large).to.be.below(5 * small + 20);
  });

  it('are no larger in memory than a few large ones [E30]', () => {
    const large = Peer.established();
    for (let i = 0; i < 20; i++) large.send(`< . ${1001 + 3000 * i}:${2001 + 3000 * i}(1000) ack 1`);
    const small = Peer.established();
    for (let i = 0; i < 1024; i++) small.send(`< . ${2 + 50 * i}:${3 + 50 * i}(1) ack 1`);
    expect(small.gauges.memoryBytes).to.be.at.most(2 * (large.gauges.memoryBytes ?? 0));
    large.drain();
    small.drain();
  });
});
