/** What a translator does with TCP, requirement by requirement (RFC 5382, RFC 7857). */
import { expect } from 'chai';
import { readIcmp } from '../../support/ip-wire.js';
import {
  HOST,
  HOST_2,
  NatWorld,
  type NatWorldOptions,
  OUTSIDE,
  only,
  PEER,
  PEER_2,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const MINUTES = 60_000;
const client = place(HOST, 5000);
const server = place(PEER, 80);
const outside = place(OUTSIDE, 5000);

describe('NAT of TCP', () => {
  let world: NatWorld;

  const begin = (options: NatWorldOptions = {}): void => {
    world?.close();
    world = new NatWorld(options);
  };

  /** A connection from the inside, established. */
  const establish = (): void => {
    only(world.out(tcpPacket(client, server, 'S')));
    only(world.in(tcpPacket(server, outside, 'S.')));
    only(world.out(tcpPacket(client, server, '.')));
  };

  const stateOf = (): string | undefined => [...world.nat.sessions()][0]?.state;

  beforeEach(() => begin());

  afterEach(() => {
    expect(world.inside.faults).to.deep.equal([]);
    world.close();
  });

  it('uses one mapping for an endpoint inside, whoever it connects to (RFC 5382 REQ-1) [NT-1]', () => {
    const first = only(world.out(tcpPacket(client, server, 'S')));
    const second = only(world.out(tcpPacket(client, place(PEER_2, 81), 'S')));
    expect(first.from).to.deep.equal(outside);
    expect(second.from).to.deep.equal(outside);
    expect(world.nat.stats.mappings).to.equal(1);
  });

  it('follows a connection opened from inside from its SYN to its end (RFC 5382 REQ-2) [NT-2]', () => {
    only(world.out(tcpPacket(client, server, 'S')));
    expect(stateOf()).to.equal('opening');
    only(world.in(tcpPacket(server, outside, 'S.')));
    only(world.out(tcpPacket(client, server, '.')));
    expect(stateOf()).to.equal('open');
    only(world.out(tcpPacket(client, server, 'P.', [1, 2, 3])));
    only(world.in(tcpPacket(server, outside, 'F.')));
    expect(stateOf(), 'half-closed').to.equal('open');
    only(world.out(tcpPacket(client, server, 'F.')));
    expect(stateOf()).to.equal('closed');
    only(world.in(tcpPacket(server, outside, '.')));
    world.pass(4 * MINUTES + 1000);
    expect(world.sessions).to.equal(0);
    expect(world.nat.stats.mappings).to.equal(0);
    expect(world.clock.pending).to.equal(0);
  });

  it('lets both sides open at once (RFC 5382 REQ-2 a) [NT-2]', () => {
    only(world.out(tcpPacket(client, server, 'S')));
    only(world.in(tcpPacket(server, outside, 'S')));
    only(world.out(tcpPacket(client, server, 'S.')));
    only(world.in(tcpPacket(server, outside, 'S.')));
    only(world.out(tcpPacket(client, server, '.')));
    expect(stateOf()).to.equal('open');
    expect(world.sessions).to.equal(1);
  });

  it('lets a connection in through a mapping that another made (RFC 5382 REQ-3) [NT-3]', () => {
    establish();
    const caller = place(PEER_2, 4321);
    const syn = only(world.in(tcpPacket(caller, outside, 'S')));
    expect(syn.to).to.deep.equal(client);
    const answer = only(world.out(tcpPacket(client, caller, 'S.')));
    expect(answer.from).to.deep.equal(outside);
    only(world.in(tcpPacket(caller, outside, '.')));
    expect([...world.nat.sessions()].map(({ state }) => state)).to.deep.equal(['open', 'open']);
  });

  it('says nothing about an unsolicited SYN for six seconds, then that the port is closed (RFC 5382 REQ-4) [NT-4]', () => {
    const syn = tcpPacket(server, outside, 'S');
    // What came before it was for everybody, and says nothing about it.
    expect(world.in(udpPacket(place(PEER, 1), place('255.255.255.255', 9)), syn)).to.be.empty;
    world.pass(3000);
    expect(world.in(syn), 'sent again').to.be.empty;
    world.pass(2999);
    expect(world.takeOutside()).to.be.empty;
    world.pass(2);
    const [error, ...more] = world.takeOutside();
    expect(more).to.be.empty;
    const { type, code, data, packet } = readIcmp(error);
    expect([type, code]).to.deep.equal([3, 3]);
    expect(packet.to).to.equal(PEER);
    expect(packet.from).to.equal(OUTSIDE);
    expect([...data.subarray(0, 28)]).to.deep.equal([...syn.subarray(0, 28)]);
    expect(world.nat.stats).to.include({ synsHeld: 1, synsRefused: 1, synsDropped: 1 });
    expect(world.clock.pending).to.equal(0);
  });

  it('forgets it when the inside connects meanwhile: both have opened at once (RFC 5382 REQ-4) [NT-4]', () => {
    world.in(tcpPacket(server, outside, 'S'));
    world.pass(5000);
    only(world.out(tcpPacket(client, server, 'S')));
    world.pass(10_000);
    expect(world.takeOutside()).to.be.empty;
    expect(world.nat.stats).to.include({ synsHeld: 1, synsMet: 1, synsRefused: 0 });
  });

  it('can drop unsolicited SYNs, or leave them to the stack (RFC 5382 REQ-4 a) [NT-4]', () => {
    begin({ unsolicitedSyn: 'drop' });
    world.in(tcpPacket(server, outside, 'S'));
    world.pass(60_000);
    expect(world.takeOutside()).to.be.empty;
    begin({ unsolicitedSyn: 'accept' });
    world.in(tcpPacket(server, outside, 'S'));
    expect(only(world.takeOutside()).seen.payload[13] & 4, 'RST').to.equal(4);
  });

  it('holds no more SYNs than it may [NL-5]', () => {
    begin({ maxHeldSyns: 10 });
    for (let i = 0; i < 12; i++) world.in(tcpPacket(place(PEER, 1000 + i), outside, 'S'));
    expect(world.nat.stats).to.include({ synsHeld: 10, synsDropped: 2 });
    world.pass(7000);
    expect(world.nat.stats.synsRefused).to.equal(10);
    world.in(tcpPacket(place(PEER, 2000), outside, 'S'));
    expect(world.nat.stats.synsHeld).to.equal(11);
  });

  it('leaves a SYN for a listener of the stack to it', () => {
    world.stack.listenTcp({ port: 8080 });
    world.in(tcpPacket(server, place(OUTSIDE, 8080), 'S'));
    expect(only(world.takeOutside()).seen.payload[13]).to.equal(0x12);
    expect(world.nat.stats.synsHeld).to.equal(0);
  });

  it('keeps an idle connection for two hours and four minutes (RFC 5382 REQ-5) [NT-5]', () => {
    establish();
    world.pass(124 * MINUTES - 1);
    only(world.in(tcpPacket(server, outside, '.')));
    world.pass(124 * MINUTES + 1);
    expect(world.sessions).to.equal(0);
  });

  it('keeps one that opens or has ended for four minutes (RFC 5382 REQ-5) [NT-5]', () => {
    only(world.out(tcpPacket(client, server, 'S')));
    world.pass(4 * MINUTES - 1);
    expect(world.sessions).to.equal(1);
    world.pass(2);
    expect(world.sessions).to.equal(0);
    establish();
    only(world.in(tcpPacket(server, outside, 'F.')));
    world.pass(30 * MINUTES);
    only(world.out(tcpPacket(client, server, 'F.')));
    world.pass(4 * MINUTES - 1);
    expect(world.sessions).to.equal(1);
    world.pass(2);
    expect(world.sessions).to.equal(0);
  });

  it('does not believe an RST when segments follow, since it may be forged (RFC 7857 §2.2) [NX-1]', () => {
    establish();
    only(world.in(tcpPacket(server, outside, 'R')));
    expect(stateOf()).to.equal('closed');
    only(world.out(tcpPacket(client, server, 'P.', [1])));
    expect(stateOf()).to.equal('open');
    world.pass(60 * MINUTES);
    only(world.in(tcpPacket(server, outside, '.')));
    only(world.in(tcpPacket(server, outside, 'R')));
    world.pass(4 * MINUTES + 1);
    expect(world.sessions).to.equal(0);
  });

  it('begins anew when the same ports are used for another connection', () => {
    establish();
    only(world.in(tcpPacket(server, outside, 'F.')));
    only(world.out(tcpPacket(client, server, 'F.')));
    only(world.out(tcpPacket(client, server, 'S')));
    expect(stateOf()).to.equal('opening');
    only(world.in(tcpPacket(server, outside, 'S.')));
    only(world.out(tcpPacket(client, server, '.')));
    expect(stateOf()).to.equal('open');
    expect(world.nat.stats.sessionsCreated).to.equal(1);
  });

  it('picks up a connection it has not seen begin, for four minutes until it is answered', () => {
    only(world.out(tcpPacket(client, server, 'P.', [1])));
    expect(stateOf()).to.equal('opening');
    only(world.in(tcpPacket(server, outside, '.')));
    expect(stateOf()).to.equal('open');
  });

  it('never gives two endpoints the same port (RFC 5382 REQ-7) [NT-7]', () => {
    const first = only(world.out(tcpPacket(client, server, 'S')));
    const second = only(world.out(tcpPacket(place(HOST_2, 5000), place(PEER_2, 80), 'S')));
    expect(second.from.port).to.not.equal(first.from.port);
  });

  it('leads a connection between two hosts inside by their outside addresses (RFC 5382 REQ-8) [NT-8]', () => {
    const listener = place(HOST_2, 7000);
    only(world.out(tcpPacket(listener, server, 'S')));
    const seenAs = place(OUTSIDE, 7000);
    world.inside.inject([tcpPacket(client, seenAs, 'S')]);
    const syn = only(world.takeInside());
    expect(syn.from).to.deep.equal(outside);
    expect(syn.to).to.deep.equal(listener);
    world.inside.inject([tcpPacket(listener, outside, 'S.')]);
    const answer = only(world.takeInside());
    expect(answer.from).to.deep.equal(seenAs);
    expect(answer.to).to.deep.equal(client);
    world.inside.inject([tcpPacket(client, seenAs, '.')]);
    only(world.takeInside());
    const hairpin = [...world.nat.sessions()].filter(({ remote }) => remote.startsWith(OUTSIDE));
    expect(hairpin.map(({ state }) => state)).to.deep.equal(['open', 'open']);
    expect(world.takeOutside()).to.be.empty;
  });

  it('keeps its ports from connections of the stack, and theirs from the inside', () => {
    const ports = new Set<number>();
    for (let i = 0; i < 200; i++) {
      world.stack.connectTcp({ address: PEER, port: 80 });
      const [syn] = world.takeOutside();
      ports.add(only([syn]).from.port);
    }
    for (const port of ports) {
      const out = only(world.out(tcpPacket(place(HOST, port), place(PEER, 80), 'S')));
      expect(ports.has(out.from.port), `port ${out.from.port}`).to.equal(false);
    }
  });
});
