/** What a translator does with UDP, requirement by requirement (RFC 4787). */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/drop-reason.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { read } from '../../support/ip-wire.js';
import {
  HOST,
  HOST_2,
  NatWorld,
  OUTSIDE,
  only,
  PEER,
  PEER_2,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const MINUTES = 60_000;

describe('NAT of UDP', () => {
  let world: NatWorld;

  beforeEach(() => {
    world = new NatWorld();
  });

  afterEach(() => {
    expect(world.outside.faults).to.deep.equal([]);
    expect(world.inside.faults).to.deep.equal([]);
    world.close();
  });

  it('gives what leaves the address of the outside link, and brings back the answer', () => {
    const out = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53))));
    expect(out.from).to.deep.equal(place(OUTSIDE, 5000));
    expect(out.to).to.deep.equal(place(PEER, 53));
    expect(out.seen.ttl).to.equal(63);
    const back = only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 5000))));
    expect(back.from).to.deep.equal(place(PEER, 53));
    expect(back.to).to.deep.equal(place(HOST, 5000));
    expect(world.nat.stats.translatedOut).to.equal(1);
    expect(world.nat.stats.translatedIn).to.equal(1);
  });

  it('uses one mapping for an endpoint inside, whoever it speaks to (RFC 4787 REQ-1) [NU-1]', () => {
    const first = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53))));
    const second = only(world.out(udpPacket(place(HOST, 5000), place(PEER_2, 99))));
    expect(second.from).to.deep.equal(first.from);
    expect(world.nat.stats.mappings).to.equal(1);
    expect(world.nat.stats.sessions).to.equal(2);
  });

  it('never gives two endpoints the same port (RFC 4787 REQ-3) [NU-3]', () => {
    const first = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53))));
    const second = only(world.out(udpPacket(place(HOST_2, 5000), place(PEER_2, 53))));
    expect(second.from.address).to.equal(OUTSIDE);
    expect(second.from.port).to.not.equal(first.from.port);
  });

  it('keeps ports below 1024 there, and the others above (RFC 4787 REQ-3 a) [NU-3]', () => {
    only(world.out(udpPacket(place(HOST, 500), place(PEER, 500))));
    const low = only(world.out(udpPacket(place(HOST_2, 500), place(PEER, 500))));
    expect(low.from.port).to.be.within(1, 1023).and.not.equal(500);
    only(world.out(udpPacket(place(HOST, 1024), place(PEER, 500))));
    const high = only(world.out(udpPacket(place(HOST_2, 1024), place(PEER, 500))));
    expect(high.from.port).to.be.within(1025, 65_535);
  });

  it('keeps even ports even and odd ones odd (RFC 4787 REQ-4) [NU-4]', () => {
    for (const port of [6000, 6001]) {
      only(world.out(udpPacket(place(HOST, port), place(PEER, 53))));
      const other = only(world.out(udpPacket(place(HOST_2, port), place(PEER, 53))));
      expect(other.from.port % 2).to.equal(port % 2);
    }
  });

  it('keeps a mapping for five minutes, and any answer for as long (RFC 4787 REQ-5) [NU-5]', () => {
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    world.pass(5 * MINUTES - 1);
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 5000))));
    world.pass(5 * MINUTES);
    expect(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 5000)))).to.be.empty;
    expect(world.nat.stats.sessions).to.equal(0);
    expect(world.nat.stats.mappings).to.equal(0);
    expect(world.nat.stats.sessionsExpired).to.equal(1);
    expect(world.clock.pending, 'nothing is left to wait for').to.equal(0);
  });

  it('lets what leaves keep a mapping alive (RFC 4787 REQ-6) [NU-6]', () => {
    for (let i = 0; i < 5; i++) {
      world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
      world.pass(4 * MINUTES);
    }
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 5000))));
    expect(world.nat.stats.mappingsCreated).to.equal(1);
  });

  it('does not let strangers keep it alive (RFC 4787 REQ-6) [NU-6]', () => {
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    for (let i = 0; i < 4; i++) {
      only(world.in(udpPacket(place(PEER_2, 53), place(OUTSIDE, 5000))));
      world.pass(90_000);
    }
    expect(world.nat.stats.mappings).to.equal(0);
  });

  it('lets everybody in through a mapping by default (RFC 4787 REQ-8) [NU-8]', () => {
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    const stranger = only(world.in(udpPacket(place(PEER_2, 1), place(OUTSIDE, 5000))));
    expect(stranger.to).to.deep.equal(place(HOST, 5000));
    expect(world.nat.stats.sessions, 'and needs no state for it').to.equal(1);
  });

  it('hands what is for nobody inside to the stack itself', () => {
    const endpoint = world.stack.openUdp(4);
    endpoint.bind(undefined, 7000);
    expect(world.in(udpPacket(place(PEER, 1), place(OUTSIDE, 7000), [9]))).to.be.empty;
    expect([...(endpoint.receive()?.payload ?? [])]).to.deep.equal([9]);
  });

  it('leaves ports to the sockets of the stack, and keeps its own from them', () => {
    world.stack.openUdp(4).bind(undefined, 5000);
    const out = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53))));
    expect(out.from.port).to.not.equal(5000);
    expect(world.stack.udp.isPortTaken(out.from.port)).to.equal(false);
  });

  it('does not touch what the stack says to itself, by whatever address', () => {
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    const endpoint = world.stack.openUdp(4);
    endpoint.bind(undefined, 9000);
    endpoint.send(Uint8Array.of(1), { destination: IpAddress.parse(OUTSIDE), port: 5000 });
    endpoint.send(Uint8Array.of(2), { destination: IpAddress.parse(OUTSIDE), port: 9000 });
    world.clock.advanceBy(0);
    expect([...(endpoint.receive()?.payload ?? [])]).to.deep.equal([2]);
    expect(world.takeInside()).to.be.empty;
    expect(world.nat.stats).to.include({ sessions: 1, hairpinned: 0 });
  });

  it('keeps a port from sockets that ask for any, for as long as it uses it', () => {
    world.close();
    world = new NatWorld({ ephemeralPorts: [40_000, 40_001] });
    for (const port of [40_000, 40_001]) world.out(udpPacket(place(HOST, port), place(PEER, 53)));
    expect(() => world.stack.openUdp(4).bind(undefined, 0)).to.throw('EADDRINUSE');
    world.out(tcpPacket(place(HOST, 40_000), place(PEER, 80), 'S'));
    for (let i = 0; i < 5; i++) {
      world.stack.connectTcp({ address: PEER, port: 90 + i });
      expect(only(world.takeOutside()).from.port).to.equal(40_001);
    }
    world.pass(300_001);
    const ports = [0, 1].map(() => {
      const endpoint = world.stack.openUdp(4);
      endpoint.bind(undefined, 0);
      return endpoint.localPort;
    });
    expect(ports).to.have.members([40_000, 40_001]);
    world.takeOutside();
  });

  it('leaves a port to a socket that takes it later, but for flows under way', () => {
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    const endpoint = world.stack.openUdp(4);
    endpoint.bind(undefined, 5000);
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 5000))));
    expect(world.in(udpPacket(place(PEER_2, 53), place(OUTSIDE, 5000), [9]))).to.be.empty;
    expect([...(endpoint.receive()?.payload ?? [])]).to.deep.equal([9]);
  });

  it('maps and filters alike whatever ports conflict (RFC 4787 REQ-11) [NU-11]', () => {
    const first = place(HOST, 5000);
    const second = place(HOST_2, 5000);
    const seen = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      for (const host of [first, second]) {
        for (const peer of [place(PEER, 53), place(PEER_2, 54)]) {
          const { from } = only(world.out(udpPacket(host, peer)));
          expect(seen.get(host.address) ?? from.port).to.equal(from.port);
          seen.set(host.address, from.port);
          expect(only(world.in(udpPacket(place('192.0.2.9', 1), from))).to).to.deep.equal(host);
        }
      }
      world.pass(200_000);
    }
  });

  it('fragments what is too large and may be (RFC 4787 REQ-13 a) [NU-13]', () => {
    world.close();
    world = new NatWorld({ outsideWire: { mtu: 1300 } });
    const sent = world.out(udpPacket(place(HOST, 5000), place(PEER, 53), new Array<number>(1400).fill(1)));
    const pieces = sent.map(read);
    expect(pieces.map(({ from, offset, more }) => [from, offset, more])).to.deep.equal([
      [OUTSIDE, 0, true],
      [OUTSIDE, 1280, false],
    ]);
  });

  for (const reversePathFilter of ['off', 'strict', 'loose'] as const) {
    it(`sends packets between two hosts inside by way of their outside addresses (RFC 4787 REQ-9), reversePathFilter ${reversePathFilter} [NU-9]`, () => {
      world.close();
      world = new NatWorld({ reversePathFilter });
      const a = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53)))).from;
      const b = only(world.out(udpPacket(place(HOST_2, 6000), place(PEER, 53)))).from;
      world.inside.inject([udpPacket(place(HOST, 5000), b)]);
      const there = only(world.takeInside());
      expect(there.from).to.deep.equal(a);
      expect(there.to).to.deep.equal(place(HOST_2, 6000));
      world.inside.inject([udpPacket(place(HOST_2, 6000), a)]);
      const back = only(world.takeInside());
      expect(back.from).to.deep.equal(b);
      expect(back.to).to.deep.equal(place(HOST, 5000));
      expect(world.nat.stats.hairpinned).to.equal(2);
    });
  }

  it('leaves a datagram without a checksum without one', () => {
    const packet = udpPacket(place(HOST, 5000), place(PEER, 53));
    packet[26] = 0;
    packet[27] = 0;
    const out = only(world.out(packet));
    expect([...out.seen.payload.subarray(6, 8)]).to.deep.equal([0, 0]);
  });

  it('lets nobody outside reach an address inside that it guessed', () => {
    expect(world.in(udpPacket(place(PEER, 53), place(HOST, 5000)))).to.be.empty;
    expect(world.nat.stats.uninvited).to.equal(1);
    expect(world.stack.stats.drops.count(DropReason.NatUninvited)).to.equal(1);
  });
});
