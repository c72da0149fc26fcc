/** When a receiver acknowledges: RFC 9293 §3.8.6.3, RFC 5681 §4.2, and Linux's habits. */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const established = (options: PeerOptions = {}): Peer => Peer.established({ mss: 1000, ...options });

/** A connection that has used up the quick ACKs of its beginning; the peer has sent 160 bytes. */
function calm(options: PeerOptions = {}): Peer {
  const peer = established(options);
  for (let i = 0; i < 16; i++)
    peer
      .sendText(10)
      .expect(`> . 1:1(0) ack ${10 * i + 11}`)
      .advanceMs(1);
  return peer;
}

/** How long the ACK of the next ten bytes takes, ms; `Infinity` when it is not sent within a second. */
function ackDelayMs(peer: Peer): number {
  const start = peer.nowMs;
  peer.sendText(10);
  for (let waited = 0; waited <= 1000; waited++) {
    const [ack] = peer.drain();
    if (ack !== undefined) return ack.atMs - start;
    peer.advanceMs(1);
  }
  return Number.POSITIVE_INFINITY;
}

describe('a delayed ACK', () => {
  it('is late by 40 to 200 ms, the less the faster segments arrive (Linux TCP_DELACK_MIN, MAX) [ACKT-1]', () => {
    forEachFamily((family) => {
      const delays = (
        gapMs: number,
        options: PeerOptions = {},
        peer = calm({ ...family, ...options }),
      ): number[] =>
        Array.from({ length: 8 }, () => {
          const delay = ackDelayMs(peer);
          peer.advanceMs(Math.max(0, gapMs - delay));
          return delay;
        });
      // On a slow path, so that it is not the round trip that bounds the delay.
      const slow = calm({ ...family, rttMs: 400 });
      const far = delays(300, {}, slow);
      expect(far.map((ms) => Math.round(ms))).to.deep.equal([40, 80, 160, 200, 200, 200, 200, 200]);
      // Segments 10 ms apart bring it back.
      for (let i = 0; i < 60; i++) slow.sendText(10).advanceMs(10);
      const times = slow.drain().map(({ atMs }) => atMs);
      expect(times.length).to.be.within(6, 16);
      for (let i = 2; i < times.length; i++) expect(times[i] - times[i - 1]).to.be.within(39, 90);
      // A round trip is long enough to wait, and 40 ms are always allowed.
      for (const delay of delays(100, { rttMs: 90 })) expect(delay).to.be.within(39, 91);
      for (const delay of delays(100, { rttMs: 5 })) expect(delay).to.be.within(39, 41);
      // Both bounds are settings.
      const options = { delayedAckMinMs: 10, delayedAckMaxMs: 25 };
      for (const delay of delays(100, { options })) expect(delay).to.be.within(9, 26);
    });
  });

  it('is always sent in less than half a second, also of one short segment with PSH [ACKT-7]', () => {
    forEachFamily((family) => {
      for (const rttMs of [1, 20, 200, 3000]) {
        for (const flags of ['P.', '.']) {
          const peer = calm({ ...family, rttMs });
          for (let i = 0; i < 10; i++) {
            const { sndNxt } = peer;
            const start = peer.nowMs;
            peer.send(`< ${flags} ${sndNxt}:${sndNxt + 1}(1) ack 1`);
            if (i === 0) peer.expectNothing(35);
            peer
              .advanceMs(499 - (peer.nowMs - start))
              .expect(`> . 1:1(0) ack ${sndNxt + 1}`)
              .expectNothing();
          }
        }
      }
    });
  });

  it('rides on an answer of the application, and then nothing is sent for itself [ACKT-3]', () => {
    forEachFamily((family) => {
      const peer = calm(family);
      const answers = (delayMs: number): void => {
        const { sndNxt, rcvNxt } = peer;
        peer.send(`< P. ${sndNxt}:${sndNxt + 10}(10) ack ${rcvNxt}`).expectNothing(delayMs);
        peer.write(10).expect(`> P. ${rcvNxt}:${rcvNxt + 10}(10) ack ${sndNxt + 10}`);
      };
      for (let i = 0; i < 20; i++) {
        answers(15);
        peer.advanceMs(30);
      }
      // Also after a pause in which others would be acknowledged at once.
      peer.ackAll().advanceMs(5000);
      answers(15);
      // Once an answer fails to come in time, the ACK goes alone.
      peer.ackAll().advanceMs(30);
      expect(ackDelayMs(peer)).to.be.within(39, 201);
    });
  });
});

