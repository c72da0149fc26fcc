/** IPv4 output: RFC 791, RFC 1122 §3.2, RFC 6864. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { Begin } from '../../../lib/ip/ip-output.js';
import { Cast, ChecksumState } from '../../../lib/wire/ip-packet.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  checksumOf,
  pattern,
  pseudoHeader,
  read,
  type Seen,
  tcp,
  udp,
} from '../../support/ip-wire.js';

/** The payload that fragments carry, their headers proved to fit together. */
function joined(fragments: readonly Seen[]): Uint8Array {
  let offset = 0;
  for (const [i, fragment] of fragments.entries()) {
    expect(fragment.offset, 'offset').to.equal(offset);
    expect(fragment.more, 'more fragments').to.equal(i < fragments.length - 1);
    if (fragment.more) expect(fragment.payload.length % 8, 'multiple of eight').to.equal(0);
    expect(fragment.id).to.equal(fragments[0].id);
    expect(fragment.df).to.equal(false);
    offset += fragment.payload.length;
  }
  return bytesOf(...fragments.map(({ payload }) => payload));
}

describe('IPv4 output', () => {
  it('only lends own addresses as source, unless the caller is a transparent proxy [V4O-1]', () => {
    const peer = new IpPeer();
    expect(peer.resolve('10.0.0.9', { source: '10.0.0.8' }).unusable).to.equal('EADDRNOTAVAIL');
    expect(peer.resolve('10.0.0.9', { source: '10.0.0.255' }).unusable).to.equal('EADDRNOTAVAIL');
    expect(peer.resolve('10.0.0.9', { source: '224.0.0.1' }).unusable).to.equal('EINVAL');
    expect(peer.resolve('10.0.0.9', { source: '2001:db8::1' }).unusable).to.equal('EINVAL');
    expect(peer.resolve('10.0.0.9', { source: '10.0.0.1' }).unusable).to.equal('');
    const proxy = peer.resolve('10.0.0.9', { source: '192.0.2.8', transparent: true });
    expect(peer.send(proxy, udp('192.0.2.8', '10.0.0.9'), 6)).to.equal(Begin.Ok);
    expect(peer.sent()[0].from).to.equal('192.0.2.8');
    const begun = peer.send(peer.resolve('10.0.0.9', { source: '10.0.0.8' }), pattern(8));
    expect(begun).to.equal(Begin.Unusable);
    expect(peer.sent()).to.deep.equal([]);
  });

  it('sends a TTL of 64, or what the path says, never 0 [V4O-2]', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9');
    peer.send(path, pattern(8));
    for (const ttl of [1, 5, 255]) {
      path.hopLimit = ttl;
      peer.send(path, pattern(8));
    }
    expect(peer.sent().map(({ ttl }) => ttl)).to.deep.equal([64, 1, 5, 255]);
    for (const ttl of [0, -1, 256, 1.5, Number.NaN]) {
      expect(() => {
        path.hopLimit = ttl;
      }, String(ttl)).to.throw(RangeError);
    }
    expect(() => new IpPeer({ options: { hopLimit: 0 } })).to.throw(RangeError);
    const other = new IpPeer({ options: { hopLimit: 17 } });
    other.send(other.resolve('10.0.0.9'), pattern(8));
    expect(other.sent()[0].ttl).to.equal(17);
  });

  it('has checksum and total length right whatever it sends [V4O-3]', () => {
    const options = fc.constantFrom(
      [],
      [1, 1, 1, 1],
      [7, 7, 4, 0, 0, 0, 0, 0],
      [148, 4, 0, 0, 68, 8, 5, 0, 1, 2, 3, 4],
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6000 }),
        options,
        fc.integer({ min: 0, max: 255 }),
        (length, list, tos) => {
          const peer = new IpPeer();
          const path = peer.resolve('10.0.0.9');
          path.dontFragment = false;
          path.trafficClass = tos & 0xfc;
          path.ecn = tos & 3;
          path.options = Uint8Array.from(list);
          const payload = pattern(length);
          expect(peer.send(path, payload)).to.equal(Begin.Ok);
          // `read` proves header checksum and total length of each.
          const fragments = peer.sent();
          expect(joined(fragments)).to.deep.equal(payload);
          expect(fragments.every((fragment) => fragment.tos === tos)).to.equal(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('takes texts from where they lie, and writes those of packets that must be divided', () => {
    for (const gathers of [true, false]) {
      const peer = new IpPeer({ mtu: 1500, addresses: ['10.0.0.1/24'], gathers, offload: true });
      const path = peer.resolve('10.0.0.9');
      path.dontFragment = false;
      const text = pattern(2000);
      /** Eight bytes of header, then `bytes` of the text from 3 on. */
      const send = (bytes: number): void => {
        expect(peer.ip.begin(path, 8 + bytes)).to.equal(Begin.Ok);
        peer.ip.out.bytes.fill(7, peer.ip.out.at, peer.ip.out.at + 8);
        if (!peer.ip.lend(path, text, 3, bytes)) {
          peer.ip.out.bytes.set(text.subarray(3, 3 + bytes), peer.ip.out.at + 8);
        }
        peer.ip.commit(path, 8 + bytes, -1);
      };
      const whole = (bytes: number): Uint8Array =>
        bytesOf(new Uint8Array(8).fill(7), text.subarray(3, 3 + bytes));
      send(1000);
      expect(peer.sent().map(({ payload }) => payload)).to.deep.equal([whole(1000)]);
      // Larger than the link: built elsewhere. Larger than the path: built in place, then moved.
      send(1900);
      expect(joined(peer.sent())).to.deep.equal(whole(1900));
      path.mtu = 600;
      send(1400);
      expect(joined(peer.sent())).to.deep.equal(whole(1400));
      path.mtu = 1500;
      send(50);
      expect(peer.sent().map(({ payload }) => payload)).to.deep.equal([whole(50)]);
      peer.send(path, pattern(60));
      expect(peer.sent().map(({ payload }) => payload)).to.deep.equal([pattern(60)]);
    }
  });

  it('sends TCP with DF, and UDP as its path says [V4O-6] [A15]', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9', { protocol: 6 });
    peer.send(path, tcp('10.0.0.1', '10.0.0.9'), 16);
    const datagrams = peer.resolve('10.0.0.9');
    peer.send(datagrams, udp('10.0.0.1', '10.0.0.9'), 6);
    datagrams.dontFragment = false;
    peer.send(datagrams, udp('10.0.0.1', '10.0.0.9'), 6);
    expect(peer.sent().map(({ df }) => df)).to.deep.equal([true, true, false]);
  });

  it('fragments what is too long where DF is off, repeating options by their copy bit [V4O-7]', () => {
    for (const mtu of [68, 576, 1006, 1500]) {
      const peer = new IpPeer({ mtu, addresses: ['10.0.0.1/24'] });
      const path = peer.resolve('10.0.0.9');
      path.dontFragment = false;
      // Record Route is not copied, Router Alert is, and what is not a multiple of four is padded.
      path.options = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 1, 130, 3, 9, 0);
      const payload = pattern(3001);
      peer.send(path, payload);
      const fragments = peer.sent();
      expect(joined(fragments)).to.deep.equal(payload);
      expect([...fragments[0].options]).to.deep.equal([...path.options]);
      for (const fragment of fragments.slice(1)) {
        expect([...fragment.options]).to.deep.equal([148, 4, 0, 0, 130, 3, 9, 0]);
      }
      for (const fragment of fragments) expect(fragment.bytes.length).to.be.at.most(mtu);
      expect(peer.stats.ip.outFragOKs).to.equal(1);
      expect(peer.stats.ip.outFragCreates).to.equal(fragments.length);
    }
  });

  it('completes the transport checksum before it fragments, also on links that would do it', () => {
    for (const maxPacketBytes of [1500, 65_535]) {
      const peer = new IpPeer({ offload: true, maxPacketBytes });
      const path = peer.resolve('10.0.0.9');
      path.dontFragment = false;
      const datagram = udp('10.0.0.1', '10.0.0.9', pattern(4000));
      const wrong = datagram.slice();
      wrong.set([0, 0], 6);
      peer.send(path, wrong, 6);
      expect(peer.port.queue.every(({ checksum }) => checksum === ChecksumState.Valid)).to.equal(true);
      expect(joined(peer.sent())).to.deep.equal(datagram);
    }
  });

  it('says when a packet is too big for the path, and what would fit', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9');
    expect(path.mtu).to.equal(1500);
    expect(path.maxTransportBytes).to.equal(1480);
    expect(peer.send(path, pattern(1480))).to.equal(Begin.Ok);
    expect(peer.send(path, pattern(1481))).to.equal(Begin.TooBig);
    expect(peer.sent()).to.have.length(1);
    // On a link that takes super-packets only the end tells.
    const big = new IpPeer({ maxPacketBytes: 65_535 });
    const wide = big.resolve('10.0.0.9');
    expect(big.send(wide, pattern(1481))).to.equal(Begin.Ok);
    expect(big.sent()).to.deep.equal([]);
    expect(big.lastDrop).to.equal(DropReason.IpTooBig);
    const stream = big.resolve('10.0.0.9', { protocol: 6 });
    expect(big.send(stream, tcp('10.0.0.1', '10.0.0.9', pattern(9000)), 16, 1460)).to.equal(Begin.Ok);
    const [frame] = big.port.queue;
    expect(frame.segmentSize).to.equal(1460);
    expect(frame.headerBytes).to.equal(40);
    expect(frame.bytes.length).to.equal(9040);
  });

  it('refuses datagrams above 65,535 bytes [V4O-9]', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9');
    path.dontFragment = false;
    expect(peer.send(path, pattern(65_515))).to.equal(Begin.Ok);
    expect(joined(peer.sent())).to.deep.equal(pattern(65_515));
    expect(peer.send(path, pattern(65_516))).to.equal(Begin.TooBig);
    path.options = new Uint8Array(8);
    expect(peer.send(path, pattern(65_508))).to.equal(Begin.TooBig);
    expect(peer.sent()).to.deep.equal([]);
  });

  it('asks for permission to broadcast [V4O-10]', () => {
    const peer = new IpPeer();
    for (const to of ['255.255.255.255', '10.0.0.255', '10.0.0.0']) {
      expect(peer.resolve(to, { oif: 1 }).unusable, to).to.equal('EACCES');
      const allowed = peer.resolve(to, { oif: 1, allowBroadcast: true });
      expect([allowed.unusable, allowed.cast]).to.deep.equal(['', Cast.Broadcast]);
      peer.send(allowed, pattern(8));
      expect(peer.sent()[0].to).to.equal(to);
    }
  });

  it('loops packets to own addresses back inside [V4O-11] [RT-23]', () => {
    const peer = new IpPeer();
    peer.addPort('tun1', ['10.1.0.1/24', '2001:db8:1::1/64']);
    peer.ip.routing.routes.add({ destination: '10.0.0.1/32', port: 2, metric: 0 });
    peer.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 2 });
    for (const to of [
      '10.0.0.1',
      '10.1.0.1',
      '127.0.0.1',
      '127.9.9.9',
      '2001:db8::1',
      '2001:db8:1::1',
      '::1',
    ]) {
      for (const oif of [0, 2]) {
        const path = peer.resolve(to, { oif });
        expect(path.port.index, `${to} by ${oif}`).to.equal(0);
        expect(peer.send(path, udp(path.source.toString(), to, pattern(20)), 6)).to.equal(Begin.Ok);
      }
    }
    expect(peer.loop()).to.equal(14);
    expect(peer.udp.packets).to.have.length(14);
    expect(peer.sent(peer.ports[1])).to.deep.equal([]);
    expect(peer.sent(peer.ports[2])).to.deep.equal([]);
  });

  it('lets no loopback address out [V4O-12]', () => {
    const peer = new IpPeer();
    peer.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
    expect(peer.resolve('192.0.2.1', { source: '127.0.0.1' }).unusable).to.equal('EINVAL');
    peer.ip.routing.rules.add({ priority: 0, table: 'main' });
    peer.ip.routing.rules.delete({ priority: 0, table: 'local' });
    expect(peer.resolve('127.0.0.1', { source: '10.0.0.1' }).unusable).to.equal('EINVAL');
    const open = new IpPeer({ options: { routeLocalnet: true } });
    open.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
    expect(open.resolve('192.0.2.1', { source: '127.0.0.1' }).unusable).to.equal('');
  });

  it('fills transport checksums, or the part that links cannot, in place', () => {
    for (const offload of [false, true]) {
      const peer = new IpPeer({ offload });
      for (const [protocol, message, at] of [
        [17, udp('10.0.0.1', '10.0.0.9', pattern(11)), 6],
        [6, tcp('10.0.0.1', '10.0.0.9', pattern(11)), 16],
      ] as const) {
        const blank = message.slice();
        blank.set([0xab, 0xcd], at);
        peer.send(peer.resolve('10.0.0.9', { protocol }), blank, at);
        const [frame] = peer.port.queue.splice(0);
        const sent = read(frame.bytes).payload;
        const pseudo = pseudoHeader('10.0.0.1', '10.0.0.9', protocol, message.length);
        if (offload) {
          expect(frame.checksum).to.equal(ChecksumState.Partial);
          expect(sent[at] * 256 + sent[at + 1]).to.equal(0xffff - checksumOf(pseudo));
          expect(frame.headerBytes).to.equal(protocol === 6 ? 40 : 28);
        } else {
          expect(frame.checksum).to.equal(ChecksumState.Valid);
          expect(sent).to.deep.equal(message);
        }
      }
    }
  });

  it('sends a computed UDP checksum of zero as 0xffff', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9');
    const blank = bytesOf([0x0f, 0xa0, 0, 7, 0, 10, 0, 0], [0, 0]);
    const rest = checksumOf(pseudoHeader('10.0.0.1', '10.0.0.9', 17, 10), blank);
    blank.set([rest >> 8, rest & 255], 8);
    peer.send(path, blank, 6);
    expect([...peer.sent()[0].payload.subarray(6, 8)]).to.deep.equal([0xff, 0xff]);
  });

  it('tells a full link from a path that leads nowhere', () => {
    const peer = new IpPeer();
    const path = peer.resolve('10.0.0.9');
    peer.port.room = 0;
    expect(peer.send(path, pattern(8))).to.equal(Begin.Full);
    path.dontFragment = false;
    expect(peer.send(path, pattern(4000))).to.equal(Begin.Full);
    // Two of three fragments find room: the datagram is lost, and counted.
    peer.port.room = 2;
    expect(peer.send(path, pattern(4000))).to.equal(Begin.Ok);
    expect(peer.stats.ip.outFragFails).to.equal(1);
    expect(peer.lastDrop).to.equal(DropReason.LinkQueueFull);
    expect(peer.send(peer.resolve('192.0.2.1'), pattern(8))).to.equal(Begin.Unusable);
    expect(peer.stats.ip.outNoRoutes).to.equal(1);
  });
});

