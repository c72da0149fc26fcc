/** The option of accurate ECN (RFC 9768 §3.2.3): counters of text by ECN field, as many as are needed or fit. */
import { TcpOptionKind } from './tcp-options.js';

/** What an option is written from. */
export interface EcnCounters {
  /** 0: EE0B, ECEB, EE1B; 1: the same backwards. */
  readonly order: number;
  /** How many of the three, from the first. */
  readonly fields: number;
  readonly ect0Bytes: number;
  readonly ceBytes: number;
  readonly ect1Bytes: number;
}

const KINDS = [TcpOptionKind.ACCURATE_ECN_0, TcpOptionKind.ACCURATE_ECN_1] as const;
const BASE_BYTES = 2;
const FIELD_BYTES = 3;
export const MAX_ECN_FIELDS = 3;

/** Bytes of an option with so many fields, padded to whole words. */
export const ecnCountersBytes = (fields: number): number => (BASE_BYTES + FIELD_BYTES * fields + 3) & ~3;

/** The most fields that fit `roomBytes`; -1 where not even an empty option does. */
export function ecnFieldsThatFit(roomBytes: number): number {
  let fields = MAX_ECN_FIELDS;
  while (fields >= 0 && ecnCountersBytes(fields) > roomBytes) fields--;
  return fields;
}

/** Writes NOPs as padding, and the option. @returns bytes written */
export function writeEcnCounters(view: DataView, at: number, counters: EcnCounters): number {
  const { order, fields, ect0Bytes, ceBytes, ect1Bytes } = counters;
  const length = BASE_BYTES + FIELD_BYTES * fields;
  const bytes = ecnCountersBytes(fields);
  let next = at;
  for (let padding = bytes - length; padding > 0; padding--) view.setUint8(next++, TcpOptionKind.NOP);
  view.setUint8(next, KINDS[order]);
  view.setUint8(next + 1, length);
  next += BASE_BYTES;
  for (let i = 0; i < fields; i++) {
    const value = i === 1 ? ceBytes : (i === 0) === (order === 0) ? ect0Bytes : ect1Bytes;
    view.setUint8(next, (value >>> 16) & 0xff);
    view.setUint16(next + 1, value & 0xffff);
    next += FIELD_BYTES;
  }
  return bytes;
}
