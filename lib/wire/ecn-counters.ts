/** The option of accurate ECN (RFC 9768 §3.2.3): counters of text by ECN field, as many as are needed or fit. */
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

/** Kinds of the option by the order of its fields. */
export const ECN_COUNTERS_KINDS = [172, 174] as const;
const NOP = 1;
const BASE_BYTES = 2;
const FIELD_BYTES = 3;
export const MAX_ECN_FIELDS = 3;

/** What every counter begins with; to be written as far as there is room for (RFC 9768 §3.2.1). */
const FIRST_COUNTERS = { order: 0, fields: MAX_ECN_FIELDS, ect0Bytes: 1, ceBytes: 0, ect1Bytes: 1 };

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
  for (let padding = bytes - length; padding > 0; padding--) view.setUint8(next++, NOP);
  view.setUint8(next, ECN_COUNTERS_KINDS[order]);
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

/** Bytes of the option in a SYN-ACK with `roomBytes` left for it. */
export const firstEcnCountersBytes = (roomBytes: number): number =>
  roomBytes < ecnCountersBytes(0) ? 0 : ecnCountersBytes(ecnFieldsThatFit(roomBytes));

/** Writes what `firstEcnCountersBytes` has room for. @returns bytes written */
export function writeFirstEcnCounters(view: DataView, at: number, roomBytes: number): number {
  const fields = ecnFieldsThatFit(roomBytes);
  return fields < 0 ? 0 : writeEcnCounters(view, at, { ...FIRST_COUNTERS, fields });
}
