/** Timestamps: RFC 7323 §3, §4 and §7.1. PAWS is in `paws.test.ts`. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { SystemClock } from '../../../lib/stack/system-clock.js';
import { RttEstimator } from '../../../lib/tcp/recovery/rtt-estimator.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer =>
  Peer.established({ timestamps: true, mss: 1000, ...options });

/** Smoothed round-trip time of the stack's end, ms. */
const srttMs = (peer: Peer): number => peer.endpoint.connection.sender.recovery.rtt.srttUs / 1000;

/** Takes the connection out of the quick ACKs it begins with: from now on an ACK is delayed. */
function endQuickAcks(peer: Peer): void {
  for (let i = 0; i < 16; i++) peer.sendText(10).advanceMs(1);
  peer.drain();
}

/** TSval and TSecr of a segment as they stand on the wire. */
function rawStamps(bytes: Uint8Array): { val: number; ecr: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = bytes[0] >> 4 === 6 ? 40 : (bytes[0] & 15) * 4;
  const end = at + (bytes[at + 12] >> 4) * 4;
  for (let next = at + 20; next < end; next += bytes[next] === 1 ? 1 : bytes[next + 1]) {
    if (bytes[next] === 0) break;
    if (bytes[next] === 8) return { val: view.getInt32(next + 2), ecr: view.getInt32(next + 6) };
  }
  return undefined;
}

