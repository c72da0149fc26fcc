import { expect } from 'chai';
import fc from 'fast-check';
import { type Framing, PacketFramer, prefixBytes, writePrefix } from '../../../lib/link/packet-framer.js';
import { makePacket, pattern } from './packets.js';

/** What is found in a stream that comes in these pieces. */
function found(
  framing: Framing,
  pieces: readonly Uint8Array[],
): { packets: Uint8Array[]; framer: PacketFramer } {
  const framer = new PacketFramer(framing);
  const packets: Uint8Array[] = [];
  for (const piece of pieces) {
    framer.push(piece);
    while (framer.next()) packets.push(framer.bytes.slice(framer.at, framer.at + framer.length));
  }
  return { packets, framer };
}

function framed(framing: Framing, packets: readonly Uint8Array[]): Uint8Array {
  const prefix = prefixBytes(framing);
  const parts = packets.map((packet) => {
    const bytes = new Uint8Array(prefix + packet.length);
    writePrefix(framing, new DataView(bytes.buffer), 0, packet.length);
    bytes.set(packet, prefix);
    return bytes;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function inPieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const PACKETS = [
  makePacket({ payload: pattern(3) }),
  makePacket({ version: 6, payload: pattern(100) }),
  makePacket({ version: 6, protocol: 17, payload: '' }),
  makePacket({ protocol: 17, payload: '' }),
  makePacket({ payload: pattern(1400) }),
];

describe('PacketFramer', () => {
  for (const framing of ['ip', 'length16', 'length32'] as const) {
    const stream = framed(framing, PACKETS);

    it(`finds packets wherever the pieces of the stream end (${framing})`, () => {
      for (let cut = 0; cut <= stream.length; cut++) {
        const { packets, framer } = found(framing, inPieces(stream, [cut]));
        expect(packets, `cut at ${cut}`).to.deep.equal(PACKETS);
        expect(framer.isWithinPacket).to.equal(false);
      }
    });

    it(`finds them in pieces of a few bytes, and of any number (${framing})`, () => {
      for (const size of [1, 2, 3, 7]) {
        const cuts = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => i * size);
        expect(found(framing, inPieces(stream, cuts)).packets).to.deep.equal(PACKETS);
      }
      fc.assert(
        fc.property(fc.array(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
          expect(found(framing, inPieces(stream, cuts)).packets).to.deep.equal(PACKETS);
        }),
      );
    });

    it(`knows when the stream ends within a packet (${framing})`, () => {
      const { packets, framer } = found(framing, [stream.subarray(0, stream.length - 1)]);
      expect(packets).to.deep.equal(PACKETS.slice(0, -1));
      expect(framer.isWithinPacket).to.equal(true);
      expect(framer.problem).to.equal('');
    });

    it(`takes packets of the largest size (${framing})`, () => {
      const largest = new Uint8Array(65_535).fill(1);
      largest.set([0x45, 0, 0xff, 0xff]);
      const bytes = framed(framing, [PACKETS[0], largest, PACKETS[0]]);
      const { packets } = found(framing, inPieces(bytes, [50, 60, 3000, 50_000]));
      expect(packets.map(({ length }) => length)).to.deep.equal([43, 65_535, 43]);
      expect(packets[1]).to.deep.equal(largest);
    });
  }

  it('reports what cannot be a packet, and where, and finds nothing behind it', () => {
    const jumbogram = new Uint8Array(48);
    jumbogram[0] = 0x60;
    const cases: [Framing, Uint8Array, RegExp][] = [
      ['ip', Uint8Array.from([0x55, 0, 0, 0, 0, 0, 0, 0]), /IP version 5/],
      ['ip', new Uint8Array(100), /IP version 0/],
      ['ip', Uint8Array.from([0x44, 0, 0, 40, 0, 0, 0, 0]), /IPv4 header of 16 bytes/],
      ['ip', Uint8Array.from([0x46, 0, 0, 20, 0, 0, 0, 0]), /IPv4 packet of 20 bytes/],
      ['ip', Uint8Array.from([0x60, 0, 0, 0, 0xff, 0xff, 6, 0]), /IPv6 packet of 65575 bytes/],
      ['ip', jumbogram, /jumbogram/],
      ['length16', Uint8Array.from([0, 0, 1]), /packet of 0 bytes/],
      ['length32', Uint8Array.from([0, 1, 0, 0]), /packet of 65536 bytes/],
      ['length32', Uint8Array.from([0xff, 0xff, 0xff, 0xff]), /packet of 4294967295 bytes/],
    ];
    for (const [framing, bytes, expected] of cases) {
      const before = framed(framing, [PACKETS[0]]);
      const stream = Uint8Array.from([...before, ...bytes, ...before]);
      for (const cut of [0, before.length - 1, before.length + 1, before.length + 4]) {
        const { packets, framer } = found(framing, inPieces(stream, [cut]));
        expect(packets, `${expected}, cut at ${cut}`).to.deep.equal([PACKETS[0]]);
        expect(framer.problem).to.match(expected);
        expect(framer.problem).to.contain(`at byte ${before.length} of the stream`);
      }
    }
  });

  it('never throws, loops or finds more than came, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Framing>('ip', 'length16', 'length32'),
        fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 10 }),
        (framing, pieces) => {
          const { packets } = found(framing, pieces);
          const total = pieces.reduce((sum, { length }) => sum + length, 0);
          expect(packets.reduce((sum, { length }) => sum + length, 0)).to.be.at.most(total);
        },
      ),
    );
  });
});
