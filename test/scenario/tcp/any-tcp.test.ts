/** Requests for any address: what is seen before the SYN-ACK, and everything that may become of it. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { TcpRequest } from '../../../lib/stack/any-tcp.js';
import type { IcmpRejection } from '../../../lib/wire/icmp-rejection.js';
import { AnyPeer, FOREIGN_V4, FOREIGN_V6 } from '../../support/any-peer.js';
import { forEachFamily, type Peer } from '../../support/peer.js';

const drops = (peer: Peer, reason: DropReason): number => peer.stats.drops.count(reason);

forEachFamily((family, name) => {
  const foreign = family.ipv6 === true ? FOREIGN_V6 : FOREIGN_V4;
  const isV6 = family.ipv6 === true;
  const client = isV6 ? 'fd00::2' : '10.0.0.2';

  describe(`a SYN to an address of others, ${name}`, () => {
    it('is seen before anything is answered', () => {
      const any = new AnyPeer({ ...family, windowScale: 8, timestamps: true, mss: 1400 });
      any.peer.sendSyn().expectNothing(900);
      const { request } = any;
      expect(any.requests).to.have.length(1);
      expect(request.isPending).to.equal(true);
      expect([request.sourceAddress, request.sourcePort]).to.deep.equal([client, 40_000]);
      expect([request.destinationAddress, request.destinationPort]).to.deep.equal([foreign, 80]);
      expect([request.family, request.link]).to.deep.equal([family.ipv6 === true ? 6 : 4, 1]);
      expect(request.syn).to.deep.equal({
        mss: 1400,
        windowScale: 8,
        sackPermitted: true,
        timestamps: true,
        ecn: false,
        window: 65_535,
        hopLimit: 64,
        trafficClass: 0,
      });
      expect(any.listener.pending).to.equal(1);
    });

    it('is accepted at once, within the turn, and the connection carries text both ways', () => {
      const any = new AnyPeer({ ...family, onRequest: () => any.accept() });
      any.peer.sendSyn().expect('> S. 0:0(0) ack 1');
      any.peer.expectEvents();
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
      any.peer.send('< P. 1:101(100) ack 1').expectRead(100);
      any.peer.expect('> . 1:1(0) ack 101').write(500).expect('> P. 1:501(500) ack 101');
      expect(String(any.peer.endpoint.localAddress)).to.equal(foreign);
      expect(any.listener.counts).to.deep.include({ requests: 1, accepted: 1, pending: 0 });
    });

    it('is accepted later, and makes no second request when it is sent again', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.peer.advanceMs(1000);
      any.peer.sendSyn();
      any.peer.advanceMs(2000);
      any.peer.sendSyn().expectNothing(500);
      expect(any.requests).to.have.length(1);
      expect(any.peer.stats.tcp.anyRepeated).to.equal(2);
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });

    it('agrees on what the SYN offered', () => {
      const any = new AnyPeer({ ...family, windowScale: 7, timestamps: true, mss: 1000 });
      any.peer.sendSyn();
      any.peer.advanceMs(3000);
      any.accept();
      const mss = family.ipv6 === true ? 1440 : 1460;
      any.peer.expect(`> S. 0:0(0) ack 1 <mss ${mss},sackOK,TS val 3000 ecr 1000,nop,wscale 7>`, {
        strict: true,
      });
      any.peer.advanceMs(20);
      any.peer.send('< . 1:1(0) ack 1').write(5000);
      any.peer.expect('> . 1:989(988) ack 1');
      expect(any.peer.endpoint.info).to.deep.include({ sack: true, timestamps: true });
      // The time the decision took is no round trip.
      expect(any.peer.endpoint.info.rttUs).to.be.within(19_000, 21_000);
    });

    it('echoes the timestamp of the newest SYN', () => {
      const any = new AnyPeer({ ...family, timestamps: true });
      any.peer.sendSyn();
      any.peer.advanceMs(1000);
      any.peer.sendSyn();
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1 <TS val 1000 ecr 2000>');
    });

    it('agrees on ECN where the newest SYN asks for it (RFC 3168 §6.1.1.1)', () => {
      const any = new AnyPeer(family);
      any.peer.send('< SEW 0:0(0) win 65535 <mss 1460>');
      expect(any.request.syn.ecn).to.equal(true);
      any.accept();
      any.peer.expect('> SE. 0:0(0) ack 1');
      const plain = new AnyPeer(family);
      plain.peer.send('< SEW 0:0(0) win 65535 <mss 1460>').send('< S 0:0(0) win 65535 <mss 1460>');
      plain.accept();
      plain.peer.expect('> S. 0:0(0) ack 1');
    });

    it('agrees on accurate ECN, and tells how the SYN arrived (RFC 9768 §3.1.1)', () => {
      const options = { ecn: 'accept-accurate' } as const;
      const any = new AnyPeer({ ...family, options, any: { options } });
      any.peer.send('< [ce] SEWA 0:0(0) <mss 1000>');
      any.accept();
      // CE on the SYN: AE and CWR in the SYN-ACK.
      any.peer.expect('> SWA. 0:0(0) ack 1');
    });

    it('takes options of the listener, and of the connection over these', () => {
      const any = new AnyPeer({ ...family, any: { options: { sack: false, maxSegmentBytes: 900 } } });
      any.peer.sendSyn();
      any.accept({ maxSegmentBytes: 800 });
      any.peer.expect('> S. 0:0(0) ack 1 <mss 800>');
      expect(() => new AnyPeer({ ...family, any: { options: { nonsense: 1 } as object } })).to.throw(
        /unknown TCP option/,
      );
    });

    it('may be written to before its handshake is done', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.accept();
      any.peer.write(300).expect('> S. 0:0(0) ack 1').expectNothing(500);
      any.peer.send('< . 1:1(0) ack 1').expect('> P. 1:301(300) ack 1');
    });

    it('may be half-closed before its handshake is done', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.accept();
      any.peer.write(300).shutdown().expect('> S. 0:0(0) ack 1');
      any.peer.send('< . 1:1(0) ack 1').expect('> FP. 1:301(300) ack 1');
      any.peer.send('< F. 1:1(0) ack 302').expect('> . 302:302(0) ack 2').expectState('TIME-WAIT');
    });

    it('is refused with an RST that acknowledges it (RFC 9293 §3.10.7.1)', () => {
      const any = new AnyPeer({ ...family, onRequest: (request) => request.reject() });
      any.peer.sendSyn().expect('> R. 0:0(0) ack 1').expectNothing(1000);
      expect(any.request.isPending).to.equal(false);
      expect(any.listener.counts).to.deep.include({ rejected: 1, pending: 0 });
      any.peer.reborn().sendSyn();
      expect(any.requests).to.have.length(2);
    });

    it('is refused with an RST that acknowledges the text of the SYN, too', () => {
      const any = new AnyPeer({ ...family, onRequest: (request) => request.reject() });
      any.peer.send('< S 0:100(100) win 65535').expect('> R. 0:0(0) ack 101');
    });

    const codes: Record<IcmpRejection, [number, number]> = {
      'net-unreachable': [0, 0],
      'host-unreachable': [1, 3],
      'port-unreachable': [3, 4],
      prohibited: [13, 1],
    };
    for (const [reason, [code4, code6]] of Object.entries(codes)) {
      it(`is refused by ICMP, ${reason} (RFC 1122 §3.2.2.1, RFC 4443 §3.1)`, () => {
        const any = new AnyPeer(family);
        any.peer.sendSyn();
        any.peer.advanceMs(700);
        any.request.reject(reason as IcmpRejection);
        any.peer.host.settle();
        any.peer.expectNothing(100);
        const { bytes } = any.peer.host.unclaimed.splice(0)[0];
        const at = family.ipv6 === true ? 40 : 20;
        const expected = family.ipv6 === true ? [1, code6] : [3, code4];
        expect([...bytes.subarray(at, at + 2)]).to.deep.equal(expected);
        // It quotes the SYN, from the address that was asked for.
        const ports = at + 8 + at;
        expect([...bytes.subarray(ports, ports + 4)]).to.deep.equal([0x9c, 0x40, 0, 80]);
        expect(any.peer.stats.icmp.outDestUnreachs).to.equal(1);
        expect(any.listener.counts.rejected).to.equal(1);
      });
    }

    it('is never answered when it is ignored, nor asked about again, until its time is up', () => {
      const any = new AnyPeer({ ...family, onRequest: (request) => request.ignore() });
      any.peer.sendSyn();
      for (const waitMs of [1000, 2000, 4000, 8000]) {
        any.peer.advanceMs(waitMs);
        any.peer.sendSyn().expectNothing();
      }
      any.peer.send('< . 1:1(0) ack 1').send('< R 1:1(0)').expectNothing();
      expect(any.requests).to.have.length(1);
      expect(any.listener.counts).to.deep.include({ ignored: 1, pending: 0 });
    });

    it('is asked about again when an ignored one has been forgotten', () => {
      const any = new AnyPeer({ ...family, any: { pendingMs: 5000 }, onRequest: (r) => r.ignore() });
      any.peer.sendSyn();
      any.peer.advanceMs(5001);
      any.peer.sendSyn().expectNothing();
      expect(any.requests).to.have.length(2);
      expect(any.cancelled, 'nothing was left to decide').to.deep.equal([]);
    });

    it('remembers no more ignored ones than may be pending: the first makes room', () => {
      const any = new AnyPeer({ ...family, any: { maxPending: 2 }, onRequest: (r) => r.ignore() });
      for (const sourcePort of [1, 2, 3]) any.peer.send('< S 0:0(0)', { sourcePort });
      for (const sourcePort of [2, 3]) any.peer.send('< S 0:0(0)', { sourcePort });
      expect(any.requests).to.have.length(3);
      any.peer.send('< S 0:0(0)', { sourcePort: 1 });
      expect(any.requests).to.have.length(4);
    });

    it('is cancelled by an RST of the peer, if its number is exact', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.peer.send('< R 0:0(0)').send('< R 2:2(0)').send('< R 65000:65000(0)');
      expect(any.request.isPending).to.equal(true);
      any.peer.send('< R 1:1(0)').expectNothing(1000);
      expect(any.request.isPending).to.equal(false);
      expect(any.cancelled).to.deep.equal(['reset']);
      expect(() => any.request.accept()).to.throw(/accept ECONNABORTED/);
      any.request.reject();
      any.request.ignore();
      any.peer.expectNothing(1000);
      expect(any.listener.counts).to.deep.include({ cancelled: 1, rejected: 0, ignored: 0, pending: 0 });
    });

    it('is no request when the RST came with it', () => {
      const any = new AnyPeer(family);
      any.peer.sendBatch('< S 0:0(0) win 65535', '< R 1:1(0)').expectNothing(1000);
      expect(any.requests).to.deep.equal([]);
      expect(any.cancelled).to.deep.equal([]);
    });

    it('is forgotten silently when nobody decides in time', () => {
      const any = new AnyPeer({ ...family, any: { pendingMs: 2000 } });
      any.peer.sendSyn();
      any.peer.advanceMs(1999);
      expect(any.request.isPending).to.equal(true);
      any.peer.expectNothing(2);
      expect(any.cancelled).to.deep.equal(['expired']);
      expect(any.listener.counts).to.deep.include({ expired: 1, pending: 0 });
      any.peer.sendSyn();
      expect(any.requests).to.have.length(2);
    });

    it('of another number at the place of one that waits is dropped: whoever sent it sends it again', () => {
      const any = new AnyPeer(family);
      any.peer.sendSyn();
      any.peer.send('< S 5000:5000(0)').send('< S 100000:100000(0)').expectNothing(100);
      expect(any.requests).to.have.length(1);
      expect(drops(any.peer, DropReason.TcpSynInWindow)).to.equal(2);
    });

    it('with text in it gets the text again, after the handshake', () => {
      const any = new AnyPeer(family);
      any.peer.send('< S 0:50(50) win 65535');
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1').send('< P. 1:51(50) ack 1').expectRead(50);
    });

    it('with a FIN asks for nothing, as in LISTEN', () => {
      const any = new AnyPeer(family);
      any.peer.send('< SF 0:0(0)').expectNothing(100);
      expect(any.requests).to.deep.equal([]);
      expect(drops(any.peer, DropReason.TcpSynFlags)).to.equal(1);
    });
  });

  describe(`limits on requests, ${name}`, () => {
    it('drop SYNs beyond maxPending, and count them', () => {
      const any = new AnyPeer({ ...family, any: { maxPending: 3 } });
      for (let sourcePort = 1; sourcePort <= 5; sourcePort++) any.peer.send('< S 0:0(0)', { sourcePort });
      expect(any.requests).to.have.length(3);
      expect(any.listener.counts).to.deep.include({ pending: 3, overflows: 2 });
      expect(any.peer.stats.tcp.anyOverflows).to.equal(2);
      expect(drops(any.peer, DropReason.TcpSynQueueFull)).to.equal(2);
      any.requests[0].ignore();
      any.peer.send('< S 0:0(0)', { sourcePort: 4 });
      expect(any.requests).to.have.length(4);
    });

    it('hold together with half-open connections of listeners (maxHalfOpen)', () => {
      const any = new AnyPeer({ ...family, tcp: { maxHalfOpen: 2 } });
      for (let sourcePort = 1; sourcePort <= 3; sourcePort++) any.peer.send('< S 0:0(0)', { sourcePort });
      expect(any.requests).to.have.length(2);
    });

    it('count a connection only until its handshake is done', () => {
      const any = new AnyPeer({ ...family, tcp: { maxHalfOpen: 1 } });
      any.peer.sendSyn();
      any.accept();
      any.peer.send('< S 0:0(0)', { sourcePort: 1 });
      expect(any.requests).to.have.length(1);
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
      any.peer.send('< S 0:0(0)', { sourcePort: 1 });
      expect(any.requests).to.have.length(2);
    });

    it('hold together with connections (maxConnections)', () => {
      const any = new AnyPeer({ ...family, tcp: { maxConnections: 2 } });
      for (let sourcePort = 1; sourcePort <= 3; sourcePort++) any.peer.send('< S 0:0(0)', { sourcePort });
      expect(any.requests).to.have.length(2);
      expect(drops(any.peer, DropReason.TcpConnectionLimit)).to.equal(1);
    });

    it('are for requests when they come: one that is there has its room', () => {
      const any = new AnyPeer({ ...family, tcp: { maxConnections: 2 } });
      any.peer.sendSyn();
      const own = [81, 82].map((port) =>
        any.peer.host.adopt(any.peer.stack.connectTcp({ address: client, port })),
      );
      any.peer.host.settle();
      expect(own).to.have.length(2);
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });
  });

  describe(`filters, ${name}`, () => {
    const asked = (any: AnyPeer): number => any.requests.length;
    const prefix = family.ipv6 === true ? '2001:db8:f::/48' : '198.51.100.0/24';
    const other = family.ipv6 === true ? '2001:db8:e::1' : '203.0.113.1';

    it('let in what passes them, and drop the rest as not ours, without a word', () => {
      const any = new AnyPeer({ ...family, any: { destinations: [prefix], ports: [80, [8000, 8100]] } });
      any.peer.send('< S 0:0(0)', { destination: other }).send('< S 0:0(0)', { destinationPort: 81 });
      expect(asked(any)).to.equal(0);
      expect(drops(any.peer, DropReason.IpNotForUs)).to.equal(2);
      any.peer.expectNothing(1000);
      expect(any.peer.host.unclaimed).to.deep.equal([]);
      any.peer.send('< S 0:0(0)', { destinationPort: 8100 });
      expect(asked(any)).to.equal(1);
      expect(any.peer.stats.ip.inForeign).to.equal(1);
    });

    it('may look at the source, and at the link', () => {
      const source = new AnyPeer({ ...family, any: { sources: [other] } });
      source.peer.sendSyn();
      expect(asked(source)).to.equal(0);
      const link = new AnyPeer({ ...family, any: { link: 0 } });
      link.peer.sendSyn();
      expect(asked(link)).to.equal(0);
      const right = new AnyPeer({ ...family, any: { link: 1, sources: [client] } });
      right.peer.sendSyn();
      expect(asked(right)).to.equal(1);
      right.accept();
      right.peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });

    it('let in nothing that could not be answered', () => {
      const any = new AnyPeer({ ...family, ip: { reversePathFilter: 'off' } });
      const nowhere = isV6 ? '2001:db8:d::/48' : '203.0.113.0/24';
      any.peer.stack.routing.routes.add({ destination: nowhere, type: 'unreachable' });
      any.peer.send('< S 0:0(0)', { source: isV6 ? '2001:db8:d::9' : '203.0.113.9' });
      expect(asked(any)).to.equal(0);
      expect(drops(any.peer, DropReason.IpReversePath)).to.equal(1);
    });

    it('of several listeners the first that wants it is asked', () => {
      const any = new AnyPeer({ ...family, any: { ports: [443] } });
      const rest: TcpRequest[] = [];
      const second = any.peer.stack.listenAnyTcp({}, (request) => rest.push(request));
      any.peer.sendSyn().send('< S 0:0(0)', { destinationPort: 443 });
      expect([asked(any), rest.length]).to.deep.equal([1, 1]);
      second.close();
    });

    it('answer a stray segment that passes them with an RST, and one that does not with nothing', () => {
      const any = new AnyPeer({ ...family, any: { ports: [80] } });
      any.peer.send('< . 1:1(0) ack 77').expect('> R 77:77(0)');
      any.peer.send('< . 1:1(0) ack 77', { destinationPort: 81 });
      expect(any.peer.host.unclaimed).to.deep.equal([]);
      any.peer.send('< S. 1:1(0) ack 77').expect('> R 77:77(0)');
      any.peer.send('< R 1:1(0)').expectNothing();
    });
  });

  describe(`own addresses, ${name}`, () => {
    const own = family.ipv6 === true ? 'fd00::1' : '10.0.0.1';

    it('a listener of the stack always goes first', () => {
      const any = new AnyPeer({ ...family, stackAddress: own });
      any.peer.listen().handshake();
      expect(any.peer.state).to.equal('ESTABLISHED');
      expect(any.requests).to.deep.equal([]);
    });

    it('a listener of the stack does not hear of addresses of others, though it listens on all', () => {
      const any = new AnyPeer(family);
      any.peer.listen().sendSyn().expectNothing();
      expect(any.requests).to.have.length(1);
    });

    it('are asked about where nobody listens', () => {
      const any = new AnyPeer({ ...family, stackAddress: own });
      any.peer.sendSyn();
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
    });

    it('are left out if so asked: nobody listens', () => {
      const any = new AnyPeer({ ...family, stackAddress: own, any: { ownAddresses: false } });
      any.peer.sendSyn().expect('> R. 0:0(0) ack 1');
      expect(any.requests).to.deep.equal([]);
    });
  });
});
