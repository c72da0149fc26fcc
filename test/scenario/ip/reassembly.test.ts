/** Reassembly of both families: RFC 791, RFC 815, RFC 1858, RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 7112. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  fragmentHeader,
  icmp4,
  icmp6,
  optionsHeader,
  pattern,
  routingHeader,
  tcp,
  udp,
  type V4Fields,
  v4,
  v6,
} from '../../support/ip-wire.js';

const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];

interface Piece {
  offset: number;
  end: number;
  /** Whether more follow; by default what the whole says. */
  more?: boolean;
}

/** One fragment of a UDP datagram `whole` between the two hosts of the tests. */
function fragment(
  family: Family,
  whole: Uint8Array,
  piece: Piece,
  given: { id?: number; tos?: number; from?: string } = {},
): Uint8Array {
  const { offset, end } = piece;
  const more = piece.more ?? end < whole.length;
  const data = whole.subarray(offset, end);
  const id = given.id ?? 0x1234;
  if (family === 4) {
    return v4({
      payload: data,
      offset,
      more,
      id,
      tos: given.tos ?? 0,
      ...(given.from === undefined ? {} : { from: given.from }),
    });
  }
  return v6({
    next: 44,
    payload: bytesOf(fragmentHeader(17, offset, more, id), data),
    trafficClass: given.tos ?? 0,
    ...(given.from === undefined ? {} : { from: given.from }),
  });
}

const datagram = (family: Family, length: number): Uint8Array =>
  family === 4
    ? udp('10.0.0.2', '10.0.0.1', pattern(length))
    : udp('2001:db8::2', '2001:db8::1', pattern(length));

/** Cuts `whole` into pieces of `size` bytes. */
function cut(whole: Uint8Array, size: number): Piece[] {
  const pieces: Piece[] = [];
  for (let offset = 0; offset < whole.length; offset += size) {
    pieces.push({ offset, end: Math.min(offset + size, whole.length) });
  }
  return pieces;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) =>
    permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]),
  );
}

/** After this nothing of it is left. */
function isEmpty(peer: IpPeer): void {
  expect(peer.stats.ip.reasmBytes, 'memory').to.equal(0);
  expect(peer.ip.nextDeadlineUs, 'deadline').to.equal(Number.POSITIVE_INFINITY);
}

