import { expect } from 'chai';
import fc from 'fast-check';
import { Coalescer } from '../../../lib/link/coalescer.js';
import { Segmenter } from '../../../lib/link/gso.js';
import { PacketBatch } from '../../../lib/link/packet-batch.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { isIntact, makePacket, type PacketFields, pattern } from './packets.js';

const TIMESTAMPS = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

function batchOf(...packets: Uint8Array[]): PacketBatch {
  const batch = new PacketBatch(Math.max(64, packets.length));
  for (const packet of packets) batch.appendPacket(packet);
  return batch;
}

function superPacket(
  packet: Uint8Array,
  segmentSize: number,
  state: ChecksumState = ChecksumState.Partial,
): PacketBatch {
  const batch = new PacketBatch(4);
  batch.bytes.set(packet, batch.tail);
  batch.append(packet.length, state, segmentSize, 0);
  return batch;
}

function split(batch: PacketBatch, i = 0): Uint8Array[] {
  const segmenter = new Segmenter();
  const room = new Uint8Array(70_000);
  const view = new DataView(room.buffer);
  if (!segmenter.aim(batch, i)) return [];
  return Array.from({ length: segmenter.count }, (_, k) => {
    const length = segmenter.write(k, room, view, 100);
    expect(length).to.equal(segmenter.lengthOf(k));
    return room.slice(100, 100 + length);
  });
}

const packetsOf = (batch: PacketBatch): Uint8Array[] =>
  Array.from({ length: batch.count }, (_, i) =>
    batch.bytes.slice(batch.offset(i), batch.offset(i) + batch.length(i)),
  );

/** What the coalescer makes of packets, super-packets split again. */
function joinAndSplit(packets: Uint8Array[]): { joined: number; packets: Uint8Array[] } {
  const from = batchOf(...packets);
  const into = new PacketBatch(from.limit);
  const result = new Coalescer().coalesce(from, into) ? into : from;
  const out: Uint8Array[] = [];
  for (let i = 0; i < result.count; i++) {
    if (result.segmentSize(i) > 0) out.push(...split(result, i));
    else out.push(packetsOf(result)[i]);
  }
  return { joined: packets.length - result.count, packets: out };
}

