/** Single ACKs for BBR, made by hand. */
import { SeededRandom } from '../../../../../lib/sim/seeded-random.js';
import { Bbr } from '../../../../../lib/tcp/congestion/bbr/bbr.js';
import type { CongestionParameters, LostData } from '../../../../../lib/tcp/congestion/congestion-control.js';
import { AckResult } from '../../../../../lib/tcp/recovery/ack-facts.js';

export const MSS = 1000;
export const START_US = 5e6;

export const makeBbr = (given: Partial<CongestionParameters> = {}): Bbr =>
  new Bbr({
    mssBytes: MSS,
    initialWindowBytes: 10 * MSS,
    maxWindowBytes: 100_000_000,
    rttUs: 50_000,
    nowUs: START_US,
    random: new SeededRandom(1),
    ...given,
  });

/** What may be said of one ACK; the rest follows. */
export interface AckGiven {
  readonly nowUs?: number;
  readonly bytes?: number;
  readonly rttUs?: number;
  readonly inFlightBytes?: number;
  readonly rateBps?: number;
  readonly rateBytes?: number;
  /** Whether a new round begins with this ACK; it does by default. */
  readonly round?: boolean;
  /** What had been delivered when the data was sent; as `round` needs it by default. */
  readonly priorBytes?: number;
  readonly isAppLimited?: boolean;
  readonly isRecovering?: boolean;
  readonly cwndLimited?: boolean;
  readonly txInFlightBytes?: number;
  readonly rateLostBytes?: number;
}

/** Feeds ACKs that keep the totals of a connection consistent. */
export class Feeder {
  readonly bbr: Bbr;
  nowUs = START_US;
  delivered = 0;
  readonly sample = new AckResult();

  constructor(bbr: Bbr) {
    this.bbr = bbr;
  }

  ack(given: AckGiven): void {
    const { sample } = this;
    const bytes = given.bytes ?? MSS;
    this.nowUs = given.nowUs ?? this.nowUs + 50_000;
    // A packet sent at the start of the round is of the round before; one that ends the round was sent after it.
    const prior = given.priorBytes ?? (given.round === false ? 0 : this.bbr.state.nextRoundDeliveredBytes);
    this.delivered += bytes;
    sample.nowUs = this.nowUs;
    sample.ackedBytes = sample.deliveredBytes = bytes;
    sample.rttUs = given.rttUs ?? 50_000;
    sample.inFlightBytes = given.inFlightBytes ?? 0;
    sample.priorInFlightBytes = sample.inFlightBytes + bytes;
    sample.isRecovering = given.isRecovering ?? false;
    sample.cwndLimited = given.cwndLimited ?? false;
    sample.totalDeliveredBytes = this.delivered;
    sample.rate.deliveryRateBps = given.rateBps ?? 0;
    sample.rate.deliveredBytes = given.rateBytes ?? bytes;
    sample.rate.intervalUs = 50_000;
    sample.rate.priorDeliveredBytes = prior;
    sample.rate.txInFlightBytes = given.txInFlightBytes ?? sample.priorInFlightBytes;
    sample.rate.lostBytes = given.rateLostBytes ?? 0;
    sample.rate.isAppLimited = given.isAppLimited ?? false;
    this.bbr.onAck(sample);
  }

  /** Rounds without growth until Startup believes the pipe full, and Drain has nothing to drain. */
  fillPipe(rateBps: number): void {
    for (let i = 0; i < 4; i++) this.ack({ rateBps, bytes: 10 * MSS });
  }

  lose(given: Partial<LostData> = {}): void {
    this.bbr.onLost({
      nowUs: this.nowUs,
      bytes: MSS,
      txInFlightBytes: 100 * MSS,
      lostSinceSentBytes: MSS,
      isAppLimited: false,
      ...given,
    });
  }
}
