/** What passed a link, and what did not: after RFC 2863's interface table. All only grow. */
import { type DropReason, dropReasonName } from '../base/stats.js';

export class LinkCounters {
  inPackets = 0;
  inBytes = 0;
  outPackets = 0;
  outBytes = 0;
  /** Packets that came in and were dropped before the stack saw them. */
  inDrops = 0;
  /** Packets the stack sent that the link dropped. */
  outDrops = 0;
  readonly #reasons = new Map<DropReason, number>();

  countIn(bytes: number): void {
    this.inPackets++;
    this.inBytes += bytes;
  }

  countOut(bytes: number): void {
    this.outPackets++;
    this.outBytes += bytes;
  }

  dropIn(reason: DropReason): void {
    this.inDrops++;
    this.#reasons.set(reason, this.dropped(reason) + 1);
  }

  dropOut(reason: DropReason): void {
    this.outDrops++;
    this.#reasons.set(reason, this.dropped(reason) + 1);
  }

  /** Packets dropped for `reason`, in either direction. */
  dropped(reason: DropReason): number {
    return this.#reasons.get(reason) ?? 0;
  }

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