describe('timestamps on the wire', () => {
  it('stand in every segment but an RST, whatever happens (RFC 7323 §3.2) [TS-2]', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), n: fc.integer({ min: 1, max: 4000 }) }),
      fc.record({ kind: fc.constant('text' as const), n: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ kind: fc.constant('gap' as const), n: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ kind: fc.constant('ack' as const), n: fc.constantFrom(0, 500, 65_535) }),
      fc.record({ kind: fc.constant('time' as const), n: fc.constantFrom(1, 50, 300, 5000, 8_000_000) }),
      fc.record({ kind: fc.constant('bad' as const), n: fc.integer({ min: 100_000, max: 900_000 }) }),
      fc.record({ kind: fc.constant('shutdown' as const), n: fc.constant(0) }),
      fc.record({ kind: fc.constant('fin' as const), n: fc.constant(0) }),
    );
    let checked = 0;
    const run = (ipv6: boolean, steps: readonly { kind: string; n: number }[]): void => {
      const peer = established({ ipv6, options: { keepAlive: true } });
      for (const { kind, n } of steps) {
        const at = peer.sndNxt;
        if (kind === 'write') {
          if (peer.state === 'ESTABLISHED' || peer.state === 'CLOSE-WAIT') peer.write(n);
        } else if (kind === 'text') peer.sendText(n);
        else if (kind === 'gap') peer.send(`< . ${at + 100}:${at + 100 + n}(${n}) ack 1`);
        else if (kind === 'ack') peer.ackAll(n);
        else if (kind === 'time') peer.advanceMs(n);
        else if (kind === 'bad') peer.send(`< . ${at + n}:${at + n}(0) ack 1`, {});
        else if (kind === 'shutdown') peer.shutdown();
        else peer.send(`< F. ${at}:${at}(0) ack ${peer.rcvNxt}`);
        peer.host.settle();
      }
      peer.advanceMs(500);
      for (const { line, text, bytes } of peer.drain()) {
        if (line.flags & TcpFlag.RST) continue;
        checked++;
        if (rawStamps(bytes) === undefined) expect.fail(`no timestamps in ${text}\n${peer.host.trace}`);
      }
      peer.host.finish();
    };
    fc.assert(fc.property(fc.boolean(), fc.array(step, { minLength: 3, maxLength: 14 }), run), {
      numRuns: 60,
      seed: 2,
    });
    expect(checked).to.be.greaterThan(300);
  });

  it('are not needed in what arrives, as in Linux (RFC 7323 §3.2) [TS-3]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      peer.send('< P. 1:101(100) ack 1 <>').expect('> . 1:1(0) ack 101 <TS val 20 ecr 1020>');
      peer.expectRead(100);
      expect(peer.stats.drops.count(DropReason.TcpTimestampMissing)).to.equal(0);
    });
  });

  it('are needed in what arrives where the option says so; without them it is dropped in silence [TS-3]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, options: { strictTimestamps: true } });
      peer.send('< P. 1:101(100) ack 1 <>').expectNothing(1000);
      expect(peer.stats.drops.count(DropReason.TcpTimestampMissing)).to.equal(1);
      peer.send('< P. 1:101(100) ack 1').expect('> . 1:1(0) ack 101').expectRead(100);
      // An RST is a matter of its own.
      peer.send('< R. 101:101(0) ack 1 <>').expectState('CLOSED');
    });
  });

  it('mean nothing where they were not agreed on [TS-4]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.send('< P. 1:11(10) ack 1 <nop,nop,TS val 5000 ecr 1>').expect('> . 1:1(0) ack 11 <>');
    // One that PAWS would turn away.
    peer.send('< P. 11:21(10) ack 1 <nop,nop,TS val 10 ecr 1>').expect('> . 1:1(0) ack 21 <>');
    // And one whose echo would make a round-trip time of its own.
    const before = srttMs(peer);
    peer.wrote(100).advanceMs(20);
    peer.send('< . 21:21(0) ack 101 <nop,nop,TS val 5000 ecr -3000>').expectNothing();
    expect(srttMs(peer)).to.be.closeTo(before, 0.01);
    peer.expectRead(20);
  });

  it('echo zero in a segment without ACK, and what such a segment echoes is not looked at [TS-5]', () => {
    // What has no ACK is the SYN; a TSecr of zero is zero on the wire.
    const client = Peer.connecting({ timestamps: true });
    const syn = client.take() ?? expect.fail('a SYN');
    expect(rawStamps(syn.bytes)).to.include({ ecr: 0 });
    client.expectAfterMs(1000, '> S 0:0(0) <TS val 1000 ecr 0>');
    // A SYN that seems to echo something: the round trip is measured by the handshake alone.
    const server = Peer.listening({ timestamps: true, mss: 1000 });
    server.send('< S 0:0(0) <mss 1000,sackOK,TS val 1000 ecr -700>').expect('> S. 0:0(0) ack 1');
    server.advanceMs(20).send('< . 1:1(0) ack 1');
    expect(srttMs(server)).to.be.closeTo(20, 1);
    // Data without ACK is not even taken.
    server.wrote(100).advanceMs(20);
    server.send('< P 1:11(10) <nop,nop,TS val 1040 ecr 20>').expectNothing();
    expect(server.stats.drops.count(DropReason.TcpNoAckFlag)).to.equal(1);
    expect(srttMs(server)).to.be.closeTo(20, 1);
  });

  it('stand in an RST of a connection that has them, and an old one in an RST is no reason to keep it [TS-6]', () => {
    forEachFamily((family) => {
      const peer = established(family).advanceMs(80);
      peer.send('< P. 1:11(10) ack 1').expect('> . 1:1(0) ack 11 <TS val 100 ecr 1100>');
      peer.abort().expect('> R. 1:1(0) ack 11 <TS val 100 ecr 1100>');
      const plain = Peer.established(family).abort();
      plain.expect('> R. 1:1(0) ack 1 <>');
      // No PAWS on RST, in any state.
      const old = established(family).send('< R 1:1(0) <nop,nop,TS val 5 ecr 0>');
      old.expectState('CLOSED').expectEvents('close ECONNRESET');
      const half = Peer.in('SYN-RECEIVED', { ...family, timestamps: true });
      half.send('< R 1:1(0) <nop,nop,TS val 5 ecr 0>').expectState('LISTEN').expectNothing();
    });
  });

  it('take 12 bytes from every segment, and are new in one that is sent again (RFC 7323 §4) [TS-17]', () => {
    const peer = established({ tailLossProbe: false }).write(988);
    peer.expect('> P. 1:989(988) ack 1 <TS val 20 ecr 1020>');
    peer.expectAfterMs(220, '> P. 1:989(988) ack 1 <TS val 240 ecr 1020>');
    peer.expectAfterMs(440, '> P. 1:989(988) ack 1 <TS val 680 ecr 1020>');
    // Also in a fast retransmission.
    const fast = established()
      .wrote(4 * 988)
      .advanceMs(7);
    fast.send('< . 1:1(0) ack 1 <sack 989:3953>').expect('> . 1:989(988) ack 1 <TS val 27 ecr *>');
  });
});

