/** Group records into reports of no more than a link takes (RFC 3376 §4.2.16, RFC 3810 §5.2.15). */
import type { IpFamily } from '../../wire/ip-address.js';
import { type GroupRecord, RecordType } from './messages.js';

/** Bytes of a report before its records, and of a record before its sources and beside its group. */
export const REPORT_BYTES = 8;
const RECORD_BYTES = 4;

const addressBytes = (family: IpFamily): number => (family === 4 ? 4 : 16);

/**
 * Divides records over reports of at most `maxBytes`. A record that is too large for one is split, except one
 * that excludes sources: of that, what does not fit is left out, so that too much comes rather than too little.
 */
export function packRecords(
  records: readonly GroupRecord[],
  family: IpFamily,
  maxBytes: number,
): GroupRecord[][] {
  const unit = addressBytes(family);
  const room = maxBytes - REPORT_BYTES;
  const most = Math.max(Math.floor((room - RECORD_BYTES - unit) / unit), 1);
  const reports: GroupRecord[][] = [];
  let left = 0;
  for (const record of records) {
    for (const piece of pieces(record, most)) {
      const bytes = RECORD_BYTES + unit * (1 + piece.sources.length);
      if (reports.length === 0 || bytes > left) {
        reports.push([]);
        left = room;
      }
      reports[reports.length - 1].push(piece);
      left -= bytes;
    }
  }
  return reports;
}

function pieces(record: GroupRecord, most: number): GroupRecord[] {
  const { type, sources } = record;
  if (sources.length <= most) return [record];
  const first = { ...record, sources: sources.slice(0, most) };
  if (type === RecordType.IsExclude || type === RecordType.ToExclude) return [first];
  // What follows a list of sources to include is added to it.
  const next = type === RecordType.ToInclude ? RecordType.AllowNew : type;
  return [first, ...pieces({ ...record, type: next, sources: sources.slice(most) }, most)];
}

/** Writes a report of version 3 (2 for IPv6), but for its checksum. @returns its bytes */
export function writeReport(
  view: DataView,
  at: number,
  type: number,
  records: readonly GroupRecord[],
): number {
  view.setInt32(at, type << 24);
  view.setInt32(at + 4, records.length);
  let next = at + REPORT_BYTES;
  for (const { type: kind, group, sources } of records) {
    view.setInt32(next, (kind << 24) | sources.length);
    next += RECORD_BYTES;
    for (const address of [group, ...sources]) {
      address.write(view, next);
      next += addressBytes(group.family);
    }
  }
  return next - at;
}