describe('reassembly: completing', () => {
  it('completes a datagram from up to six fragments in every order [FR4-2] [FR6-11]', () => {
    for (const family of FAMILIES) {
      for (let count = 2; count <= 6; count++) {
        const whole = datagram(family, count * 16 - 8 - 5);
        const orders = permutations(cut(whole, 16));
        expect(orders[0]).to.have.length(count);
        const peer = new IpPeer();
        for (const [i, order] of orders.entries()) {
          for (const piece of order) peer.receive(fragment(family, whole, piece, { id: i }));
        }
        expect(peer.udp.packets, `${count} fragments`).to.have.length(orders.length);
        for (const { payload } of peer.udp.packets) expect(payload).to.deep.equal(whole);
        isEmpty(peer);
      }
    }
  });

  it('completes it from any cut, in any order, with exact duplicates [FR4-2] [FR4-16] [FR6-11]', () => {
    const cutsOf = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.constantFrom(...FAMILIES),
        cutsOf,
        fc.integer(),
        fc.nat(7),
        (family, sizes, seed, tail) => {
          const total = sizes.reduce((sum, size) => sum + size * 8, 0) + tail + 1;
          const whole = datagram(family, total);
          const pieces: Piece[] = [];
          let offset = 0;
          for (const size of [...sizes, 100_000]) {
            if (offset >= whole.length) break;
            const end = Math.min(offset + Math.max(size * 8, offset === 0 ? 8 : 1), whole.length);
            pieces.push({ offset, end });
            offset = end;
          }
          const shuffled = [...pieces, ...pieces.slice(0, 3)].sort(
            (a, b) => ((a.offset * 31 + seed) % 97) - ((b.offset * 31 + seed) % 97),
          );
          const peer = new IpPeer();
          for (const piece of shuffled) {
            if (peer.udp.packets.length === 0) peer.receive(fragment(family, whole, piece));
          }
          expect(peer.udp.packets).to.have.length(1);
          expect(peer.udp.packets[0].payload).to.deep.equal(whole);
          expect(peer.udp.packets[0].checksum).to.equal(ChecksumState.Unknown);
          isEmpty(peer);
        },
      ),
      { numRuns: 120 },
    );
  });

  it('tells datagrams apart by source, destination, protocol and identification [FR4-1]', () => {
    const whole = datagram(4, 24);
    const first: V4Fields = { payload: whole.subarray(0, 16), more: true, id: 7 };
    const rest: V4Fields = { payload: whole.subarray(16), offset: 16, id: 7 };
    for (const other of [{ from: '10.0.0.3' }, { to: '10.0.0.5' }, { protocol: 99 }, { id: 8 }]) {
      const peer = new IpPeer({ addresses: ['10.0.0.1/24', '10.0.0.5/24'] });
      peer.receive(v4(first));
      peer.receive(v4({ ...rest, ...other }));
      expect(peer.udp.packets, JSON.stringify(other)).to.deep.equal([]);
      peer.receive(v4(rest));
      expect(peer.udp.packets[0].payload).to.deep.equal(whole);
    }
    // IPv4 does not ask which link it was.
    const peer = new IpPeer();
    peer.addPort('tun1', ['10.1.0.1/24']);
    peer.receive(v4(first), { link: 1 });
    peer.receive(v4(rest), { link: 2 });
    expect(peer.udp.packets).to.have.length(1);
  });

  it('tells IPv6 datagrams apart by source, destination and identification only [FR6-1]', () => {
    const whole = datagram(6, 24);
    const first = bytesOf(fragmentHeader(17, 0, true, 7), whole.subarray(0, 16));
    const rest = (next: number, id: number): Uint8Array =>
      bytesOf(fragmentHeader(next, 16, false, id), whole.subarray(16));
    for (const other of [{ from: '2001:db8::3' }, { to: '2001:db8::5' }]) {
      const peer = new IpPeer({ addresses: ['2001:db8::1/64', '2001:db8::5/64'] });
      peer.receive(v6({ next: 44, payload: first }));
      peer.receive(v6({ next: 44, payload: rest(17, 7), ...other }));
      peer.receive(v6({ next: 44, payload: rest(17, 8) }));
      expect(peer.udp.packets).to.deep.equal([]);
      // The Next Header of fragments behind the first does not count.
      peer.receive(v6({ next: 44, payload: rest(99, 7) }));
      expect(peer.udp.packets[0].payload).to.deep.equal(whole);
    }
  });

  it('puts together the largest datagrams there are [FR4-3] [E12]', () => {
    for (const [family, length] of [
      [4, 65_515 - 8],
      [6, 65_535 - 8],
    ] as const) {
      const peer = new IpPeer();
      const whole = datagram(family, length);
      for (const piece of cut(whole, 1480).reverse()) peer.receive(fragment(family, whole, piece));
      expect(peer.udp.packets[0]?.payload.length, `IPv${family}`).to.equal(length + 8);
      expect(Buffer.compare(peer.udp.packets[0].payload, whole)).to.equal(0);
      isEmpty(peer);
    }
  });

  it('takes header and options from the first fragment, whatever came first [FR4-11]', () => {
    const peer = new IpPeer();
    const whole = datagram(4, 40);
    let header: number[] = [];
    peer.udp.onPacket = (packet) => {
      header = [...packet.bytes.subarray(packet.at, packet.payloadAt)];
    };
    const options = [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0];
    peer.receive(
      v4({ payload: whole.subarray(24), offset: 24, id: 5, ttl: 9, tos: 0x20, options: [148, 4, 0, 0] }),
    );
    peer.receive(v4({ payload: whole.subarray(0, 24), more: true, id: 5, ttl: 33, tos: 0x40, options }));
    // Total length, flags and checksum are those of the whole.
    expect(header).to.deep.equal([
      ...v4({ payload: whole, id: 5, ttl: 33, tos: 0x40, options }).subarray(0, 32),
    ]);
    const [packet] = peer.udp.packets;
    expect([packet.hopLimit, packet.trafficClass, packet.payload.length]).to.deep.equal([33, 0x40, 48]);
  });

  it('keeps the headers before the Fragment header of the first fragment, and takes that one out [FR6-11] [FR6-13]', () => {
    const peer = new IpPeer();
    const whole = datagram(6, 40);
    let bytes: number[] = [];
    peer.udp.onPacket = (packet) => {
      bytes = [...packet.bytes.subarray(packet.at, packet.at + packet.length)];
    };
    const hop = optionsHeader(44, [5, 2, 0, 0]);
    const other = optionsHeader(44, [30, 4, 9, 9, 9, 9]);
    peer.receive(
      v6({
        next: 0,
        payload: bytesOf(other, fragmentHeader(17, 24, false, 5), whole.subarray(24)),
        hopLimit: 9,
      }),
    );
    peer.receive(
      v6({
        next: 0,
        payload: bytesOf(hop, fragmentHeader(17, 0, true, 5), whole.subarray(0, 24)),
        hopLimit: 33,
      }),
    );
    expect(bytes).to.deep.equal([
      ...v6({ next: 0, payload: bytesOf(optionsHeader(17, [5, 2, 0, 0]), whole), hopLimit: 33 }),
    ]);
    expect(peer.udp.packets[0].payload).to.deep.equal(whole);
  });

  it('merges ECN fields, and refuses what does not mix [FR4-12, FR6-14, ECN-11]', () => {
    const [notEct, ect1, ect0, ce] = [0, 1, 2, 3];
    const cases: [number[], number | 'drop'][] = [
      [[notEct, notEct], notEct],
      [[ect0, ect0], ect0],
      [[ect1, ect1], ect1],
      [[ce, ce], ce],
      [[ect0, ce], ce],
      [[ce, ect0], ce],
      [[ect1, ce], ce],
      [[ect0, ect1], ect0],
      [[ect1, ect0], ect1],
      [[notEct, ce], 'drop'],
      [[ce, notEct], 'drop'],
      [[notEct, ect0], 'drop'],
      [[ect1, notEct], 'drop'],
    ];
    for (const family of FAMILIES) {
      for (const [fields, expected] of cases) {
        const peer = new IpPeer();
        const whole = datagram(family, 24);
        for (const [i, piece] of cut(whole, 16).entries())
          peer.receive(fragment(family, whole, piece, { tos: 0x40 | fields[i] }));
        const got = peer.udp.packets[0]?.trafficClass;
        expect(got, `IPv${family} ${fields.join()}`).to.equal(
          expected === 'drop' ? undefined : 0x40 | expected,
        );
        if (expected === 'drop') expect(peer.lastDrop).to.equal(DropReason.FragmentEcn);
        isEmpty(peer);
      }
    }
  });
});