describe('TS.Recent', () => {
  it('is that of the earliest segment not yet acknowledged, so that a delayed ACK echoes it (RFC 7323 §4.3 A) [TS-7, TS-8]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      // Two segments of one batch, one ACK.
      peer.sendBatch(
        '< . 1:1001(1000) ack 1 <nop,nop,TS val 2000 ecr 20>',
        '< P. 1001:2001(1000) ack 1 <nop,nop,TS val 2001 ecr 20>',
      );
      peer.expect('> . 1:1(0) ack 2001 <TS val * ecr 2000>').expectNothing();
      // Now with a delay between them.
      const other = established(family);
      endQuickAcks(other);
      other.send('< P. 161:171(10) ack 1 <nop,nop,TS val 3000 ecr 20>').expectNothing(5);
      other.send('< P. 171:181(10) ack 1 <nop,nop,TS val 3005 ecr 20>').expectNothing(5);
      other.advanceMs(200).expect('> . 1:1(0) ack 181 <TS val * ecr 3000>').expectNothing();
      // With the ACK it moves on.
      other.send('< P. 181:191(10) ack 1 <nop,nop,TS val 3400 ecr 20>').advanceMs(200);
      other.expect('> . 1:1(0) ack 191 <TS val * ecr 3400>');
    });
  });

  it('stays behind a gap, and is that of the segment that fills it (RFC 7323 §4.3 B, C) [TS-7, TS-9, TS-10]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      peer
        .send('< . 1:1001(1000) ack 1 <nop,nop,TS val 2000 ecr 20>')
        .expect('> . 1:1(0) ack 1001 <TS val * ecr 2000>');
      // C and D of figure 4 overtake B.
      peer.send('< . 2001:3001(1000) ack 1 <nop,nop,TS val 2002 ecr 20>');
      peer.expect('> . 1:1(0) ack 1001 <TS val * ecr 2000,sack 2001:3001>');
      peer.send('< . 3001:4001(1000) ack 1 <nop,nop,TS val 2003 ecr 20>');
      peer.expect('> . 1:1(0) ack 1001 <TS val * ecr 2000,sack 2001:4001>');
      peer.send('< . 1001:2001(1000) ack 1 <nop,nop,TS val 2001 ecr 20>');
      peer.expect('> . 1:1(0) ack 4001 <TS val * ecr 2001>');
      // Sent again with a newer one, it is that which is echoed.
      peer.send('< . 5001:6001(1000) ack 1 <nop,nop,TS val 2010 ecr 20>');
      peer.expect('> . 1:1(0) ack 4001 <TS val * ecr 2001,sack 5001:6001>');
      peer.send('< . 4001:5001(1000) ack 1 <nop,nop,TS val 2300 ecr 20>');
      peer.expect('> . 1:1(0) ack 6001 <TS val * ecr 2300>');
    });
  });

  it('takes nothing from a segment that is not valid in every way [TS-11]', () => {
    const peer = established();
    const echo = '<TS val * ecr 1020>';
    // An ACK of what was never sent, as Linux's packetdrill test ts_recent/invalid_ack has it.
    peer.send('< P. 1:11(10) ack 5001 <nop,nop,TS val 9000 ecr 20>').expect(`> . 1:1(0) ack 1 ${echo}`);
    // Far outside of the window, before and behind.
    peer.advanceMs(600).send('< . 900001:900011(10) ack 1 <nop,nop,TS val 9000 ecr 20>');
    peer.expect(`> . 1:1(0) ack 1 ${echo}`);
    peer.advanceMs(600).send('< . -1000:-990(10) ack 1 <nop,nop,TS val 9000 ecr 20>');
    peer.expect(`> . 1:1(0) ack 1 ${echo}`);
    // Without ACK, and a SYN in the window.
    peer.send('< P 1:11(10) <nop,nop,TS val 9000 ecr 20>').expectNothing();
    peer.advanceMs(600).send('< S 1:1(0) <nop,nop,TS val 9000 ecr 0>').expect(`> . 1:1(0) ack 1 ${echo}`);
    // A wrong checksum.
    peer.send('< P. 1:11(10) ack 1 <nop,nop,TS val 9000 ecr 20>', { tcpChecksum: 'bad' }).expectNothing();
    peer
      .send('< P. 1:11(10) ack 1 <nop,nop,TS val 1021 ecr 20>')
      .expect('> . 1:1(0) ack 11 <TS val * ecr 1021>');
  });

  it('compares as a signed difference of 32 bits, wherever the clocks stand [TS-16 F5]', () => {
    const isNewer = (a: number, b: number): boolean => BigInt.asIntN(32, BigInt(a) - BigInt(b)) >= 0n;
    const number = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const near = fc.constantFrom(-2, -1, 0, 1, 2, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, -(2 ** 31) + 1);
    fc.assert(
      fc.property(number, fc.oneof(number, near), (base, step) => {
        const peer = established({ timestampBase: base });
        // Text adds 1000 to what stands on the wire.
        const recent = peer.tsVal;
        const next = (recent + step) | 0;
        peer.send(`< P. 1:11(10) ack 1 <nop,nop,TS val ${next} ecr 20>`);
        const taken = isNewer(next, recent);
        expect(peer.endpoint.readableBytes).to.equal(taken ? 10 : 0);
        const wire = rawStamps(peer.last?.bytes ?? new Uint8Array(20))?.ecr;
        const origin = peer.origin.remoteTimestamp ?? 0;
        expect(wire).to.equal(((taken ? next : recent) + origin) | 0);
        peer.host.finish();
      }),
      { numRuns: 80, seed: 16 },
    );
  });
});

