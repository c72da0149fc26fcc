import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { EmulatedLink } from '../../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../../lib/link/emulation-options.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { createPipe, type PipeDevice } from '../../../lib/link/pipe-device.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { isIntact, makePacket, pattern } from './packets.js';

interface Arrival {
  atUs: number;
  packet: Uint8Array;
}

/** A pipe whose first end is emulated; packets go from the stack at that end to the other, and back. */
class Wire {
  readonly clock = new VirtualClock();
  readonly link: EmulatedLink;
  readonly far: PipeDevice;
  readonly arrived: Arrival[] = [];
  readonly returned: Arrival[] = [];
  readonly states: number[] = [];

  constructor(outgoing: DirectionOptions = {}, incoming: DirectionOptions = {}, seed = 1, offload = false) {
    const [near, far] = createPipe({ clock: this.clock, checksumOffload: offload, segmentation: offload });
    this.far = far;
    this.link = new EmulatedLink(near, {
      clock: this.clock,
      random: new SeededRandom(seed),
      outgoing,
      incoming,
    });
    far.open((batch) => this.#note(batch, this.arrived));
    this.link.open((batch) => this.#note(batch, this.returned));
  }

  #note(batch: PacketBatch, list: Arrival[]): void {
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset(i);
      list.push({ atUs: this.clock.nowUs(), packet: batch.bytes.slice(at, at + batch.length(i)) });
      this.states.push(batch.checksum(i));
    }
  }

  send(...packets: Uint8Array[]): void {
    const batch = this.link.borrow() as PacketBatch;
    for (const packet of packets) batch.appendPacket(packet, ChecksumState.Valid);
    this.link.send(batch);
  }

  /** Sends `count` packets of `bytes` bytes, each telling its number from 1. */
  sendNumbered(count: number, bytes = 100): void {
    for (let i = 1; i <= count; i++) this.send(numbered(i, bytes));
  }

  get numbers(): number[] {
    return this.arrived.map(({ packet }) => (packet[28] << 8) | packet[29]);
  }
}

const numbered = (number: number, bytes = 100, trafficClass = 0): Uint8Array => {
  const payload = pattern(bytes - 28);
  payload[0] = number >> 8;
  payload[1] = number;
  return makePacket({ protocol: 17, payload, trafficClass });
};