describe('reassembly: what is refused', () => {
  it('gives up a datagram whose fragments overlap, in every way there is [FR4-5] [FR6-4] [E19] [A15]', () => {
    const overlaps: Piece[][] = [
      [
        { offset: 0, end: 24 },
        { offset: 16, end: 48 },
      ],
      [
        { offset: 16, end: 40 },
        { offset: 0, end: 24 },
      ],
      [
        { offset: 0, end: 40 },
        { offset: 8, end: 16 },
      ], // inside
      [
        { offset: 8, end: 16 },
        { offset: 0, end: 40 },
      ],
      [
        { offset: 0, end: 24 },
        { offset: 0, end: 16 },
      ],
      [
        { offset: 24, end: 48, more: false },
        { offset: 40, end: 48, more: true },
      ],
      [
        { offset: 0, end: 24 },
        { offset: 16, end: 24, more: false },
      ], // teardrop
    ];
    for (const family of FAMILIES) {
      for (const pieces of overlaps) {
        const whole = datagram(family, 56);
        const peer = new IpPeer();
        for (const piece of pieces) peer.receive(fragment(family, whole, piece));
        expect(peer.lastDrop, JSON.stringify(pieces)).to.equal(DropReason.FragmentOverlap);
        expect(peer.sent()).to.deep.equal([]);
        if (family === 4) isEmpty(peer);
        // What comes later does not bring it back to life: these would fill the gaps of most of the cases.
        for (const piece of [
          { offset: 24, end: 40 },
          { offset: 40, end: 64 },
          { offset: 48, end: 64 },
        ]) {
          peer.receive(fragment(family, whole, piece));
        }
        expect(peer.udp.packets, JSON.stringify(pieces)).to.deep.equal([]);
      }
    }
  });

  it('discards the fragments of an abandoned IPv6 datagram until its time is up [FR6-4]', () => {
    const peer = new IpPeer();
    const whole = datagram(6, 56);
    peer.receive(fragment(6, whole, { offset: 0, end: 24 }));
    peer.receive(fragment(6, whole, { offset: 16, end: 40 }));
    for (const piece of cut(whole, 16)) peer.receive(fragment(6, whole, piece));
    expect(peer.udp.packets).to.deep.equal([]);
    peer.advanceMs(60_000);
    expect(peer.sent()).to.deep.equal([]);
    isEmpty(peer);
    for (const piece of cut(whole, 16)) peer.receive(fragment(6, whole, piece));
    expect(peer.udp.packets).to.have.length(1);
  });

  it('does not count exact duplicates as overlaps [FR4-5] [FR6-4]', () => {
    for (const family of FAMILIES) {
      const peer = new IpPeer();
      const whole = datagram(family, 40);
      for (const piece of cut(whole, 16)) {
        peer.receive(fragment(family, whole, piece));
        if (peer.udp.packets.length === 0) peer.receive(fragment(family, whole, piece));
      }
      expect(peer.udp.packets[0].payload).to.deep.equal(whole);
      expect(peer.stats.drops.count(DropReason.FragmentDuplicate)).to.equal(2);
    }
  });

  it('discards a fragment that is not the last and no multiple of eight [FR4-6]', () => {
    for (let length = 17; length < 24; length++) {
      const peer = new IpPeer();
      peer.receive(v4({ payload: pattern(length), more: true }));
      expect(peer.lastDrop).to.equal(DropReason.FragmentSize);
      expect(peer.sent()).to.deep.equal([]);
      isEmpty(peer);
    }
  });

  it('discards what would end beyond 65,535 bytes [FR4-7] [E19]', () => {
    const peer = new IpPeer();
    const whole = datagram(4, 100);
    peer.receive(fragment(4, whole, { offset: 0, end: 48 }));
    peer.receive(v4({ payload: pattern(48), offset: 65_528, id: 0x1234 }));
    expect(peer.lastDrop).to.equal(DropReason.FragmentSize);
    isEmpty(peer); // the whole datagram is gone
    // The payload fits, header and payload together do not.
    const long = pattern(65_520);
    for (const piece of cut(long, 1480))
      peer.receive(
        v4({
          payload: long.subarray(piece.offset, piece.end),
          offset: piece.offset,
          more: piece.end < long.length,
        }),
      );
    expect(peer.udp.packets).to.deep.equal([]);
    expect(peer.lastDrop).to.equal(DropReason.FragmentSize);
    isEmpty(peer);
  });

  it('discards a datagram with two ends, or data behind its end [FR4-8] [E19]', () => {
    for (const family of FAMILIES) {
      const contradictions: Piece[][] = [
        [
          { offset: 16, end: 32, more: false },
          { offset: 32, end: 48, more: false },
        ],
        [
          { offset: 32, end: 48, more: false },
          { offset: 16, end: 32, more: false },
        ],
        [
          { offset: 16, end: 32, more: false },
          { offset: 40, end: 48, more: true },
        ],
        [
          { offset: 40, end: 48, more: true },
          { offset: 16, end: 32, more: false },
        ],
      ];
      for (const pieces of contradictions) {
        const peer = new IpPeer();
        const whole = datagram(family, 56);
        for (const piece of pieces) peer.receive(fragment(family, whole, piece));
        expect(peer.lastDrop, JSON.stringify(pieces)).to.equal(DropReason.FragmentSize);
        peer.receive(fragment(family, whole, { offset: 0, end: 16 }));
        expect(peer.udp.packets).to.deep.equal([]);
      }
    }
  });

  it('discards fragments without a byte [FR4-9] [E19]', () => {
    for (const family of FAMILIES) {
      const peer = new IpPeer();
      const whole = datagram(family, 24);
      peer.receive(fragment(family, whole, { offset: 16, end: 16, more: true }));
      peer.receive(fragment(family, whole, { offset: 16, end: 16, more: false }));
      expect(peer.stats.drops.count(DropReason.FragmentSize)).to.equal(2);
      isEmpty(peer);
    }
  });

  it('discards tiny first fragments, and second ones within the TCP header [FR4-10] [E19]', () => {
    const segment = tcp('10.0.0.2', '10.0.0.1', pattern(40));
    for (const length of [8, 16]) {
      const peer = new IpPeer();
      peer.receive(v4({ protocol: 6, payload: segment.subarray(0, length), more: true }));
      expect(peer.lastDrop, `${length} bytes`).to.equal(DropReason.FragmentTiny);
      isEmpty(peer);
    }
    const peer = new IpPeer();
    peer.receive(v4({ protocol: 6, payload: segment.subarray(0, 24), more: true }));
    peer.receive(v4({ protocol: 6, payload: segment.subarray(8, 32), offset: 8 }));
    expect(peer.lastDrop).to.equal(DropReason.FragmentTiny);
    peer.receive(v4({ protocol: 6, payload: segment.subarray(24), offset: 24 }));
    expect(peer.tcp.packets[0].payload).to.deep.equal(segment);
  });

  it('keeps nothing of fragments for others [FR4-17]', () => {
    const peer = new IpPeer();
    peer.receive(v4({ to: '10.0.0.7', payload: pattern(16), more: true }));
    peer.receive(
      v6({ to: '2001:db8::7', next: 44, payload: bytesOf(fragmentHeader(17, 0, true, 1), pattern(16)) }),
    );
    expect(peer.stats.ip.reasmReqds).to.equal(0);
    isEmpty(peer);
  });
});

