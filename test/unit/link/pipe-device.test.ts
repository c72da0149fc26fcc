import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { LinkDevice } from '../../../lib/link/link-device.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { createPipe, type PipeOptions } from '../../../lib/link/pipe-device.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { makePacket, pattern } from './packets.js';

const BOTH = { checksumOffload: true, segmentation: true } as const;

function joined(options: Partial<PipeOptions> = {}) {
  const clock = new VirtualClock();
  const [a, b] = createPipe({ clock, ...options });
  const received: { bytes: number[]; checksum: number; segmentSize: number; mark: number }[] = [];
  const batches: number[] = [];
  b.open((batch) => {
    batches.push(batch.count);
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset(i);
      received.push({
        bytes: [...batch.bytes.subarray(at, at + batch.length(i))],
        checksum: batch.checksum(i),
        segmentSize: batch.segmentSize(i),
        mark: batch.mark(i),
      });
    }
  });
  a.open(() => {});
  return { clock, a, b, received, batches };
}

function send(device: LinkDevice, ...packets: Uint8Array[]): boolean {
  const batch = device.borrow();
  if (batch === undefined) return false;
  for (const packet of packets) batch.appendPacket(packet, ChecksumState.Valid);
  device.send(batch);
  return true;
}

describe('createPipe', () => {
  it('carries packets unchanged and in order, never inside send', () => {
    const { clock, a, received } = joined();
    const packets = [1, 20, 1500, 3].map((length) => pattern(length, length));
    send(a, packets[0], packets[1]);
    send(a, packets[2]);
    send(a, packets[3]);
    expect(received).to.have.length(0);
    clock.advanceBy(0);
    expect(received.map(({ bytes }) => bytes)).to.deep.equal(packets.map((packet) => [...packet]));
    expect(clock.nowUs()).to.equal(0);
    expect(a.counters.outPackets).to.equal(4);
    expect(a.counters.outBytes).to.equal(1524);
  });

  it('makes a plain pipe verify and keeps marks at home', () => {
    const { clock, a, received } = joined();
    const batch = a.borrow() as PacketBatch;
    batch.appendPacket(makePacket(), ChecksumState.Valid);
    batch.words[8 + 5] = 77;
    a.send(batch);
    clock.advanceBy(0);
    expect(received[0]).to.include({ checksum: ChecksumState.Unknown, mark: 0 });
  });

  it('puts what several sends left into as few batches as it fits', () => {
    const { clock, a, batches } = joined();
    for (let i = 0; i < 100; i++) send(a, pattern(40));
    clock.advanceBy(0);
    expect(batches).to.deep.equal([64, 36]);
  });

  it('does so only where packets and bytes have room', () => {
    const { clock, a, batches, received } = joined({ ...BOTH });
    for (const count of [10, 8, 8]) {
      const batch = a.borrow() as PacketBatch;
      for (let i = 0; i < count; i++) {
        batch.bytes.set(makePacket({ payload: pattern(60_000) }), batch.tail);
        batch.append(60_040, ChecksumState.Partial, 1460, 40);
      }
      a.send(batch);
    }
    clock.advanceBy(0);
    expect(batches).to.deep.equal([10, 16]);
    expect(received).to.have.length(26);
  });

  it('is not confused by time that passes inside the receiver', () => {
    const clock = new VirtualClock();
    const [a, b] = createPipe({ clock });
    const seen: number[] = [];
    b.open((batch) => {
      const first = batch.bytes[0];
      if (first < 3) send(a, Uint8Array.of(first + 10, 0));
      clock.advanceBy(1000);
      seen.push(first, batch.bytes[0]);
    });
    for (const first of [1, 2]) send(a, ...Array.from({ length: 64 }, () => Uint8Array.of(first, 0)));
    clock.runUntilIdle();
    expect(seen).to.deep.equal([1, 1, 2, 2, 11, 11]);
  });

  it('lends the same batch until it is sent', () => {
    const { a } = joined();
    expect(a.borrow()).to.equal(a.borrow());
  });

  it('holds what is sent before the other side opens', () => {
    const clock = new VirtualClock();
    const [a, b] = createPipe({ clock });
    send(a, pattern(10));
    clock.advanceBy(1000);
    let count = 0;
    b.open((batch) => {
      count += batch.count;
    });
    expect(count).to.equal(0);
    clock.advanceBy(0);
    expect(count).to.equal(1);
  });

  it('never holds more than its limits, and says when there is room again [I16]', () => {
    for (const limits of [{ queuePackets: 1 }, { queuePackets: 130 }, { queueBytes: 200_000 }, {}]) {
      const { clock, a, received } = joined(limits);
      let sent = 0;
      while (send(a, pattern(1500))) sent++;
      const { queuePackets = 1000, queueBytes = 4 << 20 } = limits as {
        queuePackets?: number;
        queueBytes?: number;
      };
      expect(sent).to.be.within(1, Math.min(queuePackets, queueBytes / 1504));
      expect(a.borrow()).to.equal(undefined);
      let told = 0;
      a.onWritable = () => told++;
      clock.advanceBy(0);
      expect(told).to.equal(1);
      expect(received).to.have.length(sent);
      expect(send(a, pattern(1500))).to.equal(true);
      clock.advanceBy(0);
      expect(told).to.equal(1);
    }
  });

  it('refuses packets above its MTU and what relies on offloads it lacks', () => {
    const { clock, a, received } = joined({ mtu: 100 });
    send(a, pattern(101), pattern(100), pattern(99));
    const batch = a.borrow() as PacketBatch;
    batch.appendPacket(makePacket(), ChecksumState.Partial);
    batch.appendPacket(makePacket(), ChecksumState.Valid);
    a.send(batch);
    clock.advanceBy(0);
    expect(received.map(({ bytes }) => bytes.length)).to.deep.equal([100, 99, 40]);
    expect(a.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
    expect(a.counters.dropped(DropReason.LinkMetadata)).to.equal(1);
    expect(a.counters.outDrops).to.equal(2);
  });

  it('passes super-packets whole where asked', () => {
    const { clock, a, received } = joined(BOTH);
    expect(a.maxPacketBytes).to.equal(65_535);
    const whole = makePacket({ payload: pattern(20_000) });
    const batch = a.borrow() as PacketBatch;
    const append = (packet: Uint8Array, segmentSize: number) => {
      batch.bytes.set(packet, batch.tail);
      batch.append(packet.length, ChecksumState.Partial, segmentSize, segmentSize === 0 ? 0 : 40);
    };
    append(whole, 1460);
    append(whole, 1461); // segments above the MTU
    append(whole, 0); // too large for a plain packet
    append(makePacket({ protocol: 17, payload: pattern(3000) }), 1000); // no UDP segmentation
    a.send(batch);
    clock.advanceBy(0);
    expect(received).to.have.length(1);
    expect(received[0]).to.include({ segmentSize: 1460, checksum: ChecksumState.Partial });
    expect(a.counters.outDrops).to.equal(3);
  });

  it('keeps its turn when the receiver throws', () => {
    const clock = new VirtualClock();
    const [a, b] = createPipe({ clock });
    const seen: number[] = [];
    b.open((batch) => {
      seen.push(batch.count);
      if (seen.length === 1) throw new Error('receiver');
    });
    for (let i = 0; i < 3; i++) send(a, ...Array.from({ length: 64 }, () => pattern(1500)));
    expect(() => clock.advanceBy(0)).to.throw('receiver');
    send(a, pattern(5));
    clock.advanceBy(0);
    expect(seen).to.deep.equal([64, 64, 64, 1]);
    expect(send(a, pattern(5))).to.equal(true);
  });

  it('answers from inside the receiver do not nest', () => {
    const clock = new VirtualClock();
    const [a, b] = createPipe({ clock });
    let depth = 0;
    let bounces = 0;
    const bounce = (device: LinkDevice) => (batch: PacketBatch) => {
      expect(++depth).to.equal(1);
      if (++bounces < 50) send(device, batch.bytes.slice(0, 10));
      depth--;
    };
    a.open(bounce(a));
    b.open(bounce(b));
    send(a, pattern(10));
    clock.runUntilIdle();
    expect(bounces).to.equal(50);
  });

  it('closing one end drops what is on the way and fails the other, once and not inside close', () => {
    const { clock, a, b, received } = joined();
    const errors: Error[] = [];
    a.onDown = (error) => errors.push(error);
    send(a, pattern(10));
    b.close();
    b.close();
    expect(errors).to.have.length(0);
    clock.runUntilIdle();
    expect(errors.map((error) => (error as NodeJS.ErrnoException).code)).to.deep.equal(['ENETDOWN']);
    expect(received).to.have.length(0);
    expect(a.borrow()).to.equal(undefined);
    a.close();
    expect(clock.pending).to.equal(0);
  });

  it('refuses options that cannot be', () => {
    const clock = new VirtualClock();
    expect(() => createPipe({ clock, mtu: 67 })).to.throw(RangeError);
    expect(() => createPipe({ clock, mtu: 65_536 })).to.throw(RangeError);
    expect(() => createPipe({ clock, queuePackets: 0 })).to.throw(RangeError);
    expect(() => createPipe({ clock, queueBytes: 1499 })).to.throw(RangeError);
    expect(() => createPipe({ clock, segmentation: true })).to.throw(RangeError);
    expect(() => createPipe({ clock, checksumOffload: true, udpSegmentation: true })).to.throw(RangeError);
  });
});
