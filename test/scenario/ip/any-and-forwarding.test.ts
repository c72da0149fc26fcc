/** A stack that accepts for some addresses and passes on the rest: what is whose, packet by packet. */
import { expect } from 'chai';
import { AnyPeer, FOREIGN_V4, FOREIGN_V6 } from '../../support/any-peer.js';
import { icmpErrorPacket } from '../../support/icmp-packet.js';
import type { SentPacket } from '../../support/packet-check.js';
import { forEachFamily } from '../../support/peer.js';
import { WireLink } from '../../support/wire-link.js';

forEachFamily((family, name) => {
  const isV6 = family.ipv6 === true;
  const foreign = isV6 ? FOREIGN_V6 : FOREIGN_V4;

  /** The peer is inside; what is passed on leaves by `outside`. */
  class Gateway {
    readonly any: AnyPeer;
    readonly outside = new WireLink({ name: 'outside' });
    readonly passed: SentPacket[] = [];

    constructor() {
      this.any = new AnyPeer({ ...family, ip: { forwarding: true }, any: { ports: [80] } });
      const { stack } = this.any.peer;
      this.outside.onSent = (packet) => this.passed.push(packet);
      const link = stack.addLink(this.outside, { addresses: ['192.0.2.1/24', '2001:db8:a::1/64'] });
      for (const destination of ['198.51.100.0/24', '203.0.113.0/24', '2001:db8:e::/47']) {
        stack.routing.routes.add({ destination, port: link });
      }
    }
  }

  describe(`accepting some and passing on the rest, ${name}`, () => {
    it('takes SYNs that pass the filter, and passes on what does not', () => {
      const { any, passed } = new Gateway();
      any.peer.sendSyn();
      expect(any.requests).to.have.length(1);
      expect(passed).to.have.length(0);
      any.peer.send('< S 0:0(0)', { destinationPort: 443 });
      any.peer.send('< . 1:1(0) ack 1', { destinationPort: 443 });
      expect(any.requests).to.have.length(1);
      expect(passed).to.have.length(2);
      expect(any.peer.stats.ip).to.include({ inForeign: 1, outForwDatagrams: 2 });
      expect(any.peer.stats.tcp.inSegs).to.equal(1);
    });

    it('goes on with its own connections when the filter is gone, and passes on the rest', () => {
      const { any, passed } = new Gateway();
      any.peer.sendSyn();
      any.accept();
      any.peer.drain();
      any.listener.close();
      any.peer.send('< . 1:1(0) ack 1').expectEvents('connect', 'writable');
      any.peer.send('< S 0:0(0)', { sourcePort: 50_000 });
      expect(passed).to.have.length(1);
      any.peer.abort().drain();
      any.peer.send('< . 1:1(0) ack 1');
      expect(passed).to.have.length(2);
    });

    it('passes on a segment whose checksum is wrong, which is the business of its receiver', () => {
      const { any, passed } = new Gateway();
      any.peer.send('< S 0:0(0)', { destinationPort: 443, tcpChecksum: 'bad' });
      expect(passed).to.have.length(1);
      any.peer.send('< S 0:0(0)', { tcpChecksum: 'bad' });
      expect(passed).to.have.length(1);
      expect(any.peer.stats.tcp.inCsumErrors).to.equal(1);
    });

    it('keeps ICMP errors about what it has sent itself, and passes on others', () => {
      const { any, passed } = new Gateway();
      any.peer.sendSyn();
      any.accept();
      any.peer.send('< . 1:1(0) ack 1').wrote(100).takeEvents();
      const own = any.peer.last?.bytes as Uint8Array;
      const place = { source: isV6 ? 'fd00::fe' : '10.0.0.254', destination: foreign };
      const error = (about: Uint8Array): Uint8Array => icmpErrorPacket('host', place, { about });
      any.peer.sendRaw(error(own)).expectEvents('soft EHOSTUNREACH');
      expect(passed).to.have.length(0);
      const other = own.slice();
      other[(isV6 ? 40 : 20) + 1] ^= 1;
      any.peer.sendRaw(error(other)).expectEvents();
      expect(passed).to.have.length(1);
    });
  });
});
