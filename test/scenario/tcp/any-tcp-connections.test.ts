/** Connections whose local address is somebody else's: they live, fail and end as all others do. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { AnyPeer, FOREIGN_V4, FOREIGN_V6 } from '../../support/any-peer.js';
import type { IcmpKind } from '../../support/icmp-packet.js';
import { fragmentHeader, optionsHeader, v4, v6 } from '../../support/ip-wire.js';
import { forEachFamily, type Peer } from '../../support/peer.js';
import { gaugesOf, NOTHING_LEFT } from '../../support/scenario-host.js';

const drops = (peer: Peer, reason: DropReason): number => peer.stats.drops.count(reason);

forEachFamily((family, name) => {
  const isV6 = family.ipv6 === true;
  const foreign = isV6 ? FOREIGN_V6 : FOREIGN_V4;
  const router = isV6 ? 'fd00::fe' : '10.0.0.254';

  /** Accepted, its SYN-ACK taken and not answered. */
  function handshaking(options: object = {}): AnyPeer {
    const any = new AnyPeer({ ...family, ...options });
    any.peer.sendSyn();
    any.accept();
    any.peer.expect('> S. 0:0(0) ack 1');
    return any;
  }

  describe(`a handshake for an address of others, ${name}`, () => {
    it('repeats its SYN-ACK as a listener does, and ends with ETIMEDOUT', () => {
      const any = handshaking({ tcp: { synAckRetries: 2 } });
      any.peer.expectAfterMs(1000, '> S. 0:0(0) ack 1').expectAfterMs(2000, '> S. 0:0(0) ack 1');
      any.peer.expectNothing(4100).expectEvents('close ETIMEDOUT');
      expect(any.peer.stats.tcp).to.include({ attemptFails: 1, synRetrans: 2 });
    });

    it('answers a repeated SYN with its SYN-ACK again', () => {
      const any = handshaking();
      any.peer.sendSyn().expect('> S. 0:0(0) ack 1').expectNothing();
      expect(any.requests).to.have.length(1);
    });

    it('ends with ECONNRESET at an exact RST, and at no other', () => {
      const any = handshaking();
      any.peer.send('< R 500:500(0)').expectEvents();
      any.peer.drain();
      any.peer.send('< R 1:1(0)').expectEvents('close ECONNRESET').expectState('CLOSED');
    });

    it('answers an ACK of something else with an RST, and goes on', () => {
      const any = handshaking();
      any.peer.send('< . 1:1(0) ack 99').expect('> R 99:99(0)');
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });

    const hard: readonly [IcmpKind, string][] = [
      ['port', 'ECONNREFUSED'],
      ['protocol', 'ENOPROTOOPT'],
    ];
    for (const [kind, code] of hard) {
      it(`ends with ${code} when ICMP says so (RFC 1122 §4.2.3.9): ${kind}`, () => {
        const any = handshaking();
        any.peer.icmp(kind).expectEvents(`close ${code}`).expectState('CLOSED');
      });
    }

    it('goes on when ICMP tells of a path that fails, and ends with what it told', () => {
      const any = handshaking({ tcp: { synAckRetries: 1 } });
      any.peer.icmp('host').expectEvents('soft EHOSTUNREACH');
      any.peer.advanceMs(3100);
      any.peer.drain();
      expect(any.peer.takeEvents()).to.deep.equal(['close EHOSTUNREACH']);
    });

    it('is given up by an RST', () => {
      const any = handshaking();
      any.peer.abort().expect('> R. 1:1(0) ack 1').expectState('CLOSED');
    });

    it('is closed in order though nobody has acknowledged it yet', () => {
      const any = handshaking();
      any.peer.close().expect('> F. 1:1(0) ack 1');
      any.peer.send('< . 1:1(0) ack 2').send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
    });

    it('survives a listener that is closed meanwhile', () => {
      const any = handshaking();
      any.listener.close();
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable').expectState('ESTABLISHED');
    });
  });

  describe(`a connection of an address of others, ${name}`, () => {
    it('is reset by an abort in every state that owes one', () => {
      for (const moves of [[], ['< F. 1:1(0) ack 1']]) {
        const any = AnyPeer.established(family);
        for (const line of moves) any.peer.send(line);
        any.peer.drain();
        any.peer.abort();
        expect(any.peer.drain().map(({ text }) => text)[0]).to.match(/^> R\. 1:1\(0\) ack [12]/);
        any.peer.expectState('CLOSED');
      }
    });

    it('closes through TIME-WAIT, and acknowledges a repeated FIN there', () => {
      const any = AnyPeer.established(family);
      any.peer.close().expect('> F. 1:1(0) ack 1').send('< . 1:1(0) ack 2');
      any.peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
      any.listener.close();
      any.peer.advanceMs(600);
      any.peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
    });

    it('may be begun anew in TIME-WAIT, beyond its last number (RFC 6191)', () => {
      const any = AnyPeer.established({ ...family, timestamps: true });
      any.peer.close().drain();
      any.peer.send('< F. 1:1(0) ack 2').drain();
      any.peer.expectState('TIME-WAIT').advanceMs(2000);
      any.peer.send('< S 5000:5000(0) win 65535 <mss 1460,TS val 9000 ecr 0>');
      expect(any.requests).to.have.length(2);
      expect(any.peer.stats.tcp.twRecycled).to.equal(1);
      any.accept();
      const [syn] = any.peer.drain();
      // As Linux: 65,535 + 2 beyond SND.NXT.
      expect(syn.line.start).to.equal(2 + 65_537);
    });

    it('stays in TIME-WAIT where nobody would decide any more', () => {
      const any = AnyPeer.established({ ...family, timestamps: true });
      any.peer.close().drain();
      any.peer.send('< F. 1:1(0) ack 2').drain();
      any.listener.close();
      any.peer.advanceMs(2000);
      any.peer.send('< S 5000:5000(0) win 65535 <mss 1460,TS val 9000 ecr 0>').expect('> . 2:2(0) ack 2');
      any.peer.expectState('TIME-WAIT');
    });

    it('lives on when its listener is closed; behind it the address is nobody’s again', () => {
      const any = AnyPeer.established(family);
      any.listener.close();
      any.peer.send('< P. 1:101(100) ack 1').expectRead(100);
      any.peer.drain();
      any.peer.send('< S 0:0(0)', { sourcePort: 50_000 });
      expect(any.peer.host.unclaimed).to.deep.equal([]);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
      any.peer.abort().drain();
      any.peer.send('< . 101:101(0) ack 1').expectNothing();
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(2);
    });

    it('takes a smaller path MTU from ICMP, if it quotes what is in flight (RFC 5927 §4)', () => {
      const any = AnyPeer.established({ ...family, mss: 1400 });
      any.peer.write(2800).expect('> . 1:1401(1400) ack 1').expect('> P. 1401:2801(1400) ack 1');
      const about = any.peer.last?.bytes as Uint8Array;
      const forged = about.slice();
      forged[(isV6 ? 40 : 20) + 4] ^= 0x40;
      any.peer.icmp('too-big', { mtu: 1300, about: forged }).expectNothing();
      expect(any.peer.stats.tcp.outOfWindowIcmps).to.equal(1);
      any.peer.icmp('too-big', { mtu: 1300, about });
      const mss = 1300 - (isV6 ? 60 : 40);
      any.peer.expect(`> . 1:${1 + mss}(${mss}) ack 1`);
      expect(any.peer.endpoint.info.pathMtuBytes).to.equal(1300);
    });

    it('believes no ICMP that went to another address than its own', () => {
      const any = AnyPeer.established({ ...family, mss: 1400 });
      any.peer.write(1400).drain();
      const about = any.peer.last?.bytes as Uint8Array;
      const spy = any.peer.another({ stackAddress: isV6 ? '2001:db8:f::8' : '198.51.100.8' });
      spy.icmp('too-big', { mtu: 1300, about });
      expect(any.peer.endpoint.info.pathMtuBytes).to.equal(1500);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
    });

    it('hears of trouble on its path, and goes on', () => {
      const any = AnyPeer.established(family);
      any.peer.wrote(100).icmp('net').expectEvents('soft ENETUNREACH').expectState('ESTABLISHED');
    });

    it('rests when it is quiet, and goes on as if it had not', () => {
      const any = AnyPeer.established(family);
      any.peer.advanceMs(5000);
      expect(any.peer.stats.tcp.resting).to.equal(1);
      any.peer.send('< P. 1:101(100) ack 1').expectRead(100).drain();
      any.peer.wrote(50).send('< . 101:101(0) ack 51').advanceMs(5000);
      expect(any.peer.stats.tcp.resting).to.equal(1);
      any.listener.close();
      any.peer.write(10).expect('> P. 51:61(10) ack 101');
    });

    it('outlives its route, for as long as it retransmits', () => {
      const any = AnyPeer.established(family);
      const { routes } = any.peer.stack.routing;
      const connected = isV6 ? 'fd00::/64' : '10.0.0.0/24';
      const all = isV6 ? '::/0' : '0.0.0.0/0';
      routes.delete({ destination: connected, port: 1 });
      routes.delete({ destination: all, port: 1 });
      any.peer.write(100).expectNothing(300);
      routes.add({ destination: all, port: 1 });
      any.peer.advanceMs(2000);
      any.peer.expect('> P. 1:101(100) ack 1');
    });

    it('outlives its link as all others do, and a request does not', () => {
      const any = AnyPeer.established(family);
      any.peer.send('< S 0:0(0)', { sourcePort: 50_000 });
      any.peer.host.wire.fail(new Error('unplugged'));
      any.peer.write(100).expectNothing(1000).expectState('ESTABLISHED');
      expect(() => any.request.accept())
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      any.request.ignore();
      any.peer.abort().expectNothing().expectState('CLOSED');
    });

    it('lets a request that has no way back wait', () => {
      const any = new AnyPeer({ ...family, ip: { reversePathFilter: 'off' } });
      any.peer.sendSyn();
      const { routes } = any.peer.stack.routing;
      routes.delete({ destination: isV6 ? 'fd00::/64' : '10.0.0.0/24', port: 1 });
      routes.delete({ destination: isV6 ? '::/0' : '0.0.0.0/0', port: 1 });
      expect(() => any.request.accept())
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(any.request.isPending).to.equal(true);
      any.request.reject();
      any.peer.expectNothing();
    });

    it('is told nothing of a packet that could not come from its peer (RFC 3704)', () => {
      const any = new AnyPeer({ ...family, ip: { reversePathFilter: 'strict' } });
      any.peer.stack.routing.routes.add({
        destination: isV6 ? '2001:db8:d::/48' : '203.0.113.0/24',
        port: 0,
      });
      any.peer.send('< S 0:0(0)', { source: isV6 ? '2001:db8:d::9' : '203.0.113.9' });
      expect(any.requests).to.deep.equal([]);
      expect(drops(any.peer, DropReason.IpReversePath)).to.equal(1);
    });

    it('leaves nothing: gauges are at zero, no alarm is set', () => {
      const any = AnyPeer.established(family);
      any.peer.close().send('< . 1:1(0) ack 2').send('< F. 1:1(0) ack 2').drain();
      any.peer.advanceMs(61_000);
      any.listener.close();
      any.peer.advanceMs(1);
      expect(gaugesOf(any.peer.stack)).to.deep.equal(NOTHING_LEFT);
      expect(any.peer.stats.tcp.anyPending).to.equal(0);
      expect(any.peer.host.clock.pending).to.equal(0);
    });

    it('ends with its stack, as requests do', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.peer.stack.close();
      expect(any.cancelled).to.deep.equal(['closed']);
      expect(any.listener.isClosed).to.equal(true);
      expect(() => any.request.accept())
        .to.throw()
        .with.property('code', 'ECONNABORTED');
    });

    it('works over a link that takes super-packets', () => {
      const any = AnyPeer.established({ ...family, offload: true, mss: 1400 });
      any.peer.write(5600).expect('> P. 1:5601(5600) ack 1');
    });
  });

  describe(`what is let in for addresses of others, ${name}`, () => {
    /** The SYN of a peer as IP carries it: its TCP header. */
    const segmentOf = (any: AnyPeer): Uint8Array => {
      const packet = any.peer.packet('< S 0:0(0) win 65535 <mss 1460>');
      return packet.subarray(isV6 ? 40 : 20);
    };
    const source = isV6 ? 'fd00::2' : '10.0.0.2';

    it('fragments are put together', () => {
      const any = new AnyPeer(family);
      const segment = any.peer.packet('< S 0:1000(1000) win 65535 <mss 1460>').subarray(isV6 ? 40 : 20);
      const [first, second] = [segment.subarray(0, 512), segment.subarray(512)];
      if (isV6) {
        const piece = (data: Uint8Array, offset: number, more: boolean): Uint8Array =>
          v6({
            from: source,
            to: foreign,
            next: 44,
            payload: [...fragmentHeader(6, offset, more, 7), ...data],
          });
        any.peer.sendRaw(piece(first, 0, true)).sendRaw(piece(second, 512, false));
      } else {
        const common = { from: source, to: foreign, protocol: 6, id: 7 };
        any.peer.sendRaw(v4({ ...common, payload: first, more: true }));
        any.peer.sendRaw(v4({ ...common, payload: second, offset: 512 }));
      }
      expect(any.requests).to.have.length(1);
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });

    it('ends with the last connection: then not even fragments are kept', () => {
      const any = AnyPeer.established(family);
      any.listener.close();
      any.peer.abort().drain();
      const payload = [...new Uint8Array(64)];
      const piece = isV6
        ? v6({ from: source, to: foreign, next: 44, payload: [...fragmentHeader(6, 0, true, 7), ...payload] })
        : v4({ from: source, to: foreign, protocol: 6, more: true, payload });
      any.peer.sendRaw(piece);
      expect(any.peer.stats.ip.reasmReqds).to.equal(0);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
    });

    it('other protocols are not, nor pings', () => {
      const any = new AnyPeer(family);
      const ping = isV6 ? [128, 0, 0, 0, 0, 1, 0, 1] : [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
      for (const protocol of [17, 99, isV6 ? 58 : 1]) {
        const place = { from: source, to: foreign, payload: ping };
        any.peer.sendRaw(isV6 ? v6({ ...place, next: protocol }) : v4({ ...place, protocol }));
      }
      expect(any.peer.host.unclaimed).to.deep.equal([]);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(3);
    });

    it('broken segments of nobody are passed by, those of a request are counted', () => {
      const any = new AnyPeer({ ...family, any: { ports: [80] } });
      any.peer.send('< S 0:0(0)', { destinationPort: 81, tcpChecksum: 'bad' });
      expect(any.peer.stats.tcp).to.include({ inSegs: 0, inCsumErrors: 0 });
      any.peer.send('< S 0:0(0)', { tcpChecksum: 'bad' });
      expect(any.peer.stats.tcp).to.include({ inSegs: 1, inCsumErrors: 1 });
      expect(any.requests).to.deep.equal([]);
    });

    if (isV6) {
      it('a chain of extension headers is followed to the protocol', () => {
        const any = new AnyPeer(family);
        const chain = (next: number): number[] => optionsHeader(next, []);
        const segment = segmentOf(any);
        any.peer.sendRaw(v6({ from: source, to: foreign, next: 60, payload: [...chain(6), ...segment] }));
        expect(any.requests).to.have.length(1);
        any.peer.sendRaw(v6({ from: source, to: foreign, next: 60, payload: [...chain(99), ...segment] }));
        any.peer.sendRaw(v6({ from: source, to: foreign, next: 60, payload: [6, 99, 0, 0] }));
        expect(any.requests).to.have.length(1);
        expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
      });
    }

    it('an error about a protocol that nobody takes is not', () => {
      const any = AnyPeer.established(family);
      any.peer.wrote(100);
      const about = any.peer.last?.bytes.slice() as Uint8Array;
      about[isV6 ? 6 : 9] = 17;
      any.peer.icmp('port', { about, from: router }).expectEvents();
      expect(any.peer.stats.icmp.inMsgs).to.equal(0);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
    });

    it('an error about what nobody here has sent is not', () => {
      const any = AnyPeer.established(family);
      any.peer.wrote(100);
      const about = any.peer.last?.bytes.slice() as Uint8Array;
      // Another port: another flow.
      about[(isV6 ? 40 : 20) + 3] ^= 1;
      any.peer.icmp('host', { about, from: router }).expectEvents();
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(1);
    });
  });
});
