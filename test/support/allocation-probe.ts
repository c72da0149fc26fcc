/**
 * What `allocation.test.ts` runs in a process of its own: measures the bytes allocated per packet between
 * link and socket, or between two links, and prints them as JSON. The test drives one stack through a link that
 * costs nothing itself, with turns of few and of many packets: what a packet costs is the difference. A turn
 * costs a few boxed numbers, whatever it carries, and each `write` a view of the caller's memory.
 */
import { getHeapStatistics } from 'node:v8';
import { invariant } from '../../lib/base/errors.js';
import { seq } from '../../lib/base/seq.js';
import { SendBuffer } from '../../lib/buffer/send-buffer.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { Nat } from '../../lib/nat/nat.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { writeSynOptions, writeTimestamps } from '../../lib/wire/tcp-options.js';

const STACK = 0x0a00_0002;
const PEER = 0x0a00_0001;
const MSS = 1448;
const HEADERS = 20 + 32;
const FEW = 8;
const MANY = 40;
const IRS = 1000;

/** A link whose packets are made and taken by the test. */
class BareLink implements LinkDevice {
  readonly name = 'bare';
  readonly mtu = 1500;
  readonly maxPacketBytes = 1500;
  readonly checksumOffload = true;
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly incoming = new PacketBatch();
  readonly outgoing = new PacketBatch();
  /** Of the last segment the stack sent. */
  lastEnd = 0;
  sentPackets = 0;
  #onBatch: (batch: PacketBatch) => void = () => {};

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  borrow(): PacketBatch {
    return this.outgoing;
  }

  send(batch: PacketBatch): void {
    const i = batch.count - 1;
    const tcp = batch.offset(i) + 20;
    const headerBytes = 20 + (batch.view.getUint8(tcp + 12) >> 4) * 4;
    const isSyn = (batch.view.getUint8(tcp + 13) & 2) !== 0;
    this.lastEnd = (batch.view.getInt32(tcp + 4) + batch.length(i) - headerBytes + (isSyn ? 1 : 0)) | 0;
    this.sentPackets += batch.count;
    batch.clear();
  }

  close(): void {}

  deliver(): void {
    this.#onBatch(this.incoming);
    this.incoming.clear();
  }
}

class Peer {
  readonly link = new BareLink();
  readonly clock = new VirtualClock(1e9);
  readonly stack = new Stack({ clock: this.clock, random: new SeededRandom(1) });
  readonly endpoint: TcpEndpoint;
  #sequence = IRS + 1;
  #ack = 0;

  /** @param isForeign the address the peer connects to is not the stack's, which accepts for any */
  constructor(handler: TcpEndpointHandler, isForeign = false) {
    this.stack.addLink(this.link, { addresses: [isForeign ? '10.0.0.3/24' : '10.0.0.2/24'] });
    const accepted: TcpEndpoint[] = [];
    if (isForeign) this.stack.listenAnyTcp({}, (request) => accepted.push(request.accept()));
    const listener = isForeign ? undefined : this.stack.listenTcp({ port: 80 });
    this.#packet(2, 0);
    this.link.deliver();
    this.#ack = this.link.lastEnd;
    this.#packet(16, 0);
    this.link.deliver();
    const endpoint = listener?.accept() ?? accepted[0];
    if (endpoint === undefined) throw new Error('no connection');
    endpoint.handler = handler;
    this.endpoint = endpoint;
    this.clock.advanceBy(1000);
  }

  /** One batch of full segments in order. */
  sendData(packets: number): void {
    for (let i = 0; i < packets; i++) this.#packet(16, MSS);
    this.link.deliver();
    this.clock.advanceBy(100);
  }

  /** Acknowledges everything the stack has sent. */
  sendAck(): void {
    this.#ack = this.link.lastEnd;
    this.#packet(16, 0);
    this.link.deliver();
    this.clock.advanceBy(100);
  }

