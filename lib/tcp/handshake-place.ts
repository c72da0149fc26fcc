/**
 * The place of an accepted request among half-open connections, until its handshake is complete or has failed: who
 * sends SYNs in the name of others must not fill memory with connections that a handler has accepted.
 */

/** Retransmissions of a SYN-ACK where more than half of all places are taken (as Linux prunes its SYN queue). */
const HURRIED_RETRIES = 2;

/** How many places are taken. */
export interface HandshakeCount {
  handshaking: number;
}

export class HandshakePlace {
  readonly #count: HandshakeCount;
  readonly #synAckRetries: number;
  readonly #most: number;
  #isLeft = false;

  /** @param most places there are @param synAckRetries granted as long as half of them are free */
  constructor(count: HandshakeCount, most: number, synAckRetries: number) {
    this.#count = count;
    this.#most = most;
    this.#synAckRetries = synAckRetries;
    count.handshaking++;
  }

  /** How often the SYN-ACK is repeated: 2 give up after 7 s. */
  get synAckRetries(): number {
    const isCrowded = 2 * this.#count.handshaking > this.#most;
    return isCrowded ? Math.min(HURRIED_RETRIES, this.#synAckRetries) : this.#synAckRetries;
  }

  /** The handshake is complete, or the connection is over. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#count.handshaking--;
  }
}