describe('EmulatedLink', () => {
  it('by default is a plain wire that passes everything at once, unchanged and unverified', () => {
    const wire = new Wire();
    wire.sendNumbered(100);
    wire.clock.runUntilIdle();
    expect(wire.numbers).to.deep.equal(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(wire.arrived[0]).to.deep.equal({ atUs: 0, packet: numbered(1) });
    expect(wire.link).to.include({ mtu: 1500, maxPacketBytes: 1500, checksumOffload: false, name: 'pipe0' });
    expect(new Set(wire.states)).to.deep.equal(new Set([ChecksumState.Unknown]));
  });

  it('serialises at the rate, to the fraction of a microsecond, then delays', () => {
    const wire = new Wire({ rateBps: 8e6, delayMs: 10 });
    wire.sendNumbered(3, 500);
    wire.clock.advanceBy(100_000);
    wire.sendNumbered(1, 1000);
    wire.clock.runUntilIdle();
    expect(wire.arrived.map(({ atUs }) => atUs)).to.deep.equal([10_500, 11_000, 11_500, 111_000]);
  });

  it('treats the directions apart', () => {
    const wire = new Wire({ delayMs: 5 }, { delayMs: 7, drop: [2] });
    wire.send(numbered(1));
    for (const number of [1, 2, 3]) {
      const batch = wire.far.borrow() as PacketBatch;
      batch.appendPacket(numbered(number), ChecksumState.Valid);
      wire.far.send(batch);
    }
    wire.clock.runUntilIdle();
    expect(wire.arrived.map(({ atUs }) => atUs)).to.deep.equal([5_000]);
    expect(wire.returned.map(({ atUs, packet }) => [atUs, packet[29]])).to.deep.equal([
      [7_000, 1],
      [7_000, 3],
    ]);
    expect(wire.link.incoming.counters).to.include({ packets: 3, delivered: 2, faultDrops: 1 });
    expect(wire.link.counters).to.include({ outPackets: 1, inPackets: 2 });
  });

  it('drops what does not fit the queue, to the packet and to the byte [I16]', () => {
    for (const [limits, fit] of [
      [{ queuePackets: 10 }, 11], // one is leaving, ten wait
      [{ queuePackets: 0 }, 1],
      [{ queueBytes: 1000 }, 11],
      [{ queueBytes: 999 }, 10],
      [{ queueBytes: 1000, queuePackets: 5 }, 6],
      [{}, 1001],
    ] as const) {
      const wire = new Wire({ rateBps: 8e6, ...limits });
      wire.sendNumbered(1100, 100);
      wire.clock.runUntilIdle();
      expect(wire.arrived, JSON.stringify(limits)).to.have.length(fit);
      expect(wire.link.outgoing.counters).to.include({ queueDrops: 1100 - fit, maxQueuePackets: fit - 1 });
      wire.sendNumbered(1);
      wire.clock.runUntilIdle();
      expect(wire.arrived).to.have.length(fit + 1);
    }
  });

  it('drops, delays, doubles and turns exactly the packets named', () => {
    const wire = new Wire({
      delayMs: 1,
      drop: [2, 9],
      faults: [
        { packet: 4, kind: 'drop' },
        { packet: 5, kind: 'delay', delayMs: 3 },
        { packet: 6, kind: 'duplicate', copies: 2, delayMs: 2 },
        { packet: 7, kind: 'corrupt', bit: 8 * 50 + 7 },
      ],
    });
    wire.sendNumbered(9);
    wire.clock.runUntilIdle();
    expect(wire.numbers).to.deep.equal([1, 3, 6, 7, 8, 6, 6, 5]);
    expect(wire.arrived.map(({ atUs }) => atUs / 1000)).to.deep.equal([1, 1, 1, 1, 1, 3, 3, 4]);
    const turned = numbered(7);
    turned[50] ^= 1;
    expect(wire.arrived[3].packet).to.deep.equal(turned);
    expect(wire.link.outgoing.counters).to.include({
      faultDrops: 3,
      duplicated: 2,
      corrupted: 1,
      reordered: 1,
    });
  });

  it('drops by content where asked', () => {
    const wire = new Wire({ dropIf: (packet, number) => packet[29] === 3 || number === 5 });
    wire.sendNumbered(6);
    wire.clock.runUntilIdle();
    expect(wire.numbers).to.deep.equal([1, 2, 4, 6]);
  });

  it('one fault more moves no chance of another packet', () => {
    const outcome = (drop: number[]) => {
      const wire = new Wire(
        { rateBps: 1e7, loss: 0.2, duplicate: 0.1, corrupt: 0.1, jitterMs: 2, drop },
        {},
        5,
      );
      wire.sendNumbered(60);
      wire.clock.runUntilIdle();
      return wire.numbers;
    };
    const without = outcome([]);
    expect(outcome([without[3]])).to.deep.equal(without.filter((number) => number !== without[3]));
  });

  it('repeats exactly from a seed, and differs with another', () => {
    const options: DirectionOptions = {
      rateBps: 5e6,
      delayMs: 20,
      jitterMs: 15,
      loss: 0.05,
      burstLoss: { enterBad: 0.02, leaveBad: 0.3 },
      reorder: { probability: 0.1, delayMs: 9 },
      duplicate: 0.05,
      corrupt: 0.05,
    };
    const run = (seed: number) => {
      const wire = new Wire(options, {}, seed);
      wire.sendNumbered(500);
      wire.clock.runUntilIdle();
      return wire.arrived.map(({ atUs, packet }) => `${atUs} ${packet.join()}`);
    };
    expect(run(3)).to.deep.equal(run(3));
    expect(run(3)).to.not.deep.equal(run(4));
  });

  it('keeps order under jitter and loses it only where reordering is asked', () => {
    const jittery = new Wire({ delayMs: 10, jitterMs: 10 });
    for (let i = 1; i <= 500; i++) {
      jittery.send(numbered(i));
      jittery.clock.advanceBy(100);
    }
    jittery.clock.runUntilIdle();
    expect(jittery.numbers).to.deep.equal(Array.from({ length: 500 }, (_, i) => i + 1));
    const delays = jittery.arrived.map(({ atUs }, i) => atUs - 100 * i);
    expect(Math.min(...delays)).to.be.within(0, 3_000);
    expect(Math.max(...delays)).to.be.within(17_000, 20_000);
    const reordering = new Wire({ delayMs: 10, reorder: { probability: 0.25, delayMs: 1 } });
    for (let i = 1; i <= 1000; i++) {
      reordering.send(numbered(i));
      reordering.clock.advanceBy(100);
    }
    reordering.clock.runUntilIdle();
    expect(reordering.link.outgoing.counters.reordered).to.be.within(200, 300);
    expect(reordering.arrived).to.have.length(1000);
    const late = reordering.arrived.filter(
      ({ atUs }, i) => atUs - 100 * (reordering.numbers[i] - 1) > 10_900,
    );
    expect(late).to.have.length(reordering.link.outgoing.counters.reordered);
  });

  it('loses, doubles and turns as often as asked', () => {
    const wire = new Wire({ loss: 0.1, duplicate: 0.05, corrupt: 0.2 });
    wire.sendNumbered(20_000, 60);
    wire.clock.runUntilIdle();
    const { lost, duplicated, corrupted, delivered } = wire.link.outgoing.counters;
    expect(lost).to.be.within(1_850, 2_150);
    expect(duplicated).to.be.within(820, 980);
    expect(corrupted).to.be.within(3_450, 3_750);
    expect(delivered).to.equal(20_000 - lost + duplicated);
    expect(wire.arrived.filter(({ packet }) => !isIntact(packet)).length).to.be.within(
      corrupted,
      corrupted * 1.1,
    );
  });

  it('loses in bursts whose length and distance are as asked', () => {
    const wire = new Wire({ burstLoss: { enterBad: 0.01, leaveBad: 0.25 } });
    wire.sendNumbered(40_000, 40);
    wire.clock.runUntilIdle();
    const { lost } = wire.link.outgoing.counters;
    let bursts = 0;
    wire.numbers.forEach((number, i, all) => {
      if (i > 0 && number !== all[i - 1] + 1) bursts++;
    });
    expect(lost / 40_000).to.be.within(0.032, 0.045); // 0.01 / (0.01 + 0.25)
    expect(lost / bursts).to.be.within(3.5, 4.5);
  });

  it('marks ECN-capable packets instead of the others when the queue is long', () => {
    for (const limit of [{ ecnThresholdPackets: 5 }, { ecnThresholdBytes: 500 }]) {
      const wire = new Wire({ rateBps: 8e6, ...limit });
      for (let i = 1; i <= 10; i++) wire.send(numbered(i, 100, i === 9 ? 0 : i === 10 ? 3 : 2));
      const v6 = makePacket({ version: 6, trafficClass: 0xb9, payload: 'x' });
      wire.send(v6);
      wire.clock.runUntilIdle();
      const marks = wire.arrived.map(({ packet }) => (packet[0] >> 4 === 4 ? packet[1] : packet[1] >> 4) & 3);
      expect(marks).to.deep.equal([2, 2, 2, 2, 2, 2, 3, 3, 0, 3, 3]);
      expect(wire.arrived.every(({ packet }) => isIntact(packet))).to.equal(true);
      expect(((wire.arrived[10].packet[0] & 15) << 4) | (wire.arrived[10].packet[1] >> 4)).to.equal(0xbb);
      expect(wire.link.outgoing.counters.marked).to.equal(3);
    }
  });

  it('swallows what exceeds the MTU of a direction', () => {
    const wire = new Wire({ mtu: 1280 });
    wire.send(numbered(1, 1280), numbered(2, 1281), numbered(3, 1500));
    wire.clock.runUntilIdle();
    expect(wire.numbers).to.deep.equal([1]);
    expect(wire.link.outgoing.counters.mtuDrops).to.equal(2);
    const batch = wire.link.borrow() as PacketBatch;
    batch.appendPacket(pattern(1501), ChecksumState.Valid);
    wire.link.send(batch);
    expect(wire.link.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
  });

  it('splits super-packets and completes checksums of the inner link', () => {
    const wire = new Wire({}, { drop: [2] }, 1, true);
    const whole = makePacket({ payload: pattern(3000) });
    const batch = wire.far.borrow() as PacketBatch;
    const append = (packet: Uint8Array, segmentSize: number, state: ChecksumState) => {
      batch.bytes.set(packet, batch.tail);
      batch.append(packet.length, state, segmentSize, segmentSize === 0 ? 0 : 40);
    };
    append(whole, 1000, ChecksumState.Partial);
    append(makePacket({ withoutChecksum: true, payload: 'part' }), 0, ChecksumState.Partial);
    append(pattern(30), 0, ChecksumState.Partial); // no packet at all
    append(pattern(30), 10, ChecksumState.Partial);
    wire.far.send(batch);
    wire.clock.runUntilIdle();
    expect(wire.returned.map(({ packet }) => packet)).to.deep.equal([
      makePacket({ payload: pattern(1000) }),
      makePacket({ payload: pattern(1000, 2000), identification: 3, sequence: 2000 }),
      makePacket({ payload: 'part' }),
    ]);
    expect(wire.link.counters.dropped(DropReason.LinkMetadata)).to.equal(2);
    // A packet turned on the way must be found out, also where the inner link would trust.
    wire.link.outgoing.update({ corrupt: 1 });
    wire.states.length = 0;
    wire.send(numbered(1));
    wire.clock.runUntilIdle();
    expect(wire.states).to.deep.equal([ChecksumState.Unknown]);
  });

  it('waits where the inner link is full, and goes on when it is not', () => {
    const clock = new VirtualClock();
    const [near, far] = createPipe({ clock, queuePackets: 100 });
    const link = new EmulatedLink(near, { clock, random: new SeededRandom(1), outgoing: { delayMs: 1 } });
    link.open(() => {});
    for (let i = 0; i < 500; i++) {
      const batch = link.borrow() as PacketBatch;
      batch.appendPacket(numbered(i));
      link.send(batch);
    }
    clock.advanceBy(5_000);
    expect(link.outgoing.inFlight).to.be.within(400, 500);
    let seen = 0;
    far.open((batch) => {
      for (let i = 0; i < batch.count; i++) {
        expect(batch.bytes[batch.offset(i) + 29]).to.equal(seen++ & 255);
      }
    });
    clock.runUntilIdle();
    expect(seen).to.equal(500);
  });

  it('bounds what is under way', () => {
    const wire = new Wire({ delayMs: 1000, maxInFlight: 10, duplicate: 1 });
    wire.sendNumbered(20);
    expect(wire.link.outgoing.inFlight).to.equal(10);
    expect(wire.link.outgoing.counters.overflowDrops).to.equal(15);
    wire.clock.runUntilIdle();
    expect(wire.arrived).to.have.length(10);
  });

  it('bounds copies under way too', () => {
    const wire = new Wire({
      delayMs: 1000,
      maxInFlight: 3,
      faults: [{ packet: 1, kind: 'duplicate', copies: 9 }],
    });
    wire.sendNumbered(1);
    expect(wire.link.outgoing.inFlight).to.equal(3);
    expect(wire.link.outgoing.counters).to.include({ duplicated: 2, overflowDrops: 7 });
  });

  it('keeps count of a long queue that fills again while it empties', () => {
    const wire = new Wire({ rateBps: 8e6, queuePackets: 200 });
    wire.sendNumbered(50);
    wire.clock.advanceBy(3_000);
    wire.sendNumbered(300);
    expect(wire.link.outgoing.counters).to.include({
      queueDrops: 119,
      maxQueuePackets: 200,
      maxQueueBytes: 20_000,
    });
    for (let ms = 1; ms <= 40; ms++) {
      wire.clock.advanceBy(1_000);
      wire.sendNumbered(20);
      expect(wire.link.outgoing.counters.queueDrops).to.equal(119 + 10 * ms);
    }
    wire.clock.runUntilIdle();
    expect(wire.arrived).to.have.length(350 + 800 - 519);
  });

  it('goes down with the inner link', () => {
    const wire = new Wire();
    const down: string[] = [];
    wire.link.onDown = (error) => down.push((error as NodeJS.ErrnoException).code ?? '');
    wire.far.close();
    wire.clock.runUntilIdle();
    expect(down).to.deep.equal(['ENETDOWN']);
  });

  it('changes its conditions on the way', () => {
    const wire = new Wire({ delayMs: 10 });
    wire.send(numbered(1));
    wire.link.outgoing.update({ delayMs: 2, loss: 1 });
    wire.send(numbered(2));
    wire.link.outgoing.update({ loss: 0 });
    wire.send(numbered(3));
    wire.clock.runUntilIdle();
    expect(wire.arrived.map(({ atUs }) => atUs)).to.deep.equal([10_000, 10_000]);
    expect(wire.link.outgoing.options).to.include({ delayMs: 2, loss: 0 });
  });

  it('refuses options that cannot be, and names', () => {
    const wrong: Record<string, unknown>[] = [
      { rate: 5 },
      { rateBps: 0 },
      { rateBps: Number.NaN },
      { delayMs: -1 },
      { jitterMs: Number.POSITIVE_INFINITY },
      { loss: 1.1 },
      { loss: Number.NaN },
      { burstLoss: { enterBad: 2, leaveBad: 0 } },
      { reorder: { probability: -1, delayMs: 1 } },
      { queuePackets: 1.5 },
      { mtu: 0 },
      { drop: [0] },
      { faults: [{ packet: 1, kind: 'vanish' }] },
      { faults: [{ packet: 1, kind: 'delay' }] },
      { faults: [{ packet: 1, kind: 'corrupt', bit: -1 }] },
      { dropIf: 1 },
    ];
    for (const outgoing of wrong) {
      expect(() => new Wire(outgoing), JSON.stringify(outgoing))
        .to.throw()
        .with.property('code');
    }
  });

  it('closes with everything in it', () => {
    const wire = new Wire({ delayMs: 10 }, { delayMs: 10 });
    wire.sendNumbered(10);
    wire.link.close();
    wire.link.close();
    expect(wire.link.borrow()).to.equal(undefined);
    wire.clock.runUntilIdle();
    expect(wire.arrived).to.have.length(0);
    expect(wire.clock.nowUs()).to.equal(0);
  });

  it('agrees with a naive model of rate, queue, delay and loss for any traffic', () => {
    const arrival = fc.record({ gapUs: fc.nat(3000), bytes: fc.integer({ min: 40, max: 1500 }) });
    fc.assert(
      fc.property(
        fc.array(arrival, { maxLength: 80 }),
        fc.nat(5),
        fc.nat(20),
        fc.array(fc.integer({ min: 1, max: 80 })),
        (list, queuePackets, delayMs, drop) => {
          const wire = new Wire({ rateBps: 4e6, queuePackets, delayMs, drop });
          const expected: [number, number][] = [];
          let departures: number[] = [];
          let free = 0;
          list.forEach(({ gapUs, bytes }, i) => {
            wire.clock.advanceBy(gapUs);
            const now = wire.clock.nowUs();
            wire.send(numbered(i + 1, bytes));
            if (drop.includes(i + 1)) return;
            departures = departures.filter((us) => us > now);
            if (departures.length > queuePackets) return;
            free = Math.max(free, now) + bytes * 2;
            departures.push(free);
            expected.push([i + 1, free + delayMs * 1000]);
          });
          wire.clock.runUntilIdle();
          const numbers = wire.numbers;
          expect(wire.arrived.map(({ atUs }, i) => [numbers[i], atUs])).to.deep.equal(expected);
        },
      ),
    );
  });

  it('tells an observer of every packet, and when it will arrive', () => {
    const seen: [length: number, number: number, arrivalUs: number][] = [];
    const wire = new Wire({
      delayMs: 2,
      rateBps: 8e5,
      queuePackets: 1,
      drop: [1],
      mtu: 400,
      observe: (packet, number, arrivalUs) => seen.push([packet.length, number, arrivalUs]),
    });
    wire.send(numbered(1), numbered(2), numbered(3), numbered(4), numbered(5, 500));
    const never = Number.POSITIVE_INFINITY;
    expect(seen).to.deep.equal([
      [100, 1, never],
      [100, 2, 3000],
      [100, 3, 4000],
      [100, 4, never],
      [500, 5, never],
    ]);
    wire.clock.runUntilIdle();
    expect(wire.arrived.map(({ atUs }) => atUs)).to.deep.equal([3000, 4000]);
    expect(() => new Wire({ observe: 1 as unknown as () => void })).to.throw(TypeError);
  });
});
