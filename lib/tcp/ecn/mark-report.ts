/**
 * The receiving half of accurate ECN (RFC 9768 §3.2): counts what arrived with which ECN field, and decides
 * when that must be told, and in which option.
 */
import { ecnCountersBytes } from '../../wire/ecn-counters.js';
import { AckDuty } from './ack-duty.js';
import { EcnField } from './negotiation.js';

/** Marks after which an ACK leaves: fewer where one is owed anyway (RFC 9768 §3.2.2.5.1). */
const MARKS_OWED = 2;
const MARKS_UNOWED = 3;

/** Counters of bytes, as bits. */
const Counter = { Ect0: 1, Ce: 2, Ect1: 4, All: 7 } as const;
/** By ECN field. */
const COUNTER_OF = [0, Counter.Ect1, Counter.Ect0, Counter.Ce] as const;

/** How many fields, from the first, hold these counters: EE0B ECEB EE1B, or in order 1 backwards. */
function fieldsFor(counters: number, order: number): number {
  if (counters & (order === 0 ? Counter.Ect1 : Counter.Ect0)) return 3;
  if (counters & Counter.Ce) return 2;
  return counters === 0 ? 0 : 1;
}

export class MarkReport {
  /** r.cep: segments that arrived marked, from 5 on; its low bits stand in every segment sent. */
  segments = 5;
  /** r.ceb, r.e0b and r.e1b: bytes of text by ECN field; the last two from 1 on, to tell them from zeroed ones. */
  ceBytes = 0;
  ect0Bytes = 1;
  ect1Bytes = 1;
  /** Options are sent; not where the path seems to swallow what carries them. */
  sendsOptions = true;
  /** The next segment without text, or with it, carries the option whatever was counted (RFC 9768 §3.2.3.2.1). */
  ackMustTell = false;
  textMustTell = false;
  /** Counters that ever moved, and those that moved since an option told of them. */
  #moved = 0;
  #untold = 0;
  #marksUnacked = 0;
  /** The first text carried the option. */
  #textTold = false;
  /** ECN field of the segment before, and of the text before. */
  #field = 0;
  #textField = -1;
  /** The option as it was last laid out: the shape of `EcnCounters`. */
  order = 0;
  fields = 0;

  /**
   * An acceptable segment arrived, or as many as a super-packet was made of.
   * @param owesAck whether an ACK is owed already
   * @returns bits of `AckDuty`
   */
  arrived(field: number, textBytes: number, segments: number, owesAck: boolean): number {
    const marked = field === EcnField.Ce;
    if (marked) {
      this.segments += segments;
      this.#marksUnacked += segments;
    }
    const isChange = textBytes > 0 && this.#isChange(field);
    this.#field = field;
    if (textBytes > 0) this.#count(field, textBytes);
    if (isChange) return AckDuty.Now;
    const limit = textBytes > 0 || owesAck ? MARKS_OWED : MARKS_UNOWED;
    return marked && this.#marksUnacked >= limit ? AckDuty.Now : AckDuty.None;
  }

  /** The peer's SYN-ACK arrived marked: that counts once, however often it comes (RFC 9768 §3.2.2.2). */
  synAckMarked(): void {
    this.segments = 6;
  }

  /**
   * Lays the option out within `roomBytes`: all counters that ever moved, or at least those that moved
   * since they were last told, else nothing (RFC 9768 §3.2.3.3).
   * @returns bytes it takes, padded; 0 for none
   */
  layOut(roomBytes: number, hasText: boolean): number {
    this.fields = 0;
    if (!this.sendsOptions) return 0;
    if (hasText ? this.textMustTell : this.ackMustTell) return this.#fit(roomBytes, Counter.All);
    return this.#untold === 0 ? 0 : this.#fit(roomBytes, this.#moved);
  }

  /** A segment left, and with it the low bits of the counter of segments; `told` with the option laid out. */
  sent(hasText: boolean, told: boolean): void {
    this.#marksUnacked = 0;
    if (!told) return;
    this.#untold = 0;
    if (!hasText) this.ackMustTell = false;
    else if (this.textMustTell) {
      this.textMustTell = false;
      this.#textTold = true;
    }
  }

  /** The first text had to be sent again. If it carried the option, no other segment will. */
  firstTextLost(): void {
    if (this.#textTold) this.sendsOptions = false;
  }

  /** A mark after none, in whatever came before, or text of another field than the text before. */
  #isChange(field: number): boolean {
    if (field === EcnField.Ce && this.#field !== EcnField.Ce) return true;
    return this.#textField >= 0 && field !== this.#textField;
  }

  #count(field: number, textBytes: number): void {
    this.#textField = field;
    if (field === EcnField.NotEct) return;
    this.#moved |= COUNTER_OF[field];
    this.#untold |= COUNTER_OF[field];
    if (field === EcnField.Ce) this.ceBytes += textBytes;
    else if (field === EcnField.Ect0) this.ect0Bytes += textBytes;
    else this.ect1Bytes += textBytes;
  }

  /** Lays out as many of the wanted counters as fit, those untold among them. */
  #fit(roomBytes: number, wanted: number): number {
    return this.#tryFit(roomBytes, wanted) || this.#tryFit(roomBytes, this.#untold);
  }

  #tryFit(roomBytes: number, counters: number): number {
    const fields0 = fieldsFor(counters, 0);
    const fields1 = fieldsFor(counters, 1);
    this.order = fields1 < fields0 ? 1 : 0;
    this.fields = Math.min(fields0, fields1);
    const bytes = ecnCountersBytes(this.fields);
    return bytes <= roomBytes ? bytes : 0;
  }
}
