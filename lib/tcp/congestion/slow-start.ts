/**
 * Slow start with appropriate byte counting (RFC 3465) and HyStart++ (RFC 9406): by how much a window grows for
 * what an ACK delivered, and when the first slow start of a connection has gone far enough.
 */
import type { Tape } from '../../base/tape.js';
import type { AckSample } from './congestion-control.js';
import { CSS_GROWTH_DIVISOR, HyStart } from './hystart.js';

/** RFC 9406 §4.3: the most segments by which one ACK lets the window grow, where no pacing spreads the burst. */
const UNPACED_LIMIT_SEGMENTS = 8;

export class SlowStart {
  readonly #limitSegments: number;
  /** Made when first asked, and let go when the first slow start ends. */
  #hystart: HyStart | undefined;

  /** `paced`: something else than slow start keeps bursts short. */
  constructor(paced: boolean) {
    this.#limitSegments = paced ? Number.POSITIVE_INFINITY : UNPACED_LIMIT_SEGMENTS;
  }

  fold(tape: Tape): void {
    if (!tape.flag(this.#hystart !== undefined)) return;
    this.#hystart ??= new HyStart();
    this.#hystart.fold(tape);
  }

  /** Growth for `bytes` delivered, bytes; not always whole ones. */
  growth(bytes: number, mssBytes: number): number {
    const growth = Math.min(bytes, this.#limitSegments * mssBytes);
    return this.#hystart?.isConservative ? growth / CSS_GROWTH_DIVISOR : growth;
  }

  /** Takes an ACK of the first slow start. @returns whether it should end here */
  endsAt(sample: AckSample): boolean {
    this.#hystart ??= new HyStart();
    this.#hystart.acknowledged(sample);
    const { isOver } = this.#hystart;
    if (isOver) this.#hystart = undefined;
    return isOver;
  }

  /** A congestion signal ended slow start; if that is undone, round trips are watched from anew. */
  interrupted(): void {
    this.#hystart = undefined;
  }
}
