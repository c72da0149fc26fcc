/** A host with IP and UDP, and links that keep what is sent. Packets are made and read by hand. */
import { StackStats } from '../../../lib/base/stats.js';
import type { OutputPort } from '../../../lib/ip/interfaces.js';
import { IpLayer } from '../../../lib/ip/ip-layer.js';
import type { IpOptions } from '../../../lib/ip/options.js';
import { PacketLayout } from '../../../lib/link/packet-layout.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { UdpCarrier } from '../../../lib/stack/udp-carrier.js';
import type { UdpOptions } from '../../../lib/udp/options.js';
import { UdpLayer } from '../../../lib/udp/udp-layer.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { ChecksumState, IpPacket } from '../../../lib/wire/ip-packet.js';
import { makePacket, type PacketFields, textBytes } from '../link/packets.js';

export interface Sent {
  packet: Uint8Array;
  segmentSize: number;
  state: number;
}

export interface PortOptions {
  mtu?: number;
  maxPacketBytes?: number;
  checksumOffload?: boolean;
  udpSegmentation?: boolean;
}

export class CapturePort implements OutputPort {
  readonly index: number;
  readonly name: string;
  readonly isLoopback: boolean;
  readonly isUp = true;
  mtu: number;
  maxPacketBytes: number;
  readonly checksumOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly gathers = false;
  readonly bytes = new Uint8Array(70_000);
  readonly view = new DataView(this.bytes.buffer);
  readonly at = 8;
  readonly sent: Sent[] = [];
  /** Packets it still takes. */
  room = Number.POSITIVE_INFINITY;

  constructor(index: number, options: PortOptions = {}) {
    this.index = index;
    this.name = index === 0 ? 'lo' : `link${index}`;
    this.isLoopback = index === 0;
    this.mtu = options.mtu ?? (index === 0 ? 65_535 : 1500);
    this.maxPacketBytes = options.maxPacketBytes ?? this.mtu;
    this.checksumOffload = options.checksumOffload ?? false;
    this.udpSegmentation = options.udpSegmentation ?? false;
  }

  reserve(): boolean {
    return this.room > 0;
  }

  lendText(): void {}

  commit(length: number, state: ChecksumState, segmentSize: number): void {
    this.room--;
    const packet = this.bytes.slice(this.at, this.at + length);
    if (state === ChecksumState.Partial) {
      const layout = new PacketLayout();
      if (layout.parse(new DataView(packet.buffer), 0, length)) layout.completeChecksum();
    }
    this.sent.push({ packet, segmentSize, state });
  }
}

/** What a datagram on the wire says. */
export interface Wire {
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  checksum: number;
  hopLimit: number;
  trafficClass: number;
  dontFragment: boolean;
  payload: string;
}

export function readWire(packet: Uint8Array): Wire {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const family = packet[0] >> 4 === 4 ? 4 : 6;
  const transport = family === 4 ? 20 : 40;
  const addresses = family === 4 ? 12 : 8;
  const step = family === 4 ? 4 : 16;
  return {
    source: IpAddress.read(view, addresses, family).toString(),
    destination: IpAddress.read(view, addresses + step, family).toString(),
    sourcePort: view.getUint16(transport),
    destinationPort: view.getUint16(transport + 2),
    checksum: view.getUint16(transport + 6),
    hopLimit: packet[family === 4 ? 8 : 7],
    trafficClass: family === 4 ? packet[1] : (view.getUint16(0) >> 4) & 255,
    dontFragment: family === 4 && (packet[6] & 0x40) !== 0,
    payload: new TextDecoder().decode(packet.subarray(transport + 8)),
  };
}

export class Host {
  readonly stats = new StackStats();
  readonly ip: IpLayer;
  readonly udp: UdpLayer;
  readonly lo = new CapturePort(0);
  readonly port: CapturePort;
  readonly #packet = new IpPacket();
  nowUs = 1_000;

