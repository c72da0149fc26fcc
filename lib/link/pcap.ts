/** A recorder around any link: every packet, either way, as pcapng. */
import type { Clock } from '../base/clock.js';
import { ArgumentTypeError } from '../base/errors.js';
import { DropReason, dropReasonName } from '../base/stats.js';
import type { IpAddress } from '../wire/ip-address.js';
import { ChecksumState } from '../wire/ip-packet.js';
import type { LinkDevice } from './link-device.js';
import type { LinkHost } from './link-host.js';
import type { PacketBatch } from './packet-batch.js';
import { PacketLayout } from './packet-layout.js';
import { CaptureDirection, PcapngWriter } from './pcapng-writer.js';

const ETHERNET_HEADER_BYTES = 14;

/** What a recorder is made with: a clock, and a sink or a writer. */
export interface PcapOptions {
  /** The clock that stamps packets. */
  clock: Clock;
  /** Wall-clock time at which `clock.nowUs()` was 0, µs since 1970; 0 by default, as virtual time has it. */
  epochUs?: number;
  /** Is given the capture piece by piece; each piece is its to keep. */
  sink?: (chunk: Uint8Array) => void;
  /** Records into a capture that has other links too, instead of `sink`. */
  writer?: PcapngWriter;
}

/** A packet as it came in, whose fate is not known yet. */
interface Pending {
  packet: Uint8Array;
  timeNs: bigint;
  direction: CaptureDirection;
}

/**
 * Passes everything on unchanged. A packet that came in and was dropped says why in a comment.
 * Super-packets are recorded whole, and checksums left to the link as the link will make them.
 */
export class PcapDevice implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly framing?: 'ethernet';
  /** Whether packets are recorded; those that pass meanwhile cost nothing. True by default. */
  recording = true;
  /** Packets recorded. */
  recorded = 0;
  /** Of these, packets the stack dropped. */
  dropped = 0;
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #inner: LinkDevice;
  readonly #clock: Clock;
  readonly #epochNs: bigint;
  readonly #writer: PcapngWriter;
  readonly #interfaceId: number;
  readonly #layout = new PacketLayout();
  /** While a batch is with the stack: the answers, which must not be recorded before it. */
  #answers: Pending[] | undefined;
  #closed = false;

  /** @throws ArgumentTypeError without a sink or a writer */
  constructor(inner: LinkDevice, options: PcapOptions) {
    const { clock, epochUs = 0, sink } = options;
    const writer = options.writer ?? (sink === undefined ? undefined : new PcapngWriter(sink));
    if (writer === undefined) throw new ArgumentTypeError('a capture needs a sink or a writer');
    this.#inner = inner;
    this.#clock = clock;
    this.#epochNs = BigInt(Math.round(epochUs)) * 1000n;
    this.#writer = writer;
    this.name = inner.name;
    this.mtu = inner.mtu;
    this.maxPacketBytes = inner.maxPacketBytes;
    this.checksumOffload = inner.checksumOffload;
    this.udpSegmentation = inner.udpSegmentation ?? false;
    if (inner.framing !== undefined) this.framing = inner.framing;
    this.#interfaceId = writer.addInterface(inner.name, inner.framing);
    inner.onWritable = () => this.onWritable();
    inner.onDown = (error) => this.onDown(error);
  }

  get resolves(): boolean {
    return this.#inner.resolves === true;
  }

  attach(host: LinkHost): void {
    this.#inner.attach?.(host);
  }

  addressAdded(address: IpAddress, probe: boolean | undefined): boolean {
    return this.#inner.addressAdded?.(address, probe) ?? false;
  }

  addressRemoved(address: IpAddress): void {
    this.#inner.addressRemoved?.(address);
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#inner.open((batch) => this.#receive(batch, onBatch));
  }

  borrow(): PacketBatch | undefined {
    return this.#inner.borrow();
  }

  send(batch: PacketBatch): void {
    if (this.recording) this.#recordSent(batch);
    this.#inner.send(batch);
  }

  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#writer.writeStatistics(this.#interfaceId, this.#nowNs(), this.recorded, this.dropped);
    }
    this.#inner.close();
  }

  ref(): void {
    this.#inner.ref?.();
  }

  unref(): void {
    this.#inner.unref?.();
  }

  #recordSent(batch: PacketBatch): void {
    const timeNs = this.#nowNs();
    for (let i = 0; i < batch.count; i++) {
      const record = { packet: this.#copy(batch, i), timeNs, direction: CaptureDirection.Out };
      if (this.#answers === undefined) this.#record(record);
      else this.#answers.push(record);
    }
  }

  /** The fate of a packet is known only after the stack has had the batch; by then it may be changed. */
  #receive(batch: PacketBatch, onBatch: (batch: PacketBatch) => void): void {
    if (!this.recording) {
      onBatch(batch);
      return;
    }
    const timeNs = this.#nowNs();
    const packets: Pending[] = [];
    for (let i = 0; i < batch.count; i++) {
      packets.push({ packet: this.#copy(batch, i), timeNs, direction: CaptureDirection.In });
    }
    const answers: Pending[] = [];
    this.#answers = answers;
    try {
      onBatch(batch);
    } finally {
      this.#answers = undefined;
      for (const [i, record] of packets.entries()) this.#record(record, batch.verdict(i));
      for (const record of answers) this.#record(record);
    }
  }

  #record(pending: Pending, verdict: number = DropReason.None): void {
    if (this.#closed) return;
    const { packet, timeNs, direction } = pending;
    this.recorded++;
    const record = { interfaceId: this.#interfaceId, timeNs, direction };
    if (verdict === DropReason.None) {
      this.#writer.writePacket(packet, record);
      return;
    }
    this.dropped++;
    this.#writer.writePacket(packet, { ...record, comment: `dropped: ${dropReasonName(verdict)}` });
  }

  /** A packet in memory of its own, its checksum complete. */
  #copy(batch: PacketBatch, i: number): Uint8Array {
    const offset = batch.offset(i);
    const packet = batch.bytes.slice(offset, offset + batch.length(i));
    if (batch.checksum(i) === ChecksumState.Partial) {
      const view = new DataView(packet.buffer);
      const at = this.framing === 'ethernet' ? ETHERNET_HEADER_BYTES : 0;
      if (this.#layout.parse(view, at, packet.length - at)) this.#layout.completeChecksum();
    }
    return packet;
  }

  #nowNs(): bigint {
    return this.#epochNs + BigInt(Math.round(this.#clock.nowUs() * 1000));
  }
}
