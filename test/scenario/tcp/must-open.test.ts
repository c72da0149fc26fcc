/** Opening and closing as the application sees it: tcp.md MUST-12, MUST-13, MUST-41 to MUST-46, SHLD-2 to SHLD-4. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer } from '../../support/peer.js';

/** The source address of an IP packet, as text. */
const sourceOf = (packet: Uint8Array): string => packet.subarray(12, 16).join('.');

describe('the application', () => {
  it('can tell a close from an abort (RFC 9293 §3.6) [MUST-12]', () => {
    const closed = Peer.established();
    closed.takeEvents();
    closed.send('< F. 1:1(0) ack 1').expectEvents('readable', 'end');
    closed.shutdown().send('< . 2:2(0) ack 2').expectEvents('drain', 'close');
    expect(closed.endpoint.errorCode).to.equal('');
    const aborted = Peer.established();
    aborted.takeEvents();
    aborted.send('< R 1:1(0)').expectEvents('close ECONNRESET');
    expect(aborted.endpoint.errorCode).to.equal('ECONNRESET');
  });

  it('can tell them apart with data unread, which stays (RFC 9293 §3.6) [MUST-12]', () => {
    const closed = Peer.established().sendText(100);
    closed.takeEvents();
    closed.send('< F. 101:101(0) ack 1').expectEvents('readable', 'end');
    closed.expectRead(100).drain();
    const aborted = Peer.established().sendText(100);
    aborted.takeEvents();
    aborted.drain();
    aborted.send('< R 101:101(0)').expectEvents('close ECONNRESET').expectRead(100);
  });

  it('can tell them apart while it is closing itself (RFC 9293 §3.6) [MUST-12]', () => {
    for (const state of ['FIN-WAIT-1', 'FIN-WAIT-2'] as const) {
      const ended = Peer.in(state).send('< F. 1:1(0) ack 2');
      expect(ended.takeEvents().at(-1), state).to.equal('close');
      expect(Peer.in(state).send('< R 1:1(0)').takeEvents().at(-1), state).to.equal('close ECONNRESET');
    }
  });
});

describe('TIME-WAIT', () => {
  forEachFamily((family, name) => {
    it(`keeps the tuple of the active closer for 60 s, to the millisecond, over ${name} (RFC 9293 §3.6.1) [MUST-13]`, () => {
      const peer = Peer.in('TIME-WAIT', { ...family, role: 'client', stackPort: 5000 });
      const entered = peer.nowMs;
      const connect = (): unknown =>
        peer.stack.connectTcp({ address: peer.direction.source, port: 80, localPort: 5000 });
      expect(connect).to.throw('EADDRINUSE');
      peer.advanceMs(59_999 - (peer.nowMs - entered)).expectState('TIME-WAIT');
      expect(connect).to.throw('EADDRINUSE');
      peer.advanceMs(1).expectState('CLOSED');
      expect(peer.connect().take()?.text).to.match(/^> S /);
    });
  });

  it('lasts as long as the setting says, and never begins for the passive closer (RFC 9293 §3.6.1) [MUST-13]', () => {
    const peer = Peer.in('TIME-WAIT', { tcp: { timeWaitMs: 240_000 } });
    peer.advanceMs(239_999).expectState('TIME-WAIT').advanceMs(1).expectState('CLOSED');
    Peer.in('LAST-ACK').send('< . 2:2(0) ack 2').expectState('CLOSED');
  });

  it('is cut short by a SYN with a newer timestamp, whatever its number (RFC 6191 §2) [SHLD-4]', () => {
    for (const number of [2, 100_000, 0xf000_0000]) {
      const peer = Peer.in('TIME-WAIT', { timestamps: true });
      peer.advanceMs(2000);
      const stamp = `TS val ${peer.tsVal} ecr 0`;
      peer.send(`< S ${number}:${number}(0) win 65535 <mss 1000,${stamp}>`);
      peer.expect(`> S. ${peer.last?.line.start}:${peer.last?.line.start}(0) ack ${(number + 1) >>> 0}`);
      peer.expectState('SYN-RECEIVED');
      expect(peer.stats.tcp.twRecycled).to.equal(1);
    }
  });

  it('is not cut short by a SYN with an older timestamp (RFC 6191 §2) [SHLD-4]', () => {
    const peer = Peer.in('TIME-WAIT', { timestamps: true });
    peer.advanceMs(2000).send('< S 100000:100000(0) win 65535 <mss 1000,TS val 1001 ecr 0>');
    peer.expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
  });
});

