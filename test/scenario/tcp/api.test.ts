/** What owners of connections and listeners may rely on: tcp.md section 18, API-*. */
import { expect } from 'chai';
import { seq } from '../../../lib/base/seq.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../../lib/stack/tcp-listener-endpoint.js';
import { stateName } from '../../../lib/tcp/state.js';
import { forEachFamily, Peer } from '../../support/peer.js';
import { WireLink } from '../../support/wire-link.js';

describe('close', () => {
  forEachFamily((family, name) => {
    it(`resets a connection that has unread text, over ${name} (RFC 2525 §2.17) [API-1]`, () => {
      const peer = Peer.established(family).sendText(100).advanceMs(50);
      peer.drain();
      peer.close().expect('> R. 1:1(0) ack 101').expectNothing().expectState('CLOSED');
      expect(peer.stats.tcp.abortOnClose).to.equal(1);
    });
  });

  it('resets also where the last byte alone was not read, and where the peer has finished [API-1]', () => {
    const peer = Peer.established().sendText(100).send('< F. 101:101(0) ack 1');
    peer.drain();
    peer.read(99);
    peer.close().expect('> R. 1:1(0) ack 102').expectState('CLOSED');
  });

  it('finishes a connection whose text was read, though the peer has not finished (RFC 2525 §2.17) [API-1]', () => {
    const peer = Peer.established().sendText(100).advanceMs(50);
    peer.expectRead(100).drain();
    peer.close().expect('> F. 1:1(0) ack 101').expectNothing().expectState('FIN-WAIT-1');
    peer.send('< . 101:101(0) ack 2').expectState('FIN-WAIT-2').send('< F. 101:101(0) ack 2');
    peer.expect('> . 2:2(0) ack 102').expectState('TIME-WAIT');
    expect(peer.stats.tcp.outRsts).to.equal(0);
  });

  it('sends what was written before the FIN, however long that takes [API-1]', () => {
    const peer = Peer.established({ mss: 1000, window: 1000 }).write(2500).close();
    peer.expect('> . 1:1001(1000) ack 1').send('< . 1:1(0) ack 1001').expect('> . 1001:2001(1000) ack 1');
    peer.send('< . 1:1(0) ack 2001').expect('> FP. 2001:2501(500) ack 1').send('< . 1:1(0) ack 2502');
    peer.expectState('FIN-WAIT-2');
  });
});

describe('lingering', () => {
  it('for no time at all makes close reset and drop what is queued (Linux) [API-2]', () => {
    const peer = Peer.established({ mss: 1000, window: 1000 }).write(5000);
    peer.expect('> . 1:1001(1000) ack 1').takeEvents();
    peer.endpoint.setLinger(0);
    peer.close().expect('> R. 1001:1001(0) ack 1').expectNothing(10_000).expectEvents();
    expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0, orphans: 0 });
  });

  it('for a while makes close tell when the peer has everything, the FIN included (Linux) [API-2]', () => {
    const peer = Peer.established({ options: { lingerMs: 5000 } }).wrote(100);
    peer.takeEvents();
    peer.close().expect('> F. 101:101(0) ack 1').advanceMs(20).send('< . 1:1(0) ack 101').expectEvents();
    peer.send('< . 1:1(0) ack 102').expectEvents('close').expectState('FIN-WAIT-2');
    peer.send('< F. 1:1(0) ack 102').expect('> . 102:102(0) ack 2').expectEvents();
  });

  it('ends after that while, and the rest happens in the background (Linux) [API-2]', () => {
    const peer = Peer.established({ mss: 1000, options: { lingerMs: 500 } }).wrote(100);
    peer.takeEvents();
    peer.close().expect('> F. 101:101(0) ack 1').advanceMs(499).expectEvents();
    peer.advanceMs(1).expectEvents('close').expectState('FIN-WAIT-1');
    expect(peer.endpoint.errorCode).to.equal('');
    peer.drain();
    // What was written is still sent again, and acknowledged.
    peer.advanceMs(1000);
    expect(peer.take()?.line.start).to.equal(1);
    peer.send('< . 1:1(0) ack 102').expectState('FIN-WAIT-2').expectEvents();
    expect(peer.stats.tcp.outRsts).to.equal(0);
  });

  it('ends with the connection, whatever ends it (Linux) [API-2]', () => {
    const reset = Peer.established({ options: { lingerMs: 5000 } }).wrote(100);
    reset.takeEvents();
    reset.close().expect('> F. 101:101(0) ack 1').send('< R. 1:1(0) ack 1').expectEvents('close ECONNRESET');
    reset.advanceMs(10_000).expectEvents();
    const both = Peer.in('CLOSE-WAIT', { options: { lingerMs: 5000 } });
    both.close().expect('> F. 1:1(0) ack 2').expectEvents().send('< . 2:2(0) ack 2').expectEvents('close');
    both.expectState('CLOSED');
    const unread = Peer.established({ options: { lingerMs: 5000 } }).sendText(10);
    unread.drain();
    unread.takeEvents();
    unread.close().expect('> R. 1:1(0) ack 11').expectEvents('close');
  });

  it('is no matter by default: the owner hears no more (Linux) [API-2]', () => {
    const peer = Peer.established().wrote(100);
    peer.takeEvents();
    peer.close().drain();
    peer.send('< . 1:1(0) ack 102').send('< F. 1:1(0) ack 102').drain();
    peer.expectEvents();
  });
});

