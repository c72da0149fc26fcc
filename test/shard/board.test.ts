/** What shards share: ports, connections, and packets under way, each against a naive twin. */
import { expect } from 'chai';
import { randomBelow } from '../../lib/base/random.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { Board, portsOf, shardOfPort } from '../../lib/shard/board.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { ChecksumState, IpPacket } from '../../lib/wire/ip-packet.js';

const PORTS = [32_768, 60_999] as const;

const board = (shards: number, flows = 1024): Board =>
  Board.create({ shards, flows, random: new SeededRandom(1), tcpPorts: PORTS, udpPorts: PORTS });

function tuple(number: number): Int32Array {
  const words = new Int32Array(12);
  words.set([0, 0, 0xffff, 0x0a00_0002, 0, 0, 0xffff, 0x0a00_0001, number], 3);
  return words;
}

describe('what shards share', () => {
  it('divides ports so that each has one owner', () => {
    for (const [first, last] of [PORTS, [100, 106], [1, 65_535]] as const) {
      for (const shards of [1, 2, 3, 7]) {
        for (let port = first; port <= last; port++) {
          const owner = shardOfPort([first, last], port, shards);
          const [begin, end] = portsOf([first, last], owner, shards);
          if (port < begin || port > end) expect.fail(`${port} is not in ${begin} .. ${end} of ${owner}`);
        }
        expect(shardOfPort([first, last], last + 1, shards)).to.equal(-1);
      }
    }
  });

  it('knows whose connection is whose, and forgets: one by one, and all of a shard', () => {
    const { flows } = board(4, 4096);
    const random = new SeededRandom(2);
    const model = new Map<number, number>();
    for (let i = 0; i < 20_000; i++) {
      const number = randomBelow(random, 1500);
      const words = tuple(number);
      const known = model.get(number);
      expect(flows.find(words, 3)).to.equal(known ?? -1);
      if (known === undefined) {
        const shard = randomBelow(random, 4);
        expect(flows.add(words, 3, shard)).to.equal(true);
        model.set(number, shard);
      } else {
        flows.remove(words, 3, known);
        model.delete(number);
      }
    }
    flows.removeAll(2);
    for (const [number, shard] of model)
      expect(flows.find(tuple(number), 3)).to.equal(shard === 2 ? -1 : shard);
  });

  it('takes as many connections as it has room for, and says when it has none', () => {
    const { flows } = board(2, 1024);
    let taken = 0;
    for (let i = 0; i < 5000; i++) if (flows.add(tuple(i), 3, 1)) taken++;
    expect(taken).to.be.within(1000, 1024);
    for (let i = 0; i < 5000; i++) flows.remove(tuple(i), 3, 1);
    expect(flows.add(tuple(1), 3, 0)).to.equal(true);
  });

  it('carries packets whole, with what is known of them, until it is full', () => {
    const random = new SeededRandom(3);
    const ring = board(2).ring(0, 1);
    const packet = new IpPacket();
    const batch = new PacketBatch(8);
    const model: Uint8Array[] = [];
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      if (randomBelow(random, 16) > 0) {
        const bytes = new Uint8Array(randomBelow(random, 4) === 0 ? 65_535 : 1 + randomBelow(random, 1500));
        bytes.fill(i);
        packet.aim(bytes, new DataView(bytes.buffer), 0, bytes.length);
        packet.segmentSize = bytes.length % 1449;
        packet.mark = i;
        if (ring.put(packet, ChecksumState.Partial)) model.push(bytes);
        else refused++;
      } else {
        batch.clear();
        const moved = ring.moveTo(batch);
        for (let slot = 0; slot < moved; slot++) {
          const bytes = model.shift() as Uint8Array;
          const at = batch.offset(slot);
          const same = Buffer.from(bytes).equals(batch.bytes.subarray(at, at + batch.length(slot)));
          expect([same, batch.segmentSize(slot)]).to.deep.equal([true, bytes.length % 1449]);
          expect(batch.checksum(slot)).to.equal(ChecksumState.Partial);
          expect(batch.mark(slot) & 255).to.equal(bytes[0]);
        }
        expect(ring.isEmpty).to.equal(model.length === 0);
      }
    }
    expect(refused).to.be.greaterThan(100);
  });

  it('refuses what it could not be', () => {
    const make = (options: Partial<Parameters<typeof Board.create>[0]>) => () =>
      Board.create({ shards: 2, random: new SeededRandom(1), tcpPorts: PORTS, udpPorts: PORTS, ...options });
    for (const wrong of [
      { shards: 0 },
      { shards: 32 },
      { flows: 1000 },
      { flows: 512 },
      { ringBytes: 4096 },
      { tcpPorts: [5, 5] as const },
    ]) {
      expect(make(wrong)).to.throw(RangeError);
    }
  });
});
