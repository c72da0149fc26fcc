import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { PacketLink, type PacketLinkOptions } from '../../../lib/link/packet-link.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { makePacket, pattern } from './packets.js';

function opened(options: Partial<PacketLinkOptions> = {}) {
  const clock = new VirtualClock();
  const sent: Uint8Array[] = [];
  const link = new PacketLink({ clock, mtu: 1500, send: (packet) => void sent.push(packet), ...options });
  const batches: Uint8Array[][] = [];
  link.open((batch) => {
    const packets: Uint8Array[] = [];
    for (let i = 0; i < batch.count; i++) {
      packets.push(batch.bytes.slice(batch.offset(i), batch.offset(i) + batch.length(i)));
    }
    batches.push(packets);
  });
  const send = (...packets: Uint8Array[]): boolean => {
    const batch = link.borrow();
    if (batch === undefined) return false;
    for (const packet of packets) batch.appendPacket(packet, ChecksumState.Valid);
    link.send(batch);
    return true;
  };
  return { clock, link, sent, batches, send };
}

describe('PacketLink', () => {
  it('gives the user each packet as a copy to keep, in memory of its own', () => {
    const { sent, send } = opened();
    send(pattern(20), pattern(30, 5));
    send(pattern(40, 9));
    expect(sent).to.deep.equal([pattern(20), pattern(30, 5), pattern(40, 9)]);
    expect(sent[0].buffer).to.be.instanceOf(ArrayBuffer);
    expect(sent[0].buffer.byteLength).to.equal(20);
  });

  it('copies what is received and hands over one batch a turn', () => {
    const { clock, link, batches } = opened();
    const packet = pattern(100);
    expect(link.receive(packet)).to.equal(true);
    packet.fill(0);
    link.receive(pattern(50));
    expect(batches).to.have.length(0);
    clock.advanceBy(0);
    expect(batches).to.deep.equal([[pattern(100), pattern(50)]]);
  });

  it('waits for ready() once send returns false, losing nothing', () => {
    const taken: number[] = [];
    let room = 2;
    const { clock, link, send } = opened({
      send: (packet) => {
        taken.push(packet.length);
        return --room > 0;
      },
    });
    send(pattern(1), pattern(2), pattern(3), pattern(4), pattern(5));
    expect(taken).to.deep.equal([1, 2]);
    expect(send(pattern(6))).to.equal(false);
    let told = 0;
    link.onWritable = () => {
      told++;
      expect(send(pattern(6))).to.equal(true);
    };
    room = 2;
    link.ready();
    expect(taken).to.deep.equal([1, 2, 3, 4]);
    room = 10;
    link.ready();
    expect(told).to.equal(0);
    clock.advanceBy(0);
    expect(told).to.equal(1);
    expect(taken).to.deep.equal([1, 2, 3, 4, 5, 6]);
  });

  it('takes ready() called from within send', () => {
    const taken: number[] = [];
    const { send, link } = opened({
      send: (packet) => {
        taken.push(packet.length);
        link.ready();
        return false;
      },
    });
    send(pattern(1), pattern(2), pattern(3));
    expect(taken).to.deep.equal([1, 2, 3]);
    expect(send(pattern(4))).to.equal(true);
  });

  it('bounds its queue by packets and bytes exactly and counts what it drops [I16]', () => {
    const { link } = opened({ queuePackets: 10 });
    for (let i = 0; i < 10; i++) expect(link.receive(pattern(20))).to.equal(true);
    expect(link.receive(pattern(20))).to.equal(false);
    expect(link.counters.dropped(DropReason.LinkQueueFull)).to.equal(1);
    const { link: narrow, clock, batches } = opened({ queueBytes: 65_536 });
    for (let i = 0; i < 64; i++) expect(narrow.receive(pattern(1024))).to.equal(true);
    expect(narrow.receive(pattern(1))).to.equal(false);
    clock.advanceBy(0);
    expect(batches.flat()).to.have.length(64);
    expect(narrow.receive(pattern(1))).to.equal(true);
  });

  it('takes empty packets as it takes others', () => {
    const { link, clock, batches } = opened();
    for (let i = 0; i < 200; i++) expect(link.receive(new Uint8Array(0))).to.equal(true);
    clock.advanceBy(0);
    expect(batches.flat()).to.have.length(200);
  });

  it('drops and counts what is too large either way, and refuses what is no packet', () => {
    const { link, send, sent } = opened({ mtu: 100 });
    expect(link.receive(new Uint8Array(65_536))).to.equal(false);
    send(pattern(99), pattern(101), pattern(100));
    expect(sent.map((packet) => packet.length)).to.deep.equal([99, 100]);
    expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(2);
    expect(() => link.receive('packet' as unknown as Uint8Array)).to.throw(TypeError);
    expect(() => opened({ mtu: 0 })).to.throw(RangeError);
    expect(() => opened({ queuePacket: 5 } as object))
      .to.throw(TypeError, /"queuePacket"/)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(() => new PacketLink(undefined as unknown as PacketLinkOptions))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(() => opened({ send: undefined as unknown as () => void })).to.throw(TypeError);
    expect(() => opened({ clock: undefined as unknown as VirtualClock })).to.throw(TypeError);
  });

  it('joins TCP packets on the way in, unless told not to', () => {
    const parts = [0, 1, 2].map((i) =>
      makePacket({ sequence: i * 100, identification: i, payload: pattern(100, i * 100) }),
    );
    const joining = opened();
    for (const packet of parts) joining.link.receive(packet);
    joining.clock.advanceBy(0);
    expect(joining.batches[0].map((packet) => packet.length)).to.deep.equal([340]);
    const plain = opened({ coalesce: false });
    for (const packet of parts) plain.link.receive(packet);
    plain.clock.advanceBy(0);
    expect(plain.batches[0]).to.deep.equal(parts);
  });

  it('fails when told to or when send throws, and tells the stack outside of any call', () => {
    const down: string[] = [];
    const failing = opened({
      send: () => {
        throw new Error('tunnel lost');
      },
    });
    failing.link.onDown = (error) => down.push(error.message);
    failing.send(pattern(10), pattern(11));
    expect(down).to.have.length(0);
    failing.link.fail(new Error('again'));
    failing.clock.runUntilIdle();
    expect(down).to.deep.equal(['tunnel lost']);
    expect(failing.send(pattern(10))).to.equal(false);
    expect(failing.link.receive(pattern(10))).to.equal(false);
    expect(failing.link.counters.dropped(DropReason.LinkError)).to.equal(2);
  });

  it('ends silently when closed, and tells its user once', () => {
    let closed = 0;
    const { clock, link, batches, send } = opened({ close: () => void closed++ });
    link.receive(pattern(10));
    link.close();
    link.close();
    clock.runUntilIdle();
    expect(closed).to.equal(1);
    expect(batches).to.have.length(0);
    expect(send(pattern(1))).to.equal(false);
    link.ready();
    link.fail(new Error('late'));
    expect(clock.pending).to.equal(0);
  });

  it('does not hand out a batch while its user is inside send', () => {
    const nested: unknown[] = [];
    const { link, send, clock } = opened({
      send: () => {
        nested.push(link.borrow());
      },
    });
    let told = 0;
    link.onWritable = () => told++;
    send(pattern(1), pattern(2));
    expect(nested).to.deep.equal([undefined, undefined]);
    clock.advanceBy(0);
    expect(told).to.equal(1);
    expect((link.borrow() as PacketBatch).count).to.equal(0);
  });
});

