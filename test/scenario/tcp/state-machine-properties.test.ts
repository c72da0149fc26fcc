/** What holds for any segment: rows of tcp.md §1.4 as properties, held against naive models. */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seq } from '../../../lib/base/seq.js';
import { DropReason, StackStats } from '../../../lib/base/stats.js';
import { MemoryAccount } from '../../../lib/tcp/memory.js';
import { Receiver } from '../../../lib/tcp/receiver.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { PEER_STATES, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const WRAP = 0x1_0000_0000;

/** Runs a property of scenarios: each run is finished and checked for leaks before the next. */
function holds<T>(arbitrary: fc.Arbitrary<T>, numRuns: number, scenario: (value: T) => void): void {
  const property = fc.property(arbitrary, (value) => {
    scenario(value);
    finishAll();
  });
  fc.assert(property, { numRuns, seed: 9293 });
}

/** Sequence numbers, often near where they wrap or change sign. */
const number = fc.oneof(
  fc.integer({ min: 0, max: WRAP - 1 }),
  fc.integer({ min: -40, max: 40 }).map((near) => (near + WRAP) % WRAP),
  fc.integer({ min: -40, max: 40 }).map((near) => 0x8000_0000 + near),
);

describe('the acceptability test', () => {
  /** RFC 9293 §3.10.7.4, Table 6, in whole numbers that do not wrap: offsets from RCV.NXT. */
  const isAcceptable = (offset: number, length: number, window: number): boolean => {
    const inWindow = (point: number): boolean => point >= 0 && point < window;
    if (length === 0 && window === 0) return offset === 0;
    if (length === 0) return inWindow(offset);
    if (window === 0) return false;
    return inWindow(offset) || inWindow(offset + length - 1);
  };

  it('has the four cases of RFC 9293 §3.10.7.4, modulo 2^32 [FSM-17]', () => {
    const edge = fc.integer({ min: -12, max: 12 });
    const input = fc.record({
      rcvNxt: number,
      window: fc.oneof(fc.constantFrom(0, 1, 2, 65_535, 0x3fff_ffff), fc.integer({ min: 0, max: 30 })),
      length: fc.oneof(fc.constantFrom(0, 1, 2, 1460), fc.integer({ min: 0, max: 40 })),
      offset: fc.oneof(edge, fc.integer({ min: -0x4000_0000, max: 0x4000_0000 })),
      atEnd: fc.boolean(),
    });
    const check = fc.property(input, ({ rcvNxt, window, length, offset, atEnd }) => {
      const { tcp } = new StackStats();
      const receiver = new Receiver({
        irs: seq(rcvNxt - 1),
        windowBytes: window,
        bufferBytes: window,
        maxBufferBytes: 0x3fff_ffff,
        clampBytes: 0,
        windowShift: 14,
        sack: true,
        timestamps: false,
        stats: tcp,
        memory: new MemoryAccount(tcp, 1e9, 1e9),
      });
      const at = atEnd ? window + offset - length : offset;
      const answer = receiver.isAcceptable(seq(rcvNxt + at), length);
      expect(answer, `${at} of ${window}, ${length} bytes`).to.equal(isAcceptable(at, length, window));
    });
    fc.assert(check, { numRuns: 5000, seed: 9293 });
  });

  it('decides what a connection takes (RFC 9293 §3.10.7.4) [FSM-17]', () => {
    const input = fc.record({
      irs: number,
      window: fc.constantFrom(50, 600, 1000),
      offset: fc.integer({ min: -60, max: 60 }),
      atEnd: fc.boolean(),
      length: fc.integer({ min: 0, max: 60 }),
    });
    holds(input, 200, ({ irs, window, offset, atEnd, length }) => {
      const peer = Peer.established({
        irs,
        options: { receiveBufferBytes: window, receiveBufferMaxBytes: window },
      });
      const at = atEnd ? window + offset - length : offset;
      peer.send(`< . ${1 + at}:${1 + at + length}(${length}) ack 1`).drain();
      const refused = peer.stats.drops.count(DropReason.TcpOutOfWindow);
      expect(refused === 0, `${at} of ${window}, ${length} bytes`).to.equal(isAcceptable(at, length, window));
    });
  });
});

