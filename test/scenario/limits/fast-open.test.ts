/** What Fast Open keeps, and what strangers can do with it: tcp.md §12, TFO-1, TFO-7, TFO-9. */
import { expect } from 'chai';
import fc from 'fast-check';
import { RESET_COUNTS_US } from '../../../lib/tcp/fast-open.js';
import { FastOpenCache } from '../../../lib/tcp/fast-open-cache.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { askCookie, openListener } from '../../support/fast-open.js';
import type { Peer } from '../../support/peer.js';

const LIMIT = 8;

/** A listener with so many places, and a peer with a good cookie for each port. */
function crowd(limit = LIMIT): { listening: Peer; come: (port: number) => Peer } {
  const listening = openListener({ options: { fastOpenQueue: limit } });
  const cookie = askCookie(listening);
  const come = (port: number): Peer => {
    const peer = listening.another({ port });
    return peer.send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`);
  };
  return { listening, come };
}

describe('connections opened by Fast Open', () => {
  it('are no more than their queue has places; others take the three-way handshake (RFC 7413 §5.1) [TFO-7]', () => {
    for (const count of [LIMIT - 1, LIMIT, LIMIT + 1]) {
      const { listening, come } = crowd();
      const peers = Array.from({ length: count }, (_, i) => come(1000 + i));
      for (const [i, peer] of peers.entries()) {
        peer.expect(i < LIMIT ? '> S. 0:0(0) ack 11' : '> S. 0:0(0) ack 1 <mss *,!FO>').expectNothing();
      }
      const over = Math.max(0, count - LIMIT);
      expect(listening.stats.tcp).to.include({
        fastOpenPassive: count - over,
        fastOpenListenOverflow: over,
        fastOpenPassiveFail: 0,
      });
      if (over > 0) {
        peers[LIMIT]
          .send('< . 1:1(0) ack 1')
          .send('< P. 1:11(10) ack 1')
          .expect('> . 1:1(0) ack 11')
          .expectRead(10);
      }
      // A handshake that completes gives its place back.
      peers[0].send('< . 11:11(0) ack 1').expectState('ESTABLISHED').expectRead(10);
      come(2000).expect('> S. 0:0(0) ack 11');
      come(2001).expect(count < LIMIT ? '> S. 0:0(0) ack 11' : '> S. 0:0(0) ack 1');
    }
  });

  it('that are reset go on to count until their SYN-ACK would have timed out (RFC 7413 §5.1) [TFO-7]', () => {
    const { listening, come } = crowd();
    // Whoever owns the addresses in whose name these came resets each.
    for (let i = 0; i < LIMIT; i++)
      come(1000 + i)
        .expect('> S. 0:0(0) ack 11')
        .send('< R 11:11(0)')
        .expectState('CLOSED');
    expect(listening.gauges).to.include({ connections: 0 });
    for (let i = 0; i < 200; i++)
      come(2000 + i)
        .expect('> S. 0:0(0) ack 1')
        .send('< R 1:1(0)');
    expect(listening.stats.tcp).to.include({ fastOpenPassive: LIMIT, fastOpenListenOverflow: 200 });
    listening.advanceMs(RESET_COUNTS_US / 1000 - 1);
    come(4000).expect('> S. 0:0(0) ack 1');
    listening.advanceMs(1);
    for (let i = 0; i < LIMIT; i++) come(5000 + i).expect('> S. 0:0(0) ack 11');
    come(5100).expect('> S. 0:0(0) ack 1');
  });

  it('give their places back when they end in any other way (RFC 7413 §5.1) [TFO-7]', () => {
    const { listening, come } = crowd(1);
    come(1000).expect('> S. 0:0(0) ack 11').abort().expect('> R. 1:1(0) ack 11');
    come(1001).expect('> S. 0:0(0) ack 11').advanceMs(200_000).drain();
    expect(listening.gauges).to.include({ connections: 0 });
    const last = come(1002).expect('> S. 0:0(0) ack 11');
    listening.listener?.close();
    last.expectState('SYN-RECEIVED').advanceMs(200_000).expectState('CLOSED').drain();
  });

  it('are none where the queue has no place (RFC 7413 §5.1) [TFO-7]', () => {
    const listening = openListener({ options: { fastOpenQueue: 0 } });
    listening.send('< S 0:0(0) win 65535 <mss 1460,FO>').expect('> S. 0:0(0) ack 1 <mss *,!FO>');
  });

  it('are none while SYN cookies answer for the listener, or its accept queue is full (RFC 4987 §3.6) [TFO-7]', () => {
    const flooded = openListener({ tcp: { synCookies: 'always' } });
    flooded.send('< S 0:10(10) win 65535 <mss 1460,FO>').expect('> S. 0:0(0) ack 1 <mss *,!FO>');
    const full = openListener({ backlog: 2, accept: false });
    const cookie = askCookie(full);
    const come = (port: number): Peer =>
      full.another({ port }).send(`< S 0:10(10) win 65535 <mss 1460,FO ${cookie}>`);
    for (const port of [1, 2, 3]) come(port).expect('> S. 0:0(0) ack 11');
    come(4).expectNothing();
    expect(full.stats.tcp.listenOverflows).to.equal(1);
  });
});

describe('the option of Fast Open', () => {
  it('of any kind and length opens nothing but to a good cookie (RFC 7413 §4.1.1) [TFO-1 TFO-5]', () => {
    const listening = openListener();
    const cookie = askCookie(listening);
    let port = 1000;
    // No second option of this kind, for the last would count.
    const bytes = fc.uint8Array({ maxLength: 30 }).map((any) => any.map((byte) => (byte === 34 ? 35 : byte)));
    const content = fc.oneof(
      bytes,
      bytes.map((random) => [...Buffer.from(cookie, 'hex'), ...random].slice(0, 30)),
    );
    fc.assert(
      fc.property(content, fc.integer({ min: -3, max: 3 }), (value, lie) => {
        const option = [34, (value.length + 2 + lie) & 0xff, ...value];
        const hex = Buffer.from(option).toString('hex');
        const isGood = hex.startsWith(`220a${cookie}`);
        const peer = listening.another({ port: port++ });
        peer.send(`< S 0:10(10) win 65535 <mss 1460,raw ${hex}>`);
        peer.expect(isGood ? '> S. 0:0(0) ack 11' : '> S. 0:0(0) ack 1');
        peer.send(isGood ? '< R 11:11(0)' : '< R 1:1(0)');
        peer.drain();
      }),
      { numRuns: 300, examples: [[Buffer.from(cookie, 'hex'), 0]] },
    );
  });
});

describe('the memory of Fast Open clients', () => {
  it('has a limit (RFC 7413 §4.1.3) [TFO-9]', () => {
    const cache = new FastOpenCache(16);
    const local = IpAddress.parse('10.0.0.1');
    for (let i = 0; i < 10_000; i++) {
      cache.of({ local, remote: IpAddress.v4(i), localPort: 1, remotePort: 2 }, i);
      expect(cache.size).to.be.at.most(16);
    }
    expect(cache.size).to.equal(16);
  });
});
