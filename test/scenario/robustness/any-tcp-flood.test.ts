/** SYNs in the name of others, to any address: what they cost is bounded, and friends get in again (robustness.md). */
import { expect } from 'chai';
import { AnyPeer, FOREIGN_V4, FOREIGN_V6 } from '../../support/any-peer.js';
import { forEachFamily } from '../../support/peer.js';

const FLOOD = 20_000;
const MAX_HALF_OPEN = 500;

forEachFamily((family, name) => {
  const isV6 = family.ipv6 === true;
  const foreign = isV6 ? FOREIGN_V6 : FOREIGN_V4;

  /** Sends SYNs that nobody will stand by, `each` ms apart a hundred. */
  function flood(any: AnyPeer, count = FLOOD): void {
    for (let i = 0; i < count; i++) {
      const source = isV6 ? `fd00::a:${(i >> 8).toString(16)}` : `10.0.0.${50 + ((i >> 8) % 200)}`;
      any.peer.send('< S 0:0(0) win 65535', { source, sourcePort: 1024 + (i % 60_000) });
      if (i % 100 === 99) any.peer.advanceMs(1);
    }
    any.peer.drain();
    any.peer.host.unclaimed.length = 0;
  }

  describe(`a flood of SYNs for any address, ${name}`, () => {
    it('that nobody decides about takes maxPending records, and the next friend waits his turn [C1] [I5]', () => {
      const any = new AnyPeer({ ...family, any: { maxPending: 200, pendingMs: 5000 } });
      flood(any);
      expect(any.listener.pending).to.equal(200);
      expect(any.requests).to.have.length(200);
      expect(any.peer.stats.tcp.anyOverflows).to.equal(FLOOD - 200);
      any.peer.sendSyn();
      expect(any.requests).to.have.length(200);
      any.peer.advanceMs(5001);
      any.peer.sendSyn();
      expect(any.requests).to.have.length(201);
      any.accept();
      any.peer.expect('> S. 0:0(0) ack 1');
    });

    it('that is accepted at once makes no more connections than maxHalfOpen, for 7 s [C1] [I4] [I5]', () => {
      const any: AnyPeer = new AnyPeer({
        ...family,
        tcp: { maxHalfOpen: MAX_HALF_OPEN },
        onRequest: (request) => {
          const endpoint = any.peer.host.adopt(request.accept());
          if (request.sourcePort === 40_000) any.peer.adopt(endpoint);
          else endpoint.close();
        },
      });
      flood(any);
      const { stack, stats } = any.peer;
      expect(stack.tcp.connections).to.equal(MAX_HALF_OPEN);
      expect(stats.tcp.anyAccepted).to.equal(MAX_HALF_OPEN);
      // Of those that nobody answers for the last is given up after two more SYN-ACKs.
      any.peer.advanceMs(8000);
      any.peer.drain();
      expect(stack.tcp.connections).to.be.at.most(MAX_HALF_OPEN / 2);
      any.peer.sendSyn().expect('> S. 0:0(0) ack 1');
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable').expectState('ESTABLISHED');
    });

    it('makes listeners of the stack answer with cookies, which cost nothing [C1]', () => {
      const any = new AnyPeer({ ...family, tcp: { maxHalfOpen: 100 }, any: { maxPending: 1000 } });
      flood(any, 300);
      const own = any.peer.another({ stackAddress: isV6 ? 'fd00::1' : '10.0.0.1', stackPort: 80 });
      own.listen().sendSyn().expect('> S. 0:0(0) ack 1');
      expect(any.peer.stats.tcp.synCookiesSent).to.equal(1);
      own.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    });

    it('of ACKs, RSTs and FINs is answered within the rate of RSTs, and remembered by nobody [C3]', () => {
      const any = new AnyPeer({ ...family, tcp: { resetsPerSecond: 10 } });
      for (let i = 0; i < 300; i++) {
        for (const flags of ['.', 'F.', 'R', 'P.']) {
          const ack = flags === 'R' ? '' : ' ack 1';
          any.peer.send(`< ${flags} 1:1(0)${ack}`, { sourcePort: 2000 + i });
        }
      }
      expect(any.requests).to.deep.equal([]);
      expect(any.peer.stack.tcp.connections).to.equal(0);
      expect(any.peer.stats.tcp.outRsts).to.be.within(1, 20);
      expect(any.peer.stats.tcp.outRstsLimited).to.be.above(800);
      any.peer.host.unclaimed.length = 0;
      any.peer.drain();
    });

    it('that is refused is answered within the rates of RSTs and ICMP errors [I15]', () => {
      for (const reason of ['reset', 'port-unreachable'] as const) {
        const any = new AnyPeer({
          ...family,
          tcp: { resetsPerSecond: 10 },
          ip: { icmpErrorsPerSecond: 10 },
          onRequest: (request) => request.reject(reason),
        });
        for (let sourcePort = 1; sourcePort <= 500; sourcePort++) any.peer.send('< S 0:0(0)', { sourcePort });
        const { tcp, icmp } = any.peer.stats;
        expect(any.listener.counts.rejected).to.equal(500);
        expect(tcp.outRsts + icmp.outDestUnreachs, reason).to.be.within(1, 25);
        expect(tcp.outRstsLimited + icmp.outRateLimited, reason).to.be.above(450);
        any.peer.drain();
        any.peer.host.unclaimed.length = 0;
      }
    });

    it('does not keep a later refusal from being told: rates count at the time of the refusal [I15]', () => {
      const any = new AnyPeer({ ...family, ip: { icmpErrorsPerSecond: 10 } });
      any.peer.sendSyn();
      for (let sourcePort = 1; sourcePort <= 100; sourcePort++) {
        any.peer.send('< S 0:0(0)', { sourcePort });
        any.request.reject('prohibited');
      }
      const { icmp } = any.peer.stats;
      const before = icmp.outDestUnreachs;
      any.peer.advanceMs(5000);
      any.requests[0].reject('prohibited');
      expect(icmp.outDestUnreachs).to.equal(before + 1);
      any.peer.host.settle();
      any.peer.host.unclaimed.length = 0;
    });

    it('that is ignored takes no more records than may be pending [I5]', () => {
      const any = new AnyPeer({ ...family, any: { maxPending: 50 }, onRequest: (r) => r.ignore() });
      flood(any, 2000);
      expect(any.listener.counts).to.deep.include({ ignored: 2000, pending: 0 });
      any.listener.close();
      any.peer.send('< S 0:0(0)', { source: isV6 ? 'fd00::b' : '10.0.0.40', destination: foreign });
      expect(any.peer.stats.ip.inAddrErrors).to.equal(1);
    });
  });
});
