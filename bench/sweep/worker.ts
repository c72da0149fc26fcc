/** A worker of `npm run sweep`: runs ranges of cases. */
import { serveJobs } from '../support/parallel.js';
import { formatCase } from './fault-case.js';
import { runCase } from './fault-run.js';
import { casesIn, type Range } from './plan.js';

export interface RangeResult {
  readonly runs: number;
  readonly timeouts: number;
  readonly retransmissions: number;
  /** The longest transfer, µs of virtual time. */
  readonly longestUs: number;
  readonly failures: readonly { readonly case: string; readonly troubles: readonly string[] }[];
}

/** Failures of one range that are told one by one; a broken stack must not fill the disk. */
const MAX_TOLD = 20;

function runRange(range: Range): RangeResult {
  const failures: { case: string; troubles: readonly string[] }[] = [];
  const total = { runs: 0, timeouts: 0, retransmissions: 0, longestUs: 0 };
  for (const faulty of casesIn(range)) {
    const { troubles, timeouts, retransmissions, durationUs } = attempt(faulty);
    total.runs++;
    total.timeouts += timeouts;
    total.retransmissions += retransmissions;
    total.longestUs = Math.max(total.longestUs, durationUs);
    if (troubles.length === 0) continue;
    const told = failures.length < MAX_TOLD;
    failures.push({ case: told ? formatCase(faulty) : '', troubles: told ? troubles : [] });
  }
  return { ...total, failures };
}

/** A case that throws is a failure like others. */
function attempt(faulty: Parameters<typeof runCase>[0]): ReturnType<typeof runCase> {
  try {
    return runCase(faulty);
  } catch (error) {
    const nothing = { dataPackets: 0, ackPackets: 0, timeouts: 0, retransmissions: 0, durationUs: 0 };
    return { ...nothing, troubles: [`threw ${(error as Error).stack}`] };
  }
}

serveJobs(runRange);
