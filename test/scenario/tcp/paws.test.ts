/** Protection against wrapped sequence numbers: RFC 7323 §5, and what Linux adds to it. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const DAY_MS = 86_400_000;

/** TS.Recent is 1020: the stamp of the handshake's last ACK. */
const established = (options: PeerOptions = {}): Peer =>
  Peer.established({ timestamps: true, mss: 1000, ...options });

const rejected = (peer: Peer): number => peer.stats.drops.count(DropReason.TcpPaws);

describe('PAWS', () => {
  it('answers an older segment with an ACK and drops it (RFC 7323 §5.3 R1) [PAWS-1 F4]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      peer.send('< P. 1:101(100) ack 1 <nop,nop,TS val 1019 ecr 20>');
      peer.expect('> . 1:1(0) ack 1 <TS val 20 ecr 1020>');
      expect(rejected(peer)).to.equal(1);
      expect(peer.stats.tcp.pawsEstab).to.equal(1);
      expect(peer.endpoint.readableBytes).to.equal(0);
      // So is the oldest that counts as older: half of the range behind.
      const half = ((1020 - 2 ** 31) | 0) + 1;
      peer.send(`< P. 1:101(100) ack 1 <nop,nop,TS val ${half} ecr 20>`).expect('> . 1:1(0) ack 1');
      expect(rejected(peer)).to.equal(2);
      // Its ACK and window are not looked at either.
      peer.wrote(100).send('< P. 1:101(100) ack 101 win 0 <nop,nop,TS val 1019 ecr 20>');
      peer.expect('> . 101:101(0) ack 1');
      expect(peer.endpoint.unackedBytes).to.equal(100);
      // A FIN and a segment of the right age.
      peer.send('< F. 1:1(0) ack 101 <nop,nop,TS val 1000 ecr 20>').expectState('ESTABLISHED').drain();
      peer.send('< P. 1:101(100) ack 101').expect('> . 101:101(0) ack 101').expectRead(100);
    });
  });

  it('takes a segment whose timestamp equals TS.Recent (RFC 7323 §5.3) [PAWS-4]', () => {
    const peer = established();
    peer.send('< P. 1:101(100) ack 1 <nop,nop,TS val 1020 ecr 20>').expect('> . 1:1(0) ack 101');
    peer.send('< P. 101:201(100) ack 1 <nop,nop,TS val 1020 ecr 20>').expect('> . 1:1(0) ack 201');
    peer.expectRead(200);
    expect(rejected(peer)).to.equal(0);
  });

  it('comes before the checks of sequence number and SYN, and is not for an RST (RFC 7323 §5.3) [PAWS-2]', () => {
    forEachFamily((family) => {
      // Outside of the window, and a SYN in it: counted as old and as nothing else.
      for (const line of ['< P. 900001:900101(100) ack 1', '< P. -5000:-4900(100) ack 1', '< S 1:1(0)']) {
        const peer = established(family);
        peer.send(`${line} <nop,nop,TS val 900 ecr 20>`).expect('> . 1:1(0) ack 1');
        expect(rejected(peer), line).to.equal(1);
        expect(peer.stats.drops.count(DropReason.TcpOutOfWindow), line).to.equal(0);
        expect(peer.stats.drops.count(DropReason.TcpSynInWindow), line).to.equal(0);
      }
      // With a good one each fails its own check.
      const good = established(family).send('< P. 900001:900101(100) ack 1').expect('> . 1:1(0) ack 1');
      expect(good.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(1);
      const reset = established(family).send('< R. 1:1(0) ack 1 <nop,nop,TS val 900 ecr 20>');
      reset.expectState('CLOSED').expectEvents('close ECONNRESET');
      expect(rejected(reset)).to.equal(0);
    });
  });

  it('forgets TS.Recent after 24 days without news, and begins anew (RFC 7323 §5.5) [PAWS-3 F5]', () => {
    forEachFamily((family) => {
      // After 25 days the peer's clock has passed half of its range: its stamp looks older.
      const peer = established(family).advanceMs(25 * DAY_MS);
      expect((peer.tsVal - 1020) | 0).to.be.below(0);
      const echo = peer.tsVal | 0;
      peer
        .send('< P. 1:101(100) ack 1')
        .expect(`> . 1:1(0) ack 101 <TS val * ecr ${echo >>> 0}>`)
        .expectRead(100);
      expect(rejected(peer)).to.equal(0);
      // From here on it holds again.
      peer.send(`< P. 101:201(100) ack 1 <nop,nop,TS val ${echo - 1} ecr 20>`);
      peer.expect('> . 1:1(0) ack 101');
      expect(rejected(peer)).to.equal(1);
      // After 23 days it still holds.
      const sooner = established(family).advanceMs(23 * DAY_MS);
      sooner.send('< P. 1:101(100) ack 1 <nop,nop,TS val 1019 ecr 20>').expect('> . 1:1(0) ack 1');
      expect(rejected(sooner)).to.equal(1);
    });
  });

  it('drops a pure ACK that was overtaken without a word (Linux tcp_disordered_ack) [PAWS-5]', () => {
    const arrival = (line: string): Peer => {
      // Text with the stamp 1120 has overtaken what the peer sent before it.
      const peer = established().wrote(988).advanceMs(100);
      peer.send('< P. 1:11(10) ack 1 <nop,nop,TS val 1120 ecr 20>').expect('> . 989:989(0) ack 11');
      return peer.send(line);
    };
    // The same ACK, the same window, no text, and not older than an RTO.
    const silent = arrival('< . 11:11(0) ack 1 win 65535 <nop,nop,TS val 1119 ecr 20>').expectNothing();
    expect(rejected(silent)).to.equal(1);
    arrival('< . 11:11(0) ack 1 win 65535 <nop,nop,TS val 901 ecr 20>').expectNothing();
    // Everything else is answered: much older, text, a FIN, another window, another ACK, another number.
    arrival('< . 11:11(0) ack 1 win 65535 <nop,nop,TS val 800 ecr 20>').expect('> . 989:989(0) ack 11');
    arrival('< P. 11:12(1) ack 1 win 65535 <nop,nop,TS val 1119 ecr 20>').expect('> . 989:989(0) ack 11');
    arrival('< F. 11:11(0) ack 1 win 65535 <nop,nop,TS val 1119 ecr 20>').expect('> . 989:989(0) ack 11');
    arrival('< . 11:11(0) ack 1 win 65534 <nop,nop,TS val 1119 ecr 20>').expect('> . 989:989(0) ack 11');
    arrival('< . 11:11(0) ack 989 win 65535 <nop,nop,TS val 1119 ecr 20>').expect('> . 989:989(0) ack 11');
    arrival('< . 12:12(0) ack 1 win 65535 <nop,nop,TS val 1119 ecr 20>').expect('> . 989:989(0) ack 11');
  });

  it('answers old segments without text once in 500 ms, and those with text each time [PAWS-6]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      const old = '< . 5:5(0) ack 1 <nop,nop,TS val 900 ecr 20>';
      peer.send(old).expect('> . 1:1(0) ack 1');
      peer.send(old).send(old).expectNothing(499).send(old).expectNothing();
      expect(peer.stats.tcp.challengeAcksSkipped).to.equal(3);
      peer.advanceMs(1).send(old).expect('> . 1:1(0) ack 1').send(old).expectNothing();
      for (let i = 0; i < 3; i++) {
        peer.send('< P. 1:2(1) ack 1 <nop,nop,TS val 900 ecr 20>').expect('> . 1:1(0) ack 1');
      }
      // The interval is a setting of the stack.
      const quick = established({ ...family, tcp: { invalidAckIntervalMs: 10 } });
      quick
        .send(old)
        .expect('> . 1:1(0) ack 1')
        .send(old)
        .expectNothing(10)
        .send(old)
        .expect('> . 1:1(0) ack 1');
    });
  });

  it('holds in FIN-WAIT-2, with an owner and without [PAWS-7]', () => {
    for (const orphan of [false, true]) {
      forEachFamily((family) => {
        const peer = Peer.in('FIN-WAIT-2', { ...family, timestamps: true, orphan });
        peer.send('< F. 1:1(0) ack 2 <nop,nop,TS val 900 ecr 20>').expect('> . 2:2(0) ack 1');
        expect(rejected(peer)).to.equal(1);
        peer.expectState('FIN-WAIT-2');
        peer.send('< P. 1:11(10) ack 2 <nop,nop,TS val 900 ecr 20>').expect('> . 2:2(0) ack 1');
        peer.expectState('FIN-WAIT-2').send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
        peer.expectState('TIME-WAIT');
      });
    }
  });

  it('holds in TIME-WAIT, where an old segment is answered and begins the wait anew [PAWS-7]', () => {
    forEachFamily((family) => {
      for (const line of ['P. 2:12(10) ack 2', '. 2:2(0) ack 2', 'F. 1:1(0) ack 2', 'S 2:2(0)']) {
        const peer = Peer.in('TIME-WAIT', { ...family, timestamps: true });
        peer.advanceMs(50_000).send(`< ${line} <nop,nop,TS val 900 ecr 20>`);
        peer.expect('> . 2:2(0) ack 2 <TS val * ecr 1020>');
        expect(peer.stats.tcp.pawsEstab, line).to.equal(1);
        peer.advanceMs(59_000).expectState('TIME-WAIT');
        peer.advanceMs(1001);
        expect(peer.gauges.twCount).to.equal(0);
      }
      // A bare ACK of the right age does not; nor does an old RST end or answer anything.
      const peer = Peer.in('TIME-WAIT', { ...family, timestamps: true }).advanceMs(50_000);
      peer.send('< . 2:2(0) ack 2').send('< R 2:2(0) <nop,nop,TS val 900 ecr 0>').expectNothing();
      peer.expectState('TIME-WAIT').advanceMs(10_001);
      expect(peer.gauges.twCount).to.equal(0);
    });
  });

  it('compares with the timestamp of the SYN in SYN-RECEIVED (Linux tcp_check_req) [PAWS-8]', () => {
    forEachFamily((family) => {
      const peer = Peer.in('SYN-RECEIVED', { ...family, timestamps: true }).advanceMs(20);
      peer.send('< . 1:1(0) ack 1 <nop,nop,TS val 999 ecr 0>').expectState('SYN-RECEIVED');
      peer.expect('> S. 0:0(0) ack 1 <TS val 20 ecr 1000>');
      expect(rejected(peer)).to.equal(1);
      peer.send('< P. 1:11(10) ack 1 <nop,nop,TS val 999 ecr 0>').expectState('SYN-RECEIVED').expectNothing();
      peer.send('< P. 1:11(10) ack 1 <nop,nop,TS val 1000 ecr 0>').expectState('ESTABLISHED');
      peer.expect('> . 1:1(0) ack 11').expectRead(10);
      // In a simultaneous open the record is a connection; the rule is the same.
      const crossed = Peer.in('SYN-RECEIVED', { ...family, timestamps: true, role: 'client' });
      crossed.send('< . 1:1(0) ack 1 <nop,nop,TS val 999 ecr 0>').expectState('SYN-RECEIVED').drain();
      crossed.send('< . 1:1(0) ack 1 <nop,nop,TS val 1001 ecr 0>').expectState('ESTABLISHED');
    });
  });

  it('cannot be poisoned by a very new timestamp in a segment that is not accepted (RFC 7323 §7) [PAWS-9]', () => {
    forEachFamily((family) => {
      const peer = established(family);
      const forged = (1020 + 2 ** 31 - 1) | 0;
      const stamps = `<nop,nop,TS val ${forged} ecr 20>`;
      let at = 1;
      // Wrong sequence numbers, wrong ACK numbers, no ACK, a SYN, an RST that is not exact.
      for (const line of [
        'P. 900001:900101(100) ack 1',
        'P. -900:-800(100) ack 1',
        'P. 1:101(100) ack 90001',
        'P. 1:101(100) ack -90001',
        'P 1:101(100)',
        'S 60:60(0)',
        'S. 60:60(0) ack 1',
        'R. 60:60(0) ack 1',
        'R 900001:900001(0)',
      ]) {
        peer.advanceMs(501).send(`< ${line} ${stamps}`).drain();
        // What comes after it is as welcome as before.
        peer.send(`< P. ${at}:${at + 1}(1) ack 1`).expect(`> . 1:1(0) ack ${++at}`);
      }
      // One inside the window and beyond a gap is accepted, and still no reason to believe its stamp.
      peer.send(`< P. 2001:2101(100) ack 1 ${stamps}`).drain();
      peer
        .send(`< P. ${at}:2001(${2001 - at}) ack 1`)
        .expect('> . 1:1(0) ack 2101')
        .expectRead(2100);
    });
  });

  it('asks no more of a SYN in TIME-WAIT than RFC 6191 does [PAWS-10]', () => {
    forEachFamily((family) => {
      const timeWait = (): Peer => {
        const peer = Peer.in('TIME-WAIT', { ...family, timestamps: true });
        return peer.advanceMs(5000);
      };
      // Newer stamp, whatever the sequence number: a new connection.
      for (const sequence of [1000, -70_000]) {
        const peer = timeWait();
        peer.send(`< S ${sequence}:${sequence}(0) <mss 1000,sackOK,TS val 1021 ecr 0>`);
        expect(peer.stats.tcp.twRecycled, `SYN at ${sequence}`).to.equal(1);
        expect(peer.take()?.text).to.match(/^> S\. /);
      }
      // The same stamp: only with a higher sequence number.
      const higher = timeWait().send('< S 1000:1000(0) <mss 1000,sackOK,TS val 1020 ecr 0>');
      expect(higher.stats.tcp.twRecycled).to.equal(1);
      const lower = timeWait().send('< S -70000:-70000(0) <mss 1000,sackOK,TS val 1020 ecr 0>');
      expect(lower.stats.tcp.twRecycled).to.equal(0);
      // No stamp at all: a higher sequence number does.
      const bare = timeWait().send('< S 1000:1000(0) <mss 1000>');
      expect(bare.stats.tcp.twRecycled).to.equal(1);
      // An older stamp: never.
      const old = timeWait().send('< S 1000:1000(0) <mss 1000,sackOK,TS val 900 ecr 0>');
      expect(old.stats.tcp.twRecycled).to.equal(0);
      old.expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
    });
  });
});