  #packet(flags: number, textBytes: number): void {
    const batch = this.link.incoming;
    const { view, tail } = batch;
    const isSyn = (flags & 2) !== 0;
    const tcp = tail + 20;
    view.setUint16(tail, 0x4500);
    view.setUint16(tail + 2, HEADERS + textBytes);
    view.setInt32(tail + 4, 0x4000);
    view.setInt32(tail + 8, 0x4006_0000);
    view.setInt32(tail + 12, PEER);
    view.setInt32(tail + 16, STACK);
    let sum = 0;
    for (let at = 0; at < 20; at += 2) sum += view.getUint16(tail + at);
    sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(tail + 10, ~(sum + (sum >>> 16)) & 0xffff);
    view.setUint16(tcp, 4000);
    view.setUint16(tcp + 2, 80);
    view.setInt32(tcp + 4, isSyn ? IRS : this.#sequence);
    view.setInt32(tcp + 8, this.#ack);
    view.setInt32(tcp + 16, 0);
    const stamp = Math.floor(this.clock.nowUs() / 1000) | 0;
    let headerBytes = HEADERS;
    if (isSyn) {
      const options = {
        mss: 1460,
        windowScale: 7,
        sackPermitted: true,
        timestamps: true,
        tsVal: stamp,
        tsEcr: 0,
        ecnFlags: 0,
        ecnCounters: false,
      };
      headerBytes = 40 + writeSynOptions(view, tcp + 20, options);
      view.setUint16(tail + 2, headerBytes);
      view.setUint16(tail + 10, 0);
      let again = 0;
      for (let at = 0; at < 20; at += 2) again += view.getUint16(tail + at);
      again = (again & 0xffff) + (again >>> 16);
      view.setUint16(tail + 10, ~(again + (again >>> 16)) & 0xffff);
    } else {
      writeTimestamps(view, tcp + 20, stamp, 0);
    }
    view.setUint16(tcp + 12, (((headerBytes - 20) >> 2) << 12) | flags);
    view.setUint16(tcp + 14, 0xffff);
    batch.append(headerBytes + textBytes, ChecksumState.Valid, 0, 0);
    if (!isSyn) this.#sequence = (this.#sequence + textBytes) | 0;
  }
}

const collect = (globalThis as { gc?: () => void }).gc;

/** Bytes allocated by one call of `round`; nothing may be collected meanwhile. */
function allocatedPerRound(rounds: number, round: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 8; attempt++) {
    collect?.();
    const before = getHeapStatistics().used_heap_size;
    for (let i = 0; i < rounds; i++) round();
    const allocated = getHeapStatistics().used_heap_size - before;
    // Less than nothing: something was collected after all, and the attempt says nothing.
    if (allocated >= 0) least = Math.min(least, allocated / rounds);
  }
  return least;
}

/** What `write` itself costs: views of the caller's memory, two where the ring wraps. */
function viewsOf(bytes: number): number {
  const buffer = new SendBuffer(seq(0));
  const piece = new Uint8Array(bytes);
  const write = (): void => {
    buffer.write(piece, 0, bytes);
    buffer.release(buffer.end);
  };
  for (let i = 0; i < 20_000; i++) write();
  return allocatedPerRound(2000, write);
}

const quiet: TcpEndpointHandler = {
  onConnect() {},
  onReadable() {},
  onWritable() {},
  onEnd() {},
  onClose() {},
};

/** Bytes per packet and per turn of few packets. */
interface Cost {
  readonly perPacket: number;
  readonly perTurn: number;
}

const cost = (few: number, many: number): Cost => ({
  perPacket: (many - few) / (MANY - FEW),
  perTurn: few,
});

function receiving(isForeign = false): Cost {
  const peer = new Peer(quiet, isForeign);
  let received = 0;
  peer.endpoint.setSink({
    take(_bytes, _at, length) {
      received += length;
      return true;
    },
  });
  for (let i = 0; i < 20_000; i++) peer.sendData(MANY);
  const few = allocatedPerRound(2000, () => peer.sendData(FEW));
  const many = allocatedPerRound(2000, () => peer.sendData(MANY));
  invariant(received >= 20_000 * MANY * MSS, 'all text was received');
  invariant(Object.keys(peer.stack.stats.drops.toJSON()).length === 0, 'nothing was dropped');
  return cost(few, many);
}

function sending(): Cost {
  const piece = new Uint8Array(MANY * MSS);
  const peer = new Peer(quiet);
  const before = peer.link.sentPackets;
  let wanted = 0;
  const send = (packets: number): void => {
    wanted += packets;
    peer.endpoint.write(piece, 0, packets * MSS);
    peer.clock.advanceBy(0);
    peer.sendAck();
  };
  for (let i = 0; i < 20_000; i++) send(MANY);
  const few = allocatedPerRound(2000, () => send(FEW)) - viewsOf(FEW * MSS);
  const many = allocatedPerRound(2000, () => send(MANY)) - viewsOf(MANY * MSS);
  // Slow start kept back a few at the beginning, and joined them to later ones.
  invariant(peer.link.sentPackets - before > wanted - MANY, 'all text was sent');
  return cost(few, many);
}

