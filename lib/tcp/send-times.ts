/** How long a connection was busy sending, and what held it up meanwhile (the chronographs of Linux `TCP_INFO`). */

import type { Tape } from '../base/tape.js';

export const SendState = {
  /** Everything written is acknowledged. */
  Idle: 0,
  /** Sending, or waiting for the network. */
  Busy: 1,
  /** More could leave if the peer's window let it. */
  WindowLimited: 2,
  /** More would be written if the buffer had room. */
  BufferLimited: 3,
} as const;
export type SendState = (typeof SendState)[keyof typeof SendState];

export class SendTimes {
  #busyUs = 0;
  #windowLimitedUs = 0;
  #bufferLimitedUs = 0;
  #state: SendState = SendState.Idle;
  #sinceUs = 0;

  fold(tape: Tape): void {
    this.#busyUs = tape.number(this.#busyUs, 0);
    this.#windowLimitedUs = tape.number(this.#windowLimitedUs, 0);
    this.#bufferLimitedUs = tape.number(this.#bufferLimitedUs, 0);
    this.#state = tape.number(this.#state, SendState.Idle) as SendState;
    this.#sinceUs = tape.number(this.#sinceUs, 0);
  }

  /** From `nowUs` on the connection is in this state. */
  enter(state: SendState, nowUs: number): void {
    if (state === this.#state) return;
    const elapsedUs = nowUs - this.#sinceUs;
    if (this.#state === SendState.Busy) this.#busyUs += elapsedUs;
    else if (this.#state === SendState.WindowLimited) this.#windowLimitedUs += elapsedUs;
    else if (this.#state === SendState.BufferLimited) this.#bufferLimitedUs += elapsedUs;
    this.#state = state;
    this.#sinceUs = nowUs;
  }

  /** Time spent in a state up to `nowUs`, µs; of idleness nothing is kept. */
  totalUs(state: SendState, nowUs: number): number {
    const sinceUs = state === this.#state ? nowUs - this.#sinceUs : 0;
    switch (state) {
      case SendState.Busy:
        return this.#busyUs + sinceUs;
      case SendState.WindowLimited:
        return this.#windowLimitedUs + sinceUs;
      case SendState.BufferLimited:
        return this.#bufferLimitedUs + sinceUs;
      default:
        return 0;
    }
  }
}
