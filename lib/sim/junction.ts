/** Where the links of several stacks meet: packets of all go up, and each that comes down goes to its receiver. */
import { DropReason } from '../base/stats.js';
import { LinkCounters } from '../link/link-counters.js';
import type { LinkDevice } from '../link/link-device.js';
import { PacketBatch } from '../link/packet-batch.js';

/** Packets of a batch. */
const BATCH_PACKETS = 64;

export class Junction implements LinkDevice {
  readonly name = 'junction';
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload = false;
  readonly counters = new LinkCounters();
  /** Never called: what does not fit a branch is dropped. */
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #branches: readonly LinkDevice[];
  readonly #branchOf: (number: number) => number;
  readonly #lent: PacketBatch;

  /**
   * @param branches plain links of one MTU
   * @param branchOf the index of the branch behind which the address lives that ends in this 16-bit number
   */
  constructor(branches: readonly LinkDevice[], branchOf: (number: number) => number) {
    this.#branches = branches;
    this.#branchOf = branchOf;
    this.mtu = Math.min(...branches.map(({ mtu }) => mtu));
    this.maxPacketBytes = this.mtu;
    this.#lent = new PacketBatch(BATCH_PACKETS, BATCH_PACKETS * ((this.mtu + 7) & -8));
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    for (const branch of this.#branches) {
      branch.onDown = (error) => this.onDown(error);
      branch.open((batch) => {
        for (let i = 0; i < batch.count; i++) this.counters.countIn(batch.length(i));
        onBatch(batch);
      });
    }
  }

  borrow(): PacketBatch | undefined {
    return this.#lent;
  }

  send(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const branch = this.#branches[this.#branchOf(destinationNumber(batch, i))];
      const target = branch?.borrow();
      if (branch === undefined || target === undefined) {
        this.counters.dropOut(branch === undefined ? DropReason.LinkMetadata : DropReason.LinkQueueFull);
        continue;
      }
      this.counters.countOut(batch.length(i));
      target.appendCopy(batch, i);
      branch.send(target);
    }
    batch.clear();
  }

  close(): void {
    for (const branch of this.#branches) branch.close();
  }
}

/** The last 16 bits of the destination address; -1 for what is too short to have one. */
function destinationNumber(batch: PacketBatch, i: number): number {
  const at = batch.offset(i);
  const length = batch.length(i);
  const end = length > 0 && batch.view.getUint8(at) >> 4 === 4 ? 20 : 40;
  return length < end ? -1 : batch.view.getUint16(at + end - 2);
}
