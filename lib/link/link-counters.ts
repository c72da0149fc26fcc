/** What passed a link, and what did not: after RFC 2863's interface table. All only grow. */
import { type DropReason, dropReasonName } from '../base/stats.js';

/** What passed a link, and what did not, after RFC 2863's interface table. All only grow. */
export class LinkCounters {
  /** Packets that came in and were handed to the stack. */
  inPackets = 0;
  /** Bytes of them. */
  inBytes = 0;
  /** Packets the stack sent. */
  outPackets = 0;
  /** Bytes of them. */
  outBytes = 0;
  /** Packets that came in and were dropped before the stack saw them. */
  inDrops = 0;
  /** Packets the stack sent that the link dropped. */
  outDrops = 0;
  readonly #reasons = new Map<DropReason, number>();

  /** @hidden */
  countIn(bytes: number): void {
    this.inPackets++;
    this.inBytes += bytes;
  }

  /** @hidden */
  countOut(bytes: number): void {
    this.outPackets++;
    this.outBytes += bytes;
  }

  /** @hidden */
  dropIn(reason: DropReason): void {
    this.inDrops++;
    this.#reasons.set(reason, this.dropped(reason) + 1);
  }

  /** @hidden */
  dropOut(reason: DropReason): void {
    this.outDrops++;
    this.#reasons.set(reason, this.dropped(reason) + 1);
  }

  /** Packets dropped for `reason`, in either direction. */
  dropped(reason: DropReason): number {
    return this.#reasons.get(reason) ?? 0;
  }

  /** All of them by name, and the reasons that occurred. */
  toJSON(): Record<string, number> {
    const json: Record<string, number> = {
      inPackets: this.inPackets,
      inBytes: this.inBytes,
      outPackets: this.outPackets,
      outBytes: this.outBytes,
      inDrops: this.inDrops,
      outDrops: this.outDrops,
    };
    for (const [reason, count] of this.#reasons) json[dropReasonName(reason)] = count;
    return json;
  }
}
