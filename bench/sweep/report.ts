/** What a sweep found, added up and written down. */
import { provenance, spell } from '../support/provenance.js';
import { commandFor, KINDS, parseCase } from './fault-case.js';
import { SEGMENTS } from './fault-run.js';
import type { Range } from './plan.js';
import type { RangeResult } from './worker.js';

/** Failures written down one by one. */
const MAX_TOLD = 100;

interface Sums {
  runs: number;
  failures: number;
  timeouts: number;
  retransmissions: number;
  longestUs: number;
}

const nothing = (): Sums => ({ runs: 0, failures: 0, timeouts: 0, retransmissions: 0, longestUs: 0 });

function addTo(sums: Sums, result: RangeResult): void {
  sums.runs += result.runs;
  sums.failures += result.failures.length;
  sums.timeouts += result.timeouts;
  sums.retransmissions += result.retransmissions;
  sums.longestUs = Math.max(sums.longestUs, result.longestUs);
}

export class SweepTally {
  /** By what was done: one fault or two, of which kind, with which congestion control. */
  readonly rows = new Map<string, Sums>();
  readonly total = nothing();
  readonly told: RangeResult['failures'][number][] = [];

  get failures(): number {
    return this.total.failures;
  }

  add({ pairs, kind, config }: Range, result: RangeResult): void {
    const key = [pairs ? 'pairs' : 'single', kind, config.control].join(' ');
    const row = this.rows.get(key) ?? nothing();
    this.rows.set(key, row);
    addTo(row, result);
    addTo(this.total, result);
    const room = Math.max(0, MAX_TOLD - this.told.length);
    this.told.push(...result.failures.filter((failure) => failure.case !== '').slice(0, room));
  }
}

interface Circumstances {
  readonly milliseconds: number;
  readonly controls: readonly string[];
  /** Every so many-th pair was run; 0 for none. */
  readonly pairStep: number;
}

export function reportText(tally: SweepTally, { milliseconds, controls, pairStep }: Circumstances): string {
  const { total } = tally;
  const option = pairStep === 0 ? ' -- --no-pairs' : pairStep === 1 ? '' : ` -- --every ${pairStep}`;
  const which = pairStep === 1 ? 'every pair' : `every ${pairStep}th pair`;
  const pairs = pairStep === 0 ? '' : `, and ${which} of packets with the same fault`;
  const lines = [
    '# Sweep of faults',
    '',
    `${provenance()}. \`npm run sweep${option}\`, ${spell(milliseconds)}.`,
    '',
    `A transfer of ${SEGMENTS} segments over a path of 20 ms, of which packets suffer: every packet of both`,
    `directions in turn${pairs}. Each runs with data from the client and from`,
    'the server, over IPv4 and IPv6, with plain packets at 20 Mbit/s and with super-packets in bursts. `reorder`',
    'makes a packet 4 ms late, `delay` 35 ms. What must hold in each run stands at the head of',
    '`bench/sweep/fault-run.ts`.',
    '',
    `**${total.runs} runs, ${total.failures} failures.**`,
    '',
    '| faults | kind | congestion control | runs | failures | time-outs | sent again | longest transfer, ms |',
    '|---|---|---|---:|---:|---:|---:|---:|',
  ];
  for (const many of ['single', 'pairs']) {
    for (const kind of KINDS) {
      for (const control of controls) {
        const row = tally.rows.get([many, kind, control].join(' '));
        if (row !== undefined) lines.push(rowText([many, kind, control], row));
      }
    }
  }
  if (tally.told.length > 0) lines.push('', '## Failures', '');
  for (const { case: text, troubles } of tally.told) {
    lines.push(`- ${troubles.join('; ').replaceAll('\n', ' ')}: \`${commandFor(parseCase(text))}\``);
  }
  return `${lines.join('\n')}\n`;
}

const rowText = (names: readonly string[], row: Sums): string =>
  `| ${[
    ...names,
    row.runs,
    row.failures,
    row.timeouts,
    row.retransmissions,
    (row.longestUs / 1000).toFixed(0),
  ].join(' | ')} |`;
