/**
 * A link for scenario tests: what the stack sends is copied, checked and kept; what a test injects comes
 * in as one batch. Nothing is delayed, and nothing is lost but on purpose.
 */
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { faultOf, type SentPacket } from './packet-check.js';

/** What the link says of an injected packet. */
export interface InjectedMetadata {
  /** `Unknown` by default: the stack verifies. */
  checksum?: ChecksumState;
  /** Makes it a super-packet of segments with so much text each. */
  segmentSize?: number;
  /** Routing mark. */
  mark?: number;
}

export interface WireLinkOptions {
  /** 1500 by default. */
  mtu?: number;
  /** Takes super-packets and unfinished checksums, as a TUN with offloads does. */
  offload?: boolean;
  name?: string;
}

export class WireLink implements LinkDevice {
  readonly name: string;
  /** May be changed, as that of a TUN may. */
  mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload: boolean;
  /** Whether the stack's connections may agree on accurate ECN. */
  accurateEcn = false;
  /** Hears of every packet the stack sends. */
  onSent: (packet: SentPacket) => void = () => {};
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  /** What was wrong with packets the stack sent; a scenario with any fails. */
  readonly faults: string[] = [];
  isClosed = false;
  #isFull = false;
  #wasRefused = false;
  #onBatch: ((batch: PacketBatch) => void) | undefined;
  #output: PacketBatch | undefined;
  readonly #arenaBytes: number;

  constructor(options: WireLinkOptions = {}) {
    this.name = options.name ?? 'wire0';
    this.mtu = options.mtu ?? 1500;
    this.maxPacketBytes = options.offload === true ? 65_535 : this.mtu;
    this.checksumOffload = options.offload === true;
    this.#arenaBytes = Math.max(65_600, 4 * this.maxPacketBytes);
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  borrow(): PacketBatch | undefined {
    if (this.isClosed) return undefined;
    if (this.#isFull) {
      this.#wasRefused = true;
      return undefined;
    }
    this.#output ??= new PacketBatch(64, this.#arenaBytes);
    return this.#output;
  }

  send(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset(i);
      const packet: SentPacket = {
        bytes: batch.bytes.slice(at, at + batch.length(i)),
        checksum: batch.checksum(i),
        segmentSize: batch.segmentSize(i),
        headerBytes: batch.headerBytes(i),
      };
      const fault = faultOf(packet, this);
      if (fault !== '') this.faults.push(fault);
      this.onSent(packet);
    }
    batch.clear();
  }

  /** Hands packets to the stack, all in one batch. */
  inject(packets: readonly Uint8Array[], metadata: InjectedMetadata = {}): void {
    if (this.isClosed) throw new Error('the stack has closed the link');
    const bytes = packets.reduce((sum, packet) => sum + packet.length + 8, 64);
    const batch = new PacketBatch(Math.max(1, packets.length), bytes);
    for (const packet of packets) {
      batch.bytes.set(packet, batch.tail);
      const segmentSize = metadata.segmentSize ?? 0;
      batch.append(packet.length, metadata.checksum ?? ChecksumState.Unknown, segmentSize, 0);
    }
    this.#onBatch?.(batch);
  }

  /** The link takes nothing, as one whose queue is full. */
  block(): void {
    this.#isFull = true;
  }

  /** It takes packets again, and says so to who was refused. */
  unblock(): void {
    this.#isFull = false;
    if (!this.#wasRefused) return;
    this.#wasRefused = false;
    this.onWritable();
  }

  /** The link has failed for good. */
  fail(error: Error): void {
    this.onDown(error);
  }

  close(): void {
    this.isClosed = true;
    this.#onBatch = undefined;
  }
}
