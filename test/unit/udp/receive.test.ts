import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { UdpEvent } from '../../../lib/udp/datagram.js';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { makePacket, pattern } from '../link/packets.js';
import { address, Host, OURS, PEER, withAddress } from './host.js';

const FAMILIES = [4, 6] as const;

function listening(family: 4 | 6 = 4, port = 2000, host = new Host()): { host: Host; socket: UdpEndpoint } {
  const socket = host.udp.createEndpoint(family);
  socket.bind(undefined, port);
  return { host, socket };
}

/** All that waits, as text. */
function read(socket: UdpEndpoint): string[] {
  const texts: string[] = [];
  for (let datagram = socket.receive(); datagram !== undefined; datagram = socket.receive()) {
    texts.push(new TextDecoder().decode(datagram.payload));
  }
  return texts;
}

/** Changes 16 bits of the UDP header and corrects its checksum. */
function withField(packet: Uint8Array, offset: number, value: number): Uint8Array {
  const at = packet[0] >> 4 === 4 ? 20 : 40;
  const view = new DataView(packet.buffer);
  view.setUint16(at + offset, value);
  return packet;
}

describe('UDP input', () => {
  for (const version of FAMILIES) {
    it(`delivers a datagram over IPv${version} with all that is known of it [UDP-10, V4-22]`, () => {
      const { host, socket } = listening(version);
      host.nowUs = 5_000;
      host.receive({ version, payload: 'hello', trafficClass: 0xba, hopLimit: 17 });
      const datagram = socket.receive();
      expect(datagram).to.include({ length: 5, datagramBytes: 5, truncated: false, sourcePort: 1000 });
      expect(datagram).to.include({
        destinationPort: 2000,
        trafficClass: 0xba,
        hopLimit: 17,
        link: 1,
        nowUs: 5_000,
      });
      expect(new TextDecoder().decode(datagram?.payload)).to.equal('hello');
      expect(datagram?.source.toString()).to.equal(PEER[version].toString());
      expect(datagram?.destination.toString()).to.equal(OURS[version].toString());
      expect(socket.receive()).to.equal(undefined);
      expect(host.stats.udp.inDatagrams).to.equal(1);
    });

    it(`discards lengths that cannot be over IPv${version}, trims those that are short [UDP-1]`, () => {
      const { host, socket } = listening(version);
      const datagram = () => makePacket({ version, protocol: 17, payload: 'abcdef', withoutChecksum: true });
      for (const length of [0, 1, 7, 15, 0xffff]) {
        host.inject(withField(datagram(), 4, length), { checksum: ChecksumState.Valid });
        expect(host.stats.drops.last, `length ${length}`).to.equal(DropReason.UdpHeader);
      }
      const stub = makePacket({ version, protocol: 17 });
      const cut = stub.slice(0, -1);
      if (version === 6) new DataView(cut.buffer).setUint16(4, 7);
      else {
        const view = new DataView(cut.buffer);
        const total = view.getUint16(2);
        view.setUint16(2, total - 1);
        view.setUint16(10, view.getUint16(10) + 1);
      }
      host.inject(cut);
      expect(host.stats.drops.last).to.equal(DropReason.UdpHeader);
      expect(host.stats.udp.inErrors).to.equal(6);
      expect(read(socket)).to.deep.equal([]);
      // Shorter than its packet: what follows is no part of it, and not of its checksum either.
      const whole = makePacket({ version, protocol: 17, payload: 'abc' });
      const padded = makePacket({ version, protocol: 17, payload: 'abc???' });
      padded.set(whole.subarray(version === 4 ? 20 : 40), version === 4 ? 20 : 40);
      host.inject(padded);
      expect(read(socket)).to.deep.equal(['abc']);
      const empty = makePacket({ version, protocol: 17, payload: '' });
      host.inject(empty);
      expect(socket.receive()?.length).to.equal(0);
    });

    it(`discards a wrong checksum silently over IPv${version}, whether or not there is a socket [UDP-2, UDP-7, E11]`, () => {
      const { host, socket } = listening(version);
      for (const destinationPort of [2000, 2001]) {
        const wrong = makePacket({ version, protocol: 17, payload: 'hello', destinationPort });
        wrong[wrong.length - 1] ^= 1;
        host.inject(wrong);
        expect(host.stats.drops.last).to.equal(DropReason.UdpChecksum);
        host.inject(makePacket({ version, protocol: 17, destinationPort }), { checksum: ChecksumState.Bad });
      }
      expect(host.stats.udp.inCsumErrors).to.equal(4);
      expect(read(socket)).to.deep.equal([]);
      expect(host.port.sent).to.deep.equal([]);
    });
  }

  it('takes a checksum of zero as none over IPv4 [UDP-2]', () => {
    const { host, socket } = listening(4);
    host.receive({ payload: 'unchecked', withoutChecksum: true });
    expect(read(socket)).to.deep.equal(['unchecked']);
  });

  it('discards a checksum of zero over IPv6, but for a socket that opted in [UDP-4]', () => {
    const { host, socket } = listening(6);
    const zero = () => host.receive({ version: 6, payload: 'tunnel', withoutChecksum: true });
    zero();
    expect(host.stats.drops.last).to.equal(DropReason.UdpChecksum);
    host.inject(makePacket({ version: 6, protocol: 17, withoutChecksum: true }), {
      checksum: ChecksumState.Valid,
    });
    expect(host.stats.drops.last).to.equal(DropReason.UdpChecksum);
    const other = host.udp.createEndpoint(6, { noChecksum6Receive: true });
    other.bind(undefined, 3000);
    zero();
    expect(read(socket)).to.deep.equal([]);
    socket.setOptions({ noChecksum6Receive: true });
    zero();
    expect(read(socket)).to.deep.equal(['tunnel']);
    const wrong = makePacket({ version: 6, protocol: 17, payload: 'x' });
    wrong[wrong.length - 1] ^= 1;
    host.inject(wrong);
    expect(read(socket)).to.deep.equal([]);
  });

  it('answers unicast to a port without socket with port unreachable, within the rate [UDP-6]', () => {
    for (const version of FAMILIES) {
      const host = new Host({ ip: { icmpErrorsPerSecond: 1000, icmpErrorBurst: 5 } });
      const question = makePacket({ version, protocol: 17, payload: 'anyone?' });
      host.inject(question);
      const answer = host.port.sent[0].packet;
      const at = version === 4 ? 20 : 40;
      expect([answer[at], answer[at + 1]]).to.deep.equal(version === 4 ? [3, 3] : [1, 4]);
      expect(answer.slice(at + 8)).to.deep.equal(question);
      expect(host.stats.udp.noPorts).to.equal(1);
      for (let i = 0; i < 100; i++) host.inject(question);
      expect(host.port.sent.length).to.be.within(2, 6);
      expect(host.stats.udp.noPorts).to.equal(101);
    }
  });

  it('keeps silent about broadcast and multicast to a port without socket [UDP-6]', () => {
    const host = new Host();
    host.ip.joinGroup(1, address('224.0.0.9'));
    host.sent(); // the report
    const to = (words: number[]) => {
      const packet = withAddress(makePacket({ protocol: 17, withoutChecksum: true }), 16, words);
      host.inject(packet);
    };
    to([10, 0, 0, 255]);
    to([255, 255, 255, 255]);
    to([224, 0, 0, 9]);
    expect(host.stats.udp.noPorts).to.equal(3);
    expect(host.port.sent).to.deep.equal([]);
  });

  it('accepts source port 0, and treats destination port 0 as closed [UDP-13]', () => {
    const { host, socket } = listening(4);
    host.receive({ sourcePort: 0, payload: 'no answer wanted' });
    expect(socket.receive()?.sourcePort).to.equal(0);
    host.receive({ destinationPort: 0 });
    expect(host.stats.drops.last).to.equal(DropReason.UdpNoSocket);
    expect(host.port.sent).to.have.length(1);
    expect(host.port.sent[0].packet.slice(20, 22)).to.deep.equal(Uint8Array.of(3, 3));
  });

  it('drops what claims to come from a group or from everybody [UDP-14]', () => {
    const { host, socket } = listening(4);
    const { socket: socket6 } = listening(6, 2001, host);
    for (const source of [
      [224, 0, 0, 1],
      [239, 1, 1, 1],
      [255, 255, 255, 255],
    ]) {
      const packet = withAddress(makePacket({ protocol: 17, withoutChecksum: true }), 12, source);
      host.inject(packet);
      expect(host.stats.drops.last).to.be.oneOf([DropReason.IpMartianSource, DropReason.UdpSource]);
    }
    const packet6 = makePacket({ version: 6, protocol: 17, destinationPort: 2001 });
    packet6[8] = 0xff;
    host.inject(packet6, { checksum: ChecksumState.Valid });
    expect(host.stats.drops.last).to.be.oneOf([DropReason.IpMartianSource, DropReason.UdpSource]);
    expect([...read(socket), ...read(socket6)]).to.deep.equal([]);
    expect(host.port.sent).to.deep.equal([]);
  });

  it('refuses such sources by itself, also where IP would let them pass [UDP-14]', async () => {
    const { IpPacket, Cast } = await import('../../../lib/wire/ip-packet.js');
    const { host, socket } = listening(4);
    for (const s3 of [0xe000_0001 | 0, -1]) {
      const bytes = makePacket({ protocol: 17, payload: 'x' });
      const packet = new IpPacket();
      packet.aim(bytes, new DataView(bytes.buffer), 0, bytes.length);
      Object.assign(packet, { version: 4, s2: 0xffff, s3, d2: 0xffff, d3: OURS[4].w3, cast: Cast.Unicast });
      Object.assign(packet, { payloadAt: 20, payloadBytes: 9, checksum: ChecksumState.Valid });
      host.udp.input(packet);
      expect(host.stats.drops.last).to.equal(DropReason.UdpSource);
      Object.assign(packet, { version: 6, s0: 0xff02_0000 | 0, s2: 0, s3: 1 });
      host.stats.drops.last = 0;
      host.udp.input(packet);
      expect(host.stats.drops.last).to.equal(DropReason.UdpSource);
    }
    expect(read(socket)).to.deep.equal([]);
  });

  it('delivers broadcasts to every socket of the port that is not bound elsewhere [V4-24, UDP-12]', () => {
    const host = new Host();
    const sockets = [undefined, address('10.0.0.255'), address('10.0.0.2')].map((local) => {
      const socket = host.udp.createEndpoint(4, { reuseAddress: true, broadcast: true });
      socket.bind(local, 2000);
      return socket;
    });
    for (const last of [
      [10, 0, 0, 255],
      [255, 255, 255, 255],
    ]) {
      const packet = withAddress(
        makePacket({ protocol: 17, payload: 'all', withoutChecksum: true }),
        16,
        last,
      );
      host.inject(packet);
    }
    expect(sockets.map((socket) => read(socket))).to.deep.equal([['all', 'all'], ['all'], []]);
  });

  it('delivers an empty datagram as an empty read [UDP-19]', () => {
    for (const version of FAMILIES) {
      const { host, socket } = listening(version);
      host.receive({ version, payload: '' });
      expect(socket.takeEvents()).to.equal(UdpEvent.READABLE);
      expect(socket.queuedDatagrams).to.equal(1);
      expect(socket.receive()?.length).to.equal(0);
      expect(socket.receive()).to.equal(undefined);
    }
  });

  it('flags a datagram that does not fit the memory given, and drops its end [UDP-20]', () => {
    const { host, socket } = listening(4);
    host.receive({ payload: '0123456789' });
    host.receive({ payload: 'next' });
    host.receive({ payload: 'abcd' });
    const memory = new Uint8Array(4);
    expect(socket.receiveInto(memory)).to.include({ truncated: true, length: 4, datagramBytes: 10 });
    expect(new TextDecoder().decode(memory)).to.equal('0123');
    expect(socket.receiveInto(memory)).to.include({ truncated: false, length: 4, datagramBytes: 4 });
    expect(new TextDecoder().decode(memory)).to.equal('next');
    expect(socket.receiveInto(new Uint8Array(0))).to.include({
      truncated: true,
      length: 0,
      datagramBytes: 4,
    });
    expect(socket.receiveInto(memory)).to.equal(undefined);
  });

  it('bounds the queue in bytes with overhead, drops the newest and counts them [UDP-16, C22, I13]', () => {
    const { host, socket } = listening(4);
    const { socket: other } = listening(4, 2001, host);
    const overhead = 72;
    for (const limit of [1000 - 1, 1000, 1000 + 1]) {
      socket.setOptions({ receiveBufferBytes: limit });
      const dropped = socket.dropped;
      for (let i = 0; i < 10; i++) host.receive({ payload: `${i}${'x'.repeat(127)}` });
      const fit = Math.floor(limit / (128 + overhead));
      expect(socket.queuedDatagrams).to.equal(fit);
      expect(socket.queuedBytes).to.equal(fit * (128 + overhead));
      expect(socket.dropped - dropped).to.equal(10 - fit);
      expect(host.stats.drops.last).to.equal(DropReason.UdpQueueFull);
      expect(
        read(socket)
          .map((payload) => payload[0])
          .join(''),
      ).to.equal('0123456789'.slice(0, fit));
    }
    expect(host.stats.udp.rcvbufErrors).to.equal(socket.dropped);
    host.receive({ destinationPort: 2001, payload: 'unaffected' });
    expect(read(other)).to.deep.equal(['unaffected']);
    // One datagram always has room, as on Linux.
    socket.setOptions({ receiveBufferBytes: 1 });
    host.receive({ payload: pattern(1000) });
    host.receive({ payload: 'second' });
    expect(socket.queuedDatagrams).to.equal(1);
  });

  it('holds about a thousand and more small datagrams by default', () => {
    const { host, socket } = listening(4);
    expect(socket.receiveBufferBytes).to.equal(212_992);
    for (let i = 0; i < 2000; i++) host.receive({ payload: pattern(64) });
    expect(socket.queuedDatagrams).to.equal(Math.floor(212_992 / 136));
  });

  it('bounds the memory of all sockets together [I13]', () => {
    const host = new Host({ udp: { memoryBytes: 1000 } });
    const { socket: first } = listening(4, 2000, host);
    const { socket: second } = listening(4, 2001, host);
    for (let i = 0; i < 4; i++) host.receive({ payload: pattern(100) });
    for (let i = 0; i < 4; i++) host.receive({ payload: pattern(100), destinationPort: 2001 });
    expect([first.queuedDatagrams, second.queuedDatagrams]).to.deep.equal([4, 1]);
    expect(host.udp.memoryBytes).to.equal(5 * 172);
    read(first);
    expect(host.udp.memoryBytes).to.equal(172);
    second.close();
    expect(host.udp.memoryBytes).to.equal(0);
  });

  it('splits a super-packet that came in into its datagrams [UDP-23]', () => {
    for (const version of FAMILIES) {
      const { host, socket } = listening(version);
      const whole = makePacket({ version, protocol: 17, payload: 'aaaabbbbccccdd' });
      host.inject(whole, { segmentSize: 4, checksum: ChecksumState.Partial });
      host.inject(makePacket({ version, protocol: 17, payload: 'one' }), { segmentSize: 4 });
      expect(read(socket)).to.deep.equal(['aaaa', 'bbbb', 'cccc', 'dd', 'one']);
      expect(host.stats.udp.inDatagrams).to.equal(5);
    }
  });

  it('is protocol 17 and nothing else: UDP-Lite is not taken for it [UDP-22]', () => {
    for (const version of FAMILIES) {
      const { host, socket } = listening(version);
      const lite = makePacket({ version, protocol: 17, payload: 'lite' });
      const view = new DataView(lite.buffer);
      if (version === 4) {
        lite[9] = 136;
        view.setUint16(10, view.getUint16(10) - (136 - 17));
      } else {
        lite[6] = 136;
      }
      host.inject(lite);
      expect(host.stats.drops.last).to.equal(DropReason.IpUnknownProtocol);
      expect(read(socket)).to.deep.equal([]);
    }
  });

  it('tells owners once for a batch', () => {
    const { host, socket } = listening(4);
    const { socket: other } = listening(4, 2001, host);
    const told: string[] = [];
    socket.onEvents = (events) => told.push(`socket ${events}`);
    other.onEvents = (events) => told.push(`other ${events}`);
    for (let i = 0; i < 5; i++) host.receive({ payload: 'x' });
    host.receive({ payload: 'y', destinationPort: 2001 });
    expect(host.udp.hasTouched).to.equal(true);
    host.udp.tell();
    expect(told.splice(0)).to.deep.equal([`socket ${UdpEvent.READABLE}`, `other ${UdpEvent.READABLE}`]);
    expect(host.udp.hasTouched).to.equal(false);
    host.udp.tell();
    host.receive({ payload: 'y', destinationPort: 2001 });
    host.udp.tell();
    expect(told).to.deep.equal([`other ${UdpEvent.READABLE}`]);
    socket.close();
    host.receive({ payload: 'x' });
    expect(host.udp.hasTouched).to.equal(false);
  });

  it('tells the others the next time where an owner throws', () => {
    const { host, socket } = listening(4);
    const { socket: other } = listening(4, 2001, host);
    const told: string[] = [];
    socket.onEvents = () => {
      told.push('socket');
      if (told.length === 1) throw new Error('a mistake of its own');
    };
    other.onEvents = () => told.push('other');
    for (let round = 0; round < 2; round++) {
      host.receive({ payload: 'x' });
      host.receive({ payload: 'y', destinationPort: 2001 });
      if (round === 0) expect(() => host.udp.tell()).to.throw('a mistake of its own');
      expect(host.udp.hasTouched).to.equal(true);
      host.udp.tell();
    }
    expect(told).to.deep.equal(['socket', 'other', 'socket', 'other']);
    expect(host.udp.hasTouched).to.equal(false);
  });
});
