/** Segments of somebody who sees nothing and guesses: RFC 5961, tcp.md §14, and rows A1 to A5 of robustness.md. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { DirectPair, spoofedText } from '../../support/direct-pair.js';
import { forEachFamily, Peer, type PeerState } from '../../support/peer.js';
import { PEER_V4, STACK_V4 } from '../../support/scenario-host.js';

interface Place {
  readonly state: PeerState;
  /** RCV.NXT and SND.NXT there, as lines show them. */
  readonly rcvNxt: number;
  readonly sndNxt: number;
  /** What the application hears when an RST ends it. */
  readonly closes: string;
}

/** The synchronized states but TIME-WAIT, which has rules of its own. */
const SYNCHRONIZED: readonly Place[] = [
  { state: 'ESTABLISHED', rcvNxt: 1, sndNxt: 1, closes: 'close ECONNRESET' },
  { state: 'FIN-WAIT-1', rcvNxt: 1, sndNxt: 2, closes: 'close ECONNRESET' },
  { state: 'FIN-WAIT-2', rcvNxt: 1, sndNxt: 2, closes: 'close ECONNRESET' },
  { state: 'CLOSE-WAIT', rcvNxt: 2, sndNxt: 1, closes: 'close EPIPE' },
  { state: 'CLOSING', rcvNxt: 2, sndNxt: 2, closes: 'close' },
  { state: 'LAST-ACK', rcvNxt: 2, sndNxt: 2, closes: 'close' },
];

/** States behind the peer's FIN, where an RST with the number of that FIN counts too. */
const BEHIND_FIN: readonly PeerState[] = ['CLOSE-WAIT', 'CLOSING', 'LAST-ACK'];

/** Bytes of the receive window as the peer knows it. */
const windowOf = (peer: Peer): number => peer.endpoint.connection.receiver?.rcvWnd ?? 0;

describe('a blind RST', () => {
  for (const { state, rcvNxt, sndNxt, closes } of SYNCHRONIZED) {
    forEachFamily((family, name) => {
      it(`at RCV.NXT resets in ${state}, over ${name} (RFC 5961 §3.2) [5961-1 A2]`, () => {
        for (const flags of ['R', 'R.', 'RP.', 'RF.']) {
          const peer = Peer.in(state, family);
          // Neither its ACK number nor its window matters.
          peer.send(`< ${flags} ${rcvNxt}:${rcvNxt}(0) ack 77777 win 0`).expectNothing(5000);
          peer.expectState('CLOSED').expectEvents(closes);
        }
      });
    });

    it(`elsewhere in the window is challenged in ${state} (RFC 5961 §3.2) [5961-2 A1]`, () => {
      for (const where of ['left', 'middle', 'right'] as const) {
        for (const flags of ['R', 'R.']) {
          const peer = Peer.in(state);
          const size = windowOf(peer);
          const offset = { left: 1, middle: size >> 1, right: size - 1 }[where];
          peer.takeEvents();
          peer.send(`< ${flags} ${rcvNxt + offset}:${rcvNxt + offset}(0) ack ${sndNxt}`);
          peer.expect(`> . ${sndNxt}:${sndNxt}(0) ack ${rcvNxt}`).expectNothing().expectState(state);
          expect(peer.takeEvents()).to.deep.equal([]);
        }
      }
    });

    it(`outside the window is dropped in silence in ${state} (RFC 5961 §3.2) [5961-3 A2]`, () => {
      const before = BEHIND_FIN.includes(state) ? 2 : 1;
      const peer = Peer.in(state);
      const places = [rcvNxt - before, rcvNxt - 1000, rcvNxt + windowOf(peer), rcvNxt + 0x4000_0000];
      for (const start of [...places, rcvNxt - 0x4000_0000, rcvNxt + 0x8000_0000]) {
        peer.send(`< R ${start}:${start}(0)`).send(`< R. ${start}:${start}(0) ack ${sndNxt}`);
        peer.expectNothing().expectState(state);
      }
      expect(peer.stats.tcp.challengeAcks).to.equal(0);
      expect(peer.stats.drops.count(DropReason.TcpOutOfWindow)).to.equal(12);
    });
  }

  it('is as harmless before the handshake ends: only RCV.NXT resets [5961-1, 5961-2, 5961-3, A1]', () => {
    const peer = Peer.in('SYN-RECEIVED');
    for (const start of [0, -1, 1 + 65_535, 0x7000_0000]) {
      peer.send(`< R ${start}:${start}(0)`).expectNothing().expectState('SYN-RECEIVED');
    }
    peer.send('< R 2:2(0)').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.advanceMs(500).send('< R 65535:65535(0)').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.send('< R 1:1(0)').expectNothing().expectState('LISTEN');
    const active = Peer.in('SYN-RECEIVED', { role: 'client' });
    active.send('< R 2:2(0)').expectState('SYN-RECEIVED').send('< R 70000:70000(0)');
    active.expectState('SYN-RECEIVED').expectEvents().send('< R 1:1(0)').expectState('CLOSED');
  });

  it('behind the highest SACK block that was reported resets (Linux tcp_validate_incoming) [5961-2]', () => {
    const begin = (sack: boolean): Peer => {
      const peer = Peer.established({ sack });
      peer.send('< . 1001:2001(1000) ack 1').send('< . 4001:5001(1000) ack 1').drain();
      peer.advanceMs(1000).takeEvents();
      return peer;
    };
    begin(true)
      .send('< R 5001:5001(0)')
      .expectNothing()
      .expectState('CLOSED')
      .expectEvents('close ECONNRESET');
    // Not behind the lower block, not at its beginning, and not where nothing was reported.
    for (const start of [2001, 4001, 5000, 5002]) {
      begin(true).send(`< R ${start}:${start}(0)`).expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    }
    begin(false).send('< R 5001:5001(0)').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
  });

  for (const state of BEHIND_FIN) {
    it(`with the number of the peer's FIN resets in ${state} (Linux tcp_reset_check) [5961-2]`, () => {
      Peer.in(state).send('< R 1:1(0)').expectNothing(5000).expectState('CLOSED');
    });
  }
});