describe('quick ACKs', () => {
  it('are sent for the first segments: as many as fill half a window, 16 at most [ACKT-2]', () => {
    forEachFamily((family) => {
      const quick = (options: PeerOptions, bytes = 10): number => {
        const peer = established({ ...family, ...options });
        for (let i = 0; i < 40; i++) {
          peer.sendText(bytes);
          if (peer.drain().length === 0) return i;
          peer.advanceMs(1);
        }
        return 40;
      };
      expect(quick({})).to.equal(16);
      // Segments of 1000 bytes in a window of 10,000: the half of it is five.
      const options = { receiveBufferBytes: 10_000, windowScaling: false };
      const peer = established({ ...family, options });
      peer.sendText(1000).expect('> . 1:1(0) ack 1001').expectRead(1000);
      for (let i = 0; i < 4; i++)
        peer
          .advanceMs(1)
          .sendText(10)
          .expect(`> . 1:1(0) ack ${1011 + 10 * i}`);
      peer.advanceMs(1).sendText(10).expectNothing();
    });
  });

  it('come back after a silence longer than the RTO, and after text out of order [ACKT-2]', () => {
    forEachFamily((family) => {
      const idle = calm(family);
      idle.sendText(10).expectNothing().advanceMs(100).expect('> . 1:1(0) ack 171');
      idle.advanceMs(230);
      for (let i = 0; i < 16; i++)
        idle
          .sendText(10)
          .expect(`> . 1:1(0) ack ${181 + 10 * i}`)
          .advanceMs(1);
      idle.sendText(10).expectNothing();
      const gap = calm(family);
      gap.send('< P. 171:181(10) ack 1').expect('> . 1:1(0) ack 161 <sack 171:181>');
      gap.send('< P. 161:171(10) ack 1').expect('> . 1:1(0) ack 181');
      for (let i = 0; i < 8; i++)
        gap
          .sendText(10)
          .expect(`> . 1:1(0) ack ${191 + 10 * i}`)
          .advanceMs(1);
    });
  });
});