describe('Segmenter', () => {
  for (const version of [4, 6] as const) {
    it(`splits TCP over IPv${version}: numbers, lengths, checksums, and flags in their place`, () => {
      const fields: PacketFields = {
        version,
        options: TIMESTAMPS,
        trafficClass: 0x02,
        window: 77,
        identification: 0xfffe,
      };
      const flags = 0x01 | 0x08 | 0x10 | 0x40 | 0x80; // FIN PSH ACK ECE CWR
      const whole = makePacket({ ...fields, flags, sequence: 0xffff_ff00 | 0, payload: pattern(2500) });
      const expected = [0, 1, 2].map((k) =>
        makePacket({
          ...fields,
          identification: 0xfffe + k,
          flags: 0x10 | 0x40 | (k === 0 ? 0x80 : 0) | (k === 2 ? 0x09 : 0),
          sequence: (0xffff_ff00 + k * 1000) | 0,
          payload: pattern(k === 2 ? 500 : 1000, k * 1000),
        }),
      );
      expect(split(superPacket(whole, 1000))).to.deep.equal(expected);
    });

    it(`splits UDP over IPv${version} into datagrams of their own [UDP-23]`, () => {
      const whole = makePacket({ version, protocol: 17, payload: pattern(2001), identification: 5 });
      const expected = [0, 1, 2].map((k) =>
        makePacket({
          version,
          protocol: 17,
          identification: 5 + k,
          payload: pattern(k === 2 ? 1 : 1000, k * 1000),
        }),
      );
      expect(split(superPacket(whole, 1000))).to.deep.equal(expected);
    });
  }

  it('leaves out a UDP checksum that was left out, over IPv4 only', () => {
    const whole = makePacket({ protocol: 17, payload: pattern(20), withoutChecksum: true });
    for (const packet of split(superPacket(whole, 10, ChecksumState.Valid))) {
      expect([packet[26], packet[27]]).to.deep.equal([0, 0]);
    }
    for (const packet of split(superPacket(whole, 10, ChecksumState.Partial)))
      expect(isIntact(packet)).to.equal(true);
  });

  it('moves the urgent pointer with the segments', () => {
    const whole = makePacket({ flags: 0x30, urgentPointer: 150, payload: pattern(300) });
    const urgent = split(superPacket(whole, 100)).map((packet) => [
      packet[33] & 0x20,
      (packet[38] << 8) | packet[39],
    ]);
    expect(urgent).to.deep.equal([
      [0x20, 150],
      [0x20, 50],
      [0, 0],
    ]);
  });

  it('makes one packet of a payload that fits, and of none', () => {
    expect(split(superPacket(makePacket({ payload: pattern(10) }), 10))).to.deep.equal([
      makePacket({ payload: pattern(10) }),
    ]);
    expect(split(superPacket(makePacket(), 10))).to.deep.equal([makePacket()]);
  });

  it('walks IPv6 extension headers and refuses what it cannot split [E32]', () => {
    const plain = makePacket({ version: 6, payload: pattern(30) });
    const withHeader = (header: number[], next: number): Uint8Array => {
      const packet = Uint8Array.from([...plain.subarray(0, 40), ...header, ...plain.subarray(40)]);
      packet[6] = next;
      packet[5] += header.length;
      return packet;
    };
    const options = [6, 0, 1, 4, 0, 0, 0, 0];
    expect(split(superPacket(withHeader(options, 60), 10)).map((packet) => packet.length)).to.deep.equal([
      78, 78, 78,
    ]);
    expect(split(superPacket(withHeader(options, 44), 10))).to.deep.equal([]); // fragment
    expect(split(superPacket(withHeader([6, 0, 0, 1, 0, 0, 0, 0], 43), 10))).to.deep.equal([]); // routing, segments left
    expect(split(superPacket(withHeader([6, 255, 0, 0, 0, 0, 0, 0], 0), 10))).to.deep.equal([]); // beyond the packet
    const fragment = makePacket({ payload: pattern(30) });
    fragment[6] = 0x20;
    expect(split(superPacket(fragment, 10))).to.deep.equal([]);
    expect(split(superPacket(makePacket({ payload: pattern(30) }).subarray(0, 39), 10))).to.deep.equal([]);
    const zero = makePacket({ payload: pattern(30) });
    expect(split(superPacket(zero, 0))).to.deep.equal([]);
    expect(split(superPacket(zero, -5))).to.deep.equal([]);
    zero[32] = 0x40; // a TCP header of 16 bytes
    expect(split(superPacket(zero, 10))).to.deep.equal([]);
    zero[9] = 47; // no TCP at all
    expect(split(superPacket(zero, 10))).to.deep.equal([]);
  });

  it('looks through eight IPv6 extension headers and no more, each within the packet [E32]', () => {
    const plain = makePacket({ version: 6, payload: pattern(30) });
    const chain = (count: number): Uint8Array => {
      const headers = Array.from({ length: count }, (_, i) => [
        i === count - 1 ? 6 : 60,
        0,
        1,
        4,
        0,
        0,
        0,
        0,
      ]).flat();
      const packet = Uint8Array.from([...plain.subarray(0, 40), ...headers, ...plain.subarray(40)]);
      packet[6] = 60;
      packet[5] += headers.length;
      return packet;
    };
    expect(split(superPacket(chain(8), 10))).to.have.length(3);
    expect(split(superPacket(chain(9), 10))).to.have.length(0);
    // A header of which only the start is within the packet, and one that says it is longer than that.
    for (const length of [4, 8]) {
      const cut = plain.slice(0, 40 + length);
      cut[6] = 60;
      cut[5] = length;
      cut.set([17, 3, 0, 0], 40);
      const batch = superPacket(cut, 10);
      batch.bytes.set([17, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 40], cut.length);
      expect(split(batch)).to.have.length(0);
    }
    const fragment = plain.slice();
    fragment[6] = 44;
    fragment.set([6, 0, 0, 0, 0, 0, 0, 0], 40);
    expect(split(superPacket(fragment, 10))).to.have.length(0);
  });

  it('does not split any fragment of IPv4, nor headers that exceed the packet [E32]', () => {
    for (const [high, low] of [
      [0x20, 0],
      [0, 1],
      [0x1f, 0xff],
    ]) {
      const fragment = makePacket({ payload: pattern(30) });
      fragment[6] = high;
      fragment[7] = low;
      expect(split(superPacket(fragment, 10))).to.have.length(0);
    }
    const long = makePacket({ payload: pattern(30) });
    long[32] = 0xf0; // a TCP header of 60 bytes in 50
    expect(split(superPacket(long, 10))).to.have.length(0);
    long[0] = 0x4f; // an IP header of 60 bytes in 70
    long[9] = 17;
    expect(split(superPacket(long.subarray(0, 62), 10))).to.have.length(0);
  });

  it('survives any bytes as a super-packet [E32]', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(
        bytes,
        fc.integer({ min: -2, max: 200 }),
        fc.constantFrom(0x45, 0x4f, 0x60),
        (body, size, first) => {
          body[0] = first;
          for (const packet of split(superPacket(body, size))) expect(packet.length).to.be.at.most(120);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('Coalescer', () => {
  const run = (count: number, fields: PacketFields = {}, size = 100): Uint8Array[] =>
    Array.from({ length: count }, (_, i) =>
      makePacket({
        ...fields,
        sequence: ((fields.sequence ?? 0) + i * size) | 0,
        identification: i,
        payload: pattern(size, i * size),
      }),
    );

  for (const version of [4, 6] as const) {
    it(`joins a run over IPv${version} into one super-packet that splits into the same packets [F18]`, () => {
      const packets = run(20, { version, options: TIMESTAMPS, sequence: -1000 }, 1448);
      packets.push(
        makePacket({
          version,
          options: TIMESTAMPS,
          sequence: -1000 + 20 * 1448,
          identification: 20,
          flags: 0x18,
          payload: 'end',
        }),
      );
      const from = batchOf(...packets);
      const into = new PacketBatch();
      expect(new Coalescer().coalesce(from, into)).to.equal(true);
      expect(into.count).to.equal(1);
      expect(into.segmentSize(0)).to.equal(1448);
      expect(into.checksum(0)).to.equal(ChecksumState.Partial);
      expect(into.headerBytes(0)).to.equal(version === 4 ? 52 : 72);
      expect(split(into)).to.deep.equal(packets);
    });
  }

  it('joins several flows side by side, keeping each in order [F18]', () => {
    const flows = [0, 1, 2].map((flow) => run(5, { sourcePort: 5000 + flow }));
    const mixed = [0, 1, 2, 3, 4].flatMap((i) => flows.map((flow) => flow[i]));
    const result = joinAndSplit(mixed);
    expect(result.joined).to.equal(12);
    expect(result.packets).to.deep.equal(flows.flat());
  });

  const base = { identification: 1, sequence: 100, payload: pattern(100, 100) };
  const differing: Record<string, PacketFields> = {
    'another acknowledgment': { acknowledgment: 1 },
    'another window': { window: 501 },
    'another time stamp': { options: [...TIMESTAMPS.slice(0, 11), 9] },
    'other options': { options: TIMESTAMPS.map((byte, i) => (i < 2 ? 0 : byte)) },
    'no options': { options: [] },
    'a congestion mark': { trafficClass: 3 },
    'another hop limit': { hopLimit: 63 },
    FIN: { flags: 0x11 },
    SYN: { flags: 0x12 },
    RST: { flags: 0x14 },
    URG: { flags: 0x30 },
    ECE: { flags: 0x50 },
    CWR: { flags: 0x90 },
    'a gap': { sequence: 101 },
    'an overlap': { sequence: 99 },
    'more data than the first': { payload: pattern(101) },
    'no data': { payload: '' },
    'another port': { destinationPort: 2001 },
    'another address': { destination: 3 },
    'another protocol': { protocol: 17 },
  };
  for (const [name, fields] of Object.entries(differing)) {
    it(`joins nothing across ${name} [F18]`, () => {
      for (const version of [4, 6] as const) {
        const first = makePacket({ version, options: TIMESTAMPS, identification: 0, payload: pattern(100) });
        const second = makePacket({ version, options: TIMESTAMPS, ...base, ...fields });
        expect(joinAndSplit([first, second]), `IPv${version}`).to.deep.equal({
          joined: 0,
          packets: [first, second],
        });
        const same = makePacket({ version, options: TIMESTAMPS, ...base });
        expect(joinAndSplit([first, same]).joined, `control, IPv${version}`).to.equal(1);
      }
    });
  }

  it('joins nothing that is damaged, fragmented, or has IP options [F18]', () => {
    const [first, second] = run(2);
    const damaged = second.slice();
    damaged[50] ^= 1;
    expect(joinAndSplit([first, damaged]).joined).to.equal(0);
    const fragment = second.slice();
    fragment[6] = 0x20;
    expect(joinAndSplit([first, fragment]).joined).to.equal(0);
    const from = batchOf(first, second);
    from.words[8 + 12 + 2] = ChecksumState.Bad;
    expect(new Coalescer().coalesce(from, new PacketBatch())).to.equal(false);
  });

  it('needs identifications that count up where packets may be fragmented', () => {
    const packets = (id: number) => [
      makePacket({ dontFragment: false, identification: 7, payload: pattern(100) }),
      makePacket({ ...base, dontFragment: false, identification: id }),
    ];
    expect(joinAndSplit(packets(8)).joined).to.equal(1);
    expect(joinAndSplit(packets(7)).joined).to.equal(0);
    expect(joinAndSplit(packets(9)).joined).to.equal(0);
  });

  it('lets nothing of a flow overtake: a run ends at a pure ACK of its own', () => {
    const [first, second, third] = run(3);
    const ack = makePacket({ sequence: 100, acknowledgment: 5 });
    const result = joinAndSplit([first, ack, second, third]);
    expect(result).to.deep.equal({ joined: 1, packets: [first, ack, second, third] });
  });

  it('ends a run at a push, a short packet and 65,535 bytes', () => {
    const [first, second, third] = run(3);
    const pushed = makePacket({ ...base, flags: 0x18 });
    expect(joinAndSplit([first, pushed, third]).joined).to.equal(1);
    expect(joinAndSplit([first, second, third]).joined).to.equal(2);
    const many = run(50, {}, 1460);
    const from = batchOf(...many);
    const into = new PacketBatch();
    new Coalescer().coalesce(from, into);
    expect(into.count).to.equal(2);
    expect(into.length(0)).to.equal(40 + 44 * 1460);
  });

  it('splitting undoes joining for any mixture of packets [F18]', () => {
    const packet = fc.record({
      flow: fc.nat(9),
      version: fc.constantFrom(4 as const, 6 as const),
      flags: fc.constantFrom(0x10, 0x10, 0x10, 0x10, 0x10, 0x18, 0x11, 0x50, 0x04),
      size: fc.constantFrom(50, 50, 50, 50, 50, 50, 30, 60, 0),
      gap: fc.constantFrom(0, 0, 0, 0, 0, 0, 7),
    });
    let totalJoined = 0;
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 60 }), fc.constantFrom(1, 2, 10), (list, flows) => {
        const next = new Map<string, number>();
        const ids = new Map<string, number>();
        const packets = list.map(({ flow, version, flags, size, gap }) => {
          const key = `${flow % flows}/${version}`;
          const sequence = (next.get(key) ?? 0xffff_ff80) + gap;
          next.set(key, sequence + size);
          ids.set(key, (ids.get(key) ?? 0) + 1);
          const identification = ids.get(key) ?? 0;
          return makePacket({
            version,
            flags,
            sequence: sequence | 0,
            identification,
            sourcePort: 1 + (flow % flows),
            payload: pattern(size, sequence),
          });
        });
        const result = joinAndSplit(packets);
        totalJoined += result.joined;
        const byFlow = (all: Uint8Array[]) => {
          const flowOf = (p: Uint8Array) => `${p[0] >> 4}/${p[(p[0] >> 4 === 4 ? 20 : 40) + 1]}`;
          const flows = new Map<string, string[]>();
          for (const p of all) flows.set(flowOf(p), [...(flows.get(flowOf(p)) ?? []), p.join()]);
          return flows;
        };
        expect(byFlow(result.packets)).to.deep.equal(byFlow(packets));
      }),
      { numRuns: 500 },
    );
    expect(totalJoined).to.be.greaterThan(100);
  });
});
