import { expect } from 'chai';
import { LoopbackDevice } from '../../../lib/link/loopback.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { pattern } from './packets.js';

describe('LoopbackDevice', () => {
  it('gives back what it is given, whole, with its checksum state and mark, never inside send [E26]', () => {
    const clock = new VirtualClock();
    const lo = new LoopbackDevice({ clock });
    const seen: [number, number, number, number][] = [];
    lo.open((batch) => {
      for (let i = 0; i < batch.count; i++) {
        seen.push([batch.length(i), batch.checksum(i), batch.segmentSize(i), batch.mark(i)]);
      }
      const answer = lo.borrow() as PacketBatch;
      if (seen.length < 10) {
        answer.appendPacket(pattern(1), ChecksumState.Partial);
        lo.send(answer);
      }
    });
    const batch = lo.borrow() as PacketBatch;
    batch.bytes.set(pattern(65_535), batch.tail);
    batch.append(65_535, ChecksumState.Partial, 1460, 40);
    batch.words[8 + 5] = 9;
    lo.send(batch);
    expect(seen).to.have.length(0);
    clock.runUntilIdle();
    expect(seen[0]).to.deep.equal([65_535, ChecksumState.Partial, 1460, 9]);
    expect(seen).to.have.length(10);
    expect(lo.counters.inPackets).to.equal(10);
  });

  it('is bounded and says when there is room again', () => {
    const clock = new VirtualClock();
    const lo = new LoopbackDevice({ clock, queuePackets: 100 });
    lo.open(() => {});
    let sent = 0;
    for (let batch = lo.borrow(); batch !== undefined; batch = lo.borrow()) {
      batch.appendPacket(pattern(10));
      sent++;
      lo.send(batch);
    }
    expect(sent).to.be.within(1, 100);
    let told = 0;
    lo.onWritable = () => told++;
    clock.advanceBy(0);
    expect(told).to.equal(1);
    lo.close();
    lo.close();
    expect(lo.borrow()).to.equal(undefined);
    expect(clock.pending).to.equal(0);
  });
});