describe('an ACK leaves at once', () => {
  it('for the second full segment, out of order, when a gap is filled, for FIN and duplicate (RFC 5681 §4.2) [ACKT-4]', () => {
    forEachFamily((family) => {
      // Two full segments.
      const full = calm(family);
      full.sendText(1000).expectNothing().sendText(1000).expect('> . 1:1(0) ack 2161').expectNothing();
      full.sendText(1000).expectNothing().sendText(1000).expect('> . 1:1(0) ack 4161').expectNothing();
      // One and a bit is more than one full segment too.
      full.sendText(1000).expectNothing().sendText(1).expect('> . 1:1(0) ack 5162').expectNothing();
      // Out of order, and when the gap is filled, in part and altogether.
      const gap = calm(family);
      gap.send('< . 361:461(100) ack 1').expect('> . 1:1(0) ack 161 <sack 361:461>');
      gap.send('< . 161:261(100) ack 1').expect('> . 1:1(0) ack 261 <sack 361:461>');
      gap.send('< . 261:361(100) ack 1').expect('> . 1:1(0) ack 461 <!sack>').expectNothing(500);
      // A duplicate.
      const twice = calm(family);
      twice.send('< P. 151:161(10) ack 1').expect('> . 1:1(0) ack 161').expectNothing(500);
      // A FIN, alone and with text.
      calm(family).send('< F. 161:161(0) ack 1').expect('> . 1:1(0) ack 162');
      calm(family).send('< F. 161:171(10) ack 1').expect('> . 1:1(0) ack 172');
      // The window opens by two segments and more, where it was nearly closed.
      const options = { receiveBufferBytes: 8000, windowScaling: false };
      const closed = established({ ...family, options });
      closed.sendText(8000).advanceMs(300).drain();
      closed.read(900);
      closed.expectNothing().read(1100);
      closed.expect('> . 1:1(0) ack 8001 win 2000').expectNothing();
      closed.read(500);
      closed.expectNothing(500).read(6000);
      closed.expect('> . 1:1(0) ack 8001 win 8000').expectNothing(500);
    });
  });

  it('not for the second segment while the window has no room for more, unless it is full-sized too [ACKT-4]', () => {
    const peer = calm({ options: { receiveBufferBytes: 20_000, windowScaling: false } });
    peer.sendText(1000).sendText(500).expect('> . 1:1(0) ack 1661').drain();
    peer.sendText(900).expectNothing().advanceMs(300).expect('> . 1:1(0) ack 2561');
  });

  it('when the application asks for it, or reads enough to be worth telling [ACKT-6]', () => {
    forEachFamily((family) => {
      const peer = calm(family);
      peer.sendText(10).expectNothing();
      // What is owed leaves, and from now on every segment is acknowledged.
      peer.endpoint.setQuickAck(true);
      peer.advanceMs(0).expect('> . 1:1(0) ack 171');
      for (let i = 0; i < 40; i++) peer.sendText(10).expect(`> . 1:1(0) ack ${181 + 10 * i}`);
      peer.endpoint.setQuickAck(false);
      peer.sendText(10).expectNothing(35).drain();
      // As an option, from the beginning.
      const always = established({ ...family, options: { quickAck: true } });
      for (let i = 0; i < 60; i++) always.sendText(10).expect(`> . 1:1(0) ack ${11 + 10 * i}`);
      // Asked for while nothing is owed, nothing is sent.
      const none = calm(family);
      none.endpoint.setQuickAck(true);
      none.expectNothing(500);
      // Reading: the window was closed, and opens. Small reads say nothing.
      const options = { receiveBufferBytes: 8000, windowScaling: false };
      const full = established({ ...family, options })
        .sendText(8000)
        .advanceMs(300);
      full.drain();
      for (let i = 0; i < 9; i++) {
        full.read(100);
        full.expectNothing();
      }
      full.read(100);
      full.expect('> . 1:1(0) ack 8001 win 1000').read(7000);
      full.expect('> . 1:1(0) ack 8001 win 8000').expectNothing();
      // With a window wide open reading is nobody's business.
      const open = calm(family).expectRead(160);
      open.expectNothing(500);
    });
  });

  it('not even for the first text, where the application says that it answers, until it does not (Linux TCP_QUICKACK 0) [ACKT-3, ACKT-6]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, options: { delayedAckMinMs: 2 } });
      peer.endpoint.setQuickAck(false);
      peer.endpoint.setSink({ take: () => true });
      peer.sendText(10).expectNothing().write(10).expect('> P. 1:11(10) ack 11');
      peer.ackAll().expectNothing(500);
      // Nobody answers: the ACK leaves when its time is up, and those after it at once.
      const silent = established({ ...family, options: { delayedAckMinMs: 2 } });
      silent.endpoint.setQuickAck(false);
      silent.sendText(10).expectNothing(1).advanceMs(1).expect('> . 1:1(0) ack 11');
      silent.sendText(10).expect('> . 1:1(0) ack 21').expectNothing(500);
      // What the peer must hear at once it hears.
      const told = established(family);
      told.endpoint.setQuickAck(false);
      told.sendText(1000).expectNothing().sendText(1000).expect('> . 1:1(0) ack 2001').expectNothing(500);
    });
  });

  it('not for a window that only the field of the SYN made narrow [ACKT-6]', () => {
    forEachFamily((family) => {
      // Room for ten segments of a jumbo link is more than a field without scale can say.
      const peer = established({ ...family, windowScale: 7, window: 512, mtu: 65_520 });
      peer.endpoint.setQuickAck(false);
      peer.endpoint.setSink({ take: () => true });
      peer.sendText(10).expectNothing(35).write(10).expect('> P. 1:11(10) ack 11');
      // It is when half of what was told is used up.
      const busy = established({ ...family, windowScale: 7, window: 512, mtu: 65_520 });
      busy.endpoint.setQuickAck(false);
      busy.endpoint.setSink({ take: () => true });
      busy.sendText(33_000, 33_000).expect('> . 1:1(0) ack 33001');
    });
  });

  it('when the application has read to the end of what the peer had to say, unless it answers (Linux tcp_cleanup_rbuf) [ACKT-6]', () => {
    forEachFamily((family) => {
      const peer = calm(family);
      peer.read(160);
      peer.drain();
      // A short segment is the end, as soon as nothing is left to read.
      peer.sendText(10).expectNothing().read(5);
      peer.expectNothing().read(5);
      peer.expect('> . 1:1(0) ack 171');
      // A full one only where it says so.
      peer.sendText(1000, 1000, '.').expectNothing().read(1000);
      peer.expectNothing(35).drain();
      peer.advanceMs(50).drain();
      peer.sendText(1000, 1000, 'P.').expectNothing().read(1000);
      peer.expect('> . 1:1(0) ack 2171');
      // To whoever answers, one may be a question: its ACK waits for the answer. Two are too much.
      peer.sendText(10).write(10).drain();
      peer.ackAll().read(10);
      peer.sendText(10).expectNothing().read(10);
      peer.expectNothing().sendText(10).expectNothing().read(10);
      peer.expect('> . 11:11(0) ack 2201').expectNothing(500);
      // What goes straight to the application is read as it arrives.
      const sinking = calm(family);
      sinking.read(160);
      sinking.drain();
      sinking.endpoint.setSink({ take: () => true });
      sinking.sendText(10).expect('> . 1:1(0) ack 171');
    });
  });
});

