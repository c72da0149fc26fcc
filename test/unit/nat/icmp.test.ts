/** What a translator does with ICMP, requirement by requirement (RFC 5508), in both versions of IP. */
import { expect } from 'chai';
import { bytesOf, icmp4, icmp6, read, readIcmp, type SeenIcmp, u16, v4, v6 } from '../../support/ip-wire.js';
import {
  flowOf,
  HOST,
  HOST_2,
  HOST_6,
  NatWorld,
  OUTSIDE,
  OUTSIDE_6,
  only,
  PEER,
  PEER_2,
  PEER_6,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const ROUTER = '203.0.113.254';
const client = place(HOST, 5000);
const server = place(PEER, 53);

function echo(from: string, to: string, id: number, reply = false): Uint8Array {
  const word = id * 65_536 + 7;
  if (!from.includes(':')) {
    return v4({ from, to, protocol: 1, payload: icmp4(reply ? 0 : 8, 0, word, [1, 2, 3]) });
  }
  return v6({ from, to, next: 58, payload: icmp6([from, to], reply ? 129 : 128, 0, word, [1, 2, 3]) });
}

/** An error from a router about a packet that was sent. */
const errorAbout = (quoted: Uint8Array, to: string, from = ROUTER, type = 3, code = 1): Uint8Array =>
  v4({ from, to, protocol: 1, payload: icmp4(type, code, 0, quoted) });

const onlyIcmp = (packets: readonly Uint8Array[]): SeenIcmp => {
  expect(packets.length).to.equal(1);
  return readIcmp(packets[0]);
};

describe('NAT of ICMP', () => {
  let world: NatWorld;

  beforeEach(() => {
    world = new NatWorld({ families: [4, 6] });
  });

  afterEach(() => {
    expect(world.inside.faults).to.deep.equal([]);
    expect(world.outside.faults).to.deep.equal([]);
    world.close();
  });

  for (const [host, peer, outside] of [
    [HOST, PEER, OUTSIDE],
    [HOST_6, PEER_6, OUTSIDE_6],
  ]) {
    it(`lets a query of the inside out, and its answer in, from ${host} (RFC 5508 REQ-1) [NI-1]`, () => {
      const out = onlyIcmp(world.out(echo(host, peer, 77)));
      expect(out.packet.from).to.equal(outside);
      expect(out.word).to.equal(77 * 65_536 + 7);
      const back = onlyIcmp(world.in(echo(peer, outside, 77, true)));
      expect(back.packet.to).to.equal(host);
      expect(back.word).to.equal(77 * 65_536 + 7);
      expect([...back.data]).to.deep.equal([1, 2, 3]);
    });
  }

  it('maps an identifier once for all whom it asks, and none twice (RFC 5508 REQ-1 a) [NI-1]', () => {
    onlyIcmp(world.out(echo(HOST, PEER, 77)));
    expect(onlyIcmp(world.out(echo(HOST, PEER_2, 77))).word >>> 16).to.equal(77);
    const other = onlyIcmp(world.out(echo(HOST_2, PEER, 77))).word >>> 16;
    expect(other).to.not.equal(77);
    const back = onlyIcmp(world.in(echo(PEER, OUTSIDE, other, true)));
    expect(back.packet.to).to.equal(HOST_2);
    expect(back.word >>> 16).to.equal(77);
  });

  it('keeps a query for a minute (RFC 5508 REQ-2) [NI-2]', () => {
    world.out(echo(HOST, PEER, 77));
    world.pass(59_999);
    onlyIcmp(world.in(echo(PEER, OUTSIDE, 77, true)));
    world.pass(60_001);
    expect(world.in(echo(PEER, OUTSIDE, 77, true))).to.be.empty;
    expect(world.nat.stats.mappings).to.equal(0);
  });

  it('answers queries to its own address itself', () => {
    world.in(echo(PEER, OUTSIDE, 5));
    expect(onlyIcmp(world.takeOutside()).packet.to).to.equal(PEER);
    world.inside.inject([echo(HOST, OUTSIDE, 5)]);
    expect(onlyIcmp(world.takeInside()).packet.to).to.equal(HOST);
  });

  it('drops an error whose own checksum is wrong, or that of the header it quotes (RFC 5508 REQ-3, REQ-3 a) [NI-3]', () => {
    const [sent] = world.out(udpPacket(client, server));
    const damaged = errorAbout(sent, OUTSIDE);
    damaged[damaged.length - 1] ^= 1;
    expect(world.in(damaged)).to.be.empty;
    const quoted = sent.slice();
    quoted[10] ^= 1;
    expect(world.in(errorAbout(quoted, OUTSIDE))).to.be.empty;
    expect(world.nat.stats.icmpDropped).to.equal(2);
  });

  it('reads behind IP options of what is quoted (RFC 5508 REQ-3 b) [NI-3]', () => {
    const payload = udpPacket(place(OUTSIDE, 5000), server).subarray(20);
    world.out(udpPacket(client, server));
    const quoted = v4({ from: OUTSIDE, to: PEER, protocol: 17, payload, options: [1, 1, 1, 0] });
    const error = onlyIcmp(world.in(errorAbout(quoted, OUTSIDE)));
    const inner = read(error.data);
    expect(inner.from).to.equal(HOST);
    expect(inner.options.length).to.equal(4);
  });

  it('does not mind a wrong transport checksum in what is quoted, and keeps it as wrong (RFC 5508 REQ-3 c) [NI-3]', () => {
    const [sent] = world.out(udpPacket(client, server));
    const quoted = sent.slice();
    quoted[27] ^= 0x55;
    const error = onlyIcmp(world.in(errorAbout(quoted, OUTSIDE)));
    expect(() => flowOf(error.data)).to.throw('transport checksum');
  });

  it('leaves extensions behind the quotation as they are (RFC 5508 REQ-3 d) [NI-3]', () => {
    const [sent] = world.out(udpPacket(client, server, new Array<number>(200).fill(3)));
    const quoted = sent.subarray(0, 128);
    const extension = [0x20, 0, 0, 0, 0, 4, 1, 1];
    const payload = icmp4(3, 1, (128 / 4) << 16, bytesOf(quoted, extension));
    const error = onlyIcmp(world.in(v4({ from: ROUTER, to: OUTSIDE, protocol: 1, payload })));
    expect([...error.data.subarray(128)]).to.deep.equal(extension);
  });

  it('drops errors about what it has not translated (RFC 5508 REQ-4, REQ-5) [NI-4 NI-5]', () => {
    const never = udpPacket(place(OUTSIDE, 9999), server);
    expect(world.in(errorAbout(never, OUTSIDE))).to.be.empty;
    expect(world.out(errorAbout(udpPacket(server, place(HOST, 9999)), PEER, HOST))).to.be.empty;
    expect(world.nat.stats.icmpDropped).to.equal(1);
  });

  it('brings an error about what left to who sent it, with what it sent (RFC 5508 REQ-4) [NI-4]', () => {
    const original = udpPacket(client, server, [5, 6, 7]);
    const [sent] = world.out(original);
    const error = onlyIcmp(world.in(errorAbout(sent, OUTSIDE, ROUTER, 11, 0)));
    expect([error.type, error.code]).to.deep.equal([11, 0]);
    expect(error.packet.from).to.equal(ROUTER);
    expect(error.packet.to).to.equal(HOST);
    const inner = flowOf(error.data);
    expect(inner.from).to.deep.equal(client);
    expect(inner.to).to.deep.equal(server);
    // All but the TTL and the checksum it is in.
    expect([...error.data.subarray(12)]).to.deep.equal([...original.subarray(12)]);
  });

  it('does so with eight bytes of TCP alone (RFC 5508 REQ-4, RFC 5382 REQ-9) [NI-4 NT-9]', () => {
    const original = tcpPacket(client, place(PEER, 80), 'S');
    const [sent] = world.out(original);
    const error = onlyIcmp(world.in(errorAbout(sent.subarray(0, 28), OUTSIDE)));
    expect([...error.data.subarray(12, 28)]).to.deep.equal([...original.subarray(12, 28)]);
  });

  it('does so for queries (RFC 5508 REQ-4) [NI-4]', () => {
    world.out(echo(HOST, PEER, 77));
    const [sent] = world.out(echo(HOST_2, PEER, 77));
    const error = onlyIcmp(world.in(errorAbout(sent, OUTSIDE)));
    expect(error.packet.to).to.equal(HOST_2);
    const inner = readIcmp(error.data);
    expect(inner.packet.from).to.equal(HOST_2);
    expect(inner.word >>> 16).to.equal(77);
  });

  it('hides who reports an error from inside, and whom it is about (RFC 5508 REQ-5) [NI-5]', () => {
    world.out(udpPacket(client, server));
    const answer = udpPacket(server, place(OUTSIDE, 5000), [1]);
    const [delivered] = world.in(answer);
    const unreachable = errorAbout(delivered, PEER, '192.168.0.9', 3, 3);
    const error = onlyIcmp(world.out(unreachable));
    expect(error.packet.from).to.equal(OUTSIDE);
    expect(error.packet.to).to.equal(PEER);
    const inner = flowOf(error.data);
    expect(inner.from).to.deep.equal(server);
    expect(inner.to).to.deep.equal(place(OUTSIDE, 5000));
  });

  it('ends and refreshes nothing by ICMP (RFC 5508 REQ-6, RFC 4787 REQ-12, RFC 5382 REQ-10) [NI-6 NU-12 NT-10]', () => {
    const [sent] = world.out(udpPacket(client, server));
    const [query] = world.out(echo(HOST, PEER, 77));
    for (let i = 0; i < 3; i++) {
      onlyIcmp(world.in(errorAbout(sent, OUTSIDE, PEER, 3, 3)));
      onlyIcmp(world.in(errorAbout(query, OUTSIDE, PEER, 3, 1)));
      world.pass(19_000);
    }
    onlyIcmp(world.in(echo(PEER, OUTSIDE, 77, true)));
    only(world.in(udpPacket(server, place(OUTSIDE, 5000))));
    world.pass(60_000);
    onlyIcmp(world.in(errorAbout(sent, OUTSIDE, PEER, 3, 3)));
    expect(world.in(errorAbout(query, OUTSIDE, PEER, 3, 1)), 'its query is over').to.be.empty;
  });

  it('takes errors from anybody on the way (RFC 4787 REQ-12 a) [NU-12]', () => {
    const [sent] = world.out(udpPacket(client, server));
    onlyIcmp(world.in(errorAbout(sent, OUTSIDE, '8.8.8.8')));
  });

  for (const reversePathFilter of ['off', 'strict', 'loose'] as const) {
    it(`translates both ends of an error about what one host inside sent another (RFC 5508 REQ-7 a), reversePathFilter ${reversePathFilter} [NI-7]`, () => {
      world.close();
      world = new NatWorld({ families: [4, 6], reversePathFilter });
      const seenAs = only(world.out(udpPacket(client, server))).from;
      const other = only(world.out(udpPacket(place(HOST_2, 6000), server))).from;
      const original = udpPacket(client, other, [4]);
      world.inside.inject([original]);
      const [delivered] = world.takeInside();
      expect(flowOf(delivered).from).to.deep.equal(seenAs);
      world.inside.inject([errorAbout(delivered, OUTSIDE, HOST_2, 3, 3)]);
      const error = onlyIcmp(world.takeInside());
      expect(error.packet.from).to.equal(OUTSIDE);
      expect(error.packet.to).to.equal(HOST);
      const inner = flowOf(error.data);
      expect(inner.from).to.deep.equal(client);
      expect(inner.to).to.deep.equal(other);
    });
  }

  it('tells the sender of a flow there is no room for that it is prohibited (RFC 5508 REQ-8) [NI-8]', () => {
    world.close();
    world = new NatWorld({ maxSessions: 1 });
    world.out(udpPacket(client, server));
    expect(world.out(udpPacket(place(HOST_2, 1), server))).to.be.empty;
    const error = onlyIcmp(world.takeInside());
    expect([error.type, error.code]).to.deep.equal([3, 13]);
    expect(error.packet.to).to.equal(HOST_2);
    expect(error.packet.from).to.equal('192.168.0.1');
  });

  it('lets errors and echo through, and no other ICMP (RFC 5508 REQ-10, REQ-11) [NI-10 NI-11]', () => {
    const [sent] = world.out(udpPacket(client, server));
    for (const [type, code] of [
      [3, 0],
      [3, 4],
      [11, 0],
      [11, 1],
      [12, 0],
    ]) {
      expect(onlyIcmp(world.in(errorAbout(sent, OUTSIDE, ROUTER, type, code))).type).to.equal(type);
    }
    const information = v4({ from: HOST, to: PEER, protocol: 1, payload: icmp4(15, 0, 0) });
    expect(world.out(information)).to.be.empty;
    expect(world.nat.stats.unsupported).to.equal(1);
  });

  it('asks the sender for smaller packets in its own terms (RFC 4787 REQ-13) [NU-13]', () => {
    world.close();
    world = new NatWorld({ outsideWire: { mtu: 1300 } });
    const payload = udpPacket(client, server, new Array<number>(1400).fill(1)).subarray(20);
    const large = v4({ from: HOST, to: PEER, protocol: 17, payload, df: true });
    expect(world.out(large)).to.be.empty;
    const error = onlyIcmp(world.takeInside());
    expect([error.type, error.code, error.word]).to.deep.equal([3, 4, 1300]);
    expect(read(large).from).to.equal(HOST);
    expect([...error.data.subarray(0, 28)]).to.deep.equal([...large.subarray(0, 28)]);
  });

  it('quotes what the outside sent, not what became of it', () => {
    world.close();
    world = new NatWorld({ insideWire: { mtu: 1300 } });
    world.out(udpPacket(client, server));
    const payload = udpPacket(server, place(OUTSIDE, 5000), new Array<number>(1400).fill(1)).subarray(20);
    const large = v4({ from: PEER, to: OUTSIDE, protocol: 17, payload, df: true });
    expect(world.in(large)).to.be.empty;
    const error = onlyIcmp(world.takeOutside());
    expect([error.type, error.code, error.word]).to.deep.equal([3, 4, 1300]);
    expect([...error.data]).to.deep.equal([...large.subarray(0, error.data.length)]);
  });

  it('translates errors of IPv6 too', () => {
    const from = place(HOST_6, 5000);
    const to = place(PEER_6, 53);
    const original = udpPacket(from, to, [1, 2, 3, 4]);
    const [sent] = world.out(original);
    expect(flowOf(sent).from).to.deep.equal(place(OUTSIDE_6, 5000));
    const router = '2001:db8:3::1';
    const payload = icmp6([router, OUTSIDE_6], 2, 0, 1280, sent);
    const error = onlyIcmp(world.in(v6({ from: router, to: OUTSIDE_6, next: 58, payload })));
    expect(error.word).to.equal(1280);
    expect(error.packet.to).to.equal(HOST_6);
    expect([...error.data.subarray(8)]).to.deep.equal([...original.subarray(8)]);
    expect([...u16(1)]).to.deep.equal([0, 1]);
  });

  it('translates hairpins of IPv6, and errors about them, at both ends (RFC 5508 REQ-7 a) [NI-7]', () => {
    const other6 = 'fd00::3';
    const from = place(HOST_6, 5000);
    const seenAs = only(world.out(udpPacket(from, place(PEER_6, 53)))).from;
    const other = only(world.out(udpPacket(place(other6, 6000), place(PEER_6, 53)))).from;
    world.inside.inject([udpPacket(from, other, [4])]);
    const [delivered] = world.takeInside();
    expect(flowOf(delivered).from).to.deep.equal(seenAs);
    expect(flowOf(delivered).to).to.deep.equal(place(other6, 6000));
    const payload = icmp6([other6, OUTSIDE_6], 1, 4, 0, delivered);
    world.inside.inject([v6({ from: other6, to: OUTSIDE_6, next: 58, payload })]);
    const error = onlyIcmp(world.takeInside());
    expect([error.packet.from, error.packet.to]).to.deep.equal([OUTSIDE_6, HOST_6]);
    const inner = flowOf(error.data);
    expect([inner.from, inner.to]).to.deep.equal([from, other]);
  });
});
