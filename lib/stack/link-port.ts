/** A link as IP sees it: a place to write packets, collected in a batch until the end of the turn. */

import type { OutputPort } from '../ip/interfaces.js';
import type { LinkDevice } from '../link/link-device.js';
import type { PacketBatch } from '../link/packet-batch.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { ChecksumState } from '../wire/ip-packet.js';

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

export class LinkPort implements OutputPort {
  readonly index: number;
  readonly device: LinkDevice;
  readonly isLoopback: boolean;
  isUp = true;
  view: DataView = NO_VIEW;
  bytes: Uint8Array = NO_BYTES;
  at = 0;
  #batch: PacketBatch | undefined;
  readonly #collecting: () => void;

  /** @param collecting called when the first packet after a flush is collected: another flush must follow */
  constructor(index: number, device: LinkDevice, collecting: () => void) {
    this.index = index;
    this.device = device;
    this.isLoopback = index === 0;
    this.#collecting = collecting;
  }

  get name(): string {
    return this.device.name;
  }

  get mtu(): number {
    return this.device.mtu;
  }

  get maxPacketBytes(): number {
    return this.device.maxPacketBytes;
  }

  get checksumOffload(): boolean {
    return this.device.checksumOffload;
  }

  get udpSegmentation(): boolean {
    return this.device.udpSegmentation === true;
  }

  get gathers(): boolean {
    return this.device.gathers === true;
  }

  get resolves(): boolean {
    return this.device.resolves === true;
  }

  reserve(): boolean {
    if (!this.isUp) return false;
    if (this.#batch !== undefined && this.#batch.room < this.device.maxPacketBytes) this.flush();
    // A link with neighbours sends messages of its own in between, in what it has lent and is still empty.
    const batch = (this.resolves ? undefined : this.#batch) ?? this.device.borrow();
    if (batch === undefined) return false;
    this.#batch = batch;
    this.view = batch.view;
    this.bytes = batch.bytes;
    this.at = batch.tail;
    return true;
  }

  commit(length: number, checksum: ChecksumState, segmentSize: number, headerBytes: number): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    if (batch.count === 0) this.#collecting();
    batch.append(length, checksum, segmentSize, headerBytes);
  }

  lendText(memory: Uint8Array, at: number, length: number): void {
    this.#batch?.lendText(memory, at, length);
  }

  via(router: IpAddress): void {
    if (this.device.resolves === true) this.#batch?.setNextHop(router);
  }

  addressAdded(address: IpAddress, probe: boolean | undefined): boolean {
    return this.device.addressAdded?.(address, probe) ?? false;
  }

  addressRemoved(address: IpAddress): void {
    this.device.addressRemoved?.(address);
  }

  /** Sends what was collected. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    if (batch.count > 0) this.device.send(batch);
  }

  /** The link is gone: nothing more is collected. */
  down(): void {
    this.isUp = false;
    this.#batch = undefined;
  }
}
