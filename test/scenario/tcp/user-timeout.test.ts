/** How long to wait for acknowledgments: the option of RFC 5482, and Linux's TCP_USER_TIMEOUT. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { TcpOptions } from '../../../lib/tcp/options.js';
import { userTimeoutField } from '../../../lib/tcp/user-timeout.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const ON: Partial<TcpOptions> = { userTimeoutOption: true };
const userTimeoutOf = (peer: Peer): number => peer.endpoint.getOption('userTimeoutMs');

describe('the user timeout option', () => {
  it('says seconds, or minutes where those do not suffice, and never zero (RFC 5482 §3) [UTO-1]', () => {
    expect(userTimeoutField(0)).to.equal(1);
    expect(userTimeoutField(999)).to.equal(1);
    expect(userTimeoutField(300_000)).to.equal(300);
    expect(userTimeoutField(300_001)).to.equal(301);
    expect(userTimeoutField(32_767_000)).to.equal(0x7fff);
    expect(userTimeoutField(32_767_001)).to.equal(0x8000 | 547);
    expect(userTimeoutField(2 ** 40)).to.equal(0xffff);
  });

  it('is in the SYN, and in the first segment that is none, but in no other (RFC 5482 §3.3) [UTO-1]', () => {
    for (const timestamps of [true, false]) {
      const client = Peer.connecting({ timestamps, options: { ...ON, userTimeoutMs: 120_000 } });
      client.expect('> S 0:0(0) <mss 1460,uto 120>');
      client.handshake().expect('> . 1:1(0) ack 1 <uto 120>');
      client.write(10).expect('> P. 1:11(10) ack 1 <!uto>');
      client.ackAll();
      // A new one is told of.
      client.endpoint.setUserTimeout(40_000_000);
      client.write(10).expect('> P. 11:21(10) ack 1 <uto 40020>');
      client.ackAll();
      client.write(10).expect('> P. 21:31(10) ack 1 <!uto>');
      client.ackAll();
      finishAll();
      const server = Peer.established({ timestamps, options: ON });
      const full = timestamps ? 1444 : 1456;
      server.write(2000).expect(`> . 1:${full + 1}(${full}) ack 1 <uto 300>`);
      server.drain();
      server.ackAll();
      finishAll();
    }
  });

  it('leaves room for two SACK blocks beside timestamps, and to a full SYN its place (RFC 5482 §3) [UTO-1]', () => {
    const peer = Peer.established({ timestamps: true, options: ON });
    for (const start of [101, 301, 501]) peer.send(`< P. ${start}:${start + 10}(10) ack 1`).drain();
    peer.endpoint.setUserTimeout(50_000);
    peer.write(1).expect('> P. 1:2(1) ack 1 <uto 50,sack 501:511 301:311>');
    peer.ackAll();
    peer.write(1).expect('> P. 2:3(1) ack 1 <sack 501:511 301:311 101:111>');
    peer.ackAll();
  });

  it('makes ours min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)) (RFC 5482 §3.1) [UTO-2]', () => {
    const limits = fc.record({
      lower: fc.integer({ min: 0, max: 1e6 }),
      upper: fc.integer({ min: 1, max: 1e8 }),
      remoteS: fc.integer({ min: 0, max: 0x7fff }),
    });
    const property = fc.property(limits, ({ lower, upper, remoteS }) => {
      const bounds = { userTimeoutLowerMs: lower, userTimeoutUpperMs: upper };
      const peer = Peer.established({ options: { ...ON, ...bounds } });
      peer.send(`< P. 1:2(1) ack 1 <uto ${remoteS}>`).drain();
      const expected = remoteS === 0 ? 0 : Math.min(upper, Math.max(300_000, 1000 * remoteS, lower));
      expect(userTimeoutOf(peer)).to.equal(expected);
      peer.expectRead(1);
      finishAll();
    });
    fc.assert(property, { numRuns: 40, seed: 5482 });
  });

  it('is heard in a SYN-ACK and in any acceptable segment, minutes too, and the last one counts [UTO-2]', () => {
    const peer = Peer.connecting({ options: { ...ON, userTimeoutUpperMs: 1e9 } });
    peer.drain();
    peer.send('< S. 0:0(0) ack 1 <mss 1460,uto 400>').drain();
    expect(userTimeoutOf(peer)).to.equal(400_000);
    peer.send('< . 1:1(0) ack 1 <uto 40020>');
    expect(userTimeoutOf(peer)).to.equal(40_020_000);
    // Not acceptable, and so not heard.
    peer.send('< . 900000:900000(0) ack 1 <uto 600>').send('< . 1:1(0) ack 999 <uto 700>').drain();
    expect(userTimeoutOf(peer)).to.equal(40_020_000);
    peer.send('< . 1:1(0) ack 1 <uto 600>');
    expect(userTimeoutOf(peer)).to.equal(600_000);
  });

  it('changes nothing where the application has set one, by option or call, until it takes that back [UTO-3]', () => {
    const bySetting = Peer.established({ options: { ...ON, userTimeoutMs: 20_000 } });
    bySetting.send('< . 1:1(0) ack 1 <uto 500>');
    expect(userTimeoutOf(bySetting)).to.equal(20_000);
    const byCall = Peer.established({ options: ON });
    byCall.endpoint.setUserTimeout(30_000);
    byCall.send('< . 1:1(0) ack 1 <uto 500>');
    expect(userTimeoutOf(byCall)).to.equal(30_000);
    byCall.endpoint.setUserTimeout(0);
    expect(userTimeoutOf(byCall)).to.equal(0);
    byCall.send('< . 1:1(0) ack 1 <uto 500>');
    expect(userTimeoutOf(byCall)).to.equal(500_000);
  });

  it('is neither sent nor obeyed unless it is turned on, and a peer without it is no trouble [UTO-4]', () => {
    const client = Peer.connecting({ options: { userTimeoutMs: 20_000 } });
    client.expect('> S 0:0(0) <!uto>').handshake().expect('> . 1:1(0) ack 1 <!uto>');
    client.write(10).expect('> P. 1:11(10) ack 1 <!uto>');
    client.ackAll();
    const server = Peer.listening().send('< S 0:0(0) win 65535 <mss 1460,uto 120>');
    server.expect('> S. 0:0(0) ack 1 <!uto>').advanceMs(20).send('< . 1:1(0) ack 1 <uto 120>');
    server.write(10).expect('> P. 1:11(10) ack 1 <!uto>');
    server.ackAll();
    expect(userTimeoutOf(server)).to.equal(0);
    const silent = Peer.established({ options: ON }).wrote(10).ackAll();
    expect(userTimeoutOf(silent)).to.equal(0);
  });
});

/** Without probes for lost tails, whose retransmissions would move the times below. RTO 220 ms. */
const patient = (options: Partial<TcpOptions> = {}, more: PeerOptions = {}): Peer =>
  Peer.established({ mss: 1000, ...more, options: { tailLossProbe: false, ...options } });

