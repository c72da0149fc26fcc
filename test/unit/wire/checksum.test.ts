import { expect } from 'chai';
import fc from 'fast-check';
import {
  addressSum,
  finishChecksum,
  foldSum,
  packetChecksumHolds,
  packetPseudoSum,
  pseudoSum,
  sumBytes,
  updateChecksum16,
  updateChecksum32,
} from '../../../lib/wire/checksum.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPacket } from '../../../lib/wire/ip-packet.js';

/** RFC 1071 word for word, with integers that cannot overflow. */
function naiveChecksum(bytes: Uint8Array, start = 0n): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += BigInt((bytes[i] << 8) | (i + 1 < bytes.length ? bytes[i + 1] : 0));
  }
  while (sum >> 16n !== 0n) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(~sum & 0xffffn);
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe('checksum', () => {
  it('sums the example of RFC 1071 §3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(foldSum(sumBytes(viewOf(bytes), 0, 8))).to.equal(0xddf2);
    expect(finishChecksum(sumBytes(viewOf(bytes), 0, 8))).to.equal(0x220d);
  });

  it('equals the naive sum for any bytes, length and place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), (bytes, at) => {
        const room = new Uint8Array(at + bytes.length + 3).fill(0xee);
        room.set(bytes, at);
        expect(finishChecksum(sumBytes(viewOf(room), at, bytes.length))).to.equal(naiveChecksum(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('holds at 65,535 bytes, at odd lengths, for all ones and all zeros [E12]', () => {
    for (const fill of [0x00, 0x01, 0x80, 0xff]) {
      for (const length of [0, 1, 2, 3, 31, 32, 33, 63, 1459, 1460, 65_533, 65_534, 65_535]) {
        const bytes = new Uint8Array(length).fill(fill);
        expect(finishChecksum(sumBytes(viewOf(bytes), 0, length)), `${length} × ${fill}`).to.equal(
          naiveChecksum(bytes),
        );
      }
    }
    // Each of the two representations of zero verifies: a field of 0x0000 over a sum of 0xffff, and 0xffff over 0.
    const plusZero = Uint8Array.of(0xff, 0xff, 0x00, 0x00);
    expect(finishChecksum(sumBytes(viewOf(plusZero), 0, 4))).to.equal(0);
    const minusZero = Uint8Array.of(0x00, 0x00, 0xff, 0xff);
    expect(finishChecksum(sumBytes(viewOf(minusZero), 0, 4))).to.equal(0);
  });

  it('chains sums over pieces of even length', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (pieces) => {
        const even = pieces.map((piece, i) =>
          i === pieces.length - 1 ? piece : piece.subarray(0, piece.length & ~1),
        );
        const whole = Uint8Array.from(even.flatMap((piece) => [...piece]));
        let sum = 0;
        for (const piece of even) sum = sumBytes(viewOf(piece), 0, piece.length, sum);
        expect(finishChecksum(sum)).to.equal(naiveChecksum(whole));
      }),
    );
  });

  it('sums pseudo-headers of both families', () => {
    const v4 = [IpAddress.parse('192.0.2.1'), IpAddress.parse('203.0.113.255')] as const;
    const v6 = [IpAddress.parse('2001:db8::ffff:1'), IpAddress.parse('fe80::1234:5678:9abc:def0')] as const;
    for (const [source, destination] of [v4, v6]) {
      const bytes = source.family === 4 ? 4 : 16;
      const header = new Uint8Array(2 * bytes + 8);
      const view = viewOf(header);
      source.write(view, 0);
      destination.write(view, bytes);
      view.setUint16(2 * bytes + 2, 17);
      view.setUint32(2 * bytes + 4, 65_000);
      expect(finishChecksum(pseudoSum(source, destination, 17, 65_000))).to.equal(naiveChecksum(header));
      expect(addressSum(source, destination) + 17 + 65_000).to.equal(
        pseudoSum(source, destination, 17, 65_000),
      );

      const packet = new IpPacket();
      packet.version = source.family;
      Object.assign(packet, { s0: source.w0, s1: source.w1, s2: source.w2, s3: source.w3 });
      Object.assign(packet, {
        d0: destination.w0,
        d1: destination.w1,
        d2: destination.w2,
        d3: destination.w3,
      });
      expect(foldSum(packetPseudoSum(packet, 17, 65_000))).to.equal(
        foldSum(pseudoSum(source, destination, 17, 65_000)),
      );

      packet.protocol = 17;
      const message = new Uint8Array(41).map((_, i) => i * 37);
      message[6] = 0;
      message[7] = 0;
      const sum = sumBytes(viewOf(message), 0, 41, pseudoSum(source, destination, 17, 41));
      viewOf(message).setUint16(6, finishChecksum(sum));
      packet.aim(message, viewOf(message), 0, 41);
      expect(packetChecksumHolds(packet, 41)).to.equal(true);
      message[40] ^= 0x10;
      expect(packetChecksumHolds(packet, 41)).to.equal(false);
    }
  });

  it('updates a checksum as if it were computed anew, at 0x0000 and 0xffff too (RFC 1624) [E12]', () => {
    const word = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 0xfffe, 0xffff));
    fc.assert(
      fc.property(fc.array(word, { minLength: 3, maxLength: 12 }), word, word, (words, high, low) => {
        const bytes = new Uint8Array(words.length * 2);
        const view = viewOf(bytes);
        words.forEach((value, i) => view.setUint16(2 * i, value));
        view.setUint16(4, 0x4500); // a header is never all zeros
        const before = finishChecksum(sumBytes(view, 0, bytes.length));
        const beforeWord = view.getInt32(0);
        view.setUint16(0, high);
        const expected16 = finishChecksum(sumBytes(view, 0, bytes.length));
        expect(updateChecksum16(before, words[0], high)).to.equal(expected16);
        view.setUint16(2, low);
        expect(updateChecksum32(before, beforeWord, view.getInt32(0))).to.equal(
          finishChecksum(sumBytes(view, 0, bytes.length)),
        );
      }),
      { numRuns: 3000 },
    );
    // RFC 1624 §4: 0x5555 changes to 0x3285 under a checksum of 0xdd2f, and the result is 0x0000.
    expect(updateChecksum16(0xdd2f, 0x5555, 0x3285)).to.equal(0x0000);
  });
});
