/** Tells those who want to know of each loss: algorithms that bound what is in flight by what gets lost. */
import type { DeliveryRate } from './delivery-rate.js';
import { RowFlag, type SentLog } from './sent-log.js';

/** Who may want to hear of each loss. */
export interface LossListener {
  onLost?(lost: LossReport): void;
}

/** What was sent and is now believed lost; the shape of a `LostData`. One object, filled anew for each loss. */
export class LossReport {
  nowUs = 0;
  bytes = 0;
  txInFlightBytes = 0;
  lostSinceSentBytes = 0;
  isAppLimited = false;

  tell(listener: LossListener, log: SentLog, slot: number, rate: DeliveryRate): void {
    this.bytes = log.bytes(slot);
    this.txInFlightBytes = log.txInFlightBytes(slot);
    this.lostSinceSentBytes = rate.totalLostBytes - log.totalLostBytes(slot);
    this.isAppLimited = log.has(slot, RowFlag.APP_LIMITED);
    listener.onLost?.(this);
  }
}
