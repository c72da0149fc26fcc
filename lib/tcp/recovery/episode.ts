/**
 * One reduction of the window after another: when each begins, when it has done its work, and whether it
 * was a mistake. The states have Linux's names; there is none for `Disorder`, which asks for nothing.
 */
import { type Seq, seqGe, seqGt } from '../../base/seq.js';
import type { TcpStats } from '../../base/stats.js';
import type { Tape } from '../../base/tape.js';
import type { AckFacts, AckResult } from './ack-facts.js';
import { FalseAlarm } from './false-alarm.js';
import { ForwardRto, ForwardVerdict } from './forward-rto.js';
import type { Scoreboard } from './scoreboard.js';

/** What the sender is doing about losses. */
export const Phase = {
  /** Nothing is known to be missing. */
  Open: 0,
  /** Congestion was reported, without loss: the window is being reduced (RFC 3168 §6.1.2). */
  Cwr: 1,
  /** Fast recovery: until all that was sent when it began is acknowledged. */
  Recovery: 2,
  /** After a time-out: everything is sent again in slow start. */
  Loss: 3,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** What a congestion control must hear of: a loss, or a congestion mark. */
export type EpisodeSignal = 'loss' | 'ecn';

/** What F-RTO is asked. One object, filled anew for each ACK after a time-out. */
class ForwardQuestion {
  isPartialAdvance = false;
  hasOriginal = false;
  hasDuplicate = false;
  canSendNew = false;
}

const QUESTION = new ForwardQuestion();

export class Episode {
  phase: Phase = Phase.Open;
  /** RFC 6582 `recover`: SND.NXT when the last episode began. */
  recoveryPoint: Seq;
  readonly alarm = new FalseAlarm();
  /** What the last ACK or timer asks of the congestion control: '' for nothing. */
  signal: EpisodeSignal | '' = '';
  /** Whether it showed the last signal to be false; and whether it ended a reduction. */
  wasSpurious = false;
  hasEnded = false;
  /** Whether new data is to be sent before anything is sent again (RFC 5682 §3.1 step 2.b). */
  sendsNewFirst = false;
  /** Whether anything was sent again in this episode; the first segment goes at once, whatever is in flight. */
  hasResent = false;
  /** Whether an ACK newly delivered what was sent before the recovery point, and never again. */
  sawOriginal = false;
  /** Whether an ACK showed a retransmission to be lost. */
  lostAgain = false;
  /**
   * An ACK that reached the recovery point, and no further, ended the last episode. Duplicates of it may answer what
   * was sent again then (RFC 6582 §3.2 step 1).
   */
  endedAtPoint = false;
  /** What was sent before the recovery point has had its reduction: its marks ask for no other (RFC 3168 §6.1.2). */
  #marksAreHeard = false;
  readonly #board: Scoreboard;
  readonly #stats: TcpStats;
  readonly #forward = new ForwardRto();

  constructor(iss: Seq, board: Scoreboard, stats: TcpStats) {
    this.recoveryPoint = iss;
    this.#board = board;
    this.#stats = stats;
  }

  /** Whether the window is being reduced, so that proportional rate reduction applies. */
  get isReducing(): boolean {
    return this.phase === Phase.Recovery || this.phase === Phase.Cwr;
  }

  /** What outlives an episode: while one is under way, nothing is folded. */
  fold(tape: Tape, sndUna: Seq): void {
    this.recoveryPoint = tape.number(this.recoveryPoint, sndUna) as Seq;
    this.sendsNewFirst = tape.flag(this.sendsNewFirst);
    this.hasResent = tape.flag(this.hasResent);
    this.endedAtPoint = tape.flag(this.endedAtPoint);
    this.#marksAreHeard = tape.flag(this.#marksAreHeard);
    this.#forward.isActive = tape.flag(this.#forward.isActive);
    this.alarm.fold(tape);
  }

  /** An ACK, or a timer, says nothing yet. */
  begin(): void {
    this.signal = '';
    this.wasSpurious = false;
    this.hasEnded = false;
    this.sendsNewFirst = false;
    this.sawOriginal = false;
    this.lostAgain = false;
  }

  /** Whether the episode under way, or the last one, has an end or was a mistake. */
  judge(facts: AckFacts, result: AckResult, hasDuplicate: boolean): void {
    const advanced = result.ackedBytes > 0;
    if (this.#marksAreHeard && seqGt(facts.ack, this.recoveryPoint)) this.#marksAreHeard = false;
    switch (this.phase) {
      case Phase.Open:
        // Numbers are compared within half the circle: far below SND.UNA it would seem to lie above.
        if (seqGt(facts.ack, this.recoveryPoint)) {
          this.recoveryPoint = facts.ack;
          this.endedAtPoint = false;
        }
        if (this.alarm.isProvenByDuplicates) this.#undo();
        else this.alarm.outlived(facts.ack);
        break;
      case Phase.Cwr:
        if (seqGt(facts.ack, this.recoveryPoint) || this.#board.outstandingBytes === 0) this.#end(facts);
        break;
      case Phase.Recovery:
        if (this.#isFalseAlarm(facts, advanced)) this.#undo();
        else if (this.#isPast(facts.ack)) this.#end(facts);
        break;
      default:
        if (advanced && this.#isFalseAlarm(facts, advanced)) this.#undo();
        else this.#judgeTimeout(facts, advanced, hasDuplicate);
    }
  }

  /** What the congestion control must hear: at most one signal for each window of data. */
  decide(facts: AckFacts, lostBytes: number): void {
    if (lostBytes > 0) {
      if (this.phase === Phase.Open) this.signal = 'loss';
      else if (this.phase === Phase.Cwr) this.#joinRecovery(facts);
      // RFC 5681 §4.3: what is sent again after a time-out and lost once more tells of more congestion.
      else if (this.phase === Phase.Loss && this.lostAgain) this.signal = 'loss';
    } else if (facts.ecnEcho && !this.#marksAreHeard && this.phase === Phase.Open && this.signal === '') {
      this.signal = 'ecn';
    }
  }

  /** The reduction that `signal` asks for begins. @param resentSegments in flight from an episode before */
  enter(sndUna: Seq, sndNxt: Seq, resentSegments: number): void {
    this.phase = this.signal === 'ecn' ? Phase.Cwr : Phase.Recovery;
    this.#marksAreHeard = true;
    this.recoveryPoint = sndNxt;
    this.hasResent = false;
    if (this.phase === Phase.Recovery) this.alarm.begin(sndUna, sndNxt, resentSegments);
    else this.alarm.close();
  }

  /** The retransmission timer expired. @param isFirst nothing was acknowledged since the last time */
  timedOut(sndNxt: Seq, isFirst: boolean, triesForward: boolean): void {
    // A recovery that ends so has shown its losses to be real (RFC 5682 §2).
    this.#forward.begin(triesForward && (this.phase <= Phase.Cwr || !isFirst));
    this.phase = Phase.Loss;
    this.#marksAreHeard = true;
    this.recoveryPoint = sndNxt;
    this.sendsNewFirst = false;
    this.hasResent = false;
  }

  /** There was no new data that could be sent: it goes on as after any time-out (RFC 5682 §3.1 step 2.b). */
  sendsOldAgain(): void {
    this.sendsNewFirst = false;
    this.#forward.begin(false);
  }

  /** Whether what was sent again in this episode need not have been. */
  #isFalseAlarm(facts: AckFacts, advanced: boolean): boolean {
    if (this.alarm.isProvenByDuplicates) return true;
    return advanced && this.#board.retransmittedBytes === 0 && this.alarm.isProvenByEcho(facts);
  }

  #judgeTimeout(facts: AckFacts, advanced: boolean, hasDuplicate: boolean): void {
    const question = QUESTION;
    const isPast = this.#isPast(facts.ack);
    question.isPartialAdvance = advanced && !isPast;
    question.hasOriginal = this.sawOriginal;
    question.hasDuplicate = hasDuplicate;
    question.canSendNew = facts.canSendNew;
    switch (this.#forward.acknowledged(question, facts.sndNxt, this.recoveryPoint)) {
      case ForwardVerdict.Spurious:
        this.#stats.spuriousRtos++;
        this.#undo();
        break;
      case ForwardVerdict.SendNew:
        this.recoveryPoint = facts.sndNxt;
        this.sendsNewFirst = true;
        break;
      default:
        if (isPast) this.#end(facts);
    }
  }

  /**
   * Whether everything sent before the episode began is acknowledged (RFC 6675 §5). Without SACK one byte
   * more must be, lest duplicate ACKs of old data begin another (RFC 6582 §4).
   */
  #isPast(ack: Seq): boolean {
    const isExact = this.#board.isSelective || this.#board.outstandingBytes === 0;
    return isExact ? seqGe(ack, this.recoveryPoint) : seqGt(ack, this.recoveryPoint);
  }

  /** The reduction was not needed. */
  #undo(): void {
    this.#stats.undone++;
    this.wasSpurious = true;
    this.#marksAreHeard = false;
    this.#board.unmarkLost();
    this.alarm.close();
    this.phase = Phase.Open;
  }

  /** The reduction has done its work. */
  #end(facts: AckFacts): void {
    this.hasEnded = true;
    this.endedAtPoint = this.phase > Phase.Cwr && facts.ack === this.recoveryPoint;
    this.alarm.keepUntil(facts.sndNxt);
    this.phase = Phase.Open;
  }

  /** What was a reduction for congestion marks goes on as a recovery, without another reduction. */
  #joinRecovery(facts: AckFacts): void {
    this.phase = Phase.Recovery;
    this.recoveryPoint = facts.sndNxt;
    this.hasResent = false;
    this.alarm.close();
  }
}