describe('ACKs of text behind a gap', () => {
  it('may wait a little, but never the first three (Linux tcp_comp_sack) [ACKT-5]', () => {
    forEachFamily((family) => {
      for (const [rttMs, delayMs] of [
        [100, 1],
        [20, 1],
        [10, 0.5],
        [2, 0.1],
      ]) {
        const peer = established({ ...family, rttMs });
        const next = (n: number): Peer => peer.send(`< . ${1000 * n + 1}:${1000 * n + 1001}(1000) ack 1`);
        for (let n = 1; n <= 3; n++) next(n).expect(`> . 1:1(0) ack 1 <sack 1001:${1000 * n + 1001}>`);
        // 5 % of the round trip, 1 ms at most, and one ACK for all that came in that time.
        for (let n = 4; n <= 10; n++) next(n).expectNothing();
        peer.expectAfterMs(delayMs, '> . 1:1(0) ack 1 <sack 1001:11001>', { toleranceMs: 0.001 });
        next(11)
          .expectNothing()
          .advanceMs(1.1)
          .expect('> . 1:1(0) ack 1 <sack 1001:12001>')
          .expectNothing(500);
        // What fills the gap is told at once, and the next gap has its own first three.
        next(0).expect('> . 1:1(0) ack 12001 <!sack>');
        for (let n = 13; n <= 15; n++) next(n).expect(`> . 1:1(0) ack 12001 <sack 13001:${1000 * n + 1001}>`);
        next(16).expectNothing();
      }
    });
  });

  it('wait for 44 at most, and not at all where a new block or a duplicate is to be told [ACKT-5]', () => {
    forEachFamily((family) => {
      const peer = established({ ...family, rttMs: 100 });
      const next = (n: number): Peer => peer.send(`< . ${100 * n + 1}:${100 * n + 101}(100) ack 1`);
      for (let n = 1; n <= 3; n++) next(n).expect('> . 1:1(0) ack 1');
      for (let n = 4; n <= 47; n++) next(n).expectNothing();
      next(48).expect('> . 1:1(0) ack 1 <sack 101:4901>').expectNothing();
      next(60).expect('> . 1:1(0) ack 1 <sack 6001:6101 101:4901>');
      next(61).expectNothing();
      next(20).expect('> . 1:1(0) ack 1 <sack 2001:2101 101:4901 6001:6201>');
      // A segment of ours takes along what was held back.
      next(21).expect('> . 1:1(0) ack 1').drain();
      next(49)
        .expectNothing()
        .write(10)
        .expect('> P. 1:11(10) ack 1 <sack 101:5001 6001:6201>')
        .expectNothing(100);
    });
  });

  it('that have no SACK blocks never wait [ACKT-5]', () => {
    const peer = established({ sack: false, rttMs: 100 });
    for (let n = 1; n <= 20; n++) {
      peer.send(`< . ${1000 * n + 1}:${1000 * n + 1001}(1000) ack 1`).expect('> . 1:1(0) ack 1 <>');
    }
    // Nor do those in order wait for this timer.
    const order = calm({ rttMs: 100 });
    order.sendText(10).expectNothing(30).sendText(10).expectNothing(5);
  });
});