describe('a blind SYN', () => {
  for (const { state, rcvNxt, sndNxt } of SYNCHRONIZED) {
    it(`is challenged in ${state}, wherever it lies (RFC 5961 §4.2) [5961-4 A3]`, () => {
      const places = [rcvNxt, rcvNxt + 1, rcvNxt - 1, rcvNxt + 60_000, rcvNxt + 70_000, rcvNxt - 0x7000_0000];
      for (const start of places) {
        for (const line of [
          `S ${start}:${start}(0) <mss 100>`,
          `S. ${start}:${start}(0) ack ${sndNxt} <mss 100>`,
          `SP. ${start}:${start + 50}(50) ack ${sndNxt} win 1`,
        ]) {
          const peer = Peer.in(state);
          const { irs, rcvNxt: before } = peer.endpoint.connection.receiver ?? { irs: 0, rcvNxt: 0 };
          peer.takeEvents();
          peer.send(`< ${line}`).expect(`> . ${sndNxt}:${sndNxt}(0) ack ${rcvNxt} <!mss>`).expectNothing();
          peer.expectState(state).expectEvents();
          expect(peer.endpoint.connection.receiver).to.include({ irs, rcvNxt: before });
          expect(peer.endpoint.connection.sender.sndWnd).to.equal(65_535);
          expect(peer.endpoint.readableBytes).to.equal(0);
        }
      }
    });
  }

  it('of a peer that has started anew ends the old connection, and then makes a new one (RFC 5961 §4.2) [5961-5]', () => {
    const peer = Peer.established({ timestamps: true }).wrote(100).ackAll();
    peer.advanceMs(3000).takeEvents();
    const { passiveOpens } = peer.stats.tcp;
    // The peer rebooted and knows nothing of it: it dials again with the same port.
    peer.send('< S 900000:900000(0) <mss 1460>');
    peer.expect('> . 101:101(0) ack 1').expectState('ESTABLISHED').expectEvents();
    // To it that ACK is for nothing it knows, and its RST has exactly the number it says.
    peer.send('< R 1:1(0) <>').expectNothing().expectState('CLOSED').expectEvents('close ECONNRESET');
    peer.advanceMs(1000).reborn().send('< S 900000:900000(0) <mss 1460>');
    peer.expect('> S. 0:0(0) ack 900001').send('< . 900001:900001(0) ack 1 <>').expectState('ESTABLISHED');
    expect(peer.stats.tcp.passiveOpens).to.equal(passiveOpens + 1);
  });

  it('of a client that has started anew does the same with FIN-WAIT-1 and CLOSE-WAIT (RFC 5961 §4.2) [5961-5]', () => {
    for (const { state, rcvNxt, sndNxt, closes } of SYNCHRONIZED) {
      const peer = Peer.in(state);
      peer.takeEvents();
      peer.send('< S 5000000:5000000(0)').expect(`> . ${sndNxt}:${sndNxt}(0) ack ${rcvNxt}`);
      peer.send(`< R ${rcvNxt}:${rcvNxt}(0)`).expectNothing().expectState('CLOSED').expectEvents(closes);
      peer.reborn().send('< S 5000000:5000000(0)').expect('> S. 0:0(0) ack 5000001');
    }
  });
});

