/** The queue before an emulated wire: it empties at a rate, and what does not fit is dropped. */
import { NEVER } from '../base/clock.js';
import { DEFAULT_QUEUE_PACKETS, type DirectionOptions } from './emulation-options.js';

export class EmulatedQueue {
  /** When each packet has left, µs, and its bytes: rings. The first is leaving, the others wait. */
  #departures = new Float64Array(64);
  #lengths = new Int32Array(64);
  #head = 0;
  #count = 0;
  #bytes = 0;
  #lastDepartureUs = 0;

  /** Packets that wait for their turn. */
  get packets(): number {
    return Math.max(0, this.#count - 1);
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#count === 0 ? 0 : this.#bytes - this.#lengths[this.#head];
  }

  /** Forgets what has left by now. */
  advance(nowUs: number): void {
    const mask = this.#departures.length - 1;
    while (this.#count > 0 && this.#departures[this.#head] <= nowUs) {
      this.#bytes -= this.#lengths[this.#head];
      this.#head = (this.#head + 1) & mask;
      this.#count--;
    }
  }

  /** Whether so much waits that packets are marked. After `advance`. */
  isCongested(options: DirectionOptions): boolean {
    const { ecnThresholdPackets = NEVER, ecnThresholdBytes = NEVER } = options;
    return this.packets >= ecnThresholdPackets || this.bytes >= ecnThresholdBytes;
  }

  /**
   * Takes a packet in. After `advance`.
   * @returns when it will have left, µs; `NEVER` when it does not fit
   */
  enter(length: number, nowUs: number, options: DirectionOptions): number {
    const { rateBps = Number.POSITIVE_INFINITY, queueBytes = NEVER } = options;
    if (rateBps === Number.POSITIVE_INFINITY) return Math.max(nowUs, this.#lastDepartureUs);
    const queuePackets = options.queuePackets ?? (queueBytes === NEVER ? DEFAULT_QUEUE_PACKETS : NEVER);
    const waits = this.#count > 0;
    if (waits && (this.packets + 1 > queuePackets || this.bytes + length > queueBytes)) return NEVER;
    if (this.#count === this.#departures.length) this.#grow();
    const departureUs = Math.max(nowUs, this.#lastDepartureUs) + (length * 8e6) / rateBps;
    const place = (this.#head + this.#count) & (this.#departures.length - 1);
    this.#departures[place] = departureUs;
    this.#lengths[place] = length;
    this.#count++;
    this.#bytes += length;
    this.#lastDepartureUs = departureUs;
    return departureUs;
  }

  #grow(): void {
    const before = this.#departures.length;
    const departures = new Float64Array(before * 2);
    const lengths = new Int32Array(before * 2);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#head + i) & (before - 1);
      departures[i] = this.#departures[from];
      lengths[i] = this.#lengths[from];
    }
    this.#departures = departures;
    this.#lengths = lengths;
    this.#head = 0;
  }
}
