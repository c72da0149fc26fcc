/** What stands in the place of a congestion control until both SYNs have been seen: no text may leave yet. */
import { type CongestionControl, initialWindowBytes } from './congestion-control.js';
import { UNKNOWN_SSTHRESH_BYTES } from './window.js';

export class FirstWindow implements CongestionControl {
  readonly name: string;
  readonly #segments: number;
  cwndBytes: number;

  /** @param name of the one that is to come. @param segments initial window */
  constructor(name: string, mssBytes: number, segments: number) {
    this.name = name;
    this.#segments = segments;
    this.cwndBytes = initialWindowBytes(mssBytes, segments);
  }

  get ssthreshBytes(): number {
    return UNKNOWN_SSTHRESH_BYTES;
  }

  get pacingRateBps(): number {
    return Number.POSITIVE_INFINITY;
  }

  get usesPrr(): boolean {
    return true;
  }

  setMss(mssBytes: number): void {
    this.cwndBytes = initialWindowBytes(mssBytes, this.#segments);
  }

  // Of all else nothing happens before text has left.
  onAck(): void {}
  onCongestion(): void {}
  onRecovered(): void {}
  onSpurious(): void {}
  onIdle(): void {}
}
