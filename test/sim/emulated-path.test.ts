/** The path of the comparison with Linux, in virtual time: what it does to packets, and what it says it did. */
import { expect } from 'chai';
import { EmulatedPath, type PathOptions } from '../../bench/compare-linux/emulated-path.js';
import { Percentiles } from '../../bench/compare-linux/percentiles.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import type { PacketBatch } from '../../lib/link/packet-batch.js';
import { createPipe, type PipeOptions } from '../../lib/link/pipe-device.js';
import { StallingClock } from '../support/stalling-clock.js';
import { makePacket, pattern } from '../unit/link/packets.js';

const PACKET_BYTES = 1000;
/** 1 ms for a packet of 1000 bytes. */
const RATE_BPS = 8e6;
const SYMMETRIC: PathOptions = {
  seed: 1,
  forward: { rateBps: RATE_BPS, delayMs: 10, queuePackets: 100 },
  back: { delayMs: 10 },
  join: false,
};

/** What came out at one end: when, which packet, and of how many segments. */
interface Arrival {
  readonly atUs: number;
  readonly number: number;
  readonly bytes: number;
}

/** Segments of one flow, without gaps. */
const segment = (number: number): Uint8Array =>
  makePacket({
    sequence: number * (PACKET_BYTES - 40),
    payload: pattern(PACKET_BYTES - 40),
    identification: number,
  });

class World {
  readonly clock = new StallingClock(0);
  readonly path: EmulatedPath;
  readonly atReceiver: Arrival[] = [];
  readonly atSender: Arrival[] = [];
  readonly #sender: LinkDevice;
  readonly #receiver: LinkDevice;