describe('reassembly: IPv6 only', () => {
  const first = (extra: number): number[] => [...fragmentHeader(17, 0, true, 9), ...pattern(extra)];

  it('reports fragments that are not the last and no multiple of eight [FR6-2]', () => {
    const peer = new IpPeer();
    const packet = v6({ next: 44, payload: first(21) });
    peer.receive(packet);
    const [error] = peer.sentIcmp();
    expect([error.type, error.code, error.word]).to.deep.equal([4, 0, 4]);
    expect(error.data).to.deep.equal(packet);
    isEmpty(peer);
    // It is that fragment which goes, not the datagram.
    const whole = datagram(6, 24);
    const [a, b] = cut(whole, 16);
    peer.receive(fragment(6, whole, a));
    peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(17, 16, true, 0x1234), pattern(9)) }));
    peer.receive(fragment(6, whole, b));
    expect(peer.udp.packets).to.have.length(1);
  });

  it('reports fragments that end beyond 65,535 bytes [FR6-3] [E19]', () => {
    const peer = new IpPeer();
    peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(17, 65_528, false, 9), pattern(8)) }));
    const [error] = peer.sentIcmp();
    expect([error.type, error.code, error.word]).to.deep.equal([4, 0, 42]);
    // Headers before the Fragment header count too.
    const hop = optionsHeader(44, [5, 2, 0, 0]);
    peer.receive(v6({ next: 0, payload: bytesOf(hop, fragmentHeader(17, 65_520, false, 9), pattern(8)) }));
    expect(peer.sentIcmp()[0].word).to.equal(50);
    peer.receive(v6({ next: 0, payload: bytesOf(hop, fragmentHeader(17, 65_512, false, 9), pattern(15)) }));
    expect(peer.sentIcmp()).to.deep.equal([]);
    isEmptySoon(peer);
  });

  it('processes atomic fragments at once and apart from all others [FR6-6] [E19]', () => {
    const peer = new IpPeer();
    const whole = datagram(6, 40);
    const [a, b] = cut(whole, 24);
    const atomic = v6({ next: 44, payload: bytesOf(fragmentHeader(17, 0, false, 0x1234), whole) });
    peer.receive(fragment(6, whole, a));
    peer.receive(atomic);
    expect(peer.udp.packets, 'at once').to.have.length(1);
    peer.receive(fragment(6, whole, b));
    expect(peer.udp.packets, 'the others are untouched').to.have.length(2);
    for (const { payload } of peer.udp.packets) expect(payload).to.deep.equal(whole);
    expect(peer.stats.ip.reasmReqds).to.equal(2);
    isEmpty(peer);
  });

  it('wants all headers, up to and with the transport header, in the first fragment [FR6-7]', () => {
    const whole = udp('2001:db8::2', '2001:db8::1', pattern(40));
    const segment = tcp('2001:db8::2', '2001:db8::1', pattern(40));
    const options = optionsHeader(17, [30, 12, ...new Array<number>(12).fill(0)]);
    const incomplete = [
      bytesOf(fragmentHeader(60, 0, true, 9), options.slice(0, 8)),
      bytesOf(fragmentHeader(60, 0, true, 9), options),
      bytesOf(fragmentHeader(6, 0, true, 9), segment.subarray(0, 16)),
      bytesOf(fragmentHeader(43, 0, true, 9), routingHeader(6, 4, 0), segment.subarray(0, 16)),
    ];
    for (const payload of incomplete) {
      const peer = new IpPeer();
      peer.receive(v6({ next: 44, payload }));
      const [error] = peer.sentIcmp();
      expect([error.type, error.code, error.word]).to.deep.equal([4, 3, 0]);
      expect(peer.lastDrop).to.equal(DropReason.FragmentHeaderChain);
      isEmpty(peer);
    }
    const peer = new IpPeer();
    const all = bytesOf(options, whole);
    peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(60, 0, true, 9), all.subarray(0, 24)) }));
    peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(60, 24, false, 9), all.subarray(24)) }));
    expect(peer.udp.packets[0].payload).to.deep.equal(whole);
  });

  it('drops Fragment headers within what was fragmented, however deep [FR6-12]', () => {
    const whole = datagram(6, 40);
    const peer = new IpPeer();
    // A fragment header behind a fragment header, in one packet.
    for (const offset of [0, 8]) {
      peer.receive(
        v6({
          next: 44,
          payload: bytesOf(
            fragmentHeader(44, 0, false, 1),
            fragmentHeader(17, offset, offset === 0, 2),
            whole,
          ),
        }),
      );
    }
    expect(peer.stats.drops.count(DropReason.IpNested)).to.equal(2);
    // A fragmented packet whose content is a fragment, atomic or not.
    for (const [i, inner] of [
      fragmentHeader(17, 0, false, 5),
      fragmentHeader(17, 0, true, 5),
      fragmentHeader(44, 0, false, 5),
    ].entries()) {
      const content = bytesOf(inner, whole);
      peer.receive(
        v6({ next: 44, payload: bytesOf(fragmentHeader(44, 0, true, 10 + i), content.subarray(0, 32)) }),
      );
      peer.receive(
        v6({ next: 44, payload: bytesOf(fragmentHeader(44, 32, false, 10 + i), content.subarray(32)) }),
      );
      expect(peer.lastDrop).to.equal(DropReason.IpNested);
    }
    expect(peer.udp.packets).to.deep.equal([]);
    isEmpty(peer);
  });

  it('only cuts up what it sends itself [FR6-10]', () => {
    const peer = new IpPeer();
    peer.addPort('tun1', ['2001:db8:1::1/64'], { mtu: 1280 });
    peer.receive(v6({ to: '2001:db8:1::7', payload: udp('2001:db8::2', '2001:db8:1::7', pattern(1400)) }));
    expect(peer.sent(peer.ports[2])).to.deep.equal([]);
    const path = peer.resolve('2001:db8:1::7');
    path.dontFragment = false;
    peer.send(path, udp('2001:db8:1::1', '2001:db8:1::7', pattern(1400)), 6);
    expect(peer.sent(peer.ports[2])).to.have.length(2);
  });

  it('ignores neighbour discovery in fragments [FR6-16]', () => {
    const peer = new IpPeer();
    const solicitation = icmp6(
      ['fe80::2', '2001:db8::1'],
      135,
      0,
      0,
      bytesOf([0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), 1]),
    );
    const packet = (fragmented: boolean): Uint8Array =>
      v6({
        from: 'fe80::2',
        hopLimit: 255,
        next: fragmented ? 44 : 58,
        payload: fragmented ? bytesOf(fragmentHeader(58, 0, false, 1), solicitation) : solicitation,
      });
    peer.receive(packet(false));
    expect(peer.lastDrop, 'of no use here').to.equal(DropReason.IcmpIgnored);
    peer.receive(packet(true));
    expect(peer.lastDrop, 'not even looked at').to.equal(DropReason.IcmpHeader);
    const parts = [
      bytesOf(fragmentHeader(58, 0, true, 2), solicitation.subarray(0, 16)),
      bytesOf(fragmentHeader(58, 16, false, 2), solicitation.subarray(16)),
    ];
    for (const payload of parts) peer.receive(v6({ from: 'fe80::2', hopLimit: 255, next: 44, payload }));
    expect(peer.lastDrop).to.equal(DropReason.IcmpHeader);
    expect(peer.stats.drops.count(DropReason.IcmpHeader)).to.equal(2);
    expect(peer.sent()).to.deep.equal([]);
  });
});

