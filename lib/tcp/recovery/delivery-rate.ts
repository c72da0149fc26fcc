/**
 * How fast the path delivers (draft-ietf-ccwg-bbr, "Delivery Rate Samples"): bytes delivered between the
 * sending of something and its acknowledgment, over the longer of the times the sending and the
 * acknowledging of them took.
 */
import type { Tape } from '../../base/tape.js';
import { type AckFacts, RateResult } from './ack-facts.js';
import { RowFlag, type SendSnapshot, type SentLog } from './sent-log.js';

export class DeliveryRate implements SendSnapshot {
  /** Bytes delivered in the life of the connection, and when that last changed, µs. */
  deliveredBytes = 0;
  deliveredAtUs = 0;
  /** When the first segment of the sending under way was sent, µs. */
  firstSentAtUs = 0;
  /** Bytes marked lost in the life of the connection. */
  totalLostBytes = 0;
  txInFlightBytes = 0;
  /** Last rate that was measured, bytes per second, and whether the application limited it; 0 before. */
  lastRateBps = 0;
  lastIsAppLimited = false;
  /** `deliveredBytes` up to which what was sent says nothing of the path: the application had no more. 0: none. */
  #appLimitedUntil = 0;
  #result = new RateResult();
  #sentAtUs = 0;
  #ackElapsedUs = 0;
  #sendElapsedUs = 0;

  get isAppLimited(): boolean {
    return this.#appLimitedUntil > 0;
  }

  /** @param deliveredBytes what is usually delivered */
  fold(tape: Tape, deliveredBytes: number): void {
    this.deliveredBytes = tape.number(this.deliveredBytes, deliveredBytes);
    this.deliveredAtUs = tape.number(this.deliveredAtUs, 0);
    this.firstSentAtUs = tape.number(this.firstSentAtUs, 0);
    this.totalLostBytes = tape.number(this.totalLostBytes, 0);
    this.txInFlightBytes = tape.number(this.txInFlightBytes, 0);
    this.lastRateBps = tape.number(this.lastRateBps, 0);
    this.lastIsAppLimited = tape.flag(this.lastIsAppLimited);
    this.#appLimitedUntil = tape.number(this.#appLimitedUntil, this.deliveredBytes);
  }

  /** A record is sent, or again. `inFlightBytes` includes it. */
  sent(log: SentLog, slot: number, inFlightBytes: number, nowUs: number): void {
    if (inFlightBytes <= log.bytes(slot)) {
      this.firstSentAtUs = nowUs;
      this.deliveredAtUs = nowUs;
    }
    this.txInFlightBytes = inFlightBytes;
    log.setSnapshot(slot, this);
  }

  /** The application has no more, and the window would take it. */
  appLimited(inFlightBytes: number): void {
    this.#appLimitedUntil = Math.max(1, this.deliveredBytes + inFlightBytes);
  }

  /** An ACK came: no sample yet. @param result where it goes */
  begin(result: RateResult): void {
    this.#result = result;
    result.deliveryRateBps = 0;
    result.deliveredBytes = 0;
    result.intervalUs = -1;
    result.priorDeliveredBytes = -1;
    result.isAppLimited = false;
    this.#sentAtUs = -1;
  }

  /** `bytes` of a record were newly delivered: the record sent last makes the sample. */
  delivered(log: SentLog, slot: number, bytes: number, facts: AckFacts): void {
    const result = this.#result;
    this.deliveredBytes += bytes;
    this.deliveredAtUs = facts.nowUs;
    const prior = log.deliveredBytes(slot);
    const sentAtUs = log.sentAtUs(slot);
    if (prior < result.priorDeliveredBytes) return;
    if (prior === result.priorDeliveredBytes && sentAtUs < this.#sentAtUs) return;
    this.#sentAtUs = sentAtUs;
    result.priorDeliveredBytes = prior;
    result.isAppLimited = log.has(slot, RowFlag.APP_LIMITED);
    result.txInFlightBytes = log.txInFlightBytes(slot);
    result.lostBytes = log.totalLostBytes(slot);
    this.#sendElapsedUs = sentAtUs - log.firstSentAtUs(slot);
    this.#ackElapsedUs = facts.nowUs - log.deliveredAtUs(slot);
    this.firstSentAtUs = sentAtUs;
  }

  /** The ACK has been taken. @param minRttUs no path delivers in less: shorter intervals are artefacts */
  finish(minRttUs: number): void {
    const result = this.#result;
    if (this.#appLimitedUntil > 0 && this.deliveredBytes > this.#appLimitedUntil) this.#appLimitedUntil = 0;
    if (result.priorDeliveredBytes < 0) return;
    result.lostBytes = this.totalLostBytes - result.lostBytes;
    result.deliveredBytes = this.deliveredBytes - result.priorDeliveredBytes;
    const intervalUs = Math.max(this.#sendElapsedUs, this.#ackElapsedUs);
    if (intervalUs <= 0 || intervalUs < minRttUs) return;
    result.intervalUs = intervalUs;
    result.deliveryRateBps = (result.deliveredBytes * 1e6) / intervalUs;
    // What an idle application makes of the path is remembered only if it is better than what is known.
    if (result.isAppLimited && result.deliveryRateBps < this.lastRateBps) return;
    this.lastRateBps = result.deliveryRateBps;
    this.lastIsAppLimited = result.isAppLimited;
  }
}