describe('a passive OPEN', () => {
  it('does not disturb connections of the same port (RFC 9293 §3.9.1.1) [MUST-41]', () => {
    const peer = Peer.established();
    peer.wrote(100).listener?.close();
    peer.expectState('ESTABLISHED');
    peer.listen().expectState('ESTABLISHED').expectNothing();
    peer.ackAll().sendText(10).expectRead(10).drain();
    const other = peer.another();
    other.handshake().expectState('ESTABLISHED');
    peer.write(10).expect('> P. 101:111(10) ack 11').ackAll();
  });

  it('is possible on the port of a connection in any state (RFC 9293 §3.9.1.1) [MUST-41 MUST-42]', () => {
    for (const state of [
      'SYN-SENT',
      'SYN-RECEIVED',
      'ESTABLISHED',
      'FIN-WAIT-2',
      'CLOSE-WAIT',
      'TIME-WAIT',
    ] as const) {
      const peer = Peer.in(state, { role: 'client', stackPort: 5000 });
      const accepted: string[] = [];
      peer.host.listen(5000, (endpoint) => accepted.push(String(endpoint.remotePort)), {});
      peer.expectState(state).expectNothing();
      const newcomer = peer.another({ role: 'server', stackPort: 5000, port: 40_000 });
      newcomer.sendSyn().expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
      expect(accepted).to.deep.equal(['40000']);
      peer.expectState(state).expectNothing();
      newcomer.send('< R 1:1(0)');
    }
  });

  it('is possible while the same port is in SYN-SENT, which then goes on (RFC 9293 §3.9.1.1) [MUST-42]', () => {
    const peer = Peer.connecting({ stackPort: 5000 }).expect('> S 0:0(0)');
    peer.host.listen(5000, () => {}, {});
    peer.expectAfterMs(1000, '> S 0:0(0)').send('< S. 0:0(0) ack 1').expect('> . 1:1(0) ack 1');
    peer.expectState('ESTABLISHED');
  });
});

describe('an active OPEN', () => {
  it('takes a local address (RFC 9293 §3.9.1.1) [MUST-43]', () => {
    for (const localAddress of ['10.0.0.1', '10.0.0.7']) {
      const peer = Peer.closed({ role: 'client', addresses: ['10.0.0.7/24'] });
      const endpoint = peer.host.adopt(
        peer.stack.connectTcp({ address: '10.0.0.2', port: 80, localAddress, localPort: 5000 }),
      );
      peer.advanceMs(0);
      expect(String(endpoint.localAddress)).to.equal(localAddress);
      expect(endpoint.localPort).to.equal(5000);
      const syn = peer.take()?.bytes ?? peer.host.unclaimed[0]?.bytes;
      expect(sourceOf(syn)).to.equal(localAddress);
    }
  });

  it('refuses a local address that is none of ours, or of the other family (RFC 9293 §3.9.1.1) [MUST-43]', () => {
    const { stack } = Peer.closed();
    const from = (localAddress: string): unknown =>
      stack.connectTcp({ address: '10.0.0.2', port: 80, localAddress });
    expect(() => from('10.0.0.9')).to.throw('EADDRNOTAVAIL');
    expect(() => from('fd00::1')).to.throw('EINVAL');
    expect(() => from('224.0.0.1')).to.throw('EINVAL');
    expect(stack.tcp.connections).to.equal(0);
  });

  it('without one has IP choose it, by the route, before the SYN (RFC 9293 §3.9.1.1) [MUST-44]', () => {
    const peer = Peer.closed({ role: 'client', addresses: ['10.0.0.7/24', '10.0.0.8/24'] });
    peer.stack.routing.routes.add({ destination: '10.0.0.2/32', port: 1, source: '10.0.0.8' });
    const endpoint = peer.host.adopt(peer.stack.connectTcp({ address: '10.0.0.2', port: 80 }));
    peer.advanceMs(0);
    expect(String(endpoint.localAddress)).to.equal('10.0.0.8');
    expect(sourceOf(peer.host.unclaimed[0].bytes)).to.equal('10.0.0.8');
    const other = peer.host.adopt(peer.stack.connectTcp({ address: '10.0.0.3', port: 80 }));
    expect(String(other.localAddress)).to.equal('10.0.0.1');
  });

  it('keeps the address it has chosen, whatever happens to routes and addresses (RFC 9293 §3.9.1.1) [MUST-45]', () => {
    const peer = Peer.established({ role: 'client', mss: 1000 });
    const { routes } = peer.stack.routing;
    const use = (): void => {
      peer.write(10);
      const sent = peer.drain();
      expect(sent.map(({ bytes }) => sourceOf(bytes))).to.deep.equal(['10.0.0.1']);
      peer.ackAll();
    };
    use();
    peer.stack.ip.addAddress(1, '10.0.0.5/24');
    routes.add({ destination: '10.0.0.2/32', port: 1, source: '10.0.0.5' });
    use();
    peer.stack.ip.addAddress(1, '10.0.0.6/32');
    use();
    // Without its address it cannot send; it does not send from another.
    peer.stack.ip.removeAddress(1, '10.0.0.1');
    peer.write(10).expectNothing();
    expect(peer.host.unclaimed).to.have.lengthOf(0);
    peer.stack.ip.addAddress(1, '10.0.0.1/24');
    peer.advanceMs(1000);
    expect(peer.drain().every(({ bytes }) => sourceOf(bytes) === '10.0.0.1')).to.equal(true);
    peer.ackAll();
  });

  it('to a broadcast, multicast or impossible address fails at once (RFC 9293 §3.9.1.1, §3.9.2.3) [MUST-46]', () => {
    const peer = Peer.closed();
    const addresses = [
      '255.255.255.255',
      '10.0.0.255',
      '10.0.0.0',
      '224.0.0.1',
      '239.9.9.9',
      'ff02::1',
      'ff0e::5',
      '240.0.0.1',
      'fe80::1',
    ];
    for (const address of addresses) {
      expect(() => peer.stack.connectTcp({ address, port: 80 }), address).to.throw(
        /ENETUNREACH|EACCES|EINVAL|EHOSTUNREACH/,
      );
    }
    expect(() => peer.stack.connectTcp({ address: '10.0.0.2', port: 0 })).to.throw('port');
    expect(() => peer.stack.connectTcp({ address: 'not an address', port: 80 })).to.throw();
    peer.expectNothing(1000);
    expect(peer.host.unclaimed).to.have.lengthOf(0);
    expect(peer.stack.tcp.connections).to.equal(0);
  });
});