describe('PacketLink that sends batches', () => {
  /** Takes as many packets as there is room for. */
  function batching() {
    const clock = new VirtualClock();
    const world = { room: 2, taken: [] as Uint8Array[], calls: 0 };
    const link: PacketLink = new PacketLink({
      clock,
      mtu: 100,
      sendBatch(batch, first) {
        world.calls++;
        let next = first;
        for (; next < batch.count && world.room > 0; next++, world.room--) {
          world.taken.push(batch.bytes.slice(batch.offset(next), batch.offset(next) + batch.length(next)));
        }
        return next;
      },
    });
    link.open(() => {});
    const send = (...packets: Uint8Array[]): boolean => {
      const batch = link.borrow();
      if (batch === undefined) return false;
      for (const packet of packets) batch.appendPacket(packet, ChecksumState.Valid);
      link.send(batch);
      return true;
    };
    return { clock, world, link, send };
  }

  it('gives what was not taken again after ready(), in order', () => {
    const { clock, world, link, send } = batching();
    let told = 0;
    link.onWritable = () => told++;
    expect(send(pattern(1), pattern(2), pattern(3), pattern(4), pattern(5))).to.equal(true);
    expect(world.taken.map(({ length }) => length)).to.deep.equal([1, 2]);
    expect(send(pattern(6))).to.equal(false);
    expect(link.counters.outPackets).to.equal(2);
    world.room = 2;
    link.ready();
    world.room = 5;
    link.ready();
    clock.advanceBy(0);
    expect(told).to.equal(1);
    expect(send(pattern(6))).to.equal(true);
    expect(world.taken.map(({ length }) => length)).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect(world.calls).to.equal(4);
    expect(link.counters.outBytes).to.equal(21);
  });

  it('takes out what is larger than the MTU, and counts it', () => {
    const { world, link, send } = batching();
    world.room = 10;
    send(pattern(101), pattern(100), pattern(200), pattern(99));
    expect(world.taken).to.deep.equal([pattern(100), pattern(99)]);
    expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(2);
  });

  it('fails when sendBatch throws, or says what cannot be', () => {
    for (const wrong of [-1, 3, Number.NaN]) {
      const clock = new VirtualClock();
      let closed = 0;
      const link = new PacketLink({ clock, mtu: 100, sendBatch: () => wrong, close: () => void closed++ });
      const down: string[] = [];
      link.onDown = (error) => down.push(error.message);
      link.open(() => {});
      const batch = link.borrow() as PacketBatch;
      batch.appendPacket(pattern(10));
      batch.appendPacket(pattern(10));
      link.send(batch);
      clock.runUntilIdle();
      expect(down).to.have.length(1);
      expect(link.counters.dropped(DropReason.LinkError)).to.equal(2);
      link.close();
      expect(closed).to.equal(1);
    }
    const bad = { clock: new VirtualClock(), mtu: 100, sendBatch: 'no' as unknown as () => number };
    expect(() => new PacketLink(bad)).to.throw(TypeError, /sendBatch/);
  });

  it('says whether packets fit, and when they do again', () => {
    const clock = new VirtualClock();
    let rooms = 0;
    const link = new PacketLink({
      clock,
      mtu: 100,
      send: () => {},
      queuePackets: 64,
      onRoom: () => void rooms++,
    });
    link.open(() => {});
    for (let i = 0; i < 60; i++) link.receive(pattern(10));
    expect(link.fits(100, 4)).to.equal(true);
    expect(link.fits(100, 5)).to.equal(false);
    expect(link.fits(10)).to.equal(true);
    clock.advanceBy(0);
    expect(rooms).to.equal(1);
    expect(link.fits(5 << 20)).to.equal(false);
    link.receive(pattern(10));
    link.fail(new Error('gone'));
    expect(link.fits(1)).to.equal(false);
    expect(link.isUp).to.equal(false);
  });

  it('hands over what came before it failed, and then says so', () => {
    const clock = new VirtualClock();
    const heard: string[] = [];
    const link = new PacketLink({ clock, mtu: 100, send: () => {} });
    link.open((batch) => heard.push(`${batch.count} packets`));
    link.onDown = (error) => heard.push(error.message);
    link.receive(pattern(10));
    link.receive(pattern(10));
    link.fail(new Error('gone'));
    expect(link.receive(pattern(10))).to.equal(false);
    clock.runUntilIdle();
    expect(heard).to.deep.equal(['2 packets', 'gone']);
  });

  it('tells who opens it later that it has failed, behind what came before', () => {
    const clock = new VirtualClock();
    const heard: string[] = [];
    const link = new PacketLink({ clock, mtu: 100, send: () => {} });
    link.receive(pattern(10));
    link.fail(new Error('gone'));
    clock.runUntilIdle();
    link.onDown = (error) => heard.push(error.message);
    link.open((batch) => heard.push(`${batch.count} packets`));
    clock.runUntilIdle();
    expect(heard).to.deep.equal(['1 packets', 'gone']);
  });

  it('says that there is room also where the stack threw at what it was given', () => {
    const clock = new VirtualClock();
    let rooms = 0;
    const link = new PacketLink({
      clock,
      mtu: 100,
      send: () => {},
      queuePackets: 10,
      onRoom: () => void rooms++,
    });
    link.open(() => {
      throw new Error('of a handler');
    });
    for (let i = 0; i < 10; i++) link.receive(pattern(10));
    expect(link.fits(10)).to.equal(false);
    expect(() => clock.advanceBy(0)).to.throw('of a handler');
    clock.advanceBy(0);
    expect(rooms).to.equal(1);
  });
});