  /** 10.0.0.2/24 and fd00::2/64 on link 1, with default routes; the peer of `makePacket` is .1. */
  constructor(
    options: { port?: PortOptions; udp?: Partial<UdpOptions>; ip?: Partial<IpOptions>; seed?: number } = {},
  ) {
    const random = new SeededRandom(options.seed ?? 1);
    this.ip = new IpLayer({ random, stats: this.stats, options: { icmpDestinationMs: 0, ...options.ip } });
    this.udp = new UdpLayer({
      ip: new UdpCarrier(this.ip),
      clock: { nowUs: () => this.nowUs },
      wake: () => {},
      stats: this.stats,
      random,
      ...(options.udp === undefined ? {} : { options: options.udp }),
    });
    this.ip.setTransport(17, this.udp);
    this.ip.addPort(this.lo);
    this.port = this.addPort(1, ['10.0.0.2/24', 'fd00::2/64'], options.port);
    this.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
    this.ip.routing.routes.add({ destination: '::/0', port: 1 });
  }

  addPort(index: number, addresses: string[], options?: PortOptions): CapturePort {
    const port = new CapturePort(index, options);
    this.ip.addPort(port);
    for (const address of addresses) this.ip.addAddress(index, address);
    return port;
  }

  /** A packet comes in. */
  inject(bytes: Uint8Array, link: Partial<Pick<IpPacket, 'link' | 'checksum' | 'segmentSize'>> = {}): void {
    const memory = new Uint8Array(bytes.length + 20);
    memory.set(bytes, 8);
    const packet = this.#packet;
    packet.aim(memory, new DataView(memory.buffer), 8, bytes.length);
    packet.link = link.link ?? 1;
    packet.checksum = link.checksum ?? ChecksumState.Unknown;
    packet.segmentSize = link.segmentSize ?? 0;
    packet.mark = 0;
    packet.nowUs = this.nowUs;
    this.stats.drops.last = 0;
    this.ip.input(packet);
  }

  /** A datagram comes in, from port 1000 of the peer to port 2000 unless said otherwise. */
  receive(fields: PacketFields & { version?: 4 | 6 } = {}): void {
    this.inject(makePacket({ protocol: 17, ...fields }));
  }

  /** Takes what was sent by the link since the last call. */
  sent(port: CapturePort = this.port): Wire[] {
    return port.sent.splice(0).map(({ packet }) => readWire(packet));
  }

  /** The IP payload of an ICMP error: which type and code, about which packet. */
  icmpError(type: number, code: number, quoted: Uint8Array, word = 0): void {
    const version = quoted[0] >> 4 === 4 ? 4 : 6;
    const quote = quoted.subarray(0, version === 4 ? 548 : 1232);
    const body = Uint8Array.from([
      type,
      code,
      0,
      0,
      word >>> 24,
      (word >> 16) & 255,
      (word >> 8) & 255,
      word & 255,
      ...quote,
    ]);
    const shell = makePacket({ version, protocol: 17, source: 9, destination: 2, payload: body.subarray(8) });
    const at = version === 4 ? 20 : 40;
    shell.set(body, at);
    shell[version === 4 ? 9 : 6] = version === 4 ? 1 : 58;
    const view = new DataView(shell.buffer);
    if (version === 4) {
      view.setUint16(10, 0);
      view.setUint16(10, sum(shell.subarray(0, 20)));
      view.setUint16(at + 2, sum(shell.subarray(at)));
    } else {
      const pseudo = [...shell.subarray(8, 40), 0, 0, body.length >> 8, body.length & 255, 0, 0, 0, 58];
      view.setUint16(at + 2, sum(Uint8Array.from([...pseudo, ...shell.subarray(at)])));
    }
    this.inject(shell);
  }
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

/** An IPv4 packet with other words at `at`, its header checksum corrected. */
export function withAddress(packet: Uint8Array, at: number, words: readonly number[]): Uint8Array {
  packet.set(words, at);
  packet.set([0, 0], 10);
  const checksum = sum(packet.subarray(0, 20));
  packet.set([checksum >> 8, checksum & 255], 10);
  return packet;
}

export const address = IpAddress.parse;
export const text = textBytes;

/** The peer in each family, and our own address. */
export const PEER = { 4: address('10.0.0.1'), 6: address('fd00::1') } as const;
export const OURS = { 4: address('10.0.0.2'), 6: address('fd00::2') } as const;