describe('an RST with text', () => {
  forEachFamily((family, name) => {
    it(`is an RST, over ${name} (RFC 9293 §3.5.3) [SHLD-2]`, () => {
      const peer = Peer.established(family);
      peer.takeEvents();
      peer.send('< R. 1:12(11) ack 1').expectState('CLOSED').expectEvents('close ECONNRESET').expectNothing();
      expect(peer.endpoint.readableBytes).to.equal(0);
      const client = Peer.connecting(family).expect('> S 0:0(0)');
      client.send('< R. 0:11(11) ack 1').expectState('CLOSED').expectEvents('close ECONNREFUSED');
      Peer.in('SYN-RECEIVED', family).send('< R 1:12(11)').expectState('LISTEN').expectNothing();
      Peer.in('TIME-WAIT', family).send('< R 2:13(11)').expectState('CLOSED').expectNothing();
    });
  });

  it('is challenged where its number is not exact (RFC 5961 §3.2) [SHLD-2]', () => {
    Peer.established().send('< R. 2:13(11) ack 1').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
  });
});

describe('CLOSE by an application that', () => {
  it('has not read everything resets (RFC 9293 §3.6.1, RFC 2525 §2.17) [SHLD-3]', () => {
    for (const state of ['ESTABLISHED', 'CLOSE-WAIT', 'FIN-WAIT-1', 'FIN-WAIT-2'] as const) {
      const peer = Peer.established();
      peer.sendText(100).drain();
      if (state === 'CLOSE-WAIT') peer.send('< F. 101:101(0) ack 1').drain();
      if (state.startsWith('FIN')) peer.shutdown().drain();
      if (state === 'FIN-WAIT-2') peer.ackAll();
      const acked = state === 'CLOSE-WAIT' ? 102 : 101;
      const at = state.startsWith('FIN') ? 2 : 1;
      peer.expectState(state).close().expect(`> R. ${at}:${at}(0) ack ${acked}`).expectState('CLOSED');
      expect(peer.stats.tcp.abortOnClose).to.equal(1);
    }
  });

  it('has read everything does not (RFC 9293 §3.6.1) [SHLD-3]', () => {
    const peer = Peer.established().sendText(100).expectRead(100);
    peer.drain();
    peer.close().expect('> F. 1:1(0) ack 101').expectState('FIN-WAIT-1');
  });

  it('is sent data afterwards resets (RFC 9293 §3.6.1, RFC 2525 §2.17) [SHLD-3]', () => {
    for (const state of ['FIN-WAIT-1', 'FIN-WAIT-2'] as const) {
      const peer = Peer.in(state, { orphan: true });
      const acked = state === 'FIN-WAIT-1' ? 1 : 2;
      peer.send(`< P. 1:101(100) ack ${acked}`).expect(`> R ${acked}:${acked}(0)`).expectState('CLOSED');
      expect(peer.stats.tcp.abortOnData).to.equal(1);
      expect(peer.stats.drops.count(DropReason.TcpAfterClose)).to.equal(1);
      // And what is still under way finds nobody.
      peer.send('< P. 101:201(100) ack 2').expect('> R 2:2(0)');
    }
  });

  it('is only half-closed goes on to take data (RFC 9293 §3.6.1) [SHLD-3]', () => {
    const peer = Peer.in('FIN-WAIT-2');
    peer.send('< P. 1:101(100) ack 2').expect('> . 2:2(0) ack 101').expectRead(100).expectState('FIN-WAIT-2');
  });
});
