/** What TCP asks of IP, and takes from it: tcp.md MUST-48 to MUST-51, MUST-53, MUST-57, MUST-63, SHLD-5, SHLD-6, SHLD-21 to SHLD-23. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer } from '../../support/peer.js';

const options = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);

describe('the DS field', () => {
  forEachFamily((family, name) => {
    for (const role of ['server', 'client'] as const) {
      it(`is as the application sets it, from the handshake on, as ${role} over ${name} (RFC 9293 §3.9.1.9) [MUST-48 SHLD-22]`, () => {
        const peer = Peer.listening({ ...family, options: { trafficClass: 0xb8 } });
        const client = Peer.closed({ ...family, role: 'client', options: { trafficClass: 0xb8 } });
        const used = role === 'server' ? peer.sendSyn() : client.connect();
        expect(used.drain().map(({ trafficClass }) => trafficClass)).to.deep.equal([0xb8]);
        used.send(role === 'server' ? '< . 1:1(0) ack 1' : '< S. 0:0(0) ack 1 <mss 1000>');
        used.write(10).sendText(10);
        used.expectRead(10).advanceMs(500);
        used.abort();
        const classes = used.drain().map(({ trafficClass }) => trafficClass);
        expect(classes.length).to.be.above(2);
        expect(new Set(classes)).to.deep.equal(new Set([0xb8]));
      });
    }

    it(`can be changed during the connection, all but the two bits of ECN, over ${name} (RFC 9293 §3.9.1.9) [SHLD-21 SHLD-22]`, () => {
      const peer = Peer.established(family);
      for (const [asked, sent] of [
        [0x28, 0x28],
        [0xff, 0xfc],
        [0x03, 0],
        [0xb8, 0xb8],
        [0, 0],
      ]) {
        peer.endpoint.setTrafficClass(asked);
        peer.write(10);
        expect(peer.take()?.trafficClass).to.equal(sent);
        peer.ackAll();
      }
    });

    it(`leaves the two bits of ECN to the stack, over ${name} (RFC 9293 §3.9.1.9) [SHLD-22]`, () => {
      const peer = Peer.listening({ ...family, options: { trafficClass: 0xff } }).sendSyn();
      peer.send('< . 1:1(0) ack 1').write(10);
      expect(peer.drain().map(({ trafficClass }) => trafficClass)).to.deep.equal([0xfc, 0xfc]);
      peer.ackAll();
    });

    it(`is never changed by the stack itself, over ${name} (RFC 9293 §3.9.2) [SHLD-23]`, () => {
      const peer = Peer.established({
        ...family,
        mss: 1000,
        options: { trafficClass: 0x48, keepAlive: true },
      });
      // Text, a retransmission, ACKs with SACK, a challenge, probes, a FIN; whatever comes in with another.
      peer.write(3000).advanceMs(220);
      peer.send('< . 1:1(0) ack 3001', { trafficClass: 0xe0 });
      peer.send('< . 2001:3001(1000) ack 3001', { trafficClass: 0x03 }).send('< . 1:2001(2000) ack 3001');
      peer.send('< S 5:5(0)').expectRead(3000);
      peer.advanceMs(7_300_000).send('< . 3001:3001(0) ack 3001 win 0');
      peer.write(10).advanceMs(2000).send('< . 3001:3001(0) ack 3001 win 1000').ackAll();
      peer.shutdown().send('< F. 3001:3001(0) ack 3012');
      peer.send('< F. 3001:3001(0) ack 3012').expectState('TIME-WAIT');
      const classes = peer.drain().map(({ trafficClass }) => trafficClass);
      expect(classes.length).to.be.above(12);
      expect(new Set(classes)).to.deep.equal(new Set([0x48]));
    });
  });
});

describe('TTL and hop limit', () => {
  forEachFamily((family, name) => {
    it(`are 64, or as the application says, over ${name} (RFC 9293 §3.9.2) [MUST-49]`, () => {
      for (const hopLimit of [0, 1, 33, 255]) {
        for (const role of ['server', 'client'] as const) {
          const peer = Peer.closed({ ...family, role, options: { hopLimit } });
          if (role === 'server') peer.listen();
          else peer.connect();
          const first = peer.last;
          peer.handshake();
          peer.write(10).sendText(10).expectRead(10).abort();
          const limits = [first, ...peer.drain()].flatMap((sent) => sent?.hopLimit ?? []);
          expect(limits.length).to.be.above(1);
          expect(new Set(limits)).to.deep.equal(new Set([hopLimit === 0 ? 64 : hopLimit]));
        }
      }
    });

    it(`are those of a SYN-ACK too, over ${name} (RFC 9293 §3.9.2) [MUST-49]`, () => {
      const peer = Peer.listening({ ...family, options: { hopLimit: 7 } }).sendSyn();
      expect(peer.take()?.hopLimit).to.equal(7);
      const cookie = Peer.listening({
        ...family,
        options: { hopLimit: 7 },
        tcp: { synCookies: 'always' },
      }).sendSyn();
      expect(cookie.take()?.hopLimit).to.equal(7);
    });

    it(`can be changed at any time, over ${name} (RFC 9293 §3.9.2) [MUST-49]`, () => {
      const peer = Peer.established(family);
      peer.endpoint.setHopLimit(5);
      peer.write(10);
      expect(peer.take()?.hopLimit).to.equal(5);
      peer.ackAll();
    });
  });
});

describe('IP options', () => {
  it('that TCP does not know are ignored: router alert on SYN and text (RFC 9293 §3.9.2) [MUST-50]', () => {
    const alert = { ipOptions: options(0x94, 4, 0, 0) };
    const peer = Peer.listening();
    peer.send('< S 0:0(0) win 65535 <mss 1000>', alert).expect('> S. 0:0(0) ack 1 <mss 1460>');
    peer.send('< . 1:1(0) ack 1', alert).send('< P. 1:101(100) ack 1', alert).expectRead(100).drain();
    peer.write(1500).expect('> . 1:1001(1000) ack 101').drain();
    peer.ackAll();
  });

  it('that TCP does not know are ignored: IPv6 options to the destination and to every hop (RFC 9293 §3.9.2) [MUST-50]', () => {
    const peer = Peer.listening({ ipv6: true });
    const alert = { ipOptions: options(0, 0, 5, 2, 0, 0, 1, 0), extensionHeader: 0 };
    const unknown = { ipOptions: options(0, 0, 0x1e, 4, 1, 2, 3, 4), extensionHeader: 60 };
    peer.send('< S 0:0(0) win 65535 <mss 1000>', alert).expect('> S. 0:0(0) ack 1 <mss 1440>');
    peer.send('< . 1:1(0) ack 1', unknown).send('< P. 1:101(100) ack 1', alert).expectRead(100).drain();
    peer.expectState('ESTABLISHED');
  });

  it('cannot ask for a source route: the setting does not exist (RFC 9293 §3.9.2.1) [MUST-51]', () => {
    const peer = Peer.closed({ role: 'client' });
    for (const name of ['sourceRoute', 'ipOptions', 'looseSourceRoute']) {
      expect(() =>
        peer.stack.connectTcp({ address: '10.0.0.2', port: 80, options: { [name]: ['10.0.0.3'] } }),
      ).to.throw(`unknown TCP option "${name}"`);
    }
    peer.expectNothing();
  });

  it('with a source route, complete or not, drop a SYN (RFC 9293 §3.9.2.1) [MUST-53]', () => {
    for (const kind of [0x83, 0x89]) {
      for (const pointer of [4, 8]) {
        const peer = Peer.listening();
        const ipOptions = options(kind, 7, pointer, 10, 0, 0, 254, 1);
        peer.send('< S 0:0(0) win 65535', { ipOptions }).expectNothing(2000).expectState('LISTEN');
        expect(peer.stats.drops.count(DropReason.IpSourceRoute)).to.equal(1);
        expect(peer.stats.tcp.inSegs).to.equal(0);
      }
    }
  });
});

describe('a SYN', () => {
  const silence = (peer: Peer): void => {
    peer.expectNothing(2000);
    expect(peer.host.unclaimed, 'packets sent').to.have.lengthOf(0);
    expect(peer.stack.tcp.connections).to.equal(0);
    expect(peer.stats.tcp.passiveOpens).to.equal(0);
  };

  it('to a broadcast or multicast address is dropped in silence, listener or not (RFC 9293 §3.9.2.3) [MUST-57]', () => {
    for (const begin of ['listening', 'closed'] as const) {
      for (const destination of ['255.255.255.255', '10.0.0.255', '10.0.0.0', '224.0.0.1', '239.1.2.3']) {
        const peer = Peer[begin]();
        peer.send('< S 0:0(0)', { destination });
        silence(peer);
      }
      for (const destination of ['ff02::1', 'ff01::1', 'ff02::1:ff00:1', 'ff0e::1234']) {
        const peer = Peer[begin]({ ipv6: true });
        peer.send('< S 0:0(0)', { destination });
        silence(peer);
      }
    }
  });

  it('from a source that cannot be one is ignored (RFC 9293 §3.9.2.3) [MUST-63]', () => {
    for (const begin of ['listening', 'closed'] as const) {
      for (const source of [
        '255.255.255.255',
        '10.0.0.255',
        '224.0.0.9',
        '0.0.0.0',
        '127.0.0.1',
        '240.0.0.1',
      ]) {
        const peer = Peer[begin]();
        peer.send('< S 0:0(0)', { source });
        silence(peer);
      }
      for (const source of ['::', '::1', 'ff02::2']) {
        const peer = Peer[begin]({ ipv6: true });
        peer.send('< S 0:0(0)', { source });
        silence(peer);
      }
    }
  });
});

describe('the MSS option', () => {
  forEachFamily((family, name) => {
    it(`is in every SYN and SYN-ACK, also when they are sent again, over ${name} (RFC 9293 §3.7.1) [SHLD-5]`, () => {
      for (const mtu of [1280, 1500, 9000]) {
        const mss = mtu - (family.ipv6 ? 60 : 40);
        const server = Peer.listening({ ...family, mtu }).send('< S 0:0(0) win 65535');
        server.expect(`> S. 0:0(0) ack 1 <mss ${mss}>`).expectAfterMs(1000, `> S. 0:0(0) ack 1 <mss ${mss}>`);
        const client = Peer.connecting({ ...family, mtu });
        client.expect(`> S 0:0(0) <mss ${mss}>`).expectAfterMs(1000, `> S 0:0(0) <mss ${mss}>`);
        client.send('< S 0:0(0)').expect(`> S. 0:0(0) ack 1 <mss ${mss}>`);
      }
    });

    it(`is also in the SYN-ACK of a SYN cookie, over ${name} (RFC 9293 §3.7.1) [SHLD-5]`, () => {
      const peer = Peer.listening({ ...family, tcp: { synCookies: 'always' } }).send('< S 0:0(0) win 65535');
      peer.expect(`> S. 0:0(0) ack 1 <mss ${family.ipv6 ? 1440 : 1460}>`);
    });
  });

  it('says what the smallest packets of a link allow where it takes larger ones too (RFC 9293 §3.7.3) [SHLD-6]', () => {
    const offloading = Peer.listening({ mtu: 1400, offload: true });
    expect(offloading.host.wire.maxPacketBytes).to.equal(65_535);
    offloading.sendSyn().expect('> S. 0:0(0) ack 1 <mss 1360>');
  });

  it('follows the MTU of a link that changes, and what a route says of it (RFC 9293 §3.7.3) [SHLD-6]', () => {
    const peer = Peer.listening({ mtu: 1500 });
    peer.sendSyn().expect('> S. 0:0(0) ack 1 <mss 1460>');
    peer.host.wire.mtu = 1300;
    peer.stack.ip.portChanged();
    const second = peer.another().sendSyn();
    second.expect('> S. 0:0(0) ack 1 <mss 1260>');
    peer.stack.routing.routes.add({ destination: '10.0.0.2/32', port: 1, advmss: 900 });
    peer.another({ port: 40_009 }).sendSyn().expect('> S. 0:0(0) ack 1 <mss 900>');
    const client = Peer.closed({ role: 'client' });
    client.stack.routing.routes.add({ destination: '10.0.0.2/32', port: 1, advmss: 700 });
    client.connect().expect('> S 0:0(0) <mss 700>');
  });
});