describe('blind text', () => {
  it('counts only with an ACK of what can be on its way, in a young connection (RFC 5961 §5.2) [5961-6 A4]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(2000);
    // Nothing has been acknowledged yet: nothing below SND.UNA was ever sent.
    for (const ack of [0, -1, -1000, -65_535, 0x8000_0001]) {
      peer.send(`< P. 1:11(10) ack ${ack}`).expect('> . 2001:2001(0) ack 1').expectNothing();
      expect(peer.endpoint.readableBytes, `ACK ${ack}`).to.equal(0);
      pauseChallenges(peer);
    }
    peer.send('< P. 1:11(10) ack 1').expectRead(10).drain();
    peer.ackAll();
  });

  it('counts down to what was acknowledged, or the largest window if that is less (RFC 5961 §5.2) [5961-6 A4]', () => {
    const wide = Peer.established({ mss: 1000 }).wrote(3000).ackAll();
    wide.send('< P. 1:11(10) ack 0').expect('> . 3001:3001(0) ack 1').expectNothing();
    expect(wide.endpoint.readableBytes).to.equal(0);
    wide.send('< P. 1:11(10) ack 1').drain();
    wide.expectRead(10);
    const narrow = Peer.established({ mss: 1000, window: 2000 });
    for (let i = 0; i < 5; i++) narrow.wrote(2000).ackAll();
    narrow.send('< P. 1:11(10) ack 8000').expect('> . 10001:10001(0) ack 1').expectNothing();
    expect(narrow.endpoint.readableBytes).to.equal(0);
    narrow.send('< P. 1:11(10) ack 8001').drain();
    narrow.expectRead(10);
  });

  it('and an ACK above SND.NXT is answered with a challenge, and nothing of it counts [5961-6, A4, A13]', () => {
    for (const beyond of [1, 2, 1000, 0x7fff_0000]) {
      const peer = Peer.established({ mss: 1000 }).wrote(3000);
      const { sender } = peer.endpoint.connection;
      const { cwndBytes } = sender.congestion;
      const ack = 3001 + beyond;
      peer.send(`< P. 1:11(10) ack ${ack} win 9`).expect('> . 3001:3001(0) ack 1').expectNothing();
      expect(peer.endpoint.readableBytes).to.equal(0);
      expect(peer.endpoint.unackedBytes).to.equal(3000);
      expect(sender.sndWnd).to.equal(65_535);
      expect(sender.congestion.cwndBytes).to.equal(cwndBytes);
      peer.expectState('ESTABLISHED').ackAll();
      // A FIN or RST-less end cannot come that way either.
      peer.advanceMs(1000).send(`< F. 1:1(0) ack ${ack}`).drain();
      peer.expectState('ESTABLISHED');
    }
  });

  it('does not complete what was never sent: ghost ACKs of data and FIN [A13]', () => {
    const peer = Peer.established({ mss: 1000 });
    peer.send('< . 1:1(0) ack 2').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    peer.wrote(1000).shutdown().expect('> F. 1001:1001(0) ack 1');
    pauseChallenges(peer);
    peer.send('< . 1:1(0) ack 1003').expect('> . 1002:1002(0) ack 1').expectState('FIN-WAIT-1');
    expect(peer.endpoint.unackedBytes).to.equal(1000);
    const { cwndBytes } = peer.endpoint.connection.sender.congestion;
    // SACK of what was never sent is as little worth.
    peer.send('< . 1:1(0) ack 1 <sack 5001:9001>').send('< . 1:1(0) ack 1 <sack 1001:1003>');
    expect(peer.stats.tcp.sackInvalid).to.equal(2);
    expect(peer.endpoint.connection.sender.congestion.cwndBytes).to.equal(cwndBytes);
    peer.drain();
    peer.send('< . 1:1(0) ack 1002').expectState('FIN-WAIT-2');
  });

  it('cannot end a LAST-ACK or CLOSING with an ACK of what lies beyond our FIN [A13, 5961-6]', () => {
    for (const state of ['LAST-ACK', 'CLOSING'] as const) {
      const peer = Peer.in(state);
      peer.send('< . 2:2(0) ack 3').expect('> . 2:2(0) ack 2').expectState(state);
      peer.send('< . 2:2(0) ack 2').expectState(state === 'CLOSING' ? 'TIME-WAIT' : 'CLOSED');
    }
  });
});

