/**
 * Which segment a sender sends next: first what was lost, then what is new, as far as the peer's window, the
 * congestion window, silly-window avoidance and Nagle let it. It decides nothing else, and sends nothing.
 */
import { type Seq, seqAdd, seqDiff, seqGe, seqGt } from '../base/seq.js';
import { TcpFlag } from '../wire/tcp.js';
import type { MtuProber } from './mtu-prober.js';
import { Phase } from './recovery/episode.js';
import { RowFlag } from './recovery/sent-log.js';
import type { Sender } from './sender.js';

/** The next segment to send. One object, filled anew for each. */
export class SegmentPlan {
  sequence = 0 as Seq;
  textBytes = 0;
  /** PSH, FIN and URG as they apply. */
  flags = 0;
  /** Text bytes per segment when the plan is a super-packet; 0 for a plain one. */
  segmentSize = 0;
  /** How many segments it stands for. */
  segments = 1;
  /** Index in the log of what is sent again, or -1 for new data. */
  row = -1;
  urgentPointer = 0;
  /** A probe for a lost tail (RFC 8985 §7.3). */
  isProbe = false;
  /** A segment larger than others, which shows whether the path takes it (RFC 4821 §7.4). */
  isMtuProbe = false;
}

/** The plan in hand, for all connections: it is made, sent and forgotten within one call. */
const PLAN = new SegmentPlan();

export class SegmentPlanner {
  readonly plan = PLAN;
  /** Whether the congestion window kept something back since this was last set to false. */
  cwndLimited = false;
  /** Segments of new text that have left since sending last paused. */
  burstSegments = 0;
  /** Says when the path is to be probed for larger segments; undefined where nobody wants to know. */
  prober: MtuProber | undefined;
  readonly #sender: Sender;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Fills `plan`; false when nothing may leave. */
  next(maxTextBytes: number, nowUs: number): boolean {
    this.plan.isProbe = false;
    const { recovery, sndNxt } = this.#sender;
    // RFC 5682 §3.1 step 2.b: what happens to new data tells whether the rest is lost at all.
    if (recovery.episode.sendsNewFirst) {
      if (this.#nextNew(maxTextBytes, nowUs)) return true;
      if (seqGt(sndNxt, recovery.episode.recoveryPoint)) return false;
      recovery.episode.sendsOldAgain();
    }
    return (
      this.#nextLost(maxTextBytes, recovery.board.nextLost()) ||
      (this.prober !== undefined && this.#nextMtuProbe(this.prober, nowUs)) ||
      this.#nextNew(maxTextBytes, nowUs) ||
      this.#nextDoubtful(maxTextBytes)
    );
  }

  /**
   * The persist timer expired: what little the window admits, overriding silly-window avoidance
   * (RFC 9293 §3.8.6.2.1); false when it admits nothing and a probe of the window must be sent.
   */
  nextForced(): boolean {
    const { windowRoom, unsentBytes, segmentBytes } = this.#sender;
    this.plan.isProbe = false;
    if (windowRoom <= 0) return false;
    return this.#planNew(Math.min(windowRoom, unsentBytes, segmentBytes), windowRoom);
  }

  /** RFC 8985 §7.3: a new segment where the window admits one, else the last one again. */
  nextProbe(maxTextBytes: number): boolean {
    const { windowRoom, unsentBytes, segmentBytes, recovery } = this.#sender;
    const bytes = Math.min(unsentBytes, segmentBytes, maxTextBytes);
    this.plan.isProbe = true;
    if (bytes > 0 && windowRoom >= bytes && !recovery.log.isFull) return this.#planNew(bytes, windowRoom);
    return this.#planLast(Math.min(segmentBytes, maxTextBytes));
  }

  /** The last segment of the log, of `mostBytes`, again. */
  #planLast(mostBytes: number): boolean {
    const { log } = this.#sender.recovery;
    if (log.count === 0) return false;
    let row = log.count - 1;
    let slot = log.slot(row);
    const isFin = log.has(slot, RowFlag.FIN);
    const textBytes = log.bytes(slot) - (isFin ? 1 : 0);
    const lastBytes = textBytes % mostBytes || Math.min(textBytes, mostBytes);
    const start = seqAdd(log.end(slot), -(lastBytes + (isFin ? 1 : 0)));
    if (log.straddles(row, start)) {
      log.split(row, start);
      slot = log.slot(++row);
    } else if (start !== log.start(slot)) {
      return false;
    }
    this.#fill(start, lastBytes, isFin);
    this.#pushAgain(slot);
    this.plan.row = row;
    return true;
  }

  /** Record `row`, or a part of it, again; -1 for none. */
  #nextLost(maxTextBytes: number, row: number): boolean {
    if (row < 0) return false;
    const { recovery, segmentBytes, sndUna, sndWnd, cwndBytes } = this.#sender;
    const { log, episode } = recovery;
    const slot = log.slot(row);
    const room = cwndBytes - recovery.inFlightBytes;
    // The first segment goes at once, whatever is in flight (RFC 5681 §3.2, RFC 6675 §5, RFC 6582 §3.2).
    const isFirst = row === 0 && (!episode.hasResent || !recovery.sack);
    if (!isFirst && room < Math.min(segmentBytes, log.bytes(slot)) && recovery.inFlightBytes > 0) {
      this.cwndLimited = true;
      return false;
    }
    const start = log.start(slot);
    // RFC 9293 §3.8.6: beyond a window that has shrunk only the first segment is sent again.
    const inWindow = seqDiff(seqAdd(sndUna, sndWnd), start);
    if (inWindow <= 0 && start !== sndUna) return false;
    const isFin = log.has(slot, RowFlag.FIN);
    const rowText = log.bytes(slot) - (isFin ? 1 : 0);
    const limit = Math.min(maxTextBytes, wholeSegments(room, segmentBytes));
    const textBytes = Math.min(rowText, limit, inWindow > 0 ? inWindow : segmentBytes);
    this.#fill(start, textBytes, isFin && textBytes === rowText);
    if (textBytes === rowText) this.#pushAgain(slot);
    this.plan.row = row;
    return true;
  }

