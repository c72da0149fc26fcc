import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { OffloadLink } from '../../../lib/link/offload-link.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { createPipe } from '../../../lib/link/pipe-device.js';
import { SIMULATED, Simulation } from '../../../lib/sim/simulation.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';

/** Two stacks that exchange super-packets over a plain wire; what passes it is counted. */
function transfer(family: 4 | 6, bytes: number) {
  const sizes: number[] = [];
  const net = new Simulation({
    family,
    superPackets: true,
    upstream: { delayMs: 1, observe: (packet) => sizes.push(packet.length) },
  });
  const received = net.transfer({ bytes });
  return { net, sizes, received };
}

describe('OffloadLink', () => {
  for (const family of [4, 6] as const) {
    it(`splits super-packets for the wire and joins what arrives together, over IPv${family}`, () => {
      const { net, sizes, received } = transfer(family, 200_000);
      expect(received).to.equal(200_000);
      expect(Math.max(...sizes)).to.equal(1500);
      // The receiving stack was given fewer packets than passed the wire.
      expect(net.server.stats.ip.inReceives).to.be.below(sizes.length / 3);
      expect(net.server.stats.tcp.inCsumErrors).to.equal(0);
      expect(SIMULATED.server[family]).to.equal(net.serverAddress);
    });
  }

  it('waits for a link that is full, and tells its stack afterwards', () => {
    const clock = new VirtualClock();
    const [near, far] = createPipe({ clock, queuePackets: 4 });
    const link = new OffloadLink(near);
    let arrived = 0;
    let writable = 0;
    far.open((batch) => {
      arrived += batch.count;
    });
    link.onWritable = () => writable++;
    const batch = link.borrow() as PacketBatch;
    for (let i = 0; i < 10; i++) batch.appendPacket(new Uint8Array(100), ChecksumState.Valid);
    link.send(batch);
    expect(link.borrow()).to.equal(undefined);
    clock.runUntilIdle();
    expect(arrived).to.equal(10);
    expect(writable).to.equal(1);
    expect(link.borrow()).to.equal(batch);
    expect(batch.count).to.equal(0);
  });

  it('drops and counts what is larger than the wire and no super-packet', () => {
    const clock = new VirtualClock();
    const [near, far] = createPipe({ clock });
    const link = new OffloadLink(near);
    let arrived = 0;
    far.open((batch) => {
      arrived += batch.count;
    });
    const batch = link.borrow() as PacketBatch;
    batch.appendPacket(new Uint8Array(1501), ChecksumState.Valid);
    batch.appendPacket(new Uint8Array(1500), ChecksumState.Valid);
    batch.bytes.fill(0, batch.tail, batch.tail + 100);
    batch.append(100, ChecksumState.Partial, 0, 0);
    batch.bytes.fill(0, batch.tail, batch.tail + 100);
    batch.append(100, ChecksumState.Partial, 50, 20);
    link.send(batch);
    clock.runUntilIdle();
    expect(arrived).to.equal(1);
    expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
    expect(link.counters.dropped(DropReason.LinkMetadata)).to.equal(2);
  });
});