describe('IPv4 identification', () => {
  /** Identifications of `count` datagrams to a destination. */
  function identifications(peer: IpPeer, to: string, count: number, df: boolean, protocol = 17): number[] {
    const path = peer.resolve(to, { protocol });
    path.dontFragment = df;
    const seen: number[] = [];
    for (let i = 0; i < count; i++) {
      peer.send(path, pattern(8));
      seen.push(...peer.sent().map(({ id }) => id));
    }
    return seen;
  }

  it('says nothing in atomic datagrams, and so leaks no counter [V4O-4]', () => {
    const peer = new IpPeer();
    for (const to of ['10.0.0.9', '10.0.0.10', '10.0.0.77']) {
      expect(new Set(identifications(peer, to, 200, true))).to.deep.equal(new Set([0]));
    }
  });

  it('does not repeat itself between two hosts for one protocol [V4O-5]', () => {
    const peer = new IpPeer();
    // Other pairs in between, which may share a counter, must not bring repetitions.
    const seen = new Set<number>();
    for (let round = 0; round < 100; round++) {
      for (const id of identifications(peer, '10.0.0.9', 200, false)) {
        expect(seen.has(id), `round ${round}`).to.equal(false);
        seen.add(id);
      }
      identifications(peer, `10.0.0.${20 + round}`, 1, false);
    }
  });

  it('cannot be guessed from what others get [V4O-5] [A15]', () => {
    const firsts = new Set<number>();
    const gaps: number[] = [];
    for (let seed = 1; seed <= 300; seed++) {
      const peer = new IpPeer({ seed });
      const [a] = identifications(peer, '10.0.0.9', 1, false);
      const [b] = identifications(peer, '10.0.0.10', 1, false);
      const [c] = identifications(peer, '10.0.0.9', 1, false, 1);
      firsts.add(a);
      gaps.push((b - a) & 0xffff, (c - a) & 0xffff);
    }
    expect(firsts.size).to.be.above(290);
    // Gaps between pairs are spread over all 16 bits: each quarter gets its share, give or take.
    const quarters = [0, 0, 0, 0];
    for (const gap of gaps) quarters[gap >> 14]++;
    for (const count of quarters) expect(count).to.be.within(105, 195);
  });
});
