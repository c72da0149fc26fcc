/** A flow of ACKs to a congestion control: what a sender tells it, without a sender. */

import { type Seq, seqAdd } from '../../../../lib/base/seq.js';
import { SeededRandom } from '../../../../lib/sim/seeded-random.js';
import type {
  AckSample,
  CongestionControl,
  CongestionFactory,
  CongestionParameters,
  RateSample,
} from '../../../../lib/tcp/congestion/congestion-control.js';

export const MSS = 1000;
export const IW = 10 * MSS;

const NO_RATE: RateSample = {
  deliveryRateBps: 0,
  deliveredBytes: 0,
  intervalUs: -1,
  priorDeliveredBytes: -1,
  txInFlightBytes: 0,
  lostBytes: 0,
  isAppLimited: false,
};

export interface Ack {
  /** Bytes acknowledged cumulatively, and newly delivered; the same by default. */
  readonly acked: number;
  readonly delivered?: number;
  /** Bytes in flight before; the whole window by default. */
  readonly inFlight?: number;
  readonly limited?: boolean;
  /** Round-trip time it measures, ms; that of the flow by default, -1 for none. */
  readonly rttMs?: number;
}

export class Flow {
  readonly control: CongestionControl;
  readonly mss: number;
  rttMs: number;
  nowUs: number;
  una: Seq;

  constructor(
    factory: CongestionFactory,
    parameters: Partial<CongestionParameters> & { rttMs?: number; iss?: number } = {},
  ) {
    const { rttMs = 100, iss = 1, ...rest } = parameters;
    this.rttMs = rttMs;
    this.nowUs = rest.nowUs ?? 1e9;
    this.una = (iss | 0) as Seq;
    this.mss = rest.mssBytes ?? MSS;
    this.control = factory({
      mssBytes: MSS,
      initialWindowBytes: IW,
      maxWindowBytes: 2 ** 30,
      rttUs: rttMs * 1000,
      nowUs: this.nowUs,
      random: new SeededRandom(1),
      ...rest,
    });
  }

  get cwnd(): number {
    return this.control.cwndBytes;
  }

  get ssthresh(): number {
    return this.control.ssthreshBytes;
  }

  /** The window in segments. */
  get segments(): number {
    return this.control.cwndBytes / this.mss;
  }

  get isSlowStart(): boolean {
    return this.cwnd < this.ssthresh;
  }

  sample(ack: Ack): AckSample {
    const inFlight = ack.inFlight ?? this.cwnd;
    const delivered = ack.delivered ?? ack.acked;
    const rttMs = ack.rttMs ?? this.rttMs;
    const limited = ack.limited ?? true;
    const { una, control } = this;
    return {
      nowUs: this.nowUs,
      ackedBytes: ack.acked,
      deliveredBytes: delivered,
      lostBytes: 0,
      markedBytes: 0,
      priorInFlightBytes: inFlight,
      inFlightBytes: Math.max(0, inFlight - delivered),
      rttUs: rttMs < 0 ? -1 : rttMs * 1000,
      srttUs: this.rttMs * 1000,
      minRttUs: this.rttMs * 1000,
      cwndLimited: limited,
      isRecovering: false,
      sndUna: una,
      // A window that limits is full, also with what this ACK has let go, so that rounds are whole windows.
      get sndNxt() {
        return seqAdd(una, limited ? control.cwndBytes : Math.max(0, inFlight - delivered));
      },
      totalDeliveredBytes: 0,
      totalLostBytes: 0,
      rate: NO_RATE,
    };
  }

  /** An ACK, now. */
  ack(ack: Ack | number): this {
    const told = typeof ack === 'number' ? { acked: ack } : ack;
    this.una = seqAdd(this.una, told.acked);
    this.control.onAck(this.sample(told));
    return this;
  }

  /** All that is in flight is acknowledged, and nothing follows. */
  drain(): this {
    return this.wait(this.rttMs).ack({ acked: this.cwnd, inFlight: this.cwnd, limited: false });
  }

  wait(ms: number): this {
    this.nowUs += ms * 1000;
    return this;
  }

  /**
   * A round trip: as much as the window allowed is acknowledged, a segment at a time unless `perAck` says
   * otherwise, evenly over the round-trip time.
   */
  round(options: { perAck?: number; limited?: boolean; bytes?: number; rttMs?: number } = {}): this {
    const bytes = options.bytes ?? this.cwnd;
    const perAck = options.perAck ?? this.mss;
    const rttMs = options.rttMs ?? this.rttMs;
    const count = Math.ceil(bytes / perAck);
    for (let i = 0; i < count; i++) {
      const acked = Math.min(perAck, bytes - i * perAck);
      this.wait(rttMs / count);
      this.ack({ acked, inFlight: bytes, limited: options.limited ?? true, rttMs });
    }
    return this;
  }

  rounds(count: number, options: Parameters<Flow['round']>[0] = {}): this {
    for (let i = 0; i < count; i++) this.round(options);
    return this;
  }

  /** Loss, detected with the window full, and recovered from a round trip later. */
  loss(inFlight = this.cwnd): this {
    this.control.onCongestion('loss', inFlight, this.nowUs);
    return this.wait(this.rttMs).recovered();
  }

  mark(inFlight = this.cwnd): this {
    this.control.onCongestion('ecn', inFlight, this.nowUs);
    return this.wait(this.rttMs).recovered();
  }

  timeout(inFlight = this.cwnd): this {
    this.control.onCongestion('timeout', inFlight, this.nowUs);
    return this;
  }

  recovered(): this {
    this.control.onRecovered(this.nowUs);
    return this;
  }
}
