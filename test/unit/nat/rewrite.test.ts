/** Checksums by difference, next to checksums computed from scratch; fragments and super-packets. */
import { expect } from 'chai';
import { Endpoint, rewriteDestination, rewriteSource } from '../../../lib/nat/rewrite.js';
import { Kind, TransportView } from '../../../lib/nat/transport-view.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { ChecksumState, IpPacket } from '../../../lib/wire/ip-packet.js';
import { readIpv4 } from '../../../lib/wire/ipv4.js';
import { readIpv6 } from '../../../lib/wire/ipv6.js';
import {
  addressBytes,
  bytesOf,
  checksumOf,
  fragmentHeader,
  optionsHeader,
  pattern,
  pseudoHeader,
  read,
  u16,
  v4,
  v6,
} from '../../support/ip-wire.js';
import {
  flowOf,
  HOST,
  HOST_6,
  NatWorld,
  OUTSIDE,
  OUTSIDE_6,
  only,
  PEER,
  PEER_6,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const random = new SeededRandom(5);
const below = (bound: number): number => random.uint32() % bound;

function anyAddress(family: number): string {
  const word = (): number => (below(4) === 0 ? [0, 0xffff, 1][below(3)] : below(0x10000));
  if (family === 4) return IpAddress.v4((word() << 16) | word()).toString();
  const words = Array.from({ length: 4 }, () => (word() << 16) | word());
  return IpAddress.v6(words[0] | 0x2000_0000, words[1], words[2], words[3]).toString();
}

const anyPort = (): number => (below(4) === 0 ? [0, 0xffff, 1, 0xfffe][below(4)] : below(0x10000));

function aimed(bytes: Uint8Array): { packet: IpPacket; view: TransportView } {
  const packet = new IpPacket();
  packet.aim(bytes, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length);
  expect(bytes[0] >> 4 === 4 ? readIpv4(packet) : readIpv6(packet)).to.equal(0);
  const view = new TransportView();
  expect(view.aim(packet)).to.equal(Kind.Flow);
  return { packet, view };
}

function endpoint(address: string, port: number): Endpoint {
  const { w0, w1, w2, w3 } = IpAddress.parse(address);
  const made = new Endpoint();
  made.set(w0, w1, w2, w3);
  made.port = port;
  return made;
}

describe('rewriting a packet', function () {
  this.timeout(20_000);
  this.slow(2000);

  for (const family of [4, 6]) {
    for (const make of [udpPacket, (a: never, b: never, data: number[]) => tcpPacket(a, b, '.', data)]) {
      it(`gives the checksums that counting anew gives: IPv${family}, ${make === udpPacket ? 'UDP' : 'TCP'}`, () => {
        for (let round = 0; round < 1000; round++) {
          const from = place(anyAddress(family), anyPort());
          const to = place(anyAddress(family), anyPort());
          const data = Array.from({ length: below(20) }, () => (below(3) === 0 ? 255 : below(256)));
          const bytes = (make as typeof udpPacket)(from, to, data);
          const { packet, view } = aimed(bytes);
          const newFrom = place(anyAddress(family), anyPort());
          const newTo = place(anyAddress(family), anyPort());
          rewriteSource(packet, view, endpoint(newFrom.address, newFrom.port));
          rewriteDestination(packet, view, endpoint(newTo.address, newTo.port));
          const flow = flowOf(bytes);
          expect([flow.from, flow.to]).to.deep.equal([newFrom, newTo]);
          // What readers of the packet's words see is what its header says.
          expect(packet.source().toString()).to.equal(newFrom.address);
          expect(packet.destination().toString()).to.equal(newTo.address);
          rewriteSource(packet, view, endpoint(from.address, from.port));
          rewriteDestination(packet, view, endpoint(to.address, to.port));
          expect([...bytes]).to.deep.equal([...(make as typeof udpPacket)(from, to, data)]);
        }
      });
    }
  }

  it('keeps a computed zero of UDP apart from none (RFC 768)', () => {
    const bytes = udpPacket(place(HOST, 1), place(PEER, 2), [9]);
    const { packet, view } = aimed(bytes);
    const to = endpoint(OUTSIDE, 0);
    const fields = new Set<number>();
    for (to.port = 0; to.port < 65_536; to.port++) {
      rewriteSource(packet, view, to);
      fields.add(bytes[26] * 256 + bytes[27]);
    }
    expect([fields.has(0), fields.has(0xffff)]).to.deep.equal([false, true]);
    expect(fields.size).to.equal(65_535);
  });

  it('changes a checksum that was only begun by the addresses alone', () => {
    for (const [from, outside, to] of [
      [HOST, OUTSIDE, PEER],
      [HOST_6, OUTSIDE_6, PEER_6],
    ]) {
      const bytes = tcpPacket(place(from, 5000), place(to, 80), '.', [1, 2, 3]);
      const at = bytes.length - 23;
      const begun = (source: string): number => 0xffff - checksumOf(pseudoHeader(source, to, 6, 23));
      bytes.set(u16(begun(from)), at + 16);
      const { packet, view } = aimed(bytes);
      packet.checksum = ChecksumState.Partial;
      rewriteSource(packet, view, endpoint(outside, 6000));
      expect(bytes[at + 16] * 256 + bytes[at + 17]).to.equal(begun(outside));
    }
  });
});

describe('NAT of what is not one plain packet', function () {
  this.timeout(20_000);
  this.slow(2000);

  let world: NatWorld;

  afterEach(() => {
    expect(world.inside.faults).to.deep.equal([]);
    expect(world.outside.faults).to.deep.equal([]);
    world.close();
  });

  it('passes super-packets whole, their checksum still only begun', () => {
    const wire = { offload: true };
    world = new NatWorld({ insideWire: wire, outsideWire: wire });
    only(world.out(tcpPacket(place(HOST, 5000), place(PEER, 80), 'S')));
    const sent: { segmentSize: number; checksum: number; bytes: Uint8Array }[] = [];
    world.outside.onSent = (packet) => sent.push(packet);
    const large = tcpPacket(place(HOST, 5000), place(PEER, 80), '.', [...pattern(30_000)]);
    large.set(u16(0xffff - checksumOf(pseudoHeader(HOST, PEER, 6, 30_020))), 36);
    world.outAs(large, { checksum: ChecksumState.Partial, segmentSize: 1460 });
    expect(sent).to.have.length(1);
    const [{ bytes, segmentSize, checksum }] = sent;
    expect([segmentSize, checksum]).to.deep.equal([1460, ChecksumState.Partial]);
    expect(read(bytes).from).to.equal(OUTSIDE);
    expect(bytes[36] * 256 + bytes[37]).to.equal(0xffff - checksumOf(pseudoHeader(OUTSIDE, PEER, 6, 30_020)));
    expect([...bytes.subarray(40)]).to.deep.equal([...large.subarray(40)]);
  });

  it('divides super-packets for a link that takes none, with every checksum right', () => {
    world = new NatWorld({ insideWire: { offload: true } });
    const large = tcpPacket(place(HOST, 5000), place(PEER, 80), '.', [...pattern(5000)]);
    large.set(u16(0xffff - checksumOf(pseudoHeader(HOST, PEER, 6, 5020))), 36);
    const sent = world.outAs(large, { checksum: ChecksumState.Partial, segmentSize: 1460 });
    expect(sent.map((bytes) => flowOf(bytes).from.port)).to.deep.equal([5000, 5000, 5000, 5000]);
    expect(bytesOf(...sent.map((bytes) => bytes.subarray(40)))).to.deep.equal(pattern(5000));
  });

  /** Fragments of a UDP packet of 3000 bytes. */
  function fragments(from: string, to: string, id: number): Uint8Array[] {
    const six = from.includes(':');
    const whole = udpPacket(place(from, 5000), place(to, 53), [...pattern(3000)]).subarray(six ? 40 : 20);
    const pieces = [0, 1200, 2400].map((offset) => ({
      offset,
      more: offset < 2400,
      data: whole.subarray(offset, offset + 1200),
    }));
    return pieces.map(({ offset, more, data }) =>
      six
        ? v6({ from, to, next: 44, payload: bytesOf(fragmentHeader(17, offset, more, id), data) })
        : v4({ from, to, protocol: 17, id, offset, more, payload: data }),
    );
  }

  /** Puts fragments together. */
  function whole(sent: readonly Uint8Array[]): Uint8Array {
    const pieces = sent.map(read).sort((a, b) => a.offset - b.offset);
    expect(new Set(pieces.map(({ id }) => id)).size).to.equal(1);
    const [{ from, to, version }] = pieces;
    const payload = bytesOf(...pieces.map((piece) => piece.payload));
    return version === 4 ? v4({ from, to, protocol: 17, payload }) : v6({ from, to, next: 17, payload });
  }

  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ]) {
    it(`takes fragments in the order ${order.join()}, both ways, both versions (RFC 4787 REQ-14) [NU-14]`, () => {
      world = new NatWorld({ families: [4, 6] });
      for (const [host, outside, peer] of [
        [HOST, OUTSIDE, PEER],
        [HOST_6, OUTSIDE_6, PEER_6],
      ]) {
        const pieces = fragments(host, peer, 7);
        const out = flowOf(whole(world.out(...order.map((i) => pieces[i]))));
        expect(out.from).to.deep.equal(place(outside, 5000));
        expect([...out.seen.payload.subarray(8)]).to.deep.equal([...pattern(3000)]);
        // Its answer comes for port 5000, in fragments too.
        const answer = udpPacket(place(peer, 53), place(outside, 5000), [...pattern(2000)]);
        const six = peer.includes(':');
        const text = answer.subarray(six ? 40 : 20);
        const back = [0, 1000].map((offset) =>
          six
            ? v6({
                from: peer,
                to: outside,
                next: 44,
                payload: bytesOf(
                  fragmentHeader(17, offset, offset === 0, 9),
                  offset === 0 ? text.subarray(0, 1000) : text.subarray(1000),
                ),
              })
            : v4({
                from: peer,
                to: outside,
                protocol: 17,
                id: 9,
                offset,
                more: offset === 0,
                payload: offset === 0 ? text.subarray(0, 1000) : text.subarray(1000),
              }),
        );
        const inside = flowOf(whole(world.in(back[1], back[0])));
        expect(inside.to).to.deep.equal(place(host, 5000));
      }
    });
  }

  it('keeps incomplete ones within the limits of reassembly (RFC 4787 REQ-14 a) [NU-14]', () => {
    world = new NatWorld();
    const data = pattern(1200);
    for (let id = 0; id < 5000; id++) {
      const fields = { from: HOST, to: PEER, protocol: 17, id, offset: 1200, more: true };
      world.inside.inject([v4({ ...fields, payload: data })]);
    }
    const { ip } = world.stack.stats;
    expect(ip.reasmBytes).to.be.at.most(world.stack.ip.options.reassemblyHighBytes);
    world.pass(60_000);
    expect(ip.reasmBytes).to.equal(0);
    expect(world.nat.stats.sessions).to.equal(0);
  });

  it('reads behind extension headers of IPv6', () => {
    world = new NatWorld({ families: [6] });
    const text = udpPacket(place(HOST_6, 5000), place(PEER_6, 53)).subarray(40);
    const options = optionsHeader(17, [1, 0]);
    const packet = v6({ from: HOST_6, to: PEER_6, next: 60, payload: bytesOf(options, text) });
    const [out] = world.out(packet);
    const datagram = out.subarray(40 + options.length);
    expect(checksumOf(pseudoHeader(OUTSIDE_6, PEER_6, 17, datagram.length), datagram)).to.equal(0);
    expect([...out.subarray(8, 24)]).to.deep.equal([...addressBytes(OUTSIDE_6)]);
  });

  it('keeps the options of IPv4', () => {
    world = new NatWorld();
    const payload = udpPacket(place(HOST, 5000), place(PEER, 53)).subarray(20);
    const [out] = world.out(v4({ from: HOST, to: PEER, protocol: 17, options: [1, 1, 1, 1], payload }));
    const flow = flowOf(out);
    expect(flow.from).to.deep.equal(place(OUTSIDE, 5000));
    expect(flow.seen.options.length).to.equal(4);
  });
});