describe('shutting down', () => {
  it('reading makes what arrives vanish: acknowledged, with the window open, and unread (Linux) [API-3]', () => {
    forEachFamily((family) => {
      const options = { receiveBufferBytes: 4000, receiveBufferMaxBytes: 4000 };
      const peer = Peer.established({ ...family, mss: 1000, options }).sendText(1000);
      peer.drain();
      peer.endpoint.shutdownRead();
      peer.advanceMs(100).drain();
      expect(peer.endpoint.readableBytes).to.equal(0);
      for (let i = 0; i < 20; i++) peer.sendText(1000).advanceMs(100);
      expect(peer.last?.line).to.include({ ack: 21_001, window: 4000 });
      expect(peer.endpoint.readableBytes).to.equal(0);
      peer.drain();
      // The other direction goes on, and so does the end.
      peer.write(10).expect('> P. 1:11(10) ack 21001').send('< F. 21001:21001(0) ack 11').drain();
      peer
        .expectState('CLOSE-WAIT')
        .close()
        .expect('> F. 11:11(0) ack 21002')
        .send('< . 21002:21002(0) ack 12');
      expect(peer.stats.tcp.outRsts).to.equal(0);
    });
  });

  it('reading keeps gaps in mind: what fills them is acknowledged with what waited [API-3]', () => {
    const peer = Peer.established();
    peer.endpoint.shutdownRead();
    peer.send('< P. 11:21(10) ack 1').expect('> . 1:1(0) ack 1').send('< P. 1:11(10) ack 1');
    peer.expect('> . 1:1(0) ack 21');
    expect(peer.endpoint.readableBytes).to.equal(0);
  });

  it('both is a half-close that wants no answer: a FIN, and what arrives is acknowledged (Linux) [API-3]', () => {
    const peer = Peer.established();
    peer.endpoint.shutdownRead();
    peer.shutdown().expect('> F. 1:1(0) ack 1').send('< . 1:1(0) ack 2').expectState('FIN-WAIT-2');
    peer.sendText(100).advanceMs(100).expect('> . 2:2(0) ack 101').expectState('FIN-WAIT-2');
    peer.send('< F. 101:101(0) ack 2').expect('> . 2:2(0) ack 102').expectState('TIME-WAIT');
    expect(peer.stats.tcp.outRsts).to.equal(0);
  });
});