describe('the user timeout (Linux TCP_USER_TIMEOUT)', () => {
  it('ends a connection whose data is not acknowledged that long after it was first sent again [UTO-5]', () => {
    for (const [set, after] of [
      [1000, 1220],
      [5000, 5220],
      [60_000, 60_220],
    ]) {
      const peer = patient({ userTimeoutMs: set }).wrote(10);
      peer.advanceMs(after - 1).expectState('ESTABLISHED');
      peer.advanceMs(1).expectState('CLOSED');
      expect(peer.takeEvents().at(-1)).to.equal('close ETIMEDOUT');
      expect(peer.stats.tcp.abortOnTimeout).to.equal(1);
      peer.drain();
      finishAll();
    }
  });

  it('counts, not the number of retransmissions, which is more or less than the retries allow [UTO-5]', () => {
    const few = patient({ retries2: 3, userTimeoutMs: 100_000 }).wrote(10);
    few.advanceMs(100_000).expectState('ESTABLISHED');
    few.drain();
    few.ackAll();
    few.drain();
    const many = patient({ retries2: 15, userTimeoutMs: 500 }).wrote(10);
    many.advanceMs(720).expectState('CLOSED');
    many.drain();
  });

  it('begins anew when something is acknowledged [UTO-5]', () => {
    const peer = patient({ userTimeoutMs: 1000 }).wrote(2000);
    peer.advanceMs(1000).drain();
    peer.send('< . 1:1(0) ack 1001').drain();
    peer.advanceMs(900).expectState('ESTABLISHED');
    peer.drain();
    peer.ackAll();
    peer.advanceMs(60_000).expectState('ESTABLISHED');
  });

  it('ends one whose window probes nobody answers, and one whose keep-alives nobody answers [UTO-5]', () => {
    const closed = patient({ userTimeoutMs: 3000 }).send('< . 1:1(0) ack 1 win 0').write(10);
    closed.advanceMs(2900).expectState('ESTABLISHED');
    closed.advanceMs(3500).expectState('CLOSED');
    expect(closed.takeEvents().at(-1)).to.equal('close ETIMEDOUT');
    closed.drain();
    const answered = patient({ userTimeoutMs: 3000 }).send('< . 1:1(0) ack 1 win 0').write(10);
    for (let i = 0; i < 20; i++) answered.advanceMs(1000).send('< . 1:1(0) ack 1 win 0');
    answered.drain();
    answered.expectState('ESTABLISHED').abort().drain();
    const timing = { keepAliveIdleMs: 1000, keepAliveIntervalMs: 1000, keepAliveProbes: 2 };
    const idle = patient({ userTimeoutMs: 5000, keepAlive: true, ...timing });
    idle.advanceMs(4900).expectState('ESTABLISHED');
    idle.advanceMs(1200).expectState('CLOSED');
    expect(idle.takeEvents().at(-1)).to.equal('close ETIMEDOUT');
    idle.drain();
  });

  it('leaves nothing behind: no FIN, no more writes, and an RST for what comes late [UTO-6]', () => {
    const peer = patient({ userTimeoutMs: 1000 }).wrote(10).advanceMs(1220).expectState('CLOSED');
    expect(peer.endpoint.errorCode).to.equal('ETIMEDOUT');
    for (const { line } of peer.drain()) expect(line.flags & TcpFlag.FIN).to.equal(0);
    expect(peer.offer(10)).to.equal(0);
    peer.shutdown().expectNothing();
    peer.send('< P. 1:11(10) ack 11').expect('> R 11:11(0)');
    expect(peer.read(10).length).to.equal(0);
    expect(peer.endpoint.errorCode).to.equal('ETIMEDOUT');
  });

  it('ends exactly when it is over, and not with the next retransmission (Linux) [UTO-7]', () => {
    // 220, 660, 1540, and the next would be at 3300 ms.
    const peer = patient({ userTimeoutMs: 2000 }).wrote(10);
    peer.advanceMs(2219).expectState('ESTABLISHED');
    expect(peer.drain().length).to.equal(3);
    peer.advanceMs(1).expectState('CLOSED').expectNothing();
    // Less than one RTO still waits for that.
    const short = patient({ userTimeoutMs: 1 }).wrote(10);
    short.advanceMs(219).expectState('ESTABLISHED');
    short.advanceMs(3).expectState('CLOSED').drain();
  });

  it('counts for a handshake too, from the first SYN on [UTO-7]', () => {
    const peer = Peer.connecting({ options: { userTimeoutMs: 5000 } });
    peer.advanceMs(4999).expectState('SYN-SENT');
    peer.advanceMs(1).expectState('CLOSED').expectEvents('close ETIMEDOUT').drain();
  });
});