/** Packets of one batch that pass through a router, all of one flow, as those of an attacker are not. */
function forwarding(): Cost {
  const clock = new VirtualClock(1e9);
  const stack = new Stack({ clock, random: new SeededRandom(1), ip: { forwarding: true } });
  const from = new BareLink();
  const to = new BareLink();
  stack.addLink(from, { addresses: ['10.0.0.1/24'] });
  stack.addLink(to, { addresses: ['10.1.0.1/24'] });
  const pass = (packets: number): void => {
    for (let i = 0; i < packets; i++) writeTransit(from.incoming, 0x0a01_0002 + i);
    from.deliver();
    clock.advanceBy(100);
  };
  for (let i = 0; i < 20_000; i++) pass(MANY);
  const few = allocatedPerRound(2000, () => pass(FEW));
  const many = allocatedPerRound(2000, () => pass(MANY));
  invariant(to.sentPackets >= 20_000 * MANY, 'all packets were passed on');
  invariant(stack.stats.ip.outForwDatagrams === to.sentPackets, 'and nothing else');
  return cost(few, many);
}

/** The same through a translator that knows their sessions, out and back in turns. */
function translating(): Cost {
  const clock = new VirtualClock(1e9);
  const stack = new Stack({ clock, random: new SeededRandom(1), ip: { forwarding: true } });
  const inside = new BareLink();
  const outside = new BareLink();
  stack.addLink(inside, { addresses: ['10.0.0.1/24'] });
  const link = stack.addLink(outside, { addresses: ['10.1.0.1/24'] });
  const nat = new Nat({ stack, outside: link });
  const pass = (packets: number): void => {
    for (let i = 0; i < packets; i++) writeTransit(inside.incoming, 0x0a01_0002 + i);
    inside.deliver();
    for (let i = 0; i < packets; i++) writeTransit(outside.incoming, 0x0a01_0001, 0x0a01_0002 + i);
    outside.deliver();
    clock.advanceBy(100);
  };
  for (let i = 0; i < 20_000; i++) pass(MANY);
  const few = allocatedPerRound(2000, () => pass(FEW));
  const many = allocatedPerRound(2000, () => pass(MANY));
  invariant(nat.stats.translatedOut >= 20_000 * MANY, 'all packets were translated');
  invariant(nat.stats.translatedIn === nat.stats.translatedOut, 'and so were all answers');
  invariant(nat.stats.sessionsCreated === MANY, 'by sessions that were known');
  return cost(few, many);
}

/** Datagrams of one flow to an address that is not ours, less the view of each that its owner is lent. */
function receivingFlow(): Cost {
  const clock = new VirtualClock(1e9);
  const stack = new Stack({ clock, random: new SeededRandom(1) });
  const link = new BareLink();
  stack.addLink(link, { addresses: ['10.0.0.1/24'] });
  let received = 0;
  stack.listenAnyUdp({}, (request) => {
    request.accept().onDatagram = (data) => {
      received += data.length;
    };
  });
  const pass = (packets: number): void => {
    for (let i = 0; i < packets; i++) {
      writeTransit(link.incoming, 0x0a01_0002, undefined, ChecksumState.Valid);
    }
    link.deliver();
    clock.advanceBy(100);
  };
  for (let i = 0; i < 20_000; i++) pass(MANY);
  const few = allocatedPerRound(2000, () => pass(FEW)) - lentViews(FEW);
  const many = allocatedPerRound(2000, () => pass(MANY)) - lentViews(MANY);
  invariant(received >= 20_000 * MANY * 972, 'all datagrams were handed over');
  return cost(few, many);
}

/** What so many views of somebody else's memory cost. */
function lentViews(count: number): number {
  const memory = new Uint8Array(65_536);
  const seen: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(count).fill(undefined);
  const look = (): void => {
    for (let i = 0; i < count; i++) seen[i] = memory.subarray(i, i + 972);
  };
  for (let i = 0; i < 20_000; i++) look();
  return allocatedPerRound(2000, look);
}

/** A UDP packet to somebody else; to a translator, its answer. */
function writeTransit(
  batch: PacketBatch,
  to: number,
  from = 0x0a00_0009,
  checksum: ChecksumState = ChecksumState.Unknown,
): void {
  const { view, tail } = batch;
  view.setUint16(tail, 0x4500);
  view.setUint16(tail + 2, 1000);
  view.setInt32(tail + 4, 0x4000);
  view.setInt32(tail + 8, 0x4011_0000);
  view.setInt32(tail + 12, from);
  view.setInt32(tail + 16, to);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(tail + at);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(tail + 10, ~(sum + (sum >>> 16)) & 0xffff);
  view.setInt32(tail + 20, from === 0x0a00_0009 ? 0x1000_2000 : 0x2000_1000);
  view.setInt32(tail + 24, (980 << 16) | 1);
  batch.append(1000, checksum, 0, 0);
}

const MEASUREMENTS: Readonly<Record<string, () => Cost>> = {
  receiving: () => receiving(),
  'receiving for any address': () => receiving(true),
  'receiving a flow': receivingFlow,
  sending,
  forwarding,
  translating,
};
console.log(JSON.stringify(MEASUREMENTS[process.argv[2] ?? '']()));
