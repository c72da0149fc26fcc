import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { HostNetwork } from '../../lib/link/host-network.js';
import { BATCH_HEADER_WORDS, type PacketBatch, SLOT_WORDS } from '../../lib/link/packet-batch.js';
import { nativeAddon } from '../../lib/link/tun-addon.js';
import { TunDevice, type TunOptions } from '../../lib/link/tun-device.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';
import {
  Collector,
  ICMP,
  ICMP6,
  packet,
  type Shape,
  send,
  TCP,
  transportChecksum,
  transportHolds,
  UDP,
} from './support/packets.js';

const CWR_ACK = 0x90;

describe('TunDevice', function () {
  before(needsTun);

  this.timeout(20_000);
  let netns: TestNamespace;
  let host: HostNetwork;
  const devices: TunDevice[] = [];

  before(async function () {
    netns = await TestNamespace.createOrSkip(this);
    await netns.shell(`
      echo 1 > /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`);
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
    const device = TunDevice.create({ netns: netns.path, ...options });
    devices.push(device);
    return device;
  };

  /** Two TUNs of one kernel that forwards between them. */
  const pair = (a: TunOptions, b: TunOptions): { from: TunDevice; to: Collector } => {
    const from = create({ name: 'from', address: ['10.1.0.1/24', 'fd01::1/64'], ...a });
    const into = create({ name: 'into', address: ['10.2.0.1/24', 'fd02::1/64'], ...b });
    from.open(() => {});
    return { from, to: new Collector(into, forwarded) };
  };
  /** Packets that came across, and not the kernel's own chatter. */
  const forwarded = (bytes: Uint8Array): boolean => bytes[bytes[0] >> 4 === 4 ? 13 : 9] === 1;

  const V4 = { from: '10.1.0.2', to: '10.2.0.2' };
  const V6 = { from: 'fd01::2', to: 'fd02::2' };

  describe('opening', () => {
    it('takes a name, or the one the kernel gives', () => {
      expect(create({ name: 'blue' }).name).to.equal('blue');
      expect(create().name).to.match(/^tun\d+$/);
      expect(create({ name: 'red%d' }).name).to.equal('red0');
    });

    it('sets MTU, queue length, addresses and state', () => {
      const device = create({ name: 'set', mtu: 1400, address: ['10.0.0.1/24', 'fd00::1/64'] });
      expect(device.mtu).to.equal(1400);
      expect(host.link('set')).to.deep.include({ mtu: 1400, txQueueLength: 10_000, up: true, kind: 'tun' });
      const addresses = host.listAddresses('set').map(({ address }) => address);
      expect(addresses).to.include.members(['10.0.0.1/24', 'fd00::1/64']);
    });

    it('leaves the interface down when asked to', () => {
      create({ name: 'low', up: false, txQueueLength: 77 });
      expect(host.link('low')).to.deep.include({ up: false, txQueueLength: 77 });
    });

    it('negotiates offloads, or leaves them', () => {
      const full = create();
      expect(full.offloads).to.deep.include({ checksum: true, tso: true, tsoEcn: true });
      expect(full.maxPacketBytes).to.equal(65_535);
      const plain = create({ offload: false, mtu: 1280 });
      expect(plain.offloads).to.deep.equal({ checksum: false, tso: false, tsoEcn: false, uso: false });
      expect(plain.maxPacketBytes).to.equal(1280);
    });

    it('refuses what can never be, at once', () => {
      expect(() => create({ mtu: 67 })).to.throw(RangeError, '68');
      expect(() => create({ mtu: 1500.5 })).to.throw(RangeError);
      expect(() => create({ txQueueLength: 0 })).to.throw(RangeError);
      expect(() => create({ busyPollUs: -1 })).to.throw(RangeError, '10000');
      expect(() => create({ busyPollUs: 10_001 })).to.throw(RangeError);
      expect(() => create({ address: 'nonsense' })).to.throw(TypeError);
      expect(() => create({ adress: '10.0.0.1/24' } as TunOptions)).to.throw(TypeError, 'adress');
      expect(() => create({ name: 'a-name-much-too-long' }))
        .to.throw()
        .with.property('code', 'ENAMETOOLONG');
    });

    it('throws errors in the shape of Node', () => {
      create({ name: 'taken' });
      expect(() => create({ name: 'taken' }))
        .to.throw('ioctl EBUSY taken')
        .that.deep.includes({ code: 'EBUSY', errno: -16, syscall: 'ioctl' });
      expect(() => create({ netns: '/nowhere/at/all' }))
        .to.throw('open ENOENT /nowhere/at/all')
        .with.property('code', 'ENOENT');
      expect(() => create({ netns: '/dev/null' }))
        .to.throw('setns EINVAL /dev/null')
        .with.property('syscall', 'setns');
    });

    it('leaves nothing behind when configuring fails', () => {
      expect(() => create({ name: 'half', mtu: 600, address: 'fd00::1/64' })).to.throw();
      expect(host.link('half')).to.equal(undefined);
    });

    it('stays in this namespace itself', () => {
      create({ name: 'inside' });
      const here = HostNetwork.open();
      expect(here.link('inside')).to.equal(undefined);
      here.close();
    });

    it('opens several queues of one interface', () => {
      const first = create({ name: 'queues', multiQueue: true });
      const second = create({ name: 'queues', multiQueue: true });
      expect(second.name).to.equal(first.name);
      first.close();
      expect(host.link('queues')).not.to.equal(undefined);
      second.close();
      expect(host.link('queues')).to.equal(undefined);
    });

    it('makes an interface persist, and finds it again', () => {
      create({ name: 'stays', persist: true, address: '10.0.7.1/24' }).close();
      expect(host.link('stays')).to.deep.include({ up: true, running: false });
      create({ name: 'stays' }).close();
      host.deleteLink('stays');
      expect(host.link('stays')).to.equal(undefined);
    });

    it('adopts an open descriptor and finds out what it offers', () => {
      for (const offload of [true, false]) {
        const first = create({ name: 'given', mtu: 1300, offload });
        // Adoption takes a descriptor over: this is a copy in place of the one somebody would hand us.
        const copy = nativeAddon().stealDescriptor(process.pid, first.fd);
        const adopted = TunDevice.create({ fd: copy });
        devices.push(adopted);
        first.close();
        expect(adopted).to.deep.include({ name: 'given', mtu: 1300, offloads: first.offloads });
        expect(adopted.maxPacketBytes).to.equal(first.maxPacketBytes);
        adopted.close();
        expect(host.link('given')).to.equal(undefined);
      }
    });

    it('refuses to adopt what is no device, and leaves it open', () => {
      const fd = openSync('/dev/null', 'r+');
      expect(() => create({ fd }))
        .to.throw()
        .with.property('code', 'EBADFD');
      closeSync(fd);
      expect(() => create({ fd: 9999 })).to.throw('fcntl EBADF fd 9999');
    });
  });

  describe('sending and receiving', () => {
    it('carries packets of both families, stamped, with checksums the kernel completes', async () => {
      const { from, to } = pair({}, {});
      const before = process.hrtime.bigint();
      for (const ends of [V4, V6]) {
        for (const protocol of [TCP, UDP]) {
          send(from, packet({ ...ends, protocol, payload: 33, partial: true }), {
            checksum: ChecksumState.Partial,
          });
        }
      }
      for (const { bytes, checksum, segmentSize, timeNs } of await to.take(4)) {
        expect([ChecksumState.Partial, ChecksumState.Valid]).to.include(checksum);
        expect(checksum === ChecksumState.Partial || transportHolds(bytes)).to.equal(true);
        expect(segmentSize).to.equal(0);
        expect(timeNs).to.be.within(Number(before), Number(process.hrtime.bigint()));
      }
      expect(from.stats).to.deep.include({ txPackets: 4, txDropped: 0 });
    });

    for (const { title, ends, protocol, headerBytes, flags } of [
      { title: 'TCP over IPv4', ends: V4, protocol: TCP, headerBytes: 40, flags: CWR_ACK },
      { title: 'TCP over IPv6', ends: V6, protocol: TCP, headerBytes: 60, flags: 0x10 },
      { title: 'UDP over IPv4', ends: V4, protocol: UDP, headerBytes: 28, flags: 0 },
      { title: 'UDP over IPv6', ends: V6, protocol: UDP, headerBytes: 48, flags: 0 },
    ]) {
      const shape = { ...ends, protocol, payload: 30_000, partial: true, tcpFlags: flags };

      it(`carries super-packets of ${title} whole`, async function () {
        const { from, to } = pair({}, {});
        if (protocol === UDP && !from.udpSegmentation) return skip(this, 'needs Linux 6.2');
        const sent = packet(shape);
        send(from, sent, { checksum: ChecksumState.Partial, segmentSize: 1000, headerBytes });
        const [received] = await to.take(1);
        expect(received).to.deep.include({ checksum: ChecksumState.Partial, segmentSize: 1000, headerBytes });
        expect(received.bytes.length).to.equal(sent.length);
        expect(received.bytes.subarray(headerBytes)).to.deep.equal(sent.subarray(headerBytes));
      });

      it(`has the kernel split super-packets of ${title} where the other side cannot take them`, async function () {
        const { from, to } = pair({}, { offload: false });
        if (protocol === UDP && !from.udpSegmentation) return skip(this, 'needs Linux 6.2');
        send(from, packet(shape), { checksum: ChecksumState.Partial, segmentSize: 1000, headerBytes });
        const received = await to.take(30);
        for (const { bytes, checksum } of received) {
          expect(checksum).to.equal(ChecksumState.Valid);
          expect(bytes.length).to.equal(headerBytes + 1000);
        }
        // CWR belongs on the first segment only (RFC 3168 §6.1.2); the ECN bit of the type says so.
        const cwr = received.map(({ bytes }) => protocol === TCP && (bytes[headerBytes - 7] & 0x80) !== 0);
        expect(cwr).to.deep.equal(received.map((_, i) => i === 0 && flags === CWR_ACK));
      });
    }

    it('sends a super-packet of one segment as a plain packet', async () => {
      const { from, to } = pair({}, {});
      const shape = { ...V4, protocol: TCP, payload: 900, partial: true };
      send(from, packet(shape), { checksum: ChecksumState.Partial, segmentSize: 1000, headerBytes: 40 });
      const [received] = await to.take(1);
      expect(received.segmentSize).to.equal(0);
    });

    it('completes checksums itself on a device without offloads', async () => {
      const { from, to } = pair({ offload: false }, { offload: false });
      for (const ends of [V4, V6]) {
        for (const protocol of [TCP, UDP]) {
          for (const payload of [1, 2, 57, 1000, 1400]) {
            send(from, packet({ ...ends, protocol, payload, partial: true, seed: payload }), {
              checksum: ChecksumState.Partial,
            });
          }
        }
      }
      for (const { bytes, checksum } of await to.take(20)) {
        expect(checksum).to.equal(ChecksumState.Valid);
        expect(transportHolds(bytes)).to.equal(true);
      }
    });

    for (const offload of [true, false]) {
      it(`gathers texts that lie elsewhere, ${offload ? 'with' : 'without'} offloads`, async () => {
        const { from, to } = pair({ offload }, { offload });
        const memories = [new Uint8Array(10_000), new Uint8Array(10_000)];
        const wanted: Uint8Array[] = [];
        const batch = from.borrow() as PacketBatch;
        for (const [i, payload] of [1, 2, 57, 1000, 1400, 1].entries()) {
          const shape = { ...(i % 2 === 0 ? V4 : V6), protocol: TCP, payload, seed: 10 * i };
          wanted.push(packet(shape));
          const bytes = packet({ ...shape, partial: true });
          const memory = memories[i >> 2];
          bytes.fill(0xee, bytes.length - payload);
          batch.appendPacket(bytes, ChecksumState.Partial);
          batch.lendText(memory, 1500 * i + 1, payload);
          memory.set(packet(shape).subarray(-payload), 1500 * i + 1);
        }
        expect(batch.memories).to.deep.equal(memories);
        from.send(batch);
        expect(batch.memories).to.deep.equal([]);
        const received = await to.take(wanted.length);
        for (const [i, { bytes, checksum }] of received.entries()) {
          const headers = i % 2 === 0 ? 40 : 60;
          expect([...bytes.subarray(headers)]).to.deep.equal([...wanted[i].subarray(headers)]);
          if (!offload) expect(checksum).to.equal(ChecksumState.Valid);
        }
        // What comes next in the same slots is whole again.
        send(from, wanted[3], { checksum: ChecksumState.Valid });
        expect([...(await to.take(1))[0].bytes.subarray(60)]).to.deep.equal([...wanted[3].subarray(60)]);
      });
    }

    it('never sends a UDP checksum of zero, which would mean none (RFC 768)', async () => {
      const { from, to } = pair({ offload: false }, { offload: false });
      for (const ends of [V4, V6]) {
        const bytes = packet({ ...ends, protocol: UDP, payload: 40, partial: true });
        const at = bytes.length - 48;
        // What the checksum would be goes where it makes the sum all ones, and the checksum zero.
        const whole = packet({ ...ends, protocol: UDP, payload: 40 });
        bytes.fill(0, bytes.length - 2);
        whole.fill(0, whole.length - 2);
        new DataView(whole.buffer).setUint16(at + 6, 0);
        new DataView(bytes.buffer).setUint16(bytes.length - 2, transportChecksum(whole));
        send(from, bytes, { checksum: ChecksumState.Partial });
        const [{ bytes: received, checksum }] = await to.take(1);
        expect([...received.subarray(at + 6, at + 8)]).to.deep.equal([0xff, 0xff]);
        expect(checksum).to.equal(ChecksumState.Valid);
      }
    });

    it('says in the virtio header what a packet is', async () => {
      const [left, right] = nativeAddon().socketPair();
      const from = create({ fd: left, virtioHeader: true });
      const to = new Collector(create({ fd: right }));
      from.open(() => {});
      const headerOf = async (shape: Shape, segmentSize: number, headerBytes: number): Promise<number[]> => {
        const checksum = shape.partial === true ? ChecksumState.Partial : ChecksumState.Valid;
        send(from, packet(shape), { checksum, segmentSize, headerBytes });
        const [{ bytes }] = await to.take(1);
        const words = new Uint16Array(bytes.slice(0, 12).buffer);
        return [bytes[0], bytes[1], ...words.subarray(1)];
      };
      const large = { payload: 5000, partial: true };
      // flags, GSO type, header length, GSO size, checksum start and offset, buffers
      for (const [shape, segmentSize, headerBytes, expected] of [
        [{ ...V4, protocol: UDP, payload: 9 }, 0, 0, [0, 0, 0, 0, 0, 0, 0]],
        [{ ...V4, protocol: UDP, payload: 9, partial: true }, 0, 0, [1, 0, 0, 0, 20, 6, 0]],
        [{ ...V6, protocol: ICMP6, payload: 9, partial: true }, 0, 0, [1, 0, 0, 0, 40, 2, 0]],
        [{ ...V6, protocol: TCP, payload: 9, partial: true, extension: 8 }, 0, 0, [1, 0, 0, 0, 48, 16, 0]],
        [{ ...V4, protocol: TCP, ...large }, 1000, 40, [1, 1, 40, 1000, 20, 16, 0]],
        [{ ...V4, protocol: TCP, ...large, tcpFlags: CWR_ACK }, 1000, 40, [1, 0x81, 40, 1000, 20, 16, 0]],
        [{ ...V6, protocol: TCP, ...large }, 1000, 60, [1, 4, 60, 1000, 40, 16, 0]],
        [{ ...V6, protocol: TCP, ...large, tcpFlags: CWR_ACK }, 1000, 60, [1, 0x84, 60, 1000, 40, 16, 0]],
        [{ ...V4, protocol: UDP, ...large }, 1000, 28, [1, 5, 28, 1000, 20, 6, 0]],
        [{ ...V6, protocol: UDP, ...large }, 1000, 48, [1, 5, 48, 1000, 40, 6, 0]],
      ] as const) {
        expect(await headerOf(shape, segmentSize, headerBytes)).to.deep.equal(expected);
      }
    });

    it('refuses super-packets where there are no offloads, and counts them', () => {
      const { from } = pair({ offload: false }, {});
      const shape = { ...V4, protocol: TCP, payload: 3000, partial: true };
      const batch = from.borrow();
      batch?.bytes.set(packet(shape), batch.tail);
      batch?.append(3040, ChecksumState.Partial, 1000, 40);
      from.send(batch as PacketBatch);
      expect(from.stats).to.deep.include({ txPackets: 0, txDropped: 1, txDroppedBy: { EMSGSIZE: 1 } });
    });

    it('keeps what is behind a packet the kernel refuses', async () => {
      const { from, to } = pair({}, {});
      const batch = from.borrow() as PacketBatch;
      const add = (bytes: Uint8Array, offset?: number): void => {
        batch.bytes.set(bytes, batch.tail);
        const i = batch.append(bytes.length, ChecksumState.Valid, 0, 0);
        if (offset !== undefined) batch.words[BATCH_HEADER_WORDS + SLOT_WORDS * i] = offset;
      };
      add(new Uint8Array(40)); // version 0: no IP
      add(packet({ ...V4, protocol: UDP, payload: 5 }), 1 << 20); // outside the arena
      add(packet({ ...V4, protocol: UDP, payload: 5 }), -1);
      // One that begins inside the arena.
      batch.bytes.set(packet({ ...V4, protocol: UDP, payload: 5 }).subarray(0, 20), batch.bytes.length - 20);
      add(packet({ ...V4, protocol: UDP, payload: 5 }), batch.bytes.length - 20);
      add(packet({ ...V4, protocol: UDP, payload: 5 }));
      from.send(batch);
      expect(await to.take(1)).to.have.length(1);
      expect(from.stats).to.deep.include({ txPackets: 1, txDropped: 4, txDroppedBy: { EINVAL: 4 } });
    });

    it('lends at most 64 packets, and several times per turn of the loop', async () => {
      const { from, to } = pair({ offload: false }, { offload: false });
      const sizes: number[] = [];
      const sink = create({ name: 'sizes', address: '10.3.0.1/24' });
      sink.open((batch) => sizes.push(batch.count));
      for (let i = 0; i < 150; i++) send(from, packet({ ...V4, to: '10.3.0.2', protocol: UDP, payload: 10 }));
      await to.until(() => sizes.reduce((sum, size) => sum + size, 0) >= 150);
      expect(Math.max(...sizes)).to.equal(64);
    });

    it('holds at most 1 MiB per batch', async () => {
      const { from, to } = pair({}, {});
      const batches: number[] = [];
      const sink = create({ name: 'bulk', address: '10.3.0.1/24' });
      sink.open((batch) => batches.push(batch.tail));
      const shape = { ...V4, to: '10.3.0.2', protocol: TCP, payload: 60_000, partial: true };
      for (let i = 0; i < 40; i++) {
        send(from, packet(shape), { checksum: ChecksumState.Partial, segmentSize: 1400, headerBytes: 40 });
      }
      await to.until(() => sink.stats.rxPackets >= 40);
      expect(Math.max(...batches)).to.be.within(800_000, 1 << 20);
    });
  });

  describe('checksums of what comes in without offloads', () => {
    const verdictOf = async (bytes: Uint8Array): Promise<ChecksumState> => {
      const [left, right] = nativeAddon().socketPair();
      const from = create({ fd: left });
      const to = new Collector(create({ fd: right }));
      from.open(() => {});
      send(from, bytes);
      const [{ checksum }] = await to.take(1);
      from.close();
      to.device.close();
      return checksum;
    };
    const damaged = (bytes: Uint8Array, at: number): Uint8Array => {
      const copy = new Uint8Array(bytes);
      copy[at] ^= 0x40;
      return copy;
    };

    it('are found right or wrong for TCP, UDP and ICMP of both families', async () => {
      for (const [ends, protocols] of [
        [V4, [TCP, UDP, ICMP]],
        [V6, [TCP, UDP, ICMP6]],
      ] as const) {
        for (const protocol of protocols) {
          const right = packet({ ...ends, protocol, payload: 101 });
          expect(await verdictOf(right), `${ends.from} ${protocol}`).to.equal(ChecksumState.Valid);
          const wrong = damaged(right, right.length - 1);
          expect(await verdictOf(wrong), `${ends.from} ${protocol}`).to.equal(ChecksumState.Bad);
        }
      }
      const header = damaged(packet({ ...V4, protocol: UDP, payload: 3 }), 8);
      expect(await verdictOf(header)).to.equal(ChecksumState.Bad);
    });

    it('are left to others for fragments, extension headers and lengths that contradict', async () => {
      const unknown = [
        packet({ ...V4, protocol: UDP, payload: 100, fragment: 0x2000 }),
        packet({ ...V4, protocol: UDP, payload: 100, fragment: 0x0010 }),
        packet({ ...V6, protocol: UDP, payload: 100, extension: 8 }),
        packet({ ...V6, protocol: TCP, payload: 100, extension: 16 }),
        packet({ ...V4, protocol: TCP, payload: 100 }).subarray(0, 90),
        packet({ ...V6, protocol: TCP, payload: 100 }).subarray(0, 90),
        packet({ ...V6, protocol: UDP, payload: 100 }).fill(0, 46, 48), // no checksum
        Uint8Array.of(0x45),
        Uint8Array.of(0x77, 1, 2, 3),
      ];
      for (const [i, bytes] of unknown.entries()) {
        expect(await verdictOf(bytes), `packet ${i}`).to.equal(ChecksumState.Unknown);
      }
    });

    it('are not required of UDP over IPv4', async () => {
      const none = packet({ ...V4, protocol: UDP, payload: 100 }).fill(0, 26, 28);
      expect(await verdictOf(none)).to.equal(ChecksumState.Valid);
    });

    it('count only what the lengths of IP and UDP cover', async () => {
      const short = packet({ ...V4, protocol: UDP, payload: 64 });
      const padded = new Uint8Array(short.length + 30).fill(0xee);
      padded.set(short);
      expect(await verdictOf(padded)).to.equal(ChecksumState.Valid);
      // A UDP length below that of IP is what counts; one above it cannot be.
      const inner = packet({ ...V6, protocol: UDP, payload: 64 });
      const outer = new Uint8Array(inner.length + 30).fill(0xee);
      outer.set(inner);
      new DataView(outer.buffer).setUint16(4, outer.length - 40);
      expect(await verdictOf(outer)).to.equal(ChecksumState.Valid);
      new DataView(outer.buffer).setUint16(44, outer.length);
      expect(await verdictOf(outer)).to.equal(ChecksumState.Unknown);
    });
  });
});
