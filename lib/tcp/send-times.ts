/** How long a connection was busy sending, and what held it up meanwhile (the chronographs of Linux `TCP_INFO`). */

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
  readonly #totalsUs = new Float64Array(4);
  #state: SendState = SendState.Idle;
  #sinceUs = 0;

  /** From `nowUs` on the connection is in this state. */
  enter(state: SendState, nowUs: number): void {
    if (state === this.#state) return;
    this.#totalsUs[this.#state] += nowUs - this.#sinceUs;
    this.#state = state;
    this.#sinceUs = nowUs;
  }

  /** Time spent in a state up to `nowUs`, µs. */
  totalUs(state: SendState, nowUs: number): number {
    return this.#totalsUs[state] + (state === this.#state ? nowUs - this.#sinceUs : 0);
  }
}
