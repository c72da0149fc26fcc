/** What a script said and what happened, side by side; and the error that shows it. */

/** Rows shown above the one that failed, and below. */
const ROWS_BEFORE = 14;
/** Widest left column. */
const MAX_COLUMNS = 72;

interface Row {
  readonly line: number;
  readonly expected: string;
  actual: string;
  isWrong: boolean;
}

export class Trace {
  readonly #rows: Row[] = [];

  /** An event of the script begins. */
  event(line: number, expected: string): void {
    this.#rows.push({ line, expected, actual: '', isWrong: false });
  }

  /** What became of the newest event. */
  happened(timeUs: number, actual: string): void {
    const row = this.#rows.at(-1);
    if (row !== undefined) row.actual = `${seconds(timeUs)} ${actual}`;
  }

  /** The newest event is the one that failed. */
  failed(): void {
    const row = this.#rows.at(-1);
    if (row !== undefined) row.isWrong = true;
  }

  /** The last rows, and what the stack sent that no line has been compared with. */
  format(waiting: readonly string[]): string {
    const rows = this.#rows.slice(-ROWS_BEFORE - 1);
    const columns = Math.min(MAX_COLUMNS, Math.max(6, ...rows.map(({ expected }) => expected.length)));
    const out = [columnsOf('', 'script', 'stack', columns)];
    for (const { line, expected, actual, isWrong } of rows) {
      out.push(columnsOf(`${isWrong ? '✗' : ' '} ${String(line).padStart(4)}`, expected, actual, columns));
    }
    for (const packet of waiting) out.push(columnsOf('', '', `${packet}  (not compared)`, columns));
    return out.join('\n');
  }
}

function columnsOf(margin: string, expected: string, actual: string, columns: number): string {
  const left = expected.length > columns ? `${expected.slice(0, columns - 1)}…` : expected;
  return `${margin.padEnd(6)}  ${left.padEnd(columns)} │ ${actual}`.trimEnd();
}

/** `0.200000`, of µs. */
export const seconds = (us: number): string => (us / 1e6).toFixed(6);

export interface FailureFields {
  readonly name: string;
  readonly line: number;
  readonly expected: string;
  readonly actual: string;
  readonly trace: string;
}

/**
 * A script did not come out as written.
 * @hideconstructor
 */
export class PacketdrillFailure extends Error {
  /** Tells it from other errors. */
  override readonly name = 'PacketdrillFailure';
  /** Of the script, from 1. */
  readonly line: number;
  /** What the script says. */
  readonly expected: string;
  /** What came, in the words of the script. */
  readonly actual: string;
  /** The events around it: what the script says on the left, what the stack did on the right. */
  readonly trace: string;

  constructor(what: string, fields: FailureFields) {
    const { name, line: number, expected, actual, trace } = fields;
    const pair = expected === '' && actual === '' ? '' : `\n  expected  ${expected}\n  actual    ${actual}`;
    super(`${name}:${number}: ${what}${pair}\n${trace}\n`);
    this.line = number;
    this.expected = expected;
    this.actual = actual;
    this.trace = trace;
  }
}
