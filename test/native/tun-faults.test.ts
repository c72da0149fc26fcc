import { closeSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { HostNetwork } from '../../lib/link/host-network.js';
import { BATCH_HEADER_WORDS, type PacketBatch, SlotWord } from '../../lib/link/packet-batch.js';
import { nativeAddon } from '../../lib/link/tun-addon.js';
import { TunDevice, type TunOptions } from '../../lib/link/tun-device.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { Collector, packet, send, sleep, TCP, UDP } from './support/packets.js';

const ENDS = { from: '10.1.0.2', to: '10.1.0.1' };
const datagram = packet({ ...ENDS, protocol: UDP, payload: 100 });

/**
 * Whether the event loop sleeps while there is nothing to do. One that spins never does; one that collects
 * garbage or waits for a processor does at the second look or the third.
 */
async function sleeps(): Promise<boolean> {
  for (let look = 0; look < 5; look++) {
    const before = performance.eventLoopUtilization();
    await sleep(50);
    if (performance.eventLoopUtilization(before).utilization < 0.5) return true;
  }
  return false;
}

/** What surfaces as uncaught while `act` runs. */
async function uncaughtDuring(act: () => Promise<void>): Promise<unknown[]> {
  const mochas = process.listeners('uncaughtException');
  const caught: unknown[] = [];
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => caught.push(error));
  try {
    await act();
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of mochas) process.on('uncaughtException', listener);
  }
  return caught;
}

