/**
 * The sending half of accurate ECN (RFC 9768 §3.2): how many of the segments sent were marked, by the low
 * bits of a counter of segments and, where the path lets them through, by counters of bytes in an option;
 * and whether what the peer and the path do with marks can be trusted.
 */
import { type Seq, seqGe } from '../../base/seq.js';

/** The counter in the flags comes round after so many. */
const ACE_VALUES = 8;
const ACE_MASK = ACE_VALUES - 1;
const FIELD_MASK = 0xff_ffff;
/** A counter of 24 bits that has moved on by more than this has moved back. */
const MAX_FIELD_STEP = 1 << 23;

/** Rounds in which everything was marked, after which the path is thought to mark whatever it carries. */
const CONTINUOUS_ROUNDS = 4;

/** Meaning of the flags in the ACK of a SYN-ACK (RFC 9768 Table 4). */
const NO_FEEDBACK = 0b000;
const SYN_ACK_MARKED = 0b110;

/** What one ACK says of marks, and what it acknowledges. One object, filled anew for each. */
export class Feedback {
  /** The three flags as a number. */
  ace = 0;
  /** Segments, and bytes of text, that it newly acknowledges, at most; bytes of a full one. */
  segments = 0;
  bytes = 0;
  mssBytes = 1;
  /** SEG.ACK, and SND.NXT: where the round after this one ends. */
  ack = 0 as Seq;
  sndNxt = 0 as Seq;
  /** Its option; undefined where it has none. */
  counters: EchoedCounters | undefined;
}

/** Counters of bytes as an option tells them, low 24 bits; -1 for each it leaves out. */
export interface EchoedCounters {
  readonly ect0Bytes: number;
  readonly ceBytes: number;
  readonly ect1Bytes: number;
}

const OptionState = { Unknown: 0, Believed: 1, Ignored: 2 } as const;
type OptionState = (typeof OptionState)[keyof typeof OptionState];

export class MarkFeedback {
  /** s.cep, s.ceb, s.e0b and s.e1b: what the peer has counted of what we sent. */
  segments = 5;
  ceBytes = 0;
  ect0Bytes = 1;
  ect1Bytes = 1;
  /** New text is sent as ECN-capable: false once something on the path was seen to go wrong with that. */
  sendsEct: boolean;
  /** Marks are believed, and answered. */
  isTrusted = true;
  /** Marks told by the handshake: the SYN or SYN-ACK we sent arrived marked. */
  handshakeMarked = false;
  /** Bytes newly reported as marked by the last `take`. */
  newBytes = 0;
  /** Nothing was fed back yet behind the handshake. */
  #isFirst = true;
  /** The segment in hand is the ACK of our SYN-ACK, whose flags have another meaning. */
  #isHandshake = false;
  #options: OptionState = OptionState.Unknown;
  /** Rounds in which all was marked, counted until one was not. */
  #isWatching = true;
  #markedRounds = 0;
  #roundEnd = 0 as Seq;
  #roundBegan = false;

  /** @param sendsEct not at a host that answered, where a SYN or SYN-ACK had no ECN (RFC 9768 §3.1.5) */
  constructor(sendsEct: boolean) {
    this.sendsEct = sendsEct;
  }

  /**
   * How our SYN or SYN-ACK, which is never ECN-capable, arrived: as another than it left, it tells of a
   * path that overwrites the field (RFC 9768 §3.2.2.3). What that path calls marks still counts.
   */
  handshakeField(field: number, marked: boolean): void {
    if (field > 0) this.sendsEct = false;
    this.handshakeMarked = marked;
  }

  /** The flags of the ACK of our SYN-ACK, which stand for the field it arrived with (RFC 9768 Table 4). */
  handshakeAck(ace: number, field: number): void {
    this.#isHandshake = true;
    if (ace === NO_FEEDBACK) {
      this.#distrust();
      return;
    }
    if (ace === SYN_ACK_MARKED) this.segments = 6;
    this.handshakeField(field, ace === SYN_ACK_MARKED);
  }

