/**
 * Applications that call whatever they like whenever they like, above all from within the calls they get:
 * rows F14 and F15 of robustness.md. Nothing is thrown but the errors of a bad call, no byte is out of its
 * place, and in the end nothing is left.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { forEachFamily, Peer } from '../../support/peer.js';
import { codeOf, RogueWorld, rogueChoices } from '../../support/rogue-world.js';

describe('applications that call what they like from within the calls they get', function () {
  this.timeout(20_000);

  it('break nothing, and leave nothing behind [F14, F15]', () => {
    fc.assert(
      fc.property(rogueChoices, (choice) => new RogueWorld(choice).finish()),
      { numRuns: 300, seed: 14 },
    );
  });

  it('may close the whole stack there [F14]', () => {
    const closing = fc.tuple(rogueChoices, fc.nat(12)).map(([choice, at]) => {
      const plans = choice.plans.map((list) => list.toSpliced(at, 0, { kind: 'closeStack', amount: 0 }));
      return { ...choice, plans };
    });
    fc.assert(
      fc.property(closing, (choice) => new RogueWorld(choice).finish()),
      { numRuns: 100, seed: 15 },
    );
  });

  for (const what of ['close', 'abort', 'shutdown', 'shutdownRead'] as const) {
    for (const event of ['connect', 'readable', 'writable', 'drain', 'end', 'close']) {
      it(`may ${what} on '${event}', and write and read on [F14]`, () => {
        forEachFamily((family) => {
          const peer = Peer.connecting(family);
          let calls = 0;
          peer.onEvent = (heard) => {
            if (heard !== event && !heard.startsWith(`${event} `)) return;
            calls++;
            peer.endpoint[what]();
            if (what !== 'shutdownRead') expect(peer.endpoint.write(new Uint8Array(9))).to.equal(0);
            peer.endpoint.read(new Uint8Array(9));
            peer.endpoint[what]();
          };
          peer.handshake();
          if (peer.endpoint.writableBytes > 0) peer.offer(100);
          peer.drain();
          peer.send('< P. 1:101(100) ack 1').send('< . 101:101(0) ack 101').send('< F. 101:101(0) ack 101');
          peer.advanceMs(1000).send('< R. 102:102(0) ack 101').advanceMs(1000).drain();
          expect(calls).to.be.within(1, event === 'readable' ? 2 : 1);
        });
      });
    }
  }
});

describe('an endpoint that is used wrongly', () => {
  it('is closed once, whatever it is asked, and in whatever order [F15]', () => {
    forEachFamily((family) => {
      const peer = Peer.established(family).close().close();
      peer.expect('> F. 1:1(0) ack 1').shutdown().close().expectNothing(100);
      expect(peer.endpoint.write(new Uint8Array(9))).to.equal(0);
      peer.abort().close().expect('> R. 2:2(0) ack 1').abort().close().expectNothing(10_000).expectEvents();
      expect(peer.gauges).to.include({ connections: 0, orphans: 0, memoryBytes: 0 });
    });
  });

  it('admits nothing after its end of writing, and says so by a count [F15]', () => {
    const peer = Peer.established().shutdown();
    peer.expect('> F. 1:1(0) ack 1').takeEvents();
    for (let i = 0; i < 3; i++) {
      expect(peer.endpoint.write(new Uint8Array(100))).to.equal(0);
      expect(peer.endpoint.writeMore(new Uint8Array(100))).to.equal(0);
      expect(peer.endpoint.writeUrgent(new Uint8Array(100))).to.equal(0);
    }
    peer.expectNothing(100).expectState('FIN-WAIT-1').send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2');
  });

  it('takes and gives only bytes that are there [F15]', () => {
    forEachFamily((family) => {
      const { endpoint } = Peer.established(family);
      const memory = new Uint8Array(10);
      const wrong: [unknown, number | undefined, number | undefined, string][] = [
        [memory, 10, -5, 'ERR_OUT_OF_RANGE'],
        [memory, 100, undefined, 'ERR_OUT_OF_RANGE'],
        [memory, 0, 11, 'ERR_OUT_OF_RANGE'],
        [memory, 5, 6, 'ERR_OUT_OF_RANGE'],
        [memory, -1, undefined, 'ERR_OUT_OF_RANGE'],
        [memory, 0.5, 2, 'ERR_OUT_OF_RANGE'],
        [memory, 0, Number.NaN, 'ERR_OUT_OF_RANGE'],
        ['text', undefined, undefined, 'ERR_INVALID_ARG_TYPE'],
        [[1, 2], undefined, undefined, 'ERR_INVALID_ARG_TYPE'],
        [new Uint16Array(4), undefined, undefined, 'ERR_INVALID_ARG_TYPE'],
      ];
      for (const call of ['write', 'writeMore', 'writeUrgent', 'read'] as const) {
        for (const [given, at, length, code] of wrong) {
          expect(
            codeOf(() => endpoint[call](given as Uint8Array, at, length)),
            call,
          ).to.equal(code);
        }
      }
      expect([endpoint.unackedBytes, endpoint.readableBytes]).to.deep.equal([0, 0]);
      expect(endpoint.write(memory, 10)).to.equal(0);
      expect(endpoint.write(Buffer.from('ab'), 1)).to.equal(1);
    });
  });

  it('listens once at a port, and a closed listener stays closed [F15]', () => {
    const { stack } = Peer.closed();
    const first = stack.listenTcp({ port: 80 });
    for (let i = 0; i < 3; i++) expect(codeOf(() => stack.listenTcp({ port: 80 }))).to.equal('EADDRINUSE');
    first.close();
    first.close();
    const second = stack.listenTcp({ port: 80 });
    // The first has no say any more in what is the second's.
    first.close();
    expect(first.accept()).to.equal(undefined);
    expect(codeOf(() => stack.listenTcp({ port: 80 }))).to.equal('EADDRINUSE');
    second.close();
    expect(codeOf(() => stack.listenTcp({ port: 80 }).close())).to.equal('');
  });

  it('binds a port once, uses a binding once, and gives it back once [F15]', () => {
    const { stack } = Peer.closed();
    const binding = stack.bindTcp({ port: 80 });
    expect(codeOf(() => stack.bindTcp({ port: 80 }))).to.equal('EADDRINUSE');
    expect(codeOf(() => stack.listenTcp({ port: 80 }))).to.equal('EADDRINUSE');
    const listener = binding.listen();
    expect(codeOf(() => binding.listen())).to.equal('EINVAL');
    expect(codeOf(() => binding.connect({ address: '10.0.0.2', port: 9 }))).to.equal('EINVAL');
    // The port is the listener's now.
    binding.close();
    binding.close();
    expect(codeOf(() => stack.bindTcp({ port: 80 }))).to.equal('EADDRINUSE');
    listener.close();
    stack.bindTcp({ port: 80 }).close();
  });

  it('refuses what can never be, and goes on [F15]', () => {
    const peer = Peer.established();
    for (const call of [
      () => peer.endpoint.setSendBuffer(0),
      () => peer.endpoint.setReceiveBuffer(Number.NaN),
      () => peer.endpoint.setCongestionControl('none'),
      () => peer.endpoint.setHopLimit(256),
      () => peer.stack.listenTcp({ port: 65_536 }),
      () => peer.stack.connectTcp({ address: '10.0.0.2', port: 0x1_0000 }),
      () => peer.stack.connectTcp({ address: 'nobody', port: 1 }),
    ]) {
      expect(codeOf(call)).to.match(/^ERR_/);
    }
    peer.write(10).expect('> P. 1:11(10) ack 1').expectState('ESTABLISHED');
  });

  it('of a stack that is closed does nothing, and the stack begins nothing [F15]', () => {
    const peer = Peer.established();
    const { endpoint, stack, listener } = peer;
    stack.close();
    stack.close();
    endpoint.shutdown();
    endpoint.abort();
    endpoint.close();
    expect(endpoint.write(new Uint8Array(9))).to.equal(0);
    listener?.close();
    expect(codeOf(() => stack.listenTcp({ port: 81 }))).to.equal('ENETDOWN');
    expect(codeOf(() => stack.connectTcp({ address: '10.0.0.2', port: 80 }))).to.equal('ENETDOWN');
  });
});