describe('round-trip times by timestamps', () => {
  it('are taken only from an ACK that moves SND.UNA and echoes what was sent (RFC 7323 §4.1) [TS-12]', () => {
    forEachFamily((family) => {
      // What was sent twice can only be measured by timestamps (RFC 6298 §3).
      const again = (): Peer => {
        const peer = established(family).wrote(100);
        peer.advanceMs(230).drain();
        expect(srttMs(peer)).to.be.closeTo(20, 0.1);
        return peer;
      };
      // SND.UNA stays: ACKs with text, with a new window and plain duplicates measure nothing.
      const same = again();
      same.send('< P. 1:11(10) ack 1 <nop,nop,TS val 1300 ecr 20>');
      same.send('< . 11:11(0) ack 1 win 500 <nop,nop,TS val 1300 ecr 20>');
      same.send('< . 11:11(0) ack 1 win 500 <nop,nop,TS val 1300 ecr 20>');
      expect(srttMs(same)).to.be.closeTo(20, 0.1);
      // It moves: the echo tells which transmission it was, here the first, 230 ms ago.
      const first = again().send('< . 1:1(0) ack 101 <nop,nop,TS val 1300 ecr 20>');
      expect(srttMs(first)).to.be.closeTo(20 + 210 / 8, 1);
      const second = again().send('< . 1:1(0) ack 101 <nop,nop,TS val 1300 ecr 240>');
      expect(srttMs(second)).to.be.closeTo(20 - 10 / 8, 1);
      // Echoes that cannot be: from the future, from before the connection, and zero on the wire.
      for (const ecr of [5000, -9000]) {
        const odd = again().send(`< . 1:1(0) ack 101 <nop,nop,TS val 1300 ecr ${ecr}>`);
        expect(srttMs(odd), `echo ${ecr}`).to.be.closeTo(20, 0.1);
        expect(odd.endpoint.unackedBytes).to.equal(0);
      }
      const zero = again();
      zero.send(`< . 1:1(0) ack 101 <nop,nop,TS val 1300 ecr ${-(zero.origin.localTimestamp ?? 0)}>`);
      expect(srttMs(zero)).to.be.closeTo(20, 0.1);
    });
  });

  it('do not flush the history faster the more there are of them in one round trip (RFC 7323 §4.2) [TS-13]', () => {
    // Round trips of 100 ms, 20 segments in each, all acknowledged one by one; then the path has 20 ms.
    const path = (perRound: number): number[] => {
      const options = { initialWindow: perRound };
      const peer = established({ rttMs: 100, options });
      const smoothed: number[] = [];
      for (let round = 0; round < 12; round++) {
        const una = peer.rcvNxt;
        peer.wrote(988 * perRound).advanceMs(round < 4 ? 100 : 20);
        for (let i = 1; i <= perRound; i++) peer.send(`< . 1:1(0) ack ${una + 988 * i}`);
        peer.drain();
        smoothed.push(srttMs(peer));
      }
      return smoothed;
    };
    const slow = path(1);
    const fast = path(20);
    expect(slow[3]).to.be.closeTo(100, 1);
    expect(fast[3]).to.be.closeTo(100, 1);
    // By RFC 6298 one sample in the round trip leaves 90; twenty of full weight would leave 25.
    expect(slow[4]).to.be.closeTo(90, 1);
    for (let round = 4; round < 12; round++) {
      expect(fast[round], `after round ${round}`).to.be.closeTo(slow[round], 0.06 * slow[round]);
    }
  });

  it('of one sample each have the gains of RFC 6298', () => {
    const rtt = new RttEstimator({ rtoMinUs: 200_000, rtoMaxUs: 120e6, initialRtoUs: 1e6 });
    let end = 0;
    for (const sample of [100_000, 20_000, 20_000]) {
      rtt.sample(sample, (end + 1) as never, (end + 10) as never);
      end += 10;
    }
    expect(rtt.srttUs).to.equal((100_000 * 7 + 20_000) / 8 - ((100_000 * 7 + 20_000) / 8 - 20_000) / 8);
  });
});

