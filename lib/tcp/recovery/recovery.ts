/**
 * What became of the data in flight: acknowledged, selectively acknowledged, lost, sent again. Told of
 * transmissions, ACKs and the passing of its deadline, it answers how much is in flight, what to send again,
 * and what the congestion control must hear. It composes parts that know little of each other: the
 * scoreboard, the detection of losses (RACK, RFC 8985), the tail loss probe, proportional rate reduction
 * (RFC 9937), the episodes of recovery, and the estimators of round trip and delivery rate.
 */
import { type Seq, seqDiff, seqLe } from '../../base/seq.js';
import type { TcpStats } from '../../base/stats.js';
import { ACK_FACTS, ACK_RESULT, type AckFacts, type AckResult } from './ack-facts.js';
import { DeliveryRate } from './delivery-rate.js';
import { DuplicateAcks } from './duplicate-acks.js';
import { Episode, Phase } from './episode.js';
import { DetectionFacts, LossDetector } from './loss-detector.js';
import { type LossListener, LossReport } from './loss-report.js';
import { ProportionalReduction } from './prr.js';
import type { Rack } from './rack.js';
import { RecoveryTimer, RecoveryTimers } from './recovery-timers.js';
import { RttEstimator, type RttLimits } from './rtt-estimator.js';
import { RttSampler } from './rtt-sampler.js';
import { Scoreboard, type ScoreboardWitness } from './scoreboard.js';
import { RowFlag, type SentLog } from './sent-log.js';
import { ProbeVerdict, TailLossProbe } from './tail-loss-probe.js';

export { Phase, RecoveryTimer };

/** Shortest wait for a peer that has reneged to change its mind, µs (Linux `tcp_check_sack_reneging`). */
const RENEGING_DELAY_US = 10_000;

// What serves one call only serves all connections, so that an idle one holds none of it.
const SAMPLER = new RttSampler();
const DETECTION = new DetectionFacts();
const LOSS_REPORT = new LossReport();

export interface RecoveryOptions extends RttLimits {
  /** Most records of what is in flight. */
  readonly maxRows?: number;
  readonly sack: boolean;
  readonly rack: boolean;
  readonly tailLossProbe: boolean;
  readonly forwardRto: boolean;
  readonly stats: TcpStats;
}

export class Recovery implements ScoreboardWitness {
  readonly board: Scoreboard;
  readonly episode: Episode;
  readonly detector: LossDetector;
  readonly probe = new TailLossProbe();
  readonly timers: RecoveryTimers;
  readonly prr = new ProportionalReduction();
  readonly rtt: RttEstimator;
  readonly rate = new DeliveryRate();
  readonly result = ACK_RESULT;
  /** Without SACK. */
  readonly duplicates = new DuplicateAcks();
  /** Doublings of the RTO, and time-outs since data was last acknowledged. */
  backoff = 0;
  retries = 0;
  /** When the first of those retransmissions was sent, µs; 0 when there is none. */
  firstRetryUs = 0;
  /** Segments ever sent again, and reported as duplicates; time-outs ever. */
  resentSegments = 0;
  duplicateSegments = 0;
  timeouts = 0;
  /** Who wants to hear of each loss. */
  lossListener: LossListener | undefined;
  /** Whether the last ACK showed that a probe had repaired a loss, which asks for a reduction (RFC 8985 §7.4.2). */
  repairedTail = false;
  /** Text of a full segment. */
  mssBytes = 536;
  readonly #options: RecoveryOptions;
  #facts: AckFacts = ACK_FACTS;
  /** Whether new data was sent since the last pause. */
  hasSent = false;

  constructor(iss: Seq, options: RecoveryOptions) {
    this.board = new Scoreboard(options.maxRows, this);
    this.episode = new Episode(iss, this.board, options.stats);
    this.detector = new LossDetector(iss, options.sack, options.rack);
    this.timers = new RecoveryTimers(this.detector, this.probe);
    this.rtt = new RttEstimator(options);
    this.#options = options;
  }

  get log(): SentLog {
    return this.board.log;
  }

  get rack(): Rack {
    return this.detector.rack;
  }

  get phase(): Phase {
    return this.episode.phase;
  }

  /** In fast recovery. */
  get isRecovering(): boolean {
    return this.episode.phase === Phase.Recovery;
  }

  /** Whether selective acknowledgment was negotiated. */
  get sack(): boolean {
    return this.detector.sack;
  }

