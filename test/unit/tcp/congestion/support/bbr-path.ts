/**
 * A path for a congestion control to drive: one bottleneck with a queue, a round-trip time, random loss and
 * marks, and a sender that paces, counts what is in flight and measures delivery rates, all without a stack.
 * Packets are numbered and never sent again: what is lost counts as lost, and new data follows.
 */
import { seq } from '../../../../../lib/base/seq.js';
import { SeededRandom } from '../../../../../lib/sim/seeded-random.js';
import { Bbr } from '../../../../../lib/tcp/congestion/bbr/bbr.js';
import type { BbrState } from '../../../../../lib/tcp/congestion/bbr/state.js';
import { Phase } from '../../../../../lib/tcp/congestion/bbr/state.js';
import { AckResult } from '../../../../../lib/tcp/recovery/ack-facts.js';

export const MSS = 1448;

export interface PathOptions {
  /** Bytes per second. */
  readonly rateBps: number;
  readonly rttUs: number;
  /** What the queue holds besides the packet in service, bytes; without limit by default. */
  readonly queueBytes?: number;
  readonly loss?: number;
  /** Packets that find so much in the queue are marked, bytes. */
  readonly markBytes?: number;
  /** ACKs arrive together at multiples of this, µs. */
  readonly aggregationUs?: number;
  /** The application offers so much, bytes per second; all there is room for by default. */
  readonly applicationBps?: number;
  /** Whether the handshake measured the round-trip time; it did by default. */
  readonly knowsRtt?: boolean;
  readonly seed?: number;
}

interface Packet {
  readonly number: number;
  readonly sentUs: number;
  readonly delivered: number;
  readonly deliveredUs: number;
  readonly firstSentUs: number;
  readonly lost: number;
  readonly txInFlight: number;
  readonly isAppLimited: boolean;
  ackUs: number;
  isMarked: boolean;
  state: 'out' | 'acked' | 'lost';
}

const NAMES = Object.keys(Phase);
const REORDERING = 3;

export class BbrPath {
  readonly bbr: Bbr;
  readonly state: BbrState;
  readonly random: SeededRandom;
  readonly startUs = 1e9;
  options: PathOptions;
  nowUs = this.startUs;
  delivered = 0;
  lost = 0;
  inFlight = 0;
  /** Names of the phases in the order they were entered, and since when the last one lasts, µs. */
  readonly phases: string[] = ['STARTUP'];
  phaseSinceUs = this.startUs;
  /** Largest queue since it was last set to 0, bytes. */
  maxQueueBytes = 0;
  maxInFlight = 0;
  timeouts = 0;
  /** Called after each ACK. */
  onStep: () => void = () => {};
  /** Loses what it says true for, besides `loss`. */
  dropIf: (number: number) => boolean = () => false;
  isPaused = false;
  readonly #sample = new AckResult();
  readonly #packets: Packet[] = [];
  #oldest = 0;
  #lastAcked = -1;
  #freeUs = 0;
  #nextSendUs = 0;
  #deliveredUs = 0;
  #firstSentUs = 0;
  #appLimitedUntil = 0;
  #budgetBytes = 0;
  #budgetUs = this.startUs;
  #recoveryPoint = -1;
  #markPoint = -1;
  #cwndLimited = false;
  #srttUs: number;
  #backoff = 1;

  constructor(options: PathOptions) {
    this.options = options;
    this.random = new SeededRandom(options.seed ?? 1);
    this.bbr = new Bbr({
      mssBytes: MSS,
      initialWindowBytes: 10 * MSS,
      maxWindowBytes: 0x4000_0000,
      rttUs: options.knowsRtt === false ? 0 : options.rttUs,
      nowUs: this.nowUs,
      random: this.random.fork(),
    });
    this.state = this.bbr.state;
    this.#srttUs = options.rttUs;
  }

  get phase(): string {
    return NAMES[this.state.phase];
  }

  get bdpBytes(): number {
    return (this.options.rateBps * this.options.rttUs) / 1e6;
  }