/** Nothing is left once every datagram has run out of time. */
function isEmptySoon(peer: IpPeer): void {
  peer.advanceMs(60_000);
  peer.sent();
  isEmpty(peer);
}

describe('reassembly: time', () => {
  it('gives up after 30 s (IPv4) or 60 s (IPv6), and says so if it has the first fragment [FR4-4] [FR6-5]', () => {
    for (const [family, seconds, type] of [
      [4, 30, 11],
      [6, 60, 3],
    ] as const) {
      const peer = new IpPeer();
      const whole = datagram(family, 56);
      const packet = fragment(family, whole, { offset: 0, end: 24 });
      peer.receive(packet);
      peer.advanceMs(seconds * 1000 - 1000);
      // A later fragment does not prolong it.
      peer.receive(fragment(family, whole, { offset: 24, end: 32 }));
      peer.advanceMs(999);
      expect(peer.sent()).to.deep.equal([]);
      peer.advanceMs(1);
      const [error] = peer.sentIcmp();
      expect([error.type, error.code], `IPv${family}`).to.deep.equal([type, 1]);
      expect(error.data, 'quotes the first fragment as it came').to.deep.equal(packet);
      expect(peer.stats.ip.reasmTimeout).to.equal(1);
      isEmpty(peer);
    }
  });

  it('says nothing of datagrams whose first fragment never came [FR4-4] [FR4-18] [FR6-5]', () => {
    for (const family of FAMILIES) {
      const peer = new IpPeer();
      const whole = datagram(family, 56);
      peer.receive(fragment(family, whole, { offset: 24, end: 64 }));
      peer.advanceMs(60_000);
      expect(peer.sent()).to.deep.equal([]);
      expect(peer.lastDrop).to.equal(DropReason.FragmentTimeout);
      isEmpty(peer);
    }
  });

  it('answers no fragment behind the first with an ICMP error [FR4-18]', () => {
    const peer = new IpPeer();
    peer.receive(v4({ protocol: 99, payload: pattern(24), offset: 24, id: 1 }));
    peer.receive(v4({ protocol: 99, payload: pattern(24), offset: 48, options: [30, 0, 0, 0] }));
    expect(peer.sent()).to.deep.equal([]);
    // The whole of an unknown protocol is answered as a whole.
    peer.receive(v4({ protocol: 99, payload: pattern(24), more: true }));
    expect(peer.sentIcmp()).to.deep.equal([]);
    peer.receive(v4({ protocol: 99, payload: pattern(24), offset: 24, more: false }));
    peer.receive(v4({ protocol: 98, payload: pattern(24), more: true }));
    peer.receive(v4({ protocol: 98, payload: pattern(24), offset: 24 }));
    expect(peer.sentIcmp().map(({ type, code }) => [type, code])).to.deep.equal([
      [3, 2],
      [3, 2],
    ]);
  });

  it('answers echo requests that came in fragments', () => {
    const peer = new IpPeer();
    const message = icmp4(8, 0, 5, pattern(100));
    peer.receive(v4({ protocol: 1, payload: message.subarray(48), offset: 48 }));
    peer.receive(v4({ protocol: 1, payload: message.subarray(0, 48), more: true }));
    expect(peer.sentIcmp()[0].data).to.deep.equal(pattern(100));
  });
});