  /** The option of a SYN-ACK, or of the ACK of one: only whether it is there, and not zeroed, counts. */
  handshakeOption(counters: EchoedCounters): void {
    this.#takeOption(counters);
  }

  /** The counter of an honest peer begins above zero (RFC 9768 §3.2.2.4): asked of all that arrives, only the first counts. */
  passesFirst(ace: number): boolean {
    if (!this.#isFirst) return true;
    if (this.#isHandshake) {
      this.#isHandshake = false;
      return true;
    }
    this.#isFirst = false;
    if (ace !== 0) return true;
    this.#distrust();
    return false;
  }

  /** Takes what an ACK says. @returns how many segments it newly reports as marked */
  take(feedback: Feedback): number {
    const { ace, segments, counters } = feedback;
    this.newBytes = 0;
    const least = (ace - this.segments) & ACE_MASK;
    const ceBytes = counters === undefined ? -1 : this.#takeOption(counters);
    if (ceBytes > 0 && least === 0 && segments < ACE_VALUES) {
      // Bytes were marked, but no segment: somebody changes what is fed back (RFC 9768 §3.2.3.2.5).
      this.sendsEct = false;
    }
    const marked = likelyMarks(least, ceBytes, feedback);
    this.segments += marked;
    this.#watch(marked, feedback);
    if (!this.isTrusted) return 0;
    this.newBytes = ceBytes >= 0 ? ceBytes : Math.min(marked * feedback.mssBytes, feedback.bytes);
    return marked;
  }

  /** @returns bytes newly marked; -1 where the option says nothing that can be used */
  #takeOption(counters: EchoedCounters): number {
    if (this.#options === OptionState.Unknown) {
      const isZeroed = counters.ect0Bytes === 0 || counters.ect1Bytes === 0;
      this.#options = isZeroed ? OptionState.Ignored : OptionState.Believed;
    }
    if (this.#options === OptionState.Ignored) return -1;
    const ce = step(this.ceBytes, counters.ceBytes);
    const ect0 = step(this.ect0Bytes, counters.ect0Bytes);
    const ect1 = step(this.ect1Bytes, counters.ect1Bytes);
    if (Math.max(ce, ect0, ect1) > MAX_FIELD_STEP) return -1;
    this.ceBytes += ce;
    this.ect0Bytes += ect0;
    this.ect1Bytes += ect1;
    return ce;
  }

  /** Whether everything is marked from the first round on (RFC 9768 §3.2.2.3). */
  #watch(marked: number, feedback: Feedback): void {
    if (!this.#isWatching || feedback.segments === 0) return;
    if (marked < feedback.segments || !this.sendsEct) {
      this.#isWatching = false;
      return;
    }
    if (this.#roundBegan && !seqGe(feedback.ack, this.#roundEnd)) return;
    this.#roundBegan = true;
    this.#roundEnd = feedback.sndNxt;
    if (++this.#markedRounds > CONTINUOUS_ROUNDS) this.#distrust();
  }

  #distrust(): void {
    this.sendsEct = false;
    this.isTrusted = false;
  }
}

/** How far a counter of 24 bits has moved on. */
const step = (counter: number, field: number): number => (field < 0 ? 0 : (field - counter) & FIELD_MASK);

/**
 * Segments newly marked, by a counter that says it only modulo eight: the fewest where it cannot have come
 * round. Where it can, as many as the bytes reported need; without them as many as were acknowledged, as
 * it is safer to slow down for marks that were none than not to for marks that were (RFC 9768 §3.2.2.5.2).
 */
function likelyMarks(least: number, ceBytes: number, feedback: Feedback): number {
  const { segments, mssBytes } = feedback;
  if (segments < ACE_VALUES) return least;
  const most = segments - ((segments - least) & ACE_MASK);
  if (ceBytes < 0) return most;
  const needed = Math.ceil(ceBytes / mssBytes);
  if (needed <= least) return least;
  return Math.min(most, least + ACE_VALUES * Math.ceil((needed - least) / ACE_VALUES));
}
