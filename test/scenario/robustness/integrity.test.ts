/**
 * What two applications may rely on whatever befalls the connection: nothing of an older connection, nothing
 * that was damaged, one rule for what a reset leaves, and nothing left over. Rows F4, F9, F13 and F16 of
 * robustness.md; what applications may do to a connection stands in misuse.test.ts.
 */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { Simulation, type SimulationOptions } from '../../../lib/sim/simulation.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';
import { NOTHING_LEFT } from '../../support/scenario-host.js';

const reset = '< R. 1:1(0) ack 1';

describe('an old duplicate from the connection before', () => {
  /** Both sides have sent 1000 bytes and their FINs; the stack waits. */
  const waiting = (options: PeerOptions): Peer => {
    const peer = Peer.established({ mss: 1000, ...options }).wrote(1000);
    peer.advanceMs(10).send('< P. 1:1001(1000) ack 1001').expectRead(1000).shutdown().drain();
    peer.advanceMs(10).send('< F. 1001:1001(0) ack 1002').drain();
    peer.expectState('TIME-WAIT').takeEvents();
    return peer;
  };

  forEachFamily((family, name) => {
    it(`changes nothing in TIME-WAIT, over ${name} (RFC 9293 §3.10.7.4) [F4]`, () => {
      const peer = waiting(family);
      for (const line of ['P. 1:1001(1000) ack 1', '. 501:1001(500) ack 1001', 'P. 1:501(500) ack 501']) {
        peer.advanceMs(1000).send(`< ${line}`).expect('> . 1002:1002(0) ack 1002').expectNothing();
      }
      peer.expectState('TIME-WAIT').expectEvents();
      expect(peer.endpoint.readableBytes).to.equal(0);
    });

    it(`is kept out of the next by its timestamp, though its number is in the window, over ${name} (RFC 6191 §2, RFC 7323 §5) [F4]`, () => {
      const peer = waiting({ ...family, timestamps: true });
      const old = peer.tsVal;
      // The next begins within the numbers of the old one, so that they alone tell nothing.
      peer.advanceMs(100).send(`< S 500:500(0) <mss 1000,TS val ${peer.tsVal} ecr 0>`);
      const iss = 1002 + 65_537;
      peer.expect(`> S. ${iss}:${iss}(0) ack 501`);
      const ack = iss + 1;
      peer.send(
        `< . 501:501(0) ack ${ack} <nop,nop,TS val ${old + 101} ecr *>`.replace('*', `${peer.tsEcr}`),
      );
      peer.expectState('ESTABLISHED').drain();
      for (const line of [
        `P. 501:1001(500) ack ${ack}`,
        `. 501:601(100) ack 1001`,
        `F. 501:501(0) ack ${ack}`,
      ]) {
        const before = peer.stats.drops.count(DropReason.TcpPaws);
        peer.advanceMs(1000).send(`< ${line} <nop,nop,TS val ${old} ecr 20>`);
        peer.expect(`> . ${ack}:${ack}(0) ack 501`).expectNothing().expectState('ESTABLISHED');
        expect(peer.stats.drops.count(DropReason.TcpPaws), line).to.equal(before + 1);
      }
      peer.send(`< P. 501:601(100) ack ${ack} <nop,nop,TS val ${peer.tsVal} ecr ${peer.tsEcr}>`).drain();
      expect(peer.read(1000)).to.have.length(100);
    });

    it(`is kept out of the next by its number where there are no timestamps, over ${name} (RFC 9293 §3.6.1) [F4]`, () => {
      const peer = waiting(family).send('< S 2000:2000(0) <mss 1000>');
      const iss = 1002 + 65_537;
      peer.expect(`> S. ${iss}:${iss}(0) ack 2001`).send(`< . 2001:2001(0) ack ${iss + 1}`);
      peer.expectState('ESTABLISHED').drain();
      for (const line of [
        'P. 1:1001(1000) ack 1001',
        '. 501:1001(500) ack 501',
        'F. 1001:1001(0) ack 1002',
      ]) {
        peer
          .advanceMs(1000)
          .send(`< ${line}`)
          .expect(`> . ${iss + 1}:${iss + 1}(0) ack 2001`)
          .expectNothing();
      }
      // Nor does its acknowledgment count for what the next sends.
      peer.endpoint.write(new Uint8Array(100));
      peer.advanceMs(1).drain();
      peer.advanceMs(10).send('< . 2001:2001(0) ack 1002').expectState('ESTABLISHED');
      expect(peer.endpoint.unackedBytes).to.equal(100);
      expect(peer.endpoint.readableBytes).to.equal(0);
    });
  });
});