  constructor(options: Partial<PathOptions>, receiver: Partial<PipeOptions> = {}) {
    const { clock } = this;
    const [sender, near] = createPipe({ clock, queuePackets: 100_000 });
    const [far, receiverEnd] = createPipe({ clock, ...receiver });
    this.#sender = sender;
    this.#receiver = receiverEnd;
    this.path = new EmulatedPath(clock, near, far, { ...SYMMETRIC, ...options });
    sender.open((batch) => this.#note(batch, this.atSender));
    receiverEnd.open((batch) => this.#note(batch, this.atReceiver));
  }

  #note(batch: PacketBatch, list: Arrival[]): void {
    for (let i = 0; i < batch.count; i++) {
      const number = batch.view.getUint32(batch.offset(i) + 24) / (PACKET_BYTES - 40);
      list.push({ atUs: this.clock.nowUs(), number, bytes: batch.length(i) });
    }
  }

  /** Sends segments `from` .. `from + count - 1` at once. */
  send(from: number, count: number, by: 'sender' | 'receiver' = 'sender'): this {
    const link = by === 'sender' ? this.#sender : this.#receiver;
    for (let number = from; number < from + count; number++) {
      const batch = link.borrow();
      if (batch === undefined) return expect.fail('a link with room');
      batch.appendPacket(segment(number));
      link.send(batch);
    }
    return this;
  }

  advanceMs(ms: number): this {
    this.clock.advanceBy(ms * 1000);
    return this;
  }

  get numbers(): number[] {
    return this.atReceiver.map(({ number }) => number);
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('the path of the comparison with Linux', () => {
  it('sends data at its rate, each after the other, and holds both ways back by their delay', () => {
    const world = new World({ back: { delayMs: 25 } }).send(0, 3).send(7, 2, 'receiver').advanceMs(50);
    expect(world.atReceiver.map(({ atUs }) => atUs)).to.deep.equal([11_000, 12_000, 13_000]);
    expect(world.numbers).to.deep.equal([0, 1, 2]);
    expect(world.atSender.map(({ atUs, number }) => [atUs, number])).to.deep.equal([
      [25_000, 7],
      [25_000, 8],
    ]);
    world.send(3, 1).advanceMs(50);
    expect(world.atReceiver[3]).to.deep.equal({ atUs: 61_000, number: 3, bytes: PACKET_BYTES });
  });

  it('tells of the round trip that data met: the wait, the way there and the way back', () => {
    const world = new World({ back: { delayMs: 25 } }).send(0, 100).advanceMs(500);
    // Data number n wait n ms, take 1 ms themselves, and 10 and 25 of delay.
    expect(world.path.report).to.include({ packets: 100, lost: 0, queueDrops: 0, refused: 0 });
    expect(world.path.report).to.include({ wireP50Us: 85_000, wireP99Us: 134_000 });
    // Acknowledgments are no data.
    world.send(0, 50, 'receiver').advanceMs(500);
    expect(world.path.report).to.include({ packets: 100, wireP50Us: 85_000, wireP99Us: 134_000 });
  });

  it('drops what finds its queue full, and only that', () => {
    const world = new World({ forward: { ...SYMMETRIC.forward, queuePackets: 5 } })
      .send(0, 20)
      .advanceMs(100);
    // One is being sent while five wait.
    expect(world.numbers).to.deep.equal(upTo(6));
    expect(world.path.report).to.include({ packets: 20, queueDrops: 14, lost: 0 });
    // What was dropped met no round trip.
    expect(world.path.report.wireP99Us).to.equal(26_000);
    world.send(6, 6).advanceMs(100);
    expect(world.numbers).to.deep.equal(upTo(12));
    expect(world.path.report.queueDrops).to.equal(14);
  });

  it('loses as many as asked, the same with the same seed, and says how many', () => {
    const run = (seed: number): World => {
      const world = new World({ seed, forward: { ...SYMMETRIC.forward, loss: 0.1 } });
      for (let i = 0; i < 2000; i += 50) world.send(i, 50).advanceMs(100);
      const { packets, lost, queueDrops } = world.path.report;
      expect([packets, queueDrops]).to.deep.equal([2000, 0]);
      expect(world.atReceiver).to.have.length(2000 - lost);
      expect(lost).to.be.within(150, 250);
      // What is lost was sent all the same: it takes its time on the wire, and the next are neither early nor late.
      expect(world.path.report).to.include({ lateP50Us: 0, lateP99Us: 0 });
      for (const { atUs, number } of world.atReceiver) {
        expect(atUs).to.equal(Math.floor(number / 50) * 100_000 + ((number % 50) + 11) * 1000);
      }
      return world;
    };
    expect(run(1).numbers).to.deep.equal(run(1).numbers);
    expect(run(1).numbers).not.to.deep.equal(run(2).numbers);
  });

  it('says how late it was when its alarms rang late, of any number of packets', () => {
    const world = new World({});
    // More than it remembers at once, on time.
    for (let i = 0; i < 12_000; i += 100) world.send(i, 100).advanceMs(200);
    expect(world.path.report).to.include({ packets: 12_000, lateP50Us: 0, lateP99Us: 0 });
    // 200 of 12,200 are late, two each by 81, 82 .. 180 ms: the 78th of them is at 99 %.
    for (let i = 0; i < 2; i++) {
      world.send(12_000 + 100 * i, 100).advanceMs(0);
      world.clock.stallBy(191_000);
      world.advanceMs(100);
    }
    expect(world.numbers).to.deep.equal(upTo(12_200));
    expect(world.path.report).to.include({ lateP50Us: 0, lateP99Us: 119_000 });
  });

  it('joins for the receiver what arrives together, where asked to', () => {
    const offloads = { checksumOffload: true, segmentation: true };
    const forward = { rateBps: 1e12, delayMs: 10, queuePackets: 100 };
    const sizesOf = (join: boolean): number[] => {
      const world = new World({ join, forward }, offloads).send(0, 10).advanceMs(0);
      world.clock.stallBy(20_000);
      return world.advanceMs(1).atReceiver.map(({ bytes }) => bytes);
    };
    expect(sizesOf(true)).to.deep.equal([40 + 10 * (PACKET_BYTES - 40)]);
    expect(sizesOf(false)).to.deep.equal(new Array(10).fill(PACKET_BYTES));
  });

  it('counts what the receiver does not take', () => {
    const world = new World({ forward: { delayMs: 10 } }, { queuePackets: 4, queueBytes: 4 * PACKET_BYTES });
    world.send(0, 20).advanceMs(0);
    world.clock.stallBy(20_000);
    world.advanceMs(1);
    const { packets, refused } = world.path.report;
    expect(packets).to.equal(20);
    expect(refused).to.equal(20 - world.atReceiver.length);
    expect(refused).to.be.above(0);
  });
});

describe('Percentiles', () => {
  it('are the times that a share of all lie at or below, in steps of 10 µs', () => {
    const times = new Percentiles();
    expect(times.at(0.5)).to.equal(0);
    for (let us = 1000; us > 0; us -= 10) times.add(us);
    expect([0.01, 0.5, 0.99, 1].map((share) => times.at(share))).to.deep.equal([10, 500, 990, 1000]);
    times.add(1009);
    expect(times.at(1)).to.equal(1000);
  });

  it('hold what is below and above their range at its ends', () => {
    const times = new Percentiles();
    times.add(-5);
    times.add(1e9);
    expect([times.at(0.5), times.at(1)]).to.deep.equal([0, 9_999_990]);
  });
});
