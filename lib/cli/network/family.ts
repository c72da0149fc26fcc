/** `-4` and `-6`. */
import type { OptionSpec } from '../frame/spec.js';

/** Which family is wanted, if one is. */
export interface FamilyOptions {
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
}

export const FAMILY_OPTIONS: readonly OptionSpec[] = [
  { flags: '-4, --ipv4', description: 'IPv4 only', conflicts: ['ipv6'] },
  { flags: '-6, --ipv6', description: 'IPv6 only', conflicts: ['ipv4'] },
];

/** 0 where either will do. */
export const familyOf = ({ ipv4, ipv6 }: FamilyOptions): 0 | 4 | 6 =>
  ipv4 === true ? 4 : ipv6 === true ? 6 : 0;
