/** Packets for tests of links: plain and super-packets of both families, and devices that collect them. */
import type { LinkDevice } from '../../../lib/link/link-device.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { finishChecksum, foldSum, pseudoSum, sumBytes } from '../../../lib/wire/checksum.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMP6 = 58;
const CHECKSUM_AT: Readonly<Record<number, number>> = { [TCP]: 16, [UDP]: 6, [ICMP]: 2, [ICMP6]: 2 };

export interface Shape {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  /** Bytes behind the transport header. */
  readonly payload: number;
  /** First byte of the payload; the following count on. */
  readonly seed?: number;
  readonly tcpFlags?: number;
  /** Whether the checksum field holds the sum of the pseudo-header only. */
  readonly partial?: boolean;
  /** Bytes of destination options between IPv6 and transport header, a multiple of 8. */
  readonly extension?: number;
  /** Flags and offset of IPv4. */
  readonly fragment?: number;
}

/** Bytes of the transport header this file writes. */
export const transportBytes = (protocol: number): number => (protocol === TCP ? 20 : 8);

function ipHeader(shape: Shape, transport: Uint8Array): Uint8Array {
  const from = IpAddress.parse(shape.from);
  const to = IpAddress.parse(shape.to);
  const { extension = 0, protocol } = shape;
  const bytes = new Uint8Array((from.family === 4 ? 20 : 40 + extension) + transport.length);
  const view = new DataView(bytes.buffer);
  if (from.family === 4) {
    view.setUint8(0, 0x45);
    view.setUint16(2, bytes.length);
    view.setUint16(4, 0x1234);
    view.setUint16(6, shape.fragment ?? 0x4000);
    view.setUint8(8, 64);
    view.setUint8(9, protocol);
    from.write(view, 12);
    to.write(view, 16);
    view.setUint16(10, finishChecksum(sumBytes(view, 0, 20)));
  } else {
    view.setUint8(0, 0x60);
    view.setUint16(4, bytes.length - 40);
    view.setUint8(6, extension > 0 ? 60 : protocol);
    view.setUint8(7, 64);
    from.write(view, 8);
    to.write(view, 24);
    if (extension > 0) {
      bytes[40] = protocol;
      bytes[41] = extension / 8 - 1;
      // PadN over the rest (RFC 8200 §4.2).
      bytes[42] = 1;
      bytes[43] = extension - 4;
    }
  }
  bytes.set(transport, bytes.length - transport.length);
  return bytes;
}

/** A packet with right lengths and, unless `partial`, right checksums. */
export function packet(shape: Shape): Uint8Array {
  const { protocol, payload, seed = 0 } = shape;
  const header = transportBytes(protocol);
  const bytes = new Uint8Array(header + payload);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < payload; i++) bytes[header + i] = seed + i;
  if (protocol === TCP || protocol === UDP) {
    view.setUint16(0, 5000);
    view.setUint16(2, 6000);
  }
  if (protocol === TCP) {
    view.setUint32(4, 1000);
    view.setUint8(12, 0x50);
    view.setUint8(13, shape.tcpFlags ?? 0x10);
    view.setUint16(14, 0xffff);
  }
  if (protocol === UDP) view.setUint16(4, bytes.length);
  if (protocol === ICMP) bytes[0] = 8;
  if (protocol === ICMP6) bytes[0] = 128;
  const from = IpAddress.parse(shape.from);
  const pseudo = protocol === ICMP ? 0 : pseudoSum(from, IpAddress.parse(shape.to), protocol, bytes.length);
  const sum =
    shape.partial === true ? foldSum(pseudo) : finishChecksum(sumBytes(view, 0, bytes.length, pseudo));
  view.setUint16(CHECKSUM_AT[protocol], sum);
  return ipHeader(shape, bytes);
}

export interface Received {
  readonly bytes: Uint8Array;
  readonly checksum: ChecksumState;
  readonly segmentSize: number;
  readonly headerBytes: number;
  readonly timeNs: number;
}

/** The checksum over pseudo-header and transport as they are, found out the slow way. */
export function transportChecksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = bytes[0] >> 4 === 4 ? 4 : 6;
  const at = family === 4 ? 20 : 40;
  const protocol = bytes[family === 4 ? 9 : 6];
  const from = IpAddress.read(view, family === 4 ? 12 : 8, family);
  const to = IpAddress.read(view, family === 4 ? 16 : 24, family);
  const length = bytes.length - at;
  return finishChecksum(sumBytes(view, at, length, pseudoSum(from, to, protocol, length)));
}

/** Whether it is right in what was received. */
export const transportHolds = (bytes: Uint8Array): boolean => transportChecksum(bytes) === 0;

/** An open device that keeps what it receives. */
export class Collector {
  readonly received: Received[] = [];
  readonly device: LinkDevice;
  readonly down: Error[] = [];
  #woken: () => void = () => {};

  /** @param wanted which packets count; all by default */
  constructor(device: LinkDevice, wanted: (bytes: Uint8Array) => boolean = () => true) {
    this.device = device;
    device.onDown = (error) => {
      this.down.push(error);
      this.#woken();
    };
    device.open((batch) => {
      for (let i = 0; i < batch.count; i++) this.#take(batch, i, wanted);
      this.#woken();
    });
  }

  #take(batch: PacketBatch, i: number, wanted: (bytes: Uint8Array) => boolean): void {
    const at = batch.offset(i);
    const bytes = new Uint8Array(batch.bytes.subarray(at, at + batch.length(i)));
    if (!wanted(bytes)) return;
    this.received.push({
      bytes,
      checksum: batch.checksum(i),
      segmentSize: batch.segmentSize(i),
      headerBytes: batch.headerBytes(i),
      timeNs: batch.timeNs(i),
    });
  }

  /** Waits until `holds`, at most 5 seconds. */
  async until(holds: () => boolean): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!holds()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`nothing came; ${this.received.length} packets before`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 50));
        this.#woken = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async take(count: number): Promise<Received[]> {
    await this.until(() => this.received.length >= count);
    return this.received.splice(0, count);
  }
}

/** Sends one packet, at once. */
export function send(
  device: LinkDevice,
  bytes: Uint8Array,
  as: { checksum?: ChecksumState; segmentSize?: number; headerBytes?: number } = {},
): void {
  const batch = device.borrow();
  if (batch === undefined) throw new Error('the device is full');
  batch.bytes.set(bytes, batch.tail);
  batch.append(bytes.length, as.checksum ?? ChecksumState.Valid, as.segmentSize ?? 0, as.headerBytes ?? 0);
  device.send(batch);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