  set sack(negotiated: boolean) {
    this.detector.sack = negotiated;
    this.board.isSelective = negotiated;
  }

  get rtoUs(): number {
    return this.rtt.rtoUs(this.backoff);
  }

  /** Bytes sent and not acknowledged cumulatively, in flight or not (FlightSize of RFC 5681 §2). */
  get outstandingBytes(): number {
    return this.board.outstandingBytes;
  }

  get sackedBytes(): number {
    return this.board.sackedBytes;
  }

  /** Bytes believed to be in the network. Without SACK each duplicate ACK stands for a segment that left it. */
  get inFlightBytes(): number {
    const pipe = this.board.pipeBytes;
    const { count } = this.duplicates;
    return count === 0 ? pipe : Math.max(0, pipe - count * this.mssBytes);
  }

  /** When something is due, µs. */
  get deadlineUs(): number {
    return this.timers.deadlineUs;
  }

  // ---- what is sent -------------------------------------------------------------------------------

  /** New data `[start, end)` left. */
  sent(start: Seq, end: Seq, nowUs: number, isFin: boolean): void {
    const slot = this.board.sent(start, end, nowUs, isFin);
    this.rate.sent(this.log, slot, this.inFlightBytes, nowUs);
    this.prr.sent(seqDiff(end, start));
    this.hasSent = true;
    // RFC 6298 §5.1: start the timer if it is not running.
    if (!this.timers.isRunning) this.timers.restart(nowUs, this.rtoUs);
  }

  /** Record `i` was sent again, up to `end`, which may lie inside it, as `segments` segments. */
  resent(i: number, end: Seq, segments: number, nowUs: number): void {
    const slot = this.board.resent(i, end, nowUs);
    this.rate.sent(this.log, slot, this.inFlightBytes, nowUs);
    this.prr.sent(this.log.bytes(slot));
    this.resentSegments += segments;
    if (this.episode.phase !== Phase.Open) this.episode.alarm.resent(segments, nowUs);
    this.episode.hasResent = true;
    if (this.firstRetryUs === 0) this.firstRetryUs = nowUs;
    // RFC 6675 §6: the first retransmission of a recovery re-arms the timer.
    if (i === 0 || !this.timers.isRunning) this.timers.restart(nowUs, this.rtoUs);
  }

  /** Everything that may leave now has left: from now on nothing but ACKs tells of it. */
  paused(nowUs: number): void {
    if (this.hasSent) this.#scheduleProbe(nowUs);
    this.hasSent = false;
  }

  /** The probe for a lost tail left. RFC 8985 §7.3: the retransmission timer starts anew. */
  probeSent(sndNxt: Seq, isRetransmission: boolean, nowUs: number): void {
    this.#options.stats.tlpProbes++;
    this.probe.sent(sndNxt, isRetransmission);
    this.timers.restart(nowUs, this.rtoUs);
  }

  // ---- what is acknowledged -----------------------------------------------------------------------

  /** Takes an ACK that lies in [SND.UNA, SND.NXT]. What it asks for is in `episode`. */
  acknowledge(facts: AckFacts, sndUna: Seq): AckResult {
    const { result } = this;
    this.#begin(facts, seqDiff(facts.ack, sndUna));
    if (facts.hasDsack) this.#duplicateSeen(facts);
    if (result.ackedBytes > 0) this.#advance(facts);
    const isNews = this.sack ? this.board.sacked(facts) > 0 : this.#countDuplicate(facts);
    this.#measure(facts);
    this.#judge(facts, isNews);
    const namesHead = !this.sack && this.duplicates.nameHead(facts.ack, result.ackedBytes, this.episode);
    this.#detect(facts.nowUs, namesHead);
    this.episode.decide(facts, result.lostBytes);
    if (result.ackedBytes > 0) this.#rearm(facts.nowUs);
    if (result.ackedBytes > 0 || isNews) this.#scheduleProbe(facts.nowUs);
    this.#finish(facts);
    return result;
  }