describe('a challenge ACK', () => {
  forEachFamily((family, name) => {
    it(`says where both streams stand, with window and timestamps, over ${name} (RFC 5961 §3.2) [5961-8]`, () => {
      const peer = Peer.established({ ...family, timestamps: true, mss: 1012, windowScale: 2 })
        .wrote(2000)
        .ackAll();
      peer.advanceMs(7).sendText(300).drain();
      for (const line of ['R 400:400(0)', 'S 5:5(0) <mss 9>', '. 301:301(0) ack 9999']) {
        pauseChallenges(peer);
        const window = Math.ceil(windowOf(peer) / 128);
        const stamp = `TS val ${Math.floor(peer.nowMs)} ecr ${PEER_TS + 27}`;
        peer
          .send(`< ${line}`)
          .expect(`> . 2001:2001(0) ack 301 win ${window} <nop,nop,${stamp}>`, { strict: true });
        peer.expectNothing();
      }
      peer.expectRead(300).drain();
    });
  });

  it('has no timestamps where none were agreed on (RFC 5961 §3.2) [5961-8]', () => {
    const peer = Peer.established();
    peer.send('< R 2:2(0)').expect('> . 1:1(0) ack 1 win 65535 <>', { strict: true });
  });

  it('is sent at most once in 500 ms for each connection (RFC 5961 §7) [5961-7]', () => {
    const peer = Peer.established();
    const other = peer.another();
    other.handshake().drain();
    for (const line of [
      'R 2:2(0)',
      'S 99:99(0)',
      'S. 1:1(0) ack 1',
      '. 1:1(0) ack 5',
      '. 99999:99999(0) ack 1',
    ]) {
      for (let i = 0; i < 50; i++) peer.send(`< ${line}`);
    }
    peer.expect('> . 1:1(0) ack 1').expectNothing();
    peer.advanceMs(499).send('< R 2:2(0)').expectNothing();
    // What the one is asked does not silence the other.
    other.send('< R 2:2(0)').expect('> . 1:1(0) ack 1').expectNothing();
    peer.advanceMs(1).send('< R 2:2(0)').expect('> . 1:1(0) ack 1').expectNothing();
    expect(peer.stats.tcp).to.include({ challengeAcks: 3, challengeAcksSkipped: 250 });
  });

  it('may be asked for more often by who says so', () => {
    const peer = Peer.established({ tcp: { invalidAckIntervalMs: 0 } });
    for (let i = 0; i < 20; i++) peer.send('< R 2:2(0)').expect('> . 1:1(0) ack 1');
  });

  it('tells an attacker on another connection nothing: 1,000 probes, right and wrong guesses [5961-7, A5]', () => {
    // CVE-2016-5696: spoofed segments for the victim, then a count of the challenges of one's own connection.
    const counts = { right: new Map<number, number>(), wrong: new Map<number, number>() };
    for (let trial = 0; trial < 10; trial++) {
      const isRight = trial % 2 === 0;
      const victim = Peer.established({ seed: 1000 + trial });
      const attacker = victim.another({ address: '10.0.0.66', port: 6666 });
      attacker.handshake().drain();
      const guess = isRight ? 2 + 1000 * (trial % 50) : 0x4000_0000;
      for (let i = 0; i < 100; i++) victim.send(`< R ${guess + i}:${guess + i}(0)`);
      for (let i = 0; i < 1000; i++) attacker.send('< R 2:2(0)');
      const seen = attacker.drain().length;
      const map = isRight ? counts.right : counts.wrong;
      map.set(seen, (map.get(seen) ?? 0) + 1);
      victim.host.finish();
    }
    expect([...counts.right]).to.deep.equal([...counts.wrong]);
    expect([...counts.right]).to.deep.equal([[1, 5]]);
  });
});