describe('an RST while bytes are queued', () => {
  const full = (options: PeerOptions = {}): Peer => {
    const peer = Peer.established({ mss: 1000, window: 2000, ...options }).write(8000);
    peer.send('< P. 1:601(600) ack 1').send('< P. 701:901(200) ack 1').drain();
    peer.takeEvents();
    return peer;
  };

  forEachFamily((family, name) => {
    it(`leaves what came in order to be read and drops all else, over ${name} [F9]`, () => {
      const peer = full(family).send('< R 601:601(0)').expectNothing().expectState('CLOSED');
      peer.expectEvents('close ECONNRESET');
      const { endpoint } = peer;
      expect(endpoint).to.include({ errorCode: 'ECONNRESET', readableBytes: 600, unackedBytes: 0 });
      expect(endpoint.isPeerClosed).to.equal(false);
      peer.expectRead(600);
      expect(peer.read(1000)).to.have.length(0);
      expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0, currEstab: 0 });
    });

    it(`makes every later call do nothing, and the reason stays, over ${name} [F9]`, () => {
      const peer = full(family).send('< R 601:601(0)');
      peer.expectEvents('close ECONNRESET');
      const { endpoint } = peer;
      for (let round = 0; round < 2; round++) {
        expect(endpoint.write(new Uint8Array(10))).to.equal(0);
        expect(endpoint.writeMore(new Uint8Array(10))).to.equal(0);
        expect(endpoint.writeUrgent(new Uint8Array(10))).to.equal(0);
        endpoint.shutdown();
        endpoint.abort();
        endpoint.setNoDelay(true);
        expect(endpoint.errorCode).to.equal('ECONNRESET');
        peer.expectNothing(1000).expectEvents();
      }
      expect(endpoint.readableBytes).to.equal(600);
      peer.close().expectNothing(1000).expectEvents();
      expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0, orphans: 0 });
    });
  });

  it('tells of bytes that come with it before it tells of the end [F9]', () => {
    const peer = Peer.established();
    const heard: string[] = [];
    peer.onEvent = (event) => {
      heard.push(`${event} ${peer.endpoint.readableBytes}`);
    };
    peer.send('< P. 1:101(100) ack 1').send('< R 101:101(0)').drain();
    expect(heard).to.deep.equal(['readable 100', 'close ECONNRESET 100']);
    peer.expectRead(100);
  });

  it('reads the same whether the application reads before or after [F9]', () => {
    const whole = full().read(600);
    expect(whole).to.have.length(600);
    for (const early of [0, 1, 300, 600]) {
      const peer = full();
      const before = peer.read(early);
      peer.send('< R 601:601(0)');
      const text = [...before, ...peer.read(1000)];
      expect(text).to.deep.equal([...whole]);
      expect(peer.endpoint.readableBytes).to.equal(0);
      finishAll();
    }
  });

  it('that is answered by the application with an RST of its own sends none [F9]', () => {
    const peer = Peer.established().write(5000);
    peer.drain();
    peer.send(reset).close().expectNothing(10_000).expectEvents('close ECONNRESET');
  });
});