  /** Passes time. */
  runMs(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** Passes time until something is so, `limitMs` at most. @returns whether it is */
  runUntil(isSo: () => boolean, limitMs: number): boolean {
    const endUs = this.nowUs + limitMs * 1000;
    while (!isSo()) {
      const sendUs = this.#sendTime();
      const ackUs = this.#ackTime();
      const nextUs = Math.min(sendUs, ackUs, this.#timeoutTime());
      if (nextUs > endUs) {
        this.nowUs = endUs;
        return false;
      }
      this.nowUs = Math.max(this.nowUs, nextUs);
      if (ackUs <= nextUs) this.#acknowledge();
      else if (sendUs <= nextUs) this.#send();
      else this.#timeout();
      this.#look();
    }
    return true;
  }

  /** Bytes per second delivered while `ms` pass. */
  goodput(ms: number): number {
    const before = this.delivered;
    this.runMs(ms);
    return ((this.delivered - before) / ms) * 1000;
  }

  #look(): void {
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    if (this.phases[this.phases.length - 1] === this.phase) return;
    this.phases.push(this.phase);
    this.phaseSinceUs = this.nowUs;
  }

  #sendTime(): number {
    if (this.isPaused) return Number.POSITIVE_INFINITY;
    if (this.inFlight + MSS > this.bbr.cwndBytes) {
      this.#cwndLimited = true;
      return Number.POSITIVE_INFINITY;
    }
    return Math.max(this.#nextSendUs, this.nowUs, this.#dataTime());
  }

  /** When the application has written a packet more. */
  #dataTime(): number {
    const { applicationBps } = this.options;
    if (applicationBps === undefined) return this.nowUs;
    this.#budgetBytes += (applicationBps * (this.nowUs - this.#budgetUs)) / 1e6;
    this.#budgetUs = this.nowUs;
    if (this.#budgetBytes >= MSS - 0.001) return this.nowUs;
    this.#markAppLimited();
    return this.nowUs + ((MSS - this.#budgetBytes) / applicationBps) * 1e6;
  }

  #markAppLimited(): void {
    this.#appLimitedUntil = this.delivered + this.inFlight + 1;
  }

  /** The application stops, or goes on. */
  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (!isPaused && this.inFlight < this.bbr.cwndBytes) this.#markAppLimited();
  }

  #send(): void {
    const { options, nowUs } = this;
    const isAppLimited = this.delivered < this.#appLimitedUntil;
    this.bbr.onTransmit(this.inFlight, isAppLimited, nowUs);
    if (this.inFlight === 0) this.#firstSentUs = this.#deliveredUs = nowUs;
    this.#nextSendUs = Math.max(this.#nextSendUs, nowUs) + (MSS / this.bbr.pacingRateBps) * 1e6;
    if (options.applicationBps !== undefined) this.#budgetBytes -= MSS;
    this.inFlight += MSS;
    const number = this.#packets.length;
    const waits = Math.max(0, this.#freeUs - nowUs);
    const queued = (waits * options.rateBps) / 1e6;
    const isDropped =
      queued > (options.queueBytes ?? Number.POSITIVE_INFINITY) ||
      this.random.uint32() / 2 ** 32 < (options.loss ?? 0) ||
      this.dropIf(number);
    let ackUs = Number.POSITIVE_INFINITY;
    if (!isDropped) {
      this.#freeUs = Math.max(this.#freeUs, nowUs) + (MSS / options.rateBps) * 1e6;
      ackUs = this.#freeUs + options.rttUs;
      const { aggregationUs } = options;
      if (aggregationUs !== undefined) ackUs = Math.ceil(ackUs / aggregationUs) * aggregationUs;
      this.maxQueueBytes = Math.max(this.maxQueueBytes, queued);
    }
    this.#packets.push({
      number,
      sentUs: nowUs,
      delivered: this.delivered,
      deliveredUs: this.#deliveredUs,
      firstSentUs: this.#firstSentUs,
      lost: this.lost,
      txInFlight: this.inFlight,
      isAppLimited,
      ackUs,
      isMarked: queued >= (options.markBytes ?? Number.POSITIVE_INFINITY),
      state: 'out',
    });
  }

  #nextToAck(): Packet | undefined {
    for (let i = this.#lastAcked + 1; i < this.#packets.length; i++) {
      const packet = this.#packets[i];
      if (packet.state === 'out' && packet.ackUs !== Number.POSITIVE_INFINITY) return packet;
    }
    return undefined;
  }

  #ackTime(): number {
    return this.#nextToAck()?.ackUs ?? Number.POSITIVE_INFINITY;
  }

  #timeoutTime(): number {
    if (this.inFlight === 0) return Number.POSITIVE_INFINITY;
    const last = this.#packets[this.#packets.length - 1];
    return Math.max(last.sentUs, this.#deliveredUs) + (200_000 + 4 * this.#srttUs) * this.#backoff;
  }

  #acknowledge(): void {
    const sample = this.#sample;
    const packet = this.#nextToAck() as Packet;
    const { nowUs } = this;
    packet.state = 'acked';
    this.#backoff = 1;
    this.#lastAcked = packet.number;
    sample.nowUs = nowUs;
    sample.priorInFlightBytes = this.inFlight;
    this.inFlight -= MSS;
    this.delivered += MSS;
    this.#deliveredUs = nowUs;
    this.#firstSentUs = packet.sentUs;
    sample.ackedBytes = sample.deliveredBytes = MSS;
    sample.rttUs = nowUs - packet.sentUs;
    this.#srttUs += (sample.rttUs - this.#srttUs) / 8;
    this.#fillRate(packet);
    const lostBefore = this.lost;
    while (this.#oldest <= packet.number - REORDERING) this.#maybeLost(this.#packets[this.#oldest++]);
    sample.lostBytes = this.lost - lostBefore;
    sample.rate.lostBytes = this.lost - packet.lost;
    if (sample.lostBytes > 0 && this.#recoveryPoint < 0) {
      this.#recoveryPoint = this.#packets.length;
      this.bbr.onCongestion('loss', this.inFlight, nowUs);
    } else if (this.#recoveryPoint >= 0 && packet.number >= this.#recoveryPoint) {
      this.#recoveryPoint = -1;
      this.bbr.onRecovered(nowUs);
    }
    this.#mark(packet);
    sample.isRecovering = this.#recoveryPoint >= 0 || this.#markPoint >= 0;
    sample.inFlightBytes = this.inFlight;
    sample.cwndLimited = this.#cwndLimited;
    sample.totalDeliveredBytes = this.delivered;
    sample.totalLostBytes = this.lost;
    sample.sndUna = seq(0);
    this.bbr.onAck(sample);
    this.#cwndLimited = false;
    this.onStep();
  }

  /** A mark is answered once for each window. */
  #mark(packet: Packet): void {
    if (this.#markPoint >= 0 && packet.number >= this.#markPoint) {
      this.#markPoint = -1;
      this.bbr.onRecovered(this.nowUs);
    }
    if (!packet.isMarked || this.#markPoint >= 0) return;
    this.#markPoint = this.#packets.length;
    this.bbr.onCongestion('ecn', this.#sample.priorInFlightBytes, this.nowUs);
  }

  #fillRate(packet: Packet): void {
    const { rate } = this.#sample;
    rate.intervalUs = Math.max(packet.sentUs - packet.firstSentUs, this.nowUs - packet.deliveredUs);
    rate.deliveredBytes = this.delivered - packet.delivered;
    rate.deliveryRateBps = rate.intervalUs > 0 ? (rate.deliveredBytes / rate.intervalUs) * 1e6 : 0;
    rate.priorDeliveredBytes = packet.delivered;
    rate.txInFlightBytes = packet.txInFlight;
    rate.isAppLimited = packet.isAppLimited;
  }

  #maybeLost(packet: Packet): void {
    if (packet.state !== 'out') return;
    packet.state = 'lost';
    this.inFlight -= MSS;
    this.lost += MSS;
    this.bbr.onLost({
      nowUs: this.nowUs,
      bytes: MSS,
      txInFlightBytes: packet.txInFlight,
      lostSinceSentBytes: this.lost - packet.lost,
      isAppLimited: packet.isAppLimited,
    });
  }

  #timeout(): void {
    this.timeouts++;
    this.#backoff *= 2;
    this.bbr.onCongestion('timeout', this.inFlight, this.nowUs);
    while (this.#oldest < this.#packets.length) this.#maybeLost(this.#packets[this.#oldest++]);
    this.#recoveryPoint = this.#packets.length;
  }
}