  /** What ended in PSH does so again. */
  #pushAgain(slot: number): void {
    if (this.#sender.recovery.log.has(slot, RowFlag.PUSHED)) this.plan.flags |= TcpFlag.PSH;
  }

  /** New text in a segment larger than others, where it can do no harm (RFC 4821 §7.4). */
  #nextMtuProbe(prober: MtuProber, nowUs: number): boolean {
    const { recovery, optionBytes, unsentBytes, windowRoom, cwndBytes } = this.#sender;
    if (recovery.phase !== Phase.Open || recovery.board.lostBytes > 0 || recovery.log.isFull) return false;
    // SACK blocks take room that comes and goes.
    if (optionBytes > 0) return false;
    const { now } = prober;
    now.unsentBytes = unsentBytes;
    now.windowBytes = windowRoom;
    now.cwndBytes = cwndBytes;
    now.inFlightBytes = recovery.inFlightBytes;
    now.nowUs = nowUs;
    const bytes = prober.nextProbe();
    if (bytes === 0 || !this.#planNew(bytes, windowRoom)) return false;
    this.plan.segmentSize = 0;
    this.plan.segments = 1;
    this.plan.isMtuProbe = true;
    return true;
  }

  #nextNew(maxTextBytes: number, nowUs: number): boolean {
    const sender = this.#sender;
    const { recovery, windowRoom, unsentBytes: unsent } = sender;
    if ((unsent === 0 && !(sender.finQueued && !sender.finSent)) || recovery.log.isFull) return false;
    if (windowRoom <= 0) return false;
    const cwndRoom = sender.cwndBytes - recovery.inFlightBytes;
    // A link may carry even less than the smallest segment size that is believed.
    const segmentBytes = Math.max(1, Math.min(sender.segmentBytes, maxTextBytes));
    if (cwndRoom < Math.min(unsent, segmentBytes) || cwndRoom <= 0) {
      this.cwndLimited = true;
      return false;
    }
    if (Math.min(unsent, windowRoom) > cwndRoom) this.cwndLimited = true;
    const limit = Math.max(0, Math.min(unsent, windowRoom, cwndRoom, maxTextBytes));
    const whole = limit - (limit % segmentBytes);
    const tail = limit - whole;
    const mayBePartial = tail > 0 && this.#mayLeavePartial(limit < unsent ? tail : 0, limit, nowUs);
    if (whole === 0 && tail > 0 && !mayBePartial) return false;
    const textBytes = mayBePartial ? limit : whole;
    // A FIN rides on the last text, or goes alone, where the window has room for it.
    if (!this.#planNew(textBytes, windowRoom)) return false;
    const left = Math.min(windowRoom, cwndRoom) - textBytes;
    if (left < Math.min(segmentBytes, unsent - textBytes)) this.#pushBurst();
    return true;
  }

