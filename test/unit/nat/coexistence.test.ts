/** A translator beside what the stack does itself at the same addresses, and beside those who would fill its tables. */
import { expect } from 'chai';
import { EndpointIndex, KeyWord } from '../../../lib/base/endpoint-index.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import type { TcpRequest } from '../../../lib/stack/any-tcp.js';
import { checksumOf, pseudoHeader, readIcmp, tcp, u16, v4 } from '../../support/ip-wire.js';
import {
  HOST,
  HOST_2,
  NatWorld,
  type NatWorldOptions,
  OUTSIDE,
  only,
  PEER,
  PEER_2,
  type Place,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

let world: NatWorld;

const begin = (options: NatWorldOptions = {}): void => {
  world = new NatWorld(options);
};

const end = (): void => world?.close();

describe('NAT and connections of the stack itself', () => {
  afterEach(end);

  const client = place(PEER, 5000);
  const near = place(OUTSIDE, 8080);

  /** The stack has a connection from `client` at `near`, where nobody listens. */
  const connect = (link?: number): void => {
    const listener = world.stack.listenAnyTcp(
      { ports: [8080], ...(link === undefined ? {} : { link }) },
      (request) => request.accept(),
    );
    world.outside.inject([tcpPacket(client, near, 'S')]);
    expect(only(world.takeOutside()).to, 'the SYN-ACK').to.deep.equal(client);
    listener.close();
  };

  it('leave SYNs to an outside address to who takes any address', () => {
    begin();
    const requests: TcpRequest[] = [];
    world.stack.listenAnyTcp({ ports: [8080] }, (request) => requests.push(request));
    expect(world.in(tcpPacket(client, near, 'S'))).to.be.empty;
    expect(requests).to.have.length(1);
    expect(world.nat.stats.synsHeld, 'on the port that is taken').to.equal(0);
    world.in(tcpPacket(client, place(OUTSIDE, 8081), 'S'));
    expect(world.nat.stats.synsHeld, 'on another').to.equal(1);
  });

  it('hold SYNs that who takes any address wants from others only', () => {
    begin();
    world.stack.listenAnyTcp({ ownAddresses: false }, (request) => request.accept());
    world.in(tcpPacket(client, near, 'S'));
    expect(world.nat.stats.synsHeld).to.equal(1);
  });

  for (const link of [undefined, 2]) {
    it(`keep what a connection gets from a mapping that has its port${link === undefined ? '' : ', by its link'}`, () => {
      begin();
      connect(link);
      const mapped = only(world.out(tcpPacket(place(HOST, 8080), place(PEER_2, 80), 'S')));
      expect(mapped.from.port, 'the same port for a host inside').to.equal(8080);
      expect(world.in(tcpPacket(client, near, '.'))).to.be.empty;
      only(world.in(tcpPacket(place(PEER_2, 80), near, 'S.')));
    });
  }

  it('keep it from a forward that begins later', () => {
    begin();
    connect();
    world.nat.forward({ protocol: 'tcp', outsidePort: 8080, insideAddress: HOST });
    expect(world.in(tcpPacket(client, near, '.'))).to.be.empty;
    only(world.in(tcpPacket(place(PEER_2, 80), near, 'S')));
  });
});

describe('NAT port forwards to one endpoint', () => {
  afterEach(end);

  const client = place(PEER, 5000);
  const inside = place(HOST, 80);
  const second = place(OUTSIDE, 8081);

  const forward = (): void => {
    for (const outsidePort of [8080, 8081]) {
      world.nat.forward({ protocol: 'tcp', outsidePort, insideAddress: HOST, insidePort: 80 });
    }
  };

  it('let connections of each live as long as others (RFC 5382 §5 REQ-5)', () => {
    begin();
    forward();
    only(world.in(tcpPacket(client, second, 'S')));
    expect(only(world.out(tcpPacket(inside, client, 'S.'))).from).to.deep.equal(second);
    only(world.in(tcpPacket(client, second, '.')));
    expect([...world.nat.sessions()].map(({ state }) => state)).to.deep.equal(['open']);
    world.pass(3_600_000);
    expect(only(world.out(tcpPacket(inside, client, '.'))).from).to.deep.equal(second);
  });

  it('let connections that were there before the translator live, once the inside has answered', () => {
    begin();
    forward();
    only(world.in(tcpPacket(client, second, '.')));
    only(world.in(tcpPacket(client, second, '.')));
    expect(
      [...world.nat.sessions()].map(({ state }) => state),
      'by the outside alone',
    ).to.deep.equal(['opening']);
    only(world.out(tcpPacket(inside, client, '.')));
    only(world.in(tcpPacket(client, second, '.')));
    world.pass(3_600_000);
    expect(only(world.out(tcpPacket(inside, client, '.'))).from).to.deep.equal(second);
  });
});

describe('NAT tables and who would fill them', () => {
  afterEach(end);

  it('give the mapping of a flow that was never answered to another, after a while', () => {
    begin({ maxMappings: 10 });
    const flow = (i: number): boolean =>
      world.out(udpPacket(place(`192.168.0.${10 + i}`, 1000 + i), place(PEER, 53))).length === 1;
    for (let i = 0; i < 10; i++) expect(flow(i)).to.equal(true);
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 1000))));
    expect(flow(20), 'none has waited long enough').to.equal(false);
    world.pass(6001);
    for (let i = 0; i < 9; i++) expect(flow(20 + i), `flow ${i}`).to.equal(true);
    expect(flow(30)).to.equal(false);
    expect(world.takeInside(), 'refusals').to.have.length(2);
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 1000))));
    expect(world.nat.stats).to.include({ sessionsEvicted: 9, mappings: 10 });
  });

  it('give a port of a flow that has ended to another where there is none left', () => {
    begin({ ports: [40_000, 40_001] });
    const server = place(PEER, 80);
    for (const port of [2000, 2001]) only(world.out(tcpPacket(place(HOST, port), server, 'S')));
    expect(world.out(tcpPacket(place(HOST, 2002), server, 'S'))).to.be.empty;
    world.out(tcpPacket(place(HOST, 2001), server, 'R'));
    only(world.out(udpPacket(place(HOST, 2002), server)));
    only(world.out(tcpPacket(place(HOST, 2002), server, 'S')));
    expect(world.nat.stats.sessionsEvicted).to.equal(1);
  });

  it('look past flows that are kept fresh without an answer', () => {
    begin({ maxSessionsPerSource: 60 });
    const peer = place(PEER, 53);
    const send = (port: number): boolean => world.out(udpPacket(place(HOST, port), peer)).length === 1;
    for (let i = 0; i < 60; i++) send(1000 + i);
    for (let round = 0; round < 2; round++) {
      world.pass(3500);
      for (let i = 0; i < 40; i++) send(1000 + i);
    }
    const tries = [1, 2, 3].map((n) => send(2000 + n));
    expect(tries, 'a few looks at most').to.include(true);
  });

  it('let nobody outside keep a place without an answer, not by keeping on', () => {
    begin({ maxSessionsPerSource: 20 });
    for (const outsidePort of [5300, 5301]) {
      world.nat.forward({ protocol: 'udp', outsidePort, insideAddress: HOST, insidePort: 53 });
    }
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 50; i++) only(world.in(udpPacket(place(PEER, 1000 + i), place(OUTSIDE, 5301))));
    }
    expect(world.nat.stats.sessions).to.be.at.most(20);
    for (let i = 0; i < 20; i++) only(world.out(udpPacket(place(HOST, 2000 + i), place(PEER_2, 53))));
    expect(world.out(udpPacket(place(HOST, 3000), place(PEER_2, 53))), 'its own count').to.be.empty;
  });

  it('keep what the inside has answered', () => {
    begin({ maxSessionsPerSource: 2 });
    for (const outsidePort of [5300, 5301]) {
      world.nat.forward({ protocol: 'udp', outsidePort, insideAddress: HOST, insidePort: 53 });
    }
    const client = place(PEER, 1000);
    world.in(udpPacket(client, place(OUTSIDE, 5301)));
    expect(only(world.out(udpPacket(place(HOST, 53), client))).from).to.deep.equal(place(OUTSIDE, 5301));
    for (let i = 0; i < 50; i++) world.in(udpPacket(place(PEER_2, 1000 + i), place(OUTSIDE, 5301)));
    world.pass(60_000);
    for (let i = 0; i < 50; i++) world.in(udpPacket(place(PEER_2, 1000 + i), place(OUTSIDE, 5301)));
    expect(only(world.out(udpPacket(place(HOST, 53), client))).from).to.deep.equal(place(OUTSIDE, 5301));
  });

  it('spread endpoints that differ in any word', () => {
    const index = new EndpointIndex(new SeededRandom(1));
    for (let row = 0; row < 40_000; row++) {
      // ::row:a, which no host checks.
      index.probe.fill(0);
      index.probe[KeyWord.NEAR + 2] = (row + 1) << 16;
      index.probe[KeyWord.NEAR + 3] = 1;
      index.insert(row);
    }
    // Half of the places are free: by chance alone runs stay short.
    expect(index.longestRun).to.be.within(2, 500);
  });
});

