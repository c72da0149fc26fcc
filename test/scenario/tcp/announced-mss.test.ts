/** The MSS we announce: what link and route allow, and not what ICMP has taught (RFC 9293 §3.7.1, RFC 2923 §2.3). */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

const ETHERNET = 1500;

describe('the MSS option', () => {
  forEachFamily((family, name) => {
    const headers = family.ipv6 ? 60 : 40;
    const destination = family.ipv6 ? 'fd00::2/128' : '10.0.0.2/32';
    /** A host with a route to the peer that has these attributes. */
    const host = (route: { mtu?: number; mtuLock?: boolean; advmss?: number }, role: 'client' | 'server') => {
      const peer = Peer.closed({ ...family, role });
      peer.stack.routing.routes.add({ destination, port: 1, ...route });
      return role === 'client' ? peer.connect() : peer.listen().sendSyn();
    };
    const announced = (peer: Peer): number => Number(/mss (\d+)/.exec(peer.take()?.text ?? '')?.[1]);
    /** The largest packet that has left, bytes. */
    const largest = (peer: Peer): number => Math.max(...peer.drain().map(({ bytes }) => bytes.length));

    it(`is what the MTU of a route leaves, where that is less than the link's, over ${name} (Linux ip-route(8)) [SHLD-6]`, () => {
      for (const role of ['client', 'server'] as const) {
        for (const mtuLock of [false, true]) {
          expect(announced(host({ mtu: 1400, mtuLock }, role)), `${role}`).to.equal(1400 - headers);
        }
        expect(announced(host({ mtu: 9000 }, role)), 'the link decides').to.equal(ETHERNET - headers);
        expect(announced(host({}, role))).to.equal(ETHERNET - headers);
        const least = family.ipv6 ? 1220 : 256;
        expect(announced(host({ mtu: 1300, advmss: 900 }, role)), 'advmss has its way').to.equal(900);
        expect(announced(host({ mtu: 200, mtuLock: true }, role)), 'not absurd').to.equal(least);
      }
    });

    it(`does not follow the path MTU down, nor for repeated SYNs, over ${name} (RFC 1191 §6.4, RFC 2923 §2.3) [PMTU-9]`, () => {
      const peer = Peer.established(family).wrote(1400);
      peer.icmp('too-big', { mtu: 1300 });
      expect(peer.endpoint.connection.sender.mssBytes).to.equal(1300 - headers);
      const full = ETHERNET - headers;
      const second = peer.another({ port: 41_000 }).sendSyn();
      second.expect(`> S. 0:0(0) ack 1 <mss ${full}>`);
      second.expectAfterMs(1000, `> S. 0:0(0) ack 1 <mss ${full}>`);
      // What it sends is cut to the path all the same.
      const third = peer.another({ port: 41_002 }).handshake();
      third.drain();
      expect(third.endpoint.connection.synOptions.mss).to.equal(full);
      expect(largest(third.write(3000))).to.equal(1300);
    });

    it(`of a client does not follow the path MTU either, over ${name} (RFC 2923 §2.3) [PMTU-9]`, () => {
      const peer = Peer.established({ ...family, role: 'client' }).wrote(1400);
      peer.icmp('too-big', { mtu: 1300 });
      const { destinationPort } = peer.direction;
      const second = peer.another({ ...family, role: 'client', stackPort: destinationPort + 1 });
      second.connect();
      expect(announced(second)).to.equal(ETHERNET - headers);
      second.send('< S. 0:0(0) ack 1 <mss 1440>').drain();
      expect(largest(second.write(3000))).to.equal(1300);
    });
  });
});
