/** Which of the data in flight is lost: by time (RFC 8985 §6.2), or by count where RACK cannot be used. */
import { NEVER } from '../../base/clock.js';
import type { Seq } from '../../base/seq.js';
import { DUP_THRESH, markHeadLost, markLostByCount } from './loss-by-count.js';
import { Rack } from './rack.js';
import type { Scoreboard } from './scoreboard.js';
import { NO_SLOT } from './sent-log.js';

/** What detection depends on. One object, filled anew for each ACK. */
export class DetectionFacts {
  nowUs = 0;
  mssBytes = 0;
  minRttUs = Number.POSITIVE_INFINITY;
  srttUs = 0;
  /** In fast recovery, or after a time-out. */
  isRecovering = false;
  /** Without SACK: the ACK is partial, or the third duplicate. */
  namesHead = false;
  hasDupThresh = false;
}

export class LossDetector {
  readonly rack: Rack;
  /** Whether RACK is wanted; it needs SACK. */
  readonly #wantsRack: boolean;
  sack: boolean;
  /** When what is late now will be lost, µs. */
  deadlineUs = NEVER;

  constructor(iss: Seq, sack: boolean, wantsRack: boolean) {
    this.rack = new Rack(iss);
    this.sack = sack;
    this.#wantsRack = wantsRack;
  }

  get usesRack(): boolean {
    return this.sack && this.#wantsRack;
  }

  /** Marks what is lost by now. */
  detect(board: Scoreboard, facts: DetectionFacts): void {
    this.deadlineUs = NEVER;
    if (board.outstandingBytes === 0) return;
    if (this.usesRack) {
      if (board.sackedBytes > 0 || board.lostBytes > 0 || facts.isRecovering) this.#byTime(board, facts);
    } else if (this.sack) {
      if (board.sackedBytes > 0) markLostByCount(board, facts.mssBytes);
    } else if (facts.namesHead) {
      markHeadLost(board, facts.mssBytes);
    }
  }

  /** RFC 8985 §6.3: whether `slot` was sent so late that a time-out does not mean it. */
  isYoung(board: Scoreboard, slot: number, facts: DetectionFacts): boolean {
    if (!this.usesRack) return false;
    return this.rack.remainingUs(board.log, slot, this.#windowUs(board, facts), facts.nowUs) > 0;
  }

  /** RFC 8985 §6.2 step 4, µs. */
  #windowUs(board: Scoreboard, facts: DetectionFacts): number {
    const { rack } = this;
    facts.hasDupThresh =
      !rack.reorderingSeen && !facts.isRecovering && board.hasSacked(DUP_THRESH, facts.mssBytes);
    return rack.windowUs(facts);
  }

  /** RFC 8985 §6.2 step 5: in the order of transmission, up to the first not sent before what was delivered. */
  #byTime(board: Scoreboard, facts: DetectionFacts): void {
    const { rack } = this;
    const { log } = board;
    const windowUs = this.#windowUs(board, facts);
    let waitUs = 0;
    let slot = log.oldest;
    while (slot !== NO_SLOT && rack.isPassed(log, slot)) {
      const next = log.nextSent(slot);
      const remainingUs = rack.remainingUs(log, slot, windowUs, facts.nowUs);
      if (remainingUs <= 0) board.markLost(slot);
      else if (remainingUs > waitUs) waitUs = remainingUs;
      slot = next;
    }
    if (waitUs > 0) this.deadlineUs = facts.nowUs + waitUs;
  }
}
