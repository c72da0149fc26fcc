/** Compares a segment a test expects with one the stack sent. */

import type { SegmentLine } from '../../lib/wire/segment-text.js';
import { formatTcpFlags } from '../../lib/wire/tcp.js';

/** What differs, in words; '' when nothing that is compared does. `strict` compares options byte by byte. */
export function segmentDifference(expected: SegmentLine, actual: SegmentLine, strict: boolean): string {
  const differences: string[] = [];
  if (expected.flags !== actual.flags) {
    differences.push(
      `flags ${formatTcpFlags(expected.flags) || '-'} ≠ ${formatTcpFlags(actual.flags) || '-'}`,
    );
  }
  if ((expected.start | 0) !== (actual.start | 0)) differences.push('sequence number');
  if (expected.textBytes !== actual.textBytes) differences.push('length');
  if (!numberHolds(expected.ack, actual.ack)) differences.push('ack');
  if (expected.window !== undefined && expected.window !== actual.window) differences.push('win');
  if (expected.urgentPointer !== undefined && expected.urgentPointer !== actual.urgentPointer) {
    differences.push('urg');
  }
  if (expected.ecn !== undefined && expected.ecn !== actual.ecn) differences.push('ECN field');
  if (expected.options !== undefined && !optionsHold(expected.options, actual.options ?? [], strict)) {
    differences.push('options');
  }
  return differences.join(', ');
}

const numberHolds = (expected: number | undefined, actual: number | undefined): boolean =>
  expected === undefined || (actual !== undefined && (expected | 0) === (actual | 0));

const isPadding = (option: string): boolean => option === 'nop' || option === 'eol';

/**
 * Strict: the same options in the same order, padding included. Otherwise `<>` allows none but padding,
 * and a list asks for each of its options in its order, whatever else there is; `!name` for none of a kind.
 */
function optionsHold(expected: readonly string[], actual: readonly string[], strict: boolean): boolean {
  if (strict) {
    return expected.length === actual.length && expected.every((option, i) => optionHolds(option, actual[i]));
  }
  const present = actual.filter((option) => !isPadding(option));
  if (expected.length === 0) return present.length === 0;
  let next = 0;
  for (const option of expected) {
    if (isPadding(option)) continue;
    if (option.startsWith('!')) {
      if (present.some((other) => nameOf(other) === option.slice(1))) return false;
      continue;
    }
    while (next < present.length && !optionHolds(option, present[next])) next++;
    if (next++ >= present.length) return false;
  }
  return true;
}

const nameOf = (option: string): string => option.split(' ')[0];

/** Word by word; `*` holds for any word. */
function optionHolds(expected: string, actual: string): boolean {
  const words = expected.split(' ');
  const others = actual.split(' ');
  return words.length === others.length && words.every((word, i) => word === '*' || word === others[i]);
}