describe('resets for segments of no connection', () => {
  it('are limited, and not so evenly that one could count those of others', () => {
    // As with challenges: who counts resets for himself must not see whether a guess brought one as well.
    const tcp = { resetsPerSecond: 100 };
    const counts = new Set<number>();
    let sum = 0;
    for (let seed = 1; seed <= 25; seed++) {
      const peer = Peer.closed({ tcp, seed });
      for (let i = 0; i < 200; i++) peer.send('< . 1:1(0) ack 1');
      const sent = peer.drain().length;
      counts.add(sent);
      sum += sent;
      expect(peer.stats.tcp).to.include({ outRsts: sent, outRstsLimited: 200 - sent });
      expect(peer.stats.drops.count(DropReason.TcpNoConnection)).to.equal(200);
      // Silence is no news; a second later there is credit again.
      peer.expectNothing(1000).send('< . 1:1(0) ack 1').expect('> R 1:1(0)');
      peer.send('< R. 1:1(0) ack 1').expectNothing();
      peer.host.finish();
    }
    expect(sum / 25).to.be.within(90, 110);
    expect(counts.size).to.be.at.least(8);
  });
});

describe('two ends that disagree', () => {
  /** Somebody sends each a hundred bytes in the other's name: now each acknowledges what was never sent. */
  const packetsAfterwards = (invalidAckIntervalMs: number): number => {
    const pair = new DirectPair({ invalidAckIntervalMs });
    pair.run(100);
    const near = pair.near();
    const far = pair.far();
    pair.nearWire.inject([spoofedText(PEER_V4, STACK_V4, near, far)]);
    pair.farWire.inject([spoofedText(STACK_V4, PEER_V4, far, near)]);
    pair.packets = 0;
    pair.run(20_000);
    expect([near.errorCode, far.errorCode]).to.deep.equal(['', '']);
    expect([near.readableBytes, far.readableBytes]).to.deep.equal([100, 100]);
    pair.close();
    return pair.packets;
  };

  it('come to rest, as each replies at most once in 500 ms (Linux tcp_invalid_ratelimit) [5961-9 D13]', () => {
    expect(packetsAfterwards(500)).to.be.within(2, 10);
    // Without the limit they would go on for ever.
    expect(packetsAfterwards(0)).to.be.above(10_000);
  });
});

/** The harness prints the peer's timestamps so that time zero is 1000. */
const PEER_TS = 1000;

/** Lets so much time pass that the next segment may be challenged, and takes what timers sent meanwhile. */
function pauseChallenges(peer: Peer): void {
  peer.advanceMs(500).drain();
}