describe('NAT and the packets around', () => {
  afterEach(end);

  it('tell of a refusal whatever came before', () => {
    begin({ maxSessions: 1 });
    only(world.out(udpPacket(place(HOST, 1000), place(PEER, 53))));
    world.nat.forward({ protocol: 'udp', outsidePort: 53, insideAddress: HOST_2 });
    const hairpin = udpPacket(place(HOST, 1001), place(OUTSIDE, 53));
    world.inside.inject([udpPacket(place(HOST, 1000), place('255.255.255.255', 9)), hairpin]);
    const [refusal, ...others] = world.takeInside();
    expect(others).to.be.empty;
    expect(readIcmp(refusal)).to.include({ type: 3, code: 13 });
  });

  it('hold down the MSS of what leaves by the way back to who sent it', () => {
    begin({ insideWire: { mtu: 1300 } });
    for (const link of [1, 2]) world.stack.ip.setLinkOptions(link, { mssClamp: 'path' });
    const syn = only(world.out(synWithMss(place(HOST, 2000), place(PEER, 80), 1460)));
    expect(syn.from.address, 'translated').to.equal(OUTSIDE);
    expect(syn.seen.payload.slice(20, 24)).to.deep.equal(Uint8Array.of(2, 4, ...u16(1260)));
  });
});

/** A SYN with an MSS option. */
function synWithMss(from: Place, to: Place, mss: number): Uint8Array {
  const payload = tcp(from.address, to.address, [2, 4, ...u16(mss)], [from.port, to.port]);
  payload[12] = 0x60;
  payload.set(u16(0), 16);
  payload.set(u16(checksumOf(pseudoHeader(from.address, to.address, 6, payload.length), payload)), 16);
  return v4({ from: from.address, to: to.address, payload, protocol: 6 });
}
