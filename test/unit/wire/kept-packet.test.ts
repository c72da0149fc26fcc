import { expect } from 'chai';
import { IpPacket } from '../../../lib/wire/ip-packet.js';
import { keepPacket, PacketShelf } from '../../../lib/wire/kept-packet.js';

/** A packet of `length` bytes, 20 of them a header, that lies somewhere in memory which is used again. */
function packetOf(fill: number, length: number): IpPacket {
  const bytes = new Uint8Array(length + 11).fill(fill, 7, 7 + length);
  const packet = new IpPacket();
  packet.aim(bytes, new DataView(bytes.buffer), 7, length);
  packet.version = 4;
  packet.link = 3;
  packet.d3 = 0x0a00_0001 | 0;
  packet.payloadAt = packet.at + 20;
  packet.payloadBytes = length - 20;
  return packet;
}

const contentOf = ({ bytes, at, length }: IpPacket): Uint8Array => bytes.slice(at, at + length);

describe('packets that are kept', () => {
  for (const [name, keeping] of [
    ['in memory of their own', () => keepPacket],
    [
      'on a shelf',
      () => {
        const shelf = new PacketShelf();
        return (packet: IpPacket, most: number) => shelf.keep(packet, most);
      },
    ],
  ] as const) {
    it(`stay as they were, ${name}`, () => {
      const keep = keeping();
      const lengths = Array.from({ length: 400 }, (_, i) => 20 + ((i * 37) % 1300));
      const kept = lengths.map((length, i) => {
        const packet = packetOf(i, length);
        const copy = keep(packet, 1232);
        packet.bytes.fill(0xff);
        return copy;
      });
      for (const [i, copy] of kept.entries()) {
        const length = Math.min(lengths[i], 1232);
        expect(contentOf(copy)).to.deep.equal(new Uint8Array(length).fill(i));
        expect(copy.view.getUint8(copy.at)).to.equal(i & 0xff);
        expect([copy.length, copy.payloadAt - copy.at, copy.payloadBytes]).to.deep.equal([
          length,
          20,
          length - 20,
        ]);
        expect([copy.version, copy.link, copy.d3]).to.deep.equal([4, 3, 0x0a00_0001]);
      }
    });
  }
});
