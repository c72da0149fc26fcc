/** What one side has to say, and the connections whose words had no room in the ring yet. */
import { Say } from './protocol.js';
import type { RingWriter } from './record-ring.js';

/** Whoever has something to say again when there is room. */
export interface Speaker {
  /** Says what there is to say. @returns false when room has run out again */
  speak(): boolean;
}

const encoder = new TextEncoder();

export class Outbox {
  readonly ring: RingWriter;
  readonly #waiting = new Set<Speaker>();
  /** How often there was no room. */
  fulls = 0;

  readonly #again: () => void;

  /** @param again has `hasRoom` called, soon: never from within what a speaker was called by */
  constructor(ring: RingWriter, again: () => void) {
    this.ring = ring;
    this.#again = again;
  }

  /** There was no room for a speaker: it is called when there is. */
  await(speaker: Speaker): void {
    this.#waiting.add(speaker);
    this.fulls++;
    if (!this.ring.await()) this.#again();
  }

  forget(speaker: Speaker): void {
    this.#waiting.delete(speaker);
  }

  /** There is room again: those who wait speak, in turn, as long as it lasts. */
  hasRoom(): void {
    if (this.#waiting.size === 0) return;
    // Whoever waits anew while they speak has the next turn.
    const speakers = [...this.#waiting];
    this.#waiting.clear();
    let said = 0;
    while (said < speakers.length && speakers[said].speak()) said++;
    if (said === speakers.length) return;
    for (const speaker of speakers.slice(said)) this.#waiting.add(speaker);
    if (!this.ring.await()) this.#again();
  }

  /** Says something with a short text. @returns false when there is no room */
  tell(type: number, id: number, value: number, text: string): boolean {
    if (text === '') return this.ring.put(type, id, value);
    const bytes = encoder.encode(text);
    const at = this.ring.begin(type, id, value, bytes.length);
    if (at < 0) return false;
    this.ring.bytes.set(bytes, at);
    this.ring.commit();
    return true;
  }

  /** Says `length` bytes of text. There is room. */
  data(id: number, source: Uint8Array, at: number, length: number): void {
    const to = this.ring.begin(Say.Data, id, 0, length);
    this.ring.bytes.set(source.subarray(at, at + length), to);
    this.ring.commit();
  }
}
