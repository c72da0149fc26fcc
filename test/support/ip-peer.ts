/**
 * An `IpLayer` alone, in virtual time, with links of its own that keep what is sent: packets are handed in,
 * and what comes up or out is looked at.
 */
import { DropReason, StackStats } from '../../lib/base/stats.js';
import type { IcmpError, IcmpErrorKind, OutputPort, Transport } from '../../lib/ip/interfaces.js';
import { IpLayer } from '../../lib/ip/ip-layer.js';
import type { IpOptions } from '../../lib/ip/options.js';
import type { IpPath, PathRequest } from '../../lib/ip/path.js';
import { Segmenter } from '../../lib/link/gso.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { type Cast, ChecksumState, IpPacket } from '../../lib/wire/ip-packet.js';
import { read, readIcmp, type Seen, type SeenIcmp } from './ip-wire.js';

export interface TestPortOptions {
  readonly mtu?: number;
  readonly maxPacketBytes?: number;
  readonly offload?: boolean;
  readonly gathers?: boolean;
  readonly resolves?: boolean;
  readonly udpSegmentation?: boolean;
}

/** A link that keeps what is sent. */
export class TestPort implements OutputPort {
  readonly index: number;
  readonly name: string;
  mtu: number;
  maxPacketBytes: number;
  checksumOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly gathers: boolean;
  readonly resolves: boolean;
  /** The router each packet in `queue` goes by, where it was told of one. */
  readonly routers: string[] = [];
  readonly isLoopback: boolean;
  isUp = true;
  /** Not at the start of its memory, as on any link. */
  readonly at = 24;
  readonly bytes = new Uint8Array(24 + 65_600);
  readonly view = new DataView(this.bytes.buffer);
  /** Packets it still takes; Infinity unless a test says otherwise. */
  room = Number.POSITIVE_INFINITY;
  readonly queue: { bytes: Uint8Array; checksum: ChecksumState; segmentSize: number; headerBytes: number }[] =
    [];

  constructor(index: number, name: string, options: TestPortOptions = {}) {
    this.gathers = options.gathers ?? false;
    this.resolves = options.resolves ?? false;
    this.udpSegmentation = options.udpSegmentation ?? false;
    this.index = index;
    this.name = name;
    this.isLoopback = index === 0;
    this.mtu = options.mtu ?? (index === 0 ? 65_535 : 1500);
    this.maxPacketBytes = options.maxPacketBytes ?? this.mtu;
    this.checksumOffload = options.offload ?? index === 0;
  }

  reserve(): boolean {
    // Whoever reads what he has not written sees it.
    if (this.room <= 0) return false;
    this.bytes.fill(0xee, 0, 2048);
    return true;
  }

  lendText(memory: Uint8Array, at: number, length: number): void {
    const { bytes } = this.queue[this.queue.length - 1];
    bytes.set(memory.subarray(at, at + length), bytes.length - length);
  }

  via(router: IpAddress): void {
    this.routers[this.queue.length - 1] = router.toString();
  }

  commit(length: number, checksum: ChecksumState, segmentSize: number, headerBytes: number): void {
    this.room--;
    this.queue.push({
      bytes: this.bytes.slice(this.at, this.at + length),
      checksum,
      segmentSize,
      headerBytes,
    });
  }
}

/** What a transport was given. */
export interface Delivered {
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly cast: Cast;
  readonly trafficClass: number;
  readonly hopLimit: number;
  readonly checksum: ChecksumState;
  readonly payload: Uint8Array;
  readonly link: number;
}

export interface DeliveredError {
  readonly kind: IcmpErrorKind;
  readonly type: number;
  readonly code: number;
  readonly mtu: number;
  readonly from: string;
  readonly to: string;
  readonly quoted: Uint8Array;
  readonly reporter: string;
}

/** A transport that keeps what it is given. */
export class TestTransport implements Transport {
  readonly packets: Delivered[] = [];
  readonly errors: DeliveredError[] = [];
  /** Called with each packet, the lent object itself. */
  onPacket: (packet: IpPacket) => void = () => {};
  onError: (error: IcmpError) => void = () => {};

  input(packet: IpPacket): void {
    this.packets.push(delivered(packet));
    this.onPacket(packet);
  }

  icmpError(error: IcmpError): void {
    const { kind, type, code, mtu, quote, reporter } = error;
    this.errors.push({
      kind,
      type,
      code,
      mtu,
      from: quote.source().toString(),
      to: quote.destination().toString(),
      quoted: quote.bytes.slice(quote.payloadAt, quote.payloadAt + quote.payloadBytes),
      reporter: reporter.source().toString(),
    });
    this.onError(error);
  }
}

export const delivered = (packet: IpPacket): Delivered => ({
  version: packet.version,
  from: packet.source().toString(),
  to: packet.destination().toString(),
  protocol: packet.protocol,
  cast: packet.cast,
  trafficClass: packet.trafficClass,
  hopLimit: packet.hopLimit,
  checksum: packet.checksum,
  payload: packet.bytes.slice(packet.payloadAt, packet.payloadAt + packet.payloadBytes),
  link: packet.link,
});