describe('the clock of timestamps', () => {
  it('ticks once in a millisecond and goes on through stalls and whatever the wall clock does [TS-14]', () => {
    const wall = Date.now;
    try {
      const peer = established();
      let last = 0;
      const next = (): number => {
        peer.sendText(10);
        const [segment] = peer.drain().slice(-1);
        const { val } = rawStamps(segment.bytes) ?? expect.fail('timestamps');
        const step = last === 0 ? 0 : (val - last) | 0;
        last = val;
        return step;
      };
      next();
      for (const ms of [1, 2, 10, 999, 60_000]) {
        peer.advanceMs(ms);
        expect(next(), `after ${ms} ms`).to.equal(ms);
      }
      // Under a tick it stays, and never goes back.
      peer.advanceMs(0.4);
      expect(next()).to.be.within(0, 1);
      peer.stallMs(600_000);
      expect(next(), 'after a sleep of ten minutes').to.be.within(600_000, 600_001);
      for (const jump of [-86_400_000, 86_400_000, -(2 ** 40)]) {
        Date.now = () => wall() + jump;
        peer.advanceMs(5);
        expect(next(), `after the wall clock jumped by ${jump} ms`).to.be.within(5, 6);
      }
      const clock = new SystemClock();
      const before = clock.nowUs();
      Date.now = () => wall() - 86_400_000;
      expect(clock.nowUs()).to.be.at.least(before);
    } finally {
      Date.now = wall;
    }
  });

  it('has an offset of its own for each pair of addresses and ports, which stays (RFC 7323 §7.1) [TS-15 A9]', () => {
    const offsets = (seed: number): number[] => {
      const first = Peer.listening({ timestamps: true, seed });
      const found: number[] = [];
      for (let i = 0; i < 512; i++) {
        const address = `10.0.0.${2 + (i % 4)}`;
        const peer = i === 0 ? first : first.another({ port: 20_000 + i, address });
        peer.sendSyn();
        const [synAck] = peer.drain();
        const { val } = rawStamps(synAck.bytes) ?? expect.fail('timestamps');
        found.push((val - Math.floor(peer.host.clock.nowUs() / 1000)) >>> 0);
        peer.send('< R 1:1(0)');
      }
      return found;
    };
    const values = offsets(1);
    expect(new Set(values).size).to.equal(512);
    // Each bit is set about half of the time (five standard deviations of 512 throws are 57).
    for (let bit = 0; bit < 32; bit++) {
      const set = values.filter((value) => (value >>> bit) & 1).length;
      expect(set, `bit ${bit}`).to.be.within(256 - 57, 256 + 57);
    }
    // Neighbouring ports tell nothing of each other, and no two stacks agree.
    const steps = values.slice(1).map((value, i) => (value - values[i]) | 0);
    expect(new Set(steps).size).to.be.greaterThan(500);
    expect(steps.filter((step) => Math.abs(step) < 2 ** 24).length).to.be.below(20);
    const others = offsets(2);
    expect(values.filter((value, i) => value === others[i]).length).to.equal(0);
  });

  it('goes on where it was when the same addresses and ports connect again [TS-15 A9]', () => {
    const peer = Peer.listening({ timestamps: true });
    let last = -1;
    for (let incarnation = 0; incarnation < 5; incarnation++) {
      peer.sendSyn();
      const [synAck] = peer.drain();
      const { val } = rawStamps(synAck.bytes) ?? expect.fail('timestamps');
      if (last !== -1) expect((val - last) | 0).to.equal(1234);
      last = val;
      peer.send('< R 1:1(0)').expectState('LISTEN').advanceMs(1234);
    }
  });
});
