/** Two links joined in memory, for two stacks in one process. */
import type { Clock } from '../base/clock.js';
import { ArgumentRangeError, StackError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { BatchQueue, type QueueLimits } from './batch-queue.js';
import { LinkCounters } from './link-counters.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, type PacketBatch } from './packet-batch.js';
import { isUdp } from './packet-layout.js';
import { forgetHost, moveSlot, setChecksumState, truncate } from './slots.js';

/** What a pipe is made with. */
export interface PipeOptions extends QueueLimits {
  /** The clock of the stacks it joins. */
  clock: Clock;
  /** Largest packet, bytes, 68 .. 65535; 1500 by default. */
  mtu?: number;
  /** Names of the two ends; `pipe0` and `pipe1` by default. */
  names?: readonly [string, string];
  /**
   * Whether packets pass with their transport checksum only begun, to be trusted by the other side, as
   * between two virtual machines; false by default.
   */
  checksumOffload?: boolean;
  /** Whether TCP super-packets pass whole; false by default. Needs `checksumOffload`. */
  segmentation?: boolean;
  /** Whether UDP super-packets pass whole; false by default. Needs `segmentation`. */
  udpSegmentation?: boolean;
}

/**
 * The two ends of a pipe. Each queues what it is given, within `queuePackets` and `queueBytes`, and the
 * other end hears of it from an alarm at the current time. Closing one end fails the other with
 * `ENETDOWN`.
 * @throws ArgumentRangeError for an MTU or limits out of range, or an offload without what it needs
 */
export function createPipe(options: PipeOptions): [PipeDevice, PipeDevice] {
  const mtu = options.mtu ?? 1500;
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > MAX_PACKET_BYTES) {
    throw new ArgumentRangeError(`mtu must be an integer within 68 .. 65535, not ${mtu}`);
  }
  if (
    (options.segmentation && !options.checksumOffload) ||
    (options.udpSegmentation && !options.segmentation)
  ) {
    throw new ArgumentRangeError('udpSegmentation needs segmentation, which needs checksumOffload');
  }
  const [first, second] = options.names ?? ['pipe0', 'pipe1'];
  const a = new PipeDevice(first, mtu, options);
  const b = new PipeDevice(second, mtu, options);
  a.join(b);
  b.join(a);
  return [a, b];
}

/** One end of a pipe. */
export class PipeDevice implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload: boolean;
  readonly udpSegmentation: boolean;
  /** What passed, and what did not. */
  readonly counters = new LinkCounters();
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #queue: BatchQueue;
  #peer: PipeDevice | undefined;
  #onBatch: ((batch: PacketBatch) => void) | undefined;
  #closed = false;
  readonly #fallen: () => void;

  /** @internal Use `createPipe`. */
  constructor(name: string, mtu: number, options: PipeOptions) {
    this.name = name;
    this.mtu = mtu;
    this.maxPacketBytes = options.segmentation ? MAX_PACKET_BYTES : mtu;
    this.checksumOffload = options.checksumOffload ?? false;
    this.udpSegmentation = options.udpSegmentation ?? false;
    this.#queue = new BatchQueue(
      options.clock,
      { ...options, maxPacketBytes: this.maxPacketBytes },
      (batch) => this.#peer?.receive(batch),
      () => this.onWritable(),
    );
    const alarm = options.clock.createAlarm(() => {
      if (!this.#closed) this.onDown(new StackError('ENETDOWN', 'read', this.name));
    });
    this.#fallen = () => alarm.setAt(options.clock.nowUs());
  }

  /** @internal */
  join(peer: PipeDevice): void {
    this.#peer = peer;
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
    this.#peer?.startSending();
  }

  borrow(): PacketBatch | undefined {
    return this.#queue.borrow();
  }

  send(batch: PacketBatch): void {
    if (this.#closed) return;
    let kept = 0;
    for (let i = 0; i < batch.count; i++) {
      const reason = this.#refusal(batch, i);
      if (reason !== DropReason.None) {
        this.counters.dropOut(reason);
        continue;
      }
      this.counters.countOut(batch.length(i));
      // What is complete is yet unverified by the other side, unless both are one machine.
      if (!this.checksumOffload) setChecksumState(batch, i, ChecksumState.Unknown);
      forgetHost(batch, i);
      if (kept !== i) moveSlot(batch, i, kept);
      kept++;
    }
    truncate(batch, kept);
    this.#queue.send(batch);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.close();
    this.#onBatch = undefined;
    this.#peer?.peerClosed();
    this.#peer = undefined;
  }

  ref(): void {
    this.#queue.ref();
  }

  unref(): void {
    this.#queue.unref();
  }

  /** @internal The other end listens. */
  startSending(): void {
    this.#queue.start();
  }

  /** @internal What the other end sent. */
  receive(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) this.counters.countIn(batch.length(i));
    this.#onBatch?.(batch);
  }

  /** @internal */
  peerClosed(): void {
    this.#peer = undefined;
    if (this.#closed) return;
    this.#queue.close();
    this.#fallen();
  }

  /** Why a packet cannot pass: too large, or relying on what this pipe does not offer. */
  #refusal(batch: PacketBatch, i: number): DropReason {
    const length = batch.length(i);
    const segmentSize = batch.segmentSize(i);
    if (!this.checksumOffload && batch.checksum(i) === ChecksumState.Partial) return DropReason.LinkMetadata;
    if (segmentSize === 0) return length > this.mtu ? DropReason.LinkTooBig : DropReason.None;
    if (length > this.maxPacketBytes) return DropReason.LinkTooBig;
    if (segmentSize < 0 || batch.headerBytes(i) + segmentSize > this.mtu) return DropReason.LinkMetadata;
    if (!this.udpSegmentation && isUdp(batch.view, batch.offset(i))) return DropReason.LinkMetadata;
    return DropReason.None;
  }
}