describe('TunDevice when things go wrong', function () {
  before(needsTun);

  this.timeout(20_000);
  let netns: TestNamespace;
  let host: HostNetwork;
  const devices: TunDevice[] = [];

  before(async function () {
    netns = await TestNamespace.createOrSkip(this);
    host = HostNetwork.open({ netns: netns.path });
  });
  after(async () => {
    host?.close();
    await netns?.close();
  });
  afterEach(() => {
    for (const device of devices.splice(0)) device.close();
  });

  const create = (options: TunOptions = {}): TunDevice => {
    const device = TunDevice.create({ netns: netns.path, address: '10.1.0.1/24', ...options });
    devices.push(device);
    return device;
  };
  /** Two devices joined by sockets that keep packets apart. */
  const joined = (left: TunOptions = {}, right: TunOptions = {}): [TunDevice, TunDevice] => {
    const [a, b] = nativeAddon().socketPair();
    const pair: [TunDevice, TunDevice] = [
      TunDevice.create({ fd: a, ...left }),
      TunDevice.create({ fd: b, ...right }),
    ];
    devices.push(...pair);
    return pair;
  };

  describe('the interface', () => {
    it('counts what it is given while the link is down, and goes on when it is up', async () => {
      const device = create({ name: 'updown' });
      const { down } = new Collector(device);
      host.setLink('updown', { up: false });
      const batch = device.borrow() as PacketBatch;
      for (let i = 0; i < 3; i++) batch.appendPacket(datagram, ChecksumState.Valid);
      device.send(batch);
      expect(device.stats).to.deep.include({ txPackets: 0, txDropped: 3, txDroppedBy: { EIO: 3 } });
      host.setLink('updown', { up: true });
      send(device, datagram);
      expect(device.stats).to.deep.include({ txPackets: 1, txDropped: 3 });
      await sleep(10);
      expect(down).to.deep.equal([]);
    });

    it('says once that it was deleted, and costs nothing afterwards', async () => {
      const device = create({ name: 'gone' });
      const collector = new Collector(device);
      host.deleteLink('gone');
      await collector.until(() => collector.down.length > 0);
      expect(collector.down[0]).to.deep.include({ code: 'EBADFD', syscall: 'read', address: 'gone' });
      expect(await sleeps()).to.equal(true);
      expect(collector.down).to.have.length(1);
      send(device, datagram);
      expect(device.stats).to.deep.include({ txDropped: 1, txDroppedBy: { EBADFD: 1 } });
    });

    it('says so too when a write finds out first, but never from within the write', async () => {
      const device = create({ name: 'away' });
      const collector = new Collector(device);
      host.deleteLink('away');
      send(device, datagram);
      expect(collector.down).to.deep.equal([]);
      expect(device.stats.txDroppedBy).to.deep.equal({ EBADFD: 1 });
      await collector.until(() => collector.down.length > 0);
      expect(collector.down[0]).to.have.property('code', 'EBADFD');
    });

    it('goes down with the socket it was made of', async () => {
      const [left, right] = joined();
      const collector = new Collector(right);
      left.close();
      await collector.until(() => collector.down.length > 0);
      expect(collector.down[0]).to.have.property('code', 'ECONNRESET');
      expect(await sleeps()).to.equal(true);
    });

    it('stays awake after packets that came soon, if it may, and sleeps when nothing comes', async () => {
      const foundAwake = async (busyPollUs: number): Promise<number> => {
        const [left, right] = joined({ busyPollUs }, { busyPollUs });
        const collector = new Collector(right);
        left.open(() => {});
        send(left, datagram);
        for (let i = 1; i <= 200; i++) {
          await collector.until(() => collector.received.length >= i);
          send(left, datagram);
        }
        expect(await sleeps(), 'it sleeps').to.equal(true);
        return right.stats.rxAwake;
      };
      expect(await foundAwake(0)).to.equal(0);
      expect(await foundAwake(10_000)).to.be.above(0);
    });

    it('goes down when its memory is transferred away, at the next packet in or out', async () => {
      const takeAway = ({ bytes }: PacketBatch): void => {
        structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
      };
      const ended = (device: TunDevice): Promise<Error> =>
        new Promise((resolve) => {
          device.onDown = resolve;
        });
      const [left, right] = joined();
      const [leftEnd, rightEnd] = [ended(left), ended(right)];
      left.open(() => {});
      right.open((batch) => {
        takeAway(batch);
        send(left, datagram);
      });
      send(left, datagram);
      expect(await rightEnd).to.have.property('code', 'EFAULT');
      const lent = left.borrow() as PacketBatch;
      takeAway(lent);
      lent.words[0] = 1;
      left.send(lent);
      expect(left.stats.txDroppedBy).to.deep.equal({ EFAULT: 1 });
      expect(await leftEnd).to.have.property('code', 'EFAULT');
    });
  });

  describe('a full device', () => {
    it('lends nothing, loses nothing, and says when it takes packets again', async () => {
      const [left, right] = joined();
      let writable = 0;
      left.onWritable = () => writable++;
      left.open(() => {});
      let sent = 0;
      for (let batch = left.borrow(); batch !== undefined; batch = left.borrow()) {
        for (let i = 0; i < 20; i++, sent++) {
          batch.appendPacket(
            packet({ ...ENDS, protocol: UDP, payload: 1000, seed: sent }),
            ChecksumState.Valid,
          );
        }
        left.send(batch);
      }
      expect(left.stats.txBlocked).to.equal(1);
      expect(await sleeps(), 'it waits without spinning').to.equal(true);
      const collector = new Collector(right);
      const received = await collector.take(sent);
      expect(received.map(({ bytes }) => bytes[28])).to.deep.equal(received.map((_, i) => i & 255));
      expect(writable).to.equal(1);
      expect(left.borrow()?.count).to.equal(0);
      expect(left.stats).to.deep.include({ txPackets: sent, txDropped: 0 });
      send(left, datagram);
      await collector.take(1);
    });

    it('keeps the texts that wait, whatever becomes of the memory they were lent from', async () => {
      const [left, right] = joined();
      left.open(() => {});
      const memory = new Uint8Array(1000);
      let sent = 0;
      for (let batch = left.borrow(); batch !== undefined; batch = left.borrow()) {
        memory.fill(sent);
        const payload = packet({ ...ENDS, protocol: UDP, payload: 1000 });
        for (let i = 0; i < 20; i++) {
          batch.appendPacket(payload, ChecksumState.Valid);
          batch.lendText(memory, 0, 1000);
        }
        left.send(batch);
        sent++;
      }
      structuredClone(memory.buffer, { transfer: [memory.buffer] });
      const received = await new Collector(right).take(20 * sent);
      expect(received.map(({ bytes }) => bytes.at(-1))).to.deep.equal(received.map((_, i) => (i / 20) | 0));
      expect(left.stats).to.deep.include({ txPackets: 20 * sent, txDropped: 0, txBlocked: 1 });
    });

    it('completes a checksum once, however often it tries', async () => {
      const [left, right] = joined();
      left.open(() => {});
      let sent = 0;
      const partial = packet({ ...ENDS, protocol: TCP, payload: 999, partial: true });
      for (let batch = left.borrow(); batch !== undefined; batch = left.borrow()) {
        for (let i = 0; i < 20; i++, sent++) batch.appendPacket(partial, ChecksumState.Partial);
        left.send(batch);
      }
      const received = await new Collector(right).take(sent);
      expect(received.filter(({ checksum }) => checksum !== ChecksumState.Valid)).to.have.length(0);
    });

    it('counts what it still held when it is closed, or fails', async () => {
      for (const end of ['close', 'fail'] as const) {
        const [left, right] = joined();
        const collector = new Collector(left);
        let sent = 0;
        for (let batch = left.borrow(); batch !== undefined; batch = left.borrow()) {
          for (let i = 0; i < 20; i++, sent++) batch.appendPacket(datagram, ChecksumState.Valid);
          left.send(batch);
        }
        if (end === 'close') left.close();
        else right.close();
        if (end === 'fail') await collector.until(() => collector.down.length > 0);
        const { txPackets, txDropped, txDroppedBy } = left.stats;
        expect(txDropped).to.be.above(0);
        expect(txPackets + txDropped).to.equal(sent);
        const reasons = Object.keys(txDroppedBy);
        expect(reasons).to.have.length(1);
        expect(reasons[0]).to.be.oneOf(end === 'close' ? ['ECANCELED'] : ['EPIPE', 'ECONNRESET']);
      }
    });
  });

  describe('metadata that contradict the packet', () => {
    const tcp = packet({ ...ENDS, protocol: TCP, payload: 3000, partial: true });
    const tcp6 = packet({ from: 'fd00::2', to: 'fd00::1', protocol: TCP, payload: 3000, partial: true });
    const udp = packet({ ...ENDS, protocol: UDP, payload: 3000, partial: true });
    /** flags, GSO type, header length, GSO size, checksum start and offset */
    type Virtio = [number, number, number, number, number, number];
    const framed = (virtio: Virtio, body: Uint8Array): Uint8Array => {
      const bytes = new Uint8Array(12 + body.length);
      const [flags, type, ...words] = virtio;
      bytes.set([flags, type]);
      bytes.set(new Uint8Array(Uint16Array.from(words).buffer), 2);
      bytes.set(body, 12);
      return bytes;
    };
    const shortened = new Uint8Array(tcp);
    new DataView(shortened.buffer).setUint16(2, 2000);
    const fragment = packet({ ...ENDS, protocol: TCP, payload: 3000, partial: true, fragment: 0x2000 });

    it('drop it, and only it, counted [E32]', async () => {
      const [raw, virtio] = joined({}, { virtioHeader: true });
      raw.open(() => {});
      const collector = new Collector(virtio);
      const bad: Array<[Virtio, Uint8Array]> = [
        [[1, 0, 0, 0, 20, 4000], tcp], // checksum outside
        [[1, 0, 0, 0, 20, tcp.length - 21], tcp],
        [[1, 0, 0, 0, 0xffff, 0xffff], tcp],
        [[1, 1, 40, 1000, 20, 4000], tcp],
        [[1, 1, 40, 1000, 0xffff, 0xffff], tcp],
        [[1, 1, 40, 0, 20, 16], tcp], // no segment size
        [[0, 1, 40, 1000, 0, 0], tcp], // no checksum asked
        [[1, 4, 40, 1000, 20, 16], tcp], // IPv6 in name
        [[1, 5, 40, 1000, 20, 16], tcp], // UDP in name
        [[1, 3, 28, 1000, 20, 6], udp], // UFO, which nobody offered
        [[1, 0x85, 28, 1000, 20, 6], udp], // ECN without TCP
        [[1, 0x80, 40, 1000, 20, 16], tcp], // ECN of nothing
        [[1, 1, 40, 1000, 21, 16], tcp], // not where TCP is
        [[1, 1, 40, 1000, 20, 6], tcp], // not where TCP's checksum is
        [[1, 1, 0xffff, 1000, 20, 16], tcp], // header longer than all
        [[4, 0, 0, 0, 0, 0], tcp], // flags nobody knows
        [[1, 1, 40, 1000, 20, 16], tcp.subarray(0, 2000)], // IP longer than what came
        [[1, 1, 40, 1000, 20, 16], shortened], // IP shorter
        [[1, 1, 40, 1000, 20, 16], fragment],
        [[1, 4, 60, 1000, 40, 16], tcp6.subarray(0, 70)],
        [[1, 1, 40, 1000, 20, 16], Uint8Array.of(0x45)],
        [[0, 0, 0, 0, 0, 0], new Uint8Array(0)],
      ];
      for (const [header, body] of bad) send(raw, framed(header, body));
      send(raw, Uint8Array.of(1, 2, 3));
      send(raw, framed([1, 1, 40, 1000, 20, 16], tcp));
      send(raw, framed([1, 4, 60, 1000, 40, 16], tcp6));
      const received = await collector.take(2);
      expect(received.map(({ segmentSize, headerBytes }) => [segmentSize, headerBytes])).to.deep.equal([
        [1000, 40],
        [1000, 60],
      ]);
      expect(virtio.stats).to.deep.include({ rxPackets: 2, rxMetadata: bad.length + 1 });
      expect(collector.down).to.deep.equal([]);
    });

    it('but a checksum of a protocol nobody here knows is completed as told', async () => {
      const [raw, virtio] = joined({}, { virtioHeader: true });
      raw.open(() => {});
      const collector = new Collector(virtio);
      const body = packet({ ...ENDS, protocol: UDP, payload: 100 });
      body[9] = 200;
      body.fill(0, 26, 28);
      send(raw, framed([1, 0, 0, 0, 20, 6], body));
      const [{ bytes, checksum }] = await collector.take(1);
      expect(checksum).to.equal(ChecksumState.Unknown);
      expect(nativeAddon().checksum(bytes, 20, bytes.length - 20)).to.equal(0xffff);
    });

    it('that vouch for a checksum are believed', async () => {
      const [raw, virtio] = joined({}, { virtioHeader: true });
      raw.open(() => {});
      send(raw, framed([2, 0, 0, 0, 0, 0], tcp));
      const [{ checksum }] = await new Collector(virtio).take(1);
      expect(checksum).to.equal(ChecksumState.Valid);
    });
  });

  describe('what the callback does', () => {
    it('throws: uncaught as anywhere in Node, and the device goes on [G9]', async () => {
      const [left, right] = joined();
      left.open(() => {});
      let calls = 0;
      right.open((batch) => {
        calls += batch.count;
        if (calls === 1) throw new Error('thrown by the application');
      });
      const caught = await uncaughtDuring(async () => {
        send(left, datagram);
        while (calls < 1) await sleep(1);
        send(left, datagram);
        while (calls < 2) await sleep(1);
      });
      expect(caught.map(String)).to.deep.equal(['Error: thrown by the application']);
      expect(right.stats).to.deep.include({ rxPackets: 2, rxBatches: 2 });
    });

    it('throws when told that the device is writable or down: the same [G9]', async () => {
      const [left, right] = joined();
      left.onWritable = () => {
        throw new Error('writable');
      };
      left.onDown = () => {
        throw new Error('down');
      };
      left.open(() => {});
      for (let batch = left.borrow(); batch !== undefined; batch = left.borrow()) {
        for (let i = 0; i < 20; i++) batch.appendPacket(datagram, ChecksumState.Valid);
        left.send(batch);
      }
      const caught = await uncaughtDuring(async () => {
        right.open(() => {});
        while (left.borrow() === undefined) await sleep(1);
        send(left, datagram);
        right.close();
        await sleep(20);
      });
      expect(caught.map(String)).to.deep.equal(['Error: writable', 'Error: down']);
    });

    it('closes its own device, with packets still to come', async () => {
      const [left, right] = joined();
      left.open(() => {});
      const heard: number[] = [];
      right.open((batch) => {
        right.close();
        expect(batch.length(0)).to.equal(datagram.length);
        heard.push(batch.count);
      });
      for (let i = 0; i < 100; i++) send(left, datagram);
      await sleep(30);
      expect(heard).to.deep.equal([64]);
    });

    it('sends from within, also more than fits', async () => {
      const [left, right] = joined();
      let echoed = 0;
      right.open((batch) => {
        for (let i = 0; i < batch.count; i++) {
          const back = right.borrow();
          if (back === undefined) return;
          back.appendCopy(batch, i);
          right.send(back);
          echoed++;
        }
      });
      const collector = new Collector(left);
      for (let i = 0; i < 64; i++) send(left, datagram);
      await collector.take(64);
      expect(echoed).to.equal(64);
    });

    it('runs in an async context of its own, and what it queues runs before the next', async () => {
      const [left, right] = joined();
      left.open(() => {});
      const order: string[] = [];
      right.open(() => {
        order.push('batch');
        process.nextTick(() => order.push('tick'));
        void Promise.resolve().then(() => order.push('microtask'));
      });
      for (let i = 0; i < 100; i++) send(left, datagram);
      while (order.length < 6) await sleep(1);
      expect(order).to.deep.equal(['batch', 'tick', 'microtask', 'batch', 'tick', 'microtask']);
    });
  });

  describe('misuse', () => {
    it('fails softly before opening, twice, and after closing', () => {
      const [left, right] = joined();
      expect(left.borrow()).to.equal(undefined);
      left.open(() => {});
      expect(() => left.open(() => {}))
        .to.throw()
        .with.property('code', 'EBADF');
      const batch = left.borrow() as PacketBatch;
      left.close();
      left.close();
      left.send(batch);
      left.ref();
      left.unref();
      expect(left.borrow()).to.equal(undefined);
      expect(left.fd).to.equal(-1);
      expect(() => left.open(() => {}))
        .to.throw()
        .with.property('code', 'EBADF');
      right.close();
      expect(() => right.open(() => {}))
        .to.throw()
        .with.property('code', 'EBADF');
    });

    it('of the addon itself is refused: memory that could be detached, wrong types, too small', () => {
      const [left] = joined();
      const native = new (nativeAddon().NativeTun)({ fd: left.fd, offload: false });
      const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
      const good = (): [Uint8Array, Int32Array, Uint8Array, Int32Array, Float64Array, () => void] => [
        new Uint8Array(shared(1 << 17)),
        new Int32Array(shared(4096)),
        new Uint8Array(shared(1 << 17)),
        new Int32Array(shared(4096)),
        new Float64Array(shared(8 * 176)),
        () => {},
      ];
      const Resizable = ArrayBuffer as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
      const bad: Array<[number, unknown]> = [
        [0, new Uint8Array(new Resizable(1 << 17, { maxByteLength: 1 << 18 }))],
        [0, new Uint8Array(shared(1000))],
        [0, new Int8Array(shared(1 << 17))],
        [1, new Int32Array(4096)],
        [1, new Int32Array(shared(40))],
        [2, null],
        [3, new Uint32Array(shared(4096))],
        [4, new Float64Array(shared(64))],
        [5, 'no function'],
      ];
      for (const [place, value] of bad) {
        const given = good();
        given[place] = value as never;
        expect(() => native.start(...given), `argument ${place}`).to.throw(TypeError);
      }
      native.release();
    });

    it('with a table of packets that lies is survived', async () => {
      const [left, right] = joined();
      const collector = new Collector(right);
      left.open(() => {});
      const batch = left.borrow() as PacketBatch;
      batch.appendPacket(datagram, ChecksumState.Valid);
      for (const count of [-5, 1 << 30]) {
        batch.words[0] = count;
        left.send(batch);
      }
      const memory = new Uint8Array(50);
      const lies: [at: number, bytes: number, memory: number][] = [
        [1, 50, 0],
        [0, 51, 0],
        [51, 0x7fffffff, 0],
        [-1, 10, 0],
        [0, -1, 0],
        [0, 10, 1],
        [0, 10, -1],
      ];
      for (const [at, bytes, place] of lies) {
        batch.appendPacket(datagram, ChecksumState.Valid);
        batch.lendText(memory, 0, 10);
        batch.words.set([at, bytes, place], BATCH_HEADER_WORDS + SlotWord.TEXT_AT);
        left.send(batch);
      }
      expect(left.stats.txDroppedBy.EINVAL).to.be.at.least(lies.length);
      batch.appendPacket(datagram, ChecksumState.Valid);
      left.send(batch);
      await collector.take(1);
      expect(left.stats.txPackets).to.be.at.least(1);
    });
  });

  it('opens and closes a thousand times without keeping anything', () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    create({ name: 'many', multiQueue: true });
    TunDevice.create({ netns: netns.path, name: 'many', multiQueue: true }).close();
    const before = descriptors();
    for (let i = 0; i < 1000; i++) {
      const device = TunDevice.create({ netns: netns.path, name: 'many', multiQueue: true });
      if (i % 3 > 0) device.open(() => {});
      if (i % 3 > 1) device.unref();
      device.close();
    }
    for (let i = 0; i < 10; i++) create({ name: 'each' }).close();
    expect(descriptors()).to.equal(before);
  });

  it('gives descriptors to other processes and takes them', () => {
    const addon = nativeAddon();
    const [left, right] = addon.socketPair();
    const [sent, kept] = addon.socketPair();
    addon.sendDescriptor(left, sent, 'hello');
    closeSync(sent);
    const { fd, text } = addon.receiveDescriptor(right);
    expect(text).to.equal('hello');
    addon.sendDescriptor(kept, left, 'again');
    const second = addon.receiveDescriptor(fd);
    const stolen = addon.stealDescriptor(process.pid, second.fd);
    expect(() => addon.receiveDescriptor(stolen))
      .to.throw()
      .with.property('errno', 11);
    expect(() => addon.stealDescriptor(process.pid, 9999))
      .to.throw()
      .with.property('errno', 9);
    expect(() => addon.sendDescriptor(left, 9999))
      .to.throw()
      .with.property('errno', 9);
    for (const open of [left, right, kept, fd, second.fd, stolen]) closeSync(open);
  });
});