describe('a passive close with text the peer never acknowledges', () => {
  const ENDINGS: readonly (readonly [string, (peer: Peer) => void])[] = [
    ['falls silent', () => {}],
    ['acknowledges half and falls silent', (peer) => void peer.send('< . 2:2(0) ack 501')],
    ['closes its window and falls silent', (peer) => void peer.send('< . 2:2(0) ack 501 win 0')],
    ['resets', (peer) => void peer.send('< R. 2:2(0) ack 501')],
    ['acknowledges all', (peer) => void peer.send('< . 2:2(0) ack 1002')],
  ];

  for (const [what, end] of ENDINGS) {
    it(`is freed with all its memory when the peer ${what} [F13]`, () => {
      forEachFamily((family) => {
        const first = Peer.listening({ ...family, tcp: { orphanRetries: 4 } });
        // Three times over: what leaks once leaks again.
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 40; i++) {
            const peer = first.another({ port: 2000 + round * 100 + i, mss: 1000 });
            peer.handshake().send('< F. 1:1(0) ack 1').expect('> . 1:1(0) ack 2').expectState('CLOSE-WAIT');
            peer.wrote(1000).close().drain();
            peer.expectState('LAST-ACK');
            end(peer);
          }
          first.advanceMs(200_000);
          expect(first.gauges).to.deep.equal(NOTHING_LEFT);
        }
      });
    });
  }

  it('is freed too where text and FIN wait out of order, and memory with it [F13]', () => {
    const first = Peer.listening({ tcp: { orphanRetries: 4 } });
    for (let i = 0; i < 40; i++) {
      const peer = first.another({ port: 2000 + i, mss: 1000 });
      peer.handshake().send('< P. 101:201(100) ack 1').send('< F. 301:301(0) ack 1').drain();
      peer.wrote(1000).close().drain();
    }
    expect(first.gauges.memoryBytes).to.be.greaterThan(0);
    first.advanceMs(200_000);
    expect(first.gauges).to.include({ connections: 0, orphans: 0, memoryBytes: 0 });
  });
});

describe('damaged bits', () => {
  const BYTES = 24;

  /** One transfer up. @returns what went wrong, '' for nothing, and the simulation */
  const run = (options: SimulationOptions, bytes: number): { trouble: string; net: Simulation } => {
    const net = new Simulation(options);
    const transfer = net.start({ bytes, direction: 'up' });
    net.clock.runUntil(() => transfer.isOver, 300e6);
    let trouble = '';
    if (!transfer.isIntact) trouble = 'wrong bytes';
    else if (transfer.receivedBytes !== bytes) trouble = `${transfer.receivedBytes} bytes`;
    else if (transfer.closeCodes.some((code) => code !== '')) trouble = `ended ${transfer.closeCodes.join()}`;
    else if (!net.rest()) trouble = 'no rest';
    net.close();
    return { trouble, net };
  };
  const dropped = (net: Simulation): number =>
    Object.values(net.server.stats.drops.toJSON()).reduce((sum, count) => sum + count, 0);

  for (const family of [4, 6] as const) {
    it(`are found wherever in a segment they are, and its text arrives as it was sent: IPv${family} [F16]`, () => {
      // IP header, TCP header with timestamps, text: the second packet, which completes the handshake as well.
      const headerBytes = family === 4 ? 20 : 40;
      const bits = 8 * (headerBytes + 32 + BYTES);
      // Every third bit, so that each byte is met twice at least and each place in a byte as often as the others.
      for (let bit = 0; bit < bits; bit += 3) {
        const upstream = { delayMs: 5, faults: [{ packet: 2, kind: 'corrupt' as const, bit }] };
        const { trouble, net } = run({ family, upstream, downstream: { delayMs: 5 } }, BYTES);
        expect(trouble, `bit ${bit}`).to.equal('');
        expect(net.link?.outgoing.counters.corrupted, `bit ${bit}`).to.equal(1);
        // No checksum covers the traffic class, flow label and hop limit of IPv6.
        const byte = bit >> 3;
        const isUncovered = family === 6 && ((bit > 3 && byte < 4) || byte === 7);
        expect(dropped(net), `drops for bit ${bit}`).to.equal(isUncovered ? 0 : 1);
      }
    });

    it(`in a quarter of all packets, both ways, change no byte of a transfer: IPv${family} [F16]`, () => {
      for (const superPackets of [false, true]) {
        const bad = { delayMs: 2, corrupt: 0.25 };
        for (let seed = 1; seed <= 5; seed++) {
          const more = {
            connection: { retries2: 100, synRetries: 60, rtoMaxMs: 2000 },
            orphanRetries: 100,
            synAckRetries: 60,
          };
          const stack = { tcp: more };
          const options = {
            family,
            seed,
            superPackets,
            upstream: bad,
            downstream: bad,
            client: stack,
            server: stack,
          };
          const { trouble, net } = run(options, 100_000);
          expect(trouble, `seed ${seed}`).to.equal('');
          expect(dropped(net), `seed ${seed}`).to.be.greaterThan(5);
        }
      }
    });
  }
});
