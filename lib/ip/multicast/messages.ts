/** What hosts and queriers of multicast groups say to each other, the same for IGMP and MLD. */
import type { IpAddress } from '../../wire/ip-address.js';

/** Types of group records (RFC 3376 §4.2.12, RFC 3810 §5.2.12). */
export const RecordType = {
  IsInclude: 1,
  IsExclude: 2,
  ToInclude: 3,
  ToExclude: 4,
  AllowNew: 5,
  BlockOld: 6,
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

export interface GroupRecord {
  readonly type: RecordType;
  readonly group: IpAddress;
  readonly sources: readonly IpAddress[];
}

/**
 * How old a querier is: 2 speaks of sources (IGMPv3, MLDv2), 1 of groups only (IGMPv2, MLDv1), 0 hears no
 * Leave (IGMPv1).
 */
export const Generation = { Oldest: 0, Older: 1, Current: 2 } as const;
export type Generation = (typeof Generation)[keyof typeof Generation];

/**
 * Sources of queries that are looked at, and remembered until they are answered. Where there are more, the
 * answer is about all sources, which tells the querier at least as much (RFC 3376 §9.1 asks for such a limit).
 */
export const MAX_QUERIED_SOURCES = 64;

export interface GroupQuery {
  readonly generation: Generation;
  /** Within what time answers are to come, µs. */
  readonly maxResponseUs: number;
  /** Undefined for all groups. */
  readonly group: IpAddress | undefined;
  /** Empty for any source. */
  readonly sources: readonly IpAddress[];
  /** The querier's Robustness Variable and Query Interval; 0 where it says none. */
  readonly robustness: number;
  readonly queryIntervalUs: number;
}

/** Where a host's messages go. */
export interface GroupVoice {
  /** One or more reports with these records. */
  report(records: readonly GroupRecord[]): void;
  /** A report on one group, as older queriers know it. */
  olderReport(group: IpAddress, generation: Generation): void;
  /** Says to an older querier that a group was left. */
  olderLeave(group: IpAddress): void;
}

/** A floating point code of `bits` bits (RFC 3376 §4.1.1, RFC 3810 §5.1.3): 8 for IGMP, 16 for MLD. */
export function decodeFloat(code: number, bits: 8 | 16): number {
  const mantissaBits = bits - 4;
  if (code < 1 << (bits - 1)) return code;
  const exponent = (code >> mantissaBits) & 7;
  return ((code & ((1 << mantissaBits) - 1)) | (1 << mantissaBits)) << (exponent + 3);
}