  /** Segments sent again that may yet be reported as duplicates, a probe among them (Linux `tcp_init_undo`). */
  get #resentInFlight(): number {
    const probes = this.probe.isOut && this.probe.isRetransmission ? 1 : 0;
    return probes + Math.ceil(this.board.retransmittedBytes / this.mssBytes);
  }

  /** The reduction that the episode asks for begins, its aim `ssthreshBytes`. */
  enter(sndUna: Seq, sndNxt: Seq, ssthreshBytes: number): void {
    const { board, prr, result } = this;
    this.episode.enter(sndUna, sndNxt, this.#resentInFlight);
    this.probe.cancel();
    this.#scheduleProbe(this.#facts.nowUs);
    prr.start(ssthreshBytes, board.outstandingBytes - board.sackedBytes + result.deliveredBytes);
    prr.delivered(result.deliveredBytes, this.inFlightBytes, false, this.mssBytes);
  }

  /** The window goes on being reduced (RFC 9937). */
  reduce(): void {
    const { ackedBytes, lostBytes, deliveredBytes, inFlightBytes } = this.result;
    this.prr.delivered(deliveredBytes, inFlightBytes, ackedBytes > 0 && lostBytes === 0, this.mssBytes);
  }

  // ---- what time brings ---------------------------------------------------------------------------

  /** RFC 8985 §6.2 step 5: what was late a while ago is lost now. */
  reorderingTimeout(sndNxt: Seq, nowUs: number): void {
    this.#facts.nowUs = nowUs;
    this.#facts.sndNxt = sndNxt;
    this.#facts.ecnEcho = false;
    this.result.lostBytes = 0;
    this.result.deliveredBytes = 0;
    this.episode.begin();
    this.#detect(nowUs, false);
    this.episode.decide(this.#facts, this.result.lostBytes);
  }

  /** The retransmission timer expired (RFC 6298 §5.4 to §5.6). */
  timedOut(sndUna: Seq, sndNxt: Seq, nowUs: number): void {
    const { board, log } = this;
    this.#facts.nowUs = nowUs;
    this.episode.begin();
    const alreadyResent = this.#resentInFlight;
    const reneged = board.hasReneged;
    if (reneged) board.forgetSacked();
    const detection = this.#detectionFacts(nowUs, false);
    detection.isRecovering = true;
    for (let i = 0; i < log.count; i++) {
      const slot = log.slot(i);
      if (i === 0 || reneged || !this.detector.isYoung(board, slot, detection)) board.markLost(slot);
    }
    this.duplicates.clear();
    if (this.retries === 0) this.episode.alarm.begin(sndUna, sndNxt, alreadyResent);
    this.episode.timedOut(sndNxt, this.retries === 0, this.#options.forwardRto);
    this.timeouts++;
    this.retries++;
    this.backoff++;
    this.timers.stop();
    this.probe.cancel();
    this.timers.restart(nowUs, this.rtoUs);
  }

  clear(): void {
    this.board.clear();
    this.probe.cancel();
    this.timers.stop();
  }

  // ---- what the scoreboard tells ------------------------------------------------------------------

  delivered(slot: number, bytes: number): void {
    const { log, episode } = this;
    const facts = this.#facts;
    this.result.deliveredBytes += bytes;
    this.rate.delivered(log, slot, bytes, facts);
    if (this.detector.usesRack) this.rack.delivered(log, slot, facts, this.rtt.minRttUs);
    if (log.has(slot, RowFlag.EVER_RETRANSMITTED)) return;
    SAMPLER.delivered(log, slot);
    if (seqLe(log.end(slot), episode.recoveryPoint)) episode.sawOriginal = true;
  }

  passed(slot: number): void {
    SAMPLER.passed(this.log.flags(slot));
  }

  lost(slot: number, wasResent: boolean): void {
    const { log, rate, lossListener } = this;
    const bytes = log.bytes(slot);
    this.result.lostBytes += bytes;
    rate.totalLostBytes += bytes;
    if (wasResent) {
      this.episode.lostAgain = true;
      this.#options.stats.lostRetransmit++;
    }
    if (lossListener === undefined) return;
    LOSS_REPORT.nowUs = this.#facts.nowUs;
    LOSS_REPORT.tell(lossListener, log, slot, rate);
  }

  // ---- an ACK, step by step -----------------------------------------------------------------------

  #begin(facts: AckFacts, ackedBytes: number): void {
    const { result } = this;
    this.#facts = facts;
    result.begin(facts, ackedBytes, this.inFlightBytes);
    this.rate.begin(result.rate);
    SAMPLER.begin();
    this.episode.begin();
  }

  /** The peer has received something twice (RFC 2883). */
  #duplicateSeen(facts: AckFacts): void {
    const segments = Math.ceil(seqDiff(facts.dsackEnd, facts.dsackStart) / facts.mssBytes);
    this.duplicateSegments += segments;
    // What we did not send twice was doubled by the network, or was a probe of the window.
    if (this.duplicateSegments > this.resentSegments) return;
    this.episode.alarm.duplicateSeen(facts.dsackStart, facts.dsackEnd, segments);
    if (!this.probe.isMatchedBy(facts)) this.rack.duplicateSeen(facts.ack, facts.sndNxt);
  }

  /** SND.UNA moves up. */
  #advance(facts: AckFacts): void {
    const { board, result } = this;
    board.advance(facts.ack);
    this.rack.advanced(facts.ack);
    SAMPLER.advanced();
    this.retries = 0;
    this.firstRetryUs = 0;
    if (this.sack) return;
    // Without SACK what was passed may have arrived as an original or not: nobody can tell.
    if (SAMPLER.passedResent) this.episode.sawOriginal = false;
    this.duplicates.advanced(result, facts.mssBytes, this.episode.phase);
  }

  /** @returns whether it is a duplicate */
  #countDuplicate(facts: AckFacts): boolean {
    if (!facts.isDuplicate) return false;
    this.duplicates.counted(facts, this.result, this.isRecovering, this.outstandingBytes);
    return true;
  }

  #measure(facts: AckFacts): void {
    this.result.rttUs = SAMPLER.measure(facts, this.result.ackedBytes, this.rtt);
    if (this.result.rttUs >= 0 || !SAMPLER.passedOnlyResent) this.backoff = 0;
  }

  /** Whether the probe, or the episode under way, has an end or was a mistake. */
  #judge(facts: AckFacts, isNews: boolean): void {
    const { episode } = this;
    const { phase } = episode;
    const isPlainDuplicate = facts.isDuplicate && !(this.sack && isNews);
    const isRepaired = this.probe.acknowledged(facts, isPlainDuplicate) === ProbeVerdict.Repaired;
    episode.judge(facts, this.result, isNews);
    if (phase !== Phase.Loss && episode.wasSpurious) this.rack.reorderingSeen = true;
    const hasEnded = phase >= Phase.Recovery && episode.phase === Phase.Open;
    if (hasEnded && !facts.hasDsack) this.rack.recoveryEnded();
    if (phase !== Phase.Open && episode.phase === Phase.Open) this.duplicates.clear();
    this.repairedTail = isRepaired && phase === Phase.Open;
    if (isRepaired) this.#options.stats.tlpRecoveries++;
  }

  #detectionFacts(nowUs: number, namesHead: boolean): DetectionFacts {
    const detection = DETECTION;
    detection.nowUs = nowUs;
    detection.mssBytes = this.mssBytes;
    detection.minRttUs = this.rtt.minRttUs;
    detection.srttUs = this.rtt.srttUs;
    detection.isRecovering = this.episode.phase >= Phase.Recovery;
    detection.namesHead = namesHead;
    return detection;
  }

  #detect(nowUs: number, namesHead: boolean): void {
    this.detector.detect(this.board, this.#detectionFacts(nowUs, namesHead));
  }

  /** SND.UNA has moved (RFC 6298 §5.2 and §5.3). */
  #rearm(nowUs: number): void {
    const { board, timers } = this;
    if (board.outstandingBytes === 0) timers.stop();
    // After reneging the rest may yet be acknowledged; if not soon, all of it is sent again.
    else if (board.hasReneged) timers.restart(nowUs, Math.max(this.rtt.srttUs / 2, RENEGING_DELAY_US));
    else timers.restart(nowUs, this.rtoUs);
  }

  /** RFC 8985 §7.2: a probe is due where nothing else will tell of a lost tail. */
  #scheduleProbe(nowUs: number): void {
    const { board, log } = this;
    const isWanted = this.sack && this.#options.tailLossProbe && !this.probe.isOut && log.count > 0;
    if (!isWanted || this.episode.phase > Phase.Cwr || board.sackedBytes > 0 || board.lostBytes > 0) {
      this.timers.noProbe();
      return;
    }
    const isSingle = log.count === 1 && board.outstandingBytes <= this.mssBytes;
    this.timers.probeAt(nowUs + TailLossProbe.timeoutUs(this.rtt.srttUs, isSingle));
  }

  /** The rest of what the congestion control is told. */
  #finish(facts: AckFacts): void {
    const { result, rate, rtt } = this;
    rate.finish(rtt.hasMinimum ? rtt.minRttUs : 0);
    result.inFlightBytes = this.inFlightBytes;
    result.isRecovering = this.episode.phase !== Phase.Open;
    result.finish(facts, rtt, rate);
  }
}
