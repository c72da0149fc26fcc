/**
 * Words about packets whose addresses cannot be, for whoever wants to hear them: few enough not to be a
 * flood of their own (Linux `log_martians`). The counters count all of them.
 */
import { DropReason, dropReasonName } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';

/** So many lines at once, and so many more in each interval. */
const BURST = 10;
const INTERVAL_US = 5_000_000;

export type MartianListener = (line: string) => void;

export class MartianLog {
  readonly #listener: MartianListener | undefined;
  #sinceUs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  /** Lines that were not written. */
  suppressed = 0;

  constructor(listener: MartianListener | undefined) {
    this.#listener = listener;
  }

  note(packet: IpPacket, reason: DropReason): void {
    const martian = reason === DropReason.IpMartianSource || reason === DropReason.IpMartianDestination;
    if (this.#listener === undefined || !martian) return;
    if (packet.nowUs - this.#sinceUs >= INTERVAL_US) {
      this.#sinceUs = packet.nowUs;
      this.#lines = 0;
    }
    if (this.#lines >= BURST) {
      this.suppressed++;
      return;
    }
    this.#lines++;
    const way = `${packet.source()} to ${packet.destination()}`;
    this.#listener(`${dropReasonName(reason)}: ${way} on port ${packet.link}`);
  }
}