describe('a segment that straddles the window', () => {
  it('is trimmed left and right, and its FIN counts only inside (RFC 9293 §3.10.7.4) [FSM-19]', () => {
    const step = fc.record({
      from: fc.integer({ min: -80, max: 160 }),
      length: fc.integer({ min: 0, max: 250 }),
      read: fc.integer({ min: 0, max: 120 }),
    });
    const input = fc.record({
      irs: number,
      total: fc.integer({ min: 100, max: 600 }),
      steps: fc.array(step, { minLength: 1, maxLength: 30 }),
    });
    holds(input, 150, ({ irs, total, steps }) => {
      const peer = Peer.established({
        irs,
        options: { receiveBufferBytes: 200, receiveBufferMaxBytes: 200 },
      });
      straddle(peer, total, steps);
    });
  });
});

/** Sends pieces of a stream of `total` bytes and a FIN from around RCV.NXT, and keeps a naive account. */
function straddle(
  peer: Peer,
  total: number,
  steps: readonly { readonly from: number; readonly length: number; readonly read: number }[],
): void {
  const { receiver } = peer.endpoint.connection;
  if (receiver === undefined) throw new Error('no receiver');
  const there = new Set<number>();
  let next = 0;
  let read = 0;
  for (const step of steps) {
    const start = Math.max(0, Math.min(total, next + step.from));
    const end = Math.max(start, Math.min(total, start + step.length));
    const hasFin = end === total;
    const window = receiver.rcvWnd;
    const occupies = end - start + (hasFin ? 1 : 0);
    const ended = next > total;
    peer.send(`< ${hasFin ? 'F' : ''}. ${1 + start}:${1 + end}(${end - start}) ack 1`).drain();
    if (!ended && touches(start, occupies, next, next + window)) {
      for (let i = Math.max(start, next); i < Math.min(start + occupies, next + window); i++) there.add(i);
    }
    while (there.has(next)) next++;
    expect(receiver.rcvNxt, 'RCV.NXT').to.equal(seq((receiver.irs as number) + 1 + next));
    expect(peer.state).to.equal(next > total ? 'CLOSE-WAIT' : 'ESTABLISHED');
    const wanted = Math.min(step.read, Math.min(next, total) - read);
    const bytes = peer.read(wanted);
    expect(bytes.length).to.equal(wanted);
    expect(peer.outgoing.difference(read, bytes)).to.equal(-1);
    read += wanted;
    peer.drain();
  }
}

/** Whether the first or last number a segment occupies lies in a window. */
const touches = (start: number, occupies: number, from: number, to: number): boolean =>
  occupies > 0 &&
  ((start >= from && start < to) || (start + occupies - 1 >= from && start + occupies - 1 < to));

describe('the window of the peer', () => {
  it('is that of its newest segment, in whatever order they come (RFC 9293 §3.10.7.4) [FSM-24]', () => {
    const segment = fc.record({
      text: fc.constantFrom(0, 0, 10),
      acks: fc.constantFrom(0, 500, 1000),
      window: fc.integer({ min: 1, max: 65_535 }),
      rank: fc.integer(),
    });
    const input = fc.record({
      irs: number,
      segments: fc.array(segment, { minLength: 2, maxLength: 15 }),
    });
    holds(input, 150, ({ irs, segments }) => {
      const peer = Peer.established({ irs, mss: 1000 }).wrote(9000);
      newestWindow(peer, segments);
    });
  });

  it('is taken from a SYN in SYN-RECEIVED and a SYN-ACK in SYN-SENT (RFC 9293 §3.10.7.4) [FSM-24]', () => {
    const opened = Peer.connecting();
    opened.expect('> S 0:0(0)').send('< S. 0:0(0) ack 1 win 3456');
    expect(opened.endpoint.connection.sender.sndWnd).to.equal(3456);
    const crossed = Peer.connecting();
    crossed.expect('> S 0:0(0)').send('< S 0:0(0) win 4567').drain();
    expect(crossed.endpoint.connection.sender.sndWnd).to.equal(4567);
  });
});