describe('reassembly: limits', () => {
  const high = 64 << 10;
  const low = 48 << 10;
  const limits = { options: { reassemblyHighBytes: high, reassemblyLowBytes: low, reassemblyDistance: 0 } };

  it('lets the oldest go above the high watermark until the low one is reached [FR4-13] [FR6-15]', () => {
    for (const family of FAMILIES) {
      const peer = new IpPeer(limits);
      const whole = datagram(family, 4000);
      let most = 0;
      for (let id = 0; id < 200; id++) {
        const from =
          family === 4 ? `10.0.${1 + (id >> 7)}.${1 + (id & 127)}` : `2001:db8:1::${(id + 1).toString(16)}`;
        peer.receive(fragment(family, whole, { offset: 0, end: 1400 }, { id, from }));
        most = Math.max(most, peer.stats.ip.reasmBytes);
        expect(peer.stats.ip.reasmBytes).to.be.at.most(high);
        peer.advanceMs(10);
      }
      expect(most).to.be.above(low);
      const evicted = peer.stats.drops.count(DropReason.FragmentLimit);
      expect(evicted).to.be.above(100);
      // The youngest are still there, the oldest are not.
      for (const [id, alive] of [
        [199, true],
        [0, false],
      ] as const) {
        const from =
          family === 4 ? `10.0.${1 + (id >> 7)}.${1 + (id & 127)}` : `2001:db8:1::${(id + 1).toString(16)}`;
        peer.receive(fragment(family, whole, { offset: 1400, end: whole.length }, { id, from }));
        expect(
          peer.udp.packets.some((packet) => packet.from === from),
          `datagram ${id}`,
        ).to.equal(alive);
      }
      isEmptySoon(peer);
    }
  });

  it('evicts exactly when the limit is passed, at limit - 1, limit, limit + 1 [FR4-13]', () => {
    const whole = datagram(4, 4000);
    const probe = new IpPeer();
    probe.receive(fragment(4, whole, { offset: 0, end: 800 }, { id: 1 }));
    const one = probe.stats.ip.reasmBytes;
    for (const [limit, evicted] of [
      [2 * one - 1, 1],
      [2 * one, 0],
      [2 * one + 1, 0],
    ] as const) {
      const peer = new IpPeer({ options: { reassemblyHighBytes: limit, reassemblyLowBytes: one } });
      peer.receive(fragment(4, whole, { offset: 0, end: 800 }, { id: 1 }));
      peer.receive(fragment(4, whole, { offset: 0, end: 800 }, { id: 2 }));
      expect(peer.stats.drops.count(DropReason.FragmentLimit), `limit ${limit}`).to.equal(evicted);
    }
    const peer = new IpPeer({ options: { reassemblyDatagrams: 3, reassemblyDistance: 0 } });
    for (let id = 0; id < 10; id++) peer.receive(fragment(4, whole, { offset: 0, end: 800 }, { id }));
    expect(peer.stats.drops.count(DropReason.FragmentLimit)).to.equal(7);
  });

  it('gives up a datagram when 64 other fragments of its source came between [FR4-13]', () => {
    for (const [between, completes] of [
      [63, true],
      [64, false],
    ] as const) {
      const peer = new IpPeer();
      const whole = datagram(4, 24);
      const [a, b] = cut(whole, 16);
      peer.receive(fragment(4, whole, a, { id: 1 }));
      for (let i = 0; i < between; i++) {
        peer.receive(fragment(4, whole, a, { id: 100 + i }));
        // Other hosts do not count.
        peer.receive(fragment(4, whole, a, { id: 100 + i, from: '10.0.0.77' }));
      }
      peer.receive(fragment(4, whole, b, { id: 1 }));
      expect(peer.udp.packets.length, `${between} between`).to.equal(completes ? 1 : 0);
      expect(peer.stats.drops.count(DropReason.FragmentDistance)).to.equal(completes ? 0 : 1);
    }
  });

  it('spends no more on a fragment for how many there are [FR4-14]', () => {
    /** Processor time, ms, for the fragments of one datagram of the smallest pieces, sent backwards. */
    const cost = (count: number): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let run = 0; run < 5; run++) {
        const peer = new IpPeer();
        const whole = pattern(count * 8);
        const packets = cut(whole, 8)
          .reverse()
          .map((piece) =>
            v4({
              protocol: 17,
              payload: whole.subarray(piece.offset, piece.end),
              offset: piece.offset,
              more: true,
            }),
          );
        const start = process.cpuUsage();
        for (const packet of packets) peer.receive(packet);
        best = Math.min(best, process.cpuUsage(start).user / 1000);
      }
      return best;
    };
    cost(1000);
    const [small, large] = [cost(1000), cost(8000)];
    // Eight times the fragments, eight times the work, with room for noise; squared it would be 64.
    expect(large / Math.max(small, 0.5)).to.be.below(24);
  });
});
