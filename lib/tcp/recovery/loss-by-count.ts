/**
 * Losses inferred by counting what was acknowledged beyond them: by selective acknowledgments (RFC 6675 §4)
 * where RACK is off, by duplicate ACKs (RFC 5681 §3.2, RFC 6582) where the peer does not know them.
 */
import { seqAdd, seqMin } from '../../base/seq.js';
import type { Scoreboard } from './scoreboard.js';
import { RowFlag } from './sent-log.js';

/** RFC 5681 §3.2, RFC 6675 §2: duplicate ACKs, or segments beyond, that indicate a loss. */
export const DUP_THRESH = 3;

/** RFC 6675 §4 IsLost: three segments, or more than two full ones in bytes, are acknowledged above it. */
export function markLostByCount(board: Scoreboard, mssBytes: number): void {
  const { log } = board;
  let bytesAbove = 0;
  let recordsAbove = 0;
  for (let i = log.count - 1; i >= 0; i--) {
    const slot = log.slot(i);
    const flags = log.flags(slot);
    if (flags & RowFlag.SACKED) {
      bytesAbove += log.bytes(slot);
      recordsAbove++;
    } else if (recordsAbove >= DUP_THRESH || bytesAbove > (DUP_THRESH - 1) * mssBytes) {
      // That a retransmission is lost, counting cannot tell.
      if ((flags & RowFlag.LOST) === 0) board.markLost(slot);
    }
  }
}

/** The first segment is lost: the third duplicate ACK, or a partial one, says so (RFC 6582 §3.2). */
export function markHeadLost(board: Scoreboard, mssBytes: number): void {
  const { log } = board;
  const first = log.slot(0);
  const end = seqMin(seqAdd(log.start(first), mssBytes), log.end(first));
  if (log.straddles(0, end)) log.split(0, end);
  board.markLost(log.slot(0));
}