export interface PeerOptions {
  readonly options?: Partial<IpOptions>;
  readonly seed?: number;
  readonly mtu?: number;
  readonly maxPacketBytes?: number;
  readonly offload?: boolean;
  readonly gathers?: boolean;
  /** Addresses of the first link; 10.0.0.1/24 and 2001:db8::1/64 by default. */
  readonly addresses?: readonly string[];
}

export class IpPeer {
  readonly stats = new StackStats();
  readonly ip: IpLayer;
  readonly loopback = new TestPort(0, 'lo');
  /** The first link; it has index 1 and is named `tun0`. */
  readonly port: TestPort;
  readonly ports: TestPort[];
  readonly tcp = new TestTransport();
  readonly udp = new TestTransport();
  readonly #packet = new IpPacket();
  nowUs = 1_000_000;

  constructor(given: PeerOptions = {}) {
    this.ip = new IpLayer({
      random: new SeededRandom(given.seed ?? 1),
      stats: this.stats,
      segmenter: new Segmenter(),
      ...(given.options === undefined ? {} : { options: given.options }),
    });
    const { mtu, maxPacketBytes, offload, gathers = false } = given;
    this.port = new TestPort(1, 'tun0', {
      gathers,
      ...(mtu === undefined ? {} : { mtu }),
      ...(maxPacketBytes === undefined ? {} : { maxPacketBytes }),
      ...(offload === undefined ? {} : { offload }),
    });
    this.ports = [this.loopback, this.port];
    for (const port of this.ports) this.ip.addPort(port);
    for (const address of given.addresses ?? ['10.0.0.1/24', '2001:db8::1/64'])
      this.ip.addAddress(1, address);
    this.ip.setTransport(6, this.tcp);
    this.ip.setTransport(17, this.udp);
    this.ip.nowUs = this.nowUs;
  }

  /** One more link. */
  addPort(name: string, addresses: readonly string[] = [], options: TestPortOptions = {}): TestPort {
    const port = new TestPort(this.ports.length, name, options);
    this.ports.push(port);
    this.ip.addPort(port);
    for (const address of addresses) this.ip.addAddress(port.index, address);
    return port;
  }

  /** Hands in a packet, in memory of exactly its size but for a margin in front. */
  receive(
    bytes: Uint8Array,
    given: { link?: number; checksum?: ChecksumState; mark?: number; segmentSize?: number } = {},
  ): void {
    const room = new Uint8Array(6 + bytes.length);
    room.set(bytes, 6);
    this.ip.input(this.aim(room, 6, bytes.length, given));
  }

  /** The packet object that is handed in, aimed. */
  aim(
    room: Uint8Array,
    at: number,
    length: number,
    given: { link?: number; checksum?: ChecksumState; mark?: number; segmentSize?: number } = {},
  ): IpPacket {
    const packet = this.#packet;
    packet.aim(room, new DataView(room.buffer, room.byteOffset, room.byteLength), at, length);
    packet.link = given.link ?? 1;
    packet.checksum = given.checksum ?? ChecksumState.Unknown;
    packet.segmentSize = given.segmentSize ?? 0;
    packet.mark = given.mark ?? 0;
    packet.nowUs = this.nowUs;
    this.stats.drops.last = DropReason.None;
    return packet;
  }

  /** Why the packet handed in last was dropped; `None` when it was not. */
  get lastDrop(): number {
    return this.stats.drops.last;
  }

  /** Moves time, ringing what falls due. */
  advanceMs(ms: number): void {
    const until = this.nowUs + ms * 1000;
    while (this.ip.nextDeadlineUs <= until) {
      this.nowUs = Math.max(this.nowUs, this.ip.nextDeadlineUs);
      this.ip.deadlineReached(this.nowUs);
    }
    this.nowUs = until;
    this.ip.nowUs = until;
  }

  /** Takes what was sent, of one link, in order. */
  sent(port: TestPort = this.port): Seen[] {
    return port.queue.splice(0).map(({ bytes }) => read(bytes));
  }

  /** Takes what was sent, all of it ICMP. */
  sentIcmp(port: TestPort = this.port): SeenIcmp[] {
    return port.queue.splice(0).map(({ bytes }) => readIcmp(bytes));
  }

  /** Hands what was sent to ourselves in again. */
  loop(): number {
    const packets = this.loopback.queue.splice(0);
    for (const { bytes, checksum, segmentSize } of packets)
      this.receive(bytes, { link: 0, checksum, segmentSize });
    return packets.length;
  }

  resolve(
    destination: string,
    given: Partial<Omit<PathRequest, 'destination' | 'source'>> & { source?: string } = {},
  ): IpPath {
    const { source, ...rest } = given;
    return this.ip.resolve({
      destination: IpAddress.parse(destination),
      protocol: 17,
      ...rest,
      ...(source === undefined ? {} : { source: IpAddress.parse(source) }),
    });
  }

  /** Sends `payload` behind the IP header of a path. @returns how `begin` ended */
  send(path: IpPath, payload: Uint8Array, checksumOffset = -1, segmentSize = 0): number {
    const began = this.ip.begin(path, payload.length);
    if (began !== 0) return began;
    this.ip.out.bytes.set(payload, this.ip.out.at);
    this.ip.commit(path, payload.length, checksumOffset, segmentSize);
    return began;
  }
}
