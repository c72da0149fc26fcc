/** The link of a shard: a queue of an interface that all shards share, and beside it what neighbours hand over. */
import type { LinkDevice } from '../link/link-device.js';
import type { PacketBatch } from '../link/packet-batch.js';

export class ShardLink implements LinkDevice {
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  /** Whether what the stack is being given came by the interface, and not from a neighbour or another link. */
  isFromOutside = false;
  readonly #device: LinkDevice;
  readonly #onOutside: (batch: PacketBatch) => void;
  #onBatch: ((batch: PacketBatch) => void) | undefined;

  /** @param onOutside hears what came by the interface before the stack does */
  constructor(device: LinkDevice, onOutside: (batch: PacketBatch) => void) {
    this.#device = device;
    this.#onOutside = onOutside;
    device.onWritable = () => this.onWritable();
    device.onDown = (error) => this.onDown(error);
  }

  get name(): string {
    return this.#device.name;
  }

  get mtu(): number {
    return this.#device.mtu;
  }

  get maxPacketBytes(): number {
    return this.#device.maxPacketBytes;
  }

  get checksumOffload(): boolean {
    return this.#device.checksumOffload;
  }

  get udpSegmentation(): boolean {
    return this.#device.udpSegmentation === true;
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
    this.#device.open((batch) => {
      this.isFromOutside = true;
      try {
        this.#onOutside(batch);
        onBatch(batch);
      } finally {
        this.isFromOutside = false;
      }
    });
  }

  borrow(): PacketBatch | undefined {
    return this.#device.borrow();
  }

  send(batch: PacketBatch): void {
    this.#device.send(batch);
  }

  close(): void {
    this.#onBatch = undefined;
    this.#device.close();
  }

  ref(): void {
    this.#device.ref?.();
  }

  unref(): void {
    this.#device.unref?.();
  }

  /** Gives the stack what a neighbour handed over. */
  handOver(batch: PacketBatch): void {
    this.#onBatch?.(batch);
  }
}