describe('a listener', () => {
  it('gives a connection only when its handshake is done (Linux) [API-4]', () => {
    const peer = Peer.listening({ accept: false }).sendSyn();
    peer.expect('> S. 0:0(0) ack 1');
    expect(peer.listener?.ready).to.equal(0);
    expect(peer.listener?.accept()).to.equal(undefined);
    peer.advanceMs(20).send('< . 1:1(0) ack 1');
    expect(peer.listener?.ready).to.equal(1);
    expect(stateName(peer.accept().state)).to.equal('ESTABLISHED');
    expect(peer.listener?.accept()).to.equal(undefined);
  });

  it('passes over a connection that was reset before it was accepted, and goes on (Linux) [API-4]', () => {
    const first = Peer.listening({ accept: false }).handshake();
    const second = first.another({ port: 41_000 }).handshake();
    first.drain();
    second.drain();
    expect(first.listener?.ready).to.equal(2);
    first.send('< R. 1:1(0) ack 1').expectNothing();
    const endpoint = second.accept();
    expect(endpoint.remotePort).to.equal(41_000);
    expect(first.listener?.accept()).to.equal(undefined);
    const third = first.another({ port: 42_000 }).handshake();
    third.drain();
    expect(third.accept().remotePort).to.equal(42_000);
  });

  it('gives one that sent text and was reset then, with the text and the error [API-4]', () => {
    const peer = Peer.listening({ accept: false }).handshake();
    peer.sendText(10).send('< R. 11:11(0) ack 1').drain();
    const endpoint = peer.accept();
    peer.advanceMs(0).expectRead(10);
    expect(endpoint.errorCode).to.equal('ECONNRESET');
    expect(peer.takeEvents()).to.include('close ECONNRESET');
  });

  it('that closes resets handshakes under way and connections nobody accepted (RFC 9293 §3.10.4) [API-5]', () => {
    forEachFamily((family) => {
      const ready = Peer.listening({ ...family, accept: false }).handshake();
      const other = ready.another({ port: 41_000 }).handshake();
      const embryo = ready.another({ port: 42_000 }).sendSyn();
      other.sendText(10);
      for (const peer of [ready, other, embryo]) peer.drain();
      const taken = ready.another({ port: 43_000 }).handshake();
      taken.drain();
      ready.accept();
      ready.listener?.close();
      ready.advanceMs(0);
      // `ready` itself was accepted, and lives.
      ready.expectNothing().expectState('ESTABLISHED');
      other.expect('> R. 1:1(0) ack 11').expectNothing();
      embryo.expect('> R. 1:1(0) ack 1').expectNothing();
      taken.expect('> R. 1:1(0) ack 1').expectNothing();
      expect(ready.stats.tcp.outRsts).to.equal(3);
      // Whoever comes now is a stranger.
      embryo.send('< . 1:1(0) ack 1').expect('> R 1:1(0)').expectNothing(100_000);
      ready.another({ port: 44_000 }).sendSyn().expect('> R. 0:0(0) ack 1');
    });
  });
});