  /**
   * The last of several segments that leave together asks the receiver to look at them now, as more will not
   * come before it answers; one alone does not (Linux sets PSH on every super-packet).
   */
  #pushBurst(): void {
    const { plan } = this;
    if (this.burstSegments + plan.segments > 1) plan.flags |= TcpFlag.PSH;
  }

  /**
   * RFC 6675 §4 NextSeg rules 3 and 4, where losses are told by counting: with nothing else to send, what may
   * be missing below the selective acknowledgments, each once.
   */
  #nextDoubtful(maxTextBytes: number): boolean {
    const { recovery } = this.#sender;
    if (!recovery.isRecovering || !recovery.sack || recovery.detector.usesRack) return false;
    return this.#nextLost(Math.min(maxTextBytes, this.#sender.segmentBytes), recovery.board.nextDoubtful());
  }

  /**
   * Whether a segment smaller than a full one may leave (RFC 9293 §3.8.6.2.1): not while the congestion
   * window alone cuts it; if the peer's window does, only from half its largest; else as Nagle and
   * Minshall say (RFC 9293 §3.7.4). `cutBytes` is its size where something cuts it, else 0.
   */
  #mayLeavePartial(cutBytes: number, limit: number, nowUs: number): boolean {
    const sender = this.#sender;
    if (cutBytes > 0) return sender.windowRoom === limit && cutBytes >= sender.maxSndWnd / 2;
    if (sender.finQueued || seqGt(sender.sndUp, sender.sndNxt)) return true;
    return sender.small.mayLeave(sender.sndUna, sender.recovery.log.count > 0, nowUs);
  }

  #planNew(textBytes: number, windowRoom: number): boolean {
    const sender = this.#sender;
    const withFin = sender.finQueued && !sender.finSent && textBytes === sender.unsentBytes;
    const carriesFin = withFin && windowRoom > textBytes;
    if (textBytes === 0 && !carriesFin) return false;
    this.#fill(sender.sndNxt, textBytes, carriesFin);
    this.plan.row = -1;
    return true;
  }

  #fill(sequence: Seq, textBytes: number, isFin: boolean): void {
    const { plan } = this;
    const { segmentBytes, buffer, sndUp, sndNxt } = this.#sender;
    plan.sequence = sequence;
    plan.textBytes = textBytes;
    plan.isMtuProbe = false;
    plan.segmentSize = textBytes > segmentBytes ? segmentBytes : 0;
    plan.segments = textBytes > segmentBytes ? Math.ceil(textBytes / segmentBytes) : 1;
    plan.flags = isFin ? TcpFlag.FIN : 0;
    const end = seqAdd(sequence, textBytes);
    // RFC 9293 §3.9.1.2: without a PUSH call, PSH marks the segment that empties the queue.
    if (textBytes > 0 && seqGe(end, buffer.end)) plan.flags |= TcpFlag.PSH;
    plan.urgentPointer = 0;
    const urgent = seqDiff(sndUp, sequence);
    // A mark too far to be told is told of only where it lies beyond everything sent (Linux).
    if (urgent > 0 && (urgent <= 0xffff || seqGt(seqAdd(sequence, 0xffff), sndNxt))) {
      plan.flags |= TcpFlag.URG;
      plan.urgentPointer = Math.min(urgent, 0xffff);
    }
  }
}

/** `bytes` rounded down to whole segments, one at least. */
const wholeSegments = (bytes: number, mssBytes: number): number =>
  Math.max(mssBytes, bytes - (bytes % mssBytes));