/** Sends a run of segments, each newer than the one before, in the order of `rank`. */
function newestWindow(
  peer: Peer,
  segments: readonly {
    readonly text: number;
    readonly acks: number;
    readonly window: number;
    readonly rank: number;
  }[],
): void {
  const { sender } = peer.endpoint.connection;
  let start = 1;
  let ack = 1;
  let before = 0;
  const run = segments.map(({ text, acks, window, rank }, age) => {
    // A segment is newer by its number, or by what it acknowledges.
    ack += before + acks === 0 ? 1 : acks;
    before = text;
    const line = `< . ${start}:${start + text}(${text}) ack ${Math.min(ack, 9001)} win ${window}`;
    start += text;
    return { line, age, window, rank };
  });
  const sorted = [...run].sort((a, b) => a.rank - b.rank || a.age - b.age);
  let newest = -1;
  for (const { line, age, window } of sorted) {
    peer.send(line).drain();
    if (age > newest) {
      newest = age;
      expect(sender.sndWnd, line).to.equal(window);
    } else {
      expect(sender.sndWnd, `${line}, old`).to.equal(run[newest].window);
    }
  }
  peer.ackAll().drain();
}

describe('an RST', () => {
  it('is never answered with an RST, in any state (RFC 9293 §3.5.2) [FSM-40]', () => {
    const input = fc.record({
      state: fc.constantFrom(...PEER_STATES),
      more: fc
        .array(fc.constantFrom('S', 'F', 'P', '.', 'U'))
        .map((letters) => [...new Set(letters)].join('')),
      start: fc.oneof(fc.integer({ min: -3, max: 70_000 }), number),
      length: fc.integer({ min: 0, max: 100 }),
      ack: fc.oneof(fc.integer({ min: 0, max: 4 }), number),
    });
    holds(input, 400, ({ state, more, start, length, ack }) => {
      const peer = Peer.in(state);
      peer.send(`< R${more} ${start}:${(start + length) % WRAP}(${length}) ack ${ack}`);
      for (const { line, text } of peer.drain()) expect(line.flags & TcpFlag.RST, text).to.equal(0);
      expect(peer.host.unclaimed).to.have.lengthOf(0);
    });
  });
});

describe('SND.UNA', () => {
  it('only advances, and an older ACK within reach still delivers its text (RFC 9293 §3.10.7.4) [FSM-43]', () => {
    const input = fc.record({
      iss: number,
      acks: fc.array(fc.integer({ min: -3000, max: 12_000 }), { minLength: 1, maxLength: 25 }),
    });
    holds(input, 120, ({ iss, acks }) => {
      const peer = Peer.established({ iss, mss: 1000, window: 8000, tcp: { invalidAckIntervalMs: 0 } }).wrote(
        8000,
      );
      for (const ack of acks) oneAck(peer, ack);
      peer.ackAll();
    });
  });
});

/** One segment of 10 bytes with an ACK field, new, old or impossible. */
function oneAck(peer: Peer, ack: number): void {
  const { sender, receiver } = peer.endpoint.connection;
  const before = (sender.sndUna - sender.iss) >>> 0;
  const next = (sender.sndNxt - sender.iss) >>> 0;
  const reach = Math.min(sender.maxSndWnd, before - 1);
  const counts = ack <= next && ack >= before - reach;
  const { readableBytes } = peer.endpoint;
  const { sndWnd } = sender;
  // Each segment says another window, of which an old ACK's does not count.
  const window = 8000 + (peer.sndNxt % 1000);
  peer.send(`< . ${peer.sndNxt}:${peer.sndNxt + 10}(10) ack ${ack} win ${window}`);
  expect(sender.sndWnd, 'SND.WND').to.equal(counts && ack >= before ? window : sndWnd);
  const una = (sender.sndUna - sender.iss) >>> 0;
  expect(una, `SND.UNA after ack ${ack} of ${before}..${next}`).to.equal(
    counts ? Math.max(before, ack) : before,
  );
  expect(peer.endpoint.readableBytes - readableBytes, `text with ack ${ack}`).to.equal(counts ? 10 : 0);
  if (!counts) {
    peer.expect(`> . ${next}:${next}(0) ack ${peer.sndNxt - 10}`);
    // What was refused was not sent, as far as this side knows.
    peer.sndNxt = ((receiver?.rcvNxt as Seq) - (receiver?.irs as Seq)) >>> 0;
  }
  peer.drain();
}