describe('ports and addresses', () => {
  const ANY = ['0.0.0.0', '::'];

  /** Listens and closes again. @returns the code of what was thrown, '' for none */
  const attempt = (peer: Peer, options: Parameters<Peer['stack']['listenTcp']>[0]): string => {
    try {
      peer.stack.listenTcp(options).close();
      return '';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('conflict where they overlap, and only there (Linux) [API-6 F15]', () => {
    const peer = Peer.closed({ addresses: ['10.0.0.7/24'] });
    const { stack } = peer;
    const one = stack.listenTcp({ port: 80, address: '10.0.0.1' });
    expect(attempt(peer, { port: 80, address: '10.0.0.1' })).to.equal('EADDRINUSE');
    for (const address of ANY) expect(attempt(peer, { port: 80, address })).to.equal('EADDRINUSE');
    expect(attempt(peer, { port: 80, address: '10.0.0.7' })).to.equal('');
    expect(attempt(peer, { port: 81, address: '10.0.0.1' })).to.equal('');
    expect(attempt(peer, { port: 80, address: '::', ipv6Only: true })).to.equal('');
    expect(attempt(peer, { port: 80, address: 'fd00::1' })).to.equal('');
    expect(attempt(peer, { port: 80, address: '10.9.9.9' })).to.equal('EADDRNOTAVAIL');
    one.close();
    for (const address of ANY) expect(attempt(peer, { port: 80, address })).to.equal('');
    const all = stack.listenTcp({ port: 80 });
    for (const address of ['10.0.0.1', 'fd00::1', '0.0.0.0']) {
      expect(attempt(peer, { port: 80, address })).to.equal('EADDRINUSE');
    }
    all.close();
  });

  it('are shared by a group of listeners that all ask for it, never with others (Linux SO_REUSEPORT) [API-6]', () => {
    const peer = Peer.closed();
    const members = [1, 2].map(() => peer.stack.listenTcp({ port: 80, reusePort: true }));
    expect(attempt(peer, { port: 80, reusePort: true })).to.equal('');
    expect(attempt(peer, { port: 80 })).to.equal('EADDRINUSE');
    for (const member of members) member.close();
    const alone = peer.stack.listenTcp({ port: 80 });
    expect(attempt(peer, { port: 80, reusePort: true })).to.equal('EADDRINUSE');
    alone.close();
  });

  it('of a group are spread over its members by flow, the same flow always to the same (Linux) [API-6]', () => {
    const peer = Peer.closed();
    const members = [0, 1, 2, 3].map(() => peer.stack.listenTcp({ port: 80, reusePort: true }));
    const counts = [0, 0, 0, 0];
    const memberOf = (flow: Peer): number => {
      flow.reborn().sendSyn().advanceMs(1).send('< . 1:1(0) ack 1').drain();
      const index = members.findIndex((member) => member.ready > 0);
      members[index].accept()?.abort();
      flow.advanceMs(0).drain();
      return index;
    };
    for (let port = 20_000; port < 20_400; port++) {
      const flow = peer.another({ port });
      const index = memberOf(flow);
      counts[index]++;
      if (port % 40 === 0) expect(memberOf(flow), `port ${port} again`).to.equal(index);
    }
    // 400 flows in four parts: 100 each, with a standard deviation below 9.
    for (const count of counts) expect(count).to.be.within(60, 140);
    for (const member of members) member.close();
  });

  it('are free to be listened on again while old connections are in TIME-WAIT (Linux SO_REUSEADDR) [API-6]', () => {
    const peer = Peer.in('TIME-WAIT');
    peer.listener?.close();
    expect(attempt(peer, { port: 80 })).to.equal('');
    expect(peer.stats.tcp.twCount).to.equal(1);
    const living = Peer.established();
    living.listener?.close();
    expect(attempt(living, { port: 80 })).to.equal('');
    living.expectState('ESTABLISHED');
  });

  it('of a connection are taken for that peer alone, those of a listener for all (Linux) [API-6]', () => {
    const peer = Peer.established({ role: 'client', stackPort: 5000 });
    const connect = (address: string, port: number): TcpEndpoint =>
      peer.stack.connectTcp({ address, port, localPort: 5000 });
    expect(() => connect('10.0.0.2', 80)).to.throw(Error, 'EADDRINUSE');
    connect('10.0.0.2', 81).abort();
    connect('10.0.0.3', 80).abort();
    const listener = peer.stack.listenTcp({ port: 6000 });
    expect(() => peer.stack.connectTcp({ address: '10.0.0.2', port: 80, localPort: 6000 })).to.throw(
      'EADDRINUSE',
    );
    listener.close();
  });
});

describe('connecting to oneself', () => {
  for (const address of ['127.0.0.1', '::1', '10.0.0.1']) {
    it(`is a simultaneous open with oneself, and text comes back: ${address} (Linux) [API-7]`, () => {
      const peer = Peer.closed();
      const endpoint = peer.stack.connectTcp({ address, port: 7000, localPort: 7000 });
      const events: string[] = [];
      const hear = (event: string) => (): void => void events.push(event);
      endpoint.handler = {
        onConnect: hear('connect'),
        onReadable: hear('readable'),
        onWritable: () => {},
        onEnd: hear('end'),
        onClose: (code) => events.push(`close ${code}`),
      };
      peer.advanceMs(10);
      expect(stateName(endpoint.state)).to.equal('ESTABLISHED');
      expect(events).to.deep.equal(['connect']);
      endpoint.write(new Uint8Array([1, 2, 3]));
      peer.advanceMs(300);
      const bytes = new Uint8Array(10);
      expect([...bytes.subarray(0, endpoint.read(bytes))]).to.deep.equal([1, 2, 3]);
      endpoint.shutdown();
      peer.advanceMs(300);
      expect(events).to.include.members(['end', 'close ']);
      expect(peer.stats.tcp.outRsts).to.equal(0);
    });
  }
});

describe('a segment', () => {
  it('finds its connection, then the listener on its address, then one on any address (Linux) [API-8]', () => {
    const peer = Peer.closed({ addresses: ['10.0.0.7/24'] });
    const { stack } = peer;
    const listen = (address: string): TcpListenerEndpoint =>
      stack.listenTcp({ port: 80, address, reusePort: true });
    const any = listen('::');
    const any4 = listen('0.0.0.0');
    const exact = listen('10.0.0.7');
    const all = [any, any4, exact];
    const finder = (stackAddress: string, port: number, ipv6 = false): number => {
      const flow = peer.another({ port, ipv6, ...(ipv6 ? {} : { stackAddress }) }).sendSyn();
      flow.advanceMs(1).send('< . 1:1(0) ack 1').drain();
      const index = all.findIndex((listener) => listener.ready > 0);
      const endpoint = all[index]?.accept();
      // The connection comes first now, whoever listens.
      flow.send('< P. 1:11(10) ack 1').drain();
      expect(endpoint?.readableBytes).to.equal(10);
      endpoint?.abort();
      return index;
    };
    expect(finder('10.0.0.7', 40_001)).to.equal(2);
    expect(finder('10.0.0.1', 40_002)).to.equal(1);
    expect(finder('fd00::1', 40_003, true)).to.equal(0);
    exact.close();
    expect(finder('10.0.0.7', 40_004)).to.equal(1);
    any4.close();
    expect(finder('10.0.0.7', 40_005)).to.equal(0);
    any.close();
  });

  it('finds the listener of its link before one of all links (Linux SO_BINDTODEVICE) [API-8]', () => {
    const peer = Peer.closed();
    const { stack } = peer;
    const second = new WireLink({ name: 'wire1' });
    const sent: Uint8Array[] = [];
    second.onSent = ({ bytes }) => sent.push(bytes);
    const link = stack.addLink(second, { addresses: ['10.0.0.1/24', '10.1.0.1/24'] });
    const bound = stack.listenTcp({ port: 80, link });
    const first = stack.listenTcp({ port: 80, link: 1 });
    expect(() => stack.listenTcp({ port: 80 })).to.throw(Error, 'EADDRINUSE');
    expect(() => stack.listenTcp({ port: 80, link })).to.throw(Error, 'EADDRINUSE');
    expect(() => stack.listenTcp({ port: 81, link: 17 })).to.throw(RangeError);
    // The same SYN by either link, to the same address.
    peer.sendSyn().expect('> S. 0:0(0) ack 1');
    const other = peer.another({ port: 41_000 });
    second.inject([other.packet('< S 0:0(0) win 65535 <mss 1460>')]);
    peer.advanceMs(0);
    // Its answer leaves by the link it came by, whatever the routes say.
    expect(sent.length).to.equal(1);
    other.expectNothing();
    peer.send('< . 1:1(0) ack 1');
    expect([first.ready, bound.ready]).to.deep.equal([1, 0]);
    first.close();
    bound.close();
    peer.advanceMs(0).expect('> R. 1:1(0) ack 1');
    expect(sent.length).to.equal(2);
    const all = stack.listenTcp({ port: 90, reusePort: true });
    const own = stack.listenTcp({ port: 90, reusePort: true, link });
    for (let port = 20_000; port < 20_010; port++) {
      const flow = peer.another({ port, stackPort: 90 });
      second.inject([flow.packet('< S 0:0(0) win 65535 <mss 1460>')]);
      second.inject([flow.packet('< R 1:1(0) win 0')]);
    }
    // All ten had half-open records with the listener of the link.
    expect(stack.stats.tcp.embryonicRsts).to.equal(10);
    const ports = [20_010, 20_011, 20_012];
    for (const port of ports) {
      const flow = peer.another({ port, stackPort: 90 });
      sent.length = 0;
      second.inject([flow.packet('< S 0:0(0) win 65535 <mss 1460>')]);
      const iss = new DataView(sent[0].buffer, sent[0].byteOffset).getUint32(24);
      flow.origin.localSequence = seq(iss);
      second.inject([flow.packet('< . 1:1(0) ack 1')]);
    }
    expect([all.ready, own.ready]).to.deep.equal([0, ports.length]);
    peer.another({ port: 30_000, stackPort: 90 }).handshake().drain();
    expect([all.ready, own.ready]).to.deep.equal([1, ports.length]);
    all.close();
    own.close();
    peer.advanceMs(0);
  });
});

describe('errors', () => {
  const codeOf = (action: () => unknown): string => {
    try {
      action();
      return '';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('of an attempt to connect: refused, timed out, unreachable (POSIX) [API-9]', () => {
    Peer.connecting().send('< R. 0:0(0) ack 1').expectEvents('close ECONNREFUSED').drain();
    const silent = Peer.connecting().advanceMs(200_000);
    expect(silent.takeEvents()).to.include('close ETIMEDOUT');
    silent.drain();
    for (const [kind, code] of [
      ['port', 'ECONNREFUSED'],
      ['host', 'EHOSTUNREACH'],
      ['net', 'ENETUNREACH'],
    ] as const) {
      const peer = Peer.connecting().icmp(kind);
      peer.advanceMs(200_000).drain();
      expect(peer.takeEvents(), kind).to.include(`close ${code}`);
    }
  });

  it('of a connection: reset, broken pipe, timed out (POSIX) [API-9]', () => {
    const reset = Peer.established();
    reset.takeEvents();
    reset.send('< R. 1:1(0) ack 1').expectEvents('close ECONNRESET');
    expect(reset.endpoint.errorCode).to.equal('ECONNRESET');
    expect(reset.endpoint.write(new Uint8Array(5)), 'nothing is admitted any more').to.equal(0);
    const broken = Peer.in('CLOSE-WAIT');
    broken.write(5).drain();
    broken.send('< R. 2:2(0) ack 1').expectEvents('close EPIPE');
    const silent = Peer.established({ options: { userTimeoutMs: 3000 } }).write(5);
    silent.takeEvents();
    silent.advanceMs(60_000).expectEvents('soft ETIMEDOUT', 'close ETIMEDOUT').drain();
    expect(silent.endpoint.write(new Uint8Array(5))).to.equal(0);
  });

  it('of addresses and routes are thrown at once (POSIX) [API-9]', () => {
    const peer = Peer.closed();
    const { stack } = peer;
    const listener = stack.listenTcp({ port: 80 });
    expect(codeOf(() => stack.listenTcp({ port: 80 }))).to.equal('EADDRINUSE');
    expect(codeOf(() => stack.listenTcp({ port: 81, address: '192.0.2.1' }))).to.equal('EADDRNOTAVAIL');
    const from = (localAddress: string) => () =>
      stack.connectTcp({ address: '10.0.0.2', port: 80, localAddress });
    expect(codeOf(from('192.0.2.1'))).to.equal('EADDRNOTAVAIL');
    stack.routing.routes.add({ destination: '198.51.100.0/24', type: 'unreachable' });
    expect(codeOf(() => stack.connectTcp({ address: '198.51.100.1', port: 80 }))).to.equal('EHOSTUNREACH');
    const lonely = Peer.closed({ mtu: 1000 });
    expect(codeOf(() => lonely.stack.connectTcp({ address: 'fd09::1', port: 80 }))).to.equal('ENETUNREACH');
    expect(codeOf(() => stack.connectTcp({ address: '239.1.1.1', port: 80 }))).to.equal('ENETUNREACH');
    listener.close();
  });
});
