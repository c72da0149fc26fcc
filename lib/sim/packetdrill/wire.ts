/**
 * The link between a stack and a script: what the stack sends is kept with its time, what the script sends
 * comes in as a batch of one. Plain packets only: what a kernel would send as one super-packet is seen as
 * the segments it becomes.
 */
import type { Clock } from '../../base/clock.js';
import type { LinkDevice } from '../../link/link-device.js';
import { PacketBatch } from '../../link/packet-batch.js';

/** A packet the stack sent. */
export interface SentPacket {
  readonly bytes: Uint8Array;
  readonly atUs: number;
}

export class ScriptedWire implements LinkDevice {
  readonly name = 'script0';
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload = false;
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  /** What was sent and not yet taken, oldest first. */
  readonly sent: SentPacket[] = [];
  readonly #clock: Clock;
  readonly #output: PacketBatch;
  #onBatch: ((batch: PacketBatch) => void) | undefined;

  constructor(clock: Clock, mtu: number) {
    this.#clock = clock;
    this.mtu = mtu;
    this.maxPacketBytes = mtu;
    this.#output = new PacketBatch(64, Math.max(65_600, 4 * mtu));
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  borrow(): PacketBatch {
    return this.#output;
  }

  send(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset(i);
      this.sent.push({ bytes: batch.bytes.slice(at, at + batch.length(i)), atUs: this.#clock.nowUs() });
    }
    batch.clear();
  }

  /** Hands a packet to the stack. */
  inject(packet: Uint8Array): void {
    const batch = new PacketBatch(1, packet.length + 64);
    batch.appendPacket(packet);
    this.#onBatch?.(batch);
  }

  close(): void {
    this.#onBatch = undefined;
  }
}
