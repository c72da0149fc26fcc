import { expect } from 'chai';
import fc from 'fast-check';
import { IpAddressCache } from '../../../lib/udp/address-cache.js';
import { Datagram } from '../../../lib/udp/datagram.js';
import { DATAGRAM_OVERHEAD, DatagramQueue } from '../../../lib/udp/datagram-queue.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPacket } from '../../../lib/wire/ip-packet.js';
import { pattern } from '../link/packets.js';

function packetOf(payload: Uint8Array, fields: Partial<IpPacket> = {}): IpPacket {
  const packet = new IpPacket();
  const memory = new Uint8Array(payload.length + 8);
  memory.set(payload, 8);
  packet.aim(memory, new DataView(memory.buffer), 0, memory.length);
  return Object.assign(packet, { s2: 0xffff, d2: 0xffff }, fields);
}

describe('DatagramQueue', () => {
  it('agrees with a list under random use, payloads, lent ones and all', () => {
    const operation = fc.record({
      kind: fc.constantFrom('push', 'push', 'push', 'shift', 'shift', 'release'),
      bytes: fc.oneof(fc.nat(300), fc.constantFrom(0, 512, 512, 1024, 1024, 2047, 2048, 9000)),
    });
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 150 }),
        fc.constantFrom(500, 5_000, 100_000),
        (operations, limit) => {
          const queue = new DatagramQueue(limit, new IpAddressCache());
          const datagram = new Datagram();
          const model: number[] = [];
          let lent = -1;
          let number = 0;
          const sizes: number[] = [];
          const held = () =>
            [...model, ...(lent >= 0 ? [lent] : [])].reduce(
              (sum, n) => sum + sizes[n] + DATAGRAM_OVERHEAD,
              0,
            );
          const checkLent = () => {
            if (lent >= 0) expect(datagram.payload).to.deep.equal(pattern(sizes[lent], lent));
          };
          for (const { kind, bytes } of operations) {
            if (kind === 'push') {
              const room = model.length === 0 || held() + bytes + DATAGRAM_OVERHEAD <= limit;
              expect(queue.hasRoom(bytes)).to.equal(room);
              if (room) {
                queue.push(
                  packetOf(pattern(bytes, number), {
                    s3: number,
                    hopLimit: number & 255,
                    nowUs: number + 0.5,
                  }),
                  8,
                  bytes,
                  number,
                );
                sizes[number] = bytes;
                model.push(number++);
              }
              checkLent();
            } else if (kind === 'shift') {
              checkLent();
              lent = model.shift() ?? -1;
              expect(queue.shift(datagram)).to.equal(lent >= 0);
              if (lent >= 0)
                expect(datagram).to.include({
                  destinationPort: lent,
                  nowUs: lent + 0.5,
                  hopLimit: lent & 255,
                  length: sizes[lent],
                });
              checkLent();
            } else {
              queue.release();
              lent = -1;
            }
            expect(queue.count).to.equal(model.length);
            expect(queue.bytes).to.equal(held());
            expect(queue.nextBytes).to.equal(model.length > 0 ? sizes[model[0]] : 0);
          }
          expect(queue.capacity).to.be.lessThan(4 * (limit + 9000) + 8192);
          queue.clear();
          expect(queue).to.include({ count: 0, bytes: 0, capacity: 0 });
        },
      ),
      { numRuns: 600 },
    );
  });

  it('keeps order and time while both rings wrap and grow', () => {
    const queue = new DatagramQueue(1 << 20, new IpAddressCache());
    const datagram = new Datagram();
    let pushed = 0;
    let taken = 0;
    const push = () => queue.push(packetOf(pattern(512, pushed), { nowUs: ++pushed }), 8, 512, 0);
    const take = () => {
      expect(queue.shift(datagram)).to.equal(true);
      expect(datagram.nowUs).to.equal(++taken);
      expect(datagram.payload).to.deep.equal(pattern(512, taken - 1));
    };
    // Payloads of a quarter of the first ring meet its ends exactly, wherever they wrap.
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 1 + ((round * 7) % 5); i++) push();
      for (let i = 0; i < 1 + ((round * 3) % 5) && queue.count > 0; i++) take();
    }
    for (let i = 0; i < 40; i++) push();
    while (queue.count > 0) take();
    expect(taken).to.equal(pushed);
  });

  it('keeps all that is known of a datagram, in either family', () => {
    const queue = new DatagramQueue(10_000, new IpAddressCache());
    const fields = { version: 6, s0: 1, s1: 2, s2: 3, s3: 4, d0: -1, d1: -2, d2: -3, d3: -4 } as const;
    queue.push(
      packetOf(pattern(3), { ...fields, trafficClass: 255, hopLimit: 254, link: 70_000, nowUs: 1.5 }),
      8,
      3,
      (65_535 << 16) | 65_534,
    );
    queue.push(packetOf(pattern(3), { version: 4, s3: 5, d3: 6 }), 8, 3, 0);
    const datagram = new Datagram();
    queue.shift(datagram);
    expect(datagram).to.include({
      trafficClass: 255,
      hopLimit: 254,
      link: 70_000,
      nowUs: 1.5,
      sourcePort: 65_535,
      destinationPort: 65_534,
    });
    expect(datagram.source.equals(IpAddress.v6(1, 2, 3, 4))).to.equal(true);
    expect(datagram.destination.equals(IpAddress.v6(-1, -2, -3, -4))).to.equal(true);
    queue.shift(datagram);
    expect(`${datagram.source} ${datagram.destination}`).to.equal('0.0.0.5 0.0.0.6');
  });

  it('gives the same object for the same address, and never another for a collision', () => {
    const cache = new IpAddressCache();
    const words = new Int32Array(4);
    const at = (w3: number, family: 4 | 6) => {
      words.set([0, 0, 0xffff, w3]);
      return cache.at(words, 0, family);
    };
    expect(at(1, 4)).to.equal(at(1, 4));
    for (let i = 0; i < 5000; i++) expect(at(i * 7919, 4).w3).to.equal((i * 7919) | 0);
    expect(at(9, 4).family).to.equal(4);
    expect(at(9, 6).family).to.equal(6);
  });
});
