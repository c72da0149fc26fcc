/**
 * Proportional rate reduction (RFC 9937): how much may leave during recovery, so that the window falls to
 * ssthresh smoothly, in proportion to what is delivered, and never below it by a burst of losses for long.
 */
export class ProportionalReduction {
  /** Bytes delivered, and bytes sent, since recovery began. */
  deliveredBytes = 0;
  outBytes = 0;
  /** Congestion window while recovery lasts, bytes: what is in flight, and what this ACK lets leave. */
  cwndBytes = 0;
  #ssthreshBytes = 0;
  /** Data in flight when recovery began. */
  #recoverFsBytes = 1;

  /**
   * Recovery begins.
   * @param recoverFsBytes SND.NXT − SND.UNA, less what was selectively acknowledged before this ACK, and with
   * what this ACK newly acknowledged
   */
  start(ssthreshBytes: number, recoverFsBytes: number): void {
    this.deliveredBytes = 0;
    this.outBytes = 0;
    this.#ssthreshBytes = ssthreshBytes;
    this.#recoverFsBytes = Math.max(1, recoverFsBytes);
  }

  /** New data arrived at the peer, or at the start of recovery none was needed. `isSafe`: SND.UNA advanced, and nothing more is lost. */
  delivered(bytes: number, inFlightBytes: number, isSafe: boolean, mssBytes: number): void {
    if (bytes <= 0 && this.outBytes > 0) return;
    this.deliveredBytes += bytes;
    const toSend =
      inFlightBytes > this.#ssthreshBytes
        ? this.#inProportion()
        : this.#upToThreshold(bytes, inFlightBytes, isSafe ? mssBytes : 0);
    // The first retransmission goes at once, whatever the proportion says.
    const least = this.outBytes === 0 ? mssBytes : 0;
    this.cwndBytes = inFlightBytes + Math.max(toSend, least);
  }

  /** Bytes left, new ones or again. */
  sent(bytes: number): void {
    this.outBytes += bytes;
  }

  /** What is delivered is replaced by ssthresh / RecoverFS of it. */
  #inProportion(): number {
    return Math.ceil((this.deliveredBytes * this.#ssthreshBytes) / this.#recoverFsBytes) - this.outBytes;
  }

  /** In flight is less than the new window: conserve packets, and with a safe ACK grow back as slow start does. */
  #upToThreshold(bytes: number, inFlightBytes: number, extraBytes: number): number {
    const conserved = Math.max(this.deliveredBytes - this.outBytes, bytes) + extraBytes;
    return Math.min(this.#ssthreshBytes - inFlightBytes, conserved);
  }
}
